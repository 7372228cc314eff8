"""The numbers of an evaluation: intervals, tail, curves, operating points, scale."""

import itertools
import json
import math
from dataclasses import replace

import corpora
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation import intervals as intervals_module
from photodna_nb.evaluation import tail as tail_module
from photodna_nb.evaluation.curves import curves
from photodna_nb.evaluation.deployment import expected_matches, threshold_under
from photodna_nb.evaluation.intervals import (
    ImpostorPairs,
    clopper_pearson,
    clustered_recall_interval,
    dyadic_dependence,
    false_match_rates,
    matrix_dependence,
)
from photodna_nb.evaluation.tail import fit_tail
from photodna_nb.evaluation.thresholds import (
    Half,
    choose_threshold,
    operating_points,
    supported_threshold,
)

CELLS = 600


def rng(seed=0):
    return np.random.default_rng(seed)


# Proportions


def test_proportion_is_scipys_exact_interval():
    for x, n in [(0, 1), (1, 1), (0, 300), (3, 10), (50, 50), (49, 50), (7, 1000)]:
        for confidence in (0.9, 0.95, 0.99):
            found = stats.binomtest(x, n).proportion_ci(confidence, method="exact")
            lower, upper = clopper_pearson(x, n, confidence)
            assert float(lower) == pytest.approx(found.low, abs=1e-12)
            assert float(upper) == pytest.approx(found.high, abs=1e-12)


def wald(x, n):
    half = 1.96 * np.sqrt(x / n * (1 - x / n) / n)
    return x / n - half, x / n + half


def least_coverage(interval, n):
    x = np.arange(n + 1)
    lower, upper = interval(x, n)
    return min(
        stats.binom.pmf(x, n, p)[(lower <= p) & (p <= upper)].sum()
        for p in np.linspace(0.001, 0.999, 300)
    )


@pytest.mark.parametrize("n", [5, 30])
def test_proportion_covers(n):
    assert least_coverage(clopper_pearson, n) >= 0.95
    assert least_coverage(wald, n) < 0.9  # the check can fail


def test_proportion_of_nothing_and_in_vectors():
    lower, upper = clopper_pearson([0, 0, 2.5], [0, 10, 2.5])
    assert lower[0] == 0
    assert upper[0] == 1
    assert lower[1] == 0
    assert upper[2] == 1
    assert 0 < upper[1] < 1
    assert 0 < lower[2] < 1


@pytest.mark.parametrize(
    "arguments", [(3, 2), (-1, 2), (1, math.inf), (math.nan, 2), (1, 2, 1.0), (1, 2, 0)]
)
def test_proportion_refuses(arguments):
    with pytest.raises(ArgumentError):
        clopper_pearson(*arguments)


# DyadicDependence


def naive_dependence(i, j, distance, images, pairs, threshold):
    """By definition, over all pairs of pairs of images."""
    together = dict.fromkeys(itertools.combinations(range(images), 2), 0)
    for a, b, d in zip(i, j, distance, strict=True):
        if d <= threshold:
            together[min(a, b), max(a, b)] += 1
    each = pairs / len(together)
    x = {pair: matches / each for pair, matches in together.items()}
    same, sharing, apart = [], [], []
    for p, q in itertools.product(x, repeat=2):
        kind = {4: apart, 3: sharing, 2: same}[len({*p, *q})]
        kind.append(x[p] * x[q])
    square = sum(apart) / len(apart)
    matches = [sum(together[p] for p in together if k in p) for k in range(images)]
    mean = sum(matches) / images
    central = [m - mean for m in matches]
    most = (images - 1) * each
    return {
        "matches": sum(together.values()),
        "rate": sum(together.values()) / pairs,
        "zeta1": max(sum(sharing) / len(sharing) - square, 0),
        "zeta2": max(sum(same) / len(same) - square, 0),
        "largest_leverage_above": (max(matches) - mean) / most,
        "largest_leverage_below": (mean - min(matches)) / most,
        "degrees_of_freedom": min(
            max(sum(c**2 for c in central) ** 2 / sum(c**4 for c in central), 1), images - 1
        )
        if any(central)
        else images - 1,
    }


@pytest.mark.parametrize("variants", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_dependence_is_that_of_its_definition(variants, seed):
    images = 7
    i, j = (np.repeat(part, variants) for part in np.triu_indices(images, 1))
    order = rng(seed).permutation(len(i))
    i, j = i[order], j[order]
    i, j = np.where(order % 2, i, j), np.where(order % 2, j, i)
    distance = rng(seed).integers(0, 100, len(i)) / 10
    distance[(i == seed) | (j == seed)] /= 2
    for pairs in (len(i), 2 * len(i)):
        found = dyadic_dependence(ImpostorPairs(i, j, distance, 10), images, pairs)
        for threshold in range(11):
            for name, value in naive_dependence(i, j, distance, images, pairs, threshold).items():
                got = getattr(found, name)[threshold]
                assert got == pytest.approx(value, abs=1e-9), (name, threshold)


def test_dependence_of_a_matrix_is_that_of_its_pairs():
    points = rng().random((30, 3)) * 10
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(axis=-1))
    i, j = np.triu_indices(30, 1)
    one = matrix_dependence(distances, 20)
    other = dyadic_dependence(ImpostorPairs(i, j, distances[i, j], 20), 30, len(i))
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name
    with pytest.raises(ArgumentError, match="square"):
        matrix_dependence(distances[:5])


