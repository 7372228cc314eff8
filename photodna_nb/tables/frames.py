"""Columns of tables to pandas, and hashes from it. Only `to_pandas` needs pandas."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, ArgumentTypeError, PhotodnaError
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.result_files import values

if TYPE_CHECKING:
    import pandas as pd


def to_frame(columns: Mapping[str, Column], units: Mapping[str, str]) -> pd.DataFrame:
    """Return a DataFrame of columns, with their units in ``attrs["units"]``.

    Raises
    ------
    PhotodnaError
        pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise PhotodnaError('to_pandas needs pandas: pip install "photodna_nb[tables]"') from error
    frame = pd.DataFrame({name: _series(pd, column) for name, column in columns.items()})
    if units:
        frame.attrs["units"] = dict(units)
    return frame


def _series(pd: Any, column: Column) -> Any:
    if isinstance(column, np.ma.MaskedArray):
        return pd.arrays.IntegerArray(column.data, np.ma.getmaskarray(column))
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return column
    # Objects, since a path need not be UTF-8 and the strings of pandas are.
    return pd.Series(values(column), dtype=object)


def frame_rows(frame: Any) -> Iterator[tuple[str, bytes, float]]:
    """Yield path, hash and detail of each row of a DataFrame: see `HashTable.from_pandas`."""
    try:
        missing = {"path", "hash"} - set(frame.columns)
        paths, hashes = ([], []) if missing else (list(frame["path"]), list(frame["hash"]))
        detail = list(frame["detail"]) if "detail" in frame.columns else [np.nan] * len(paths)
    except (AttributeError, TypeError) as error:
        needed = "a DataFrame with the columns path and hash"
        raise ArgumentTypeError(checks.message("frame", checks.describe(frame), needed)) from error
    if missing:
        raise ArgumentError(
            f"frame: has no column {' and '.join(sorted(missing))}; rename the columns to path "
            "and hash"
        )
    for row, (path, content, number) in enumerate(zip(paths, hashes, detail, strict=True)):
        if not isinstance(path, str | bytes | os.PathLike):
            problem = f"frame: row {row} (counted from 0) has {checks.describe(path)} as path"
            raise ArgumentTypeError(f"{problem}, needs text")
        yield os.fsdecode(path), _hash_bytes(row, content), _detail(row, number)


def _hash_bytes(row: int, value: Any) -> bytes:
    try:
        if isinstance(value, int):
            raise TypeError
        content = bytes(value.tolist() if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError):
        content = b""
    if len(content) != HASH_BYTES:
        raise ArgumentError(
            f"frame: row {row} (counted from 0) has {checks.describe(value)} as hash, needs "
            f"{HASH_BYTES} bytes, or as many integers from 0 to 255"
        )
    return content


def _detail(row: int, value: Any) -> float:
    if value is None or type(value).__name__ == "NAType":  # what pandas has for a missing number
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(
            f"frame: row {row} (counted from 0) has {checks.describe(value)} as detail, needs a "
            "number, or none where it is not known"
        ) from error
