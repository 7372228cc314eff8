"""Edits: what they do to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from photodna_nb.checks import describe
from photodna_nb.corpus import transforms as edits
from photodna_nb.corpus.transforms import AnyTransform
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.hashing import images
from photodna_nb.hashing.images import ImageLike
from photodna_nb.plots import validation
from photodna_nb.plots.layout import AnyFigure, sheet, side_by_side, wrapped


def plot_transforms(
    image: ImageLike,
    transforms: Sequence[AnyTransform | str],
    *,
    distances: Sequence[float] | NDArray[Any] | None = None,
    seed: int = 0,
    columns: int | None = None,
    figure: AnyFigure | None = None,
) -> AnyFigure:
    """Draw a picture and what edits make of it, as a sheet of labelled thumbnails.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        The original; it comes first.
    transforms : sequence of Transform, Chain or str
        The edits, in the order of the sheet: ``pdna.transforms.STANDARD`` for example, or
        ``["jpeg:30", "resize:50+mirror"]``, as `transforms.parse` reads them.
    distances : sequence of float, optional
        L2 distance of each edited picture's hash from the original's, which is
        written below it.
    seed : int
        Of the edits: the one that the distances were measured with.
    columns : int, optional
        Thumbnails in a row; a number that suits the figure otherwise.
    figure : matplotlib.figure.Figure or SubFigure, optional
        To draw on; otherwise a new one, in which a thumbnail is 1.5 inches wide.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Its axes hold the original and the edits, in order.

    Raises
    ------
    ArgumentTypeError
        `transforms` is no sequence of edits, a distance no number, or another argument of
        another type.
    ArgumentError
        A text describes no edit, there are not as many distances as transforms, or less
        than one column.
    ImageError
        The picture cannot be decoded, or is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> picture = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    >>> sheet = plot_transforms(picture, ["mirror", "resize:50"], figure=Figure())
    >>> [ax.get_title() for ax in sheet.axes]
    ['original', 'mirror', 'resize 50 %']
    """
    needed = 'a sequence of edits, such as ["jpeg:30"]'
    found = [_edit(one, needed) for one in validation.sequence("transforms", transforms, needed)]
    notes = [""] * (1 + len(found))
    title = "A picture and its edits"
    if distances is not None:
        notes[1:] = [f"L2 {distance:.0f}" for distance in _distances(distances, len(found))]
        title += ": L2 distance from the original's hash"
    columns = validation.columns(columns)
    original = images.to_rgb(image)
    pictures = [original, *(edit.apply(original, seed) for edit in found)]
    labels = ["original", *(edit.label.replace(" + ", " +\n") for edit in found)]
    lines = 1 + max(label.count("\n") + 1 for label in labels)
    shape = original.height / original.width
    figure, axes, size, room = sheet(len(pictures), shape, columns, figure, lines=lines)
    for ax, picture, label, note in zip(axes, pictures, labels, notes, strict=True):
        side_by_side(ax, [picture], wrapped(label, room, size), note, size)
    figure.suptitle(title, fontsize="medium", wrap=True)
    return figure


def _edit(one: Any, needed: str) -> AnyTransform:
    if isinstance(one, edits.Transform | edits.Chain):
        return one
    if not isinstance(one, str):
        raise ArgumentTypeError(f"transforms: got {describe(one)} among them, needs {needed}")
    return edits.parse(one)


def _distances(given: Any, number: int) -> list[float]:
    needed = f"one for each of {number} transforms"
    found = validation.sequence("distances", given, f"a sequence of float, {needed}")
    if len(found) != number:
        raise ArgumentError(f"distances: got {len(found)}, needs {needed}")
    return [validation.number("distances", distance) for distance in found]
