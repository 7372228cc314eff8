"""The histograms of all pairs as a picture, on which a threshold moves."""

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
from photodna_nb.plots.rendering import pillow_font
from photodna_nb.widgets.html import Line

INCHES, DPI = (5.2, 4.4), 170
# Of the palette of the figures: the first threshold's.
LINE, _MATCHING = (0, 158, 115, 255), (0, 158, 115, 34)


class Histograms:
    """The distances of all pairs, drawn once, and a line that moves."""

    def __init__(self, genuine: NDArray[Any], impostor: NDArray[Any]) -> None:
        axes: list[Any] = []

        def draw() -> Any:
            ax = plots.plot_distances(genuine, impostor)
            figure: Any = ax.figure
            for patch in (ax.patch, figure.patch):
                patch.set_alpha(0)
            figure.draw_without_rendering()  # the layout settles at the second time
            axes.append(ax)
            return ax

        content = plots.render_png(draw, INCHES, DPI)
        self._plain = Image.open(io.BytesIO(content)).convert("RGBA")
        box = axes[0].get_position()  # where the layout left it
        width, height = self._plain.size
        self._left, self._right = box.x0 * width, box.x1 * width
        self._top, self._bottom = round((1 - box.y1) * height), round((1 - box.y0) * height)
        self._last = axes[0].get_xlim()[1]
        self.end = min(math.floor(self._last), SIMILARITY_SCALE)
        self._font = pillow_font(DPI * 11 / 72)

    def at(self, threshold: int) -> Image.Image:
        """Return the figure with the line at a threshold, on nothing."""
        image = self._plain.copy()
        x = self._left + (self._right - self._left) * min(threshold / self._last, 1.0)
        matching = round(x) - round(self._left)
        if matching > 0:
            tint = Image.new("RGBA", (matching, self._bottom - self._top), _MATCHING)
            image.alpha_composite(tint, (round(self._left), self._top))
        drawn = ImageDraw.Draw(image)
        drawn.line([(x, self._top), (x, self._bottom)], fill=LINE, width=5)
        label = f"L2 {threshold}"
        room = drawn.textlength(label, self._font) + 8
        at = x + 8 if x + room < self._right else x - room
        drawn.text((at, self._top + 4), label, fill=LINE, font=self._font)
        return image

    def png(self, threshold: int) -> bytes:
        """Return the same as a file."""
        return _png(self.at(threshold))

    def readable(self, threshold: int, lines: Iterable[Line]) -> bytes:
        """Return the same on white, for a page of any colour, with what the threshold does."""
        image = self.at(threshold)
        font = pillow_font(10 * DPI / 72)
        size, margin = round(font.size), round(0.15 * DPI)
        letters = int((image.width - 2 * margin) / font.getlength("n"))
        text = "\n".join(
            textwrap.fill(": ".join(filter(None, (name, "; ".join(filter(None, one))))), letters)
            for name, *one in lines
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
