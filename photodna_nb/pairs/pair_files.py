"""Files of pairs, in ``.npz`` or Parquet, with a digest that is checked when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files, npz
from photodna_nb.errors import TableFileError
from photodna_nb.printable import short_repr
from photodna_nb.tables import parquet_format
from photodna_nb.tables.formats import format_suffix, read_errors


@short_repr
class PairColumns(NamedTuple):
    """The columns of pairs in a file: see `Pairs`."""

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    distance: NDArray[Any]


PairPieces = Callable[[], Iterator[PairColumns]]


def read(name: str) -> PairColumns:
    """Return the pairs in a file: see `read_pairs`."""
    read_format = FORMATS[format_suffix(name, FORMATS)][1]
    with read_errors(name, "pairs"):
        pairs = PairColumns(**read_format(name, files.read(name, TableFileError)))
        for column, dtypes in zip(pairs, ("int64", "int64", ("int32", "float64")), strict=True):
            if str(column.dtype) not in dtypes or column.shape != pairs.i.shape:
                raise ValueError(f"a column of {column.dtype} and shape {column.shape}")
    return pairs


def write(name: str, dtypes: tuple[type, ...], count: int, pieces: PairPieces) -> None:
    """Write pairs to a file in the format of its suffix, in one step.

    Parameters
    ----------
    name : str
        Path of the file.
    dtypes : tuple of type
        Type of each column.
    count : int
        Number of pairs.
    pieces : callable
        Returns an iterator over the pairs; it may be called more than once.
    """
    write_format = FORMATS[format_suffix(name, FORMATS)][0]
    content = partial(write_format, name, dtypes, count, pieces)
    files.write([(name, content)], TableFileError)


def _write_npz(
    _: str, dtypes: tuple[type, ...], count: int, pieces: PairPieces, file: BinaryIO
) -> None:
    with npz.new_archive(file) as archive:
        for number, (column, dtype) in enumerate(zip(PairColumns._fields, dtypes, strict=True)):
            values = (pairs[number] for pairs in pieces())
            npz.write_member(archive, column, np.dtype(dtype), (count,), values)


def _read_npz(name: str, content: bytes) -> dict[str, NDArray[Any]]:
    return npz.unpack(name, content, PairColumns._fields, error_type=TableFileError)


def _write_parquet(
    name: str, dtypes: tuple[type, ...], _: int, pieces: PairPieces, file: BinaryIO
) -> None:
    pa, parquet = parquet_format.pyarrow(name)
    empty: dict[str, NDArray[Any]] = {
        column: np.empty(0, dtype)
        for column, dtype in zip(PairColumns._fields, dtypes, strict=True)
    }
    digest = parquet_format.ContentDigest(empty)
    schema = pa.table(empty).schema
    with parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for pairs in pieces():
            digest.update(pairs._asdict())
            writer.write_table(pa.table(pairs._asdict(), schema))
        writer.add_key_value_metadata(digest.metadata())


def _read_parquet(name: str, content: bytes) -> dict[str, NDArray[Any]]:
    table = parquet_format.read_columns(name, content, PairColumns._fields)
    pairs = {column: table[column].to_numpy() for column in PairColumns._fields}
    parquet_format.ContentDigest(pairs).check(table.schema.metadata)
    return pairs


# The functions that write and read each format, by suffix.
FORMATS = {".npz": (_write_npz, _read_npz), ".parquet": (_write_parquet, _read_parquet)}
