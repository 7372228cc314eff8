"""Tables of entries with names, such as the objects of JSON: which name is whose, and the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from photodna_nb.errors import TableFileError
from photodna_nb.tables import column_roles, hash_text
from photodna_nb.tables.column_roles import ColumnQuestionError
from photodna_nb.tables.columns import ReadOptions, TableColumns
from photodna_nb.tables.hash_text import HashFormError
from photodna_nb.tables.row_collector import OTHER_KIND, RowCollector

# Entries from which the names of paths and hashes are told.
SAMPLE = 50


class _Keys(NamedTuple):
    """The keys of an entry; None for those that there are not."""

    path: str | None
    hash: str
    kind: str | None
    detail: str

    def own(self) -> tuple[str | None, ...]:
        """Return the keys whose values are no further columns."""
        return self.path, self.hash, self.detail


def collect(
    name: str,
    rows: RowCollector,
    entries: Iterable[tuple[int, Any]],
    options: ReadOptions,
    names: Sequence[str] = (),
) -> TableColumns:
    """Return the table of entries.

    Parameters
    ----------
    name : str
        Name of the file, for errors.
    rows : RowCollector
        Takes the rows.
    entries : iterable of (int, object)
        Number of each entry and a mapping, or a hash alone, or a HashFormError that says what
        is wrong with it.
    options : ReadOptions
        The names that the user gave.
    names : sequence of str
        The names that every entry has; what the first entries have if there are none.
    """
    entries = rows.without_skipped(entries)
    sample = list(islice(entries, SAMPLE))
    first = [entry for _, entry in sample if isinstance(entry, dict)]
    keys = _keys_of(name, names, first, options) if first or names else None
    if names and keys is not None:
        rows.name_columns(key for key in names if key not in keys.own())
    for number, entry in chain(sample, entries):
        try:
            if isinstance(entry, dict):
                keys = keys or _keys_of(name, names, [entry], options)
                _add(rows, number, entry, keys)
            elif isinstance(entry, HashFormError):
                raise entry
            else:
                rows.add(number, None, hash_text.from_value(entry))
        except HashFormError as error:
            if keys and keys.kind and isinstance(entry, dict) and _is_other(entry, keys.kind):
                rows.skip(OTHER_KIND)
            else:
                rows.fail(number, str(error))
    return rows.columns()


def _keys_of(
    name: str, names: Sequence[str], entries: Sequence[dict[str, Any]], options: ReadOptions
) -> _Keys:
    names = names or list(dict.fromkeys(chain(*entries)))
    values = [[entry.get(key) for key in names] for entry in entries]
    try:
        roles = column_roles.choose(names, values, options)
    except ColumnQuestionError as question:
        raise TableFileError(name, str(question)) from question

    def key(column: int | None) -> str | None:
        return None if column is None else names[column]

    return _Keys(key(roles.path), names[roles.hash], key(roles.kind), key(roles.detail) or "detail")


def _is_other(entry: Mapping[str, Any], kind: str) -> bool:
    return not column_roles.is_photodna(str(entry.get(kind)))


def _add(rows: RowCollector, number: int, entry: Mapping[str, Any], keys: _Keys) -> None:
    """Add the row of an entry, or raise a HashFormError."""
    own = keys.own()
    hash_bytes = hash_text.from_value(entry.get(keys.hash))
    path = None
    if keys.path is not None:
        value = entry.get(keys.path)
        if not isinstance(value, str | bytes | int) or isinstance(value, bool):
            raise HashFormError(f"has no text as {keys.path!r}")
        path = text_of(value)
    detail = entry.get(keys.detail)
    if detail is not None and (not isinstance(detail, int | float) or isinstance(detail, bool)):
        raise HashFormError("has a detail that is no number")
    other = [(key, text_of(value)) for key, value in entry.items() if key not in own]
    try:
        detail = math.nan if detail is None else float(detail)
    except OverflowError:
        detail = math.inf
    rows.add(number, path, hash_bytes, detail, other)


def text_of(value: Any) -> str:
    """Return a value as text: as JSON, unless it is text; "" for none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else json.dumps(value, default=str)
