"""Figures as files whose bytes depend on nothing but what is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.font_manager import findfont
from PIL import ImageFont

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pillow_font(size: float) -> ImageFont.FreeTypeFont:
    """Return Matplotlib's own font for Pillow, which draws signs such as ≤ and × with it.

    Parameters
    ----------
    size : float
        In pixels.
    """
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def png(
    draw: Callable[[], Axes | Figure], size: tuple[float, float] = (5.4, 4.3), dpi: int = 160
) -> bytes:
    """Return a figure as PNG, in Matplotlib's own style whatever the user's is.

    Parameters
    ----------
    draw : callable
        Draws a new figure, and returns it or axes in it; it is closed.
    size : (float, float)
        Width and height of new figures in inches, if they have none of their own: as narrow
        as can be read on a phone.
    dpi : int
        Pixels an inch.

    Returns
    -------
    bytes
        The same ones for the same figure and version of Matplotlib.
    """
    content = io.BytesIO()
    with mpl.rc_context():
        # Not the backend, which would close the figures of others.
        mpl.rcParams.update(
            {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
        )
        mpl.rcParams["figure.figsize"] = size
        drawn = draw()
        figure = cast("Figure", drawn.figure)  # a figure is its own
        try:
            figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
        finally:
            plt.close(figure)
    return content.getvalue()
