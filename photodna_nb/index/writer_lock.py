"""The lock of the one writer of an index, and which files an index may replace."""

from __future__ import annotations

import gc
import os
import re
import stat
from typing import TYPE_CHECKING

from photodna_nb import files
from photodna_nb.errors import IndexFileError, remedy_of

if TYPE_CHECKING:
    from filelock import FileLock

# Seconds for which another program may hold the lock. Adding takes less, once images are hashed.
LOCK_TIMEOUT_SECONDS = 60.0
_BEGINNING_BYTES = 4096


class WriterLock:
    """The lock that lets one program at a time change an index.

    The operating system releases it if the program that holds it ends.

    Parameters
    ----------
    meta_path : str
        Path of the metadata. The lock is an empty file of that name with ``.lock`` at the end.
        It stays when the lock is released.
    """

    def __init__(self, meta_path: str) -> None:
        self._meta_path = meta_path
        self._path = os.path.realpath(meta_path) + ".lock"
        self._lock: FileLock | None = None

    def acquire(self) -> None:
        """Wait for the lock.

        Raises
        ------
        IndexFileError
            Another program holds it for longer than 60 s, the file cannot be created, or the
            metadata cannot be written: see `files.target_of`.
        """
        from filelock import FileLock, Timeout  # slow to import, and readers need none

        files.target_of(self._meta_path, IndexFileError)
        if os.path.lexists(self._path) and not stat.S_ISREG(os.lstat(self._path).st_mode):
            reason = "is no file, but belongs to an index; delete it"
            raise IndexFileError(self._path, reason)
        try:
            self._lock = self._lock or FileLock(self._path, thread_local=False)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                gc.collect()  # an index that was dropped in a reference cycle holds its lock
                self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        except Timeout as error:
            raise IndexFileError(
                self._meta_path,
                "has been in change by another program, or another HashIndex, for "
                f"{LOCK_TIMEOUT_SECONDS:.0f} s; wait until it has saved, or end it",
            ) from error
        except OSError as error:
            remedy = remedy_of(error, "check the folder and the permissions")
            reason = f"cannot be changed ({error.strerror}: {self._path}); {remedy}"
            raise IndexFileError(self._meta_path, reason) from error

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._lock is not None:
            self._lock.release()


def check_replaceable(path: str, beginning: bytes) -> None:
    """Refuse to replace a file that is not of this program.

    Parameters
    ----------
    path : str
        Path of the new file: missing, empty, or a file with that beginning.
    beginning : bytes
        Beginning of the files that may be replaced, as a regular expression.

    Raises
    ------
    IndexFileError
        The file is of no index, or its folder is missing or cannot be written.
    """
    folder = os.path.dirname(os.path.realpath(path))
    if not path or not os.path.isdir(folder):
        raise IndexFileError(path, "is in a folder that does not exist; make it first")
    if not os.access(folder, os.W_OK):
        reason = "is in a folder that this user cannot write in; check its permissions"
        raise IndexFileError(path, reason)
    if os.path.exists(path):
        with (
            files.read_errors(path, IndexFileError),
            files.open_regular(path, IndexFileError) as file,
        ):
            content = file.read(_BEGINNING_BYTES).lstrip()
        if content and not re.match(beginning, content, re.DOTALL):
            raise IndexFileError(
                path, "is no file of an index; if it is to be replaced, delete it first"
            )
