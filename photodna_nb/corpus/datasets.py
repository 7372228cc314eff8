"""Originals for an evaluation: files, generated images, photographs of packages, or hashes.

Each function returns a `Dataset`: a sequence of `Original` records. Each record opens one
image, or is the hash of one, and can be sent to other processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from photodna_nb import checks, files, folders
from photodna_nb.corpus.dead_leaves import DeadLeavesSequence
from photodna_nb.corpus.originals import Dataset, FileOriginal, Original, from_sources
from photodna_nb.corpus.table_originals import HashOriginal, from_table
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.files import PathLike
from photodna_nb.kernels.dead_leaves import LONGEST
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

__all__ = [
    "Dataset",
    "FileOriginal",
    "HashOriginal",
    "Original",
    "dead_leaves",
    "from_directory",
    "from_list",
    "from_sources",
    "from_table",
    "installed",
]

_SCIKIT_IMAGE = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png"),
    *("coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
# The photographs among the sample data of packages, one of each scene: module, folder, files.
_PHOTOGRAPHS = {
    "matplotlib": ("matplotlib", "mpl-data/sample_data", ("grace_hopper.jpg",)),
    "scikit-image": ("skimage", "data", _SCIKIT_IMAGE),
    "scikit-learn": ("sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
}


def from_directory(path: PathLike, recursive: bool = True) -> Dataset:
    """Return the files in a folder as originals, by name.

    Parameters
    ----------
    path : str or os.PathLike
        Path of the folder.
    recursive : bool
        Whether the folders below are taken as well. Links to folders are not followed.

    Returns
    -------
    Dataset
        Every file whose name does not begin with a dot, image or not: a run lists those
        that cannot be read, and nothing is left out silently. Each is named by its path
        from the folder, with ``/``, and they are sorted by that.

    Raises
    ------
    FileError
        The folder, or one below it, cannot be listed, or there are no files.

    Notes
    -----
    Hidden files and folders are skipped, since programs keep thumbnails in them, which
    would be near-duplicates.
    """
    top = checks.path("path", path)
    names = folders.files_in(top, recursive=recursive, hidden=False)
    if not names:
        remedy = "check the path" if recursive else "check the path, or set recursive"
        raise FileError(top, f"holds no files that are not hidden; {remedy}")
    absolute = os.path.abspath(top)
    originals = tuple(FileOriginal(name, folders.below(absolute, name)) for name in sorted(names))
    return Dataset({"kind": "from_directory", "path": top, "recursive": recursive}, originals)


def from_list(paths: PathLike | Iterable[PathLike]) -> Dataset:
    """Return listed files as originals, in the order of the list.

    Parameters
    ----------
    paths : str, os.PathLike, or iterable of them
        The paths, or the path of a text file that lists them: one a line, or ended by NUL
        as ``find -print0`` writes them, in UTF-8, or in UTF-16 with its
        mark. Relative paths start from the current folder.

    Returns
    -------
    Dataset
        Each original is named by its path as it is listed.

    Raises
    ------
    FileError
        The list cannot be read, or is in another encoding.
    ArgumentError
        The list is empty, or names a file twice, which would be an impostor pair of its own.
    ArgumentTypeError
        `paths`, or one of them, is of another type.
    """
    description: dict[str, Any] = {"kind": "from_list"}
    if isinstance(paths, str | os.PathLike):
        description["path"] = os.fsdecode(paths)
        content = files.read(description["path"], FileError)
        names = folders.listed_paths(description["path"], content)
    else:
        needed = "paths, or the path of a file that lists them"
        names = [checks.path("paths", path) for path in checks.iterable("paths", paths, needed)]
    if not names:
        raise ArgumentError(checks.message("paths", "none", "the paths of images"))
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
    """Return generated images whose statistics resemble those of photographs.

    Parameters
    ----------
    number : int
        Number of images, at least 1. Image k does not depend on it.
    size : (int, int)
        Width and height, 2 to 32767 pixels each.
    seed : int
        Seed, 0 or more.

    Returns
    -------
    Dataset
        Originals with the names ``dead_leaves/000000`` and so on. Each is generated when it is
        opened, so that a million of them take no memory.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type or value.

    Notes
    -----
    Opaque discs cover each other and the image. The density of their radii is r^-3,
    up to the shorter side, so that no scale dominates. The smallest radius, the brightness,
    the contrast and the colour differ between images, and each disc is shaded and has a
    grain. All values are integers from the raw stream of NumPy's PCG64, which NumPy
    guarantees: the bytes are the same on every machine and with every version.

    Of 500 images of 256 x 192 pixels, 98 % have a detail of 960 to 5500 grey levels;
    unrelated pairs have a median L2 distance of 907, 1 % are below 668 and the nearest is
    at 508, as among photographs. Drawing an image takes about a millisecond.

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
    number = checks.integer("number", number, 1, sys.maxsize)
    seed = checks.integer("seed", seed, 0)
    if not isinstance(size, Sequence) or len(size) != 2:
        got = checks.describe(size)
        raise ArgumentTypeError(checks.message("size", got, "(width, height) in pixels"))
    width, height = (checks.integer("size", side, 2, LONGEST) for side in size)
    description = {
        "kind": "dead_leaves",
        "number": number,
        "size": [width, height],
        "seed": seed,
    }
    return Dataset(description, DeadLeavesSequence(range(number), (width, height), seed))


def installed() -> Dataset:
    """Return the photographs that installed packages bring as sample data.

    Returns
    -------
    Dataset
        Originals with the names ``PACKAGE/FILE``: up to one photograph of Matplotlib, two of
        scikit-learn, and eighteen of scikit-image, as far as their files are installed.
        Nothing is downloaded, and no package is imported.

    Raises
    ------
    FileError
        No photograph is installed.
    """
    versions: dict[str, str] = {}
    originals: list[FileOriginal] = []
    for package, (module, folder, names) in _PHOTOGRAPHS.items():
        spec = find_spec(module)
        for location in (spec.submodule_search_locations if spec else None) or ():
            for name in names:
                path = os.path.join(location, *folder.split("/"), name)
                if os.path.isfile(path):
                    versions[package] = installed_version(package) or "unknown"
                    originals.append(FileOriginal(f"{package}/{name}", path))
    if not originals:
        raise FileError(
            None,
            f"none of {', '.join(_PHOTOGRAPHS)} is installed with its photographs; "
            "pip install matplotlib scikit-image",
        )
    return Dataset({"kind": "installed", "packages": versions}, tuple(originals))
