"""Exact search that computes few distances: filter and refine, over the trees of hashes.

The projections of `pairs.projection` show which pairs cannot lie within a limit; the distances
of the others are computed. Where too many remain, as the counts tell, all distances are
computed, in tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.kernels import distance as tiles
from photodna_nb.kernels import filter as kernels
from photodna_nb.kernels.filter import SCRATCH_MARGIN, SUPERBLOCK_ROWS
from photodna_nb.kernels.filter_tile import BOX_AXES, BOX_QUERIES, has_vnni
from photodna_nb.kernels.vector import compiled
from photodna_nb.pairs.blocks import PackedPairs
from photodna_nb.pairs.packing import comparable_rows, pack_database, pack_queries
from photodna_nb.pairs.projection import Projection
from photodna_nb.pairs.search_tree import ProjectedQueries, SearchTree
from photodna_nb.pairs.source import HashSource, sample_of

# With fewer pairs, all distances take less time than a tree.
_MIN_PAIRS = 1 << 22
# Likewise, times the square of the length, because of the fit: it counts above 144 values.
_FITTED_PAIRS = 200
# The largest squared distance of projections that the filter can test: half of it, and the 1 by
# which two odd squares are rounded up, fit into an int16.
MAX_PROJECTED = 2**16 - 4
# Queries that are compared at once, at most.
_PAIR_QUERIES = 4096
# Hashes to which a projection is fitted, and queries by which it is judged.
SAMPLE, _JUDGED = 2048, 128
# Axes of a projection for pairs within L2 distances up to the limit, and for any others.
_AXES_OF_LIMITS = ((10_000, 12), (50_000, 16), (100_000, 24), (200_000, 32), (300_000, 48))
MOST_AXES = 80
_NUMBER = 2**32 - 1


def pair_projection(sources: list[HashSource], limit: int, metric: int) -> Projection | None:
    """Return a projection for pairs within a limit, or None where all distances are faster.

    sources: the hashes of one set, or of two; limit: largest squared L2 or L1 distance;
    metric: as kernels take it.
    """
    # Vectors of bits are too near each other for the steps of a projection.
    if metric == tiles.HAMMING or not pays_to_fit(sources, _MIN_PAIRS):
        return None
    n_axes = next((n for most, n in _AXES_OF_LIMITS if limit <= most), MOST_AXES)
    if metric == tiles.MANHATTAN:
        n_axes = MOST_AXES
    sample = sample_of(sources, SAMPLE)
    projection = Projection.fit(sample, n_axes)
    most = int(projection.limits(limit, metric, projection.n_axes))
    if most > MAX_PROJECTED:
        return None
    rows = projection.project(sample).astype(np.float32)
    step = max(1, len(rows) // _JUDGED)
    squares = np.einsum("ij,ij->i", rows, rows)
    distances = squares[::step, None] + squares - 2 * (rows[::step] @ rows.T)
    share = np.count_nonzero(distances <= most) / distances.size
    return projection if share * costs().refine < 1 else None


def pays_to_fit(sources: list[HashSource], min_pairs: int) -> bool:
    """Return whether there are enough pairs for a projection, which is fitted first.

    All distances take a time in proportion to the length, a fit to its third power.
    """
    pairs = sources[0].count * sources[-1].count
    return compiled() and pairs >= max(min_pairs, _FITTED_PAIRS * sources[0].length ** 2)


class Costs(NamedTuple):
    """Times, as measured, in units of the time of a distance in a tile.

    test: to test a pair by as many axes as a hash has bytes; refine: to compute the distance of
    a pair that is left. Tiles gain more from VNNI.
    """

    test: float
    refine: float


def costs() -> Costs:
    """Return the costs with the instructions that Numba compiles for."""
    return Costs(1.3, 25.0) if has_vnni() else Costs(0.5, 6.0)


class NearPairs:
    """The pairs of a span of queries that the filter leaves, in an array that is used again.

    pairs: (capacity, 2) int32; min_room: for so many pairs, at least, there is room.
    """

    def __init__(
        self, span: tuple[int, int], rows: SearchTree, *, triangle: bool = False, min_room: int = 0
    ) -> None:
        self._span, self._rows, self._triangle = span, rows, triangle
        n_queries = span[1] - span[0]
        room = max(min_room, 2 * n_queries * SUPERBLOCK_ROWS)
        self.pairs: NDArray[np.int32] = np.empty((room, 2), np.int32)
        self._scratch = scratch_arrays(n_queries)

    def find(
        self,
        queries: tuple[NDArray[Any], ...],
        superblocks: NDArray[np.int32],
        place: int,
        row_limits: tuple[NDArray[np.int32], ...] | None = None,
    ) -> tuple[int, int, int]:
        """Write the pairs with superblocks from a place on, as many as there is room for.

        queries, row_limits: as `kernels.filter` takes them. Returns the place after the last
        superblock, and the numbers of pairs written and tested.
        """
        counts = np.zeros(2, np.int64)
        rows = self._rows.boxes, len(self._rows)
        every_box = superblocks is self._rows.superblocks and len(superblocks) >= BOX_QUERIES
        if every_box and self._span == (0, 1):
            stop = kernels.near_pairs_of_one(
                place, queries, *rows, self._scratch, self.pairs, counts
            )
            return stop, *counts.tolist()
        stop = kernels.near_pairs(
            *self._span,
            superblocks,
            place,
            self._triangle,
            queries,
            rows[0],
            row_limits,
            rows[1],
            self._scratch,
            self.pairs,
            counts,
        )
        return stop, *counts.tolist()


class PairSearch:
    """The pairs of queries and rows, or inside one tree, within a limit.

    labels: of the queries and of the rows, int32; a pair with one label is not needed. They may
    change during the search.
    """

    def __init__(
        self,
        queries: SearchTree | ProjectedQueries,
        rows: SearchTree,
        metric: int,
        limit: int,
        labels: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
    ) -> None:
        self._labels = labels
        self._triangle = queries is rows
        if isinstance(queries, SearchTree):
            queries = queries.queries
        self._queries, self._rows, self._metric, self._limit = queries, rows, metric, limit
        limits = queries.projection.limits
        self._box_limit = int(limits(limit, metric, BOX_AXES))
        most = int(limits(limit, metric, queries.projection.n_axes))
        box_limits = np.full(len(queries.points), self._box_limit, np.int32)
        box_limits[len(queries) :] = -1
        row_limits = queries.offsets + np.int32(-(-most // 2))
        self._arrays = queries.points, queries.codes, box_limits, row_limits

    def spans(self, workers: int) -> list[tuple[int, int]]:
        """Return the spans of queries that are tasks for so many workers."""
        return spans_of(len(self._queries), _PAIR_QUERIES, 8 * workers)

    def pairs(self, span: tuple[int, int], max_pairs: int) -> PackedPairs | None:
        """Return the pairs of a span of queries, or None if they are too many and divisible."""
        first, last = span
        superblocks = self._differing(span, self._near_superblocks(span))
        near = NearPairs(span, self._rows, triangle=self._triangle)
        found: list[PackedPairs] = []
        n_found = place = 0
        run, refine_cost = 1, costs().refine
        while place < len(superblocks):
            stop, n_near, _ = near.find(self._arrays, superblocks, place)
            all_pairs = (stop - place) * SUPERBLOCK_ROWS * (last - first)
            chunks: Iterable[PackedPairs] = ()
            if n_near * refine_cost > all_pairs:
                # The next boxes are likely to be as crowded: more and more are not tested.
                stop = min(len(superblocks), stop + run)
                run *= 2
                chunks = self._in_tiles(span, superblocks[place:stop])
            elif n_near:
                chunks = [self._refined(near.pairs, n_near)]
            for chunk in chunks:
                found.append(chunk.between(*self._labels) if self._labels else chunk)
                n_found += len(chunk.packed)
                if n_found > max_pairs and last - first > BOX_QUERIES:
                    return None
            place = stop
        found.append(PackedPairs(np.empty(0, np.int64), np.empty(0, np.int32)))
        return PackedPairs(*map(np.concatenate, zip(*found, strict=True)))

    def is_near(self, queries: HashSource, rows: HashSource) -> bool:
        """Return whether pairs of two chunks, of hashes in the trees' orders, may lie within."""
        near = self._near_superblocks((queries.start, queries.stop)) * SUPERBLOCK_ROWS
        return bool(np.any((near < rows.stop) & (near + SUPERBLOCK_ROWS > rows.start)))

    def renumbered(self, chunk: PackedPairs) -> PackedPairs:
        """Return pairs of places in the trees' orders as pairs of hashes."""
        return self._packed(chunk.packed >> 32, chunk.packed & _NUMBER, chunk.distances)

    def divided(self, span: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the same queries in smaller spans."""
        first, last = span
        size = max(BOX_QUERIES, (last - first) // 8 // BOX_QUERIES * BOX_QUERIES)
        return [(start, min(last, start + size)) for start in range(first, last, size)]

    def _near_superblocks(self, span: tuple[int, int]) -> NDArray[np.int32]:
        reader = self._rows.reader
        if span[1] - span[0] <= BOX_QUERIES and (reader is None or reader.has_read_places):
            return self._rows.superblocks  # the kernel tests them faster
        points = self._queries.points[slice(*span)].view(np.uint8).reshape(-1, BOX_AXES)
        near = self._rows.box_distances(points) <= self._box_limit
        if self._triangle:
            near[: span[0] // SUPERBLOCK_ROWS] = False
        superblocks = checks.read_only(np.flatnonzero(near).astype(np.int32))
        if reader is not None:
            reader.read_places(superblocks)
        return superblocks

    def _differing(
        self, span: tuple[int, int], superblocks: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Return the superblocks without those of which all rows have the label of all queries."""
        if self._labels is None or not len(superblocks):
            return superblocks
        labels = self._labels[0][self._queries.order[slice(*span)]]
        if (labels != labels[0]).any():
            return superblocks
        differing = self._labels[1][self._rows.order] != labels[0]
        needed = np.logical_or.reduceat(differing, np.arange(0, len(differing), SUPERBLOCK_ROWS))
        return checks.read_only(superblocks[needed[superblocks]])

    def _refined(self, pairs: NDArray[np.int32], count: int) -> PackedPairs:
        self._rows.read_hashes(pairs[:count, 1])
        distances = np.empty(count, np.int32)
        count = kernels.refine_within(
            self._metric == tiles.MANHATTAN,
            self._limit,
            comparable_rows(self._queries.hashes),
            self._queries.order,
            comparable_rows(self._rows.hashes),
            self._rows.order,
            pairs,
            count,
            distances,
        )
        return self._packed(pairs[:count, 0], pairs[:count, 1], distances[:count].copy())

    def _in_tiles(
        self, span: tuple[int, int], superblocks: NDArray[np.int32]
    ) -> Iterator[PackedPairs]:
        """Yield the pairs with the rows of superblocks, from all distances."""
        first, last = span
        queries = self._queries.hashes[self._queries.order[first:last]]
        packed_queries = pack_queries(queries, self._metric)
        at_once = max(1, min(8, _PAIR_QUERIES // len(queries)))  # for 50 MB of pairs at most
        for start in range(0, len(superblocks), at_once):
            places = superblocks[start : start + at_once, None] * SUPERBLOCK_ROWS + np.arange(
                SUPERBLOCK_ROWS, dtype=np.int32
            )
            places = places[places < len(self._rows)]
            rows = self._rows.hashes[self._rows.order[places]]
            database, database_squares = pack_database(rows, self._metric)
            block = database, packed_queries[0], database_squares, packed_queries[1]
            found = np.empty((len(queries) * len(rows), 3), np.int64)
            count = tiles.within(
                False,
                np.int32(self._limit),
                block,
                len(queries),
                len(rows),
                found,
            )
            i, j = found[:count, 0] + first, places[found[:count, 1]]
            kept = j > i if self._triangle else np.full(count, True)
            yield self._packed(i[kept], j[kept], found[:count, 2][kept].astype(np.int32))

    def _packed(
        self, queries: NDArray[Any], rows: NDArray[Any], distances: NDArray[np.int32]
    ) -> PackedPairs:
        i = self._queries.order[queries].astype(np.int64)
        j = self._rows.order[rows].astype(np.int64)
        if self._triangle:
            i, j = np.minimum(i, j), np.maximum(i, j)
        return PackedPairs((i << 32) + j, distances)


def spans_of(count: int, most: int, n_tasks: int) -> list[tuple[int, int]]:
    """Return spans of queries: multiples of 8, at most so many, enough for so many tasks."""
    size = min(most, max(BOX_QUERIES, -(-count // n_tasks // BOX_QUERIES) * BOX_QUERIES))
    if size >= SUPERBLOCK_ROWS:
        size -= size % SUPERBLOCK_ROWS
    return [(start, min(count, start + size)) for start in range(0, count, size)]


def scratch_arrays(n_queries: int) -> tuple[NDArray[Any], ...]:
    """Return the scratch arrays of `kernels.near_pairs` for so many queries."""
    size = n_queries + SCRATCH_MARGIN
    limits, listed, chosen = (np.empty(size, np.int32) for _ in range(3))
    return np.empty(size, np.uint64), limits, listed, chosen, np.empty(4, np.uint32)
