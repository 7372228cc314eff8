"""Pairs and neighbours by filter and refine beside brute force, with good and bad projections.

And where the filter is left: it must be, and it must not be always.
"""

import itertools
from collections import Counter

import numpy as np
import oracle
import pytest
import searches
from conftest import JIT_OFF, columns_of, local_cluster, spawned_processes
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.kernels import distance, scan
from photodna_nb.kernels import filter as kernels
from photodna_nb.kernels.distance import MANHATTAN, SQUARED
from photodna_nb.pairs import blocks, filter_search, neighbour_search, search, search_tree
from photodna_nb.pairs.filter_search import PairSearch
from photodna_nb.pairs.neighbour_search import NeighbourGraph, NeighbourSearch
from photodna_nb.pairs.projection import Projection
from photodna_nb.pairs.search_tree import SearchTree
from photodna_nb.pairs.source import hash_source

needs_jit = pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
LARGEST = filter_search.MAX_PROJECTED
FARTHEST = {SQUARED: 9_363_600, MANHATTAN: 36_720}


@pytest.fixture(autouse=True)
def filtered(monkeypatch):
    """Small data take the filter; where nothing is compiled, with vector code in NumPy."""
    for module in (filter_search, neighbour_search):
        monkeypatch.setattr(module, "_MIN_PAIRS", 1)
    monkeypatch.setattr(filter_search, "_FITTED_PAIRS", 0)
    if JIT_OFF:
        monkeypatch.setattr(filter_search, "compiled", lambda: True)
        for name in searches.VECTOR_CODE:
            monkeypatch.setattr(kernels, name, getattr(searches, name))


@pytest.fixture
def calls(monkeypatch):
    """How often kernels are called, and how many pairs they refine or compare in tiles."""
    counts = Counter()

    def counted(module, name, pairs):
        before = getattr(module, name)

        def call(*arguments):
            counts[name] += 1
            counts["pairs of " + name] += pairs(*arguments)
            return before(*arguments)

        monkeypatch.setattr(module, name, call)

    counted(kernels, "near_pairs", lambda first, last, *_: last - first)
    counted(kernels, "refine_within", lambda *arguments: arguments[-2])
    counted(kernels, "refine_nearest", lambda *arguments: arguments[-2])
    counted(kernels, "refine_mutual", lambda *arguments: arguments[-3])
    counted(distance, "within", lambda *arguments: arguments[-3] * arguments[-2])
    counted(distance, "nearest", lambda *_: 0)
    counted(scan, "nearest_rows", lambda rows, *_: len(rows))
    return counts


def trees(a, b, projection):
    """Return the trees of two sides, or one tree twice."""
    tree = SearchTree.build(a, projection)
    return tree, tree if b is None else SearchTree.build(b, projection)


def pairs_by(found, workers=1):
    """Return the sorted pairs of a search of trees."""
    spans = found.spans(workers)
    assert [first for first, _ in spans[1:]] == [last for _, last in spans[:-1]]
    chunks = [found.pairs(span, 2**40) for span in spans]
    return sorted(pair for chunk in chunks for pair in searches.unpacked(chunk))


def neighbours_by(both, k, limit, max_workers=1):
    """Return the packed neighbours of each query, in the order of the hashes.

    Inside one tree, the search of a graph and the search of queries find the same.
    """
    found = NeighbourSearch(*both, k, limit)
    packed = np.concatenate([found.neighbours(span) for span in found.spans(1)])
    if both[0] is both[1]:
        graph = NeighbourGraph(both[0], k, limit).neighbours(max_workers, False)
        np.testing.assert_array_equal(graph, packed)
    result = np.empty_like(packed)
    result[both[0].order] = packed
    return result


def largest_limit(projection, metric):
    """Return the largest limit that the filter can test, by bisection."""
    low, high = 0, FARTHEST[metric]
    while low < high:
        middle = (low + high + 1) // 2
        inside = projection.limits(middle, metric, projection.n_axes) <= LARGEST
        low, high = (middle, high) if inside else (low, middle - 1)
    return low


