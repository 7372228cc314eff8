"""Images that are named on the command line: paths, hashes, and errors by file."""

from __future__ import annotations

import os
import re
import stat
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from photodna_nb import folders
from photodna_nb.cli import hints
from photodna_nb.cli.output import print_error, print_message
from photodna_nb.cli.startup import start_numba
from photodna_nb.errors import FileError, LowDetailWarning, remedy_of
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.cli.summary import Summary
    from photodna_nb.hashing.stages import HashWithDetail
    from photodna_nb.tables.columns import FileFailure
    from photodna_nb.tables.table import HashTable


# Lines of a list in which a hash would be seen, and bytes in which an image would.
_LINES_LOOKED_AT = 9
_HEAD = 4096


def hashed_inputs(
    paths: Sequence[str], jobs: int | None, summary: Summary, **options: Any
) -> HashTable:
    """Return the table of `hash_inputs`, and count it; print errors and warnings as `hash_table`.

    The options are further arguments of `hash_inputs`.
    """
    start_numba()
    from photodna_nb.hashing.inputs import hash_inputs

    table = _hashed(hash_inputs, paths, jobs, hints.of_an_index, options)
    summary.count_table(table)
    return table


def hash_table(
    paths: Sequence[str],
    jobs: int | None,
    other_reason: Callable[[str], str] = lambda path: "",
    **options: Any,
) -> HashTable:
    """Return the table of `hash_files`; print errors of files, and warnings, on standard error.

    The options are further arguments of `hash_files`.
    """
    start_numba()
    from photodna_nb.hashing.files import hash_files

    return _hashed(hash_files, paths, jobs, other_reason, options)


def _hashed(
    function: Callable[..., HashTable],
    paths: Sequence[str],
    jobs: int | None,
    other_reason: Callable[[str], str],
    options: Mapping[str, Any],
) -> HashTable:
    """Return the table of `hash_files` or `hash_inputs`; print errors of files, and warnings."""
    with printed_warnings():
        table = function(
            paths,
            max_workers=jobs,
            progress=shows_progress(paths),
            errors="record",
            **options,
        )
        print_failures(table.failures, other_reason)
    return table


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Return a context whose warnings of low detail are printed on standard error at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", LowDetailWarning)
        yield
    for warning in caught:
        print_message(f"warning: {warning.message}")


def print_failures(
    failures: Sequence[FileFailure], other_reason: Callable[[str], str] = lambda path: ""
) -> None:
    """Name files that could not be hashed on standard error, with another reason if any."""
    for path, reason in failures:
        print_error(f"{printable(path)}: {printable(other_reason(path) or reason)}")


def shows_progress(paths: Sequence[str]) -> bool:
    """Return whether the progress over images is displayed."""
    return (len(paths) > 2 or any(map(os.path.isdir, paths))) and on_terminal()


def iterate_images(
    paths: Sequence[str], jobs: int | None, errors: list[FileError]
) -> Generator[tuple[str, HashWithDetail], None, None]:
    """Yield each path that can be hashed, with its hash and detail, in order.

    An error of a file is printed on standard error at once, and appended to `errors`. Images of
    low detail are counted, and printed there at the end.
    """
    start_numba()
    from photodna_nb import parallel
    from photodna_nb.hashing.files import iterate_hashes
    from photodna_nb.hashing.low_detail import LowDetailImages

    low_detail = LowDetailImages()
    with (
        closing(iterate_hashes(paths, max_workers=jobs)) as results,
        parallel.progress_bar(shows_progress(paths), paths, "files") as bar,
    ):
        for path, result in results:
            if isinstance(result, FileError):
                errors.append(result)
                print_error(str(result))
            else:
                low_detail.add(path, result)
                yield path, result
            bar.update()
    if message := low_detail.message():
        print_message(f"warning: {message}")


def on_terminal() -> bool:
    """Return whether standard error is a terminal, on which progress can be displayed."""
    return sys.stderr is not None and sys.stderr.isatty()


def files_in(directory: str, recursive: bool) -> tuple[list[str], list[FileFailure]]:
    """Return the paths of the files in a directory, and the folders that cannot be listed.

    Their errors are printed on standard error, and the other folders are listed.
    """
    from photodna_nb.tables.columns import FileFailure

    errors: list[FileError] = []
    if os.path.isfile(directory):
        if hints.is_table(directory):
            remedy = f"to compare with a table of hashes: {hints.command('match', directory)} PATH"
        else:
            remedy = f"for an image: {hints.command('hash', directory)}"
        raise FileError(directory, f"is a file, not a directory; {printable(remedy)}")
    names = folders.files_in(directory, recursive=recursive, hidden=True, errors=errors)
    for error in errors:
        print_error(str(error))
    failures = [FileFailure(str(error.path), error.reason) for error in errors]
    return [folders.below(directory, name) for name in names], failures


def listed_files(name: str) -> list[str]:
    """Return the paths that a file, or standard input if `name` is ``-``, lists."""
    try:
        if name == "-":
            if sys.stdin is None:
                raise FileError(name, "standard input is closed; give a file or a pipe")
            content = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                if stat.S_ISCHR(os.fstat(file.fileno()).st_mode) and not file.isatty():
                    raise FileError(name, "is a device; give a file or a pipe")
                content = file.read()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); {remedy_of(error, 'check the path')}"
        raise FileError(name, reason) from error
    from photodna_nb.hashing.image_formats import image_kind  # it imports Pillow
    from photodna_nb.tables import hash_text  # it imports NumPy

    # A list may begin as an image ("BM_1.jpg"), but has no such control characters.
    if image_kind(content) and re.search(rb"[\1-\6]", content[:_HEAD]):
        remedy = printable(f"for its hash: {hints.command('hash', name)}")
        raise FileError(name, f"is an image, not a list of paths; {remedy}")
    paths = folders.listed_paths(name, content)
    cells = (re.split(r"[,;|\t]", path)[-1] for path in paths[:_LINES_LOOKED_AT])
    if any(map(hash_text.holds_hash, cells)):
        reason = "is a table of hashes, not a list of image files; --duplicates, --match and the "
        raise FileError(name, f"{reason}modes of an index take it as PATH, without --files-from")
    return paths
