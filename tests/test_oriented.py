"""Distances, pairs and neighbours in all eight orientations, against brute force."""

import numpy as np
import pytest
import searches
from conftest import JIT_OFF
from duplicate_sets import exact_distances, some_set

import photodna_nb as pdna
from photodna_nb.pairs import oriented
from photodna_nb.pairs.pair_keys import PairKeys

METRICS = ("sqeuclidean", "manhattan")


@pytest.fixture(params=["oriented", "symmetric"])
def sides(request, monkeypatch):
    """Two sets, one of them smaller, whose orientations are searched in parts."""
    monkeypatch.setattr(oriented, "_SEARCHED", 20)
    n = 20 if JIT_OFF else 60
    return some_set(request.param, n), some_set(request.param, 2 * n)


@pytest.mark.parametrize("metric", METRICS)
def test_pairs(sides, metric, by_trees):
    a, b = sides
    for one, other in ((a, None), (a, b), (b, a)):
        exact, _ = exact_distances(one, one if other is None else other, metric, True)
        for limit in (0, int(np.quantile(exact, 0.1))):
            options = {"metric": metric, "orientations": True, "max_workers": 2}
            found = pdna.pairs_within(one, other, max_distance=limit, **options)
            pairs = list(zip(found.i.tolist(), found.j.tolist(), found.distance, strict=True))
            assert pairs == searches.pairs_of(exact, limit, other is None)


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours(sides, metric):
    a, b = sides
    for one, other in ((a, None), (a, b), (b, a)):
        exact, _ = exact_distances(one, one if other is None else other, metric, True)
        for k in (1, 7, exact.shape[1] - (other is None)):
            found = pdna.nearest(one, other, k, metric=metric, orientations=True)
            packed = (found.distances.astype(np.int64) << 32) + found.indices
            expected = searches.neighbours_of(exact, k, 2**30, other is None)
            np.testing.assert_array_equal(packed, expected)


def test_distances(sides):
    a, b = sides
    b = b[: len(a)]
    for metric in METRICS:
        exact = np.diag(exact_distances(a, b, metric, True)[0])
        np.testing.assert_array_equal(pdna.distance(a, b, metric, orientations=True), exact)
        found = pdna.distance(a[0], b[0], metric, orientations=True)
        assert type(found) is float
        assert found == exact[0]
    squares = np.diag(exact_distances(a, b, "sqeuclidean", True)[0])
    similarities = pdna.similarity(a, b, orientations=True)
    np.testing.assert_allclose(similarities, 1 - np.sqrt(squares) / 3060, rtol=1e-15)
    assert pdna.similarity(a[0], b[0], orientations=True) == similarities[0]


def test_low_detail():
    """Rows that are left out keep their numbers."""
    hashes = np.repeat(pdna.orientations(some_set("random", 1))[0, [0, 3]], 2, axis=0)
    table = pdna.HashTable(["a", "b", "c", "d"], hashes, np.array([1.0, 500, 500, np.nan]))
    options = {"orientations": True, "min_detail": 100}
    found = pdna.pairs_within(table, max_distance=0, **options)
    assert list(zip(found.i, found.j, strict=True)) == [(1, 2), (1, 3), (2, 3)]
    assert pdna.nearest(table, k=1, **options).indices.ravel().tolist() == [-1, 2, 1, 1]


def test_wrong_options():
    hashes = some_set("random", 3)
    for call in (
        lambda: pdna.distance(hashes, hashes, orientations=1),
        lambda: pdna.nearest(hashes, orientations="all"),
        lambda: pdna.pairs_within(hashes, max_distance=1, orientations=None),
    ):
        with pytest.raises(pdna.ArgumentTypeError, match=r"orientations: got .* needs True or"):
            call()


def test_each_pair_once_in_every_bucket():
    form = PairKeys(j_bits=3, distance_bits=4)
    keys = np.array([0x05, 0x07, 0x13, 0x05, 0x05, 0x95], np.uint64)  # j * 16 + distance
    found, places = form.nearest(keys, {0: slice(0, 3), 2: slice(3, 6)})
    assert found.tolist() == [0x05, 0x13, 0x05, 0x95]
    assert places == {0: slice(0, 2), 2: slice(2, 4)}
    assert form.nearest(keys[:0], {})[1] == {}
