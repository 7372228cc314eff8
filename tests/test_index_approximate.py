"""The approximate types of an index: training, recall, changes, files, and forked processes."""

import multiprocessing
import shutil
import warnings
from pathlib import Path

import faiss
import numpy as np
import pytest
from conftest import needs
from indexes import (
    HASHES,
    METADATA,
    answered,
    brute_force,
    corrupt,
    names,
    pairs_of,
    save_index,
)

import photodna_nb as pdna
from photodna_nb.index import approximate, faiss_search, index_types

FORMER = Path(__file__).parent / "former_files"
TYPES = ("IVF10,Flat", "IVF10,SQ8", "IVF10_HNSW4,SQ8", "HNSW8", "HNSW8,SQ8")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


def clustered(number, seed=3):
    """Rows as copies of images lie: some near to each other, most far."""
    drawn = np.random.default_rng(seed)
    centres = drawn.integers(0, 256, (number // 5, 144))
    rows = np.repeat(centres, 5, axis=0) + drawn.integers(-5, 6, (number, 144))
    return rows.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=TYPES)
def saved(tmp_path_factory, request):
    """A saved index of 1,000 items, and its rows."""
    rows = clustered(1000)
    return save_index(tmp_path_factory.mktemp("saved"), rows, "meta.sqlite", request.param), rows


# The names of types.


@pytest.mark.parametrize(
    ("name", "lists", "links", "quantizes"),
    [
        ("flat", 0, 0, False),
        ("uint8", 0, 0, False),
        ("IVF4096,SQ8", 4096, 0, False),
        ("IVF65536_HNSW32,Flat", 65536, 0, False),
        ("IVF1024,PQ48", 1024, 0, True),
        ("HNSW32", 0, 32, False),
        ("HNSW32,Flat", 0, 32, False),
        ("HNSW32,PQ72", 0, 32, True),
    ],
)
def test_types(name, lists, links, quantizes):
    assert index_types.parse(name) == (name, lists, links, quantizes)
    if lists + links:
        faiss.index_factory(144, name, faiss.METRIC_L2)


@pytest.mark.parametrize(
    "name",
    [
        *("", "ivf", "Flat", "IVF0,Flat", "IVF10", "IVF10,", "HNSW32,", "HNSW1", "HNSW9999"),
        *("IVF4,SQ4", "IVF4,PQ5", "IVF4,PQ0", "IVF4_HNSW1,SQ8", "HNSW32,SQ8 ", "PCA32,HNSW8"),
        *("IVF4,RFlat", 3, None),
    ],
)
def test_other_types_are_refused(name):
    with pytest.raises(pdna.ArgumentError, match=r"index_type: got .*, needs flat, uint8, IVF<"):
        pdna.HashIndex.create("i", "m", index_type=name)


@pytest.mark.parametrize(
    ("name", "items", "words"),
    [
        (
            "IVF10,SQ8",
            389,
            r"at least 390 items, and there are 389; .* 9: use IVF9,",
        ),
        ("IVF64_HNSW8,Flat", 100, r"largest number of lists for them is 2: use IVF2_HNSW8,Flat"),
        ("IVF10,SQ8", 38, "use flat, uint8 or HNSW32, or add more items"),
        ("HNSW8,PQ48", 400, "needs at least 9,984 items, and there are 400; use flat"),
        ("IVF10,PQ48", 400, "needs at least 9,984 items, and there are 400; use flat"),
    ],
)
def test_too_few_items(tmp_path, meta, name, items, words):
    files = tmp_path / "i", tmp_path / meta
    index = pdna.HashIndex.create(*files, index_type=name)
    rows = clustered(400)[:items]
    index.add(names(len(rows)), rows)
    with pytest.raises(pdna.ArgumentError, match=words):
        index.save()
    assert not files[1].exists()
    assert len(index) == len(rows), "the items are kept, and more can be added"
    assert answered(index, rows[7], 1) == [(8, 0)]
    index.close()
    files = save_index(tmp_path, rows, meta)
    before = files[0].read_bytes()
    with pytest.raises(pdna.ArgumentError, match=words):
        pdna.HashIndex.rebuild(*files, index_type=name)
    assert files[0].read_bytes() == before
    assert pdna.HashIndex.open(*files).index_type == "flat"


@pytest.mark.long
def test_product_quantizer(tmp_path):
    rows = np.random.default_rng(1).integers(0, 256, (10000, 144), np.uint8)
    with pdna.HashIndex.open(*save_index(tmp_path, rows, "m.sqlite", "IVF2,PQ4")) as index:
        assert answered(index, rows[5], 3, max_distance=1) == [(6, 0)]
        assert index.recall.perturbed[100] > 0.5


# Search.


def test_answers_are_true_and_in_order(saved):
    files, rows = saved
    with pdna.HashIndex.open(*files) as index:
        for k, limit in ((1, 3060), (7, 3060), (5, 60)):
            answers = index.search(rows[::50], k, max_distance=limit)
            true = [brute_force(rows, one, k, limit**2) for one in rows[::50]]
            for row, matches in zip(rows[::50], map(pairs_of, answers), strict=True):
                assert matches == sorted(matches, key=lambda pair: (pair[1], pair[0]))
                assert set(matches) <= set(brute_force(rows, row, 1000, limit**2))
            if limit == 60:
                equal = [pairs_of(a) == b for a, b in zip(answers, true, strict=True)]
                assert np.mean(equal) >= 0.9, "copies are found"


def test_effort_raises_the_recall(saved):
    """All lists, or a graph that is walked through, give the exact answer."""
    files, rows = saved
    queries = np.random.default_rng(1).integers(0, 256, (40, 144), np.uint8)
    with pdna.HashIndex.open(*files) as index:
        name = "nprobe" if index.index_type.startswith("IVF") else "ef_search"
        true = [brute_force(rows, one, 10) for one in queries]

        def share(effort):
            found = map(pairs_of, index.search(queries, 10, **{name: effort}))
            return np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, true, strict=True)])

        assert share(1) < 0.9, "little effort that finds everything does not test much"
        assert share(10**6) >= (1 if name == "nprobe" else 0.95)
        other = "ef_search" if name == "nprobe" else "nprobe"
        with pytest.raises(pdna.ArgumentError, match=f"{other}: goes with index types of the"):
            index.search(queries, **{other: 3})


