"""The nearest rows to queries, exactly, over the segments of an index.

The kernels of this package do it: FAISS's range search is strict, unsorted and in floating
point, and over uint8 codes it takes longer than the kernels by two orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.index.faiss_file import RowSegment
from photodna_nb.index.records import RowMatches
from photodna_nb.kernels import scan as kernels
from photodna_nb.kernels.distance import SQUARED
from photodna_nb.pairs.search import found_neighbours

# From so many queries on, packing rows in blocks pays, if each asks for few neighbours.
_QUERIES_OF_A_BLOCK, _K_OF_A_BLOCK = 48, 64
# Rows that a task compares, and packed neighbours that are held for the queries at a time.
_ROWS_A_TASK = 1 << 16
_NEIGHBOURS_AT_ONCE = 1 << 22
_ROW = 2**32 - 1

# distance * 2^32 + row, so that sorting puts the nearest first, ties to the lower row.
PackedNeighbours = NDArray[np.int64]


def nearest_rows(
    segments: Sequence[RowSegment], queries: NDArray[np.uint8], k: int, limit: int
) -> list[RowMatches]:
    """Return, for each query, the `k` nearest rows within a limit, ties to the lower id.

    Parameters
    ----------
    segments : sequence of RowSegment
        All rows. Ids ascend within a segment and from segment to segment.
    queries : ndarray of uint8, (q, 144)
        Hashes.
    k : int
        At least 1.
    limit : int
        The largest squared distance, inclusive.
    """
    firsts = np.cumsum([0] + [segment.count for segment in segments])
    n_rows = int(firsts[-1])
    k = min(k, n_rows)
    if not k or not len(queries):
        return [RowMatches.empty()] * len(queries)
    queries = checks.read_only(queries)
    if len(queries) >= _QUERIES_OF_A_BLOCK and k <= _K_OF_A_BLOCK:
        packed = list(_by_blocks(segments, firsts, queries, k, limit))
    else:
        packed = []
        step = max(1, _NEIGHBOURS_AT_ONCE // min(2 * k, n_rows))
        for start in range(0, len(queries), step):
            packed += _by_rows(segments, firsts, queries[start : start + step], k, limit)
    return [_unpacked(segments, firsts, neighbours) for neighbours in packed]


def _by_blocks(
    segments: Sequence[RowSegment],
    firsts: NDArray[np.int64],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
) -> Iterator[PackedNeighbours]:
    gathered = []
    for segment, first in zip(segments, firsts.tolist(), strict=False):
        if segment.count:
            width = min(k, segment.count)
            packed = found_neighbours(queries, segment.rows, width, limit, SQUARED)
            gathered.append(packed + first)
    for row in np.sort(np.concatenate(gathered, axis=1), axis=1)[:, :k]:
        yield row[row >> 32 <= limit]


def _by_rows(
    segments: Sequence[RowSegment],
    firsts: NDArray[np.int64],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
) -> list[PackedNeighbours]:
    tasks = [
        (segment, start, int(first) + start)
        for segment, first in zip(segments, firsts, strict=False)
        for start in range(0, segment.count, _ROWS_A_TASK)
    ]
    wide = checks.read_only(queries.astype(np.int16))

    def nearest_of(task: tuple[RowSegment, int, int]) -> list[PackedNeighbours]:
        segment, start, first = task
        rows = checks.read_only(segment.rows[start : start + _ROWS_A_TASK])
        limits = np.full(len(queries), limit, np.int32)
        counts = np.zeros(len(queries), np.int64)
        packed = np.empty((len(queries), min(2 * k, len(rows))), np.int64)
        kernels.nearest_rows(rows, first, wide, k, limits, counts, packed)
        return [row[:count] for row, count in zip(packed, counts.tolist(), strict=True)]

    # A thread is not worth its start for less.
    threads = int(firsts[-1]) > 2 * _ROWS_A_TASK
    gathered = parallel.ordered_map(nearest_of, tasks) if threads else map(nearest_of, tasks)
    return [np.sort(np.concatenate(packed))[:k] for packed in zip(*gathered, strict=True)]


def _unpacked(
    segments: Sequence[RowSegment], firsts: NDArray[np.int64], packed: PackedNeighbours
) -> RowMatches:
    rows = packed & _ROW
    ids = np.empty(len(packed), np.int64)
    places = np.searchsorted(firsts, rows, side="right") - 1
    for place in np.unique(places).tolist():
        here = places == place
        ids[here] = segments[place].ids[rows[here] - firsts[place]]
    return RowMatches(packed >> 32, ids)
