"""The errors that the package raises.

Each message names the file or argument, what came, what was needed and what to do.
"""

from __future__ import annotations

import os

from photodna_nb.printable import printable

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class PhotodnaError(Exception):
    """Base class of the errors of this package."""


class ArgumentError(PhotodnaError, ValueError):
    """An argument has the right type and a value that cannot be used."""


class ArgumentTypeError(PhotodnaError, TypeError):
    """An argument has a type, dtype or number of dimensions that cannot be used."""


class FileError(PhotodnaError, ValueError):
    """A file cannot be used.

    Attributes
    ----------
    path : str, bytes, os.PathLike or None
        The file as the caller named it; None where it came without a name.
    reason : str
        What is wrong and what to do, without the name.
    """

    def __init__(self, path: Path | None, reason: str) -> None:
        # Both go to Exception.__init__: an error must survive the way back from a worker process.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{printable(self.path)}: {self.reason}"


class ImageError(FileError):
    """An image cannot be read or hashed."""

    def __str__(self) -> str:
        # Arrays, bytes and Pillow images come without a name.
        return f"the image: {self.reason}" if self.path is None else super().__str__()


class TableFileError(FileError):
    """A table of hashes, or of pairs, cannot be read or written."""


class IndexFileError(FileError):
    """An index or its metadata cannot be used, or the two do not belong together."""
