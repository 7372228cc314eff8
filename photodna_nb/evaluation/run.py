"""An evaluation from its configuration to the results in a folder: the list of its steps."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import checks, files, parallel
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation.categories import original_labels
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_hashers import RunHasher
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.deployment import choose_thresholds
from photodna_nb.evaluation.hasher_comparison import comparison_tables
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.influence import measure_influence
from photodna_nb.evaluation.kept_counts import counted_before, counts_key, without_hashes
from photodna_nb.evaluation.labelled_pairs import count_labelled
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import estimate_run
from photodna_nb.evaluation.results import Results, write_results
from photodna_nb.evaluation.run_files import COUNTS, HASHES, hasher_file, write
from photodna_nb.evaluation.run_folder import RunFolder, open_run
from photodna_nb.evaluation.run_hashes import (
    HashingResult,
    forget_hashes,
    hash_variants,
    stored_hashes,
)
from photodna_nb.evaluation.run_inputs import RunInputs, read_inputs
from photodna_nb.evaluation.run_originals import (
    check_detail,
    duplicate_pairs,
    left_out,
    suspected_duplicates,
    validation_half,
)
from photodna_nb.evaluation.summary import build_summary
from photodna_nb.evaluation.tables import build_tables
from photodna_nb.evaluation.thumbnails import ThumbnailFiles, make_thumbnails
from photodna_nb.evaluation.variant_hashes import StoredHashes, VariantFailure
from photodna_nb.files import PathLike
from photodna_nb.processors import available_processors


def run(
    config: Config | PathLike,
    run_dir: PathLike,
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Results:
    """Run an evaluation, write its results to a folder, and return them.

    Parameters
    ----------
    config : Config, str or os.PathLike
        The configuration, or the TOML file that has it.
    run_dir : str or os.PathLike
        It is created if it is missing. In the folder of an interrupted run, the run continues.
        In the folder of a finished run with the same originals, transforms and seed, only new
        and changed originals are hashed, and pairs are counted again only if `config` selects
        other pairs.
    max_workers : int, optional
        Threads, the number of processors if left out; the results are the same.
    executor : concurrent.futures.Executor, optional
        Where images are hashed, pairs counted and rates estimated instead of on threads: a process
        pool, or a Dask cluster's ``client.get_executor()``. Its workers must see the originals
        under the same paths. `max_workers` is the number of workers that it is taken to have then.
    progress : bool
        Whether to show a progress bar, in a terminal or a notebook.

    Returns
    -------
    Results
        Also in the folder: see its documentation.

    Raises
    ------
    FileError
        The configuration or the originals cannot be read, fewer than two originals could be
        hashed, or the folder belongs to another run or cannot be written.
    ResourceError
        A worker of a process pool was killed. What was hashed is kept: the same call with another
        executor continues.
    ArgumentTypeError, ArgumentError
        An argument has another type or value, or a name or digest in ``pairs.duplicates``,
        ``pairs.leave_out`` or the file of categories is none of an original.

    Notes
    -----
    Images that cannot be read or transformed are listed as failures, and the run goes on.
    In a folder of originals, folders of runs are left out, and so is the file of `config`.
    If the originals are missing, and an earlier run in the folder has hashed all of them, its
    hashes are used: ``manifest["this_run"]["originals_available"]`` is false then.
    Each original is opened once and transformed in memory. Memory grows with the hashes
    (144 bytes a variant), not with the pairs.
    """
    config_path = None
    if isinstance(config, str | os.PathLike):
        config_path, config = os.fspath(config), Config.load(config)
    if not isinstance(config, Config):
        needed = "a Config, or the path of a TOML file"
        remedy = "Config.from_dict makes one of a dict"
        raise ArgumentTypeError(checks.message("config", checks.describe(config), needed, remedy))
    run_dir = checks.path("run_dir", run_dir)
    workers = parallel.worker_count(max_workers, executor)
    started = time.time()

    named = config.files().keys()
    given = read_inputs(config, run_dir, config_path)
    config, dataset = given.config, given.dataset
    hashers = config.hashers()
    versions = {one.scale.name: one.hasher.version for one in hashers if one.scale != PHOTODNA}
    with open_run(run_dir, config.hash_settings(hashers), versions) as folder:
        counted = _earlier(given, folder, workers, executor) or _count(
            given, hashers, folder, workers, executor, progress
        )
        found, pictures = _describe(given, hashers, counted, folder, workers, executor)
        this_run = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 3),
            "host": "" if config.privacy.names == "digest" else platform.node(),
            "system": platform.platform(),
            "processors": available_processors(),
            "threads": workers,
            "executor": None if executor is None else type(executor).__qualname__,
            "originals_hashed": counted.hashing.n_hashed,
            "originals_available": dataset is not None,
            "base": "" if config.privacy.names == "digest" else os.path.abspath(config.base),
        }
        if len(hashers) > 1:
            seconds = {name: round(value, 3) for name, value in counted.hashing.seconds.items()}
            this_run["processor_seconds"] = seconds
        digests = {name: folder.files[name] for name in named & folder.files.keys()}
        results = write_results(
            folder,
            config,
            found,
            counted.inputs,
            counted.copy_inputs,
            pictures,
            {**digests, **given.digests},
            counted.hashes_digest,
            this_run,
        )
        if not config.privacy.hashes:
            forget_hashes(folder)
        return results


class _Counted(NamedTuple):
    """The counts of a run, and what they were counted of.

    Attributes
    ----------
    of_hashers : list of (PairCounts, list of VariantFailure)
        Counts and failures of each hasher.
    inputs, copy_inputs : dict of str to str or None
        SHA-256 of each original, and of each copy on disk, by name.
    hashes_digest : str
        SHA-256 of the file of the hashes.
    hashing : HashingResult
        What was hashed now.
    """

    of_hashers: list[tuple[PairCounts, list[VariantFailure]]]
    inputs: Mapping[str, str | None]
    copy_inputs: Mapping[str, str | None]
    hashes_digest: str
    hashing: HashingResult = HashingResult(())


def _earlier(
    given: RunInputs, folder: RunFolder, workers: int, executor: Executor | None
) -> _Counted | None:
    """Return the counts in a folder without hashes, if they are those that are asked for."""
    earlier = counted_before(given, folder, workers, executor)
    if earlier is None:
        return None
    manifest = earlier.manifest
    of_hashers = [(one.counts, one.failures) for one in earlier.hashers.values()]
    copies = manifest.get("copies", {})
    return _Counted(of_hashers, manifest["inputs"], copies, folder.not_kept[HASHES])


def _count(
    given: RunInputs,
    hashers: Sequence[RunHasher],
    folder: RunFolder,
    workers: int,
    executor: Executor | None,
    progress: bool,
) -> _Counted:
    """Hash what is not hashed yet, and count the pairs."""
    config, options = given.config, (workers, progress, executor)

    def hashed(dataset: Dataset | None, part: RunFolder) -> HashingResult:
        if dataset is None:
            return HashingResult(stored_hashes(part))
        return hash_variants(config, dataset, part, hashers, *options)

    hashing = hashed(given.dataset, folder)
    inputs, hashes_digest = hashing.stored[0].inputs, hashing.stored[0].digest
    copy_inputs: Mapping[str, str | None] = {}
    if given.copies is not None:
        copy_files = None if given.dataset is None else given.copy_files
        of_copies = hashed(copy_files, folder.of_copies())
        copy_inputs = of_copies.stored[0].inputs
        hashing = hashing.with_copies(of_copies, given.copies.attached)
        if not config.privacy.hashes:
            hashes_digest = hashing.stored[0].digest
    given.check_hashed(inputs)
    low_detail = _low_detail(config, hashing.stored)
    of_hashers = []
    for one, hashes in zip(hashers, hashing.stored, strict=True):
        own = given._replace(config=config.of_hasher(one.listed, one.scale))
        counts = _count_pairs(own, hashes, low_detail, folder, workers, executor)
        of_hashers.append((counts, hashes.failures()))
    return _Counted(of_hashers, inputs, copy_inputs, hashes_digest, hashing)


def _describe(
    given: RunInputs,
    hashers: Sequence[RunHasher],
    counted: _Counted,
    folder: RunFolder,
    workers: int,
    executor: Executor | None,
) -> tuple[list[HasherResults], list[ThumbnailFiles]]:
    """Return the results and the pictures of each hasher."""
    found: list[HasherResults] = []
    pictures: list[ThumbnailFiles] = []
    for one, (counts, failures) in zip(hashers, counted.of_hashers, strict=True):
        own = given.config.of_hasher(one.listed, one.scale)
        estimates = estimate_run(counts, own, executor)
        thresholds = choose_thresholds(own, estimates)
        duplicates = suspected_duplicates(counts)
        influence = measure_influence(own, counts, estimates.all_originals, workers)
        of_this = make_thumbnails(
            counts,
            duplicates,
            influence.shown,
            given.dataset,
            given.copy_files,
            own,
            folder,
            workers,
        )
        pictures.append(of_this)
        n_failed = sum(failure.transform is None for failure in failures)
        n_left_out = len(counted.inputs) - n_failed - len(counts)
        summary = build_summary(own, counts, failures, estimates, thresholds, influence, n_left_out)
        tables = build_tables(
            own,
            counts,
            failures,
            estimates,
            thresholds,
            duplicates,
            influence,
            of_this.names,
        )
        found.append(HasherResults(one.listed, own, counts, failures, summary, tables, estimates))
    found[0].tables.update(comparison_tables(given.config, found))
    return found, pictures


def _low_detail(config: Config, stored: Sequence[StoredHashes]) -> set[str]:
    """Return the names of the originals that ``exclude_below_detail`` leaves out, of any hasher."""
    for hashed in (hashes.hashed for hashes in stored):
        if hashed.hasher == PHOTODNA:
            check_detail(config.pairs, hashed.detail)
            return {*compress(hashed.names, hashed.detail < config.pairs.exclude_below_detail)}
    return set()


def _count_pairs(
    given: RunInputs,
    hashes: StoredHashes,
    low_detail: Collection[str],
    folder: RunFolder,
    max_workers: int,
    executor: Executor | None,
) -> PairCounts:
    """Return the counts in the folder, if they are of these hashes and pairs, or count."""
    config, labelled, hashed = given.config, given.labelled, hashes.hashed
    first = hashed.hasher == folder.hashers[0]
    name = COUNTS if first else hasher_file(hashed.hasher.name, COUNTS)
    path = folder.path(name)
    if config.pairs.leave_out:
        hashed = hashed.taken(~left_out(config.pairs, hashed.names, hashed.digests))
        if len(hashed.names) < 2:
            raise ArgumentError(
                f"pairs.leave_out: leaves {len(hashed.names)} of the {len(hashes.hashed.names)} "
                "originals, needs to leave two; name fewer"
            )
    labels = original_labels(given.categories, hashed.names, hashed.digests, hashed.sources)
    key = counts_key(config, hashes.digest, labels, labelled, "" if first else hashed.hasher.name)
    if os.path.exists(path):
        try:
            return PairCounts.unpacked(path, files.read(path, FileError), key)
        except FileError:  # damaged, or of other pairs: either way they are counted
            pass
    options: Any = {
        "detail_bins": config.detail.bins,
        "exclude_below_detail": config.pairs.exclude_below_detail,
        "low_detail": np.array([name in low_detail for name in hashed.names], bool),
    }
    if labelled is not None:
        counts = count_labelled(hashed, labelled.pairs, config.seed, **options)
    else:
        counts = count_pairs(
            hashed,
            validation_half(hashed.names, config.seed, hashed.groups),
            exclude=duplicate_pairs(config.pairs.duplicates, hashed.names, hashed.digests),
            labels=labels,
            variants_against_others=config.pairs.variants_against_others,
            count_identical=config.pairs.count_identical,
            max_workers=max_workers,
            executor=executor,
            **options,
        )
    if not config.privacy.hashes:
        counts = without_hashes(counts, config)
    write(folder.folder, {name: counts.packed(key)})
    return counts
