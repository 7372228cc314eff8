"""Confidence intervals of recall and of false match rates."""

import json
import math

import corpora
import numpy as np
import pytest
from conftest import scaled
from corpora import N_BINS, naive_dependence
from evaluations import by_original
from scipy import stats

from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation import intervals, pair_graph
from photodna_nb.evaluation.dependence import ImpostorPairs, dyadic_dependence, matrix_dependence
from photodna_nb.evaluation.intervals import (
    clopper_pearson,
    clustered_recall_interval,
    false_match_rates,
)
from photodna_nb.evaluation.tail_fit import fit_tail


def rng(seed=0):
    return np.random.default_rng(seed)


def test_clopper_pearson_is_scipys_exact_interval():
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
def test_clopper_pearson_covers(n):
    assert least_coverage(clopper_pearson, n) >= 0.95
    assert least_coverage(wald, n) < 0.9  # the check can fail


def test_clopper_pearson_of_nothing_and_in_vectors():
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
def test_clopper_pearson_refuses(arguments):
    with pytest.raises(ArgumentError):
        clopper_pearson(*arguments)


def test_recall_of_originals_that_all_have_as_many_matches():
    """No variance between originals tells nothing: the interval is that of the thresholds around.

    It was that of as many trials as originals, and grew when a threshold found more.
    """
    distances = np.tile([1, 1, 1, 25], (100, 1))  # at 5 to 24: three of four each
    distances[:, 2] = np.linspace(2, 6, 100).astype(int)
    distances[:, 3] = np.linspace(20, 30, 100).astype(int)
    lower, upper = clustered_recall_interval(*by_original(distances), 40)
    width = upper - lower
    assert width[10] < 1.1 * max(width[5], width[21])
    assert (np.diff(lower[1:29]) >= -1e-3).all(), "until all match, which is told by originals"


@pytest.mark.parametrize("agree", [False, True])
def test_recalls_by_original(agree):
    """Against the plain formulas, and against twenty copies of each variant, which say no more."""
    draw = rng(3)
    distances = draw.integers(0, 60, (80, 5))
    if agree:
        distances = np.repeat(distances[:, :1], 5, axis=1)
    distances[3, 1:] = distances[9] = -1
    lower, upper = clustered_recall_interval(*by_original(distances), 60)
    made = distances >= 0
    for t in (10, 30, 50):
        matched = ((distances <= t) & made).sum(axis=1)
        share = matched.sum() / made.sum()
        residual = matched - share * made.sum(axis=1)
        variance = (residual**2).sum() / made.sum() ** 2 * 79 / 78
        trials = share * (1 - share) / variance
        wider = stats.t.ppf(0.975, 78) / stats.t.ppf(0.975, trials - 1)
        trials = min(trials / wider**2, made.sum())
        ends = clopper_pearson(share * trials, trials)
        assert (lower[t], upper[t]) == pytest.approx(tuple(map(float, ends)), rel=1e-9)
    copies = np.repeat(distances, 20, axis=1)
    np.testing.assert_allclose(
        clustered_recall_interval(*by_original(copies), 60)[0], lower, atol=0.02
    )
    if agree:
        np.testing.assert_allclose(
            clustered_recall_interval(*by_original(distances[:, :1]), 60)[1], upper, atol=0.02
        )


def test_recalls_of_all_and_of_nothing():
    lower, upper = clustered_recall_interval(*by_original(np.full((40, 8), 5)), 8)
    assert upper[4] == float(clopper_pearson(0, 40)[1]), "as many trials as originals"
    assert lower[5] == float(clopper_pearson(40, 40)[0])
    assert np.isnan(clustered_recall_interval(*by_original(np.full((4, 2), -1)), 8)).all()
    one = clustered_recall_interval(*by_original(np.array([[1, 5, 6, 6]])), 8)
    assert np.all((one[0] <= 0.5) & (one[1] >= 0.5)), "one original says next to nothing"


