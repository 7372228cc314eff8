"""False match rates too low to count: the generalised Pareto tail."""

import itertools
import json
import math

import numpy as np
import pytest
from corpora import fitted, power_law, with_duplicate
from scipy import stats

from photodna_nb.evaluation import tail_likelihood
from photodna_nb.evaluation.dependence import ImpostorPairs
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
        (with_duplicate, "closest pair"),
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
    exceedances = tail_likelihood.Exceedances(images, 66, start, i, j, start - distance)
    found = tail_likelihood.score_design_effect(exceedances, end, power)
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
