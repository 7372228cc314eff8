"""The summary of a run: the numbers that describe it as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.deployment import RunThresholds
from photodna_nb.evaluation.influence import Influence
from photodna_nb.evaluation.intervals import clopper_pearson
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PAIR_SPLITS, Histogram, PairCounts
from photodna_nb.evaluation.rates import RunEstimates
from photodna_nb.evaluation.variant_hashes import VariantFailure


def build_summary(
    config: Config,
    counts: PairCounts,
    failures: Sequence[VariantFailure],
    estimates: RunEstimates,
    thresholds: RunThresholds,
    influence: Influence,
    n_left_out: int = 0,
) -> dict[str, Any]:
    """Return the numbers that describe a run as a whole.

    Parameters
    ----------
    n_left_out : int
        Number of originals that ``pairs.leave_out`` names; they are not in `counts`.

    Returns
    -------
    dict
        Numbers of originals, variants and pairs. ``recommended``: the largest threshold whose
        upper confidence limit is within the acceptable number of false matches per day, or
        None. Then ``supported`` is the largest threshold at the lowest false match rate that
        the data support. ``influential_originals``: the names of the originals without which one
        of the thresholds changes materially. ``curves``: equal error rate, area
        under the curve, average precision. ``tail``: the fit, and whether it is accepted.
        ``tail_rejection_reasons_by_half``: why it is rejected on one half alone.
        ``no_rates_reason``: empty, or why there are no rates. Only where it is so:
        ``no_recall_reason``, why there is no recall, and ``originals_unknown_detail``, the number
        of originals without a detail.
    """
    overall = estimates.all_originals
    impostor = counts.impostor_histogram()
    n_known_detail = int((~np.isnan(counts.detail)).sum())
    n_low_detail = int((counts.detail < config.detail.warn_below).sum()) if n_known_detail else None
    n_variants = int((counts.genuine.transform != ORIGINAL).sum())
    n_failed = sum(failure.transform is None for failure in failures)
    return {
        "originals": len(counts) + n_left_out + n_failed,
        "originals_hashed": len(counts),
        "originals_left_out": n_left_out,
        "originals_failed": n_failed,
        "originals_compared": int(counts.compared.sum()),
        "originals_in_selection_half": int((~counts.in_validation_half).sum()),
        "originals_in_validation_half": int(counts.in_validation_half.sum()),
        "originals_low_detail": n_low_detail,
        "proportion_low_detail": None if n_low_detail is None else n_low_detail / n_known_detail,
        **_failure_to_enrol(n_failed, n_low_detail or 0, len(counts) + n_failed, config.confidence),
        "variants": n_variants,
        "variants_failed": len(failures) - n_failed,
        "genuine_pairs": len(counts.genuine.i),
        "impostor_pairs": int(impostor.sum()),
        "impostor_pairs_of_originals": int(counts.impostor_originals.sum()),
        **{
            f"impostor_pairs_{split}": int(counts.impostor_histogram(split=split).sum())
            for split in PAIR_SPLITS
        },
        "pairs_excluded": counts.pairs_excluded,
        "pairs_identical": counts.pairs_identical,
        "pairs_low_detail": counts.pairs_low_detail,
        "median_impostor_distance": median_distance(impostor),
        "nearest_limit": counts.nearest_limit,
        "nearest_pairs_listed": len(counts.nearest.i),
        "recommended": thresholds.recommended,
        "supported": thresholds.supported,
        "influential_originals": [counts.names[row] for row in influence.material],
        "recall_uses_orientations": config.deployment.orientations,
        "curves": overall.curves.as_json(),
        "tail": None if overall.tail is None else overall.tail.as_json(),
        "tail_rejection_reasons_by_half": {
            name: half.tail.rejection_reason
            for name, half in (("selection", estimates[1]), ("validation", estimates[2]))
            if half.tail is not None and not half.tail.accepted
        },
        "no_rates_reason": overall.no_rates_reason,
        **_absences(config, counts),
    }


def _failure_to_enrol(
    n_failed: int, n_low_detail: int, n_images: int, confidence: float
) -> dict[str, float]:
    """Return the failure-to-enrol rate of independent images, with its confidence limits."""
    n = n_failed + n_low_detail
    lower, upper = clopper_pearson(n, n_images, confidence)
    values = {"": n / n_images, "_lower": float(lower), "_upper": float(upper)}
    return {f"failure_to_enrol{end}": json_number(value) for end, value in values.items()}


def _absences(config: Config, counts: PairCounts) -> dict[str, Any]:
    """Return why there is no recall, and how many originals have no detail; nothing if all is."""
    absences: dict[str, Any] = {}
    if unknown := int(np.isnan(counts.detail).sum()):
        absences["originals_unknown_detail"] = unknown
    if not len(counts.genuine.i):
        reason = "there are no genuine pairs"
        if not config.has_pictures:
            reason += " (hashes have no variants)"
        absences["no_recall_reason"] = reason
    return absences


def smallest_distance(histogram: Histogram) -> int | None:
    """Return the smallest distance, rounded up."""
    return int(np.flatnonzero(histogram)[0]) if histogram.any() else None


def median_distance(histogram: Histogram) -> int | None:
    """Return the (lower) median of the distances, rounded up."""
    total = int(histogram.sum())
    return int(np.searchsorted(np.cumsum(histogram), (total + 1) // 2)) if total else None
