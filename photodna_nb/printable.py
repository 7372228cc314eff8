"""Printable text for file names of unknown origin.

A name on a file system is bytes: it may contain newlines, terminal escapes, or
bytes that are not UTF-8. It is stored unchanged; text for people contains it as
`printable` returns it.
"""

from __future__ import annotations

import os
from collections.abc import Callable


def printable(
    name: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    is_printable: Callable[[str], bool] = str.isprintable,
) -> str:
    r"""Return `name` on one line, with escapes for characters that are not printable.

    Parameters
    ----------
    name : str, bytes or path
        Name of a file, or any text of another program.
    is_printable : callable
        Function that returns whether all characters of a text can be shown.

    Returns
    -------
    str
        The name itself if it is printable. Otherwise control characters and marks of
        lines and directions become escapes such as ``\n``, ``\x1b`` and ``\u202e``, bytes
        that cannot be decoded become ``\xff``, and a backslash is doubled.

    Examples
    --------
    >>> print(printable(b"caf\xc3\xa9 \x1b[31m\xff.png"))
    café \x1b[31m\xff.png
    """
    text = os.fsdecode(name)
    if is_printable(text):
        return text or "''"
    return "".join(_escape(character, is_printable) for character in text)


def _escape(character: str, is_printable: Callable[[str], bool]) -> str:
    if is_printable(character) and character != "\\":
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that os.fsdecode could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    if "\x80" <= character <= "\xff":  # so that \\xff is a byte alone
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")
