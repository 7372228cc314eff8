"""What this program stores of an item, under one key of its `extra`, and the item's checksum.

    {"photodna_nb": {"checksum": "1f0c8d0a7e5b4c39", "size": 1024, …}, …the user's keys}

JSON metadata holds the checksum there, and an SQLite database in a column of its own. The first
half of a checksum is of id and hash, so that hashes can be read and checked alone; the second is
of all else. Both are CRC-32, which notices every altered byte. It shows damage, and is no
signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from photodna_nb.errors import ArgumentError

KEY = "photodna_nb"
NO_KEYS = "{}"
NO_CHECKSUM = b""  # in the place of one, and that of no item
_HALF = 4
_CHECKSUM = re.compile(r'\{"photodna_nb":\{"checksum":"([0-9a-f]{16})"(,|\}(?=[,}]))')


class ItemRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is known of an item beside its path and hash.

    Attributes
    ----------
    name : str or None
        Absolute path by which the user named the file, if it is not the real one.
    size : int or None
        Bytes of the file when it was hashed.
    modified : int or None
        Its time of modification then, in nanoseconds.
    detail : float or None
        Detail of the image, in grey levels.
    pillow : str or None
        Version of Pillow that decoded the file.
    label : bool
        Whether the path is a label, and names no file.
    """

    name: str | None = None
    size: int | None = None
    modified: int | None = None
    detail: float | None = None
    pillow: str | None = None
    label: bool = False


class _OnlyRecord(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An `extra` without keys of the user."""

    photodna_nb: ItemRecord


EMPTY_RECORD = ItemRecord()
_DECODER = msgspec.json.Decoder(_OnlyRecord)


def encode_extra(record: ItemRecord, extra: Mapping[str, Any]) -> str:
    """Return the JSON of an item's `extra`, always the same for the same values."""
    text = _json(extra) if extra else NO_KEYS
    if record == EMPTY_RECORD:
        return text
    return _with_own_keys(_json(msgspec.to_builtins(record)), text)


def decode_extra(text: str | bytes) -> tuple[dict[str, Any], ItemRecord]:
    """Return the user's keys and the record.

    Raises
    ------
    ValueError
        The text is not the JSON of an `extra`.
    """
    try:
        return {}, _DECODER.decode(text).photodna_nb  # what it accepts means the same
    except (msgspec.MsgspecError, UnicodeError):
        extra = json_object(text)
    own = extra.pop(KEY, None)
    if own is None:
        return extra, EMPTY_RECORD
    try:
        return extra, msgspec.convert(own, ItemRecord)
    except msgspec.ValidationError as error:
        raise ValueError(f'"{KEY}": {error}') from error


def detail_of(extra: Mapping[str, Any], record: ItemRecord) -> float | None:
    """Return the detail of an item in grey levels, or None where it is not known."""
    if record.detail is not None:
        return record.detail
    detail = extra.get("detail")  # of an earlier version, or the user's
    if not isinstance(detail, int | float) or isinstance(detail, bool):
        return None
    # JSON holds numbers of any size, and NaN.
    return float(detail) if -1e300 < detail < 1e300 else None


def with_checksum(text: str, checksum: bytes) -> str:
    """Return the JSON of an `extra` with the checksum in the record."""
    own = f'{{"checksum":"{checksum.hex()}"}}'
    start = f'{{"{KEY}":{{'
    if text.startswith(start):
        return f"{start}{own[1:-1]},{text[len(start) :]}"
    return _with_own_keys(own, text)


def without_checksum(text: str) -> tuple[str, bytes | None]:
    """Return the JSON of an `extra` as `encode_extra` writes it, and the checksum in it, if any.

    Other programs may have written the same values with other spaces or in another order.

    Raises
    ------
    ValueError
        The text is not the JSON of an `extra`.
    """
    if match := _CHECKSUM.match(text):
        rest = text[match.end() :]
        if match[2] == ",":
            return f'{{"{KEY}":{{{rest}', bytes.fromhex(match[1])
        return "{" + rest.removeprefix(","), bytes.fromhex(match[1])
    if f'"{KEY}"' not in text:
        return text, None
    extra = json_object(text)
    own = extra.pop(KEY, None)
    if not isinstance(own, dict) or "checksum" not in own:
        return text, None
    try:
        checksum = bytes.fromhex(own.pop("checksum"))
    except (TypeError, ValueError):
        checksum = NO_CHECKSUM
    rest = _json(extra)
    return (_with_own_keys(_json(own), rest) if own else rest), checksum


def hash_checksum(identifier: int, hash_bytes: bytes) -> bytes:
    """Return the checksum of an id and a hash, the first half of the item's."""
    return crc32(hash_bytes, crc32(b"%d" % identifier)).to_bytes(_HALF, "big")


def item_checksum(identifier: int, hash_bytes: bytes, path: str, extra: str, other: str) -> bytes:
    """Return the checksum of an item, whose `extra` and other keys are JSON without it."""
    rest = f"{identifier}\0{path}\0{extra}\0{other}".encode("utf-8", "surrogatepass")
    return hash_checksum(identifier, hash_bytes) + crc32(rest).to_bytes(_HALF, "big")


def holds(checksum: Any, computed: bytes) -> bool:
    """Return whether the checksum of an item is, or begins with, the computed one.

    None is that of an item which another program put in, and holds.
    """
    return checksum is None or (
        isinstance(checksum, bytes) and len(checksum) == 2 * _HALF and checksum.startswith(computed)
    )


def check_keys(name: str, extra: Mapping[str, Any]) -> None:
    """Refuse a key that is not the user's."""
    if KEY in extra:
        raise ArgumentError(f'{name}: has the key "{KEY}", which the index sets; leave it out')


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object in a text.

    Raises
    ------
    ValueError
        The text is not that of an object.
    """
    if text == NO_KEYS:
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} where an object belongs")
    return value


def _with_own_keys(own: str, text: str) -> str:
    """Return the JSON of an `extra` with the record, as JSON, before the user's keys."""
    end = "}" if text == NO_KEYS else f",{text[1:]}"
    return f'{{"{KEY}":{own}{end}'


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
