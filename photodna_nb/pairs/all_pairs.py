"""Matrices, pairs within a limit and nearest neighbours of many hashes, in exact integers.

Only `distance_matrix` holds a matrix.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.errors import ArgumentError
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels.register_tile import TILE_QUERIES
from photodna_nb.pairs.blocks import Hashes
from photodna_nb.pairs.metrics import Metric, checked_orientations, largest_distance
from photodna_nb.pairs.oriented import oriented_neighbours
from photodna_nb.pairs.packing import kernel_metric, pack_database, pack_queries
from photodna_nb.pairs.search import found_neighbours
from photodna_nb.pairs.source import compared_source, hash_sources
from photodna_nb.printable import short_repr

# Pairs of a matrix in one task: a fraction of a second, so that Ctrl-C is prompt.
_PAIRS_PER_TASK = 2**28
# The lower half of a packed pair or neighbour: an index.
_INDEX = 2**32 - 1


@short_repr
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
        Hashes, or any vectors of one length from 1 to 4096; without `b`, the distances inside
        `a`. A path ends with ``.npy``, or with ``.npz`` for a table that `HashTable.save` wrote.
    metric : {"euclidean", "sqeuclidean", "manhattan", "hamming"}
        See `distance`.
    out : ndarray, (n, m), optional
        Array for the result, of the dtype below.
    max_workers : int, optional
        Number of threads; by default the number of processors.

    Returns
    -------
    ndarray, (n, m)
        Of int32 for "sqeuclidean", "manhattan" and "hamming", exact; of float32 for "euclidean",
        the correctly rounded root of the exact integer.

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
    loaded = [source.load() for source in hash_sources(a, b)]
    queries, hashes = loaded[0], loaded[-1]
    shape = (len(queries), len(hashes))
    root = metric == "euclidean"
    dtype = np.float32 if root else np.int32
    if out is None:
        out = np.empty(shape, dtype)
    checks.array("out", out, dtype, shape)
    if not out.flags.writeable:
        raise ArgumentError("out: got a read-only array, needs one that can be written")
    matrix = out if out.flags.c_contiguous else np.empty(shape, dtype)
    database, database_squares = pack_database(hashes, number)

    def fill(first: int) -> None:
        rows = slice(first, first + rows_per_task)
        packed, squares = pack_queries(queries[rows], number)
        block = database, packed, database_squares, squares
        kernels.matrix(root, block, matrix[rows].view(np.int32))

    workers = parallel.worker_count(max_workers, None)
    n_tasks = max(1 if workers == 1 else 4 * workers, matrix.size // _PAIRS_PER_TASK)
    rows_per_task = max(TILE_QUERIES, math.ceil(shape[0] / n_tasks))
    if all(shape):
        parallel.run_each(fill, range(0, shape[0], rows_per_task), max_workers)
    if matrix is not out:
        out[...] = matrix
    return out


def nearest(
    a: Hashes,
    b: Hashes | None = None,
    k: int = 1,
    *,
    metric: Metric = "euclidean",
    orientations: bool = False,
    min_detail: float | None = None,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Neighbours:
    """Return the k nearest hashes in `b` of every hash in `a`.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes, as in `pairs_within`; without `b`, the neighbours of a hash are the other hashes
        in `a`.
    k : int
        Number of neighbours, from 1 to the number of hashes to choose from.
    metric, orientations, min_detail, max_workers, executor, progress
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
    Exact; of equal distances the lower index comes first. Fast for a k of up to some
    hundreds; for all neighbours, sort a `distance_matrix`.
    """
    number = kernel_metric(metric)
    k = checks.integer("k", k)
    queries, query_rows = compared_source("a", a, min_detail)
    database, rows = (None, query_rows) if b is None else compared_source("b", b, min_detail)
    n_others = (queries if database is None else database).count - (b is None)
    if k < 1 or (queries.count and k > n_others):
        span = f"1 to {n_others}, the number of" if n_others > 0 else "1 and some"
        raise ArgumentError(f"k: got {k}, needs {span} other hashes to choose from")
    limit = largest_distance(metric, queries.length)
    options = max_workers, executor, progress
    if checked_orientations(orientations, queries.length):
        others = None if database is None else database.load()
        neighbours = oriented_neighbours(queries.load(), others, k, limit, number, *options)
    else:
        neighbours = found_neighbours(queries, database, k, limit, number, *options)
    found = Neighbours(neighbours & _INDEX, in_units(neighbours >> 32, metric))
    if rows is not None:
        found = Neighbours(rows[found.indices], found.distances)
    if query_rows is None:
        return found
    shape = hash_sources(a, None)[0].count, k
    beyond = np.inf if metric == "euclidean" else kernels.BEYOND_ALL
    indices = np.full(shape, -1, np.int64)
    distances = np.full(shape, beyond, found.distances.dtype)
    indices[query_rows], distances[query_rows] = found
    return Neighbours(indices, distances)


def in_units(integers: NDArray[Any], metric: Metric) -> NDArray[Any]:
    """Return squared L2 or L1 distances in the metric's units."""
    return np.sqrt(integers) if metric == "euclidean" else integers.astype(np.int32)
