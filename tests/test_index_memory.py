"""The index without files, and all items as a table."""

import copy
import pickle
import pickletools

import numpy as np
import pytest
from conftest import ROOT
from indexes import HASHES, METADATA, answered, brute_force, names, save_index

import photodna_nb as pdna
from photodna_nb.index import memory_store


def index_of(hashes):
    index = pdna.HashIndex.in_memory()
    index.add(names(len(hashes)), hashes, extra=[{"detail": i} for i in range(len(hashes))])
    return index


def test_add_search_remove():
    with index_of(HASHES) as index:
        assert (len(index), index.index_type, index.recall) == (30, "flat", None)
        assert answered(index, HASHES[3], 5) == brute_force(HASHES, HASHES[3], 5)
        assert [item.path for item in index.remove([4, "/photos/0.jpg"])] == [
            "/photos/3.jpg",
            "/photos/0.jpg",
        ]
        assert answered(index, HASHES[3], 1, max_distance=0) == []
        added = index.add(["/photos/3.jpg", "/photos/5.jpg"], HASHES[[3, 5]])
        assert (added.ids, added.skipped) == ([31], ["/photos/5.jpg"])
        assert len(list(index.items())) == 29
        assert index.get("/photos/3.jpg").id == 31
        assert (index.index_path, repr(index)) == ("", "<HashIndex of 29 items in memory>")
        index.verify()
        with pytest.raises(pdna.ArgumentError, match="in memory and has no files; copy_to"):
            index.save()
        with pytest.raises(pdna.ArgumentError, match="99 is not in the index"):
            index.remove([5, 99])
        assert len(index) == 29, "what was changed before stays"
    with pytest.raises(pdna.ArgumentError, match="index: is closed, and was in memory"):
        index.search(HASHES[:1])


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))]
)
def test_it_can_be_pickled(duplicate):
    index = index_of(HASHES)
    index.remove([2])
    other = duplicate(index)
    assert other.search(HASHES, 3) == index.search(HASHES, 3)
    assert other.add(["/new"], HASHES[:1]).ids == [31]
    assert len(other) == len(index) + 1
    assert "/new" not in index
    assert len(index) == len(index.search(HASHES[0], 99)[0])
    # Both grow, and neither writes into the rows of the other.
    index.add(["/old"], HASHES[5:6])
    assert [i.table().paths[-1] for i in (index, other)] == ["/old", "/new"]
    assert np.array_equal(other.table().hashes[-1], HASHES[0])
    assert answered(other, HASHES[0], 2) == [(1, 0), (31, 0)]


def test_rows_seldom_move_where_items_come_one_by_one():
    index = index_of(HASHES[:9])
    columns, moved = index._session.store._columns, 0
    for i in range(9, 30):
        before = columns.hashes
        index.add([f"/photos/{i}.jpg"], HASHES[i : i + 1])
        moved += not np.shares_memory(before, columns.hashes)
    assert moved == 2, "from 9 to room for 18, and from there to 36"
    assert np.array_equal(index.table().hashes, HASHES)
    assert answered(index, HASHES[3], 5) == brute_force(HASHES, HASHES[3], 5)


FORMER = ROOT / "tests" / "former_files" / "in_memory.pickle"


def test_the_pickle_of_a_former_version():
    """Written once by version 0.2.0, by `write_former`: other versions read it."""
    index = pickle.loads(FORMER.read_bytes())
    assert np.array_equal(index.table().hashes, HASHES[[0, 2, 3, 4]])
    assert [item.extra for item in index] == [{"detail": i} for i in (0, 2, 3)] + [{}]
    assert index.search(HASHES[3], 1, max_distance=0)[0][0].path == "/photos/3.jpg"
    assert index.get("a label").record.label
    assert len(index._session.store.unreadable()) == 1
    assert index.add(["/new"], HASHES[:1]).ids == [6]


def write_former(folder):
    (folder / "broken.jpg").write_bytes(b"nothing")
    index = index_of(HASHES[:4])
    index.add(["a label"], HASHES[4:5])
    index.remove([2])
    index.sync([folder])
    FORMER.write_bytes(pickle.dumps(index))


def test_pickles_hold_no_class_that_may_change(tmp_path):
    index = index_of(HASHES[:2])
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    index.sync([tmp_path])
    values = [value for _, value, _ in pickletools.genops(pickle.dumps(index))]
    ours = {value for value in values if str(value).startswith("photodna_nb")}
    assert ours == {"photodna_nb.index.hash_index"}


def test_the_pickle_of_a_later_version(monkeypatch):
    monkeypatch.setattr(memory_store, "_FORMAT", 2)
    later = pickle.dumps(index_of(HASHES[:2]))
    monkeypatch.undo()
    with pytest.raises(pdna.ArgumentError, match="pickled by a later version of this program"):
        pickle.loads(later)


@pytest.mark.parametrize("meta", METADATA)
@pytest.mark.parametrize("index_type", [None, "uint8", "HNSW8"])
def test_copy_to_files(tmp_path, meta, index_type):
    index = index_of(HASHES)
    index.remove([2])
    files = tmp_path / "i", tmp_path / meta
    index.copy_to(*files, index_type=index_type).close()
    with pdna.HashIndex.open(*files) as saved:
        assert saved.index_type == (index_type or "flat")
        assert saved.search(HASHES[:1], 3) == index.search(HASHES[:1], 3)
        saved.verify()
        assert saved.add(["/new"], HASHES[:1]).ids == [31]


@pytest.mark.parametrize("meta", METADATA)
def test_table(tmp_path, meta):
    details = [{"detail": value} for value in (5, 0.5, "much", None, True, 10**400, float("1e301"))]
    details += [{}, {"other": {"detail": 3}}]
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / meta) as index:
        paths = [f"/{i}" for i in range(7)] + ["/\udcff.jpg", "/猫"]
        index.add(paths, HASHES[:9], extra=details)
        tables = [index.table()]
        index.save()
        tables.append(index.table())
    with pdna.HashIndex.open(tmp_path / "i", tmp_path / meta) as index:
        tables.append(index.table())
        index.remove([1])
        assert index.table().paths == paths[1:]
    for table in tables:
        assert table.paths == paths
        assert np.array_equal(table.hashes, HASHES[:9])
        assert np.array_equal(table.detail, [5, 0.5] + [np.nan] * 7, equal_nan=True)
    memory = pdna.HashIndex.in_memory()
    memory.add(table)
    assert np.array_equal(memory.table().hashes, table.hashes)
    assert pdna.HashIndex.in_memory().table().hashes.shape == (0, 144)


def test_an_empty_table_of_files(tmp_path):
    for meta in METADATA:
        with pdna.HashIndex.open(*save_index(tmp_path, HASHES[:0], meta, overwrite=True)) as index:
            assert len(index.table()) == 0


def test_a_table_is_a_query():
    index = index_of(HASHES)
    assert index.search(index.table(), 2) == index.search(HASHES, 2)


def test_flags_are_true_or_false():
    index = index_of(HASHES[:2])
    for call in (
        lambda: index.search(HASHES[0], orientations="no"),
        lambda: index.add([], recursive="no"),
        lambda: index.add([], compare_content="no"),
        lambda: index.verify(compare_content="no"),
    ):
        with pytest.raises(pdna.ArgumentTypeError, match="got str, needs True or False"):
            call()