def test_recall_of_another_confidence():
    """One variant of each original: Clopper and Pearson, but for Student's t."""
    distances = np.where(np.arange(300)[:, np.newaxis] < 120, 0, 4)
    for confidence in (0.5, 0.8):
        lower, upper = clustered_recall_interval(*by_original(distances), 1, confidence)
        ends = clopper_pearson(120, 300, confidence)
        assert (lower[0], upper[0]) == pytest.approx([float(end) for end in ends], abs=2e-3)
    with pytest.raises(ArgumentError, match=r"^confidence: "):
        clustered_recall_interval(*by_original(distances), 1, 1.5)


@pytest.mark.scaled
def test_recalls_are_covered():
    """Originals that are easy or hard: 95 % intervals hold the true recall in 92 % or more."""
    draw = rng(11)
    held, naive, total = np.zeros(3), np.zeros(3), scaled(150, 2000)
    truth = np.array([0.2, 0.5, 0.9])
    for _ in range(total):
        for place, mean in enumerate(truth):
            easy = draw.beta(2 * mean, 2 * (1 - mean), (50, 1))
            matched = draw.random((50, 12)) < easy
            lower, upper = (
                end[0]
                for end in clustered_recall_interval(*by_original(np.where(matched, 0, 2)), 3)
            )
            held[place] += lower <= mean <= upper
            ends = clopper_pearson(matched.sum(), matched.size)
            naive[place] += ends[0] <= mean <= ends[1]
    assert np.all(held >= 0.92 * total), held
    assert np.all(naive < 0.8 * total), "pairs of one original are no trials"


def simulated(model=corpora.flatness, images=60, seed=3):
    one = corpora.corpus(model, images, rng(seed))
    return one, corpora.rates_of(one, images, N_BINS)


def test_rates_are_counts_over_pairs():
    one, found = simulated(images=25)
    for threshold in range(0, N_BINS, 7):
        matches = sum(1 for cell in one.cell.tolist() if cell <= threshold)
        if threshold < N_BINS - 1:
            assert found.matches[threshold] == matches
            assert found.rate[threshold] == matches / 300
    assert found.pairs == 300
    assert np.all(np.diff(found.rate) >= 0)
    assert np.all((found.lower >= 0) & (found.lower <= found.rate))
    assert np.all((found.rate <= found.upper) & (found.upper <= 1))


@pytest.mark.scaled
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
    number = scaled(50, 1000)
    expected = 5, 15, 30, 100, 300
    found = corpora.coverage(model, 50, number, 4, expected, 3 * number, N_BINS, variants)
    assert found.counted.sum() > 2.6 * number
    chance = 2 * math.sqrt(0.95 * 0.05 / number)  # thresholds of a corpus are not independent
    assert found.pooled >= 0.95 - chance / 2
    assert found.few.sum() > 0.6 * number
    assert found.bounded.sum() / found.few.sum() >= 0.95
    for kept in found.firsts.values():
        assert np.mean(kept) >= 0.94 - chance


def test_coverage_notices_pairs_taken_for_independent_trials(monkeypatch):
    def naive(one, n, cells, seed=0):
        found = rates_of(one, n, cells, seed)
        lower, upper = clopper_pearson(found.matches, found.pairs)
        return type(found)(**{**vars(found), "lower": lower, "upper": upper})

    rates_of = corpora.rates_of
    monkeypatch.setattr(corpora, "rates_of", naive)
    found = corpora.coverage(corpora.five_hubs, 50, 50, 4, (15, 30, 100), 150, N_BINS)
    assert found.pooled < 0.8


