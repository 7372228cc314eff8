"""The stages of a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from photodna_nb import images
from photodna_nb.images import ImageLike
from photodna_nb.kernels.hashing import CLIP
from photodna_nb.plots.drawing import DIRECTIONS, axes_for, colour_bar, direction_legend, named
from photodna_nb.stages import HashTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_trace(image: ImageLike, trace: HashTrace, *, figure: Figure | None = None) -> Figure:
    """Draw a picture going through all stages of the hash.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The picture.
    trace : HashTrace
        ``pdna.trace(image)``.
    figure : matplotlib.figure.Figure, optional
        To draw on; a new one of 13 x 7.5 inches otherwise.

    Returns
    -------
    matplotlib.figure.Figure
        Its first six axes hold, in order, the stages from the pixels to the bytes.
    """
    if figure is None:
        figure = plt.figure(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3)
    height, width = trace.pixel_sums.shape
    plot_pixels(image, ax=axes[0, 0])
    plot_pixel_sums(trace.pixel_sums, ax=axes[0, 1])
    plot_feature_grid(trace.feature_grid, ax=axes[0, 2])
    plot_gradients(trace.gradients, ax=axes[1, 0], legend=False)
    plot_normalisation(trace.rounds, ax=axes[1, 1])
    plot_hash(trace.hash, ax=axes[1, 2], legend=False)
    for stage in (axes[0, 2], axes[1, 0]):
        stage.set_aspect(height / width)  # as the picture
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        title="Stages 4 and 6: where the brightness",
    )
    figure.suptitle(
        f"From {width} x {height} pixels to 144 bytes. Detail: {trace.detail:.0f} grey levels"
    )
    return figure


def plot_pixels(image: ImageLike, *, ax: Axes | None = None) -> Axes:
    """Draw a picture as the hash sees it: the mean of red, green and blue, 0 to 255.

    Returns the axes.
    """
    ax = axes_for(ax)
    pixels = images.pixels(image)
    grey = pixels if pixels.ndim == 2 else pixels[:, :, :3].mean(axis=2)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    return named(ax, "1. Pixels (only R+G+B counts)", "column", "row")


def plot_pixel_sums(pixel_sums: NDArray[np.int64], *, ax: Axes | None = None) -> Axes:
    """Draw the table of sums (H, W), in millions of grey levels. Returns the axes."""
    ax = axes_for(ax)
    drawn = ax.imshow(pixel_sums / 1e6, cmap="cividis")
    colour_bar(ax, drawn, "sum of R+G+B, millions")
    return named(ax, "2. Sums from the upper left", "column", "row")


def plot_feature_grid(feature_grid: NDArray[np.float64], *, ax: Axes | None = None) -> Axes:
    """Draw the box sums around the grid points, (26, 26), in thousands. Returns the axes."""
    ax = axes_for(ax)
    drawn = ax.imshow(feature_grid / 1e3, cmap="gray")
    colour_bar(ax, drawn, "weighted box sum, thousands")
    return named(ax, "3. Feature grid, 26 x 26", "grid column", "grid row")


def plot_gradients(
    gradients: NDArray[np.float64], *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Draw the gradients (6, 6, 4) as four wedges a cell, which point to where it is darker.

    The longest wedge reaches the border of its cell. Returns the axes.
    """
    ax = axes_for(ax)
    longest = gradients.max() or 1.0
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        sign = 1 if direction in (0, 2) else -1
        wedges = []
        for row, column in np.ndindex(6, 6):
            length = 0.5 * gradients[row, column, direction] / longest
            along = sign * length * np.array([0.0, 1.0, 0.0])
            across = 0.16 * np.array([-1.0, 0.0, 1.0])
            x, y = (along, across) if direction < 2 else (across, along)
            wedges.append(np.column_stack([column + x, row + y]))
        ax.add_collection(PolyCollection(wedges, facecolors=colour, label=label))
    ax.set(xlim=(-0.5, 5.5), ylim=(5.5, -0.5), aspect="equal")
    ax.set_xticks(np.arange(6))
    ax.set_yticks(np.arange(6))
    ax.set_xticks(np.arange(-0.5, 6), minor=True)
    ax.set_yticks(np.arange(-0.5, 6), minor=True)
    ax.grid(which="minor", alpha=0.4)
    ax.tick_params(which="minor", length=0)
    direction_legend(ax, legend)
    return named(ax, "4. Gradients of 6 x 6 cells", "cell column", "cell row")


def plot_normalisation(rounds: NDArray[np.float64], *, ax: Axes | None = None) -> Axes:
    """Draw the vector (144) after each round, largest value first. Returns the axes."""
    ax = axes_for(ax)
    shades = plt.get_cmap("viridis")(np.linspace(0.9, 0.1, len(rounds)))
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
    ax.axhline(CLIP, color="C3", linestyle="--", linewidth=1, label=f"clipped at {CLIP}")
    ax.set(xlim=(-1, 144), ylim=(0, 1.1 * max(CLIP, rounds.max())))
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.88))
    title = f"5. Normalisation, {len(rounds)} round{'s' * (len(rounds) > 1)}"
    return named(ax, title, "values, largest first", "value (no unit)")


def plot_hash(
    hash_bytes: NDArray[np.uint8], *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Draw the 144 bytes in the order in which they are printed, coloured by direction.

    Returns the axes.
    """
    ax = axes_for(ax)
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        places = np.arange(direction, hash_bytes.size, len(DIRECTIONS))
        ax.bar(places, hash_bytes[places], width=1.0, color=colour, label=label)
    ax.set(xlim=(-0.5, 143.5), ylim=(0, 258))
    ax.set_xticks(np.arange(0, 145, 24))
    for row in range(1, 6):
        ax.axvline(24 * row - 0.5, color="grey", linewidth=0.7)
    direction_legend(ax, legend)
    return named(ax, "6. The hash: 144 bytes", "position; 24 for each row of cells", "byte")
