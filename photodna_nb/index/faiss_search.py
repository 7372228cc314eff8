"""Search in any FAISS index over hashes: candidates of FAISS, exact integer distances.

FAISS computes distances in float32 and from codes, its ties come in any order, and its range
search is strict. Here its answers are candidates only: their squared distances are computed
once more, as integers, from the hashes themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.index import arguments
from photodna_nb.index.records import FaissMatch, RowMatches
from photodna_nb.pairs import metrics
from photodna_nb.pairs.metrics import Limit
from photodna_nb.processors import available_processors

if TYPE_CHECKING:
    from photodna_nb.tables.table import HashTable

    Hashes = HashTable | NDArray[np.uint8] | Callable[[NDArray[np.int64]], NDArray[np.uint8]]

# The largest error of a float32 distance of FAISS is 1. With BLAS, for many queries, it computes
# |x|^2 + |y|^2 - 2xy: each of the three terms is an integer below 2^24, or twice one, and exact;
# the sum of the first two is below 2^25, where float32 holds the even integers, and is off by 1
# at the most; the difference is exact. Without BLAS, it sums squares of differences: all partial
# sums are integers below 2^24, and exact.
_FLOAT_ERROR = 2
# Candidates that are re-ranked at a time, and how often an approximate index is asked for twice
# as many, where the codes of the candidates leave open which of them are the nearest.
_CANDIDATES_AT_ONCE = 1 << 16
_DOUBLINGS = 4
# OpenMP, on which FAISS runs, keeps its threads for the next parallel region. A forked child has
# the record of them and not the threads, and waits for ever; with one thread there is no such
# region. A child may import this module first, and FAISS may have been there before the fork.
_FORKED = type(multiprocessing.current_process()).__name__ == "ForkProcess"
_PROCESS = 0 if _FORKED and "faiss" in sys.modules else os.getpid()


@contextmanager
def faiss_threads(number: int | None = None) -> Iterator[None]:
    """Run FAISS on so many threads, and on one after a fork.

    By default they are as many as FAISS has, but not more than the available processors.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    number = number or min(before, available_processors())
    threads = 1 if os.getpid() != _PROCESS else number
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        if os.getpid() == _PROCESS:
            faiss.omp_set_num_threads(before)


def faiss_search(
    index: Any,
    queries: NDArray[np.uint8] | HashTable,
    k: int,
    *,
    max_distance: Limit | None = None,
    min_similarity: Limit | None = None,
    hashes: Hashes | None = None,
) -> list[list[FaissMatch]]:
    """Return, for each query, the `k` nearest vectors of a FAISS index within the limits.

    Parameters
    ----------
    index : faiss.Index
        Any index over 144 dimensions with the L2 metric, whose vectors are hashes. Its search
        parameters, such as ``nprobe``, count as they are set.
    queries : ndarray of uint8, (n, 144) or (144,), or HashTable
        Hashes to search for; a single hash is one query.
    k : int
        Largest number of matches, at least 1.
    max_distance : float or exact number, optional
        L2 distance, at least 0, inclusive and exact.
    min_similarity : float or exact number, optional
        0 to 1, inclusive and exact, as limits of `pairs_within`.
    hashes : HashTable, ndarray of uint8 (m, 144), or callable, optional
        The hash of each id: a table or array whose row is the id, or a function that takes
        ids, (m,) int64, and returns hashes, (m, 144) uint8. It may be left out where the index
        holds the hashes as they are: flat indexes, 8-bit direct scalar quantizers, HNSW graphs
        over these, and each of them in an IndexIDMap or IndexIDMap2.

    Returns
    -------
    list of n lists of FaissMatch
        Ordered by distance, then id. For flat indexes and 8-bit direct scalar quantizers these
        are the true answers, ties at the last place included. For other indexes they are the
        true answers among the candidates that FAISS finds.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `index` is no FAISS index, or has another dimension or metric, or is not trained;
        `hashes` is needed, or lacks an id that the index holds; another argument has another
        type or shape, or is out of range.

    Notes
    -----
    An exact index is asked for a few neighbours more than `k`. If the k-th integer distance is
    not clearly below the float distance of the last of them, a range search with a slightly
    larger radius finds all that tie. An approximate index is asked for some times `k`.
    """
    rows = arguments.hash_rows("queries", queries)
    number = checks.integer("k", k, 1)
    limit = metrics.max_distance_squared(min_similarity, max_distance)
    _check_index(index)
    source = _own_hashes(index) if hashes is None else _given_hashes(index, hashes)
    return [
        [FaissMatch(*match) for match in zip(one.ids.tolist(), one.distances.tolist(), strict=True)]
        for one in nearest_candidates(source, rows, number, limit)
    ]


