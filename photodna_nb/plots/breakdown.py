"""The results by transform and by detail: one line for each row of a table of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from photodna_nb import checks
from photodna_nb.corpus.transforms import parse
from photodna_nb.errors import ArgumentError
from photodna_nb.plots import arguments
from photodna_nb.plots.arguments import Rows, Thresholds
from photodna_nb.plots.layout import AS_IT_IS, axes_for, drawn_line, inches_of
from photodna_nb.plots.rate_axes import (
    GENUINE,
    IMPOSTOR,
    ThresholdStyles,
    add_scaled_labels,
    error_bars,
    fitted_legend,
    percent,
    percent_axis,
    scaled_font_size,
    threshold_lines,
    threshold_marker,
    threshold_styles,
    write_reason,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DISTANCES = ("median_distance", "p95_distance", "largest_distance")
_RATES = ("recall", "recall_lower", "recall_upper")
_RECALL = ("transform", "oriented", "threshold_name", "threshold", "genuine_pairs", *_RATES)
_DETAIL = (
    "detail_from",
    "detail_to",
    "proportion",
    "smallest_impostor_distance",
    "median_impostor_distance",
)


def plot_recall(rows: Rows, *, confidence: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the recall of each transform at each threshold, with its interval.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``results.tables["recall"]`` of one detail bin, with or without orientations: one
        row for each transform and threshold.
    confidence : float, optional
        Confidence level of the intervals, for the label of the axis.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure, with a height for all transforms.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each transform, in the order of the rows; transforms of a kind are together,
        with one background. One marker for each threshold, with the gid "threshold NAME".

    Raises
    ------
    ArgumentTypeError
        `rows` is not a sequence of rows, or the confidence is not a number.
    ArgumentError
        The rows are those of another table, two rows have the same transform and threshold, or
        the confidence is not between 0 and 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"transform": "jpeg:30", "threshold_name": "mine", "threshold": 200}
    >>> row |= {"genuine_pairs": 50, "oriented": False}
    >>> row |= {"recall": 0.9, "recall_lower": 0.78, "recall_upper": 0.97}
    >>> ax = plot_recall([row], confidence=0.95, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'recall (50 pairs per transform; bars: 95 % intervals)'
    """
    rows = arguments.rows(rows, "recall", _RECALL)
    if confidence is not None:
        confidence = checks.confidence("confidence", confidence)
    if len({(row["transform"], row["threshold_name"]) for row in rows}) < len(rows):
        raise ArgumentError(
            "rows: got several of one transform and threshold, needs one; "
            "choose one detail bin, and oriented or not"
        )
    rows = _group(rows, [parse(row["transform"]).name for row in rows])
    specs = list(dict.fromkeys(row["transform"] for row in rows))
    parsed = [parse(spec) for spec in specs]
    title = "Recall by transform" + ", best of eight orientations" * any(
        row["oriented"] for row in rows
    )
    bars = "intervals" if confidence is None else f"{100 * confidence:g} % intervals"
    x = f"recall ({_pairs(rows)}; bars: {bars})"
    ax = _line_axes(ax, [one.label for one in parsed], [one.name for one in parsed], title, x)
    if not rows:
        write_reason(ax, "There are no transforms.")
        return ax
    percent_axis(ax.xaxis)
    thresholds = {row["threshold_name"]: row["threshold"] for row in rows}
    units = {row["threshold_name"]: row.get("unit", "L2") for row in rows}
    shifts = np.linspace(-0.27, 0.27, len(thresholds)) if len(thresholds) > 1 else [0.0]
    size = _line_height(ax, specs) / 3
    thin = {"markersize": size, "elinewidth": size / 4, "capsize": size / 3}
    for (name, threshold, style), shift in zip(threshold_styles(thresholds), shifts, strict=True):
        at_threshold = [
            row for row in rows if row["threshold_name"] == name and row["genuine_pairs"]
        ]
        recall, lower, upper = (np.array([row[key] for row in at_threshold]) for key in _RATES)
        lines = np.array([specs.index(row["transform"]) for row in at_threshold])
        style = style._replace(unit=units[name])
        marker = threshold_marker(name, threshold, style) | thin
        ax.errorbar(recall, lines + shift, xerr=error_bars(recall, lower, upper), **marker)
    with_pairs = {row["transform"] for row in rows if row["genuine_pairs"]}
    _write_no_pairs(ax, [spec in with_pairs for spec in specs])
    fitted_legend(ax, marker_scale=4 / size)
    return ax


