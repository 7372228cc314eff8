"""What ``results.json`` holds: the type and range of each number, and which rows there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, defstruct

from photodna_nb.corpus.transforms import COPIES, parse
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.hasher_scale import MOST_BINS
from photodna_nb.evaluation.pair_counts import PAIR_SPLITS, PairCounts
from photodna_nb.evaluation.run_files import THUMBNAIL_PATTERN

_Types: TypeAlias = dict[str, Any]

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
_Proportion: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
# Of any hasher; `mismatch` knows the largest distance of this one.
_Distance: TypeAlias = Annotated[float, Meta(ge=0, le=MOST_BINS)]
_Threshold: TypeAlias = Annotated[int, Meta(ge=0, le=MOST_BINS)]
_Thumbnail: TypeAlias = Annotated[str, Meta(pattern=rf"\A{THUMBNAIL_PATTERN}\Z")]


def _types(type_: Any, names: str) -> _Types:
    """Return one type for several names."""
    return dict.fromkeys(names.split(), type_)


_RECALL = _types(_Proportion, "recall recall_lower recall_upper")
_RATE = _types(_Proportion, "false_match_rate false_match_rate_lower false_match_rate_upper")
_TAIL = _types(_Proportion, "tail_rate tail_lower tail_upper") | {"tail_beyond_validation": bool}
_PER_DAY = {
    **_types(
        _Amount,
        "comparisons_per_day expected_matches_per_day expected_matches_per_day_lower "
        "expected_matches_per_day_upper",
    ),
    "expected_matches_source": Literal["counted", "tail", "disjoint pairs"],
    "expected_matches_beyond_validation": bool,
}
_DISTANCES = _types(
    _Distance,
    "median_distance p95_distance largest_distance oriented_median_distance "
    "oriented_p95_distance oriented_largest_distance",
)
_SOURCE = Literal["counted", "disjoint pairs", "tail", "none"]
_CRITERION = Literal["target", "conservative", "supported"]
_CHOICE = {
    "target": _Proportion,
    "conservative": bool,
    "source": _SOURCE,
    "reason": str,
    "beyond_validation": bool,
}
_IDENTIFICATION = _types(_Proportion, "fpir fpir_upper fnir fnir_lower fnir_upper")
_AT_THRESHOLD = {
    **_types(_Proportion, "weighted_recall weighted_recall_lower weighted_recall_upper"),
    **_types(_Count, "genuine_matches genuine_matches_oriented impostor_matches"),
    **_RECALL,
    **_RATE,
    "at_least_ten_matches": bool,
    **_TAIL,
    **_PER_DAY,
    **_IDENTIFICATION,
}
_PAIRS = _types(_Count, "genuine_pairs impostor_pairs")


def _row(
    known: _Types, unknown: _Types | None = None, optional: _Types | None = None
) -> type[Struct]:
    """Return the schema of an object with other keys than these refused.

    Parameters
    ----------
    known, unknown : dict
        Types by name; values of the latter may be None.
    optional : dict
        Types by name of what may be missing.
    """
    maybe = {name: type_ | None for name, type_ in (unknown or {}).items()}
    absent: list[tuple[str, Any, Any]] = [
        (name, type_ | None, None) for name, type_ in (optional or {}).items()
    ]
    return defstruct("Row", [*known.items(), *maybe.items(), *absent], forbid_unknown_fields=True)


_Curves = _row(
    _PAIRS,
    _types(_Proportion, "equal_error_rate auc average_precision recall_at_90_precision")
    | {"equal_error_threshold": _Distance, "threshold_at_90_precision": _Threshold},
)
_Tail = _row(
    {"accepted": bool, "rejection_reason": str, "confidence": _Proportion}
    | _types(_Count, "images pairs exceedances"),
    _types(
        float,
        "fit_threshold effective_exceedances exceedance_probability endpoint exponent "
        "smallest_distance rate_at_ten_matches statistic p_value shape scale",
    )
    | {"threshold_at_ten_matches": _Threshold}
    | _types(_Proportion, "validated_down_to counted_upper"),
)
_Summary = _row(
    _types(
        _Count,
        "originals originals_hashed originals_left_out originals_failed originals_compared "
        "originals_in_selection_half originals_in_validation_half variants "
        "variants_failed impostor_pairs_of_originals pairs_excluded pairs_identical "
        "pairs_low_detail nearest_pairs_listed",
    )
    | {f"impostor_pairs_{split}": _Count for split in PAIR_SPLITS}
    | _PAIRS
    | {
        "nearest_limit": Annotated[int, Meta(ge=-1, le=MOST_BINS)],
        "recall_uses_orientations": bool,
        "curves": _Curves,
        "tail_rejection_reasons_by_half": dict[str, str],
        "no_rates_reason": str,
        "influential_originals": list[str],
    },
    _types(_Threshold, "median_impostor_distance recommended supported")
    | {"originals_low_detail": _Count, "proportion_low_detail": _Proportion, "tail": _Tail}
    | _types(_Proportion, "failure_to_enrol failure_to_enrol_lower failure_to_enrol_upper"),
    {"originals_unknown_detail": _Count, "no_recall_reason": str},
)
_RecallByCategory: Any = _row(
    _types(str, "category threshold_name")
    | {"oriented": bool, "threshold": _Threshold}
    | _types(_Count, "genuine_pairs matches"),
    _RECALL,
)


def _classes(column: str, known: _Types, unknown: _Types) -> Any:
    """Return the schema of rows of the impostor pairs of two classes of originals."""
    names = {column: str, f"other_{column}": str}
    return _row(names | _types(_Count, "originals other_originals impostor_pairs") | known, unknown)


_AT_CLASSES = (
    {"threshold_name": str, "threshold": _Threshold, "impostor_matches": _Count},
    _types(_Distance, "smallest_impostor_distance median_impostor_distance")
    | _RATE
    | {"at_least_ten_matches": bool},
)
_HASHER = {"hasher": str, "unit": Literal["L2", "L1", "Hamming"]}
_OF_ALL_HASHERS = "hashers", "equal_rates"
_OPTIONAL_TABLES: dict[str, Any] = {
    "hashers": _row(
        _HASHER
        | {"listed": str, "quality": str, "largest_distance": _Distance}
        | _types(_Count, "values bytes originals_hashed originals_failed variants_failed"),
        {"low_quality": _Amount}
        | _types(_Proportion, "proportion_low_quality equal_error_rate auc average_precision"),
    ),
    "equal_rates": _row(
        _HASHER | {"target": _Proportion, "reason": str},
        {"threshold": _Threshold, "transform": str}
        | {"meets_target": Literal["yes", "no", "unclear", "extrapolated"]}
        | _types(_Count, "genuine_pairs matches common_pairs lost gained")
        | _types(
            Annotated[float, Meta(ge=-1, le=1)],
            "recall_difference recall_difference_lower recall_difference_upper",
        )
        | {"p_value": _Proportion}
        | _RECALL
        | _RATE,
        _IDENTIFICATION,  # in results of later versions
    ),
    "recall_by_category": _RecallByCategory,
    "false_match_rates_by_category": _classes("category", *_AT_CLASSES),
    "false_match_rates_by_source": _classes("source_name", *_AT_CLASSES),
    "thresholds_by_source": _classes("source_name", _CHOICE, {"threshold": _Threshold}),
}
_Tables = _row(
    {
        name: list[type_]  # type: ignore[valid-type]
        for name, type_ in {
            "transforms": _row(
                _types(str, "transform label transform_name") | {"failed": _Count} | _PAIRS,
                {"strength": float, "unit": str, "smallest_impostor_distance": _Distance}
                | _DISTANCES,
            ),
            "transforms_by_detail_bin": _row(
                {"transform": str, "detail_bin": _Count, "genuine_pairs": _Count}, _DISTANCES
            ),
            "recall": _row(
                {"transform": str, "oriented": bool, "threshold_name": str}
                | {"threshold": _Threshold}
                | _types(_Count, "genuine_pairs matches"),
                {"detail_bin": _Count} | _RECALL,
            ),
            "detail": dict[str, float | None],  # it has a column for each named threshold
            "nearest_impostors": _row(
                _types(str, "original other")
                | {"rank": _Count, "distance": _Distance, "distance_squared": _Count},
                {"transform": str} | _types(_Thumbnail, "thumbnail other_thumbnail"),
                {"copy": str},
            ),
            "suspected_duplicates": _row(
                {"group": _Count} | _types(str, "original configuration_name"),
                {"thumbnail": _Thumbnail},
            ),
            "influence": _row(
                _types(_Count, "rank pairs nearest_pairs distance_squared")
                | _types(str, "original configuration_name")
                | {"proportion": _Proportion, "distance": _Distance},
                {"thumbnail": _Thumbnail},
            ),
            "influence_thresholds": _row(
                {"original": str}
                | _types(_CRITERION, "criterion criterion_without")
                | _types(_Proportion, "target target_without")
                | _types(_SOURCE, "source source_without")
                | _types(bool, "beyond_validation beyond_validation_without material"),
                _types(_Threshold, "threshold threshold_without"),
            ),
            "failures": _row(_types(str, "original error"), {"transform": str}),
            "curves": _row(
                {"threshold": _Threshold}
                | _types(
                    _Count,
                    "genuine_matches impostor_matches impostor_matches_of_originals "
                    "genuine_matches_oriented genuine_matches_selection "
                    "impostor_matches_selection genuine_matches_validation "
                    "impostor_matches_validation",
                ),
                _types(_Proportion, "false_non_match_rate precision fpir fpir_upper")
                | _RECALL
                | _RATE
                | {"at_least_ten_matches": bool},
            ),
            "thresholds": _row(
                {"name": str, "threshold": _Threshold} | _PAIRS,
                _AT_THRESHOLD,
            ),
            "operating_points": _row(
                _CHOICE,
                {"threshold": _Threshold, "extrapolated": bool}
                | {"meets_target": Literal["yes", "no", "unclear", "extrapolated"]}
                | _types(_Count, "genuine_matches impostor_matches")
                | _PAIRS
                | _RECALL
                | _RATE
                | _TAIL,
            ),
            "operating_recall": _row(
                {"transform": str, "target": _Proportion, "conservative": bool}
                | {"threshold": _Threshold, "oriented": bool}
                | _types(_Count, "genuine_pairs matches"),
                _RECALL,
            ),
            "deployment": _row(
                {
                    "criterion": Literal["estimate", "conservative", "supported"],
                    "max_false_matches_per_day": _Amount,
                    **_types(_Count, "list_size queries_per_day orientations"),
                    **_CHOICE,
                    **_PAIRS,
                },
                {"threshold": _Threshold} | _AT_THRESHOLD,
            ),
        }.items()
    },
    optional={
        name: list[type_]  # type: ignore[valid-type]
        for name, type_ in _OPTIONAL_TABLES.items()
    },
)
_WITHIN = ("threshold", "distance", "recommended", "supported", "nearest_limit", *_DISTANCES)
_DETAIL_UNKNOWN = {"detail_to", "smallest_impostor_distance", "median_impostor_distance"}
_DETAIL = {"detail_bin", "detail_from", "originals", "proportion", "impostor_pairs"}
ResultsFile = _row({"schema": int, "summary": _Summary, "tables": _Tables})


def mismatch(
    summary: Mapping[str, Any],
    tables: Mapping[str, Any],
    counts: PairCounts,
    config: Config,
    inputs: Mapping[str, str | None],
) -> str:
    """Return which part of the results does not belong to the others; empty if all do.

    Parameters
    ----------
    summary, tables : dict
        Of ``results.json``, by its schema.
    counts : PairCounts
        Counts of the pairs.
    config : Config
        The configuration.
    inputs : dict of str to (str or None)
        Digests of the originals by name.
    """
    return next(_mismatches(summary, tables, counts, config, inputs), "")


def _mismatches(
    summary: Mapping[str, Any],
    tables: Mapping[str, Any],
    counts: PairCounts,
    config: Config,
    inputs: Mapping[str, str | None],
) -> Iterator[str]:
    specs = tuple(transform.spec for transform in config.transforms)
    largest = counts.hasher.largest_threshold
    of_hasher = (rows for name, rows in tables.items() if rows and name not in _OF_ALL_HASHERS)
    for row in (summary, *itertools.chain(*of_hasher)):
        if any((row.get(name) or 0) > largest for name in _WITHIN):
            yield "a distance is out of range"
    originals = dict(zip(counts.names, counts.digests, strict=True))
    labels = counts.transforms[len(specs) :]
    of_copies = config.variants.files is not None and all(one.startswith(COPIES) for one in labels)
    if counts.transforms[: len(specs)] != specs or (labels and not of_copies):
        yield "the counts are of other transforms"
    specs = counts.transforms
    if len(originals) < len(counts) or not originals.items() <= inputs.items():
        yield "the counts are of other originals"
    if counts.detail_bin_edges != config.detail.bins:
        yield "the counts have other detail bins"
    named = [(row["name"], row["threshold"]) for row in tables["thresholds"]]
    if len(dict(named)) < len(named) or dict(named[: len(config.thresholds.named)]) != dict(
        config.thresholds.named
    ):
        yield "it has other thresholds"
    bins = range(counts.n_detail_bins)
    names = "transform", "detail_bin", "oriented", "threshold_name", "threshold"
    recalls = itertools.product(specs, (None, *bins), (False, True), named)
    for table, columns, keys in (
        (
            "transforms",
            ("transform", "label", "transform_name"),
            [(one.spec, one.label, one.name) for one in map(parse, specs)],
        ),
        ("transforms_by_detail_bin", names[:2], list(itertools.product(specs, bins))),
        ("recall", names, [(*key, *name) for *key, name in recalls]),
        ("detail", ("detail_bin",), [(number,) for number in bins]),
        ("curves", ("threshold",), [(t,) for t in range(max(len(tables["curves"]), 1))]),
        ("deployment", ("criterion",), [("estimate",), ("conservative",), ("supported",)]),
    ):
        found = [tuple(row.get(name) for name in columns) for row in tables[table]]
        if table == "deployment" and len(found) == 2:
            keys = keys[:2]
        if found != keys:
            yield f"rows of {table} are missing or others"
    detail = {*_DETAIL, *(f"impostor_matches_{name}" for name, _ in named)}
    for row in tables["detail"]:
        if (
            not detail | _DETAIL_UNKNOWN <= row.keys()
            or any(row[name] is None for name in detail)
            or any(number is not None and number < 0 for number in row.values())
            or row["proportion"] > 1
        ):
            yield "numbers of detail are missing or out of range"
    for row in (*tables["transforms"], *tables["nearest_impostors"]):
        if row["transform"] not in (*specs, None):
            yield "it has other transforms"
    yield from _unsupported(summary, tables, named)


def _unsupported(
    summary: Mapping[str, Any], tables: Mapping[str, Any], named: list[tuple[str, int]]
) -> Iterator[str]:
    """Yield which values are missing that others need."""
    reported = summary["recommended"] or summary["supported"]
    if reported is not None and (not named or named[-1][1] != reported):
        yield "the reported threshold is missing"
    influential = {row["original"] for row in tables["influence"]}
    if not influential.issuperset(row["original"] for row in tables["influence_thresholds"]):
        yield "influential originals are missing"
    for row in (*tables["operating_points"], *tables["deployment"]):
        if (row["threshold"] is None) != (row["source"] == "none"):
            yield "a threshold has no source, or none has one"
        if row["threshold"] is not None and not row["target"]:
            yield "a threshold has no target"
    for row in (*tables["thresholds"], *tables["deployment"]):
        if row["expected_matches_source"] is None:
            continue
        if not row["comparisons_per_day"] or row["expected_matches_per_day_upper"] is None:
            yield "false matches per day are missing"
        if row["expected_matches_source"] == "tail" and summary["tail"] is None:
            yield "the tail is missing"
