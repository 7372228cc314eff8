"""The command line: flags to calls to text.

Each mode imports what it needs when it runs: FAISS, Numba and Pillow are slow
to import, and help and wrong usage need none of them.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from photodna_nb.cli import evaluate_mode, hash_modes, index_modes, pictures
from photodna_nb.cli.options import parsed
from photodna_nb.cli.output import OutputError, failed, flush, say
from photodna_nb.errors import FileError, PhotodnaError
from photodna_nb.printable import printable


def script() -> NoReturn:
    """Run the command line as a process of its own.

    Numba makes a hundred thousand objects to start, and none of them is garbage.
    Looking for some, when it starts and once more at the end, would take a
    third of the time of hashing a small picture.
    """
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 good, 1 a failure, 2 wrong usage.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if left out.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except OutputError as error:
        if sys.stdout is not None:
            # Python flushes once more when it ends, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error.__cause__, BrokenPipeError):  # the reader has gone: `| head`
            return 1
        return failed(f"standard output cannot be written ({error})")


def _run(arguments: list[str]) -> int:
    try:
        options = parsed(arguments)
        with _pixel_limit(options.max_pixels):
            status = _dispatch(options)
        flush()
    except SystemExit as stop:  # argparse: 0 after --help and --version, 2 after wrong usage
        flush()
        return int(stop.code or 0)
    except (PhotodnaError, MemoryError) as error:
        if isinstance(error, FileError):  # an index knows its files by their absolute paths
            typed = {os.path.abspath(argument): argument for argument in arguments}
            error.path = typed.get(str(error.path), error.path)
        return failed(str(error) or "out of memory")
    except OutputError:
        raise
    except Exception as error:  # a bug; say so without a traceback in the user's face
        if os.environ.get("PHOTODNA_NB_TRACEBACK"):
            traceback.print_exc()
        return failed(
            f"unexpected {type(error).__name__}: {printable(str(error))}; please report it, "
            "with what is printed when PHOTODNA_NB_TRACEBACK=1 is set"
        )
    return status


@contextmanager
def _pixel_limit(limit: int | None) -> Iterator[None]:
    """Set Pillow's limit, one for the process; a caller in Python gets his own one back."""
    if limit is None:
        yield
        return
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limit
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _hash_many(paths: list[str], options: argparse.Namespace) -> int:
    if options.output is None:
        return hash_modes.hash_many(paths, options.jobs, detail=bool(options.detail))
    resume = bool(options.resume)
    return hash_modes.hash_into(options.output, paths, options.jobs, resume=resume)


def _dispatch(options: argparse.Namespace) -> int:
    given = getattr(options, options.mode)
    match options.mode:
        case "hash":
            return hash_modes.hash_one(given, detail=bool(options.detail))
        case "hash_dir":
            paths, status = pictures.files_in(given, bool(options.recursive))
            return max(status, _hash_many(paths, options))
        case "files_from":
            return _hash_many(pictures.listed(given), options)
        case "compare":
            return hash_modes.compare(
                *given,
                metric=options.metric or "euclidean",
                oriented=bool(options.orientations),
            )
        case "evaluate":
            return evaluate_mode.evaluate(given[0], given[1], options.jobs)
        case "evaluate_example":
            return evaluate_mode.example()
        case "compare_runs":
            return evaluate_mode.compare_runs(*given, as_json=bool(options.json))
        case "faiss_list":
            return index_modes.list_items(*given, as_json=bool(options.json))
        case "faiss_verify":
            return index_modes.verify(*given)
        case "faiss_rebuild":
            return index_modes.rebuild(*given, index_type=options.index_type)
        case "faiss_convert":
            overwrite = bool(options.overwrite)
            return index_modes.convert(*given, index_type=options.index_type, overwrite=overwrite)
    index_path, meta_path, *rest = given
    if options.files_from is not None:
        rest += pictures.listed(options.files_from)
    mode = {
        "faiss_build": index_modes.build,
        "faiss_add": index_modes.add,
        "faiss_query": index_modes.query,
        "faiss_remove": index_modes.remove,
    }[options.mode]
    return mode(index_path, meta_path, rest, options)
