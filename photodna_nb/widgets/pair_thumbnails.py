"""Thumbnails of the pairs nearest to a threshold, as HTML."""

from __future__ import annotations

import base64
import math
import os
from functools import lru_cache
from html import escape
from typing import TypeAlias

from photodna_nb.corpus.datasets import Dataset, FileOriginal, Original
from photodna_nb.corpus.transforms import parse, seed_for
from photodna_nb.errors import ArgumentError, PhotodnaError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.examples import ExamplePair
from photodna_nb.evaluation.thumbnails import jpeg_thumbnail
from photodna_nb.plots.layout import short_name
from photodna_nb.printable import printable

# Name of an original, specification of its transform if any, and label.
_Image: TypeAlias = tuple[str, str | None, str, str | None]

_CACHED = 512  # largest number of thumbnails in memory
_SIDE = 184  # pixels of a thumbnail: twice those of the page, for screens of high resolution
_GROUPS: dict[tuple[str, str], str] = {
    ("genuine", "below"): "Genuine pairs, just matching",
    ("genuine", "above"): "Genuine pairs, just not matching",
    ("impostor", "below"): "Impostor pairs, just matching",
    ("impostor", "above"): "Impostor pairs, just not matching",
}
_NOT_OPENED = (
    '<p class="note">The images are not opened, since these results were read from a folder, whose '
    "configuration may name any file. ThresholdTuner(results, dataset=results.config.dataset()) "
    "opens those that it names.</p>"
)


class Thumbnails:
    """Thumbnails of originals and variants, which are made when they are first shown.

    Parameters
    ----------
    results : Results
        Results of the run whose pairs are shown.
    dataset : Dataset or None
        The originals; None for those that the configuration names, which are opened unless the
        results were loaded: the configuration of a stranger could name any file.
    """

    def __init__(self, results: Results, dataset: Dataset | None) -> None:
        self._config = results.config
        self._limit = results.counts.nearest_limit
        self._digests = dict(zip(results.counts.names, results.counts.digests, strict=True))
        self._dataset = dataset
        self._copies = None if results.loaded else results.manifest.get("copies", {})
        self._opened = dataset is not None or not results.loaded
        self._originals: dict[str, Original] = {}
        self._image = lru_cache(_CACHED)(self._element)

    def html(self, pairs: list[ExamplePair], threshold: int) -> str:
        """Return the pairs side by side, in groups of genuine and impostor pairs."""
        groups = []
        for (kind, side), title in _GROUPS.items():
            members = [pair for pair in pairs if (pair.kind, pair.side) == (kind, side)]
            body = "".join(map(self._figure, members)) or '<p class="note">none</p>'
            list_ends = threshold > self._limit if side == "below" else not members
            if kind == "impostor" and list_ends:
                body = f'<p class="note">not listed: the list ends at L2 {self._limit}</p>'
            groups.append(f"<div><b>{title}</b>{body}</div>")
        note = "" if self._opened else _NOT_OPENED
        return f'{note}<div class="groups">{"".join(groups)}</div>'

    def _figure(self, pair: ExamplePair) -> str:
        name, other = (short_name(text, 28) for text in (pair.original, pair.other))
        if pair.transform is not None:
            name += f", {parse(pair.transform).label}"
        variant: _Image = (pair.original, pair.transform, name, pair.copy)
        original: _Image = (pair.other, None, other, None)
        both, caption = [variant, original], f"{name} | {other}"
        if pair.kind == "genuine":
            both, caption = [original, variant], name
        elements = " ".join(self._image(*image) for image in both)
        distance = f"L2 {math.sqrt(pair.distance_squared):.1f}"
        return f"<figure>{elements}<figcaption>{distance}: {escape(caption)}</figcaption></figure>"

    def _element(self, name: str, transform: str | None, text: str, copy: str | None) -> str:
        """Return an image as an HTML element, or the reason why there is none."""
        if not self._opened:
            return ""
        try:
            content = self._thumbnail(name, transform) if copy is None else self._copy(copy)
        except PhotodnaError as error:
            return f'<span class="missing">{escape(printable(str(error)))}</span>'
        address = f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"
        return f'<img src="{address}" alt="{escape(text)}">'

    def _thumbnail(self, name: str, transform: str | None) -> bytes:
        if not self._originals:
            dataset = self._config.dataset() if self._dataset is None else self._dataset
            self._originals = {original.name: original for original in dataset}
        if name not in self._originals:
            raise ArgumentError(f"{printable(name)}: is not among the originals any more")
        original = self._originals[name]
        if original.digest() != self._digests[name]:
            raise ArgumentError(f"{printable(name)}: has changed since the run")
        image = original.open()
        if transform is not None:
            parsed = parse(transform)
            image = parsed.apply(image, seed_for(self._config.seed, name, parsed.label))
        return jpeg_thumbnail(image.convert("RGB"), _SIDE)

    def _copy(self, name: str) -> bytes:
        """Return an altered copy from a file, unless a stranger may have named the file."""
        if self._copies is None:
            raise ArgumentError(f"{printable(name)}: copies of loaded results are not opened")
        file = FileOriginal(name, os.path.abspath(os.path.join(self._config.base, name)))
        if file.digest() != self._copies.get(name):
            raise ArgumentError(f"{printable(name)}: has changed since the run")
        return jpeg_thumbnail(file.open().convert("RGB"), _SIDE)
