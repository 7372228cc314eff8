"""The texts of the threshold tuner, as HTML."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from photodna_nb.evaluation import RateEstimates
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.evaluation.thresholds import ThresholdChoice
from photodna_nb.pairs.metrics import SIMILARITY_SCALE
from photodna_nb.report import formatting

STYLE = """<style>
.photodna-tuner .table { border-collapse: collapse; line-height: 1.35; }
.photodna-tuner .table th { text-align: left; font-weight: 600; white-space: nowrap; }
.photodna-tuner .table :is(th, td) { padding: 2px 12px 2px 0; vertical-align: top; }
.photodna-tuner .table caption { text-align: left; font-weight: 600; padding: 6px 0 2px; }
.photodna-tuner .table td { font-variant-numeric: tabular-nums; }
.photodna-tuner p { margin: 4px 0; }
.photodna-tuner .note { opacity: .8; }
.photodna-tuner .problem { border-left: 4px solid #D55E00; padding: 2px 8px; }
.photodna-tuner .groups { display: flex; flex-wrap: wrap; gap: 12px 20px; line-height: 1.3;
  margin-top: 8px; }
.photodna-tuner .groups > div { width: 190px; }
.photodna-tuner figure { margin: 4px 0 10px; max-width: 190px; }
.photodna-tuner figure img { max-width: 92px; max-height: 92px; vertical-align: bottom; }
.photodna-tuner figcaption { font-size: 90%; overflow-wrap: anywhere; }
.photodna-tuner .missing { display: inline-block; width: 90px; border: 1px solid grey;
  font-size: 85%; overflow-wrap: anywhere; vertical-align: bottom; }
/* In the known dark themes, black on a transparent background becomes white, and colours keep
  their hue; elsewhere the figure stays on white. */
.photodna-tuner-figure { background: white; }
body[data-jp-theme-light="false"] .photodna-tuner-figure,
body.vscode-dark .photodna-tuner-figure { background: none; filter: invert(1) hue-rotate(180deg); }
</style>"""
_SOURCES = {
    "counted": "counted: ten or more full dyads (pairs of two originals) match ({level} interval)",
    "disjoint pairs": "a {level} bound: fewer than ten full dyads (pairs of two originals) match",
    "tail": "extrapolation by a fitted tail: fewer than ten full dyads match ({level} interval)",
}
_BEYOND_VALIDATION = (
    "an upper bound by a fitted tail, which is an extrapolation: the fit suggests a lower rate, "
    "but this rate is beyond its validation"
)
_BASES = {
    "counted": "from the counts of all originals",
    "disjoint pairs": "from a bound, since fewer than ten full dyads match",
    "tail": "from the fitted tail, which is an extrapolation",
}


class Line(NamedTuple):
    """One line about a threshold: name, value, and a note about the value."""

    name: str
    value: str
    note: str


def lines(row: Row, estimates: RateEstimates, deployment: DeploymentConfig) -> list[Line]:
    """Return the rates at a threshold as text."""
    oriented = deployment.orientations
    impostor, genuine = (
        " of ".join(formatting.integer(row[f"{kind}_{column}"]) for column in ("matches", "pairs"))
        for kind in ("impostor", "genuine")
    )
    best = ", in the best of eight orientations" if oriented else ""
    similarity = 1 - row["threshold"] / SIMILARITY_SCALE
    rates = formatting.false_match_rate(row)
    text = [
        Line("Threshold", f"L2 ≤ {row['threshold']}", f"similarity ≥ {similarity:.4f}"),
        Line("Recall", formatting.recall(row), f"{genuine} genuine pairs match{best}"),
        Line("False match rate", rates, f"{impostor} impostor pairs match"),
    ]
    if row["expected_matches_source"] is None:
        return [*text, Line("", "", f"No intervals: {estimates.no_rates_reason}.")]
    list_size, queries = map(formatting.integer, (deployment.list_size, deployment.queries_per_day))
    per_day = (
        f"in {formatting.amount(row['comparisons_per_day'])} comparisons: {list_size} hashes, "
        f"{queries} queries" + ", in eight orientations each" * oriented
    )
    source = _BEYOND_VALIDATION
    if not row["expected_matches_beyond_validation"]:
        level = formatting.level(estimates.confidence)
        source = _SOURCES[row["expected_matches_source"]].format(level=level)
    return [
        *text,
        Line("False matches per day", formatting.false_matches(row), per_day),
        Line("Source of the rate", source, ""),
    ]


def numbers(row: Row, estimates: RateEstimates, deployment: DeploymentConfig) -> str:
    """Return the rates at a threshold as a table."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}'
        f'{"<br>" * bool(value and note)}<span class="note">{escape(note)}</span></td></tr>'
        for name, value, note in lines(row, estimates, deployment)
    )
    return f'<table class="table" aria-live="polite">{body}</table>'


def transforms(rows: list[Row]) -> str:
    """Return the transforms with the lowest recall as a table."""
    if rows and rows[0]["recall"] == 1:
        return '<p class="note">All variants of all transforms match.</p>'
    body = "".join(
        f'<tr><th scope="row">{escape(row["label"])}</th>'
        f"<td>{escape(formatting.recall(row))}</td></tr>"
        for row in rows
    )
    caption = "Transforms with the lowest recall"
    return f'<table class="table"><caption>{caption}</caption>{body}</table>'


def meets_target(threshold: int, choice: ThresholdChoice, largest: int) -> str:
    """Return why a threshold meets a target, for a slider that ends at `largest`."""
    if threshold > largest:
        text = f"Every threshold meets the target; the slider ends at L2 {largest}."
    elif choice.conservative:
        text = f"L2 {threshold} is the largest threshold that meets the target"
        text += f", {_BASES[choice.source]}."
    else:
        text = f"L2 {threshold} is the largest threshold whose estimate is within the target"
        text += f", {_BASES[choice.source]}; the true rate may be higher."
    return f'<p class="note">{escape(text)}</p>'


def problem(text: str) -> str:
    """Return a message that stands out."""
    return f'<p class="problem" role="alert">{escape(text)}</p>'
