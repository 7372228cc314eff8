"""The stages of a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from photodna_nb import arrays, images, stages
from photodna_nb.errors import ArgumentError
from photodna_nb.images import ImageLike
from photodna_nb.kernels.hashing import CELLS, CLIP, GRID, HASH_BYTES, RADII, RADIUS_WEIGHTS
from photodna_nb.plots.drawing import (
    DIRECTIONS,
    axes_for,
    cell_axes,
    colour_bar,
    direction_legend,
    directions_below,
    glyphs,
    legend_below,
    named,
    outline,
)
from photodna_nb.stages import HashTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One colour a box, of those of Okabe and Ito that are bright: pictures are often dark.
_BOXES = ("#F0E442", "#56B4E9", "#E69F00")
# Of `plot_trace`: any point away from the edges would do.
_GRID_POINT = (17, 21)


def plot_trace(image: ImageLike, trace: HashTrace, *, figure: Figure | None = None) -> Figure:
    """Draw a picture going through all stages of the hash.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The picture.
    trace : HashTrace
        ``pdna.trace(image)``.
    figure : matplotlib.figure.Figure, optional
        To draw on; a new one of 13 x 7.5 inches otherwise. Texts shrink with smaller ones.

    Returns
    -------
    matplotlib.figure.Figure
        Its first six axes hold, in order, the stages from the pixels to the bytes.
    """
    if figure is None:
        figure = plt.figure(figsize=(13, 7.5), layout="constrained")
    size = min(10.0, figure.get_figwidth() / 1.2)
    with plt.rc_context({"font.size": size}):
        _draw_stages(image, trace, figure)
    for ax in figure.axes:
        ax.tick_params(labelsize=size)  # of the ticks, too, that are made when it is drawn
    return figure


def plot_pixels(
    image: ImageLike,
    *,
    grid_point: tuple[int, int] | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw a picture as the hash sees it, with the boxes that are summed around a grid point.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        Drawn as the mean of red, green and blue, 0 to 255.
    grid_point : tuple of int, optional
        Row and column of a point of the feature grid, 0 to 25. Its boxes are drawn, and
        once more enlarged: which pixels does the sum read?
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.
    legend : bool
        Whether to say below the axes which box has which weight.

    Returns
    -------
    matplotlib.axes.Axes
        With the enlarged part as its only child axes, if there is a grid point.
    """
    ax = axes_for(ax)
    pixels = images.pixels(image)
    grey = pixels if pixels.ndim == 2 else pixels[:, :, :3].mean(axis=2)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    title = "1. Pixels (only R+G+B counts)"
    if grid_point is not None:
        title = "1. Pixels, and boxes of grid point {}, {}".format(*grid_point)
        height, width = grey.shape
        boxes = stages.footprints(height, width, *grid_point)
        _outlined(ax, boxes)
        _enlarged(ax, grey, boxes)
    named(ax, title, "column", "row")
    if legend and grid_point is not None:
        legend_below(ax, "boxes: radius in grid steps, weight", 3)
    return ax


def plot_pixel_sums(pixel_sums: NDArray[np.int64], *, ax: Axes | None = None) -> Axes:
    """Draw the table of sums, from which the sum of any box is read at its four corners.

    Parameters
    ----------
    pixel_sums : ndarray of int64, (H, W)
        From `stages.pixel_sums`; drawn in millions of grey levels.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        With one image: axes in pixels.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `pixel_sums` has another dtype or shape.
    """
    pixel_sums = arrays.checked("pixel_sums", pixel_sums, np.int64, ("h", "w"))
    ax = axes_for(ax)
    drawn = ax.imshow(pixel_sums / 1e6, cmap="cividis")
    colour_bar(ax, drawn, "sum of R+G+B, millions")
    return named(ax, "2. Sums from the upper left", "column", "row")


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
        From `stages.feature_grid`; drawn in thousands of grey levels.
    grid_point : tuple of int, optional
        Row and column of a point to outline: the one whose boxes `plot_pixels` shows.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        With one image: axes in grid points.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `feature_grid` has another dtype or shape, or `grid_point` is not in the grid.
    """
    feature_grid = arrays.checked("feature_grid", feature_grid, np.float64, (GRID, GRID))
    if grid_point is not None and not all(0 <= place < GRID for place in grid_point):
        raise ArgumentError(f"grid_point: got {grid_point}, needs two integers, 0 to {GRID - 1}")
    ax = axes_for(ax)
    drawn = ax.imshow(feature_grid / 1e3, cmap="gray")
    colour_bar(ax, drawn, "weighted box sum, thousands")
    if grid_point is not None:
        row, column = grid_point
        outline(ax, (column - 0.5, row - 0.5), (1.0, 1.0), _BOXES[-1])
    return named(ax, "3. Feature grid, 26 x 26", "grid column", "grid row")


def plot_gradients(
    gradients: NDArray[np.float64],
    *,
    image: ImageLike | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the gradients as four wedges a cell, which point to where it is darker.

    Parameters
    ----------
    gradients : ndarray of float64, (6, 6, 4)
        From `stages.gradients`. Only their ratios are drawn: the longest wedge reaches the
        border of its cell.
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W), optional
        The picture, to be drawn pale below the wedges, where its cells lie.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.
    legend : bool
        Whether to say below the axes which colour is which direction.

    Returns
    -------
    matplotlib.axes.Axes
        Its collections are the four directions.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `gradients` has another dtype or shape.
    """
    shape = (CELLS, CELLS, len(DIRECTIONS))
    gradients = arrays.checked("gradients", gradients, np.float64, shape)
    ax = axes_for(ax)
    cell_axes(ax)
    glyphs(ax, gradients, gradients.max())
    if image is not None:
        picture = images.rgb(image)
        # Cells are a seventh of a side each, and half of one is left free all around.
        extent = (-1, 6, 6, -1)
        ax.imshow(picture, extent=extent, alpha=0.4, aspect=picture.height / picture.width)
        ax.set(xlim=extent[:2], ylim=extent[2:])
    named(ax, "4. Gradients of 6 x 6 cells", "cell column", "cell row")
    direction_legend(ax, legend)
    return ax


