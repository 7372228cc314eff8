"""The command line: it turns options into calls of public functions, and prints the results.

Each mode imports what it needs when it runs: FAISS, Numba and Pillow are slow
to import, and help and wrong usage need none of them.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from photodna_nb import systems
from photodna_nb.cli import duplicate_modes, evaluate_mode, hash_modes, index_modes
from photodna_nb.cli.images import listed_files
from photodna_nb.cli.options import OPTIONS, flag
from photodna_nb.cli.output import OutputError, discard, flush, print_error, print_message
from photodna_nb.cli.parser import parse
from photodna_nb.errors import ArgumentError, FileError, PhotodnaError, lacking
from photodna_nb.printable import printable

# The function of each mode: it takes the operands, and its options as keywords (see `options`).
FUNCTIONS: dict[str, Callable[..., int]] = {
    "duplicates": duplicate_modes.duplicates,
    "match": duplicate_modes.match,
    "hash": hash_modes.hash_image,
    "hash_dir": hash_modes.hash_directory,
    "files_from": hash_modes.hash_list,
    "compare": hash_modes.compare,
    "faiss_build": index_modes.build,
    "faiss_add": index_modes.add,
    "faiss_query": index_modes.query,
    "faiss_sync": index_modes.sync,
    "faiss_list": index_modes.list_items,
    "faiss_remove": index_modes.remove,
    "faiss_verify": index_modes.verify,
    "faiss_rebuild": index_modes.rebuild,
    "faiss_convert": index_modes.convert,
    "evaluate": evaluate_mode.evaluate,
    "evaluate_example": evaluate_mode.example,
    "compare_runs": evaluate_mode.compare_runs,
}

# Modes and options that keep what was done, and options that would.
_GOING_ON = {"--cache", "--resume", "--faiss-build", "--faiss-add", "--faiss-sync", "--evaluate"}
_WITH_JOURNAL = {
    "--duplicates": "--cache FILE",
    "--match": "--cache FILE",
    "--faiss-query": "--cache FILE",
    "--hash-dir": "--output FILE --resume",
    "--files-from": "--output FILE --resume",
}


def script() -> NoReturn:
    """Run the command line as a process of its own.

    Garbage collection is off until Numba has started (see `start_numba`), and at
    the end: Numba makes a hundred thousand objects, none of them garbage, and two
    searches through them would take a third of the time of hashing a small image.
    """
    gc.disable()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may follow
        from photodna_nb.cli.completion import answer_shell

        answer_shell()
    status = main()
    gc.freeze()
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments without the program's name; those of the process if left out.

    Returns
    -------
    int
        0 if all is good, 1 if something failed, 2 for wrong usage, 130 after Ctrl-C.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(list(arguments))
    except KeyboardInterrupt:
        print_message(_stopped(arguments))
        return 130
    except OutputError as error:
        if sys.stdout is not None:
            discard(sys.stdout)
        # The reader has gone: `| head`. Windows has another error for it.
        of_windows = systems.IS_WINDOWS and getattr(error.__cause__, "errno", 0) == errno.EINVAL
        if of_windows or isinstance(error.__cause__, BrokenPipeError):
            return 1
        return print_error(f"standard output cannot be written ({error})")


def _stopped(arguments: Sequence[str]) -> str:
    """Return what to say after Ctrl-C: whether the next call goes on from there."""
    if not _GOING_ON.isdisjoint(arguments):
        return "stopped; the same call goes on from there"
    mode = next((word for word in arguments if word in _WITH_JOURNAL), None)
    if mode is None:
        return "stopped"
    return f"stopped; with {_WITH_JOURNAL[mode]}, the same call would go on from there"


def _run(arguments: list[str]) -> int:
    try:
        command = parse(arguments)
        operands = command.operands
        if command.files_from is not None:
            operands += listed_files(command.files_from)
        with _pixel_limit(command.max_pixels):
            status = FUNCTIONS[command.mode](*operands, **command.options)
        flush()
    except SystemExit as stop:  # 0 after --help and --version, 2 after wrong usage
        flush()
        return int(stop.code or 0)
    except PhotodnaError as error:
        if isinstance(error, FileError):  # an index knows its files by their absolute paths
            typed = {os.path.abspath(argument): argument for argument in arguments}
            error.path = typed.get(str(error.path), error.path)
        name, colon, reason = str(error).partition(": ")
        if isinstance(error, ArgumentError) and colon and name in OPTIONS:
            return print_error(f"argument {flag(name)}: {reason}")
        return print_error(str(error))
    except OutputError:
        raise
    except Exception as error:  # too little of something, or a bug: one line, not a traceback
        if os.environ.get("PHOTODNA_NB_TRACEBACK"):
            traceback.print_exc()
        return print_error(
            lacking(error)
            or f"unexpected {type(error).__name__}: {printable(str(error))}; please report it, "
            "with what is printed when PHOTODNA_NB_TRACEBACK=1 is set"
        )
    return status


@contextmanager
def _pixel_limit(limit: int | None) -> Iterator[None]:
    """Set Pillow's limit, which the process has only one of, and restore it at the end."""
    if limit is None:
        yield
        return
    from PIL import Image

    previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limit
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = previous
