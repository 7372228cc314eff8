"""Pairs within a limit whose answers are bounded: in number, in memory, in files; and by detail."""

import errno
import os
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, columns_of, local_cluster, needs, spawned_processes
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.pairs import pair_keys, within
from photodna_nb.pairs.blocks import PackedPairs
from photodna_nb.pairs.pair_keys import KeyBuckets, KeyFile, PairKeys, SortedRun, merged

slow_without_jit = pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
SUFFIXES = (".npz", ".parquet")


def blank(count):
    return np.zeros((count, 144), np.uint8)


def some_hashes(count, seed=0):
    """Hashes of which many are near each other."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (max(1, count // 9), 144), np.uint8)
    return centres[rng.integers(len(centres), size=count)] ^ rng.integers(
        0, 4, (count, 144), np.uint8
    )


def loaded(path):
    """The columns of a file of pairs, and how they are read by others."""
    if path.suffix == ".npz":
        with np.load(path) as columns:
            return pdna.Pairs(**columns)
    from pyarrow import parquet

    table = parquet.read_table(path)
    return pdna.Pairs(**{name: table[name].to_numpy() for name in table.column_names})


def assert_same(found, expected):
    both = (columns_of(one) if isinstance(one, pdna.Pairs) else one for one in (found, expected))
    for one, other in zip(*both, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.fixture
def many_runs(monkeypatch):
    """Files of pairs are made of many short runs."""
    monkeypatch.setattr(within, "_PAIRS_IN_MEMORY", 1000)
    monkeypatch.setattr(pair_keys, "PIECE_KEYS", 64)
    monkeypatch.setattr(pair_keys, "_SAMPLE_DISTANCE", 8)


# The number of pairs.


def test_blank_images_at_and_above_the_limit():
    count = 60 if JIT_OFF else 1500
    pairs = count * (count - 1) // 2
    found = pdna.pairs_within(blank(count), max_distance=0, max_pairs=pairs)
    assert_same(found, (*np.triu_indices(count, 1), np.zeros(pairs)))
    words = rf"max_pairs: got {pairs - 1:,}, needs more, after [\d,]+ pairs .*max_distance.*"
    words += "lower max_distance.*min_detail.*raise max_pairs.*write_pairs$"
    with pytest.raises(pdna.ArgumentError, match=words):
        pdna.pairs_within(blank(count), max_distance=0, max_pairs=pairs - 1)
    assert len(pdna.pairs_within(blank(count), max_distance=0, max_pairs=None).i) == pairs
    assert len(pdna.pairs_within(blank(1), max_distance=0, max_pairs=0).i) == 0


@slow_without_jit
def test_blank_images_in_files(tmp_path):
    """Blocks of rows of two files, which are divided."""
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for file in files:
        np.save(file, blank(700))
    found = pdna.pairs_within(files, max_distance=0)
    assert_same(found, (*np.triu_indices(1400, 1), np.zeros(len(found.i))))


def chunks_of(lengths, closed):
    """Yield chunks of those lengths; add to `closed` when the work is stopped."""
    try:
        for number, length in enumerate(lengths):
            i = np.arange(length, dtype=np.int64)
            yield PackedPairs(i << 32 | (i + 1 + number), np.zeros(length, np.int32))
    finally:
        closed.append(True)


def test_the_work_stops_at_the_first_pair_too_many(monkeypatch):
    closed = []
    lengths = iter([5, 5, 1, 1, 1])
    monkeypatch.setattr(within, "found_pairs", lambda *_: chunks_of(lengths, closed))
    with pytest.raises(pdna.ArgumentError, match="after 11 pairs") as caught:
        pdna.pairs_within(blank(2), max_distance=0, max_pairs=10)
    assert closed == [True], "although the error holds the frame"
    assert caught.tb
    assert len(list(lengths)) == 2


def test_the_default_limit(monkeypatch):
    """As if there were a hundred million pairs, and one more."""

    class Many(np.ndarray):
        def __len__(self):
            return 100_000_001

    def too_many(*_):
        packed = np.zeros(1, np.int64).view(Many)
        yield PackedPairs(packed, np.zeros(1, np.int32))

    monkeypatch.setattr(within, "found_pairs", too_many)
    with pytest.raises(pdna.ArgumentError, match="got 100,000,000, needs more"):
        pdna.pairs_within(blank(2), max_distance=0)


@slow_without_jit
def test_memory_of_an_answer():
    """24 bytes a pair, and what is the same for answers of any size."""
    peaks = []
    for count in (2000, 4000):
        tracemalloc.start()
        found = pdna.pairs_within(blank(count), max_distance=0, max_workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del found
    more_pairs = 4000 * 3999 // 2 - 2000 * 1999 // 2
    assert (peaks[1] - peaks[0]) / more_pairs < 25.5
    assert peaks[1] < 30 * 4000 * 3999 // 2


@pytest.mark.long
@slow_without_jit
def test_memory_of_a_file(tmp_path, monkeypatch):
    """The chunks of the tasks, the runs and the pieces: 40 MB for a file of 190 MB."""
    monkeypatch.setattr(within, "_PAIRS_IN_MEMORY", 2**18)
    tracemalloc.start()
    pdna.write_pairs(tmp_path / "p.npz", blank(4000), max_distance=0, max_workers=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "p.npz").stat().st_size > 190e6
    assert peak < 40e6


@pytest.mark.long
@slow_without_jit
@needs("/proc", "limits of memory")
def test_no_memory_is_left():
    code = """
