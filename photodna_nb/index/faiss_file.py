"""The index file, in the formats of FAISS.

FAISS trusts what it reads: a damaged file can crash it. So files are read here, every
length checked against the size, and written here, a piece at a time, where FAISS would
hold the whole file in memory once more. What is written is what FAISS writes, byte for
byte, with a footer behind it (`footer.py`).

========  ====================================================================
index_type      in FAISS
========  ====================================================================
flat      ``IndexIDMap2`` over ``IndexFlatL2``: float32, as ``oaphotodna.py``
uint8     ``IndexIDMap2`` over ``IndexScalarQuantizer``, ``QT_8bit_direct``
ivf       ``IndexIVFScalarQuantizer``, the same codes in lists around centroids
========  ====================================================================
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index.checksum import ChecksumFooter

IndexType = Literal["flat", "uint8", "ivf"]
INDEX_TYPES: tuple[IndexType, ...] = get_args(IndexType)

# Four letters; dimension, number of rows, two unused numbers, trained, metric (1 = L2).
_HEADER = struct.Struct("<4siqqqBi")
_COUNT = struct.Struct("<Q")
# QT_8bit_direct, range by min and max, its argument, dimension, bytes of a code, no training.
_QUANTIZER = struct.Struct("<iifQQQ")
_DIRECT = _QUANTIZER.pack(5, 0, 0.0, HASH_BYTES, HASH_BYTES, 0)
_NO_MAP = struct.Struct("<bQ").pack(0, 0)
_CODES_AS_THEY_ARE = struct.Struct("<QB").pack(HASH_BYTES, 0)
_LISTS = struct.Struct("<4sQQ4sQ")

# A larger file is mapped. One that is mapped must not be cut short by others in place.
_READ_AT_ONCE = 64 << 20
_ROWS_AT_ONCE = 1 << 14


class RowShard:
    """Some rows of an index under their ids, read when they are first asked for.

    Attributes
    ----------
    count : int
        How many.
    rows : ndarray of uint8, (count, 144)
    ids : ndarray of int64, (count,)
    """

    def __init__(
        self,
        count: int,
        rows: Callable[[], NDArray[np.uint8]],
        ids: Callable[[], NDArray[np.int64]],
    ) -> None:
        self.count = count
        self._load_rows, self._load_ids = rows, ids

    @classmethod
    def of(cls, rows: NDArray[np.uint8], ids: NDArray[np.int64]) -> RowShard:
        """Return the part of rows that are there."""
        return cls(len(ids), lambda: rows, lambda: ids)

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """Hashes."""
        return self._load_rows()

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Of the hashes."""
        return self._load_ids()


class Lists(NamedTuple):
    """What only the approximate kind has.

    centroids : ndarray of uint8, (l, 144)
    nprobe : int
        How many lists a query looks into.
    """

    centroids: NDArray[np.uint8]
    nprobe: int


class IndexFile(NamedTuple):
    """An index file, of which only the frame has been read.

    index_type : str
    parts : list of RowShard
        One, or of the approximate kind one a list.
    lists : Lists or None
    footer : ChecksumFooter
    """

    index_type: IndexType
    parts: list[RowShard]
    lists: Lists | None
    footer: ChecksumFooter

    @property
    def number(self) -> int:
        """Of rows."""
        return sum(part.count for part in self.parts)


def load(path: str) -> IndexFile:
    """Return what is in an index file.

    Raises
    ------
    IndexFileError
        The file is missing, damaged, or of another kind. Later, when rows are read,
        that they are damaged.
    """
    with files.read_errors(path, IndexFileError), files.open_regular(path, IndexFileError) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _READ_AT_ONCE:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            content = memoryview(file.readall())
    return _Reader(path, content).index()


