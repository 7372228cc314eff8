"""Intervals of rates: of independent trials, and of pairs that share images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from photodna_nb.errors import ArgumentError, ArgumentTypeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Fewer matches say nothing about how they share images.
COUNTED = 10
# So many images as heavy as the heaviest one seen are allowed to be missing by chance.
_UNSEEN_IMAGES = 2


class ImpostorPairs(NamedTuple):
    """All pairs of different images up to some distance, in any order.

    i, j : ndarray of integers, (p,)
        The two images (originals), from 0. Two images make several pairs where variants
        of one are compared with the other.
    distance : ndarray, (p,)
        L2.
    cutoff : int
        Every pair of at most this distance is in the list; the others are passed over. -1
        if there is no such distance.
    """

    i: NDArray[Any]
    j: NDArray[Any]
    distance: NDArray[Any]
    cutoff: int


@dataclass(frozen=True, eq=False)
class DyadicDependence:
    """How much the matches of a corpus hang together through the images that they share.

    All arrays are of float64, (cutoff + 1,), one value for each integer threshold; the
    unit is a rate: of an image with another one, averaged over the pairs of the two.

    Attributes
    ----------
    images : int
        Of how many images it was measured.
    matches : ndarray of int64
        Pairs counted.
    rate : ndarray
        Share of the pairs that match.
    zeta1 : ndarray
        Covariance of two pairs with one image in common (zeta1), 0 or more.
    zeta2 : ndarray
        Variance of a pair (zeta2), 0 or more.
    largest_leverage_above, largest_leverage_below : ndarray
        By how much the rate of the image that matches most lies above the mean one, and
        by how much that of the image that matches least lies below it.
    degrees_of_freedom : ndarray
        How many images the variance comes from, 1 or more (degrees of freedom).
    """

    images: int
    matches: Integers
    rate: Floats
    zeta1: Floats
    zeta2: Floats
    largest_leverage_above: Floats
    largest_leverage_below: Floats
    degrees_of_freedom: Floats

    def variance(self, images: int) -> Floats:
        """Return the variance of the rate over corpora of so many images, (cutoff + 1,)."""
        n = images
        return (4 * (n - 2) * self.zeta1 + 2 * self.zeta2) / (n * (n - 1))


@dataclass(frozen=True)
class FalseMatchRate:
    """A false match rate at one threshold.

    Attributes
    ----------
    threshold : int
        L2; a match is a distance of at most it.
    matches, pairs : int
        Counted.
    rate, lower, upper : float
        Point estimate and interval.
    at_least_ten_matches : bool
        Whether ten or more pairs of images match. Else `lower` is 0 and `upper` a one-sided
        bound.
    """

    threshold: int
    matches: int
    pairs: int
    rate: float
    lower: float
    upper: float
    at_least_ten_matches: bool

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        return {name: json_number(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class FalseMatchRates:
    """False match rates at every integer threshold, with intervals.

    Arrays are (t,), one value for each threshold 0 … t - 1.

    Attributes
    ----------
    images, pairs : int
        Originals, and impostor pairs.
    confidence : float
        Of the intervals.
    matches : ndarray of int64
        Pairs of at most the threshold.
    rate, lower, upper : ndarray of float64
        Point estimate, and interval.
    at_least_ten_matches : ndarray of bool
        Where ten or more pairs of images match; several pairs of the same two, by their
        variants, are one. Elsewhere `lower` is 0, and `upper` is a one-sided bound: that of
        ``images // 2`` disjoint pairs, but not more than the upper end at the first threshold
        that counted twenty, since a lower one cannot have more matches.
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
        """Return the rate at one integer threshold.

        Raises
        ------
        ArgumentError
            It is not one of those that were counted.
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

    def as_json(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON takes."""
        return {
            name: [json_number(item) for item in value.tolist()]
            if isinstance(value, np.ndarray)
            else value
            for name, value in vars(self).items()
        }


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the Clopper-Pearson interval of a proportion, for independent trials.

    Parameters
    ----------
    successes, trials : array_like, broadcast against each other
        PairCounts, 0 <= successes <= trials. They need not be whole: an effective number of
        trials is one, too.
    confidence : float
        Between 0 and 1: the interval covers the truth at least so often.

    Returns
    -------
    lower, upper : ndarray of float64
        Ends of the interval, inclusive; 0 and 1 where there were no trials.

    Raises
    ------
    ArgumentError
        A count lies outside its range, or `confidence` does.

    Notes
    -----
    Exact, hence a little wide. Each end is missed with half of ``1 - confidence`` at
    most; so `clopper_pearson` at 0.9 holds one-sided bounds of 95 %.

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
    miss = (1 - checked_confidence(confidence)) / 2
    # The shape 1 stands where beta.ppf is not defined and not used.
    lower = np.where(x > 0, stats.beta.ppf(miss, np.where(x > 0, x, 1), n - x + 1), 0.0)
    upper = np.where(x < n, stats.beta.ppf(1 - miss, x + 1, np.where(x < n, n - x, 1)), 1.0)
    return lower, upper


