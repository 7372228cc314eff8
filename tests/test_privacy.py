"""Runs that name no original: no name, path, digest or picture in any byte of their folder."""

import base64
import json
import os
import platform
import zipfile
from hashlib import sha256

import brute_force as brute
import numpy as np
import pytest
from conftest import AVAILABLE, JIT_OFF, draw_smooth_noise
from evaluations import config_of, contents, some_hashed
from PIL import Image

import photodna_nb as pdna
from photodna_nb.evaluation import Results, compare, estimate_rates, keyed_names, run
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.kept_counts import without_hashes
from photodna_nb.journal import RecordLog

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

PRIVATE = {"pictures": False, "names": "digest", "key_file": "Opalith.key"}
EDITS = ["jpeg:30", "noise:10", "webp:40"]
COPIES = "Onyxcopy-1.png", "Onyxcopy-2.png"
HOST = "Feldspat.example"
THIS_HOST = platform.node()
NAMES = (
    *("Basalt-1.png", "Basalt-2.jpg", "Gneis/Cobalt.png", "Gneis/Kobold.png", "Marmor.png"),
    *("Same-1.png", "Same-2.png", "Wide.png", "Broken.jpg"),
    "Caf\xe9-\udcff.png" if AVAILABLE["names of any bytes"] else "Caf\xe9.png",
)


@pytest.fixture
def stones(tmp_path, monkeypatch):
    """Originals with names that no other text holds, in a folder with such a name."""
    monkeypatch.setattr(platform, "node", lambda: HOST)
    folder = tmp_path / "Granit-Folder"
    (folder / "Gneis").mkdir(parents=True)
    draw_smooth_noise(folder, NAMES, 8, (5, 7), (70, 50))
    Image.effect_noise((17000, 2), 50).save(folder / "Wide.png")  # too wide for WebP
    (folder / "Same-2.png").write_bytes((folder / "Same-1.png").read_bytes())
    (folder / "Broken.jpg").write_bytes(b"Schiefer is no image")
    (tmp_path / "Opalith.key").write_bytes(b"a key of the user's own")
    (tmp_path / "Tuffstein.csv").write_text(
        "path,category\nBasalt-1.png,warm\nsha256:"
        f"{sha256((folder / 'Marmor.png').read_bytes()).hexdigest()},cold\n"
    )
    (tmp_path / "Jaspis").mkdir()
    for name in COPIES:
        with Image.open(folder / "Marmor.png") as image:
            image.rotate(3).save(tmp_path / "Jaspis" / name)
    (tmp_path / "Achatlist.csv").write_text(
        "original,variant,label\n"
        + "".join(f"Marmor.png,Jaspis/{name},turned\n" for name in COPIES)
    )
    (tmp_path / "Jaspis" / COPIES[1]).write_bytes(b"Schiefer is no image")
    return folder


def private_config(stones, **sections):
    values = {
        "originals": {"kind": "directory", "path": "Granit-Folder"},
        "variants": {"transforms": EDITS, "files": "Achatlist.csv"},
        "hash": {"names": ["photodna", brute.BRIGHT]},
        "pairs": {
            "duplicates": [
                ["Gneis/Cobalt.png", "Gneis/Kobold.png"],
                ["Basalt-2.jpg", f"sha256:{digest_of(stones / 'Marmor.png')}"],
            ],
            "leave_out": ["Basalt-2.jpg"],
        },
        "categories": {"file": "Tuffstein.csv"},
        "privacy": PRIVATE,
    }
    return config_of(stones.parent, **{**values, **sections})


def digest_of(path):
    return sha256(path.read_bytes()).hexdigest()


def secrets(stones):
    """What an observer may guess, as bytes: texts, and digests in every usual form."""
    texts = {
        os.fspath(stones.parent),
        "Granit-Folder",
        "Tuffstein",
        "Achatlist",
        "Opalith",
        "Schiefer",
        THIS_HOST,
    }
    for path in (*(stones / name for name in NAMES), *(stones.parent / "Jaspis").iterdir()):
        name = str(path.relative_to(stones if path.is_relative_to(stones) else stones.parent))
        texts |= {
            name,
            str(path),
            *name.split("/"),
            path.stem,
            os.path.relpath(path, stones.parent),
        }
    encoded = [os.fsencode(text) for text in texts]
    encoded += [json.dumps(text)[1:-1].encode() for text in texts]
    files = [
        path.read_bytes()
        for path in (*stones.parent.glob("*.*"), *stones.parent.glob("[GJ]*/**/*.*"))
    ]
    digests = [sha256(text) for text in (*encoded, *files)]
    found = {*encoded, *(digest.digest() for digest in digests)}
    found |= {digest.hexdigest()[:16].encode() for digest in digests}
    found |= {base64.b64encode(digest.digest())[:20] for digest in digests}
    key = (stones.parent / "Opalith.key").read_bytes()
    return {*found, key, key.hex().encode(), base64.b64encode(key)}


