"""Many hashes in one table, and the formats that it is kept in."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, PhotodnaError, TableFileError
from photodna_nb.files import PathLike

if TYPE_CHECKING:
    import pandas as pd


class FileFailure(NamedTuple):
    """A file that could not be hashed, and why."""

    path: str
    error: str


@dataclass(frozen=True, eq=False)
class HashTable:
    """Hashes of many files, in the order in which the files were given.

    Attributes
    ----------
    paths : list of str, n
        Of the files that were hashed; bytes that are not UTF-8 as `os.fsdecode` gives them.
    hashes : ndarray of uint8, (n, 144)
        Their hashes.
    detail : ndarray of float64, (n,)
        Their detail in grey levels; NaN where a file did not hold it.
    failures : list of FileFailure
        The files that could not be hashed.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An array has another dtype or shape.
    """

    paths: list[str]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    failures: list[FileFailure] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = len(self.paths)
        checks.array("hashes", self.hashes, np.uint8, (rows, HASH_BYTES))
        checks.array("detail", self.detail, np.float64, (rows,))

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<HashTable of {len(self)} hashes and {len(self.failures)} failures>"

    def save(self, path: PathLike) -> None:
        """Write the table to a file, in one step, in the format of its suffix.

        Parameters
        ----------
        path : str or os.PathLike
            ``.json``: the list that ``--hash-dir`` prints, and the detail.
            ``.csv``: lines of path and base64, as other PhotoDNA tools write them; no detail.
            ``.npz``: NumPy arrays. ``.parquet``: needs pyarrow. Only these two hold
            the failures.

        Raises
        ------
        ArgumentError
            The suffix is another one.
        TableFileError
            The file cannot be written, or pyarrow is missing.
        """
        name = checks.path("path", path)
        write = _format(name).write
        files.write([(name, write(name, self))], TableFileError)

    @classmethod
    def load(cls, path: PathLike) -> HashTable:
        """Return the table in a file, by its suffix: see `save`.

        Parameters
        ----------
        path : str or os.PathLike
            Of this package or, for ``.json`` and ``.csv``, of other programs.

        Raises
        ------
        ArgumentError
            The suffix is unknown.
        TableFileError
            The file is missing or damaged, with the line or entry that is wrong.
        """
        name = checks.path("path", path)
        read = _format(name).read
        content = files.read(name, TableFileError)
        try:
            return read(name, content)
        except TableFileError:
            raise
        except Exception as error:  # NumPy, pyarrow and csv raise nearly anything
            raise TableFileError(
                name, f"is damaged or not such a table ({type(error).__name__}: {error})"
            ) from error

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame: path, hash (144 bytes) and detail; a row each.

        Raises
        ------
        PhotodnaError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise PhotodnaError(
                'to_pandas needs pandas: pip install "photodna_nb[tables]"'
            ) from error
        rows = [row.tobytes() for row in self.hashes]
        # As objects: a name need not be UTF-8, and the strings of pandas are.
        paths = pd.Series(self.paths, dtype=object)
        return pd.DataFrame({"path": paths, "hash": rows, "detail": self.detail})


# A hash in base64, and what may stand before the text of a file in UTF-8.
_BASE64_LENGTH = 4 * HASH_BYTES // 3
_BYTE_ORDER_MARK = "\ufeff"


class _Format(NamedTuple):
    write: Callable[[str, HashTable], Iterable[bytes | memoryview]]
    read: Callable[[str, bytes], HashTable]


def json_entry(path: str, hash_bytes: NDArray[np.uint8]) -> dict[str, Any]:
    """Return an entry of the list that ``--hash-dir`` prints."""
    return {
        "filename": os.path.basename(path),
        "path": os.path.abspath(path),
        "photodna": hash_bytes.tolist(),
    }


def _write_json(_: str, table: HashTable) -> Iterator[bytes]:
    separator = b"[\n"
    for path, row, detail in zip(table.paths, table.hashes, table.detail, strict=True):
        entry = json_entry(path, row)
        if os.path.isabs(path):
            entry["path"] = path  # as it was given
        if not np.isnan(detail):
            entry["detail"] = float(detail)
        yield separator + json.dumps(entry).encode("ascii")
        separator = b",\n"
    yield b"\n]\n" if len(table) else b"[]\n"


def _read_json(name: str, content: bytes) -> HashTable:
    entries = json.loads(content)
    if not isinstance(entries, list):
        raise TableFileError(name, "holds no JSON list")
    rows = []
    for number, entry in enumerate(entries):
        try:
            path, row = entry["path"], entry["photodna"]
            if not isinstance(path, str) or not isinstance(row, list):
                raise TypeError("a text and a list are needed")
            row = bytes(row)
            rows.append((path, row, float(entry.get("detail", np.nan))))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TableFileError(
                name, f'entry {number} (counted from 0) has no "path" and "photodna": {error}'
            ) from error
        if len(row) != HASH_BYTES:
            raise TableFileError(
                name, f"entry {number} (counted from 0) has {len(row)} values, needs {HASH_BYTES}"
            )
    return table_from_rows(rows)


def _write_csv(_: str, table: HashTable) -> list[bytes]:
    text = io.StringIO(newline="")
    if table.paths and table.paths[0].startswith(_BYTE_ORDER_MARK):
        text.write(_BYTE_ORDER_MARK)  # readers take one away
    writer = csv.writer(text)  # CRLF, so that names with either are quoted
    for path, row in zip(table.paths, table.hashes, strict=True):
        writer.writerow([path, base64.b64encode(row).decode("ascii")])
    return [text.getvalue().encode("utf-8", "surrogateescape")]


def _read_csv(name: str, content: bytes) -> HashTable:
    text = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="")
    reader = csv.reader(text, strict=True)
    rows = []
    line = 1
    limit = csv.field_size_limit(len(content) + 1)
    try:
        for record in reader:
            if record and not (line == 1 and _is_header(record)):
                rows.append((*_csv_record(name, line, record), np.nan))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableFileError(name, f"line {line} is no line of path,base64 ({error})") from error
    finally:
        csv.field_size_limit(limit)
    return table_from_rows(rows)


def _is_header(record: list[str]) -> bool:
    """Whether the first line names columns; a file can be called `path`, but has a hash."""
    return record[0].lower() == "path" and len(record[-1]) != _BASE64_LENGTH


def _csv_record(name: str, line: int, record: list[str]) -> tuple[str, bytes]:
    if len(record) != 2:
        raise TableFileError(name, f"line {line} has {len(record)} columns, needs path,base64")
    try:
        row = base64.b64decode(record[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise TableFileError(name, f"line {line} has no valid base64 ({error})") from error
    if len(row) != HASH_BYTES:
        raise TableFileError(name, f"line {line} holds {len(row)} bytes, needs {HASH_BYTES}")
    return record[0], row


def _write_npz(_: str, table: HashTable) -> list[memoryview]:
    content = io.BytesIO()
    np.savez(  # not compressed, so that a part of the hashes can be read
        content,
        paths=_packed(table.paths),
        hashes=table.hashes,
        detail=table.detail,
        failures=_packed([json.dumps([list(failure) for failure in table.failures])]),
    )
    return [content.getbuffer()]


def _read_npz(_: str, content: bytes) -> HashTable:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("not a zip archive")
    with np.load(io.BytesIO(content), allow_pickle=False) as members:
        (failures,) = _unpacked(members["failures"])
        return HashTable(
            _unpacked(members["paths"]),
            members["hashes"],
            members["detail"],
            [FileFailure(*failure) for failure in json.loads(failures)],
        )


def _packed(texts: list[str]) -> NDArray[np.uint8]:
    """Return texts as bytes; NUL, which no file name can hold, ends each."""
    return np.frombuffer(b"".join(_to_bytes(text) + b"\0" for text in texts), np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> list[str]:
    return [_to_text(part) for part in packed.tobytes().split(b"\0")[:-1]]


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _to_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _write_parquet(name: str, table: HashTable) -> list[memoryview]:
    pa, parquet = _pyarrow(name)
    paths = [_to_bytes(path) for path in table.paths]
    try:
        column = pa.array([path.decode("utf-8") for path in paths], pa.string())
    except UnicodeDecodeError:  # Parquet's strings are UTF-8
        column = pa.array(paths, pa.binary())
    hashes = pa.array([row.tobytes() for row in table.hashes], pa.binary(HASH_BYTES))
    columns = {"path": column, "hash": hashes, "detail": pa.array(table.detail)}
    failures = json.dumps([list(failure) for failure in table.failures])
    content = io.BytesIO()
    parquet.write_table(
        pa.table(columns).replace_schema_metadata({"photodna_nb.failures": failures}), content
    )
    return [content.getbuffer()]


def _read_parquet(name: str, content: bytes) -> HashTable:
    _, parquet = _pyarrow(name)
    table = parquet.read_table(io.BytesIO(content))
    missing = {"path", "hash"} - set(table.column_names)
    if missing:
        raise TableFileError(name, f"has no column {' and '.join(sorted(missing))}")
    paths = [
        _to_text(path) if isinstance(path, bytes) else path for path in table["path"].to_pylist()
    ]
    hashes = table["hash"].to_pylist()
    for number, path in enumerate(paths):
        if not isinstance(path, str):
            raise TableFileError(name, f"row {number} (counted from 0) has no path")
    for number, row in enumerate(hashes):
        if not isinstance(row, bytes) or len(row) != HASH_BYTES:
            raise TableFileError(name, f"row {number} (counted from 0) has no {HASH_BYTES} bytes")
    has_detail = "detail" in table.column_names
    details = table["detail"].to_pylist() if has_detail else [np.nan] * len(paths)
    failures = (table.schema.metadata or {}).get(b"photodna_nb.failures", b"[]")
    result = table_from_rows(zip(paths, hashes, details, strict=True))
    result.failures.extend(FileFailure(*failure) for failure in json.loads(failures))
    return result


def _pyarrow(name: str) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise TableFileError(
            name, 'Parquet needs pyarrow: pip install "photodna_nb[tables]", or use .npz'
        ) from error
    return pyarrow, pyarrow.parquet


def table_from_rows(rows: Iterable[tuple[str, bytes, float]]) -> HashTable:
    """Return the table of rows of path, 144 bytes and detail."""
    paths: list[str] = []
    hashes = bytearray()
    details: list[float] = []
    for path, row, detail in rows:
        paths.append(path)
        hashes += row
        details.append(detail)
    joined = np.frombuffer(bytes(hashes), np.uint8).reshape(len(paths), HASH_BYTES)
    return HashTable(paths, joined, np.array(details, np.float64))


_FORMATS = {
    ".json": _Format(_write_json, _read_json),
    ".csv": _Format(_write_csv, _read_csv),
    ".npz": _Format(_write_npz, _read_npz),
    ".parquet": _Format(_write_parquet, _read_parquet),
}


def check_suffix(path: PathLike) -> None:
    """Raise the ArgumentError of `HashTable.save` for another suffix."""
    _format(checks.path("path", path))


def check_target(path: PathLike) -> None:
    """Raise what `HashTable.save` would, as far as it can be told before there is a table."""
    name = checks.path("path", path)
    check_suffix(name)
    if name.lower().endswith(".parquet"):
        _pyarrow(name)
    folder = os.path.dirname(os.path.realpath(name))
    if os.path.isdir(name):
        raise TableFileError(name, "is a directory; give a file")
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise TableFileError(
            name, "cannot be written: its folder is missing or write-protected; check the path"
        )


def _format(name: str) -> _Format:
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in _FORMATS:
        raise ArgumentError(f"path: got the suffix {suffix!r}, needs one of {', '.join(_FORMATS)}")
    return _FORMATS[suffix]
