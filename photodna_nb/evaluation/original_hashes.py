"""The hashes of one original and of its variants, which are made in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import structs
from PIL import Image

from photodna_nb.checks import HASH_BYTES
from photodna_nb.corpus.datasets import HashOriginal, Original
from photodna_nb.corpus.transforms import AnyTransform, seed_for
from photodna_nb.errors import FileError, ImageError, PhotodnaError
from photodna_nb.hashing import images
from photodna_nb.hashing.stages import HashWithDetail, hash_and_detail
from photodna_nb.printable import printable

# The number that stands for the original itself, where transforms are numbered from 0.
ORIGINAL = -1
_NO_HASH = HashWithDetail(np.zeros(HASH_BYTES, np.uint8), math.nan)


class OriginalHashes(msgspec.Struct, frozen=True):
    """Hashes of one original and of its variants, as the journal of a run holds them.

    Attributes
    ----------
    name : str
        Name of the original.
    digest : str
        SHA-256 of the content that the original was made from; empty if it cannot be read.
    hashes : bytes
        Hash of the original, then of each variant, 144 bytes each; zeros where there is none.
    detail : sequence of float or None
        Detail of the same, in grey levels; None where there is no hash (NaN is no JSON).
    errors : dict of int to str
        Reasons of missing hashes, by the number of the transform; -1 for the original itself.
    permanent : bool
        Whether the same errors would occur again. A lack of memory or an unreadable disk
        may pass.
    pixel_limit : int or None
        Number of pixels of the largest image that was read; errors depend on it.
    """

    name: str
    digest: str
    hashes: bytes
    detail: Sequence[float | None]
    errors: dict[int, str] = {}
    permanent: bool = True
    pixel_limit: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether another attempt would give the same."""
        same_limit = self.pixel_limit == Image.MAX_IMAGE_PIXELS
        return not self.errors or (self.permanent and same_limit)


def hash_original_if_changed(
    transforms: Sequence[AnyTransform], seed: int, task: tuple[Original, str | None]
) -> OriginalHashes | None:
    """Return the hashes of an original, or None if its digest is the one beside it."""
    original, known_digest = task
    try:
        digest = original.digest()
    except ImageError as error:
        result = _failed(original, "", len(transforms), error.reason, permanent=False)
    else:
        if digest == known_digest:
            return None
        result = hash_original(original, transforms, seed, digest)
    errors = {number: original.error_text(text) for number, text in result.errors.items()}
    return structs.replace(result, errors=errors)


def hash_original(
    original: Original, transforms: Sequence[AnyTransform], seed: int, digest: str
) -> OriginalHashes:
    """Return the hashes of an original, which is opened once, and of its variants."""
    v = len(transforms)
    if isinstance(original, HashOriginal):
        detail = [None if math.isnan(original.detail) else original.detail, *[None] * v]
        hashes = original.hash + bytes(v * HASH_BYTES)
        return OriginalHashes(original.name, digest, hashes, detail)
    try:
        image = original.open()
        hashed = [hash_and_detail(images.pixels(image))]
    except FileError as error:
        return _failed(original, digest, v, error.reason, _is_permanent(error))
    except MemoryError:
        reason = "does not fit into memory; free some, or use a smaller version of the image"
        return _failed(original, digest, v, reason, permanent=False)
    errors = {}
    permanent = True
    for number, transform in enumerate(transforms):
        try:
            variant = transform.apply(image, seed_for(seed, original.name, transform.label))
            hashed.append(hash_and_detail(images.pixels(variant)))
            continue
        except PhotodnaError as error:
            errors[number] = error.reason if isinstance(error, FileError) else str(error)
            permanent &= _is_permanent(error)
        except Exception as error:  # of Pillow; the other variants are not affected
            errors[number] = printable(f"cannot be made ({type(error).__name__}: {error})")
            permanent = False
        hashed.append(_NO_HASH)
    hashes = b"".join(one.hash.tobytes() for one in hashed)
    detail = [None if math.isnan(one.detail) else one.detail for one in hashed]
    limit = Image.MAX_IMAGE_PIXELS
    return OriginalHashes(original.name, digest, hashes, detail, errors, permanent, limit)


def _failed(
    original: Original, digest: str, n_variants: int, reason: str, permanent: bool
) -> OriginalHashes:
    hashes, detail = bytes((1 + n_variants) * HASH_BYTES), [None] * (1 + n_variants)
    errors, limit = {ORIGINAL: reason}, Image.MAX_IMAGE_PIXELS
    return OriginalHashes(original.name, digest, hashes, detail, errors, permanent, limit)


def _is_permanent(error: PhotodnaError) -> bool:
    """Return whether an error would occur again."""
    cause = error.__cause__
    return not isinstance(cause, MemoryError) and getattr(cause, "errno", None) is None
