"""The stages of the hash, one public function each, for inspection.

    pixels -> pixel_sums -> feature_grid -> gradients -> normalisation -> quantise

`trace` runs them all. They call the kernels that `hash_image` calls, with one difference:
here the table of pixel sums is complete, and `hash_image` computes only what is read of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.hashing import images
from photodna_nb.hashing.images import ImageLike
from photodna_nb.kernels import hashing as kernels
from photodna_nb.printable import short_repr

Floats = NDArray[np.float64]


@short_repr
@dataclass(frozen=True, eq=False)
class HashTrace:
    """Every stage of one hash; all arrays are read-only.

    Attributes
    ----------
    pixel_sums : ndarray of int64, (H, W)
        Sums of R+G+B over the rows 0..y and the columns 0..x.
    feature_grid : ndarray of float64, (26, 26)
        Weighted box sums around the grid points (rows, columns).
    gradients : ndarray of float64, (6, 6, 4)
        Gradients by cell (row, column) and direction, before scaling: brightness falls to
        the right, rises to the right, falls downwards, rises downwards.
    rounds : ndarray of float64, (k, 144)
        The vector after each of the 1 to 10 rounds of the normalisation.
    vector : ndarray of float64, (144,)
        Vector after the last round.
    hash : ndarray of uint8, (144,)
        Hash, as from `hash_image`.
    detail : float
        L2 norm of the 144 gradients before normalisation, in grey levels: see `detail`.
    """

    pixel_sums: NDArray[np.int64]
    feature_grid: Floats
    gradients: Floats
    rounds: Floats
    vector: Floats
    hash: NDArray[np.uint8]
    detail: float


@short_repr
class HashWithDetail(NamedTuple):
    """A hash, and the detail of its image.

    Attributes
    ----------
    hash : ndarray of uint8, (144,)
        The hash.
    detail : float
        Detail of the image, in grey levels.
    clipped_from : str
        If the detail is low, the kind of pixels that Pillow clipped to 8 bits, such as
        ``"16-bit grey"``; otherwise empty.
    size : tuple of two int
        Width and height of the image in pixels; zeros if they are not known.
    """

    hash: NDArray[np.uint8]
    detail: float
    clipped_from: str = ""
    size: tuple[int, int] = (0, 0)


def hash_and_detail(pixels: NDArray[np.uint8]) -> HashWithDetail:
    """Return the hash and the detail of an image, in one pass over its pixels.

    Parameters
    ----------
    pixels : ndarray of uint8, (H, W, 3) or (H, W)
        RGB or grey levels, checked by the caller.

    Returns
    -------
    HashWithDetail
        The hash and the detail.
    """
    height, width = pixels.shape[:2]
    raw = _gradients(_feature_grid(_corner_sums(pixels)))
    scaled = _scaled_gradients(raw, height, width)
    vector = _normalisation(scaled)[-1]
    return HashWithDetail(_quantise(vector), _norm(scaled, 0.0), size=(width, height))


def trace(image: ImageLike) -> HashTrace:
    """Return every stage of the hash of `image`.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        As `hash_image` takes it, and with the same errors.

    Returns
    -------
    HashTrace
        All stages, as read-only arrays; its ``hash`` equals ``hash_image(image)``.

    Notes
    -----
    The table of sums takes 8 bytes a pixel.
    """
    sums = pixel_sums(image)
    grid = feature_grid(sums)
    raw = gradients(grid)
    scaled = scaled_gradients(raw, *sums.shape)
    rounds = normalisation(scaled)
    stages = (sums, grid, raw, rounds, rounds[-1], quantise(rounds[-1]))
    for array in stages:
        array.flags.writeable = False
    return HashTrace(*stages, detail=_norm(scaled, 0.0))


def detail(image: ImageLike) -> float:
    """Return the detail: the L2 norm of the 144 gradients before normalisation, in grey levels.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        As `hash_image` takes it, and with the same errors.

    Returns
    -------
    float
        Norm before the normalisation. Photographs have about 600 to 6000. Near 0 the hash
        depends on noise alone: such hashes are nearer to each other than any two unrelated
        photographs, and a match between them means nothing.

    Notes
    -----
    Flat images of 80 pixels and more a side have about 0. In smaller ones the boxes at the
    borders are cut off at different places, which adds gradients that are not in the image:
    a white square has 204 grey levels at 64 pixels a side and 13,000 at 20.

    Examples
    --------
    >>> import numpy as np
    >>> detail(np.full((100, 100), 128, np.uint8)) < 1e-6
    True
    """
    return hash_and_detail(images.pixels(image)).detail


def pixel_sums(image: ImageLike) -> NDArray[np.int64]:
    """Return the sums of R+G+B over the rows 0..y and the columns 0..x of `image`.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        As `hash_image` takes it, and with the same errors.

    Returns
    -------
    ndarray of int64, (H, W)
        Also known as integral image or summed-area table.
    """
    rows, channels = images.rows(images.pixels(image))
    out = np.empty((rows.shape[0], rows.shape[1] // channels), np.int64)
    kernels.pixel_sums(rows, channels, out)
    return out


def feature_grid(sums: NDArray[np.int64]) -> Floats:
    """Return the weighted box sums around 26 x 26 grid points (Eqs. 5 to 11).

    Parameters
    ----------
    sums : ndarray of int64, (H, W)
        From `pixel_sums`.

    Returns
    -------
    ndarray of float64, (26, 26)
        Rows, columns. Sums of R+G+B, so they grow with the area of the image.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `sums` has another dtype or shape.
    """
    sums = checks.read_only(checks.array("sums", sums, np.int64, ("H", "W")))
    if min(sums.shape) < 2:
        raise ArgumentError(f"sums: got shape {sums.shape}, needs at least 2 rows and 2 columns")
    corner_sums = np.empty((3 * kernels.CORNERS, kernels.CORNERS), np.float64)
    kernels.corner_sums_of_table(sums, *_corners(*sums.shape), corner_sums)
    return _feature_grid(corner_sums)


def box_bounds(height: int, width: int, row: int, column: int) -> Floats:
    """Return the bounds of the three boxes whose sums make one point of the feature grid.

    Parameters
    ----------
    height, width : int
        Size of the image, in pixels, at least 2.
    row, column : int
        Position of the grid point, 0 to 25.

    Returns
    -------
    ndarray of float64, (3, 2, 2)
        Boxes, the smallest first; y and x; begin and end, in pixels. Pixel k lies between
        k and k + 1. Of a pixel on an edge, the part inside counts.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument is no integer, a side is shorter than 2, or there is no such grid point.

    Notes
    -----
    A box is one pixel wider and higher than its radius says (Eq. 6), and none reaches into
    the outermost ring of pixels (Eq. 7). The point is the sum of the pixels in each box
    times its weight in ``kernels.hashing.RADIUS_WEIGHTS``.

    Examples
    --------
    >>> box_bounds(280, 280, 0, 0)[0]  # 1.5 steps of 10 pixels, give or take 0.2 steps
    array([[13., 18.],
           [13., 18.]])
    """
    row = checks.integer("row", row, 0, kernels.GRID - 1)
    column = checks.integer("column", column, 0, kernels.GRID - 1)
    sides = (checks.integer(name, side, 2) for name, side in (("height", height), ("width", width)))
    index, residue = _corners(*sides)
    y, x = (index + residue).reshape(2, 3, 2, kernels.GRID)
    # A sum up to pixel k includes it, and so ends where pixel k + 1 begins.
    return np.stack([y[:, :, row], x[:, :, column]], axis=1) + 1


def gradients(grid: Floats) -> Floats:
    """Return the changes of brightness in 6 x 6 cells and four directions.

    Parameters
    ----------
    grid : ndarray of float64, (26, 26)
        From `feature_grid`.

    Returns
    -------
    ndarray of float64, (6, 6, 4)
        Sums by cell row, cell column, and direction: brightness falls to the right, rises
        to the right, falls downwards, rises downwards. None is negative.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `grid` has another dtype or shape.
    """
    return _gradients(checks.array("grid", grid, np.float64, (kernels.GRID, kernels.GRID)))


def scaled_gradients(raw: Floats, height: int, width: int) -> Floats:
    """Return the gradients divided by the area of a grid step, flat, in grey levels.

    Parameters
    ----------
    raw : ndarray of float64, (6, 6, 4)
        From `gradients`.
    height, width : int
        Size of the image, in pixels, at least 2.

    Returns
    -------
    ndarray of float64, (144,)
        Scaled gradients; their L2 norm, in grey levels, is the `detail`.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `raw` has another dtype or shape, or a side is shorter than 2.
    """
    height, width = (
        checks.integer(name, side, 2) for name, side in (("height", height), ("width", width))
    )
    shape = (kernels.CELLS, kernels.CELLS, kernels.DIRECTIONS)
    return _scaled_gradients(checks.array("raw", raw, np.float64, shape), height, width)


def unit_vector(scaled: Floats) -> Floats:
    """Return the gradients divided by their norm, before the first round clips them.

    Parameters
    ----------
    scaled : ndarray of float64, (144,)
        From `scaled_gradients`.

    Returns
    -------
    ndarray of float64, (144,)
        Numbers from 0 to 1, without a unit. The first round of `normalisation` is 0.25 where
        they are 0.25 or more, and equal to them elsewhere.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `scaled` has another dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> scaled = np.zeros(144)
    >>> scaled[:2] = 3.0, 4.0
    >>> unit_vector(scaled)[:2].round(6), normalisation(scaled)[0, :2]
    (array([0.6, 0.8]), array([0.25, 0.25]))
    """
    scaled = checks.array("scaled", scaled, np.float64, (kernels.HASH_BYTES,))
    return scaled / _norm(scaled, kernels.NORM_START)


def normalisation(scaled: Floats) -> Floats:
    """Return the vector after each round of dividing by its norm and clipping at 0.25.

    Parameters
    ----------
    scaled : ndarray of float64, (144,)
        From `scaled_gradients`.

    Returns
    -------
    ndarray of float64, (k, 144)
        One row for each of the 1 to 10 rounds; the last one is the input of `quantise`.
        The tenth round is not clipped.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `scaled` has another dtype or shape.
    """
    scaled = checks.array("scaled", scaled, np.float64, (kernels.HASH_BYTES,))
    return _normalisation(scaled).copy()


def quantise(vector: Floats) -> NDArray[np.uint8]:
    """Return the bytes of the normalised vector (Eq. 17).

    Parameters
    ----------
    vector : ndarray of float64, (144,)
        The last row of `normalisation`, 0 to 0.25 and, after ten rounds, a bit more.

    Returns
    -------
    ndarray of uint8, (144,)
        Hash: the vector times 1024, clamped to 0..255, truncated.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `vector` has another dtype or shape.
    """
    return _quantise(checks.array("vector", vector, np.float64, (kernels.HASH_BYTES,)))


def _corners(height: int, width: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the box corners (Eqs. 5-8) as the kernels take them: index and residue, (6, 52)."""
    index = np.empty((6, kernels.CORNERS), np.int64)
    residue = np.empty((6, kernels.CORNERS), np.float64)
    kernels.corners(height, width, index, residue)
    return index, residue


