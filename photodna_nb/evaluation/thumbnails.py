"""Small pictures of impostor pairs and of suspected copies, for a person to look at."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from PIL import Image

from photodna_nb import parallel
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.corpus.transforms import seed_for
from photodna_nb.errors import PhotodnaError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.run_folder import RunFolder
from photodna_nb.evaluation.variant_hashes import ORIGINAL

FOLDER = "thumbnails"
PAIRS = 16  # are shown
_GROUPS, _OF_A_GROUP = 100, 4  # are shown of suspected copies
_SIDE, _SMALLER_SIDE = 240, 120  # pixels
_QUALITY = 80


class Thumbnail(NamedTuple):
    """A picture that is shown.

    row : int
        Of the original.
    transform : int
        Its edit, -1 for the original as it is.
    side : int
        Pixels of the longer side, at the most.
    """

    row: int
    transform: int
    side: int

    @classmethod
    def of_pair(cls, row: int, transform: int) -> Thumbnail:
        """Return what is shown of one side of an impostor pair."""
        return cls(row, transform, _SIDE)

    @classmethod
    def of_copies(cls, row: int) -> Thumbnail:
        """Return what is shown of an original that is suspected to be a copy."""
        return cls(row, ORIGINAL, _SMALLER_SIDE)


class ThumbnailFiles(NamedTuple):
    """What is shown of the closest impostor pairs, and of suspected copies.

    names : dict
        The file of each picture, from the folder on; one that can no longer be made is missing.
    made : dict of str to bytes
        Content of those files that are not in the folder.
    """

    names: dict[Thumbnail, str]
    made: dict[str, bytes]


def make_thumbnails(
    counts: PairCounts,
    copies: Sequence[Sequence[int]],
    dataset: Dataset | None,
    config: Config,
    folder: RunFolder,
    workers: int | None,
) -> ThumbnailFiles:
    """Return the pictures of a run, made unless they are in the folder.

    Parameters
    ----------
    counts : PairCounts
        Says which are the closest impostor pairs.
    copies : sequence of sequence of int
        Groups of rows, of which the first ones are shown.
    dataset : Dataset or None
        The originals, by name; None if they are not there any more.
    config : Config
        The edits, and their seed.
    folder : RunFolder
        Of the run.
    workers : int, optional
        Threads.
    """
    wanted = (*_of_closest(counts), *_of_copies(copies))
    names = {shown: f"{FOLDER}/{_key(counts, config, shown)}.jpg" for shown in wanted}
    originals = {original.name: original for original in dataset or ()}

    def task(shown: Thumbnail) -> bytes | None:
        try:
            original = originals[counts.names[shown.row]]
            picture = original.open()
            if shown.transform != ORIGINAL:
                edit = config.variants[shown.transform]
                picture = edit.apply(picture, seed_for(config.seed, original.name, edit.label))
        except (KeyError, PhotodnaError, MemoryError):  # it could be read when it was hashed
            return None
        return _small(picture, shown.side)

    missing = [shown for shown, name in names.items() if not folder.has(name)]
    made = {}
    for shown, content in zip(
        missing, parallel.ordered_map(task, missing, max_workers=workers), strict=True
    ):
        if content is None:
            del names[shown]
        else:
            made[names[shown]] = content
    return ThumbnailFiles(names, made)


def _of_closest(counts: PairCounts) -> Iterator[Thumbnail]:
    close = counts.nearest_pairs(PAIRS)
    columns = close.i.tolist(), close.j.tolist(), close.transform.tolist()
    for i, j, transform in zip(*columns, strict=True):
        yield Thumbnail.of_pair(i, transform)
        yield Thumbnail.of_pair(j, ORIGINAL)


def _of_copies(copies: Sequence[Sequence[int]]) -> Iterator[Thumbnail]:
    for rows in islice(copies, _GROUPS):
        yield from map(Thumbnail.of_copies, rows[:_OF_A_GROUP])


def _key(counts: PairCounts, config: Config, shown: Thumbnail) -> str:
    """Return a name that no other picture has."""
    edit = None if shown.transform == ORIGINAL else counts.transforms[shown.transform]
    what = [counts.names[shown.row], counts.digests[shown.row], edit, config.seed, shown.side]
    return sha256(canonical(what).encode("ascii")).hexdigest()[:16]


def _small(picture: Image.Image, side: int) -> bytes:
    picture = picture.copy()
    picture.thumbnail((side, side))
    if min(picture.size) < 2:  # as narrow as no figure can show it
        picture = picture.resize((max(picture.width, 2), max(picture.height, 2)))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
