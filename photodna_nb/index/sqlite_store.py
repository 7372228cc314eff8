"""Metadata as an SQLite database: nothing is read that a call does not need."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from photodna_nb import item_record, systems
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import metadata, sqlite_schema
from photodna_nb.index.metadata import HEADER, ChangedItemError, Item, StoreState, Unreadable
from photodna_nb.index.sqlite_file import Row, SqliteFile
from photodna_nb.index.sqlite_schema import COLUMNS, FORMER_KEYS, VERSION
from photodna_nb.item_record import (
    EMPTY_RECORD,
    NO_KEYS,
    ItemRecord,
    encode_extra,
    hash_checksum,
    holds,
    item_checksum,
)

# What one statement may name, and how many rows are fetched at once.
_NAMES_AT_ONCE = 500
_ROWS_AT_ONCE = 1 << 16
_ROWS_A_PAGE = 1 << 12
_NEW_KEYS = {former: key for key, former in FORMER_KEYS.items()}

# Where an id has no item.
_NO_HASH = bytes(HASH_BYTES)


class SqliteStore:
    """A database with all items: see `metadata.MetadataStore`."""

    def __init__(self, path: str, new_type: str | None = None) -> None:
        self.path = path
        self.index_type: str = new_type or "flat"
        self.other: dict[str, Any] = {}
        self._file = SqliteFile(path)
        self._last_state: StoreState | None = None
        self._version = VERSION
        if new_type is None:
            self.refresh()
        else:
            self._file.open_memory()
            self._make_tables()

    def state(self) -> StoreState:
        with self._file.errors():
            properties = self._properties()
            # Another program may have inserted items.
            ((highest,),) = self._file.execute("SELECT coalesce(max(id), 0) FROM items")
            state = StoreState(
                properties["store_id"],
                max(properties["next_id"], highest + 1),
                properties["change_count"],
            )
            if not isinstance(state.store_id, str) or not all(map(metadata.is_id, state[1:])):
                raise ValueError("its properties are out of range")
            return state

    def refresh(self) -> bool:
        if not self._file.on_disk and self._last_state is not None:
            return False
        if self._file.reopen_if_replaced():
            self._read_header()
        before, self._last_state = self._last_state, self.state()
        if before not in (None, self._last_state):
            self._read_header()
        return before != self._last_state

    @contextmanager
    def reading(self) -> Iterator[None]:
        begun = self._file.in_transaction
        if not begun:
            self._file.execute("BEGIN")
        try:
            yield
        finally:
            if not begun:
                self._file.execute("ROLLBACK")

    def __len__(self) -> int:
        ((number,),) = self._file.execute("SELECT count(*) FROM items")
        return int(number)

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        ids = [np.empty(0, np.int64)]
        hashes = [np.empty((0, HASH_BYTES), np.uint8)]
        statement = self._select("id, hash") + " WHERE id >= ? ORDER BY id"
        with self._file.errors():
            for rows in self._file.fetch(statement, (start,), _ROWS_AT_ONCE):
                self._check_hashes(rows)
                ids.append(np.array([row[0] for row in rows], np.int64))
                hashes.append(_joined([row[1] for row in rows]))
        return np.concatenate(ids), np.concatenate(hashes)

    def added(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        ids, hashes = self.ids_and_hashes(start)
        with self._file.errors():
            first = self._properties().get("contiguous_from")
            if metadata.is_id(first):
                start = max(start, first)
                number = self.state().next_id - start
                if np.count_nonzero(ids >= start) != number > 0:
                    reason = f"is damaged: not all of {number} item(s) from id {start} on are there"
                    raise metadata.damaged(self.path, reason)
        return ids, hashes

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        requested = ids.tolist()
        statement = self._select("id, hash") + " WHERE id IN ({})"
        rows = self._select_in_chunks(statement, requested)
        with self._file.errors():
            self._check_hashes(rows)
        hashes: dict[int, bytes] = {identifier: row for identifier, row, _ in rows}
        present = np.array([identifier in hashes for identifier in requested], bool)
        with self._file.errors():
            return present, _joined([hashes.get(identifier, _NO_HASH) for identifier in requested])

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        rows = self._select_in_chunks(self._select(COLUMNS) + " WHERE id IN ({})", ids)
        with self._file.errors():
            return {item.id: item for item in map(self._item, rows)}

    def find(self, paths: Sequence[str]) -> dict[str, list[int]]:
        ids: dict[str, list[int]] = {}
        statement = "SELECT path, id FROM items WHERE path IN ({}) ORDER BY id"
        for path, identifier in self._select_in_chunks(
            statement, [_stored(path) for path in paths]
        ):
            ids.setdefault(systems.decoded(path), []).append(identifier)
        return ids

    def items(self) -> Iterator[Item]:
        statement = self._select(COLUMNS) + " WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
        after, first = -1, None
        while True:  # a page at a time, so that nobody is kept waiting between them
            changing = self._file.in_transaction
            with self.reading(), self._file.errors():
                # What others add lies beyond; without what they remove it would be a mix.
                now = self.state()
                first = first or now
                if not changing and now._replace(next_id=0) != first._replace(next_id=0):
                    reason = "was changed while its items were read; begin again"
                    raise IndexFileError(self.path, reason)
                rows = self._file.execute(statement, (after, first.next_id, _ROWS_A_PAGE))
                page = [self._item(row) for row in rows]
            yield from page
            if len(page) < _ROWS_A_PAGE:
                return
            if page[-1].id <= after:  # it would never end
                raise metadata.damaged(self.path, "is damaged (its ids are out of order)")
            after = page[-1].id

    def paths(self) -> Iterator[tuple[int, str]]:
        with self._file.errors():
            for rows in self._file.fetch("SELECT id, path FROM items", (), _ROWS_AT_ONCE):
                for identifier, path in rows:
                    yield identifier, systems.decoded(path)

    def unreadable(self) -> dict[str, Unreadable]:
        if self._version < 4:
            return {}
        rows = self._file.execute("SELECT * FROM unreadable")
        with self._file.errors():
            return Unreadable.by_path((systems.decoded(path), *rest) for path, *rest in rows)

    def table_rows(self) -> Iterator[tuple[str, bytes, float]]:
        statement = self._select(COLUMNS) + " ORDER BY id"
        with self.reading(), self._file.errors():
            for rows in self._file.fetch(statement, (), _ROWS_A_PAGE):
                for row in rows:
                    self._check_item(row)
                    detail = item_record.detail_of(*self._extra(row))
                    yield systems.decoded(row[1]), row[2], math.nan if detail is None else detail

    def begin(self) -> None:
        try:
            if self._file.on_disk:
                self._file.execute("BEGIN IMMEDIATE")
                self._check_schema()  # another program may have upgraded it
                self._upgrade()
            elif not self._begin_replacing():
                self._file.open_temporary()
                self._make_tables()
                self._file.execute("BEGIN IMMEDIATE")
        except BaseException:
            self.rollback()
            raise

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        self._file.execute_many("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", map(_row, items))
        self._set_properties({"next_id": next_id})

    def delete(self, ids: Sequence[int]) -> None:
        rows = [(identifier,) for identifier in ids]
        self._file.execute_many("DELETE FROM items WHERE id = ?", rows)

    def refresh_records(self, items: Sequence[Item]) -> None:
        rows = [(row[3], row[-1], row[0]) for row in map(_row, items)]
        statement = "UPDATE items SET extra = ?, checksum = ? WHERE id = ?"
        self._file.execute_many(statement, rows)

    def remember(self, unreadable: Mapping[str, Unreadable | None]) -> None:
        forgotten = [(_stored(path),) for path in unreadable]
        self._file.execute_many("DELETE FROM unreadable WHERE path = ?", forgotten)
        rows = [(_stored(one.path), *one[1:]) for one in unreadable.values() if one is not None]
        self._file.execute_many("INSERT INTO unreadable VALUES (?, ?, ?, ?, ?, ?)", rows)

    def commit(self) -> None:
        other = encode_extra(EMPTY_RECORD, self.other)
        self._set_properties({"index_type": self.index_type, "other": other})
        self._file.execute("COMMIT")
        self._file.put_in_place()
        self._last_state = self.state()

    def rollback(self) -> None:
        if not self._file.on_disk:
            self._file.open_memory()
            self._make_tables()
        elif self._file.in_transaction:
            self._file.execute("ROLLBACK")
            self._check_schema()

    def count_unchecked(self) -> int:
        ((number,),) = self._file.execute(f"SELECT count(*) - count(c) FROM ({self._select('0')})")
        return int(number)

    def verify(self) -> None:
        ((lowest,),) = self._file.execute("SELECT coalesce(min(id), 0) FROM items")
        if lowest < 0:
            raise metadata.damaged(self.path, f"has an item of id {lowest}")
        ((report,),) = self._file.execute("PRAGMA integrity_check(1)")
        if report != "ok":
            raise metadata.damaged(self.path, f"is damaged ({report})")

    def new_generation(self) -> None:
        self._set_properties({"store_id": secrets.token_hex(16)})

    def accept_changes(self) -> list[int]:
        self._file.connection.create_function("item_checksum", 5, _computed_checksum)
        computed = f"item_checksum({COLUMNS})"
        changed = self._file.execute(f"SELECT id FROM items WHERE checksum <> {computed}")
        self._file.execute(f"UPDATE items SET checksum = {computed}")
        self._file.execute("REINDEX items_path")
        return [identifier for (identifier,) in changed]

    def close(self) -> None:
        self._file.close()

    def _select(self, columns: str) -> str:
        """Return the statement that selects columns of items, and the checksum."""
        return f"SELECT {columns}, {'checksum' if self._version >= 3 else 'NULL'} AS c FROM items"

    def _check_hashes(self, rows: Iterable[Row]) -> None:
        """Check the checksums of rows of id, hash and checksum."""
        for identifier, hash_bytes, checksum in rows:
            if not holds(checksum, hash_checksum(identifier, hash_bytes)):
                raise ChangedItemError(self.path, identifier, hash_bytes)

    def _check_item(self, row: Row) -> None:
        identifier, path, content, _, _, checksum = row
        if len(content) != HASH_BYTES:
            raise ValueError(f"a hash of {len(content)} bytes")
        computed = _computed_checksum(*row[:-1])
        if checksum not in (None, computed) and not (computed and holds(checksum, computed)):
            raise ChangedItemError(self.path, identifier, content, systems.decoded(path))

    @staticmethod
    def _extra(row: Row) -> tuple[dict[str, Any], ItemRecord]:
        """Return the user's keys and the record of a row."""
        try:
            return item_record.decode_extra(row[3])
        except ValueError as error:
            raise ValueError(f"item {row[0]}: {error}") from error

    def _item(self, row: Row) -> Item:
        self._check_item(row)
        identifier, path, content, _, other, _ = row
        keys, record = self._extra(row)
        other_keys = item_record.json_object(other or NO_KEYS)
        hash_bytes = np.frombuffer(content, np.uint8)
        return Item(identifier, systems.decoded(path), hash_bytes, keys, other_keys, record)

    def _upgrade(self) -> None:
        """Bring the tables of a former version to this one, within a transaction."""
        if self._version == VERSION:
            return
        if self._version < 3:
            self._file.connection.create_function("item_checksum", 5, _computed_checksum)
            for former, key in _NEW_KEYS.items():
                self._file.execute("UPDATE properties SET key = ? WHERE key = ?", (key, former))
            # Other programs may have left out ids before.
            contiguous_from = ("contiguous_from", self.state().next_id)
            self._file.execute("INSERT INTO properties VALUES (?, ?)", contiguous_from)
            for statement in sqlite_schema.ITEMS_WITH_CHECKSUMS:
                self._file.execute(statement)
        for statement in sqlite_schema.UPGRADE:
            self._file.execute(statement)
        self._version = VERSION

    def _read_header(self) -> None:
        ((application,),) = self._file.execute("PRAGMA application_id")
        if application != sqlite_schema.APPLICATION:
            raise IndexFileError(self.path, "is an SQLite database of another program")
        self._check_schema()
        with self._file.errors():
            properties = self._properties()
            header = {key: properties[key] for key in HEADER if key in properties}
            header["index_type"] = properties["index_type"]
            self.index_type = metadata.checked_header(self.path, header)
            self.other = item_record.json_object(properties["other"])

    def _check_schema(self) -> None:
        """Refuse tables, views or triggers of others, which could do anything in any statement."""
        ((self._version,),) = self._file.execute("PRAGMA user_version")
        if not 1 <= self._version <= VERSION:
            reason = f"has tables of version {self._version}; this program knows 1 to {VERSION}"
            raise IndexFileError(self.path, reason)
        statement = "SELECT type, name, sql FROM sqlite_master LIMIT ?"
        rows = self._file.execute(statement, (sqlite_schema.MAX_STATEMENTS,))
        if difference := sqlite_schema.difference(self._version, rows):
            reason = f"was changed by another program: {difference}; use a backup copy of it"
            raise IndexFileError(self.path, reason)

    def _properties(self) -> dict[str, Any]:
        rows = self._file.execute("SELECT key, value FROM properties LIMIT 100")
        properties = {_NEW_KEYS.get(str(key), str(key)): value for key, value in rows}
        if properties.get("checksum") not in (None, _properties_checksum(properties)):
            reason = "is damaged (the checksum of its table of properties does not hold)"
            raise metadata.damaged(self.path, reason)
        return properties

    def _set_properties(self, properties: dict[str, Any]) -> None:
        checksum = _properties_checksum(self._properties() | properties)
        rows = [*properties.items(), ("checksum", checksum)]
        self._file.execute_many("REPLACE INTO properties VALUES (?, ?)", rows)

    def _make_tables(self) -> None:
        for statement in sqlite_schema.TABLES:
            self._file.execute(statement)
        self._version = VERSION
        properties = {
            **HEADER,
            "index_type": self.index_type,
            "store_id": secrets.token_hex(16),
            "next_id": 1,
            "contiguous_from": 1,
            "change_count": 0,
            "other": "{}",
        }
        self._set_properties(properties)
        self._last_state = self.state()

    def _begin_replacing(self) -> bool:
        """Begin to empty the database that is to be replaced, and return whether there is one.

        Those who read it have it open: a new file in its place would get a journal that
        SQLite takes for one of the old file, plays back and deletes.
        """
        index_type, other = self.index_type, self.other
        try:
            self._file.open_file()
            self._read_header()
        except IndexFileError:  # missing, empty or damaged
            return False
        finally:
            self.index_type, self.other = index_type, other
        self._file.execute("BEGIN IMMEDIATE")
        self._make_tables()
        return True

    def _select_in_chunks(self, statement: str, values: Sequence[Any]) -> list[Row]:
        """Return the rows of a statement that names the values, of which it takes 500 at once."""
        rows = []
        for start in range(0, len(values), _NAMES_AT_ONCE):
            chunk = values[start : start + _NAMES_AT_ONCE]
            rows += self._file.execute(statement.format(",".join("?" * len(chunk))), chunk)
        return rows