def clustered_recall_interval(
    distances_squared: NDArray[Any], cells: int, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the interval of the recall at every integer threshold, by original.

    Parameters
    ----------
    distances_squared : ndarray of integers, (n, v)
        Squared L2 distance of each original's variants; -1 where there is none.
    cells : int
        Thresholds: 0 … cells - 1.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    lower, upper : ndarray of float64, (cells,)
        NaN if there are no variants.

    Notes
    -----
    Originals are the independent trials, variants of one are not. The variance of the recall
    is that of a ratio over originals, and the interval that of Clopper and Pearson for as
    many trials as would have this variance, and Student's t in place of the normal
    distribution. There are never taken to be more than variants. Where all originals have the
    same share of matches, which tells no variance, the trials are those of the thresholds
    around; and where all or none match, only as many as originals.

    References
    ----------
    Korn, Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 1998.
    """
    squared = np.sort(np.asarray(distances_squared), axis=1)[:, ::-1]
    made = squared >= 0
    of_each = made.sum(axis=1)
    pairs, n = int(of_each.sum()), int((of_each > 0).sum())
    if not pairs:
        return np.full(cells, np.nan), np.full(cells, np.nan)
    # Of an original's k variants the farthest is matched last, as its k-th: a match more
    # adds 2 k - 1 to the square of its matches.
    cell = np.ceil(np.sqrt(np.maximum(squared, 0))).astype(np.int64)
    rank = of_each[:, None] - np.arange(squared.shape[1])

    def summed(weights: NDArray[Any]) -> Floats:
        weights = np.broadcast_to(weights, made.shape)[made]
        return np.cumsum(np.bincount(cell[made], weights, cells)[:cells])

    matches, squares, products = (
        summed(weights) for weights in (np.ones((1, 1)), 2 * rank - 1, of_each[:, None])
    )
    share = matches / pairs
    residual = squares - 2 * share * products + share**2 * float((of_each**2).sum())
    variance = residual / pairs**2 * n / max(n - 1, 1)
    simple = (matches > 0) & (matches < pairs) & (variance > 0)
    spread = share * (1 - share)
    trials = np.divide(spread, variance, out=np.full(cells, float(n)), where=simple)
    miss = (1 - checked_confidence(confidence)) / 2
    if n > 1:
        wider = stats.t.ppf(miss, n - 1) / stats.t.ppf(miss, np.maximum(trials - 1, 1))
        trials = np.where(simple, trials / wider**2, trials)
    # Where each original has as many matches as any other, the variance of the thresholds around.
    told, alike = np.flatnonzero(simple), (matches > 0) & (matches < pairs) & (variance <= 0)
    if len(told):
        trials[alike] = np.interp(np.flatnonzero(alike), told, trials[told])
    trials = np.clip(trials, 1.0, pairs)
    return clopper_pearson(np.minimum(share * trials, trials), trials, confidence)


def dyadic_dependence(close: ImpostorPairs, images: int, pairs: int) -> DyadicDependence:
    """Return how much matches hang together through shared images, at each threshold.

    Parameters
    ----------
    close : ImpostorPairs
        The pairs, complete up to their cutoff.
    images : int
        How many there are, with those that are in no close pair; at least 4.
    pairs : int
        How many there are, near and far.

    Returns
    -------
    DyadicDependence
        For the integer thresholds 0 … cutoff.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        An image is out of range or paired with itself, or the arrays do not fit together.

    Notes
    -----
    Unbiased estimates of the two variance components of a U-statistic. With x the matches
    of two images, c those of one: the sums of c² and x² count the products of pairs that
    share one image and both, the square of all matches those of all pairs; what is left
    belongs to pairs that share none. A pair that comes nearer than the threshold adds
    2 c + 1 to the sum of c²; so all thresholds together take one pass over the sorted
    pairs: some 0.3 s for two million.

    References
    ----------
    Hoeffding, "A Class of Statistics with Asymptotically Normal Distribution", Annals of
    Mathematical Statistics 19, 1948.
    Fafchamps, Gubert, "The formation of risk sharing networks", Journal of Development
    Economics 83, 2007. Aronow, Samii, Assenova, "Cluster-Robust Variance Estimation for
    Dyadic Data", Political Analysis 23, 2015.
    """
    if images < 4:
        raise ArgumentError(f"images: got {images}, needs at least 4")
    return dependence_of_dyads(sorted_dyads(close, images), images, pairs)


def matrix_dependence(distances: NDArray[Any], cutoff: int = 3060) -> DyadicDependence:
    """Return the dependence measured on a subset of images, from all its distances.

    Parameters
    ----------
    distances : ndarray, (m, m)
        L2 between images, symmetric, 4 <= m; the diagonal is passed over. 2,000 images
        are plenty.
    cutoff : int
        The largest threshold.

    Returns
    -------
    DyadicDependence
        For the thresholds 0 … cutoff.

    Raises
    ------
    ArgumentError
        The matrix is not square, or too small.
    """
    if distances.ndim != 2 or len(distances) != distances.shape[1]:
        raise ArgumentError(
            f"distances: got an array of shape {distances.shape}, needs a square matrix"
        )
    i, j = np.triu_indices(len(distances), 1)
    return dyadic_dependence(ImpostorPairs(i, j, distances[i, j], cutoff), len(distances), len(i))


def false_match_rates(
    counts: NDArray[Any],
    images: int,
    close: ImpostorPairs,
    *,
    above: DyadicDependence | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    runs: NDArray[Any] | None = None,
) -> FalseMatchRates:
    """Return the false match rate at every integer threshold, with intervals.

    Parameters
    ----------
    counts : ndarray of integers, (t,)
        All impostor pairs: ``counts[d]`` of them have ``d - 1 < L2 <= d``.
    images : int
        Originals, at least 2.
    close : ImpostorPairs
        Those of at most `cutoff`, by their images.
    above : DyadicDependence, optional
        Measured on a subset of the images, for the thresholds beyond the cutoff.
        Needed unless the cutoff is the last threshold.
    confidence : float
        Between 0 and 1.
    seed : int
        Of the disjoint pairs.
    runs : ndarray of integers, (images,), optional
        Of counts that were added up: which run each image is of. Images of different runs
        were not compared, and make no disjoint pairs.

    Returns
    -------
    FalseMatchRates
        Rates and intervals.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Something does not fit: the list is not that of the counts, `above` is missing
        or too short, a value is out of range.

    Notes
    -----
    Images are the independent trials, pairs are not. The variance of the rate is the one
    that resampling of images has in the limit, without the noise and the bias of draws:
    see `dyadic_dependence`. It is enlarged as Student's t is wider than a normal distribution,
    at the number of images that it comes from. The interval is that of a weighted sum of
    Poisson counts (Fay and Feuer): a gamma distribution with the same mean and variance;
    for the upper end, two more images like the heaviest one are added, where they add one
    event. With equal weights and one event that is Garwood's exact interval. Above a rate
    of a half, it is the interval of the pairs that do not match.

    Below ten matching pairs of images there is no telling how they share images. The upper
    end is then the exact one-sided bound of ``images // 2`` disjoint pairs of images, drawn
    by the seed, which are independent; two images match if any pair of them does. It is never
    more than the upper end at the first threshold that counted twenty. Beyond the cutoff, where
    it is unknown which pairs match, all that do count as disjoint.

    Over 1,000 simulated corpora of 60 and of 300 images, for each of eight ways in which
    pairs hang together, intervals of 95 % held the truth in 95 to 99 % of the corpora, at
    every threshold where half of them or more counted ten; the bounds below ten always did.
    Clopper-Pearson intervals of all pairs held it in 46 to 75 %, percentiles of images drawn
    with replacement in 92 to 98 %. ``tests/benchmarks/interval_coverage.py`` measures it.

    References
    ----------
    Garwood, "Fiducial Limits for the Poisson Distribution", Biometrika 28, 1936.
    Fay, Feuer, "Confidence intervals for directly standardized rates: a method based on
    the gamma distribution", Statistics in Medicine 16, 1997.
    Clopper and Pearson as in `clopper_pearson`, Fafchamps and Gubert as in `dyadic_dependence`.
    """
    counts = checked_counts("counts", counts)
    miss = (1 - checked_confidence(confidence)) / 2
    if images < 2:
        raise ArgumentError(f"images: got {images}, needs at least 2: there are no pairs in fewer")
    near = sorted_dyads(close, images)
    last = len(counts) - 1
    cutoff = min(close.cutoff, last)
    matches = np.cumsum(counts)
    pairs = int(matches[-1])
    if pairs == 0:
        raise ArgumentError("counts: got no pairs at all, needs impostor pairs")
    listed = np.cumsum(np.bincount(near.cell, minlength=close.cutoff + 1))
    if not np.array_equal(listed[: cutoff + 1], matches[: cutoff + 1]):
        raise ArgumentError("close: lists other pairs than counts has; make both from one corpus")
    rate = matches / pairs

    # Of two images, several pairs may match at once; that says no more than one.
    together = math.ceil(pairs / (images * (images - 1) / 2))
    image_pairs = -(-matches // together)
    image_pairs[: cutoff + 1] = near.image_pairs()[: cutoff + 1]
    counted = np.maximum.accumulate(image_pairs) >= COUNTED
    lower, upper = np.zeros(len(counts)), np.ones(len(counts))
    if images >= 4:
        own = dependence_of_dyads(near, images, pairs)
        inside = gamma_interval(matches[: cutoff + 1], pairs, images, own, miss)
        lower[: cutoff + 1], upper[: cutoff + 1] = inside
    if cutoff < last and (images >= 4 or above is not None):
        if above is None or len(above.rate) <= last:
            raise ArgumentError(
                f"above: needs one up to threshold {last}, since close ends at {cutoff}"
            )
        beyond = slice(cutoff + 1, None)
        lower[beyond], upper[beyond] = gamma_interval(
            matches[beyond], pairs, images, _cut(above, cutoff + 1, last), miss
        )
        # Where the subset shows too little, what is known below and above holds.
        unknown = np.flatnonzero(above.matches[cutoff + 1 : last + 1] < COUNTED) + cutoff + 1
        if len(unknown):
            lower[unknown] = lower[cutoff] if cutoff >= 0 and counted[cutoff] else 0.0
            upper[unknown] = upper[unknown[-1] + 1] if unknown[-1] < last else 1.0

    partner = _partners(np.zeros(images, np.int64) if runs is None else runs, seed)
    disjoint = int((partner >= 0).sum()) // 2
    side_by_side = np.minimum(matches, disjoint)
    side_by_side[: cutoff + 1] = _disjoint_matches(near, partner, close.cutoff)[: cutoff + 1]
    few = ~counted | (images < 4)
    lower[few] = 0.0
    upper[few] = clopper_pearson(side_by_side[few], disjoint, 1 - 4 * miss)[1]
    rest = pairs - matches
    nearly_all = ~few & (rest < COUNTED)
    if nearly_all.any():
        most = np.minimum(rest[nearly_all], disjoint)
        lower[nearly_all] = clopper_pearson(disjoint - most, disjoint, 1 - 4 * miss)[0]
        upper[nearly_all] = 1.0
    lower, upper = np.minimum(lower, rate), np.maximum(upper, rate)

    # A lower threshold cannot have more matches than one at which plenty were counted. Where
    # just ten were, a corpus that counted too few by chance would bound itself too tightly.
    plenty = np.flatnonzero(np.maximum.accumulate(image_pairs) >= 2 * COUNTED)
    if len(plenty):
        upper[few] = np.minimum(upper[few], upper[plenty[0]])
    return FalseMatchRates(images, pairs, confidence, matches, rate, lower, upper, ~few)


def gamma_interval(
    matches: Integers, pairs: int, images: int, measured: DyadicDependence, miss: float
) -> tuple[Floats, Floats]:
    """Return the interval of the rate, on the rarer side: matches or the others.

    As `false_match_rates` describes it; each end is missed with a chance of `miss`.
    """
    rate = matches / pairs
    # A subset has another rate than the whole: what is taken from it is relative.
    spread, seen = rate * (1 - rate), measured.rate * (1 - measured.rate)
    scale = np.divide(spread, seen, out=np.zeros_like(rate), where=seen > 0)
    variance = np.maximum(measured.variance(images) * scale, spread / pairs)
    variance *= (stats.t.ppf(1 - miss, measured.degrees_of_freedom) / stats.norm.ppf(1 - miss)) ** 2
    common = rate > 0.5
    event = np.where(common, 1 - rate, rate)
    mean = np.where(common, 1 - measured.rate, measured.rate)
    heavy = np.where(common, measured.largest_leverage_below, measured.largest_leverage_above)
    heavy = np.divide(heavy * event, mean, out=np.zeros_like(rate), where=mean > 0)
    heaviest = np.maximum(heavy * 2 / images, 1 / pairs)

    fine = (event > 0) & (variance > 0)
    event, variance = np.where(fine, event, 1.0), np.where(fine, variance, 1.0)
    low = variance / event * special.gammaincinv(event**2 / variance, miss)
    more = event + _UNSEEN_IMAGES * heaviest
    wider = variance + _UNSEEN_IMAGES * heaviest**2
    high = np.minimum(wider / more * special.gammainccinv(more**2 / wider, miss), 1.0)
    lower, upper = np.where(common, 1 - high, low), np.where(common, 1 - low, high)
    return np.where(fine, lower, 0.0), np.where(fine, upper, 1.0)


class SortedDyads(NamedTuple):
    """Close pairs by distance: their threshold's cell, their images with i < j.

    And how many pairs of the same two images came before.
    """

    cell: NDArray[np.uint16]
    i: Integers
    j: Integers
    before: Integers
    cutoff: int

    def image_pairs(self) -> Integers:
        """Return how many pairs of images match at each threshold, (cutoff + 1,)."""
        first = self.cell[self.before == 0]
        return np.cumsum(np.bincount(first, minlength=self.cutoff + 1))


def sorted_dyads(close: ImpostorPairs, images: int) -> SortedDyads:
    """Return the pairs by the cell of their distance; raises as `dyadic_dependence` does."""
    i, j, distance = (np.asarray(part) for part in close[:3])
    if not (i.ndim == 1 and i.shape == j.shape == distance.shape):
        raise ArgumentError(
            f"close: got arrays of shapes {i.shape}, {j.shape}, {distance.shape}, "
            "needs three of one length"
        )
    if any(part.dtype.kind not in "iu" for part in (i, j)):
        raise ArgumentTypeError("close: i and j number images, needs arrays of integers")
    if not -1 <= close.cutoff < 2**16:
        raise ArgumentError(f"close: got a cutoff of {close.cutoff}, needs -1 to 65535")
    if np.isnan(distance).any() or (len(i) and distance.min() < 0):
        raise ArgumentError("close: got a distance that is negative or NaN")
    kept = distance <= close.cutoff
    if not kept.all():
        i, j, distance = i[kept], j[kept], distance[kept]
    i, j = i.astype(np.int64), j.astype(np.int64)
    if len(i) and (min(i.min(), j.min()) < 0 or max(i.max(), j.max()) >= images):
        raise ArgumentError(f"close: names an image outside of 0 to {images - 1}")
    if (i == j).any():
        raise ArgumentError("close: pairs an image with itself; a pair needs two originals")
    cell = np.ceil(distance).astype(np.uint16)
    order = np.argsort(cell, kind="stable")  # of 16 bits: a radix sort
    cell, i, j = cell[order], np.minimum(i, j)[order], np.maximum(i, j)[order]
    return SortedDyads(cell, i, j, _occurrences(i * images + j), close.cutoff)


def dependence_of_dyads(near: SortedDyads, images: int, pairs: int) -> DyadicDependence:
    """Return what `dyadic_dependence` does, of pairs that are sorted already."""
    n, cells = images, near.cutoff + 1
    ends = np.empty(2 * len(near.i), np.int64)
    ends[0::2], ends[1::2] = near.i, near.j
    # Cells do not decrease, so sums over them are differences of sums over all before.
    stop = np.searchsorted(near.cell, np.arange(cells), side="right")
    before = _occurrences(ends)
    after = before + 1

    def running(steps: NDArray[Any], stop: Integers) -> NDArray[Any]:
        return np.asarray(np.r_[0, np.cumsum(steps)][stop], np.float64)

    matches = stop.astype(np.int64)
    second = running(before + after, 2 * stop)
    count = after.astype(np.float64)
    third = running(3 * count * (count - 1) + 1, 2 * stop)
    fourth = running(((4 * count - 6) * count + 4) * count - 1, 2 * stop)
    both = running(2 * near.before + 1, stop)
    most = np.r_[0, np.maximum.accumulate(after)][2 * stop]
    # The matches of an image that is in a later pair are at most those before that pair.
    least = np.full(cells, np.bincount(ends, minlength=n).min())
    later = np.minimum.accumulate(before[::-1])[::-1]
    more = 2 * stop < len(ends)
    least[more] = np.minimum(least[more], later[2 * stop[more]])
    dyads = n * (n - 1) / 2
    each = pairs / dyads
    sharing = second - 2 * both
    apart = np.maximum(matches.astype(float) ** 2 - sharing - both, 0)
    square = apart / (dyads * (n - 2) * (n - 3) / 2)
    shared = np.maximum(sharing / (n * (n - 1) * (n - 2)) - square, 0) / each**2
    single = np.maximum(both / dyads - square, 0) / each**2
    mean = 2 * matches / n
    central = second - n * mean**2
    peaks = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * n * mean**4
    freedom = np.full(cells, n - 1.0)
    np.divide(central**2, peaks, out=freedom, where=(peaks > 0) & (central > 0))
    per_image = (n - 1) * each
    rate = matches / pairs
    return DyadicDependence(
        n,
        matches,
        rate,
        shared,
        single,
        np.maximum(most / per_image - rate, 0),
        np.maximum(rate - least / per_image, 0),
        np.clip(freedom, 1, n - 1),
    )


def _occurrences(labels: Integers) -> Integers:
    """Return how often each label came before, (p,) int64."""
    count = len(labels)
    if count == 0:
        return np.zeros(0, np.int64)
    bits = max(count - 1, 1).bit_length()
    if int(labels.max()).bit_length() + bits < 64:
        # One sort of unique keys is several times as fast as a stable argsort.
        keys = np.sort((labels << bits) | np.arange(count))
        place, label = keys & ((1 << bits) - 1), keys >> bits
    else:
        place = np.argsort(labels, kind="stable")
        label = labels[place]
    starts = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
    lengths = np.diff(np.r_[starts, count])
    found = np.empty(count, np.int64)
    found[place] = np.arange(count) - np.repeat(starts, lengths)
    return found


def _partners(runs: NDArray[Any], seed: int) -> Integers:
    """Return the other image of each one's disjoint pair, -1 of one that is left over."""
    # The raw stream is guaranteed to stay the same, permutations are not.
    drawn = np.random.PCG64(seed).random_raw(len(runs))
    partner = np.full(len(runs), -1)
    for run in np.unique(runs):
        inside = np.flatnonzero(runs == run)
        order = inside[np.argsort(drawn[inside], kind="stable")]
        half = len(order) // 2
        one, other = order[:half], order[half : 2 * half]
        partner[one], partner[other] = other, one
    return partner


def _disjoint_matches(near: SortedDyads, partner: Integers, cutoff: int) -> Integers:
    """Return how many of the disjoint pairs match at each threshold, (cutoff + 1,)."""
    together = partner[near.i] == near.j
    first = near.cell[together & (near.before == 0)]
    return np.cumsum(np.bincount(first, minlength=cutoff + 1))


def _cut(measured: DyadicDependence, first: int, last: int) -> DyadicDependence:
    """Return it for the thresholds first … last alone."""
    parts: dict[str, Any] = {
        name: value[first : last + 1]
        for name, value in vars(measured).items()
        if isinstance(value, np.ndarray)
    }
    return replace(measured, **parts)


def checked_confidence(confidence: float) -> float:
    """Return a confidence that lies between 0 and 1, or raise ArgumentError."""
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise ArgumentError(f"confidence: got {confidence!r}, needs a number between 0 and 1")
    return float(confidence)


def checked_counts(name: str, counts: Any) -> Integers:
    """Return counts as int64, or raise ArgumentTypeError or ArgumentError."""
    if not isinstance(counts, np.ndarray) or counts.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name}: needs an array of integers, one for each threshold")
    if counts.ndim != 1 or len(counts) == 0:
        raise ArgumentError(f"{name}: got an array of shape {counts.shape}, needs (t,)")
    if counts.min() < 0:
        raise ArgumentError(f"{name}: got a negative count, needs 0 or more")
    return counts.astype(np.int64)


def json_number(value: Any) -> Any:
    """Return a number as JSON takes it: 12 digits of a float, None where it is not finite.

    The last digits depend on the processor; results are compared by their bytes.
    """
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value
