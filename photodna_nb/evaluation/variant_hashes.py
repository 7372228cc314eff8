"""Hashes of an original and of its variants, which are made in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.corpus.datasets import Original
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
    detail : list of float
        Detail of the same, in grey levels; NaN where there is no hash.
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
    detail: list[float]
    errors: dict[int, str] = {}
    permanent: bool = True
    pixel_limit: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether another attempt would give the same."""
        same_limit = self.pixel_limit == Image.MAX_IMAGE_PIXELS
        return not self.errors or (self.permanent and same_limit)


@dataclass(frozen=True, eq=False)
class VariantHashes:
    """Hashes of all originals that could be hashed, and of their variants.

    Attributes
    ----------
    names, digests : tuple of str, n
        Names and digests of the originals.
    transforms : tuple of str, v
        Transforms, as `transforms.parse` reads them.
    hashes : ndarray of uint8, (n, 144)
        Hashes of the originals.
    detail : ndarray of float64, (n,)
        Detail of the originals, in grey levels.
    variants : ndarray of uint8, (n, v, 144)
        Hashes of the variants.
    available : ndarray of bool, (n, v)
        Which variants have a hash; the other hashes mean nothing.
    variants_detail : ndarray of float64, (n, v)
        Detail of the variants; NaN where there is no hash.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    variants: NDArray[np.uint8]
    available: NDArray[np.bool_]
    variants_detail: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, v = len(self.names), len(self.transforms)
        checks.array("hashes", self.hashes, np.uint8, (n, HASH_BYTES))
        checks.array("detail", self.detail, np.float64, (n,))
        checks.array("variants", self.variants, np.uint8, (n, v, HASH_BYTES))
        checks.array("available", self.available, np.bool_, (n, v))
        checks.array("variants_detail", self.variants_detail, np.float64, (n, v))


def hash_if_changed(
    original: Original,
    transforms: Sequence[AnyTransform],
    seed: int,
    known: OriginalHashes | None,
) -> OriginalHashes:
    """Return `known` if it has the digest of the original, and otherwise hash the original."""
    try:
        digest = original.digest()
    except ImageError as error:
        return _failed(original, "", len(transforms), error.reason, permanent=False)
    if known is not None and known.digest == digest:
        return known
    return hash_original(original, transforms, seed, digest)


def hash_original(
    original: Original, transforms: Sequence[AnyTransform], seed: int, digest: str
) -> OriginalHashes:
    """Return the hashes of an original, which is opened once, and of its variants."""
    v = len(transforms)
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
        except Exception as error:  # of Pillow; the other variants are as good as before
            errors[number] = printable(f"cannot be made ({type(error).__name__}: {error})")
            permanent = False
        hashed.append(_NO_HASH)
    hashes = b"".join(one.hash.tobytes() for one in hashed)
    detail = [one.detail for one in hashed]
    limit = Image.MAX_IMAGE_PIXELS
    return OriginalHashes(original.name, digest, hashes, detail, errors, permanent, limit)


def _failed(
    original: Original, digest: str, n_variants: int, reason: str, permanent: bool
) -> OriginalHashes:
    hashes, detail = bytes((1 + n_variants) * HASH_BYTES), [math.nan] * (1 + n_variants)
    errors, limit = {ORIGINAL: reason}, Image.MAX_IMAGE_PIXELS
    return OriginalHashes(original.name, digest, hashes, detail, errors, permanent, limit)


def _is_permanent(error: PhotodnaError) -> bool:
    """Return whether an error would occur again."""
    cause = error.__cause__
    return not isinstance(cause, MemoryError) and getattr(cause, "errno", None) is None
