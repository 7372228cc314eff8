"""File names of strangers, made safe to show.

A name on a file system is bytes: it may hold newlines, terminal escapes, or
bytes that are not UTF-8. Storage keeps it unchanged; a line of text shows it
through `printable`.
"""

from __future__ import annotations

import os


def printable(name: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    r"""Return `name` on one line, with what must not reach a terminal written as an escape.

    Parameters
    ----------
    name : str, bytes or path
        As the file system gives it, or any text of a foreign program.

    Returns
    -------
    str
        A printable name as it is. In another one, control characters, line and
        direction marks become ``\n``, ``\x1b`` or ``\u202e``, bytes that cannot be
        decoded ``\xff``, and a backslash two.

    Examples
    --------
    >>> print(printable(b"caf\xc3\xa9 \x1b[31m\xff.png"))
    café \x1b[31m\xff.png
    """
    text = os.fsdecode(name)
    if text.isprintable():
        return text or "''"
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that os.fsdecode could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    if "\x80" <= character <= "\xff":  # so that \\xff is a byte alone
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")
