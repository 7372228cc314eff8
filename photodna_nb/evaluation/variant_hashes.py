"""The hashes of all originals of a run and of their variants, and the file that holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, npz
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation import stored_arrays
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.stored_arrays import Schema

_ARRAYS = "hashes", "detail", "variants", "available", "variants_detail"
# Texts of all originals that few runs have: names of fields, and of members of the file.
LABELS = "groups", "sources"


class CopyHashes(NamedTuple):
    """Hashes of altered copies from files, in the order of their originals.

    Attributes
    ----------
    names : tuple of str, c
        Names of the copies.
    labels : tuple of str, k
        The different labels, as `transforms.parse` reads them: ``copies:LABEL``.
    original : ndarray of int64, (c,)
        Row of the original of each copy, ascending.
    label : ndarray of int64, (c,)
        Number of the label of each copy.
    hashes : ndarray of uint8, (c, length)
        Hashes of the copies.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    original: NDArray[np.int64]
    label: NDArray[np.int64]
    hashes: NDArray[np.uint8]

    def taken(self, rows: NDArray[np.bool_]) -> CopyHashes:
        """Return the copies of some originals alone, which are numbered anew."""
        kept = rows[self.original]
        return self._replace(
            names=tuple(compress(self.names, kept)),
            original=(np.cumsum(rows) - 1)[self.original[kept]],
            label=self.label[kept],
            hashes=self.hashes[kept],
        )


@dataclass(frozen=True, eq=False)
class VariantHashes:
    """Hashes of all originals that could be hashed, and of their variants.

    Attributes
    ----------
    names, digests : tuple of str, n
        Names and digests of the originals.
    transforms : tuple of str, v
        Transforms, as `transforms.parse` reads them.
    hashes : ndarray of uint8, (n, length)
        Hashes of the originals.
    detail : ndarray of float64, (n,)
        Detail of the originals, in grey levels; of another hasher its own quality, or NaN.
    variants : ndarray of uint8, (n, v, length)
        Hashes of the variants.
    available : ndarray of bool, (n, v)
        Which variants have a hash; the other hashes mean nothing.
    variants_detail : ndarray of float64, (n, v)
        The same of the variants; NaN where there is no hash.
    hasher : HasherScale
        The hasher.
    groups : tuple of str, n
        Group of each original; originals of a group show the same, and one with "" is in none. An
        empty tuple if all are in none.
    sources : tuple of str, n
        Name of the source of each original. An empty tuple if there is a single one.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    transforms: tuple[str, ...]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float64]
    variants: NDArray[np.uint8]
    available: NDArray[np.bool_]
    variants_detail: NDArray[np.float64]
    hasher: HasherScale = PHOTODNA
    groups: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    copies: CopyHashes | None = None

    def __post_init__(self) -> None:
        n, v = len(self.names), len(self.transforms)
        length = self.hasher.length
        checks.array("hashes", self.hashes, np.uint8, (n, length))
        checks.array("detail", self.detail, np.float64, (n,))
        checks.array("variants", self.variants, np.uint8, (n, v, length))
        checks.array("available", self.available, np.bool_, (n, v))
        checks.array("variants_detail", self.variants_detail, np.float64, (n, v))
        for name in LABELS:
            if len(getattr(self, name)) not in (0, n):
                raise ArgumentError(f"{name}: got {len(getattr(self, name))}, needs {n} or none")

    @property
    def all_transforms(self) -> tuple[str, ...]:
        """The transforms, and then the labels of the copies."""
        return self.transforms + (self.copies.labels if self.copies is not None else ())

    @property
    def n_variants(self) -> NDArray[np.int64]:
        """Number of variants of each original, with its copies, (n,)."""
        number: NDArray[np.int64] = self.available.sum(axis=1)
        if self.copies is not None:
            number = number + np.bincount(self.copies.original, minlength=len(number))
        return number

    def of_transform(self, number: int) -> tuple[NDArray[Any], ...]:
        """Return the variants by a transform, or the copies with a label.

        Returns
        -------
        rows : ndarray of int64, (m,)
            Rows of their originals, ascending; an original may have several copies.
        hashes : ndarray of uint8, (m, length)
        copy : ndarray of int64, (m,)
            Number of each copy; -1 for a variant by a transform.
        """
        if self.copies is None or number < len(self.transforms):
            rows = np.flatnonzero(self.available[:, number])
            return rows, self.variants[rows, number], np.full(len(rows), -1)
        own = np.flatnonzero(self.copies.label == number - len(self.transforms))
        return self.copies.original[own], self.copies.hashes[own], own

    def taken(self, rows: NDArray[np.bool_]) -> VariantHashes:
        """Return the hashes of some originals alone, and of their variants."""
        names = "hashes", "detail", "variants", "available", "variants_detail"
        return replace(
            self,
            names=tuple(compress(self.names, rows)),
            digests=tuple(compress(self.digests, rows)),
            groups=tuple(compress(self.groups, rows)),
            copies=self.copies and self.copies.taken(rows),
            sources=tuple(compress(self.sources, rows)),
            **{name: getattr(self, name)[rows] for name in names},
        )


class VariantFailure(NamedTuple):
    """An original, or a variant of it, without a hash.

    Attributes
    ----------
    original : str
        Name of the original.
    transform : str or None
        The transform; None if the original itself failed.
    error : str
        What was wrong, and what to do.
    """

    original: str
    transform: str | None
    error: str


class StoredHashes(NamedTuple):
    """The hashes of all originals of a run by one hasher.

    Attributes
    ----------
    hashed : VariantHashes
        Originals that could be hashed, and their variants.
    digest : str
        Digest of the file that they are in.
    inputs : dict of str to (str or None)
        Digests of all originals, by name; None of one that could not be read.
    errors : dict of str to dict of int to str
        Reasons of missing hashes, by the name of the original and the number of the
        transform.
    copy_failures : tuple of VariantFailure
        Altered copies from files that have no hash.
    """

    hashed: VariantHashes
    digest: str
    inputs: dict[str, str | None]
    errors: dict[str, dict[int, str]]
    copy_failures: tuple[VariantFailure, ...] = ()

    def failures(self) -> list[VariantFailure]:
        """Return the originals, variants and copies without a hash, in the originals' order."""
        transforms = self.hashed.transforms
        failures = [
            VariantFailure(name, None if number == ORIGINAL else transforms[number], reason)
            for name in self.inputs
            for number, reason in sorted(self.errors.get(name, {}).items())
        ]
        return [*failures, *self.copy_failures]


