"""Whole evaluations: results, tables beside the counts, the same bytes on any number of threads."""

import base64
import csv
import importlib
import io
import json
import os
import shutil
import tomllib
from hashlib import sha256

import numpy as np
import pytest
from conftest import JIT_OFF, messages
from evaluations import EDITS, contents, genuine_table, photo_config, some_hashed
from PIL import Image

import photodna_nb as pdna
from photodna_nb.corpus import transforms
from photodna_nb.evaluation import Config, Results, run
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.run_originals import configuration_name

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def test_a_run(photos, tmp_path):
    config = photo_config(photos, thresholds={"named": {"low": 30, "high": 200}})
    results = run(config, tmp_path / "run", max_workers=1)
    found = contents(tmp_path / "run")
    images = {name for name in found if name.startswith("thumbnails/")}
    assert set(found) == {
        "manifest.json",
        "run.json",
        "results.json",
        "hashes.npz",
        "counts.npz",
        *(f"tables/{name}.csv" for name in results.tables),
        *images,
    }
    check_images(photos, results, images, found)
    names = ["a.png", "b.png", "c.png", "d.png", "long.png", "sub/e.png"]
    assert results.counts.names == tuple(names)
    assert [failure[:2] for failure in results.failures] == [
        ("bad.jpg", None), ("long.png", "webp:40")
    ]  # fmt: skip
    assert "is not an image that Pillow can identify" in results.failures[0].error
    assert "webp: cannot encode 17000 x 2 pixels" in results.failures[1].error
    hashes = pdna.HashTable.load(tmp_path / "run" / "hashes.npz")
    assert hashes.paths == names
    assert [failure.path for failure in hashes.failures] == ["bad.jpg"]
    for number, name in enumerate(names):
        original = pdna.hash_file(photos / name)
        np.testing.assert_array_equal(hashes.hashes[number], original)
        for place, spec in enumerate(EDITS):
            if (name, spec) == ("long.png", "webp:40"):
                assert genuine_table(results.counts)[number, place] == -1
                continue
            with Image.open(photos / name) as image:
                edit = transforms.parse(spec)
                seed = transforms.seed_for(0, name, edit.label)
                edited = pdna.hash_image(edit.apply(image, seed))
            squared = pdna.distance(original, edited, "sqeuclidean")
            assert genuine_table(results.counts)[number, place] == squared
    assert results.summary["originals"] == 7
    assert results.summary["originals_failed"] == 1
    assert results.summary["variants"] == 29
    assert results.summary["variants_failed"] == 1
    assert results.summary["impostor_pairs"] == 15 + 29 * 5
    check_tables(results, found)
    manifest = results.manifest
    assert manifest["configuration"] == config.to_dict()
    assert set(manifest["inputs"]) == {*names, "bad.jpg"}
    assert {
        "NumPy",
        "Pillow",
        "libjpeg",
        "FAISS",
        "Numba",
        "SciPy",
        "Python",
        "photodna_nb",
    } <= set(manifest["versions"]["results"])
    again = Results.load(tmp_path / "run")
    assert again.tables == results.tables
    assert again.summary == results.summary
    assert again.failures == results.failures
    assert again.config == config
    (tmp_path / "run" / "tables" / "transforms.csv").write_bytes(b"")
    with pytest.raises(pdna.FileError, match=r"transforms.csv: is not the file that manifest"):
        Results.load(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(pdna.FileError, match=r"manifest.json: is damaged"):
        Results.load(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_bytes(b'{"format": 1}')
    with pytest.raises(
        pdna.FileError, match=r"has the schema 1, and this version reads 4; run the"
    ):
        Results.load(tmp_path / "run")


def test_results_of_another_schema(photos, tmp_path):
    run(photo_config(photos), tmp_path / "run")
    results, manifest = tmp_path / "run" / "results.json", tmp_path / "run" / "manifest.json"
    values = json.loads(results.read_bytes())
    assert values["schema"] == json.loads(manifest.read_bytes())["schema"] == 4
    results.write_text(json.dumps(values | {"schema": 5}))
    named = json.loads(manifest.read_bytes())
    named["results"]["results.json"] = sha256(results.read_bytes()).hexdigest()
    del named["digest"]
    manifest.write_text(json.dumps(named))
    with pytest.raises(pdna.FileError, match=r"results.json: has the schema 5, and this version"):
        Results.load(tmp_path / "run")
    manifest.write_text(json.dumps(named | {"digest": "0" * 64}))
    with pytest.raises(pdna.FileError, match=r"manifest.json: .*its own digest does not hold"):
        Results.load(tmp_path / "run")


def test_a_run_goes_on_with_hashes_of_an_earlier_version(photos, tmp_path):
    first = run(photo_config(photos), tmp_path / "run")
    for name in ("run.json", "manifest.json", "results.json"):
        path = tmp_path / "run" / name
        path.write_text(path.read_text("utf-8").replace('"schema": 4', '"schema": 3'))
    (tmp_path / "run" / "counts.npz").write_bytes(b"of a table of genuine pairs")
    again = run(photo_config(photos), tmp_path / "run")
    assert (again.tables, again.manifest["this_run"]["originals_hashed"]) == (first.tables, 0)


def check_images(photos, results, images, found):
    """The nearest pairs as they looked when their distance was measured."""
    shown = set()
    for row in results.tables["nearest_impostors"]:
        for original, transform, thumbnail in (
            (row["original"], row["transform"], row["thumbnail"]),
            (row["other"], None, row["other_thumbnail"]),
        ):
            image = Image.open(photos / original).convert("RGB")
            if transform is not None:
                edit = transforms.parse(transform)
                image = edit.apply(image, transforms.seed_for(0, original, edit.label))
            image.thumbnail((240, 240))
            image = image.resize((max(image.width, 2), max(image.height, 2)))  # one is a line
            with Image.open(io.BytesIO(found[thumbnail])) as small:
                assert small.size == image.size
                difference = np.abs(np.subtract(small, image, dtype=float)).mean()
            assert difference < 12
            shown.add(thumbnail)
    assert shown == images
    assert len(results.tables["nearest_impostors"]) == 15


def check_tables(results, found):
    """Numbers beside the counts, and CSV beside JSON."""
    for row in results.tables["recall"]:
        squared = results.counts.genuine_distances_squared(
            row["transform"], detail_bin=row["detail_bin"], oriented=row["oriented"]
        )
        assert row["genuine_pairs"] == len(squared)
        assert row["matches"] == sum(s <= row["threshold"] ** 2 for s in squared.tolist())
        assert row["recall"] == (
            row["matches"] / row["genuine_pairs"] if row["genuine_pairs"] else None
        )
    for row, spec in zip(results.tables["transforms"], EDITS, strict=True):
        distances = np.sqrt(results.counts.genuine_distances_squared(spec))
        assert (row["transform"], row["largest_distance"]) == (spec, distances[-1])
        assert row["failed"] == sum(failure.transform == spec for failure in results.failures)
    curve = results.tables["curves"]
    assert curve[-1]["genuine_matches"] == results.summary["genuine_pairs"]
    assert curve[-1]["impostor_matches"] == results.summary["impostor_pairs"]
    assert curve[100]["impostor_matches"] == results.counts.impostor_histogram()[:101].sum()
    nearest = results.tables["nearest_impostors"]
    assert (
        len({frozenset((row["original"], row["other"])) for row in nearest}) == len(nearest) == 15
    )
    assert nearest == sorted(nearest, key=lambda row: row["distance_squared"])
    assert sum(row["originals"] for row in results.tables["detail"]) == 6
    for name, rows in results.tables.items():
        text = found[f"tables/{name}.csv"].decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        assert lines[0] == list(rows[0] if rows else ())
        shown = [["" if value is None else str(value) for value in row.values()] for row in rows]
        assert lines[1:] == shown


def test_the_same_bytes_with_one_thread_and_two(photos, tmp_path):
    config = photo_config(photos)
    run(config, tmp_path / "one", max_workers=1)
    run(config, tmp_path / "two", max_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    run(photo_config(photos, seed=1), tmp_path / "other")
    assert contents(tmp_path / "one")["hashes.npz"] != contents(tmp_path / "other")["hashes.npz"]


def test_another_threshold_hashes_nothing(photos, tmp_path, decoded, monkeypatch):
    run(photo_config(photos), tmp_path / "run")
    assert len(decoded) >= 7
    before = contents(tmp_path / "run")
    assert sum(name.startswith("thumbnails/") for name in before) >= 6
    decoded.clear()
    other = photo_config(photos, thresholds={"named": {"x": 77}, "targets": [0.25]})
    with monkeypatch.context() as patched:
        patched.setattr(importlib.import_module("photodna_nb.evaluation.run"), "count_pairs", None)
        results = run(other, tmp_path / "run")
    assert decoded == []
    assert results.manifest["this_run"]["originals_hashed"] == 0
    assert {row["threshold_name"] for row in results.tables["recall"]} <= {"x", "recommended"}
    after = contents(tmp_path / "run")
    assert after["counts.npz"] == before["counts.npz"]
    run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before
    assert decoded == []


def test_other_pairs_are_counted_and_nothing_is_hashed(photos, tmp_path, decoded):
    first = run(photo_config(photos), tmp_path / "run")
    decoded.clear()
    others = {"pairs": {"duplicates": [["a.png", "sub/e.png", "b.png"], ["bad.jpg", "a.png"]]}}
    results = run(photo_config(photos, **others), tmp_path / "run")
    assert decoded == []
    assert results.counts.pairs_excluded == 3 + 2 * 15
    all_pairs = first.summary["impostor_pairs"]
    assert results.summary["impostor_pairs"] == all_pairs - results.counts.pairs_excluded
    banded = run(photo_config(photos, detail={"bins": [1]}), tmp_path / "run")
    assert banded.manifest["this_run"]["originals_hashed"] == 0
    assert len(decoded) <= 3, "but for images of pairs that were not among the nearest"
    assert len(banded.tables["detail"]) == 2
    others = {"pairs": {"variants_against_others": False}}
    assert run(photo_config(photos, **others), tmp_path / "run").summary["impostor_pairs"] == 15
    with pytest.raises(pdna.ArgumentError, match=r"original is called a.pg; did you mean a.png"):
        run(photo_config(photos, pairs={"duplicates": [["a.pg", "b.png"]]}), tmp_path / "run")


def test_identical_and_flat_originals(photos, tmp_path):
    """Copies are no impostor pairs, nor what is flat; digests name what has no name in UTF-8."""
    for name in ("bad.jpg", "long.png"):
        (photos / name).unlink()
    first = run(photo_config(photos), tmp_path / "run")
    odd = os.fsdecode(b"\xff.png")
    (photos / odd).write_bytes((photos / "a.png").read_bytes())
    Image.new("RGB", (60, 60)).save(photos / "black.png")
    Image.new("RGB", (70, 50)).save(photos / "black2.png")
    results = run(photo_config(photos), tmp_path / "run")
    assert results.counts.pairs_identical == 1 + 2 * len(EDITS)
    assert results.counts.nearest_pairs(1).distance_squared[0] == 0, "of the flat ones"
    few = {"pairs": {"exclude_below_detail": 100}}
    results = run(photo_config(photos, **few), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 0
    assert results.counts.pairs_low_detail == 13 + 5 * (2 * 7 + 6 * 2)
    again = {"pairs": {"exclude_below_detail": 100, "count_identical": True}}
    results = run(photo_config(photos, **again), tmp_path / "run")
    assert results.counts.pairs_identical == 0
    assert results.counts.nearest_pairs(1).distance_squared[0] == 0, "of the copies"
    digest = sha256((photos / "a.png").read_bytes()).hexdigest()
    again["pairs"]["duplicates"] = [[f"sha256:{digest.upper()}", "b.png"]]
    config = photo_config(photos, **again)
    assert config.pairs.duplicates == ((f"sha256:{digest}", "b.png"),)
    assert Config.from_dict(tomllib.loads(config.to_toml())) == config
    assert configuration_name(odd, digest) == config.pairs.duplicates[0][0]
    results = run(config, tmp_path / "run")
    assert results.counts.pairs_excluded == 3 * (1 + 2 * len(EDITS))
    assert results.counts.nearest_pairs(1).distance_squared[0] > 0
    assert first.counts.nearest_pairs(1).distance_squared[0] > 0
    again["pairs"]["duplicates"] = [[f"sha256:{64 * '0'}", "b.png"]]
    with pytest.raises(pdna.ArgumentError, match="no original has the digest sha256:0000"):
        run(photo_config(photos, **again), tmp_path / "run")


def test_a_run_inside_its_originals(photos, tmp_path):
    """What runs wrote is none of the originals, nor the configuration; other folders stay in."""
    photos = photos.rename(tmp_path / "real")
    (tmp_path / "photos").symlink_to(photos)
    toml = photos / "config.toml"
    toml.write_text(
        '[originals]\nkind = "directory"\npath = "../photos"\n[variants]\ntransforms = ["mirror"]\n'
    )
    for content in ("{", "[]", '{"format": 1}', 5000 * "["):
        folder = photos / "mine" / f"of {len(content)}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content)
        (folder / "f.png").write_bytes((photos / "a.png").read_bytes())
    names = {str(path.relative_to(photos)) for path in photos.rglob("*") if path.is_file()}
    first = run(toml, photos / "sub" / "run")
    assert set(first.manifest["inputs"]) == names - {"config.toml"}
    assert first.manifest["this_run"]["base"] == str(photos)
    before = contents(photos / "sub" / "run")
    run(toml, tmp_path / "photos" / "sub" / "run")
    assert contents(photos / "sub" / "run") == before
    (photos / "sub" / "run" / "run.json").unlink()
    with pytest.raises(pdna.FileError, match=r"run: holds files \(counts.npz, .* and no run.json"):
        run(toml, photos / "sub" / "run")
    (photos / "sub" / "run" / "run.json").write_bytes(before["run.json"])
    # Another run over the same originals, beside the first and by a link to the configuration.
    (tmp_path / "link.toml").symlink_to(toml)
    elsewhere = Config.load(toml)
    assert set(run(toml, photos / "other").manifest["inputs"]) == names - {"config.toml"}
    assert set(run(elsewhere, tmp_path / "out").manifest["inputs"]) == names
    toml.write_text(toml.read_text("utf-8").replace("../photos", "photos"))
    linked = run(tmp_path / "link.toml", tmp_path / "linked")
    assert set(linked.manifest["inputs"]) == names - {"config.toml"}
    for path in photos.iterdir():
        if path.is_file():
            path.unlink()
    (photos / "mine").rename(tmp_path / "mine")
    (photos / "sub" / "e.png").unlink()
    with pytest.raises(pdna.FileError, match="real: holds nothing but what runs wrote"):
        run(elsewhere, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_names_that_are_not_text(photos, tmp_path):
    odd = os.fsdecode(b"\xff\n\xc3\xa9,.png")
    (photos / odd).write_bytes((photos / "a.png").read_bytes())
    config = photo_config(photos, pairs={"duplicates": [["a.png", odd]]})
    results = run(config, tmp_path / "run")
    assert odd in results.counts.names
    assert results.counts.pairs_excluded == 1 + 2 * len(EDITS)
    again = Results.load(tmp_path / "run")
    assert again.counts.names == results.counts.names
    assert again.config == config
    text = (tmp_path / "run" / "tables" / "nearest_impostors.csv").read_bytes()
    assert os.fsencode(f'"{odd}"') in text
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_hashed"] == 0


def test_no_cell_of_a_table_is_a_formula(photos, tmp_path):
    for name in ("=1+1.png", "@a.png"):
        (photos / name).write_bytes((photos / "b.png").read_bytes())
    (photos / "-bad.jpg").write_bytes(b"no image")
    results = run(photo_config(photos), tmp_path / "run")
    assert {"=1+1.png", "@a.png"} < set(results.counts.names)
    cells = []
    for path in (tmp_path / "run" / "tables").iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            cells += (cell for line in csv.reader(file) for cell in line)
    assert {"'=1+1.png", "'@a.png", "'-bad.jpg"} < set(cells)
    formulas = {cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))}
    assert all(float(cell) < 0 for cell in formulas), "numbers are no text"


@pytest.mark.long
def test_evaluate_on_the_command_line(run, photos, tmp_path):
    (tmp_path / "config.toml").write_text(
        '[originals]\nkind = "directory"\npath = "photos"\n'
        '[variants]\ntransforms = ["jpeg:30", "webp:40"]\n'
    )
    # Compiles: no process is to say that it does.
    count_pairs(some_hashed(3, 1, 0), np.zeros(3, bool))
    call = ("--evaluate", tmp_path / "config.toml", tmp_path / "run")
    result = run(*call, "--jobs", "2")
    assert result.returncode == 1
    bad, long = messages(result)
    assert bad.startswith("photodna-nb: error: bad.jpg: is not an image that Pillow can identify")
    assert long.startswith("photodna-nb: error: long.png after webp:40: webp: cannot encode 17000")
    said = result.stdout.decode().splitlines()
    assert said[:6] == [
        "Originals: 6 hashed, 1 failed",
        "Variants: 11 hashed, 1 failed",
        "Pairs: 11 genuine, 70 impostor",
        f"Results: {tmp_path / 'run'}",
        f"Report: {tmp_path / 'run' / 'report.html'}",
        "",
    ]
    assert said[6].startswith("For a list of 10,000 hashes and 1,000 queries per day, ")
    assert said[-1].startswith("There are only 6 originals")
    assert (tmp_path / "run" / "report.html").exists()
    (photos / "bad.jpg").unlink()
    (photos / "long.png").unlink()
    result = run(*call)
    assert (result.returncode, messages(result)) == (0, [])
    shutil.copy(tmp_path / "config.toml", photos / "own.toml")  # among the originals, but none
    (photos / "own.toml").write_text(
        (photos / "own.toml").read_text("utf-8").replace('"photos"', '"."')
    )
    result = run("--evaluate", photos / "own.toml", tmp_path / "second")
    assert (result.returncode, messages(result)) == (0, [])
    photos.rename(tmp_path / "gone")
    result = run(*call)
    assert result.returncode == 0
    assert b"photodna-nb: the originals cannot be found; the hashes of the earlier" in result.stderr
    (tmp_path / "config.toml").write_text("sed = 3\n[originals]\nkind = 'installed'\n")
    result = run(*call)
    assert result.returncode == 1
    assert b"config.toml: sed: is unknown; did you mean seed?" in result.stderr
    assert run("--evaluate", "config.toml").returncode == 2
    assert run(*call, "--recursive").returncode == 2


def distinct(folder):
    """Photographs of different things, of a set with many resized copies of each."""
    records = map(json.loads, (folder / "golden.jsonl").read_text("utf-8").splitlines())
    chosen = {}
    for record in records:
        row = np.frombuffer(base64.b64decode(record["hash"]), np.uint8)
        if all(pdna.distance(row, other) > 450 for other in chosen.values()):
            chosen[record["file"]] = row
    return list(chosen)


MILD = [
    *(f"jpeg:{quality}" for quality in (10, 20, 30, 50, 75, 95)),
    *(f"resize:{share}" for share in (50, 75, 150, 200)),
    *(f"blur:{radius}" for radius in (0.5, 1, 2, 3)),
    *(f"noise:{deviation}" for deviation in (5, 10, 25)),
]


def test_sense_on_photographs(shared_golden, tmp_path):
    folder = shared_golden / "neardup"
    files = distinct(folder)
    assert len(files) >= 25
    config = Config.from_dict(
        {
            "originals": {"kind": "list", "paths": [f"images/{file}" for file in files]},
            "variants": {"transforms": [*MILD, "crop:5", "mirror"]},
            "thresholds": {"named": {"200": 200}},
        },
        base=folder,
    )
    results = run(config, tmp_path / "run")
    assert results.failures == []
    rows = {
        (row["transform"], row["oriented"]): row
        for row in results.tables["recall"]
        if row["detail_bin"] is None and row["threshold_name"] == "200"
    }
    for edit in MILD:
        assert rows[edit, False]["recall"] == 1, edit
    assert rows["crop:5", False]["recall"] < 0.2
    assert rows["mirror", False]["recall"] == 0
    assert rows["mirror", True]["recall"] == 1
    originals = np.cumsum(results.counts.impostor_histogram(variants=False))
    assert 800 < np.searchsorted(originals, originals[-1] // 2) < 1000
    assert 800 < results.summary["median_impostor_distance"] < 1000
