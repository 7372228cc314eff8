"""Metadata as JSON, in the format that ``oaphotodna.py`` reads and writes.

All of it is in memory. An ordinary file is read by msgspec, which makes no object of a
number, and a kernel for the hashes; one with something unusual by the standard library,
which says where it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files, item_record
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.memory_store import ItemColumns, MemoryStore
from photodna_nb.index.metadata import HEADER, Item, Unreadable
from photodna_nb.item_record import EMPTY_RECORD, NO_KEYS

_KEYS = {
    "next_id",
    "items",
    "index_type",
    "index_kind",
    "checksums_below",
    "unreadable_files",
    *HEADER,
}
_ITEMS_AT_ONCE = 1024
# Each byte as JSON, a comma behind it, padded with zeros.
_TEXTS = np.array([f"{value},".encode() for value in range(256)], "S4")


class JsonItem(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An item with the keys that every one has."""

    id: int
    path: str
    hash: msgspec.Raw
    extra: msgspec.Raw = msgspec.Raw(NO_KEYS.encode())


class CheckedItem(msgspec.Struct):
    """An item with any further keys, whose values are checked one by one."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    path: str
    hash: Annotated[
        list[Annotated[int, msgspec.Meta(ge=0, le=255)]],
        msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES),
    ]
    extra: dict[str, Any] = {}


class JsonDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A file with the keys that are known here."""

    items: list[JsonItem]
    dimension: Any = msgspec.UNSET
    metric: Any = msgspec.UNSET
    similarity_metric: Any = msgspec.UNSET
    index_type: Any = msgspec.UNSET
    index_kind: Any = msgspec.UNSET
    next_id: Any = msgspec.UNSET
    checksums_below: Any = msgspec.UNSET
    unreadable_files: msgspec.Raw = msgspec.Raw(b"[]")


class JsonStore(MemoryStore):
    """A JSON file with all items: see `metadata.MetadataStore`."""

    def __init__(self, path: str, new_type: str | None = None) -> None:
        super().__init__(ItemColumns(), path, new_type or "flat")
        self._stamp: tuple[int, ...] | None = None
        if new_type is None:
            self.refresh()

    def refresh(self) -> bool:
        stamp = self._current_stamp()
        if stamp == self._stamp:
            return False
        content = files.read(self.path, IndexFileError)
        self._columns, self.index_type, self.other = _decode(self.path, content)
        self._stamp = stamp
        return True

    def commit(self) -> None:
        files.write([(self.path, self._encoded())], IndexFileError)
        super().commit()
        self._stamp = self._current_stamp()

    def verify(self) -> None:
        columns, _, _ = _decode(self.path, files.read(self.path, IndexFileError))
        for row in range(len(columns.ids)):
            self._item(columns, row)

    def _current_stamp(self) -> tuple[int, ...]:
        with files.read_errors(self.path, IndexFileError):
            status = os.stat(self.path)
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def _encoded(self) -> Iterator[bytes]:
        """Yield the JSON in pieces: an item a line, nothing but ASCII if all was added here."""
        columns = self._columns
        head = {**HEADER, "next_id": columns.next_id, **self.other}
        head["checksums_below"] = columns.next_id
        if self.index_type != "flat":
            head["index_type"] = self.index_type
        if columns.unreadable:
            head["unreadable_files"] = list(columns.unreadable.values())
        yield json.dumps(head)[:-1].encode("ascii") + b', "items": ['
        for start in range(0, len(columns.ids), _ITEMS_AT_ONCE):
            chunk = slice(start, start + _ITEMS_AT_ONCE)
            texts = _TEXTS[columns.hashes[chunk]].view(np.uint8).reshape(-1, 4 * HASH_BYTES)
            lines = []
            for row, text in enumerate(texts, start):
                identifier = int(columns.ids[row])
                checksum = columns.checksums[row]
                if checksum is None:
                    checksum = columns.computed_checksum(row)
                extra = item_record.with_checksum(columns.extras[row], checksum)
                other = columns.others.get(identifier, NO_KEYS)
                lines.append(
                    b'{"id":%d,"path":%s,"hash":[%s],"extra":%s%s'
                    % (
                        identifier,
                        encode_basestring_ascii(columns.paths[row]).encode("ascii"),
                        text.tobytes().translate(None, b"\0")[:-1],
                        extra.encode(),
                        b"}" if other == NO_KEYS else b"," + other[1:].encode(),
                    )
                )
            yield (b",\n" if start else b"\n") + b",\n".join(lines)
        yield b"\n]}\n"


def _decode(path: str, content: bytes) -> tuple[ItemColumns, str, dict[str, Any]]:
    """Return the items, the index type, and the keys of the document that are not known."""
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
    checksums_below = head.get("checksums_below")
    if metadata.is_id(checksums_below):
        if following < checksums_below:  # an id would be used again
            raise metadata.damaged(path, '"next_id" is lower than it was')
        columns.require_checksums(checksums_below)
    if isinstance(unreadable := head.get("unreadable_files"), list):
        columns.unreadable = Unreadable.by_path(unreadable)
    return columns, index_type, {key: value for key, value in head.items() if key not in _KEYS}


def _decode_fast(content: bytes) -> tuple[dict[str, Any], ItemColumns]:
    """Return the head and the items of an ordinary file, or raise any of four errors."""
    if not content.isascii():
        content.decode()  # what is left as it is, extras, is not looked into
    document = msgspec.json.decode(content, type=JsonDocument)
    entries = document.items
    head = {key: getattr(document, key) for key in document.__struct_fields__}
    head = {key: value for key, value in head.items() if value is not msgspec.UNSET}
    del head["items"]
    head["unreadable_files"] = json.loads(bytes(document.unreadable_files))
    columns = ItemColumns()
    ids = np.array([entry.id for entry in entries], np.int64)
    columns.put(ids, _hashes([entry.hash for entry in entries]))
    columns.paths = [entry.path for entry in entries]
    columns.set_extras([bytes(entry.extra).decode() for entry in entries])
    if (ids < 0).any() or not all(extra[:1] == "{" for extra in columns.extras):
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


def _decode_any(path: str, content: bytes) -> tuple[dict[str, Any], ItemColumns]:
    """Return the head and the items of any file, or say what is wrong with it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise metadata.damaged(path, f"is not valid JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise metadata.damaged(path, 'is not the metadata of an index: it has no list of "items"')
    metadata.checked_header(path, document)
    columns, entries = ItemColumns(), document.pop("items")
    items = [_item(path, number, entry) for number, entry in enumerate(entries)]
    columns.append(items)
    columns.set_extras([item_record.encode_extra(EMPTY_RECORD, item.extra) for item in items])
    return document, columns


def _item(path: str, number: int, entry: Any) -> Item:
    try:
        item = msgspec.convert(entry, CheckedItem)
    except msgspec.ValidationError as error:
        raise metadata.damaged(path, f"item {number} (counted from 0): {error}") from error
    other = {key: entry[key] for key in entry.keys() - set(item.__struct_fields__)}
    return Item(item.id, item.path, np.array(item.hash, np.uint8), item.extra, other)
