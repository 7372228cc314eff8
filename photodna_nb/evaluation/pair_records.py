"""Pairs of a run one by one: the genuine pairs, and the nearest impostor pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from photodna_nb import npz
from photodna_nb.evaluation import partitions, stored_arrays
from photodna_nb.printable import short_repr


@short_repr
class NearestImpostors(NamedTuple):
    """Impostor pairs in the order of their distance.

    Attributes
    ----------
    i : ndarray of int32, (p,)
        Row of one original, or of the original of the variant.
    j : ndarray of int32, (p,)
        Row of the other original.
    transform : ndarray of int16, (p,)
        Number of the transform of `i`; -1 for a pair of two originals, in which i < j.
    distance_squared : ndarray of int32, (p,)
        Exact integer of the distance: squared L2; the distance itself for the other metrics.
    copy : ndarray of int32, (p,)
        Number of the altered copy, if `i` is the original of one from a file; -1 if not.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    transform: NDArray[np.int16]
    distance_squared: NDArray[np.int32]
    copy: NDArray[np.int32]

    @classmethod
    def of(cls, *columns: NDArray[Any]) -> NearestImpostors:
        """Return columns of any integers, in the order of the fields, as pairs.

        Without the last column none is of a copy.
        """
        dtypes = (np.int32, np.int32, np.int16, np.int32, np.int32)
        return cls(*map(_as_dtype, (*columns, np.full(len(columns[0]), -1)), dtypes))

    @classmethod
    def joined(cls, parts: Iterable[NearestImpostors]) -> NearestImpostors:
        """Return the pairs of all parts, in the order of their distance."""
        none = np.empty(0, np.int64)
        columns = zip(cls.of(none, none, none, none, none), *parts, strict=True)
        nearest = cls.of(*map(np.concatenate, columns))
        return nearest.taken(nearest.order())

    def order(self) -> NDArray[np.intp]:
        """Return the numbers of the pairs in the order of their distance."""
        return np.lexsort((self.copy, self.transform, self.j, self.i, self.distance_squared))

    def taken(self, rows: NDArray[Any]) -> NearestImpostors:
        """Return the pairs of those rows: numbers or truth values."""
        return NearestImpostors(*(column[rows] for column in self))


