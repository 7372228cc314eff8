"""Recall and false match rates of the pairs of a run, with intervals: all originals, or a half."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.curves import RateCurves, curves
from photodna_nb.evaluation.intervals import (
    DyadicDependence,
    FalseMatchRates,
    Floats,
    ImpostorPairs,
    clopper_pearson,
    clustered_recall_interval,
    false_match_rates,
    json_number,
    matrix_dependence,
)
from photodna_nb.evaluation.pair_counts import Cells, PairCounts
from photodna_nb.evaluation.tail import Tail, fit_tail
from photodna_nb.evaluation.thresholds import (
    Half,
)
from photodna_nb.pairs import all_pairs


@dataclass(frozen=True, eq=False)
class RateEstimates:
    """Genuine and impostor pairs of some originals: curves, and intervals of the rates.

    Attributes
    ----------
    images : int
        Originals that are compared with others.
    confidence : float
        Of the intervals.
    genuine, impostor : ndarray of int64, (3061,)
        Counts of pairs: cell t holds those with ``t - 1 < L2 <= t``.
    curves : RateCurves
        Rates at every integer threshold, and what sums them up.
    recall_lower, recall_upper : ndarray of float64, (3061,)
        Interval of ``curves.recall``, by `clustered_recall_interval`.
    rates : FalseMatchRates or None
        Of the impostor pairs; None if there is none, or if the closest could not be listed.
    tail : Tail or None
        Of the same.
    reason : str
        Why there are no rates; empty if there are.
    """

    images: int
    confidence: float
    genuine: Cells
    impostor: Cells
    curves: RateCurves
    recall_lower: Floats
    recall_upper: Floats
    rates: FalseMatchRates | None = None
    tail: Tail | None = None
    reason: str = ""

    def half(self) -> Half | None:
        """Return what operating points are chosen on or judged by; None if there are no rates."""
        if self.rates is None:
            return None
        return Half(self.genuine, self.recall_lower, self.recall_upper, self.rates, self.tail)


def estimate_rates(
    counts: PairCounts,
    half: Literal["selection", "validation"] | None = None,
    *,
    oriented: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
    beyond: DyadicDependence | None = None,
) -> RateEstimates:
    """Return what the pairs of one half of the originals say, or those of all, with intervals.

    Parameters
    ----------
    counts : PairCounts
        Of a run.
    half : {"selection", "validation"}, optional
        The half; all originals if left out.
    oriented : bool
        Whether variants count as far away as the closest of the original's eight orientations.
    confidence : float
        Of the intervals, between 0 and 1.
    seed : int
        Of what is drawn to make them.
    beyond : DyadicDependence, optional
        From `dependence_beyond_cutoff`, which is called if it is left out.

    Raises
    ------
    ArgumentTypeError
        `counts` are none.
    ArgumentError
        `confidence` or `seed` is out of range.

    Notes
    -----
    Takes a second or two with two million close pairs; all thresholds are in the answer.
    """
    if not isinstance(counts, PairCounts):
        raise ArgumentTypeError(
            f"counts: got {describe(counts)}, needs PairCounts, such as results.counts"
        )
    if not isinstance(seed, Integral) or seed < 0:
        raise ArgumentError(f"seed: got {seed!r}, needs an integer of at least 0")
    genuine = counts.genuine(half=half, oriented=oriented)
    impostor = counts.impostor(half=half)
    chosen = (
        np.ones(len(counts), bool)
        if half is None
        else counts.in_validation_half == (half == "validation")
    )
    squared = (
        counts.genuine_oriented_distance_squared if oriented else counts.genuine_distance_squared
    )
    ends = clustered_recall_interval(squared[chosen], len(genuine), confidence)
    chosen &= counts.compared  # the others are in no impostor pair
    images, number = int(chosen.sum()), int(impostor.sum())
    basis = RateEstimates(images, confidence, genuine, impostor, curves(genuine, impostor), *ends)
    of_half = "" if half is None else f" in the {half} half"
    if images < 2 or not number:
        left_out = _left_out(counts) if images >= 2 else ""
        return replace(basis, reason=f"there are no impostor pairs{of_half}{left_out}")
    if counts.nearest_limit < 0:
        reason = "too many impostor pairs have the same hash to be listed: exclude them by name"
        return replace(basis, reason=reason)
    close = counts.nearest
    inside = chosen[close.i] & chosen[close.j]
    row = np.cumsum(chosen) - 1
    near = ImpostorPairs(
        row[close.i[inside]],
        row[close.j[inside]],
        np.sqrt(close.distance_squared[inside]),
        counts.nearest_limit,
    )
    rates = false_match_rates(
        impostor,
        images,
        near,
        above=beyond or dependence_beyond_cutoff(counts),
        confidence=confidence,
        seed=seed,
        runs=counts.run_number[chosen],
    )
    tail = fit_tail(near, images, number, confidence=confidence, seed=seed)
    return replace(basis, rates=rates, tail=tail)


def _left_out(counts: PairCounts) -> str:
    """Return how many pairs were left out for which reason, or nothing."""
    numbers = {
        "by name": counts.pairs_excluded,
        "as identical files": counts.pairs_identical,
        "as flat": counts.pairs_low_detail,
    }
    said = " and ".join(f"{number:,} {why}" for why, number in numbers.items() if number)
    return f", since pairs were left out: {said}" if said else ""


def with_orientations(
    estimates: RateEstimates, counts: PairCounts, *, oriented: bool
) -> RateEstimates:
    """Return the same with the genuine pairs as they are, or each in its best orientation.

    Parameters
    ----------
    estimates : RateEstimates
        Of all originals of `counts`.
    counts : PairCounts
        What was measured.
    oriented : bool
        Whether variants count as far away as the closest of the original's eight orientations.

    Notes
    -----
    Impostor pairs, which take the time of `estimate_rates`, stay as they are.
    """
    genuine = counts.genuine(oriented=oriented)
    squared = (
        counts.genuine_oriented_distance_squared if oriented else counts.genuine_distance_squared
    )
    lower, upper = clustered_recall_interval(squared, len(genuine), estimates.confidence)
    return replace(
        estimates,
        genuine=genuine,
        curves=curves(genuine, estimates.impostor),
        recall_lower=lower,
        recall_upper=upper,
    )


def dependence_beyond_cutoff(counts: PairCounts) -> DyadicDependence | None:
    """Return how pairs hang together where they are not listed, as some originals show it."""
    if (
        len(counts.hash_sample) < 4
        or counts.nearest_limit >= len(counts.impostor_by_detail_bin[0]) - 1
    ):
        return None
    return matrix_dependence(all_pairs.distance_matrix(counts.hash_sample))


def recall_intervals(
    matched: list[int], trials: list[int], confidence: float
) -> list[tuple[float | None, float | None, float | None]]:
    """Return recall and its Clopper-Pearson interval for each of many counts; None of nothing."""
    if not trials:
        return []
    lower, upper = (ends.tolist() for ends in clopper_pearson(matched, trials, confidence))
    return [
        (m / n, json_number(low), json_number(high)) if n else (None, None, None)
        for m, n, low, high in zip(matched, trials, lower, upper, strict=True)
    ]
