"""Checks of arguments, with one form of message: ``name: got X, needs Y; remedy``.

Each function returns the value as plain Python or NumPy has it. An argument of the wrong
type is an `ArgumentTypeError`, one of the right type with a wrong value an `ArgumentError`.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import systems
from photodna_nb.errors import ArgumentError, ArgumentTypeError

# As kernels.hashing has it, for modules that need no kernel: that imports Numba.
HASH_BYTES = 144
# The most values of a hash of another kind: docs/search.md derives what it has to keep below.
MAX_LENGTH = 4096
# Grey levels. Hashes of images with less detail are near each other whatever these show.
LOW_DETAIL = 100.0

# From here on a number is too long to stand in a message.
_LONG = 10**18


def integer(
    name: str, value: Any, least: int | None = None, most: int | None = None, remedy: str = ""
) -> int:
    """Return `value` as an int, if it is an integer from `least` to `most`.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        A Python or NumPy integer. A bool is refused: it is nearly always a mistake.
    least, most : int, optional
        Bounds, both inclusive; None for no bound.
    remedy : str, optional
        What to do, for the end of the message.

    Raises
    ------
    ArgumentTypeError
        `value` is no integer.
    ArgumentError
        It lies outside the bounds.
    """
    needed = _needed("an integer", least, most)
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ArgumentTypeError(message(name, describe(value), needed, remedy))
    number = int(value)
    if (least is not None and number < least) or (most is not None and number > most):
        raise ArgumentError(message(name, _number_text(number), needed, remedy))
    return number


def real(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    remedy: str = "",
) -> float:
    """Return `value` as a float, if it is a finite number within the bounds.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        A Python or NumPy integer or real number. A bool is refused.
    least, most : float, optional
        Inclusive bounds; None for no bound.
    above, below : float, optional
        Exclusive bounds; None for no bound.
    remedy : str, optional
        What to do, for the end of the message.

    Raises
    ------
    ArgumentTypeError
        `value` is no number.
    ArgumentError
        It is NaN, infinite, or lies outside the bounds.
    """
    needed = _needed("a number", least, most, above, below)
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ArgumentTypeError(message(name, describe(value), needed, remedy))
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if (
        not math.isfinite(number)
        or (least is not None and number < least)
        or (most is not None and number > most)
        or (above is not None and number <= above)
        or (below is not None and number >= below)
    ):
        raise ArgumentError(message(name, _number_text(value), needed, remedy))
    return number


def confidence(name: str, value: Any) -> float:
    """Return a confidence level as a float, if it lies between 0 and 1, both exclusive."""
    return real(name, value, above=0, below=1, remedy="0.95 is usual")


def boolean(name: str, value: Any) -> bool:
    """Return `value`, if it is a bool of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentTypeError(message(name, describe(value), "True or False"))
    return bool(value)


def text(name: str, value: Any, needed: str = "text") -> str:
    """Return `value`, if it is a str; `needed` describes it in the message."""
    if not isinstance(value, str):
        raise ArgumentTypeError(message(name, describe(value), needed))
    return value


def path(name: str, value: Any) -> str:
    """Return a path, given as str, bytes or os.PathLike, as text that `os.fsencode` reverts."""
    if not isinstance(value, str | bytes | os.PathLike):
        raise ArgumentTypeError(message(name, describe(value), "a path"))
    return systems.decoded(value)


def survives_as_bytes(text: str) -> bool:
    """Return whether a text comes back from the bytes in which a file name is stored.

    Half of a surrogate pair has none, and escaped bytes that are UTF-8 come back as letters.
    """
    if text.isascii():
        return True
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
    except UnicodeEncodeError:
        return False


def choice(name: str, value: Any, choices: Collection[str]) -> str:
    """Return `value`, if it is one of the texts in `choices`; the error suggests a similar one."""
    if not isinstance(value, str):
        raise ArgumentTypeError(message(name, describe(value), _one_of(choices)))
    if value not in choices:
        raise ArgumentError(
            message(name, repr(value), _one_of(choices), suggestion(value, choices))
        )
    return value


def iterable(name: str, value: Any, needed: str, remedy: str = "") -> Iterable[Any]:
    """Return `value`, if it can be iterated over and is not a single text or path."""
    if isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise ArgumentTypeError(message(name, describe(value), needed, remedy))
    return value


def array(name: str, value: Any, dtype: type, shape: tuple[int | str, ...]) -> NDArray[Any]:
    """Return `value`, if it is an array of that dtype and shape.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        The argument.
    dtype : type
        A NumPy scalar type.
    shape : tuple of int or str
        A string, such as ``"n"``, stands for any length.

    Raises
    ------
    ArgumentTypeError
        `value` is no array, or has another dtype.
    ArgumentError
        It has another shape.
    """
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ArgumentTypeError(message(name, describe(value), f"an array of {dtype.__name__}"))
    if value.ndim != len(shape) or any(
        isinstance(needed, int) and needed != side
        for needed, side in zip(shape, value.shape, strict=True)
    ):
        needed = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ArgumentError(message(name, f"an array of shape {value.shape}", f"({needed})"))
    return value


def counts(name: str, value: Any) -> NDArray[np.int64]:
    """Return `value` as int64, if it is an array of counts: integers of at least 0, (t,).

    Raises
    ------
    ArgumentTypeError
        `value` is no array of integers.
    ArgumentError
        It is empty, has several dimensions, or holds a negative number.
    """
    needed = "an array of counts, one for each threshold"
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise ArgumentTypeError(message(name, describe(value), needed))
    if value.ndim != 1 or not len(value):
        raise ArgumentError(message(name, f"an array of shape {value.shape}", needed))
    if value.min() < 0:
        raise ArgumentError(message(name, "a negative count", needed))
    return value.astype(np.int64)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only, C-contiguous view of the array, or a copy if there is no such view.

    Numba compiles a kernel once for each type of array. All arrays from outside come to the
    kernels as this one type.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def message(name: str, got: str, needed: str, remedy: str = "") -> str:
    """Return the message of an error about an argument."""
    return f"{name}: got {got}, needs {needed}" + (f"; {remedy}" if remedy else "")


def describe(value: Any) -> str:
    """Return what `value` is, in the words of an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return type(value).__name__


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Return ``did you mean WORD?`` with the choice that is most similar, or an empty text."""
    similar = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f"did you mean {similar[0]}?" if similar else ""


def _one_of(choices: Collection[str]) -> str:
    return "one of " + ", ".join(choices)


def _number_text(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= _LONG:
        return "an integer of more than 18 digits"
    return str(value)


def _needed(
    noun: str,
    least: float | None,
    most: float | None,
    above: float | None = None,
    below: float | None = None,
) -> str:
    if least is not None and most is not None:
        return f"{noun} from {least} to {most}"
    bounds = (("of at least", least), ("above", above), ("of at most", most), ("below", below))
    said = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
    return f"{noun} {said}".rstrip()