import resource, numpy as np, photodna_nb as pdna
blank = np.zeros((6000, 144), np.uint8)
pdna.pairs_within(blank[:2], max_distance=0, max_workers=1)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, -1))
try:
    pdna.pairs_within(blank, max_distance=0, max_workers=1)
except pdna.ArgumentError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert re.match(r"max_pairs: the memory is full, after [\d,]+ pairs", run.stdout)


# The detail.


def table(hashes, detail):
    return pdna.HashTable(list(map(str, range(len(hashes)))), hashes, np.asarray(detail, float))


@slow_without_jit
@pytest.mark.parametrize("inside", [True, False])
def test_images_of_low_detail_are_not_compared(inside, tmp_path):
    """Their rows stay those of the table. Unknown detail is low if the hash is all zero."""
    hashes = np.concatenate([blank(8), some_hashes(40), blank(2)])
    detail = np.where(np.arange(50) % 3, 100, 99.9)
    detail[[0, 1, 20, 21]] = np.nan
    kept = np.flatnonzero((detail >= 100) | np.isin(np.arange(50), [20, 21]))
    a, b = table(hashes, detail), None if inside else table(hashes[::-1], detail[::-1])
    for metric in ("euclidean", "manhattan"):
        options = {"max_distance": 300, "metric": metric}
        every = pdna.pairs_within(hashes, None if inside else hashes[::-1], **options)
        stay = np.isin(every.i, kept) & np.isin(every.j, kept if inside else 49 - kept)
        assert 0 < stay.sum() < len(stay)
        expected = every[stay]
        assert_same(pdna.pairs_within(a, b, min_detail=100, **options), expected)
        assert_same(pdna.pairs_within(a, b, min_detail=0, **options), without(every, {0, 1}, b))
        path = tmp_path / "p.npz"
        assert pdna.write_pairs(path, a, b, min_detail=100, **options) == stay.sum()
        assert_same(loaded(path), expected)
    whole = pdna.HashTable(a.paths, hashes, np.full(50, 100.0))
    every = pdna.pairs_within(hashes, max_distance=300)
    assert_same(pdna.pairs_within(whole, max_distance=300, min_detail=100), every)


def without(pairs, rows, b):
    """The pairs without rows of `a` and, which are reversed there, of `b`."""
    rows = np.array(sorted(rows))
    stay = ~np.isin(pairs.i, rows) & ~np.isin(pairs.j, rows if b is None else 49 - rows)
    return pairs[stay]


@slow_without_jit
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_nearest_images_of_enough_detail(metric):
    hashes = some_hashes(12)
    detail = [0, 500, 100, 99, 300, 200, 7, 100, 100, 100, 50, 100]
    kept = np.flatnonzero(np.array(detail) >= 100)
    low = np.setdiff1d(np.arange(12), kept)
    beyond = np.inf if metric == "euclidean" else 2**31 - 1
    options = {"k": 3, "metric": metric}
    found = pdna.nearest(table(hashes, detail), min_detail=100, **options)
    expected = pdna.nearest(hashes[kept], **options)
    np.testing.assert_array_equal(found.indices[kept], kept[expected.indices])
    np.testing.assert_array_equal(found.distances[kept], expected.distances, strict=True)
    assert (found.indices[low] == -1).all()
    assert (found.distances[low] == beyond).all()
    others = some_hashes(9, 1)
    found = pdna.nearest(
        table(others, np.full(9, 200)), table(hashes, detail), min_detail=100, **options
    )
    expected = pdna.nearest(others, hashes[kept], **options)
    np.testing.assert_array_equal(found.indices, kept[expected.indices])
    np.testing.assert_array_equal(found.distances, expected.distances)
    with pytest.raises(pdna.ArgumentError, match="k: got 8, needs 1 to 7"):
        pdna.nearest(table(hashes, detail), k=8, min_detail=100)


