"""An index that follows folders: new, changed and removed files, and those that cannot be read.

A file that is gone is known from one that cannot be seen now, as on a disk that is not mounted: an
item is removed only if the folder of its file, or the nearest one above it that is there, can be
listed and holds other files. Nothing is removed before all files are hashed and stored, so that
nothing is lost by a kill, and a file that was moved is never missing.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import checks, parallel, systems
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, FileError, ImageError
from photodna_nb.folders import real_paths
from photodna_nb.hashing.files import iterate_records
from photodna_nb.hashing.hash_journal import HashRecord
from photodna_nb.hashing.image_formats import decoders
from photodna_nb.hashing.inputs import InputFiles
from photodna_nb.hashing.low_detail import LowDetailImages
from photodna_nb.index import arguments, changes, index_types
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.changes import Candidate, FileStatus
from photodna_nb.index.lookup import items_by_path
from photodna_nb.index.metadata import Item, Unreadable
from photodna_nb.index.records import Synced
from photodna_nb.index.session import IndexSession
from photodna_nb.tables.columns import FileFailure

# What was hashed is stored after so many seconds, and no more often than takes a twentieth of the
# time: all of a JSON file is written each time.
_SECONDS_OF_A_BATCH, _TIMES_OF_A_COMMIT = 10.0, 20.0
# How many items or files are looked up at once.
_AT_ONCE = 4096
_NO_FILE: FileStatus = (-1, -1)


class SyncOptions(NamedTuple):
    """The arguments of `HashIndex.sync` besides the folders."""

    recursive: bool
    allow_empty: bool
    dry_run: bool
    compare_content: bool
    max_workers: int | None
    executor: Executor | None
    progress: bool


def sync(session: IndexSession, folders: Sequence[PathLike], options: SyncOptions) -> Synced:
    """Make an index hold what folders hold: see `HashIndex.sync`."""
    begun = perf_counter()
    if session.begun:
        raise ArgumentError("index: has changes that are not saved; save or close it first")
    parallel.worker_count(options.max_workers, options.executor)
    tree = _FolderTree(folders, options.recursive, options.allow_empty)
    for path in real_paths([session.index_path, session.meta_path]):
        for suffix in ("", ".lock", ".journal", "-journal"):
            tree.files.names_by_path.pop(path + suffix, None)
    found = _Found(failures=list(tree.files.failures), skipped=tree.files.skipped)
    gone, moved = _gone(session, tree)
    with session.current():
        unreadable = session.store.unreadable()
    with parallel.progress_bar(options.progress, tree.files.names_by_path, "files") as bar:
        files = _files_to_hash(session, tree, unreadable, found, options.compare_content, bar)
        if options.dry_run:
            for file in files:
                names = found.updated if file.indexed else found.added
                names.append(arguments.absolute(file.name))
        else:
            hashed = _HashedFiles(session, tree.files, found, moved, unreadable)
            hashed.hash(files, options, bar)
            found.low_detail.warn()
    there, added = tree.files.names_by_path, set(found.added)
    for path, name in there.items():
        if arguments.absolute(name) in added:
            tree.note_image(path)
    found.readable += [path for path in unreadable if tree.holds(path) and path not in there]
    if options.dry_run:
        with session.current():
            _sort_out(session, gone, tree, found)
    else:
        with session.changing():
            session.delete(_sort_out(session, gone, tree, found))
            session.remember(dict.fromkeys(found.readable))
        if not session.in_memory:
            session.commit()
    return found.synced(perf_counter() - begun, options.dry_run)


class _File(NamedTuple):
    """A file of a folder that is to be hashed.

    status: of the file before it is read; None if there is none. indexed: whether it is an item.
    """

    name: str
    path: str
    status: FileStatus | None
    indexed: bool


@dataclass
class _Found:
    """What is found in the folders, and what was done with it: see `Synced`.

    Attributes
    ----------
    readable : list of str
        Paths of files that could not be hashed, and are there no more or are indexed.
    """

    failures: list[FileFailure]
    skipped: Counter[str]
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    remembered: list[FileFailure] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)
    unchanged: int = 0
    low_detail: LowDetailImages = field(default_factory=LowDetailImages)

    def count(self, failure: FileFailure, kind: str, failures: list[FileFailure]) -> None:
        """Count a file that cannot be hashed as one of its kind, or append it to failures."""
        if kind:
            self.skipped[kind] += 1
        else:
            failures.append(failure)

    def synced(self, seconds: float, dry_run: bool) -> Synced:
        """Return the result of the call."""
        return Synced(
            self.added,
            self.updated,
            self.removed,
            self.kept,
            self.unchanged,
            self.failures,
            self.remembered,
            dict(self.skipped),
            seconds,
            dry_run,
        )


class _FolderTree:
    """The folders, with their files, and what is known of files that were in them.

    Raises
    ------
    FileError
        A folder is missing, cannot be listed, or has no file, unless `allow_empty` is True.
    """

    def __init__(self, folders: Sequence[PathLike], recursive: bool, allow_empty: bool) -> None:
        self._recursive, self._allow_empty = recursive, allow_empty
        self.files = InputFiles("record")
        roots = []
        named = checks.iterable("folders", folders, "several folders", "put one into a list")
        for i, one in enumerate(named):
            name = arguments.text(f"folders[{i}]", one)
            before = self._n_files()
            self.files.add_folder(name, recursive)
            if self._n_files() == before and not allow_empty:
                reason = "has no files, as where a disk is not mounted; if that is right, allow it"
                raise FileError(name, f"{reason}: --allow-empty (allow_empty=True)")
            roots.append(systems.real_folder(name))
        if not roots:
            raise ArgumentError("folders: got none, needs at least one")
        self._roots = frozenset(roots)
        self._beginnings = tuple(os.path.join(root, "") for root in self._roots)
        unlisted = (systems.real_folder(failure.path) for failure in self.files.failures)
        self._unlisted = tuple(os.path.join(folder, "") for folder in unlisted)
        self._verdicts: dict[str, bool | None] = {}
        self._with_images: set[str] = set()

    def note_image(self, path: str) -> None:
        """Note that an image with that real path is there, or was added."""
        self._with_images |= {root for root in self._beginnings if path.startswith(root)}

    def _n_files(self) -> int:
        return len(self.files.names) + self.files.skipped["named twice"]

    def holds(self, path: str) -> bool:
        """Return whether a real path is one below the folders."""
        if not path.startswith(self._beginnings):
            return False
        return self._recursive or os.path.dirname(path) in self._roots

    def may_remove(self, path: str) -> bool:
        """Return whether a file of a folder that is gone counts as removed."""
        if path.startswith(self._unlisted):
            return False
        # Where a disk is not mounted, there may be a file that says so, and no image.
        if not (self._allow_empty or path.startswith(tuple(self._with_images))):
            return False
        folder = os.path.dirname(path)
        while (verdict := self._verdict(folder)) is None and folder not in self._roots:
            folder = os.path.dirname(folder)
        return bool(verdict)

    def _verdict(self, folder: str) -> bool | None:
        """Return whether a folder shows what is in it; None if there is no such folder."""
        if folder not in self._verdicts:
            try:
                with os.scandir(folder) as entries:
                    holds_any = any(not entry.name.startswith(".") for entry in entries)
                self._verdicts[folder] = holds_any or self._allow_empty
            except (FileNotFoundError, NotADirectoryError):
                # A link to nothing may lead to a disk that is not mounted.
                self._verdicts[folder] = False if os.path.islink(folder) else None
            except OSError:
                self._verdicts[folder] = False
        return self._verdicts[folder]


# The user's `extra` of files that are gone, by hash, size and time of modification.
_Moved = dict[tuple[bytes, int | None, int | None], dict[str, Any]]


def _gone(session: IndexSession, tree: _FolderTree) -> tuple[list[int], _Moved]:
    """Return the ids of the items whose files were in the folders and are not there any more.

    The other result has what a file of another name takes over from one of them.
    """
    with session.current():
        ids = []
        for identifier, path in session.store.paths():
            if tree.holds(path):
                if _is_gone(path):
                    ids.append(identifier)
                else:
                    tree.note_image(path)
        items = [item for item in _items(session, ids) if not item.record.label]
    moved = {
        (item.hash.tobytes(), item.record.size, item.record.modified): item.extra
        for item in items
        if item.extra
    }
    return [item.id for item in items], moved


def _is_gone(path: str) -> bool:
    """Return whether there is no file of that real path: nothing, a folder, or a link."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # it cannot be seen
        return False


