"""What is dropped is gone at once: no error and no frame keeps it until garbage is collected."""

import gc
import time
import types
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF
from indexes import HASHES, METADATA, save_index

import photodna_nb as pdna
from photodna_nb import files
from photodna_nb.index import writer_lock

pytestmark = pytest.mark.skipif(JIT_OFF, reason="needs speed")
EMPTY = pdna.HashTable([], HASHES[:0], np.zeros(0))
PACKAGE = str(Path(files.__file__).parent)


@pytest.fixture
def no_collection():
    gc.collect()
    gc.freeze()  # what is there already is not looked through again
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def frames():
    """Frames of the package that something refers to."""
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, types.FrameType) and each.f_code.co_filename.startswith(PACKAGE)
    ]


@pytest.mark.parametrize("meta", METADATA)
@pytest.mark.parametrize("replaced", [True, False])
def test_an_index_that_is_dropped_releases_its_lock(
    tmp_path, meta, replaced, monkeypatch, no_collection
):
    monkeypatch.setattr(writer_lock, "LOCK_TIMEOUT_SECONDS", 0)
    monkeypatch.setattr(gc, "collect", lambda: None)
    if replaced:
        save_index(tmp_path, HASHES[:3], meta)
    for _ in range(3):
        index = pdna.HashIndex.create(tmp_path / "index.faiss", tmp_path / meta, overwrite=True)
        index.add(["/a", "/b"], HASHES[:2])
        assert len(index.search(HASHES[:1], 1)[0]) == 1
        del index


def test_an_index_in_a_reference_cycle_is_not_waited_for(tmp_path, monkeypatch, no_collection):
    monkeypatch.setattr(writer_lock, "LOCK_TIMEOUT_SECONDS", 0)
    pair = save_index(tmp_path, HASHES[:3])
    for _ in range(2):
        index = pdna.HashIndex.open(*pair)
        index.add(["/a"], HASHES[5:6])
        cycle = [index]
        cycle.append(cycle)
        del index, cycle


def broken(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def open_metadata(name, content):
    return lambda folder: pdna.HashIndex.open(
        save_index(folder, HASHES[:2])[0], broken(folder, f"other-{name}", content)
    )


def changed_by(change):
    def run(folder):
        pair = save_index(folder, HASHES[:3])
        with pdna.HashIndex.open(*pair) as index:
            change(index)

    return run


# Calls that fail, each for a reason of its own.
FAILURES = {
    "no such image": lambda folder: pdna.hash_file(folder / "none.png"),
    "no image": lambda folder: pdna.hash_file(broken(folder, "a.png", b"no image")),
    "images": lambda folder: pdna.hash_files([broken(folder, "a.png", b"no image")] * 3),
    "wrong type": lambda _: pdna.distance(1, 2),
    "no such table": lambda folder: pdna.HashTable.load(folder / "none.csv"),
    "damaged csv": lambda folder: pdna.HashTable.load(broken(folder, "t.csv", b"path,base64\na,b")),
    "damaged npz": lambda folder: pdna.HashTable.load(broken(folder, "t.npz", b"PK\3\4")),
    "damaged json": lambda folder: pdna.HashTable.load(broken(folder, "t.json", b"{")),
    "damaged parquet": lambda folder: pdna.HashTable.load(broken(folder, "t.parquet", b"PAR1")),
    "no folder": lambda folder: pdna.HashTable([], HASHES[:0], np.zeros(0)).save(
        folder / "a/t.csv"
    ),
    "a foreign journal": lambda folder: pdna.hash_files(
        [], output=broken(folder, "t.csv.journal", b"x" * 99).with_suffix("")
    ),
    "damaged index": lambda folder: pdna.HashIndex.open(
        broken(folder, "i.faiss", b"Ix" * 200), save_index(folder, HASHES[:2])[1]
    ),
    "missing index": lambda folder: pdna.HashIndex.open(
        folder / "none", save_index(folder, HASHES[:2])[1]
    ),
    "damaged metadata": open_metadata("m.json", b"{"),
    "metadata of another type": open_metadata("m.json", b'{"items": [], "metric": "cosine"}'),
    "damaged database": open_metadata("m.sqlite", b"SQLite format 3\0" + bytes(2000)),
    "no database": open_metadata("m.sqlite", b"x" * 2000),
    "no such item": changed_by(lambda index: index.remove([17])),
    "an image that is none": changed_by(lambda index: index.add(["/none.jpg"])),
    "hashes of another type": changed_by(lambda index: index.add(["/a"], HASHES[:1] / 2)),
    "a bad limit": changed_by(lambda index: index.search(HASHES[:1], 0)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_keeps_no_frame_alive(tmp_path, name, no_collection):
    """The traceback of an error has frames, and they have the frames of all callers."""
    with suppress(pdna.PhotodnaError):
        FAILURES[name](tmp_path)  # what a first call imports and compiles leaves frames
    gc.collect()
    before = len(frames())
    try:
        FAILURES[name](tmp_path)
    except pdna.PhotodnaError:
        failed = True
    assert failed
    end = time.monotonic() + 100  # a thread may still be at work on another image
    while len(frames()) != before and time.monotonic() < end:
        time.sleep(0.01)
    assert len(frames()) == before, frames()
