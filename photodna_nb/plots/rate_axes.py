"""What figures of rates and distances have in common: axes, thresholds, legends, units.

A rate of 0 has no place on a logarithmic axis, and is the interesting one: where two rates are
drawn against each other it stands below one pair in all, where the axis says "< 1/N"; over the
thresholds its bound is drawn instead. L2 distances are 0 to 3060 in principle, and axes end
where the data do. Legends and the names of thresholds stand outside the axes, where there is no
data; a figure with ``layout="constrained"`` makes room for them.
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

from photodna_nb.evaluation.intervals import FalseMatchRates, Floats
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.tail import Tail
from photodna_nb.plots.layout import (
    add_labels,
    fit_text,
    inches_of,
    root_of,
    short_name,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Of the colour-blind safe palette of Okabe and Ito, those that show on white and on black.
GENUINE, IMPOSTOR, TAIL = "#0072B2", "#D55E00", "#0072B2"
# Of areas, translucent: the lighter neighbours of the same.
GENUINE_AREA, IMPOSTOR_AREA = ("#56B4E9", 0.35), ("#E69F00", 0.4)
DISTANCE = "L2 distance"
FAINT: dict[str, Any] = {"color": "grey", "linewidth": 0.8, "linestyle": ":"}
# Of the height of axes: what is left when there are labels and a legend.
ROOM = 0.6
_PERCENT = PercentFormatter(1.0, symbol=" %")


class Look(NamedTuple):
    """How a threshold is drawn."""

    colour: str
    marker: str
    line: Any


Looks = list[tuple[str, int, Look]]
# By position: of the first threshold of a mapping, the second, and so on. Figures that are
# given the same mapping give its thresholds the same looks.
_LOOKS = (
    Look("#009E73", "o", "--"),
    Look("#E69F00", "s", "-."),
    Look("#CC79A7", "^", ":"),
    Look("#56B4E9", "D", (0, (8, 3))),
    Look("#D55E00", "v", (0, (5, 2, 1, 2, 1, 2))),
    Look("#0072B2", "P", (0, (1, 4))),
)
# Of the height of axes: what names of thresholds may take above them, and a legend below, as
# long as its letters are not smaller than so many points.
_ABOVE, _BELOW, _SMALLEST = 0.4, 0.45, 5.0


def looks_of(thresholds: Mapping[str, int]) -> Looks:
    """Return thresholds with their looks, in the order that they are given in.

    From the seventh on the colours are those of the first six with the marks and lines of
    others; 36 differ.
    """
    looks = []
    for place, (name, threshold) in enumerate(thresholds.items()):
        first, other = _LOOKS[place % 6], _LOOKS[(place + place // 6) % 6]
        looks.append((name, threshold, Look(first.colour, other.marker, other.line)))
    return looks


def threshold_mark(name: str, threshold: int, look: Look) -> dict[str, Any]:
    """Return how `Axes.errorbar` marks what a threshold does."""
    return {
        "fmt": look.marker,
        "color": look.colour,
        "markersize": 6,
        "elinewidth": 1.2,
        "capsize": 2,
        "clip_on": False,
        "label": f"L2 ≤ {threshold}: {short_name(name, 24)}",
        "gid": f"threshold {name}",
    }


def error_bars(value: Any, one: Any, other: Any) -> Floats:
    """Return how far an interval reaches below and above a value, (2, n)."""
    lower, upper = np.minimum(one, other), np.maximum(one, other)
    reach: Floats = np.array([np.atleast_1d(value - lower), np.atleast_1d(upper - value)], float)
    return reach.clip(0.0)  # they round differently


def threshold_lines(ax: Axes, looks: Looks, end: float) -> None:
    """Draw a line at each threshold, add_labels above the axes, which are as long as that needs.

    Names stand in rows there, that of a lower threshold above those which it would meet. Many
    of them are shorter and smaller.
    """
    looks = sorted(looks, key=lambda one: one[1])
    # A name begins at its line: to the right of it there is room.
    ax.set_xlim(0, max([1.0, 1.03 * end, *(threshold / 0.7 for _, threshold, _ in looks)]))
    texts, rows, size = _placed(ax, looks)
    for text, row, (name, threshold, look) in zip(texts, rows, looks, strict=True):
        line: dict[str, Any] = {"color": look.colour, "zorder": 1.9}  # below the data
        ax.axvline(threshold, linestyle=look.line, gid=f"threshold {name}", **line)
        ax.annotate(
            text,
            (threshold, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2 + 1.3 * size * row),
            textcoords="offset points",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0), "shrinkA": 0, "shrinkB": 0, **line},
            gid=f"name {name}",
        ).set_parse_math(False)
    ax.set_title(
        ax.get_title(),
        fontsize=ax.title.get_fontsize(),
        pad=plt.rcParams["axes.titlepad"] + 1.3 * size * (1 + max(rows, default=-1)),
    )


def _placed(ax: Axes, looks: Looks) -> tuple[list[str], list[int], float]:
    """Return what is written of thresholds from left to right, in which row, and how large."""
    width, height = (72 * inches for inches in inches_of(ax))
    # Of L2 a point; once labels have taken their room, the axes are still so wide.
    unit = ax.get_xlim()[1] / (0.8 * width)
    size = points_of(ax, "small")
    for letters, kind in ((24, "L2 ≤ "), (12, ""), (6, "")):
        texts = [f" {short_name(name, letters)}: {kind}{limit}" for name, limit, _ in looks]
        starts = [limit for _, limit, _ in looks]
        ends = [
            limit + unit * text_width(text, size) for text, limit in zip(texts, starts, strict=True)
        ]
        rows = _rows(starts, ends)
        largest = _ABOVE * height / (1.3 * (1 + max(rows, default=0)))
        if largest >= _SMALLEST:
            break
    return texts, rows, min(size, largest)


def _rows(starts: list[int], ends: list[float]) -> list[int]:
    """Return a row for each name, from left to right, above those that begin before it ends."""
    rows = [0] * len(starts)
    for place in reversed(range(len(starts))):
        met = [rows[k] for k in range(place + 1, len(starts)) if starts[k] < ends[place]]
        rows[place] = 1 + max(met, default=-1)
    return rows


def rate_axis(axis: Axis, pairs: int, low: float = 1.0, nothing: str = "< 1/N") -> float:
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
    inches = inches_of(ax)[0 if across else 1] * (1.0 if across else ROOM)
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


def share_axis(axis: Axis) -> None:
    """Make an axis one of shares, from 0 to 100 %."""
    ax, across = axis.axes, axis is axis.axes.xaxis
    axis.set_major_formatter(_PERCENT)
    ax.set(**{"xlim" if across else "ylim": (-0.03, 1.03)})
    ax.grid(axis="x" if across else "y", alpha=0.3)


def titled(ax: Axes, title: str, x: str, y: str) -> None:
    """Write title and labels, smaller in small axes."""
    add_labels(ax, title, x, y)
    ax.title.set_fontsize(points_of(ax, plt.rcParams["axes.titlesize"]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(points_of(ax, plt.rcParams["axes.labelsize"]))
        axis.set_tick_params(labelsize=points_of(ax, plt.rcParams["xtick.labelsize"]))


def legend_below_all(ax: Axes, note: str = "", scale: float = 1.0) -> None:
    """Say below the axes what is what, small marks larger, with a note above."""
    handles, labels = ax.get_legend_handles_labels()
    room, height = _legend_room(ax)
    size = points_of(ax, "small")
    while True:
        mark = 4.0 * size  # with the space on both sides
        widest = max((text_width(label, size) for label in labels), default=0.0) + mark
        columns = 3 if len(labels) == 3 and 3 * widest <= room else 2
        texts = [fit_text(label, room / columns - mark, size) for label in labels]
        lines = sum(text.count("\n") + 1 for text in texts) / columns
        if 1.4 * size * lines <= _BELOW * height or size <= _SMALLEST:
            break
        size *= 0.9
    tick_size = points_of(ax, plt.rcParams["xtick.labelsize"])
    down = 12 + 1.4 * (tick_size + points_of(ax, plt.rcParams["axes.labelsize"]))
    legend = ax.legend(
        handles,
        texts,
        title=fit_text(note, room, size),
        title_fontsize=size,
        fontsize=size,
        markerscale=max(scale, 1.0),
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
        text.set_parse_math(False)  # a name with dollars is no formula
    legend.set_gid("legend")


def _legend_room(ax: Axes) -> tuple[float, float]:
    """Return how wide a legend can be, and how high the axes are, in points.

    A legend wider than the axes is cut at the right, where labels at the left push them there.
    """
    dpi = root_of(ax).dpi
    labels = ax.yaxis.get_tightbbox()
    taken = 0.0 if labels is None else 72 * (ax.bbox.x0 - labels.x0) / dpi
    width, height = (72 * inches for inches in inches_of(ax))
    # Matplotlib leaves a fifth of the room of axes free, or more, for their labels.
    return max(1.25 * width - taken, width / 2), height


def say(ax: Axes, text: str) -> None:
    """Write in empty axes why they are."""
    ax.set(xticks=[], yticks=[])
    ax.text(
        0.5,
        0.5,
        textwrap.fill(text, 36),
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=points_of(ax, "medium"),
        gid="reason",
    )


def points_of(ax: Axes, size: Any) -> float:
    """Return a font size in points, which is less in axes smaller than Matplotlib's own."""
    width, height = inches_of(ax)
    points = float(FontProperties(size=size).get_size_in_points())
    return float(points * min(1.0, width / 4.5, height / 3.3) ** 0.5)


def confidence_of(of: RateEstimates | FalseMatchRates | Tail) -> str:
    """Return the confidence of the intervals: 95 %."""
    return f"{100 * of.confidence:g} %"


def percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.3g}\u00a0%"  # no line breaks there


def number_of(count: int, thing: str) -> str:
    """Return how many there are of a thing: 1 pair, 2,000 pairs, no pairs."""
    return f"{count:,} {thing}{'s' * (count != 1)}" if count else f"no {thing}s"