def test_variance_is_that_of_the_mean_over_corpora():
    """The components of one corpus, scaled to another size, against many corpora of that size."""
    at = 150
    small = [
        dyadic_dependence(ImpostorPairs(c.i, c.j, c.cell, at), 40, len(c.i))
        for c in corpora.corpora(corpora.flatness, 40, 150, 1)
    ]
    predicted = np.mean([found.variance(80)[at] for found in small])
    rates = [np.mean(c.cell <= at) for c in corpora.corpora(corpora.flatness, 80, 600, 2)]
    assert np.var(rates) == pytest.approx(predicted, rel=0.25)
    # As if all pairs were independent: far too small.
    alone = np.mean(rates) * (1 - np.mean(rates)) / (80 * 79 / 2)
    assert alone < predicted / 3


# False match rates


def simulated(model=corpora.flatness, images=60, seed=3):
    one = corpora.corpus(model, images, rng(seed))
    return one, corpora.rates_of(one, images, CELLS)


def test_rates_are_counts_over_pairs():
    one, found = simulated(images=25)
    for threshold in range(0, CELLS, 7):
        matches = sum(1 for cell in one.cell.tolist() if cell <= threshold)
        if threshold < CELLS - 1:
            assert found.matches[threshold] == matches
            assert found.rate[threshold] == matches / 300
    assert found.pairs == 300
    assert np.all(np.diff(found.rate) >= 0)
    assert np.all((found.lower >= 0) & (found.lower <= found.rate))
    assert np.all((found.rate <= found.upper) & (found.upper <= 1))


@pytest.mark.parametrize(
    ("model", "variants"),
    [
        (corpora.independent, 0),
        (corpora.five_hubs, 0),
        (corpora.heavy_flatness, 0),
        (corpora.flatness, 2),
    ],
)
def test_intervals_cover(model, variants):
    """The whole simulation is tests/benchmarks/interval_coverage.py."""
    found = corpora.coverage(model, 50, 150, 4, (5, 15, 30, 100, 300), 450, CELLS, variants)
    assert found.counted.sum() > 400
    assert found.pooled >= 0.95
    assert found.few.sum() > 100
    assert found.bounded.sum() / found.few.sum() >= 0.95
    for kept in found.firsts.values():
        assert np.mean(kept) >= 0.93


def test_coverage_notices_pairs_taken_for_independent_trials(monkeypatch):
    def naive(one, n, cells, seed=0):
        found = rates_of(one, n, cells, seed)
        lower, upper = clopper_pearson(found.matches, found.pairs)
        return type(found)(**{**vars(found), "lower": lower, "upper": upper})

    rates_of = corpora.rates_of
    monkeypatch.setattr(corpora, "rates_of", naive)
    found = corpora.coverage(corpora.five_hubs, 50, 100, 4, (15, 30, 100), 300, CELLS)
    assert found.pooled < 0.8


def test_without_matches_the_bound_is_that_of_disjoint_pairs():
    counts = np.zeros(50, int)
    counts[40] = 100 * 99 // 2
    nothing = ImpostorPairs(*np.zeros((3, 0), int), 20)
    above = matrix_dependence(np.full((5, 5), 40.0), 49)
    found = false_match_rates(counts, 100, nothing, above=above)
    assert found.upper[0] == pytest.approx(1 - 0.05 ** (1 / 50))  # not of 4,950
    assert np.all(found.upper[:40] == found.upper[0])
    assert np.all(found.lower[:40] == 0)
    assert not found.at_least_ten_matches[39]
    # All match: the same bound from the other side.
    assert np.all(found.upper[40:] == 1)
    assert found.lower[40] == pytest.approx(0.05 ** (1 / 50))


def test_disjoint_pairs_are_counted_where_they_match():
    """Every image matches one other: with 9 of them among 18, chance decides who is drawn."""
    images, pairs = 18, 18 * 17 // 2
    i, j = np.arange(0, 18, 2), np.arange(1, 18, 2)
    counts = np.zeros(10, int)
    counts[3], counts[9] = 9, pairs - 9
    drawn = set()
    for seed in range(30):
        found = false_match_rates(
            counts,
            images,
            ImpostorPairs(i, j, np.full(9, 3), 8),
            above=matrix_dependence(np.full((4, 4), 9.0), 9),
            seed=seed,
        )
        bounds = [clopper_pearson(k, 9, 0.9)[1] for k in range(10)]
        drawn.add(int(np.argmin(np.abs(np.array(bounds) - found.upper[5]))))
        assert found.upper[5] in bounds
    assert len(drawn) > 1


