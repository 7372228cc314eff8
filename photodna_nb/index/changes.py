"""Changes of an index: adding images and labels, with what is stored of them, and removing items.

A file that is hashed here, or a file of this machine whose hash is given, is one item: if it has
changed, the item is replaced. A hash under any other name, as from a table of hashes, has that
name as its label: another hash under the same label is another item.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.folders import real_paths
from photodna_nb.index import arguments
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.item_record import ItemRecord
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added
from photodna_nb.index.session import IndexSession
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.tables.table import HashTable

# How many items are looked up and held at once.
_ITEMS_AT_ONCE = 4096
# The size in bytes and the time of modification of a file.
FileStatus = tuple[int, int]


class _Candidate(NamedTuple):
    """An image or a label that may become an item."""

    path: str
    record: ItemRecord
    extra: dict[str, Any]


def add(
    session: IndexSession,
    images: Sequence[PathLike] | HashTable,
    hashes: NDArray[np.uint8] | None,
    extra: Sequence[Mapping[str, Any]] | None,
    compare_content: bool,
    hash_options: dict[str, Any],
) -> Added:
    """Append images, their hashes or a table: see `HashIndex.add`.

    hash_options: of `hash_files`, where files are hashed.
    """
    from photodna_nb.tables.table import HashTable

    if isinstance(images, HashTable):
        if hashes is not None:
            raise ArgumentError("hashes: a table has its own; leave them out")
        names = [arguments.label(f"images.paths[{i}]", p) for i, p in enumerate(images.paths)]
        extras = _extras(extra, len(names), len(names))
        return _append(session, _of_table(images, names, extras), images.hashes, [], images)
    # What is no name of a file is one of the failures, where these are recorded.
    recorded = hashes is None and hash_options["errors"] == "record"
    check = checks.path if recorded else arguments.text
    names = [check(f"images[{i}]", one) for i, one in arguments.entries("images", images)]
    if hashes is not None:
        checks.array("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        extras = _extras(extra, len(names), len(hashes))
        return _append(session, _of_names(names, extras), hashes, [], None)
    from photodna_nb.hashing.files import hash_files

    extras = _extras(extra, len(names), len(names))
    # Before the lock is taken: hashing is what lasts.
    paths = real_paths(names)
    unchanged = set() if compare_content else _unchanged(session, paths)
    skipped = [path for i, path in enumerate(paths) if i in unchanged]
    table = hash_files([n for i, n in enumerate(names) if i not in unchanged], **hash_options)
    failed = {path for path, _ in table.failures}
    extras = [
        one
        for i, (name, one) in enumerate(zip(names, extras, strict=True))
        if i not in unchanged and name not in failed
    ]
    return _append(session, _of_table(table, table.paths, extras), table.hashes, skipped, table)


def remove(session: IndexSession, items: Sequence[int | PathLike]) -> list[Item]:
    """Remove items, and return them: see `HashIndex.remove`."""
    named = list(arguments.entries("items", items))
    with session.changing():
        removed: dict[int, Item] = {}
        for i, one in named:
            matching = session.find_items(f"items[{i}]", one)
            if not matching:
                raise ArgumentError(f"items[{i}]: {printable(str(one))} is not in the index")
            removed |= {item.id: item for item in matching}
        session.delete(list(removed))
    return list(removed.values())


def file_status(path: str) -> FileStatus | None:
    """Return the size and the time of modification of a file, or None if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _extras(
    extra: Sequence[Mapping[str, Any]] | None, n_images: int, n_hashes: int
) -> list[dict[str, Any]]:
    """Return what the user stores, one for each image."""
    extras = [{} for _ in range(n_images)] if extra is None else arguments.json_objects(extra)
    if not n_images == n_hashes == len(extras):
        raise ArgumentError(
            f"images, hashes, extra: got {n_images}, {n_hashes} and {len(extras)} entries, "
            "needs one of each for every image"
        )
    return extras


def _of_table(
    table: HashTable, names: Sequence[str], extras: Sequence[dict[str, Any]]
) -> list[_Candidate]:
    """Return the files that were hashed here, and the labels from tables, in a table."""
    import PIL

    detail = [one if math.isfinite(one) else None for one in table.detail.tolist()]
    status = [(-1, -1)] * len(table) if table.file_status is None else table.file_status.tolist()
    files = iter(real_paths(name for name, one in zip(names, status, strict=True) if one[0] >= 0))
    candidates = []
    for name, (size, modified), one, mine in zip(names, status, detail, extras, strict=True):
        if size < 0:
            candidates.append(_Candidate(name, ItemRecord(detail=one, label=True), mine))
        else:
            path = next(files)
            record = _file_record(name, path, (size, modified), one, PIL.__version__)
            candidates.append(_Candidate(path, record, mine))
    return candidates


