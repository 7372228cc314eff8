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
from photodna_nb.index.faiss_search import CandidateSource, faiss_threads, nearest_candidates
from photodna_nb.index.records import RowMatches
from photodna_nb.index.row_segments import RowSegment
from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED
from photodna_nb.printable import short_repr

Lookup = Callable[[NDArray[np.int64]], tuple[NDArray[np.bool_], NDArray[np.uint8]]]

# Recall of perturbed queries, at the larger of the distances, that the default of the search
# parameter reaches.
RECALL_TARGET = 0.99
PERTURBATIONS = (100, 200)
NEAREST = 10
QUERIES = 500
MAX_EF_SEARCH = 1024

_SEED = 20261122
_TRAINING_ITEMS_PER_LIST, _TRAINING_ITEMS = 64, 1 << 16
_ITERATIONS = 10
_ROWS_AT_ONCE = 1 << 14
# Keys of the recall in files of an earlier version.
_FORMER_KEYS = {"copies": "perturbed", "effort": "value"}


@short_repr
@dataclass(frozen=True)
class IndexRecall:
    """Shares of the exact answers that an approximate index finds, measured when it is built.

    Attributes
    ----------
    queries : int
        Number of items that were drawn as queries. They were held out from the training,
        where there were enough others.
    perturbed : dict of int to float
        Recall, by L2 distance d, of the items within d of a query that is an item perturbed
        in a random direction by nearly d. The distances are 100 and 200; such queries lie as
        variants of an image do.
    nearest : float
        Recall of the 10 nearest other items of a query that is an item. Most of these are
        unrelated images, which are harder to find.
    parameter : {"nprobe", "ef_search"}
        Name of the search parameter of the index type.
    value : int
        Value of the search parameter with which the recall was measured; the default of a search.
    """

    queries: int
    perturbed: dict[int, float]
    nearest: float
    parameter: str
    value: int

    def __str__(self) -> str:
        perturbed = ", ".join(f"{share:.4f} within L2 {d}" for d, share in self.perturbed.items())
        return (
            f"recall against the exact answer, {self.queries} queries, {self.parameter} "
            f"{self.value}: {perturbed}; {self.nearest:.4f} of the {NEAREST} nearest"
        )


class ApproximateIndex:
    """An index of FAISS, whose candidates are re-ranked with exact integer distances.

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
        self.index_type: index_types.IndexType = index_types.parse(name)
        self.recall: IndexRecall = recall
        self.n_built: int = n_built
        self.n_removed: int = 0

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
        most = max(_TRAINING_ITEMS_PER_LIST * index_type.nlist, _TRAINING_ITEMS)
        training = (training if len(training) >= index_type.least_items else order)[:most]
        with faiss_threads(1):
            index: Any = faiss.index_factory(
                HASH_BYTES, "IDMap2," * (not index_type.nlist) + name, faiss.METRIC_L2
            )
            if index_type.nlist:
                index.cp.seed, index.cp.niter = _SEED, _ITERATIONS
                index.cp.max_points_per_centroid = _TRAINING_ITEMS_PER_LIST
                index.cp.min_points_per_centroid = 1
            # No items are left after removals: the first that are added train it anew.
            rows = items.rows[np.sort(training)] if items.count else np.zeros((1, HASH_BYTES))
            index.train(rows.astype("f4"))
        built = cls(index, name, IndexRecall(0, {}, 0.0, "", 0), items.count)
        built.add(items)
        built.recall = built._measure_recall(items, order[-QUERIES:])
        return built

    @classmethod
    def read(cls, path: str, content: memoryview, header: dict[str, Any]) -> ApproximateIndex:
        """Return the index in the content of a file whose checksums match.

        Raises
        ------
        IndexFileError
            It is another index than the header says.
        """
        import faiss

        try:
            index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
            recall_values = {_FORMER_KEYS.get(k, k): v for k, v in header["recall"].items()}
            recall = msgspec.convert(recall_values, IndexRecall, strict=False)
            read = cls(index, header["index_type"], recall, header["n_built"])
        except (RuntimeError, KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
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

        if not self.index_type.nlist:
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
        search_parameter: int | None = None,
    ) -> list[RowMatches]:
        """Return the k nearest of the candidates of each query, within a squared distance.

        lookup: returns which of ids, (m,), there are, and their hashes; search_parameter: nprobe
        or efSearch, if not the default.
        """
        import faiss

        kinds: Any = faiss  # its stubs lack the keywords
        params = None
        if search_parameter is not None and self.index_type.nlist:
            params = kinds.SearchParametersIVF(nprobe=min(search_parameter, self.index_type.nlist))
        elif search_parameter is not None:
            params = kinds.SearchParametersHNSW(
                efSearch=min(search_parameter, self.faiss_index.ntotal)
            )
        source = CandidateSource(self.faiss_index, False, lookup)
        return nearest_candidates(source, queries, k, limit, params)

    def _measure_recall(self, items: RowSegment, drawn: NDArray[np.intp]) -> IndexRecall:
        """Return the recall with the least search parameter that reaches the target, and keep it.

        The parameter, nprobe or efSearch, is doubled until the target is reached. It becomes the
        default.
        """
        nlist = self.index_type.nlist
        originals = items.rows[drawn]
        generator = np.random.default_rng(_SEED)
        perturbed = [_perturbed(originals, 0.95 * at, generator) for at in PERTURBATIONS]
        exact = [
            exact_search.nearest_rows([items], rows, NEAREST, at * at)
            for rows, at in zip(perturbed, PERTURBATIONS, strict=True)
        ]
        parameter, value, most = ("nprobe", 1, nlist) if nlist else ("ef_search", 16, MAX_EF_SEARCH)
        while True:
            self._set_search_parameter(value)
            recalls = [
                self._recall_of(items, rows, NEAREST, at * at, answers)
                for rows, at, answers in zip(perturbed, PERTURBATIONS, exact, strict=True)
            ]
            if recalls[-1] >= RECALL_TARGET or value >= most:
                break
            value = min(most, 2 * value)
        # The nearest of eleven is the drawn item itself, in both answers.
        exact_nearest = exact_search.nearest_rows(
            [items], originals, NEAREST + 1, MAX_DISTANCE_SQUARED
        )
        share = self._recall_of(items, originals, NEAREST + 1, MAX_DISTANCE_SQUARED, exact_nearest)
        nearest = max(0.0, (share * (NEAREST + 1) - 1) / NEAREST)
        return IndexRecall(
            len(drawn),
            dict(zip(PERTURBATIONS, recalls, strict=True)),
            nearest,
            parameter,
            value,
        )

    def _set_search_parameter(self, value: int) -> None:
        import faiss

        if self.index_type.nlist:
            self.faiss_index.nprobe = value
        else:
            graph: Any = faiss.downcast_index(self.faiss_index.index)
            graph.hnsw.efSearch = value

    def _recall_of(
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
