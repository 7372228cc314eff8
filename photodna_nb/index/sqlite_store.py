"""Metadata as an SQLite database: nothing is read that a call does not need."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.metadata import HEADER, Item, StoreColumns, StoreState
from photodna_nb.index.sqlite_file import Row, SqliteFile

# "PDNA"; and the version of the tables below.
_APPLICATION = 0x50444E41
_VERSION = 2
# Keys of the table of properties in version 1, which is read and written as well.
_FORMER_KEYS = {"store_id": "collection", "change_count": "removals", "index_type": "index_kind"}
_NEW_KEYS = {former: key for key, former in _FORMER_KEYS.items()}
# What one statement may name, and how many rows are fetched at once.
_NAMES_AT_ONCE = 500
_ROWS_AT_ONCE = 1 << 16
_ROWS_A_PAGE = 1 << 12

# The triggers notice what anyone does to items; new ids show by themselves.
_TABLES = (
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
    "DROP TABLE IF EXISTS items",
    "DROP TABLE IF EXISTS properties",
    "CREATE TABLE properties (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    f"""CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    path NOT NULL,  -- text, or bytes where they are not UTF-8
    hash BLOB NOT NULL CHECK (typeof(hash) = 'blob' AND length(hash) = {HASH_BYTES}),
    extra TEXT NOT NULL DEFAULT '{{}}',  -- a JSON object
    other TEXT  -- a JSON object: keys of another program
)""",
    "CREATE INDEX items_path ON items (path)",
    """CREATE TRIGGER items_deleted AFTER DELETE ON items BEGIN
    UPDATE properties SET value = value + 1 WHERE key = 'change_count';
END""",
    # Of others, who may also replace an item so; ours have ids from next_id on.
    """CREATE TRIGGER items_inserted AFTER INSERT ON items
WHEN NEW.id < (SELECT value FROM properties WHERE key = 'next_id') BEGIN
    UPDATE properties SET value = value + 1 WHERE key = 'change_count';
END""",
    """CREATE TRIGGER items_changed AFTER UPDATE OF id, hash ON items BEGIN
    UPDATE properties SET value = value + 1 WHERE key = 'change_count';
