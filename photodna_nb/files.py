"""Whole files: read when they can be, written so that a reader finds the old or the new."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO

from photodna_nb.errors import FileError

Content = bytes | memoryview

# Opening waits for no pipe and takes no terminal; what has no such flag does neither.
_READ = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _READ |= getattr(os, _flag, 0)


def opened(path: str, kind: type[FileError]) -> FileIO:
    """Return a regular file, open for reading: a named pipe is waited for, a device never ends.

    Parameters
    ----------
    path : str
        Of a file that should be there.
    kind : type
        Of the error.

    Raises
    ------
    FileError
        Of that kind: `path` is empty, cannot be a name, or is a directory, pipe, socket or device.
    OSError
        There is no such file, or it cannot be opened.
    """
    if not path:
        raise kind(path, "the name is empty; give a file")
    if "\0" in path:
        raise kind(path, "a file name cannot hold a NUL character; check the path")
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        _check_regular(path, os.stat(path), kind)  # a socket cannot even be opened
        raise
    try:
        _check_regular(path, os.fstat(descriptor), kind)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(path: str, status: os.stat_result, kind: type[FileError]) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise kind(
            path, "is a directory; give a file (--hash-dir hashes the images in a directory)"
        )
    if not stat.S_ISREG(status.st_mode):
        raise kind(
            path, "is not a regular file but a pipe, socket or device; copy it to a file first"
        )


def read(path: str, kind: type[FileError]) -> bytes:
    """Return the content of a file.

    Raises
    ------
    FileError
        Of that kind: the file is missing, is no regular file, or cannot be read.
    """
    with readable(path, kind), opened(path, kind) as file:
        return file.readall()


@contextmanager
def readable(path: str, kind: type[FileError]) -> Iterator[None]:
    """Turn what the system says against reading a file into an error of that kind."""
    try:
        yield
    except FileNotFoundError as error:
        raise kind(path, "no such file; check the path") from error
    except OSError as error:
        raise kind(path, f"cannot be read ({error.strerror})") from error


def write(files: Sequence[tuple[str, Iterable[Content]]], kind: type[FileError]) -> None:
    """Replace the content of the files, each in one step, and wait until the disk has it.

    Parameters
    ----------
    files : sequence of (path, chunks)
        They are replaced in this order, and none before all are written in full
        beside them. A file that was there keeps its permissions; a link keeps
        pointing where it did.
    kind : type
        Of the error.

    Raises
    ------
    FileError
        Of that kind: a file could not be written, and is as it was.
    """
    written = []
    try:
        for path, chunks in files:
            with _explained(path, kind):
                if os.path.exists(path) and not os.access(path, os.W_OK):
                    raise PermissionError(errno.EACCES, "it is write-protected")
                written.append((path, _write_beside(os.path.realpath(path), chunks)))
        while written:
            path, temporary = written[0]
            with _explained(path, kind):
                os.replace(temporary, os.path.realpath(path))
                written.pop(0)
                _sync_folder(os.path.dirname(os.path.realpath(path)))
    finally:
        for _, temporary in written:
            os.unlink(temporary)


def _write_beside(target: str, chunks: Iterable[Content]) -> str:
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
def _explained(path: str, kind: type[FileError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise kind(
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
