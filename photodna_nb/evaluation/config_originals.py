"""The sections of a configuration that say which images are the originals."""

from __future__ import annotations

import os
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from photodna_nb.corpus import datasets
from photodna_nb.corpus.datasets import Dataset, FileOriginal
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.printable import printable

Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(min_length=1, pattern=r"\A[^\0]*\Z")]
_Column = str | Annotated[int, Meta(ge=0)]
_Side = Annotated[int, Meta(ge=2, le=32767)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A section of the configuration; other keys than its fields are refused."""


class _Source(Section, frozen=True, kw_only=True):
    """A section of originals, with its name among several."""

    name: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"\A[^\0/]*\Z")] | None = None


class DeadLeavesOriginals(_Source, frozen=True, tag_field="kind", tag="dead_leaves"):
    """Generated images: see `datasets.dead_leaves`."""

    number: Annotated[int, Meta(ge=2, le=10**8)]
    size: tuple[_Side, _Side] = (256, 192)
    seed: Seed = 0

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.dead_leaves(self.number, self.size, self.seed)


class DirectoryOriginals(_Source, frozen=True, tag_field="kind", tag="directory"):
    """The files in a folder: see `datasets.from_directory`."""

    path: Text
    recursive: bool = True

    def dataset(self, base: str) -> Dataset:
        """Return the originals; a relative path starts from the folder `base`."""
        return datasets.from_directory(os.path.join(base, self.path), self.recursive)


class ListOriginals(_Source, frozen=True, tag_field="kind", tag="list", omit_defaults=True):
    """The files that a text file lists, or a list of paths: see `datasets.from_list`."""

    path: Text | None = None
    paths: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.paths):
            raise ArgumentError(
                "originals: a list needs either path, of a text file that lists paths, or paths"
            )

    def dataset(self, base: str) -> Dataset:
        """Return the originals, named as they are listed.

        Relative paths, of the text file and those that it lists, start from the folder `base`.
        """
        listing = list(self.paths) if self.path is None else os.path.join(base, self.path)
        listed = datasets.from_list(listing)
        return Dataset(
            listed.description,
            tuple(
                FileOriginal(original.name, os.path.abspath(os.path.join(base, original.name)))
                for original in listed
            ),
        )


class InstalledOriginals(_Source, frozen=True, tag_field="kind", tag="installed"):
    """The photographs of installed packages: see `datasets.installed`."""

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.installed()


class DigestOriginals(Section, frozen=True, tag_field="kind", tag="digest"):
    """Originals of a run that names none: they are told by a keyed digest of their section.

    Attributes
    ----------
    source : str
        Kind of the section.
    digest : str
        Keyed digest of it.
    """

    source: Text
    digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]

    def dataset(self, base: str) -> Dataset:
        """Raise a FileError: nobody can open them by a digest."""
        raise FileError(
            None,
            "originals: they are known by a keyed digest alone, and cannot be opened; give the "
            "configuration that names them, with its privacy.key_file",
        )


class TableOriginals(_Source, frozen=True, tag_field="kind", tag="table", omit_defaults=True):
    """The hashes of a table, without pictures: see `datasets.from_table`."""

    path: Text
    group: Text | None = None
    path_column: _Column | None = None
    hash_column: _Column | None = None
    delimiter: str | None = None
    encoding: str | None = None

    def dataset(self, base: str) -> Dataset:
        """Return the originals; a relative path starts from the folder `base`."""
        columns = "path_column", "hash_column", "delimiter", "encoding"
        options = {name: getattr(self, name) for name in columns}
        try:
            return datasets.from_table(os.path.join(base, self.path), self.group, **options)
        except (ArgumentError, ArgumentTypeError) as error:
            raise type(error)(f"originals.{error}") from error


Source: TypeAlias = (
    DeadLeavesOriginals
    | DirectoryOriginals
    | ListOriginals
    | InstalledOriginals
    | TableOriginals
    | DigestOriginals
)
Originals: TypeAlias = Source | tuple[Source, ...]


def source_kind(source: Source) -> str:
    """Return the kind of a source, also of one that only a digest tells."""
    kind = source.source if isinstance(source, DigestOriginals) else source.__struct_config__.tag
    return str(kind)


def by_name(originals: Originals) -> dict[str, Source]:
    """Return several sources of originals by their names, or a single one by "".

    A source without a name is called by its number and kind, such as ``"2_table"``.

    Raises
    ------
    ArgumentError
        Two sources have one name, there are fewer than two, or a single one has a name.
    """
    if not isinstance(originals, tuple):
        if getattr(originals, "name", None) is not None:
            raise ArgumentError(
                "originals.name: only several sources, under [[originals]], have names; take it out"
            )
        return {"": originals}
    if len(originals) < 2:
        raise ArgumentError(
            f"originals: got a list of {len(originals)}, needs two or more sources under "
            "[[originals]]; write a single one under [originals]"
        )
    sources: dict[str, Source] = {}
    for number, source in enumerate(originals, start=1):
        own = getattr(source, "name", None)
        name = own or f"{number}_{source_kind(source)}"
        if name in sources:
            raise ArgumentError(
                f"originals.name: two sources are called {printable(name)}; give each another name"
            )
        sources[name] = source
    return sources
