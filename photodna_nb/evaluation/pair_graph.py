"""Dependence of impostor pairs where only some pairs of images were compared.

They are labelled pairs, or pairs across two classes of images.

Images are the nodes of a graph, and compared pairs its edges. Where every image is compared with
every other, `dyadic_dependence` gives the same numbers.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.dependence import (
    DyadicDependence,
    Floats,
    Integers,
    SortedImpostorPairs,
)

# With fewer disjoint pairs, the dependence of all pairs cannot be estimated.
_MIN_DISJOINT = 10


@dataclass(frozen=True, eq=False)
class GraphDependence(DyadicDependence):
    """Variance components of the rate at which compared pairs match, and the variance itself.

    Attributes
    ----------
    graph_variance : ndarray of float64, (t,)
        Variance of the rate over corpora of images that are compared in the same pairs.
    """

    graph_variance: Floats

    def variance(self, images: int) -> Floats:
        """Return the variance of the rate, (t,); the number of images is that of the graph."""
        return self.graph_variance


class ComparedPairs(ABC):
    """The pairs of images that were compared, where not all of them were.

    Attributes
    ----------
    images : int
        Number n of images.
    n_pairs : int
        Number of pairs.
    pairs_per_dyad : int
        Number of pairs of a dyad, rounded up.
    degree : ndarray, (n,)
        Number of pairs of each image.
    same_pairs : float
        Sum over the dyads of the squared number of their pairs.
    disjoint_partners : ndarray of int64, (n,)
        The other image of each image's disjoint dyad, -1 for one that is left over.
    """

    images: int

    @property
    @abstractmethod
    def n_pairs(self) -> int:
        """Number of pairs."""

    @property
    @abstractmethod
    def pairs_per_dyad(self) -> int:
        """Number of pairs of a dyad, rounded up."""

    @property
    @abstractmethod
    def degree(self) -> NDArray[Any]:
        """Number of pairs of each image, (n,)."""

    @property
    @abstractmethod
    def same_pairs(self) -> float:
        """Sum over the dyads of the squared number of their pairs."""

    @cached_property
    @abstractmethod
    def disjoint_partners(self) -> Integers:
        """The other image of each image's disjoint dyad, -1 for one that is left over, (n,)."""

    @property
    def shows_dependence(self) -> bool:
        """Whether there are enough disjoint pairs to estimate the dependence of all."""
        return int((self.disjoint_partners >= 0).sum()) // 2 >= _MIN_DISJOINT

    def dependence(self, impostors: SortedImpostorPairs) -> GraphDependence:
        """Return the variance components of the rate at which the pairs match.

        Notes
        -----
        As in `dyadic_dependence`, products x x' of two pairs are averaged over pairs of one dyad,
        of dyads with one image in common and of disjoint dyads; here only compared pairs count.
        With c_i of the d_i pairs of image i matching, the degrees of freedom are
        (sum s_i²)² / sum s_i⁴, and the leverage is the largest s_i, for s_i = c_i - rate d_i.
        """
        n, pairs, thresholds = self.images, self.n_pairs, impostors.cutoff + 1
        degree, same_pairs = self.degree, self.same_pairs
        sharing_pairs = float((degree.astype(float) ** 2).sum()) - 2 * same_pairs
        disjoint_pairs = float(pairs) ** 2 - sharing_pairs - same_pairs
        stop = np.searchsorted(impostors.distance_bin, np.arange(thresholds), side="right")
        columns = np.zeros((6, thresholds))
        columns[-1] = n - 1
        count, same, done = np.zeros(n), 0.0, 0
        for threshold in range(thresholds):
            if stop[threshold] == done:
                columns[:, threshold] = columns[:, threshold - 1] if threshold else columns[:, 0]
                continue
            new = slice(done, stop[threshold])
            done = int(stop[threshold])
            count += np.bincount(np.r_[impostors.i[new], impostors.j[new]], minlength=n)
            same += float((2 * impostors.n_earlier_in_dyad[new] + 1).sum())
            score = count - done / pairs * degree
            sharing = float(count @ count) - 2 * same
            mean_squared = max(done**2 - sharing - same, 0.0) / max(disjoint_pairs, 1.0)
            zeta1 = max(sharing / max(sharing_pairs, 1.0) - mean_squared, 0.0)
            zeta2 = max(same / same_pairs - mean_squared, 0.0)
            squares = score**2
            fourth = float(squares @ squares)
            columns[:, threshold] = (
                zeta1,
                zeta2,
                (sharing_pairs * zeta1 + same_pairs * zeta2) / pairs**2,
                max(score.max(), 0.0) * n / (2 * pairs),
                max(-score.min(), 0.0) * n / (2 * pairs),
                float(squares.sum()) ** 2 / fourth if fourth > 0 else n - 1,
            )
        zeta1s, zeta2s, variance, above, below, freedom = columns
        matches = stop.astype(np.int64)
        return GraphDependence(
            matches,
            matches / pairs,
            zeta1s,
            zeta2s,
            above,
            below,
            np.clip(freedom, 1, max(n - 1, 1)),
            variance,
        )


