"""Seeded transforms of images: named, with a strength, the same result every time.

    pdna.transforms.parse("resize:50+jpeg:30").apply(image)

`KINDS` lists them all. Pixels stay in memory; only ``jpeg`` and ``webp`` encode them. Colour
profiles and EXIF orientation are ignored, as in the hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

from PIL import Image

from photodna_nb import checks
from photodna_nb.corpus.transform_kinds import (
    KINDS,
    STANDARD_LISTS,
    TransformKind,
    number_text,
)
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.hashing import images
from photodna_nb.hashing.images import ImageLike
from photodna_nb.printable import short_repr

__all__ = [
    "KINDS",
    "STANDARD_LISTS",
    "AnyTransform",
    "Chain",
    "CopyLabel",
    "Transform",
    "TransformKind",
    "parse",
    "seed_for",
    "standard",
    "standard_version",
]


# What the spec of a label of copies begins with; no transform has this name.
COPIES = "copies:"


@dataclass(frozen=True)
class Transform:
    """One transform of one strength; `parse` makes it from text.

    Parameters
    ----------
    name : str
        Name of an entry of `KINDS`.
    strength : float, optional
        Strength within the range of the entry; None where there is no strength.

    Raises
    ------
    ArgumentError
        There is no such transform, or it does not take the strength.
    ArgumentTypeError
        The name is no text, or the strength no number.

    Examples
    --------
    >>> Transform("jpeg", 30).label, Transform("crop_left", 5).label, Transform("mirror").label
    ('jpeg 30', 'crop_left 5 %', 'mirror')
    """

    name: str
    strength: float | None = None

    def __post_init__(self) -> None:
        strength = _kind(self.name).check_strength(self.strength)
        object.__setattr__(self, "strength", strength)

    @property
    def kind(self) -> TransformKind:
        """The entry of `KINDS`."""
        return KINDS[self.name]

    @property
    def unit(self) -> str:
        """Unit of the strength, for an axis; empty where there is no strength."""
        return self.kind.unit

    @property
    def label(self) -> str:
        """Name and strength for a person, such as ``crop_left 5 %``."""
        if self.strength is None:
            return self.name
        return f"{self.name} {number_text(self.strength)}{self.kind.unit_suffix}"

    @property
    def spec(self) -> str:
        """Name and strength as `parse` reads them, such as ``crop_left:5``."""
        return self.name if self.strength is None else f"{self.name}:{number_text(self.strength)}"

    def apply(self, image: ImageLike, seed: int = 0) -> Image.Image:
        """Return the transformed image.

        Parameters
        ----------
        image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
            Image of at least 2 x 2 pixels; it is not changed.
        seed : int
            Seed of what is random in the transform, 0 or more. See `seed_for`.

        Returns
        -------
        PIL.Image.Image
            RGB image of at least 2 x 2 pixels.

        Raises
        ------
        ArgumentError
            The result would be too large for its format, or Pillow lacks the encoder.
        ImageError, ArgumentTypeError
            As for `photodna_nb.hash_image`.

        Notes
        -----
        The same image, strength and seed give the same pixels with one version of Pillow
        and its codecs; another version may round differently.
        """
        seed = checks.integer("seed", seed, 0)
        return images.to_rgb(self.kind.operation(images.to_rgb(image), self.strength, seed))


@short_repr
@dataclass(frozen=True)
class Chain:
    """Several transforms, one after the other.

    Parameters
    ----------
    transforms : tuple of Transform
        At least one, in the order in which they are applied.

    Examples
    --------
    >>> Chain((Transform("resize", 50), Transform("jpeg", 30))).label
    'resize 50 % + jpeg 30'
    """

    transforms: tuple[Transform, ...]

    def __post_init__(self) -> None:
        needed = "several Transform objects"
        transforms = tuple(checks.iterable("transforms", self.transforms, needed))
        if not transforms:
            raise ArgumentError(checks.message("transforms", "none", "at least one"))
        for transform in transforms:
            if not isinstance(transform, Transform):
                got = f"{checks.describe(transform)} among them"
                raise ArgumentTypeError(checks.message("transforms", got, needed))
        object.__setattr__(self, "transforms", transforms)

    @property
    def name(self) -> str:
        """The names, joined: ``resize+jpeg``."""
        return "+".join(transform.name for transform in self.transforms)

    @property
    def strength(self) -> None:
        """None: several transforms have no common strength."""
        return

    @property
    def unit(self) -> str:
        """Empty: see `strength`."""
        return ""

    @property
    def label(self) -> str:
        """The labels, joined: ``resize 50 % + jpeg 30``."""
        return " + ".join(transform.label for transform in self.transforms)

    @property
    def spec(self) -> str:
        """The transforms as `parse` reads them: ``resize:50+jpeg:30``."""
        return "+".join(transform.spec for transform in self.transforms)

    def apply(self, image: ImageLike, seed: int = 0) -> Image.Image:
        """Return the image after all transforms: see `Transform.apply`.

        Each transform has a seed of its own, so that two of the same kind differ.
        """
        result = images.to_rgb(image)
        for position, transform in enumerate(self.transforms):
            result = transform.apply(result, seed_for(seed, str(position), transform.label))
        return result


@dataclass(frozen=True)
class CopyLabel:
    """A label of altered copies, which are files and not made from an original.

    Parameters
    ----------
    label : str
        The label, which stands for the copies as a transform stands for its variants.
    """

    label: str

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def strength(self) -> None:
        """None: it is not known."""
        return

    @property
    def unit(self) -> str:
        """Empty: see `strength`."""
        return ""

    @property
    def spec(self) -> str:
        """The label as `parse` reads it: ``copies:LABEL``."""
        return f"{COPIES}{self.label}"

    def apply(self, image: ImageLike, seed: int = 0) -> Image.Image:
        """Raise an ArgumentError: copies cannot be made."""
        raise ArgumentError(
            f"{self.spec}: stands for files that variants.files lists, and cannot be applied to "
            "an image; open the files"
        )


AnyTransform: TypeAlias = Transform | Chain | CopyLabel


def parse(spec: str) -> AnyTransform:
    """Return the transform that a text describes.

    Parameters
    ----------
    spec : str
        ``NAME`` or ``NAME:STRENGTH``, several joined by ``+``; or ``copies:LABEL``, which stands
        for altered copies from files in the tables of an evaluation.

    Returns
    -------
    Transform, Chain or CopyLabel
        Transform whose ``spec`` says the same.

    Raises
    ------
    ArgumentError
        A name is unknown (the message names the most similar one), or a strength is no
        number, missing, or out of its range.
    ArgumentTypeError
        `spec` is no text.

    Examples
    --------
    >>> parse("resize:50+jpeg:30")
    Chain(transforms=(Transform(name='resize', strength=50), Transform(name='jpeg', strength=30)))
    """
    checks.text("spec", spec, 'text such as "jpeg:30"')
    if spec.startswith(COPIES):
        return CopyLabel(spec.removeprefix(COPIES))
    transforms = tuple(_parse_one(part.strip()) for part in spec.split("+"))
    return transforms[0] if len(transforms) == 1 else Chain(transforms)


def standard(version: str = "standard") -> tuple[AnyTransform, ...]:
    """Return the transforms of a standard list.

    Parameters
    ----------
    version : str
        ``"standard-1"``, or ``"standard"`` for the newest list.

    Returns
    -------
    tuple of Transform
        The transforms, in the order of the list. A list of one name never changes.

    Raises
    ------
    ArgumentError
        There is no list of that name.

    Examples
    --------
    >>> [transform.label for transform in standard("standard-1")[:2]]
    ['jpeg 90', 'jpeg 50']
    """
    return tuple(map(parse, STANDARD_LISTS[standard_version(version)]))


def standard_version(version: str = "standard") -> str:
    """Return the name of a standard list; ``"standard"`` stands for the newest.

    Parameters
    ----------
    version : str
        Such as ``"standard-1"``.

    Returns
    -------
    str
        The name with its version.

    Raises
    ------
    ArgumentError
        There is no list of that name.
    """
    newest = list(STANDARD_LISTS)[-1]
    checks.choice("version", version, ("standard", *STANDARD_LISTS))
    return newest if version == "standard" else version


def seed_for(seed: int, original_name: str, label: str) -> int:
    """Return the seed of one variant of one original.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 or more.
    original_name, label : str
        Name of the original and label of the transform.

    Returns
    -------
    int
        64 bits of the SHA-256 of the three, so that a variant depends neither on the order
        of the work nor on the other variants.

    Examples
    --------
    >>> seed_for(0, "a.jpg", "noise 10") == seed_for(0, "a.jpg", "noise 25")
    False
    """
    text = f"{checks.integer('seed', seed, 0)}\0{original_name}\0{label}"  # no name holds a NUL
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _parse_one(part: str) -> Transform:
    name, colon, number = part.partition(":")
    kind = _kind(name.strip())
    if not colon:
        return Transform(kind.name)
    try:
        value = float(number)
    except ValueError:
        got = f"the strength {number!r}"
        raise ArgumentError(checks.message(kind.name, got, kind.needed)) from None
    return Transform(kind.name, value)


def _kind(name: Any) -> TransformKind:
    checks.text("name", name, "the name of a transform")
    if name not in KINDS:
        remedy = checks.suggestion(name, KINDS) or f"there are {', '.join(KINDS)}"
        raise ArgumentError(f"name: there is no transform called {name!r}; {remedy}")
    return KINDS[name]
