"""Pairs within a limit and nearest neighbours, as tasks on threads or on any executor.

Hashes in memory become trees, which the tasks of all threads search. A task of an executor, or
one that reads files, takes two chunks of hashes and searches the trees of these. Where the
filter does not pay, a task compares all pairs of two chunks in tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from photodna_nb import parallel
from photodna_nb.kernels import distance as kernels
from photodna_nb.pairs.blocks import (
    MAX_PAIRS_OF_TASK,
    Hashes,
    OrderedLabels,
    PackedPairs,
    PairBlock,
    PairBlocks,
)
from photodna_nb.pairs.filter_search import PairSearch, pair_projection
from photodna_nb.pairs.metrics import Metric
from photodna_nb.pairs.neighbour_search import neighbour_projection, neighbours_by_trees
from photodna_nb.pairs.packing import kernel_metric
from photodna_nb.pairs.projection import Projection
from photodna_nb.pairs.search_tree import SearchTree
from photodna_nb.pairs.source import HashSource, hash_sources

# Rows of the chunks of which a task makes trees, and tasks a worker: few, since each makes trees.
_TREE_ROWS, _TREE_TASKS = 1 << 16, 2
# Hashes in files are loaded where threads search them, up to so many bytes.
_LOADED_BYTES = 1_440_000_000
# Pairs in the answer of a task that searches trees, before its queries are divided.
_MAX_PAIRS_OF_SPAN = 1 << 20


def found_pairs(
    a: Hashes | HashSource,
    b: Hashes | HashSource | None,
    limit: int,
    metric: Metric,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
    labels: NDArray[np.int32] | None = None,
) -> Generator[PackedPairs, None, None]:
    """Yield the pairs within a limit in chunks of bounded size, none empty.

    Parameters
    ----------
    limit : int
        Largest squared L2, L1 or Hamming distance, inclusive.
    a, b, metric, max_workers, executor, progress
        As in `pairs_within`.
    labels : ndarray of int32, optional
        Labels of the rows of `a` and of as many of `b`. Pairs with one label are not needed, and
        most are left out. The caller may give more pairs one label between two chunks.

    Yields
    ------
    PackedPairs
        The chunks come in an order that depends on the number of workers, and on nothing else.
        Close the generator to stop the work.
    """
    sources = hash_sources(a, b)
    number = kernel_metric(metric)
    projection = pair_projection(sources, limit, number)
    of_block = partial(_pairs_of_block, projection, number, limit)
    both = None if labels is None else (labels, labels)
    chunks: Generator[PackedPairs, None, None]
    if executor is None and projection is not None:
        sources = _loaded(sources)
    if projection is None or not _in_memory(sources):
        blocks = _blocks(sources, max_workers, executor, projection)
        chunks = blocks.map_bounded(of_block, progress, both)
    else:
        trees = _trees(sources, projection, max_workers if executor is None else None)
        search = PairSearch(trees[0], trees[-1], number, limit, both)
        if executor is None:
            spans = search.spans(parallel.worker_count(max_workers, None))
            chunks = _pairs_of_spans(search, spans, max_workers, progress)
        else:
            ordered = [
                HashSource(0, len(tree), tree.hashes[tree.order], sources[0].length)
                for tree in trees
            ]
            blocks = _blocks(ordered, max_workers, executor, projection, search.is_near)
            of_places = both and [OrderedLabels(both[0], tree.order) for tree in trees]
            in_order = blocks.map_bounded(of_block, progress, of_places)
            chunks = (search.renumbered(chunk) for chunk in in_order)
    with closing(chunks):
        yield from (chunk for chunk in chunks if len(chunk.packed))


def found_neighbours(
    a: Hashes | HashSource,
    b: Hashes | HashSource | None,
    k: int,
    limit: int,
    metric: int,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    *,
    filtered: bool = True,
) -> NDArray[np.int64]:
    """Return the k nearest rows of each query within a limit, each packed into one integer.

    Parameters
    ----------
    k : int
        At least 1.
    limit : int
        Largest squared L2 or L1 distance, inclusive; the lower, the faster.
    metric : int
        Metric, as the kernels take it.
    a, b, max_workers, executor, progress
        As in `found_pairs`.
    filtered : bool
        Whether to try the filter, for which trees are made of both sides.

    Returns
    -------
    ndarray of int64, (n, k)
        Packed neighbours, distance * 2^32 + row, ascending; where fewer than k rows lie within
        the limit, ``(limit + 1) * 2^32`` follows them.
    """
    sources = hash_sources(a, b)
    projection = neighbour_projection(sources, metric) if filtered else None
    if executor is None and projection is not None:
        sources = _loaded(sources)
    if projection is not None and executor is None and _in_memory(sources):
        trees = _trees(sources, projection, max_workers)
        found = neighbours_by_trees(trees[0], trees[-1], k, limit, max_workers, progress)
        if found is not None:
            return found
        projection = None
    neighbours = np.full((sources[0].count, k), (limit + 1) << 32, np.int64)
    blocks = _blocks(sources, max_workers, executor, projection)
    of_block = partial(_neighbours_of_block, projection, metric, k)
    # Of the queries and, where these are not the rows, of the rows, which need no neighbours.
    limits = [np.full(source.count, limit, np.int32) for source in sources]
    for parts in blocks.map(of_block, progress, limits):
        for start, candidates in parts:
            merged = neighbours[start : start + len(candidates)]
            merged[...] = np.sort(np.concatenate([merged, candidates], axis=1), axis=1)[:, :k]
            # Later tasks look for nearer neighbours only.
            limits[0][start : start + len(candidates)] = np.minimum(limit, merged[:, -1] >> 32)
    return neighbours


def _in_memory(sources: list[HashSource]) -> bool:
    return not any(isinstance(source.data, tuple) for source in sources)


def _loaded(sources: list[HashSource]) -> list[HashSource]:
    """Return sources in memory, if they are not too large."""
    if sum(source.count * source.length for source in sources) > _LOADED_BYTES:
        return sources
    return [HashSource(0, source.count, source.load(), source.length) for source in sources]


def _trees(
    sources: list[HashSource], projection: Projection, max_workers: int | None
) -> list[SearchTree]:
    return [SearchTree.build(source.load(), projection, max_workers) for source in sources]


def _blocks(
    sources: list[HashSource],
    max_workers: int | None,
    executor: Executor | None,
    projection: Projection | None,
    is_near: Callable[[HashSource, HashSource], bool] | None = None,
) -> PairBlocks:
    sides = sources[0], sources[1] if len(sources) > 1 else None
    if projection is None:
        return PairBlocks(*sides, max_workers, executor)
    return PairBlocks(*sides, max_workers, executor, _TREE_ROWS, _TREE_TASKS, is_near)


def _pairs_of_spans(
    search: PairSearch, spans: list[tuple[int, int]], max_workers: int | None, progress: bool
) -> Generator[PackedPairs, None, None]:
    """Yield the pairs of each span; one with too many pairs is divided."""
    of_span = partial(search.pairs, max_pairs=_MAX_PAIRS_OF_SPAN)
    with (
        closing(parallel.ordered_map(of_span, spans, max_workers=max_workers)) as answers,
        parallel.progress_bar(progress, spans, "tasks") as bar,
    ):
        for span, answer in zip(spans, answers, strict=True):
            if answer is None:
                yield from _pairs_of_spans(search, search.divided(span), max_workers, False)
            else:
                yield answer
            bar.update()


def _block_trees(block: PairBlock, projection: Projection) -> tuple[SearchTree, SearchTree]:
    queries = SearchTree.build(block.queries.load(), projection)
    if block.triangle:
        return queries, queries
    return queries, SearchTree.build(block.database.load(), projection)


def _pairs_of_block(
    projection: Projection | None,
    metric: int,
    limit: int,
    block: PairBlock,
    *labels: NDArray[np.int32],
) -> PackedPairs | None:
    """Return the pairs of a block within a limit, or None if they are too many for one task.

    labels: of the queries and of the rows; a pair with one label is not needed.
    """
    if labels and all((side == labels[0][0]).all() for side in labels):
        return PackedPairs(np.empty(0, np.int64), np.empty(0, np.int32))
    starts = block.queries.start, block.database.start
    sizes = block.queries.count, block.database.count
    if projection is None or sizes[0] * sizes[1] <= MAX_PAIRS_OF_TASK:
        pairs = np.empty((MAX_PAIRS_OF_TASK, 3), np.int64)
        count = kernels.within(
            block.triangle,
            np.int32(limit),
            block.pack(metric),
            *sizes,
            pairs,
        )
        if count > MAX_PAIRS_OF_TASK:
            return None
        i, j, distances = pairs[:count].T
        found = PackedPairs((i << 32) + j, distances.astype(np.int32))
        if labels:
            found = found.between(*labels)
        return found._replace(packed=found.packed + ((starts[0] << 32) + starts[1]))
    of_sides = (labels[0], labels[1]) if labels else None
    search = PairSearch(*_block_trees(block, projection), metric, limit, of_sides)
    answers: list[PackedPairs] = []
    count = 0
    for span in search.spans(1):
        answer = search.pairs(span, MAX_PAIRS_OF_TASK)
        if answer is None or (count := count + len(answer.packed)) > MAX_PAIRS_OF_TASK:
            return None
        answers.append(answer)
    packed, distances = map(np.concatenate, zip(*answers, strict=True))
    return PackedPairs(packed + ((starts[0] << 32) + starts[1]), distances)


def _neighbours_of_block(
    projection: Projection | None,
    metric: int,
    k: int,
    block: PairBlock,
    query_limits: NDArray[np.int32],
    row_limits: NDArray[np.int32],
) -> list[tuple[int, NDArray[np.int64]]]:
    """Return the neighbours of the queries and, if symmetric, of the rows, with their starts.

    They lie within the limits; where there are fewer than k, other numbers follow them.
    """
    sides = block.database, block.queries
    starts = [side.start for side in sides]
    # A side has no more neighbours in this block than the other side has rows.
    widths = [max(1, min(k, side.count)) for side in reversed(sides)]
    if projection is not None:
        trees = _block_trees(block, projection)
        directions = [(1, trees, int(query_limits.max()))]
        if block.symmetric and not block.triangle:
            directions.append((0, trees[::-1], int(row_limits.max())))
        answers = []
        for side, (queries, rows), limit in directions:
            found = neighbours_by_trees(queries, rows, widths[side], limit)
            if found is None:
                break
            found[found >> 32 <= limit] += starts[1 - side]
            answers.append((starts[side], found))
        else:
            return answers
    neighbours = [
        np.repeat((limits.astype(np.int64) + 1)[:, None] << 32, width, axis=1)
        for limits, width in zip((row_limits, query_limits), widths, strict=True)
    ]
    kernels.nearest(
        block.triangle,
        block.symmetric,
        block.pack(metric),
        *starts,
        *neighbours,
    )
    return list(zip(starts, neighbours, strict=True))[0 if block.symmetric else 1 :]
