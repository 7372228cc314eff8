"""The rows of a table while it is read, where a bad one is recorded or ends the reading."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import npz
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.tables.columns import OWN_NAMES, FileFailure, TableColumns, is_path

# A file with more bad lines, which are most of it, is no table.
_MOST_FAILURES = 100_000
_POINTER_BYTES = 8
# Why an entry that is no failure is left out.
OTHER_KIND = "no PhotoDNA hash"


class Skipped(NamedTuple):
    """Stands for an entry that is no row, and no failure either."""

    reason: str


class RowCollector:
    """Collects rows that come one after another.

    Parameters
    ----------
    name : str
        Name of the file, for errors and labels.
    size : int
        Bytes of the file, to which the memory of further columns is limited.
    unit : str
        What a number counts: ``"line"`` from 1, ``"entry"`` or ``"row"`` from 0.
    record : bool
        Whether bad rows are recorded, not raised.
    """

    def __init__(self, name: str, size: int, unit: str, *, record: bool) -> None:
        self._name, self._size, self._unit, self._record = name, size, unit, record
        self._paths: list[str] = []
        self._hashes = bytearray()
        self._detail: list[float] = []
        self._failures: list[FileFailure] = []
        self._other: dict[str, list[str]] = {}
        self._skipped: dict[str, int] = {}

    def name_columns(self, names: Iterable[str]) -> None:
        """Have further columns of these names, also if there are no rows."""
        self._other = {name: [] for name in names}
        if not all(map(is_path, self._other)):
            raise TableFileError(self._name, "has a column whose name holds NUL; rename it")

    def add(
        self,
        number: int,
        path: str | None,
        hash_bytes: bytes,
        detail: float = math.nan,
        other: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Add a row; without a path, its label is file and number, such as ``list.txt:3``."""
        if path is None:
            path = self._place(os.path.basename(self._name), number)
        if not is_path(path) or (
            other and not all(is_path(text) for pair in other for text in pair)
        ):
            self.fail(number, "has a text with NUL or half of a surrogate pair, which no path has")
        elif math.isinf(detail):
            self.fail(number, "has an infinite detail, needs a finite number")
        else:
            row = len(self._paths)
            self._paths.append(path)
            self._hashes += hash_bytes
            self._detail.append(detail)
            for key, text in other:
                column = self._other.get(key)
                if column is None:
                    column = self._other[key] = []
                    self._check_size()
                if len(column) < row:
                    column.extend([""] * (row - len(column)))
                column.append(text)

    def fail(self, number: int, problem: str) -> None:
        """Record a bad row, or raise a TableFileError that names it."""
        if not self._record:
            counted = "" if self._unit == "line" else " (counted from 0)"
            raise TableFileError(self._name, f"{self._unit} {number}{counted} {problem}")
        self._failures.append(FileFailure(self._place(self._name, number), problem))
        if len(self._failures) > max(_MOST_FAILURES, len(self._paths)):
            place, problem = self._failures[0]
            raise TableFileError(
                self._name,
                f"most of it is no table of hashes: {len(self._failures):,} times a bad "
                f"{self._unit}, first {place.removeprefix(self._name)}, which {problem}",
            )

    def skip(self, reason: str) -> None:
        """Count an entry that is no row, and no failure either."""
        self._skipped[reason] = self._skipped.get(reason, 0) + 1

    def without_skipped(self, entries: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Yield numbered entries, but count those that are `Skipped`."""
        for number, entry in entries:
            if isinstance(entry, Skipped):
                self.skip(entry.reason)
            else:
                yield number, entry

    def columns(self) -> TableColumns:
        """Return what was collected."""
        n_rows = len(self._paths)
        self._check_size()
        other: dict[str, list[str]] = {}
        for key, column in self._other.items():
            column.extend([""] * (n_rows - len(column)))
            name = key
            while name in OWN_NAMES or name in other or (name != key and name in self._other):
                name += "_"
            other[name] = column
        return TableColumns(
            self._paths,
            np.frombuffer(bytes(self._hashes), np.uint8).reshape(n_rows, HASH_BYTES),
            np.array(self._detail, np.float64),
            self._failures,
            other,
            self._skipped,
        )

    def _place(self, name: str, number: int) -> str:
        return f"{name}:{number}" if self._unit == "line" else f"{name}[{number}]"

    def _check_size(self) -> None:
        """Refuse names of columns that nearly every row lacks: each has a cell in each row."""
        cells = len(self._other) * len(self._paths)
        if cells * _POINTER_BYTES > npz.unpacked_limit(self._size):
            raise TableFileError(
                self._name,
                f"has {len(self._other):,} further columns in {len(self._paths):,} rows, most of "
                "them empty; leave columns out",
            )
