"""The rows of a table of hashes as originals without pictures."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

import photodna_nb as pdna
from photodna_nb.corpus import table_originals
from photodna_nb.corpus.datasets import HashOriginal, from_table

TEXT = bytes(range(144)).hex()


def a_table(n=5, seed=0, **other):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (n, 144), np.uint8)
    detail = np.where(np.arange(n) % 2, 900.5, np.nan)
    return pdna.HashTable([f"p/{row}.jpg" for row in range(n)], hashes, detail, other=other)


@pytest.mark.parametrize("suffix", [".npz", ".json", ".jsonl", ".csv", ".tsv", ".parquet"])
def test_rows_are_originals(tmp_path, suffix):
    table = a_table(scene=["a", "b", "", "a", ""])
    path = tmp_path / f"table{suffix}"
    table.save(path)
    found = from_table(path, "scene")
    assert len(found) == 5
    assert found.name == "table"
    assert [original.name for original in found] == table.paths
    assert [original.group for original in found] == ["a", "b", "", "a", ""]
    for row, original in enumerate(found):
        assert isinstance(original, HashOriginal)
        assert original.hash == table.hashes[row].tobytes()
        if suffix not in (".csv", ".tsv"):
            np.testing.assert_equal(original.detail, table.detail[row])
        assert pickle.loads(pickle.dumps(original)) == original or np.isnan(original.detail)
    assert len({original.digest() for original in found}) == 5
    assert [original.group for original in from_table(path)] == [""] * 5
    assert from_table(path)[0].digest() != found[0].digest()  # of another group
    assert [original.name for original in found[3:]] == ["p/3.jpg", "p/4.jpg"]
    with pytest.raises(pdna.ImageError, match=r"p/0.jpg: is a hash of a table, which has no pict"):
        found[0].open()


def test_lines_that_cannot_be_read_are_failures_of_their_own(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"path,hash,scene\na.jpg,{TEXT},x\nb.jpg,{TEXT[:-2]},y\nc.jpg,{TEXT},\n")
    *rows, bad = from_table(path, "scene")
    assert [row.name for row in rows] == ["a.jpg", "c.jpg"]
    assert bad.name == "list.csv:3"
    for use in (bad.digest, bad.open):
        with pytest.raises(pdna.ImageError, match=r"^list.csv:3: .*hash"):
            use()
    path.write_text(f"path,hash,type\na.jpg,{TEXT},PhotoDNA\nb.jpg,00,pdq\nc.jpg,00,pdq\n")
    with pytest.raises(pdna.ImageError, match=r"list.csv \(left out\): .* 2 x no PhotoDNA hash"):
        from_table(path)[-1].open()


def test_columns_that_are_not_clear_are_named(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"x;y;{TEXT};{TEXT[::-1]}\nz;y;{TEXT};{TEXT[::-1]}\n")
    with pytest.raises(pdna.FileError, match="hash_column"):
        from_table(path)
    found = from_table(path, path_column=0, hash_column=3, delimiter=";")
    assert [row.name for row in found] == ["x", "z"]
    assert found[0].hash.hex() == TEXT[::-1]
    labelled = from_table(path, path_column="", hash_column=2)
    assert [row.name for row in labelled] == ["list.csv:1", "list.csv:2"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"path,hash\na.jpg,{TEXT}\nb,{TEXT}\na.jpg,{TEXT}\n",
         'list.csv: has the path a.jpg twice (rows 1 and 3 of its hashes); name another column as '
         'path_column, or give path_column = ""'),
        ("path,hash\n", "list.csv: holds no hashes; check the path"),
        ("", "list.csv: holds no hashes"),
        ("path,hash\na.jpg,00\n", "list.csv: holds no hashes; the first line that is bad: "),
        ("a.jpg,b\nc.jpg,d\n", "list.csv: "),
    ],
)  # fmt: skip
def test_what_is_no_table_of_hashes_is_refused(tmp_path, content, problem):
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(pdna.FileError, match=re.escape(problem)):
        from_table(path)


def test_a_column_of_groups_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "list.npz"
    a_table(scene=["a"] * 5).save(path)
    with pytest.raises(pdna.ArgumentError, match=r"^group: .*list.npz has no further column kind; "
                       "name one of its columns: scene$"):  # fmt: skip
        from_table(path, "kind")


def test_groups_of_too_many_pairs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_originals, "MOST_GROUP_PAIRS", 3)
    path = tmp_path / "list.npz"
    a_table(scene=["a", "a", "a", "", ""]).save(path)
    assert len(from_table(path, "scene")) == 5
    a_table(scene=["a", "a", "a", "b", "b"]).save(path)
    problem = r"^group: rows .* column scene of .* have 4 pairs, needs at most 3; .* a with 3 rows"
    with pytest.raises(pdna.ArgumentError, match=problem):
        from_table(path, "scene")


def test_a_negative_detail_is_refused(tmp_path):
    path = tmp_path / "list.npz"
    replace(a_table(), detail=np.array([np.nan, -0.5, 0, 1, 2])).save(path)
    problem = r"has a detail of -0.5 for p/1.jpg, needs 0 or more"
    with pytest.raises(pdna.FileError, match=problem):
        from_table(path)


def test_a_table_of_too_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_originals, "MOST_ROWS", 4)
    path = tmp_path / "list.npz"
    a_table().save(path)
    with pytest.raises(pdna.FileError, match=r"has 5 rows, .* random sample of at most 4 rows"):
        from_table(path)
