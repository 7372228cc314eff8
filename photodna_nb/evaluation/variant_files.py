"""Altered copies from disk: files that a table names, with their originals and a label."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from photodna_nb import checks
from photodna_nb.corpus.datasets import Dataset, FileOriginal
from photodna_nb.corpus.transforms import COPIES
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.label_files import read_labels
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.run_originals import unknown_original
from photodna_nb.evaluation.variant_hashes import CopyHashes, StoredHashes, VariantFailure
from photodna_nb.printable import printable

KEY = "variants.files"


class CopyFile(NamedTuple):
    """A line of a file of altered copies.

    original : str
        Name of the original.
    name : str
        Name of the copy: its path, as it is listed.
    label : str
        Label of the copy, as other copies may have it too.
    """

    original: str
    name: str
    label: str


@dataclass(frozen=True)
class CopyFiles:
    """The altered copies of a run.

    Attributes
    ----------
    path : str
        Path of the file that lists them.
    lines : tuple of int, c
        Numbers of the lines.
    copies : tuple of CopyFile, c
        The copies.
    """

    path: str
    lines: tuple[int, ...]
    copies: tuple[CopyFile, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The different labels, sorted."""
        return tuple(sorted({copy.label for copy in self.copies}))

    def dataset(self, base: str) -> Dataset:
        """Return the copies as images to be hashed; relative paths start from the folder `base`."""
        files = (
            FileOriginal(copy.name, os.path.abspath(os.path.join(base, copy.name)))
            for copy in self.copies
        )
        return Dataset({"kind": "copies"}, tuple(files))

    def check_originals(self, dataset: Dataset, base: str, names: Iterable[str] = ()) -> None:
        """Raise a FileError if a copy is of no original, or is an original itself.

        names: further names by which originals may be listed.
        """
        known = {original.name for original in dataset} | set(names)
        paths = {
            os.path.realpath(original.path): original.name
            for original in dataset
            if isinstance(original, FileOriginal)
        }
        of_copies = zip(self.lines, self.copies, self.dataset(base), strict=True)
        for line, copy, file in of_copies:
            if copy.original not in known:
                raise self._error(line, unknown_original(copy.original, known))
            if isinstance(file, FileOriginal) and os.path.realpath(file.path) in paths:
                raise self._error(
                    line,
                    f"{printable(copy.name)} is one of the originals, which are compared as "
                    "different images; keep copies in a folder of their own",
                )

    def check_labels(self, config: Config) -> None:
        """Raise a FileError if a label is the name of a transform of the run."""
        known = {f"{COPIES}{label}" for label in self.labels}
        for name in config.variants.weights:
            if name.startswith(COPIES) and name not in known:
                remedy = checks.suggestion(name, known) or f"there are {', '.join(sorted(known))}"
                raise ArgumentError(
                    f"variants.weights: no copy has the label of {printable(name)}; "
                    f"{printable(remedy)}"
                )
        if config.variants.weights and (missing := known - config.variants.weights.keys()):
            raise ArgumentError(
                f"variants.weights: lacks {printable(min(missing))}; give each label a weight"
            )
        taken = {name for one in config.transforms for name in (one.spec, one.label)}
        for line, copy in zip(self.lines, self.copies, strict=True):
            if copy.label in taken:
                raise self._error(
                    line,
                    f"the label {printable(copy.label)} is that of a transform; choose another",
                )

    def renamed(self, name: Callable[[str], str]) -> CopyFiles:
        """Return the copies with the names that `name` gives to them and to their originals."""
        copies = (
            one._replace(original=name(one.original), name=name(one.name)) for one in self.copies
        )
        return CopyFiles(self.path, self.lines, tuple(copies))

    def attached(self, hashes: StoredHashes, of_copies: StoredHashes) -> StoredHashes:
        """Return hashes of originals, with those of the copies beside them.

        Copies whose original has no hash are left out.
        """
        rows = {name: row for row, name in enumerate(hashes.hashed.names)}
        places = {name: row for row, name in enumerate(of_copies.hashed.names)}
        listed = sorted(
            (rows[copy.original], self.labels.index(copy.label), copy.name)
            for copy in self.copies
            if copy.original in rows and copy.name in places
        )
        names = tuple(name for _, _, name in listed)
        numbers = np.array([one[:2] for one in listed], np.int64).reshape(-1, 2)
        copies = CopyHashes(
            names,
            tuple(f"{COPIES}{label}" for label in self.labels),
            numbers[:, 0],
            numbers[:, 1],
            of_copies.hashed.hashes[[places[name] for name in names]],
        )
        failures = tuple(
            VariantFailure(
                copy.original,
                f"{COPIES}{copy.label}",
                f"{printable(copy.name)}: {of_copies.errors[copy.name][ORIGINAL]}",
            )
            for copy in self.copies
            if copy.name in of_copies.errors
        )
        values = canonical([hashes.digest, of_copies.digest, self.copies])
        return hashes._replace(
            hashed=replace(hashes.hashed, copies=copies),
            digest=sha256(values.encode("ascii")).hexdigest(),
            copy_failures=failures,
        )

    def _error(self, line: int, problem: str) -> FileError:
        return FileError(self.path, f"line {line} of {KEY}: {problem}")


def read_copies(config: Config) -> CopyFiles | None:
    """Return the altered copies of a configuration; None if it names no file of them.

    Raises
    ------
    FileError
        The file cannot be read, a line lacks something, or a copy is listed twice.
    """
    path = config.files().get(KEY)
    if path is None:
        return None
    lines: dict[str, int] = {}
    copies: list[CopyFile] = []
    for line, cells in read_labels(path, ("original", "variant", "label")):
        if missing := next((name for name, cell in cells.items() if not cell.strip()), ""):
            raise FileError(
                path, f"line {line} has no {missing}; write it there, or delete the line"
            )
        copies.append(CopyFile(cells["original"], cells["variant"], cells["label"]))
        first = lines.setdefault(os.path.normpath(cells["variant"]), line)
        if first != line:
            shown = printable(cells["variant"])
            raise FileError(path, f"line {line} has {shown}, as line {first} has; take one out")
    found = CopyFiles(path, tuple(lines.values()), tuple(copies))
    found.check_labels(config)
    return found
