"""Tables in Parquet, through pyarrow: with checksums of the pages and a digest of the content.

The checksums protect neither the names nor the types of the columns, and other programs need
not check them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

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

# Keys of the metadata of the schema.
_FAILURES = b"photodna_nb.failures"
_OTHER = b"photodna_nb.other"
_DIGEST = b"photodna_nb.digest"
# The field_id of the paths in a file with a digest: one altered byte can remove all metadata of the
# schema, and with them the failures.
_FIELD_ID = {b"PARQUET:field_id": b"144"}
# Rows that are read, or become values of Python, at once; bytes of a value beside texts.
_ROWS_AT_ONCE = 4096
_VALUE_BYTES = 16


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


def write(name: str, table: TableColumns, _: str) -> list[memoryview]:
    """Return the content of a file, whose name is for errors."""
    pa, parquet = pyarrow(name)
    hashes = pa.array([row.tobytes() for row in table.hashes], pa.binary(HASH_BYTES))
    paths = _text_column(pa, table.paths)
    path = pa.field("path", paths.type, metadata=_FIELD_ID)
    other = {column: _text_column(pa, texts) for column, texts in table.other.items()}
    schema = pa.schema(
        [path, ("hash", hashes.type), ("detail", pa.float64())]
        + [(column, texts.type) for column, texts in other.items()]
    )
    metadata = {_FAILURES: failures_text(table.failures).encode("ascii")}
    if other:
        metadata[_OTHER] = json.dumps(list(other)).encode("ascii")
    metadata |= _content_digest(table).metadata()
    content = io.BytesIO()
    parquet.write_table(
        pa.table(
            [paths, hashes, pa.array(table.detail), *other.values()],
            schema.with_metadata(metadata),
        ),
        content,
        write_page_checksum=True,
    )
    return [content.getbuffer()]


def _text_column(pa: Any, texts: Sequence[str]) -> Any:
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    try:
        return pa.array([text.decode("utf-8") for text in encoded], pa.string())
    except UnicodeDecodeError:  # Parquet's strings are UTF-8
        return pa.array(encoded, pa.binary())


def read(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in the content of a file, whose name is for errors."""
    table = read_columns(name, content)
    names = table.column_names
    if len(set(names)) < len(names):
        raise TableFileError(name, f"has two columns of one name: {', '.join(sorted(names))[:200]}")
    if "detail" in names and not pyarrow(name)[0].types.is_floating(table["detail"].type):
        raise TableFileError(name, f"its detail is of type {table['detail'].type}, no float")
    metadata = table.schema.metadata or {}
    field = table.schema.field("path") if "path" in names else None
    marked = field is not None and _FIELD_ID.items() <= (field.metadata or {}).items()
    checked = marked or _DIGEST in metadata
    if checked:
        options = options._replace(record=False)  # a bad row would be missing in the digest
    rows = RowCollector(name, len(content), "row", record=options.record)
    cells = zip(*(_cells(column) for column in table.columns), strict=True)
    numbered = enumerate(dict(zip(names, row, strict=True)) for row in cells)
    columns = entries.collect(name, rows, numbered, options, names)
    earlier = failures_from_text(metadata.get(_FAILURES, b"[]"))
    columns = columns._replace(failures=[*earlier, *columns.failures])
    if checked:
        own = json.loads(metadata.get(_OTHER, b"[]"))
        other = {column: columns.other[column] for column in own}
        _content_digest(columns._replace(other=other)).check(metadata, needed=marked)
    return columns


def _cells(column: Any) -> Iterator[Any]:
    """Yield the values of a column: a list of bytes as bytes, a text that is repeated only once."""
    import pyarrow as pa

    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            values = chunk.dictionary.to_pylist()
            yield from (None if i is None else values[i] for i in chunk.indices.to_pylist())
        elif _is_list(chunk.type) and pa.types.is_integer(chunk.type.value_type):
            for start in range(0, len(chunk), _ROWS_AT_ONCE):
                yield from _lists(chunk.slice(start, _ROWS_AT_ONCE))
        else:
            for start in range(0, len(chunk), _ROWS_AT_ONCE):
                yield from chunk.slice(start, _ROWS_AT_ONCE).to_pylist()


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _lists(chunk: Any) -> Iterator[Any]:
    """Yield the lists of a chunk: as bytes where all values of the chunk are from 0 to 255."""
    import pyarrow.compute

    values = chunk.flatten()
    extremes = pyarrow.compute.min_max(values).as_py()
    if values.null_count or not len(values) or extremes["min"] < 0 or extremes["max"] > 255:
        yield from chunk.to_pylist()
        return
    content = values.to_numpy().astype(np.uint8).tobytes()
    start = 0
    for length in pyarrow.compute.list_value_length(chunk).to_pylist():
        yield None if length is None else content[start : start + length]
        start += length or 0


def read_columns(name: str, content: bytes, needed: Sequence[str] | None = None) -> Any:
    """Return the pyarrow table of some columns, or all, if it is not much larger than the file.

    Texts stay in dictionaries: a few bytes may name a long one a million times.
    """
    pa, parquet = pyarrow(name)
    schema = parquet.read_schema(io.BytesIO(content))
    names = schema.names
    columns = names if needed is None else list(needed)
    missing = set(columns) - set(names)
    if missing:
        raise TableFileError(name, f"has no column {' and '.join(sorted(missing))}")
    flat = [field.name for field in schema if not field.type.num_fields and field.name in columns]
    file = parquet.ParquetFile(
        io.BytesIO(content), read_dictionary=flat, page_checksum_verification=True
    )
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    limit = npz.unpacked_limit(len(content))
    row_bytes = max(HASH_BYTES, _VALUE_BYTES * len(flat))
    _check_size(
        sum(max(group.total_byte_size, group.num_rows * row_bytes) for group in groups), limit
    )
    nested = len(flat) < len(columns)
    table = _read_batches(pa, file, limit) if nested else file.read(needed and columns)
    _check_size(sum(map(_text_bytes, table.columns)), limit)
    return table


def _read_batches(pa: Any, file: Any, limit: int) -> Any:
    """Return the pyarrow table of all columns; that of a list does not say how long it is."""
    batches, size = [], 0
    for batch in file.iter_batches(_ROWS_AT_ONCE):
        size += batch.nbytes
        _check_size(size, limit)
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema_arrow if not batches else None)


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
            **{f"other {name}": npz.pack_texts(texts) for name, texts in table.other.items()},
        }
    )


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
