"""Vectors of other lengths than 144, and of bits, beside plain NumPy."""

import numba
import numpy as np
import pytest
from conftest import JIT_OFF, needs_jit

import photodna_nb as pdna
from photodna_nb.checks import MAX_LENGTH
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels import register_tile, row_distance
from photodna_nb.pairs import filter_search, neighbour_search, packing, search
from photodna_nb.pairs.metrics import largest_distance, max_integer_distance
from photodna_nb.pairs.projection import Projection
from photodna_nb.pairs.search_tree import SearchTree
from photodna_nb.pairs.source import hash_source, hash_sources, split_source

LENGTHS = [1, 8, 63, 64, 143, 144, 145, 256, 1024]
METRICS = ["euclidean", "sqeuclidean", "manhattan", "hamming"]


def vectors(n, length, metric, seed=0):
    """Random vectors; the first are the farthest apart that there are, and two are equal."""
    rng = np.random.default_rng(seed + length)
    top = 1 if metric == "hamming" else 255
    hashes = rng.integers(0, top + 1, (n, length)).astype(np.uint8)
    hashes[0], hashes[1], hashes[2] = 0, top, hashes[3]
    hashes[4] = hashes[3] ^ np.uint8(rng.integers(0, top + 1))
    return hashes


def integers(a, b, metric):
    """Squared L2, L1 or Hamming distances, (n, m) int64."""
    differences = (row - b for row in a.astype(np.int64))
    if metric == "manhattan":
        return np.stack([np.abs(rows).sum(axis=1) for rows in differences])
    return np.stack([(rows**2).sum(axis=1) for rows in differences])


