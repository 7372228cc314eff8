"""Figures over the L2 distance: numbers of pairs, and false match rates at each threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.markers import CARETDOWNBASE
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.evaluation.tail import Tail
from photodna_nb.plots import arguments
from photodna_nb.plots.arguments import Thresholds
from photodna_nb.plots.layout import axes_for, inches_of
from photodna_nb.plots.rate_axes import (
    DATA_HEIGHT,
    FAINT,
    GENUINE,
    GENUINE_AREA,
    IMPOSTOR,
    IMPOSTOR_AREA,
    TAIL,
    add_scaled_labels,
    confidence_percent,
    count_text,
    fitted_legend,
    log_rate_axis,
    scaled_font_size,
    threshold_lines,
    threshold_styles,
    write_reason,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BIN = 10  # width of a bin


def plot_distances(
    genuine: NDArray[Any],
    impostor: NDArray[Any],
    *,
    thresholds: Thresholds | None = None,
    unit: str = "L2",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distributions of the distances of genuine and of impostor pairs.

    Parameters
    ----------
    genuine, impostor : ndarray of int64, (t,)
        Number of pairs with ``d - 1 < L2 <= d``, for d from 0 to t - 1:
        ``RateEstimates.genuine_histogram`` and ``.impostor_histogram``. A bin is 10 wide, and
        1 for at most 300 distances of another unit than L2.
    thresholds : dict of str to int, optional
        Distances to mark, 0 to the largest (L2 3060), by name.
    unit : str
        Unit of the distances: ``counts.hasher.unit``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Proportion of the pairs in each bin, on a logarithmic axis; empty bins are at the bottom.
        Gids of the artists: "genuine" and "impostor" are the histograms; each threshold has a
        line "threshold NAME" and a text "name NAME".

    Raises
    ------
    ArgumentTypeError
        An array has another dtype, `thresholds` is not a dict, or one of them not an integer.
    ArgumentError
        An array has another shape or a negative count, the two differ in length or have no
        cells, or a threshold is not 0 to the largest.

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
    genuine = arguments.pair_counts("genuine", genuine)
    impostor = arguments.pair_counts("impostor", impostor)
    if len(genuine) != len(impostor):
        raise ArgumentError(
            f"genuine, impostor: got {len(genuine)} and {len(impostor)} cells, needs as many"
        )
    styles = threshold_styles(arguments.thresholds(thresholds, unit, len(genuine) - 1), unit)
    ax = axes_for(ax)
    width = _BIN if unit == "L2" or len(genuine) > 301 else 1
    y = f"proportion of pairs per bin of {width}"
    add_scaled_labels(ax, "Distances of genuine and impostor pairs", f"{unit} distance", y)
    most = max(int(genuine.sum()), int(impostor.sum()), 1)
    zero = log_rate_axis(ax.yaxis, most, zero_label="none")
    ax.set_ylim(bottom=zero)
    # A bin ends with a whole number and includes it, as a threshold does.
    first = np.r_[0, np.arange(width + 1, len(genuine), width)]
    for kind, counts, colour, area, hatch in (
        ("impostor", impostor, IMPOSTOR, IMPOSTOR_AREA, "////"),
        ("genuine", genuine, GENUINE, GENUINE_AREA, None),
    ):
        pairs = int(counts.sum())
        proportion = np.add.reduceat(counts, first) / max(pairs, 1)
        ax.stairs(
            np.maximum(proportion, zero),
            width * np.arange(len(first) + 1),
            baseline=zero,
            fill=True,
            facecolor=area,
            edgecolor=colour,
            linewidth=1,
            hatch=hatch,
            label=count_text(pairs, f"{kind} pair"),
            gid=kind,
        )
    occupied = np.flatnonzero(genuine + impostor)
    threshold_lines(ax, styles, int(occupied[-1]) if len(occupied) else 1)
    fitted_legend(ax)
    return ax


def plot_false_match_rates(
    estimates: RateEstimates,
    *,
    thresholds: Thresholds | None = None,
    targets: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the false match rate at each threshold: counted, bounded and extrapolated.

    Parameters
    ----------
    estimates : RateEstimates
        Rates of a run: ``results.estimates.all_originals``.
    thresholds : dict of str to int, optional
        Distances to mark, 0 to the largest (L2 3060), by name.
    targets : sequence of float, optional
        False match rates to mark, above 0 and at most 1. Each is written at the right end of
        its line, unless another one is too near.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The rate with its interval where ten or more full dyads match (pairs of two originals, with
        their variants). Where fewer match, a thin line from the first matching pair on, and the
        bound of the rate. The rate of the fitted tail
        with its interval if the tail is accepted, otherwise the reason in the legend. The axis
        ends where half of the impostor pairs match, and below the targets and the lowest rate
        at which such fits were validated. Gids of the artists: "counted", "counted interval",
        "few" (fewer than ten full dyads), "bound", "extrapolation", "extrapolation interval",
        "beyond validation" and "beyond validation interval" (the fit below the lowest validated
        rate); each threshold has a line "threshold NAME" and a text "name NAME", each target a
        line "target RATE" and a text "name of target RATE".

    Raises
    ------
    ArgumentTypeError
        `estimates` is not a `RateEstimates`, `thresholds` not a dict, one of them not an integer,
        `targets` not a sequence, or one of them not a number.
    ArgumentError
        A threshold is not 0 to the largest, or a target not above 0 and at most 1.

    Examples
    --------
    >>> import photodna_nb as pdna
    >>> results = pdna.evaluation.Results.load("folder of a run")  # doctest: +SKIP
    >>> estimates = results.estimates.all_originals  # doctest: +SKIP
    >>> ax = plot_false_match_rates(estimates, targets=[1e-3, 1e-6])  # doctest: +SKIP
    """
    curves, unit = arguments.estimates(estimates).curves, estimates.unit
    styles = threshold_styles(arguments.thresholds(thresholds, unit, len(curves.recall) - 1), unit)
    targets = arguments.targets(targets)
    ax = axes_for(ax)
    title = "False match rate by threshold"
    add_scaled_labels(ax, title, f"threshold, {unit} distance", "false match rate")
    rates, tail = estimates.false_match_rates, estimates.tail
    if rates is None:
        write_reason(ax, estimates.no_rates_reason)
        return ax
    note = f"N = {count_text(rates.pairs, 'impostor pair')}."
    low = min(targets, default=1.0)
    if tail is not None and not tail.accepted:
        note += f" No extrapolation: {tail.rejection_reason}."
        tail = None
    if tail is not None:
        low = min(low, tail.validated_down_to / 10)
    log_rate_axis(ax.yaxis, rates.pairs, low / 3)
    _draw_counted(ax, rates)
    if tail is not None:
        _draw_tail(ax, tail)
    _draw_targets(ax, targets)
    threshold_lines(ax, styles, int(np.searchsorted(rates.rate, 0.5)))
    fitted_legend(ax, note)
    return ax


