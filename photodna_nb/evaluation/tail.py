"""False match rates below what can be counted: the lower tail of the impostor distances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation import intervals
from photodna_nb.evaluation.intervals import COUNTED, Floats, ImpostorPairs, json_number

# The model holds in the limit; with more of the distances it is biased, with fewer noisy.
_SHARE = 0.003
_MOST_EXCEEDANCES = 5000
_LEAST_EXCEEDANCES = 50
_LEAST_EFFECTIVE = 10
# Of the end of the distribution, in each search for the best one.
_GRID = 64
# Of the distribution, where the test of the fit looks.
_POINTS = 31
_LEAST_P_VALUE = 0.1
_TOO_CLOSE = 0.01
# The likelihood is regular from here on.
_LEAST_POWER = 2
# Of the originals in the ten closest pairs.
_LEAST_ORIGINALS = 11
# So many times further out, by tests/benchmarks/tail.py.
_TESTED = 100
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class TailRates:
    """What the tail says at some thresholds; arrays are (t,).

    Attributes
    ----------
    threshold : ndarray of float64
        L2.
    rate, lower, upper : ndarray of float64
        False match rate and its interval; NaN where the tail is not trusted, and above
        its start.
    extrapolated : ndarray of bool
        Where fewer than ten pairs of originals match.
    below_smallest_distance : ndarray of bool
        Below the smallest distance of all: no pair was counted.
    beyond_validation : ndarray of bool
        Where the rate is less than `Tail.validated_down_to`.
    """

    threshold: Floats
    rate: Floats
    lower: Floats
    upper: Floats
    extrapolated: NDArray[np.bool_]
    below_smallest_distance: NDArray[np.bool_]
    beyond_validation: NDArray[np.bool_]


class ReliableRate(NamedTuple):
    """What the tail tells of one threshold.

    rate : float or None
        None where that is lower than such tails were compared with counts.
    lower, upper : float
        Interval; where `rate` is None, 0 and the larger of the fit's upper end and
        `Tail.validated_down_to`.
    beyond_validation : bool
        Whether it is.
    """

    rate: float | None
    lower: float
    upper: float
    beyond_validation: bool


@dataclass(frozen=True, eq=False)
class Tail:
    """A generalised Pareto distribution of the distances below a start.

    ``P(L2 <= t) = share * ((t - end) / (start - end)) ** power`` for t from `end` to
    `start`, which is the generalised Pareto distribution of ``start - L2`` with the shape
    ``-1 / power`` and the scale ``(start - end) / power``.

    Attributes
    ----------
    images, pairs : int
        Originals, and impostor pairs.
    fit_threshold : float
        The largest distance that was fitted.
    exceedances : int
        Pairs of at most `start`.
    effective_exceedances : float
        So many independent ones would say as much.
    share : float
        ``exceedances / pairs``.
    endpoint, exponent : float
        Of the largest likelihood. NaN if there was nothing to fit.
    smallest_distance : float
        The smallest distance of all; NaN if there are none.
    threshold_at_ten_matches : int or None
        The smallest integer threshold at which ten pairs of originals match.
    rate_at_ten_matches : float
        The share of all pairs that match there, or as far as pairs are listed.
    statistic, p_value : float
        Anderson and Darling's mean square between the model and what was counted,
        and how often resampled images lie as far off.
    accepted : bool
        Whether the model describes what was counted.
    rejection_reason : str
        Why not; empty if it does.
    confidence : float
        Of the intervals.
    draws : ndarray of float64, (2, r, 3)
        Share, end and power of resampled images, for the lower and for the upper ends.
    """

    images: int
    pairs: int
    fit_threshold: float
    exceedances: int
    effective_exceedances: float
    share: float
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
    draws: Floats

    @property
    def shape(self) -> float:
        """The shape (xi) of the generalised Pareto distribution, negative."""
        return -1 / self.exponent

    @property
    def scale(self) -> float:
        """The scale (sigma) of the generalised Pareto distribution, in units of L2."""
        return (self.fit_threshold - self.endpoint) / self.exponent

    @property
    def validated_down_to(self) -> float:
        """The rate down to which such tails were compared with counts.

        A hundredth of `rate_at_ten_matches`; what is said of lower rates is not known to be right.
        """
        return self.rate_at_ten_matches / _TESTED

    def rate(self, threshold: ArrayLike) -> TailRates:
        """Return the false match rate at thresholds, whole or not, with its interval.

        Parameters
        ----------
        threshold : array_like
            L2. From `start` on there is nothing but NaN: such pairs can be counted.

        Returns
        -------
        TailRates
            With arrays, (1,) for a single threshold.
        """
        t = np.atleast_1d(np.asarray(threshold, float))
        return self._rates(t, self.accepted & (t <= self.fit_threshold))

    def reliable_rate(self, threshold: int) -> ReliableRate | None:
        """Return what can be relied on of the false match rate at a threshold.

        None if the tail is not trusted, or the threshold lies above its start.
        """
        if not self.accepted or threshold > self.fit_threshold:
            return None
        said = self.rate(threshold)
        rate, lower, upper = float(said.rate[0]), float(said.lower[0]), float(said.upper[0])
        if said.beyond_validation[0]:
            return ReliableRate(None, 0.0, max(upper, self.validated_down_to), True)
        return ReliableRate(rate, lower, upper, False)

    def largest_threshold(self, target: float, conservative: bool = False) -> int | None:
        """Return the largest integer threshold whose rate is at most `target`.

        Parameters
        ----------
        target : float
            A false match rate.
        conservative : bool
            Whether the upper end of the interval is to be at most `target`, and not only
            the rate itself.

        Returns
        -------
        int or None
            None if the tail is not trusted or `target` lies above all of it.
        """
        thresholds = np.arange(math.floor(self.fit_threshold) + 1)
        found = self.rate(thresholds)
        kept = np.flatnonzero((found.upper if conservative else found.rate) <= target)
        if not self.accepted or len(kept) == len(thresholds) or not len(kept):
            return None
        return int(kept[-1])

    def as_json(self) -> dict[str, Any]:
        """Return all but the draws as a dictionary that JSON takes."""
        values = {name: json_number(value) for name, value in vars(self).items() if name != "draws"}
        fitted = math.isfinite(self.exponent)
        shape, scale = (self.shape, self.scale) if fitted else (math.nan, math.nan)
        return {
            **values,
            "shape": json_number(shape),
            "scale": json_number(scale),
            "validated_down_to": json_number(self.validated_down_to),
        }

    def _rates(self, t: Floats, known: NDArray[np.bool_]) -> TailRates:
        miss = (1 - self.confidence) / 2
        drawn = [_power_law(t, self.fit_threshold, *draws.T[:, :, None]) for draws in self.draws]
        lower, point = np.quantile(drawn[0], [miss, 0.5], axis=0)
        upper = np.maximum(np.quantile(drawn[1], 1 - miss, axis=0), point)
        counted = (
            math.inf if self.threshold_at_ten_matches is None else self.threshold_at_ten_matches
        )
        point, lower, upper = (np.where(known, value, np.nan) for value in (point, lower, upper))
        return TailRates(
            t,
            point,
            lower,
            upper,
            t < counted,
            ~(t >= self.smallest_distance),
            known & (point < self.validated_down_to),
        )


def fit_tail(
    near: ImpostorPairs,
    images: int,
    pairs: int,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 400,
) -> Tail:
    """Return the lower tail of the impostor distances, fitted by a generalised Pareto.

    Parameters
    ----------
    near : ImpostorPairs
        All impostor pairs up to their cutoff. The closest 0.3 % of all pairs, or 5,000,
        are fitted: it should hold so many.
    images, pairs : int
        Originals, and impostor pairs, near and far.
    confidence : float
        Between 0 and 1.
    seed : int
        Of the resampling.
    replicates : int
        How many times images are drawn, at least 100.

    Returns
    -------
    Tail
        Look at `accepted` first: with too few pairs, or where the model does not describe
        them, it is False, there is a reason, and rates are NaN.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As `dyadic_dependence`; or `replicates` is too small.

    Notes
    -----
    `end` and `power` have the largest likelihood. The end is at least 0, as distances are,
    and less than the smallest of them; for each end the power has a closed form. It is at
    least 2 (a shape of at least -1/2), where the likelihood is regular.

    The largest likelihood puts the end too near to the smallest distance when there are
    few, and the rates below it too low. So rates come from draws: their median, and their
    quantiles as the interval. In each draw the end follows its likelihood times
    ``sqrt(1 - end / closest)``, the likelihood taken to the power that undoes how much
    shared images enlarge the variance of its score; share and power are those of
    resampled images. Each image gets a random weight, gamma distributed with mean
    1, and a pair the product of its two. The variance of the weights is such that the
    number of pairs below the start varies as `false_match_rates` says it does: drawing
    images with replacement makes it vary up to three times as much. As there, it is
    enlarged by Student's t, and for the upper ends two images are added: one more like
    that with the most pairs, and one more like that with the nearest ones.

    Fitted on random tenths of dead leaves, 5,000 and 12,000 originals, intervals of 95 %
    held what the whole counts, ten and a hundred times further out than ten pairs in the
    tenth, in 94 to 100 % of the splits of each corpus: ``tests/benchmarks/tail.py``.

    The fit is doubted if less than 10 % of the resampled images lie as far from their own
    fits, by Anderson and Darling's measure and after taking off what lay between counts
    and fit before, as the counts lie from the fit: as the weights vary rather too much,
    the test errs on the side of the fit. It is also doubted if the closest pair is closer
    than the model lets expect (a chance below 1 %), if the intervals of the model and of
    the counts themselves do not overlap, or if the ten closest pairs are among ten
    originals or fewer. With fewer than 50 pairs, or fewer than 10 independent ones' worth,
    there is no fit. What no part of the corpus shows cannot be noticed: where a handful of
    pictures in thousands are near each other and unlike all others, the interval may miss.

    References
    ----------
    Pickands, "Statistical Inference Using Extreme Order Statistics", Annals of Statistics
    3, 1975. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001,
    chapter 4. Coles, Dixon, "Likelihood-Based Inference for Extreme Value Models",
    Extremes 2, 1999. Kojadinovic, Yan, "Goodness-of-fit testing based on a weighted bootstrap",
    Canadian Journal of Statistics 40, 2012.
    """
    miss = (1 - intervals.checked_confidence(confidence)) / 2
    if replicates < 100:
        raise ArgumentError(f"replicates: got {replicates}, needs at least 100")
    if pairs < 1:
        raise ArgumentError(f"pairs: got {pairs}, needs at least 1")
    sorted_near = intervals.sorted_dyads(near, images)
    listed = np.cumsum(np.bincount(sorted_near.cell, minlength=near.cutoff + 1))
    enough = np.flatnonzero(sorted_near.image_pairs() >= COUNTED)
    threshold_at_ten_matches = int(enough[0]) if len(enough) else None
    seen = len(listed) if threshold_at_ten_matches is None else threshold_at_ten_matches + 1
    rate_at_ten_matches = float(listed[:seen].max(initial=0)) / pairs

    inside = np.asarray(near.distance) <= near.cutoff
    distance = np.asarray(near.distance, float)[inside]
    wanted = int(min(_SHARE * pairs, _MOST_EXCEEDANCES, len(distance)))
    closest = float(distance.min()) if len(distance) else math.nan
    start = float(np.partition(distance, wanted - 1)[wanted - 1]) if wanted else 0.0
    taken = np.flatnonzero(distance <= start)
    i, j = (np.asarray(part)[inside][taken].astype(np.int64) for part in (near.i, near.j))
    i, j = np.minimum(i, j), np.maximum(i, j)
    # In one order, whatever order they came in: sums of floats depend on it.
    order = np.lexsort((j, i, distance[taken]))
    taken, i, j = taken[order], i[order], j[order]
    y = start - distance[taken]
    count = len(taken)

    def nothing(effective: float, reason: str) -> Tail:
        missing = np.full((2, 1, 3), np.nan)
        return Tail(
            images=images,
            pairs=pairs,
            fit_threshold=start,
            exceedances=count,
            effective_exceedances=effective,
            share=count / pairs,
            endpoint=math.nan,
            exponent=math.nan,
            smallest_distance=closest,
            threshold_at_ten_matches=threshold_at_ten_matches,
            rate_at_ten_matches=rate_at_ten_matches,
            statistic=math.nan,
            p_value=math.nan,
            accepted=False,
            rejection_reason=reason,
            confidence=confidence,
            draws=missing,
        )

    if count < _LEAST_EXCEEDANCES or images < 4:
        return nothing(
            math.nan,
            f"{count} pair{'s are' if count != 1 else ' is'} close enough to be fitted, "
            f"{_LEAST_EXCEEDANCES} are needed: take more originals",
        )
    if closest >= start:
        return nothing(math.nan, "the closest pairs are all equally far apart")
    if closest <= 0:
        return nothing(math.nan, "two originals have the same hash: look at the closest pairs")
    single, shared, freedom = _spread(i, j, images)
    effective = count**2 / (single + shared)
    if effective < _LEAST_EFFECTIVE:
        return nothing(
            effective,
            f"the {count} closest pairs share so few images that they say as much as "
            f"{effective:.1f} independent ones, {_LEAST_EFFECTIVE} are needed: take more originals",
        )

    end, power = _best(y, start)
    if not power >= _LEAST_POWER:
        return nothing(effective, "the distances do not thin out: look at the closest pairs")
    widen = (stats.t.ppf(1 - miss, freedom) / stats.norm.ppf(1 - miss)) ** 2
    shape = _concentration(single, shared) / widen
    scored = count / _end_effect(i, j, start - y, start, end, power)
    draws, gaps = _resampled(i, j, y, start, images, pairs, shape, scored, seed, replicates)
    cuts = _cuts(count)
    below = cuts / count
    gap = below - _power_law(start - y[cuts - 1], start, 1.0, end, power)
    statistic = float(_squared(gap, below))
    p_value = float((1 + (_squared(gaps - gap, below) >= statistic).sum()) / (replicates + 1))
    tail = replace(
        nothing(effective, ""),
        endpoint=end,
        exponent=power,
        statistic=statistic,
        p_value=p_value,
        accepted=True,
        draws=draws,
    )
    reason = _doubt(tail, sorted_near, listed, miss) or _doubt_of_few(i, j)
    return replace(tail, accepted=not reason, rejection_reason=reason)


def _cuts(count: int) -> NDArray[np.int64]:
    """Return how many of the closest pairs lie below each point of the test, (p,).

    From ten to nearly all, equally far apart by their logarithms.
    """
    return np.geomspace(COUNTED, count * (1 - 1 / _POINTS), _POINTS).astype(np.int64)


def _power_law(t: Any, start: float, share: Any, end: Any, power: Any) -> Any:
    return share * np.clip((t - end) / (start - end), 0, None) ** power


def _spread(i: Any, j: Any, images: int) -> tuple[float, float, float]:
    """Return the variance of the number of pairs, its share from shared images, and freedom."""
    matches = len(i)
    near = intervals.sorted_dyads(ImpostorPairs(i, j, np.zeros(matches), 0), images)
    # As many pairs as there can be: only the number of matches counts here, not their rate.
    found = intervals.dependence_of_dyads(near, images, images * (images - 1) // 2)
    dyads = images * (images - 1) / 2
    single = max(float(found.zeta2[0]) * dyads, matches * (1 - matches / dyads), 1.0)
    shared = 4 * (images - 2) * float(found.zeta1[0]) * dyads / 2
    return single, shared, float(found.degrees_of_freedom[0])


def _concentration(single: float, shared: float) -> float:
    """Return the shape of gamma weights with which the weighted sum has the right variance.

    A weight's variance is v = 1 / shape, that of a product of two is 2 v + v², and two
    products with one factor in common have the covariance v.
    """
    # (shared + 2 single) v + single v² = shared + single
    linear = shared + 2 * single
    v = 2 * (shared + single) / (linear + math.sqrt(linear**2 + 4 * single * (shared + single)))
    return 1 / v


def _profile(
    y: Floats, start: float, ends: Floats, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return 1 / power, and the likelihood, for each end.

    y is (k,) or (r, k), ends are (g,) or (r, g), weights (r, k); what comes back is (r, g).
    """
    rows = 1 if weights is None else len(weights)
    rows = max(rows, 1 if y.ndim == 1 else len(y))
    inverse = np.empty((rows, ends.shape[-1]))
    for g in range(ends.shape[-1]):
        end = ends[..., g, None]
        # Of the one row of y there is, or of each row.
        logs = -np.log1p(-np.minimum(y / (start - end), 1 - 1e-12))
        if weights is None:
            inverse[:, g] = logs.mean(axis=-1)
        else:
            inverse[:, g] = (weights * logs).sum(axis=-1) / weights.sum(axis=-1)
    scale = inverse * (start - ends)
    with np.errstate(divide="ignore"):
        likelihood = -np.log(scale) + inverse - 1
    likelihood[(inverse > 1 / _LEAST_POWER) | (scale <= 0)] = -np.inf
    return inverse, likelihood


