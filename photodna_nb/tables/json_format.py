"""Tables of hashes in JSON: the list that ``--hash-dir`` prints, with the detail."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import TableColumns, columns_from_rows


def json_entry(path: str, hash_bytes: NDArray[np.uint8]) -> dict[str, Any]:
    """Return an entry of the list that ``--hash-dir`` prints."""
    return {
        "filename": os.path.basename(path),
        "path": os.path.abspath(path),
        "photodna": hash_bytes.tolist(),
    }


def write(_: str, table: TableColumns) -> Iterator[bytes]:
    """Yield the content of a file."""
    separator = b"[\n"
    for path, row, detail in zip(table.paths, table.hashes, table.detail, strict=True):
        entry = json_entry(path, row)
        if os.path.isabs(path):
            entry["path"] = path  # as it was given
        if np.isfinite(detail):
            entry["detail"] = float(detail)
        yield separator + json.dumps(entry).encode("ascii")
        separator = b",\n"
    yield b"\n]\n" if table.paths else b"[]\n"


def read(name: str, content: bytes) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    entries = json.loads(content, parse_constant=_refuse, object_pairs_hook=_object)
    if not isinstance(entries, list):
        raise TableFileError(name, "holds no JSON list")
    return columns_from_rows(_row(name, *numbered) for numbered in enumerate(entries))


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise ValueError("an entry has two values of the same name")
    return entry


def _row(name: str, number: int, entry: Any) -> tuple[str, bytes, float]:
    where = f"entry {number} (counted from 0)"
    try:
        path, values = entry["path"], entry["photodna"]
        if not isinstance(path, str) or not isinstance(values, list):
            raise TypeError("a text and a list are needed")
        detail = entry.get("detail", np.nan)
        if isinstance(detail, str | bool) or bool in map(type, values):
            raise TypeError("numbers are needed")
        row, detail = bytes(values), float(detail)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TableFileError(name, f'{where} has no "path" and "photodna": {error}') from error
    if len(row) != HASH_BYTES:
        raise TableFileError(name, f"{where} has {len(row)} values, needs {HASH_BYTES}")
    return path, row, detail
