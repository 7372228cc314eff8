"""A file beside a table in which each hash is kept as soon as it is made."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from types import TracebackType
from typing import NamedTuple

import numpy as np
import PIL

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ImageError, TableFileError
from photodna_nb.hashing import images
from photodna_nb.hashing.stages import HashWithDetail, hash_and_detail


class JournalEntry(NamedTuple):
    """A hashed file: how to tell whether it has changed, and what came of it.

    The digest, of its content, is there if it was asked for.
    """

    size: int
    modified: int  # nanoseconds
    digest: str | None
    hashed: HashWithDetail


class HashJournal:
    """The entries in a file of JSON lines, and a place to append more.

    A line that is damaged, as the last one is when the machine stops in the
    middle of it, or that was made with another version of Pillow, counts as missing.

    Raises
    ------
    TableFileError
        The file cannot be read or written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._entries: dict[str, JournalEntry] = {}
        try:
            # Text would be split at every kind of line end.
            self._file = open(path, "ab+")  # noqa: SIM115  # closed by __exit__
            self._file.seek(0)
            last = b"\n"
            for last in self._file:
                self._remember(last)
            if not last.endswith(b"\n"):
                self._file.write(b"\n")
        except OSError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> HashJournal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise self._unusable(problem) from problem
        finally:
            self._file.close()

    def get(self, path: str) -> JournalEntry | None:
        """Return the newest entry of that path, from whatever folder it is named."""
        return self._entries.get(os.path.abspath(path))

    def append(self, path: str, entry: JournalEntry) -> None:
        """Keep an entry; it outlives this process from now on, and a power cut from the end on."""
        record = {
            "path": os.path.abspath(path),
            "pillow": PIL.__version__,
            "size": entry.size,
            "modified": entry.modified,
            "digest": entry.digest,
            "hash": base64.b64encode(entry.hashed.hash.tobytes()).decode("ascii"),
            "detail": entry.hashed.detail,
        }
        try:
            self._file.write(json.dumps(record).encode("ascii") + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unusable(error) from error

    def _remember(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            row = np.frombuffer(base64.b64decode(record["hash"], validate=True), np.uint8)
            hashed = HashWithDetail(row, float(record["detail"]))
            entry = JournalEntry(
                int(record["size"]), int(record["modified"]), record["digest"], hashed
            )
            # Another version may decode to other pixels.
            if row.size == HASH_BYTES and record["pillow"] == PIL.__version__:
                self._entries[record["path"]] = entry
        except (ValueError, TypeError, KeyError, OverflowError):
            pass

    def _unusable(self, error: OSError) -> TableFileError:
        return TableFileError(self.path, f"cannot be used as a journal ({error.strerror})")


def hash_if_changed(
    path: str, known: JournalEntry | None, by_digest: bool
) -> JournalEntry | ImageError:
    """Return `known` if the file is as it was then, and a new entry or its error otherwise."""
    try:
        status = os.stat(path)
        digest = _digest(path) if by_digest else None
        if known is not None:
            stamp = (status.st_size, status.st_mtime_ns)
            same_content = digest is not None and known.digest == digest
            if same_content if by_digest else known[:2] == stamp:
                return known
        hashed = hash_and_detail(images.read_pixels(path))
        return JournalEntry(status.st_size, status.st_mtime_ns, digest, hashed)
    except ImageError as error:
        return error
    except (OSError, ValueError):  # a ValueError: what cannot be a name
        try:
            images.read_pixels(path)  # says what is wrong, and what to do
        except ImageError as error:
            return error
        raise


def _digest(path: str) -> str | None:
    """Return the SHA-256 of a regular file's content; of others nothing, as reading may wait."""
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