def test_two_images_are_one_disjoint_pair_however_often_they_match():
    counts = np.array([0, 3, 15])
    i, j, distance = np.zeros(3, int), np.ones(3, int), np.ones(3)
    above = matrix_dependence(np.full((4, 4), 2.0), 2)
    bounds = set()
    for seed in range(20):
        found = false_match_rates(
            counts, 4, ImpostorPairs(i, j, distance, 1), above=above, seed=seed
        )
        bounds.add(float(found.upper[1]))
    assert bounds == {float(clopper_pearson(k, 2, 0.9)[1]) for k in (0, 1)}


def test_ten_matches_of_the_same_two_images_are_not_ten():
    """Three variants each: three pairs of images, nine matches and more; then ten pairs."""
    images, variants = 40, 3
    i, j = np.triu_indices(images, 1)
    distance = np.full(len(i), 30)
    disjoint = np.flatnonzero((i % 2 == 0) & (j == i + 1))
    distance[disjoint[:4]], distance[disjoint[4:10]] = 10, 20
    i, j, distance = (np.repeat(part, variants) for part in (i, j, distance))
    counts = np.bincount(distance, minlength=31)
    found = false_match_rates(counts, images, ImpostorPairs(i, j, distance, 30))
    assert found.matches[10] == 12
    assert not found.at_least_ten_matches[19]
    assert found.at_least_ten_matches[20]
    # Beyond a list, as many as there must be.
    above = dyadic_dependence(ImpostorPairs(i, j, distance, 30), images, len(i))
    short = false_match_rates(counts, images, ImpostorPairs(i, j, distance, 15), above=above)
    assert not short.at_least_ten_matches[19]
    assert short.at_least_ten_matches[20]
    assert (
        fit_tail(ImpostorPairs(i, j, distance, 30), images, len(i)).threshold_at_ten_matches == 20
    )


def test_a_bound_is_never_more_than_the_upper_end_where_twenty_were_counted():
    _, found = simulated(images=60)
    first, plenty = (int(np.argmax(found.matches >= number)) for number in (10, 20))
    assert not found.at_least_ten_matches[first - 1]
    alone = clopper_pearson(0, found.images // 2, 0.95)[1]
    assert alone > 2 * found.upper[plenty], "of disjoint pairs alone"
    assert np.all(found.upper[:first] == found.upper[plenty])


def test_where_the_subset_shows_too_little_its_neighbours_speak():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, CELLS)
    cutoff = int(np.searchsorted(whole.rate, 0.01))
    subset = (one.i < 15) & (one.j < 15)
    above = dyadic_dependence(
        ImpostorPairs(*(part[subset] for part in one[:2]), one.cell[subset], CELLS - 1), 15, 105
    )
    first = int(np.argmax(above.matches >= 10))
    assert first > cutoff + 3
    found = false_match_rates(counts, 80, ImpostorPairs(*one, cutoff), above=above)
    unknown = slice(cutoff + 1, first)
    assert np.all(found.lower[unknown] == found.lower[cutoff])
    assert np.all(found.upper[unknown] == found.upper[first])
    assert found.lower[first] != found.lower[cutoff]


def test_order_of_the_pairs_and_of_the_images_of_a_pair_do_not_matter():
    one, found = simulated()
    order = rng(1).permutation(len(one.i))
    i, j, cell = (part[order] for part in one)
    turned = corpora.Corpus(np.where(i % 2, i, j), np.where(i % 2, j, i), cell)
    again = corpora.rates_of(turned, 60, CELLS)
    assert json.dumps(found.as_json()) == json.dumps(again.as_json())


def test_beyond_the_reach_the_subset_speaks():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, CELLS)
    cutoff = int(np.searchsorted(whole.rate, 0.02))
    subset = (one.i < 40) & (one.j < 40)
    above = dyadic_dependence(
        ImpostorPairs(*(part[subset] for part in one[:2]), one.cell[subset], CELLS - 1), 40, 780
    )
    found = false_match_rates(counts, 80, ImpostorPairs(*one, cutoff), above=above)
    assert np.array_equal(found.lower[: cutoff + 1], whole.lower[: cutoff + 1])
    for rate in (0.05, 0.2, 0.5, 0.8):
        t = int(np.searchsorted(whole.rate, rate))
        width = (found.upper - found.lower)[t] / (whole.upper - whole.lower)[t]
        assert 0.5 < width < 2
    with pytest.raises(ArgumentError, match="above"):
        false_match_rates(counts, 80, ImpostorPairs(*one, cutoff))


