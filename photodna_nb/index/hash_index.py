"""A local index of hashes with its metadata: create, open, add, remove, search, save."""

from __future__ import annotations

import json
import math
import operator
import os
import shlex
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import arrays, distances, files
from photodna_nb.arrays import HASH_BYTES, described
from photodna_nb.distances import Limit
from photodna_nb.errors import ArgumentError, ArgumentTypeError, IndexFileError
from photodna_nb.index import faiss_file, metadata, storage
from photodna_nb.index.faiss_file import KINDS, IndexFile, Kind, Lists, Part
from photodna_nb.index.metadata import LOW_DETAIL, Item, Orientation, State, Store
from photodna_nb.index.seal import sealed
from photodna_nb.names import displayed

if TYPE_CHECKING:
    from photodna_nb.index.approximate import Recall
    from photodna_nb.index.search import Found
    from photodna_nb.table import Failure, HashTable

PathLike = str | bytes | os.PathLike[str]

# Items in a database that the index file may lack: reading them takes a part of what
# reading the file takes, and writing it anew for each one of them would take for ever.
_LAG, _LAG_SHARE = 1000, 1 / 32
# Rows that were added one call at a time are put together when there are so many calls.
_PARTS = 64
# How often a search begins anew because others have changed the index meanwhile.
_ATTEMPTS = 100
# What has been seen of files that could not be read: nothing.
_UNREAD = State("", 0, 0)
# An approximate index that has grown by so much gets new centroids.
_GROWTH = 4


@dataclass(frozen=True)
class Match:
    """An indexed image and how far it is from the query.

    Attributes
    ----------
    id : int
        Of the item in its index.
    path : str
        Real, absolute path of the image when it was indexed.
    distance_squared : int
        Squared L2 distance, exact.
    extra : dict
        What was stored with the item.
    orientation : str
        How the query looks most like it: "identity" or, if all eight were asked for, one
        of the transpositions in `PIL.Image.Transpose`, in lower case.
    """

    id: int
    path: str
    distance_squared: int
    extra: Mapping[str, Any] = field(hash=False)
    orientation: Orientation = "identity"

    @property
    def distance(self) -> float:
        """L2 distance, 0 to 3060."""
        return math.sqrt(self.distance_squared)

    @property
    def similarity(self) -> float:
        """1 - distance / 3060."""
        return distances.similarity_at(self.distance_squared)

    @property
    def detail(self) -> float | None:
        """Detail of the indexed image in grey levels, or None where it is not known."""
        return metadata.detail_of(self.extra)

    @property
    def low_detail(self) -> bool:
        """Whether its detail is known to be below 100 grey levels: the match says nothing."""
        return self.detail is not None and self.detail < LOW_DETAIL


class Added(NamedTuple):
    """What `HashIndex.add` did.

    ids : list of int
        Of the new items, in order.
    skipped : list of str
        Paths that were there already.
    failures : list of Failure
        Files that could not be hashed.
    """

    ids: list[int]
    skipped: list[str]
    failures: list[Failure]


