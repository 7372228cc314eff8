"""Images with next to no detail: how many of many files are such, and why."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from itertools import islice
from types import FrameType

from photodna_nb.checks import LOW_DETAIL
from photodna_nb.errors import LowDetailWarning
from photodna_nb.hashing import images
from photodna_nb.hashing.images import FileLike
from photodna_nb.hashing.stages import HashWithDetail, hash_and_detail
from photodna_nb.printable import printable

# Paths that a message names.
_NAMED = 3


def hash_of_file(file: FileLike) -> HashWithDetail:
    """Return the hash and the detail of an image file, and why the detail is low, if it is.

    The file is opened once more for that, and not decoded.

    Raises
    ------
    ImageError, ArgumentTypeError
        As `images.read_pixels` raises them.
    """
    hashed = hash_and_detail(images.read_pixels(file))
    if hashed.detail < LOW_DETAIL:
        return hashed._replace(clipped_from=images.clipped_pixels(file))
    return hashed


class LowDetailImages:
    """The images with less than 100 grey levels of detail, among those that are added."""

    def __init__(self) -> None:
        self._added = 0
        self._details: dict[str, float] = {}
        self._clipped_from: Counter[str] = Counter()

    def add(self, path: str, hashed: HashWithDetail) -> None:
        """Add an image that was hashed."""
        self._added += 1
        if hashed.detail < LOW_DETAIL:
            self._details[path] = hashed.detail
            if hashed.clipped_from:
                self._clipped_from[hashed.clipped_from] += 1

    def message(self) -> str | None:
        """Return how many they are, which are the first, and why; None if there are none."""
        if not self._details:
            return None
        few = len(self._details) <= _NAMED
        names = [
            f"{printable(path)} ({detail:.1f})"
            for path, detail in islice(self._details.items(), _NAMED)
        ]
        more = "" if few else f" and {len(self._details) - _NAMED} more"
        single = self._added == 1
        verb = "has" if len(self._details) == 1 else "have"
        have = verb if single else f"{len(self._details)} of {self._added} images {verb}"
        message = (
            f"{', '.join(names)}{more}: {have} less than {LOW_DETAIL:g} grey levels of detail, and "
            "such images match whatever they show"
        )
        if self._clipped_from:
            kinds = [f"{number} of {kind}" for kind, number in sorted(self._clipped_from.items())]
            message += (
                f"; Pillow clips pixels that do not fit into 8 bits ({', '.join(kinds)}): scale "
                "these images to 8 bits before they are hashed"
            )
        return message

    def warn(self) -> None:
        """Warn of them, if there are any, at the line of the user."""
        if message := self.message():
            warnings.warn(message, LowDetailWarning, stacklevel=_level_of_the_user())


def _level_of_the_user() -> int:
    """Return the level, for the function that calls this one, of the code outside the package."""
    frame: FrameType | None = sys._getframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("photodna_nb."):
        frame, level = frame.f_back, level + 1
    return level
