"""Distances of two hashes, and limits that are exact."""

import math
import re
from decimal import Decimal
from fractions import Fraction

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.pairs.metrics import max_distance_squared, max_integer_distance, similarity_at

hashes = npst.arrays(np.uint8, 144)


@given(hashes, hashes)
def test_against_plain_python(a, b):
    differences = [int(x) - int(y) for x, y in zip(a, b, strict=True)]
    squared = sum(d * d for d in differences)
    assert pdna.distance(a, b, "sqeuclidean") == squared
    assert pdna.distance(a, b) == math.sqrt(squared)
    assert pdna.distance(a, b, "manhattan") == sum(map(abs, differences))
    assert pdna.similarity(a, b) == 1 - math.sqrt(squared) / 3060


def test_the_ends_of_the_scale():
    zero, full = np.zeros(144, np.uint8), np.full(144, 255, np.uint8)
    assert (pdna.distance(zero, full), pdna.similarity(zero, full)) == (3060, 0)
    assert (pdna.distance(full, full), pdna.similarity(full, full)) == (0, 1)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_min_similarity_is_exact(steps, squared):
    """Similarities in thousandths, as a person types them: 0.9 is nine tenths."""
    exact = Fraction(steps, 1000)
    for typed in (steps / 1000, str(steps / 1000), Decimal(steps) / 1000, exact):
        limit = max_distance_squared(min_similarity=typed)
        root = 3060 * (1 - exact)
        assert limit <= root**2 < limit + 1
    assert (squared <= limit) == (squared <= root**2)


@given(st.integers(0, 30_600))
def test_max_distance_is_exact(tenths):
    limit = max_distance_squared(max_distance=tenths / 10)
    assert limit == tenths**2 // 100


def test_limits():
    assert max_distance_squared() == 9_363_600
    assert max_distance_squared(min_similarity=0.9) == 93_636  # in binary, 93,635.99
    assert max_distance_squared(min_similarity=1) == 0
    assert max_distance_squared(min_similarity=0, max_distance=math.inf) == 9_363_600
    assert max_distance_squared(min_similarity="0.98", max_distance="8") == 64
    assert max_distance_squared(min_similarity="0.999", max_distance=8) == 9
    assert max_distance_squared(max_distance=np.float32(0.1)) == 0
    for text in ("inf", "Infinity", "+inf", 10**30):
        assert max_distance_squared(max_distance=text) == 9_363_600
    assert similarity_at(9_363_601) == 0


@pytest.mark.parametrize(
    ("metric", "largest", "limit"),
    [("euclidean", 9_363_600, 79), ("sqeuclidean", 9_363_600, 8), ("manhattan", 36_720, 8)],
)
def test_the_largest_integer_of_each_metric(metric, largest, limit):
    assert max_integer_distance("limit", 8.9, metric) == limit
    for beyond in (10**9, math.inf):
        assert max_integer_distance("limit", beyond, metric) == largest


def test_errors_name_the_value():
    for value, text in (
        (1.5, "1.5"),
        ("x" * 50, "x" * 40),
        (10**5000, "a number of thousands of digits"),
    ):
        with pytest.raises(pdna.ArgumentError) as error:
            max_distance_squared(min_similarity=value)
        assert str(error.value) == f"min_similarity: got {text}, needs a number from 0 to 1"
    with pytest.raises(pdna.ArgumentTypeError, match=r"^max_distance: got list, needs a number$"):
        max_distance_squared(max_distance=[3])


@pytest.mark.parametrize("value", [-0.1, 1.1, "nan", math.nan, "", "x", "1e-999999999", "9" * 500])
def test_wrong_similarity(value):
    words = f"min_similarity: got {str(value)[:40]}, needs a number from 0 to 1"
    with pytest.raises(pdna.ArgumentError, match=f"^{re.escape(words)}$"):
        max_distance_squared(min_similarity=value)


@pytest.mark.parametrize("value", [-1, "-inf", "nan", "ten", "1e999999999", Fraction(-1, 3)])
def test_wrong_distance(value):
    words = f"max_distance: got {str(value)[:40]}, needs a number from 0 up"
    with pytest.raises(pdna.ArgumentError, match=f"^{re.escape(words)}$"):
        max_distance_squared(max_distance=value)


def test_wrong_types_of_limits():
    for value in (np.array([1, 2]), [3], object()):
        with pytest.raises(pdna.ArgumentTypeError, match=r"max_distance: got .*needs a number"):
            max_distance_squared(max_distance=value)


def test_wrong_hashes():
    good = np.zeros(144, np.uint8)
    with pytest.raises(pdna.ArgumentTypeError, match="a: got list, needs an array of uint8"):
        pdna.distance([0] * 144, good)
    with pytest.raises(pdna.ArgumentTypeError, match="b: got an array of int64"):
        pdna.similarity(good, np.zeros(144, np.int64))
    with pytest.raises(pdna.ArgumentError, match=r"^a, b: got hashes of 144 and of 143 values"):
        pdna.distance(good, good[1:])
    with pytest.raises(
        pdna.ArgumentError, match=r"metric: got 'cosine'.* sqeuclidean, manhattan, hamming$"
    ):
        pdna.distance(good, good, "cosine")