class _Reader:
    """Goes through the content of an index file and checks every length."""

    def __init__(self, path: str, content: memoryview) -> None:
        self._path, self._content, self._at = path, content, 0
        if bytes(content[:6]).startswith((b"{", b"SQLite")):
            raise IndexFileError(path, "is metadata; give the index first, then the metadata")
        self._seal = ChecksumFooter(path, content)

    def index(self) -> IndexFile:
        self._seal.check(0, min(self._seal.size, 1))
        index_type = bytes(self._content[:4])
        if index_type == b"IxM2":
            return self._exact()
        if index_type == b"IwSq" and self._seal.facts is not None:
            return self._inverted()
        if len(self._content) < _HEADER.size:
            raise IndexFileError(self._path, "is truncated: it ends within its header")
        raise IndexFileError(
            self._path,
            "is not a FAISS index of the index_type IndexIDMap2 over IndexFlatL2, "
            "nor of another kind that is written here, or is damaged",
        )

    def _exact(self) -> IndexFile:
        _, count = self._header()
        index_type, inner = self._header()
        if index_type not in (b"IxF2", b"IxSQ"):
            raise IndexFileError(
                self._path,
                "is not a FAISS index of the index_type IndexIDMap2 over IndexFlatL2 "
                "or IndexScalarQuantizer, or is damaged",
            )
        flat = index_type == b"IxF2"
        if not flat:
            self._expect(_DIRECT)
        width = 4 * HASH_BYTES if flat else HASH_BYTES
        values = self._count()
        rows_at = self._skip(count * width)
        numbered = self._count()
        ids_at = self._skip(8 * count)
        if inner != count or values != count * HASH_BYTES or numbered != count:
            self._damaged("its numbers of rows, values and ids differ")
        self._end()
        part = RowShard(
            count,
            lambda: self._floats(rows_at, count) if flat else self._codes(rows_at, count),
            lambda: self._ids(ids_at, count),
        )
        return IndexFile("flat" if flat else "uint8", [part], None, self._seal)

    def _inverted(self) -> IndexFile:
        _, count = self._header()
        number, nprobe = self._count(), self._count()
        index_type, centroids = self._header()
        if index_type != b"IxF2" or centroids != number or self._count() != number * HASH_BYTES:
            self._damaged("its centroids are of another kind or number")
        centroids_at = self._skip(4 * HASH_BYTES * number)
        self._expect(_NO_MAP)
        self._expect(_DIRECT)
        self._expect(_CODES_AS_THEY_ARE)
        self._expect(_LISTS.pack(b"ilar", number, HASH_BYTES, b"full", number))
        sizes_at = self._skip(8 * number)
        self._seal.check(0, self._at)
        sizes = np.frombuffer(self._content, "<u8", number, sizes_at).tolist()
        parts = []
        for size in sizes:
            rows_at = self._skip(HASH_BYTES * size)
            ids_at = self._skip(8 * size)
            parts.append(self._list(rows_at, ids_at, size))
        if sum(sizes) != count or not 1 <= nprobe <= number:
            self._damaged("its numbers of rows and lists differ")
        self._end()
        lists = Lists(self._floats(centroids_at, number), nprobe)
        return IndexFile("ivf", parts, lists, self._seal)

    def _list(self, rows_at: int, ids_at: int, size: int) -> RowShard:
        return RowShard(size, lambda: self._codes(rows_at, size), lambda: self._ids(ids_at, size))

    def _header(self) -> tuple[bytes, int]:
        at = self._skip(_HEADER.size)
        index_type, dimension, count, _, _, trained, metric = _HEADER.unpack_from(self._content, at)
        if dimension != HASH_BYTES:
            raise IndexFileError(
                self._path, f"has dimension {dimension}, and hashes have {HASH_BYTES}"
            )
        if metric != 1 or trained != 1 or not 0 <= count <= len(self._content):
            raise IndexFileError(self._path, "is damaged, or not an index of L2 distances")
        return index_type, int(count)

    def _count(self) -> int:
        at = self._skip(_COUNT.size)
        return int(_COUNT.unpack_from(self._content, at)[0])

    def _expect(self, needed: bytes) -> None:
        at = self._skip(len(needed))
        if self._content[at : self._at] != needed:
            self._damaged("or was made with other settings of FAISS")

    def _skip(self, size: int) -> int:
        """Return where the next `size` bytes begin, and go behind them."""
        at = self._at
        if at + size > self._seal.size:
            raise IndexFileError(self._path, "is truncated or damaged: it ends too early")
        self._at += size
        return at

    def _end(self) -> None:
        if self._at != self._seal.size:
            self._damaged("something follows its end")

    def _damaged(self, what: str) -> NoReturn:
        raise IndexFileError(self._path, f"is damaged: {what}")

    def _codes(self, at: int, count: int) -> NDArray[np.uint8]:
        self._seal.check(at, at + HASH_BYTES * count)
        flat = np.frombuffer(self._content, np.uint8, HASH_BYTES * count, at)
        return flat.reshape(count, HASH_BYTES)

    def _ids(self, at: int, count: int) -> NDArray[np.int64]:
        self._seal.check(at, at + 8 * count)
        return np.frombuffer(self._content, "<i8", count, at)

    def _floats(self, at: int, count: int) -> NDArray[np.uint8]:
        """Return float32 rows as the bytes that they must be."""
        self._seal.check(at, at + 4 * HASH_BYTES * count)
        floats = np.frombuffer(self._content, "<f4", HASH_BYTES * count, at)
        floats = floats.reshape(count, HASH_BYTES)
        rows = np.empty((count, HASH_BYTES), np.uint8)
        for start in range(0, count, _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            with np.errstate(invalid="ignore"):
                rows[some] = floats[some]
            if not np.array_equal(rows[some], floats[some]):
                self._damaged("its values are not all integers from 0 to 255")
        return rows


def content(
    index_type: IndexType, parts: Sequence[RowShard], lists: Lists | None = None
) -> Iterator[Any]:
    """Yield the content of the file with those rows, in pieces.

    Parameters
    ----------
    index_type : {"flat", "uint8", "ivf"}
        Which file.
    parts : sequence of RowShard
        The rows; for ``"ivf"`` those of each list.
    lists : Lists, optional
        For ``"ivf"``.
    """
    count = sum(part.count for part in parts)
    if lists is not None:
        centroids = lists.centroids
        yield _head(b"IwSq", count) + struct.pack("<QQ", len(centroids), lists.nprobe)
        yield _head(b"IxF2", len(centroids)) + _COUNT.pack(centroids.size)
        yield centroids.astype("<f4").data
        yield _NO_MAP + _DIRECT + _CODES_AS_THEY_ARE
        yield _LISTS.pack(b"ilar", len(centroids), HASH_BYTES, b"full", len(centroids))
        yield np.array([part.count for part in parts], "<u8").data
        for part in parts:
            if part.count:
                yield np.ascontiguousarray(part.rows).data
                yield part.ids.astype("<i8").data
        return
    yield _head(b"IxM2", count)
    yield _head(b"IxF2" if index_type == "flat" else b"IxSQ", count)
    yield (b"" if index_type == "flat" else _DIRECT) + _COUNT.pack(count * HASH_BYTES)
    for part in parts:
        for start in range(0, part.count, _ROWS_AT_ONCE):
            some = part.rows[start : start + _ROWS_AT_ONCE]
            yield np.ascontiguousarray(some, "<f4" if index_type == "flat" else np.uint8).data
    yield _COUNT.pack(count)
    for part in parts:
        yield part.ids.astype("<i8").data


def _head(index_type: bytes, count: int) -> bytes:
    return _HEADER.pack(index_type, HASH_BYTES, count, 1 << 20, 1 << 20, 1, 1)
