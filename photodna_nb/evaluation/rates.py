"""Rates of the pairs of a run with their confidence intervals: of all originals, or of a half."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.curves import RateCurves, curves
from photodna_nb.evaluation.dependence import (
    DyadicDependence,
    Floats,
    ImpostorPairs,
    dyadic_dependence,
    matrix_dependence,
    sort_impostor_pairs,
)
from photodna_nb.evaluation.intervals import (
    FalseMatchRates,
    clopper_pearson,
    clustered_recall_interval,
    false_match_rates,
)
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import HALVES, Half, Histogram, PairCounts
from photodna_nb.evaluation.pair_graph import PairGraph
from photodna_nb.evaluation.pair_records import NearestImpostors
from photodna_nb.evaluation.tail import Tail, join_limits
from photodna_nb.evaluation.tail_fit import fit_tail
from photodna_nb.pairs import all_pairs
from photodna_nb.printable import short_repr


@short_repr
@dataclass(frozen=True, eq=False)
class RateEstimates:
    """Recall and false match rates of some originals, with confidence intervals.

    Attributes
    ----------
    images : int
        Number of originals that take part in impostor pairs.
    confidence : float
        Confidence level of the intervals.
    genuine_histogram, impostor_histogram : ndarray of int64, (t,)
        Number of genuine and of impostor pairs with ``d - 1 < distance <= d``, for d from 0 on:
        3061 numbers for "photodna".
    curves : RateCurves
        Rates at every integer threshold, and summary numbers of the curves.
    recall_lower, recall_upper : ndarray of float64, (t,)
        Confidence limits of ``curves.recall``, by `clustered_recall_interval`.
    false_match_rates : FalseMatchRates or None
        False match rates with their confidence intervals; None if there are no impostor pairs, or
        the nearest could not be listed.
    tail : Tail or None
        Fitted tail of the impostor distances; None if `false_match_rates` is, and for Hamming
        distances: they are whole numbers, of which a tail has too few for a continuous fit.
    no_rates_reason : str
        Why `false_match_rates` is None; empty if it is not.
    unit : str
        Unit of the thresholds.
    """

    images: int
    confidence: float
    genuine_histogram: Histogram
    impostor_histogram: Histogram
    curves: RateCurves
    recall_lower: Floats
    recall_upper: Floats
    false_match_rates: FalseMatchRates | None = None
    tail: Tail | None = None
    no_rates_reason: str = ""
    unit: str = "L2"


class RunEstimates(NamedTuple):
    """Rates of all originals of a run, and of its two halves."""

    all_originals: RateEstimates
    selection: RateEstimates
    validation: RateEstimates


class RecallSelection(NamedTuple):
    """The genuine pairs and the threshold of one recall.

    Attributes
    ----------
    transform : str
        Transform of the variants.
    threshold : int
        Largest distance of a match.
    oriented : bool
        Whether distances are oriented: the smallest over the eight orientations of the original.
    half : {"selection", "validation"} or None
        Half of the originals; None for all.
    detail_bin : int or None
        Detail bin of the originals; None for all.
    """

    transform: str
    threshold: int
    oriented: bool
    half: Half | None = None
    detail_bin: int | None = None


class RecallEstimate(NamedTuple):
    """Recall of genuine pairs at a threshold.

    Attributes
    ----------
    genuine_pairs, matches : int
        Number of genuine pairs, and of those that match.
    recall, recall_lower, recall_upper : float or None
        Proportion of the pairs that match, and its Clopper-Pearson confidence limits; None if
        there are no pairs.
    """

    genuine_pairs: int
    matches: int
    recall: float | None
    recall_lower: float | None
    recall_upper: float | None


def estimate_rates(
    counts: PairCounts,
    half: Half | None = None,
    *,
    without: str | None = None,
    oriented: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
    beyond_cutoff: DyadicDependence | None = None,
) -> RateEstimates:
    """Return recall and false match rates of the pairs of a run, with confidence intervals.

    Parameters
    ----------
    counts : PairCounts
        Pairs of a run.
    half : {"selection", "validation"}, optional
        Half of the originals; all if left out.
    without : str, optional
        Name of an original whose pairs, and those of its variants, are left out. Their distances
        are known up to ``counts.nearest_limit``; beyond it they are taken to be distributed as
        those of all pairs. Not together with `half`.
    oriented : bool
        Whether distances are oriented: the smallest over the eight orientations of the original.
    confidence : float
        Confidence level of the intervals, between 0 and 1.
    seed : int
        Seed of the random numbers of the intervals, at least 0.
    beyond_cutoff : DyadicDependence, optional
        Result of `dependence_beyond_cutoff`, which is called if it is left out.

    Returns
    -------
    RateEstimates
        Rates at all integer thresholds.

    Raises
    ------
    ArgumentTypeError
        `counts` is no `PairCounts`, or a number has another type.
    ArgumentError
        `confidence` or `seed` is out of range, or no original is called `without`.

    Notes
    -----
    Takes one or two seconds with two million listed pairs.
    """
    if not isinstance(counts, PairCounts):
        raise ArgumentTypeError(
            checks.message("counts", checks.describe(counts), "PairCounts, such as results.counts")
        )
    seed = checks.integer("seed", seed, least=0)
    rows, genuine_rows = np.ones(len(counts), bool), counts.genuine_rows(half=half)
    impostor = counts.impostor_histogram(split=half)
    if half is not None:
        rows = counts.in_validation_half == (half == "validation")
    if without is not None:
        row = _row_without(counts, without, half)
        rows[row] = False
        genuine_rows &= (counts.genuine.i != row) & (counts.genuine.j != row)
        impostor = impostor - _pairs_of(counts, row)
    genuine = counts.hasher.histogram(counts.genuine.squared(oriented)[genuine_rows])
    recall_limits = _recall_limits(counts, oriented, confidence, genuine_rows)
    rows &= counts.compared  # the others are in no impostor pair
    images, pairs = int(rows.sum()), int(impostor.sum())
    estimates = RateEstimates(
        images,
        confidence,
        genuine,
        impostor,
        curves(genuine, impostor),
        *recall_limits,
        unit=counts.hasher.unit,
    )
    if images < 2 or not pairs:
        reason = "there are no impostor pairs" + (f" in the {half} half" if half else "")
        return replace(
            estimates, no_rates_reason=reason + (_exclusions(counts) if images >= 2 else "")
        )
    if counts.nearest_limit < 0:
        reason = (
            "too many impostor pairs have the same hash to be listed: name them in pairs.duplicates"
        )
        return replace(estimates, no_rates_reason=reason)
    nearest = counts.nearest
    nearest = nearest.taken(rows[nearest.i] & rows[nearest.j])
    if counts.labelled is not None:
        rates = labelled_rates(counts, nearest, confidence, seed)
        return replace(estimates, false_match_rates=rates)
    number = np.cumsum(rows) - 1
    impostors = ImpostorPairs(
        number[nearest.i],
        number[nearest.j],
        counts.hasher.distances(nearest.distance_squared),
        counts.nearest_limit,
    )
    nearest_first = sort_impostor_pairs(impostors, images)
    rates = false_match_rates(
        impostor,
        images,
        nearest_first,
        beyond_cutoff=beyond_cutoff or dependence_beyond_cutoff(counts),
        confidence=confidence,
        seed=seed,
        run_number=counts.run_number[rows],
    )
    if counts.hasher.metric == "hamming":  # whole numbers, of which the tail has few
        return replace(estimates, false_match_rates=rates)
    tail = fit_tail(nearest_first, images, pairs, confidence=confidence, seed=seed)
    rates, tail = join_limits(rates, tail)
    return replace(estimates, false_match_rates=rates, tail=tail)


def labelled_rates(
    counts: PairCounts, pairs: NearestImpostors, confidence: float, seed: int
) -> FalseMatchRates:
    """Return the false match rates of some of the labelled impostor pairs.

    Originals that genuine pairs link are one image: they show the same. No tail is fitted: it
    would be that of the pairs that somebody chose.
    """
    images, number = np.unique(counts.linked_groups[np.r_[pairs.i, pairs.j]], return_inverse=True)
    i, j = number.reshape(2, -1)
    hasher = counts.hasher
    distances = hasher.distances(pairs.distance_squared)
    return false_match_rates(
        hasher.histogram(pairs.distance_squared),
        len(images),
        ImpostorPairs(i, j, distances, hasher.largest_threshold),
        confidence=confidence,
        seed=seed,
        graph=PairGraph(i, j, len(images), seed),
    )


def estimate_run(
    counts: PairCounts, config: Config, executor: Executor | None = None
) -> RunEstimates:
    """Return the rates of all originals and of the two halves, as a configuration asks for.

    executor: where they are estimated, each by itself.
    """
    options: Any = {
        "oriented": config.deployment.orientations,
        "confidence": config.confidence,
        "seed": config.seed,
        "beyond_cutoff": dependence_beyond_cutoff(counts),
    }
    estimate = partial(estimate_rates, counts, **options)
    halves = (None, *HALVES)
    if executor is None:
        return RunEstimates(*map(estimate, halves))
    return RunEstimates(*parallel.ordered_map(estimate, halves, executor=executor))


def with_genuine_distances(
    estimates: RateEstimates, counts: PairCounts, *, oriented: bool
) -> RateEstimates:
    """Return the estimates with plain or with oriented distances of the genuine pairs.

    Parameters
    ----------
    estimates : RateEstimates
        Estimates of all originals of `counts`.
    counts : PairCounts
        Pairs of the run.
    oriented : bool
        Whether distances are oriented: the smallest over the eight orientations of the original.
    """
    genuine = counts.genuine_histogram(oriented=oriented)
    lower, upper = _recall_limits(counts, oriented, estimates.confidence, counts.genuine_rows())
    return replace(
        estimates,
        genuine_histogram=genuine,
        curves=curves(genuine, estimates.impostor_histogram),
        recall_lower=lower,
        recall_upper=upper,
    )


def _recall_limits(
    counts: PairCounts, oriented: bool, confidence: float, rows: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return the confidence limits of the recall of some genuine pairs."""
    distances = counts.hasher.distances(counts.genuine.squared(oriented)[rows])
    return clustered_recall_interval(
        distances, counts.genuine_clusters[rows], counts.hasher.n_bins, confidence
    )


