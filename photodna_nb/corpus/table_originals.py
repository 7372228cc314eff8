"""The rows of a table of hashes as originals without pictures."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from PIL import Image

from photodna_nb.corpus.originals import Dataset, Original
from photodna_nb.errors import ArgumentError, FileError, ImageError
from photodna_nb.files import PathLike
from photodna_nb.printable import printable, short_repr
from photodna_nb.tables.table import HashTable

# Every two rows are compared: these take hours, and more would take days.
MOST_ROWS = 500_000
# Pairs of rows of one group are genuine pairs, which are compared and stored one by one.
MOST_GROUP_PAIRS = 1_000_000


@short_repr
@dataclass(frozen=True)
class HashOriginal(Original):
    """A hash of a table, which has no picture.

    Attributes
    ----------
    hash : bytes
        The hash.
    detail : float
        Detail of the image, in grey levels; NaN where it is not known.
    group : str
        Group of rows that show the same; "" for a row that is in none.
    """

    hash: bytes
    detail: float
    group: str

    def of_source(self, source: str) -> Original:
        """Do as of other originals; the groups of two tables with the same text stay two groups."""
        group = f"{source}/{self.group}" if self.group else ""
        return Original.of_source(replace(self, group=group), source)

    def open(self) -> Image.Image:
        """Raise an ImageError."""
        raise ImageError(self.name, "is a hash of a table, which has no picture; none can be shown")

    def digest(self) -> str:
        """Return the SHA-256 of the values of the row."""
        detail = None if math.isnan(self.detail) else self.detail
        values = json.dumps([self.name, self.group, detail, self.hash.hex()])
        return sha256(values.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class UnreadableOriginal(Original):
    """A row of a table that cannot be read.

    Attributes
    ----------
    problem : str
        What is wrong with it.
    """

    problem: str

    def open(self) -> Image.Image:
        """Raise an ImageError."""
        raise ImageError(self.name, self.problem)

    def digest(self) -> str:
        """Raise an ImageError."""
        raise ImageError(self.name, self.problem)


@dataclass(frozen=True)
class TableRows(Sequence[Original]):
    """The rows of a table, and then those that cannot be read, as originals."""

    table: HashTable
    groups: Sequence[str]
    unreadable: Sequence[UnreadableOriginal]

    def __len__(self) -> int:
        return len(self.table) + len(self.unreadable)

    def __getitem__(self, index: Any) -> Any:
        numbers = range(len(self))[index]
        return (
            self._original(numbers) if isinstance(numbers, int) else [*map(self._original, numbers)]
        )

    def __iter__(self) -> Iterator[Original]:
        return map(self._original, range(len(self)))

    def _original(self, number: int) -> Original:
        if number >= len(self.table):
            return self.unreadable[number - len(self.table)]
        row, group = self.table[number], self.groups[number] if self.groups else ""
        return HashOriginal(row.path, row.hash.tobytes(), row.detail, group)


def from_table(path: PathLike, group: str | None = None, **options: Any) -> Dataset:
    """Return the hashes in a table as originals, which have no pictures.

    Parameters
    ----------
    path : str or os.PathLike
        Table of hashes in any format of `HashTable.load`.
    group : str, optional
        Name of a further column. Rows with the same text there show the same; those without a
        text are in no group.
    **options
        ``path_column``, ``hash_column``, ``delimiter`` and ``encoding`` of `HashTable.load`.

    Returns
    -------
    Dataset
        Each original has the path of its row as its name. Lines that cannot be read follow, for
        a run to list them as failures.

    Raises
    ------
    FileError
        The table cannot be read, has no rows or too many, or two rows have the same path.
    ArgumentError, ArgumentTypeError
        There is no such column, or an option has another type or value.
    """
    name = os.fsdecode(path)
    table = HashTable.load(path, errors="record", **options)
    if not len(table):
        first = f"; the first line that is bad: {table.failures[0].error}" if table.failures else ""
        raise FileError(name, f"holds no hashes{first}; check the path")
    if len(table) > MOST_ROWS:
        raise FileError(
            name,
            f"has {len(table):,} rows, and every two of them are compared; take a random sample of "
            f"at most {MOST_ROWS:,} rows",
        )
    rows: dict[str, int] = {}
    for row, text in enumerate(table.paths):
        if rows.setdefault(text, row) != row:
            raise FileError(
                name,
                f"has the path {printable(text)} twice (rows {rows[text] + 1} and {row + 1} of its "
                'hashes); name another column as path_column, or give path_column = "", which '
                "labels rows by their line",
            )
    if (negative := table.detail < 0).any():
        row = int(negative.argmax())
        raise FileError(
            name,
            f"has a detail of {table.detail[row]:g} for {printable(table.paths[row])}, needs 0 or "
            "more; correct it, or leave it empty",
        )
    groups: Sequence[str] = ()
    if group is not None:
        if group not in table.other:
            there = ", ".join(map(printable, table.other)) or "none"
            raise ArgumentError(
                f"group: {printable(name)} has no further column {printable(group)}; name one of "
                f"its columns: {there}"
            )
        groups = table.other[group]
        _check_groups(name, group, groups)
    return Dataset(
        {"kind": "table", "path": name, "group": group, **options},
        TableRows(table, groups, list(_unreadable(name, table, rows))),
    )


def _check_groups(path: str, column: str, groups: Sequence[str]) -> None:
    """Raise an ArgumentError if rows of one group have too many pairs."""
    sizes = Counter(group for group in groups if group)
    pairs = sum(size * (size - 1) // 2 for size in sizes.values())
    if pairs > MOST_GROUP_PAIRS:
        (largest, size), *_ = sizes.most_common(1)
        raise ArgumentError(
            f"group: rows of one group in the column {printable(column)} of {printable(path)} have "
            f"{pairs:,} pairs, needs at most {MOST_GROUP_PAIRS:,}; of the largest group, "
            f"{printable(largest)} with {size:,} rows, leave most rows out"
        )


def _unreadable(path: str, table: HashTable, names: dict[str, int]) -> Iterator[UnreadableOriginal]:
    """Yield the lines that cannot be read, and what was left out."""
    label = os.path.basename(path)
    failures = {place.replace(path, label, 1): error for place, error in table.failures}
    if table.skipped:
        skipped = ", ".join(f"{number:,} x {why}" for why, number in table.skipped.items())
        failures[f"{label} (left out)"] = f"entries that are no hashes are left out: {skipped}"
    for place, error in failures.items():
        if place not in names:
            yield UnreadableOriginal(place, error)
