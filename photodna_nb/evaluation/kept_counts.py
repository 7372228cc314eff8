"""The counts in the folder of a run: whether they are those that a configuration asks for.

Of a run whose hashes are not kept (``privacy.hashes = false``), they are all that is left.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from photodna_nb import files, parallel
from photodna_nb.corpus.datasets import Original
from photodna_nb.errors import FileError, ImageError
from photodna_nb.evaluation import variant_files
from photodna_nb.evaluation.categories import original_labels
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.labelled_pairs import LabelledPairs
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.results import Results
from photodna_nb.evaluation.run_files import COUNTS, HASHES, JOURNAL, hasher_file
from photodna_nb.evaluation.run_folder import RunFolder
from photodna_nb.evaluation.run_inputs import RunInputs

# Version of the counts: those of another version are counted anew.
_COUNTING = 5


def counts_key(
    config: Config,
    hashes_digest: str,
    labels: Mapping[str, Sequence[str]],
    labelled: LabelledPairs | None,
    hasher: str = "",
) -> str:
    """Return the key of the counts of these hashes and pairs, by that hasher or by the first."""
    values: list[Any] = [_COUNTING, hashes_digest, config.pair_settings()]
    if labels:
        values.append(labels)
    if labelled is not None:
        values.append(labelled.pairs)
    if not config.privacy.hashes:
        values.append(_detail_limits(config))
    if hasher:
        values.append(hasher)
    return sha256(canonical(values).encode("ascii")).hexdigest()


def without_hashes(counts: PairCounts, config: Config) -> PairCounts:
    """Return the counts without hashes; of each detail, they tell between which limits it is."""
    limits = np.array(_detail_limits(config))
    detail = limits[np.searchsorted(limits, counts.detail, side="right") - 1]
    detail[np.isnan(counts.detail)] = np.nan
    return replace(counts, detail=detail, hash_sample=counts.hash_sample[:0])


def _detail_limits(config: Config) -> list[float]:
    limits = *config.detail.bins, config.detail.warn_below, config.pairs.exclude_below_detail
    return sorted({0.0, *map(float, limits)})


def counted_before(
    given: RunInputs, folder: RunFolder, max_workers: int, executor: Executor | None
) -> Results | None:
    """Return the results in a folder without hashes, if they are of these pairs and originals.

    None if the originals are to be hashed.

    Raises
    ------
    FileError
        They are to be hashed, and are not there.
    """
    config, dataset = given.config, given.dataset
    digest = folder.not_kept.get(HASHES)
    if digest is None or os.path.exists(folder.path(JOURNAL)):
        return None
    earlier, reason = None, ""
    try:
        results = Results.load(folder.folder)
        for number, one in enumerate(results.hashers.values()):
            counts, name = one.counts, one.hasher.name if number else ""
            partition = counts.partitions.get("sources")
            sources = [partition.names[own] for own in partition.number] if partition else ()
            labels = original_labels(given.categories, counts.names, counts.digests, sources)
            own_config = config.of_hasher(one.listed, one.hasher)
            key = counts_key(own_config, digest, labels, given.labelled, name)
            path = folder.path(hasher_file(name, COUNTS) if name else COUNTS)
            PairCounts.unpacked(path, files.read(path, FileError), key)
        if folder.files.get(variant_files.KEY) != given.digests.get(variant_files.KEY):
            raise FileError(folder.folder, f"{variant_files.KEY} is another list")
        earlier = results
    except FileError as error:
        reason = error.reason
    if dataset is None:
        if earlier is None:
            raise FileError(
                folder.folder,
                "its hashes were not kept (privacy.hashes), and its counts cannot be used "
                f"({reason}); give the originals, so that they are hashed again, or the same pairs",
            )
        return earlier
    if earlier is None or config.privacy.hashes:
        return None
    for images, name in ((dataset, "inputs"), (given.copy_files or (), "copies")):
        found = parallel.ordered_map(_digest, images, max_workers=max_workers, executor=executor)
        if dict(found) != earlier.manifest.get(name, {}):
            return None
    return earlier


def _digest(original: Original) -> tuple[str, str | None]:
    try:
        return original.name, original.digest()
    except ImageError:
        return original.name, None
