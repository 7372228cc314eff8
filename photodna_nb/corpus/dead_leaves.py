"""Generated images of opaque discs: see `photodna_nb.datasets.dead_leaves`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb.corpus.originals import Original
from photodna_nb.hashing import images
from photodna_nb.kernels import dead_leaves as kernels

# Each image has one value of each range; radii are shares of the shorter side. With these,
# the detail and the distances are those of photographs.
_SMALLEST_RADIUS = (1 / 48, 1 / 12)
_BRIGHTNESS = (80, 176)
_CONTRAST = (20, 128)
_COLOUR = (10, 60)
_LEAVES_AT_ONCE = 2048


@dataclass(frozen=True)
class DeadLeavesOriginal(Original):
    """A generated image: see `photodna_nb.datasets.dead_leaves`.

    Attributes
    ----------
    seed : int
        Seed of the data set.
    index : int
        Position in the data set, from 0.
    size : (int, int)
        Width and height, in pixels.
    """

    seed: int
    index: int
    size: tuple[int, int]

    def open(self) -> Image.Image:
        """Return the image; each call draws it again."""
        return images.to_rgb(draw(self.seed, self.index, *self.size))

    def digest(self) -> str:
        """Return the SHA-256 of the parameters, which stand for the pixels."""
        width, height = self.size
        text = f"photodna_nb dead leaves 1 {self.seed} {self.index} {width} {height}"
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class DeadLeavesSequence(Sequence[Original]):
    """The originals of a data set; each is created when it is indexed."""

    indices: range
    size: tuple[int, int]
    seed: int

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return DeadLeavesSequence(self.indices[index], self.size, self.seed)
        k = self.indices[index]
        return DeadLeavesOriginal(f"dead_leaves/{k:06d}", self.seed, k, self.size)


def draw(seed: int, index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return the pixels of one image, (H, W, 3) uint8.

    The random numbers: four for the image, then those of its grain, then those of its leaves.
    """
    stream = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,)))
    radius, *shades = (int(number) >> (64 - kernels.BITS) for number in stream.random_raw(4))
    brightness, contrast, colour = (
        low + ((number * (high + 1 - low)) >> kernels.BITS)
        for number, (low, high) in zip(shades, (_BRIGHTNESS, _CONTRAST, _COLOUR), strict=True)
    )
    side = min(width, height)
    low, high = (int(share * 2**16) for share in _SMALLEST_RADIUS)
    square_min = max(1, (side * (low + ((radius * (high - low)) >> kernels.BITS))) ** 2 >> 32)
    grain = stream.random_raw(-(-width * height // 8)).astype("<u8").view(np.uint8)
    texture = grain[: width * height].reshape(height, width)
    links = np.tile(np.arange(width + 1, dtype=np.int32), (height, 1))
    out = np.empty((height, width, 3), np.uint8)
    uncovered = width * height
    while uncovered:
        raw = stream.random_raw(_LEAVES_AT_ONCE * kernels.NUMBERS) >> np.uint64(1)
        numbers = raw.astype(np.int64).reshape(-1, kernels.NUMBERS)
        uncovered -= kernels.paint(
            numbers,
            square_min,
            side * side,
            brightness,
            contrast,
            colour,
            texture,
            links,
            out,
        )
    return out
