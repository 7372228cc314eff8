"""All pairs: every function on every backend beside plain Python and int64 NumPy."""

import base64
import json
import math
import os
import pickle
import subprocess
import sys
from fractions import Fraction

import numba
import numpy as np
import oracle
import pytest
from conftest import JIT_OFF, ROOT, columns_of, local_cluster, spawned_processes
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels import register_tile, vector
from photodna_nb.pairs import blocks, packing, search
from photodna_nb.pairs.source import hash_source, split_source

METRICS = ("euclidean", "sqeuclidean", "manhattan")
BACKENDS = list(packing.available_backends())
# Around the edges of tiles: pairs of registers, of 4 to 32 rows; tiles of 4 x 128.
SIZES = (0, 1, 5) if JIT_OFF else (0, 1, 3, 4, 15, 16, 17, 31, 33, 127, 128, 129, 300)


RECORDS = map(
    json.loads, (ROOT / "data" / "golden" / "golden.jsonl").read_text("utf-8").splitlines()
)
REAL = np.stack(
    [np.frombuffer(base64.b64decode(r["hash"]), np.uint8) for r in RECORDS if "hash" in r]
)


def longer(backends):
    """Each of them compiles kernels of its own: parameters of the long tests."""
    return [pytest.param(backend, marks=pytest.mark.long) for backend in backends]


@pytest.fixture(params=[BACKENDS[-1], *longer(BACKENDS[:-1])])
def every_backend(request, monkeypatch):
    monkeypatch.setenv("PHOTODNA_NB_BACKEND", request.param)
    assert packing.backend() == request.param


@pytest.fixture(params=[BACKENDS[-1], *longer(BACKENDS[:-1][:1])])
def backend(request, monkeypatch):
    """The widest and the narrowest: the kernels beside `matrix` read tiles alike."""
    monkeypatch.setenv("PHOTODNA_NB_BACKEND", request.param)
    assert packing.backend() == request.param
    return request.param


