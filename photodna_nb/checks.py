"""The gate that arrays from outside pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError, ArgumentTypeError

# As kernels.hashing has it, for those who need no kernel: that imports Numba.
HASH_BYTES = 144
# Grey levels. Pictures with less lie close to each other whatever they show.
LOW_DETAIL = 100.0


def array(name: str, value: Any, dtype: type, shape: tuple[int | str, ...]) -> NDArray[Any]:
    """Return `value` if it is an array of that dtype and shape.

    Parameters
    ----------
    name : str
        Of the argument, for the error.
    value : object
        What came.
    dtype : type
        A NumPy scalar type.
    shape : tuple of int or str
        A string, such as ``"n"``, stands for any length.

    Raises
    ------
    ArgumentTypeError
        `value` is no array, or of another dtype.
    ArgumentError
        It has another shape.
    """
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ArgumentTypeError(
            f"{name}: got {describe(value)}, needs an array of {dtype.__name__}"
        )
    if value.ndim != len(shape) or any(
        isinstance(needed, int) and needed != side
        for needed, side in zip(shape, value.shape, strict=True)
    ):
        needed = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ArgumentError(f"{name}: got an array of shape {value.shape}, needs ({needed})")
    return value


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only, C-contiguous view of the array, or a copy if there is no such view.

    A kernel is compiled once for each kind of array that it meets; all arrays
    from outside come to it as this one kind.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def describe(value: Any) -> str:
    """Return what `value` is, in the words of an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return type(value).__name__
