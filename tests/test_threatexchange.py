"""The signal type of ThreatExchange, alone and through its command `tx`."""

import copy
import io
import os
import pickle
import pickletools
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT, needs
from PIL import Image

import photodna_nb as pdna
from photodna_nb.tables.hash_text import FORMS

pytest.importorskip("threatexchange")  # of the extra `threatexchange`
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    from photodna_nb.integrations.threatexchange import (
        TX_MANIFEST,
        HashDistance,
        PhotodnaIndex,
        PhotodnaSignal,
    )

PICTURES = ROOT / "data" / "pictures"
PAGE = ROOT / "docs" / "threatexchange.md"
MODULE = "photodna_nb.integrations.threatexchange"
RNG = np.random.default_rng(19)
HASHES = RNG.integers(0, 256, (40, 144), np.uint8)
# Neighbours of the first hash at squared distances of 9,999, 10,000, 10,001 and 4.
OFFSETS = ((99, 14, 1, 1), (100, 0, 0, 0), (100, 1, 0, 0), (2, 0, 0, 0))
HASHES[0] = 50
HASHES[1:5] = 50
HASHES[1:5, :4] += np.array(OFFSETS, np.uint8)
TEXTS = [FORMS["base64"](row) for row in HASHES]


class OrientedIndex(PhotodnaIndex):
    MAX_DISTANCE = 20
    ORIENTATIONS = True


class OrientedSignal(PhotodnaSignal):
    INDEX = OrientedIndex


def answer(index, query):
    return [(match.metadata, match.similarity_info.distance) for match in index.query(query)]


def expected(texts, query, limit=100):
    """By comparison with each hash, nearest first."""
    compared = [(i, PhotodnaSignal.compare_hash(text, query, limit)) for i, text in texts]
    found = [(i, result.distance.distance) for i, result in compared if result.match]
    return sorted(found, key=lambda one: one[1])


def test_a_signal_is_a_text_of_the_hash():
    assert TX_MANIFEST.signal_types == (PhotodnaSignal,)
    assert PhotodnaSignal.get_name() == "photodna"
    assert PhotodnaSignal.get_index_cls() is PhotodnaIndex
    assert [one.get_name() for one in PhotodnaSignal.get_content_types()] == ["photo"]
    path = PICTURES / "harbour.jpg"
    text = FORMS["base64"](pdna.hash_file(path))
    assert PhotodnaSignal.hash_from_file(path) == text
    assert PhotodnaSignal.hash_from_bytes(path.read_bytes()) == text
    names = ("harbour", "harbour_recompressed", "mountains")
    examples = [PhotodnaSignal.hash_from_file(PICTURES / f"{name}.jpg") for name in names]
    assert PhotodnaSignal.get_examples() == examples
    signal = PhotodnaSignal.get_random_signal()
    assert PhotodnaSignal.validate_signal_str(signal) == signal
    assert PhotodnaSignal.get_random_signal() != signal


def test_signals_are_validated():
    for form in ("base64", "hex", "integers"):
        assert PhotodnaSignal.validate_signal_str(FORMS[form](HASHES[7])) == TEXTS[7]
    assert PhotodnaSignal.validate_signal_str(f" {TEXTS[7]}\n") == TEXTS[7]
    zeros = FORMS["base64"](np.zeros(144, np.uint8))
    with pytest.raises(pdna.ArgumentError, match=r"^signal_str: '' has no hash"):
        PhotodnaSignal.validate_signal_str("")
    for wrong in ("", "AAAA", TEXTS[7][:-1], TEXTS[7] + "AAAA", "f" * 64, zeros):
        with pytest.raises(pdna.ArgumentError, match=r"^signal_str: "):
            PhotodnaSignal.validate_signal_str(wrong)
        with pytest.raises(pdna.ArgumentError, match=r"^signal_str: "):
            PhotodnaIndex().add(wrong, 1)
    with pytest.raises(pdna.ArgumentTypeError, match="signal_str: got bytes, needs a text"):
        PhotodnaSignal.validate_signal_str(TEXTS[7].encode())
    with pytest.raises(pdna.ArgumentError) as e:
        PhotodnaSignal.validate_signal_str("\x1b[31m" + "x" * 10_000)
    assert len(str(e.value)) < 300
    assert str(e.value).isprintable()


