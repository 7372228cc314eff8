"""One picture must not decide unseen: originals of the nearest pairs, and thresholds without."""

import shutil

import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import EDITS, config_of, photo_config, results_of, some_hashed, with_copies

import photodna_nb as pdna
from photodna_nb.cli import evaluate_mode
from photodna_nb.evaluation import Results, compare, estimate_rates, influence, run
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.deployment import choose_thresholds
from photodna_nb.evaluation.influence import measure_influence
from photodna_nb.evaluation.rates import estimate_run
from photodna_nb.evaluation.run_originals import validation_half
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.report import recommend

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def hashed_of(originals, variants, detail, prefix="o"):
    n, v = variants.shape[:2]
    names = tuple(f"{prefix}{row}.jpg" for row in range(n))
    digests = tuple(f"digest of {name}" for name in names)
    specs = ("jpeg:30", "resize:50", "crop:5", "rotate:1", "mirror", "blur:3", "text:8", "noise:25")
    made, details = np.ones((n, v), bool), np.full((n, v), 1000.0)
    return VariantHashes(
        names, digests, specs[:v], originals, detail.astype(float), variants, made, details
    )


def counted(hashed, rows=None, **options):
    hashed = hashed if rows is None else hashed.taken(rows)
    return count_pairs(hashed, validation_half(hashed.names, 0), max_workers=1, **options)