def _joined(hashes: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), HASH_BYTES)


def _row(item: Item) -> Row:
    """Return the row of the table for an item."""
    extra = encode_extra(item.record, item.extra)
    other = encode_extra(EMPTY_RECORD, item.other) if item.other else None
    row = item.id, _stored(item.path), item.hash.tobytes(), extra, other
    return *row, _computed_checksum(*row)


def _computed_checksum(*row: Any) -> bytes | None:
    """Return the checksum of a row, without its own; None of a row that cannot be an item."""
    try:
        identifier, path, hash_bytes, extra, other = row
        return item_checksum(identifier, hash_bytes, systems.decoded(path), extra, other or NO_KEYS)
    except (TypeError, ValueError):
        return None


def _properties_checksum(properties: dict[str, Any]) -> int:
    """Return the checksum of the properties, but of itself and of what triggers change."""
    kept = properties.keys() - {"checksum", "change_count"}
    return crc32(repr([(key, properties[key]) for key in sorted(kept)]).encode())


def _stored(path: str) -> str | bytes:
    """Return the path as text or, if it is not UTF-8, as bytes."""
    try:
        path.encode()
        return path
    except UnicodeEncodeError:
        pass
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # another program's, and the name of no file
        return path.encode("utf-8", "surrogatepass")
