"""The tables of an evaluation, a line for each edit or detail bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from photodna_nb.corpus import transforms
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import checked_confidence
from photodna_nb.plots import validation
from photodna_nb.plots.layout import axes_for, inches_of
from photodna_nb.plots.rate_axes import (
    DISTANCE,
    GENUINE,
    IMPOSTOR,
    Looks,
    error_bars,
    legend_below_all,
    looks_of,
    percent,
    points_of,
    say,
    share_axis,
    threshold_lines,
    threshold_mark,
    titled,
)
from photodna_nb.plots.validation import Rows, Thresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DISTANCES = ("median", "p95", "largest")
_RATES = ("recall", "recall_lower", "recall_upper")
_RECALL = ("transform", "oriented", "threshold_name", "threshold", "n", *_RATES)
_DETAIL = ("detail_from", "detail_to", "share", "impostor_nearest", "impostor_median")


def plot_recall(rows: Rows, *, confidence: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the recall of each edit at each threshold, with its interval.

    Parameters
    ----------
    rows : sequence of dict
        Of ``Results.tables["recall"]``, those of one detail bin and with or without
        orientations: one row for each edit and threshold.
    confidence : float, optional
        Of the intervals, to be add_labels.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; otherwise those of a new figure, which is as high as the edits need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each edit, in the order of the rows; edits of a kind stand together and
        have one background. One mark for each threshold, with the gid "threshold NAME".

    Raises
    ------
    ArgumentTypeError
        `rows` are no rows, or the confidence is no number.
    ArgumentError
        The rows are those of another table, there are two of one edit and threshold, or the
        confidence is not between 0 and 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"transform": "jpeg:30", "threshold_name": "mine", "threshold": 200, "n": 50}
    >>> row |= {"oriented": False, "recall": 0.9, "recall_lower": 0.78, "recall_upper": 0.97}
    >>> ax = plot_recall([row], confidence=0.95, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'recall (50 pairs an edit; bars: 95 % intervals)'
    """
    rows = validation.rows(rows, "recall", _RECALL)
    if confidence is not None:
        confidence = checked_confidence(validation.number("confidence", confidence))
    if len({(row["transform"], row["threshold_name"]) for row in rows}) < len(rows):
        raise ArgumentError(
            "rows: got several of one edit and threshold; choose one detail bin, and "
            "oriented or not"
        )
    rows = _by_kind(rows, [transforms.parse(row["transform"]).name for row in rows])
    specs = list(dict.fromkeys(row["transform"] for row in rows))
    edits = [transforms.parse(spec) for spec in specs]
    title = "Recall by edit" + ", best of eight orientations" * any(row["oriented"] for row in rows)
    bars = "intervals" if confidence is None else f"{100 * confidence:g} % intervals"
    x = f"recall ({_span([row['n'] for row in rows])} pairs an edit; bars: {bars})"
    ax = _lines(ax, [edit.label for edit in edits], [edit.name for edit in edits], title, x)
    if not rows:
        say(ax, "There are no edits.")
        return ax
    share_axis(ax.xaxis)
    levels = {row["threshold_name"]: row["threshold"] for row in rows}
    beside = np.linspace(-0.27, 0.27, len(levels)) if len(levels) > 1 else [0.0]
    size = _line_height(ax, specs) / 3
    thin = {"markersize": size, "elinewidth": size / 4, "capsize": size / 3}
    for (name, threshold, look), shift in zip(looks_of(levels), beside, strict=True):
        chosen = [row for row in rows if row["threshold_name"] == name and row["n"]]
        recall, lower, upper = (np.array([row[key] for row in chosen], float) for key in _RATES)
        places = np.array([specs.index(row["transform"]) for row in chosen])
        mark = threshold_mark(name, threshold, look) | thin
        ax.errorbar(recall, places + shift, xerr=error_bars(recall, lower, upper), **mark)
    known = {row["transform"] for row in rows if row["n"]}
    _say_no_pairs(ax, [spec in known for spec in specs])
    legend_below_all(ax, scale=4 / size)
    return ax


