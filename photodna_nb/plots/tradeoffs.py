"""Two rates against each other, for all thresholds: ROC, DET, precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from photodna_nb.evaluation.dependence import Floats
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.plots import arguments
from photodna_nb.plots.arguments import Thresholds
from photodna_nb.plots.layout import axes_for
from photodna_nb.plots.rate_axes import (
    FAINT,
    GENUINE,
    GENUINE_AREA,
    IMPOSTOR,
    add_scaled_labels,
    confidence_percent,
    count_text,
    error_bars,
    fitted_legend,
    log_rate_axis,
    percent,
    percent_axis,
    threshold_marker,
    threshold_styles,
    write_reason,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_roc(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw recall against false match rate: the receiver operating characteristic.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of a run: ``results.estimates.all_originals``.
    thresholds : dict of str to int, optional
        Distances by name, 0 to the largest (L2 3060); their rates are marked with intervals.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The curve and, if the false match rates have intervals, two areas with the intervals of
        both rates at all thresholds: a strong one for thresholds at which ten or more impostor
        pairs match, and a faint one where fewer match, up to the bound `FalseMatchRates.upper`.
        Gids of the artists: "curve", "band" and "bound" the areas, and "threshold NAME" the
        marker of each threshold.

    Raises
    ------
    ArgumentTypeError
        `estimates` is not a `RateEstimates`, `thresholds` not a dict, or one not an integer.
    ArgumentError
        A threshold is not 0 to the largest distance.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("folder of a run")  # doctest: +SKIP
    >>> estimates = results.estimates.all_originals  # doctest: +SKIP
    >>> ax = plot_roc(estimates, thresholds={"production": 200})  # doctest: +SKIP
    """
    return _plot_tradeoff(ax, estimates, thresholds, non_match=False)


