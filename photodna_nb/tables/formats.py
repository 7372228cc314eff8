"""The file formats of tables, by suffix. A new one is a module, a reader and a writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from photodna_nb import checks, files
from photodna_nb.errors import ArgumentError, ErrorContext, TableFileError
from photodna_nb.files import PathLike
from photodna_nb.tables import csv_format, json_format, list_formats, npz_format, parquet_format
from photodna_nb.tables.columns import ReadOptions, TableColumns


class TableWriter(NamedTuple):
    """How a file format is written.

    write : callable
        Takes the name of the file, for errors, the columns, and the form of hashes, a key of
        `hash_text.FORMS`; returns the content in chunks.
    form : str
        The form if none is given; "" where there is only one.
    """

    write: Callable[[str, TableColumns, str], Iterable[files.Content]]
    form: str = ""


# Each reader takes the name of the file, for errors, its content and the options.
READERS: dict[str, Callable[[str, bytes, ReadOptions], TableColumns]] = {
    ".json": json_format.read,
    ".jsonl": json_format.read_lines,
    ".ndjson": json_format.read_lines,
    ".csv": csv_format.read,
    ".tsv": csv_format.read,
    ".txt": csv_format.read,
    ".xml": list_formats.read_xml,
    ".npz": npz_format.read,
    ".parquet": parquet_format.read,
}
WRITERS = {
    ".json": TableWriter(json_format.write, "integers"),
    ".jsonl": TableWriter(json_format.write_lines, "integers"),
    ".csv": TableWriter(csv_format.writer(","), "base64"),
    ".tsv": TableWriter(csv_format.writer("\t"), "base64"),
    ".txt": TableWriter(csv_format.write_hashes, "base64"),
    ".npz": TableWriter(npz_format.write),
    ".parquet": TableWriter(parquet_format.write),
}


def format_of(name: str) -> TableWriter:
    """Return how a file is written, by its suffix.

    Raises
    ------
    ArgumentError
        There is no format of that suffix.
    """
    return WRITERS[format_suffix(name, WRITERS)]


def is_table(name: str) -> bool:
    """Return whether a file is a table of hashes, by its suffix."""
    return os.path.splitext(name)[1].lower() in READERS


def format_suffix(name: str, suffixes: Collection[str]) -> str:
    """Return the suffix of a file, or raise an ArgumentError if it is none of `suffixes`."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in suffixes:
        needed = f"one of {', '.join(suffixes)}"
        raise ArgumentError(checks.message("path", f"the suffix {suffix!r}", needed))
    return suffix


def check_target(path: PathLike, suffixes: Collection[str] = WRITERS.keys()) -> str:
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
        if isinstance(error, UnicodeError):
            encoding = getattr(error, "encoding", "UTF-16 or UTF-32")
            remedy = "give the encoding it has as encoding= (--encoding), such as cp1252"
            return TableFileError(name, f"is no text in {encoding}; {remedy}")
        # NumPy, pyarrow and csv raise nearly anything.
        problem = f"{type(error).__name__}: {error}"
        reason = f"is damaged or no table of {content} ({problem})"
        return TableFileError(name, f"{reason}; get a complete copy, or correct it")

    return ErrorContext(translated)
