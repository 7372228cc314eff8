"""Thresholds of a run, and false matches per day of a deployment: a list and its queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import checks
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.dependence import Floats
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.json_record import JSONRecord
from photodna_nb.evaluation.rates import RateEstimates, RunEstimates
from photodna_nb.evaluation.tail import Tail
from photodna_nb.evaluation.thresholds import (
    OperatingPoint,
    Source,
    ThresholdChoice,
    choose_threshold,
    operating_points,
    supported_threshold,
)


@dataclass(frozen=True)
class ExpectedMatches(JSONRecord):
    """Expected number of false matches per day at a threshold.

    Attributes
    ----------
    threshold : int
        Largest L2 distance of a match.
    comparisons : float
        Number of comparisons per day: list size x queries per day x orientations.
    expected, lower, upper : float
        Expected number of false matches per day, and its confidence limits;
        `expected` is None where only `upper` is known.
    source : {"counted", "tail", "disjoint pairs"}
        Where the rate comes from: ten or more full dyads, the fitted tail (an extrapolation),
        or the bound for fewer.
    beyond_validation : bool
        Whether the tail is beyond validation, so that only `upper` is known.
    """

    threshold: int
    comparisons: float
    expected: float | None
    lower: float
    upper: float
    source: Source
    beyond_validation: bool = False


def expected_matches(
    threshold: int,
    list_size: int,
    queries_per_day: int,
    rates: FalseMatchRates,
    tail: Tail | None = None,
    orientations: int = 1,
) -> ExpectedMatches:
    """Return the expected number of false matches per day at a threshold.

    Parameters
    ----------
    threshold : int
        Largest L2 distance of a match.
    list_size, queries_per_day : int
        Number of hashes in the list, and of queries per day, at least 1.
    rates : FalseMatchRates
        False match rates that were counted.
    tail : Tail, optional
        Fitted tail, for thresholds at which fewer than ten full dyads match.
    orientations : int
        Number of orientations in which each query is searched, 1 to 8.

    Returns
    -------
    ExpectedMatches
        False match rate and its confidence interval, times the comparisons.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A number is out of range.

    Notes
    -----
    ``list_size * queries_per_day * orientations * rate``, for queries that are not in the list,
    and for queries and a list like the originals of the rate. If several orientations of a query
    match the same item, they count as several matches. A list is itself a sample of images: with
    hashes in it that match easily, its own number may lie outside of the interval, which is
    that of the mean over lists.

    A rate of 1e-9, a list of a million hashes and ten thousand queries per day give ten false
    matches per day; in all eight orientations, 80.
    """
    comparisons = _comparisons_per_day(list_size, queries_per_day, orientations)
    counted = rates.at(threshold)
    expected: float | None = counted.rate
    lower, upper = counted.lower, counted.upper
    source: Source = "counted"
    beyond_validation = False
    if not counted.at_least_ten_matches:
        expected, source = None, "disjoint pairs"
        if tail is not None and (by_tail := tail.reliable_rate(threshold)) is not None:
            expected, lower, upper, beyond_validation = by_tail
            source = "tail"
    return ExpectedMatches(
        int(threshold),
        comparisons,
        None if expected is None else expected * comparisons,
        lower * comparisons,
        upper * comparisons,
        source,
        beyond_validation,
    )


def false_positive_identification(rate: Any, list_size: int, orientations: int = 1) -> Floats:
    """Return the largest false positive identification rate (FPIR) at a false match rate.

    It is the proportion of queries that are not in the list, and for which the search still
    returns an item.

    Parameters
    ----------
    rate : array_like
        False match rates, or their upper confidence limits.
    list_size : int
        Number of hashes in the list, N.
    orientations : int
        Number of orientations in which each query is searched.

    Returns
    -------
    ndarray of float64
        ``1 - (1 - min(orientations * rate, 1))^N``; NaN where the rate is.

    Notes
    -----
    A query that matches a random image in one of its orientations with the probability p matches
    none of N independent images with ``(1 - p)^N``. Queries differ in p, and
    ``1 - (1 - p)^N`` is concave in it, so its mean over queries is at most the value at the mean
    of p (Jensen), which is at most ``orientations * rate`` (Boole). It is as large if all queries
    match equally often, and lower the more the matches are those of few images.
    """
    matching = np.minimum(orientations * np.asarray(rate, float), 1)
    with np.errstate(divide="ignore"):  # the logarithm of 0, where every comparison matches
        return np.asarray(-np.expm1(list_size * np.log1p(-matching)))


def identification_curve(
    rates: FalseMatchRates, tail: Tail | None, service: DeploymentConfig
) -> tuple[Floats, Floats]:
    """Return the false positive identification rate at each threshold, and its upper limit.

    They are those of `false_positive_identification` for the rates of `expected_matches`: NaN where
    only the upper limit is known.
    """
    few = ~rates.at_least_ten_matches
    rate, upper = np.where(few, np.nan, rates.rate), rates.upper.copy()
    if tail is not None and tail.accepted:
        few &= np.arange(len(few)) <= tail.fit_threshold
        by_tail = tail.rate(np.flatnonzero(few))
        beyond = by_tail.beyond_validation
        rate[few] = np.where(beyond, np.nan, by_tail.rate)
        least = np.where(beyond, tail.validated_down_to, 0)
        upper[few] = np.maximum(by_tail.upper, least)
    sizes = service.list_size, service.n_orientations
    return (
        false_positive_identification(rate, *sizes),
        false_positive_identification(upper, *sizes),
    )


def threshold_for_false_matches(
    max_false_matches_per_day: float,
    list_size: int,
    queries_per_day: int,
    rates: FalseMatchRates,
    tail: Tail | None = None,
    orientations: int = 1,
    conservative: bool = True,
) -> ThresholdChoice:
    """Return the largest threshold with an acceptable expected number of false matches per day.

    Parameters
    ----------
    max_false_matches_per_day : float
        Largest acceptable number of false matches per day, more than 0.
    list_size, queries_per_day, rates, tail, orientations
        As in `expected_matches`.
    conservative : bool
        Whether the upper confidence limit must be at most that number, and not only the estimate.

    Returns
    -------
    ThresholdChoice
        Its target is the false match rate ``max_false_matches_per_day / comparisons``, at most 1.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A number is out of range.
    """
    acceptable = checks.real("max_false_matches_per_day", max_false_matches_per_day, above=0)
    comparisons = _comparisons_per_day(list_size, queries_per_day, orientations)
    return choose_threshold(min(acceptable / comparisons, 1.0), rates, tail, conservative)


def _comparisons_per_day(list_size: int, queries_per_day: int, orientations: int) -> float:
    size = checks.integer("list_size", list_size, least=1)
    queries = checks.integer("queries_per_day", queries_per_day, least=1)
    orientations = checks.integer("orientations", orientations, least=1, most=8)
    return float(size) * float(queries) * float(orientations)


class RunThresholds(NamedTuple):
    """The thresholds that the results of a run describe.

    Attributes
    ----------
    named : dict of str to int
        L2 distances by name: those of the configuration, then the recommended or the
        supported threshold, if there is one.
    deployment : dict of str to ThresholdChoice
        The largest thresholds with an acceptable number of false matches per day, by the
        ``"estimate"`` of the rate and by its upper confidence limit (``"conservative"``). If
        none is acceptable by the latter, ``"supported"`` is the largest threshold at the lowest
        false match rate that the data support.
    operating_points : list of OperatingPoint
        For each target rate, by the estimate and then conservatively, a threshold that is
        chosen on the selection half, and its rates on the validation half. Empty if a half
        has no rates.
    """

    named: dict[str, int]
    deployment: dict[str, ThresholdChoice]
    operating_points: list[OperatingPoint]

    @property
    def supported(self) -> int | None:
        """The supported threshold; None if there is none, or one is recommended."""
        criterion, choice = reported_choice(self.deployment)
        return choice.threshold if criterion == "supported" else None

    @property
    def recommended(self) -> int | None:
        """The conservative threshold; None if no threshold is shown to be acceptable."""
        criterion, choice = reported_choice(self.deployment)
        return choice.threshold if criterion == "conservative" else None


def deployment_choices(
    service: DeploymentConfig, estimates: RateEstimates
) -> dict[str, ThresholdChoice]:
    """Return the thresholds for a deployment by their criteria, as `RunThresholds` has them."""
    rates, tail = estimates.false_match_rates, estimates.tail
    if rates is None:
        by_estimate, conservative = (
            ThresholdChoice(0.0, by_interval, None, "none", estimates.no_rates_reason)
            for by_interval in (False, True)
        )
        return {"estimate": by_estimate, "conservative": conservative, "supported": conservative}
    choices = {
        criterion: threshold_for_false_matches(
            service.max_false_matches_per_day,
            service.list_size,
            service.queries_per_day,
            rates,
            tail,
            service.n_orientations,
            criterion == "conservative",
        )
        for criterion in ("estimate", "conservative")
    }
    conservative = choices["conservative"]
    if conservative.threshold is None or conservative.beyond_validation:
        choices["supported"] = supported_threshold(rates, tail)
    return choices


def reported_choice(choices: Mapping[str, ThresholdChoice]) -> tuple[str, ThresholdChoice]:
    """Return the criterion and the threshold that a report names: supported, if none is shown."""
    criterion = "supported" if "supported" in choices else "conservative"
    return criterion, choices[criterion]


def choose_thresholds(config: Config, estimates: RunEstimates) -> RunThresholds:
    """Return the thresholds for the deployment and the targets of a configuration."""
    overall, selection, validation = estimates
    deployment = deployment_choices(config.deployment, overall)
    points: list[OperatingPoint] = []
    if selection.false_match_rates is not None and validation.false_match_rates is not None:
        for by_interval in (False, True):
            targets = config.thresholds.targets
            points += operating_points(selection, validation, targets, by_interval)
    named = dict(config.thresholds.named)
    thresholds = RunThresholds(named, deployment, points)
    for own in ("recommended", "supported"):
        threshold: int | None = getattr(thresholds, own)
        if threshold is not None:
            named[own if own not in named else f"{own} by this run"] = threshold
    return thresholds
