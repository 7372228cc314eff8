"""Errors of a configuration in the form ``section.key: got X, needs Y; remedy``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

import msgspec

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.printable import printable

_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a section",
}
_SIGNS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}


def explained(
    error: msgspec.ValidationError, values: Any, schema: type[msgspec.Struct]
) -> ArgumentError | ArgumentTypeError:
    """Return an error of msgspec in the form of this package.

    Parameters
    ----------
    error : msgspec.ValidationError
        Raised by ``msgspec.convert(values, schema)``.
    values : object
        The value that was converted.
    schema : type
        A class whose sections are classes, or unions of classes with a tag.
    """
    if isinstance(error.__cause__, ArgumentError | ArgumentTypeError):
        return error.__cause__  # a section's own check
    problem, _, place = str(error).partition(" - at `$")
    name = place.removesuffix("`").removeprefix(".")
    section: type[msgspec.Struct] | None = schema
    parent, last = section, ""
    for key in re.findall(r"\w+", name):
        if isinstance(values, list | tuple):
            values = values[int(key)]
        else:
            values, parent, last = values[key], section, key
        section = _section(parent, last, values)
    if match := re.fullmatch("Object contains unknown field `(.*)`", problem, re.DOTALL):
        return _unknown(f"{name}.{match[1]}".removeprefix("."), match[1], _keys(section))
    if match := re.fullmatch("Object missing required field `(.*)`", problem):
        return ArgumentError(f"{name}.{match[1]}".removeprefix(".") + ": is missing; add it")
    if problem.startswith("Invalid value"):
        union = get_args(get_type_hints(schema)[re.split(r"[.\[]", name)[0]])
        tags = [part.__struct_config__.tag for part in union if hasattr(part, "__struct_config__")]
        return _unknown(f"{name} {values!r}", values, tags)
    needed, wrong_type, _ = problem.removeprefix("Expected ").partition(", got `")
    needed = re.sub(r"`([^`]*)`", lambda kinds: _nouns(kinds[1]), needed)
    needed = re.sub(r"[<>]=?", lambda sign: _SIGNS[sign[0]], needed)
    needed = re.sub(" matching regex .*|, got .*", "", needed, flags=re.DOTALL)
    if wrong_type:
        return ArgumentTypeError(checks.message(name, checks.describe(values), needed))
    too_long = isinstance(values, int) and abs(values) >= 10**20
    got = "a number of more than 20 digits" if too_long else repr(values)
    return ArgumentError(checks.message(name, got, needed))


def _nouns(kinds: str) -> str:
    return " or ".join(_NOUNS.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")


def _section(
    parent: type[msgspec.Struct] | None, key: str, values: Any
) -> type[msgspec.Struct] | None:
    """Return the class of the section at a key; None if no section is there."""
    hint = get_type_hints(parent).get(key) if parent else None
    for part in get_args(hint) or (hint,):
        tag = getattr(getattr(part, "__struct_config__", None), "tag", "")
        if tag is None or (tag and isinstance(values, dict) and values.get("kind") == tag):
            section: type[msgspec.Struct] = part
            return section
    return None


def _keys(section: type[msgspec.Struct] | None) -> list[str]:
    if section is None:
        return []
    tag = section.__struct_config__.tag_field
    keys = [key for key in section.__struct_encode_fields__ if not key.startswith("_")]
    return [tag, *keys] if tag else keys


def _unknown(name: str, word: str, known: Iterable[str]) -> ArgumentError:
    remedy = checks.suggestion(word, known) or f"there are {', '.join(known)}"
    return ArgumentError(f"{printable(name)}: is unknown; {remedy}")
