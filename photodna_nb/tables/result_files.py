"""Files of results: CSV, JSON, JSON Lines and Parquet, with the columns of a `ResultTable`."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Protocol

import numpy as np

from photodna_nb import checks, files
from photodna_nb.errors import TableFileError
from photodna_nb.files import PathLike
from photodna_nb.tables import parquet_format
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.csv_format import harmless_cell
from photodna_nb.tables.formats import format_suffix

# Rows that become text at once.
_ROWS_AT_ONCE = 2**14


class _Table(Protocol):
    """What is needed of a `ResultTable`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> _Table: ...

    def _columns(self) -> dict[str, Column]: ...

    def _file_metadata(self) -> dict[bytes, bytes]: ...


def values(column: Column) -> list[Any]:
    """Return a column as Python has its values: None for what is not known, bytes of a hash."""
    if isinstance(column, list):
        return column
    if column.ndim == 2:
        return [row.tobytes() for row in column]
    listed: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        return [value if value is not None and math.isfinite(value) else None for value in listed]
    return listed


def csv_content(table: _Table, *, spreadsheet: bool = False) -> Iterator[bytes]:
    """Yield the content of a CSV file; its first line names the columns.

    spreadsheet: whether texts that may be formulas get an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table[:0]._columns())
    cell = harmless_cell if spreadsheet else str
    for rows in _rows(table):
        writer.writerows([cell(v) if isinstance(v, str) else v for v in row] for row in rows)
        yield text.getvalue().encode("utf-8", "surrogateescape")
        text.seek(0)
        text.truncate()


def json_content(table: _Table) -> Iterator[bytes]:
    """Yield the content of a JSON file: a list with an object on each line."""
    separator = "[\n"
    for objects in filter(None, _objects(table)):
        yield (separator + ",\n".join(objects)).encode("ascii")
        separator = ",\n"
    yield b"\n]\n" if len(table) else b"[]\n"


def json_lines_content(table: _Table) -> Iterator[bytes]:
    """Yield the content of a JSON Lines file: an object on each line."""
    for objects in _objects(table):
        yield "".join(f"{one}\n" for one in objects).encode("ascii")


# The formats that are text, by suffix.
TEXT_FORMATS: dict[str, Callable[[_Table], Iterator[bytes]]] = {
    ".csv": csv_content,
    ".json": json_content,
    ".jsonl": json_lines_content,
}


def save(table: _Table, path: PathLike, spreadsheet: bool) -> None:
    """Write a table to a file: see `ResultTable.save`."""
    name = checks.path("path", path)
    if checks.boolean("spreadsheet", spreadsheet):
        format_suffix(name, [".csv"])
    suffix = format_suffix(name, [*TEXT_FORMATS, ".parquet"])
    content: files.NewContent
    if suffix == ".parquet":
        parquet_format.pyarrow(name)
        content = partial(_write_parquet, name, table)
    elif spreadsheet:
        content = csv_content(table, spreadsheet=True)
    else:
        content = TEXT_FORMATS[suffix](table)
    files.write([(name, content)], TableFileError)


def _write_parquet(name: str, table: _Table, file: BinaryIO) -> None:
    pa, parquet = parquet_format.pyarrow(name)
    content = pa.table(table)
    with parquet.ParquetWriter(file, content.schema, write_page_checksum=True) as writer:
        writer.write_table(content)
        writer.add_key_value_metadata(table._file_metadata())


def _rows(table: _Table) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Yield the rows of a table, some thousands at once; at least one time."""
    for start in range(0, len(table) or 1, _ROWS_AT_ONCE):
        columns = table[start : start + _ROWS_AT_ONCE]._columns()
        yield zip(*map(_json_values, columns.values()), strict=True)


def _json_values(column: Column) -> list[Any]:
    """Return a column as JSON has its values: base64 of bytes."""
    if isinstance(column, np.ndarray) and column.ndim == 2:
        return [base64.b64encode(row).decode("ascii") for row in column]
    return values(column)


def _objects(table: _Table) -> Iterator[list[str]]:
    names = list(table[:0]._columns())
    for rows in _rows(table):
        yield [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
