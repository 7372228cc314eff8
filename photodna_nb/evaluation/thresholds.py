"""Which threshold: chosen on one half of the originals, judged on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import (
    FalseMatchRate,
    FalseMatchRates,
    Floats,
    Integers,
    checked_counts,
    json_number,
)
from photodna_nb.evaluation.tail import Tail

Source = Literal["counted", "disjoint pairs", "tail", "none"]
MeetsTarget = Literal["yes", "no", "unclear"]

# A false match rate above this one is of no use as an answer.
_WORTH_TELLING = 0.01


@dataclass(frozen=True, eq=False)
class Half:
    """What was measured on one half of the originals.

    Attributes
    ----------
    genuine : ndarray of integers, (t,)
        Genuine pairs with ``d - 1 < L2 <= d``.
    recall_lower, recall_upper : ndarray of float64, (t,)
        Interval of their share at each threshold: see `clustered_recall_interval`.
    rates : FalseMatchRates
        Of its impostor pairs, at as many thresholds.
    tail : Tail or None
        Of its impostor pairs.
    """

    genuine: Integers
    recall_lower: Floats
    recall_upper: Floats
    rates: FalseMatchRates
    tail: Tail | None = None


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold for a false match rate.

    Attributes
    ----------
    target : float
        The largest false match rate that was wished for.
    conservative : bool
        Whether the upper end of the interval keeps it, or only the point estimate.
    threshold : int or None
        The largest integer L2 that keeps it; None if none can be told.
    source : {"counted", "disjoint pairs", "tail", "none"}
        Where it comes from: ten or more counted matches, the bound of fewer, the tail
        (which is extrapolation), or nowhere.
    reason : str
        Why there is none; empty if there is one.
    beyond_validation : bool
        Whether the target lies beyond what such tails were compared with: see
        `Tail.validated_down_to`.
    """

    target: float
    conservative: bool
    threshold: int | None
    source: Source
    reason: str
    beyond_validation: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        return {name: json_number(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold that was chosen on one half of the originals, and what it does on the other.

    Attributes
    ----------
    choice : ThresholdChoice
        The threshold. All that follows is None if there is none.
    genuine_matches, genuine_pairs : int
        Of the other half.
    recall, recall_lower, recall_upper : float
        Share of its genuine pairs that match, and interval.
    false_match_rate : FalseMatchRate
        Counted on the other half.
    tail_rate, tail_lower, tail_upper : float
        False match rate by the tail of the other half, by `Tail.reliable_rate`; None where not
        accepted, and above its fit threshold.
    tail_beyond_validation : bool
        Whether the tail is beyond what was tested, and only tells `tail_upper`.
    extrapolated : bool
        Whether the other half counted fewer than ten matches.
    meets_target : {"yes", "no", "unclear"}
        Whether the other half says that the target is kept: by the whole interval of its rate
        (counted, or else of the tail if that is trusted), not at all, or by part of it.
    """

    choice: ThresholdChoice
    genuine_matches: int | None = None
    genuine_pairs: int | None = None
    recall: float | None = None
    recall_lower: float | None = None
    recall_upper: float | None = None
    false_match_rate: FalseMatchRate | None = None
    tail_rate: float | None = None
    tail_lower: float | None = None
    tail_upper: float | None = None
    tail_beyond_validation: bool | None = None
    extrapolated: bool | None = None
    meets_target: MeetsTarget | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        return {
            name: value.as_json()
            if isinstance(value, ThresholdChoice | FalseMatchRate)
            else json_number(value)
            for name, value in vars(self).items()
        }


def choose_threshold(
    target: float, rates: FalseMatchRates, tail: Tail | None = None, conservative: bool = False
) -> ThresholdChoice:
    """Return the largest integer threshold that keeps a false match rate.

    Parameters
    ----------
    target : float
        More than 0, at most 1.
    rates : FalseMatchRates
        What was counted.
    tail : Tail, optional
        For rates at which fewer than ten pairs were counted.
    conservative : bool
        If set, the upper end of the interval is to be at most `target`: the rate itself is
        larger in 2.5 % of the cases, with intervals of 95 %. Else the point estimate.

    Returns
    -------
    ThresholdChoice
        Counted where ten or more matches were; then a bound of fewer, if `conservative`;
        then by the tail, if that is trusted.

    Raises
    ------
    ArgumentError
        `target` is no rate.
    """
    if not 0 < target <= 1:
        raise ArgumentError(f"target: got {target!r}, needs a rate, more than 0 and at most 1")
    bound = rates.upper if conservative else rates.rate
    kept = np.flatnonzero(bound <= target)
    if len(kept) and rates.at_least_ten_matches[kept[-1]]:
        return ThresholdChoice(target, conservative, int(kept[-1]), "counted", "")
    if len(kept) and conservative:
        return ThresholdChoice(target, conservative, int(kept[-1]), "disjoint pairs", "")
    if rates.at_least_ten_matches[0] and not len(kept):
        reason = _same_hashes(rates)
    elif tail is None:
        reason = "fewer than ten impostor pairs match so rarely, and no tail was fitted to them"
    elif not tail.accepted:
        reason = tail.rejection_reason
    else:
        threshold = tail.largest_threshold(target, conservative)
        if threshold is not None:
            return ThresholdChoice(
                target, conservative, threshold, "tail", "", target < tail.validated_down_to
            )
        reason = "the tail says nothing of this rate"
    return ThresholdChoice(target, conservative, None, "none", reason)


def _same_hashes(rates: FalseMatchRates) -> str:
    return f"{int(rates.matches[0])} impostor pairs have the same hash: look at them"


def supported_threshold(rates: FalseMatchRates, tail: Tail | None = None) -> ThresholdChoice:
    """Return the largest threshold at the lowest false match rate that the data can support.

    Parameters
    ----------
    rates : FalseMatchRates
        What was counted.
    tail : Tail, optional
        Used if it is trusted.

    Returns
    -------
    ThresholdChoice
        Its target is that rate, which the upper end of the interval keeps: the rate down to
        which such tails were tested if the tail is trusted, else the lowest upper end of what
        was counted. Lower thresholds have lower rates, but by how much is not known. There is
        none if that rate is above 0.01.
    """
    if tail is not None and tail.accepted:
        return choose_threshold(tail.validated_down_to, rates, tail, conservative=True)
    lowest = float(rates.upper.min())
    if lowest > _WORTH_TELLING:
        reason = f"no false match rate below {lowest:.2g} can be shown: take more originals"
        if rates.at_least_ten_matches[0]:
            reason = _same_hashes(rates)
        return ThresholdChoice(lowest, True, None, "none", reason)
    return choose_threshold(lowest, rates, None, conservative=True)


def operating_points(
    chosen_on: Half,
    reported_on: Half,
    targets: Sequence[float],
    conservative: bool = False,
) -> list[OperatingPoint]:
    """Return a threshold for each target, and its rates on originals that did not choose it.

    Parameters
    ----------
    chosen_on, reported_on : Half
        Of disjoint sets of originals.
    targets : sequence of float
        False match rates.
    conservative : bool
        As in `choose_threshold`.

    Returns
    -------
    list of OperatingPoint
        One for each target.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        A target is no rate, or the thresholds of the two halves differ.
    """
    genuine = checked_counts("genuine", reported_on.genuine)
    sizes = {len(half.rates.matches) for half in (chosen_on, reported_on)} | {len(genuine)}
    if len(sizes) > 1:
        raise ArgumentError(f"halves: got counts of {sorted(sizes)} cells, needs as many in all")
    matches = np.cumsum(genuine)
    return [
        _reported(
            choose_threshold(target, chosen_on.rates, chosen_on.tail, conservative),
            reported_on,
            matches,
        )
        for target in targets
    ]


def _reported(choice: ThresholdChoice, half: Half, matches: Integers) -> OperatingPoint:
    threshold = choice.threshold
    if threshold is None:
        return OperatingPoint(choice)
    found, pairs = int(matches[threshold]), int(matches[-1])
    recall = dict.fromkeys(("recall", "recall_lower", "recall_upper"))
    if pairs:
        ends = half.recall_lower[threshold], half.recall_upper[threshold]
        recall |= zip(recall, (found / pairs, *map(float, ends)), strict=True)
    rate = half.rates.at(threshold)
    told = None if half.tail is None else half.tail.reliable_rate(threshold)
    lower, upper = rate.lower, rate.upper
    by_tail: dict[str, Any] = {}
    if told is not None:
        by_tail = {f"tail_{name}": value for name, value in told._asdict().items()}
        if not rate.at_least_ten_matches:
            lower, upper = told.lower, told.upper
    meets_target: MeetsTarget = (
        "yes" if upper <= choice.target else "no" if lower > choice.target else "unclear"
    )
    return OperatingPoint(
        choice,
        found,
        pairs,
        **recall,
        false_match_rate=rate,
        **by_tail,
        extrapolated=not rate.at_least_ten_matches,
        meets_target=meets_target,
    )
