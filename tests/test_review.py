"""The page for review: what it holds, that it needs nothing else, and which files are written."""

import base64
import io
import os
import re
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from PIL import Image, ImageOps
from review_pages import NAMES, data_of, groups_of, notes_in, paths_in, picture, save, thumbnails_in

import photodna_nb as pdna
from photodna_nb.report import review, review_pictures, write_review

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


class Tags(HTMLParser):
    """The elements of a page, their addresses, and its scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.policy = [], [], ""
        self.texts = {"style": "", "script": ""}
        self.feed(
            re.sub(r"<script type=.*?</script>", "<script></script>", path.read_text("utf-8"))
        )

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.addresses += [values[key] for key in ("src", "href", "action") if key in values]
        assert "style" not in values  # the policy forbids it
        assert not [key for key in values if key.startswith("on")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_data(self, data):
        if self.lasttag in self.texts:
            self.texts[self.lasttag] = max(self.texts[self.lasttag], data, key=len)


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """A picture, and variants of it in two groups; the second one is of another picture."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "sub").mkdir()
    image = picture()
    first = save(image, folder / "first.png")
    other = save(picture(1), folder / "other.jpg", quality=95)
    paths = [
        first,
        save(image, folder / "sub" / "same pixels.png", compress_level=1),
        save(image.resize((160, 120)), folder / "smaller.webp"),
        save(image.resize((320, 120)), folder / "squeezed.png"),
        save(ImageOps.mirror(image), folder / "mirrored.png"),
        save(image.rotate(90, expand=True), folder / "turned.png"),
        folder / "copy.png",
        other,
        save(picture(1), folder / "recompressed.jpg", quality=50),
    ]
    (folder / "copy.png").write_bytes(first.read_bytes())
    return paths


def written(tmp_path, groups, **options):
    path = tmp_path / "review.html"
    assert write_review(groups, path, **options) == str(path)
    return data_of(path)


def test_what_differs(tmp_path, variants):
    orientations = ["identity"] * 4 + ["flip_left_right", "rotate_90"] + ["identity"] * 3
    groups = groups_of(variants, [7, 2], [0, 0, 3, 40, 0, 0, 0, 0, 7.5], orientations=orientations)
    data = written(tmp_path, groups)
    assert paths_in(data) == [str(path) for path in variants]
    notes = [[re.sub(r"\d+ %$", "N %", note) for note in one] for one in notes_in(data)]
    assert notes == [
        [],  # others have as many pixels
        ["same pixels, other bytes"],
        ["smaller: N %"],
        ["smaller: N %", "other proportions"],
        ["mirrored"],
        ["turned left by 90°", "more bytes: N %"],
        ["identical file"],
        [],
        ["fewer bytes: N %"],
    ]
    assert [note[0] for note in notes_in(data)[2:4]] == ["smaller: 50 %", "smaller: 71 %"]
    assert data["start"] == [0, 7]
    assert data["distance"] == [None, 0, 3, 40, 0, 0, 0, None, 7.5]
    assert data["width"][:3] == [320, 320, 160]
    formats = [data["format_texts"][number] for number in data["format"]]
    assert formats == ["PNG", "PNG", "WEBP", *["PNG"] * 4, "JPEG", "JPEG"]
    assert data["bytes"] == [path.stat().st_size for path in variants]
    assert data["seconds"] == [int(path.stat().st_mtime) for path in variants]


def test_thumbnails(tmp_path, variants):
    data = written(tmp_path, groups_of(variants, [7, 2]))
    thumbnails = thumbnails_in(data)
    assert len(thumbnails) == 8  # the copy has that of the first
    assert data["thumbnail"] == [0, 1, 2, 3, 4, 5, 0, 6, 7]
    shapes = []
    for content in thumbnails:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            shapes.append(image.size)
            image.load()
    assert shapes[:6] == [(240, 180), (240, 180), (160, 120), (240, 90), (240, 180), (180, 240)]


def test_each_file_is_decoded_once(tmp_path, variants, monkeypatch):
    opened = []
    before = review_pictures.with_image
    monkeypatch.setattr(
        review_pictures, "with_image", lambda file, use: opened.append(file) or before(file, use)
    )
    written(tmp_path, groups_of(variants, [7, 2]))
    assert sorted(opened) == sorted(str(path) for path in variants if path.name != "copy.png")


def test_copies_of_others_than_the_first(tmp_path):
    image = picture()
    paths = [save(image, tmp_path / "a.png"), save(image.resize((64, 48)), tmp_path / "b.png")]
    paths.append(tmp_path / "c.png")
    paths[2].write_bytes(paths[1].read_bytes())
    notes = notes_in(written(tmp_path, groups_of(paths, [3], [0, 9, 9])))
    assert notes[0] == ["most pixels"]
    assert notes[2] == ["identical file to no. 2", *notes[1]]


