"""Pictures that are named on the command line: found, hashed in order, and the bad ones said."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from photodna_nb.cli.output import failed, say
from photodna_nb.errors import FileError
from photodna_nb.files import is_folder, listed_paths

if TYPE_CHECKING:
    from photodna_nb.errors import ImageError
    from photodna_nb.hashing.stages import HashWithDetail
    from photodna_nb.tables.table import HashTable


class Images:
    """Hashes files on several threads, in order, and names the bad ones on standard error.

    Attributes
    ----------
    status : int
        The exit status: 1 after any bad file.
    """

    def __init__(self, paths: list[str], jobs: int | None, journal: str | None = None) -> None:
        self._paths = paths
        self._jobs = jobs
        self._journal = journal  # a file that keeps each hash as it is made
        self.status = 0

    def __iter__(self) -> Iterator[tuple[str, HashWithDetail]]:
        """Yield each path that can be hashed, with its hash and detail."""
        for path, result in self._each():
            if isinstance(result, FileError):
                self.status = failed(str(result))
            else:
                yield path, result

    def only(self) -> HashWithDetail:
        """Return the hash and detail of the only file, or raise its error."""
        with closing(self._each()) as each:
            _, result = next(each)
        if isinstance(result, FileError):
            raise result
        return result

    def table(self) -> HashTable:
        """Return all that can be hashed."""
        from photodna_nb.tables.table import table_from_rows

        return table_from_rows((path, one.hash.tobytes(), one.detail) for path, one in self)

    def _each(self) -> Generator[tuple[str, HashWithDetail | ImageError], None, None]:
        """Yield what becomes of each path; a bar says how far the work is, on a terminal."""
        if not self._paths:
            return
        start_numba()
        from photodna_nb import parallel
        from photodna_nb.hashing.files import iterate_hashes
        from photodna_nb.hashing.hash_journal import HashJournal

        shown = len(self._paths) > 2 and sys.stderr is not None and sys.stderr.isatty()
        jobs = min(self._jobs or parallel.available_processors(), len(self._paths))
        journal = nullcontext() if self._journal is None else HashJournal(self._journal)
        with (
            quiet_decoders(),
            journal as entries,
            closing(iterate_hashes(self._paths, max_workers=jobs, journal=entries)) as each,
            parallel.progress_bar(shown, self._paths, "images") as bar,
        ):
            for result in each:
                yield result
                bar.update()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep what decoders have to say from standard error: it names no file, and is no error.

    Pillow warns and logs; libtiff and its like write past Python.
    """
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _quiet_libraries():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    if sys.stderr is None:  # closed by the caller
        yield
        return
    sys.stderr.flush()
    before, kept, nowhere = sys.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    # What Python has to say still goes where it went.
    options: Any = {"encoding": before.encoding, "errors": before.errors, "buffering": 1}
    try:
        with suppress(OSError), open(kept, "w", closefd=False, **options) as sys.stderr:
            yield
    finally:
        sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)


def start_numba() -> None:
    """Make the first call of the kernels, without SciPy; say so if they must be compiled.

    Numba imports ``scipy.linalg`` at its first call, if SciPy is installed, to
    look for BLAS. No kernel here needs it.
    """
    if "numba" in sys.modules:
        return
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = None  # type: ignore[assignment]  # import scipy raises ImportError
    try:
        _announce_compilation()
        import numpy as np

        from photodna_nb.hashing.files import hash_image

        hash_image(np.zeros((2, 2), np.uint8))
    finally:
        gc.enable()  # the start is over: see `script`
        if hidden:
            del sys.modules["scipy"]


def _announce_compilation() -> None:
    from numba.core import event

    from photodna_nb.kernels import jit

    class Notice(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                say(
                    "compiling the kernels, which takes some seconds; "
                    + (
                        "later calls take them from the cache"
                        if jit.cached
                        else "for later calls, set NUMBA_CACHE_DIR to a folder that can be written"
                    )
                )

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Notice())  # type: ignore[no-untyped-call]


def files_in(directory: str, recursive: bool) -> tuple[list[str], int]:
    """Return the files in a directory, by name, with those below it; and the exit status.

    That is 1 if a folder below cannot be listed, which is said, and spoils nothing else.
    """
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"cannot be listed ({error.strerror}); check the path"
        raise FileError(directory, reason) from error
    files = [os.path.join(directory, entry.name) for entry in found if not is_folder(entry)]
    status = 0
    if recursive:
        for entry in found:
            if is_folder(entry) and not entry.is_symlink():  # a link may lead in a circle
                try:
                    below, its_status = files_in(os.path.join(directory, entry.name), recursive)
                except FileError as error:
                    below, its_status = [], failed(str(error))
                files += below
                status = max(status, its_status)
    return files, status


def listed(name: str) -> list[str]:
    """Return the paths in a file, or on standard input."""
    try:
        if name == "-":
            if sys.stdin is None:
                raise FileError(name, "standard input is closed; give a file or a pipe")
            content = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                content = file.read()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); check the path"
        raise FileError(name, reason) from error
    return listed_paths(content)
