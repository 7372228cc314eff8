"""The parts of the search beside plain NumPy: projection, vector code, kernels, tree."""

import os
import subprocess
import sys
from functools import cache

import numba
import numpy as np
import pytest
import searches
from conftest import JIT_OFF, ROOT, needs
from hypothesis import example, given
from hypothesis import strategies as st

from photodna_nb.kernels import filter as kernels
from photodna_nb.kernels import filter_tile
from photodna_nb.kernels.distance import MANHATTAN, SQUARED
from photodna_nb.kernels.vector import has_features
from photodna_nb.pairs import filter_search, projection, search_tree
from photodna_nb.pairs.projection import Projection, sample_rows
from photodna_nb.pairs.search_tree import ProjectedQueries, SearchTree

needs_jit = pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
AXES = range(8, 81, 4)
LARGEST = filter_search.MAX_PROJECTED
# Registers and instructions for which the vector code can be compiled here. The generic code is
# compiled for any width: LLVM takes several registers for a wider vector.
VECTOR_KINDS = [(size, "") for size in (16, 32, 64)]
for _size, _feature in ((16, "ssse3"), (32, "avx2"), (64, "avx512bw")):
    if has_features(_feature):
        VECTOR_KINDS.append((_size, "pmaddubsw"))
if has_features("avx512vnni"):
    VECTOR_KINDS += [(size, "vpdpbusd") for size in (16, 32, 64)]
elif has_features("avxvnni"):
    VECTOR_KINDS += [(size, "vpdpbusd") for size in (16, 32)]


@pytest.fixture(autouse=True)
def without_jit(monkeypatch):
    """Where nothing is compiled, the kernels call the vector code's equivalent in NumPy."""
    if JIT_OFF:
        for name in searches.VECTOR_CODE:
            monkeypatch.setattr(kernels, name, getattr(searches, name))


# The projection.


@given(
    st.sampled_from(searches.BASES),
    st.sampled_from(AXES),
    st.sampled_from(searches.KINDS),
    st.integers(0, 2**32 - 1),
    st.integers(0, 144),
)
def test_the_proof(basis, n_axes, kind, seed, n_changed):
    """Whatever the weights, projections of two hashes are within the limit of their distance."""
    found = searches.some_projection(basis, n_axes, seed)
    a = searches.some_hashes(kind, 12, seed)
    rng = np.random.default_rng(seed)
    near = a.copy()
    near[:, :n_changed] += rng.integers(-2, 3, (12, n_changed)).astype(np.uint8)
    for b in (a[::-1], near, 255 - a):
        steps = found.project(a).astype(np.int64) - found.project(b)
        differences = a.astype(np.int64) - b
        for n in (filter_tile.BOX_AXES, n_axes):
            squares = (steps[:, :n] ** 2).sum(axis=1)
            l2, l1 = (differences**2).sum(axis=1), np.abs(differences).sum(axis=1)
            assert (squares <= found.limits(l2, SQUARED, n)).all()
            assert (squares <= found.limits(l1, MANHATTAN, n)).all()


@pytest.mark.parametrize("n_axes", [8, 20, 64])
def test_the_proof_where_it_is_tight(n_axes):
    """Hashes at distance 1 of which every coordinate is rounded apart, and the farthest ones."""
    weights = np.zeros((n_axes, 144), np.int8)
    weights[:, 0] = 1
    found = Projection.of(weights, np.full(n_axes, 256, np.int32))
    a = np.zeros((2, 144), np.uint8)
    a[1, 0] = 1
    assert found.project(a).tolist() == [[0] * n_axes] * 2
    found = Projection.of(weights, np.full(n_axes, 257, np.int32))
    assert found.project(a).tolist() == [[-1] * n_axes, [0] * n_axes]
    for metric in (SQUARED, MANHATTAN):
        assert found.limits(1, metric, n_axes) == n_axes
        assert found.limits(0, metric, n_axes) == n_axes
    # A distance along the only axis: nothing but the rounding separates the two sides.
    weights[:] = 0
    weights[0] = 127
    found = Projection.of(weights, np.zeros(n_axes, np.int32))
    for value in (1, 20, 40):
        b = np.full((1, 144), value, np.uint8)
        moved = int(found.project(b)[0, 0]) if value < 3 else 127 * 144 * value // 512
        limit = int(found.limits(144 * value**2, SQUARED, n_axes))
        assert moved**2 <= limit < (moved + 1 + np.sqrt(n_axes)) ** 2 + 1
        limit = int(found.limits(144 * value, MANHATTAN, n_axes))
        assert moved**2 <= limit < (moved + 1 + np.sqrt(n_axes)) ** 2 + 1


