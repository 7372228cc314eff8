"""Choice of a threshold on the selection half of the originals, and its rates on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from photodna_nb import checks
from photodna_nb.evaluation.intervals import MIN_MATCHES, FalseMatchRate, FalseMatchRates
from photodna_nb.evaluation.json_record import JSONRecord
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.tail import Tail

Source = Literal["counted", "disjoint pairs", "tail", "none"]
MeetsTarget = Literal["yes", "no", "unclear", "extrapolated"]

# A threshold that supports no lower false match rate is of no use.
_MAX_SUPPORTED_RATE = 0.01


@dataclass(frozen=True)
class ThresholdChoice(JSONRecord):
    """A threshold for a target false match rate.

    Attributes
    ----------
    target : float
        Largest acceptable false match rate.
    conservative : bool
        Whether the upper confidence limit is at most the target; if not, only the
        point estimate is.
    threshold : int or None
        Largest integer L2 distance that meets the target; None if there is none.
    source : {"counted", "disjoint pairs", "tail", "none"}
        Where the rate comes from: ten or more full dyads, the bound for fewer, the fitted
        tail (an extrapolation), or nowhere.
    reason : str
        Why there is no threshold; empty if there is one.
    beyond_validation : bool
        Whether the target is below `Tail.validated_down_to`.
    """

    target: float
    conservative: bool
    threshold: int | None
    source: Source
    reason: str
    beyond_validation: bool = False


@dataclass(frozen=True)
class OperatingPoint(JSONRecord):
    """A threshold that was chosen on the selection half, with its rates on the validation half.

    Attributes
    ----------
    choice : ThresholdChoice
        The threshold. All other attributes are None if there is none.
    genuine_matches, genuine_pairs : int
        Number of genuine pairs of the validation half that match, and of all of them.
    recall, recall_lower, recall_upper : float
        Recall on the validation half, and its confidence limits.
    false_match_rate : FalseMatchRate
        False match rate that was counted on the validation half.
    tail_rate, tail_lower, tail_upper : float
        False match rate by the tail of the validation half, as `Tail.reliable_rate`.
    tail_beyond_validation : bool
        Whether only `tail_upper` is known, since the rate is beyond validation.
    extrapolated : bool
        Whether fewer than ten full dyads (pairs of two originals) of the validation half match.
    meets_target : {"yes", "no", "unclear", "extrapolated"}
        Whether the interval of the false match rate that was counted on the validation half is at
        most the target: all of it, none, or a part. Where fewer than ten full dyads match, a bound
        above the target says nothing: it is "extrapolated" if there are `tail_lower` and
        `tail_upper`, by which a person may judge.
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


def choose_threshold(
    target: float, rates: FalseMatchRates, tail: Tail | None = None, conservative: bool = False
) -> ThresholdChoice:
    """Return the largest integer threshold that meets a target false match rate.

    Parameters
    ----------
    target : float
        Largest acceptable false match rate, more than 0, at most 1.
    rates : FalseMatchRates
        False match rates that were counted.
    tail : Tail, optional
        Fitted tail, for rates at which fewer than ten full dyads match.
    conservative : bool
        Whether the upper confidence limit must be at most `target`, and not only the estimate.
        The limits have pointwise coverage: at one fixed threshold, the true rate is above the
        upper limit of a 95 % interval in 2.5 % of corpora. At a threshold that was selected by
        these limits on the same data, it can be more.

    Returns
    -------
    ThresholdChoice
        By counting where ten or more full dyads match; then by the bound for fewer, if
        `conservative`; then by the tail, if it is accepted.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `target` is no rate.
    """
    target = checks.real("target", target, above=0, most=1)
    bound = rates.upper if conservative else rates.rate
    within = np.flatnonzero(bound <= target)
    if len(within) and (conservative or rates.at_least_ten_matches[within[-1]]):
        threshold = int(within[-1])
        counted = rates.at_least_ten_matches[threshold]
        source: Source = "counted" if counted else "disjoint pairs"
        return ThresholdChoice(target, conservative, threshold, source, "")
    if rates.matches[0] >= MIN_MATCHES and not len(within):
        reason = _equal_hashes(rates)
    elif tail is None:
        reason = "fewer than ten full dyads match at such a low rate, and no tail was fitted"
    elif not tail.accepted:
        reason = tail.rejection_reason
    elif (by_tail := tail.largest_threshold(target, conservative)) is not None:
        beyond_validation = target < tail.validated_down_to
        if tail.threshold_at_ten_matches is not None:  # from there on it was counted
            by_tail = min(by_tail, tail.threshold_at_ten_matches - 1)
        return ThresholdChoice(target, conservative, by_tail, "tail", "", beyond_validation)
    else:
        reason = "the target is outside the range of the fitted tail"
    return ThresholdChoice(target, conservative, None, "none", reason)


