"""Originals for an evaluation: your own pictures, drawn ones, those of installed packages.

Each function returns a `Dataset`: a sequence of `Original` records, which open
one picture each and can be sent to other processes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from typing import Any, overload

import numpy as np
from PIL import Image

from photodna_nb import checks, files
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError, ImageError
from photodna_nb.files import PathLike
from photodna_nb.hashing import images
from photodna_nb.kernels import dead_leaves as kernels
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

# Each picture has one value of each range; radii are shares of the shorter side.
# With these, the detail and the distances are those of photographs.
_SMALLEST_RADIUS = (1 / 48, 1 / 12)
_BRIGHTNESS = (80, 176)
_CONTRAST = (20, 128)
_COLOUR = (10, 60)
_LEAVES_AT_ONCE = 2048

# Photographs alone, one of each scene, of what comes with the packages themselves.
_PHOTOGRAPHS = {
    "matplotlib": ("matplotlib", "mpl-data/sample_data", ("grace_hopper.jpg",)),
    "scikit-image": (
        "skimage",
        "data",
        (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "cell.png",
            "chelsea.png",
            "clock_motion.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "ihc.png",
            "moon.png",
            "motorcycle_left.png",
            "page.png",
            "retina.jpg",
            "rocket.jpg",
            "text.png",
        ),
    ),
    "scikit-learn": ("sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
}


@dataclass(frozen=True)
class Original(ABC):
    """One picture, before any edit: its name, and how to open it.

    Attributes
    ----------
    name : str
        Its own within its `Dataset`, and the same in every run.
    """

    name: str

    @abstractmethod
    def open(self) -> Image.Image:
        """Return the picture, as a loaded Pillow image in RGB.

        Raises
        ------
        ImageError
            It cannot be read: see `photodna_nb.hash_file`.
        """

    @abstractmethod
    def digest(self) -> str:
        """Return the SHA-256 of what the picture is made from, 64 hexadecimal digits.

        Of a file that is its content, of a drawn picture its parameters.

        Raises
        ------
        ImageError
            The file cannot be read.
        """


@dataclass(frozen=True)
class FileOriginal(Original):
    """An image file.

    Attributes
    ----------
    path : str
        Absolute, so that a process in another folder finds it.
    """

    path: str

    def open(self) -> Image.Image:
        """Return the picture, by the rules of `photodna_nb.hash_file`."""
        return images.to_rgb(images.read_pixels(self.path))

    def digest(self) -> str:
        """Return the SHA-256 of the file's content."""
        with (
            files.read_errors(self.path, ImageError),
            files.open_regular(self.path, ImageError) as file,
        ):
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class DeadLeaves(Original):
    """A drawn picture: see `dead_leaves`.

    Attributes
    ----------
    seed, index : int
        Which one.
    size : (int, int)
        Width and height, in pixels.
    """

    seed: int
    index: int
    size: tuple[int, int]

    def open(self) -> Image.Image:
        """Return the picture; it is drawn anew each time."""
        return images.to_rgb(_drawn(self.seed, self.index, *self.size))

    def digest(self) -> str:
        """Return the SHA-256 of the parameters, which stand for the pixels."""
        width, height = self.size
        text = f"photodna_nb dead leaves 1 {self.seed} {self.index} {width} {height}"
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Dataset(Sequence[Original]):
    """Originals, in a fixed order, with a description that goes into a manifest.

    Attributes
    ----------
    description : dict
        ``kind``, the name of the function that made it, and its parameters; JSON takes it.
    originals : sequence of Original
        Their names differ from each other.
    """

    description: dict[str, Any]
    originals: Sequence[Original]

    @property
    def name(self) -> str:
        """What kind of originals these are: the function that made the set."""
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
        return f"<Dataset of {len(self)} originals: {self.description}>"