@dataclass(frozen=True, eq=False)
class PairGraph(ComparedPairs):
    """The pairs of images that were compared, labelled or counted one by one.

    Attributes
    ----------
    i, j : ndarray of int64, (p,)
        Numbers of the two images of each pair, from 0; a dyad may occur several times.
    images : int
        Number n of images, each of which is in a pair.
    seed : int
        Seed of the choice of disjoint pairs.
    """

    i: Integers
    j: Integers
    images: int
    seed: int = 0

    @cached_property
    def disjoint_partners(self) -> Integers:
        """The other image of each image's disjoint dyad, -1 for one that is left over, (n,).

        The pairs are a maximal matching of the graph: no further pair is disjoint from all of them.
        The image with the fewest remaining partners is matched first, with its partner that has
        the fewest, and by the seed among equals. They are as many as possible if the graph has no
        cycle, and at least half as many otherwise (Karp and Sipser, "Maximum matchings in sparse
        random graphs", FOCS 1981). Distances play no part.
        """
        neighbours: list[set[int]] = [set() for _ in range(self.images)]
        for a, b in zip(self.i.tolist(), self.j.tolist(), strict=True):
            neighbours[a].add(b)
            neighbours[b].add(a)
        tie = np.random.PCG64(self.seed).random_raw(self.images).tolist()
        partner = np.full(self.images, -1)
        queue = [(len(others), tie[one], one) for one, others in enumerate(neighbours)]
        heapq.heapify(queue)
        while queue:
            degree, _, one = heapq.heappop(queue)
            if not degree or degree != len(neighbours[one]):
                continue  # it is matched, or is in the queue again
            other = min(neighbours[one], key=lambda node: (len(neighbours[node]), tie[node]))
            partner[one], partner[other] = other, one
            for matched in (one, other):
                for node in neighbours[matched]:
                    neighbours[node].discard(matched)
                    heapq.heappush(queue, (len(neighbours[node]), tie[node], node))
                neighbours[matched] = set()
        return partner

    @cached_property
    def pairs_of_dyads(self) -> Integers:
        """The number of pairs of each dyad that was compared."""
        dyads = np.minimum(self.i, self.j) * self.images + np.maximum(self.i, self.j)
        return np.unique(dyads, return_counts=True)[1]

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.i)

    @property
    def pairs_per_dyad(self) -> int:
        """Number of pairs of a dyad, rounded up."""
        return -(-len(self.i) // len(self.pairs_of_dyads))

    @property
    def degree(self) -> NDArray[Any]:
        """Number of pairs of each image, (n,)."""
        return np.bincount(np.r_[self.i, self.j], minlength=self.images)

    @property
    def same_pairs(self) -> float:
        """Sum over the dyads of the squared number of their pairs."""
        return float((self.pairs_of_dyads.astype(float) ** 2).sum())


@dataclass(frozen=True, eq=False)
class PairsAcross(ComparedPairs):
    """All pairs of an image of one class and an image of another.

    Attributes
    ----------
    in_second : ndarray of bool, (n,)
        Which images are of the second class.
    pairs : int
        Number of pairs; every dyad has the same number of them, but for few.
    seed : int
        Seed of the choice of disjoint pairs.
    """

    in_second: NDArray[np.bool_]
    pairs: int
    seed: int = 0

    @property
    def images(self) -> int:  # type: ignore[override]
        """Number of images of both classes."""
        return len(self.in_second)

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return self.pairs

    @property
    def _sizes(self) -> NDArray[np.int64]:
        """Number of images of the class of each image, (n,)."""
        return np.bincount(self.in_second, minlength=2)[self.in_second.astype(np.int64)]

    @property
    def _dyads(self) -> int:
        return int(self.in_second.sum()) * int((~self.in_second).sum())

    @property
    def pairs_per_dyad(self) -> int:
        """Number of pairs of a dyad, rounded up."""
        return -(-self.pairs // self._dyads)

    @property
    def degree(self) -> NDArray[Any]:
        """Number of pairs of each image, (n,)."""
        return self.pairs / self._sizes

    @property
    def same_pairs(self) -> float:
        """Sum over the dyads of the squared number of their pairs."""
        return self.pairs**2 / self._dyads

    @cached_property
    def disjoint_partners(self) -> Integers:
        """The other image of each image's disjoint dyad, -1 for one that is left over, (n,).

        The images of each class are put into a random order, and those at the same place are a
        dyad.
        """
        random = np.random.PCG64(self.seed).random_raw(self.images)
        first, second = (
            rows[np.argsort(random[rows], kind="stable")]
            for rows in (np.flatnonzero(~self.in_second), np.flatnonzero(self.in_second))
        )
        number = min(len(first), len(second))
        partner = np.full(self.images, -1)
        partner[first[:number]], partner[second[:number]] = second[:number], first[:number]
        return partner


def disjoint_partners(run_number: NDArray[Any], seed: int) -> Integers:
    """Return the other image of each image's disjoint dyad, -1 for one that is left over."""
    # NumPy guarantees that the raw stream stays the same; it does not for permutations.
    random = np.random.PCG64(seed).random_raw(len(run_number))
    partner = np.full(len(run_number), -1)
    for number in np.unique(run_number):
        members = np.flatnonzero(run_number == number)
        order = members[np.argsort(random[members], kind="stable")]
        half = len(order) // 2
        first, second = order[:half], order[half : 2 * half]
        partner[first], partner[second] = second, first
    return partner
