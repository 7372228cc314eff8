"""Metadata as an SQLite database: nothing is read that a call does not need.

One file, in the rollback-journal mode, so that it can be copied like any other one.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import urllib.parse
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.metadata import HEADER, InUseError, Item, StoreColumns, StoreState

# "PDNA"; and the version of the tables below.
_APPLICATION = 0x50444E41
_VERSION = 1
# Seconds for which another program may hold the database.
_PATIENCE = 60.0
# The keys of the store id and of the version in the table of properties.
_STORE_ID, _CHANGES = "collection", "removals"
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
    UPDATE properties SET value = value + 1 WHERE key = 'removals';
END""",
    # Of others, who may also replace an item so; ours have ids from next_id on.
    """CREATE TRIGGER items_inserted AFTER INSERT ON items
WHEN NEW.id < (SELECT value FROM properties WHERE key = 'next_id') BEGIN
    UPDATE properties SET value = value + 1 WHERE key = 'removals';
END""",
    """CREATE TRIGGER items_changed AFTER UPDATE OF id, hash ON items BEGIN
    UPDATE properties SET value = value + 1 WHERE key = 'removals';
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
        self._inode: tuple[int, int] | None = None
        self._seen: StoreState | None = None
        self._temporary: str | None = None
        self._close: Callable[[], Any] = lambda: None
        if new_type is None:
            self.refresh()
        else:
            self._connect(":memory:")
            with self._explained():
                self._make_tables()

    def state(self) -> StoreState:
        with self._explained():
            properties = self._properties()
            (highest,) = self._one("SELECT coalesce(max(id), 0) FROM items")  # of others, maybe
            return StoreState(
                str(properties[_STORE_ID]),
                max(int(properties["next_id"]), highest + 1),
                int(properties[_CHANGES]),
            )

    def refresh(self) -> bool:
        if self._inode is None and self._seen is not None:
            return False  # it is not on the disk yet
        inode = self._current_inode()
        if self._inode != inode:
            self._open()
            self._inode = inode
        before, self._seen = self._seen, self.state()
        if before not in (None, self._seen):
            with self._explained():
                self._read_head()
        return before != self._seen

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._explained():
            begun = self._connection.in_transaction
            if not begun:
                self._connection.execute("BEGIN")
        try:
            yield
        finally:
            if not begun:
                with self._explained():
                    self._connection.execute("ROLLBACK")

    def __len__(self) -> int:
        with self._explained():
            return int(self._one("SELECT count(*) FROM items")[0])

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        ids, hashes = [], []
        statement = "SELECT id, hash FROM items WHERE id >= ? ORDER BY id"
        with self._explained():
            cursor = self._connection.execute(statement, (start,))
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                ids.append(np.array([row[0] for row in rows], np.int64))
                joined = np.frombuffer(b"".join([row[1] for row in rows]), np.uint8)
                hashes.append(joined.reshape(len(rows), HASH_BYTES))
        if not ids:
            return np.empty(0, np.int64), np.empty((0, HASH_BYTES), np.uint8)
        return np.concatenate(ids), np.concatenate(hashes)

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        statement = "SELECT id, hash FROM items WHERE id IN ({})"
        hashes = dict(self._chosen(statement, ids.tolist()))
        with self._explained():
            rows = b"".join([hashes.get(identifier, _NO_HASH) for identifier in ids.tolist()])
            present = np.array([identifier in hashes for identifier in ids.tolist()], bool)
            return present, np.frombuffer(rows, np.uint8).reshape(len(ids), HASH_BYTES)

    def columns(self) -> StoreColumns:
        # Of JSON, `true` is no number, and would come as 1.
        statement = """SELECT path, hash,
            CASE WHEN json_type(extra, '$.detail') IN ('integer', 'real')
            THEN json_extract(extra, '$.detail') END
            FROM items ORDER BY id"""
        with self._explained():
            rows = self._connection.execute(statement).fetchall()
            hashes = np.frombuffer(b"".join([row[1] for row in rows]), np.uint8)
            detail = [metadata.detail_of({"detail": row[2]}) for row in rows]
            return StoreColumns(
                [os.fsdecode(row[0]) for row in rows],
                hashes.reshape(len(rows), HASH_BYTES),
                np.array(detail, np.float64),
            )

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        rows = self._chosen(_COLUMNS + " WHERE id IN ({})", ids)
        with self._explained():
            return {item.id: item for item in map(_item, rows)}

    def find(self, paths: Sequence[str]) -> dict[str, int]:
        ids: dict[str, int] = {}
        statement = "SELECT path, id FROM items WHERE path IN ({}) ORDER BY id"
        for path, identifier in self._chosen(statement, [_stored(path) for path in paths]):
            ids.setdefault(os.fsdecode(path), identifier)
        return ids

    def items(self) -> Iterator[Item]:
        statement = _COLUMNS + " WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
        after, first = -1, None
        while True:  # a page at a time, so that nobody is kept waiting between them
            kept = self._connection.in_transaction
            with self.reading(), self._explained():
                # What others add lies beyond; without what they remove it would be a mix.
                now = self.state()
                first = first or now
                if not kept and now._replace(next_id=0) != first._replace(next_id=0):
                    reason = "was changed while its items were read; begin again"
                    raise IndexFileError(self.path, reason)
                rows = self._connection.execute(
                    statement, (after, first.next_id, _ROWS_A_PAGE)
                ).fetchall()
                page = [_item(row) for row in rows]
            yield from page
            if len(page) < _ROWS_A_PAGE:
                return
            if page[-1].id <= after:  # it would never end
                raise metadata.damaged(self.path, "is damaged (its ids are out of order)")
            after = page[-1].id

    def begin(self) -> None:
        try:
            with self._explained():
                if self._inode is not None:
                    self._connection.execute("BEGIN IMMEDIATE")
                elif not self._begun_within():
                    self._begin_new()
        except BaseException:
            self.rollback()
            raise

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        with self._explained():
            self._connection.executemany(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?)",
                (
                    (
                        item.id,
                        _stored(item.path),
                        item.hash.tobytes(),
                        json.dumps(item.extra) if item.extra else "{}",
                        json.dumps(item.other) if item.other else None,
                    )
                    for item in items
                ),
            )
            self._connection.execute(
                "UPDATE properties SET value = ? WHERE key = 'next_id'", (next_id,)
            )

    def delete(self, ids: Sequence[int]) -> None:
        with self._explained():
            rows = [(identifier,) for identifier in ids]
            self._connection.executemany("DELETE FROM items WHERE id = ?", rows)

    def commit(self) -> None:
        with self._explained():
            values = [(self.index_type, "index_kind"), (json.dumps(self.other), "other")]
            self._connection.executemany("UPDATE properties SET value = ? WHERE key = ?", values)
            self._connection.execute("COMMIT")
        if self._temporary is not None:
            self._put_in_place(self._temporary)
        elif self._inode is None:
            self._inode = self._current_inode()
        self._seen = self.state()

    def rollback(self) -> None:
        if self._inode is None:
            self.close()
            self._connect(":memory:")
            with self._explained():
                self._make_tables()
            return
        with self._explained():
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def verify(self) -> None:
        with self._explained():
            (found,) = self._one("PRAGMA integrity_check(1)")
            if found != "ok":
                raise metadata.damaged(self.path, f"is damaged ({found})")
            (lowest,) = self._one("SELECT coalesce(min(id), 0) FROM items")
            if lowest < 0:
                raise metadata.damaged(self.path, f"has an item of id {lowest}")
            for _ in self.items():
                pass

    def new_generation(self) -> None:
        with self._explained():
            self._connection.execute(
                "UPDATE properties SET value = ? WHERE key = ?", (secrets.token_hex(16), _STORE_ID)
            )

    def close(self) -> None:
        self._close()
        if self._temporary is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary)
            self._temporary = None

    def _current_inode(self) -> tuple[int, int]:
        with files.read_errors(self.path, IndexFileError):
            status = files.regular_status(self.path, IndexFileError)
        return status.st_dev, status.st_ino

    def _open(self) -> None:
        """Connect to the file, and read its header."""
        self._close()
        folder = os.path.dirname(os.path.realpath(self.path))
        writable = os.access(self.path, os.W_OK) and os.access(folder, os.W_OK)
        name = urllib.parse.quote(os.fsencode(os.path.abspath(self.path)))
        self._connect(f"file:{name}?mode={'rw' if writable else 'ro'}")
        with self._explained():
            (application,) = self._one("PRAGMA application_id")
            if application != _APPLICATION:
                raise IndexFileError(self.path, "is an SQLite database of another program")
            (version,) = self._one("PRAGMA user_version")
            if version != _VERSION:
                reason = f"has tables of version {version}; this program knows {_VERSION}"
                raise IndexFileError(self.path, reason)
            self._read_head()

    def _read_head(self) -> None:
        properties = self._properties()
        header = {key: properties[key] for key in HEADER if key in properties}
        header["index_kind"] = properties["index_kind"]
        self.index_type = metadata.checked_header(self.path, header)
        self.other = _json_object(properties["other"])

    def _connect(self, place: str) -> None:
        with self._explained():
            self._connection = sqlite3.connect(
                place, _PATIENCE, isolation_level=None, check_same_thread=False, uri=True
            )
            self._close = weakref.finalize(self, self._connection.close)
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.execute("PRAGMA cache_size = -131072")

    def _make_tables(self) -> None:
        for statement in _TABLES:
            self._connection.execute(statement)
        properties = {
            **HEADER,
            "index_kind": self.index_type,
            _STORE_ID: secrets.token_hex(16),
            "next_id": 1,
            _CHANGES: 0,
            "other": "{}",
        }
        self._connection.executemany("INSERT INTO properties VALUES (?, ?)", properties.items())
        self._seen = self.state()

    def _begun_within(self) -> bool:
        """Begin to empty the database that is to be replaced, and return whether there is one.

        Those who read it have it open: a new file in its place would get a journal that
        SQLite takes for one of the old file, plays back and deletes.
        """
        index_type, other = self.index_type, self.other
        try:
            self._open()
        except IndexFileError:  # missing, empty or damaged
            return False
        finally:
            self.index_type, self.other = index_type, other
        self._connection.execute("BEGIN IMMEDIATE")
        self._make_tables()
        return True

    def _begin_new(self) -> None:
        """Make the database beside its place, where nothing of it lasts before it is whole."""
        temporary = files.temporary_path(self.path)
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            raise IndexFileError(
                self.path, f"cannot be written ({error.strerror}); check the folder"
            ) from error
        self._close()
        self._temporary = temporary
        self._connect("file:" + urllib.parse.quote(os.fsencode(self._temporary)))
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._make_tables()
        self._connection.execute("BEGIN IMMEDIATE")

    def _put_in_place(self, temporary: str) -> None:
        self._close()
        self._settle()
        files.move_into_place(temporary, self.path, IndexFileError)
        self._temporary = self._inode = None
        self._seen = None
        self.refresh()

    def _settle(self) -> None:
        """End what a killed program left undone, before the database of that name is another."""
        target = os.path.realpath(self.path)
        with suppress(sqlite3.Error, OSError):
            if os.path.exists(target + "-journal"):
                with closing(sqlite3.connect(target)) as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            os.unlink(target + "-journal")

    def _properties(self) -> dict[str, Any]:
        return dict(self._connection.execute("SELECT key, value FROM properties"))

    def _one(self, statement: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(statement).fetchone()
        return row

    def _chosen(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that names the values, of which it takes some at once."""
        rows = []
        for start in range(0, len(values), _NAMES_AT_ONCE):
            chunk = list(values[start : start + _NAMES_AT_ONCE])
            marks = ",".join("?" * len(chunk))
            with self._explained():
                rows += self._connection.execute(statement.format(marks), chunk).fetchall()
        return rows

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite says into errors that say what to do."""
        try:
            yield
        except IndexFileError:
            raise
        except sqlite3.OperationalError as error:
            said = str(error)
            if "locked" in said or "busy" in said:
                reason = f"has been in use by another program for {_PATIENCE:.0f} s; try again"
                raise InUseError(self.path, reason) from error
            if "no such" in said or "decode" in said:
                raise metadata.damaged(self.path, f"is damaged ({said})") from error
            reason = f"cannot be used ({said}); check the permissions and the free space"
            raise IndexFileError(self.path, reason) from error
        except sqlite3.ProgrammingError as error:
            raise IndexFileError(self.path, f"cannot be used any more ({error})") from error
        except sqlite3.Error as error:
            reason = f"is damaged, or no SQLite database ({error})"
            raise metadata.damaged(self.path, reason) from error
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            reason = f"is damaged: it holds what was never put in ({error})"
            raise metadata.damaged(self.path, reason) from error


def _item(row: tuple[Any, ...]) -> Item:
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
