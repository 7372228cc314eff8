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
    SortedDyads,
    dyadic_dependence,
    sorted_dyads,
)
from photodna_nb.evaluation.intervals import MIN_MATCHES, gamma_interval
from photodna_nb.evaluation.tail import Tail

_MIN_EXCEEDANCES = 50
_MIN_EFFECTIVE_EXCEEDANCES = 10
# Limits of the tests that reject a fit.
_MIN_P_VALUE = 0.1
_MIN_CHANCE_OF_SMALLEST = 0.01
_COMPARED_COUNTS = 10, 20, 50, 100, 200, 500, 1000
_MIN_NEAREST_ORIGINALS = 11


def fit_tail(
    impostors: ImpostorPairs | SortedDyads,
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
    impostors : ImpostorPairs or SortedDyads
        All impostor pairs up to a cut-off. The nearest 0.3 % of all pairs, at most 5,000, are
        fitted: the list should hold so many.
    images, pairs : int
        Number of originals, and of all impostor pairs, listed or not.
    confidence : float
        Confidence level of the intervals, between 0 and 1.
    seed : int
        Seed of the resampling.
    replicates : int
        Number of resampled corpora, at least 100.

    Returns
    -------
    Tail
        Check `accepted` first: with too few pairs, or where the model does not describe them, it
        is False, there is a reason, and rates are NaN.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As `dyadic_dependence`; or a number is out of range.

    Notes
    -----
    *Fit.* `endpoint` and `exponent` have the largest likelihood, with an endpoint from 0 to the
    smallest distance; for each endpoint the exponent has a closed form. It is at least 2 (a shape
    of at least -1/2), where the likelihood is regular.

    *Rates.* With few pairs the largest likelihood puts the endpoint too near to the smallest
    distance, and the rates below it too low. Rates therefore come from draws: their median, and
    their quantiles as the interval. In each draw the endpoint follows its likelihood times
    ``sqrt(1 - endpoint / smallest_distance)``; the likelihood is raised to the power that undoes
    how much shared images enlarge the variance of its score. Share and exponent are those of
    resampled images: each image has a gamma weight of mean 1, and a pair the product of its two.
    The variance of the weights is chosen so that the number of exceedances varies as in
    `false_match_rates`, with the same factor by Student's t. (Drawing images with replacement
    makes it vary up to three times as much.) For the upper ends two images are added: one more
    like the image with the most exceedances, and one more like that with the nearest ones.

    *Validation.* Fitted on random tenths of 5,000 and 12,000 dead-leaves originals, intervals of
    95 % covered the counts of the whole, ten and a hundred times below the rate at ten pairs of
    the tenth, in 94 to 100 % of the splits of each corpus: ``tests/benchmarks/tail.py``.

    *Rejection.* There is no fit to fewer than 50 pairs, or to pairs worth fewer than 10
    independent ones. A fit is rejected if

    - the smallest distance has a probability below 1 % under the upper ends;
    - the intervals of the fit and of the counts (`gamma_interval`) do not overlap at 10, 20, 50,
      … or 1,000 pairs;
    - in less than 10 % of the replicates the weighted shares lie as far from the replicate's own
      fit, in the Anderson-Darling distance and less the gap of the data, as the shares of the
      data lie from the fit. The weights vary rather too much, so the test favours the fit;
    - the ten nearest dyads are among ten originals or fewer.

    What no part of the corpus shows cannot be noticed: if a handful of images among thousands are
    near each other and unlike all others, the interval may miss.

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
    dyads = impostors if isinstance(impostors, SortedDyads) else sorted_dyads(impostors, images)
    exceedances = likelihood.nearest_pairs(dyads, images, pairs)
    matches = dyads.matches()
    ten = np.flatnonzero(dyads.matching_dyads() >= MIN_MATCHES)
    threshold_at_ten = int(ten[0]) if len(ten) else None
    counted = len(matches) if threshold_at_ten is None else threshold_at_ten + 1
    no_fit = Tail(
        images=images,
        pairs=pairs,
        fit_threshold=exceedances.fit_threshold,
        exceedances=len(exceedances),
        effective_exceedances=math.nan,
        share=len(exceedances) / pairs,
        endpoint=math.nan,
        exponent=math.nan,
        smallest_distance=float(dyads.distance.min()) if len(dyads.distance) else math.nan,
        threshold_at_ten_matches=threshold_at_ten,
        rate_at_ten_matches=float(matches[:counted].max(initial=0)) / pairs,
        statistic=math.nan,
        p_value=math.nan,
        accepted=False,
        rejection_reason="",
        confidence=confidence,
        draws=np.full((2, 1, 3), np.nan),
    )
    if reason := _too_little_to_fit(no_fit):
        return replace(no_fit, rejection_reason=reason)
    variance = likelihood.count_variance(exceedances)
    effective = len(exceedances) ** 2 / (variance.own + variance.shared)
    no_fit = replace(no_fit, effective_exceedances=effective)
    if effective < _MIN_EFFECTIVE_EXCEEDANCES:
        reason = (
            f"the {len(exceedances)} closest pairs share so few images that they say as much as "
            f"{effective:.1f} independent ones, {_MIN_EFFECTIVE_EXCEEDANCES} are needed: take "
            "more originals"
        )
        return replace(no_fit, rejection_reason=reason)
    endpoint, exponent = likelihood.fit(exceedances)
    if not exponent >= likelihood.MIN_EXPONENT:
        reason = "the distances do not thin out: look at the closest pairs"
        return replace(no_fit, rejection_reason=reason)

    t_quantile = stats.t.ppf(1 - half_alpha, variance.degrees_of_freedom)
    widening = (t_quantile / stats.norm.ppf(1 - half_alpha)) ** 2
    draws, gaps = likelihood.resample(
        exceedances,
        likelihood.weight_shape(variance) / widening,
        len(exceedances) / likelihood.score_design_effect(exceedances, endpoint, exponent),
        seed,
        replicates,
    )
    shares = exceedances.tested_shares
    gap = shares - exceedances.model_shares(endpoint, exponent)
    statistic = float(likelihood.anderson_darling(gap, shares))
    as_far = likelihood.anderson_darling(gaps - gap, shares) >= statistic
    tail = replace(
        no_fit,
        endpoint=endpoint,
        exponent=exponent,
        statistic=statistic,
        p_value=float((1 + as_far.sum()) / (replicates + 1)),
        draws=draws,
    )
    reason = (
        _improbable_smallest_distance(tail)
        or _contradiction_by_counts(tail, dyads, half_alpha)
        or _lack_of_fit(tail)
        or _few_originals(exceedances)
    )
    return replace(tail, accepted=not reason, rejection_reason=reason)


