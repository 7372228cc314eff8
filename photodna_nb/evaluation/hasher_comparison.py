"""Hashers of one run beside each other: at equal false match rates, on the same genuine pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from photodna_nb.evaluation.comparison_records import common_pairs, common_rows
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.deployment import false_positive_identification
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.intervals import FalseMatchRate
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.paired import discordant_pairs, recall_difference
from photodna_nb.evaluation.rates import RecallSelection, estimate_recalls
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.evaluation.thresholds import OperatingPoint, operating_points

HASHERS, EQUAL_RATES = "hashers", "equal_rates"
# Hashers are compared at rates that are counted, not extrapolated.
SMALLEST_RATE = 1e-6

_DIFFERENCE = (
    *("common_pairs", "lost", "gained", "p_value"),
    *("recall_difference", "recall_difference_lower", "recall_difference_upper"),
)


def compared_targets(config: Config) -> list[float]:
    """Return the target rates at which hashers are compared."""
    return [target for target in config.thresholds.targets if target >= SMALLEST_RATE]


def comparison_tables(config: Config, found: Sequence[HasherResults]) -> dict[str, list[Row]]:
    """Return the tables that compare the hashers of a run; none of a single hasher.

    Returns
    -------
    dict of str to list of dict
        ``hashers``: what each is, and numbers of its whole curve. ``equal_rates``: for each target
        rate from 1e-6 on that the originals support, and each hasher, the largest threshold whose
        false match rate, counted on the selection half, is at most the target; its recall on the
        validation half, of all transforms and of each; its identification rates there, for the list
        of the deployment; and the difference of the recall from
        that of the first hasher, on the genuine pairs of both.
    """
    if len(found) < 2:
        return {}
    targets = compared_targets(config)
    rows: list[Row] = []
    for points in zip(*(_points(one, targets) for one in found), strict=True):
        if any(point.choice.threshold is not None for point in points):
            rows += _at_target(config, found, points)
    return {HASHERS: [_hasher_row(one) for one in found], EQUAL_RATES: rows}


def _points(one: HasherResults, targets: Sequence[float]) -> list[OperatingPoint]:
    """Return the thresholds that were counted; no tail, which not all hashers have."""
    selection, validation = (replace(half, tail=None) for half in one.estimates[1:])
    return operating_points(selection, validation, targets)


def _hasher_row(one: HasherResults) -> Row:
    hasher, summary = one.hasher, one.summary
    per_byte = 8 if hasher.metric == "hamming" else 1
    return {
        "hasher": hasher.name,
        "listed": one.listed,
        "values": hasher.length,
        "bytes": -(-hasher.length // per_byte),
        "unit": hasher.unit,
        "largest_distance": json_number(hasher.largest_distance),
        "quality": hasher.quality,
        "low_quality": hasher.low_quality if hasher.quality else None,
        "proportion_low_quality": summary["proportion_low_detail"] if hasher.quality else None,
        **{name: summary[name] for name in ("originals_hashed", "originals_failed")},
        "variants_failed": summary["variants_failed"],
        **{name: summary["curves"][name] for name in ("equal_error_rate", "auc")},
        "average_precision": summary["curves"]["average_precision"],
    }


def _at_target(
    config: Config, found: Sequence[HasherResults], points: Sequence[OperatingPoint]
) -> Iterator[Row]:
    """Yield the rows of one target: of each hasher, of all transforms and then of each."""
    first = found[0]
    for one, point in zip(found, points, strict=True):
        threshold, rate = point.choice.threshold, point.false_match_rate
        about: Row = {
            "target": point.choice.target,
            "hasher": one.hasher.name,
            "threshold": threshold,
            "unit": one.hasher.unit,
            "reason": point.choice.reason,
            "false_match_rate": None if rate is None else json_number(rate.rate),
            "false_match_rate_lower": None if rate is None else json_number(rate.lower),
            "false_match_rate_upper": None if rate is None else json_number(rate.upper),
            "meets_target": point.meets_target,
            **_false_positive_identification(rate, one.config.deployment),
        }
        oriented = one.config.deployment.orientations
        transforms = one.counts.transforms
        recalls: list[Mapping[str, Any]] = [
            {
                "genuine_pairs": point.genuine_pairs,
                "matches": point.genuine_matches,
                **{
                    name: json_number(getattr(point, name))
                    for name in ("recall", "recall_lower", "recall_upper")
                },
            }
        ]
        if threshold is not None:
            selections = (
                RecallSelection(spec, threshold, oriented, "validation") for spec in transforms
            )
            estimates = estimate_recalls(one.counts, selections, config.confidence)
            recalls += [estimate._asdict() for estimate in estimates]
        else:
            recalls += [dict.fromkeys(recalls[0]) for _ in transforms]
        differences = _differences(config, first, one, points[0].choice.threshold, threshold)
        every = zip((None, *transforms), recalls, differences, strict=True)
        for spec, recall, difference in every:
            missed = (
                None if value is None else json_number(1 - value)
                for value in map(recall.get, ("recall", "recall_upper", "recall_lower"))
            )
            fnir = dict(zip(("fnir", "fnir_lower", "fnir_upper"), missed, strict=True))
            yield about | {"transform": spec} | dict(recall) | fnir | difference


def _false_positive_identification(rate: FalseMatchRate | None, service: DeploymentConfig) -> Row:
    """Return the FPIR of a rate, and its upper limit; of fewer than ten matches, the latter."""
    if rate is None:
        return {"fpir": None, "fpir_upper": None}

    def fpir(value: float) -> float:
        sizes = service.list_size, service.n_orientations
        return float(false_positive_identification(value, *sizes))

    at_rate = fpir(rate.rate) if rate.at_least_ten_matches else None
    return {"fpir": at_rate, "fpir_upper": fpir(rate.upper)}


def _differences(
    config: Config,
    first: HasherResults,
    one: HasherResults,
    first_threshold: int | None,
    threshold: int | None,
) -> Iterator[Row]:
    """Yield the difference of the recall from the first hasher's: of all transforms, and of each.

    All are None for the first hasher itself, and where one of the two has no threshold or no pairs.
    """
    counts = first.counts, one.counts
    chosen = common_pairs([*counts], common_rows(*counts))
    inside = np.zeros(len(first.counts.genuine.i), bool)
    inside[chosen[0]] = first.counts.genuine_rows(half="validation")[chosen[0]]
    kept = inside[chosen[0]]
    genuine = [each.genuine.taken(rows[kept]) for each, rows in zip(counts, chosen, strict=True)]
    clusters = first.counts.genuine_clusters[chosen[0][kept]]
    change = np.zeros(len(clusters), np.int64)
    for sign, pairs, results, t in zip(
        (-1, 1), genuine, (first, one), (first_threshold, threshold), strict=True
    ):
        oriented = results.config.deployment.orientations
        limit = -1 if t is None else results.hasher.integer_limit(t)
        change += sign * (pairs.squared(oriented) <= limit)
    known = one is not first and None not in (first_threshold, threshold)
    for number in (None, *range(len(one.counts.transforms))):
        rows = np.ones(len(change), bool) if number is None else genuine[0].transform == number
        if not known or not rows.any():
            yield dict.fromkeys(_DIFFERENCE)
            continue
        discordant = discordant_pairs(change[rows], clusters[rows])
        limits = recall_difference(change[rows], clusters[rows], config.confidence)
        values = (
            *(discordant.pairs, discordant.lost, discordant.gained, discordant.p_value),
            *map(json_number, limits),
        )
        yield dict(zip(_DIFFERENCE, values, strict=True))


def mismatch(
    config: Config, tables: Mapping[str, Sequence[Row]], found: Sequence[HasherResults]
) -> str:
    """Return which rows of the tables of a comparison are missing or others; empty if none are."""
    expected: dict[str, list[tuple[Any, ...]]] = {HASHERS: [], EQUAL_RATES: []}
    columns = {HASHERS: ("hasher", "unit"), EQUAL_RATES: ("target", "hasher", "unit", "transform")}
    if len(found) > 1:
        there = {row["target"] for row in tables.get(EQUAL_RATES) or ()}
        about = [(one.hasher.name, one.hasher.unit) for one in found]
        expected[HASHERS] = about
        expected[EQUAL_RATES] = [
            (target, *names, spec)
            for target in compared_targets(config)
            if target in there
            for names in about
            for spec in (None, *found[0].counts.transforms)
        ]
    largest = {one.hasher.name: one.hasher.largest_threshold for one in found}
    for name, keys in expected.items():
        rows = tables.get(name) or []
        if [tuple(row.get(column) for column in columns[name]) for row in rows] != keys:
            return f"rows of {name} are missing or others"
        if any((row.get("threshold") or 0) > largest[row["hasher"]] for row in rows):
            return f"a threshold of {name} is out of range"
    return ""
