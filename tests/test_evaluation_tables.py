"""Tables of a run beside its counts: curves, thresholds, operating points, recall."""

import json

import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import config_of, contents, results_of, some_hashed

from photodna_nb.evaluation import run, tables
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.intervals import clopper_pearson
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.run_originals import validation_half
from photodna_nb.evaluation.thresholds import OperatingPoint, ThresholdChoice

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def test_rates_and_thresholds(tmp_path):
    config = config_of(
        originals={"kind": "dead_leaves", "number": 150, "size": [64, 48]},
        variants={"transforms": ["jpeg:10", "crop:5", "mirror"]},
        thresholds={"named": {"a": 150, "b": 640}, "targets": [0.2, 0.01, 1e-9]},
        deployment={
            "list_size": 1000,
            "queries_per_day": 10,
            "orientations": True,
            "max_false_matches_per_day": 3,
        },
    )
    results = run(config, tmp_path / "one", max_workers=1)
    run(config, tmp_path / "two", max_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    found = results.counts
    assert results.summary["no_rates_reason"] == ""
    assert 0.9 < results.summary["curves"]["auc"] <= 1
    impostor, genuine = np.cumsum(found.impostor_histogram()), np.cumsum(found.genuine_histogram())
    # Queries are looked up in eight orientations, so that recall is of the nearest of them.
    turned = np.cumsum(found.genuine_histogram(oriented=True))
    for row in results.tables["curves"]:
        t = row["threshold"]
        rate = impostor[t] / impostor[-1]
        assert row["false_match_rate"] == pytest.approx(rate, rel=1e-11)
        assert row["false_match_rate_lower"] <= rate * (1 + 1e-9)
        assert row["false_match_rate_upper"] >= rate * (1 - 1e-9)
        assert row["genuine_matches"] == genuine[t]
        assert row["recall"] == pytest.approx(turned[t] / turned[-1], rel=1e-11)
        for name, part in (("_selection", "selection"), ("_validation", "validation")):
            assert (
                row[f"impostor_matches{name}"]
                == found.impostor_histogram(split=part)[: t + 1].sum()
            )
            of_part = found.genuine_histogram(half=part, oriented=True)[: t + 1].sum()
            assert row[f"genuine_matches{name}"] == of_part
    named = dict(config.thresholds.named)
    for own in ("recommended", "supported"):
        if results.summary[own] is not None:
            named[own] = results.summary[own]
    assert len(named) == 3
    for row, (name, t) in zip(results.tables["thresholds"], named.items(), strict=True):
        assert (row["name"], row["threshold"]) == (name, t)
        assert (row["genuine_matches"], row["impostor_matches"]) == (genuine[t], impostor[t])
        assert row["genuine_matches_oriented"] == turned[t]
        recall = row["genuine_matches_oriented"] / row["genuine_pairs"]
        assert row["recall"] == pytest.approx(recall, rel=1e-11)
        assert row["recall_lower"] < recall <= row["recall_upper"]
    per_day = 1000 * 10 * 8 * impostor[640] / impostor[-1]
    row = results.tables["thresholds"][1]
    assert row["fpir"] == pytest.approx(1 - (1 - min(8 * impostor[640] / impostor[-1], 1)) ** 1000)
    assert row["fnir"] == pytest.approx(1 - row["recall"])
    assert row["fnir_lower"] == pytest.approx(1 - row["recall_upper"])
    assert row["fnir_upper"] == pytest.approx(1 - row["recall_lower"])
    assert row["expected_matches_per_day"] == pytest.approx(per_day, rel=1e-11)
    assert row["expected_matches_per_day_lower"] < per_day < row["expected_matches_per_day_upper"]
    points = results.tables["operating_points"]
    assert [(row["target"], row["conservative"]) for row in points] == [
        (target, conservative) for conservative in (False, True) for target in (0.2, 0.01, 1e-9)
    ]
    chosen = np.cumsum(found.impostor_histogram(split="selection"))
    for row in points:
        t = row["threshold"]
        if t is None:
            assert row["source"] == "none"
            assert row["reason"]
            assert row["recall"] is None
            continue
        if row["source"] == "counted" and not row["conservative"]:
            rates = chosen / chosen[-1]
            assert rates[t] <= row["target"] < rates[t + 1]
        reported = (
            found.impostor_histogram(split="validation"),
            found.genuine_histogram(half="validation", oriented=True),
        )
        assert row["impostor_matches"] == reported[0][: t + 1].sum()
        assert row["impostor_pairs"] == reported[0].sum()
        assert row["genuine_matches"] == reported[1][: t + 1].sum()
        assert row["recall_lower"] <= row["recall"] <= row["recall_upper"]
    counted = {row["target"]: row["threshold"] for row in points[:3]}
    assert counted[0.2] > counted[0.01] > 400
    assert [row["criterion"] for row in results.tables["deployment"]][:2] == [
        "estimate",
        "conservative",
    ]
    by_edit = results.tables["operating_recall"]
    assert len(by_edit) == 3 * 2 * sum(row["threshold"] is not None for row in points)
    for row in by_edit:
        squared = found.genuine_distances_squared(
            row["transform"], half="validation", oriented=row["oriented"]
        )
        assert row["genuine_pairs"] == found.in_validation_half.sum() == len(squared)
        assert row["matches"] == (squared <= row["threshold"] ** 2).sum()
    for row in results.tables["recall"]:
        lower, upper = clopper_pearson(row["matches"], row["genuine_pairs"])
        assert row["recall_lower"] == (json_number(float(lower)) if row["genuine_pairs"] else None)
        assert row["recall_upper"] == (json_number(float(upper)) if row["genuine_pairs"] else None)


def described(counts, config):
    """The summary and the tables of counts."""
    results = results_of(counts, config)
    return results.summary, results.tables


@pytest.mark.parametrize(
    ("n", "listed", "halves", "exclude", "reason"),
    [
        (2, 10**6, [False, True], [], ""),
        (2, 10**6, [False, True], [(0, 1)], "there are no impostor pairs"),
        (6, 0, [False, True], [], "have the same hash to be listed"),
        (9, 20, [True, True, True], [], ""),
        (30, 10**6, [False, True], [], ""),
    ],
)
def test_corpora_of_which_little_can_be_said(n, listed, halves, exclude, reason):
    hashed = some_hashed(n, 2, seed=n)
    if not listed:
        hashed.hashes[:] = 7
    in_validation_half = np.resize(np.array(halves), n)
    found = count_pairs(hashed, in_validation_half, exclude=exclude, max_listed=listed)
    numbers, by_name = described(found, config_of())
    assert reason in numbers["no_rates_reason"]
    assert (numbers["no_rates_reason"] == "") == (reason == "")
    assert json.dumps([numbers, by_name], allow_nan=False)
    if len(set(halves)) == 1 or n < 4:
        assert by_name["operating_points"] == []
    assert [row["criterion"] for row in by_name["deployment"]][:2] == ["estimate", "conservative"]


def test_thresholds_are_inclusive():
    hashed = some_hashed(40, 1, seed=3)
    hashed.variants[:, 0] = hashed.hashes
    hashed.variants[:, 0, 5] = hashed.hashes[:, 5] + 20
    hashed.available[:] = True
    found = count_pairs(hashed, validation_half(hashed.names, 0))
    config = config_of(thresholds={"named": {"below": 19, "at": 20}, "targets": [0.5]})
    _, by_name = described(found, config)
    rows = [row for row in by_name["recall"] if row["detail_bin"] is None]
    rows = [row for row in rows if row["threshold_name"] in ("below", "at")]
    assert [row["recall"] for row in rows] == [0, 1, 0, 1]
    assert [row["genuine_matches"] for row in by_name["thresholds"]][:2] == [0, 40]
    choice = ThresholdChoice(0.5, False, 20, "counted", "")
    (row, _) = tables._operating_recall(config, found, [OperatingPoint(choice)])
    assert row["recall"] == 1
