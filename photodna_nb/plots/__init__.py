"""Figures drawn from numbers.

They need Matplotlib and SciPy, which ``pip install "photodna_nb[report]"`` installs. Each function
takes the axes or the figure to draw on, or makes new ones, and returns them. A figure that has
neither a layout nor margins of its own gets the constrained layout, which leaves space for labels.
An artist is found by its gid, which the docstring of each function lists:

    [band] = ax.findobj(lambda artist: artist.get_gid() == "band")
"""

from photodna_nb.errors import optional_package

with optional_package(__name__, "Matplotlib", "report"):
    import matplotlib  # noqa: F401

from photodna_nb.plots.breakdown import (
    plot_impostor_distances,
    plot_recall,
    plot_variant_distances,
)
from photodna_nb.plots.by_threshold import plot_distances, plot_false_match_rates
from photodna_nb.plots.cells import DIRECTIONS
from photodna_nb.plots.hash_comparison import plot_distance_matrix, plot_hash_pair
from photodna_nb.plots.hasher_curves import (
    plot_hasher_det,
    plot_hasher_recall,
    plot_hasher_roc,
)
from photodna_nb.plots.image_sheets import plot_image_pairs, plot_matches, plot_transforms
from photodna_nb.plots.layout import render_png
from photodna_nb.plots.stages import (
    plot_feature_grid,
    plot_gradients,
    plot_hash,
    plot_normalisation,
    plot_pixel_sums,
    plot_pixels,
)
from photodna_nb.plots.trace import plot_trace
from photodna_nb.plots.tradeoffs import plot_det, plot_precision_recall, plot_roc

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
    "plot_hasher_det",
    "plot_hasher_recall",
    "plot_hasher_roc",
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
