"""Distances between hashes, and limits on them that lose no match to rounding."""

from __future__ import annotations

import math
import numbers
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES, MAX_LENGTH, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.hashing.orientations import ORIENTATIONS, oriented

Metric = Literal["euclidean", "sqeuclidean", "manhattan", "hamming"]
# The unit of distances, as tables of results name it.
UNITS: dict[Metric, str] = {
    "euclidean": "L2",
    "sqeuclidean": "squared L2",
    "manhattan": "L1",
    "hamming": "Hamming",
}
Limit = float | int | str | Decimal | Fraction

# The L2 distance of 144 zeros from 144 times 255, by which `similarity` is scaled.
SIMILARITY_SCALE = 3060
MAX_DISTANCE_SQUARED = SIMILARITY_SCALE**2

# Differences of so many hashes are held at once.
_ROWS_AT_ONCE = 2**15


def distance(a: Any, b: Any, metric: Metric = "euclidean", *, orientations: bool = False) -> Any:
    """Return the distance of two hashes, or of one from many, or of many from as many.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,) or (..., 144), or HashTable
        Hashes, or any vectors of one length from 1 to 4096. Several are compared one by one, by
        NumPy's rules of broadcasting: one hash with n others, or n with n. `distance_matrix`
        compares n with m.
    metric : {"euclidean", "sqeuclidean", "manhattan", "hamming"}
        Root of the sum of squared differences, the sum itself, the sum of absolute differences,
        or, of vectors of bits (0 or 1), how many bits differ.
    orientations : bool
        Whether the smallest distance of all eight orientations of `a` counts, mirrored and rotated.
        Of hashes of 144 bytes alone.

    Returns
    -------
    float, or ndarray
        Of two hashes a float. Of more an array: float64 for "euclidean", int32 otherwise.
        Euclidean: 0 to 3060 in principle, or 255 times the root of another length; two hashes
        of 144 bytes that are not all zero are at most about 1448 apart, since their norms are
        about 1000 to 1021.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape, the numbers or lengths of hashes do not fit together,
        the metric is unknown, or "hamming" and a hash holds other values than 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.zeros(144, np.uint8)
    >>> b = a.copy()
    >>> b[:2] = 3, 4
    >>> distance(a, b), distance(a, b, "manhattan")
    (5.0, 7.0)
    >>> distance(a, np.stack([a, b, b]))
    array([0., 5., 5.])
    """
    checked_metric(metric)
    a, b = _hashes("a", a), _hashes("b", b)
    check_equal_lengths(a.shape[-1], b.shape[-1])
    if metric == "hamming":
        check_bits(a)
        check_bits(b)
    try:
        a, b = np.broadcast_arrays(a, b)
    except ValueError as error:
        raise ArgumentError(
            f"a, b: got shapes {a.shape} and {b.shape}, needs one hash and others, or as many of "
            "both; distance_matrix compares all of one with all of the other"
        ) from error
    if checked_orientations(orientations, a.shape[-1]):
        of_each = [distance(oriented(a, number), b, metric) for number in range(len(ORIENTATIONS))]
        return np.min(of_each, axis=0) if a.ndim > 1 else min(of_each)
    integers = np.empty(a.shape[:-1], np.int32)
    for start in range(0, len(integers) if integers.ndim else 1, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE) if integers.ndim else ...
        difference = a[rows].astype(np.int32) - b[rows]
        if metric == "manhattan":
            integers[rows] = np.abs(difference).sum(axis=-1)
        else:
            integers[rows] = np.einsum("...i,...i->...", difference, difference)
    distances = np.sqrt(integers) if metric == "euclidean" else integers
    return distances if distances.ndim else float(distances)


def _hashes(name: str, value: Any) -> NDArray[np.uint8]:
    """Return hashes, (..., length), from an array of that shape or from a HashTable."""
    value = getattr(value, "hashes", value)
    others = ["n"] * (getattr(value, "ndim", 1) - 1)
    hashes = checks.array(name, value, np.uint8, (*others, "length"))
    checked_length(name, hashes.shape[-1])
    return hashes


def checked_length(name: str, length: int) -> int:
    """Return a length of hashes, or raise `ArgumentError` if it is not from 1 to `MAX_LENGTH`."""
    return checks.integer(f"{name}: length of the hashes", length, 1, MAX_LENGTH)