def _of_names(names: Sequence[str], extras: Sequence[dict[str, Any]]) -> list[_Candidate]:
    """Return the files of this machine among names, and the others as labels."""
    candidates = []
    for name, path, mine in zip(names, real_paths(names), extras, strict=True):
        status = file_status(path) if os.path.isfile(path) else None
        if status is None:
            candidates.append(_Candidate(name, ItemRecord(label=True), mine))
        else:
            candidates.append(_Candidate(path, _file_record(name, path, status), mine))
    return candidates


def _file_record(
    name: str,
    path: str,
    status: FileStatus,
    detail: float | None = None,
    pillow: str | None = None,
) -> ItemRecord:
    absolute = arguments.absolute(name)
    given = None if absolute == path else absolute
    return ItemRecord(given, status[0], status[1], detail, pillow)


def _unchanged(session: IndexSession, paths: Sequence[str]) -> set[int]:
    """Return the numbers of the paths whose files are indexed, and have the same status."""
    unchanged = set()
    with session.current():
        for rows in _chunks(len(paths)):
            known = session.items_by_path([paths[row] for row in rows])
            for row in rows:
                items = known.get(paths[row], [])
                status = {(item.record.size, item.record.modified) for item in items}
                if items and file_status(paths[row]) in status:
                    unchanged.add(row)
    return unchanged


def _chunks(number: int) -> Iterator[range]:
    """Yield ranges of rows, so that few items are in memory at a time."""
    for start in range(0, number, _ITEMS_AT_ONCE):
        yield range(start, min(number, start + _ITEMS_AT_ONCE))


class _Changes:
    """What candidates change in the items that there are.

    Attributes
    ----------
    new, refreshed : list of Item
        Items to append, and items whose file has another status now, and the same hash.
    replaced, updated : list of int
        Ids of items whose file has another hash now, and of the new items of these files.
    skipped : list of str
        Paths of candidates that make no new item.
    """

    def __init__(self, next_id: int) -> None:
        self._next_id = next_id
        self._hashes: dict[str, list[NDArray[np.uint8]]] = {}
        self.new: list[Item] = []
        self.refreshed: list[Item] = []
        self.replaced: list[int] = []
        self.updated: list[int] = []
        self.skipped: list[str] = []

    def put(
        self, candidate: _Candidate, hash_bytes: NDArray[np.uint8], items: Sequence[Item]
    ) -> None:
        """Note a candidate, of whose path there are these items."""
        path, record, extra = candidate
        earlier = self._hashes.setdefault(path, [])
        if any((one == hash_bytes).all() for one in earlier):
            self.skipped.append(path)
            return
        if earlier and not record.label:
            raise ArgumentError(f"images: {printable(path)} is there twice, with two hashes")
        earlier.append(hash_bytes)
        same = [item for item in items if (item.hash == hash_bytes).all()]
        files = [] if record.label else [item for item in items if not item.record.label]
        unchanged = [item for item in files if item in same]
        if unchanged or (same and not files):
            self.skipped.append(path)
            for one in unchanged[:1]:
                self._refresh(one, record)
            return
        item = Item(self._next_id + len(self.new), path, hash_bytes, extra, record=record)
        if files:
            former = files[0]
            item = replace(item, extra=former.extra | extra, other=former.other)
            self.replaced.append(former.id)
            self.updated.append(item.id)
        self.new.append(item)

    def _refresh(self, item: Item, record: ItemRecord) -> None:
        if (item.record.size, item.record.modified) != (record.size, record.modified):
            known = msgspec.structs.asdict(record) | {"name": item.record.name}
            known = {key: value for key, value in known.items() if value is not None}
            record = msgspec.structs.replace(item.record, **known)
            self.refreshed.append(replace(item, record=record))


def _append(
    session: IndexSession,
    candidates: Sequence[_Candidate],
    hashes: NDArray[np.uint8],
    skipped: list[str],
    table: HashTable | None,
) -> Added:
    """Append the candidates of which there is no item yet, and replace those that have changed."""
    failures = [] if table is None else list(table.failures)
    if not candidates and (skipped or failures):
        return Added([], skipped, failures)
    with session.changing() as begun:
        changes = _Changes(session.store.state().next_id)
        for rows in _chunks(len(candidates)):
            known = session.items_by_path([candidates[row].path for row in rows])
            for row in rows:
                candidate = candidates[row]
                changes.put(candidate, hashes[row], known.get(candidate.path, []))
        if changes.new or changes.refreshed or begun:
            session.delete(changes.replaced)
            session.refresh(changes.refreshed)
            session.insert(changes.new)
        else:
            session.end_unchanged()
    updated = set(changes.updated)
    ids = [item.id for item in changes.new if item.id not in updated]
    refreshed = [item.path for item in changes.refreshed]
    return Added(ids, skipped + changes.skipped, failures, changes.updated, refreshed)
