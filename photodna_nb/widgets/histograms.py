"""The histograms of the distances as an image, with a line at the threshold."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw

from photodna_nb import plots
from photodna_nb.pairs.metrics import SIMILARITY_SCALE
from photodna_nb.plots.layout import pillow_font
from photodna_nb.widgets.tuner_html import Line

INCHES, DPI = (5.2, 4.4), 170
# The colour of the first threshold in the figures.
LINE, _MATCHING = (0, 158, 115, 255), (0, 158, 115, 34)


class Histograms:
    """The histograms of the distances of all pairs as an image, to which a line is added.

    Parameters
    ----------
    genuine, impostor : ndarray of int64, (t,)
        Numbers of pairs by distance, as `plots.plot_distances` takes them.

    Attributes
    ----------
    end : int
        Largest L2 distance on the axis.
    """

    def __init__(self, genuine: NDArray[Any], impostor: NDArray[Any]) -> None:
        axes: list[Any] = []

        def draw() -> Any:
            ax = plots.plot_distances(genuine, impostor)
            figure: Any = ax.figure
            for patch in (ax.patch, figure.patch):
                patch.set_alpha(0)
            figure.draw_without_rendering()  # the layout is final the second time
            axes.append(ax)
            return ax

        content = plots.render_png(draw, INCHES, DPI)
        self._plain = Image.open(io.BytesIO(content)).convert("RGBA")
        box = axes[0].get_position()
        width, height = self._plain.size
        self._left, self._right = box.x0 * width, box.x1 * width
        self._top, self._bottom = round((1 - box.y1) * height), round((1 - box.y0) * height)
        self._last = axes[0].get_xlim()[1]
        self.end: int = min(math.floor(self._last), SIMILARITY_SCALE)
        self._font = pillow_font(DPI * 11 / 72)

    def at(self, threshold: int) -> Image.Image:
        """Return the figure with the line at a threshold, on a transparent background."""
        image = self._plain.copy()
        x = self._left + (self._right - self._left) * min(threshold / self._last, 1.0)
        matching = round(x) - round(self._left)
        if matching > 0:
            tint = Image.new("RGBA", (matching, self._bottom - self._top), _MATCHING)
            image.alpha_composite(tint, (round(self._left), self._top))
        drawn = ImageDraw.Draw(image)
        drawn.line([(x, self._top), (x, self._bottom)], fill=LINE, width=5)
        label = f"L2 {threshold}"
        width = drawn.textlength(label, self._font) + 8
        left = x + 8 if x + width < self._right else x - width
        drawn.text((left, self._top + 4), label, fill=LINE, font=self._font)
        return image

    def png(self, threshold: int) -> bytes:
        """Return the figure with the line at a threshold as PNG."""
        return _png(self.at(threshold))

    def with_text(self, threshold: int, lines: Iterable[Line]) -> bytes:
        """Return the figure as PNG on a white background, with lines of text below it."""
        image = self.at(threshold)
        font = pillow_font(10 * DPI / 72)
        size, margin = round(font.size), round(0.15 * DPI)
        letters = int((image.width - 2 * margin) / font.getlength("n"))
        text = "\n".join(
            textwrap.fill(": ".join(filter(None, (name, "; ".join(filter(None, rest))))), letters)
            for name, *rest in lines
        )
        below = round(1.25 * size * (text.count("\n") + 1)) + margin
        white = Image.new("RGBA", (image.width, image.height + below), "white")
        white.alpha_composite(image)
        ImageDraw.Draw(white).text((margin, image.height), text, "black", font, spacing=size // 4)
        return _png(white.convert("RGB"), level=9)


def _png(image: Image.Image, level: int = 1) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=level)
    return content.getvalue()
