"""Evaluations of hashes without pictures: impostor pairs, groups, and what there is not."""

import importlib
import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from evaluations import cell, contents

import photodna_nb as pdna
from photodna_nb.evaluation import Config, PairCounts, Results, compare, run

N = 60
SCENES = ["a", "b", "a", "", "b", "a"]


def table_of(n=N, seed=0, prefix="o", detail=None):
    """Hashes, of which the rows of a scene are near each other, and two others equal."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 120, (n, 144), np.uint8)
    for row, scene in enumerate(SCENES):
        if scene:
            hashes[row] = hashes[SCENES.index(scene)] + rng.integers(0, 4, 144, np.uint8)
    hashes[20] = hashes[30]
    detail = np.full(n, np.nan) if detail is None else detail
    paths = [f"{prefix}{row}.jpg" for row in range(n)]
    scenes = [*SCENES, *[""] * (n - len(SCENES))]
    return pdna.HashTable(paths, hashes, detail, other={"scene": scenes})


def config_of(folder, table, suffix=".jsonl", group=True, **sections):
    table.save(folder / f"hashes{suffix}")
    originals = {"kind": "table", "path": f"hashes{suffix}"}
    if group:
        originals["group"] = "scene"
    return Config.from_dict({"originals": originals, **sections}, base=folder)


def squared(a, b):
    return int(((a.astype(int) - b) ** 2).sum())


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouped")
    table = table_of()
    return table, run(config_of(folder, table), folder / "run")


@pytest.fixture(scope="module")
def ungrouped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ungrouped")
    return run(config_of(folder, table_of(), group=False), folder / "run")


def test_pairs_of_a_table_are_counted_as_by_hand(grouped, ungrouped):
    table, results = grouped
    impostor, genuine = np.zeros((2, 3061), int)
    for i, j in combinations(range(N), 2):
        scene = table.other["scene"][i]
        same = scene and scene == table.other["scene"][j]
        (genuine if same else impostor)[cell(squared(table.hashes[i], table.hashes[j]))] += 1
    counts = results.counts
    np.testing.assert_array_equal(counts.impostor_histogram(), impostor)
    np.testing.assert_array_equal(counts.genuine_histogram(), genuine)
    np.testing.assert_array_equal(ungrouped.counts.impostor_histogram(), impostor + genuine)
    assert impostor[0] == 1  # rows with the same hash are no duplicates unless they are named
    assert (counts.pairs_excluded, counts.pairs_identical) == (genuine.sum(), 0) == (4, 0)
    assert counts.genuine.transform.tolist() == [-1] * 4
    assert len(set(counts.genuine_clusters.tolist())) == 2
    halves = dict(zip(SCENES, counts.in_validation_half.tolist(), strict=False))
    for scene, half in zip(SCENES, counts.in_validation_half.tolist(), strict=False):
        assert not scene or half == halves[scene]
    row = results.tables["thresholds"][0]
    assert (row["genuine_pairs"], row["genuine_matches"], row["recall"]) == (4, 4, 1.0)
    assert results.summary["variants"] == 0
    assert "no_recall_reason" not in results.summary


def test_what_needs_genuine_pairs_is_absent_with_a_reason(ungrouped):
    results = ungrouped
    assert results.summary["no_recall_reason"] == (
        "there are no genuine pairs (hashes have no variants)"
    )
    for name in ("transforms", "transforms_by_detail_bin", "recall", "operating_recall"):
        assert results.tables[name] == []
    for name in ("curves", "thresholds", "operating_points", "deployment"):
        for row in results.tables[name]:
            values = [value for key, value in row.items() if key.startswith("recall")]
            assert values
            assert set(values) == {None}
    curves = results.summary["curves"]
    assert {curves[name] for name in ("auc", "equal_error_rate", "average_precision")} == {None}
    assert "NaN" not in json.dumps([results.summary, results.tables])
    assert results.tables["thresholds"][0]["false_match_rate_upper"] > 0
    again = Results.load(results.run_dir)
    assert again.summary == results.summary
    assert again.estimates.all_originals.no_rates_reason == ""


def draw_figures(results, monkeypatch):
    """The names of the figures of a report, without their pixels."""
    figures = importlib.import_module("photodna_nb.report.figures").figures
    with monkeypatch.context() as patched:
        patched.setattr(pdna.plots, "render_png", lambda *_, **_options: b"")
        return figures(results, fonts=None)


@pytest.mark.long
def test_the_report_says_what_there_is_not(ungrouped, grouped, monkeypatch):
    pytest.importorskip("matplotlib")
    html = pytest.importorskip("photodna_nb.report.html")
    page = html.page(ungrouped, {})
    reason = "there are no genuine pairs (hashes have no variants)"
    assert f"There is no recall, and no figure of it: {reason}." in page
    assert "60 hashes of the table hashes.jsonl, 0 genuine pairs" in page
    assert "That of 60 originals is unknown." in page
    assert "no picture" in page
    assert "Each transform" not in page
    assert "None" not in page
    names = {
        Path(name).stem.removesuffix("_narrow") for name in draw_figures(ungrouped, monkeypatch)
    }
    assert names == {"distances", "false_match_rates"}
    texts = pdna.report.recommend(ungrouped)
    assert f"recall unknown: {reason}" in " ".join(texts.thresholds + texts.sentences)
    page = html.page(grouped[1], {})
    assert "of the pairs of originals that show the same" in page
    names = {
        Path(name).stem.removesuffix("_narrow") for name in draw_figures(grouped[1], monkeypatch)
    }
    assert "roc" in names
    assert "recall" not in names
    tuner = pytest.importorskip("photodna_nb.widgets").ThresholdTuner
    for results in (ungrouped, grouped[1], Results.load(ungrouped.run_dir)):
        assert tuner(results).threshold


def test_a_detail_that_is_not_known_is_no_low_detail(grouped, tmp_path):
    """It is in no bin, and left out by no limit, unless no detail is known at all."""
    table, results = grouped
    summary = results.summary
    assert summary["originals_unknown_detail"] == N
    assert summary["originals_low_detail"] is summary["proportion_low_detail"] is None
    assert {row["originals"] for row in results.tables["detail"]} == {0}
    assert {row["impostor_pairs"] for row in results.tables["detail"]} == {0}
    detail = np.array([np.nan, 50.0, 700.0] * (N // 3))
    partly = table_of(detail=detail)
    config = config_of(tmp_path, partly, pairs={"exclude_below_detail": 100})
    found = run(config, tmp_path / "run")
    assert found.summary["originals_unknown_detail"] == found.summary["originals_low_detail"] == 20
    assert found.summary["proportion_low_detail"] == 0.5
    assert found.counts.compared.tolist() == [value != 50 for value in detail]
    sizes = [row["originals"] for row in found.tables["detail"]]
    assert sizes == [20, 0, 20, 0, 0, 0]
    pairs = [row["impostor_pairs"] for row in found.tables["detail"]]
    near = sum(1 for i, j in combinations(range(2, N, 3), 2) if not scene_of(table, i, j))
    assert pairs == [0, 0, near, 0, 0, 0]
    assert PairCounts.load(tmp_path / "run" / "counts.npz").detail_bin.tolist() == [-1, 0, 2] * 20
    pytest.importorskip("matplotlib")
    page = pytest.importorskip("photodna_nb.report.html").page(found, {})
    assert "Each transform" not in page
    assert "The detail of 20 originals is unknown: exclude_below_detail leaves none" in page
    config = config_of(tmp_path, table, pairs={"exclude_below_detail": 100})
    problem = "pairs.exclude_below_detail: got 100, and the detail of no original is known; add"
    with pytest.raises(pdna.ArgumentError, match=re.escape(problem)):
        run(config, tmp_path / "other")


def scene_of(table, i, j):
    scene = table.other["scene"][i]
    return scene if scene == table.other["scene"][j] else ""


def test_a_table_run_goes_on_without_the_table_and_is_the_same(grouped, tmp_path):
    table, results = grouped
    config = config_of(tmp_path, table)
    run(config, tmp_path / "run", max_workers=1)
    before = contents(tmp_path / "run")
    digests = before["manifest.json"]["files"]
    assert digests.keys() == {"originals.path"}
    assert digests == results.manifest["files"]
    (tmp_path / "hashes.jsonl").unlink()
    again = run(config, tmp_path / "run")
    assert not again.manifest["this_run"]["originals_available"]
    assert contents(tmp_path / "run") == before
    with pytest.raises(pdna.FileError, match=r"hashes.jsonl: .*"):
        run(config, tmp_path / "new")
    hashes = pdna.HashTable.load(tmp_path / "run" / "hashes.npz")
    assert hashes.paths == table.paths


def test_a_private_run_of_a_table_names_no_row_and_no_group(grouped, tmp_path):
    (tmp_path / "key").write_bytes(bytes(range(32)))
    private = {"names": "digest", "pictures": False, "key_file": "key"}
    table, results = grouped
    names = [f"named {path}" for path in table.paths]
    scenes = [scene and f"scene {scene}" for scene in table.other["scene"]]
    table = replace(table, paths=names, other={"scene": scenes})
    found = run(config_of(tmp_path, table, privacy=private), tmp_path / "run")
    assert sorted(found.counts.genuine.distance_squared.tolist()) == sorted(
        results.counts.genuine.distance_squared.tolist()
    )
    content = b"".join(
        path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    )
    for text in (b"named o", b"scene a", b"hashes.jsonl"):
        assert text not in content


def test_runs_of_tables_are_compared_and_added(grouped, ungrouped, tmp_path):
    results = grouped[1]
    changes = compare(results, ungrouped)
    assert [change.name for change in changes.configuration] == ["originals.group"]
    assert pdna.evaluation.comparison_text(changes)
    other = run(config_of(tmp_path, table_of(seed=1, prefix="p")), tmp_path / "run")
    total = results.counts + other.counts
    assert len(total.genuine.i) == 8
    with pytest.raises(pdna.ArgumentError, match="are in both runs"):
        results.counts + results.counts


def test_a_row_that_is_left_out_takes_its_pairs_along(grouped, tmp_path):
    config = config_of(tmp_path, grouped[0], pairs={"leave_out": ["o0.jpg"]})
    counts = run(config, tmp_path / "run").counts
    assert len(counts) == N - 1
    assert len(counts.genuine.i) == 2


@pytest.mark.parametrize(
    ("originals", "sections", "error", "problem"),
    [
        ({"path": "gone.csv"}, {}, pdna.FileError, "gone.csv"),
        ({}, {"variants": {"transforms": ["mirror"]}}, pdna.ArgumentError,
         "variants.transforms: the originals are hashes of a table, of which no variants can be "
         "made; leave the section out"),
        ({"group": "kind"}, {}, pdna.ArgumentError, "originals.group: "),
        ({"group": "scene"}, {"pairs": {"labelled": "pairs.csv"}}, pdna.ArgumentError,
         "originals.group: pairs.labelled says which originals show the same; leave it out"),
        ({"hash_column": "kind"}, {}, pdna.FileError, "hash_column='kind' is none of them"),
        ({"hash_column": -1}, {}, pdna.ArgumentError, "originals.hash_column: got -1"),
        ({"delimiter": "ab"}, {}, pdna.ArgumentError, "originals.delimiter: got 'ab', needs one"),
        ({"encoding": "x"}, {}, pdna.ArgumentError, "originals.encoding: got 'x'"),
        ({"column": "x"}, {}, pdna.ArgumentError, "originals.column: is unknown"),
        ({"path": "hashes.dat"}, {}, pdna.ArgumentError, "originals.path: "),
    ],
)  # fmt: skip
def test_refusals_name_the_key(tmp_path, originals, sections, error, problem):
    table_of().save(tmp_path / "hashes.jsonl")
    values = {"originals": {"kind": "table", "path": "hashes.jsonl", **originals}, **sections}
    with pytest.raises(error, match=re.escape(problem)):
        run(Config.from_dict(values, base=tmp_path), tmp_path / "run")


def test_hashes_of_which_one_alone_can_be_read_are_refused(tmp_path):
    (tmp_path / "one.csv").write_text(f"path,hash\na.jpg,{'00' * 144}\nb.jpg,12\n")
    config = Config.from_dict({"originals": {"kind": "table", "path": "one.csv"}}, base=tmp_path)
    with pytest.raises(pdna.FileError, match=r"fewer than two .*\(one.csv:3: .*check originals"):
        run(config, tmp_path / "run")
