"""What figures have in common: colours, axes, labels, glyphs, sheets of pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure, SubFigure, SubplotParams
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray
from PIL import Image

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.printable import printable

AnyFigure = Figure | SubFigure

# Of a thumbnail: pixels of its longer side. More would not be seen on a sheet.
_THUMBNAIL = 400
# Half the side of the square between the wedges of a cell, in cells.
_SQUARE = 0.1
# Between pictures of one pair, in heights.
_GAP = 0.04

# One colour a direction, of the colour-blind safe palette of Okabe and Ito.
DIRECTIONS = {
    "falls to the right": "#D55E00",
    "rises to the right": "#0072B2",
    "falls downwards": "#E69F00",
    "rises downwards": "#56B4E9",
}


def axes_for(ax: Axes | None) -> Axes:
    """Return the axes, in a figure that makes room for their labels, or those of a new figure."""
    if ax is None:
        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise ArgumentTypeError(
            f"ax: got {describe(ax)}, needs one Axes: plt.subplots()[1], or one of several"
        )
    _make_room(ax)
    return ax


def figure_for(figure: AnyFigure | None, width: float, height: float) -> AnyFigure:
    """Return the figure, which makes room for labels, or a new one of that size in inches."""
    if figure is None:
        return plt.figure(figsize=(width, height), layout="constrained")
    if not isinstance(figure, Figure | SubFigure):
        raise ArgumentTypeError(
            f"figure: got {describe(figure)}, needs a Figure or a SubFigure: plt.figure()"
        )
    _make_room(figure)
    return figure


def inches_of(drawn: Axes | AnyFigure) -> tuple[float, float]:
    """Return width and height of a figure, or of axes before their labels take room."""
    box = drawn.bbox
    dpi = root_of(drawn).dpi
    return box.width / dpi, box.height / dpi


def root_of(drawn: Axes | AnyFigure) -> Figure:
    """Return the figure that a part of one belongs to.

    Raises
    ------
    ArgumentError
        It was removed from its figure.
    """
    figure = drawn.get_figure(root=True)
    if figure is None:
        raise ArgumentError("ax: got axes that were removed from their figure, needs some in one")
    return figure


def _make_room(drawn: Axes | AnyFigure) -> None:
    """Let a figure make room for labels and legends, unless somebody has laid it out."""
    figure = root_of(drawn)
    if figure.get_layout_engine() is None and vars(figure.subplotpars) == vars(SubplotParams()):
        figure.set_layout_engine("constrained")


def legend_below(ax: Axes, title: str, columns: int) -> None:
    """Say below the axes, and below their labels, which colour is what."""
    figure = root_of(ax)
    ax.legend(
        title=title,
        ncols=columns,
        fontsize="small",
        title_fontsize="small",
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -0.45, figure.dpi_scale_trans),
        borderaxespad=0.0,
    )
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)  # once is not enough where axes keep a shape of their own


def direction_legend(ax: Axes, wanted: bool) -> None:
    """Say below the axes which colour is which direction."""
    if wanted:
        legend_below(ax, "where the brightness", 2)


def colour_bar(ax: Axes, drawn: Any, label: str) -> None:
    """Say beside the axes which colour is how much."""
    # Inside the room of the axes, so that it is as high as they are, whatever their aspect.
    ax.figure.colorbar(drawn, cax=ax.inset_axes((1.02, 0, 0.04, 1)), label=label)


def named(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Return the axes with a title and labels."""
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return ax


def directions_below(figure: AnyFigure, ax: Axes, title: str) -> None:
    """Say below all axes which colour is which direction, as the wedges in `ax` have it."""
    figure.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4 if inches_of(figure)[0] > 7 else 2,
        frameon=False,
        title=title,
    )


def glyphs(ax: Axes, cells: NDArray[Any], longest: float) -> None:
    """Draw 6 x 6 cells as four wedges each, which point to where it is darker.

    cells: (6, 6, 4), in the order of `DIRECTIONS`; a wedge of `longest` reaches the border of
    its cell. They begin at the sides of a small square, so that none covers another, and have
    a border of the background's colour, which keeps them off a picture.
    """
    for direction, (label, colour) in enumerate(DIRECTIONS.items()):
        sign = 1 if direction in (0, 2) else -1
        wedges, borders = [], []
        for row, column in np.ndindex(6, 6):
            length = (0.5 - _SQUARE) * cells[row, column, direction] / (longest or 1.0)
            along = sign * (_SQUARE + length * np.array([0.0, 1.0, 0.0]))
            across = _SQUARE * np.array([-1.0, 0.0, 1.0])
            x, y = (along, across) if direction < 2 else (across, along)
            wedges.append(np.column_stack([column + x, row + y]))
            borders.append(min(0.6, 4 * length))  # in points; a wedge of no length has none
        drawn = PolyCollection(wedges, facecolors=colour, label=label)
        drawn.set(edgecolor=ax.get_facecolor(), linewidth=borders)
        ax.add_collection(drawn)


