"""What the tuner says, as HTML."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from photodna_nb.evaluation import RateEstimates
from photodna_nb.evaluation.config import DeploymentConfig
from photodna_nb.evaluation.summary import Row
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
/* In the dark themes that are known here, what is black on nothing becomes white, and colours keep
  their hue; elsewhere the figure stays on white. */
.photodna-tuner-figure { background: white; }
body[data-jp-theme-light="false"] .photodna-tuner-figure,
body.vscode-dark .photodna-tuner-figure { background: none; filter: invert(1) hue-rotate(180deg); }
</style>"""
_SOURCES = {
    "counted": "counted: ten pairs of originals or more match ({level} interval)",
    "disjoint pairs": "a {level} bound: fewer than ten pairs of originals match",
    "tail": "extrapolation by a fitted tail: fewer than ten pairs match ({level} interval)",
    "untested": "an upper bound by a fitted tail, which is extrapolation: the fit suggests a lower "
    "rate, but such fits were not tested this far out",
}
_CHOSEN = {
    "counted": "by what was counted on all originals",
    "disjoint pairs": "by a bound, since fewer than ten pairs match",
    "tail": "by the fitted tail, which is extrapolation",
}


class Line(NamedTuple):
    """One line of what a threshold does: its name, the number, and what it is of."""

    name: str
    value: str
    note: str


def lines(row: Row, estimates: RateEstimates, service: DeploymentConfig) -> list[Line]:
    """Return what a threshold does, in words."""
    oriented = service.orientations
    level = formatting.level(estimates.confidence)
    matches = " of ".join(formatting.integer(row[f"impostor_{n}"]) for n in ("matches", "pairs"))
    found = " of ".join(formatting.integer(row[f"genuine_{n}"]) for n in ("matches", "pairs"))
    turned = ", in the best of eight orientations" if oriented else ""
    similarity = 1 - row["threshold"] / SIMILARITY_SCALE
    said = [
        Line("Threshold", f"L2 ≤ {row['threshold']}", f"similarity ≥ {similarity:.4f}"),
        Line("Recall", formatting.recall(row), f"{found} genuine pairs{turned}"),
        Line(
            "False match rate", formatting.false_match_rate(row), f"{matches} impostor pairs match"
        ),
    ]
    if row["expected_matches_source"] is None:
        return [*said, Line("", "", f"No intervals: {estimates.no_rates_reason}.")]
    eight = ", in eight orientations each" if oriented else ""
    comparisons = formatting.amount(row["comparisons_per_day"])
    sizes = formatting.integer(service.list_size), formatting.integer(service.queries_per_day)
    of = f"of {comparisons} comparisons: {sizes[0]} hashes, {sizes[1]} queries{eight}"
    source = (
        "untested" if row["expected_matches_beyond_validation"] else row["expected_matches_source"]
    )
    return [
        *said,
        Line("False matches a day", formatting.false_matches(row), of),
        Line("How that is known", _SOURCES[source].format(level=level), ""),
    ]


def numbers(row: Row, estimates: RateEstimates, service: DeploymentConfig) -> str:
    """Return what a threshold does, as a table."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}'
        f'{"<br>" * bool(value and note)}<span class="note">{escape(note)}</span></td></tr>'
        for name, value, note in lines(row, estimates, service)
    )
    return f'<table class="table" aria-live="polite">{body}</table>'


def edits(rows: list[Row]) -> str:
    """Return the edits that are found least, as a table."""
    if rows and rows[0]["recall"] == 1:
        return '<p class="note">Every edit is found in all pictures.</p>'
    body = "".join(
        f'<tr><th scope="row">{escape(row["label"])}</th>'
        f"<td>{escape(formatting.recall(row))}</td></tr>"
        for row in rows
    )
    return f'<table class="table"><caption>Edits found least</caption>{body}</table>'


def kept(threshold: int, choice: ThresholdChoice, last: int) -> str:
    """Return by what a threshold keeps a target, for a slider that ends with `last`."""
    if threshold > last:
        said = f"Any threshold up to the largest distance keeps it; the slider ends at L2 {last}."
    elif choice.conservative:
        said = f"L2 {threshold} is the largest threshold that keeps it"
        said += f", {_CHOSEN[choice.source]}."
    else:
        said = f"L2 {threshold} is the largest threshold whose estimate is within it"
        said += f", {_CHOSEN[choice.source]}; the true rate may be higher."
    return f'<p class="note">{escape(said)}</p>'


def problem(said: str) -> str:
    """Return a message that stands out."""
    return f'<p class="problem" role="alert">{escape(said)}</p>'