def test_without_a_list_the_subset_speaks_for_all():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, CELLS)
    above = dyadic_dependence(ImpostorPairs(*one, CELLS - 1), 80, 3160)
    nothing = ImpostorPairs(*np.zeros((3, 0), int), -1)
    found = false_match_rates(counts, 80, nothing, above=above)
    known = whole.at_least_ten_matches
    assert np.array_equal(found.lower[known], whole.lower[known])
    assert np.array_equal(found.upper[known], whole.upper[known])
    assert np.all(found.upper[~known] >= whole.upper[~known])
    few = np.flatnonzero(found.matches == 5)[0]
    plenty = int(np.argmax(found.matches >= 20))
    alone = clopper_pearson(5, 40, 0.9)[1]
    assert found.upper[few] == pytest.approx(min(alone, found.upper[plenty]))
    assert not fit_tail(nothing, 80, 3160).accepted


@pytest.mark.parametrize("images", [2, 3])
def test_few_images_give_honest_intervals(images):
    i, j = np.triu_indices(images, 1)
    counts = np.zeros(5, int)
    counts[2] = len(i)
    found = false_match_rates(counts, images, ImpostorPairs(i, j, np.full(len(i), 2), 4))
    assert found.rate.tolist() == [0, 0, 1, 1, 1]
    assert found.upper.tolist() == pytest.approx([0.95, 0.95, 1, 1, 1])
    assert found.lower.tolist() == [0] * 5


def test_a_rate_at_one_threshold():
    _, found = simulated()
    one = found.at(150)
    assert one.rate == one.matches / one.pairs == found.rate[150]
    assert json.loads(json.dumps(one.as_json()))["upper"] == pytest.approx(found.upper[150])
    for wrong in (-1, CELLS):
        with pytest.raises(ArgumentError, match="threshold"):
            found.at(wrong)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": np.array([1, 2])}, "lists other pairs"),
        ({"counts": np.zeros(3, int)}, "no pairs"),
        ({"counts": np.array([1, -1, 3])}, "negative"),
        ({"counts": np.ones((2, 2), int)}, "shape"),
        ({"images": 1}, "at least 2"),
        ({"images": 3}, "outside"),
        ({"confidence": 1.5}, "confidence"),
        ({"close": ImpostorPairs(np.array([1]), np.array([1]), np.array([1]), 2)}, "itself"),
        ({"close": ImpostorPairs(np.array([1]), np.array([1, 2]), np.array([1]), 2)}, "length"),
        ({"close": ImpostorPairs(np.array([1]), np.array([2]), np.array([-1.0]), 2)}, "negative"),
        ({"close": ImpostorPairs(np.array([1]), np.array([2]), np.array([1]), -2)}, "cutoff"),
    ],
)
def test_rates_refuse(change, words):
    i, j = np.triu_indices(4, 1)
    good = {
        "counts": np.array([0, 2, 4]),
        "images": 4,
        "close": ImpostorPairs(i, j, np.array([1, 1, 2, 2, 2, 2]), 2),
    }
    false_match_rates(**good)
    with pytest.raises(ArgumentError, match=words):
        false_match_rates(**{**good, **change})
    with pytest.raises(ArgumentTypeError):
        false_match_rates(**{**good, "counts": [0, 2, 4]})


# Tail


def power_law(images, power, end, seed, scale=900.0):
    """Independent distances whose tail is a power law throughout."""
    i, j = np.triu_indices(images, 1)
    distance = end + (scale - end) * rng(seed).random(len(i)) ** (1 / power)
    return i, j, distance


def fitted(i, j, distance, images, cutoff=700, **options):
    near = distance <= cutoff
    pairs = ImpostorPairs(i[near], j[near], distance[near], cutoff)
    return fit_tail(pairs, images, len(distance), replicates=200, **options)


def test_tail_is_scipys_fit():
    tail = fitted(*power_law(700, 8, 300, 1), 700)
    _, _, distance = power_law(700, 8, 300, 1)
    shape, _, scale = stats.genpareto.fit(
        (tail.fit_threshold - distance)[distance < tail.fit_threshold], floc=0, method="MLE"
    )
    assert tail.shape == pytest.approx(shape, abs=5e-3)
    assert tail.scale == pytest.approx(scale, rel=5e-3)
    for t in (tail.fit_threshold - 10, tail.fit_threshold - 60):
        rate = tail.share * stats.genpareto.sf(tail.fit_threshold - t, tail.shape, scale=tail.scale)
        at = (
            tail.share
            * ((t - tail.endpoint) / (tail.fit_threshold - tail.endpoint)) ** tail.exponent
        )
        assert at == pytest.approx(rate, rel=1e-9)
        assert tail.rate(t).rate[0] == pytest.approx(rate, rel=0.2)  # the median of draws