@short_repr
class GenuinePairs(NamedTuple):
    """Genuine pairs: of a variant and its original, or of two originals that show the same.

    They are in the order of `i`, and of each `i` in that of `transform` and `copy`.

    Attributes
    ----------
    i : ndarray of int32, (g,)
        Row of the original of the variant, or of one original.
    j : ndarray of int32, (g,)
        Row of the other original; `i` for a variant.
    transform : ndarray of int16, (g,)
        Number of the transform of the variant; -1 for a pair of two originals.
    distance_squared : ndarray of int32, (g,)
        Exact squared L2 distance.
    oriented_distance_squared : ndarray of int32, (g,)
        The same of the oriented distance, the smallest over the eight orientations of `j`.
    copy : ndarray of int32, (g,)
        Number of the altered copy, if `i` is the original of one from a file; -1 if not.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    transform: NDArray[np.int16]
    distance_squared: NDArray[np.int32]
    oriented_distance_squared: NDArray[np.int32]
    copy: NDArray[np.int32]

    @classmethod
    def joined(cls, parts: Iterable[Sequence[ArrayLike]]) -> GenuinePairs:
        """Return the pairs of all parts, columns of any integers, in their order.

        Of a part without the last column none is of a copy.
        """
        dtypes = (np.int32, np.int32, np.int16, np.int32, np.int32, np.int32)
        none = [np.empty(0, dtype) for dtype in dtypes]
        complete = ((*part, np.full(len(np.asarray(part[0])), -1))[:6] for part in parts)
        columns = map(np.concatenate, zip(none, *complete, strict=True))
        joined = cls(*map(_as_dtype, columns, dtypes))
        return joined.taken(np.lexsort((joined.copy, joined.transform, joined.i)))

    def taken(self, rows: NDArray[Any]) -> GenuinePairs:
        """Return the pairs of those rows: numbers or truth values."""
        return GenuinePairs(*(column[rows] for column in self))

    def squared(self, oriented: bool) -> NDArray[np.int32]:
        """Return the squared distance of each pair, plain or oriented."""
        return self.oriented_distance_squared if oriented else self.distance_squared


@short_repr
class PairCategories(NamedTuple):
    """Categories of labelled pairs.

    Attributes
    ----------
    names : tuple of str, k
        Names of the categories; "" is that of a pair without one.
    genuine, impostor : ndarray of int32
        Number of the category of each genuine pair, and of each impostor pair.
    """

    names: tuple[str, ...]
    genuine: NDArray[np.int32]
    impostor: NDArray[np.int32]

    @property
    def are_given(self) -> bool:
        """Whether any pair has a category."""
        return any(self.names)

    def joined(
        self, other: PairCategories, nearest: NearestImpostors, moved: NearestImpostors
    ) -> PairCategories:
        """Return the categories of the pairs of both, of which the impostor pairs are these."""
        columns: Any = zip(nearest, moved, strict=True)
        order = NearestImpostors.of(*map(np.concatenate, columns)).order()
        names = tuple(sorted({*self.names, *other.names}))
        own, others = (
            np.array([names.index(name) for name in part.names], np.int32) for part in (self, other)
        )
        return PairCategories(
            names,
            np.r_[own[self.genuine], others[other.genuine]],
            np.r_[own[self.impostor], others[other.impostor]][order],
        )

    def members(self) -> dict[str, NDArray[Any]]:
        """Return the arrays in which a file holds them."""
        arrays = {"labelled_genuine": self.genuine, "labelled_impostor": self.impostor}
        return {"labelled_names": npz.pack_texts(self.names), **arrays}

    @classmethod
    def unpack(cls, path: str, content: bytes, pairs: Mapping[str, Any]) -> PairCategories | None:
        """Return the categories in the content of a file; None if its pairs have no labels.

        Raises
        ------
        FileError
            The file is damaged, or holds categories of other pairs.
        """
        if "labelled_names" not in npz.member_names(path, content):
            return None
        schema: stored_arrays.Schema = {
            "labelled_genuine": (np.int32, (len(pairs["genuine_i"]),)),
            "labelled_impostor": (np.int32, (len(pairs["nearest_i"]),)),
        }
        members, _ = stored_arrays.unpack(path, content, schema, {"labelled_names": "k"})
        names = members.pop("labelled_names")
        k = len(names)
        ranges: dict[str, tuple[Any, float, float]] = {
            name: (array, 0, k - 1) for name, array in members.items()
        }
        ranges["number of labelled_names"] = (
            np.array([k, len(set(names))]),
            k,
            partitions.MOST_CLASSES,
        )
        stored_arrays.check_ranges(path, ranges)
        return cls(names, *members.values())


_Pairs = TypeVar("_Pairs", GenuinePairs, NearestImpostors)


def shifted(pairs: _Pairs, rows: int, copies: int) -> _Pairs:
    """Return pairs of originals and copies whose numbers are so many larger."""
    copy = np.where(pairs.copy < 0, pairs.copy, pairs.copy + np.int32(copies))
    return pairs._replace(i=pairs.i + rows, j=pairs.j + rows, copy=copy)


def packed_pairs(
    genuine: GenuinePairs, nearest: NearestImpostors, copies: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the arrays in which a file holds pairs, and the names of copies if there are any."""
    arrays = {f"genuine_{name}": array for name, array in genuine._asdict().items()}
    arrays |= {f"nearest_{name}": array for name, array in nearest._asdict().items()}
    if copies:
        return arrays | {"copies": npz.pack_texts(copies)}
    del arrays["genuine_copy"], arrays["nearest_copy"]
    return arrays


def _as_dtype(column: NDArray[Any], dtype: type) -> NDArray[Any]:
    return column.astype(dtype)


def linked_groups(i: NDArray[Any], j: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return the number of the group of each of n originals, which pairs (i, j) link, (n,)."""
    links = coo_array((np.ones(len(i), bool), (i, j)), (n, n))
    group: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return group
