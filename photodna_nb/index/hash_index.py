"""A local index of hashes with its metadata: add, remove, search, list, verify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.errors import ArgumentError
from photodna_nb.index import arguments, changes, index_types, lookup
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.index_files import IndexFiles
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added, Synced
from photodna_nb.index.search_results import SearchResults
from photodna_nb.pairs import metrics
from photodna_nb.pairs.metrics import Limit
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index.verification import Verification
    from photodna_nb.tables.table import HashTable


class HashIndex(IndexFiles):
    """An index of hashes, and its metadata, in two files or in memory.

    Make one with `create`, `open`, `rebuild` or `in_memory`. Changes begin with the first
    `add` or `remove`, which keeps other writers out, and do not last before `save`. What
    others have saved is seen by the next search or look-up. Use it in a ``with`` statement, or
    call `close`, where changes may be left unsaved.

    Kernels of this package search the types `flat` and `uint8` exactly; FAISS searches the
    approximate types, and its candidates are re-ranked with exact integer distances.
    """

    def __repr__(self) -> str:
        place = "memory" if self._session.in_memory else printable(self.index_path)
        return f"<HashIndex of {len(self)} items in {place}>"

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
            return next(iter(lookup.find_items(self._session, "item", item)), None)

    def items(self) -> Iterator[Item]:
        """Yield all items by id."""
        with self._session.current():
            pass
        with self._session.with_remedy():
            yield from self._session.store.items()

    __iter__ = items

    def table(self) -> HashTable:
        """Return paths, hashes and detail of all items, by id."""
        from photodna_nb.tables.table import table_from_rows

        with self._session.current():
            return table_from_rows(self._session.store.table_rows())

    def add(
        self,
        images: Sequence[PathLike] | HashTable,
        hashes: NDArray[np.uint8] | None = None,
        *,
        extra: Sequence[Mapping[str, Any]] | None = None,
        recursive: bool = True,
        compare_content: bool = False,
        errors: Literal["raise", "record"] = "raise",
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
        table_options: Mapping[str, Any] | None = None,
    ) -> Added:
        """Append images, or their hashes; what is indexed already is skipped.

        A file that has changed since it was indexed is hashed again, and its item replaced. Other
        programs cannot change the index from now on until `save` or `close`.

        Parameters
        ----------
        images : sequence of str or os.PathLike, n, or HashTable
            Paths, stored as real, absolute ones, of image files, folders and tables of hashes, as
            `hash_inputs` takes them. Two files with the same hash are two items. Of a table also
            the hashes and the details; the paths of one that `hash_files` did not make are labels.
        hashes : ndarray of uint8, (n, 144), optional
            Their hashes; if left out, the files are hashed. Names of no file are labels then.
            A label is stored letter for letter, and has an item for each of its hashes.
        extra : sequence of dict, n, optional
            Stored with the items; JSON values. The key ``photodna_nb`` is not the user's. Not with
            folders or files of tables.
        recursive : bool
            Whether folders below a folder are walked, too.
        compare_content : bool
            Whether all files are hashed, not only those of another size or time than before.
        errors, max_workers, executor, progress
            As `hash_files` takes them, where files are hashed.
        table_options : mapping, optional
            Further arguments of `HashTable.load`, for files of tables.

        Returns
        -------
        Added
            The ids of the new items; what was skipped, updated, or failed.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `hashes` has another dtype or shape, or the lengths differ.
        FileError
            A file cannot be hashed, or a folder or table not be read, unless `errors` is "record".
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.

        Notes
        -----
        Each hash of a file is appended to ``INDEX.journal`` as soon as it is computed. After an
        interruption, the same call takes it from there; `save` deletes the journal.
        """
        checks.boolean("recursive", recursive)
        checks.boolean("compare_content", compare_content)
        parallel.worker_count(max_workers, executor)
        options: dict[str, Any] = {"errors": errors, "max_workers": max_workers}
        options |= {"executor": executor, "progress": progress}
        tables = table_options or {}
        return changes.add(
            self._session, images, hashes, extra, compare_content, recursive, options, tables
        )

    def sync(
        self,
        folders: Sequence[PathLike],
        *,
        recursive: bool = True,
        allow_empty: bool = False,
        dry_run: bool = False,
        compare_content: bool = False,
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> Synced:
        """Make the index hold what folders hold, and save it.

        New files are added, and files of another size or time of modification are hashed again.
        Items of files that are gone are removed if these were in one of the folders, by their real
        paths; labels and other items stay. A file that cannot be hashed is remembered, and not
        tried again before it or a decoder changes. What is hashed is saved now and then, also
        after Ctrl-C, so that the next call goes on.

        Parameters
        ----------
        folders : sequence of str or os.PathLike
            Folders. Their files are those that `hash_directory` hashes.
        recursive : bool
            Whether the folders below are walked, too; if not, items of files in these stay.
        allow_empty : bool
            Whether a folder may have no files. If not, that is an error, and items stay whose
            files were in a folder below that is empty now, as where a disk is not mounted, or in
            a folder of `folders` in which no image is left.
        dry_run : bool
            Whether to return only what would be done. No file is opened.
        compare_content : bool
            Whether all files are hashed, not only those of another size or time than before. Not
            with `dry_run`.
        max_workers, executor, progress
            As `hash_files` takes them.

        Returns
        -------
        Synced
            What was added, updated, removed and kept; what failed, and how long it took.

        Raises
        ------
        FileError
            A folder is missing, cannot be listed, or has no files; nothing was changed.
        ArgumentTypeError, ArgumentError
            An argument has another type or value, there are changes that are not saved, or too few
            items for a new index of an approximate type.
        IndexFileError
            Another program keeps changing the index, or a file cannot be used.

        Warns
        -----
        LowDetailWarning
            As `hash_files` warns.

        Notes
        -----
        A file that was renamed or moved is a removed and a new item with another id. It keeps the
        user's `extra` if it has the same hash, size and time of modification.
        """
        from photodna_nb.index import folder_sync

        flags = {"recursive": recursive, "allow_empty": allow_empty, "dry_run": dry_run}
        for name, value in (flags | {"compare_content": compare_content}).items():
            checks.boolean(name, value)
        if dry_run and compare_content:
            raise ArgumentError(
                "compare_content: needs the files, and dry_run opens none; leave one of them out"
            )
        options = folder_sync.SyncOptions(
            recursive, allow_empty, dry_run, compare_content, max_workers, executor, progress
        )
        return folder_sync.sync(self._session, folders, options)

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
    ) -> SearchResults:
        """Return, for each query, the `k` nearest items within the limits.

        Parameters
        ----------
        hashes : ndarray of uint8, (n, 144) or (144,), or HashTable
            The queries; a single hash is one query.
        k : int
            Largest number of matches of a query, at least 1.
        min_similarity : float or exact number, optional
            0 to 1, inclusive and exact, as limits of `pairs_within`.
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
        SearchResults, a list of n lists of Match
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
            checks.boolean("orientations", orientations),
            None if min_detail is None else checks.real("min_detail", min_detail, 0),
        )
        paths = getattr(hashes, "paths", None)
        return SearchResults(find_matches(self._session, queries, options), paths)

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

        Returns
        -------
        Verification
            What was compared, and the paths of the items that differ.

        Raises
        ------
        IndexFileError
            A file is damaged, or a hash in the index is not that of the metadata.
        """
        from photodna_nb.index import verification

        checks.boolean("compare_content", compare_content)
        parallel.worker_count(max_workers, executor)
        options = {"max_workers": max_workers, "executor": executor}
        return verification.verify(self._session, compare_content, progress, options)

    def to_faiss(self) -> Any:
        """Return all hashes as an index of FAISS in memory.

        Its distances are float32, and its range search is strict and takes squared radii;
        `faiss_search` searches it with exact limits.
        """
        import faiss

        return faiss.deserialize_index(np.frombuffer(self._session.content(), np.uint8))
