"""Genuine against impostor distances: ROC, DET and precision-recall."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.curves import curves


def rng(seed=0):
    return np.random.default_rng(seed)


def samples(seed, size=400, cells=50):
    """Distances with many ties, and their counts."""
    genuine = np.minimum(rng(seed).gamma(2, 4, size // 4).astype(int), cells - 1)
    impostor = np.minimum(rng(seed + 1).normal(25, 8, size).clip(0).astype(int), cells - 1)
    return genuine, impostor, *(np.bincount(d, minlength=cells) for d in (genuine, impostor))


@pytest.mark.parametrize("seed", range(5))
def test_curves_are_those_of_scikit_learn(seed):
    genuine, impostor, *counts = samples(seed)
    found = curves(*counts)
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    score = -np.r_[genuine, impostor]
    assert found.auc == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert found.average_precision == pytest.approx(
        average_precision_score(truth, score), abs=1e-12
    )
    precision, recall, _ = precision_recall_curve(truth, score)
    best = recall[:-1][precision[:-1] >= 0.9]
    assert found.recall_at_90_precision == pytest.approx(max(best, default=0))
    # Ties in another order would be another number: this check can fail.
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    untied = (hits / np.arange(1, len(hits) + 1))[truth[order] == 1].mean()
    assert abs(untied - found.average_precision) > 1e-6


def test_curves_are_counts_of_pairs():
    genuine, impostor, *counts = samples(1, size=80)
    found = curves(*counts)
    for t in range(50):
        g = sum(1 for d in genuine.tolist() if d <= t)
        f = sum(1 for d in impostor.tolist() if d <= t)
        assert found.genuine_matches[t] == g
        assert found.impostor_matches[t] == f
        assert found.recall[t] == g / 20
        assert found.false_non_match_rate[t] == (20 - g) / 20
        assert found.false_match_rate[t] == f / 80
        assert found.precision[t] == (g / (g + f) if g + f else 1)
    wins = sum((a < b) + (a == b) / 2 for a in genuine.tolist() for b in impostor.tolist())
    assert found.auc == pytest.approx(wins / 20 / 80)
    assert np.all(np.diff(found.false_match_rate) >= 0)
    assert np.all(np.diff(found.false_non_match_rate) <= 0)


def test_equal_error_rate_is_on_the_line_between_two_thresholds():
    found = curves(np.array([6, 2, 2, 0]), np.array([0, 1, 5, 4]))
    # At threshold 1: 0.2 and 0.1; at 2: 0 and 0.6. They cross after a seventh of the way.
    assert found.equal_error_rate == pytest.approx(0.1 + 0.5 / 7)
    assert found.equal_error_threshold == pytest.approx(1 + 1 / 7)
    apart = curves(np.array([5, 5, 0, 0]), np.array([0, 0, 3, 7]))
    assert apart.equal_error_rate == 0
    assert apart.equal_error_threshold == 1
    worst = curves(np.array([0, 0, 5]), np.array([5, 0, 0]))
    assert worst.equal_error_rate == 1
    assert worst.auc == 0
    same = curves(np.array([4, 4]), np.array([2, 2]))
    assert same.equal_error_rate == 0.5
    assert same.auc == 0.5


def test_roc_and_det_have_a_point_for_each_step():
    found = curves(np.array([0, 3, 0, 1, 0]), np.array([0, 0, 0, 2, 2]))
    rate, recall = found.roc()
    assert rate.tolist() == [0, 0, 0.5, 1]
    assert recall.tolist() == [0, 0.75, 1, 1]
    assert float(np.trapezoid(recall, rate)) == pytest.approx(found.auc)
    rate, missed = found.det()
    assert missed.tolist() == [1, 0.25, 0, 0]


def test_recall_at_90_precision_takes_the_lowest_of_equal_thresholds():
    found = curves(np.array([9, 0, 0, 1]), np.array([0, 1, 0, 50]))
    assert found.recall_at_90_precision == 0.9
    assert found.threshold_at_90_precision == 0
    exactly = curves(np.array([9, 1]), np.array([1, 9]))
    assert exactly.recall_at_90_precision == 0.9
    never = curves(np.array([1, 0]), np.array([1, 0]))
    assert never.recall_at_90_precision == 0
    assert never.threshold_at_90_precision is None


def test_curves_without_pairs_of_a_kind():
    some, none = np.array([1, 2, 3]), np.zeros(3, int)
    without_genuine, without_impostor = curves(none, some), curves(some, none)
    assert without_genuine.false_match_rate[-1] == 1
    for name in ("auc", "equal_error_rate", "average_precision", "recall_at_90_precision"):
        assert math.isnan(getattr(without_genuine, name))
        assert without_genuine.as_json()[name] is None
    assert math.isnan(without_impostor.auc)
    assert without_impostor.average_precision == 1
    json.dumps(curves(none, none).as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("genuine", "impostor", "error"),
    [
        (np.ones(3, int), np.ones(4, int), ArgumentError),
        (np.ones(3), np.ones(3, int), ArgumentTypeError),
        (np.ones(3, int), np.array([1, -2, 3]), ArgumentError),
        (np.ones(0, int), np.ones(0, int), ArgumentError),
    ],
)
def test_curves_refuse(genuine, impostor, error):
    with pytest.raises(error):
        curves(genuine, impostor)