class HashErrors(msgspec.Struct, array_like=True, frozen=True):
    """The fields of `OriginalHashes` that ``hashes.npz`` holds of an original with errors."""

    name: str
    digest: str
    errors: dict[int, str]
    permanent: bool = True
    pixel_limit: int | None = None


class HashesAndErrors(NamedTuple):
    """What ``hashes.npz`` holds of one hasher.

    Attributes
    ----------
    hashed : VariantHashes
        Originals that could be hashed, and their variants.
    failed : list of HashErrors
        Originals with errors: their own, or of a variant.
    """

    hashed: VariantHashes
    failed: list[HashErrors]


def pack_hashes(parts: Sequence[HashesAndErrors], hashing: str) -> memoryview:
    """Return the content of ``hashes.npz``, of which `HashTable.load` reads the originals.

    Parameters
    ----------
    parts : sequence of HashesAndErrors
        Of each hasher. The members of all but the first are named ``NAME/MEMBER``.
    hashing : str
        What the hashes depend on.
    """
    members: dict[str, NDArray[Any]] = {}
    for number, (hashed, failed) in enumerate(parts):
        failures = [[bad.name, bad.errors[ORIGINAL]] for bad in failed if ORIGINAL in bad.errors]
        errors = [msgspec.structs.astuple(bad) for bad in failed]
        of_part = {
            "paths": npz.pack_texts(hashed.names),
            "failures": npz.pack_texts([json.dumps(failures)]),
            "digests": npz.pack_texts(hashed.digests),
            "transforms": npz.pack_texts(hashed.transforms),
            **{name: getattr(hashed, name) for name in _ARRAYS},
            "errors": npz.pack_texts([json.dumps(errors)]),
            "hashing": npz.pack_texts([hashing]),
            **{name: npz.pack_texts(own) for name in LABELS if (own := getattr(hashed, name))},
        }
        prefix = f"{hashed.hasher.name}/" if number else ""
        members |= {f"{prefix}{name}": member for name, member in of_part.items()}
    return npz.pack(members)


def unpack_hashes(
    path: str, content: bytes, hasher: HasherScale, first: bool = True
) -> tuple[HashesAndErrors, str]:
    """Return the hashes by one hasher in the content of ``hashes.npz``, and what they depend on.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    content : bytes
        Content of the file.
    hasher : HasherScale
        The hasher.
    first : bool
        Whether it is the first hasher of the run.

    Raises
    ------
    FileError
        The file is damaged or another one.
    """
    prefix = "" if first else f"{hasher.name}/"
    schema: Schema = {
        "hashes": (np.uint8, ("n", hasher.length)),
        "detail": (np.float64, ("n",)),
        "variants": (np.uint8, ("n", "v", hasher.length)),
        "available": (np.bool_, ("n", "v")),
        "variants_detail": (np.float64, ("n", "v")),
    }
    texts = {"paths": "n", "digests": "n", "transforms": "v"}
    texts |= dict.fromkeys(("hashing", "failures", "errors"), "")
    there = npz.member_names(path, content)
    labels = {name: "n" for name in LABELS if prefix + name in there}
    texts |= labels
    found, _ = stored_arrays.unpack(
        path,
        content,
        {prefix + name: value for name, value in schema.items()},
        {prefix + name: side for name, side in texts.items()},
    )
    members = {name.removeprefix(prefix): value for name, value in found.items()}
    if hasher.metric == "hamming":
        bits = {name: (members[name], 0, 1) for name in ("hashes", "variants")}
        stored_arrays.check_ranges(path, bits)
    try:
        failed = msgspec.convert(
            json.loads("".join(members["errors"])), list[HashErrors], str_keys=True
        )
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise FileError(path, "is damaged or another file; create it again") from error
    names = ("digests", "transforms", *_ARRAYS, *labels)
    fields: dict[str, Any] = {name: members[name] for name in names}
    hashed = VariantHashes(members["paths"], hasher=hasher, **fields)
    return HashesAndErrors(hashed, failed), "".join(members["hashing"])