def test_brute_force_beside_the_oracle():
    a, b = searches.some_hashes("photographs", 5), searches.some_hashes("extremes", 4)
    for metric, naive in ((SQUARED, oracle.distance_squared), (MANHATTAN, oracle.manhattan)):
        expected = [[naive(x, y) for y in b.tolist()] for x in a.tolist()]
        assert searches.distances(a, b, metric).tolist() == expected


# The searches of trees.


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("kind", searches.KINDS)
@pytest.mark.parametrize(
    "basis",
    [
        pytest.param(basis, marks=[] if basis in ("principal", "random") else pytest.mark.long)
        for basis in searches.BASES
    ],
)
def test_pairs_and_neighbours(basis, kind, inside):
    """With limits on a distance and beside it, up to the largest that the filter can test."""
    n, m = (9, 12) if JIT_OFF else (230, 300)
    a = searches.some_hashes(kind, n)
    b = None if inside else searches.some_hashes(kind, m, 0)
    rows = a if inside else b
    for n_axes in (12,) if JIT_OFF else (8, 12, 64):
        projection = searches.some_projection(basis, n_axes, n_axes // 4)
        both = trees(a, b, projection)
        for metric in (SQUARED, MANHATTAN):
            exact = searches.distances(a, rows, metric)
            most = largest_limit(projection, metric)
            one = int(np.sort(exact[exact > 0], axis=None)[: exact.size // 9][-1:].sum())
            for limit in {0, *(max(0, min(most, one + step)) for step in (-1, 0)), most}:
                found = pairs_by(PairSearch(*both, metric, limit))
                assert found == searches.pairs_of(exact, limit, inside)
        exact = searches.distances(a, rows, SQUARED)
        for k, limit in ((1, FARTHEST[SQUARED]), (5, FARTHEST[SQUARED]), (3, one), (2, 0)):
            found = neighbours_by(both, k, limit)
            expected = searches.neighbours_of(exact, k, limit, inside)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("kind", ["photographs", "copies", "blank"])
def test_any_number_of_neighbours(kind, inside):
    n, m = (10, 12) if JIT_OFF else (150, 700)
    a = searches.some_hashes(kind, n)
    b = None if inside else searches.some_hashes(kind, m, 0)
    exact = searches.distances(a, a if inside else b, SQUARED)
    both = trees(a, b, searches.some_projection("principal", 64))
    others = len(exact[0]) - inside
    for k in (1, 15, 16, 17, 100, 513, others - 1, others, others + 1):
        for limit in (FARTHEST[SQUARED], int(np.median(exact))):
            packed = neighbours_by(both, k, limit)
            expected = searches.neighbours_of(exact, k, limit, inside)
            np.testing.assert_array_equal(packed, expected)


@needs_jit
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 31, 32, 33, 511, 512, 513, 1023, 1025])
def test_sizes(n):
    """Around eight queries, boxes and superblocks, on both sides."""
    projection = searches.some_projection("principal", 16)
    a = searches.some_hashes("photographs", n, 1)
    for m in (None, 1, 8, 33, 513):
        b = None if m is None else searches.some_hashes("photographs", m, 1)
        exact = searches.distances(a, a if m is None else b, SQUARED)
        both = trees(a, b, projection)
        found = pairs_by(PairSearch(*both, SQUARED, 60_000), workers=2)
        assert found == searches.pairs_of(exact, 60_000, m is None)
        found = neighbours_by(both, 2, FARTHEST[SQUARED])
        expected = searches.neighbours_of(exact, 2, FARTHEST[SQUARED], m is None)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.long
@needs_jit
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(searches.KINDS),
    st.sampled_from(searches.BASES),
    st.sampled_from(range(8, 81, 4)),
    st.integers(1, 90),
    st.integers(0, 600),
    st.integers(1, 40),
    st.floats(0, 1),
)
def test_any_search(seed, kind, basis, n_axes, n, m, k, share):
    """Whatever the hashes, the projection, the sizes and the limit; m = 0: inside one side."""
    a, b = searches.some_hashes(kind, n, seed), searches.some_hashes(kind, m, seed) if m else None
    projection = searches.some_projection(basis, n_axes, seed)
    both = trees(a, b, projection)
    for metric in (SQUARED, MANHATTAN):
        exact = searches.distances(a, b if m else a, metric)
        limit = min(int(np.quantile(exact, share)), largest_limit(projection, metric))
        found = pairs_by(PairSearch(*both, metric, limit))
        assert found == searches.pairs_of(exact, limit, not m)
    exact = searches.distances(a, b if m else a, SQUARED)
    limit = int(np.quantile(exact, share))
    found = neighbours_by(both, k, limit)
    np.testing.assert_array_equal(found, searches.neighbours_of(exact, k, limit, not m))