def test_orientations_and_detail(tmp_path):
    rows = clustered(100)
    rows[0] = pdna.orientations(rows[50])[3]
    files = tmp_path / "i", tmp_path / "m"
    with pdna.HashIndex.create(*files, index_type="HNSW8") as index:
        index.add(names(100), rows, extra=[{"detail": i} for i in range(100)])
        index.save()
        ((first, second, *_),) = index.search(rows[50], orientations=True)
        assert {first.orientation, second.orientation} == {"identity", "rotate_90"}
        ((first,),) = index.search(rows[50], 1, min_detail=51, max_distance=100)
        ((identifier, distance),) = brute_force(rows[51:], rows[50], 1)
        assert (first.id, first.distance_squared) == (identifier + 51, distance)


def test_recall_is_measured_and_kept(saved):
    files, _ = saved
    with pdna.HashIndex.open(*files) as index:
        recall = index.recall
        assert recall.queries == approximate.QUERIES
        assert set(recall.perturbed) == {100, 200}
        assert recall.perturbed[200] >= approximate.RECALL_TARGET
        assert 0 < recall.nearest <= 1
        assert f"{recall.parameter} {recall.value}" in str(recall)
        whole = index.to_faiss()
        if recall.parameter == "nprobe":
            assert whole.nprobe == recall.value
        else:
            assert faiss.downcast_index(whole.index).hnsw.efSearch == recall.value


