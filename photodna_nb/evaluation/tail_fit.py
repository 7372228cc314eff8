"""Fit of a generalised Pareto tail to the smallest impostor distances, and the tests of the fit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import stats

from photodna_nb import checks
from photodna_nb.evaluation import tail_likelihood as likelihood
from photodna_nb.evaluation.dependence import (
    ImpostorPairs,
    SortedImpostorPairs,
    dyadic_dependence,
    pairs_per_dyad,
    sort_impostor_pairs,
)
from photodna_nb.evaluation.gamma_interval import gamma_interval
from photodna_nb.evaluation.intervals import MIN_MATCHES
from photodna_nb.evaluation.tail import Tail

_MIN_EFFECTIVE_EXCEEDANCES = 10
# Limits of the tests that reject a fit.
_MIN_P_VALUE = 0.1
_MIN_CHANCE_OF_SMALLEST = 0.01
_COMPARED_COUNTS = 10, 20, 50, 100, 200, 500, 1000
_MIN_NEAREST_ORIGINALS = 11


def fit_tail(
    impostors: ImpostorPairs | SortedImpostorPairs,
    images: int,
    pairs: int,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 400,
) -> Tail:
    """Return the lower tail of the impostor distances, fitted by a generalised Pareto.

    Parameters
    ----------
    impostors : ImpostorPairs or SortedImpostorPairs
        All impostor pairs up to a cut-off. The nearest 0.3 % of all pairs, at most 5,000, are
        fitted, so the list should hold as many.
    images, pairs : int
        Number of originals, and of all impostor pairs, listed or not.
    confidence : float
        Confidence level of the intervals, between 0 and 1.
    seed : int
        Seed of the resampling.
    replicates : int
        Number of replicates (resampled corpora), at least 100.

    Returns
    -------
    Tail
        Check `accepted` first: with too few pairs, or where the model does not describe them, it
        is False, `rejection_reason` says why, and rates are NaN.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As `dyadic_dependence`; or a number is out of range.

    Notes
    -----
    *Fit.* `endpoint` and `exponent` have the largest likelihood, with an endpoint from 0 to the
    smallest distance; for each endpoint the exponent has a closed form. It is at least 2 (a shape
    of at least -1/2), where the likelihood is regular.

    *Rates.* With few pairs, the largest likelihood puts the endpoint too near to the smallest
    distance, and so the rates below it too low. Rates are therefore computed from replicates: the
    rate is their median, and the confidence limits are their quantiles. In each replicate, the
    endpoint is sampled from the power-adjusted likelihood times the penalty
    ``sqrt(1 - endpoint / smallest_distance)``: the likelihood is raised to the power
    ``1 / score_design_effect``, which undoes how much the dependence of pairs enlarges the variance
    of its score. Exceedance probability and exponent are those of resampled images: each image has
    a gamma weight of mean 1, and a pair the product of its two. The variance of the weights is
    chosen so that the number of exceedances varies as in `false_match_rates`, with the same factor
    by Student's t. (Resampling images with replacement makes it vary up to three times as much.)
    For the upper limits, four images are added, as in `gamma_interval`: two more like the image
    with the most exceedances, and two more like that with the smallest distances.

    *Validation.* Fits to random thirds and halves of two sets of photographs, with eight variants
    of each and without, were compared with the counts of the whole, at the rate of ten full dyads
    and ten times below: 98 % of the intervals of 95 % held the count, in each cell 95 % or more.
    A hundred times below, fits to tenths of generated images were: ``tests/benchmarks/tail.py``,
    docs/statistics.md.

    *Rejection.* There is no fit to fewer than 50 full dyads, or to fewer than 10 effective
    exceedances.
    A fit is rejected if

    - the smallest distance has a probability below 1 % at the upper limits without added images;
    - such intervals of the fit and of the counts (`gamma_interval`) do not overlap at 10, 20, 50,
      … or 1,000 pairs;
    - the Anderson-Darling test has a p-value below 0.1. With the empirical distribution function F
      of the exceedances at 31 points, from ten pairs on, and that of the fit G, the statistic is
      ``A = mean((F - G)² / (F (1 - F)))``. In replicate r, F_r is the weighted distribution
      function, G_r its own fit, and ``A_r = mean((F_r - G_r - (F - G))² / (F (1 - F)))``. Of R
      replicates, ``p = (1 + #{A_r >= A}) / (R + 1)``. The weights vary somewhat too much, so the
      test is conservative: it rejects a true model in less than 10 % of the cases;
    - the ten nearest dyads are among ten originals or fewer.

    A feature of which no part is in the corpus cannot be noticed: if a handful of images among
    thousands are near each other and unlike all others, the interval may not contain the rate.

    References
    ----------
    Pickands, "Statistical Inference Using Extreme Order Statistics", Annals of Statistics
    3, 1975. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001,
    chapter 4. Coles, Dixon, "Likelihood-Based Inference for Extreme Value Models",
    Extremes 2, 1999. Kojadinovic, Yan, "Goodness-of-fit testing based on a weighted bootstrap",
    Canadian Journal of Statistics 40, 2012.
    """
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    checks.integer("replicates", replicates, least=100)
    checks.integer("pairs", pairs, least=1)
    nearest_first = sort_impostor_pairs(impostors, images)
    exceedances = likelihood.nearest_pairs(nearest_first, images, pairs)
    matches = nearest_first.matches()
    full_dyads = nearest_first.full_dyads(pairs_per_dyad(images, pairs))
    ten = np.flatnonzero(full_dyads >= MIN_MATCHES)
    threshold_at_ten = int(ten[0]) if len(ten) else None
    counted = len(matches) if threshold_at_ten is None else threshold_at_ten + 1
    no_fit = Tail(
        images=images,
        pairs=pairs,
        fit_threshold=exceedances.fit_threshold,
        exceedances=len(exceedances),
        effective_exceedances=math.nan,
        exceedance_probability=len(exceedances) / pairs,
        endpoint=math.nan,
        exponent=math.nan,
        smallest_distance=float(nearest_first.distance.min())
        if len(nearest_first.distance)
        else math.nan,
        threshold_at_ten_matches=threshold_at_ten,
        rate_at_ten_matches=float(matches[:counted].max(initial=0)) / pairs,
        statistic=math.nan,
        p_value=math.nan,
        accepted=False,
        rejection_reason="",
        confidence=confidence,
        replicates=np.full((2, 1, 3), np.nan),
    )
    if reason := _too_little_to_fit(no_fit):
        return replace(no_fit, rejection_reason=reason)
    variance = likelihood.count_variance(exceedances)
    effective = len(exceedances) ** 2 / (variance.own + variance.shared)
    no_fit = replace(no_fit, effective_exceedances=effective)
    if effective < _MIN_EFFECTIVE_EXCEEDANCES:
        reason = (
            f"the {len(exceedances)} nearest pairs involve so few distinct images that they are "
            f"worth {effective:.1f} independent pairs; {_MIN_EFFECTIVE_EXCEEDANCES} are needed: "
            "take more originals"
        )
        return replace(no_fit, rejection_reason=reason)
    endpoint, exponent = likelihood.fit(exceedances)
    if not exponent >= likelihood.MIN_EXPONENT:
        reason = "the distances do not thin out: look at the nearest pairs"
        return replace(no_fit, rejection_reason=reason)

    t_quantile = stats.t.ppf(1 - half_alpha, variance.degrees_of_freedom)
    widening = (t_quantile / stats.norm.ppf(1 - half_alpha)) ** 2
    parameters, gaps = likelihood.resample(
        exceedances,
        likelihood.weight_shape(variance) / widening,
        likelihood.score_design_effect(exceedances, endpoint, exponent),
        seed,
        replicates,
    )
    probabilities = exceedances.tested_probabilities
    gap = probabilities - exceedances.fitted_probabilities(endpoint, exponent)
    statistic = float(likelihood.anderson_darling(gap, probabilities))
    as_large = likelihood.anderson_darling(gaps - gap, probabilities) >= statistic
    tail = replace(
        no_fit,
        endpoint=endpoint,
        exponent=exponent,
        statistic=statistic,
        p_value=float((1 + as_large.sum()) / (replicates + 1)),
        replicates=parameters,
    )
    reason = (
        _improbable_smallest_distance(tail)
        or _contradiction_by_counts(tail, nearest_first, half_alpha)
        or _lack_of_fit(tail)
        or _few_originals(exceedances)
    )
    return replace(tail, accepted=not reason, rejection_reason=reason)


def _too_little_to_fit(tail: Tail) -> str:
    """Return why no distribution can be fitted, or nothing."""
    needed = likelihood.MIN_DYADS * pairs_per_dyad(tail.images, tail.pairs)
    if tail.exceedances < needed or tail.images < 4:
        return (
            f"{tail.exceedances} pair{'s are' if tail.exceedances != 1 else ' is'} near enough to "
            f"be fitted, {needed} are needed: take more originals"
        )
    ten = tail.threshold_at_ten_matches
    if ten is None or ten > math.ceil(tail.fit_threshold):
        return f"the {tail.exceedances} nearest pairs are of few originals: look at them"
    if tail.smallest_distance >= tail.fit_threshold:
        return "the nearest pairs all have the same distance"
    if tail.smallest_distance <= 0:
        return "two originals have the same hash: look at the nearest pairs"
    return ""


def _improbable_smallest_distance(tail: Tail) -> str:
    """Return that the smallest distance has a low probability under the fit, or nothing."""
    _, _, upper = tail.model_rates(np.array([tail.smallest_distance]), unseen=False)
    chance = -math.expm1(-tail.pairs * upper[0])
    if chance >= _MIN_CHANCE_OF_SMALLEST:
        return ""
    return (
        f"the smallest distance, {tail.smallest_distance:.1f}, is improbable by the "
        f"fit (p = {chance:.2g}): look whether that pair shows the same thing twice"
    )


def _contradiction_by_counts(tail: Tail, impostors: SortedImpostorPairs, half_alpha: float) -> str:
    """Return at which threshold the intervals of fit and counts do not overlap, or nothing."""
    matches = impostors.matches()
    dependence = dyadic_dependence(impostors, tail.images, tail.pairs)
    low, high = gamma_interval(matches, tail.pairs, tail.images, dependence, half_alpha)
    for count in _COMPARED_COUNTS:
        t = int(np.searchsorted(matches, count))
        if t > tail.fit_threshold:
            break
        at_t = tail.model_rates(np.array([float(t)]), unseen=False)
        rate, lower, upper = (values[0] for values in at_t)
        if lower > high[t] or upper < low[t]:
            return (
                f"at the threshold {t} the model gives a rate of {rate:.2g}, and "
                f"{int(matches[t])} pairs, {matches[t] / tail.pairs:.2g}, were counted: "
                "look at the nearest pairs"
            )
    return ""


def _lack_of_fit(tail: Tail) -> str:
    """Return that the distribution has another form, or nothing."""
    if tail.p_value >= _MIN_P_VALUE:
        return ""
    return (
        "the smallest distances do not follow a generalised Pareto distribution "
        f"(Anderson-Darling p = {tail.p_value:.2g})"
    )


def _few_originals(exceedances: likelihood.Exceedances) -> str:
    """Return that the nearest dyads are among few originals, or nothing."""
    i, j = exceedances.i, exceedances.j
    first = np.sort(np.unique(i * (j.max() + 1) + j, return_index=True)[1])[:MIN_MATCHES]
    originals = len(np.unique([i[first], j[first]]))
    if originals >= _MIN_NEAREST_ORIGINALS:
        return ""
    return (
        f"the {len(first)} nearest pairs are among {originals} originals, which are unlike the "
        "others: look at them"
    )
