"""A local index of hashes with its metadata: create, open, add, remove, search, save."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.index import arguments, changes, index_types, stores
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.memory_store import ItemColumns, MemoryStore
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added, Match
from photodna_nb.index.session import IndexSession
from photodna_nb.pairs import metrics
from photodna_nb.pairs.metrics import Limit
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index.approximate import IndexRecall
    from photodna_nb.index.verification import Verification
    from photodna_nb.tables.table import HashTable


class HashIndex:
    """An index of hashes, and its metadata, in two files or in memory.

    Make one with `create`, `open`, `rebuild` or `in_memory`. Changes begin with the first
    `add` or `remove`, which keeps other writers out, and do not last before `save`. What
    others have saved is seen by the next search or look-up. Use it in a ``with`` statement, or
    call `close`, where changes may be left unsaved.

    Kernels of this package search the types `flat` and `uint8` exactly; FAISS searches the
    approximate types, and its candidates are re-ranked with exact integer distances.
    """

    def __init__(self, session: IndexSession) -> None:
        self._session = session

    @classmethod
    def in_memory(cls) -> HashIndex:
        """Return a new, empty index without files, searched exactly.

        It needs no `save`, can be pickled, and `copy_to` writes it into files.
        """
        return cls(IndexSession("", "", MemoryStore(ItemColumns())))

    @classmethod
    def create(
        cls,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: str = "flat",
        overwrite: bool = False,
    ) -> HashIndex:
        """Return a new, empty index; nothing is written before `save`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two new files. The metadata is JSON or, if the name ends with ``.sqlite`` or
            ``.db``, an SQLite database.
        index_type : str
            ``"flat"``: float32, as ``oaphotodna.py`` writes it. ``"uint8"``: bytes, a quarter
            of the size, as exact. Or an approximate type of FAISS: ``"IVF<nlist>,<codec>"``,
            ``"IVF<nlist>_HNSW<M>,<codec>"``, ``"HNSW<M>"`` or
            ``"HNSW<M>,<codec>"``, with the codec ``Flat``, ``SQ8`` or ``PQ<m>``, m a
            divisor of 144; they are worthwhile from about a million items on.
        overwrite : bool
            Whether `save` may replace existing files of an index; other files are never replaced.

        Raises
        ------
        IndexFileError
            One of the files exists, and `overwrite` is False or it is of no index; or its
            folder does not exist or cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such index type.
        """
        index_type = index_types.parse(index_type).name
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_replaceable(index_name, meta_name)
        index = cls(_session(index_name, meta_name, new_type=index_type, overwrite=overwrite))
        index._session.check_new(index_name, meta_name)
        return index

    @classmethod
    def open(cls, index_path: PathLike, meta_path: PathLike) -> HashIndex:
        """Return the index in two files, after a check that they belong together.

        Changes that the index file lacks, as after a kill, are added in memory.

        Raises
        ------
        IndexFileError
            A file is missing, damaged or of no index, or the two do not belong together.
        """
        # The metadata is authoritative: errors in it come first.
        index = cls(_session(*arguments.two_files(index_path, meta_path)))
        try:
            index._session.load()
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def rebuild(
        cls, index_path: PathLike, meta_path: PathLike, *, index_type: str | None = None
    ) -> HashIndex:
        """Write the index file anew from the metadata, which holds every hash; return the index.

        Items that another program changed, or that are damaged, stay as they are: see `accepted`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The index to write, which may be missing or damaged, and the metadata to read.
        index_type : str, optional
            New type, see `create`; the type that it had if left out.

        Raises
        ------
        IndexFileError
            The metadata cannot be used, the index file is of no index, or cannot be written.
        ArgumentError
            The two paths are the same file, no such index type, or too few items for it.
        """
        name = None if index_type is None else index_types.parse(index_type).name
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_replaceable(index_name)
        index = cls(_session(index_name, meta_name))
        try:
            index._session.begin_rebuild(name)
            index.save()
        except BaseException:
            index.close()
            raise
        return index

    def __repr__(self) -> str:
        place = "memory" if self._session.in_memory else printable(self.index_path)
        return f"<HashIndex of {len(self)} items in {place}>"

    def __enter__(self) -> HashIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def index_path(self) -> str:
        """Absolute path of the index file; empty in memory."""
        return self._session.index_path

    @property
    def meta_path(self) -> str:
        """Absolute path of the metadata; empty in memory."""
        return self._session.meta_path

    @property
    def index_type(self) -> str:
        """Type of the index file, see `create`."""
        return self._session.store.index_type

    @property
    def recall(self) -> IndexRecall | None:
        """Recall of the search against the exact answer, as measured; None for exact types."""
        return self._session.rows.recall

    @property
    def accepted(self) -> list[int]:
        """Ids of the items that `rebuild` accepted although their checksums did not hold."""
        return self._session.accepted

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._session.rows)

    def __contains__(self, item: int | PathLike) -> bool:
        """Return whether there is an item of that id or, by its real, absolute path, an image."""
        return self.get(item) is not None

    def get(self, item: int | PathLike) -> Item | None:
        """Return the item of an id, label or path, or None; of several, that of the lowest id.

        Parameters
        ----------
        item : int, str or os.PathLike
            An id, a label, or the path of an image, of which the real, absolute one counts.

        """
        with self._session.current():
            return next(iter(self._session.find_items("item", item)), None)

    def items(self) -> Iterator[Item]:
        """Yield all items by id."""
        with self._session.current():
            pass
        with self._session.with_remedy():
            yield from self._session.store.items()

    def table(self) -> HashTable:
        """Return paths, hashes and detail of all items, by id."""
        from photodna_nb.tables.table import table_from_rows

        with self._session.current():
            return table_from_rows(
                (item.path, item.hash.tobytes(), math.nan if item.detail is None else item.detail)
                for item in self._session.store.items()
            )

    def add(
        self,
        images: Sequence[PathLike] | HashTable,
        hashes: NDArray[np.uint8] | None = None,
        *,
        extra: Sequence[Mapping[str, Any]] | None = None,
        compare_content: bool = False,
        errors: Literal["raise", "record"] = "raise",
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> Added:
        """Append images, or their hashes; what is indexed already is skipped.

        A file that has changed since it was indexed is hashed again, and its item replaced. Other
        programs cannot change the index from now on until `save` or `close`.

        Parameters
        ----------
        images : sequence of str or os.PathLike, n, or HashTable
            Paths, stored as real, absolute ones. Two files with the same hash are two
            items. Of a table also the hashes and the details; the paths of one that
            `hash_files` did not make are labels.
        hashes : ndarray of uint8, (n, 144), optional
            Their hashes; if left out, the files are hashed. Names of no file are labels then.
            A label is stored letter for letter, and has an item for each of its hashes.
        extra : sequence of dict, n, optional
            Stored with the items; JSON values. The key ``photodna_nb`` is not the user's.
        compare_content : bool
            Whether all files are hashed, not only those of another size or time than before.
        errors, max_workers, executor, progress
            As `hash_files` takes them, where files are hashed.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `hashes` has another dtype or shape, or the lengths differ.
        ImageError
            A file cannot be hashed, unless `errors` is "record".
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.
        """
        options: dict[str, Any] = {"errors": errors, "max_workers": max_workers}
        options |= {"executor": executor, "progress": progress}
        return changes.add(self._session, images, hashes, extra, compare_content, options)

    def remove(self, items: Sequence[int | PathLike]) -> list[Item]:
        """Remove items, and return them; nothing is written before `save`.

        Parameters
        ----------
        items : sequence of int, str or os.PathLike
            Ids, or labels and paths as for `get`, of which all items are removed. Their
            ids are never used again.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            One of them is not in the index; then none is removed.
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.
        """
        return changes.remove(self._session, items)

    def search(
        self,
        hashes: NDArray[np.uint8] | HashTable,
        k: int = 10,
        min_similarity: Limit | None = None,
        max_distance: Limit | None = None,
        *,
        orientations: bool = False,
        min_detail: float | None = None,
        nprobe: int | None = None,
        ef_search: int | None = None,
    ) -> list[list[Match]]:
        """Return, for each query, the `k` nearest items within the limits.

        Parameters
        ----------
        hashes : ndarray of uint8, (n, 144) or (144,), or HashTable
            The queries; a single hash is one query.
        k : int
            Largest number of matches of a query, at least 1.
        min_similarity : float or exact number, optional
            0 to 1, inclusive and exact: see `metrics.max_distance_squared`.
        max_distance : float or exact number, optional
            L2, at least 0, inclusive and exact.
        orientations : bool
            Whether each query is searched in all eight orientations, mirrored and rotated. An item
            is returned once, in its nearest orientation.
        min_detail : float, optional
            Items with a stored detail below this, in grey levels, are left out: hashes of flat
            images are near each other whatever the images show. 100 suits photographs.
        nprobe, ef_search : int, optional
            Number of lists that are searched, of the IVF types, and of candidates in the graph,
            of the HNSW types; that with which the recall was measured if left out.

        Returns
        -------
        list of n lists of Match
            Ordered by distance, then id. Exact for the types ``"flat"`` and ``"uint8"``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            An argument has another type or shape, is out of range, or is of another index type.
        IndexFileError
            A file is missing, damaged or no longer belongs to the other one.
        """
        from photodna_nb.index.matching import SearchOptions, find_matches

        queries = arguments.hash_rows("hashes", hashes)
        options = SearchOptions(
            checks.integer("k", k, 1),
            metrics.max_distance_squared(min_similarity, max_distance),
            index_types.parse(self.index_type).search_parameter(nprobe, ef_search),
            orientations,
            None if min_detail is None else checks.real("min_detail", min_detail, 0),
        )
        return find_matches(self._session, queries, options)

    def save(self) -> None:
        """Write the changes to both files, and release the lock.

        The metadata, which is authoritative, comes first. When this returns, the disk has it.

        Raises
        ------
        IndexFileError
            A file cannot be written. All files are as they were, and `save` can be called
            again, unless the error says that the changes are gone, or that the metadata has them.
        ArgumentError
            There are too few items for an approximate index type, or the index is in memory.
        """
        if self._session.in_memory:
            raise ArgumentError("index: is in memory and has no files; copy_to writes it into some")
        self._session.commit()

    def verify(
        self,
        *,
        compare_content: bool = False,
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> Verification:
        """Read all of both files, and return how the items differ from the image files.

        Parameters
        ----------
        compare_content : bool
            Whether hashes of the image files are compared, not their sizes and times.
        max_workers, executor, progress
            As `hash_files` takes them.

        Raises
        ------
        IndexFileError
            A file is damaged, or a hash in the index is not that of the metadata.
        """
        from photodna_nb.index import verification

        options = {"max_workers": max_workers, "executor": executor}
        return verification.verify(self._session, compare_content, progress, options)

    def copy_to(
        self,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: str | None = None,
        overwrite: bool = False,
    ) -> HashIndex:
        """Write all items, with their ids, into another pair of files, and return that index.

        Parameters
        ----------
        index_path, meta_path, index_type, overwrite
            As for `create`; the type of this index if it is left out.
        """
        index_type = index_type or self.index_type
        other = HashIndex.create(index_path, meta_path, index_type=index_type, overwrite=overwrite)
        for name in ("index_path", "meta_path"):
            if os.path.realpath(getattr(other, name)) == os.path.realpath(getattr(self, name)):
                raise ArgumentError(f"{name}: got that of this index, needs another file")
        try:
            with self._session.current():
                other._session.copy_from(self._session.store)
            other.save()
        except BaseException:
            other.close()
            raise
        return other

    def to_faiss(self) -> Any:
        """Return all hashes as an index of FAISS in memory.

        Its distances are float32, and its range search is strict and takes squared radii;
        `faiss_search` searches it with exact limits.
        """
        import faiss

        return faiss.deserialize_index(np.frombuffer(self._session.content(), np.uint8))

    def close(self) -> None:
        """Discard changes that were not saved, and release the lock."""
        self._session.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be copied with files and a lock that are open."""
        if not self._session.in_memory:
            raise ArgumentTypeError(
                "a HashIndex with files cannot be copied; open it again where it is needed"
            )
        with self._session.current():
            return HashIndex, (self._session,)

    def __del__(self) -> None:
        with suppress(Exception):  # when the interpreter ends, parts of it may be gone
            self.close()


def _session(
    index_name: str, meta_name: str, new_type: str | None = None, overwrite: bool = False
) -> IndexSession:
    meta_path = os.path.abspath(meta_name)
    store = stores.open_store(meta_path, new_type)
    return IndexSession(os.path.abspath(index_name), meta_path, store, overwrite=overwrite)