def test_the_gamma_interval_is_that_of_its_formula():
    images, half_alpha = 40, 0.05
    one = corpora.corpus(corpora.five_hubs, images, rng(8))
    pairs = len(one.i)
    cells = np.flatnonzero(np.bincount(one.cell, minlength=N_BINS)[:N_BINS])
    cells = cells[10:-10:20]
    found = dyadic_dependence(ImpostorPairs(one.i, one.j, one.cell, N_BINS - 1), images, pairs)
    matches = np.searchsorted(np.sort(one.cell), np.arange(N_BINS), "right")
    lower, upper = intervals.gamma_interval(matches, pairs, images, found, half_alpha)
    checked = 0
    for cell in cells:
        rate = matches[cell] / pairs
        if not 0 < rate <= 0.5:
            continue
        variance = max(found.variance(images)[cell], rate * (1 - rate) / pairs)
        t = stats.t.ppf(1 - half_alpha, np.broadcast_to(found.degrees_of_freedom, N_BINS)[cell])
        variance *= (t / stats.norm.ppf(1 - half_alpha)) ** 2
        weight = max(found.largest_leverage_above[cell] * 2 / images, 1 / pairs)
        ends = []
        for unseen, share in ((0, half_alpha), (4, 1 - half_alpha)):
            mean, spread = rate + unseen * weight, variance + unseen * weight**2
            ends.append(stats.gamma.ppf(share, mean**2 / spread, scale=spread / mean))
        assert (lower[cell], upper[cell]) == pytest.approx(ends, rel=1e-9)
        checked += 1
    assert checked >= 3


def test_without_matches_the_bound_is_that_of_disjoint_pairs():
    counts = np.zeros(50, int)
    counts[40] = 100 * 99 // 2
    nothing = ImpostorPairs(*np.zeros((3, 0), int), 20)
    above = matrix_dependence(np.full((5, 5), 40.0), 49)
    found = false_match_rates(counts, 100, nothing, beyond_cutoff=above)
    assert found.upper[0] == pytest.approx(1 - 0.05 ** (1 / 50))  # not of 4,950
    assert np.all(found.upper[:40] == found.upper[0])
    assert np.all(found.lower[:40] == 0)
    assert not found.at_least_ten_matches[39]
    # All match: the same bound from the other side.
    assert np.all(found.upper[40:] == 1)
    assert found.lower[40] == pytest.approx(0.05 ** (1 / 50))


def test_disjoint_pairs_are_counted_where_they_match():
    """Every image matches one other: with 9 of them among 18, chance decides who is sampled."""
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
            beyond_cutoff=matrix_dependence(np.full((4, 4), 9.0), 9),
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
            counts, 4, ImpostorPairs(i, j, distance, 1), beyond_cutoff=above, seed=seed
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
    short = false_match_rates(
        counts, images, ImpostorPairs(i, j, distance, 15), beyond_cutoff=above
    )
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


def test_where_the_sample_has_too_few_matches_the_known_ends_hold():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, N_BINS)
    cutoff = int(np.searchsorted(whole.rate, 0.01))
    sample = (one.i < 15) & (one.j < 15)
    above = dyadic_dependence(
        ImpostorPairs(*(part[sample] for part in one[:2]), one.cell[sample], N_BINS - 1), 15, 105
    )
    first = int(np.argmax(above.matches >= 10))
    assert first > cutoff + 3
    found = false_match_rates(counts, 80, ImpostorPairs(*one, cutoff), beyond_cutoff=above)
    unknown = slice(cutoff + 1, first)
    assert np.all(found.lower[unknown] == found.lower[cutoff])
    assert np.all(found.upper[unknown] == found.upper[first])
    assert found.lower[first] != found.lower[cutoff]


def test_order_of_the_pairs_and_of_the_images_of_a_pair_do_not_matter():
    one, found = simulated()
    order = rng(1).permutation(len(one.i))
    i, j, cell = (part[order] for part in one)
    turned = corpora.Corpus(np.where(i % 2, i, j), np.where(i % 2, j, i), cell)
    again = corpora.rates_of(turned, 60, N_BINS)
    assert json.dumps(found.as_json()) == json.dumps(again.as_json())


