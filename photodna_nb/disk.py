"""Flushing files to the disk, so that they survive a power cut."""

import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


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
