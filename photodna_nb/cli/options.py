"""The flags: what they take, and which go together."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from photodna_nb import __version__
from photodna_nb.cli.help import HELP, PROGRAM, USAGE
from photodna_nb.cli.output import print_lines
from photodna_nb.errors import ArgumentError
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

MODES = {
    "hash": "IMAGE",
    "hash_dir": "DIRECTORY",
    "compare": "IMAGE1 IMAGE2",
    "faiss_build": "INDEX META IMAGE [IMAGE ...]",
    "faiss_add": "INDEX META IMAGE [IMAGE ...]",
    "faiss_query": "INDEX META QUERY_IMAGE [QUERY_IMAGE ...] [TOP_K]",
    "faiss_list": "INDEX META",
    "faiss_remove": "INDEX META ITEM [ITEM ...]",
    "faiss_verify": "INDEX META",
    "faiss_rebuild": "INDEX META",
    "faiss_convert": "INDEX META NEW_INDEX NEW_META",
    "evaluate": "CONFIG RUN_DIR",
    "evaluate_example": "",
    "compare_runs": "RUN_DIR1 RUN_DIR2",
}
_OPTIONS = {
    "metric": ["compare"],
    "detail": ["hash", "hash_dir", "files_from"],
    "resume": ["hash_dir", "files_from"],
    "min_similarity": ["faiss_query"],
    "max_distance": ["faiss_query"],
    "min_detail": ["faiss_query"],
    "orientations": ["faiss_query", "compare"],
    "nprobe": ["faiss_query"],
    "json": ["faiss_query", "faiss_list", "compare_runs"],
    "index_type": ["faiss_build", "faiss_rebuild", "faiss_convert"],
    "overwrite": ["faiss_build", "faiss_convert"],
    "recursive": ["hash_dir"],
    "output": ["hash_dir", "files_from"],
    "files_from": ["files_from", "faiss_build", "faiss_add", "faiss_query"],
    "jobs": ["hash_dir", "files_from", "faiss_build", "faiss_add", "faiss_query", "evaluate"],
    "max_pixels": [
        "files_from",
        "hash",
        "hash_dir",
        "compare",
        "faiss_build",
        "faiss_add",
        "faiss_query",
        "evaluate",
    ],
}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options, or exit as argparse does: 0 after the help, 2 after wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments or ["--help"])
    _checked(parser, options)
    return options


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--hash", action=_Once)
    modes.add_argument("--hash-dir", action=_Once)
    modes.add_argument("--compare", nargs=2, action=_Once)
    modes.add_argument("--faiss-build", nargs="+", action=_Once)
    modes.add_argument("--faiss-add", nargs="+", action=_Once)
    modes.add_argument("--faiss-query", nargs="+", action=_Once)
    modes.add_argument("--faiss-list", nargs=2, action=_Once)
    modes.add_argument("--faiss-remove", nargs="+", action=_Once)
    modes.add_argument("--faiss-verify", nargs=2, action=_Once)
    modes.add_argument("--faiss-rebuild", nargs=2, action=_Once)
    modes.add_argument("--faiss-convert", nargs=4, action=_Once)
    modes.add_argument("--evaluate", nargs=2, action=_Once)
    modes.add_argument("--evaluate-example", action="store_const", const=True)
    modes.add_argument("--compare-runs", nargs=2, action=_Once)
    parser.add_argument("--files-from", action=_Once)
    parser.add_argument("--jobs", type=_count, action=_Once)
    parser.add_argument("--recursive", action="store_const", const=True)
    parser.add_argument("--output", action=_Once)
    parser.add_argument("--resume", action="store_const", const=True)
    parser.add_argument("--detail", action="store_const", const=True)
    parser.add_argument("--metric", choices=["euclidean", "manhattan"], action=_Once)
    parser.add_argument("--min-similarity", action=_Once)
    parser.add_argument("--max-distance", action=_Once)
    parser.add_argument("--min-detail", type=_least, action=_Once)
    parser.add_argument("--nprobe", type=_count, action=_Once)
    parser.add_argument("--orientations", action="store_const", const=True)
    parser.add_argument("--json", action="store_const", const=True)
    parser.add_argument("--index-type", choices=["flat", "uint8", "ivf"], action=_Once)
    parser.add_argument("--overwrite", action="store_const", const=True)
    parser.add_argument("--max-pixels", type=_count, action=_Once)
    return parser


def _checked(parser: _Parser, options: argparse.Namespace) -> None:
    """Refuse what argparse cannot: no mode, too few files, options of another mode."""
    given = [mode for mode in MODES if getattr(options, mode) is not None]
    if not given and options.files_from is None:
        parser.error("a mode is needed, --hash IMAGE for example")
    options.mode = mode = given[0] if given else "files_from"
    query = options.faiss_query
    options.top_k = None
    # After the first image, so that an image may have a number for a name.
    images = 3 if options.files_from is None else 2
    if query is not None and len(query) > images and is_number(query[-1]):
        try:
            options.top_k = _count(query.pop())
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument TOP_K: {error}")
    if mode in ("faiss_build", "faiss_add", "faiss_query", "faiss_remove"):
        listed = options.files_from is not None and mode != "faiss_remove"
        if len(getattr(options, mode)) < (2 if listed else 3):
            parser.error(f"--{mode.replace('_', '-')} needs {MODES[mode]}")
    for option, its_modes in _OPTIONS.items():
        if getattr(options, option) is not None and mode not in its_modes:
            names = " or ".join(f"--{name}" for name in its_modes)
            parser.error(f"--{option} goes with {names}".replace("_", "-"))
    if options.output is not None:
        from photodna_nb.tables.table import check_suffix

        try:
            check_suffix(options.output)
        except ArgumentError as error:
            parser.error(f"argument --output: {str(error).removeprefix('path: ')}")
    if options.resume and options.output is None:
        parser.error("--resume goes with --output, the file to go on with")
    if options.detail and options.output is not None:
        parser.error("--detail goes without --output: tables hold it, but for .csv")
    if query is not None:
        from photodna_nb.pairs.metrics import limit_squared

        try:
            limit_squared(options.min_similarity, options.max_distance)
        except ArgumentError as error:
            parser.error(f"argument --{str(error).replace('_', '-', 1)}")


class _Parser(argparse.ArgumentParser):
    """argparse with our help text, and names in its messages made safe to show."""

    def print_help(self, file: Any = None) -> None:
        print_lines(HELP, end="")

    def format_help(self) -> str:
        return HELP

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized"):
            message = f"{message[:200]}; files follow their mode directly, and -x.jpg is ./-x.jpg"
        self.exit(2, f"{USAGE}\n{PROGRAM}: error: {printable(message)}; see {PROGRAM} --help\n")


class _Version(argparse.Action):
    """Print the version, and those of what a hash or an answer depends on."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        packages = ("NumPy", "Numba", "Pillow", "FAISS")
        versions = ", ".join(
            f"{name} {installed_version(name) or 'not installed'}" for name in packages
        )
        print_lines(f"{PROGRAM} {__version__} (Python {platform.python_version()}, {versions})")
        parser.exit()


class _Once(argparse.Action):
    """Store the value of an option that is given once; the second one would hide the first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def is_number(text: str) -> bool:
    """Return whether an argument is written in digits alone."""
    return text.isdecimal() and len(text) < 1000


def _least(text: str) -> float:
    with suppress(ValueError):
        if (value := float(text)) >= 0:
            return value
    raise argparse.ArgumentTypeError(f"got {text!r}, needs a number of at least 0")


def _count(text: str) -> int:
    if is_number(text) and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text!r}, needs an integer of at least 1")
