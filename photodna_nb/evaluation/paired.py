"""Two recalls of the same genuine pairs: which pairs match in one alone, and their difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from photodna_nb import checks
from photodna_nb.evaluation.comparison_records import DiscordantPairs
from photodna_nb.evaluation.intervals import trials_by_t
from photodna_nb.evaluation.json_record import json_number


class RecallDifference(NamedTuple):
    """Difference of two recalls of the same genuine pairs, with its confidence limits."""

    difference: float
    lower: float
    upper: float


def discordant_pairs(change: NDArray[Any], clusters: NDArray[Any]) -> DiscordantPairs:
    """Return how many genuine pairs match in one of two ways alone.

    Parameters
    ----------
    change : ndarray of integers, (g,)
        Of each pair 1 if it matches in the second way alone, -1 in the first alone, otherwise 0.
    clusters : ndarray of integers, (g,)
        Number of the cluster of each pair: clusters are independent.
    """
    lost, gained = int((change < 0).sum()), int((change > 0).sum())
    balance = np.bincount(clusters, change)
    worse, better = int((balance < 0).sum()), int((balance > 0).sum())
    p_value = None
    if lost or gained:
        trials = worse + better
        p_value = json_number(float(stats.binomtest(worse, trials).pvalue)) if trials else 1.0
    return DiscordantPairs(len(change), lost, gained, p_value)


def recall_difference(
    change: NDArray[Any], clusters: NDArray[Any], confidence: float = 0.95
) -> RecallDifference:
    """Return the difference of two recalls of the same pairs, and its confidence interval.

    Parameters
    ----------
    change, clusters
        As `discordant_pairs` takes them; at least one pair.
    confidence : float
        Confidence level, between 0 and 1.

    Returns
    -------
    RecallDifference
        Second recall minus first, from -1 to 1.

    Notes
    -----
    The interval is Tango's score interval for paired proportions, which holds also where few pairs,
    or none, match in one way alone. For several pairs in a cluster it is computed for the effective
    number m of trials, as Korn and Graubard do for one proportion: with c_i the sum of the changes
    and k_i the number of pairs of cluster i of n, and d the difference, the variance of d is
    ``v = n / (n - 1) sum (c_i - d k_i)² / (sum k_i)²``. m is the variance of one pair's change over
    v, times the square of the ratio of Student's t with m - 1 and with n - 1 degrees of freedom,
    and at most the number of pairs. If no pair changed, m is the number of clusters.

    References
    ----------
    Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 1998.
    Korn, Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 1998, section 2.
    """
    pairs = len(change)
    sizes = np.bincount(clusters)
    balance = np.bincount(clusters, change)[sizes > 0]
    sizes = sizes[sizes > 0]
    n = len(sizes)
    gained, lost = float((change > 0).mean()), float((change < 0).mean())
    difference = gained - lost
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    variance = float(((balance - difference * sizes) ** 2).sum()) / pairs**2 * n / max(n - 1, 1)
    of_one_pair = gained + lost - difference**2
    trials = float(n)
    if variance > 0 and of_one_pair > 0 and n > 1:
        trials = float(trials_by_t(np.float64(of_one_pair / variance), n, half_alpha))
    trials = min(max(trials, 1.0), float(pairs))
    z = float(stats.norm.isf(half_alpha))
    ends = []
    for sign in (1, -1):

        def excess(delta: float, sign: int = sign) -> float:
            return sign * _score(delta, gained, lost, trials) - z

        ends.append(_root(excess, difference, -float(sign)))
    return RecallDifference(difference, *ends)


def _score(delta: float, gained: float, lost: float, trials: float) -> float:
    """Return Tango's score statistic for the hypothesis that the difference is `delta`."""
    b = 2 * delta - (gained + lost) - delta * (gained - lost)
    c = -lost * delta * (1 - delta)
    # Probability of a loss: the maximum of the likelihood under the hypothesis.
    loss = (math.sqrt(max(b * b - 8 * c, 0.0)) - b) / 4
    variance = max(2 * loss + delta * (1 - delta), 0.0) / trials
    deviation = gained - lost - delta
    if variance <= 0:
        return math.copysign(math.inf, deviation) if deviation else 0.0
    return deviation / math.sqrt(variance)


def _root(excess: Callable[[float], float], inside: float, end: float) -> float:
    """Return where a function that is negative at `inside` becomes positive, or `end`."""
    edge = end * (1 - 1e-12)
    if not excess(inside) < 0 < excess(edge):
        return end
    return float(optimize.brentq(excess, inside, edge, xtol=1e-12))
