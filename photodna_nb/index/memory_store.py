"""The items of an index in memory: all metadata of an index without files, and of a JSON file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, item_record
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.index import metadata
from photodna_nb.index.metadata import ChangedItemError, Item, StoreState, Unreadable
from photodna_nb.item_record import EMPTY_RECORD, NO_CHECKSUM, NO_KEYS

_Decoded = TypeVar("_Decoded")
# Of the state in pickles. Later versions read it as long as its keys mean the same.
_FORMAT = 1


class ItemColumns:
    """The items, ids ascending: hashes in one array, extras and other keys as JSON.

    Extras lack the checksum; it is None for an item of another program.
    """

    def __init__(self, next_id: int = 1, change_count: int = 0) -> None:
        self.next_id = next_id
        self.change_count = change_count
        # Arrays that may have room for more rows than there are.
        self._count = 0
        self._ids = np.empty(0, np.int64)
        self._hashes = np.empty((0, HASH_BYTES), np.uint8)
        self.paths: list[str] = []
        self.extras: list[str] = []
        self.checksums: list[bytes | None] = []
        self.others: dict[int, str] = {}
        self.unreadable: dict[str, Unreadable] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of all items, (n,)."""
        return self._ids[: self._count]

    @property
    def hashes(self) -> NDArray[np.uint8]:
        """Hashes of all items, (n, 144), read-only."""
        return checks.read_only(self._hashes[: self._count])

    @cached_property
    def ids_of_paths(self) -> dict[str, list[int]]:
        """Ids of each path, ascending."""
        ids: dict[str, list[int]] = {}
        for path, identifier in zip(self.paths, self.ids.tolist(), strict=True):
            ids.setdefault(path, []).append(identifier)
        return ids

    def append(self, items: Iterable[Item]) -> None:
        """Append items; the arrays double where they are full, and never move rows otherwise."""
        ids, hashes = [], []
        for item in items:
            ids.append(item.id)
            hashes.append(item.hash)
            self.paths.append(item.path)
            extra = item_record.encode_extra(item.record, item.extra)
            other = item_record.encode_extra(EMPTY_RECORD, item.other)
            self.extras.append(extra)
            if item.other:
                self.others[item.id] = other
            self.checksums.append(
                item_record.item_checksum(item.id, item.hash.tobytes(), item.path, extra, other)
            )
            if "ids_of_paths" in self.__dict__:
                self.ids_of_paths.setdefault(item.path, []).append(item.id)
        start, self._count = self._count, self._count + len(ids)
        if self._count > len(self._ids):
            room = max(self._count, 2 * start)
            self._ids = _with_room(self._ids[:start], room)
            self._hashes = _with_room(self._hashes[:start], room)
        if ids:
            self._ids[start : self._count] = ids
            self._hashes[start : self._count] = np.stack(hashes)

    def set_extras(self, extras: list[str]) -> None:
        """Set the extras of all items, with the checksums that they hold."""
        pairs = [item_record.without_checksum(extra) for extra in extras]
        self.extras = [extra for extra, _ in pairs]
        self.checksums = [checksum for _, checksum in pairs]

    def require_checksums(self, below: int) -> None:
        """Have items with lower ids, all of which had checksums, count as changed without one."""
        for row in range(int(np.searchsorted(self.ids, below))):
            if self.checksums[row] is None:
                self.checksums[row] = NO_CHECKSUM

    def put(self, ids: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Replace all ids and hashes."""
        self._count, self._ids, self._hashes = len(ids), ids, hashes

    def sort(self) -> None:
        """Sort the items by id, which most files have done."""
        if not (np.diff(self.ids) > 0).all():
            self.keep(np.argsort(self.ids, kind="stable"))

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Keep those rows, in that order."""
        self.put(self.ids[rows], self.hashes[rows])
        chosen = rows.tolist()
        self.paths = [self.paths[row] for row in chosen]
        self.extras = [self.extras[row] for row in chosen]
        self.checksums = [self.checksums[row] for row in chosen]
        self.__dict__.pop("ids_of_paths", None)

    def copy(self) -> ItemColumns:
        """Return columns that can be changed without changing these."""
        other = ItemColumns(self.next_id, self.change_count)
        other.put(self.ids, self.hashes)
        other.paths, other.extras = self.paths.copy(), self.extras.copy()
        other.checksums, other.others = self.checksums.copy(), self.others.copy()
        other.unreadable = self.unreadable.copy()
        return other

    def state(self) -> dict[str, Any]:
        """Return a copy of everything in arrays and plain values, for pickles of any version."""
        columns = self.copy()
        return {
            "format": _FORMAT,
            "next_id": columns.next_id,
            "change_count": columns.change_count,
            "ids": columns.ids,
            "hashes": columns.hashes,
            "paths": columns.paths,
            "extras": columns.extras,
            "checksums": columns.checksums,
            "others": columns.others,
            "unreadable": [tuple(one) for one in columns.unreadable.values()],
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> ItemColumns:
        """Return the items of a state."""
        if state["format"] > _FORMAT:
            raise ArgumentError("index: was pickled by a later version of this program; use that")
        columns = cls(state["next_id"], state["change_count"])
        columns.put(state["ids"], state["hashes"])
        columns.paths, columns.extras = state["paths"], state["extras"]
        columns.checksums, columns.others = state["checksums"], state["others"]
        columns.unreadable = Unreadable.by_path(state["unreadable"])
        return columns

    def computed_checksum(self, row: int) -> bytes:
        """Return the checksum that the item of a row should have."""
        identifier = int(self.ids[row])
        return item_record.item_checksum(
            identifier,
            self.hashes[row].tobytes(),
            self.paths[row],
            self.extras[row],
            self.others.get(identifier, NO_KEYS),
        )


def _with_room(rows: NDArray[Any], number: int) -> NDArray[Any]:
    """Return an array of so many rows that begins with these."""
    larger = np.empty((number, *rows.shape[1:]), rows.dtype)
    larger[: len(rows)] = rows
    return larger


class MemoryStore:
    """A store without a file: see `metadata.MetadataStore`."""

    def __init__(self, columns: ItemColumns, path: str = "", index_type: str = "flat") -> None:
        self.path = path
        self.index_type = index_type
        self.other: dict[str, Any] = {}
        self._columns = columns
        self._before: ItemColumns | None = None

    def state(self) -> StoreState:
        return StoreState(None, self._columns.next_id, self._columns.change_count)

    def refresh(self) -> bool:
        return False

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __len__(self) -> int:
        return len(self._columns.ids)

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        columns = self._columns
        first = int(np.searchsorted(columns.ids, start))
        ids, hashes = columns.ids[first:], columns.hashes[first:]
        for identifier, row, checksum in zip(
            ids.tolist(), hashes, columns.checksums[first:], strict=True
        ):
            hash_bytes = row.tobytes()
            computed = item_record.hash_checksum(identifier, hash_bytes)
            if not item_record.holds(checksum or None, computed):
                raise ChangedItemError(self.path, identifier, hash_bytes)
        return ids, hashes

    def added(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        return self.ids_and_hashes(start)

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        known = self._columns.ids
        if not len(known):
            return np.zeros(len(ids), bool), np.zeros((len(ids), HASH_BYTES), np.uint8)
        rows = np.searchsorted(known, ids).clip(max=len(known) - 1)
        return known[rows] == ids, self._columns.hashes[rows]

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        known = self._columns.ids
        rows = np.searchsorted(known, ids).tolist()
        return {
            identifier: self._item(self._columns, row)
            for identifier, row in zip(ids, rows, strict=True)
            if row < len(known) and known[row] == identifier
        }

    def find(self, paths: Sequence[str]) -> dict[str, list[int]]:
        known = self._columns.ids_of_paths
        return {path: known[path] for path in paths if path in known}

    def items(self) -> Iterator[Item]:
        columns = self._columns.copy()  # the caller may change these meanwhile
        for row in range(len(columns.ids)):
            yield self._item(columns, row)

    def paths(self) -> Iterator[tuple[int, str]]:
        return zip(self._columns.ids.tolist(), self._columns.paths, strict=True)

    def unreadable(self) -> dict[str, Unreadable]:
        return self._columns.unreadable.copy()

    def table_rows(self) -> Iterator[tuple[str, bytes, float]]:
        columns = self._columns
        ids, hashes = columns.ids.tolist(), columns.hashes.tobytes()
        for row, (identifier, path, extra) in enumerate(
            zip(ids, columns.paths, columns.extras, strict=True)
        ):
            content = hashes[row * HASH_BYTES : (row + 1) * HASH_BYTES]
            other = columns.others.get(identifier, NO_KEYS)
            computed = item_record.item_checksum(identifier, content, path, extra, other)
            if not item_record.holds(columns.checksums[row], computed):
                raise ChangedItemError(self.path, identifier, content, path)
            detail = item_record.detail_of(*self._decoded(row, extra, item_record.decode_extra))
            yield path, content, math.nan if detail is None else detail

    def begin(self) -> None:
        self._before, self._columns = self._columns, self._columns.copy()

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        self._columns.append(list(items))
        self._columns.next_id = next_id

    def delete(self, ids: Sequence[int]) -> None:
        columns = self._columns
        columns.keep(np.flatnonzero(~np.isin(columns.ids, list(ids))))
        for identifier in ids:
            columns.others.pop(identifier, None)
        columns.change_count += 1

    def refresh_records(self, items: Sequence[Item]) -> None:
        for item in items:
            row = int(np.searchsorted(self._columns.ids, item.id))
            self._columns.extras[row] = item_record.encode_extra(item.record, item.extra)
            self._columns.checksums[row] = self._columns.computed_checksum(row)

    def remember(self, unreadable: Mapping[str, Unreadable | None]) -> None:
        known = {**self._columns.unreadable, **unreadable}
        self._columns.unreadable = {path: one for path, one in known.items() if one is not None}

    def commit(self) -> None:
        self._before = None

    def rollback(self) -> None:
        if self._before is not None:
            self._columns, self._before = self._before, None

    def new_generation(self) -> None:
        pass

    def accept_changes(self) -> list[int]:
        columns, changed = self._columns, []
        for row, identifier in enumerate(columns.ids.tolist()):
            computed = columns.computed_checksum(row)
            if not item_record.holds(columns.checksums[row], computed):
                changed.append(identifier)
            columns.checksums[row] = computed
        return changed

    def count_unchecked(self) -> int:
        return self._columns.checksums.count(None)

    def verify(self) -> None:
        pass

    def close(self) -> None:
        self.rollback()

    def __getstate__(self) -> dict[str, Any]:
        return self._columns.state()

    def _item(self, columns: ItemColumns, row: int) -> Item:
        identifier, path = int(columns.ids[row]), columns.paths[row]
        hash_bytes = columns.hashes[row]
        if not item_record.holds(columns.checksums[row], columns.computed_checksum(row)):
            raise ChangedItemError(self.path, identifier, hash_bytes.tobytes(), path)
        extra, record = self._decoded(row, columns.extras[row], item_record.decode_extra)
        keys = columns.others.get(identifier, NO_KEYS)
        other = self._decoded(row, keys, item_record.json_object)
        return Item(identifier, path, hash_bytes, extra, other, record)

    def _decoded(self, row: int, text: str, decode: Callable[[str], _Decoded]) -> _Decoded:
        try:
            return decode(text)
        except (ValueError, RecursionError) as error:
            problem = f'item {row} (counted from 0) has an "extra" that cannot be read ({error})'
            raise metadata.damaged(self.path, problem) from error
