"""The rows of an index as they are searched: those of its file, and those that came since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.hashing import orientations as hash_orientations
from photodna_nb.index import faiss_file, index_types
from photodna_nb.index.faiss_file import EMPTY_SEGMENT, IndexFile
from photodna_nb.index.metadata import MetadataStore, StoreState
from photodna_nb.index.records import RowMatches
from photodna_nb.index.row_segments import MIN_TREE_ROWS, RowSegment

if TYPE_CHECKING:
    from photodna_nb.index.approximate import ApproximateIndex, IndexRecall

# Rows that were added one call at a time are put together after so many calls.
_MAX_SEGMENTS = 64
# An approximate index that has grown so many times is trained anew.
_GROWTH = 4
# Of the header of an index file. Before it, the header had other keys.
_FORMAT = 3


class MismatchError(IndexFileError):
    """The index is intact and does not fit the metadata: one of them may just be in change."""


class OrientedMatches(NamedTuple):
    """The answers to one query, with the number of the orientation of each."""

    distances: NDArray[np.int64]
    ids: NDArray[np.int64]
    orientations: NDArray[np.intp]


class SearchRows:
    """Hashes under their ids; of an approximate type an index of FAISS, and the pending rows.

    Attributes
    ----------
    rows_on_disk : int or None
        Number of rows that the index file has, all of items that are there. None: the file is of
        an earlier state, as after a kill, or of other metadata, and the next save writes it anew.
    """

    def __init__(self, segments: Sequence[RowSegment] = ()) -> None:
        self.rows_on_disk: int | None = None
        self._segments = list(segments)
        self._approximate: ApproximateIndex | None = None
        self._items_digest = ""

    @classmethod
    def from_store(cls, store: MetadataStore) -> SearchRows:
        """Return the rows that the metadata has."""
        ids, rows = store.ids_and_hashes()
        return cls([RowSegment.of(rows, ids)])

    @classmethod
    def from_file(cls, path: str, file: IndexFile, store: MetadataStore) -> SearchRows:
        """Return the rows of an index file, and those of the metadata that it lacks.

        Where the file is of another type than the metadata, or of an approximate type and of
        an earlier moment, as after a kill, the rows are those of the metadata, searched
        exactly, and the next save writes the file anew.

        Raises
        ------
        IndexFileError
            The two do not belong together, or the file is damaged.
        """
        state, header = store.state(), file.footer.header
        if header.get("format", 1) > _FORMAT:
            raise IndexFileError(path, "is of a later version of this program; use that one")
        ours = _is_ours(header, state)
        if ours and (header["change_count"], header["next_id"]) > (
            state.change_count,
            state.next_id,
        ):
            raise MismatchError(path, "is newer than its metadata")
        unchanged = is_unchanged(header, state)
        exact = index_types.parse(store.index_type).exact
        if exact and index_types.parse(file.index_type).exact:
            if unchanged:
                ids, rows = store.added(header["next_id"])
                result = cls([*file.parts, RowSegment.of(rows, ids)])
            else:
                result = cls(compared(path, file, store))
            # JSON has no generation: its items tell whether the file is of an earlier state.
            if unchanged or (state.store_id is None and _is_complete(file, store)):
                result.rows_on_disk = file.segment.count
            return result
        if file.index_type != store.index_type:
            return cls.from_store(store)
        from photodna_nb.index.approximate import ApproximateIndex

        approximate = ApproximateIndex.read(path, file.checked_content(), header)
        if unchanged:
            ids, rows = store.added(header["next_id"])
            pending: RowSegment | None = RowSegment.of(rows, ids)
        else:
            pending = _pending(path, approximate.ids(), header, store)
        if pending is None:
            return cls.from_store(store)
        result = cls([pending])
        result._approximate, result.rows_on_disk = approximate, len(approximate)
        return result

    def __len__(self) -> int:
        """Return the number of items."""
        rows = 0 if self._approximate is None else len(self._approximate)
        return rows + sum(segment.count for segment in self._segments)

    @property
    def recall(self) -> IndexRecall | None:
        """Recall of the approximate index; None if the search is exact."""
        return None if self._approximate is None else self._approximate.recall

    def append(self, rows: NDArray[np.uint8], ids: NDArray[np.int64]) -> None:
        """Append rows (n, 144) under ids (n,), which are above all that there are."""
        if len(ids):
            self._segments.append(RowSegment.of(checks.read_only(rows), ids))
        if len(self._segments) > _MAX_SEGMENTS:
            self._segments[1:] = [RowSegment.concatenated(self._segments[1:])]

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the rows of those ids; each is there."""
        before = sum(segment.count for segment in self._segments)
        self._segments = [_without(segment, ids) for segment in self._segments]
        if self._approximate is not None:
            # Its candidates are looked up in the metadata, which has them no longer.
            pending = sum(segment.count for segment in self._segments)
            self._approximate.n_removed += len(ids) - (before - pending)

    def nearest(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        store: MetadataStore,
        search_parameter: int | None,
        *,
        orientations: bool,
    ) -> list[OrientedMatches]:
        """Return the k nearest rows of each query, (q, 144), within a squared distance."""
        if not orientations:
            answers = self._nearest(queries, k, limit, store, search_parameter)
            return [OrientedMatches(*one, np.zeros(len(one.ids), np.intp)) for one in answers]
        oriented = hash_orientations.orientations(queries)
        n_orientations = oriented.shape[1]
        answers = self._nearest(oriented.reshape(-1, HASH_BYTES), k, limit, store, search_parameter)
        starts = range(0, len(answers), n_orientations)
        return [_best_of(answers[start : start + n_orientations], k) for start in starts]

    def _nearest(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        store: MetadataStore,
        search_parameter: int | None,
    ) -> list[RowMatches]:
        from photodna_nb.index import exact_search  # Numba is slow to import

        answers = exact_search.nearest_rows(self._segments, queries, k, limit)
        if self._approximate is None:
            return answers
        candidates = self._approximate.search(queries, k, limit, store.lookup, search_parameter)
        return [
            RowMatches.nearest(
                np.concatenate([one.distances, other.distances]),
                np.concatenate([one.ids, other.ids]),
                k,
            )
            for one, other in zip(answers, candidates, strict=True)
        ]

    def content(self, index_type: str, store: MetadataStore) -> Iterator[Any]:
        """Return the content of the index file, in chunks.

        Raises
        ------
        ArgumentError
            There are too few items for the index type.
        """
        if not index_types.parse(index_type).exact:
            return self._built(index_type, store).content()
        if self._approximate is not None:
            self._approximate, self._segments = None, SearchRows.from_store(store)._segments
        return faiss_file.content(index_type, self._segments)

    def file_content(self, index_type: str, store: MetadataStore) -> Iterator[Any]:
        """Return the content of the index file with the search tree of an exact type, in chunks."""
        yield from self.content(index_type, store)
        if not self._stores_tree():
            return
        from photodna_nb.index import stored_tree  # Numba is slow to import

        self._segments = stored_tree.with_tree(self._segments)
        if (tree := self._segments[0].tree) is not None:
            yield from stored_tree.content(tree, faiss_file.content_size(index_type, len(self)))

    def _stores_tree(self) -> bool:
        return self._approximate is None and len(self) >= MIN_TREE_ROWS

    def header(self, index_type: str, store: MetadataStore) -> dict[str, Any]:
        """Return the header of the index file with that content, as JSON can hold it."""
        header = {"format": _FORMAT, "index_type": index_type, **store.state()._asdict()}
        tree = self._segments[0].tree if self._stores_tree() else None
        if tree is not None:
            header["tree"] = {"n_rows": len(tree), "n_axes": tree.projection.n_axes}
        if self._approximate is not None:
            header["items_digest"] = self._items_digest
            header["recall"] = asdict(self._approximate.recall)
            header["n_built"] = self._approximate.n_built
        return header

    def _built(self, name: str, store: MetadataStore) -> ApproximateIndex:
        """Return the approximate index of all items: the one there is, completed, or a new one."""
        from photodna_nb.index.approximate import ApproximateIndex

        ids, rows = store.ids_and_hashes()
        index = self._approximate
        if (
            index is None
            or index.index_type.name != name
            or len(ids) >= _GROWTH * index.n_built
            or (index.n_removed and not index.index_type.nlist)
        ):
            index = ApproximateIndex.build(name, RowSegment.of(rows, ids))
        else:
            if index.n_removed:
                index.drop_removed(np.setdiff1d(index.ids(), ids))
            for segment in self._segments:
                index.add(segment)
        self._approximate, self._segments = index, [EMPTY_SEGMENT]
        self._items_digest = _digest(ids, rows)
        return index


