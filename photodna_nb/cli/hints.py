"""Commands that work, for words and files that the command line was given and cannot use."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from photodna_nb.cli.help import entry_of
from photodna_nb.cli.options import MODES, OPTIONS, flag
from photodna_nb.cli.output import PROGRAM

_FLAGS = [*map(flag, {**MODES, **OPTIONS}), "--help", "--version", "--print-completion"]
_INDEX_SUFFIXES, _META_SUFFIXES = (".faiss", ".index"), (".json", ".sqlite", ".db")
# Modes for what is there more than once.
_FOR_SEVERAL = {
    "hash": "printf '%s\\n' a.jpg b.jpg | photodna-nb --files-from -",
    "hash_dir": "photodna-nb --files-from LIST, or one call for each directory",
    "files_from": "photodna-nb --faiss-query INDEX META TOP_K --files-from LIST",
}


def nearest_flag(word: str, flags: Iterable[str] = _FLAGS) -> str | None:
    """Return the known mode or option that is nearest to a word, if one is near."""
    typed = "--" + word.lstrip("-").partition("=")[0].replace("_", "-").lower()
    matches = get_close_matches(typed, flags, 1, 0.7)
    return matches[0] if matches else None


def unknown_word(word: str, kind: str = "mode or option") -> str:
    """Return the message about a word that is no mode and no option."""
    if word.startswith("-") and os.path.lexists(word):
        return f"{word}: unknown {kind}; the file of that name is ./{word}"
    nearest = nearest_flag(word)
    remedy = f"the nearest is {nearest}" if nearest else f"{PROGRAM} --help all lists them"
    return f"{word[:200]}: unknown {kind}; {remedy}"


def no_mode(words: Sequence[str]) -> str:
    """Return the message about a call without a mode."""
    if not words:
        return f"a mode is needed; for example: {PROGRAM} --duplicates photos"
    word = words[0]
    nearest = nearest_flag(word, map(flag, MODES))
    if nearest is not None:
        mode = nearest[2:].replace("-", "_")
        return f"{word}: unknown mode; the nearest is {nearest}: {PROGRAM} {entry_of(mode).usage}"
    if os.path.isdir(word):
        return f"a mode is needed; for a folder: {command('duplicates', word)}"
    if os.path.exists(word):
        if is_table(word):
            return f"a mode is needed; for a table of hashes: {command('match', word)} PATH"
        return f"a mode is needed; for an image: {command('hash', word)}"
    return f"{word[:200]}: unknown mode; {PROGRAM} --help lists the modes"


def wrong_operands(mode: str, operands: Sequence[str]) -> str:
    """Return the message about a mode with too few or too many operands."""
    _, _, needed = entry_of(mode).usage.partition(" ")
    got = shlex.join(operands)[:200] if operands else "nothing"
    remedy = f"for example: {entry_of(mode).examples[0]}"
    if len(operands) > MODES[mode][0] and mode in _FOR_SEVERAL:
        remedy = f"for more: {_FOR_SEVERAL[mode]}"
    return f"{flag(mode)} needs {needed or 'no operand'}, got {got}; {remedy}"


def command(mode: str, *operands: str) -> str:
    """Return a command that can be pasted into a shell."""
    return f"{PROGRAM} {flag(mode)} {shlex.join(operands)}"


def is_table(path: str) -> bool:
    """Return whether a file is a table of hashes, by its suffix."""
    from photodna_nb.tables import formats  # it imports NumPy

    return formats.is_table(path)


def index_files(mode: str, index: str, meta: str) -> str:
    """Return what is wrong with two words as INDEX and META, or ""."""
    example = f"for example: {entry_of(mode).examples[0]}"
    for word in (index, meta):
        if os.path.isdir(word):
            return f"{word}: is a folder, and INDEX and META are files; {example}"
    if index.lower().endswith(_META_SUFFIXES) and meta.lower().endswith(_INDEX_SUFFIXES):
        return f"{index} is given as INDEX and {meta} as META; exchange them: {example}"
    return ""


def of_an_index(path: str) -> str:
    """Return what is wrong with a file of an index as an image or a table, or ""."""
    if path.lower().endswith((*_INDEX_SUFFIXES, ".sqlite", ".db")) and os.path.exists(path):
        usage = f"{PROGRAM} {entry_of('faiss_query').usage}"
        return f"is no image, and by its name a file of an index; to search in it: {usage}"
    return ""


def not_one_image(path: str) -> str:
    """Return what is wrong with a folder or a table as an image, and which mode takes it; or ""."""
    if os.path.isdir(path):
        return f"is a folder, not an image; for its images: {command('hash_dir', path)}"
    if is_table(path) and os.path.exists(path):
        remedy = f"to compare with it: {command('match', path)} PATH"
        return f"is a table of hashes, not an image; {remedy}"
    return of_an_index(path)
