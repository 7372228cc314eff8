"""An index that follows folders: what is added, hashed again, removed, kept and remembered."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from indexes import METADATA, edit, write_former_tables
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing import hash_journal
from photodna_nb.index import Synced, folder_sync, index_files
from photodna_nb.index.hash_index import HashIndex

pytestmark = [
    pytest.mark.skipif(JIT_OFF, reason="needs speed"),
    pytest.mark.filterwarnings("ignore::photodna_nb.LowDetailWarning"),
]


@pytest.fixture(params=METADATA)
def pair(request, tmp_path):
    """The two files of an index that is not there yet."""
    return tmp_path / "index.faiss", tmp_path / request.param


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Three pictures, a damaged one, and what is none."""
    top = tmp_path / "photos"
    for name, seed in (("a.png", 1), ("b.png", 2), ("below/c.png", 3)):
        draw(top / name, seed)
    (top / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    (top / "notes.txt").write_text("no picture")
    (top / ".hidden.png").write_bytes(b"")
    return top


def sync(pair, *folders, **options):
    with HashIndex.open_or_create(*pair) as index:
        return index.sync(folders, **options)


def names(paths):
    return sorted(os.path.basename(path) for path in paths)


def paths_in(pair):
    with HashIndex.open(*pair) as index:
        index.verify(compare_content=True)
        return names(item.path for item in index.items())


def touch(path, seconds=5):
    status = os.stat(path)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns + seconds * 10**9))


