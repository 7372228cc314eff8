"""The summary and the tables of a run, as JSON and CSV hold them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from photodna_nb.corpus import transforms
from photodna_nb.evaluation.config import Config, DeploymentConfig
from photodna_nb.evaluation.deployment import RunThresholds, expected_matches
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.originals import exclusion_name
from photodna_nb.evaluation.pair_counts import (
    PAIR_HALVES,
    Cells,
    Half,
    PairCounts,
    quantile_squared,
)
from photodna_nb.evaluation.rates import (
    RateEstimates,
    RecallQuery,
    RunEstimates,
    estimate_recalls,
)
from photodna_nb.evaluation.thresholds import OperatingPoint
from photodna_nb.evaluation.thumbnails import PAIRS, Thumbnail
from photodna_nb.evaluation.variant_hashes import ORIGINAL

# A name or number in each column, None where there is none.
Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = dict[str, list[Row]]

_NEAREST = 100
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


class VariantFailure(NamedTuple):
    """An original, or a variant of it, without a hash.

    original : str
        Name of the original.
    transform : str or None
        The transform; None if the original itself failed.
    error : str
        What was wrong, and what to do.
    """

    original: str
    transform: str | None
    error: str


def build_summary(
    config: Config,
    counts: PairCounts,
    failures: Sequence[VariantFailure],
    estimates: RunEstimates,
    thresholds: RunThresholds,
) -> dict[str, Any]:
    """Return the numbers of which a run has one.

    Returns
    -------
    dict
        Numbers of originals, variants and pairs. ``recommended``: the largest threshold with
        an acceptable number of false matches per day by the upper end of the interval; None
        if the data cannot show that there is one. Then ``supported`` is the largest threshold
        at the lowest false match rate that they can show. ``curves``: equal error rate, area
        under the curve, average precision. ``tail``: the fit, and whether it is accepted.
        ``tail_rejection_reasons_by_half``: why it is rejected on one half alone.
        ``no_rates_reason``: empty, or why there are no rates.
    """
    whole = estimates.all_originals
    impostor = counts.impostor()
    n_low = int((counts.detail < config.detail.minimum).sum())
    n_variants = int((counts.genuine_distance_squared >= 0).sum())
    n_failed = sum(failure.transform is None for failure in failures)
    return {
        "originals": len(counts) + n_failed,
        "originals_hashed": len(counts),
        "originals_failed": n_failed,
        "originals_compared": int(counts.compared.sum()),
        "originals_in_selection_half": int((~counts.in_validation_half).sum()),
        "originals_in_validation_half": int(counts.in_validation_half.sum()),
        "originals_below_minimum_detail": n_low,
        "share_below_minimum_detail": n_low / len(counts),
        "variants": n_variants,
        "variants_failed": len(failures) - n_failed,
        "genuine_pairs": n_variants,
        "impostor_pairs": int(impostor.sum()),
        "impostor_pairs_of_originals": int(counts.impostor_originals.sum()),
        **{f"impostor_pairs_{half}": int(counts.impostor(half=half).sum()) for half in PAIR_HALVES},
        "pairs_excluded": counts.pairs_excluded,
        "pairs_identical": counts.pairs_identical,
        "pairs_low_detail": counts.pairs_low_detail,
        "impostor_median": _median(impostor),
        "nearest_limit": counts.nearest_limit,
        "nearest_pairs_listed": len(counts.nearest.i),
        "recommended": thresholds.recommended,
        "supported": thresholds.supported,
        "recall_oriented": config.deployment.orientations,
        "curves": whole.curves.as_json(),
        "tail": None if whole.tail is None else whole.tail.as_json(),
        "tail_rejection_reasons_by_half": {
            name: half.tail.rejection_reason
            for name, half in (("selection", estimates[1]), ("validation", estimates[2]))
            if half.tail is not None and not half.tail.accepted
        },
        "no_rates_reason": whole.no_rates_reason,
    }


def build_tables(
    config: Config,
    counts: PairCounts,
    failures: Sequence[VariantFailure],
    estimates: RunEstimates,
    thresholds: RunThresholds,
    duplicates: Sequence[Sequence[int]] = (),
    thumbnails: Mapping[Thumbnail, str] | None = None,
) -> Tables:
    """Return the tables of a run by name, each a list of rows.

    Returns
    -------
    dict of str to list of dict
        ``transforms``: distances of the variants by transform, and
        ``transforms_by_detail_bin``; ``recall`` of each transform at each named threshold;
        ``detail``: originals and impostor pairs by detail bin; ``nearest_impostors``;
        ``suspected_duplicates``; ``failures``; ``curves``: rates at every integer threshold;
        ``thresholds``: the rates at the named ones; ``operating_points``: a threshold for each
        target, chosen on the selection half, and its rates on the validation half;
        ``operating_recall``: the recall of each transform there; ``deployment``: thresholds
        with an acceptable number of false matches per day. Where no transform is named, recall
        is that of the closest of eight orientations if the deployment has them.
    """
    files = thumbnails or {}
    whole = estimates.all_originals
    named = thresholds.named
    return {
        "transforms": _transforms(counts, failures),
        "transforms_by_detail_bin": _transforms_by_detail_bin(counts),
        "recall": _recall(config, counts, named),
        "detail": _detail(counts, named),
        "nearest_impostors": _nearest_impostors(counts, files),
        "suspected_duplicates": _suspected_duplicates(counts, duplicates, files),
        "failures": [failure._asdict() for failure in failures],
        "curves": _curves(counts, estimates),
        "thresholds": [
            {"name": name} | _threshold_row(counts, whole, threshold, config.deployment)
            for name, threshold in named.items()
        ],
        "operating_points": [_operating_point(point) for point in thresholds.operating_points],
        "operating_recall": _operating_recall(config, counts, thresholds.operating_points),
        "deployment": _deployment(config, counts, whole, thresholds),
    }


def threshold_row(
    estimates: RateEstimates, threshold: int | None, service: DeploymentConfig
) -> Row:
    """Return recall, false match rate and expected matches per day at a threshold.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of genuine and impostor pairs.
    threshold : int or None
        L2 distance, 0 to 3060; None for a row without numbers.
    service : DeploymentConfig
        The list and the queries of a day.

    Returns
    -------
    dict of str to int, float, bool, str or None
        A row of ``Results.tables["thresholds"]``, except for its name. What is not known, for
        want of pairs or of an accepted tail, is None.

    Raises
    ------
    ArgumentError
        The threshold was not counted, or a number of `service` is out of range.
    """
    curves, rates, tail = estimates.curves, estimates.rates, estimates.tail
    row: Row = {"threshold": threshold, "genuine_pairs": curves.genuine_pairs}
    row |= dict.fromkeys(("genuine_matches", *_RECALL))
    row |= {"impostor_pairs": curves.impostor_pairs, "impostor_matches": None}
    row |= dict.fromkeys((*_RATE, *_TAIL, *_PER_DAY.values()))
    if threshold is None:
        return row
    row["genuine_matches"] = int(curves.genuine_matches[threshold])
    row["impostor_matches"] = int(curves.impostor_matches[threshold])
    if curves.genuine_pairs:
        recall = curves.recall, estimates.recall_lower, estimates.recall_upper
        row |= zip(_RECALL, (float(column[threshold]) for column in recall), strict=True)
    if rates is None:
        return row
    rate = rates.at(threshold)
    row |= zip(_RATE, (rate.rate, rate.lower, rate.upper, rate.at_least_ten_matches), strict=True)
    if tail is not None and (tail_rate := tail.reliable_rate(threshold)) is not None:
        row |= zip(_TAIL, tail_rate, strict=True)
    per_day = expected_matches(
        threshold, service.list_size, service.queries_per_day, rates, tail, service.n_orientations
    )
    return row | {column: getattr(per_day, name) for name, column in _PER_DAY.items()}


def _threshold_row(
    counts: PairCounts, estimates: RateEstimates, threshold: int | None, service: DeploymentConfig
) -> Row:
    """Return `threshold_row`, with the genuine matches in one and in the best orientation."""
    row = threshold_row(estimates, threshold, service)
    first = {name: row.pop(name) for name in ("threshold", "genuine_pairs", "genuine_matches")}
    for name, oriented in (("genuine_matches", False), ("genuine_matches_oriented", True)):
        matches = None
        if threshold is not None:
            matches = int(counts.genuine(oriented=oriented)[: threshold + 1].sum())
        first[name] = matches
    return {name: json_number(value) for name, value in (first | row).items()}


def _transforms(counts: PairCounts, failures: Sequence[VariantFailure]) -> list[Row]:
    """Return the distances of the variants from their originals, by transform."""
    rows = []
    for spec in counts.transforms:
        transform = transforms.parse(spec)
        names = {"transform": spec, "label": transform.label, "transform_name": transform.name}
        strength = {"strength": transform.strength, "unit": transform.unit}
        failed = sum(failure.transform == spec for failure in failures)
        impostor = counts.impostor(transform=spec)
        row = {**names, **strength, "failed": failed, **_distances(counts, spec)}
        row |= {"impostor_pairs": int(impostor.sum()), "impostor_nearest": _smallest(impostor)}
        rows.append(row)
    return rows


def _transforms_by_detail_bin(counts: PairCounts) -> list[Row]:
    return [
        {"transform": spec, "detail_bin": number, **_distances(counts, spec, number)}
        for spec, number in itertools.product(counts.transforms, range(counts.n_detail_bins))
    ]


def _distances(counts: PairCounts, spec: str, detail_bin: int | None = None) -> Row:
    """Return the number of variants of a transform, and quantiles of their distances."""
    row: Row = {"n": 0}
    for prefix, oriented in (("", False), ("oriented_", True)):
        squared = counts.genuine_distances(spec, detail_bin=detail_bin, oriented=oriented)
        row["n"] = len(squared)
        for name, share in (("median", 0.5), ("p95", 0.95), ("largest", 1.0)):
            distance = math.sqrt(quantile_squared(squared, share)) if len(squared) else None
            row[prefix + name] = distance
    return row


def _recall(config: Config, counts: PairCounts, named: Mapping[str, int]) -> list[Row]:
    """Return the recall of each transform at each named threshold, in all and by detail bin."""
    columns = "transform", "detail_bin", "oriented", "threshold_name", "threshold"
    bins = (None, *range(counts.n_detail_bins))
    keys = itertools.product(counts.transforms, bins, (False, True), named.items())
    rows = [dict(zip(columns, (*key, *name), strict=True)) for *key, name in keys]
    return _with_recall(config, counts, rows)


def _operating_recall(
    config: Config, counts: PairCounts, points: Sequence[OperatingPoint]
) -> list[Row]:
    """Return the recall of each transform on the validation half, at each operating point."""
    choices = [point.choice for point in points if point.choice.threshold is not None]
    columns = "target", "conservative", "threshold"
    rows = [
        {
            "transform": spec,
            **{name: getattr(choice, name) for name in columns},
            "oriented": oriented,
        }
        for spec, choice, oriented in itertools.product(counts.transforms, choices, (False, True))
    ]
    return _with_recall(config, counts, rows, "validation")


def _with_recall(
    config: Config, counts: PairCounts, rows: Sequence[Row], half: Half | None = None
) -> list[Row]:
    """Return rows of a transform, threshold and orientation with the estimate of the recall."""
    queries = (
        RecallQuery(
            row["transform"], row["threshold"], row["oriented"], half, row.get("detail_bin")
        )
        for row in rows
    )
    estimates = estimate_recalls(counts, queries, config.confidence)
    return [row | recall._asdict() for row, recall in zip(rows, estimates, strict=True)]


def _detail(counts: PairCounts, named: Mapping[str, int]) -> list[Row]:
    """Return the number of originals in each detail bin, and the distances of their pairs."""
    rows = []
    edges = [0.0, *counts.detail_bin_edges, None]
    sizes = np.bincount(counts.detail_bin, minlength=counts.n_detail_bins).tolist()
    for number, impostor in enumerate(counts.impostor_by_detail_bin):
        rows.append(
            {
                "detail_bin": number,
                "detail_from": edges[number],
                "detail_to": edges[number + 1],
                "originals": sizes[number],
                "share": sizes[number] / len(counts),
                "impostor_pairs": int(impostor.sum()),
                "impostor_nearest": _smallest(impostor),
                "impostor_median": _median(impostor),
                **{
                    f"impostor_matches_{name}": int(impostor[: threshold + 1].sum())
                    for name, threshold in named.items()
                },
            }
        )
    return rows


def _nearest_impostors(counts: PairCounts, thumbnails: Mapping[Thumbnail, str]) -> list[Row]:
    """Return the nearest impostor pairs, at most one of the same two originals."""
    columns = (column.tolist() for column in counts.nearest_pairs(_NEAREST))
    return [
        {
            "rank": rank,
            "original": counts.names[i],
            "other": counts.names[j],
            "transform": None if transform == ORIGINAL else counts.transforms[transform],
            "distance": math.sqrt(squared),
            "distance_squared": squared,
            "thumbnail": thumbnails.get(Thumbnail.of_pair(i, transform)) if rank <= PAIRS else None,
            "other_thumbnail": (
                thumbnails.get(Thumbnail.of_pair(j, ORIGINAL)) if rank <= PAIRS else None
            ),
        }
        for rank, (i, j, transform, squared) in enumerate(zip(*columns, strict=True), start=1)
    ]


def _suspected_duplicates(
    counts: PairCounts, duplicates: Sequence[Sequence[int]], thumbnails: Mapping[Thumbnail, str]
) -> list[Row]:
    """Return the originals that may be duplicates, by group, with their names in ``exclude``."""
    return [
        {
            "group": number,
            "original": counts.names[row],
            "exclude_as": exclusion_name(counts.names[row], counts.digests[row]),
            "thumbnail": thumbnails.get(Thumbnail.of_duplicate(row)),
        }
        for number, rows in enumerate(duplicates, start=1)
        for row in rows
    ]


def _curves(counts: PairCounts, estimates: RunEstimates) -> list[Row]:
    """Return matches and rates at every integer threshold, up to where all pairs match."""
    whole, selection, validation = estimates
    curves, rates = whole.curves, whole.rates
    columns: dict[str, Any] = {
        "genuine_matches": np.cumsum(counts.genuine()),
        "impostor_matches": curves.impostor_matches,
        "impostor_matches_of_originals": np.cumsum(counts.impostor(variants=False)),
        "genuine_matches_oriented": np.cumsum(counts.genuine(oriented=True)),
        "genuine_matches_selection": np.cumsum(selection.genuine),
        "impostor_matches_selection": np.cumsum(selection.impostor),
        "genuine_matches_validation": np.cumsum(validation.genuine),
        "impostor_matches_validation": np.cumsum(validation.impostor),
        "recall": curves.recall,
        "recall_lower": whole.recall_lower,
        "recall_upper": whole.recall_upper,
        "false_non_match_rate": curves.false_non_match_rate,
        "false_match_rate": curves.false_match_rate,
        "precision": curves.precision,
    }
    unknown = np.full(len(curves.recall), None)
    for column, name in zip(_RATE[1:], ("lower", "upper", "at_least_ten_matches"), strict=True):
        columns[column] = unknown if rates is None else getattr(rates, name)
    total = whole.genuine + whole.impostor
    last = int(np.flatnonzero(total)[-1]) if total.any() else 0
    rows = zip(*(column[: last + 1].tolist() for column in columns.values()), strict=True)
    return [
        {"threshold": threshold} | dict(zip(columns, map(json_number, row), strict=True))
        for threshold, row in enumerate(rows)
    ]


def _deployment(
    config: Config, counts: PairCounts, estimates: RateEstimates, thresholds: RunThresholds
) -> list[Row]:
    """Return the thresholds for the deployment, and their rates."""
    service = config.deployment
    return [
        {
            "criterion": criterion,
            "max_false_matches_per_day": service.max_false_matches_per_day,
            "list_size": service.list_size,
            "queries_per_day": service.queries_per_day,
            "orientations": service.n_orientations,
            **choice.as_json(),
            **_threshold_row(counts, estimates, choice.threshold, service),
        }
        for criterion, choice in thresholds.deployment.items()
    ]


def _operating_point(point: OperatingPoint) -> Row:
    """Return an operating point as one row."""
    row = point.as_json()
    choice, rate = row.pop("choice"), row.pop("false_match_rate") or {}
    columns = "impostor_matches", "impostor_pairs", *_RATE[:3]
    names = "matches", "pairs", "rate", "lower", "upper"
    counted = dict(zip(columns, map(rate.get, names), strict=True))
    return {**choice, **row, **counted}


def _smallest(cells: Cells) -> int | None:
    """Return the first cell that holds a pair: the smallest distance, rounded up."""
    return int(np.flatnonzero(cells)[0]) if cells.any() else None


def _median(cells: Cells) -> int | None:
    """Return the (lower) median of the distances, rounded up."""
    total = int(cells.sum())
    return int(np.searchsorted(np.cumsum(cells), (total + 1) // 2)) if total else None