def test_tail_holds_the_truth_far_below_what_was_counted():
    held, trusted = [], []
    for seed in range(40):
        tail = fitted(*power_law(300, 9, 250, seed), 300)
        trusted.append(tail.accepted)
        if not tail.accepted:
            continue
        t = 250 + 650 * np.array([1e-4, 1e-6, 1e-7]) ** (1 / 9)
        found = tail.rate(t)
        assert found.extrapolated.tolist() == [t < tail.threshold_at_ten_matches for t in t]
        assert found.extrapolated[2]
        assert not tail.rate(tail.threshold_at_ten_matches).extrapolated[0]
        assert found.beyond_validation.tolist() == (found.rate < 0.1 / 44850).tolist()
        assert found.below_smallest_distance.tolist() == [t < tail.smallest_distance for t in t]
        held.append((found.lower <= [1e-4, 1e-6, 1e-7]) & (found.upper >= [1e-4, 1e-6, 1e-7]))
    assert np.mean(trusted) >= 0.8  # one in ten is doubted for nothing, if all is independent
    assert np.mean(held, axis=0).min() >= 0.9


def test_tail_is_wider_where_images_are_shared():
    """One image in fifty is nearer to all others."""
    alone = fitted(*power_law(400, 9, 250, 1), 400)
    i, j, distance = power_law(400, 9, 250, 1)
    hub = (i % 50 == 0) | (j % 50 == 0)
    distance[hub] = 250 + (distance[hub] - 250) * 0.7
    hubs = fitted(i, j, distance, 400)
    assert hubs.effective_exceedances < alone.effective_exceedances / 3
    spread = [np.std(np.log(tail.draws[0, :, 0])) for tail in (alone, hubs)]
    assert spread[1] > 1.5 * spread[0]
    # As many independent ones would vary so much.
    assert spread[0] == pytest.approx(alone.effective_exceedances**-0.5, rel=0.25)
    assert spread[1] == pytest.approx(hubs.effective_exceedances**-0.5, rel=0.4)


def test_tail_is_monotone_and_ends():
    tail = fitted(*power_law(300, 9, 250, 2), 300)
    found = tail.rate(np.arange(0, 800))
    known = np.arange(0, 800) <= tail.fit_threshold
    assert np.all(np.isnan(found.rate) == ~known)
    for values in (found.rate, found.lower, found.upper):
        assert np.all(np.diff(values[known]) >= 0)
    assert np.all(found.lower[known] <= found.rate[known])
    assert np.all(found.rate[known] <= found.upper[known])
    assert found.rate[0] == 0
    for target in (1e-5, 1e-7):
        t = tail.largest_threshold(target)
        assert found.rate[t] <= target < found.rate[t + 1]
        safe = tail.largest_threshold(target, conservative=True)
        assert safe < t
        assert found.upper[safe] <= target < found.upper[safe + 1]
    assert tail.largest_threshold(0.5) is None


def duplicates(i, j, distance):
    distance = distance.copy()
    distance[7] = 30.0
    return i, j, distance


def one_hash(i, j, distance):
    distance = distance.copy()
    distance[7] = 0.0
    return i, j, distance


def bursts(i, j, distance):
    """Every tenth image was taken twice, in another light each time."""
    distance = distance.copy()
    near = (i % 10 == 0) & (j == i + 1)
    distance[near] = rng(3).uniform(30, 200, near.sum())
    return i, j, distance


def group(i, j, distance):
    """Five pictures of one kind, all as near to each other as the closest of the others."""
    distance = distance.copy()
    near = (i < 5) & (j < 5)
    distance[near] = np.linspace(430, 466, 10)
    return i, j, distance


def two_kinds(i, j, distance):
    """All that is fitted lies between 580 and 585: like nothing that thins out slowly."""
    distance = distance.copy()
    near = np.argsort(distance)[:134]
    distance[near] = rng(1).uniform(580, 585, len(near))
    return i, j, distance


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (duplicates, "closest pair"),
        (one_hash, "same hash"),
        (bursts, "look at|look whether"),
        (group, "10 closest pairs are among 6 originals"),
        (two_kinds, "do not follow"),
    ],
)
def test_tail_says_where_the_model_fails(damage, words):
    data = power_law(300, 9, 250, 5)
    assert fitted(*data, 300).accepted
    tail = fitted(*damage(*data), 300)
    assert not tail.accepted
    assert (
        words.split("|")[0] in tail.rejection_reason
        or words.split("|")[-1] in tail.rejection_reason
    )
    found = tail.rate([50.0, 300.0])
    assert np.all(np.isnan([found.rate, found.lower, found.upper]))
    assert tail.largest_threshold(1e-6) is None
    assert json.loads(json.dumps(tail.as_json()))["accepted"] is False


