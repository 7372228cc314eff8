"""The gamma interval of a rate over dependent pairs."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from photodna_nb.evaluation.dependence import DyadicDependence, Floats, Integers

# Number of images with the largest leverage that a corpus may lack by chance: see `gamma_interval`.
UNSEEN_IMAGES = 4


def gamma_interval(
    matches: Integers, pairs: int, images: int, dependence: DyadicDependence, half_alpha: float
) -> tuple[Floats, Floats]:
    """Return the gamma interval of a rate over dependent pairs, at each threshold.

    Parameters
    ----------
    matches : ndarray of int64, (t,)
        Number of pairs that match.
    pairs, images : int
        Number of pairs, and of images.
    dependence : DyadicDependence
        Dependence of the same pairs, or of a sample of them, at the same thresholds.
    half_alpha : float
        Probability with which each limit is missed.

    Notes
    -----
    Let p be the rate and v its variance, at least that of independent pairs, p (1 - p) / pairs,
    and multiplied by the square of the ratio of Student's t, with the degrees of freedom of
    `dependence`, to the normal quantile. The rate is treated as a weighted sum of Poisson counts.
    The lower limit is the quantile alpha / 2 of a gamma distribution with mean p and variance v;
    the upper limit is the quantile 1 - alpha / 2 for the mean p + 4 w and the variance v + 4 w²,
    where w is what one more image with the largest leverage would add, at least one pair. Fay and
    Feuer add one event of the largest weight; with equal weights that is Garwood's exact interval.
    A corpus may lack more than one: the leverages of photographs have a heavy tail, of an index
    (Hill) near 1.9, for which docs/statistics.md derives four. Above a rate of a half, the
    interval is that of the pairs that do not match.

    What comes from a sample is taken relative to the sample's own rate.

    References
    ----------
    Fay, Feuer, "Confidence intervals for directly standardized rates: a method based on
    the gamma distribution", Statistics in Medicine 16, 1997, section 2.
    Garwood, "Fiducial Limits for the Poisson Distribution", Biometrika 28, 1936. Hill, "A Simple
    General Approach to Inference About the Tail of a Distribution", Annals of Statistics 3, 1975.
    """
    rate, sample_rate = matches / pairs, dependence.rate
    independent, sample_independent = rate * (1 - rate), sample_rate * (1 - sample_rate)
    scale = np.divide(
        independent, sample_independent, out=np.zeros_like(rate), where=sample_independent > 0
    )
    variance = np.maximum(dependence.variance(images) * scale, independent / pairs)
    t_quantile = stats.t.ppf(1 - half_alpha, dependence.degrees_of_freedom)
    variance *= (t_quantile / stats.norm.ppf(1 - half_alpha)) ** 2
    common = rate > 0.5
    event = np.where(common, 1 - rate, rate)
    sample_event = np.where(common, 1 - sample_rate, sample_rate)
    leverage = np.where(
        common, dependence.largest_leverage_below, dependence.largest_leverage_above
    )
    leverage = np.divide(
        leverage * event, sample_event, out=np.zeros_like(rate), where=sample_event > 0
    )
    weight = np.maximum(leverage * 2 / images, 1 / pairs)

    known = (event > 0) & (variance > 0)
    mean, variance = np.where(known, event, 1.0), np.where(known, variance, 1.0)
    low = variance / mean * special.gammaincinv(mean**2 / variance, half_alpha)
    mean += UNSEEN_IMAGES * weight
    variance += UNSEEN_IMAGES * weight**2
    high = np.minimum(variance / mean * special.gammainccinv(mean**2 / variance, half_alpha), 1.0)
    lower, upper = np.where(common, 1 - high, low), np.where(common, 1 - low, high)
    return np.where(known, lower, 0.0), np.where(known, upper, 1.0)