def test_people_see_a_picture_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture()
    paths = [save(image, tmp_path / "a.jpg"), save(image, tmp_path / "b.jpg", exif=exif)]
    paths.append(save(image, tmp_path / "c.jpg", exif=b"Exif\0\0damaged"))
    data = written(tmp_path, groups_of(paths, [3], [0, 0, 0]))
    assert notes_in(data)[1][-1] == "turned by its EXIF data"
    with Image.open(io.BytesIO(thumbnails_in(data)[1])) as thumbnail:
        assert thumbnail.size == (180, 240)
    assert data["width"] == [320] * 3  # as they are stored
    assert len(thumbnails_in(data)) == 3


def test_transparent_pixels_are_grey(tmp_path):
    image = picture().convert("RGBA")
    image.putalpha(0)
    paths = [save(image, tmp_path / "a.png"), tmp_path / "b.png", tmp_path / "c.gif"]
    Image.new("LA", (300, 200), (0, 0)).save(paths[1])
    Image.fromarray(np.indices((200, 256)).sum(0).astype(np.uint8)).convert("P").save(
        paths[2], transparency=7
    )
    with pytest.warns(pdna.LowDetailWarning):
        groups = groups_of(paths, [3])
    contents = thumbnails_in(written(tmp_path, groups))
    assert len(contents) == 3
    for content in contents[:2]:
        with Image.open(io.BytesIO(content)) as thumbnail:
            assert np.abs(np.asarray(thumbnail).astype(int) - 160).max() <= 2


def test_narrow_pictures_and_other_modes(tmp_path):
    image = picture(size=(2000, 60))
    paths = [
        save(image.resize((2000, 4)), tmp_path / "a.png"),
        save(image.convert("CMYK"), tmp_path / "b.jpg", comment=b"secret"),
        save(image.convert("L"), tmp_path / "c.jpg", comment=b"secret"),
        save(image.convert("P"), tmp_path / "d.gif"),
        save(image.convert("1"), tmp_path / "e.tif"),
    ]
    data = written(tmp_path, groups_of(paths, [5]))
    assert data["thumbnail"] == list(range(5))
    for content in thumbnails_in(data):
        assert b"secret" not in content
        with Image.open(io.BytesIO(content)) as thumbnail:
            assert thumbnail.width == 240
            assert thumbnail.mode == "RGB"


def test_files_that_are_gone_changed_or_damaged(tmp_path):
    paths = [save(picture(seed), tmp_path / f"{seed}.png") for seed in range(4)]
    groups = groups_of(paths, [4], [0, 1, 2, 3])
    paths[1].unlink()
    save(picture(9, (64, 48)), paths[2])
    paths[3].write_bytes(paths[3].read_bytes()[:2000])
    data = written(tmp_path, groups)
    notes = notes_in(data)
    assert notes[1][0] == "missing: there is no such file now"
    assert notes[2][0] == "changed since it was hashed"
    assert notes[3][0] == "changed since it was hashed"
    assert notes[3][1].startswith("is truncated or damaged")
    assert data["thumbnail"] == [0, -1, 1, -1]
    assert data["width"] == [320, 320, 64, 320]


@needs("named pipes")
def test_a_named_pipe_does_not_block(tmp_path):
    paths = [save(picture(seed), tmp_path / f"{seed}.png") for seed in range(2)]
    groups = groups_of(paths, [2])
    paths[1].unlink()
    os.mkfifo(paths[1])
    assert "is not a regular file" in " ".join(notes_in(written(tmp_path, groups))[1])


def test_no_file_of_a_label_is_opened(tmp_path, monkeypatch):
    paths = [save(picture(), tmp_path / name) for name in ("a.png", "b.png")]
    pdna.hash_files(paths).save(tmp_path / "t.npz")
    monkeypatch.setattr(review_pictures, "with_image", None)
    data = written(tmp_path, pdna.duplicates(pdna.HashTable.load(tmp_path / "t.npz")))
    assert paths_in(data) == list(map(str, paths))
    assert notes_in(data) == [["hash from a table: no file is opened"]] * 2
    assert data["thumbnail"] == [-1, -1]
    assert [folder[2] for folder in data["folders"]] == [""]  # and no link leads there
    assert data["bytes"] == [-1, -1]


