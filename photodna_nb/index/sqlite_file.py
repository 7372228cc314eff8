"""The connection to an SQLite database: opened, made anew and replaced, with our errors.

One file, in the rollback-journal mode, so that it can be copied like any other one.
"""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import urllib.parse
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

from photodna_nb import files
from photodna_nb.errors import ErrorContext, IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.metadata import InUseError

# Seconds for which another program may hold the database.
LOCK_TIMEOUT_SECONDS = 60.0
# Files beside the database, which SQLite reads, writes and deletes.
_BESIDE = ("-journal", "-wal", "-shm")
# End of a journal of several databases: it names a file, which SQLite would delete.
_NAMES_A_FILE = bytes.fromhex("d9d505f920a163d7")
# Most bytes of a value, and of a statement, in the schema or of ours.
_MAX_VALUE, _MAX_STATEMENT = 1 << 24, 20_000
# Steps of SQLite's machine until the counter is asked, which one statement may take however small
# the database is, and for each byte of it: an item takes 150 bytes or more, and some 50 steps.
_STEPS_AT_ONCE, _MIN_STEPS, _STEPS_PER_BYTE = 10_000, 200_000, 10

Row = tuple[Any, ...]


class _StepCounter:
    """Ends a statement that takes more steps than the size of its database explains.

    Attributes
    ----------
    remaining : float
        Steps that the statement may still take.
    """

    def __init__(self) -> None:
        self.remaining = 0.0  # the schema of a new connection takes fewer than are counted at once

    def __call__(self) -> bool:
        self.remaining -= _STEPS_AT_ONCE
        return self.remaining < 0


