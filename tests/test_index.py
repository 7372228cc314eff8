"""The index as its users see it: what is kept, changed and seen by others."""

import copy
import os
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import pytest
from indexes import (
    EXACT,
    HASHES,
    INDEX_TYPES,
    METADATA,
    answered,
    names,
    save_index,
    write_foreign_index,
)
from PIL import Image

import photodna_nb as pdna
from photodna_nb.index.json_store import JsonStore

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


@pytest.fixture
def files(tmp_path, meta):
    """An index of five items, saved."""
    return save_index(tmp_path, HASHES[:5], meta)


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_round_trip(tmp_path, meta, index_type):
    with pdna.HashIndex.open(*save_index(tmp_path, HASHES[:5], meta, index_type)) as index:
        assert (len(index), index.index_type) == (5, index_type)
        ((match,),) = index.search(HASHES[3:4], 1)
        assert (match.id, match.path, match.distance_squared) == (4, "/photos/3.jpg", 0)
        assert (match.distance, match.similarity, match.extra) == (0.0, 1.0, {"n": 3})
        assert (match.orientation, match.detail, match.low_detail) == ("identity", None, False)
        assert "/photos/3.jpg" in index
        assert "/photos/../photos/3.jpg" in index
        assert "/photos/9.jpg" not in index
        index.verify()


@pytest.mark.parametrize("index_type", EXACT)
def test_files_of_others_open_here(tmp_path, index_type):
    files = write_foreign_index(tmp_path, HASHES, index_type)
    index = pdna.HashIndex.open(*files)
    added = index.add(["/photos/new.jpg"], HASHES[:1])
    assert added == ([31], [], [], [], [], {})
    index.save()
    again = pdna.HashIndex.open(*files)
    assert len(again) == 31
    assert answered(again, HASHES[0], 2) == [(1, 0), (31, 0)]


def test_same_hash_is_two_items_same_path_is_one(tmp_path, meta):
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / meta)
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).touch()
    a, b = str(folder / "a"), str(folder / "b")
    paths = [a, b, str(folder / ".." / "images" / "a")]
    assert index.add(paths, np.stack([HASHES[0]] * 3))[:3] == ([1, 2], [a], [])
    assert index.add([b], HASHES[:1])[:3] == ([], [b], [])
    index.save()
    assert index.add([b, "/d.jpg"], HASHES[:1].repeat(2, axis=0))[:3] == ([3], [b], [])
    assert answered(index, HASHES[0], 5)[:2] == [(1, 0), (2, 0)]


def test_hostile_names_survive(tmp_path, meta):
    hostile = [b"/n\nl.jpg", b"/\x1b[31m.jpg", b"/\xff\xfe.jpg", "/猫.jpg".encode(), b'/"\\.jpg']
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / meta) as index:
        index.add([os.fsdecode(name) for name in hostile], HASHES[:5])
        index.save()
    if meta.endswith(".json"):
        content = (tmp_path / meta).read_bytes()
        assert content.isascii()
        assert b"\x1b" not in content
    again = pdna.HashIndex.open(tmp_path / "i", tmp_path / meta)
    answers = again.search(HASHES[:5], 1)
    assert [os.fsencode(matches[0].path) for matches in answers] == hostile
    assert all(name in again for name in hostile)


# What is kept of an item.


def test_detail_of_files_and_tables(tmp_path):
    image = tmp_path / "image.png"
    Image.effect_noise((64, 64), 90).save(image)
    index = pdna.HashIndex.create("i", "m")
    missing = tmp_path / "missing.png"
    added = index.add([image, missing], extra=[{"tag": "x"}, {}], errors="record")
    assert (added.ids, [path for path, _ in added.failures]) == ([1], [str(missing)])
    item = index.get(image)
    assert item.extra == {"tag": "x"}
    assert (item.record.pillow, item.record.size) == (PIL.__version__, image.stat().st_size)
    assert item.detail == pdna.trace(Image.open(image)).detail
    assert index.add([image]).skipped == [str(image)]
    table = pdna.hash_files([image])
    other = pdna.HashIndex.create("i2", "m2")
    other.add(table)
    assert (other.get(1).extra, other.get(1).record) == ({}, item.record)
    with pytest.raises(pdna.ArgumentError, match="a table has its own"):
        other.add(table, table.hashes)
    with pytest.raises(pdna.ImageError, match="missing"):
        index.add([missing])
    assert len(index) == 1


