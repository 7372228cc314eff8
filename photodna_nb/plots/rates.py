"""The rates of an evaluation: by distance, and against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.markers import CARETDOWNBASE
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import FalseMatchRates, Floats
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.tail import Tail
from photodna_nb.plots import validation
from photodna_nb.plots.layout import axes_for, inches_of
from photodna_nb.plots.rate_axes import (
    DISTANCE,
    FAINT,
    GENUINE,
    GENUINE_AREA,
    IMPOSTOR,
    IMPOSTOR_AREA,
    ROOM,
    TAIL,
    confidence_of,
    error_bars,
    legend_below_all,
    looks_of,
    number_of,
    percent,
    points_of,
    rate_axis,
    say,
    share_axis,
    threshold_lines,
    threshold_mark,
    titled,
)
from photodna_nb.plots.validation import Thresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BIN = 10  # of L2


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
        ``RateEstimates.genuine`` and ``RateEstimates.impostor``. Ten of them make a bin.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The share of the pairs in each bin, on a logarithmic axis at whose bottom the empty
        bins are. Artists have gids: "genuine" and "impostor" the histograms, and of each
        threshold "threshold NAME" its line and "name NAME" its name.

    Raises
    ------
    ArgumentTypeError
        An array has another dtype, `thresholds` is no dict, or one of them no integer.
    ArgumentError
        An array has another shape or a negative count, the two differ in length or have no
        cells, or a threshold is not 0 to 3060.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> genuine, impostor = np.zeros((2, 900), np.int64)
    >>> genuine[100], impostor[800] = 40, 1000
    >>> ax = plot_distances(genuine, impostor, thresholds={"mine": 200}, ax=Figure().subplots())
    >>> ax.get_legend_handles_labels()[1]
    ['1,000 impostor pairs', '40 genuine pairs']
    """
    genuine = validation.counts("genuine", genuine)
    impostor = validation.counts("impostor", impostor)
    if len(genuine) != len(impostor):
        raise ArgumentError(
            f"genuine, impostor: got {len(genuine)} and {len(impostor)} cells, needs as many"
        )
    looks = looks_of(validation.thresholds(thresholds))
    ax = axes_for(ax)
    y = f"share of pairs per bin of {_BIN}"
    titled(ax, "Distances of genuine and impostor pairs", DISTANCE, y)
    most = max(int(genuine.sum()), int(impostor.sum()), 1)
    zero = rate_axis(ax.yaxis, most, nothing="none")
    ax.set_ylim(bottom=zero)
    # A bin ends with a whole number, and holds it, as a threshold does.
    first = np.r_[0, np.arange(_BIN + 1, len(genuine), _BIN)]
    for kind, counts, colour, area, hatch in (
        ("impostor", impostor, IMPOSTOR, IMPOSTOR_AREA, "////"),
        ("genuine", genuine, GENUINE, GENUINE_AREA, None),
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
            label=number_of(pairs, f"{kind} pair"),
            gid=kind,
        )
    threshold_lines(ax, looks, _last(genuine + impostor))
    legend_below_all(ax)
    return ax


