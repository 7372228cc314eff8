"""Arrays and texts in ``.npz`` files whose bytes depend on nothing but the content.

The comment of the archive ends with a digest of all bytes before it. CRCs alone protect the
members, and neither the directory of the archive nor what was put in place of a member.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import ErrorContext, FileError

# The first moment that a zip archive can name, and the system whose permissions it holds.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# The comment of an archive: these words, and the digest in hexadecimal.
_COMMENT = b"photodna_nb, SHA-256 of the bytes before: "
_DIGEST_SIZE = 64
# The end of an archive: a signature, 18 bytes with the length of the comment last, the comment.
_AFTER_SIGNATURE = 18
_END_SIZE = 4 + _AFTER_SIGNATURE + len(_COMMENT) + _DIGEST_SIZE
_CHUNK = 2**20
# How the header of an array is read, by the version of its format; no other is for numbers.
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Compressed members of other programs are unpacked up to this size, or this multiple of the file's.
_UNPACKED_BYTES = 10**8
_UNPACKED_MULTIPLE = 10


def pack(members: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return the content of an ``.npz`` file, the same for the same arrays.

    It is not compressed: other versions of zlib compress to other bytes, and parts of an
    uncompressed file can be read alone.
    """
    content = io.BytesIO()
    with new_archive(content) as archive:
        for name, array in members.items():
            write_member(archive, name, array.dtype, array.shape, [array])
    return content.getbuffer()


@contextmanager
def new_archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Yield an archive without members, and end the file with its digest.

    The file must be open for reading, too.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = _COMMENT + bytes(_DIGEST_SIZE)
        yield archive
    digest = _digest(file)
    file.seek(-_DIGEST_SIZE, os.SEEK_END)
    file.write(digest)


def check_digest(file: BinaryIO) -> None:
    """Raise a ValueError if an open file ends with a digest that is not that of its bytes.

    Files of other programs, and of earlier versions of this one, have none.
    """
    file.seek(max(0, file.seek(0, os.SEEK_END) - _END_SIZE))
    _, found, end = file.read().rpartition(b"PK\5\6")
    length, comment = end[_AFTER_SIGNATURE - 2 : _AFTER_SIGNATURE], end[_AFTER_SIGNATURE:]
    if found and int.from_bytes(length, "little") != len(comment):
        raise ValueError("its end is missing")
    if comment.startswith(_COMMENT) and comment[len(_COMMENT) :] != _digest(file):
        raise ValueError("its digest does not hold")


def _digest(file: BinaryIO) -> bytes:
    """Return the digest of all bytes before the digest."""
    remaining = file.seek(0, os.SEEK_END) - _DIGEST_SIZE
    file.seek(0)
    digest = sha256()
    while remaining and (chunk := file.read(min(_CHUNK, remaining))):
        digest.update(chunk)
        remaining -= len(chunk)
    return digest.hexdigest().encode("ascii")


def write_member(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    chunks: Iterable[NDArray[Any]],
) -> None:
    """Write an array, whose values come in chunks, to an archive."""
    entry = zipfile.ZipInfo(f"{name}.npy", _TIME)
    entry.create_system = _UNIX
    entry.external_attr = 0o644 << 16
    little = dtype.newbyteorder("<")
    header = {"descr": little.str, "fortran_order": False, "shape": shape}
    with archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, little).data)


def member_names(
    path: str, content: bytes, *, error_type: type[FileError] = FileError
) -> list[str]:
    """Return the names of the arrays in the content of a file: see `unpack`."""
    with _reading_errors(path, error_type), zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def unpack(
    path: str,
    content: bytes,
    names: Iterable[str],
    *,
    error_type: type[FileError] = FileError,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of those names in the content of a file.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    content : bytes
        Content of the file, by `pack` or NumPy.
    names : iterable of str
        Names of the arrays.
    error_type : type
        Class of the error.

    Raises
    ------
    FileError
        Of `error_type`: the file is damaged, lacks an array, or holds one that is too large.
    """
    with _reading_errors(path, error_type):
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("not a zip archive")
        check_digest(io.BytesIO(content))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {name: entry_of(archive, name) for name in names}
            _check_sizes(entries.values(), len(content))
            return {name: _member(archive, entry) for name, entry in entries.items()}


def _reading_errors(path: str, error_type: type[FileError]) -> ErrorContext:
    """Return a context that turns whatever is raised while an archive is read into `error_type`."""

    def translated(error: BaseException) -> FileError | None:
        if isinstance(error, MemoryError) or not isinstance(error, Exception):
            return None  # NumPy and zipfile raise nearly anything else
        # NumPy advises to unpickle what is no array: never do that with an untrusted file.
        detail = "" if "pickle" in str(error) else f": {error}"
        return error_type(
            path,
            f"is damaged or another file ({type(error).__name__}{detail}); "
            "delete it, and create it again",
        )

    return ErrorContext(translated)


def entry_of(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the entry of an array; a second one of that name is a ValueError."""
    if archive.namelist().count(f"{name}.npy") > 1:
        raise ValueError(f"it holds two arrays {name}")
    return archive.getinfo(f"{name}.npy")


def unpacked_limit(size: int) -> int:
    """Return to how many bytes a compressed file of that size may unpack."""
    return max(_UNPACKED_BYTES, _UNPACKED_MULTIPLE * size)


def _check_sizes(entries: Iterable[zipfile.ZipInfo], file_size: int) -> None:
    """Refuse what unpacks to far more than the file's size, before anything is unpacked."""
    limit, total = unpacked_limit(file_size), 0
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{entry.filename} is compressed otherwise than NumPy does it")
        total += entry.file_size
        if total > limit:
            raise ValueError(f"its arrays are of more than {limit:,} bytes; save it uncompressed")


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as file:
        # All at once would unpack more than the size that the entry claims.
        content = io.BytesIO(file.read(entry.file_size))
    read_header = _HEADERS[np.lib.format.read_magic(content)]
    shape, _, dtype = read_header(content)
    if prod(shape) * dtype.itemsize != len(content.getbuffer()) - content.tell():
        raise ValueError(f"{entry.filename} has another size than its shape {shape} needs")
    content.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    return array


def pack_texts(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Return texts as bytes. NUL, which no file name can hold, ends each text."""
    return np.frombuffer(
        b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts), np.uint8
    )


def unpack_texts(content: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return the texts that `pack_texts` packed."""
    parts = content.tobytes().split(b"\0")[:-1]
    return tuple(part.decode("utf-8", "surrogateescape") for part in parts)
