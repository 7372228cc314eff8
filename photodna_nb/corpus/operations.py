"""The operations of the transforms: geometric, photometric, encodings and overlays.

An operation takes an RGB image, a strength and a seed, and returns an image. Overlays are
drawn without fonts or files from outside.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from photodna_nb.errors import ArgumentError
from photodna_nb.hashing import images

Operation: TypeAlias = Callable[[Image.Image, Any, int], Image.Image]

EDGES = ("left", "top", "right", "bottom")
_QUARTER_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
# Mean and standard deviation of a sum of four uint16.
_SUM_MEAN = 4 * 65535 // 2
_SUM_DEVIATION = math.sqrt(4 * (65536**2 - 1) / 12)
_VALUES_AT_ONCE = 1 << 16
_CAPTION = "the quick brown fox jumps over the lazy dog "


# Geometric.


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


# Photometric.


def blur(image: Image.Image, radius: float, seed: int) -> Image.Image:
    """Apply a Gaussian blur."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def sharpen(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Apply an unsharp mask of 2 pixels."""
    return image.filter(ImageFilter.UnsharpMask(radius=2, percent=round(per_cent), threshold=0))


def noise(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    """Add a sum of four uniform numbers, which is nearly normal, to each value of each channel.

    Only integers from the raw stream of PCG64, which NumPy guarantees, are used.
    """
    stream = np.random.PCG64(seed)
    scale = round(deviation / _SUM_DEVIATION * 2**32)
    values = np.array(image).reshape(-1)
    low = np.uint64(0xFFFF)
    for start in range(0, values.size, _VALUES_AT_ONCE):  # bounds the memory
        chunk = values[start : start + _VALUES_AT_ONCE]
        raw = stream.random_raw(chunk.size)
        sums: NDArray[Any] = raw & low
        for bits in (16, 32, 48):
            sums += raw >> np.uint64(bits) & low
        added = ((sums.astype(np.int64) - _SUM_MEAN) * scale + 2**31) >> 32
        chunk[:] = (added + chunk).clip(0, 255)
    return Image.frombytes("RGB", image.size, values)


def brightness(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Multiply all values."""
    return ImageEnhance.Brightness(image).enhance(per_cent / 100)


def contrast(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Scale the differences from the mean grey."""
    return ImageEnhance.Contrast(image).enhance(per_cent / 100)


def gamma(image: Image.Image, exponent: float, seed: int) -> Image.Image:
    """Raise all values, as shares of 255, to a power."""
    table = [math.floor(255 * (value / 255) ** exponent + 0.5) for value in range(256)]
    return image.point(3 * table)


def saturation(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Scale the differences from grey."""
    return ImageEnhance.Color(image).enhance(per_cent / 100)


def greyscale(image: Image.Image, strength: None, seed: int) -> Image.Image:
    """Remove the colour."""
    return image.convert("L").convert("RGB")


def palette(image: Image.Image, colours: int, seed: int) -> Image.Image:
    """Reduce the image to a palette by the median cut."""
    return image.quantize(colours, Image.Quantize.MEDIANCUT).convert("RGB")


# Encodings.


def encode_as(file_format: str) -> Operation:
    """Return the operation that encodes an image in a format of Pillow and decodes it."""

    def encode(image: Image.Image, quality: int, seed: int) -> Image.Image:
        buffer = io.BytesIO()
        try:
            image.save(buffer, file_format, quality=quality)
        except (KeyError, OSError, ValueError) as error:  # no encoder, or too large for it
            raise ArgumentError(
                f"{file_format.lower()}: cannot encode {image.width} x {image.height} pixels "
                f"({type(error).__name__}: {error}); use a smaller image, or a Pillow with "
                f"{file_format}"
            ) from error
        return images.to_rgb(images.read_pixels(buffer.getvalue()))

    return encode


# Overlays.


def text(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Write white letters with a black outline along the lower edge.

    Pillow's bitmap font is enlarged, since what FreeType draws differs between its versions.
    """
    height = max(2, pixels_of(image.height, per_cent))
    width = max(2, image.width - 2 * (height // 2))
    font = ImageFont.load_default_imagefont()
    line_height = font.getbbox(_CAPTION)[3]
    length = math.ceil(width * line_height / height)
    repeats = 1 + length // int(font.getlength(_CAPTION))
    letters = Image.new("L", (length + 2, int(line_height) + 2))
    ImageDraw.Draw(letters).text((1, 1), _CAPTION * repeats, fill=255, font=font)
    outlines = letters.filter(ImageFilter.MaxFilter(3))
    result = image.copy()
    corner = (image.width - width) // 2, max(0, image.height - height - height // 4)
    for mask, colour in ((outlines, "black"), (letters, "white")):
        result.paste(colour, corner, mask.resize((width, height), Image.Resampling.BILINEAR))
    return result


def logo(image: Image.Image, per_cent: float, seed: int) -> Image.Image:
    """Draw a white ring around a square, on a dark disc, in the corner that the seed chooses."""
    side = max(2, pixels_of(min(image.size), per_cent))
    ring = Image.new("L", (400, 400))
    draw = ImageDraw.Draw(ring)
    draw.ellipse((40, 40, 359, 359), outline=255, width=50)
    draw.rectangle((150, 150, 249, 249), fill=255)
    disc = Image.new("L", (400, 400))
    ImageDraw.Draw(disc).ellipse((0, 0, 399, 399), fill=255)
    margin = side // 8
    right, lower = (int(np.random.PCG64(seed).random_raw()) >> bit & 1 for bit in (62, 63))
    x = max(0, image.width - side - margin) if right else min(margin, image.width - side)
    y = max(0, image.height - side - margin) if lower else min(margin, image.height - side)
    result = image.copy()
    for mask, colour in ((disc, (32, 32, 32)), (ring, "white")):
        result.paste(colour, (x, y), mask.resize((side, side), Image.Resampling.BOX))
    return result
