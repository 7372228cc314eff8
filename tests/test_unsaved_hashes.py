"""Images that are added: folders and tables too; and what is kept when adding is interrupted."""

import os
import signal
import subprocess
import sys

import index_changes
import pytest
from conftest import JIT_OFF, needs, records_in, wait_for_records, waits_at
from test_folder_sync import draw, names, stopped

import photodna_nb as pdna
from photodna_nb.hashing.hash_journal import HashJournal

__all__ = ["stopped"]  # a fixture
pytestmark = [
    pytest.mark.skipif(JIT_OFF, reason="needs speed"),
    pytest.mark.filterwarnings("ignore::photodna_nb.LowDetailWarning"),
]


@pytest.fixture
def pair(tmp_path):
    return tmp_path / "index.faiss", tmp_path / "meta.json"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "index.faiss.journal"


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        draw(tmp_path / "photos" / f"{i:02}.png", i)
    return tmp_path / "photos"


def interrupted(pair, paths):
    opened = pdna.HashIndex.open if pair[1].exists() else pdna.HashIndex.create
    with opened(*pair) as index, pytest.raises(KeyboardInterrupt):
        index.add(paths, max_workers=1)


def added(pair, paths):
    with pdna.HashIndex.open_or_create(*pair) as index:
        result = index.add(paths, max_workers=1)
        index.save()
        index.verify(compare_content=True)
        return result


def test_an_interrupted_call_goes_on(pair, journal, folder, stopped):
    stopped(9)
    interrupted(pair, [folder])
    assert journal.exists()
    hashed = stopped(10**9)
    with pdna.HashIndex.create(*pair) as index:
        assert len(index.add([folder], max_workers=1).ids) == 12
    kept = 12 - len(hashed)
    assert kept >= 2
    assert journal.exists(), "nothing was saved"
    hashed = stopped(10**9)
    with pdna.HashIndex.create(*pair) as index:
        assert len(index.add(sorted(folder.iterdir())).ids) == 12
        assert hashed == []
        index.save()
    assert not journal.exists()


def test_a_changed_file_is_not_taken_from_the_journal(pair, journal, folder, stopped):
    stopped(9)
    interrupted(pair, [folder])
    draw(folder / "00.png", 100)
    os.utime(folder / "00.png", ns=(10**18, 10**18))
    stopped(10**9)
    with pdna.HashIndex.create(*pair) as index:
        index.add([folder])
        assert (index.get(folder / "00.png").hash == pdna.hash_file(folder / "00.png")).all()


@needs("fork")
def test_a_killed_call_goes_on(pair, journal, folder, stopped):
    def die():
        original = HashJournal.append

        def append(journal, record):
            original(journal, record)
            if record.path.endswith("07.png"):
                os.kill(os.getpid(), signal.SIGKILL)

        HashJournal.append = append
        pdna.HashIndex.create(*pair).add([folder], max_workers=1)

    status = os.waitpid(index_changes.in_a_child(die), 0)[1]
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    hashed = stopped(10**9)
    with pdna.HashIndex.create(*pair) as index:
        index.add([folder])
        index.save()
    assert names(hashed) == ["08.png", "09.png", "10.png", "11.png"]
    assert not journal.exists()


def test_hashes_of_another_interrupted_call_stay(pair, journal, folder, tmp_path, stopped):
    other = [draw(tmp_path / "other" / f"{i}.png", 50 + i) for i in range(3)]
    stopped(9)
    interrupted(pair, [folder])
    stopped(10**9)
    added(pair, other)
    with HashJournal(str(journal)) as records:
        paths = [record.path for record in records.records()]
    assert paths
    assert {os.path.dirname(path) for path in paths} == {str(folder)}
    hashed = stopped(10**9)
    with pdna.HashIndex.open(*pair) as index:
        index.add([folder])
        assert 0 < len(hashed) < 12
        index.save()
    assert not journal.exists()


def test_hashes_that_another_call_appends_before_a_save_stay(pair, journal, folder, tmp_path):
    table = pdna.hash_files([draw(tmp_path / "other.png", 50)], output=tmp_path / "hashes.npz")
    with pdna.HashIndex.create(*pair) as index:
        index.add([folder])
        with (
            HashJournal(f"{tmp_path}/hashes.npz.journal") as other,
            HashJournal(str(journal)) as shared,
        ):
            (record,) = other.records()
            shared.append(record)
        index.save()
    with HashJournal(str(journal)) as records:
        assert [record.path for record in records.records()] == table.paths


