"""What a run says about its question, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import (
    DeadLeavesOriginals,
    DirectoryOriginals,
    InstalledOriginals,
    ListOriginals,
)
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


class Answer(NamedTuple):
    """The words at the top of a report.

    threshold : int or None
        The L2 distance that keeps the budget of false matches.
    sentences : list of str
        What it is, and what it does.
    edits : list of (str, list of str)
        Which edits are found, by how often.
    warnings : list of str
        What stands against relying on it.
    """

    threshold: int | None
    sentences: list[str]
    edits: list[tuple[str, list[str]]]
    warnings: list[str]


def answer(results: Results) -> Answer:
    """Return the answer to which threshold to take."""
    estimate, safe = results.tables["scale"]
    return Answer(
        safe["threshold"],
        [*_recommendation(results, estimate, safe), *_named(results)],
        _edits(results),
        _warnings(results, safe),
    )


def corpus(results: Results) -> str:
    """Return what was edited: 1,000 drawn pictures, 540 pictures of a folder."""
    number = whole(results.summary["originals_hashed"])
    match results.config.originals:
        case DeadLeavesOriginals(size=(width, height), seed=seed):
            return f"{number} drawn pictures (dead leaves, {width} × {height}, seed {seed})"
        case DirectoryOriginals(path=path):
            return f"{number} pictures of the folder {displayed(path)}"
        case ListOriginals(path=str(path)):
            return f"{number} pictures that {displayed(path)} lists"
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


def _recommendation(
    results: Results, estimate: Mapping[str, Any], safe: Mapping[str, Any]
) -> list[str]:
    """Return the threshold that keeps the budget, or why there is none."""
    budget = f"{amount(safe['budget'])} false match{'es' * (safe['budget'] != 1)} a day"
    certainty = level(results.config.confidence)
    said = []
    if safe["threshold"] is None:
        said.append(
            f"For {service(safe)}, these pictures tell no threshold at which even the upper end of "
            f"the {certainty} interval keeps within {budget}: {safe['reason']}."
        )
    else:
        said.append(
            f"For {service(safe)}, take an L2 distance of at most {safe['threshold']}: even the "
            f"upper end of the {certainty} interval keeps within {budget}. It recalls "
            f"{recall(safe)} of all variants."
        )
        if safe["a_day_untested"]:
            said.append(_beyond_tests(results, safe))
        else:
            said.append(
                f"Its false match rate is {false_match_rate(safe)}, which makes "
                f"{false_matches(safe)} false matches a day."
            )
    if estimate["threshold"] is not None and estimate["threshold"] != safe["threshold"]:
        said.append(
            f"By the estimate alone, without its interval, it would be {estimate['threshold']}, "
            f"with a recall of {share(estimate['recall'])}; the true rate may well be higher than "
            "the estimate."
        )
    return said


def _beyond_tests(results: Results, safe: Mapping[str, Any]) -> str:
    """Return what is known of a rate so low that no fit was compared with counts there."""
    tested = results.summary["tail"]["tested_to"]
    # The pairs grow with the square of the originals.
    needed = results.summary["originals_hashed"] * math.sqrt(tested / safe["target"])
    return (
        f"That this is so rare is said by a fit that was tested only down to a rate of "
        f"{rate(tested)}: what can be defended is a false match rate of "
        f"{false_match_rate(safe)}, or {false_matches(safe)} false matches a day. Some "
        f"{amount(float(f'{needed:.1g}'))} originals like these would be needed to say more."
    )


def _named(results: Results) -> list[str]:
    return [
        f"At {displayed(row['name'])}, an L2 distance of at most {row['threshold']}: recall "
        f"{recall(row)}, false match rate {false_match_rate(row)}, {false_matches(row)} false "
        "matches a day."
        for row in results.tables["thresholds"]
    ]


def main_threshold(results: Results) -> tuple[str, int] | None:
    """Return the named threshold by which edits are told apart: production, or the first."""
    named = results.config.thresholds.named
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
    at = f"at {displayed(name)} (L2 {distance})"
    titles = {
        "always": f"found {at} in {level(_ALWAYS)} of the pictures or more",
        "partly": f"found {at} in {level(_HARDLY)} to {level(_ALWAYS)}",
        "hardly": f"found {at} in less than {level(_HARDLY)}",
    }
    return [(titles[group], labels) for group, labels in groups.items() if labels]


def _warnings(results: Results, safe: Mapping[str, Any]) -> list[str]:
    """Return what stands against relying on the answer."""
    summary, config = results.summary, results.config
    found = []
    if isinstance(config.originals, DeadLeavesOriginals):
        found.append(
            "The originals are drawn. They are for trying things out: a threshold for photographs "
            "is to be taken from photographs."
        )
    same = results.tables["curves"][0]["impostor_matches_of_originals"]
    if same:
        found.append(
            f"{counted(same, 'pair')} of originals have the same hash: most likely copies, which "
            "count as false matches until they are excluded. See the closest pairs."
        )
    if summary["no_rates_because"]:
        found.append(f"No rates with intervals: {summary['no_rates_because']}.")
    tail = summary["tail"]
    if tail is not None and not tail["trusted"] and not same:
        found.append(
            f"Nothing is said of rates too low to be counted, since no tail fits: {tail['reason']}."
        )
    elif safe["a_day_source"] == "tail":
        beyond = ", and further out than such fits were tested" if safe["a_day_untested"] else ""
        found.append(
            "The false match rate of the recommended threshold is extrapolation: fewer than ten "
            f"pairs match at it{beyond}."
        )
    if safe["orientations"] > 1:
        found.append(
            "Impostor pairs are compared in one orientation; for eight, their matches are "
            "multiplied by eight."
        )
    low = summary["originals_below_floor"]
    if low:
        found.append(
            f"{whole(low)} of the originals ({share(summary['share_below_floor'])}) have less than "
            f"{config.detail.floor:g} grey levels of detail: a match with one of them says little."
        )
    failed = [
        counted(summary[key], what)
        for key, what in (("originals_failed", "original"), ("variants_failed", "variant"))
        if summary[key]
    ]
    if failed:
        found.append(f"{listed(failed).capitalize()} could not be made or hashed; they are listed.")
    if summary["originals_hashed"] < 100:
        found.append(
            f"There are only {summary['originals_hashed']} originals: intervals are wide, and "
            "rates below what was counted can hardly be told."
        )
    return found
