"""The columns of a table of hashes, which every file format reads and writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError


class FileFailure(NamedTuple):
    """A file that could not be hashed, or a line that could not be read, and the reason."""

    path: str
    error: str


# Names of columns that a file has beside the further ones, whatever its format.
OWN_NAMES = ("path", "hash", "photodna", "detail")


class TableColumns(NamedTuple):
    """The columns of a `HashTable`: see there."""

    paths: list[str]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    failures: list[FileFailure]
    other: Mapping[str, list[str]] = {}
    skipped: Mapping[str, int] = {}


class ReadOptions(NamedTuple):
    """The options of `HashTable.load`: see there. `record` is whether bad lines are recorded."""

    record: bool = False
    path_column: str | int | None = None
    hash_column: str | int | None = None
    delimiter: str | None = None
    encoding: str | None = None


def read_options(
    errors: str,
    path_column: str | int | None,
    hash_column: str | int | None,
    delimiter: str | None,
    encoding: str | None,
) -> ReadOptions:
    """Return the options of `HashTable.load`, checked."""
    checks.choice("errors", errors, ("raise", "record"))
    for name, column in (("path_column", path_column), ("hash_column", hash_column)):
        if column is not None and not isinstance(column, str):
            checks.integer(name, column, 0)
    if delimiter is not None and (
        len(checks.text("delimiter", delimiter)) != 1 or delimiter in '\r\n"\0'
    ):
        raise ArgumentError(checks.message("delimiter", repr(delimiter), "one character"))
    if encoding is not None:
        try:
            b"a".decode(checks.text("encoding", encoding))
        except UnicodeError:
            pass  # it needs more bytes
        except (LookupError, ValueError) as error:
            needed = "an encoding of Python, such as 'cp1252'"
            raise ArgumentError(checks.message("encoding", repr(encoding), needed)) from error
    return ReadOptions(errors == "record", path_column, hash_column, delimiter, encoding)


def columns_from_rows(rows: Iterable[tuple[str, bytes, float]]) -> TableColumns:
    """Return the columns of rows of path, 144 bytes and detail."""
    paths: list[str] = []
    hashes = bytearray()
    detail: list[float] = []
    for path, row, its_detail in rows:
        paths.append(path)
        hashes += row
        detail.append(its_detail)
    joined = np.frombuffer(bytes(hashes), np.uint8).reshape(len(paths), HASH_BYTES)
    return TableColumns(paths, joined, np.array(detail, np.float64), [])


def check_paths(table: TableColumns) -> None:
    """Raise a ValueError if a path is none that `os.fsdecode` can return.

    In a file it would become another one, and a NUL ends a text.
    """
    if not all(
        map(is_path, (text for pair in table.other.items() for text in (pair[0], *pair[1])))
    ):
        raise ValueError("a further column holds NUL or half of a surrogate pair; replace it")
    for number, path in enumerate(table.paths):
        if not is_path(path):
            raise ValueError(
                f"path {number} (counted from 0), {path[:80]!a}, holds NUL or half of a surrogate "
                "pair, which no file name can; rename it"
            )


def is_path(path: str) -> bool:
    """Return whether a text is one that `os.fsdecode` can return."""
    return "\0" not in path and checks.survives_as_bytes(path)


def failures_text(failures: Iterable[FileFailure]) -> str:
    """Return failures as JSON, in ASCII."""
    return json.dumps([list(failure) for failure in failures])


def failures_from_text(text: str | bytes) -> list[FileFailure]:
    """Return the failures that `failures_text` wrote."""
    return [FileFailure(*failure) for failure in json.loads(text)]
