"""Genuine and impostor pairs, as exact counts: what every rate, curve and interval is made of."""

from __future__ import annotations

import itertools
import math
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import arrays, files, pairs
from photodna_nb.arrays import HASH_BYTES, described
from photodna_nb.distances import SIMILARITY_SCALE
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation import archive
from photodna_nb.stages import orientations

PathLike = str | os.PathLike[str]
Cells = NDArray[np.int64]
Half = Literal["A", "B"]
Part = Literal["A", "B", "between"]

HALVES: tuple[Half, ...] = get_args(Half)
PARTS: tuple[Part, ...] = get_args(Part)
CELLS = SIMILARITY_SCALE + 1

# Of close impostor pairs, the most that are listed.
_LISTED = 1_000_000
# Originals whose variants are compared with them at once.
_AT_ONCE = 64
_SAMPLE = 2000
_NOTHING = -1
_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}")


class CloseImpostors(NamedTuple):
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

    def taken(self, rows: NDArray[Any]) -> CloseImpostors:
        """Return those rows: numbers or truth values."""
        return CloseImpostors(
            self.i[rows], self.j[rows], self.transform[rows], self.distance_squared[rows]
        )


@dataclass(frozen=True, eq=False)
class Counts:
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
    in_b : ndarray of bool, (n,)
        Which half an original is in.
    bands : tuple of float
        Where a band of detail ends and the next begins, k - 1 of them.
    genuine_squared : ndarray of int32, (n, v)
        Squared L2 distance of each variant from its original; -1 where there is none.
    genuine_oriented_squared : ndarray of int32, (n, v)
        The same of the closest of the original's eight orientations.
    impostor_originals : ndarray of int64, (3, 3061)
        Pairs of two originals, in A, in B and between them.
    impostor_variants : ndarray of int64, (v, 3, 3061)
        Pairs of a variant and another original, likewise, by edit; zeros if they were
        not to be counted.
    impostor_bands : ndarray of int64, (k, 3061)
        Pairs of two originals, by the band of the one with less detail.
    compared : ndarray of bool, (n,)
        Which originals are in impostor pairs: those with enough detail.
    pairs_excluded : int
        Pairs, with those of variants, that were left out by name.
    pairs_identical : int
        Others, likewise, that were left out since both originals are the same bytes.
    pairs_flat : int
        Others that were left out since one of the originals has too little detail.
    close : CloseImpostors
        Every impostor pair up to `close_limit`.
    close_limit : int
        L2 distance up to which `close` is complete; -1 if not even those at 0 could be listed.
    sample : ndarray of uint8, (m, 144)
        Hashes of originals that are compared, at most 2000 of them, for what their distances
        have in common beyond `close_limit`.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    detail: NDArray[np.float64]
    in_b: NDArray[np.bool_]
    bands: tuple[float, ...]
    genuine_squared: NDArray[np.int32]
    genuine_oriented_squared: NDArray[np.int32]
    impostor_originals: Cells
    impostor_variants: Cells
    impostor_bands: Cells
    compared: NDArray[np.bool_]
    pairs_excluded: int
    pairs_identical: int
    pairs_flat: int
    close: CloseImpostors
    close_limit: int
    sample: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of originals."""
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<Counts of {len(self)} originals, {int((self.genuine_squared >= 0).sum())} variants, "
            f"{int(self.impostor().sum())} impostor pairs>"
        )

    @property
    def band(self) -> NDArray[np.int64]:
        """Number of the band of detail of each original, (n,)."""
        return np.searchsorted(np.array(self.bands), self.detail, side="right").astype(np.int64)

    def genuine_distances(
        self,
        transform: str | int | None = None,
        *,
        part: Part | None = None,
        band: int | None = None,
        oriented: bool = False,
    ) -> NDArray[np.int32]:
        """Return the squared L2 distances of variants from their originals, ascending.

        Parameters
        ----------
        transform : str or int, optional
            Of one edit, by its spec or number; of all if left out.
        part : {"A", "B"}, optional
            Of one half of the originals.
        band : int, optional
            Of one band of detail.
        oriented : bool
            Whether the closest of the original's eight orientations counts.

        Returns
        -------
        ndarray of int32, (m,)
            Exact.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no such edit, half or band.
        """
        table = self.genuine_oriented_squared if oriented else self.genuine_squared
        rows = np.ones(len(self), bool)
        if part is not None:
            rows &= self.in_b == (_place("part", part, HALVES) == 1)
        if band is not None:
            rows &= self.band == _place("band", band, range(len(self.bands) + 1))
        chosen = slice(None) if transform is None else self._number(transform)
        found: NDArray[np.int32] = table[rows][:, chosen].reshape(-1)
        return np.sort(found[found >= 0])

    def genuine(
        self,
        transform: str | int | None = None,
        *,
        part: Part | None = None,
        band: int | None = None,
        oriented: bool = False,
    ) -> Cells:
        """Return the counts of `genuine_distances`, (3061,) int64."""
        return _counted(self.genuine_distances(transform, part=part, band=band, oriented=oriented))

    def impostor(
        self,
        *,
        part: Part | None = None,
        transform: str | int | None = None,
        originals: bool = True,
        variants: bool = True,
    ) -> Cells:
        """Return the counts of pairs that show different things, (3061,) int64.

        Parameters
        ----------
        part : {"A", "B", "between"}, optional
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
        if part is not None:
            place = _place("part", part, PARTS)
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

    def closest(self, k: int) -> CloseImpostors:
        """Return the closest of the listed pairs, each two originals once, at most k."""
        close = self.close
        low, high = np.minimum(close.i, close.j), np.maximum(close.i, close.j)
        both = low.astype(np.int64) * len(self) + high
        _, first = np.unique(both, return_index=True)
        first = np.sort(first)[:k]
        return close.taken(first)

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of two runs together, over different originals.

        Pairs of an original of the one and one of the other are not among them.

        Raises
        ------
        ArgumentError
            The edits or bands differ, or an original is in both, which would count it twice.
        """
        if not isinstance(other, Counts):
            return NotImplemented
        for name in ("transforms", "bands"):
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
        limit = min(self.close_limit, other.close_limit)
        moved = other.close._replace(i=other.close.i + len(self), j=other.close.j + len(self))
        joined = _joined([self.close, moved])
        within = joined.distance_squared <= limit * abs(limit)
        return Counts(
            self.names + other.names,
            self.digests + other.digests,
            self.transforms,
            np.concatenate([self.detail, other.detail]),
            np.concatenate([self.in_b, other.in_b]),
            self.bands,
            np.concatenate([self.genuine_squared, other.genuine_squared]),
            np.concatenate([self.genuine_oriented_squared, other.genuine_oriented_squared]),
            self.impostor_originals + other.impostor_originals,
            self.impostor_variants + other.impostor_variants,
            self.impostor_bands + other.impostor_bands,
            np.concatenate([self.compared, other.compared]),
            self.pairs_excluded + other.pairs_excluded,
            self.pairs_identical + other.pairs_identical,
            self.pairs_flat + other.pairs_flat,
            joined.taken(within),
            limit,
            _spread(np.concatenate([self.sample, other.sample])),
        )

    def save(self, path: PathLike) -> None:
        """Write the counts to an ``.npz`` file, in one step; the same counts, the same bytes.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        files.write([(os.fspath(path), [self.packed()])], FileError)

    @classmethod
    def load(cls, path: PathLike) -> Counts:
        """Return the counts in a file that `save` wrote.

        Raises
        ------
        FileError
            The file is missing, damaged or of another kind.
        """
        name = os.fspath(path)
        return cls.unpacked(name, files.read(name, FileError))

    def packed(self, key: str = "") -> memoryview:
        """Return the content of the file, which says by a key what the counts are of."""
        members: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        members |= {f"close_{name}": array for name, array in self.close._asdict().items()}
        members["bands"] = np.array(self.bands, np.float64)
        for name in _NUMBERS:
            members[name] = np.array([getattr(self, name)], np.int64)
        for name in _TEXTS:
            members[name] = archive.texts_packed(getattr(self, name))
        members["key"] = archive.texts_packed([key])
        return archive.packed(members)

    @classmethod
    def unpacked(cls, path: str, content: bytes, key: str = "") -> Counts:
        """Return the counts in the content of a file, if they have that key (or none is given).

        Raises
        ------
        FileError
            It is damaged, of another kind, or has another key.
        """
        close = [f"close_{name}" for name in CloseImpostors._fields]
        needed = [*_ARRAYS, *close, "bands", *_NUMBERS, *_TEXTS, "key"]
        found: dict[str, Any] = archive.unpacked(path, content, needed)
        if key and archive.texts_unpacked(found["key"]) != (key,):
            raise FileError(path, "holds counts of other pairs; run the evaluation again")
        texts: dict[str, Any] = {name: archive.texts_unpacked(found[name]) for name in _TEXTS}
        numbers: dict[str, Any] = {name: found[name].item() for name in _NUMBERS}
        return cls(
            **texts,
            **{name: found[name] for name in _ARRAYS},
            **numbers,
            bands=tuple(found["bands"].tolist()),
            close=CloseImpostors(*(found[name] for name in close)),
        )

    def _number(self, transform: str | int) -> int:
        if isinstance(transform, str):
            return _place("transform", transform, self.transforms)
        return _place("transform", transform, range(len(self.transforms)))


