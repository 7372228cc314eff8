"""What a run says about its question, in words."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from photodna_nb.corpus.transforms import parse
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import (
    Config,
    DeadLeavesOriginals,
    DirectoryOriginals,
    InstalledOriginals,
    ListOriginals,
)
from photodna_nb.evaluation.exclusions import SUSPECT
from photodna_nb.files import PathLike
from photodna_nb.printable import printable
from photodna_nb.report.formatting import (
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

# Recall of an edit that is as good as always found, and of one that hardly is.
_ALWAYS, _HARDLY = 0.99, 0.5


class Recommendation(NamedTuple):
    """The words at the top of a report.

    threshold : int or None
        The L2 distance that is recommended or, if none is, the one that the data support.
    recommended : bool
        Whether the upper end of its interval keeps the budget of false matches.
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
    recommended: bool
    sentences: list[str]
    edits: list[tuple[str, list[str]]]
    warnings: list[str]
    named: list[str]


def recommend(results: Results | PathLike) -> Recommendation:
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
    return Recommendation(
        headline(results),
        results.summary["recommended"] is not None,
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
            return f"{number} pictures of the folder {printable(os.path.basename(path) or path)}"
        case ListOriginals(path=str(path)):
            return f"{number} pictures that {printable(os.path.basename(path))} lists"
        case InstalledOriginals():
            return f"{number} photographs of installed packages"
        case _:
            return f"{number} listed pictures"


def service(row: Mapping[str, Any]) -> str:
    """Return the service for which false matches are foretold."""
    ways = " in eight orientations" if row["orientations"] > 1 else ""
    return (
        f"a list of {whole(row['list_size'])} hashes and {whole(row['queries_per_day'])} "
        f"queries a day{ways}"
    )


def _recommendation(results: Results) -> list[str]:
    """Return the threshold to take and what it does, or what the data support instead."""
    estimate, safe, *supported = results.tables["deployment"]
    limit = safe["max_false_matches_per_day"]
    budget = f"{amount(limit)} false match{'es' * (limit != 1)} a day"
    if supported:
        return _unsupported(results, safe, supported[0], budget)
    said = [
        f"For {service(safe)}, take an L2 distance of at most {safe['threshold']}: even the upper "
        f"end of the {level(results.config.confidence)} interval keeps within {budget}. It recalls "
        f"{recall(safe)} of all variants. Its false match rate is {false_match_rate(safe)}, which "
        f"makes {false_matches(safe)} false matches a day."
    ]
    if estimate["threshold"] != safe["threshold"] and not estimate["beyond_validation"]:
        said.append(
            f"By the estimate alone, without its interval, it would be {estimate['threshold']}, "
            f"with a recall of {share(estimate['recall'])}; the true rate may well be higher than "
            "the estimate."
        )
    return said


def _unsupported(
    results: Results, safe: Mapping[str, Any], best: Mapping[str, Any], budget: str
) -> list[str]:
    """Return that no threshold is known to keep the budget, and what is known instead."""
    originals = counted(results.summary["originals_compared"], "original")
    said = f"For {service(safe)}, no threshold can be shown to keep within {budget}"
    if best["threshold"] is None:
        return [f"{said}: {best['reason'] or safe['reason']}."]
    support = f"the {originals} support no claim below {rate(best['target'])}"
    because = f": {safe['reason']}" if safe["reason"] else ""
    return [
        f"{said}: that needs a false match rate of {rate(safe['target'])}, and {support}{because}.",
        f"What they support: an L2 distance of at most {best['threshold']} has a false match rate "
        f"of {false_match_rate(best)}, which makes {false_matches(best)} false matches a day. It "
        f"recalls {recall(best)} of all variants.",
        *_further_out(results, safe, best),
    ]


def _further_out(
    results: Results, safe: Mapping[str, Any], best: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what the fit says further out than such fits were tested."""
    if safe["threshold"] is None:
        return
    # The pairs grow with the square of the originals.
    needed = results.summary["originals_compared"] * math.sqrt(best["target"] / safe["target"])
    yield (
        "Lower thresholds have fewer false matches, but the data cannot show how many fewer: some "
        f"{amount(float(f'{needed:.1g}'))} originals like these would be needed. The fit, taken "
        f"further than such fits were tested, suggests L2 {safe['threshold']} for this budget, "
        f"with a recall of {share(safe['recall'])}."
    )


def _named(results: Results) -> list[str]:
    return [
        f"At {printable(row['name'])}, an L2 distance of at most {row['threshold']}: recall "
        f"{recall(row)}, false match rate {false_match_rate(row)}, {false_matches(row)} false "
        "matches a day."
        for row in results.tables["thresholds"]
        if row["threshold"] != headline(results)
    ]


def headline(results: Results) -> int | None:
    """Return the recommended threshold, else the one that the data support, else None."""
    found: int | None = results.summary["recommended"]
    return results.summary["supported"] if found is None else found


def main_threshold(results: Results) -> tuple[str, int] | None:
    """Return the threshold at which edits are compared: the headline, production, or the first."""
    named = {row["name"]: row["threshold"] for row in results.tables["thresholds"]}
    threshold = headline(results)
    if threshold is not None:
        return next(reversed(named)), threshold
    name = "production" if "production" in named else next(iter(named), None)
    return None if name is None else (name, named[name])


def _edits(results: Results) -> list[tuple[str, list[str]]]:
    """Return which edits are found at the main threshold always, partly and hardly."""
    threshold = main_threshold(results)
    if threshold is None:
        return []
    name, distance = threshold
    oriented = results.config.deployment.orientations
    groups: dict[str, list[str]] = {"always": [], "partly": [], "hardly": []}
    for row in results.tables["recall"]:
        wanted = (None, oriented, name)
        if (row["detail_bin"], row["oriented"], row["threshold_name"]) != wanted or not row["n"]:
            continue
        found = row["recall"]
        group = "always" if found >= _ALWAYS else "hardly" if found < _HARDLY else "partly"
        groups[group].append(parse(row["transform"]).label.replace("_", " "))
    named = f"{printable(name)} (L2 {distance})"
    at = f"at {f'L2 {distance}' if distance == headline(results) else named}"
    titles = {
        "always": f"found {at} in {level(_ALWAYS)} of the pictures or more",
        "partly": f"found {at} in {level(_HARDLY)} to {level(_ALWAYS)}",
        "hardly": f"found {at} in less than {level(_HARDLY)}",
    }
    return [(titles[group], labels) for group, labels in groups.items() if labels]


def _leave_flat_out(config: Config) -> str:
    """Return what to do about flat pictures, unless it is done."""
    if config.pairs.min_detail >= config.detail.minimum:
        return ""
    return (
        " Such pictures lie close to each other whatever they show: leave them out by min_detail "
        f"= {config.detail.minimum:g} under [pairs], and when you search."
    )


def _warnings(results: Results) -> list[str]:
    """Return what stands against relying on the answer."""
    summary, config = results.summary, results.config
    _, safe, *supported = results.tables["deployment"]
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
            "are excluded: see the closest pairs."
        )
    if summary["no_rates_reason"]:
        found.append(f"No rates with intervals: {summary['no_rates_reason']}.")
    tail = summary["tail"]
    if tail is not None and not tail["accepted"] and not same:
        found.append(
            f"Nothing is said of rates too low to be counted, since no tail fits: "
            f"{tail['rejection_reason']}."
        )
    elif (supported or [safe])[0]["expected_matches_source"] == "tail":
        found.append(
            f"The false match rate at L2 {headline(results)} is extrapolation: fewer than ten "
            "pairs match there. "
            f"Fits like this were tested, on drawn pictures, down to "
            f"{rate(tail['validated_down_to'])}."
        )
        found += [
            f"The same fit is rejected on the {half} half of the originals alone: {reason}."
            for half, reason in summary["tail_rejection_reasons_by_half"].items()
        ]
    if safe["orientations"] > 1:
        found.append(
            "Impostor pairs are compared in one orientation; for eight, their matches are "
            "multiplied by eight."
        )
    low = summary["originals_below_minimum_detail"]
    if low:
        found.append(
            f"{share(summary['share_below_minimum_detail'])} of the originals ({whole(low)}) have "
            f"less than {config.detail.minimum:g} grey levels of detail: a match with one says "
            "little." + _leave_flat_out(config)
        )
    failed = [
        counted(summary[key], what)
        for key, what in (("originals_failed", "original"), ("variants_failed", "variant"))
        if summary[key]
    ]
    if failed:
        found.append(f"Not made or hashed: {listed(failed)}; see the list.")
    if summary["originals_compared"] < 100:
        found.append(
            f"There are only {summary['originals_compared']} originals: intervals are wide, and "
            "rates below what was counted can hardly be told."
        )
    return found