class CandidateSource(NamedTuple):
    """A FAISS index, and where the hashes of its candidates are.

    index : faiss.Index
        Index that is searched; its answers are called labels.
    exact : bool
        Whether it compares a query with every vector as it is.
    lookup : callable
        Takes labels, (m,) int64, ascending, and returns which of them there are, (m,) bool, and
        their hashes, (m, 144) uint8, with any values where there are none.
    ids : ndarray of int64 or None
        The id of each label; None where labels are ids.
    """

    index: Any
    exact: bool
    lookup: Callable[[NDArray[np.int64]], tuple[NDArray[np.bool_], NDArray[np.uint8]]]
    ids: NDArray[np.int64] | None = None


def nearest_candidates(
    source: CandidateSource, queries: NDArray[np.uint8], k: int, limit: int, params: Any = None
) -> list[RowMatches]:
    """Return the k nearest candidates of each query, (q, 144), within a squared distance.

    params: faiss.SearchParameters of an approximate index.
    """
    total = source.index.ntotal
    answers = [RowMatches.empty() for _ in queries]
    unfinished = list(range(len(queries)))
    fetch = min(total, k + 16 if source.exact else 4 * k + 32)
    for _ in range(1 if source.exact else _DOUBLINGS):
        if not fetch:
            return answers
        step = max(1, _CANDIDATES_AT_ONCE // fetch)
        chunks = [unfinished[start : start + step] for start in range(0, len(unfinished), step)]
        unfinished = []
        for chunk in chunks:
            reranked = _rerank(source, queries[chunk], fetch, k, limit, params)
            for query, (matches, complete) in zip(chunk, reranked, strict=True):
                answers[query] = matches
                unfinished += [] if complete else [query]
        fetch = min(total, 2 * fetch)
    if source.exact:
        for query in unfinished:
            answers[query] = _within(source, queries[query], k, _bound(answers[query], k, limit))
    return answers


def _rerank(
    source: CandidateSource,
    queries: NDArray[np.uint8],
    fetch: int,
    k: int,
    limit: int,
    params: Any,
) -> Iterator[tuple[RowMatches, bool]]:
    """Yield the answer to each query from so many candidates, and whether it is complete."""
    with faiss_threads():
        floats, labels = source.index.search(queries.astype("f4"), fetch, params=params)
    present, distances = _squares(source, queries, labels)
    for row in range(len(queries)):
        kept = present[row] & (distances[row] <= limit)
        matches = _ordered(source, distances[row, kept], labels[row, kept], k)
        # What is not among the candidates is at least as far as the last of them, for FAISS.
        # An index that returns fewer than it was asked for has no more.
        complete = (
            fetch == source.index.ntotal
            or labels[row, -1] < 0
            or _bound(matches, k, limit) < floats[row, -1] - _FLOAT_ERROR
        )
        yield matches, bool(complete)


def _bound(matches: RowMatches, k: int, limit: int) -> int:
    """Return the squared distance up to which a row not yet seen would change the answer."""
    return int(matches.distances[-1]) if len(matches.ids) == k else limit


def _within(source: CandidateSource, query: NDArray[np.uint8], k: int, bound: int) -> RowMatches:
    """Return the k nearest of all rows within a squared distance, of an exact index."""
    with faiss_threads():
        # Strict, and in float32: `_FLOAT_ERROR` beyond the bound, no row within it is missed.
        _, _, labels = source.index.range_search(query[None].astype("f4"), bound + _FLOAT_ERROR)
    present, distances = _squares(source, query[None], labels[None])
    kept = present[0] & (distances[0] <= bound)
    return _ordered(source, distances[0, kept], labels[kept], k)


def _squares(
    source: CandidateSource, queries: NDArray[np.uint8], labels: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which candidates of each query there are, (q, c), and their squared distances."""
    unique, place = np.unique(labels, return_inverse=True)
    place = place.reshape(labels.shape)  # NumPy 2.0 gives it another shape
    first = int(np.searchsorted(unique, 0))  # the label -1 stands for no candidate
    present = np.zeros(len(unique), bool)
    rows = np.zeros((len(unique), HASH_BYTES), np.uint8)
    present[first:], rows[first:] = source.lookup(unique[first:])
    distances = np.empty(labels.shape, np.int64)
    for row, query in enumerate(queries):
        differences = rows[place[row]].astype(np.int32) - query
        distances[row] = np.einsum("cd,cd->c", differences, differences)
    return present[place], distances


def _ordered(
    source: CandidateSource, distances: NDArray[np.int64], labels: NDArray[np.int64], k: int
) -> RowMatches:
    """Return the k nearest of some candidates of one query, ties to the lower id."""
    ids = labels if source.ids is None else source.ids[labels]
    return RowMatches.nearest(distances, ids, k)


def _check_index(index: Any) -> None:
    import faiss

    if not isinstance(index, faiss.Index):
        raise ArgumentTypeError(f"index: got {describe(index)}, needs an index of FAISS")
    if index.d != HASH_BYTES:
        raise ArgumentError(f"index: got one over {index.d} dimensions, needs {HASH_BYTES}")
    if index.metric_type != faiss.METRIC_L2:
        raise ArgumentError("index: got one with another metric, needs METRIC_L2")
    if not index.is_trained:
        raise ArgumentError("index: got one that is not trained; train it, and add the hashes")


def _given_hashes(index: Any, hashes: Hashes) -> CandidateSource:
    inner, _ = _unwrapped(index)
    exact = _stored_values(inner) is not None
    if callable(hashes):
        call = hashes

        def lookup(ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
            rows = checks.array("hashes(ids)", call(ids), np.uint8, (len(ids), HASH_BYTES))
            return np.ones(len(ids), bool), rows

    else:
        table = arguments.hash_rows("hashes", hashes)

        def lookup(ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
            if len(ids) and ids[-1] >= len(table):
                raise ArgumentError(
                    f"hashes: got {len(table)} rows, and the index holds the id {ids[-1]}; "
                    "give the hash of every id, or a function of ids"
                )
            return np.ones(len(ids), bool), table[ids]

    return CandidateSource(index, exact, lookup)


def _own_hashes(index: Any) -> CandidateSource:
    import faiss

    inner, ids = _unwrapped(index)
    graph = isinstance(inner, faiss.IndexHNSW)
    values = _stored_values(faiss.downcast_index(inner.storage) if graph else inner)
    if values is None:
        raise ArgumentError(
            f"hashes: needed, since a {type(inner).__name__} does not hold the hashes as they are; "
            "give a HashTable, an array by id, or a function of ids"
        )

    def lookup(labels: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        chosen = values[labels]
        with np.errstate(invalid="ignore"):
            rows = chosen.astype(np.uint8)
        if not np.array_equal(rows, chosen):
            raise ArgumentError("index: holds values that are not integers from 0 to 255")
        return np.ones(len(labels), bool), rows

    return CandidateSource(inner, not graph, lookup, ids)


def _unwrapped(index: Any) -> tuple[Any, NDArray[np.int64] | None]:
    """Return the index in an IndexIDMap, and the id of each of its vectors."""
    import faiss

    index = faiss.downcast_index(index)
    if not isinstance(index, faiss.IndexIDMap):
        return index, None
    inner = faiss.downcast_index(index.index)
    return inner, _view(index.id_map.data(), inner.ntotal)


def _stored_values(index: Any) -> NDArray[Any] | None:
    """Return the vectors of an index that stores them as they are, (n, 144), or None."""
    import faiss

    if type(index) in (faiss.IndexFlat, faiss.IndexFlatL2):
        pointer = index.get_xb()
    elif (
        isinstance(index, faiss.IndexScalarQuantizer)
        and index.sq.qtype == faiss.ScalarQuantizer.QT_8bit_direct
    ):
        pointer = index.codes.data()
    else:
        return None
    return _view(pointer, index.ntotal * HASH_BYTES).reshape(-1, HASH_BYTES)


def _view(pointer: Any, size: int) -> NDArray[Any]:
    import faiss

    return faiss.rev_swig_ptr(pointer, size) if size else np.empty(0, np.int64)
