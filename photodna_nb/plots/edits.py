"""Edits: what they do to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb import images
from photodna_nb.errors import ArgumentError
from photodna_nb.images import ImageLike
from photodna_nb.transforms import AnyTransform

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_transforms(
    image: ImageLike,
    transforms: Sequence[AnyTransform],
    *,
    distances: Sequence[float] | NDArray[Any] | None = None,
    seed: int = 0,
    columns: int | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw a picture and what edits make of it, as a sheet of labelled thumbnails.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The original; it comes first.
    transforms : sequence of Transform or Chain
        The edits, in the order of the sheet: ``pdna.transforms.STANDARD`` for example.
    distances : sequence of float, optional
        L2 distance of each edited picture's hash from the original's, which is
        written below it.
    seed : int
        Of the edits: the one that the distances were measured with.
    columns : int, optional
        Thumbnails in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure, optional
        To draw on; otherwise a new one, in which a thumbnail is 1.5 inches wide.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes hold the original and the edits, in order.

    Raises
    ------
    ArgumentError
        There are not as many distances as transforms.
    """
    if distances is not None and len(distances) != len(transforms):
        raise ArgumentError(
            f"distances: got {len(distances)}, needs one for each of {len(transforms)} transforms"
        )
    original = images.rgb(image)
    pictures = [original, *(transform.apply(original, seed) for transform in transforms)]
    labels = ["original", *(transform.label.replace(" + ", " +\n") for transform in transforms)]
    title = "A picture and its edits"
    notes = [""] * len(pictures)
    if distances is not None:
        title += ": L2 distance from the original's hash"
        notes[1:] = [f"L2 {distance:.0f}" for distance in distances]
    figure = _sheet(pictures, labels, notes, columns, figure)
    figure.suptitle(title, fontsize="medium", wrap=True)
    return figure


def _sheet(
    pictures: Sequence[Image.Image],
    labels: Sequence[str],
    notes: Sequence[str],
    columns: int | None,
    figure: Figure | None,
) -> Figure:
    """Draw pictures in rows, each with a label above and a note below."""
    width, height = (4.0, 3.0) if figure is None else figure.get_size_inches()
    if columns is None:
        columns = round((len(pictures) * width / height) ** 0.5)
    columns = max(1, min(columns, len(pictures)))
    rows = -(-len(pictures) // columns)
    if figure is None:
        shape = pictures[0].height / pictures[0].width
        width, height = max(3.0, 1.5 * columns), (0.5 + 1.5 * min(1.5, max(0.6, shape))) * rows
        figure = plt.figure(figsize=(width, 0.4 + height), layout="constrained")
    size = min(9.0, 6.0 * width / columns)  # in points; the longest labels have 18 letters
    for place, (picture, label, note) in enumerate(zip(pictures, labels, notes, strict=True)):
        ax = figure.add_subplot(rows, columns, place + 1)
        thumbnail = picture.copy()
        thumbnail.thumbnail((400, 400))
        ax.imshow(np.asarray(thumbnail))
        ax.set_title(label, fontsize=size, pad=2)
        ax.set_xlabel(note, fontsize=size, labelpad=2)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(color="grey", linewidth=0.5)  # black bars end somewhere, on black too
    return figure
