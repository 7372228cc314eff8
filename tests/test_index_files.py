"""The files of the index: what FAISS and others read, and how damage is met."""

import json
import os
import shutil
import sqlite3
import sys

import faiss
import numpy as np
import pytest
from conftest import needs
from hypothesis import given
from hypothesis import strategies as st
from indexes import (
    EXACT,
    HASHES,
    INDEX_TYPES,
    METADATA,
    answered,
    by_faiss,
    edit,
    in_memory,
    names,
    save_index,
    write_foreign_index,
)

import photodna_nb as pdna
from photodna_nb.index import faiss_file, json_store
from photodna_nb.index.faiss_file import RowSegment
from photodna_nb.kernels.json_text import parse_hashes


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


# What FAISS writes and reads.


@pytest.mark.parametrize("index_type", EXACT)
@pytest.mark.parametrize("size", [0, 1, 30])
def test_content_is_what_faiss_writes(index_type, size):
    """A new FAISS that writes another format must be noticed."""
    ids = np.sort(np.random.default_rng(size).permutation(100)[:size])
    parts = [
        RowSegment.of(rows, some)
        for rows, some in zip(np.array_split(HASHES[:size], 3), np.array_split(ids, 3), strict=True)
    ]
    content = b"".join(faiss_file.content(index_type, parts))
    assert content == faiss.serialize_index(by_faiss(HASHES[:size], ids, index_type)).tobytes()


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_faiss_reads_what_is_written(tmp_path, index_type, meta):
    files = save_index(tmp_path, HASHES, meta, index_type)
    with pdna.HashIndex.open(*files) as opened:
        assert opened.index_type == index_type
        for index in (faiss.read_index(str(files[0])), opened.to_faiss()):
            assert (index.d, index.ntotal, index.metric_type) == (144, 30, faiss.METRIC_L2)
            squared, ids = index.search(HASHES.astype(np.float32), 1)
            assert ids.ravel().tolist() == list(range(1, 31))
            assert not squared.any()


def test_to_faiss_has_what_was_not_saved():
    for index_type in INDEX_TYPES:
        index = in_memory(HASHES, index_type, pieces=3).to_faiss()
        assert index.ntotal == 30
    assert isinstance(in_memory(HASHES[:0]).to_faiss(), faiss.IndexIDMap2)


def test_files_of_this_package_open_elsewhere(tmp_path):
    """What a reader that trusts FAISS and the JSON module finds."""
    files = save_index(tmp_path, HASHES[:5])
    index = faiss.read_index(str(files[0]))
    assert isinstance(index, faiss.IndexIDMap2)
    assert isinstance(faiss.downcast_index(index.index), faiss.IndexFlatL2)
    assert faiss.vector_to_array(index.id_map).tolist() == [1, 2, 3, 4, 5]
    meta = json.loads(files[1].read_text("utf-8"))
    assert {key: meta[key] for key in ("dimension", "metric", "similarity_metric", "next_id")} == {
        "dimension": 144,
        "metric": "squared_l2",
        "similarity_metric": "normalized_euclidean",
        "next_id": 6,
    }
    for number, item in enumerate(meta["items"]):
        assert set(item) == {"id", "path", "hash", "extra"}
        assert item["hash"] == HASHES[number].tolist()


def test_foreign_keys_survive(tmp_path, meta):
    """Of the document and of an item, through both kinds of metadata."""
    files = write_foreign_index(tmp_path, HASHES[:2])

    def change(document):
        document["note"] = "mine"
        document["items"][1] |= {"extra": {"tag": ["x"]}, "label": 7}

    edit(files[1], change)
    before = json.loads(files[1].read_text("utf-8"))
    with pdna.HashIndex.open(*files) as index:
        index.add(["/a"], HASHES[2:3])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        index.remove(["/a"])
        index.save()
        index.copy_to(tmp_path / "i2", tmp_path / f"copy-{meta}").close()
    with pdna.HashIndex.open(tmp_path / "i2", tmp_path / f"copy-{meta}") as copied:
        copied.copy_to(tmp_path / "i3", tmp_path / "m3").close()
    before["next_id"] = 4
    for path in (files[1], tmp_path / "m3"):
        after = json.loads(path.read_text("utf-8"))
        assert after.pop("checksums_below") == 4
        for item in after["items"]:
            assert set(item["extra"].pop("photodna_nb")) == {"checksum"}
        assert after == before