_ARRAYS = (
    *("detail", "in_b", "compared", "genuine_squared", "genuine_oriented_squared"),
    *("impostor_originals", "impostor_variants", "impostor_bands", "sample"),
)
_NUMBERS = ("pairs_excluded", "pairs_identical", "pairs_flat", "close_limit")
_TEXTS = ("names", "digests", "transforms")


def _place(name: str, value: Any, choice: Sequence[str] | range) -> int:
    """Return the number of a value among those there are: words, or whole numbers from 0 on."""
    words = not isinstance(choice, range)
    needed = f"one of {', '.join(map(str, choice))}" if words else f"0 to {len(choice) - 1}"
    try:
        if isinstance(value, bool) or isinstance(value, str) != words:
            raise TypeError
        value = value if words else operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name}: got {described(value)}, needs {needed}") from None
    if value not in choice:
        raise ArgumentError(f"{name}: got {value!r}, needs {needed}")
    return choice.index(value)


@dataclass(frozen=True, eq=False)
class Hashed:
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
    made : ndarray of bool, (n, v)
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
    made: NDArray[np.bool_]
    variants_detail: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, v = len(self.names), len(self.transforms)
        arrays.checked("hashes", self.hashes, np.uint8, (n, HASH_BYTES))
        arrays.checked("detail", self.detail, np.float64, (n,))
        arrays.checked("variants", self.variants, np.uint8, (n, v, HASH_BYTES))
        arrays.checked("made", self.made, np.bool_, (n, v))
        arrays.checked("variants_detail", self.variants_detail, np.float64, (n, v))


