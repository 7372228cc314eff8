"""The hashes of a run: made for originals that are new or have changed, and kept in its folder.

While a run goes on, each original is a record of the journal. At its end, ``hashes.npz``
has all of them, and the journal is deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from photodna_nb import files, npz, parallel
from photodna_nb.checks import HASH_BYTES
from photodna_nb.corpus.datasets import Dataset, Original
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.run_folder import HASHES, JOURNAL, RunFolder, differences
from photodna_nb.evaluation.variant_hashes import (
    ORIGINAL,
    OriginalHashes,
    VariantHashes,
    hash_if_changed,
    pixel_limit,
)
from photodna_nb.journal import RecordLog
from photodna_nb.printable import printable

_ARRAYS = ("hashes", "detail", "variants", "available", "variants_detail")
_TEXTS = ("paths", "digests", "transforms", "hashing", "failures", "errors")


class StoredHashes(NamedTuple):
    """The hashes of all originals of a run.

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


class _Record(msgspec.Struct, frozen=True):
    """`OriginalHashes` in the journal; `limit` is that of pixels, if it has errors."""

    name: str
    digest: str
    limit: int | None
    hashes: bytes
    detail: list[float]
    errors: dict[int, str]


class _ErrorRecord(NamedTuple):
    """An original (transform -1) or a variant without a hash, in the file of hashes."""

    name: str
    transform: int
    reason: str
    digest: str
    permanent: bool
    limit: int | None

    def would_recur(self) -> bool:
        """Return whether another attempt would fail as well."""
        return self.permanent and self.limit == pixel_limit()


def hash_variants(
    config: Config,
    dataset: Dataset,
    folder: RunFolder,
    max_workers: int | None = None,
    progress: bool = False,
) -> tuple[StoredHashes, int]:
    """Return the hashes of all originals and variants, and how many originals were hashed now.

    Raises
    ------
    FileError
        Fewer than two originals could be hashed, or the folder cannot be written.
    """
    transforms = config.transforms
    known = _known_hashes(folder, len(transforms))
    journal = _journal(folder)

    def task(original: Original) -> tuple[Original, OriginalHashes]:
        earlier = known.get(original.name)
        return original, hash_if_changed(original, transforms, config.seed, earlier)

    hashes: list[OriginalHashes] = []
    n_hashed = 0
    with (
        journal,
        closing(parallel.ordered_map(task, dataset, max_workers=max_workers)) as results,
        parallel.progress_bar(progress, dataset, "originals") as bar,
    ):
        for original, result in results:
            if result.digest and result is not known.get(original.name):
                folder.check_versions()
                if result.permanent:
                    journal.append(_record(original.name, result))
                n_hashed += 1
            hashes.append(result)
            bar.update()
    names = [original.name for original in dataset]
    _check_enough(folder, names, hashes)
    stored = _write(folder, names, hashes)
    journal.delete()
    return stored, n_hashed


def stored_hashes(folder: RunFolder) -> StoredHashes:
    """Return what an earlier run hashed, from its file alone.

    Raises
    ------
    FileError
        The file is missing or damaged, or is that of another run.
    """
    content, hashed, records = _read(folder)
    inputs: dict[str, str | None] = dict(zip(hashed.names, hashed.digests, strict=True))
    errors: dict[str, dict[int, str]] = {}
    for record in records:
        inputs.setdefault(record.name, record.digest or None)
        errors.setdefault(record.name, {})[record.transform] = record.reason
    if inputs == folder.inputs:  # in the order of the originals
        inputs = folder.inputs
    return StoredHashes(hashed, sha256(content).hexdigest(), inputs, errors)


def _journal(folder: RunFolder) -> RecordLog[_Record]:
    return RecordLog(folder.path(JOURNAL), "hashes of an evaluation", 1, _Record, FileError)


def _record(name: str, hashes: OriginalHashes) -> _Record:
    limit = pixel_limit() if hashes.errors else None
    content, detail = hashes.hashes.tobytes(), hashes.detail.tolist()
    return _Record(name, hashes.digest, limit, content, detail, hashes.errors)


