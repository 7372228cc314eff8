"""All pairs of hashes of originals and variants, counted by distance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import (
    PAIR_SPLITS,
    Histogram,
    PairCounts,
    detail_bin_numbers,
    systematic_sample,
)
from photodna_nb.evaluation.pair_records import GenuinePairs, NearestImpostors
from photodna_nb.evaluation.partitions import Partition, class_pairs, numbered, pair_number
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.hashing.orientations import orientations
from photodna_nb.pairs.histogram import distance_histogram
from photodna_nb.pairs.within import pairs_within

# Largest number of impostor pairs that are listed one by one.
_LISTED = 1_000_000
# Number of originals whose genuine distances are computed at once.
_BATCH = 64
# Number of pairs from which on an executor compares them. Two threads need a tenth of a second,
# as much as it takes to send the hashes and to wait for the answer.
_SENT_PAIRS = 20_000_000


def count_pairs(
    hashed: VariantHashes,
    in_validation_half: NDArray[np.bool_],
    *,
    detail_bins: Sequence[float] = (),
    exclude: Iterable[tuple[int, int]] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
    variants_against_others: bool = True,
    count_identical: bool = False,
    exclude_below_detail: float = 0.0,
    low_detail: NDArray[np.bool_] | None = None,
    max_listed: int = _LISTED,
    max_workers: int | None = None,
    executor: Executor | None = None,
) -> PairCounts:
    """Return the counts of all genuine and impostor pairs.

    Parameters
    ----------
    hashed : VariantHashes
        Hashes of originals and variants.
    in_validation_half : ndarray of bool, (n,)
        Which originals are in the validation half.
    detail_bins : sequence of float
        Inner edges of the detail bins, increasing.
    exclude : iterable of (int, int)
        Rows of two originals that show the same. Neither they nor their variants are an
        impostor pair. Originals of one group of `hashed` do so, too, and are genuine pairs.
    labels : dict of str to sequence of str, n, optional
        Class of each original by ``"categories"``. Impostor pairs of every two classes are counted
        too.
    variants_against_others : bool
        Whether variants are compared with other originals.
    count_identical : bool
        Whether two originals with the same digest are compared.
    exclude_below_detail : float
        Grey levels. Originals with less detail are in no impostor pair, nor are their variants.
    low_detail : ndarray of bool, (n,), optional
        Which originals these are, where `hashed` has no detail in grey levels.
    max_listed : int
        Largest number of impostor pairs that are listed one by one.
    max_workers : int, optional
        Threads, the number of processors if left out.
    executor : concurrent.futures.Executor, optional
        Where pairs are counted, if they are many; few are counted sooner than they are sent.

    Returns
    -------
    PairCounts
        Exact counts.

    Notes
    -----
    A pair is left out for one reason: by name, otherwise as identical, otherwise for its low
    detail. Memory grows with the hashes and with `max_listed`. Time grows with the pairs:
    two processors count 10^9 of them in some seconds.
    """
    n = len(hashed.names)
    checks.array("in_validation_half", in_validation_half, np.bool_, (n,))
    grouped = _pairs_in_groups(hashed.groups)
    excluded = _unique_pairs(exclude, grouped, n)
    duplicate_of = np.arange(n) if count_identical else _duplicates(hashed)
    compared = ~(hashed.detail < exclude_below_detail if low_detail is None else low_detail)
    genuine = _genuine_pairs(hashed, grouped)
    impostors = _Impostors(
        hashed,
        in_validation_half,
        genuine,
        excluded,
        duplicate_of,
        compared,
        max_workers,
        executor,
    )
    originals = impostors.count_by_half(ORIGINAL)
    variants = np.zeros((len(hashed.transforms), len(PAIR_SPLITS), hashed.hasher.n_bins), np.int64)
    counted = (ORIGINAL, *range(len(variants) if variants_against_others else 0))
    for transform in counted[1:]:
        variants[transform] = impostors.count_by_half(transform)
    limit = _largest_limit(originals.sum(axis=0) + variants.sum(axis=(0, 1)), max_listed)
    # Number of pairs of each original's variants with any one other original.
    n_variants = hashed.available.sum(axis=1) * variants_against_others
    n_duplicates = np.bincount(duplicate_of)[duplicate_of] - 1
    n_pairs = n * (n - 1) // 2 + int(n_variants.sum()) * (n - 1)
    n_excluded = _number_of_pairs(excluded, n_variants)
    identical = duplicate_of[excluded[:, 0]] == duplicate_of[excluded[:, 1]]
    n_identical = int(n_duplicates.sum()) // 2 + int(n_variants @ n_duplicates)
    n_identical -= _number_of_pairs(excluded[identical], n_variants)
    n_counted = int(originals.sum()) + int(variants.sum())
    return PairCounts(
        names=hashed.names,
        digests=hashed.digests,
        transforms=hashed.transforms,
        detail=hashed.detail,
        in_validation_half=in_validation_half,
        detail_bin_edges=tuple(map(float, detail_bins)),
        genuine=genuine,
        impostor_originals=originals,
        impostor_variants=variants,
        impostor_by_detail_bin=impostors.count_by_detail_bin(detail_bins),
        compared=compared,
        pairs_per_original=impostors.count_per_original(counted),
        pairs_excluded=n_excluded,
        pairs_identical=n_identical,
        pairs_low_detail=n_pairs - n_excluded - n_identical - n_counted,
        nearest=impostors.within(limit, variants_against_others),
        nearest_limit=limit,
        hash_sample=systematic_sample(hashed.hashes[compared]),
        run_number=np.zeros(n, np.int32),
        partitions={
            name: impostors.partition(name, own, counted) for name, own in (labels or {}).items()
        },
        counting_rules=(
            f"variants_against_others={str(variants_against_others).lower()}",
            f"count_identical={str(count_identical).lower()}",
            f"exclude_below_detail={exclude_below_detail:g}",
        ),
        hasher=hashed.hasher,
    )


def _number_of_pairs(excluded: NDArray[np.int64], n_variants: NDArray[np.int64]) -> int:
    """Return the number of these pairs of originals, and of their variants with the other one."""
    return len(excluded) + int(n_variants[excluded].sum())


def _duplicates(hashed: VariantHashes) -> NDArray[np.int64]:
    """Return the row of the first original with the same bytes as each original, (n,)."""
    first: dict[str, int] = {}
    rows = np.array(
        [first.setdefault(digest, row) for row, digest in enumerate(hashed.digests)], np.int64
    )
    # A file that was replaced after its digest was computed has another hash, and is no duplicate.
    same = (hashed.hashes == hashed.hashes[rows]).all(axis=1)
    same &= (hashed.detail == hashed.detail[rows]) | np.isnan(hashed.detail)
    return np.where(same, rows, np.arange(len(rows)))


def _genuine_pairs(hashed: VariantHashes, grouped: NDArray[np.int64]) -> GenuinePairs:
    """Return the pairs of all variants and their originals, and of originals of one group."""
    parts = []
    for start in range(0, len(hashed.names), _BATCH):
        batch = slice(start, start + _BATCH)
        rows, transform = np.nonzero(hashed.available[batch])
        variants, originals = hashed.variants[batch][rows, transform], hashed.hashes[batch]
        distances = _plain_and_oriented(hashed.hasher, variants, originals, rows)
        parts.append([rows + start, rows + start, transform, *distances])
    return GenuinePairs.joined([*parts, *genuine_parts(hashed, hashed.hashes, *grouped.T)])


def genuine_parts(
    hashed: VariantHashes,
    hashes: NDArray[np.uint8],
    i: NDArray[Any],
    j: NDArray[Any],
    transform: int = ORIGINAL,
) -> Iterator[list[NDArray[Any]]]:
    """Yield the columns of the genuine pairs of hashes (i) and originals (j), for a few at once."""
    for start in range(0, len(i), _BATCH * _BATCH):
        a, b = (rows[start : start + _BATCH * _BATCH] for rows in (i, j))
        numbers = np.arange(len(a))
        distances = _plain_and_oriented(hashed.hasher, hashes[a], hashed.hashes[b], numbers)
        yield [a, b, np.full(len(a), transform), *distances]


def _plain_and_oriented(
    hasher: HasherScale, hashes: NDArray[np.uint8], others: NDArray[np.uint8], rows: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the exact integer of each hash's distance from one of the others, and the oriented.

    The oriented distance is the smallest over the eight orientations of the other hash, if the
    hasher has any.
    """
    if not hasher.has_orientations:
        plain = hasher.integers(hashes, others[rows])
        return plain, plain
    # Whole numbers below 2^24, in whatever order they are added: exact in float32.
    first, oriented = hashes.astype(np.float32), orientations(others).astype(np.float32)
    products = np.einsum("pb,pob->po", first, oriented[rows])
    norms = np.square(first).sum(axis=1)[:, None] + np.square(oriented).sum(axis=2)[rows]
    distances = norms.astype(np.int64) - 2 * products.astype(np.int64)
    return distances[:, 0], distances.min(axis=1)


