"""Counts of genuine and impostor pairs by distance, from which every rate is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files, npz
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation import partitions, stored_arrays
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.pair_records import (
    GenuinePairs,
    NearestImpostors,
    PairCategories,
    linked_groups,
    packed_pairs,
    shifted,
)
from photodna_nb.evaluation.partitions import Partition
from photodna_nb.files import PathLike

# Number of pairs in each of t distance bins, (t,), or several such rows.
Histogram = NDArray[np.int64]
Half = Literal["selection", "validation"]
PairSplit = Literal["selection", "validation", "between"]

HALVES: tuple[Half, ...] = get_args(Half)
PAIR_SPLITS: tuple[PairSplit, ...] = get_args(PairSplit)

# Largest number of originals whose hashes are kept.
_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Distances of originals from their variants (genuine) and from each other (impostor).

    A histogram has t distance bins, one for each threshold of the hasher (3061 for "photodna"):
    bin d holds the pairs with ``d - 1 < distance <= d``, so that the cumulative sum is the number
    of pairs that match at the threshold d. Distances are kept as exact integers, squared for L2.
    The originals are split into a selection half, on which thresholds are chosen, and a
    validation half, on which their rates are estimated. A pair is in one half, or between them.

    Attributes
    ----------
    names, digests : tuple of str, n
        Names and digests of the originals that could be hashed.
    transforms : tuple of str, v
        The transforms, as `transforms.parse` reads them.
    detail : ndarray of float64, (n,)
        Detail of the originals, in grey levels; for another hasher than "photodna" its own quality,
        or NaN.
    in_validation_half : ndarray of bool, (n,)
        Which originals are in the validation half.
    detail_bin_edges : tuple of float, k - 1
        Inner edges of the detail bins, in grey levels.
    genuine : GenuinePairs
        Every genuine pair. Originals that show the same are in one half.
    impostor_originals : ndarray of int64, (3, t)
        Pairs of two originals, in the selection half, in the validation half and between them.
    impostor_variants : ndarray of int64, (v, 3, t)
        Pairs of a variant and another original, by transform and half; zeros if they were
        not to be counted.
    impostor_by_detail_bin : ndarray of int64, (k, t)
        Pairs of two originals, by the detail bin of the one with less detail.
    compared : ndarray of bool, (n,)
        Which originals are in impostor pairs: those with enough detail.
    pairs_per_original : ndarray of int32, (n, v + 1)
        Number of pairs of two originals, and of a variant by each transform and another original,
        in which each original, or its variant, takes part.
    pairs_excluded : int
        Pairs that were left out as named duplicates, of originals and of variants.
    pairs_identical : int
        Other pairs that were left out since both originals are the same bytes.
    pairs_low_detail : int
        Other pairs that were left out since one of the originals has too little detail.
    nearest : NearestImpostors
        Every impostor pair up to `nearest_limit`.
    nearest_limit : int
        Listing cut-off: the largest threshold up to which `nearest` is complete; -1 if
        even the pairs at distance 0 are too many.
    hash_sample : ndarray of uint8, (m, length)
        Hashes of a systematic sample of the compared originals (every k-th, at most 2000), for
        the dependence of pairs beyond `nearest_limit`.
    run_number : ndarray of int32, (n,)
        Number of the run that each original is of, where counts were added up. Originals
        of different runs are not compared.
    counting_rules : tuple of str
        Which pairs were counted: ``"variants_against_others=true"`` and the like.
    partitions : dict of str to Partition
        The originals in classes by ``"categories"``, with the impostor pairs of every two; empty if
        they have none.
    hasher : HasherScale
        The hasher, and how its distances are counted.
    labelled : PairCategories or None
        The categories of labelled pairs, if exactly these were counted. All of them are listed,
        and there are no variants.
    copies : tuple of str, c
        Names of the altered copies from files.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    detail: NDArray[np.float64]
    in_validation_half: NDArray[np.bool_]
    detail_bin_edges: tuple[float, ...]
    genuine: GenuinePairs
    impostor_originals: Histogram
    impostor_variants: Histogram
    impostor_by_detail_bin: Histogram
    compared: NDArray[np.bool_]
    pairs_per_original: NDArray[np.int32]
    pairs_excluded: int
    pairs_identical: int
    pairs_low_detail: int
    nearest: NearestImpostors
    nearest_limit: int
    hash_sample: NDArray[np.uint8]
    run_number: NDArray[np.int32]
    counting_rules: tuple[str, ...]
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    hasher: HasherScale = PHOTODNA
    labelled: PairCategories | None = None
    copies: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of originals."""
        return len(self.names)

    def __repr__(self) -> str:
        n_pairs = int(self.impostor_histogram().sum())
        by = "" if self.hasher == PHOTODNA else f" by {self.hasher.name}"
        return (
            f"<PairCounts of {len(self)} originals, {len(self.genuine.i)} genuine pairs, "
            f"{n_pairs} impostor pairs{by}>"
        )

    @property
    def detail_bin(self) -> NDArray[np.int64]:
        """Number of the detail bin of each original, (n,); -1 where the detail is not known."""
        return detail_bin_numbers(self.detail, self.detail_bin_edges)

    @property
    def n_detail_bins(self) -> int:
        """Number of detail bins."""
        return len(self.detail_bin_edges) + 1

    @cached_property
    def genuine_clusters(self) -> NDArray[np.int64]:
        """Number of the cluster of each genuine pair, (g,).

        Pairs of one cluster are linked by originals: those of one original and of all that show
        the same. Pairs of different clusters have no image in common.
        """
        return self.linked_groups[self.genuine.i]

    @cached_property
    def linked_groups(self) -> NDArray[np.int64]:
        """Number of the group of each original, (n,): those that genuine pairs link."""
        if np.array_equal(self.genuine.i, self.genuine.j):
            return np.arange(len(self))
        return linked_groups(self.genuine.i, self.genuine.j, len(self))

    def genuine_rows(
        self,
        transform: str | int | None = None,
        *,
        half: Half | None = None,
        detail_bin: int | None = None,
    ) -> NDArray[np.bool_]:
        """Return which of the genuine pairs are of a transform, a half and a detail bin, (g,).

        Parameters are those of `genuine_distances_squared`. A pair of two originals is in the
        detail bin of the one with less detail.
        """
        i, j = self.genuine.i, self.genuine.j
        rows = np.ones(len(i), bool)
        if half is not None:
            in_validation = checks.choice("half", half, HALVES) == HALVES[1]
            rows &= self.in_validation_half[i] == in_validation
        if detail_bin is not None:
            bins = np.minimum(self.detail_bin[i], self.detail_bin[j])
            rows &= bins == checks.integer("detail_bin", detail_bin, 0, self.n_detail_bins - 1)
        if transform is not None:
            rows &= self.genuine.transform == self._number(transform)
        return rows

    def genuine_distances_squared(
        self,
        transform: str | int | None = None,
        *,
        half: Half | None = None,
        detail_bin: int | None = None,
        oriented: bool = False,
    ) -> NDArray[np.int32]:
        """Return the exact integers of the distances of genuine pairs, ascending.

        Parameters
        ----------
        transform : str or int, optional
            One transform, by its spec or number; all if left out.
        half : {"selection", "validation"}, optional
            One half of the originals; both if left out.
        detail_bin : int, optional
            One detail bin, from 0 on; all if left out.
        oriented : bool
            Whether distances are oriented: the smallest over the original's eight orientations.

        Returns
        -------
        ndarray of int32, (m,)
            Squared L2 distances; for other metrics the distances.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no such transform, half or detail bin.
        """
        rows = self.genuine_rows(transform, half=half, detail_bin=detail_bin)
        return np.sort(self.genuine.squared(oriented)[rows])

    def genuine_histogram(self, transform: str | int | None = None, **selection: Any) -> Histogram:
        """Return the number of genuine pairs in each distance bin, (t,) int64.

        Parameters are those of `genuine_distances_squared`.
        """
        return self.hasher.histogram(self.genuine_distances_squared(transform, **selection))

    def impostor_histogram(
        self,
        *,
        split: PairSplit | None = None,
        transform: str | int | None = None,
        originals: bool = True,
        variants: bool = True,
    ) -> Histogram:
        """Return the number of impostor pairs in each distance bin, (t,) int64.

        Parameters
        ----------
        split : {"selection", "validation", "between"}, optional
            Pairs in one half, or between the halves; all if left out.
        transform : str or int, optional
            Only pairs of a variant by this transform and another original.
        originals, variants : bool
            Whether pairs of two originals count, and those of a variant and another original.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no such transform or split.
        """
        splits = slice(None)
        if split is not None:
            number = PAIR_SPLITS.index(checks.choice("split", split, PAIR_SPLITS))
            splits = slice(number, number + 1)
        if transform is not None:
            counts: Histogram = self.impostor_variants[self._number(transform), splits].sum(axis=0)
            return counts
        total = np.zeros(self.hasher.n_bins, np.int64)
        if originals:
            total += self.impostor_originals[splits].sum(axis=0)
        if variants:
            total += self.impostor_variants[:, splits].sum(axis=(0, 1))
        return total

    def nearest_pairs(self, k: int) -> NearestImpostors:
        """Return the k nearest of the listed pairs, at most one of the same two originals.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `k` is no integer of at least 0.
        """
        k = checks.integer("k", k, 0)
        nearest = self.nearest
        low, high = np.minimum(nearest.i, nearest.j), np.maximum(nearest.i, nearest.j)
        _, first = np.unique(low.astype(np.int64) * len(self) + high, return_index=True)
        return nearest.taken(np.sort(first)[:k])

    def __add__(self, other: PairCounts) -> PairCounts:
        """Return the counts of two runs together, over different originals.

        Pairs of an original of the one and one of the other are not among them.

        Raises
        ------
        ArgumentError
            The transforms, detail bins or counting rules differ, or an original is in both
            runs and would count twice.
        """
        if not isinstance(other, PairCounts):
            return NotImplemented
        for name in ("hasher", "transforms", "detail_bin_edges", "counting_rules"):
            if getattr(self, name) != getattr(other, name):
                raise ArgumentError(
                    f"other: its {name} differ, needs counts of runs with the same; "
                    f"got {', '.join(map(str, getattr(other, name)))}"
                )
        twice = set(self.digests) & set(other.digests)
        if twice:
            name = other.names[other.digests.index(min(twice))]
            number = sum(digest in twice for digest in other.digests)
            raise ArgumentError(
                f"other: {number} of its originals are in both runs ({name!r} for one), and "
                "would count twice; make one run over all of them"
            )
        limit = min(self.nearest_limit, other.nearest_limit)
        n = len(self)
        genuine = shifted(other.genuine, n, len(self.copies))
        moved = shifted(other.nearest, n, len(self.copies))
        nearest = NearestImpostors.joined([self.nearest, moved])
        labelled = None
        if self.labelled is not None and other.labelled is not None:
            labelled = self.labelled.joined(other.labelled, self.nearest, moved)
        first_number = self.run_number.max(initial=-1) + 1
        other = replace(other, run_number=other.run_number + first_number)
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in (*_PER_ORIGINAL, "hash_sample")
        }
        summed = {
            name: getattr(self, name) + getattr(other, name) for name in (*_HISTOGRAMS, *_PAIRS)
        }
        joined["hash_sample"] = systematic_sample(joined["hash_sample"])
        return replace(
            self,
            names=self.names + other.names,
            digests=self.digests + other.digests,
            genuine=GenuinePairs.joined([self.genuine, genuine]),
            nearest=nearest.taken(nearest.distance_squared <= self.hasher.integer_limit(limit)),
            nearest_limit=limit,
            partitions=partitions.joined(self.partitions, other.partitions),
            labelled=labelled,
            copies=self.copies + other.copies,
            **joined,
            **summed,
        )

    def save(self, path: PathLike) -> None:
        """Write the counts to an ``.npz`` file, in one step; the same counts, the same bytes.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        files.write([(checks.path("path", path), [self.packed()])], FileError)

    @classmethod
    def load(cls, path: PathLike) -> PairCounts:
        """Return the counts in a file that `save` wrote.

        Raises
        ------
        FileError
            The file is missing, damaged or of another kind.
        """
        name = checks.path("path", path)
        return cls.unpacked(name, files.read(name, FileError))

    def packed(self, key: str = "") -> memoryview:
        """Return the content of the file; `key` identifies the pairs that were counted."""
        members: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        members |= packed_pairs(self.genuine, self.nearest, self.copies)
        members["detail_bin_edges"] = np.array(self.detail_bin_edges, np.float64)
        members |= {name: np.array([getattr(self, name)], np.int64) for name in _NUMBERS}
        members |= {name: npz.pack_texts(getattr(self, name)) for name in _TEXTS}
        members["key"] = npz.pack_texts([key])
        if self.hasher != PHOTODNA:
            members["hasher"] = npz.pack_texts(map(str, self.hasher))
        if self.labelled is not None:
            members |= self.labelled.members()
        return npz.pack(members | partitions.members(self.partitions))

    @classmethod
    def unpacked(cls, path: str, content: bytes, key: str = "") -> PairCounts:
        """Return the counts in the content of a file, if they have that key (or none is given).

        Raises
        ------
        FileError
            It is damaged, of another kind, or has another key.
        """
        members = stored_arrays.unpack_counts(path, content, _SAMPLE)
        if key and members["key"] != (key,):
            raise FileError(path, "holds counts of other pairs; run the evaluation again")
        hasher: HasherScale = members["hasher"]
        genuine = GenuinePairs(*(members[f"genuine_{name}"] for name in GenuinePairs._fields))
        nearest = (members[f"nearest_{name}"] for name in NearestImpostors._fields)
        return cls(
            **{name: members[name] for name in (*_ARRAYS, *_TEXTS)},
            **{name: members[name].item() for name in _NUMBERS},
            detail_bin_edges=tuple(members["detail_bin_edges"].tolist()),
            genuine=genuine,
            nearest=NearestImpostors(*nearest),
            partitions=partitions.unpack(path, content, len(members["names"]), hasher.n_bins),
            hasher=hasher,
            labelled=PairCategories.unpack(path, content, members),
            copies=members["copies"],
        )

    def _number(self, transform: str | int) -> int:
        if isinstance(transform, str):
            return self.transforms.index(checks.choice("transform", transform, self.transforms))
        return checks.integer("transform", transform, 0, len(self.transforms) - 1)


_PER_ORIGINAL = ("detail", "in_validation_half", "compared", "pairs_per_original", "run_number")
_HISTOGRAMS = ("impostor_originals", "impostor_variants", "impostor_by_detail_bin")
_PAIRS = ("pairs_excluded", "pairs_identical", "pairs_low_detail")
_ARRAYS = (*_PER_ORIGINAL, *_HISTOGRAMS, "hash_sample")
_NUMBERS = (*_PAIRS, "nearest_limit")
_TEXTS = ("names", "digests", "transforms", "counting_rules")


def quantile(ascending: NDArray[np.int32], probability: float) -> int:
    """Return an empirical quantile of exact integers of distances, without interpolation.

    Parameters
    ----------
    ascending : ndarray of int32, (m,)
        From `PairCounts.genuine_distances_squared`; at least one.
    probability : float
        Above 0 and up to 1; 0.5 for the (lower) median.
    """
    return int(ascending[max(0, math.ceil(probability * len(ascending)) - 1)])


def detail_bin_numbers(detail: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    """Return the number of the bin of each detail, from 0; -1 where it is not known."""
    bins = np.searchsorted(np.array(edges, np.float64), detail, side="right").astype(np.int64)
    return np.where(np.isnan(detail), -1, bins)


def systematic_sample(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most `_SAMPLE` of the rows, at equal steps."""
    if len(hashes) <= _SAMPLE:
        return hashes
    return hashes[np.arange(_SAMPLE) * len(hashes) // _SAMPLE]