def test_the_threshold_is_inclusive_and_exact():
    results = [PhotodnaSignal.compare_hash(TEXTS[0], text) for text in TEXTS[:6]]
    assert [bool(one.match) for one in results] == [True, True, True, False, True, False]
    squared = [round(one.distance.distance**2) for one in results[:5]]
    assert squared == [0, 9999, 10_000, 10_001, 4]
    assert results[4].distance == HashDistance(2.0)
    assert results[4].distance.pretty_str() == "2.0000"
    assert results[4].distance < results[1].distance
    assert PhotodnaSignal.compare_hash(TEXTS[0], TEXTS[3], 100.005).match
    assert not PhotodnaSignal.compare_hash(TEXTS[0], TEXTS[4], 1.99).match


@pytest.mark.parametrize("rows_at_once", [7, 1 << 14])
def test_the_index_grows_and_is_exact(monkeypatch, rows_at_once):
    monkeypatch.setattr(sys.modules[MODULE], "_ROWS_AT_ONCE", rows_at_once)
    index, texts = PhotodnaIndex(), list(enumerate(TEXTS))
    assert index.query(TEXTS[0]) == []
    for row, text in texts[:20]:
        index.add(text, row)
    assert answer(index, TEXTS[0]) == expected(texts[:20], TEXTS[0])
    index.add_all((text, row) for row, text in texts[20:])
    assert len(index) == len(TEXTS)
    for text in TEXTS:
        assert answer(index, text) == expected(texts, text)
    assert repr(index) == "<PhotodnaIndex of 40 entries>"
    assert [row for row, _ in answer(index, TEXTS[0])] == [0, 4, 1, 2]
    assert index.query("") == []  # of an image without a hash


def test_an_entry_of_the_same_hash_replaces_none():
    again = [(TEXTS[0], {"name": "first"}), *((TEXTS[0], number) for number in range(50))]
    index = PhotodnaIndex.build(again)
    assert [entry for entry, _ in answer(index, TEXTS[0])] == [entry for _, entry in again]


def test_names_of_files_are_no_entries(tmp_path, monkeypatch):
    (tmp_path / "0").write_bytes(b"")
    (tmp_path / "1").symlink_to("0")
    monkeypatch.chdir(tmp_path)
    index = PhotodnaIndex.build([(TEXTS[0], "a"), (TEXTS[4], "b")])
    assert [entry for entry, _ in answer(index, TEXTS[0])] == ["a", "b"]


@pytest.mark.parametrize("pending", [0, 7])
def test_the_index_pickles(pending):
    rows = list(enumerate(TEXTS))
    index = PhotodnaIndex.build((text, row) for row, text in rows[: 40 - pending])
    index.query(TEXTS[0])
    index.add_all((text, row) for row, text in rows[40 - pending :])
    file = io.BytesIO()
    index.serialize(file)
    file.seek(0)
    other = PhotodnaIndex.deserialize(file)
    assert type(other) is PhotodnaIndex
    assert not other._pending, "each program that loads the index would append them anew"
    other.add(TEXTS[0], 40)
    assert answer(other, TEXTS[0]) == expected([*rows, (40, TEXTS[0])], TEXTS[0])
    assert answer(index, TEXTS[0]) == expected(rows, TEXTS[0])
    assert len(pickle.loads(pickle.dumps(PhotodnaIndex()))) == 0
    duplicate = copy.copy(index)
    duplicate.add(TEXTS[0], "only there")
    assert answer(index, TEXTS[0]) == expected(rows, TEXTS[0])
    assert len(duplicate) == len(index) + 1


FORMER = ROOT / "tests" / "former_files" / "photodna.index"


def write_former():
    index = PhotodnaIndex.build((text, ("known", row)) for row, text in enumerate(TEXTS[:8]))
    with FORMER.open("wb") as file:
        index.serialize(file)


