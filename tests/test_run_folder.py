"""The folder of a run: what is kept, whose it is, kills, damage and originals that are gone."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import JIT_OFF, needs, records_in, wait_for_records, waits_at
from evaluations import DRAWN, EDITS, config_of, contents, photo_config
from PIL import Image

import photodna_nb as pdna
from photodna_nb import files, npz
from photodna_nb import journal as record_log
from photodna_nb.evaluation import original_hashes, run, run_folder, run_hashes

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def test_originals_that_are_gone(photos, tmp_path, decoded):
    """What an earlier run hashed is all that another threshold needs."""
    config = photo_config(photos)
    run(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    photos.rename(tmp_path / "elsewhere")
    decoded.clear()
    again = run(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before, "even what could not be hashed"
    assert again.manifest["this_run"]["originals_available"] is False
    other = run(photo_config(photos, thresholds={"named": {"x": 77}}), tmp_path / "run")
    assert other.tables["thresholds"][0]["threshold"] == 77
    excluded = photo_config(photos, pairs={"duplicates": [["a.png", "b.png"]]})
    assert run(excluded, tmp_path / "run").summary["pairs_excluded"] > 0
    assert decoded == []
    with pytest.raises(pdna.ArgumentError, match=r"no original is called a.pn; did you mean a.png"):
        run(photo_config(photos, pairs={"duplicates": [["a.pn", "b.png"]]}), tmp_path / "run")
    with pytest.raises(pdna.FileError, match="cannot be listed"):
        run(config, tmp_path / "new")
    (tmp_path / "run" / "journal.jsonl").write_text("")
    with pytest.raises(pdna.FileError, match="cannot be listed"):
        run(config, tmp_path / "run")  # it was stopped before all were hashed


def test_what_was_hashed_outlives_the_originals(photos, tmp_path, monkeypatch):
    """With another limit of pixels, and after a kill before the manifest was written."""
    config = photo_config(photos, variants={"transforms": ["jpeg:30", "resize:200"]})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    first = run(config, tmp_path / "run")
    lost = [failure for failure in first.failures if failure.transform == "resize:200"]
    assert lost, "twice the size is too large"
    before = (tmp_path / "run" / "hashes.npz").read_bytes()
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    monkeypatch.undo()
    photos.rename(tmp_path / "gone")
    again = run(config, tmp_path / "run")
    assert again.failures == first.failures
    assert again.counts.names == first.counts.names
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == before
    # Two more were hashed, and the program was killed before it wrote so.
    (tmp_path / "gone").rename(photos)
    for name in ("x.png", "y.png"):
        shutil.copy(photos / "a.png", photos / name)
    run(config, tmp_path / "run")
    more = (tmp_path / "run" / "hashes.npz").read_bytes()
    (tmp_path / "run" / "manifest.json").write_bytes(manifest)
    photos.rename(tmp_path / "gone")
    assert {"x.png", "y.png"} <= set(run(config, tmp_path / "run").counts.names)
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == more


def test_listed_originals_that_are_gone(photos, tmp_path):
    (tmp_path / "list.txt").write_text("photos/a.png\nphotos/b.png\nphotos/c.png\n")
    config = config_of(
        tmp_path,
        originals={"kind": "list", "path": "list.txt"},
        variants={"transforms": ["jpeg:30"]},
    )
    run(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    photos.rename(tmp_path / "gone")
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_available"] is False
    assert contents(tmp_path / "run") == before


def test_hashes_of_another_run(photos, tmp_path):
    """Copied into the folder: of other edits, as many of them, and of another seed."""
    first = photo_config(photos, variants={"transforms": ["jpeg:30", "mirror"]})
    run(first, tmp_path / "run")
    mine = (tmp_path / "run" / "hashes.npz").read_bytes()
    for sections, named in (
        ({"variants": {"transforms": ["jpeg:10", "mirror"]}}, "other variants"),
        ({"variants": {"transforms": ["jpeg:30"]}}, "other variants"),
        ({"variants": {"transforms": ["jpeg:30", "mirror"]}, "seed": 1}, "another seed"),
    ):
        run(photo_config(photos, **sections), tmp_path / "other")
        (tmp_path / "other" / "hashes.npz").replace(tmp_path / "run" / "hashes.npz")
        message = rf"hashes.npz: is of a run with {named}; delete it to hash anew, or"
        with pytest.raises(pdna.FileError, match=message):
            run(first, tmp_path / "run")
        shutil.rmtree(tmp_path / "other")
    found = dict(np.load(io.BytesIO(mine)))
    for member, value, named in (
        ("transforms", ["jpeg:10", "mirror"], "other variants"),
        ("hashing", ["[3]"], "another configuration"),
        ("hashing", [], "another configuration"),
    ):
        changed = npz.pack({**found, member: npz.pack_texts(value)})
        (tmp_path / "run" / "hashes.npz").write_bytes(changed)
        with pytest.raises(pdna.FileError, match=f"is of a run with {named}; delete it"):
            run(first, tmp_path / "run")
    (tmp_path / "run" / "hashes.npz").unlink()
    run(first, tmp_path / "run")
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == mine


def test_only_what_has_changed_is_hashed(photos, tmp_path, decoded):
    run(photo_config(photos), tmp_path / "run")
    os.replace(photos / "a.png", photos / "f.png")
    (photos / "c.png").write_bytes((photos / "d.png").read_bytes())
    (photos / "c.png").touch()
    (photos / "b.png").touch()  # the same content
    results = run(photo_config(photos), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 2
    run(photo_config(photos), tmp_path / "fresh")
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    for path in photos.rglob("*.png"):
        path.unlink()
    before = contents(tmp_path / "run")
    with pytest.raises(pdna.FileError, match=r"fewer than two could be .*bad.jpg: is not an"):
        run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_what_may_pass_is_tried_again(photos, tmp_path, monkeypatch, decoded):
    """A lack of memory, and the limit on pixels; not what is wrong with a file itself."""
    before = original_hashes.hash_and_detail

    def failing(pixels):
        if len(pixels) == 25:
            raise MemoryError
        return before(pixels)

    with monkeypatch.context() as patched:
        patched.setattr(original_hashes, "hash_and_detail", failing)
        results = run(photo_config(photos), tmp_path / "run")
    texts = {failure.error for failure in results.failures if failure.transform == EDITS[-1]}
    assert texts == {"does not fit into memory; free some, or use a smaller version of the image"}
    assert results.manifest["this_run"]["originals_hashed"] == 7
    results = run(photo_config(photos), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 5
    assert len(results.failures) == 2
    run(photo_config(photos), tmp_path / "fresh")
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    decoded.clear()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
    run(photo_config(photos), tmp_path / "run")
    assert {path for path in decoded if isinstance(path, str)} == {
        str(photos / "bad.jpg"), str(photos / "long.png")
    }  # fmt: skip


def test_whose_folder_it_is(photos, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(pdna.FileError, match=r"run: holds files \(mine.txt\) and no run.json"):
        run(photo_config(photos), folder)
    assert os.listdir(folder) == ["mine.txt"]
    (folder / "mine.txt").unlink()
    (folder / ".DS_Store").write_text("")
    run(photo_config(photos), folder)
    before = contents(folder)
    for sections, named in (
        ({"seed": 1}, "another seed; give"),
        ({"variants": {"transforms": EDITS[:2]}}, "other variants; give"),
        ({**DRAWN, "seed": 2}, "another seed and other originals; give"),
    ):
        with pytest.raises(pdna.FileError, match=f"run: belongs to a run with {named} an empty"):
            run(photo_config(photos, **sections), folder)
    with (
        run_folder.open_run(str(folder), photo_config(photos).hash_settings()),
        pytest.raises(pdna.FileError, match="another run is at work in it"),
    ):
        run(photo_config(photos), folder)
    assert contents(folder) == before
    (folder / "run.json").write_text("{")
    with pytest.raises(pdna.FileError, match=r"run.json: is damaged .*; restore it"):
        run(photo_config(photos), folder)
    (folder / "run.json").write_text('{"schema": 9, "hashing": {}, "made_with": {}}')
    with pytest.raises(pdna.FileError, match="has the schema 9, and this version reads 4; run"):
        run(photo_config(photos), folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(pdna.FileError, match=r"file: is not a folder; give a new one"):
        run(photo_config(photos), tmp_path / "file")


def test_hashes_of_two_versions_are_not_mixed(photos, tmp_path, monkeypatch):
    run(photo_config(photos), tmp_path / "run")
    newer = {**run_folder.hash_versions(), "Pillow": "99.0"}
    monkeypatch.setattr(run_folder, "hash_versions", lambda: newer)
    results = run(photo_config(photos, thresholds={"named": {"x": 1}}), tmp_path / "run")
    assert results.manifest["versions"]["results"]["Pillow"] == "99.0"
    assert results.manifest["versions"]["hashes"]["Pillow"] != "99.0"
    (photos / "new.png").write_bytes((photos / "a.png").read_bytes())
    with pytest.raises(pdna.FileError, match=r"made with other versions \(Pillow .*, now 99.0\)"):
        run(photo_config(photos), tmp_path / "run")


def test_damaged_files_in_the_folder(photos, tmp_path):
    run(photo_config(photos), tmp_path / "run")
    before = contents(tmp_path / "run")
    for name in ("counts.npz", "results.json", "manifest.json", "tables/transforms.csv"):
        (tmp_path / "run" / name).write_bytes(b"damaged")
        run(photo_config(photos), tmp_path / "run")
        assert contents(tmp_path / "run") == before
    (tmp_path / "run" / "hashes.npz").write_bytes(before["hashes.npz"][:-100])
    with pytest.raises(
        pdna.FileError, match=r"hashes.npz: is damaged .* delete it, and create it again"
    ):
        run(photo_config(photos), tmp_path / "run")
    (tmp_path / "run" / "hashes.npz").unlink()
    run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_stopped_while_it_writes(photos, tmp_path, monkeypatch):
    """Between any two files: whose the folder is, hashes, counts, results."""
    run(photo_config(photos), tmp_path / "whole")
    before = files.write
    for good in range(4):
        calls = iter(range(good))

        def stopping(*arguments, calls=calls):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            before(*arguments)

        monkeypatch.setattr(files, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(photo_config(photos), tmp_path / f"run{good}")
        monkeypatch.undo()
        assert not (tmp_path / f"run{good}" / "manifest.json").exists()
        results = run(photo_config(photos), tmp_path / f"run{good}")
        assert results.manifest["this_run"]["originals_hashed"] == (7 if good == 0 else 0)
        assert contents(tmp_path / f"run{good}") == contents(tmp_path / "whole")


def test_a_journal_that_cannot_be_written(photos, tmp_path, monkeypatch):
    class Full(io.FileIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "open_to_append", lambda path, *_: Full(path, "a+"))
    message = (
        r"journal.jsonl: cannot be written \(No space left on device\); free space on the disk"
    )
    with pytest.raises(pdna.FileError, match=message):
        run(photo_config(photos), tmp_path / "run")


def test_the_journal(tmp_path, monkeypatch):
    """A line that was cut off spoils neither those before it nor those after it."""

    def result(name, number, **errors):
        content, detail = bytes([number]) * 2 * 144, [float(number), None]
        return original_hashes.OriginalHashes(name, f"digest {number}", content, detail, **errors)

    hashing = {"seed": 0, "variants": {"transforms": ["mirror"]}}
    with run_folder.open_run(str(tmp_path / "run"), hashing) as folder:

        def append(*results):
            with run_hashes._journal(folder) as journal:
                for one in results:
                    journal.append(one)

        append(result("a", 1), result("b", 2))
        path = tmp_path / "run" / "journal.jsonl"
        for line in path.read_text("utf-8").splitlines():
            json.loads(line, parse_constant=pytest.fail)
        path.write_bytes(path.read_bytes()[:-9])
        assert set(run_hashes._known_hashes(folder)) == {"a"}
        limit = Image.MAX_IMAGE_PIXELS
        append(result("c", 3, errors={0: "too large"}, pixel_limit=limit))
        append(result("d", 4, errors={0: "no memory"}, pixel_limit=limit, permanent=False))
        known = run_hashes._known_hashes(folder)
        assert {name: one.digest for name, one in known.items()} == {
            "a": "digest 1", "c": "digest 3"
        }  # fmt: skip
        assert known["a"].hashes == bytes([1]) * 2 * 144
        assert known["a"].detail == [1, None]
        _, line, *_ = path.read_bytes().splitlines()
        earlier = (
            line[record_log._RECORD_AT : -1].replace(b"null]", b"NaN]").replace(b'"a"', b'"e"')
        )
        path.write_bytes(path.read_bytes() + record_log._line(earlier))
        found = run_hashes._known_hashes(folder)["e"].detail
        np.testing.assert_array_equal(found, [1, np.nan], err_msg="of an earlier version")
        assert known["c"].errors == {0: "too large"}
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
        # With another limit the third one may succeed.
        assert set(run_hashes._known_hashes(folder)) == {"a", "e"}
    other = {"seed": 0, "variants": {"transforms": ["mirror", "flip"]}}
    with run_folder.open_run(str(tmp_path / "other"), other) as folder:
        shutil.copy(path, tmp_path / "other")
        assert run_hashes._known_hashes(folder) == {}, "of other transforms"


KILLED = """
import json, sys
from photodna_nb.evaluation import Config, run

