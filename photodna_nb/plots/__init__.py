"""Figures: numbers come in, nothing is computed here.

Needs Matplotlib, which ``pip install "photodna_nb[notebooks]"`` brings. Every function takes
the axes or the figure to draw on, makes new ones if it is given none, and returns them.
"""

from photodna_nb.plots.drawing import DIRECTIONS
from photodna_nb.plots.edits import plot_transforms
from photodna_nb.plots.stages import (
    plot_feature_grid,
    plot_gradients,
    plot_hash,
    plot_normalisation,
    plot_pixel_sums,
    plot_pixels,
    plot_trace,
)

__all__ = [
    "DIRECTIONS",
    "plot_feature_grid",
    "plot_gradients",
    "plot_hash",
    "plot_normalisation",
    "plot_pixel_sums",
    "plot_pixels",
    "plot_trace",
    "plot_transforms",
]
