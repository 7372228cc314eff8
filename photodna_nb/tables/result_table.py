"""Results as tables: rows that can be sliced, iterated over, saved and given to other libraries."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.files import PathLike
from photodna_nb.printable import printable
from photodna_nb.tables import arrow, frames, result_files

if TYPE_CHECKING:
    import pandas as pd

Record = TypeVar("Record")
Column = arrow.Column
Rows = slice | NDArray[np.int64]

# Rows of a table in a notebook, and characters of a text in one of its cells.
_ROWS_SHOWN = 10
_LETTERS_SHOWN = 200


class RowNumberError(ArgumentError, IndexError):
    """A table has no row of that number."""


class ResultTable(ABC, Generic[Record]):
    """A table of results: its rows are records, its columns arrays or lists.

    ``table[5]`` is a record; a slice, a mask or an array of row numbers gives a table of the same
    kind. `pandas`, pyarrow, polars and DuckDB take the whole table.

    A subclass has ``__len__`` and the three methods `_columns`, `_take` and `_record`.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def _columns(self) -> dict[str, Column]:
        """Return the columns of `to_pandas` and of files, by name.

        An array (n,) of numbers or bools, in which NaN and what is masked is not known; an array
        (n, m) of uint8, m bytes in each row; or a list of n texts, with None for a missing one.
        """

    @abstractmethod
    def _take(self, rows: Rows) -> Self:
        """Return the table of some rows: a slice, or an array of numbers from 0 on."""

    @abstractmethod
    def _record(self, row: int) -> Record:
        """Return the record of a row, from 0 on."""

    def _units(self) -> Mapping[str, str]:
        """Return the units of columns, by name of the column."""
        return {}

    def _file_metadata(self) -> dict[bytes, bytes]:
        """Return entries of the metadata of a Parquet file."""
        return {}

    def _contents(self) -> str:
        """Return what the table holds, for its repr."""
        return f"{len(self):,} row{'s' * (len(self) != 1)}"

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Record: ...

    @overload
    def __getitem__(self, rows: slice | Sequence[int] | NDArray[Any]) -> Self: ...

    def __getitem__(self, rows: Any) -> Record | Self:
        """Return the record of a row, or the table of some rows.

        Parameters
        ----------
        rows : int, slice, or array of bool (n,) or of int
            Number of a row, a negative one from the end; or which rows.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `rows` is none of these, a mask has another length, or there is no such row; this
            is an IndexError, too.
        """
        if isinstance(rows, slice):
            return self._take(rows)
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            return self._record(int(_row_numbers(np.array([rows]), len(self))[0]))
        return self._take(_row_numbers(rows, len(self)))

    def __iter__(self) -> Iterator[Record]:
        """Yield the record of each row."""
        return map(self._record, range(len(self)))

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame; units of its columns are in ``attrs["units"]``.

        Raises
        ------
        PhotodnaError
            pandas is not installed.
        """
        return frames.to_frame(self._columns(), self._units())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table as an Arrow stream, which pyarrow, polars and DuckDB take.

        What is not known is null. A column of names that are not all UTF-8 is of type binary.
        """
        return arrow.stream(self._columns(), self._units())

    def save(self, path: PathLike, *, spreadsheet: bool = False) -> None:
        """Write the table to a file, in one step, in the format of its suffix.

        Parameters
        ----------
        path : str or os.PathLike
            ``.csv``, ``.json``, ``.jsonl`` (an object on each line), or ``.parquet``, which needs
            pyarrow.
        spreadsheet : bool
            For a ``.csv`` file that a spreadsheet opens: whether an apostrophe is put before
            texts that would be run as formulas, as in `HashTable.save`.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no format of that suffix, or `spreadsheet` is no bool or set for another one.
        TableFileError
            The file cannot be written, or pyarrow is missing.
        """
        result_files.save(self, path, spreadsheet)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._contents()}>"

    def _repr_html_(self) -> str:
        """Return the first rows as a table of HTML, for a notebook."""
        first = self._take(slice(0, _ROWS_SHOWN))
        columns, units = first._columns(), self._units()
        heads = (f"{name} ({units[name]})" if name in units else name for name in columns)
        rows = zip(*map(result_files.values, columns.values()), strict=True)
        lines = [
            f"<table><caption>{html.escape(repr(self)[1:-1])}</caption>",
            _html_row("th", map(_cell, heads)),
            *(_html_row("td", map(_cell, row)) for row in rows),
        ]
        if len(self) > len(first):
            lines.append(f'<tr><td colspan="{len(columns)}">…</td></tr>')
        return "\n".join([*lines, "</table>"])


def take(column: Any, rows: Rows) -> Any:
    """Return some rows of a column; None of one that a table lacks."""
    if isinstance(column, list) and not isinstance(rows, slice):
        return [column[row] for row in rows.tolist()]
    return None if column is None else column[rows]


def _row_numbers(rows: Any, count: int) -> NDArray[np.int64]:
    """Return row numbers from 0 on, of a mask or of numbers of which negative ones end a table."""
    numbers = np.asarray(rows)
    if not numbers.size and isinstance(rows, list | tuple):
        numbers = numbers.astype(np.int64)
    needed = "an integer, a slice, or an array of bool or of integers, (n,)"
    if numbers.dtype.kind not in "biu" or numbers.ndim != 1:
        got = checks.describe(rows) + (f" {numbers.shape}" if numbers.ndim else "")
        raise ArgumentTypeError(checks.message("rows", got, needed))
    if numbers.dtype == np.bool_:
        if len(numbers) != count:
            needed = f"{count} values, one for each row"
            raise ArgumentError(checks.message("rows", f"a mask of {len(numbers)}", needed))
        return np.flatnonzero(numbers).astype(np.int64)
    outside = numbers[(numbers < -count) | (numbers >= count)]
    if len(outside):
        needed = f"numbers of the {count} rows, counted from 0"
        raise RowNumberError(checks.message("rows", str(outside[0]), needed))
    return np.where(numbers < 0, numbers + count, numbers).astype(np.int64)


def _html_row(tag: str, cells: Iterator[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"{value[:6].hex()}…"
    if value in (None, ""):
        return ""
    text = printable(value[:_LETTERS_SHOWN]) if isinstance(value, str) else str(value)
    return text + "…" * (isinstance(value, str) and len(value) > _LETTERS_SHOWN)