def folder_bytes(folder):
    """The content of every file, and that of each member of an archive; and all their names."""
    for path in sorted(folder.rglob("*")):
        yield f"name of {path}", os.fsencode(path.relative_to(folder))
        if path.is_file():
            content = path.read_bytes()
            yield str(path), content
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    for member in archive.namelist():
                        yield f"{path}:{member}", archive.read(member)


def check_private(folder, stones):
    needles = sorted(needle for needle in secrets(stones) if len(needle) >= 5)
    assert len(needles) > 100
    n = 0
    for place, content in folder_bytes(folder):
        lower = content.lower()
        for needle in (*needles, b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"/9j/4", b"image/jpeg"):
            assert needle not in content, f"{needle!r} in {place}"
            assert needle.lower() not in lower or not needle.isascii(), f"{needle!r} in {place}"
        if not place.startswith(str(folder / "figures")):
            assert b"\x89PNG" not in content, f"a PNG in {place}"
        n += 1
    return n


@pytest.mark.long
def test_no_name_and_no_picture_in_any_byte(stones, tmp_path):
    plain = private_config(stones, privacy={})
    run(plain, tmp_path / "plain")
    with pytest.raises(AssertionError, match=" in "):
        check_private(tmp_path / "plain", stones)
    results = run(private_config(stones), tmp_path / "run")
    pdna.report.write(results)
    assert check_private(tmp_path / "run", stones) > 30
    assert not (tmp_path / "run" / "thumbnails").exists()
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert page.count(b"data:image/png") == len(list((tmp_path / "run" / "figures").iterdir()))
    assert results.summary["originals_hashed"] == 8  # one is left out
    assert results.summary["pairs_identical"] > 0
    assert results.summary["pairs_excluded"] > 0
    assert sorted(results.counts.partitions["categories"].names) == ["", "cold", "warm"]
    assert list(results.counts.names) == sorted(results.counts.names), "their order says nothing"
    errors = {failure.transform: failure.error for failure in results.failures}
    assert errors["webp:40"].startswith("webp: cannot encode 17000 x 2 pixels; use a smaller")
    assert errors[None].startswith("is not an image that Pillow can identify")
    names = keyed_names(private_config(stones))
    assert sorted(names.values()) == sorted(NAMES)
    assert set(results.manifest["inputs"]) == set(names)
    assert (tmp_path / "run" / "hashers" / "bright" / "counts.npz").exists()
    failed = [failure.original for failure in results.failures]
    assert sorted(names[name] for name in failed) == ["Broken.jpg", "Marmor.png", "Wide.png"]


