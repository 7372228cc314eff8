"""Hash functions beside the PhotoDNA-like one, with one interface.

    from photodna_nb import hashers

    pdq = hashers.hasher("pdq")
    bits, quality = pdq.hash_file("a.jpg")

The functions that compare hashes take those of any hasher, with its ``metric``.
"""

from __future__ import annotations

import importlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photodna_nb import checks, parallel
from photodna_nb.checks import HASH_BYTES, LOW_DETAIL
from photodna_nb.errors import (
    ArgumentError,
    ArgumentTypeError,
    ImageError,
    PhotodnaError,
    optional_package,
)
from photodna_nb.files import PathLike
from photodna_nb.hashing import images
from photodna_nb.hashing.images import FileLike, ImageLike
from photodna_nb.hashing.stages import hash_and_detail
from photodna_nb.printable import printable, short_repr
from photodna_nb.versions import installed_version

__all__ = ["NAMES", "HashWithQuality", "Hasher", "hasher"]

# The unit of distances in each metric.
_UNITS = {"euclidean": "L2", "manhattan": "L1", "hamming": "Hamming"}


@short_repr
class HashWithQuality(NamedTuple):
    """A hash, and the quality of its image.

    Attributes
    ----------
    hash : ndarray of uint8, (length,)
        The hash.
    quality : float
        What the hasher's ``quality`` names: the larger, the more the hash says. NaN if it has
        no such measure.
    """

    hash: NDArray[np.uint8]
    quality: float