def _items(session: IndexSession, ids: Sequence[int]) -> Iterator[Item]:
    """Yield the items of those ids that there are, a few at a time."""
    for start in range(0, len(ids), _AT_ONCE):
        with session.with_remedy():
            items = session.store.get(ids[start : start + _AT_ONCE])
        yield from items.values()


def _sort_out(
    session: IndexSession, gone: Sequence[int], tree: _FolderTree, found: _Found
) -> list[int]:
    """Return the ids of the items to remove, and note their names and those of items to keep."""
    removed = []
    for item in _items(session, gone):
        if not _is_gone(item.path):
            continue
        if tree.may_remove(item.path):
            removed.append(item.id)
            found.removed.append(item.name)
        else:
            found.kept.append(item.name)
    return removed


def _files_to_hash(
    session: IndexSession,
    tree: _FolderTree,
    unreadable: dict[str, Unreadable],
    found: _Found,
    compare_content: bool,
    bar: Any,
) -> Iterator[_File]:
    """Yield the files that are new or have changed, and note the others."""
    able = decoders()
    named = list(tree.files.names_by_path.items())
    for start in range(0, len(named), _AT_ONCE):
        chunk = named[start : start + _AT_ONCE]
        with session.current():
            known = items_by_path(session, [path for path, _ in chunk])
        for path, name in chunk:
            items = [item for item in known.get(path, []) if not item.record.label]
            status = changes.file_status(path)
            former = unreadable.get(path)
            if compare_content:
                yield _File(name, path, status, bool(items))
            elif any((item.record.size, item.record.modified) == status for item in items):
                found.unchanged += 1
                found.readable += [path] * (former is not None)
                bar.update()
            elif former is not None and former[1:4] == (*(status or _NO_FILE), able):
                found.count(FileFailure(name, former.reason), former.kind, found.remembered)
                bar.update()
            else:
                yield _File(name, path, status, bool(items))


