"""Axes of rates and distances, with thresholds and legends, that several figures share.

A rate of 0 has no position on a logarithmic axis, but it is important. Where two rates are drawn
against each other, it is drawn below one pair in all, and the axis says "< 1/N" there. Where a
rate is drawn against the threshold, its bound is drawn instead. L2 distances are 0 to 3060, and
axes end where the data end. Legends and the names of thresholds are outside the axes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import ScaledTranslation

from photodna_nb.evaluation.dependence import Floats
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.tail import Tail
from photodna_nb.plots.layout import (
    AS_IT_IS,
    add_labels,
    drawn_name,
    fit_text,
    inches_of,
    root_of,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Colours of the palette of Okabe and Ito that are visible on white and on black.
GENUINE, IMPOSTOR, TAIL = "#0072B2", "#D55E00", "#0072B2"
# Colour and opacity of areas.
GENUINE_AREA, IMPOSTOR_AREA = ("#56B4E9", 0.35), ("#E69F00", 0.4)
FAINT: dict[str, Any] = {"color": "grey", "linewidth": 0.8, "linestyle": ":"}
# Share of the height of axes that labels and a legend leave.
DATA_HEIGHT = 0.6
# Largest shares of the height for names of thresholds above and a legend below, as long as the
# font size is not less than so many points.
_ABOVE, _BELOW, _SMALLEST = 0.4, 0.45, 5.0


class ThresholdStyle(NamedTuple):
    """Colour, marker and line style of a threshold, and the unit of its distance."""

    colour: str
    marker: str
    line: Any
    unit: str = "L2"


ThresholdStyles = list[tuple[str, int, ThresholdStyle]]
# By position in the mapping of thresholds, so that figures with the same mapping have the same
# styles.
_STYLES = (
    ThresholdStyle("#009E73", "o", "--"),
    ThresholdStyle("#E69F00", "s", "-."),
    ThresholdStyle("#CC79A7", "^", ":"),
    ThresholdStyle("#56B4E9", "D", (0, (8, 3))),
    ThresholdStyle("#D55E00", "v", (0, (5, 2, 1, 2, 1, 2))),
    ThresholdStyle("#0072B2", "P", (0, (1, 4))),
)


def threshold_styles(thresholds: Mapping[str, int], unit: str = "L2") -> ThresholdStyles:
    """Return name, distance and style of each threshold, in the order of the mapping.

    From the seventh threshold on, the colours of the first six have other markers and lines; 36
    styles differ.
    """
    styles = []
    for i, (name, threshold) in enumerate(thresholds.items()):
        first, other = _STYLES[i % 6], _STYLES[(i + i // 6) % 6]
        style = ThresholdStyle(first.colour, other.marker, other.line, unit)
        styles.append((name, threshold, style))
    return styles


def threshold_marker(name: str, threshold: int, style: ThresholdStyle) -> dict[str, Any]:
    """Return the keywords of `Axes.errorbar` for the rates at a threshold."""
    return {
        "fmt": style.marker,
        "color": style.colour,
        "markersize": 6,
        "elinewidth": 1.2,
        "capsize": 2,
        "clip_on": False,
        "label": f"{style.unit} ≤ {threshold}: {drawn_name(name, 24)}",
        "gid": f"threshold {name}",
    }


def error_bars(value: Any, end: Any, other_end: Any) -> Floats:
    """Return the lengths of an interval below and above a value, (2, n)."""
    lower, upper = np.minimum(end, other_end), np.maximum(end, other_end)
    lengths: Floats = np.array([np.atleast_1d(value - lower), np.atleast_1d(upper - value)], float)
    return lengths.clip(0.0)  # value and ends are rounded differently


def threshold_lines(ax: Axes, styles: ThresholdStyles, end: float) -> None:
    """Draw a line at each threshold with its name above the axes, which end after `end`.

    Names are in rows: that of a lower threshold is above those that it would overlap. Many names
    are shorter and smaller.
    """
    styles = sorted(styles, key=lambda item: item[1])
    # A name begins at its line and needs space on the right of it.
    ax.set_xlim(0, max([1.0, 1.03 * end, *(threshold / 0.7 for _, threshold, _ in styles)]))
    texts, rows, size = _place_names(ax, styles)
    for text, row, (name, threshold, style) in zip(texts, rows, styles, strict=True):
        line: dict[str, Any] = {"color": style.colour, "zorder": 1.9}  # behind the data
        ax.axvline(threshold, linestyle=style.line, gid=f"threshold {name}", **line)
        ax.annotate(
            text,
            (threshold, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2 + 1.3 * size * row),
            textcoords="offset points",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0), "shrinkA": 0, "shrinkB": 0, **line},
            gid=f"name {name}",
        ).set(**AS_IT_IS)
    ax.set_title(
        ax.get_title(),
        fontsize=ax.title.get_fontsize(),
        pad=plt.rcParams["axes.titlepad"] + 1.3 * size * (1 + max(rows, default=-1)),
    )


def _place_names(ax: Axes, styles: ThresholdStyles) -> tuple[list[str], list[int], float]:
    """Return the names of thresholds from left to right, their rows, and the font size."""
    width, height = (72 * inches for inches in inches_of(ax))
    # Distance of a point; the axes keep at least this share of their width.
    unit = ax.get_xlim()[1] / (0.8 * width)
    size = scaled_font_size(ax, "small")
    starts = [threshold for _, threshold, _ in styles]
    for letters, with_unit in ((24, True), (12, False), (6, False)):
        texts = [
            f" {drawn_name(name, letters)}: {f'{style.unit} ≤ ' * with_unit}{threshold}"
            for name, threshold, style in styles
        ]
        ends = [
            start + unit * text_width(text, size) for text, start in zip(texts, starts, strict=True)
        ]
        rows = _stack(starts, ends)
        largest = _ABOVE * height / (1.3 * (1 + max(rows, default=0)))
        if largest >= _SMALLEST:
            break
    return texts, rows, min(size, largest)


def _stack(starts: list[int], ends: list[float]) -> list[int]:
    """Return a row for each name, from left to right, above those that begin before it ends."""
    rows = [0] * len(starts)
    for i in reversed(range(len(starts))):
        overlapped = [rows[k] for k in range(i + 1, len(starts)) if starts[k] < ends[i]]
        rows[i] = 1 + max(overlapped, default=-1)
    return rows


def log_rate_axis(axis: Axis, pairs: int, low: float = 1.0, zero_label: str = "< 1/N") -> float:
    """Make an axis logarithmic, from below 1 / pairs to 1; return the position of a rate of 0.

    That position has a label if the axis ends there, and none if the axis goes down to `low`.
    """
    ax, horizontal = axis.axes, axis is axis.axes.xaxis
    zero = 0.3 / pairs
    bottom = min(zero / 1.5, low)
    if horizontal:
        ax.set(xscale="log", xlim=(bottom, 1.0))
    else:
        ax.set(yscale="log", ylim=(bottom, 1.0))
    # Decades that are as long as a label and a space.
    inches = inches_of(ax)[0 if horizontal else 1] * (1.0 if horizontal else DATA_HEIGHT)
    decades = (0.55 if horizontal else 0.2) * -math.log10(bottom) / inches
    exponents = list(range(0, math.floor(math.log10(bottom)), -max(math.ceil(decades), 1)))
    ticks = {}
    if bottom == zero / 1.5:
        ticks[zero] = zero_label
        exponents = [k for k in exponents if abs(k - math.log10(zero)) > decades]
    for exponent in exponents:
        ticks[10.0**exponent] = f"$10^{{{exponent}}}$" if exponent else "1"
    axis.set_ticks(list(ticks), labels=list(ticks.values()))
    axis.set_ticks([], minor=True)
    ax.grid(axis="x" if horizontal else "y", alpha=0.3)
    return zero


def percent_axis(axis: Axis) -> None:
    """Make an axis one of proportions, from 0 to 100 %."""
    ax, horizontal = axis.axes, axis is axis.axes.xaxis
    axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set(**{"xlim" if horizontal else "ylim": (-0.03, 1.03)})
    ax.grid(axis="x" if horizontal else "y", alpha=0.3)


def add_scaled_labels(ax: Axes, title: str, x: str, y: str) -> None:
    """Write title and labels, in a smaller font in small axes."""
    add_labels(ax, title, x, y)
    ax.title.set_fontsize(scaled_font_size(ax, plt.rcParams["axes.titlesize"]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(scaled_font_size(ax, plt.rcParams["axes.labelsize"]))
        axis.set_tick_params(labelsize=scaled_font_size(ax, plt.rcParams["xtick.labelsize"]))


def fitted_legend(ax: Axes, note: str = "", marker_scale: float = 1.0) -> None:
    """Add a legend below the axes, with a note above it, in a font size that fits.

    The title and the label of the x axis, which are above and below the same space, are broken.
    """
    handles, labels = ax.get_legend_handles_labels()
    width, height = _legend_space(ax)
    label_size = scaled_font_size(ax, plt.rcParams["axes.labelsize"])
    title_size = scaled_font_size(ax, plt.rcParams["axes.titlesize"])
    for text, text_size in ((ax.title, title_size), (ax.xaxis.label, label_size)):
        text.set_text(fit_text(text.get_text(), width, text_size))
    size = scaled_font_size(ax, "small")
    while True:
        handle_width = 4.0 * size  # with the space on both sides
        widest = max((text_width(label, size) for label in labels), default=0.0) + handle_width
        columns = 3 if len(labels) == 3 and 3 * widest <= width else 2
        texts = [fit_text(label, width / columns - handle_width, size) for label in labels]
        lines = sum(text.count("\n") + 1 for text in texts) / columns
        if 1.4 * size * lines <= _BELOW * height or size <= _SMALLEST:
            break
        size *= 0.9
    tick_size = scaled_font_size(ax, plt.rcParams["xtick.labelsize"])
    down = 12 + 1.4 * (tick_size + label_size * (ax.get_xlabel().count("\n") + 1))
    legend = ax.legend(
        handles,
        texts,
        title=fit_text(note, width, size),
        title_fontsize=size,
        fontsize=size,
        markerscale=max(marker_scale, 1.0),
        ncols=columns,
        columnspacing=1.2,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -down / 72, root_of(ax).dpi_scale_trans),
        borderaxespad=0.0,
        borderpad=0.0,
    )
    for text in (*legend.get_texts(), legend.get_title()):
        text.set(**AS_IT_IS)
    legend.set_gid("legend")


def _legend_space(ax: Axes) -> tuple[float, float]:
    """Return the largest width of a legend and the height of the axes, in points.

    The labels of the y axis move the axes to the right, where a wider legend would be cut.
    """
    dpi = root_of(ax).dpi
    labels = ax.yaxis.get_tightbbox()
    label_width = 0.0 if labels is None else 72 * (ax.bbox.x0 - labels.x0) / dpi
    width, height = (72 * inches for inches in inches_of(ax))
    # Matplotlib leaves at least a fifth of the width of axes free.
    return max(1.25 * width - label_width, width / 2), height


def write_reason(ax: Axes, reason: str) -> None:
    """Write into empty axes why they are empty."""
    ax.set(xticks=[], yticks=[])
    text = ax.text(0.5, 0.5, textwrap.fill(reason, 36), transform=ax.transAxes, gid="reason")
    text.set(ha="center", va="center", fontsize=scaled_font_size(ax, "medium"))


def scaled_font_size(ax: Axes, size: Any) -> float:
    """Return a font size in points, smaller in axes that are smaller than Matplotlib's default."""
    width, height = inches_of(ax)
    points = float(FontProperties(size=size).get_size_in_points())
    return float(points * min(1.0, width / 4.5, height / 3.3) ** 0.5)


def confidence_percent(estimates: RateEstimates | FalseMatchRates | Tail) -> str:
    """Return the confidence level of the intervals: 95 %."""
    return f"{100 * estimates.confidence:g} %"


def percent(proportion: float) -> str:
    """Return a proportion in per cent, in which no line is broken."""
    return f"{100 * proportion:.3g}\u00a0%"


def count_text(count: int, noun: str) -> str:
    """Return a number of things: 1 pair, 2,000 pairs, no pairs."""
    return f"{count:,} {noun}{'s' * (count != 1)}" if count else f"no {noun}s"
