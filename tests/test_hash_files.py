"""Many files: order, errors, executors, and the journal after an interruption."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from conftest import JIT_OFF, ROOT, needs, wait_for_records, waits_at
from PIL import Image

import photodna_nb as pdna
from photodna_nb import files as file_access
from photodna_nb.hashing import images

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same work with or without JIT, but slowly")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Thirty small images, all different."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(8)
    for number in range(30):
        pixels = rng.integers(0, 256, (30 + number, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def expected(files):
    return np.stack([pdna.hash_file(path) for path in files])


def test_threads(files, expected):
    for workers in (None, 1, 2, 7):
        table = pdna.hash_files(files, max_workers=workers)
        assert table.paths == list(map(str, files))
        np.testing.assert_array_equal(table.hashes, expected, strict=True)
        assert table.detail.tolist() == [pdna.detail(Image.open(path)) for path in files]
        assert table.failures == []
    assert len(pdna.hash_files([])) == 0
    assert pdna.hash_files([]).hashes.shape == (0, 144)


@needs("control characters in names")
def test_errors(files, tmp_path):
    bad = tmp_path / "bad\n.jpg"
    bad.write_bytes(b"no image")
    paths = [files[0], bad, files[1], tmp_path / "gone"]
    with pytest.raises(pdna.ImageError, match=r"bad\\n\.jpg: is not an image"):
        pdna.hash_files(paths)
    table = pdna.hash_files(paths, errors="record")
    assert table.paths == [str(files[0]), str(files[1])]
    assert [failure.path for failure in table.failures] == [str(bad), str(tmp_path / "gone")]
    assert table.failures[1].error == "no such file; check the path"
    with pytest.raises(pdna.ArgumentError, match="errors: got 'ignore'"):
        pdna.hash_files(paths, errors="ignore")
    for wrong, kind in ((0, pdna.ArgumentError), (1.5, pdna.ArgumentTypeError)):
        with pytest.raises(kind, match="max_workers: got"):
            pdna.hash_files(paths, max_workers=wrong)
    with pytest.raises(pdna.ArgumentTypeError, match="executor: got int"):
        pdna.hash_files(paths, executor=3)
    assert len(pdna.hash_files(files, max_workers=np.int64(2))) == 30
    for wrong in ("photo.jpg", files[0], b"a", 3, [files[0], None]):
        with pytest.raises(pdna.ArgumentTypeError, match=r"paths: got .*needs"):
            pdna.hash_files(wrong, errors="record")
    for wrong in (tmp_path, tmp_path / "no folder" / "t.csv"):
        with pytest.raises(pdna.PhotodnaError, match=r"suffix|is a directory|cannot be written"):
            pdna.hash_files(["not read"], output=wrong)
    with pytest.raises(pdna.ArgumentError, match="compare_content: got True, needs output"):
        pdna.hash_files(files, compare_content=True)
    strange = [files[0], "a\0b", "a\ud800"]
    for output in (None, tmp_path / "t.npz"):
        table = pdna.hash_files(strange, errors="record", output=output)
        assert [failure.path for failure in table.failures] == strange[1:]
    assert pdna.HashTable.load(output).failures == table.failures


def test_progress(files, capfd):
    pdna.hash_files(files, progress=True)
    assert "30/30" in capfd.readouterr().err
    pdna.hash_files(iter(files), progress=True)
    assert "30 files" in capfd.readouterr().err
    pdna.hash_files(files)
    assert capfd.readouterr().err == ""


def count_reads(monkeypatch):
    """Return a list that grows by each file that is decoded."""
    read = []
    honest = images.read_pixels

    def counted(path):
        read.append(str(path))
        return honest(path)

    monkeypatch.setattr(images, "read_pixels", counted)
    return read


@pytest.mark.parametrize("digest", [False, True])
def test_resume(files, expected, tmp_path, monkeypatch, digest):
    paths = []
    for path in files[:8]:
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(path.read_bytes())
    output = tmp_path / "t.csv"
    read = count_reads(monkeypatch)
    again = {"output": output, "compare_content": digest}
    first = pdna.hash_files(paths[:5], **again)
    assert len(read) == 5
    np.testing.assert_array_equal(pdna.HashTable.load(output).hashes, expected[:5])
    read.clear()
    second = pdna.hash_files(paths, **again)
    assert sorted(read) == list(map(str, paths[5:]))
    np.testing.assert_array_equal(second.hashes, expected[:8])
    assert first.from_journal.tolist() == [False] * 5
    assert second.from_journal.tolist() == [True] * 5 + [False] * 3
    assert second.detail[:5].tolist() == first.detail.tolist()
    read.clear()
    paths[2].write_bytes(files[20].read_bytes())
    status = paths[3].stat()
    os.utime(paths[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    third = pdna.hash_files(paths, **again)
    assert sorted(read) == list(map(str, paths[2 : 3 if digest else 4]))
    assert np.flatnonzero(~third.from_journal).tolist() == ([2] if digest else [2, 3])
    np.testing.assert_array_equal(third.hashes[2], expected[20])
    read.clear()
    np.testing.assert_array_equal(pdna.hash_files(paths, **again).hashes, third.hashes)
    assert read == []


def test_a_digest_sees_what_size_and_time_hide(files, tmp_path):
    path = tmp_path / "a.bmp"
    output = tmp_path / "t.npz"
    images = [np.full((30, 30, 3), 9, np.uint8), np.zeros((30, 30, 3), np.uint8)]
    images[0][5:20, 5:9] = 200
    expected = [pdna.hash_image(image) for image in images]
    hashes = {}
    for digest in (True, False):
        for number, image in enumerate(images):
            Image.fromarray(image).save(path)
            os.utime(path, (1, 1))
            table = pdna.hash_files([path], output=output, compare_content=digest)
            hashes[digest, number] = table.hashes[0].tolist()
    assert hashes[True, 0] == expected[0].tolist()
    assert hashes[True, 1] == expected[1].tolist()
    assert hashes[False, 0] == expected[1].tolist(), "known by size and time"


def test_a_damaged_journal_costs_its_lines_alone(files, tmp_path, monkeypatch):
    output = tmp_path / "t.json"
    pdna.hash_files(files[:6], output=output)
    journal = Path(f"{output}.journal")
    header, *lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    lines[1] = b"junk\n"
    lines[2] = lines[2].replace(b'"hash": "', b'"hash": "A')
    lines[5] = lines[5][:40]  # cut off when the machine stopped
    journal.write_bytes(header + b"".join(lines))
    read = count_reads(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(PIL, "__version__", "1.1.7")
        pdna.hash_files(files[6:7], output=output)
    pdna.hash_files(files[:7], output=output)
    assert sorted(read) == [str(files[i]) for i in (1, 2, 5, 6, 6)], "6: of another Pillow"
    read.clear()
    monkeypatch.chdir(files[0].parent)
    pdna.hash_files([path.name for path in files[:6]], output=output)
    assert read == [], "the same files by other names"
    pdna.hash_files(files[:6], output=output)
    assert read == []
    with pytest.raises(pdna.TableFileError, match="folder is missing"):
        pdna.hash_files(files, output=tmp_path / "no" / "t.json")


@pytest.mark.long
def test_an_altered_byte_of_the_journal_is_never_another_hash(files, tmp_path):
    output = tmp_path / "t.json"
    expected = pdna.hash_files(files[:1], output=output)
    journal = Path(f"{output}.journal")
    header, line = journal.read_bytes().splitlines(keepends=True)
    for place in range(len(line)):
        altered = bytes([line[place] ^ 1])
        journal.write_bytes(header + line[:place] + altered + line[place + 1 :])
        table = pdna.hash_files(files[:1], output=output)
        np.testing.assert_array_equal(table.hashes, expected.hashes)
        assert table.detail.tolist() == expected.detail.tolist()


def test_a_journal_that_cannot_be_written_is_an_error_before_the_work(files, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(file_access, "open_to_append", full)
    read = count_reads(monkeypatch)
    with pytest.raises(pdna.TableFileError, match=r"\.journal: cannot be written \(Read-only"):
        pdna.hash_files(files[:1], output=tmp_path / "t.json")
    assert read == []


def test_a_file_that_is_no_journal_is_not_written_to(files, tmp_path):
    output = tmp_path / "t.json"
    Path(f"{output}.journal").write_text("notes of mine\n")
    with pytest.raises(pdna.TableFileError, match=r"t\.json\.journal: is not a file that begins"):
        pdna.hash_files(files[:1], output=output)
    assert Path(f"{output}.journal").read_text("utf-8") == "notes of mine\n"


@needs("signals")
@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_stopped_and_started_again(tmp_path, monkeypatch, name):
    """By a kill or Ctrl-C in the middle: what the journal holds is not read again."""
    number = getattr(signal, name)
    many = tmp_path / "many"
    many.mkdir()
    big = np.random.default_rng(9).integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(big).save(many / "0.png")
    for name in range(1, 60):  # far more than are hashed ahead of the one that waits
        os.link(many / "0.png", many / f"{name}.png")
    paths = sorted(many.iterdir())
    output = tmp_path / "t.npz"
    condition = f"arguments[0] == {str(paths[30])!r}"
    program = waits_at("photodna_nb.hashing.hash_journal.hash_of_file", condition) + (
        "import photodna_nb as pdna\npdna.hash_files(sys.argv[2:], output=sys.argv[1])"
    )
    command = [sys.executable, "-c", program, str(output), *map(str, paths)]
    journal = Path(f"{output}.journal")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        wait_for_records(process, journal, 30)
        process.send_signal(number)
        _, error = process.communicate()
    assert process.returncode != 0
    if number == signal.SIGINT:
        assert b"KeyboardInterrupt" in error
    assert not output.exists()
    kept = {
        json.loads(line)[1]["path"] for line in journal.read_bytes().splitlines(keepends=True)[1:-1]
    }
    assert 29 <= len(kept) < 60
    read = count_reads(monkeypatch)
    table = pdna.hash_files(paths, output=output)
    assert not kept & set(read)
    assert len(table) == 60
    assert (table.hashes == pdna.hash_image(big)).all()