class Hasher(ABC):
    """A hash function: what it is called, what its hashes are, and how one is computed.

    A class of your own sets `name`, `length` and, where they differ, the other attributes, and
    defines `compute`. It is made without arguments, and is pickled for workers.

    Attributes
    ----------
    name : str
        Name, as results show it.
    length : int
        Number of values of a hash, 1 to 4096.
    metric : {"hamming", "euclidean", "manhattan"}
        Metric of the distances. The values for "hamming" are bits, 0 or 1.
    quality : str
        What `compute` gives as the quality of an image; empty for nothing.
    low_quality : float
        Images with less of the quality say little, and results name their number; 0 for no limit.
    package : str
        Name of the distribution that computes the hash; empty if it is none.
    """

    name: str
    length: int
    metric: Literal["hamming", "euclidean", "manhattan"] = "hamming"
    quality: str = ""
    low_quality: float = 0.0
    package: str = ""

    @abstractmethod
    def compute(self, image: Image.Image) -> Any:
        """Return the hash of an image.

        Parameters
        ----------
        image : PIL.Image.Image
            A loaded image of mode RGB. Neither its EXIF orientation nor a colour profile has been
            applied, and transparency has been dropped, as `photodna_nb.hash_image` reads it.

        Returns
        -------
        ndarray of uint8 or bool, (length,), or a pair of it and a float
            The hash; with a `quality`, the hash and its value.
        """

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """The dtype of all hashes: uint8."""
        return np.dtype(np.uint8)

    @property
    def unit(self) -> str:
        """The unit of the distances, as tables of results name it."""
        return _UNITS[self.metric]

    @property
    def largest_distance(self) -> float:
        """The largest distance of two vectors of this length: 3060 for "photodna"."""
        if self.metric == "euclidean":
            return 255 * math.sqrt(self.length)
        return self.length * (255.0 if self.metric == "manhattan" else 1.0)

    @property
    def version(self) -> str:
        """The package that computes the hash and its version, for records of what was done."""
        if not self.package:
            return ""
        return f"{self.package} {installed_version(self.package) or '(not installed)'}"

    def hash_image(self, image: ImageLike) -> HashWithQuality:
        """Return the hash of an image that is in memory, after a check of what `compute` returns.

        Parameters
        ----------
        image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
            As `photodna_nb.hash_image` takes it, and with the same errors.

        Raises
        ------
        ImageError
            `compute` raises an error of its own.
        ArgumentTypeError, ArgumentError
            `compute` returns another type, shape or value than the attributes say.
        """
        return self._checked(images.to_rgb(image), getattr(image, "filename", "") or None)

    def _checked(self, image: Image.Image, path: str | None) -> HashWithQuality:
        try:
            computed = self.compute(image)
        except (PhotodnaError, MemoryError):
            raise
        except Exception as error:  # of another package, or of the user
            reason = f"{printable(self.name)} cannot hash it ({_text(error)})"
            raise ImageError(path, f"{reason}; leave this image out, or correct compute") from error
        quality: Any = math.nan
        subject = f"{printable(self.name)}: what compute returns"
        if self.quality:
            if not isinstance(computed, tuple) or len(computed) != 2:
                raise ArgumentTypeError(
                    checks.message(subject, checks.describe(computed), "a hash and its quality")
                )
            computed, quality = computed
            quality = checks.real(f"{subject} as {self.quality}", quality)
        if isinstance(computed, np.ndarray) and computed.dtype == np.bool_:
            computed = computed.astype(np.uint8)
        values = checks.array(subject, computed, np.uint8, (self.length,))
        if self.metric == "hamming" and values.max() > 1:
            raise ArgumentError(
                checks.message(subject, f"a value of {values.max()}", "bits, 0 or 1", _UNPACK)
            )
        return HashWithQuality(np.ascontiguousarray(values), quality)

    def hash_file(self, file: FileLike) -> HashWithQuality:
        """Return the hash of an image file's first frame.

        Parameters
        ----------
        file : str, os.PathLike, bytes or binary file
            As `photodna_nb.hash_file` takes it, and with the same errors.

        Raises
        ------
        ImageError, ArgumentTypeError, ArgumentError
            The file cannot be read: see `photodna_nb.hash_file`; or as in `hash_image`.
        """
        path = os.fsdecode(file) if isinstance(file, str | os.PathLike) else None
        return self._checked(images.with_image(file, images.to_rgb), path)

    def iterate_hashes(
        self,
        paths: Iterable[PathLike],
        *,
        max_workers: int | None = None,
        executor: Executor | None = None,
    ) -> Generator[tuple[str, HashWithQuality | ImageError], None, None]:
        """Yield the path of each image file and its hash, or its error, in order.

        Parameters
        ----------
        paths, max_workers, executor
            As `photodna_nb.hash_files` takes them.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            An argument has another type or value, or as in `hash_image`.
        """
        checks.iterable("paths", paths, "several paths", "hash one file with hash_file")
        names = (checks.path("paths", path) for path in paths)
        task = partial(_hash_or_error, self)
        results = parallel.ordered_map(task, names, max_workers=max_workers, executor=executor)
        with closing(results):
            yield from results

    def __repr__(self) -> str:
        return f"<Hasher {self.name}: {self.length} values, {self.unit} distances>"


def _hash_or_error(one: Hasher, path: str) -> tuple[str, HashWithQuality | ImageError]:
    try:
        return path, one.hash_file(path)
    except ImageError as error:
        return path, error


_UNPACK = 'numpy.unpackbits unpacks bytes of eight bits, or set metric = "euclidean"'


class _Photodna(Hasher):
    """The PhotoDNA-like hash of this package."""

    name, length, metric, quality = "photodna", HASH_BYTES, "euclidean", "detail"
    low_quality, package = LOW_DETAIL, "photodna_nb"

    def compute(self, image: Image.Image) -> tuple[NDArray[np.uint8], float]:
        return hash_and_detail(images.pixels(image))[:2]


class _Pdq(Hasher):
    """PDQ, by the package pdqhash."""

    name, length, quality, package = "pdq", 256, "PDQ quality", "pdqhash"
    low_quality = 50.0  # below it, its authors advise against a match

    def compute(self, image: Image.Image) -> tuple[NDArray[np.uint8], float]:
        bits, quality = importlib.import_module("pdqhash").compute(np.asarray(image))
        return bits.astype(np.uint8), quality


