"""Hashes in chunks that a task can carry: arrays, or segments of files."""

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

from photodna_nb import checks, files, npz
from photodna_nb.checks import HASH_BYTES, MAX_LENGTH, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, TableFileError
from photodna_nb.files import PathLike
from photodna_nb.kernels.register_tile import STEP_BYTES
from photodna_nb.pairs.metrics import check_equal_lengths, checked_length
from photodna_nb.printable import printable
from photodna_nb.tables.formats import is_table
from photodna_nb.tables.table import HashTable

# Hashes that follow each other in a sample.
_RUN = 64


class FileSegment(NamedTuple):
    """Hashes in a file: absolute path, byte offset of the first hash, number of hashes."""

    path: str
    offset: int
    n_hashes: int


@dataclass(frozen=True, eq=False)
class HashSource:
    """Consecutive hashes in memory or in files.

    Attributes
    ----------
    start, count : int
        Index of the first hash, and number of hashes.
    data : ndarray of uint8, (count, width), or tuple of FileSegment
        The hashes, or the segments of files that hold them. An array has zeros behind the values
        of each hash, up to a multiple of `STEP_BYTES`: they change no distance.
    length : int
        Number of values of a hash.
    """

    start: int
    count: int
    data: NDArray[np.uint8] | tuple[FileSegment, ...]
    length: int = HASH_BYTES

    @property
    def stop(self) -> int:
        """Index after the last hash."""
        return self.start + self.count

    def load(self) -> NDArray[np.uint8]:
        """Return the hashes, (count, width) uint8; only their own bytes of files are read.

        Raises
        ------
        TableFileError
            A file is gone, or shorter than it was.
        """
        if not isinstance(self.data, tuple):
            return self.data
        return _read(self.data, self.length)


def _read(segments: Sequence[FileSegment], length: int) -> NDArray[np.uint8]:
    content = b"".join(_read_segment(segment, length) for segment in segments)
    return _padded(np.frombuffer(content, np.uint8).reshape(-1, length))


