"""The search tree in an index file: the right answers from it, beside it and without it."""

import shutil
from dataclasses import replace

import faiss
import numpy as np
import pytest
import searches
from conftest import JIT_OFF
from indexes import EXACT, answered, brute_force, names, pairs_of
from indexes import corrupt as put

import photodna_nb as pdna
from photodna_nb.index import checksum, exact_search, faiss_file, search_rows, stored_tree
from photodna_nb.pairs import filter_search
from photodna_nb.pairs.projection import Projection

pytestmark = pytest.mark.skipif(JIT_OFF, reason="without compiled kernels, no tree is made")

ROWS = searches.some_hashes("copies", 700, 3)
QUERIES = np.concatenate([ROWS[::70], searches.some_hashes("photographs", 90, 4)])
LIMITS = (0, 60, 200, 450)


@pytest.fixture(autouse=True)
def trees_of_few_rows(monkeypatch):
    for module in (exact_search, search_rows):
        monkeypatch.setattr(module, "MIN_TREE_ROWS", 600)
    # The filter is never left because few rows are faster without it.
    monkeypatch.setattr(exact_search, "costs", lambda: filter_search.Costs(0, 1e-9))


# The README's command takes each type and each form of metadata once.
@pytest.fixture(
    params=[
        ("flat", "meta.json"),
        ("uint8", "meta.sqlite"),
        pytest.param(("flat", "meta.sqlite"), marks=pytest.mark.long),
        pytest.param(("uint8", "meta.json"), marks=pytest.mark.long),
    ],
    ids="-".join,
)
def kind(request):
    return request.param


@pytest.fixture
def meta(kind):
    return kind[1]


@pytest.fixture
def files(tmp_path, kind):
    return save(tmp_path, kind[1], kind[0])


def save(folder, meta="meta.sqlite", index_type="uint8", rows=ROWS):
    """The paths of an index of rows, saved here."""
    paths = folder / "index.faiss", folder / meta
    with pdna.HashIndex.create(*paths, index_type=index_type) as index:
        index.add(names(len(rows)), rows)
        index.save()
    return paths


def parts_of(index):
    """Numbers of rows of the segments that are not empty, those with a tree first."""
    segments = [segment for segment in index._session.rows._segments if segment.count]
    return [(segment.count, segment.tree is not None) for segment in segments]


def check(index, rows, limits=LIMITS, numbers=(1, 7, 100)):
    """Compare answers with brute force; the ids of the rows ascend from 1."""
    for limit in limits:
        for k in (1, 5, 100, 10_000):
            wanted = [brute_force(rows, query, k, limit**2) for query in QUERIES]
            for number in numbers:
                answers = index.search(QUERIES[:number], k, max_distance=limit)
                assert list(map(pairs_of, answers)) == wanted[:number]


def no_distances(*arguments):
    raise AssertionError("all distances of the rows were computed")


def test_answers_come_from_the_tree(files, monkeypatch):
    monkeypatch.setattr(exact_search, "_by_distances", no_distances)
    with pdna.HashIndex.open(*files) as index:
        assert parts_of(index) == [(700, True)]
        check(index, ROWS)
        index.verify()
    assert faiss.read_index(str(files[0])).ntotal == 700


def test_orientations(files):
    turned = pdna.orientations(QUERIES[:12])
    with pdna.HashIndex.open(*files) as index:
        answers = index.search(QUERIES[:12], 700, max_distance=450, orientations=True)
    for ways, matches in zip(turned, answers, strict=True):
        best = ((ROWS[:, None].astype(int) - ways) ** 2).sum(axis=2).min(axis=1)
        wanted = sorted((d, i + 1) for i, d in enumerate(best.tolist()) if d <= 450**2)
        assert [(m.distance_squared, m.id) for m in matches] == wanted


def test_without_a_limit(files):
    with pdna.HashIndex.open(*files) as index:
        for number in (1, 100):
            answers = index.search(QUERIES[:number], 9)
            wanted = [brute_force(ROWS, query, 9) for query in QUERIES[:number]]
            assert list(map(pairs_of, answers)) == wanted


