"""The comparison of the hashers of a run in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.report.formatting import difference, rate, recall
from photodna_nb.report.recall import range_text


def hasher_lines(results: Results) -> list[str]:
    """Return the recall of each hasher at the lowest false match rate that is supported.

    It is the range over the transforms, not a mean over those that were chosen.

    Parameters
    ----------
    results : Results
        Results of a run; there are no lines for a single hasher.

    Returns
    -------
    list of str
        An empty line, the rate, a line for each hasher, and the times if they are known.
    """
    rows = results.tables.get("equal_rates")
    if rows is None:
        return []
    if not rows:
        return ["", "The originals support no comparison of the hashes at a target rate."]
    target = rows[-1]["target"]
    lines = ["", f"Hashes at a false match rate of {rate(target)}:"]
    at_target = (row for row in rows if row["target"] == target)
    for name, of_one in groupby(at_target, lambda row: row["hasher"]):
        overall, *by_transform = of_one
        if overall["threshold"] is None:
            lines.append(f"  {name}: no threshold keeps it")
            continue
        text = _recalls(overall, by_transform, rows[0]["hasher"])
        lines.append(f"  {name}: {overall['unit']} ≤ {overall['threshold']}, {text}")
    if seconds := results.manifest["this_run"].get("processor_seconds"):
        times = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(f"Processor time in seconds: {times}")
    return lines


def _recalls(overall: Row, by_transform: Sequence[Row], first: str) -> str:
    """Return the recall of a hasher: its range over the transforms, or of labelled pairs."""
    recalls = [row["recall"] for row in by_transform if row["recall"] is not None]
    if not recalls:
        text = f"recall {recall(overall)}"
        if overall["recall_difference"] is not None:
            text += f", difference from {first} {difference(overall)} points"
        return text
    text = f"recall {range_text(recalls)} by transform"
    compared = [row for row in by_transform if row["recall_difference"] is not None]
    if compared:
        higher = sum(row["recall_difference_lower"] > 0 for row in compared)
        lower = sum(row["recall_difference_upper"] < 0 for row in compared)
        text += (
            f"; higher than that of {first} for {higher} of {len(compared)} transforms, lower for "
            f"{lower} (each interval by itself)"
        )
    return text
