"""The figures of a report, with what they show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from photodna_nb import plots
from photodna_nb.evaluation import Results, estimate_rates
from photodna_nb.evaluation.results import FIGURES


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    title, caption : str
        What it shows, and how it is read.
    content : bytes
        PNG.
    """

    title: str
    caption: str
    content: bytes


def figures(results: Results) -> dict[str, Figure]:
    """Return the figures by the names of their files, from the folder of the run on."""
    config, tables = results.config, results.tables
    named = {row["name"]: row["threshold"] for row in tables["thresholds"]}
    oriented = config.deployment.orientations
    estimates = estimate_rates(
        results.counts, oriented=oriented, confidence=config.confidence, seed=config.seed
    )
    of_all = [
        row for row in tables["recall"] if row["detail_bin"] is None and row["oriented"] == oriented
    ]
    ways = (
        " Variants count as far away as the closest of the original's eight orientations."
        if oriented
        else ""
    )
    drawn: dict[str, tuple[str, str, Callable[[], Any]]] = {
        "distances": (
            "How far apart pictures are",
            "Share of the pairs at each distance. Genuine pairs are an original and its variant, "
            "impostor pairs show different pictures. A threshold is a vertical line: what lies "
            "left of it matches. The scale is logarithmic, so that rare pairs are seen.",
            lambda: plots.plot_distances(estimates.genuine, estimates.impostor, thresholds=named),
        ),
        "false_match_rates": (
            "False match rate by threshold",
            "Share of the impostor pairs that match at each threshold, with its interval: counted "
            "where ten pairs or more match, a bound below that, and the fitted tail, which is "
            "extrapolation, marked as such.",
            lambda: plots.plot_false_match_rates(
                estimates, thresholds=named, targets=config.thresholds.targets
            ),
        ),
        "recall": (
            "Recall of each edit",
            "Share of the variants that still match their original, at each named threshold, with "
            f"its interval.{ways}",
            lambda: plots.plot_recall(of_all, confidence=config.confidence),
        ),
        "variant_distances": (
            "How far each edit moves the hash",
            "Median, 95th percentile and largest distance of the variants from their originals."
            f"{ways}",
            lambda: plots.plot_variant_distances(
                tables["transforms"], thresholds=named, oriented=oriented
            ),
        ),
        "roc": (
            "Recall against false match rate (ROC)",
            "Each point is a threshold. The upper left is good: many variants are found, few "
            "others match. The strong area holds the intervals of both rates; in the faint one "
            "fewer than ten other pairs match, and it reaches to the bound on their rate.",
            lambda: plots.plot_roc(estimates, thresholds=named),
        ),
        "det": (
            "Errors of both kinds (DET)",
            "Share of the variants that are missed against the share of other pairs that match. "
            "The lower left is good. The areas are those of the figure above.",
            lambda: plots.plot_det(estimates, thresholds=named),
        ),
        "precision_recall": (
            "Precision and recall",
            "Share of the matches that are genuine. It depends on how many pairs of each kind "
            "there are, here far more impostor pairs than genuine ones.",
            lambda: plots.plot_precision_recall(estimates, thresholds=named),
        ),
    }
    return {
        f"{FIGURES}/{name}.png": Figure(title, caption, plots.render_png(draw))
        for name, (title, caption, draw) in drawn.items()
    }
