"""What all figures share: axes, figures, labels and texts, and figures as PNG."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure, SubplotParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.transforms import ScaledTranslation
from PIL import ImageFont

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.printable import printable

AnyFigure = Figure | SubFigure
Font = str | os.PathLike[str]
# Properties of texts from outside: a dollar sign begins no formula, and a backslash no command.
AS_IT_IS: dict[str, Any] = {"parse_math": False, "usetex": False}


def axes_for(ax: Axes | None) -> Axes:
    """Return the axes, or those of a new figure; see the package for the layout."""
    if ax is None:
        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise ArgumentTypeError(
            f"ax: got {describe(ax)}, needs one Axes: plt.subplots()[1], or one of several"
        )
    _use_constrained_layout(ax)
    return ax


def figure_for(figure: AnyFigure | None, width: float, height: float) -> AnyFigure:
    """Return the figure, or a new one of that size in inches; see the package for the layout."""
    if figure is None:
        return plt.figure(figsize=(width, height), layout="constrained")
    if not isinstance(figure, Figure | SubFigure):
        raise ArgumentTypeError(
            f"figure: got {describe(figure)}, needs a Figure or a SubFigure: plt.figure()"
        )
    _use_constrained_layout(figure)
    return figure


def inches_of(drawn: Axes | AnyFigure) -> tuple[float, float]:
    """Return width and height of a figure, or of axes before the layout makes them smaller."""
    dpi = root_of(drawn).dpi
    return drawn.bbox.width / dpi, drawn.bbox.height / dpi


def root_of(drawn: Axes | AnyFigure) -> Figure:
    """Return the figure that axes or a part of a figure belong to.

    Raises
    ------
    ArgumentError
        The axes were removed from their figure.
    """
    figure = drawn.get_figure(root=True)
    if figure is None:
        raise ArgumentError("ax: got axes that were removed from their figure, needs some in one")
    return figure


def _use_constrained_layout(drawn: Axes | AnyFigure) -> None:
    """Give a figure the constrained layout, unless it has a layout or margins of its own."""
    figure = root_of(drawn)
    if figure.get_layout_engine() is None and vars(figure.subplotpars) == vars(SubplotParams()):
        figure.set_layout_engine("constrained")


def add_labels(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Write the title and the labels of the axes, and return the axes."""
    ax.set(title=title, xlabel=x, ylabel=y)
    return ax


def legend_below(ax: Axes, title: str, columns: int) -> None:
    """Add a legend below the axes and below their labels."""
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
        layout.execute(figure)  # once is not enough where axes keep an aspect of their own


def colour_bar(ax: Axes, drawn: Any, label: str) -> None:
    """Add a colour bar beside the axes."""
    # Inset axes, so that the bar is as high as the axes, whatever their aspect.
    ax.figure.colorbar(drawn, cax=ax.inset_axes((1.02, 0, 0.04, 1)), label=label)


def outline(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], colour: str, label: str = ""
) -> None:
    """Draw an empty rectangle with a black border, which is visible on bright images."""
    drawn = Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.5, label=label)
    drawn.set_path_effects([withStroke(linewidth=3, foreground="black")])
    ax.add_patch(drawn)


def short_name(name: str, letters: int) -> str:
    """Return a printable name of at most so many letters; a longer one loses its middle."""
    return _without_middle(printable(name), letters)


def drawn_name(name: str, letters: int) -> str:
    """Return `drawn_line` of at most so many letters; a longer one loses its middle."""
    return _without_middle(drawn_line(name), letters)


def drawn_text(text: str) -> str:
    """Return `drawn_line` of each line."""
    return "\n".join(map(drawn_line, text.split("\n")))


def drawn_line(text: str) -> str:
    """Return a text from outside as a figure shows it, on one line.

    Escapes stand for characters that are not printable, and for those without a glyph in the
    fonts of the figure, which would all be the same box.
    """
    paths = (findfont(FontProperties(family=[name])) for name in mpl.rcParams["font.family"])
    glyphs = set().union(*map(_glyphs, paths))
    return text and printable(
        text, lambda part: part.isprintable() and glyphs.issuperset(map(ord, part))
    )