def test_a_journal_that_another_program_uses_stays(pair, journal, folder):
    with HashJournal(str(journal)):
        added(pair, [folder])
        assert journal.exists()
    added(pair, [draw(folder / "x.png", 90), draw(folder / "y.png", 91)])
    assert not journal.exists()


@needs("permissions")
def test_a_journal_is_as_private_as_the_metadata(pair, journal, folder, stopped):
    added(pair, [draw(folder / "x.png", 90)])
    os.chmod(pair[1], 0o600)
    stopped(9)
    interrupted(pair, [folder])
    assert journal.stat().st_mode & 0o777 == 0o600


def test_no_journal_without_need(pair, journal, folder, monkeypatch):
    from photodna_nb.index import unsaved_hashes

    def refused(*_):
        raise AssertionError("a journal was opened")

    with monkeypatch.context() as patch:
        patch.setattr(unsaved_hashes, "UnsavedHashes", refused)
        added(pair, [folder / "00.png"])
        added(pair, [folder / "00.png"])
        index = pdna.HashIndex.in_memory()
        assert len(index.add([folder]).ids) == 12
    with pdna.HashIndex.open(*pair) as index:
        (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff")
        index.add([folder / "bad.jpg", folder / "none.jpg"], errors="record")
    assert not journal.exists()


def test_what_needs_no_save_leaves_no_journal(pair, journal, folder):
    added(pair, [folder])
    with pdna.HashIndex.open(*pair) as index:
        assert len(index.add([folder], compare_content=True).skipped) == 12
    assert not journal.exists()


def test_a_file_of_another_kind_is_no_journal(pair, journal, folder):
    journal.write_text("mine\n" * 20)
    with (
        pdna.HashIndex.create(*pair) as index,
        pytest.raises(pdna.TableFileError, match=r"journal: is not a file that begins"),
    ):
        index.add([folder])
    assert journal.read_text("utf-8") == "mine\n" * 20


@needs("signals")
@pytest.mark.long
def test_control_c_on_the_command_line(pair, journal, folder):
    words = ["--faiss-build", *map(str, pair), *map(str, sorted(folder.iterdir())), "--jobs", "1"]
    program = [
        waits_at(
            "photodna_nb.hashing.hash_journal.hash_of_file", "arguments[0].endswith('08.png')"
        ),
        "import runpy; runpy.run_module('photodna_nb', run_name='__main__')",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", "\n".join(program), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_for_records(process, journal, 8)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode not in (0, 1, 2)
    assert b"Traceback" not in errors
    assert 8 <= records_in(journal) < 12
    command = [sys.executable, "-m", "photodna_nb", *words]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.startswith(b"Indexed 12 file(s)")
    assert not journal.exists()


# Folders and tables.


def test_folders_and_tables_are_added(pair, folder, tmp_path, decoded):
    pdna.hash_files([draw(tmp_path / "k" / "1.png", 70)]).save(tmp_path / "known.csv")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden").touch()
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    draw(folder / "below" / "deep.png", 71)
    single = draw(tmp_path / "single.png", 72)
    del decoded[:]
    with pdna.HashIndex.create(*pair) as index:
        first = index.add([single, tmp_path / "known.csv", folder], errors="record")
        assert len(first.ids) == 15
        assert names(failure.path for failure in first.failures) == ["bad.jpg"]
        assert first.other_files == {"hidden": 1, "not an image": 1}
        (label,) = [item.path for item in index.items() if item.record.label]
        assert label == str(tmp_path / "k" / "1.png")
        index.save()
        del decoded[:]
        again = index.add([single, tmp_path / "known.csv", folder], errors="record")
        assert (again.ids, len(again.skipped)) == ([], 15)
        assert names(decoded) == ["bad.jpg", "notes.txt"], "what is unchanged is not opened"
        draw(folder / "below" / "x.png", 73)
        assert index.add([folder], recursive=False, errors="record").ids == []
        assert len(index.add([folder / "below"]).ids) == 1
        with pytest.raises(pdna.ArgumentError, match="extra: needs image files alone"):
            index.add([folder / "below"], extra=[{}])
        (tmp_path / "known.csv").write_text("path,base64\na,b\n")
        with pytest.raises(pdna.FileError, match="known"):
            index.add([tmp_path / "known.csv"])
