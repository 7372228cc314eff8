"""The hashes of a run: made for originals that are new or have changed, and kept in its folder.

While a run goes on, each original is a record of the journal. At its end, ``hashes.npz``
has all of them, and the journal is deleted.
"""

from __future__ import annotations

import json
import math
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
    known = _known_hashes(folder)
    journal = _journal(folder)

    def task(original: Original) -> OriginalHashes:
        return hash_if_changed(original, transforms, config.seed, known.get(original.name))

    results: list[OriginalHashes] = []
    n_hashed = 0
    with (
        journal,
        closing(parallel.ordered_map(task, dataset, max_workers=max_workers)) as stream,
        parallel.progress_bar(progress, dataset, "originals") as bar,
    ):
        for result in stream:
            if result.digest and result is not known.get(result.name):
                folder.check_versions()
                if result.permanent:
                    journal.append(result)
                n_hashed += 1
            results.append(result)
            bar.update()
    stored = _write(folder, results)
    journal.delete()
    return stored, n_hashed


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
                result = msgspec.structs.replace(
                    result, hashes=known[result.name].hashes, detail=known[result.name].detail
                )
            known[result.name] = result
    n_hashes = 1 + len(folder.hashing["variants"]["transforms"])
    known |= {
        result.name: result
        for result in _journal(folder).records()
        if (len(result.detail), len(result.hashes)) == (n_hashes, n_hashes * HASH_BYTES)
    }
    return {name: result for name, result in known.items() if result.is_final}


def _write(folder: RunFolder, results: Sequence[OriginalHashes]) -> StoredHashes:
    """Write ``hashes.npz``, of which `HashTable.load` reads the originals, and return it."""
    good = [result for result in results if ORIGINAL not in result.errors]
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
    detail = np.array([result.detail for result in good])
    hashed = VariantHashes(
        tuple(result.name for result in good),
        tuple(result.digest for result in good),
        _transforms(folder),
        np.ascontiguousarray(hashes[:, 0]),
        np.ascontiguousarray(detail[:, 0]),
        hashes[:, 1:],
        ~np.isnan(detail[:, 1:]),
        np.ascontiguousarray(detail[:, 1:]),
    )
    errors = [[bad.name, bad.digest, bad.errors, bad.permanent, bad.pixel_limit] for bad in failed]
    members: dict[str, NDArray[Any]] = {
        "paths": npz.pack_texts(hashed.names),
        "failures": npz.pack_texts([json.dumps(failures)]),
        "digests": npz.pack_texts(hashed.digests),
        "transforms": npz.pack_texts(hashed.transforms),
        **{name: getattr(hashed, name) for name in _ARRAYS},
        "errors": npz.pack_texts([json.dumps(errors)]),
        "hashing": npz.pack_texts([canonical(folder.hashing)]),
    }
    packed = npz.pack(members)
    digest = sha256(packed).hexdigest()
    path = folder.path(HASHES)
    if not os.path.exists(path) or digest != folder.digest(HASHES):
        files.write([(path, [packed])], FileError)
    inputs = {result.name: result.digest or None for result in results}
    return StoredHashes(hashed, digest, inputs, {bad.name: bad.errors for bad in failed})


def _transforms(folder: RunFolder) -> tuple[str, ...]:
    return tuple(folder.hashing["variants"]["transforms"])


def _read(folder: RunFolder) -> tuple[bytes, VariantHashes, list[OriginalHashes]]:
    """Return ``hashes.npz``, what is in it, and the originals with errors, of this run alone.

    Of the latter, hashes and detail are zeros and NaN.
    """
    path = folder.path(HASHES)
    content = files.read(path, FileError)
    members = npz.unpack(path, content, (*_ARRAYS, *_TEXTS))
    names, digests, transforms, hashing, _, errors = (
        npz.unpack_texts(members[name]) for name in _TEXTS
    )
    if hashing != (canonical(folder.hashing),) or transforms != _transforms(folder):
        # It was copied from the folder of another run.
        try:
            reason = differences(folder.hashing, json.loads("".join(hashing))) or "other variants"
        except (ValueError, AttributeError):
            reason = "another configuration"
        raise FileError(
            path,
            f"is of a run with {reason}; delete it to hash anew, or put this run's own file back",
        )
    hashed = VariantHashes(names, digests, transforms, *(members[name] for name in _ARRAYS))
    empty = bytes((1 + len(transforms)) * HASH_BYTES), [math.nan] * (1 + len(transforms))
    failed = [
        OriginalHashes(name, digest, *empty, {int(key): one for key, one in reasons.items()}, *rest)
        for name, digest, reasons, *rest in json.loads(errors[0])
    ]
    return content, hashed, failed
