"""File names of strangers, made safe to show.

A name on a file system is bytes: it may hold newlines, terminal escapes, or
bytes that are not UTF-8. Storage keeps it unchanged; a line of text shows it
through `displayed`.
"""

from __future__ import annotations

import os


def displayed(name: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    r"""Return `name` on one line, with what must not reach a terminal written as an escape.

    Parameters
    ----------
    name : str, bytes or path
        As the file system gives it, or any text of a foreign program.

    Returns
    -------
    str
        Printable characters stay; control characters, line and direction marks
        and undecodable bytes become ``\n``, ``\x1b``, ``\u202e`` or ``\xff``.

    Examples
    --------
    >>> print(displayed(b"caf\xc3\xa9 \x1b[31m\xff.png"))
    café \x1b[31m\xff.png
    """
    return "".join(map(_shown, os.fsdecode(name)))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that os.fsdecode could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