def test_a_private_run_continues(stones, tmp_path):
    """With its key; and without it, from the configuration in its manifest."""
    config = private_config(stones)
    run(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    again = run(config, tmp_path / "run")
    assert again.manifest["this_run"]["originals_hashed"] == 0
    assert contents(tmp_path / "run") == before
    (stones / "New.png").write_bytes((stones / "Marmor.png").read_bytes() + b"more")
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_hashed"] == 1
    stored = Results.load(tmp_path / "run").config.to_dict()
    del stored["categories"], stored["variants"]["files"]
    other = config_of(**{**stored, "thresholds": {"named": {"x": 77}}})
    read = run(other, tmp_path / "run")
    assert read.tables["thresholds"][0]["threshold"] == 77
    assert read.manifest["this_run"]["originals_available"] is False
    assert check_private(tmp_path / "run", stones)
    with pytest.raises(pdna.FileError, match="originals: they are known by a keyed digest alone"):
        run(other, tmp_path / "new")
    for privacy in ({**PRIVATE, "key_file": ""}, {**PRIVATE, "key_file": "other.key"}, {}):
        (tmp_path / "other.key").write_bytes(bytes(32))
        with pytest.raises(pdna.FileError, match=r"other originals; .*with its privacy.key_file"):
            run(private_config(stones, privacy=privacy), tmp_path / "run")
    pasted = private_config(stones, pairs={"duplicates": [list(read.counts.names[:2])]})
    assert run(pasted, tmp_path / "run").summary["pairs_excluded"] > 0
    assert compare(tmp_path / "run", tmp_path / "run").originals.same == 11


def test_a_fresh_key(stones, tmp_path):
    fresh = private_config(stones, privacy={"pictures": False, "names": "digest"})
    names = {run(fresh, tmp_path / name).counts.names for name in ("one", "two")}
    assert len(names) == 2
    check_private(tmp_path / "one", stones)
    with pytest.raises(pdna.ArgumentError, match=r"needs privacy.names .* and a privacy.key_file"):
        keyed_names(fresh)


def test_stopped_in_the_middle(stones, tmp_path, monkeypatch):
    append, kept = RecordLog.append, []

    def stopping(log, record):
        append(log, record)
        kept.append(record)
        if len(kept) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(RecordLog, "append", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(private_config(stones), tmp_path / "run")
    monkeypatch.undo()
    assert check_private(tmp_path / "run", stones) >= 3
    assert b"hmac:" in (tmp_path / "run" / "journal.jsonl").read_bytes()
    results = run(private_config(stones), tmp_path / "run")
    images = len(NAMES) + len(COPIES)
    assert 4 <= images - results.manifest["this_run"]["originals_hashed"] < images


def test_thumbnails_that_were_left(stones, tmp_path):
    """Those of an earlier run are deleted with its results; others are named."""
    named = {**PRIVATE, "pictures": True}
    run(private_config(stones, privacy=named), tmp_path / "run")
    images = list((tmp_path / "run" / "thumbnails").iterdir())
    assert images
    kept = images[0].read_bytes()
    run(private_config(stones), tmp_path / "run")
    check_private(tmp_path / "run", stones)
    images[0].parent.mkdir(exist_ok=True)
    images[0].write_bytes(kept)
    with pytest.raises(pdna.FileError, match=r"\.jpg: is a thumbnail that the manifest does not"):
        run(private_config(stones), tmp_path / "run")


def test_keys(stones, tmp_path):
    (tmp_path / "Opalith.key").write_bytes(b"short")
    with pytest.raises(pdna.FileError, match=r"Opalith.key: is no key of a run \(it has 5 bytes"):
        run(private_config(stones), tmp_path / "run")
    (tmp_path / "Opalith.key").unlink()
    with pytest.raises(pdna.FileError, match=r"Opalith.key: no such file"):
        run(private_config(stones), tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "own.key").write_bytes(bytes(32))
    inside = private_config(stones, privacy={**PRIVATE, "key_file": "run/own.key"})
    with pytest.raises(pdna.FileError, match=r"own.key: lies in the folder of the run"):
        run(inside, tmp_path / "run")
    (stones / "own.key").write_bytes(bytes(32))
    beside = private_config(stones, privacy={**PRIVATE, "key_file": "Granit-Folder/own.key"})
    assert len(run(beside, tmp_path / "beside").manifest["inputs"]) == 10, "the key is no original"
    with pytest.raises(pdna.ArgumentError, match=r"privacy.key_file: is for names = .digest."):
        private_config(stones, privacy={"key_file": "Opalith.key"})


@pytest.mark.long
def test_hashes_that_are_not_kept(stones, tmp_path, decoded):
    """No hash and no exact detail is left; other thresholds need nothing more, other pairs do."""
    options = {"privacy": {**PRIVATE, "hashes": False}, "detail": {"bins": [600.0, 3000.0]}}
    config = private_config(stones, **options)
    kept = run(private_config(stones, **{**options, "privacy": PRIVATE}), tmp_path / "kept")
    results = run(config, tmp_path / "run")
    table = pdna.HashTable.load(tmp_path / "kept" / "hashes.npz")
    parts = {one.tobytes()[start : start + 12] for one in table.hashes for start in range(132)}
    needles = {part for part in parts if len(set(part)) > 5}  # zeros are everywhere
    assert len(needles) > 500
    needles |= {one.tobytes() for one in table.detail if one}
    for place, content in folder_bytes(tmp_path / "run"):
        assert not any(needle in content for needle in needles), place
    assert not {"hashes.npz", "journal.jsonl"} & set(os.listdir(tmp_path / "run"))
    assert set(results.counts.detail) <= {0, 100, 600, 3000}
    assert results.counts.detail_bin.tolist() == kept.counts.detail_bin.tolist()
    assert results.summary == kept.summary
    assert results.tables == kept.tables
    assert Results.load(tmp_path / "run").tables == results.tables
    before = contents(tmp_path / "run")
    decoded.clear()
    other = run(private_config(stones, **options, thresholds={"named": {"x": 7}}), tmp_path / "run")
    assert other.tables["thresholds"][0]["threshold"] == 7
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_hashed"] == 0
    assert contents(tmp_path / "run") == before
    assert decoded == []
    changes = compare(tmp_path / "kept", tmp_path / "run")
    assert changes.hash_changes == ()
    assert "The second run kept no hashes, so it is unknown which of them differ." in changes.notes
    stored = results.config.to_dict()
    del stored["categories"], stored["variants"]["files"]
    with pytest.raises(pdna.FileError, match=r"hashes were not kept .*give the originals"):
        run(config_of(**stored), tmp_path / "run")  # without categories, the key is another one
    fewer = private_config(stones, **options, pairs={"variants_against_others": False})
    assert run(fewer, tmp_path / "run").manifest["this_run"]["originals_hashed"] == 12
    (stones / "Marmor.png").write_bytes((stones / "Basalt-1.png").read_bytes())
    changed = private_config(stones, **options, pairs={"variants_against_others": False})
    with pytest.raises(pdna.ArgumentError, match="no original has the digest sha256"):
        run(changed, tmp_path / "run")
    (tmp_path / "Tuffstein.csv").write_text("path,category\nBasalt-1.png,warm\n")
    assert (tmp_path / "run" / "journal.jsonl").exists(), "until a run has ended"
    run(changed, tmp_path / "run")
    run(changed, tmp_path / "fresh")
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    assert not {"hashes.npz", "journal.jsonl"} & set(os.listdir(tmp_path / "run"))


@pytest.mark.long
def test_hashes_are_deleted_when_they_are_no_longer_kept(stones, tmp_path, decoded):
    run(private_config(stones), tmp_path / "run")
    decoded.clear()
    run(private_config(stones, privacy={**PRIVATE, "hashes": False}), tmp_path / "run")
    assert not (tmp_path / "run" / "hashes.npz").exists()
    for name in ("counts.npz", "hashers/bright/counts.npz"):
        counts = pdna.evaluation.PairCounts.load(tmp_path / "run" / name)
        assert counts.hash_sample.size == 0
    assert decoded == []
    run(private_config(stones), tmp_path / "run")
    assert (tmp_path / "run" / "hashes.npz").exists()
    assert len(decoded) > 0


def test_limits_where_no_sample_of_hashes_is_kept():
    """Beyond the listed pairs they are the widest, and elsewhere the same."""
    hashed = some_hashed(40, 2, 3)
    counts = count_pairs(hashed, np.arange(40) % 2 == 0, max_listed=100)
    with_sample = estimate_rates(counts).false_match_rates
    without = estimate_rates(without_hashes(counts, config_of())).false_match_rates
    listed = counts.nearest_limit + 1
    assert 0 < listed < 3000
    np.testing.assert_array_equal(without.upper[:listed], with_sample.upper[:listed])
    assert (without.upper[listed:] == 1).all()
    assert (with_sample.upper[listed:] < 1).any()


@pytest.mark.long
def test_counts_without_hashes_of_several_hashers_and_of_copies(tmp_path):
    """They are used again as long as the pairs of every hasher, and every copy, are the same."""
    pytest.importorskip("imagehash")
    (tmp_path / "photos").mkdir()
    names = "photos/a.png", "photos/b.png", "photos/c.png", "copy.png", "other.png"
    draw_smooth_noise(tmp_path, names, 3, (4, 5), (40, 32))
    (tmp_path / "copies.csv").write_text(
        "original,variant,label\na.png,copy.png,shop\nb.png,other.png,shop\n"
    )

    def hashed(folder="run", **sections):
        config = config_of(
            tmp_path,
            originals={"kind": "directory", "path": "photos"},
            variants={"transforms": ["jpeg:30"], "files": "copies.csv"},
            hash={"names": ["average", "photodna"]},
            privacy={"hashes": False},
            **sections,
        )
        return run(config, tmp_path / folder).manifest["this_run"]["originals_hashed"]

    assert hashed() == 5
    before = contents(tmp_path / "run")
    assert hashed(thresholds={"named": {"x": 7}}) == 0
    assert hashed() == 0
    assert contents(tmp_path / "run") == before
    assert hashed(detail={"bins": [500.0]}) == 5
    assert hashed() == 5
    (tmp_path / "copy.png").write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    assert hashed() == hashed("fresh") == 5
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    assert before != contents(tmp_path / "run")
    (tmp_path / "photos").rename(tmp_path / "away")
    assert hashed(thresholds={"named": {"x": 7}}) == 0
