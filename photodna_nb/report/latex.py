"""Texts and tables in LaTeX: every character is shown, and none is a command."""

from __future__ import annotations

import re
from collections.abc import Sequence

from photodna_nb.printable import printable

# Letters that pdfLaTeX has with T1 fonts: Latin ones.
_LAST_LETTER = "\u017f"
_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "{-}",  # two of them would be a dash
    "[": "{[}",  # after a new line of a table, an option
    "]": "{]}",
    "*": "{*}",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "°": r"\textdegree{}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
}
_POWER = re.compile("× 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def text(value: str) -> str:
    """Return a text in LaTeX, on one line; what pdfLaTeX has no letter for becomes its number."""
    parts = _POWER.split(printable(value))
    return "".join(
        rf"$\times 10^{{{part.translate(_LOWERED)}}}$"
        if number % 2
        else "".join(map(_character, part)).replace(r" \%", r"\,\%")
        for number, part in enumerate(parts)
    )


def _character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if character.isascii() or (character.isalpha() and character <= _LAST_LETTER):
        return character
    return rf"\textless{{}}U+{ord(character):04X}\textgreater{{}}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, n_texts: int
) -> str:
    r"""Return a table with the lines of the package booktabs.

    Parameters
    ----------
    columns : sequence of str
        Titles.
    rows : sequence of sequence of str
        Texts, not in LaTeX yet.
    caption, label : str
        Caption, and the name for ``\ref`` after ``tab:``.
    n_texts : int
        Number of columns that are aligned to the left; the others are numbers, to the right.
    """
    alignment = "l" * n_texts + "r" * (len(columns) - n_texts)
    lines = [" & ".join(map(text, row)) + r" \\" for row in (columns, *rows)]
    return "\n".join(
        (
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\caption{{{text(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        )
    )