def test_copies_are_found_without_a_limit(tmp_path, monkeypatch):
    """An image with k copies needs no distances of the other rows."""
    monkeypatch.setattr(exact_search, "_by_distances", no_distances)
    with pdna.HashIndex.open(*save(tmp_path)) as index:
        for number in (1, 10):
            answers = index.search(QUERIES[:number], 1)
            wanted = [brute_force(ROWS, query, 1) for query in QUERIES[:number]]
            assert list(map(pairs_of, answers)) == wanted


def test_a_tree_of_axes_that_are_too_long_is_not_used(tmp_path):
    """Sums of 16 bits would lose rows. Only a crafted file has such weights."""
    with pdna.HashIndex.open(*save(tmp_path)) as index:
        segment = next(one for one in index._session.rows._segments if one.count)
        former = segment.tree.projection
        longer = Projection.of(np.full_like(former.weights, 127), former.centre)
        segment.tree = replace(segment.tree, projection=longer)
        assert exact_search._by_tree(segment, QUERIES[:2], 5, 450**2) == [None, None]
        check(index, ROWS, (450,), (2,))


def test_rows_that_come_later_and_rows_that_go(files):
    """A tree stays while few rows are new; it is not used once one of its rows is gone."""
    more = searches.some_hashes("copies", 170, 5)
    with pdna.HashIndex.open(*files) as index:
        index.add(names(60, 1000), more[:60])
        check(index, np.concatenate([ROWS, more[:60]]), (200,))
        index._session._write_index = True
        index.save()
        assert parts_of(index) == [(700, True), (60, False)]
    with pdna.HashIndex.open(*files) as index:
        assert parts_of(index) == [(700, True), (60, False)]
        index.verify()
        check(index, np.concatenate([ROWS, more[:60]]), (200,))
        index.add(names(110, 2000), more[60:])
        index._session._write_index = True
        index.save()
        assert parts_of(index) == [(870, True)]
        check(index, np.concatenate([ROWS, more]), (200,))
    with pdna.HashIndex.open(*files) as index:
        index.verify()
        removed = [int(i) for i in range(2, 40, 3)]
        index.remove(removed)
        assert not any(has_tree for _, has_tree in parts_of(index))
        left = np.delete(np.arange(870), np.array(removed) - 1)
        rows = np.concatenate([ROWS, more])
        for state in ("removed", "saved"):
            for query in QUERIES[:12]:
                squared = ((rows[left].astype(int) - query) ** 2).sum(axis=1)
                wanted = sorted(zip(squared.tolist(), (left + 1).tolist(), strict=True))[:5]
                answers = answered(index, query, 5, max_distance=3060)
                assert [(d, i) for i, d in answers] == wanted
                within = [(i, d) for d, i in wanted if d <= 200**2]
                assert answered(index, query, 5, max_distance=200) == within
            if state == "removed":
                index.save()
                assert parts_of(index) == [(870 - len(removed), True)]


def test_a_reader_beside_a_writer(files):
    reader = pdna.HashIndex.open(*files)
    check(reader, ROWS, (200,), (1,))
    with pdna.HashIndex.open(*files) as index:
        index.remove([1])
        index.save()
    squared = ((ROWS.astype(int) - ROWS[0]) ** 2).sum(axis=1)
    order = [(int(squared[i]), i + 1) for i in range(1, 700) if squared[i] <= 300**2]
    assert answered(reader, ROWS[0], 999, max_distance=300) == [(i, d) for d, i in sorted(order)]


