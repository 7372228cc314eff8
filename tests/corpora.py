"""Simulated corpora whose pairs share images, for the coverage of intervals.

Images are independent points of a latent space, so that the true false match rate is the
mean over many corpora; what makes pairs dependent differs from model to model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from photodna_nb.evaluation.dependence import ImpostorPairs
from photodna_nb.evaluation.intervals import FalseMatchRates, false_match_rates
from photodna_nb.evaluation.tail_fit import fit_tail

Points = np.ndarray
DIMENSIONS = 12
CELLS_PER_UNIT = 60
N_BINS = 600


def independent(n: int, rng: np.random.Generator) -> Points:
    """Nothing but the pairs themselves: the mildest case."""
    return rng.standard_normal((n, DIMENSIONS))


def _scenes(n: int, rng: np.random.Generator, number: int, power: float) -> Points:
    share = np.arange(1, number + 1) ** -power
    centres = np.random.default_rng(99).standard_normal((number, DIMENSIONS))
    scene = rng.choice(number, n, p=share / share.sum())
    return centres[scene] + 0.15 * rng.standard_normal((n, DIMENSIONS))


def scenes(n: int, rng: np.random.Generator) -> Points:
    """Clusters: some scenes are photographed more often than others."""
    return _scenes(n, rng, 2000, 0.7)


def famous_scenes(n: int, rng: np.random.Generator) -> Points:
    """Clusters: a few scenes make up much of the corpus."""
    return _scenes(n, rng, 5000, 1.2)


def _hubs(n: int, rng: np.random.Generator, share: float, radius: float) -> Points:
    points = rng.standard_normal((n, DIMENSIONS))
    points[rng.random(n) < share] *= radius
    return points


def hubs(n: int, rng: np.random.Generator) -> Points:
    """One image in fifty lies near all others, and nearer to its like."""
    return _hubs(n, rng, 0.02, 0.2)


def five_hubs(n: int, rng: np.random.Generator) -> Points:
    """Some five such images in a corpus, sometimes one or none."""
    return _hubs(n, rng, 5 / n, 0.3)


def one_hub(n: int, rng: np.random.Generator) -> Points:
    """Some one such image in a corpus, often none."""
    return _hubs(n, rng, 1 / n, 0.4)


def flatness(n: int, rng: np.random.Generator) -> Points:
    """Every image is flat to some degree, a few very much so."""
    return rng.standard_normal((n, DIMENSIONS)) * rng.random((n, 1)) ** 0.25


def heavy_flatness(n: int, rng: np.random.Generator) -> Points:
    """Flatness with a heavy tail."""
    radius = np.maximum(1 - 0.15 * rng.pareto(2.5, (n, 1)), 0)
    return rng.standard_normal((n, DIMENSIONS)) * radius


MODELS: tuple[Callable[[int, np.random.Generator], Points], ...] = (
    independent,
    scenes,
    famous_scenes,
    hubs,
    five_hubs,
    one_hub,
    flatness,
    heavy_flatness,
)


class Corpus(NamedTuple):
    """All distances of a corpus: the two images, and the integer cell of their distance."""

    i: np.ndarray
    j: np.ndarray
    cell: np.ndarray


def corpus(model, n: int, rng: np.random.Generator, variants: int = 0) -> Corpus:
    """Return a corpus; each image's variants, if any, are compared with all other images."""
    points = model(n, rng)
    i, j = np.triu_indices(n, 1)
    rows, columns, cells = [i], [j], [_cells(points, points)[i, j]]
    for _ in range(variants):
        edited = points + 0.3 * rng.standard_normal(points.shape)
        i, j = np.nonzero(~np.eye(n, dtype=bool))
        rows.append(i)
        columns.append(j)
        cells.append(_cells(edited, points)[i, j])
    return Corpus(*(np.concatenate(parts) for parts in (rows, columns, cells)))


def _cells(a: Points, b: Points) -> np.ndarray:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.ceil(CELLS_PER_UNIT * np.sqrt(np.maximum(squared, 0))).astype(np.int64)


def corpora(model, n: int, number: int, seed: int, variants: int = 0) -> Iterator[Corpus]:
    rng = np.random.default_rng([seed, n])
    for _ in range(number):
        yield corpus(model, n, rng, variants)


def counts_of(corpus: Corpus, cells: int) -> np.ndarray:
    return np.bincount(np.minimum(corpus.cell, cells - 1), minlength=cells)


