"""All pairs of many hashes: matrices, neighbours and counts, in exact integers.

Nothing here holds a matrix but `distance_matrix`. The others go through blocks of
pairs, each a task that loads what it needs, on threads or on any executor.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodna_nb import checks, parallel
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.files import PathLike
from photodna_nb.kernels import distance as kernels
from photodna_nb.pairs.metrics import Limit, Metric, checked_metric, largest_integer
from photodna_nb.pairs.source import Rows, pieces_of, rows_of
from photodna_nb.tables.table import HashTable

Hashes = NDArray[np.uint8] | HashTable | PathLike | Sequence[PathLike]
Road = Literal["portable", "avx512"]
Result = TypeVar("Result")

# Rows of a block's sides, at least and at most: a task costs as much as some hundred
# rows squared, and laying a block out takes 1 % of comparing it at the upper end.
_LEAST_ROWS, _BLOCK_ROWS = 1024, 8192
# Of a matrix: a fraction of a second, so that Ctrl-C is prompt.
_PAIRS_A_TASK = 2**28
_ROADS: dict[str, int] = {"portable": kernels.PORTABLE, "avx512": kernels.AVX512}
# A matrix of more bytes does not fit into a processor's cache.
_CACHED_BYTES = 16 << 20
# More than any distance; and the lower half of a key, or of a pair in one number.
_NO_KEY = 2**62
_INDEX = 2**32 - 1


class Pairs(NamedTuple):
    """Pairs of hashes, sorted by i and then j.

    i, j : ndarray of int64, (p,)
        Rows of `a` and of `b`; without `b`, i < j.
    distance : ndarray, (p,)
        float64 for "euclidean", int32 otherwise.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    distance: NDArray[Any]


class Neighbours(NamedTuple):
    """The nearest hashes, nearest first, of equal ones the lower index first.

    indices : ndarray of int64, (n, k)
        Rows of `b` or, without it, of `a`.
    distances : ndarray, (n, k)
        float64 for "euclidean", int32 otherwise.
    """

    indices: NDArray[np.int64]
    distances: NDArray[Any]


@dataclass(frozen=True, eq=False)
class DistanceHistogram:
    """How many pairs lie how far apart.

    Attributes
    ----------
    metric : str
        Of the distances.
    limits : ndarray, (k,)
        Increasing distances.
    counts : ndarray of int64, (k,)
        Pairs with ``limits[i - 1] < distance <= limits[i]``, all those up to the first
        limit in the first count. Their running sum is how many match at each limit.
    same : ndarray of int64, (k,), or None
        With groups: those of `counts` whose two hashes are of one group (genuine).
    pairs, same_pairs : int
        All pairs, and those inside groups (0 without), with those beyond the last limit.
    """

    metric: Metric
    limits: NDArray[Any]
    counts: NDArray[np.int64]
    same: NDArray[np.int64] | None
    pairs: int
    same_pairs: int

    @property
    def different(self) -> NDArray[np.int64]:
        """Those of `counts` whose two hashes are of two groups (impostor), (k,) int64."""
        return self.counts if self.same is None else self.counts - self.same


class _Block(NamedTuple):
    """Pairs that a task compares: all of two parts, or those of one part with itself."""

    queries: Rows
    database: Rows
    triangle: bool
    both: bool  # whether its pairs are also those of the database's rows with the queries

    @property
    def pairs(self) -> int:
        if self.triangle:
            return self.queries.count * (self.queries.count - 1) // 2
        return self.queries.count * self.database.count


def road() -> Road:
    """Return by which instructions distances are computed in this process.

    Returns
    -------
    {"portable", "avx512"}
        AVX-512 VNNI where Numba compiles for a processor that has it, which
        ``NUMBA_CPU_NAME=generic`` keeps it from, and else loops for any processor.
        Both give the same integers. The environment variable ``PHOTODNA_NB_ROAD``
        forces the one or the other.

    Raises
    ------
    ArgumentError
        The variable names no road, or one that this processor lacks.
    """
    able: list[Road] = ["portable", "avx512"] if kernels.has_avx512() else ["portable"]
    forced = os.environ.get("PHOTODNA_NB_ROAD") or able[-1]
    for way in able:
        if way == forced:
            return way
    raise ArgumentError(
        f"PHOTODNA_NB_ROAD: got {forced!r}, needs 'portable'"
        + (" or 'avx512'" if len(able) > 1 else "; this process cannot use AVX-512 VNNI")
    )


