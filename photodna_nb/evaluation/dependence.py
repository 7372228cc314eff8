"""Dependence of impostor pairs that share images: variance components of a rate over pairs.

A *dyad* is a set of two images. Several impostor pairs belong to one dyad where variants of an
image are compared with the other image. Images are taken to be independent; dyads with
an image in common are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError, ArgumentTypeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MAX_CUTOFF = 2**16 - 1


class ImpostorPairs(NamedTuple):
    """All impostor pairs up to a cut-off distance, in any order.

    Attributes
    ----------
    i, j : ndarray of integers, (p,)
        Numbers of the two images (originals), from 0; a dyad may occur several times.
    distance : ndarray, (p,)
        L2 distance.
    cutoff : int
        Integer L2 distance up to which the list is complete; pairs at larger distances are
        ignored. -1 if it is complete at no distance.
    """

    i: NDArray[Any]
    j: NDArray[Any]
    distance: NDArray[Any]
    cutoff: int


class SortedImpostorPairs(NamedTuple):
    """Impostor pairs in ascending order of their distance bin, from `sort_impostor_pairs`.

    Attributes
    ----------
    distance_bin : ndarray of uint16, (p,)
        Smallest integer threshold at which the pair matches: its distance, rounded up.
    i, j : ndarray of int64, (p,)
        Numbers of the two images, i < j.
    distance : ndarray of float64, (p,)
        L2 distance.
    n_earlier_in_dyad : ndarray of int64, (p,)
        Number of pairs of the same dyad that come before.
    cutoff : int
        As in `ImpostorPairs`.
    """

    distance_bin: NDArray[np.uint16]
    i: Integers
    j: Integers
    distance: Floats
    n_earlier_in_dyad: Integers
    cutoff: int

    def matches(self) -> Integers:
        """Return the number of pairs that match at each threshold, (cutoff + 1,)."""
        return self._cumulative(self.distance_bin)

    def matching_dyads(self, rows: NDArray[np.bool_] | None = None) -> Integers:
        """Return the number of dyads that match at each threshold, (cutoff + 1,).

        Parameters
        ----------
        rows : ndarray of bool, (p,), optional
            The pairs whose dyads are counted; all if left out.
        """
        first = self.n_earlier_in_dyad == 0
        return self._cumulative(self.distance_bin[first if rows is None else first & rows])

    def full_dyads(self, pairs_per_dyad: int) -> Integers:
        """Return the number of full dyads that match at each threshold, (cutoff + 1,).

        It is that of the matching pairs over the pairs of a dyad, rounded down, and at most the
        number of matching dyads.
        """
        return np.minimum(self.matching_dyads(), self.matches() // pairs_per_dyad)

    def _cumulative(self, bins: NDArray[np.uint16]) -> Integers:
        return np.cumsum(np.bincount(bins, minlength=self.cutoff + 1))


@dataclass(frozen=True, eq=False)
class DyadicDependence:
    """Variance components of the rate at which pairs match, at each integer threshold.

    The kernel h(i, j) of the U-statistic is the proportion of the pairs of a dyad that match. All
    arrays have the shape (t,), for the thresholds 0 … t - 1.

    Attributes
    ----------
    matches : ndarray of int64
        Number of pairs that match.
    rate : ndarray of float64
        Proportion of the pairs that match: the mean of h.
    zeta1 : ndarray of float64
        Covariance of h over two dyads with one image in common, at least 0.
    zeta2 : ndarray of float64
        Variance of h, at least 0.
    largest_leverage_above, largest_leverage_below : ndarray of float64
        Leverage of the image that matches most, and of the image that matches least: the
        largest deviation, upwards and downwards, of one image's mean match rate from `rate`. The
        mean match rate of an image is the mean of h over its n - 1 dyads.
    degrees_of_freedom : ndarray of float64
        Effective number of images from which the variance is estimated, 1 to n - 1.
    """

    matches: Integers
    rate: Floats
    zeta1: Floats
    zeta2: Floats
    largest_leverage_above: Floats
    largest_leverage_below: Floats
    degrees_of_freedom: Floats

    def variance(self, images: int) -> Floats:
        """Return the variance of the rate over corpora of n images, (t,).

        It is ``(4 (n - 2) zeta1 + 2 zeta2) / (n (n - 1))``: Hoeffding's variance of a
        U-statistic of degree 2.
        """
        n = images
        return (4 * (n - 2) * self.zeta1 + 2 * self.zeta2) / (n * (n - 1))

    def at_thresholds(self, first: int, stop: int) -> DyadicDependence:
        """Return the components at the thresholds first … stop - 1 alone."""
        return type(self)(*(values[first:stop] for values in vars(self).values()))


def dyadic_dependence(
    impostors: ImpostorPairs | SortedImpostorPairs, images: int, pairs: int
) -> DyadicDependence:
    """Return the variance components of the rate at which pairs match, at each threshold.

    Parameters
    ----------
    impostors : ImpostorPairs or SortedImpostorPairs
        Impostor pairs, complete up to their cut-off.
    images : int
        Number n of images, with those that are in no listed pair; at least 4.
    pairs : int
        Number of all impostor pairs, listed or not.

    Returns
    -------
    DyadicDependence
        For the integer thresholds 0 … cutoff.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        There are fewer than 4 images, an image is out of range or paired with itself, or the
        arrays do not have one length.

    Notes
    -----
    The estimates are unbiased before negative ones are set to 0. At one threshold, let x_ij be
    the number of matching pairs of a dyad, c_i = sum_j x_ij, M = sum x_ij, D = n (n - 1) / 2
    dyads and e = pairs / D. Over ordered pairs of dyads, products x x' sum to

    - B = sum x_ij² for a dyad with itself, D of them;
    - S = sum c_i² - 2 B for dyads with one image in common, n (n - 1) (n - 2) of them;
    - A = M² - S - B for dyads without a common image, D (n - 2) (n - 3) / 2 of them,

    so that, with the means B', S' and A' of the three sums, e² zeta1 = S' - A' and
    e² zeta2 = B' - A'. The degrees of freedom are
    (sum (c_i - mean)²)² / sum (c_i - mean)⁴, as in Satterthwaite's approximation.

    A pair that starts to match adds 2 c + 1 to sum c²: all thresholds together take one pass
    over the sorted pairs, about 0.3 s for two million.

    References
    ----------
    Hoeffding, "A Class of Statistics with Asymptotically Normal Distribution", Annals of
    Mathematical Statistics 19, 1948, section 5 (variance of a U-statistic).
    Fafchamps, Gubert, "The formation of risk sharing networks", Journal of Development
    Economics 83, 2007. Aronow, Samii, Assenova, "Cluster-Robust Variance Estimation for
    Dyadic Data", Political Analysis 23, 2015.
    Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
    Biometrics Bulletin 2, 1946.
    """
    if images < 4:
        raise ArgumentError(f"images: got {images}, needs at least 4")
    impostors = sort_impostor_pairs(impostors, images)
    n, thresholds = images, impostors.cutoff + 1
    ends = np.empty(2 * len(impostors.i), np.int64)
    ends[0::2], ends[1::2] = impostors.i, impostors.j
    # Distance bins do not decrease: a sum over the matches is one over the first pairs.
    stop = np.searchsorted(impostors.distance_bin, np.arange(thresholds), side="right")
    before = _occurrences(ends)
    after = before + 1

    def running_sum(increments: NDArray[Any], stop: Integers) -> Floats:
        return np.asarray(np.r_[0, np.cumsum(increments)][stop], np.float64)

    matches = stop.astype(np.int64)
    count = after.astype(np.float64)
    # Sums over images of the powers c^2, c^3 and c^4 of their matches.
    power2 = running_sum(before + after, 2 * stop)
    power3 = running_sum(3 * count * (count - 1) + 1, 2 * stop)
    power4 = running_sum(((4 * count - 6) * count + 4) * count - 1, 2 * stop)
    same = running_sum(2 * impostors.n_earlier_in_dyad + 1, stop)
    most = np.r_[0, np.maximum.accumulate(after)][2 * stop]
    # The matches of an image that is in a later pair are at most those before that pair.
    least = np.full(thresholds, np.bincount(ends, minlength=n).min())
    later = np.minimum.accumulate(before[::-1])[::-1]
    more = 2 * stop < len(ends)
    least[more] = np.minimum(least[more], later[2 * stop[more]])

    dyads = n * (n - 1) / 2
    per_dyad = pairs / dyads
    sharing = power2 - 2 * same
    disjoint = np.maximum(matches.astype(float) ** 2 - sharing - same, 0)
    mean_squared = disjoint / (dyads * (n - 2) * (n - 3) / 2)
    zeta1 = np.maximum(sharing / (n * (n - 1) * (n - 2)) - mean_squared, 0) / per_dyad**2
    zeta2 = np.maximum(same / dyads - mean_squared, 0) / per_dyad**2
    mean = 2 * matches / n
    central2 = power2 - n * mean**2
    central4 = power4 - 4 * mean * power3 + 6 * mean**2 * power2 - 3 * n * mean**4
    degrees_of_freedom = np.full(thresholds, n - 1.0)
    np.divide(central2**2, central4, out=degrees_of_freedom, where=(central4 > 0) & (central2 > 0))
    per_image = (n - 1) * per_dyad
    rate = matches / pairs
    return DyadicDependence(
        matches,
        rate,
        zeta1,
        zeta2,
        np.maximum(most / per_image - rate, 0),
        np.maximum(rate - least / per_image, 0),
        np.clip(degrees_of_freedom, 1, n - 1),
    )


def matrix_dependence(distances: NDArray[Any], cutoff: int = 3060) -> DyadicDependence:
    """Return the dependence in a sample of images, from all distances between them.

    Parameters
    ----------
    distances : ndarray, (m, m)
        L2 distances, symmetric, m at least 4; the diagonal is ignored. 2,000 images are enough.
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


