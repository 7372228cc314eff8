"""Photometric transforms: blur, sharpening, noise, brightness and colour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

# Mean and standard deviation of a sum of four uint16.
_SUM_MEAN = 4 * 65535 // 2
_SUM_DEVIATION = math.sqrt(4 * (65536**2 - 1) / 12)
_VALUES_AT_ONCE = 1 << 16


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