def _padded(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return hashes with zeros behind their values, up to a multiple of `STEP_BYTES`."""
    missing = -hashes.shape[1] % STEP_BYTES
    return np.pad(hashes, ((0, 0), (0, missing))) if missing else hashes


def sample_of(sources: Sequence[HashSource], n: int) -> NDArray[np.uint8]:
    """Return about n of the hashes of sources, (m, width), in short runs at even steps."""
    total = sum(source.count for source in sources)
    size = max(_RUN, total * _RUN // n)
    runs = []
    for chunk in (chunk for source in sources for chunk in split_source(source, size)):
        if isinstance(chunk.data, tuple):
            first = chunk.data[0]
            run = first._replace(n_hashes=min(_RUN, first.n_hashes))
            runs.append(_read([run], chunk.length))
        else:
            runs.append(chunk.data[:_RUN])
    return np.concatenate(runs)


def _read_segment(segment: FileSegment, length: int) -> bytes:
    size = segment.n_hashes * length
    with files.read_errors(segment.path, TableFileError), open(segment.path, "rb") as file:
        file.seek(segment.offset)
        content = file.read(size)
    if len(content) != size:
        raise TableFileError(
            segment.path, "is shorter than when the work began; leave it alone until the end"
        )
    return content


def hash_sources(a: Any, b: Any) -> list[HashSource]:
    """Return the sources of `a` and, if it is not None, of `b`, which have one length.

    Raises
    ------
    ArgumentTypeError, ArgumentError, TableFileError
        As `hash_source`, or the hashes have two lengths.
    """
    sources = [hash_source("a", a)] + ([] if b is None else [hash_source("b", b)])
    check_equal_lengths(sources[0].length, sources[-1].length)
    return sources


def hash_source(name: str, value: Any, length: int | None = None) -> HashSource:
    """Return an argument of hashes as a source.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    value : ndarray of uint8 (n, length), HashTable, path, sequence of paths, or HashSource
        A path ends with ``.npy``, or with ``.npz`` for a table that `HashTable.save` wrote.
    length : int, optional
        Number of values of a hash; by default any, from 1 to `MAX_LENGTH`.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `value` is none of these, or an array of another dtype or shape.
    TableFileError
        A file is missing, damaged, or of another kind.
    """
    if isinstance(value, HashSource):
        return value
    value = getattr(value, "hashes", value)
    if isinstance(value, np.ndarray):
        checked = checks.array(name, value, np.uint8, ("n", length or "length"))
        size = checked_length(name, checked.shape[1])
        return HashSource(0, len(checked), checks.read_only(_padded(checked)), size)
    if isinstance(value, str | os.PathLike):
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(p, str | os.PathLike) for p in value):
        raise ArgumentTypeError(
            f"{name}: got {describe(value)}, needs an array of uint8 (n, {length or 'length'}), a "
            "HashTable, or paths of .npy or .npz files"
        )
    found = [_segment(os.fspath(path), length) for path in value]
    lengths = sorted({size for _, size in found}) or [HASH_BYTES]
    if len(lengths) > 1:
        raise ArgumentError(
            f"{name}: got files of hashes of {lengths[0]} and of {lengths[1]} values, needs one "
            "length; compare each kind of hash on its own"
        )
    segments = tuple(segment for segment, _ in found)
    return HashSource(0, sum(segment.n_hashes for segment in segments), segments, lengths[0])


def compared_source(
    name: str, value: Any, min_detail: float | None
) -> tuple[HashSource, NDArray[np.int64] | None]:
    """Return an argument of hashes as a source without those of low detail.

    Parameters
    ----------
    name, value
        As in `hash_source`; with `min_detail`, a HashTable.
    min_detail : float or None
        Least detail of the hashes that stay. Where it is not known, hashes that are all zero
        are left out.

    Returns
    -------
    HashSource
        The hashes that stay.
    ndarray of int64, or None
        Row of each one in `value`; None if all stay.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        As `hash_source`, or the detail is not known.
    """
    if min_detail is None:
        return hash_source(name, value), None
    if not isinstance(value, HashTable):
        raise ArgumentTypeError(
            f"min_detail: got {describe(value)} for {name}, needs a HashTable, which holds the "
            "detail of each image; load the file with HashTable.load, or hash_files makes one"
        )
    rows = detailed_rows(value, min_detail)
    if len(rows) == len(value):
        return hash_source(name, value), None
    return hash_source(name, value.hashes[rows]), rows


def paths_of(value: Any) -> Sequence[str] | None:
    """Return the paths of an argument of hashes, by row; None if it is no HashTable."""
    return value.paths if isinstance(value, HashTable) else None


def detailed_rows(table: HashTable, min_detail: float | None) -> NDArray[np.int64]:
    """Return the rows of a table that are compared: see `compared_source`."""
    if min_detail is None:
        return np.arange(len(table))
    unknown = np.isnan(table.detail) & table.hashes.any(axis=1)
    enough = table.detail >= checks.real("min_detail", min_detail, 0)
    return np.flatnonzero(unknown | enough)


def hash_table(name: str, value: Any) -> HashTable:
    """Return an argument of hashes as a table.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    value : HashTable, ndarray of uint8 (n, 144), path, or sequence of paths
        A path ends with ``.npy`` or as a table that `HashTable.load` reads.

    Returns
    -------
    HashTable
        A row of an array has its number as path, one of an ``.npy`` file the file and the number.

    Raises
    ------
    ArgumentTypeError, ArgumentError, TableFileError
        As `hash_source` and `HashTable.load` raise them.
    """
    if isinstance(value, HashTable):
        return value
    if isinstance(value, str | os.PathLike):
        return _file_table(name, value)
    if isinstance(value, Sequence) and all(isinstance(p, str | os.PathLike) for p in value):
        return HashTable.concatenate([_file_table(name, path) for path in value])
    return _numbered_table(hash_source(name, value, HASH_BYTES).load(), "")


def _file_table(name: str, path: PathLike) -> HashTable:
    """Return the table in a file, or that of an array's file."""
    file = checks.path(name, path)
    if os.path.splitext(file)[1].lower() == ".npy":
        return _numbered_table(hash_source("", file, HASH_BYTES).load(), f"{file}:")
    if not is_table(file):
        needed = "a table of hashes or a .npy file; hash_inputs hashes folders and images"
        raise ArgumentError(checks.message(name, repr(printable(file)), needed))
    return HashTable.load(file)


def _numbered_table(hashes: NDArray[np.uint8], prefix: str) -> HashTable:
    """Return the table of hashes of unknown detail, which have their row numbers as paths."""
    paths = [f"{prefix}{row}" for row in range(len(hashes))]
    return HashTable(paths, hashes, np.full(len(hashes), np.nan))


def split_source(source: HashSource, size: int) -> list[HashSource]:
    """Return the same hashes in chunks of `size`, the last one smaller."""
    starts = range(0, source.count, size)
    if not isinstance(source.data, tuple):
        arrays = [source.data[start : start + size] for start in starts]
        return [
            HashSource(source.start + start, len(a), a, source.length)
            for start, a in zip(starts, arrays, strict=True)
        ]
    remaining = deque(source.data)
    chunks = []
    for start in starts:
        missing = count = min(size, source.count - start)
        segments = []
        while missing:
            path, offset, available = remaining.popleft()
            taken = min(available, missing)
            segments.append(FileSegment(path, offset, taken))
            if taken < available:
                rest = FileSegment(path, offset + taken * source.length, available - taken)
                remaining.appendleft(rest)
            missing -= taken
        chunks.append(HashSource(source.start + start, count, tuple(segments), source.length))
    return chunks


def _segment(path: str, length: int | None) -> tuple[FileSegment, int]:
    """Return the segment of a file that holds its hashes, and their length, as from its header."""
    try:
        with (
            files.read_errors(path, TableFileError),
            files.open_regular(path, TableFileError) as file,
        ):
            end = os.fstat(file.fileno()).st_size
            suffix = os.path.splitext(path)[1].lower()
            if suffix == ".npz":
                npz.check_digest(file)
                end = _enter_member(file, "hashes")
            elif suffix != ".npy":
                raise ValueError("not .npy or .npz; save the table as .npz")
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version} of NumPy's format")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            sizes = range(1, MAX_LENGTH + 1) if length is None else (length,)
            if (
                dtype != np.uint8
                or [*map(type, shape)] != [int, int]
                or shape[0] < 0
                or shape[1] not in sizes
            ):
                raise ValueError(f"hashes of dtype {dtype} and shape {shape}")
            if by_columns:
                raise ValueError("they lie in Fortran order; save them in C order")
            if shape[0] * shape[1] > end - file.tell():
                raise ValueError("the file is truncated")
            # A worker may have another current folder.
            return FileSegment(os.path.abspath(path), file.tell(), shape[0]), shape[1]
    except TableFileError:
        raise
    except (ValueError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise TableFileError(
            path,
            f"holds no uint8 hashes (n, {length or 'length'}) that can be read in parts: {error}",
        ) from error


def _enter_member(file: BinaryIO, name: str) -> int:
    """Check the checksum of an uncompressed member, move to its first byte, return its end."""
    with zipfile.ZipFile(file) as archive:
        member = npz.entry_of(archive, name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("they are compressed; load the table and save it again")
        with archive.open(member) as opened:
            while opened.read(1 << 20):
                pass  # the last read compares the checksum
    # The member's own header repeats its name; the lengths are its last four bytes.
    file.seek(member.header_offset)
    lengths = struct.unpack("<26xHH", file.read(30))
    return file.seek(sum(lengths), os.SEEK_CUR) + member.file_size
