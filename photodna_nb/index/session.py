"""An open index: its rows in step with its files, one writer at a time, changes kept or discarded.

The metadata is written first, and read last: so an index file is never newer than its metadata,
and one that is older is completed in memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from photodna_nb import files
from photodna_nb.errors import ArgumentError, ErrorContext, IndexFileError
from photodna_nb.index import arguments, faiss_file, metadata, search_rows, stores
from photodna_nb.index.checksum import with_footer
from photodna_nb.index.metadata import (
    FORMER_TYPE,
    ChangedItemError,
    InUseError,
    Item,
    MetadataStore,
    StoreState,
    Unreadable,
)
from photodna_nb.index.search_rows import MismatchError, SearchRows
from photodna_nb.index.writer_lock import WriterLock
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index.unsaved_hashes import UnsavedHashes

# Items in a database that the index file may lack: reading them takes a part of what reading
# the file takes, and writing it anew for each one of them would take for ever.
_MAX_PENDING, _MAX_PENDING_SHARE = 1000, 1 / 32
# How often a search begins anew because others have changed the index meanwhile.
ATTEMPTS = 100
# The state of rows that could not be read: of no store.
_UNREAD = StoreState("", 0, 0)


class Phase(Enum):
    """What a session is doing."""

    READING = 0
    CHANGING = 1
    CLOSED = 2


class StaleRowsError(Exception):
    """Others have changed the index since its rows were read."""


class IndexSession:
    """The store of an index, its rows, and the lock of its writer.

    Parameters
    ----------
    index_path, meta_path : str
        The two files; both empty for an index in memory.
    store : MetadataStore
        The metadata.
    overwrite : bool
        Whether `commit` may replace files that are there, before the index is on the disk.

    Attributes
    ----------
    rows : SearchRows
        The rows that are searched.
    mutex : threading.RLock
        Held by whoever uses the session.
    accepted : list of int
        Ids of the items that `begin_rebuild` accepted although their checksums did not hold.
    join : bool
        Whether changes of a new index are made in the files that another program has written
        meanwhile, if it has.
    unsaved : UnsavedHashes or None
        The journal of hashes that `commit` saves.
    """

    def __init__(
        self, index_path: str, meta_path: str, store: MetadataStore, *, overwrite: bool = False
    ) -> None:
        self.index_path: str = index_path
        self.meta_path: str = meta_path
        self.store: MetadataStore = store
        self.mutex: threading.RLock = threading.RLock()
        self._lock = WriterLock(meta_path)
        self._overwrite = overwrite
        self.join: bool = False
        self.rows: SearchRows = SearchRows()
        self.accepted: list[int] = []
        self.unsaved: UnsavedHashes | None = None
        self._loaded = store.state()
        self._phase = Phase.READING
        self._on_disk = False
        self._write_index = self._records_changed = False

    @property
    def in_memory(self) -> bool:
        """Whether there are no files."""
        return not self.meta_path

    @property
    def on_disk(self) -> bool:
        """Whether the index is in its files: a new one is not before its first commit."""
        return self._on_disk

    @property
    def begun(self) -> bool:
        """Whether a change has begun that is not committed."""
        return self._phase is Phase.CHANGING

    # Reading: the files as they are at this moment.

    def load(self) -> None:
        """Read both files, and once more under the lock if they do not fit each other.

        The index file is read first, and the metadata is written first. So the index file is
        never newer than the metadata.
        """
        self._on_disk, self._loaded = True, _UNREAD
        with self.with_remedy():
            if self.store.index_type == FORMER_TYPE:
                raise arguments.former_type(self.index_path, self.meta_path, len(self.store))
            try:
                self._read()
            except IndexFileError as error:
                if not isinstance(error, MismatchError) and os.path.exists(self.index_path):
                    raise
                with suppress(IndexFileError):  # the folder may be read-only
                    self._lock.acquire()
                try:
                    self._read()
                finally:
                    self._lock.release()

    def _read(self) -> None:
        file = faiss_file.load(self.index_path)
        self.store.refresh()
        with self.store.reading():
            self.rows = SearchRows.from_file(self.index_path, file, self.store)
            self._loaded = self.store.state()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Return a context in which the store and the rows are read at one state."""
        with self.mutex, self.with_remedy():
            yield from self._read_at_one_state()

    def _read_at_one_state(self) -> Iterator[None]:
        self._check_open()
        if self._phase is Phase.CHANGING or not self._on_disk:
            yield
            return
        for _ in range(ATTEMPTS):
            changed = self.store.refresh()
            with self.store.reading():
                state = self.store.state()
                appended = (
                    state.store_id is not None
                    and state._replace(next_id=0) == self._loaded._replace(next_id=0)
                    and state.next_id >= self._loaded.next_id
                )
                if state == self._loaded and not (changed and state.store_id is None):
                    yield
                    return
                if appended:
                    ids, rows = self.store.added(self._loaded.next_id)
                    self.rows.append(rows, ids)
                    self._loaded = state
                    yield
                    return
            self.load()
        raise self.unstable()

    def unstable(self) -> IndexFileError:
        """Return the error for an index that other programs change again and again."""
        return IndexFileError(self.meta_path, "changes all the time; try again later")

    def check_loaded(self) -> None:
        """Raise StaleRowsError if the store, within `reading`, is not that of the rows."""
        reading = self._on_disk and self._phase is not Phase.CHANGING
        if reading and self.store.state() != self._loaded:
            raise StaleRowsError

    def with_remedy(self) -> ErrorContext:
        """Return a context that adds to errors the command that rebuilds the index.

        An item whose checksum does not hold is compared with the index file.
        """

        def translated(error: BaseException) -> IndexFileError | None:
            if not isinstance(error, IndexFileError):
                return None
            comparison = None
            if isinstance(error, ChangedItemError):
                comparison = search_rows.comparison(self.index_path, error.id, error.hash)
            other = arguments.with_remedy(error, self.index_path, self.meta_path, comparison)
            return None if other is error else other

        return ErrorContext(translated)

    # Writing: one program at a time, and the metadata first.

    @contextmanager
    def changing(self, *, keep: bool = False) -> Iterator[bool]:
        """Begin a change, which keeps other writers out until `commit` or `close`.

        Yields whether a change had begun before. After an error, a change that began within this
        context is discarded, unless `keep` is True.
        """
        with self.mutex:
            begun = self._phase is Phase.CHANGING
            self._check_open()
            if not begun and not self.in_memory:
                self._begin()
            try:
                yield begun
            except BaseException:
                if not begun and not keep and not self.in_memory:
                    self.give_up()
                raise

    def _begin(self) -> None:
        self._lock.acquire()
        try:
            if self.join and not self._on_disk and os.path.lexists(self.meta_path):
                self.store = stores.open_store(self.meta_path)
                self.load()
            if self._on_disk:
                with self.current():
                    pass
            else:
                self.check_new(self.index_path, self.meta_path)
            self._prepare_files()
            self.store.begin()
        except BaseException:
            self._lock.release()
            raise
        self._phase = Phase.CHANGING

    def _prepare_files(self) -> None:
        """Raise an error if the index cannot be replaced; delete what killed programs left."""
        files.target_of(self.index_path, IndexFileError)
        files.remove_leftovers(self.index_path)
        files.remove_leftovers(self.meta_path)

    def begin_rebuild(self, index_type: str | None) -> None:
        """Begin a change that writes the index file anew from the metadata."""
        self._lock.acquire()
        self._prepare_files()
        self.store.refresh()
        if index_type is None and self.store.index_type == FORMER_TYPE:
            raise arguments.former_type(self.index_path, self.meta_path, len(self.store))
        self.store.begin()
        self.store.new_generation()
        self.accepted = self.store.accept_changes()
        self.store.index_type = index_type or self.store.index_type
        self.rows, self._loaded = SearchRows.from_store(self.store), self.store.state()
        self._phase, self._on_disk, self._write_index = Phase.CHANGING, True, True

    def refresh(self, items: list[Item]) -> None:
        """Store other records of items with the same hashes."""
        if items:
            self.store.refresh_records(items)
            self._records_changed = True

    def remember(self, unreadable: Mapping[str, Unreadable | None]) -> None:
        """Store files that cannot be hashed, or None for those to forget, by their paths."""
        if unreadable:
            self.store.remember(unreadable)
            self._records_changed = True

    def insert(self, items: list[Item]) -> None:
        """Append items with the next ids; all or none."""
        if not items:
            return
        state = self.store.state()
        if not metadata.is_id(state.next_id + len(items)):
            raise IndexFileError(self.meta_path, "has no more ids; add the items to a new index")
        try:
            self.store.insert(items, state.next_id + len(items))
        except BaseException:
            if not self.in_memory:
                self.give_up()
            raise
        ids = np.array([item.id for item in items], np.int64)
        self.rows.append(np.stack([item.hash for item in items]), ids)

    def copy_from(self, store: MetadataStore) -> None:
        """Insert all items of another store, under their ids."""
        with self.changing():
            self.store.other = store.other
            self.store.remember(store.unreadable())
            self.store.insert(store.items(), store.state().next_id)
            self.rows = SearchRows.from_store(store)

    def delete(self, ids: list[int]) -> None:
        """Remove the items of those ids; the next `commit` writes the index file."""
        if ids:
            self.store.delete(ids)
            self.rows.remove(np.array(ids, np.int64))
            self._write_index = True

    def give_up(self) -> None:
        """Discard all changes since the last `commit`."""
        self._phase, self._write_index, self._records_changed = Phase.READING, False, False
        try:
            self.store.rollback()
            if self._on_disk:
                self.load()
            else:
                self.rows = SearchRows()
        finally:
            self._lock.release()

    def end_unchanged(self) -> None:
        """End a change that changed nothing, and release the lock."""
        if not self.in_memory:
            self.store.rollback()
            self._phase = Phase.READING
            self._forget_unsaved()
            self._lock.release()

    def commit(self, *, postpone: bool = False) -> None:
        """Write what was changed, and let others write; see `HashIndex.save`.

        postpone: whether the index file is left to a later commit if it has half of the rows. One
        with JSON is not, as other programs read both.
        """
        with self.changing(keep=True):
            if not self._on_disk:
                self.check_new(self.index_path, self.meta_path)
            behind = self._write_index or self._is_file_behind()
            few = len(self.rows) <= 2 * (self.rows.rows_on_disk or 0) + _MAX_PENDING
            postpone = postpone and few and self.store.state().store_id is not None
            if not self._on_disk or (behind and not postpone):
                with self._staged_index() as staged:
                    self._commit_store()
                    self.rows.rows_on_disk = None
                    try:
                        staged.replace()
                        self.rows.rows_on_disk = len(self.rows)
                    except IndexFileError as error:
                        reason = f"{error.reason}. The metadata has what was saved"
                        raise IndexFileError(error.path, reason) from error
                    finally:
                        self._end_committed()
            else:
                if self._records_changed or self.store.state() != self._loaded:
                    self._commit_store()
                else:
                    self.store.rollback()
                self._end_committed()
                self._write_index = behind

    def _is_file_behind(self) -> bool:
        """Return whether the index file is of an earlier state, or lacks too many rows."""
        # JSON goes with an index that has all items: other programs read both.
        on_disk = self.rows.rows_on_disk
        if on_disk is None:
            return True
        most = max(_MAX_PENDING, _MAX_PENDING_SHARE * on_disk) if self._loaded.store_id else 0
        return len(self.rows) - on_disk > (most if on_disk else 0)

    def _staged_index(self) -> files.StagedFile:
        """Write the index file beside its place, of a generation that no copied pair has."""
        self.store.new_generation()
        index_type = self.store.index_type
        chunks = with_footer(
            self.rows.file_content(index_type, self.store),
            lambda: self.rows.header(index_type, self.store),
        )
        return files.StagedFile(self.index_path, chunks, IndexFileError)

    def _commit_store(self) -> None:
        try:
            self.store.commit()
        except InUseError:
            raise  # nothing is lost: it can be tried again
        except BaseException as error:
            self.give_up()
            if isinstance(error, IndexFileError):
                reason = f"{error.reason}. What was not saved is gone: add it again"
                raise IndexFileError(error.path, reason) from error
            raise

    def _end_committed(self) -> None:
        """Note that the store is on the disk, and release the lock."""
        self._loaded, self._on_disk = self.store.state(), True
        self._phase, self._write_index, self._records_changed = Phase.READING, False, False
        self._forget_unsaved()
        self._lock.release()

    def _forget_unsaved(self) -> None:
        """Delete the journal of hashes that are saved."""
        if self.unsaved is not None:
            self.unsaved.forget_used(self.store.find)
            self.unsaved = None

    def content(self) -> bytes:
        """Return the content of the index file with all rows, saved or not."""
        with self.current(), self.with_remedy():
            return b"".join(self.rows.content(self.store.index_type, self.store))

    def close(self) -> None:
        """Discard changes that were not committed, and release the lock."""
        with self.mutex:
            phase, self._phase = self._phase, Phase.CLOSED
            if phase is Phase.CHANGING:
                self._loaded = _UNREAD
                if not self._on_disk:
                    self.rows = SearchRows()
                with suppress(IndexFileError):
                    self.store.rollback()
            self.store.close()
            self._lock.release()

    def _check_open(self) -> None:
        if self._phase is Phase.CLOSED:
            if self.in_memory:
                raise ArgumentError("index: is closed, and was in memory; make a new one")
            raise ArgumentError(f"index {printable(self.index_path)}: is closed; open it again")

    def check_new(self, *paths: str) -> None:
        """Raise an error if one of the files exists, and must not be replaced."""
        for path in paths:
            if not self._overwrite and not self._on_disk and os.path.lexists(path):
                raise arguments.exists_already(path, self.index_path, self.meta_path)
