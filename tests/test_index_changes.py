"""Files that have changed since they were indexed, the names that users gave, and labels."""

import os
import shutil
import sqlite3

import msgspec
import numpy as np
import pytest
from conftest import JIT_OFF
from indexes import HASHES, METADATA, answered, edit, names, save_index, write_foreign_index
from PIL import Image
from test_cli import failed, text

import photodna_nb as pdna
from photodna_nb import cli
from photodna_nb.item_record import ItemRecord


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


@pytest.fixture
def images(tmp_path):
    """Two files, and a third one with other pixels and the size of the first."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, seed in (("a.bmp", 1), ("b.bmp", 2), ("other.bmp", 3)):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
        Image.fromarray(pixels).resize((96, 64)).save(folder / name)
    return folder


@pytest.fixture
def files(tmp_path, images, meta):
    """An index of both files, saved, with a key of the user's."""
    files = tmp_path / "i.faiss", tmp_path / meta
    with pdna.HashIndex.create(*files) as index:
        index.add([images / "a.bmp", images / "b.bmp"], extra=[{"tag": "a"}, {"tag": "b"}])
        index.save()
    return files


def replace_file(path, other, *, same_time=False):
    """Other content of the same size."""
    status = os.stat(path)
    shutil.copy(other, path)
    assert os.stat(path).st_size == status.st_size
    time = status.st_mtime_ns if same_time else status.st_mtime_ns + 10**9
    os.utime(path, ns=(time, time))


# Changed files.


@pytest.mark.parametrize("index_type", ["flat", "uint8", "HNSW8"])
def test_a_changed_file_is_hashed_again(tmp_path, images, meta, index_type):
    """The case `stale_after_replace`."""
    a, b, other = (images / name for name in ("a.bmp", "b.bmp", "other.bmp"))
    pair = tmp_path / "i.faiss", tmp_path / meta
    with pdna.HashIndex.create(*pair, index_type=index_type) as index:
        index.add([a, b], extra=[{"tag": "a", "n": 1}, {}])
        index.save()
        replace_file(a, other)
        added = index.add([a, b], extra=[{"n": 2}, {}])
        assert added == ([], [str(b)], [], [3], [], {})
        index.save()
    with pdna.HashIndex.open(*pair) as index:
        index.verify()
        assert answered(index, pdna.hash_file(a), 1) == [(3, 0)]
        assert [item.id for item in index.items()] == [2, 3], "an id means one hash"
        item = index.get(a)
        assert item.extra == {"tag": "a", "n": 2}, "what the user stored is kept"
        assert item.record.modified == os.stat(a).st_mtime_ns
        assert index.add([a, b]).skipped == [str(a), str(b)]


def test_unchanged_files_are_not_opened(files, images, monkeypatch):
    def opened(*_):
        raise AssertionError("it was opened")

    with pdna.HashIndex.open(*files) as index:
        monkeypatch.setattr("photodna_nb.hashing.images.read_pixels", opened)
        assert index.add([images / "a.bmp", images / "b.bmp"]).skipped
        found = index.verify()
        assert (found.n_items, found.changed, found.missing) == (2, [], [])


def test_only_the_content_shows_it(files, images):
    """Size and time as before: `compare_content` hashes all files."""
    a = images / "a.bmp"
    replace_file(a, images / "other.bmp", same_time=True)
    with pdna.HashIndex.open(*files) as index:
        assert index.add([a]).skipped == [str(a)]
        assert index.verify().changed == []
        assert index.verify(compare_content=True).changed == [str(a)]
        assert index.add([a], compare_content=True).updated == [3]
        index.save()
        assert index.verify(compare_content=True).changed == []


def test_images_of_low_detail_are_compared_without_a_warning(tmp_path):
    """Warnings are errors here."""
    flat = tmp_path / "flat.png"
    Image.new("L", (160, 160), 9).save(flat)
    index = pdna.HashIndex.in_memory()
    with pytest.warns(pdna.LowDetailWarning):
        index.add([flat])
    found = index.verify(compare_content=True)
    assert (found.n_items, found.changed, found.failures) == (1, [], [])


