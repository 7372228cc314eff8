"""Whole files, written so that a reader finds the old content or the new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from photodna_nb.errors import IndexFileError


def read(path: str) -> bytes:
    """Return the content of the file.

    Raises
    ------
    IndexFileError
        The file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise IndexFileError(
            path, "no such file; check the path, or make a new index with --faiss-build"
        ) from error
    except OSError as error:
        raise IndexFileError(path, f"cannot be read ({error.strerror})") from error


def write(files: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> None:
    """Replace the content of the files, each in one step, and wait until the disk has it.

    Parameters
    ----------
    files : sequence of (path, chunks)
        They are replaced in this order, and none before all are written in full
        beside them. A file that was there keeps its permissions; a link keeps
        pointing where it did.

    Raises
    ------
    IndexFileError
        A file could not be written; those that it names are as they were.
    """
    written = []
    try:
        for path, chunks in files:
            with _explained(path):
                written.append((path, _write_beside(os.path.realpath(path), chunks)))
        while written:
            path, temporary = written[0]
            with _explained(path):
                os.replace(temporary, os.path.realpath(path))
                written.pop(0)
                _sync_folder(os.path.dirname(os.path.realpath(path)))
    finally:
        for _, temporary in written:
            os.unlink(temporary)


def _write_beside(target: str, chunks: Iterable[bytes | memoryview]) -> str:
    """Write `chunks` to a new file in the target's folder and return its name."""
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            if os.path.exists(target):
                os.chmod(temporary, os.stat(target).st_mode & 0o7777)
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IndexFileError(
            path,
            f"cannot be written ({error.strerror}); what was there before is unchanged. "
            "Check the folder, its permissions and the free space",
        ) from error


def _sync_folder(folder: str) -> None:
    """Make the new name last through a power cut, where the system can (Windows cannot)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
