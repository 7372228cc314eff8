"""Figures: numbers come in, nothing is computed here.

Needs Matplotlib, which ``pip install "photodna_nb[report]"`` brings. Every function takes
the axes or the figure to draw on, makes new ones if it is given none, and returns them. What
an artist shows is said by its gid, which each function lists:

    [band] = ax.findobj(lambda artist: artist.get_gid() == "band")
"""

from photodna_nb.plots.hashes import (
    plot_distance_matrix,
    plot_hash_pair,
    plot_image_pairs,
    plot_matches,
)
from photodna_nb.plots.layout import DIRECTIONS
from photodna_nb.plots.rates import (
    plot_det,
    plot_distances,
    plot_false_match_rates,
    plot_precision_recall,
    plot_roc,
)
from photodna_nb.plots.rendering import render_png
from photodna_nb.plots.stages import (
    plot_feature_grid,
    plot_gradients,
    plot_hash,
    plot_normalisation,
    plot_pixel_sums,
    plot_pixels,
    plot_trace,
)
from photodna_nb.plots.tables import plot_impostor_distances, plot_recall, plot_variant_distances
from photodna_nb.plots.transforms import plot_transforms

__all__ = [
    "DIRECTIONS",
    "plot_det",
    "plot_distance_matrix",
    "plot_distances",
    "plot_false_match_rates",
    "plot_feature_grid",
    "plot_gradients",
    "plot_hash",
    "plot_hash_pair",
    "plot_image_pairs",
    "plot_impostor_distances",
    "plot_matches",
    "plot_normalisation",
    "plot_pixel_sums",
    "plot_pixels",
    "plot_precision_recall",
    "plot_recall",
    "plot_roc",
    "plot_trace",
    "plot_transforms",
    "plot_variant_distances",
    "render_png",
]
