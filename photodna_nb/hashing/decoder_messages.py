"""What decoders say beside their results: kept from standard error, and never an error.

Warnings of Pillow and messages of libtiff are about parts that no pixel depends on, or come
with an error, which names the file. They name none.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Any


class ProcessSetting:
    """A setting that the process has only one of, changed while any thread is within.

    Parameters
    ----------
    change : callable
        It changes the setting, and returns a function that restores it.
    """

    def __init__(self, change: Callable[[], Callable[[], Any]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._within = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._restore = self._change()
            self._within += 1

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._restore()


class _DecodingThread(threading.local):
    """Whether this thread decodes an image; a pattern of warnings, and a filter of logging."""

    within = 0

    def match(self, _: str) -> bool:
        return self.within > 0

    def filter(self, _: logging.LogRecord) -> bool:
        return self.within == 0


_decoding_thread = _DecodingThread()
# An entry in Python's list of filters. It ignores the warnings of threads that decode, and no
# others: `warnings.catch_warnings` would change the list for all threads.
_IGNORED: Any = ("ignore", _decoding_thread, Warning, None, 0)


@contextmanager
def ignored_warnings() -> Iterator[None]:
    """Ignore the warnings that this thread raises and logs, whatever filters are set."""
    filters: Any = warnings.filters
    if not filters or filters[0] is not _IGNORED:  # another one would come before it
        with suppress(ValueError):
            filters.remove(_IGNORED)
        filters.insert(0, _IGNORED)
    logging.getLogger("PIL.TiffImagePlugin").addFilter(_decoding_thread)  # Pillow's only logger
    _decoding_thread.within += 1
    try:
        yield
    finally:
        _decoding_thread.within -= 1


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


quiet_libtiff = ProcessSetting(_silence_libtiff)
