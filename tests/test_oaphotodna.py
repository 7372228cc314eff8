"""Users of ``oaphotodna.py``: its lines with ``--format oaphotodna``, and what differs program.

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

import faiss
import numpy as np
import pytest
from conftest import AVAILABLE, JIT_OFF, ROOT, draw_smooth_noise
from indexes import HASHES, save_index
from PIL import Image, PngImagePlugin
from repository import PROJECT, text_of
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
AS_OAPHOTODNA = ("--format", "oaphotodna")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images, a link to one, a file that is none, and one that looks like an option."""
    folder = tmp_path_factory.mktemp("images")
    draw_smooth_noise(folder, ("a.png", "b.png", "c.png"), 5, (6, 8), (96, 64))
    Image.new("L", (40, 40)).save(folder / "flat.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    shutil.copy(folder / "a.png", folder / "-x.png")
    (folder / "link.png").symlink_to("a.png")
    return folder


class Program:
    """This program in a folder; what its calls print, and their exit statuses, are recorded."""

    def __init__(self, call, folder, monkeypatch):
        self.call, self.folder, self.monkeypatch = call, folder, monkeypatch
        self.statuses, self.printed = set(), ""

    def output(self, *arguments):
        """Return the standard output of a call that succeeds, which is not recorded."""
        return text(self.call(*arguments, cwd=self.folder))

    def run(self, *arguments):
        result = self.call(*arguments, cwd=self.folder)
        self.record(result.stdout.decode() + result.stderr.decode(), result.returncode)

    def record(self, printed, status=0):
        self.statuses.add(status)
        self.printed += printed

    def build(self, *names):
        self.output("--faiss-build", "i", "m.json", *names)

    def write_table(self, file, name, hash_bytes):
        hash_text = base64.b64encode(hash_bytes.tobytes()).decode()
        (self.folder / file).write_text(f"path,base64\n{name},{hash_text}\n")

    def metadata(self):
        return (self.folder / "m.json").read_text("utf-8")


@pytest.fixture
def program(call, images, tmp_path, monkeypatch):
    folder = shutil.copytree(images, tmp_path / "folder", symlinks=True)
    return Program(call, folder, monkeypatch)


@pytest.fixture
def example(program):
    """The arguments of a query of the index of the example."""
    hashes = np.zeros((3, 144), np.uint8)
    hashes[1, :3] = 3, 2, 1
    hashes[2, :4] = 5, 1, 1, 1
    with pdna.HashIndex.create(program.folder / "i", program.folder / "m.json") as index:
        index.add(["/data/images/img2.jpg", "/data/images/img7.jpg"], hashes[1:])
        index.save()
    program.write_table("query.csv", "query.jpg", hashes[0])
    return "--faiss-query", "i", "m.json", "query.csv"


def test_answers(program, example):
    assert program.output(*example, *AS_OAPHOTODNA) == ANSWER
    one = ANSWER.replace("Matches: 2", "Matches: 1").rsplit("\n", 2)[0] + "\n"
    assert program.output(*example, "1", *AS_OAPHOTODNA) == one
    assert program.output(*example, "--max-distance", "4", *AS_OAPHOTODNA) == one
    # With no match, the file prints two lines, and its status is 0.
    none = program.output(
        "--faiss-query", "i", "m.json", "a.png", "--min-similarity", "1", *AS_OAPHOTODNA
    )
    assert none == "Query: a.png\nMatches: 0\n"
    assert program.output(*example, "a.png", "1", *AS_OAPHOTODNA).count("\n") == 6, (
        "no line is empty"
    )
    default = program.output(*example)
    assert default == program.output(*example, "--format", "text")
    assert default.startswith(
        "Query: query.jpg\nResults: 2\n\n[1] /data/images/img2.jpg\n    id=1\n"
    )


def test_a_line_for_each_image_added(program):
    """As in the README at 8881309c; what more there is to say is on standard error."""
    assert program.output("--faiss-build", "i", "m.json", "a.png", "a.png", *AS_OAPHOTODNA) == (
        "Indexed 1 file(s) into i\n"
    )
    shutil.copy(program.folder / "b.png", program.folder / "a.png")
    result = program.call(
        "--faiss-add", "i", "m.json", "a.png", "c.png", *AS_OAPHOTODNA, cwd=program.folder
    )
    assert text(result) == "Added 1 file(s) into i\n"
    assert b"photodna-nb: 1 added, 1 updated, 0 skipped, 0 failed" in result.stderr


def test_what_it_has_no_lines_for_goes_to_standard_error(program):
    save_index(program.folder, HASHES, index_type="HNSW8")
    query = ("--faiss-query", "index.faiss", "meta.json", "a.png", "1", *AS_OAPHOTODNA)
    result = program.call(*query, cwd=program.folder)
    assert re.fullmatch(r"Query: a.png\nMatches: 1\n\[1\] .*\n", result.stdout.decode())
    assert result.stderr.startswith(b"photodna-nb: Approximate: ")
    result = program.call(*query, "--min-detail", "1e6", cwd=program.folder)
    assert result.stdout == b"Query: a.png\nMatches: 0\n"
    assert re.match(rb"photodna-nb: a.png: Low detail: \S+ grey levels, below ", result.stderr)


def test_the_other_modes_print_the_same(program):
    """A comma-separated line; ``Distance (…)`` with four and ``Similarity`` with six digits.

    No version with ``--hash-dir`` was found.
    """
    assert re.fullmatch(r"(\d+,){143}\d+\n", program.output("--hash", "a.png", *AS_OAPHOTODNA))
    compared = program.output(
        "--compare", "a.png", "b.png", "--metric", "manhattan", *AS_OAPHOTODNA
    )
    assert re.fullmatch(r"Distance \(manhattan\): \d+\.0000\nSimilarity: 0\.\d{6}\n", compared)
    (program.folder / "folder").mkdir()
    shutil.copy(program.folder / "a.png", program.folder / "folder")
    for arguments in ["--hash", "a.png"], ["--compare", "a.png", "b.png"], ["--hash-dir", "folder"]:
        assert program.output(*arguments, *AS_OAPHOTODNA) == program.output(*arguments)
    assert {mode for mode, forms in FORMATS.items() if "oaphotodna" in forms} == {
        "hash", "hash_dir", "compare", "faiss_build", "faiss_add", "faiss_query"
    }  # fmt: skip


def test_its_scripts_can_rewrite_our_metadata(program):
    """It loads the whole document, appends to "items", and dumps it indented, with sorted keys."""
    program.build("a.png")
    document = json.loads(program.metadata())
    item = {"id": 2, "path": "/b.png", "hash": HASHES[0].tolist(), "extra": {}}
    document["items"].append(item)
    document["next_id"] = 3
    (program.folder / "m.json").write_text(json.dumps(document, indent=2, sort_keys=True))
    index = faiss.read_index(str(program.folder / "i"))
    index.add_with_ids(HASHES[:1].astype(np.float32), np.array([2]))
    faiss.write_index(index, str(program.folder / "i"))
    assert program.output("--faiss-list", "i", "m.json").endswith("a.png\n2\t/b.png\n")
    verified = program.call("--faiss-verify", "i", "m.json", cwd=program.folder)
    assert verified.stdout.startswith(b"i: sound, 2 file(s)")


# What the table of the changelog says of this program: a scene for each row, by its first cell.
SCENES = {}


def row(subject):
    """Return a decorator of the scene of a row."""
    return lambda scene: SCENES.setdefault(subject, scene)


def calls(subject, *commands, build=""):
    """Add the scene of a row that is calls alone, after an index of some images is built."""

    def scene(program):
        if build:
            program.build(*build.split())
        for command in commands:
            program.run(*command.split())

    row(subject)(scene)


@row("modes and options")
def modes_and_options(program):
    program.record(program.output("--help"))


@row("`--hash-dir`")
def hash_dir(program):
    (program.folder / "bad.jpg").unlink()
    program.run("--hash-dir", ".")


calls("images without a mode, as in its commit 026d9665", "a.png")
calls("subcommands, as in its README", "compare a.png b.png")
calls("`--directory`, in its commit 422ad894", "--directory .")
calls("an option of another mode", "--hash a.png --metric manhattan")
calls(
    "an option that is given twice", "--compare a.png b.png --metric manhattan --metric euclidean"
)
calls("the first letters of an option", "--comp a.png b.png")


@row("a file whose name begins with a dash")
def a_dash(program):
    for arguments in ["--hash", "./-x.png"], ["--hash", "--", "-x.png"]:
        program.run(*arguments)
        program.record(" ".join(arguments))


calls("TOP_K 0, or below", "--faiss-query i m.json a.png 0", "--faiss-query i m.json a.png -1")
calls("TOP_K that is no number", "--faiss-query i m.json a.png ten", build="a.png")
calls("several queries", "--faiss-query i m.json a.png b.png", build="a.png")
calls("`--max-distance nan`", "--faiss-query i m.json a.png --max-distance nan")


@row("a folder as an image")
def a_folder_as_an_image(program):
    (program.folder / "folder").mkdir()
    for name in ("a.png", "b.png", "c.png", "-x.png"):
        shutil.copy(program.folder / name, program.folder / "folder")
    program.run("--faiss-build", "i", "m.json", "folder")
    program.run("--hash", "folder")


@row("answers of `--faiss-query`")
def answers(program):
    program.build("a.png", "b.png")
    program.run("--faiss-query", "i", "m.json", "a.png")
    assert f"Results: 2\n\n[1] {program.folder}/a.png\n    id=1\n" in program.printed
    program.record("[1] NAME")


@row("name of a match that was indexed by a link")
def a_link(program):
    program.build("link.png")
    program.run("--faiss-query", "i", "m.json", "b.png")
    assert f"[1] {program.folder}/link.png\n" in program.printed
    assert f"[1] {program.folder}/a.png | " in program.output(
        "--faiss-query", "i", "m.json", "b.png", *AS_OAPHOTODNA
    )


@row("further lines on standard output")
def further_lines(program):
    program.build("a.png", "b.png")
    shutil.copy(program.folder / "c.png", program.folder / "a.png")
    program.run("--faiss-add", "i", "m.json", "a.png", "b.png")


@row("standard error, if all is good")
def standard_error(program):
    program.build("a.png")
    result = program.call("--faiss-add", "i", "m.json", "a.png", "flat.png", cwd=program.folder)
    program.record(result.stderr.decode(), result.returncode)


calls("images of low detail", "--faiss-query i m.json flat.png", build="flat.png")
calls("errors", "--hash bad.jpg")


@row("names with control characters, or not in UTF-8")
def names_with_escapes(program):
    if not AVAILABLE["names of any bytes"]:
        pytest.skip("needs names of any bytes")
    names = [b"new\nline.png", b"x\xff.png"]
    for name in names:
        shutil.copy(program.folder / "a.png", os.path.join(os.fsencode(program.folder), name))
    program.build(*names)
    program.run("--faiss-query", "i", "m.json", "a.png")


calls("missing image, `--hash`", "--hash missing.png")
calls(
    "missing image, other modes",
    "--compare a.png missing.png",
    "--faiss-build i m.json missing.png a.png",
    "--faiss-query i m.json missing.png",
)


@row("unreadable image")
def an_unreadable_image(program):
    program.run("--faiss-build", "i", "m.json", "bad.jpg")
    assert not (program.folder / "i").exists()
    program.run("--faiss-build", "i", "m.json", "bad.jpg", "a.png")


calls("missing index, `--faiss-query`", "--faiss-query i m.json a.png")
calls("missing index, `--faiss-add`", "--faiss-add i m.json a.png")
calls(
    "one of its two files is missing",
    "--faiss-query i none a.png",
    "--faiss-query none m.json a.png",
    build="a.png",
)
calls(
    "damaged index or metadata",
    "--faiss-query i bad.jpg a.png",
    "--faiss-query bad.jpg m.json a.png",
    build="a.png",
)


def query_with_a_file_of_before(program, name):
    """Search an index, of which one file is as it was before the image was added."""
    program.build("a.png", "b.png")
    shutil.copy(program.folder / name, program.folder / f"before_{name}")
    program.output("--faiss-add", "i", "m.json", "c.png")
    files = (f"before_{one}" if one == name else one for one in ("i", "m.json"))
    program.run("--faiss-query", *files, "c.png")


@row("an index that lacks items of its metadata")
def an_index_that_is_behind(program):
    query_with_a_file_of_before(program, "i")


@row("an index with items that its metadata lacks")
def metadata_that_are_behind(program):
    query_with_a_file_of_before(program, "m.json")


@row("`--faiss-build` where an index exists")
def an_index_in_its_place(program):
    program.build("a.png")
    program.run("--faiss-build", "i", "m.json", "b.png")
    assert program.output("--faiss-build", "i", "m.json", "b.png", "--overwrite")


@row("standard output that cannot be written")
def a_full_disk(program):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "photodna_nb", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    program.record(result.stderr.decode(), result.returncode)


@row("Ctrl-C")
def ctrl_c(program):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    program.monkeypatch.setitem(cli.FUNCTIONS, "hash", stopped)
    program.run("--hash", "a.png")


@row("files with equal hashes")
def equal_hashes(program):
    program.run("--faiss-build", "i", "m.json", "a.png", "./-x.png")
    lines = program.output("--faiss-query", "i", "m.json", "a.png").splitlines()
    assert [line.strip() for line in lines if "id=" in line] == ["id=1", "id=2"]


@row("a file that was indexed and has changed")
def a_changed_file(program):
    program.build("a.png")
    shutil.copy(program.folder / "b.png", program.folder / "a.png")
    program.run("--faiss-add", "i", "m.json", "a.png")


@row("a match at the very limit")
def a_match_at_the_limit(program):
    hashes = np.zeros((2, 144), np.uint8)
    hashes[1, :46] = [255] * 43 + [190, 17, 5]
    assert (hashes.astype(int) ** 2).sum() == 1683**2 == round((1 - 0.45) * 3060) ** 2
    assert 1.0 - 1683.0 / 3060.0 < 0.45, "as that program computes it"
    for name, hash_bytes in zip(("query.csv", "known.csv"), hashes, strict=True):
        program.write_table(name, name, hash_bytes)
    program.build("known.csv")
    program.run("--faiss-query", "i", "m.json", "query.csv", "--min-similarity", "0.45")


@row("`path` of an item")
def real_paths(program):
    program.monkeypatch.setattr(os.path, "normcase", str.upper)
    program.build("link.png")
    (item,) = json.loads(program.metadata())["items"]
    assert item["path"] == os.path.realpath(program.folder / "a.png")


@row("layout of the metadata")
def layout(program):
    program.build("a.png", "b.png")
    program.record(program.metadata())
    assert program.metadata().count("\n") == 4
    assert program.metadata().endswith("}\n]}\n")


@row("further keys of the metadata, which that program keeps")
def further_keys(program):
    folder = program.folder / "folder"
    folder.mkdir()
    for name in ("a.png", "bad.jpg"):
        shutil.copy(program.folder / name, folder)
    program.build("link.png")
    program.call("--faiss-sync", "i", "m.json", "folder", cwd=program.folder)
    program.record(program.metadata())
    program.output("--faiss-build", "i", "m.json", "a.png", "--index-type", "uint8", "--overwrite")
    program.record(program.metadata())


@row("metadata in SQLite, other index types")
def other_files(program):
    for meta in ("m.sqlite", "m.db"):
        program.run("--faiss-build", f"i of {meta}", meta, "a.png", "--index-type", "uint8")
        program.record(meta)


@row("the FAISS file")
def the_index_file(program):
    program.build("a.png")
    content = (program.folder / "i").read_bytes()
    index = faiss.read_index(str(program.folder / "i"))
    faiss.write_index(index, str(program.folder / "theirs"))
    theirs = (program.folder / "theirs").read_bytes()
    assert content.startswith(theirs)
    assert len(content) > len(theirs)


@row("writing the two files")
def replaced_files(program):
    program.build("a.png")
    before = {name: (program.folder / name).stat().st_ino for name in ("i", "m.json")}
    program.run("--faiss-add", "i", "m.json", "b.png")
    for name, number in before.items():
        assert (program.folder / name).stat().st_ino != number
    program.record("\n".join(os.listdir(program.folder)))


@row("images with a side of one pixel")
def thin_images(program):
    for size in (1, 40), (40, 1):
        Image.new("RGB", size).save(program.folder / "thin.png")
        program.run("--hash", "thin.png")


@row("images of over 89,478,485 pixels (Pillow's limit)")
def large_images(program):
    (program.folder / "large.pbm").write_bytes(b"P4\n9000 9943\n")
    program.run("--hash", "large.pbm")


@row("what it needs")
def requirements(program):
    assert PROJECT["requires-python"] == ">=3.11"
    names = {re.match(r"[\w-]+", needed)[0].lower() for needed in PROJECT["dependencies"]}
    assert {"numpy", "faiss-cpu"} <= names


@row("PNG files with more than a megabyte of text")
def long_texts(program):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("text", "a" * 2_000_000, zip=True)
    with Image.open(program.folder / "a.png") as image:
        image.save(program.folder / "text.png", pnginfo=chunks)
    program.run("--hash", "text.png")


def rows_of_the_table() -> dict[str, list[str]]:
    """The first cell of each row of the changelog's table, and the other two."""
    section = text_of("CHANGELOG.md").split("### Different from")[1]
    lines = re.findall(r"^\| (.*) \|$", section.split("\n## ")[0], re.MULTILINE)
    rows = [line.split(" | ") for line in lines[1:]]
    assert all(len(row) == 3 for row in rows)
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("subject", SCENES)
def test_a_row_of_the_table(program, subject):
    """The words in code of its last cell are printed or are options; the statuses are those."""
    SCENES[subject](program)
    _, said = rows_of_the_table()[subject]
    typed = {flag(name) for name in (*MODES, *OPTIONS)} | {"--help", " ".join(AS_OAPHOTODNA)}
    for words in re.findall("`([^`]+)`", said):
        assert words in program.printed or words in typed, words
    assert program.statuses - {0} == {int(status) for status in re.findall(r"status (\d+)", said)}


def test_each_row_has_its_scene():
    assert list(rows_of_the_table()) == list(SCENES)


def test_the_modes_and_options_of_that_program_are_here():
    (its_cell, _), *_ = rows_of_the_table().values()
    assert set(re.findall("`(--[^`]+)`", its_cell)) <= {flag(name) for name in (*MODES, *OPTIONS)}
