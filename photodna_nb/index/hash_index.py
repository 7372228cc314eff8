"""A local index of hashes with its metadata: create, open, add, remove, search, save."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, IndexFileError
from photodna_nb.hashing.orientations import ORIENTATIONS
from photodna_nb.index import arguments, faiss_file, metadata, writer_lock
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.checksum import with_footer
from photodna_nb.index.faiss_file import IndexType
from photodna_nb.index.metadata import InUseError, Item, MetadataStore, StoreState
from photodna_nb.index.records import Added, Match
from photodna_nb.index.search_rows import MismatchError, SearchRows, compared
from photodna_nb.pairs import metrics
from photodna_nb.pairs.metrics import Limit
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index.approximate import Recall
    from photodna_nb.tables.columns import FileFailure
    from photodna_nb.tables.table import HashTable

# Items in a database that the index file may lack: reading them takes a part of what
# reading the file takes, and writing it anew for each one of them would take for ever.
_MAX_PENDING, _PENDING_SHARE = 1000, 1 / 32
# How often a search begins anew because others have changed the index meanwhile.
_ATTEMPTS = 100
# What has been seen of files that could not be read: nothing.
_UNREAD = StoreState("", 0, 0)


class HashIndex:
    """An index of hashes, and its metadata, in two files.

    Make one with `create`, `open` or `rebuild`. Changes begin with the first `add` or
    `remove`, which keeps other writers out, and are nothing before `save`. What others
    have saved is seen by the next search or look-up. Use it in a ``with`` statement, or
    call `close`, where changes may be left unsaved.

    Attributes
    ----------
    index_path, meta_path : str
        The FAISS file, and the metadata: JSON or, if the name ends with ``.sqlite`` or
        ``.db``, an SQLite database.
    index_type : {"flat", "uint8", "ivf"}
        Of the index file: float32 as ``oaphotodna.py`` writes it, bytes in a quarter of
        the space, or bytes in lists of which a query looks into some. The first two are exact.
    """

    def __init__(self, index_path: PathLike, meta_path: PathLike, store: MetadataStore) -> None:
        self.index_path = os.path.abspath(arguments.text("index_path", index_path))
        self.meta_path = os.path.abspath(arguments.text("meta_path", meta_path))
        self._store = store
        self._lock = writer_lock.WriterLock(self.meta_path)
        self._one_thread = threading.RLock()
        self._rows = SearchRows()
        self._state = store.state()
        self._on_disk = False
        self._may_replace = True
        self._changing = False
        self._closed = False
        self._write_index = False

    @classmethod
    def create(
        cls,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: IndexType = "flat",
        overwrite: bool = False,
    ) -> HashIndex:
        """Return a new, empty index; nothing is written before `save`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two files to be.
        index_type : {"flat", "uint8", "ivf"}
            See the class. ``"ivf"`` is approximate, and pays from a million items on.
        overwrite : bool
            Whether `save` may replace files that are there: of an index, never others.

        Raises
        ------
        IndexFileError
            One of the files exists, and `overwrite` is False or it is of another
            index_type; or its folder does not exist or cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such index_type.
        """
        index_type = arguments.checked_index_type(index_type)
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_index_replaceable(index_name)
        arguments.check_meta_replaceable(meta_name)
        index = cls(
            index_path, meta_path, metadata.new_store(os.path.abspath(meta_name), index_type)
        )
        index._may_replace = overwrite
        index._check_new(index_path, meta_path)
        return index

    @classmethod
    def open(cls, index_path: PathLike, meta_path: PathLike) -> HashIndex:
        """Return the index in the two files, once they are seen to belong together.

        An index that lacks the last changes of its metadata, as a program leaves it that
        is killed, is completed in memory.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            Files of this program or of ``oaphotodna.py``.

        Raises
        ------
        IndexFileError
            A file is missing, damaged or of another kind, or the two do not belong together.
        """
        _, meta_name = arguments.two_files(index_path, meta_path)
        # The truth first: what is wrong with it matters more.
        index = cls(index_path, meta_path, metadata.open_store(os.path.abspath(meta_name)))
        index._on_disk = True
        try:
            index._load()
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def rebuild(
        cls, index_path: PathLike, meta_path: PathLike, *, index_type: IndexType | None = None
    ) -> HashIndex:
        """Write the index file anew from the metadata, which holds every hash, and return it.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The index to write, missing or damaged or not, and the metadata to read.
        index_type : {"flat", "uint8", "ivf"}, optional
            Of the index from now on; the index_type that it had if left out.

        Raises
        ------
        IndexFileError
            The metadata cannot be used, the index is a file of another kind, or it
            cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such index_type.
        """
        index_type = None if index_type is None else arguments.checked_index_type(index_type)
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_index_replaceable(index_name)
        index = cls(index_path, meta_path, metadata.open_store(os.path.abspath(meta_name)))
        try:
            index._lock.acquire()
            files.remove_leftovers(index_name)
            index._store.refresh()
            index._store.begin()
            index._store.new_generation()
            index._state, index._rows = index._store.state(), SearchRows.of_store(index._store)
            index._changing = index._on_disk = index._write_index = True
            index._store.index_type = index_type or index._store.index_type
            index.save()
        except BaseException:
            index.close()
            raise
        return index

    def __repr__(self) -> str:
        return f"<HashIndex of {len(self)} items in {printable(self.index_path)}>"

    def __enter__(self) -> HashIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def recall(self) -> Recall | None:
        """Of the approximate kind: what share of the exact answers it finds."""
        return self._rows.recall

    @property
    def index_type(self) -> IndexType:
        """Of the index file."""
        return self._store.index_type

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._rows)

    def __contains__(self, item: int | PathLike) -> bool:
        """Return whether there is an item of that id or, by its real, absolute path, an image."""
        return self.get(item) is not None

    def get(self, item: int | PathLike) -> Item | None:
        """Return the item of an id or path, or None.

        Parameters
        ----------
        item : int, str or os.PathLike
            An id, or the path of an image, of which the real, absolute one counts.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `item` is neither.
        """
        with self._current():
            return self._found(item)

    def items(self) -> Iterator[Item]:
        """Yield all items by id."""
        with self._current():
            pass
        yield from self._store.items()

    def add(
        self,
        images: Sequence[PathLike] | HashTable,
        hashes: NDArray[np.uint8] | None = None,
        *,
        extra: Sequence[Mapping[str, Any]] | None = None,
        errors: Literal["raise", "record"] = "raise",
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> Added:
        """Append images, or their hashes; a path that is indexed already is skipped.

        Other programs cannot change the index from now on until `save` or `close`.

        Parameters
        ----------
        images : sequence of str or os.PathLike, n, or HashTable
            Paths, stored as real, absolute ones. Two files with the same hash are two
            items. Of a table also the hashes and the details.
        hashes : ndarray of uint8, (n, 144), optional
            Their hashes; if left out, the files are hashed.
        extra : sequence of dict, n, optional
            Stored with the items; JSON values. Where files are hashed, and for tables,
            ``detail`` is put in it, and for files Pillow's version, as ``pillow``.
        errors, max_workers, executor, progress
            As `hash_files` takes them, where files are hashed.

        Returns
        -------
        Added
            ``ids`` of the new items, in order, the ``skipped`` paths, and ``failures``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `hashes` has another dtype or shape, or the lengths differ.
        ImageError
            A file cannot be hashed, unless `errors` is "record".
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.
        """
        from photodna_nb.tables.table import HashTable

        details: Sequence[Mapping[str, Any]] | None = None
        failures: list[FileFailure] = []
        if isinstance(images, HashTable):
            if hashes is not None:
                raise ArgumentError("hashes: a table has its own; leave them out")
            details = _details(images)
            hashes, failures = images.hashes, list(images.failures)
            paths: Sequence[PathLike] = images.paths
        else:
            paths = images
        real = arguments.real_paths("images", paths)
        extras: list[dict[str, Any]] = [{} for _ in real]
        if extra is not None:
            extras = arguments.json_objects("extra", extra)
        if hashes is not None:
            hashes = checks.array("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        number = len(real) if hashes is None else len(hashes)
        if not len(real) == number == len(extras):
            raise ArgumentError(
                f"images, hashes, extra: got {len(real)}, {number} and {len(extras)} entries, "
                "needs one of each for every image"
            )
        known: list[str] = []
        if hashes is None:
            import PIL

            # Before the lock is taken: hashing is what lasts.
            with self._current():
                there = self._store.find(real)
            known = [path for path in real if path in there]
            kept = [i for i, path in enumerate(real) if path not in there]
            table = _hashed([real[i] for i in kept], errors, max_workers, executor, progress)
            failures = table.failures
            failed = {path for path, _ in failures}
            kept = [i for i in kept if real[i] not in failed]
            real, extras = [real[i] for i in kept], [extras[i] for i in kept]
            hashes, details = table.hashes, _details(table, pillow=PIL.__version__)
        if details is not None:
            extras = [{**one, **other} for one, other in zip(details, extras, strict=True)]
        ids, skipped = self._append(real, hashes, extras)
        return Added(ids, known + skipped, failures)

    def remove(self, items: Sequence[int | PathLike]) -> list[Item]:
        """Remove items, and return them; nothing is written before `save`.

        Parameters
        ----------
        items : sequence of int, str or os.PathLike
            Ids, or paths as for `get`. Their ids are never used again.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            One of them is not in the index; then none is removed.
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.
        """
        wanted = list(arguments.entries("items", items))
        with self._change():
            found: dict[int, Item] = {}
            for i, one in wanted:
                item = self._found(one, f"items[{i}]")
                if item is None:
                    raise ArgumentError(f"items[{i}]: {printable(str(one))} is not in the index")
                found[item.id] = item
            if found:
                self._store.delete(list(found))
                self._rows.remove(list(found))
                self._write_index = True
        return list(found.values())

    def search(
        self,
        hashes: NDArray[np.uint8],
        k: int = 10,
        min_similarity: Limit | None = None,
        max_distance: Limit | None = None,
        *,
        orientations: bool = False,
        min_detail: float | None = None,
        nprobe: int | None = None,
    ) -> list[list[Match]]:
        """Return, for each query, the `k` closest items that keep the limits.

        Parameters
        ----------
        hashes : ndarray of uint8, (n, 144) or (144,)
            The queries; a single hash is one query.
        k : int
            How many matches at the most, at least 1.
        min_similarity : float or exact number, optional
            0 to 1, inclusive and exact: see `metrics.limit_squared`.
        max_distance : float or exact number, optional
            L2, at least 0, inclusive and exact.
        orientations : bool
            Whether each query is also mirrored and turned, in all eight ways; an item is
            one match, in the orientation that is closest.
        min_detail : float, optional
            Items known to have less detail, in grey levels, are left out: flat images
            lie close to each other whatever they show. 100 is a fair choice.
        nprobe : int, optional
            For the index_type ``"ivf"``: how many lists are looked into, for another recall.

        Returns
        -------
        list of n lists of Match
            Ordered by distance, then id. Exact, but for the index_type ``"ivf"``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            An argument has another type or shape, or is out of range.
        IndexFileError
            A file is missing, damaged or no longer belongs to the other one.
        """
        if isinstance(hashes, np.ndarray) and hashes.ndim == 1:
            hashes = hashes[None]
        queries = checks.array("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        count = arguments.integer("k", k)
        lists = None if nprobe is None else arguments.integer("nprobe", nprobe)
        limit = metrics.limit_squared(min_similarity, max_distance)
        if min_detail is not None and not (
            isinstance(min_detail, Real) and not isinstance(min_detail, bool) and min_detail >= 0
        ):
            raise ArgumentError(f"min_detail: got {min_detail!r}, needs a number of at least 0")
        # The rows are in memory: while they are searched, nobody is kept from writing.
        with self._one_thread, self._remedied():
            for _ in range(_ATTEMPTS):
                with self._current():
                    pass
                try:
                    return self._matches(queries, count, limit, orientations, min_detail, lists)
                except _StaleRowsError:
                    pass
        raise self._restless()

    def save(self) -> None:
        """Write what was changed, and let others write.

        The metadata, which is the truth, comes first. When this returns, the disk has it.

        Raises
        ------
        IndexFileError
            A file cannot be written. All files are as they were; what was changed since
            the last `save` is still here, and `save` can be called again, unless the error
            says that it is gone, or that the metadata has it.
        """
        if not self._on_disk:
            self._check_new(self.index_path, self.meta_path)
        with self._change(keep=True):
            # JSON goes with an index that has all items: other programs read both.
            pending_rows = len(self) - self._rows.rows_on_disk
            allowed = (
                max(_MAX_PENDING, _PENDING_SHARE * self._rows.rows_on_disk)
                if self._state.store_id
                else 0
            )
            if self._write_index or not self._on_disk or pending_rows > allowed:
                with self._staged_index() as staged:
                    self._commit()
                    try:
                        staged.replace()
                        self._rows.rows_on_disk = len(self)
                    except IndexFileError as error:
                        reason = f"{error.reason}. The metadata has what was saved"
                        raise IndexFileError(error.path, reason) from error
                    finally:
                        self._saved()
            else:
                if self._store.state() != self._state:
                    self._commit()
                else:
                    self._store.rollback()
                self._saved()

    def verify(self) -> None:
        """Read all of both files and raise an error if anything in them is wrong.

        Raises
        ------
        IndexFileError
            A file is damaged, or a hash in the index is not that of the metadata.
        """
        with self._current(), self._remedied():
            if not self._on_disk:
                return
            self._store.verify()
            found = faiss_file.load(self.index_path)
            found.footer.check()
            compared(self.index_path, found, self._store)

    def copy_to(
        self,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: IndexType | None = None,
        overwrite: bool = False,
    ) -> HashIndex:
        """Write all items, with their ids, into another pair of files, and return that index.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The new files; the suffix of the second one decides between JSON and SQLite.
        index_type : {"flat", "uint8", "ivf"}, optional
            Of the new index; that of this one if left out.
        overwrite : bool
            As for `create`.

        Raises
        ------
        IndexFileError, ArgumentError
            As `create` and `save`.
        """
        other = HashIndex.create(
            index_path, meta_path, index_type=index_type or self.index_type, overwrite=overwrite
        )
        for name in ("index_path", "meta_path"):
            if os.path.realpath(getattr(other, name)) == os.path.realpath(getattr(self, name)):
                raise ArgumentError(f"{name}: got that of this index, needs another file")
        try:
            with self._current(), other._change():
                other._store.other = self._store.other
                state = self._store.state()
                other._store.insert(self._store.items(), state.next_id)
                other._rows = SearchRows.of_store(self._store)
            other.save()
        except BaseException:
            other.close()
            raise
        return other

    def to_faiss(self) -> Any:
        """Return all hashes as an index of FAISS in memory, for what FAISS alone can do.

        Returns
        -------
        faiss.IndexIDMap2 or faiss.IndexIVFScalarQuantizer
            By `index_type`. Mind that its distances are float32, and its range search is strict
            and takes squared radii.
        """
        import faiss

        with self._current(), self._remedied():
            content = b"".join(self._rows.content(self.index_type))
        return faiss.deserialize_index(np.frombuffer(content, np.uint8))

    def close(self) -> None:
        """Forget what was not saved, and let others write."""
        with self._one_thread:
            self._close()

    def _close(self) -> None:
        self._closed = True
        if self._changing:
            self._changing = False
            self._state = _UNREAD
            if not self._on_disk:
                self._rows = SearchRows()
            with suppress(IndexFileError):
                self._store.rollback()
        self._store.close()
        self._lock.release()

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or sent elsewhere, with files and a lock that are open."""
        raise ArgumentTypeError("a HashIndex cannot be copied; open it again where it is needed")

    def __del__(self) -> None:
        with suppress(Exception):  # when the interpreter ends, parts of it may be gone
            self.close()

    # Reading: the files as they are at this moment.

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Within this, the store is read as of one moment, and the rows are those of it."""
        with self._one_thread:
            yield from self._kept_current()

    def _kept_current(self) -> Iterator[None]:
        self._check_open()
        if self._changing or not self._on_disk:
            yield
            return
        for _ in range(_ATTEMPTS):
            changed = self._store.refresh()
            with self._store.reading():
                state = self._store.state()
                appended = (
                    state.store_id is not None
                    and state._replace(next_id=0) == self._state._replace(next_id=0)
                    and state.next_id >= self._state.next_id
                )
                if state == self._state and not (changed and state.store_id is None):
                    yield
                    return
                if appended:
                    ids, rows = self._store.ids_and_hashes(self._state.next_id)
                    self._rows.append(rows, ids)
                    self._state = state
                    yield
                    return
            self._load()
        raise self._restless()

    def _restless(self) -> IndexFileError:
        return IndexFileError(self.meta_path, "changes all the time; try again later")

    def _load(self) -> None:
        """Read both files; once more, with writers kept out, if they seem not to fit.

        The index comes first: metadata is written first, so it is never the older one.
        """
        self._state = _UNREAD
        with self._remedied():
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
        found = faiss_file.load(self.index_path)
        self._store.refresh()
        with self._store.reading():
            self._rows = SearchRows.of_file(self.index_path, found, self._store)
            self._state = self._store.state()

    @contextmanager
    def _remedied(self) -> Iterator[None]:
        """Have errors of the index file say how it is made anew."""
        try:
            yield
        except IndexFileError as error:
            raise arguments.with_remedy(error, self.index_path, self.meta_path) from error

    def _found(self, item: int | PathLike, name: str = "item") -> Item | None:
        if isinstance(item, int | np.integer) and not isinstance(item, bool):
            return self._store.get([int(item)]).get(int(item)) if 0 <= item < 2**63 else None
        if not isinstance(item, str | bytes | os.PathLike):
            raise ArgumentTypeError(f"{name}: got {describe(item)}, needs an id or a path")
        path = os.path.realpath(arguments.text(name, item))
        identifier = self._store.find([path]).get(path)
        if identifier is None:
            return None
        found = self._store.get([identifier]).get(identifier)
        if found is None:
            what = f"is damaged: it has a path of id {identifier}, and no such item"
            raise metadata.damaged(self.meta_path, what)
        return found

    # Searching.

    def _matches(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        orientations: bool,
        min_detail: float | None,
        nprobe: int | None,
    ) -> list[list[Match]]:
        asked, wanted = k, np.arange(len(queries))
        answers: list[list[Match]] = [[] for _ in queries]
        while len(wanted):
            found = self._rows.closest(
                queries[wanted], asked, limit, orientations=orientations, nprobe=nprobe
            )
            items = self._items(sorted({i for one in found for i in one.ids.tolist()}))
            unfinished = []
            for query, one in zip(wanted.tolist(), found, strict=True):
                matches = [
                    _match(items[identifier], distance, ways)
                    for distance, identifier, ways in zip(
                        one.distances.tolist(), one.ids.tolist(), one.ways.tolist(), strict=True
                    )
                ]
                if min_detail is not None:
                    matches = [
                        match
                        for match in matches
                        if match.detail is None or match.detail >= min_detail
                    ]
                answers[query] = matches[:k]
                if len(matches) < k and len(one.ids) == asked:
                    unfinished.append(query)  # some of low detail took the places of others
            wanted, asked = np.array(unfinished, np.intp), 2 * asked
        return answers

    def _items(self, ids: list[int]) -> dict[int, Item]:
        with self._store.reading():
            if self._on_disk and not self._changing and self._store.state() != self._state:
                raise _StaleRowsError
            items = self._store.get(ids)
        if len(items) < len(ids):
            missing = next(i for i in ids if i not in items)
            reason = f"holds id {missing}, which its metadata lacks"
            raise IndexFileError(self.index_path, reason)
        return items

    # Writing: one program at a time, and the metadata first.

    @contextmanager
    def _change(self, *, keep: bool = False) -> Iterator[None]:
        """Keep other writers out, from now on until `save` or `close`.

        keep: whether to stay so after an error; otherwise a change that was not begun
        before is given up.
        """
        with self._one_thread:
            yield from self._kept_out(keep)

    def _kept_out(self, keep: bool) -> Iterator[None]:
        self._check_open()
        begun = self._changing
        if not begun:
            self._lock.acquire()
            try:
                if self._on_disk:
                    with self._current():
                        pass
                else:
                    self._check_new(self.index_path, self.meta_path)
                files.remove_leftovers(self.index_path)
                files.remove_leftovers(self.meta_path)
                self._store.begin()
            except BaseException:
                self._lock.release()
                raise
            self._changing = True
        try:
            yield
        except BaseException:
            if not begun and not keep:
                self._give_up()
            raise

    def _give_up(self) -> None:
        """Forget all changes since the last `save`."""
        self._changing = self._write_index = False
        try:
            self._store.rollback()
            if self._on_disk:
                self._load()
            else:
                self._rows = SearchRows()
        finally:
            self._lock.release()

    def _append(
        self, paths: list[str], hashes: NDArray[np.uint8], extras: list[dict[str, Any]]
    ) -> tuple[list[int], list[str]]:
        begun = self._changing
        with self._change():
            there = set(self._store.find(paths))
            next_id = self._store.state().next_id
            new, ids, items, skipped = [], [], [], []
            for row, path in enumerate(paths):
                if path in there:
                    skipped.append(path)
                    continue
                there.add(path)
                new.append(row)
                ids.append(next_id)
                items.append(Item(next_id, path, hashes[row], extras[row]))
                next_id += 1
            rows = hashes[new]
            try:
                self._store.insert(items, next_id)
            except BaseException:
                self._give_up()
                raise
            self._rows.append(rows, np.array(ids, np.int64))
            if not ids and not begun:  # nobody need wait for nothing
                self._store.rollback()
                self._changing = False
                self._lock.release()
        return ids, skipped

    def _staged_index(self) -> files.StagedFile:
        """Write the index file beside its place.

        It and the metadata get a name that no other pair has, as one that was copied.
        """
        self._store.new_generation()
        content = self._rows.content(self.index_type)
        facts = {"format": 1, **self._store.state()._asdict(), **self._rows.facts()}
        chunks = with_footer(content, facts)
        return files.StagedFile(self.index_path, chunks, IndexFileError)

    def _commit(self) -> None:
        try:
            self._store.commit()
        except InUseError:
            raise  # nothing is lost: it can be tried again
        except BaseException as error:
            self._give_up()
            if isinstance(error, IndexFileError):
                reason = f"{error.reason}. What was not saved is gone: add it again"
                raise IndexFileError(error.path, reason) from error
            raise

    def _saved(self) -> None:
        """Take what the store has for what is on the disk, and let others write."""
        self._state = self._store.state()
        self._on_disk = self._may_replace = True
        self._write_index = self._changing = False
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise ArgumentError(f"{printable(repr(self))} is closed; open it again")

    def _check_new(self, *paths: PathLike) -> None:
        for path in paths:
            if not self._may_replace and os.path.lexists(path):
                use = "add to it with --faiss-add (HashIndex.open)"
                if not os.path.lexists(self.index_path):
                    error = IndexFileError(self.index_path, "is missing")
                    error = arguments.with_remedy(error, self.index_path, self.meta_path)
                    use = f"its index {error.reason}"
                reason = f"exists already; {use}, or replace it with --overwrite (overwrite=True)"
                raise IndexFileError(path, reason)


class _StaleRowsError(Exception):
    """Others have changed the index since its rows were read."""


def _match(item: Item, distance_squared: int, way: int) -> Match:
    orientation = ORIENTATIONS[way]
    return Match(item.id, item.path, distance_squared, item.extra, orientation)


def _hashed(
    paths: list[str],
    errors: Literal["raise", "record"],
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> HashTable:
    from photodna_nb.hashing.files import hash_files

    return hash_files(
        paths, errors=errors, max_workers=max_workers, executor=executor, progress=progress
    )


def _details(table: HashTable, **more: str) -> list[Mapping[str, Any]]:
    """Return what is stored of each image of a table; some formats do not hold the detail."""
    return [
        {**more} if math.isnan(detail) else {"detail": detail, **more}
        for detail in table.detail.tolist()
    ]
