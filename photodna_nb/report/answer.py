"""What a run says about its question, in words."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import (
    DeadLeavesOriginals,
    DirectoryOriginals,
    InstalledOriginals,
    ListOriginals,
)
from photodna_nb.files import PathLike
from photodna_nb.names import displayed
from photodna_nb.report.words import (
    amount,
    counted,
    false_match_rate,
    false_matches,
    level,
    listed,
    rate,
    recall,
    share,
    whole,
)
from photodna_nb.transforms import parse

# Recall of an edit that is as good as always found, and of one that hardly is.
_ALWAYS, _HARDLY = 0.99, 0.5
# L2 up to which two originals are suspected to be copies.
SUSPECT = 100


class Answer(NamedTuple):
    """The words at the top of a report.

    threshold : int or None
        The recommended L2 distance.
    sentences : list of str
        What it does, or why there is none.
    edits : list of (str, list of str)
        Which edits it finds, by how often.
    warnings : list of str
        What stands against relying on it.
    named : list of str
        What each threshold of a name does.
    """

    threshold: int | None
    sentences: list[str]
    edits: list[tuple[str, list[str]]]
    warnings: list[str]
    named: list[str]


def answer(results: Results | PathLike) -> Answer:
    """Return the answer to which threshold to take.

    Parameters
    ----------
    results : Results, str or os.PathLike
        Of a run, or its folder.

    Raises
    ------
    FileError
        The folder holds no results.
    """
    if not isinstance(results, Results):
        results = Results.load(results)
    return Answer(
        results.summary["recommended"],
        _recommendation(results),
        _edits(results),
        _warnings(results),
        _named(results),
    )


def corpus(results: Results) -> str:
    """Return what was edited: 1,000 drawn pictures, 540 pictures of a folder."""
    number = whole(results.summary["originals_hashed"])
    match results.config.originals:
        case DeadLeavesOriginals(size=(width, height), seed=seed):
            return f"{number} drawn pictures (dead leaves, {width} × {height}, seed {seed})"
        case DirectoryOriginals(path=path):
            return f"{number} pictures of the folder {displayed(os.path.basename(path) or path)}"
        case ListOriginals(path=str(path)):
            return f"{number} pictures that {displayed(os.path.basename(path))} lists"
        case InstalledOriginals():
            return f"{number} photographs of installed packages"
        case _:
            return f"{number} listed pictures"


def service(row: Mapping[str, Any]) -> str:
    """Return the service for which false matches are foretold."""
    ways = " in eight orientations" if row["orientations"] > 1 else ""
    return (
        f"a list of {whole(row['list_size'])} hashes and {whole(row['queries_a_day'])} "
        f"queries a day{ways}"
    )


def _recommendation(results: Results) -> list[str]:
    """Return the threshold to take and what it does, or why there is none."""
    estimate, safe, *told = results.tables["scale"]
    budget = f"{amount(safe['budget'])} false match{'es' * (safe['budget'] != 1)} a day"
    certainty = f"the upper end of the {level(results.config.confidence)} interval"
    originals = whole(results.summary["originals_hashed"])
    if safe["threshold"] is not None and not safe["untested"]:
        said = [
            f"For {service(safe)}, take an L2 distance of at most {safe['threshold']}: even "
            f"{certainty} keeps within {budget}. It recalls {recall(safe)} of all variants. Its "
            f"false match rate is {false_match_rate(safe)}, which makes {false_matches(safe)} "
            "false matches a day."
        ]
        if estimate["threshold"] != safe["threshold"] and not estimate["untested"]:
            said.append(
                f"By the estimate alone, without its interval, it would be "
                f"{estimate['threshold']}, with a recall of {share(estimate['recall'])}; the true "
                "rate may well be higher than the estimate."
            )
        return said
    why = safe["reason"] or "their rates are too low for what fits like this were tested on"
    said = [
        f"For {service(safe)}, {originals} originals tell no threshold at which {certainty} keeps "
        f"within {budget}: {why}."
    ]
    if not told or told[0]["threshold"] is None:
        return said
    best = told[0]
    if results.summary["recommended"] is not None:
        said.append(
            f"What can be told is that an L2 distance of at most {best['threshold']} has a false "
            f"match rate of at most {rate(best['target'])}, which makes at most "
            f"{amount(best['target'] * best['a_day_comparisons'])} false matches a day. It recalls "
            f"{recall(best)} of all variants."
        )
    if safe["threshold"] is not None:
        # The pairs grow with the square of the originals.
        factor = math.sqrt(best["target"] / safe["target"])
        needed = results.summary["originals_hashed"] * factor
        said.append(
            f"Lower thresholds have fewer false matches, but how many fewer is not known so far "
            f"out: some {amount(float(f'{needed:.1g}'))} originals like these would be needed to "
            f"tell. The fit, taken further than it was tested, says {safe['threshold']}."
        )
    return said


def _named(results: Results) -> list[str]:
    return [
        f"At {displayed(row['name'])}, an L2 distance of at most {row['threshold']}: recall "
        f"{recall(row)}, false match rate {false_match_rate(row)}, {false_matches(row)} false "
        "matches a day."
        for row in results.tables["thresholds"]
        if row["threshold"] != results.summary["recommended"]
    ]


def main_threshold(results: Results) -> tuple[str, int] | None:
    """Return the threshold by which edits are told apart: recommended, production, or the first."""
    named = {row["name"]: row["threshold"] for row in results.tables["thresholds"]}
    recommended = results.summary["recommended"]
    if recommended is not None:
        return next(reversed(named)), recommended
    name = "production" if "production" in named else next(iter(named), None)
    return None if name is None else (name, named[name])


def _edits(results: Results) -> list[tuple[str, list[str]]]:
    """Return which edits are found at the main threshold always, partly and hardly."""
    threshold = main_threshold(results)
    if threshold is None:
        return []
    name, distance = threshold
    oriented = results.config.scale.orientations
    groups: dict[str, list[str]] = {"always": [], "partly": [], "hardly": []}
    for row in results.tables["recall"]:
        wanted = (None, oriented, name)
        if (row["band"], row["oriented"], row["threshold_name"]) != wanted or not row["n"]:
            continue
        found = row["recall"]
        group = "always" if found >= _ALWAYS else "hardly" if found < _HARDLY else "partly"
        groups[group].append(parse(row["transform"]).label)
    named = f"{displayed(name)} (L2 {distance})"
    at = f"at {f'L2 {distance}' if distance == results.summary['recommended'] else named}"
    titles = {
        "always": f"found {at} in {level(_ALWAYS)} of the pictures or more",
        "partly": f"found {at} in {level(_HARDLY)} to {level(_ALWAYS)}",
        "hardly": f"found {at} in less than {level(_HARDLY)}",
    }
    return [(titles[group], labels) for group, labels in groups.items() if labels]


def _warnings(results: Results) -> list[str]:
    """Return what stands against relying on the answer."""
    summary, config = results.summary, results.config
    _, safe, *told = results.tables["scale"]
    found = []
    if isinstance(config.originals, DeadLeavesOriginals):
        found.append(
            "The originals are drawn. They are for trying things out: a threshold for photographs "
            "is to be taken from photographs."
        )
    near = min(SUSPECT, len(results.tables["curves"]) - 1)
    close = results.tables["curves"][near]["impostor_matches_of_originals"]
    same = results.tables["curves"][0]["impostor_matches_of_originals"]
    if close:
        found.append(
            f"{counted(close, 'pair')} of originals lie within an L2 distance of {SUSPECT}, "
            f"{whole(same)} of them have the same hash. Copies count as false matches until they "
            "are excluded: see the closest pairs. Flat pictures lie close to each other whatever "
            f"they show: leave them out by min_detail = {config.detail.floor:g} under [pairs], and "
            "when you search."
        )
    if summary["no_rates_because"]:
        found.append(f"No rates with intervals: {summary['no_rates_because']}.")
    tail = summary["tail"]
    if tail is not None and not tail["trusted"] and not same:
        found.append(
            f"Nothing is said of rates too low to be counted, since no tail fits: {tail['reason']}."
        )
    elif (told or [safe])[0]["a_day_source"] == "tail":
        found.append(
            "The false match rate is extrapolation: fewer than ten pairs match at that threshold. "
            f"Fits like this were tested, on drawn pictures, down to {rate(tail['tested_to'])}."
        )
    if safe["orientations"] > 1:
        found.append(
            "Impostor pairs are compared in one orientation; for eight, their matches are "
            "multiplied by eight."
        )
    low = summary["originals_below_floor"]
    if low:
        found.append(
            f"{share(summary['share_below_floor'])} of the originals ({whole(low)}) have less "
            f"than {config.detail.floor:g} grey levels of detail: a match with one says little."
        )
    failed = [
        counted(summary[key], what)
        for key, what in (("originals_failed", "original"), ("variants_failed", "variant"))
        if summary[key]
    ]
    if failed:
        found.append(f"Not made or hashed: {listed(failed)}; see the list.")
    if summary["originals_hashed"] < 100:
        found.append(
            f"There are only {summary['originals_hashed']} originals: intervals are wide, and "
            "rates below what was counted can hardly be told."
        )
    return found