def test_a_touched_file_is_hashed_once(files, images, monkeypatch):
    """Another time and the same hash: the item keeps its id, and gets the time."""
    a = images / "a.bmp"
    os.utime(a, ns=(10**18, 10**18))
    content = files[0].read_bytes()
    with pdna.HashIndex.open(*files) as index:
        assert index.verify().changed == [str(a)]
        added = index.add([a])
        assert (added.ids, added.updated, added.refreshed) == ([], [], [str(a)])
        index.save()
    assert files[0].read_bytes() == content, "its hashes are the same"
    with pdna.HashIndex.open(*files) as index:
        item = index.get(a)
        assert (item.id, item.record.modified, item.extra) == (1, 10**18, {"tag": "a"})
        assert index.verify().changed == []
        monkeypatch.setattr("photodna_nb.hashing.images.read_pixels", None)
        assert index.add([a]).skipped == [str(a)]


def test_what_is_not_saved_is_not_refreshed(files, images):
    a = images / "a.bmp"
    before = os.stat(a).st_mtime_ns
    os.utime(a, ns=(10**18, 10**18))
    with pdna.HashIndex.open(*files) as index:
        index.add([a])
    with pdna.HashIndex.open(*files) as index:
        assert index.get(a).record.modified == before


def test_items_of_other_programs_are_hashed_once(tmp_path, images):
    """Without size and time, nobody knows whether the file is the one that was hashed."""
    a, b = str(images / "a.bmp"), str(images / "b.bmp")
    files = write_foreign_index(tmp_path, np.stack([pdna.hash_file(a), HASHES[0]]))
    edit(files[1], lambda d: [d["items"][0].update(path=a), d["items"][1].update(path=b)])
    with pdna.HashIndex.open(*files) as index:
        found = index.verify()
        assert (found.n_unknown, found.n_unchecked, found.changed) == (2, 2, [])
        assert index.verify(compare_content=True).changed == [b]
        assert index.add([a, b]) == ([], [a], [], [3], [a], {})
        index.save()
        assert index.verify().n_unknown == 0


def test_a_changed_file_that_cannot_be_hashed(files, images):
    """Its item stays, and verify goes on naming it."""
    a = images / "a.bmp"
    a.write_bytes(b"no image")
    missing = images / "b.bmp"
    missing.unlink()
    with pdna.HashIndex.open(*files) as index:
        added = index.add([a, missing], errors="record")
        assert [path for path, _ in added.failures] == [str(a), str(missing)]
        assert index._session._phase.name == "READING", "nothing was to be locked"
        found = index.verify()
        assert (found.changed, found.missing) == ([str(a)], [str(missing)])
        found = index.verify(compare_content=True)
        assert ([path for path, _ in found.failures], found.missing) == ([str(a)], [str(missing)])
        assert len(index) == 2


def test_given_hashes_of_files(tmp_path, images, meta):
    """The hash that is given counts, and a contradiction is an error."""
    a = str(images / "a.bmp")
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / meta) as index:
        with pytest.raises(pdna.ArgumentError, match=r"a\.bmp is there twice, with two hashes"):
            index.add([a, a], HASHES[:2])
        assert index.add([a], HASHES[:1]).ids == [1]
        assert index.add([a], HASHES[1:2]).updated == [2]
        assert index.get(a).record.size == os.stat(a).st_size
        index.save()
        os.utime(a, ns=(1, 1))
        with pytest.raises(pdna.ArgumentError, match=r"a\.bmp is there twice, with two hashes"):
            index.add([a, a], HASHES[[1, 0]])
        assert index.add([a, a], HASHES[[1, 1]]).refreshed == [a]
        assert [item.id for item in index.items()] == [2]


def test_a_given_hash_leaves_the_detail(files, images):
    a = images / "a.bmp"
    with pdna.HashIndex.open(*files) as index:
        before = index.get(a).record
        os.utime(a, ns=(1, 1))
        index.add([a], index.get(a).hash[None])
        assert index.get(a).record == msgspec.structs.replace(before, modified=1)


# The index and the metadata.


