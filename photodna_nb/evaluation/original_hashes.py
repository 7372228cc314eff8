"""The hashes of one original and of its variants, which are made in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import structs
from PIL import Image

from photodna_nb.corpus.datasets import HashOriginal, Original
from photodna_nb.corpus.transforms import AnyTransform, seed_for
from photodna_nb.errors import FileError, ImageError, PhotodnaError
from photodna_nb.evaluation.config_hashers import RunHasher
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.hashing import images
from photodna_nb.hashing.hashers import HashWithQuality
from photodna_nb.hashing.stages import hash_and_detail
from photodna_nb.printable import printable

# The number that stands for the original itself, where transforms are numbered from 0.
ORIGINAL = -1
# What is timed beside the hashers: reading the original, and making its variants.
MAKING = "images"


class HasherHashes(msgspec.Struct, frozen=True):
    """Hashes of one original and of its variants by another hasher than the first.

    Attributes
    ----------
    hashes : bytes
        Hash of the original, then of each variant; zeros where there is none.
    detail : sequence of float or None
        Quality of the same; None where there is no hash or no quality.
    errors : dict of int to str
        Reasons of missing hashes, by the number of the transform; -1 for the original itself.
    """

    hashes: bytes
    detail: Sequence[float | None]
    errors: dict[int, str] = {}


class OriginalHashes(msgspec.Struct, frozen=True):
    """Hashes of one original and of its variants, as the journal of a run holds them.

    Attributes
    ----------
    name : str
        Name of the original.
    digest : str
        SHA-256 of the content that the original was made from; empty if it cannot be read.
    hashes : bytes
        Hash of the original, then of each variant, by the first hasher; zeros where there is none.
    detail : sequence of float or None
        Detail of the same, in grey levels, or the hasher's quality; None where there is no hash
        or no quality (NaN is no JSON).
    errors : dict of int to str
        Reasons of missing hashes, by the number of the transform; -1 for the original itself.
    permanent : bool
        Whether the same errors would occur again. A lack of memory or an unreadable disk
        may pass.
    pixel_limit : int or None
        Number of pixels of the largest image that was read; errors depend on it.
    others : tuple of HasherHashes
        Those of the other hashers, in the order of the configuration.
    seconds : dict of str to float
        Processor time by the name of the hasher, and of making the images.
    """

    name: str
    digest: str
    hashes: bytes
    detail: Sequence[float | None]
    errors: dict[int, str] = {}
    permanent: bool = True
    pixel_limit: int | None = None
    others: tuple[HasherHashes, ...] = ()
    seconds: dict[str, float] = {}

    @property
    def parts(self) -> tuple[HasherHashes, ...]:
        """The hashes of each hasher."""
        return HasherHashes(self.hashes, self.detail, self.errors), *self.others

    @property
    def is_final(self) -> bool:
        """Whether another attempt would give the same."""
        same_limit = self.pixel_limit == Image.MAX_IMAGE_PIXELS
        return not any(part.errors for part in self.parts) or (self.permanent and same_limit)


class _Missing(NamedTuple):
    """Why there is no image or no hash, and whether it would be so again."""

    reason: str
    permanent: bool

    @classmethod
    def because_of(cls, error: Exception) -> _Missing:
        if isinstance(error, MemoryError):
            reason = "does not fit into memory; free some, or use a smaller version of the image"
            return cls(reason, False)
        if not isinstance(error, PhotodnaError):  # of Pillow; the other variants are not affected
            return cls(printable(f"cannot be made ({type(error).__name__}: {error})"), False)
        cause = error.__cause__
        passing = isinstance(cause, MemoryError) or getattr(cause, "errno", None) is not None
        return cls(error.reason if isinstance(error, FileError) else str(error), not passing)


def hash_original_if_changed(
    transforms: Sequence[AnyTransform],
    seed: int,
    hashers: Sequence[RunHasher],
    task: tuple[Original, str | None],
) -> OriginalHashes | None:
    """Return the hashes of an original, or None if its digest is the one beside it."""
    original, known_digest = task
    try:
        digest = original.digest()
    except ImageError as error:
        unreadable = iter([_Missing(error.reason, False)])
        result = _hash_images(original, "", unreadable, len(transforms), hashers)
    else:
        if digest == known_digest:
            return None
        result = hash_original(original, transforms, seed, digest, hashers)
    first, *others = (
        structs.replace(part, errors={n: original.error_text(t) for n, t in part.errors.items()})
        for part in result.parts
    )
    return structs.replace(result, errors=first.errors, others=tuple(others))


def hash_original(
    original: Original,
    transforms: Sequence[AnyTransform],
    seed: int,
    digest: str,
    hashers: Sequence[RunHasher],
) -> OriginalHashes:
    """Return the hashes of an original, which is opened once, and of its variants."""
    if isinstance(original, HashOriginal):  # of "photodna", which is the only hasher then
        v = len(transforms)
        detail = [None if math.isnan(original.detail) else original.detail, *[None] * v]
        hashes = original.hash + bytes(v * hashers[0].scale.length)
        return OriginalHashes(original.name, digest, hashes, detail)
    pictures = _images(original, transforms, seed)
    return _hash_images(original, digest, pictures, len(transforms), hashers)


def _images(
    original: Original, transforms: Sequence[AnyTransform], seed: int
) -> Iterator[Image.Image | _Missing]:
    """Yield the original and each variant, each made once for all hashers."""
    try:
        image = original.open()
    except (FileError, MemoryError) as error:
        yield _Missing.because_of(error)
        return
    yield image
    for transform in transforms:
        try:
            yield transform.apply(image, seed_for(seed, original.name, transform.label))
        except Exception as error:
            yield _Missing.because_of(error)


def _hash_images(
    original: Original,
    digest: str,
    pictures: Iterator[Image.Image | _Missing],
    n_variants: int,
    hashers: Sequence[RunHasher],
) -> OriginalHashes:
    parts = [_HasherPart(one, 1 + n_variants) for one in hashers]
    seconds, started = 0.0, time.thread_time()
    for number, picture in enumerate(pictures, start=ORIGINAL):
        seconds += time.thread_time() - started
        for part in parts:
            part.add(number, picture)
        started = time.thread_time()
        if all(ORIGINAL in part.errors for part in parts):
            break
    first, *others = (HasherHashes(bytes(one.hashes), one.detail, one.errors) for one in parts)
    return OriginalHashes(
        original.name,
        digest,
        first.hashes,
        first.detail,
        first.errors,
        all(part.permanent for part in parts),
        Image.MAX_IMAGE_PIXELS,
        others=tuple(others),
        seconds={MAKING: seconds} | {part.one.scale.name: part.seconds for part in parts},
    )


class _HasherPart:
    """The hashes of one original and of its variants by one hasher, while they are computed."""

    def __init__(self, one: RunHasher, n_images: int) -> None:
        self.one = one
        self.hashes = bytearray(n_images * one.scale.length)
        self.detail: list[float | None] = [None] * n_images
        self.errors: dict[int, str] = {}
        self.permanent = True
        self.seconds = 0.0

    def add(self, number: int, picture: Image.Image | _Missing) -> None:
        """Hash the original or a variant; of an original without a hash nothing more."""
        if ORIGINAL in self.errors:
            return
        started = time.thread_time()
        try:
            found = picture if isinstance(picture, _Missing) else self._hash(picture)
        except Exception as error:
            found = _Missing.because_of(error)
        self.seconds += time.thread_time() - started
        if isinstance(found, _Missing):
            self.errors[number], permanent = found
            self.permanent &= permanent
            return
        place, length = number - ORIGINAL, self.one.scale.length
        self.hashes[place * length : (place + 1) * length] = found.hash.tobytes()
        self.detail[place] = None if math.isnan(found.quality) else found.quality

    def _hash(self, picture: Image.Image) -> HashWithQuality:
        if self.one.scale == PHOTODNA:  # without the copy that others get
            return HashWithQuality(*hash_and_detail(images.pixels(picture))[:2])
        # A class of the user's may change the image, which is hashed by others, too.
        own = ":" in self.one.listed
        return self.one.hasher.hash_image(picture.copy() if own else picture)