def check_equal_lengths(a: int, b: int) -> None:
    """Raise `ArgumentError` if hashes have two lengths."""
    if a != b:
        raise ArgumentError(
            f"a, b: got hashes of {a} and of {b} values, needs one length; hashes of two kinds "
            "have no distance"
        )


def check_bits(hashes: NDArray[np.uint8]) -> None:
    """Raise `ArgumentError` if hashes are no vectors of bits."""
    if hashes.max(initial=0) > 1:
        raise ArgumentError(
            'metric: got "hamming" for hashes with values above 1, needs vectors of bits, 0 or 1; '
            "numpy.unpackbits(hashes, axis=-1) unpacks bytes of eight bits"
        )


def checked_metric(metric: Metric) -> Metric:
    """Return `metric`, or raise `ArgumentError` if it is not the name of one."""
    if not isinstance(metric, str) or metric not in get_args(Metric):
        raise ArgumentError(f"metric: got {metric!r}, needs one of {', '.join(get_args(Metric))}")
    return metric


def checked_orientations(orientations: Any, length: int) -> bool:
    """Return whether hashes of a length are compared in all orientations, if they have any."""
    if checks.boolean("orientations", orientations) and length != HASH_BYTES:
        raise ArgumentError(
            f"orientations: got True and hashes of {length} values, needs hashes of {HASH_BYTES}; "
            "of other hashes, hash the mirrored and rotated images"
        )
    return bool(orientations)


def similarity(a: Any, b: Any, *, orientations: bool = False) -> Any:
    """Return the similarity ``1 - L2 / 3060`` of two hashes, of one to many, or of many to as many.

    3060 is the largest distance of hashes of 144 bytes; of another length it is another one.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,) or (..., 144), or HashTable
        Hashes, as `distance` takes them.
    orientations : bool
        Whether the largest similarity of all eight orientations of `a` counts.

    Returns
    -------
    float, or ndarray of float64
        0 to 1, with 1 for equal hashes. Mind the scale: two unrelated photographs
        score about 0.70 and almost nothing scores below 0.53. Thresholds are
        easier to choose as distances. Of vectors of bits it says nothing: they are never
        far apart on the scale of bytes.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape, or the numbers of hashes do not fit together.
    """
    a = _hashes("a", a)
    squared = distance(a, b, "sqeuclidean", orientations=orientations)
    similarities = similarities_at(squared, a.shape[-1])
    return similarities if similarities.ndim else float(similarities)


def similarities_at(distances_squared: ArrayLike, length: int = HASH_BYTES) -> NDArray[np.float64]:
    """Return the similarities, 0 to 1, of hashes of a length at those squared L2 distances."""
    scale = math.sqrt(largest_distance("sqeuclidean", length))
    return np.asarray(np.maximum(0, 1 - np.sqrt(distances_squared) / scale))


def similarity_at(distance_squared: int) -> float:
    """Return the similarity, 0 to 1, of two hashes at that squared L2 distance."""
    return float(similarities_at(distance_squared))


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


def largest_distance(metric: Metric, length: int) -> int:
    """Return the largest squared L2, L1 or Hamming distance of hashes of a length."""
    return length * {"manhattan": 255, "hamming": 1}.get(metric, 255**2)


def max_integer_distance(
    name: str, max_distance: Limit, metric: Metric, length: int = HASH_BYTES
) -> int:
    """Return the largest squared L2, L1 or Hamming distance within a limit in the metric's units.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    max_distance : float, int, str, Decimal or Fraction
        The limit, as in `max_distance_squared`.
    metric : {"euclidean", "sqeuclidean", "manhattan", "hamming"}
        Metric of the limit's units.
    length : int
        Number of values of a hash.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        The limit is not a number, or below 0.
    """
    most = _exact(name, max_distance, "0 up")
    if most < 0:
        raise _out_of_range(name, max_distance, "0 up")
    largest = largest_distance(metric, length)
    return min(largest, math.floor(most**2 if metric == "euclidean" else most))


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
        return Fraction(2**32) * (1 if number > 0 else -1)
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


def float_limit(name: str, max_distance: Limit) -> float:
    """Return a limit as a float, if it is not beyond all distances."""
    return float(min(_exact(name, max_distance, "0 up"), Fraction(MAX_DISTANCE_SQUARED)))
