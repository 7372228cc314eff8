"""A row of a table with the rates of a run at one threshold."""

from __future__ import annotations

from typing import Any, TypeAlias

from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.deployment import expected_matches, false_positive_identification
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.weighted_recall import weighted_recall

# A name or number in each column, None where there is none.
Row: TypeAlias = dict[str, Any]

_RECALL = "recall", "recall_lower", "recall_upper"
_WEIGHTED = "weighted_recall", "weighted_recall_lower", "weighted_recall_upper"
RATE = (
    "false_match_rate",
    "false_match_rate_lower",
    "false_match_rate_upper",
    "at_least_ten_matches",
)
_FPIR = "fpir", "fpir_upper"
_FNIR = "fnir", "fnir_lower", "fnir_upper"
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
    """Return recall, false match and identification rates, and expected matches at a threshold.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of genuine and impostor pairs.
    threshold : int or None
        Distance, 0 to 3060 for "photodna"; None for a row without numbers.
    service : DeploymentConfig
        The list and the queries of a day.

    Returns
    -------
    dict of str to int, float, bool, str or None
        A row of ``Results.tables["thresholds"]``, except for its name. A value that needs pairs
        or an accepted tail which are missing is None.

    Raises
    ------
    ArgumentError
        The threshold was not counted, or a number of `service` is out of range.
    """
    curves, rates, tail = estimates.curves, estimates.false_match_rates, estimates.tail
    row: Row = {"threshold": threshold, "genuine_pairs": curves.genuine_pairs}
    row |= dict.fromkeys(("genuine_matches", *_RECALL))
    row |= {"impostor_pairs": curves.impostor_pairs, "impostor_matches": None}
    row |= dict.fromkeys((*RATE, *_TAIL, *_PER_DAY.values(), *_FPIR, *_FNIR))
    if threshold is None:
        return row
    row["genuine_matches"] = int(curves.genuine_matches[threshold])
    row["impostor_matches"] = int(curves.impostor_matches[threshold])
    if curves.genuine_pairs:
        columns = curves.recall, estimates.recall_lower, estimates.recall_upper
        recall, lower, upper = (float(column[threshold]) for column in columns)
        row |= zip(_RECALL, (recall, lower, upper), strict=True)
        row |= zip(_FNIR, (1 - recall, 1 - upper, 1 - lower), strict=True)
    if rates is None:
        return row
    rate = rates.at(threshold)
    row |= zip(RATE, (rate.rate, rate.lower, rate.upper, rate.at_least_ten_matches), strict=True)
    if tail is not None and (tail_rate := tail.reliable_rate(threshold)) is not None:
        row |= zip(_TAIL, tail_rate, strict=True)
    per_day = expected_matches(
        threshold, service.list_size, service.queries_per_day, rates, tail, service.n_orientations
    )
    for column, matches in zip(_FPIR, (per_day.expected, per_day.upper), strict=True):
        if matches is not None:  # of as many comparisons, each in one orientation
            rate_of = matches / per_day.comparisons
            fpir = false_positive_identification(rate_of, service.list_size, service.n_orientations)
            row[column] = float(fpir)
    return row | {column: getattr(per_day, name) for name, column in _PER_DAY.items()}


def threshold_row_of(
    counts: PairCounts, estimates: RateEstimates, threshold: int | None, config: Config
) -> Row:
    """Return `threshold_row`, with plain and oriented genuine matches, and the weighted recall."""
    row = threshold_row(estimates, threshold, config.deployment)
    weighted = None
    if threshold is not None:
        weighted = weighted_recall(
            counts,
            config.variants.weights,
            threshold,
            oriented=config.deployment.orientations,
            confidence=config.confidence,
        )
    row |= zip(_WEIGHTED, weighted or (None, None, None), strict=True)
    first = {name: row.pop(name) for name in ("threshold", "genuine_pairs", "genuine_matches")}
    for name, oriented in (("genuine_matches", False), ("genuine_matches_oriented", True)):
        matches = None
        if threshold is not None:
            matches = int(counts.genuine_histogram(oriented=oriented)[: threshold + 1].sum())
        first[name] = matches
    return {name: json_number(value) for name, value in (first | row).items()}
