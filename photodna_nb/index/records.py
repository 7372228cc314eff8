"""The records that an index returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import LOW_DETAIL
from photodna_nb.hashing.orientations import Orientation
from photodna_nb.pairs import metrics
from photodna_nb.printable import record_repr, short_repr

if TYPE_CHECKING:
    from photodna_nb.tables.columns import FileFailure


class RowMatches(NamedTuple):
    """The matching rows of one query, ordered by distance, then id.

    distances : ndarray of int64, (m,)
        Squared L2 distances from the query.
    ids : ndarray of int64, (m,)
        Ids of the items.
    """

    distances: NDArray[np.int64]
    ids: NDArray[np.int64]

    @classmethod
    def empty(cls) -> RowMatches:
        """Return the record without any row."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def nearest(cls, distances: NDArray[np.int64], ids: NDArray[np.int64], k: int) -> RowMatches:
        """Return the k nearest of some rows, ties to the lower id."""
        order = np.lexsort((ids, distances))[:k]
        return cls(distances[order], ids[order])


class _WithDistance:
    """Distance and similarity of a record that holds the squared distance."""

    distance_squared: int

    @property
    def distance(self) -> float:
        """L2 distance, 0 to 3060."""
        return math.sqrt(self.distance_squared)

    @property
    def similarity(self) -> float:
        """1 - distance / 3060."""
        return metrics.similarity_at(self.distance_squared)

    def __repr__(self) -> str:
        computed = f"distance={self.distance:.4f}, similarity={self.similarity:.6f}"
        return f"{record_repr(self)[:-1]}, {computed})"


@dataclass(frozen=True, repr=False)
class FaissMatch(_WithDistance):
    """A vector of a FAISS index and its distance from the query.

    Attributes
    ----------
    id : int
        Id of the vector in the index.
    distance_squared : int
        Squared L2 distance, exact.
    """

    id: int
    distance_squared: int


@dataclass(frozen=True, repr=False)
class Match(_WithDistance):
    """An indexed image and its distance from the query.

    Attributes
    ----------
    id : int
        Id of the item in its index.
    path : str
        Real, absolute path of the image when it was indexed; or a label.
    distance_squared : int
        Squared L2 distance, exact.
    extra : dict
        JSON values of the user that are stored with the item.
    orientation : str
        Orientation of the query that is nearest to the item: "identity" or, if all eight were
        searched, one of the transpositions in `PIL.Image.Transpose`, in lower case.
    name : str
        Absolute path by which the user named the image, or the label.
    detail : float or None
        Detail of the indexed image in grey levels, or None where it is not known.
    """

    id: int
    path: str
    distance_squared: int
    extra: Mapping[str, Any] = field(hash=False)
    orientation: Orientation = "identity"
    name: str = ""
    detail: float | None = None

    @property
    def low_detail(self) -> bool:
        """Whether the detail is known to be below 100 grey levels: the match is no evidence."""
        return self.detail is not None and self.detail < LOW_DETAIL


@short_repr
class Added(NamedTuple):
    """The result of `HashIndex.add`.

    ids : list of int
        Ids of the new items, in order.
    skipped : list of str
        Paths that were indexed already.
    failures : list of FileFailure
        Files that could not be hashed.
    updated : sequence of int
        Ids of the items in place of those whose files have another hash now.
    refreshed : sequence of str
        Those of `skipped` whose files have another size or time of modification now.
    other_files : mapping of str to int
        How many files of folders were not hashed, by the reason: see `hash_directory`.
    """

    ids: list[int]
    skipped: list[str]
    failures: list[FileFailure]
    updated: Sequence[int] = ()
    refreshed: Sequence[str] = ()
    other_files: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, repr=False)
class Synced:
    """The result of `HashIndex.sync`.

    Attributes
    ----------
    added, updated, removed : list of str
        Names of files that are new in the index, that have another hash now, and that are gone. In
        a dry run, files that would be hashed as new or changed ones, and that would be removed.
    kept : list of str
        Names of files that are gone and whose items stay: the folder in which they were is empty,
        as where a disk is not mounted, or cannot be listed.
    unchanged : int
        Number of files that have the hash that they had.
    failures : list of FileFailure
        Files that cannot be hashed, and folders below that cannot be listed, as far as that is new.
    remembered : list of FileFailure
        Files that could not be hashed in an earlier call, and have not changed since.
    skipped : dict of str to int
        How many other files there are, by kind: see `hash_directory`.
    seconds : float
        Time that the call took.
    dry_run : bool
        Whether nothing was changed.
    """

    added: list[str]
    updated: list[str]
    removed: list[str]
    kept: list[str]
    unchanged: int
    failures: list[FileFailure]
    remembered: list[FileFailure]
    skipped: dict[str, int]
    seconds: float
    dry_run: bool = False

    def __repr__(self) -> str:
        numbers = {
            "added": len(self.added),
            "updated": len(self.updated),
            "removed": len(self.removed),
            "unchanged": self.unchanged,
            "kept": len(self.kept),
            "failed": len(self.failures),
            "remembered": len(self.remembered),
        }
        texts = ", ".join(f"{number} {what}" for what, number in numbers.items())
        return f"<Synced: {texts}{' (dry run)' if self.dry_run else ''}>"
