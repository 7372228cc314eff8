"""The 6 x 6 cells of a hash, with a wedge for each direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from photodna_nb.plots.layout import AnyFigure, inches_of

# Half the side of the square between the wedges, in cells.
_SQUARE = 0.1

# One colour for each direction, of the colour-blind safe palette of Okabe and Ito.
DIRECTIONS = {
    "falls to the right": "#D55E00",
    "rises to the right": "#0072B2",
    "falls downwards": "#E69F00",
    "rises downwards": "#56B4E9",
}


def cell_axes(ax: Axes) -> None:
    """Give the axes 6 x 6 square cells, with faint lines between them behind the wedges."""
    ax.set(xlim=(-0.5, 5.5), ylim=(5.5, -0.5), aspect="equal")
    ax.set(xticks=range(6), yticks=range(6), xlabel="cell column", ylabel="cell row")
    ax.set_xticks(np.arange(-0.5, 6), minor=True)
    ax.set_yticks(np.arange(-0.5, 6), minor=True)
    ax.set_axisbelow(True)
    ax.grid(which="minor", color="grey", alpha=0.3, linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def draw_wedges(ax: Axes, cells: NDArray[Any], longest: float) -> None:
    """Draw four wedges for each cell, which point to where it is darker.

    cells: (6, 6, 4), in the order of `DIRECTIONS`; a wedge of `longest` reaches the border of
    its cell. Wedges begin at the sides of a small square, so that none covers another. Their
    border has the colour of the background, so that they are visible on an image.
    """
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        sign = 1 if direction in (0, 2) else -1
        wedges, borders = [], []
        for row, column in np.ndindex(6, 6):
            length = (0.5 - _SQUARE) * cells[row, column, direction] / (longest or 1.0)
            along = sign * (_SQUARE + length * np.array([0.0, 1.0, 0.0]))
            across = _SQUARE * np.array([-1.0, 0.0, 1.0])
            x, y = (along, across) if direction < 2 else (across, along)
            wedges.append(np.column_stack([column + x, row + y]))
            borders.append(min(0.6, 4 * length))  # points; a wedge of no length has no border
        drawn = PolyCollection(wedges, facecolors=colour, label=label)
        drawn.set(edgecolor=ax.get_facecolor(), linewidth=borders)
        ax.add_collection(drawn)


def direction_legend(figure: AnyFigure, ax: Axes, title: str) -> None:
    """Add a legend of the directions, as drawn in `ax`, below all axes of the figure."""
    figure.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4 if inches_of(figure)[0] > 7 else 2,
        frameon=False,
        title=title,
    )
