"""Confidence intervals of recall and of false match rates.

Genuine pairs are clustered by original, and impostor pairs have images in common: neither are
independent trials. Images are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.dependence import (
    DyadicDependence,
    Floats,
    ImpostorPairs,
    Integers,
    SortedImpostorPairs,
    dyadic_dependence,
    pairs_per_dyad,
    sort_impostor_pairs,
)
from photodna_nb.evaluation.gamma_interval import gamma_interval
from photodna_nb.evaluation.json_record import JSONRecord
from photodna_nb.evaluation.pair_graph import ComparedPairs, disjoint_partners
from photodna_nb.printable import short_repr

# With fewer matching dyads, their dependence cannot be estimated.
MIN_MATCHES = 10


@dataclass(frozen=True)
class FalseMatchRate(JSONRecord):
    """False match rate at one threshold.

    Attributes
    ----------
    threshold : int
        Largest L2 distance of a match.
    matches, pairs : int
        Number of impostor pairs that match, and of all impostor pairs.
    rate, lower, upper : float
        False match rate, and its confidence limits.
    at_least_ten_matches : bool
        Whether ten or more full dyads match. If not, `lower` is 0 and `upper` a one-sided bound.
    """

    threshold: int
    matches: int
    pairs: int
    rate: float
    lower: float
    upper: float
    at_least_ten_matches: bool


@short_repr
@dataclass(frozen=True, eq=False)
class FalseMatchRates(JSONRecord):
    """False match rates at the integer thresholds 0 … t - 1, with confidence intervals.

    Attributes
    ----------
    images, pairs : int
        Number of originals, and of impostor pairs.
    confidence : float
        Confidence level of the intervals.
    matches : ndarray of int64, (t,)
        Number of impostor pairs that match at each threshold.
    rate, lower, upper : ndarray of float64, (t,)
        False match rate at each threshold, and its confidence limits, which grow with it.
    at_least_ten_matches : ndarray of bool, (t,)
        Whether ten or more full dyads match. Where not, `lower` is 0 and `upper` a one-sided bound.
    """

    images: int
    pairs: int
    confidence: float
    matches: Integers
    rate: Floats
    lower: Floats
    upper: Floats
    at_least_ten_matches: NDArray[np.bool_]

    def at(self, threshold: int) -> FalseMatchRate:
        """Return the false match rate at one integer threshold.

        Parameters
        ----------
        threshold : int
            Distance up to which pairs match, in the unit of the distances.

        Raises
        ------
        ArgumentError
            The threshold is not 0 to t - 1.
        """
        if not 0 <= threshold < len(self.matches):
            raise ArgumentError(
                f"threshold: got {threshold}, needs 0 to {len(self.matches) - 1}, as were counted"
            )
        return FalseMatchRate(
            int(threshold),
            int(self.matches[threshold]),
            self.pairs,
            float(self.rate[threshold]),
            float(self.lower[threshold]),
            float(self.upper[threshold]),
            bool(self.at_least_ten_matches[threshold]),
        )


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the Clopper-Pearson interval of a proportion, for independent trials.

    Parameters
    ----------
    successes, trials : array_like, broadcast against each other
        Numbers x of successes and n of trials, 0 <= x <= n. They need not be integers, so that an
        effective number of trials can be given.
    confidence : float
        Confidence level 1 - alpha, between 0 and 1.

    Returns
    -------
    lower, upper : ndarray of float64
        Confidence limits, both inclusive; 0 and 1 where there are no trials.

    Raises
    ------
    ArgumentError
        A number, or `confidence`, is out of range.

    Notes
    -----
    The limits are the quantile alpha / 2 of Beta(x, n - x + 1) and the quantile 1 - alpha / 2 of
    Beta(x + 1, n - x). The coverage is at least 1 - alpha. Each limit is missed with a probability
    of at most alpha / 2, so the limits at a confidence of 0.9 are one-sided bounds of 95 %.

    References
    ----------
    Clopper, Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case
    of the Binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> lower, upper = clopper_pearson(0, 300)
    >>> float(lower), round(float(upper), 4)
    (0.0, 0.0122)
    """
    x, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if not np.all((x >= 0) & (x <= n) & np.isfinite(n)):
        raise ArgumentError("successes, trials: needs 0 <= successes <= trials, all finite")
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    # The shape parameter 1 stands where the quantile is not defined and not used.
    lower = np.where(x > 0, stats.beta.ppf(half_alpha, np.where(x > 0, x, 1), n - x + 1), 0.0)
    upper = np.where(x < n, stats.beta.ppf(1 - half_alpha, x + 1, np.where(x < n, n - x, 1)), 1.0)
    return lower, upper


