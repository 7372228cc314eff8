"""Hashes compared in all eight orientations: of each pair, the nearest one counts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from photodna_nb import parallel
from photodna_nb.hashing.orientations import OF_PAIRS, ORIENTATIONS, oriented
from photodna_nb.hashing.orientations import orientations as all_orientations
from photodna_nb.pairs.blocks import PackedPairs
from photodna_nb.pairs.metrics import Metric, distance
from photodna_nb.pairs.search import found_neighbours, found_pairs

# Hashes whose eight orientations are searched at a time: 151 MB; and most of their neighbours in
# each one: 268 MB.
_SEARCHED, _MOST_NEIGHBOURS = 1 << 17, 1 << 22
# Pairs whose distances are computed at a time.
_COMPARED = 1 << 14
_INDEX = 2**32 - 1


def oriented_pairs(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8] | None,
    limit: int,
    metric: Metric,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> Generator[PackedPairs, None, None]:
    """Yield the pairs within a limit in any orientation, in chunks, as `found_pairs` does.

    A pair comes once for each orientation that is within the limit. Without `b`, a hash is no pair
    with itself, whatever its orientations are.
    """
    parallel.worker_count(max_workers, executor)
    options = max_workers, executor, progress
    if b is None:
        for orientation in OF_PAIRS:
            other = oriented(a, orientation) if orientation else None
            with closing(found_pairs(a, other, limit, metric, *options)) as chunks:
                for chunk in chunks:
                    i, j = np.minimum(chunk.i, chunk.j), np.maximum(chunk.i, chunk.j)
                    packed = (i << 32) + j
                    yield PackedPairs(packed[i != j], chunk.distances[i != j])
        return
    # The smaller side is searched in all orientations: a tree is made of each side.
    for start, variants in _variants(a if len(a) <= len(b) else b, _SEARCHED):
        queries, rows = (variants, b) if len(a) <= len(b) else (a, variants)
        with closing(found_pairs(queries, rows, limit, metric, *options)) as chunks:
            for chunk in chunks:
                i, j = chunk.i, chunk.j
                if len(a) <= len(b):
                    i = i // len(ORIENTATIONS) + start
                else:
                    j = j // len(ORIENTATIONS) + start
                yield PackedPairs((i << 32) + j, chunk.distances)


def oriented_neighbours(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8] | None,
    k: int,
    limit: int,
    metric: int,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> NDArray[np.int64]:
    """Return the k nearest rows of each query in its nearest orientation for each, packed.

    The arguments and the result are those of `found_neighbours`.
    """
    parallel.worker_count(max_workers, executor)
    rows = a if b is None else b
    # A hash may be near another orientation of itself, which does not count without `b`.
    wanted = min(len(rows), k + (b is None))
    beyond = (limit + 1) << 32
    neighbours = np.full((len(a), k), beyond, np.int64)
    size = min(_SEARCHED, max(1, _MOST_NEIGHBOURS // max(1, wanted)))
    for start, variants in _variants(a, size) if wanted else ():
        packed = found_neighbours(
            variants, rows, wanted, limit, metric, max_workers, executor, progress
        ).reshape(-1, len(ORIENTATIONS) * wanted)
        # Each row once, with its smallest distance, which comes first.
        by_row = np.sort((packed << 32) | (packed >> 32), axis=1)
        row, distances = by_row >> 32, by_row & _INDEX
        distances[:, 1:][row[:, 1:] == row[:, :-1]] = limit + 1
        if b is None:
            distances[row == np.arange(start, start + len(row))[:, None]] = limit + 1
        packed = np.where(distances > limit, beyond, (distances << 32) | row)
        packed.sort(axis=1)
        part = packed[:, :k]
        neighbours[start : start + len(part), : part.shape[1]] = part
    return neighbours


def nearest_orientations(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    metric: Metric,
    orientations: bool = True,
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return the squared L2 or L1 distance of rows of `a` and `b`, and the orientation of `a`'s.

    The smallest distance of the eight, and the first such orientation; or the identity.
    """
    nearest, orientation = np.empty(len(i), np.int32), np.zeros(len(i), np.int8)
    integer_metric: Metric = "manhattan" if metric == "manhattan" else "sqeuclidean"
    for start in range(0, len(i), _COMPARED):
        part = slice(start, start + _COMPARED)
        queries, rows = a[i[part]], b[j[part]]
        distances = [
            distance(oriented(queries, number), rows, integer_metric)
            for number in range(len(ORIENTATIONS) if orientations else 1)
        ]
        orientation[part] = np.argmin(distances, axis=0)
        nearest[part] = np.min(distances, axis=0)
    return nearest, orientation


def _variants(hashes: NDArray[np.uint8], size: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield all orientations of so many hashes at a time, and the row of the first."""
    for start in range(0, len(hashes), size):
        part = hashes[start : start + size]
        yield start, all_orientations(part).reshape(-1, part.shape[1])
