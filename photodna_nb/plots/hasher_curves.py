"""The hashers of a run beside each other: their curves, and recall at equal false match rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from photodna_nb.checks import describe, message
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.plots import arguments
from photodna_nb.plots.arguments import Rows
from photodna_nb.plots.breakdown import plot_recall
from photodna_nb.plots.layout import axes_for, drawn_name
from photodna_nb.plots.rate_axes import (
    add_scaled_labels,
    fitted_legend,
    log_rate_axis,
    percent_axis,
    threshold_styles,
    write_reason,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = (
    *("target", "hasher", "transform", "threshold", "unit", "genuine_pairs"),
    *("recall", "recall_lower", "recall_upper"),
)


def plot_hasher_roc(estimates: Mapping[str, RateEstimates], *, ax: Axes | None = None) -> Axes:
    """Draw recall against false match rate for several hashers: their ROC curves.

    Parameters
    ----------
    estimates : dict of str to RateEstimates
        Rates by the name of the hasher:
        ``{name: one.estimates.all_originals for name, one in results.hashers.items()}``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One curve for each hasher, with the gid "curve NAME". Where the line is dotted, fewer than
        ten full dyads (pairs of two originals) match; its gid is "few NAME".

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `estimates` is no dict of `RateEstimates`, or is empty.
    """
    return _plot(ax, estimates, non_match=False)


def plot_hasher_det(estimates: Mapping[str, RateEstimates], *, ax: Axes | None = None) -> Axes:
    """Draw false non-match rate against false match rate for several hashers: their DET curves.

    Parameters
    ----------
    estimates : dict of str to RateEstimates
        As `plot_hasher_roc` takes them, with the same errors.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The curves, with the gids of `plot_hasher_roc`.
    """
    return _plot(ax, estimates, non_match=True)


def plot_hasher_recall(
    rows: Rows, *, confidence: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the recall of each transform by each hasher, at one false match rate.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``results.tables["equal_rates"]`` of one target. Those of all transforms together,
        and of hashers that have no threshold there, are not drawn.
    confidence : float, optional
        Confidence level of the intervals, for the label of the axis.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure, with a height for all transforms.

    Returns
    -------
    matplotlib.axes.Axes
        As `plot_recall`: one marker for each hasher, with the gid "threshold NAME".

    Raises
    ------
    ArgumentTypeError, ArgumentError
        As `plot_recall`, or the rows are of several targets.
    """
    rows = arguments.rows(rows, "equal_rates", _COLUMNS)
    targets = {row["target"] for row in rows}
    if len(targets) > 1:
        raise ArgumentError(f"rows: got those of {len(targets)} targets, needs those of one")
    by_threshold = [
        {**row, "threshold_name": row["hasher"], "oriented": False}
        for row in rows
        if row["transform"] is not None and row["threshold"] is not None
    ]
    ax = plot_recall(by_threshold, confidence=confidence, ax=ax)
    title = "Recall by transform" + "".join(f", false match rate {t:g}" for t in targets)
    ax.set_title(title, fontsize=ax.title.get_fontsize())
    return ax


def _plot(ax: Axes | None, estimates: Mapping[str, RateEstimates], *, non_match: bool) -> Axes:
    if not isinstance(estimates, Mapping) or not estimates:
        needed = "a dict of one or more RateEstimates by the names of hashers"
        raise ArgumentTypeError(message("estimates", describe(estimates), needed))
    for one in estimates.values():
        arguments.estimates(one)
    ax = axes_for(ax)
    title = "Detection error tradeoff" if non_match else "Receiver operating characteristic"
    add_scaled_labels(
        ax, title, "false match rate", "false non-match rate" if non_match else "recall"
    )
    curves = {name: one.curves for name, one in estimates.items()}
    drawn = {name: one for name, one in curves.items() if one.genuine_pairs and one.impostor_pairs}
    if not drawn:
        write_reason(ax, "There are no genuine or no impostor pairs.")
        return ax
    zero_x = log_rate_axis(ax.xaxis, max(one.impostor_pairs for one in drawn.values()))
    zero_y = 0.0
    if non_match:
        zero_y = log_rate_axis(ax.yaxis, max(one.genuine_pairs for one in drawn.values()))
    else:
        percent_axis(ax.yaxis)
    for name, _, style in threshold_styles(dict.fromkeys(drawn, 0)):
        x, y = drawn[name].det() if non_match else drawn[name].roc()
        x, y = np.maximum(x, zero_x), np.maximum(y, zero_y)
        matches = drawn[name].genuine_matches + drawn[name].impostor_matches
        rates, changes = estimates[name].false_match_rates, np.diff(matches, prepend=0) > 0
        few = 0 if rates is None else 1 + int((changes & ~rates.at_least_ten_matches).sum())
        line: dict[str, Any] = {"color": style.colour, "linewidth": 1.6}
        ax.plot(x[:few], y[:few], linestyle=":", gid=f"few {name}", **line)
        counted = slice(max(few - 1, 0), None)
        ax.plot(x[counted], y[counted], label=drawn_name(name, 24), gid=f"curve {name}", **line)
    fitted_legend(ax, "Dotted: fewer than ten full dyads match.")
    return ax
