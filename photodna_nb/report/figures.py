"""The figures of a report, with their captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from photodna_nb import plots
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.run_files import FIGURES
from photodna_nb.plots.layout import Font


class ReportFigure(NamedTuple):
    """A figure of a report.

    title, caption : str
        Title and explanation.
    content, narrow : bytes
        PNG, for a screen and for the width of a phone.
    """

    title: str
    caption: str
    content: bytes
    narrow: bytes


# Width and height in inches, and dots per inch, for a screen and for a phone, whose 360 pixels
# show the smallest texts in 9 pixels.
_SIZES: tuple[tuple[tuple[float, float], int], ...] = (((5.4, 4.3), 160), ((3.5, 4.2), 200))


_CAPTIONS = {
    "distances": (
        "Distances of genuine and impostor pairs",
        "Proportion of the pairs in each bin of the distance, on a logarithmic scale that shows "
        "rare distances. A genuine pair is two images that show the same, such as an original and "
        "its variant; an impostor pair shows two different images. Pairs on the left of a "
        "threshold match.",
    ),
    "false_match_rates": (
        "False match rate by threshold",
        "Proportion of the impostor pairs that match, with its interval: counted where ten or more "
        "full dyads (pairs of two originals) match, a bound where fewer match, and the fitted "
        "tail, which is an extrapolation.",
    ),
    "recall": (
        "Recall of each transform",
        "Proportion of the variants that match their original at each named threshold, with its "
        "interval.",
    ),
    "variant_distances": (
        "Distances of the variants of each transform",
        "Median, 95th percentile and largest distance of the variants from their originals.",
    ),
    "roc": (
        "Recall against false match rate (ROC)",
        "Each point of the curve is a threshold; a curve nearer to the upper left is better. The "
        "strong area holds the intervals of both rates. In the faint area fewer than ten full "
        "dyads (pairs of two originals) match, and it ends at the bound of their rate.",
    ),
    "det": (
        "Detection error tradeoff (DET)",
        "False non-match rate (1 − recall) against false match rate; a curve nearer to the lower "
        "left is better. The areas have the meaning of those in the ROC.",
    ),
    "precision_recall": (
        "Precision and recall",
        "Proportion of the matches that are genuine, against recall. It depends on the numbers of "
        "genuine and impostor pairs, which differ from those of a service.",
    ),
}
_CAPTIONS |= {
    "hasher_roc": (
        "Recall against false match rate of each hash",
        "ROC curves over the same images. Thresholds of two hashes cannot be compared, these rates "
        "can. A line is dotted where fewer than ten full dyads (pairs of two originals) match.",
    ),
    "hasher_det": (
        "Detection error tradeoff of each hash",
        "False non-match rate (1 − recall) against false match rate; a curve nearer to the lower "
        "left is better. Dotted as in the ROC.",
    ),
    "hasher_recall": (
        "Recall of each transform by each hash",
        "At the lowest false match rate that the originals support by counting, with intervals; "
        "the threshold of each hash is in its own unit.",
    ),
}
_ORIENTED = " The distance is oriented: the smallest over the eight orientations of the original."


def figures(results: Results, fonts: Font | Sequence[Font]) -> dict[str, ReportFigure]:
    """Return the figures by their names."""
    config, tables, rates = results.config, results.tables, results.estimates.all_originals
    thresholds = {row["name"]: row["threshold"] for row in tables["thresholds"]}
    oriented = config.deployment.orientations
    unit = results.unit
    recall = [
        row | {"unit": unit}
        for row in tables["recall"]
        if row["detail_bin"] is None and row["oriented"] == oriented
    ]
    drawn: dict[str, Callable[[], Any]] = {
        "distances": lambda: plots.plot_distances(
            rates.genuine_histogram, rates.impostor_histogram, thresholds=thresholds, unit=unit
        ),
        "false_match_rates": lambda: plots.plot_false_match_rates(
            rates, thresholds=thresholds, targets=config.thresholds.targets
        ),
        "recall": lambda: plots.plot_recall(recall, confidence=config.confidence),
        "variant_distances": lambda: plots.plot_variant_distances(
            tables["transforms"], thresholds=thresholds, oriented=oriented, unit=unit
        ),
        "roc": lambda: plots.plot_roc(rates, thresholds=thresholds),
        "det": lambda: plots.plot_det(rates, thresholds=thresholds),
        "precision_recall": lambda: plots.plot_precision_recall(rates, thresholds=thresholds),
    }
    if len(results.hashers) > 1:
        drawn |= _of_hashers(results)
    absent = set() if tables["transforms"] else {"recall", "variant_distances"}
    if not results.summary["genuine_pairs"]:
        absent |= {"roc", "det", "precision_recall"}
    report = {}
    for name, draw in drawn.items():
        if name in absent:
            continue
        title, caption = _CAPTIONS[name]
        if oriented and name in ("recall", "variant_distances"):
            caption += _ORIENTED
        contents = (plots.render_png(draw, size, dpi, fonts=fonts) for size, dpi in _SIZES)
        report[name] = ReportFigure(title, caption, *contents)
    return report


def _of_hashers(results: Results) -> dict[str, Callable[[], Any]]:
    """Return what draws the hashers beside each other, by name."""
    rates = {name: one.estimates.all_originals for name, one in results.hashers.items()}
    rows = results.tables["equal_rates"]
    lowest = [row for row in rows if row["target"] == rows[-1]["target"]]
    drawn: dict[str, Callable[[], Any]] = {
        "hasher_roc": lambda: plots.plot_hasher_roc(rates),
        "hasher_det": lambda: plots.plot_hasher_det(rates),
    }
    if lowest:
        confidence = results.config.confidence
        drawn["hasher_recall"] = lambda: plots.plot_hasher_recall(lowest, confidence=confidence)
    return drawn


def figure_files(figures: Mapping[str, ReportFigure]) -> dict[str, bytes]:
    """Return the contents of the figures by their files in the folder of the run."""
    return {
        f"{FIGURES}/{name}{end}.png": content
        for name, one in figures.items()
        for end, content in (("", one.content), ("_narrow", one.narrow))
    }
