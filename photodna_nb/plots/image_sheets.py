"""Sheets of thumbnails: transforms of an image, matches of a search, pairs of images."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.corpus.transforms import AnyTransform, Chain, Transform, parse
from photodna_nb.errors import ArgumentError, ArgumentTypeError, ImageError
from photodna_nb.hashing.images import ImageLike, read_pixels, to_rgb
from photodna_nb.pairs.metrics import Limit, max_distance_squared
from photodna_nb.plots import arguments
from photodna_nb.plots.layout import (
    AS_IT_IS,
    AnyFigure,
    drawn_line,
    drawn_text,
    figure_for,
    fit_line,
    fit_text,
    inches_of,
)

if TYPE_CHECKING:
    from photodna_nb.index.records import Match
    from photodna_nb.index.search_results import SearchResults
    from photodna_nb.tables.result_table import ResultTable

# Pixels of the longer side of a thumbnail; more are not visible on a sheet.
_THUMBNAIL = 400
# Width of the space between the images of a pair, in heights.
_GAP = 0.04
# Inches of a pair of images in a new figure.
_PAIR_INCHES = 3.0
_PAIRS = "a sequence of pairs of images: [(one, other)]"
_TRANSFORMS = 'a sequence of transforms, such as ["jpeg:30"]'


def plot_transforms(
    image: ImageLike,
    transforms: Sequence[AnyTransform | str],
    *,
    distances: Sequence[float] | NDArray[Any] | None = None,
    seed: int = 0,
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    """Draw an image and its variants by some transforms, as a sheet of labelled thumbnails.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The original; it comes first.
    transforms : sequence of Transform, Chain or str
        Transforms in the order of the sheet: ``pdna.transforms.standard()`` for example, or
        ``["jpeg:30", "resize:50+mirror"]``, as `transforms.parse` reads them.
    distances : sequence of float, optional
        L2 distance of the hash of each variant from that of the original; written below it.
    seed : int
        Seed of the transforms: the one with which the distances were measured.
    columns : int, optional
        Thumbnails in a row; by default a number that suits the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Figure to draw on; by default a new one, in which a thumbnail is 1.5 inches wide.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold the original and the variants, in order.

    Raises
    ------
    ArgumentTypeError
        `transforms` is not a sequence of transforms, a distance is not a number, or another
        argument has another type.
    ArgumentError
        A text is not the specification of a transform, there are not as many distances as
        transforms, or `columns` is less than 1.
    ImageError
        The image cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    >>> sheet = plot_transforms(image, ["mirror", "resize:50"], figure=Figure())
    >>> [ax.get_title() for ax in sheet.axes]
    ['original', 'mirror', 'resize 50 %']
    """
    parsed = [_parse(item) for item in arguments.sequence("transforms", transforms, _TRANSFORMS)]
    notes = [""] * (1 + len(parsed))
    title = "An original and its variants"
    if distances is not None:
        notes[1:] = [f"L2 {distance:.0f}" for distance in _distances(distances, len(parsed))]
        title += ": L2 distance from the hash of the original"
    columns = arguments.columns(columns)
    original = to_rgb(image)
    images = [[original], *([transform.apply(original, seed)] for transform in parsed)]
    labels = ["original", *(transform.label.replace(" + ", " +\n") for transform in parsed)]
    lines = 1 + max(label.count("\n") + 1 for label in labels)
    return _draw_sheet(images, labels, notes, title, columns, figure, 1.5, lines)


def plot_matches(
    query: ImageLike,
    matches: Sequence[Match] | SearchResults | ResultTable[Any],
    *,
    max_distance: Limit | None = None,
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    r"""Draw a query and its nearest items in an index, as a sheet of thumbnails.

    Parameters
    ----------
    query : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The image of the query; it comes first.
    matches : sequence of Match, SearchResults or table of matches
        Matches of one query, nearest first: ``index.search(hashes)[0]``. Their files are
        opened. A file that cannot be opened has an empty frame with the reason.
    max_distance : float, int, str, Decimal or Fraction, optional
        L2 distance up to which items match, as in `HashIndex.search`. Items of a larger
        distance are drawn faint, with the words "no match".
    columns : int, optional
        Thumbnails in a row; by default a number that suits the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Figure to draw on; by default a new one, in which a thumbnail is 2.2 inches wide, which
        is enough for file names of some 25 letters.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold the query and the matches, in order: rank and file name above each, L2
        distance and similarity below, then the orientation if it is not that of the query, and
        "low detail" if the detail of the item is low.

    Raises
    ------
    ArgumentTypeError
        `matches` is not the list of one query, or another argument has another type.
    ArgumentError
        A limit or number of columns is out of range.
    ImageError
        The query cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import photodna_nb as pdna
    >>> matches = [pdna.Match(0, "near.png", 90_000, {}), pdna.Match(1, "far.png", 640_000, {})]
    >>> query = np.zeros((30, 40), np.uint8)
    >>> sheet = plot_matches(query, matches, max_distance=400, figure=Figure())
    >>> sheet.get_suptitle()
    'A query and the 2 nearest items: 1 within L2 400'
    >>> sheet.axes[2].get_xlabel()
    'L2 800\nsimilarity 0.739\nno match'
    """
    matches = arguments.matches(matches)
    columns = arguments.columns(columns)
    squared = max_distance_squared(max_distance=max_distance)
    original = to_rgb(query)
    images: list[list[Image.Image | str]] = [[original]]
    images += [[_open(match.path)] for match in matches]
    within = [match.distance_squared <= squared for match in matches]
    names = [
        f"{rank}. {_base_name(match.name or match.path)}"
        for rank, match in enumerate(matches, start=1)
    ]
    notes = ["", *(_note(match, squared) for match in matches)]
    nearest = "item" if len(matches) == 1 else f"{len(matches)} nearest items"
    title = f"A query and the {nearest}" if matches else "A query without a match"
    if matches and max_distance is not None:
        title += f": {sum(within)} within L2 {max_distance}"
    lines = 2 + max(note.count("\n") for note in notes)
    sheet = _draw_sheet(
        images, ["query", *names], notes, title, columns, figure, 2.2, lines, one_line=True
    )
    for ax, matching in zip(sheet.axes[-len(matches) :], within, strict=False):
        for drawn in ax.images:
            drawn.set_alpha(1.0 if matching else 0.4)
    return sheet


def plot_image_pairs(
    pairs: Sequence[tuple[ImageLike | None, ImageLike | None]] | SearchResults | ResultTable[Any],
    *,
    labels: Sequence[str] | None = None,
    title: str = "",
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    r"""Draw pairs of images side by side, such as those nearest to a threshold.

    Parameters
    ----------
    pairs : sequence of tuple of two images, Pairs, SearchResults or table of matches
        Pillow images, or ndarrays of uint8 (H, W, 3), (H, W, 4) or (H, W); None for a missing
        image, which leaves an empty frame. Or at most 200 rows of a table with two paths and a
        distance: ``pairs_within(table, …)[:20]``, or matches. Their files are opened.
    labels : sequence of str, optional
        Text below each pair: names and distance for example, one on each line. Lines are broken
        between words; a word that is wider than its line loses its middle. By default file
        names and distance of a table.
    title : str
        Title of the figure.
    columns : int, optional
        Pairs in a row; by default a number that suits the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Figure to draw on; by default a new one, in which a pair is 3 inches wide.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold one pair each, in order.

    Raises
    ------
    ArgumentTypeError
        `pairs` is not a sequence of pairs, or an image, label or number of columns has another
        type.
    ArgumentError
        There are no pairs or not as many labels as pairs, a table has no paths or more than 200
        rows, or `columns` is less than 1.
    ImageError
        An image cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> image = np.zeros((30, 40), np.uint8)
    >>> labels = ["a.png, b.png\nL2 199"]
    >>> figure = plot_image_pairs([(image, None)], labels=labels, figure=Figure())
    >>> figure.axes[0].get_xlabel()
    'a.png, b.png\nL2 199'
    """
    rows = arguments.pairs_of_table(pairs)
    if rows is None:
        images = [_pair(pair) for pair in arguments.sequence("pairs", pairs, _PAIRS)]
        texts = [""] * len(images)
    else:
        images = [[_open(one), _open(other)] for one, other, _ in rows]
        texts = ["\n".join([*map(_base_name, row[:2]), row[2]]) for row in rows]
    if not images:
        raise ArgumentError("pairs: got none, needs one or more")
    if labels is not None:
        texts = arguments.labels("labels", labels, len(images), "pairs")
    texts = list(map(drawn_text, texts))
    columns = arguments.columns(columns)
    font_size, line_width = _label_size(_PAIR_INCHES)
    lines = max(fit_text(text, line_width, font_size).count("\n") + 1 for text in texts)
    above = [""] * len(images)
    return _draw_sheet(images, above, texts, title, columns, figure, _PAIR_INCHES, lines)


def _label_size(width: float) -> tuple[float, float]:
    """Return font size and width of the lines, in points, of thumbnails so many inches wide."""
    # The longest labels of transforms have 18 letters. 5 of the 72 points of an inch stay free.
    return min(9.0, 6.0 * width), 67 * width


def _draw_sheet(
    images: Sequence[Sequence[Image.Image | str]],
    above: Sequence[str],
    below: Sequence[str],
    title: str,
    columns: int | None,
    figure: AnyFigure | None,
    inches: float,
    lines: int,
    one_line: bool = False,
) -> AnyFigure:
    """Return a figure with axes in rows, each with an image or a pair of images and two texts.

    columns: None for a number that suits the figure; inches, lines: width of the axes and lines
    of both texts, in a new figure; one_line: whether texts above are cut and not broken.
    """
    n, (first, *others) = len(images), images[0]
    # The shape of the original or the query, or one that suits most pairs.
    shape = 0.4 if others or isinstance(first, str) else first.height / first.width
    height_of_one = 0.2 + 0.15 * lines + inches * min(1.5, max(0.35, shape))
    width, height = (4.0, 3.0) if figure is None else inches_of(figure_for(figure, 0, 0))
    if columns is None:
        columns = round((n * width / height * height_of_one / inches) ** 0.5)
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    figure = figure_for(figure, max(3.0, inches * columns), 0.4 + height_of_one * rows)
    size, line_width = _label_size(inches_of(figure)[0] / columns)
    fit_label = fit_line if one_line else fit_text
    for i, (images_of_one, label, note) in enumerate(zip(images, above, below, strict=True)):
        ax = figure.add_subplot(rows, columns, i + 1)
        label = fit_label(label, line_width, size)
        _draw_side_by_side(ax, images_of_one, label, fit_text(note, line_width, size), size)
    if title:
        # Matplotlib reads formulas where it breaks lines itself.
        points = FontProperties(size="medium").get_size_in_points()
        lines_of_title = fit_text(drawn_text(title), 70 * inches_of(figure)[0], points)
        figure.suptitle(lines_of_title, fontsize="medium", **AS_IT_IS)
    return figure


def _draw_side_by_side(
    ax: Axes, images: Sequence[Image.Image | str], above: str, below: str, font_size: float
) -> None:
    """Draw images of equal height, or frames with a text in them, between two texts.

    The texts are written as they are: a dollar sign does not begin a formula.
    """
    right = -_GAP
    for image in images:
        left = right + _GAP
        if isinstance(image, str):
            right = left + 4 / 3
            text = ax.text((left + right) / 2, 0.5, textwrap.fill(image, 14), **AS_IT_IS)
            text.set(fontsize=font_size, ha="center", va="center")
        else:
            right = left + image.width / image.height
            thumbnail = image.copy()
            thumbnail.thumbnail((_THUMBNAIL, _THUMBNAIL))
            ax.imshow(np.asarray(thumbnail), extent=(left, right, 1.0, 0.0))
        # The frame shows where a black image ends on a black background.
        frame = Rectangle((left, 0), right - left, 1, fill=False, edgecolor="grey", linewidth=0.5)
        ax.add_patch(frame).set_clip_on(False)
    ax.set(xlim=(0.0, right), ylim=(1.0, 0.0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(above, fontsize=font_size, pad=2, **AS_IT_IS)
    ax.set_xlabel(below, fontsize=font_size, labelpad=2, **AS_IT_IS)


def _parse(item: Any) -> AnyTransform:
    if isinstance(item, Transform | Chain):
        return item
    if not isinstance(item, str):
        raise ArgumentTypeError(f"transforms: got {describe(item)} among them, needs {_TRANSFORMS}")
    return parse(item)


def _distances(values: Any, n: int) -> list[float]:
    needed = f"one for each of {n} transforms"
    distances = arguments.sequence("distances", values, f"a sequence of float, {needed}")
    if len(distances) != n:
        raise ArgumentError(f"distances: got {len(distances)}, needs {needed}")
    return [checks.real(f"distances[{i}]", distance) for i, distance in enumerate(distances)]


def _pair(pair: Sequence[ImageLike | None]) -> list[Image.Image | str]:
    """Return two images, or the word "missing" instead of one."""
    if not isinstance(pair, Sequence) or len(pair) != 2:
        got = f"{len(pair)} in one" if isinstance(pair, Sequence) else describe(pair)
        raise ArgumentTypeError(f"pairs: got {got}, needs {_PAIRS}")
    return ["missing" if image is None else to_rgb(image) for image in pair]


def _base_name(path: str) -> str:
    return drawn_line(os.path.basename(path))


def _open(path: str) -> Image.Image | str:
    """Return the image in a file, or the reason why there is none."""
    try:
        return to_rgb(read_pixels(path))
    except ImageError as error:
        return drawn_line(error.reason.partition(";")[0])


def _note(match: Match, squared: int) -> str:
    """Return the text below a match."""
    lines = [f"L2 {match.distance:.0f}", f"similarity {match.similarity:.3f}"]
    if match.orientation != "identity":
        lines.append(match.orientation.replace("_", " "))
    if match.low_detail:
        lines.append("low detail")
    if match.distance_squared > squared:
        lines.append("no match")
    return "\n".join(lines)