def with_a_hub(n=150, v=2, seed=3):
    """Hashes of which number 7 lies nearer to the others than these to each other."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.85, 1.15, (n, 1))
    points = np.clip(60 + scale * rng.normal(0, 30, (n, 144)), 0, 255)
    points[7] = 60 + (points[7] - 60) * 0.5
    edited = points[:, None] + rng.normal(0, 2, (n, v, 144))
    hashes, variants = (np.clip(x, 0, 255).astype(np.uint8) for x in (points, edited))
    return hashed_of(hashes, variants, np.full(n, 1000.0))


@pytest.mark.parametrize("listed", [10**6, 3000])
def test_rates_without_an_original_are_those_of_the_other_originals(listed):
    hashed = with_copies(some_hashed(60, 3, seed=5), [(3, 9), (40, 9)])
    exclude = [(7, 12), (7, 3), (20, 21)]
    counts = counted(hashed, exclude=exclude, max_listed=listed, exclude_below_detail=60)
    assert (counts.nearest_limit < 3060) == (listed == 3000)
    for row in (7, 9, int(np.flatnonzero(~counts.compared)[0])):
        rows = np.arange(60) != row
        moved = np.cumsum(rows) - 1
        left = [(moved[i], moved[j]) for i, j in exclude if row not in (i, j)]
        others = counted(hashed, rows, exclude=left, exclude_below_detail=60)
        found = estimate_rates(counts, without=hashed.names[row])
        expected = estimate_rates(others)
        end = counts.nearest_limit + 1
        assert found.images == expected.images
        assert found.curves.impostor_pairs == expected.curves.impostor_pairs
        np.testing.assert_array_equal(found.genuine_histogram, expected.genuine_histogram)
        np.testing.assert_array_equal(
            found.impostor_histogram[:end], expected.impostor_histogram[:end]
        )
        assert (found.impostor_histogram >= 0).all()
        for name in ("rate", "lower"):
            np.testing.assert_array_equal(
                getattr(found.false_match_rates, name)[:end],
                getattr(expected.false_match_rates, name)[:end],
            )
        np.testing.assert_array_equal(found.recall_upper, expected.recall_upper)


def test_an_original_that_there_is_not():
    counts = counted(some_hashed(9, 1, seed=5))
    with pytest.raises(pdna.ArgumentError, match="without: no original is called 'o88'; did you"):
        estimate_rates(counts, without="o88")
    with pytest.raises(pdna.ArgumentError, match=r"without: .*half"):
        estimate_rates(counts, "selection", without="o8")


def test_an_original_near_many_others_is_found():
    hashed = with_a_hub()
    counts, config = counted(hashed), config_of()
    estimates = estimate_run(counts, config)
    found = measure_influence(config, counts, estimates.all_originals)
    first = found.originals[0]
    assert counts.names[first.row] == "o7.jpg"
    assert first.pairs > 0.5 * first.nearest_pairs
    squared = counts.nearest.distance_squared
    within = squared <= first.distance_squared
    assert first.nearest_pairs == within.sum()
    ends = [counts.nearest.i[within], counts.nearest.j[within]]
    assert [one.pairs for one in found.originals] == sorted(
        (np.bincount(np.concatenate(ends)).tolist()), reverse=True
    )[: len(found.originals)]
    reported, *targets = (one for one in found.thresholds if one.row == first.row)
    thresholds = choose_thresholds(config, estimates)
    assert reported.choice.threshold == (thresholds.recommended or thresholds.supported)
    rows = np.arange(len(counts)) != first.row
    others = counted(hashed, rows)
    without = choose_thresholds(config, estimate_run(others, config))
    assert reported.choice_without.threshold == (without.recommended or without.supported)
    assert reported.is_material
    assert [one.choice.target for one in targets] == list(config.thresholds.targets)
    others_of = [one for one in found.thresholds if one.row != first.row]
    assert len(others_of) == 16
    assert not any(one.is_material for one in others_of)


def test_a_shorter_list_of_pairs_gives_the_same_thresholds(monkeypatch):
    counts, config = counted(with_a_hub()), config_of()
    overall = estimate_rates(counts)
    expected = measure_influence(config, counts, overall)
    monkeypatch.setattr(influence, "_LISTED", 0)
    listed = []
    estimate = influence.estimate_rates

    def estimated(counts, **options):
        listed.append(len(counts.nearest.i))
        return estimate(counts, **options)

    monkeypatch.setattr(influence, "estimate_rates", estimated)
    assert measure_influence(config, counts, overall) == expected
    assert len(listed) == 3
    assert max(listed) < len(counts.nearest.i) / 5
    assert sum(one.choice_without.threshold is not None for one in expected.thresholds) >= 1


def test_the_report_names_it_and_says_what_changes_without_it():
    results = results_of(counted(with_a_hub()), config_of())
    (warning,) = (one for one in recommend(results).warnings if "One original" in one)
    row = results.tables["influence"][0]
    reported = results.tables["influence_thresholds"][0]
    assert f"o7.jpg takes part in {100 * row['proportion']:.1f} %" in warning
    assert f"is L2 {reported['threshold_without']} instead of " in warning
    assert 'leave_out = ["o7.jpg"] under [pairs]' in warning
    assert results.summary["influential_originals"] == ["o7.jpg"]
    others = results_of(counted(with_a_hub(), np.arange(150) != 7), config_of())
    assert others.summary["influential_originals"] == []
    assert not any("One original" in one for one in recommend(others).warnings)


def test_the_terminal_names_it_without_the_packages_of_the_report(hide_package):
    results = results_of(counted(with_a_hub()), config_of())
    hide_package("jinja2", "report")
    report, warning = evaluate_mode._report_lines(results, None)
    assert "Report: not written" in report
    assert warning.startswith("The original o7.jpg changes a threshold materially: see tables/")


@pytest.mark.long
def test_the_lemon_among_a_thousand_photographs(shared_golden):
    """One of set a alone moves the threshold for a rate of 1e-7 from 299 to 398."""
    with np.load(shared_golden / "photographs" / "hashes.npz") as golden:
        arrays = (golden[f"a_{name}"] for name in ("originals", "variants", "detail"))
        counts = counted(hashed_of(*arrays))
    results = results_of(counts, config_of())
    row, *others = results.tables["influence"]
    assert row["original"] == "o951.jpg"
    assert row["proportion"] > 0.5 > 3 * others[0]["proportion"]
    changes = {
        change["target"]: change
        for change in results.tables["influence_thresholds"]
        if change["original"] == "o951.jpg" and change["criterion"] == "target"
    }
    assert changes[1e-7]["threshold_without"] - changes[1e-7]["threshold"] > 50
    assert changes[1e-7]["material"]
    (warning,) = (one for one in recommend(results).warnings if "One original" in one)
    assert "o951.jpg takes part in" in warning


def test_an_original_is_left_out_of_all_pairs(photos, tmp_path, decoded):
    first = run(photo_config(photos), tmp_path / "run")
    pairs = first.counts.pairs_per_original[first.counts.names.index("a.png")].sum()
    decoded.clear()
    config = photo_config(photos, pairs={"leave_out": ["a.png"]})
    results = run(config, tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 0
    assert "a.png" not in results.counts.names
    assert results.summary["impostor_pairs"] == first.summary["impostor_pairs"] - pairs
    assert results.summary["genuine_pairs"] == first.summary["genuine_pairs"] - len(EDITS)
    assert results.summary["originals"] == first.summary["originals"]
    assert results.summary["originals_left_out"] == 1
    assert results.manifest["configuration"]["pairs"]["leave_out"] == ["a.png"]
    assert results.manifest["inputs"] == first.manifest["inputs"]
    assert "1 original is left out of all pairs" in " ".join(recommend(results).warnings)
    assert Results.load(tmp_path / "run").tables == results.tables
    shutil.copytree(tmp_path / "run", tmp_path / "without")
    run(photo_config(photos), tmp_path / "run")
    changes = compare(tmp_path / "run", tmp_path / "without")
    assert all(not change.differing for change in changes.hash_changes)
    digest = first.counts.digests[first.counts.names.index("a.png")]
    config = photo_config(photos, pairs={"leave_out": [f"sha256:{digest.upper()}"]})
    assert run(config, tmp_path / "run").counts.names == results.counts.names
    with pytest.raises(pdna.ArgumentError, match=r"leave_out: no original is called a\.pg; did"):
        run(photo_config(photos, pairs={"leave_out": ["a.pg"]}), tmp_path / "run")
    names = list(first.counts.names[1:])
    with pytest.raises(pdna.ArgumentError, match=r"leave_out: leaves 1 of the \d+ originals"):
        run(photo_config(photos, pairs={"leave_out": names}), tmp_path / "run")
