"""Arguments to a checked command; wrong usage to a message that names a command that works."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from photodna_nb import __version__
from photodna_nb.cli import hints
from photodna_nb.cli.help import entry_of, help_text
from photodna_nb.cli.options import FORMATS, MODES, OPTIONS, Command, command_of, flag, options_of
from photodna_nb.cli.output import PROGRAM, print_error_line, print_lines
from photodna_nb.errors import ArgumentError
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

_HELP = ("-h", "--help")
SHELLS = ["bash", "zsh", "fish"]  # that complete a call


def parse(arguments: Sequence[str]) -> Command:
    """Return the checked command, or exit: 0 after the help and the versions, 2 for wrong usage.

    What is neither an option nor the value of one is an operand of the mode, wherever it stands.
    So is all that follows ``--``.
    """
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    words, literal = words[:end], words[end + 1 :]
    try:
        if not arguments or not {*_HELP}.isdisjoint(words):
            words = [word for word in words if word not in _HELP]
            text = help_text(words)
            if text is None:
                raise ArgumentError(hints.unknown_word(words[0]))
            print_lines(text)
            raise SystemExit(0)
        values, others = parser().parse_known_args(words)
        return _command(vars(values), others, literal)
    except ArgumentError as error:
        _print_wrong_usage(str(error), [mode for mode in MODES if flag(mode) in words])
        raise SystemExit(2) from error


def parser(mode: str | None = None, texts: Mapping[str, str] = MappingProxyType({})) -> _Parser:
    """Return the parser of all modes and options, or of one mode and what goes with it.

    Texts describe modes and options, by their names, where a shell completes them.
    """
    parser = _Parser(prog=PROGRAM, allow_abbrev=False, add_help=False)
    parser.add_argument("--version", action=_Version, nargs=0)
    parser.add_argument("--print-completion", action=_PrintCompletion, choices=SHELLS)
    for name in MODES if mode is None else [mode]:
        if name not in OPTIONS:
            parser.add_argument(flag(name), nargs="*", action=_Once, help=texts.get(name))
    for option in OPTIONS if mode is None else options_of(mode):
        settings = {"action": _Once, "help": texts.get(option)} | OPTIONS[option][1]
        if option == "format" and mode is not None:
            settings["choices"] = FORMATS[mode]
        parser.add_argument(flag(option), **settings)
    return parser


def _print_wrong_usage(message: str, modes: Sequence[str]) -> None:
    """Print the error on standard error, after the usage of the mode if there is one."""
    usage, topic = "MODE", ""
    if len(modes) == 1:
        usage, topic = entry_of(modes[0]).usage, f" {modes[0].replace('_', '-')}"
    print_error_line(f"usage: {PROGRAM} {usage} [options]")
    print_error_line(f"{PROGRAM}: error: {printable(message)}; see {PROGRAM} --help{topic}")


def _command(values: dict[str, Any], others: list[str], literal: list[str]) -> Command:
    """Refuse what argparse cannot: unknown words, no mode, two modes, too few or many operands."""
    for word in others:
        if word.startswith("-") and word != "-":
            raise ArgumentError(hints.unknown_word(word))
    others += literal
    given = [mode for mode in MODES if mode not in OPTIONS and values[mode] is not None]
    if len(given) > 1:
        raise ArgumentError(f"{' and '.join(map(flag, given))} are two modes; give one a call")
    if not given and values["files_from"] is None:
        raise ArgumentError(hints.no_mode(others))
    mode = given[0] if given else "files_from"
    operands = [*(values[mode] if given else []), *others]
    least, most = MODES[mode]
    if values["files_from"] is not None and most is None:
        least -= 1  # the list names the images
    if not least <= len(operands) <= (len(operands) if most is None else most):
        raise ArgumentError(hints.wrong_operands(mode, operands))
    if mode.startswith("faiss_") and (problem := hints.index_files(mode, *operands[:2])):
        raise ArgumentError(problem)
    return command_of(mode, operands, values)


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are raised: `parse` prints them."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(message)


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


class _PrintCompletion(argparse.Action):
    """Print the lines by which a shell completes the modes, options and files of a call."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, __: Any = None) -> None:
        from argcomplete.shell_integration import shellcode

        print_lines(shellcode([PROGRAM], shell=shell), end="")
        parser.exit()


class _Once(argparse.Action):
    """Store the value of an option, and refuse a second one, which would hide the first."""

    def __call__(self, parser: Any, namespace: Any, values: Any, flag: Any = None) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{flag} is given twice")
        setattr(namespace, self.dest, values)
