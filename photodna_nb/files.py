"""Reading regular files, and replacing files so that a reader finds the old or the new one."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from typing import BinaryIO, Self

from photodna_nb.errors import FileError

PathLike = str | os.PathLike[str]
Content = bytes | memoryview
# The content of a file in chunks, or a function that writes it.
NewContent = Iterable[Content] | Callable[[BinaryIO], None]

# Opening neither waits for a pipe nor takes a terminal; not every system has all flags.
_READ = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _READ |= getattr(os, _flag, 0)


def open_regular(path: str, error_type: type[FileError]) -> FileIO:
    """Return a regular file, open for reading. A pipe would block, and a device may never end.

    Parameters
    ----------
    path : str
        Path of the file.
    error_type : type
        Class of the error.

    Raises
    ------
    FileError
        Of `error_type`: `path` is empty, cannot be a name, or is a directory, pipe, socket
        or device.
    OSError
        There is no such file, or it cannot be opened.
    """
    if not path:
        raise error_type(path, "the name is empty; give a file")
    if "\0" in path:
        raise error_type(path, "a file name cannot hold a NUL character; check the path")
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        regular_status(path, error_type)  # a socket cannot even be opened
        raise
    try:
        _check_regular(path, os.fstat(descriptor), error_type)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def regular_status(path: str, error_type: type[FileError]) -> os.stat_result:
    """Return the status of a regular file without opening it.

    Closing a file would release all locks that this process has on it, SQLite's too.

    Raises
    ------
    FileError
        Of `error_type`: `path` is a directory, pipe, socket or device.
    OSError
        There is no such file.
    """
    status = os.stat(path)
    _check_regular(path, status, error_type)
    return status


def _check_regular(path: str, status: os.stat_result, error_type: type[FileError]) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise error_type(
            path, "is a directory; give a file (--hash-dir hashes the images in a directory)"
        )
    if not stat.S_ISREG(status.st_mode):
        raise error_type(
            path, "is not a regular file but a pipe, socket or device; copy it to a file first"
        )


def read(path: str, error_type: type[FileError]) -> bytes:
    """Return the content of a file.

    Raises
    ------
    FileError
        Of `error_type`: the file is missing, is no regular file, or cannot be read.
    """
    with read_errors(path, error_type), open_regular(path, error_type) as file:
        return file.readall()


@contextmanager
def read_errors(path: str, error_type: type[FileError]) -> Iterator[None]:
    """Turn the system's errors while a file is read into errors of `error_type`."""
    try:
        yield
    except FileNotFoundError as error:
        raise error_type(path, "no such file; check the path") from error
    except OSError as error:
        raise error_type(path, f"cannot be read ({error.strerror})") from error


def write(files: Sequence[tuple[str, NewContent]], error_type: type[FileError]) -> None:
    """Replace the content of the files, each in one step, and wait until it is on the disk.

    Parameters
    ----------
    files : sequence of (path, content)
        The files are replaced in this order, and none before the new content of all is
        on the disk. A file keeps its permissions, and a link keeps its target.
    error_type : type
        Class of the error.

    Raises
    ------
    FileError
        Of `error_type`: a file could not be written, and has its old content.
    """
    with ExitStack() as stack:
        staged = [stack.enter_context(StagedFile(*file, error_type)) for file in files]
        for file in staged:
            file.replace()


class StagedFile:
    """New content of a file, in a temporary file in the same folder, until it replaces it.

    Parameters
    ----------
    path : str
        Path of the file to be replaced.
    content : iterable of bytes, or callable
        The new content, or a function that writes it to an open file.
    error_type : type
        Class of the error.

    Raises
    ------
    FileError
        Of `error_type`: the content could not be written, and the file has its old content.
    """

    def __init__(self, path: str, content: NewContent, error_type: type[FileError]) -> None:
        self._path, self._error_type = path, error_type
        with write_errors(path, error_type):
            _check_unprotected(path)
            self._temporary: str | None = _write_temporary(path, content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            os.unlink(self._temporary)

    def replace(self) -> None:
        """Replace the file by the new content."""
        if self._temporary is not None:
            move_into_place(self._temporary, self._path, self._error_type)
            self._temporary = None


def move_into_place(temporary: str, path: str, error_type: type[FileError]) -> None:
    """Replace a file by the one at its `temporary_path`, in one step.

    Raises
    ------
    FileError
        Of `error_type`: the file could not be replaced, and has its old content.
    """
    with write_errors(path, error_type):
        _check_unprotected(path)
        target = os.path.realpath(path)
        _sync(temporary)
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
        _sync(os.path.dirname(target))


def _check_unprotected(path: str) -> None:
    """Refuse a file that is write-protected, although its folder is not."""
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected")


def temporary_path(path: str) -> str:
    """Return a new path in the folder of a file, with a prefix that `remove_leftovers` knows."""
    folder, prefix = _prefix(path)
    return os.path.join(folder, f"{prefix}{secrets.token_hex(8)}.tmp")


def remove_leftovers(path: str) -> None:
    """Delete the temporary files of programs that were killed while they wrote a file.

    No other program may be writing the file.
    """
    folder, prefix = _prefix(path)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                os.unlink(entry.path)


def _prefix(path: str) -> tuple[str, str]:
    folder, name = os.path.split(os.path.realpath(path))
    return folder, f".photodna-nb-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"


def _write_temporary(path: str, content: NewContent) -> str:
    """Write the content to a temporary file in the folder of `path`, and return its path."""
    temporary = temporary_path(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


@contextmanager
def write_errors(path: str, error_type: type[FileError]) -> Iterator[None]:
    """Turn the system's errors while a file is written into errors of `error_type`."""
    try:
        yield
    except OSError as error:
        raise error_type(
            path,
            f"cannot be written ({error.strerror}) and is as it was before; "
            "check the folder, the permissions and the free space",
        ) from error


def _sync(path: str) -> None:
    """Flush a file, or the names in a folder, to the disk, so that they survive a power cut.

    Windows synchronises no folders, and files only if they are open for writing.
    """
    if os.path.isdir(path):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:  # Windows, or a folder that may be written and not listed
            return
    else:
        descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