@needs("names of any bytes")
def test_names_come_back(tmp_path):
    folder = os.fsencode(tmp_path / "<b>") + b"/\xf0\x9f\x98\x80 \xff"
    os.makedirs(folder)
    paths = [os.path.join(folder, name) for name in NAMES]
    for path in paths:
        save(picture(size=(64, 48)), path, format="PNG")
    data = written(tmp_path, groups_of(paths, [len(paths)]))
    assert [os.fsencode(path) for path in paths_in(data)] == paths
    content = (tmp_path / "review.html").read_text("utf-8")
    assert "<" not in content.partition('id="data">')[2].partition("</script>")[0]
    ((_, shown, address),) = data["folders"]
    assert shown == f"{tmp_path}/<b>/😀 \\xff/"
    assert address == "%3Cb%3E/%F0%9F%98%80%20%FF/"
    assert {NAMES[int(row)]: text for row, text in data["shown"].items()} == {
        "\u202egnp.exe.png".encode(): "\\u202egnp.exe.png",
        "‏\u2066x.png".encode(): "\\u200f\\u2066x.png",
        b"latin\xe9.png": "latin\\xe9.png",
        b"\xff\xfe.png": "\\xff\\xfe.png",
        b"two\nlines.png": "two\\nlines.png",
        b"carriage\r.png": "carriage\\r.png",
        b"terminal\x1b[31m.png": "terminal\\x1b[31m.png",
    }
    page = Tags(tmp_path / "review.html")
    assert page.tags.count("script") == 2
    assert page.tags.count("style") == 1
    others = ["b", "iframe", "object", "embed", "svg", "a", "form", "link", "base"]
    assert page.tags.count("img") == 3  # of the templates
    assert not set(page.tags) & set(others)
    assert page.addresses == []


def test_the_policy_names_the_script_and_the_style(tmp_path, variants):
    written(tmp_path, groups_of(variants, [7, 2]))
    page = Tags(tmp_path / "review.html")
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    assert rules["default-src"] == "'none'"
    for rule, text in (("script-src", page.texts["script"]), ("style-src", page.texts["style"])):
        assert len(text) > 3000
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["img-src"] == "'self' file: data:"  # no host
    assert "http" not in page.texts["script"] + page.texts["style"] + page.policy


def test_the_same_bytes(tmp_path, variants, monkeypatch):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    contents = []
    for workers in (1, 2):
        written(tmp_path, groups_of(variants, [7, 2]), max_workers=workers)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        contents.append({str(path): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 9


def thumbnail_files(folder):
    return {path.name: path for path in folder.glob("review_files/*/*.jpg")}


def test_thumbnails_in_a_folder(tmp_path, variants, monkeypatch):
    embedded = thumbnails_in(written(tmp_path, groups_of(variants, [7, 2])))
    assert [path.name for path in tmp_path.iterdir()] == ["review.html"]
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 8)
    data = written(tmp_path, groups_of(variants, [7, 2]))
    assert data["embedded"] == []
    files = thumbnail_files(tmp_path)
    assert [files[f"{number}.jpg"].read_bytes() for number in range(8)] == embedded
    (folder,) = (tmp_path / "review_files").iterdir()
    assert data["thumbnails"] == f"review_files/{folder.name}/"

    # Other pictures take their place, and nothing else that lies there.
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "review_files" / "notes").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "7.jpg").write_text("mine")
    (tmp_path / "review_files" / ("0" * 16)).symlink_to(tmp_path / "linked")
    (tmp_path / "review_files" / f".photodna-nb-{'0' * 16}.tmp").mkdir()  # of a killed program
    data = written(tmp_path, groups_of([*variants[:7], variants[8], variants[7]], [7, 2]))
    other = tmp_path / data["thumbnails"]
    assert other != folder
    assert len(list(other.iterdir())) == 8
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt"]
    there = {path.name for path in (tmp_path / "review_files").iterdir()}
    assert there == {"notes", "0" * 16, folder.name, other.name}
    assert (tmp_path / "linked" / "7.jpg").exists()

    # The same pictures again: a lost thumbnail is there again.
    (other / "3.jpg").unlink()
    written(tmp_path, groups_of([*variants[:7], variants[8], variants[7]], [7, 2]))
    assert len(list(other.iterdir())) == 8

    # Few pictures need no folder.
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 9)
    written(tmp_path, groups_of(variants, [7, 2]))
    assert not other.exists()
    assert (tmp_path / "review_files" / "notes").exists()


def test_a_failure_leaves_the_old_page(tmp_path, variants, monkeypatch):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    groups = groups_of(variants, [7, 2])
    written(tmp_path, groups)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def broken(*_):
        raise RuntimeError("stopped")

    for name in ("_page", "read_pictures"):
        with monkeypatch.context() as patch:
            patch.setattr(review, name, broken)
            with pytest.raises(RuntimeError, match="stopped"):
                write_review(groups, tmp_path / "review.html")
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
        assert len(list((tmp_path / "review_files").iterdir())) == 1


