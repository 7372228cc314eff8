"""Tables of hashes as NumPy arrays; not compressed, so that a part of the hashes can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import npz
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import TableColumns, failures_from_text, failures_text


def write(_: str, table: TableColumns) -> list[memoryview]:
    """Return the content of a file."""
    members: dict[str, NDArray[Any]] = {
        "paths": npz.pack_texts(table.paths),
        "hashes": table.hashes,
        "detail": table.detail,
        "failures": npz.pack_texts([failures_text(table.failures)]),
    }
    return [npz.pack(members)]


def read(name: str, content: bytes) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    members = npz.unpack(name, content, TableColumns._fields, error_type=TableFileError)
    if members["paths"].dtype != np.uint8:
        raise TableFileError(name, f"its paths are of {members['paths'].dtype}, no bytes")
    (failures,) = npz.unpack_texts(members["failures"])
    return TableColumns(
        list(npz.unpack_texts(members["paths"])),
        members["hashes"],
        members["detail"],
        failures_from_text(failures),
    )
