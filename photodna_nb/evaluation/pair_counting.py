"""Hashes of originals and variants, counted pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.pair_counts import (
    CELLS,
    PAIR_HALVES,
    Cells,
    NearestImpostors,
    PairCounts,
    cells_of,
    counts_of,
    sample_of,
)
from photodna_nb.hashing.orientations import orientations
from photodna_nb.pairs import all_pairs
from photodna_nb.pairs.histogram import distance_histogram

# Of close impostor pairs, the most that are listed.
_LISTED = 1_000_000
# Originals whose variants are compared with them at once.
_AT_ONCE = 64
_NOTHING = -1


@dataclass(frozen=True, eq=False)
class VariantHashes:
    """Hashes of originals and of their variants, to be counted.

    Attributes
    ----------
    names, digests : tuple of str, n
        Of the originals.
    transforms : tuple of str, v
        The edits.
    hashes : ndarray of uint8, (n, 144)
        Of the originals.
    detail : ndarray of float64, (n,)
        Of the originals, in grey levels.
    variants : ndarray of uint8, (n, v, 144)
        Of the variants.
    available : ndarray of bool, (n, v)
        Which variants there are; the hashes of the others mean nothing.
    variants_detail : ndarray of float64, (n, v)
        Of the variants; NaN where there is none.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    variants: NDArray[np.uint8]
    available: NDArray[np.bool_]
    variants_detail: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, v = len(self.names), len(self.transforms)
        checks.array("hashes", self.hashes, np.uint8, (n, HASH_BYTES))
        checks.array("detail", self.detail, np.float64, (n,))
        checks.array("variants", self.variants, np.uint8, (n, v, HASH_BYTES))
        checks.array("available", self.available, np.bool_, (n, v))
        checks.array("variants_detail", self.variants_detail, np.float64, (n, v))


def count_pairs(
    hashed: VariantHashes,
    in_validation_half: NDArray[np.bool_],
    *,
    detail_bins: Sequence[float] = (),
    exclude: Iterable[tuple[int, int]] = (),
    variants_against_others: bool = True,
    count_identical: bool = False,
    min_detail: float = 0.0,
    max_listed: int = _LISTED,
    max_workers: int | None = None,
) -> PairCounts:
    """Return the counts of all genuine and impostor pairs.

    Parameters
    ----------
    hashed : VariantHashes
        Originals and variants.
    in_validation_half : ndarray of bool, (n,)
        Which originals are in half B.
    detail_bins : sequence of float
        Increasing; where a detail bin ends and the next begins.
    exclude : iterable of (int, int)
        Rows of two originals that show the same: neither they nor their variants are an
        impostor pair.
    variants_against_others : bool
        Whether variants are compared with other originals.
    count_identical : bool
        Whether two originals with the same digest are compared.
    min_detail : float
        Originals with less, in grey levels, are in no impostor pair, nor are their variants.
    max_listed : int
        The most close impostor pairs that are listed.
    max_workers : int, optional
        Threads, the number of processors if left out.

    Returns
    -------
    PairCounts
        Exact.

    Notes
    -----
    A pair is left out for one reason: by name, else as identical, else as flat.

    Memory grows with the hashes and with `max_listed`; time with the pairs, over 10^9 of which
    two processors count in some seconds.
    """
    n = len(hashed.names)
    checks.array("in_validation_half", in_validation_half, np.bool_, (n,))
    excluded = _pairs_of(exclude, n)
    alike = np.arange(n) if count_identical else _alike(hashed)
    compared = ~(hashed.detail < min_detail)
    own = _Own(hashed)
    counted = _Impostors(
        hashed, in_validation_half, own.squared, excluded, alike, compared, max_workers
    )
    originals = counted.originals()
    shape = (len(hashed.transforms), len(PAIR_HALVES), CELLS)
    variants = np.zeros(shape, np.int64)
    if variants_against_others:
        for transform, of_one in enumerate(variants):
            of_one += counted.variants(transform)
    limit = _limit(originals.sum(axis=0) + variants.sum(axis=(0, 1)), max_listed)
    close = counted.close(limit, variants_against_others)
    # In how many pairs the variants of each original are with any one other.
    made = hashed.available.sum(axis=1) * variants_against_others
    same = np.bincount(alike)[alike] - 1
    all_pairs = n * (n - 1) // 2 + int(made.sum()) * (n - 1)
    by_name = _number_of(excluded, made)
    identical = int(same.sum()) // 2 + int(made @ same)
    identical -= _number_of(excluded[alike[excluded[:, 0]] == alike[excluded[:, 1]]], made)
    flat = all_pairs - by_name - identical - int(originals.sum()) - int(variants.sum())
    return PairCounts(
        names=hashed.names,
        digests=hashed.digests,
        transforms=hashed.transforms,
        detail=hashed.detail,
        in_validation_half=in_validation_half,
        detail_bin_edges=tuple(map(float, detail_bins)),
        genuine_distance_squared=own.squared,
        genuine_oriented_distance_squared=own.oriented_squared,
        impostor_originals=originals,
        impostor_variants=variants,
        impostor_by_detail_bin=counted.by_detail_bin(detail_bins),
        compared=compared,
        pairs_excluded=by_name,
        pairs_identical=identical,
        pairs_low_detail=flat,
        nearest=close,
        nearest_limit=limit,
        hash_sample=sample_of(hashed.hashes[compared]),
        run_number=np.zeros(n, np.int32),
        counting_rules=(
            f"variants_against_others={str(variants_against_others).lower()}",
            f"count_identical={str(count_identical).lower()}",
            f"min_detail={min_detail:g}",
        ),
    )


