"""Users of ``oaphotodna.py``: its lines with ``--format oaphotodna``, and what differs here.

What that program does is from the text of its file ``bin/oaphotodna.py`` in ``adulau/photodna`` at
commit 290b094c0f53abcf8df7f724401653f2460b41a7, unless another source is named.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import faiss
import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, draw_smooth_noise
from indexes import HASHES, save_index
from PIL import Image, PngImagePlugin
from test_cli import text

import photodna_nb as pdna
from photodna_nb import cli
from photodna_nb.cli.options import FORMATS, MODES, OPTIONS, flag

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")

# Of an index of two hashes at squared distances 14 and 28 from the query. The form of each line is
# that of the file; the names and distances are those of the example in its README at commit
# 8881309c7f1f97d9acd4709c95358362f7ed7fa4. That shows lines as ours are, and similarities of
# 0.998779 and 0.998273, which its own formula does not give: 1 - 3.7417 / 3060 is 0.998777.
ANSWER = """\
Query: query.jpg
Matches: 2
[1] /data/images/img2.jpg | distance=3.7417 | similarity=0.998777 | distance_squared=14.0000
[2] /data/images/img7.jpg | distance=5.2915 | similarity=0.998271 | distance_squared=28.0000
"""
LIKE = ("--format", "oaphotodna")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Images, a link to one, a file that is none, and one that looks like an option."""
    folder = tmp_path_factory.mktemp("made")
    draw_smooth_noise(folder, ("a.png", "b.png", "c.png"), 5, (6, 8), (96, 64))
    Image.new("L", (40, 40)).save(folder / "flat.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    shutil.copy(folder / "a.png", folder / "-x.png")
    (folder / "link.png").symlink_to("a.png")
    return folder


class Here:
    """Calls of this program in a folder, and what they print."""

    def __init__(self, call, folder, monkeypatch):
        self.call, self.folder, self.monkeypatch = call, folder, monkeypatch
        self.statuses, self.printed = set(), ""

    def done(self, *arguments):
        """Make a call that succeeds, before those that count."""
        return text(self.call(*arguments, cwd=self.folder))

    def run(self, *arguments):
        result = self.call(*arguments, cwd=self.folder)
        self.note(result.stdout.decode() + result.stderr.decode(), result.returncode)

    def note(self, printed, status=0):
        self.statuses.add(status)
        self.printed += printed

    def build(self, *names, index="i", meta="m.json"):
        self.done("--faiss-build", index, meta, *names)

    def table(self, file, name, row):
        (self.folder / file).write_text(
            f"path,base64\n{name},{base64.b64encode(row.tobytes()).decode()}\n"
        )

    def metadata(self):
        return (self.folder / "m.json").read_text()


@pytest.fixture
def here(call, made, tmp_path, monkeypatch):
    folder = shutil.copytree(made, tmp_path / "here", symlinks=True)
    return Here(call, folder, monkeypatch)


@pytest.fixture
def example(here):
    """The arguments of a query of the index of the example."""
    hashes = np.zeros((3, 144), np.uint8)
    hashes[1, :3] = 3, 2, 1
    hashes[2, :4] = 5, 1, 1, 1
    with pdna.HashIndex.create(here.folder / "i", here.folder / "m.json") as index:
        index.add(["/data/images/img2.jpg", "/data/images/img7.jpg"], hashes[1:])
        index.save()
    here.table("query.csv", "query.jpg", hashes[0])
    return "--faiss-query", "i", "m.json", "query.csv"


def test_answers(here, example):
    assert here.done(*example, *LIKE) == ANSWER
    one = ANSWER.replace("Matches: 2", "Matches: 1").rsplit("\n", 2)[0] + "\n"
    assert here.done(*example, "1", *LIKE) == one
    assert here.done(*example, "--max-distance", "4", *LIKE) == one
    # With no match, the file prints two lines, and its status is 0.
    none = here.done("--faiss-query", "i", "m.json", "a.png", "--min-similarity", "1", *LIKE)
    assert none == "Query: a.png\nMatches: 0\n"
    assert here.done(*example, "a.png", "1", *LIKE).count("\n") == 6, "no line is empty"
    default = here.done(*example)
    assert default == here.done(*example, "--format", "text")
    assert default.startswith(
        "Query: query.jpg\nResults: 2\n\n[1] /data/images/img2.jpg\n    id=1\n"
    )


def test_a_line_for_each_image_added(here):
    """Here as in the README at 8881309c; what more there is to say is on standard error."""
    assert here.done("--faiss-build", "i", "m.json", "a.png", "a.png", *LIKE) == (
        "Indexed 1 file(s) into i\n"
    )
    shutil.copy(here.folder / "b.png", here.folder / "a.png")
    result = here.call("--faiss-add", "i", "m.json", "a.png", "c.png", *LIKE, cwd=here.folder)
    assert text(result) == "Added 1 file(s) into i\n"
    assert b"photodna-nb: 1 added, 1 updated, 0 skipped, 0 failed" in result.stderr


def test_what_it_has_no_lines_for_goes_to_standard_error(here):
    save_index(here.folder, HASHES, index_type="HNSW8")
    query = ("--faiss-query", "index.faiss", "meta.json", "a.png", "1", *LIKE)
    result = here.call(*query, cwd=here.folder)
    assert re.fullmatch(r"Query: a.png\nMatches: 1\n\[1\] .*\n", result.stdout.decode())
    assert result.stderr.startswith(b"photodna-nb: Approximate: ")
    result = here.call(*query, "--min-detail", "1e6", cwd=here.folder)
    assert result.stdout == b"Query: a.png\nMatches: 0\n"
    assert re.match(rb"photodna-nb: a.png: Low detail: \S+ grey levels, below ", result.stderr)


def test_the_other_modes_print_the_same(here):
    """A comma-separated line; ``Distance (…)`` with four and ``Similarity`` with six digits.

    No version with ``--hash-dir`` was found.
    """
    assert re.fullmatch(r"(\d+,){143}\d+\n", here.done("--hash", "a.png", *LIKE))
    compared = here.done("--compare", "a.png", "b.png", "--metric", "manhattan", *LIKE)
    assert re.fullmatch(r"Distance \(manhattan\): \d+\.0000\nSimilarity: 0\.\d{6}\n", compared)
    (here.folder / "folder").mkdir()
    shutil.copy(here.folder / "a.png", here.folder / "folder")
    for arguments in ["--hash", "a.png"], ["--compare", "a.png", "b.png"], ["--hash-dir", "folder"]:
        assert here.done(*arguments, *LIKE) == here.done(*arguments)
    assert {mode for mode, forms in FORMATS.items() if "oaphotodna" in forms} == {
        "hash", "hash_dir", "compare", "faiss_build", "faiss_add", "faiss_query"
    }  # fmt: skip


def test_its_scripts_can_rewrite_our_metadata(here):
    """It loads the whole document, appends to "items", and dumps it indented, with sorted keys."""
    here.build("a.png")
    document = json.loads(here.metadata())
    item = {"id": 2, "path": "/b.png", "hash": HASHES[0].tolist(), "extra": {}}
    document["items"].append(item)
    document["next_id"] = 3
    (here.folder / "m.json").write_text(json.dumps(document, indent=2, sort_keys=True))
    index = faiss.read_index(str(here.folder / "i"))
    index.add_with_ids(HASHES[:1].astype(np.float32), np.array([2]))
    faiss.write_index(index, str(here.folder / "i"))
    assert here.done("--faiss-list", "i", "m.json").endswith("a.png\n2\t/b.png\n")
    verified = here.call("--faiss-verify", "i", "m.json", cwd=here.folder)
    assert verified.stdout.startswith(b"i: sound, 2 file(s)")


# What the table of the changelog says of this program: a scene for each row, by its first cell.
SCENES = {}


def row(subject):
    """Return a decorator of the scene of a row."""
    return lambda scene: SCENES.setdefault(subject, scene)


@row("modes and options")
def modes_and_options(here):
    here.note(here.done("--help"))


@row("`--hash-dir`")
def hash_dir(here):
    (here.folder / "bad.jpg").unlink()
    here.run("--hash-dir", ".")


@row("images without a mode, as in its commit 026d9665")
def an_image_alone(here):
    here.run("a.png")


@row("subcommands, as in its README")
def a_subcommand(here):
    here.run("compare", "a.png", "b.png")


@row("`--directory`, in its commit 422ad894")
def another_option_for_folders(here):
    here.run("--directory", ".")


@row("an option of another mode")
def an_option_of_another_mode(here):
    here.run("--hash", "a.png", "--metric", "manhattan")


@row("an option that is given twice")
def an_option_twice(here):
    here.run("--compare", "a.png", "b.png", "--metric", "manhattan", "--metric", "euclidean")


@row("the first letters of an option")
def the_first_letters(here):
    here.run("--comp", "a.png", "b.png")


@row("a file whose name begins with a dash")
def a_dash(here):
    for arguments in ["--hash", "./-x.png"], ["--hash", "--", "-x.png"]:
        here.run(*arguments)
        here.note(" ".join(arguments))


@row("TOP_K 0, or below")
def top_k_of_none(here):
    here.run("--faiss-query", "i", "m.json", "a.png", "0")
    here.run("--faiss-query", "i", "m.json", "a.png", "-1")


@row("TOP_K that is no number")
def top_k_in_letters(here):
    here.build("a.png")
    here.run("--faiss-query", "i", "m.json", "a.png", "ten")


@row("several queries")
def several_queries(here):
    here.build("a.png")
    here.run("--faiss-query", "i", "m.json", "a.png", "b.png")


@row("`--max-distance nan`")
def not_a_number(here):
    here.run("--faiss-query", "i", "m.json", "a.png", "--max-distance", "nan")


@row("a folder as an image")
def a_folder_as_an_image(here):
    (here.folder / "folder").mkdir()
    for name in ("a.png", "b.png", "c.png", "-x.png"):
        shutil.copy(here.folder / name, here.folder / "folder")
    here.run("--faiss-build", "i", "m.json", "folder")
    here.run("--hash", "folder")


@row("answers of `--faiss-query`")
def answers(here):
    here.build("a.png", "b.png")
    here.run("--faiss-query", "i", "m.json", "a.png")
    assert f"Results: 2\n\n[1] {here.folder}/a.png\n    id=1\n" in here.printed
    here.note("[1] NAME")


@row("name of a match that was indexed by a link")
def a_link(here):
    here.build("link.png")
    here.run("--faiss-query", "i", "m.json", "b.png")
    assert f"[1] {here.folder}/link.png\n" in here.printed
    assert f"[1] {here.folder}/a.png | " in here.done(
        "--faiss-query", "i", "m.json", "b.png", *LIKE
    )


@row("further lines on standard output")
def further_lines(here):
    here.build("a.png", "b.png")
    shutil.copy(here.folder / "c.png", here.folder / "a.png")
    here.run("--faiss-add", "i", "m.json", "a.png", "b.png")


@row("standard error, if all is good")
def standard_error(here):
    here.build("a.png")
    result = here.call("--faiss-add", "i", "m.json", "a.png", "flat.png", cwd=here.folder)
    here.note(result.stderr.decode(), result.returncode)


@row("images of low detail")
def low_detail(here):
    here.build("flat.png")
    here.run("--faiss-query", "i", "m.json", "flat.png")


@row("errors")
def unreadable(here):
    here.run("--hash", "bad.jpg")


@row("names with control characters, or not in UTF-8")
def names_with_escapes(here):
    names = [b"new\nline.png", b"x\xff.png"]
    for name in names:
        shutil.copy(here.folder / "a.png", os.path.join(os.fsencode(here.folder), name))
    here.build(*names)
    here.run("--faiss-query", "i", "m.json", "a.png")


@row("missing image, `--hash`")
def no_image_to_hash(here):
    here.run("--hash", "missing.png")


@row("missing image, other modes")
def no_image_in_other_modes(here):
    here.run("--compare", "a.png", "missing.png")
    here.run("--faiss-build", "i", "m.json", "missing.png", "a.png")
    here.run("--faiss-query", "i", "m.json", "missing.png")


@row("unreadable image")
def an_unreadable_image(here):
    here.run("--faiss-build", "i", "m.json", "bad.jpg")
    assert not (here.folder / "i").exists()
    here.run("--faiss-build", "i", "m.json", "bad.jpg", "a.png")


@row("missing index, `--faiss-query`")
def no_index_to_query(here):
    here.run("--faiss-query", "i", "m.json", "a.png")


@row("missing index, `--faiss-add`")
def no_index_to_add_to(here):
    here.run("--faiss-add", "i", "m.json", "a.png")


@row("one of its two files is missing")
def one_file_missing(here):
    here.build("a.png")
    for files in ["i", "none"], ["none", "m.json"]:
        here.run("--faiss-query", *files, "a.png")


@row("damaged index or metadata")
def damage(here):
    here.build("a.png")
    for files in ["i", "bad.jpg"], ["bad.jpg", "m.json"]:
        here.run("--faiss-query", *files, "a.png")


@row("an index that lacks items of its metadata")
def an_index_that_is_behind(here):
    here.build("a.png", "b.png")
    shutil.copy(here.folder / "i", here.folder / "before")
    here.done("--faiss-add", "i", "m.json", "c.png")
    here.run("--faiss-query", "before", "m.json", "c.png")


@row("an index with items that its metadata lacks")
def metadata_that_are_behind(here):
    here.build("a.png", "b.png")
    shutil.copy(here.folder / "m.json", here.folder / "before.json")
    here.done("--faiss-add", "i", "m.json", "c.png")
    here.run("--faiss-query", "i", "before.json", "c.png")


@row("`--faiss-build` where an index exists")
def an_index_in_its_place(here):
    here.build("a.png")
    here.run("--faiss-build", "i", "m.json", "b.png")
    assert here.done("--faiss-build", "i", "m.json", "b.png", "--overwrite")


@row("standard output that cannot be written")
def a_full_disk(here):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "photodna_nb", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    here.note(result.stderr.decode(), result.returncode)


@row("Ctrl-C")
def ctrl_c(here):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    here.monkeypatch.setitem(cli.FUNCTIONS, "hash", stopped)
    here.run("--hash", "a.png")


@row("files with equal hashes")
def equal_hashes(here):
    here.run("--faiss-build", "i", "m.json", "a.png", "./-x.png")
    lines = here.done("--faiss-query", "i", "m.json", "a.png").splitlines()
    assert [line.strip() for line in lines if "id=" in line] == ["id=1", "id=2"]


@row("a file that was indexed and has changed")
def a_changed_file(here):
    here.build("a.png")
    shutil.copy(here.folder / "b.png", here.folder / "a.png")
    here.run("--faiss-add", "i", "m.json", "a.png")


@row("a match at the very limit")
def a_match_at_the_limit(here):
    hashes = np.zeros((2, 144), np.uint8)
    hashes[1, :46] = [255] * 43 + [190, 17, 5]
    assert (hashes.astype(int) ** 2).sum() == 1683**2 == round((1 - 0.45) * 3060) ** 2
    assert 1.0 - 1683.0 / 3060.0 < 0.45, "as that program computes it"
    for name, hash_bytes in zip(("query.csv", "known.csv"), hashes, strict=True):
        here.table(name, name, hash_bytes)
    here.build("known.csv")
    here.run("--faiss-query", "i", "m.json", "query.csv", "--min-similarity", "0.45")


@row("`path` of an item")
def real_paths(here):
    here.monkeypatch.setattr(os.path, "normcase", str.upper)
    here.build("link.png")
    (item,) = json.loads(here.metadata())["items"]
    assert item["path"] == os.path.realpath(here.folder / "a.png")
    here.note("")


@row("layout of the metadata")
def layout(here):
    here.build("a.png", "b.png")
    here.note(here.metadata())
    assert here.metadata().count("\n") == 4
    assert here.metadata().endswith("}\n]}\n")


@row("further keys of the metadata, which that program keeps")
def further_keys(here):
    folder = here.folder / "folder"
    folder.mkdir()
    for name in ("a.png", "bad.jpg"):
        shutil.copy(here.folder / name, folder)
    here.build("link.png")
    here.call("--faiss-sync", "i", "m.json", "folder", cwd=here.folder)
    here.note(here.metadata())
    here.done("--faiss-build", "i", "m.json", "a.png", "--index-type", "uint8", "--overwrite")
    here.note(here.metadata())


@row("metadata in SQLite, other index types")
def other_files(here):
    for meta in ("m.sqlite", "m.db"):
        here.run("--faiss-build", f"i of {meta}", meta, "a.png", "--index-type", "uint8")
        here.note(meta)


@row("the FAISS file")
def the_index_file(here):
    here.build("a.png")
    content = (here.folder / "i").read_bytes()
    index = faiss.read_index(str(here.folder / "i"))
    faiss.write_index(index, str(here.folder / "theirs"))
    theirs = (here.folder / "theirs").read_bytes()
    assert content.startswith(theirs)
    assert len(content) > len(theirs)
    here.note("")


@row("writing the two files")
def replaced_files(here):
    here.build("a.png")
    before = {name: (here.folder / name).stat().st_ino for name in ("i", "m.json")}
    here.run("--faiss-add", "i", "m.json", "b.png")
    for name, number in before.items():
        assert (here.folder / name).stat().st_ino != number
    here.note("\n".join(os.listdir(here.folder)))


@row("images with a side of one pixel")
def thin_images(here):
    for size in (1, 40), (40, 1):
        Image.new("RGB", size).save(here.folder / "thin.png")
        here.run("--hash", "thin.png")


@row("images of over 89,478,485 pixels (Pillow's limit)")
def large_images(here):
    (here.folder / "large.pbm").write_bytes(b"P4\n9000 9943\n")
    here.run("--hash", "large.pbm")


@row("what it needs")
def requirements(here):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    names = {re.match(r"[\w-]+", needed)[0].lower() for needed in project["dependencies"]}
    assert {"numpy", "faiss-cpu"} <= names
    here.note("")


@row("PNG files with more than a megabyte of text")
def long_texts(here):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("text", "a" * 2_000_000, zip=True)
    with Image.open(here.folder / "a.png") as image:
        image.save(here.folder / "text.png", pnginfo=chunks)
    here.run("--hash", "text.png")


def rows_of_the_table() -> dict[str, list[str]]:
    """The first cell of each row of the changelog's table, and the other two."""
    section = (ROOT / "CHANGELOG.md").read_text("utf-8").split("### Different from")[1]
    lines = re.findall(r"^\| (.*) \|$", section.split("\n## ")[0], re.MULTILINE)
    rows = [line.split(" | ") for line in lines[1:]]
    assert all(len(row) == 3 for row in rows)
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("subject", SCENES)
def test_a_row_of_the_table(here, subject):
    """The words in code of its last cell are printed or are options; the statuses are those."""
    SCENES[subject](here)
    _, said = rows_of_the_table()[subject]
    flags = {flag(name) for name in (*MODES, *OPTIONS)} | {"--help"}
    for words in re.findall("`([^`]+)`", said):
        assert words in here.printed or words.split()[0] in flags, words
    assert here.statuses - {0} == {int(status) for status in re.findall(r"status (\d+)", said)}


def test_each_row_has_its_scene():
    assert list(rows_of_the_table()) == list(SCENES)


def test_the_modes_and_options_of_that_program_are_here():
    (there, _), *_ = rows_of_the_table().values()
    assert set(re.findall("`(--[^`]+)`", there)) <= {flag(name) for name in (*MODES, *OPTIONS)}
