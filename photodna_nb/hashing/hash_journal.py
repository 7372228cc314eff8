"""The journal of `hash_files`: each hash is kept in a file as soon as it is computed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Annotated, Self

import msgspec
import numpy as np
import PIL

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ImageError, TableFileError
from photodna_nb.hashing import images
from photodna_nb.hashing.low_detail import hash_of_file
from photodna_nb.hashing.stages import HashWithDetail
from photodna_nb.journal import RecordLog


class HashRecord(msgspec.Struct, frozen=True):
    """The hash of a file, and what shows whether the file has changed since.

    Attributes
    ----------
    path : str
        Absolute path.
    size : int
        Bytes.
    modified : int
        Time of modification, in nanoseconds.
    digest : str or None
        SHA-256 of the content, if it was asked for.
    hash : bytes
        The 144 bytes of the hash.
    detail : float
        Detail of the image, in grey levels.
    pillow : str
        Version of Pillow: another one may decode the file to other pixels.
    clipped_from : str
        As in `HashWithDetail`; empty in records of earlier versions.
    width, height : int
        Pixels; zeros in records of earlier versions.
    """

    path: str
    size: int
    modified: int
    digest: str | None
    hash: Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    detail: float
    pillow: str
    clipped_from: str = ""
    width: int = 0
    height: int = 0

    @property
    def hash_with_detail(self) -> HashWithDetail:
        """The hash as an array, and the detail."""
        size = self.width, self.height
        hash_bytes = np.frombuffer(self.hash, np.uint8)
        return HashWithDetail(hash_bytes, self.detail, self.clipped_from, size)


class HashJournal(RecordLog[HashRecord]):
    """The journal of `hash_files`, open for appending; see `RecordLog`.

    Records of another version of Pillow count as missing.

    Parameters
    ----------
    path : str
        Path of the journal.
    like : str, optional
        A file whose owner and permissions a new journal takes, such as the table that the hashes
        are for.

    Raises
    ------
    TableFileError
        The file cannot be read or written, or is no journal of hashes.
    """

    def __init__(self, path: str, like: str = "") -> None:
        super().__init__(path, "hashes of files", 1, HashRecord, TableFileError, like)
        self._records = {record.path: record for record in self.usable()}

    def __enter__(self) -> Self:
        """Open the file, so that one that cannot be written is an error before the work."""
        self.open()
        return self

    def usable(self) -> Iterator[HashRecord]:
        """Yield the records of this version of Pillow, oldest first."""
        return (record for record in self.records() if record.pillow == PIL.__version__)

    def get(self, path: str) -> HashRecord | None:
        """Return the newest record of that file, from whatever folder it is named."""
        return self._records.get(os.path.abspath(path))

    def append(self, record: HashRecord) -> None:
        """Append a record, with the absolute path of its file: see `RecordLog.append`."""
        super().append(msgspec.structs.replace(record, path=os.path.abspath(record.path)))


def hash_if_changed(
    path: str, known: HashRecord | None, compare_content: bool
) -> HashRecord | ImageError:
    """Return `known` if the file is as it was then, otherwise a new record or the error.

    Parameters
    ----------
    path : str
        Path of the image file.
    known : HashRecord or None
        An earlier record of the file.
    compare_content : bool
        Whether the content decides whether the file has changed. Otherwise its size and
        time of modification do.
    """
    try:
        status = os.stat(path)
        content_digest = _digest(path) if compare_content else None
        if known is not None and (
            content_digest is not None and content_digest == known.digest
            if compare_content
            else (known.size, known.modified) == (status.st_size, status.st_mtime_ns)
        ):
            return known
        result = hash_of_file(path)
    except ImageError as error:
        return error.without_frames()
    except (OSError, ValueError):  # a ValueError: what cannot be a name
        try:
            images.read_pixels(path)  # raises the error with its remedy
        except ImageError as error:
            return error.without_frames()
        raise
    return HashRecord(
        path=path,
        size=status.st_size,
        modified=status.st_mtime_ns,
        digest=content_digest,
        hash=result.hash.tobytes(),
        detail=result.detail,
        pillow=PIL.__version__,
        clipped_from=result.clipped_from,
        width=result.size[0],
        height=result.size[1],
    )


def _digest(path: str) -> str | None:
    """Return the SHA-256 of a regular file's content; of others None, as reading may block."""
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
