"""Hashes as text: base64, hexadecimal digits, or 144 integers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES

# The characters of a hash in base64, which is the shortest text of one, and in hexadecimal digits.
BASE64_LENGTH = 4 * HASH_BYTES // 3
_HEX_LENGTH = 2 * HASH_BYTES
_NEEDED = f"{BASE64_LENGTH} characters of base64, {_HEX_LENGTH} hexadecimal digits or 144 integers"
_URL_SAFE = str.maketrans("-_", "+/")
# What may stand between integers, or around all of them.
_SEPARATORS = str.maketrans(",;|\t\r\n", "      ")
_BRACKETS = "[](){} "
# No text of a hash is longer: 144 integers, each with three digits, a separator and spaces.
_LONGEST = 4096


class HashFormError(ValueError):
    """A value is no hash. The message goes on where ``line 3`` begins a sentence."""


def parse(text: str) -> bytes:
    """Return the 144 bytes of a hash in base64, hexadecimal digits or integers.

    Raises
    ------
    HashFormError
        The text is none of these.
    """
    if len(text) == BASE64_LENGTH:
        return _from_base64(text)
    text = text.strip()
    if not text:
        raise HashFormError("has no hash")
    if len(text) > _LONGEST:
        raise HashFormError(f"has {len(text):,} characters where a hash belongs, needs {_NEEDED}")
    parts = text.strip(_BRACKETS).translate(_SEPARATORS).split()
    if len(parts) > 1 and all(part.isdecimal() for part in parts):
        return from_integers(parts)
    joined = "".join(text.split())  # lines of 76 characters, for example
    if len(joined.removeprefix("0x")) == _HEX_LENGTH:
        try:
            return bytes.fromhex(joined.removeprefix("0x"))
        except ValueError as error:
            raise HashFormError("has no valid hexadecimal digits") from error
    return _from_base64(joined)


def _from_base64(text: str) -> bytes:
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE) if "+" not in text and "/" not in text else "*"
    try:
        hash_bytes = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        problem = f"has no valid base64 ({error})" if len(text) == BASE64_LENGTH else "has no hash"
        raise HashFormError(f"{problem}, needs {_NEEDED}") from error
    return from_bytes(hash_bytes)


def from_bytes(value: bytes) -> bytes:
    """Return the bytes of a hash, if they are 144."""
    if len(value) != HASH_BYTES:
        raise HashFormError(f"holds {len(value)} bytes, needs {HASH_BYTES}")
    return value


def from_integers(values: Any) -> bytes:
    """Return the bytes of a hash from a sequence of numbers, or of texts of integers."""
    if len(values) != HASH_BYTES:
        raise HashFormError(f"has {len(values)} values, needs {HASH_BYTES}")
    try:
        if isinstance(values[0], str):
            values = list(map(int, values))
        elif bool in map(type, values):
            raise TypeError("a bool")
        return bytes(values)
    except (TypeError, ValueError) as error:
        raise HashFormError("has values that are no integers from 0 to 255") from error


def from_value(value: Any) -> bytes:
    """Return the bytes of a hash from a text, bytes or a list of integers."""
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, bytes):
        return from_bytes(value)
    if isinstance(value, list):
        return from_integers(value)
    raise HashFormError(f"has no hash, needs {_NEEDED}")


def holds_hash(value: Any) -> bool:
    """Return whether a value is a hash."""
    try:
        from_value(value)
    except HashFormError:
        return False
    return True


def _to_integers(row: NDArray[np.uint8]) -> str:
    return ",".join(map(str, row.tolist()))


# How hashes are written, by the name of the form.
FORMS: dict[str, Callable[[NDArray[np.uint8]], str]] = {
    "base64": lambda row: base64.b64encode(row.tobytes()).decode("ascii"),
    "hex": lambda row: row.tobytes().hex(),
    "integers": _to_integers,
}
