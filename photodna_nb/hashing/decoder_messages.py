"""What decoders say beside their results: kept from standard error, and never an error.

Warnings of Pillow, and messages of libtiff and Ghostscript, are about parts that no pixel depends
on, or come with an error, which names the file. They name none.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

# An EPS file is a program, which may never end.
_EPS_SECONDS = 60


class ProcessSetting:
    """A setting that the process has only one of, changed while any thread is within.

    A forked child has none of the other threads: there, the setting is as it was.

    Parameters
    ----------
    change : callable
        It changes the setting, and returns a function that restores it.
    """

    def __init__(self, change: Callable[[], Callable[[], Any]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._within = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        self._lock = threading.Lock()  # one that was held would never be released
        if self._within:
            self._within = 0
            self._restore()

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._restore = self._change()
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._restore()


class _IgnoredWarnings(threading.local):
    """A context in which what this thread warns of and logs is ignored, whatever filters are set.

    It is the pattern of an entry in Python's list of filters. The entry ignores the warnings of
    threads that are within the context, and no others: `warnings.catch_warnings` would change
    the list for all threads.
    """

    _within = 0

    def __enter__(self) -> None:
        """Begin; the entry is put before those that were added since."""
        filters: Any = warnings.filters
        if not filters or filters[0] is not _ENTRY:
            with suppress(ValueError):
                filters.remove(_ENTRY)
            filters.insert(0, _ENTRY)
        logging.getLogger("PIL.TiffImagePlugin").addFilter(self)  # the only one that Pillow has
        self._within += 1

    def __exit__(self, *_: object) -> None:
        self._within -= 1

    def match(self, _: str) -> bool:
        """Return whether a warning is ignored, as a pattern of warnings."""
        return self._within > 0

    def filter(self, _: logging.LogRecord) -> bool:
        """Return whether a record is logged, as a filter of logging."""
        return self._within == 0


ignored_warnings: _IgnoredWarnings = _IgnoredWarnings()
_ENTRY: Any = ("ignore", ignored_warnings, Warning, None, 0)


def _silence_libtiff() -> Callable[[], None]:
    """Take the function away with which libtiff writes its errors to file descriptor 2."""
    before = [(set_handler, set_handler(None)) for set_handler in _libtiff_handlers()]

    def restore() -> None:
        for set_handler, handler in before:
            set_handler(handler)

    return restore


@cache
def _libtiff_handlers() -> list[Any]:
    """Return the functions that set libtiff's error handler, of all copies that are loaded."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in file if "libtiff" in line}
    except OSError:  # another system than Linux
        return []
    setters = []
    for path in sorted(paths):
        with suppress(OSError, AttributeError):
            set_handler = ctypes.CDLL(path).TIFFSetErrorHandler
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            setters.append(set_handler)
    return setters


def _silence_ghostscript() -> Callable[[], None]:
    """Have Pillow call Ghostscript for an EPS file without its output, and for a limited time."""
    import subprocess  # two modules that no other format needs

    from PIL import EpsImagePlugin

    def call(command: list[str], **options: Any) -> None:
        null = subprocess.DEVNULL
        options |= {"stdin": null, "stdout": null, "stderr": null, "timeout": _EPS_SECONDS}
        try:
            status = subprocess.run(command, check=False, **options).returncode
        except subprocess.TimeoutExpired as error:
            raise OSError(f"Ghostscript took more than {_EPS_SECONDS} seconds") from error
        if status != 0:
            raise OSError(f"Ghostscript ended with status {status}")

    plugin: Any = EpsImagePlugin
    before = plugin.subprocess
    plugin.subprocess = SimpleNamespace(**{**vars(subprocess), "check_call": call})
    return lambda: setattr(plugin, "subprocess", before)


# The contexts in which Pillow's codecs print nothing, by the name of the codec.
quiet_codecs: dict[str, ProcessSetting] = {
    "libtiff": ProcessSetting(_silence_libtiff),
    "eps": ProcessSetting(_silence_ghostscript),
}
