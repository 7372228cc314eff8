"""The metadata of an index: what is the truth, in one of two stores.

A store is a JSON file (`json_store.py`) or, by its suffix, an SQLite database
(`sqlite_store.py`). Both hold every hash, so that the index can be written anew.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index.faiss_file import INDEX_TYPES, IndexType

DATABASE_SUFFIXES = (".sqlite", ".db")
# With the application's id, where SQLite has it, so that no other program's is replaced.
DATABASE_BEGINNING = rb"SQLite format 3\0.{52}PDNA"
HEADER: dict[str, Any] = {
    "dimension": HASH_BYTES,
    "metric": "squared_l2",
    "similarity_metric": "normalized_euclidean",
}


def detail_of(extra: Mapping[str, Any]) -> float | None:
    """Return the detail in an item's extra, in grey levels, if it is there."""
    detail = extra.get("detail")
    if not isinstance(detail, int | float) or isinstance(detail, bool):
        return None
    # A number of any size may be there, and what is none at all.
    return float(detail) if -1e300 < detail < 1e300 else None


@dataclass(frozen=True, eq=False)
class Item:
    """One indexed image.

    Attributes
    ----------
    id : int
        Unique in its index, from 1, never used again.
    path : str
        Real, absolute path, with undecodable bytes as `os.fsdecode` writes them.
    hash : ndarray of uint8, (144,)
    extra : dict
        Free for the user; JSON values.
    other : dict
        PackedNeighbours that another program wrote, kept as they were.
    """

    id: int
    path: str
    hash: NDArray[np.uint8]
    extra: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def detail(self) -> float | None:
        """Detail of the image in grey levels, or None where it is not known."""
        return detail_of(self.extra)


class StoreState(NamedTuple):
    """By which an index file tells whether it holds the items of a store.

    store_id : str or None
        Drawn when the store is made; None in JSON, where hashes are compared instead.
    next_id : int
        Above the ids of all items that ever were.
    removals : int
        Grows with everything that happens to items but adding.
    """

    store_id: str | None
    next_id: int
    removals: int


class InUseError(IndexFileError):
    """Another program has the metadata; nothing is lost, and it can be tried again."""


class MetadataStore(Protocol):
    """Items on the disk, and changes to them, which are nothing before `commit`."""

    path: str
    index_type: IndexType
    other: dict[str, Any]

    def state(self) -> StoreState:
        """Return the state that is read or, between `begin` and `commit`, to be written."""

    def refresh(self) -> bool:
        """Read what other programs have written since, and return whether there is something."""

    def reading(self) -> AbstractContextManager[None]:
        """Return a context in which all that is read is of one moment."""

    def __len__(self) -> int:
        """Return the number of items."""

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return ids (n,), ascending, and hashes (n, 144) of the items from id `start` on."""

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        """Return those of the items that there are."""

    def find(self, paths: Sequence[str]) -> dict[str, int]:
        """Return the id of each path that is indexed."""

    def items(self) -> Iterator[Item]:
        """Yield all items by id."""

    def begin(self) -> None:
        """Begin a change. The caller has a lock that keeps other writers out."""

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        """Append items, whose ids lie below `next_id`."""

    def delete(self, ids: Sequence[int]) -> None:
        """Remove items."""

    def commit(self) -> None:
        """Make the change last.

        Raises
        ------
        InUseError
            Another program reads for too long; the change is still there.
        IndexFileError
            It cannot be written.
        """

    def rollback(self) -> None:
        """Forget the change."""

    def new_generation(self) -> None:
        """Draw a new store_id: no index file that was written before is taken on trust."""

    def verify(self) -> None:
        """Read all of the store and raise an error if something is damaged."""

    def close(self) -> None:
        """Give back what is open."""


def is_database(path: str) -> bool:
    """Return whether metadata of that name is an SQLite database."""
    return path.lower().endswith(DATABASE_SUFFIXES)


def open_store(path: str) -> MetadataStore:
    """Return the store in a file.

    Raises
    ------
    IndexFileError
        It is missing, damaged, or not the metadata of such an index.
    """
    if is_database(path):
        from photodna_nb.index.sqlite_store import SqliteStore

        return SqliteStore(path)
    from photodna_nb.index.json_store import JsonStore

    return JsonStore(path)


def new_store(path: str, index_type: IndexType) -> MetadataStore:
    """Return an empty store that is written by its first `commit`."""
    if is_database(path):
        from photodna_nb.index.sqlite_store import SqliteStore

        return SqliteStore(path, new=index_type)
    from photodna_nb.index.json_store import JsonStore

    return JsonStore(path, new=index_type)


def new_store_id() -> str:
    """Return a name for a store_id that no other one has."""
    return secrets.token_hex(16)


def checked_header(path: str, header: Mapping[str, Any]) -> IndexType:
    """Return the kind of index that the head of the metadata asks for, once it fits."""
    for key, needed in HEADER.items():
        if header.get(key, needed) != needed:
            found = json.dumps(header[key])[:40]
            raise IndexFileError(
                path,
                f'has "{key}" {found}, and hashes need {json.dumps(needed)}; '
                "it is the metadata of an index of another kind",
            )
    index_type = header.get("index_kind", "flat")
    if index_type not in INDEX_TYPES:
        raise damaged(path, f'has an "index_kind" that is none of {", ".join(INDEX_TYPES)}')
    known: IndexType = index_type
    return known


def is_id(value: Any) -> TypeGuard[int]:
    """Return whether the value can be the id of an item."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def damaged(path: str, what: str) -> IndexFileError:
    """Return the error for metadata that cannot be used."""
    return IndexFileError(
        path, f"{what}; check that it is the right file. If it is damaged, use a backup copy of it"
    )
