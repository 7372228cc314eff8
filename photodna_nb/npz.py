"""Arrays and texts in ``.npz`` files whose bytes depend on nothing but the content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import FileError

# The first moment that a zip archive can name, and the system whose permissions it holds.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


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


def new_archive(file: BinaryIO) -> zipfile.ZipFile:
    """Return an archive without members, to be written to an open file."""
    return zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)


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
        Of `error_type`: the file is damaged, or lacks an array.
    """
    try:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("not a zip archive")
        with np.load(io.BytesIO(content), allow_pickle=False) as members:
            return {name: members[name] for name in names}
    except Exception as error:  # NumPy and zipfile raise nearly anything
        # NumPy advises to unpickle what is no array: never do that with an untrusted file.
        detail = "" if "pickle" in str(error) else f": {error}"
        raise error_type(
            path,
            f"is damaged or another file ({type(error).__name__}{detail}); "
            "delete it, and create it again",
        ) from error


def pack_texts(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Return texts as bytes. NUL, which no file name can hold, ends each text."""
    return np.frombuffer(
        b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts), np.uint8
    )


def unpack_texts(content: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return the texts that `pack_texts` packed."""
    parts = content.tobytes().split(b"\0")[:-1]
    return tuple(part.decode("utf-8", "surrogateescape") for part in parts)