class _ImageHash(Hasher):
    """A hash of the package imagehash: 8 x 8 bits, in rows."""

    length, package = 64, "ImageHash"
    function: str

    def compute(self, image: Image.Image) -> NDArray[np.bool_]:
        bits: NDArray[np.bool_] = getattr(_imagehash(), self.function)(image).hash
        return bits.reshape(-1)


class _Average(_ImageHash):
    name, function = "average", "average_hash"


class _Perceptual(_ImageHash):
    name, function = "perceptual", "phash"


class _Difference(_ImageHash):
    name, function = "difference", "dhash"


class _Wavelet(_ImageHash):
    name, function = "wavelet", "whash"


def _imagehash() -> Any:
    return importlib.import_module("imagehash")


_BUILT_IN: dict[str, type[Hasher]] = {
    one.name: one for one in (_Photodna, _Pdq, _Average, _Perceptual, _Difference, _Wavelet)
}
# Names of the hashers that the package knows.
NAMES = tuple(_BUILT_IN)


def built_in(name: str) -> Hasher:
    """Return one of ``NAMES`` without asking for its package: what its hashes are is known."""
    return _BUILT_IN[name]()


def hasher(name: str) -> Hasher:
    """Return a hasher by its name.

    Parameters
    ----------
    name : str
        One of ``NAMES``: "photodna", "pdq", "average", "perceptual", "difference" or "wavelet";
        all but the first need the extra ``hashers``. Or ``"module:Class"``, a subclass of
        `Hasher` in a module that can be imported: its code is run.

    Returns
    -------
    Hasher
        A new hasher of that name.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        There is no such hasher, or the class lacks something; the message says what.
    MissingPackageError
        The package of the hasher is not installed.

    Examples
    --------
    >>> from photodna_nb import hashers
    >>> photodna = hashers.hasher("photodna")
    >>> photodna
    <Hasher photodna: 144 values, L2 distances>
    >>> photodna.largest_distance
    3060.0
    """
    if ":" in checks.text("hasher", name, 'a name or "module:Class"'):
        return _own(name)
    found = _BUILT_IN[checks.choice("hasher", name, (*NAMES, "module:Class"))]()
    if not isinstance(found, _Photodna):
        with optional_package(f'hasher: "{name}"', found.package, "hashers"):
            importlib.import_module(found.package.lower())
    return found


def _own(name: str) -> Hasher:
    """Return an instance of the user's class ``module:Class``."""
    module_name, _, class_name = name.partition(":")
    subject = f"hasher: {printable(name)}"
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises
        raise ArgumentError(
            f"{subject}: the module cannot be imported ({_text(error)}); it has to be installed, "
            "or in a folder of PYTHONPATH"
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Hasher)):
        what = "has no such class" if found is None else "holds no subclass of hashers.Hasher there"
        raise ArgumentError(
            f"{subject}: the module {what}; write class {printable(class_name) or 'Name'}"
            "(photodna_nb.hashers.Hasher)"
        )
    missing = sorted(found.__abstractmethods__)
    missing += [one for one in ("name", "length") if not hasattr(found, one)]
    if missing:
        raise ArgumentError(f"{subject}: the class lacks {', '.join(missing)}; define it there")
    try:
        made = found()
    except Exception as error:
        raise ArgumentError(
            f"{subject}: the class cannot be made without arguments ({_text(error)}); give them "
            "defaults, or write a subclass"
        ) from error
    for attribute in ("name", "quality", "package"):
        checks.text(f"{subject}: {attribute}", getattr(made, attribute))
    if not made.name:
        raise ArgumentError(f"{subject}: name: got an empty text, needs a name for results")
    checks.integer(f"{subject}: length", made.length, 1, checks.MAX_LENGTH)
    checks.choice(f"{subject}: metric", made.metric, tuple(_UNITS))
    checks.real(f"{subject}: low_quality", made.low_quality, 0)
    return made


def _text(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}")
