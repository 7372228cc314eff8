"""Corpora of hashes, of which the nearest impostor pairs are known, and parts of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import photodna_nb as pdna
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.dependence import ImpostorPairs, dyadic_dependence, sort_impostor_pairs
from photodna_nb.evaluation.intervals import FalseMatchRates, false_match_rates
from photodna_nb.evaluation.tail import Tail, join_limits
from photodna_nb.evaluation.tail_fit import fit_tail

PROPORTION = 0.01  # of the pairs of two originals, which are listed


@dataclass
class HashCorpus:
    """The nearest impostor pairs of images: all up to the cut-off."""

    name: str
    images: int
    per_dyad: int
    i: np.ndarray
    j: np.ndarray
    distance: np.ndarray
    cutoff: int

    @classmethod
    def of_hashes(cls, name: str, originals: np.ndarray, variants: np.ndarray) -> HashCorpus:
        """From hashes (n, 144) and those of their variants (v, n, 144)."""
        counts = np.cumsum(pdna.distance_histogram(originals).counts)
        cutoff = int(np.searchsorted(counts, PROPORTION * counts[-1]))
        columns = [pdna.pairs_within(originals, max_distance=cutoff)]
        columns += [pdna.pairs_within(one, originals, max_distance=cutoff) for one in variants]
        i, j, distance = (
            np.concatenate([getattr(column, key) for column in columns])
            for key in ("i", "j", "distance")
        )
        other = i != j  # the others are a variant and its own original
        per_dyad = 1 + 2 * len(variants)
        return cls(name, len(originals), per_dyad, i[other], j[other], distance[other], cutoff)

    @classmethod
    def of_run(cls, folder: str) -> HashCorpus:
        counts = Results.load(folder).counts
        number = np.cumsum(counts.compared) - 1
        images = int(counts.compared.sum())
        dyads = images * (images - 1) // 2
        per_dyad = -(-int(counts.impostor_histogram().sum()) // dyads)
        distance = counts.hasher.distances(counts.nearest.distance_squared)
        ends = number[counts.nearest.i], number[counts.nearest.j]
        return cls(folder, images, per_dyad, *ends, distance, counts.nearest_limit)

    def of(self, images: np.ndarray) -> HashCorpus:
        """Return some of the images as a corpus."""
        place = np.full(self.images, -1)
        place[images] = np.arange(len(images))
        i, j = place[self.i], place[self.j]
        inside = (i >= 0) & (j >= 0)
        columns = i[inside], j[inside], self.distance[inside]
        return HashCorpus(self.name, len(images), self.per_dyad, *columns, self.cutoff)

    @property
    def pairs(self) -> int:
        return self.images * (self.images - 1) // 2 * self.per_dyad

    def rates(self) -> np.ndarray:
        """Rate at each threshold up to the cut-off."""
        bins = np.ceil(self.distance).astype(int)
        return np.cumsum(np.bincount(bins, minlength=self.cutoff + 1)) / self.pairs

    def estimates(self, seed: int) -> tuple[FalseMatchRates, Tail]:
        impostors = ImpostorPairs(self.i, self.j, self.distance, self.cutoff)
        nearest_first = sort_impostor_pairs(impostors, self.images)
        matches = nearest_first.matches()
        counts = np.diff(np.r_[0, matches, self.pairs])
        nothing = ImpostorPairs(*np.zeros((3, 0), int), self.cutoff + 1)
        beyond = dyadic_dependence(nothing, self.images, self.pairs)
        rates = false_match_rates(
            counts, self.images, nearest_first, beyond_cutoff=beyond, seed=seed
        )
        return join_limits(rates, fit_tail(nearest_first, self.images, self.pairs, seed=seed))
