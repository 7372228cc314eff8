"""Edits: what they do to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from photodna_nb import images
from photodna_nb.errors import ArgumentError
from photodna_nb.images import ImageLike
from photodna_nb.plots.drawing import sheet, side_by_side
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
    figure, axes, size, _ = sheet(len(pictures), original.height / original.width, columns, figure)
    for ax, picture, label, note in zip(axes, pictures, labels, notes, strict=True):
        side_by_side(ax, [picture], label, note, size)
    figure.suptitle(title, fontsize="medium", wrap=True)
    return figure
