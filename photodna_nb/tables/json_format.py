"""Tables of hashes in JSON: the list that ``--hash-dir`` prints, JSON Lines, other lists."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from numpy import uint8
from numpy.typing import NDArray

from photodna_nb.errors import TableFileError
from photodna_nb.tables import entries, hash_text, index_metadata
from photodna_nb.tables.columns import ReadOptions, TableColumns
from photodna_nb.tables.hash_text import HashFormError
from photodna_nb.tables.list_formats import plain_entries
from photodna_nb.tables.row_collector import RowCollector
from photodna_nb.tables.text_lines import text_lines


def json_entry(path: str, hash_bytes: NDArray[uint8]) -> dict[str, Any]:
    """Return an entry of the list that ``--hash-dir`` prints."""
    return {
        "filename": os.path.basename(path),
        "path": os.path.abspath(path),
        "photodna": hash_bytes.tolist(),
    }


def write(_: str, table: TableColumns, form: str) -> Iterator[bytes]:
    """Yield the content of a file with a list."""
    separator = b"[\n"
    for entry in _written(table, form):
        yield separator + entry
        separator = b",\n"
    yield b"\n]\n" if table.paths else b"[]\n"


def write_lines(_: str, table: TableColumns, form: str) -> Iterator[bytes]:
    """Yield the content of a file with an entry on each line."""
    for entry in _written(table, form):
        yield entry + b"\n"


def _written(table: TableColumns, form: str) -> Iterator[bytes]:
    for number, (path, row) in enumerate(zip(table.paths, table.hashes, strict=True)):
        entry = json_entry(path, row) | {"path": path}
        if form != "integers":
            entry["photodna"] = hash_text.FORMS[form](row)
        if math.isfinite(table.detail[number]):
            entry["detail"] = float(table.detail[number])
        entry |= {column: texts[number] for column, texts in table.other.items()}
        yield json.dumps(entry).encode("ascii")


def read(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    text = content.decode(options.encoding) if options.encoding else content
    try:
        document = _parse(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return read_lines(name, content, options)
        raise
    if index_metadata.is_metadata(document):
        return index_metadata.read(name, len(content), document, options)
    rows = RowCollector(name, len(content), "entry", record=options.record)
    return _without_basenames(
        entries.collect(name, rows, enumerate(_entries(name, document)), options)
    )


def read_lines(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in a file with an entry on each line."""
    rows = RowCollector(name, len(content), "line", record=options.record)

    def numbered() -> Iterator[tuple[int, Any]]:
        for line, text in enumerate(text_lines(content, options.encoding), 1):
            if not text.isspace():
                try:
                    parsed = _parse(text)
                except (ValueError, RecursionError) as error:
                    parsed = HashFormError(f"is no JSON ({error})")
                yield from ((line, entry) for entry in plain_entries({}, [parsed]))

    return _without_basenames(entries.collect(name, rows, numbered(), options))


def _parse(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise ValueError("an entry has two values of the same name")
    return entry


def _entries(name: str, document: Any) -> Iterable[Any]:
    """Return the entries of a list, or of an object with one: hashes, or objects with them."""
    if isinstance(document, list):
        return plain_entries({}, document)
    if isinstance(document, dict):
        if document and all(map(hash_text.holds_hash, islice(document.values(), entries.SAMPLE))):
            return [{"path": path, "photodna": value} for path, value in document.items()]
        if any(map(hash_text.holds_hash, document.values())):
            return [document]
        lists = [value for value in document.values() if isinstance(value, list)]
        if len(lists) == 1:
            return plain_entries(document, lists[0])
    raise TableFileError(
        name, "holds no list of hashes; write the list alone, or an object that has no other list"
    )


def _without_basenames(table: TableColumns) -> TableColumns:
    """Return a table without the column that ``--hash-dir`` adds to the paths."""
    if table.other.get("filename") != list(map(os.path.basename, table.paths)):
        return table
    other = {column: texts for column, texts in table.other.items() if column != "filename"}
    return table._replace(other=other)
