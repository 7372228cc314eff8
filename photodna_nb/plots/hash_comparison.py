"""Hashes compared with each other: two of them cell by cell, and the distances of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.kernels.hashing import CELLS
from photodna_nb.pairs import metrics
from photodna_nb.plots import arguments
from photodna_nb.plots.cells import DIRECTIONS, cell_axes, direction_legend, draw_wedges
from photodna_nb.plots.layout import (
    AS_IT_IS,
    AnyFigure,
    add_labels,
    axes_for,
    colour_bar,
    drawn_name,
    figure_for,
    fit_line,
    inches_of,
    outline,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A matrix of at most so many rows has its values written, or its labels.
_MOST_VALUES, _MOST_LABELS = 12, 40


def plot_hash_pair(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    *,
    labels: tuple[str, str] = ("a", "b"),
    figure: AnyFigure | None = None,
) -> AnyFigure:
    """Draw two hashes side by side, and where they differ.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,)
        Hashes. Each is drawn as 6 x 6 cells of four wedges, which point to where the image is
        darker. The longest wedge of both hashes reaches the border of its cell.
    labels : tuple of str
        Names of the two hashes.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Figure to draw on; a new one of 9 x 3.8 inches by default.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its first three axes hold `a`, `b`, and the share of each cell in the squared L2
        distance, in per cent.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape, there are not two labels, or one is not a str.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> a, b = np.zeros(144, np.uint8), np.full(144, 5, np.uint8)
    >>> plot_hash_pair(a, b, labels=("black", "grey"), figure=Figure()).get_suptitle()
    'Two hashes, L2 distance 60 (similarity 0.980)'
    """
    for name, one in (("a", a), ("b", b)):
        checks.array(name, one, np.uint8, (HASH_BYTES,))
    distance, similarity = metrics.distance(a, b), metrics.similarity(a, b)
    names = arguments.labels("labels", labels, 2, "hashes")
    figure = figure_for(figure, 9, 3.8)
    axes = figure.subplots(1, 3)
    both = np.stack([a, b]).reshape(2, CELLS, CELLS, len(DIRECTIONS))
    for ax, cells, label in zip(axes, both, names, strict=False):
        cell_axes(ax)
        draw_wedges(ax, cells, float(both.max()))
        width = 1.15 * 72 * inches_of(ax)[0]  # the layout makes the axes wider
        name = fit_line(drawn_name(label, 24), width, ax.title.get_fontsize())
        ax.set_title(name, **AS_IT_IS)
    squared = ((both[0].astype(np.int64) - both[1]) ** 2).sum(axis=2)
    shares = 100 * squared / max(1, squared.sum())
    cell_axes(axes[2])
    colour_bar(axes[2], axes[2].imshow(shares, cmap="cividis", vmin=0), "% of the squared distance")
    axes[2].set_title("Where they differ")
    direction_legend(figure, axes[0], "where the brightness")
    figure.suptitle(f"Two hashes, L2 distance {distance:.0f} (similarity {similarity:.3f})")
    return figure


def plot_distance_matrix(
    distances: NDArray[np.number],
    *,
    labels: Sequence[str] | None = None,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distances of all pairs of hashes, and outline the pairs that match.

    Parameters
    ----------
    distances : ndarray of a number, (n, n)
        L2 distances: ``pdna.distance_matrix(hashes)``. Up to n = 12, the values are written in
        their cells.
    labels : sequence of str, optional
        A name for each hash, written up to n = 40. Long names lose their middle.
    threshold : float, optional
        L2 distance, 0 to 3060. Two different hashes of at most this distance match, and get an
        outline.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; those of a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its patches are the outlines, its texts the distances.

    Raises
    ------
    ArgumentTypeError
        The matrix holds no numbers, a label is not a str, or the threshold is not a number.
    ArgumentError
        The matrix is not square or has no rows, or there are not as many labels as rows.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> distances = np.array([[0, 90, 800], [90, 0, 850], [800, 850, 0]])
    >>> ax = plot_distance_matrix(
    ...     distances, labels=["a", "a copy", "b"], threshold=200, ax=Figure().subplots()
    ... )
    >>> print(ax.get_title())
    L2 distances of 3 hashes
    outlined: 1 pair within L2 200
    """
    distances = np.asarray(distances)
    if distances.dtype.kind not in "iuf":
        raise ArgumentTypeError(
            f"distances: got {distances.dtype}, needs numbers: pdna.distance_matrix(hashes)"
        )
    if distances.ndim != 2 or len(set(distances.shape)) != 1 or not len(distances):
        raise ArgumentError(f"distances: got shape {distances.shape}, needs (n, n), n from 1 on")
    n = len(distances)
    if labels is not None:
        labels = arguments.labels("labels", labels, n, "rows")
    if threshold is not None:
        threshold = checks.real("threshold", threshold)
    ax = axes_for(ax)
    colour_bar(ax, ax.imshow(distances, cmap="cividis", vmin=0), "L2 distance")
    if n <= _MOST_VALUES:
        _write_values(ax, distances)
    if labels is not None and n <= _MOST_LABELS:
        letters = min(24, int(5.5 * inches_of(ax)[0]))
        names = [drawn_name(label, letters) for label in labels]
        ax.set_xticks(range(n), names, rotation=90, fontsize="small", **AS_IT_IS)
        ax.set_yticks(range(n), names, fontsize="small", **AS_IT_IS)
    title = f"L2 distances of {n} hashes"
    if threshold is not None:
        matching = (distances <= threshold) & ~np.eye(n, dtype=bool)
        for row, column in np.argwhere(matching):
            outline(ax, (column - 0.45, row - 0.45), (0.9, 0.9), "white")
        pairs = int((matching | matching.T).sum()) // 2
        title += f"\noutlined: {pairs} pair{'s' * (pairs != 1)} within L2 {threshold:g}"
    return add_labels(ax, title, "", "")


def _write_values(ax: Axes, distances: NDArray[np.number]) -> None:
    """Write each distance into its cell, dark on light and light on dark colours."""
    red, green, blue = np.moveaxis(ax.images[0].to_rgba(distances)[..., :3], -1, 0)
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.46
    for (row, column), distance in np.ndenumerate(distances):
        colour = "black" if light[row, column] else "white"
        text = ax.text(column, row, f"{distance:.0f}", color=colour, fontsize="x-small")
        text.set(ha="center", va="center")
