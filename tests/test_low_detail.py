"""Images that lose everything on the way to 8 bits, and flat ones, are not silent."""

import json
import os
import warnings

import numpy as np
import pytest
from conftest import errors_and_warnings, needs, spawned_processes
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing import images

GREY = np.asarray(pdna.datasets.dead_leaves(2, (160, 120), seed=7)[0].open().convert("L"))
# Most values are over 255 where 0..65535 is the range, and none is where 0..1 is.
MODES = {
    "grey16.png": (GREY.astype(np.uint16) * 200 + 600, "16-bit grey"),
    "grey16.tif": (GREY.astype(">u2") * 200 + 600, "16-bit grey"),
    "integers.tif": (GREY.astype(np.int32) * 90_000 + 600, "32-bit integers"),
    "float.tif": (GREY.astype(np.float32) / 255, "floating-point numbers"),
}
WHY = "; Pillow clips pixels that do not fit into 8 bits ({}): scale these images to 8 bits"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("low_detail")
    for name, (pixels, _) in MODES.items():
        Image.fromarray(pixels).save(folder / name)
    Image.new("RGB", (100, 100), "navy").save(folder / "flat.png")
    Image.fromarray(GREY).save(folder / "good.png")
    return folder


def message_of(*paths, **options) -> str | None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pdna.hash_files(paths, **options)
    assert all(warning.category is pdna.LowDetailWarning for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else None


@pytest.mark.parametrize("name", MODES)
def test_the_kind_of_pixels_is_the_reason_and_the_hash_that_of_pillow(folder, name):
    path = folder / name
    kind = MODES[name][1]
    with Image.open(path) as image:
        assert pdna.hash_file(path).tolist() == pdna.hash_image(image.convert("RGB")).tolist()
    assert message_of(path) == (
        f"{path} (0.0): has less than 100 grey levels of detail, and such images "
        f"match whatever they show{WHY.format(f'1 of {kind}')} before they are hashed"
    )
    ((_, hashed),) = pdna.iterate_hashes([path])
    assert hashed.clipped_from == kind


def test_how_many_and_which(folder):
    assert message_of(folder / "good.png") is None
    flat = folder / "flat.png"
    assert message_of(folder / "good.png", flat) == (
        f"{flat} (0.0): 1 of 2 images has less than 100 grey levels of detail, and such images "
        "match whatever they show"
    )
    message = message_of(*sorted(folder.iterdir()), errors="record")
    first = sorted(path for path in folder.iterdir() if path.name != "good.png")[:3]
    assert message.startswith(", ".join(f"{path} (0.0)" for path in first) + " and 2 more: 5 of 6")
    assert "(2 of 16-bit grey, 1 of 32-bit integers, 1 of floating-point numbers)" in message


@needs("control characters in names")
def test_names_are_printable(folder, tmp_path):
    path = tmp_path / "a\x1b[31m\n.png"
    Image.new("RGB", (100, 100)).save(path)
    assert message_of(path).isprintable()


@pytest.mark.long
def test_workers_say_it_too(folder):
    with spawned_processes() as executor:
        assert "1 of 16-bit grey" in message_of(folder / "grey16.png", executor=executor)


def test_a_journal_keeps_the_reason(folder, tmp_path, monkeypatch):
    first = message_of(folder / "grey16.png", output=tmp_path / "t.npz")
    monkeypatch.setattr(images, "read_pixels", None)
    assert message_of(folder / "grey16.png", output=tmp_path / "t.npz") == first
    assert "16-bit grey" in first


def test_a_journal_of_an_earlier_version_is_read(folder, tmp_path, monkeypatch):
    from photodna_nb.hashing import hash_journal

    path = str(folder / "flat.png")
    record = hash_journal.hash_if_changed(path, None, False)
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    del fields["clipped_from"]
    assert hash_journal.msgspec.convert(fields, hash_journal.HashRecord) == record
    assert record.hash_with_detail.clipped_from == ""


def test_an_index_says_it(folder, tmp_path):
    with (
        pdna.HashIndex.create(tmp_path / "i", tmp_path / "m") as index,
        pytest.warns(pdna.LowDetailWarning, match="has less than 100") as caught,
    ):
        index.add([folder / "flat.png"])
    assert [warning.filename for warning in caught] == [__file__]


def lines(result) -> list[str]:
    assert result.returncode == 0
    return errors_and_warnings(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hash", "grey16.png"],
        ["--compare", "grey16.png", "good.png"],
        ["--files-from", "list"],
        ["--files-from", "list", "--output", "t.npz"],
        ["--files-from", "list", "--output", "t.npz", "--resume"],
        ["--hash-dir", "folder"],
        ["--hash-dir", "folder", "--output", "t.npz"],
        ["--faiss-build", "new_i", "new_m", "grey16.png"],
        ["--faiss-add", "i", "m", "grey16.png"],
        ["--faiss-query", "i", "m", "grey16.png"],
        ["--faiss-query", "i", "m", "grey16.png", "--json"],
    ],
)
def test_every_mode_says_it(folder, tmp_path, call, arguments):
    (tmp_path / "folder").mkdir()
    for name in ("grey16.png", "good.png"):
        os.symlink(folder / name, tmp_path / name)
    os.symlink(folder / "grey16.png", tmp_path / "folder/grey16.png")
    (tmp_path / "list").write_text("grey16.png\n")
    with pdna.HashIndex.create(tmp_path / "i", tmp_path / "m") as index:
        index.add([folder / "good.png"])
        index.save()
    result = call(*arguments, cwd=tmp_path)
    (line,) = lines(result)
    number = 2 if arguments[0] == "--compare" else 1
    assert line.startswith("photodna-nb: warning: ")
    have = f"1 of {number} images has" if number > 1 else "has"
    assert f"grey16.png (0.0): {have} less than 100 grey levels" in line
    assert WHY.format("1 of 16-bit grey") in line
    if "--json" in arguments or arguments[-1] in ("list", "folder"):
        json.loads(result.stdout)


@pytest.mark.long
def test_evaluate_says_it(folder, tmp_path, call):
    config = tmp_path / "evaluation.toml"
    config.write_text(
        f'[originals]\nkind = "directory"\npath = "{folder}"\n'
        '[variants]\ntransforms = ["jpeg:50"]\n',
        encoding="utf-8",
    )
    result = call("--evaluate", config, tmp_path / "run")
    assert any(
        line.startswith("photodna-nb: warning: 5 of 6 originals have less than 100 grey levels")
        and "Pillow clips them" in line
        for line in lines(result)
    ), result.stderr.decode()
