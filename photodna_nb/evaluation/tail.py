"""False match rates too low to count: a generalised Pareto tail of the impostor distances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodna_nb.evaluation.dependence import Floats, pairs_per_dyad
from photodna_nb.evaluation.intervals import MIN_MATCHES, FalseMatchRates
from photodna_nb.evaluation.json_record import JSONRecord, json_number
from photodna_nb.evaluation.tail_likelihood import tail_rate
from photodna_nb.printable import short_repr

# Fits were compared with counts at rates so many times below the rate at ten matches:
# tests/benchmarks/tail.py.
_VALIDATION_DEPTH = 100


@short_repr
@dataclass(frozen=True, eq=False)
class TailRates:
    """False match rates by the fitted tail at some thresholds.

    Attributes
    ----------
    threshold : ndarray of float64, (t,)
        L2 distances.
    rate, lower, upper : ndarray of float64, (t,)
        False match rate and its confidence limits; NaN if the fit is not accepted,
        and above the fit threshold.
    extrapolated : ndarray of bool, (t,)
        Whether fewer than ten full dyads match: the threshold is below
        `Tail.threshold_at_ten_matches`.
    beyond_validation : ndarray of bool, (t,)
        Whether the rate is less than `Tail.validated_down_to`.
    """

    threshold: Floats
    rate: Floats
    lower: Floats
    upper: Floats
    extrapolated: NDArray[np.bool_]
    beyond_validation: NDArray[np.bool_]


class ReliableRate(NamedTuple):
    """False match rate by the fitted tail at one threshold, as far as the fit is validated.

    Attributes
    ----------
    rate : float or None
        False match rate; None beyond validation.
    lower, upper : float
        Confidence limits. Beyond validation, `lower` is 0 and `upper` the larger one of the upper
        limit of the fit and `Tail.validated_down_to`.
    beyond_validation : bool
        Whether the rate is less than `Tail.validated_down_to`.
    """

    rate: float | None
    lower: float
    upper: float
    beyond_validation: bool


@short_repr
@dataclass(frozen=True, eq=False)
class Tail(JSONRecord):
    """A generalised Pareto distribution of the impostor distances below a fit threshold.

    ``P(L2 <= t) = exceedance_probability ((t - endpoint) / (fit_threshold - endpoint))^exponent``
    for t from `endpoint` to `fit_threshold`.

    Attributes
    ----------
    images, pairs : int
        Number of originals, and of impostor pairs.
    fit_threshold : float
        Largest distance that was fitted (u).
    exceedances : int
        Number of pairs with a distance of at most the fit threshold.
    effective_exceedances : float
        Number of independent pairs whose count has the same relative variance:
        ``exceedances² / v``, where v is the variance of the number of exceedances.
    exceedance_probability : float
        ``exceedances / pairs``.
    endpoint, exponent : float
        Lower endpoint of the distances, and exponent, of the largest likelihood; NaN if there was
        too little to fit.
    smallest_distance : float
        Smallest of all distances; NaN if there are none.
    threshold_at_ten_matches : int or None
        Smallest integer threshold at which ten full dyads match (pairs of two originals: see
        `FalseMatchRates.at_least_ten_matches`); None if there is none.
    rate_at_ten_matches : float
        False match rate there, or at the cut-off of the list if there is none.
    statistic, p_value : float
        Anderson-Darling statistic of the fit, and its bootstrap p-value: see `fit_tail`.
    accepted : bool
        Whether no test rejects the fit.
    rejection_reason : str
        Why the fit is rejected; empty if it is accepted.
    confidence : float
        Confidence level of the intervals.
    replicates : ndarray of float64, (2, r, 3)
        Exceedance probability, lower endpoint and exponent of each of r replicates, for the lower
        and for the upper confidence limits.
    counted_upper : float or None
        Upper confidence limit by counting at `threshold_at_ten_matches`. It holds for all lower
        thresholds, so no rate of the tail there is above it. None if the tail was fitted alone.
    """

    images: int
    pairs: int
    fit_threshold: float
    exceedances: int
    effective_exceedances: float
    exceedance_probability: float
    endpoint: float
    exponent: float
    smallest_distance: float
    threshold_at_ten_matches: int | None
    rate_at_ten_matches: float
    statistic: float
    p_value: float
    accepted: bool
    rejection_reason: str
    confidence: float
    replicates: Floats
    counted_upper: float | None = None

    @property
    def shape(self) -> float:
        """Shape (xi) of the generalised Pareto distribution of ``fit_threshold - L2``, negative."""
        return -1 / self.exponent

    @property
    def scale(self) -> float:
        """Scale (sigma) of the generalised Pareto distribution, in units of L2."""
        return (self.fit_threshold - self.endpoint) / self.exponent

    @property
    def validated_down_to(self) -> float:
        """Lowest rate at which such fits were compared with counts.

        It is a hundredth of the rate of ten full dyads, so that it depends on the number of
        originals and not on that of their variants. The error of lower rates is not known.
        """
        if self.threshold_at_ten_matches is None:
            return self.rate_at_ten_matches / _VALIDATION_DEPTH
        per_dyad = pairs_per_dyad(self.images, self.pairs)
        return MIN_MATCHES * per_dyad / self.pairs / _VALIDATION_DEPTH

    def rate(self, threshold: ArrayLike) -> TailRates:
        """Return the false match rate at thresholds, with its confidence interval.

        Parameters
        ----------
        threshold : array_like
            L2 distances, integers or not. Above the fit threshold all rates are NaN: such pairs
            can be counted.

        Returns
        -------
        TailRates
            Arrays have the shape (1,) for a single threshold.
        """
        t = np.atleast_1d(np.asarray(threshold, float))
        known = self.accepted & (t <= self.fit_threshold)
        ten = math.inf if self.threshold_at_ten_matches is None else self.threshold_at_ten_matches
        below = t < ten
        most = np.inf if self.counted_upper is None else np.where(below, self.counted_upper, np.inf)
        rate, lower, upper = (
            np.where(known, np.minimum(values, most), np.nan) for values in self.model_rates(t)
        )
        return TailRates(t, rate, lower, upper, below, known & (rate < self.validated_down_to))

    def reliable_rate(self, threshold: int) -> ReliableRate | None:
        """Return the false match rate at a threshold as far as the fit is validated.

        None if the fit is not accepted, or the threshold lies above the fit threshold.
        """
        if not self.accepted or threshold > self.fit_threshold:
            return None
        rates = self.rate(threshold)
        rate, lower, upper = float(rates.rate[0]), float(rates.lower[0]), float(rates.upper[0])
        if rates.beyond_validation[0]:
            return ReliableRate(None, 0.0, max(upper, self.validated_down_to), True)
        return ReliableRate(rate, lower, upper, False)

    def largest_threshold(self, target: float, conservative: bool = False) -> int | None:
        """Return the largest integer threshold whose false match rate is at most `target`.

        Parameters
        ----------
        target : float
            A false match rate.
        conservative : bool
            Whether the upper confidence limit must be at most `target`, and not only the rate.

        Returns
        -------
        int or None
            None if the fit is not accepted, or all of the tail or nothing of it is at most
            `target`.
        """
        thresholds = np.arange(math.floor(self.fit_threshold) + 1)
        rates = self.rate(thresholds)
        within = np.flatnonzero((rates.upper if conservative else rates.rate) <= target)
        if not self.accepted or len(within) == len(thresholds) or not len(within):
            return None
        return int(within[-1])

    def as_json(self) -> dict[str, Any]:
        """Return all but the replicates as a dictionary that JSON takes."""
        values = super().as_json()
        del values["replicates"]
        fitted = math.isfinite(self.exponent)
        derived = {"shape": self.shape, "scale": self.scale} if fitted else {}
        return {
            **values,
            "shape": json_number(derived.get("shape")),
            "scale": json_number(derived.get("scale")),
            "validated_down_to": json_number(self.validated_down_to),
        }

    def model_rates(self, t: Floats, *, unseen: bool = True) -> tuple[Floats, Floats, Floats]:
        """Return rate and confidence limits at thresholds, whether the fit is accepted or not.

        Without `unseen`, the upper limit is that of the images of the corpus alone.
        """
        half_alpha = (1 - self.confidence) / 2
        for_lower, for_upper = (
            tail_rate(t, self.fit_threshold, *parameters.T[:, :, None])
            for parameters in self.replicates[[0, int(unseen)]]
        )
        lower, rate = np.quantile(for_lower, [half_alpha, 0.5], axis=0)
        return rate, lower, np.maximum(np.quantile(for_upper, 1 - half_alpha, axis=0), rate)


def join_limits(rates: FalseMatchRates, tail: Tail) -> tuple[FalseMatchRates, Tail]:
    """Return both with confidence limits that grow where the tail ends and counting begins.

    The rate grows with the threshold: the upper limit of the first counted rate holds for the tail,
    and the lower limit of the last rate of the tail holds for all that is counted.
    """
    ten = tail.threshold_at_ten_matches
    if not tail.accepted or ten is None:
        return rates, tail
    tail = replace(tail, counted_upper=float(rates.upper[ten]))
    last = tail.reliable_rate(ten - 1)
    if last is None:
        return rates, tail
    lower = rates.lower.copy()
    lower[ten:] = np.maximum(lower[ten:], last.lower)
    return replace(rates, lower=np.minimum(lower, rates.rate)), tail
