"""The metadata of an index: JSON in the format that ``oaphotodna.py`` reads and writes.

It holds every hash, so the index can always be rebuilt from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files
from photodna_nb.arrays import HASH_BYTES
from photodna_nb.errors import IndexFileError

BEGINNING = b"{"
FAISS_BEGINNING = b"Ix"

_HEADER: dict[str, Any] = {
    "dimension": HASH_BYTES,
    "metric": "squared_l2",
    "similarity_metric": "normalized_euclidean",
}


@dataclass(eq=False)
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
        Keys that another program wrote, kept as they were.
    """

    id: int
    path: str
    hash: NDArray[np.uint8]
    extra: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Metadata:
    """All items, in the order in which they were added, and the next id."""

    items: list[Item] = field(default_factory=list)
    next_id: int = 1
    other: dict[str, Any] = field(default_factory=dict)

    def hashes(self, start: int = 0) -> NDArray[np.uint8]:
        """Return the hashes of the items from `start`, (n, 144) uint8."""
        if start >= len(self.items):
            return np.empty((0, HASH_BYTES), np.uint8)
        return np.stack([item.hash for item in self.items[start:]])

    def ids(self, start: int = 0) -> NDArray[np.int64]:
        """Return the ids of the items from `start`, (n,) int64."""
        return np.array([item.id for item in self.items[start:]], np.int64)


def load(path: str) -> Metadata:
    """Return the metadata in the JSON file.

    Raises
    ------
    IndexFileError
        The file is missing, damaged, or not the metadata of such an index.
    """
    check_name(path)
    content = files.read(path, IndexFileError)
    if content.startswith(FAISS_BEGINNING):
        raise IndexFileError(path, "is a FAISS index; give the index first, then the metadata")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is not valid JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise _damaged(path, 'is not the metadata of an index: it has no list of "items"')
    for key, needed in _HEADER.items():
        if document.get(key, needed) != needed:
            found = json.dumps(document[key])[:40]
            raise IndexFileError(
                path,
                f'has "{key}" {found}, and hashes need {json.dumps(needed)}; '
                "it is the metadata of an index of another kind",
            )
    items = [_item(path, number, entry) for number, entry in enumerate(document["items"])]
    ids = {item.id for item in items}
    if len(ids) < len(items):
        raise _damaged(path, "two items have the same id")
    following = document.get("next_id", max(ids, default=0) + 1)
    if not _is_id(following) or following <= max(ids, default=0):
        raise _damaged(path, '"next_id" is not above every id')
    known = {*_HEADER, "next_id", "items"}
    return Metadata(items, following, {k: v for k, v in document.items() if k not in known})


def check_name(path: str) -> None:
    """Refuse the names that are kept for metadata in SQLite."""
    if path.lower().endswith((".sqlite", ".db")):
        raise IndexFileError(
            path, "has the name of an SQLite database, and metadata is JSON; use a .json name"
        )


def encode(metadata: Metadata) -> Iterator[bytes]:
    """Return the JSON of the metadata, in pieces: one item a line, ASCII alone."""
    head = {**_HEADER, "next_id": metadata.next_id, **metadata.other}
    yield json.dumps(head)[:-1].encode("ascii") + b', "items": ['
    for number, item in enumerate(metadata.items):
        entry = {
            "id": item.id,
            "path": item.path,
            "hash": item.hash.tolist(),
            "extra": item.extra,
            **item.other,
        }
        yield (",\n" if number else "\n").encode() + json.dumps(entry).encode("ascii")
    yield b"\n]}\n"


def _item(path: str, number: int, entry: Any) -> Item:
    def wrong(what: str) -> IndexFileError:
        return _damaged(path, f"item {number} (counted from 0) {what}")

    if not isinstance(entry, dict):
        raise wrong("is not a JSON object")
    identifier, name, values = entry.get("id"), entry.get("path"), entry.get("hash")
    extra = entry.get("extra", {})
    if not _is_id(identifier):
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


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _damaged(path: str, what: str) -> IndexFileError:
    return IndexFileError(
        path, f"{what}; check that it is the right file. If it is damaged, use a backup copy of it"
    )
