"""False match rates too low to count: the generalised Pareto tail."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from corpora import fitted, naive_dependence, power_law, with_duplicate
from scipy import stats

from photodna_nb.evaluation import tail_fit, tail_likelihood
from photodna_nb.evaluation.dependence import (
    ImpostorPairs,
    dyadic_dependence,
    sort_impostor_pairs,
)
from photodna_nb.evaluation.gamma_interval import gamma_interval
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.tail import join_limits
from photodna_nb.evaluation.tail_fit import fit_tail


def rng(seed=0):
    return np.random.default_rng(seed)


def test_tail_is_scipys_fit():
    tail = fitted(*power_law(700, 8, 300, 1), 700)
    _, _, distance = power_law(700, 8, 300, 1)
    shape, _, scale = stats.genpareto.fit(
        (tail.fit_threshold - distance)[distance < tail.fit_threshold], floc=0, method="MLE"
    )
    assert tail.shape == pytest.approx(shape, abs=5e-3)
    assert tail.scale == pytest.approx(scale, rel=5e-3)
    for t in (tail.fit_threshold - 10, tail.fit_threshold - 60):
        rate = tail.exceedance_probability * stats.genpareto.sf(
            tail.fit_threshold - t, tail.shape, scale=tail.scale
        )
        at = (
            tail.exceedance_probability
            * ((t - tail.endpoint) / (tail.fit_threshold - tail.endpoint)) ** tail.exponent
        )
        assert at == pytest.approx(rate, rel=1e-9)
        assert tail.rate(t).rate[0] == pytest.approx(rate, rel=0.2)  # the median of replicates


def test_tail_holds_the_truth_far_below_what_was_counted():
    covered, accepted = [], []
    for seed in range(40):
        tail = fitted(*power_law(300, 9, 250, seed), 300)
        accepted.append(tail.accepted)
        if not tail.accepted:
            continue
        t = 250 + 650 * np.array([1e-4, 1e-6, 1e-7]) ** (1 / 9)
        found = tail.rate(t)
        assert found.extrapolated.tolist() == [t < tail.threshold_at_ten_matches for t in t]
        assert found.extrapolated[2]
        assert not tail.rate(tail.threshold_at_ten_matches).extrapolated[0]
        assert found.beyond_validation.tolist() == (found.rate < 0.1 / 44850).tolist()
        covered.append((found.lower <= [1e-4, 1e-6, 1e-7]) & (found.upper >= [1e-4, 1e-6, 1e-7]))
    assert np.mean(accepted) >= 0.8  # if all is independent, one in ten is rejected by chance
    assert np.mean(covered, axis=0).min() >= 0.9


def test_tail_is_wider_where_images_are_shared():
    """One image in fifty is nearer to all others."""
    alone = fitted(*power_law(400, 9, 250, 1), 400)
    i, j, distance = power_law(400, 9, 250, 1)
    hub = (i % 50 == 0) | (j % 50 == 0)
    distance[hub] = 250 + (distance[hub] - 250) * 0.7
    hubs = fitted(i, j, distance, 400)
    assert hubs.effective_exceedances < alone.effective_exceedances / 3
    spread = [np.std(np.log(tail.replicates[0, :, 0])) for tail in (alone, hubs)]
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
    """Five images of one kind, all as near to each other as the nearest of the others."""
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
        (with_duplicate, "smallest distance"),
        (one_hash, "same hash"),
        (bursts, "look at|look whether"),
        (group, "10 nearest pairs are among 6 originals"),
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
    assert "involve so few distinct images" in hub.rejection_reason
    same = fitted(i, j, np.full(len(i), 500.0), 200, cutoff=900)
    assert "all have the same distance" in same.rejection_reason
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
    exceedances = tail_likelihood.Exceedances(images, 66, start, i, j, start - distance)
    found = tail_likelihood.score_design_effect(exceedances, end, power)
    assert found == pytest.approx(max(shared / total, 1))
    assert found > 1.05


def test_tail_is_the_same_every_time():
    i, j, distance = power_law(300, 9, 250, 4)
    one = fitted(i, j, distance, 300)
    order = rng(1).permutation(len(i))
    other = fitted(j[order], i[order], distance[order], 300)
    assert one.replicates.tobytes() == other.replicates.tobytes()
    assert one.as_json() == other.as_json()
    assert fitted(i, j, distance, 300, seed=1).replicates.tobytes() != one.replicates.tobytes()


# Parts of the fit, each by its formula.


@pytest.fixture(scope="module")
def accepted():
    tail = fitted(*power_law(300, 9, 250, 5), 300)
    assert tail.accepted
    return tail


def listed(distance, images=400):
    """Return pairs with these distances, all of different images as far as there are."""
    i, j = np.triu_indices(images, 1)
    order = rng(9).permutation(len(i))[: len(distance)]
    return sort_impostor_pairs(ImpostorPairs(i[order], j[order], np.asarray(distance), 900), images)


def some_exceedances(number=40, images=30):
    return tail_likelihood.nearest_pairs(
        listed(300 + 100 * rng(1).random(number), images), images, 10**6
    )


def test_so_many_pairs_are_fitted():
    distance = 300 + 100 * rng(0).random(6000)
    dyads = listed(distance)
    for pairs, number in ((1000, 3), (400_000, 1200), (1_666_667, 5000), (10**9, 5000)):
        exceedances = tail_likelihood.nearest_pairs(dyads, 60_000, pairs)
        assert len(exceedances) == number
        assert exceedances.fit_threshold == np.sort(distance)[number - 1]
        assert np.allclose(exceedances.distance, np.sort(distance)[:number], rtol=1e-14)
        assert exceedances.smallest == pytest.approx(distance.min())
    assert len(tail_likelihood.nearest_pairs(dyads, 400, 100)) == 0
    short = tail_likelihood.nearest_pairs(listed(distance[:80]), 400, 10**6)
    assert len(short) == 80, "no more than are listed"
    ties = tail_likelihood.nearest_pairs(listed(np.repeat([310.0, 320.0, 330.0], 4)), 400, 2000)
    assert len(ties) == 8, "all that are as near as the sixth"


def test_the_test_of_fit_compares_from_ten_pairs_to_nearly_all():
    exceedances = some_exceedances(310)
    counts = exceedances.tested_counts
    assert (len(counts), counts[0], counts[-1]) == (31, 10, 300)
    ratios = np.diff(np.log(counts))
    assert np.allclose(ratios, math.log(30) / 30, atol=0.1)
    assert np.array_equal(exceedances.tested_probabilities, counts / 310)
    distance = np.sort(exceedances.distance)
    u = exceedances.fit_threshold
    model = [((distance[count - 1] - 200) / (u - 200)) ** 3 for count in counts]
    assert exceedances.fitted_probabilities(200.0, 3.0) == pytest.approx(model)


def test_anderson_darling_distance():
    gaps, probabilities = np.array([[0.1, -0.2], [0.0, 0.3]]), np.array([0.5, 0.2])
    distance = tail_likelihood.anderson_darling(gaps, probabilities)
    assert distance == pytest.approx([(0.01 / 0.25 + 0.04 / 0.16) / 2, 0.09 / 0.16 / 2])


def test_variance_of_the_number_of_exceedances():
    """By the variance components of the definition, of a rate over all dyads."""
    exceedances = some_exceedances(60, 16)
    variance = tail_likelihood.count_variance(exceedances)
    dyads = 16 * 15 / 2
    zeros = np.zeros(len(exceedances))
    parts = naive_dependence(exceedances.i, exceedances.j, zeros, 16, int(dyads), 0)
    # The variance of a rate, (4 (n - 2) zeta1 + 2 zeta2) / (n (n - 1)), times dyads squared.
    assert variance.own == pytest.approx(max(parts["zeta2"] * dyads, 60 * (1 - 60 / dyads)))
    assert variance.shared == pytest.approx(4 * 14 * parts["zeta1"] / (16 * 15) * dyads**2)
    assert variance.degrees_of_freedom == pytest.approx(parts["degrees_of_freedom"])


@pytest.mark.parametrize("variance", [(50.0, 0.0, 9.0), (50.0, 400.0, 9.0), (3.0, 1000.0, 9.0)])
def test_weights_give_the_number_of_pairs_its_variance(variance):
    own, shared, _ = variance
    shape = tail_likelihood.weight_shape(tail_likelihood.CountVariance(*variance))
    v = 1 / shape
    # Of a product of two weights 2 v + v^2; of two products with a common factor v.
    assert own * (2 * v + v**2) + shared * v == pytest.approx(own + shared)


def test_weights_are_repetitions():
    """A fit with weights of 1 to 3 is that of pairs that occur so often."""
    exceedances = some_exceedances(200)
    weights = rng(3).integers(1, 4, 200)
    y, u = exceedances.excess, exceedances.fit_threshold
    endpoint, exponent = tail_likelihood._fit_on_grid(
        y, u, exceedances.smallest, np.stack([np.ones(200), weights])
    )
    for row, repeated in enumerate((y, np.repeat(y, weights))):
        again = tail_likelihood.Exceedances(30, 435, u, *np.zeros((2, 1), int), repeated)
        assert (endpoint[row], exponent[row]) == pytest.approx(tail_likelihood.fit(again), rel=0.02)


def log_likelihood(exceedances, endpoint):
    """Return the largest log-likelihood over exponents of at least 2, by SciPy."""
    u, y = exceedances.fit_threshold, exceedances.excess
    exponent = max(1 / -np.log1p(-y / (u - endpoint)).mean(), 2)
    return stats.genpareto.logpdf(y, -1 / exponent, scale=(u - endpoint) / exponent).sum()


@pytest.mark.parametrize(("seed", "power"), [(0, 2.4), (1, 5), (2, 6), (3, 7), (4, 2.4)])
def test_the_fit_has_the_largest_likelihood(seed, power):
    i, j, distance = power_law(60, power, 100 * (seed % 4), seed)
    dyads = sort_impostor_pairs(ImpostorPairs(i, j, distance, 900), 60)
    exceedances = tail_likelihood.nearest_pairs(dyads, 60, 60_000)
    assert len(exceedances) == 180
    endpoint, exponent = tail_likelihood.fit(exceedances)
    u, y = exceedances.fit_threshold, exceedances.excess
    assert 0 <= endpoint < exceedances.smallest
    assert exponent == pytest.approx(1 / -np.log1p(-y / (u - endpoint)).mean())
    grid = np.linspace(0, exceedances.smallest * (1 - 1e-6), 500)
    best = max(log_likelihood(exceedances, e) for e in grid)
    assert log_likelihood(exceedances, endpoint) >= best - 5e-3


@pytest.mark.parametrize("seed", range(4))
def test_replicates_of_constant_weights_are_the_pairs_themselves(seed):
    """With a variance of almost 0, but for four more images for the upper ends."""
    images, number = 40, 70
    i, j = np.triu_indices(12, 1)  # the others are in no pair
    order = rng(seed).permutation(len(i))[:64]
    i, j = np.r_[i[order], i[order[:6]]], np.r_[j[order], j[order[:6]]]
    distance = 300 + 100 * rng(seed).random(number)
    dyads = sort_impostor_pairs(ImpostorPairs(i, j, distance, 900), images)
    exceedances = tail_likelihood.nearest_pairs(dyads, images, 30_000)
    assert len(exceedances) == number
    parameters, gaps = tail_likelihood.resample(exceedances, 1e12, 14.0, seed, 50)
    i, j, y = exceedances.i, exceedances.j, exceedances.excess
    u = exceedances.fit_threshold
    pairs_of = [np.sum((i == k) | (j == k)) for k in range(12)]
    nearness_of = [y[(i == k) | (j == k)].sum() for k in range(12)]
    more = np.ones(12)
    more[np.argmax(pairs_of)] += 2
    more[np.argmax(nearness_of)] += 2
    for kind, weights in enumerate((np.ones(number), more[i] * more[j])):
        assert parameters[kind, :, 0] == pytest.approx(weights.sum() / 30_000, rel=1e-4)
        for endpoint, exponent in parameters[kind, :, 1:]:
            closed = weights.sum() / -(weights * np.log1p(-y / (u - endpoint))).sum()
            assert exponent == pytest.approx(closed, rel=1e-4)
    endpoints = parameters[:, :, 1]
    assert np.all((endpoints >= 0) & (endpoints < exceedances.smallest))
    fit = tail_likelihood._fit_on_grid(y, u, exceedances.smallest, np.ones((1, number)))
    model = exceedances.fitted_probabilities(*(values[0] for values in fit))
    assert np.allclose(gaps, exceedances.tested_probabilities - model, atol=1e-4)


@pytest.mark.long
def test_endpoints_are_sampled_from_their_adjusted_likelihood():
    """Their distribution function is the integral of the likelihood of so many pairs."""
    exceedances = some_exceedances(150)
    for effective in (3.0, 40.0):
        endpoints = tail_likelihood._sample_endpoints(exceedances, 150 / effective, 4000, rng(1))
        grid = np.linspace(0, exceedances.smallest, 4001)[:-1] + exceedances.smallest / 8000
        per_pair = np.array([log_likelihood(exceedances, e) for e in grid]) / 150
        density = np.exp(effective * (per_pair - per_pair.max()))
        density *= np.sqrt(1 - grid / exceedances.smallest)
        u, y = exceedances.fit_threshold, exceedances.excess
        exponent = np.array([1 / -np.log1p(-y / (u - e)).mean() for e in grid])
        density[exponent < 2] = 0
        for probability in (0.1, 0.5, 0.9):
            point = grid[np.searchsorted(np.cumsum(density) / density.sum(), probability)]
            assert np.mean(endpoints <= point) == pytest.approx(probability, abs=0.015)
        assert len(np.unique(endpoints)) == 4000


@pytest.mark.parametrize(("power", "thins_out"), [(1.8, False), (2.3, True)])
def test_distances_that_do_not_thin_out(power, thins_out):
    """An exponent below 2 has no regular likelihood."""
    tail = fitted(*power_law(300, power, 0, 1), 300)
    assert (tail.rejection_reason.startswith("the distances do not thin out")) != thins_out
    if thins_out:
        assert 2 < tail.exponent < 3


def test_rates_are_quantiles_of_the_replicates(accepted):
    t = np.array([400.0, 500.0, accepted.fit_threshold])
    found = accepted.rate(t)
    for k, threshold in enumerate(t):
        lower, upper = (
            [
                probability * (max(threshold - e, 0) / (accepted.fit_threshold - e)) ** exponent
                for probability, e, exponent in parameters.tolist()
            ]
            for parameters in accepted.replicates
        )
        assert found.rate[k] == pytest.approx(np.median(lower))
        assert found.lower[k] == pytest.approx(np.quantile(lower, 0.025))
        assert found.upper[k] == pytest.approx(max(np.quantile(upper, 0.975), np.median(lower)))
    assert not np.isnan(found.rate[-1]), "the fit threshold itself is fitted"
    assert np.isnan(accepted.rate(accepted.fit_threshold + 1e-9).rate[0])


def test_what_the_tail_reliably_says(accepted):
    assert accepted.validated_down_to == accepted.rate_at_ten_matches / 100
    ten = accepted.threshold_at_ten_matches
    _, _, distance = power_law(300, 9, 250, 5)
    assert accepted.rate_at_ten_matches == np.mean(distance <= ten)
    assert (distance <= ten - 1).sum() < 10 <= (distance <= ten).sum()
    last = math.floor(accepted.fit_threshold)
    for threshold in (ten, last):
        rates = accepted.rate(threshold)
        assert accepted.reliable_rate(threshold) == (
            rates.rate[0], rates.lower[0], rates.upper[0], False
        )  # fmt: skip
    assert accepted.reliable_rate(last + 1) is None
    assert replace(accepted, accepted=False).reliable_rate(ten) is None
    beyond = accepted.reliable_rate(260)
    assert beyond == (None, 0, max(accepted.validated_down_to, beyond.upper), True)
    wider = replace(accepted, replicates=accepted.replicates * [[[1, 1, 1]], [[1e3, 1, 0.2]]])
    assert wider.reliable_rate(300).upper == wider.rate(300).upper[0] > accepted.validated_down_to


def test_a_list_without_ten_matches(accepted):
    """The rate at ten is at least that of all that are listed."""
    i, j, distance = power_law(300, 9, 250, 5)
    rows = np.argsort(distance)[:9]
    tail = fit_tail(
        ImpostorPairs(i[rows], j[rows], distance[rows], 500), 300, len(distance), replicates=100
    )
    assert tail.threshold_at_ten_matches is None
    assert tail.rate_at_ten_matches == 9 / len(distance)


def test_p_value_is_a_share_of_the_replicates(accepted):
    as_far = accepted.p_value * 201 - 1
    assert as_far == pytest.approx(round(as_far), abs=1e-9)
    assert 0 <= as_far <= 200


def test_two_more_images_for_the_upper_ends(accepted):
    assert np.all(accepted.replicates[1, :, 0] > accepted.replicates[0, :, 0])
    assert np.array_equal(accepted.replicates[0, :, 1], accepted.replicates[1, :, 1])


def test_fifty_pairs_are_enough():
    i, j, distance = power_law(300, 9, 250, 5)
    nearest = np.argsort(distance)[:50]
    for number, words in ((49, "49 pairs are near enough"), (50, "")):
        rows = nearest[:number]
        pairs = ImpostorPairs(i[rows], j[rows], distance[rows], 700)
        tail = fit_tail(pairs, 300, len(distance), replicates=100)
        assert ("near enough" in tail.rejection_reason) == bool(words)
        assert words in tail.rejection_reason
        assert math.isnan(tail.exponent) == (number == 49)


def test_a_smallest_distance_of_a_probability_below_one_percent(accepted):
    reasons = []
    for smallest in np.arange(200.0, 460.0, 0.5):
        tail = replace(accepted, smallest_distance=smallest)
        _, _, upper = tail.model_rates(np.array([smallest]), unseen=False)
        chance = 1 - math.exp(-tail.pairs * upper[0])
        reasons.append(tail_fit._improbable_smallest_distance(tail))
        assert bool(reasons[-1]) == (chance < 0.01)
    assert 10 < sum(map(bool, reasons)) < 510


@pytest.mark.parametrize("factor", [1.0, 1.9, 2.5, 5.0, 0.55, 0.5, 0.2])
def test_fit_and_counts_that_contradict_each_other(accepted, factor):
    """Against the intervals of the counts at the first threshold with so many."""
    i, j, distance = power_law(300, 9, 250, 5)
    dyads = sort_impostor_pairs(ImpostorPairs(i, j, distance, 700), 300)
    matches = np.cumsum(np.bincount(np.ceil(distance).astype(int)))
    dependence = dyadic_dependence(ImpostorPairs(i, j, distance, 900), 300, len(i))
    low, high = gamma_interval(matches, len(i), 300, dependence, 0.025)
    tail = replace(accepted, replicates=accepted.replicates * [factor, 1, 1])
    found = tail_fit._contradiction_by_counts(tail, dyads, 0.025)
    first = ""
    for count in (10, 20, 50, 100, 200, 500, 1000):
        t = int(np.argmax(matches >= count))
        if t > tail.fit_threshold:
            break
        _, lower, upper = tail.model_rates(np.array([float(t)]), unseen=False)
        if lower[0] > high[t] or upper[0] < low[t]:
            first = f"at the threshold {t} "
            break
    assert found.startswith(first)
    assert bool(found) == bool(first)
    assert bool(found) or 0.5 < factor < 2.5


def test_a_p_value_below_a_tenth_rejects(accepted):
    assert not tail_fit._lack_of_fit(replace(accepted, p_value=0.1))
    assert "p = 0.099" in tail_fit._lack_of_fit(replace(accepted, p_value=0.099))


def test_ten_nearest_dyads_among_eleven_originals():
    """A dyad that occurs twice is one; the eleventh nearest does not count."""
    i = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 12])
    j = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 13])
    for last, few in (((8, 9), True), ((9, 10), False)):
        i[9], j[9] = last
        pairs = tail_likelihood.Exceedances(20, 190, 12.0, i, j, np.arange(12.0)[::-1])
        reason = tail_fit._few_originals(pairs)
        assert bool(reason) == few, reason


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_weights_vary_more_by_students_t(confidence, monkeypatch):
    """Of twelve images that make up all pairs there are few degrees of freedom."""
    arguments = {}

    def resample(exceedances, *others):
        arguments["exceedances"], arguments["others"] = exceedances, others
        return original(exceedances, *others)

    original = tail_likelihood.resample
    monkeypatch.setattr(tail_likelihood, "resample", resample)
    i, j, distance = power_law(200, 6, 200, 3)
    distance[(i > 11) & (j > 11)] += 600
    pairs = ImpostorPairs(i, j, distance, 800)
    tail = fit_tail(pairs, 200, 19_900, confidence=confidence, seed=4, replicates=100)
    exceedances = arguments["exceedances"]
    variance = tail_likelihood.count_variance(exceedances)
    assert variance.degrees_of_freedom < 40
    probability = (1 + confidence) / 2
    ratio = stats.t.ppf(probability, variance.degrees_of_freedom) / stats.norm.ppf(probability)
    effect = tail_likelihood.score_design_effect(exceedances, tail.endpoint, tail.exponent)
    assert arguments["others"] == (
        pytest.approx(tail_likelihood.weight_shape(variance) / ratio**2),
        pytest.approx(effect),
        4,
        100,
    )
    count = len(exceedances)
    assert tail.effective_exceedances == pytest.approx(count**2 / (variance.own + variance.shared))
    assert tail.exceedance_probability == count / 19_900


def test_limits_grow_where_the_tail_ends_and_counting_begins(accepted):
    """Counting knew less, or more, than the tail just below: both limits hold for both."""
    ten = accepted.threshold_at_ten_matches
    before = accepted.rate(ten - 1)
    thresholds = np.arange(ten + 40)
    few = thresholds < ten
    rate = np.where(few, 0, np.geomspace(before.rate[0], 1, len(thresholds)))
    for upper in (before.upper[0] / 3, before.upper[0] * 3):
        counted = FalseMatchRates(
            300,
            44850,
            0.95,
            np.ceil(rate * 44850).astype(int),
            rate,
            np.where(few, 0, 1e-20),
            np.maximum(upper, rate),
            ~few,
        )
        rates, tail = join_limits(counted, accepted)
        below = tail.rate(np.arange(ten))
        for end in ("lower", "upper"):
            ends = np.r_[getattr(below, end), getattr(rates, end)[ten:]]
            assert np.all(np.diff(ends) >= 0), end
        assert rates.lower[ten] == before.lower[0]
        assert below.upper[-1] == min(before.upper[0], np.maximum(upper, rate)[ten])
        assert np.all((below.lower <= below.rate) & (below.rate <= below.upper))
        assert np.all(rates.lower <= rates.rate)
        assert tail.as_json()["counted_upper"] == pytest.approx(rates.upper[ten])
        assert np.array_equal(tail.rate(ten + 1.0).upper, accepted.rate(ten + 1.0).upper)
    unfit = replace(accepted, accepted=False)
    assert join_limits(counted, unfit) == (counted, unfit)


def test_a_fit_needs_the_pairs_of_fifty_dyads():
    """Whatever the number of variants: 0.3 % of the pairs of 180 originals are of 48 dyads."""
    reasons = []
    for images in (180, 190):
        i, j = (np.repeat(ends, 3) for ends in np.triu_indices(images, 1))
        distance = 250 + 650 * np.random.default_rng(3).random(len(i)) ** (1 / 9)
        near = distance < 600
        pairs = ImpostorPairs(i[near], j[near], distance[near], 600)
        reasons.append(fit_tail(pairs, images, len(i), replicates=100).rejection_reason)
    assert reasons[0] == (
        "144 pairs are near enough to be fitted, 150 are needed: take more originals"
    )
    assert reasons[1] == ""


@pytest.mark.parametrize(("per_dyad", "number"), [(1, 5000), (17, 5000), (140, 7000)])
def test_many_variants_leave_the_pairs_of_fifty_dyads(per_dyad, number):
    images = 2500
    i = np.arange(9000) % 1000
    distance = np.linspace(300, 500, 9000)
    dyads = sort_impostor_pairs(ImpostorPairs(i, i + 1000, distance, 900), images)
    pairs = images * (images - 1) // 2 * per_dyad
    assert len(tail_likelihood.nearest_pairs(dyads, images, pairs)) == number
