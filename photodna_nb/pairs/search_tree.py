"""Hashes as the filter takes them: projected, in the order of a k-d tree, with boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

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
class ProjectedQueries:
    """Hashes as the queries of a search.

    Attributes
    ----------
    projection : Projection
        The projection of the hashes.
    hashes : ndarray of uint8, (n, width)
        Hashes; not in the order of the places.
    order : ndarray of int32, (n,)
        Number of the hash at each place.
    codes : ndarray of int8, (m, k)
        Coordinates at each place; m is n rounded up to a multiple of 8.
    offsets : ndarray of int32, (m,)
        What `kernels.filter` adds to the limits of the places.
    points : ndarray of uint64, (m,)
        First eight coordinates, shifted to 0 to 180, as bytes.
    """

    projection: Projection
    hashes: NDArray[np.uint8]
    order: NDArray[np.int32]
    codes: NDArray[np.int8]
    offsets: NDArray[np.int32]
    points: NDArray[np.uint64]

    @classmethod
    def of(cls, hashes: NDArray[np.uint8], projection: Projection) -> ProjectedQueries:
        """Return hashes, (n, width), in their own order."""
        order = np.arange(len(hashes), dtype=np.int32)
        return cls.at(projection, hashes, order, projection.project(hashes))

    @classmethod
    def at(
        cls,
        projection: Projection,
        hashes: NDArray[np.uint8],
        order: NDArray[np.int32],
        coordinates: NDArray[np.int8],
    ) -> ProjectedQueries:
        """Return hashes in an order, in which their coordinates, (n, k), already are."""
        size = -(-len(order) // BOX_QUERIES) * BOX_QUERIES
        codes = np.zeros((size, projection.n_axes), np.int8)
        codes[: len(order)] = coordinates
        squares = np.einsum("ij,ij->i", codes, codes, dtype=np.int32) >> 1
        offsets = -squares - CLIP * codes.sum(axis=1, dtype=np.int32)
        points = (codes[:, :BOX_AXES] + np.int16(CLIP)).astype(np.uint8)
        return cls(
            projection,
            hashes,
            checks.read_only(order),
            checks.read_only(codes),
            checks.read_only(offsets),
            checks.read_only(points.view(np.uint64).reshape(-1)),
        )

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.order)


class TreeReader(Protocol):
    """What reads a tree from a file: its arrays are valid only where they have been read."""

    @property
    def has_read_places(self) -> bool:
        """Whether all but the hashes has been read."""

    def read_places(self, superblocks: NDArray[np.int32]) -> None:
        """Read all but the hashes of the places in some boxes of 512."""

    def read_hashes(self, numbers: NDArray[np.int32] | None) -> None:
        """Read the hashes of those numbers, or all."""


@dataclass(frozen=True, eq=False)
class SearchTree:
    """Hashes in an order in which 32, and 512, that follow each other are near each other.

    Attributes
    ----------
    projection : Projection
        The projection of the hashes.
    hashes : ndarray of uint8, (n, width)
        Hashes; not in the order of the tree.
    order : ndarray of int32, (n,)
        Number of the hash at each place of the order.
    boxes : tuple of ndarray
        What belongs to the places as rows: see `kernels.filter`.
    reader : TreeReader, optional
        What reads the hashes and the first arrays of boxes, if they are in a file.
    """

    projection: Projection
    hashes: NDArray[np.uint8]
    order: NDArray[np.int32]
    boxes: tuple[NDArray[Any], ...]
    reader: TreeReader | None = None

    @classmethod
    def build(
        cls, hashes: NDArray[np.uint8], projection: Projection, max_workers: int | None = 1
    ) -> SearchTree:
        """Return the tree of hashes, (n, width), n at least 1, on so many threads."""
        n, n_axes = len(hashes), projection.n_axes
        starts = range(0, n, _ROWS_A_TASK)
        coordinates = np.empty((n, n_axes), np.int8)
        columns = np.empty((BOX_AXES, n), np.uint8)

        def project(start: int) -> None:
            rows = slice(start, start + _ROWS_A_TASK)
            coordinates[rows] = projection.project(hashes[rows])
            columns[:, rows] = (coordinates[rows, :BOX_AXES].T + np.int16(CLIP)).astype(np.uint8)

        parallel.run_each(project, starts, max_workers)
        order = _ordered(columns, max_workers)
        n_blocks = -(-n // BLOCK_ROWS)
        row_codes = np.empty((n_blocks, n_axes // GROUP_AXES, BLOCK_ROWS, GROUP_AXES), np.uint8)
        halves = np.empty((n_blocks, BLOCK_ROWS), np.int32)
        low, high = (np.empty((n_blocks, BOX_AXES), np.uint8) for _ in range(2))

        def lay_out(start: int) -> None:
            stop = min(n, start + _ROWS_A_TASK)
            blocks = slice(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS))
            parts = laid_out(coordinates[order[start:stop]])
            row_codes[blocks], halves[blocks], low[blocks], high[blocks] = parts

        parallel.run_each(lay_out, starts, max_workers)
        boxes = row_codes.reshape(-1), halves.reshape(-1), low, high, *superboxes(low, high)
        read_only = tuple(checks.read_only(array) for array in boxes)
        return cls(projection, hashes, checks.read_only(order), read_only)

    @cached_property
    def queries(self) -> ProjectedQueries:
        """The hashes as queries, in the same order."""
        n_axes = self.projection.n_axes
        groups = self.boxes[0].reshape(-1, n_axes // GROUP_AXES, BLOCK_ROWS, GROUP_AXES)
        shifted = groups.swapaxes(1, 2).reshape(-1, n_axes)[: len(self)]
        coordinates = shifted.view(np.int8) - np.int8(CLIP)
        return ProjectedQueries.at(self.projection, self.hashes, self.order, coordinates)

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.order)

    @cached_property
    def superblocks(self) -> NDArray[np.int32]:
        """Numbers of all boxes of 512 places."""
        return checks.read_only(np.arange(len(self.boxes[-1]), dtype=np.int32))

    @cached_property
    def ordered_hashes(self) -> NDArray[np.uint8]:
        """The hashes in the order of the tree, a copy: rows of a box lie side by side."""
        return checks.read_only(self.hashes[self.order])

    def read_hashes(self, places: NDArray[Any] | None) -> None:
        """Read the hashes at places, or all, if they are in a file."""
        if self.reader is not None:
            self.reader.read_hashes(None if places is None else self.order[places])

    def box_distances(self, points: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the squared distance of the box of points, (n, 8), from each box of 512 places."""
        low, high = self.boxes[-2:]
        first, last = points.min(axis=0).astype(np.int64), points.max(axis=0).astype(np.int64)
        outside = np.maximum(low - last, 0) + np.maximum(first - high, 0)
        squares: NDArray[np.int64] = (outside * outside).sum(axis=1)
        return squares