def trials_by_t(trials: Floats | np.float64, n_clusters: int, half_alpha: float) -> Floats:
    """Return effective numbers of trials, less where Student's t of so many clusters is larger.

    Parameters
    ----------
    trials : ndarray of float64
        Effective numbers m of independent trials.
    n_clusters : int
        Number of clusters, at least 2.
    half_alpha : float
        Half of 1 minus the confidence level.

    Returns
    -------
    ndarray of float64
        m times the square of the ratio of Student's t with m - 1 and with n - 1 degrees of
        freedom: see `clustered_recall_interval`.
    """
    t_ratio = stats.t.ppf(half_alpha, n_clusters - 1) / stats.t.ppf(
        half_alpha, np.maximum(trials - 1, 1)
    )
    adjusted: Floats = trials / t_ratio**2
    return adjusted


def clustered_recall_interval(
    distances: NDArray[Any],
    clusters: NDArray[Any],
    thresholds: int,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the confidence interval of the recall at each threshold, over independent clusters.

    Parameters
    ----------
    distances : ndarray, (g,)
        Distance of each genuine pair.
    clusters : ndarray of integers, (g,)
        Number of the cluster of each pair: its original, if the pairs are those of variants.
    thresholds : int
        Number t of integer thresholds, which are 0 … t - 1.
    confidence : float
        Confidence level, between 0 and 1.

    Returns
    -------
    lower, upper : ndarray of float64, (t,)
        Confidence limits; NaN if there are no pairs.

    Notes
    -----
    With k_i pairs in cluster i of n, of which x_i match, the recall r = sum x_i / sum k_i is a
    ratio estimate over clusters, with the variance
    ``v = n / (n - 1) sum (x_i - r k_i)² / (sum k_i)²``. The effective number of trials is
    ``m = r (1 - r) / v``, times the square of the ratio of Student's t with m - 1 and with n - 1
    degrees of freedom, and at most the number of pairs. The interval is that of Clopper and
    Pearson for m r successes in m trials. Where all clusters have the same proportion of matches, v
    is 0: m is then interpolated from the thresholds around, or n if no or every pair matches.

    References
    ----------
    Korn, Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 1998, section 2.
    """
    pairs = len(distances)
    if not pairs:
        return np.full(thresholds, np.nan), np.full(thresholds, np.nan)
    order = np.lexsort((distances, clusters))
    distance_bin = np.ceil(distances[order]).astype(np.int64)
    _, first, sizes = np.unique(clusters[order], return_index=True, return_counts=True)
    n = len(sizes)
    # Of a cluster's k pairs, the one with the largest distance is its k-th match.
    rank = np.arange(pairs) - np.repeat(first, sizes) + 1

    def running_sum(weights: NDArray[Any] | None) -> Floats:
        return np.cumsum(np.bincount(distance_bin, weights, thresholds)[:thresholds], dtype=float)

    # Sums of x, x^2 and k x over the clusters: the k-th match adds 2 k - 1 to x^2.
    matches, squares, products = map(running_sum, (None, 2 * rank - 1, np.repeat(sizes, sizes)))
    recall = matches / pairs
    residual = squares - 2 * recall * products + recall**2 * float((sizes**2).sum())
    variance = residual / pairs**2 * n / max(n - 1, 1)
    inside = (matches > 0) & (matches < pairs)
    varying = inside & (variance > 0)
    trials = np.divide(
        recall * (1 - recall), variance, out=np.full(thresholds, float(n)), where=varying
    )
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    if n > 1:
        trials = np.where(varying, trials_by_t(trials, n, half_alpha), trials)
    known, constant = np.flatnonzero(varying), inside & (variance <= 0)
    if len(known):
        trials[constant] = np.interp(np.flatnonzero(constant), known, trials[known])
    trials = np.clip(trials, 1.0, pairs)
    return clopper_pearson(np.minimum(recall * trials, trials), trials, confidence)


def false_match_rates(
    counts: NDArray[Any],
    images: int,
    impostors: ImpostorPairs | SortedImpostorPairs,
    *,
    beyond_cutoff: DyadicDependence | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    run_number: NDArray[Any] | None = None,
    graph: ComparedPairs | None = None,
    pairs: int | None = None,
) -> FalseMatchRates:
    """Return the false match rate at each integer threshold, with confidence intervals.

    Parameters
    ----------
    counts : ndarray of integers, (t,)
        All impostor pairs: ``counts[d]`` of them have ``d - 1 < L2 <= d``.
    images : int
        Number n of originals, at least 2.
    impostors : ImpostorPairs or SortedImpostorPairs
        The impostor pairs up to a cut-off, with their images.
    beyond_cutoff : DyadicDependence, optional
        Dependence in a sample of the images, for the thresholds beyond the cut-off. Needed
        unless the cut-off is the last threshold.
    confidence : float
        Confidence level 1 - alpha, between 0 and 1.
    seed : int
        Seed of the random choice of disjoint pairs.
    run_number : ndarray of integers, (n,), optional
        Which run each image is of, where counts of several runs were added. Images of different
        runs were not compared, and form no disjoint pair.
    graph : ComparedPairs, optional
        The pairs that were compared, where not all of them were; then all are listed.
    pairs : int, optional
        Number of all impostor pairs, where `counts` ends before the largest distance.

    Returns
    -------
    FalseMatchRates
        Rates and confidence intervals.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        The list differs from the counts, `beyond_cutoff` is missing or too short, or a value is
        out of range.

    Notes
    -----
    *Full dyads.* An original and its variants are one unit: with k pairs of each dyad, m matching
    pairs are at most m / k full dyads, and at most as many as there are matching dyads.

    *Ten or more.* The variance is that of a U-statistic of the images (see
    `dyadic_dependence`), and the interval a gamma interval (see `gamma_interval`).

    *Fewer.* The dependence of so few dyads cannot be estimated. `lower` is 0, and `upper` the
    one-sided Clopper-Pearson bound (alpha / 2) of n // 2 disjoint dyads, chosen at random, which
    are independent trials; a dyad matches if any of its pairs does. It is at most the upper limit
    at the first threshold with twenty full dyads, since a lower threshold has no more matches.
    Beyond the cut-off, where it is unknown which pairs match, all are taken to be disjoint. Where
    fewer than ten pairs do *not* match, the same bound is used from above.

    *All.* The rate grows with the threshold: each lower limit holds for all higher thresholds, and
    from twenty full dyads on each upper limit for all lower ones. The narrowest are taken.

    Over 400 simulated corpora of each of eight models of dependence, intervals of 95 % covered the
    true rate in 95 to 100 %: ``tests/benchmarks/interval_coverage.py``.
    """
    counts = checks.counts("counts", counts)
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    if images < 2:
        raise ArgumentError(f"images: got {images}, needs at least 2: there are no pairs in fewer")
    nearest_first = sort_impostor_pairs(impostors, images)
    matches = np.cumsum(counts)
    last = len(counts) - 1
    pairs = int(matches[-1]) if pairs is None else checks.integer("pairs", pairs, int(matches[-1]))
    if pairs == 0:
        raise ArgumentError("counts: got no pairs at all, needs impostor pairs")
    listed = min(nearest_first.cutoff, last) + 1  # thresholds up to the cut-off
    if not np.array_equal(nearest_first.matches()[:listed], matches[:listed]):
        raise ArgumentError(
            "impostors: lists other pairs than counts has; make both from one corpus"
        )
    needs_sample = listed <= last and (images >= 4 or beyond_cutoff is not None)
    if needs_sample and (beyond_cutoff is None or len(beyond_cutoff.rate) <= last):
        raise ArgumentError(
            f"beyond_cutoff: needs a DyadicDependence up to threshold {last}, since impostors end "
            f"at {listed - 1}"
        )
    per_dyad = pairs_per_dyad(images, pairs) if graph is None else graph.pairs_per_dyad
    full_dyads = matches // per_dyad
    full_dyads[:listed] = nearest_first.full_dyads(per_dyad)[:listed]
    full_dyads = np.maximum.accumulate(full_dyads)
    enough = full_dyads >= MIN_MATCHES

    rate = matches / pairs
    lower, upper = np.zeros(len(counts)), np.ones(len(counts))
    can_estimate = images >= 4 if graph is None else graph.shows_dependence
    if can_estimate:
        dependence: DyadicDependence = (
            dyadic_dependence(nearest_first, images, pairs)
            if graph is None
            else graph.dependence(nearest_first)
        )
        listed_dependence = dependence.at_thresholds(0, listed)
        lower[:listed], upper[:listed] = gamma_interval(
            matches[:listed], pairs, images, listed_dependence, half_alpha
        )
    if listed <= last and beyond_cutoff is not None:
        beyond = beyond_cutoff.at_thresholds(listed, last + 1)
        lower[listed:], upper[listed:] = gamma_interval(
            matches[listed:], pairs, images, beyond, half_alpha
        )
        # Where the sample has too few matches, the nearest known limits on both sides hold.
        unknown = np.flatnonzero(beyond.matches < MIN_MATCHES) + listed
        if len(unknown):
            lower[unknown] = lower[listed - 1] if listed and enough[listed - 1] else 0.0
            upper[unknown] = upper[unknown[-1] + 1] if unknown[-1] < last else 1.0

    if graph is None:
        partner = disjoint_partners(np.zeros(images) if run_number is None else run_number, seed)
    else:
        partner = graph.disjoint_partners
    disjoint = int((partner >= 0).sum()) // 2
    disjoint_matches = np.minimum(matches, disjoint)
    chosen = partner[nearest_first.i] == nearest_first.j
    disjoint_matches[:listed] = nearest_first.matching_dyads(chosen)[:listed]
    few = ~enough | (not can_estimate)
    lower[few] = 0.0
    upper[few] = clopper_pearson(disjoint_matches[few], disjoint, 1 - 4 * half_alpha)[1]
    non_matches = pairs - matches
    nearly_all = ~few & (non_matches < MIN_MATCHES)
    if nearly_all.any():
        most = np.minimum(non_matches[nearly_all], disjoint)
        lower[nearly_all] = clopper_pearson(disjoint - most, disjoint, 1 - 4 * half_alpha)[0]
        upper[nearly_all] = 1.0
    lower, upper = np.minimum(lower, rate), np.maximum(upper, rate)

    # The rate grows with the threshold: a lower limit holds for higher thresholds, and an upper one
    # for lower thresholds. At the first threshold with ten matches, a corpus with too few by chance
    # would get too low a bound: twenty are needed.
    bound = np.where(full_dyads >= 2 * MIN_MATCHES, upper, np.inf)
    upper = np.minimum(upper, np.minimum.accumulate(bound[::-1])[::-1])
    lower, upper = np.maximum.accumulate(lower), np.maximum.accumulate(upper)
    return FalseMatchRates(images, pairs, confidence, matches, rate, lower, upper, ~few)
