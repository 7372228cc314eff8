"""Files of pairs, in ``.npz`` or Parquet, with a digest that is checked when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files, npz
from photodna_nb.errors import TableFileError
from photodna_nb.files import PathLike
from photodna_nb.tables import parquet_format
from photodna_nb.tables.formats import format_suffix, read_errors


class Pairs(NamedTuple):
    """Pairs of hashes, sorted by i and then j.

    i, j : ndarray of int64, (p,)
        Row in `a` and row in `b` of each pair; without `b`, two rows of `a`, i < j.
    distance : ndarray, (p,)
        Distance of each pair: float64 for "euclidean", int32 otherwise.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    distance: NDArray[Any]


PairPieces = Callable[[], Iterator[Pairs]]


def read_pairs(path: PathLike) -> Pairs:
    """Return the pairs in a file that `write_pairs` wrote, after its digest is checked.

    Parameters
    ----------
    path : str or os.PathLike
        An ``.npz`` or ``.parquet`` file.

    Returns
    -------
    Pairs
        All pairs of the file.

    Raises
    ------
    ArgumentError
        The file has another suffix.
    TableFileError
        The file is missing, damaged or of another kind, or pyarrow is missing.

    Notes
    -----
    Takes up to three times the size of an ``.npz`` file in memory. Other programs read the files
    too, and check parts of them: `numpy.load` a CRC of each array, and pyarrow one of each page
    if it is asked to (``page_checksum_verification``).
    """
    name = checks.path("path", path)
    read = FORMATS[format_suffix(name, FORMATS)][1]
    with read_errors(name, "pairs"):
        pairs = Pairs(**read(name, files.read(name, TableFileError)))
        for column, dtypes in zip(pairs, ("int64", "int64", ("int32", "float64")), strict=True):
            if str(column.dtype) not in dtypes or column.shape != pairs.i.shape:
                raise ValueError(f"a column of {column.dtype} and shape {column.shape}")
    return pairs


def _write_npz(
    _: str, dtypes: tuple[type, ...], count: int, pieces: PairPieces, file: BinaryIO
) -> None:
    with npz.new_archive(file) as archive:
        for number, (column, dtype) in enumerate(zip(Pairs._fields, dtypes, strict=True)):
            values = (pairs[number] for pairs in pieces())
            npz.write_member(archive, column, np.dtype(dtype), (count,), values)


def _read_npz(name: str, content: bytes) -> dict[str, NDArray[Any]]:
    return npz.unpack(name, content, Pairs._fields, error_type=TableFileError)


def _write_parquet(
    name: str, dtypes: tuple[type, ...], _: int, pieces: PairPieces, file: BinaryIO
) -> None:
    pa, parquet = parquet_format.pyarrow(name)
    empty: dict[str, NDArray[Any]] = {
        column: np.empty(0, dtype) for column, dtype in zip(Pairs._fields, dtypes, strict=True)
    }
    digest = parquet_format.ContentDigest(empty)
    schema = pa.table(empty).schema
    with parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for pairs in pieces():
            digest.update(pairs._asdict())
            writer.write_table(pa.table(pairs._asdict(), schema))
        writer.add_key_value_metadata(digest.metadata())


def _read_parquet(name: str, content: bytes) -> dict[str, NDArray[Any]]:
    table = parquet_format.read_columns(name, content, Pairs._fields)
    pairs = {column: table[column].to_numpy() for column in Pairs._fields}
    parquet_format.ContentDigest(pairs).check(table.schema.metadata)
    return pairs


# The functions that write and read each format, by suffix.
FORMATS = {".npz": (_write_npz, _read_npz), ".parquet": (_write_parquet, _read_parquet)}