def plot_det(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw false non-match rate against false match rate: the detection error tradeoff.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of a run: ``results.estimates.all_originals``.
    thresholds : dict of str to int, optional
        Distances by name, 0 to the largest (L2 3060); their rates are marked with intervals.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The curve on two logarithmic axes, the equal error rate, and the areas of `plot_roc`.
        Gids of the artists: "curve", "band" and "bound" the areas, "equal error", and
        "threshold NAME" the marker of each threshold.

    Raises
    ------
    ArgumentTypeError
        `estimates` is not a `RateEstimates`, `thresholds` not a dict, or one not an integer.
    ArgumentError
        A threshold is not 0 to the largest distance.

    Notes
    -----
    Axes of normal deviates, which are common as well, draw two normal distributions as a straight
    line. The distances of hashes are not normal, and decades are easier to read.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("folder of a run")  # doctest: +SKIP
    >>> estimates = results.estimates.all_originals  # doctest: +SKIP
    >>> ax = plot_det(estimates, thresholds={"production": 200})  # doctest: +SKIP
    """
    return _plot_tradeoff(ax, estimates, thresholds, non_match=True)


def plot_precision_recall(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw precision against recall, with the average precision.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of a run: ``results.estimates.all_originals``.
    thresholds : dict of str to int, optional
        Distances by name, 0 to the largest (L2 3060); their precision and recall are marked.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A step curve with the average precision as the area below it. It begins at the smallest
        threshold with a match. The largest recall at a precision of 90 % is marked. Gids of the
        artists: "curve", "90 % precision", and "threshold NAME" the marker of each threshold.

    Raises
    ------
    ArgumentTypeError
        `estimates` is not a `RateEstimates`, `thresholds` not a dict, or one not an integer.
    ArgumentError
        A threshold is not 0 to the largest distance.

    Notes
    -----
    The precision has no interval: it holds for the numbers of genuine and impostor pairs of the
    run, which the legend gives.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("folder of a run")  # doctest: +SKIP
    >>> estimates = results.estimates.all_originals  # doctest: +SKIP
    >>> ax = plot_precision_recall(estimates)  # doctest: +SKIP
    """
    curves = arguments.estimates(estimates).curves
    unit = arguments.estimates(estimates).unit
    styles = threshold_styles(arguments.thresholds(thresholds, unit, len(curves.recall) - 1), unit)
    ax = axes_for(ax)
    add_scaled_labels(ax, "Precision and recall", "recall", "precision")
    if _lacks_pairs(ax, estimates):
        return ax
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    matching = curves.genuine_matches + curves.impostor_matches > 0
    recall, precision = curves.recall[matching], curves.precision[matching]
    ax.plot(
        np.r_[0.0, recall],
        np.r_[precision[0], precision],
        color=GENUINE,
        drawstyle="steps-pre",
        label=f"average precision {curves.average_precision:.3f}",
        gid="curve",
    )
    ax.axhline(0.9, **FAINT)
    best = curves.threshold_at_90_precision
    label, marked = "90 % precision: at no threshold", [] if best is None else [best]
    if best is not None:
        label = f"90 % precision: recall {percent(curves.recall[best])}, {unit} ≤ {best}"
    point = curves.recall[marked], curves.precision[marked]
    ax.plot(*point, "*", color=GENUINE, markersize=12, label=label, gid="90 % precision")
    for name, threshold, style in styles:
        x, lower, upper = (
            values[threshold]
            for values in (curves.recall, estimates.recall_lower, estimates.recall_upper)
        )
        marker = threshold_marker(name, threshold, style)
        ax.errorbar(x, curves.precision[threshold], xerr=error_bars(x, lower, upper), **marker)
    note = f"N = {_pairs(estimates)}: precision depends on both numbers."
    fitted_legend(ax, f"{note} Bars: {confidence_percent(estimates)} intervals of recall.")
    return ax


def _plot_tradeoff(
    ax: Axes | None, estimates: RateEstimates, thresholds: Thresholds | None, *, non_match: bool
) -> Axes:
    """Draw recall or the false non-match rate against the false match rate."""
    curves, rates = arguments.estimates(estimates).curves, estimates.false_match_rates
    unit = arguments.estimates(estimates).unit
    styles = threshold_styles(arguments.thresholds(thresholds, unit, len(curves.recall) - 1), unit)
    ax = axes_for(ax)
    title = "Detection error tradeoff" if non_match else "Receiver operating characteristic"
    y_label = "false non-match rate" if non_match else "recall"
    add_scaled_labels(ax, title, "false match rate", y_label)
    if _lacks_pairs(ax, estimates):
        return ax
    zero_x, zero_y = log_rate_axis(ax.xaxis, curves.impostor_pairs), 0.0
    if non_match:
        zero_y = log_rate_axis(ax.yaxis, curves.genuine_pairs)
    else:
        percent_axis(ax.yaxis)

    def positions(x: Any, y: Any) -> tuple[Floats, Floats]:
        return np.maximum(x, zero_x), np.maximum(y, zero_y)

    curve = positions(*(curves.det() if non_match else curves.roc()))
    ax.plot(*curve, color=GENUINE, label="counted", gid="curve")
    x, y = _intervals(estimates, non_match)
    if rates is not None:
        ends_x, ends_y = positions(x[1:], y[1:])
        level, many = confidence_percent(rates), rates.at_least_ten_matches
        for chosen, opacity, gid, label in (
            (many, 0.45, "band", f"{level} intervals of both"),
            (~many, 0.2, "bound", "the same, fewer than ten full dyads"),
        ):
            if chosen.any():
                area = _union(ends_x[:, chosen], ends_y[:, chosen])
                colour = GENUINE_AREA[0], opacity
                ax.fill_between(*area, facecolor=colour, linewidth=0, label=label, gid=gid)
    if non_match:
        rate = curves.equal_error_rate
        label = f"equal error {percent(rate)}, {unit} {curves.equal_error_threshold:.0f}"
        point = positions([rate], [rate])
        ax.plot(*point, "X", color=IMPOSTOR, markersize=8, label=label, gid="equal error")
    for name, threshold, style in styles:
        at_x, at_y = positions(x[:, threshold], y[:, threshold])
        marker = threshold_marker(name, threshold, style)
        ax.errorbar(at_x[0], at_y[0], xerr=error_bars(*at_x), yerr=error_bars(*at_y), **marker)
    note = "" if rates is not None else f" No intervals: {estimates.no_rates_reason}."
    fitted_legend(ax, f"N = {_pairs(estimates)}.{note}")
    return ax


def _union(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the outline of the rectangles over intervals of x and y, (2, n) each.

    The outline has positions on the x axis, and the lowest and highest y of the rectangles at
    each. Positions are the ends of the rectangles, each with the values before it, at it and
    after it; NaN where there is no rectangle.
    """
    left, right = np.sort(x, axis=0)
    ends = np.unique(x)
    # Cell 2 k is the k-th end, and cell 2 k + 1 lies between it and the next one.
    low, high = np.full(2 * len(ends) - 1, np.inf), np.full(2 * len(ends) - 1, -np.inf)
    first, last = 2 * np.searchsorted(ends, left), 2 * np.searchsorted(ends, right)
    for i, j, least, most in zip(first, last, *np.sort(y, axis=0), strict=True):
        low[i : j + 1] = np.minimum(low[i : j + 1], least)
        high[i : j + 1] = np.maximum(high[i : j + 1], most)
    cells = (2 * np.arange(len(ends))[:, None] + [-1, 0, 1]).ravel()[1:-1]
    empty = np.isinf(low)
    low[empty] = high[empty] = np.nan
    return np.repeat(ends, 3)[1:-1], low[cells], high[cells]


def _intervals(estimates: RateEstimates, non_match: bool) -> tuple[Floats, Floats]:
    """Return both rates with their better and their worse confidence limits, (3, t) each."""
    curves, rates = estimates.curves, estimates.false_match_rates
    x = np.tile(curves.false_match_rate, (3, 1))
    if rates is not None:
        x[1:] = rates.lower, rates.upper
    recall = np.stack([curves.recall, estimates.recall_upper, estimates.recall_lower])
    return x, 1 - recall if non_match else recall


def _lacks_pairs(ax: Axes, estimates: RateEstimates) -> bool:
    """Write into the axes which pairs are missing, and return whether any are."""
    curves = estimates.curves
    pairs = {"genuine": curves.genuine_pairs, "impostor": curves.impostor_pairs}
    missing = " and no ".join(kind for kind, n in pairs.items() if not n)
    if missing:
        write_reason(ax, f"There are no {missing} pairs.")
    return bool(missing)


def _pairs(estimates: RateEstimates) -> str:
    curves = estimates.curves
    impostor = count_text(curves.impostor_pairs, "impostor pair")
    return f"{impostor}, {count_text(curves.genuine_pairs, 'genuine pair')}"