run(Config.from_dict(json.loads(sys.argv[1])), sys.argv[2], max_workers=int(sys.argv[3]))
"""


@needs("signals")
@pytest.mark.long
def test_a_run_that_was_killed_goes_on(tmp_path):
    """With SIGKILL, twice, with other numbers of threads; then cut off in a line."""
    config = config_of(
        originals={"kind": "dead_leaves", "number": 40, "size": [64, 48]},
        variants={"transforms": EDITS},
    )
    run(config, tmp_path / "whole", max_workers=2)
    journal = tmp_path / "run" / "journal.jsonl"
    for threads, finished in (("2", 12), ("1", 24)):
        arguments = [json.dumps(config.to_dict()), tmp_path / "run", threads]
        function = "photodna_nb.evaluation.original_hashes.hash_original"
        condition = f"arguments[0].name == 'dead_leaves/{finished:06}'"
        program = waits_at(function, condition) + KILLED
        with subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE
        ) as process:
            wait_for_records(process, journal, finished)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert records_in(journal) == finished
        assert not (tmp_path / "run" / "manifest.json").exists()
    with journal.open("rb+") as file:
        file.truncate(journal.stat().st_size - 30)
    results = run(config, tmp_path / "run", max_workers=2)
    assert results.manifest["this_run"]["originals_hashed"] == 40 - finished + 1
    assert not journal.exists()
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