def _is_ours(header: dict[str, Any], state: StoreState) -> bool:
    """Return whether an index file with that header is of this generation of the store."""
    same = state.store_id is not None and header.get("store_id") == state.store_id
    return same and header.get("format") == _FORMAT


def is_unchanged(header: dict[str, Any], state: StoreState) -> bool:
    """Return whether items have at most been added since the index file was written."""
    return _is_ours(header, state) and header["change_count"] == state.change_count


def _is_complete(file: IndexFile, store: MetadataStore) -> bool:
    """Return whether an index file is of the type of the metadata and holds all of its items."""
    ids, _ = store.ids_and_hashes()
    return file.index_type == store.index_type and np.array_equal(np.sort(file.segment.ids), ids)


def verify(path: str, file: IndexFile, store: MetadataStore) -> NDArray[np.int64]:
    """Compare all of an index file with the metadata, and return the ids that it holds.

    Raises
    ------
    IndexFileError
        The two do not belong together, or the file is damaged.
    """
    file.footer.check()
    if index_types.parse(file.index_type).exact:
        file_ids = file.segment.ids
        compared(path, file, store)
        if (tree := file.parts[0].tree) is not None:
            from photodna_nb.index import stored_tree  # Numba is slow to import

            if problem := stored_tree.difference(tree):
                raise IndexFileError(path, f"has a search tree that is wrong: {problem}")
    else:
        from photodna_nb.index.approximate import ApproximateIndex

        approximate = ApproximateIndex.read(path, file.checked_content(), file.footer.header)
        file_ids = approximate.ids()
        _pending(path, file_ids, file.footer.header, store)
    return file_ids


