"""The comparison of the hashers of a run in words."""

from __future__ import annotations

from photodna_nb.evaluation import Results
from photodna_nb.report.formatting import difference, rate, recall


def hasher_lines(results: Results) -> list[str]:
    """Return the recall of each hasher at the lowest false match rate that is supported.

    Parameters
    ----------
    results : Results
        Results of a run; there are no lines for a single hasher.
    """
    rows = results.tables.get("equal_rates")
    if rows is None:
        return []
    if not rows:
        return ["", "The originals support no comparison of the hashes at a target rate."]
    target = rows[-1]["target"]
    lines = ["", f"Hashes at a false match rate of {rate(target)}, each variant weighs the same:"]
    for row in rows:
        if (row["target"], row["transform"]) != (target, None):
            continue
        if row["threshold"] is None:
            lines.append(f"  {row['hasher']}: no threshold keeps it")
            continue
        text = f"  {row['hasher']}: {row['unit']} ≤ {row['threshold']}, recall {recall(row)}"
        if row["recall_difference"] is not None:
            text += f", difference {difference(row)} points"
        lines.append(text)
    if seconds := results.manifest["this_run"].get("processor_seconds"):
        times = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(f"Processor time in seconds: {times}")
    return lines
