"""What a long mode says at its end, and that failures are kept with the hashes."""

import re

import numpy as np
import pytest
from conftest import JIT_OFF, SUMMARY
from PIL import Image

import photodna_nb as pdna
from photodna_nb.cli import images
from photodna_nb.cli.summary import Summary
from photodna_nb.errors import FileError

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")


def summary_of(result) -> str:
    """Return the last line on standard error, without program and seconds."""
    last = result.stderr.decode().splitlines()[-1]
    assert SUMMARY.match(last)
    return re.sub(r"in \d+\.\d s", "in … s", last.removeprefix("photodna-nb: "))


@pytest.fixture
def folder(tmp_path):
    """Two images, and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


def test_the_text_counts_each_kind():
    summary = Summary()
    summary.count({"hashed": 3}, 1, {"hidden": 2, "empty": 0})
    summary.count({"hashed": 1}, 0, {"hidden": 1, "not an image": 4})
    assert summary.text(1.26) == (
        "4 hashed, 7 skipped (3 hidden, 4 not an image), 1 failed, in 1.3 s"
    )
    assert summary.text(0, "5 found").endswith("1 failed, in 0.0 s; 5 found")


def test_rows_of_tables_are_read_and_not_hashed(folder):
    table = pdna.hash_files([folder / "0.png"])
    labels = pdna.HashTable(["a", "b"], table.hashes[[0, 0]], table.detail[[0, 0]])
    mixed = pdna.HashTable.concatenate([table, labels])
    summary = Summary()
    summary.count_table(mixed)
    assert summary.text(0).startswith("1 hashed, 2 read from tables, 0 skipped, 0 failed")


@pytest.mark.parametrize("output", [None, "t.json", "t.npz"])
def test_of_hashes(call, folder, tmp_path, output):
    options = [] if output is None else ["--output", tmp_path / output]
    expected = "2 hashed, 0 skipped, 1 failed, in … s"
    assert summary_of(call("--hash-dir", folder, *options)) == expected
    names = b"\n".join(bytes(path) for path in folder.iterdir())
    assert summary_of(call("--files-from", "-", *options, stdin=names)) == expected


@pytest.mark.parametrize("output", ["t.json", "t.npz"])
def test_hashes_of_an_earlier_call_are_counted_apart(call, folder, tmp_path, output):
    resume = ("--hash-dir", folder, "--output", tmp_path / output, "--resume")
    assert summary_of(call(*resume)) == "2 hashed, 0 skipped, 1 failed, in … s"
    (folder / "2.png").write_bytes((folder / "1.png").read_bytes())
    known = "1 hashed, 2 read from the journal, "
    assert summary_of(call(*resume)) == f"{known}0 skipped, 1 failed, in … s"
    (folder / "2.png").write_bytes((folder / "0.png").read_bytes())
    journal = tmp_path / f"{output}.journal"
    result = call("--duplicates", folder, tmp_path / output, "--cache", journal)
    assert summary_of(result).startswith(f"{known}3 read from tables, 0 skipped")


def test_of_queries(call, folder, tmp_path):
    pair = tmp_path / "i", tmp_path / "m"
    call("--faiss-build", *pair, folder)
    query = ("--faiss-query", *pair)
    assert call(*query, folder / "0.png").stderr == b""
    (folder / "1.png").write_text("text")
    result = call(*query, folder)
    assert summary_of(result) == "1 hashed, 0 skipped, 2 failed, in … s"
    assert summary_of(call(*query, "--files-from", "-")).startswith("0 hashed, 0 skipped, 0 failed")


def test_of_an_index_whose_images_are_hashed_again(call, folder, tmp_path):
    pair = tmp_path / "i", tmp_path / "m"
    call("--faiss-build", *pair, folder)
    (folder / "1.png").unlink()
    result = call("--faiss-verify", *pair, "--compare-content")
    assert summary_of(result) == "1 hashed, 0 skipped, 1 failed, in … s"


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_a_table_has_all_failures(call, folder, tmp_path, monkeypatch, options):
    """Files that are no images, and folders that cannot be listed."""
    real = images.folders.files_in

    def files_in(*arguments, errors, **keywords):
        errors.append(FileError(f"{folder}/locked", "cannot be listed (Permission denied)"))
        return real(*arguments, errors=errors, **keywords)

    monkeypatch.setattr(images.folders, "files_in", files_in)
    result = call("--hash-dir", folder, "--output", tmp_path / "t.npz", *options)
    assert summary_of(result).startswith("2 hashed, 0 skipped, 2 failed")
    table = pdna.HashTable.load(tmp_path / "t.npz")
    assert [path for path, _ in table.failures] == [f"{folder}/locked", f"{folder}/bad.jpg"]
    assert len(table) == 2