def test_equal_hashes_at_the_largest_limit():
    """Two odd squares, rounded up: the largest sum that comes in 16 bits."""
    weights = np.zeros((8, 144), np.int8)
    weights[0, 0] = 127
    projection = Projection.of(weights, np.zeros(8, np.int32))
    hashes = np.zeros((9, 144), np.uint8)
    hashes[:, 0] = 4
    tree = SearchTree.build(hashes, projection)
    assert tree.queries.codes[0].tolist() == [1] + [0] * 7
    limit = largest_limit(projection, SQUARED)
    assert projection.limits(limit, SQUARED, 8) == LARGEST
    assert len(pairs_by(PairSearch(tree, tree, SQUARED, limit))) == 36


@pytest.mark.parametrize("n_axes", [8, 64])
def test_pairs_on_every_limit_of_the_filter(n_axes, monkeypatch):
    """Coordinates, boxes and superblocks are as far apart as the proof allows, at distance 1.

    All axes are one number of a hash, and their coordinates are rounded apart. Other rows have
    the query's coordinates, but lie farther away.
    """
    monkeypatch.setattr(filter_search, "costs", lambda: filter_search.Costs(0, 0))
    weights = np.zeros((n_axes, 144), np.int8)
    weights[:, 0] = 1
    projection = Projection.of(weights, np.full(n_axes, 257, np.int32))
    count = 32 if JIT_OFF else 512
    rows = np.zeros((2 * count, 144), np.uint8)
    rows[::2, 0] = 1
    rows[1::2, 1] = 2
    queries = np.zeros((9 if JIT_OFF else 80, 144), np.uint8)  # spans of more than eight
    found = [SearchTree.build(side, projection) for side in (queries, rows)]
    assert projection.limits(4, SQUARED, n_axes) == n_axes
    for metric in (SQUARED, MANHATTAN):
        exact = searches.distances(queries, rows, metric)
        assert pairs_by(PairSearch(*found, metric, 1)) == searches.pairs_of(exact, 1, False)
    exact = searches.distances(queries, rows, SQUARED)
    for k in (1, 3):
        packed = neighbours_by(found, k, FARTHEST[SQUARED])
        expected = searches.neighbours_of(exact, k, FARTHEST[SQUARED], False)
        np.testing.assert_array_equal(packed, expected)
    both = np.concatenate([rows[1::2], rows[::2]])
    both[:count, 1:9] = np.arange(count)[:, None] % 250  # the other half is the nearer one
    both[:, 9] = np.arange(2 * count) % 2 * 3
    exact = searches.distances(both, both, SQUARED)
    tree = SearchTree.build(both, projection)
    packed = neighbours_by((tree, tree), 1, FARTHEST[SQUARED])
    expected = searches.neighbours_of(exact, 1, FARTHEST[SQUARED], True)
    np.testing.assert_array_equal(packed, expected)


