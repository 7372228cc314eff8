"""Whole files, written so that a reader finds the old content or the new one."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from photodna_nb.errors import IndexFileError
from photodna_nb.files import check_regular


def read(path: str) -> bytes:
    """Return the content of the file.

    Raises
    ------
    IndexFileError
        The file is missing, is no regular file, or cannot be read.
    """
    try:
        check_regular(path, IndexFileError)
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise IndexFileError(path, "no such file; check the path") from error
    except OSError as error:
        raise IndexFileError(path, f"cannot be read ({error.strerror})") from error


def check_replaceable(path: str, beginning: bytes) -> None:
    """Refuse to replace a file that is not of this program.

    Parameters
    ----------
    path : str
        Of the file to be; missing, empty, or one that begins as its kind does.
    beginning : bytes
        Of a file of that kind.

    Raises
    ------
    IndexFileError
        The file is of another kind, or its folder is missing or cannot be written.
    """
    folder = os.path.dirname(os.path.realpath(path))
    if not path or not os.path.isdir(folder):
        raise IndexFileError(path, "is in a folder that does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise IndexFileError(path, "is in a folder that this user cannot write in")
    if os.path.lexists(path):
        content = read(path) if os.path.exists(path) else b""
        if content.strip() and not content.lstrip().startswith(beginning):
            raise IndexFileError(
                path, "is a file of another kind; if it is to be replaced, delete it first"
            )


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
                if os.path.exists(path) and not os.access(path, os.W_OK):
                    raise PermissionError(errno.EACCES, "it is write-protected")
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
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".photodna-nb-{secrets.token_hex(8)}.tmp")
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
            f"cannot be written ({error.strerror}) and is as it was before; "
            "check the folder, the permissions and the free space",
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