def _known_hashes(folder: RunFolder, n_transforms: int) -> dict[str, OriginalHashes]:
    """Return the hashes in the folder that need not be made again, by the name of the original."""
    known: dict[str, OriginalHashes] = {}
    if os.path.exists(folder.path(HASHES)):
        _, hashed, records = _read(folder)
        hashes = np.concatenate([hashed.hashes[:, None], hashed.variants], axis=1)
        detail = np.concatenate([hashed.detail[:, None], hashed.variants_detail], axis=1)
        for row, (name, digest) in enumerate(zip(hashed.names, hashed.digests, strict=True)):
            known[name] = OriginalHashes(digest, hashes[row], detail[row])
        for record in records:
            if record.transform == ORIGINAL:
                known[record.name] = OriginalHashes.failed(
                    n_transforms, record.digest, record.reason
                )
            else:
                known[record.name].errors[record.transform] = record.reason
        for name in {record.name for record in records if not record.would_recur()}:
            del known[name]
    shape = 1 + n_transforms
    for line in _journal(folder).records():
        if len(line.detail) == shape and len(line.hashes) == shape * HASH_BYTES:
            hashes = np.frombuffer(line.hashes, np.uint8).reshape(shape, HASH_BYTES)
            if not line.errors or line.limit == pixel_limit():
                known[line.name] = OriginalHashes(
                    line.digest, hashes, np.array(line.detail), line.errors
                )
    return known


def _check_enough(
    folder: RunFolder, names: Sequence[str], hashes: Sequence[OriginalHashes]
) -> None:
    reasons = [
        f" ({printable(name)}: {result.errors[ORIGINAL]})"
        for name, result in zip(names, hashes, strict=True)
        if ORIGINAL in result.errors
    ]
    if len(names) - len(reasons) < 2:
        raise FileError(
            folder.folder,
            f"nothing is written: of {len(names)} originals fewer than two could be "
            f"hashed{''.join(reasons[:1])}; check originals in the configuration",
        )


def _write(
    folder: RunFolder, names: Sequence[str], hashes: Sequence[OriginalHashes]
) -> StoredHashes:
    """Write ``hashes.npz``, of which `HashTable.load` reads the originals, and return it."""
    good = [row for row, result in enumerate(hashes) if ORIGINAL not in result.errors]
    all_hashes = np.stack([hashes[row].hashes for row in good])
    detail = np.stack([hashes[row].detail for row in good])
    hashed = VariantHashes(
        tuple(names[row] for row in good),
        tuple(hashes[row].digest for row in good),
        _transforms(folder),
        np.ascontiguousarray(all_hashes[:, 0]),
        np.ascontiguousarray(detail[:, 0]),
        all_hashes[:, 1:],
        ~np.isnan(detail[:, 1:]),
        np.ascontiguousarray(detail[:, 1:]),
    )
    limit = pixel_limit()
    records = [
        _ErrorRecord(name, number, reason, result.digest, result.permanent, limit)
        for name, result in zip(names, hashes, strict=True)
        for number, reason in sorted(result.errors.items())
    ]
    failures = [[one.name, one.reason] for one in records if one.transform == ORIGINAL]
    members: dict[str, NDArray[Any]] = {
        "paths": npz.pack_texts(hashed.names),
        "failures": npz.pack_texts([json.dumps(failures)]),
        "digests": npz.pack_texts(hashed.digests),
        "transforms": npz.pack_texts(hashed.transforms),
        **{name: getattr(hashed, name) for name in _ARRAYS},
        "errors": npz.pack_texts([json.dumps(records)]),
        "hashing": npz.pack_texts([canonical(folder.hashing)]),
    }
    content = npz.pack(members)
    digest = sha256(content).hexdigest()
    path = folder.path(HASHES)
    if not os.path.exists(path) or digest != folder.digest(HASHES):
        files.write([(path, [content])], FileError)
    inputs = {name: result.digest or None for name, result in zip(names, hashes, strict=True)}
    errors = {name: result.errors for name, result in zip(names, hashes, strict=True)}
    return StoredHashes(hashed, digest, inputs, errors)


def _transforms(folder: RunFolder) -> tuple[str, ...]:
    return tuple(folder.hashing["variants"]["transforms"])


def _read(folder: RunFolder) -> tuple[bytes, VariantHashes, list[_ErrorRecord]]:
    """Return ``hashes.npz``, and what is in it, once it is known to be this run's."""
    path = folder.path(HASHES)
    content = files.read(path, FileError)
    members = npz.unpack(path, content, (*_ARRAYS, *_TEXTS))
    names, digests, transforms, hashing, _, errors = (
        npz.unpack_texts(members[name]) for name in _TEXTS
    )
    if hashing != (canonical(folder.hashing),) or transforms != _transforms(folder):
        # It was copied from the folder of another run.
        try:
            (text,) = hashing
            differing = folder.differing(json.loads(text)) or ["variants"]
        except (ValueError, AttributeError):
            differing = ["configuration"]
        raise FileError(
            path,
            f"is of a run with {differences(differing)}; delete it to hash anew, or put this "
            "run's own file back",
        )
    hashed = VariantHashes(names, digests, transforms, *(members[name] for name in _ARRAYS))
    return content, hashed, [_ErrorRecord(*values) for values in json.loads(errors[0])]