def test_extra_survives(tmp_path, meta):
    extra = {"tag": ["x", None, 1.5, {"猫": True}], "detail": "not a number"}
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / meta) as index:
        index.add(["/a"], HASHES[:1], extra=[extra])
        index.save()
    index = pdna.HashIndex.open(tmp_path / "i", tmp_path / meta)
    assert index.get(1).extra == extra
    assert index.get(1).detail is None


def test_get(files):
    index = pdna.HashIndex.open(*files)
    for item in (
        3,
        np.int64(3),
        "/photos/2.jpg",
        b"/photos/2.jpg",
        Path("/photos/../photos/2.jpg"),
    ):
        found = index.get(item)
        assert (found.id, found.path, found.extra) == (3, "/photos/2.jpg", {"n": 2})
        assert np.array_equal(found.hash, HASHES[2])
    for item in (0, 6, -1, 2**63, 2**80, "/photos/5.jpg"):
        assert index.get(item) is None
        assert item not in index
    assert [item.id for item in index.items()] == [1, 2, 3, 4, 5]
    for item in (True, 1.0, None):
        with pytest.raises(pdna.ArgumentTypeError, match="item: got"):
            index.get(item)


def test_remove(files):
    index = pdna.HashIndex.open(*files)
    assert [item.path for item in index.remove([2, "/photos/4.jpg", 2])] == [
        "/photos/1.jpg",
        "/photos/4.jpg",
    ]
    for opened in (index, index, pdna.HashIndex.open(*files)):
        assert [item.id for item in opened.items()] == [1, 3, 4]
        assert [i for i, _ in answered(opened, HASHES[1], 9)] != [2]
        assert answered(opened, HASHES[1], 9, max_distance=0) == []
        assert 2 not in opened
        index.save()
    assert index.add(["/photos/1.jpg"], HASHES[1:2]).ids == [6], "an id is never used again"
    index.save()
    assert answered(pdna.HashIndex.open(*files), HASHES[1], 1) == [(6, 0)]


def test_remove_all_or_nothing(files):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(pdna.ArgumentError, match=r"items\[1\]: 9 is not in the index"):
        index.remove([1, 9])
    with pytest.raises(pdna.ArgumentTypeError, match="items: got str"):
        index.remove("/photos/1.jpg")
    assert len(index) == 5
    assert index.remove([]) == []
    index.remove([1, 2, 3, 4, 5])
    index.save()
    again = pdna.HashIndex.open(*files)
    assert len(again) == 0
    assert again.search(HASHES[:1]) == [[]]
    assert again.add(["/a"], HASHES[:1]).ids == [6]


def test_removing_while_going_through_the_items(files):
    index = pdna.HashIndex.open(*files)
    for item in index.items():
        index.remove([item.id])
    assert list(index.items()) == []


def test_items_are_those_of_one_moment(files, monkeypatch):
    """JSON is in memory; of a database a page is read at a time."""
    monkeypatch.setattr("photodna_nb.index.sqlite_store._ROWS_A_PAGE", 2)
    reader, writer = pdna.HashIndex.open(*files), pdna.HashIndex.open(*files)
    items = reader.items()
    assert next(items).id == 1
    writer.add(["/a"], HASHES[5:6])
    writer.save()
    assert len(reader.get("/a").hash) == 144, "asking for something else does no harm"
    assert [item.id for item in items] == [2, 3, 4, 5]
    items = reader.items()
    assert next(items).id == 1
    writer.remove([1, 5])
    writer.save()
    if isinstance(reader._session.store, JsonStore):
        assert [item.id for item in items] == [2, 3, 4, 5, 6]
    else:
        with pytest.raises(pdna.IndexFileError, match="while its items were read; begin again"):
            list(items)
    assert [item.id for item in reader.items()] == [2, 3, 4, 6]


