"""Hashes in parts that a task can carry: rows, or the place of rows in a file."""

from __future__ import annotations

import os
import struct
import zipfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentTypeError, TableFileError


class Segment(NamedTuple):
    """Hashes in a file: its path, the first byte of the first one, how many."""

    path: str
    offset: int
    rows: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Hashes that lie in memory or in files: `count` of them, from number `start` on.

    Attributes
    ----------
    start, count : int
        Of all hashes, which ones these are.
    source : ndarray of uint8, (count, 144), or tuple of Segment
        The hashes, or where they lie.
    """

    start: int
    count: int
    source: NDArray[np.uint8] | tuple[Segment, ...]

    def load(self) -> NDArray[np.uint8]:
        """Return the hashes, (count, 144) uint8; of files, these alone are read.

        Raises
        ------
        TableFileError
            A file is gone, or shorter than it was.
        """
        if not isinstance(self.source, tuple):
            return self.source
        content = b"".join(map(_content, self.source))
        return np.frombuffer(content, np.uint8).reshape(self.count, HASH_BYTES)


def _content(segment: Segment) -> bytes:
    size = segment.rows * HASH_BYTES
    with files.read_errors(segment.path, TableFileError), open(segment.path, "rb") as file:
        file.seek(segment.offset)
        content = file.read(size)
    if len(content) != size:
        raise TableFileError(
            segment.path, "is shorter than when the work began; leave it alone until the end"
        )
    return content


def rows_of(name: str, value: Any) -> Rows:
    """Return where the hashes lie.

    Parameters
    ----------
    name : str
        Of the argument, for errors.
    value : ndarray of uint8 (n, 144), HashTable, path, or sequence of paths
        A path ends with ``.npy``, or with ``.npz`` for a table that `HashTable.save` wrote.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `value` is none of these, or an array of another dtype or shape.
    TableFileError
        A file is missing, damaged, or of another kind.
    """
    value = getattr(value, "hashes", value)
    if isinstance(value, np.ndarray):
        checked = checks.array(name, value, np.uint8, ("n", HASH_BYTES))
        return Rows(0, len(checked), checks.read_only(checked))
    if isinstance(value, str | os.PathLike):
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(p, str | os.PathLike) for p in value):
        raise ArgumentTypeError(
            f"{name}: got {describe(value)}, needs an array of uint8 (n, 144), a HashTable, "
            "or paths of .npy or .npz files"
        )
    segments = tuple(_segment(os.fspath(path)) for path in value)
    return Rows(0, sum(segment.rows for segment in segments), segments)


def pieces_of(rows: Rows, size: int) -> list[Rows]:
    """Return the same rows in pieces of `size`, the last one smaller."""
    starts = range(0, rows.count, size)
    if not isinstance(rows.source, tuple):
        parts = [rows.source[start : start + size] for start in starts]
        return [Rows(start, len(part), part) for start, part in zip(starts, parts, strict=True)]
    waiting = deque(rows.source)
    pieces = []
    for start in starts:
        missing = count = min(size, rows.count - start)
        segments = []
        while missing:
            path, offset, there = waiting.popleft()
            taken = min(there, missing)
            segments.append(Segment(path, offset, taken))
            if taken < there:
                waiting.appendleft(Segment(path, offset + taken * HASH_BYTES, there - taken))
            missing -= taken
        pieces.append(Rows(start, count, tuple(segments)))
    return pieces


def _segment(path: str) -> Segment:
    """Return the place of the hashes in a file, all that is read of it here."""
    try:
        with files.read_errors(path, TableFileError), open(path, "rb") as file:
            end = os.fstat(file.fileno()).st_size
            suffix = os.path.splitext(path)[1].lower()
            if suffix == ".npz":
                end = _enter_member(file, "hashes.npy")
            elif suffix != ".npy":
                raise ValueError("not .npy or .npz; save the table as .npz")
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version} of NumPy's format")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype != np.uint8 or shape[1:] != (HASH_BYTES,) or type(shape[0]) is not int:
                raise ValueError(f"hashes of dtype {dtype} and shape {shape}")
            if by_columns:
                raise ValueError("they lie in Fortran order; save them in C order")
            if not 0 <= shape[0] * HASH_BYTES <= end - file.tell():
                raise ValueError("the file is truncated")
            # A worker may be in another folder.
            return Segment(os.path.abspath(path), file.tell(), shape[0])
    except TableFileError:
        raise
    except (ValueError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise TableFileError(
            path, f"holds no uint8 hashes (n, 144) that can be read in parts: {error}"
        ) from error


def _enter_member(file: BinaryIO, name: str) -> int:
    """Move to the first byte of a member that is stored as it is, once its checksum is checked.

    Returns the place of its end.
    """
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("they are compressed; load the table and save it again")
        with archive.open(member) as opened:
            while opened.read(1 << 20):
                pass  # the last read compares the checksum
    # The member's own header repeats its name; the lengths are its last four bytes.
    file.seek(member.header_offset)
    lengths = struct.unpack("<26xHH", file.read(30))
    return file.seek(sum(lengths), os.SEEK_CUR) + member.file_size
