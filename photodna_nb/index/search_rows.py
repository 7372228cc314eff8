"""The hashes of an index as they are searched: the rows of its file, and what came since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.hashing import orientations as hash_orientations
from photodna_nb.index import faiss_file
from photodna_nb.index.faiss_file import IndexFile, IndexType, Lists, RowShard
from photodna_nb.index.metadata import MetadataStore

if TYPE_CHECKING:
    from photodna_nb.index.approximate import Recall
    from photodna_nb.index.exact_search import RowMatches

# SearchRows that were added one call at a time are put together when there are so many calls.
_PARTS = 64
# An approximate index that has grown by so much gets new centroids.
_GROWTH = 4


class MismatchError(IndexFileError):
    """The index is whole and does not fit the metadata: one of them may just be in change."""


class OrientedMatches(NamedTuple):
    """The answers to one query, with the number of the orientation of each."""

    distances: NDArray[np.int64]
    ids: NDArray[np.int64]
    ways: NDArray[np.intp]


class SearchRows:
    """Hashes under their ids; for the approximate kind in lists, with later ones behind them.

    Attributes
    ----------
    rows_on_disk : int
        How many of them the index file has.
    recall : Recall or None
        Of the approximate kind.
    """

    def __init__(self, parts: Sequence[RowShard] = (), lists: Lists | None = None) -> None:
        self.rows_on_disk = 0
        self.recall: Recall | None = None
        self._parts = list(parts)
        self._lists = lists
        self._trained_on = 0

    @classmethod
    def of_store(cls, store: MetadataStore) -> SearchRows:
        """Return the rows that the metadata has."""
        ids, rows = store.ids_and_hashes()
        return cls([RowShard.of(rows, ids)])

    @classmethod
    def of_file(cls, path: str, found: IndexFile, store: MetadataStore) -> SearchRows:
        """Return the rows of an index file, and those of the metadata that it lacks.

        Raises
        ------
        IndexFileError
            The two do not belong together, or the file is damaged.
        """
        state, facts = store.state(), found.footer.facts or {}
        if facts.get("format", 1) != 1:
            raise IndexFileError(path, "is of a later version of this program; use that one")
        ours = state.store_id is not None and facts.get("store_id") == state.store_id
        if ours and (facts["removals"], facts["next_id"]) > (state.removals, state.next_id):
            raise MismatchError(path, "is newer than its metadata")
        if ours and facts["removals"] == state.removals:
            ids, rows = store.ids_and_hashes(facts["next_id"])
            parts = [*found.parts, RowShard.of(rows, ids)]
        else:
            parts = compared(path, found, store)
        if found.lists is not None and store.index_type != "ivf":
            # It was to become another kind, and its program was killed meanwhile.
            return cls([_in_order(_joined(parts))])
        one = cls(parts, found.lists)
        # Not that of the metadata, after a kill: it is written anew with the next change.
        one.rows_on_disk = found.number if ours or state.store_id is None else 0
        one._trained_on = facts.get("trained_on", 0)
        if facts.get("recall"):
            from photodna_nb.index.approximate import Recall

            one.recall = Recall.of_json(facts["recall"])
        return one

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(part.count for part in self._parts)

    def append(self, rows: NDArray[np.uint8], ids: NDArray[np.int64]) -> None:
        """Append rows (n, 144) under ids (n,), which are above all that there are."""
        if len(ids):
            self._parts.append(RowShard.of(checks.read_only(rows), ids))
        first = 1 if self._lists is None else len(self._lists.centroids)
        if len(self._parts) - first > _PARTS:
            self._parts[first:] = [_joined(self._parts[first:])]

    def remove(self, ids: Sequence[int]) -> None:
        """Remove the rows of those ids."""
        self._parts = _without(self._parts, np.array(ids, np.int64))

    def closest(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        *,
        orientations: bool,
        nprobe: int | None,
    ) -> list[OrientedMatches]:
        """Return the k nearest rows of each query, (q, 144), within a squared distance."""
        from photodna_nb.index import exact_search  # Numba is slow to import

        if not orientations:
            found = exact_search.closest(self._parts, queries, k, limit, self._lists, nprobe)
            return [OrientedMatches(*one, np.zeros(len(one.ids), np.intp)) for one in found]
        turned = hash_orientations.orientations(queries)
        ways = turned.shape[1]
        turned = turned.reshape(-1, HASH_BYTES)
        found = exact_search.closest(self._parts, turned, k, limit, self._lists, nprobe)
        return [_best_of(found[i : i + ways], k) for i in range(0, len(found), ways)]

    def content(self, index_type: IndexType) -> Iterator[Any]:
        """Return the content of the index file, in pieces; `facts` are right afterwards."""
        if index_type == "ivf":
            self._put_into_lists()
        else:
            self._lists, self.recall = None, None
        return faiss_file.content(index_type, self._parts, self._lists)

    def facts(self) -> dict[str, Any]:
        """Return what an index file says of these rows, as JSON can hold it."""
        recall = None if self.recall is None else self.recall.as_json()
        return {"trained_on": self._trained_on, "recall": recall}

    def _put_into_lists(self) -> None:
        """Have all rows in lists, as the approximate kind has them, and measure its recall."""
        from photodna_nb.index import approximate

        every = _joined(self._parts)
        if self._lists is None or len(self) >= _GROWTH * self._trained_on:
            # The other parts need not be held meanwhile.
            self._parts, self._lists, self.recall = [every], None, None
            centroids = approximate.trained(every)
            parts = approximate.lists_of(every, centroids)
            self._trained_on = len(self)
        else:
            centroids, parts = self._lists.centroids, self._parts
            added = approximate.lists_of(_joined(parts[len(centroids) :]), centroids)
            parts = [
                _joined([one, other]) if other.count else one
                for one, other in zip(parts, added, strict=False)
            ]
        lists, self.recall = approximate.tuned(parts, centroids, every)
        self._parts, self._lists = parts, lists


def compared(path: str, found: IndexFile, store: MetadataStore) -> list[RowShard]:
    """Return the rows of the metadata, once those of the index file are the same.

    The file may be of an earlier moment: lack the last items, and have some that
    have been removed since.

    Raises
    ------
    IndexFileError
        A row is another one than in the metadata, or the file is damaged.
    """

    def other(what: str) -> MismatchError:
        return MismatchError(path, f"does not belong to its metadata: {what}")

    next_id = store.state().next_id
    ids, rows = store.ids_and_hashes()
    rows_on_disk = np.concatenate([np.empty(0, np.int64), *(part.ids for part in found.parts)])
    there = np.ones(len(rows_on_disk), bool)
    if len(rows_on_disk) and (rows_on_disk.min() < 0 or rows_on_disk.max() >= next_id):
        raise other(f"it holds id {rows_on_disk.max()}, and the metadata expects {next_id} next")
    if not np.array_equal(
        rows_on_disk, ids[: len(rows_on_disk)]
    ):  # as it is, but for old files and lists
        if len(np.unique(rows_on_disk)) < len(rows_on_disk):
            raise MismatchError(path, "has two rows with the same id")
        there = np.isin(rows_on_disk, ids)
        if not np.array_equal(np.sort(rows_on_disk[there]), ids[: there.sum()]):
            sizes = f"it holds {len(rows_on_disk)} items, the metadata {len(ids)}"
            raise other(f"{sizes}, and their ids differ")
    ends = np.cumsum([part.count for part in found.parts]).tolist()
    for part, end in zip(found.parts, ends, strict=True):
        here = there[end - part.count : end]
        mine = part.rows if here.all() else part.rows[here]
        places = np.searchsorted(ids, part.ids[here])
        # SearchRows that lie side by side are looked at where they are.
        beside = len(places) > 0 and bool((np.diff(places) == 1).all())
        theirs = rows[places[0] : places[-1] + 1] if beside else rows[places]
        if not np.array_equal(mine, theirs):
            first = np.flatnonzero((mine != rows[places]).any(axis=1))[0]
            raise other(f"their hashes differ, of id {part.ids[here][first]} first")
    if found.lists is None:
        return [RowShard.of(rows, ids)]
    rest = int(there.sum())
    return [*_without(found.parts, rows_on_disk[~there]), RowShard.of(rows[rest:], ids[rest:])]


def _best_of(found: Sequence[RowMatches], k: int) -> OrientedMatches:
    """Return each item once, in its closest orientation, the first one of equal ones."""
    distances = np.concatenate([one.distances for one in found])
    ids = np.concatenate([one.ids for one in found])
    ways = np.repeat(np.arange(len(found)), [len(one.ids) for one in found])
    order = np.lexsort((ways, ids, distances))
    _, first = np.unique(ids[order], return_index=True)
    order = order[np.sort(first)[:k]]
    return OrientedMatches(distances[order], ids[order], ways[order])


def _joined(parts: Sequence[RowShard]) -> RowShard:
    """Return the rows of all parts as one."""
    if len(parts) == 1:
        return parts[0]
    rows = [np.empty((0, HASH_BYTES), np.uint8), *(part.rows for part in parts)]
    ids = [np.empty(0, np.int64), *(part.ids for part in parts)]
    return RowShard.of(np.concatenate(rows), np.concatenate(ids))


def _in_order(part: RowShard) -> RowShard:
    """Return the rows in the order of their ids."""
    order = np.argsort(part.ids, kind="stable")
    return RowShard.of(part.rows[order], part.ids[order])


def _without(parts: Sequence[RowShard], ids: NDArray[np.int64]) -> list[RowShard]:
    """Return the parts without the rows of those ids."""
    kept = []
    for part in parts:
        stay = ~np.isin(part.ids, ids)
        kept.append(part if stay.all() else RowShard.of(part.rows[stay], part.ids[stay]))
    return kept
