"""The originals of a run: where they are, their halves, and which of them show the same."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from photodna_nb import checks, files, folders
from photodna_nb.corpus.datasets import Dataset, FileOriginal, Original, from_sources
from photodna_nb.corpus.transforms import seed_for
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_originals import DirectoryOriginals, ListOriginals
from photodna_nb.evaluation.config_sections import PairsConfig, named_digest
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.run_folder import is_finished, is_run
from photodna_nb.printable import printable

# L2 distance up to which two originals are suspected to be duplicates.
SUSPECTED_DISTANCE = 100


def find_originals(config: Config, run_dir: str, config_path: str | None = None) -> Dataset | None:
    """Return the originals, or None if they are gone and an earlier run has hashed them all.

    Parameters
    ----------
    config : Config
        Says where they are.
    run_dir : str
        Folder of the run.
    config_path : str, optional
        File of the configuration.

    Raises
    ------
    FileError
        The originals cannot be found.

    Notes
    -----
    In a folder of originals, what this run or others wrote is left out, and so are the file
    of the configuration and those that it names. Other thresholds or other pairs need nothing but
    the hashes, wherever the folder of the run was taken.
    """
    finished, parts = is_finished(run_dir), {}
    key = config.privacy.key_file
    named = (config_path, key and os.path.join(config.base, key), *config.files().values())
    own = [path for path in named if path]
    for name, source in config.sources.items():
        try:
            dataset = source.dataset(config.base)
            if isinstance(source, DirectoryOriginals):
                top = os.path.realpath(os.path.join(config.base, source.path))
                dataset = _without_runs(dataset, top, run_dir, own)
        except FileError:
            if finished:
                return None
            raise
        if isinstance(source, ListOriginals) and finished:
            paths = (original.path for original in dataset if isinstance(original, FileOriginal))
            if not any(map(os.path.exists, paths)):
                return None
        parts[name] = dataset
    return parts[""] if "" in parts else from_sources(parts)


def _without_runs(dataset: Dataset, top: str, run_dir: str, paths: Iterable[str]) -> Dataset:
    """Return the files in the folder `top` that neither a run nor the user wrote for a run."""
    own = os.path.realpath(run_dir)
    given = set()
    for path in paths:  # it may be a link in the folder, or one into the folder
        folder, name = os.path.split(path)
        given |= {os.path.realpath(path), os.path.join(os.path.realpath(folder), name)}

    @cache
    def belongs_to_run(folder: str) -> bool:
        # The originals' own folder was chosen by name; those in it were not.
        return folder != top and (folder == own or is_run(folder))

    def is_original(original: Original) -> bool:
        parents = itertools.accumulate(original.name.split("/")[:-1], os.path.join, initial=top)
        in_run = any(map(belongs_to_run, parents))
        return not in_run and folders.below(top, original.name) not in given

    originals = tuple(filter(is_original, dataset))
    if not originals:
        raise FileError(
            top, "holds nothing but what runs wrote, and the configuration; check the path"
        )
    return Dataset(dataset.description, originals)


def validation_half(
    names: Sequence[str], seed: int, groups: Sequence[str] = ()
) -> NDArray[np.bool_]:
    """Return which originals are in the validation half, by name and seed alone, (n,).

    Originals of one group are in one half, by the name of the group.
    """
    keys = [group or name for group, name in zip(groups or [""] * len(names), names, strict=True)]
    return np.array([seed_for(seed, key, "half") % 2 == 1 for key in keys], bool)


def file_digests(config: Config) -> dict[str, str]:
    """Return the SHA-256 of the files that a configuration names beside images, by their keys.

    Those that are gone, and whose hashes an earlier run has, are left out.
    """
    return {
        key: sha256(files.read(path, FileError)).hexdigest()
        for key, path in sorted(config.files().items())
        if os.path.exists(path)
    }


def unknown_original(name: str, known: Collection[str], where: str = "") -> str:
    """Return what is wrong with a name that is none of the originals, and what to do."""
    remedy = checks.suggestion(name, known) or "names are as the results list them"
    return f"no original{where} is called {printable(name)}; {printable(remedy)}"


def check_names(
    listed: Mapping[str, Iterable[str]],
    names: Iterable[str],
    digests: Iterable[str | None] | None = None,
    where: str = "",
) -> None:
    """Raise an ArgumentError if a name, or a digest if these are known, is none of an original.

    Parameters
    ----------
    listed : dict of str to iterable of str
        Names, or ``sha256:`` and digests, by the key of the configuration that lists them.
    names, digests : iterable of str
        Names and digests of all originals.
    where : str
        Which originals these are, if not all, for the message.
    """
    known, known_digests = set(names), None if digests is None else set(digests)
    for key, own in listed.items():
        for name in sorted(set(own)):
            digest = named_digest(name)
            if digest is None and name not in known:
                raise ArgumentError(f"{key}: {unknown_original(name, known, where)}")
            if digest and known_digests is not None and digest not in known_digests:
                raise ArgumentError(
                    f"{key}: no original{where} has the digest sha256:{digest}; take it from "
                    "sha256sum, or from inputs in the manifest.json of a run"
                )


def left_out(pairs: PairsConfig, names: Sequence[str], digests: Sequence[str]) -> NDArray[np.bool_]:
    """Return which originals are in no pair, by name or by ``sha256:`` and digest, (n,)."""
    rows = _rows_by_key(pairs.leave_out, names, digests)
    result = np.zeros(len(names), bool)
    result[list(itertools.chain(*rows.values()))] = True
    return result


def check_detail(pairs: PairsConfig, detail: NDArray[np.float64]) -> None:
    """Raise an ArgumentError if low detail is to be left out, and no detail is known."""
    if pairs.exclude_below_detail and np.isnan(detail).all():
        raise ArgumentError(
            f"pairs.exclude_below_detail: got {pairs.exclude_below_detail:g}, and the detail of no "
            "original is known; add a column detail to the table of hashes, or set it to 0"
        )


def duplicate_pairs(
    groups: Iterable[Sequence[str]], names: Sequence[str], digests: Sequence[str]
) -> list[tuple[int, int]]:
    """Return the rows of all pairs within groups of names, or of ``sha256:`` and a digest.

    A digest stands for every original that has it. A name or digest of no original is
    left out.
    """
    groups = list(groups)
    rows = _rows_by_key(itertools.chain(*groups), names, digests)
    pairs: list[tuple[int, int]] = []
    for group in groups:
        members = dict.fromkeys(itertools.chain(*(rows[key] for key in group)))
        pairs += itertools.combinations(members, 2)
    return pairs


def _rows_by_key(
    keys: Iterable[str], names: Sequence[str], digests: Sequence[str]
) -> dict[str, list[int]]:
    """Return the rows of the originals that have each name, or ``sha256:`` and each digest."""
    rows: dict[str, list[int]] = {key: [] for key in keys}
    for row, (name, digest) in enumerate(zip(names, digests, strict=True)):
        for key in (name if named_digest(name) is None else "", f"sha256:{digest}"):
            if key in rows:
                rows[key].append(row)
    return rows


def configuration_name(name: str, digest: str) -> str:
    """Return the text for an original in ``exclude`` that a TOML file can hold.

    That is its name, or ``sha256:`` and its digest if the name is no UTF-8 text, or looks
    like a digest itself.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return f"sha256:{digest}"
    return f"sha256:{digest}" if named_digest(name) else name


def suspected_duplicates(counts: PairCounts) -> list[list[int]]:
    """Return groups of originals, by row, linked by distances of at most `SUSPECTED_DISTANCE`."""
    nearest = counts.nearest
    if counts.hasher != PHOTODNA:  # the distance says nothing of other hashes
        return []
    linked = (nearest.transform < 0) & (nearest.distance_squared <= SUSPECTED_DISTANCE**2)
    i, j = nearest.i[linked], nearest.j[linked]
    links = coo_array((np.ones(len(i)), (i, j)), (len(counts), len(counts)))
    _, group = connected_components(links, directed=False)
    members: dict[int, list[int]] = {}
    for row in np.unique(np.r_[i, j]).tolist():
        members.setdefault(int(group[row]), []).append(row)
    return list(members.values())
