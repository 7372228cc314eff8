"""The components of the graph whose edges are the pairs of hashes within a limit.

No pair is kept: each joins two components, so that memory does not grow with their number. Pairs
of hashes that are joined already are not computed where a whole box of rows is.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.checks import HASH_BYTES
from photodna_nb.hashing.orientations import OF_PAIRS, ORIENTATIONS, oriented
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels.components import join
from photodna_nb.kernels.register_tile import TILE_QUERIES
from photodna_nb.pairs.metrics import Metric
from photodna_nb.pairs.packing import kernel_metric, pack_database, pack_queries
from photodna_nb.pairs.search import found_pairs

# Members, and rows of their components, that a task compares.
_QUERIES, _ROWS = 1024, 4096
# Hashes that are compared with their neighbours in an order at a time.
_COMPARED = 1 << 16
# Odd numbers whose products with the words of a hash are added up to a key.
_FACTORS = np.random.default_rng(17).integers(2**63, size=HASH_BYTES // 8, dtype=np.uint64) * 2 + 1


def distinct(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each distinct hash, ascending, and the number of each row's hash.

    Rows that are equal may have several numbers, in hashes that were made for that.
    """
    keys = checks.read_only(hashes).view(np.uint64) @ _FACTORS
    order = np.argsort(keys, kind="stable")
    equal = np.append(False, keys[order[1:]] == keys[order[:-1]])[: len(order)]
    candidates = np.flatnonzero(equal)
    for start in range(0, len(candidates), _COMPARED):
        places = candidates[start : start + _COMPARED]
        equal[places] = (hashes[order[places]] == hashes[order[places - 1]]).all(axis=1)
    first = order[~equal]
    by_row = np.argsort(first)
    numbers = np.empty_like(first)
    numbers[by_row] = np.arange(len(first))
    number = np.empty_like(order)
    number[order] = numbers[np.cumsum(~equal) - 1]
    return first[by_row], number


def components(
    hashes: NDArray[np.uint8],
    limit: int,
    metric: Metric,
    orientations: bool,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> NDArray[np.int32]:
    """Return the smallest row of the component of each hash.

    Parameters
    ----------
    hashes : ndarray of uint8, (n, 144)
        Hashes; fast if they are distinct.
    limit : int
        Largest squared L2 or L1 distance of the pairs, inclusive.
    orientations : bool
        Whether the nearest of a pair's eight orientations counts.
    metric, max_workers, executor, progress
        As in `pairs_within`.
    """
    labels = np.arange(len(hashes), dtype=np.int32)
    for orientation in OF_PAIRS if orientations else OF_PAIRS[:1]:
        other = oriented(hashes, orientation) if orientation else None
        pairs = found_pairs(hashes, other, limit, metric, max_workers, executor, progress, labels)
        n_joined = 0
        with closing(pairs):
            for chunk in pairs:
                join(labels, checks.read_only(chunk.packed))
                n_joined += len(chunk.packed)
                if n_joined >= len(labels):  # labels of which a search may see that they are one
                    n_joined = 0
                    _shorten(labels)
        _shorten(labels)
    return labels


def largest_distances(
    hashes: NDArray[np.uint8],
    labels: NDArray[np.int32],
    metric: Metric,
    orientations: bool,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> NDArray[np.int32]:
    """Return the largest distance inside each component, squared L2 or L1, at its smallest row.

    Parameters
    ----------
    hashes, metric, orientations, max_workers, executor, progress
        As in `components`.
    labels : ndarray of int32, (n,)
        Smallest row of the component of each hash.
    """
    counts = np.bincount(labels, minlength=len(labels))
    members = np.flatnonzero(counts[labels] > 1)
    members = members[np.argsort(labels[members], kind="stable")]
    stops = np.searchsorted(labels[members], labels[members], side="right")
    queries = range(0, len(members), _QUERIES)
    spans = [
        (first, row)
        for first in queries
        for row in range(first, int(stops[min(first + _QUERIES, len(members)) - 1]), _ROWS)
    ]

    def tasks() -> Iterator[_Task]:
        for first, row in spans:
            stops_of_queries = stops[first : first + _QUERIES] - first
            rows = members[row : min(row + _ROWS, first + int(stops_of_queries[-1]))]
            own = hashes[members[first : first + _QUERIES]]
            yield _Task(own, hashes[rows], row - first, stops_of_queries)

    largest = np.zeros(len(labels), np.int32)
    function = partial(_largest_of_task, kernel_metric(metric), orientations)
    with (
        closing(
            parallel.ordered_map(function, tasks(), max_workers=max_workers, executor=executor)
        ) as answers,
        parallel.progress_bar(progress, spans, "blocks") as bar,
    ):
        for (first, _), distances in zip(spans, answers, strict=True):
            of_queries = labels[members[first : first + _QUERIES]]
            np.maximum.at(largest, of_queries, distances)
            bar.update()
    return largest


def _shorten(labels: NDArray[np.int32]) -> None:
    """Make the smallest row of a component the label of all."""
    while (labels[labels] != labels).any():
        labels[:] = labels[labels]


class _Task(NamedTuple):
    """Consecutive members, and some of the rows behind them: see `kernels.farthest`."""

    queries: NDArray[np.uint8]
    rows: NDArray[np.uint8]
    first_row: int
    stops: NDArray[np.int64]


def _largest_of_task(metric: int, orientations: bool, task: _Task) -> NDArray[np.int32]:
    """Return the largest distance of each query."""
    database, database_squares = pack_database(task.rows, metric)
    missing = np.zeros((-len(task.queries) % TILE_QUERIES, HASH_BYTES), np.uint8)
    queries = np.concatenate([task.queries, missing])
    n_orientations = len(ORIENTATIONS) if orientations else 1
    variants = [oriented(queries, orientation) for orientation in range(n_orientations)]
    packed, squares = pack_queries(np.concatenate(variants), metric)
    block: tuple[NDArray[Any], ...] = database, packed, database_squares, squares
    distances = np.zeros(len(task.queries), np.int32)
    kernels.farthest(
        block,
        n_orientations,
        len(task.rows),
        task.first_row,
        checks.read_only(task.stops),
        distances,
    )
    return distances