def test_beyond_the_cutoff_the_sample_is_used():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, N_BINS)
    cutoff = int(np.searchsorted(whole.rate, 0.02))
    sample = (one.i < 40) & (one.j < 40)
    above = dyadic_dependence(
        ImpostorPairs(*(part[sample] for part in one[:2]), one.cell[sample], N_BINS - 1), 40, 780
    )
    found = false_match_rates(counts, 80, ImpostorPairs(*one, cutoff), beyond_cutoff=above)
    assert np.array_equal(found.lower[: cutoff + 1], whole.lower[: cutoff + 1])
    for rate in (0.05, 0.2, 0.5, 0.8):
        t = int(np.searchsorted(whole.rate, rate))
        width = (found.upper - found.lower)[t] / (whole.upper - whole.lower)[t]
        assert 0.5 < width < 2
    with pytest.raises(ArgumentError, match="beyond_cutoff"):
        false_match_rates(counts, 80, ImpostorPairs(*one, cutoff))


def test_without_a_list_the_sample_is_used_throughout():
    one, whole = simulated(images=80)
    counts = corpora.counts_of(one, N_BINS)
    above = dyadic_dependence(ImpostorPairs(*one, N_BINS - 1), 80, 3160)
    nothing = ImpostorPairs(*np.zeros((3, 0), int), -1)
    found = false_match_rates(counts, 80, nothing, beyond_cutoff=above)
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


