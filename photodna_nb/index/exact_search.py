"""The nearest rows to queries, exactly, over the parts of an index.

FAISS is not asked: its range search is strict, unsorted and in floating point, and over
uint8 codes it takes longer than the kernels here by two orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.index.faiss_file import Lists, RowShard
from photodna_nb.kernels import scan as kernels
from photodna_nb.pairs import all_pairs
from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED

# So many queries pay for laying rows out in blocks, if each asks for few neighbours.
_QUERIES_OF_A_BLOCK, _K_OF_A_BLOCK = 48, 64
# SearchRows that a task goes through, and keys that are held for the queries at a time.
_ROWS_A_TASK = 1 << 16
_KEYS_AT_ONCE = 1 << 22
_POSITION = 2**32 - 1

PackedNeighbours = NDArray[np.int64]


class RowMatches(NamedTuple):
    """The answers to one query: squared distances (m,) int64, and ids (m,) int64, in order."""

    distances: NDArray[np.int64]
    ids: NDArray[np.int64]


class _Task(NamedTuple):
    """SearchRows to compare with some of the queries; `first` numbers the rows of all parts."""

    part: RowShard
    start: int
    stop: int
    first: int
    which: NDArray[np.int64]


def closest(
    parts: Sequence[RowShard],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
    lists: Lists | None = None,
    nprobe: int | None = None,
) -> list[RowMatches]:
    """Return, for each query, the `k` nearest rows within a limit, ties to the lower id.

    Parameters
    ----------
    parts : sequence of RowShard
        All rows. Ids ascend within a part and, unless there are lists, from part to part.
    queries : ndarray of uint8, (q, 144)
        Hashes.
    k : int
        At least 1.
    limit : int
        The largest squared distance, inclusive.
    lists : Lists, optional
        The first parts are these lists, of which each query looks into the nearest ones,
        and into all parts after them: the answer is approximate.
    nprobe : int, optional
        How many lists, instead of what `lists` says.
    """
    firsts = np.cumsum([0] + [part.count for part in parts])
    total = int(firsts[-1])
    k = min(k, total)
    if not k or not len(queries):
        nothing = np.empty(0, np.int64)
        return [RowMatches(nothing, nothing)] * len(queries)
    queries = checks.read_only(queries)
    if lists is None and len(queries) >= _QUERIES_OF_A_BLOCK and k <= _K_OF_A_BLOCK:
        keys = list(_keys_by_blocks(parts, firsts, queries, k, limit))
    else:
        keys = []
        most = min(2 * k, total)
        for start in range(0, len(queries), max(1, _KEYS_AT_ONCE // most)):
            some = queries[start : start + max(1, _KEYS_AT_ONCE // most)]
            keys += _keys_by_rows(parts, firsts, some, k, limit, lists, nprobe)
    return [_found(parts, firsts, some) for some in keys]


def _keys_by_blocks(
    parts: Sequence[RowShard],
    firsts: NDArray[np.int64],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
) -> Iterator[PackedNeighbours]:
    gathered = []
    for part, first in zip(parts, firsts.tolist(), strict=False):
        if part.count:
            keys = all_pairs.packed_neighbours(queries, part.rows, min(k, part.count), limit)
            gathered.append(keys + first)
    keys = np.sort(np.concatenate(gathered, axis=1), axis=1)[:, :k]
    for row in keys:
        yield row[row >> 32 <= limit]


def _keys_by_rows(
    parts: Sequence[RowShard],
    firsts: NDArray[np.int64],
    queries: NDArray[np.uint8],
    k: int,
    limit: int,
    lists: Lists | None,
    nprobe: int | None,
) -> list[PackedNeighbours]:
    tasks = list(_tasks(parts, firsts, queries, lists, nprobe))
    search = partial(_keys_of, queries.astype(np.int16), k, limit)
    rows = sum(task.stop - task.start for task in tasks)
    # A thread is not worth its start for less.
    each = parallel.ordered_map(search, tasks) if rows > 2 * _ROWS_A_TASK else map(search, tasks)
    gathered = [[np.empty(0, np.int64)] for _ in queries]
    for task, found in zip(tasks, each, strict=True):
        for q, keys in zip(task.which.tolist(), found, strict=True):
            gathered[q].append(keys)
    return [np.sort(np.concatenate(some))[:k] for some in gathered]


def _tasks(
    parts: Sequence[RowShard],
    firsts: NDArray[np.int64],
    queries: NDArray[np.uint8],
    lists: Lists | None,
    nprobe: int | None,
) -> Iterator[_Task]:
    everyone = np.arange(len(queries))
    looking: dict[int, NDArray[np.int64]] = dict.fromkeys(range(len(parts)), everyone)
    if lists is not None:
        number = len(lists.centroids)
        centroids = RowShard.of(lists.centroids, np.arange(number))
        near = closest([centroids], queries, nprobe or lists.nprobe, MAX_DISTANCE_SQUARED)
        chosen = np.concatenate([found.ids for found in near])
        order = np.argsort(chosen, kind="stable")
        who = np.repeat(everyone, [len(found.ids) for found in near])[order]
        used, starts = np.unique(chosen[order], return_index=True)
        looking = dict(zip(used.tolist(), np.split(who, starts[1:]), strict=True))
        looking |= dict.fromkeys(range(number, len(parts)), everyone)
    for place, which in looking.items():
        part, first = parts[place], int(firsts[place])
        for start in range(0, part.count, _ROWS_A_TASK):
            stop = min(part.count, start + _ROWS_A_TASK)
            yield _Task(part, start, stop, first + start, checks.read_only(which))


def _keys_of(queries: NDArray[np.int16], k: int, limit: int, task: _Task) -> list[PackedNeighbours]:
    """Return the keys that the rows of a task give to each of its queries."""
    rows = checks.read_only(task.part.rows[task.start : task.stop])
    some = checks.read_only(queries[task.which])
    number = len(some)
    bounds = np.full(number, limit, np.int32)
    counts = np.zeros(number, np.int64)
    keys = np.empty((number, min(2 * k, len(rows))), np.int64)
    kernels.nearest_rows(rows, task.first, some, k, bounds, counts, keys)
    return [row[:count] for row, count in zip(keys, counts.tolist(), strict=True)]


def _found(
    parts: Sequence[RowShard], firsts: NDArray[np.int64], keys: PackedNeighbours
) -> RowMatches:
    positions = keys & _POSITION
    ids = np.empty(len(keys), np.int64)
    places = np.searchsorted(firsts, positions, side="right") - 1
    for place in np.unique(places).tolist():
        here = places == place
        ids[here] = parts[place].ids[positions[here] - firsts[place]]
    distances = keys >> 32
    order = np.lexsort((ids, distances))
    return RowMatches(distances[order], ids[order])
