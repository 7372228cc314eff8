"""The index file, in the formats of FAISS.

FAISS trusts what it reads: a damaged file can crash it. So the files of the exact types are
read here, every length checked against the size, and written here, a chunk at a time, where
FAISS would hold the whole file in memory once more. What is written is what FAISS writes,
byte for byte, with a checksum footer behind it (`checksum.py`). A file of an approximate
type is written by FAISS, and is given to FAISS once its checksums held.

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
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from photodna_nb import files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, IndexFileError
from photodna_nb.index import index_types
from photodna_nb.index.checksum import ChecksumFooter

# Four letters; dimension, number of rows, two unused numbers, trained, metric (1 = L2).
_HEADER = struct.Struct("<4siqqqBi")
_COUNT = struct.Struct("<Q")
# QT_8bit_direct, range by min and max, its argument, dimension, bytes of a code, no training.
_QUANTIZER = struct.Struct("<iifQQQ")
_DIRECT = _QUANTIZER.pack(5, 0, 0.0, HASH_BYTES, HASH_BYTES, 0)

# A larger file is mapped. One that is mapped must not be cut short by others in place.
_READ_AT_ONCE = 64 << 20
_ROWS_AT_ONCE = 1 << 14


class RowShard:
    """Some rows of an index under their ids, read when they are first used.

    Attributes
    ----------
    count : int
        Number of rows.
    rows : ndarray of uint8, (count, 144)
        Hashes.
    ids : ndarray of int64, (count,)
        Ids of the hashes.
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
        """Return the shard of rows that are in memory."""
        return cls(len(ids), lambda: rows, lambda: ids)

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """Hashes."""
        return self._load_rows()

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the hashes."""
        return self._load_ids()


class IndexFile(NamedTuple):
    """An index file, of which only the frame has been read.

    index_type : str
        Name of the type.
    shard : RowShard
        Rows of an exact type; none of an approximate one.
    footer : ChecksumFooter
        Header and checksums.
    content : memoryview
        All of the file but the footer.
    """

    index_type: str
    shard: RowShard
    footer: ChecksumFooter
    content: memoryview

    def checked_content(self) -> memoryview:
        """Return the content for FAISS, once all of its checksums held."""
        self.footer.check()
        return self.content


EMPTY_SHARD = RowShard.of(np.empty((0, HASH_BYTES), np.uint8), np.empty(0, np.int64))


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
        self._footer = ChecksumFooter(path, content)

    def index(self) -> IndexFile:
        self._footer.check(0, min(self._footer.size, 1))
        magic = bytes(self._content[:4])
        name = self._footer.header.get("index_type", "flat")
        try:
            exact = index_types.parse(name).exact
        except ArgumentError as error:
            self._damaged(f"its header names an unknown type ({error})")
        if not exact:
            content = self._content[: self._footer.size]
            return IndexFile(name, EMPTY_SHARD, self._footer, content)
        if magic == b"IxM2":
            return self._exact()
        if magic == b"IwSq" and self._footer.header:
            raise IndexFileError(self._path, "is of the type ivf, which this version does not read")
        if len(self._content) < _HEADER.size:
            raise IndexFileError(self._path, "is truncated: it ends within its header")
        raise IndexFileError(
            self._path,
            "is not an IndexIDMap2 of FAISS over IndexFlatL2 or IndexScalarQuantizer, "
            "nor another index of this program, or is damaged",
        )

    def _exact(self) -> IndexFile:
        _, count = self._header()
        magic, inner = self._header()
        if magic not in (b"IxF2", b"IxSQ"):
            raise IndexFileError(
                self._path,
                "is not an IndexIDMap2 of FAISS over IndexFlatL2 or IndexScalarQuantizer, "
                "or is damaged",
            )
        flat = magic == b"IxF2"
        if not flat:
            self._expect(_DIRECT)
        width = 4 * HASH_BYTES if flat else HASH_BYTES
        values = self._count()
        rows_at = self._skip(count * width)
        numbered = self._count()
        ids_at = self._skip(8 * count)
        if inner != count or values != count * HASH_BYTES or numbered != count:
            self._damaged("its numbers of rows, values and ids differ")
        if self._at != self._footer.size:
            self._damaged("something follows its end")
        shard = RowShard(
            count,
            lambda: self._floats(rows_at, count) if flat else self._codes(rows_at, count),
            lambda: self._ids(ids_at, count),
        )
        content = self._content[: self._footer.size]
        return IndexFile("flat" if flat else "uint8", shard, self._footer, content)

    def _header(self) -> tuple[bytes, int]:
        at = self._skip(_HEADER.size)
        magic, dimension, count, _, _, trained, metric = _HEADER.unpack_from(self._content, at)
        if dimension != HASH_BYTES:
            raise IndexFileError(
                self._path, f"has dimension {dimension}, and hashes have {HASH_BYTES}"
            )
        if metric != 1 or trained != 1 or not 0 <= count <= len(self._content):
            raise IndexFileError(self._path, "is damaged, or not an index of L2 distances")
        return magic, int(count)

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
        if at + size > self._footer.size:
            raise IndexFileError(self._path, "is truncated or damaged: it ends too early")
        self._at += size
        return at

    def _damaged(self, what: str) -> NoReturn:
        raise IndexFileError(self._path, f"is damaged: {what}")

    def _codes(self, at: int, count: int) -> NDArray[np.uint8]:
        self._footer.check(at, at + HASH_BYTES * count)
        flat = np.frombuffer(self._content, np.uint8, HASH_BYTES * count, at)
        return flat.reshape(count, HASH_BYTES)

    def _ids(self, at: int, count: int) -> NDArray[np.int64]:
        self._footer.check(at, at + 8 * count)
        return np.frombuffer(self._content, "<i8", count, at)

    def _floats(self, at: int, count: int) -> NDArray[np.uint8]:
        """Return float32 rows as the bytes that they must be."""
        self._footer.check(at, at + 4 * HASH_BYTES * count)
        floats = np.frombuffer(self._content, "<f4", HASH_BYTES * count, at)
        floats = floats.reshape(count, HASH_BYTES)
        rows = np.empty((count, HASH_BYTES), np.uint8)
        for start in range(0, count, _ROWS_AT_ONCE):
            chunk = slice(start, start + _ROWS_AT_ONCE)
            with np.errstate(invalid="ignore"):
                rows[chunk] = floats[chunk]
            if not np.array_equal(rows[chunk], floats[chunk]):
                self._damaged("its values are not all integers from 0 to 255")
        return rows


def content(index_type: str, shards: Sequence[RowShard]) -> Iterator[Any]:
    """Yield the content of a file of an exact type with those rows, in chunks.

    Parameters
    ----------
    index_type : {"flat", "uint8"}
        Which file.
    shards : sequence of RowShard
        Rows, ids ascending.
    """
    flat, count = index_type == "flat", sum(shard.count for shard in shards)
    yield _head(b"IxM2", count)
    yield _head(b"IxF2" if flat else b"IxSQ", count)
    yield (b"" if flat else _DIRECT) + _COUNT.pack(count * HASH_BYTES)
    for shard in shards:
        for start in range(0, shard.count, _ROWS_AT_ONCE):
            rows = shard.rows[start : start + _ROWS_AT_ONCE]
            yield np.ascontiguousarray(rows, "<f4" if flat else np.uint8).data
    yield _COUNT.pack(count)
    for shard in shards:
        yield shard.ids.astype("<i8").data


def _head(magic: bytes, count: int) -> bytes:
    return _HEADER.pack(magic, HASH_BYTES, count, 1 << 20, 1 << 20, 1, 1)
