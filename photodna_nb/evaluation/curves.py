"""How well distances tell genuine pairs from impostor pairs, at every integer threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import Floats, Integers, checked_counts, json_number


@dataclass(frozen=True, eq=False)
class RateCurves:
    """Rates at the thresholds 0 … t - 1, and what sums them up; arrays are (t,).

    A match is a distance of at most the threshold. What would be 0 / 0 is NaN.

    Attributes
    ----------
    genuine_pairs, impostor_pairs : int
        All that were counted.
    genuine_matches, impostor_matches : ndarray of int64
        Those of at most the threshold.
    recall : ndarray of float64
        Share of the genuine pairs that match.
    false_non_match_rate : ndarray of float64
        Share of the genuine pairs that do not.
    false_match_rate : ndarray of float64
        Share of the impostor pairs that match.
    precision : ndarray of float64
        Share of the matches that are genuine; 1 where nothing matches. It depends on how
        many pairs of each kind there are.
    equal_error_rate, equal_error_threshold : float
        Where false non-match and false match rate cross.
    auc : float
        Area under the receiver operating characteristic: the chance that a genuine pair is
        closer than an impostor pair, ties counted half.
    average_precision : float
        The micro average precision of DISC21, over all pairs together.
    recall_at_90_precision : float
        The largest recall of a threshold with a precision of 90 % or more; 0 if none has.
    threshold_at_90_precision : int or None
        That threshold.
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
        false_match_rate, recall : ndarray of float64, (p,)
            One point for each threshold at which anything changes, increasing.
        """
        moves = np.diff(self.genuine_matches + self.impostor_matches, prepend=0) > 0
        return np.r_[0.0, self.false_match_rate[moves]], np.r_[0.0, self.recall[moves]]

    def det(self) -> tuple[Floats, Floats]:
        """Return the points of the detection error tradeoff curve.

        Returns
        -------
        false_match_rate, false_non_match_rate : ndarray of float64, (p,)
            Those of `roc`. A rate of 0 is less than one in all pairs, and draws as such.
        """
        rate, recall = self.roc()
        return rate, 1 - recall

    def as_json(self) -> dict[str, Any]:
        """Return the numbers that sum the curves up as a dictionary that JSON takes."""
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
        How many pairs of each kind have ``d - 1 < L2 <= d``, for d from 0 to t - 1; all
        pairs, so that t is 3061 for hashes.

    Returns
    -------
    RateCurves
        With NaN for what needs a kind of pairs of which there are none.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        The two are not arrays of counts of one length.

    Notes
    -----
    All pairs of one cell match at once, as pairs of one score do: a tie is one step of a
    curve, whatever the order of its pairs. With the matches g and f up to a threshold, of
    G and F pairs,

    - average precision is the sum of ``(g - g') / G * g / (g + f)`` over the thresholds,
      where g' belongs to the one before: a step function, as in DISC21 and scikit-learn;
    - the area is the sum of the trapezia below the points ``(f / F, g / G)``;
    - the equal error rate lies on the straight line between the points of the two
      thresholds around the crossing, and its threshold likewise between theirs.

    References
    ----------
    Douze, Tolias, Pizzi, Papakipos, et al., "The 2021 Image Similarity Dataset and
    Challenge", arXiv:2106.09672.

    Examples
    --------
    >>> import numpy as np
    >>> found = curves(np.array([3, 1, 0, 0]), np.array([0, 1, 2, 5]))
    >>> found.recall
    array([0.75, 1.  , 1.  , 1.  ])
    >>> found.auc, found.average_precision
    (0.984375, 0.95)
    """
    genuine = checked_counts("genuine", genuine)
    impostor = checked_counts("impostor", impostor)
    if len(genuine) != len(impostor):
        raise ArgumentError(
            f"genuine, impostor: got {len(genuine)} and {len(impostor)} cells, needs as many"
        )
    g, f = np.cumsum(genuine), np.cumsum(impostor)
    recall, rate = _share(g, int(g[-1])), _share(f, int(f[-1]))
    missed = _share(g[-1] - g, int(g[-1]))
    precision = np.divide(g, g + f, out=np.ones(len(g)), where=g + f > 0)
    error, threshold = _equal_error(missed, rate)
    before = np.r_[0.0, rate[:-1]], np.r_[0.0, recall[:-1]]
    good = np.flatnonzero((precision >= 0.9) & (g > 0))
    # Of thresholds with the same recall the lowest, which is the most precise.
    best = int(good[np.searchsorted(g[good], g[good[-1]])]) if len(good) else None
    return RateCurves(
        genuine_pairs=int(g[-1]),
        impostor_pairs=int(f[-1]),
        genuine_matches=g,
        impostor_matches=f,
        recall=recall,
        false_non_match_rate=missed,
        false_match_rate=rate,
        precision=precision,
        equal_error_rate=error,
        equal_error_threshold=threshold,
        auc=float(((rate - before[0]) * (recall + before[1]) / 2).sum()),
        average_precision=float(((recall - before[1]) * precision).sum()),
        recall_at_90_precision=(
            math.nan if not g[-1] else 0.0 if best is None else float(recall[best])
        ),
        threshold_at_90_precision=best,
    )


def _share(part: Integers, whole: int) -> Floats:
    return part / whole if whole else np.full(len(part), np.nan)


def _equal_error(missed: Floats, rate: Floats) -> tuple[float, float]:
    """Return the rate and the threshold at which the two cross; NaN if one is unknown."""
    if np.isnan(missed[0] + rate[0]):
        return math.nan, math.nan
    # Below the threshold 0 nothing matches.
    missed, rate = np.r_[1.0, missed], np.r_[0.0, rate]
    gap = missed - rate  # from 1 to -1, and never rises
    after = int(np.argmax(gap <= 0))
    way = gap[after - 1] / (gap[after - 1] - gap[after])
    error = rate[after - 1] + way * (rate[after] - rate[after - 1])
    return float(error), max(float(after - 2 + way), 0.0)
