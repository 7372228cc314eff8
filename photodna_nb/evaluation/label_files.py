"""Tables of labels that a configuration names: a line of column names, and lines of cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from photodna_nb import files
from photodna_nb.errors import FileError
from photodna_nb.printable import printable
from photodna_nb.tables.columns import is_path
from photodna_nb.tables.text_lines import DelimitedRecords, text_lines

_DELIMITERS = ",;\t|"


class LabelRow(NamedTuple):
    """A line of a table of labels.

    line : int
        Number of the line, from 1.
    cells : dict of str to str
        Text in each column that was asked for; "" where the file lacks an optional column.
    """

    line: int
    cells: dict[str, str]


def read_labels(path: str, required: Sequence[str], optional: Sequence[str] = ()) -> list[LabelRow]:
    """Return the lines of a table in a file of text, such as CSV.

    Parameters
    ----------
    path : str
        File in UTF-8 or UTF-16, with ``,``, ``;``, tab or ``|`` between cells. Its first line names
        the columns, in any order and in capitals or not; other columns than these are left out.
    required, optional : sequence of str
        Names of columns, in lower case.

    Raises
    ------
    FileError
        The file cannot be read, lacks a required column or all lines, or has a bad line.
    """
    content = files.read(path, FileError)
    try:
        lines = list(text_lines(content, None))
    except UnicodeError as error:
        raise FileError(path, f"is no text ({error}); save it as UTF-8") from error
    for delimiter in _DELIMITERS:
        records = list(islice(DelimitedRecords(path, lines, len(content), delimiter), 1))
        names = [str(cell).strip().lower() for cell in records[0][1]] if records else []
        if set(required) <= set(names):
            break
    else:
        raise FileError(
            path,
            "its first line must name its columns, among them "
            f"{' and '.join(required)}; write them there",
        )
    wanted = [name for name in (*required, *optional) if name in names]
    if twice := next((name for name in wanted if names.count(name) > 1), ""):
        raise FileError(path, f"has the column {twice} twice; take one of them out")
    column = {name: names.index(name) for name in wanted}
    rows = []
    table = iter(DelimitedRecords(path, lines, len(content), delimiter))
    next(table)
    for line, record in table:
        if isinstance(record, str):
            raise FileError(path, f"line {line} is no line of cells ({record}); correct it")
        if not any(record):
            continue  # spreadsheets end with lines of nothing but delimiters
        if len(record) != len(names):
            raise FileError(
                path,
                f"line {line} has {len(record)} column(s), needs {len(names)}; put a text that "
                f"holds {delimiter!r} into double quotes",
            )
        cells = {name: record[number] for name, number in column.items()}
        if bad := next((name for name in cells if not is_path(cells[name])), ""):
            shown = printable(cells[bad][:80])
            raise FileError(path, f"line {line} has a {bad} that no text can be ({shown}); fix it")
        rows.append(LabelRow(line, dict.fromkeys(optional, "") | cells))
    if not rows:
        raise FileError(path, "has no lines below the names of its columns; add some")
    return rows