def count(
    hashed: Hashed,
    in_b: NDArray[np.bool_],
    *,
    bands: Sequence[float] = (),
    exclude: Iterable[tuple[int, int]] = (),
    variants_against_others: bool = True,
    count_identical: bool = False,
    min_detail: float = 0.0,
    listed: int = _LISTED,
    max_workers: int | None = None,
) -> Counts:
    """Return the counts of all genuine and impostor pairs.

    Parameters
    ----------
    hashed : Hashed
        Originals and variants.
    in_b : ndarray of bool, (n,)
        Which originals are in half B.
    bands : sequence of float
        Increasing; where a band of detail ends and the next begins.
    exclude : iterable of (int, int)
        Rows of two originals that show the same: neither they nor their variants are an
        impostor pair.
    variants_against_others : bool
        Whether variants are compared with other originals.
    count_identical : bool
        Whether two originals with the same digest are compared.
    min_detail : float
        Originals with less, in grey levels, are in no impostor pair, nor are their variants.
    listed : int
        The most close impostor pairs that are listed.
    max_workers : int, optional
        Threads, the number of processors if left out.

    Returns
    -------
    Counts
        Exact.

    Notes
    -----
    A pair is left out for one reason: by name, else as identical, else as flat.

    Memory grows with the hashes and with `listed`; time with the pairs, over 10^9 of which
    two processors count in some seconds.
    """
    n = len(hashed.names)
    arrays.checked("in_b", in_b, np.bool_, (n,))
    excluded = _pairs_of(exclude, n)
    alike = np.arange(n) if count_identical else _alike(hashed)
    compared = ~(hashed.detail < min_detail)
    own = _Own(hashed)
    counted = _Impostors(hashed, in_b, own.squared, excluded, alike, compared, max_workers)
    originals = counted.originals()
    shape = (len(hashed.transforms), len(PARTS), CELLS)
    variants = np.zeros(shape, np.int64)
    if variants_against_others:
        for transform, of_one in enumerate(variants):
            of_one += counted.variants(transform)
    limit = _limit(originals.sum(axis=0) + variants.sum(axis=(0, 1)), listed)
    close = counted.close(limit, variants_against_others)
    # In how many pairs the variants of each original are with any one other.
    made = hashed.made.sum(axis=1) * variants_against_others
    same = np.bincount(alike)[alike] - 1
    all_pairs = n * (n - 1) // 2 + int(made.sum()) * (n - 1)
    by_name = _number_of(excluded, made)
    identical = int(same.sum()) // 2 + int(made @ same)
    identical -= _number_of(excluded[alike[excluded[:, 0]] == alike[excluded[:, 1]]], made)
    flat = all_pairs - by_name - identical - int(originals.sum()) - int(variants.sum())
    return Counts(
        hashed.names,
        hashed.digests,
        hashed.transforms,
        hashed.detail,
        in_b,
        tuple(map(float, bands)),
        own.squared,
        own.oriented_squared,
        originals,
        variants,
        counted.by_band(bands),
        compared,
        by_name,
        identical,
        flat,
        close,
        limit,
        _spread(hashed.hashes[compared]),
    )


