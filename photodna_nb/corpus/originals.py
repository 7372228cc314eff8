"""Original images, and data sets of them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from PIL import Image

from photodna_nb import files
from photodna_nb.errors import ImageError
from photodna_nb.hashing import images
from photodna_nb.printable import short


@dataclass(frozen=True)
class Original(ABC):
    """One original image: its name, and how to open it.

    Attributes
    ----------
    name : str
        Name that is unique within its `Dataset` and the same in every run.
    source : str
        Name of the source that it comes from, if there are several; else "".
    """

    name: str
    source: str = field(default="", kw_only=True)

    def of_source(self, source: str) -> Original:
        """Return the same original with the name of its source, which stands before its own."""
        return replace(self, name=f"{source}/{self.name}", source=source)

    @abstractmethod
    def open(self) -> Image.Image:
        """Return the loaded image, in RGB.

        Raises
        ------
        ImageError
            The image cannot be read: see `photodna_nb.hash_file`.
        """

    @abstractmethod
    def digest(self) -> str:
        """Return the SHA-256 of the file's content, or of the parameters of a generated image.

        It has 64 hexadecimal digits.

        Raises
        ------
        ImageError
            The file cannot be read.
        """

    def error_text(self, text: str) -> str:
        """Return what is kept of an error of the image."""
        return text


@dataclass(frozen=True)
class FileOriginal(Original):
    """An image file.

    Attributes
    ----------
    path : str
        Absolute path, so that a process in another folder finds it.
    """

    path: str

    def open(self) -> Image.Image:
        """Return the image, by the rules of `photodna_nb.hash_file`."""
        return images.to_rgb(images.read_pixels(self.path))

    def digest(self) -> str:
        """Return the SHA-256 of the file's content."""
        path = self.path
        with files.read_errors(path, ImageError), files.open_regular(path, ImageError) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Dataset(Sequence[Original]):
    """Originals in a fixed order, with a description for the manifest of a run.

    Attributes
    ----------
    description : dict
        ``kind``, the name of the function that made the set, and its parameters, as JSON.
    originals : sequence of Original
        The originals; their names are unique.
    """

    description: dict[str, Any]
    originals: Sequence[Original]

    @property
    def name(self) -> str:
        """Name of the function that made the set."""
        return str(self.description["kind"])

    def __len__(self) -> int:
        return len(self.originals)

    @overload
    def __getitem__(self, index: int) -> Original: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Original]: ...
    def __getitem__(self, index: int | slice) -> Original | Sequence[Original]:
        return self.originals[index]

    def __repr__(self) -> str:
        return f"<Dataset of {len(self)} originals: {short(self.description)}>"


@dataclass(frozen=True)
class _SourceSequence(Sequence[Original]):
    """The originals of several sources one after another, each named when it is indexed."""

    sources: Mapping[str, Dataset]

    def __len__(self) -> int:
        return sum(map(len, self.sources.values()))

    def __getitem__(self, index: Any) -> Any:
        numbers = range(len(self))[index]
        return (
            self._original(numbers) if isinstance(numbers, int) else [*map(self._original, numbers)]
        )

    def __iter__(self) -> Iterator[Original]:
        for source, originals in self.sources.items():
            for original in originals:
                yield original.of_source(source)

    def _original(self, number: int) -> Original:
        for source, originals in self.sources.items():
            if number < len(originals):
                return originals[number].of_source(source)
            number -= len(originals)
        raise IndexError(number)


def from_sources(sources: Mapping[str, Dataset]) -> Dataset:
    """Return the originals of several sources as one data set.

    Parameters
    ----------
    sources : dict of str to Dataset
        Data sets by the name of their source.

    Returns
    -------
    Dataset
        Each original has the name of its source and ``/`` before its own, and ``source`` is that
        of the source. The sources are in the order of `sources`.
    """
    described = {source: dataset.description for source, dataset in sources.items()}
    return Dataset({"kind": "sources", "sources": described}, _SourceSequence(dict(sources)))
