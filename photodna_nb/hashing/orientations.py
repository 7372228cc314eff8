"""The hashes of an image's eight orientations, from its hash alone."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES

Orientation = Literal[
    "identity",
    "flip_left_right",
    "flip_top_bottom",
    "rotate_90",
    "rotate_180",
    "rotate_270",
    "transpose",
    "transverse",
]
# In the order of `orientations`; the names are those of PIL.Image.Transpose.
ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)


def orientations(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hashes that the images would have if they were mirrored and rotated.

    Parameters
    ----------
    hashes : ndarray of uint8, (..., 144)
        Hashes.

    Returns
    -------
    ndarray of uint8, (..., 8, 144)
        First the hash itself, then in the order of `PIL.Image.Transpose`: mirrored
        left to right, flipped top to bottom, rotated by 90, 180 and 270 degrees
        counter-clockwise, transposed, transversed.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `hashes` has another dtype or shape.

    Notes
    -----
    Transposing an image permutes its hash exactly. The hashes of the other orientations
    differ, since the boxes of the feature grid reach one pixel further up and left than down
    and right: by an L2 distance of about 8,000 divided by the side in pixels (median), 27 at 300
    pixels and 123 at 64. Eight queries find all orientations of an image without another look
    at its pixels. They are also eight chances of a false match.
    """
    leading = hashes.shape[:-1] if isinstance(hashes, np.ndarray) else ()
    shape = (*leading, HASH_BYTES)
    return checks.array("hashes", hashes, np.uint8, shape)[..., _PERMUTATIONS]


def _permutations() -> NDArray[np.intp]:
    """Return the eight permutations of a hash, (8, 144)."""
    identity = np.arange(HASH_BYTES).reshape(6, 6, 4)  # cell rows, cell columns, directions

    def mirror(cells: NDArray[np.intp]) -> NDArray[np.intp]:
        return cells[:, ::-1, [1, 0, 2, 3]]

    def flip(cells: NDArray[np.intp]) -> NDArray[np.intp]:
        return cells[::-1, :, [0, 1, 3, 2]]

    def rotate(cells: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.rot90(cells)[:, :, [2, 3, 1, 0]]

    quarter = rotate(identity)
    half = rotate(quarter)
    reflections = [identity, mirror(identity), flip(identity)]
    rotations = [quarter, half, rotate(half)]
    transpositions = [flip(quarter), mirror(quarter)]
    return np.stack([*reflections, *rotations, *transpositions]).reshape(8, HASH_BYTES)


_PERMUTATIONS = _permutations()
# Orientations of one image of each pair that are enough to see the pair in all eight: its other
# image in the orientation that turns back, `rotate_270`, has the same distance.
OF_PAIRS = [0, 1, 2, 3, 4, 6, 7]


def oriented(hashes: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return hashes, (..., 144), in the orientation of that number."""
    turned: NDArray[np.uint8] = np.take(hashes, _PERMUTATIONS[orientation], axis=-1)
    return turned