def test_neighbours_beyond_the_filter(calls):
    """Queries whose neighbours are too far for 16 bits are compared with all rows, the others not.

    The blank ones are far from all photographs, and the second has the first as its neighbour.
    """
    count = 24 if JIT_OFF else 600
    weights = np.zeros((64, 144), np.int8)
    weights[:, :64] = 3
    weights[np.arange(64), np.arange(64)] = 127
    projection = Projection.of(weights, np.full(64, 8000, np.int32))
    near = searches.some_hashes("copies", count)
    far = np.concatenate([near, np.full((1, 144), 255, np.uint8)])
    exact = searches.distances(far, far, SQUARED)
    tree = SearchTree.build(far, projection)
    for k in (1, 7):
        calls.clear()
        found = neighbours_by((tree, tree), k, FARTHEST[SQUARED])
        expected = searches.neighbours_of(exact, k, FARTHEST[SQUARED], True)
        np.testing.assert_array_equal(found, expected)
        assert 1 <= calls["nearest_rows"] <= count // 8
        if not JIT_OFF:
            assert calls["near_pairs"] > 0
    queries = np.concatenate([np.full((2, 144), 255, np.uint8), near[:20]])
    both = trees(queries, near, projection)
    exact = searches.distances(queries, near, SQUARED)
    for k in (1, 30, count, count + 3):
        calls.clear()
        found = neighbours_by(both, k, FARTHEST[SQUARED])
        expected = searches.neighbours_of(exact, k, FARTHEST[SQUARED], False)
        np.testing.assert_array_equal(found, expected)
        assert calls["nearest_rows"] >= 2
    limit = int(exact[:2].min())
    for step in (-1, 0):
        found = neighbours_by(both, 3, limit + step)
        expected = searches.neighbours_of(exact, 3, limit + step, False)
        np.testing.assert_array_equal(found, expected)


def test_neighbours_from_all_distances():
    """Of a row too, whatever its number is, and where fewer are within the limit."""
    hashes = searches.some_hashes("copies", 40)
    exact = searches.distances(hashes, hashes, SQUARED)
    for k, limit in ((1, 10**7), (3, 900), (39, 10**7), (45, 10**7)):
        for inside in (True, False):
            expected = searches.neighbours_of(exact, k, limit, inside)
            for row in (0, 1, 39):
                found = neighbour_search.of_all_rows(
                    hashes, hashes[row], row if inside else None, k, limit
                )
                assert found.tolist() == expected[row].tolist()


# Where the filter is left, and where it is not.


@needs_jit
@pytest.mark.parametrize("inside", [True, False])
def test_the_filter_leaves_few_pairs(calls, inside):
    a = searches.some_hashes("photographs", 3000)
    b = None if inside else searches.some_hashes("photographs", 2000)
    both = trees(a, b, searches.some_projection("principal", 16))
    exact = searches.distances(a, a if inside else b, SQUARED)
    found = pairs_by(PairSearch(*both, SQUARED, 10_000))
    assert found == searches.pairs_of(exact, 10_000, inside)
    assert calls["near_pairs"] > 0
    assert calls["within"] == 0
    assert calls["pairs of refine_within"] < exact.size / 100
    found = neighbours_by(both, 1, 10_000)
    np.testing.assert_array_equal(found, searches.neighbours_of(exact, 1, 10_000, inside))
    assert calls["nearest_rows"] == 0
    assert 0 < calls["pairs of refine_nearest"] < exact.size / 3


