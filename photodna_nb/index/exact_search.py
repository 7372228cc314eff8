"""The nearest rows to queries, exactly, over the segments of an index.

The kernels of this package do it: FAISS's range search is strict, unsorted and in floating
point, and over uint8 codes it takes longer than the kernels by two orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.index import stored_tree
from photodna_nb.index.records import RowMatches
from photodna_nb.index.row_segments import MIN_TREE_ROWS, RowSegment
from photodna_nb.kernels import scan as kernels
from photodna_nb.kernels.distance import SQUARED
from photodna_nb.kernels.filter_tile import BOX_QUERIES
from photodna_nb.kernels.vector import compiled
from photodna_nb.pairs.filter_search import MAX_PROJECTED, NearPairs, PairSearch, costs
from photodna_nb.pairs.search import found_neighbours
from photodna_nb.pairs.search_tree import ProjectedQueries

# From so many queries on, packing rows in blocks pays, if each asks for few neighbours.
_QUERIES_OF_A_BLOCK, _K_OF_A_BLOCK = 48, 64
# Pairs of a span that are refined, at most, and for which there is room, at least.
_MOST_NEAR, _MIN_ROOM = 1 << 21, 1 << 14
# Above this limit, all distances are as fast; for so many queries, a tree is worth its time.
_MOST_LIMIT_OF_A_TREE, _QUERIES_OF_A_TREE = 500**2, 256
# The limit that is tried where there is none: it takes a tenth of the time of all distances.
_TRIED_LIMIT = 150**2
# Rows that a task compares, and packed neighbours that are held for the queries at a time.
_ROWS_A_TASK = 1 << 16
_NEIGHBOURS_AT_ONCE = 1 << 22
_ROW = 2**32 - 1

# distance * 2^32 + row, so that sorting puts the nearest first, ties to the lower row.
PackedNeighbours = NDArray[np.int64]


class TreeSearch(PairSearch):
    """The rows of a search tree within a limit of queries, nearest first."""

    def nearest(self, span: tuple[int, int], k: int) -> list[NDArray[np.int64]] | None:
        """Return the k nearest rows of a span of queries, packed, or None if too many are near.

        Packed: distance * 2^32 + number of the row, ascending, for each query.
        """
        first, last = span
        superblocks, rows = self._near_superblocks(span), self._rows
        most_near = min(_MOST_NEAR, (last - first) * len(rows) / costs().refine)
        near = NearPairs(span, rows, min_room=_MIN_ROOM)
        found, n_near, place = [], 0, 0
        while place < len(superblocks):
            place, count, _ = near.find(self._arrays, superblocks, place)
            n_near += count
            if n_near > most_near:
                return None
            found.append(self._refined(near.pairs, count))
        if not found:
            return [np.empty(0, np.int64)] * (last - first)
        packed, distances = map(np.concatenate, zip(*found, strict=True))
        queries, keys = packed >> 32, (distances.astype(np.int64) << 32) + (packed & _ROW)
        if last - first == 1:
            return [np.sort(keys)[:k]]
        order = np.lexsort((keys, queries))
        numbers = self._queries.order[first:last]
        starts, stops = (
            np.searchsorted(queries, numbers, side, sorter=order) for side in ("left", "right")
        )
        return [
            keys[order[start : min(stop, start + k)]]
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]


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
    segments = [segment for segment in segments if segment.count]
    firsts = np.cumsum([0] + [segment.count for segment in segments])
    n_rows = int(firsts[-1])
    k = min(k, n_rows)
    if not k or not len(queries):
        return [RowMatches.empty()] * len(queries)
    queries = checks.read_only(queries)
    found: list[list[PackedNeighbours]] = [[] for _ in queries]
    unsearched = []
    for segment, first in zip(segments, firsts.tolist(), strict=False):
        answers = _by_tree(segment, queries, k, limit)
        for neighbours, answer in zip(found, answers, strict=True):
            if answer is not None:
                neighbours.append(answer + first)
        left = tuple(i for i, answer in enumerate(answers) if answer is None)
        if left:
            unsearched.append((segment, first, left))
    # Segments of which the same queries are left are searched together.
    for left in dict.fromkeys(left for _, _, left in unsearched):
        parts = [(segment, first) for segment, first, other in unsearched if other == left]
        answers = _by_distances(parts, queries[list(left)], k, limit)
        for query, answer in zip(left, answers, strict=True):
            found[query].append(answer)
    merged = (
        neighbours[0] if len(neighbours) == 1 else np.sort(np.concatenate(neighbours))[:k]
        for neighbours in found
    )
    return [_unpacked(segments, firsts, neighbours) for neighbours in merged]


def _by_tree(
    segment: RowSegment, queries: NDArray[np.uint8], k: int, limit: int
) -> Sequence[PackedNeighbours | None]:
    """Return the nearest rows of a segment by its search tree; None where that does not pay."""
    none = [None] * len(queries)
    if segment.count < MIN_TREE_ROWS or not compiled():
        return none
    if limit > _MOST_LIMIT_OF_A_TREE:
        if k > _K_OF_A_BLOCK:
            return none
        # k rows within a smaller limit are the nearest ones, as of an image with copies.
        tried = _by_tree(segment, queries, k, _TRIED_LIMIT)
        return [None if answer is None or len(answer) < k else answer for answer in tried]
    if segment.tree is None:
        if len(queries) < _QUERIES_OF_A_TREE:
            return none
        segment.tree = stored_tree.built(segment)
    projection = segment.tree.projection
    if projection.limits(limit, SQUARED, projection.n_axes) > MAX_PROJECTED:
        return none  # no axes of ours: see `MAX_PROJECTED`
    projected = ProjectedQueries.of(queries, projection)
    search = TreeSearch(projected, segment.tree, SQUARED, limit)
    if len(queries) <= BOX_QUERIES:  # a thread is not worth its start
        return search.nearest((0, len(queries)), k) or none
    spans = search.spans(parallel.worker_count(None, None))
    answers = parallel.ordered_map(partial(search.nearest, k=k), spans)
    found: list[PackedNeighbours | None] = []
    for (first, last), answer in zip(spans, answers, strict=True):
        found += answer or none[first:last]
    return found


def _by_distances(
    parts: Sequence[tuple[RowSegment, int]], queries: NDArray[np.uint8], k: int, limit: int
) -> list[PackedNeighbours]:
    """Return the nearest rows by all distances of segments, numbered from their firsts."""
    segments = [segment for segment, _ in parts]
    firsts = [first for _, first in parts]
    if len(queries) >= _QUERIES_OF_A_BLOCK and k <= _K_OF_A_BLOCK:
        return list(_by_blocks(segments, firsts, queries, k, limit))
    packed = []
    n_rows = sum(segment.count for segment in segments)
    step = max(1, _NEIGHBOURS_AT_ONCE // min(k, n_rows))
    for start in range(0, len(queries), step):
        packed += _by_rows(segments, firsts, queries[start : start + step], k, limit)
    return packed


def _by_blocks(
    segments: Sequence[RowSegment],
    firsts: Sequence[int],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
) -> Iterator[PackedNeighbours]:
    gathered = []
    for segment, first in zip(segments, firsts, strict=True):
        width = min(k, segment.count)
        # A tree of the rows takes longer than their distances from a few thousand queries.
        packed = found_neighbours(queries, segment.rows, width, limit, SQUARED, filtered=False)
        gathered.append(packed + first)
    for row in np.sort(np.concatenate(gathered, axis=1), axis=1)[:, :k]:
        yield row[row >> 32 <= limit]


def _by_rows(
    segments: Sequence[RowSegment],
    firsts: Sequence[int],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
) -> list[PackedNeighbours]:
    tasks = [
        (segment, start, first + start)
        for segment, first in zip(segments, firsts, strict=True)
        for start in range(0, segment.count, _ROWS_A_TASK)
    ]
    wide = checks.read_only(queries.astype(np.int16))

    def nearest_of(task: tuple[RowSegment, int, int]) -> list[PackedNeighbours]:
        segment, start, first = task
        rows = checks.read_only(segment.rows[start : start + _ROWS_A_TASK])
        packed = np.full((len(queries), min(k, len(rows))), (limit + 1) << 32, np.int64)
        kernels.nearest_rows(rows, first, wide, packed)
        return [row[row >> 32 <= limit] for row in packed]

    # A thread is not worth its start for less.
    threads = sum(segment.count for segment in segments) > 2 * _ROWS_A_TASK
    gathered = parallel.ordered_map(nearest_of, tasks) if threads else map(nearest_of, tasks)
    return [np.sort(np.concatenate(packed))[:k] for packed in zip(*gathered, strict=True)]


def _unpacked(
    segments: Sequence[RowSegment], firsts: NDArray[np.int64], packed: PackedNeighbours
) -> RowMatches:
    rows = packed & _ROW
    if len(segments) == 1:
        return RowMatches(packed >> 32, segments[0].ids_at(rows))
    ids = np.empty(len(packed), np.int64)
    places = np.searchsorted(firsts, rows, side="right") - 1
    for place in np.unique(places).tolist():
        here = places == place
        ids[here] = segments[place].ids_at(rows[here] - firsts[place])
    return RowMatches(packed >> 32, ids)
