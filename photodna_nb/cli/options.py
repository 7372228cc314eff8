"""The modes and options: what each takes, and which go together. Their texts are in help.txt."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from photodna_nb.errors import ArgumentError

# Each mode: how many operands it takes, at least and at most. `--files-from` without another mode
# is a mode of its own, and an option with another one.
MODES: dict[str, tuple[int, int | None]] = {
    "duplicates": (1, None),
    "match": (2, None),
    "hash": (1, 1),
    "hash_dir": (1, 1),
    "files_from": (0, 0),
    "compare": (2, 2),
    "faiss_build": (3, None),
    "faiss_add": (3, None),
    "faiss_query": (3, None),
    "faiss_sync": (3, None),
    "faiss_list": (2, 2),
    "faiss_remove": (3, None),
    "faiss_verify": (2, 2),
    "faiss_rebuild": (2, 2),
    "faiss_convert": (4, 4),
    "evaluate": (2, 2),
    "evaluate_example": (0, 0),
    "compare_runs": (2, 2),
}


def is_number(text: str) -> bool:
    """Return whether an argument consists of digits only."""
    return text.isdecimal() and len(text) < 1000


def _is_no_file_but_a_number(text: str) -> bool:
    """Return whether an argument is a number, such as -1 or 2.5, and no name of a file."""
    with suppress(ValueError):
        float(text)
        return not os.path.lexists(text)
    return False


def non_negative(text: str) -> float:
    """Return the number in an argument, which is 0 or more."""
    with suppress(ValueError):
        if (value := float(text)) >= 0:
            return value
    raise argparse.ArgumentTypeError(f"got {text!r}, needs a number of at least 0")


def positive_integer(text: str) -> int:
    """Return the integer in an argument, which is 1 or more."""
    if is_number(text) and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text!r}, needs an integer of at least 1")


SWITCH: dict[str, Any] = {"action": "store_true", "default": None}
_SEARCHES = "duplicates match faiss_query"
_MANY_IMAGES = f"{_SEARCHES} hash_dir files_from faiss_build faiss_add faiss_sync evaluate"

_TABLES = f"{_SEARCHES} faiss_build faiss_add"  # modes that read tables of hashes

# What may follow --format, by mode.
FORMATS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("duplicates", "match"), ("text", "csv", "json", "jsonl")),
    "hash_dir": ("json", "oaphotodna"),
    **dict.fromkeys(
        ("hash", "compare", "faiss_build", "faiss_add", "faiss_query"), ("text", "oaphotodna")
    ),
}

# Each option: the modes that it goes with, and what argparse needs to know.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "metric": ("compare", {"choices": ["euclidean", "manhattan"]}),
    "min_similarity": (_SEARCHES, {}),
    "max_distance": (_SEARCHES, {}),
    "min_detail": (_SEARCHES, {"type": non_negative}),
    "orientations": (f"{_SEARCHES} compare", SWITCH),
    "cache": (_SEARCHES, {}),
    "exit_code": (_SEARCHES, SWITCH),
    "nprobe": ("faiss_query", {"type": positive_integer}),
    "ef_search": ("faiss_query", {"type": positive_integer}),
    "format": (" ".join(FORMATS), {"choices": [*FORMATS["match"], "oaphotodna"]}),
    "json": ("faiss_query faiss_list compare_runs", SWITCH),
    "detail": ("hash hash_dir files_from", SWITCH),
    "recursive": ("hash_dir", SWITCH),
    "files_from": (f"files_from {_SEARCHES} faiss_build faiss_add", {}),
    "path_column": (_TABLES, {}),
    "hash_column": (_TABLES, {}),
    "delimiter": (_TABLES, {}),
    "encoding": (_TABLES, {}),
    "output": ("duplicates match hash_dir files_from", {}),
    "resume": ("hash_dir files_from", SWITCH),
    "spreadsheet": ("duplicates match hash_dir files_from", SWITCH),
    "compare_content": ("hash_dir files_from faiss_add faiss_sync faiss_verify", SWITCH),
    "dry_run": ("faiss_sync", SWITCH),
    "allow_empty": ("faiss_sync", SWITCH),
    "index_type": ("faiss_build faiss_sync faiss_rebuild faiss_convert", {}),
    "overwrite": ("faiss_build faiss_convert", SWITCH),
    "paper": ("evaluate", {}),
    "jobs": (f"{_MANY_IMAGES} faiss_verify", {"type": positive_integer}),
    "max_pixels": (f"{_MANY_IMAGES} faiss_verify hash compare", {"type": positive_integer}),
}


# What to do where an option does not go with a mode that is near it.
_INSTEAD = {
    **{("json", mode): "give --format json" for mode in ("duplicates", "match")},
    **{("format", mode): "give --json" for mode in ("faiss_list", "compare_runs")},
    **{
        ("recursive", mode): "folders below are included"
        for mode in f"{_TABLES} faiss_sync".split()
    },
    ("cache", "hash_dir"): "give --resume, which keeps one beside the output",
    ("cache", "files_from"): "give --resume, which keeps one beside the output",
}
# The arguments of `HashTable.load` that are options, too.
TABLE_OPTIONS = ("path_column", "hash_column", "delimiter", "encoding")
# Of --output with --duplicates and --match.
OUTPUT_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet", ".html")


def flag(name: str) -> str:
    """Return a mode or option as it is typed."""
    return f"--{name.replace('_', '-')}"


def options_of(mode: str) -> list[str]:
    """Return the names of the options that go with a mode."""
    return [option for option, (modes, _) in OPTIONS.items() if mode in modes.split()]


class Command(NamedTuple):
    """A checked call of the command line.

    Attributes
    ----------
    mode : str
        A key of `MODES`.
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