def _corner_sums(pixels: NDArray[np.uint8]) -> Floats:
    """Return the sums of pixels at the box corners, (156, 52)."""
    rows, channels = images.rows(pixels)
    height, width = pixels.shape[:2]
    if rows.shape[1] < kernels.VECTOR:
        rows = checks.read_only(np.pad(rows, ((0, 0), (0, kernels.VECTOR - rows.shape[1]))))
    index, residue = _corners(height, width)
    order = index[:3].reshape(-1).argsort(kind="stable")
    length = -(-width // kernels.BLOCK) * kernels.BLOCK
    columns = np.zeros(length * channels + kernels.VECTOR, np.uint16)
    out = np.empty((3 * kernels.CORNERS, kernels.CORNERS), np.float64)
    lines = np.zeros((3, length), np.float64)
    kernels.corner_sums(rows, channels, order, index, residue, columns, lines, out)
    return out


def _feature_grid(corner_sums: Floats) -> Floats:
    out = np.empty((kernels.GRID, kernels.GRID), np.float64)
    kernels.feature_grid(corner_sums, out)
    return out


def _gradients(grid: Floats) -> Floats:
    cells = np.zeros((kernels.CELLS + 2, kernels.CELLS + 2, kernels.DIRECTIONS), np.float64)
    kernels.gradients(checks.read_only(grid.reshape(-1)), cells)
    return cells[1:-1, 1:-1].copy()


def _scaled_gradients(raw: Floats, height: int, width: int) -> Floats:
    # order fixed: rounding
    scale = (((width / 28) * kernels.AREA_FACTOR) * (height / 28)) * 3
    return raw.reshape(-1) / scale


def _normalisation(scaled: Floats) -> Floats:
    rounds = np.empty((kernels.MAX_ROUNDS, kernels.HASH_BYTES), np.float64)
    return rounds[: kernels.normalisation(checks.read_only(scaled), rounds)]


def _norm(scaled: Floats, start: float) -> float:
    return float(kernels.norm(checks.read_only(scaled), start))


def _quantise(vector: Floats) -> NDArray[np.uint8]:
    scaled = (vector * 256) / kernels.CLIP
    return np.maximum(np.minimum(scaled, 255.0), 0.0).astype(np.uint8)
