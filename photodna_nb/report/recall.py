"""Sentences on recall: by transform, and weighted where the configuration has weights.

The mean over whatever transforms were chosen says nothing about the images of a user, so it is in
no sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.report.formatting import join, proportion, recall, weighted_recall

# Number of transforms with the lowest recall that a sentence names.
_WORST = 3


def transform_recalls(
    results: Results | HasherResults, threshold_name: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the transforms at a named threshold, by label, the lowest recall first.

    Each has its row of ``results.tables["recall"]``; those without variants are left out.
    """
    labels = {row["transform"]: row["label"] for row in results.tables["transforms"]}
    key = None, results.config.deployment.orientations, threshold_name
    rows = (
        (labels[row["transform"]].replace("_", " "), row)
        for row in results.tables["recall"]
        if (row["detail_bin"], row["oriented"], row["threshold_name"]) == key
        and row["recall"] is not None
    )
    return sorted(rows, key=lambda item: item[1]["recall"])


def recall_range(results: Results | HasherResults, threshold_name: str) -> str:
    """Return the smallest and the largest recall of a transform at a named threshold."""
    rows = transform_recalls(results, threshold_name)
    if not rows:
        named = (row for row in results.tables["thresholds"] if row["name"] == threshold_name)
        row = next(named, None)
        if row is not None and row["recall"] is not None:
            return f"{recall(row)} of the pairs of originals that show the same"
        return f"unknown: {results.summary.get('no_recall_reason', 'there are no variants')}"
    found = range_text([row["recall"] for _, row in rows])
    if found.startswith("from"):
        return f"{found} by transform"
    return f"{found} for {'each transform' if len(rows) > 1 else rows[0][0]}"


def range_text(recalls: Sequence[float]) -> str:
    """Return the smallest and the largest of some recalls, or the one number that they share."""
    lowest, highest = proportion(min(recalls)), proportion(max(recalls))
    return lowest if lowest == highest else f"from {lowest} to {highest}"


def recall_sentence(results: Results, row: Mapping[str, Any], threshold_name: str) -> str:
    """Return what the recall of a threshold is.

    Parameters
    ----------
    results : Results
        Results of a run.
    row : dict
        The threshold, in ``results.tables["thresholds"]`` or ``["deployment"]``.
    threshold_name : str
        Its name in ``results.tables["thresholds"]``.
    """
    rows = transform_recalls(results, threshold_name)
    if len(rows) == 1:
        text = f"Its recall is {recall(rows[0][1])} for {rows[0][0]}, the only transform."
    else:
        text = f"Its recall is {recall_range(results, threshold_name)}"
        worst = [(label, one) for label, one in rows if one["recall"] < rows[-1][1]["recall"]]
        if worst:
            texts = [f"{label} ({proportion(one['recall'])})" for label, one in worst[:_WORST]]
            text += f", and lowest for {join(texts)}"
        text += "."
    if row["weighted_recall"] is not None:
        text += (
            " Weighted by how often each transform occurs, as the configuration says, it is "
            f"{weighted_recall(row)}."
        )
    return text
