"""The gates that arguments of an index pass, and errors that say what to type."""

from __future__ import annotations

import json
import operator
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, IndexFileError
from photodna_nb.index import metadata, writer_lock
from photodna_nb.index.faiss_file import INDEX_TYPES, IndexType
from photodna_nb.printable import printable

PathLike = str | bytes | os.PathLike[str]


def integer(name: str, value: Any) -> int:
    """Return the value as an integer of at least 1."""
    try:
        count = operator.index(value)
    except TypeError as error:
        raise ArgumentTypeError(f"{name}: got {value!r}, needs an integer of at least 1") from error
    if count < 1:
        raise ArgumentError(f"{name}: got {value}, needs an integer of at least 1")
    return count


def checked_index_type(index_type: IndexType) -> IndexType:
    """Return `index_type` if there is one of that name."""
    if index_type not in INDEX_TYPES:
        raise ArgumentError(
            f"index_type: got {index_type!r}, needs one of {', '.join(INDEX_TYPES)}"
        )
    return index_type


def text(name: str, path: Any) -> str:
    """Return the path as text, if it can be the name of a file."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"{name}: got {describe(path)}, needs a path")
    text = os.fsdecode(path)
    try:
        if text and b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise ArgumentError(f"{name}: got {text[:100]!r}, which cannot be the name of a file")


def real_paths(name: str, paths: Any) -> list[str]:
    """Return each path as its real, absolute one, if it can be the name of a file."""
    folders: dict[str, str] = {}
    return [_real(text(f"{name}[{i}]", path), folders) for i, path in entries(name, paths)]


def _real(path: str, folders: dict[str, str]) -> str:
    """Return `os.path.realpath`, which looks at each folder on the way, of one in known folders."""
    folder, name = os.path.split(path)
    if name in ("", os.curdir, os.pardir) or os.path.islink(path):
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)


def entries(name: str, values: Any) -> Iterator[tuple[int, Any]]:
    """Return the values with their numbers, if there can be some for each image."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name}: got {describe(values)}, needs a sequence, one an image")
    return enumerate(values)


def json_objects(name: str, values: Any) -> list[dict[str, Any]]:
    """Return copies of the mappings, if JSON can hold them."""
    return [_json_object(f"{name}[{i}]", value) for i, value in entries(name, values)]


def _json_object(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of the mapping, if JSON can hold it."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs a mapping")
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


def check_index_replaceable(index_name: str) -> None:
    """Refuse to replace what is not an index of FAISS."""
    writer_lock.check_replaceable(index_name, rb"I[xw]..\x90\0\0\0")


def check_meta_replaceable(meta_name: str) -> None:
    """Refuse to replace what is not metadata of the index_type that the name says."""
    database = metadata.is_database(meta_name)
    beginning = metadata.DATABASE_BEGINNING if database else rb"\{.*\"(dimension|items)\""
    writer_lock.check_replaceable(meta_name, beginning)


def with_remedy(error: IndexFileError, index_name: str, meta_name: str) -> IndexFileError:
    """Return the error of an index file with the command that makes it anew."""
    if error.path != index_name or "--faiss-rebuild" in error.reason:
        return error
    remedy = "If the metadata is the right one, write the index anew from it: photodna-nb "
    remedy += f"--faiss-rebuild {_typed(index_name)} {_typed(meta_name)}"
    return IndexFileError(index_name, f"{error.reason}. {remedy}")


def _typed(path: str) -> str:
    """Return the path as one word of a shell command."""
    return shlex.quote(printable(path))