def laid_out(coordinates: NDArray[np.int8]) -> tuple[NDArray[Any], ...]:
    """Return the arrays of boxes of 32 rows, [block], of coordinates (n, k) in a tree's order."""
    n_axes = coordinates.shape[1]
    # The last row again, up to a whole block.
    last = np.repeat(coordinates[-1:], -len(coordinates) % BLOCK_ROWS, axis=0)
    at = np.concatenate([coordinates, last])
    squares = np.einsum("ij,ij->i", at, at, dtype=np.int32) >> 1
    shifted = (at + np.int16(CLIP)).astype(np.uint8).reshape(-1, BLOCK_ROWS, n_axes)
    groups = shifted.reshape(-1, BLOCK_ROWS, n_axes // GROUP_AXES, GROUP_AXES)
    sides = shifted[:, :, :BOX_AXES]
    return (
        groups.swapaxes(1, 2),
        -squares.reshape(-1, BLOCK_ROWS),
        _reduced(np.minimum, sides),
        _reduced(np.maximum, sides),
    )


def superboxes(
    low: NDArray[np.uint8], high: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the sides of the boxes of 512 rows, from those of 32, (blocks, 8)."""
    blocks = range(0, len(low), SUPERBLOCK_BLOCKS)
    return np.minimum.reduceat(low, blocks), np.maximum.reduceat(high, blocks)


def _ordered(columns: NDArray[np.uint8], max_workers: int | None) -> NDArray[np.int32]:
    """Return the order of a k-d tree of points, (8, n)."""
    n = columns.shape[1]
    order = np.arange(n, dtype=np.int32)

    def divide(span: tuple[int, int], smallest: int) -> None:
        spans = np.empty((64, 2), np.int64)
        kernels.order_rows(columns, order, *span, smallest, spans)

    divide((0, n), _ROWS_A_TASK)
    parallel.run_each(lambda span: divide(span, BLOCK_ROWS), list(_parts(0, n)), max_workers)
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
