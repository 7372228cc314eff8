"""Recall of all transforms together, weighted by how often a user meets each of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from photodna_nb import checks
from photodna_nb.evaluation.intervals import clopper_pearson, trials_by_t
from photodna_nb.evaluation.pair_counts import PairCounts


def weighted_recall(
    counts: PairCounts,
    weights: Mapping[str, float],
    threshold: int,
    *,
    oriented: bool = False,
    confidence: float = 0.95,
) -> tuple[float, float, float] | None:
    """Return the weighted mean of the recall of the transforms, with its confidence limits.

    Parameters
    ----------
    counts : PairCounts
        Pairs of a run.
    weights : dict of str to float
        How often each transform occurs, by its spec; at least 0, and more than 0 in all. Only
        their ratios matter. A transform that is not named has the weight 0.
    threshold : int
        Largest distance of a match.
    oriented : bool
        Whether distances are oriented: the smallest over the eight orientations of the original.
    confidence : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    tuple of float or None
        The recall and its confidence limits; None if no transform has a weight, or one that has
        a weight has no variants.

    Notes
    -----
    With weights w_t that sum to 1, and n_t variants by transform t of which the share r_t
    matches, the recall is ``r = sum w_t r_t``. Variants of one original are not independent. The
    originals are: with ``u_i = sum w_t (x_it - r_t) / n_t`` over the variants of original i, of
    which x_it is 1 if it matches and else 0, the variance of r is ``v = n / (n - 1) sum u_i²``
    (linearisation of a stratified mean over n clusters). The interval is that of Clopper and
    Pearson for m r successes in ``m = r (1 - r) / v`` trials, times the square of the ratio of
    Student's t with n - 1 and with m - 1 degrees of freedom, as in `clustered_recall_interval`;
    m is at most ``1 / sum (w_t / n_t)²`` over all variants, and n where v is 0.

    References
    ----------
    Korn, Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 1998, section 2.
    Woodruff, "A Simple Method for Approximating the Variance of a Complicated Estimate",
    Journal of the American Statistical Association 66, 1971 (linearisation).
    """
    half_alpha = (1 - checks.confidence("confidence", confidence)) / 2
    weight = np.array([weights.get(spec, 0.0) for spec in counts.transforms], np.float64)
    genuine = counts.genuine
    rows = genuine.transform >= 0
    transform, clusters = genuine.transform[rows], counts.genuine_clusters[rows]
    number = np.bincount(transform, minlength=len(weight))
    if not weight.any() or (number[weight > 0] == 0).any():
        return None
    share = weight / weight.sum() / np.maximum(number, 1)  # of one variant
    matching = genuine.squared(oriented)[rows] <= counts.hasher.integer_limit(threshold)
    matches = np.bincount(transform, matching, len(weight))
    recall = float(min(matches @ share, 1.0))
    residual = share[transform] * (matching - (matches / np.maximum(number, 1))[transform])
    used = weight[transform] > 0
    _, cluster = np.unique(clusters[used], return_inverse=True)
    n = int(cluster.max()) + 1
    squares = np.square(np.bincount(cluster, residual[used], n)).sum()
    variance = float(squares) * n / max(n - 1, 1)
    trials = float(n)
    if 0 < recall < 1 and variance > 1e-18:
        trials = recall * (1 - recall) / variance
        if n > 1:
            trials = float(trials_by_t(np.float64(trials), n, half_alpha))
    most = 1 / float(number @ share**2)
    trials = float(np.clip(trials, 1.0, max(most, 1.0)))
    lower, upper = clopper_pearson(min(recall * trials, trials), trials, confidence)
    return recall, min(float(lower), recall), max(float(upper), recall)
