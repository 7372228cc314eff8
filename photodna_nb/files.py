"""Whether something on the file system is a file that can be read to its end."""

from __future__ import annotations

import os
import stat

from photodna_nb.errors import FileError


def check_regular(path: str, kind: type[FileError]) -> None:
    """Refuse what is no regular file: a named pipe is waited for, and a device never ends.

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
        There is no such file, or it cannot be looked at.
    """
    if not path:
        raise kind(path, "the name is empty; give a file")
    if "\0" in path:
        raise kind(path, "a file name cannot hold a NUL character; check the path")
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise kind(
            path, "is a directory; give a file (--hash-dir hashes the images in a directory)"
        )
    if not stat.S_ISREG(mode):
        raise kind(
            path, "is not a regular file but a pipe, socket or device; copy it to a file first"
        )