def command_of(mode: str, operands: list[str], values: dict[str, Any]) -> Command:
    """Return the checked command of a mode, its operands and the values of all options.

    Raises
    ------
    ArgumentError
        An option does not go with the mode, or values do not fit together.
    """
    for option, (modes, _) in OPTIONS.items():
        if values[option] is not None and mode not in modes.split():
            *others, last = map(flag, modes.split())
            flags = f"{', '.join(others)} or {last}" if others else last
            remedy = _INSTEAD.get((option, mode), f"it goes with {flags}")
            raise ArgumentError(f"{flag(option)} does not go with {flag(mode)}; {remedy}")
    form, forms = values["format"], FORMATS.get(mode, ())
    if form not in (None, *forms):
        remedy = f"it takes {', '.join(forms[:-1])} or {forms[-1]}"
        remedy += "; --json prints JSON" if mode == "faiss_query" else ""
        raise ArgumentError(f"--format {form} does not go with {flag(mode)}; {remedy}")
    options = {
        option: bool(values[option]) if OPTIONS[option][1] is SWITCH else values[option]
        for option in options_of(mode)
        if option not in ("files_from", "max_pixels", *TABLE_OPTIONS)
    }
    if mode in _TABLES.split():
        options["table_options"] = _table_options(values)
    if mode == "faiss_query":
        options["top_k"], last = None, operands[-1]
        # After the first image, so that an image may have a number for a name.
        is_top_k = is_number(last) and len(operands) > (3 if values["files_from"] is None else 2)
        if is_top_k or (len(operands) > 3 and _is_no_file_but_a_number(last)):
            with _argument_errors("argument TOP_K"):
                options["top_k"] = positive_integer(last)
            operands = operands[:-1]
    _check_values(mode, options)
    if "oaphotodna" in forms:
        del options["format"]
        if mode.startswith("faiss_"):  # the output of the others is the same in both formats
            options["like_oaphotodna"] = form == "oaphotodna"
    return Command(mode, operands, options, values["files_from"], values["max_pixels"])


def _table_options(values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `HashTable.load` for the options of the command line."""
    given = {name: values[name] for name in TABLE_OPTIONS if values[name] is not None}
    for name, value in given.items():
        if name.endswith("_column") and is_number(value):
            given[name] = int(value)
    if given.get("delimiter") in ("\\t", "tab"):
        given["delimiter"] = "\t"
    return given


def _check_values(mode: str, options: dict[str, Any]) -> None:
    """Refuse values that do not fit together, before anything is read."""
    output = options.get("output")
    if output is not None:
        from photodna_nb.tables.formats import WRITERS, format_suffix

        with _argument_errors("argument --output"):
            format_suffix(output, OUTPUT_SUFFIXES if mode in ("duplicates", "match") else WRITERS)
        if options.get("detail"):
            raise ArgumentError("--detail goes without --output: tables hold it, but for .csv")
        if options.get("format") is not None:
            raise ArgumentError("--format goes without --output, whose suffix is the format")
    if options.get("json") and options.get("format") is not None:
        raise ArgumentError("--format goes without --json, which is a format")
    if options.get("spreadsheet") and not (output or "").lower().endswith(".csv"):
        raise ArgumentError("--spreadsheet goes with --output FILE.csv")
    if output is None and options.get("resume"):
        raise ArgumentError("--resume goes with --output, the file to go on with")
    if options.get("compare_content") and not options.get("resume", True):
        raise ArgumentError("--compare-content goes with --resume, whose files it compares")
    if options.get("compare_content") and options.get("dry_run"):
        raise ArgumentError("--compare-content goes without --dry-run, which opens no file")
    if options.get("index_type") is not None:
        from photodna_nb.index import index_types

        with _argument_errors("argument --index-type"):
            index_types.parse(options["index_type"])
    for limit in ("min_similarity", "max_distance"):
        if options.get(limit) is not None:
            from photodna_nb.pairs.metrics import max_distance_squared

            with _argument_errors(f"argument {flag(limit)}"):
                max_distance_squared(**{limit: options[limit]})


@contextmanager
def _argument_errors(subject: str) -> Iterator[None]:
    """Return a context in which errors of an argument name it as it is typed."""
    try:
        yield
    except (ArgumentError, argparse.ArgumentTypeError) as error:
        reason = re.sub(r"^\w+: ", "", str(error))
        raise ArgumentError(f"{subject}: {reason}") from error
