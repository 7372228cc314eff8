"""The tables of an SQLite index: of this version, and of former ones, which are read as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from photodna_nb.checks import HASH_BYTES

# "PDNA"; and the version of the tables below.
APPLICATION = 0x50444E41
VERSION = 4
# Keys of the table of properties in version 1.
FORMER_KEYS = {"store_id": "collection", "change_count": "removals", "index_type": "index_kind"}
# The columns of an item, but the checksum, which is computed from them.
COLUMNS = "id, path, hash, extra, other"

_PROPERTIES = "CREATE TABLE properties (key TEXT PRIMARY KEY, value) WITHOUT ROWID"
_FORMER_ITEMS = f"""CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    path NOT NULL,  -- text, or bytes where they are not UTF-8
    hash BLOB NOT NULL CHECK (typeof(hash) = 'blob' AND length(hash) = {HASH_BYTES}),
    extra TEXT NOT NULL DEFAULT '{{}}',  -- a JSON object
    other TEXT  -- a JSON object: keys of another program
)"""
_ITEMS = _FORMER_ITEMS.replace(
    "other TEXT  -- a JSON object: keys of another program",
    """other TEXT,  -- a JSON object: keys of another program
    checksum BLOB  -- see item_record.py; null where another program has written the item""",
)
_UNREADABLE = """CREATE TABLE unreadable (
    path PRIMARY KEY,  -- as of an item
    size, modified, decoders, kind, reason
) WITHOUT ROWID"""
_INDEX = "CREATE INDEX items_path ON items (path)"


def _trigger(name: str, event: str, condition: str, change: str) -> str:
    head = f"CREATE TRIGGER items_{name} AFTER {event} ON items{condition} BEGIN"
    return f"{head}\n    {change};\nEND"


def _counting_triggers(key: str, inserted: str = "") -> tuple[str, ...]:
    """Return the triggers that notice what anyone does to items; our new ids show by themselves.

    inserted: further condition for an insertion by others, who may also replace an item so;
    ours have ids from next_id on.
    """
    count = f"UPDATE properties SET value = value + 1 WHERE key = '{key}'"
    former_id = "NEW.id < (SELECT value FROM properties WHERE key = 'next_id')"
    return (
        _trigger("deleted", "DELETE", "", count),
        _trigger("inserted", "INSERT", f"\nWHEN {inserted}{former_id}", count),
        _trigger("changed", "UPDATE OF id, hash", "", count),
    )


_TRIGGERS = (
    *_counting_triggers("change_count", "NEW.checksum IS NULL OR "),
    # Of others, who compute no checksum.
    _trigger(
        "unchecked",
        f"UPDATE OF {COLUMNS}",
        "\nWHEN NEW.checksum IS OLD.checksum",
        "UPDATE items SET checksum = NULL WHERE id = NEW.id",
    ),
)
TABLES = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
    "DROP TABLE IF EXISTS items",
    "DROP TABLE IF EXISTS properties",
    "DROP TABLE IF EXISTS unreadable",
    _PROPERTIES,
    _UNREADABLE,
    _ITEMS,
    _INDEX,
    *_TRIGGERS,
)
# From versions 1 and 2, whose items have no checksums: what is there is accepted.
ITEMS_WITH_CHECKSUMS = (
    "DROP INDEX items_path",
    "DROP TRIGGER items_deleted",
    "DROP TRIGGER items_inserted",
    "DROP TRIGGER items_changed",
    "ALTER TABLE items RENAME TO former_items",
    _ITEMS,
    f"INSERT INTO items SELECT {COLUMNS}, item_checksum({COLUMNS}) FROM former_items",
    "DROP TABLE former_items",
    _INDEX,
    *_TRIGGERS,
)
# From versions 1 to 3.
UPGRADE = (_UNREADABLE, f"PRAGMA user_version = {VERSION}")
# All statements that make the tables of a version: a database with others is not read.
_STATEMENTS = {
    1: (_PROPERTIES, _FORMER_ITEMS, _INDEX, *_counting_triggers("removals")),
    2: (_PROPERTIES, _FORMER_ITEMS, _INDEX, *_counting_triggers("change_count")),
    3: (_PROPERTIES, _ITEMS, _INDEX, *_TRIGGERS),
    VERSION: (_PROPERTIES, _ITEMS, _INDEX, *_TRIGGERS, _UNREADABLE),
}
# More than there are in any version.
MAX_STATEMENTS = 20


def difference(version: int, rows: Iterable[tuple[Any, ...]]) -> str:
    """Return what makes a schema another one than that of a version, or an empty text.

    Parameters
    ----------
    version : int
        Version of the tables.
    rows : iterable of (type, name, statement)
        From the table ``sqlite_schema``.
    """
    needed = set(_STATEMENTS[version])
    for kind, name, statement in rows:
        if statement not in needed:
            return f"it has the {kind} {str(name)[:100]!r}, which this program does not make so"
        needed.remove(statement)
    return f"it lacks {min(needed).split('(')[0]!r}" if needed else ""
