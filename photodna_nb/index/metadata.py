"""The metadata of an index, which is authoritative: the protocol of its stores, and their items.

A store is a JSON file (`json_store.py`), an SQLite database (`sqlite_store.py`) or, of an index
without files, memory (`memory_store.py`). Each holds every hash, so that the index file can be
written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self, TypeGuard

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, IndexFileError
from photodna_nb.index import index_types
from photodna_nb.item_record import EMPTY_RECORD, ItemRecord, detail_of
from photodna_nb.printable import printable, short_repr

HEADER: dict[str, Any] = {
    "dimension": HASH_BYTES,
    "metric": "squared_l2",
    "similarity_metric": "normalized_euclidean",
}
# The approximate type of an earlier version, which only `rebuild` accepts.
FORMER_TYPE = "ivf"


@short_repr
@dataclass(frozen=True, eq=False)
class Item:
    """One indexed image, or one hash under a label.

    Attributes
    ----------
    id : int
        Number of the item in its index, from 1. It is not used again after a removal.
    path : str
        Real, absolute path, with undecodable bytes as `os.fsdecode` returns them; or a label.
    hash : ndarray of uint8, (144,)
        Hash of the image.
    extra : dict
        JSON values of the user, by key.
    other : dict
        Further keys of the item, which another program wrote and which are kept.
    record : ItemRecord
        What the index knows of the image: `name`, `size`, `modified`, `pillow`, `label`.
    """

    id: int
    path: str
    hash: NDArray[np.uint8]
    extra: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    record: ItemRecord = EMPTY_RECORD

    @property
    def name(self) -> str:
        """Absolute path by which the user named the file, or the label."""
        return self.record.name or self.path

    @property
    def detail(self) -> float | None:
        """Detail of the image in grey levels, or None where it is not known."""
        return detail_of(self.extra, self.record)


class Unreadable(NamedTuple):
    """A file of a folder that cannot be hashed, and is not tried again before something changes.

    Attributes
    ----------
    path : str
        Real, absolute path.
    size, modified : int
        As of an `ItemRecord`; -1 where there is no such file.
    decoders : str
        What could be decoded: see `image_formats.decoders`.
    kind : str
        The kind as which the file is counted, such as ``"video"``; empty for a failure.
    reason : str
        Why it cannot be hashed.
    """

    path: str
    size: int
    modified: int
    decoders: str
    kind: str
    reason: str

    @classmethod
    def by_path(cls, rows: Iterable[Any]) -> dict[str, Self]:
        """Return what rows of these values hold; one with others counts as missing."""
        found = {}
        for row in rows:
            with suppress(msgspec.ValidationError):
                one = msgspec.convert(row, cls)
                found[one.path] = one
        return found


class StoreState(NamedTuple):
    """The state of a store, by which an index file shows whether it holds the same items.

    store_id : str or None
        Random text that is drawn for each new generation of an SQLite store. None for other
        stores, whose hashes are compared instead.
    next_id : int
        The id of the next item; larger than the ids of all items, also of removed ones.
    change_count : int
        Number of changes to items, apart from additions.
    """

    store_id: str | None
    next_id: int
    change_count: int


class InUseError(IndexFileError):
    """Another program uses the metadata; nothing is lost, and the change can be tried again."""


class ChangedItemError(IndexFileError):
    """The checksum of an item does not hold.

    Attributes
    ----------
    id : int
        Id of the item.
    hash : bytes
        Its hash, as it is now.
    """

    def __init__(self, path: str, identifier: int, hash_bytes: bytes, name: str = "") -> None:
        self.id: int = identifier
        self.hash: bytes = hash_bytes
        named = f" ({printable(name)})" if name else ""
        reason = f"item {identifier}{named} was changed by another program, or is damaged"
        super().__init__(path, reason)


class MetadataStore(Protocol):
    """Items, and changes to them, which do not last before `commit`.

    What returns hashes or items raises `ChangedItemError` if the checksum of one does not hold.
    """

    path: str
    index_type: str
    other: dict[str, Any]

    def state(self) -> StoreState:
        """Return the state; between `begin` and `commit`, the one that will be written."""

    def refresh(self) -> bool:
        """Read what other programs have written since, and return whether there is anything."""

    def reading(self) -> AbstractContextManager[None]:
        """Return a context in which everything that is read is of one moment."""

    def __len__(self) -> int:
        """Return the number of items."""

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return ids (n,), ascending, and hashes (n, 144) of the items from id `start` on."""

    def added(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the same of the items that were added from id `start` on, of which none is gone.

        Raises
        ------
        IndexFileError
            One of them is not there.
        """

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """Return which of ids (m,) there are, (m,) bool, and their hashes (m, 144)."""

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        """Return the items of those ids that there are."""

    def find(self, paths: Sequence[str]) -> dict[str, list[int]]:
        """Return the ids, ascending, of each path that is indexed."""

    def items(self) -> Iterator[Item]:
        """Yield all items by id."""

    def paths(self) -> Iterator[tuple[int, str]]:
        """Yield id and path or label of all items by id, without a look at their checksums."""

    def unreadable(self) -> dict[str, Unreadable]:
        """Return the files that could not be hashed, by path."""

    def table_rows(self) -> Iterator[tuple[str, bytes, float]]:
        """Yield path, hash and detail, NaN where it is not known, of all items by id."""

    def begin(self) -> None:
        """Begin a change. The caller has a lock that keeps other writers out."""

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        """Append items, whose ids lie below `next_id`."""

    def delete(self, ids: Sequence[int]) -> None:
        """Remove items."""

    def refresh_records(self, items: Sequence[Item]) -> None:
        """Replace the records of these items, whose ids, paths and hashes are there."""

    def remember(self, unreadable: Mapping[str, Unreadable | None]) -> None:
        """Store files that could not be hashed, or None for those to forget, by path."""

    def commit(self) -> None:
        """Make the change last.

        Raises
        ------
        InUseError
            Another program reads for too long; the change is kept.
        IndexFileError
            It cannot be written.
        """

    def rollback(self) -> None:
        """Discard the change."""

    def new_generation(self) -> None:
        """Draw a new store id: earlier index files then count as those of another store."""

    def accept_changes(self) -> list[int]:
        """Compute all checksums anew; return the ids of the items whose own did not hold."""

    def count_unchecked(self) -> int:
        """Return the number of items without a checksum."""

    def verify(self) -> None:
        """Read all of the file and raise an error if something is damaged but items."""

    def close(self) -> None:
        """Close the store."""


def checked_header(path: str, header: Mapping[str, Any]) -> str:
    """Return the index type that the header of the metadata names, once the header fits."""
    for key, needed in HEADER.items():
        if header.get(key, needed) != needed:
            value = json.dumps(header[key])[:40]
            raise IndexFileError(
                path,
                f'has "{key}" {value}, and hashes need {json.dumps(needed)}; '
                "it is the metadata of another index",
            )
    # The key of an earlier version is read as well.
    name = header.get("index_type", header.get("index_kind", "flat"))
    if name == FORMER_TYPE:
        return FORMER_TYPE
    try:
        return index_types.parse(name).name
    except ArgumentError as error:
        raise damaged(path, f"has another index type ({error})") from error


def is_id(value: Any) -> TypeGuard[int]:
    """Return whether the value can be the id of an item."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def damaged(path: str, problem: str) -> IndexFileError:
    """Return the error for metadata that cannot be used."""
    return IndexFileError(
        path,
        f"{problem}; check that it is the right file. If it is damaged, use a backup copy of it",
    )
