"""Which files are written: regular ones of one name, and no more readable than before."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from indexes import HASHES, METADATA, save_index

import photodna_nb as pdna
from photodna_nb import files
from photodna_nb.hashing.hash_journal import HashJournal

pytestmark = pytest.mark.skipif(JIT_OFF, reason="needs speed")


def save_table(path):
    pdna.HashTable(["a"], HASHES[:1], np.zeros(1)).save(path)


def save_pairs(path):
    pdna.write_pairs(path, HASHES[:2], max_distance=3000)


def save_journal(path):
    table = os.path.splitext(path)[0]
    pdna.hash_files([], output=table)


def save_index_file(path):
    with pdna.HashIndex.create(path, path.parent / "m.json", overwrite=True) as index:
        index.add(["/a"], HASHES[:1])
        index.save()


def save_metadata(path):
    with pdna.HashIndex.create(path.parent / "i.faiss", path, overwrite=True) as index:
        index.add(["/a"], HASHES[:1])
        index.save()


def save_review(path):
    table = pdna.HashTable(["a", "b"], HASHES[[0, 0]], np.full(2, np.nan))
    pdna.report.write_review(pdna.duplicates(table), path)


# What writes a file, and a name that it takes.
WRITERS = {
    "review.html": save_review,
    "t.json": save_table,
    "t.csv": save_table,
    "t.npz": save_table,
    "t.parquet": save_table,
    "pairs.npz": save_pairs,
    "pairs.parquet": save_pairs,
    "t.npz.journal": save_journal,
    "index.faiss": save_index_file,
    "meta.json": save_metadata,
    "meta.sqlite": save_metadata,
}


@pytest.fixture(params=WRITERS)
def name(request):
    return request.param


def tree(folder):
    """Names, kinds and content of all that is in a folder, without locks, which stay."""
    return {
        path.name: (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.iterdir()
        if path.suffix != ".lock"
    }


@needs("named pipes")
@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "link to a pipe", "link to null"])
def test_only_regular_files_are_written(tmp_path, name, kind):
    path = tmp_path / name
    other = tmp_path / "other"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        with suppress(PermissionError):
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        if not path.exists():
            pytest.skip("only root makes devices")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link to a pipe":
        os.mkfifo(other)
        path.symlink_to(other)
    else:
        path.symlink_to("/dev/null")
    before = tree(tmp_path)
    with pytest.raises(pdna.FileError, match=r"is a directory; give a|pipe, socket or device; "):
        WRITERS[name](path)
    assert tree(tmp_path) == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@needs("devices")
def test_an_output_through_a_link_to_a_device(call, photos, tmp_path):
    """As root, it replaced the device by a file."""
    link = tmp_path / "t.csv"
    link.symlink_to("/dev/null")
    done = call("--hash-dir", photos, "--output", link)
    assert done.returncode == 1
    assert b"is not a regular file but a pipe, socket or device; give another name" in done.stderr
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_lock_that_is_no_file(tmp_path):
    pair = save_index(tmp_path, HASHES[:2])
    lock, victim = tmp_path / "meta.json.lock", tmp_path / "victim"
    victim.write_text("important")
    lock.unlink()
    lock.symlink_to(victim)
    with pdna.HashIndex.open(*pair) as index:
        with pytest.raises(pdna.IndexFileError, match=r"lock: is no file, but belongs to an index"):
            index.add(["/x"], HASHES[:1])
        assert len(index.search(HASHES[:1], 1)[0]) == 1
    assert victim.read_text("utf-8") == "important"


def test_a_file_with_two_names_is_not_replaced(tmp_path, name):
    """The other name would keep the old content, without a word."""
    path, other = tmp_path / name, tmp_path / "other"
    if name.endswith("journal"):
        return  # it is appended to, under both names
    WRITERS[name](path)
    os.link(path, other)
    before = tree(tmp_path)
    with pytest.raises(pdna.FileError, match="has another name, by a hard link, which would keep"):
        WRITERS[name](path)
    assert tree(tmp_path) == before
    other.unlink()
    WRITERS[name](path)


@pytest.mark.parametrize("meta", METADATA)
@pytest.mark.parametrize("which", [0, 1])
def test_indexes_joined_by_a_hard_link(tmp_path, meta, which):
    """Two names of one file are read, and neither is written before they are one."""
    pair = save_index(tmp_path, HASHES[:5], meta)
    others = [tmp_path / f"other-{path.name}" for path in pair]
    others[1 - which] = pair[1 - which]
    os.link(pair[which], others[which])
    before = tree(tmp_path)
    for paths in (pair, others):
        with pdna.HashIndex.open(*paths) as index:
            assert len(index.search(HASHES[:1], 1)[0]) == 1
            for change in (lambda: index.add(["/x"], HASHES[:1]), lambda: index.remove([1])):
                with pytest.raises(pdna.IndexFileError, match="has another name, by a hard link"):
                    change()
            index.verify()
        with pytest.raises(pdna.IndexFileError, match="has another name, by a hard link"):
            pdna.HashIndex.rebuild(*paths)
    assert tree(tmp_path) == before
    others[which].unlink()
    with pdna.HashIndex.open(*pair) as index:
        index.add(["/x"], HASHES[:1])
        index.save()


@pytest.mark.parametrize("content", [b"notes of mine\n", b'["another program", 1]\n', b"\0" * 40])
def test_a_journal_of_another_program_is_not_appended_to(tmp_path, content):
    (tmp_path / "t.csv.journal").write_bytes(content)
    with pytest.raises(pdna.TableFileError, match="is not a file that begins with"):
        pdna.hash_files([], output=tmp_path / "t.csv")
    assert (tmp_path / "t.csv.journal").read_bytes() == content


@needs("permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604])
def test_no_file_is_more_readable_than_the_one_it_replaces(tmp_path, name, mode, monkeypatch):
    """At no moment: each new file is looked at as soon as it is there, and as it is written."""
    if name.endswith("journal"):
        return
    path = tmp_path / name
    WRITERS[name](path)
    for file in tmp_path.iterdir():  # an index has two
        file.chmod(mode)
    modes = []
    opened, sync = os.open, files._sync

    def look():
        modes.extend(new.stat().st_mode & 0o777 for new in tmp_path.glob(".photodna-nb-*.tmp"))

    def open_and_look(*arguments, **options):
        descriptor = opened(*arguments, **options)
        look()
        return descriptor

    def sync_and_look(file):
        look()
        sync(file)

    monkeypatch.setattr(os, "open", open_and_look)
    monkeypatch.setattr(files, "_sync", sync_and_look)
    before = os.umask(0)
    try:
        WRITERS[name](path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    assert set(modes) <= {0o600, mode}
    assert mode in modes


@needs("permissions")
def test_a_file_that_is_made_private_while_it_is_written(tmp_path):
    path = tmp_path / "t.json"
    path.write_text("old")

    def write(file):
        path.chmod(0o600)
        file.write(b"new")

    files.write([(str(path), write)], pdna.FileError)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


@needs("root")
def test_root_leaves_a_file_with_its_owner(tmp_path):
    path = tmp_path / "t.json"
    path.write_text("old")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    save_table(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o640)


@needs("permissions")
def test_a_group_that_cannot_be_kept_shares_nothing(tmp_path, monkeypatch):
    """The new file is of another group, to which the old one gave no more than to all."""
    path = tmp_path / "t.json"
    path.write_text("old")
    path.chmod(0o664)
    status = path.stat()

    def refused(*_):
        raise PermissionError

    real = os.stat
    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(
        os,
        "stat",
        lambda file, **options: (
            os.stat_result((*status[:5], status.st_gid + 1, *status[6:]))
            if file == str(path)
            else real(file, **options)
        ),
    )
    files.write([(str(path), [b"new"])], pdna.FileError)
    monkeypatch.undo()
    assert path.stat().st_mode & 0o777 == 0o644


@needs("permissions")
def test_a_link_in_place_of_a_new_file_is_not_followed(tmp_path, monkeypatch):
    """Another user of the folder could have root give them any file."""
    path, victim = tmp_path / "t.json", tmp_path / "victim"
    path.write_text("old")
    path.chmod(0o666)
    victim.write_text("important")
    victim.chmod(0o600)

    def write(file):
        (temporary,) = tmp_path.glob(".photodna-nb-*.tmp")
        temporary.unlink()
        temporary.symlink_to(victim)

    with pytest.raises(pdna.FileError, match="cannot be written"):
        files.write([(str(path), write)], pdna.FileError)
    assert victim.stat().st_mode & 0o777 == 0o600
    assert victim.read_text("utf-8") == "important"
    assert path.read_text("utf-8") == "old"


@needs("permissions")
def test_the_journal_of_a_private_table_is_private(tmp_path):
    table = tmp_path / "t.csv"
    save_table(table)
    table.chmod(0o600)
    with HashJournal(f"{table}.journal", like=str(table)):
        assert (tmp_path / "t.csv.journal").stat().st_mode & 0o777 == 0o600


def test_files_are_opened_for_writing_in_one_module():
    """Another module would have a rule of its own. (The cache of kernels may import no other.)"""
    package = Path(files.__file__).parent
    writing = re.compile(
        r"""O_RDWR|os\.open\(|os\.(replace|rename)|mkstemp|NamedTemporaryFile|shutil\.|np\.savez"""
        r"""|\.write_(text|bytes)\(|\.tofile\(|\bopen\([^)]*["'][wax]b?\+?["']"""
    )
    # A device, a member of an open archive, and a descriptor; `files` alone calls `systems`.
    others = re.compile(r"os\.open\(os\.devnull, |archive\.open\(|open\(descriptor, ")
    found = {
        str(source.relative_to(package))
        for source in package.rglob("*.py")
        if writing.search(others.sub("", source.read_text("utf-8")))
    }
    assert found == {"files.py", "kernels/jit.py", "systems.py"}