def some_hashes(count, seed):
    """All 0, all 255, near neighbours, equal ones, and hashes of the golden images."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 256, (count, 144), np.uint8)
    real = rng.random(count) < 0.3
    found[real] = REAL[rng.integers(len(REAL), size=real.sum())]
    if count > 2:
        found[rng.integers(count)] = 0
        found[rng.integers(count)] = 255
    for row in range(count // 3):
        found[row] = found[-1 - row]
        found[row, rng.integers(144, size=row % 4)] ^= 1
    return found


def integers(a, b, metric):
    """The exact distances as (n, m) int64, computed without the kernels."""
    differences = a.astype(np.int64)[:, None] - b.astype(np.int64)
    if metric == "manhattan":
        return np.abs(differences).sum(axis=2)
    return (differences**2).sum(axis=2)


def in_units(values, metric):
    return np.sqrt(values) if metric == "euclidean" else values


def test_integers_match_the_oracle():
    a, b = some_hashes(7, 0), some_hashes(5, 1)
    for metric, naive in (
        ("sqeuclidean", oracle.distance_squared),
        ("manhattan", oracle.manhattan),
    ):
        expected = [[naive(x, y) for y in b.tolist()] for x in a.tolist()]
        assert integers(a, b, metric).tolist() == expected


@pytest.mark.parametrize("metric", METRICS)
def test_distance_matrix(every_backend, metric):
    dtype = np.float32 if metric == "euclidean" else np.int32
    for n in SIZES:
        for m in SIZES:
            a, b = some_hashes(n, n), some_hashes(m, 1000 + m)
            expected = in_units(integers(a, b, metric), metric).astype(dtype)
            found = pdna.distance_matrix(a, b, metric)
            np.testing.assert_array_equal(found, expected, strict=True)
    found = pdna.distance_matrix(b, metric=metric)
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()


def test_smallest_and_largest_distances(every_backend):
    ends = np.repeat(np.array([[0], [255], [128], [127]], np.uint8), 144, axis=1)
    for metric in ("sqeuclidean", "manhattan"):
        expected = integers(ends, ends, metric)
        assert expected.max() == {"sqeuclidean": 9_363_600, "manhattan": 36_720}[metric]
        np.testing.assert_array_equal(pdna.distance_matrix(ends, metric=metric), expected)


def test_a_matrix_of_several_cache_blocks(every_backend):
    a, b = some_hashes(5, 0), some_hashes(kernels.CACHE_BLOCK_ROWS_64 + 129, 1)
    found = pdna.distance_matrix(a, b, "sqeuclidean")
    np.testing.assert_array_equal(found, integers(a, b, "sqeuclidean"))


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
@given(st.integers(0, 2**32 - 1), st.sampled_from(["euclidean", "manhattan"]))
def test_triangle_inequality(seed, metric):
    found = pdna.distance_matrix(some_hashes(6, seed), metric=metric).astype(float)
    assert (found[:, None] <= found[:, :, None] + found[None] + 1e-3).all()


@pytest.mark.skipif(JIT_OFF, reason="nine million numbers")
def test_roots_are_exact():
    """The smallest whole number at or above the root, of every integer that can come."""
    every = np.arange(144 * 255**2 + 1, dtype=np.int64)
    roots = np.sqrt(every.astype(np.float32))
    found = (roots + kernels.BELOW_ONE).astype(np.int32).astype(np.int64)
    assert (found**2 >= every).all()
    assert ((found - 1) ** 2 < every)[1:].all()
    assert (every.astype(np.float32) == every).all()
    # float32 roots are correctly rounded: float64 ones are, and their double rounding is harmless.
    np.testing.assert_array_equal(roots, np.sqrt(every).astype(np.float32))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("inside", [True, False])
def test_pairs_within_nearest_and_histogram(backend, metric, inside, monkeypatch):
    monkeypatch.setattr(blocks, "_MAX_ROWS", 128)  # so that there are several blocks
    for n, m in ((0, 5), (1, 1), (9, 6), *(() if JIT_OFF else ((17, 33), (300, 700), (600, 1)))):
        a, b = some_hashes(n, n), some_hashes(m, 1000 + m)
        exact = integers(a, a if inside else b, metric)
        counted = np.triu(np.ones_like(exact, bool), 1) if inside else np.ones_like(exact, bool)
        sides = (a, None) if inside else (a, b)
        check_within(sides, exact, counted, metric)
        check_histogram(sides, exact, counted, metric)
        if inside:
            np.fill_diagonal(exact, 2**40)
        for k in (1, 3):
            if k <= exact.shape[1] - inside:
                check_nearest(sides, exact, k, metric)


def test_groups_of_different_types():
    """Large integers, of two types, strings of pandas, and strings that look like integers."""
    one, two = some_hashes(1, 0), some_hashes(2, 0)
    large = np.array([2**53 + 1]), np.array([2**53], np.uint64)
    assert pdna.distance_histogram(one, one, groups=large).same_group_pairs == 0
    assert pdna.distance_histogram(two, groups=["1", "1 "]).same_group_pairs == 0
    pd = pytest.importorskip("pandas")
    for names in (pd.Series(["a", "a"]), pd.Series(["a", "a"], dtype=object), ["a", "a"]):
        assert pdna.distance_histogram(two, groups=names).same_group_pairs == 1
    assert pdna.distance_histogram(two[:0], groups=[]).same_group_pairs == 0


def test_an_answer_holds_no_larger_array():
    source = hash_source("a", REAL)
    block = blocks.PairBlock(source, source, True, True)
    packed, distances = search._pairs_of_block(None, 0, 0, block)
    assert packed.base is None
    assert distances.base is None


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
@pytest.mark.parametrize("inside", [True, False])
def test_the_answer_of_a_task_is_bounded(backend, inside):
    """Of blank pictures every pair is one, in blocks far from the first rows too."""
    blank, near = np.zeros((1500, 144), np.uint8), np.ones((1300, 144), np.uint8)
    sides = np.concatenate([near, blank]), None if inside else blank
    chunks = list(search.found_pairs(*sides, 144, "sqeuclidean", 2, None, False))
    assert min(len(chunk.packed) for chunk in chunks) > 0
    assert max(len(chunk.packed) for chunk in chunks) <= blocks.MAX_PAIRS_OF_TASK == 2**18
    packed = np.concatenate([chunk.packed for chunk in chunks])
    distances = np.concatenate([chunk.distances for chunk in chunks])
    order = np.argsort(packed)
    i, j = np.triu_indices(2800, 1) if inside else np.indices((2800, 1500)).reshape(2, -1)
    np.testing.assert_array_equal(packed[order], i << 32 | j)
    expected = 144 * ((i < 1300) != (j < 1300) if inside else i < 1300)
    np.testing.assert_array_equal(distances[order], expected)


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
def test_equal_hashes_and_all_neighbours(backend, monkeypatch):
    monkeypatch.setattr(blocks, "_MAX_ROWS", 128)
    equal = np.repeat(some_hashes(1, 0), 300, axis=0)
    for k in (1, 40, 299):
        found = pdna.nearest(equal, k=k)
        expected = [[j for j in range(k + 1) if j != i][:k] for i in range(300)]
        assert found.indices.tolist() == expected
        assert (found.distances == 0).all()


def test_a_limit_on_and_just_below_a_distance():
    hashes = np.zeros((3, 144), np.uint8)
    hashes[1, 0] = 10  # 10 apart: on the limit
    hashes[2, :2] = 3  # 3 times the root of 2
    for limit, expected in ((10, 3), ("9.999999999999999999", 2), (4.25, 1), (4.24, 0)):
        assert len(pdna.pairs_within(hashes, max_distance=limit).i) == expected
    for limit in (math.inf, 10**9):
        assert len(pdna.pairs_within(hashes, max_distance=limit).i) == 3


def check_within(sides, exact, counted, metric):
    values = np.append(exact[counted], 49)
    for limit in (0, int(np.median(values)), int(values.max())):
        largest = limit
        if metric == "euclidean":
            limit = math.isqrt(limit)
            largest = limit**2
        i, j, distance = columns_of(pdna.pairs_within(*sides, max_distance=limit, metric=metric))
        expected = np.nonzero(counted & (exact <= largest))
        np.testing.assert_array_equal((i, j), expected)
        np.testing.assert_array_equal(distance, in_units(exact[expected], metric))
        assert distance.dtype == (np.float64 if metric == "euclidean" else np.int32)


def check_nearest(sides, exact, k, metric):
    indices, distances = pdna.nearest(*sides, k, metric=metric)
    expected = np.argsort(exact, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(
        distances, in_units(np.take_along_axis(exact, expected, axis=1), metric)
    )


def check_histogram(sides, exact, counted, metric):
    rng = np.random.default_rng(len(exact))
    groups = [rng.integers(0, 5, size) for size in exact.shape]
    inside = sides[1] is None
    if inside:
        groups[1] = groups[0]
    same = counted & (groups[0][:, None] == groups[1])
    bins = ["0.5", 700.25, Fraction(2000), 3060]
    for limits in (None, bins, [0, 900, 1500]):
        found = pdna.distance_histogram(*sides, metric=metric, bins=limits)
        assert found.pairs == counted.sum()
        assert found.same_group is None
        assert found.different_group is found.counts
        parted = pdna.distance_histogram(
            *sides, metric=metric, bins=limits, groups=groups[0] if inside else tuple(groups)
        )
        np.testing.assert_array_equal(parted.counts, found.counts)
        assert parted.same_group_pairs == same.sum()
        checked = found.limits.tolist() if limits is None else limits
        for number in range(0, len(checked), max(1, len(checked) // 50)):
            limit = Fraction(checked[number]) ** (2 if metric == "euclidean" else 1)
            near = exact <= int(limit)
            assert found.counts[: number + 1].sum() == (counted & near).sum()
            assert parted.same_group[: number + 1].sum() == (same & near).sum()
            assert parted.different_group[: number + 1].sum() == (counted & ~same & near).sum()


def test_views_out_and_tables(backend):
    hashes = some_hashes(40, 0)
    expected = integers(hashes[::2], hashes[::-1], "manhattan")
    frozen = hashes.copy()
    frozen.flags.writeable = False
    for first in (hashes[::2], np.asfortranarray(hashes)[::2], frozen[::2]):
        np.testing.assert_array_equal(
            pdna.distance_matrix(first, hashes[::-1], "manhattan"), expected
        )
    for out in (np.empty((20, 40), np.int32), np.empty((40, 20), np.int32).T):
        found = pdna.distance_matrix(hashes[::2], hashes[::-1], "manhattan", out=out)
        assert found is out
        np.testing.assert_array_equal(out, expected)
    table = pdna.HashTable(list(map(str, range(40))), hashes, np.zeros(40))
    np.testing.assert_array_equal(
        pdna.distance_matrix(table, metric="manhattan"), integers(hashes, hashes, "manhattan")
    )


@pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
def test_one_compiled_variant(backend):
    hashes = some_hashes(300, 0)
    for some in (hashes, hashes[:256], hashes[::2]):
        pdna.distance_histogram(some)
        pdna.distance_histogram(some, some, groups=(np.arange(len(some)),) * 2)
        pdna.nearest(some)
        pdna.pairs_within(some, max_distance=3)
    packed = [packing.pack_database(hashes, 0)[0], packing.pack_queries(hashes, 0)[0]]
    kinds = tuple(map(numba.typeof, packed))
    for kernel in (kernels.histogram, kernels.nearest, kernels.within):
        blocks_of = [getattr(kind, "types", ())[:2] for each in kernel.signatures for kind in each]
        assert blocks_of.count(kinds) == 1


def test_wrong_arguments(tmp_path):
    good = some_hashes(3, 0)
    cases = [
        (lambda: pdna.distance_matrix(good.astype(int)), "a: got an array of int64"),
        (lambda: pdna.distance_matrix(good, good[:, :9]), "a, b: got hashes of 144 and of 9"),
        (lambda: pdna.distance_matrix(good, metric="cosine"), "metric: got 'cosine'"),
        (lambda: pdna.distance_matrix(7), "a: got int, needs .*paths of .npy"),
        (lambda: pdna.distance_matrix(good, out=np.empty((3, 3))), "out: got an array of float64"),
        (lambda: pdna.pairs_within(good, max_distance=-1), "max_distance: got -1"),
        (lambda: pdna.pairs_within(good, max_distance="x"), "max_distance: got x"),
        (lambda: pdna.nearest(good, k=3), "k: got 3, needs 1 to 2"),
        (lambda: pdna.nearest(good, k=0), "k: got 0"),
        (lambda: pdna.nearest(good, k=1.5), "k: got float"),
        (lambda: pdna.nearest(good, max_workers=0), "max_workers: got 0"),
        (lambda: pdna.nearest(good, executor=3), "executor: got int"),
        (lambda: pdna.distance_histogram(good, bins=[3, 2]), "bins: needs .*increasing"),
        (lambda: pdna.distance_histogram(good, bins=[]), "bins: needs"),
        (lambda: pdna.distance_histogram(good, bins=10), "bins: got int"),
        (lambda: pdna.distance_histogram(good, bins=[-1, 2]), "bins: got -1"),
        (lambda: pdna.distance_histogram(good, bins=["x"]), "bins: got x"),
        (lambda: pdna.distance_histogram(good, bins=[1j]), "bins: got 1j"),
        (lambda: pdna.distance_histogram(good, groups=[1, 2]), "groups: got 2 of them, needs 3"),
        (lambda: pdna.distance_histogram(good, groups=[1.5] * 3), "groups: got float"),
        (
            lambda: pdna.distance_histogram(good, groups=[1, "1", 2]),
            "integers and strings, needs one of the two",
        ),
        (lambda: pdna.distance_histogram(good, good, groups=[1] * 3), "groups: got list"),
        (lambda: pdna.pairs_within(good, max_distance=-(10**5000)), "thousands of digits"),
        (lambda: pdna.nearest(good[:1]), "k: got 1, needs 1 and some other hashes"),
        (lambda: pdna.distance_matrix(good, metric=np.array(["a", "b"])), "metric: got"),
        (lambda: pdna.nearest(tmp_path / "gone.npy"), "gone.npy: no such file"),
        (lambda: pdna.nearest(tmp_path), "is a directory; give a file"),
    ]
    for call, words in cases:
        with pytest.raises(pdna.PhotodnaError, match=words) as caught:
            call()
        assert isinstance(caught.value, ValueError | TypeError)


def test_a_backend_that_is_not_available(monkeypatch):
    monkeypatch.setenv("PHOTODNA_NB_BACKEND", "avx9")
    names = ", ".join(BACKENDS)
    with pytest.raises(pdna.ArgumentError, match=f"PHOTODNA_NB_BACKEND: got 'avx9'.*: {names}$"):
        pdna.distance_matrix(some_hashes(3, 0))


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ("+sse2,-avx2", ["sse2"]),
        ("+avx2,-avx512f,-avxvnni", ["sse2", "avx2"]),
        ("+avx2,+avxvnni,-avx512vnni", ["sse2", "avx2", "avx_vnni"]),
        ("+avx2,+avx512f,+avx512bw,+avx512vl,-avx512vnni", ["sse2", "avx2", "avx512"]),
        ("+avx2,+avx512f,+avx512bw,+avx512vl,+avx512vnni", list(packing.BACKENDS)),
    ],
)
def test_backends_of_features(monkeypatch, features, names):
    monkeypatch.delenv("PHOTODNA_NB_BACKEND", raising=False)
    monkeypatch.setattr(vector, "compiled", lambda: True)
    monkeypatch.setattr(
        vector, "target", lambda: ("x86_64-unknown-linux-gnu", {*features.split(",")})
    )
    monkeypatch.setattr(packing, "compiled", lambda: True)
    assert list(packing.available_backends()) == names
    assert packing.backend() == names[-1]
    monkeypatch.setattr(vector, "target", lambda: ("aarch64-apple-darwin", {"+neon"}))
    assert packing.backend() == "vector"
    monkeypatch.setattr(packing, "compiled", lambda: False)
    assert packing.backend() == "numpy"


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="no processor in this")
def test_a_processor_without_the_instructions(tmp_path):
    """Compiled for a generic processor, the backend is found to be missing, and all works."""
    code = (
        "import numpy as np, photodna_nb as p; from photodna_nb.pairs import packing;"
        "h = np.eye(144, dtype=np.uint8) * 9;"
        "print(packing.backend(), p.distance_histogram(h, metric='sqeuclidean').counts.sum(),"
        "p.distance_matrix(h, metric='manhattan')[0, :3].tolist())"
    )
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("PHOTODNA_NB_BACKEND", None)
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    backend, *printed = found.stdout.split(maxsplit=2)
    assert backend in ("sse2", "vector")
    assert printed == ["10296", "[0, 18, 18]\n"]


@pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
@pytest.mark.parametrize("register", [16, 32, 64])
def test_generic_code_of_other_processors(monkeypatch, register):
    """What another processor than x86 runs, at every width: LLVM compiles it for this one too."""
    monkeypatch.setattr(register_tile, "compiles_for_x86", lambda: False)
    fill = numba.extending.intrinsic(register_tile.fill_registers._defn)  # without its cache
    first_tile = numba.njit(lambda block, tile: fill(block, 0, 0, tile))
    a, b = some_hashes(4, 3), some_hashes(128, 4)
    for metric, dtype in (("sqeuclidean", np.int16), ("manhattan", np.uint8)):
        database, database_squares = kernels.pack_database(b, dtype, register)
        queries, queries_squares = kernels.pack_queries(a, dtype)
        tile = np.empty((4, 128), np.int32)
        first_tile((database, queries, database_squares, queries_squares), tile)
        np.testing.assert_array_equal(tile, integers(a, b, metric))


@pytest.fixture
def in_files(tmp_path):
    """Hashes in three files, of both kinds, and the same hashes in memory."""
    hashes = some_hashes(700, 5)
    pdna.HashTable([str(i) for i in range(300)], hashes[:300], np.zeros(300)).save(
        tmp_path / "a.npz"
    )
    np.save(tmp_path / "b.npy", hashes[300:690])
    np.save(tmp_path / "c.npy", hashes[690:])
    return [tmp_path / name for name in ("a.npz", "b.npy", "c.npy")], hashes


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="the same work with or without JIT, but slowly")
@pytest.mark.parametrize("where", ["threads", "processes", "cluster"])
def test_files_on_every_executor(in_files, where):
    """Tasks that carry the place of their rows, and read those alone."""
    files, hashes = in_files
    groups = np.arange(700) % 50
    expected = pdna.distance_histogram(hashes, groups=groups)

    def check(executor):
        found = pdna.distance_histogram(files, groups=groups, executor=executor)
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.same_group, expected.same_group)
        for one, other in zip(
            columns_of(pdna.pairs_within(files, max_distance=9, executor=executor)),
            columns_of(pdna.pairs_within(hashes, max_distance=9)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
        found = pdna.nearest(hashes, files, 2, executor=executor)
        np.testing.assert_array_equal(found.indices, pdna.nearest(hashes, hashes, 2).indices)

    if where == "threads":
        check(None)
    elif where == "processes":
        with spawned_processes() as executor:
            check(executor)
    else:
        with local_cluster() as client:
            check(client.get_executor())


def test_a_task_carries_no_hashes_of_files(in_files):
    """And reads the bytes of its own rows."""
    files, hashes = in_files
    chunks = split_source(hash_source("a", files), 64)
    assert [chunk.start for chunk in chunks] == list(range(0, 700, 64))
    assert [len(chunk.data) for chunk in chunks[:6]] == [1, 1, 1, 1, 2, 1], "across files"
    assert all(len(pickle.dumps(chunk)) < 1000 for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate([chunk.load() for chunk in chunks]), hashes)
    # Bytes that belong to other chunks are not looked at.
    content = bytearray(files[1].read_bytes())
    content[-200 * 144 :] = bytes(200 * 144)
    files[1].write_bytes(content)
    np.testing.assert_array_equal(chunks[5].load(), hashes[320:384])


@pytest.mark.skipif(JIT_OFF, reason="the same files with or without JIT, but slowly")
def test_files_that_cannot_be_read_in_parts(in_files, tmp_path):
    files, hashes = in_files
    np.savez_compressed(tmp_path / "small.npz", hashes=hashes)
    np.save(tmp_path / "ints.npy", hashes.astype(int))
    np.savez(tmp_path / "other.npz", rows=hashes)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "table.csv").write_text("a,b\n")
    for name, words in (
        ("small.npz", "compressed; load the table and save it again"),
        ("ints.npy", "hashes of dtype int64"),
        ("other.npz", "hashes.npy"),
        ("text.npy", "magic"),
        ("table.csv", "save the table as .npz"),
    ):
        with pytest.raises(pdna.TableFileError, match=f"{name}: .*{words}"):
            pdna.nearest(tmp_path / name)
    source = hash_source("a", files)
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1])
    with pytest.raises(pdna.TableFileError, match="the file is truncated"):
        pdna.nearest(files)
    with pytest.raises(pdna.TableFileError, match="shorter than when the work began"):
        source.load()
    content = bytearray(files[0].read_bytes())
    content[content.index(hashes[7].tobytes())] ^= 1
    files[0].write_bytes(content)
    with pytest.raises(pdna.TableFileError, match="its digest does not hold"):
        pdna.nearest(files[0])


@pytest.mark.skipif(JIT_OFF, reason="the same work with or without JIT, but slowly")
def test_progress(capfd):
    pdna.nearest(some_hashes(600, 1), progress=True, max_workers=1)
    assert "blocks" in capfd.readouterr().err


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
def test_against_faiss():
    """A stranger's float32 sums of integers below 2^24 are exact as well."""
    faiss = pytest.importorskip("faiss")
    a, b = some_hashes(200, 8), some_hashes(500, 9)
    found = faiss.pairwise_distances(a.astype(np.float32), b.astype(np.float32))
    np.testing.assert_allclose(pdna.distance_matrix(a, b, "sqeuclidean"), found, rtol=1e-5)