def content(folder):
    """Return all files below a folder but those of locks, which old versions of filelock touch."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


# What a folder holds.


def test_an_index_follows_a_folder(pair, folder):
    first = sync(pair, folder)
    assert names(first.added) == ["a.png", "b.png", "c.png"]
    assert names(failure.path for failure in first.failures) == ["bad.jpg"]
    assert (first.updated, first.removed, first.kept, first.remembered) == ([], [], [], [])
    assert first.skipped == {"hidden": 1, "not an image": 1}
    assert paths_in(pair) == ["a.png", "b.png", "c.png"]
    before = content(pair[0].parent)

    second = sync(pair, folder)
    assert (second.added, second.updated, second.removed, second.failures) == ([], [], [], [])
    assert (second.unchanged, second.skipped) == (3, first.skipped)
    assert second.remembered == first.failures
    assert content(pair[0].parent) == before, "nothing is written where nothing has changed"

    shutil.copy(folder / "b.png", folder / "a.png")
    touch(folder / "a.png")
    os.unlink(folder / "b.png")
    draw(folder / "below" / "d.png", 4)
    third = sync(pair, folder)
    assert names(third.added) == ["d.png"]
    assert (third.updated, third.removed) == ([str(folder / "a.png")], [str(folder / "b.png")])
    assert third.unchanged == 1
    assert paths_in(pair) == ["a.png", "c.png", "d.png"]
    with HashIndex.open(*pair) as index:
        assert (index.get(folder / "a.png").hash == pdna.hash_file(folder / "a.png")).all()
        assert index._session.rows.rows_on_disk == len(index), "the index file has all of it"


def test_an_index_in_memory_follows_a_folder(folder):
    index = HashIndex.in_memory()
    assert len(index.sync([folder]).added) == 3
    os.unlink(folder / "a.png")
    again = index.sync([folder])
    assert (names(again.removed), again.unchanged, len(again.remembered)) == (["a.png"], 2, 1)
    assert len(index) == 2


def test_a_result_has_a_short_text():
    failures = [("a", "b")] * 1000
    result = Synced(["a"] * 1000, [], [], [], 7, failures, [], {}, 1.0, True)
    text = "1000 added, 0 updated, 0 removed, 7 unchanged, 0 kept, 1000 failed, 0 remembered"
    assert repr(result) == f"<Synced: {text} (dry run)>"


def test_a_dry_run_writes_nothing(pair, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    dry = sync(pair, folder.name, dry_run=True)
    assert names(dry.added) == ["a.png", "b.png", "bad.jpg", "c.png", "notes.txt"]
    assert str(folder / "a.png") in dry.added
    assert (dry.dry_run, pair[0].exists(), pair[1].exists()) == (True, False, False)
    sync(pair, folder)
    before = content(pair[0].parent)
    os.unlink(folder / "a.png")
    touch(folder / "b.png")
    draw(folder / "d.png", 4)
    del before[folder / "a.png"]
    before |= content(folder)
    dry = sync(pair, folder, dry_run=True)
    assert (names(dry.added), names(dry.updated)) == (["d.png"], ["b.png"])
    assert (names(dry.removed), dry.unchanged, len(dry.remembered)) == (["a.png"], 1, 1)
    assert content(pair[0].parent) == before
    assert paths_in_without_check(pair) == ["a.png", "b.png", "c.png"]


def paths_in_without_check(pair):
    with HashIndex.open(*pair) as index:
        return names(item.path for item in index.items())


def test_a_touched_file_is_unchanged_and_hashed_once(pair, folder, decoded):
    sync(pair, folder)
    touch(folder / "a.png")
    del decoded[:]
    again = sync(pair, folder)
    assert (again.unchanged, again.updated, names(decoded)) == (3, [], ["a.png"])
    del decoded[:]
    assert sync(pair, folder).unchanged == 3
    assert decoded == []


def test_content_is_compared_if_asked_for(pair, folder):
    sync(pair, folder)
    status = os.stat(folder / "a.png")
    pixels = np.asarray(Image.open(folder / "a.png"))
    Image.fromarray(pixels[::-1]).save(folder / "a.png")
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes().ljust(status.st_size, b"\0"))
    os.truncate(folder / "a.png", status.st_size)
    os.utime(folder / "a.png", ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert sync(pair, folder).updated == []
    again = sync(pair, folder, compare_content=True)
    assert (names(again.updated), again.unchanged) == (["a.png"], 2)


def test_only_a_folder_itself_is_followed_if_asked_for(pair, folder):
    sync(pair, folder)
    shutil.rmtree(folder / "below")
    os.unlink(folder / "a.png")
    assert names(sync(pair, folder, recursive=False).removed) == ["a.png"]
    assert names(sync(pair, folder).removed) == ["c.png"]


def test_the_files_of_the_index_are_none_of_the_folder(pair, folder, decoded):
    inside = folder / pair[0].name, folder / pair[1].name
    first = sync(inside, folder)
    assert first.skipped == {"hidden": 1, "not an image": 1}
    del decoded[:]
    sync(inside, folder)
    assert decoded == []


# What is removed, and what is not.


def test_items_elsewhere_and_labels_stay(pair, folder, tmp_path):
    outside = draw(tmp_path / "other" / "x.png", 7)
    beside = draw(tmp_path / "photos2" / "y.png", 8)
    with HashIndex.create(*pair) as index:
        index.add([outside, beside])
        index.add([str(folder / "label.png")], np.full((1, 144), 7, np.uint8))
        index.save()
    os.unlink(outside)
    os.unlink(beside)
    assert sync(pair, folder).removed == []
    with HashIndex.open(*pair) as index:
        assert {outside, beside, str(folder / "label.png")} <= {i.path for i in index.items()}


def test_a_folder_that_cannot_be_seen_empties_no_index(pair, folder, tmp_path):
    second = tmp_path / "second"
    draw(second / "e.png", 5)
    sync(pair, folder, second)
    os.rename(folder, tmp_path / "away")
    with pytest.raises(pdna.FileError, match=r"photos: cannot be listed \(No such file"):
        sync(pair, second, folder)
    folder.mkdir()
    (folder / ".lost").touch()
    for allowed in (False, True):
        with pytest.raises(pdna.FileError, match=r"photos: has no files.*--allow-empty"):
            sync(pair, second, folder)
        with pytest.raises(pdna.FileError, match="cannot be listed"):
            sync(pair, second, folder / "missing", allow_empty=allowed)
        with pytest.raises(pdna.FileError, match="cannot be listed"):
            sync(pair, second / "e.png", allow_empty=allowed)
    assert paths_in_without_check(pair) == ["a.png", "b.png", "c.png", "e.png"]
    done = sync(pair, second, folder, allow_empty=True)
    assert names(done.removed) == ["a.png", "b.png", "c.png"]
    assert paths_in(pair) == ["e.png"]


def test_a_folder_below_that_is_empty_may_be_a_disk_that_is_not_mounted(pair, folder):
    draw(folder / "disk" / "deep" / "d.png", 4)
    sync(pair, folder)
    shutil.rmtree(folder / "disk" / "deep")
    (folder / "disk" / ".keep").touch()
    kept = sync(pair, folder)
    assert (kept.removed, names(kept.kept)) == ([], ["d.png"])
    assert names(sync(pair, folder, dry_run=True).kept) == ["d.png"]
    (folder / "disk" / "README").write_text("no disk")
    assert names(sync(pair, folder).removed) == ["d.png"]
    os.unlink(folder / "below" / "c.png")
    assert names(sync(pair, folder).kept) == ["c.png"]
    assert names(sync(pair, folder, allow_empty=True).removed) == ["c.png"]


def test_a_folder_that_became_a_link_to_a_disk_that_is_not_mounted(pair, folder, tmp_path):
    sync(pair, folder)
    disk = tmp_path / "disk"
    shutil.move(folder / "below", disk)
    os.symlink(disk, folder / "below")
    done = sync(pair, folder)
    assert (done.removed, done.kept) == ([], [])
    disk.rename(tmp_path / "elsewhere")
    done = sync(pair, folder)
    assert (done.removed, names(done.kept)) == ([], ["c.png"])
    os.unlink(folder / "below")
    assert names(sync(pair, folder).removed) == ["c.png"]


def test_nothing_below_a_folder_that_cannot_be_listed_is_removed(pair, folder, monkeypatch):
    draw(folder / "below" / "deep" / "d.png", 4)
    draw(folder / "below" / "deep" / "e.png", 5)
    sync(pair, folder)
    os.unlink(folder / "below" / "c.png")
    os.unlink(folder / "below" / "deep" / "d.png")
    os.unlink(folder / "a.png")
    scandir = os.scandir

    def refused(path="."):
        if path in (str(folder / "below"), f"{folder}/below"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        done = sync(pair, folder, allow_empty=True)
    assert (names(done.removed), names(done.kept)) == (["a.png"], ["c.png", "d.png"])
    assert names(failure.path for failure in done.failures) == ["below"]
    assert names(sync(pair, folder).removed) == ["c.png", "d.png"]


@pytest.fixture
def meanwhile(monkeypatch):
    """Have a function called after the folders were walked and before files are hashed."""
    hash_all = folder_sync._HashedFiles.hash

    def happens(function):
        def wrapped(*arguments):
            function()
            hash_all(*arguments)

        monkeypatch.setattr(folder_sync._HashedFiles, "hash", wrapped)

    return happens


def test_a_file_that_comes_back_meanwhile_stays(pair, folder, meanwhile):
    sync(pair, folder)
    os.rename(folder / "a.png", folder / ".away")
    meanwhile(lambda: os.rename(folder / ".away", folder / "a.png"))
    done = sync(pair, folder)
    assert (done.removed, done.kept) == ([], [])
    assert "a.png" in paths_in(pair)


def test_a_folder_that_cannot_be_listed_any_more(pair, folder, meanwhile, monkeypatch):
    sync(pair, folder)
    os.unlink(folder / "a.png")
    os.unlink(folder / "below" / "c.png")
    scandir = os.scandir

    def refused(path="."):
        if path == str(folder):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    meanwhile(lambda: monkeypatch.setattr(os, "scandir", refused))
    done = sync(pair, folder, allow_empty=True)
    assert (names(done.removed), names(done.kept)) == (["c.png"], ["a.png"])


def test_a_disk_that_is_lost_meanwhile_empties_no_index(
    pair, folder, tmp_path, meanwhile, monkeypatch
):
    sync(pair, folder)
    os.unlink(folder / "a.png")
    draw(folder / "new.png", 9)
    meanwhile(lambda: os.rename(folder, tmp_path / "away"))
    done = sync(pair, folder)
    assert (done.removed, names(done.kept)) == ([], ["a.png"])
    assert len(done.failures) == 5
    os.rename(tmp_path / "away", folder)
    monkeypatch.undo()
    again = sync(pair, folder)
    assert (names(again.added), names(again.removed)) == (["new.png"], ["a.png"])
    with HashIndex.open(*pair) as index:
        assert names(index._session.store.unreadable()) == ["bad.jpg", "notes.txt"]


def test_links_lead_to_the_files_that_are_items(pair, folder, tmp_path):
    """A folder by a link, a link to a file elsewhere, and a links to folders, not walked."""
    outside = tmp_path / "outside" / "x.png"
    draw(outside, 7)
    (folder / "link.png").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (tmp_path / "by-link").symlink_to(folder)
    first = sync(pair, tmp_path / "by-link")
    assert (str(tmp_path / "by-link" / "a.png") in first.added, len(first.added)) == (True, 4)
    with HashIndex.open(*pair) as index:
        item = index.get(folder / "a.png")
        assert (item.path, item.name) == (
            str(folder / "a.png"),
            str(tmp_path / "by-link" / "a.png"),
        )
    assert sync(pair, folder).unchanged == 4
    os.unlink(folder / "link.png")
    assert sync(pair, folder).removed == []
    os.rename(folder / "b.png", tmp_path / "outside" / "b.png")
    (folder / "b.png").symlink_to(tmp_path / "outside" / "b.png")
    moved = sync(pair, folder)
    former = str(tmp_path / "by-link" / "b.png")
    assert (moved.added, moved.removed) == ([str(folder / "b.png")], [former])
    with HashIndex.open(*pair) as index:
        assert index.get(tmp_path / "outside" / "b.png").name == str(folder / "b.png")


def test_a_renamed_file_keeps_what_the_user_stored(pair, folder):
    other = draw(folder / "other.png", 9)
    with HashIndex.create(*pair) as index:
        paths = [folder / "a.png", folder / "b.png", other]
        index.add(paths, extra=[{"tag": 1}, {"tag": 2}, {"tag": 3}])
        index.save()
    os.rename(folder / "a.png", folder / "z.png")
    os.rename(other, folder / "b.png")  # in place of another item
    done = sync(pair, folder)
    assert (names(done.added), names(done.updated)) == (["c.png", "z.png"], ["b.png"])
    assert names(done.removed) == ["a.png", "other.png"]
    with HashIndex.open(*pair) as index:
        assert index.get(folder / "z.png").extra == {"tag": 1}
        assert index.get(folder / "b.png").extra == {"tag": 2}
        assert index.get(folder / "below" / "c.png").extra == {}


# What cannot be read is remembered.


def test_unreadable_files_are_tried_once(pair, folder, decoded):
    sync(pair, folder)
    del decoded[:]
    for _ in range(2):
        again = sync(pair, folder)
        assert (names(f.path for f in again.remembered), again.failures) == (["bad.jpg"], [])
        assert "get a complete copy" in again.remembered[0].error
    assert decoded == []
    again = sync(pair, folder, compare_content=True)
    assert (len(again.remembered), again.failures) == (1, [])
    touch(folder / "bad.jpg")
    changed = sync(pair, folder)
    assert (names(f.path for f in changed.failures), changed.remembered) == (["bad.jpg"], [])
    shutil.copy(folder / "a.png", folder / "bad.jpg")
    assert names(sync(pair, folder).added) == ["bad.jpg"]
    shutil.copy(folder / "a.png", folder / "notes.txt")
    os.utime(folder / "notes.txt", ns=(10**18, 10**18))
    assert names(sync(pair, folder).added) == ["notes.txt"]
    with HashIndex.open(*pair) as index:
        assert index._session.store.unreadable() == {}


def test_another_decoder_tries_again(pair, folder, monkeypatch):
    sync(pair, folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**9)
    again = sync(pair, folder)
    assert (len(again.failures), again.remembered) == (1, [])
    assert len(sync(pair, folder).remembered) == 1


def test_a_file_that_is_gone_is_forgotten(pair, folder):
    sync(pair, folder)
    os.unlink(folder / "bad.jpg")
    assert sync(pair, folder).remembered == []
    with HashIndex.open(*pair) as index:
        assert names(index._session.store.unreadable()) == ["notes.txt"]


def test_a_link_to_nothing_is_remembered(pair, folder):
    (folder / "link.png").symlink_to(folder / "later.png")
    assert names(f.path for f in sync(pair, folder).failures) == ["bad.jpg", "link.png"]
    assert len(sync(pair, folder).remembered) == 2
    draw(folder / "later.png", 5)
    assert names(sync(pair, folder).added) == ["later.png"]


def test_a_fault_of_the_system_is_not_remembered(pair, folder, monkeypatch):
    from photodna_nb import files

    opened = files.open_regular

    def refused(path, error_type):
        if str(path).endswith("b.png"):
            raise OSError(5, "Input/output error")
        return opened(path, error_type)

    with monkeypatch.context() as patch:
        patch.setattr(files, "open_regular", refused)
        for _ in range(2):
            failed = sync(pair, folder).failures
            assert "b.png" in names(failure.path for failure in failed)
    assert names(sync(pair, folder).added) == ["b.png"]


def test_a_picture_that_cannot_be_read_any_more_stays(pair, folder):
    """Also one that would be skipped as a document if it were new."""
    os.rename(draw(folder / "d.png", 4), folder / "d")
    assert len(sync(pair, folder).added) == 4
    (folder / "d").write_bytes(b"%PDF-1.7\n")
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "b.png").write_text("")
    os.rename(folder / "below" / "c.png", folder / "below" / "c")
    (folder / "below" / "c.png").write_text("no picture")
    done = sync(pair, folder)
    assert names(f.path for f in done.failures) == ["a.png", "b.png", "c.png", "d"]
    assert (done.removed, len(sync(pair, folder).remembered)) == ([], 5)


def test_what_is_remembered_is_kept_by_all_other_changes(pair, folder, tmp_path):
    sync(pair, folder)
    with HashIndex.open(*pair) as index:
        index.add([draw(tmp_path / "x.png", 7)])
        index.save()
        other = ".json" if pair[1].suffix == ".sqlite" else ".sqlite"
        copy = tmp_path / "copy.faiss", tmp_path / f"copy{other}"
        index.copy_to(*copy).close()
    HashIndex.rebuild(*pair).close()
    for files in (pair, copy):
        assert len(sync(files, folder).remembered) == 1


@needs("names of any bytes")
def test_names_that_are_not_utf8_are_remembered(pair, folder):
    for name in (b"\xff.jpg", b"\xff.png"):
        shutil.copy(folder / "bad.jpg", os.path.join(os.fsencode(folder), name))
    shutil.copy(folder / "a.png", os.path.join(os.fsencode(folder), b"\xff.png"))
    assert len(sync(pair, folder).added) == 4
    again = sync(pair, folder)
    assert (again.unchanged, len(again.remembered)) == (4, 2)
    os.unlink(os.path.join(os.fsencode(folder), b"\xff.png"))
    os.unlink(os.path.join(os.fsencode(folder), b"\xff.jpg"))
    again = sync(pair, folder)
    assert (len(again.removed), len(again.remembered)) == (1, 1)


@pytest.mark.parametrize("value", [7, [7], [["p", 1]], [["p", "1", 2, "", "", ""]], {"p": 1}])
def test_what_no_program_remembered_counts_as_missing(tmp_path, folder, value):
    pair = tmp_path / "index.faiss", tmp_path / "meta.json"
    sync(pair, folder)
    edit(pair[1], lambda document: document.update(unreadable_files=value))
    assert len(sync(pair, folder).failures) == 1
    assert len(sync(pair, folder).remembered) == 1


@pytest.mark.parametrize("value", ["size = 'x'", "reason = NULL", "decoders = x'ff'"])
def test_a_row_that_no_program_wrote_counts_as_missing(tmp_path, folder, value):
    pair = tmp_path / "index.faiss", tmp_path / "meta.sqlite"
    sync(pair, folder)
    with closing(sqlite3.connect(pair[1])) as connection:
        connection.execute(f"UPDATE unreadable SET {value} WHERE path LIKE '%bad.jpg'")
        connection.commit()
    assert len(sync(pair, folder).failures) == 1
    assert len(sync(pair, folder).remembered) == 1


def test_another_program_may_lose_what_is_remembered(tmp_path, folder):
    """`oaphotodna.py` writes the keys that it knows."""
    pair = tmp_path / "index.faiss", tmp_path / "meta.json"
    sync(pair, folder)
    document = json.loads(pair[1].read_text("utf-8"))
    assert [row[0] for row in document["unreadable_files"]] == [
        str(folder / "bad.jpg"),
        str(folder / "notes.txt"),
    ]
    edit(pair[1], lambda document: document.pop("unreadable_files"))
    assert len(sync(pair, folder).failures) == 1


@pytest.mark.parametrize("version", [2, 3])
def test_tables_of_former_versions_are_upgraded(tmp_path, folder, version):
    pair = tmp_path / "index.faiss", tmp_path / "meta.sqlite"
    sync(pair, folder)
    write_former_tables(pair[1], version)
    before = pair[1].read_bytes()
    with HashIndex.open(*pair) as index:
        assert len(index.sync([folder], dry_run=True).remembered) == 0
    assert pair[1].read_bytes() == before, "reading writes nothing"
    again = sync(pair, folder)
    assert (again.unchanged, len(again.failures)) == (3, 1)
    assert len(sync(pair, folder).remembered) == 1
    with closing(sqlite3.connect(pair[1])) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)


# Work in batches.


@pytest.fixture
def stopped(monkeypatch):
    """Have the next call end with Ctrl-C after so many files, and count what is hashed."""
    hashed = []
    original = hash_journal.hash_of_file
    left = [10**9]

    def counted(path):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        result = original(path)
        hashed.append(os.path.basename(path))
        return result

    monkeypatch.setattr(hash_journal, "hash_of_file", counted)

    def after(number):
        del hashed[:]
        left[0] = number
        return hashed

    return after


@pytest.fixture
def many(tmp_path):
    for i in range(40):
        draw(tmp_path / "many" / f"{i:02}.png", i)
    return tmp_path / "many"


@pytest.mark.parametrize("index_type", ["flat", "IVF1,SQ8"])
def test_what_was_hashed_stays_after_an_interruption(pair, many, stopped, index_type):
    hashed = stopped(30)
    with (
        HashIndex.open_or_create(*pair, index_type=index_type) as index,
        pytest.raises(KeyboardInterrupt),
    ):
        index.sync([many], max_workers=1)
    assert len(hashed) == 30
    kept = 1  # of an approximate type, which needs more items, at least one is in the journal
    if index_type == "flat":
        kept = len(paths_in_without_check(pair))
        assert kept >= 1
    hashed = stopped(10**9)
    with HashIndex.open_or_create(*pair, index_type=index_type) as index:
        index.sync([many], max_workers=1)
    assert len(hashed) <= 40 - kept, "what was hashed and handed over is not hashed again"
    assert len(paths_in(pair)) == 40
    assert not (pair[0].parent / "index.faiss.journal").exists()


def test_a_batch_is_seen_by_others_before_the_end(pair, many, monkeypatch):
    monkeypatch.setattr(folder_sync, "_SECONDS_OF_A_BATCH", 0.0)
    monkeypatch.setattr(folder_sync, "_TIMES_OF_A_COMMIT", 0.0)
    monkeypatch.setattr("photodna_nb.index.session._MAX_PENDING", 4)
    seen, pending = [], []
    store = folder_sync._HashedFiles._store

    def noted(hashed):
        seconds = store(hashed)
        with HashIndex.open(*pair) as reader:
            assert len(list(reader.items())) == len(reader)
            seen.append(len(reader))
            pending.append(len(reader) - (reader._session.rows.rows_on_disk or 0))
        return seconds

    monkeypatch.setattr(folder_sync._HashedFiles, "_store", noted)
    sync(pair, many)
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    if pair[1].suffix == ".sqlite":
        assert max(pending) > 10, "the index file is written at the end"
    else:
        assert max(pending) == 0, "other programs read both files"
    with HashIndex.open(*pair) as index:
        assert index._session.rows.rows_on_disk == len(index) == 40
        for i in range(0, 40, 2):
            draw(many / f"{i:02}.png", 100 + i)
            touch(many / f"{i:02}.png")
            os.unlink(many / f"{i + 1:02}.png")
        del pending[:]
        done = index.sync([many])
        assert (len(done.updated), len(done.removed)) == (20, 20)
        assert index._session.rows.rows_on_disk == len(index) == 20
        draw(many / "00.png", 200)
        touch(many / "00.png")
        assert len(index.sync([many]).updated) == 1
        index.verify(compare_content=True)
    with HashIndex.open(*pair) as index:
        assert index._session.rows.rows_on_disk == len(index) == 20


def test_an_index_file_behind_its_metadata_is_written_by_the_next_call(tmp_path, many):
    """As after a kill between batches of updates."""
    pair = tmp_path / "index.faiss", tmp_path / "meta.sqlite"
    sync(pair, many)
    former = pair[0].read_bytes()
    draw(many / "00.png", 100)
    touch(many / "00.png")
    sync(pair, many)
    pair[0].write_bytes(former)
    sync(pair, many)
    with HashIndex.open(*pair) as index:
        assert index.verify().lacking == []
        assert index._session.rows.rows_on_disk == len(index)


# Arguments.


def test_wrong_arguments(pair, folder):
    with HashIndex.open_or_create(*pair) as index:
        with pytest.raises(pdna.ArgumentTypeError, match="put one into a list"):
            index.sync(str(folder))
        with pytest.raises(pdna.ArgumentError, match="folders: got none"):
            index.sync([])
        with pytest.raises(pdna.ArgumentTypeError, match="dry_run: got"):
            index.sync([folder], dry_run="yes")
        with pytest.raises(pdna.ArgumentError, match="max_workers"):
            index.sync([folder], max_workers=0)
        with pytest.raises(pdna.ArgumentError, match="compare_content: needs the files"):
            index.sync([folder], dry_run=True, compare_content=True)
        index.add([folder / "a.png"])
        with pytest.raises(pdna.ArgumentError, match="not saved"):
            index.sync([folder])
    assert not pair[1].exists()


def test_an_index_is_opened_or_created(pair, folder):
    with HashIndex.open_or_create(*pair, index_type="uint8") as index:
        assert (index.index_type, len(index), pair[1].exists()) == ("uint8", 0, False)
        index.sync([folder])
    with HashIndex.open_or_create(*pair) as index:
        assert (index.index_type, len(index)) == ("uint8", 3)
    os.unlink(pair[0])
    with HashIndex.open_or_create(*pair) as index:
        assert (index.index_type, len(index)) == ("uint8", 3)
        index.verify()
    os.unlink(pair[1])
    with pytest.raises(pdna.IndexFileError, match="no such file"):
        HashIndex.open_or_create(*pair)


def test_two_programs_create_one_index(pair, folder, many):
    with HashIndex.open_or_create(*pair) as first, HashIndex.open_or_create(*pair) as second:
        assert len(first.sync([folder]).added) == 3
        assert len(second.sync([many]).added) == 40
        assert len(second) == 43
        second.add([many / "00.png"])
        assert first.sync([folder, many]).unchanged == 43
        first.verify()
    with HashIndex.open_or_create(pair[0].parent / "i2", pair[0].parent / "m2") as index:
        HashIndex.create(pair[0].parent / "i2", pair[0].parent / "m2").save()
        index.add([folder / "a.png"])
        index.save()
        assert len(index) == 1


def test_an_index_is_created_while_another_program_creates_it(pair, folder, many, monkeypatch):
    """The other program writes its files after the look whether they are there."""
    opened = index_files._session

    def after_the_other(*args, **options):
        monkeypatch.undo()
        sync(pair, many)
        return opened(*args, **options)

    monkeypatch.setattr(index_files, "_session", after_the_other)
    with HashIndex.open_or_create(*pair) as index:
        assert len(index.sync([folder]).added) == 3
    assert len(paths_in(pair)) == 43


@pytest.mark.parametrize("names_left", [["NOT_MOUNTED.txt"], ["README", "below/README"]])
def test_a_folder_without_an_image_keeps_its_items(pair, folder, tmp_path, names_left):
    """A disk that is not mounted may leave a file that says so."""
    sync(pair, folder)
    before = paths_in(pair)
    shutil.rmtree(folder)
    for name in names_left:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("the disk is not mounted")
    kept = sync(pair, folder)
    assert (kept.removed, names(kept.kept), paths_in(pair)) == ([], before, before)
    assert names(sync(pair, folder, allow_empty=True).removed) == before


def test_another_type_of_an_index_that_is_there_is_an_error(pair, folder):
    sync(pair, folder)
    with pytest.raises(pdna.ArgumentError, match=r"index_type: got uint8, and .* of the type flat"):
        pdna.HashIndex.open_or_create(*pair, index_type="uint8")
    pdna.HashIndex.open_or_create(*pair, index_type="flat").close()