END""",
)
# Where an id has no item.
_NO_HASH = bytes(HASH_BYTES)
_COLUMNS = "SELECT id, path, hash, extra, other FROM items"


class SqliteStore:
    """A database with all items: see `metadata.MetadataStore`."""

    def __init__(self, path: str, new_type: str | None = None) -> None:
        self.path = path
        self.index_type = new_type or "flat"
        self.other: dict[str, Any] = {}
        self._file = SqliteFile(path)
        self._last_state: StoreState | None = None
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
            return StoreState(
                str(properties["store_id"]),
                max(int(properties["next_id"]), highest + 1),
                int(properties["change_count"]),
            )

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
        statement = "SELECT id, hash FROM items WHERE id >= ? ORDER BY id"
        with self._file.errors():
            cursor = self._file.connection.execute(statement, (start,))
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                ids.append(np.array([row[0] for row in rows], np.int64))
                hashes.append(_joined([row[1] for row in rows]))
        return np.concatenate(ids), np.concatenate(hashes)

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        requested = ids.tolist()
        statement = "SELECT id, hash FROM items WHERE id IN ({})"
        hashes: dict[int, bytes] = dict(self._select_in_chunks(statement, requested))
        present = np.array([identifier in hashes for identifier in requested], bool)
        with self._file.errors():
            return present, _joined([hashes.get(identifier, _NO_HASH) for identifier in requested])

    def columns(self) -> StoreColumns:
        # Of JSON, `true` is no number, and would come as 1.
        statement = """SELECT path, hash,
            CASE WHEN json_type(extra, '$.detail') IN ('integer', 'real')
            THEN json_extract(extra, '$.detail') END
            FROM items ORDER BY id"""
        with self._file.errors():
            rows = self._file.execute(statement)
            detail = [metadata.detail_of({"detail": row[2]}) for row in rows]
            return StoreColumns(
                [os.fsdecode(row[0]) for row in rows],
                _joined([row[1] for row in rows]),
                np.array(detail, np.float64),
            )

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        rows = self._select_in_chunks(_COLUMNS + " WHERE id IN ({})", ids)
        with self._file.errors():
            return {item.id: item for item in map(_item, rows)}

    def find(self, paths: Sequence[str]) -> dict[str, int]:
        ids: dict[str, int] = {}
        statement = "SELECT path, id FROM items WHERE path IN ({}) ORDER BY id"
        for path, identifier in self._select_in_chunks(
            statement, [_stored(path) for path in paths]
        ):
            ids.setdefault(os.fsdecode(path), identifier)
        return ids

    def items(self) -> Iterator[Item]:
        statement = _COLUMNS + " WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
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
                page = [_item(row) for row in rows]
            yield from page
            if len(page) < _ROWS_A_PAGE:
                return
            if page[-1].id <= after:  # it would never end
                raise metadata.damaged(self.path, "is damaged (its ids are out of order)")
            after = page[-1].id

    def begin(self) -> None:
        try:
            if self._file.on_disk:
                self._file.execute("BEGIN IMMEDIATE")
            elif not self._begin_replacing():
                self._file.open_temporary()
                self._make_tables()
                self._file.execute("BEGIN IMMEDIATE")
        except BaseException:
            self.rollback()
            raise

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        rows = (
            (
                item.id,
                _stored(item.path),
                item.hash.tobytes(),
                json.dumps(item.extra) if item.extra else "{}",
                json.dumps(item.other) if item.other else None,
            )
            for item in items
        )
        self._file.execute_many("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
        self._set_properties({"next_id": next_id})

    def delete(self, ids: Sequence[int]) -> None:
        rows = [(identifier,) for identifier in ids]
        self._file.execute_many("DELETE FROM items WHERE id = ?", rows)

    def commit(self) -> None:
        self._set_properties({"index_type": self.index_type, "other": json.dumps(self.other)})
        self._file.execute("COMMIT")
        self._file.put_in_place()
        self._last_state = self.state()

    def rollback(self) -> None:
        if not self._file.on_disk:
            self._file.open_memory()
            self._make_tables()
        elif self._file.in_transaction:
            self._file.execute("ROLLBACK")

    def verify(self) -> None:
        ((report,),) = self._file.execute("PRAGMA integrity_check(1)")
        if report != "ok":
            raise metadata.damaged(self.path, f"is damaged ({report})")
        ((lowest,),) = self._file.execute("SELECT coalesce(min(id), 0) FROM items")
        if lowest < 0:
            raise metadata.damaged(self.path, f"has an item of id {lowest}")
        for _ in self.items():
            pass

    def new_generation(self) -> None:
        self._set_properties({"store_id": secrets.token_hex(16)})

    def close(self) -> None:
        self._file.close()

    def _read_header(self) -> None:
        ((application,),) = self._file.execute("PRAGMA application_id")
        if application != _APPLICATION:
            raise IndexFileError(self.path, "is an SQLite database of another program")
        ((version,),) = self._file.execute("PRAGMA user_version")
        if not 1 <= version <= _VERSION:
            reason = f"has tables of version {version}; this program knows 1 to {_VERSION}"
            raise IndexFileError(self.path, reason)
        with self._file.errors():
            properties = self._properties()
            header = {key: properties[key] for key in HEADER if key in properties}
            header["index_type"] = properties["index_type"]
            self.index_type = metadata.checked_header(self.path, header)
            self.other = _json_object(properties["other"])

    def _properties(self) -> dict[str, Any]:
        rows = self._file.execute("SELECT key, value FROM properties")
        return {_NEW_KEYS.get(str(key), str(key)): value for key, value in rows}

    def _set_properties(self, properties: dict[str, Any]) -> None:
        rows = [(value, key, _FORMER_KEYS.get(key, key)) for key, value in properties.items()]
        self._file.execute_many("UPDATE properties SET value = ? WHERE key IN (?, ?)", rows)

    def _make_tables(self) -> None:
        for statement in _TABLES:
            self._file.execute(statement)
        properties = {
            **HEADER,
            "index_type": self.index_type,
            "store_id": secrets.token_hex(16),
            "next_id": 1,
            "change_count": 0,
            "other": "{}",
        }
        self._file.execute_many("INSERT INTO properties VALUES (?, ?)", properties.items())
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


def _item(row: Row) -> Item:
    identifier, path, content, extra, other = row
    if len(content) != HASH_BYTES:
        raise ValueError(f"a hash of {len(content)} bytes")
    hash_bytes = np.frombuffer(content, np.uint8)
    extras = _json_object(extra), _json_object(other or "{}")
    return Item(identifier, os.fsdecode(path), hash_bytes, *extras)


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} where an object belongs")
    return value


def _stored(path: str) -> str | bytes:
    """Return the path as text or, if it is not UTF-8, as bytes."""
    try:
        path.encode()
        return path
    except UnicodeEncodeError:
        pass
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # another program's, and the name of no file
        return path.encode("utf-8", "surrogatepass")
