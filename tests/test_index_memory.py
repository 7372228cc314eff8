"""The index without files, and all items as a table."""

import copy
import pickle

import numpy as np
import pytest
from indexes import HASHES, METADATA, answered, brute_force, names, save_index

import photodna_nb as pdna


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
    with pytest.raises(pdna.ArgumentError, match="closed"):
        index.search(HASHES[:1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))])
def test_it_can_be_pickled(duplicate):
    index = index_of(HASHES)
    index.remove([2])
    other = duplicate(index)
    assert other.search(HASHES, 3) == index.search(HASHES, 3)
    assert other.add(["/new"], HASHES[:1]).ids == [31]
    assert len(other) == len(index) + 1
    assert "/new" not in index


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