def cell_axes(ax: Axes) -> None:
    """Give the axes 6 x 6 square cells with faint lines between them, behind the glyphs."""
    ax.set(xlim=(-0.5, 5.5), ylim=(5.5, -0.5), aspect="equal")
    ax.set(xticks=range(6), yticks=range(6))
    ax.set_xticks(np.arange(-0.5, 6), minor=True)
    ax.set_yticks(np.arange(-0.5, 6), minor=True)
    ax.set_axisbelow(True)
    ax.grid(which="minor", color="grey", alpha=0.3, linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def shortened(name: str, letters: int) -> str:
    """Return the name, safe to show, with its middle left out if it is longer than that."""
    return _cut(printable(name), letters)


def _cut(text: str, letters: int) -> str:
    if len(text) <= letters:
        return text
    tail = (letters - 1) // 2
    return f"{text[: letters - 1 - tail]}…{text[len(text) - tail :]}"


def width_of(text: str, size: float) -> float:
    """Return how wide a line of a font size is, both in points."""
    font = FontProperties(size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def fitted(line: str, room: float, size: float) -> str:
    """Return a line with as much of its middle left out as room is lacking, in points."""
    letters = min(len(line), max(int(4 * room / size), 1))  # none is narrower than a quarter
    while letters > 1 and width_of(_cut(line, letters), size) > room:
        letters -= 1
    return _cut(line, letters)


def wrapped(text: str, room: float, size: float) -> str:
    """Return lines that fit the room, broken between words; long words lose their middle."""
    lines = []
    for line in text.splitlines():
        first, *words = line.split(" ")
        lines.append(first)
        for word in words:
            longer = f"{lines[-1]} {word}"
            if width_of(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
    return "\n".join(fitted(line, room, size) for line in lines)


def outline(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], colour: str, label: str = ""
) -> None:
    """Draw a rectangle without a filling, with a black border that is seen on bright pictures."""
    drawn = Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.5, label=label)
    drawn.set_path_effects([withStroke(linewidth=3, foreground="black")])
    ax.add_patch(drawn)


class Sheet(NamedTuple):
    """A figure of many axes, and in points the size of their labels and the room for a line."""

    figure: AnyFigure
    axes: list[Axes]
    size: float
    room: float


def label_size(width: float) -> tuple[float, float]:
    """Return the size of labels and the room for a line, in points, of pictures so many inches."""
    # The longest labels of edits have 18 letters. A bit of the 72 points of an inch is left free.
    return min(9.0, 6.0 * width), 67 * width


def sheet(
    number: int,
    shape: float,
    columns: int | None,
    figure: AnyFigure | None,
    *,
    inches: float = 1.5,
    lines: int = 2,
) -> Sheet:
    """Return a figure with axes in rows that fill it.

    shape: height of a picture by its width; columns: None for a number that suits the figure;
    inches, lines: width of the axes and lines of text above and below, if a figure is made.
    """
    height_of_one = 0.2 + 0.15 * lines + inches * min(1.5, max(0.35, shape))
    width, height = (4.0, 3.0) if figure is None else inches_of(figure_for(figure, 0, 0))
    if columns is None:
        columns = round((number * width / height * height_of_one / inches) ** 0.5)
    columns = max(1, min(columns, number))
    rows = -(-number // columns)
    figure = figure_for(figure, max(3.0, inches * columns), 0.4 + height_of_one * rows)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(number)]
    return Sheet(figure, axes, *label_size(inches_of(figure)[0] / columns))


def side_by_side(
    ax: Axes, pictures: Sequence[Image.Image | str], above: str, below: str, size: float
) -> None:
    """Draw pictures of one height, or frames with words in them, between two texts.

    size: of the texts, in points. They stand there as they are: no word is a formula.
    """
    right = -_GAP
    for picture in pictures:
        left = right + _GAP
        if isinstance(picture, str):
            right = left + 4 / 3
            words = textwrap.fill(picture, 14)
            at = ((left + right) / 2, 0.5)
            ax.text(*at, words, fontsize=size, ha="center", va="center", parse_math=False)
        else:
            right = left + picture.width / picture.height
            thumbnail = picture.copy()
            thumbnail.thumbnail((_THUMBNAIL, _THUMBNAIL))
            ax.imshow(np.asarray(thumbnail), extent=(left, right, 1.0, 0.0))
        # Black bars end somewhere, on black too.
        frame = Rectangle((left, 0), right - left, 1, fill=False, edgecolor="grey", linewidth=0.5)
        ax.add_patch(frame).set_clip_on(False)
    ax.set(xlim=(0.0, right), ylim=(1.0, 0.0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(above, fontsize=size, pad=2, parse_math=False)
    ax.set_xlabel(below, fontsize=size, labelpad=2, parse_math=False)
