"""Likelihood and resampling of a generalised Pareto tail of the smallest impostor distances.

With the fit threshold u, the lower endpoint e and the exponent k, a distance of at most u is at
most t with the probability ``((t - e) / (u - e))^k``: the excess ``y = u - distance`` has a
generalised Pareto distribution with the shape ``-1 / k`` and the scale ``(u - e) / k``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from photodna_nb.evaluation.dependence import (
    Floats,
    ImpostorPairs,
    Integers,
    SortedImpostorPairs,
    dyadic_dependence,
    pairs_per_dyad,
)
from photodna_nb.evaluation.gamma_interval import UNSEEN_IMAGES
from photodna_nb.evaluation.intervals import MIN_MATCHES

# From an exponent of 2 (a shape of -1/2) on, the likelihood is regular.
MIN_EXPONENT = 2
# The model holds in the limit: a larger proportion of the pairs is biased, a smaller one noisy.
_PROPORTION = 0.003
_MAX_EXCEEDANCES = 5000
# The pairs of fewer full dyads are not fitted.
MIN_DYADS = 50
# Number of lower endpoints among which the one with the largest likelihood is sought.
_ENDPOINTS = 64
# Points of the distribution at which the test of fit compares.
_TEST_POINTS = 31
# Weights of pairs that are held in memory at a time.
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class Exceedances:
    """The impostor pairs within the fit threshold, nearest first.

    Attributes
    ----------
    images, pairs : int
        Number of originals, and of all impostor pairs.
    fit_threshold : float
        Largest of the distances.
    i, j : ndarray of int64, (k,)
        Numbers of the two images, i < j.
    excess : ndarray of float64, (k,)
        ``fit_threshold - distance``, descending.
    """

    images: int
    pairs: int
    fit_threshold: float
    i: Integers
    j: Integers
    excess: Floats

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.i)

    @property
    def distance(self) -> Floats:
        """L2 distance of each pair, ascending."""
        return self.fit_threshold - self.excess

    @property
    def smallest(self) -> float:
        """Smallest distance, above all endpoints that are possible."""
        return self.fit_threshold - float(self.excess.max())

    @property
    def tested_counts(self) -> Integers:
        """Numbers of pairs at which the test of fit compares, from ten up, equally far in log."""
        most = len(self) * (1 - 1 / _TEST_POINTS)
        return np.geomspace(MIN_MATCHES, most, _TEST_POINTS).astype(np.int64)

    @property
    def tested_probabilities(self) -> Floats:
        """Empirical distribution function of the exceedances where the test of fit compares."""
        return self.tested_counts / len(self)

    def fitted_probabilities(self, endpoint: Any, exponent: Any) -> Floats:
        """Return the distribution function of a fit where the test of fit compares."""
        distance = self.fit_threshold - self.excess[self.tested_counts - 1]
        return tail_rate(distance, self.fit_threshold, 1.0, endpoint, exponent)


class CountVariance(NamedTuple):
    """Variance of the number of exceedances.

    Attributes
    ----------
    own : float
        Sum of the variances of all dyads.
    shared : float
        Sum of the covariances of dyads with one image in common.
    degrees_of_freedom : float
        As in `DyadicDependence`.
    """

    own: float
    shared: float
    degrees_of_freedom: float


class Replicates(NamedTuple):
    """Resampled tails.

    Attributes
    ----------
    parameters : ndarray of float64, (2, r, 3)
        Exceedance probability, lower endpoint and exponent of each replicate: for the lower
        confidence limits, and with `UNSEEN_IMAGES` more images for the upper ones.
    gaps : ndarray of float64, (r, p)
        Weighted empirical distribution function minus that of the replicate's own fit, where the
        test of fit compares.
    """

    parameters: Floats
    gaps: Floats


def nearest_pairs(impostors: SortedImpostorPairs, images: int, pairs: int) -> Exceedances:
    """Return the nearest 0.3 % of all impostor pairs, as far as listed.

    They are at most 5,000, or the pairs of fifty full dyads where these are more.
    """
    distance = impostors.distance
    most = max(_MAX_EXCEEDANCES, MIN_DYADS * pairs_per_dyad(images, pairs))
    number = int(min(_PROPORTION * pairs, most, len(distance)))
    fit_threshold = float(np.partition(distance, number - 1)[number - 1]) if number else 0.0
    rows = np.flatnonzero(distance <= fit_threshold)
    # In one order, whatever order they came in: sums of floats depend on it.
    rows = rows[np.lexsort((impostors.j[rows], impostors.i[rows], distance[rows]))]
    excess = fit_threshold - distance[rows]
    return Exceedances(images, pairs, fit_threshold, impostors.i[rows], impostors.j[rows], excess)


def tail_rate(
    t: Any, fit_threshold: float, exceedance_probability: Any, endpoint: Any, exponent: Any
) -> Floats:
    """Return ``p ((t - endpoint) / (fit_threshold - endpoint))^exponent``, 0 below the endpoint.

    p is the probability of a distance of at most the fit threshold.
    """
    relative = np.clip((t - endpoint) / (fit_threshold - endpoint), 0, None)
    return np.asarray(exceedance_probability * relative**exponent)


def count_variance(exceedances: Exceedances) -> CountVariance:
    """Return the variance of the number of exceedances over corpora of as many images."""
    images, matches = exceedances.images, len(exceedances)
    dyads = images * (images - 1) / 2
    at_threshold = ImpostorPairs(exceedances.i, exceedances.j, np.zeros(matches), 0)
    # As many pairs as dyads: what counts here is the number of matches and not their rate.
    dependence = dyadic_dependence(at_threshold, images, images * (images - 1) // 2)
    own = max(float(dependence.zeta2[0]) * dyads, matches * (1 - matches / dyads), 1.0)
    shared = 4 * (images - 2) * float(dependence.zeta1[0]) * dyads / 2
    return CountVariance(own, shared, float(dependence.degrees_of_freedom[0]))


def fit(exceedances: Exceedances) -> tuple[float, float]:
    """Return the endpoint and the exponent of the largest likelihood, with 0 <= endpoint."""
    y, u = exceedances.excess, exceedances.fit_threshold
    endpoints = _endpoint_grid(exceedances.smallest)
    _, likelihood = _profile_likelihood(y, u, endpoints)
    best = int(likelihood[0].argmax())
    bounds = endpoints[max(best - 1, 0)], endpoints[min(best + 1, _ENDPOINTS - 1)]

    def loss(endpoint: float) -> float:
        value = float(_profile_likelihood(y, u, np.array([endpoint]))[1][0, 0])
        return -value if math.isfinite(value) else 1e300

    optimum = optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    endpoint = min((float(optimum.x), *map(float, bounds)), key=loss)
    return endpoint, 1 / float(_profile_likelihood(y, u, np.array([endpoint]))[0][0, 0])


def score_design_effect(exceedances: Exceedances, endpoint: float, exponent: float) -> float:
    """Return the design effect of the endpoint's score, at least 1.

    The score is the derivative of the log-likelihood by the endpoint, orthogonal to that by the
    exponent. The design effect is the variance of its sum, with the covariances of pairs with a
    common image, over that of independent pairs.
    """
    u, distance = exceedances.fit_threshold, exceedances.distance
    by_exponent = 1 / exponent + np.log((distance - endpoint) / (u - endpoint))
    by_endpoint = exponent / (u - endpoint) - (exponent - 1) / (distance - endpoint)
    score = by_endpoint - by_exponent * (by_endpoint * by_exponent).sum() / (by_exponent**2).sum()
    score -= score.mean()
    _, rows = np.unique(np.r_[exceedances.i, exceedances.j], return_inverse=True)
    by_image = np.bincount(rows, np.r_[score, score])
    independent = (score**2).sum()
    if independent <= 0:
        return 1.0
    return max(float(((by_image**2).sum() - independent) / independent), 1.0)


def weight_shape(variance: CountVariance) -> float:
    """Return the shape of gamma weights of mean 1 that give the number of pairs its variance.

    Each image has a weight of variance v = 1 / shape, and a pair the product of its two. The
    variance of such a product is 2 v + v², and the covariance of two products with one factor in
    common is v; so v solves ``(shared + 2 own) v + own v² = shared + own``.
    """
    own, shared = variance.own, variance.shared
    linear = shared + 2 * own
    v = 2 * (shared + own) / (linear + math.sqrt(linear**2 + 4 * own * (shared + own)))
    return 1 / v


def resample(
    exceedances: Exceedances, shape: float, design_effect: float, seed: int, replicates: int
) -> Replicates:
    """Return tails of images with random weights.

    Parameters
    ----------
    exceedances : Exceedances
        Pairs that the tail is fitted to.
    shape : float
        Shape of the gamma distribution of the weights, of mean 1.
    design_effect : float
        Result of `score_design_effect`: the likelihood of the endpoint is raised to the power
        ``1 / design_effect``.
    seed : int
        Seed of the random numbers.
    replicates : int
        Number r of replicates.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    y, u, images = exceedances.excess, exceedances.fit_threshold, exceedances.images
    involved, rows = np.unique(np.r_[exceedances.i, exceedances.j], return_inverse=True)
    i, j = rows[: len(y)], rows[len(y) :]
    n_involved = len(involved)
    n_others = images - n_involved
    most_pairs = np.bincount(rows).argmax()
    nearest = (np.bincount(i, y, n_involved) + np.bincount(j, y, n_involved)).argmax()
    dyads = images * (images - 1)
    counts = exceedances.tested_counts
    parameters = np.empty((2, replicates, 3))
    parameters[:, :, 1] = _sample_endpoints(exceedances, design_effect, replicates, rng)
    gaps = np.empty((replicates, _TEST_POINTS))
    step = max(_BLOCK // len(y), 1)
    for first in range(0, replicates, step):
        block = slice(first, min(first + step, replicates))
        size = block.stop - block.start
        weight = rng.standard_gamma(shape, (size, n_involved)) / shape
        others = rng.standard_gamma(shape * n_others, size) / shape if n_others else np.zeros(size)
        squares = (weight**2).sum(axis=1) + n_others * (1 + 1 / shape)
        mean_product = ((weight.sum(axis=1) + others) ** 2 - squares) / dyads
        mean_product = np.maximum(mean_product, 1 / dyads)
        logs = -np.log1p(-y / (u - parameters[0, block, 1, None]))
        for upper in (False, True):
            if upper:  # more images like each of the two with the largest leverage
                weight[:, most_pairs] += UNSEEN_IMAGES / 2
                weight[:, nearest] += UNSEEN_IMAGES / 2
            product = weight[:, i] * weight[:, j]
            total = product.sum(axis=1)
            probability = np.minimum(total / (mean_product * exceedances.pairs), 1)
            parameters[int(upper), block, 0] = probability
            parameters[int(upper), block, 2] = total / (product * logs).sum(axis=1)
            if not upper:
                endpoint, exponent = _fit_on_grid(y, u, exceedances.smallest, product)
                empirical = np.cumsum(product, axis=1)[:, counts - 1] / total[:, None]
                gaps[block] = empirical - exceedances.fitted_probabilities(
                    endpoint[:, None], exponent[:, None]
                )
    return Replicates(parameters, gaps)


def anderson_darling(gaps: Floats, probabilities: Floats) -> Floats:
    """Return the mean of ``gap² / (F (1 - F))`` over the last axis, for the probabilities F."""
    return np.asarray((gaps**2 / (probabilities * (1 - probabilities))).mean(axis=-1))


def _profile_likelihood(
    y: Floats, fit_threshold: float, endpoints: Floats, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return 1 / exponent, and the mean log-likelihood with it, for each endpoint.

    For a fixed endpoint e the best 1 / exponent is the mean of ``-log(1 - y / (u - e))``.
    The excesses y are (k,), endpoints (g,), weights (r, k); both results are (r, g), or (1, g)
    without weights.
    """
    relative = np.minimum(y / (fit_threshold - endpoints[:, None]), 1 - 1e-12)
    logs = -np.log1p(-relative)
    if weights is None:
        inverse = logs.mean(axis=1)[None]
    else:
        # Not a product of matrices, whose rounding depends on the number of threads.
        inverse = np.einsum("rk,gk->rg", weights, logs) / weights.sum(axis=1)[:, None]
    scale = inverse * (fit_threshold - endpoints)
    with np.errstate(divide="ignore"):
        likelihood = -np.log(scale) + inverse - 1
    likelihood[(inverse > 1 / MIN_EXPONENT) | (scale <= 0)] = -np.inf
    return inverse, likelihood


def _endpoint_grid(smallest: float) -> Floats:
    """Return endpoints from 0 to just below the smallest distance, (g,)."""
    return np.asarray(smallest)[..., None] * (np.arange(_ENDPOINTS) / _ENDPOINTS)


def _fit_on_grid(
    y: Floats, fit_threshold: float, smallest: float, weights: Floats
) -> tuple[Floats, Floats]:
    """Return the endpoint and exponent of each row of weights, (r,).

    They are those of the largest likelihood on a grid, refined by the parabola through the best
    point and its neighbours.
    """
    endpoints = _endpoint_grid(smallest)
    inverse, likelihood = _profile_likelihood(y, fit_threshold, endpoints, weights)
    endpoints = np.broadcast_to(endpoints, inverse.shape)
    best = likelihood.argmax(axis=1)
    row = np.arange(len(best))
    left, right = np.maximum(best - 1, 0), np.minimum(best + 1, _ENDPOINTS - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = likelihood[row, left], likelihood[row, best], likelihood[row, right]
        step = (a - c) / (2 * (a - 2 * b + c))
    step = np.where((left < best) & (best < right) & np.isfinite(step), step, 0.0)
    towards = np.where(step < 0, left, right)
    refined = []
    for values in (endpoints, inverse):
        at_best = values[row, best]
        refined.append(at_best + np.abs(step) * (values[row, towards] - at_best))
    return refined[0], 1 / np.maximum(refined[1], 1e-12)


def _sample_endpoints(
    exceedances: Exceedances, design_effect: float, number: int, rng: np.random.Generator
) -> Floats:
    """Return endpoints sampled from their adjusted likelihood times the penalty, (r,).

    The sample is stratified, and in random order.
    """
    smallest = exceedances.smallest
    middles = (np.arange(_ENDPOINTS) + 0.5) / _ENDPOINTS
    _, likelihood = _profile_likelihood(
        exceedances.excess, exceedances.fit_threshold, smallest * middles
    )
    # The power-adjusted likelihood, and a penalty for endpoints just below the smallest distance.
    effective = len(exceedances) / design_effect
    density = np.exp(effective * (likelihood[0] - likelihood[0].max())) * np.sqrt(1 - middles)
    cumulative = np.r_[0.0, np.cumsum(density) / density.sum()]
    strata = (np.argsort(rng.random(number), kind="stable") + rng.random(number)) / number
    return np.interp(strata, cumulative, smallest * np.arange(_ENDPOINTS + 1) / _ENDPOINTS)
