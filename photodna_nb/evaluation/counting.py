"""All pairs of hashes of originals and variants, counted by distance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.impostor_counting import Impostors
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import (
    PAIR_SPLITS,
    Histogram,
    PairCounts,
    systematic_sample,
)
from photodna_nb.evaluation.pair_records import GenuinePairs
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.hashing.orientations import orientations

# Largest number of impostor pairs that are listed one by one.
_LISTED = 1_000_000
# Number of originals whose genuine distances are computed at once.
_BATCH = 64


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
    impostors = Impostors(
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
    shape = len(hashed.all_transforms), len(PAIR_SPLITS), hashed.hasher.n_bins
    variants = np.zeros(shape, np.int64)
    counted = (ORIGINAL, *range(len(variants) if variants_against_others else 0))
    for transform in counted[1:]:
        variants[transform] = impostors.count_by_half(transform)
    limit = _largest_limit(originals.sum(axis=0) + variants.sum(axis=(0, 1)), max_listed)
    # Number of pairs of each original's variants with any one other original.
    n_variants = hashed.n_variants * variants_against_others
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
        transforms=hashed.all_transforms,
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
        copies=() if hashed.copies is None else hashed.copies.names,
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
    parts += genuine_parts(hashed, hashed.hashes[grouped[:, 0]], *grouped.T)
    for number in range(len(hashed.transforms), len(hashed.all_transforms)):
        rows, copies, copy = hashed.of_transform(number)
        parts += genuine_parts(hashed, copies, rows, rows, number, copy)
    return GenuinePairs.joined(parts)


def genuine_parts(
    hashed: VariantHashes,
    hashes: NDArray[np.uint8],
    i: NDArray[Any],
    j: NDArray[Any],
    transform: int = ORIGINAL,
    copy: NDArray[Any] | None = None,
) -> Iterator[list[NDArray[Any]]]:
    """Yield the columns of the genuine pairs of hashes and originals (j), for a few at once."""
    copy = np.full(len(i), -1) if copy is None else copy
    for start in range(0, len(i), _BATCH * _BATCH):
        part = slice(start, start + _BATCH * _BATCH)
        numbers = np.arange(len(i[part]))
        others = hashed.hashes[j[part]]
        distances = _plain_and_oriented(hashed.hasher, hashes[part], others, numbers)
        yield [i[part], j[part], np.full(len(numbers), transform), *distances, copy[part]]


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