def test_runs_that_were_added_up_were_not_compared():
    """Half of the pairs sampled from all would be of two runs, and count as pairs that differ."""
    runs = np.repeat([0, 1], 20)
    i, j = np.triu_indices(40, 1)
    inside = runs[i] == runs[j]
    i, j = i[inside], j[inside]
    cell = np.full(len(i), 3)
    cell[rng(1).permutation(len(i))[:9]] = 1
    counts, near = np.bincount(cell), ImpostorPairs(i, j, cell, 3)
    bounds = []
    for seed in range(20):
        apart = false_match_rates(counts, 40, near, seed=seed, run_number=runs)
        mixed = false_match_rates(counts, 40, near, seed=seed)
        assert apart.rate.tolist() == mixed.rate.tolist()
        bounds.append((apart.upper[1], mixed.upper[1]))
    apart, mixed = np.mean(bounds, axis=0)
    assert apart > mixed
    for run_length in (5, 6):
        partner = pair_graph.disjoint_partners(np.repeat([3, 7], run_length), seed=1)
        paired = np.flatnonzero(partner >= 0)
        assert len(paired) == 2 * (run_length // 2) * 2
        assert (partner[partner[paired]] == paired).all()
        assert ((paired < run_length) == (partner[paired] < run_length)).all()


def gamma_ends(p, variance, leverage, images, pairs, degrees, confidence):
    """Return the ends of the interval of one rate by its formula, with plain numbers."""
    probability = (1 + confidence) / 2
    variance *= (stats.t.ppf(probability, degrees) / stats.norm.ppf(probability)) ** 2
    weight = max(2 * leverage / images, 1 / pairs)  # what one more image would add to the rate
    mean, spread = p + 4 * weight, variance + 4 * weight**2  # four of them may be missing
    lower = stats.gamma.ppf(1 - probability, p**2 / variance, scale=variance / p)
    upper = stats.gamma.ppf(probability, mean**2 / spread, scale=spread / mean)
    return lower, min(upper, 1)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_ends_of_intervals_are_those_of_the_formula(confidence):
    """With the variance components of the definition, for rare and for common matches.

    A lower limit holds for all higher thresholds, and an upper one for all lower thresholds.
    """
    images, pairs = 12, 66
    i, j = np.triu_indices(images, 1)
    distance = rng(4).integers(0, 40, pairs)
    distance[i == 0] //= 2
    counts = np.bincount(distance, minlength=41)
    impostors = ImpostorPairs(i, j, distance, 40)
    found = false_match_rates(counts, images, impostors, confidence=confidence)
    assert found.confidence == confidence
    thresholds = np.flatnonzero(found.at_least_ten_matches & (pairs - found.matches >= 10))
    expected = []
    for t in thresholds:
        parts = naive_dependence(i, j, distance, images, pairs, t)
        p, leverage = parts["rate"], parts["largest_leverage_above"]
        variance = (4 * (images - 2) * parts["zeta1"] + 2 * parts["zeta2"]) / (images * 11)
        variance = max(variance, p * (1 - p) / pairs)
        degrees = parts["degrees_of_freedom"]
        if p > 0.5:  # the interval of the pairs that do not match
            p, leverage = 1 - p, parts["largest_leverage_below"]
        ends = gamma_ends(p, variance, leverage, images, pairs, degrees, confidence)
        if parts["rate"] > 0.5:
            ends = 1 - ends[1], 1 - ends[0]
        expected.append(ends)
    lower, upper = zip(*expected, strict=True)
    for k, t in enumerate(thresholds):
        assert found.lower[t] == pytest.approx(max(lower[: k + 1]), rel=1e-9), t
        if found.matches[t] >= 20:
            assert found.upper[t] == pytest.approx(min(upper[k:]), rel=1e-9), t
    assert np.sum(found.matches[thresholds] >= 20) > 12
    assert found.rate[found.at_least_ten_matches][0] < 0.2


def test_ends_of_intervals_grow_with_the_threshold():
    """One image is in all of the nearest pairs: with more pairs, more is known of their rate."""
    images = 60
    i, j = np.triu_indices(images, 1)
    distance = rng(5).integers(30, 90, len(i))
    distance[i == 0] = rng(6).integers(5, 30, images - 1)
    impostors = ImpostorPairs(i, j, distance, 90)
    counts = np.bincount(distance, minlength=91)
    found = false_match_rates(counts, images, impostors)
    dependence = dyadic_dependence(impostors, images, len(i))
    raw = intervals.gamma_interval(found.matches, len(i), images, dependence, 0.025)
    ten = found.at_least_ten_matches
    for ends in raw:  # not by themselves
        assert np.diff(ends[ten]).min() < 0
    for ends in (found.lower, found.rate, found.upper):
        assert np.all(np.diff(ends) >= 0)
    assert np.all((found.lower <= found.rate) & (found.rate <= found.upper))


def test_variants_add_no_matches_to_those_of_images():
    """Ten dyads of seventeen pairs each: twenty that match in one pair each are not enough."""
    images, per_dyad = 40, 17
    i, j = (np.repeat(ends, per_dyad) for ends in np.triu_indices(images, 1))
    distance = np.full(len(i), 9)
    first = np.arange(0, len(i), per_dyad)
    distance[first[:30]] = 1  # one pair of each of thirty dyads
    distance[: 9 * per_dyad] = 2
    distance[9 * per_dyad : 10 * per_dyad] = 3
    impostors = ImpostorPairs(i, j, distance, 9)
    found = false_match_rates(np.bincount(distance, minlength=10), images, impostors)
    assert found.matches.tolist()[:4] == [0, 20, 173, 190]
    assert found.at_least_ten_matches.tolist()[:4] == [False, False, True, True]
    tail = fit_tail(impostors, images, len(i))
    assert tail.threshold_at_ten_matches == 2
    assert tail.rate_at_ten_matches >= 10 / (images * (images - 1) / 2)


def test_what_a_sample_shows_is_taken_relative_to_its_rate():
    """The sample has another rate: variance and leverage of the corpus are in proportion."""
    images, pairs, matches = 40, 780, 78
    counts = np.array([0, matches, pairs - matches])
    sample_images = 10
    i, j = np.triu_indices(sample_images, 1)
    distance = np.where((i < 2) | (rng(2).random(45) < 0.1), 1, 2)
    sample = dyadic_dependence(ImpostorPairs(i, j, distance, 2), sample_images, 45)
    none = ImpostorPairs(*np.zeros((3, 0), int), 0)
    found = false_match_rates(counts, images, none, beyond_cutoff=sample)
    p, q = matches / pairs, sample.rate[1]
    assert sample.matches[1] >= 10
    assert q > 2 * p
    variance = (4 * 38 * sample.zeta1[1] + 2 * sample.zeta2[1]) / (40 * 39)
    variance = max(variance * p * (1 - p) / (q * (1 - q)), p * (1 - p) / pairs)
    leverage = sample.largest_leverage_above[1] * p / q
    degrees = sample.degrees_of_freedom[1]
    ends = gamma_ends(p, variance, leverage, images, pairs, degrees, 0.95)
    assert (found.lower[1], found.upper[1]) == pytest.approx(ends, rel=1e-9)


def test_nine_and_ten_matching_dyads():
    """Of nine the bound, of ten the interval; the same for dyads that do not match."""
    images, pairs = 30, 435
    i, j = np.triu_indices(images, 1)
    order = rng(6).permutation(pairs)
    distance = np.full(pairs, 3)
    distance[order[:9]], distance[order[9]], distance[order[10:20]] = 1, 2, 5
    distance[order[20]] = 4
    counts = np.bincount(distance, minlength=6)
    found = false_match_rates(counts, images, ImpostorPairs(i, j, distance, 5))
    assert found.matches.tolist() == [0, 9, 10, 424, 425, 435]
    assert found.at_least_ten_matches.tolist() == [False, False, True, True, True, True]
    assert found.lower[1] == 0 < found.lower[2]
    assert found.upper[4] < 1  # ten do not match
    # The interval of eleven that do not match, and not a bound of disjoint pairs.
    assert found.upper[3] < found.upper[4]
    all_but_nine = counts.copy()
    all_but_nine[4:] = 2, 9
    distance[order[10]] = 4
    found = false_match_rates(all_but_nine, images, ImpostorPairs(i, j, distance, 5))
    assert found.upper[4] == 1
    assert found.upper[3] < 1


def test_twenty_dyads_bound_all_that_have_fewer_than_ten():
    """Nineteen are not enough: the bound of disjoint pairs stays."""
    images = 30
    i, j = np.triu_indices(images, 1)
    order = rng(6).permutation(435)
    for number in (19, 20):
        distance = np.full(435, 3)
        distance[order[:number]] = 2
        counts = np.bincount(distance, minlength=4)
        found = false_match_rates(counts, images, ImpostorPairs(i, j, distance, 3))
        alone = clopper_pearson(0, 15, 0.9)[1]
        first = found.upper[2] if number == 20 else found.upper[3]
        assert found.upper[1] == min(alone, first)
    assert found.upper[1] < alone


def test_a_rate_at_one_threshold():
    _, found = simulated()
    one = found.at(150)
    assert one.rate == one.matches / one.pairs == found.rate[150]
    assert json.loads(json.dumps(one.as_json()))["upper"] == pytest.approx(found.upper[150])
    for wrong in (-1, N_BINS):
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
        ({"impostors": ImpostorPairs(np.array([1]), np.array([1]), np.array([1]), 2)}, "itself"),
        ({"impostors": ImpostorPairs(np.array([1]), np.array([1, 2]), np.array([1]), 2)}, "length"),
        (
            {"impostors": ImpostorPairs(np.array([1]), np.array([2]), np.array([-1.0]), 2)},
            "negative",
        ),
        ({"impostors": ImpostorPairs(np.array([1]), np.array([2]), np.array([1]), -2)}, "cutoff"),
    ],
)
def test_rates_refuse(change, words):
    i, j = np.triu_indices(4, 1)
    good = {
        "counts": np.array([0, 2, 4]),
        "images": 4,
        "impostors": ImpostorPairs(i, j, np.array([1, 1, 2, 2, 2, 2]), 2),
    }
    false_match_rates(**good)
    with pytest.raises(ArgumentError, match=words):
        false_match_rates(**{**good, **change})
    with pytest.raises(ArgumentTypeError):
        false_match_rates(**{**good, "counts": [0, 2, 4]})
