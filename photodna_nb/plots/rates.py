"""The rates of an evaluation: by distance, against each other, by edit and by detail.

A rate of 0 has no place on a logarithmic axis, and is the interesting one: where two rates are
drawn against each other it stands below one pair in all, where the axis says "< 1/N"; over the
thresholds its bound is drawn instead. L2 distances are 0 to 3060 in principle, and axes end
where the data do. Legends and the names of thresholds stand outside the axes, where there is no
data; a figure with ``layout="constrained"`` makes room for them.
"""

from __future__ import annotations

import math
import numbers
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.markers import CARETDOWNBASE
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from photodna_nb import arrays, transforms
from photodna_nb.distances import SIMILARITY_SCALE
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.intervals import FalseMatchRates, Floats
from photodna_nb.evaluation.summary import Measured
from photodna_nb.evaluation.tail import Tail
from photodna_nb.plots.drawing import axes_for, named, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Thresholds = Mapping[str, int]
Rows = Sequence[Mapping[str, Any]]

# Of the colour-blind safe palette of Okabe and Ito, those that show on white and on black.
_GENUINE, _IMPOSTOR, _TAIL = "#0072B2", "#D55E00", "#0072B2"
# Of areas, translucent: the lighter neighbours of the same.
_GENUINE_AREA, _IMPOSTOR_AREA = ("#56B4E9", 0.35), ("#E69F00", 0.4)
_DISTANCE = "L2 distance"
_BIN = 10
_PERCENT = PercentFormatter(1.0, symbol=" %")
# Of the height of axes: what is left when there are labels and a legend.
_ROOM = 0.6
_FAINT: dict[str, Any] = {"color": "grey", "linewidth": 0.8, "linestyle": ":"}


class _Look(NamedTuple):
    colour: str
    marker: str
    line: Any


_Looks = list[tuple[str, int, _Look]]
# By position: of the first threshold of a mapping, the second, and so on. Figures that are
# given the same mapping give its thresholds the same looks.
_LOOKS = (
    _Look("#009E73", "o", "--"),
    _Look("#E69F00", "s", "-."),
    _Look("#CC79A7", "^", ":"),
    _Look("#56B4E9", "D", (0, (8, 3))),
    _Look("#D55E00", "v", (0, (5, 2, 1, 2, 1, 2))),
    _Look("#0072B2", "P", (0, (1, 4))),
)


