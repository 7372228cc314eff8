"""Recall by category of the originals, or of labelled pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.intervals import clustered_recall_interval
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import PairCounts


def genuine_categories(counts: PairCounts) -> tuple[tuple[str, ...], NDArray[np.int32]] | None:
    """Return the names of the categories, and the number of that of each genuine pair; or None.

    The category of a variant is that of its original. A pair of two originals of different
    categories is in none, -1.
    """
    if counts.labelled is not None:
        labelled = counts.labelled
        return (labelled.names, labelled.genuine) if labelled.are_given else None
    if (partition := counts.partitions.get("categories")) is None:
        return None
    first, second = (partition.number[rows] for rows in (counts.genuine.i, counts.genuine.j))
    return partition.names, np.where(first == second, first, np.int32(-1))


def recall_by_category(
    counts: PairCounts, named: Mapping[str, int], confidence: float
) -> dict[str, list[dict[str, Any]]]:
    """Return the table ``recall_by_category``; nothing if there are no categories.

    Parameters
    ----------
    counts : PairCounts
        Pairs of a run.
    named : dict of str to int
        Thresholds by name.
    confidence : float
        Confidence level of the intervals, by `clustered_recall_interval`.
    """
    found = genuine_categories(counts)
    if found is None:
        return {}
    names, numbers = found
    rows = itertools.chain.from_iterable(
        _rows(counts, name, numbers == number, oriented, named, confidence)
        for (number, name), oriented in itertools.product(enumerate(names), (False, True))
    )
    return {"recall_by_category": list(rows)}


def _rows(
    counts: PairCounts,
    name: str,
    rows: NDArray[np.bool_],
    oriented: bool,
    named: Mapping[str, int],
    confidence: float,
) -> Iterator[dict[str, Any]]:
    integers = counts.genuine.squared(oriented)[rows]
    lower, upper = clustered_recall_interval(
        counts.hasher.distances(integers),
        counts.genuine_clusters[rows],
        counts.hasher.n_bins,
        confidence,
    )
    for threshold_name, threshold in named.items():
        matches = int((integers <= counts.hasher.integer_limit(threshold)).sum())
        yield {
            "category": name,
            "oriented": oriented,
            "threshold_name": threshold_name,
            "threshold": threshold,
            "genuine_pairs": len(integers),
            "matches": matches,
            "recall": matches / len(integers) if len(integers) else None,
            "recall_lower": json_number(float(lower[threshold])),
            "recall_upper": json_number(float(upper[threshold])),
        }
