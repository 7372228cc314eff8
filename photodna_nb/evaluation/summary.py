"""What the statistics make of the counts of a run: rates, thresholds, and what they mean a day."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from photodna_nb.evaluation.config import Config, DeploymentConfig
from photodna_nb.evaluation.deployment import expected_matches, threshold_under
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import RateEstimates, RecallQuery, estimate_recalls, estimate_run
from photodna_nb.evaluation.thresholds import (
    OperatingPoint,
    ThresholdChoice,
    operating_points,
    supported_threshold,
)

# JSON and CSV take it: a name or number in each column, None where there is none.
Row: TypeAlias = dict[str, Any]

_RECALL = "recall", "recall_lower", "recall_upper"
_RATE = (
    "false_match_rate",
    "false_match_rate_lower",
    "false_match_rate_upper",
    "at_least_ten_matches",
)
_TAIL = "tail_rate", "tail_lower", "tail_upper", "tail_beyond_validation"
_PER_DAY = {
    "comparisons": "comparisons_per_day",
    "expected": "expected_matches_per_day",
    "lower": "expected_matches_per_day_lower",
    "upper": "expected_matches_per_day_upper",
    "source": "expected_matches_source",
    "beyond_validation": "expected_matches_beyond_validation",
}


def threshold_row(
    estimates: RateEstimates, threshold: int | None, service: DeploymentConfig
) -> Row:
    """Return what a threshold does: recall, false match rate, false matches a day.

    Parameters
    ----------
    estimates : RateEstimates
        Genuine and impostor pairs.
    threshold : int or None
        L2, 0 to 3060; None for a row without numbers.
    service : DeploymentConfig
        The list and the queries of a day.

    Returns
    -------
    dict of str to int, float, bool, str or None
        A row of ``Results.tables["thresholds"]``, but for its name. What is not known, for
        want of pairs or of a tail that can be trusted, is None.

    Raises
    ------
    ArgumentError
        The threshold was not counted, or a number of `service` is out of range.
    """
    found, rates, tail = estimates.curves, estimates.rates, estimates.tail
    row: Row = {"threshold": threshold, "genuine_pairs": found.genuine_pairs}
    row |= dict.fromkeys(("genuine_matches", *_RECALL))
    row |= {"impostor_pairs": found.impostor_pairs, "impostor_matches": None}
    row |= dict.fromkeys((*_RATE, *_TAIL, *_PER_DAY.values()))
    if threshold is None:
        return row
    row["genuine_matches"] = int(found.genuine_matches[threshold])
    row["impostor_matches"] = int(found.impostor_matches[threshold])
    if found.genuine_pairs:
        recall = found.recall, estimates.recall_lower, estimates.recall_upper
        row |= zip(_RECALL, (float(one[threshold]) for one in recall), strict=True)
    if rates is None:
        return row
    rate = rates.at(threshold)
    row |= zip(_RATE, (rate.rate, rate.lower, rate.upper, rate.at_least_ten_matches), strict=True)
    if tail is not None and (told := tail.reliable_rate(threshold)) is not None:
        row |= zip(_TAIL, told, strict=True)
    day = expected_matches(
        threshold, service.list_size, service.queries_per_day, rates, tail, service.n_orientations
    )
    return row | {column: getattr(day, name) for name, column in _PER_DAY.items()}


def build_tables(counts: PairCounts, config: Config) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Return what the statistics make of the counts: numbers for the summary, and tables.

    Parameters
    ----------
    counts : PairCounts
        Of a run.
    config : Config
        What the report is to speak of.

    Returns
    -------
    summary : dict
        ``recommended``: the largest threshold that keeps the budget by the upper end of its
        interval; None if the data cannot show that any does. Then ``supported`` is the largest
        threshold at the lowest false match rate that they can support, and else None;
        ``curves``: equal error rate, area, average precision; ``tail``: the fit, and
        whether it is accepted; ``tail_rejection_reasons_by_half``: why it is not accepted on
        the selection or the validation half
        alone; ``no_rates_reason``: empty, or why there are none.
    tables : dict of str to list of dict
        ``curves``: rates at every whole threshold; ``thresholds``: what the named ones do;
        ``operating_points``: a threshold for each target, chosen on the selection half, its
        rates on the validation half; ``operating_recall``: the same by edit; ``deployment``:
        the thresholds that keep the budget, by the estimate and by the end of the interval,
        and if the data cannot show that the latter does, the one that is supported.
        Recall is that of the closest of eight orientations if the service looks queries up in
        these.
    """
    whole, a, b = estimate_run(
        counts,
        oriented=config.deployment.orientations,
        confidence=config.confidence,
        seed=config.seed,
    )
    deployment = _deployment(counts, config, whole)
    _, safe, *supported = deployment
    summary = {
        "recommended": None if supported else safe["threshold"],
        "supported": supported[0]["threshold"] if supported else None,
        "recall_oriented": config.deployment.orientations,
        "curves": whole.curves.as_json(),
        "tail": None if whole.tail is None else whole.tail.as_json(),
        "tail_rejection_reasons_by_half": {
            part: half.tail.rejection_reason
            for part, half in (("selection", a), ("validation", b))
            if half.tail is not None and not half.tail.accepted
        },
        "no_rates_reason": whole.no_rates_reason,
    }
    points: list[OperatingPoint] = []
    if a.rates is not None and b.rates is not None:
        for conservative in (False, True):
            points += operating_points(a, b, config.thresholds.targets, conservative)
    tables = {
        "curves": _curves(counts, whole, a, b),
        "thresholds": [
            {"name": name} | _at(counts, config, whole, threshold)
            for name, threshold in reported_thresholds(config, summary).items()
        ],
        "operating_points": [_point(point) for point in points],
        "operating_recall": _operating_recall(counts, config, points),
        "deployment": deployment,
    }
    return summary, tables


