"""Tables of hashes in Parquet, through pyarrow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import (
    TableColumns,
    columns_from_rows,
    failures_from_text,
    failures_text,
)

# The key of the failures in the metadata of the schema.
_FAILURES = b"photodna_nb.failures"


def write(name: str, table: TableColumns) -> list[memoryview]:
    """Return the content of a file, whose name is for errors."""
    pa, parquet = pyarrow(name)
    paths = [path.encode("utf-8", "surrogateescape") for path in table.paths]
    try:
        column = pa.array([path.decode("utf-8") for path in paths], pa.string())
    except UnicodeDecodeError:  # Parquet's strings are UTF-8
        column = pa.array(paths, pa.binary())
    hashes = pa.array([row.tobytes() for row in table.hashes], pa.binary(HASH_BYTES))
    columns = {"path": column, "hash": hashes, "detail": pa.array(table.detail)}
    metadata = {_FAILURES: failures_text(table.failures)}
    content = io.BytesIO()
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), content)
    return [content.getbuffer()]


def read(name: str, content: bytes) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    _, parquet = pyarrow(name)
    table = parquet.read_table(io.BytesIO(content))
    missing = {"path", "hash"} - set(table.column_names)
    if missing:
        raise TableFileError(name, f"has no column {' and '.join(sorted(missing))}")
    paths, hashes = table["path"].to_pylist(), table["hash"].to_pylist()
    for number, (path, row) in enumerate(zip(paths, hashes, strict=True)):
        where = f"row {number} (counted from 0)"
        if not isinstance(path, str | bytes):
            raise TableFileError(name, f"{where} has no path")
        if not isinstance(row, bytes) or len(row) != HASH_BYTES:
            raise TableFileError(name, f"{where} has no {HASH_BYTES} bytes")
    has_detail = "detail" in table.column_names
    detail = table["detail"].to_pylist() if has_detail else [np.nan] * len(paths)
    columns = columns_from_rows(zip(map(_text, paths), hashes, detail, strict=True))
    failures = (table.schema.metadata or {}).get(_FAILURES, b"[]")
    return columns._replace(failures=failures_from_text(failures))


def _text(path: str | bytes) -> str:
    return path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")


def pyarrow(name: str) -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises
    ------
    TableFileError
        pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise TableFileError(
            name, 'Parquet needs pyarrow: pip install "photodna_nb[tables]", or use .npz'
        ) from error
    return pyarrow, pyarrow.parquet