def comparison(path: str, identifier: int, hash_bytes: bytes) -> str:
    """Return what an index file, if there is one, holds of an item with that hash."""
    try:
        segment = faiss_file.load(path).segment
        (rows,) = np.nonzero(segment.ids == identifier)
        same = [segment.rows[row].tobytes() == hash_bytes for row in rows]
    except IndexFileError:
        return "the index file cannot be read"
    if not same:
        return "the index file has no hash of it to compare"
    return f"its hash is {'that' if same[0] else 'not the one'} in the index file"


def compared(path: str, file: IndexFile, store: MetadataStore) -> list[RowSegment]:
    """Return the rows of the metadata, once those of an index file of an exact type are the same.

    The file may be of an earlier moment: lack the last items, and have items that have been
    removed since.

    Raises
    ------
    IndexFileError
        A row is another one than in the metadata, or the file is damaged.
    """
    ids, rows = store.ids_and_hashes()
    file_ids = file.segment.ids
    kept = _kept(path, file_ids, ids, store.state().next_id)
    file_rows = file.segment.rows if kept.all() else file.segment.rows[kept]
    places = np.searchsorted(ids, file_ids[kept])
    # Rows in the order of the metadata need no copy.
    in_order = len(places) > 0 and bool((np.diff(places) == 1).all())
    store_rows = rows[places[0] : places[-1] + 1] if in_order else rows[places]
    if not np.array_equal(file_rows, store_rows):
        first = np.flatnonzero((file_rows != store_rows).any(axis=1))[0]
        raise _mismatch(path, f"their hashes differ, of id {file_ids[kept][first]} first")
    n_rows = file.parts[0].count
    if len(file.parts) > 1 and np.array_equal(file_ids[:n_rows], ids[:n_rows]):
        first_part = RowSegment.of(rows[:n_rows], ids[:n_rows], lambda: file.tree(rows))
        return [first_part, RowSegment.of(rows[n_rows:], ids[n_rows:])]
    return [RowSegment.of(rows, ids)]


def _pending(
    path: str, file_ids: NDArray[np.int64], header: dict[str, Any], store: MetadataStore
) -> RowSegment | None:
    """Return the items of the metadata that an index file of an approximate type lacks.

    None: items have been removed since, and the hashes of the others cannot be compared.
    """
    ids, rows = store.ids_and_hashes()
    n_rows = len(file_ids)
    if not _kept(path, file_ids, ids, store.state().next_id).all():
        return None
    if _digest(ids[:n_rows], rows[:n_rows]) != header.get("items_digest"):
        raise _mismatch(path, "their hashes differ")
    return RowSegment.of(rows[n_rows:], ids[n_rows:])


def _kept(
    path: str, file_ids: NDArray[np.int64], ids: NDArray[np.int64], next_id: int
) -> NDArray[np.bool_]:
    """Return which ids of an index file are in the metadata, once none between them is missing."""
    if len(file_ids) and (file_ids.min() < 0 or file_ids.max() >= next_id):
        raise _mismatch(
            path, f"it holds id {file_ids.max()}, and the metadata expects {next_id} next"
        )
    if np.array_equal(file_ids, ids[: len(file_ids)]):
        return np.ones(len(file_ids), bool)
    if len(np.unique(file_ids)) < len(file_ids):
        raise MismatchError(path, "has two rows with the same id")
    kept = np.isin(file_ids, ids)
    if not np.array_equal(np.sort(file_ids[kept]), ids[: kept.sum()]):
        sizes = f"it holds {len(file_ids)} items, the metadata {len(ids)}"
        raise _mismatch(path, f"{sizes}, and their ids differ")
    return kept


def _mismatch(path: str, problem: str) -> MismatchError:
    return MismatchError(path, f"does not belong to its metadata: {problem}")


def _digest(ids: NDArray[np.int64], rows: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(ids.astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


def _best_of(answers: Sequence[RowMatches], k: int) -> OrientedMatches:
    """Return each item once, in its nearest orientation, the first one of equal ones."""
    distances = np.concatenate([one.distances for one in answers])
    ids = np.concatenate([one.ids for one in answers])
    orientations = np.repeat(np.arange(len(answers)), [len(one.ids) for one in answers])
    order = np.lexsort((orientations, ids, distances))
    _, first = np.unique(ids[order], return_index=True)
    order = order[np.sort(first)[:k]]
    return OrientedMatches(distances[order], ids[order], orientations[order])


def _without(segment: RowSegment, ids: NDArray[np.int64]) -> RowSegment:
    """Return the segment without the rows of those ids."""
    kept = ~np.isin(segment.ids, ids)
    return segment if kept.all() else RowSegment.of(segment.rows[kept], segment.ids[kept])
