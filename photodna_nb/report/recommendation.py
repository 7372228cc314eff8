"""The recommended threshold of a run, with its reasons and limits, as sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config_originals import DeadLeavesOriginals
from photodna_nb.evaluation.run_originals import SUSPECTED_DISTANCE
from photodna_nb.files import PathLike
from photodna_nb.printable import printable, short_repr
from photodna_nb.report.formatting import (
    amount,
    count,
    false_match_rate,
    false_matches,
    integer,
    join,
    level,
    proportion,
    rate,
    weighted_recall,
)
from photodna_nb.report.influence import influence_warnings
from photodna_nb.report.recall import recall_range, recall_sentence, transform_recalls

# Recall from which a transform counts as nearly always recalled, and below which as rarely.
_HIGH_RECALL, _LOW_RECALL = 0.99, 0.5


@short_repr
class Recommendation(NamedTuple):
    """The recommended threshold of a run, with its reasons and limits.

    threshold : int or None
        Recommended distance; if there is none, the supported one; None if there is neither.
    recommended : bool
        Whether the upper confidence limit at the threshold is within the acceptable number of
        false matches per day.
    sentences : list of str
        Sentences on the rates at the threshold, or on why there is none.
    transforms : list of (str, list of str)
        Labels of the transforms with high, medium and low recall, each with a title.
    warnings : list of str
        Sentences on the limits of the result.
    thresholds : list of str
        One sentence for each other named threshold.
    """

    threshold: int | None
    recommended: bool
    sentences: list[str]
    transforms: list[tuple[str, list[str]]]
    warnings: list[str]
    thresholds: list[str]


def recommend(results: Results | PathLike) -> Recommendation:
    """Return the threshold that the results of a run recommend or support, with the reasons.

    Parameters
    ----------
    results : Results, str or os.PathLike
        Results of a run, or its folder.

    Returns
    -------
    Recommendation
        The threshold and sentences about it.

    Raises
    ------
    FileError
        The folder holds no results.
    """
    if not isinstance(results, Results):
        results = Results.load(results)
    return Recommendation(
        reported_threshold(results),
        results.summary["recommended"] is not None,
        list(_sentences(results)),
        _transforms_by_recall(results),
        list(_warnings(results)),
        [
            f"At {printable(row['name'])}, {a_distance(results)} of at most {row['threshold']}: "
            f"recall {_recall(results, row)}, false match rate {false_match_rate(row)}, "
            f"{false_matches(row)} false matches per day."
            for row in results.tables["thresholds"]
            if row["threshold"] != reported_threshold(results)
        ],
    )


def a_distance(results: Results) -> str:
    """Return the distances of the first hasher in words."""
    unit = results.unit
    return f"{'a' if unit == 'Hamming' else 'an'} {unit} distance"


def deployment(row: Mapping[str, Any]) -> str:
    """Return the description of the deployment for which false matches are expected."""
    oriented = " in eight orientations" if row["orientations"] > 1 else ""
    return (
        f"a list of {integer(row['list_size'])} hashes and {integer(row['queries_per_day'])} "
        f"queries per day{oriented}"
    )


def reported_threshold(results: Results) -> int | None:
    """Return the recommended threshold, else the one that the data support, else None."""
    recommended: int | None = results.summary["recommended"]
    return results.summary["supported"] if recommended is None else recommended


def main_threshold(results: Results) -> tuple[str, int] | None:
    """Return the threshold for which transforms are compared, with its name.

    It is that of the reported_threshold, else the one named production, else the first one.
    """
    thresholds = {row["name"]: row["threshold"] for row in results.tables["thresholds"]}
    if (threshold := reported_threshold(results)) is not None:
        return next(reversed(thresholds)), threshold
    name = "production" if "production" in thresholds else next(iter(thresholds), None)
    return None if name is None else (name, thresholds[name])


def _main_name(results: Results) -> str:
    """Return the name of the reported threshold, the last one of the table."""
    return str(next(reversed(results.tables["thresholds"]), {"name": ""})["name"])


def _recall(results: Results, row: Mapping[str, Any]) -> str:
    """Return the recall of a threshold by transform, and the weighted one if there are weights."""
    text = recall_range(results, row["name"])
    if row["weighted_recall"] is not None:
        text += f", weighted {weighted_recall(row)}"
    return text


def _sentences(results: Results) -> Iterator[str]:
    """Yield what the recommended threshold does, or what the data support instead."""
    estimate, conservative, *supported = results.tables["deployment"]
    most = conservative["max_false_matches_per_day"]
    acceptable = f"{amount(most)} false match{'es' * (most != 1)} per day"
    if supported:
        yield from _unsupported(results, conservative, supported[0], acceptable)
        return
    yield (
        f"For {deployment(conservative)}, use {a_distance(results)} of at most "
        f"{conservative['threshold']}: even the upper limit of the "
        f"{level(results.config.confidence)} interval is within the acceptable {acceptable}. Its "
        f"false match rate is {false_match_rate(conservative)}, and the expected number of false "
        f"matches per day {false_matches(conservative)}."
    )
    yield recall_sentence(results, conservative, _main_name(results))
    if estimate["threshold"] != conservative["threshold"] and not estimate["beyond_validation"]:
        yield (
            f"By the estimate alone, without its interval, the threshold is "
            f"{estimate['threshold']}; the true rate may well be higher than the estimate."
        )


def _unsupported(
    results: Results, conservative: Mapping[str, Any], best: Mapping[str, Any], acceptable: str
) -> Iterator[str]:
    """Yield that no threshold is known to be acceptable, and what is known instead."""
    beginning = (
        f"For {deployment(conservative)}, no threshold is shown to stay within the acceptable "
        f"{acceptable}"
    )
    if best["threshold"] is None:
        yield f"{beginning}: {best['reason'] or conservative['reason']}."
        return
    compared = results.summary["originals_compared"]
    reason = f": {conservative['reason']}" if conservative["reason"] else ""
    yield (
        f"{beginning}: that needs a false match rate of {rate(conservative['target'])}, and the "
        f"{count(compared, 'original')} support no claim below {rate(best['target'])}{reason}."
    )
    yield (
        f"The data support this: {a_distance(results)} of at most {best['threshold']} has a false "
        f"match rate of {false_match_rate(best)}, and an expected number of false matches per "
        f"day of {false_matches(best)}."
    )
    yield recall_sentence(results, best, _main_name(results))
    if conservative["threshold"] is not None:
        # The number of pairs grows with the square of the originals.
        needed = compared * math.sqrt(best["target"] / conservative["target"])
        yield (
            "Lower thresholds have fewer false matches, but these data cannot show how many fewer: "
            f"that needs some {amount(float(f'{needed:.1g}'))} originals of this kind. The fitted "
            f"tail, beyond its validation, suggests {results.unit} {conservative['threshold']}."
        )


def _transforms_by_recall(results: Results) -> list[tuple[str, list[str]]]:
    """Return the transforms with high, medium and low recall at the main threshold."""
    main = main_threshold(results)
    if main is None:
        return []
    name, threshold = main
    at = f"{results.unit} {threshold}"
    if threshold != reported_threshold(results):
        at = f"{printable(name)} ({at})"
    groups: dict[str, list[str]] = {
        f"recall of {level(_HIGH_RECALL)} or more at {at}": [],
        f"recall of {level(_LOW_RECALL)} to {level(_HIGH_RECALL)}": [],
        f"recall below {level(_LOW_RECALL)}": [],
    }
    high, medium, low = groups.values()
    for label, row in transform_recalls(results, name):
        value = row["recall"]
        group = high if value >= _HIGH_RECALL else low if value < _LOW_RECALL else medium
        group.append(label)
    return [(title, labels) for title, labels in groups.items() if labels]


def _warnings(results: Results) -> Iterator[str]:
    """Yield the limits of the result."""
    summary, config, tables = results.summary, results.config, results.tables
    _, conservative, *supported = tables["deployment"]
    if any(isinstance(source, DeadLeavesOriginals) for source in config.sources.values()):
        yield (
            "The originals are generated images, which are for trials only. Take a threshold for "
            "photographs from photographs."
        )
    matches = [row["impostor_matches_of_originals"] for row in tables["curves"]]
    if near := matches[min(SUSPECTED_DISTANCE, len(matches) - 1)]:
        yield (
            f"{count(near, 'pair')} of originals have {a_distance(results)} of at most "
            f"{SUSPECTED_DISTANCE}, "
            f"{integer(matches[0])} of them the same hash. Duplicates count as false matches until "
            "they are excluded: see the nearest impostor pairs."
        )
    if config.pairs.labelled is not None:
        yield (
            "Only the labelled pairs are counted. If they were chosen because they are hard or "
            "easy, a service meets other rates. No tail is fitted to pairs that somebody chose."
        )
    yield from influence_warnings(results)
    if summary["no_rates_reason"]:
        yield f"There are no rates with intervals: {summary['no_rates_reason']}."
    tail = summary["tail"]
    if tail is not None and not tail["accepted"] and not matches[0]:
        yield (
            "There are no estimates of rates that are too low to be counted, since the fit of the "
            f"tail is rejected: {tail['rejection_reason']}."
        )
    elif (supported or [conservative])[0]["expected_matches_source"] == "tail":
        yield (
            f"The false match rate at {results.unit} {reported_threshold(results)} is an "
            "extrapolation: fewer than ten full dyads (pairs of two originals) match there. Such "
            f"fits were tested on photographs down to {rate(10 * tail['validated_down_to'])}, "
            f"and on generated images down to {rate(tail['validated_down_to'])}, for as many "
            "originals."
        )
        for half, reason in summary["tail_rejection_reasons_by_half"].items():
            yield f"The same fit is rejected for the {half} half of the originals alone: {reason}."
    if conservative["orientations"] > 1:
        yield (
            "Impostor pairs are compared in one orientation; for eight orientations their matches "
            "are multiplied by eight."
        )
    if low := summary["originals_low_detail"]:
        least = f"{config.detail.warn_below:g}"
        warning = (
            f"{proportion(summary['proportion_low_detail'])} of the originals ({integer(low)}) "
            f"have less than {least} grey levels of detail: a match with one of them means "
            "little."
        )
        if config.pairs.exclude_below_detail < config.detail.warn_below:
            warning += (
                " Such images have small distances whatever they show: leave them out by "
                f"exclude_below_detail = {least} under [pairs], and by min_detail in a search."
            )
        yield warning
    if (unknown := summary.get("originals_unknown_detail")) and config.pairs.exclude_below_detail:
        yield (
            f"The detail of {count(unknown, 'original')} is unknown: exclude_below_detail leaves "
            "none of them out, however little they show."
        )
    failures = [
        count(summary[f"{noun}s_failed"], noun)
        for noun in ("original", "variant")
        if summary[f"{noun}s_failed"]
    ]
    if failures:
        yield f"Not made or hashed: {join(failures)}; see the failures."
    if (compared := summary["originals_compared"]) < 100:
        yield (
            f"There are only {compared} originals: intervals are wide, and rates below the counted "
            "ones are hardly known."
        )