def test_a_file_without_a_tree(files, monkeypatch, meta):
    """As earlier versions wrote it: searched right, by a tree where many ask, and completed."""
    for module in (exact_search, search_rows):
        monkeypatch.setattr(module, "MIN_TREE_ROWS", 10**6)
    pdna.HashIndex.rebuild(*files).close()
    for module in (exact_search, search_rows):
        monkeypatch.setattr(module, "MIN_TREE_ROWS", 600)
    with pdna.HashIndex.open(*files) as index:
        check(index, ROWS, (200,))
        assert parts_of(index) == [(700, False)]
        monkeypatch.setattr(exact_search, "_QUERIES_OF_A_TREE", 50)
        check(index, ROWS, (200,))
        assert parts_of(index) == [(700, True)]
        index.remove([700])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        assert parts_of(index) == [(699, True)]
        check(index, ROWS[:699], (200,))


def test_what_is_near_to_too_many_rows_is_found_by_all_distances(tmp_path, monkeypatch):
    rows = ROWS.copy()
    rows[100:] = 7
    with pdna.HashIndex.open(*save(tmp_path, rows=rows)) as index:
        monkeypatch.setattr(exact_search, "costs", lambda: filter_search.Costs(0, 6))
        flat = np.full((1, 144), 8, np.uint8)
        for queries in (flat, np.concatenate([QUERIES[:20], flat])):
            answers = index.search(queries, 50, max_distance=200)
            wanted = [brute_force(rows, query, 50, 200**2) for query in queries]
            assert list(map(pairs_of, answers)) == wanted


def test_rebuilt_and_copied(files, tmp_path, meta):
    with pdna.HashIndex.rebuild(*files, index_type="flat") as index:
        assert parts_of(index) == [(700, True)]
        copy = tmp_path / "copy.faiss", tmp_path / f"copy-{meta}"
        with index.copy_to(*copy, index_type="uint8") as copied:
            check(copied, ROWS, (200,))
            assert parts_of(copied) == [(700, True)]
    with pdna.HashIndex.rebuild(*files, index_type="HNSW8") as index:
        assert answered(index, ROWS[0], 1, max_distance=200) == [(1, 0)]


# Damage.


@pytest.mark.long
@pytest.mark.parametrize("index_type", EXACT)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_flipped_byte_is_noticed_or_not_read(tmp_path, index_type, mapped, monkeypatch):
    """In pieces of 1000 bytes; a search that meets none of them may answer, and is right."""
    monkeypatch.setattr(checksum, "PIECE", 1000)
    monkeypatch.setattr(faiss_file, "_READ_AT_ONCE", 2000 if mapped else 1 << 30)
    files = save(tmp_path, "meta.sqlite", index_type)
    whole = files[0].read_bytes()
    wanted = [brute_force(ROWS, query, 9, 200**2) for query in QUERIES[:3]]
    start = faiss_file.content_size(index_type, 700)
    noticed = 0
    for offset in (*range(start, len(whole), 701), *range(0, start, 9973)):
        put(files[0], offset, bytes([whole[offset] ^ 0x10]))
        problem = ""
        try:
            with pdna.HashIndex.open(*files) as index:
                for query, right in zip(QUERIES, wanted, strict=False):
                    assert answered(index, query, 9, max_distance=200) == right
        except pdna.IndexFileError as error:
            problem = str(error)
        assert not problem or ("damaged" in problem and "--faiss-rebuild" in problem)
        noticed += bool(problem) and offset >= start
        with (
            pytest.raises(pdna.IndexFileError, match="damaged"),
            pdna.HashIndex.open(*files) as index,
        ):
            index.verify()
        files[0].unlink()
        files[0].write_bytes(whole)
    assert noticed > (len(whole) - start) / 701 / 2


def test_a_query_reads_only_what_is_near(tmp_path, monkeypatch):
    monkeypatch.setattr(checksum, "PIECE", 1000)
    rows = searches.some_hashes("photographs", 5000, 6)
    for index_type in EXACT:
        (tmp_path / index_type).mkdir()
        files = save(tmp_path / index_type, "meta.sqlite", index_type, rows)
        with pdna.HashIndex.open(*files) as index:
            assert answered(index, rows[0], 1, max_distance=0) == [(1, 0)]
            segment = index._session.rows._segments[0]
            unchecked = segment.tree.reader._footer._unchecked
            assert unchecked.mean() > 0.7
            assert np.array_equal(segment.rows, rows)
            assert np.array_equal(segment.ids, np.arange(1, 5001))
            assert unchecked.mean() < 0.3


