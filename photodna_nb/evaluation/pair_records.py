"""Pairs of a run one by one: the genuine pairs, and the nearest impostor pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        Exact squared L2 distance.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    transform: NDArray[np.int16]
    distance_squared: NDArray[np.int32]

    @classmethod
    def of(cls, *columns: NDArray[Any]) -> NearestImpostors:
        """Return columns of any integers, in the order of the fields, as pairs."""
        dtypes = (np.int32, np.int32, np.int16, np.int32)
        return cls(*(column.astype(dtype) for column, dtype in zip(columns, dtypes, strict=True)))

    @classmethod
    def joined(cls, parts: Iterable[NearestImpostors]) -> NearestImpostors:
        """Return the pairs of all parts, in the order of their distance."""
        none = np.empty(0, np.int64)
        columns = zip(cls.of(none, none, none, none), *parts, strict=True)
        nearest = cls.of(*map(np.concatenate, columns))
        keys = (nearest.transform, nearest.j, nearest.i, nearest.distance_squared)
        return nearest.taken(np.lexsort(keys))

    def taken(self, rows: NDArray[Any]) -> NearestImpostors:
        """Return the pairs of those rows: numbers or truth values."""
        return NearestImpostors(*(column[rows] for column in self))


@short_repr
class GenuinePairs(NamedTuple):
    """Genuine pairs: of a variant and its original, or of two originals that show the same.

    They are in the order of `i`, and of each `i` in that of `transform`.

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
        Exact squared oriented L2 distance, the smallest over the eight orientations of `j`.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    transform: NDArray[np.int16]
    distance_squared: NDArray[np.int32]
    oriented_distance_squared: NDArray[np.int32]

    @classmethod
    def joined(cls, parts: Iterable[Sequence[ArrayLike]]) -> GenuinePairs:
        """Return the pairs of all parts, columns of any integers, in their order."""
        dtypes = (np.int32, np.int32, np.int16, np.int32, np.int32)
        none = [np.empty(0, dtype) for dtype in dtypes]
        joined = cls(
            *(
                np.concatenate(columns).astype(dtype)
                for columns, dtype in zip(zip(none, *parts, strict=True), dtypes, strict=True)
            )
        )
        return joined.taken(np.lexsort((joined.transform, joined.i)))

    def taken(self, rows: NDArray[Any]) -> GenuinePairs:
        """Return the pairs of those rows: numbers or truth values."""
        return GenuinePairs(*(column[rows] for column in self))

    def squared(self, oriented: bool) -> NDArray[np.int32]:
        """Return the squared distance of each pair, plain or oriented."""
        return self.oriented_distance_squared if oriented else self.distance_squared
