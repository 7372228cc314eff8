"""Thumbnails of impostor pairs and of suspected duplicates, for visual inspection."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from PIL import Image

from photodna_nb import parallel
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.corpus.transforms import seed_for
from photodna_nb.errors import FileError, PhotodnaError
from photodna_nb.evaluation import run_files
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.run_files import THUMBNAILS
from photodna_nb.evaluation.run_folder import RunFolder
from photodna_nb.printable import printable

# Impostor pairs with thumbnails.
PAIRS = 16
# Groups of suspected duplicates with thumbnails, and thumbnails of a group.
_GROUPS, _PER_GROUP = 100, 4
# Pixels of the longer side, of a pair and of a duplicate.
_PAIR_SIDE, _DUPLICATE_SIDE = 240, 120
_QUALITY = 80


class Thumbnail(NamedTuple):
    """What a thumbnail shows.

    row : int
        Row of the original.
    transform : int
        Number of its transform; -1 for the original itself.
    side : int
        Pixels of the longer side, at the most.
    copy : int
        Number of the altered copy; -1 if it shows none.
    """

    row: int
    transform: int
    side: int
    copy: int = -1

    @classmethod
    def of_pair(cls, row: int, transform: int, copy: int = -1) -> Thumbnail:
        """Return the thumbnail of one side of an impostor pair."""
        return cls(row, transform, _PAIR_SIDE, copy)

    @classmethod
    def of_duplicate(cls, row: int) -> Thumbnail:
        """Return the thumbnail of an original that is suspected to be a duplicate."""
        return cls(row, ORIGINAL, _DUPLICATE_SIDE)


class ThumbnailFiles(NamedTuple):
    """Thumbnails of the nearest impostor pairs, and of suspected duplicates.

    names : dict
        Name of the file of each thumbnail, from the folder of the run on. One that can no
        longer be made is missing.
    new : dict of str to bytes
        Content of those files that are not in the folder yet.
    """

    names: dict[Thumbnail, str]
    new: dict[str, bytes]


def make_thumbnails(
    counts: PairCounts,
    duplicates: Sequence[Sequence[int]],
    influential: Sequence[int],
    dataset: Dataset | None,
    copies: Dataset | None,
    config: Config,
    folder: RunFolder,
    max_workers: int | None = None,
) -> ThumbnailFiles:
    """Return the thumbnails of a hasher of a run, made unless they are in the folder.

    Parameters
    ----------
    counts : PairCounts
        Has the nearest impostor pairs.
    duplicates : sequence of sequence of int
        Groups of rows, of which the first ones have thumbnails.
    influential : sequence of int
        Rows of further originals.
    dataset : Dataset or None
        The originals, by name; None if they are not there any more.
    copies : Dataset or None
        Their altered copies from files.
    config : Config
        The transforms, and their seed; whether there are to be thumbnails.
    folder : RunFolder
        Folder of the run.
    max_workers : int, optional
        Threads.
    """
    if not config.privacy.pictures:
        _check_left_over(folder)
        return ThumbnailFiles({}, {})
    of_influential = (Thumbnail.of_pair(row, ORIGINAL) for row in influential)
    thumbnails = (*_of_nearest(counts), *of_influential, *_of_duplicates(duplicates))
    names = {thumbnail: _file_name(counts, config, thumbnail) for thumbnail in thumbnails}
    originals = {original.name: original for original in dataset or ()}
    by_name = {file.name: file for file in copies or ()}
    transforms = config.transforms

    def task(thumbnail: Thumbnail) -> bytes | None:
        try:
            if thumbnail.copy >= 0:
                return jpeg_thumbnail(by_name[counts.copies[thumbnail.copy]].open(), thumbnail.side)
            original = originals[counts.names[thumbnail.row]]
            image = original.open()
            if thumbnail.transform != ORIGINAL:
                transform = transforms[thumbnail.transform]
                image = transform.apply(
                    image, seed_for(config.seed, original.name, transform.label)
                )
        except (KeyError, PhotodnaError, MemoryError):  # it could be read when it was hashed
            return None
        return jpeg_thumbnail(image, thumbnail.side)

    missing = [thumbnail for thumbnail, name in names.items() if not folder.has(name)]
    new = {}
    contents = parallel.ordered_map(task, missing, max_workers=max_workers)
    for thumbnail, content in zip(missing, contents, strict=True):
        if content is None:
            del names[thumbnail]
        else:
            new[names[thumbnail]] = content
    return ThumbnailFiles(names, new)


def _check_left_over(folder: RunFolder) -> None:
    """Raise a FileError if there are thumbnails that are not deleted with the earlier results."""
    path = folder.path(THUMBNAILS)
    for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
        if not folder.has(f"{THUMBNAILS}/{name}"):
            raise FileError(
                os.path.join(path, name),
                "is a thumbnail that the manifest does not list, as after a kill, and "
                "privacy.pictures is false; delete it",
            )


def jpeg_thumbnail(image: Image.Image, side: int) -> bytes:
    """Return a JPEG of an image, made smaller to a longer side of at most so many pixels."""
    image = image.copy()
    image.thumbnail((side, side))
    if min(image.size) < 2:  # as narrow as no figure can show it
        image = image.resize((max(image.width, 2), max(image.height, 2)))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def read_thumbnail(folder: str, name: str, digest: str) -> bytes:
    """Return the content of a thumbnail, a JPEG.

    Raises
    ------
    FileError
        The file is missing, has another digest, or is no JPEG of the size of a thumbnail.
    """
    content = run_files.read(folder, name, digest)
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if max(image.size) > _PAIR_SIDE:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            image.load()
    except Exception as error:  # Pillow raises nearly anything
        path = run_files.path_of(folder, name)
        raise run_files.damaged(path, f"no thumbnail: {printable(str(error))}") from error
    return content


def _of_nearest(counts: PairCounts) -> Iterator[Thumbnail]:
    columns = (column.tolist() for column in counts.nearest_pairs(PAIRS))
    for i, j, transform, _, copy in zip(*columns, strict=True):
        yield Thumbnail.of_pair(i, transform, copy)
        yield Thumbnail.of_pair(j, ORIGINAL)


def _of_duplicates(duplicates: Sequence[Sequence[int]]) -> Iterator[Thumbnail]:
    for rows in islice(duplicates, _GROUPS):
        yield from map(Thumbnail.of_duplicate, rows[:_PER_GROUP])


def _file_name(counts: PairCounts, config: Config, thumbnail: Thumbnail) -> str:
    """Return a name that no other thumbnail has."""
    row, transform, side, copy = thumbnail
    spec = None if transform == ORIGINAL else counts.transforms[transform]
    identity = [counts.names[row], counts.digests[row], spec, config.seed, side]
    identity += [counts.copies[copy]] if copy >= 0 else []
    return f"{THUMBNAILS}/{sha256(canonical(identity).encode('ascii')).hexdigest()[:16]}.jpg"