def test_items_that_the_metadata_has_lost(tmp_path):
    """JSON: a program may have removed them; SQLite counts removals, so they are lost."""
    files = save_index(tmp_path, HASHES[:5])
    edit(files[1], lambda document: document["items"].pop(1))
    with pdna.HashIndex.open(*files) as index:
        assert index.verify().lacking == [2]
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite", overwrite=True)
    connection = sqlite3.connect(files[1])
    connection.execute("DELETE FROM items WHERE id = 2")
    connection.execute("UPDATE properties SET value = value - 1 WHERE key = 'change_count'")
    connection.commit()
    connection.close()
    with (
        pdna.HashIndex.open(*files) as index,
        pytest.raises(pdna.IndexFileError, match="lacks item 2, which the index file holds"),
    ):
        index.verify()


def test_what_is_not_compared_is_counted(tmp_path):
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    with pdna.HashIndex.open(*files) as index:
        index.add(["/new"], HASHES[5:6])
        index.save()
        found = index.verify()
        assert (found.n_labels, found.n_pending, found.n_unchecked) == (6, 1, 0)


# Names.


def test_the_name_that_was_given(tmp_path, images, meta):
    """As in a folder of git-annex, whose links point to objects."""
    link = tmp_path / "holiday.bmp"
    link.symlink_to(images / "a.bmp")
    files = tmp_path / "i.faiss", tmp_path / meta
    with pdna.HashIndex.create(*files) as index:
        index.add([link, images / "a.bmp"])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        ((match,),) = index.search(pdna.hash_file(link))
        assert (match.name, match.path) == (str(link), str(images / "a.bmp"))
        assert index.get(link).name == str(link)
        assert index.add([link, images / "a.bmp"]).skipped == [str(images / "a.bmp")] * 2
        os.utime(images / "a.bmp", ns=(1, 1))
        assert index.verify().changed == [str(link)]
        index.add([images / "a.bmp"])
        assert index.get(1).name == str(link), "the first name stays"


def test_names_are_absolute_and_unresolved(tmp_path, images, monkeypatch):
    (tmp_path / "folder").symlink_to(images)
    monkeypatch.chdir(tmp_path)
    index = pdna.HashIndex.in_memory()
    index.add(["folder/a.bmp", "folder/../images/b.bmp", images / "other.bmp"])
    items = list(index.items())
    assert [item.name for item in items] == [
        f"{tmp_path}/folder/a.bmp",
        f"{tmp_path}/folder/../images/b.bmp",
        f"{images}/other.bmp",
    ]
    assert items[2].record.name is None, "nothing is stored twice"


# Labels.


LABELS = [r"C:\case\1.jpg", "1.jpg", "./1.jpg", "/a/../b", "", "nul\0", "new\nline", "\udcff", "猫"]


@pytest.fixture
def table():
    """Two hashes of each label, as two lines of a list."""
    n = len(LABELS)
    detail = np.arange(2.0 * n)
    return pdna.HashTable([*LABELS, *LABELS], HASHES[: 2 * n], detail)


def test_labels_letter_for_letter(tmp_path, meta, table, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = tmp_path / "i.faiss", tmp_path / meta
    with pdna.HashIndex.create(*files) as index:
        assert index.add(table).ids == list(range(1, len(table) + 1))
        index.save()
    with pdna.HashIndex.open(*files) as index:
        items = list(index.items())
        assert [item.path for item in items] == [item.name for item in items] == table.paths
        assert np.array_equal([item.hash for item in items], table.hashes)
        assert [item.record for item in items] == [
            ItemRecord(detail=one, label=True) for one in table.detail
        ]
        assert index.add(table)[:2] == ([], table.paths), "the same hashes are skipped and counted"
        for label in LABELS:
            assert index.get(label).id == LABELS.index(label) + 1
        found = index.verify()
        assert (found.n_labels, found.missing) == (len(table), [])
        assert [item.id for item in index.remove([LABELS[0]])] == [1, len(LABELS) + 1]
        assert index.table().paths == [path for path in table.paths if path != LABELS[0]]


def test_a_loaded_table_has_labels(tmp_path, images, monkeypatch):
    """Although the files are there: who knows whether these are their hashes."""
    monkeypatch.chdir(images)
    pdna.hash_files(["a.bmp"]).save("t.csv")
    index = pdna.HashIndex.in_memory()
    index.add(pdna.HashTable.load("t.csv"))
    assert index.get("a.bmp").record.label
    assert index.get("a.bmp").path == "a.bmp"
    index.add(pdna.hash_files(["a.bmp"]))
    assert [item.path for item in index.items()] == ["a.bmp", str(images / "a.bmp")]


def test_a_label_that_is_the_path_of_a_file(images):
    """Of the same hash it is one item, in whichever order they come."""
    a = str(images / "a.bmp")
    table = pdna.hash_files([a])
    labelled = pdna.HashTable(table.paths, table.hashes, table.detail)
    for first, second in ((table, labelled), (labelled, table)):
        index = pdna.HashIndex.in_memory()
        index.add(first)
        assert index.add(second)[:2] == ([], [a])
    other = pdna.HashTable(table.paths, HASHES[:1], table.detail)
    index.add(other)
    assert len(index) == 2
    assert len(index.remove([a])) == 2


def test_given_hashes_under_names_of_no_file(tmp_path, meta):
    """A list of 2,000 lines with 1,000 names keeps 2,000 hashes."""
    hashes = np.random.default_rng(3).integers(0, 256, (2000, 144), np.uint8)
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / meta)
    added = index.add(names(1000) * 2, hashes)
    assert (len(added.ids), added.skipped) == (2000, [])
    assert np.array_equal(index.table().hashes, hashes)


