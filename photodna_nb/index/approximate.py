"""The approximate types: an index that FAISS trains and searches, and its recall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index import exact_search, index_types
from photodna_nb.index.faiss_file import RowSegment
from photodna_nb.index.faiss_runtime import faiss_threads
from photodna_nb.index.faiss_search import CandidateSource, nearest_candidates
from photodna_nb.index.records import RowMatches
from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED

Lookup = Callable[[NDArray[np.int64]], tuple[NDArray[np.bool_], NDArray[np.uint8]]]

# Recall of copies at the larger of the distances that the default effort reaches.
RECALL_TARGET = 0.99
COPY_DISTANCES = (100, 200)
NEAREST = 10
QUERIES = 500
MAX_EF_SEARCH = 1024

_SEED = 20261122
_TRAINING_ITEMS_PER_LIST, _TRAINING_ITEMS = 64, 1 << 16
_ITERATIONS = 10
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class IndexRecall:
    """Shares of the exact answers that an approximate index finds, measured when it is built.

    Attributes
    ----------
    queries : int
        Number of items that were drawn as queries. They were held out from the training,
        where there were enough others.
    copies : dict of int to float
        Recall of the items within L2 100 and within 200 of a drawn item that was perturbed
        nearly so far in a random direction: as copies of an image lie.
    nearest : float
        Recall of the 10 nearest other items of a drawn item. These are unrelated images
        mostly, and harder to find.
    parameter : {"nprobe", "ef_search"}
        The search parameter of the type.
    effort : int
        Its default value, with which the recall was measured.
    """

    queries: int
    copies: dict[int, float]
    nearest: float
    parameter: str
    effort: int

    def __str__(self) -> str:
        copies = ", ".join(f"{share:.4f} within L2 {at}" for at, share in self.copies.items())
        return (
            f"recall against the exact answer, {self.queries} queries, {self.parameter} "
            f"{self.effort}: {copies}; {self.nearest:.4f} of the {NEAREST} nearest"
        )


class ApproximateIndex:
    """An index of FAISS, whose candidates are decided in integers.

    Attributes
    ----------
    faiss_index : faiss.Index
        With the ids of the items.
    index_type : IndexType
        Its type.
    recall : IndexRecall
        Measured when it was built.
    n_built : int
        Number of items when it was built.
    n_removed : int
        Number of its rows whose items have been removed since.
    """

    def __init__(self, faiss_index: Any, name: str, recall: IndexRecall, n_built: int) -> None:
        self.faiss_index = faiss_index
        self.index_type = index_types.parse(name)
        self.recall, self.n_built = recall, n_built
        self.n_removed = 0

    def __len__(self) -> int:
        """Return the number of items."""
        return int(self.faiss_index.ntotal) - self.n_removed

    @classmethod
    def build(cls, name: str, items: RowSegment) -> ApproximateIndex:
        """Return an index of the items, trained on one thread from a fixed seed.

        Raises
        ------
        ArgumentError
            There are too few items for the type.
        """
        import faiss

        index_type = index_types.parse(name)
        index_type.check_items(items.count)
        order = np.random.default_rng(_SEED).permutation(items.count)
        # The queries of the recall are held out, where most items remain.
        training = order[:-QUERIES] if items.count >= 4 * QUERIES else order
        most = max(_TRAINING_ITEMS_PER_LIST * index_type.lists, _TRAINING_ITEMS)
        training = (training if len(training) >= index_type.least_items else order)[:most]
        with faiss_threads(1):
            index: Any = faiss.index_factory(
                HASH_BYTES, "IDMap2," * (not index_type.lists) + name, faiss.METRIC_L2
            )
            if index_type.lists:
                index.cp.seed, index.cp.niter = _SEED, _ITERATIONS
                index.cp.max_points_per_centroid = _TRAINING_ITEMS_PER_LIST
                index.cp.min_points_per_centroid = 1
            # No items are left after removals: the first that are added train it anew.
            rows = items.rows[np.sort(training)] if items.count else np.zeros((1, HASH_BYTES))
            index.train(rows.astype("f4"))
        built = cls(index, name, IndexRecall(0, {}, 0.0, "", 0), items.count)
        built.add(items)
        built.recall = built._tuned(items, order[-QUERIES:])
        return built

    @classmethod
    def read(cls, path: str, content: memoryview, header: dict[str, Any]) -> ApproximateIndex:
        """Return the index in the content of a file, whose checksums held.

        Raises
        ------
        IndexFileError
            It is another index than the header says.
        """
        import faiss

        try:
            index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
            recall = msgspec.convert(header["recall"], IndexRecall, strict=False)
            read = cls(index, header["index_type"], recall, header["n_built"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise IndexFileError(path, f"is damaged ({error})") from error
        if (index.d, index.metric_type) != (HASH_BYTES, faiss.METRIC_L2) or not index.is_trained:
            raise IndexFileError(path, "is damaged: it is no index over hashes")
        return read

    def content(self) -> Iterator[Any]:
        """Yield the content of the file, without rows that were removed."""
        import faiss

        yield faiss.serialize_index(self.faiss_index).data

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all rows, also of those that were removed, ascending."""
        import faiss

        if not self.index_type.lists:
            return np.sort(faiss.vector_to_array(self.faiss_index.id_map))
        lists = self.faiss_index.invlists
        ids = [
            faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
            for number in range(lists.nlist)
            if (size := lists.list_size(number))
        ]
        return np.sort(np.concatenate(ids)) if ids else np.empty(0, np.int64)

    def add(self, items: RowSegment) -> None:
        """Add items; on one thread, so that the same items give the same index."""
        with faiss_threads(1):
            for start in range(0, items.count, _ROWS_AT_ONCE):
                chunk = slice(start, start + _ROWS_AT_ONCE)
                self.faiss_index.add_with_ids(items.rows[chunk].astype("f4"), items.ids[chunk])

    def drop_removed(self, removed: NDArray[np.int64]) -> None:
        """Remove the rows of those ids, where the type can."""
        self.faiss_index.remove_ids(removed)
        self.n_removed = 0

    def search(
        self,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        lookup: Lookup,
        effort: int | None = None,
    ) -> list[RowMatches]:
        """Return the k nearest of the candidates of each query, within a squared distance.

        lookup: returns which of ids, (m,), there are, and their hashes; effort: the search
        parameter of the type, if not its default.
        """
        import faiss

        kinds: Any = faiss  # its stubs lack the keywords
        params = None
        if effort is not None and self.index_type.lists:
            params = kinds.SearchParametersIVF(nprobe=min(effort, self.index_type.lists))
        elif effort is not None:
            params = kinds.SearchParametersHNSW(efSearch=min(effort, self.faiss_index.ntotal))
        source = CandidateSource(self.faiss_index, False, lookup)
        return nearest_candidates(source, queries, k, limit, params)

    def _tuned(self, items: RowSegment, drawn: NDArray[np.intp]) -> IndexRecall:
        """Return the recall with the least effort that reaches the aim, which becomes the default.

        The effort is the number of lists, or the number of candidates in the graph; it is
        doubled until the aim is reached.
        """
        lists = self.index_type.lists
        originals = items.rows[drawn]
        generator = np.random.default_rng(_SEED)
        perturbed = [_perturbed(originals, 0.95 * at, generator) for at in COPY_DISTANCES]
        exact = [
            exact_search.nearest_rows([items], rows, NEAREST, at * at)
            for rows, at in zip(perturbed, COPY_DISTANCES, strict=True)
        ]
        effort, most = (1, lists) if lists else (16, MAX_EF_SEARCH)
        while True:
            self._set_effort(effort)
            copies = [
                self._recall(items, rows, NEAREST, at * at, answers)
                for rows, at, answers in zip(perturbed, COPY_DISTANCES, exact, strict=True)
            ]
            if copies[-1] >= RECALL_TARGET or effort >= most:
                break
            effort = min(most, 2 * effort)
        # The nearest of eleven is the drawn item itself, in both answers.
        exact_nearest = exact_search.nearest_rows(
            [items], originals, NEAREST + 1, MAX_DISTANCE_SQUARED
        )
        share = self._recall(items, originals, NEAREST + 1, MAX_DISTANCE_SQUARED, exact_nearest)
        nearest = max(0.0, (share * (NEAREST + 1) - 1) / NEAREST)
        parameter = "nprobe" if lists else "ef_search"
        return IndexRecall(
            len(drawn), dict(zip(COPY_DISTANCES, copies, strict=True)), nearest, parameter, effort
        )

    def _set_effort(self, effort: int) -> None:
        import faiss

        if self.index_type.lists:
            self.faiss_index.nprobe = effort
        else:
            graph: Any = faiss.downcast_index(self.faiss_index.index)
            graph.hnsw.efSearch = effort

    def _recall(
        self,
        items: RowSegment,
        queries: NDArray[np.uint8],
        k: int,
        limit: int,
        exact: list[RowMatches],
    ) -> float:
        """Return the share of the exact answers that is found, 1.0 if there are none."""

        def lookup(ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
            return np.ones(len(ids), bool), items.rows[np.searchsorted(items.ids, ids)]

        answers = self.search(queries, k, limit, lookup)
        number = sum(len(one.ids) for one in exact)
        # Equal distances may be found under other ids.
        pairs = zip(answers, exact, strict=True)
        hits = sum(int(np.isin(a.distances, b.distances).sum()) for a, b in pairs)
        return min(1.0, hits / number) if number else 1.0


def _perturbed(
    rows: NDArray[np.uint8], distance: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return rows moved so far in random directions, rounded and clipped to a byte."""
    steps = generator.normal(size=rows.shape)
    steps *= distance / np.linalg.norm(steps, axis=1, keepdims=True)
    return np.rint(rows + steps).clip(0, 255).astype(np.uint8)