def plot_distances(
    genuine: NDArray[Any],
    impostor: NDArray[Any],
    *,
    thresholds: Thresholds | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far genuine and impostor pairs lie apart, rare distances as well as frequent.

    Parameters
    ----------
    genuine, impostor : ndarray of int64, (t,)
        How many pairs of each kind have ``d - 1 < L2 <= d``, for d from 0 to t - 1:
        ``Measured.genuine`` and ``Measured.impostor``. Ten of them make a bin.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The share of the pairs in each bin, on a logarithmic axis at whose bottom the empty
        bins are.

    Raises
    ------
    ArgumentTypeError
        An array has another dtype, or a threshold is no integer.
    ArgumentError
        An array has another shape, the two differ in length or have no cells, or a threshold
        is not 0 to 3060.
    """
    genuine = arrays.checked("genuine", genuine, np.int64, ("t",))
    impostor = arrays.checked("impostor", impostor, np.int64, ("t",))
    if not len(genuine):
        raise ArgumentError("genuine, impostor: got no cells, needs one or more")
    if len(genuine) != len(impostor):
        raise ArgumentError(
            f"genuine, impostor: got {len(genuine)} and {len(impostor)} cells, needs as many"
        )
    looks = _on_scale(thresholds)
    ax = axes_for(ax)
    _titled(ax, "Distances of genuine and impostor pairs", _DISTANCE, f"share per {_BIN} of L2")
    most = max(int(genuine.sum()), int(impostor.sum()), 1)
    zero = _rate_axis(ax.yaxis, most, nothing="none")
    ax.set_ylim(bottom=zero)
    # A bin ends with a whole number, and holds it, as a threshold does.
    first = np.r_[0, np.arange(_BIN + 1, len(genuine), _BIN)]
    for kind, counts, colour, area, hatch in (
        ("impostor", impostor, _IMPOSTOR, _IMPOSTOR_AREA, "////"),
        ("genuine", genuine, _GENUINE, _GENUINE_AREA, None),
    ):
        pairs = int(counts.sum())
        share = np.add.reduceat(counts, first) / max(pairs, 1)
        ax.stairs(
            np.maximum(share, zero),
            _BIN * np.arange(len(first) + 1),
            baseline=zero,
            fill=True,
            facecolor=area,
            edgecolor=colour,
            linewidth=1,
            hatch=hatch,
            label=_number(pairs, f"{kind} pair"),
            gid=kind,
        )
    _threshold_lines(ax, looks, _last(genuine + impostor))
    _legend(ax)
    return ax


def plot_roc(
    measured: Measured, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw recall against false match rate: the receiver operating characteristic.

    Parameters
    ----------
    measured : Measured
        ``pdna.evaluation.measure(counts)``.
    thresholds : dict of str to int, optional
        L2 distances whose rates are marked with their intervals, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The curve; and, if the false match rates have intervals, a band that holds the
        intervals of both rates at every threshold. Fewer than ten matches have the bound
        `FalseMatchRates.upper`.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not one of those that were counted.
    """
    return _tradeoff(ax, measured, thresholds, missed=False)


def plot_det(
    measured: Measured, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw false non-match against false match rate: the detection error tradeoff.

    Parameters
    ----------
    measured, thresholds, ax
        As in `plot_roc`.

    Returns
    -------
    matplotlib.axes.Axes
        As of `plot_roc`, with both axes logarithmic, and the equal error rate marked.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not one of those that were counted.

    Notes
    -----
    Axes of normal deviates, which are common too, make a straight line of two normal
    distributions. Distances of hashes are not normal, and a decade is easier to read.
    """
    return _tradeoff(ax, measured, thresholds, missed=True)


def plot_precision_recall(
    measured: Measured, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw precision against recall, with what sums the two up.

    Parameters
    ----------
    measured, thresholds, ax
        As in `plot_roc`.

    Returns
    -------
    matplotlib.axes.Axes
        A curve in steps, the area below which is the average precision. It begins where
        anything matches. The largest recall at a precision of 90 % is marked.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not one of those that were counted.

    Notes
    -----
    Of the precision there is no interval: it is that of as many genuine and impostor pairs
    as were made, which the legend names.
    """
    found = measured.curves
    looks = _inside(thresholds, len(found.recall))
    ax = axes_for(ax)
    _titled(ax, "Precision and recall", "recall", "precision")
    if _says_what_is_missing(ax, measured):
        return ax
    _percent(ax.xaxis)
    _percent(ax.yaxis)
    matching = found.genuine_matches + found.impostor_matches > 0
    recall, precision = found.recall[matching], found.precision[matching]
    label = f"average precision {found.average_precision:.3f}"
    ax.plot(
        *(np.r_[0.0, recall], np.r_[precision[0], precision]),
        color=_GENUINE,
        drawstyle="steps-pre",
        label=label,
        gid="curve",
    )
    ax.axhline(0.9, **_FAINT)
    best = found.threshold_at_90_precision
    label = "90 % precision: at no threshold"
    at: tuple[list[float], list[float]] = [], []
    if best is not None:
        label = f"90 % precision: recall {_share(found.recall[best])}, L2 ≤ {best}"
        at = [found.recall[best]], [found.precision[best]]
    ax.plot(*at, "*", color=_GENUINE, markersize=12, label=label, gid="90 % precision")
    for name, threshold, look in looks:
        x, left, right = (
            values[threshold]
            for values in (found.recall, measured.recall_lower, measured.recall_upper)
        )
        mark = _mark(name, threshold, look)
        ax.errorbar(x, found.precision[threshold], xerr=_reach(x, left, right), **mark)
    pairs = f"{_pairs(measured)}: precision depends on both numbers."
    _legend(ax, f"Of {pairs} Bars: {_percentage(measured)} intervals of recall.")
    return ax


def plot_false_match_rates(
    measured: Measured,
    *,
    thresholds: Thresholds | None = None,
    targets: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the false match rate at every threshold: counted, bounded and extrapolated.

    Parameters
    ----------
    measured : Measured
        ``pdna.evaluation.measure(counts)``.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    targets : sequence of float, optional
        False match rates to mark, above 0 and up to 1. Each is written at the right end of
        its line, unless another one is too near.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The rate with its interval where ten or more matches were counted. Of fewer a thin
        line, which begins where the first pair matches, and the bound, which alone speaks
        where none does. What the tail says, with its interval, if it is trusted; otherwise
        why it is not. The axis ends where half of the impostor pairs match, and below the
        targets and the rates at which such tails were tested.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not 0 to 3060, or a target not above 0 and up to 1.
    """
    looks = _on_scale(thresholds)
    for target in targets or ():
        if not 0 < target <= 1:
            raise ArgumentError(f"targets: got {target}, needs rates above 0 and up to 1")
    ax = axes_for(ax)
    _titled(ax, "False match rate by threshold", f"threshold, {_DISTANCE}", "false match rate")
    rates, tail = measured.rates, measured.tail
    if rates is None:
        _say(ax, measured.reason)
        return ax
    note = f"N = {_number(rates.pairs, 'impostor pair')}."
    low = min(targets, default=1.0) if targets else 1.0
    if tail is not None and not tail.trusted:
        note += f" No extrapolation: {tail.reason}."
        tail = None
    if tail is not None:
        low = min(low, tail.tested_to / 10)
    _rate_axis(ax.yaxis, rates.pairs, low / 3)
    _draw_counted(ax, rates)
    if tail is not None:
        _draw_tail(ax, tail)
    _draw_targets(ax, targets or ())
    _threshold_lines(ax, looks, int(np.searchsorted(rates.rate, 0.5)))
    _legend(ax, note)
    return ax


def plot_recall(rows: Rows, *, confidence: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the recall of each edit at each threshold, with its interval.

    Parameters
    ----------
    rows : sequence of dict
        Of ``Results.tables["recall"]``, those of one band of detail and with or without
        orientations: one row for each edit and threshold.
    confidence : float, optional
        Of the intervals, to be named.
    ax : matplotlib.axes.Axes, optional
        To draw on; otherwise those of a new figure, which is as high as the edits need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each edit, in the order of the rows; edits of a kind stand together and
        have one background. One marker for each threshold.

    Raises
    ------
    ArgumentError
        There are two rows of one edit and threshold.
    """
    if len({(row["transform"], row["threshold_name"]) for row in rows}) < len(rows):
        raise ArgumentError(
            "rows: got several of one edit and threshold; choose one band, and oriented or not"
        )
    rows = _by_kind(rows, [transforms.parse(row["transform"]).name for row in rows])
    specs = list(dict.fromkeys(row["transform"] for row in rows))
    edits = [transforms.parse(spec) for spec in specs]
    title = "Recall by edit" + ", best of eight orientations" * any(row["oriented"] for row in rows)
    bars = "intervals" if confidence is None else f"{100 * confidence:g} % intervals"
    x = f"recall ({_span([row['n'] for row in rows])} pairs an edit; bars: {bars})"
    ax = _lines(ax, [edit.label for edit in edits], [edit.name for edit in edits], title, x)
    if not rows:
        _say(ax, "There are no edits.")
        return ax
    _percent(ax.xaxis)
    levels = {row["threshold_name"]: row["threshold"] for row in rows}
    beside = np.linspace(-0.27, 0.27, len(levels)) if len(levels) > 1 else [0.0]
    size = _line_height(ax, specs) / 3
    thin = {"markersize": size, "elinewidth": size / 4, "capsize": size / 3}
    for (name, threshold, look), shift in zip(_looks(levels), beside, strict=True):
        chosen = [row for row in rows if row["threshold_name"] == name and row["n"]]
        recall, lower, upper = (
            np.array([row[key] for row in chosen], float)
            for key in ("recall", "recall_lower", "recall_upper")
        )
        places = np.array([specs.index(row["transform"]) for row in chosen])
        mark = _mark(name, threshold, look) | thin
        ax.errorbar(recall, places + shift, xerr=_reach(recall, lower, upper), **mark)
    known = {row["transform"] for row in rows if row["n"]}
    _say_no_pairs(ax, [spec in known for spec in specs])
    _legend(ax, scale=4 / size)
    return ax


def plot_edit_distances(
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
        Of ``Results.tables["edits"]``.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    oriented : bool
        Whether the closest of the original's eight orientations counts.
    ax : matplotlib.axes.Axes, optional
        To draw on; otherwise those of a new figure, which is as high as the edits need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each edit, from its median to its largest distance; edits of a kind
        have one background.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not 0 to 3060.
    """
    looks = _on_scale(thresholds)
    rows = _by_kind(rows, [row["edit"] for row in rows])
    title = "Distances of edits" + ", best of eight orientations" * oriented
    x = f"{_DISTANCE}, {_span([row['n'] for row in rows])} pairs an edit"
    ax = _lines(ax, [row["label"] for row in rows], [row["edit"] for row in rows], title, x)
    prefix = "oriented_" * oriented
    marks = {
        "median": ("median", "o"),
        "p95": ("95th percentile", "|"),
        "largest": ("largest", "D"),
    }
    _ranges(ax, rows, {prefix + key: mark for key, mark in marks.items()}, _GENUINE, looks)
    return ax


def plot_impostor_detail(
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
        To draw on; otherwise those of a new figure, which is as high as the bands need.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each band, from the nearest impostor pair of two originals to their
        median distance, beside the share of the originals that are in the band. A pair
        is in the band of the one with less detail.

    Raises
    ------
    ArgumentTypeError
        A threshold is no integer.
    ArgumentError
        A threshold is not 0 to 3060.
    """
    looks = _on_scale(thresholds)
    labels = [
        (f"{row['from']:g} on" if row["to"] is None else f"{row['from']:g} to {row['to']:g}")
        + f" ({_share(row['share'])})"
        for row in rows
    ]
    y = "detail, grey levels\n(share of the originals)"
    ax = _lines(ax, labels, labels, "Impostor distances by detail", _DISTANCE, y)
    marks = {"impostor_nearest": ("nearest pair", "D"), "impostor_median": ("median", "o")}
    _ranges(ax, rows, marks, _IMPOSTOR, looks)
    return ax


def _tradeoff(
    ax: Axes | None, measured: Measured, thresholds: Thresholds | None, *, missed: bool
) -> Axes:
    """Draw recall, or what is missed of it, against the false match rate."""
    found, rates = measured.curves, measured.rates
    looks = _inside(thresholds, len(found.recall))
    ax = axes_for(ax)
    title = "Detection error tradeoff" if missed else "Receiver operating characteristic"
    _titled(ax, title, "false match rate", "false non-match rate" if missed else "recall")
    if _says_what_is_missing(ax, measured):
        return ax
    zero_x, zero_y = _rate_axis(ax.xaxis, found.impostor_pairs), 0.0
    if missed:
        zero_y = _rate_axis(ax.yaxis, found.genuine_pairs)
    else:
        _percent(ax.yaxis)

    def place(x: Any, y: Any) -> tuple[Floats, Floats]:
        return np.maximum(x, zero_x), np.maximum(y, zero_y)

    curve = place(*(found.det() if missed else found.roc()))
    ax.plot(*curve, color=_GENUINE, label="counted", gid="curve")
    x, y = _intervals(measured, missed)
    if rates is not None:
        # From the best that is in both intervals of a threshold to the worst.
        ax.fill(
            *place(np.r_[x[1], x[2, ::-1]], np.r_[y[1], y[2, ::-1]]),
            facecolor=_GENUINE_AREA,
            label=f"{_percentage(measured)} intervals of both",
            gid="band",
        )
    if missed:
        error, threshold = found.equal_error_rate, found.equal_error_threshold
        label = f"equal error {_share(error)}, L2 {threshold:.0f}"
        at = place([error], [error])
        ax.plot(*at, "X", color=_IMPOSTOR, markersize=8, label=label, gid="equal error")
    for name, threshold, look in looks:
        across, up = place(x[:, threshold], y[:, threshold])
        mark = _mark(name, threshold, look)
        ax.errorbar(across[0], up[0], xerr=_reach(*across), yerr=_reach(*up), **mark)
    note = "" if rates is not None else f" No intervals: {measured.reason}."
    _legend(ax, f"N = {_pairs(measured)}.{note}")
    return ax


def _intervals(measured: Measured, missed: bool) -> tuple[Floats, Floats]:
    """Return two rates with their better and their worse ends, (3, t) each."""
    found, rates = measured.curves, measured.rates
    x = np.tile(found.false_match_rate, (3, 1))
    if rates is not None:
        x[1:] = rates.lower, rates.upper
    recall = np.stack([found.recall, measured.recall_upper, measured.recall_lower])
    return x, 1 - recall if missed else recall


def _draw_counted(ax: Axes, rates: FalseMatchRates) -> None:
    """Draw what was counted: with its interval, or of fewer than ten matches with a bound.

    Of no match there is the bound only: a line at the bottom would be read as a rate.
    """
    few = int((~rates.counted).sum())
    first = int(np.searchsorted(rates.matches, 1))
    percentage, lowest = _percentage(rates), ax.get_ylim()[0]
    threshold, rate = np.arange(len(rates.rate)), rates.rate
    ax.plot(threshold[few:], rate[few:], color=_IMPOSTOR, label="counted", gid="counted")
    ax.fill_between(
        threshold[few:],
        np.maximum(rates.lower[few:], lowest),
        rates.upper[few:],
        facecolor=_IMPOSTOR_AREA,
        label=f"{percentage} interval",
        gid="counted interval",
    )
    if not few:
        return
    # Up to where the curve of ten matches begins.
    if first < few:
        part = slice(first, few + 1)
        label = "fewer than ten counted"
        x, y = threshold[part], rate[part]
        ax.plot(x, y, color=_IMPOSTOR, linewidth=0.8, label=label, gid="few")
    ax.plot(
        threshold[: few + 1],
        rates.upper[: few + 1],
        color="grey",
        linewidth=1,
        marker=CARETDOWNBASE,
        markevery=0.06,
        label=f"at most ({percentage} bound)",
        gid="bound",
    )


def _draw_tail(ax: Axes, tail: Tail) -> None:
    """Draw what the tail says where fewer than ten matches were counted."""
    last = tail.start if tail.counted_from is None else min(tail.start, tail.counted_from)
    said = tail.rate(np.arange(math.floor(last) + 1))
    untested = int(said.untested.sum())
    lowest = ax.get_ylim()[0]
    interval = f"{_percentage(tail)} interval"
    for part, line, opacity, gid, label in (
        (slice(untested, None), "--", 0.35, "extrapolation", f"extrapolation, {interval}"),
        (slice(untested + 1), ":", 0.15, "untested", "beyond what such fits were tested on"),
    ):
        if gid == "untested" and not untested:
            continue
        x = said.threshold[part]
        ax.plot(x, said.rate[part], line, color=_TAIL, linewidth=1.8, label=label, gid=gid)
        lower, upper = (np.maximum(end[part], lowest) for end in (said.lower, said.upper))
        area = (_GENUINE_AREA[0], opacity)
        ax.fill_between(x, lower, upper, facecolor=area, gid=f"{gid} interval")


def _draw_targets(ax: Axes, targets: Sequence[float]) -> None:
    """Draw a line at each rate, and write at its right end which one it is, if there is room."""
    size = 0.85 * _points(ax, "small")
    # So many decades are as high as a label.
    high = 1.1 * size / 72 * -math.log10(ax.get_ylim()[0]) / (_ROOM * _inches(ax)[1])
    above = math.inf
    for target in sorted(targets, reverse=True):
        ax.axhline(target, gid=f"target {target:g}", **_FAINT)
        exponent = math.log10(target)
        if above - exponent < high:
            continue
        above = exponent
        whole = math.isclose(exponent, round(exponent), abs_tol=1e-9)
        ax.annotate(
            f"$10^{{{round(exponent)}}}$" if whole else f"{target:.2g}",
            (1, target),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            gid=f"name of target {target:g}",
        )
    if targets:
        ax.plot([], [], label="targets (at the right)", **_FAINT)


def _ranges(
    ax: Axes,
    rows: Rows,
    marks: Mapping[str, tuple[str, str]],
    colour: str,
    looks: _Looks,
) -> None:
    """Draw a line for each row from the first of some columns to the last, each with its mark."""
    known = {place: row for place, row in enumerate(rows) if row[next(iter(marks))] is not None}
    columns = {key: np.array([row[key] for row in known.values()], float) for key in marks}
    ends = list(columns.values())
    ax.hlines(list(known), ends[0], ends[-1], color=colour, linewidth=1, gid="ranges")
    size = 0.45 * _line_height(ax, rows)
    for (key, (label, marker)), x in zip(marks.items(), columns.values(), strict=True):
        ax.plot(
            *(x, list(known), marker),
            color=colour,
            markersize=2 * size if marker == "|" else size,
            clip_on=False,
            label=label,
            gid=key,
        )
    _say_no_pairs(ax, [place in known for place in range(len(rows))])
    _threshold_lines(ax, looks, max((float(x.max()) for x in ends if len(x)), default=1.0))
    if rows:
        _legend(ax, scale=5 / size)
    else:
        _say(ax, "There are no rows.")


def _lines(
    ax: Axes | None, labels: Sequence[str], groups: Sequence[str], title: str, x: str, y: str = ""
) -> Axes:
    """Return titled axes with a line for each label, the first on top, and neighbours grouped."""
    if ax is None:
        high = 2.0 + 0.2 * len(labels)
        ax = plt.subplots(figsize=(6.4, high), layout="constrained")[1]
    _titled(ax, title, x, y)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    size = min(_points(ax, plt.rcParams["ytick.labelsize"]), 0.8 * _line_height(ax, labels))
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
    height = 72 * _inches(ax)[1]
    # Names of thresholds and the legend will take their room.
    return float(min(max(height - 60, height / 2) / max(len(lines), 1), 12.0))


def _say_no_pairs(ax: Axes, known: Sequence[bool]) -> None:
    """Write on the lines of which nothing is known that there are no pairs."""
    for place in range(len(known)):
        if known[place]:
            continue
        ax.text(
            *(0.99, place, "no pairs"),
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


def _threshold_lines(ax: Axes, looks: _Looks, end: float) -> None:
    """Draw a line at each threshold, named above the axes, which are as long as that needs.

    Each name has a row of its own there, the lowest threshold's on top: none meets another,
    however close they are.
    """
    looks = sorted(looks, key=lambda one: one[1])
    # A name begins at its line: to the right of it there is room.
    ax.set_xlim(0, max([1.03 * end, *(threshold / 0.7 for _, threshold, _ in looks)]))
    size = _points(ax, "small")
    for row, (name, threshold, look) in enumerate(reversed(looks)):
        line = {"color": look.colour, "zorder": 1.9}  # below the data
        ax.axvline(threshold, linestyle=look.line, gid=f"threshold {name}", **line)
        ax.annotate(
            f" {_plain(name)}: L2 ≤ {threshold}",
            (threshold, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2 + 1.3 * size * row),
            textcoords="offset points",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0), "shrinkA": 0, "shrinkB": 0, **line},
            gid=f"name {name}",
        )
    ax.set_title(
        ax.get_title(),
        fontsize=ax.title.get_fontsize(),
        pad=plt.rcParams["axes.titlepad"] + 1.3 * size * len(looks),
    )


def _rate_axis(axis: Axis, pairs: int, low: float = 1.0, nothing: str = "< 1/N") -> float:
    """Make an axis logarithmic, from below 1 / pairs to 1; return where a rate of 0 is drawn.

    Its place has a name if the axis ends there, and none if it goes on below, to `low`.
    """
    ax, across = axis.axes, axis is axis.axes.xaxis
    zero = 0.3 / pairs
    bottom = min(zero / 1.5, low)
    if across:
        ax.set(xscale="log", xlim=(bottom, 1.0))
    else:
        ax.set(yscale="log", ylim=(bottom, 1.0))
    # So many decades are as long as a label, and a space.
    inches = _inches(ax)[0 if across else 1] * (1.0 if across else _ROOM)
    label = (0.55 if across else 0.2) * -math.log10(bottom) / inches
    exponents = list(range(0, math.floor(math.log10(bottom)), -max(math.ceil(label), 1)))
    ticks = {}
    if bottom == zero / 1.5:
        ticks[zero] = nothing
        exponents = [one for one in exponents if abs(one - math.log10(zero)) > label]
    for exponent in exponents:
        ticks[10.0**exponent] = f"$10^{{{exponent}}}$" if exponent else "1"
    axis.set_ticks(list(ticks))
    axis.set_ticklabels(list(ticks.values()))
    axis.set_ticks([], minor=True)
    ax.grid(axis="x" if across else "y", alpha=0.3)
    return zero


def _percent(axis: Axis) -> None:
    """Make an axis one of shares, from 0 to 100 %."""
    ax, across = axis.axes, axis is axis.axes.xaxis
    axis.set_major_formatter(_PERCENT)
    ax.set(**{"xlim" if across else "ylim": (-0.03, 1.03)})
    ax.grid(axis="x" if across else "y", alpha=0.3)


def _titled(ax: Axes, title: str, x: str, y: str) -> None:
    """Write title and labels, smaller in small axes."""
    named(ax, title, x, y)
    ax.title.set_fontsize(_points(ax, plt.rcParams["axes.titlesize"]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(_points(ax, plt.rcParams["axes.labelsize"]))
        axis.set_tick_params(labelsize=_points(ax, plt.rcParams["xtick.labelsize"]))


def _legend(ax: Axes, note: str = "", scale: float = 1.0) -> None:
    """Say below the axes what is what, small marks larger, with a note above."""
    handles, labels = ax.get_legend_handles_labels()
    size = _points(ax, "small")
    # A letter is as wide as half of its height, more or less, and a mark as nine of them;
    # the legend may reach beyond the axes.
    letters = int(1.2 * 72 * _inches(ax)[0] / (0.52 * size))
    longest = max((len(label) for label in labels), default=0)
    columns = 3 if len(labels) == 3 and 3 * (longest + 9) <= letters else 2
    tick_size = _points(ax, plt.rcParams["xtick.labelsize"])
    down = 12 + 1.4 * (tick_size + _points(ax, plt.rcParams["axes.labelsize"]))
    figure = ax.get_figure(root=True)
    assert figure is not None
    legend = ax.legend(
        handles,
        [textwrap.fill(label, max(letters // columns - 9, 8)) for label in labels],
        title=textwrap.fill(note, int(0.9 * letters)),
        title_fontsize=size,
        fontsize=size,
        markerscale=max(scale, 1.0),
        ncols=columns,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -down / 72, figure.dpi_scale_trans),
        borderaxespad=0.0,
        borderpad=0.0,
    )
    legend.set_gid("legend")


def _inches(ax: Axes) -> tuple[float, float]:
    """Return width and height of the axes, before their labels take room."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    box = ax.get_window_extent()
    return box.width / figure.dpi, box.height / figure.dpi


def _points(ax: Axes, size: Any) -> float:
    """Return a font size in points, which is less in axes smaller than Matplotlib's own."""
    width, height = _inches(ax)
    points = float(FontProperties(size=size).get_size_in_points())
    return float(points * min(1.0, width / 4.5, height / 3.3) ** 0.5)


def _say(ax: Axes, text: str) -> None:
    """Write in empty axes why they are."""
    ax.set(xticks=[], yticks=[])
    ax.text(
        *(0.5, 0.5, textwrap.fill(text, 36)),
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=_points(ax, "medium"),
        gid="reason",
    )


def _says_what_is_missing(ax: Axes, measured: Measured) -> bool:
    """Write in the axes which pairs there are none of, if so."""
    found = measured.curves
    kinds = {"genuine": found.genuine_pairs, "impostor": found.impostor_pairs}
    missing = " and no ".join(kind for kind, pairs in kinds.items() if not pairs)
    if missing:
        _say(ax, f"There are no {missing} pairs.")
    return bool(missing)


def _looks(thresholds: Thresholds | None) -> _Looks:
    given = thresholds or {}
    looks = islice(cycle(_LOOKS), len(given))
    return [(*item, look) for item, look in zip(given.items(), looks, strict=True)]


def _inside(thresholds: Thresholds | None, cells: int) -> _Looks:
    """Return thresholds with their looks, once they are known to be some that were counted."""
    return _up_to(cells - 1, ", as were counted", thresholds)


def _on_scale(thresholds: Thresholds | None) -> _Looks:
    """Return thresholds with their looks, once they are known to be L2 distances."""
    return _up_to(SIMILARITY_SCALE, ", the scale of L2", thresholds)


def _up_to(most: int, what: str, thresholds: Thresholds | None) -> _Looks:
    for name, threshold in (thresholds or {}).items():
        shown = repr(shortened(name, 24))
        if not isinstance(threshold, numbers.Integral):
            raise ArgumentTypeError(
                f"thresholds: got {arrays.described(threshold)} for {shown}, needs an integer"
            )
        if not 0 <= threshold <= most:
            raise ArgumentError(f"thresholds: got {threshold} for {shown}, needs 0 to {most}{what}")
    return _looks(thresholds)


def _mark(name: str, threshold: int, look: _Look) -> dict[str, Any]:
    return {
        "fmt": look.marker,
        "color": look.colour,
        "markersize": 6,
        "elinewidth": 1.2,
        "capsize": 2,
        "clip_on": False,
        "label": f"L2 ≤ {threshold}: {_plain(name)}",
        "gid": f"threshold {name}",
    }


def _reach(value: Any, one: Any, other: Any) -> Floats:
    """Return how far an interval reaches below and above a value, (2, n)."""
    lower, upper = np.minimum(one, other), np.maximum(one, other)
    reach: Floats = np.array([np.atleast_1d(value - lower), np.atleast_1d(upper - value)], float)
    return reach.clip(0.0)  # they round differently


def _plain(name: str) -> str:
    """Return a name as Matplotlib takes it for text, and not for a formula."""
    return shortened(name, 24).replace("$", r"\$")


def _percentage(of: Measured | FalseMatchRates | Tail) -> str:
    return f"{100 * of.confidence:g} %"


def _pairs(measured: Measured) -> str:
    found = measured.curves
    kinds = (found.impostor_pairs, "impostor pair"), (found.genuine_pairs, "genuine pair")
    return ", ".join(_number(*kind) for kind in kinds)


def _share(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%"  # no line breaks there


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}" if count else f"no {thing}s"


def _span(counts: Sequence[int]) -> str:
    """Return the least and the largest of some numbers, or the one that they all are."""
    least, largest = min(counts, default=0), max(counts, default=0)
    return f"{largest:,}" if least == largest else f"{least:,} to {largest:,}"


def _last(counts: NDArray[Any]) -> int:
    """Return the last cell that holds a pair, 1 if there is none."""
    return int(np.flatnonzero(counts)[-1]) if counts.any() else 1