def true_rates(model, n: int, number: int, seed: int, cells: int, variants: int = 0) -> np.ndarray:
    """Return the mean rate at every threshold over many corpora."""
    total = np.zeros(cells, np.int64)
    for one in corpora(model, n, number, seed, variants):
        total += counts_of(one, cells)
    return np.cumsum(total) / total.sum()


def rates_of(corpus: Corpus, n: int, cells: int, seed: int = 0) -> FalseMatchRates:
    """Return the rates and intervals of a corpus of which every pair is listed."""
    near = ImpostorPairs(corpus.i, corpus.j, np.minimum(corpus.cell, cells - 1), cells - 1)
    return false_match_rates(counts_of(corpus, cells), n, near, seed=seed)


@dataclass
class Coverage:
    """How often intervals held the truth where so many full dyads are expected to match."""

    expected: tuple[float, ...]
    counted: np.ndarray  # corpora that counted ten, by threshold
    covered: np.ndarray  # and whose interval held the truth
    few: np.ndarray  # the others
    bounded: np.ndarray  # and whose bound did
    firsts: dict[int, list[bool]]  # at the first threshold where so many full dyads match

    @property
    def pooled(self) -> float:
        return float(self.covered.sum() / self.counted.sum())


def coverage(
    model,
    n: int,
    number: int,
    seed: int,
    expected: tuple[float, ...],
    truths: int,
    cells: int,
    variants: int = 0,
) -> Coverage:
    """Return how often the intervals of many corpora hold the true rate."""
    truth = true_rates(model, n, truths, seed + 1, cells, variants)
    per_dyad = 1 + 2 * variants
    at = np.searchsorted(truth, np.array(expected) / (n * (n - 1) / 2))
    tallies = np.zeros((4, len(expected)), np.int64)
    firsts: dict[int, list[bool]] = {10: [], 20: [], 50: [], 200: []}
    for k, one in enumerate(corpora(model, n, number, seed, variants)):
        found = rates_of(one, n, cells, seed=k)
        inside = (found.lower <= truth) & (truth <= found.upper)
        enough = found.at_least_ten_matches[at]
        tallies += [
            enough,
            enough & inside[at],
            ~enough,
            ~enough & inside[at],
        ]
        for count, kept in firsts.items():
            kept.append(bool(inside[np.searchsorted(found.matches, count * per_dyad)]))
    return Coverage(expected, *tallies, firsts)


def power_law(images, power, end, seed, scale=900.0):
    """Independent distances whose tail is a power law throughout."""
    i, j = np.triu_indices(images, 1)
    distance = end + (scale - end) * np.random.default_rng(seed).random(len(i)) ** (1 / power)
    return i, j, distance


def fitted(i, j, distance, images, cutoff=700, **options):
    """Return the tail of the pairs within the cut-off."""
    near = distance <= cutoff
    pairs = ImpostorPairs(i[near], j[near], distance[near], cutoff)
    return fit_tail(pairs, images, len(distance), replicates=200, **options)


def with_duplicate(i, j, distance):
    """Return the same with one pair that shows one thing."""
    distance = distance.copy()
    distance[7] = 30.0
    return i, j, distance


def naive_dependence(i, j, distance, images, pairs, threshold):
    """By definition, over all pairs of pairs of images."""
    together = dict.fromkeys(itertools.combinations(range(images), 2), 0)
    for a, b, d in zip(i, j, distance, strict=True):
        if d <= threshold:
            together[min(a, b), max(a, b)] += 1
    each = pairs / len(together)
    x = {pair: matches / each for pair, matches in together.items()}
    same, sharing, apart = [], [], []
    for p, q in itertools.product(x, repeat=2):
        kind = {4: apart, 3: sharing, 2: same}[len({*p, *q})]
        kind.append(x[p] * x[q])
    square = sum(apart) / len(apart)
    matches = [sum(together[p] for p in together if k in p) for k in range(images)]
    mean = sum(matches) / images
    central = [m - mean for m in matches]
    most = (images - 1) * each
    return {
        "matches": sum(together.values()),
        "rate": sum(together.values()) / pairs,
        "zeta1": max(sum(sharing) / len(sharing) - square, 0),
        "zeta2": max(sum(same) / len(same) - square, 0),
        "largest_leverage_above": (max(matches) - mean) / most,
        "largest_leverage_below": (mean - min(matches)) / most,
        "degrees_of_freedom": min(
            max(sum(c**2 for c in central) ** 2 / sum(c**4 for c in central), 1), images - 1
        )
        if any(central)
        else images - 1,
    }
