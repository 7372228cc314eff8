"""Matrices, pairs within a limit and nearest neighbours of many hashes, in exact integers.

Only `distance_matrix` holds a matrix. The other functions compare blocks of pairs, each a
task on threads or on any executor.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.errors import ArgumentError
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels.register_tile import TILE_QUERIES
from photodna_nb.kernels.vector import compiled
from photodna_nb.pairs.blocks import MAX_PAIRS_OF_TASK, Hashes, PairBlock, PairBlocks
from photodna_nb.pairs.metrics import Metric
from photodna_nb.pairs.packing import backend_number, kernel_metric, pack_database, pack_queries
from photodna_nb.pairs.source import HashSource, compared_source, hash_source

# Pairs of a matrix in one task: a fraction of a second, so that Ctrl-C is prompt.
_PAIRS_PER_TASK = 2**28
# A larger matrix does not fit into a processor's cache.
_CACHED_BYTES = 16 << 20
# More than any packed neighbour; and its lower half, the index.
_NO_NEIGHBOUR = 2**62
_INDEX = 2**32 - 1


class PackedPairs(NamedTuple):
    """A chunk of an answer, in any order.

    packed : ndarray of int64, (p,)
        Pairs, ``i << 32 | j``.
    distances : ndarray of int32, (p,)
        Squared L2 or L1 distances.
    """

    packed: NDArray[np.int64]
    distances: NDArray[np.int32]


class Neighbours(NamedTuple):
    """Nearest neighbours of each hash, sorted by distance and then by index.

    indices : ndarray of int64, (n, k)
        Row of each neighbour in `b` or, without `b`, in `a`.
    distances : ndarray, (n, k)
        Distance of each neighbour: float64 for "euclidean", int32 otherwise.
    """

    indices: NDArray[np.int64]
    distances: NDArray[Any]


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
        Hashes; without `b`, the distances inside `a`. A path ends with ``.npy``, or with ``.npz``
        for a table that `HashTable.save` wrote.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        See `distance`.
    out : ndarray, (n, m), optional
        Array for the result, of the dtype below.
    max_workers : int, optional
        Number of threads; by default the number of processors.

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
    Takes 4 bytes of memory a pair. `pairs_within`, `nearest` and `distance_histogram`
    do not hold the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = np.zeros((2, 144), np.uint8)
    >>> hashes[1, :2] = 3, 4
    >>> distance_matrix(hashes)
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    number = kernel_metric(metric)
    queries = hash_source("a", a).load()
    hashes = queries if b is None else hash_source("b", b).load()
    shape = (len(queries), len(hashes))
    root = metric == "euclidean"
    dtype = np.float32 if root else np.int32
    if out is None:
        out = np.empty(shape, dtype)
    checks.array("out", out, dtype, shape)
    if not out.flags.writeable:
        raise ArgumentError("out: got a read-only array, needs one that can be written")
    matrix = out if out.flags.c_contiguous else np.empty(shape, dtype)
    aligned = matrix.ctypes.data % 16 == 0 and shape[1] % 4 == 0
    streaming = compiled() and aligned and matrix.nbytes > _CACHED_BYTES
    backend = backend_number()
    database, database_squares = pack_database(hashes, number)

    def fill(first: int) -> None:
        rows = slice(first, first + rows_per_task)
        packed, squares = pack_queries(queries[rows], number)
        block = database, packed, database_squares, squares
        kernels.matrix(backend, number, root, streaming, block, matrix[rows])

    workers = parallel.worker_count(max_workers, None)
    n_tasks = max(1 if workers == 1 else 4 * workers, matrix.size // _PAIRS_PER_TASK)
    rows_per_task = max(TILE_QUERIES, math.ceil(shape[0] / n_tasks))
    if all(shape):
        starts = range(0, shape[0], rows_per_task)
        with closing(
            parallel.ordered_map(fill, starts, max_workers=max_workers, wait=True)
        ) as tasks:
            for _ in tasks:
                pass
    if matrix is not out:
        out[...] = matrix
    return out


def found_pairs(
    a: Hashes | HashSource,
    b: Hashes | HashSource | None,
    limit: int,
    metric: Metric,
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> Generator[PackedPairs, None, None]:
    """Yield the pairs within a limit in chunks of at most `MAX_PAIRS_OF_TASK`, none empty.

    Parameters
    ----------
    limit : int
        Largest squared L2 or L1 distance, inclusive.
    a, b, metric, max_workers, executor, progress
        As in `pairs_within`.

    Yields
    ------
    PackedPairs
        The chunks come in an order that depends on the number of workers, and on nothing else.
        Close the generator to stop the work.
    """
    search = partial(_block_pairs, kernel_metric(metric), limit)
    blocks = PairBlocks(a, b, max_workers, executor)
    with closing(blocks.map_bounded(search, progress)) as chunks:
        yield from (chunk for chunk in chunks if len(chunk.packed))


def nearest(
    a: Hashes,
    b: Hashes | None = None,
    k: int = 1,
    *,
    metric: Metric = "euclidean",
    min_detail: float | None = None,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Neighbours:
    """Return the k nearest hashes in `b` of every hash in `a`.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes; without `b`, the neighbours of a hash are the other hashes in `a`.
    k : int
        Number of neighbours, from 1 to the number of hashes to choose from.
    metric, min_detail, max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    Neighbours
        Index and distance of each neighbour, (n, k). An image with less than `min_detail` is no
        neighbour and has none: its indices are -1, its distances infinity or the largest int32.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Exact; of equal distances the lower index comes first. Fast for a k of some tens: the
    time to insert a neighbour grows with k. For all neighbours, sort a `distance_matrix`.
    """
    number = kernel_metric(metric)
    k = checks.integer("k", k)
    queries, query_rows = compared_source("a", a, min_detail)
    database, rows = (None, query_rows) if b is None else compared_source("b", b, min_detail)
    blocks = PairBlocks(queries, database, max_workers, executor)
    n_others = blocks.n_rows - (b is None)
    if k < 1 or (blocks.n_queries and k > n_others):
        span = f"1 to {n_others}, the number of" if n_others > 0 else "1 and some"
        raise ArgumentError(f"k: got {k}, needs {span} other hashes to choose from")
    neighbours = _nearest(blocks, number, k, _NO_NEIGHBOUR, progress)
    found = Neighbours(neighbours & _INDEX, in_units(neighbours >> 32, metric))
    if rows is not None:
        found = Neighbours(rows[found.indices], found.distances)
    if query_rows is None:
        return found
    shape = hash_source("a", a).count, k
    beyond = np.inf if metric == "euclidean" else kernels.BEYOND_ALL
    indices = np.full(shape, -1, np.int64)
    distances = np.full(shape, beyond, found.distances.dtype)
    indices[query_rows], distances[query_rows] = found
    return Neighbours(indices, distances)


def packed_neighbours(
    queries: NDArray[np.uint8], rows: NDArray[np.uint8], k: int, limit: int
) -> NDArray[np.int64]:
    """Return the k nearest rows within a limit, each neighbour packed into one integer.

    Parameters
    ----------
    queries, rows : ndarray of uint8, (n, 144) and (m, 144)
        Hashes.
    k : int
        From 1 to m.
    limit : int
        Largest squared L2 distance, inclusive; the lower, the faster.

    Returns
    -------
    ndarray of int64, (n, k)
        Packed neighbours, squared distance * 2^32 + row, ascending; where fewer than k
        rows lie within the limit, ``(limit + 1) * 2^32`` follows them.
    """
    blocks = PairBlocks(queries, rows, None, None)
    return _nearest(blocks, kernels.SQUARED, k, (limit + 1) << 32, False)


def _nearest(
    blocks: PairBlocks, metric: int, k: int, bound: int, progress: bool
) -> NDArray[np.int64]:
    """Return the k smallest packed neighbours of each query below `bound`, padded with it."""
    neighbours = np.full((blocks.n_queries, k), bound, np.int64)
    for answer in blocks.map(partial(_block_neighbours, metric, k, bound), progress):
        for start, candidates in answer:
            merged = neighbours[start : start + len(candidates)]
            merged[...] = np.sort(np.concatenate([merged, candidates], axis=1), axis=1)[:, :k]
    return neighbours


def _block_pairs(metric: int, limit: int, block: PairBlock) -> PackedPairs | None:
    """Return the pairs of a block within a limit, or None if they are too many for one task."""
    pairs = np.empty((MAX_PAIRS_OF_TASK, 3), np.int64)
    sizes = block.queries.count, block.database.count
    count = kernels.within(
        backend_number(),
        metric,
        block.triangle,
        np.int32(limit),
        block.pack(metric),
        *sizes,
        pairs,
    )
    if count > MAX_PAIRS_OF_TASK:
        return None
    i, j, distances = pairs[:count].T
    rows = (i + block.queries.start << 32) + j + block.database.start
    return PackedPairs(rows, distances.astype(np.int32))


def _block_neighbours(
    metric: int, k: int, bound: int, block: PairBlock
) -> list[tuple[int, NDArray[np.int64]]]:
    """Return the neighbours of the queries and, if symmetric, of the rows, with their starts."""
    sides = block.database, block.queries
    # A side has no more neighbours in this block than the other side has rows.
    widths = [max(1, min(k, side.count)) for side in reversed(sides)]
    neighbours = [
        np.full((side.count, width), bound, np.int64)
        for side, width in zip(sides, widths, strict=True)
    ]
    starts = [side.start for side in sides]
    kernels.nearest(
        backend_number(),
        metric,
        block.triangle,
        block.symmetric,
        block.pack(metric),
        *starts,
        *neighbours,
    )
    return list(zip(starts, neighbours, strict=True))[0 if block.symmetric else 1 :]


def in_units(integers: NDArray[Any], metric: Metric) -> NDArray[Any]:
    """Return squared L2 or L1 distances in the metric's units."""
    return np.sqrt(integers) if metric == "euclidean" else integers.astype(np.int32)
