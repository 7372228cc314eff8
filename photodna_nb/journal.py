"""One append-only log of records with a checksum each, for work that may be interrupted.

The file holds JSON lines. The first one names the format of the records and its version,
every other one holds a checksum and a record::

    ["photodna_nb: hashes of files", 1]
    ["1f0c8d0a7e5b4c39",{"path": "/data/a.jpg", ...}]
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from hashlib import blake2b
from io import BufferedRandom, IOBase
from typing import Generic, Self, TypeVar

import msgspec

from photodna_nb import files, systems
from photodna_nb.errors import ErrorContext, FileError, remedy_of

Record = TypeVar("Record", bound=msgspec.Struct)

# A line is the checksum, of 8 bytes in hexadecimal, and the record between these.
_BEFORE, _BETWEEN, _AFTER = b'["', b'",', b"]"
_RECORD_AT = len(_BEFORE) + 16 + len(_BETWEEN)
# How often a file is opened again that another program has deleted meanwhile.
_ATTEMPTS = 100


class RecordLog(Generic[Record]):
    """A file of records that is only ever appended to.

    Parameters
    ----------
    path : str
        Path of the file. It is created when it is opened for the first record.
    format_name : str
        What the records are, for the first line.
    version : int
        Version of `record_type`, for the first line.
    record_type : type
        A subclass of `msgspec.Struct`, to which each record is validated.
    error_type : type
        Class of the errors.
    like : str, optional
        A file whose owner and permissions a new file takes, if that is there.

    Notes
    -----
    A record whose checksum does not hold, as that of a last line that was cut off, counts
    as missing: an altered byte never becomes another record. A file with another first
    line is refused and left as it is.
    """

    def __init__(
        self,
        path: str,
        format_name: str,
        version: int,
        record_type: type[Record],
        error_type: type[FileError],
        like: str = "",
    ) -> None:
        self.path: str = path
        self._like = like
        self._header = json.dumps([f"photodna_nb: {format_name}", version]).encode("ascii") + b"\n"
        self._record_type, self._error_type = record_type, error_type
        self._file: BufferedRandom | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def records(self) -> Iterator[Record]:
        """Yield the records whose checksums hold, oldest first; none if there is no file.

        Raises
        ------
        FileError
            Of `error_type`: the file cannot be read, or is no log of this format and version.
        """
        with files.read_errors(self.path, self._error_type), ExitStack() as stack:
            try:
                raw = stack.enter_context(files.open_regular(self.path, self._error_type))
            except FileNotFoundError:
                if os.path.islink(self.path):
                    raise
                return
            file = stack.enter_context(open(raw.fileno(), "rb", closefd=False))
            header = file.readline(len(self._header))
            if header != self._header and not self._header.startswith(header):
                raise self._foreign()
            for line in file:
                with suppress(msgspec.MsgspecError, ValueError, TypeError, RecursionError):
                    yield self._record(line)

    def open(self) -> BufferedRandom:
        """Return the file, open for appending; it is created if it is missing.

        Raises
        ------
        FileError
            Of `error_type`: the file cannot be written, or is no log of this format.
        """
        if self._file is not None:
            return self._file
        with self._write_errors():
            file = self._file = self._opened()
            # Another program may do the same now. So nothing is ever cut off: a second header, or a
            # part of one, is a line whose checksum does not hold.
            start = file.read(len(self._header))
            if not self._header.startswith(start):
                raise self._foreign()
            file.write(self._header[len(start) :])
            if start == self._header:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.flush()
        return file

    def _opened(self) -> BufferedRandom:
        """Return the file, with a lock that says that it is in use, so that nobody deletes it."""
        for remaining in reversed(range(_ATTEMPTS)):
            try:
                file = files.open_to_append(self.path, self._like, self._error_type)
            except FileNotFoundError:  # deleted meanwhile, or in no folder
                if not remaining:
                    raise
                continue
            systems.lock_shared(file)
            if self._is_at_path(file):
                file.seek(0)
                return file
            file.close()
        raise self._error_type(self.path, "is deleted by other programs again and again; try later")

    def _is_at_path(self, file: IOBase) -> bool:
        """Return whether an open file still has its name, and is not deleted."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self.path))
        return False

    def append(self, record: Record) -> None:
        """Append a record. It survives this process from now on, a power cut from `close` on.

        Raises
        ------
        FileError
            Of `error_type`: see `open`.
        """
        file = self.open()
        values = msgspec.to_builtins(record, str_keys=True)
        content = json.dumps(values, allow_nan=False).encode("ascii")
        with self._write_errors():
            file.write(_line(content))
            file.flush()

    def close(self) -> None:
        """Write everything to the disk and close the file, if it is open.

        Raises
        ------
        FileError
            Of `error_type`: the file cannot be written.
        """
        if self._file is not None:
            with self._write_errors():
                self._file.flush()
                systems.flush(self._file.fileno())
                self._file.close()
                self._file = None

    def delete(self, keep: Callable[[], Iterable[Record]] = tuple) -> bool:
        """Close the file and delete it; return False if another program has it open.

        keep: returns the records that a new file is to hold; no other program appends meanwhile.

        Raises
        ------
        FileError
            Of `error_type`: the file cannot be deleted.
        """
        self.close()
        with (
            self._write_errors(),
            suppress(FileNotFoundError),
            files.open_regular(self.path, self._error_type) as file,
        ):
            if not (systems.lock_alone(file) and self._is_at_path(file)):
                return False
            kept = list(keep())
            try:
                if systems.IS_WINDOWS:
                    file.close()  # a file that is open is not deleted
                os.unlink(self.path)
            except PermissionError:
                if not systems.IS_WINDOWS:
                    raise
                return False  # another program has it open
            for record in kept:
                self.append(record)
            self.close()
        return True

    def _record(self, line: bytes) -> Record:
        content = line[_RECORD_AT:].removesuffix(b"\n").removesuffix(_AFTER)
        if line.removesuffix(b"\n") + b"\n" != _line(content):
            raise ValueError("the checksum does not hold")
        return msgspec.convert(json.loads(content), self._record_type, str_keys=True)

    def _foreign(self) -> FileError:
        return self._error_type(
            self.path,
            f"is not a file that begins with {self._header.decode('ascii').strip()}, as this "
            "version of the program writes it; move it away or delete it",
        )

    def _write_errors(self) -> ErrorContext:
        """Return a context that closes the file after an error: it would be written once more."""

        def translated(error: BaseException) -> FileError | None:
            if isinstance(error, OSError | FileError) and self._file is not None:
                with suppress(OSError):
                    self._file.close()
                self._file = None
            if not isinstance(error, OSError):
                return None
            remedy = remedy_of(error, "check the free space and the permissions")
            return self._error_type(self.path, f"cannot be written ({error.strerror}); {remedy}")

        return ErrorContext(translated)


def _line(content: bytes) -> bytes:
    checksum = blake2b(content, digest_size=8).hexdigest().encode("ascii")
    return _BEFORE + checksum + _BETWEEN + content + _AFTER + b"\n"
