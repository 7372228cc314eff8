"""The JSON metadata of an index, of this program or of ``oaphotodna.py``, as a table of hashes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from photodna_nb import item_record
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import TableFileError
from photodna_nb.item_record import EMPTY_RECORD
from photodna_nb.tables import hash_text
from photodna_nb.tables.columns import ReadOptions, TableColumns
from photodna_nb.tables.entries import text_of
from photodna_nb.tables.hash_text import HashFormError
from photodna_nb.tables.row_collector import RowCollector

_KEYS = {"id", "path", "hash", "extra"}


def is_metadata(document: Any) -> bool:
    """Return whether a document of JSON is the metadata of an index."""
    return isinstance(document, dict) and {"items", "next_id"} <= document.keys()


def read(name: str, size: int, document: Mapping[str, Any], options: ReadOptions) -> TableColumns:
    """Return the table of the items; `size` is that of the file in bytes.

    An item whose checksum does not hold, or is missing where each had one, is a bad entry.
    """
    items, below = document["items"], document.get("checksums_below")
    if not isinstance(items, list) or document.get("dimension", HASH_BYTES) != HASH_BYTES:
        raise TableFileError(name, "is the metadata of an index of other hashes; give another file")
    rows = RowCollector(name, size, "entry", record=options.record)
    for number, item in enumerate(items):
        try:
            if not isinstance(item, dict) or not isinstance(item.get("path"), str):
                raise HashFormError("is no item of an index")
            hash_bytes = hash_text.from_value(item.get("hash"))
            detail, further = _checked(item, hash_bytes, below if isinstance(below, int) else 0)
        except HashFormError as error:
            rows.fail(number, str(error))
        else:
            rows.add(number, item["path"], hash_bytes, detail, further)
    return rows.columns()


def _checked(
    item: Mapping[str, Any], hash_bytes: bytes, checksums_below: int
) -> tuple[float, list[tuple[str, str]]]:
    """Return the detail of an item, NaN if it is not known, and its further keys with texts."""
    identifier, extra = item.get("id"), item.get("extra", {})
    if not isinstance(identifier, int) or not isinstance(extra, dict):
        raise HashFormError("is no item of an index")
    other = {key: value for key, value in item.items() if key not in _KEYS}
    try:
        text, checksum = item_record.without_checksum(item_record.encode_extra(EMPTY_RECORD, extra))
        if checksum is None and identifier < checksums_below:
            checksum = item_record.NO_CHECKSUM
        own, record = item_record.decode_extra(text)
    except ValueError as error:
        raise HashFormError(f'has an "extra" that cannot be read ({error})') from error
    computed = item_record.item_checksum(
        identifier, hash_bytes, item["path"], text, item_record.encode_extra(EMPTY_RECORD, other)
    )
    if not item_record.holds(checksum, computed):
        raise HashFormError(f"is item {identifier}, changed by another program or damaged")
    detail = item_record.detail_of(own, record)
    own.pop("detail", None)
    further = {"id": identifier, **own, **other}
    return math.nan if detail is None else detail, [(k, text_of(v)) for k, v in further.items()]