def test_a_path_that_no_file_can_have(tmp_path):
    """Another program's JSON may hold half of a surrogate pair."""
    files = write_foreign_index(tmp_path, HASHES[:2])
    edit(files[1], lambda document: document["items"][1].update(path="\ud800"))
    with pdna.HashIndex.open(*files) as index:
        index.copy_to(tmp_path / "i2", tmp_path / "m.sqlite").close()
    with pdna.HashIndex.open(tmp_path / "i2", tmp_path / "m.sqlite") as index:
        assert len(list(index.items())) == 2


# Numbers in JSON.


def texts_of(values):
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    "text",
    [
        texts_of(list(range(144))),
        texts_of([0] * 144).replace(b" ", b""),
        texts_of([255] * 144).replace(b", ", b" \n\t\r, "),
        b"[ " + texts_of([7] * 144)[1:-1] + b" ]",
        b"",
        b"[]",
        b"[",
        texts_of([7] * 143),
        texts_of([7] * 145),
        texts_of([7] * 144)[:-1],
        texts_of([7] * 144)[:-1] + b",]",
        texts_of([7] * 144) + b" ",
        texts_of([256] + [7] * 143),
        texts_of([7] * 143 + [256]),
        texts_of([-1] + [7] * 143),
        texts_of([2**32 + 7] + [7] * 143),
        texts_of([2**64 + 7] + [7] * 143),
        texts_of([1.0] + [7] * 143),
        texts_of([None] + [7] * 143),
        texts_of([True] + [7] * 143),
        texts_of(["7"] + [7] * 143),
        texts_of([[7]] + [7] * 143),
        b"[00007," + texts_of([7] * 143)[1:],
        b"[1 2," + texts_of([7] * 143)[1:],
        b"[," + texts_of([7] * 143)[1:],
        b'"' + texts_of([7] * 144) + b'"',
        b"null",
        b"{}",
        b"-0",
        b"[-0," + texts_of([7] * 143)[1:],
        b"[1e0," + texts_of([7] * 143)[1:],
        b"[\x0b7," + texts_of([7] * 143)[1:],
        b"[\x007," + texts_of([7] * 143)[1:],
        b"[\xa07," + texts_of([7] * 143)[1:],
    ],
)
def test_hashes_are_read_as_the_standard_library_reads_them(tmp_path, text):
    """The fast road may decline a text, but never read another value or other files."""
    out = np.full((1, 144), 99, np.uint8)
    read = parse_hashes(np.frombuffer(text, np.uint8), out)
    if read and b"\x0b" not in text and b"0000" not in text:  # msgspec refuses these two
        assert out[0].tolist() == json.loads(text)
    content = b'{"next_id": 2, "items": [{"id": 1, "path": "/a", "hash": %s}]}' % text

    def values(decode):
        try:
            return decode("m", content)
        except pdna.IndexFileError as error:
            return str(error)

    fast = values(lambda *known: json_store._decode(*known)[0].hashes.tolist())
    assert fast == values(lambda *known: json_store._decode_any(*known)[1].hashes.tolist())


@given(st.lists(st.lists(st.integers(0, 255), min_size=144, max_size=144), max_size=4))
def test_many_hashes_are_read(rows):
    text = b"".join(map(texts_of, rows))
    out = np.empty((len(rows), 144), np.uint8)
    assert parse_hashes(np.frombuffer(text, np.uint8), out)
    assert out.tolist() == rows
    assert not parse_hashes(np.frombuffer(text, np.uint8), np.empty((len(rows) + 1, 144), np.uint8))
    if rows:
        assert not parse_hashes(np.frombuffer(text, np.uint8), out[1:])


@pytest.mark.parametrize(
    "extra",
    [
        b'{"a": "\xff"}',
        b'{"a": "\x01"}',
        b'{"a": "\\q"}',
        b'{"a": 01}',
        b'{"a": %s}' % (b"[" * 10**5 + b"]" * 10**5),
        pytest.param(
            b'{"a": %s}' % (b"[" * 990 + b"]" * 990),
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="it can be read there"),
        ),
        b'{"a": %s}' % (b"1" * 5000),
        b"[]",
        b"3",
    ],
)
def test_what_no_extra_may_be(tmp_path, extra):
    """Found when the item is asked for, or before."""
    content = b'{"next_id": 2, "items": [{"id": 1, "path": "/a", "hash": %s, "extra": %s}]}'
    (tmp_path / "m").write_bytes(content % (texts_of([7] * 144), extra))

    def ask():
        with pdna.HashIndex.rebuild(tmp_path / "i", tmp_path / "m") as index:
            index.verify()

    with pytest.raises(pdna.IndexFileError, match=r"m: .*(JSON|extra).*backup"):
        ask()


