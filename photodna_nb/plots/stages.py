"""The stages of a hash, each from the array that the stage returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.hashing import images, stages
from photodna_nb.hashing.images import ImageLike
from photodna_nb.kernels.hashing import CELLS, CLIP, GRID, HASH_BYTES, RADII, RADIUS_WEIGHTS
from photodna_nb.plots import arguments
from photodna_nb.plots.cells import DIRECTIONS, cell_axes, draw_wedges
from photodna_nb.plots.layout import (
    add_labels,
    axes_for,
    colour_bar,
    legend_below,
    outline,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One bright colour of Okabe and Ito for each box, since images are often dark.
_BOXES = ("#F0E442", "#56B4E9", "#E69F00")
# Colours before and after the normalisation, which no direction has, and the edges of the steps.
_UNIT, _LAST = "#CC79A7", "#009E73"
_EDGES = np.arange(HASH_BYTES + 1) - 0.5
_PIXELS = "column (pixels)", "row (pixels)"
_LEGEND = "where the brightness"


def plot_pixels(
    image: ImageLike,
    *,
    grid_point: tuple[int, int] | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the grey levels that the hash reads, with the boxes that are summed for a grid point.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        Drawn as the mean of red, green and blue, 0 to 255.
    grid_point : tuple of int, optional
        Row and column of a point of the feature grid, 0 to 25. Its boxes are drawn, and
        drawn again enlarged, with the pixels that the sum reads.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.
    legend : bool
        Whether a legend below the axes gives the radius and the weight of each box.

    Returns
    -------
    matplotlib.axes.Axes
        The axes hold one image. With a grid point, their only child axes hold the enlarged part.

    Raises
    ------
    ArgumentTypeError
        `image` is not an image, or `grid_point` is not a sequence.
    ArgumentError
        `grid_point` is not in the grid.
    ImageError
        The image cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    >>> ax = plot_pixels(image, grid_point=(3, 20), ax=Figure().subplots())
    >>> ax.get_title()
    '1. Pixels, and boxes of grid point 3, 20'
    """
    pixels = images.pixels(image)
    if grid_point is not None:
        grid_point = arguments.grid_point(grid_point)
    ax = axes_for(ax)
    grey = pixels if pixels.ndim == 2 else pixels[:, :, :3].mean(axis=2)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    title = "1. Pixels (only R+G+B counts)"
    if grid_point is not None:
        title = "1. Pixels, and boxes of grid point {}, {}".format(*grid_point)
        height, width = grey.shape
        boxes = stages.box_bounds(height, width, *grid_point)
        _draw_boxes(ax, boxes)
        _draw_enlarged(ax, grey, boxes)
    add_labels(ax, title, *_PIXELS)
    if legend and grid_point is not None:
        legend_below(ax, "boxes: radius in grid steps, weight", 3)
    return ax


def plot_pixel_sums(pixel_sums: NDArray[np.int64], *, ax: Axes | None = None) -> Axes:
    """Draw the integral image, from which the sum of any box is read at its four corners.

    Parameters
    ----------
    pixel_sums : ndarray of int64, (H, W)
        Integral image from `stages.pixel_sums`; drawn in millions of grey levels.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes hold one image, and are in pixels.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `pixel_sums` has another dtype or shape, or no cells.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> sums = pdna.stages.pixel_sums(np.full((30, 40), 100, np.uint8))
    >>> ax = plot_pixel_sums(sums, ax=Figure().subplots())
    >>> print(ax.images[0].get_array().max())  # millions: 30 x 40 pixels of 3 x 100
    0.36
    """
    pixel_sums = checks.array("pixel_sums", pixel_sums, np.int64, ("h", "w"))
    if not pixel_sums.size:
        raise ArgumentError(f"pixel_sums: got shape {pixel_sums.shape}, needs one cell or more")
    ax = axes_for(ax)
    drawn = ax.imshow(pixel_sums / 1e6, cmap="cividis")
    colour_bar(ax, drawn, "sum of R+G+B,\nmillions of grey levels")
    return add_labels(ax, "2. Sums from the upper left", *_PIXELS)


