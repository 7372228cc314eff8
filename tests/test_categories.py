"""The file of categories: which original is of which category, and what is refused."""

import re
from hashlib import sha256

import pytest
from evaluations import contents, photo_config

import photodna_nb as pdna
from photodna_nb.evaluation import Config, Results, run


def categories_config(photos, text, **sections):
    (photos / "kinds.csv").write_bytes(text)
    return photo_config(
        photos,
        variants={"transforms": ["jpeg:30"]},
        categories={"file": "photos/kinds.csv"},
        **sections,
    )


def test_categories_of_originals(photos, tmp_path):
    digest = sha256((photos / "b.png").read_bytes()).hexdigest()
    text = f"path,category\na.png,cat\nsha256:{digest.upper()},dog\nbad.jpg,cat\nsub/e.png,dog\n"
    config = categories_config(photos, text.encode())
    results = run(config, tmp_path / "run")
    found = results.counts.partitions["categories"]
    assert found.names == ("", "cat", "dog")
    labels = [found.names[number] for number in found.number]
    assert dict(zip(results.counts.names, labels, strict=True)) == {
        **{"a.png": "cat", "b.png": "dog", "c.png": "", "d.png": "", "long.png": ""},
        "sub/e.png": "dog",
    }
    assert int(found.impostor.sum()) == results.summary["impostor_pairs"]
    assert "kinds.csv" not in results.manifest["inputs"]
    assert results.manifest["files"] == {"categories.file": sha256(text.encode()).hexdigest()}
    assert Results.load(tmp_path / "run").counts.partitions.keys() == {"categories"}
    assert Config.from_dict(config.to_dict(), base=config.base) == config
    before = contents(tmp_path / "run")
    (photos / "kinds.csv").write_text("path,category\na.png,cat\n")
    again = run(config, tmp_path / "run")  # other categories, and the same hashes
    assert again.counts.partitions["categories"].names == ("", "cat")
    assert again.manifest["this_run"]["originals_hashed"] == 0
    (photos / "kinds.csv").write_text(text)
    run(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("text", "error", "problem"),
    [
        (b"path,category\na.jpg,cat\n", pdna.ArgumentError,
         "categories.file: no original is called a.jpg; did you mean bad.jpg?"),
        (b"path,category\nsha256:" + b"0" * 64 + b",cat\n", pdna.ArgumentError,
         "categories.file: no original has the digest sha256:000"),
        (b"path,category\na.png,cat\na.png,dog\n", pdna.FileError,
         "kinds.csv: line 3 puts a.png into another category than a line before; take"),
        (b"path,kind\na.png,cat\n", pdna.FileError, "among them path and category; write"),
        (b"path,category\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(20)),
         pdna.ArgumentError, "categories.file: has 21 different ones, needs at most 20"),
    ],
)  # fmt: skip
def test_wrong_categories_are_refused(photos, tmp_path, text, error, problem):
    with pytest.raises(error, match=re.escape(problem)):
        run(categories_config(photos, text), tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({}, "categories.file: is missing; add it"),
        ({"file": ""}, "categories.file: got ''"),
        ({"path": "a.csv", "file": "a.csv"}, "categories.path: is unknown; there are file"),
        ("a.csv", "categories: got str, needs a section"),
    ],
)
def test_a_wrong_section_is_refused(photos, section, problem):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError)) as raised:
        photo_config(photos, categories=section)
    assert problem in str(raised.value)
    assert "null" not in str(raised.value)