def dependence_beyond_cutoff(counts: PairCounts) -> DyadicDependence | None:
    """Return the dependence of pairs in a sample of the originals, for unlisted distances.

    None if all distances are listed, or the sample is too small. Without a sample, which is not
    kept with ``privacy.hashes = false``, no match is known there, and the limits are the widest.
    """
    hasher = counts.hasher
    if counts.nearest_limit >= hasher.largest_threshold:
        return None
    if not len(counts.hash_sample):
        none = np.empty(0, np.int64)
        return dyadic_dependence(ImpostorPairs(none, none, none, hasher.largest_threshold), 4, 6)
    if len(counts.hash_sample) < 4:
        return None
    distances = all_pairs.distance_matrix(counts.hash_sample, metric=hasher.metric)
    return matrix_dependence(distances, hasher.largest_threshold)


def estimate_recalls(
    counts: PairCounts, selections: Iterable[RecallSelection], confidence: float
) -> list[RecallEstimate]:
    """Return the recall of single transforms at thresholds, with confidence intervals.

    Where each original has one variant by a transform, genuine pairs are independent trials, and
    the intervals those of Clopper and Pearson. Where pairs are of one cluster, as several copies of
    one original with a label, they are those of `clustered_recall_interval`.

    Parameters
    ----------
    counts : PairCounts
        Pairs of a run.
    selections : iterable of RecallSelection
        Which genuine pairs, and at which threshold.
    confidence : float
        Confidence level of the intervals, between 0 and 1.
    """
    distances = cache(counts.genuine_distances_squared)
    matches, genuine_pairs = [], []
    selections = list(selections)
    for transform, threshold, oriented, half, detail_bin in selections:
        squared = distances(transform, half=half, detail_bin=detail_bin, oriented=oriented)
        limit = counts.hasher.integer_limit(threshold)
        matches.append(int(np.searchsorted(squared, limit, side="right")))
        genuine_pairs.append(len(squared))
    estimates = recall_estimates(matches, genuine_pairs, confidence)
    limits = cache(partial(_clustered_limits, counts, confidence))
    for number, (transform, threshold, oriented, half, detail_bin) in enumerate(selections):
        ends = limits(transform, oriented, half, detail_bin)
        if ends is not None:
            lower, upper = (json_number(float(end[threshold])) for end in ends)
            recall = estimates[number]
            estimates[number] = recall._replace(recall_lower=lower, recall_upper=upper)
    return estimates


