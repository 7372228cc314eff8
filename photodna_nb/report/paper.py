"""The main tables of a run for a paper in LaTeX and CSV, a paragraph on methods, and BibTeX."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from typing import NamedTuple

from photodna_nb import checks, files
from photodna_nb.errors import FileError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.hasher_comparison import EQUAL_RATES, HASHERS
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.results import csv_table, loaded
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.files import PathLike
from photodna_nb.printable import printable
from photodna_nb.report import latex
from photodna_nb.report.formatting import (
    NOTHING,
    difference,
    digits,
    false_match_rate,
    false_matches,
    integer,
    proportion,
    rate,
    recall,
    validation_rate,
    weighted_recall,
)
from photodna_nb.report.methods import methods
from photodna_nb.report.recall import recall_range

_CITATION = re.compile(r" \[@([a-z0-9_,]+)\]")
_ENTRY = re.compile(r"@\w+\{(\w+),.*?\n\}\n", re.DOTALL)
_DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{booktabs}
\begin{document}
\section*{Methods}
\input{methods}
\section*{Results}
%s
\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""


class _Column(NamedTuple):
    """A column of a table.

    title : str
        Title.
    text : callable
        Returns the text of a row.
    """

    title: str
    text: Callable[[Row], str]


class _PaperTable(NamedTuple):
    """A table of a paper: rows of the results, of which columns show some.

    n_texts : int
        Number of columns, from the left, that are no numbers.
    data : sequence of dict
        Rows of the CSV file, if they are others.
    """

    name: str
    caption: str
    columns: Sequence[_Column]
    rows: Sequence[Row]
    n_texts: int = 1
    data: Sequence[Row] = ()


def write_paper(results: Results | PathLike, folder: PathLike) -> list[str]:
    r"""Write the main tables of a run for a paper, what was done, and the references.

    Parameters
    ----------
    results : Results, str or os.PathLike
        Results of a run, or its folder.
    folder : str or os.PathLike
        Folder of the new files; it is created if it is missing, and files of the same names in it
        are replaced.

    Returns
    -------
    list of str
        Paths of the files. ``thresholds``, ``operating_points``, ``transforms`` and, if there are
        categories, ``categories`` are each a ``.tex``, a table for the package ``booktabs``, and a
        ``.csv`` with all digits; those of each hasher but the first have its name, as
        ``thresholds_pdq``, and ``hashers`` and ``equal_rates`` compare the hashers. ``methods.tex``
        and ``methods.txt`` are a paragraph on what was done, ``references.bib`` has what it cites,
        and ``paper.tex`` holds all of them.

    Raises
    ------
    FileError
        There are no results, or the folder cannot be written.

    Notes
    -----
    Every number is one of the results, and the same results give the same bytes. Texts are escaped:
    no name is a command of LaTeX or a formula of a spreadsheet, and a letter that pdfLaTeX lacks
    is shown by its number. ``paper.tex`` needs pdfLaTeX and BibTeX.
    """
    results = loaded("results", results)
    target = checks.path("folder", folder)
    tables = [
        table._replace(
            name=f"{table.name}{'' if number == 0 else f'_{name}'}",
            caption=f"{f'{name}: ' if len(results.hashers) > 1 else ''}{table.caption}",
        )
        for number, (name, one) in enumerate(results.hashers.items())
        for table in _tables(one)
        if table.rows
    ]
    tables += _comparison(results)
    sentences = methods(results)
    content: dict[str, str | bytes] = {}
    for table in tables:
        rows = [[column.text(row) for column in table.columns] for row in table.rows]
        titles = [column.title for column in table.columns]
        tex = latex.table(titles, rows, table.caption, table.name, table.n_texts)
        content[f"{table.name}.tex"] = tex
        content[f"{table.name}.csv"] = csv_table(table.data or table.rows)
    content["methods.tex"] = "\n".join(map(_cited, sentences)) + "\n"
    content["methods.txt"] = "\n".join(_CITATION.sub(r" [\1]", one) for one in sentences) + "\n"
    content["references.bib"] = _references(results, sentences)
    content["paper.tex"] = _DOCUMENT % "\n".join(rf"\input{{{table.name}}}" for table in tables)
    try:
        os.makedirs(target, exist_ok=True)
    except OSError as error:
        raise FileError(
            target, f"cannot be made ({error.strerror}); give a folder that can be written"
        ) from error
    paths = {os.path.join(target, name): data for name, data in content.items()}
    encoded = [
        (path, [data if isinstance(data, bytes) else data.encode("utf-8")])
        for path, data in paths.items()
    ]
    files.write(encoded, FileError)
    return list(paths)


def _tables(results: HasherResults) -> Iterator[_PaperTable]:
    """Yield the tables of a hasher; those that do not apply have no rows."""
    tables, confidence = results.tables, f"{100 * results.config.confidence:g} %"
    unit = results.hasher.unit
    of_all = _Column("Recall", weighted_recall if results.config.variants.weights else recall)
    if results.counts.transforms and not results.config.variants.weights:
        of_all = _Column("Recall", lambda row: recall_range(results, row["name"]))
    yield _PaperTable(
        "thresholds",
        f"Rates at the named thresholds, with intervals of {confidence}.",
        (
            _Column("Threshold", lambda row: row["name"]),
            _Column(f"Distance ({unit})", lambda row: integer(row["threshold"])),
            of_all,
            _Column("False match rate", false_match_rate),
            _Column("False matches per day", false_matches),
        ),
        tables["thresholds"],
    )
    yield _PaperTable(
        "operating_points",
        "Thresholds for target false match rates, chosen on the selection half, and their rates on "
        f"the validation half, with intervals of {confidence}.",
        (
            _Column("Chosen by", lambda row: "upper limit" if row["conservative"] else "estimate"),
            _Column("Target", lambda row: rate(row["target"])),
            _Column(f"Distance ({unit})", lambda row: integer(row["threshold"])),
            _Column("False match rate", validation_rate),
            _Column("Meets the target", lambda row: row["meets_target"] or NOTHING),
        ),
        [row for row in tables["operating_points"] if row["threshold"] is not None],
    )
    recalls = {
        (row["transform"], row["threshold_name"]): row
        for row in tables["recall"]
        if row["detail_bin"] is None and row["oriented"] == results.config.deployment.orientations
    }
    yield _PaperTable(
        "transforms",
        f"Distances ({unit}) of the variants by transform, and recall with intervals of "
        f"{confidence}.",
        (
            _Column("Transform", _label),
            _Column("Variants", lambda row: integer(row["genuine_pairs"])),
            *(_distance_column(title, name) for title, name in _QUANTILES.items()),
            *(_recall_column(row["name"], recalls) for row in tables["thresholds"]),
        ),
        [
            row
            | {
                f"{column}_at_{named['name']}": recalls[row["transform"], named["name"]][column]
                for named in tables["thresholds"]
                for column in ("recall", "recall_lower", "recall_upper")
            }
            for row in tables["transforms"]
        ],
    )

    oriented = results.config.deployment.orientations
    yield _PaperTable(
        "categories",
        f"Recall by category, with intervals of {confidence}.",
        (
            _Column("Category", lambda row: row["category"]),
            _Column("Threshold", lambda row: row["threshold_name"]),
            _Column(f"Distance ({unit})", lambda row: integer(row["threshold"])),
            _Column("Genuine pairs", lambda row: integer(row["genuine_pairs"])),
            _Column("Recall", recall),
        ),
        [row for row in tables.get("recall_by_category", ()) if row["oriented"] == oriented],
        2,
    )


_QUANTILES = {"Median": "median", "95 %": "p95", "Largest": "largest"}


def _comparison(results: Results) -> Iterator[_PaperTable]:
    """Yield the tables that compare several hashers."""
    hashers, rates = results.tables.get(HASHERS, []), results.tables.get(EQUAL_RATES, [])
    if hashers:
        yield _PaperTable(
            "hashers",
            "The hashes, with numbers of the whole curve of each.",
            (
                _Column("Hash", lambda row: row["hasher"]),
                _Column("Bytes", lambda row: integer(row["bytes"])),
                _Column("Distance", lambda row: row["unit"]),
                _Column("Equal error rate", lambda row: proportion(row["equal_error_rate"])),
                _Column("Area under ROC", lambda row: digits(row["auc"])),
                _Column("Average precision", lambda row: digits(row["average_precision"])),
            ),
            hashers,
        )
    names = [row["hasher"] for row in hashers]
    at = {(row["target"], row["transform"], row["hasher"]): row for row in rates}
    complete = [
        target
        for target in dict.fromkeys(row["target"] for row in rates)
        if all(at[target, None, name]["threshold"] is not None for name in names)
    ]
    if not complete:
        return
    target = min(complete)
    thresholds = (
        f"{name}: {at[target, None, name]['unit']} {at[target, None, name]['threshold']}"
        for name in names
    )
    labels = {row["transform"]: _label(row) for row in results.tables["transforms"]}
    rows = [
        {"transform": spec} | {name: at[target, spec, name] for name in names} for spec in labels
    ]
    yield _PaperTable(
        "equal_rates",
        "Recall on the validation half at thresholds whose false match rate on the selection half "
        f"is at most {rate(target)} ({', '.join(thresholds)}), and its difference from "
        f"{names[0]} on the same pairs in percentage points, with intervals of "
        f"{100 * results.config.confidence:g} %.",
        (
            _Column("Transform", lambda row: labels[row["transform"]]),
            *(_hasher_column(name, name, recall) for name in names),
            *(_hasher_column(f"{name} - {names[0]}", name, difference) for name in names[1:]),
        ),
        rows,
        data=rates,
    )


def _label(row: Row) -> str:
    """Return the label of a transform."""
    return str(row["label"]).replace("_", " ")


def _hasher_column(title: str, name: str, text: Callable[[Row], str]) -> _Column:
    return _Column(title, lambda row: text(row[name]))


def _distance_column(title: str, name: str) -> _Column:
    def text(row: Row) -> str:
        distance = row[f"{name}_distance"]
        return NOTHING if distance is None else f"{distance:.0f}"

    return _Column(title, text)


def _recall_column(name: str, recalls: Mapping[tuple[str, str], Row]) -> _Column:
    return _Column(
        f"Recall at {printable(name)}", lambda row: recall(recalls[row["transform"], name])
    )


def _cited(sentence: str) -> str:
    """Return a sentence in LaTeX, with its citations."""
    parts = _CITATION.split(sentence)
    return "".join(
        rf"~\cite{{{part}}}" if number % 2 else latex.text(part)
        for number, part in enumerate(parts)
    )


def _references(results: Results, sentences: Sequence[str]) -> str:
    """Return the entries of BibTeX that the sentences cite."""
    cited = {key for one in sentences for keys in _CITATION.findall(one) for key in keys.split(",")}
    text = package_files("photodna_nb.report").joinpath("references.bib").read_text("utf-8")
    version = results.manifest["versions"]["results"]["photodna_nb"]
    entries = [match[0] for match in _ENTRY.finditer(text) if match[1] in cited]
    return "\n".join(entries).replace("{VERSION}", latex.text(str(version)))
