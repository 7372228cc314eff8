"""All stages of a hash in one figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.hashing import images, stages
from photodna_nb.hashing.images import ImageLike
from photodna_nb.hashing.stages import HashTrace
from photodna_nb.plots.cells import direction_legend
from photodna_nb.plots.layout import AnyFigure, figure_for, inches_of
from photodna_nb.plots.stages import (
    plot_feature_grid,
    plot_gradients,
    plot_hash,
    plot_normalisation,
    plot_pixel_sums,
    plot_pixels,
)

# The grid point whose boxes are drawn; any point away from the edges is suitable.
_GRID_POINT = (17, 21)


def plot_trace(image: ImageLike, trace: HashTrace, *, figure: AnyFigure | None = None) -> AnyFigure:
    """Draw all stages of the hash of an image.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The image.
    trace : HashTrace
        Stages of that image: ``pdna.trace(image)``.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Figure to draw on; a new one of 13 x 7.5 inches by default. Texts are smaller in a smaller
        figure.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its first six axes hold the stages in order, from the pixels to the bytes.

    Raises
    ------
    ArgumentTypeError
        `image` is not an image, or `trace` is not a `HashTrace`.
    ArgumentError
        The trace is that of another image.
    ImageError
        The image cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    >>> figure = plot_trace(image, pdna.trace(image), figure=Figure(figsize=(9, 6)))
    >>> figure.axes[5].get_title()
    '6. The hash: 144 bytes'
    """
    pixels = images.pixels(image)
    if not isinstance(trace, HashTrace):
        raise ArgumentTypeError(
            f"trace: got {checks.describe(trace)}, needs HashTrace: pdna.trace(image)"
        )
    if not _is_of(trace, pixels):
        raise ArgumentError("trace: got that of another image, needs pdna.trace(image)")
    figure = figure_for(figure, 13, 7.5)
    size = min(10.0, inches_of(figure)[0] / 1.2)
    with plt.rc_context({"font.size": size}):
        _draw_stages(pixels, trace, figure)
    for ax in figure.axes:
        ax.tick_params(labelsize=size)  # also of ticks that are made when the figure is drawn
    return figure


def _is_of(trace: HashTrace, pixels: NDArray[np.uint8]) -> bool:
    """Return whether a trace has the size of an image, and the sum of its pixels."""
    if trace.pixel_sums.shape != pixels.shape[:2]:
        return False
    total = 3 * pixels.sum() if pixels.ndim == 2 else pixels[:, :, :3].sum()
    return int(total) == int(trace.pixel_sums[-1, -1])


def _draw_stages(image: NDArray[np.uint8], trace: HashTrace, figure: AnyFigure) -> None:
    axes = figure.subplots(2, 3)
    height, width = trace.pixel_sums.shape
    plot_pixels(image, grid_point=_GRID_POINT, ax=axes[0, 0], legend=False)
    plot_pixel_sums(trace.pixel_sums, ax=axes[0, 1])
    plot_feature_grid(trace.feature_grid, grid_point=_GRID_POINT, ax=axes[0, 2])
    plot_gradients(trace.gradients, image=image, ax=axes[1, 0], legend=False)
    unit = stages.unit_vector(stages.scaled_gradients(trace.gradients, height, width))
    plot_normalisation(trace.rounds, unit=unit, ax=axes[1, 1])
    plot_hash(trace.hash, ax=axes[1, 2], legend=False)
    axes[0, 2].set_aspect(height / width)  # that of the image
    direction_legend(figure, axes[1, 0], "Stages 4 and 6: where the brightness")
    figure.suptitle(
        f"From {width} x {height} pixels to 144 bytes. Detail: {trace.detail:.0f} grey levels"
    )