def test_copy_to(tmp_path, meta):
    """Ids, extras, and which id comes next."""
    index = pdna.HashIndex.open(*save_index(tmp_path, HASHES[:5], meta))
    index.remove([2, 5])
    for index_type in (*INDEX_TYPES, None):
        for other in METADATA:
            pair = tmp_path / "new.faiss", tmp_path / f"new-{other}"
            copied = index.copy_to(*pair, index_type=index_type, overwrite=True)
            copied.close()
            again = pdna.HashIndex.open(*pair)
            again.verify()
            assert again.index_type == (index_type or "flat")
            assert [item.id for item in again.items()] == [1, 3, 4]
            assert again.get(4).extra == {"n": 3}
            assert answered(again, HASHES[2], 1) == [(3, 0)]
            assert again.add(["/new"], HASHES[:1]).ids == [6]
            again.close()


def test_a_folder_that_cannot_be_written(files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root can write anywhere
    with pytest.raises(pdna.IndexFileError, match="user cannot write in; check its permissions"):
        pdna.HashIndex.create(tmp_path / "new.faiss", tmp_path / "new.json")


def test_copy_to_itself(files, tmp_path):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(pdna.ArgumentError, match=f"meta_path: got {files[1]} of this index"):
        index.copy_to(tmp_path / "new", files[1], overwrite=True)
    with pytest.raises(pdna.ArgumentError, match=f"index_path: got {files[0]} of this index"):
        index.copy_to(files[0], tmp_path / "new.json", overwrite=True)
    with pytest.raises(pdna.IndexFileError, match="exists already"):
        index.copy_to(*files)
    index.verify()


# Changes, and who sees them.


def test_nothing_is_written_before_save(files):
    before = [path.read_bytes() for path in files]
    with pdna.HashIndex.open(*files) as index:
        index.add(["/x"], HASHES[:1])
        index.remove([1])
        assert [path.read_bytes() for path in files] == before
    again = pdna.HashIndex.open(*files)  # left unsaved, others may write
    assert [item.id for item in again.items()] == [1, 2, 3, 4, 5]
    again.add(["/x"], HASHES[:1])
    again.save()


def test_after_close(files):
    index = pdna.HashIndex.open(*files)
    index.remove([1])
    index.close()
    index.close()
    for call in (
        lambda: index.search(HASHES[:1]),
        lambda: index.get(1),
        lambda: index.add(["/x"], HASHES[:1]),
        index.save,
        index.verify,
    ):
        with pytest.raises(pdna.ArgumentError, match="is closed; open it again"):
            call()
    with pdna.HashIndex.open(*files) as again:
        assert answered(again, HASHES[0], 1) == [(1, 0)]


def test_what_another_one_saves_is_seen(files):
    reader, writer = pdna.HashIndex.open(*files), pdna.HashIndex.open(*files)
    assert answered(reader, HASHES[7], 9, max_distance=0) == []
    for i in (7, 8):
        writer.add([f"/new/{i}"], HASHES[i : i + 1])
        assert answered(reader, HASHES[i], 9, max_distance=0) == [], "not saved yet"
        writer.save()
        assert answered(reader, HASHES[i], 9, max_distance=0) == [(i - 1, 0)]
        assert f"/new/{i}" in reader
        assert len(reader) == i - 1
    writer.remove([6])
    writer.save()
    assert answered(reader, HASHES[7], 9, max_distance=0) == []
    assert 6 not in reader
    assert reader.add(["/reader"], HASHES[9:10]).ids == [8]
    reader.save()
    assert answered(writer, HASHES[9], 1) == [(8, 0)]


def test_an_index_made_anew_is_seen(files):
    reader = pdna.HashIndex.open(*files)
    with pdna.HashIndex.create(*files, overwrite=True) as writer:
        writer.add(names(5), HASHES[5:10])
        writer.save()
        assert answered(reader, HASHES[0], 9, max_distance=0) == []
        assert answered(reader, HASHES[5], 1) == [(1, 0)]


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_another_kind_is_seen(files, index_type):
    """One that was open before must not write the old index_type back."""
    reader = pdna.HashIndex.open(*files)
    pdna.HashIndex.rebuild(*files, index_type=index_type).close()
    assert answered(reader, HASHES[0], 1) == [(1, 0)]
    assert reader.index_type == index_type
    reader.add(["/a"], HASHES[5:6])
    reader.remove([1])
    reader.save()
    with pdna.HashIndex.open(*files) as again:
        assert again.index_type == index_type
        assert [item.id for item in again.items()] == [2, 3, 4, 5, 6]
        again.verify()


def test_one_writer_at_a_time(files, monkeypatch):
    monkeypatch.setattr("photodna_nb.index.writer_lock.LOCK_TIMEOUT_SECONDS", 0.2)
    first, second = pdna.HashIndex.open(*files), pdna.HashIndex.open(*files)
    first.add(["/a"], HASHES[:1])
    with pytest.raises(pdna.IndexFileError, match="in change by another program, or another"):
        second.add(["/b"], HASHES[:1])
    first.save()
    assert second.add(["/b"], HASHES[:1]).ids == [7]
    second.save()


def test_an_index_dropped_without_close_lets_others_write(files, monkeypatch):
    monkeypatch.setattr("photodna_nb.index.writer_lock.LOCK_TIMEOUT_SECONDS", 0.2)
    pdna.HashIndex.open(*files).add(["/a"], HASHES[:1])
    pdna.HashIndex.open(*files).add(["/b"], HASHES[:1])


@pytest.mark.parametrize("before", [*INDEX_TYPES, None])
def test_rebuild(tmp_path, meta, before):
    """Whatever the index file is, and whichever index_type is wanted."""
    files = save_index(tmp_path, HASHES[:5], meta, before or "flat")
    files[0].write_bytes(files[0].read_bytes()[:100]) if before else files[0].unlink()
    for index_type in (None, *INDEX_TYPES, None):
        with pdna.HashIndex.rebuild(*files, index_type=index_type) as index:
            assert (len(index), index.index_type) == (5, index_type or index.index_type)
        with pdna.HashIndex.open(*files) as index:
            assert index.index_type == (index_type or index.index_type)
            assert answered(index, HASHES[2], 1) == [(3, 0)]
            index.verify()


def test_create_never_replaces_unasked(files):
    before = [path.read_bytes() for path in files]
    with pytest.raises(pdna.IndexFileError, match=r"exists already.*--faiss-add.*--overwrite"):
        pdna.HashIndex.create(*files)
    index = pdna.HashIndex.create(*files, overwrite=True)
    assert [path.read_bytes() for path in files] == before, "nothing is written before save"
    index.add(["/x"], HASHES[:1])
    index.save()
    assert len(pdna.HashIndex.open(*files)) == 1


def test_a_file_made_in_between_is_not_replaced(tmp_path, meta):
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / meta)
    (tmp_path / meta).write_text("mine")
    with pytest.raises(pdna.IndexFileError, match="exists already"):
        index.save()
    assert (tmp_path / meta).read_text("utf-8") == "mine"


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch, meta):
    monkeypatch.chdir(tmp_path)
    index = pdna.HashIndex.create("i", meta)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    index.save()
    assert (tmp_path / meta).exists()


