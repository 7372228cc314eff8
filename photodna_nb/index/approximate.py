"""The approximate kind: rows in lists around centroids, and how much of the truth they find.

FAISS trains the centroids; they are rounded to bytes, so that which list a row goes
to is decided in integers, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.index import exact_search
from photodna_nb.index.faiss_file import Lists, RowShard
from photodna_nb.pairs import all_pairs
from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED

# Of the copies at the larger of these distances, so many are to be found.
AIM = 0.99
COPIES_AT = (100, 200)

_SEED = 20261122
_ROWS_A_CENTROID = 40
_QUERIES = 500
_NEAREST = 10
_ROUNDS = 10


@dataclass(frozen=True)
class Recall:
    """What share of the exact answers an approximate index finds, measured when it is built.

    Attributes
    ----------
    lists, nprobe : int
        How many lists there are, and how many of them a query looks into.
    queries : int
        Items that were drawn, the same ones for the same number of items.
    copies_at : dict of int to float
        Of the items within L2 100 and 200 of a drawn item that was moved nearly so far in
        a random direction, the share that is found: as copies of an image lie.
    nearest : float
        Of the 10 nearest other items of a drawn one, the share that is found. Unrelated
        images count here, so this is the harder number.
    """

    lists: int
    nprobe: int
    queries: int
    copies_at: dict[int, float]
    nearest: float

    def __str__(self) -> str:
        copies = ", ".join(f"{share:.4f} within {at}" for at, share in self.copies_at.items())
        return (
            f"recall against the exact answer, {self.queries} queries: {copies}; "
            f"{self.nearest:.4f} of the {_NEAREST} nearest "
            f"({self.nprobe} of {self.lists} lists searched)"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the values as JSON can hold them."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Recall:
        """Return what `as_json` gave."""
        copies = {int(at): share for at, share in values["copies_at"].items()}
        return cls(**{**values, "copies_at": copies})


def trained(every: RowShard) -> NDArray[np.uint8]:
    """Return centroids, (l, 144) uint8, for n rows, about sqrt(n) of them.

    Notes
    -----
    FAISS's k-means on at most 40 rows a centroid, from a fixed seed.
    """
    import faiss

    if not every.count:
        return np.zeros((1, HASH_BYTES), np.uint8)
    number = max(1, min(every.count // _ROWS_A_CENTROID, round(every.count**0.5)))
    sample = every.rows[_shuffled(every)[: _ROWS_A_CENTROID * number]].astype(np.float32)
    if number == 1:
        return _rounded(sample.mean(axis=0, keepdims=True))
    kmeans = faiss.Kmeans(
        HASH_BYTES,
        number,
        niter=_ROUNDS,
        seed=_SEED,
        max_points_per_centroid=_ROWS_A_CENTROID,
        min_points_per_centroid=1,
    )
    kmeans.train(sample)
    return _rounded(kmeans.centroids)


def lists_of(part: RowShard, centroids: NDArray[np.uint8]) -> list[RowShard]:
    """Return the rows of each centroid, in the order of their ids."""
    nearest = all_pairs.nearest(part.rows, centroids, metric="sqeuclidean").indices[:, 0]
    order = np.lexsort((part.ids, nearest))
    ends = np.searchsorted(nearest[order], np.arange(len(centroids) + 1)).tolist()
    rows, ids = part.rows[order], part.ids[order]
    return [RowShard.of(rows[start:stop], ids[start:stop]) for start, stop in pairwise(ends)]


def tuned(
    lists: Sequence[RowShard], centroids: NDArray[np.uint8], every: RowShard
) -> tuple[Lists, Recall]:
    """Return how many lists are to be looked into, for `AIM`, and what is found then.

    Parameters
    ----------
    lists : sequence of RowShard
        From `lists_of`.
    centroids : ndarray of uint8, (l, 144)
        Theirs.
    every : RowShard
        All rows, for the exact answers.
    """
    generator = np.random.default_rng(_SEED)
    # From the end: at the beginning are those that the centroids were trained on.
    some = every.rows[_shuffled(every)[-_QUERIES:]]
    copies = [_moved(some, 0.95 * at, generator) for at in COPIES_AT]

    def recall_of(queries: NDArray[np.uint8], k: int, limit: int) -> Callable[[int], float]:
        exact = exact_search.closest([every], queries, k, limit)
        number = sum(len(found.ids) for found in exact)

        def at(nprobe: int) -> float:
            found = exact_search.closest(lists, queries, k, limit, Lists(centroids, nprobe))
            both = zip(found, exact, strict=True)
            # Equal distances may be found under other ids.
            hits = sum(int(np.isin(a.distances, b.distances).sum()) for a, b in both)
            return min(1.0, hits / number) if number else 1.0

        return at

    near = [
        recall_of(moved, _NEAREST, at * at) for moved, at in zip(copies, COPIES_AT, strict=True)
    ]
    nprobe = 1
    while nprobe < len(centroids) and near[-1](nprobe) < AIM:
        nprobe *= 2
    nprobe = min(nprobe, len(centroids))
    found = [one(nprobe) for one in near]
    # The first one of eleven is the row itself, in both answers.
    nearest = recall_of(some, _NEAREST + 1, MAX_DISTANCE_SQUARED)(nprobe)
    nearest = max(0.0, (nearest * (_NEAREST + 1) - 1) / _NEAREST)
    recall = Recall(
        len(centroids), nprobe, len(some), dict(zip(COPIES_AT, found, strict=True)), nearest
    )
    return Lists(centroids, nprobe), recall


def _shuffled(every: RowShard) -> NDArray[np.intp]:
    """Return the places of all rows, in an order that depends on nothing but their ids."""
    order = np.random.default_rng(_SEED).permutation(every.count)
    return np.argsort(every.ids, kind="stable")[order]


def _moved(
    rows: NDArray[np.uint8], distance: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return rows moved in random directions, and not beyond a byte."""
    steps = generator.normal(size=rows.shape)
    steps *= distance / np.linalg.norm(steps, axis=1, keepdims=True)
    return _rounded(rows + steps)


def _rounded(values: Any) -> NDArray[np.uint8]:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