def reported_thresholds(config: Config, summary: Mapping[str, Any]) -> dict[str, int]:
    """Return the named thresholds that tables speak of, the recommended or supported one last."""
    named = dict(config.thresholds.named)
    for own in ("recommended", "supported"):
        if summary[own] is not None:
            named[own if own not in named else f"{own} by this run"] = summary[own]
    return named


def _curves(
    counts: PairCounts, whole: RateEstimates, a: RateEstimates, b: RateEstimates
) -> list[Row]:
    """Return matches and rates at every whole threshold, up to where all pairs match."""
    found = whole.curves
    columns: dict[str, list[Any]] = {
        "genuine_matches": np.cumsum(counts.genuine()).tolist(),
        "impostor_matches": found.impostor_matches.tolist(),
        "impostor_matches_of_originals": np.cumsum(counts.impostor(variants=False)).tolist(),
        "genuine_matches_oriented": np.cumsum(counts.genuine(oriented=True)).tolist(),
        "genuine_matches_selection": np.cumsum(a.genuine).tolist(),
        "impostor_matches_selection": np.cumsum(a.impostor).tolist(),
        "genuine_matches_validation": np.cumsum(b.genuine).tolist(),
        "impostor_matches_validation": np.cumsum(b.impostor).tolist(),
        "recall": found.recall.tolist(),
        "recall_lower": whole.recall_lower.tolist(),
        "recall_upper": whole.recall_upper.tolist(),
        "false_non_match_rate": found.false_non_match_rate.tolist(),
        "false_match_rate": found.false_match_rate.tolist(),
        "precision": found.precision.tolist(),
    }
    nothing = [None] * len(found.recall)
    rates = whole.rates
    columns["false_match_rate_lower"] = nothing if rates is None else rates.lower.tolist()
    columns["false_match_rate_upper"] = nothing if rates is None else rates.upper.tolist()
    columns["at_least_ten_matches"] = (
        nothing if rates is None else rates.at_least_ten_matches.tolist()
    )
    total = whole.genuine + whole.impostor
    last = int(np.flatnonzero(total)[-1]) if total.any() else 0
    return [
        {"threshold": threshold}
        | {name: json_number(column[threshold]) for name, column in columns.items()}
        for threshold in range(last + 1)
    ]


def _at(counts: PairCounts, config: Config, whole: RateEstimates, threshold: int | None) -> Row:
    """Return `threshold_row`, and how many genuine pairs match as they are and at their best."""
    row = threshold_row(whole, threshold, config.deployment)
    first = {name: row.pop(name) for name in ("threshold", "genuine_pairs", "genuine_matches")}
    for name, oriented in (("genuine_matches", False), ("genuine_matches_oriented", True)):
        matches = None
        if threshold is not None:
            matches = int(counts.genuine(oriented=oriented)[: threshold + 1].sum())
        first[name] = matches
    return {name: json_number(value) for name, value in (first | row).items()}


def _deployment(counts: PairCounts, config: Config, whole: RateEstimates) -> list[Row]:
    """Return the thresholds that keep the budget, or what the data can support instead."""
    chosen = {
        "estimate": ThresholdChoice(0.0, False, None, "none", whole.no_rates_reason),
        "conservative": ThresholdChoice(0.0, True, None, "none", whole.no_rates_reason),
    }
    if whole.rates is None:
        chosen["supported"] = chosen["conservative"]
    else:
        for kind, conservative in (("estimate", False), ("conservative", True)):
            chosen[kind] = threshold_under(
                config.deployment.max_false_matches_per_day,
                config.deployment.list_size,
                config.deployment.queries_per_day,
                whole.rates,
                whole.tail,
                config.deployment.n_orientations,
                conservative,
            )
        safe = chosen["conservative"]
        if safe.threshold is None or safe.beyond_validation:
            chosen["supported"] = supported_threshold(whole.rates, whole.tail)
    return [
        {
            "criterion": criterion,
            "max_false_matches_per_day": config.deployment.max_false_matches_per_day,
            "list_size": config.deployment.list_size,
            "queries_per_day": config.deployment.queries_per_day,
            "orientations": config.deployment.n_orientations,
            **choice.as_json(),
            **_at(counts, config, whole, choice.threshold),
        }
        for criterion, choice in chosen.items()
    ]


def _point(point: OperatingPoint) -> Row:
    """Return an operating point on one line."""
    row = point.as_json()
    choice, rate = row.pop("choice"), row.pop("false_match_rate") or {}
    counted = {
        "impostor_matches": rate.get("matches"),
        "impostor_pairs": rate.get("pairs"),
        "false_match_rate": rate.get("rate"),
        "false_match_rate_lower": rate.get("lower"),
        "false_match_rate_upper": rate.get("upper"),
    }
    return {**choice, **row, **counted}


def _operating_recall(
    counts: PairCounts, config: Config, points: list[OperatingPoint]
) -> list[Row]:
    """Return the recall of each transform on the validation half, at each operating point."""
    rows: list[Row] = []
    queries: list[RecallQuery] = []
    for spec, point, oriented in itertools.product(counts.transforms, points, (False, True)):
        choice = point.choice
        if choice.threshold is None:
            continue
        queries.append(RecallQuery(spec, choice.threshold, oriented, half="validation"))
        rows.append(
            {
                "transform": spec,
                "target": choice.target,
                "conservative": choice.conservative,
                "threshold": choice.threshold,
                "oriented": oriented,
            }
        )
    estimates = estimate_recalls(counts, queries, config.confidence)
    return [row | recall._asdict() for row, recall in zip(rows, estimates, strict=True)]