def _draw_counted(ax: Axes, rates: FalseMatchRates) -> None:
    """Draw the counted rate with its interval, and a bound where fewer than ten full dyads match.

    Where no pair matches, only the bound is drawn: a line at the bottom would look like a rate.
    """
    few = int((~rates.at_least_ten_matches).sum())
    first = int(np.searchsorted(rates.matches, 1))
    level, lowest = confidence_percent(rates), ax.get_ylim()[0]
    threshold, rate = np.arange(len(rates.rate)), rates.rate
    ax.plot(threshold[few:], rate[few:], color=IMPOSTOR, label="counted", gid="counted")
    ax.fill_between(
        threshold[few:],
        np.maximum(rates.lower[few:], lowest),
        rates.upper[few:],
        facecolor=IMPOSTOR_AREA,
        label=f"{level} interval",
        gid="counted interval",
    )
    if not few:
        return
    # Both lines end where the curve of ten full dyads begins.
    if first < few:
        x, y = threshold[first : few + 1], rate[first : few + 1]
        label = "counted, fewer than ten full dyads"
        ax.plot(x, y, color=IMPOSTOR, linewidth=0.8, label=label, gid="few")
    ax.plot(
        threshold[: few + 1],
        rates.upper[: few + 1],
        color="grey",
        linewidth=1,
        marker=CARETDOWNBASE,
        markevery=0.06,
        label=f"at most ({level} bound)",
        gid="bound",
    )


def _draw_tail(ax: Axes, tail: Tail) -> None:
    """Draw the rate of the fitted tail where fewer than ten full dyads match."""
    last = tail.fit_threshold
    if tail.threshold_at_ten_matches is not None:
        last = min(last, tail.threshold_at_ten_matches)
    fitted = tail.rate(np.arange(math.floor(last) + 1))
    beyond = int(fitted.beyond_validation.sum())
    lowest = ax.get_ylim()[0]
    label = f"extrapolation, {confidence_percent(tail)} interval"
    parts = [(slice(beyond, None), "--", 0.35, "extrapolation", label)]
    if beyond:
        label = "extrapolation beyond validation"
        parts.append((slice(beyond + 1), ":", 0.15, "beyond validation", label))
    for part, line, opacity, gid, label in parts:
        x = fitted.threshold[part]
        ax.plot(x, fitted.rate[part], line, color=TAIL, linewidth=1.8, label=label, gid=gid)
        lower, upper = (np.maximum(end[part], lowest) for end in (fitted.lower, fitted.upper))
        area = (GENUINE_AREA[0], opacity)
        ax.fill_between(x, lower, upper, facecolor=area, gid=f"{gid} interval")


def _draw_targets(ax: Axes, targets: Sequence[float]) -> None:
    """Draw a line at each rate, with the rate at its right end if there is space."""
    size = scaled_font_size(ax, "small")
    # Decades that are as high as a label.
    height = 1.1 * size / 72 * -math.log10(ax.get_ylim()[0]) / (DATA_HEIGHT * inches_of(ax)[1])
    above = math.inf
    for target in sorted(targets, reverse=True):
        ax.axhline(target, gid=f"target {target:g}", **FAINT)
        exponent = math.log10(target)
        if above - exponent < height:
            continue
        above = exponent
        is_power = math.isclose(exponent, round(exponent), abs_tol=1e-9)
        ax.annotate(
            f"$10^{{{round(exponent)}}}$" if is_power else f"{target:.2g}",
            (1, target),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            gid=f"name of target {target:g}",
        )
    if targets:
        ax.plot([], [], label="targets (right axis)", **FAINT)
