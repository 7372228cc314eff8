"""The errors that the package raises, and its warning.

Each message names the file or argument, what came, what was needed and what to do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Self

from photodna_nb import systems
from photodna_nb.printable import printable

# What to do where the system has no more of something, by the number of its error.
_FREE_MEMORY = "free memory, use fewer workers (--jobs), or do the work in parts"
_REMEDIES = {
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n), or use fewer workers",
    errno.ENFILE: "too many files are open: end other programs",
    errno.ENOMEM: _FREE_MEMORY,
    errno.ENOSPC: "free space on the disk",
}
# Parts of the messages of other errors, and what to say in their place.
_LACKING = {
    "start new thread": "no thread can be started; free memory, raise the limit of processes "
    "(ulimit -u), or use fewer workers (--jobs)",
    "usable temporary directory": "no temporary folder can be written; set TMPDIR to one that can",
    "writable cache directory": "no folder can be written; set MPLCONFIGDIR or TMPDIR to one "
    "that can",
    "error return without exception": f"the interpreter lacks memory; {_FREE_MEMORY}",
    "failed to map segment": f"a library does not fit into memory; {_FREE_MEMORY}",
    "load shared object": "a library cannot be loaded; free memory, or install the package anew",
}


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

    def __init__(self, path: systems.AnyPath | None, reason: str) -> None:
        # Both go to Exception.__init__: an error must survive the way back from a worker process.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{printable(self.path)}: {self.reason}"


class ImageError(FileError):
    """An image cannot be read or hashed.

    Attributes
    ----------
    other_kind : str
        What the file is if it is no image, such as ``"video"`` or ``"PDF document"``; ``"empty"``
        or ``"not an image"`` if nothing shows that it should be one: Pillow cannot identify it,
        it does not begin as an image, and its name has no suffix of one. Otherwise empty.
    of_system : bool
        Whether the reason lies in the system, as a lack of permission or memory or a fault of the
        disk, and not in the content: the same file may be read another time.
    """

    other_kind = ""
    of_system = False

    def without_frames(self) -> Self:
        """Return this error without tracebacks, to be the result of a call.

        They refer to the frames of all callers, and those refer to the result.
        """
        error: BaseException | None = self
        while error is not None:
            error.__traceback__ = None
            error = error.__cause__ or error.__context__
        return self

    def __str__(self) -> str:
        # Arrays, bytes and Pillow images come without a name.
        return f"the image: {self.reason}" if self.path is None else super().__str__()


class TableFileError(FileError):
    """A table of hashes, or of pairs, cannot be read or written."""


class IndexFileError(FileError):
    """An index or its metadata cannot be used, or the two do not belong together."""


class ResourceError(PhotodnaError):
    """The system has too little of something, such as threads."""


class MissingPackageError(PhotodnaError, ModuleNotFoundError):
    """An optional package is not installed; the message says what installs it."""


class ErrorContext:
    """A context in which exceptions become others, mostly errors of this package.

    In a generator (`contextlib.contextmanager`), an exception, its frames and those of all
    callers would refer to each other, from Python 3.12 on. What they hold, such as an index
    with its lock, would then stay until garbage is collected.

    Parameters
    ----------
    translated : callable
        Takes an exception, and returns the one to raise in its place, or None to keep it.
    """

    def __init__(self, translated: Callable[[BaseException], Exception | None]) -> None:
        self._translated = translated

    def __enter__(self) -> None:
        """Begin; there is nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        other = self._translated(error)
        try:
            if other is not None:
                raise other from error
        finally:
            del other  # its traceback has this frame


def optional_package(subject: str, package: str, extra: str) -> ErrorContext:
    """Return a context in which the lack of a package becomes an error that names its extra."""

    def translated(error: BaseException) -> MissingPackageError | None:
        if not isinstance(error, ModuleNotFoundError):
            return None
        if (error.name or "").partition(".")[0] != package.lower():
            return None
        remedy = f'pip install "photodna_nb[{extra}]"'
        reason = f"{subject}: the package {package} is missing; {remedy}"
        return MissingPackageError(reason, name=error.name)

    return ErrorContext(translated)


class LowDetailWarning(UserWarning):
    """Images have next to no detail: their hashes say little or nothing about them."""


def remedy_of(error: OSError, otherwise: str) -> str:
    """Return what to do about an error of the system: `otherwise` if it lacks nothing."""
    if systems.IS_WINDOWS and isinstance(error, PermissionError):
        return f"close the programs that have it open, or {otherwise}"
    if systems.IS_WINDOWS and isinstance(error, FileNotFoundError):
        length = len(os.path.abspath(systems.decoded(error.filename or "")))
        if length > systems.WINDOWS_PATH_LENGTH:
            return f"its path has {length} characters: shorten it, or have Windows allow long paths"
    return _REMEDIES.get(error.errno or 0, otherwise)


def lacking(error: BaseException) -> str:
    """Return what the system has too little of, and what to do; an empty text for other errors."""
    text = str(error)
    if isinstance(error, MemoryError):
        return f"out of memory; {_FREE_MEMORY}"
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        return f"{error.strerror}; {_REMEDIES[error.errno]}"
    if isinstance(error, OSError | RuntimeError | ImportError | SystemError):
        return next((said for part, said in _LACKING.items() if part in text), "")
    return ""


def resource_errors() -> ErrorContext:
    """Return a context that turns what `lacking` knows, but MemoryError, into ResourceError."""

    def translated(error: BaseException) -> ResourceError | None:
        reason = "" if isinstance(error, MemoryError) else lacking(error)
        return ResourceError(reason) if reason else None

    return ErrorContext(translated)
