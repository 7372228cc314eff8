"""Figures as files whose bytes depend on nothing but what is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import ImageFont

from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentTypeError
from photodna_nb.plots.layout import AnyFigure, root_of


def pillow_font(size: float) -> ImageFont.FreeTypeFont:
    """Return Matplotlib's own font for Pillow, which draws signs such as ≤ and × with it.

    Parameters
    ----------
    size : float
        In pixels.
    """
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def render_png(
    draw: Callable[[], Axes | AnyFigure], size: tuple[float, float] = (5.4, 4.3), dpi: int = 160
) -> bytes:
    """Return a figure as PNG, in Matplotlib's own style whatever the user's is.

    Parameters
    ----------
    draw : callable
        Draws a new figure, and returns it or axes in it. All that it opens is closed, if it
        fails, too.
    size : (float, float)
        Width and height of new figures in inches, if they have none of their own: as narrow
        as can be read on a phone.
    dpi : int
        Pixels an inch.

    Returns
    -------
    bytes
        The same ones for the same figure and version of Matplotlib.

    Raises
    ------
    ArgumentTypeError
        `draw` returns something else.

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
        try:
            figure = _figure_of(draw())
            figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
            plt.close(figure)
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    return content.getvalue()


def _figure_of(drawn: object) -> Figure:
    if not isinstance(drawn, Axes | AnyFigure):
        raise ArgumentTypeError(
            f"draw: returned {describe(drawn)}, needs to return the Axes or Figure that it draws"
        )
    return root_of(drawn)