# An index that is not of the moment of its metadata.


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_an_index_that_lags_is_completed(tmp_path, meta, index_type):
    """As a program leaves it that is killed between the two files."""
    files = save_index(tmp_path, HASHES[:5], meta, index_type)
    older = files[0].read_bytes()
    with pdna.HashIndex.open(*files) as index:
        index.remove([2])
        index.add(["/a"], HASHES[5:6])
        index.save()
    files[0].write_bytes(older)
    with pdna.HashIndex.open(*files) as index:
        assert [item.id for item in index.items()] == [1, 3, 4, 5, 6]
        assert answered(index, HASHES[1], 1, max_distance=0) == []
        assert answered(index, HASHES[5], 1) == [(6, 0)]
        index.verify()
        index.add(["/b"], HASHES[6:7])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[6], 1) == [(7, 0)]
        index.verify()


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_a_database_spares_the_index_file(tmp_path, index_type):
    """Few additions are in the database alone; other changes are in both files."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite", index_type)
    before = files[0].read_bytes()
    for i in (5, 6):
        with pdna.HashIndex.open(*files) as index:
            index.add([f"/{i}"], HASHES[i : i + 1])
            index.save()
            assert files[0].read_bytes() == before
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[6], 1) == [(7, 0)]
        index.verify()
        index.remove([1])
        index.save()
    assert files[0].read_bytes() != before
    assert faiss.read_index(str(files[0])).ntotal == 6


def test_many_additions_are_written_to_the_index_file(tmp_path):
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    rows = np.random.default_rng(1).integers(0, 256, (1100, 144), np.uint8)
    with pdna.HashIndex.open(*files) as index:
        for start in (0, 550):
            index.add(names(550, 10 + start), rows[start : start + 550])
            index.save()
    assert faiss.read_index(str(files[0])).ntotal == 1105


def test_json_goes_with_an_index_that_has_all_items(tmp_path):
    """The reference reads both."""
    files = save_index(tmp_path, HASHES[:5])
    with pdna.HashIndex.open(*files) as index:
        index.add(["/a"], HASHES[5:6])
        index.save()
    assert faiss.read_index(str(files[0])).ntotal == 6


def test_an_index_in_another_order(tmp_path):
    """FAISS takes ids in any order, and other programs give them so."""
    order = [0, 2, 1, 3]
    files = write_foreign_index(tmp_path, HASHES[:4])
    ids = np.array(order) + 1
    faiss.write_index(by_faiss(HASHES[order], ids), str(files[0]))
    with pdna.HashIndex.open(*files) as index:
        assert [answered(index, HASHES[i], 1) for i in range(4)] == [[(i + 1, 0)] for i in range(4)]
        index.verify()
    faiss.write_index(by_faiss(HASHES[:4], ids), str(files[0]))  # other hashes under the same ids
    with pytest.raises(pdna.IndexFileError, match="hashes differ, of id 3"):
        pdna.HashIndex.open(*files)


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_metadata_from_an_older_backup_is_refused(tmp_path, meta, index_type):
    files = save_index(tmp_path, HASHES[:5], meta, index_type)
    shutil.copy(files[1], tmp_path / "backup")
    reader = pdna.HashIndex.open(*files)
    with pdna.HashIndex.open(*files) as index:
        index.add(["/a"], HASHES[5:6])
        index.remove([1])
        index.save()
    assert len(list(reader.items())) == 5
    shutil.copy(tmp_path / "backup", files[1])
    for call in (lambda: pdna.HashIndex.open(*files), lambda: reader.search(HASHES[:1])):
        with pytest.raises(pdna.IndexFileError, match=r"newer than|not belong.*--faiss-rebuild"):
            call()
    with pdna.HashIndex.rebuild(*files) as index:
        assert answered(index, HASHES[0], 1) == [(1, 0)]
        assert len(index) == 5
    assert answered(reader, HASHES[0], 1) == [(1, 0)]


def test_an_index_of_another_history(tmp_path):
    """Same numbers of changes, from the same backup, and other items."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    shutil.copy(files[1], tmp_path / "backup")

    def change(row):
        with pdna.HashIndex.open(*files) as index:
            index.add(["/a"], HASHES[row : row + 1])
            index.remove([1])
            index.save()

    change(5)
    shutil.copy(files[0], tmp_path / "first")
    shutil.copy(tmp_path / "backup", files[1])
    pdna.HashIndex.rebuild(*files).close()
    change(6)
    shutil.copy(tmp_path / "first", files[0])
    with pytest.raises(pdna.IndexFileError, match="hashes differ, of id 6"):
        pdna.HashIndex.open(*files)


