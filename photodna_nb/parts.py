"""Hashes in parts that a task can carry: rows, or the place of rows in a file."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from photodna_nb import arrays
from photodna_nb.arrays import HASH_BYTES, described
from photodna_nb.errors import ArgumentTypeError, TableFileError

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Rows:
    """Hashes that lie in memory or in a file: `count` of them, from number `start` on.

    Attributes
    ----------
    start, count : int
        Of all hashes, which ones these are.
    source : ndarray of uint8, (count, 144), or str
        The hashes, or the file that holds them.
    offset : int
        In a file, of the first byte.
    """

    start: int
    count: int
    source: NDArray[np.uint8] | str
    offset: int = 0

    def load(self) -> NDArray[np.uint8]:
        """Return the hashes, (count, 144) uint8, of a file these alone.

        Raises
        ------
        TableFileError
            The file is gone, or shorter than it was.
        """
        if not isinstance(self.source, str):
            return self.source
        size = self.count * HASH_BYTES
        try:
            with open(self.source, "rb") as file:
                file.seek(self.offset)
                content = file.read(size)
        except OSError as error:
            raise TableFileError(self.source, f"cannot be read ({error.strerror})") from error
        if len(content) != size:
            raise TableFileError(self.source, "is shorter than it was; do not change it meanwhile")
        return np.frombuffer(content, np.uint8).reshape(self.count, HASH_BYTES)

    def part(self, first: int, count: int) -> Rows:
        """Return some of these rows, the first of which is number `first` among them."""
        if isinstance(self.source, str):
            offset = self.offset + first * HASH_BYTES
            return Rows(self.start + first, count, self.source, offset)
        return Rows(self.start + first, count, self.source[first : first + count])


def rows_of(name: str, value: Any) -> list[Rows]:
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
        checked = arrays.checked(name, value, np.uint8, ("n", HASH_BYTES))
        return [Rows(0, len(checked), arrays.frozen(checked))]
    if isinstance(value, str | os.PathLike):
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(p, str | os.PathLike) for p in value):
        raise ArgumentTypeError(
            f"{name}: got {described(value)}, needs an array of uint8 (n, 144), a HashTable, "
            "or paths of .npy or .npz files"
        )
    found: list[Rows] = []
    for path in value:
        start = found[-1].start + found[-1].count if found else 0
        found.append(_rows_in_file(os.fspath(path), start))
    return found


def pieces_of(rows: list[Rows], size: int) -> list[Rows]:
    """Return the same rows in pieces of at most `size`."""
    return [
        whole.part(first, min(size, whole.count - first))
        for whole in rows
        for first in range(0, whole.count, size)
    ]


def _rows_in_file(path: str, start: int) -> Rows:
    try:
        with open(path, "rb") as file:
            if path.endswith(".npz"):
                _enter_member(file, "hashes.npy")
            elif not path.endswith(".npy"):
                raise ValueError("not .npy or .npz; save the table as .npz")
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version} of NumPy's format")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype != np.uint8 or by_columns or shape[1:] != (HASH_BYTES,):
                raise ValueError(f"hashes of dtype {dtype} and shape {shape}")
            return Rows(start, shape[0], path, file.tell())
    except FileNotFoundError as error:
        raise TableFileError(path, "no such file; check the path") from error
    except OSError as error:
        raise TableFileError(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TableFileError(
            path, f"holds no uint8 hashes (n, 144) that can be read in parts: {error}"
        ) from error


def _enter_member(file: BinaryIO, name: str) -> None:
    """Move to the first byte of a member that is stored as it is."""
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("they are compressed; load the table and save it again")
    # The member's own header repeats its name; the lengths are its last four bytes.
    file.seek(member.header_offset)
    lengths = struct.unpack("<26xHH", file.read(30))
    file.seek(sum(lengths), os.SEEK_CUR)
