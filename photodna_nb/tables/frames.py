"""Columns of tables to pandas, and hashes from it. Only `to_pandas` needs pandas."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError, optional_package
from photodna_nb.tables import hash_text
from photodna_nb.tables.arrow import Column, field_name
from photodna_nb.tables.columns import TableColumns, columns_from_rows
from photodna_nb.tables.hash_text import HashFormError
from photodna_nb.tables.result_files import values

if TYPE_CHECKING:
    import pandas as pd


def to_frame(columns: Mapping[str, Column], units: Mapping[str, str]) -> pd.DataFrame:
    """Return a DataFrame of columns, with their units in ``attrs["units"]``.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    with optional_package("to_pandas", "pandas", "tables"):
        import pandas as pd
    frame = pd.DataFrame({field_name(name): _series(pd, columns[name]) for name in columns})
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


def from_frame(frame: Any) -> TableColumns:
    """Return the columns of a table in a DataFrame: see `HashTable.from_pandas`."""
    try:
        names, rows = list(frame.columns), len(frame)
        columns = {name: list(frame[name]) for name in names}
    except (AttributeError, TypeError) as error:
        needed = "a DataFrame with the columns path and hash"
        raise ArgumentTypeError(checks.message("frame", checks.describe(frame), needed)) from error
    if missing := {"path", "hash"} - columns.keys():
        raise ArgumentError(
            f"frame: has no column {' and '.join(sorted(missing))}; rename the columns to path "
            "and hash"
        )
    paths, hashes = columns.pop("path"), columns.pop("hash")
    detail = columns.pop("detail", [None] * rows)
    table = columns_from_rows(map(_row, range(rows), paths, hashes, detail))
    other = {str(name): list(map(_text, values)) for name, values in columns.items()}
    return table._replace(other=other)


def _row(row: int, path: Any, value: Any, detail: Any) -> tuple[str, bytes, float]:
    where = f"frame: row {row} (counted from 0)"
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"{where} has {checks.describe(path)} as path, needs text")
    if isinstance(value, np.ndarray | tuple):
        value = list(value)
    try:
        content = hash_text.from_value(value)
    except HashFormError as error:
        raise ArgumentError(f"{where} {error}") from error
    try:
        return os.fsdecode(path), content, np.nan if _is_missing(detail) else float(detail)
    except (TypeError, ValueError) as error:
        needed = "a number, or none where it is not known"
        got = f"{checks.describe(detail)} as detail"
        raise ArgumentTypeError(f"{where} has {got}, needs {needed}") from error


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, or what pandas has for a missing one, but NaN."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _text(value: Any) -> str:
    return "" if _is_missing(value) or value != value else str(value)
