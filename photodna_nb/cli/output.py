"""Lines on standard output, and messages on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from photodna_nb.printable import printable

PROGRAM = "photodna-nb"


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


def print_json_list(entries: Iterable[Any]) -> None:
    """Print a JSON list on standard output, each entry as soon as it is known.

    The list is closed after an error, too, so that what was printed is valid JSON.
    """
    begun = False
    try:
        for entry in entries:
            print_lines("," if begun else "[", json_text(entry), end="")
            begun = True
    finally:
        if begun:
            print_lines("\n]")
    if not begun:
        print_lines("[]")


def print_content(chunks: Iterable[bytes]) -> None:
    """Print the content of a file on standard output, with escapes on a terminal or in a notebook.

    Names in it may be of any bytes, and a terminal would obey some of them.
    """
    if sys.stdout is None:
        raise OutputError("it is closed")
    buffer = None if sys.stdout.isatty() else getattr(sys.stdout, "buffer", None)
    for chunk in chunks:
        if buffer is None:
            print_lines(*map(printable, chunk.splitlines()))
            continue
        flush()
        try:
            buffer.write(chunk)
        except OSError as error:
            raise OutputError(error.strerror) from error


def json_text(value: Any) -> str:
    """Return a value as JSON, which has no NaN and no infinite numbers: null stands for them."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, allow_nan=False)


def flush() -> None:
    """Write out what is printed so far, while an error can still be reported."""
    print_lines(end="", flush=True)


def print_message(message: str) -> None:
    """Print a line on standard error that names this program."""
    print_error_line(f"{PROGRAM}: {message}")


def print_error_line(line: str) -> None:
    """Print a line on standard error; if that is closed or full, only the exit status remains."""
    if sys.stderr is not None:
        # Only old consoles of Windows print escapes; there, tqdm brings what translates them.
        has_bar = "tqdm" in sys.modules and sys.stderr.isatty()
        clear_progress_bar = "\r\x1b[K" if has_bar else ""
        try:
            print(f"{clear_progress_bar}{line}", file=sys.stderr, flush=True)
        except OSError:
            with suppress(OSError):  # it may be no file
                discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let a stream that cannot be written end nowhere.

    Python flushes what it still holds when it ends, and would complain and exit with status 120.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_after_output(message: str) -> None:
    """Print a line as `print_message`, after what is printed already on standard output."""
    if sys.stdout is not None:
        flush()
    print_message(message)


def print_error(message: str) -> int:
    """Print an error on standard error, after what is printed already; return exit status 1."""
    print_after_output(f"error: {message}")
    return 1
