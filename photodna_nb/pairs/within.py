"""Pairs of hashes within a distance: in memory, or in a file if there are too many of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing
from functools import partial

import numpy as np

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.files import PathLike
from photodna_nb.pairs import pair_files
from photodna_nb.pairs.all_pairs import in_units
from photodna_nb.pairs.blocks import Hashes, PackedPairs
from photodna_nb.pairs.metrics import (
    Limit,
    Metric,
    checked_metric,
    checked_orientations,
    max_integer_distance,
)
from photodna_nb.pairs.oriented import oriented_pairs
from photodna_nb.pairs.pair_files import PairColumns
from photodna_nb.pairs.pair_keys import PIECE_KEYS, KeyBuckets, KeyFile, Keys, PairKeys
from photodna_nb.pairs.pair_table import Pairs
from photodna_nb.pairs.search import found_pairs
from photodna_nb.pairs.source import compared_source, paths_of
from photodna_nb.tables.formats import check_target

# 24 bytes each: an answer of 2.4 GB.
MAX_PAIRS = 100_000_000
# Pairs in memory before they are sorted and written to a file: 256 MB while they are sorted.
_PAIRS_IN_MEMORY = 2**24


def pairs_within(
    a: Hashes,
    b: Hashes | None = None,
    *,
    max_distance: Limit,
    metric: Metric = "euclidean",
    orientations: bool = False,
    min_detail: float | None = None,
    max_pairs: int | None = MAX_PAIRS,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Pairs:
    """Return every pair of hashes within a distance.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes, or any vectors of one length from 1 to 4096; without `b`, the pairs inside `a`,
        each once. Paths as in `distance_matrix`.
    max_distance : float, int, str, Decimal or Fraction
        Limit in the metric's units, at least 0, inclusive and exact. A float stands for the decimal
        number that it prints as: 0.1 is a tenth, and not the nearest binary number.
    metric : {"euclidean", "sqeuclidean", "manhattan", "hamming"}
        See `distance`.
    orientations : bool
        Whether hashes are compared in all eight orientations, mirrored and rotated: the smallest
        distance of a pair counts. Hashes of files are loaded for that.
    min_detail : float, optional
        Images with less detail, in grey levels, are not compared: blank ones all match each
        other. Needs tables. An image of unknown detail is left out if its hash is all zero.
        By default all are compared.
    max_pairs : int, optional
        Most pairs of an answer, by default 100 million: 2.4 GB. None for no limit.
    max_workers : int, optional
        Number of threads; by default the number of processors.
    executor : concurrent.futures.Executor, optional
        Executor that compares the pairs instead of threads, as in `hash_files`.
    progress : bool
        Whether to show a bar, in a terminal or a notebook.

    Returns
    -------
    Pairs
        A table of rows and distance of each pair, with the paths of a HashTable; the rows are
        those of `a` and `b` with all images.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value, or there are more pairs than
        `max_pairs`, or than there is memory for: the work stops as soon as they are found.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Takes 24 bytes of memory a pair of the answer, 20 for the integer metrics, 90 to 300 bytes a
    hash, and some 200 MB for each worker. Threads load the hashes of files, if there are at most
    10 million; a task on an executor reads only the rows that it needs. `write_pairs` writes
    larger answers to a file.
    """
    if max_pairs is not None:
        max_pairs = checks.integer("max_pairs", max_pairs, 0)
    options = max_workers, executor, progress
    search = _Search(a, b, max_distance, metric, min_detail, options, orientations)
    buckets, count = KeyBuckets(), 0
    try:
        with closing(search.chunks) as chunks:
            for chunk in chunks:
                count += len(chunk.packed)
                if max_pairs is not None and count > max_pairs:
                    raise _too_many(f"got {max_pairs:,}, needs more", count)
                buckets.add(search.keys, chunk)
        return search.sorted_pairs(buckets)
    except MemoryError as error:
        buckets.clear()
        raise _too_many("the memory is full", count) from error


def write_pairs(
    path: PathLike,
    a: Hashes,
    b: Hashes | None = None,
    *,
    max_distance: Limit,
    metric: Metric = "euclidean",
    min_detail: float | None = None,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> int:
    """Write every pair of hashes within a distance to a file, with bounded memory.

    Parameters
    ----------
    path : str or os.PathLike
        File of the columns ``i``, ``j`` and ``distance``, with the dtypes of `Pairs`:
        ``.npz``, for `numpy.load`, or ``.parquet``, for pandas and others; needs pyarrow.
        `read_pairs` reads it and checks its digest.
    a, b, max_distance, metric, min_detail, max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    int
        Number of pairs.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file of hashes is missing, damaged or of another kind; or `path` cannot be written,
        and is as it was before.

    Notes
    -----
    The pairs are in the order of `pairs_within`, whatever the number of workers. The file is
    replaced in one step at the end. Until then, its folder needs 32 bytes for each pair. Takes
    some 500 MB of memory for answers of any size, besides 90 to 300 bytes a hash.
    """
    name = checks.path("path", path)
    check_target(name, pair_files.FORMATS)
    search = _Search(a, b, max_distance, metric, min_detail, (max_workers, executor, progress))
    buckets, count, written = KeyBuckets(), 0, 0
    with KeyFile(name) as file, closing(search.chunks) as chunks:
        for chunk in chunks:
            buckets.add(search.keys, chunk)
            count += len(chunk.packed)
            if count - written >= _PAIRS_IN_MEMORY:
                file.add(buckets)
                written = count
        file.add(buckets)
        pieces = partial(search.stored_pairs, file)
        pair_files.write(name, search.dtypes, count, pieces)
    return count


class _Search:
    """What `pairs_within` and `write_pairs` compare, and how pairs are made of its keys."""

    def __init__(
        self,
        a: Hashes,
        b: Hashes | None,
        max_distance: Limit,
        metric: Metric,
        min_detail: float | None,
        options: tuple[int | None, Executor | None, bool],
        orientations: bool = False,
    ) -> None:
        queries, self._i = compared_source("a", a, min_detail)
        limit = max_integer_distance(
            "max_distance", max_distance, checked_metric(metric), queries.length
        )
        database, self._j = queries, self._i
        if b is not None:
            database, self._j = compared_source("b", b, min_detail)
        self._metric = metric
        self._paths = paths_of(a), paths_of(a if b is None else b)
        self.dtypes = np.int64, np.int64, np.float64 if metric == "euclidean" else np.int32
        self.keys = PairKeys((database.count - 1).bit_length(), limit.bit_length())
        other = None if b is None else database
        self._oriented = checked_orientations(orientations, queries.length)
        self.chunks: Generator[PackedPairs, None, None]
        if self._oriented:
            loaded = None if other is None else other.load()
            self.chunks = oriented_pairs(queries.load(), loaded, limit, metric, *options)
        else:
            self.chunks = found_pairs(queries, other, limit, metric, *options)

    def pairs(self, bucket: int, keys: Keys) -> PairColumns:
        """Return pairs from their keys."""
        i, j, distances = self.keys.unpack(bucket, keys)
        i = i if self._i is None else self._i[i]
        j = j if self._j is None else self._j[j]
        return PairColumns(i, j, in_units(distances, self._metric))

    def sorted_pairs(self, buckets: KeyBuckets) -> Pairs:
        """Return the pairs of all keys, which become the first column."""
        keys, places = buckets.remove_sorted()
        if self._oriented:
            keys, places = self.keys.nearest(keys, places)
        j, distance = np.empty(len(keys), np.int64), np.empty(len(keys), self.dtypes[2])
        pairs = PairColumns(keys.view(np.int64), j, distance)
        for bucket, place in places.items():
            for start in range(place.start, place.stop, PIECE_KEYS):
                piece = slice(start, min(start + PIECE_KEYS, place.stop))
                values = self.pairs(bucket, keys[piece])
                for column, column_values in zip(pairs, values, strict=True):
                    column[piece] = column_values
        return Pairs(*pairs, self._metric, *self._paths)

    def stored_pairs(self, file: KeyFile) -> Iterator[PairColumns]:
        """Yield the pairs of all keys in a file, in order, in pieces."""
        return (self.pairs(bucket, keys) for bucket, keys in file.pieces())


def _too_many(problem: str, count: int) -> ArgumentError:
    return ArgumentError(
        f"max_pairs: {problem}, after {count:,} pairs within max_distance were found; lower "
        "max_distance, leave images of low detail out with min_detail, raise max_pairs (24 bytes "
        "of memory a pair), or write the pairs to a file with write_pairs"
    )