def _number_of(excluded: NDArray[np.int64], made: NDArray[np.int64]) -> int:
    """Return how many pairs of originals these are, and of their variants with the other one."""
    return len(excluded) + int(made[excluded].sum())


def _alike(hashed: VariantHashes) -> NDArray[np.int64]:
    """Return the same number for originals that are the same bytes, (n,)."""
    first: dict[str, int] = {}
    rows = np.array(
        [first.setdefault(digest, row) for row, digest in enumerate(hashed.digests)], np.int64
    )
    # Of a file that was replaced between its digest and its hash, no more is known to be equal.
    same = (hashed.hashes == hashed.hashes[rows]).all(axis=1)
    same &= hashed.detail == hashed.detail[rows]
    return np.where(same, rows, np.arange(len(rows)))


class _Own:
    """How far each variant is from its original, (n, v): as it is, and in its best orientation."""

    def __init__(self, hashed: VariantHashes) -> None:
        shape = hashed.available.shape
        self.squared = np.empty(shape, np.int32)
        self.oriented_squared = np.empty(shape, np.int32)
        for start in range(0, shape[0], _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            # Whole numbers below 2^24, in whatever order they are added: exact in float32.
            variants = hashed.variants[rows].astype(np.float32)
            ways = orientations(hashed.hashes[rows]).astype(np.float32)
            products = variants @ ways.swapaxes(1, 2)
            squares = np.square(variants).sum(axis=2)[:, :, None]
            squares = squares.astype(np.int32) + np.square(ways).sum(axis=2)[:, None].astype(
                np.int32
            )
            squared = squares - 2 * products.astype(np.int32)
            self.squared[rows] = squared[:, :, 0]
            self.oriented_squared[rows] = squared.min(axis=2)
        self.squared[~hashed.available] = _NOTHING
        self.oriented_squared[~hashed.available] = _NOTHING


@dataclass(frozen=True)
class _Impostors:
    """Pairs of different originals, and of variants and other originals, without the excluded.

    Originals that are alike have the same hash: what is between them is at distance 0, and
    what is between the variants of the one and the others is known from its own. So they are
    subtracted by their numbers, and no list of them is made.
    """

    hashed: VariantHashes
    in_validation_half: NDArray[np.bool_]
    own_squared: NDArray[np.int32]
    excluded: NDArray[np.int64]  # (e, 2), the lower row first
    alike: NDArray[np.int64]  # (n,), the row of the first that is alike
    compared: NDArray[np.bool_]  # (n,), the same for all that are alike
    max_workers: int | None

    @cached_property
    def halves(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows are compared in A, and in B."""
        return self.compared & ~self.in_validation_half, self.compared & self.in_validation_half

    @cached_property
    def number_alike(self) -> NDArray[np.int64]:
        """How many in A, and in B, are alike each row, itself included, (2, n)."""
        n = len(self.alike)
        numbers = [np.bincount(self.alike[half], minlength=n) for half in self.halves]
        found: NDArray[np.int64] = np.stack(numbers)[:, self.alike]
        return found

    @cached_property
    def named(self) -> NDArray[np.int64]:
        """Excluded pairs that are not left out for another reason, (e, 2)."""
        i, j = self.excluded.T
        kept = self.compared[i] & self.compared[j] & (self.alike[i] != self.alike[j])
        found: NDArray[np.int64] = self.excluded[kept]
        return found

    def originals(self) -> Cells:
        """Return the counts (3, 3061) of pairs of originals: in A, in B, between."""
        hashes = self.hashed.hashes
        in_a, in_validation_half = self.halves
        a, b = hashes[in_a], hashes[in_validation_half]
        counts = np.stack([self._histogram(a), self._histogram(b), self._histogram(a, b)])
        alike_in_a, alike_in_b = self.number_alike
        counts[0, 0] -= (alike_in_a[in_a] - 1).sum() // 2
        counts[1, 0] -= (alike_in_b[in_validation_half] - 1).sum() // 2
        counts[2, 0] -= alike_in_b[in_a].sum()
        return self._less(counts, hashes, *self.named.T)

    def variants(self, transform: int) -> Cells:
        """Return the counts (3, 3061) of an edit's variants and other originals."""
        hashes, made = self.hashed.hashes, self.hashed.available[:, transform]
        edited = self.hashed.variants[:, transform]
        in_a, in_validation_half = self.halves
        a, b = hashes[in_a], hashes[in_validation_half]
        edited_a, edited_b = edited[made & in_a], edited[made & in_validation_half]
        between = self._histogram(edited_a, b) + self._histogram(edited_b, a)
        counts = np.stack([self._histogram(edited_a, a), self._histogram(edited_b, b), between])
        own = self.own_squared[:, transform]
        alike_in_a, alike_in_b = self.number_alike
        for part, half, alike in (
            (0, in_a, alike_in_a),
            (1, in_validation_half, alike_in_b),
            (2, in_a, alike_in_b),
            (2, in_validation_half, alike_in_a),
        ):
            counts[part] -= counts_of(own[made & half], alike[made & half])
        for first, second in (self.named.T, self.named.T[::-1]):
            there = made[first]
            counts = self._less(counts, edited, first[there], second[there])
        return counts

    def by_detail_bin(self, detail_bins: Sequence[float]) -> Cells:
        """Return the counts (k, 3061) of pairs of originals, by the band of the lower detail."""
        hashes = self.hashed.hashes
        band = np.searchsorted(np.array(detail_bins, np.float64), self.hashed.detail, side="right")
        counts = np.zeros((len(detail_bins) + 1, CELLS), np.int64)
        for number, of_one in enumerate(counts):
            inside = hashes[self.compared & (band == number)]
            above = hashes[self.compared & (band > number)]
            of_one += self._histogram(inside) + self._histogram(inside, above)
        others = self.number_alike.sum(axis=0)[self.compared] - 1
        twice = np.bincount(band[self.compared], others, len(counts))
        counts[:, 0] -= twice.astype(np.int64) // 2
        i, j = self.named.T
        np.subtract.at(
            counts, (np.minimum(band[i], band[j]), cells_of(_squared(hashes[i], hashes[j]))), 1
        )
        return counts

    def close(self, limit: int, with_variants: bool) -> NearestImpostors:
        """Return every pair up to a distance, the closest first."""
        found = [*self._close(limit, _NOTHING)]
        if with_variants:
            for transform in range(len(self.hashed.transforms)):
                found += self._close(limit, transform)
        return NearestImpostors.joined(found)

    def _close(self, limit: int, transform: int) -> Iterator[NearestImpostors]:
        """Yield the pairs of one edit, or of two originals, if there are any."""
        n = len(self.alike)
        # The first of those that are alike stands for all: many copies of one are many pairs.
        first = np.flatnonzero(self.compared & (self.alike == np.arange(n)))
        if limit < 0 or not len(first):
            return
        hashes = self.hashed.hashes[first]
        options: Any = {"max_distance": limit * limit, "metric": "sqeuclidean"}
        options["max_workers"] = self.max_workers
        if transform == _NOTHING:
            row, column, squared = all_pairs.pairs_within(hashes, **options)
            place, i = self._all_alike(first[row])
            column, squared = column[place], squared[place]
        else:
            rows = np.flatnonzero(self.hashed.available[:, transform] & self.compared)
            edited = self.hashed.variants[rows, transform]
            row, column, squared = all_pairs.pairs_within(edited, hashes, **options)
            i = rows[row]
        others = self.alike[i] != first[column]
        i, column, squared = i[others], column[others], squared[others]
        place, j = self._all_alike(first[column])
        i, squared = i[place], squared[place]
        low, high = np.minimum(i, j), np.maximum(i, j)
        wanted = ~np.isin(low * n + high, self.excluded @ np.array([n, 1]))
        if transform == _NOTHING:
            i, j = low, high
        if wanted.any():
            edits = np.full(int(wanted.sum()), transform)
            yield NearestImpostors.of(i[wanted], j[wanted], edits, squared[wanted])

    def _all_alike(self, first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the place of each of these once for every row that is alike, and that row."""
        order = np.argsort(self.alike, kind="stable")
        begin = np.searchsorted(self.alike[order], first)
        number = np.searchsorted(self.alike[order], first, side="right") - begin
        place = np.repeat(np.arange(len(first)), number)
        nth = np.arange(len(place)) - np.repeat(np.cumsum(number) - number, number)
        return place, order[begin[place] + nth]

    def _histogram(self, a: NDArray[np.uint8], b: NDArray[np.uint8] | None = None) -> Cells:
        if not len(a) or (b is not None and not len(b)):
            return np.zeros(CELLS, np.int64)
        return distance_histogram(a, b, max_workers=self.max_workers).counts

    def _less(
        self,
        counts: Cells,
        queries: NDArray[np.uint8],
        i: NDArray[np.int64],
        j: NDArray[np.int64],
    ) -> Cells:
        """Return the counts without the pairs of those queries and originals."""
        part = np.where(
            self.in_validation_half[i] != self.in_validation_half[j],
            2,
            self.in_validation_half[i].astype(np.int64),
        )
        cells = cells_of(_squared(queries[i], self.hashed.hashes[j]))
        left = counts.copy()
        np.subtract.at(left, (part, cells), 1)
        return left


def _limit(total: Cells, max_listed: int) -> int:
    """Return the largest distance up to which there are at most so many pairs, or -1."""
    return int(np.searchsorted(np.cumsum(total), max_listed, side="right")) - 1


def _pairs_of(exclude: Iterable[tuple[int, int]], n: int) -> NDArray[np.int64]:
    """Return excluded pairs, each once, the lower row first, (e, 2)."""
    chosen = {(min(pair), max(pair)) for pair in exclude}
    for i, j in chosen:
        if i == j or i < 0 or j >= n:
            raise ArgumentError(f"exclude: got {i}, {j}, needs two different rows of {n}")
    return np.array(sorted(chosen), np.int64).reshape(-1, 2)


def _squared(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the squared distances of hashes from hashes, row by row."""
    differences = a.astype(np.int64) - b
    squared: NDArray[np.int64] = (differences * differences).sum(axis=-1)
    return squared
