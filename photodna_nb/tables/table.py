"""Hashes of many files in one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, PhotodnaError, TableFileError
from photodna_nb.files import PathLike
from photodna_nb.tables import csv_format
from photodna_nb.tables.columns import (
    FileFailure,
    TableColumns,
    check_paths,
    columns_from_rows,
)
from photodna_nb.tables.formats import format_of, format_suffix, read_errors

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class HashTable:
    """Hashes of many files, in the order in which the files were given.

    Attributes
    ----------
    paths : list of str, n
        Paths of the hashed files. Bytes that are not UTF-8 are as `os.fsdecode` gives them.
    hashes : ndarray of uint8, (n, 144)
        Hashes of the files.
    detail : ndarray of float64, (n,)
        Detail of the images, in grey levels; NaN where it is not known.
    failures : list of FileFailure
        Files that could not be hashed.
    file_status : ndarray of int64, (n, 2), optional
        Size in bytes and time of modification in nanoseconds of each file when it was hashed; -1
        for hashes from a table, whose paths are labels to an index. None if all are such.
    image_size : ndarray of int32, (n, 2), optional
        Width and height of each image in pixels; zeros where they are not known. None if all
        are such.
    skipped : dict of str to int
        How many files of folders were not hashed, by the reason: see `hash_directory`.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An array has another dtype or shape.
    """

    paths: list[str]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    failures: list[FileFailure] = field(default_factory=list)
    file_status: NDArray[np.int64] | None = None
    image_size: NDArray[np.int32] | None = None
    skipped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.paths)
        checks.array("hashes", self.hashes, np.uint8, (rows, HASH_BYTES))
        checks.array("detail", self.detail, np.float64, (rows,))
        if self.file_status is not None:
            checks.array("file_status", self.file_status, np.int64, (rows, 2))
        if self.image_size is not None:
            checks.array("image_size", self.image_size, np.int32, (rows, 2))
        if np.isinf(self.detail).any():
            raise ArgumentError("detail: got an infinite number, needs finite ones or NaN")

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<HashTable of {len(self)} hashes and {len(self.failures)} failures>"

    def save(self, path: PathLike, *, spreadsheet: bool = False) -> None:
        """Write the table to a file, in one step, in the format of its suffix.

        Parameters
        ----------
        path : str or os.PathLike
            ``.json``: the list that ``--hash-dir`` prints, with the detail.
            ``.csv``: lines of path and base64, as other PhotoDNA tools write them; no detail.
            ``.npz``: NumPy arrays. ``.parquet``: needs pyarrow. Only ``.npz`` and
            ``.parquet`` hold the failures, and a digest by which `load` notices an altered byte.
        spreadsheet : bool
            For a ``.csv`` file that a spreadsheet opens: whether an apostrophe is put before
            paths that begin with ``=``, ``+``, ``-``, ``@``, a tab or a line end, which would be
            run as formulas. It stays part of the path when the table is loaded.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no format of that suffix, or `spreadsheet` is no bool or set for another one.
        TableFileError
            The file cannot be written, or pyarrow is missing.
        """
        name = checks.path("path", path)
        columns = TableColumns(self.paths, self.hashes, self.detail, self.failures)
        if checks.boolean("spreadsheet", spreadsheet):
            format_suffix(name, [".csv"])
            columns = columns._replace(paths=list(map(csv_format.harmless_cell, self.paths)))
        try:
            check_paths(columns)
        except ValueError as error:
            raise TableFileError(name, f"cannot be written: {error}") from error
        files.write([(name, format_of(name).write(name, columns))], TableFileError)

    @classmethod
    def load(cls, path: PathLike) -> HashTable:
        """Return the table in a file, in the format of its suffix: see `save`.

        Parameters
        ----------
        path : str or os.PathLike
            File of this package or, for ``.json`` and ``.csv``, of another program.

        Raises
        ------
        ArgumentError
            There is no format of that suffix.
        TableFileError
            The file is missing or damaged; the message names the line or entry.
        """
        name = checks.path("path", path)
        read = format_of(name).read
        with read_errors(name, "hashes"):
            columns = read(name, files.read(name, TableFileError))
            check_paths(columns)
            return cls(*columns)

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame with the columns path, hash (144 bytes) and detail.

        Raises
        ------
        PhotodnaError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise PhotodnaError(
                'to_pandas needs pandas: pip install "photodna_nb[tables]"'
            ) from error
        rows = [row.tobytes() for row in self.hashes]
        # Objects, since a path need not be UTF-8 and the strings of pandas are.
        paths = pd.Series(self.paths, dtype=object)
        return pd.DataFrame({"path": paths, "hash": rows, "detail": self.detail})


def table_from_rows(rows: Iterable[tuple[str, bytes, float]]) -> HashTable:
    """Return the table of rows of path, 144 bytes and detail."""
    return HashTable(*columns_from_rows(rows))