def test_tail_needs_enough_and_shared_images_are_less():
    few = fitted(*power_law(60, 9, 250, 1), 60)
    assert not few.accepted
    assert "50 are needed" in few.rejection_reason
    i, j, distance = power_law(200, 9, 250, 1)
    distance[i > 0] += 500
    hub = fitted(i, j, distance, 200, cutoff=900)
    assert not hub.accepted
    assert "share so few images" in hub.rejection_reason
    same = fitted(i, j, np.full(len(i), 500.0), 200, cutoff=900)
    assert "equally far" in same.rejection_reason
    nothing = fit_tail(ImpostorPairs(*np.zeros((3, 0), int), 5), 10, 45)
    assert not nothing.accepted
    assert math.isnan(nothing.rate(3).rate[0])
    json.dumps(nothing.as_json(), allow_nan=False)


@pytest.mark.parametrize("seed", range(3))
def test_shared_images_count_once_in_the_score_of_the_end(seed):
    """By its definition: the covariances of pairs that share an image, over the variances."""
    images, end, power, start = 12, 200.0, 6.0, 600.0
    i, j = np.triu_indices(images, 1)
    distance = end + (start - end) * rng(seed).random(len(i)) ** (1 / power)
    distance[i == 0] = 350 + rng(seed).random(11) * 5
    u = [(d - end, start - end) for d in distance.tolist()]
    of_power = [1 / power + math.log(a / b) for a, b in u]
    of_end = [power / b - (power - 1) / a for a, b in u]
    slope = sum(map(math.prod, zip(of_end, of_power, strict=True))) / sum(p**2 for p in of_power)
    score = [e - slope * p for e, p in zip(of_end, of_power, strict=True)]
    mean = sum(score) / len(score)
    score = [one - mean for one in score]
    shared = total = 0.0
    for a, b in itertools.product(range(len(score)), repeat=2):
        if {i[a], j[a]} & {i[b], j[b]}:
            shared += score[a] * score[b]
        total += score[a] ** 2 * (a == b)
    found = tail_module._end_effect(i, j, distance, start, end, power)
    assert found == pytest.approx(max(shared / total, 1))
    assert found > 1.05


def test_tail_is_the_same_every_time():
    i, j, distance = power_law(300, 9, 250, 4)
    one = fitted(i, j, distance, 300)
    order = rng(1).permutation(len(i))
    other = fitted(j[order], i[order], distance[order], 300)
    assert one.draws.tobytes() == other.draws.tobytes()
    assert one.as_json() == other.as_json()
    assert fitted(i, j, distance, 300, seed=1).draws.tobytes() != one.draws.tobytes()


# RateCurves


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


# Operating points and scale


def half(seed, images=300, tail=True):
    i, j, distance = power_law(images, 9, 250, seed)
    cutoff = 899
    cell = np.ceil(distance).astype(int)
    counts = np.bincount(cell, minlength=901)
    rates = false_match_rates(
        counts,
        images,
        ImpostorPairs(i, j, distance, cutoff),
        above=matrix_dependence(np.full((4, 4), 900.0), 900),
    )
    genuine = rng(seed).integers(0, 600, (images, 1))
    return of(genuine, rates, fitted(i, j, distance, images) if tail else None)


TARGETS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


def of(genuine, rates, tail=None):
    """A half whose variants lie so far from their originals, (n, v) integers."""
    cells = np.bincount(genuine.ravel(), minlength=901)
    return Half(cells, *clustered_recall_interval(genuine**2, 901), rates, tail)


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
            bound = chosen_on.rates.upper if conservative else chosen_on.rates.rate
            assert bound[t] <= point.choice.target < bound[t + 1 :].min()
        else:
            assert point.extrapolated
            said = chosen_on.tail.rate([t, t + 1])
            bound = said.upper if conservative else said.rate
            assert bound[0] <= point.choice.target < bound[1]
        # What is reported is of the other half, by plain counting.
        matches = int(reported_on.genuine[: t + 1].sum())
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
        ends = (told or rate) if point.extrapolated else rate
        kept = {"yes": ends.upper <= point.choice.target, "no": ends.lower > point.choice.target}
        assert kept.get(point.meets_target, not any(kept.values()))
        assert point.false_match_rate.matches == int(reported_on.rates.matches[t])
        json.dumps(point.as_json(), allow_nan=False)
    # At 1e-3, power law: both halves have the same truth.
    rate = points[1].false_match_rate
    assert rate.lower <= 1e-3 * 1.3
    assert rate.upper >= 3e-4


def test_a_threshold_may_have_just_the_rate_that_was_wished_for(halves):
    rates = halves[0].rates
    t = int(np.searchsorted(rates.rate, 1e-3))
    assert rates.rate[t] < rates.rate[t + 1]
    assert choose_threshold(float(rates.rate[t]), rates).threshold == t
    assert choose_threshold(float(rates.upper[t]), rates, conservative=True).threshold == t