def test_an_index_of_a_former_version_is_read():
    """`write_former` wrote it once, in version 0.2.0: an update keeps the indexes of `tx`."""
    with FORMER.open("rb") as file:
        index = PhotodnaIndex.deserialize(file)
    found = answer(index, TEXTS[0])
    assert [entry for entry, _ in found] == [("known", row) for row in (0, 4, 1, 2)]
    index.add(TEXTS[9], "new")
    assert answer(index, TEXTS[9])[0] == ("new", 0.0)
    strings = {str(value) for _, value, _ in pickletools.genops(pickle.dumps(index))}
    ours = {value for value in strings if value.startswith("photodna_nb")}
    assert ours == {MODULE, "photodna_nb.index.hash_index"}, "classes that a pickle depends on"


def test_what_is_no_index_is_named_with_the_remedy():
    class_that_is_gone = b"cphotodna_nb.index.session\n_session_in_memory\n."
    whole = pickle.dumps(PhotodnaIndex.build([(TEXTS[0], 0)]))
    for content in (b"", b"\x80nothing", whole[:300], class_that_is_gone):
        with pytest.raises(pdna.ArgumentError, match=r"^fin: cannot be read .* --rebuild-indices$"):
            PhotodnaIndex.deserialize(io.BytesIO(content))
    with pytest.raises(pdna.ArgumentTypeError, match=r"holds dict, needs a .* --rebuild-indices"):
        PhotodnaIndex.deserialize(io.BytesIO(pickle.dumps({})))


def test_threads_add_and_query():
    index = PhotodnaIndex()

    def work(row):
        index.add(TEXTS[row], row)
        return row in dict(answer(index, TEXTS[row]))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(len(TEXTS))))
    assert all((row, 0.0) in answer(index, text) for row, text in enumerate(TEXTS))


def test_a_subclass_sets_the_limits():
    mirrored = PhotodnaSignal.hash_from_file(PICTURES / "harbour_mirrored.jpg")
    harbour, recompressed, _ = PhotodnaSignal.get_examples()
    assert not PhotodnaSignal.compare_hash(harbour, mirrored).match
    compared = OrientedSignal.compare_hash(harbour, mirrored)
    assert compared.match
    assert OrientedSignal.get_index_cls() is OrientedIndex
    index = OrientedIndex.build([(harbour, "harbour"), (TEXTS[0], "other")])
    assert answer(index, mirrored) == [("harbour", compared.distance.distance)]
    file = io.BytesIO()
    PhotodnaIndex.build([(harbour, "harbour")]).serialize(file)
    file.seek(0)
    assert answer(OrientedIndex.deserialize(file), mirrored) == answer(index, mirrored)
    near = OrientedIndex.build([(TEXTS[0], 0), (TEXTS[2], 2), (TEXTS[4], 4)])
    assert answer(near, TEXTS[0]) == [(0, 0.0), (4, 2.0)]
    assert OrientedSignal.compare_hash(harbour, recompressed).match


@needs("control characters in names")
def test_an_image_without_a_hash_is_said(tmp_path):
    flat = tmp_path / "fl\nat.png"
    Image.new("L", (100, 100), 128).save(flat)
    with pytest.warns(pdna.LowDetailWarning, match=r"at\.png: has 0\.0 grey levels") as caught:
        assert PhotodnaSignal.hash_from_file(flat) == ""
    assert str(caught[0].message).isprintable()
    with pytest.warns(pdna.LowDetailWarning, match="the image: has 0"):
        assert PhotodnaSignal.hash_from_bytes(flat.read_bytes()) == ""

    class AnyDetail(PhotodnaSignal):
        MIN_DETAIL = 0

    with pytest.warns(pdna.LowDetailWarning, match="has 0.0 grey levels of detail, and such"):
        assert AnyDetail.hash_from_file(flat) == "", "an index takes no hash of zeros"
    broken = tmp_path / "bro\nken.jpg"
    broken.write_bytes(b"nothing")
    for path in (broken, tmp_path / "missing.jpg"):
        with pytest.warns(UserWarning, match="no photodna signal: ") as caught:
            assert PhotodnaSignal.hash_from_file(path) == ""
        assert str(caught[0].message).isprintable()
    with pytest.warns(UserWarning, match="no photodna signal: the image: "):
        assert PhotodnaSignal.hash_from_bytes(b"nothing") == ""


def test_the_page_is_right(capsys):
    page = PAGE.read_text(encoding="utf-8")
    exec(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1], {})
    assert capsys.readouterr().out == "0 0.0000\n1 11.0000\nFalse\n"
    module = sys.modules[MODULE]
    assert all(f"`threatexchange.{name}`" in page for name in module.__all__)