# Threads, other programs, copies.


def test_verify_leaves_changes_alone(files):
    with pdna.HashIndex.open(*files) as index:
        (identifier,) = index.add(["/new"], HASHES[9:10]).ids
        index.remove([2])
        index.verify()
        index.save()
    with pdna.HashIndex.open(*files) as index:
        index.verify()
        assert index.get("/new").id == identifier
        assert 2 not in index


def test_copies_of_a_pair_that_went_on_separately(tmp_path):
    one = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    other = tmp_path / "other.faiss", tmp_path / "other.sqlite"
    for source, target in zip(one, other, strict=True):
        target.write_bytes(source.read_bytes())
    rng = np.random.default_rng(1)
    for files in (one, other):
        with pdna.HashIndex.open(*files) as index:  # enough for a new index file
            index.add(names(1500, start=100), rng.integers(0, 256, (1500, 144), np.uint8))
            index.save()
    with pytest.raises(pdna.IndexFileError, match=r"hashes differ.*--faiss-rebuild"):
        pdna.HashIndex.open(one[0], other[1])


def test_one_object_in_several_threads(files):
    def add(number):
        for i in range(8):
            index.add([f"/{number}/{i}"], HASHES[i : i + 1])
            index.save()

    with pdna.HashIndex.open(*files) as index:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(add, range(3)))
        ids = [item.id for item in index.items()]
        assert len(set(ids)) == len(ids) == len(index) == 5 + 24
    with pdna.HashIndex.open(*files) as index:
        index.verify()