def sort_impostor_pairs(
    impostors: ImpostorPairs | SortedImpostorPairs, images: int
) -> SortedImpostorPairs:
    """Return the pairs up to the cut-off, sorted by distance bin; raises as `dyadic_dependence`."""
    if isinstance(impostors, SortedImpostorPairs):
        return impostors
    i, j, distance = (np.asarray(column) for column in impostors[:3])
    if not (i.ndim == 1 and i.shape == j.shape == distance.shape):
        raise ArgumentError(
            f"impostors: got arrays of shapes {i.shape}, {j.shape}, {distance.shape}, "
            "needs three of one length"
        )
    if any(column.dtype.kind not in "iu" for column in (i, j)):
        raise ArgumentTypeError("impostors: i and j number images, needs arrays of integers")
    if not -1 <= impostors.cutoff <= _MAX_CUTOFF:
        raise ArgumentError(
            f"impostors: got a cutoff of {impostors.cutoff}, needs -1 to {_MAX_CUTOFF}"
        )
    if np.isnan(distance).any() or (len(i) and distance.min() < 0):
        raise ArgumentError("impostors: got a distance that is negative or NaN")
    inside = distance <= impostors.cutoff
    if not inside.all():
        i, j, distance = i[inside], j[inside], distance[inside]
    i, j = i.astype(np.int64), j.astype(np.int64)
    if len(i) and (min(i.min(), j.min()) < 0 or max(i.max(), j.max()) >= images):
        raise ArgumentError(f"impostors: names an image outside of 0 to {images - 1}")
    if (i == j).any():
        raise ArgumentError("impostors: pairs an image with itself; a pair needs two originals")
    distance_bin = np.ceil(distance).astype(np.uint16)
    order = np.argsort(distance_bin, kind="stable")  # a radix sort, for 16 bits
    i, j = np.minimum(i, j)[order], np.maximum(i, j)[order]
    distance_bin, distance = distance_bin[order], distance[order].astype(np.float64)
    earlier = _occurrences(i * images + j)
    return SortedImpostorPairs(distance_bin, i, j, distance, earlier, impostors.cutoff)


def pairs_per_dyad(images: int, pairs: int) -> int:
    """Return the number of impostor pairs of a dyad, rounded up."""
    return math.ceil(pairs / (images * (images - 1) / 2))


def _occurrences(labels: Integers) -> Integers:
    """Return how often each label occurs before its place, (p,)."""
    n_labels = len(labels)
    if n_labels == 0:
        return np.zeros(0, np.int64)
    bits = max(n_labels - 1, 1).bit_length()
    if int(labels.max()).bit_length() + bits < 64:
        # One sort of unique keys is several times as fast as a stable argsort.
        keys = np.sort((labels << bits) | np.arange(n_labels))
        place, label = keys & ((1 << bits) - 1), keys >> bits
    else:
        place = np.argsort(labels, kind="stable")
        label = labels[place]
    starts = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
    lengths = np.diff(np.r_[starts, n_labels])
    occurrences = np.empty(n_labels, np.int64)
    occurrences[place] = np.arange(n_labels) - np.repeat(starts, lengths)
    return occurrences