def from_directory(path: PathLike, recursive: bool = True) -> Dataset:
    """Return the files in a folder as originals, by name.

    Parameters
    ----------
    path : str or os.PathLike
        Of the folder.
    recursive : bool
        Whether the folders below it are taken as well. Links to folders are not
        followed: they may lead in a circle.

    Returns
    -------
    Dataset
        Every file whose name does not begin with a dot, image or not: a run lists
        those that cannot be read, and nothing is left out silently. Each is named by
        its path from the folder, with ``/``, and they are sorted by that.

    Raises
    ------
    FileError
        The folder, or one below it, cannot be listed, or there are no files.

    Notes
    -----
    Hidden files and folders are skipped, since programs keep thumbnails in them:
    near-duplicates that nobody put there.
    """
    top = checks.path("path", path)
    found: list[str] = []
    folders = [""]
    while folders:
        below = folders.pop()
        for entry in _listed_folder(os.path.join(top, below) if below else top):
            name = below + entry.name
            if entry.name.startswith("."):
                continue
            if not files.is_folder(entry):
                found.append(name)
            elif recursive and not entry.is_symlink():
                folders.append(f"{name}/")
    if not found:
        remedy = "check the path" if recursive else "check the path, or set recursive"
        raise FileError(top, f"holds no files that are not hidden; {remedy}")
    absolute = os.path.abspath(top)
    originals = tuple(FileOriginal(name, os.path.join(absolute, name)) for name in sorted(found))
    return Dataset({"kind": "from_directory", "path": top, "recursive": recursive}, originals)


def from_list(paths: PathLike | Iterable[PathLike]) -> Dataset:
    """Return listed files as originals, in the order of the list.

    Parameters
    ----------
    paths : str, os.PathLike, or iterable of them
        The path of a text file that lists paths, as the command line's
        ``--files-from`` reads it: by line, or ended by NUL as ``find -print0`` writes
        them. Or the paths themselves. Relative ones start from the current folder.

    Returns
    -------
    Dataset
        Each named by its path as it is listed.

    Raises
    ------
    FileError
        The list cannot be read.
    ArgumentError
        It is empty, or a file is listed twice, which would be found as its own duplicate.
    ArgumentTypeError
        `paths`, or one of them, is of another type.
    """
    description: dict[str, Any] = {"kind": "from_list"}
    if isinstance(paths, str | os.PathLike):
        description["path"] = os.fsdecode(paths)
        names = files.listed_paths(files.read(description["path"], FileError))
    elif isinstance(paths, Iterable) and not isinstance(paths, bytes):
        names = [checks.path("paths", path) for path in paths]
    else:
        raise ArgumentTypeError(
            f"paths: got {describe(paths)}, needs paths, or the path of a file that lists them"
        )
    if not names:
        raise ArgumentError("paths: got none, needs the paths of images")
    first: dict[str, str] = {}
    for name in names:
        path = os.path.abspath(name)
        if path in first:
            raise ArgumentError(
                f"paths: {printable(name)} is listed twice (as {printable(first[path])} before), "
                "needs each file once; take one of them out"
            )
        first[path] = name
    originals = tuple(FileOriginal(name, path) for path, name in first.items())
    return Dataset({**description, "number": len(originals)}, originals)


def dead_leaves(number: int, size: tuple[int, int] = (256, 192), seed: int = 0) -> Dataset:
    """Return drawn pictures whose statistics resemble those of photographs.

    Parameters
    ----------
    number : int
        How many, at least 1. Picture k is the same in every number.
    size : (int, int)
        Width and height, 2 to 32767 pixels each.
    seed : int
        0 or more; another seed gives other pictures.

    Returns
    -------
    Dataset
        Named ``dead_leaves/000000`` and so on. A picture is drawn when it is opened: a
        million take no memory before.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type or value.

    Notes
    -----
    Opaque discs cover each other and the whole picture. Their radii have the density
    r^-3, so that no scale stands out, up to the shorter side; the smallest radius, the
    brightness, the contrast and the colour differ from picture to picture, and each
    disc is shaded and has a grain. Integers alone, from the raw stream of NumPy's PCG64,
    which is guaranteed: the same bytes on every machine and with every version.

    Of 500 pictures of 256 x 192 pixels, 98 % have a detail of 960 to 5500 grey levels;
    unrelated pairs have a median L2 distance of 907, 1 % are below 668 and the nearest is
    at 508: as it is among photographs. One takes about a millisecond.

    References
    ----------
    Lee, Mumford, Huang, "Occlusion Models for Natural Images: A Statistical Study of
    a Scale-Invariant Dead Leaves Model", International Journal of Computer Vision 41,
    2001.

    Examples
    --------
    >>> originals = dead_leaves(100, size=(64, 48))
    >>> originals[7].name, originals[7].open().size
    ('dead_leaves/000007', (64, 48))
    """
    number = _whole("number", number, 1, None)
    if number > sys.maxsize:
        raise ArgumentError(f"number: got {number:.3g}, needs at most {sys.maxsize}")
    seed = _whole("seed", seed, 0, None)
    if not isinstance(size, Sequence) or len(size) != 2:
        raise ArgumentTypeError(f"size: got {size!r}, needs (width, height) in pixels")
    width, height = (_whole("size", side, 2, kernels.LONGEST) for side in size)
    description = {
        "kind": "dead_leaves",
        "number": number,
        "size": [width, height],
        "seed": seed,
    }
    return Dataset(description, _AllDeadLeaves(range(number), (width, height), seed))


