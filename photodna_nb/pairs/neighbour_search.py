"""The nearest neighbours in L2 by filter and refine, exactly.

Neighbours are packed: squared distance * 2^32 + number of the row. A heap of them belongs to
each query; the largest of a full heap is the limit within which nearer rows are sought.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.checks import HASH_BYTES
from photodna_nb.kernels import filter as kernels
from photodna_nb.kernels import scan
from photodna_nb.kernels.distance import SQUARED
from photodna_nb.kernels.filter import SUPERBLOCK_BLOCKS, SUPERBLOCK_ROWS
from photodna_nb.kernels.filter_tile import BLOCK_ROWS, BOX_AXES, BOX_QUERIES
from photodna_nb.pairs.filter_search import (
    MAX_PROJECTED,
    MOST_AXES,
    SAMPLE,
    NearPairs,
    costs,
    pays_to_fit,
    spans_of,
)
from photodna_nb.pairs.packing import comparable_rows
from photodna_nb.pairs.projection import Projection
from photodna_nb.pairs.search_tree import SearchTree
from photodna_nb.pairs.source import HashSource, sample_of

# With fewer pairs, all distances take less time than a tree.
_MIN_PAIRS = 1 << 25
# Rows in whose order a row's neighbours are sought first.
_WINDOW = 16
# Queries by which it is measured whether the filter pays.
_MEASURED = 64
_NUMBER = 2**32 - 1


def neighbour_projection(sources: list[HashSource], metric: int) -> Projection | None:
    """Return a projection for the nearest neighbours in L2; None for L1 or for few pairs."""
    if metric != SQUARED or not pays_to_fit(sources, _MIN_PAIRS):
        return None
    return Projection.fit(sample_of(sources, SAMPLE), MOST_AXES)


def neighbours_by_trees(
    queries: SearchTree,
    rows: SearchTree,
    k: int,
    limit: int,
    max_workers: int | None = 1,
    progress: bool = False,
) -> NDArray[np.int64] | None:
    """Return the k nearest rows of each hash of `queries`, or None if all distances are faster.

    If both are the same tree, a hash is no neighbour of itself. The result, (n, k), is in the
    order of the hashes, packed, ascending; where fewer than k rows lie within the limit,
    ``(limit + 1) * 2^32`` follows them.
    """
    search = NeighbourSearch(queries, rows, k, limit)
    if not search.pays():
        return None
    if queries is rows:
        found = NeighbourGraph(rows, k, limit).neighbours(max_workers, progress)
    else:
        spans = search.spans(parallel.worker_count(max_workers, None))
        mapped = parallel.ordered_map(search.neighbours, spans, max_workers=max_workers)
        answers = []
        with closing(mapped), parallel.progress_bar(progress, spans, "tasks") as bar:
            for answer in mapped:
                answers.append(answer)
                bar.update()
        found = np.concatenate(answers)
    neighbours = np.empty_like(found)
    neighbours[queries.order] = found
    return neighbours


class NeighbourSearch:
    """The rows nearest to each query."""

    def __init__(self, queries: SearchTree, rows: SearchTree, k: int, limit: int) -> None:
        self._own = queries is rows
        self._queries, self._rows, self._k, self._limit = queries.queries, rows, k, limit

    def spans(self, workers: int) -> list[tuple[int, int]]:
        """Return the spans of queries that are tasks for so many workers."""
        return spans_of(len(self._queries), SUPERBLOCK_ROWS, workers)

    def pays(self) -> bool:
        """Return whether the filter is faster than all distances, by the counts of some queries."""
        middle = len(self._queries) // 2 // BOX_QUERIES * BOX_QUERIES
        span = middle, min(len(self._queries), middle + _MEASURED)
        _, tested, computed = self._search(span)
        test, refine = costs()
        width: int = self._rows.hashes.shape[1]
        test *= self._queries.projection.n_axes / width
        return tested * test + computed * refine < (span[1] - span[0]) * len(self._rows)

    def neighbours(self, span: tuple[int, int]) -> NDArray[np.int64]:
        """Return the neighbours of a span of queries in the tree's order, (m, k), ascending.

        Where fewer than k rows lie within the limit, ``(limit + 1) * 2^32`` follows them.
        """
        heaps = self._search(span)[0]
        heaps.sort(axis=1)
        return heaps

    def _search(self, span: tuple[int, int]) -> tuple[NDArray[np.int64], int, int]:
        """Return the neighbours as heaps, and the numbers of pairs tested and computed."""
        first, last = span
        queries, rows = self._queries, self._rows
        heaps = np.full((last - first, self._k), (self._limit + 1) << 32, np.int64)
        hashes = checks.read_only(queries.hashes[queries.order[first:last]])
        compared = comparable_rows(hashes), comparable_rows(rows.ordered_hashes)
        points = queries.points[first : -(-last // BOX_QUERIES) * BOX_QUERIES]
        codes = queries.codes[first : first + len(points)]
        offsets = queries.offsets[first : first + len(points)]
        limits, box_limits = (np.zeros(len(points), np.int32) for _ in range(2))
        shifted = points[: last - first].view(np.uint8).reshape(-1, BOX_AXES)
        distances = rows.box_distances(shifted)
        remaining = np.argsort(distances, kind="stable").astype(np.int32)

        def refine(pairs: NDArray[np.int32], count: int, skipped: int) -> int:
            kernels.refine_nearest(first, skipped, *compared, rows.order, pairs, count, heaps)
            return count

        # First the rows beside a hash in the order of the tree, or those of the nearest boxes.
        numbers = np.arange(last - first, dtype=np.int32)[:, None]
        if self._own:
            skipped = max(_WINDOW, self._k)
            steps = np.arange(-skipped, skipped + 1, dtype=np.int32)
            places = first + numbers + steps[steps != 0]
        else:
            skipped, n_first = -1, -(-self._k // SUPERBLOCK_ROWS)
            places = places_of(remaining[:n_first], len(rows))[None]
            remaining = remaining[n_first:]
        pairs = pairs_inside(numbers, places, len(rows))
        computed = refine(pairs, len(pairs), min(skipped, 0))
        near = NearPairs((0, last - first), rows)
        searched = np.full(last - first, True)
        tested, size = 0, 1
        while True:
            within = np.minimum(self._limit, heaps[:, 0] >> 32)
            projected = queries.projection.limits(within, SQUARED, codes.shape[1])
            for query in np.flatnonzero(searched & (projected > MAX_PROJECTED)).tolist():
                number = int(rows.order[first + query]) if self._own else None
                heaps[query] = of_all_rows(rows.hashes, hashes[query], number, self._k, self._limit)
                searched[query] = False
                computed += len(rows)
            box = queries.projection.limits(within, SQUARED, BOX_AXES)
            box_limits[: last - first] = np.where(searched, box, -1)
            limits[: last - first] = np.where(searched, -(-projected // 2), 0)
            remaining = remaining[distances[remaining] <= box_limits.max()]
            if not len(remaining):
                return heaps, tested, computed
            place = 0
            batch = checks.read_only(remaining[:size])
            arrays = points, codes, box_limits, limits + offsets
            while place < len(batch):
                place, n_near, n_tested = near.find(arrays, batch, place)
                tested += n_tested
                computed += refine(near.pairs, n_near, skipped)
            remaining = remaining[size:]
            size *= 2


class NeighbourGraph:
    """The rows nearest to each row of a tree; each pair is tested once, for both.

    All boxes of 512 rows are searched in rounds: in each one, every box is compared with
    more of the boxes that follow it in the tree, the nearest first. The answer does not depend
    on the order in which threads do it: limits only become smaller, and those that a thread
    reads may be larger than necessary.
    """

    def __init__(self, rows: SearchTree, k: int, limit: int) -> None:
        self._rows, self._k, self._limit = rows, k, limit
        self._n_boxes = len(rows.superblocks)
        self._heaps = np.full((self._n_boxes * SUPERBLOCK_ROWS, k), (limit + 1) << 32, np.int64)
        self._heaps[len(rows) :] = -1
        self._skipped = max(_WINDOW, k)
        self._lock = Lock()
        # Of rows: limits for their boxes, and half of those for rows; the largest of each box.
        shape = self._n_boxes, SUPERBLOCK_ROWS
        self._box_limits, self._limits = (np.zeros(shape, np.int32) for _ in range(2))
        self._of_blocks = np.zeros((self._n_boxes, SUPERBLOCK_BLOCKS), np.int32)
        self._of_boxes = np.zeros(self._n_boxes, np.int32)

    def neighbours(self, max_workers: int | None, progress: bool) -> NDArray[np.int64]:
        """Return the neighbours of each place, (n, k), as `neighbours_by_trees` does."""
        tasks = [self._search_window]
        start, size = 0, 1
        while start < self._n_boxes:
            tasks.append(partial(self._search, start, start + size))
            start, size = start + size, 2 * size
        boxes, rows = range(self._n_boxes), self._rows
        n_tasks = range(len(tasks) * self._n_boxes)
        far: dict[int, NDArray[np.int64]] = {}
        with parallel.progress_bar(progress, n_tasks, "tasks") as bar:
            for task in tasks:
                mapped = parallel.ordered_map(task, boxes, max_workers=max_workers, wait=True)
                with closing(mapped):
                    for _ in mapped:
                        bar.update()
                if task is tasks[0]:
                    places = self._beyond_the_filter()
                    with closing(
                        parallel.ordered_map(
                            self._of_all, places, max_workers=max_workers, wait=True
                        )
                    ) as found:
                        far = dict(zip(places, found, strict=True))
        neighbours = self._heaps[: len(rows)]
        neighbours.sort(axis=1)
        for place, row in far.items():
            neighbours[place] = row
        return neighbours

    def _search_window(self, box: int) -> None:
        """Insert pairs of a box's rows with the rows that follow each in the tree."""
        rows = places_of(np.array([box]), len(self._rows))[:, None]
        steps = np.arange(1, self._skipped + 1, dtype=np.int32)
        pairs = pairs_inside(rows, rows + steps, len(self._rows))
        self._insert(pairs, len(pairs), 0)

    def _beyond_the_filter(self) -> list[int]:
        """Return, and mark, the places whose limits are beyond what the filter can test."""
        found: list[int] = []
        for box in range(self._n_boxes):
            projected = self._update_limits(np.array([box]))
            found += (np.flatnonzero(projected > MAX_PROJECTED) + box * SUPERBLOCK_ROWS).tolist()
        self._heaps[found] = -1
        return found

    def _of_all(self, place: int) -> NDArray[np.int64]:
        number = int(self._rows.order[place])
        hashes = self._rows.hashes
        return of_all_rows(hashes, hashes[number], number, self._k, self._limit)

    def _search(self, start: int, stop: int, box: int) -> None:
        """Insert the pairs of a box's rows with those of the nearest boxes `start` to `stop`."""
        first, last = box * SUPERBLOCK_ROWS, min(len(self._rows), (box + 1) * SUPERBLOCK_ROWS)
        queries = self._rows.queries
        points = queries.points[first:last].view(np.uint8).reshape(-1, BOX_AXES)
        distances = self._rows.box_distances(points)[box:]
        batch = np.argsort(distances, kind="stable")[start:stop]
        distances = distances[batch]
        batch += box
        self._update_limits(np.append(batch, box))
        limits = np.maximum(self._of_boxes[batch], self._of_boxes[box])
        near_boxes = checks.read_only(batch[distances <= limits].astype(np.int32))
        if not len(near_boxes):
            return
        near = NearPairs((first, last), self._rows, triangle=True)
        of_rows = self._limits.reshape(-1)
        arrays = queries.points, queries.codes, self._box_limits.reshape(-1), of_rows
        row_limits = queries.offsets, of_rows, self._of_blocks.reshape(-1), self._of_boxes
        place = 0
        while place < len(near_boxes):
            place, count, _ = near.find(arrays, near_boxes, place, row_limits)
            self._insert(near.pairs, count, self._skipped)

    def _insert(self, pairs: NDArray[np.int32], count: int, skipped: int) -> None:
        """Insert pairs of places, more than `skipped` apart, into the heaps of both."""
        distances = np.empty(count, np.int32)
        count = kernels.refine_mutual(
            skipped,
            comparable_rows(self._rows.ordered_hashes),
            pairs,
            count,
            self._heaps,
            distances,
        )
        if count:
            with self._lock:
                kernels.insert_mutual(self._rows.order, pairs, distances, count, self._heaps)

    def _update_limits(self, boxes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Compute the limits of the rows of boxes from their heaps; returns those in projection."""
        farthest = self._heaps[:, 0].reshape(-1, SUPERBLOCK_ROWS)[boxes] >> 32
        within, projection = np.clip(farthest, 0, self._limit), self._rows.projection
        projected: NDArray[np.int64] = projection.limits(within, SQUARED, projection.n_axes)
        projected[farthest < 0] = 0
        of_boxes = np.where(farthest < 0, -1, projection.limits(within, SQUARED, BOX_AXES))
        self._limits[boxes] = -(-projected // 2)
        self._box_limits[boxes] = of_boxes
        self._of_blocks[boxes] = of_boxes.reshape(len(boxes), -1, BLOCK_ROWS).max(axis=2)
        self._of_boxes[boxes] = of_boxes.max(axis=1)
        return projected


def places_of(boxes: NDArray[np.integer[Any]], n_rows: int) -> NDArray[np.int32]:
    """Return the places, below `n_rows`, in boxes of 512."""
    places = boxes[:, None] * SUPERBLOCK_ROWS + np.arange(SUPERBLOCK_ROWS)
    return places[places < n_rows].astype(np.int32)


def pairs_inside(
    queries: NDArray[np.int32], places: NDArray[np.int32], n_rows: int
) -> NDArray[np.int32]:
    """Return pairs, (n, 2), of arrays that broadcast together, with places from 0 to `n_rows`."""
    queries, places = np.broadcast_arrays(queries, places)
    inside = (places >= 0) & (places < n_rows)
    return np.stack([queries[inside], places[inside]], axis=1)


def of_all_rows(
    hashes: NDArray[np.uint8], query: NDArray[np.uint8], number: int | None, k: int, limit: int
) -> NDArray[np.int64]:
    """Return the neighbours of a query, (width,), from all distances, without hash `number`."""
    packed = np.full((1, k + (number is not None)), (limit + 1) << 32, np.int64)
    values = query.astype(np.int16 if len(query) == HASH_BYTES else np.int32)[None]
    scan.nearest_rows(hashes, 0, checks.read_only(values), packed)
    nearest = np.sort(packed[0])
    if number is not None:
        nearest = nearest[(nearest & _NUMBER != number) | (nearest >> 32 > limit)]
    return nearest[:k]