def test_the_benchmark_runs(capsys):
    """It compares the index with a linear search."""
    runpy.run_path(str(ROOT / "tests" / "benchmarks" / "signal_index.py"))["main"](60)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("build 60 hashes")


@pytest.fixture
def tx(tmp_path):
    """Return a function that runs `tx` with a state of its own, and returns its standard output."""
    command = shutil.which("tx", path=sysconfig.get_path("scripts"))
    assert command is not None
    state = {"TX_STATEDIR": str(tmp_path / "state"), "PYTHONPATH": f"{ROOT}:{tmp_path}"}

    def run(*arguments, said=""):
        result = subprocess.run(
            [command, *map(str, arguments)],
            env=os.environ | state,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        assert said in result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout

    return run


@pytest.mark.long
def test_a_session_of_tx(tx, tmp_path):
    harbour, mirrored = PICTURES / "harbour.jpg", PICTURES / "harbour_mirrored.jpg"
    recompressed, pebbles = PICTURES / "harbour_recompressed.jpg", PICTURES / "pebbles.jpg"
    photo = ("--only-signal", "photodna", "photo")
    assert "photodna - PhotodnaSignal" in tx("config", "extensions", "add", MODULE)
    signal, _, mountains = PhotodnaSignal.get_examples()
    hashed = tx("hash", "--signal-type", "photodna", "photo", harbour)
    assert hashed == f"photodna {signal}\n"

    known = tmp_path / "known.txt"
    known.write_text(
        tx("hash", "--signal-type", "photodna", "photo", harbour, PICTURES / "street.jpg")
        + "photodna no hash\n"
    )
    edit = ("config", "collab", "edit", "local_file", "--create", "known")
    tx(*edit, "--filename", known)
    tx("fetch", said="Building index for photodna with 2 signals")
    assert tx("dataset") == "photodna: 2\n"
    assert signal in tx("dataset", "--print-signals", "--only-signals", "photodna")

    distance = pdna.distance(*map(pdna.hash_file, (harbour, recompressed)))
    matched = tx("match", *photo, recompressed, pebbles, mirrored)
    assert matched == f"photodna {distance:.4f} (known) INVESTIGATION_SEED\n"
    assert tx("match", *photo, PICTURES / "street.jpg").startswith("photodna 0.0000 (known)")
    rotated = tx("match", "--rotations", *photo, mirrored)
    assert rotated.startswith("photodna FLIPY ")
    assert rotated.count("\n") == 1
    query = tmp_path / "query.txt"
    query.write_text(FORMS["hex"](pdna.hash_file(harbour)))
    assert tx("match", "--hashes", *photo, query).startswith("photodna 0.0000 (known)")

    # The list grows; the index is built anew.
    known.write_text(known.read_text("utf-8") + f"photodna {mountains}\n")
    tx("fetch", said="with 3 signals")
    assert tx("match", *photo, PICTURES / "mountains_grey.jpg").startswith("photodna ")

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    said = f"no photodna signal: {broken}: is not an image"
    assert tx("match", *photo, broken, harbour, said=said).startswith("photodna 0.0000")


@pytest.mark.long
def test_limits_of_ones_own_in_tx(tx, tmp_path):
    """The extension in docs/threatexchange.md; a small file, which `--rotations` does not find."""
    code = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "my_extension.py").write_text(code)
    assert "photodna - StrictSignal" in tx("config", "extensions", "add", "my_extension")
    small, turned = tmp_path / "small.jpg", tmp_path / "turned.jpg"
    with Image.open(PICTURES / "harbour.jpg") as image:
        thumbnail = image.convert("L").resize((120, 80))
    thumbnail.save(small, quality=40)
    thumbnail.transpose(Image.Transpose.ROTATE_90).save(turned, quality=40)
    assert turned.stat().st_size < 4096
    (tmp_path / "known.txt").write_text(PhotodnaSignal.hash_from_file(small))
    edit = ("config", "collab", "edit", "local_file", "--create", "known")
    tx(*edit, "--filename", tmp_path / "known.txt", "--signal-type", "photodna")
    tx("fetch")
    assert tx("match", "--only-signal", "photodna", "photo", turned).startswith("photodna ")