@pytest.mark.long
@needs_jit
@pytest.mark.parametrize("inside", [True, False])
def test_crowded_boxes_are_compared_in_tiles(calls, inside):
    """All pairs of blank images, without testing each box; next to ones that the filter parts."""
    blank, near = searches.some_hashes("blank", 6000), searches.some_hashes("photographs", 2100)
    projection = searches.some_projection("principal", 16)
    sides = (blank, None) if inside else (blank[:700], blank)
    found = PairSearch(*trees(*sides, projection), SQUARED, 0)
    n_pairs = sum(len(found.pairs(span, 2**40).packed) for span in found.spans(1))
    assert n_pairs == (6000 * 5999 // 2 if inside else 700 * 6000)
    assert calls["pairs of refine_within"] == 0
    assert calls["pairs of within"] >= n_pairs
    n_boxes = sum(len(found._near_superblocks(span)) for span in found.spans(1))
    assert 0 < calls["near_pairs"] <= 0.6 * n_boxes
    calls.clear()
    mixed = np.concatenate([near, blank[:1500], near[:9]])
    sides = (mixed, None) if inside else (mixed[-1800:], mixed)
    exact = searches.distances(sides[0], mixed, SQUARED)
    found = pairs_by(PairSearch(*trees(*sides, projection), SQUARED, 2500), workers=2)
    assert found == searches.pairs_of(exact, 2500, inside)
    assert calls["within"] > 0
    assert 0 < calls["pairs of refine_within"] < exact.size / 50


@needs_jit
def test_tiles_with_both_metrics_and_limits(monkeypatch):
    """Every box is compared in tiles: limits, the last rows, each pair once."""
    monkeypatch.setattr(filter_search, "costs", lambda: filter_search.Costs(1e9, 1e9))
    projection = searches.some_projection("principal", 12)
    for n, m in ((520, None), (1100, None), (9, 4700), (700, 33)):
        a = searches.some_hashes("copies", n)
        b = None if m is None else searches.some_hashes("copies", m, 0)
        both = trees(a, b, projection)
        for metric in (SQUARED, MANHATTAN):
            exact = searches.distances(a, a if m is None else b, metric)
            for limit in (0, int(np.quantile(exact[exact > 0], 0.01))):
                found = pairs_by(PairSearch(*both, metric, limit))
                assert found == searches.pairs_of(exact, limit, m is None)


@needs_jit
def test_a_span_with_too_many_pairs():
    """Has no answer, and is divided, down to eight queries."""
    hashes = searches.some_hashes("blank", 1200)
    tree = SearchTree.build(hashes, searches.some_projection("principal", 12))
    found = PairSearch(tree, tree, SQUARED, 0)
    for span in ((0, 1200), (512, 1200), (1184, 1200)):
        within = len(found.pairs(span, 2**40).packed)
        assert within == sum(1199 - row for row in range(*span))
        assert len(found.pairs(span, within).packed) == within
        assert found.pairs(span, within - 1) is None
        parts = found.divided(span)
        assert [parts[0][0], parts[-1][1]] == list(span)
        assert [first for first, _ in parts[1:]] == [last for _, last in parts[:-1]]
        assert len(parts) > 1
        assert all(first % 8 == 0 and last - first < span[1] - span[0] for first, last in parts)
        answers = [found.pairs(part, 2**40).packed for part in parts]
        assert sum(map(len, answers)) == within
    assert len(found.pairs((8, 16), 0).packed) == sum(1199 - row for row in range(8, 16))


def test_spans_of_queries():
    tree = SearchTree.build(
        searches.some_hashes("photographs", 50), searches.some_projection("principal", 8)
    )
    for found in (PairSearch(tree, tree, SQUARED, 0), NeighbourSearch(tree, tree, 1, 9)):
        assert found.spans(1)[0][0] == 0
        assert found.spans(1)[-1][1] == 50
        assert found.spans(100) == [(i, min(50, i + 8)) for i in range(0, 50, 8)]
    for count in (1, 511, 512, 4096, 5000, 10**6):
        for workers in (1, 3, 500):
            spans = filter_search.spans_of(count, 4096, workers)
            assert spans[0][0] == 0
            assert spans[-1][1] == count
            assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
            sizes = {last - first for first, last in spans[:-1]}
            assert len(sizes) <= 1
            assert all(size % 8 == 0 and size <= 4096 for size in sizes)
            assert all(size < 512 or size % 512 == 0 for size in sizes)
            assert len(spans) >= min(workers, -(-count // 512))


def sources(*sides):
    return [hash_source("a", side) for side in sides]


@needs_jit
def test_which_pairs_are_filtered(monkeypatch):
    """Not few pairs, not crowded ones, no limit beyond 16 bits; the larger, the more axes."""
    near = sources(searches.some_hashes("photographs", 3000))
    axes = {
        limit: filter_search.pair_projection(near, limit, SQUARED).n_axes
        for limit in (0, 10_000, 10_001, 50_000, 50_001)
    }
    assert axes[0] == axes[10_000] < axes[10_001] == axes[50_000] < axes[50_001]
    assert filter_search.pair_projection(near, 100, MANHATTAN).n_axes == filter_search.MOST_AXES
    for far in (10**6, FARTHEST[SQUARED]):
        assert filter_search.pair_projection(near, far, SQUARED) is None
    assert filter_search.pair_projection(near, FARTHEST[MANHATTAN], MANHATTAN) is None
    with monkeypatch.context() as patch:
        patch.setattr(filter_search, "costs", lambda: filter_search.Costs(0, 0))
        projection = filter_search.pair_projection(near, 10**6 // 2, SQUARED)
        most = largest_limit(projection, SQUARED)
        assert filter_search.pair_projection(near, most, SQUARED) is not None
        assert filter_search.pair_projection(near, most + 1, SQUARED) is None
    for kind in ("blank", "copies"):
        crowded = sources(searches.some_hashes(kind, 100))
        assert filter_search.pair_projection(crowded, 40_000, SQUARED) is None
    assert neighbour_search.neighbour_projection(near, SQUARED).n_axes == filter_search.MOST_AXES
    assert neighbour_search.neighbour_projection(near, MANHATTAN) is None
    monkeypatch.undo()
    sides = sources(*(searches.some_hashes("photographs", 2047, i) for i in range(2)))
    assert filter_search.pair_projection(sides, 0, SQUARED) is None
    assert neighbour_search.neighbour_projection(sides, SQUARED) is None
    more = sources(searches.some_hashes("photographs", 6000))
    assert filter_search.pair_projection(more, 0, SQUARED) is not None
    assert neighbour_search.neighbour_projection(more, SQUARED) is not None
    sides[1] = more[0]
    assert filter_search.pair_projection(sides, 0, SQUARED) is not None
    monkeypatch.setattr(filter_search, "compiled", lambda: False)
    assert filter_search.pair_projection(more, 0, SQUARED) is None
    assert neighbour_search.neighbour_projection(more, SQUARED) is None


@pytest.mark.long
@needs_jit
@pytest.mark.parametrize("inside", [True, False])
def test_where_the_filter_pays_for_neighbours(calls, inside):
    for kind, pays in (("photographs", True), ("random", False)):
        a = searches.some_hashes(kind, 4000 if inside else 500)
        b = None if inside else searches.some_hashes(kind, 16_000 if pays else 4000)
        both = trees(a, b, searches.some_projection("principal", 64))
        limit = 10_000 if pays else FARTHEST[SQUARED]
        assert NeighbourSearch(*both, 1, limit).pays() == pays
        calls.clear()
        packed = search.found_neighbours(a, b, 1, limit, SQUARED)
        assert (calls["nearest"] == 0) == pays
        exact = searches.distances(a, a if inside else b, SQUARED)
        expected = searches.neighbours_of(exact, 1, limit, inside)
        np.testing.assert_array_equal(packed, expected)


# All pairs and all neighbours of two sides.


def found_by(a, b, limit, metric, **options):
    """Return the chunks of `found_pairs`."""
    arguments = {"max_workers": 1, "executor": None, "progress": False} | options
    return list(search.found_pairs(a, b, limit, metric, *arguments.values()))


def joined(chunks):
    return sorted(pair for chunk in chunks for pair in searches.unpacked(chunk))


@needs_jit
@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
@pytest.mark.parametrize(
    "n",
    [pytest.param(4095, marks=pytest.mark.long), 4096, pytest.param(4097, marks=pytest.mark.long)],
)
def test_one_side_and_two(metric, n, calls):
    hashes = searches.some_hashes("photographs", n)
    number = searches.METRICS[metric]
    limit = 10_000 if number == SQUARED else 300
    for b in (None, searches.some_hashes("photographs", 700, 1)):
        exact = searches.distances(hashes[:700], hashes if b is None else b, number)
        expected = searches.pairs_of(exact, limit, False)
        chunks = found_by(hashes, b, limit, metric, max_workers=2)
        assert min(len(chunk.packed) for chunk in chunks) > 0
        pairs = joined(chunks)
        assert len({pair[:2] for pair in pairs}) == len(pairs)
        some = [pair for pair in pairs if pair[0] < 700]
        assert some == [pair for pair in expected if b is not None or pair[0] < pair[1]]
    assert calls["near_pairs"] > 0
    assert calls["pairs of within"] < n * n / 5


@needs_jit
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.long)
        for kind in ("photographs", "blank", "copies", "random", "clipped")
    ],
)
def test_public_functions(kind):
    """Whatever they decide, with any number of workers."""
    a, b = searches.some_hashes(kind, 400), searches.some_hashes(kind, 150, 2)
    for sides, metric in itertools.product(((a,), (a, b)), ("sqeuclidean", "manhattan")):
        exact = searches.distances(a, sides[-1], searches.METRICS[metric])
        inside = len(sides) == 1
        for limit in (0, int(np.quantile(exact, 0.01)), 10**8):
            for workers in (1, 2, 3):
                options = {"metric": metric, "max_workers": workers}
                found = pdna.pairs_within(*sides, max_distance=limit, **options)
                pairs = zip(*(column.tolist() for column in columns_of(found)), strict=True)
                assert list(pairs) == searches.pairs_of(exact, limit, inside)
        for k in (1, 5, 100, exact.shape[1] - inside):
            for workers in (1, 3):
                found = pdna.nearest(*sides, k=k, metric=metric, max_workers=workers)
                packed = (found.distances.astype(np.int64) << 32) + found.indices
                expected = searches.neighbours_of(exact, k, 2**30, inside)
                np.testing.assert_array_equal(packed, expected)


@needs_jit
def test_the_order_of_chunks():
    """With so many workers always the same; each number of them has the same pairs."""
    hashes = searches.some_hashes("photographs", 3000)
    b = searches.some_hashes("photographs", 1200, 3)
    for sides in ((hashes, None), (hashes, b)):
        answers = []
        for workers in (1, 2, 3):
            runs = [found_by(*sides, 20_000, "sqeuclidean", max_workers=workers) for _ in range(3)]
            for other in runs[1:]:
                assert len(other) == len(runs[0]) > 1
                for one, same in zip(other, runs[0], strict=True):
                    np.testing.assert_array_equal(one.packed, same.packed)
                    np.testing.assert_array_equal(one.distances, same.distances)
            answers.append(joined(runs[0]))
        assert answers[0] == answers[1] == answers[2]


@pytest.mark.long
@needs_jit
def test_chunks_are_bounded(monkeypatch):
    """A span with too many pairs is divided, on threads and in the blocks of tasks."""
    monkeypatch.setattr(search, "_MAX_PAIRS_OF_SPAN", 5000)
    hashes = np.concatenate([searches.some_hashes("photographs", 2600)] * 2)
    hashes[2000:2400] = 0
    exact = searches.distances(hashes, hashes, SQUARED)
    expected = searches.pairs_of(exact, 10_000, True)
    chunks = found_by(hashes, None, 10_000, "sqeuclidean")
    assert joined(chunks) == expected
    assert max(len(chunk.packed) for chunk in chunks) <= 5000
    monkeypatch.setattr(search, "_in_memory", lambda _: False)
    monkeypatch.setattr(search, "MAX_PAIRS_OF_TASK", 200**2)
    monkeypatch.setattr(blocks, "_DIVIDED_ROWS", 200)
    chunks = found_by(hashes, None, 10_000, "sqeuclidean")
    assert joined(chunks) == expected
    assert max(len(chunk.packed) for chunk in chunks) <= 200**2


@needs_jit
def test_the_work_can_be_stopped():
    hashes = searches.some_hashes("photographs", 3000)
    chunks = search.found_pairs(hashes, None, 20_000, "sqeuclidean", 2, None, False)
    assert len(next(chunks).packed)
    chunks.close()


@pytest.fixture
def in_files(tmp_path):
    """Hashes in two files, and in memory."""
    hashes = searches.some_hashes("photographs", 2600, 4)
    hashes[-40:] = hashes[:40]
    pdna.HashTable([str(i) for i in range(1100)], hashes[:1100], np.zeros(1100)).save(
        tmp_path / "a.npz"
    )
    np.save(tmp_path / "b.npy", hashes[1100:])
    return [tmp_path / "a.npz", tmp_path / "b.npy"], hashes


@pytest.mark.long
@needs_jit
@pytest.mark.parametrize("where", ["threads", "processes", "cluster"])
def test_every_executor(in_files, where, calls):
    """Blocks of two trees: from memory and from files, pairs and neighbours, and their order."""
    files, hashes = in_files
    queries = searches.some_hashes("photographs", 1100, 5)
    exact = [searches.distances(one, hashes, SQUARED) for one in (hashes, queries)]
    manhattan = [searches.distances(one, hashes, MANHATTAN) for one in (hashes, queries)]

    def check(executor, workers):
        options = {"executor": executor, "max_workers": workers}
        for data in (files, hashes):
            for number, sides in enumerate(((data, None), (queries, data))):
                inside = number == 0
                chunks = found_by(*sides, 8000, "sqeuclidean", **options)
                assert joined(chunks) == searches.pairs_of(exact[number], 8000, inside)
                chunks = found_by(*sides, 250, "manhattan", **options)
                assert joined(chunks) == searches.pairs_of(manhattan[number], 250, inside)
                for limit in (8000, FARTHEST[SQUARED]):
                    packed = search.found_neighbours(*sides, 3, limit, SQUARED, **options)
                    expected = searches.neighbours_of(exact[number], 3, limit, inside)
                    np.testing.assert_array_equal(packed, expected)

    if where == "threads":
        check(None, 1)
        check(None, 3)
        assert calls["near_pairs"] > 0
        assert calls["refine_nearest"] > 0
    elif where == "processes":
        with spawned_processes() as executor:
            check(executor, None)
    else:
        with local_cluster() as client:
            check(client.get_executor(), 2)


@needs_jit
def test_blocks_of_trees_are_filtered(in_files, calls, monkeypatch):
    """A task makes trees unless all pairs of its two chunks fit into an answer."""
    files = in_files[0]
    found_by(files, None, 8000, "sqeuclidean")
    assert calls["near_pairs"] > 0
    assert calls["pairs of within"] < 2600**2 / 8  # chunks, up to 512 x 512 pairs
    found = {}
    for cost in (0, 1e9):  # it always pays, or never
        monkeypatch.setattr(
            neighbour_search, "costs", lambda cost=cost: filter_search.Costs(cost, cost)
        )
        calls.clear()
        found[cost] = search.found_neighbours(files, None, 3, 8000, SQUARED, max_workers=1)
        assert (calls["nearest"] == 0) == (cost == 0)
    np.testing.assert_array_equal(*found.values())


@needs_jit
def test_an_index_in_segments():
    """Many queries of an index, with and without a limit. `test_index_tree.py` has its filter."""
    from indexes import in_memory

    rows = searches.some_hashes("photographs", 900)
    queries = searches.some_hashes("photographs", 60, 6)
    exact = searches.distances(queries, rows, SQUARED)
    index = in_memory(rows, pieces=2)
    for k, limit in ((1, None), (7, 200), (7, None)):
        expected = searches.neighbours_of(exact, k, FARTHEST[SQUARED], False)
        for matches, nearest in zip(
            index.search(queries, k, max_distance=limit), expected.tolist(), strict=True
        ):
            within = [one for one in nearest if limit is None or one >> 32 <= limit**2]
            assert [(m.distance_squared << 32) + m.id - 1 for m in matches] == within


def test_few_hashes_and_none():
    """Public functions with empty and single sides."""
    empty, one = np.empty((0, 144), np.uint8), searches.some_hashes("photographs", 1)
    for sides in ((one,), (one, one), (one, searches.some_hashes("photographs", 3))):
        found = pdna.pairs_within(*sides, max_distance=10**6)
        assert len(found.i) == (len(sides[-1]) if len(sides) > 1 else 0)
    for module in (filter_search, neighbour_search):
        assert module._MIN_PAIRS == 1
    for sides in ((empty,), (empty, one), (one, empty), (empty, empty)):
        assert len(pdna.pairs_within(*sides, max_distance=10**6).i) == 0
    assert pdna.nearest(empty, one).indices.shape == (0, 1)


def test_tasks_of_a_tree(monkeypatch):
    """Trees of several tasks have the answers of all rows."""
    monkeypatch.setattr(search_tree, "_ROWS_A_TASK", 512)
    count = 30 if JIT_OFF else 2000
    a = searches.some_hashes("photographs", count)
    tree = SearchTree.build(a, searches.some_projection("principal", 12), 2)
    exact = searches.distances(a, a, SQUARED)
    found = pairs_by(PairSearch(tree, tree, SQUARED, 15_000))
    assert found == searches.pairs_of(exact, 15_000, True)