@dataclass(frozen=True)
class _Impostors:
    """The impostor pairs: two originals, or a variant and another original; none that is excluded.

    Duplicates (originals with the same bytes) have the same hash. The distance of two duplicates
    is 0, and the distance of a variant from a duplicate is that from its own original. So the
    numbers of these pairs are subtracted from the histograms, and the pairs are not listed.
    """

    hashed: VariantHashes
    in_validation_half: NDArray[np.bool_]
    genuine: GenuinePairs
    excluded: NDArray[np.int64]  # (e, 2), the lower row first
    duplicate_of: NDArray[np.int64]  # (n,), the row of the first duplicate
    compared: NDArray[np.bool_]  # (n,), the same for all duplicates
    max_workers: int | None
    executor: Executor | None

    @property
    def hasher(self) -> HasherScale:
        return self.hashed.hasher

    @cached_property
    def excluded_by_name(self) -> NDArray[np.int64]:
        """Excluded pairs that are not left out for another reason, (e, 2)."""
        i, j = self.excluded.T
        different = self.duplicate_of[i] != self.duplicate_of[j]
        pairs: NDArray[np.int64] = self.excluded[self.compared[i] & self.compared[j] & different]
        return pairs

    def count_by_class(self, transform: int, number: NDArray[Any], k: int) -> Histogram:
        """Return the counts of pairs by the classes of their originals: see `class_pairs`.

        Parameters
        ----------
        transform : int
            Number of a transform, for pairs of its variants and other originals; -1 for pairs of
            two originals.
        number : ndarray of integers, (n,)
            Number of the class of each original.
        k : int
            Number of classes.

        Returns
        -------
        ndarray of int64, (k (k + 1) / 2, t)
        """
        hashes, pairs = self.hashed.hashes, class_pairs(k)
        classes = [self.compared & (number == own) for own in range(k)]
        members = [hashes[rows] for rows in classes]
        counts = np.zeros((len(pairs), self.hasher.n_bins), np.int64)
        # Number of duplicates of each row in each class, itself included.
        n_duplicates = [
            np.bincount(self.duplicate_of[rows], minlength=len(hashes))[self.duplicate_of]
            for rows in classes
        ]
        both = self.excluded_by_name
        if transform == ORIGINAL:
            for count, (a, b) in zip(counts, pairs, strict=True):
                count += self._histogram(members[a], None if a == b else members[b])
                others = n_duplicates[b][classes[a]]
                count[0] -= (others - 1).sum() // 2 if a == b else others.sum()
            self._subtract(counts, hashes, both, number, k)
            return counts
        variants, available = (
            self.hashed.variants[:, transform],
            self.hashed.available[:, transform],
        )
        genuine = self.genuine.taken(self.genuine.transform == transform)
        for count, (a, b) in zip(counts, pairs, strict=True):
            for first, second in {(a, b), (b, a)}:
                rows = available & classes[first]
                count += self._histogram(variants[rows], members[second])
                own = genuine.taken(classes[first][genuine.i])
                times = n_duplicates[second][own.i]
                count -= self.hasher.histogram(own.distance_squared, times)
        for one in (both, both[:, ::-1]):
            self._subtract(counts, variants, one[available[one[:, 0]]], number, k)
        return counts

    def count_by_half(self, transform: int) -> Histogram:
        """Return the counts (3, t) of a transform by half, in the order of `PAIR_SPLITS`."""
        return self.count_by_class(transform, self.in_validation_half, 2)[[0, 2, 1]]

    def count_by_detail_bin(self, edges: Sequence[float]) -> Histogram:
        """Return the counts (k, t) of pairs of originals, by the bin of the lower detail.

        Pairs with an original of unknown detail are in no bin.
        """
        k = len(edges) + 1
        bins = detail_bin_numbers(self.hashed.detail, edges)
        counts = np.zeros((k, self.hasher.n_bins), np.int64)
        lower = [low for low, _ in class_pairs(k)]
        np.add.at(counts, lower, self.count_by_class(ORIGINAL, bins, k))
        return counts

    def partition(self, name: str, labels: Sequence[str], transforms: Iterable[int]) -> Partition:
        """Return the originals by their labels, with the counts of all transforms together."""
        names, number = numbered(name, labels)
        counts = (self.count_by_class(transform, number, len(names)) for transform in transforms)
        return Partition(names, number, sum(counts, np.zeros((), np.int64)))

    def count_per_original(self, transforms: Iterable[int]) -> NDArray[np.int32]:
        """Return the number of pairs of each original, (n, v + 1): `PairCounts.pairs_per_original`.

        Transforms that are not given have none.
        """
        n, v = self.hashed.available.shape
        pairs = np.zeros((n, v + 1), np.int32)
        i, j = self.excluded_by_name.T
        for transform in transforms:
            # What an original brings to a pair with another one: half a pair, or a variant.
            own = np.where(self.compared, 0.5, 0.0)
            if transform != ORIGINAL:
                own = (self.compared & self.hashed.available[:, transform]).astype(np.float64)
            column = np.zeros(n)
            for group, sign in ((np.zeros(n, np.int64), 1), (self.duplicate_of, -1)):
                members = np.bincount(group, self.compared, n)[group]
                column += sign * ((members - 1) * own + np.bincount(group, own, n)[group] - own)
            np.subtract.at(column, np.r_[i, j], np.tile(own[i] + own[j], 2))
            pairs[:, transform + 1] = np.where(self.compared, column, 0)
        return pairs

    def within(self, limit: int, with_variants: bool) -> NearestImpostors:
        """Return every pair up to a threshold, in the order of the distance."""
        transforms = range(len(self.hashed.transforms)) if with_variants else ()
        parts = [part for number in (ORIGINAL, *transforms) for part in self._within(limit, number)]
        return NearestImpostors.joined(parts)

    def _within(self, limit: int, transform: int) -> Iterator[NearestImpostors]:
        """Yield the pairs of one transform, or of two originals, if there are any."""
        n = len(self.duplicate_of)
        # The first duplicate stands for all: many copies of one original are many pairs.
        first = np.flatnonzero(self.compared & (self.duplicate_of == np.arange(n)))
        if limit < 0 or not len(first):
            return
        hashes = self.hashed.hashes[first]
        options: Any = {"max_distance": self.hasher.integer_limit(limit)}
        options["metric"] = self.hasher.integer_metric
        if transform == ORIGINAL:
            options |= self._workers(hashes, hashes)
            found = pairs_within(hashes, **options)
            place, i = self._all_duplicates(first[found.i])
            column, squared = found.j[place], found.distance[place]
        else:
            rows = np.flatnonzero(self.hashed.available[:, transform] & self.compared)
            variants = self.hashed.variants[rows, transform]
            options |= self._workers(variants, hashes)
            found = pairs_within(variants, hashes, **options)
            i, column, squared = rows[found.i], found.j, found.distance
        others = self.duplicate_of[i] != first[column]
        i, column, squared = i[others], column[others], squared[others]
        place, j = self._all_duplicates(first[column])
        i, squared = i[place], squared[place]
        low, high = np.minimum(i, j), np.maximum(i, j)
        counted = ~np.isin(low * n + high, self.excluded @ np.array([n, 1]))
        if transform == ORIGINAL:
            i, j = low, high
        if counted.any():
            numbers = np.full(int(counted.sum()), transform)
            yield NearestImpostors.of(i[counted], j[counted], numbers, squared[counted])

    def _all_duplicates(
        self, first: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the place of each first duplicate once for every row of its kind, and that row."""
        order = np.argsort(self.duplicate_of, kind="stable")
        begin = np.searchsorted(self.duplicate_of[order], first)
        number = np.searchsorted(self.duplicate_of[order], first, side="right") - begin
        place = np.repeat(np.arange(len(first)), number)
        nth = np.arange(len(place)) - np.repeat(np.cumsum(number) - number, number)
        return place, order[begin[place] + nth]

    def _histogram(self, a: NDArray[np.uint8], b: NDArray[np.uint8] | None = None) -> Histogram:
        if not len(a) or (b is not None and not len(b)):
            return np.zeros(self.hasher.n_bins, np.int64)
        options: Any = self._workers(a, a if b is None else b)
        return distance_histogram(a, b, metric=self.hasher.metric, **options).counts

    def _workers(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> dict[str, Any]:
        """Return where the pairs of these hashes are compared: here, unless they are many."""
        executor = self.executor if len(a) * len(b) >= _SENT_PAIRS else None
        return {"max_workers": self.max_workers, "executor": executor}

    def _subtract(
        self,
        counts: Histogram,
        queries: NDArray[np.uint8],
        excluded: NDArray[np.int64],
        number: NDArray[Any],
        k: int,
    ) -> None:
        """Subtract the pairs of these queries and originals from the counts by class."""
        i, j = excluded.T
        binned = (number[i] >= 0) & (number[j] >= 0)
        i, j = i[binned], j[binned]
        row = pair_number(number[i].astype(np.int64), number[j].astype(np.int64), k)
        columns = self.hasher.bins(self.hasher.integers(queries[i], self.hashed.hashes[j]))
        np.subtract.at(counts, (row, columns), 1)


def _largest_limit(total: Histogram, max_listed: int) -> int:
    """Return the largest distance up to which there are at most so many pairs, or -1."""
    return int(np.searchsorted(np.cumsum(total), max_listed, side="right")) - 1


def _unique_pairs(
    pairs: Iterable[tuple[int, int]], grouped: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Return pairs of rows, each once, the lower row first, (e, 2)."""
    listed = np.array(list(pairs), np.int64).reshape(-1, 2)
    wrong = (listed[:, 0] == listed[:, 1]) | ((listed < 0) | (listed >= n)).any(axis=1)
    for i, j in listed[wrong]:
        raise ArgumentError(f"exclude: got {i}, {j}, needs two different rows of {n}")
    unique: NDArray[np.int64] = np.unique(np.sort(np.r_[listed, grouped], axis=1), axis=0)
    return unique


def _pairs_in_groups(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return all pairs of rows with the same group, the lower row first, (e, 2)."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group:
            rows.setdefault(group, []).append(row)
    pairs = [np.array(own)[np.stack(np.triu_indices(len(own), 1), 1)] for own in rows.values()]
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])
