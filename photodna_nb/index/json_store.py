"""Metadata as JSON, in the format that ``oaphotodna.py`` reads and writes.

All of it is in memory. An ordinary file is read by msgspec, which makes no object of a
number, and a kernel for the hashes; one with something unusual by the standard library,
which says where it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from json.encoder import encode_basestring_ascii
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.faiss_file import IndexType
from photodna_nb.index.metadata import HEADER, Item, StoreState

_KEYS = {"next_id", "items", "index_kind", *HEADER}
_ITEMS_AT_ONCE = 1024
# Each byte as JSON, a comma behind it, padded with zeros.
_TEXTS = np.array([f"{value},".encode() for value in range(256)], "S4")
_NOTHING = b"{}"


class JsonItem(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An item with the keys that every one has."""

    id: int
    path: str
    hash: msgspec.Raw
    extra: msgspec.Raw = msgspec.Raw(_NOTHING)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """A file with the keys that are known here."""

    items: list[JsonItem]
    dimension: Any = msgspec.UNSET
    metric: Any = msgspec.UNSET
    similarity_metric: Any = msgspec.UNSET
    index_kind: Any = msgspec.UNSET
    next_id: Any = msgspec.UNSET


class _Columns:
    """The items, ids ascending: hashes in one array, extras and other keys as JSON."""

    def __init__(self, next_id: int = 1, removals: int = 0) -> None:
        self.next_id = next_id
        self.removals = removals
        self._ids = [np.empty(0, np.int64)]
        self._hashes = [np.empty((0, HASH_BYTES), np.uint8)]
        self.paths: list[str] = []
        self.extras: list[bytes] = []
        self.others: dict[int, bytes] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """Of all items, (n,)."""
        self._ids = [np.concatenate(self._ids)] if len(self._ids) > 1 else self._ids
        return self._ids[0]

    @property
    def hashes(self) -> NDArray[np.uint8]:
        """Of all items, (n, 144), read-only: this is the truth."""
        self._hashes = [np.concatenate(self._hashes)] if len(self._hashes) > 1 else self._hashes
        return checks.read_only(self._hashes[0])

    def append(self, items: Iterable[Item]) -> None:
        """Append items; ids and hashes are put together when they are asked for."""
        ids, hashes = [], []
        for item in items:
            ids.append(item.id)
            hashes.append(item.hash)
            self.paths.append(item.path)
            self.extras.append(json.dumps(item.extra).encode("ascii"))
            if item.other:
                self.others[item.id] = json.dumps(item.other).encode("ascii")
        if ids:
            self._ids.append(np.array(ids, np.int64))
            self._hashes.append(np.stack(hashes))

    def put(self, ids: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Take these ids and hashes, and no others."""
        self._ids, self._hashes = [ids], [hashes]

    def sort(self) -> None:
        """Put the items in the order of their ids, as most files have them."""
        if (np.diff(self.ids) > 0).all():
            return
        self.keep(np.argsort(self.ids, kind="stable"))

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Keep those rows, in that order."""
        self.put(self.ids[rows], self.hashes[rows])
        chosen = rows.tolist()
        self.paths = [self.paths[row] for row in chosen]
        self.extras = [self.extras[row] for row in chosen]

    def copy(self) -> _Columns:
        """Return columns that can be changed without changing these."""
        other = _Columns(self.next_id, self.removals)
        other.put(self.ids, self.hashes)
        other.paths, other.extras = self.paths.copy(), self.extras.copy()
        other.others = self.others.copy()
        return other


class JsonStore:
    """A JSON file with all items: see `metadata.MetadataStore`."""

    def __init__(self, path: str, new: IndexType | None = None) -> None:
        self.path = path
        self.index_type: IndexType = new or "flat"
        self.other: dict[str, Any] = {}
        self._columns = _Columns()
        self._before: _Columns | None = None
        self._stamp: tuple[int, ...] | None = None
        self._ids_of_paths: dict[str, int] | None = None
        if new is None:
            self.refresh()

    def state(self) -> StoreState:
        return StoreState(None, self._columns.next_id, self._columns.removals)

    def refresh(self) -> bool:
        stamp = self._current_stamp()
        if stamp == self._stamp:
            return False
        content = files.read(self.path, IndexFileError)
        self._columns, self.index_type, self.other = _decode(self.path, content)
        self._stamp, self._ids_of_paths = stamp, None
        return True

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __len__(self) -> int:
        return len(self._columns.ids)

    def ids_and_hashes(self, start: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        first = int(np.searchsorted(self._columns.ids, start))
        return self._columns.ids[first:], self._columns.hashes[first:]

    def get(self, ids: Sequence[int]) -> dict[int, Item]:
        columns = self._columns
        rows = np.searchsorted(columns.ids, ids).tolist()
        return {
            identifier: self._item(columns, row)
            for identifier, row in zip(ids, rows, strict=True)
            if row < len(columns.ids) and columns.ids[row] == identifier
        }

    def _item(self, columns: _Columns, row: int) -> Item:
        identifier = int(columns.ids[row])
        try:
            extra = json.loads(columns.extras[row])
        except (ValueError, RecursionError) as error:
            what = f'item {row} (counted from 0) has an "extra" that cannot be read ({error})'
            raise metadata.damaged(self.path, what) from error
        other = json.loads(columns.others.get(identifier, _NOTHING))
        return Item(identifier, columns.paths[row], columns.hashes[row], extra, other)

    def find(self, paths: Sequence[str]) -> dict[str, int]:
        if self._ids_of_paths is None:
            # Of a path that is there twice, the first one counts.
            both = zip(reversed(self._columns.paths), self._columns.ids[::-1].tolist(), strict=True)
            self._ids_of_paths = dict(both)
        known = self._ids_of_paths
        return {path: known[path] for path in paths if path in known}

    def items(self) -> Iterator[Item]:
        columns = self._columns.copy()  # the caller may change these meanwhile
        for row in range(len(columns.ids)):
            yield self._item(columns, row)

    def begin(self) -> None:
        self._before, self._columns = self._columns, self._columns.copy()

    def insert(self, items: Iterable[Item], next_id: int) -> None:
        added = list(items)
        self._columns.append(added)
        if self._ids_of_paths is not None:
            for item in added:
                self._ids_of_paths.setdefault(item.path, item.id)
        self._columns.next_id = next_id

    def delete(self, ids: Sequence[int]) -> None:
        columns = self._columns
        columns.keep(np.flatnonzero(~np.isin(columns.ids, list(ids))))
        for identifier in ids:
            columns.others.pop(identifier, None)
        columns.removals += 1
        self._ids_of_paths = None

    def commit(self) -> None:
        files.write([(self.path, self._encoded())], IndexFileError)
        self._before = None
        self._stamp = self._current_stamp()

    def rollback(self) -> None:
        if self._before is not None:
            self._columns, self._before, self._ids_of_paths = self._before, None, None

    def verify(self) -> None:
        columns, _, _ = _decode(self.path, files.read(self.path, IndexFileError))
        for row in range(len(columns.ids)):
            self._item(columns, row)

    def new_generation(self) -> None:
        pass

    def close(self) -> None:
        self.rollback()

    def _current_stamp(self) -> tuple[int, ...]:
        with files.read_errors(self.path, IndexFileError):
            status = os.stat(self.path)
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def _encoded(self) -> Iterator[bytes]:
        """Yield the JSON in pieces: an item a line, nothing but ASCII if all was added here."""
        columns = self._columns
        head = {**HEADER, "next_id": columns.next_id, **self.other}
        if self.index_type != "flat":
            head["index_kind"] = self.index_type
        yield json.dumps(head)[:-1].encode("ascii") + b', "items": ['
        for start in range(0, len(columns.ids), _ITEMS_AT_ONCE):
            some = slice(start, start + _ITEMS_AT_ONCE)
            texts = _TEXTS[columns.hashes[some]].view(np.uint8).reshape(-1, 4 * HASH_BYTES)
            lines = []
            for identifier, path, text, extra in zip(
                columns.ids[some].tolist(),
                columns.paths[some],
                texts,
                columns.extras[some],
                strict=True,
            ):
                other = columns.others.get(identifier, _NOTHING)
                lines.append(
                    b'{"id":%d,"path":%s,"hash":[%s],"extra":%s%s'
                    % (
                        identifier,
                        encode_basestring_ascii(path).encode("ascii"),
                        text.tobytes().translate(None, b"\0")[:-1],
                        extra,
                        b"}" if other == _NOTHING else b"," + other[1:],
                    )
                )
            yield (b",\n" if start else b"\n") + b",\n".join(lines)
        yield b"\n]}\n"


def _decode(path: str, content: bytes) -> tuple[_Columns, IndexType, dict[str, Any]]:
    """Return the items, the kind of index, and the keys of the document that are not known."""
    if content.startswith((b"Ix", b"Iw")):
        raise IndexFileError(path, "is a FAISS index; give the index first, then the metadata")
    if content.startswith(b"SQLite format 3"):
        raise IndexFileError(path, "is an SQLite database; give it a name that ends with .sqlite")
    try:
        head, columns = _decode_fast(content)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        head, columns = _decode_any(path, content)
    index_type = metadata.checked_header(path, head)
    columns.sort()
    highest = int(columns.ids[-1]) if len(columns.ids) else 0
    if not (np.diff(columns.ids) > 0).all():
        raise metadata.damaged(path, "two items have the same id")
    following = head.get("next_id", highest + 1)
    if not metadata.is_id(following) or following <= highest:
        raise metadata.damaged(path, '"next_id" is not above every id')
    columns.next_id = following
    return columns, index_type, {key: value for key, value in head.items() if key not in _KEYS}


def _decode_fast(content: bytes) -> tuple[dict[str, Any], _Columns]:
    """Return the head and the items of an ordinary file, or raise any of four errors."""
    if not content.isascii():
        content.decode()  # what is left as it is, extras, is not looked into
    document = msgspec.json.decode(content, type=_Document)
    entries = document.items
    head = {key: getattr(document, key) for key in document.__struct_fields__}
    head = {key: value for key, value in head.items() if value is not msgspec.UNSET}
    del head["items"]
    columns = _Columns()
    ids = np.array([entry.id for entry in entries], np.int64)
    columns.put(ids, _hashes([entry.hash for entry in entries]))
    columns.paths = [entry.path for entry in entries]
    columns.extras = [bytes(entry.extra) for entry in entries]
    if (ids < 0).any() or not all(extra[:1] == b"{" for extra in columns.extras):
        raise ValueError("unusual")
    return head, columns


def _hashes(texts: Sequence[msgspec.Raw]) -> NDArray[np.uint8]:
    """Return the hashes that are written as JSON, (n, 144)."""
    from photodna_nb.kernels.json_text import parse_hashes  # Numba is slow to import

    hashes = np.empty((len(texts), HASH_BYTES), np.uint8)
    text = np.frombuffer(b"".join(texts), np.uint8)
    if not parse_hashes(checks.read_only(text), hashes):
        raise ValueError("unusual")
    return hashes


def _decode_any(path: str, content: bytes) -> tuple[dict[str, Any], _Columns]:
    """Return the head and the items of any file, or say what is wrong with it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise metadata.damaged(path, f"is not valid JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise metadata.damaged(path, 'is not the metadata of an index: it has no list of "items"')
    metadata.checked_header(path, document)
    columns, entries = _Columns(), document.pop("items")
    columns.append(_item(path, number, entry) for number, entry in enumerate(entries))
    return document, columns


def _item(path: str, number: int, entry: Any) -> Item:
    def wrong(what: str) -> IndexFileError:
        return metadata.damaged(path, f"item {number} (counted from 0) {what}")

    if not isinstance(entry, dict):
        raise wrong("is not a JSON object")
    identifier, name, values = entry.get("id"), entry.get("path"), entry.get("hash")
    extra = entry.get("extra", {})
    if not metadata.is_id(identifier):
        raise wrong('has no "id" that is an integer of at least 0')
    if not isinstance(name, str):
        raise wrong('has no "path" that is a string')
    if not isinstance(extra, dict):
        raise wrong('has an "extra" that is not an object')
    if not isinstance(values, list) or len(values) != HASH_BYTES:
        raise wrong(f'has no "hash" that is a list of {HASH_BYTES} numbers')
    try:
        hash_bytes = np.frombuffer(bytes(values), np.uint8)
    except (TypeError, ValueError) as error:
        raise wrong('has a "hash" with something else than integers from 0 to 255') from error
    known = ("id", "path", "hash", "extra")
    other = {key: value for key, value in entry.items() if key not in known}
    return Item(identifier, name, hash_bytes, extra, other)
