"""Which files an index may replace."""

from __future__ import annotations

import os

from photodna_nb import files
from photodna_nb.errors import IndexFileError


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
        content = files.read(path, IndexFileError) if os.path.exists(path) else b""
        if content.strip() and not content.lstrip().startswith(beginning):
            raise IndexFileError(
                path, "is a file of another kind; if it is to be replaced, delete it first"
            )
