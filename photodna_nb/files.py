"""Reading regular files, and replacing files so that a reader finds the old or the new one.

`target_of` is the rule for each file that the package writes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from io import BufferedRandom, FileIO
from typing import BinaryIO, Self

from photodna_nb import systems
from photodna_nb.errors import ErrorContext, FileError, remedy_of

PathLike = str | os.PathLike[str]
Content = bytes | memoryview
# The content of a file in chunks, or a function that writes it.
NewContent = Iterable[Content] | Callable[[BinaryIO], None]

# Names of temporary files and folders begin with it.
_PREFIX = ".photodna-nb-"

# Opening neither waits for a pipe nor takes a terminal; not every system has all flags.
_FLAGS = 0
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)


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
    _check_name(path, error_type)
    try:
        descriptor = os.open(path, _FLAGS | os.O_RDONLY)
    except OSError:
        regular_status(path, error_type)  # a socket cannot even be opened
        raise
    try:
        _check_regular(path, os.fstat(descriptor), error_type)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _check_name(path: str, error_type: type[FileError]) -> None:
    if not path:
        raise error_type(path, "the name is empty; give a file")
    if "\0" in path:
        raise error_type(path, "a file name cannot hold a NUL character; check the path")


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


def _check_regular(
    path: str, status: os.stat_result, error_type: type[FileError], *, to_write: bool = False
) -> None:
    if stat.S_ISDIR(status.st_mode):
        hint = "" if to_write else " (--hash-dir hashes the images in a directory)"
        raise error_type(path, f"is a directory; give a file{hint}")
    if not stat.S_ISREG(status.st_mode):
        remedy = "give another name" if to_write else "copy it to a file first"
        reason = f"is not a regular file but a pipe, socket or device; {remedy}"
        raise error_type(path, reason)


def read(path: str, error_type: type[FileError]) -> bytes:
    """Return the content of a file.

    Raises
    ------
    FileError
        Of `error_type`: the file is missing, is no regular file, or cannot be read.
    """
    with read_errors(path, error_type), open_regular(path, error_type) as file:
        return file.readall()


def read_errors(path: str, error_type: type[FileError]) -> ErrorContext:
    """Return a context that turns the system's errors while a file is read into `error_type`."""

    def translated(error: BaseException) -> FileError | None:
        if isinstance(error, FileNotFoundError):
            return error_type(path, f"no such file; {remedy_of(error, 'check the path')}")
        if isinstance(error, OSError):
            remedy = remedy_of(error, "check the path and the permissions")
            return error_type(path, f"cannot be read ({error.strerror}); {remedy}")
        return None

    return ErrorContext(translated)


def target_of(path: str, error_type: type[FileError]) -> str:
    """Return the path of the file that is written where `path` is to be: links are followed.

    Every file that the package writes comes through here before it is written.

    Raises
    ------
    FileError
        Of `error_type`: `path` cannot be a name, or leads to what is no regular file, may not
        be written, or has another name by a hard link. That name would keep the old content.
    """
    _check_name(path, error_type)
    with write_errors(path, error_type), suppress(FileNotFoundError):
        status = os.stat(path)
        _check_regular(path, status, error_type, to_write=True)
        if status.st_nlink > 1:
            raise error_type(
                path,
                "has another name, by a hard link, which would keep the old content; delete one "
                "of the two names (find -samefile finds them), or make it a symbolic link",
            )
        if not os.access(path, os.W_OK):  # its folder may allow to replace it all the same
            raise PermissionError(errno.EACCES, "it is write-protected")
    return os.path.realpath(path)


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
            self._temporary: str | None = _write_temporary(path, content, error_type)

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