def _number_of(excluded: NDArray[np.int64], made: NDArray[np.int64]) -> int:
    """Return how many pairs of originals these are, and of their variants with the other one."""
    return len(excluded) + int(made[excluded].sum())


def _alike(hashed: Hashed) -> NDArray[np.int64]:
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

    def __init__(self, hashed: Hashed) -> None:
        shape = hashed.made.shape
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
        self.squared[~hashed.made] = _NOTHING
        self.oriented_squared[~hashed.made] = _NOTHING


@dataclass(frozen=True)
class _Impostors:
    """Pairs of different originals, and of variants and other originals, without the excluded.

    Originals that are alike have the same hash: what is between them is at distance 0, and
    what is between the variants of the one and the others is known from its own. So they are
    subtracted by their numbers, and no list of them is made.
    """

    hashed: Hashed
    in_b: NDArray[np.bool_]
    own_squared: NDArray[np.int32]
    excluded: NDArray[np.int64]  # (e, 2), the lower row first
    alike: NDArray[np.int64]  # (n,), the row of the first that is alike
    compared: NDArray[np.bool_]  # (n,), the same for all that are alike
    max_workers: int | None

    @cached_property
    def halves(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows are compared in A, and in B."""
        return self.compared & ~self.in_b, self.compared & self.in_b

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
        in_a, in_b = self.halves
        a, b = hashes[in_a], hashes[in_b]
        counts = np.stack([self._histogram(a), self._histogram(b), self._histogram(a, b)])
        alike_in_a, alike_in_b = self.number_alike
        counts[0, 0] -= (alike_in_a[in_a] - 1).sum() // 2
        counts[1, 0] -= (alike_in_b[in_b] - 1).sum() // 2
        counts[2, 0] -= alike_in_b[in_a].sum()
        return self._less(counts, hashes, *self.named.T)

    def variants(self, transform: int) -> Cells:
        """Return the counts (3, 3061) of an edit's variants and other originals."""
        hashes, made = self.hashed.hashes, self.hashed.made[:, transform]
        edited = self.hashed.variants[:, transform]
        in_a, in_b = self.halves
        a, b = hashes[in_a], hashes[in_b]
        edited_a, edited_b = edited[made & in_a], edited[made & in_b]
        between = self._histogram(edited_a, b) + self._histogram(edited_b, a)
        counts = np.stack([self._histogram(edited_a, a), self._histogram(edited_b, b), between])
        own = self.own_squared[:, transform]
        alike_in_a, alike_in_b = self.number_alike
        for part, half, alike in (
            *((0, in_a, alike_in_a), (1, in_b, alike_in_b)),
            *((2, in_a, alike_in_b), (2, in_b, alike_in_a)),
        ):
            counts[part] -= _counted(own[made & half], alike[made & half])
        for first, second in (self.named.T, self.named.T[::-1]):
            there = made[first]
            counts = self._less(counts, edited, first[there], second[there])
        return counts

    def by_band(self, bands: Sequence[float]) -> Cells:
        """Return the counts (k, 3061) of pairs of originals, by the band of the lower detail."""
        hashes = self.hashed.hashes
        band = np.searchsorted(np.array(bands, np.float64), self.hashed.detail, side="right")
        counts = np.zeros((len(bands) + 1, CELLS), np.int64)
        for number, of_one in enumerate(counts):
            inside = hashes[self.compared & (band == number)]
            above = hashes[self.compared & (band > number)]
            of_one += self._histogram(inside) + self._histogram(inside, above)
        others = self.number_alike.sum(axis=0)[self.compared] - 1
        twice = np.bincount(band[self.compared], others, len(counts))
        counts[:, 0] -= twice.astype(np.int64) // 2
        i, j = self.named.T
        np.subtract.at(
            counts, (np.minimum(band[i], band[j]), _cells(_squared(hashes[i], hashes[j]))), 1
        )
        return counts

    def close(self, limit: int, with_variants: bool) -> CloseImpostors:
        """Return every pair up to a distance, the closest first."""
        found = [*self._close(limit, _NOTHING)]
        if with_variants:
            for transform in range(len(self.hashed.transforms)):
                found += self._close(limit, transform)
        return _joined(found)

    def _close(self, limit: int, transform: int) -> Iterator[CloseImpostors]:
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
            row, column, squared = pairs.pairs_within(hashes, **options)
            place, i = self._all_alike(first[row])
            column, squared = column[place], squared[place]
        else:
            rows = np.flatnonzero(self.hashed.made[:, transform] & self.compared)
            edited = self.hashed.variants[rows, transform]
            row, column, squared = pairs.pairs_within(edited, hashes, **options)
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
            yield _close_pairs(i[wanted], j[wanted], edits, squared[wanted])

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
        return pairs.distance_histogram(a, b, max_workers=self.max_workers).counts

    def _less(
        self,
        counts: Cells,
        queries: NDArray[np.uint8],
        i: NDArray[np.int64],
        j: NDArray[np.int64],
    ) -> Cells:
        """Return the counts without the pairs of those queries and originals."""
        part = np.where(self.in_b[i] != self.in_b[j], 2, self.in_b[i].astype(np.int64))
        cells = _cells(_squared(queries[i], self.hashed.hashes[j]))
        left = counts.copy()
        np.subtract.at(left, (part, cells), 1)
        return left


def _close_pairs(*columns: NDArray[Any]) -> CloseImpostors:
    i, j, transform, squared = columns
    return CloseImpostors(
        i.astype(np.int32),
        j.astype(np.int32),
        transform.astype(np.int16),
        squared.astype(np.int32),
    )


def _joined(parts: Sequence[CloseImpostors]) -> CloseImpostors:
    """Return all pairs of all parts in one, the closest first."""
    none = np.empty(0, np.int64)
    some = [_close_pairs(none, none, none, none), *parts]
    close = _close_pairs(*(np.concatenate([part[k] for part in some]) for k in range(4)))
    order = np.lexsort((close.transform, close.j, close.i, close.distance_squared))
    return close.taken(order)


def _limit(total: Cells, listed: int) -> int:
    """Return the largest distance up to which there are at most so many pairs, or -1."""
    return int(np.searchsorted(np.cumsum(total), listed, side="right")) - 1


def _pairs_of(exclude: Iterable[tuple[int, int]], n: int) -> NDArray[np.int64]:
    """Return excluded pairs, each once, the lower row first, (e, 2)."""
    chosen = {(min(pair), max(pair)) for pair in exclude}
    for i, j in chosen:
        if i == j or i < 0 or j >= n:
            raise ArgumentError(f"exclude: got {i}, {j}, needs two different rows of {n}")
    return np.array(sorted(chosen), np.int64).reshape(-1, 2)


def _spread(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return some of the rows, from the first to the last."""
    if len(hashes) <= _SAMPLE:
        return hashes
    return hashes[np.arange(_SAMPLE) * len(hashes) // _SAMPLE]


def _squared(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the squared distances of hashes from hashes, row by row."""
    differences = a.astype(np.int64) - b
    squared: NDArray[np.int64] = (differences * differences).sum(axis=-1)
    return squared


def _cells(squared: NDArray[Any]) -> NDArray[np.int64]:
    """Return the smallest whole numbers that are no less than the roots."""
    # A root of float64 is correctly rounded: only that of a square is a whole number.
    return np.ceil(np.sqrt(squared.astype(np.float64))).astype(np.int64)


def _counted(squared: NDArray[Any], times: NDArray[np.int64] | None = None) -> Cells:
    """Return the counts of distances, each so many times; exact up to 2^53."""
    return np.bincount(_cells(squared), times, CELLS).astype(np.int64)


def quantile_squared(ascending: NDArray[np.int32], share: float) -> int:
    """Return the smallest of the squared distances that so large a share does not exceed.

    Parameters
    ----------
    ascending : ndarray of int32, (m,)
        From `Counts.genuine_distances`; at least one.
    share : float
        Above 0 and up to 1; 0.5 for the (lower) median.
    """
    return int(ascending[max(0, math.ceil(share * len(ascending)) - 1)])


def excluded_rows(
    groups: Iterable[Sequence[str]], names: Sequence[str], digests: Sequence[str]
) -> list[tuple[int, int]]:
    """Return the rows of all pairs inside groups, of names or ``sha256:`` and a digest.

    A digest stands for every original that has it; what is of none is left out.
    """
    groups = list(groups)
    rows: dict[str, list[int]] = {one: [] for group in groups for one in group}
    for row, (name, digest) in enumerate(zip(names, digests, strict=True)):
        for key in (name if named_digest(name) is None else "", f"sha256:{digest}"):
            if key in rows:
                rows[key].append(row)
    found: list[tuple[int, int]] = []
    for group in groups:
        each = dict.fromkeys(itertools.chain(*(rows[one] for one in group)))
        found += itertools.combinations(each, 2)
    return found


def named_digest(text: str) -> str | None:
    """Return the digest that ``sha256:`` and 64 hexadecimal digits name; None of a name."""
    return text[7:].lower() if _DIGEST.fullmatch(text) else None


def exclusion_name(name: str, digest: str) -> str:
    """Return what stands for an original in ``exclude``, and can be written into a TOML file.

    That is its name, or ``sha256:`` and its digest if the name is no UTF-8 text, or looks
    like a digest itself.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return f"sha256:{digest}"
    return f"sha256:{digest}" if named_digest(name) else name
