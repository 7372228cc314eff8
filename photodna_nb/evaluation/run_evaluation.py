"""An evaluation from its configuration to the results in a folder."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, files, parallel
from photodna_nb.checks import describe
from photodna_nb.corpus.datasets import Dataset, FileOriginal, Original
from photodna_nb.corpus.transforms import seed_for
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation import results, thumbnails
from photodna_nb.evaluation.config import Config, DirectoryOriginals, ListOriginals, canonical
from photodna_nb.evaluation.exclusions import excluded_rows, named_digest, suspected_duplicates
from photodna_nb.evaluation.pair_counting import count_pairs
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.results import Results, VariantFailure
from photodna_nb.evaluation.run_folder import RunFolder, StoredHashes, is_finished, is_run
from photodna_nb.evaluation.variant_hashes import ORIGINAL, OriginalHashes, renewed
from photodna_nb.files import PathLike
from photodna_nb.printable import printable

# Of counts, so that those of another way to count are not taken for these.
_COUNTING = 4


def run(
    config: Config | PathLike,
    run_dir: PathLike,
    *,
    max_workers: int | None = None,
    progress: bool = False,
) -> Results:
    """Return what an evaluation finds, once it is written to a folder.

    Parameters
    ----------
    config : Config, str or os.PathLike
        What to do, or the TOML file that says it.
    run_dir : str or os.PathLike
        Made if it is missing. In the folder of a run that was interrupted, the work goes
        on where it stopped. In that of a finished one over the same originals, variants
        and seed, only originals that are new or have changed are hashed, pairs are counted
        anew if other ones are to be, and the results are written for the thresholds that
        `config` has now.
    max_workers : int, optional
        Threads, the number of processors if left out; the results are the same.
    progress : bool
        Whether to show a bar, in a terminal or a notebook.

    Returns
    -------
    Results
        Also in the folder: see its documentation.

    Raises
    ------
    FileError
        The configuration or the originals cannot be read, no two originals could be
        hashed, or the folder belongs to another run or cannot be written.
    ArgumentTypeError, ArgumentError
        An argument has another type or value, or an excluded name or digest is none of an
        original.

    Notes
    -----
    ThumbnailFiles that cannot be read or edited are listed as failures, and the run goes on.
    In a folder of originals, what runs wrote is left out, wherever in it their folders lie,
    and so is the file that `config` is the path of.
    If the originals are not there any more, and an earlier run in the folder has hashed them
    all, its hashes are used: ``manifest["this_run"]["originals_available"]`` is false then.
    Each original is opened once and edited in memory. Memory grows with the hashes
    (144 bytes a variant), not with the pairs.
    """
    path = None
    if isinstance(config, str | os.PathLike):
        path, config = os.fspath(config), Config.load(config)
    if not isinstance(config, Config):
        raise ArgumentTypeError(
            f"config: got {describe(config)}, needs a Config, or the path of a TOML file"
        )
    run_dir = checks.path("run_dir", run_dir)
    workers = parallel.worker_count(max_workers, None)
    started = time.time()
    dataset = _originals_or_nothing(config, run_dir, path)
    edits = [edit.spec for edit in config.variants]
    with RunFolder(run_dir, config.hashing(), edits) as folder:
        if dataset is None:
            found, made_now = folder.finished(), 0
            _check_names(config, found.inputs)
            _check_digests(config, found.inputs.values())
        else:
            found, made_now = _hashed(config, dataset, folder, workers, progress)
        failures = _failures(found.errors, found.inputs, edits)
        counts = _counts(config, found, folder, workers)
        copies = suspected_duplicates(counts)
        shown = thumbnails.make_thumbnails(counts, copies, dataset, config, folder, workers)
        now = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 3),
            "host": platform.node(),
            "system": platform.platform(),
            "processors": parallel.available_processors(),
            "threads": workers,
            "originals_hashed": made_now,
            "originals_available": dataset is not None,
            "base": os.path.abspath(config.base),
        }
        return results.write(config, counts, failures, found.inputs, shown, copies, folder, now)


def _originals_or_nothing(config: Config, run_dir: str, config_path: str | None) -> Dataset | None:
    """Return the originals, or None if they are gone and an earlier run has hashed them all.

    Another threshold, or other pairs, need nothing but the hashes, wherever the folder of
    the run was taken.
    """
    try:
        dataset = _originals(config, run_dir, config_path)
    except FileError:
        if is_finished(run_dir):
            return None
        raise
    files_there = (
        os.path.exists(original.path) for original in dataset if isinstance(original, FileOriginal)
    )
    listed = isinstance(config.originals, ListOriginals)
    return None if listed and is_finished(run_dir) and not any(files_there) else dataset


def _hashed(
    config: Config, dataset: Dataset, folder: RunFolder, workers: int, progress: bool
) -> tuple[StoredHashes, int]:
    """Return the hashes of all originals, and how many of them were hashed now."""
    names = [original.name for original in dataset]
    _check_names(config, names)
    entries, made_now = _entries(config, dataset, folder, workers, progress)
    _check_digests(config, [entry.digest for entry in entries])
    if sum(ORIGINAL not in entry.errors for entry in entries) < 2:
        whys = (
            f" ({printable(name)}: {entry.errors[ORIGINAL]})"
            for name, entry in zip(names, entries, strict=True)
            if ORIGINAL in entry.errors
        )
        raise FileError(
            folder.folder,
            f"nothing is written: of {len(names)} originals fewer than two could be "
            f"hashed{next(whys, '')}; check originals in the configuration",
        )
    return folder.finish(names, entries), made_now


def _originals(config: Config, run_dir: str, config_path: str | None) -> Dataset:
    """Return the originals, without what this run or another one wrote into their folder."""
    dataset = config.dataset()
    if not isinstance(config.originals, DirectoryOriginals):
        return dataset
    top = os.path.realpath(os.path.join(config.base, config.originals.path))
    own = os.path.realpath(run_dir)
    given = set()
    if config_path is not None:  # it may be a link in the folder, or one into the folder
        folder, name = os.path.split(config_path)
        given = {os.path.realpath(config_path), os.path.join(os.path.realpath(folder), name)}

    @cache
    def of_a_run(folder: str) -> bool:
        # The originals' own folder was chosen by name; those in it were not.
        return folder != top and (folder == own or is_run(folder))

    def is_wanted(original: Original) -> bool:
        folders = accumulate(original.name.split("/")[:-1], os.path.join, initial=top)
        return not any(map(of_a_run, folders)) and os.path.join(top, original.name) not in given

    wanted = tuple(filter(is_wanted, dataset))
    if not wanted:
        raise FileError(
            top, "holds nothing but what runs wrote, and the configuration; check the path"
        )
    return Dataset(dataset.description, wanted)


def _entries(
    config: Config, dataset: Dataset, folder: RunFolder, workers: int, progress: bool
) -> tuple[list[OriginalHashes], int]:
    """Return what came of each original, and how many were hashed now."""

    def task(original: Original) -> tuple[Original, OriginalHashes]:
        known = folder.get(original.name)
        return original, renewed(original, config.variants, config.seed, known)

    entries: list[OriginalHashes] = []
    made_now = 0
    with (
        closing(parallel.ordered_map(task, dataset, max_workers=workers)) as each,
        parallel.progress_bar(progress, dataset, "originals") as bar,
    ):
        for original, entry in each:
            if entry.digest and entry is not folder.get(original.name):
                folder.append(original.name, entry)
                made_now += 1
            entries.append(entry)
            bar.update()
    return entries, made_now


def _counts(config: Config, found: StoredHashes, folder: RunFolder, workers: int) -> PairCounts:
    """Return the counts in the folder, if they are of these hashes and pairs, or count."""
    key = sha256(
        canonical([_COUNTING, found.digest, config.counting()]).encode("ascii")
    ).hexdigest()
    path, hashed = folder.path(results.COUNTS), found.hashed
    if os.path.exists(path):
        try:
            return PairCounts.unpacked(path, files.read(path, FileError), key)
        except FileError:  # damaged, or of other pairs: either way they are counted
            pass
    counts = count_pairs(
        hashed,
        validation_half(hashed.names, config.seed),
        detail_bins=config.detail.bins,
        exclude=excluded_rows(config.pairs.exclude, hashed.names, hashed.digests),
        variants_against_others=config.pairs.variants_against_others,
        count_identical=config.pairs.count_identical,
        min_detail=config.pairs.min_detail,
        max_workers=workers,
    )
    files.write([(path, [counts.packed(key)])], FileError)
    return counts


def validation_half(names: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Return which originals are in half B, by their names and the seed alone, (n,)."""
    return np.array([seed_for(seed, name, "half") % 2 == 1 for name in names], bool)


def _failures(
    errors: Mapping[str, Mapping[int, str]], names: Iterable[str], edits: Sequence[str]
) -> list[VariantFailure]:
    return [
        VariantFailure(name, None if number == ORIGINAL else edits[number], text)
        for name in names
        for number, text in sorted(errors.get(name, {}).items())
    ]


def _check_names(config: Config, names: Iterable[str]) -> None:
    """Refuse names that no original has: nothing would be excluded."""
    wanted = {name for name in chain(*config.pairs.exclude) if named_digest(name) is None}
    if not wanted:
        return
    known = set(names)
    for name in sorted(wanted - known):
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]}?" if near else "names are as the results list them"
        raise ArgumentError(
            f"pairs.exclude: no original is called {printable(name)}; {printable(remedy)}"
        )


def _check_digests(config: Config, digests: Iterable[str | None]) -> None:
    """Refuse digests that no original has, now that they are known."""
    wanted = {digest for digest in map(named_digest, chain(*config.pairs.exclude)) if digest}
    unknown = wanted.difference(digests)
    if unknown:
        raise ArgumentError(
            f"pairs.exclude: no original has the digest sha256:{min(unknown)}; take it from "
            "sha256sum, or from inputs in the manifest.json of a run"
        )
