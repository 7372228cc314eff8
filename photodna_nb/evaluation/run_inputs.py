"""What the configuration of a run names: originals, copies, categories and labelled pairs, read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from photodna_nb.corpus.datasets import Dataset
from photodna_nb.evaluation.categories import read_categories
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.labelled_pairs import LabelledPairs, read_labelled
from photodna_nb.evaluation.privacy import name_key
from photodna_nb.evaluation.run_originals import check_names, file_digests, find_originals
from photodna_nb.evaluation.variant_files import CopyFiles, read_copies


class RunInputs(NamedTuple):
    """What a configuration names, with the names that the run writes.

    Attributes
    ----------
    config : Config
        The configuration.
    dataset : Dataset or None
        The originals; None if they are gone, and an earlier run has hashed them all.
    copies : CopyFiles or None
        The list of copies on disk.
    copy_files : Dataset or None
        Those copies.
    categories : dict of str to str, or None
        The category of each original that has one.
    labelled : LabelledPairs or None
        The pairs that a user labelled.
    digests : dict of str to str
        SHA-256 of the files that the configuration names, by their keys.
    names : tuple of str
        Names that the user may give an original, as the files have them and as the run writes them.
    """

    config: Config
    dataset: Dataset | None
    copies: CopyFiles | None
    copy_files: Dataset | None
    categories: Mapping[str, str] | None
    labelled: LabelledPairs | None
    digests: Mapping[str, str]
    names: tuple[str, ...]

    def check_hashed(self, inputs: Mapping[str, str | None]) -> None:
        """Raise an ArgumentError if something names no original among these, by name and digest."""
        listed = _listed(self.config, self.categories)
        # Only those are hashed, so a digest of another original cannot be known from a wrong one.
        where = " in the labelled pairs (others need not be listed)" if self.labelled else ""
        check_names(listed, [*inputs, *self.names], inputs.values(), where)
        if self.labelled is not None:
            self.labelled.check_names(inputs)


def read_inputs(config: Config, run_dir: str, config_path: str | None = None) -> RunInputs:
    """Read what a configuration names, and check the names of originals in it.

    Parameters
    ----------
    config : Config
        The configuration.
    run_dir : str
        Folder of the run.
    config_path : str, optional
        File of the configuration.

    Raises
    ------
    FileError
        A file cannot be read, or the originals cannot be found.
    ArgumentError
        A name is none of an original.
    """
    dataset = find_originals(config, run_dir, config_path)
    categories, labelled = read_categories(config), read_labelled(config)
    copies = read_copies(config)
    copy_files = None if copies is None else copies.dataset(config.base)
    key, digests = name_key(config, run_dir), file_digests(config)
    names: list[str] = []
    if dataset is not None:
        names = [original.name for original in dataset]
        names += list(map(key.name, names)) if key else []
        check_names(_listed(config, categories), names)
        if labelled is not None:
            labelled.check_names(names)
        if copies is not None:
            copies.check_originals(dataset, config.base, names)
    if key is not None:
        config, dataset = key.config(config), key.dataset(dataset)
        copies, copy_files = copies and copies.renamed(key.name), key.dataset(copy_files)
        categories = key.by_listed(categories)
        labelled = labelled and labelled.renamed(key.name)
        digests = {name: key.digest(digest) for name, digest in digests.items()}
    if labelled is not None and dataset is not None:
        dataset = labelled.restricted(dataset)
    return RunInputs(
        config, dataset, copies, copy_files, categories, labelled, digests, tuple(names)
    )


def _listed(config: Config, categories: Mapping[str, str] | None) -> dict[str, Iterable[str]]:
    """Return the names, or ``sha256:`` and digests, of originals by the keys that list them."""
    return {
        "pairs.duplicates": {*itertools.chain(*config.pairs.duplicates)},
        "pairs.leave_out": config.pairs.leave_out,
        "categories.file": categories or (),
    }
