"""Sentences on single originals that change the thresholds of a run, or that are left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import toml_value
from photodna_nb.evaluation.tables import Tables
from photodna_nb.printable import printable
from photodna_nb.report.formatting import count, integer, join, proportion, rate

_CRITERIA = {"conservative": "recommended", "supported": "supported"}
# Thresholds for targets in a sentence.
_MOST_TARGETS = 2


def influential(tables: Tables) -> Iterator[dict[str, Any]]:
    """Yield the originals without which thresholds were chosen again, with these thresholds.

    Yields
    ------
    dict
        A row of ``tables["influence"]``, and as ``thresholds`` the rows of
        ``influence_thresholds``.
    """
    originals = {row["original"]: row for row in tables["influence"]}
    table = tables["influence_thresholds"]
    for name, rows in groupby(table, key=lambda row: row["original"]):
        yield originals[name] | {"thresholds": list(rows)}


def influence_warnings(results: Results) -> Iterator[str]:
    """Yield what single originals change, and how many are left out."""
    names = [printable(name) for name in results.config.pairs.leave_out]
    if number := results.summary["originals_left_out"]:
        shown = join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and others"
        yield (
            f"{count(number, 'original')} {'is' if number == 1 else 'are'} left out of all pairs "
            f"by the configuration: {shown}. The result holds for images unlike "
            f"{'it' if number == 1 else 'them'}."
        )
    for row in influential(results.tables):
        changed = [one for one in row["thresholds"] if one["material"]]
        if changed:
            yield (
                f"One original changes the result: {printable(row['original'])} takes part in "
                f"{proportion(row['proportion'])} of the nearest impostor pairs "
                f"({integer(row['pairs'])} of {integer(row['nearest_pairs'])}, up to "
                f"{results.unit} {row['distance']:.0f}). Without it, "
                f"{_changes(changed, results.unit)}. Look at it. If there "
                "are no such images among yours, leave it out: write leave_out = "
                f"{toml_value([row['configuration_name']])} under [pairs]. Otherwise add more "
                "images like it, since one cannot show how often they match."
            )


def threshold_name(row: Mapping[str, Any]) -> str:
    """Return which threshold of a run a row of ``influence_thresholds`` is about."""
    if row["criterion"] == "target":
        return f"for a rate of {rate(row['target'])}"
    return _CRITERIA[row["criterion"]]


def _changes(rows: list[dict[str, Any]], unit: str) -> str:
    """Return how thresholds change: the one of the report, and some of those for targets."""
    reported = [row for row in rows if row["criterion"] != "target"]
    known = {row["target"] for row in reported}
    targets = [
        row
        for row in rows
        if row["target"] not in known
        and not (row["beyond_validation"] or row["beyond_validation_without"])
    ]
    shown = [*reported, *targets[-_MOST_TARGETS:]] or rows[-1:]
    return join([_change(row, unit) for row in shown])


def _change(row: Mapping[str, Any], unit: str) -> str:
    name = threshold_name(row)
    if row["criterion"] == "target":
        name = f"the threshold {name}"
    elif row["criterion"] == row["criterion_without"]:
        name = f"the {name} threshold"
    else:
        name = f"the threshold is {_CRITERIA[row['criterion_without']]} and not only {name}, and"
        if row["criterion_without"] == "supported":
            name = f"the threshold is only {_CRITERIA[row['criterion_without']]}, and"
    without, with_all = (
        "none" if threshold is None else f"{unit} {threshold}"
        for threshold in (row["threshold_without"], row["threshold"])
    )
    return f"{name} is {without} instead of {with_all}"
