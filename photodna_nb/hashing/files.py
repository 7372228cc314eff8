"""One image to its hash, and many."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import closing, nullcontext
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, ImageError
from photodna_nb.files import PathLike
from photodna_nb.hashing import images
from photodna_nb.hashing.hash_journal import HashJournal, JournalEntry, hash_if_changed
from photodna_nb.hashing.images import FileLike, ImageLike
from photodna_nb.hashing.stages import HashWithDetail, hash_and_detail
from photodna_nb.tables.table import FileFailure, HashTable, check_target, table_from_rows


def hash_image(image: ImageLike) -> NDArray[np.uint8]:
    """Return the PhotoDNA-like hash of an image that is already in memory.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        RGB, RGB with a fourth byte that is ignored, or grey, 0 to 255, at least
        2 x 2 pixels. Of a Pillow image the current frame is hashed, as RGB; neither
        its EXIF orientation nor a colour profile is applied.

    Returns
    -------
    ndarray of uint8, (144,)
        6 x 6 cells (rows, columns) x 4 directions. All zero where there is
        nothing to see: see `detail`.

    Raises
    ------
    ImageError
        The Pillow image cannot be decoded, or has a side of one pixel.
    ArgumentTypeError, ArgumentError
        `image` has another type or dtype, or another shape.

    Notes
    -----
    One pass over the pixels: about the time of adding them up. Bit for bit the
    hash of the open program ``oaphotodna.py``.

    References
    ----------
    Deryck, Leblanc-Albarel, Preneel, "White-Box Attacks on PhotoDNA Perceptual
    Hash Function", IACR eprint 2026/486.

    Examples
    --------
    >>> import numpy as np
    >>> rows, columns = np.mgrid[0:200, 0:300]
    >>> image = (128 + 100 * np.sin(columns / 40) * np.cos(rows / 30)).astype(np.uint8)
    >>> hash_image(image)[:8]
    array([  4,  46, 152,   0,  68,   3, 154,   0], dtype=uint8)
    """
    return hash_and_detail(images.pixels(image)).hash


def hash_file(file: FileLike) -> NDArray[np.uint8]:
    """Return the PhotoDNA-like hash of an image file's first frame.

    Parameters
    ----------
    file : str, os.PathLike, bytes or binary file
        A path, the content of a file as bytes, or a file opened in binary mode,
        in any format that Pillow reads.

    Returns
    -------
    ndarray of uint8, (144,)
        As `hash_image` gives it.

    Raises
    ------
    ImageError
        The file is missing, unreadable, not an image, damaged, too large
        (``PIL.Image.MAX_IMAGE_PIXELS``) or has a side of one pixel. It names the
        file (``path``) and says what to do (``reason``).
    ArgumentTypeError
        `file` is of another type.

    Notes
    -----
    Another version of a decoder can move the hash of a JPEG file by an L2
    distance of 2 to 4: note Pillow's version beside results.
    """
    return hash_and_detail(images.read_pixels(file)).hash


def hash_files(
    paths: Iterable[PathLike],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    errors: Literal["raise", "record"] = "raise",
    into: PathLike | None = None,
    digest: bool = False,
) -> HashTable:
    """Return the hashes of many image files.

    Parameters
    ----------
    paths : iterable of str or os.PathLike
        Of image files; a generator is drawn from as work is done.
    max_workers : int, optional
        Threads, the number of processors if left out.
    executor : concurrent.futures.Executor, optional
        Where the files are read and hashed instead: a process pool, or a Dask
        cluster's ``client.get_executor()``, whose workers must see the files.
    progress : bool
        Whether to show a bar, in a terminal or a notebook.
    errors : {"raise", "record"}
        Whether a file that cannot be hashed ends the work with its error, or is
        listed in the table's ``failures``.
    into : str or os.PathLike, optional
        A file that the table is saved to: see `HashTable.save`. Beside it, in
        ``INTO.journal``, every hash is kept as soon as it is made: started again,
        by whatever it was stopped, the work goes on from there, and only files
        that are missing in it or have changed are hashed.
    digest : bool
        Whether a file has changed is told by the SHA-256 of its content, and not
        by its size and time of modification.

    Returns
    -------
    HashTable
        In the order of `paths`.

    Raises
    ------
    ImageError
        With ``errors="raise"``: of the first file, in order, that cannot be hashed.
    TableFileError
        `into` or its journal cannot be written.
    ArgumentTypeError, ArgumentError
        An argument has another type or value.

    Notes
    -----
    Reading and decoding, which is nearly all of the work, runs on all threads at
    once. Memory grows by the hashes and names alone.
    """
    if errors not in ("raise", "record"):
        raise ArgumentError(f"errors: got {errors!r}, needs 'raise' or 'record'")
    if into is not None:
        check_target(into)
    elif digest:
        raise ArgumentError("digest: goes with into, a file to go on from")
    failures: list[FileFailure] = []
    journal = nullcontext() if into is None else HashJournal(f"{checks.path('into', into)}.journal")
    with (
        journal as entries,
        closing(
            iterate_hashes(
                paths, max_workers=max_workers, executor=executor, journal=entries, digest=digest
            )
        ) as each,
        parallel.progress_bar(progress, paths, "files") as bar,
    ):

        def good() -> Iterator[tuple[str, bytes, float]]:
            for name, result in each:
                bar.update()
                if isinstance(result, HashWithDetail):
                    yield name, result.hash.tobytes(), result.detail
                elif errors == "raise":
                    raise result
                else:
                    failures.append(FileFailure(name, result.reason))

        table = table_from_rows(good())
    table.failures.extend(failures)
    if into is not None:
        table.save(into)
    return table


def iterate_hashes(
    paths: Iterable[PathLike],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    journal: HashJournal | None = None,
    digest: bool = False,
) -> Generator[tuple[str, HashWithDetail | ImageError], None, None]:
    """Yield each path, as text, with its hash and detail or the error it met, in order.

    `hash_files` without the table, for those who pass the hashes on, and with the
    same arguments. A journal is asked for what it holds and given what it does not.
    """
    if isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable):
        raise ArgumentTypeError(
            f"paths: got {describe(paths)}, needs several paths; hash one file with hash_file"
        )
    names = map(_name, paths)
    if journal is None:
        done = parallel.ordered_map(_named_hash, names, max_workers=max_workers, executor=executor)
        with closing(done):
            yield from done
        return
    known = ((name, journal.get(name), digest) for name in names)
    renewed = parallel.ordered_map(_renewed, known, max_workers=max_workers, executor=executor)
    with closing(renewed):
        for name, entry in renewed:
            if isinstance(entry, ImageError):
                yield name, entry
                continue
            known_entry = journal.get(name)
            if known_entry is None or entry[:3] != known_entry[:3]:
                journal.append(name, entry)
            yield name, entry.hashed


def _name(path: PathLike) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"paths: got {describe(path)} among them, needs paths")
    return os.fsdecode(path)


def _named_hash(name: str) -> tuple[str, HashWithDetail | ImageError]:
    try:
        return name, hash_and_detail(images.read_pixels(name))
    except ImageError as error:
        return name, error


def _renewed(task: tuple[str, JournalEntry | None, bool]) -> tuple[str, JournalEntry | ImageError]:
    return task[0], hash_if_changed(*task)