def plot_normalisation(rounds: NDArray[np.float64], *, ax: Axes | None = None) -> Axes:
    """Draw the vector after each round of dividing by its norm and clipping.

    Parameters
    ----------
    rounds : ndarray of float64, (k, 144)
        From `stages.normalisation`, 0 to 0.25 and no unit; drawn in the descending order
        of the last round.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Its first k lines are the rounds.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `rounds` has another dtype or shape, or no rows.
    """
    rounds = arrays.checked("rounds", rounds, np.float64, ("k", HASH_BYTES))
    if not len(rounds):
        raise ArgumentError("rounds: got none, needs one or more")
    ax = axes_for(ax)
    shades = plt.get_cmap("viridis")(np.linspace(0.9, 0.3, len(rounds)))
    order = np.argsort(-rounds[-1], kind="stable")
    labelled = (1, len(rounds))
    widths = np.linspace(6, 1, len(rounds))  # the rounds often lie on each other
    for number, values in enumerate(rounds, start=1):
        ax.plot(
            values[order],
            color=shades[number - 1],
            linewidth=widths[number - 1],
            label=f"round {number}" if number in labelled else None,
            drawstyle="steps-mid",
        )
    ax.axhline(
        CLIP,
        color=DIRECTIONS["falls to the right"],
        linestyle="--",
        linewidth=1,
        label=f"clipped at {CLIP}",
    )
    ax.set(xlim=(-1, 144), ylim=(0, 1.1 * max(CLIP, rounds.max())))
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.88))
    title = f"5. Normalisation, {len(rounds)} round{'s' * (len(rounds) > 1)}"
    return named(ax, title, "values, largest first", "value (no unit)")


def plot_hash(
    hash_bytes: NDArray[np.uint8], *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Draw the 144 bytes in the order in which they are printed, coloured by direction.

    Parameters
    ----------
    hash_bytes : ndarray of uint8, (144,)
        From `hash_image`: six rows of six cells of four directions.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.
    legend : bool
        Whether to say below the axes which colour is which direction.

    Returns
    -------
    matplotlib.axes.Axes
        With one bar a byte, 0 to 255, in four colours.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        `hash_bytes` has another dtype or shape.
    """
    hash_bytes = arrays.checked("hash_bytes", hash_bytes, np.uint8, (HASH_BYTES,))
    ax = axes_for(ax)
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        places = np.arange(direction, hash_bytes.size, len(DIRECTIONS))
        ax.bar(places, hash_bytes[places], width=1.0, color=colour, label=label)
    ax.set(xlim=(-0.5, 143.5), ylim=(0, 258))
    ax.set_xticks(np.arange(0, 145, 24))
    for row in range(1, 6):
        ax.axvline(24 * row - 0.5, color="grey", linewidth=0.7)
    named(ax, "6. The hash: 144 bytes", "position; 24 for each row of cells", "byte")
    direction_legend(ax, legend)
    return ax


def _draw_stages(image: ImageLike, trace: HashTrace, figure: Figure) -> None:
    axes = figure.subplots(2, 3)
    height, width = trace.pixel_sums.shape
    plot_pixels(image, grid_point=_GRID_POINT, ax=axes[0, 0], legend=False)
    plot_pixel_sums(trace.pixel_sums, ax=axes[0, 1])
    plot_feature_grid(trace.feature_grid, grid_point=_GRID_POINT, ax=axes[0, 2])
    plot_gradients(trace.gradients, image=image, ax=axes[1, 0], legend=False)
    plot_normalisation(trace.rounds, ax=axes[1, 1])
    plot_hash(trace.hash, ax=axes[1, 2], legend=False)
    axes[0, 2].set_aspect(height / width)  # as the picture
    directions_below(figure, axes[1, 0], "Stages 4 and 6: where the brightness")
    figure.suptitle(
        f"From {width} x {height} pixels to 144 bytes. Detail: {trace.detail:.0f} grey levels"
    )


def _outlined(ax: Axes, boxes: NDArray[np.float64]) -> None:
    """Draw the boxes of a grid point, the largest first."""
    for k in (2, 1, 0):
        (top, bottom), (left, right) = boxes[k] - 0.5  # an image's pixel 0 begins at -0.5
        label = f"{RADII[k]}, {RADIUS_WEIGHTS[k]:.2f}"
        outline(ax, (left, top), (right - left, bottom - top), _BOXES[k], label)


def _enlarged(ax: Axes, grey: NDArray[Any], boxes: NDArray[np.float64]) -> None:
    """Draw the part of a picture around boxes again, large, in the corner that is furthest."""
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
    _outlined(inset, boxes)
    ax.indicate_inset_zoom(inset, edgecolor=_BOXES[-1], alpha=1.0)
