"""Several sources of originals in one run: names, and pairs inside and across sources."""

import re
from itertools import combinations

import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import cell, contents

import photodna_nb as pdna
from photodna_nb.corpus.datasets import dead_leaves, from_list, from_sources
from photodna_nb.evaluation import Config, Results, run

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def several(folder, photos, **sections):
    """Files, generated images and hashes, of which a file and a hash are one picture."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 120, (7, 144), np.uint8)
    hashes[0] = pdna.hash_file(photos / "a.png")
    names = [f"{row}.jpg" for row in range(7)]
    table = pdna.HashTable(names, hashes, np.full(7, np.nan), other={"kind": ["x"] * 2 + [""] * 5})
    table.save(folder / "hashes.npz")
    originals = [
        {"kind": "directory", "path": str(photos), "name": "holidays"},
        {"kind": "dead_leaves", "number": 5, "size": [64, 48]},
        {"kind": "table", "path": "hashes.npz", "group": "kind", "name": "their list"},
    ]
    values = {"originals": originals, "variants": {"transforms": ["jpeg:30"]}, **sections}
    return Config.from_dict(values, base=folder)


def test_originals_have_the_names_of_their_sources(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    found = from_sources({"a": dead_leaves(3, (9, 8)), "b": from_list([tmp_path / "a.png"])})
    assert len(found) == 4
    assert [original.name for original in found] == [
        *(f"a/dead_leaves/00000{number}" for number in range(3)),
        f"b/{tmp_path / 'a.png'}",
    ]
    assert [original.source for original in found] == ["a", "a", "a", "b"]
    assert found[-1] == list(found)[3] == found[2:][1]
    assert found[1].digest() == dead_leaves(3, (9, 8))[1].digest()
    with pytest.raises(IndexError):
        found[4]


def test_pairs_inside_and_across_sources(photos, tmp_path):
    results = run(several(tmp_path, photos), tmp_path / "run", max_workers=1)
    counts = results.counts
    sources = counts.partitions["sources"]
    assert sources.names == ("2_dead_leaves", "holidays", "their list")
    labels = [sources.names[number] for number in sources.number]
    assert [name.partition("/")[0] for name in counts.names] == labels
    assert results.failures[0].original == "holidays/bad.jpg"
    assert "their list/0.jpg" in results.manifest["inputs"]
    assert results.manifest["files"].keys() == {"originals.their list.path"}
    hashes = pdna.HashTable.load(tmp_path / "run" / "hashes.npz").hashes.astype(int)
    expected = dict.fromkeys(sources.pairs, 0)
    for i, j in combinations(range(len(counts)), 2):
        if (counts.names[i], counts.names[j]) == ("their list/0.jpg", "their list/1.jpg"):
            continue
        a, b = sorted((sources.number[i], sources.number[j]))
        expected[a, b] = expected[a, b] + np.bincount(
            [cell(((hashes[i] - hashes[j]) ** 2).sum())], minlength=3061
        )
    of_originals = results.counts.impostor_histogram(variants=False)
    np.testing.assert_array_equal(sum(expected.values()), of_originals)
    only = run(
        several(tmp_path, photos, pairs={"variants_against_others": False}), tmp_path / "run"
    )
    np.testing.assert_array_equal(
        only.counts.partitions["sources"].impostor, list(expected.values())
    )
    assert sources.impostor.sum() == results.summary["impostor_pairs"]
    assert counts.genuine.transform.tolist().count(-1) == 1
    found = Results.load(tmp_path / "run").counts.partitions["sources"]
    np.testing.assert_array_equal(found.number, sources.number)


def test_the_report_names_the_sources(photos, tmp_path):
    pytest.importorskip("matplotlib")
    html = pytest.importorskip("photodna_nb.report.html")
    (tmp_path / "kinds.csv").write_text("path,category\nholidays/a.png,<b>\n")
    config = several(tmp_path, photos, categories={"file": "kinds.csv"})
    results = run(config, tmp_path / "run")
    page = html.page(results, {})
    assert (
        "18 originals of 3 sources: holidays (images of the folder photos), 2_dead_leaves "
        "(generated images (dead leaves, 64 × 48, seed 0)) and their list (hashes of the table "
        "hashes.npz)"
    ) in page.replace("\u00a0", " ")
    assert "Pairs of two sources" in page
    assert "Pairs of two categories" in page
    assert "The largest threshold at which the upper confidence limit of these pairs" in page
    assert "&lt;b&gt;" in page
    assert '<td data-label="category"><b>' not in page
    assert any("generated images" in text for text in pdna.report.recommend(results).warnings)


def test_several_sources_are_the_same_bytes_again_and_go_on_without_them(photos, tmp_path):
    config = several(tmp_path, photos)
    run(config, tmp_path / "run", max_workers=2)
    before = contents(tmp_path / "run")
    assert Config.from_dict(config.to_dict(), base=config.base) == config
    (tmp_path / "again.toml").write_text(config.to_toml())
    assert Config.load(tmp_path / "again.toml") == config
    (tmp_path / "hashes.npz").rename(tmp_path / "gone.npz")
    again = run(config, tmp_path / "run")
    assert not again.manifest["this_run"]["originals_available"]
    assert contents(tmp_path / "run") == before
    with pytest.raises(pdna.FileError, match=r"hashes.npz"):
        run(config, tmp_path / "new")


def test_a_private_run_of_several_sources(photos, tmp_path):
    private = {"names": "digest", "pictures": False}
    results = run(several(tmp_path, photos, privacy=private), tmp_path / "run")
    assert results.counts.partitions["sources"].names[1] == "holidays"
    content = b"".join(
        path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    )
    assert b"a.png" not in content
    assert b"0.jpg" not in content


TWO = {"kind": "dead_leaves", "number": 2}


@pytest.mark.parametrize(
    ("originals", "problem"),
    [
        ([TWO], "originals: got a list of 1, needs two or more sources under [[originals]]; write"),
        ([], "originals: got a list of 0, needs two or more"),
        (TWO | {"name": "a"}, "originals.name: only several sources, under [[originals]], have"),
        ([TWO | {"name": "a"}] * 2, "originals.name: two sources are called a; give each another"),
        ([TWO | {"name": "2_dead_leaves"}, TWO], "two sources are called 2_dead_leaves"),
        ([TWO, TWO | {"name": "a/b"}], "originals[1].name: got 'a/b', needs "),
        ([TWO, {"kind": "dead_leaves"}], "originals[1].number: is missing; add it"),
        ([TWO, TWO | {"numer": 3}], "originals[1].numer: is unknown; did you mean number?"),
        ([TWO, {"kind": "tabel"}], "originals[1].kind 'tabel': is unknown; did you mean table?"),
        ([TWO, {"kind": "table", "path": 3}], "originals[1].path: got int, needs text in quotes"),
        ([TWO, "a"], "originals[1]: got str, needs a section"),
        ("a", "originals: got str, needs a section or a list"),
    ],
)
def test_wrong_sources_are_refused(originals, problem):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=re.escape(problem)):
        Config.from_dict({"originals": originals})


def test_groups_of_two_tables_with_one_text_are_two_groups(tmp_path):
    hashes = np.random.default_rng(1).integers(0, 120, (4, 144), np.uint8)
    for name, rows in {"ours": hashes[:2], "theirs": hashes[2:]}.items():
        groups = {"scene": ["1", "1"]}
        table = pdna.HashTable(["a", "b"], rows, np.full(2, np.nan), other=groups)
        table.save(tmp_path / f"{name}.npz")
    originals = [
        {"kind": "table", "path": f"{name}.npz", "group": "scene", "name": name}
        for name in ("ours", "theirs")
    ]
    results = run(Config.from_dict({"originals": originals}, base=tmp_path), tmp_path / "run")
    genuine = results.counts.genuine
    assert sorted(zip(genuine.i.tolist(), genuine.j.tolist(), strict=True)) == [(0, 1), (2, 3)]
    assert results.summary["impostor_pairs"] == 4
