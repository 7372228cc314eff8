"""What a false match rate means for a list of hashes and the queries of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import FalseMatchRates, json_number
from photodna_nb.evaluation.tail import Tail
from photodna_nb.evaluation.thresholds import Source, ThresholdChoice, choose_threshold


@dataclass(frozen=True)
class ExpectedMatches:
    """How many false matches a day a threshold gives.

    Attributes
    ----------
    threshold : int
        L2; a match is a distance of at most it.
    list_size, queries_per_day, orientations : int
        Hashes in the list, queries, and in how many orientations each is searched.
    comparisons : float
        All of them together, a day.
    expected, lower, upper : float
        False matches a day, and interval. `expected` is None where only `upper` is known.
    source : {"counted", "tail", "disjoint pairs"}
        Of the rate: ten or more counted matches, the tail (which is extrapolation), or
        only the bound of fewer.
    beyond_validation : bool
        Whether the tail is beyond validation: only `upper` is known (`Tail.reliable_rate`).
    """

    threshold: int
    list_size: int
    queries_per_day: int
    orientations: int
    comparisons: float
    expected: float | None
    lower: float
    upper: float
    source: Source
    beyond_validation: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        return {name: json_number(value) for name, value in vars(self).items()}


def expected_matches(
    threshold: int,
    list_size: int,
    queries_per_day: int,
    rates: FalseMatchRates,
    tail: Tail | None = None,
    orientations: int = 1,
) -> ExpectedMatches:
    """Return how many false matches a day are to be expected at a threshold.

    Parameters
    ----------
    threshold : int
        L2.
    list_size, queries_per_day : int
        At least 1.
    rates : FalseMatchRates
        What was counted.
    tail : Tail, optional
        For a threshold at which fewer than ten pairs were counted.
    orientations : int
        1 to 8: in how many each query is searched.

    Returns
    -------
    ExpectedMatches
        With the interval of the false match rate, times the comparisons.

    Raises
    ------
    ArgumentError
        A number is out of range.

    Notes
    -----
    ``list_size * queries_per_day * orientations * rate``, for queries that are not in the
    list, and queries and list like the originals that the rate was measured on. The
    orientations of a query are different chances to match; if several match the same item,
    they are counted as several. A list is itself a sample of images: with hashes in it
    that match easily, its own number may lie beyond the interval, which is of the mean.

    A rate of 1e-9, a million hashes and ten thousand queries a day are ten false matches
    a day; in all eight orientations, 80.
    """
    comparisons = _comparisons(list_size, queries_per_day, orientations)
    rate = rates.at(threshold)
    expected, lower, upper = (
        (rate.rate if rate.at_least_ten_matches else None),
        rate.lower,
        rate.upper,
    )
    source: Source = "counted" if rate.at_least_ten_matches else "disjoint pairs"
    told = None if rate.at_least_ten_matches or tail is None else tail.reliable_rate(threshold)
    untested = told is not None and told.beyond_validation
    if told is not None:
        expected, lower, upper, source = told.rate, told.lower, told.upper, "tail"
    return ExpectedMatches(
        int(threshold),
        int(list_size),
        int(queries_per_day),
        int(orientations),
        comparisons,
        None if expected is None else expected * comparisons,
        lower * comparisons,
        upper * comparisons,
        source,
        untested,
    )


def threshold_under(
    budget: float,
    list_size: int,
    queries_per_day: int,
    rates: FalseMatchRates,
    tail: Tail | None = None,
    orientations: int = 1,
    conservative: bool = True,
) -> ThresholdChoice:
    """Return the largest threshold that keeps the false matches of a day under a budget.

    Parameters
    ----------
    budget : float
        False matches a day, more than 0.
    list_size, queries_per_day, rates, tail, orientations
        As in `expected_matches`.
    conservative : bool
        Whether the upper end of the interval keeps the budget, or only the estimate.

    Returns
    -------
    ThresholdChoice
        Its target is the false match rate ``budget / comparisons``, at most 1.

    Raises
    ------
    ArgumentError
        A number is out of range.
    """
    if not budget > 0:
        raise ArgumentError(f"budget: got {budget!r}, needs more than 0 false matches a day")
    comparisons = _comparisons(list_size, queries_per_day, orientations)
    return choose_threshold(min(budget / comparisons, 1.0), rates, tail, conservative)


def _comparisons(list_size: int, queries_per_day: int, orientations: int) -> float:
    for name, number in (("list_size", list_size), ("queries_per_day", queries_per_day)):
        if not number >= 1:
            raise ArgumentError(f"{name}: got {number!r}, needs at least 1")
    if not 1 <= orientations <= 8:
        raise ArgumentError(f"orientations: got {orientations!r}, needs 1 to 8")
    return float(list_size) * float(queries_per_day) * float(orientations)