class StagedFolder:
    """A folder of new files, which has its name once all of them are in it.

    The files are not flushed to the disk one by one: they can be made again.

    Parameters
    ----------
    parent : str
        The folder in which it is to be, created if it is missing.
    like : str
        File whose owner and permissions each file takes, if that is there.
    error_type : type
        Class of the error, a FileError, where nothing can be written.
    """

    def __init__(self, parent: str, like: str, error_type: type[FileError]) -> None:
        self._parent, self._like = parent, like
        self._errors = write_errors(parent, error_type)
        self._temporary = os.path.join(parent, f"{_PREFIX}{secrets.token_hex(8)}.tmp")
        with self._errors:
            with suppress(FileExistsError):
                os.mkdir(parent)
            os.mkdir(self._temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        remove_folder(self._temporary)
        with suppress(OSError):  # something else is in it
            os.rmdir(self._parent)

    def add(self, name: str, content: Content) -> None:
        """Write a file, whose name is a number and a suffix: `remove_folder` deletes no other."""
        path = os.path.join(self._temporary, name)
        with self._errors, open(create(path, self._like), "wb") as file:
            file.write(content)

    def place(self, name: str) -> None:
        """Give the folder its name, in place of one that has it."""
        path = os.path.join(self._parent, name)
        remove_folder(path)
        with self._errors:
            os.rename(self._temporary, path)


def remove_folder(path: str) -> None:
    """Delete the files in a folder whose names are numbers, and then the folder if it is empty."""
    if os.path.islink(path):
        return
    with suppress(OSError):
        with os.scandir(path) as entries:
            own = [entry.path for entry in entries if entry.name.partition(".")[0].isdecimal()]
        for file in own:
            os.unlink(file)
        os.rmdir(path)


def move_into_place(temporary: str, path: str, error_type: type[FileError]) -> None:
    """Replace a file by one of `create_temporary`, in one step.

    Raises
    ------
    FileError
        Of `error_type`: the file could not be replaced, and has its old content.
    """
    with write_errors(path, error_type):
        target = target_of(path, error_type)
        _take_permissions(temporary, target)
        _sync(temporary)
        systems.replace(temporary, target)
        _sync(os.path.dirname(target))


def create_temporary(path: str, error_type: type[FileError]) -> tuple[int, str]:
    """Return descriptor and path of a new file that is to replace `path`, and is as private.

    Its prefix is one that `remove_leftovers` knows.

    Raises
    ------
    FileError
        Of `error_type`: see `target_of`.
    OSError
        The file cannot be created.
    """
    target = target_of(path, error_type)
    folder, prefix = _prefix(target)
    temporary = os.path.join(folder, f"{prefix}{secrets.token_hex(8)}.tmp")
    return create(temporary, target), temporary


def create(path: str, like: str) -> int:
    """Return the descriptor of a new file that no other user can read unless they can `like`.

    Parameters
    ----------
    path : str
        Path of the new file. Nothing has that name, and no link either.
    like : str
        A file whose owner and permissions it takes, if that is there.
    """
    mode = 0o600 if os.path.exists(like) else 0o666
    descriptor = os.open(path, _FLAGS | os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        _take_permissions(path, like)
    except BaseException:
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor


def open_to_append(path: str, like: str, error_type: type[FileError]) -> BufferedRandom:
    """Return a regular file, open for reading and appending, which is created if it is missing.

    Parameters
    ----------
    path : str
        Path of the file.
    like : str
        See `create`.
    error_type : type
        Class of the error.

    Raises
    ------
    FileError
        Of `error_type`: `path` is a directory, pipe, socket or device, or a link to one.
    OSError
        The file cannot be opened.
    """
    with suppress(FileExistsError):
        os.close(create(path, like))
    regular_status(path, error_type)  # a tape is rewound when it is opened
    descriptor = os.open(path, _FLAGS | os.O_RDWR | os.O_APPEND)
    try:
        _check_regular(path, os.fstat(descriptor), error_type, to_write=True)
        return open(descriptor, "ab+")
    except BaseException:
        os.close(descriptor)
        raise


def _take_permissions(path: str, like: str) -> None:
    """Give a file of ours the owner and permissions of the file `like`, if that is there.

    Only root can give a file to another user, and others to a group of theirs. A file that
    is of another group than `like` gives its group no more than all users have.
    """
    with suppress(FileNotFoundError):
        wanted = os.stat(like)
        # Another user of the folder may have put a link in place of the file.
        descriptor = os.open(path, _FLAGS | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            mode = wanted.st_mode & 0o777
            if hasattr(os, "fchown"):
                for owner in ((-1, wanted.st_gid), (wanted.st_uid, -1)):
                    with suppress(PermissionError):
                        os.fchown(descriptor, *owner)
                if os.fstat(descriptor).st_gid != wanted.st_gid:
                    mode &= 0o707 | mode << 3
            os.chmod(descriptor if os.chmod in os.supports_fd else path, mode)
        finally:
            os.close(descriptor)


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
    return folder, f"{_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"


def _write_temporary(path: str, content: NewContent, error_type: type[FileError]) -> str:
    """Write the content to a temporary file in the folder of `path`, and return its path."""
    descriptor, temporary = create_temporary(path, error_type)
    try:
        with open(descriptor, "w+b") as file:  # an archive reads what it has written
            if callable(content):
                content(file)
            else:
                file.writelines(content)
            file.flush()
            systems.flush(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def write_errors(path: str, error_type: type[FileError]) -> ErrorContext:
    """Return a context that turns the system's errors while a file is written into `error_type`."""

    def translated(error: BaseException) -> FileError | None:
        if not isinstance(error, OSError):
            return None
        remedy = remedy_of(error, "check the folder, the permissions and the free space")
        return error_type(
            path, f"cannot be written ({error.strerror}) and is as it was before; {remedy}"
        )

    return ErrorContext(translated)


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
        systems.flush(descriptor)
    finally:
        os.close(descriptor)