def plot_feature_grid(
    feature_grid: NDArray[np.float64],
    *,
    grid_point: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weighted box sums around the grid points.

    Parameters
    ----------
    feature_grid : ndarray of float64, (26, 26)
        Feature grid from `stages.feature_grid`; drawn in thousands of grey levels.
    grid_point : tuple of int, optional
        Row and column of a point to outline, 0 to 25: the one whose boxes `plot_pixels` draws.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes hold one image, and are in grid points.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `feature_grid` has another dtype or shape, or `grid_point` is not in the grid.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> ax = plot_feature_grid(np.zeros((26, 26)), grid_point=(3, 20), ax=Figure().subplots())
    >>> ax.patches[0].get_xy()  # as many grid steps from the left and from above
    (19.5, 2.5)
    """
    feature_grid = checks.array("feature_grid", feature_grid, np.float64, (GRID, GRID))
    if grid_point is not None:
        grid_point = arguments.grid_point(grid_point)
    ax = axes_for(ax)
    drawn = ax.imshow(feature_grid / 1e3, cmap="gray")
    colour_bar(ax, drawn, "weighted box sum,\nthousands of grey levels")
    if grid_point is not None:
        row, column = grid_point
        outline(ax, (column - 0.5, row - 0.5), (1.0, 1.0), _BOXES[-1])
    return add_labels(ax, "3. Feature grid, 26 x 26", "grid column", "grid row")


def plot_gradients(
    gradients: NDArray[np.float64],
    *,
    image: ImageLike | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the gradients as four wedges for each cell, which point to where it is darker.

    Parameters
    ----------
    gradients : ndarray of float64, (6, 6, 4)
        Gradients from `stages.gradients`. Only their ratios are drawn: the longest wedge
        reaches the border of its cell.
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W), optional
        Image to draw pale behind the wedges, with its cells in their places. It is mixed with
        white, in a dark style as well.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.
    legend : bool
        Whether a legend below the axes names the direction of each colour.

    Returns
    -------
    matplotlib.axes.Axes
        The collections of the axes are the four directions.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `gradients` has another dtype or shape, or `image` is not an image.
    ImageError
        The image cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> ax = plot_gradients(np.ones((6, 6, 4)), ax=Figure().subplots())
    >>> [wedges.get_label() for wedges in ax.collections]  # of four, which point there
    ['falls to the right', 'rises to the right', 'falls downwards', 'rises downwards']
    """
    shape = (CELLS, CELLS, len(DIRECTIONS))
    gradients = checks.array("gradients", gradients, np.float64, shape)
    background = None if image is None else images.to_rgb(image)
    ax = axes_for(ax)
    if background is not None:
        ax.set_facecolor("white")  # also the colour of the borders of the wedges
    cell_axes(ax)
    draw_wedges(ax, gradients, gradients.max())
    if background is not None:
        # A cell is a seventh of a side, and half a cell is free on each side.
        extent = (-1, 6, 6, -1)
        aspect = background.height / background.width
        ax.imshow(background, extent=extent, alpha=0.4, aspect=aspect)
        ax.set(xlim=extent[:2], ylim=extent[2:])
    ax.set_title("4. Gradients of 6 x 6 cells")
    if legend:
        legend_below(ax, _LEGEND, 2)
    return ax


def plot_normalisation(
    rounds: NDArray[np.float64],
    *,
    unit: NDArray[np.float64] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the vector before and after it is clipped and normalised.

    Parameters
    ----------
    rounds : ndarray of float64, (k, 144)
        Vector after each round of division by its norm and clipping: ``HashTrace.rounds``, or
        from `stages.normalisation`; 0 to 0.25, without a unit. The last round is drawn.
    unit : ndarray of float64, (144,), optional
        Vector before the first clipping, from `stages.unit_vector`, to compare with. The values
        are in its order, the largest first; without it, in the order of the last round.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Gids of the artists: "rounds" is the last round, "unit" the vector before, "clipped" the
        area between the two where the vector is clipped, "clip" the line at 0.25.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `rounds` or `unit` has another dtype or shape, or there are no rounds.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> scaled = np.arange(144.0) ** 8
    >>> rounds, unit = pdna.stages.normalisation(scaled), pdna.stages.unit_vector(scaled)
    >>> ax = plot_normalisation(rounds, unit=unit, ax=Figure().subplots())
    >>> ax.get_legend_handles_labels()[1]
    ['divided by the norm', 'clipped off: 6 of 144', 'after 10 rounds', 'clipped at 0.25']
    """
    rounds = checks.array("rounds", rounds, np.float64, ("k", HASH_BYTES))
    if not len(rounds):
        raise ArgumentError("rounds: got none, needs one or more")
    if unit is not None:
        unit = checks.array("unit", unit, np.float64, (HASH_BYTES,))
    ax = axes_for(ax)
    last = rounds[-1]
    order = np.argsort(-(last if unit is None else unit), kind="stable")
    last = last[order]
    if unit is not None:
        _draw_unit(ax, unit[order], last)
    number = f"{len(rounds)} round{'s' * (len(rounds) > 1)}"
    ax.stairs(last, _EDGES, baseline=None, color=_LAST, label=f"after {number}", gid="rounds")
    clip = ax.axhline(CLIP, color="grey", linestyle="--", linewidth=1)
    clip.set(label=f"clipped at {CLIP}", gid="clip")
    highest = max(CLIP, last.max(), 0.0 if unit is None else unit.max())
    ax.set(xlim=(-1, HASH_BYTES), ylim=(0, 1.1 * highest))
    ax.legend(edgecolor="none", framealpha=1.0, loc="upper right")
    return add_labels(ax, f"5. Normalisation, {number}", "values, largest first", "value (no unit)")


def _draw_unit(ax: Axes, unit: NDArray[np.float64], last: NDArray[np.float64]) -> None:
    """Draw the vector before it is clipped, and the area that is clipped."""
    style: dict[str, Any] = {"color": _UNIT, "linewidth": 1}
    label = "divided by the norm"
    ax.stairs(unit, _EDGES, baseline=None, label=label, gid="unit", **style)
    ax.stairs(
        np.where(unit > CLIP, unit, np.nan),
        _EDGES,
        baseline=last,
        fill=True,
        color=_UNIT,
        alpha=0.5,
        linewidth=0,
        label=f"clipped off: {np.count_nonzero(unit > CLIP)} of {len(unit)}",
        gid="clipped",
    )


def plot_hash(
    hash_bytes: NDArray[np.uint8], *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Draw the 144 bytes in the order in which they are printed, coloured by direction.

    Parameters
    ----------
    hash_bytes : ndarray of uint8, (144,)
        Hash from `hash_image`: six rows of six cells of four directions.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.
    legend : bool
        Whether a legend below the axes names the direction of each colour.

    Returns
    -------
    matplotlib.axes.Axes
        The axes hold one bar for each byte, 0 to 255, in four colours.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `hash_bytes` has another dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> hash_bytes = pdna.hash_image(np.arange(1200, dtype=np.uint8).reshape(30, 40))
    >>> ax = plot_hash(hash_bytes, ax=Figure().subplots())
    >>> len(ax.patches)
    144
    """
    hash_bytes = checks.array("hash_bytes", hash_bytes, np.uint8, (HASH_BYTES,))
    ax = axes_for(ax)
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        positions = np.arange(direction, hash_bytes.size, len(DIRECTIONS))
        ax.bar(positions, hash_bytes[positions], width=1.0, color=colour, label=label)
    ax.set(xlim=(-0.5, 143.5), ylim=(0, 258))
    ax.set_xticks(np.arange(0, 145, 24))
    for row in range(1, 6):
        ax.axvline(24 * row - 0.5, color="grey", linewidth=0.7)
    if legend:
        legend_below(ax, _LEGEND, 2)
    return add_labels(ax, "6. The hash: 144 bytes", "position; 24 for each row of cells", "byte")


def _draw_boxes(ax: Axes, boxes: NDArray[np.float64]) -> None:
    """Draw the boxes of a grid point, the largest first."""
    for k in (2, 1, 0):
        (top, bottom), (left, right) = boxes[k] - 0.5  # pixel 0 of an image begins at -0.5
        label = f"{RADII[k]}, {RADIUS_WEIGHTS[k]:.2f}"
        outline(ax, (left, top), (right - left, bottom - top), _BOXES[k], label)


def _draw_enlarged(ax: Axes, grey: NDArray[Any], boxes: NDArray[np.float64]) -> None:
    """Draw the part of an image around the boxes again, enlarged, in the farthest corner."""
    ((top, bottom), (left, right)), (height, width) = boxes[2], grey.shape
    side = 0.7 * max(bottom - top, right - left)
    y, x = (top + bottom) / 2, (left + right) / 2
    below, beside = y < height / 2, x < width / 2
    corner = (0.53 if beside else 0.02, 0.02 if below else 0.53)
    inset = ax.inset_axes((*corner, 0.45, 0.45))
    inset.imshow(grey, cmap="gray", vmin=0, vmax=255)
    inset.set(xlim=(x - side, x + side), ylim=(y + side, y - side), xticks=[], yticks=[])
    inset.set_anchor("SE" if below and beside else "SW" if below else "NE" if beside else "NW")
    inset.spines[:].set_color(_BOXES[-1])
    _draw_boxes(inset, boxes)
    ax.indicate_inset_zoom(inset, edgecolor=_BOXES[-1], alpha=1.0)