# What is replaced, and what is not.


@needs("named pipes")
def test_nothing_but_an_index_is_ever_replaced(files, tmp_path):
    index_path, meta_path = files
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff and the rest")
    package, text = tmp_path / "package.json", tmp_path / "text"
    package.write_text('{"name": "something else"}')
    text.write_text("Ix is how this text begins")
    os.mkfifo(tmp_path / "fifo")
    os.link(meta_path, tmp_path / "hardlink")
    (tmp_path / "symlink").symlink_to(meta_path)
    mine = (index_path, meta_path, photo, package, text)
    before = {path: path.read_bytes() for path in mine}
    rebuild, create = pdna.HashIndex.rebuild, pdna.HashIndex.create
    for same in (meta_path, tmp_path / "hardlink", tmp_path / "symlink"):
        for call in (
            lambda s: rebuild(s, meta_path),
            lambda s: create(s, meta_path, overwrite=True),
        ):
            with pytest.raises(pdna.ArgumentError, match="same file twice"):
                call(same)
    for other in (photo, package, text, tmp_path / "fifo", tmp_path):
        for call in (
            lambda o: rebuild(o, meta_path),
            lambda o: create(o, "m", overwrite=True),
            lambda o: create("i", o, overwrite=True),
        ):
            with pytest.raises(pdna.IndexFileError, match=r"no file of an index|pipe|directory"):
                call(other)
    assert {path: path.read_bytes() for path in before} == before


def test_a_database_of_another_program_is_not_replaced(tmp_path):
    files = tmp_path / "i", tmp_path / "photos.db"
    connection = sqlite3.connect(files[1])
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = files[1].read_bytes()
    with pytest.raises(pdna.IndexFileError, match="is no file of an index"):
        pdna.HashIndex.create(*files, overwrite=True)
    for call in (pdna.HashIndex.open, pdna.HashIndex.rebuild):
        with pytest.raises(pdna.IndexFileError, match="database of another program"):
            call(*files)
    assert files[1].read_bytes() == before


@needs("named pipes", "devices")
def test_no_file_is_waited_for(tmp_path, meta):
    files = save_index(tmp_path, HASHES[:5], meta)
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tmp_path / f"fifo-{meta}")
    for pair in ((tmp_path / "fifo", files[1]), (files[0], tmp_path / f"fifo-{meta}")):
        with pytest.raises(pdna.IndexFileError, match="pipe, socket or device"):
            pdna.HashIndex.open(*pair)
    with pytest.raises(pdna.IndexFileError, match="pipe, socket or device"):
        pdna.HashIndex.open(files[0], "/dev/zero")


def test_a_write_protected_file_is_not_replaced(files, monkeypatch):
    before = [path.read_bytes() for path in files]
    index = pdna.HashIndex.open(*files)
    index.remove([1])
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(pdna.IndexFileError, match=r"faiss: cannot be written .*protected"):
        index.save()
    assert [path.read_bytes() for path in files] == before


@needs("permissions")
def test_permissions_and_links_stay(files, tmp_path):
    files[0].chmod(0o640)
    files[1].chmod(0o604)
    link = tmp_path / f"link-{files[1].name}"
    link.symlink_to(files[1])
    with pdna.HashIndex.open(files[0], link) as index:
        index.add(["/x"], HASHES[:1])
        index.remove([1])
        index.save()
    assert files[0].stat().st_mode & 0o777 == 0o640
    assert files[1].stat().st_mode & 0o777 == 0o604
    assert link.is_symlink()
    assert len(pdna.HashIndex.open(*files)) == 5
