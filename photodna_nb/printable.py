"""Printable text for file names of unknown origin.

A name on a file system is bytes: it may contain newlines, terminal escapes, or
bytes that are not UTF-8. It is stored unchanged; text for people contains it as
`printable` returns it. Records may hold a million values; `short_repr`
gives them a short repr.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from photodna_nb import systems

_Record = TypeVar("_Record")

# Values of a list and letters of a text in the repr of a record.
_VALUES_SHOWN = 5
_LETTERS_SHOWN = 300
_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}")}


def printable(name: systems.AnyPath, is_printable: Callable[[str], bool] = str.isprintable) -> str:
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
    text = systems.decoded(name)
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


def short_repr(record: type[_Record]) -> type[_Record]:
    """Give a class of records, named tuples or dataclasses, the repr of `record_repr`.

    It decorates every class of records that may hold many values.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> @short_repr
    ... class Numbers(NamedTuple):
    ...     values: list
    >>> Numbers(list(range(10**6)))
    Numbers(values=[0, 1, 2, 3, 4, … 1,000,000 in all])
    """
    record.__repr__ = record_repr  # type: ignore[method-assign]
    return record


def record_repr(record: Any) -> str:
    """Return the repr of a named tuple or a dataclass, with the beginnings of long values only."""
    names = getattr(record, "_fields", None)
    names = names or [field.name for field in dataclasses.fields(record) if field.repr]
    values = (f"{name}={short(getattr(record, name))}" for name in names)
    return f"{type(record).__name__}({', '.join(values)})"


def short(value: Any) -> str:
    """Return the repr of a value, with the beginning of a long list, dict or text only."""
    if getattr(value, "shape", ()):
        return f"<{value.dtype} {value.shape}>"
    if type(value) not in _BRACKETS:
        text = repr(value)
        return text if len(text) <= _LETTERS_SHOWN else f"{text[:_LETTERS_SHOWN]}…"
    shown = [short(one) for one in itertools.islice(value, _VALUES_SHOWN)]
    if isinstance(value, dict):
        shown = [f"{key}: {short(value[one])}" for key, one in zip(shown, value, strict=False)]
    if len(value) > _VALUES_SHOWN:
        shown.append(f"… {len(value):,} in all")
    elif isinstance(value, tuple) and len(value) == 1:
        shown.append("")
    first, last = _BRACKETS[type(value)]
    return first + ", ".join(shown).rstrip(" ") + last
