"""One image to its hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodna_nb import images
from photodna_nb.images import FileLike, ImageLike
from photodna_nb.stages import hash_and_detail


def hash_image(image: ImageLike) -> NDArray[np.uint8]:
    """Return the PhotoDNA-like hash of an image that is already in memory.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        RGB, RGB with a fourth byte that is ignored, or grey, 0 to 255, at least
        2 x 2 pixels. Of a Pillow image the current frame is hashed, as RGB; neither
        its EXIF orientation nor a colour profile is applied.

    Returns
    -------
    ndarray of uint8, (144,)
        6 x 6 cells (rows, columns) x 4 directions. All zero where there is
        nothing to see: see `detail`.

    Raises
    ------
    ImageError
        The Pillow image cannot be decoded, or has a side of one pixel.
    ArgumentTypeError, ArgumentError
        `image` has another type or dtype, or another shape.

    Notes
    -----
    One pass over the pixels: about the time of adding them up. Bit for bit the
    hash of the open program ``oaphotodna.py``.

    References
    ----------
    Deryck, Leblanc-Albarel, Preneel, "White-Box Attacks on PhotoDNA Perceptual
    Hash Function", IACR eprint 2026/486.

    Examples
    --------
    >>> import numpy as np
    >>> rows, columns = np.mgrid[0:200, 0:300]
    >>> image = (128 + 100 * np.sin(columns / 40) * np.cos(rows / 30)).astype(np.uint8)
    >>> hash_image(image)[:8]
    array([  4,  46, 152,   0,  68,   3, 154,   0], dtype=uint8)
    """
    return hash_and_detail(images.pixels(image)).hash


def hash_file(file: FileLike) -> NDArray[np.uint8]:
    """Return the PhotoDNA-like hash of an image file's first frame.

    Parameters
    ----------
    file : str, os.PathLike, bytes or binary file
        A path, the content of a file as bytes, or a file opened in binary mode,
        in any format that Pillow reads.

    Returns
    -------
    ndarray of uint8, (144,)
        As `hash_image` gives it.

    Raises
    ------
    ImageError
        The file is missing, unreadable, not an image, damaged, too large
        (``PIL.Image.MAX_IMAGE_PIXELS``) or has a side of one pixel. It names the
        file (``path``) and says what to do (``reason``).
    ArgumentTypeError
        `file` is of another type.

    Notes
    -----
    Another version of a decoder can move the hash of a JPEG file by an L2
    distance of 2 to 4: note Pillow's version beside results.
    """
    return hash_and_detail(images.read_pixels(file)).hash