def test_a_search_keeps_nobody_from_writing(files, monkeypatch):
    """And its answer is of one state, even when others write in the middle of it."""
    from photodna_nb.index import exact_search

    reader, writer = pdna.HashIndex.open(*files), pdna.HashIndex.open(*files)
    nearest_rows, calls = exact_search.nearest_rows, []

    def meanwhile(*arguments):
        calls.append(1)
        if len(calls) == 1:
            writer.remove([1])
            writer.save()
        return nearest_rows(*arguments)

    monkeypatch.setattr(exact_search, "nearest_rows", meanwhile)
    found = answered(reader, HASHES[0], 1, max_distance=0)
    assert found in ([], [(1, 0)])
    assert answered(reader, HASHES[0], 1, max_distance=0) == []


def test_a_busy_database_loses_nothing(tmp_path, monkeypatch):
    from photodna_nb.index import sqlite_file

    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.2)
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    other = sqlite3.connect(files[1], isolation_level=None)
    with pdna.HashIndex.open(*files) as index:
        index.add(["/new"], HASHES[9:10])
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM items").fetchone()
        with pytest.raises(pdna.IndexFileError, match=r"in use by another program.*try again"):
            index.save()
        other.execute("ROLLBACK")
        index.save()
    other.close()
    with pdna.HashIndex.open(*files) as index:
        assert "/new" in index


def test_hashes_of_items_are_read_only(files):
    with pdna.HashIndex.open(*files) as index:
        for item in (index.get(1), next(index.items()), *index.remove([2])):
            with pytest.raises(ValueError, match="read-only"):
                item.hash[:] = 0


def test_an_index_cannot_be_copied(files):
    with pdna.HashIndex.open(*files) as index:
        for call in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(pdna.ArgumentTypeError, match="open it again where it is needed"):
                call(index)
        assert len(index.search(HASHES[:1])) == 1


def test_a_lost_index_is_not_a_reason_to_overwrite(files):
    files[0].unlink()
    with pytest.raises(pdna.IndexFileError, match=r"exists already.*missing.*--faiss-rebuild"):
        pdna.HashIndex.create(*files)


def test_odd_details(tmp_path):
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / "m")
    odd = [{"detail": value} for value in (10**400, "much", None, True, 5.0)]
    index.add(names(5), HASHES[:5], extra=odd)
    details = [match.detail for match in index.search(HASHES[:1])[0]]
    assert sorted(details, key=str) == [5.0, None, None, None, None]
    assert len(index.search(HASHES[:1], min_detail=np.float32(100))[0]) == 4
    index.close()


# Arguments.