# Files.


@slow_without_jit
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan"])
def test_a_file_holds_the_answer(tmp_path, suffix, metric, many_runs):
    path = tmp_path / f"pairs{suffix}"
    hashes, others = some_hashes(700), some_hashes(200, 1)
    for sides, limit in (((hashes,), 60), ((hashes, others), 10**9), ((others[:1],), 0)):
        expected = pdna.pairs_within(*sides, max_distance=limit, metric=metric)
        count = pdna.write_pairs(path, *sides, max_distance=limit, metric=metric)
        assert count == len(expected.i)
        assert_same(loaded(path), expected)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.long
@slow_without_jit
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_file_from_every_executor(tmp_path, suffix, many_runs):
    """And the same bytes; but Parquet's groups of rows depend on the order of the chunks."""
    hashes = some_hashes(3000)
    expected = pdna.pairs_within(hashes, max_distance=40)
    path = tmp_path / f"pairs{suffix}"
    contents = set()

    def write(**options):
        assert pdna.write_pairs(path, hashes, max_distance=40, **options) == len(expected.i)
        assert_same(loaded(path), expected)
        contents.add(path.read_bytes())

    for workers in (1, 2, 5):
        write(max_workers=workers)
    with spawned_processes() as executor:
        write(executor=executor)
    with local_cluster() as client:
        write(executor=client.get_executor())
    assert len(contents) == 1 or suffix == ".parquet"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_gets_full(tmp_path, suffix, monkeypatch, many_runs):
    """While the runs are written, or the file: it is as it was, and nothing else is there."""
    path = tmp_path / f"pairs{suffix}"
    hashes = blank(90)
    path.write_text("before")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    words = rf"pairs{suffix}: cannot be written \(No space left on device\) and is as it was"
    for owner, name in ((pair_keys, "TemporaryFile"), (KeyFile, "_read"), (os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, full)
            with pytest.raises(pdna.TableFileError, match=words):
                pdna.write_pairs(path, hashes, max_distance=0)
        assert path.read_text("utf-8") == "before"
        assert os.listdir(tmp_path) == [path.name]


@needs("signals")
@slow_without_jit
@pytest.mark.parametrize("size", [100_000, pytest.param(30_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_largest_file_that_is_allowed(tmp_path, suffix, size):
    """A real limit of the system, that the runs reach (0.1 MB) or the columns (30 MB)."""
    code = f"""
import resource, signal, numpy as np, photodna_nb as pdna
blank = np.zeros((2000, 144), np.uint8)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
pdna.pairs_within(blank[:2], max_distance=0)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
try:
    print(pdna.write_pairs("pairs{suffix}", blank, max_distance=0))
except pdna.TableFileError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    if suffix == ".parquet" and size == 30_000_000:  # it is compressed
        assert run.stdout == "1999000\n"
        return
    assert re.match(rf"pairs{suffix}: cannot be written \(File too large\)", run.stdout)
    assert os.listdir(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    closed = []

    def interrupted(*_):
        yield from chunks_of([7], closed)
        raise KeyboardInterrupt

    def interrupted_merge(runs):
        yield runs[0].read(0, 3)
        raise KeyboardInterrupt

    for suffix in SUFFIXES:
        with monkeypatch.context() as patch:
            patch.setattr(within, "found_pairs", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pdna.write_pairs(tmp_path / f"pairs{suffix}", blank(9), max_distance=0)
        with monkeypatch.context() as patch:
            patch.setattr(within, "found_pairs", lambda *_: chunks_of([7], closed))
            patch.setattr(pair_keys, "merged", interrupted_merge)
            with pytest.raises(KeyboardInterrupt):
                pdna.write_pairs(tmp_path / f"pairs{suffix}", blank(9), max_distance=0)
    assert closed == [True] * 4
    assert os.listdir(tmp_path) == []


# Keys.


@given(st.data(), st.sampled_from([0, 32]) | st.integers(0, 32), st.integers(0, 24))
def test_keys_of_pairs(data, j_bits, distance_bits):
    """Whatever bits they need: all keys fit, in buckets if necessary."""
    keys = PairKeys(j_bits, distance_bits)
    numbers = [
        st.sampled_from([0, most]) | st.integers(0, most) for most in (2**32 - 1, 2**j_bits - 1)
    ]
    pairs = sorted(data.draw(st.sets(st.tuples(*numbers), max_size=30)))
    i, j = np.array(pairs, np.int64).reshape(-1, 2).T
    distances = np.array([data.draw(st.integers(0, 2**distance_bits - 1)) for _ in pairs], np.int32)
    order = np.random.default_rng(0).permutation(len(pairs))
    packed = (i.astype(np.uint64) << np.uint64(32) | j.astype(np.uint64)).view(np.int64)
    buckets = KeyBuckets()
    for half in (order[::2], order[1::2]):
        buckets.add(keys, PackedPairs(packed[half], distances[half]))
    found, places = buckets.remove_sorted()
    assert not buckets
    assert list(places) == sorted(places)
    if i.max(initial=0) < 2 ** (64 - j_bits - distance_bits):
        assert set(places) <= {0}
    columns = [keys.unpack(bucket, found[place]) for bucket, place in places.items()]
    for number, expected in enumerate((i, j, distances)):
        joined = np.concatenate([expected[:0], *(column[number] for column in columns)])
        np.testing.assert_array_equal(joined, expected)


def test_buckets_in_an_answer_and_a_file(tmp_path, monkeypatch, many_runs):
    """Rows that do not fit into 64 bits with a column and a distance, found in any order."""
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, 2**31, 5000), rng.integers(0, 2**5, 5000)
    packed = np.unique(i << 32 | j)
    order = rng.permutation(len(packed))
    distances = rng.integers(0, 144 * 255**2 + 1, len(packed)).astype(np.int32)

    def found_pairs(*_):
        for part in np.array_split(order, 12):
            yield PackedPairs(packed[part], distances[part])

    monkeypatch.setattr(within, "found_pairs", found_pairs)
    monkeypatch.setattr(within, "PairKeys", lambda _, distance_bits: PairKeys(32, distance_bits))
    options = {"max_distance": 10**9, "metric": "sqeuclidean"}
    expected = packed >> 32, packed & 31, distances
    assert_same(pdna.pairs_within(blank(2), **options), expected)
    assert pdna.write_pairs(tmp_path / "p.npz", blank(2), **options) == len(packed)
    assert_same(loaded(tmp_path / "p.npz"), expected)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_merged_runs(lengths, seed):
    """Of keys that lie near each other in some runs, and far apart in others."""
    rng = np.random.default_rng(seed)
    runs = [
        np.unique(rng.integers(0, 2 ** int(rng.integers(64)), length, np.uint64))
        for length in lengths
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_keys, "PIECE_KEYS", 64)
        patch.setattr(pair_keys, "_SAMPLE_DISTANCE", 8)
        readers = [SortedRun.of(run, lambda start, stop, run=run: run[start:stop]) for run in runs]
        pieces = list(merged(readers))
    np.testing.assert_array_equal(np.concatenate(pieces), np.sort(np.concatenate(runs)))
    assert max(map(len, pieces)) <= 64 + 8 * len(runs)


def test_an_empty_file_of_keys(tmp_path):
    with KeyFile(str(tmp_path / "p.npz")) as file:
        file.add(KeyBuckets())
        assert list(file.pieces()) == []


def test_wrong_arguments(tmp_path):
    path, hashes = tmp_path / "p.npz", blank(3)
    with_detail = table(hashes, [1, 2, 3])
    cases = [
        (lambda: pdna.write_pairs("p.csv", hashes, max_distance=1), r"needs one of \.npz, \.parq"),
        (lambda: pdna.write_pairs(7, hashes, max_distance=1), "path: got int, needs a path"),
        (lambda: pdna.write_pairs(tmp_path, hashes, max_distance=1), "path: got the suffix ''"),
        (
            lambda: pdna.write_pairs(tmp_path / "gone" / "p.npz", hashes, max_distance=1),
            "cannot be written: its folder is missing",
        ),
        (lambda: pdna.write_pairs(path, hashes, max_distance=-1), "max_distance: got -1"),
        (lambda: pdna.write_pairs(path, hashes.astype(int), max_distance=1), "a: got an array"),
        (lambda: pdna.pairs_within(hashes, max_distance=1, max_pairs=-1), "max_pairs: got -1"),
        (lambda: pdna.pairs_within(hashes, max_distance=1, max_pairs=1.5), "max_pairs: got float"),
        (
            lambda: pdna.pairs_within(hashes, max_distance=1, min_detail=100),
            "min_detail: got an array of uint8 for a, needs a HashTable.*HashTable.load",
        ),
        (
            lambda: pdna.pairs_within(with_detail, path, max_distance=1, min_detail=1),
            "min_detail: got .*Path for b",
        ),
        (lambda: pdna.nearest(with_detail, min_detail=-1), "min_detail: got -1"),
        (lambda: pdna.nearest(with_detail, hashes, min_detail=1), "min_detail: got .* for b"),
    ]
    for call, words in cases:
        with pytest.raises(pdna.PhotodnaError, match=words):
            call()
    assert os.listdir(tmp_path) == []
