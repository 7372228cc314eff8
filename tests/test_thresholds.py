"""Choice of thresholds, operating points, and false matches per day."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from corpora import fitted, power_law, with_duplicate
from evaluations import by_original

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.curves import curves
from photodna_nb.evaluation.dependence import ImpostorPairs, matrix_dependence
from photodna_nb.evaluation.deployment import expected_matches, threshold_for_false_matches
from photodna_nb.evaluation.intervals import (
    FalseMatchRates,
    clopper_pearson,
    clustered_recall_interval,
    false_match_rates,
)
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.thresholds import (
    ThresholdChoice,
    choose_threshold,
    operating_points,
    supported_threshold,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def half(seed, images=300, tail=True):
    i, j, distance = power_law(images, 9, 250, seed)
    cutoff = 899
    cell = np.ceil(distance).astype(int)
    counts = np.bincount(cell, minlength=901)
    rates = false_match_rates(
        counts,
        images,
        ImpostorPairs(i, j, distance, cutoff),
        beyond_cutoff=matrix_dependence(np.full((4, 4), 900.0), 900),
    )
    genuine = rng(seed).integers(0, 600, (images, 1))
    return of(genuine, rates, fitted(i, j, distance, images) if tail else None)


TARGETS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


def of(genuine, rates, tail=None):
    """Return the estimates of originals whose variants have these distances, (n, v) integers."""
    genuine_counts = np.bincount(genuine.ravel(), minlength=901)
    recall_ends = clustered_recall_interval(*by_original(genuine), 901)
    found = curves(genuine_counts, np.diff(rates.matches, prepend=0))
    return RateEstimates(
        len(genuine), 0.95, genuine_counts, found.impostor_matches, found, *recall_ends, rates, tail
    )


@pytest.fixture(scope="module")
def halves():
    return half(1), half(2)


@pytest.mark.parametrize("conservative", [False, True])
def test_operating_points_keep_their_targets_where_they_were_chosen(halves, conservative):
    chosen_on, reported_on = halves
    points = operating_points(chosen_on, reported_on, TARGETS, conservative)
    assert [point.choice.source for point in points][:2] == ["counted", "counted"]
    assert [point.choice.source for point in points][-3:] == ["tail"] * 3
    thresholds = [point.choice.threshold for point in points]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] < thresholds[0]
    for point in points:
        t = point.choice.threshold
        if point.choice.source == "counted":
            bound = (
                chosen_on.false_match_rates.upper
                if conservative
                else chosen_on.false_match_rates.rate
            )
            assert bound[t] <= point.choice.target < bound[t + 1 :].min()
        else:
            assert point.extrapolated
            said = chosen_on.tail.rate([t, t + 1])
            bound = said.upper if conservative else said.rate
            assert bound[0] <= point.choice.target < bound[1]
        # What is reported is of the other half, by plain counting.
        matches = int(reported_on.genuine_histogram[: t + 1].sum())
        assert (point.genuine_matches, point.genuine_pairs) == (matches, 300)
        assert point.recall == matches / 300
        lower, upper = clopper_pearson(matches, 300)
        # One variant of each: Clopper and Pearson, but for Student's t.
        assert point.recall_lower == pytest.approx(float(lower), abs=2e-3)
        assert point.recall_upper == pytest.approx(float(upper), abs=2e-3)
        told = reported_on.tail.reliable_rate(t)
        if told is not None:
            assert (
                (point.tail_rate is None) == point.tail_beyond_validation == told.beyond_validation
            )
            assert point.tail_upper == told.upper
        rate = point.false_match_rate
        kept = {"yes": rate.upper <= point.choice.target, "no": rate.lower > point.choice.target}
        unknown = "extrapolated" if point.extrapolated and told else "unclear"
        assert point.meets_target == next((word for word, is_so in kept.items() if is_so), unknown)
        assert point.false_match_rate.matches == int(reported_on.false_match_rates.matches[t])
        json.dumps(point.as_json(), allow_nan=False)
    # At 1e-3, power law: both halves have the same truth.
    rate = points[1].false_match_rate
    assert rate.lower <= 1e-3 * 1.3
    assert rate.upper >= 3e-4


def test_a_threshold_may_have_just_the_rate_that_was_wished_for(halves):
    rates = halves[0].false_match_rates
    t = int(np.searchsorted(rates.rate, 1e-3))
    assert rates.rate[t] < rates.rate[t + 1]
    assert choose_threshold(float(rates.rate[t]), rates).threshold == t
    assert choose_threshold(float(rates.upper[t]), rates, conservative=True).threshold == t


def test_conservative_thresholds_are_lower(halves):
    for target in (1e-2, 1e-3, 1e-5, 1e-7):
        plain = choose_threshold(target, halves[0].false_match_rates, halves[0].tail)
        safe = choose_threshold(
            target, halves[0].false_match_rates, halves[0].tail, conservative=True
        )
        assert safe.threshold < plain.threshold


def test_no_threshold_without_evidence(halves):
    bare = choose_threshold(1e-7, halves[0].false_match_rates)
    assert bare.threshold is None
    assert bare.source == "none"
    assert "no tail" in bare.reason
    i, j, distance = with_duplicate(*power_law(300, 9, 250, 5))
    rejected = choose_threshold(1e-7, halves[0].false_match_rates, fitted(i, j, distance, 300))
    assert rejected.threshold is None
    assert "smallest distance" in rejected.reason
    point = operating_points(replace(halves[0], tail=None), halves[1], [1e-7])[0]
    assert point.recall is None
    assert json.loads(json.dumps(point.as_json()))["choice"]["threshold"] is None
    for wrong in (0, -1, 1.5, math.nan):
        with pytest.raises(ArgumentError, match="target"):
            choose_threshold(wrong, halves[0].false_match_rates)


def test_every_reason_is_said_in_full(halves):
    rates, tail = halves[0].false_match_rates, halves[0].tail
    none = ThresholdChoice(1e-7, False, None, "none", "")
    reason = "fewer than ten full dyads match at such a low rate, and no tail was fitted"
    assert choose_threshold(1e-7, rates) == replace(none, reason=reason)
    rejected = replace(tail, accepted=False, rejection_reason="for a reason")
    assert choose_threshold(1e-7, rates, rejected) == replace(none, reason="for a reason")

    class Silent:
        accepted = True

        @staticmethod
        def largest_threshold(target, conservative):
            return None

    silent = choose_threshold(1e-7, rates, Silent())
    assert silent == replace(none, reason="the target is outside the range of the fitted tail")
    i, j = np.triu_indices(60, 1)
    same = np.where((i < 10) & (j < 10), 0, 40)
    equal = false_match_rates(np.bincount(same), 60, ImpostorPairs(i, j, same, 40))
    reason = "45 impostor pairs have the same hash: look at them"
    for conservative in (False, True):
        choice = choose_threshold(1e-7, equal, tail, conservative)
        assert choice == ThresholdChoice(1e-7, conservative, None, "none", reason)
    bound = replace(equal, upper=np.full(len(equal.upper), 0.02))
    assert supported_threshold(bound) == ThresholdChoice(0.02, True, None, "none", reason)
    counted = choose_threshold(1e-2, rates)
    assert (counted.conservative, counted.source, counted.reason) == (False, "counted", "")


def test_a_point_is_judged_by_the_interval_of_the_other_half(halves):
    selection, validation = halves
    assert operating_points(selection, validation, [1e-4]) == operating_points(
        selection, validation, [1e-4], conservative=False
    )
    t = choose_threshold(1e-2, selection.false_match_rates).threshold

    def judged(lower, upper):
        """Return the verdict if all intervals of the other half are these."""
        ends = {
            "lower": validation.false_match_rates.lower * 0 + lower,
            "upper": validation.false_match_rates.upper * 0 + upper,
        }
        changed = replace(
            validation, false_match_rates=replace(validation.false_match_rates, **ends)
        )
        (point,) = operating_points(selection, changed, [1e-2])
        assert point.choice.threshold == t
        assert not point.extrapolated
        return point.meets_target

    assert judged(0.005, 0.01) == "yes"
    assert judged(0.005, 0.0101) == "unclear"
    assert judged(0.01, 0.02) == "unclear"
    assert judged(0.0101, 0.02) == "no"


def test_a_bound_of_disjoint_pairs_is_evidence_of_large_rates():
    counts = np.zeros(50, int)
    counts[40] = 45
    i, j = np.triu_indices(10, 1)
    rates = false_match_rates(counts, 10, ImpostorPairs(i, j, np.full(45, 40), 49))
    choice = choose_threshold(0.5, rates, conservative=True)
    assert (choice.threshold, choice.source) == (39, "disjoint pairs")
    assert choose_threshold(0.4, rates, conservative=True).threshold is None


def test_what_the_data_support(halves):
    """By a tail that is accepted, else by what was counted, and never for want of pairs."""
    rates, tail = halves[0].false_match_rates, halves[0].tail
    by_tail = supported_threshold(rates, tail)
    assert by_tail == choose_threshold(tail.validated_down_to, rates, tail, conservative=True)
    assert (by_tail.source, by_tail.beyond_validation) == ("tail", False)
    for none in (None, replace(tail, accepted=False, rejection_reason="for a reason")):
        counted = supported_threshold(rates, none)
        assert counted.target == rates.upper.min() > by_tail.target
        assert counted.source == "counted"
        t = counted.threshold
        assert rates.upper[t] == counted.target < rates.upper[t + 1 :].min()
    for lowest, supported in ((0.01, True), (0.0101, False)):
        bounded = replace(rates, upper=np.full(len(rates.upper), lowest))
        assert (supported_threshold(bounded).threshold is not None) == supported
    # Ten originals, and sixty of which many are the same.
    i, j = np.triu_indices(10, 1)
    few = false_match_rates(np.bincount([40] * 45), 10, ImpostorPairs(i, j, np.full(45, 40), 40))
    nothing = supported_threshold(few)
    assert nothing.threshold is None
    assert "no false match rate below 0.45 is supported by the data: take more" in nothing.reason
    i, j = np.triu_indices(60, 1)
    same = np.where((i < 10) & (j < 10), 0, 40)
    alike = false_match_rates(np.bincount(same), 60, ImpostorPairs(i, j, same, 40))
    assert "45 impostor pairs have the same hash" in supported_threshold(alike).reason


def test_several_genuine_pairs_of_an_original_are_no_more_trials(halves):
    none = of(np.zeros((300, 0), int), halves[1].false_match_rates)
    found = operating_points(halves[0], none, [1e-3])[0]
    assert found.genuine_pairs == 0
    assert found.recall is None


def test_a_half_without_rates_gives_the_reason(halves):
    empty = replace(halves[1], false_match_rates=None, tail=None, no_rates_reason="it is empty")
    for order in ((halves[0], empty), (empty, halves[0])):
        (point,) = operating_points(*order, [1e-3], conservative=True)
        assert point.choice == ThresholdChoice(1e-3, True, None, "none", "it is empty")
        assert {name: value for name, value in vars(point).items() if value is not None} == {
            "choice": point.choice
        }


def test_expected_matches_are_comparisons_times_the_rate(halves):
    rates, tail = halves[0].false_match_rates, halves[0].tail
    t = int(np.searchsorted(rates.rate, 1e-3))
    one = expected_matches(t, 10**6, 10**4, rates, tail)
    eight = expected_matches(t, 10**6, 10**4, rates, tail, orientations=8)
    assert one.source == "counted"
    assert one.expected == pytest.approx(rates.rate[t] * 1e10)
    assert (one.lower, one.upper) == pytest.approx((rates.lower[t] * 1e10, rates.upper[t] * 1e10))
    assert eight.expected == pytest.approx(8 * one.expected)
    assert eight.upper == pytest.approx(8 * one.upper)
    far = expected_matches(tail.threshold_at_ten_matches - 40, 10**6, 10**4, rates, tail)
    assert (far.source, far.beyond_validation) == ("tail", False)
    assert far.lower <= far.expected <= far.upper
    further = expected_matches(tail.threshold_at_ten_matches - 150, 10**6, 10**4, rates, tail)
    assert (further.source, further.beyond_validation) == ("tail", True)
    assert (further.expected, further.lower) == (None, 0), "what was not tested is not told"
    assert tail.rate(tail.threshold_at_ten_matches - 150).rate < tail.validated_down_to
    assert further.upper >= tail.validated_down_to * 1e10
    bound = expected_matches(tail.threshold_at_ten_matches - 40, 10**6, 10**4, rates)
    assert (bound.source, bound.expected, bound.lower) == ("disjoint pairs", None, 0)
    assert bound.upper > far.upper
    json.dumps(bound.as_json(), allow_nan=False)


def test_a_threshold_under_a_budget_keeps_it(halves):
    rates, tail = halves[0].false_match_rates, halves[0].tail
    last = 900
    for budget in (1e6, 1e3, 10):
        choice = threshold_for_false_matches(budget, 10**6, 10**3, rates, tail)
        kept = expected_matches(choice.threshold, 10**6, 10**3, rates, tail)
        assert choice.beyond_validation == (budget / 1e9 < tail.validated_down_to)
        if not choice.beyond_validation:
            assert kept.upper <= budget * (1 + 1e-12)
        assert choice.threshold < last
        last = choice.threshold
        eight = threshold_for_false_matches(budget, 10**6, 10**3, rates, tail, orientations=8)
        assert eight.target == pytest.approx(choice.target / 8)
        assert eight.threshold < choice.threshold
    for change in (
        {"max_false_matches_per_day": 0},
        {"list_size": 0},
        {"queries_per_day": 0},
        {"orientations": 9},
        {"orientations": 0},
    ):
        good = {
            "max_false_matches_per_day": 1,
            "list_size": 1,
            "queries_per_day": 1,
            "rates": rates,
        }
        with pytest.raises(ArgumentError, match=next(iter(change))):
            threshold_for_false_matches(**{**good, **change})


def counted(rate, lower, upper, at_least_ten):
    """Return rates at a few thresholds, of a million pairs."""
    columns = (np.array(column) for column in (rate, lower, upper, at_least_ten))
    rate, lower, upper, at_least_ten = columns
    matches = (rate * 10**6).astype(int)
    return FalseMatchRates(2000, 10**6, 0.95, matches, rate, lower, upper, at_least_ten)


def test_the_first_threshold_with_ten_matches_is_counted():
    rates = counted([0, 5e-6, 1e-5, 1e-3], [0] * 4, [1e-4] * 3 + [1], [False, False, True, True])
    assert choose_threshold(1e-5, rates).threshold == 2
    assert choose_threshold(1e-5, rates).source == "counted"
    assert choose_threshold(9e-6, rates).threshold is None
    assert choose_threshold(1e-4, rates, conservative=True).source == "counted"


@pytest.mark.parametrize(
    ("lower", "upper", "meets_target"),
    [
        (1e-5, 1e-3, "yes"),
        (1e-5, 1.01e-3, "unclear"),
        (1e-3, 2e-3, "unclear"),
        (1.01e-3, 2e-3, "no"),
    ],
)
def test_whether_the_validation_half_meets_a_target(halves, lower, upper, meets_target):
    selection = replace(
        halves[0],
        false_match_rates=counted([1e-4, 1e-3], [0, 0], [1e-3, 1], [True, True]),
        tail=None,
    )
    validation = replace(
        halves[1],
        false_match_rates=counted([0, 1e-3], [0, lower], [1e-4, upper], [False, True]),
        tail=None,
    )
    point, conservative = (
        operating_points(selection, validation, [1e-3], *more)[0] for more in ((), (True,))
    )
    assert (point.choice.threshold, point.choice.conservative) == (1, False)
    assert (conservative.choice.threshold, conservative.choice.conservative) == (0, True)
    assert point.meets_target == meets_target
    assert (point.extrapolated, conservative.extrapolated) == (False, True)
    assert conservative.meets_target == "yes"


def test_pairs_of_equal_hashes_are_the_reason():
    """If ten or more match at 0, no threshold meets a lower target, and no tail could."""
    rates = counted([2e-5, 2e-5], [0, 0], [0.02, 0.02], [True, True])
    for choice in (choose_threshold(1e-5, rates), supported_threshold(rates)):
        assert choice.reason == "20 impostor pairs have the same hash: look at them"
        assert choice.threshold is None
    assert supported_threshold(rates).conservative
    assert not choose_threshold(1e-5, rates).conservative
    few = counted([0, 2e-5], [0, 0], [0.02, 0.02], [False, True])
    safe = choose_threshold(1e-6, few, conservative=True)
    for choice in (choose_threshold(1e-6, few), supported_threshold(few), safe):
        assert "same hash" not in choice.reason
