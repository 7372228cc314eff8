"""The walk over folders: order, links, hidden entries, folders that cannot be listed."""

import codecs
import errno
import os

import pytest
from conftest import needs

import photodna_nb as pdna
from photodna_nb.folders import files_in, listed_paths


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "top"
    for below in ("b/deep", "a-c", ".cache/below"):
        (top / below).mkdir(parents=True)
    for name in ("z", "a", "b/x", "b/deep/y", "a-c/w", ".cache/v", ".cache/below/u", ".hidden"):
        (top / name).touch()
    (top / "circle").symlink_to(top)
    (top / "b" / "loop").symlink_to("loop")
    (top / "link").symlink_to(top / "a")
    (top / "broken").symlink_to(top / "nothing")
    getattr(os, "mkfifo", type(top).touch)(top / "pipe")  # its name is what counts
    return top


def test_the_files_of_a_folder_come_before_those_of_the_folders_below(folder):
    names = files_in(str(folder), recursive=True, hidden=False)
    assert names == ["a", "broken", "link", "pipe", "z", "a-c/w", "b/loop", "b/x", "b/deep/y"]
    assert files_in(str(folder), recursive=False, hidden=False) == names[:5]


def test_hidden_files_and_folders_count_if_they_are_asked_for(folder):
    hidden = set(files_in(str(folder), recursive=True, hidden=True)) - set(
        files_in(str(folder), recursive=True, hidden=False)
    )
    assert hidden == {".hidden", ".cache/v", ".cache/below/u"}


@needs("names of any bytes")
def test_names_need_not_be_text(tmp_path):
    name = os.fsdecode(b"\xff\n.png")
    (tmp_path / name).touch()
    assert files_in(str(tmp_path), recursive=True, hidden=True) == [name]


def test_a_folder_below_that_cannot_be_listed(folder, monkeypatch):
    honest = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return honest(path)

    monkeypatch.setattr(os, "scandir", scandir)
    errors = []
    names = files_in(str(folder), recursive=True, hidden=False, errors=errors)
    assert names == ["a", "broken", "link", "pipe", "z", "a-c/w"]
    expected = f"{folder}/b: cannot be listed (Permission denied); check the path"
    assert [str(error) for error in errors] == [expected]
    with pytest.raises(pdna.FileError, match="/b: cannot be listed"):
        files_in(str(folder), recursive=True, hidden=False)


@pytest.mark.parametrize("name", ["missing", "a\0b", "file", ""])
def test_what_is_no_folder_is_an_error_in_any_case(tmp_path, monkeypatch, name):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pdna.FileError, match="cannot be listed"):
        files_in(name, recursive=True, hidden=True, errors=[])


def test_folders_nested_deeper_than_the_recursion_limit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    depth = 1200
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    assert files_in(str(tmp_path), recursive=True, hidden=True, errors=[]) == []
    for _ in range(depth):  # shutil.rmtree is recursive, too
        os.chdir("..")
        os.rmdir("d")


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"a.jpg\nb c.jpg\r\n\n d.jpg", ["a.jpg", "b c.jpg", " d.jpg"]),
        (b"a\n.jpg\0b.jpg\r\0\0", ["a\n.jpg", "b.jpg\r"]),
        (b"\xff", ["\udcff"]),
        (b"", []),
        (b"a\0b\0", ["a", "b"]),
        (b"\0\0", []),
        (b"\n\n", []),
        (b"./\n\0./a\0", ["./\n", "./a"]),
        (codecs.BOM_UTF8 + b"a.png\r\nb.png\r\n", ["a.png", "b.png"]),
        (codecs.BOM_UTF8 + b"a.png\0b.png\0", ["a.png", "b.png"]),
        (codecs.BOM_UTF8, []),
        ("a.png\r\n猫.png\r\n".encode("utf-16"), ["a.png", "猫.png"]),
        (codecs.BOM_UTF16_BE + "a.png\n😀".encode("utf-16-be"), ["a.png", "😀"]),
        (codecs.BOM_UTF16_LE, []),
    ],
)
def test_lists_by_line_and_by_nul(content, paths):
    assert listed_paths("list.txt", content) == paths


@pytest.mark.parametrize(
    "content",
    [
        "a.png\r\nb.png\r\n".encode("utf-16-le"),
        "a.png\nb.png".encode("utf-16-be"),
        "a.png\nb.png".encode("utf-32"),
        "a.png\nb.png".encode("utf-32-le"),
        "a.png\nb.png".encode("utf-16")[:-1],
        codecs.BOM_UTF16_LE + b"\x00\xd8",
    ],
)
def test_a_list_in_another_encoding_is_one_error(content):
    words = "^list.txt: is no list of paths in UTF-8 but in UTF-16 or UTF-32; save it as UTF-8$"
    with pytest.raises(pdna.FileError, match=words):
        listed_paths("list.txt", content)
