"""Checks of the arguments of an index, and errors that name the command to type."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, item_record
from photodna_nb.checks import HASH_BYTES, describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, IndexFileError
from photodna_nb.index import stores, writer_lock
from photodna_nb.index.index_types import ITEMS_PER_LIST
from photodna_nb.printable import printable

PathLike = str | bytes | os.PathLike[str]


def hash_rows(name: str, hashes: Any) -> NDArray[np.uint8]:
    """Return hashes, (n, 144), from an array of that shape or (144,), or from a HashTable."""
    from photodna_nb.tables.table import HashTable

    if isinstance(hashes, HashTable):
        hashes = hashes.hashes
    elif isinstance(hashes, np.ndarray) and hashes.ndim == 1:
        hashes = hashes[None]
    return checks.array(name, hashes, np.uint8, ("n", HASH_BYTES))


def text(name: str, path: Any) -> str:
    """Return the path as text, if it can be the name of a file."""
    text = checks.path(name, path)
    try:
        if text and b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise ArgumentError(f"{name}: got {text[:100]!r}, which cannot be the name of a file")


def label(name: str, value: str) -> str:
    """Return the label of a hash letter for letter, if metadata can hold it."""
    if not checks.survives_as_bytes(value):
        reason = "which holds half of a surrogate pair; correct the label"
        raise ArgumentError(f"{name}: got {value[:100]!r}, {reason}")
    return value


def absolute(path: str) -> str:
    """Return the absolute path with its links unresolved."""
    # What is before `..` may be a link.
    unresolved = os.pardir in path.split(os.sep)
    return os.path.join(os.getcwd(), path) if unresolved else os.path.abspath(path)


def entries(name: str, values: Any) -> Iterator[tuple[int, Any]]:
    """Return the values with their numbers, if there can be one for each image."""
    return enumerate(checks.iterable(name, values, "a sequence with an entry for each image"))


def json_objects(values: Any) -> list[dict[str, Any]]:
    """Return copies of the mappings in `extra`, if JSON can hold them."""
    return [_json_object(f"extra[{i}]", value) for i, value in entries("extra", values)]


def _json_object(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of the mapping, if JSON can hold it."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs a mapping")
    item_record.check_keys(name, value)
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: got what JSON cannot hold ({error})") from error
    return copy


def two_files(index_path: PathLike, meta_path: PathLike) -> tuple[str, str]:
    """Return both names, unless they are those of one file."""
    index_name, meta_name = text("index_path", index_path), text("meta_path", meta_path)
    same = os.path.realpath(index_name) == os.path.realpath(meta_name)
    if os.path.exists(index_name) and os.path.exists(meta_name):
        same = same or os.path.samefile(index_name, meta_name)
    if same:
        raise ArgumentError("index_path, meta_path: got the same file twice, needs two files")
    return index_name, meta_name


def check_replaceable(index_name: str, meta_name: str | None = None) -> None:
    """Refuse to replace what is not an index of FAISS, or not metadata in the named format."""
    writer_lock.check_replaceable(index_name, rb"I[xw]..\x90\0\0\0")
    if meta_name is not None:
        writer_lock.check_replaceable(meta_name, stores.beginning(meta_name))


def with_remedy(
    error: IndexFileError, index_name: str, meta_name: str, comparison: str | None = None
) -> IndexFileError:
    """Return the error of an index file with the command that writes it anew.

    comparison: what the index file holds, of an item in the metadata that was changed.
    """
    command = _rebuild_command(index_name, meta_name)
    if comparison is not None:
        reason = (
            f"{error.reason}: its checksum does not hold, and {comparison}; use a backup copy "
            f"of the metadata, or accept the item as it is: {command}"
        )
        return IndexFileError(error.path, reason)
    if error.path != index_name or "--faiss-rebuild" in error.reason:
        return error
    remedy = f"write the index anew from it: {command}"
    reason = f"{error.reason}. If the metadata is the right one, {remedy}"
    return IndexFileError(index_name, reason)


def exists_already(path: str, index_name: str, meta_name: str) -> IndexFileError:
    """Return the error for a file of a new index that is there."""
    use = "add to it with --faiss-add (HashIndex.open)"
    if not os.path.lexists(index_name):
        error = with_remedy(IndexFileError(index_name, "is missing"), index_name, meta_name)
        use = f"its index {error.reason}"
    reason = f"exists already; {use}, or replace it with --overwrite (overwrite=True)"
    return IndexFileError(path, reason)


def former_type(index_name: str, meta_name: str, number: int) -> IndexFileError:
    """Return the error for an index of the approximate type of an earlier version."""
    lists = min(number // ITEMS_PER_LIST, round(number**0.5))
    name = f"IVF{lists},SQ8" if lists else "uint8"
    command = f"{_rebuild_command(index_name, meta_name)} --index-type {name}"
    return IndexFileError(
        index_name,
        "has the index type ivf of an earlier version, which is no longer read; "
        f"write the index anew from the metadata: {command}",
    )


def _rebuild_command(*names: str) -> str:
    # Each path is one word of a shell command.
    return "photodna-nb --faiss-rebuild " + " ".join(shlex.quote(printable(name)) for name in names)