class _HashedFiles:
    """Files that were hashed and are not stored yet."""

    def __init__(
        self,
        session: IndexSession,
        files: InputFiles,
        found: _Found,
        moved: _Moved,
        unreadable: dict[str, Unreadable],
    ) -> None:
        self._session, self._files, self._found, self._moved = session, files, found, moved
        self._known_unreadable, self._decoders = unreadable, decoders()
        self._candidates: list[Candidate] = []
        self._hashes: list[bytes] = []
        self._unreadable: dict[str, Unreadable | None] = {}

    def hash(self, files: Iterator[_File], options: SyncOptions, bar: Any) -> None:
        """Hash files, and store them now and then; after Ctrl-C, what is hashed by then."""
        session, waiting = self._session, deque[_File]()
        # An approximate type may need more items than there are at first.
        in_batches = session.on_disk or index_types.parse(session.store.index_type).exact
        journal = None if in_batches else changes.unsaved_hashes(session)

        def names() -> Iterator[str]:
            for file in files:
                waiting.append(file)
                yield file.name

        results = iterate_records(
            names(), max_workers=options.max_workers, executor=options.executor, journal=journal
        )
        with journal or nullcontext(), closing(results):
            due = perf_counter() + _SECONDS_OF_A_BATCH
            try:
                for _, result, _ in results:
                    self._add(waiting.popleft(), result)
                    bar.update()
                    if in_batches and perf_counter() > due:
                        seconds = max(_SECONDS_OF_A_BATCH, _TIMES_OF_A_COMMIT * self._store())
                        due = perf_counter() + seconds
            except KeyboardInterrupt:
                if in_batches:
                    self._store()
                raise
        self._store()

    def _add(self, file: _File, result: HashRecord | ImageError) -> None:
        if isinstance(result, HashRecord):
            status = result.size, result.modified
            record = changes.file_record(file.name, file.path, status, result.detail, result.pillow)
            extra = {} if file.indexed else self._moved.get((result.hash, *status), {})
            self._candidates.append(Candidate(file.path, record, extra))
            self._hashes.append(result.hash)
            self._found.low_detail.add(file.name, result.hash_with_detail)
            if file.path in self._known_unreadable:
                self._unreadable[file.path] = None
            return
        kind = "" if file.indexed else self._files.kind(file.name, result)
        status = file.status or _NO_FILE
        now = Unreadable(file.path, *status, self._decoders, kind, result.reason)
        known = now == self._known_unreadable.get(file.path)
        failures = self._found.remembered if known else self._found.failures
        self._found.count(FileFailure(file.name, result.reason), kind, failures)
        if file.status is None or not result.of_system:
            self._unreadable[file.path] = now

    def _store(self) -> float:
        """Store what was hashed, and return how many seconds that took."""
        begun = perf_counter()
        if not self._candidates and not self._unreadable:
            return 0.0
        hashes = np.frombuffer(b"".join(self._hashes), np.uint8).reshape(-1, HASH_BYTES)
        with self._session.changing():
            stored = changes.append(self._session, self._candidates, hashes)
            self._session.remember(self._unreadable)
        if not self._session.in_memory:
            self._session.commit(postpone=True)
        updated = set(stored.updated)
        for item in stored.new:
            (self._found.updated if item.id in updated else self._found.added).append(item.name)
        self._found.unchanged += len(stored.skipped)
        self._candidates, self._hashes, self._unreadable = [], [], {}
        return perf_counter() - begun
