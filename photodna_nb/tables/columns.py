"""The columns of a table of hashes, which every file format reads and writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES


class FileFailure(NamedTuple):
    """A file that could not be hashed, and the reason."""

    path: str
    error: str


class TableColumns(NamedTuple):
    """The columns of a `HashTable`: see there."""

    paths: list[str]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    failures: list[FileFailure]


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
    for number, path in enumerate(table.paths):
        if "\0" in path or not checks.survives_as_bytes(path):
            raise ValueError(
                f"path {number} (counted from 0), {path[:80]!a}, holds NUL or half of a surrogate "
                "pair, which no file name can; rename it"
            )


def failures_text(failures: Iterable[FileFailure]) -> str:
    """Return failures as JSON, in ASCII."""
    return json.dumps([list(failure) for failure in failures])


def failures_from_text(text: str | bytes) -> list[FileFailure]:
    """Return the failures that `failures_text` wrote."""
    return [FileFailure(*failure) for failure in json.loads(text)]