def test_what_cannot_be_stored(table):
    index = pdna.HashIndex.in_memory()
    half = pdna.HashTable(["\ud800"], HASHES[:1], np.zeros(1))
    with pytest.raises(pdna.ArgumentError, match=r"images.paths\[0\]: got .*surrogate pair"):
        index.add(half)
    with pytest.raises(pdna.ArgumentError, match=r'extra\[0\]: has the key "photodna_nb"'):
        index.add(["/a"], HASHES[:1], extra=[{"photodna_nb": {}}])


# The command line.


@pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")
def test_changed_files_on_the_command_line(call, files, images):
    a, b, other = (images / name for name in ("a.bmp", "b.bmp", "other.bmp"))
    assert text(call("--faiss-verify", *files)).endswith("2 file(s), index type flat\n")
    replace_file(a, other, same_time=True)
    text(call("--faiss-verify", *files))
    (error,) = failed(call("--faiss-verify", *files, "--compare-content"))
    assert error.startswith(f"{a}: has changed since it was indexed; ")
    assert "Added 0 " in text(call("--faiss-add", *files, a))
    printed = text(call("--faiss-add", *files, a, b, "--compare-content"))
    assert printed.splitlines()[1:] == [
        "Updated 1 file(s)", "Skipped 1 file(s) that were indexed already"
    ]  # fmt: skip
    text(call("--faiss-verify", *files, "--compare-content", "--jobs", "1"))
    b.unlink()
    (error,) = failed(call("--faiss-verify", *files))
    assert error.startswith(f"{b}: is missing; ")
    text(call("--faiss-remove", *files, b))
    text(call("--faiss-verify", *files))


@pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")
def test_resume_compares_contents(call, images, tmp_path):
    output = tmp_path / "t.npz"
    resume = ("--hash-dir", images, "--output", output, "--resume", "--compare-content")
    text(call(*resume))
    replace_file(images / "a.bmp", images / "other.bmp", same_time=True)
    text(call(*resume))
    table = pdna.HashTable.load(output)
    assert np.array_equal(table.hashes[0], pdna.hash_file(images / "other.bmp"))
    result = call("--hash-dir", images, "--output", output, "--compare-content")
    assert (result.returncode, b"goes with --resume" in result.stderr) == (2, True)


@pytest.mark.parametrize("meta", METADATA)
def test_verify_names_the_type_of_a_file_that_was_not_written(tmp_path, capsys, meta):
    """As after a kill between the two files of a rebuild."""
    files = save_index(tmp_path, HASHES[:3], meta)
    former = files[0].read_bytes()
    pdna.HashIndex.rebuild(*files, index_type="uint8").close()
    files[0].write_bytes(former)
    assert cli.main(["--faiss-verify", *map(str, files)]) == 0
    assert "the index file still has the type flat; --faiss-rebuild" in capsys.readouterr().out
    with pdna.HashIndex.open(*files) as index:
        assert (index.index_type, index.verify().other_type) == ("uint8", "flat")
        index.add(["/new"], HASHES[4:5])
        index.save()
        assert index.verify().other_type is None
