"""The connection to an SQLite database: opened, made anew and replaced, with our errors.

One file, in the rollback-journal mode, so that it can be copied like any other one.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from typing import Any

from photodna_nb import files
from photodna_nb.errors import ErrorContext, IndexFileError
from photodna_nb.index import metadata
from photodna_nb.index.metadata import InUseError

# Seconds for which another program may hold the database.
LOCK_TIMEOUT_SECONDS = 60.0

Row = tuple[Any, ...]


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
        folder = os.path.dirname(os.path.realpath(self.path))
        writable = os.access(self.path, os.W_OK) and os.access(folder, os.W_OK)
        name = urllib.parse.quote(os.fsencode(os.path.abspath(self.path)))
        self._connect(f"file:{name}?mode={'rw' if writable else 'ro'}")

    def open_temporary(self) -> None:
        """Connect to a new file beside the place, of which nothing lasts before `put_in_place`."""
        with files.write_errors(self.path, IndexFileError):
            descriptor, temporary = files.create_temporary(self.path, IndexFileError)
        os.close(descriptor)
        self._disconnect()
        self._temporary = temporary
        self._connect("file:" + urllib.parse.quote(os.fsencode(temporary)))
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
            return self.connection.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row of values."""
        with self.errors():
            self.connection.executemany(statement, rows)

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
            case sqlite3.OperationalError() if "no such" in text or "decode" in text:
                return metadata.damaged(self.path, f"is damaged ({text})")
            case sqlite3.OperationalError():
                reason = f"cannot be used ({text}); check the permissions and the free space"
                return IndexFileError(self.path, reason)
            case sqlite3.ProgrammingError():
                return IndexFileError(self.path, f"cannot be used any more ({text})")
            case sqlite3.Error():
                reason = f"is damaged, or no SQLite database ({text})"
                return metadata.damaged(self.path, reason)
            case TypeError() | ValueError() | KeyError() | RecursionError():
                reason = f"is damaged: it holds what was never put in ({text})"
                return metadata.damaged(self.path, reason)
        return None

    def _connect(self, place: str) -> None:
        with self.errors():
            self.connection = sqlite3.connect(
                place,
                timeout=LOCK_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
        self._disconnect = weakref.finalize(self, self.connection.close)
        self.execute("PRAGMA synchronous = EXTRA")
        self.execute("PRAGMA cache_size = -131072")

    def _finish_journal(self) -> None:
        """End what a killed program left undone, before the database of that name is another."""
        target = os.path.realpath(self.path)
        with suppress(sqlite3.Error, OSError):
            if os.path.exists(target + "-journal"):
                with closing(sqlite3.connect(target)) as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            os.unlink(target + "-journal")