class SqliteFile:
    """A connection: to memory, to a new file beside its place, or to the file.

    Attributes
    ----------
    path : str
        The file.
    connection : sqlite3.Connection
        Without transactions of its own.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._inode: tuple[int, int] | None = None
        self._temporary: str | None = None
        self._disconnect: Callable[[], Any] = lambda: None
        self._counter = _StepCounter()

    @property
    def on_disk(self) -> bool:
        """Whether the connection is to the file, and has been since the last commit."""
        return self._inode is not None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun."""
        with self.errors():
            return self.connection.in_transaction

    def open_memory(self) -> None:
        """Connect to an empty database in memory."""
        self.close()
        self._connect(":memory:")

    def open_file(self) -> None:
        """Connect to the file."""
        self._disconnect()
        self._check_files_beside()
        folder = os.path.dirname(os.path.realpath(self.path))
        writable = os.access(self.path, os.W_OK) and os.access(folder, os.W_OK)
        self._connect(_uri(self.path, "rw" if writable else "ro"))

    def open_temporary(self) -> None:
        """Connect to a new file beside the place, of which nothing lasts before `put_in_place`."""
        with files.write_errors(self.path, IndexFileError):
            descriptor, temporary = files.create_temporary(self.path, IndexFileError)
        os.close(descriptor)
        self._disconnect()
        self._temporary = temporary
        self._connect(_uri(temporary))
        self.execute("PRAGMA journal_mode = OFF")
        self.execute("PRAGMA synchronous = OFF")

    def reopen_if_replaced(self) -> bool:
        """Connect to the file if it is another one than before, and return whether it is."""
        with files.read_errors(self.path, IndexFileError):
            status = files.regular_status(self.path, IndexFileError)
        if self._inode == (status.st_dev, status.st_ino):
            return False
        self.open_file()
        self._inode = status.st_dev, status.st_ino
        return True

    def put_in_place(self) -> None:
        """After a commit: have the connection be to the file, replaced by the temporary one."""
        if self._temporary is not None:
            self._disconnect()
            self._finish_journal()
            files.move_into_place(self._temporary, self.path, IndexFileError)
            self._temporary = self._inode = None
        if self._inode is None:
            self.reopen_if_replaced()

    def close(self) -> None:
        """Close the connection, and delete a temporary file."""
        self._disconnect()
        if self._temporary is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary)
            self._temporary = None

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a statement."""
        with self.errors():
            self._limit_steps()
            return self.connection.execute(statement, values).fetchall()

    def fetch(self, statement: str, values: Sequence[Any], n_rows: int) -> Iterator[list[Row]]:
        """Yield the rows of a statement, so many at once."""
        self._limit_steps()
        cursor = self.connection.execute(statement, values)
        while rows := cursor.fetchmany(n_rows):
            yield rows

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row of values."""
        self._counter.remaining = math.inf  # they are ours, and may be many
        with self.errors():
            self.connection.executemany(statement, rows)

    def _limit_steps(self) -> None:
        """Begin to count the steps of a statement, which must end even if pages form a cycle."""
        self._counter.remaining = _MIN_STEPS
        ((pages,),) = self.connection.execute("PRAGMA page_count")
        self._counter.remaining += pages * self._page_size * _STEPS_PER_BYTE

    def errors(self) -> ErrorContext:
        """Return a context that turns errors of SQLite, and of what was never put in, into ours."""
        return ErrorContext(self._translated)

    def _translated(self, error: BaseException) -> IndexFileError | None:
        text = str(error)
        match error:
            case IndexFileError():
                return None
            case sqlite3.OperationalError() if "locked" in text or "busy" in text:
                seconds = f"{LOCK_TIMEOUT_SECONDS:.0f} s"
                reason = f"has been in use by another program for {seconds}; try again"
                return InUseError(self.path, reason)
            case sqlite3.OperationalError() if "interrupted" in text:
                reason = "is damaged (reading it takes longer than its size explains)"
                return metadata.damaged(self.path, reason)
            case sqlite3.DataError() if "too big" in text:
                reason = f"holds, or was given, an item of more than {_MAX_VALUE >> 20} MB"
                return metadata.damaged(self.path, reason)
            case sqlite3.OperationalError() if "no such" in text or "decode" in text:
                return metadata.damaged(self.path, f"is damaged ({text})")
            case sqlite3.OperationalError():
                reason = (
                    f"cannot be used ({text}); check the permissions, the free space, the limit of "
                    "open files (ulimit -n) and the temporary folder (TMPDIR)"
                )
                return IndexFileError(self.path, reason)
            case sqlite3.ProgrammingError():
                return IndexFileError(self.path, f"cannot be used any more ({text})")
            case sqlite3.Error():
                reason = f"is damaged, or no SQLite database ({text})"
                return metadata.damaged(self.path, reason)
            case TypeError() | ValueError() | KeyError() | RecursionError() | OverflowError():
                reason = f"is damaged: it holds what was never put in ({text})"
                return metadata.damaged(self.path, reason)
        return None

    def _check_files_beside(self) -> None:
        """Refuse what would have SQLite write or delete files elsewhere."""
        target = os.path.realpath(self.path)
        for path in (target + suffix for suffix in _BESIDE):
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    raise IndexFileError(path, "is no file, but belongs to a database; delete it")
        with (
            suppress(FileNotFoundError),
            files.open_regular(target + _BESIDE[0], IndexFileError) as journal,
        ):
            journal.seek(max(0, journal.seek(0, os.SEEK_END) - len(_NAMES_A_FILE)))
            if journal.read() == _NAMES_A_FILE:
                reason = "names another file, which SQLite would delete; delete this journal"
                raise IndexFileError(target + _BESIDE[0], reason)

    def _connect(self, place: str) -> None:
        self._counter = _StepCounter()
        with self.errors():
            self.connection: sqlite3.Connection = _connection(place, self._counter)
            self._disconnect = weakref.finalize(self, self.connection.close)
            self.connection.execute("SELECT count(*) FROM sqlite_master")  # reads the schema
            ((self._page_size,),) = self.connection.execute("PRAGMA page_size")
        self.execute("PRAGMA synchronous = EXTRA")
        self.execute("PRAGMA fullfsync = ON")  # as `systems.flush`; macOS alone has it
        self.execute("PRAGMA cache_size = -131072")

    def _finish_journal(self) -> None:
        """End what a killed program left undone, before the database of that name is another."""
        target = os.path.realpath(self.path)
        with suppress(sqlite3.Error, OSError):
            if os.path.exists(target + "-journal"):
                self._check_files_beside()
                with closing(_connection(_uri(target), _StepCounter())) as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            os.unlink(target + "-journal")


def _uri(path: str, mode: str = "rw") -> str:
    return f"file:{urllib.parse.quote(os.fsencode(os.path.abspath(path)))}?mode={mode}"


def _connection(place: str, counter: _StepCounter) -> sqlite3.Connection:
    """Return a connection that trusts nothing in the schema of a database."""
    connection = sqlite3.connect(
        place,
        timeout=LOCK_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _MAX_STATEMENT)
    connection.set_progress_handler(counter, _STEPS_AT_ONCE)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection
