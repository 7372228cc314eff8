"""Hashes beside each other: where they differ, how far apart many are, what a search found."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb import distances as hash_distances
from photodna_nb import images
from photodna_nb.errors import ArgumentError, ImageError
from photodna_nb.images import ImageLike
from photodna_nb.kernels.hashing import CELLS
from photodna_nb.names import displayed
from photodna_nb.plots.drawing import (
    DIRECTIONS,
    axes_for,
    cell_axes,
    colour_bar,
    directions_below,
    glyphs,
    named,
    outline,
    sheet,
    shortened,
    side_by_side,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from photodna_nb.index.records import Match

# Of a matrix: up to so many rows its values are written, or its labels.
_WRITTEN, _LABELLED = 12, 40


def plot_hash_pair(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    *,
    labels: tuple[str, str] = ("a", "b"),
    figure: Figure | None = None,
) -> Figure:
    """Draw two hashes side by side, and where they differ.

    Parameters
    ----------
    a, b : ndarray of uint8, (144,)
        Hashes. Each is drawn as 6 x 6 cells of four wedges, which point to where it is
        darker; the longest of both hashes reaches the border of its cell.
    labels : tuple of str
        Their names.
    figure : matplotlib.figure.Figure, optional
        To draw on; a new one of 9 x 3.8 inches otherwise.

    Returns
    -------
    matplotlib.figure.Figure
        Its first three axes hold `a`, `b`, and each cell's share of the squared L2
        distance, in per cent.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape.
    """
    distance = hash_distances.distance(a, b)
    similarity = hash_distances.similarity(a, b)
    if figure is None:
        figure = plt.figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 3)
    both = np.stack([a, b]).reshape(2, CELLS, CELLS, len(DIRECTIONS))
    for ax, cells, label in zip(axes, both, labels, strict=False):
        cell_axes(ax)
        glyphs(ax, cells, float(both.max()))
        named(ax, "", "cell column", "cell row")
        ax.set_title(shortened(label, 24), parse_math=False)
    squared = ((both[0].astype(np.int64) - both[1]) ** 2).sum(axis=2)
    shares = 100 * squared / max(1, squared.sum())
    cell_axes(axes[2])
    drawn = axes[2].imshow(shares, cmap="cividis", vmin=0)
    colour_bar(axes[2], drawn, "% of the squared distance")
    named(axes[2], "Where they differ", "cell column", "cell row")
    directions_below(figure, axes[0], "where the brightness")
    figure.suptitle(f"Two hashes, L2 distance {distance:.0f} (similarity {similarity:.3f})")
    return figure


def plot_distance_matrix(
    distances: NDArray[np.number],
    *,
    labels: Sequence[str] | None = None,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far all hashes lie from each other, and which pairs match.

    Parameters
    ----------
    distances : ndarray of a number, (n, n)
        L2 distances: ``pdna.distance_matrix(hashes)``. Up to n = 12 they are written in
        their cells.
    labels : sequence of str, optional
        A name for each hash; shown up to n = 40. Long ones lose their middle.
    threshold : float, optional
        Two different hashes at most so far apart match, and get an outline.
    ax : matplotlib.axes.Axes, optional
        To draw on; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Its patches are the outlines.

    Raises
    ------
    ArgumentError
        The matrix is not square, or there are not as many labels as rows.
    """
    distances = np.asarray(distances)
    if distances.ndim != 2 or len(set(distances.shape)) != 1:
        raise ArgumentError(f"distances: got shape {distances.shape}, needs (n, n)")
    number = len(distances)
    if labels is not None and len(labels) != number:
        raise ArgumentError(f"labels: got {len(labels)}, needs one for each of {number} rows")
    ax = axes_for(ax)
    drawn = ax.imshow(distances, cmap="cividis", vmin=0)
    colour_bar(ax, drawn, "L2 distance")
    if number <= _WRITTEN:
        _write_values(ax, distances)
    if labels is not None and number <= _LABELLED:
        inches = ax.get_window_extent().width / ax.figure.dpi
        names = [shortened(label, min(24, int(5.5 * inches))) for label in labels]
        ax.set_xticks(range(number), names, rotation=90, fontsize="small", parse_math=False)
        ax.set_yticks(range(number), names, fontsize="small", parse_math=False)
    title = f"L2 distances of {number} hashes"
    if threshold is not None:
        matching = (distances <= threshold) & ~np.eye(number, dtype=bool)
        for row, column in np.argwhere(matching):
            outline(ax, (column - 0.45, row - 0.45), (0.9, 0.9), "white")
        pairs = int((matching | matching.T).sum()) // 2
        title += f"\noutlined: {pairs} pair{'s' * (pairs != 1)} within L2 {threshold:g}"
    return named(ax, title, "", "")


def plot_matches(
    query: ImageLike,
    matches: Sequence[Match],
    *,
    columns: int | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw a query and the pictures that a search found for it, as a sheet of thumbnails.

    Parameters
    ----------
    query : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The picture that was looked for; it comes first.
    matches : sequence of Match
        Of one query, as `HashIndex.search` gives them, nearest first. Their files are
        opened; one that cannot be has an empty frame that says why.
    columns : int, optional
        Thumbnails in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure, optional
        To draw on; otherwise a new one, in which a picture has 2.2 inches: file
        names of up to 25 letters are whole.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes hold the query and the matches, in order, each with rank and file name
        above, and L2 distance and similarity below. An orientation is named if it is not
        that of the query, and low detail, with which a match says nothing.
    """
    original = images.rgb(query)
    pictures = [original, *(_opened(match.path) for match in matches)]
    notes = ["", *map(_said_of, matches)]
    lines = 2 + max(note.count("\n") for note in notes)
    shape = original.height / original.width
    figure, axes, size, letters = sheet(
        len(pictures), shape, columns, figure, inches=2.2, lines=lines
    )
    labels = ["query"]
    for rank, match in enumerate(matches, start=1):
        labels.append(f"{rank}. {shortened(os.path.basename(match.path), letters - 4)}")
    for ax, picture, label, note in zip(axes, pictures, labels, notes, strict=True):
        side_by_side(ax, [picture], label, note, size)
    found = f"{len(matches)} match{'es' * (len(matches) != 1)}, nearest first"
    title = f"A query and its {found}" if matches else "A query without a match"
    figure.suptitle(title, fontsize="medium", wrap=True)
    return figure


def plot_pairs(
    pairs: Sequence[tuple[ImageLike | None, ImageLike | None]],
    *,
    labels: Sequence[str] | None = None,
    title: str = "",
    columns: int | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw pairs of pictures, such as those nearest a threshold, for a person to look at.

    Parameters
    ----------
    pairs : sequence of tuple of two images
        Pillow images, or ndarrays of uint8 (H, W, 3), (H, W, 4) or (H, W); None for one
        that is missing, which leaves an empty frame.
    labels : sequence of str, optional
        What to say below each pair: names and distance for example.
    title : str
        What pairs they are.
    columns : int, optional
        Pairs in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure, optional
        To draw on; otherwise a new one, in which a pair is 3 inches wide.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes hold a pair each, in order.

    Raises
    ------
    ArgumentError
        There are not as many labels as pairs.
    """
    if labels is None:
        labels = [""] * len(pairs)
    if len(labels) != len(pairs):
        raise ArgumentError(f"labels: got {len(labels)}, needs one for each of {len(pairs)} pairs")
    figure, axes, size, letters = sheet(len(pairs), 0.4, columns, figure, inches=3.0, lines=3)
    for ax, pair, label in zip(axes, pairs, labels, strict=True):
        pictures = ["missing" if one is None else images.rgb(one) for one in pair]
        side_by_side(ax, pictures, "", _wrapped(label, letters), size)
    if title:
        figure.suptitle(title, fontsize="medium", wrap=True, parse_math=False)
    return figure


def _wrapped(text: str, letters: int) -> str:
    lines = (displayed(line) if line else "" for line in text.splitlines())
    return "\n".join(textwrap.fill(line, letters) for line in lines)


def _write_values(ax: Axes, distances: NDArray[np.number]) -> None:
    """Write each distance into its cell, dark on light and light on dark colours."""
    (drawn,) = ax.images
    red, green, blue = np.moveaxis(drawn.to_rgba(distances)[..., :3], -1, 0)
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.46
    for (row, column), distance in np.ndenumerate(distances):
        colour = "black" if light[row, column] else "white"
        written = ax.text(column, row, f"{distance:.0f}", color=colour, fontsize="x-small")
        written.set(ha="center", va="center")


def _opened(path: str) -> Image.Image | str:
    """Return the picture in a file, or why there is none."""
    try:
        return images.rgb(images.read_pixels(path))
    except ImageError as error:
        return displayed(error.reason.partition(";")[0])


def _said_of(match: Match) -> str:
    said = [f"L2 {match.distance:.0f}", f"similarity {match.similarity:.3f}"]
    if match.orientation != "identity":
        said.append(match.orientation.replace("_", " "))
    if match.low_detail:
        said.append("low detail")
    return "\n".join(said)