def distance_matrix(
    a: Hashes,
    b: Hashes | None = None,
    metric: Metric = "euclidean",
    *,
    out: NDArray[Any] | None = None,
    max_workers: int | None = None,
) -> NDArray[Any]:
    """Return the distances of all hashes in `a` from all in `b`.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes; without `b`, `a` once more. A path ends with ``.npy``, or with ``.npz``
        for a table that `HashTable.save` wrote.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        As `distance` takes it.
    out : ndarray, (n, m), optional
        Where to write them, of the dtype below.
    max_workers : int, optional
        Threads, the number of processors if left out.

    Returns
    -------
    ndarray, (n, m)
        int32 for "sqeuclidean" and "manhattan", exact; float32 for "euclidean", the
        correctly rounded root of the exact integer.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Takes 4 bytes a pair. `pairs_within`, `nearest` and `distance_histogram` take none.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = np.zeros((2, 144), np.uint8)
    >>> hashes[1, :2] = 3, 4
    >>> distance_matrix(hashes)
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    kind = _kernel_metric(metric)
    queries = rows_of("a", a).load()
    database = queries if b is None else rows_of("b", b).load()
    shape = (len(queries), len(database))
    dtype = np.float32 if metric == "euclidean" else np.int32
    if out is None:
        out = np.empty(shape, dtype)
    checks.array("out", out, dtype, shape)
    if not out.flags.writeable:
        raise ArgumentError("out: got a read-only array, needs one that can be written")
    written = out if out.flags.c_contiguous else np.empty(shape, dtype)
    aligned = written.ctypes.data % 16 == 0 and shape[1] % 4 == 0
    streamed = kernels.compiled() and aligned and written.nbytes > _CACHED_BYTES
    way = _ROADS[road()]
    laid, squares = _laid_out(kernels.database_of, database, kernels.STRIPE, way, kind)

    def fill(first: int) -> None:
        some = queries[first : first + rows]
        ready, ready_squares = _laid_out(kernels.queries_of, some, kernels.QUERIES, way, kind)
        part = written[first : first + rows]
        root = metric == "euclidean"
        kernels.matrix(way, kind, root, streamed, (laid, ready, squares, ready_squares), part)

    workers = parallel.worker_count(max_workers, None)
    tasks = max(1 if workers == 1 else 4 * workers, written.size // _PAIRS_A_TASK)
    rows = max(kernels.QUERIES, math.ceil(shape[0] / tasks))
    if all(shape):
        with closing(
            parallel.ordered_map(fill, range(0, shape[0], rows), max_workers=max_workers, wait=True)
        ) as done:
            for _ in done:
                pass
    if written is not out:
        out[...] = written
    return out


def pairs_within(
    a: Hashes,
    b: Hashes | None = None,
    *,
    max_distance: Limit,
    metric: Metric = "euclidean",
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Pairs:
    """Return every pair of hashes that lies at most so far apart.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes; without `b`, the pairs inside `a`, each once. Paths as in
        `distance_matrix`; each task reads the rows that it needs.
    max_distance : float, int, str, Decimal or Fraction
        In units of the metric, at least 0, inclusive and exact: see `limit_squared`.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        As `distance` takes it.
    max_workers : int, optional
        Threads, the number of processors if left out.
    executor : concurrent.futures.Executor, optional
        Where the pairs are compared instead, as in `hash_files`.
    progress : bool
        Whether to show a bar, in a terminal or a notebook.

    Returns
    -------
    Pairs
        Arrays i, j and distance.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Memory grows with the pairs that are found, not with n x m.
    """
    kind = _kernel_metric(metric)
    limit = largest_integer("max_distance", max_distance, metric)
    work = partial(_within_block, kind, limit)
    blocks = _Blocks(a, b, max_workers, executor)
    found = [some for some in blocks.done(work, progress) if len(some[0])]
    found.append((np.empty(0, np.int64), np.empty(0, np.int32)))
    both, distances = map(np.concatenate, zip(*found, strict=True))
    order = np.argsort(both)
    both = both[order]
    return Pairs(both >> 32, both & _INDEX, _distances(distances[order], metric))


def nearest(
    a: Hashes,
    b: Hashes | None = None,
    k: int = 1,
    *,
    metric: Metric = "euclidean",
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Neighbours:
    """Return the k nearest hashes in `b` of every hash in `a`.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes; without `b`, the others in `a`, so that none is its own neighbour.
    k : int
        From 1 to the number of hashes to choose from.
    metric, max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    Neighbours
        Arrays indices and distances, (n, k).

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Exact; ties go to the lower index. Made for a k of some tens: the time of keeping
    a neighbour grows with k. For all of them, sort a `distance_matrix`.
    """
    kind = _kernel_metric(metric)
    if not isinstance(k, int | np.integer) or isinstance(k, bool):
        raise ArgumentTypeError(f"k: got {describe(k)}, needs an integer")
    blocks = _Blocks(a, b, max_workers, executor)
    choice = blocks.columns - (b is None)
    if k < 1 or (blocks.rows and k > choice):
        span = f"1 to {choice}, the number of" if choice > 0 else "1 and some"
        raise ArgumentError(f"k: got {k}, needs {span} other hashes to choose from")
    keys = _nearest_keys(blocks, kind, int(k), _NO_KEY, progress)
    return Neighbours(keys & _INDEX, _distances(keys >> 32, metric))


def nearest_keys(
    queries: NDArray[np.uint8], rows: NDArray[np.uint8], k: int, limit: int
) -> NDArray[np.int64]:
    """Return the k nearest rows within a limit, which is faster than `nearest` the less there are.

    Parameters
    ----------
    queries, rows : ndarray of uint8, (n, 144) and (m, 144)
        Hashes.
    k : int
        From 1 to m.
    limit : int
        The largest squared L2 distance, inclusive.

    Returns
    -------
    ndarray of int64, (n, k)
        Keys, squared distance * 2^32 + row, ascending; as many of ``(limit + 1) * 2^32``
        at the end as there are rows too few.
    """
    blocks = _Blocks(queries, rows, None, None)
    return _nearest_keys(blocks, kernels.SQUARED, k, (limit + 1) << 32, False)


def _nearest_keys(
    blocks: _Blocks, kind: int, k: int, nothing: int, progress: bool
) -> NDArray[np.int64]:
    """Return sorted keys, distance * 2^32 + index, of the k nearest, less than `nothing`."""
    keys = np.full((blocks.rows, k), nothing, np.int64)
    for found in blocks.done(partial(_nearest_block, kind, k, nothing), progress):
        for start, some in found:
            held = keys[start : start + len(some)]
            held[...] = np.sort(np.concatenate([held, some], axis=1), axis=1)[:, :k]
    return keys


def distance_histogram(
    a: Hashes,
    b: Hashes | None = None,
    *,
    groups: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    metric: Metric = "euclidean",
    bins: Sequence[Limit] | NDArray[Any] | None = None,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> DistanceHistogram:
    """Return how many pairs of hashes lie how far apart, exactly.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes; without `b`, the pairs inside `a`, each once.
    groups : array of n integers or strings, optional
        What each hash shows; with `b` a pair of arrays, of n and of m. Pairs inside a
        group are counted apart as well: genuine pairs where a group is the variants
        of one image.
    bins : sequence of numbers, optional
        Increasing upper limits, inclusive and exact as in `pairs_within`. If left out,
        every whole number from 0 up to the largest distance; for "sqeuclidean" their
        squares.
    metric, max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    DistanceHistogram
        Limits, counts and, with groups, counts of pairs inside them.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Limits of the L2 distance that are not whole numbers need a table of all squared
    distances, 75 MB a thread (150 MB with groups), which is slower.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = np.zeros((3, 144), np.uint8)
    >>> hashes[2, :2] = 3, 4
    >>> found = distance_histogram(hashes, bins=[0, 5, 10])
    >>> found.counts
    array([1, 2, 0])
    """
    kind = _kernel_metric(metric)
    limits, thresholds = _thresholds(bins, metric)
    blocks = _Blocks(a, b, max_workers, executor)
    labels = _labels(groups, blocks.rows, None if b is None else blocks.columns)
    total = np.zeros((2, len(thresholds)), np.int64)
    work = partial(_histogram_block, kind, _cells(kind, thresholds))
    for counts in blocks.done(work, progress, labels):
        total[: len(counts)] += counts
    same_pairs = _pairs_inside(labels, b is None) if labels else 0
    return DistanceHistogram(
        metric,
        limits,
        total.sum(axis=0),
        total[1] if labels else None,
        blocks.pairs,
        same_pairs,
    )


class _Blocks:
    """The blocks that make all pairs, each unordered pair once if there is no `b`."""

    def __init__(
        self, a: Hashes, b: Hashes | None, max_workers: int | None, executor: Executor | None
    ) -> None:
        workers = parallel.worker_count(max_workers, executor)
        self._max_workers, self._executor = max_workers, executor
        queries = rows_of("a", a)
        database = queries if b is None else rows_of("b", b)
        self.rows, self.columns = queries.count, database.count

        def pieces(rows: Rows) -> list[Rows]:
            # So many that there are some blocks for each worker, and no more.
            sides = math.sqrt((16 if b is None else 8) * workers)
            stripes = math.ceil(rows.count / sides / kernels.STRIPE)
            least = min(_LEAST_ROWS, _BLOCK_ROWS)
            return pieces_of(rows, max(least, min(_BLOCK_ROWS, stripes * kernels.STRIPE)))

        self._queries = pieces(queries)
        self._database = self._queries if b is None else pieces(database)
        self._inside = b is None
        self.pairs = sum(block.pairs for block in self)

    def __iter__(self) -> Iterator[_Block]:
        for number, queries in enumerate(self._queries):
            for database in self._database[number if self._inside else 0 :]:
                yield _Block(queries, database, database is queries, self._inside)

    def done(
        self,
        work: Callable[..., Result],
        progress: bool,
        labels: list[NDArray[np.int32]] | None = None,
    ) -> Generator[Result, None, None]:
        """Yield what `work` makes of each block, with the labels of its rows if there are any."""

        def tasks() -> Iterator[tuple[Any, ...]]:
            for block in self:
                if labels is None:
                    yield (block,)
                    continue
                sides = zip((block.queries, block.database), (labels[0], labels[-1]), strict=True)
                some = [of[side.start : side.start + side.count] for side, of in sides]
                yield (block, *some)

        count = sum(1 for _ in self)
        with (
            closing(
                parallel.ordered_map(
                    partial(_starred, work),
                    tasks(),
                    max_workers=self._max_workers,
                    executor=self._executor,
                )
            ) as each,
            parallel.progress_bar(progress, range(count), "blocks") as bar,
        ):
            for result in each:
                bar.update()
                yield result


def _starred(work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    return work(*arguments)


def _ready(block: _Block, kind: int) -> tuple[int, tuple[NDArray[Any], ...]]:
    """Return the road of this process, and a block's hashes as the kernels take them on it."""
    way = _ROADS[road()]
    database = block.database.load()
    queries = database if block.triangle else block.queries.load()
    laid, squares = _laid_out(kernels.database_of, database, kernels.STRIPE, way, kind)
    ready, ready_squares = _laid_out(kernels.queries_of, queries, kernels.QUERIES, way, kind)
    return way, (laid, ready, squares, ready_squares)