def plot_variant_distances(
    rows: Rows,
    *,
    thresholds: Thresholds | None = None,
    oriented: bool = False,
    unit: str = "L2",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distances of the variants from their originals, for each transform.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``results.tables["transforms"]``.
    thresholds : dict of str to int, optional
        Distances to mark, by name.
    oriented : bool
        Whether the distances are those of the nearest of eight orientations of the original.
    unit : str
        Unit of the distances: ``counts.hasher.unit``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure, with a height for all transforms.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each transform, from the median to the largest distance; transforms of a
        kind have one background. Gids of the artists: "ranges" are the lines;
        "median_distance", "p95_distance" and "largest_distance" the markers, with the prefix
        ``oriented_`` if `oriented`; each threshold has a line "threshold NAME" and a text
        "name NAME".

    Raises
    ------
    ArgumentTypeError
        `rows` is not a sequence of rows, `thresholds` not a dict, or one of them not an integer.
    ArgumentError
        The rows are those of another table, or a threshold is no distance.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"transform_name": "jpeg", "label": "jpeg 30", "genuine_pairs": 50}
    >>> row |= {"median_distance": 7, "p95_distance": 20, "largest_distance": 31}
    >>> ax = plot_variant_distances([row], thresholds={"mine": 200}, ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_yticklabels()[0].get_text()
    ('L2 distance, 50 pairs per transform', 'jpeg 30')
    """
    prefix = "oriented_" * oriented
    distances = [prefix + name for name in _DISTANCES]
    rows = arguments.rows(
        rows, "transforms", ["transform_name", "label", "genuine_pairs", *distances]
    )
    styles = threshold_styles(arguments.thresholds(thresholds, unit), unit)
    rows = _group(rows, [row["transform_name"] for row in rows])
    title = "Distances of variants" + ", best of eight orientations" * oriented
    x = f"{unit} distance, {_pairs(rows)}"
    kinds = [row["transform_name"] for row in rows]
    ax = _line_axes(ax, [drawn_line(row["label"]) for row in rows], kinds, title, x)
    markers = ("median", "o"), ("95th percentile", "|"), ("largest", "D")
    _draw_ranges(ax, rows, dict(zip(distances, markers, strict=True)), GENUINE, styles)
    return ax


def plot_impostor_distances(
    rows: Rows,
    *,
    thresholds: Thresholds | None = None,
    unit: str = "L2",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distances of impostor pairs, for each bin of detail.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``results.tables["detail"]``.
    thresholds : dict of str to int, optional
        Distances to mark, by name.
    unit : str
        Unit of the distances: ``counts.hasher.unit``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure, with a height for all bins.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each bin, from the nearest impostor pair of two originals to their median
        distance, with the proportion of the originals in the bin. A pair is in the bin of the
        original with less detail. Gids of the artists: "ranges" are the lines,
        "smallest_impostor_distance" and "median_impostor_distance" the markers; each threshold
        has a line
        "threshold NAME" and a text "name NAME".

    Raises
    ------
    ArgumentTypeError
        `rows` is not a sequence of rows, `thresholds` not a dict, or one of them not an integer.
    ArgumentError
        The rows are those of another table, or a threshold is no distance.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"detail_from": 0, "detail_to": 100, "proportion": 0.25}
    >>> row |= {"smallest_impostor_distance": 40, "median_impostor_distance": 300}
    >>> ax = plot_impostor_distances([row], ax=Figure().subplots())
    >>> print(ax.get_title(), ax.get_legend_handles_labels()[1])
    Impostor distances by detail ['nearest pair', 'median']
    """
    rows = arguments.rows(rows, "detail", _DETAIL)
    styles = threshold_styles(arguments.thresholds(thresholds, unit), unit)
    labels = [
        f"{row['detail_from']:g} "
        + ("and more" if row["detail_to"] is None else f"to {row['detail_to']:g}")
        + f" ({percent(row['proportion'])})"
        for row in rows
    ]
    y = "detail, grey levels\n(proportion of the originals)"
    ax = _line_axes(ax, labels, labels, "Impostor distances by detail", f"{unit} distance", y)
    markers = {
        "smallest_impostor_distance": ("nearest pair", "D"),
        "median_impostor_distance": ("median", "o"),
    }
    _draw_ranges(ax, rows, markers, IMPOSTOR, styles)
    return ax


def _draw_ranges(
    ax: Axes,
    rows: Rows,
    markers: Mapping[str, tuple[str, str]],
    colour: str,
    styles: ThresholdStyles,
) -> None:
    """Draw a line for each row from the first of some columns to the last, with a marker each."""
    first = next(iter(markers))
    lines = [i for i, row in enumerate(rows) if row[first] is not None]
    columns = {key: np.array([rows[i][key] for i in lines], float) for key in markers}
    ends = list(columns.values())
    ax.hlines(lines, ends[0], ends[-1], color=colour, linewidth=1, gid="ranges")
    size = 0.45 * _line_height(ax, rows)
    for key, (label, marker) in markers.items():
        drawn = ax.plot(columns[key], lines, marker, color=colour, label=label, gid=key)
        drawn[0].set(markersize=2 * size if marker == "|" else size, clip_on=False)
    _write_no_pairs(ax, [i in lines for i in range(len(rows))])
    threshold_lines(ax, styles, max((float(x.max()) for x in ends if len(x)), default=1.0))
    if rows:
        fitted_legend(ax, marker_scale=5 / size)
    else:
        write_reason(ax, "There are no rows.")


def _line_axes(
    ax: Axes | None, labels: Sequence[str], groups: Sequence[str], title: str, x: str, y: str = ""
) -> Axes:
    """Return axes with a line for each label, the first at the top, and shaded groups."""
    if ax is None:
        inches = plt.rcParams["figure.figsize"][0], 2.4 + 0.2 * len(labels)
        ax = plt.subplots(figsize=inches, layout="constrained")[1]
    ax = axes_for(ax)
    add_scaled_labels(ax, title, x, y)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    tick_size = scaled_font_size(ax, plt.rcParams["ytick.labelsize"])
    size = min(tick_size, 0.8 * _line_height(ax, labels))
    ax.set_yticks(range(len(labels)), labels=list(labels), fontsize=size, **AS_IT_IS)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", alpha=0.3)
    group = 0
    for i in range(1, len(groups)):
        group += groups[i] != groups[i - 1]
        if group % 2:
            ax.axhspan(i - 0.5, i + 0.5, color="grey", alpha=0.15, linewidth=0)
    return ax


def _line_height(ax: Axes, lines: Sequence[Any]) -> float:
    """Return the height of a line in points, at most 12."""
    height = 72 * inches_of(ax)[1]
    # The names of thresholds and the legend need the rest.
    return float(min(max(height - 60, height / 2) / max(len(lines), 1), 12.0))


def _write_no_pairs(ax: Axes, with_pairs: Sequence[bool]) -> None:
    """Write "no pairs" on the lines without pairs."""
    for line in (i for i, has_pairs in enumerate(with_pairs) if not has_pairs):
        text = ax.text(0.99, line, "no pairs", transform=ax.get_yaxis_transform(), style="italic")
        text.set(ha="right", va="center", fontsize=0.8 * _line_height(ax, with_pairs))


def _group(rows: Rows, kinds: Sequence[str]) -> Rows:
    """Return the rows with those of a kind together, at the position of the first one."""
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: kinds.index(kinds[i]))]


def _pairs(rows: Rows) -> str:
    """Return the number of pairs of the transforms, or the smallest and the largest number."""
    counts = [row["genuine_pairs"] for row in rows]
    least, most = min(counts, default=0), max(counts, default=0)
    return (f"{most:,}" if least == most else f"{least:,} to {most:,}") + " pairs per transform"
