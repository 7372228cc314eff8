"""Hashes beside each other: where they differ, how far apart many are, what a search found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, ImageError
from photodna_nb.hashing import images
from photodna_nb.hashing.images import ImageLike
from photodna_nb.kernels.hashing import CELLS
from photodna_nb.pairs import metrics as hash_distances
from photodna_nb.pairs.metrics import Limit
from photodna_nb.plots import validation
from photodna_nb.plots.layout import (
    DIRECTIONS,
    AnyFigure,
    axes_for,
    cell_axes,
    colour_bar,
    directions_below,
    figure_for,
    fitted,
    glyphs,
    inches_of,
    label_size,
    named,
    outline,
    sheet,
    shortened,
    side_by_side,
    wrapped,
)
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from photodna_nb.index.records import Match

# Of a matrix: up to so many rows its values are written, or its labels.
_WRITTEN, _LABELLED = 12, 40
# Of a pair of pictures: inches in a figure of its own.
_PAIR = 3.0
_PAIRS = "a sequence of pairs of pictures: [(one, other)]"


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
        Hashes. Each is drawn as 6 x 6 cells of four wedges, which point to where it is
        darker; the longest of both hashes reaches the border of its cell.
    labels : tuple of str
        Their two names.
    figure : matplotlib.figure.Figure or SubFigure, optional
        To draw on; a new one of 9 x 3.8 inches otherwise.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its first three axes hold `a`, `b`, and each cell's share of the squared L2
        distance, in per cent.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        A hash has another dtype or shape, there are not two labels, or one is no text.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> a, b = np.zeros(144, np.uint8), np.full(144, 5, np.uint8)
    >>> plot_hash_pair(a, b, labels=("black", "grey"), figure=Figure()).get_suptitle()
    'Two hashes, L2 distance 60 (similarity 0.980)'
    """
    distance = hash_distances.distance(a, b)
    similarity = hash_distances.similarity(a, b)
    names = validation.labels("labels", labels, 2, "hashes")
    figure = figure_for(figure, 9, 3.8)
    axes = figure.subplots(1, 3)
    both = np.stack([a, b]).reshape(2, CELLS, CELLS, len(DIRECTIONS))
    for ax, cells, label in zip(axes, both, names, strict=False):
        cell_axes(ax)
        glyphs(ax, cells, float(both.max()))
        named(ax, "", "cell column", "cell row")
        room = 1.15 * 72 * inches_of(ax)[0]  # the layout will widen the axes
        name = fitted(shortened(label, 24), room, ax.title.get_fontsize())
        ax.set_title(name, parse_math=False)
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
        L2 distance, 0 to 3060: two different hashes at most so far apart match, and get an
        outline.
    ax : matplotlib.axes.Axes, optional
        To draw on, in a figure that makes room for labels by the constrained layout if it has
        no layout yet; those of a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Its patches are the outlines, its texts the distances.

    Raises
    ------
    ArgumentTypeError
        The matrix holds no numbers, a label is no text, or the threshold no number.
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
    number = len(distances)
    if labels is not None:
        labels = validation.labels("labels", labels, number, "rows")
    if threshold is not None:
        threshold = validation.number("threshold", threshold)
    ax = axes_for(ax)
    drawn = ax.imshow(distances, cmap="cividis", vmin=0)
    colour_bar(ax, drawn, "L2 distance")
    if number <= _WRITTEN:
        _write_values(ax, distances)
    if labels is not None and number <= _LABELLED:
        letters = min(24, int(5.5 * inches_of(ax)[0]))
        names = [shortened(label, letters) for label in labels]
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
    max_distance: Limit | None = None,
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    r"""Draw a query and the nearest pictures that a search found, as a sheet of thumbnails.

    Parameters
    ----------
    query : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The picture that was looked for; it comes first.
    matches : sequence of Match
        Of one query, nearest first: ``index.search(hashes)[0]``. Their files are opened;
        one that cannot be has an empty frame that says why.
    max_distance : float, int, str, Decimal or Fraction, optional
        L2 distance up to which items match, as `HashIndex.search` takes it: those beyond
        are drawn faint, and are said not to match.
    columns : int, optional
        Thumbnails in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure or SubFigure, optional
        To draw on; otherwise a new one, in which a picture has 2.2 inches: file
        names of some 25 letters are whole.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold the query and the matches, in order, each with rank and file name
        above, and L2 distance and similarity below. An orientation is named if it is not
        that of the query, and low detail, with which a match says nothing.

    Raises
    ------
    ArgumentTypeError
        `matches` are not those of one query, or another argument is of another type.
    ArgumentError
        A limit or number of columns is out of range.
    ImageError
        The query cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> found = [pdna.Match(0, "near.png", 90_000, {}), pdna.Match(1, "far.png", 640_000, {})]
    >>> picture = np.zeros((30, 40), np.uint8)
    >>> sheet = plot_matches(picture, found, max_distance=400, figure=Figure())
    >>> sheet.get_suptitle()
    'A query and the 2 nearest items: 1 within L2 400'
    >>> sheet.axes[2].get_xlabel()
    'L2 800\nsimilarity 0.739\nno match'
    """
    found = validation.matches(matches)
    columns = validation.columns(columns)
    limit = hash_distances.limit_squared(max_distance=max_distance)
    original = images.to_rgb(query)
    pictures = [original, *(_opened(match.path) for match in found)]
    within = [True, *(match.distance_squared <= limit for match in found)]
    notes = ["", *(_said_of(match, limit) for match in found)]
    lines = 2 + max(note.count("\n") for note in notes)
    shape = original.height / original.width
    figure, axes, size, room = sheet(len(pictures), shape, columns, figure, inches=2.2, lines=lines)
    labels = ["query"]
    for rank, match in enumerate(found, start=1):
        labels.append(fitted(f"{rank}. {printable(os.path.basename(match.path))}", room, size))
    for ax, picture, label, note, near in zip(axes, pictures, labels, notes, within, strict=True):
        side_by_side(ax, [picture], label, note, size)
        for drawn in ax.images:
            drawn.set_alpha(1.0 if near else 0.4)
    nearest = "item" if len(found) == 1 else f"{len(found)} nearest items"
    title = f"A query and the {nearest}" if found else "A query without a match"
    if found and max_distance is not None:
        title += f": {sum(within) - 1} within L2 {max_distance}"
    figure.suptitle(title, fontsize="medium", wrap=True)
    return figure


