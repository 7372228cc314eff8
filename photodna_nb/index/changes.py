"""Changes of an index: adding images and labels, with what is stored of them, and removing items.

A file that is hashed here, or a file of this machine whose hash is given, is one item: if it has
changed, the item is replaced. A hash under any other name, as from a table of hashes, has that
name as its label: another hash under the same label is another item.
"""

from __future__ import annotations

import math
import os
from collections import Counter
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
from photodna_nb.index.lookup import find_items, items_by_path
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added
from photodna_nb.index.session import IndexSession
from photodna_nb.item_record import ItemRecord
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.hashing.inputs import InputFiles
    from photodna_nb.index.unsaved_hashes import UnsavedHashes
    from photodna_nb.tables.table import HashTable

# How many items are looked up and held at once.
_ITEMS_AT_ONCE = 4096
# The size in bytes and the time of modification of a file.
FileStatus = tuple[int, int]


class Candidate(NamedTuple):
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
    recursive: bool,
    hash_options: dict[str, Any],
    table_options: Mapping[str, Any],
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
        return _append_table(session, images, names, extras)
    # What is no name of a file is one of the failures, where these are recorded.
    recorded = hashes is None and hash_options["errors"] == "record"
    check = checks.path if recorded else arguments.text
    names = [check(f"images[{i}]", one) for i, one in arguments.entries("images", images)]
    if hashes is not None:
        checks.array("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        extras = _extras(extra, len(names), len(hashes))
        return append(session, _of_names(names, extras), hashes).added
    from photodna_nb.hashing.inputs import InputFiles, is_folder_or_table

    files, tables = InputFiles(hash_options["errors"]), []
    if any(map(is_folder_or_table, names)):
        if extra is not None:
            raise ArgumentError("extra: needs image files alone, and images has a folder or table")
        loaded = files.add_inputs(names, recursive, table_options)
        names, tables = files.names, [table for some in loaded.values() for table in some]
    extras = _extras(extra, len(names), len(names))
    # Before the lock is taken: hashing is what lasts.
    paths = real_paths(names)
    unchanged = set() if compare_content else _unchanged(session, paths)
    changed = [name for i, name in enumerate(names) if i not in unchanged]
    hashed = _hashed(session, changed, files, compare_content, hash_options)
    table = HashTable.concatenate([hashed, *tables])
    extra_of = dict(zip(reversed(names), reversed(extras), strict=True))
    extras = [extra_of.get(path, {}) for path in table.paths]
    failures = [*files.failures, *table.failures]
    nothing = not len(table) and (unchanged or failures)
    added = Added([], [], []) if nothing else _append_table(session, table, table.paths, extras)
    return added._replace(
        skipped=[paths[i] for i in sorted(unchanged)] + added.skipped,
        failures=failures,
        other_files=dict(files.skipped + Counter(table.skipped)),
    )


def _hashed(
    session: IndexSession,
    names: Sequence[str],
    files: InputFiles,
    compare_content: bool,
    hash_options: dict[str, Any],
) -> HashTable:
    """Hash files; several are kept in a journal until they are saved."""
    from photodna_nb.hashing.files import HashOptions, hash_listed

    journal = unsaved_hashes(session) if len(names) > 1 else None
    options = HashOptions(
        output=None,
        cache=journal,
        compare_content=compare_content and journal is not None,
        skipped_kind=files.kind,
        **hash_options,
    )
    options.check()
    return hash_listed(names, options)


def unsaved_hashes(session: IndexSession) -> UnsavedHashes | None:
    """Return the journal of hashes that the next commit saves; none of an index in memory."""
    from photodna_nb.index.unsaved_hashes import UnsavedHashes

    if session.unsaved is None and not session.in_memory:
        session.unsaved = UnsavedHashes(f"{session.index_path}.journal", session.meta_path)
    return session.unsaved


def remove(session: IndexSession, items: Sequence[int | PathLike]) -> list[Item]:
    """Remove items, and return them: see `HashIndex.remove`."""
    named = list(arguments.entries("items", items))
    with session.changing():
        removed: dict[int, Item] = {}
        for i, one in named:
            matching = find_items(session, f"items[{i}]", one)
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
) -> list[Candidate]:
    """Return the files that were hashed here, and the labels from tables, in a table."""
    import PIL

    detail = [one if math.isfinite(one) else None for one in table.detail.tolist()]
    status = [(-1, -1)] * len(table) if table.file_status is None else table.file_status.tolist()
    files = iter(real_paths(name for name, one in zip(names, status, strict=True) if one[0] >= 0))
    candidates = []
    for name, (size, modified), one, mine in zip(names, status, detail, extras, strict=True):
        if size < 0:
            candidates.append(Candidate(name, ItemRecord(detail=one, label=True), mine))
        else:
            path = next(files)
            record = file_record(name, path, (size, modified), one, PIL.__version__)
            candidates.append(Candidate(path, record, mine))
    return candidates


def _of_names(names: Sequence[str], extras: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Return the files of this machine among names, and the others as labels."""
    candidates = []
    for name, path, mine in zip(names, real_paths(names), extras, strict=True):
        status = file_status(path) if os.path.isfile(path) else None
        if status is None:
            candidates.append(Candidate(name, ItemRecord(label=True), mine))
        else:
            candidates.append(Candidate(path, file_record(name, path, status), mine))
    return candidates


def file_record(
    name: str,
    path: str,
    status: FileStatus,
    detail: float | None = None,
    pillow: str | None = None,
) -> ItemRecord:
    """Return what is known of a file under a name, of that real path."""
    absolute = arguments.absolute(name)
    given = None if absolute == path else absolute
    return ItemRecord(given, status[0], status[1], detail, pillow)


def _unchanged(session: IndexSession, paths: Sequence[str]) -> set[int]:
    """Return the numbers of the paths whose files are indexed, and have the same status."""
    unchanged = set()
    with session.current():
        for rows in _chunks(len(paths)):
            known = items_by_path(session, [paths[row] for row in rows])
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


class ItemChanges:
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

    @property
    def added(self) -> Added:
        """What `HashIndex.add` returns of them."""
        updated = set(self.updated)
        ids = [item.id for item in self.new if item.id not in updated]
        refreshed = [item.path for item in self.refreshed]
        return Added(ids, self.skipped, [], self.updated, refreshed)

    def put(
        self, candidate: Candidate, hash_bytes: NDArray[np.uint8], items: Sequence[Item]
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


def _append_table(
    session: IndexSession,
    table: HashTable,
    names: Sequence[str],
    extras: Sequence[dict[str, Any]],
) -> Added:
    added = append(session, _of_table(table, names, extras), table.hashes).added
    return added._replace(failures=list(table.failures))


def append(
    session: IndexSession, candidates: Sequence[Candidate], hashes: NDArray[np.uint8]
) -> ItemChanges:
    """Append the candidates of which there is no item yet, and replace those that have changed."""
    with session.changing() as begun:
        changes = ItemChanges(session.store.state().next_id)
        for rows in _chunks(len(candidates)):
            known = items_by_path(session, [candidates[row].path for row in rows])
            for row in rows:
                candidate = candidates[row]
                changes.put(candidate, hashes[row], known.get(candidate.path, []))
        if changes.new or changes.refreshed or begun:
            session.delete(changes.replaced)
            session.refresh(changes.refreshed)
            session.insert(changes.new)
        else:
            session.end_unchanged()
    return changes
