"""Hashes of what people have: folders of images, image files, and tables of hashes.

One rule says which files of a folder count as images: those that Pillow can identify. Hidden
files, and files of other kinds, are counted. A file that begins as an image, or has the suffix
of one, and cannot be read is an error, as is every file that is named itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

import numpy as np

from photodna_nb import checks, folders
from photodna_nb.errors import FileError, ImageError
from photodna_nb.files import PathLike
from photodna_nb.hashing.files import HashOptions, hash_listed
from photodna_nb.tables.columns import FileFailure
from photodna_nb.tables.formats import is_table
from photodna_nb.tables.table import HashTable


def hash_directory(
    folder: PathLike,
    *,
    recursive: bool = True,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    errors: Literal["raise", "record"] = "raise",
    output: PathLike | None = None,
    compare_content: bool = False,
    cache: PathLike | None = None,
) -> HashTable:
    """Return the hashes of the images in a folder.

    Parameters
    ----------
    folder : str or os.PathLike
        Path of the folder.
    recursive : bool
        Whether the folders below are walked, too. Links to folders are not followed.
    max_workers, executor, progress, errors, output, compare_content, cache
        As in `hash_files`.

    Returns
    -------
    HashTable
        Hashes and failures, sorted by name, the files of a folder before those of the folders
        below it. A file that two links name is hashed once. ``skipped`` counts the other files by
        kind: ``"hidden"`` files and folders, ``"named twice"``, ``"not an image"``, ``"empty"``,
        ``"video"``, ``"PDF document"``, ``"camera RAW file"`` and the like.

    Raises
    ------
    FileError
        The folder cannot be listed.
    ImageError
        With ``errors="raise"``: an image cannot be hashed.
    TableFileError, ArgumentTypeError, ArgumentError
        As from `hash_files`.

    Warns
    -----
    LowDetailWarning
        As `hash_files` warns.

    Notes
    -----
    A file that Pillow cannot identify is a failure only if it begins as an image or has the
    suffix of a common format, such as ``.jpg``: then it is damaged.
    """
    name = checks.path("folder", folder)
    checks.boolean("recursive", recursive)
    files = InputFiles(errors)
    options = HashOptions(
        max_workers, executor, progress, errors, output, compare_content, cache, files.kind
    )
    options.check()
    files.add_folder(name, recursive)
    return _hashed(files, options, {})


def hash_inputs(
    paths: Iterable[PathLike],
    *,
    recursive: bool = True,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    errors: Literal["raise", "record"] = "raise",
    output: PathLike | None = None,
    compare_content: bool = False,
    cache: PathLike | None = None,
    table_options: Mapping[str, Any] | None = None,
) -> HashTable:
    """Return the hashes of folders, image files and tables of hashes, in one table.

    Parameters
    ----------
    paths : iterable of str or os.PathLike
        Folders, as `hash_directory` takes them; files that `HashTable.load` reads, by their
        suffixes; all others are image files.
    recursive, max_workers, executor, progress, errors, output, compare_content, cache
        As in `hash_directory`.
    table_options : mapping, optional
        Further arguments of `HashTable.load`.

    Returns
    -------
    HashTable
        In the order of `paths`. A file that is named twice is hashed once. Rows of tables have
        labels and no ``file_status``: -1 stands there.

    Raises
    ------
    FileError, ImageError, TableFileError, ArgumentTypeError, ArgumentError
        As from `hash_directory` and `HashTable.load`; with ``errors="record"``, a folder or a
        table that cannot be read is one of the failures.

    Warns
    -----
    LowDetailWarning
        As `hash_files` warns.
    """
    files = InputFiles(errors)
    options = HashOptions(
        max_workers, executor, progress, errors, output, compare_content, cache, files.kind
    )
    options.check()
    checks.boolean("recursive", recursive)
    named = checks.iterable("paths", paths, "several paths", "put one path into a list")
    names = [checks.path("paths", path) for path in named]
    return _hashed(files, options, files.add_inputs(names, recursive, table_options or {}))


def _hashed(
    files: InputFiles, options: HashOptions, tables: Mapping[int, list[HashTable]]
) -> HashTable:
    """Return the hashes of the files, with tables before the files of these numbers."""

    def complete(hashed: HashTable) -> HashTable:
        numbers = {name: number for number, name in enumerate(files.names)}
        hashed_numbers = np.array([numbers[path] for path in hashed.paths], np.intp)
        parts, start = [], 0
        for number, before in sorted(tables.items()):
            end = int(np.searchsorted(hashed_numbers, number))
            parts += [hashed[start:end], *before]
            start = end
        table = HashTable.concatenate([*parts, hashed[start:]]) if parts else hashed
        skipped = files.skipped + Counter(hashed.skipped)
        failures = [*files.failures, *hashed.failures]
        for loaded in chain.from_iterable(tables.values()):
            failures += loaded.failures
            skipped.update(loaded.skipped)
        return replace(table, failures=failures, skipped=dict(skipped))

    return hash_listed(files.names, options, complete)


def is_folder_or_table(name: str) -> bool:
    """Return whether a name is not that of one image file."""
    return os.path.isdir(name) or is_table(name)


class InputFiles:
    """The image files that are named, or lie in folders, each once, and what was skipped.

    Attributes
    ----------
    names : list of str
        Names of the files as they were given, or that begin with that of their folder.
    names_by_path : dict of str to str
        The same by the real path.
    failures, skipped : list of FileFailure, Counter
        As of the `HashTable`.
    """

    def __init__(self, errors: str) -> None:
        self._raises = errors == "raise"
        self.names_by_path: dict[str, str] = {}
        self._in_folders: set[str] = set()
        self.names: list[str] = []
        self.failures: list[FileFailure] = []
        self.skipped: Counter[str] = Counter()

    def add(self, *names: str, in_folder: bool = False) -> None:
        """Add files that were not added before, by name or because they lie in a folder."""
        for name, path in zip(names, folders.real_paths(names, listed=in_folder), strict=True):
            if path in self.names_by_path:
                self.skipped["named twice"] += 1
            else:
                self.names_by_path[path] = name
                self.names.append(name)
                self._in_folders.add(name)
            if not in_folder:
                self._in_folders.discard(self.names_by_path[path])

    def add_inputs(
        self, names: Iterable[str], recursive: bool, table_options: Mapping[str, Any]
    ) -> dict[int, list[HashTable]]:
        """Add files and the files of folders, and return tables before the files of these numbers.

        An error is noted.
        """
        errors: Literal["raise", "record"] = "raise" if self._raises else "record"
        tables: dict[int, list[HashTable]] = {}
        for name in names:
            try:
                if os.path.isdir(name):
                    self.add_folder(name, recursive)
                elif is_table(name):
                    table = HashTable.load(name, errors=errors, **table_options)
                    tables.setdefault(len(self.names), []).append(table)
                else:
                    self.add(name)
            except FileError as error:
                self.note(error)
        return tables

    def add_folder(self, folder: str, recursive: bool) -> None:
        """Add the files of a folder that are not hidden."""
        errors: list[FileError] = []
        names = folders.files_in(
            folder, recursive=recursive, hidden=False, errors=errors, skipped=self.skipped
        )
        for error in errors:
            self.note(error)
        self.add(*(folders.below(folder, name) for name in names), in_folder=True)

    def note(self, error: FileError) -> None:
        """Add an error to the failures, or raise it."""
        if self._raises:
            raise error
        self.failures.append(FileFailure(str(error.path), error.reason))

    def kind(self, path: str, error: ImageError) -> str:
        """Return the kind as which a file of a folder is skipped, or "" if it should be hashed."""
        if path not in self._in_folders:
            return ""
        if os.path.exists(path) and not os.path.isfile(path):
            return "no regular file"
        return error.other_kind
