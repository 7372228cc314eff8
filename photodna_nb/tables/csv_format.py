"""Tables of hashes in CSV: lines of path and base64, as other PhotoDNA tools write them."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterator

import numpy as np

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import TableColumns, columns_from_rows

# Characters of a hash in base64, and what may stand before the text of a file in UTF-8.
_BASE64_LENGTH = 4 * HASH_BYTES // 3
_BYTE_ORDER_MARK = "\ufeff"
# What makes a cell a formula, or is skipped before one; the wide forms count in some languages.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def harmless_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: after an apostrophe, if it may be one.

    It comes from a file name, and a formula can send the table elsewhere or start a program.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def write(_: str, table: TableColumns) -> list[bytes]:
    """Return the content of a file."""
    text = io.StringIO(newline="")
    if table.paths and table.paths[0].startswith(_BYTE_ORDER_MARK):
        text.write(_BYTE_ORDER_MARK)  # readers remove the first one
    writer = csv.writer(text)  # lines end with CRLF, so that names with either are quoted
    for path, row in zip(table.paths, table.hashes, strict=True):
        writer.writerow([path, base64.b64encode(row).decode("ascii")])
    return [text.getvalue().encode("utf-8", "surrogateescape")]


def read(name: str, content: bytes) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    text = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="")
    return columns_from_rows(_rows(name, text))


def _rows(name: str, text: io.StringIO) -> Iterator[tuple[str, bytes, float]]:
    reader = csv.reader(text, strict=True)
    line = 1  # where the record begins: a quoted path may hold line ends
    try:
        for record in reader:
            if record and not (line == 1 and _is_header(record)):
                yield *_path_and_hash(name, line, record), np.nan
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableFileError(name, f"line {line} is no line of path,base64 ({error})") from error


def _is_header(record: list[str]) -> bool:
    """Return whether the first line names columns; a file called `path` has a hash, too."""
    return record[0].lower() == "path" and len(record[-1]) != _BASE64_LENGTH


def _path_and_hash(name: str, line: int, record: list[str]) -> tuple[str, bytes]:
    if len(record) != 2:
        raise TableFileError(name, f"line {line} has {len(record)} columns, needs path,base64")
    try:
        row = base64.b64decode(record[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise TableFileError(name, f"line {line} has no valid base64 ({error})") from error
    if len(row) != HASH_BYTES:
        raise TableFileError(name, f"line {line} holds {len(row)} bytes, needs {HASH_BYTES}")
    return record[0], row