def _laid_out(
    layout: Callable[..., tuple[NDArray[np.uint8], NDArray[np.int32]]],
    hashes: NDArray[np.uint8],
    multiple: int,
    way: int,
    kind: int,
) -> list[NDArray[Any]]:
    """Return hashes and norms in a layout of the kernels, of which only one kind is compiled."""
    missing = -len(hashes) % multiple
    if missing:
        hashes = np.concatenate([hashes, np.zeros((missing, HASH_BYTES), np.uint8)])
    return [checks.read_only(part) for part in layout(checks.read_only(hashes), way, kind)]


def _within_block(
    kind: int, limit: int, block: _Block
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return pairs, i * 2^32 + j, and their distances."""
    way, ready = _ready(block, kind)
    sizes = block.queries.count, block.database.count
    capacity = 1024
    while True:
        found = np.empty((capacity, 3), np.int64)
        count = kernels.within(way, kind, block.triangle, np.int32(limit), ready, *sizes, found)
        if count <= capacity:
            break
        capacity = count
    i, j, distances = found[:count].T
    both = (i + block.queries.start << 32) + j + block.database.start
    return both, distances.astype(np.int32)


def _nearest_block(
    kind: int, k: int, nothing: int, block: _Block
) -> list[tuple[int, NDArray[np.int64]]]:
    """Return the keys of the queries, and of the rows if they are asked for, with their starts."""
    sides = block.database, block.queries
    # No more than there are to choose from, which is the other side.
    widths = [max(1, min(k, side.count)) for side in reversed(sides)]
    keys = [
        np.full((side.count, width), nothing, np.int64)
        for side, width in zip(sides, widths, strict=True)
    ]
    starts = [side.start for side in sides]
    way, ready = _ready(block, kind)
    kernels.nearest(way, kind, block.triangle, block.both, ready, *starts, *keys)
    return list(zip(starts, keys, strict=True))[0 if block.both else 1 :]


class _Cells(NamedTuple):
    """What is counted: roots rounded up, or distances; how many there are; the last of each bin."""

    root: bool
    number: int
    ends: NDArray[np.int64]


def _cells(kind: int, thresholds: NDArray[np.int64]) -> _Cells:
    if kind == kernels.MANHATTAN:
        return _Cells(False, kernels.MANHATTAN_CELLS, thresholds)
    roots = np.array([math.isqrt(threshold) for threshold in thresholds.tolist()], np.int64)
    if (roots * roots == thresholds).all():
        return _Cells(True, kernels.ROOT_CELLS, roots)
    return _Cells(False, kernels.SQUARED_CELLS, thresholds)


def _histogram_block(
    kind: int,
    cells: _Cells,
    block: _Block,
    queries_labels: NDArray[np.int32] | None = None,
    database_labels: NDArray[np.int32] | None = None,
) -> NDArray[np.int64]:
    """Return the counts of each bin, (1 or 2, k): of two groups, and of one."""
    grouped = queries_labels is not None and database_labels is not None
    if queries_labels is None or database_labels is None:
        queries_labels = np.empty(block.queries.count, np.int32)
        database_labels = np.empty(block.database.count, np.int32)
    way, ready = _ready(block, kind)
    counts = np.zeros((1 + grouped, cells.number), np.int64)
    kernels.histogram(
        way,
        kind,
        cells.root,
        block.triangle,
        grouped,
        ready,
        checks.read_only(database_labels),
        checks.read_only(queries_labels),
        counts,
    )
    np.cumsum(counts, axis=1, out=counts)
    found: NDArray[np.int64] = np.diff(counts[:, cells.ends], prepend=0, axis=1)
    return found


def _kernel_metric(metric: Metric) -> int:
    return kernels.MANHATTAN if checked_metric(metric) == "manhattan" else kernels.SQUARED


def _distances(integers: NDArray[np.int64], metric: Metric) -> NDArray[Any]:
    """Return distances in the metric's units from squared L2 or L1."""
    return np.sqrt(integers) if metric == "euclidean" else integers.astype(np.int32)


def _thresholds(
    bins: Sequence[Limit] | NDArray[Any] | None, metric: Metric
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the limits, and the largest integer that each lets pass."""
    if bins is None:
        cells = kernels.MANHATTAN_CELLS if metric == "manhattan" else kernels.ROOT_CELLS
        limits = np.arange(cells) ** (2 if metric == "sqeuclidean" else 1)
        return limits, limits * limits if metric == "euclidean" else limits
    if isinstance(bins, str | bytes) or not isinstance(bins, Sequence | np.ndarray):
        raise ArgumentTypeError(f"bins: got {describe(bins)}, needs a sequence of upper limits")
    values = list(bins)
    thresholds = [largest_integer("bins", value, metric) for value in values]
    # A float holds no number of any size; beyond all distances one is as good as another.
    limits = np.array([float(v) if not isinstance(v, int) else min(v, 1e300) for v in values])
    if not len(limits) or not (np.diff(limits) > 0).all():
        raise ArgumentError("bins: needs one or more upper limits, increasing")
    return limits, np.array(thresholds, np.int64)


def _labels(groups: Any, rows: int, columns: int | None) -> list[NDArray[np.int32]] | None:
    """Return the groups as small integers: of `a`, and of `b` if there is one."""
    if groups is None:
        return None
    sides, sizes = [groups], [rows]
    if columns is not None:
        if not isinstance(groups, tuple | list) or len(groups) != 2:
            raise ArgumentTypeError(
                f"groups: got {describe(groups)}, needs a pair of arrays, for a and for b"
            )
        sides, sizes = list(groups), [rows, columns]
    numbers: dict[Any, int] = {}
    labels = []
    for side, size in zip(sides, sizes, strict=True):
        # Never as one array: NumPy would make texts of integers, and floats of large ones.
        names = side.tolist() if isinstance(side, np.ndarray) else list(side)
        if len(names) != size:
            raise ArgumentError(f"groups: got {len(names)} of them, needs {size}")
        if not all(isinstance(name, str | int | np.integer) for name in names):
            raise ArgumentTypeError(f"groups: got {describe(names[0])}, needs integers or strings")
        each = (numbers.setdefault(name, len(numbers)) for name in names)
        labels.append(np.fromiter(each, np.int32, size))
    if len({isinstance(name, str) for name in numbers}) > 1:
        raise ArgumentTypeError("groups: got integers and strings, needs one kind alone")
    return labels


def _pairs_inside(labels: list[NDArray[np.int32]], one_side: bool) -> int:
    """Return the number of pairs inside groups."""
    size = max((int(side.max(initial=0)) for side in labels), default=0) + 1
    counts = [np.bincount(side, minlength=size).astype(np.int64) for side in labels]
    if one_side:
        return int((counts[0] * (counts[0] - 1) // 2).sum())
    return int((counts[0] * counts[1]).sum())
