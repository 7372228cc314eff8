"""Small pictures of the closest impostor pairs, for a person to look at."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from PIL import Image

from photodna_nb import parallel
from photodna_nb.datasets import Dataset
from photodna_nb.errors import PhotodnaError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.counts import Counts
from photodna_nb.evaluation.store import Store
from photodna_nb.evaluation.variants import ORIGINAL
from photodna_nb.transforms import seed_for

# The number of an original and that of its edit, -1 for the original as it is.
Shown: TypeAlias = tuple[int, int]

FOLDER = "pictures"
PAIRS = 16  # are shown
_SIDE = 240  # pixels
_QUALITY = 80


class Pictures(NamedTuple):
    """What is shown of the closest impostor pairs.

    names : dict
        The file of each picture, from the folder on; one that can no longer be made is missing.
    made : dict of str to bytes
        Content of those files that are not in the folder.
    """

    names: dict[Shown, str]
    made: dict[str, bytes]


def of_closest(
    counts: Counts, dataset: Dataset, config: Config, folder: Store, workers: int | None
) -> Pictures:
    """Return the pictures of the closest impostor pairs, made unless they are in the folder.

    Parameters
    ----------
    counts : Counts
        Says which pairs these are.
    dataset : Dataset
        The originals, by name.
    config : Config
        The edits, and their seed.
    folder : Store
        Of the run.
    workers : int, optional
        Threads.
    """
    close = counts.closest(PAIRS)
    rows = zip(close.i.tolist(), close.j.tolist(), close.transform.tolist(), strict=True)
    names = {
        shown: f"{FOLDER}/{_key(counts, config, shown)}.jpg"
        for i, j, transform in rows
        for shown in ((i, transform), (j, ORIGINAL))
    }
    originals = {original.name: original for original in dataset}

    def task(shown: Shown) -> bytes | None:
        row, transform = shown
        original = originals[counts.names[row]]
        try:
            picture = original.open()
            if transform != ORIGINAL:
                edit = config.variants[transform]
                picture = edit.apply(picture, seed_for(config.seed, original.name, edit.label))
        except (PhotodnaError, MemoryError):  # it could be read when it was hashed
            return None
        return _small(picture)

    missing = [shown for shown, name in names.items() if not folder.has(name)]
    made = {}
    for shown, content in zip(
        missing, parallel.in_order(task, missing, max_workers=workers), strict=True
    ):
        if content is None:
            del names[shown]
        else:
            made[names[shown]] = content
    return Pictures(names, made)


def _key(counts: Counts, config: Config, shown: Shown) -> str:
    """Return a name that no other picture has."""
    row, transform = shown
    edit = None if transform == ORIGINAL else counts.transforms[transform]
    what = [counts.names[row], counts.digests[row], edit, config.seed]
    return sha256(canonical(what).encode("ascii")).hexdigest()[:16]


def _small(picture: Image.Image) -> bytes:
    picture = picture.copy()
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