def in_units(values, metric):
    return np.sqrt(values) if metric == "euclidean" else values


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("length", LENGTHS)
def test_all_against_plain_numpy(length, metric):
    """Two chunks of tiles; the farthest two vectors reach the largest distance."""
    n = 20 if JIT_OFF else 140
    a, b = vectors(n, length, metric), vectors(9, length, metric, 1)
    exact, inside = integers(a, b, metric), integers(a, a, metric)
    assert inside.max() == inside[0, 1] == largest_distance(metric, length)
    matrix = pdna.distance_matrix(a, b, metric)
    expected = in_units(exact, metric).astype(matrix.dtype)
    np.testing.assert_array_equal(matrix, expected)
    farthest = pdna.distance_matrix(a[:2], None, metric)[0, 1]
    assert farthest == matrix.dtype.type(in_units(inside[0, 1], metric))
    one_by_one = in_units(exact[:9].diagonal(), metric)
    np.testing.assert_array_equal(pdna.distance(a[:9], b, metric), one_by_one)
    limit = int(np.median(inside))
    exactly = "sqeuclidean" if metric == "euclidean" else metric
    pairs = pdna.pairs_within(a, max_distance=limit, metric=exactly)
    i, j = np.nonzero(np.triu(inside <= limit, 1))
    np.testing.assert_array_equal((pairs.i, pairs.j, pairs.distance), (i, j, inside[i, j]))
    neighbours = pdna.nearest(a, b, 3, metric=metric)
    order = np.argsort(exact, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(neighbours.indices, order)
    nearest = in_units(np.take_along_axis(exact, order, axis=1), metric)
    np.testing.assert_array_equal(neighbours.distances, nearest)
    counted = pdna.distance_histogram(a, metric=metric)
    units = np.ceil(in_units(inside[np.triu_indices(n, 1)], metric))
    if metric == "sqeuclidean":
        units = np.minimum(np.ceil(np.sqrt(units)) ** 2, largest_distance(metric, length))
    bins = np.append(counted.limits, np.inf)
    np.testing.assert_array_equal(counted.counts, np.histogram(units, bins)[0])
    assert counted.counts.sum() == counted.pairs
    bins = sorted({0, limit, limit + 1})
    counted = pdna.distance_histogram(a, bins=bins, metric=exactly)
    upper = inside[np.triu_indices(n, 1)]
    np.testing.assert_array_equal(np.cumsum(counted.counts), [(upper <= t).sum() for t in bins])


@pytest.mark.parametrize("length", [145, 4096])
def test_roots_of_large_distances_are_rounded_once(length):
    """Squared distances of more digits than a float32, about squares, as matrix and as bins."""
    most = largest_distance("sqeuclidean", length - 8)  # the last parts of a sum need some more
    rng = np.random.default_rng(length)
    a, b = np.zeros((1, length), np.uint8), np.full((64, length), 255, np.uint8)
    for row in b:
        row[rng.integers(0, length, 9)] = rng.integers(0, 255, 9)
    root = int(np.sqrt(most))
    squares = [root**2 - 1, root**2, root**2 + 1]
    for row, square in zip(b, squares, strict=False):
        row[:] = parts_of(square, length)
    exact = integers(a, b, "euclidean")
    assert exact[0, :3].tolist() == squares
    np.testing.assert_array_equal(
        pdna.distance_matrix(a, b), np.sqrt(exact.astype(np.float64)).astype(np.float32)
    )
    counts = pdna.distance_histogram(a, b).counts
    expected = np.bincount(np.ceil(np.sqrt(exact[0])).astype(int), minlength=len(counts))
    np.testing.assert_array_equal(counts, expected)


def parts_of(square, length):
    """Integers from 0 to 255, as many as `length`, whose squares add up to `square`."""
    parts = []
    while square:
        parts.append(min(255, int(np.sqrt(square))))
        square -= parts[-1] ** 2
    return parts + [0] * (length - len(parts))


@needs_jit
@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
@pytest.mark.parametrize("length", [1, 63, 64, 145, 256])
def test_every_backend_gives_the_same(length, metric, monkeypatch):
    a = vectors(130, length, metric)
    exact = integers(a, a, metric)
    for name in packing.available_backends():
        monkeypatch.setenv("PHOTODNA_NB_BACKEND", name)
        np.testing.assert_array_equal(pdna.distance_matrix(a, metric=metric), exact)


@needs_jit
@pytest.mark.parametrize("length", [16, 63, 256, pytest.param(1024, marks=pytest.mark.long)])
def test_filter_and_refine(length, monkeypatch):
    """Pairs and neighbours by trees, as many hashes are searched: near and far ones."""
    rng = np.random.default_rng(length)
    hashes = np.repeat(vectors(110, length, "euclidean"), 3, axis=0).astype(int)
    hashes[::2] += rng.integers(-3, 4, (len(hashes[::2]), length))
    hashes = np.clip(hashes, 0, 255).astype(np.uint8)
    exact = integers(hashes, hashes, "euclidean")
    monkeypatch.setattr(filter_search, "_MIN_PAIRS", 1)
    monkeypatch.setattr(filter_search, "_FITTED_PAIRS", 0)
    monkeypatch.setattr(neighbour_search, "_MIN_PAIRS", 1)
    monkeypatch.setattr(neighbour_search.NeighbourSearch, "pays", lambda self: True)
    calls = []
    build = SearchTree.build.__func__
    monkeypatch.setattr(SearchTree, "build", classmethod(lambda *a: calls.append(1) or build(*a)))
    for limit in (20 * length, 30 * length):
        i, j = np.nonzero(np.triu(exact <= limit, 1))
        pairs = pdna.pairs_within(hashes, max_distance=limit, metric="sqeuclidean")
        np.testing.assert_array_equal((pairs.i, pairs.j, pairs.distance), (i, j, exact[i, j]))
    l1 = integers(hashes, hashes, "manhattan")
    i, j = np.nonzero(np.triu(l1 <= 2 * length, 1))
    pairs = pdna.pairs_within(hashes, max_distance=2 * length, metric="manhattan")
    np.testing.assert_array_equal((pairs.i, pairs.j, pairs.distance), (i, j, l1[i, j]))
    assert len(calls) >= 2
    del calls[:]
    for other in (None, hashes[::-1]):
        rows = hashes if other is None else other
        squares = integers(hashes, rows, "euclidean")
        if other is None:
            np.fill_diagonal(squares, 2**40)
        order = np.argsort(squares, axis=1, kind="stable")[:, :7]
        found = pdna.nearest(hashes, other, 7, metric="sqeuclidean")
        np.testing.assert_array_equal(found.indices, order)
        np.testing.assert_array_equal(found.distances, np.take_along_axis(squares, order, 1))
    assert calls


@pytest.mark.parametrize("length", [16, 144, 1024, MAX_LENGTH])
def test_products_of_a_fitted_projection_are_exact(length):
    """The sum of all products with the farthest vectors is an integer below 2^24."""
    # Of a unit vector times 127, rounded: the sum of the weights is at most this.
    most = 127 * np.sqrt(length) + length / 2
    assert 2 * 255 * most + 512 < 2**24
    size = min(length, 256)  # a fit to 4,096 values takes long
    axes = np.eye(size)[:16] if size == 16 else np.full((16, size), 1 / np.sqrt(size))
    projection = Projection.of(np.rint(127 * axes).astype(np.int8), np.zeros(16, np.int32))
    assert np.abs(projection.weights.astype(int)).sum(axis=1).max() <= most
    sample = np.random.default_rng(length).integers(0, 256, (40, size)).astype(np.uint8)
    fitted = Projection.fit(sample, 80)
    assert fitted.n_axes == min(80, size)
    exact = fitted.weights.astype(int) @ sample.T.astype(int) - fitted.centre[:, None] + 256
    expected = np.clip(exact // 512, -90, 90)
    np.testing.assert_array_equal(fitted.project(sample), expected.T)


def test_files_of_any_length(tmp_path):
    hashes = vectors(70, 65, "euclidean")
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    np.save(paths[0], hashes[:40])
    np.save(paths[1], hashes[40:])
    exact = integers(hashes, hashes, "euclidean")
    np.testing.assert_array_equal(pdna.distance_matrix(paths, metric="sqeuclidean"), exact)
    chunks = split_source(hash_source("a", paths), 33)
    assert [chunk.count for chunk in chunks] == [33, 33, 4]
    loaded = np.concatenate([chunk.load() for chunk in chunks])
    np.testing.assert_array_equal(loaded[:, :65], hashes)
    assert not loaded[:, 65:].any()
    file = tmp_path / "pairs.npz"
    limit = int(np.median(exact))
    count = pdna.write_pairs(file, paths, max_distance=limit, metric="sqeuclidean")
    i, j = np.nonzero(np.triu(exact <= limit, 1))
    assert count == len(i)
    np.testing.assert_array_equal(pdna.read_pairs(file).distance, exact[i, j])
    np.save(paths[1], hashes[40:, :64])
    with pytest.raises(pdna.ArgumentError, match=r"^a: got files of hashes of 64 and of 65 values"):
        pdna.distance_matrix(paths)


def test_limits_follow_the_length():
    assert max_integer_distance("d", np.inf, "hamming", 256) == 256
    assert max_integer_distance("d", 31.9, "hamming", 256) == 31
    assert max_integer_distance("d", np.inf, "euclidean", 4096) == 4096 * 255**2
    assert max_integer_distance("d", 2**40, "manhattan", 1) == 255
    a, b = np.zeros((2, 64), np.uint8), np.full((2, 64), 255, np.uint8)
    assert pdna.similarity(a, b).tolist() == [0, 0]
    assert pdna.similarity(a[0], a[0]) == 1
    assert pdna.distance_histogram(b, metric="manhattan").limits[-1] == 64 * 255
    assert pdna.distance_histogram(a, metric="hamming").limits.tolist() == list(range(65))
    assert repr(pdna.pairs_within(a, max_distance=0, metric="hamming")).count("Hamming") == 1


def test_refusals():
    bits, more = np.zeros((3, 64), np.uint8), np.zeros((3, 256), np.uint8)
    packed = np.full((3, 32), 7, np.uint8)
    calls = [
        lambda *a, **k: pdna.pairs_within(*a, max_distance=3, **k),
        pdna.nearest,
        pdna.distance_histogram,
        pdna.distance_matrix,
        pdna.distance,
    ]
    for call in calls:
        with pytest.raises(
            pdna.ArgumentError, match=r"^a, b: got hashes of 64 and of 256 values, needs one length"
        ):
            call(bits, more)
        with pytest.raises(
            pdna.ArgumentError, match=r"^metric: got \"hamming\" .* 0 or 1; numpy.unpackbits"
        ):
            call(packed, packed, metric="hamming")
        for length in (0, MAX_LENGTH + 1):
            with pytest.raises(
                pdna.ArgumentError,
                match=rf"^a: length of the hashes: got {length}, needs an integer from 1 to 4096$",
            ):
                call(np.zeros((3, length), np.uint8), bits)
    for call in (pdna.duplicates, lambda hashes: pdna.match(hashes, hashes)):
        with pytest.raises(pdna.ArgumentError, match=r"got an array of shape \(3, 64\)"):
            call(bits)
    with pytest.raises(pdna.ArgumentError, match="a, b: got hashes of 64 and of 256"):
        hash_sources(bits, more)


def test_bits_are_compared_in_tiles():
    """A filter for them would leave every pair, and its steps are those of bytes."""
    assert search.pair_projection is filter_search.pair_projection
    bits = np.zeros((3000, 64), np.uint8)
    assert filter_search.pair_projection(hash_sources(bits, None), 10, 2) is None


@needs_jit
@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
def test_generic_code_of_other_processors(metric, monkeypatch):
    """What another processor than x86 runs: L1 distances of more than 16 bits, too."""
    for module in (register_tile, row_distance):
        monkeypatch.setattr(module, "compiles_for_x86", lambda: False)
    fill = numba.extending.intrinsic(register_tile.fill_registers._defn)  # without its cache
    first_tile = numba.njit(lambda block, tile: fill(block, 0, 0, tile))
    name = "manhattan_distance" if metric == "manhattan" else "squared_distance"
    distance = numba.extending.intrinsic(getattr(row_distance, name)._defn)
    of_rows = numba.njit(lambda a, i, b, j: distance(a, i, b, j))
    a, b = vectors(8, 320, metric)[:4], vectors(128, 320, metric, 1)
    exact = integers(a, b, metric)
    assert exact.max() > 2**16
    dtype = np.uint8 if metric == "manhattan" else np.int16
    database, database_squares = kernels.pack_database(b, dtype, 16)
    queries, queries_squares = kernels.pack_queries(a, dtype)
    tile = np.empty((4, 128), np.int32)
    first_tile((database, queries, database_squares, queries_squares), tile)
    np.testing.assert_array_equal(tile, exact)
    rows = packing.comparable_rows(a), packing.comparable_rows(b)
    found = [[of_rows(rows[0], i, rows[1], j) for j in range(128)] for i in range(4)]
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("length", [1, 64])
def test_no_hashes(length):
    none, some = np.zeros((0, length), np.uint8), np.zeros((3, length), np.uint8)
    for metric in METRICS:
        assert pdna.distance_matrix(none, some, metric).shape == (0, 3)
        assert pdna.distance_matrix(some, none, metric).shape == (3, 0)
        assert len(pdna.pairs_within(none, some, max_distance=3, metric=metric)) == 0
        assert pdna.distance_histogram(some, none, metric=metric).counts.sum() == 0
        assert pdna.nearest(none, some, metric=metric).indices.shape == (0, 1)


def test_only_hashes_of_144_bytes_have_orientations():
    rows = np.zeros((3, 64), np.uint8)
    for call in (
        lambda: pdna.distance(rows[0], rows[1], orientations=True),
        lambda: pdna.similarity(rows[0], rows[1], orientations=True),
        lambda: pdna.pairs_within(rows, max_distance=1, orientations=True),
        lambda: pdna.nearest(rows, orientations=True),
    ):
        with pytest.raises(pdna.ArgumentError, match="orientations: got True and hashes of 64"):
            call()
