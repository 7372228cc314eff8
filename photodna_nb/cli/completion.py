"""Completion in shells: argcomplete asks the same parser that reads the arguments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from photodna_nb.cli.help import entries, groups_of_modes
from photodna_nb.cli.options import MODES, flag
from photodna_nb.cli.parser import parser

if TYPE_CHECKING:
    import argparse


def answer_shell() -> None:
    """Print what may follow on a command line that is being typed, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser_for(os.environ.get("COMP_LINE", "")))


def parser_for(line: str) -> argparse.ArgumentParser:
    """Return the parser, with descriptions, of what may follow on a line.

    After a mode, these are the options that go with it.
    """
    words = line.split()
    modes = [mode for mode in MODES if flag(mode) in words]
    groups = [entries("options"), *groups_of_modes().values()]
    texts = {name: entry.paragraphs[0] for group in groups for name, entry in group.items()}
    completed = parser(modes[0] if modes else None, texts)
    names = [mode.replace("_", "-") for mode in MODES]
    completed.add_argument("--help", nargs="?", choices=names, help="Explain a mode.")
    return completed
