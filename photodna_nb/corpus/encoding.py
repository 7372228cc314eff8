"""Lossy encodings as transforms: an image is encoded and decoded in memory."""

from __future__ import annotations

import io

from PIL import Image

from photodna_nb.corpus.geometric import Operation
from photodna_nb.errors import ArgumentError
from photodna_nb.hashing import images


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