def test_recall_of_an_index_that_finds_little(tmp_path, monkeypatch):
    """It is measured, and not what was hoped for."""
    monkeypatch.setattr(approximate, "RECALL_TARGET", 0)
    rows = np.random.default_rng(1).integers(0, 256, (2000, 144), np.uint8)
    with pdna.HashIndex.open(*save_index(tmp_path, rows, "m.sqlite", "IVF40,SQ8")) as index:
        assert index.recall.value == 1
        assert 0.01 < index.recall.nearest < 0.5
        answers = map(pairs_of, index.search(rows[:300], 11))
        found = [
            len({*a} & {*brute_force(rows, b, 11)}) for a, b in zip(answers, rows, strict=False)
        ]
        assert (np.mean(found) - 1) / 10 == pytest.approx(index.recall.nearest, abs=0.05)


# The file.


def test_the_same_build_gives_the_same_file(saved):
    files, _ = saved
    again = files[0].parent / "again"
    again.mkdir()
    with pdna.HashIndex.open(*files) as index, index.copy_to(again / "i", again / "m.json"):
        contents = [
            faiss.serialize_index(faiss.read_index(str(p))) for p in (files[0], again / "i")
        ]
    assert np.array_equal(*contents)
    index = faiss.read_index(str(files[0]))
    assert (index.d, index.ntotal, index.metric_type) == (144, 1000, faiss.METRIC_L2)
    shutil.rmtree(again)


def content(path):
    """What FAISS wrote: all but the footer."""
    return faiss.serialize_index(faiss.read_index(str(path))).tobytes()


def test_faiss_search_takes_it(saved):
    files, rows = saved
    with pdna.HashIndex.open(*files) as index:
        table = index.table()
        hashes = np.concatenate([np.zeros((1, 144), np.uint8), table.hashes])  # ids begin at 1
        found = pdna.faiss_search(index.to_faiss(), rows[:9], 3, max_distance=60, hashes=hashes)
        assert list(map(pairs_of, found)) == list(
            map(pairs_of, index.search(rows[:9], 3, max_distance=60))
        )