def plot_image_pairs(
    pairs: Sequence[tuple[ImageLike | None, ImageLike | None]],
    *,
    labels: Sequence[str] | None = None,
    title: str = "",
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    r"""Draw pairs of pictures, such as those nearest a threshold, for a person to look at.

    Parameters
    ----------
    pairs : sequence of tuple of two images
        Pillow images, or ndarrays of uint8 (H, W, 3), (H, W, 4) or (H, W); None for one
        that is missing, which leaves an empty frame.
    labels : sequence of str, optional
        What to say below each pair: names and distance for example, a line each. Lines
        break between words; a word that is longer than its line loses its middle.
    title : str
        What pairs they are.
    columns : int, optional
        Pairs in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure or SubFigure, optional
        To draw on; otherwise a new one, in which a pair is 3 inches wide.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold a pair each, in order.

    Raises
    ------
    ArgumentTypeError
        `pairs` are no pairs, or a picture, label or number of columns is of another type.
    ArgumentError
        There are not as many labels as pairs, or no pairs, or less than one column.
    ImageError
        A picture cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> picture = np.zeros((30, 40), np.uint8)
    >>> labels = ["a.png, b.png\nL2 199"]
    >>> figure = plot_image_pairs([(picture, None)], labels=labels, figure=Figure())
    >>> figure.axes[0].get_xlabel()
    'a.png, b.png\nL2 199'
    """
    opened = [_pair(pair) for pair in validation.sequence("pairs", pairs, _PAIRS)]
    if not opened:
        raise ArgumentError("pairs: got none, needs one or more")
    number = len(opened)
    texts = [""] * number
    if labels is not None:
        texts = validation.labels("labels", labels, number, "pairs")
    texts = ["\n".join(map(_shown, text.splitlines())) for text in texts]
    columns = validation.columns(columns)
    size, room = label_size(_PAIR)
    lines = max(wrapped(text, room, size).count("\n") + 1 for text in texts)
    figure, axes, size, room = sheet(number, 0.4, columns, figure, inches=_PAIR, lines=lines)
    for ax, pictures, text in zip(axes, opened, texts, strict=True):
        side_by_side(ax, pictures, "", wrapped(text, room, size), size)
    if title:
        figure.suptitle(title, fontsize="medium", wrap=True, parse_math=False)
    return figure


def _shown(line: str) -> str:
    return printable(line) if line else ""


def _pair(pair: Sequence[ImageLike | None]) -> list[Image.Image | str]:
    """Return two pictures, or what to say where one is missing."""
    if not isinstance(pair, Sequence) or len(pair) != 2:
        came = f"{len(pair)} in one" if isinstance(pair, Sequence) else describe(pair)
        raise ArgumentTypeError(f"pairs: got {came}, needs {_PAIRS}")
    return ["missing" if picture is None else images.to_rgb(picture) for picture in pair]


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
        return images.to_rgb(images.read_pixels(path))
    except ImageError as error:
        return printable(error.reason.partition(";")[0])


def _said_of(match: Match, limit_squared: int) -> str:
    said = [f"L2 {match.distance:.0f}", f"similarity {match.similarity:.3f}"]
    if match.orientation != "identity":
        said.append(match.orientation.replace("_", " "))
    if match.low_detail:
        said.append("low detail")
    if match.distance_squared > limit_squared:
        said.append("no match")
    return "\n".join(said)