def plot_variant_distances(
    rows: Rows,
    *,
    thresholds: Thresholds | None = None,
    oriented: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far each edit moves the hash: median, 95th percentile and largest distance.

    Parameters
    ----------
    rows : sequence of dict
        Of ``Results.tables["transforms"]``.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    oriented : bool
        Whether the closest of the original's eight orientations counts.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; otherwise those of a new figure, which is as high as the edits need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each edit, from its median to its largest distance; edits of a kind
        have one background. Artists have gids: "ranges" the lines; "median", "p95" and
        "largest" the marks, with "oriented_" before if `oriented`; and of each threshold
        "threshold NAME" its line and "name NAME" its name.

    Raises
    ------
    ArgumentTypeError
        `rows` are no rows, `thresholds` is no dict, or one of them no integer.
    ArgumentError
        The rows are those of another table, or a threshold is not 0 to 3060.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"transform_name": "jpeg", "label": "jpeg 30", "n": 50}
    >>> row |= {"median": 7, "p95": 20, "largest": 31}
    >>> ax = plot_variant_distances([row], thresholds={"mine": 200}, ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_yticklabels()[0].get_text()
    ('L2 distance, 50 pairs an edit', 'jpeg 30')
    """
    prefix = "oriented_" * oriented
    distances = [prefix + name for name in _DISTANCES]
    rows = validation.rows(rows, "transforms", ["transform_name", "label", "n", *distances])
    looks = looks_of(validation.thresholds(thresholds))
    rows = _by_kind(rows, [row["transform_name"] for row in rows])
    title = "Distances of edits" + ", best of eight orientations" * oriented
    x = f"{DISTANCE}, {_span([row['n'] for row in rows])} pairs an edit"
    ax = _lines(
        ax, [row["label"] for row in rows], [row["transform_name"] for row in rows], title, x
    )
    marks = ("median", "o"), ("95th percentile", "|"), ("largest", "D")
    _ranges(ax, rows, dict(zip(distances, marks, strict=True)), GENUINE, looks)
    return ax


def plot_impostor_distances(
    rows: Rows, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how near pictures of little and of much detail come to others.

    Parameters
    ----------
    rows : sequence of dict
        Of ``Results.tables["detail"]``.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; otherwise those of a new figure, which is as high as the bins need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each detail bin, from the nearest impostor pair of two originals to their
        median distance, beside the share of the originals that are in the bin. A pair
        is in the bin of the one with less detail. Artists have gids: "ranges" the lines,
        "impostor_nearest" and "impostor_median" the marks, and of each threshold
        "threshold NAME" its line and "name NAME" its name.

    Raises
    ------
    ArgumentTypeError
        `rows` are no rows, `thresholds` is no dict, or one of them no integer.
    ArgumentError
        The rows are those of another table, or a threshold is not 0 to 3060.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"detail_from": 0, "detail_to": 100, "share": 0.25}
    >>> row |= {"impostor_nearest": 40, "impostor_median": 300}
    >>> ax = plot_impostor_distances([row], ax=Figure().subplots())
    >>> print(ax.get_title(), ax.get_legend_handles_labels()[1])
    Impostor distances by detail ['nearest pair', 'median']
    """
    rows = validation.rows(rows, "detail", _DETAIL)
    looks = looks_of(validation.thresholds(thresholds))
    labels = [
        (
            f"{row['detail_from']:g} on"
            if row["detail_to"] is None
            else f"{row['detail_from']:g} to {row['detail_to']:g}"
        )
        + f" ({percent(row['share'])})"
        for row in rows
    ]
    y = "detail, grey levels\n(share of the originals)"
    ax = _lines(ax, labels, labels, "Impostor distances by detail", DISTANCE, y)
    marks = {"impostor_nearest": ("nearest pair", "D"), "impostor_median": ("median", "o")}
    _ranges(ax, rows, marks, IMPOSTOR, looks)
    return ax


def _ranges(
    ax: Axes,
    rows: Rows,
    marks: Mapping[str, tuple[str, str]],
    colour: str,
    looks: Looks,
) -> None:
    """Draw a line for each row from the first of some columns to the last, each with its mark."""
    known = {place: row for place, row in enumerate(rows) if row[next(iter(marks))] is not None}
    columns = {key: np.array([row[key] for row in known.values()], float) for key in marks}
    ends = list(columns.values())
    ax.hlines(list(known), ends[0], ends[-1], color=colour, linewidth=1, gid="ranges")
    size = 0.45 * _line_height(ax, rows)
    for (key, (label, marker)), x in zip(marks.items(), columns.values(), strict=True):
        ax.plot(
            x,
            list(known),
            marker,
            color=colour,
            markersize=2 * size if marker == "|" else size,
            clip_on=False,
            label=label,
            gid=key,
        )
    _say_no_pairs(ax, [place in known for place in range(len(rows))])
    threshold_lines(ax, looks, max((float(x.max()) for x in ends if len(x)), default=1.0))
    if rows:
        legend_below_all(ax, scale=5 / size)
    else:
        say(ax, "There are no rows.")


def _lines(
    ax: Axes | None, labels: Sequence[str], groups: Sequence[str], title: str, x: str, y: str = ""
) -> Axes:
    """Return titled axes with a line for each label, the first on top, and neighbours grouped."""
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 2.0 + 0.2 * len(labels)), layout="constrained")[1]
    ax = axes_for(ax)
    titled(ax, title, x, y)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    size = min(points_of(ax, plt.rcParams["ytick.labelsize"]), 0.8 * _line_height(ax, labels))
    ax.set_yticks(range(len(labels)), labels=list(labels), fontsize=size, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", alpha=0.3)
    number = 0
    for place in range(1, len(groups)):
        number += groups[place] != groups[place - 1]
        if number % 2:
            ax.axhspan(place - 0.5, place + 0.5, color="grey", alpha=0.15, linewidth=0)
    return ax


def _line_height(ax: Axes, lines: Sequence[Any]) -> float:
    """Return the height of a line in points, of at most 12."""
    height = 72 * inches_of(ax)[1]
    # Names of thresholds and the legend will take their room.
    return float(min(max(height - 60, height / 2) / max(len(lines), 1), 12.0))


def _say_no_pairs(ax: Axes, known: Sequence[bool]) -> None:
    """Write on the lines of which nothing is known that there are no pairs."""
    for place in range(len(known)):
        if known[place]:
            continue
        ax.text(
            0.99,
            place,
            "no pairs",
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="center",
            style="italic",
            fontsize=0.8 * _line_height(ax, known),
        )


def _by_kind(rows: Rows, kinds: Sequence[str]) -> Rows:
    """Return the rows with those of a kind together, where its first one stands."""
    order = sorted(range(len(rows)), key=lambda place: kinds.index(kinds[place]))
    return [rows[place] for place in order]


def _span(counts: Sequence[int]) -> str:
    """Return the least and the largest of some numbers, or the one that they all are."""
    least, largest = min(counts, default=0), max(counts, default=0)
    return f"{largest:,}" if least == largest else f"{least:,} to {largest:,}"
