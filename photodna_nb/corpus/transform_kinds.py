"""The table of all transforms, and the frozen lists of standard transforms.

A new transform is an operation in `operations` and a line in `KINDS`. It changes
none of the lists in `STANDARD_LISTS`: a new list is added.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from numbers import Real
from typing import Any

from photodna_nb import checks
from photodna_nb.corpus import operations as op
from photodna_nb.corpus.operations import EDGES, Operation, crop_at
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.printable import short_repr


@short_repr
@dataclass(frozen=True)
class TransformKind:
    """A transform without its strength, as `KINDS` lists it.

    Attributes
    ----------
    name : str
        Name in a configuration.
    description : str
        What it does to an image, in a few words.
    unit : str
        Unit of the strength, for an axis; empty where there is no strength.
    unit_suffix : str
        Unit after the strength in a label, such as `` %``.
    min_strength, max_strength : float or None
        Smallest and largest strength, inclusive; None where there is no strength.
    integer : bool
        Whether the strength must be an integer.
    no_op : float or None
        Strength within the range that would change nothing; it is an error.
    choices : tuple of float
        All strengths, where there are only a few.
    """

    name: str
    description: str
    operation: Operation = field(repr=False)
    unit: str = ""
    unit_suffix: str = ""
    min_strength: float | None = None
    max_strength: float | None = None
    _: KW_ONLY
    integer: bool = False
    no_op: float | None = None
    choices: tuple[float, ...] = ()

    @property
    def has_strength(self) -> bool:
        """Whether it has a strength."""
        return self.min_strength is not None

    @property
    def needed(self) -> str:
        """The strengths that it takes, in words."""
        if not self.has_strength:
            return "no strength"
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))} ({self.unit})"
        number = "an integer" if self.integer else "a number"
        but = "" if self.no_op is None else f", but not {self.no_op}"
        return f"{number} from {self.min_strength} to {self.max_strength}{but} ({self.unit})"

    def takes(self, strength: float | None) -> bool:
        """Return whether that is one of its strengths."""
        if strength is None or self.min_strength is None or self.max_strength is None:
            return strength is None and not self.has_strength
        return (
            self.min_strength <= strength <= self.max_strength
            and strength != self.no_op
            and (not self.integer or strength == int(strength))
            and (not self.choices or strength in self.choices)
        )

    def check_strength(self, strength: Any) -> float | None:
        """Return the strength as a plain int or float, if it is one of this transform's.

        Parameters
        ----------
        strength : int, float or None
            Strength in the unit of the transform; None for none.

        Raises
        ------
        ArgumentTypeError
            It is no number.
        ArgumentError
            It is missing, not needed, or out of range.
        """
        if strength is None:
            if self.has_strength:
                raise ArgumentError(checks.message(self.name, "no strength", self.needed))
            return None
        if not isinstance(strength, Real) or isinstance(strength, bool):
            got = f"{checks.describe(strength)} as strength"
            raise ArgumentTypeError(checks.message(self.name, got, self.needed))
        value = float(strength)
        if not self.takes(value):
            got = f"the strength {number_text(value)}"
            raise ArgumentError(checks.message(self.name, got, self.needed))
        return int(value) if value.is_integer() else value


def number_text(value: float) -> str:
    """Return the shortest text that is read back as the same number."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _kinds() -> dict[str, TransformKind]:
    kind = TransformKind
    sides, width, height = "% of each side", "% of the width", "% of the height"
    shorter, original = "% of the shorter side", "% of the original"
    deviation = "grey levels, standard deviation"
    jpeg, webp = op.encode_as("JPEG"), op.encode_as("WEBP")
    turns = (90, 180, 270)
    kinds = (
        kind("jpeg", "JPEG encoding", jpeg, "quality", "", 1, 100, integer=True),
        kind("webp", "lossy WebP encoding", webp, "quality", "", 1, 100, integer=True),
        kind("resize", "both sides scaled", op.resize, sides, " %", 1, 1000, no_op=100),
        kind("aspect", "width scaled", op.aspect, width, " %", 10, 1000, no_op=100),
        kind("crop_left", "cut off at the left", crop_at("left"), width, " %", 0.1, 90),
        kind("crop_top", "cut off at the top", crop_at("top"), height, " %", 0.1, 90),
        kind("crop_right", "cut off at the right", crop_at("right"), width, " %", 0.1, 90),
        kind("crop_bottom", "cut off at the bottom", crop_at("bottom"), height, " %", 0.1, 90),
        kind("crop", "cut off on all edges", crop_at(*EDGES), sides, " %", 0.1, 45),
        kind("border", "black on all edges", op.border, shorter, " %", 0.1, 50),
        kind("letterbox", "black at top and bottom", op.letterbox, height, " %", 0.1, 50),
        kind("rotate", "counter-clockwise", op.rotate, "degrees", "°", -180, 180, no_op=0),
        kind("turn", "by quarter turns", op.turn, "degrees", "°", 90, 270, choices=turns),
        kind("mirror", "left and right exchanged", op.mirror),
        kind("flip", "top and bottom exchanged", op.flip),
        kind("blur", "Gaussian blur", op.blur, "pixels of radius", " px", 0.1, 100),
        kind("sharpen", "unsharp mask, 2 pixels", op.sharpen, "%", " %", 1, 1000, integer=True),
        kind("noise", "added to each channel", op.noise, deviation, "", 0.1, 128),
        kind("brightness", "times a factor", op.brightness, original, " %", 1, 1000, no_op=100),
        kind("contrast", "about the mean grey", op.contrast, original, " %", 1, 1000, no_op=100),
        kind("gamma", "each value to a power", op.gamma, "exponent", "", 0.1, 10, no_op=1),
        kind("saturation", "paler or deeper", op.saturation, original, " %", 0, 1000, no_op=100),
        kind("greyscale", "without colour", op.greyscale),
        kind("palette", "few colours", op.palette, "colours", " colours", 2, 256, integer=True),
        kind("text", "caption at the bottom", op.text, height, " %", 2, 50),
        kind("logo", "in a corner, by seed", op.logo, shorter, " %", 2, 100),
    )
    return {kind.name: kind for kind in kinds}


KINDS: dict[str, TransformKind] = _kinds()
"""Every transform, by name; documentation, tests and figures go through it."""

STANDARD_LISTS: dict[str, tuple[str, ...]] = {
    "standard-1": (
        *("jpeg:90", "jpeg:50", "jpeg:30", "jpeg:10", "webp:80", "webp:30"),
        *("resize:200", "resize:50", "resize:25", "aspect:125", "aspect:80"),
        *("crop_left:5", "crop_top:5", "crop_right:5", "crop_bottom:5"),
        *("crop:2", "crop:5", "crop:10", "border:2", "border:5", "letterbox:10"),
        *("rotate:1", "rotate:5", "rotate:15", "turn:90", "turn:180", "turn:270"),
        *("mirror", "flip", "blur:1", "blur:3", "sharpen:150", "noise:10", "noise:25"),
        *("brightness:70", "brightness:130", "contrast:70", "contrast:140"),
        *("gamma:0.7", "gamma:1.5", "saturation:50", "greyscale"),
        *("palette:64", "palette:16", "text:8", "logo:20"),
    ),
}
"""Frozen lists of standard transforms, oldest first. A list that is released never changes."""