def _ends(closest: Any) -> Any:
    """Return a grid of ends, (…, g), from 0 to just below the closest distance."""
    return np.asarray(closest)[..., None] * (np.arange(_GRID) / _GRID)


def _grid_best(
    y: Floats, start: float, closest: Any, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return the best end and its power, (r,): of a grid, and of the parabola at its best."""
    ends = _ends(closest)
    inverse, likelihood = _profile(y, start, ends, weights)
    ends = np.broadcast_to(ends, inverse.shape)
    best = likelihood.argmax(axis=1)
    row = np.arange(len(best))
    left, right = np.maximum(best - 1, 0), np.minimum(best + 1, _GRID - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = likelihood[row, left], likelihood[row, best], likelihood[row, right]
        move = (a - c) / (2 * (a - 2 * b + c))
    move = np.where((left < best) & (best < right) & np.isfinite(move), move, 0.0)
    side = np.where(move < 0, left, right)
    end = ends[row, best] + np.abs(move) * (ends[row, side] - ends[row, best])
    flat = inverse[row, best] + np.abs(move) * (inverse[row, side] - inverse[row, best])
    return end, 1 / np.maximum(flat, 1e-12)


def _best(y: Floats, start: float) -> tuple[float, float]:
    """Return the end and the power of the largest likelihood."""
    closest = start - float(y.max())
    ends = _ends(closest)
    _, likelihood = _profile(y, start, ends)
    k = int(likelihood[0].argmax())
    bounds = ends[max(k - 1, 0)], ends[min(k + 1, _GRID - 1)]

    def loss(end: float) -> float:
        value = float(_profile(y, start, np.array([end]))[1][0, 0])
        return -value if math.isfinite(value) else 1e300

    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    end = min((float(found.x), *map(float, bounds)), key=loss)
    return end, 1 / float(_profile(y, start, np.array([end]))[0][0, 0])


def _end_effect(i: Any, j: Any, distance: Floats, start: float, end: float, power: float) -> float:
    """Return how many pairs say as little of the end as an independent one, 1 or more.

    That is how much the variance of the score grows through shared images, for the end
    where the power is fitted to it.
    """
    of_power = 1 / power + np.log((distance - end) / (start - end))
    of_end = power / (start - end) - (power - 1) / (distance - end)
    score = of_end - of_power * (of_end * of_power).sum() / (of_power**2).sum()
    score -= score.mean()
    _, rows = np.unique(np.r_[i, j], return_inverse=True)
    each = np.bincount(rows, np.r_[score, score])
    alone = (score**2).sum()
    return max(float(((each**2).sum() - alone) / alone), 1.0) if alone > 0 else 1.0


def _likely_ends(
    y: Floats, start: float, effective: float, number: int, rng: np.random.Generator
) -> Floats:
    """Return ends drawn by their likelihood, in random order, (r,)."""
    closest = start - float(y.max())
    between = (np.arange(_GRID) + 0.5) / _GRID
    _, likelihood = _profile(y, start, closest * between)
    # Of so many independent pairs; that the end lies just above the closest is no evidence.
    weight = np.exp(effective * (likelihood[0] - likelihood[0].max())) * np.sqrt(1 - between)
    below = np.r_[0.0, np.cumsum(weight) / weight.sum()]
    at = (np.argsort(rng.random(number), kind="stable") + rng.random(number)) / number
    return np.interp(at, below, closest * np.arange(_GRID + 1) / _GRID)


def _resampled(
    i: Any,
    j: Any,
    y: Floats,
    start: float,
    images: int,
    pairs: int,
    shape: float,
    effective: float,
    seed: int,
    replicates: int,
) -> tuple[Floats, Floats]:
    """Return share, end and power of images with random weights, (2, r, 3).

    And between what they count at the points of the test and their own best fits, (r, p).
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    named, rows = np.unique(np.r_[i, j], return_inverse=True)
    i, j = rows[: len(i)], rows[len(i) :]
    rest = images - len(named)
    most = np.bincount(rows).argmax()
    nearest = (np.bincount(i, y, len(named)) + np.bincount(j, y, len(named))).argmax()
    closest = start - y.max()
    draws = np.empty((2, replicates, 3))
    draws[:, :, 1] = _likely_ends(y, start, effective, replicates, rng)
    gaps = np.empty((replicates, _POINTS))
    cuts = _cuts(len(y))
    step = max(_BLOCK // len(y), 1)
    for first in range(0, replicates, step):
        block = slice(first, min(first + step, replicates))
        size = block.stop - block.start
        weight = rng.standard_gamma(shape, (size, len(named))) / shape
        others = rng.standard_gamma(shape * rest, size) / shape if rest else np.zeros(size)
        squares = (weight**2).sum(axis=1) + rest * (1 + 1 / shape)
        whole = ((weight.sum(axis=1) + others) ** 2 - squares) / (images * (images - 1))
        whole = np.maximum(whole, 1 / (images * (images - 1)))
        logs = -np.log1p(-y / (start - draws[0, block, 1, None]))
        for kind in range(2):
            if kind:
                weight[:, most] += 1
                weight[:, nearest] += 1
            product = weight[:, i] * weight[:, j]
            total = product.sum(axis=1)
            draws[kind, block, 0] = np.minimum(total / (whole * pairs), 1)
            draws[kind, block, 2] = total / (product * logs).sum(axis=1)
            if not kind:
                end, power = _grid_best(y, start, closest, product)
                model = _power_law(start - y[cuts - 1], start, 1.0, end[:, None], power[:, None])
                gaps[block] = np.cumsum(product, axis=1)[:, cuts - 1] / total[:, None] - model
    return draws, gaps


def _squared(gaps: Floats, share: Floats) -> Floats:
    """Return Anderson and Darling's mean square of gaps at those shares, (…,)."""
    return np.asarray((gaps**2 / (share * (1 - share))).mean(axis=-1))


def _doubt_of_few(i: Any, j: Any) -> str:
    """Return why the closest of the pairs are not like the others, or nothing."""
    first = np.sort(np.unique(i * (j.max() + 1) + j, return_index=True)[1])[:COUNTED]
    originals = len(np.unique([i[first], j[first]]))
    if originals >= _LEAST_ORIGINALS:
        return ""
    return (
        f"the {len(first)} closest pairs are among {originals} originals, which are unlike the "
        "others: look at them"
    )


def _doubt(tail: Tail, near: Any, listed: NDArray[Any], miss: float) -> str:
    """Return why the tail does not describe what was counted, or nothing."""
    closest = tail._rates(np.array([tail.smallest_distance]), np.array([True])).upper[0]
    chance = -math.expm1(-tail.pairs * closest)
    if chance < _TOO_CLOSE:
        return (
            f"the closest pair, at {tail.smallest_distance:.1f}, is closer than the others let "
            f"expect (a chance of {chance:.2g}): look whether it shows the same thing twice"
        )
    measured = intervals.dependence_of_dyads(near, tail.images, tail.pairs)
    low, high = intervals.gamma_interval(listed, tail.pairs, tail.images, measured, miss)
    for count in (10, 20, 50, 100, 200, 500, 1000):
        t = int(np.searchsorted(listed, count))
        if t > tail.fit_threshold:
            break
        model = tail._rates(np.array([float(t)]), np.array([True]))
        if model.lower[0] > high[t] or model.upper[0] < low[t]:
            return (
                f"at the threshold {t} the model gives a rate of {model.rate[0]:.2g}, and "
                f"{int(listed[t])} pairs, {listed[t] / tail.pairs:.2g}, were counted: "
                "look at the closest pairs"
            )
    if tail.p_value < _LEAST_P_VALUE:
        return (
            "the closest distances do not follow a generalised Pareto distribution "
            f"(Anderson-Darling p = {tail.p_value:.2g})"
        )
    return ""
