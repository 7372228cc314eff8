"""Variance components of a rate over pairs that share images."""

import corpora
import numpy as np
import pytest
from corpora import naive_dependence

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.dependence import ImpostorPairs, dyadic_dependence, matrix_dependence


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("variants", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_dependence_is_that_of_its_definition(variants, seed):
    images = 7
    i, j = (np.repeat(part, variants) for part in np.triu_indices(images, 1))
    order = rng(seed).permutation(len(i))
    i, j = i[order], j[order]
    i, j = np.where(order % 2, i, j), np.where(order % 2, j, i)
    distance = rng(seed).integers(0, 100, len(i)) / 10
    distance[(i == seed) | (j == seed)] /= 2
    for pairs in (len(i), 2 * len(i)):
        found = dyadic_dependence(ImpostorPairs(i, j, distance, 10), images, pairs)
        for threshold in range(11):
            for name, value in naive_dependence(i, j, distance, images, pairs, threshold).items():
                got = getattr(found, name)[threshold]
                assert got == pytest.approx(value, abs=1e-9), (name, threshold)


def test_dependence_of_a_matrix_is_that_of_its_pairs():
    points = rng().random((30, 3)) * 10
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(axis=-1))
    i, j = np.triu_indices(30, 1)
    one = matrix_dependence(distances, 20)
    other = dyadic_dependence(ImpostorPairs(i, j, distances[i, j], 20), 30, len(i))
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name
    with pytest.raises(ArgumentError, match="square"):
        matrix_dependence(distances[:5])


def test_variance_is_that_of_the_mean_over_corpora():
    """The components of one corpus, scaled to another size, against many corpora of that size."""
    at = 150
    small = [
        dyadic_dependence(ImpostorPairs(c.i, c.j, c.cell, at), 40, len(c.i))
        for c in corpora.corpora(corpora.flatness, 40, 150, 1)
    ]
    predicted = np.mean([found.variance(80)[at] for found in small])
    rates = [np.mean(c.cell <= at) for c in corpora.corpora(corpora.flatness, 80, 600, 2)]
    assert np.var(rates) == pytest.approx(predicted, rel=0.25)
    # As if all pairs were independent: far too small.
    alone = np.mean(rates) * (1 - np.mean(rates)) / (80 * 79 / 2)
    assert alone < predicted / 3
