"""Tables in Parquet, through pyarrow: with checksums of the pages and a digest of the content.

The checksums protect neither the names nor the types of the columns, and other programs need
not check them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import npz
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import (
    TableColumns,
    columns_from_rows,
    failures_from_text,
    failures_text,
)

# Keys of the metadata of the schema.
_FAILURES = b"photodna_nb.failures"
_DIGEST = b"photodna_nb.digest"
# The field_id of the paths in a file with a digest: one altered byte can remove all metadata of the
# schema, and with them the failures.
_FIELD_ID = {b"PARQUET:field_id": b"144"}


class ContentDigest:
    """SHA-256 of the values in the columns of a table, which may come in pieces.

    Parameters
    ----------
    columns : mapping of str to ndarray
        The first values, of all columns.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._digests: dict[str, Any] = {}
        self.update(columns)

    def update(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add the next values of each column."""
        for name, values in columns.items():
            little = values.dtype.newbyteorder("<")
            digest = self._digests.setdefault(name, sha256(f"{name} {little.str} ".encode()))
            digest.update(np.ascontiguousarray(values, little).data)

    def metadata(self) -> dict[bytes, bytes]:
        """Return the entry of the metadata that holds the digest."""
        digests = b"".join(digest.digest() for digest in self._digests.values())
        return {_DIGEST: sha256(digests).hexdigest().encode("ascii")}

    def check(self, metadata: Mapping[bytes, bytes] | None, *, needed: bool = False) -> None:
        """Raise a ValueError if a file's metadata hold another digest, or lack one it `needed`."""
        expected = self.metadata()[_DIGEST]
        if (metadata or {}).get(_DIGEST, b"" if needed else expected) != expected:
            raise ValueError(
                "its digest does not hold; if another program changed it, save it there without "
                "the metadata of its schema and fields"
            )


def write(name: str, table: TableColumns) -> list[memoryview]:
    """Return the content of a file, whose name is for errors."""
    pa, parquet = pyarrow(name)
    paths = [path.encode("utf-8", "surrogateescape") for path in table.paths]
    try:
        column = pa.array([path.decode("utf-8") for path in paths], pa.string())
    except UnicodeDecodeError:  # Parquet's strings are UTF-8
        column = pa.array(paths, pa.binary())
    hashes = pa.array([row.tobytes() for row in table.hashes], pa.binary(HASH_BYTES))
    path = pa.field("path", column.type, metadata=_FIELD_ID)
    schema = pa.schema([path, ("hash", hashes.type), ("detail", pa.float64())])
    failures = {_FAILURES: failures_text(table.failures).encode("ascii")}
    metadata = failures | _content_digest(table).metadata()
    content = io.BytesIO()
    parquet.write_table(
        pa.table([column, hashes, pa.array(table.detail)], schema.with_metadata(metadata)),
        content,
        write_page_checksum=True,
    )
    return [content.getbuffer()]


def read(name: str, content: bytes) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    table = read_columns(name, content, ("path", "hash"), ("detail",))
    pa, _ = pyarrow(name)
    paths, hashes = table["path"].to_pylist(), table["hash"].to_pylist()
    for number, (path, row) in enumerate(zip(paths, hashes, strict=True)):
        where = f"row {number} (counted from 0)"
        if not isinstance(path, str | bytes):
            raise TableFileError(name, f"{where} has no path")
        if not isinstance(row, bytes) or len(row) != HASH_BYTES:
            raise TableFileError(name, f"{where} has no {HASH_BYTES} bytes")
    detail = [np.nan] * len(paths)
    if "detail" in table.column_names:
        if not pa.types.is_floating(table["detail"].type):
            raise TableFileError(name, f"its detail is of type {table['detail'].type}, no float")
        detail = table["detail"].to_pylist()
    metadata = table.schema.metadata or {}
    columns = columns_from_rows(zip(map(_text, paths), hashes, detail, strict=True))._replace(
        failures=failures_from_text(metadata.get(_FAILURES, b"[]"))
    )
    marked = _FIELD_ID.items() <= (table.schema.field("path").metadata or {}).items()
    _content_digest(columns).check(metadata, needed=marked)
    return columns


def read_columns(
    name: str, content: bytes, needed: Sequence[str], optional: Sequence[str] = ()
) -> Any:
    """Return the pyarrow table of some columns, if it is not much larger than the file.

    Texts stay in dictionaries: a few bytes may name a long one a million times.
    """
    _, parquet = pyarrow(name)
    names = parquet.read_schema(io.BytesIO(content)).names
    missing = set(needed) - set(names)
    if missing:
        raise TableFileError(name, f"has no column {' and '.join(sorted(missing))}")
    columns = [column for column in (*needed, *optional) if column in names]
    file = parquet.ParquetFile(
        io.BytesIO(content), read_dictionary=columns, page_checksum_verification=True
    )
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    limit = npz.unpacked_limit(len(content))
    _check_size(
        sum(max(group.total_byte_size, group.num_rows * HASH_BYTES) for group in groups), limit
    )
    table = file.read(columns)
    _check_size(sum(map(_text_bytes, table.columns)), limit)
    return table


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"it unpacks to {size:,} bytes; save it without compression")


def _text_bytes(column: Any) -> int:
    """Return the bytes of all texts that a column in dictionaries stands for."""
    import pyarrow.compute

    return sum(
        pyarrow.compute.sum(pyarrow.compute.binary_length(chunk.dictionary).take(chunk.indices))
        .cast("int64")
        .as_py()
        or 0
        for chunk in column.chunks
        if hasattr(chunk, "dictionary")
    )


def _content_digest(table: TableColumns) -> ContentDigest:
    return ContentDigest(
        {
            "paths": npz.pack_texts(table.paths),
            "hashes": table.hashes,
            # There is more than one NaN.
            "detail": np.where(np.isnan(table.detail), np.nan, table.detail),
            "failures": npz.pack_texts([failures_text(table.failures)]),
        }
    )


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
