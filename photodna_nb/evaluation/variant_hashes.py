"""One original, edited in all ways in memory, and hashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb.checks import HASH_BYTES
from photodna_nb.corpus.datasets import Original
from photodna_nb.corpus.transforms import AnyTransform, seed_for
from photodna_nb.errors import FileError, ImageError, PhotodnaError
from photodna_nb.hashing import images
from photodna_nb.hashing.stages import hash_and_detail
from photodna_nb.printable import printable

# Where an error is of the original, and not of one of its variants.
ORIGINAL = -1


@dataclass(frozen=True, eq=False)
class OriginalHashes:
    """What came of an original.

    Attributes
    ----------
    digest : str
        SHA-256 of what it was made from; empty if that could not be read.
    hashes : ndarray of uint8, (1 + v, 144)
        Of the original, and of its variants; zeros where there is none.
    detail : ndarray of float64, (1 + v,)
        Of the same, in grey levels; NaN where there is none.
    errors : dict of int to str
        What was wrong, by the number of the edit; -1 for the original itself.
    lasting : bool
        Whether it would be the same another time: no lack of memory, no unreadable disk.
    """

    digest: str
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    errors: dict[int, str] = field(default_factory=dict)
    lasting: bool = True


def hashed(
    original: Original, edits: Sequence[AnyTransform], seed: int, digest: str
) -> OriginalHashes:
    """Return the hashes of an original, which is opened once, and of its variants."""
    hashes = np.zeros((1 + len(edits), HASH_BYTES), np.uint8)
    detail = np.full(1 + len(edits), np.nan)
    try:
        image = original.open()
        hashes[0], detail[0] = hash_and_detail(images.pixels(image))
    except FileError as error:
        return OriginalHashes(digest, hashes, detail, {ORIGINAL: error.reason}, _lasts(error))
    except MemoryError:
        text = "does not fit into memory; free some, or use a smaller version of the image"
        return OriginalHashes(digest, hashes, detail, {ORIGINAL: text}, lasting=False)
    errors = {}
    lasting = True
    for number, edit in enumerate(edits):
        try:
            edited = edit.apply(image, seed_for(seed, original.name, edit.label))
            hashes[1 + number], detail[1 + number] = hash_and_detail(images.pixels(edited))
        except PhotodnaError as error:
            errors[number] = error.reason if isinstance(error, FileError) else str(error)
            lasting &= _lasts(error)
        except Exception as error:  # of Pillow; the other variants are as good as before
            errors[number] = printable(f"cannot be made ({type(error).__name__}: {error})")
            lasting = False
    return OriginalHashes(digest, hashes, detail, errors, lasting)


def renewed(
    original: Original, edits: Sequence[AnyTransform], seed: int, known: OriginalHashes | None
) -> OriginalHashes:
    """Return `known` if the original is what it was then, and otherwise hash it."""
    try:
        digest = original.digest()
    except ImageError as error:
        v = 1 + len(edits)
        nothing = np.zeros((v, HASH_BYTES), np.uint8), np.full(v, np.nan)
        return OriginalHashes("", *nothing, {ORIGINAL: error.reason}, lasting=False)
    if known is not None and known.digest == digest:
        return known
    return hashed(original, edits, seed, digest)


def limit() -> int | None:
    """Return the largest image that is read, in pixels, on which failures depend."""
    return Image.MAX_IMAGE_PIXELS


def _lasts(error: PhotodnaError) -> bool:
    """Return whether an error would come again."""
    cause = error.__cause__
    return not isinstance(cause, MemoryError) and getattr(cause, "errno", None) is None
