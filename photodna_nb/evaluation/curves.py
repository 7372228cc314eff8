"""Genuine against impostor distances at every integer threshold: ROC, DET and precision-recall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.dependence import Floats, Integers
from photodna_nb.evaluation.json_record import JSONRecord, json_number
from photodna_nb.printable import short_repr


@short_repr
@dataclass(frozen=True, eq=False)
class RateCurves(JSONRecord):
    """Rates at the integer thresholds 0 … t - 1, and summary numbers of the curves.

    A match is a distance of at most the threshold. What would be 0 / 0 is NaN.

    Attributes
    ----------
    genuine_pairs, impostor_pairs : int
        Number of genuine and of impostor pairs.
    genuine_matches, impostor_matches : ndarray of int64, (t,)
        Number of genuine and of impostor pairs that match at each threshold.
    recall : ndarray of float64, (t,)
        Proportion of the genuine pairs that match: 1 - false non-match rate.
    false_non_match_rate : ndarray of float64, (t,)
        Proportion of the genuine pairs that do not match.
    false_match_rate : ndarray of float64, (t,)
        Proportion of the impostor pairs that match.
    precision : ndarray of float64, (t,)
        Proportion of the matches that are genuine; 1 where nothing matches. It depends on how many
        genuine and impostor pairs there are.
    equal_error_rate, equal_error_threshold : float
        Rate and threshold at which false non-match and false match rate are equal.
    auc : float
        Area under the receiver operating characteristic: the probability that a genuine pair is
        nearer than an impostor pair, with ties counted half.
    average_precision : float
        Micro average precision of DISC21, over all pairs together.
    recall_at_90_precision : float
        Largest recall of a threshold with a precision of 90 % or more; 0 if none has.
    threshold_at_90_precision : int or None
        Lowest threshold with that recall.
    """

    genuine_pairs: int
    impostor_pairs: int
    genuine_matches: Integers
    impostor_matches: Integers
    recall: Floats
    false_non_match_rate: Floats
    false_match_rate: Floats
    precision: Floats
    equal_error_rate: float
    equal_error_threshold: float
    auc: float
    average_precision: float
    recall_at_90_precision: float
    threshold_at_90_precision: int | None

    def roc(self) -> tuple[Floats, Floats]:
        """Return the points of the receiver operating characteristic, from (0, 0) on.

        Returns
        -------
        false_match_rate : ndarray of float64, (p,)
            One point for each threshold at which a rate changes, increasing.
        recall : ndarray of float64, (p,)
            The recall there.
        """
        changes = np.diff(self.genuine_matches + self.impostor_matches, prepend=0) > 0
        return np.r_[0.0, self.false_match_rate[changes]], np.r_[0.0, self.recall[changes]]

    def det(self) -> tuple[Floats, Floats]:
        """Return the points of the detection error tradeoff curve.

        Returns
        -------
        false_match_rate : ndarray of float64, (p,)
            That of the points of `roc`. A rate of 0 means less than one in all pairs.
        false_non_match_rate : ndarray of float64, (p,)
            The rate there, 1 - recall.
        """
        rate, recall = self.roc()
        return rate, 1 - recall

    def as_json(self) -> dict[str, Any]:
        """Return the summary numbers as a dictionary that JSON takes."""
        return {
            name: json_number(value)
            for name, value in vars(self).items()
            if not isinstance(value, np.ndarray)
        }


def curves(genuine: NDArray[Any], impostor: NDArray[Any]) -> RateCurves:
    """Return the curves of two distributions of distances.

    Parameters
    ----------
    genuine, impostor : ndarray of integers, (t,)
        Number of pairs with ``d - 1 < L2 <= d``, for d from 0 to t - 1, of all pairs: t is 3061
        for hashes.

    Returns
    -------
    RateCurves
        NaN for what needs genuine or impostor pairs if there are none.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        The two are not arrays of counts of one length.

    Notes
    -----
    All pairs of one distance bin match at once: ties are one step of a curve. With g of G genuine
    and f of F impostor pairs matching at a threshold,

    - average precision is the sum of ``(g - g') / G * g / (g + f)`` over the thresholds,
      where g' belongs to the threshold before: a step function, as in DISC21 and scikit-learn;
    - the area is that below the points ``(f / F, g / G)``, by the trapezoidal rule;
    - equal error rate and threshold are interpolated linearly between the two thresholds around
      the crossing.

    References
    ----------
    Douze, Tolias, Pizzi, Papakipos, et al., "The 2021 Image Similarity Dataset and
    Challenge", arXiv:2106.09672.

    Examples
    --------
    >>> import numpy as np
    >>> example = curves(np.array([3, 1, 0, 0]), np.array([0, 1, 2, 5]))
    >>> example.recall
    array([0.75, 1.  , 1.  , 1.  ])
    >>> example.auc, example.average_precision
    (0.984375, 0.95)
    """
    genuine = checks.counts("genuine", genuine)
    impostor = checks.counts("impostor", impostor)
    if len(genuine) != len(impostor):
        raise ArgumentError(
            f"genuine, impostor: got {len(genuine)} and {len(impostor)} counts, needs as many"
        )
    g, f = np.cumsum(genuine), np.cumsum(impostor)
    recall = _proportion(g, int(g[-1]))
    false_match_rate = _proportion(f, int(f[-1]))
    false_non_match_rate = _proportion(g[-1] - g, int(g[-1]))
    precision = np.divide(g, g + f, out=np.ones(len(g)), where=g + f > 0)
    error, threshold = _equal_error(false_non_match_rate, false_match_rate)
    recall_before = np.r_[0.0, recall[:-1]]
    rate_steps = false_match_rate - np.r_[0.0, false_match_rate[:-1]]
    precise = np.flatnonzero((precision >= 0.9) & (g > 0))
    # Of thresholds with the same recall the lowest, which is the most precise.
    best = int(precise[np.searchsorted(g[precise], g[precise[-1]])]) if len(precise) else None
    return RateCurves(
        genuine_pairs=int(g[-1]),
        impostor_pairs=int(f[-1]),
        genuine_matches=g,
        impostor_matches=f,
        recall=recall,
        false_non_match_rate=false_non_match_rate,
        false_match_rate=false_match_rate,
        precision=precision,
        equal_error_rate=error,
        equal_error_threshold=threshold,
        auc=float((rate_steps * (recall + recall_before) / 2).sum()),
        average_precision=float(((recall - recall_before) * precision).sum()),
        recall_at_90_precision=(
            math.nan if not g[-1] else 0.0 if best is None else float(recall[best])
        ),
        threshold_at_90_precision=best,
    )


def _proportion(counts: Integers, total: int) -> Floats:
    return counts / total if total else np.full(len(counts), np.nan)


def _equal_error(false_non_match_rate: Floats, false_match_rate: Floats) -> tuple[float, float]:
    """Return rate and threshold at which the two rates are equal; NaN if one is unknown."""
    if np.isnan(false_non_match_rate[0] + false_match_rate[0]):
        return math.nan, math.nan
    # Below the threshold 0 nothing matches.
    missed, matched = np.r_[1.0, false_non_match_rate], np.r_[0.0, false_match_rate]
    gap = missed - matched  # from 1 to -1, and never rises
    after = int(np.argmax(gap <= 0))
    fraction = gap[after - 1] / (gap[after - 1] - gap[after])
    error = matched[after - 1] + fraction * (matched[after] - matched[after - 1])
    return float(error), max(float(after - 2 + fraction), 0.0)
