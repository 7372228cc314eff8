"""The options: what each takes, and with which modes it goes."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from photodna_nb import __version__
from photodna_nb.cli.output import PROGRAM, print_lines
from photodna_nb.errors import ArgumentError
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

# Each mode: how many operands it takes, as argparse counts them, and their names.
MODES: dict[str, tuple[int | str | None, str]] = {
    "hash": (None, "IMAGE"),
    "hash_dir": (None, "DIRECTORY"),
    "compare": (2, "IMAGE1 IMAGE2"),
    "faiss_build": ("+", "INDEX META IMAGE [IMAGE ...]"),
    "faiss_add": ("+", "INDEX META IMAGE [IMAGE ...]"),
    "faiss_query": ("+", "INDEX META QUERY_IMAGE [QUERY_IMAGE ...] [TOP_K]"),
    "faiss_list": (2, "INDEX META"),
    "faiss_remove": ("+", "INDEX META ITEM [ITEM ...]"),
    "faiss_verify": (2, "INDEX META"),
    "faiss_rebuild": (2, "INDEX META"),
    "faiss_convert": (4, "INDEX META NEW_INDEX NEW_META"),
    "evaluate": (2, "CONFIG RUN_DIR"),
    "evaluate_example": (0, ""),
    "compare_runs": (2, "RUN_DIR1 RUN_DIR2"),
}


def is_number(text: str) -> bool:
    """Return whether an argument consists of digits only."""
    return text.isdecimal() and len(text) < 1000


def _non_negative(text: str) -> float:
    with suppress(ValueError):
        if (value := float(text)) >= 0:
            return value
    raise argparse.ArgumentTypeError(f"got {text!r}, needs a number of at least 0")


def _positive_integer(text: str) -> int:
    if is_number(text) and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text!r}, needs an integer of at least 1")


_SWITCH = {"action": "store_true", "default": None}
_WITH_ITEMS = ("faiss_build", "faiss_add", "faiss_query", "faiss_remove")
_MANY_IMAGES = "hash_dir files_from faiss_build faiss_add faiss_query evaluate"
_IMAGES = "files_from hash hash_dir compare faiss_build faiss_add faiss_query evaluate"

# Each option: the modes that it goes with, and what argparse needs to know.
# `--files-from` without another mode is a mode of its own.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "metric": ("compare", {"choices": ["euclidean", "manhattan"]}),
    "detail": ("hash hash_dir files_from", _SWITCH),
    "resume": ("hash_dir files_from", _SWITCH),
    "spreadsheet": ("hash_dir files_from", _SWITCH),
    "compare_content": ("hash_dir files_from faiss_add faiss_verify", _SWITCH),
    "min_similarity": ("faiss_query", {}),
    "max_distance": ("faiss_query", {}),
    "min_detail": ("faiss_query", {"type": _non_negative}),
    "orientations": ("faiss_query compare", _SWITCH),
    "nprobe": ("faiss_query", {"type": _positive_integer}),
    "ef_search": ("faiss_query", {"type": _positive_integer}),
    "json": ("faiss_query faiss_list compare_runs", _SWITCH),
    "index_type": ("faiss_build faiss_rebuild faiss_convert", {}),
    "overwrite": ("faiss_build faiss_convert", _SWITCH),
    "recursive": ("hash_dir", _SWITCH),
    "output": ("hash_dir files_from", {}),
    "files_from": ("files_from faiss_build faiss_add faiss_query", {}),
    "jobs": (f"{_MANY_IMAGES} faiss_verify", {"type": _positive_integer}),
    "max_pixels": (_IMAGES, {"type": _positive_integer}),
}


class Command(NamedTuple):
    """A checked call of the command line.

    Attributes
    ----------
    mode : str
        A key of `MODES`, or ``files_from``.
    operands : list of str
        What follows the mode.
    options : dict
        The value of each option that goes with the mode, by its name.
    files_from : str or None
        A file of further operands.
    max_pixels : int or None
        The limit of the size of images.
    """

    mode: str
    operands: list[str]
    options: dict[str, Any]
    files_from: str | None
    max_pixels: int | None


def parse(arguments: Sequence[str]) -> Command:
    """Return the checked command, or exit as argparse does: 0 after the help, 2 if it is wrong."""
    parser = _Parser(prog=PROGRAM, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0)
    modes = parser.add_mutually_exclusive_group()
    for mode, (n_operands, _) in MODES.items():
        modes.add_argument(_flag(mode), nargs=n_operands, action=_Once)
    for option, (_, settings) in OPTIONS.items():
        parser.add_argument(_flag(option), **({"action": _Once} | settings))
    values = vars(parser.parse_args(arguments or ["--help"]))
    try:
        return _command(values)
    except (ArgumentError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))


def _command(values: dict[str, Any]) -> Command:
    """Refuse what argparse cannot: no mode, too few operands, options of another mode."""
    mode = next((mode for mode in MODES if values[mode] is not None), "files_from")
    if values[mode] is None:
        raise ArgumentError("a mode is needed, --hash IMAGE for example")
    operands = [] if mode == "files_from" else values[mode]
    if isinstance(operands, str):
        operands = [operands]
    needed = 3 if values["files_from"] is None or mode == "faiss_remove" else 2
    top_k = None
    # After the first image, so that an image may have a number for a name.
    if mode == "faiss_query" and len(operands) > needed and is_number(operands[-1]):
        try:
            top_k = _positive_integer(operands.pop())
        except argparse.ArgumentTypeError as error:
            raise ArgumentError(f"argument TOP_K: {error}") from error
    if mode in _WITH_ITEMS and len(operands) < needed:
        raise ArgumentError(f"{_flag(mode)} needs {MODES[mode][1]}")
    for option, (modes, _) in OPTIONS.items():
        if values[option] is not None and mode not in modes.split():
            flags = " or ".join(map(_flag, modes.split()))
            raise ArgumentError(f"{_flag(option)} goes with {flags}")
    options = {
        option: bool(values[option]) if settings is _SWITCH else values[option]
        for option, (modes, settings) in OPTIONS.items()
        if mode in modes.split() and option not in ("files_from", "max_pixels")
    }
    if mode == "faiss_query":
        options["top_k"] = top_k
    _check_values(options)
    return Command(mode, operands, options, values["files_from"], values["max_pixels"])


def _check_values(options: dict[str, Any]) -> None:
    """Refuse values that do not fit together, before anything is read."""
    output = options.get("output")
    if output is not None:
        from photodna_nb.tables.formats import format_of

        try:
            format_of(output)
        except ArgumentError as error:
            reason = str(error).removeprefix("path: ")
            raise ArgumentError(f"argument --output: {reason}") from error
        if options["detail"]:
            raise ArgumentError("--detail goes without --output: tables hold it, but for .csv")
    if options.get("spreadsheet") and not (output or "").lower().endswith(".csv"):
        raise ArgumentError("--spreadsheet goes with --output FILE.csv")
    if output is None and options.get("resume"):
        raise ArgumentError("--resume goes with --output, the file to go on with")
    if options.get("compare_content") and not options.get("resume", True):
        raise ArgumentError("--compare-content goes with --resume, whose files it compares")
    if options.get("index_type") is not None:
        from photodna_nb.index import index_types

        try:
            index_types.parse(options["index_type"])
        except ArgumentError as error:
            raise ArgumentError(f"argument --{str(error).replace('_', '-', 1)}") from error
    if "max_distance" in options:
        from photodna_nb.pairs.metrics import max_distance_squared

        try:
            max_distance_squared(options["min_similarity"], options["max_distance"])
        except ArgumentError as error:
            raise ArgumentError(f"argument --{str(error).replace('_', '-', 1)}") from error


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _Parser(argparse.ArgumentParser):
    """argparse with the help in ``help.txt``, and printable names in its messages."""

    def print_help(self, file: Any = None) -> None:
        print_lines(Path(__file__).with_name("help.txt").read_text("utf-8"), end="")

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized"):
            message = f"{message[:200]}; files follow their mode directly, and -x.jpg is ./-x.jpg"
        usage = f"usage: {PROGRAM} MODE [options]"
        self.exit(2, f"{usage}\n{PROGRAM}: error: {printable(message)}; see {PROGRAM} --help\n")


class _Version(argparse.Action):
    """Print the version, and the versions of what hashes and answers depend on."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        plugins = filter(installed_version, ("pillow-heif", "pillow-jxl-plugin"))
        packages = ("NumPy", "Numba", "Pillow", *plugins, "FAISS")
        versions = ", ".join(
            f"{name} {installed_version(name) or 'not installed'}" for name in packages
        )
        print_lines(f"{PROGRAM} {__version__} (Python {platform.python_version()}, {versions})")
        parser.exit()


class _Once(argparse.Action):
    """Store the value of an option, and refuse a second one, which would hide the first."""

    def __call__(self, parser: Any, namespace: Any, values: Any, flag: Any = None) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{flag} is given twice")
        setattr(namespace, self.dest, values)
