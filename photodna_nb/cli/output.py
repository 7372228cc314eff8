"""Lines on standard output, and what went wrong on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress

from photodna_nb.cli.help import PROGRAM


class OutputError(Exception):
    """Standard output cannot be written; nothing more can be done."""


def print_lines(*lines: str, end: str = "\n", flush: bool = False) -> None:
    """Print lines on standard output."""
    if sys.stdout is None:
        raise OutputError("it is closed")
    try:
        print(*lines, sep="\n", end=end, flush=flush)
    except OSError as error:
        raise OutputError(error.strerror) from error


def flush() -> None:
    """Have standard output take what is printed, while an error can still be said."""
    print_lines(end="", flush=True)


def failed(message: str) -> int:
    """Say what failed, after what is printed already, and return the exit status."""
    if sys.stdout is not None:
        flush()
    say(f"error: {message}")
    return 1


def say(message: str) -> None:
    """Print a line on standard error; where that is closed or full, the status must do."""
    if sys.stderr is not None:
        over_a_bar = "\r\x1b[K" if sys.stderr.isatty() else ""
        with suppress(OSError):
            print(f"{over_a_bar}{PROGRAM}: {message}", file=sys.stderr, flush=True)
