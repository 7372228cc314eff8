"""Hashing the originals of a run and their variants, in the folder of the run.

During a run, each original is a record of the journal. At its end, ``hashes.npz`` has all of them,
and the journal is deleted.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs

from photodna_nb import files, parallel
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.corpus.transforms import parse
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.config_hashers import RunHasher
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.original_hashes import (
    ORIGINAL,
    HasherHashes,
    OriginalHashes,
    hash_original_if_changed,
)
from photodna_nb.evaluation.run_files import HASHES
from photodna_nb.evaluation.run_folder import RunFolder, differences
from photodna_nb.evaluation.variant_hashes import (
    LABELS,
    HashErrors,
    HashesAndErrors,
    StoredHashes,
    VariantHashes,
    pack_hashes,
    unpack_hashes,
)
from photodna_nb.journal import RecordLog
from photodna_nb.printable import printable


class HashingResult(NamedTuple):
    """The hashes of a run, and what was done for them now.

    Attributes
    ----------
    stored : tuple of StoredHashes
        Hashes of all originals by each hasher.
    n_hashed : int
        Number of originals that were hashed now.
    seconds : dict of str to float
        Processor time by the name of the hasher, and of making the images.
    """

    stored: tuple[StoredHashes, ...]
    n_hashed: int = 0
    seconds: Mapping[str, float] = {}

    def with_copies(
        self,
        of_copies: HashingResult,
        attached: Callable[[StoredHashes, StoredHashes], StoredHashes],
    ) -> HashingResult:
        """Return the hashes of originals with those of their copies, as `attached` joins them."""
        seconds = Counter(self.seconds)
        seconds.update(of_copies.seconds)
        return HashingResult(
            tuple(map(attached, self.stored, of_copies.stored)),
            self.n_hashed + of_copies.n_hashed,
            dict(seconds),
        )


def hash_variants(
    config: Config,
    dataset: Dataset,
    folder: RunFolder,
    hashers: Sequence[RunHasher],
    max_workers: int | None = None,
    progress: bool = False,
    executor: Executor | None = None,
) -> HashingResult:
    """Return the hashes of all originals and variants by all hashers.

    Parameters
    ----------
    config : Config
        The configuration.
    dataset : Dataset
        The originals.
    folder : RunFolder
        The folder of the run.
    hashers : sequence of RunHasher
        The hashers of the configuration.
    max_workers, progress, executor
        As `run` takes them.

    Raises
    ------
    FileError
        Fewer than two originals could be hashed, or the folder cannot be written.
    """
    known = _known_hashes(folder)
    journal = _journal(folder)
    digests = {name: result.digest for name, result in known.items()}
    transforms = tuple(map(parse, _transforms(folder)))
    tasks = ((original, digests.get(original.name)) for original in dataset)
    task = partial(hash_original_if_changed, transforms, config.seed, tuple(hashers))
    stream = parallel.ordered_map(task, tasks, max_workers=max_workers, executor=executor)
    results: list[OriginalHashes] = []
    labels: list[tuple[str, ...]] = []
    n_hashed, seconds = 0, Counter[str]()
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
                seconds.update(result.seconds)
            results.append(result)
            labels.append((getattr(original, "group", ""), original.source))
            bar.update()
    stored = _write(folder, results, labels, config.privacy.hashes)
    if config.privacy.hashes:
        journal.delete()
    return HashingResult(stored, n_hashed, dict(seconds))


def forget_hashes(folder: RunFolder) -> None:
    """Delete the hashes in a folder, which a run needs until its results are written."""
    for part in (folder, folder.of_copies()):
        if os.path.lexists(part.path(part.hashes)):
            os.unlink(part.path(part.hashes))
        _journal(part).delete()


def stored_hashes(folder: RunFolder) -> tuple[StoredHashes, ...]:
    """Return what an earlier run hashed by each hasher, from its file alone.

    Raises
    ------
    FileError
        The file is missing or damaged, or is that of another run.
    """
    content, parts = _read(folder)
    inputs: dict[str, str | None] = {}
    for hashed, failed in parts:
        inputs |= zip(hashed.names, hashed.digests, strict=True)
        inputs |= {bad.name: bad.digest or None for bad in failed}
    if inputs == folder.inputs:  # in the order of the originals
        inputs = folder.inputs
    return _stored(content, parts, inputs)


def _stored(
    content: bytes | memoryview, parts: Sequence[HashesAndErrors], inputs: dict[str, str | None]
) -> tuple[StoredHashes, ...]:
    digest = sha256(content).hexdigest()
    return tuple(
        StoredHashes(hashed, digest, inputs, {bad.name: bad.errors for bad in failed})
        for hashed, failed in parts
    )


def _journal(folder: RunFolder) -> RecordLog[OriginalHashes]:
    path = folder.path(folder.journal)
    return RecordLog(path, "hashes of an evaluation", 2, OriginalHashes, FileError)


def _known_hashes(folder: RunFolder) -> dict[str, OriginalHashes]:
    """Return the hashes in the folder that need not be made again, by the name of the original."""
    known: dict[str, OriginalHashes] = {}
    if os.path.exists(folder.path(folder.hashes)):
        known = _originals(_read(folder)[1])
    n_images, hashers = 1 + len(_transforms(folder)), folder.hashers
    known |= {
        result.name: result
        for result in _journal(folder).records()
        if len(result.parts) == len(hashers)
        and all(map(partial(_is_of, n_images), hashers, result.parts))
    }
    return {name: result for name, result in known.items() if result.is_final}


def _is_of(n_images: int, hasher: HasherScale, part: HasherHashes) -> bool:
    """Return whether hashes in a journal can be those of a hasher, and of so many images."""
    return (
        (len(part.detail), len(part.hashes)) == (n_images, n_images * hasher.length)
        and not (hasher.metric == "hamming" and part.hashes.strip(b"\0\1"))
        and all(ORIGINAL <= number < n_images + ORIGINAL for number in part.errors)
    )


def _originals(parts: Sequence[HashesAndErrors]) -> dict[str, OriginalHashes]:
    """Return the originals of ``hashes.npz``, as far as each hasher has hashes or errors of it."""
    about: dict[str, HashErrors] = {}
    hashes_of: list[dict[str, HasherHashes]] = []
    for hashed, failed in parts:
        hashes = np.concatenate([hashed.hashes[:, None], hashed.variants], axis=1)
        detail = np.concatenate([hashed.detail[:, None], hashed.variants_detail], axis=1).tolist()
        of_part = {
            name: HasherHashes(hashes[row].tobytes(), detail[row])
            for row, name in enumerate(hashed.names)
        }
        none = HasherHashes(bytes(hashes[0].size), [math.nan] * hashes.shape[1])
        for bad in failed:
            of_part[bad.name] = structs.replace(of_part.get(bad.name, none), errors=bad.errors)
        hashes_of.append(of_part)
        of_names = zip(hashed.names, hashed.digests, strict=True)
        about = {name: HashErrors(name, digest, {}) for name, digest in of_names} | about
        about |= {bad.name: bad for bad in failed}
    known = {}
    for name, bad in about.items():
        if all(name in of_part for of_part in hashes_of):
            first, *others = (of_part[name] for of_part in hashes_of)
            known[name] = OriginalHashes(
                name,
                bad.digest,
                first.hashes,
                first.detail,
                first.errors,
                bad.permanent,
                bad.pixel_limit,
                tuple(others),
            )
    return known


def _write(
    folder: RunFolder,
    results: Sequence[OriginalHashes],
    labels: Sequence[tuple[str, ...]],
    keep: bool,
) -> tuple[StoredHashes, ...]:
    """Write ``hashes.npz``, and return what is in it.

    `labels` has the group and the source of each original; `keep`: whether it is written.
    """
    parts = [_results_of(folder, results, labels, number) for number in range(len(folder.hashers))]
    packed = pack_hashes(parts, canonical(folder.hash_settings))
    path = folder.path(folder.hashes)
    inputs = {result.name: result.digest or None for result in results}
    stored = _stored(packed, parts, inputs)
    if keep and (not os.path.exists(path) or stored[0].digest != folder.digest(folder.hashes)):
        files.write([(path, [packed])], FileError)
    return stored


def _results_of(
    folder: RunFolder,
    results: Sequence[OriginalHashes],
    labels: Sequence[tuple[str, ...]],
    number: int,
) -> HashesAndErrors:
    """Return the hashes of one of the hashers."""
    hasher = folder.hashers[number]
    parts = [result.parts[number] for result in results]
    failed = [
        HashErrors(result.name, result.digest, part.errors, result.permanent, result.pixel_limit)
        for result, part in zip(results, parts, strict=True)
        if part.errors
    ]
    good = [row for row, part in enumerate(parts) if ORIGINAL not in part.errors]
    if len(good) < 2 and folder.hashes == HASHES:
        by = f" by {hasher.name}" if len(folder.hashers) > 1 else ""
        reasons = [bad for bad in failed if ORIGINAL in bad.errors][:1]
        why = "".join(f" ({printable(bad.name)}: {bad.errors[ORIGINAL]})" for bad in reasons)
        raise FileError(
            folder.folder,
            f"nothing is written: of {len(results)} originals fewer than two could be "
            f"hashed{by}{why}; check originals in the configuration",
        )
    columns = zip(LABELS, zip(*(labels[row] for row in good), strict=True), strict=False)
    labels_of: dict[str, Any] = {name: own for name, own in columns if any(own)}
    content = np.frombuffer(b"".join(parts[row].hashes for row in good), np.uint8)
    shape = len(good), 1 + len(_transforms(folder))
    hashes = content.reshape(*shape, hasher.length)
    detail = np.array([parts[row].detail for row in good], np.float64).reshape(shape)
    # A hasher without a quality has none of any image.
    available = ~np.isnan(detail[:, 1:]) | (not hasher.quality)
    for place, row in enumerate(good):
        available[place, list(parts[row].errors)] = False
    hashed = VariantHashes(
        tuple(results[row].name for row in good),
        tuple(results[row].digest for row in good),
        _transforms(folder),
        np.ascontiguousarray(hashes[:, 0]),
        np.ascontiguousarray(detail[:, 0]),
        hashes[:, 1:],
        available,
        np.ascontiguousarray(detail[:, 1:]),
        hasher,
        **labels_of,
    )
    return HashesAndErrors(hashed, failed)


def _transforms(folder: RunFolder) -> tuple[str, ...]:
    return tuple(folder.hash_settings["variants"]["transforms"])


def _read(folder: RunFolder) -> tuple[bytes, list[HashesAndErrors]]:
    """Return ``hashes.npz`` and what is in it, of this run alone."""
    path = folder.path(folder.hashes)
    content = files.read(path, FileError)
    parts: list[HashesAndErrors] = []
    for number, hasher in enumerate(folder.hashers):
        part, hashing = unpack_hashes(path, content, hasher, number == 0)
        parts.append(part)
        transforms = part.hashed.transforms
        if hashing != canonical(folder.hash_settings) or transforms != _transforms(folder):
            raise _of_another_run(path, folder.hash_settings, hashing)
    return content, parts


def _of_another_run(path: str, hash_settings: Mapping[str, Any], hashing: str) -> FileError:
    """Return the error of a file that was copied from the folder of another run."""
    try:
        reason = differences(hash_settings, json.loads(hashing)) or "other variants"
    except (ValueError, AttributeError):
        reason = "another configuration"
    return FileError(
        path, f"is of a run with {reason}; delete it to hash anew, or put this run's own file back"
    )
