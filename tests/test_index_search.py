"""Search in an index against brute force: ties, limits, orientations, detail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from indexes import (
    HASHES,
    METADATA,
    answered,
    brute_force,
    in_memory,
    names,
    pairs_of,
)
from PIL import Image

import photodna_nb as pdna

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


def test_ties_go_to_the_lower_id_wherever_they_are_cut():
    rows = np.zeros((50, 144), np.uint8)
    rows[np.arange(50), RNG.permutation(50)] = 9  # all 81 from the query
    rows[::7] = 0
    index = in_memory(rows, pieces=3)
    query = np.zeros(144, np.uint8)
    for k in range(1, 60):
        assert answered(index, query, k) == brute_force(rows, query, k)


@given(st.integers(1, 40), st.integers(0, 29), st.integers(-1, 1), st.integers(0, 29))
def test_limits_against_brute_force(k, i, step, j):
    """The limit lies on a match, and one on each side of it."""
    rows = HASHES // 8
    index = in_memory(rows)
    squared = int(((rows[i].astype(int) - rows[j]) ** 2).sum())
    limit = max(0, squared + step)
    expected = brute_force(rows, rows[i], k, limit)
    # A float just above the root; the exact limit is the integer below its square.
    typed = np.nextafter(np.sqrt(limit), np.inf)
    assert answered(index, rows[i], k, max_distance=typed) == expected


@pytest.mark.parametrize("n_queries", [1, 48])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_match_on_the_limit_for_few_queries_and_for_many(n_queries, pieces):
    """Few queries go over the rows, many over blocks: both include the limit."""
    index = in_memory(HASHES, pieces=pieces)
    queries = np.resize(HASHES[:5], (n_queries, 144))
    squared = ((HASHES[:, None].astype(int) - queries) ** 2).sum(axis=2)
    for limit in (int(squared[7, 0]), int(squared[0, 0])):
        for step in (-1, 0, 1):
            typed = np.nextafter(np.sqrt(max(0, limit + step)), np.inf)
            answers = index.search(queries, 30, max_distance=typed)
            expected = [brute_force(HASHES, one, 30, max(0, limit + step)) for one in queries]
            assert list(map(pairs_of, answers)) == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 220),
    asked=st.sampled_from([1, 3, 47, 48, 60]),
    k=st.sampled_from([1, 2, 10, 63, 64, 65, 100, 300]),
    columns=st.sampled_from([1, 5, 144]),
    pieces=st.integers(1, 4),
    near=st.one_of(st.none(), st.integers(0, 400)),
    meta=st.sampled_from(METADATA),
)
def test_search_against_brute_force(seed, size, asked, k, columns, pieces, near, meta):
    """Few queries go over the rows, many over blocks; few columns make many ties."""
    drawn = np.random.default_rng(seed)
    rows = np.zeros((size + asked, 144), np.uint8)
    rows[:, :columns] = drawn.integers(0, 256, (size + asked, columns))
    rows, queries = rows[:size], rows[size:]
    limits = {} if near is None else {"max_distance": near}
    limit = 10**9 if near is None else near**2
    answers = in_memory(rows, pieces=pieces, meta=meta).search(queries, k, **limits)
    assert list(map(pairs_of, answers)) == [brute_force(rows, one, k, limit) for one in queries]


def test_more_rows_than_keys_are_held_for():
    """The kernel holds 2 k keys, and drops the farther half when they are full."""
    rows = np.sort(RNG.integers(0, 256, (3000, 144), np.uint8).view("V144"))[::-1]
    rows = rows.view(np.uint8).reshape(-1, 144)
    index = in_memory(rows)
    for k in (1, 2, 70, 1499, 1500, 1501, 2999, 3000, 4000):
        assert answered(index, rows[0], k) == brute_force(rows, rows[0], k)
    for k in (64, 65):
        answers = index.search(rows[:50], k)
        assert list(map(pairs_of, answers)) == [brute_force(rows, one, k) for one in rows[:50]]


def test_many_small_additions():
    index = pdna.HashIndex.create("i", "m")
    rows = np.repeat(HASHES, 5, axis=0)
    for i, row in enumerate(rows):
        index.add([f"/{i}"], row[None])
    assert len(index._session.rows._segments) < 100
    assert answered(index, rows[0], 200) == brute_force(rows, rows[0], 200)


def test_similarity_limit_on_a_match():
    """At distance 306 the similarity is 0.9 exactly, and 1 - 0.9 is no binary number."""
    query, other = np.zeros((2, 144), np.uint8)
    other[0], other[1], other[2], other[3] = 255, 169, 7, 1
    assert (other.astype(int) ** 2).sum() == 306**2
    index = in_memory(other[None])
    assert answered(index, query, 1, min_similarity=0.9) == [(1, 306**2)]
    assert answered(index, query, 1, max_distance=306) == [(1, 306**2)]
    assert answered(index, query, 1, min_similarity="0.9000001") == []
    assert answered(index, query, 1, max_distance="305.99999") == []
    assert answered(index, query, 1, min_similarity=0.9, max_distance=305) == []


def test_the_largest_distances():
    """From 2**23 on float32 has no halves."""
    query, rows = np.full(144, 255, np.uint8), np.zeros((5, 144), np.uint8)
    rows[1, 0], rows[2, 0] = 1, 2
    index = in_memory(rows)
    for k in (1, 2, 3, 5, 10, 10**30):
        for limits in ({}, {"max_distance": 3060}, {"max_distance": 10**30}, {"min_similarity": 0}):
            assert answered(index, query, k, **limits) == brute_force(rows, query, k)
    assert answered(index, query, 9, max_distance=np.sqrt(3060**2 - 1)) == (
        brute_force(rows, query, 9, 3060**2 - 1)
    )


def test_queries_of_every_shape():
    index = in_memory(HASHES)
    assert index.search(HASHES[0]) == index.search(HASHES[:1])
    assert index.search(HASHES[:0]) == []
    assert index.search(HASHES[::-2], 1) == index.search(HASHES[::-2].copy(), 1)
    for number in (2, 60):
        nothing = pdna.HashIndex.create("i", "m").search(np.zeros((number, 144), np.uint8))
        assert nothing == [[]] * number


def test_orientations_against_brute_force():
    """Each item once, in its nearest orientation, the first one of equal ones."""
    queries = np.concatenate([HASHES[:3], np.full((1, 144), 7, np.uint8)])
    turned = pdna.orientations(queries)
    rows = np.concatenate([HASHES, turned[0, 3:6], turned[1], turned[3]])
    index = in_memory(rows, pieces=2)
    named = ["identity", *(way.name.lower() for way in Image.Transpose)]
    for k, limits in ((1, {}), (9, {}), (100, {}), (100, {"max_distance": 900})):
        answers = index.search(queries, k, orientations=True, **limits)
        for ways, matches in zip(turned, answers, strict=True):
            each = ((rows[:, None].astype(int) - ways) ** 2).sum(axis=2)
            best = sorted((int(d.min()), i + 1, int(d.argmin())) for i, d in enumerate(each))
            limit = limits.get("max_distance", 3060) ** 2
            expected = [(i, d, way) for d, i, way in best if d <= limit][:k]
            found = [(m.id, m.distance_squared, named.index(m.orientation)) for m in matches]
            assert found == expected


def test_low_detail_is_left_out_and_k_is_filled():
    """The 60 nearest say nothing; those of which nothing is known stay."""
    rows = np.zeros((100, 144), np.uint8)
    rows[:, 0] = np.arange(100)
    details = [{"detail": 5}] * 60 + [{}] * 10 + [{"detail": 100.0}] * 30
    index = pdna.HashIndex.create("i", "m")
    index.add(names(100), rows, extra=details)
    assert answered(index, rows[0], 7, min_detail=100) == brute_force(rows, rows[0], 67)[60:]
    assert answered(index, rows[0], 50, min_detail=100) == brute_force(rows, rows[0], 100)[60:]
    assert answered(index, rows[0], 50, min_detail=100.5) == brute_force(rows, rows[0], 70)[60:]
    assert answered(index, rows[0], 7, min_detail=100, max_distance=60) == [(61, 3600)]
    assert answered(index, rows[0], 7, min_detail=5) == brute_force(rows, rows[0], 7)
    ((low, *_, high),) = index.search(rows[0], 100)
    assert (low.detail, low.low_detail) == (5.0, True)
    assert (high.detail, high.low_detail) == (100.0, False)
