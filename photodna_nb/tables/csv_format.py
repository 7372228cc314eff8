"""Tables of hashes as text with a delimiter, such as CSV: any columns, or a hash on each line.

Without further columns, lines of path and base64 are written, as by other PhotoDNA tools.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from photodna_nb.errors import TableFileError
from photodna_nb.tables import column_roles, hash_text
from photodna_nb.tables.column_roles import ColumnQuestionError, ColumnRoles
from photodna_nb.tables.columns import ReadOptions, TableColumns
from photodna_nb.tables.hash_text import BASE64_LENGTH, HashFormError
from photodna_nb.tables.row_collector import OTHER_KIND, RowCollector
from photodna_nb.tables.text_lines import DelimitedRecords, text_lines

_DELIMITERS = (",", ";", "\t", "|")
_BYTE_ORDER_MARK = "\ufeff"
# Lines from which the delimiter and the roles of the columns are told.
_SAMPLE = 100
# What makes a cell a formula, or is skipped before one; the wide forms count in some languages.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def harmless_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: after an apostrophe, if it may be one.

    It comes from a file name, and a formula can send the table elsewhere or start a program.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def harmless_cells(table: TableColumns) -> TableColumns:
    """Return a table all of whose texts are harmless cells."""
    other = {
        harmless_cell(column): list(map(harmless_cell, texts))
        for column, texts in table.other.items()
    }
    return table._replace(paths=list(map(harmless_cell, table.paths)), other=other)


class _Layout(NamedTuple):
    """How the lines of a file are to be read.

    delimiter, header, width : what stands between cells, whether names come first, number of cells
    roles : which column is which
    sample : the paths and hashes in the first lines
    rank : whether names of both paths and hashes are known ones, and the number of hashes there
    """

    delimiter: str
    header: bool
    width: int
    roles: ColumnRoles
    sample: list[tuple[str | None, bytes]]
    rank: tuple[bool, int]


def writer(delimiter: str) -> Callable[[str, TableColumns, str], list[bytes]]:
    """Return the function that writes lines of path, hash and further columns."""

    def write(_: str, table: TableColumns, form: str) -> list[bytes]:
        text = io.StringIO(newline="")
        # Readers cannot mistake a long path for a hash then.
        header = bool(table.other) or max(map(len, table.paths), default=0) >= BASE64_LENGTH
        if not header and table.paths and table.paths[0].startswith(_BYTE_ORDER_MARK):
            text.write(_BYTE_ORDER_MARK)  # readers remove the first one
        lines = csv.writer(text, delimiter=delimiter)  # CRLF: names with either are quoted
        if header:
            lines.writerow(["path", "hash", *table.other])
        hash_texts = map(hash_text.FORMS[form], table.hashes)
        lines.writerows(zip(table.paths, hash_texts, *table.other.values(), strict=True))
        return [text.getvalue().encode("utf-8", "surrogateescape")]

    return write


def write_hashes(_: str, table: TableColumns, form: str) -> list[bytes]:
    """Return the content of a file with a hash on each line, without paths."""
    return [f"{text}\n".encode("ascii") for text in map(hash_text.FORMS[form], table.hashes)]


def read(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    rows = RowCollector(name, len(content), "line", record=options.record)
    layout = _layout(name, content, options)
    if layout is None:
        return rows.columns()
    roles, width, header = layout.roles, layout.width, layout.header
    path_column, kind, other_columns = roles.path, roles.kind, roles.other
    rows.name_columns(column for _, column in other_columns)
    lines = text_lines(content, options.encoding)
    for line, record in DelimitedRecords(name, lines, len(content), layout.delimiter):
        if isinstance(record, str):
            rows.fail(line, f"is no line of cells ({record})")
        elif len(record) != width:
            rows.fail(line, f"has {len(record)} column(s), needs {width}")
        elif not any(record):
            continue  # spreadsheets end with lines of nothing but delimiters
        elif header:
            header = False
        else:
            try:
                hash_bytes, detail = _hash_of(record, roles), _detail_of(record, roles)
            except HashFormError as error:
                if kind is not None and not column_roles.is_photodna(record[kind]):
                    rows.skip(OTHER_KIND)
                else:
                    rows.fail(line, str(error))
                continue
            other = [(column, record[i]) for i, column in other_columns] if other_columns else ()
            path = None if path_column is None else record[path_column]
            rows.add(line, path, hash_bytes, detail, other)
    return rows.columns()


def _hash_of(record: Sequence[str], roles: ColumnRoles) -> bytes:
    if roles.n_hash == 1:
        return hash_text.parse(record[roles.hash])
    return hash_text.from_integers(record[roles.hash : roles.hash + roles.n_hash])


def _detail_of(record: Sequence[str], roles: ColumnRoles) -> float:
    if roles.detail is None or not record[roles.detail]:
        return math.nan
    try:
        return float(record[roles.detail])
    except ValueError as error:
        raise HashFormError("has a detail that is no number") from error


def _layout(name: str, content: bytes, options: ReadOptions) -> _Layout | None:
    """Return how a file is to be read; None if there is nothing in it.

    Raises
    ------
    TableFileError
        It cannot be told; the message asks what a person can answer.
    """
    layouts: list[_Layout] = []
    questions: list[tuple[int, str]] = []
    text = text_lines(content, options.encoding)
    lines = list(islice((line for line in text if not line.isspace()), _SAMPLE))
    if not lines:
        return None
    for delimiter in [options.delimiter] if options.delimiter else _DELIMITERS:
        records = [record for _, record in DelimitedRecords(name, lines, len(content), delimiter)]
        rows = [record for record in records if isinstance(record, list) and any(record)]
        if not rows:
            problem = f"its first line is no line of cells ({records[0]})"
            questions.append((-1, problem))
            continue
        names = rows.pop(0) if column_roles.is_header(rows[0], options) else None
        with_hash = [row for row in rows if column_roles.count_hashes([row])]
        widths = Counter(map(len, with_hash or rows))
        width = len(names) if names else widths.most_common(1)[0][0]
        rows = [row for row in rows if len(row) == width]
        try:
            layouts.append(_layout_of(delimiter, names, width, rows, options))
        except ColumnQuestionError as error:
            questions.append((len(with_hash), str(error)))  # an error would keep this frame
    best = max((layout.rank for layout in layouts), default=(False, -2))
    n_asked, question = max(questions, key=itemgetter(0), default=(-2, None))
    if question is not None and not best[0] and n_asked > best[1]:
        hint = "" if n_asked > 0 else ". A list of image files is no table: --files-from reads it"
        raise TableFileError(name, f"{question}{hint}")
    found = [layout for layout in layouts if layout.rank == best]
    if name.lower().endswith(".tsv"):  # which says it
        found = [layout for layout in found if layout.delimiter == "\t"] or found
    if any(layout.sample != found[0].sample for layout in found):
        listed = " and ".join(repr(layout.delimiter) for layout in found)
        raise TableFileError(
            name,
            f"its cells may be apart by {listed}; which is it? Give it as delimiter= (--delimiter)",
        )
    return found[0]


def _layout_of(
    delimiter: str,
    names: Sequence[str] | None,
    width: int,
    rows: Sequence[Sequence[str]],
    options: ReadOptions,
) -> _Layout:
    roles = column_roles.choose(names, rows, options)
    sample: list[tuple[str | None, bytes]] = []
    for row in rows:
        try:
            hash_bytes = _hash_of(row, roles)
        except HashFormError:
            continue
        sample.append((None if roles.path is None else row[roles.path], hash_bytes))
    rank = column_roles.are_known(names or ()), len(sample)
    return _Layout(delimiter, names is not None, width, roles, sample, rank)
