"""Tables of hashes as NumPy arrays; not compressed, so that a part of the hashes can be read.

Of archives of other programs, arrays with a hash in each row are read, and those with a text or
number for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import npz
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables import entries
from photodna_nb.tables.columns import (
    ReadOptions,
    TableColumns,
    failures_from_text,
    failures_text,
)
from photodna_nb.tables.row_collector import RowCollector

_MEMBERS = ("paths", "hashes", "detail", "failures")
_OTHER = "other"


def write(_: str, table: TableColumns, __: str) -> list[memoryview]:
    """Return the content of a file."""
    members: dict[str, NDArray[Any]] = {
        "paths": npz.pack_texts(table.paths),
        "hashes": table.hashes,
        "detail": table.detail,
        "failures": npz.pack_texts([failures_text(table.failures)]),
    }
    if table.other:
        members[_OTHER] = npz.pack_texts([json.dumps(table.other)])
    return [npz.pack(members)]


def read(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    names = npz.member_names(name, content, error_type=TableFileError)
    if set(_MEMBERS) <= set(names):
        own = [*_MEMBERS, _OTHER] if _OTHER in names else _MEMBERS
        return _own_table(name, npz.unpack(name, content, own, error_type=TableFileError))
    return _table_of_arrays(
        name, len(content), npz.unpack(name, content, names, error_type=TableFileError), options
    )


def _own_table(name: str, members: Mapping[str, NDArray[Any]]) -> TableColumns:
    if members["paths"].dtype != np.uint8:
        raise TableFileError(name, f"its paths are of {members['paths'].dtype}, no bytes")
    (failures,) = npz.unpack_texts(members["failures"])
    (other,) = npz.unpack_texts(members[_OTHER]) if _OTHER in members else ("{}",)
    further = msgspec.convert(json.loads(other), dict[str, list[str]])
    return TableColumns(
        list(npz.unpack_texts(members["paths"])),
        members["hashes"],
        members["detail"],
        failures_from_text(failures),
        further,
    )


def _table_of_arrays(
    name: str, size: int, members: Mapping[str, NDArray[Any]], options: ReadOptions
) -> TableColumns:
    """Return the table of arrays that have an entry for each hash."""
    n_rows = max((len(array) for array in members.values() if _holds_hashes(array)), default=0)
    columns = {
        key: array.astype(np.uint8) if _holds_hashes(array) else array
        for key, array in members.items()
        if array.ndim and len(array) == n_rows and (array.ndim == 1 or _holds_hashes(array))
    }
    rows = RowCollector(name, size, "row", record=options.record)
    numbered = (
        (row, {key: _cell(array[row]) for key, array in columns.items()}) for row in range(n_rows)
    )
    return entries.collect(name, rows, numbered, options, list(columns) or list(members))


def _holds_hashes(array: NDArray[Any]) -> bool:
    return (
        array.ndim == 2
        and array.shape[1] == HASH_BYTES
        and array.dtype.kind in "ui"
        and (not array.size or bool(array.min() >= 0 and array.max() < 256))
    )


def _cell(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value.item()
