"""The store of a metadata file: JSON or an SQLite database, by the suffix of its name."""

from __future__ import annotations

from photodna_nb.index.metadata import MetadataStore

DATABASE_SUFFIXES = (".sqlite", ".db")
# Beginnings of files that may be replaced. That of SQLite contains the id of this program, so that
# databases of other programs are not replaced.
_BEGINNINGS = {True: rb"SQLite format 3\0.{52}PDNA", False: rb"\{.*\"(dimension|items)\""}


def is_database(path: str) -> bool:
    """Return whether metadata of that name is an SQLite database."""
    return path.lower().endswith(DATABASE_SUFFIXES)


def beginning(path: str) -> bytes:
    """Return the beginning of metadata of that name, as a regular expression."""
    return _BEGINNINGS[is_database(path)]


def open_store(path: str, new_type: str | None = None) -> MetadataStore:
    """Return the store in a file, or a new one for that index type, which `commit` writes.

    Raises
    ------
    IndexFileError
        The file is missing, damaged, or not the metadata of an index.
    """
    if is_database(path):
        from photodna_nb.index.sqlite_store import SqliteStore

        return SqliteStore(path, new_type)
    from photodna_nb.index.json_store import JsonStore

    return JsonStore(path, new_type)
