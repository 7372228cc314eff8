"""The file formats of tables, by suffix. A new format is a module and an entry in `FORMATS`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from photodna_nb import checks, files
from photodna_nb.errors import ArgumentError, ErrorContext, TableFileError
from photodna_nb.files import PathLike
from photodna_nb.tables import csv_format, json_format, npz_format, parquet_format
from photodna_nb.tables.columns import TableColumns


class TableFormat(NamedTuple):
    """The functions of a file format.

    write : callable
        Takes the name of the file, for errors, and the columns; returns the content in chunks.
    read : callable
        Takes the name of the file, for errors, and its content; returns the columns.
    """

    write: Callable[[str, TableColumns], Iterable[files.Content]]
    read: Callable[[str, bytes], TableColumns]


FORMATS = {
    ".json": TableFormat(json_format.write, json_format.read),
    ".csv": TableFormat(csv_format.write, csv_format.read),
    ".npz": TableFormat(npz_format.write, npz_format.read),
    ".parquet": TableFormat(parquet_format.write, parquet_format.read),
}


def format_of(name: str) -> TableFormat:
    """Return the format of a file, by its suffix.

    Raises
    ------
    ArgumentError
        There is no format of that suffix.
    """
    return FORMATS[format_suffix(name, FORMATS)]


def is_table(name: str) -> bool:
    """Return whether a file is a table of hashes, by its suffix."""
    return os.path.splitext(name)[1].lower() in FORMATS


def format_suffix(name: str, suffixes: Collection[str]) -> str:
    """Return the suffix of a file, or raise an ArgumentError if it is none of `suffixes`."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in suffixes:
        needed = f"one of {', '.join(suffixes)}"
        raise ArgumentError(checks.message("path", f"the suffix {suffix!r}", needed))
    return suffix


def check_target(path: PathLike, suffixes: Collection[str] = FORMATS.keys()) -> str:
    """Return the suffix of a file that is written later, if that can be done.

    Raises
    ------
    ArgumentError
        There is no format of that suffix.
    TableFileError
        The file cannot be replaced, its folder cannot be written, or pyarrow is missing.
    """
    name = checks.path("path", path)
    suffix = format_suffix(name, suffixes)
    if suffix == ".parquet":
        parquet_format.pyarrow(name)
    folder = os.path.dirname(files.target_of(name, TableFileError))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise TableFileError(
            name, "cannot be written: its folder is missing or write-protected; check the path"
        )
    return suffix


def read_errors(name: str, content: str) -> ErrorContext:
    """Return a context that turns whatever is raised while a table is read into TableFileError."""

    def translated(error: BaseException) -> TableFileError | None:
        if isinstance(error, TableFileError) or not isinstance(error, Exception):
            return None
        if isinstance(error, MemoryError):
            return TableFileError(name, "needs more memory than is free; free some")
        # NumPy, pyarrow and csv raise nearly anything.
        problem = f"{type(error).__name__}: {error}"
        return TableFileError(name, f"is damaged or no table of {content} ({problem})")

    return ErrorContext(translated)
