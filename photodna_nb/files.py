"""Whole files: read when they can be, written so that a reader finds the old or the new."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO

from photodna_nb.errors import FileError

PathLike = str | os.PathLike[str]
Content = bytes | memoryview

# Opening waits for no pipe and takes no terminal; what has no such flag does neither.
_READ = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _READ |= getattr(os, _flag, 0)


def open_regular(path: str, kind: type[FileError]) -> FileIO:
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
        regular_status(path, kind)  # a socket cannot even be opened
        raise
    try:
        _check_regular(path, os.fstat(descriptor), kind)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def regular_status(path: str, kind: type[FileError]) -> os.stat_result:
    """Return what the system knows of a regular file, which is not opened.

    To close a file gives back all locks that this process has on it, SQLite's too.

    Raises
    ------
    FileError
        Of that kind: `path` is a directory, pipe, socket or device.
    OSError
        There is no such file.
    """
    status = os.stat(path)
    _check_regular(path, status, kind)
    return status


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
    with read_errors(path, kind), open_regular(path, kind) as file:
        return file.readall()


@contextmanager
def read_errors(path: str, kind: type[FileError]) -> Iterator[None]:
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
    with ExitStack() as all_staged:
        staged = [all_staged.enter_context(Staged(*file, kind)) for file in files]
        for one in staged:
            one.replace()


class Staged:
    """New content of a file, on the disk beside it, until it takes its place or is deleted.

    Parameters
    ----------
    path : str
        Of the file to be replaced.
    chunks : iterable of bytes
        Its new content.
    kind : type
        Of the error.

    Raises
    ------
    FileError
        Of that kind: the content could not be written, and the file is as it was.
    """

    def __init__(self, path: str, chunks: Iterable[Content], kind: type[FileError]) -> None:
        self._path, self._kind = path, kind
        with _explained(path, kind):
            _check_unprotected(path)
            self._temporary: str | None = _write_beside(path, chunks)

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            os.unlink(self._temporary)

    def replace(self) -> None:
        """Put the new content in the file's place."""
        if self._temporary is not None:
            move_into_place(self._temporary, self._path, self._kind)
            self._temporary = None


def move_into_place(temporary: str, path: str, kind: type[FileError]) -> None:
    """Put a file that was written beside another one, by `temporary_path`, in its place.

    Raises
    ------
    FileError
        Of that kind: it could not be done, and the file is as it was.
    """
    with _explained(path, kind):
        _check_unprotected(path)
        target = os.path.realpath(path)
        _sync(temporary)
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
        _sync(os.path.dirname(target))


def _check_unprotected(path: str) -> None:
    """Refuse a file that may not be written, though its folder may be."""
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected")


def temporary_path(path: str) -> str:
    """Return a new name in the folder of a file, by which `remove_leftovers` knows whose it is."""
    folder, prefix = _prefix(path)
    return os.path.join(folder, f"{prefix}{secrets.token_hex(8)}.tmp")


def remove_leftovers(path: str) -> None:
    """Delete what programs that were killed while they wrote the file left beside it.

    No other program may be writing it.
    """
    folder, prefix = _prefix(path)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                os.unlink(entry.path)


def _prefix(path: str) -> tuple[str, str]:
    folder, name = os.path.split(os.path.realpath(path))
    return folder, f".photodna-nb-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"


def _write_beside(path: str, chunks: Iterable[Content]) -> str:
    """Write `chunks` to a new file in the folder of another one and return its name."""
    temporary = temporary_path(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
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


def _sync(path: str) -> None:
    """Make a file, or new names in a folder, last through a power cut.

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
