"""Hashes of many files in one table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, ArgumentTypeError, TableFileError
from photodna_nb.files import PathLike
from photodna_nb.printable import short_repr
from photodna_nb.tables import csv_format, frames, hash_text
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.columns import (
    OWN_NAMES,
    FileFailure,
    TableColumns,
    check_paths,
    columns_from_rows,
    read_options,
)
from photodna_nb.tables.formats import (
    READERS,
    WRITERS,
    format_of,
    format_suffix,
    read_errors,
)
from photodna_nb.tables.result_table import ResultTable, Rows, take

if TYPE_CHECKING:
    import pandas as pd


# Fields that tell of all files, and have no entry for each row; values of rows of a table that
# lacks one of the others.
_WITHOUT_ROWS = {"failures", "skipped", "other"}
_UNKNOWN = {"file_status": -1, "image_size": 0, "from_journal": False}


@short_repr
class HashRow(NamedTuple):
    """A row of a `HashTable`.

    path : str
        Path of the file, or a label.
    hash : ndarray of uint8, (144,)
        Its hash.
    detail : float
        Detail of the image, in grey levels; NaN where it is not known.
    """

    path: str
    hash: NDArray[np.uint8]
    detail: float


@dataclass(frozen=True, eq=False, repr=False)
class HashTable(ResultTable[HashRow]):
    """Hashes of many files, in the order in which the files were given.

    ``table[5]`` is the `HashRow` of a file. A slice, a mask such as
    ``table[table.detail >= 100]`` or an array of row numbers gives a table of those rows, with all
    failures and what was skipped.

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
    from_journal : ndarray of bool, (n,), optional
        Whether each hash is of an earlier call, from the journal of `hash_files` (``output`` or
        ``cache``), and was not computed in this one. None if no file was hashed.
    skipped : dict of str to int
        How many files of folders, or entries of tables, are left out, by the reason: see
        `hash_directory`.
    other : dict of str to list of str
        Further columns of a table that was loaded, n texts each.

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
    from_journal: NDArray[np.bool_] | None = None
    skipped: dict[str, int] = field(default_factory=dict)
    other: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.paths)
        checks.array("hashes", self.hashes, np.uint8, (rows, HASH_BYTES))
        checks.array("detail", self.detail, np.float64, (rows,))
        if self.file_status is not None:
            checks.array("file_status", self.file_status, np.int64, (rows, 2))
        if self.image_size is not None:
            checks.array("image_size", self.image_size, np.int32, (rows, 2))
        if self.from_journal is not None:
            checks.array("from_journal", self.from_journal, np.bool_, (rows,))
        if np.isinf(self.detail).any():
            raise ArgumentError("detail: got an infinite number, needs finite ones or NaN")
        for name, texts in self.other.items():
            if name in OWN_NAMES or len(texts) != rows:
                raise ArgumentError(
                    f"other: got the column {name!r} of {len(texts)} texts, needs {rows}, and a "
                    f"name that is none of {', '.join(OWN_NAMES)}"
                )

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.paths)

    def _contents(self) -> str:
        return f"{len(self):,} hashes and {len(self.failures):,} failures"

    def _columns(self) -> dict[str, Column]:
        return {"path": self.paths, "hash": self.hashes, "detail": self.detail, **self.other}

    def _units(self) -> dict[str, str]:
        return {"detail": "grey levels"}

    def _take(self, rows: Rows) -> HashTable:
        names = self.__dataclass_fields__.keys() - _WITHOUT_ROWS
        columns = {name: take(getattr(self, name), rows) for name in names}
        other = {name: take(texts, rows) for name, texts in self.other.items()}
        return replace(self, **columns, other=other)

    def _record(self, row: int) -> HashRow:
        return HashRow(self.paths[row], self.hashes[row], float(self.detail[row]))

    @classmethod
    def concatenate(cls, tables: Iterable[HashTable]) -> HashTable:
        """Return one table of the rows of several, in order.

        Parameters
        ----------
        tables : iterable of HashTable
            Tables. A failure that several of them have is listed once; numbers of skipped files
            are added. What one of them does not know of its rows counts as unknown.

        Raises
        ------
        ArgumentTypeError
            One of them is no HashTable.
        """
        parts = list(checks.iterable("tables", tables, "several tables of type HashTable"))
        for part in parts:
            if not isinstance(part, HashTable):
                raise ArgumentTypeError(
                    checks.message("tables", f"{checks.describe(part)} among them", "HashTables")
                )
        if not parts:
            return table_from_rows([])
        skipped: Counter[str] = Counter()
        for part in parts:
            skipped.update(part.skipped)
        joined: dict[str, Any] = {
            "paths": [path for part in parts for path in part.paths],
            "failures": list(dict.fromkeys(one for part in parts for one in part.failures)),
            "skipped": dict(skipped),
            "other": {
                name: [text for part in parts for text in part.other.get(name, [""] * len(part))]
                for name in dict.fromkeys(name for part in parts for name in part.other)
            },
        }
        for name in cls.__dataclass_fields__.keys() - joined.keys():
            joined[name] = _joined([getattr(part, name) for part in parts], parts, name)
        return cls(**joined)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> HashTable:
        """Return the table of a DataFrame, such as `to_pandas` returns.

        Parameters
        ----------
        frame : pandas.DataFrame
            With the columns ``path``; ``hash``, 144 bytes or integers, or the text of these in
            base64 or hexadecimal; and ``detail``, in grey levels, which may be missing. Further
            columns become texts, in ``other``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            A column is missing, or a value in it is none of these; the message names the row.
        """
        columns = frames.from_frame(frame)
        return cls(*columns[:4], other=dict(columns.other))

    def save(
        self, path: PathLike, *, spreadsheet: bool = False, hash_format: str | None = None
    ) -> None:
        """Write the table to a file, in one step, in the format of its suffix.

        Parameters
        ----------
        path : str or os.PathLike
            ``.json``: the list that ``--hash-dir`` prints, with absolute paths, detail and further
            columns;
            ``.jsonl``: its entries, one on each line.
            ``.csv``: lines of path and base64, as other PhotoDNA tools write them, with a first
            line of names if there are further columns; no detail. ``.tsv``: the same with tabs.
            ``.txt``: a hash on each line, without paths.
            ``.npz``: NumPy arrays. ``.parquet``: needs pyarrow. Only ``.npz`` and
            ``.parquet`` hold the failures, and a digest by which `load` notices an altered byte.
        spreadsheet : bool
            For a ``.csv`` or ``.tsv`` file that a spreadsheet opens: whether an apostrophe is put
            before texts that begin with ``=``, ``+``, ``-``, ``@``, a tab or a line end, which
            would be run as formulas. It stays part of the path when the table is loaded.
        hash_format : {"base64", "hex", "integers"}, optional
            How hashes are written in a format of text; integers in ``.json`` and ``.jsonl`` and
            base64 in the others if it is not given.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no format of that suffix, or an option is none of these or not one for it.
        TableFileError
            The file cannot be written, or pyarrow is missing.
        """
        name = checks.path("path", path)
        write, form = format_of(name)
        if hash_format is not None:
            form = checks.choice("hash_format", hash_format, hash_text.FORMS)
            format_suffix(name, [suffix for suffix in WRITERS if WRITERS[suffix].form])
        columns = TableColumns(self.paths, self.hashes, self.detail, self.failures, self.other)
        if self.file_status is not None and format_suffix(name, WRITERS) == ".json":
            labels = (self.file_status[:, 0] < 0).tolist()
            paths = zip(self.paths, labels, strict=True)
            columns = columns._replace(
                paths=[path if label else os.path.abspath(path) for path, label in paths]
            )
        if checks.boolean("spreadsheet", spreadsheet):
            format_suffix(name, [".csv", ".tsv"])
            columns = csv_format.harmless_cells(columns)
        try:
            check_paths(columns)
        except ValueError as error:
            raise TableFileError(name, f"cannot be written: {error}") from error
        files.write([(name, write(name, columns, form))], TableFileError)

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        errors: Literal["raise", "record"] = "raise",
        path_column: str | int | None = None,
        hash_column: str | int | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> HashTable:
        """Return the table in a file, in the format of its suffix: see `save`.

        Parameters
        ----------
        path : str or os.PathLike
            File of this package or of another program. Text (``.csv``, ``.tsv``, ``.txt``) may
            have any columns with ``,``, ``;``, tab or ``|`` between them, and names of columns in
            its first line; JSON (``.json``, ``.jsonl``, ``.ndjson``) any keys, as lists of
            ThreatExchange and Project VIC and the metadata of an index have them; ``.xml`` is
            the list of NCMEC; ``.npz`` and ``.parquet`` may have any arrays or columns. Hashes
            are 144 bytes, also in base64, hexadecimal digits or integers. Columns that are none
            of path, hash and detail are in ``other``.
        errors : {"raise", "record"}
            Whether a bad line ends the reading with its error, or is listed in ``failures``,
            such as ``list.csv:17``, and all others are read.
        path_column, hash_column : str or int, optional
            The columns of paths and hashes, by name or by number from 0, where neither known
            names nor what is in them tells which they are. ``path_column=""``: there are no
            paths, and the labels are file and line, such as ``list.csv:17``.
        delimiter : str, optional
            The character between columns, if it cannot be told.
        encoding : str, optional
            Encoding of a text that is neither UTF-8 nor UTF-16, such as ``"cp1252"``.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no format of that suffix, or an option has another type or value.
        TableFileError
            The file is missing or damaged; the message names the line or entry. Or it is not
            clear; the message asks which option says it.
        """
        name = checks.path("path", path)
        read = READERS[format_suffix(name, READERS)]
        options = read_options(errors, path_column, hash_column, delimiter, encoding)
        with read_errors(name, "hashes"):
            columns = read(name, files.read(name, TableFileError), options)
            check_paths(columns)
            return cls(*columns[:4], skipped=dict(columns.skipped), other=dict(columns.other))


def table_from_rows(rows: Iterable[tuple[str, bytes, float]]) -> HashTable:
    """Return the table of rows of path, 144 bytes and detail."""
    return HashTable(*columns_from_rows(rows)[:4])


def _joined(columns: list[NDArray[Any] | None], tables: list[HashTable], name: str) -> Any:
    """Return the entries of all rows, with values for those of tables without the field."""
    known = [column for column in columns if column is not None]
    if not known:
        return None
    return np.concatenate(
        [
            np.full((len(table), *known[0].shape[1:]), _UNKNOWN[name], known[0].dtype)
            if column is None
            else column
            for column, table in zip(columns, tables, strict=True)
        ]
    )
