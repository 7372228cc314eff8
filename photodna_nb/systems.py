"""What Windows and macOS do otherwise than Linux, so that other modules need not know it."""

import os
import stat
import time
from contextlib import suppress
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

IS_WINDOWS = os.name == "nt"

# Names of files as callers give them.
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# A longer path is found only where long paths are enabled.
WINDOWS_PATH_LENGTH = 259
# Readers and virus scanners have a file open for moments.
_REPLACE_SECONDS, _REPLACE_INTERVAL = 2.0, 0.05


def flush(descriptor: int) -> None:
    """Flush an open file or folder, so that it survives a power cut.

    On macOS, `os.fsync` leaves the data in the cache of the drive, and F_FULLFSYNC does not; not
    every file system there has it.
    """
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, full_sync)
            return
    os.fsync(descriptor)


def lock_shared(file: IO[bytes]) -> None:
    """Lock a file together with other programs until it is closed, so that none locks it alone.

    Windows has no such locks, and some file systems have none.
    """
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)


def lock_alone(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, and return True, unless another program has locked it.

    Where there are no locks, the result is True.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def as_spelled(path: str) -> str:
    """Return the path of a folder or file as macOS spells it on the disk; elsewhere, as it is.

    A file with several hard links keeps its path, since macOS may return that of any of them.
    """
    get_path = getattr(fcntl, "F_GETPATH", None)
    if get_path is not None:
        with suppress(OSError, ValueError):  # a ValueError: what cannot be a name
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode) or (
                stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            ):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    real = fcntl.fcntl(descriptor, get_path, bytes(1024))
                    return os.fsdecode(real.rstrip(b"\0"))
                finally:
                    os.close(descriptor)
    return path


def real_folder(path: str) -> str:
    """Return `os.path.realpath` of a folder, as it is spelled on the disk."""
    return as_spelled(os.path.realpath(path))


def replace(source: str, target: str) -> None:
    """Call `os.replace`; wait a little for readers, since Windows replaces no file that is open."""
    end = time.monotonic() + _REPLACE_SECONDS
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if not IS_WINDOWS or time.monotonic() > end:
                raise
        time.sleep(_REPLACE_INTERVAL)


def decoded(name: AnyPath) -> str:
    """Return `os.fsdecode`; Windows, which would refuse them, has bytes escaped as on Linux."""
    if IS_WINDOWS and isinstance(name, bytes):
        return name.decode("utf-8", "surrogateescape")
    return os.fsdecode(name)