def test_conservative_thresholds_are_lower(halves):
    for target in (1e-2, 1e-3, 1e-5, 1e-7):
        plain = choose_threshold(target, halves[0].rates, halves[0].tail)
        safe = choose_threshold(target, halves[0].rates, halves[0].tail, conservative=True)
        assert safe.threshold < plain.threshold


def test_no_threshold_without_evidence(halves):
    bare = choose_threshold(1e-7, halves[0].rates)
    assert bare.threshold is None
    assert bare.source == "none"
    assert "no tail" in bare.reason
    i, j, distance = duplicates(*power_law(300, 9, 250, 5))
    doubted = choose_threshold(1e-7, halves[0].rates, fitted(i, j, distance, 300))
    assert doubted.threshold is None
    assert "closest pair" in doubted.reason
    point = operating_points(replace(halves[0], tail=None), halves[1], [1e-7])[0]
    assert point.recall is None
    assert json.loads(json.dumps(point.as_json()))["choice"]["threshold"] is None
    for wrong in (0, -1, 1.5, math.nan):
        with pytest.raises(ArgumentError, match="target"):
            choose_threshold(wrong, halves[0].rates)


def test_a_bound_of_disjoint_pairs_is_evidence_of_large_rates():
    counts = np.zeros(50, int)
    counts[40] = 45
    i, j = np.triu_indices(10, 1)
    rates = false_match_rates(counts, 10, ImpostorPairs(i, j, np.full(45, 40), 49))
    choice = choose_threshold(0.5, rates, conservative=True)
    assert (choice.threshold, choice.source) == (39, "disjoint pairs")
    assert choose_threshold(0.4, rates, conservative=True).threshold is None


def test_what_the_data_support(halves):
    """By a tail that is trusted, else by what was counted, and never for want of pairs."""
    rates, tail = halves[0].rates, halves[0].tail
    by_tail = supported_threshold(rates, tail)
    assert by_tail == choose_threshold(tail.validated_down_to, rates, tail, conservative=True)
    assert (by_tail.source, by_tail.beyond_validation) == ("tail", False)
    for none in (None, replace(tail, accepted=False, rejection_reason="for a reason")):
        counted = supported_threshold(rates, none)
        assert counted.target == rates.upper.min() > by_tail.target
        assert counted.source == "counted"
        t = counted.threshold
        assert rates.upper[t] == counted.target < rates.upper[t + 1 :].min()
    # Ten originals, and sixty of which many are the same.
    i, j = np.triu_indices(10, 1)
    few = false_match_rates(np.bincount([40] * 45), 10, ImpostorPairs(i, j, np.full(45, 40), 40))
    nothing = supported_threshold(few)
    assert nothing.threshold is None
    assert "no false match rate below 0.45 can be shown: take more" in nothing.reason
    i, j = np.triu_indices(60, 1)
    same = np.where((i < 10) & (j < 10), 0, 40)
    alike = false_match_rates(np.bincount(same), 60, ImpostorPairs(i, j, same, 40))
    assert "45 impostor pairs have the same hash" in supported_threshold(alike).reason