class HashIndex:
    """An index of hashes, and its metadata, in two files.

    Make one with `create`, `open` or `rebuild`. Changes begin with the first `add` or
    `remove`, which keeps other writers out, and are nothing before `save`. What others
    have saved is seen by the next call. Use it in a ``with`` statement, or call `close`,
    where changes may be left unsaved.

    Attributes
    ----------
    index_path, meta_path : str
        The FAISS file, and the metadata: JSON or, if the name ends with ``.sqlite`` or
        ``.db``, an SQLite database.
    kind : {"flat", "uint8", "ivf"}
        Of the index file: float32 as ``oaphotodna.py`` writes it, bytes in a quarter of
        the space, or bytes in lists of which a query looks into some. The first two are exact.
    recall : Recall or None
        Of the approximate kind: what share of the exact answers it finds.
    """

    def __init__(self, index_path: PathLike, meta_path: PathLike, store: Store) -> None:
        self.index_path = os.path.abspath(_text("index_path", index_path))
        self.meta_path = os.path.abspath(_text("meta_path", meta_path))
        self.recall: Recall | None = None
        self._store = store
        self._lock = storage.WriterLock(self.meta_path)
        self._one_thread = threading.RLock()
        self._parts: list[Part] = []
        self._lists: Lists | None = None
        self._trained_on = 0
        self._state = store.state()
        self._filed = 0  # rows in the index file
        self._on_disk = False
        self._may_replace = True
        self._changing = False
        self._write_index = False

    @classmethod
    def create(
        cls,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        kind: Kind = "flat",
        overwrite: bool = False,
    ) -> HashIndex:
        """Return a new, empty index; nothing is written before `save`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two files to be.
        kind : {"flat", "uint8", "ivf"}
            See the class. ``"ivf"`` is approximate, and pays from a million items on.
        overwrite : bool
            Whether `save` may replace files that are there: of an index, never others.

        Raises
        ------
        IndexFileError
            One of the files exists, and `overwrite` is False or it is of another
            kind; or its folder does not exist or cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such kind.
        """
        kind = _checked_kind(kind)
        index_name, meta_name = _two_files(index_path, meta_path)
        _check_index_replaceable(index_name)
        _check_meta_replaceable(meta_name)
        index = cls(index_path, meta_path, metadata.new_store(os.path.abspath(meta_name), kind))
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
        _, meta_name = _two_files(index_path, meta_path)
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
        cls, index_path: PathLike, meta_path: PathLike, *, kind: Kind | None = None
    ) -> HashIndex:
        """Write the index file anew from the metadata, which holds every hash, and return it.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The index to write, missing or damaged or not, and the metadata to read.
        kind : {"flat", "uint8", "ivf"}, optional
            Of the index from now on; the kind that it had if left out.

        Raises
        ------
        IndexFileError
            The metadata cannot be used, the index is a file of another kind, or it
            cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such kind.
        """
        kind = None if kind is None else _checked_kind(kind)
        index_name, meta_name = _two_files(index_path, meta_path)
        _check_index_replaceable(index_name)
        index = cls(index_path, meta_path, metadata.open_store(os.path.abspath(meta_name)))
        try:
            index._lock.acquire()
            files.remove_leftovers(index_name)
            index._store.refresh()
            index._store.begin()
            index._store.renew()
            ids, rows = index._store.ids_and_hashes()
            index._state, index._parts = index._store.state(), [Part.of(rows, ids)]
            index._changing = index._on_disk = index._write_index = True
            index._store.kind = kind or index._store.kind
            index.save()
        except BaseException:
            index.close()
            raise
        return index

    def __repr__(self) -> str:
        return f"<HashIndex of {len(self)} items in {displayed(self.index_path)}>"

    def __enter__(self) -> HashIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def kind(self) -> Kind:
        """Of the index file."""
        return self._store.kind

    def __len__(self) -> int:
        """Return the number of items."""
        return sum(part.count for part in self._parts)

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
        from photodna_nb.table import HashTable

        details: Sequence[Mapping[str, Any]] | None = None
        if isinstance(images, HashTable):
            if hashes is not None:
                raise ArgumentError("hashes: a table has its own; leave them out")
            details = _details(images)
            hashes = images.hashes
            paths: Sequence[PathLike] = images.paths
        else:
            paths = images
        real = [
            os.path.realpath(_text(f"images[{i}]", path)) for i, path in _entries("images", paths)
        ]
        extras: list[dict[str, Any]] = [{} for _ in real]
        if extra is not None:
            extras = [_json_object(f"extra[{i}]", entry) for i, entry in _entries("extra", extra)]
        if hashes is not None:
            hashes = arrays.checked("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        number = len(real) if hashes is None else len(hashes)
        if not len(real) == number == len(extras):
            raise ArgumentError(
                f"images, hashes, extra: got {len(real)}, {number} and {len(extras)} entries, "
                "needs one of each for every image"
            )
        failures: list[Failure] = []
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
        wanted = list(_entries("items", items))
        with self._change():
            found: dict[int, Item] = {}
            for i, one in wanted:
                item = self._found(one, f"items[{i}]")
                if item is None:
                    raise ArgumentError(f"items[{i}]: {displayed(str(one))} is not in the index")
                found[item.id] = item
            if found:
                self._store.delete(list(found))
                self._parts = _without(self._parts, np.array(list(found), np.int64))
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
            0 to 1, inclusive and exact: see `distances.limit_squared`.
        max_distance : float or exact number, optional
            L2, at least 0, inclusive and exact.
        orientations : bool
            Whether each query is also mirrored and turned, in all eight ways; an item is
            one match, in the orientation that is closest.
        min_detail : float, optional
            Items known to have less detail, in grey levels, are left out: flat images
            lie close to each other whatever they show. 100 is a fair choice.
        nprobe : int, optional
            For the kind ``"ivf"``: how many lists are looked into, for another recall.

        Returns
        -------
        list of n lists of Match
            Ordered by distance, then id. Exact, but for the kind ``"ivf"``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            An argument has another type or shape, or is out of range.
        IndexFileError
            A file is missing, damaged or no longer belongs to the other one.
        """
        if isinstance(hashes, np.ndarray) and hashes.ndim == 1:
            hashes = hashes[None]
        queries = arrays.checked("hashes", hashes, np.uint8, ("n", HASH_BYTES))
        count = _integer("k", k)
        lists = None if nprobe is None else _integer("nprobe", nprobe)
        limit = distances.limit_squared(min_similarity, max_distance)
        if min_detail is not None and not (isinstance(min_detail, int | float) and min_detail >= 0):
            raise ArgumentError(f"min_detail: got {min_detail!r}, needs a number of at least 0")
        with self._current(), self._remedied():
            return self._matches(queries, count, limit, orientations, min_detail, lists)

    def save(self) -> None:
        """Write what was changed, and let others write.

        The metadata, which is the truth, comes first. When this returns, the disk has it.

        Raises
        ------
        IndexFileError
            A file cannot be written. All files are as they were; what was changed since
            the last `save` is still here, and `save` can be called again, unless it was
            the metadata that could not be written: then the error says that it is gone.
        """
        if not self._on_disk:
            self._check_new(self.index_path, self.meta_path)
        with self._change(keep=True):
            # JSON goes with an index that has all items: other programs read both.
            lag = len(self) - self._filed
            allowed = max(_LAG, _LAG_SHARE * self._filed) if self._state.collection else 0
            if self._write_index or not self._on_disk or lag > allowed:
                with self._staged_index() as staged:
                    self._commit(staged)
                self._filed = len(self)
            elif self._store.state() != self._state:
                self._commit(None)
            else:
                self._store.rollback()
            self._state = self._store.state()
            self._on_disk = self._may_replace = True
            self._write_index = self._changing = False
            self._lock.release()

    def verify(self) -> None:
        """Read all of both files and raise an error if anything in them is wrong.

        Raises
        ------
        IndexFileError
            A file is damaged, or a hash in the index is not that of the metadata.
        """
        with self._current(), self._remedied():
            self._store.verify()
            found = faiss_file.load(self.index_path)
            found.seal.check()
            self._compare(found, self._store.state())

    def copy_to(
        self,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        kind: Kind | None = None,
        overwrite: bool = False,
    ) -> HashIndex:
        """Write all items, with their ids, into another pair of files, and return that index.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The new files; the suffix of the second one decides between JSON and SQLite.
        kind : {"flat", "uint8", "ivf"}, optional
            Of the new index; that of this one if left out.
        overwrite : bool
            As for `create`.

        Raises
        ------
        IndexFileError, ArgumentError
            As `create` and `save`.
        """
        other = HashIndex.create(index_path, meta_path, kind=kind or self.kind, overwrite=overwrite)
        for name in ("index_path", "meta_path"):
            if os.path.realpath(getattr(other, name)) == os.path.realpath(getattr(self, name)):
                raise ArgumentError(f"{name}: got that of this index, needs another file")
        try:
            with self._current(), other._change():
                other._store.other = self._store.other
                state = self._store.state()
                other._store.insert(self._store.items(), state.next_id)
                ids, rows = self._store.ids_and_hashes()
                other._parts = [Part.of(rows, ids)]
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
            By `kind`. Mind that its distances are float32, and its range search is strict
            and takes squared radii.
        """
        import faiss

        with self._current(), self._remedied():
            if self.kind == "ivf":
                self._put_into_lists()
            content = b"".join(faiss_file.content(self.kind, self._parts, self._lists))
        return faiss.deserialize_index(np.frombuffer(content, np.uint8))

    def close(self) -> None:
        """Forget what was not saved, and let others write."""
        if self._changing:
            self._changing = False
            self._state = _UNREAD
            if not self._on_disk:
                self._empty()
            with suppress(IndexFileError):
                self._store.rollback()
        self._store.close()
        self._lock.release()

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
        if self._changing or not self._on_disk:
            yield
            return
        for _ in range(_ATTEMPTS):
            changed = self._store.refresh()
            with self._store.reading():
                state = self._store.state()
                appended = (
                    state.collection is not None
                    and state._replace(next_id=0) == self._state._replace(next_id=0)
                    and state.next_id >= self._state.next_id
                )
                if state == self._state and not (changed and state.collection is None):
                    yield
                    return
                if appended:
                    ids, rows = self._store.ids_and_hashes(self._state.next_id)
                    self._append_rows(rows, ids)
                    self._state = state
                    yield
                    return
            self._load()
        raise IndexFileError(self.meta_path, "changes all the time; try again later")

    def _load(self) -> None:
        """Read both files; once more, with writers kept out, if they seem not to fit.

        The index comes first: metadata is written first, so it is never the older one.
        """
        self._state = _UNREAD
        with self._remedied():
            try:
                self._read()
            except IndexFileError as error:
                if not isinstance(error, _OtherIndexError) and os.path.exists(self.index_path):
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
            self._align(found)

    @contextmanager
    def _remedied(self) -> Iterator[None]:
        """Have errors of the index file say how it is made anew."""
        try:
            yield
        except IndexFileError as error:
            raise _with_remedy(error, self.index_path, self.meta_path) from error

    def _align(self, found: IndexFile) -> None:
        """Take the rows of the index file, and those of the metadata that it lacks."""
        state, facts = self._store.state(), found.seal.facts or {}
        ours = state.collection is not None and facts.get("collection") == state.collection
        if ours and (facts["removals"], facts["next_id"]) > (state.removals, state.next_id):
            raise _OtherIndexError(self.index_path, "is newer than its metadata")
        if ours and facts["removals"] == state.removals:
            ids, rows = self._store.ids_and_hashes(facts["next_id"])
            parts = [*found.parts, Part.of(rows, ids)]
        else:
            parts = self._compare(found, state)
        self._parts, self._lists, self._state = parts, found.lists, state
        self._filed = found.number
        self._trained_on = facts.get("trained_on", 0)
        self.recall = None
        if facts.get("recall"):
            from photodna_nb.index.approximate import Recall

            self.recall = Recall.of_json(facts["recall"])

    def _compare(self, found: IndexFile, state: State) -> list[Part]:
        """Return the rows of the metadata, once those of the index file are the same.

        The file may be of an earlier moment: lack the last items, and have some that
        have been removed since.
        """
        ids, rows = self._store.ids_and_hashes()
        filed = np.concatenate([np.empty(0, np.int64), *(part.ids for part in found.parts)])
        if len(np.unique(filed)) < len(filed):
            raise _OtherIndexError(self.index_path, "has two rows with the same id")
        if len(filed) and (filed.min() < 0 or filed.max() >= state.next_id):
            raise _OtherIndexError(
                self.index_path,
                f"does not belong to its metadata: it holds id {filed.max()}, "
                f"and the metadata expects {state.next_id} next",
            )
        there = np.isin(filed, ids)
        if not np.array_equal(np.sort(filed[there]), ids[: there.sum()]):
            raise _OtherIndexError(
                self.index_path,
                f"does not belong to its metadata: it holds {len(filed)} items, the metadata "
                f"{len(ids)}, and their ids differ",
            )
        for part in found.parts:
            here = np.isin(part.ids, ids)
            mine = part.rows[here] if not here.all() else part.rows
            places = np.searchsorted(ids, part.ids[here])
            ascending = len(places) == 0 or places[-1] - places[0] == len(places) - 1
            theirs = rows[places[0] : places[-1] + 1] if ascending and len(places) else rows[places]
            if not np.array_equal(mine, theirs):
                wrong = part.ids[here][np.flatnonzero((mine != rows[places]).any(axis=1))[0]]
                raise _OtherIndexError(
                    self.index_path,
                    f"does not belong to its metadata: their hashes differ, of id {wrong} first",
                )
        if found.lists is None:
            return [Part.of(rows, ids)]
        gone = filed[~there]
        rest = int(there.sum())
        return [*_without(found.parts, gone), Part.of(rows[rest:], ids[rest:])]

    def _found(self, item: int | PathLike, name: str = "item") -> Item | None:
        if isinstance(item, int | np.integer) and not isinstance(item, bool):
            return self._store.get([int(item)]).get(int(item)) if 0 <= item < 2**63 else None
        path = os.path.realpath(_text(name, item))
        identifier = self._store.find([path]).get(path)
        return None if identifier is None else self._store.get([identifier])[identifier]

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
            found = self._closest(queries[wanted], asked, limit, orientations, nprobe)
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

    def _closest(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        orientations: bool,
        nprobe: int | None,
    ) -> list[_Oriented]:
        from photodna_nb.index import search  # Numba is slow to import

        if not orientations:
            found = search.closest(self._parts, queries, k, limit, self._lists, nprobe)
            return [_Oriented(*one, np.zeros(len(one.ids), np.intp)) for one in found]
        from photodna_nb import stages

        turned = stages.orientations(queries)
        ways = turned.shape[1]
        turned = turned.reshape(-1, HASH_BYTES)
        found = search.closest(self._parts, turned, k, limit, self._lists, nprobe)
        return [_best_of(found[i : i + ways], k) for i in range(0, len(found), ways)]

    def _items(self, ids: list[int]) -> dict[int, Item]:
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
                self._empty()
        finally:
            self._lock.release()

    def _empty(self) -> None:
        self._parts, self._lists, self._trained_on = [], None, 0

    def _append(
        self, paths: list[str], hashes: NDArray[np.uint8], extras: list[dict[str, Any]]
    ) -> tuple[list[int], list[str]]:
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
            self._append_rows(rows, np.array(ids, np.int64))
        return ids, skipped

    def _append_rows(self, rows: NDArray[np.uint8], ids: NDArray[np.int64]) -> None:
        if len(ids):
            self._parts.append(Part.of(arrays.frozen(rows), ids))
        first = 1 if self._lists is None else len(self._lists.centroids)
        if len(self._parts) - first > _PARTS:
            self._parts[first:] = [_joined(self._parts[first:])]

    def _put_into_lists(self) -> None:
        """Have all rows in lists, as the approximate kind has them, and measure its recall."""
        from photodna_nb.index import approximate

        lists, parts, every = self._lists, self._parts, _joined(self._parts)
        if lists is None or len(self) >= _GROWTH * self._trained_on:
            centroids = approximate.trained(every)
            parts = approximate.lists_of(every, centroids)
            self._trained_on = len(self)
        else:
            centroids = lists.centroids
            added = approximate.lists_of(_joined(parts[len(centroids) :]), centroids)
            parts = [
                _joined([one, other]) if other.count else one
                for one, other in zip(parts, added, strict=False)
            ]
        self._parts = parts
        self._lists, self.recall = approximate.tuned(parts, centroids, every)

    def _staged_index(self) -> files.Staged:
        """Write the index file beside its place."""
        if self.kind == "ivf":
            self._put_into_lists()
        facts = {
            "format": 1,
            **self._store.state()._asdict(),
            "trained_on": self._trained_on,
            "recall": None if self.recall is None else self.recall.as_json(),
        }
        chunks = sealed(faiss_file.content(self.kind, self._parts, self._lists), facts)
        return files.Staged(self.index_path, chunks, IndexFileError)

    def _commit(self, staged: files.Staged | None) -> None:
        try:
            self._store.commit(staged)
        except BaseException as error:
            self._give_up()
            if isinstance(error, IndexFileError):
                reason = f"{error.reason}. What was not saved is gone: add it again"
                raise IndexFileError(error.path, reason) from error
            raise

    def _check_new(self, *paths: PathLike) -> None:
        for path in paths:
            if not self._may_replace and os.path.lexists(path):
                raise IndexFileError(
                    path,
                    "exists already; add to it with --faiss-add (HashIndex.open), "
                    "or replace it with --overwrite (overwrite=True)",
                )


class _OtherIndexError(IndexFileError):
    """The index is whole and does not fit the metadata: one of them may just be in change."""


class _Oriented(NamedTuple):
    """The answers to one query, with the number of the orientation of each."""

    distances: NDArray[np.int64]
    ids: NDArray[np.int64]
    ways: NDArray[np.intp]


def _best_of(found: Sequence[Found], k: int) -> _Oriented:
    """Return each item once, in its closest orientation, the first one of equal ones."""
    distances = np.concatenate([one.distances for one in found])
    ids = np.concatenate([one.ids for one in found])
    ways = np.repeat(np.arange(len(found)), [len(one.ids) for one in found])
    order = np.lexsort((ways, ids, distances))
    _, first = np.unique(ids[order], return_index=True)
    order = order[np.sort(first)[:k]]
    return _Oriented(distances[order], ids[order], ways[order])


def _match(item: Item, distance_squared: int, way: int) -> Match:
    orientation = metadata.ORIENTATIONS[way]
    return Match(item.id, item.path, distance_squared, item.extra, orientation)


def _joined(parts: Sequence[Part]) -> Part:
    """Return the rows of all parts as one."""
    if len(parts) == 1:
        return parts[0]
    rows = [np.empty((0, HASH_BYTES), np.uint8), *(part.rows for part in parts)]
    ids = [np.empty(0, np.int64), *(part.ids for part in parts)]
    return Part.of(np.concatenate(rows), np.concatenate(ids))


def _without(parts: Sequence[Part], ids: NDArray[np.int64]) -> list[Part]:
    """Return the parts without the rows of those ids."""
    kept = []
    for part in parts:
        stay = ~np.isin(part.ids, ids)
        kept.append(part if stay.all() else Part.of(part.rows[stay], part.ids[stay]))
    return kept


def _hashed(
    paths: list[str],
    errors: Literal["raise", "record"],
    max_workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> HashTable:
    from photodna_nb.hashing import hash_files

    return hash_files(
        paths, errors=errors, max_workers=max_workers, executor=executor, progress=progress
    )


def _details(table: HashTable, **more: str) -> list[Mapping[str, Any]]:
    """Return what is stored of each image of a table; some formats do not hold the detail."""
    return [
        {**more} if math.isnan(detail) else {"detail": detail, **more}
        for detail in table.detail.tolist()
    ]


def _integer(name: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError as error:
        raise ArgumentTypeError(f"{name}: got {value!r}, needs an integer of at least 1") from error
    if count < 1:
        raise ArgumentError(f"{name}: got {value}, needs an integer of at least 1")
    return count


def _checked_kind(kind: Kind) -> Kind:
    if kind not in KINDS:
        raise ArgumentError(f"kind: got {kind!r}, needs one of {', '.join(KINDS)}")
    return kind


def _text(name: str, path: Any) -> str:
    """Return the path as text, if it can be the name of a file."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"{name}: got {described(path)}, needs a path")
    text = os.fsdecode(path)
    try:
        if text and b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise ArgumentError(f"{name}: got {text[:100]!r}, which cannot be the name of a file")


def _entries(name: str, values: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name}: got {described(values)}, needs a sequence, one an image")
    return enumerate(values)


def _json_object(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of the mapping, if JSON can hold it."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name}: got {described(value)}, needs a mapping")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: got what JSON cannot hold ({error})") from error
    return copy


def _two_files(index_path: PathLike, meta_path: PathLike) -> tuple[str, str]:
    """Return both names, unless they are those of one file."""
    index_name, meta_name = _text("index_path", index_path), _text("meta_path", meta_path)
    same = os.path.realpath(index_name) == os.path.realpath(meta_name)
    if os.path.exists(index_name) and os.path.exists(meta_name):
        same = same or os.path.samefile(index_name, meta_name)
    if same:
        raise ArgumentError("index_path, meta_path: got the same file twice, needs two files")
    return index_name, meta_name


def _check_index_replaceable(index_name: str) -> None:
    storage.check_replaceable(index_name, b"I[xw]")


def _check_meta_replaceable(meta_name: str) -> None:
    database = metadata.is_database(meta_name)
    storage.check_replaceable(meta_name, metadata.DATABASE_BEGINNING if database else rb"\{")


def _with_remedy(error: IndexFileError, index_name: str, meta_name: str) -> IndexFileError:
    """Return the error of an index file with the command that makes it anew."""
    if error.path != index_name or "--faiss-rebuild" in error.reason:
        return error
    remedy = "If the metadata is the right one, write the index anew from it: photodna-nb "
    remedy += f"--faiss-rebuild {_typed(index_name)} {_typed(meta_name)}"
    return IndexFileError(index_name, f"{error.reason}. {remedy}")


def _typed(path: str) -> str:
    """Return the path as one word of a shell command."""
    return shlex.quote(displayed(path))
