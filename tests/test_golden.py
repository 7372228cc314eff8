"""Hashes and stages of the published reference program."""

import base64
import json
import os
import platform
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, local_cluster, messages, spawned_processes
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing import images

SETS = ("edge", "modes", "monochrome", "neardup", "perception", "pillow", "synthetic")
# Files with a hash and both sides of at least 2 pixels, as the sets came.
HASHED = {
    "edge": 367,
    "modes": 150,
    "monochrome": 5,
    "neardup": 540,
    "perception": 14,
    "pillow": 780,
    "synthetic": 385,
}
# Damaged JPEG files, of which libjpeg-turbo's vector code for Arm makes other pixels than that for
# x86, and its plain code (JSIMD_FORCENONE=1) others again, the same on both.
OTHER_PIXELS = {f"flip_{number}.jpg" for number in (18, 23, 24, 32, 33)} | {"hopper_bad_exif.jpg"}
IS_X86 = platform.machine() in ("x86_64", "AMD64")


def records(folder: Path):
    for line in (folder / "golden.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        if JIT_OFF and np.prod(record.get("size") or 0) > 8_000:
            continue
        yield folder / "images" / record["file"], record


def side(record) -> int:
    return min(record.get("rgb_size") or record.get("size") or (9,))


def check_hash(path, record):
    """Return what differs, or None; where the decoder differs, say so."""
    if pdna.hash_file(path).tobytes() == base64.b64decode(record["hash"]):
        return None
    with Image.open(path) as image:
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        same = sha256(rgb.tobytes()).hexdigest() == record["rgb_sha256"]
    return f"{path}: {'the hash differs' if same else 'the decoder differs, not the hash'}"


def check_stages(folder):
    """Compare every stage of the set; return how many files were compared."""
    with np.load(folder / "stages.npz") as stages:
        rows = {str(file): i for i, file in enumerate(stages["files"])}
        values = {name: stages[name] for name in ("feature_grid", "gradients", "vector", "hash")}
    compared = 0
    for path, record in records(folder):
        if record["file"] in rows and side(record) >= 2:
            with Image.open(path) as image:
                trace = pdna.trace(image)
            for name, value in values.items():
                np.testing.assert_array_equal(
                    getattr(trace, name).ravel(), value[rows[record["file"]]], f"{path} {name}"
                )
            compared += 1
    return compared


def test_committed_hashes():
    selected = [
        (p, r) for p, r in records(ROOT / "data" / "golden") if "hash" in r and side(r) >= 2
    ]
    assert len(selected) >= (90 if JIT_OFF else 130)
    assert [check_hash(path, record) for path, record in selected] == [None] * len(selected)


def test_committed_stages():
    assert check_stages(ROOT / "data" / "golden") >= (90 if JIT_OFF else 130)


def test_a_wrong_hash_is_noticed():
    path, record = next(records(ROOT / "data" / "golden"))
    wrong = record | {"hash": base64.b64encode(bytes(143) + b"\1").decode()}
    assert "the hash differs" in check_hash(path, wrong)
    assert "the decoder differs" in check_hash(path, wrong | {"rgb_sha256": "0" * 64})


@pytest.mark.parametrize("name", SETS)
def test_shared_hashes(shared_golden, name):
    selected = [(p, r) for p, r in records(shared_golden / name) if "hash" in r and side(r) >= 2]
    if not JIT_OFF:
        assert len(selected) >= HASHED[name]
    different = [(path, text) for path, record in selected if (text := check_hash(path, record))]
    if not IS_X86:
        print(*different, sep="\n")
        different = [
            (path, text)
            for path, text in different
            if path.name not in OTHER_PIXELS or "the decoder differs" not in text
        ]
    assert different == []


@pytest.mark.parametrize("name", ["edge", "monochrome", "synthetic"])
def test_shared_stages(shared_golden, name):
    compared = check_stages(shared_golden / name)
    if not JIT_OFF:
        assert compared >= HASHED[name]


@contextmanager
def code_path(name, monkeypatch):
    """Yield the executor on which, or the state of Pillow in which, files are hashed."""
    if name == "copies":
        copied = []
        honest = Image.Image.copy
        monkeypatch.setattr(Image.Image, "copy", lambda image: copied.append(1) or honest(image))
        monkeypatch.setattr(images, "_decoded", images._loaded)
        before = Image.core.get_block_size()
        Image.core.set_block_size(4096)  # so that no image lies in one block
        try:
            yield None
        finally:
            Image.core.set_block_size(before)
        assert len(copied) > 1000, len(copied)
    elif name == "processes":
        with spawned_processes() as executor:
            yield executor
    else:
        with local_cluster() as client:
            yield client.get_executor()


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
@pytest.mark.parametrize("name", ["copies", "processes", "cluster"])
def test_other_code_paths(shared_golden, name, monkeypatch):
    """All hashes in other ways than `test_one_directory_of_all`: threads, no copies."""
    expected = {
        str(path): np.frombuffer(base64.b64decode(record["hash"]), np.uint8)
        for kind in SETS
        for path, record in records(shared_golden / kind)
        if "hash" in record and side(record) >= 2
    }
    assert len(expected) >= sum(HASHED.values())
    with code_path(name, monkeypatch) as executor:
        table = pdna.hash_files(expected, executor=executor)
    np.testing.assert_array_equal(table.hashes, np.stack(list(expected.values())))


@pytest.mark.skipif(JIT_OFF, reason="large images")
def test_monochrome_pairs(shared_golden):
    """As the reference program prints them."""
    folder = shared_golden / "monochrome" / "images" / "tests" / "monochrome"
    hashes = {path.stem.split("_", 1)[1]: pdna.hash_file(path) for path in folder.iterdir()}
    assert len(hashes) == 5
    for a, b, distance, similarity in (
        ("42a69416d3_5k", "45f9e4b2cc_k", "3.8730", "0.998734"),
        ("42a69416d3_5k", "ced977bdee_q", "694.0641", "0.773182"),
    ):
        assert f"{pdna.distance(hashes[a], hashes[b]):.4f}" == distance
        assert f"{pdna.similarity(hashes[a], hashes[b]):.6f}" == similarity


def refused(record) -> bool:
    """Whether the reference failed on the file, or this package refuses it.

    Not pillow.ico: it also fits TGA, as which it is damaged. Pillow tries the one
    or the other first depending on the files that it opened before; here, ICO.
    Nor an image in HEIF, if its plug-in is installed, as it was not for the reference.
    """
    if record["file"].endswith("/pillow.ico"):
        return False
    if record["file"].endswith(".heif") and find_spec("pillow_heif"):
        return False
    over = "skipped" in record and np.prod(record["size"]) > Image.MAX_IMAGE_PIXELS
    return "error" in record or side(record) < 2 or over


@pytest.mark.skipif(JIT_OFF, reason="no kernel in this")
@pytest.mark.parametrize("name", ["edge", "modes", "pillow"])
def test_shared_errors(shared_golden, name):
    count = 0
    for path, record in records(shared_golden / name):
        if refused(record) and not needs_a_program(record):
            with pytest.raises(pdna.ImageError) as caught:
                pdna.hash_file(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert 20 < len(caught.value.reason) < 500
            assert caught.value.reason.isprintable()
            count += 1
    assert count >= {"edge": 60, "modes": 16, "pillow": 200}[name]


def test_what_is_refused_for_another_reason_here(shared_golden):
    """Its texts, which unpack to more than Pillow allows, are no reason: it has one pixel."""
    path = shared_golden / "pillow" / "images" / "Tests" / "images" / "png_decompression_dos.png"
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(path)
    with pytest.raises(pdna.ImageError, match="is 1 x 1 pixels, and the hash needs"):
        pdna.hash_file(path)


def test_an_image_in_heif(shared_golden):
    pytest.importorskip("pillow_heif")
    folder = shared_golden / "pillow" / "images" / "Tests" / "images"
    heif = pdna.hash_file(folder / "avif" / "hopper.heif")
    assert pdna.distance(heif, pdna.hash_file(folder / "hopper.png")) < 60


def needs_a_program(record) -> bool:
    """Whether Pillow reads the file where Ghostscript is installed."""
    return "Ghostscript" in record.get("error", "")


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
def test_one_directory_of_all(shared_golden, run, tmp_path):
    """Good, odd, broken and hostile files side by side: the good ones come out, in order."""
    hashes, refusals = {}, set()
    for name in SETS:
        for path, record in records(shared_golden / name):
            link = tmp_path / f"{name}_{record['file'].replace('/', '%')}"
            os.symlink(path, link)
            if "hash" in record and side(record) >= 2:
                hashes[link.name] = list(base64.b64decode(record["hash"]))
            elif refused(record) and not needs_a_program(record):
                refusals.add(str(link))
    result = run("--hash-dir", tmp_path)
    assert result.returncode == 1
    entries = json.loads(result.stdout)
    names = [entry["filename"] for entry in entries]
    assert names == sorted(names)
    printed = {entry["filename"]: entry["photodna"] for entry in entries}
    assert len(hashes) >= 2200
    assert {name: printed.get(name) for name in hashes} == hashes
    errors = [line.removeprefix("photodna-nb: error: ") for line in messages(result)]
    assert all(line.startswith(f"{tmp_path}/") for line in errors)
    assert refusals <= {line.split(": ")[0] for line in errors}
    assert len(refusals) >= 270
    assert len(entries) + len(errors) == len(os.listdir(tmp_path))
