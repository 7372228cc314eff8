"""Overlays as transforms: a caption and a logo, drawn without fonts or files from outside."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from photodna_nb.corpus.geometric import pixels_of

_CAPTION = "the quick brown fox jumps over the lazy dog "


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