@cache
def _glyphs(path: str) -> frozenset[int]:
    """Return the characters of a font."""
    return frozenset(get_font(path).get_charmap())


def text_width(text: str, size: float) -> float:
    """Return the width of a line in a font size, both in points."""
    font = FontProperties(size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def fit_line(line: str, width: float, size: float) -> str:
    """Return a line that is not wider than so many points; a longer one loses its middle."""
    letters = min(len(line), max(int(4 * width / size), 1))  # no letter is narrower than a quarter
    while letters > 1 and text_width(_without_middle(line, letters), size) > width:
        letters -= 1
    return _without_middle(line, letters)


def fit_text(text: str, width: float, size: float) -> str:
    """Return lines that are not wider than so many points, broken between words.

    A word that is wider than its line loses its middle.
    """
    lines = []
    for line in text.splitlines():
        first, *words = line.split(" ")
        lines.append(first)
        for word in words:
            longer = f"{lines[-1]} {word}"
            if text_width(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
    return "\n".join(fit_line(line, width, size) for line in lines)


def _without_middle(text: str, letters: int) -> str:
    if len(text) <= letters:
        return text
    end = (letters - 1) // 2
    return f"{text[: letters - 1 - end]}…{text[len(text) - end :]}"


def pillow_font(size: float) -> ImageFont.FreeTypeFont:
    """Return Matplotlib's own font for Pillow, which draws signs such as ≤ and × with it.

    Parameters
    ----------
    size : float
        In pixels.
    """
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def render_png(
    draw: Callable[[], Axes | AnyFigure],
    size: tuple[float, float] = (5.4, 4.3),
    dpi: int = 160,
    *,
    fonts: Font | Sequence[Font] = (),
) -> bytes:
    r"""Return a figure as PNG, in Matplotlib's own style whatever the user's is.

    Parameters
    ----------
    draw : callable
        Function that draws a new figure, and returns the figure or axes in it. All figures that
        it opens are closed, also if it fails.
    size : (float, float)
        Width and height, in inches, of new figures that set no size of their own. The default
        can be read on a phone.
    dpi : int
        Pixels per inch.
    fonts : str, os.PathLike, or sequence of them
        Font families, or paths of font files, for the letters of names. Letters that neither
        these nor Matplotlib's own font have are written as escapes, such as ``\u6d77``.

    Returns
    -------
    bytes
        Content of the file. It is the same for the same figure and version of Matplotlib.

    Raises
    ------
    ArgumentTypeError
        `draw` returns neither axes nor a figure.
    ArgumentError
        A font is not installed, or a file is no font.

    Examples
    --------
    >>> import numpy as np
    >>> from photodna_nb import plots
    >>> render_png(lambda: plots.plot_hash(np.zeros(144, np.uint8)))[1:4]
    b'PNG'
    """
    content = io.BytesIO()
    before = set(plt.get_fignums())
    with mpl.rc_context():
        # Not the backend, which would close the figures of others.
        mpl.rcParams.update(
            {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
        )
        mpl.rcParams["figure.figsize"] = size
        names = [fonts] if isinstance(fonts, str | os.PathLike) else fonts
        mpl.rcParams["font.family"] = [*map(_font_family, names), *mpl.rcParams["font.family"]]
        try:
            figure = _figure_of(draw())
            if (engine := figure.get_layout_engine()) is not None:
                engine.execute(figure)  # ticks depend on the width of the axes, and it on ticks
            figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
            plt.close(figure)
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    return content.getvalue()


def _font_family(font: Font) -> str:
    """Return the name of a font family that Matplotlib finds."""
    name = os.fspath(font)
    try:
        if os.path.isfile(name):
            fontManager.addfont(name)
            return str(get_font(name).family_name)
        findfont(FontProperties(family=[name]), fallback_to_default=False)
    except (ValueError, RuntimeError, OSError) as error:
        raise ArgumentError(
            f"fonts: got {printable(name)}, needs an installed font family or a font file"
        ) from error
    return name


def _figure_of(drawn: object) -> Figure:
    if not isinstance(drawn, Axes | AnyFigure):
        raise ArgumentTypeError(
            f"draw: returned {describe(drawn)}, needs to return the Axes or Figure that it draws"
        )
    return root_of(drawn)