@pytest.mark.long
@given(
    st.sampled_from(searches.BASES),
    st.sampled_from(AXES),
    st.sampled_from([SQUARED, MANHATTAN]),
    st.lists(st.integers(0, 9_363_600), min_size=1, max_size=9),
)
def test_limits_beside_their_formula(basis, n_axes, metric, limits):
    """Not below the formula in exact singular values, and hardly above it."""
    found = searches.some_projection(basis, n_axes)
    wide = found.weights.astype(float)
    norm = np.linalg.svd(wide)[1][0] if metric == SQUARED else np.sqrt((wide**2).sum(axis=0)).max()
    lengths = np.sqrt(limits) if metric == SQUARED else np.array(limits, float)
    for n in (8, n_axes):
        expected = (lengths * norm / 512 + np.sqrt(n)) ** 2
        got = found.limits(np.array(limits), metric, n)
        assert got.dtype == np.int64
        assert (got >= np.floor(expected - 1e-6)).all()
        assert (got <= expected * (1 + 1e-7) + 1e-6).all()
        assert [int(found.limits(one, metric, n)) for one in limits] == got.tolist()


@pytest.mark.parametrize("basis", searches.BASES)
@pytest.mark.parametrize("kind", searches.KINDS)
def test_coordinates_beside_integers(basis, kind, monkeypatch):
    monkeypatch.setattr(projection, "_ROWS", 16)  # several pieces
    for n_axes in (8, 12, 64):
        found = searches.some_projection(basis, n_axes, n_axes)
        hashes = searches.some_hashes(kind, 37)
        products = hashes.astype(np.int64) @ found.weights.T.astype(np.int64) - found.centre
        expected = np.clip((products + 256) // 512, -90, 90).astype(np.int8)
        np.testing.assert_array_equal(found.project(hashes), expected, strict=True)
        assert found.n_axes == n_axes


def test_a_fitted_projection():
    """Along the axis with the most variance first, around the mean; few hashes are enough."""
    rng = np.random.default_rng(0)
    sample = np.full((300, 144), 100, np.uint8)
    for axis, spread in ((5, 60), (140, 30), (77, 10)):
        sample[:, axis] += rng.integers(-spread, spread + 1, 300).astype(np.int8).view(np.uint8)
    found = Projection.fit(sample, 12)
    assert found.weights.shape == (12, 144)
    assert found.weights.dtype == np.int8
    for row, axis in enumerate((5, 140, 77)):
        assert abs(int(found.weights[row, axis])) >= 125
    products = found.weights.astype(int) @ sample.mean(axis=0)
    assert np.abs(found.centre - products).max() <= 0.5
    assert 126 < found.norms[0] < 130
    assert found.norms[1] < 130
    for few in (sample[:1], sample[:2]):
        found = Projection.fit(few, 64)
        assert not found.project(few[:1] // 2 * 2).astype(bool)[:, :1].all() or len(few) > 1
        assert 100 < found.norms[0] < 140


def test_samples_are_in_even_steps():
    hashes = np.arange(1000 * 144).reshape(1000, 144).astype(np.uint8)
    for n, step in ((1000, 1), (999, 2), (500, 2), (300, 4), (1, 1000)):
        np.testing.assert_array_equal(sample_rows(hashes, n), hashes[::step])


# The vector code.


@cache
def compiled_vector_code(size, kind):
    """The intrinsics compiled for a width and an instruction, and the bits of their sums."""
    one, two = filter_tile.near_boxes, filter_tile.near_rows
    one_of, two_of = filter_tile.boxes_near, filter_tile.rows_near

    @numba.njit
    def boxes(points, query, low, high, box, limits, least):
        return one(points, query, low, high, box, limits, np.int32(least))

    @numba.njit
    def boxes_of(points, query, low, high, box, limits, least):
        return one_of(points, query, low, high, box, limits, np.int32(least))

    @numba.njit
    def rows_of(codes, block, halves, points, axes, listed, chosen, place, limits, of_rows, masks):
        return two_of(
            *(codes, block, halves, points, axes, listed, chosen, place, limits, of_rows, masks)
        )

    @numba.njit
    def rows(codes, block, halves, points, axes, listed, chosen, place, limits, of_rows, masks):
        return two(
            *(codes, block, halves, points, axes, listed, chosen, place, limits, of_rows, masks)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filter_tile, "_register_bytes", lambda: size)
        patch.setattr(filter_tile, "_product_kind", lambda: kind)
        points, sides = np.zeros(8, np.uint64), np.zeros((1, 8), np.uint8)
        numbers, masks = np.zeros(32, np.int32), np.zeros(4, np.uint32)
        boxes(points, 0, sides, sides, 0, numbers, -1)
        boxes_of(
            points, 0, np.repeat(sides, 8, axis=0), np.repeat(sides, 8, axis=0), 0, numbers, -1
        )
        codes, points = np.zeros(256, np.uint8), np.zeros((1, 8), np.int8)
        for of_rows in (None, (numbers, numbers)):
            for function in (rows, rows_of):
                function(codes, 0, numbers, points, 8, numbers, numbers, 0, numbers, of_rows, masks)
    return boxes, rows, 32 if kind == "vpdpbusd" else 16, boxes_of, rows_of


@pytest.fixture(params=VECTOR_KINDS, ids=lambda kind: f"{kind[0]}-{kind[1] or 'generic'}")
def vector_code(request):
    if JIT_OFF:
        pytest.skip("nothing is compiled")
    found = compiled_vector_code(*request.param)
    yield found
    assert [len(function.signatures) for function in found[:2]] == [1, 2]


def eights_of(sides):
    """Return the low and high sides of sixteen boxes, of a few."""
    return [np.resize(side, (16, 8)) for side in sides]


def test_near_boxes(vector_code):
    """Points inside, beside and far from boxes, with limits on the distance and on each side."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(300):
        sides = np.sort(rng.integers(0, 181, (2, 5, 8)), axis=0).astype(np.uint8)
        if number % 3 == 0:  # a box far away in all axes: each distance is cut at 127
            sides[:] = 180
        points = rng.integers(0, 181 if number % 3 else 60, (16, 8)).astype(np.uint8)
        eights = points.view(np.uint64).reshape(-1)
        box = number % 5
        outside = np.maximum(sides[0, box].astype(int) - points, 0)
        outside += np.maximum(points.astype(int) - sides[1, box], 0)
        squares = (np.minimum(outside, 127) ** 2).sum(axis=1)
        limits = (squares + rng.integers(-1, 2, 16)).astype(np.int32)
        limits[rng.random(16) < 0.1] = -1
        for query, least in ((0, -1), (8, -1), (0, int(np.median(squares)))):
            arguments = (eights, query, *sides, box, limits, least)
            found.append(vector_code[0](*arguments))
            assert found[-1] == searches.near_boxes(*arguments)
            larger = np.maximum(limits[query : query + 8], least)
            eight = [
                np.ascontiguousarray(np.roll(side, query, axis=0)) for side in eights_of(sides)
            ]
            arguments = (eights, query + box, *eight, query, limits, least)
            assert vector_code[3](*arguments) == searches.boxes_near(*arguments)
            near = (outside**2).sum(axis=1)[query : query + 8] <= larger
            assert not int(np.sum(near << np.arange(8))) & ~found[-1], "a true one is missing"
    assert len(set(found)) > 100


@pytest.mark.parametrize("n_axes", [8, 12, 64])
def test_near_rows(vector_code, n_axes):
    """Sums around 0 and around the ends of an int16, with bytes as large as they come."""
    rng = np.random.default_rng(n_axes)
    _, near_rows, bits = vector_code[:3]
    n_near = 0
    for number in range(200):
        codes = rng.choice([0, 180], (3, n_axes // 4, 32, 4)).astype(np.uint8)
        points = rng.choice([-90, 90], (16, n_axes)).astype(np.int8)
        if number % 2:
            codes = rng.integers(0, 181, codes.shape).astype(np.uint8)
            points = rng.integers(-90, 91, points.shape).astype(np.int8)
        listed = rng.integers(0, 16, 20).astype(np.int32)
        chosen = rng.integers(0, 20, 24).astype(np.int32)
        place, block = int(rng.integers(0, 21)), int(rng.integers(0, 3))
        query = listed[chosen[place]]
        rows = codes[block].swapaxes(0, 1).reshape(32, n_axes).astype(int)
        limits = rng.integers(-(2**20), 2**20, 16).astype(np.int32)
        wanted = rng.choice([-40_000, -32_768, -2, -1, 0, 1, 32_767], 32)
        if number % 3 == 0:  # nothing is near
            limits[:] = limits[query]
            points[:] = points[query]
            wanted = rng.choice([-32_768, -7, -1], 32)
        halves = np.zeros(96, np.int32)
        halves[32 * block : 32 * block + 32] = (
            wanted - rows @ points[query].astype(int) - limits[query]
        )
        arguments = (codes.reshape(-1), block, halves, points, n_axes, listed, chosen, place)
        masks, expected = np.full((2, 4), 0xABCD, np.uint32)
        near = near_rows(*arguments, limits, None, masks)
        assert near == searches.near_rows(*arguments, limits, None, expected, bits)
        np.testing.assert_array_equal(masks, expected)
        n_near += near
        masks[0] = expected[0] = 0xABCD
        near = vector_code[4](*arguments, limits, None, masks)
        assert near == searches.rows_near(*arguments, limits, None, expected, bits=bits)
        np.testing.assert_array_equal(masks, expected)
        # The same sums, of an offset and the larger one of two limits.
        offsets, of_rows = limits - np.int32(500), np.full(96, 500, np.int32)
        own = rng.choice([-(2**31), 499, 500, 501], 16).astype(np.int32)
        of_rows[32 * block : 32 * block + 32 : 2] = rng.choice([-9, 501], 16)
        row_limits = (offsets, of_rows)
        near = near_rows(*arguments, own, row_limits, masks)
        assert near == searches.near_rows(*arguments, own, row_limits, expected, bits)
        np.testing.assert_array_equal(masks, expected)
    assert 100 < n_near < 150


def all_masks(near_rows, boxes, codes, n_rows, limits):
    """Return which rows `near_rows` finds near each query, four at a time."""
    found = np.zeros((len(codes), n_rows), bool)
    listed = np.arange(len(codes), dtype=np.int32)
    masks = np.empty(4, np.uint32)
    for place in range(0, len(codes), 4):
        for block in range(-(-n_rows // 32)):
            if near_rows(
                *(boxes[0], block, boxes[1], codes, codes.shape[1]),
                *(listed, listed, place, limits, None, masks),
            ):
                bits = masks[:, None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)
                of_block = bits.astype(bool)[:, : n_rows - 32 * block]
                found[place : place + 4, 32 * block : 32 * block + 32] = of_block
    return found


@pytest.mark.parametrize("n_axes", [8, 16, 64])
def test_no_near_row_is_lost(vector_code, n_axes):
    """With any limit up to the largest, for equal rows too, of odd and even squares."""
    near_rows = vector_code[1]
    for kind in ("photographs", "extremes", "copies"):
        tree = SearchTree.build(
            searches.some_hashes(kind, 64), searches.some_projection("principal", n_axes)
        )
        boxes, codes = [array.copy() for array in tree.boxes], tree.queries.codes.copy()
        wide = codes.astype(int)
        squares = ((wide[:, None] - wide) ** 2).sum(axis=2)
        if kind == "photographs":
            assert len(set((wide**2).sum(axis=1) % 2)) == 2
        for limit in (0, 1, 2, 3, 100, 101, 4000, *range(LARGEST - 3, LARGEST + 1)):
            limits = tree.queries.offsets + np.int32(-(-limit // 2))
            found = all_masks(near_rows, boxes, codes, 64, limits)
            assert found[squares <= limit].all(), limit
            if limit < 200 and kind == "photographs":
                assert found[squares > limit + 3].mean() < 0.3


@needs_jit
def test_the_lowest_bit():
    @numba.njit
    def lowest_bit(mask):
        return filter_tile_lowest_bit(mask)

    filter_tile_lowest_bit = filter_tile.lowest_bit
    for mask in (1, 2, 3, 0x80000000, 0xFFFFFFFF, 0x40100):
        assert lowest_bit(np.uint32(mask)) == searches.lowest_bit(mask)


GUARDED = """
import ctypes, dataclasses, mmap, sys
import numpy as np
import searches
from photodna_nb.pairs import filter_search, neighbour_search
from photodna_nb.pairs.search_tree import SearchTree

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
kept = []

def guarded(array):
    '''Copy an array to memory that ends, or begins, where no access is allowed.'''
    size = -(-max(1, array.nbytes) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
    kept.append(memory)
    offset = PAGE if sys.argv[1] == "begin" else PAGE + size - array.nbytes
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    copy.flags.writeable = array.flags.writeable
    return copy

class Guarded:
    def __getattr__(self, name):
        return getattr(np, name)
    def empty(self, *arguments):
        return guarded(np.empty(*arguments))
    def full(self, *arguments):
        return guarded(np.full(*arguments))
    def zeros(self, *arguments):
        return guarded(np.zeros(*arguments))

def tree_of(hashes, projection):
    tree = SearchTree.build(guarded(hashes), projection)
    queries, order = tree.queries, guarded(tree.order)
    tree = dataclasses.replace(tree, boxes=tuple(map(guarded, tree.boxes)), order=order)
    names = ("order", "codes", "offsets", "points")
    arrays = {name: guarded(getattr(queries, name)) for name in names}
    vars(tree)["queries"] = dataclasses.replace(queries, **arrays)
    return tree

if sys.argv[1] == "beyond":  # the guard is one: this must not end well
    array = guarded(np.zeros(9, np.uint8))
    ctypes.string_at(array.ctypes.data, 10)
    sys.exit(0)
filter_search.np = Guarded()
for n_axes in (8, 12, 64):
    projection = searches.some_projection("principal", n_axes)
    for n, m in ((1, 1), (5, 33), (8, 31), (40, 513), (521, 600)):
        for kind in ("copies", "photographs"):
            one, two = (searches.some_hashes(kind, size, size) for size in (n, m))
            for queries, rows in ((one, two), (two, two)):
                trees = [tree_of(two, projection)] * 2
                if queries is one:
                    trees[0] = tree_of(one, projection)
                exact = searches.distances(queries, rows, 0)
                search = filter_search.PairSearch(*trees, 0, 10_000)
                found = []
                for span in search.spans(1):
                    found += searches.unpacked(search.pairs(span, 2**40))
                assert sorted(found) == searches.pairs_of(exact, 10_000, queries is rows)
                search = neighbour_search.NeighbourSearch(*trees, 3, 2**23)
                expected = searches.neighbours_of(exact, 3, 2**23, queries is rows)
                for span in search.spans(1):
                    found = search.neighbours(span)
                    assert (found == expected[trees[0].order[slice(*span)]]).all()
                if queries is rows:
                    graph = neighbour_search.NeighbourGraph(trees[0], 3, 2**23)
                    assert (graph.neighbours(1, False) == expected[trees[0].order]).all()
                kept.clear()
print("all", filter_search.np.pi)
"""


@pytest.mark.long
@needs_jit
@needs("mprotect")
@pytest.mark.parametrize("place", ["end", "begin", "beyond"])
def test_memory_beyond_the_arrays(place):
    """Every array begins, or ends, at a page that cannot be accessed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    run = subprocess.run(
        [sys.executable, "-c", GUARDED, place],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if place == "beyond":
        assert run.returncode < 0
    else:
        assert run.stdout.startswith("all 3.14"), (run.returncode, run.stderr[-2000:])


# Kernels.


@pytest.mark.parametrize("triangle", [True, False])
def test_near_pairs(triangle):
    """Every pair that is near, once; few others; and only as many as there is room for."""
    count, images = (600, 90) if JIT_OFF else (1100, 170)
    hashes = searches.some_hashes("photographs", images)[np.arange(count) * 7 % images]
    projected = searches.some_projection("principal", 16)
    rows = SearchTree.build(hashes, projected)
    queries = rows
    if not triangle:
        queries = SearchTree.build(hashes[-40:], projected)
    wide = [tree.queries.codes[: len(tree)].astype(int) for tree in (queries, rows)]
    squares = ((wide[0][:, None] - wide[1]) ** 2).sum(axis=2)
    eight = ((wide[0][:, None, :8] - wide[1][:, :8]) ** 2).sum(axis=2)
    # Each query has limits of its own, and some find nothing.
    rng = np.random.default_rng(0)
    limit, box_limit = rng.integers(300, 1500, len(queries)), rng.integers(0, 900, len(queries))
    box_limit[rng.random(len(queries)) < 0.2] = -1
    must = (squares <= limit[:, None]) & (eight <= box_limit[:, None])
    may = (squares <= limit[:, None] + 3) | (squares > 60_000)
    may &= box_limit[:, None] >= 0
    if triangle:
        must, may = np.triu(must, 1), np.triu(may, 1)
    box_limits = np.full(len(queries.queries.points), -1, np.int32)
    box_limits[: len(queries)] = box_limit
    limits = queries.queries.offsets.copy()
    limits[: len(queries)] += -(-limit // 2).astype(np.int32)
    arrays = queries.queries.points, queries.queries.codes, box_limits, limits
    superblocks = np.arange(rows.superblocks.size, dtype=np.int32)
    first, last = (8, min(len(queries), 240)) if triangle else (0, len(queries))
    n = last - first
    found = np.zeros(squares.shape, int)
    for capacity in (512 * n, 2 * 512 * n, 512 * n * len(superblocks)):
        found[:] = place = 0
        calls = 0
        while place < len(superblocks):
            pairs = np.full((capacity + 1, 2), -7, np.int32)
            counts = np.zeros(2, np.int64)
            scratch = filter_search.scratch_arrays(n)
            place = kernels.near_pairs(
                *(first, last, superblocks, place, triangle, arrays, rows.boxes, None, len(rows)),
                *(scratch, pairs[:-1], counts),
            )
            calls += 1
            assert (pairs[counts[0] :] == -7).all()
            np.add.at(found, tuple(pairs[: counts[0]].T), 1)
        assert found.max() == 1
        assert found[first:last][must[first:last]].all()
        assert not found[~may].any()
        assert not found[:first].any()
        assert not found[last:].any()
        assert calls <= len(superblocks)
    assert found.any()
    counts = np.zeros(2, np.int64)
    few = np.empty((512 * n - 1, 2), np.int32)
    place = kernels.near_pairs(
        *(first, last, superblocks, 0, triangle, arrays, rows.boxes, None, len(rows)),
        *(filter_search.scratch_arrays(n), few, counts),
    )
    assert place == counts[0] == counts[1] == 0


def test_near_pairs_of_one():
    """The same pairs, and as many tests, as of several queries; from each box on."""
    count = 4_200 if JIT_OFF else 9_000
    hashes = searches.some_hashes("photographs", 170)[np.arange(count) * 7 % 170]
    hashes[:, 140:] += np.arange(count, dtype=np.uint8)[:, None] % 5
    projected = searches.some_projection("principal", 16)
    rows = SearchTree.build(hashes, projected)
    n_boxes = len(rows.superblocks)
    assert n_boxes % 8
    assert len(rows.boxes[2]) % 8
    n_pairs = 0
    for place in range(0, 170, 90 if JIT_OFF else 17):
        queries = ProjectedQueries.of(hashes[place : place + 1], projected)
        limit = np.int32(700)
        arrays = (
            *(queries.points, queries.codes, np.full(8, [600] + [-1] * 7, np.int32)),
            queries.offsets + limit,
        )
        for start in (0, 3, n_boxes - 1):
            found = []
            scratch, counts = filter_search.scratch_arrays(1), np.zeros((2, 2), np.int64)
            for number in range(2):
                # Room for the pairs of the boxes that follow each other, and of one more.
                pairs, stop = np.full((count + 512, 2), -7, np.int32), start
                while stop < n_boxes:
                    room = pairs[: counts[number, 0] + 700]
                    if number:
                        arguments = (stop, arrays, rows.boxes, count, scratch, room)
                        stop = kernels.near_pairs_of_one(*arguments, counts[1])
                    else:
                        arguments = (0, 1, rows.superblocks, stop, False, arrays, rows.boxes, None)
                        stop = kernels.near_pairs(*arguments, count, scratch, room, counts[0])
                found.append(pairs[: counts[number, 0]].tolist())
            assert found[0] == found[1]
            assert counts[0].tolist() == counts[1].tolist()
            n_pairs += len(found[0])
    assert n_pairs > 50


@pytest.mark.parametrize("metric", [SQUARED, MANHATTAN])
def test_refine_within(metric):
    """The pairs within, on the limit too, in their order."""
    a, b = searches.some_hashes("extremes", 9), searches.some_hashes("photographs", 13)
    a[0], b[0] = 0, 255
    rng = np.random.default_rng(0)
    places = [rng.permutation(len(side)).astype(np.int32) for side in (a, b)]
    exact = searches.distances(a[places[0]], b[places[1]], metric)
    assert exact.max() in (9_363_600, 36_720)
    every = np.argwhere(exact >= 0).astype(np.int32)
    rng.shuffle(every)
    for limit in (0, int(np.median(exact)), int(np.median(exact)) - 1, 10**7):
        pairs, found = every.copy(), np.full(len(every), -1, np.int32)
        count = kernels.refine_within(
            metric == MANHATTAN, limit, a, places[0], b, places[1], pairs, len(every) - 5, found
        )
        tried = every[:-5]
        expected = tried[exact[tuple(tried.T)] <= limit]
        np.testing.assert_array_equal(pairs[:count], expected)
        np.testing.assert_array_equal(found[:count], exact[tuple(expected.T)])
        assert (found[count:] == -1).all()


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 30])
@pytest.mark.parametrize("skipped", [-1, 0, 3])
def test_refine_nearest(k, skipped):
    """The k nearest within what the heaps hold, in any order of the pairs; ties to the lower."""
    a, b = searches.some_hashes("copies", 11), searches.some_hashes("copies", 25, 0)
    rng = np.random.default_rng(k)
    places = [rng.permutation(len(side)).astype(np.int32) for side in (a, b)]
    numbers = rng.permutation(100)[:25].astype(np.int32)
    exact = searches.distances(a[places[0]], b[places[1]], SQUARED)
    limit = int(np.median(exact))
    first = 5
    every = np.argwhere(exact >= 0).astype(np.int32)
    rng.shuffle(every)
    heaps = np.full((11, k), (limit + 1) << 32, np.int64)
    kernels.refine_nearest(
        first, skipped, a[places[0]], b[places[1]], numbers, every, len(every), heaps
    )
    for query in range(11):
        packed = (exact[query] << 32) + numbers
        taken = np.abs(np.arange(25) - query - first) > skipped
        expected = np.sort(packed[taken & (exact[query] <= limit)])[:k]
        missing = [(limit + 1) << 32] * (k - len(expected))
        assert sorted(heaps[query].tolist()) == expected.tolist() + missing
        assert heaps[query, 0] == heaps[query].max()


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("skipped", [0, 3])
def test_refine_mutual(k, skipped):
    """Pairs that are near enough for one of both rows; then both heaps, in any order of pairs."""
    rows = searches.some_hashes("copies", 30)
    rng = np.random.default_rng(k)
    numbers = rng.permutation(100)[:30].astype(np.int32)
    exact = searches.distances(rows, rows, SQUARED)
    limits = rng.choice([np.quantile(exact, q) for q in (0.1, 0.6)], 30).astype(np.int64)
    heaps = np.repeat((limits + 1)[:, None] << 32, k, axis=1)
    heaps[7] = -1  # nothing is inserted for this row
    pairs = np.argwhere(np.triu(np.ones((30, 30), bool), 1)).astype(np.int32)
    rng.shuffle(pairs)
    every = pairs.copy()
    distances = np.empty(len(every), np.int32)
    count = kernels.refine_mutual(skipped, rows, pairs, len(every), heaps, distances)
    limits[7] = -1
    largest = np.maximum(*limits[every.T])
    near = (exact[tuple(every.T)] <= largest + 1) & (every[:, 1] - every[:, 0] > skipped)
    np.testing.assert_array_equal(pairs[:count], every[near])
    np.testing.assert_array_equal(distances[:count], exact[tuple(pairs[:count].T)])
    kernels.insert_mutual(numbers, pairs, distances, count, heaps)
    for row in set(range(30)) - {7}:
        packed = (exact[row] << 32) + numbers
        taken = np.abs(np.arange(30) - row) > skipped
        expected = np.sort(packed[taken & (packed < limits[row] + 1 << 32)])[:k]
        missing = [(limits[row] + 1) << 32] * (k - len(expected))
        assert sorted(heaps[row].tolist()) == expected.tolist() + missing
    assert (heaps[7] == -1).all()


# The tree.


def separated(points, order, start, stop):
    """Whether the spans into which a span is divided are apart along an axis, and theirs too."""
    if stop - start <= 32:
        return True
    middle = start + kernels.first_part(stop - start)
    parts = points[:, order[start:middle]], points[:, order[middle:stop]]
    apart = (parts[0].max(axis=1) <= parts[1].min(axis=1)).any()
    return (
        apart and separated(points, order, start, middle) and separated(points, order, middle, stop)
    )


@given(st.one_of(st.integers(33, 1100), st.integers(1101, 2**31)))
@example(512)
@example(513)
def test_the_first_part_is_of_whole_boxes(length):
    part = kernels.first_part(length)
    unit = 512 if length > 512 else 32
    assert part % unit == 0
    assert 0 < part < length
    assert abs(part - length / 2) <= unit


@pytest.mark.parametrize("kind", ["photographs", "blank", "extremes", "copies"])
def test_order_of_rows(kind):
    """A permutation of the span alone, whose boxes are apart."""
    for count in (1, 33, 80, 200) if JIT_OFF else (1, 32, 33, 64, 65, 511, 512, 513, 3000):
        hashes = searches.some_hashes(kind, count)
        coordinates = searches.some_projection("principal", 8).project(hashes)
        points = np.ascontiguousarray((coordinates.T + np.int16(90)).astype(np.uint8))
        for first, last in ((0, count), (count // 3, count - count // 5)):
            order = np.random.default_rng(0).permutation(count).astype(np.int32)
            before = order.copy()
            kernels.order_rows(points, order, first, last, 32, np.empty((64, 2), np.int64))
            assert sorted(order[first:last]) == sorted(before[first:last])
            np.testing.assert_array_equal(order[:first], before[:first])
            np.testing.assert_array_equal(order[last:], before[last:])
            assert separated(points, order, first, last)


def test_rows_are_divided_along_the_widest_axis():
    rng = np.random.default_rng(0)
    for axis in (0, 3, 7):
        points = rng.integers(80, 100, (8, 64)).astype(np.uint8)
        points[axis] = rng.permutation(64) * 2
        order = np.arange(64, dtype=np.int32)
        kernels.order_rows(points, order, 0, 64, 32, np.empty((64, 2), np.int64))
        assert points[axis, order[:32]].max() < points[axis, order[32:]].min()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 31, 33] if JIT_OFF else [1, 8, 33, 513, 1500])
@pytest.mark.parametrize("n_axes", [8, 20])
def test_arrays_of_a_tree(count, n_axes, monkeypatch):
    """Each array by its formula, in tasks of a few boxes, on any number of threads."""
    monkeypatch.setattr(search_tree, "_ROWS_A_TASK", 512)
    hashes = searches.some_hashes("photographs", count)
    projected = searches.some_projection("principal", n_axes)
    tree = SearchTree.build(hashes, projected)
    assert len(tree) == count
    assert tree.hashes is hashes
    assert tree.projection is projected
    assert sorted(tree.order) == list(range(count))
    codes = projected.project(hashes[tree.order]).astype(int)
    assert separated(codes[:, :8].T, np.arange(count), 0, count)
    size = -(-count // 8) * 8
    assert tree.queries.codes.shape == (size, n_axes)
    assert (len(tree.queries.offsets), len(tree.queries.points)) == (size, size)
    np.testing.assert_array_equal(tree.queries.codes[:count], codes)
    np.testing.assert_array_equal(
        tree.queries.offsets[:count], -((codes**2).sum(axis=1) // 2) - 90 * codes.sum(axis=1)
    )
    points = tree.queries.points[:count].copy().view(np.uint8).reshape(-1, 8)
    np.testing.assert_array_equal(points, codes[:, :8] + 90)
    row_codes, halves, low, high, super_low, super_high = tree.boxes
    n_blocks = -(-count // 32)
    filled = np.concatenate([codes, np.repeat(codes[-1:], -count % 32, axis=0)])
    groups = row_codes.reshape(n_blocks, n_axes // 4, 32, 4).swapaxes(1, 2)
    np.testing.assert_array_equal(groups.reshape(-1, n_axes), filled + 90)
    np.testing.assert_array_equal(halves, -((filled**2).sum(axis=1) // 2))
    assert tree.superblocks.size == len(super_low) == -(-count // 512)
    for boxes, rows in (((low, high), 32), ((super_low, super_high), 512)):
        for number, (lowest, highest) in enumerate(zip(*boxes, strict=True)):
            inside = points[number * rows : number * rows + rows]
            np.testing.assert_array_equal(lowest, inside.min(axis=0))
            np.testing.assert_array_equal(highest, inside.max(axis=0))
    for workers in (2, 3):
        other = SearchTree.build(hashes, projected, workers)
        for name in ("order", "codes", "offsets", "points"):
            np.testing.assert_array_equal(getattr(other.queries, name), getattr(tree.queries, name))
    assert not any(array.flags.writeable for array in (tree.queries.points, *tree.boxes))


def test_distances_of_boxes():
    tree = SearchTree.build(
        searches.some_hashes("photographs", 90 if JIT_OFF else 2000),
        searches.some_projection("principal", 8),
    )
    points = tree.queries.points[: len(tree)].copy().view(np.uint8).reshape(-1, 8).astype(int)
    for queries in (points[:1], points[-9:], np.full((1, 8), 180), np.zeros((1, 8), int)):
        found = tree.box_distances(queries.astype(np.uint8))
        for number, square in enumerate(found.tolist()):
            rows = points[512 * number : 512 * number + 512]
            apart = np.maximum(rows.min(axis=0) - queries.max(axis=0), 0)
            apart += np.maximum(queries.min(axis=0) - rows.max(axis=0), 0)
            assert square == (apart**2).sum()
            nearest = ((rows[:, None] - queries) ** 2).sum(axis=2).min()
            assert square <= nearest
