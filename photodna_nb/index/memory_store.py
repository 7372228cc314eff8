"""The items of an index in memory: all metadata of an index without files, and of a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.index import metadata
from photodna_nb.index.metadata import Item, StoreColumns, StoreState

NO_KEYS = b"{}"


class ItemColumns:
    """The items, ids ascending: hashes in one array, extras and other keys as JSON."""

    def __init__(self, next_id: int = 1, change_count: int = 0) -> None:
        self.next_id = next_id
        self.change_count = change_count
        self._ids = [np.empty(0, np.int64)]
        self._hashes = [np.empty((0, HASH_BYTES), np.uint8)]
        self.paths: list[str] = []
        self.extras: list[bytes] = []
        self.others: dict[int, bytes] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of all items, (n,)."""
        self._ids = [np.concatenate(self._ids)] if len(self._ids) > 1 else self._ids
        return self._ids[0]

    @property
    def hashes(self) -> NDArray[np.uint8]:
        """Hashes of all items, (n, 144), read-only."""
        self._hashes = [np.concatenate(self._hashes)] if len(self._hashes) > 1 else self._hashes
        return checks.read_only(self._hashes[0])

    @cached_property
    def ids_of_paths(self) -> dict[str, int]:
        """Id of each path; the lowest, if a path is there twice."""
        return dict(zip(reversed(self.paths), self.ids[::-1].tolist(), strict=True))

    def append(self, items: Iterable[Item]) -> None:
        """Append items; ids and hashes are concatenated when they are used."""
        ids, hashes = [], []
        for item in items:
            ids.append(item.id)
            hashes.append(item.hash)
            self.paths.append(item.path)
            self.extras.append(json.dumps(item.extra).encode("ascii"))
            if item.other:
                self.others[item.id] = json.dumps(item.other).encode("ascii")
            if "ids_of_paths" in self.__dict__:
                self.ids_of_paths.setdefault(item.path, item.id)
        if ids:
            self._ids.append(np.array(ids, np.int64))
            self._hashes.append(np.stack(hashes))

    def put(self, ids: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Replace all ids and hashes."""
        self._ids, self._hashes = [ids], [hashes]

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
        self.__dict__.pop("ids_of_paths", None)

    def copy(self) -> ItemColumns:
        """Return columns that can be changed without changing these."""
        other = ItemColumns(self.next_id, self.change_count)
        other.put(self.ids, self.hashes)
        other.paths, other.extras = self.paths.copy(), self.extras.copy()
        other.others = self.others.copy()
        return other


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
        first = int(np.searchsorted(self._columns.ids, start))
        return self._columns.ids[first:], self._columns.hashes[first:]

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        known = self._columns.ids
        if not len(known):
            return np.zeros(len(ids), bool), np.zeros((len(ids), HASH_BYTES), np.uint8)
        rows = np.searchsorted(known, ids).clip(max=len(known) - 1)
        return known[rows] == ids, self._columns.hashes[rows]

    def columns(self) -> StoreColumns:
        extras = self._columns.extras
        details = [
            self._extra(row).get("detail") if b'"detail"' in extra else None
            for row, extra in enumerate(extras)
        ]
        detail = [metadata.detail_of({"detail": value}) for value in details]
        return StoreColumns(
            self._columns.paths.copy(), self._columns.hashes, np.array(detail, np.float64)
        )

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        known = self._columns.ids
        rows = np.searchsorted(known, ids).tolist()
        return {
            identifier: self._item(self._columns, row)
            for identifier, row in zip(ids, rows, strict=True)
            if row < len(known) and known[row] == identifier
        }

    def find(self, paths: Sequence[str]) -> dict[str, int]:
        known = self._columns.ids_of_paths
        return {path: known[path] for path in paths if path in known}

    def items(self) -> Iterator[Item]:
        columns = self._columns.copy()  # the caller may change these meanwhile
        for row in range(len(columns.ids)):
            yield self._item(columns, row)

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

    def commit(self) -> None:
        self._before = None

    def rollback(self) -> None:
        if self._before is not None:
            self._columns, self._before = self._before, None

    def new_generation(self) -> None:
        pass

    def verify(self) -> None:
        for _ in self.items():
            pass

    def close(self) -> None:
        self.rollback()

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryStore, (self._columns,)

    def _item(self, columns: ItemColumns, row: int) -> Item:
        identifier = int(columns.ids[row])
        other = json.loads(columns.others.get(identifier, NO_KEYS))
        extra = self._extra(row, columns)
        return Item(identifier, columns.paths[row], columns.hashes[row], extra, other)

    def _extra(self, row: int, columns: ItemColumns | None = None) -> dict[str, Any]:
        try:
            extra: dict[str, Any] = json.loads((columns or self._columns).extras[row])
        except (ValueError, RecursionError) as error:
            problem = f'item {row} (counted from 0) has an "extra" that cannot be read ({error})'
            raise metadata.damaged(self.path, problem) from error
        return extra