def test_it_is_given_to_faiss_only_when_its_checksums_hold(tmp_path, monkeypatch):
    files = save_index(tmp_path, clustered(400), index_type="IVF4,SQ8")
    given = []
    read = faiss.deserialize_index
    monkeypatch.setattr(faiss, "deserialize_index", lambda *a: given.append(a) or read(*a))
    pdna.HashIndex.open(*files).close()
    assert len(given) == 1
    whole = files[0].read_bytes()
    for offset in range(0, len(whole), len(whole) // 50):
        corrupt(files[0], offset, bytes([whole[offset] ^ 0x10]))
        with pytest.raises(pdna.IndexFileError, match=r"damaged.*--faiss-rebuild"):
            pdna.HashIndex.open(*files)
        files[0].write_bytes(whole)
    assert len(given) == 1


def test_two_of_them_mixed_up(tmp_path, meta):
    files = save_index(tmp_path, clustered(400), meta, "IVF4,SQ8")
    (tmp_path / "other").mkdir()
    for hashes, words in (
        (clustered(400, seed=4), "hashes differ"),
        (clustered(500), "expects 401"),
    ):
        other = save_index(tmp_path / "other", hashes, meta, "IVF4,SQ8")
        with pytest.raises(pdna.IndexFileError, match=f"not belong.*{words}.*--faiss-rebuild"):
            pdna.HashIndex.open(other[0], files[1])
        shutil.rmtree(tmp_path / "other")
        (tmp_path / "other").mkdir()


@pytest.mark.long
def test_a_file_of_another_type_than_the_metadata(tmp_path, meta):
    """As a rebuild leaves it that is killed before it replaces the index."""
    rows = clustered(800)
    files = save_index(tmp_path, rows, meta, "IVF10,Flat")
    for before, after in (("IVF10,Flat", "flat"), ("flat", "HNSW8"), ("HNSW8", "IVF10,Flat")):
        pdna.HashIndex.rebuild(*files, index_type=before).close()
        old = files[0].read_bytes()
        pdna.HashIndex.rebuild(*files, index_type=after).close()
        files[0].write_bytes(old)
        with pdna.HashIndex.open(*files) as index:
            assert (index.index_type, index.recall) == (after, None)
            assert answered(index, rows[0], 50) == brute_force(rows, rows[0], 50)
            index.add([f"/{after}"], HASHES[:1])
            rows = np.concatenate([rows, HASHES[:1]])
            index.save()
            assert (index.recall is None) == (after == "flat")
        with pdna.HashIndex.open(*files) as index:
            index.verify()
    assert len(index) == 803


# Changes.


@pytest.mark.parametrize(
    ("name", "meta"),
    [
        ("IVF10,Flat", "meta.json"),
        ("IVF10,Flat", "meta.sqlite"),
        pytest.param("HNSW8,SQ8", "meta.sqlite", marks=pytest.mark.long),
    ],
)
def test_add_and_remove(tmp_path, meta, name):
    rows = clustered(1000)
    files = save_index(tmp_path, rows[:900], meta, name)
    index = pdna.HashIndex.open(*files)
    index.add(names(50, 900), rows[900:950])
    index.add(names(50, 950), rows[950:])
    for opened in (index, index, pdna.HashIndex.open(*files)):
        found = [answered(opened, rows[i], 1) == [(i + 1, 0)] for i in range(900, 1000, 5)]
        assert np.mean(found) > 0.8
        assert len(opened) == 1000
        index.save()
    index.remove(list(range(1, 500)))
    for opened in (index, index, pdna.HashIndex.open(*files)):
        found = [answered(opened, rows[i], 1) == [(i + 1, 0)] for i in range(500, 1000, 10)]
        assert np.mean(found) > 0.9, "a graph of few links does not reach each item"
        assert len(opened) == 501
        assert answered(opened, rows[5], 9, max_distance=0) == []
        index.save()
    assert index.to_faiss().ntotal == 501
    index.remove([item.id for item in index.items()])
    index.save()
    with pdna.HashIndex.open(*files) as empty:
        empty.verify()
        assert len(empty) == 0
        assert empty.search(rows[:2]) == [[], []]
        empty.add(names(500, 2000), rows[:500])
        empty.save()
        assert answered(empty, rows[0], 1) == [(1001, 0)]


def test_an_index_that_has_grown_is_trained_anew(tmp_path):
    rows = clustered(1000)
    files = save_index(tmp_path, rows[:200], index_type="IVF4,Flat")
    with pdna.HashIndex.open(*files) as index:
        first = centroids(index)
        for start, stop, trained in ((200, 700, False), (700, 1000, True)):
            index.add(names(stop - start, start), rows[start:stop])
            index.save()
            assert np.array_equal(centroids(index), first) != trained


def centroids(index):
    whole = index.to_faiss()
    return faiss.downcast_index(whole.quantizer).reconstruct_n(0, whole.nlist)


def test_what_could_not_be_written_is_forgotten(tmp_path, monkeypatch, meta):
    """What was trained for the rows that are gone must not serve those that come after."""
    rows = clustered(500)
    files = tmp_path / "i", tmp_path / meta
    index = pdna.HashIndex.create(*files, index_type="IVF4,Flat")
    index.add(names(500), rows)

    def refused(store):
        raise pdna.IndexFileError(store.path, "cannot be written (for a test)")

    with monkeypatch.context() as patch:
        patch.setattr(type(index._session.store), "commit", refused)
        with pytest.raises(pdna.IndexFileError, match="add it again"):
            index.save()
    assert len(index) == 0
    index.add(names(160), rows[:160])
    index.save()
    for opened in (index, pdna.HashIndex.open(*files)):
        assert answered(opened, rows[0], 999, nprobe=4) == brute_force(rows[:160], rows[0], 999)
        opened.verify()


# Files of an earlier version.


@pytest.mark.parametrize(("name", "meta"), [("flat", "flat.json"), ("uint8", "uint8.sqlite")])
def test_exact_files_of_an_earlier_version_open(tmp_path, name, meta):
    for file in (f"{name}.faiss", meta):
        shutil.copy(FORMER / file, tmp_path)
    files = tmp_path / f"{name}.faiss", tmp_path / meta
    for expected in (4, 5):
        with pdna.HashIndex.open(*files) as index:
            assert (len(index), index.index_type) == (expected, name)
            assert answered(index, HASHES[2], 1) == [(3, 0)]
            assert index.get(3).extra == {"n": 2}
            index.verify()
            assert index.add(["/new"], HASHES[9:10]).ids == ([6] if expected == 4 else [])
            index.save()
    with pdna.HashIndex.open(*files) as index:
        index.remove([6])
        index.save()
    other = {"flat": "uint8", "uint8": "flat"}[name]
    pdna.HashIndex.rebuild(*files, index_type=other).close()
    with pdna.HashIndex.open(*files) as index:
        assert (len(index), index.index_type) == (4, other)


def test_an_approximate_file_of_an_earlier_version_names_the_remedy(tmp_path):
    for file in ("ivf.faiss", "ivf.json"):
        shutil.copy(FORMER / file, tmp_path)
    files = tmp_path / "ivf.faiss", tmp_path / "ivf.json"
    words = r"index type ivf of an earlier version.*--faiss-rebuild .*--index-type uint8"
    for call in (pdna.HashIndex.open, pdna.HashIndex.rebuild):
        with pytest.raises(pdna.IndexFileError, match=words):
            call(*files)
    pdna.HashIndex.rebuild(*files, index_type="uint8").close()
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[2], 1) == [(3, 0)]
    shutil.copy(FORMER / "ivf.faiss", tmp_path)  # as after a kill in the middle of this
    with pytest.raises(pdna.IndexFileError, match=r"of the type ivf.*--faiss-rebuild"):
        pdna.HashIndex.open(*files)