def installed() -> Dataset:
    """Return the photographs that installed packages carry, to try things on.

    Returns
    -------
    Dataset
        Named ``PACKAGE/FILE``: one photograph of Matplotlib, two of scikit-learn, and
        eighteen of scikit-image; of each package that is installed, those that are
        really there. Nothing is downloaded, and no package is imported.

    Raises
    ------
    FileError
        There is none.
    """
    versions: dict[str, str] = {}
    originals: list[FileOriginal] = []
    for package, (module, folder, names) in _PHOTOGRAPHS.items():
        spec = find_spec(module)
        for place in (spec.submodule_search_locations if spec else None) or ():
            paths = {name: os.path.join(place, *folder.split("/"), name) for name in names}
            there = {name: path for name, path in paths.items() if os.path.isfile(path)}
            if there:
                versions[package] = installed_version(package) or "unknown"
            originals += [FileOriginal(f"{package}/{name}", there[name]) for name in there]
    if not originals:
        raise FileError(
            None,
            f"none of {', '.join(_PHOTOGRAPHS)} is installed with its photographs; "
            "pip install matplotlib scikit-image",
        )
    return Dataset({"kind": "installed", "packages": versions}, tuple(originals))


@dataclass(frozen=True)
class _AllDeadLeaves(Sequence[Original]):
    """The pictures of a data set, made when they are asked for."""

    indices: range
    size: tuple[int, int]
    seed: int

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Original: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Original]: ...
    def __getitem__(self, index: int | slice) -> Original | Sequence[Original]:
        if isinstance(index, slice):
            return _AllDeadLeaves(self.indices[index], self.size, self.seed)
        k = self.indices[index]
        return DeadLeaves(f"dead_leaves/{k:06d}", self.seed, k, self.size)


def _drawn(seed: int, index: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels of one picture, (H, W, 3).

    The stream of numbers: four for the picture, then its grain, then its leaves.
    """
    stream = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,)))
    radius, *looks = (int(number) >> (64 - kernels.BITS) for number in stream.random_raw(4))
    brightness, contrast, colour = (
        low + ((number * (high + 1 - low)) >> kernels.BITS)
        for number, (low, high) in zip(looks, (_BRIGHTNESS, _CONTRAST, _COLOUR), strict=True)
    )
    side = min(width, height)
    low, high = (int(share * 2**16) for share in _SMALLEST_RADIUS)
    square_min = max(1, (side * (low + ((radius * (high - low)) >> kernels.BITS))) ** 2 >> 32)
    grain = stream.random_raw(-(-width * height // 8)).astype("<u8").view(np.uint8)
    texture = grain[: width * height].reshape(height, width)
    following = np.tile(np.arange(width + 1, dtype=np.int32), (height, 1))
    out = np.empty((height, width, 3), np.uint8)
    left = width * height
    while left:
        raw = stream.random_raw(_LEAVES_AT_ONCE * kernels.NUMBERS) >> np.uint64(1)
        numbers = raw.astype(np.int64).reshape(-1, kernels.NUMBERS)
        left -= kernels.paint(
            numbers, square_min, side * side, brightness, contrast, colour, texture, following, out
        )
    return out


def _whole(name: str, value: Any, least: int, most: int | None) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs an integer")
    whole = int(value)
    if whole < least or (most is not None and whole > most):
        needed = f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{name}: got {whole}, needs {needed}")
    return whole


def _listed_folder(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(path, f"cannot be listed ({reason}); check the path") from error
