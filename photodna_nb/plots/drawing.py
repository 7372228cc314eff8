"""What figures have in common: colours, axes, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One colour a direction, of the colour-blind safe palette of Okabe and Ito.
DIRECTIONS = {
    "falls to the right": "#D55E00",
    "rises to the right": "#0072B2",
    "falls downwards": "#E69F00",
    "rises downwards": "#56B4E9",
}


def axes_for(ax: Axes | None) -> Axes:
    """Return the axes, or those of a new figure."""
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def direction_legend(ax: Axes, wanted: bool) -> None:
    """Say beside the axes which colour is which direction."""
    if wanted:
        ax.legend(title="brightness", frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def colour_bar(ax: Axes, drawn: Any, label: str) -> None:
    """Say beside the axes which colour is how much."""
    ax.figure.colorbar(drawn, ax=ax, label=label, fraction=0.04, pad=0.02)


def named(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Return the axes with a title and labels."""
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return ax
