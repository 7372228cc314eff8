"""Edits that a picture meets on its way: named, with a strength, the same every time.

    pdna.transforms.parse("resize:50+jpeg:30").apply(image)

`KINDS` is the table of them all. Pixels stay in memory; only ``jpeg`` and
``webp`` encode them. Colour profiles and EXIF orientation play no part, as in
the hash.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.hashing import images
from photodna_nb.hashing.images import ImageLike

# Of a picture, a strength and a seed.
Edit: TypeAlias = Callable[[Image.Image, Any, int], Image.Image]

# Units of strengths.
_SIDES, _WIDTH, _HEIGHT = "% of each side", "% of the width", "% of the height"
_SHORTER, _BEFORE = "% of the shorter side", "% of before"
_DEVIATION = "grey levels, standard deviation"

_EDGES = ("left", "top", "right", "bottom")
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
_CAPTION = "the quick brown fox jumps over the lazy dog "
# A sum of four uint16 has this mean, and this standard deviation.
_SUM_MEAN = 4 * 65535 // 2
_SUM_DEVIATION = math.sqrt(4 * (65536**2 - 1) / 12)
_VALUES_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class TransformKind:
    """A kind of edit, as the table `KINDS` lists it.

    Attributes
    ----------
    name : str
        As a configuration writes it.
    description : str
        What it does to the picture, in a few words.
    unit : str
        Of the strength, for an axis; empty where there is no strength.
    sign : str
        The unit after a number in a label, such as `` %``.
    least, most : float or None
        The strengths that are taken, both inclusive; None where there is no strength.
    standard : tuple of float or None
        The strengths in `STANDARD`.
    whole : bool
        Whether only integers are taken.
    no : float or None
        A strength within the range that would change nothing, and is refused.
    only : tuple of float
        The only strengths that are taken, where they are few.
    """

    name: str
    description: str
    edit: Edit = field(repr=False)
    unit: str = ""
    sign: str = ""
    least: float | None = None
    most: float | None = None
    standard: tuple[float | None, ...] = (None,)
    _: KW_ONLY
    whole: bool = False
    no: float | None = None
    only: tuple[float, ...] = ()

    @property
    def has_strength(self) -> bool:
        """Whether it comes in strengths."""
        return self.least is not None

    @property
    def needed(self) -> str:
        """The strengths that are taken, in words."""
        if not self.has_strength:
            return "no strength"
        if self.only:
            return f"one of {', '.join(map(str, self.only))} ({self.unit})"
        number = "an integer" if self.whole else "a number"
        but = "" if self.no is None else f", but not {self.no}"
        return f"{number} from {self.least} to {self.most}{but} ({self.unit})"

    def takes(self, strength: float | None) -> bool:
        """Return whether that is one of its strengths."""
        if strength is None or self.least is None or self.most is None:
            return strength is None and not self.has_strength
        return (
            self.least <= strength <= self.most
            and strength != self.no
            and (not self.whole or strength == int(strength))
            and (not self.only or strength in self.only)
        )


@dataclass(frozen=True)
class Transform:
    """One edit of one strength; also `by_name` and `parse` make it.

    Parameters
    ----------
    name : str
        Of a kind in `KINDS`.
    strength : float, optional
        Within the kind's range; None for a kind that has no strength.

    Raises
    ------
    ArgumentError
        There is no such kind, or it does not take the strength.
    ArgumentTypeError
        The strength is no number.

    Examples
    --------
    >>> Transform("jpeg", 30).label, Transform("crop_left", 5).label, Transform("mirror").label
    ('jpeg 30', 'crop_left 5 %', 'mirror')
    """

    name: str
    strength: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", _checked_strength(_kind(self.name), self.strength))

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
        return f"{self.name} {_number(self.strength)}{self.kind.sign}"

    @property
    def spec(self) -> str:
        """Name and strength as `parse` reads them, such as ``crop_left:5``."""
        return self.name if self.strength is None else f"{self.name}:{_number(self.strength)}"

    def apply(self, image: ImageLike, seed: int = 0) -> Image.Image:
        """Return the picture after the edit.

        Parameters
        ----------
        image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
            At least 2 x 2 pixels; it is left as it is.
        seed : int
            0 or more: what is random in the edit. See `seed_for`.

        Returns
        -------
        PIL.Image.Image
            RGB, at least 2 x 2 pixels.

        Raises
        ------
        ArgumentError
            The result would be too large for its format, or Pillow lacks the encoder.
        ImageError, ArgumentTypeError
            As `photodna_nb.hash_image` has them.

        Notes
        -----
        The same picture, strength and seed give the same pixels with one version of
        Pillow and its codecs; another one may round differently.
        """
        edited = self.kind.edit(images.to_rgb(image), self.strength, _checked_seed(seed))
        return images.to_rgb(edited)


@dataclass(frozen=True)
class Chain:
    """Several edits, one after the other.

    Parameters
    ----------
    transforms : tuple of Transform
        At least one, in the order in which they are done.

    Examples
    --------
    >>> Chain((Transform("resize", 50), Transform("jpeg", 30))).label
    'resize 50 % + jpeg 30'
    """

    transforms: tuple[Transform, ...]

    def __post_init__(self) -> None:
        if isinstance(self.transforms, str) or not isinstance(self.transforms, Iterable):
            raise ArgumentTypeError(
                f"transforms: got {describe(self.transforms)}, needs several Transform objects"
            )
        chained = tuple(self.transforms)
        if not chained:
            raise ArgumentError("transforms: got none, needs at least one")
        for transform in chained:
            if not isinstance(transform, Transform):
                raise ArgumentTypeError(
                    f"transforms: got {describe(transform)} among them, needs Transform objects"
                )
        object.__setattr__(self, "transforms", chained)

    @property
    def name(self) -> str:
        """The names, joined: ``resize+jpeg``."""
        return "+".join(transform.name for transform in self.transforms)

    @property
    def strength(self) -> None:
        """None: several edits have no common strength."""
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
        """The edits as `parse` reads them: ``resize:50+jpeg:30``."""
        return "+".join(transform.spec for transform in self.transforms)

    def apply(self, image: ImageLike, seed: int = 0) -> Image.Image:
        """Return the picture after all edits: see `Transform.apply`.

        Each edit has a seed of its own, so that two of a kind differ.
        """
        edited = images.to_rgb(image)
        for place, transform in enumerate(self.transforms):
            edited = transform.apply(edited, seed_for(seed, str(place), transform.label))
        return edited


AnyTransform: TypeAlias = Transform | Chain


def names() -> list[str]:
    """Return the names of all kinds of edits, in the order of `KINDS`."""
    return list(KINDS)


def by_name(name: str, strength: float | None = None) -> Transform:
    """Return the edit of that name and strength: see `Transform`."""
    return Transform(name, strength)


def parse(spec: str) -> AnyTransform:
    """Return the edit that a configuration describes.

    Parameters
    ----------
    spec : str
        ``NAME`` or ``NAME:STRENGTH``, several joined by ``+``.

    Returns
    -------
    Transform or Chain
        Its ``spec`` says the same.

    Raises
    ------
    ArgumentError
        An edit is unknown, which is answered by the nearest name, or its strength is
        no number, missing, or out of its range.
    ArgumentTypeError
        `spec` is no text.

    Examples
    --------
    >>> parse("resize:50+jpeg:30")
    Chain(transforms=(Transform(name='resize', strength=50), Transform(name='jpeg', strength=30)))
    """
    if not isinstance(spec, str):
        raise ArgumentTypeError(f'spec: got {describe(spec)}, needs text such as "jpeg:30"')
    transforms = tuple(_parsed(part.strip()) for part in spec.split("+"))
    return transforms[0] if len(transforms) == 1 else Chain(transforms)


def seed_for(seed: int, original_name: str, label: str) -> int:
    """Return the seed of one variant of one original.

    Parameters
    ----------
    seed : int
        Of the whole run, 0 or more.
    original_name, label : str
        Of the original and of the edit.

    Returns
    -------
    int
        64 bits of a SHA-256 of the three, so that neither the order of the work nor
        what else is made changes a variant.

    Examples
    --------
    >>> seed_for(0, "a.jpg", "noise 10") == seed_for(0, "a.jpg", "noise 25")
    False
    """
    text = f"{_checked_seed(seed)}\0{original_name}\0{label}"  # no name holds a NUL
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _parsed(part: str) -> Transform:
    name, colon, number = part.partition(":")
    kind = _kind(name.strip())
    if not colon:
        return Transform(kind.name)
    try:
        value = float(number)
    except ValueError:
        raise ArgumentError(
            f"{kind.name}: got the strength {number!r}, needs {kind.needed}"
        ) from None
    return Transform(kind.name, value)


def _kind(name: Any) -> TransformKind:
    if not isinstance(name, str):
        raise ArgumentTypeError(f"name: got {describe(name)}, needs the name of an edit")
    if name not in KINDS:
        near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(KINDS)}"
        raise ArgumentError(f"name: there is no edit called {name!r}; {remedy}")
    return KINDS[name]


def _checked_strength(kind: TransformKind, strength: Any) -> float | None:
    """Return the strength as an int or float of Python, once it is known to be one of `kind`."""
    if strength is None:
        if kind.has_strength:
            raise ArgumentError(f"{kind.name}: got no strength, needs {kind.needed}")
        return None
    if not isinstance(strength, Real) or isinstance(strength, bool):
        raise ArgumentTypeError(
            f"{kind.name}: got {describe(strength)} as strength, needs {kind.needed}"
        )
    value = float(strength)
    if not kind.takes(value):
        raise ArgumentError(f"{kind.name}: got the strength {_number(value)}, needs {kind.needed}")
    return int(value) if value.is_integer() else value


def _checked_seed(seed: Any) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise ArgumentTypeError(f"seed: got {describe(seed)}, needs an integer")
    if seed < 0:
        raise ArgumentError(f"seed: got {seed}, needs 0 or more")
    return int(seed)


def _number(value: float) -> str:
    """Return a number as short as it can be read back."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _share(side: int, per_cent: float) -> int:
    """Return that share of a side, in whole pixels."""
    return math.floor(side * per_cent / 100 + 0.5)


