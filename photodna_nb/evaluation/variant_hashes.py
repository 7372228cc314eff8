"""The hashes of a run: of all originals and of their variants.

During a run, each original is a record of the journal. At its end, ``hashes.npz`` has all of them,
and the journal is deleted.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import compress
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from photodna_nb import checks, files, npz, parallel
from photodna_nb.checks import HASH_BYTES
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation import stored_arrays
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.original_hashes import (
    ORIGINAL,
    OriginalHashes,
    hash_original_if_changed,
)
from photodna_nb.evaluation.run_files import HASHES, JOURNAL
from photodna_nb.evaluation.run_folder import RunFolder, differences
from photodna_nb.evaluation.stored_arrays import Schema
from photodna_nb.journal import RecordLog
from photodna_nb.printable import printable

_ARRAYS: Schema = {
    "hashes": (np.uint8, ("n", HASH_BYTES)),
    "detail": (np.float64, ("n",)),
    "variants": (np.uint8, ("n", "v", HASH_BYTES)),
    "available": (np.bool_, ("n", "v")),
    "variants_detail": (np.float64, ("n", "v")),
}
_TEXTS = {
    **{"paths": "n", "digests": "n", "transforms": "v"},
    **dict.fromkeys(("hashing", "failures", "errors"), ""),
}

# Texts of all originals that few runs have: names of fields, and of members of the file.
_LABELS = "groups", "sources"


class _Errors(msgspec.Struct, array_like=True):
    """The fields of `OriginalHashes` that ``hashes.npz`` holds of an original with errors."""

    name: str
    digest: str
    errors: dict[int, str]
    permanent: bool
    pixel_limit: int | None


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

    def __post_init__(self) -> None:
        n, v = len(self.names), len(self.transforms)
        length = self.hasher.length
        checks.array("hashes", self.hashes, np.uint8, (n, length))
        checks.array("detail", self.detail, np.float64, (n,))
        checks.array("variants", self.variants, np.uint8, (n, v, length))
        checks.array("available", self.available, np.bool_, (n, v))
        checks.array("variants_detail", self.variants_detail, np.float64, (n, v))
        for name in _LABELS:
            if len(getattr(self, name)) not in (0, n):
                raise ArgumentError(f"{name}: got {len(getattr(self, name))}, needs {n} or none")

    def taken(self, rows: NDArray[np.bool_]) -> VariantHashes:
        """Return the hashes of some originals alone, and of their variants."""
        names = "hashes", "detail", "variants", "available", "variants_detail"
        return replace(
            self,
            names=tuple(compress(self.names, rows)),
            digests=tuple(compress(self.digests, rows)),
            groups=tuple(compress(self.groups, rows)),
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
    """The hashes of all originals of a run.

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
    """

    hashed: VariantHashes
    digest: str
    inputs: dict[str, str | None]
    errors: dict[str, dict[int, str]]

    def failures(self) -> list[VariantFailure]:
        """Return the originals and variants without a hash, in the order of the originals."""
        transforms = self.hashed.transforms
        return [
            VariantFailure(name, None if number == ORIGINAL else transforms[number], reason)
            for name in self.inputs
            for number, reason in sorted(self.errors.get(name, {}).items())
        ]


def hash_variants(
    config: Config,
    dataset: Dataset,
    folder: RunFolder,
    max_workers: int | None = None,
    progress: bool = False,
    executor: Executor | None = None,
) -> tuple[StoredHashes, int]:
    """Return the hashes of all originals and variants, and how many originals were hashed now.

    Raises
    ------
    FileError
        Fewer than two originals could be hashed, or the folder cannot be written.
    """
    known = _known_hashes(folder)
    journal = _journal(folder)
    digests = {name: result.digest for name, result in known.items()}
    tasks = ((original, digests.get(original.name)) for original in dataset)
    task = partial(hash_original_if_changed, config.transforms, config.seed)
    stream = parallel.ordered_map(task, tasks, max_workers=max_workers, executor=executor)
    results: list[OriginalHashes] = []
    labels: list[tuple[str, ...]] = []
    n_hashed = 0
    with (
        journal,
        closing(stream),
        parallel.progress_bar(progress, dataset, "originals") as bar,
    ):
        for original, result in zip(dataset, stream, strict=True):
            if result is None:
                result = known[original.name]
            elif result.digest:
                folder.check_versions()
                if result.permanent:
                    journal.append(result)
                n_hashed += 1
            results.append(result)
            labels.append((getattr(original, "group", ""), original.source))
            bar.update()
    stored = _write(folder, results, labels, config.privacy.hashes)
    if config.privacy.hashes:
        journal.delete()
    return stored, n_hashed


def forget_hashes(folder: RunFolder) -> None:
    """Delete the hashes in a folder, which a run needs until its results are written."""
    if os.path.lexists(folder.path(HASHES)):
        os.unlink(folder.path(HASHES))
    _journal(folder).delete()


def stored_hashes(folder: RunFolder) -> StoredHashes:
    """Return what an earlier run hashed, from its file alone.

    Raises
    ------
    FileError
        The file is missing or damaged, or is that of another run.
    """
    content, hashed, failed = _read(folder)
    inputs: dict[str, str | None] = dict(zip(hashed.names, hashed.digests, strict=True))
    inputs |= {result.name: result.digest or None for result in failed}
    if inputs == folder.inputs:  # in the order of the originals
        inputs = folder.inputs
    errors = {result.name: result.errors for result in failed}
    return StoredHashes(hashed, sha256(content).hexdigest(), inputs, errors)


def _journal(folder: RunFolder) -> RecordLog[OriginalHashes]:
    path = folder.path(JOURNAL)
    return RecordLog(path, "hashes of an evaluation", 2, OriginalHashes, FileError)


def _known_hashes(folder: RunFolder) -> dict[str, OriginalHashes]:
    """Return the hashes in the folder that need not be made again, by the name of the original."""
    known: dict[str, OriginalHashes] = {}
    if os.path.exists(folder.path(HASHES)):
        _, hashed, failed = _read(folder)
        hashes = np.concatenate([hashed.hashes[:, None], hashed.variants], axis=1)
        detail = np.concatenate([hashed.detail[:, None], hashed.variants_detail], axis=1).tolist()
        for row, (name, digest) in enumerate(zip(hashed.names, hashed.digests, strict=True)):
            known[name] = OriginalHashes(name, digest, hashes[row].tobytes(), detail[row])
        for result in failed:
            if result.name in known:
                result = structs.replace(
                    result, hashes=known[result.name].hashes, detail=known[result.name].detail
                )
            known[result.name] = result
    n_hashes = 1 + len(folder.hash_settings["variants"]["transforms"])
    known |= {
        result.name: result
        for result in _journal(folder).records()
        if (len(result.detail), len(result.hashes)) == (n_hashes, n_hashes * HASH_BYTES)
    }
    return {name: result for name, result in known.items() if result.is_final}


def _write(
    folder: RunFolder,
    results: Sequence[OriginalHashes],
    all_labels: Sequence[tuple[str, ...]],
    keep: bool,
) -> StoredHashes:
    """Write ``hashes.npz``, of which `HashTable.load` reads the originals, and return it.

    `all_labels` has the group and the source of each original; `keep`: whether it is written.
    """
    is_good = [ORIGINAL not in result.errors for result in results]
    good = [*compress(results, is_good)]
    columns = zip(_LABELS, zip(*compress(all_labels, is_good), strict=True), strict=False)
    labels = {name: own for name, own in columns if any(own)}
    failed = [result for result in results if result.errors]
    failures = [[bad.name, bad.errors[ORIGINAL]] for bad in failed if ORIGINAL in bad.errors]
    if len(good) < 2:
        reasons = [f" ({printable(name)}: {reason})" for name, reason in failures[:1]]
        raise FileError(
            folder.folder,
            f"nothing is written: of {len(results)} originals fewer than two could be "
            f"hashed{''.join(reasons)}; check originals in the configuration",
        )
    content = np.frombuffer(b"".join(result.hashes for result in good), np.uint8)
    hashes = content.reshape(len(good), -1, HASH_BYTES)
    detail = np.array([result.detail for result in good], np.float64)
    hashed = VariantHashes(
        tuple(result.name for result in good),
        tuple(result.digest for result in good),
        _transforms(folder),
        np.ascontiguousarray(hashes[:, 0]),
        np.ascontiguousarray(detail[:, 0]),
        hashes[:, 1:],
        ~np.isnan(detail[:, 1:]),
        np.ascontiguousarray(detail[:, 1:]),
        groups=labels.get("groups", ()),
        sources=labels.get("sources", ()),
    )
    errors = [[bad.name, bad.digest, bad.errors, bad.permanent, bad.pixel_limit] for bad in failed]
    members: dict[str, NDArray[Any]] = {
        "paths": npz.pack_texts(hashed.names),
        "failures": npz.pack_texts([json.dumps(failures)]),
        "digests": npz.pack_texts(hashed.digests),
        "transforms": npz.pack_texts(hashed.transforms),
        **{name: getattr(hashed, name) for name in _ARRAYS},
        "errors": npz.pack_texts([json.dumps(errors)]),
        "hashing": npz.pack_texts([canonical(folder.hash_settings)]),
        **{name: npz.pack_texts(own) for name, own in labels.items()},
    }
    packed = npz.pack(members)
    digest = sha256(packed).hexdigest()
    path = folder.path(HASHES)
    if keep and (not os.path.exists(path) or digest != folder.digest(HASHES)):
        files.write([(path, [packed])], FileError)
    inputs = {result.name: result.digest or None for result in results}
    return StoredHashes(hashed, digest, inputs, {bad.name: bad.errors for bad in failed})


def _transforms(folder: RunFolder) -> tuple[str, ...]:
    return tuple(folder.hash_settings["variants"]["transforms"])


def _read(folder: RunFolder) -> tuple[bytes, VariantHashes, list[OriginalHashes]]:
    """Return ``hashes.npz``, what is in it, and the originals with errors, of this run alone.

    Of the latter, hashes and detail are zeros and NaN.
    """
    path = folder.path(HASHES)
    content = files.read(path, FileError)
    hashed, members = unpack_hashes(path, content)
    hashing = members["hashing"]
    if hashing != (canonical(folder.hash_settings),) or hashed.transforms != _transforms(folder):
        # It was copied from the folder of another run.
        try:
            reason = (
                differences(folder.hash_settings, json.loads("".join(hashing))) or "other variants"
            )
        except (ValueError, AttributeError):
            reason = "another configuration"
        raise FileError(
            path,
            f"is of a run with {reason}; delete it to hash anew, or put this run's own file back",
        )
    n_hashes = 1 + len(hashed.transforms)
    empty = bytes(n_hashes * HASH_BYTES), [math.nan] * n_hashes
    try:
        texts = json.loads("".join(members["errors"]))
        errors = msgspec.convert(texts, list[_Errors], str_keys=True)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise FileError(path, "is damaged or another file; create it again") from error
    failed = [
        OriginalHashes(name, digest, *empty, reasons, permanent, limit)
        for name, digest, reasons, permanent, limit in map(structs.astuple, errors)
    ]
    return content, hashed, failed


def unpack_hashes(path: str, content: bytes) -> tuple[VariantHashes, dict[str, Any]]:
    """Return the hashes in the content of ``hashes.npz``, and all arrays and texts in it.

    Raises
    ------
    FileError
        The file is damaged or another one.
    """
    there = npz.member_names(path, content)
    labels = {name: "n" for name in _LABELS if name in there}
    members, _ = stored_arrays.unpack(path, content, _ARRAYS, _TEXTS | labels)
    texts = (members[name] for name in ("paths", "digests", "transforms"))
    further = {name: members[name] for name in (*_ARRAYS, *labels)}
    return VariantHashes(*texts, **further), members
