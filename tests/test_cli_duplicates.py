"""The modes that find duplicates, matches with known images, and keep an index of folders."""

import csv
import io
import json
import os
import re
import shutil

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, draw_smooth_noise, messages
from PIL import Image
from test_cli import failed, text, wrong_usage
from test_cli_summary import summary_of

import photodna_nb as pdna
from photodna_nb.cli.output import print_content

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")

GROUP_COLUMNS = ["group", "path", "distance", "orientation", "width", "height", "bytes"]
MATCH_COLUMNS = ["path", "match", "distance", "similarity", "orientation", "detail"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images with a copy each, one of them turned; one alone, a blank one, and other files."""
    folder = tmp_path_factory.mktemp("pictures")
    draw_smooth_noise(folder, ("a.png", "b.png", "c.png"), 6, (8, 12), (240, 160))
    (folder / "below").mkdir()
    with Image.open(folder / "a.png") as image:
        image.resize((120, 80)).save(folder / "below" / "a small.jpg", quality=80)
    with Image.open(folder / "b.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "b turned.png")
    Image.new("RGB", (100, 100), "navy").save(folder / "blank.png")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").touch()
    return folder


@pytest.fixture(scope="module")
def known(folder, tmp_path_factory):
    """A table of two known images."""
    path = tmp_path_factory.mktemp("known") / "known.csv"
    pdna.HashTable(
        ["first", "second"],
        np.stack([pdna.hash_file(folder / name) for name in ("a.png", "c.png")]),
        np.full(2, np.nan),
    ).save(path)
    return path


def distance(folder, one, other):
    return pdna.distance(*(pdna.hash_file(folder / name) for name in (one, other)))


def test_groups_as_text(call, folder):
    result = call("--duplicates", folder)
    expected = f"""Group 0: 2 images
    {folder}/a.png  240x160  {(folder / "a.png").stat().st_size} bytes
    {folder}/below/a small.jpg  distance={distance(folder, "a.png", "below/a small.jpg"):.4f}  \
120x80  {(folder / "below/a small.jpg").stat().st_size} bytes

Not compared, of low detail: 1 image
    {folder}/blank.png  detail=0.0
"""
    assert text(result) == expected
    assert summary_of(result) == (
        "6 hashed, 2 skipped (1 hidden, 1 not an image), 0 failed, in … s; 1 group of 2 images "
        "within L2 distance 100, 1 of low detail not compared"
    )
    with_turned = text(call("--duplicates", folder, "--orientations"))
    assert "\n\nGroup 1: 2 images\n" in with_turned
    assert re.search(
        r"b( turned)?\.png  distance=[0-9.]+  orientation=rotate_(90|270)  ", with_turned
    )


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_formats_are_those_of_files(call, folder, tmp_path, suffix):
    printed = text(call("--duplicates", folder, "--format", suffix))
    written = tmp_path / f"groups.{suffix}"
    assert text(call("--duplicates", folder, "--output", written)) == ""
    assert printed == written.read_bytes().decode()
    pdna.duplicates(pdna.hash_directory(folder)).save(tmp_path / f"same.{suffix}")
    assert (tmp_path / f"same.{suffix}").read_bytes().decode() == printed
    if suffix == "csv":
        rows = list(csv.DictReader(io.StringIO(printed)))
    else:
        rows = json.loads(printed if suffix == "json" else f"[{','.join(printed.splitlines())}]")
    assert [list(row) for row in rows] == [GROUP_COLUMNS] * 2
    assert [row["path"] for row in rows] == [f"{folder}/a.png", f"{folder}/below/a small.jpg"]
    assert not rows[0]["distance"]
    assert float(rows[1]["distance"]) == distance(folder, "a.png", "below/a small.jpg")


def test_limits_are_exact_and_both_hold(call, tmp_path):
    hashes = np.zeros((3, 144), np.uint8)
    hashes[1, :4] = 255, 169, 7, 1  # at a distance of 306, a similarity of 0.9
    hashes[:, 143] = 9
    hashes[2, :5] = 255, 169, 7, 1, 1
    pdna.HashTable(["zero", "on", "over"], hashes, np.full(3, np.nan)).save(tmp_path / "t.npz")
    one = tmp_path / "one.npz"
    pdna.HashTable(["one"], hashes[:1], np.full(1, np.nan)).save(one)
    for options, expected in [
        (["--max-distance", "306"], ["zero", "on"]),
        (["--max-distance", "305.9999999999999"], ["zero"]),
        (["--min-similarity", "0.9"], ["zero", "on"]),
        (["--min-similarity", "0.9", "--max-distance", "400"], ["zero", "on"]),
        (["--min-similarity", "0.5", "--max-distance", "1"], ["zero"]),
        (["--min-similarity", "0.90000000000001"], ["zero"]),
        (["--min-similarity", "1"], ["zero"]),
        (["--min-similarity", "0"], ["zero", "on", "over"]),
    ]:
        result = call("--match", one, tmp_path / "t.npz", *options)
        assert [line.split("\t")[0] for line in text(result).splitlines()] == expected
    assert summary_of(result).endswith("; 3 matches of 3 images within L2 distance 3060")


def test_min_detail(call, folder, tmp_path):
    shutil.copy(folder / "blank.png", tmp_path / "same.png")
    blank = folder / "blank.png"
    assert "0 groups" in summary_of(call("--duplicates", blank, tmp_path))
    assert "1 group of 2" in summary_of(call("--duplicates", blank, tmp_path, "--min-detail", "0"))


def test_matches(call, folder, known):
    result = call("--match", known, folder)
    near = distance(folder, "a.png", "below/a small.jpg")
    expected = [("a.png", "first", 0), ("c.png", "second", 0), ("below/a small.jpg", "first", near)]
    assert text(result) == "".join(
        f"{folder}/{name}\t{label}\t{apart:.4f}\n" for name, label, apart in expected
    )
    assert summary_of(result) == (
        "6 hashed, 2 read from tables, 2 skipped (1 hidden, 1 not an image), 0 failed, in … s; "
        "3 matches of 3 images within L2 distance 100, 1 of low detail not compared"
    )
    rows = list(csv.reader(io.StringIO(text(call("--match", known, folder, "--format", "csv")))))
    assert rows[0] == MATCH_COLUMNS
    assert [row[:2] for row in rows[1:]] == [[f"{folder}/{n}", label] for n, label, _ in expected]
    turned = text(call("--match", folder / "b.png", folder / "b turned.png", "--orientations"))
    name, label, apart, orientation = turned.rstrip("\n").split("\t")
    assert (name, label) == (f"{folder}/b turned.png", f"{folder}/b.png")
    assert (float(apart) < 60, orientation) == (True, "rotate_270")


def test_the_rank_is_the_last_column_where_an_image_has_several_matches(call, folder, tmp_path):
    output = tmp_path / "matches.jsonl"
    assert text(call("--match", folder, folder / "a.png", "--output", output)) == ""
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [list(row) for row in rows] == [[*MATCH_COLUMNS, "rank"]] * 2
    assert [row["rank"] for row in rows] == [1, 2]


def test_a_page_for_review(call, folder, tmp_path):
    pytest.importorskip("matplotlib")
    for mode in (["--duplicates"], ["--match", folder / "a.png"]):
        page = tmp_path / f"{mode[0]}.html"
        assert text(call(*mode, folder, "--output", page)) == ""
        assert "a small.jpg" in page.read_text("utf-8")


def test_a_page_needs_an_extra(call, folder, tmp_path, hide_package, decoded):
    hide_package("jinja2", "report")
    (message,) = failed(call("--duplicates", folder, "--output", tmp_path / "page.html"))
    assert message == (
        "argument --output: a page in HTML: photodna_nb.report: the package Jinja2 is missing; "
        'pip install "photodna_nb[report]"'
    )
    assert decoded == []


def test_nothing_matched(call, folder, known, tmp_path):
    pair = tmp_path / "i", tmp_path / "m"
    text(call("--faiss-build", *pair, known))
    for mode in (
        ["--duplicates", folder / "b.png", folder / "c.png"],
        ["--match", known, folder / "b.png"],
        ["--faiss-query", *pair, folder / "b.png", "--max-distance", "9"],
    ):
        result = call(*mode)
        assert (result.returncode, messages(result)) == (0, [])
        if "--faiss-query" not in mode:
            assert result.stdout == b""
        assert call(*mode, "--exit-code").returncode == 3
        with_error = call(*mode, tmp_path / "missing.png", "--exit-code")
        assert with_error.returncode == 1, "with an error nothing is sure"
    assert call("--match", known, folder, "--exit-code").returncode == 0


def test_no_limit(call, folder):
    result = call("--duplicates", folder / "a.png", folder / "c.png", "--max-distance", "inf")
    assert result.returncode == 0
    assert summary_of(result).endswith("; 1 group of 2 images, without limit")


def test_errors_before_anything_is_hashed(call, folder, known, tmp_path, decoded):
    (message,) = failed(call("--match", tmp_path / "gone.csv", folder))
    assert message.startswith(f"{tmp_path}/gone.csv: ")
    (tmp_path / "empty").mkdir()
    (message,) = failed(call("--match", tmp_path / "empty", folder))
    assert message == f"{tmp_path}/empty: holds no hash to compare with; check the path"
    (message,) = failed(call("--duplicates", folder, "--output", tmp_path / "no" / "a.csv"))
    assert "its folder is missing or write-protected" in message
    message = wrong_usage(call("--duplicates", folder, "--output", "groups.npz"))
    assert "argument --output: got the suffix '.npz', needs one of .csv, .json" in message
    message = wrong_usage(call("--match", known, folder, "--output", "a.csv", "--format", "csv"))
    assert "--format goes without --output" in message
    assert decoded == []


def test_errors_name_a_command_that_works(call, folder, tmp_path):
    image = folder / "a.png"
    (message,) = failed(call("--faiss-query", "i", "m", image, cwd=tmp_path))
    expected = "photodna-nb --faiss-build i m PATH"
    assert message == f"i: no such index; check the path, or build it: {expected}"
    (message,) = failed(call("--faiss-sync", "i", "m", folder, image, cwd=tmp_path))
    expected = f"for an image: photodna-nb --faiss-add i m {image}"
    assert message == f"{image}: is a file, not a folder; {expected}"
    (message,) = failed(call("--evaluate", folder, "run", cwd=tmp_path))
    assert message.startswith(
        f"{folder}: is a folder, not a TOML file; to start from one: photodna"
    )
    (tmp_path / "meta.db").touch()
    for mode in (["--hash"], ["--match"], ["--duplicates"]):
        operands = ["meta.db", image] if mode == ["--match"] else ["meta.db"]
        (message,) = failed(call(*mode, *operands, cwd=tmp_path))
        assert message.startswith("meta.db: is no image, and by its name a file of an index; to")
    assert os.listdir(tmp_path) == ["meta.db"]


def test_a_cache_is_shared_by_modes(call, folder, known, tmp_path, decoded):
    cache = ["--cache", tmp_path / "hashes.journal"]
    first = text(call("--duplicates", folder, *cache))
    assert len(decoded) >= 6
    decoded.clear()
    assert text(call("--duplicates", folder, *cache)) == first
    text(call("--match", known, folder, *cache))
    pair = tmp_path / "i", tmp_path / "m"
    text(call("--faiss-build", *pair, known))
    text(call("--faiss-query", *pair, folder, *cache))
    assert not any(str(path).endswith("png") for path in decoded)


def test_lists_of_paths(call, folder, known):
    listed = f"{folder}/a.png\n{folder}/below\n".encode()
    assert "Group 0: 2 images" in text(call("--duplicates", "--files-from", "-", stdin=listed))
    printed = text(call("--match", known, "--files-from", "-", stdin=listed))
    assert printed.count("\tfirst\t") == 2


def test_an_index_of_folders_and_tables(call, folder, known, tmp_path):
    pair = tmp_path / "i", tmp_path / "m"
    result = call("--faiss-build", *pair, folder, known)
    assert text(result) == f"Indexed 8 file(s) into {pair[0]}\n"
    skipped = "2 skipped (1 hidden, 1 not an image)"
    assert summary_of(result) == f"8 added, 0 updated, {skipped}, 0 failed, in … s"
    result = call("--faiss-add", *pair, folder, known)
    assert "10 skipped (1 hidden, 8 indexed already, 1 not an image)" in summary_of(result)
    for queries in (folder, known):
        result = call("--faiss-query", *pair, queries, "--max-distance", "0", "--json")
        answers = json.loads(text(result))
        for answer in answers:
            assert any(one["distance"] == 0 for one in answer["results"])
        assert len(answers) == (6 if queries == folder else 2)
    assert [(one["query"], one["detail"]) for one in answers] == [("first", None), ("second", None)]
    assert not answers[0]["low_detail"]


def test_the_error_of_an_unclear_table_names_the_option_that_makes_it_clear(call, folder, tmp_path):
    hashes = [pdna.hash_file(folder / name).tobytes().hex() for name in ("a.png", "b.png")]
    table = tmp_path / "two.csv"
    table.write_text(f"one,{hashes[0]},{hashes[1]}\n")
    for mode in (
        ["--match", table, folder],
        ["--duplicates", table],
        ["--faiss-build", "i", "m", table],
    ):
        message = failed(call(*mode, cwd=tmp_path))[0]
        assert message.startswith(f"{table}: the columns '1', '2' all hold hashes")
        assert message.endswith("Give it as hash_column= (--hash-column)")
        message = failed(call(*mode, "--hash-column", "2", cwd=tmp_path))[0]
        assert 'Give it as path_column= (--path-column), "" if none does' in message
    columns = ["--hash-column", "2", "--path-column", "0"]
    assert text(call("--match", table, folder / "b.png", *columns)) == (
        f"{folder}/b.png\tone\t0.0000\n"
    )
    text(call("--faiss-build", "i", "m", table, *columns, cwd=tmp_path))
    with pdna.HashIndex.open(tmp_path / "i", tmp_path / "m") as index:
        (item,) = index.items()
    assert (item.path, item.hash.tobytes().hex()) == ("one", hashes[1])
    table.write_text(f"one\t{hashes[0]}\n")
    for delimiter in ("tab", "\\t"):
        assert "\tone\t" in text(call("--match", table, folder / "a.png", "--delimiter", delimiter))


def test_sync(call, folder, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(folder, photos)
    pair = tmp_path / "index.faiss", tmp_path / "meta.db"
    sync = ("--faiss-sync", *pair, photos)
    planned = text(call(*sync, "--dry-run"))
    names = [
        "a.png",
        "b turned.png",
        "b.png",
        "blank.png",
        "c.png",
        "notes.txt",
        "below/a small.jpg",
    ]
    assert planned == "".join(f"added\t{photos}/{name}\n" for name in names)
    assert os.listdir(tmp_path) == ["photos"]
    result = call(*sync)
    assert text(result) == f"Added 6 file(s) into {pair[0]}\n"
    assert summary_of(result) == (
        "6 added, 0 updated, 0 removed, 0 unchanged, 2 skipped (1 hidden, 1 not an image), "
        "0 failed, in … s"
    )
    (photos / "bad\x1b.jpg").write_bytes(b"no image")
    (photos / "c.png").unlink()
    shutil.copy(photos / "b.png", photos / "a.png")
    result = call(*sync)
    assert failed(result)[0].startswith(f"{photos}/bad\\x1b.jpg: is not an image")
    assert result.stdout.decode() == (
        f"Added 0 file(s) into {pair[0]}\nUpdated 1 file(s)\nRemoved 1 file(s)\n"
    )
    result = call(*sync)
    assert text(result) == f"Added 0 file(s) into {pair[0]}\n", "it is remembered"
    assert "1 could not be read before" in summary_of(result)
    assert "photodna-nb: 0 would" not in result.stderr.decode()


def test_sync_with_a_folder_that_is_empty(call, folder, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(folder, photos)
    pair = tmp_path / "index.faiss", tmp_path / "meta.json"
    text(call("--faiss-sync", *pair, photos))
    shutil.rmtree(photos / "below")
    (photos / "below").mkdir()
    (warning,) = messages(call("--faiss-sync", *pair, photos))
    assert "warning: 1 item(s) stay, though their files are gone" in warning
    assert text(call("--faiss-sync", *pair, photos, "--allow-empty")).endswith(
        "Removed 1 file(s)\n"
    )
    shutil.rmtree(photos)
    photos.mkdir()
    (message,) = failed(call("--faiss-sync", *pair, photos))
    assert "--allow-empty" in message
    assert len(pdna.HashIndex.open(*pair)) == 5


def test_names_are_printable_on_a_terminal_and_unchanged_in_a_pipe(monkeypatch, capfdbinary):
    content = b"a\x1b[31m\n" + b"\xff\n"
    print_content([content])
    assert capfdbinary.readouterr().out == content
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_content([content])
    assert capfdbinary.readouterr().out == b"a\\x1b[31m\n\\xff\n"
    monkeypatch.setattr("sys.stdout", notebook := io.StringIO())
    print_content([content])
    assert notebook.getvalue() == "a\\x1b[31m\n\\xff\n"


def documented_fields() -> dict[str, list[str]]:
    """Return the names in the table of JSON fields, by mode, those of `results` apart."""
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    section = page.partition("## Fields in JSON\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`--.*?) \| (.*) \|$", section, re.MULTILINE)
    fields = {}
    for modes, described in rows:
        described, _, nested = described.partition("`results`: objects with ")
        names = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described))
        for mode in re.findall(r"`--([\w-]+)`", modes):
            fields[mode] = names + ["results"] * bool(nested)
        if nested:
            fields["results"] = re.findall(r"`(\w+)`", nested)
    return fields


def test_documented_fields_are_those_that_are_printed(call, folder, known, tmp_path):
    pair = tmp_path / "i", tmp_path / "m"
    text(call("--faiss-build", *pair, folder))
    one = b"%b/a.png" % os.fsencode(folder)
    query = json.loads(text(call("--faiss-query", *pair, folder / "a.png", "--json")))[0]
    printed = {
        "duplicates": json.loads(text(call("--duplicates", folder, "--format", "json")))[0],
        "match": json.loads(text(call("--match", folder, folder, "--format", "json")))[0],
        "hash-dir": json.loads(text(call("--hash-dir", folder / "below", "--detail")))[0],
        "files-from": json.loads(text(call("--files-from", "-", "--detail", stdin=one)))[0],
        "faiss-query": query,
        "results": query["results"][0],
        "faiss-list": json.loads(text(call("--faiss-list", *pair, "--json")))[0],
        "compare-runs": pdna.evaluation.Comparison.__dataclass_fields__,
    }
    assert documented_fields() == {mode: list(fields) for mode, fields in printed.items()}