def _too_little_to_fit(tail: Tail) -> str:
    """Return why no distribution can be fitted, or nothing."""
    if tail.exceedances < _MIN_EXCEEDANCES or tail.images < 4:
        return (
            f"{tail.exceedances} pair{'s are' if tail.exceedances != 1 else ' is'} close enough to "
            f"be fitted, {_MIN_EXCEEDANCES} are needed: take more originals"
        )
    if tail.smallest_distance >= tail.fit_threshold:
        return "the closest pairs are all equally far apart"
    if tail.smallest_distance <= 0:
        return "two originals have the same hash: look at the closest pairs"
    return ""


def _improbable_smallest_distance(tail: Tail) -> str:
    """Return that the smallest distance is smaller than the fit lets expect, or nothing."""
    _, _, upper = tail.model_rates(np.array([tail.smallest_distance]))
    chance = -math.expm1(-tail.pairs * upper[0])
    if chance >= _MIN_CHANCE_OF_SMALLEST:
        return ""
    return (
        f"the closest pair, at {tail.smallest_distance:.1f}, is closer than the others let expect "
        f"(a chance of {chance:.2g}): look whether it shows the same thing twice"
    )


def _contradiction_by_counts(tail: Tail, dyads: SortedDyads, half_alpha: float) -> str:
    """Return at which threshold the intervals of fit and counts do not overlap, or nothing."""
    matches = dyads.matches()
    dependence = dyadic_dependence(dyads, tail.images, tail.pairs)
    low, high = gamma_interval(matches, tail.pairs, tail.images, dependence, half_alpha)
    for count in _COMPARED_COUNTS:
        t = int(np.searchsorted(matches, count))
        if t > tail.fit_threshold:
            break
        rate, lower, upper = (values[0] for values in tail.model_rates(np.array([float(t)])))
        if lower > high[t] or upper < low[t]:
            return (
                f"at the threshold {t} the model gives a rate of {rate:.2g}, and "
                f"{int(matches[t])} pairs, {matches[t] / tail.pairs:.2g}, were counted: "
                "look at the closest pairs"
            )
    return ""


def _lack_of_fit(tail: Tail) -> str:
    """Return that the distribution has another form, or nothing."""
    if tail.p_value >= _MIN_P_VALUE:
        return ""
    return (
        "the closest distances do not follow a generalised Pareto distribution "
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
        f"the {len(first)} closest pairs are among {originals} originals, which are unlike the "
        "others: look at them"
    )
