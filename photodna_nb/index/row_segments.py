"""Rows of an index: those in memory, and those of a file, which are read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index.checksum import ChecksumFooter

if TYPE_CHECKING:
    from photodna_nb.pairs.search_tree import SearchTree

Numbers = Callable[[NDArray[np.int64]], NDArray[np.int64]]

# Rows that are converted at a time.
ROWS_AT_ONCE = 1 << 14
# Fewer rows are searched as fast by all of their distances: they need no search tree.
MIN_TREE_ROWS = 1 << 15
# Each array of a search tree begins at a multiple of so many bytes.
TREE_ALIGNMENT = 64


class RowSegment:
    """Some rows of an index under their ids, read when they are first used.

    Attributes
    ----------
    count : int
        Number of rows.
    rows : ndarray of uint8, (count, 144)
        Hashes.
    ids : ndarray of int64, (count,)
        Ids of the hashes.
    tree : SearchTree, optional
        Search tree of the hashes.
    ids_at : callable
        Returns the ids of rows, by their numbers.
    """

    def __init__(
        self,
        count: int,
        rows: Callable[[], NDArray[np.uint8]],
        ids: Callable[[], NDArray[np.int64]],
        tree: Callable[[], SearchTree | None] = lambda: None,
        ids_at: Numbers | None = None,
    ) -> None:
        self.count = count
        self._load_rows, self._load_ids, self._load_tree = rows, ids, tree
        self.ids_at: Numbers = ids_at or (lambda numbers: self.ids[numbers])

    @classmethod
    def of(
        cls,
        rows: NDArray[np.uint8],
        ids: NDArray[np.int64],
        tree: Callable[[], SearchTree | None] = lambda: None,
    ) -> RowSegment:
        """Return the segment of rows that are in memory."""
        return cls(len(ids), lambda: rows, lambda: ids, tree)

    @classmethod
    def concatenated(cls, segments: Sequence[RowSegment]) -> RowSegment:
        """Return the rows of several segments as one."""
        return cls.of(
            np.concatenate([segment.rows for segment in segments]),
            np.concatenate([segment.ids for segment in segments]),
        )

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """Hashes."""
        return self._load_rows()

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the hashes."""
        return self._load_ids()

    @cached_property
    def tree(self) -> SearchTree | None:
        """Search tree of the hashes, if there is one."""
        return self._load_tree()


class FileRows:
    """The hashes of a file.

    Attributes
    ----------
    hashes : ndarray of uint8, (n, 144)
        Hashes; valid where they have been read.
    """

    def __init__(
        self,
        path: str,
        footer: ChecksumFooter,
        content: memoryview,
        at: int,
        count: int,
        flat: bool,
    ) -> None:
        self._path, self._footer, self._at, self._flat = path, footer, at, flat
        values = np.frombuffer(content, "<f4" if flat else np.uint8, HASH_BYTES * count, at)
        self._values = values.reshape(count, HASH_BYTES)
        self._size = HASH_BYTES * values.itemsize
        self._unread = np.full(count if flat else 0, True)
        self._rows = np.empty((count, HASH_BYTES), np.uint8) if flat else self._values
        self.hashes: NDArray[np.uint8] = checks.read_only(self._rows)

    def read(self, first: int, last: int) -> NDArray[np.uint8]:
        """Read the rows from `first` to `last`, and return them."""
        self._footer.check(self._at + self._size * first, self._at + self._size * last)
        for start in range(first, last, ROWS_AT_ONCE) if self._flat else ():
            self._convert(slice(start, min(last, start + ROWS_AT_ONCE)))
        return self.hashes[first:last]

    def read_some(self, numbers: NDArray[Any]) -> None:
        """Read the rows of these numbers."""
        if self._flat:
            numbers = numbers[self._unread[numbers]]
        starts = self._at + self._size * numbers.astype(np.int64)
        self._footer.check_spans(starts, starts + self._size)
        if self._flat and len(numbers):
            self._convert(numbers)

    def _convert(self, rows: Any) -> None:
        """Convert float32 rows to the bytes that they must be."""
        floats = self._values[rows]
        with np.errstate(invalid="ignore"):
            self._rows[rows] = floats
        if not np.array_equal(self._rows[rows], floats):
            reason = "is damaged: its values are not all integers from 0 to 255"
            raise IndexFileError(self._path, reason)
        self._unread[rows] = False


class StoredTree(NamedTuple):
    """The sizes of the search tree in an index file, and where its bytes begin and end."""

    n_rows: int
    n_axes: int
    start: int
    stop: int
