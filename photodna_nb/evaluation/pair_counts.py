"""Genuine and impostor pairs, as exact counts: what every rate, curve and interval is made of."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files, npz
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.files import PathLike
from photodna_nb.pairs.metrics import SIMILARITY_SCALE

Cells = NDArray[np.int64]
Half = Literal["selection", "validation"]
PairHalf = Literal["selection", "validation", "between"]

HALVES: tuple[Half, ...] = get_args(Half)
PAIR_HALVES: tuple[PairHalf, ...] = get_args(PairHalf)
CELLS = SIMILARITY_SCALE + 1

# Originals whose hashes are kept.
_SAMPLE = 2000


class NearestImpostors(NamedTuple):
    """Impostor pairs, the closest first.

    i : ndarray of int32, (p,)
        One original, or the one that was edited.
    j : ndarray of int32, (p,)
        The other original, as it is.
    transform : ndarray of int16, (p,)
        Which edit `i` went through; -1 if none, and then i < j.
    distance_squared : ndarray of int32, (p,)
        Exact squared L2 distance.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    transform: NDArray[np.int16]
    distance_squared: NDArray[np.int32]

    @classmethod
    def of(cls, *columns: NDArray[Any]) -> NearestImpostors:
        """Return columns of any integers, in the order of the fields, as pairs."""
        i, j, transform, squared = columns
        return cls(
            i.astype(np.int32),
            j.astype(np.int32),
            transform.astype(np.int16),
            squared.astype(np.int32),
        )

    @classmethod
    def joined(cls, parts: Iterable[NearestImpostors]) -> NearestImpostors:
        """Return all pairs of all parts in one, the closest first."""
        none = np.empty(0, np.int64)
        columns = zip(cls.of(none, none, none, none), *parts, strict=True)
        close = cls.of(*map(np.concatenate, columns))
        order = np.lexsort((close.transform, close.j, close.i, close.distance_squared))
        return close.taken(order)

    def taken(self, rows: NDArray[Any]) -> NearestImpostors:
        """Return those rows: numbers or truth values."""
        return NearestImpostors(
            self.i[rows], self.j[rows], self.transform[rows], self.distance_squared[rows]
        )


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How far originals lie from their variants (genuine) and from each other (impostor).

    Counts have 3061 cells: cell t holds the pairs whose L2 distance is at most t and more
    than t - 1, so that the running sum is how many match at the threshold t. Originals
    are split into halves, A and B, so that a threshold can be chosen on the one and
    judged on the other; a pair is in A, in B, or between them.

    Attributes
    ----------
    names, digests : tuple of str, n
        Of the originals that could be hashed.
    transforms : tuple of str, v
        The edits, as `transforms.parse` reads them.
    detail : ndarray of float64, (n,)
        Of the originals, in grey levels.
    in_validation_half : ndarray of bool, (n,)
        Which half an original is in.
    detail_bin_edges : tuple of float
        Where a detail bin ends and the next begins, k - 1 of them.
    genuine_distance_squared : ndarray of int32, (n, v)
        Squared L2 distance of each variant from its original; -1 where there is none.
    genuine_oriented_distance_squared : ndarray of int32, (n, v)
        The same of the closest of the original's eight orientations.
    impostor_originals : ndarray of int64, (3, 3061)
        Pairs of two originals, in A, in B and between them.
    impostor_variants : ndarray of int64, (v, 3, 3061)
        Pairs of a variant and another original, likewise, by edit; zeros if they were
        not to be counted.
    impostor_by_detail_bin : ndarray of int64, (k, 3061)
        Pairs of two originals, by the band of the one with less detail.
    compared : ndarray of bool, (n,)
        Which originals are in impostor pairs: those with enough detail.
    pairs_excluded : int
        Pairs, with those of variants, that were left out by name.
    pairs_identical : int
        Others, likewise, that were left out since both originals are the same bytes.
    pairs_low_detail : int
        Others that were left out since one of the originals has too little detail.
    nearest : NearestImpostors
        Every impostor pair up to `nearest_limit`.
    nearest_limit : int
        L2 distance up to which `nearest` is complete; -1 if not even those at 0 could be listed.
    hash_sample : ndarray of uint8, (m, 144)
        Hashes of originals that are compared, at most 2000 of them, for what their distances
        have in common beyond `nearest_limit`.
    run_number : ndarray of int32, (n,)
        Of counts that were added up: which of them an original is of. Originals of different
        runs are not compared.
    counting_rules : tuple of str
        Which pairs were counted: ``"variants_against_others=true"`` and the like.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    detail: NDArray[np.float64]
    in_validation_half: NDArray[np.bool_]
    detail_bin_edges: tuple[float, ...]
    genuine_distance_squared: NDArray[np.int32]
    genuine_oriented_distance_squared: NDArray[np.int32]
    impostor_originals: Cells
    impostor_variants: Cells
    impostor_by_detail_bin: Cells
    compared: NDArray[np.bool_]
    pairs_excluded: int
    pairs_identical: int
    pairs_low_detail: int
    nearest: NearestImpostors
    nearest_limit: int
    hash_sample: NDArray[np.uint8]
    run_number: NDArray[np.int32]
    counting_rules: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of originals."""
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<PairCounts of {len(self)} originals, "
            f"{int((self.genuine_distance_squared >= 0).sum())} variants, "
            f"{int(self.impostor().sum())} impostor pairs>"
        )

    @property
    def detail_bin(self) -> NDArray[np.int64]:
        """Number of the detail bin of each original, (n,)."""
        return np.searchsorted(np.array(self.detail_bin_edges), self.detail, side="right").astype(
            np.int64
        )

    def genuine_distances(
        self,
        transform: str | int | None = None,
        *,
        half: PairHalf | None = None,
        detail_bin: int | None = None,
        oriented: bool = False,
    ) -> NDArray[np.int32]:
        """Return the squared L2 distances of variants from their originals, ascending.

        Parameters
        ----------
        transform : str or int, optional
            Of one edit, by its spec or number; of all if left out.
        half : {"selection", "validation"}, optional
            Of one half of the originals.
        detail_bin : int, optional
            Of one detail bin.
        oriented : bool
            Whether the closest of the original's eight orientations counts.

        Returns
        -------
        ndarray of int32, (m,)
            Exact.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no such transform, half or detail bin.
        """
        table = (
            self.genuine_oriented_distance_squared if oriented else self.genuine_distance_squared
        )
        rows = np.ones(len(self), bool)
        if half is not None:
            rows &= self.in_validation_half == (_place("half", half, HALVES) == 1)
        if detail_bin is not None:
            rows &= self.detail_bin == _place(
                "detail_bin", detail_bin, range(len(self.detail_bin_edges) + 1)
            )
        chosen = slice(None) if transform is None else self._number(transform)
        found: NDArray[np.int32] = table[rows][:, chosen].reshape(-1)
        return np.sort(found[found >= 0])

    def genuine(
        self,
        transform: str | int | None = None,
        *,
        half: PairHalf | None = None,
        detail_bin: int | None = None,
        oriented: bool = False,
    ) -> Cells:
        """Return the counts of `genuine_distances`, (3061,) int64."""
        return counts_of(
            self.genuine_distances(transform, half=half, detail_bin=detail_bin, oriented=oriented)
        )

    def impostor(
        self,
        *,
        half: PairHalf | None = None,
        transform: str | int | None = None,
        originals: bool = True,
        variants: bool = True,
    ) -> Cells:
        """Return the counts of pairs that show different things, (3061,) int64.

        Parameters
        ----------
        half : {"selection", "validation", "between"}, optional
            In one half, or between the halves; all if left out.
        transform : str or int, optional
            Only variants by this edit, against other originals.
        originals, variants : bool
            Whether pairs of two originals count, and those of a variant and another original.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no such edit or part.
        """
        where = slice(None)
        if half is not None:
            place = _place("half", half, PAIR_HALVES)
            where = slice(place, place + 1)
        if transform is not None:
            one: Cells = self.impostor_variants[self._number(transform), where].sum(axis=0)
            return one
        total = np.zeros(CELLS, np.int64)
        if originals:
            total += self.impostor_originals[where].sum(axis=0)
        if variants:
            total += self.impostor_variants[:, where].sum(axis=(0, 1))
        return total

    def nearest_pairs(self, k: int) -> NearestImpostors:
        """Return the closest of the listed pairs, each two originals once, at most k.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `k` is no integer of at least 0.
        """
        k = checks.integer("k", k, 0)
        close = self.nearest
        low, high = np.minimum(close.i, close.j), np.maximum(close.i, close.j)
        both = low.astype(np.int64) * len(self) + high
        _, first = np.unique(both, return_index=True)
        first = np.sort(first)[:k]
        return close.taken(first)

    def __add__(self, other: PairCounts) -> PairCounts:
        """Return the counts of two runs together, over different originals.

        Pairs of an original of the one and one of the other are not among them.

        Raises
        ------
        ArgumentError
            The edits, bands or rules differ, or an original is in both, which would count it
            twice.
        """
        if not isinstance(other, PairCounts):
            return NotImplemented
        for name in ("transforms", "detail_bin_edges", "counting_rules"):
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
        moved = other.nearest._replace(i=other.nearest.i + len(self), j=other.nearest.j + len(self))
        joined = NearestImpostors.joined([self.nearest, moved])
        within = joined.distance_squared <= limit * abs(limit)
        return PairCounts(
            names=self.names + other.names,
            digests=self.digests + other.digests,
            transforms=self.transforms,
            detail=np.concatenate([self.detail, other.detail]),
            in_validation_half=np.concatenate([self.in_validation_half, other.in_validation_half]),
            detail_bin_edges=self.detail_bin_edges,
            genuine_distance_squared=np.concatenate(
                [self.genuine_distance_squared, other.genuine_distance_squared]
            ),
            genuine_oriented_distance_squared=np.concatenate(
                [self.genuine_oriented_distance_squared, other.genuine_oriented_distance_squared]
            ),
            impostor_originals=self.impostor_originals + other.impostor_originals,
            impostor_variants=self.impostor_variants + other.impostor_variants,
            impostor_by_detail_bin=self.impostor_by_detail_bin + other.impostor_by_detail_bin,
            compared=np.concatenate([self.compared, other.compared]),
            pairs_excluded=self.pairs_excluded + other.pairs_excluded,
            pairs_identical=self.pairs_identical + other.pairs_identical,
            pairs_low_detail=self.pairs_low_detail + other.pairs_low_detail,
            nearest=joined.taken(within),
            nearest_limit=limit,
            hash_sample=sample_of(np.concatenate([self.hash_sample, other.hash_sample])),
            run_number=np.concatenate(
                [self.run_number, other.run_number + self.run_number.max(initial=-1) + 1]
            ),
            counting_rules=self.counting_rules,
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
        """Return the content of the file, which says by a key what the counts are of."""
        members: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        members |= {f"nearest_{name}": array for name, array in self.nearest._asdict().items()}
        members["detail_bin_edges"] = np.array(self.detail_bin_edges, np.float64)
        for name in _NUMBERS:
            members[name] = np.array([getattr(self, name)], np.int64)
        for name in _TEXTS:
            members[name] = npz.pack_texts(getattr(self, name))
        members["key"] = npz.pack_texts([key])
        return npz.pack(members)

    @classmethod
    def unpacked(cls, path: str, content: bytes, key: str = "") -> PairCounts:
        """Return the counts in the content of a file, if they have that key (or none is given).

        Raises
        ------
        FileError
            It is damaged, of another kind, or has another key.
        """
        close = [f"nearest_{name}" for name in NearestImpostors._fields]
        needed = [*_ARRAYS, *close, "detail_bin_edges", *_NUMBERS, *_TEXTS, "key"]
        found: dict[str, Any] = npz.unpack(path, content, needed)
        if key and npz.unpack_texts(found["key"]) != (key,):
            raise FileError(path, "holds counts of other pairs; run the evaluation again")
        texts: dict[str, Any] = {name: npz.unpack_texts(found[name]) for name in _TEXTS}
        numbers: dict[str, Any] = {name: found[name].item() for name in _NUMBERS}
        return cls(
            **texts,
            **{name: found[name] for name in _ARRAYS},
            **numbers,
            detail_bin_edges=tuple(found["detail_bin_edges"].tolist()),
            nearest=NearestImpostors(*(found[name] for name in close)),
        )

    def _number(self, transform: str | int) -> int:
        if isinstance(transform, str):
            return _place("transform", transform, self.transforms)
        return _place("transform", transform, range(len(self.transforms)))


_ARRAYS = (
    "detail",
    "in_validation_half",
    "compared",
    "genuine_distance_squared",
    "genuine_oriented_distance_squared",
    "impostor_originals",
    "impostor_variants",
    "impostor_by_detail_bin",
    "hash_sample",
    "run_number",
)
_NUMBERS = ("pairs_excluded", "pairs_identical", "pairs_low_detail", "nearest_limit")
_TEXTS = ("names", "digests", "transforms", "counting_rules")


def _place(name: str, value: Any, choice: Sequence[str] | range) -> int:
    """Return the number of a value among those there are: words, or whole numbers from 0 on."""
    words = not isinstance(choice, range)
    needed = f"one of {', '.join(map(str, choice))}" if words else f"0 to {len(choice) - 1}"
    try:
        if isinstance(value, bool) or isinstance(value, str) != words:
            raise TypeError
        value = value if words else operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs {needed}") from None
    if value not in choice:
        raise ArgumentError(f"{name}: got {value!r}, needs {needed}")
    return choice.index(value)


def quantile_squared(ascending: NDArray[np.int32], share: float) -> int:
    """Return the smallest of the squared distances that so large a share does not exceed.

    Parameters
    ----------
    ascending : ndarray of int32, (m,)
        From `PairCounts.genuine_distances`; at least one.
    share : float
        Above 0 and up to 1; 0.5 for the (lower) median.
    """
    return int(ascending[max(0, math.ceil(share * len(ascending)) - 1)])


def sample_of(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return some of the rows, from the first to the last."""
    if len(hashes) <= _SAMPLE:
        return hashes
    return hashes[np.arange(_SAMPLE) * len(hashes) // _SAMPLE]


def cells_of(squared: NDArray[Any]) -> NDArray[np.int64]:
    """Return the smallest whole numbers that are no less than the roots."""
    # A root of float64 is correctly rounded: only that of a square is a whole number.
    return np.ceil(np.sqrt(squared.astype(np.float64))).astype(np.int64)


def counts_of(squared: NDArray[Any], times: NDArray[np.int64] | None = None) -> Cells:
    """Return the counts of distances, each so many times; exact up to 2^53."""
    return np.bincount(cells_of(squared), times, CELLS).astype(np.int64)