def test_runs_that_were_added_up_were_not_compared():
    """Half of the pairs drawn from all would be of two runs, and count as pairs that differ."""
    runs = np.repeat([0, 1], 20)
    i, j = np.triu_indices(40, 1)
    inside = runs[i] == runs[j]
    i, j = i[inside], j[inside]
    cell = np.full(len(i), 3)
    cell[: len(i) // 3] = 1
    counts, near = np.bincount(cell), ImpostorPairs(i, j, cell, 3)
    bounds = []
    for seed in range(20):
        apart = false_match_rates(counts, 40, near, seed=seed, runs=runs)
        mixed = false_match_rates(counts, 40, near, seed=seed)
        assert apart.rate.tolist() == mixed.rate.tolist()
        bounds.append((apart.upper[3], mixed.upper[3]))
    for run_length in (5, 6):
        partner = intervals_module._partners(np.repeat([3, 7], run_length), seed=1)
        paired = np.flatnonzero(partner >= 0)
        assert len(paired) == 2 * (run_length // 2) * 2
        assert (partner[partner[paired]] == paired).all()
        assert ((paired < run_length) == (partner[paired] < run_length)).all()


def test_recall_of_originals_that_all_have_as_many_matches():
    """No variance between originals tells nothing: the interval is that of the thresholds around.

    It was that of as many trials as originals, and grew when a threshold found more.
    """
    squared = np.tile(np.array([1, 1, 1, 25]) ** 2, (100, 1))  # at 5 to 24: three of four each
    squared[:, 2] = np.linspace(2, 6, 100).astype(int) ** 2
    squared[:, 3] = np.linspace(20, 30, 100).astype(int) ** 2
    lower, upper = clustered_recall_interval(squared, 40)
    width = upper - lower
    assert width[10] < 1.1 * max(width[5], width[21])
    assert (np.diff(lower[1:29]) >= -1e-3).all(), "until all match, which is told by originals"


def test_several_genuine_pairs_of_an_original_are_no_more_trials(halves):
    none = of(np.zeros((300, 0), int), halves[1].rates)
    found = operating_points(halves[0], none, [1e-3])[0]
    assert found.genuine_pairs == 0
    assert found.recall is None
    with pytest.raises(ArgumentError, match="cells"):
        operating_points(halves[0], replace(none, genuine=np.ones(5, int)), [1e-3])


@pytest.mark.parametrize("agree", [False, True])
def test_recalls_by_original(agree):
    """Against the plain formulas, and against twenty copies of each variant, which say no more."""
    draw = rng(3)
    distances = draw.integers(0, 60, (80, 5))
    if agree:
        distances = np.repeat(distances[:, :1], 5, axis=1)
    squared = distances**2
    squared[3, 1:] = squared[9] = -1
    lower, upper = clustered_recall_interval(squared, 60)
    made = squared >= 0
    for t in (10, 30, 50):
        matched = ((squared <= t * t) & made).sum(axis=1)
        share = matched.sum() / made.sum()
        residual = matched - share * made.sum(axis=1)
        variance = (residual**2).sum() / made.sum() ** 2 * 79 / 78
        trials = share * (1 - share) / variance
        wider = stats.t.ppf(0.975, 78) / stats.t.ppf(0.975, trials - 1)
        trials = min(trials / wider**2, made.sum())
        ends = clopper_pearson(share * trials, trials)
        assert (lower[t], upper[t]) == pytest.approx(tuple(map(float, ends)), rel=1e-9)
    copies = np.repeat(squared, 20, axis=1)
    np.testing.assert_allclose(clustered_recall_interval(copies, 60)[0], lower, atol=0.02)
    if agree:
        np.testing.assert_allclose(
            clustered_recall_interval(squared[:, :1], 60)[1], upper, atol=0.02
        )


def test_recalls_of_all_and_of_nothing():
    lower, upper = clustered_recall_interval(np.full((40, 8), 25), 8)
    assert upper[4] == float(clopper_pearson(0, 40)[1]), "as many trials as originals"
    assert lower[5] == float(clopper_pearson(40, 40)[0])
    assert np.isnan(clustered_recall_interval(np.full((4, 2), -1), 8)).all()
    one = clustered_recall_interval(np.array([[1, 25, 36, 36]]), 8)
    assert np.all((one[0] <= 0.5) & (one[1] >= 0.5)), "one original says next to nothing"


def test_recalls_are_covered():
    """Originals that are easy or hard: 95 % intervals hold the true recall in 93 % or more."""
    draw = rng(11)
    held, naive, total = np.zeros(3), np.zeros(3), 600
    truth = np.array([0.2, 0.5, 0.9])
    for _ in range(total):
        for place, mean in enumerate(truth):
            easy = draw.beta(2 * mean, 2 * (1 - mean), (50, 1))
            matched = draw.random((50, 12)) < easy
            lower, upper = (end[0] for end in clustered_recall_interval(np.where(matched, 0, 4), 3))
            held[place] += lower <= mean <= upper
            ends = clopper_pearson(matched.sum(), matched.size)
            naive[place] += ends[0] <= mean <= ends[1]
    assert np.all(held >= 0.93 * total), held
    assert np.all(naive < 0.8 * total), "pairs of one original are no trials"


def test_expected_matches_are_comparisons_times_the_rate(halves):
    rates, tail = halves[0].rates, halves[0].tail
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
    rates, tail = halves[0].rates, halves[0].tail
    last = 900
    for budget in (1e6, 1e3, 10):
        choice = threshold_under(budget, 10**6, 10**3, rates, tail)
        kept = expected_matches(choice.threshold, 10**6, 10**3, rates, tail)
        assert choice.beyond_validation == (budget / 1e9 < tail.validated_down_to)
        if not choice.beyond_validation:
            assert kept.upper <= budget * (1 + 1e-12)
        assert choice.threshold < last
        last = choice.threshold
        eight = threshold_under(budget, 10**6, 10**3, rates, tail, orientations=8)
        assert eight.target == pytest.approx(choice.target / 8)
        assert eight.threshold < choice.threshold
    for change in (
        {"budget": 0},
        {"list_size": 0},
        {"queries_per_day": 0},
        {"orientations": 9},
        {"orientations": 0},
    ):
        good = {"budget": 1, "list_size": 1, "queries_per_day": 1, "rates": rates}
        with pytest.raises(ArgumentError, match=next(iter(change))):
            threshold_under(**{**good, **change})