def _clustered_limits(
    counts: PairCounts,
    confidence: float,
    transform: str,
    oriented: bool,
    half: Half | None,
    detail_bin: int | None,
) -> tuple[Floats, Floats] | None:
    """Return the limits of the recall at each threshold; None if each pair is its own cluster."""
    rows = counts.genuine_rows(transform, half=half, detail_bin=detail_bin)
    clusters = counts.genuine_clusters[rows]
    if len(np.unique(clusters)) == len(clusters):
        return None
    return _recall_limits(counts, oriented, confidence, rows)


def recall_estimates(
    matches: list[int], genuine_pairs: list[int], confidence: float
) -> list[RecallEstimate]:
    """Return the recall of each number of matches among independent genuine pairs."""
    if not genuine_pairs:
        return []
    limits = clopper_pearson(matches, genuine_pairs, confidence)
    lower, upper = (limit.tolist() for limit in limits)
    return [
        RecallEstimate(n, m, m / n, json_number(low), json_number(high))
        if n
        else RecallEstimate(n, m, None, None, None)
        for m, n, low, high in zip(matches, genuine_pairs, lower, upper, strict=True)
    ]


def _row_without(counts: PairCounts, name: str, half: Half | None) -> int:
    """Return the row of an original that is left out."""
    if half is not None:
        raise ArgumentError("without: is known for all originals alone; leave out half")
    if name not in counts.names:
        remedy = checks.suggestion(name, counts.names) or "names are those of counts.names"
        raise ArgumentError(f"without: no original is called {name!r}; {remedy}")
    return counts.names.index(name)


def _pairs_of(counts: PairCounts, row: int) -> Histogram:
    """Return the number of impostor pairs of one original and its variants in each distance bin.

    Those that are not listed are taken to be distributed as all pairs beyond the list.
    """
    nearest, first = counts.nearest, counts.nearest_limit + 1
    own = (nearest.i == row) | (nearest.j == row)
    listed = counts.hasher.histogram(nearest.distance_squared[own])
    beyond = np.cumsum(counts.impostor_histogram()[first:])
    number = int(counts.pairs_per_original[row].sum() - listed.sum())
    if number:
        listed[first:] = np.diff(np.rint(beyond * (number / beyond[-1])), prepend=0)
    return listed


def _exclusions(counts: PairCounts) -> str:
    """Return how many pairs were left out for which reason, or nothing."""
    numbers = {
        "by name": counts.pairs_excluded,
        "as identical files": counts.pairs_identical,
        "as flat": counts.pairs_low_detail,
    }
    texts = " and ".join(f"{number:,} {why}" for why, number in numbers.items() if number)
    return f", since pairs were left out: {texts}" if texts else ""