def test_truncated_and_exchanged_trees(tmp_path):
    files = save(tmp_path)
    whole = files[0].read_bytes()
    start = faiss_file.content_size("uint8", 700)
    for length in range(start + 1, len(whole), 997):
        files[0].write_bytes(whole[:length])
        with pytest.raises(pdna.IndexFileError, match=r"damaged.*--faiss-rebuild"):
            pdna.HashIndex.open(*files)
    (tmp_path / "other").mkdir()
    other = save(tmp_path / "other", rows=searches.some_hashes("copies", 700, 8))[0].read_bytes()
    assert len(other) == len(whole)
    end = checksum.ChecksumFooter("", memoryview(whole)).size
    files[0].write_bytes(whole[:start] + other[start:end] + whole[end:])
    with (
        pytest.raises(pdna.IndexFileError, match="damaged"),
        pdna.HashIndex.open(*files) as index,
    ):
        check(index, ROWS)
    shutil.copy(tmp_path / "other" / "index.faiss", files[0])
    with pytest.raises(pdna.IndexFileError, match="not belong"):
        pdna.HashIndex.open(*files)


@pytest.mark.parametrize("number", range(7))
def test_verify_compares_the_tree_with_the_rows(tmp_path, monkeypatch, number):
    """A file whose checksums are right, written by a program that is wrong."""
    files = save(tmp_path)
    with pdna.HashIndex.open(*files) as index:
        segment = index._session.rows._segments[0]
        tree = segment.tree
        arrays = [tree.order, *tree.boxes]
        arrays[number] = arrays[number].copy()
        arrays[number].reshape(-1)[9 if number else 8] += 1
        segment.tree = type(tree)(tree.projection, segment.rows, arrays[0], tuple(arrays[1:]))
        index.add(["/new"], ROWS[:1])
        index._session._write_index = True
        index.save()
    with (
        pdna.HashIndex.open(*files) as index,
        pytest.raises(pdna.IndexFileError, match=r"search tree that is wrong: its .*--faiss-reb"),
    ):
        index.verify()
    pdna.HashIndex.rebuild(*files).verify()


@pytest.mark.parametrize("number", [-1, 800, 2**31 - 1])
def test_no_row_beyond_the_file_is_read(tmp_path, monkeypatch, number):
    """A file whose checksums are right, made to read other memory."""
    content = stored_tree.content

    def wrong(tree, start):
        return content(replace(tree, order=np.full_like(tree.order, number)), start)

    monkeypatch.setattr(stored_tree, "content", wrong)
    with (
        pdna.HashIndex.open(*save(tmp_path)) as index,
        pytest.raises(pdna.IndexFileError, match=r"damaged: its search tree .*--faiss-rebuild"),
    ):
        index.search(QUERIES, 3, max_distance=200)


@pytest.mark.parametrize(
    "change",
    [{"n_rows": 0}, {"n_rows": 701}, {"n_rows": 650}, {"n_axes": 20}, {"n_axes": 7}],
    ids=str,
)
def test_a_header_with_other_sizes(tmp_path, monkeypatch, change):
    header = search_rows.SearchRows.header

    def wrong(*arguments):
        found = header(*arguments)
        return found | {"tree": found["tree"] | change}

    monkeypatch.setattr(search_rows.SearchRows, "header", wrong)
    files = save(tmp_path)
    with (
        pytest.raises(pdna.IndexFileError, match=r"damaged: .*search tree.*--faiss-rebuild"),
        pdna.HashIndex.open(*files) as index,
    ):
        index.search(QUERIES, 3, max_distance=200)


def test_the_same_items_give_the_same_tree(tmp_path):
    contents = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        files = save(tmp_path / str(number))
        end = checksum.ChecksumFooter("", memoryview(files[0].read_bytes())).size
        contents.append(files[0].read_bytes()[:end])
    assert contents[0] == contents[1]
