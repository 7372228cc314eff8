"""The impostor pairs of a run: their numbers by distance, and the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import Histogram, detail_bin_numbers
from photodna_nb.evaluation.pair_records import GenuinePairs, NearestImpostors
from photodna_nb.evaluation.partitions import Partition, class_pairs, numbered, pair_number
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.pairs.histogram import distance_histogram
from photodna_nb.pairs.within import pairs_within

# Number of pairs from which on an executor compares them. Two threads need a tenth of a second,
# as much as it takes to send the hashes and to wait for the answer.
_SENT_PAIRS = 20_000_000

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True)
class Impostors:
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
        """The hasher of all hashes."""
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
            self._subtract(counts, hashes[both[:, 0]], both, number, k)
            return counts
        of, variants, _ = self.hashed.of_transform(transform)
        genuine = self.genuine.taken(self.genuine.transform == transform)
        for count, (a, b) in zip(counts, pairs, strict=True):
            for first, second in {(a, b), (b, a)}:
                count += self._histogram(variants[classes[first][of]], members[second])
                own = genuine.taken(classes[first][genuine.i])
                times = n_duplicates[second][own.i]
                count -= self.hasher.histogram(own.distance_squared, times)
        for one in (both, both[:, ::-1]):
            begin, end = (np.searchsorted(of, one[:, 0], side) for side in _SIDES)
            pair, variant = _spread(begin, end - begin)
            self._subtract(counts, variants[variant], one[pair], number, k)
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
        n = len(self.compared)
        pairs = np.zeros((n, len(self.hashed.all_transforms) + 1), np.int32)
        i, j = self.excluded_by_name.T
        for transform in transforms:
            # What an original brings to a pair with another one: half a pair, or its variants.
            own = np.where(self.compared, 0.5, 0.0)
            if transform != ORIGINAL:
                of, _, _ = self.hashed.of_transform(transform)
                own = np.where(self.compared, np.bincount(of, minlength=n), 0.0)
            column = np.zeros(n)
            for group, sign in ((np.zeros(n, np.int64), 1), (self.duplicate_of, -1)):
                members = np.bincount(group, self.compared, n)[group]
                column += sign * ((members - 1) * own + np.bincount(group, own, n)[group] - own)
            np.subtract.at(column, np.r_[i, j], np.tile(own[i] + own[j], 2))
            pairs[:, transform + 1] = np.where(self.compared, column, 0)
        return pairs

    def within(self, limit: int, with_variants: bool) -> NearestImpostors:
        """Return every pair up to a threshold, in the order of the distance."""
        transforms = range(len(self.hashed.all_transforms)) if with_variants else ()
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
            column, squared, copy = found.j[place], found.distance[place], np.full(len(i), -1)
        else:
            columns = self.hashed.of_transform(transform)
            rows, variants, copies = (one[self.compared[columns[0]]] for one in columns)
            if not len(rows):
                return
            options |= self._workers(variants, hashes)
            found = pairs_within(variants, hashes, **options)
            i, column, squared, copy = rows[found.i], found.j, found.distance, copies[found.i]
        others = self.duplicate_of[i] != first[column]
        place, j = self._all_duplicates(first[column[others]])
        i, squared, copy = (one[others][place] for one in (i, squared, copy))
        low, high = np.minimum(i, j), np.maximum(i, j)
        counted = ~np.isin(low * n + high, self.excluded @ np.array([n, 1]))
        if transform == ORIGINAL:
            i, j = low, high
        if counted.any():
            numbers = np.full(int(counted.sum()), transform)
            listed = (one[counted] for one in (i, j, squared, copy))
            yield NearestImpostors.of(next(listed), next(listed), numbers, *listed)

    def _all_duplicates(
        self, first: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the place of each first duplicate once for every row of its kind, and that row."""
        order = np.argsort(self.duplicate_of, kind="stable")
        begin = np.searchsorted(self.duplicate_of[order], first)
        number = np.searchsorted(self.duplicate_of[order], first, side="right") - begin
        place, index = _spread(begin, number)
        return place, order[index]

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
        """Subtract the pairs of these queries, (e, length), and originals from the counts."""
        i, j = excluded.T
        binned = (number[i] >= 0) & (number[j] >= 0)
        i, j, queries = i[binned], j[binned], queries[binned]
        row = pair_number(number[i].astype(np.int64), number[j].astype(np.int64), k)
        columns = self.hasher.bins(self.hasher.integers(queries, self.hashed.hashes[j]))
        np.subtract.at(counts, (row, columns), 1)


def _spread(
    begin: NDArray[np.int64], number: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of each range as often as it has numbers, and these numbers."""
    place = np.repeat(np.arange(len(number)), number)
    nth = np.arange(len(place)) - np.repeat(np.cumsum(number) - number, number)
    return place, begin[place] + nth
