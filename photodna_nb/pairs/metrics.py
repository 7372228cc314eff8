"""Distances between hashes, and limits on them that lose no match to rounding."""

from __future__ import annotations

import math
import numbers
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError

Metric = Literal["euclidean", "sqeuclidean", "manhattan"]
Limit = float | int | str | Decimal | Fraction

# The L2 distance of 144 zeros from 144 times 255, by which `similarity` is scaled.
SIMILARITY_SCALE = 3060
MAX_DISTANCE_SQUARED = SIMILARITY_SCALE**2
MAX_DISTANCE_MANHATTAN = HASH_BYTES * 255


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8], metric: Metric = "euclidean") -> float:
    """Return the distance of two hashes.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,)
        Hashes.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        Root of the sum of squared differences, the sum itself, or the sum of
        absolute differences.

    Returns
    -------
    float
        Euclidean: 0 to 3060 in principle; two hashes that are not all zero are
        at most about 1448 apart, since their norms are about 1000 to 1021.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape, or the metric is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.zeros(144, np.uint8)
    >>> b = a.copy()
    >>> b[:2] = 3, 4
    >>> distance(a, b), distance(a, b, "manhattan")
    (5.0, 7.0)
    """
    checked_metric(metric)
    a = checks.array("a", a, np.uint8, (HASH_BYTES,))
    b = checks.array("b", b, np.uint8, (HASH_BYTES,))
    difference = a.astype(np.int64) - b
    if metric == "manhattan":
        return float(np.abs(difference).sum())
    squared = int((difference * difference).sum())
    return math.sqrt(squared) if metric == "euclidean" else float(squared)


def checked_metric(metric: Metric) -> Metric:
    """Return `metric`, or raise `ArgumentError` if it is not the name of one."""
    if not isinstance(metric, str) or metric not in get_args(Metric):
        raise ArgumentError(f"metric: got {metric!r}, needs one of {', '.join(get_args(Metric))}")
    return metric


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the similarity ``1 - L2 / 3060`` of two hashes.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,)
        Hashes.

    Returns
    -------
    float
        0 to 1, with 1 for equal hashes. Mind the scale: two unrelated photographs
        score about 0.70 and almost nothing scores below 0.53. Thresholds are
        easier to choose as distances.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape.
    """
    return similarity_at(int(distance(a, b, "sqeuclidean")))


def similarity_at(distance_squared: int) -> float:
    """Return the similarity, 0 to 1, of two hashes at that squared L2 distance."""
    return max(0.0, 1.0 - math.sqrt(distance_squared) / SIMILARITY_SCALE)


def max_distance_squared(
    min_similarity: Limit | None = None, max_distance: Limit | None = None
) -> int:
    """Return the largest squared L2 distance within both limits, as an exact integer.

    Parameters
    ----------
    min_similarity : float, int, str, Decimal or Fraction, optional
        0 to 1, inclusive. A float stands for the decimal number that it prints as:
        0.9 is nine tenths, and not the nearest binary number.
    max_distance : float, int, str, Decimal or Fraction, optional
        L2 distance, at least 0, inclusive; infinity is no limit.

    Returns
    -------
    int
        0 to 9363600. Squared distances are integers: ``distance_squared <= limit``
        holds for a match that lies exactly on the limit.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A limit is not a number, or out of its range.

    Examples
    --------
    >>> max_distance_squared(min_similarity=0.9)
    93636
    >>> max_distance_squared(max_distance=8)
    64
    """
    limit = MAX_DISTANCE_SQUARED
    if min_similarity is not None:
        least = _exact("min_similarity", min_similarity, "0 to 1")
        if not 0 <= least <= 1:
            raise _out_of_range("min_similarity", min_similarity, "0 to 1")
        limit = math.floor((SIMILARITY_SCALE * (1 - least)) ** 2)
    if max_distance is not None:
        limit = min(limit, max_integer_distance("max_distance", max_distance, "euclidean"))
    return limit


def max_integer_distance(name: str, max_distance: Limit, metric: Metric) -> int:
    """Return the largest squared L2 or L1 distance within a limit in the metric's units.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    max_distance : float, int, str, Decimal or Fraction
        The limit, as in `max_distance_squared`.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        Metric of the limit's units.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        The limit is not a number, or below 0.
    """
    most = _exact(name, max_distance, "0 up")
    if most < 0:
        raise _out_of_range(name, max_distance, "0 up")
    if metric == "manhattan":
        return min(MAX_DISTANCE_MANHATTAN, math.floor(most))
    return min(MAX_DISTANCE_SQUARED, math.floor(most**2 if metric == "euclidean" else most))


def _exact(name: str, value: Limit, span: str) -> Fraction:
    """Return the number that `value` prints as; infinity is a number above all distances."""
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, numbers.Number | str):
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs a number")
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError) as error:  # ValueError: too many digits to print
        raise _out_of_range(name, value, span) from error
    if number.is_infinite():
        return Fraction(MAX_DISTANCE_SQUARED) * (1 if number > 0 else -1)
    # A fraction of a number with a huge exponent takes very long to compute.
    if number.is_nan() or abs(number.adjusted()) > 999 or len(number.as_tuple().digits) > 999:
        raise _out_of_range(name, value, span)
    return Fraction(number)


def _out_of_range(name: str, value: Limit, span: str) -> ArgumentError:
    try:
        text = str(value)[:40]
    except ValueError:
        text = "a number of thousands of digits"
    return ArgumentError(f"{name}: got {text}, needs a number from {span}")