def supported_threshold(rates: FalseMatchRates, tail: Tail | None = None) -> ThresholdChoice:
    """Return the supported threshold: the largest at the lowest rate that the data support.

    Parameters
    ----------
    rates : FalseMatchRates
        False match rates that were counted.
    tail : Tail, optional
        Fitted tail, used if it is accepted.

    Returns
    -------
    ThresholdChoice
        Its target is the lowest rate that an upper confidence limit supports:
        `Tail.validated_down_to` if the tail is accepted, else the lowest upper limit by counting.
        Lower thresholds have lower rates, but how much lower is not known. There is no threshold
        if that rate is above 0.01.
    """
    if tail is not None and tail.accepted:
        return choose_threshold(tail.validated_down_to, rates, tail, conservative=True)
    lowest = float(rates.upper.min())
    if lowest <= _MAX_SUPPORTED_RATE:
        return choose_threshold(lowest, rates, None, conservative=True)
    reason = f"no false match rate below {lowest:.2g} is supported by the data: take more originals"
    if rates.matches[0] >= MIN_MATCHES:
        reason = _equal_hashes(rates)
    return ThresholdChoice(lowest, True, None, "none", reason)


def operating_points(
    selection: RateEstimates,
    validation: RateEstimates,
    targets: Sequence[float],
    conservative: bool = False,
) -> list[OperatingPoint]:
    """Return a threshold for each target, chosen on one half, with its rates on the other.

    Parameters
    ----------
    selection, validation : RateEstimates
        Estimates of disjoint sets of originals.
    targets : sequence of float
        False match rates.
    conservative : bool
        As in `choose_threshold`.

    Returns
    -------
    list of OperatingPoint
        One for each target; without a threshold if a half has no false match rates.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A target is no rate.
    """
    if selection.false_match_rates is None or validation.false_match_rates is None:
        reason = selection.no_rates_reason or validation.no_rates_reason
        return [
            OperatingPoint(ThresholdChoice(target, conservative, None, "none", reason))
            for target in targets
        ]
    choices = (
        choose_threshold(target, selection.false_match_rates, selection.tail, conservative)
        for target in targets
    )
    return [_validated(choice, validation, validation.false_match_rates) for choice in choices]


def _validated(
    choice: ThresholdChoice, validation: RateEstimates, rates: FalseMatchRates
) -> OperatingPoint:
    """Return a threshold with its rates on the validation half."""
    threshold = choice.threshold
    if threshold is None:
        return OperatingPoint(choice)
    curves = validation.curves
    recall: dict[str, Any] = {}
    if curves.genuine_pairs:
        recall = {
            "recall": float(curves.recall[threshold]),
            "recall_lower": float(validation.recall_lower[threshold]),
            "recall_upper": float(validation.recall_upper[threshold]),
        }
    counted = rates.at(threshold)
    by_tail = None if validation.tail is None else validation.tail.reliable_rate(threshold)
    tail_fields: dict[str, Any] = {}
    if by_tail is not None:
        tail_fields = {f"tail_{name}": value for name, value in by_tail._asdict().items()}
    meets_target: MeetsTarget = "unclear"
    if counted.upper <= choice.target:
        meets_target = "yes"
    elif counted.lower > choice.target:
        meets_target = "no"
    elif not counted.at_least_ten_matches and by_tail is not None:
        meets_target = "extrapolated"
    return OperatingPoint(
        choice,
        int(curves.genuine_matches[threshold]),
        curves.genuine_pairs,
        **recall,
        false_match_rate=counted,
        **tail_fields,
        extrapolated=not counted.at_least_ten_matches,
        meets_target=meets_target,
    )


def _equal_hashes(rates: FalseMatchRates) -> str:
    return f"{int(rates.matches[0])} impostor pairs have the same hash: look at them"