def _jpeg(image: Image.Image, quality: int, seed: int) -> Image.Image:
    return _encoded(image, "JPEG", quality=quality)


def _webp(image: Image.Image, quality: int, seed: int) -> Image.Image:
    return _encoded(image, "WEBP", quality=quality)


def _encoded(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (KeyError, OSError, ValueError) as error:  # no encoder; or what it says of the size
        raise ArgumentError(
            f"{kind.lower()}: cannot encode {image.width} x {image.height} pixels "
            f"({type(error).__name__}: {error}); use a smaller picture, or a Pillow with {kind}"
        ) from error
    return images.to_rgb(images.read_pixels(buffer.getvalue()))


def _checked_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a result, at least 2 x 2, if a file of that size would be read."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ArgumentError(
            f"strength: the picture would become {width} x {height} pixels, over the limit of "
            f"{limit}; use less, or a smaller picture, or raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    return max(2, width), max(2, height)


def _resize(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    size = _checked_size(_share(image.width, per_cent), _share(image.height, per_cent))
    return image.resize(size, Image.Resampling.LANCZOS)


def _aspect(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    size = _checked_size(_share(image.width, per_cent), image.height)
    return image.resize(size, Image.Resampling.LANCZOS)


def _crop_at(*edges: str) -> Edit:
    """Return the edit that cuts that many per cent off each of the edges."""

    def crop(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
        left, top, right, bottom = (per_cent if edge in edges else 0 for edge in _EDGES)
        x0, x1 = _kept(image.width, left, right)
        y0, y1 = _kept(image.height, top, bottom)
        return image.crop((x0, y0, x1, y1))

    return crop


def _kept(side: int, before: float, after: float) -> tuple[int, int]:
    """Return where a side begins and ends after cuts, which leave at least two pixels."""
    start = min(_share(side, before), side - 2)
    return start, max(side - _share(side, after), start + 2)


def _framed(image: Image.Image, x: int, y: int) -> Image.Image:
    """Add black columns at both sides, and black rows above and below."""
    framed = Image.new("RGB", _checked_size(image.width + 2 * x, image.height + 2 * y))
    framed.paste(image, (x, y))
    return framed


def _border(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    width = _share(min(image.size), per_cent)
    return _framed(image, width, width)


def _letterbox(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    return _framed(image, 0, _share(image.height, per_cent))


def _rotate(image: Image.Image, degrees: float, seed: int) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def _turn(image: Image.Image, degrees: int, seed: int) -> Image.Image:
    return image.transpose(_TURNS[degrees])


def _mirror(image: Image.Image, strength: None, seed: int) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _flip(image: Image.Image, strength: None, seed: int) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _blur(image: Image.Image, radius: float, seed: int) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _sharpen(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(radius=2, percent=round(per_cent), threshold=0))


def _noise(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    """Add to each value of each channel a sum of four uniform numbers, which is nearly normal.

    Integers alone, from the raw stream of PCG64, which is guaranteed.
    """
    stream = np.random.PCG64(seed)
    scale = round(deviation / _SUM_DEVIATION * 2**32)
    values = np.array(image).reshape(-1)
    low = np.uint64(0xFFFF)
    for start in range(0, values.size, _VALUES_AT_ONCE):  # bounds the memory
        part = values[start : start + _VALUES_AT_ONCE]
        raw = stream.random_raw(part.size)
        sums: NDArray[Any] = raw & low
        for bits in (16, 32, 48):
            sums += raw >> np.uint64(bits) & low
        added = ((sums.astype(np.int64) - _SUM_MEAN) * scale + 2**31) >> 32
        part[:] = (added + part).clip(0, 255)
    return Image.frombytes("RGB", image.size, values)


def _brightness(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(per_cent / 100)


def _contrast(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(per_cent / 100)


def _gamma(image: Image.Image, exponent: float, seed: int) -> Image.Image:
    table = [math.floor(255 * (value / 255) ** exponent + 0.5) for value in range(256)]
    return image.point(3 * table)


def _saturation(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    return ImageEnhance.Color(image).enhance(per_cent / 100)


def _greyscale(image: Image.Image, strength: None, seed: int) -> Image.Image:
    return image.convert("L").convert("RGB")


def _palette(image: Image.Image, colours: int, seed: int) -> Image.Image:
    return image.quantize(colours, Image.Quantize.MEDIANCUT).convert("RGB")


def _text(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Write white letters with a black rim along the lower edge.

    Pillow's bitmap font, enlarged: what FreeType draws differs between its versions.
    """
    height = max(2, _share(image.height, per_cent))
    width = max(2, image.width - 2 * (height // 2))
    font = ImageFont.load_default_imagefont()
    line_height = font.getbbox(_CAPTION)[3]
    length = math.ceil(width * line_height / height)
    repeats = 1 + length // int(font.getlength(_CAPTION))
    letters = Image.new("L", (length + 2, int(line_height) + 2))
    ImageDraw.Draw(letters).text((1, 1), _CAPTION * repeats, fill=255, font=font)
    rims = letters.filter(ImageFilter.MaxFilter(3))
    overlaid = image.copy()
    place = (image.width - width) // 2, max(0, image.height - height - height // 4)
    for mask, colour in ((rims, "black"), (letters, "white")):
        overlaid.paste(colour, place, mask.resize((width, height), Image.Resampling.BILINEAR))
    return overlaid


def _logo(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Put a white ring around a square, on a dark disc, into one of the corners."""
    side = max(2, _share(min(image.size), per_cent))
    drawn = Image.new("L", (400, 400))
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((40, 40, 359, 359), outline=255, width=50)
    draw.rectangle((150, 150, 249, 249), fill=255)
    disc = Image.new("L", (400, 400))
    ImageDraw.Draw(disc).ellipse((0, 0, 399, 399), fill=255)
    margin = side // 8
    right, lower = (int(np.random.PCG64(seed).random_raw()) >> bit & 1 for bit in (62, 63))
    x = max(0, image.width - side - margin) if right else min(margin, image.width - side)
    y = max(0, image.height - side - margin) if lower else min(margin, image.height - side)
    overlaid = image.copy()
    for mask, colour in ((disc, (32, 32, 32)), (drawn, "white")):
        overlaid.paste(colour, (x, y), mask.resize((side, side), Image.Resampling.BOX))
    return overlaid


KINDS: dict[str, TransformKind] = {
    kind.name: kind
    for kind in (
        TransformKind(
            "jpeg", "saved as JPEG", _jpeg, "quality", "", 1, 100, (90, 50, 30, 10), whole=True
        ),
        TransformKind(
            "webp", "saved as lossy WebP", _webp, "quality", "", 1, 100, (80, 30), whole=True
        ),
        TransformKind(
            "resize", "smaller or larger", _resize, _SIDES, " %", 1, 1000, (200, 50, 25), no=100
        ),
        TransformKind(
            "aspect", "wider or narrower", _aspect, _WIDTH, " %", 10, 1000, (125, 80), no=100
        ),
        TransformKind(
            "crop_left", "cut off at the left", _crop_at("left"), _WIDTH, " %", 0.1, 90, (5,)
        ),
        TransformKind(
            "crop_top", "cut off at the top", _crop_at("top"), _HEIGHT, " %", 0.1, 90, (5,)
        ),
        TransformKind(
            "crop_right", "cut off at the right", _crop_at("right"), _WIDTH, " %", 0.1, 90, (5,)
        ),
        TransformKind(
            "crop_bottom", "cut off below", _crop_at("bottom"), _HEIGHT, " %", 0.1, 90, (5,)
        ),
        TransformKind(
            "crop", "cut off all around", _crop_at(*_EDGES), _SIDES, " %", 0.1, 45, (2, 5, 10)
        ),
        TransformKind("border", "black all around", _border, _SHORTER, " %", 0.1, 50, (2, 5)),
        TransformKind(
            "letterbox", "black above and below", _letterbox, _HEIGHT, " %", 0.1, 50, (10,)
        ),
        TransformKind(
            "rotate", "turned to the left", _rotate, "degrees", "°", -180, 180, (1, 5, 15), no=0
        ),
        TransformKind(
            "turn",
            "quarter turns to the left",
            _turn,
            "degrees",
            "°",
            90,
            270,
            (90, 180, 270),
            only=(90, 180, 270),
        ),
        TransformKind("mirror", "left and right exchanged", _mirror),
        TransformKind("flip", "top and bottom exchanged", _flip),
        TransformKind("blur", "Gaussian blur", _blur, "pixels of radius", " px", 0.1, 100, (1, 3)),
        TransformKind(
            "sharpen", "unsharp mask, 2 pixels", _sharpen, "%", " %", 1, 1000, (150,), whole=True
        ),
        TransformKind("noise", "added to each channel", _noise, _DEVIATION, "", 0.1, 128, (10, 25)),
        TransformKind(
            "brightness", "times a factor", _brightness, _BEFORE, " %", 1, 1000, (70, 130), no=100
        ),
        TransformKind(
            "contrast", "about the mean grey", _contrast, _BEFORE, " %", 1, 1000, (70, 140), no=100
        ),
        TransformKind(
            "gamma", "each value to a power", _gamma, "exponent", "", 0.1, 10, (0.7, 1.5), no=1
        ),
        TransformKind(
            "saturation", "paler or deeper", _saturation, _BEFORE, " %", 0, 1000, (50,), no=100
        ),
        TransformKind("greyscale", "without colour", _greyscale),
        TransformKind(
            "palette", "few colours", _palette, "colours", " colours", 2, 256, (64, 16), whole=True
        ),
        TransformKind("text", "a caption below", _text, _HEIGHT, " %", 2, 50, (8,)),
        TransformKind("logo", "in a corner, by seed", _logo, _SHORTER, " %", 2, 100, (20,)),
    )
}
"""Every kind of edit, by name; documentation, tests and figures go through it."""

STANDARD: tuple[Transform, ...] = tuple(
    Transform(kind.name, strength) for kind in KINDS.values() for strength in kind.standard
)
"""The variants of an evaluation that names none: every kind, at its usual strengths."""
