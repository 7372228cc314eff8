"""The tables of a run, as JSON and CSV hold them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from photodna_nb.corpus import transforms
from photodna_nb.evaluation.category_recall import recall_by_category
from photodna_nb.evaluation.class_rates import class_tables
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.deployment import RunThresholds, identification_curve
from photodna_nb.evaluation.influence import Influence, influence_tables
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import (
    Half,
    PairCounts,
    quantile,
)
from photodna_nb.evaluation.rates import (
    RateEstimates,
    RecallSelection,
    RunEstimates,
    estimate_recalls,
)
from photodna_nb.evaluation.run_originals import configuration_name
from photodna_nb.evaluation.summary import median_distance, smallest_distance
from photodna_nb.evaluation.threshold_rows import RATE, Row, threshold_row_of
from photodna_nb.evaluation.thresholds import OperatingPoint
from photodna_nb.evaluation.thumbnails import PAIRS, Thumbnail
from photodna_nb.evaluation.variant_hashes import VariantFailure

Tables: TypeAlias = dict[str, list[Row]]

_NEAREST = 100


def build_tables(
    config: Config,
    counts: PairCounts,
    failures: Sequence[VariantFailure],
    estimates: RunEstimates,
    thresholds: RunThresholds,
    duplicates: Sequence[Sequence[int]] = (),
    influence: Influence | None = None,
    thumbnails: Mapping[Thumbnail, str] | None = None,
) -> Tables:
    """Return the tables of a run by name, each a list of rows.

    Returns
    -------
    dict of str to list of dict
        ``transforms``: distances of the variants by transform, and
        ``transforms_by_detail_bin``; ``recall`` of each transform at each named threshold;
        ``detail``: originals and impostor pairs by detail bin; ``nearest_impostors``;
        ``suspected_duplicates``; ``influence``: the originals of the nearest impostor pairs, and
        ``influence_thresholds`` without each of the first ones; ``failures``; ``curves``: rates at
        every integer threshold; ``thresholds``: the rates at the named ones;
        ``operating_points``: a threshold for each target, chosen on the selection half, and its
        rates on the validation half; ``operating_recall``: the recall of each transform there;
        ``deployment``: thresholds with an acceptable number of false matches per day. With
        categories, ``recall_by_category`` at each named threshold; with categories or several
        sources, the tables of `class_tables`. The recall of all transforms uses oriented distances
        if the deployment has eight orientations.
    """
    files = thumbnails or {}
    overall = estimates.all_originals
    named = thresholds.named
    return {
        "transforms": _transforms(counts, failures),
        "transforms_by_detail_bin": _transforms_by_detail_bin(counts),
        "recall": _recall(config, counts, named),
        "detail": _detail(counts, named),
        "nearest_impostors": _nearest_impostors(counts, files),
        "suspected_duplicates": _suspected_duplicates(counts, duplicates, files),
        **influence_tables(counts, influence or Influence([], []), files),
        "failures": [failure._asdict() for failure in failures],
        "curves": _curves(counts, estimates, config.deployment),
        "thresholds": [
            {"name": name} | threshold_row_of(counts, overall, threshold, config)
            for name, threshold in named.items()
        ],
        "operating_points": [_operating_point(point) for point in thresholds.operating_points],
        "operating_recall": _operating_recall(config, counts, thresholds.operating_points),
        "deployment": _deployment(config, counts, overall, thresholds),
        **recall_by_category(counts, named, config.confidence),
        **class_tables(config, counts, named),
    }


def _transforms(counts: PairCounts, failures: Sequence[VariantFailure]) -> list[Row]:
    """Return the distances of the variants from their originals, by transform."""
    rows = []
    for spec in counts.transforms:
        transform = transforms.parse(spec)
        names = {"transform": spec, "label": transform.label, "transform_name": transform.name}
        strength = {"strength": transform.strength, "unit": transform.unit}
        failed = sum(failure.transform == spec for failure in failures)
        impostor = counts.impostor_histogram(transform=spec)
        row = {**names, **strength, "failed": failed, **_distances(counts, spec)}
        row |= {
            "impostor_pairs": int(impostor.sum()),
            "smallest_impostor_distance": smallest_distance(impostor),
        }
        rows.append(row)
    return rows


def _transforms_by_detail_bin(counts: PairCounts) -> list[Row]:
    return [
        {"transform": spec, "detail_bin": number, **_distances(counts, spec, number)}
        for spec, number in itertools.product(counts.transforms, range(counts.n_detail_bins))
    ]


def _distances(counts: PairCounts, spec: str, detail_bin: int | None = None) -> Row:
    """Return the number of variants of a transform, and quantiles of their distances."""
    row: Row = {"genuine_pairs": 0}
    for prefix, oriented in (("", False), ("oriented_", True)):
        squared = counts.genuine_distances_squared(spec, detail_bin=detail_bin, oriented=oriented)
        row["genuine_pairs"] = len(squared)
        for name, probability in (("median", 0.5), ("p95", 0.95), ("largest", 1.0)):
            distance = None
            if len(squared):
                distance = counts.hasher.distance(quantile(squared, probability))
            row[f"{prefix}{name}_distance"] = distance
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
    """Return rows of a transform and a threshold with the estimate of the recall."""
    selections = (
        RecallSelection(
            row["transform"], row["threshold"], row["oriented"], half, row.get("detail_bin")
        )
        for row in rows
    )
    estimates = estimate_recalls(counts, selections, config.confidence)
    return [row | recall._asdict() for row, recall in zip(rows, estimates, strict=True)]


def _detail(counts: PairCounts, named: Mapping[str, int]) -> list[Row]:
    """Return the number of originals in each detail bin, and the distances of their pairs."""
    rows = []
    edges = [0.0, *counts.detail_bin_edges, None]
    bins = counts.detail_bin[counts.detail_bin >= 0]
    sizes = np.bincount(bins, minlength=counts.n_detail_bins).tolist()
    for number, impostor in enumerate(counts.impostor_by_detail_bin):
        rows.append(
            {
                "detail_bin": number,
                "detail_from": edges[number],
                "detail_to": edges[number + 1],
                "originals": sizes[number],
                "proportion": sizes[number] / len(counts),
                "impostor_pairs": int(impostor.sum()),
                "smallest_impostor_distance": smallest_distance(impostor),
                "median_impostor_distance": median_distance(impostor),
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
            "distance": counts.hasher.distance(squared),
            "distance_squared": squared,
            "thumbnail": thumbnails.get(Thumbnail.of_pair(i, transform, copy))
            if rank <= PAIRS
            else None,
            "other_thumbnail": (
                thumbnails.get(Thumbnail.of_pair(j, ORIGINAL)) if rank <= PAIRS else None
            ),
            **({"copy": None if copy < 0 else counts.copies[copy]} if counts.copies else {}),
        }
        for rank, (i, j, transform, squared, copy) in enumerate(zip(*columns, strict=True), start=1)
    ]


def _suspected_duplicates(
    counts: PairCounts, duplicates: Sequence[Sequence[int]], thumbnails: Mapping[Thumbnail, str]
) -> list[Row]:
    """Return the originals that may be duplicates, by group, as ``pairs.duplicates`` names them."""
    return [
        {
            "group": number,
            "original": counts.names[row],
            "configuration_name": configuration_name(counts.names[row], counts.digests[row]),
            "thumbnail": thumbnails.get(Thumbnail.of_duplicate(row)),
        }
        for number, rows in enumerate(duplicates, start=1)
        for row in rows
    ]


def _curves(counts: PairCounts, estimates: RunEstimates, service: DeploymentConfig) -> list[Row]:
    """Return matches and rates at every integer threshold, up to where all pairs match."""
    overall, selection, validation = estimates
    curves, rates = overall.curves, overall.false_match_rates
    columns: dict[str, Any] = {
        "genuine_matches": np.cumsum(counts.genuine_histogram()),
        "impostor_matches": curves.impostor_matches,
        "impostor_matches_of_originals": np.cumsum(counts.impostor_histogram(variants=False)),
        "genuine_matches_oriented": np.cumsum(counts.genuine_histogram(oriented=True)),
        "genuine_matches_selection": np.cumsum(selection.genuine_histogram),
        "impostor_matches_selection": np.cumsum(selection.impostor_histogram),
        "genuine_matches_validation": np.cumsum(validation.genuine_histogram),
        "impostor_matches_validation": np.cumsum(validation.impostor_histogram),
        "recall": curves.recall,
        "recall_lower": overall.recall_lower,
        "recall_upper": overall.recall_upper,
        "false_non_match_rate": curves.false_non_match_rate,
        "false_match_rate": curves.false_match_rate,
        "precision": curves.precision,
    }
    unknown = np.full(len(curves.recall), None)
    for column, name in zip(RATE[1:], ("lower", "upper", "at_least_ten_matches"), strict=True):
        columns[column] = unknown if rates is None else getattr(rates, name)
    if rates is None:
        columns["fpir"] = columns["fpir_upper"] = unknown
    else:
        fpir = identification_curve(rates, overall.tail, service)
        columns["fpir"], columns["fpir_upper"] = fpir
    total = overall.genuine_histogram + overall.impostor_histogram
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
            **threshold_row_of(counts, estimates, choice.threshold, config),
        }
        for criterion, choice in thresholds.deployment.items()
    ]


def _operating_point(point: OperatingPoint) -> Row:
    """Return an operating point as one row."""
    row = point.as_json()
    choice, rate = row.pop("choice"), row.pop("false_match_rate") or {}
    columns = "impostor_matches", "impostor_pairs", *RATE[:3]
    names = "matches", "pairs", "rate", "lower", "upper"
    counted = dict(zip(columns, map(rate.get, names), strict=True))
    return {**choice, **row, **counted}