def plot_roc(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw recall against false match rate: the receiver operating characteristic.

    Parameters
    ----------
    estimates : RateEstimates
        ``pdna.evaluation.estimate_rates(results.counts)``.
    thresholds : dict of str to int, optional
        L2 distances whose rates are marked with their intervals, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The curve, and if the false match rates have intervals, the areas that hold those of
        both rates at every threshold: a strong one of the thresholds at which ten or more
        impostor pairs match, and a faint one of those at which fewer do, up to the bound
        `FalseMatchRates.upper`. Artists have gids: "curve", "band" and "bound" the areas,
        and "threshold NAME" each threshold's mark.

    Raises
    ------
    ArgumentTypeError
        `estimates` is no `RateEstimates`, `thresholds` no dict, or one of them no integer.
    ArgumentError
        A threshold is not one of those that were counted.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("a run's folder")  # doctest: +SKIP
    >>> estimates = pdna.evaluation.estimate_rates(results.counts)  # doctest: +SKIP
    >>> ax = plot_roc(estimates, thresholds={"production": 200})  # doctest: +SKIP
    """
    return _tradeoff(ax, estimates, thresholds, missed=False)


def plot_det(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw false non-match against false match rate: the detection error tradeoff.

    Parameters
    ----------
    estimates : RateEstimates
        ``pdna.evaluation.estimate_rates(results.counts)``.
    thresholds : dict of str to int, optional
        L2 distances whose rates are marked with their intervals, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The curve on two logarithmic axes, the equal error rate, and if the false match rates
        have intervals, the areas that hold those of both rates at every threshold: a strong
        one of the thresholds at which ten or more impostor pairs match, and a faint one of
        those at which fewer do, up to the bound `FalseMatchRates.upper`. Artists have gids:
        "curve", "band" and "bound" the areas, "equal error", and "threshold NAME" each
        threshold's mark.

    Raises
    ------
    ArgumentTypeError
        `estimates` is no `RateEstimates`, `thresholds` no dict, or one of them no integer.
    ArgumentError
        A threshold is not one of those that were counted.

    Notes
    -----
    Axes of normal deviates, which are common too, make a straight line of two normal
    distributions. Distances of hashes are not normal, and a decade is easier to read.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("a run's folder")  # doctest: +SKIP
    >>> estimates = pdna.evaluation.estimate_rates(results.counts)  # doctest: +SKIP
    >>> ax = plot_det(estimates, thresholds={"production": 200})  # doctest: +SKIP
    """
    return _tradeoff(ax, estimates, thresholds, missed=True)


def plot_precision_recall(
    estimates: RateEstimates, *, thresholds: Thresholds | None = None, ax: Axes | None = None
) -> Axes:
    """Draw precision against recall, with what sums the two up.

    Parameters
    ----------
    estimates : RateEstimates
        ``pdna.evaluation.estimate_rates(results.counts)``.
    thresholds : dict of str to int, optional
        L2 distances whose precision and recall are marked, by name.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        A curve in steps, the area below which is the average precision. It begins where
        anything matches. The largest recall at a precision of 90 % is marked. Artists have
        gids: "curve", "90 % precision", and "threshold NAME" each threshold's mark.

    Raises
    ------
    ArgumentTypeError
        `estimates` is no `RateEstimates`, `thresholds` no dict, or one of them no integer.
    ArgumentError
        A threshold is not one of those that were counted.

    Notes
    -----
    Of the precision there is no interval: it is that of as many genuine and impostor pairs
    as were made, which the legend names.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("a run's folder")  # doctest: +SKIP
    >>> estimates = pdna.evaluation.estimate_rates(results.counts)  # doctest: +SKIP
    >>> ax = plot_precision_recall(estimates)  # doctest: +SKIP
    """
    found = validation.estimates(estimates).curves
    looks = looks_of(validation.thresholds(thresholds, len(found.recall)))
    ax = axes_for(ax)
    titled(ax, "Precision and recall", "recall", "precision")
    if _says_what_is_missing(ax, estimates):
        return ax
    share_axis(ax.xaxis)
    share_axis(ax.yaxis)
    matching = found.genuine_matches + found.impostor_matches > 0
    recall, precision = found.recall[matching], found.precision[matching]
    label = f"average precision {found.average_precision:.3f}"
    ax.plot(
        np.r_[0.0, recall],
        np.r_[precision[0], precision],
        color=GENUINE,
        drawstyle="steps-pre",
        label=label,
        gid="curve",
    )
    ax.axhline(0.9, **FAINT)
    best = found.threshold_at_90_precision
    label = "90 % precision: at no threshold"
    at: tuple[list[float], list[float]] = [], []
    if best is not None:
        label = f"90 % precision: recall {percent(found.recall[best])}, L2 ≤ {best}"
        at = [found.recall[best]], [found.precision[best]]
    ax.plot(*at, "*", color=GENUINE, markersize=12, label=label, gid="90 % precision")
    for name, threshold, look in looks:
        x, left, right = (
            values[threshold]
            for values in (found.recall, estimates.recall_lower, estimates.recall_upper)
        )
        mark = threshold_mark(name, threshold, look)
        ax.errorbar(x, found.precision[threshold], xerr=error_bars(x, left, right), **mark)
    pairs = f"{_pairs(estimates)}: precision depends on both numbers."
    legend_below_all(ax, f"Of {pairs} Bars: {confidence_of(estimates)} intervals of recall.")
    return ax


def plot_false_match_rates(
    estimates: RateEstimates,
    *,
    thresholds: Thresholds | None = None,
    targets: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the false match rate at every threshold: counted, bounded and extrapolated.

    Parameters
    ----------
    estimates : RateEstimates
        ``pdna.evaluation.estimate_rates(results.counts)``.
    thresholds : dict of str to int, optional
        L2 distances to mark, 0 to 3060, by name.
    targets : sequence of float, optional
        False match rates to mark, above 0 and up to 1. Each is written at the right end of
        its line, unless another one is too near.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        The rate with its interval where ten or more matches were counted. Of fewer a thin
        line, which begins where the first pair matches, and the bound, which alone speaks
        where none does. What the tail says, with its interval, if it is trusted; otherwise
        why it is not. The axis ends where half of the impostor pairs match, and below the
        targets and the rates at which such tails were tested. Artists have gids: "counted",
        "counted interval", "few" (fewer than ten matches), "bound", "extrapolation",
        "untested" (beyond what such fits were tested on), "extrapolation interval" and
        "untested interval"; of each threshold "threshold NAME" its line and "name NAME" its
        name, and of each target "target RATE" and "name of target RATE".

    Raises
    ------
    ArgumentTypeError
        `estimates` is no `RateEstimates`, `thresholds` no dict, one of them no integer, `targets`
        no sequence, or one of them no number.
    ArgumentError
        A threshold is not 0 to 3060, or a target not above 0 and up to 1.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("a run's folder")  # doctest: +SKIP
    >>> estimates = pdna.evaluation.estimate_rates(results.counts)  # doctest: +SKIP
    >>> ax = plot_false_match_rates(estimates, targets=[1e-3, 1e-6])  # doctest: +SKIP
    """
    validation.estimates(estimates)
    looks = looks_of(validation.thresholds(thresholds))
    targets = validation.targets(targets)
    ax = axes_for(ax)
    titled(ax, "False match rate by threshold", f"threshold, {DISTANCE}", "false match rate")
    rates, tail = estimates.rates, estimates.tail
    if rates is None:
        say(ax, estimates.reason)
        return ax
    note = f"N = {number_of(rates.pairs, 'impostor pair')}."
    low = min(targets, default=1.0)
    if tail is not None and not tail.accepted:
        note += f" No extrapolation: {tail.rejection_reason}."
        tail = None
    if tail is not None:
        low = min(low, tail.validated_down_to / 10)
    rate_axis(ax.yaxis, rates.pairs, low / 3)
    _draw_counted(ax, rates)
    if tail is not None:
        _draw_tail(ax, tail)
    _draw_targets(ax, targets)
    threshold_lines(ax, looks, int(np.searchsorted(rates.rate, 0.5)))
    legend_below_all(ax, note)
    return ax


def _tradeoff(
    ax: Axes | None, estimates: RateEstimates, thresholds: Thresholds | None, *, missed: bool
) -> Axes:
    """Draw recall, or what is missed of it, against the false match rate."""
    found, rates = validation.estimates(estimates).curves, estimates.rates
    looks = looks_of(validation.thresholds(thresholds, len(found.recall)))
    ax = axes_for(ax)
    title = "Detection error tradeoff" if missed else "Receiver operating characteristic"
    titled(ax, title, "false match rate", "false non-match rate" if missed else "recall")
    if _says_what_is_missing(ax, estimates):
        return ax
    zero_x, zero_y = rate_axis(ax.xaxis, found.impostor_pairs), 0.0
    if missed:
        zero_y = rate_axis(ax.yaxis, found.genuine_pairs)
    else:
        share_axis(ax.yaxis)

    def place(x: Any, y: Any) -> tuple[Floats, Floats]:
        return np.maximum(x, zero_x), np.maximum(y, zero_y)

    curve = place(*(found.det() if missed else found.roc()))
    ax.plot(*curve, color=GENUINE, label="counted", gid="curve")
    x, y = _intervals(estimates, missed)
    if rates is not None:
        across, up = place(x[1:], y[1:])
        confidence, several = confidence_of(estimates), rates.at_least_ten_matches
        for chosen, opacity, gid, label in (
            (several, 0.45, "band", f"{confidence} intervals of both"),
            (~several, 0.2, "bound", "the same, of fewer than ten matches"),
        ):
            if not chosen.any():
                continue
            area = _union(across[:, chosen], up[:, chosen])
            colour = GENUINE_AREA[0], opacity
            ax.fill_between(*area, facecolor=colour, linewidth=0, label=label, gid=gid)
    if missed:
        error, threshold = found.equal_error_rate, found.equal_error_threshold
        label = f"equal error {percent(error)}, L2 {threshold:.0f}"
        at = place([error], [error])
        ax.plot(*at, "X", color=IMPOSTOR, markersize=8, label=label, gid="equal error")
    for name, threshold, look in looks:
        across, up = place(x[:, threshold], y[:, threshold])
        mark = threshold_mark(name, threshold, look)
        ax.errorbar(across[0], up[0], xerr=error_bars(*across), yerr=error_bars(*up), **mark)
    note = "" if rates is not None else f" No intervals: {estimates.reason}."
    legend_below_all(ax, f"N = {_pairs(estimates)}.{note}")
    return ax


def _union(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the outline of the rectangles over intervals of x and y, (2, n) each.

    Places on the x axis, and the lowest and the highest y of the rectangles that lie there:
    at each place where one begins or ends, before it and after it. NaN where there is none.
    """
    left, right = np.sort(x, axis=0)
    ends = np.unique(x)
    # Cell 2 k is the k-th end, and the one behind it the room up to the next end.
    low, high = np.full(2 * len(ends) - 1, np.inf), np.full(2 * len(ends) - 1, -np.inf)
    first, last = 2 * np.searchsorted(ends, left), 2 * np.searchsorted(ends, right)
    for i, j, least, most in zip(first, last, *np.sort(y, axis=0), strict=True):
        low[i : j + 1] = np.minimum(low[i : j + 1], least)
        high[i : j + 1] = np.maximum(high[i : j + 1], most)
    cells = (2 * np.arange(len(ends))[:, None] + [-1, 0, 1]).ravel()[1:-1]
    empty = np.isinf(low)
    low[empty] = high[empty] = np.nan
    return np.repeat(ends, 3)[1:-1], low[cells], high[cells]


def _intervals(estimates: RateEstimates, missed: bool) -> tuple[Floats, Floats]:
    """Return two rates with their better and their worse ends, (3, t) each."""
    found, rates = estimates.curves, estimates.rates
    x = np.tile(found.false_match_rate, (3, 1))
    if rates is not None:
        x[1:] = rates.lower, rates.upper
    recall = np.stack([found.recall, estimates.recall_upper, estimates.recall_lower])
    return x, 1 - recall if missed else recall


def _draw_counted(ax: Axes, rates: FalseMatchRates) -> None:
    """Draw what was counted: with its interval, or of fewer than ten matches with a bound.

    Of no match there is the bound only: a line at the bottom would be read as a rate.
    """
    few = int((~rates.at_least_ten_matches).sum())
    first = int(np.searchsorted(rates.matches, 1))
    percentage, lowest = confidence_of(rates), ax.get_ylim()[0]
    threshold, rate = np.arange(len(rates.rate)), rates.rate
    ax.plot(threshold[few:], rate[few:], color=IMPOSTOR, label="counted", gid="counted")
    ax.fill_between(
        threshold[few:],
        np.maximum(rates.lower[few:], lowest),
        rates.upper[few:],
        facecolor=IMPOSTOR_AREA,
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
        ax.plot(x, y, color=IMPOSTOR, linewidth=0.8, label=label, gid="few")
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
    last = (
        tail.fit_threshold
        if tail.threshold_at_ten_matches is None
        else min(tail.fit_threshold, tail.threshold_at_ten_matches)
    )
    said = tail.rate(np.arange(math.floor(last) + 1))
    untested = int(said.beyond_validation.sum())
    lowest = ax.get_ylim()[0]
    interval = f"{confidence_of(tail)} interval"
    for part, line, opacity, gid, label in (
        (slice(untested, None), "--", 0.35, "extrapolation", f"extrapolation, {interval}"),
        (slice(untested + 1), ":", 0.15, "untested", "beyond what such fits were tested on"),
    ):
        if gid == "untested" and not untested:
            continue
        x = said.threshold[part]
        ax.plot(x, said.rate[part], line, color=TAIL, linewidth=1.8, label=label, gid=gid)
        lower, upper = (np.maximum(end[part], lowest) for end in (said.lower, said.upper))
        area = (GENUINE_AREA[0], opacity)
        ax.fill_between(x, lower, upper, facecolor=area, gid=f"{gid} interval")


def _draw_targets(ax: Axes, targets: Sequence[float]) -> None:
    """Draw a line at each rate, and write at its right end which one it is, if there is room."""
    size = 0.85 * points_of(ax, "small")
    # So many decades are as high as a label.
    high = 1.1 * size / 72 * -math.log10(ax.get_ylim()[0]) / (ROOM * inches_of(ax)[1])
    above = math.inf
    for target in sorted(targets, reverse=True):
        ax.axhline(target, gid=f"target {target:g}", **FAINT)
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
        ax.plot([], [], label="targets (at the right)", **FAINT)


def _says_what_is_missing(ax: Axes, estimates: RateEstimates) -> bool:
    """Write in the axes which pairs there are none of, if so."""
    found = estimates.curves
    kinds = {"genuine": found.genuine_pairs, "impostor": found.impostor_pairs}
    missing = " and no ".join(kind for kind, pairs in kinds.items() if not pairs)
    if missing:
        say(ax, f"There are no {missing} pairs.")
    return bool(missing)


def _pairs(estimates: RateEstimates) -> str:
    found = estimates.curves
    kinds = (found.impostor_pairs, "impostor pair"), (found.genuine_pairs, "genuine pair")
    return ", ".join(number_of(*kind) for kind in kinds)


def _last(counts: NDArray[Any]) -> int:
    """Return the last cell that holds a pair, 1 if there is none."""
    return int(np.flatnonzero(counts)[-1]) if counts.any() else 1
