"""Geometric transforms: size, aspect, crops, borders, rotation and reflection.

A transform's operation takes an RGB image, a strength and a seed, and returns an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from PIL import Image

from photodna_nb.errors import ArgumentError

Operation: TypeAlias = Callable[[Image.Image, Any, int], Image.Image]

EDGES = ("left", "top", "right", "bottom")
_QUARTER_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def pixels_of(side: int, per_cent: float) -> int:
    """Return that share of a side, rounded to whole pixels."""
    return math.floor(side * per_cent / 100 + 0.5)


def resize(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Scale both sides, with a Lanczos filter."""
    size = _valid_size(pixels_of(image.width, per_cent), pixels_of(image.height, per_cent))
    return image.resize(size, Image.Resampling.LANCZOS)


def aspect(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Scale the width alone, with a Lanczos filter."""
    size = _valid_size(pixels_of(image.width, per_cent), image.height)
    return image.resize(size, Image.Resampling.LANCZOS)


def crop_at(*edges: str) -> Operation:
    """Return the operation that cuts a share of the side off each of the `edges`."""

    def crop(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
        left, top, right, bottom = (per_cent if edge in edges else 0 for edge in EDGES)
        x0, x1 = _remaining(image.width, left, right)
        y0, y1 = _remaining(image.height, top, bottom)
        return image.crop((x0, y0, x1, y1))

    return crop


def border(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Add black rows and columns on all edges."""
    width = pixels_of(min(image.size), per_cent)
    return _with_margins(image, width, width)


def letterbox(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Add black rows at the top and at the bottom."""
    return _with_margins(image, 0, pixels_of(image.height, per_cent))


def rotate(image: Image.Image, degrees: float, seed: int) -> Image.Image:
    """Rotate counter-clockwise within the frame, with black corners, bicubic."""
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def turn(image: Image.Image, degrees: int, seed: int) -> Image.Image:
    """Rotate by quarter turns, without interpolation."""
    return image.transpose(_QUARTER_TURNS[degrees])


def mirror(image: Image.Image, strength: None, seed: int) -> Image.Image:
    """Exchange left and right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def flip(image: Image.Image, strength: None, seed: int) -> Image.Image:
    """Exchange top and bottom."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _valid_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a result, at least 2 x 2, unless a file of that size would be refused."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ArgumentError(
            f"strength: the result would have {width} x {height} pixels, over the limit of "
            f"{limit}; use less, or a smaller image, or raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    return max(2, width), max(2, height)


def _remaining(side: int, before: float, after: float) -> tuple[int, int]:
    """Return where a side begins and ends after two cuts, which leave at least two pixels."""
    start = min(pixels_of(side, before), side - 2)
    return start, max(side - pixels_of(side, after), start + 2)


def _with_margins(image: Image.Image, x: int, y: int) -> Image.Image:
    """Add x black columns left and right, and y black rows above and below."""
    result = Image.new("RGB", _valid_size(image.width + 2 * x, image.height + 2 * y))
    result.paste(image, (x, y))
    return result
