"""Hashes as the filter takes them: projected, in the order of a k-d tree, with boxes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.kernels import filter as kernels
from photodna_nb.kernels.filter import SUPERBLOCK_BLOCKS
from photodna_nb.kernels.filter_tile import (
    BLOCK_ROWS,
    BOX_AXES,
    BOX_QUERIES,
    CLIP,
    GROUP_AXES,
)
from photodna_nb.pairs.projection import Projection

# Rows that a thread orders, or lays out, at a time: whole boxes.
_ROWS_A_TASK = 1 << 15


@dataclass(frozen=True, eq=False)
class SearchTree:
    """Hashes in an order in which 32, and 512, that follow each other are near each other.

    Attributes
    ----------
    projection : Projection
        The projection of the hashes.
    hashes : ndarray of uint8, (n, 144)
        Hashes; not in the order of the tree.
    order : ndarray of int32, (n,)
        Number of the hash at each place of the order.
    codes : ndarray of int8, (m, k)
        Coordinates at each place; m is n rounded up to a multiple of 8.
    offsets : ndarray of int32, (m,)
        What belongs to a place as a query: see `limits`.
    points : ndarray of uint64, (m,)
        First eight coordinates, shifted to 0 to 180, as bytes.
    boxes : tuple of ndarray
        What belongs to the places as rows: see `kernels.filter`.
    """

    projection: Projection
    hashes: NDArray[np.uint8]
    order: NDArray[np.int32]
    codes: NDArray[np.int8]
    offsets: NDArray[np.int32]
    points: NDArray[np.uint64]
    boxes: tuple[NDArray[Any], ...]

    @classmethod
    def build(
        cls, hashes: NDArray[np.uint8], projection: Projection, max_workers: int | None = 1
    ) -> SearchTree:
        """Return the tree of hashes, (n, 144), n at least 1, on so many threads."""
        n, n_axes = len(hashes), projection.n_axes
        starts = range(0, n, _ROWS_A_TASK)
        coordinates = np.empty((n, n_axes), np.int8)
        columns = np.empty((BOX_AXES, n), np.uint8)

        def project(start: int) -> None:
            rows = slice(start, start + _ROWS_A_TASK)
            coordinates[rows] = projection.project(hashes[rows])
            columns[:, rows] = (coordinates[rows, :BOX_AXES].T + np.int16(CLIP)).astype(np.uint8)

        _run(project, starts, max_workers)
        order = _ordered(columns, max_workers)
        size = -(-n // BOX_QUERIES) * BOX_QUERIES
        n_blocks = -(-n // BLOCK_ROWS)
        codes, offsets = np.zeros((size, n_axes), np.int8), np.zeros(size, np.int32)
        points = np.zeros((size, BOX_AXES), np.uint8)
        row_codes = np.empty((n_blocks, n_axes // GROUP_AXES, BLOCK_ROWS, GROUP_AXES), np.uint8)
        halves = np.empty((n_blocks, BLOCK_ROWS), np.int32)
        low, high = (np.empty((n_blocks, BOX_AXES), np.uint8) for _ in range(2))

        def lay_out(start: int) -> None:
            stop = min(n, start + _ROWS_A_TASK)
            blocks = slice(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS))
            at = coordinates[order[start:stop]]
            codes[start:stop] = at
            # The last row again, up to a whole block.
            at = np.concatenate([at, np.repeat(at[-1:], -len(at) % BLOCK_ROWS, axis=0)])
            squares = np.einsum("ij,ij->i", at, at, dtype=np.int32) >> 1
            sums = at.sum(axis=1, dtype=np.int32)
            halves[blocks] = -squares.reshape(-1, BLOCK_ROWS)
            offsets[start:stop] = (-squares - CLIP * sums)[: stop - start]
            shifted = (at + np.int16(CLIP)).astype(np.uint8)
            points[start:stop] = shifted[: stop - start, :BOX_AXES]
            shifted = shifted.reshape(-1, BLOCK_ROWS, n_axes)
            low[blocks] = _reduced(np.minimum, shifted[:, :, :BOX_AXES])
            high[blocks] = _reduced(np.maximum, shifted[:, :, :BOX_AXES])
            groups = shifted.reshape(-1, BLOCK_ROWS, n_axes // GROUP_AXES, GROUP_AXES)
            row_codes[blocks] = groups.swapaxes(1, 2)

        _run(lay_out, starts, max_workers)
        blocks = range(0, n_blocks, SUPERBLOCK_BLOCKS)
        boxes = (
            row_codes.reshape(-1),
            halves.reshape(-1),
            low,
            high,
            np.minimum.reduceat(low, blocks),
            np.maximum.reduceat(high, blocks),
        )
        return cls(
            projection,
            hashes,
            checks.read_only(order),
            checks.read_only(codes),
            checks.read_only(offsets),
            checks.read_only(points.view(np.uint64).reshape(-1)),
            tuple(checks.read_only(array) for array in boxes),
        )

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.order)

    @property
    def n_superblocks(self) -> int:
        """Number of boxes of 512 places."""
        return len(self.boxes[-1])

    def box_distances(self, points: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the squared distance of the box of points, (n, 8), from each box of 512 places."""
        low, high = self.boxes[-2:]
        first, last = points.min(axis=0).astype(np.int64), points.max(axis=0).astype(np.int64)
        outside = np.maximum(low - last, 0) + np.maximum(first - high, 0)
        squares: NDArray[np.int64] = (outside * outside).sum(axis=1)
        return squares


def _ordered(columns: NDArray[np.uint8], max_workers: int | None) -> NDArray[np.int32]:
    """Return the order of a k-d tree of points, (8, n)."""
    n = columns.shape[1]
    order = np.arange(n, dtype=np.int32)

    def divide(span: tuple[int, int], smallest: int) -> None:
        spans = np.empty((64, 2), np.int64)
        kernels.order_rows(columns, order, *span, smallest, spans)

    divide((0, n), _ROWS_A_TASK)
    _run(lambda span: divide(span, BLOCK_ROWS), list(_parts(0, n)), max_workers)
    return order


def _reduced(function: np.ufunc, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the minimum or maximum over axis 1, a power of two, by halves: NumPy is slower."""
    while values.shape[1] > 1:
        half = values.shape[1] // 2
        values = function(values[:, :half], values[:, half:])
    return values[:, 0]


def _parts(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the spans into which `order_rows` divides a span."""
    if last - first <= _ROWS_A_TASK:
        yield first, last
        return
    middle = first + kernels.first_part(last - first)
    yield from _parts(first, middle)
    yield from _parts(middle, last)


def _run(function: Any, items: Any, max_workers: int | None) -> None:
    """Call a function with each item, on threads if there are several."""
    if len(items) < 2:
        max_workers = 1
    if parallel.worker_count(max_workers, None) == 1:
        for item in items:
            function(item)
        return
    with closing(
        parallel.ordered_map(function, items, max_workers=max_workers, wait=True)
    ) as results:
        for _ in results:
            pass
