"""Tables of labels: a line of column names, then cells, from people and from strangers."""

import re

import pytest

from photodna_nb.errors import FileError
from photodna_nb.evaluation.label_files import LabelRow, read_labels


def read(tmp_path, content, *optional):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    return read_labels(str(path), ("path", "category"), optional)


@pytest.mark.parametrize(
    "content",
    [
        b'path,category\na.jpg,animal\n"b,1.jpg",\n',
        b"\xef\xbb\xbfCategory; Path \r\nanimal;a.jpg\r\n\r\n;b,1.jpg\r\n;\r\n",
        "path\tother\tcategory\na.jpg\tx\tanimal\nb,1.jpg\t\t\n".encode("utf-16"),
    ],
)
def test_labels_are_read_by_the_names_of_columns(tmp_path, content):
    rows = read(tmp_path, content, "weight")
    assert [row.cells for row in rows] == [
        {"path": "a.jpg", "category": "animal", "weight": ""},
        {"path": "b,1.jpg", "category": "", "weight": ""},
    ]


def test_a_name_that_is_no_utf8_is_kept_as_the_system_gives_it(tmp_path):
    rows = read(tmp_path, b"path,category\n\xff.jpg,caf\xc3\xa9\n")
    assert rows == [LabelRow(2, {"path": "\udcff.jpg", "category": "café"})]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must name its columns, among them path and category"),
        (b"a.jpg,animal\n", "must name its columns"),
        (b"\xff\xfe\0", "is no text ('utf-16-le' codec can't decode"),
        ("path,category\na,b\n".encode("utf-16") + b"\0", "truncated data); save it as UTF-8"),
        (b"path,category\n\n,\n", "has no lines below"),
        (b"path,category,Path\na,b,c\n", "has the column path twice; take"),
        (b"path,category\na.jpg\n", "line 2 has 1 column(s), needs 2; put"),
        (b'path,category\n"a.jpg,x\n', "line 2 is no line of cells"),
        (b"path,category\na\0.jpg,x\n", "line 2 has a path that no text can be (a\\x00.jpg)"),
        (b"path,category\n" + b"a" * 5_000_000 + b",x\n", "line 2 is no line of cells"),
    ],
)
def test_bad_labels_are_refused_with_their_line(tmp_path, content, problem):
    with pytest.raises(FileError, match=re.escape(problem)):
        read(tmp_path, content)
