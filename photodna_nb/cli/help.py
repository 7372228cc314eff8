"""The help, in short or for one mode, from help.txt and the tables of `options`.

In help.txt, a line ``== TITLE`` begins a section. In the sections of modes and of options, a line
that begins with dashes begins an entry: its summary in one line, then paragraphs, and examples that
begin with ``$``. A paragraph of an option that begins with ``With --MODE:`` is about that mode.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from photodna_nb.cli.options import FORMATS, MODES, OPTIONS, flag, options_of
from photodna_nb.cli.output import PROGRAM

_MODES = "modes: "  # begins the titles of the sections of modes
_WIDTH = 80


class Entry(NamedTuple):
    """The help of a mode or an option: its usage, paragraphs, and commands as examples."""

    usage: str
    paragraphs: list[str]
    examples: list[str]


@cache
def sections() -> dict[str, str]:
    """Return the texts of the sections by their titles."""
    content = Path(__file__).with_name("help.txt").read_text("utf-8")
    parts = re.split(r"^== (.*)\n", content, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip("\n") for part in parts[2::2]), strict=True))


@cache
def entries(title: str) -> dict[str, Entry]:
    """Return the entries of a section by the names of their modes or options."""
    texts = re.split(r"^(?=--)", sections()[title], flags=re.MULTILINE)[1:]
    return {text.split()[0][2:].replace("-", "_"): _entry(text) for text in texts}


def _entry(text: str) -> Entry:
    usage, _, body = text.partition("\n")
    paragraphs = textwrap.dedent(body).strip().split("\n\n")
    examples = [text for text in paragraphs if text.startswith("$ ")]
    return Entry(
        usage,
        [text for text in paragraphs if text not in examples],
        [line.removeprefix("$ ") for text in examples for line in text.splitlines()],
    )


@cache
def groups_of_modes() -> dict[str, dict[str, Entry]]:
    """Return the entries of the modes, by the titles of their groups and their names."""
    titles = [title for title in sections() if title.startswith(_MODES)]
    return {title.removeprefix(_MODES): entries(title) for title in titles}


def entry_of(mode: str) -> Entry:
    """Return the entry of a mode."""
    return next(group[mode] for group in groups_of_modes().values() if mode in group)


def help_text(words: Sequence[str]) -> str | None:
    """Return the help of the mode or option among some words, in short without words, or all.

    It is None if the words are unknown.
    """
    names = [word.lstrip("-").partition("=")[0].replace("-", "_") for word in words]
    for name in names:
        if name in MODES:
            return "\n".join(_mode_help(name))
        if name in OPTIONS:
            return "\n".join(_option_help(name))
    if not words:
        return "\n".join(_short_help())
    return "\n".join(_all_help()) if names == ["all"] else None


def _short_help() -> Iterator[str]:
    yield from (f"usage: {PROGRAM} MODE [options]", "", sections()["introduction"])
    for title, group in groups_of_modes().items():
        yield from ("", f"{title}:")
        for mode, entry in group.items():
            yield f"  {flag(mode):<18}  {entry.paragraphs[0]}"
    yield from ("", sections()["short"], "", sections()["exit status"])


def _mode_help(mode: str) -> Iterator[str]:
    entry = entry_of(mode)
    options = [option for option in options_of(mode) if option != mode]
    yield f"usage: {PROGRAM} {entry.usage}{' [options]' if options else ''}"
    for number, text in enumerate(entry.paragraphs):
        yield from ("", _filled(text if number else f"{text[0].upper()}{text[1:]}.", indent=0))
    yield from ["", "options:"] if options else []
    for option in options:
        yield from _option_lines(option, mode)
    yield from ("", "examples:", *(f"  {example}" for example in entry.examples))
    status = sections()["exit status"]
    if "exit_code" not in options:
        status = re.sub(r" 3 if nothing\s+matched, with --exit-code;", "", status)
    yield from ("", _filled(status, indent=0))


def _option_help(option: str) -> Iterator[str]:
    yield from _option_lines(option)
    modes = ", ".join(map(flag, OPTIONS[option][0].split()))
    yield _filled(f"Goes with {modes}.")


def _option_lines(option: str, mode: str | None = None) -> Iterator[str]:
    """Yield the lines of an option; with a mode, without the paragraphs about other modes."""
    entry = entries("options")[option]
    formats = FORMATS.get(mode or "") if option == "format" else None
    yield f"  {flag(option)} {{{','.join(formats)}}}" if formats else f"  {entry.usage}"
    for paragraph in entry.paragraphs:
        modes, text = modes_about(paragraph)
        if mode is None or not modes or mode in modes:
            yield _filled(paragraph if mode is None else text)


def modes_about(paragraph: str) -> tuple[list[str], str]:
    """Return the modes that a paragraph of an option is about, and the text after their names.

    If it is about every mode, there are none.
    """
    about = re.match(r"With (--[^:]*):\s", paragraph)
    typed = re.findall(r"--[\w-]+", about[1]) if about else []
    modes = [mode for mode in MODES if flag(mode) in typed]
    return modes, paragraph[about.end() :] if about and modes else paragraph


def _filled(text: str, indent: int = 6) -> str:
    """Return a paragraph in lines, of which none is broken at a hyphen."""
    lines = textwrap.wrap(text, _WIDTH - indent, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * indent)


def _all_help() -> Iterator[str]:
    yield from (f"usage: {PROGRAM} MODE [options]", "", sections()["introduction"])
    for title, group in groups_of_modes().items():
        yield from ("", f"{title}:")
        for entry in group.values():
            yield f"  {entry.usage}"
            yield from map(_filled, entry.paragraphs)
            yield from (f"      $ {example}" for example in entry.examples)
    yield from ("", "options:")
    for option in OPTIONS:
        yield from _option_help(option)
    yield from ("", sections()["notes"], "", sections()["exit status"])