# Forked processes: OpenMP, on which FAISS runs, waits in them for threads that are not there.


def build(folder, name, hashes):
    with pdna.HashIndex.create(folder / f"{name}.faiss", folder / "m.db", index_type="IVF10,SQ8",
                               overwrite=True) as index:  # fmt: skip
        index.add(names(len(hashes)), hashes)
        index.save()


def search_files(folder, name, hashes):
    with pdna.HashIndex.open(folder / "parent.faiss", folder / "m.db") as index:
        index.search(hashes[:300], 5)


def search_faiss(folder, name, hashes):
    flat = faiss.IndexFlatL2(144)
    flat.add(hashes[:300].astype("f4"))
    pdna.faiss_search(flat, hashes[:300], 2)


@needs("fork")
@pytest.mark.parametrize("work", [build, search_files, search_faiss])
def test_a_forked_child_builds_and_searches(tmp_path, work):
    """It hung for ever, once its parent had used FAISS on several threads."""
    hashes = clustered(3000)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(4)
    try:
        build(tmp_path, "parent", hashes)
        faiss.Kmeans(144, 10).train(hashes.astype("f4"))  # on four threads
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = multiprocessing.get_context("fork").Process(
                target=work, args=(tmp_path, "child", hashes)
            )
            child.start()
        child.join(300)
        alive = child.is_alive()
        child.kill()
        assert not alive, "it hangs"
        assert child.exitcode == 0
        assert faiss.omp_get_max_threads() == 4, "the threads of the caller are as they were"
    finally:
        faiss.omp_set_num_threads(before)
    if work is build:
        assert content(tmp_path / "parent.faiss") == content(tmp_path / "child.faiss")


def test_threads_are_one_after_a_fork(monkeypatch):
    before = faiss.omp_get_max_threads()
    monkeypatch.setattr(faiss_search, "_PROCESS", 0)
    with faiss_search.faiss_threads():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == 1, "also for what the caller does next"
    faiss.omp_set_num_threads(before)