def test_wrong_arguments(files):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(pdna.ArgumentError, match=r"hashes: got .*\(143,\), needs|1, 143"):
        index.search(HASHES[0, 1:])
    with pytest.raises(pdna.ArgumentTypeError, match="hashes: got an array of float64"):
        index.add(["/x"], HASHES[:1].astype(float))
    with pytest.raises(pdna.ArgumentError, match="got 2, 1 and 2 entries"):
        index.add(["/x", "/y"], HASHES[:1])
    with pytest.raises(pdna.ArgumentError, match="k: got 0"):
        index.search(HASHES, 0)
    with pytest.raises(pdna.ArgumentTypeError, match="k: got float"):
        index.search(HASHES, 1.5)
    with pytest.raises(pdna.ArgumentError, match="nprobe: got 0"):
        index.search(HASHES, nprobe=0)
    for name in ("nprobe", "ef_search"):
        with pytest.raises(pdna.ArgumentError, match=f"{name}: goes with index types of the"):
            index.search(HASHES, **{name: 3})
    with pytest.raises(pdna.ArgumentError, match="min_similarity: got 2"):
        index.search(HASHES, min_similarity=2)
    for wrong in (-1, float("nan"), "100"):
        with pytest.raises(pdna.PhotodnaError, match="min_detail: got"):
            index.search(HASHES, min_detail=wrong)
    with pytest.raises(pdna.ArgumentError, match="same file twice"):
        pdna.HashIndex.create("a", "./a")
    for call in (pdna.HashIndex.create, pdna.HashIndex.rebuild, index.copy_to):
        with pytest.raises(
            pdna.ArgumentError,
            match="index_type: got 'hnsw', needs flat, uint8, IVF<nlist>,<codec>",
        ):
            call("a", "b", index_type="hnsw")


@pytest.mark.parametrize(
    ("arguments", "index_type", "words"),
    [
        ((["/a", 3], HASHES[:2]), pdna.ArgumentTypeError, r"images\[1\]: got int"),
        ((["/a", "b\0c"], HASHES[:2]), pdna.ArgumentError, r"images\[1\].*name of a file"),
        ((["/a", "\ud800"], HASHES[:2]), pdna.ArgumentError, r"images\[1\].*name of a file"),
        ((["/a", ""], HASHES[:2]), pdna.ArgumentError, r"images\[1\].*name of a file"),
        (("ab", HASHES[:2]), pdna.ArgumentTypeError, "images: got str, needs a sequence"),
        ((["/a"], HASHES[:1], [3]), pdna.ArgumentTypeError, r"extra\[0\]: got int"),
        ((["/a"], HASHES[:1], [{"d": np.float32(1)}]), pdna.ArgumentError, r"extra\[0\].*float32"),
        ((["/a"], HASHES[:1], [{"d": float("nan")}]), pdna.ArgumentError, "JSON cannot hold"),
    ],
)
def test_what_cannot_be_added_changes_nothing(files, arguments, index_type, words):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(index_type, match=words):
        index.add(*arguments[:2], extra=arguments[2] if len(arguments) > 2 else None)
    assert len(index) == 5
    index.add(["/b"], HASHES[:1])
    index.save()
    assert len(pdna.HashIndex.open(*files)) == 6


def test_paths_of_every_kind(files):
    index = pdna.HashIndex.open(*files)
    index.add((path for path in (b"/bytes.jpg", Path("/path.jpg"))), HASHES[:2])
    index.save()
    again = pdna.HashIndex.open(*files)
    assert "/bytes.jpg" in again
    assert Path("/path.jpg") in again


def test_wrong_names_of_files(meta):
    for call in (pdna.HashIndex.create, pdna.HashIndex.open, pdna.HashIndex.rebuild):
        with pytest.raises(pdna.ArgumentTypeError, match="index_path: got int"):
            call(3, meta)
        with pytest.raises(pdna.ArgumentError, match=r"meta_path: got .*cannot be the name"):
            call("i", "i\0")
        with pytest.raises(pdna.ArgumentTypeError, match="meta_path: got NoneType"):
            call("i", None)
    assert 3 not in pdna.HashIndex.create("i", meta)
    with pytest.raises(pdna.IndexFileError, match="folder that does not exist"):
        pdna.HashIndex.create("i", f"no/{meta}")
    for call in (pdna.HashIndex.open, pdna.HashIndex.rebuild):
        with pytest.raises(pdna.IndexFileError, match=f"{meta}: no such file"):
            call("i", meta)


def test_matches_are_values(files):
    index = pdna.HashIndex.open(*files)
    (first,), (second,) = index.search(HASHES[:1], 1), index.search(HASHES[:1], 1)
    assert {first[0], second[0]} == {first[0]}
    first[0].extra["n"] = "changed"
    assert index.search(HASHES[:1], 1)[0][0].extra == {"n": 0}
    assert repr(index) == f"<HashIndex of 5 items in {files[0]}>"
