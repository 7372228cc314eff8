"""Small pictures of the pairs nearest a threshold, as HTML."""

from __future__ import annotations

import base64
import io
import math
from functools import lru_cache
from html import escape
from typing import TypeAlias

from photodna_nb.corpus.datasets import Dataset, Original
from photodna_nb.corpus.transforms import parse, seed_for
from photodna_nb.errors import ArgumentError, PhotodnaError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.examples import ExamplePair
from photodna_nb.plots.layout import short_name
from photodna_nb.printable import printable

# Name of an original, its edit if any, and what it is called.
_Picture: TypeAlias = tuple[str, str | None, str]

_KEPT = 512  # thumbnails
_SIDE = 184  # pixels of a thumbnail: twice those of the page, for fine screens
_KINDS: dict[tuple[str, str], str] = {
    ("genuine", "below"): "Genuine, only just found",
    ("genuine", "above"): "Genuine, only just missed",
    ("impostor", "below"): "Impostors, matching",
    ("impostor", "above"): "Impostors, kept apart",
}


class Thumbnails:
    """Small pictures of originals and variants, made when they are wanted."""

    def __init__(self, results: Results, dataset: Dataset | None) -> None:
        self._config = results.config
        self._limit = results.counts.nearest_limit
        self._digests = dict(zip(results.counts.names, results.counts.digests, strict=True))
        self._dataset = dataset
        self._originals: dict[str, Original] = {}
        self._image = lru_cache(_KEPT)(self._made)

    def html(self, near: list[ExamplePair], threshold: int) -> str:
        """Return pairs side by side, by what becomes of them at a threshold."""
        groups = []
        for (kind, side), title in _KINDS.items():
            pairs = [one for one in near if (one.kind, one.side) == (kind, side)]
            shown = "".join(map(self._pair, pairs)) or '<p class="note">none</p>'
            ended = threshold > self._limit if side == "below" else not pairs
            if kind == "impostor" and ended:
                shown = f'<p class="note">not listed: the list ends at L2 {self._limit}</p>'
            groups.append(f"<div><b>{title}</b>{shown}</div>")
        return f'<div class="groups">{"".join(groups)}</div>'

    def _pair(self, pair: ExamplePair) -> str:
        label = None if pair.transform is None else parse(pair.transform).label
        names = [short_name(name, 28) for name in (pair.original, pair.other)]
        edited = f"{names[0]}, {label}" if label else names[0]
        plain: _Picture = (pair.other, None, names[1])
        variant: _Picture = (pair.original, pair.transform, edited)
        if pair.kind == "genuine":
            both, said = [plain, variant], edited
        else:
            both, said = [variant, plain], f"{edited} | {names[1]}"
        shown = " ".join(self._image(*one) for one in both)
        distance = f"L2 {math.sqrt(pair.distance_squared):.1f}"
        return f"<figure>{shown}<figcaption>{distance}: {escape(said)}</figcaption></figure>"

    def _made(self, name: str, transform: str | None, text: str) -> str:
        """Return a picture as an element, or why there is none."""
        try:
            content = self._thumbnail(name, transform)
        except PhotodnaError as error:
            return f'<span class="missing">{escape(printable(str(error)))}</span>'
        address = f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"
        return f'<img src="{address}" alt="{escape(text)}">'

    def _thumbnail(self, name: str, transform: str | None) -> bytes:
        if not self._originals:
            dataset = self._config.dataset() if self._dataset is None else self._dataset
            self._originals = {original.name: original for original in dataset}
        if name not in self._originals:
            raise ArgumentError(f"{printable(name)} is not among the originals any more")
        original = self._originals[name]
        if original.digest() != self._digests[name]:
            raise ArgumentError(f"{printable(name)} has changed since it was measured")
        picture = original.open()
        if transform is not None:
            edit = parse(transform)
            picture = edit.apply(picture, seed_for(self._config.seed, name, edit.label))
        picture = picture.copy()
        picture.thumbnail((_SIDE, _SIDE))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=80)
        return content.getvalue()