@needs("permissions")
def test_thumbnails_are_as_private_as_the_page(tmp_path, variants, monkeypatch):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    groups = groups_of(variants, [7, 2])
    written(tmp_path, groups)
    (tmp_path / "review.html").chmod(0o600)
    written(tmp_path, groups)
    assert {path.stat().st_mode & 0o777 for path in thumbnail_files(tmp_path).values()} == {0o600}


@needs("names of any bytes")
def test_a_page_with_another_name(tmp_path, variants, monkeypatch):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    path = os.fsdecode(os.fsencode(tmp_path) + b"/a#b \xff.html")
    write_review(groups_of(variants, [7, 2]), path)
    name = data_of(tmp_path / os.path.basename(path))["thumbnails"]
    assert re.fullmatch(r"a%23b%20%FF_files/[0-9a-f]{16}/", name)


def test_wide_groups_are_marked(tmp_path, variants):
    for widest in (100.0, 100.5):
        data = written(tmp_path, groups_of(variants, [7, 2], widest=widest))
        assert data["widest"] == [widest * (widest > 100)] * 2


def test_what_was_not_compared_is_listed(tmp_path, variants):
    Image.new("RGB", (50, 50)).save(tmp_path / "<blank>.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.warns(pdna.LowDetailWarning):
        table = pdna.hash_directory(tmp_path, errors="record")
    table = pdna.HashTable.concatenate([pdna.hash_files(variants), table])
    write_review(pdna.duplicates(table), tmp_path / "review.html")
    text = (tmp_path / "review.html").read_text("utf-8")
    assert "1 picture with too little detail was not compared" in text
    assert f"<li><bdi>{tmp_path}/&lt;blank&gt;.png</bdi></li>" in text
    assert "1 file could not be read" in text
    assert "1 not an image" in text
    assert "Nothing is ever deleted or changed by this page." in text


def test_matches(tmp_path, variants):
    table = pdna.hash_files(variants)
    known = pdna.hash_files(variants[:2])
    known.save(tmp_path / "known.csv")
    matches = pdna.match(table, pdna.HashTable.load(tmp_path / "known.csv"), orientations=True)
    data = written(tmp_path, matches)
    assert data["kind"] == "matches"
    assert data["number"] == matches.row[matches.rank == 1].tolist()
    first = [paths_in(data)[start] for start in data["start"]]
    assert first == [str(variants[number]) for number in data["number"]]
    assert len(data["name"]) == len(matches) + len(first)
    assert sum(number >= 0 for number in data["thumbnail"]) == len(first)
    assert "most pixels" not in data["notes_texts"]  # sizes of the known ones are not known

    no_limit = pdna.match(table, known, float("inf"))
    assert written(tmp_path, no_limit[::-1])["limit"] is None
    assert data_of(tmp_path / "review.html")["number"] == list(range(len(table)))


def test_selected_rows_and_none(tmp_path, variants):
    groups = groups_of(variants, [7, 2], [0, 0, 3, 40, 0, 0, 0, 0, 7.5])
    data = written(tmp_path, groups[groups.distance > 5])
    assert data["number"] == [0, 1]
    assert data["start"] == [0, 1]
    assert data["distance"] == [40, 7.5]
    data = written(tmp_path, groups[:0])
    assert data["start"] == []
    assert "0 groups" in (tmp_path / "review.html").read_text("utf-8")


def test_wrong_arguments(tmp_path, variants):
    groups = groups_of(variants[:2], [2])
    with pytest.raises(pdna.ArgumentTypeError, match="groups: got list, needs the DuplicateGroups"):
        write_review([], tmp_path / "review.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(pdna.FileError, match="is a directory"):
        write_review(groups, tmp_path / "folder.html")
    with pytest.raises(pdna.FileError, match="cannot be written"):
        write_review(groups, tmp_path / "missing" / "review.html")
    with pytest.raises(pdna.ArgumentError, match="max_workers: got 0"):
        write_review(groups, tmp_path / "review.html", max_workers=0)
    with pytest.raises(pdna.ArgumentTypeError, match="progress: got int"):
        write_review(groups, tmp_path / "review.html", progress=1)


def test_a_file_in_place_of_the_folder(tmp_path, variants, monkeypatch):
    monkeypatch.setattr(review, "_MOST_EMBEDDED", 0)
    (tmp_path / "review_files").write_text("mine")
    with pytest.raises(pdna.FileError, match="review_files: cannot be written"):
        write_review(groups_of(variants, [7, 2]), tmp_path / "review.html")
    assert (tmp_path / "review_files").read_text("utf-8") == "mine"


def test_a_page_has_the_suffix_of_one(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"kept")
    groups = pdna.duplicates(np.zeros((2, 144), np.uint8))
    with pytest.raises(pdna.ArgumentError, match=r"suffix '\.png'"):
        write_review(groups, picture)
    assert picture.read_bytes() == b"kept"
