"""Arrays in ``.npz`` files whose bytes depend on nothing but the arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import FileError

# The first moment that a zip archive can name.
_ALWAYS = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def pack(members: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return the content of an ``.npz`` file, the same for the same arrays.

    Not compressed: other versions of zlib compress to other bytes, and parts of what is
    not compressed can be read alone.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _ALWAYS)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                np.lib.format.write_array(file, np.ascontiguousarray(little), (1, 0), False)
    return content.getbuffer()


def unpack(path: str, content: bytes, needed: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays in the content of such a file, whose name is for errors.

    Raises
    ------
    FileError
        It is damaged, or lacks an array.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as members:
            return {name: members[name] for name in needed}
    except Exception as error:  # NumPy and zipfile raise nearly anything
        # NumPy advises to unpickle what is no array: nothing to tell of a stranger's file.
        said = "" if "pickle" in str(error) else f": {error}"
        raise FileError(
            path,
            f"is damaged or no result of an evaluation ({type(error).__name__}{said}); "
            "delete it, and run the evaluation again",
        ) from error


def pack_texts(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Return texts as bytes, as `HashTable.save` packs them: NUL ends each."""
    return np.frombuffer(
        b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts), np.uint8
    )


def unpack_texts(content: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return the texts that `pack_texts` packed."""
    parts = content.tobytes().split(b"\0")[:-1]
    return tuple(part.decode("utf-8", "surrogateescape") for part in parts)
