"""The index file, in the formats of FAISS.

FAISS trusts what it reads: a damaged file can crash it. So the files of the exact types are
read here, every length checked against the size, and written here, a chunk at a time, where
FAISS would hold the whole file in memory once more. What is written is what FAISS writes,
byte for byte, with a checksum footer behind it (`checksum.py`). A file of an approximate
type is written by FAISS, and is given to FAISS once its checksums match.

===============  ================================================================
index type       in FAISS
===============  ================================================================
flat             ``IndexIDMap2`` over ``IndexFlatL2``: float32, as ``oaphotodna.py``
uint8            ``IndexIDMap2`` over ``IndexScalarQuantizer``, ``QT_8bit_direct``
IVF…             ``IndexIVF`` of that factory string
HNSW…            ``IndexIDMap2`` over the index of that factory string
===============  ================================================================
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files, systems
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, IndexFileError
from photodna_nb.index import index_types
from photodna_nb.index.checksum import ChecksumFooter
from photodna_nb.index.row_segments import ROWS_AT_ONCE, FileRows, RowSegment, StoredTree

if TYPE_CHECKING:
    from photodna_nb.pairs.search_tree import SearchTree

# Four letters; dimension, number of rows, two unused numbers, trained, metric (1 = L2).
_HEADER = struct.Struct("<4siqqqBi")
_COUNT = struct.Struct("<Q")
# QT_8bit_direct, range by min and max, its argument, dimension, bytes of a code, no training.
_QUANTIZER = struct.Struct("<iifQQQ")
_DIRECT = _QUANTIZER.pack(5, 0, 0.0, HASH_BYTES, HASH_BYTES, 0)

# A larger file is mapped, but not on Windows, which replaces no open file: a mapping keeps it open.
# One that is mapped must not be cut short by others in place.
_READ_AT_ONCE = 64 << 20


class IndexFile(NamedTuple):
    """An index file, of which only the frame has been read.

    index_type : str
        Name of the type.
    segment : RowSegment
        Rows of an exact type; none of an approximate one.
    footer : ChecksumFooter
        Header and checksums.
    content : memoryview
        All of the file but the footer.
    parts : tuple of RowSegment
        The same rows: those that the search tree covers, and the others.
    tree : callable
        Returns the search tree, if there is one, of the first rows, (n, 144), in memory.
    """

    index_type: str
    segment: RowSegment
    footer: ChecksumFooter
    content: memoryview
    parts: tuple[RowSegment, ...] = ()
    tree: Callable[[NDArray[np.uint8]], SearchTree | None] = lambda rows: None

    def checked_content(self) -> memoryview:
        """Return the content for FAISS, once all of its checksums match."""
        self.footer.check()
        return self.content


EMPTY_SEGMENT = RowSegment.of(np.empty((0, HASH_BYTES), np.uint8), np.empty(0, np.int64))


def load(path: str) -> IndexFile:
    """Return what is in an index file.

    Raises
    ------
    IndexFileError
        The file is missing, damaged, or another file. Later, when rows are read, that they
        are damaged.
    """
    with files.read_errors(path, IndexFileError), files.open_regular(path, IndexFileError) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _READ_AT_ONCE and not systems.IS_WINDOWS:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            content = memoryview(file.readall())
    if bytes(content[:6]).startswith((b"{", b"SQLite")):
        raise IndexFileError(path, "is metadata; give the index first, then the metadata")
    return _Reader(path, content).index()


class _Reader:
    """Reads the frame of an index file, which its type and its number of rows determine."""

    def __init__(self, path: str, content: memoryview) -> None:
        self._path = path
        self._footer = ChecksumFooter(path, content)
        self._content = content[: self._footer.size]

    def index(self) -> IndexFile:
        self._footer.check(0, min(self._footer.size, 1))
        name = self._footer.header.get("index_type", "flat")
        try:
            exact = index_types.parse(name).exact
        except ArgumentError as error:
            raise self._damaged(f"its header names an unknown type ({error})") from error
        if not exact:
            return IndexFile(name, EMPTY_SEGMENT, self._footer, self._content)
        if self._footer.header and bytes(self._content[:4]) == b"IwSq":
            raise IndexFileError(self._path, "is of the type ivf, which this version does not read")
        if self._footer.size < 2 * _HEADER.size:
            raise IndexFileError(self._path, "is truncated: it ends within its header")
        return self._exact()

    def _exact(self) -> IndexFile:
        outer, inner = (_HEADER.unpack_from(self._content, at) for at in (0, _HEADER.size))
        magic, dimension, count, *_ = outer
        flat = inner[0] == b"IxF2"
        if magic != b"IxM2" or inner[0] not in (b"IxF2", b"IxSQ"):
            raise IndexFileError(
                self._path,
                "is not an IndexIDMap2 of FAISS over IndexFlatL2 or IndexScalarQuantizer, "
                "nor another index of this program, or is damaged",
            )
        if dimension != HASH_BYTES:
            reason = f"has dimension {dimension}, and hashes have {HASH_BYTES}"
            raise IndexFileError(self._path, reason)
        if not 0 <= count <= self._footer.size:
            raise self._damaged(f"it cannot hold {count} rows")
        frame = _frame(flat, count, outer[3:5], inner[3:5])
        rows_at, ids_at = len(frame), len(frame) + (4 if flat else 1) * HASH_BYTES * count + 8
        if self._content[:rows_at] != frame:
            raise self._damaged(f"its header is not that of {count} rows with L2 distances")
        stored = self._stored_tree(count, ids_at + 8 * count)
        if self._footer.size != (stored.stop if stored else ids_at + 8 * count):
            raise self._damaged(f"it is truncated, or too long for {count} rows")
        if self._content[ids_at - 8 : ids_at] != _COUNT.pack(count):
            raise self._damaged("its numbers of rows and ids differ")
        rows = FileRows(self._path, self._footer, self._content, rows_at, count, flat)
        whole = self._segment(rows, ids_at, 0, count)
        name = "flat" if flat else "uint8"
        if stored is None:
            return IndexFile(name, whole, self._footer, self._content, (whole,))
        parts = (
            self._segment(rows, ids_at, 0, stored.n_rows, stored),
            self._segment(rows, ids_at, stored.n_rows, count),
        )

        def tree(hashes: NDArray[np.uint8]) -> SearchTree | None:
            return self._tree(stored, hashes[: stored.n_rows], None)

        return IndexFile(name, whole, self._footer, self._content, parts, tree)

    def _stored_tree(self, count: int, start: int) -> StoredTree | None:
        header = self._footer.header.get("tree")
        if header is None:
            return None
        n_rows, n_axes = header["n_rows"], header["n_axes"]
        if not (0 < n_rows <= count and n_axes in range(8, 129, 4)):
            raise self._damaged("its header has a search tree of other rows")
        return StoredTree(n_rows, n_axes, start, max(start, self._footer.size))

    def _segment(
        self, rows: FileRows, ids_at: int, first: int, last: int, stored: StoredTree | None = None
    ) -> RowSegment:
        start = ids_at + 8 * first

        def ids() -> NDArray[np.int64]:
            self._footer.check(start, ids_at + 8 * last)
            return np.frombuffer(self._content, "<i8", last - first, start)

        def some_ids(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
            self._footer.check_spans(start + 8 * numbers, start + 8 * numbers + 8)
            return np.frombuffer(self._content, "<i8", last - first, start)[numbers]

        def tree() -> SearchTree | None:
            return None if stored is None else self._tree(stored, rows.hashes[:last], rows)

        return RowSegment(last - first, lambda: rows.read(first, last), ids, tree, some_ids)

    def _tree(
        self, stored: StoredTree, hashes: NDArray[np.uint8], rows: FileRows | None
    ) -> SearchTree:
        from photodna_nb.index import stored_tree  # Numba is slow to import

        tree = stored_tree.load(stored, self._footer, self._content, hashes, rows)
        if tree is None:
            raise self._damaged("its search tree has another size")
        return tree

    def _damaged(self, problem: str) -> IndexFileError:
        return IndexFileError(self._path, f"is damaged: {problem}")


def content(index_type: str, segments: Sequence[RowSegment]) -> Iterator[Any]:
    """Yield the content of a file of an exact type with those rows, in chunks.

    Parameters
    ----------
    index_type : {"flat", "uint8"}
        Which file.
    segments : sequence of RowSegment
        Rows, ids ascending.
    """
    flat, count = index_type == "flat", sum(segment.count for segment in segments)
    yield _frame(flat, count)
    for segment in segments:
        for start in range(0, segment.count, ROWS_AT_ONCE):
            rows = segment.rows[start : start + ROWS_AT_ONCE]
            yield np.ascontiguousarray(rows, "<f4" if flat else np.uint8).data
    yield _COUNT.pack(count)
    for segment in segments:
        yield segment.ids.astype("<i8").data


def content_size(index_type: str, count: int) -> int:
    """Return the number of bytes of the content of a file with so many rows."""
    flat = index_type == "flat"
    return len(_frame(flat, count)) + (4 if flat else 1) * HASH_BYTES * count + 8 + 8 * count


def _frame(flat: bool, count: int, *unused: tuple[int, int]) -> bytes:
    """Return what comes before the rows.

    unused: two numbers in each header, which FAISS writes and ignores.
    """
    outer, inner = unused or ((1 << 20, 1 << 20),) * 2
    return (
        _HEADER.pack(b"IxM2", HASH_BYTES, count, *outer, 1, 1)
        + _HEADER.pack(b"IxF2" if flat else b"IxSQ", HASH_BYTES, count, *inner, 1, 1)
        + (b"" if flat else _DIRECT)
        + _COUNT.pack(count * HASH_BYTES)
    )
