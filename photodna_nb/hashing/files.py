"""The hash of one image, and of many files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks, parallel
from photodna_nb.errors import ArgumentError, ImageError
from photodna_nb.files import PathLike
from photodna_nb.hashing import images
from photodna_nb.hashing.hash_journal import HashJournal, HashRecord, hash_if_changed
from photodna_nb.hashing.images import FileLike, ImageLike
from photodna_nb.hashing.low_detail import LowDetailImages
from photodna_nb.hashing.stages import HashWithDetail, hash_and_detail
from photodna_nb.tables.columns import FileFailure
from photodna_nb.tables.formats import check_target
from photodna_nb.tables.table import HashTable, table_from_rows


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
        6 x 6 cells (rows, columns) x 4 directions. All zero for flat images of 80 pixels
        or more a side: see `detail`.

    Raises
    ------
    ImageError
        The Pillow image cannot be decoded, or has a side of one pixel.
    ArgumentTypeError, ArgumentError
        `image` has another type or dtype, or another shape.

    Notes
    -----
    The hash takes one pass over the pixels, about as long as their sum. It equals that of the
    open program ``oaphotodna.py`` bit for bit.

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
        in any format that Pillow reads, in HEIC or HEIF with the extra ``heif``, and in JPEG XL
        with the extra ``jxl``.

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
    Another version of a decoder can change the hash of a JPEG file by an L2 distance of
    2 to 4. Report Pillow's version with results.
    """
    return hash_and_detail(images.read_pixels(file)).hash


def hash_files(
    paths: Iterable[PathLike],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    errors: Literal["raise", "record"] = "raise",
    output: PathLike | None = None,
    compare_content: bool = False,
    cache: PathLike | None = None,
) -> HashTable:
    """Return the hashes of many image files.

    Parameters
    ----------
    paths : iterable of str or os.PathLike
        Paths of image files. A generator is consumed as work is done.
    max_workers : int, optional
        Number of threads; by default the number of processors.
    executor : concurrent.futures.Executor, optional
        Executor that reads and hashes the files instead of threads: of processes, joblib, Dask
        (``client.get_executor()``) or Ray. Its workers must have access to the files.
    progress : bool
        Whether to show a progress bar, in a terminal or a notebook.
    errors : {"raise", "record"}
        Whether a file that cannot be hashed ends the work with its error, or is
        listed in the table's ``failures``.
    output : str or os.PathLike, optional
        A file that the table is saved to: see `HashTable.save`. Each hash is appended to the
        journal ``OUTPUT.journal`` as soon as it is computed. After an interruption the same
        call hashes only the files that are missing in the journal or have changed.
    compare_content : bool
        Whether a file counts as changed if the SHA-256 of its content differs, instead of
        its size or its time of modification.
    cache : str or os.PathLike, optional
        A journal of hashes, in place of ``OUTPUT.journal``, that many calls may share: hashes of
        unchanged files are taken from it, and new ones are appended to it.

    Returns
    -------
    HashTable
        Hashes and failures, in the order of `paths`.

    Raises
    ------
    ImageError
        With ``errors="raise"``: the first file, in order, that cannot be hashed.
    TableFileError
        `output` or the journal cannot be written, or the journal is a file of another kind.
    ResourceError
        A worker of `executor` was killed, or it was closed.
    ArgumentTypeError, ArgumentError
        An argument has another type or value.

    Warns
    -----
    LowDetailWarning
        Images have less than 100 grey levels of detail. It says how many, which are the
        first ones, and how many of them have pixels that Pillow clips to 8 bits.

    Notes
    -----
    The threads read and decode files at the same time, which is nearly all of the work.
    Memory grows with the hashes and paths only, not with the pixels.
    """
    options = HashOptions(
        max_workers, executor, progress, errors, output, compare_content, cache, _no_kind
    )
    options.check()
    return hash_listed(paths, options)


def _no_kind(path: str, error: ImageError) -> str:
    """Skip no file."""
    return ""


class HashOptions(NamedTuple):
    """The arguments of `hash_files` besides the paths, and what is skipped.

    skipped_kind : callable
        Takes the path of a file that cannot be hashed, and its error; returns the kind as which
        it is counted in the table's ``skipped``, or "" if it is a failure.
    """

    max_workers: int | None
    executor: Executor | None
    progress: bool
    errors: Literal["raise", "record"]
    output: PathLike | None
    compare_content: bool
    cache: PathLike | HashJournal | None
    skipped_kind: Callable[[str, ImageError], str]

    def check(self) -> None:
        """Refuse wrong arguments before anything is read."""
        checks.choice("errors", self.errors, ("raise", "record"))
        if self.output is not None:
            check_target(self.output)
        if self.compare_content and self.output is None and self.cache is None:
            raise ArgumentError(
                "compare_content: got True, needs output or cache; give the file that the table "
                "is saved to, or one for the hashes of files"
            )

    def journal(self) -> AbstractContextManager[HashJournal | None]:
        """Return the journal of the hashes, opened, if there is to be one."""
        if isinstance(self.cache, HashJournal):
            return self.cache
        if self.cache is not None:
            return HashJournal(checks.path("cache", self.cache))
        if self.output is None:
            return nullcontext()
        output = checks.path("output", self.output)
        return HashJournal(f"{output}.journal", like=output)


def hash_listed(
    paths: Iterable[PathLike],
    options: HashOptions,
    complete: Callable[[HashTable], HashTable] = lambda table: table,
) -> HashTable:
    """Return the hashes of files: see `hash_files`. Files of a `skipped_kind` are counted only.

    complete: returns the whole table, before it is saved.
    """
    rows = _Rows(options)
    with (
        options.journal() as journal,
        closing(
            iterate_records(
                paths,
                max_workers=options.max_workers,
                executor=options.executor,
                journal=journal,
                compare_content=options.compare_content,
            )
        ) as results,
        parallel.progress_bar(options.progress, paths, "files") as bar,
    ):
        table = table_from_rows(rows.of(results, bar))
    table = complete(
        replace(
            table,
            failures=rows.failures,
            file_status=np.array(rows.file_status, np.int64).reshape(-1, 2),
            image_size=np.array(rows.image_size, np.int32).reshape(-1, 2),
            from_journal=np.array(rows.from_journal, np.bool_),
            skipped=dict(rows.skipped),
        )
    )
    if options.output is not None:
        table.save(options.output)
    rows.low_detail.warn()
    return table


class _Rows:
    """The rows of a table of hashed files, and what is known besides the hashes."""

    def __init__(self, options: HashOptions) -> None:
        self._errors, self._skipped_kind = options.errors, options.skipped_kind
        self.failures: list[FileFailure] = []
        self.file_status: list[tuple[int, int]] = []
        self.image_size: list[tuple[int, int]] = []
        self.from_journal: list[bool] = []
        self.skipped: Counter[str] = Counter()
        self.low_detail = LowDetailImages()

    def of(
        self, results: Iterable[tuple[str, HashRecord | ImageError, bool]], bar: Any
    ) -> Iterator[tuple[str, bytes, float]]:
        """Yield path, hash and detail of each hashed file, and note the rest."""
        for path, result, from_journal in results:
            bar.update()
            if isinstance(result, HashRecord):
                self.low_detail.add(path, result.hash_with_detail)
                self.file_status.append((result.size, result.modified))
                self.image_size.append((result.width, result.height))
                self.from_journal.append(from_journal)
                yield path, result.hash, result.detail
            elif kind := self._skipped_kind(path, result):
                self.skipped[kind] += 1
            elif self._errors == "raise":
                try:
                    raise result
                finally:
                    del result  # its traceback has this frame
            else:
                self.failures.append(FileFailure(path, result.reason))


# A path, the record of its file in the journal, and whether the content decides.
_Task = tuple[str, HashRecord | None, bool]


def iterate_hashes(
    paths: Iterable[PathLike],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    journal: HashJournal | None = None,
    compare_content: bool = False,
) -> Generator[tuple[str, HashWithDetail | ImageError], None, None]:
    """Yield the hash and detail of each file, or its error, in order.

    This is `hash_files` without the table, for files whose hashes are used one by one.

    Parameters
    ----------
    paths, max_workers, executor
        As in `hash_files`.
    journal : HashJournal, optional
        Journal of earlier hashes. Hashes of unchanged files are taken from it, all others
        are appended to it.
    compare_content : bool
        As in `hash_files`, for files in the journal.

    Yields
    ------
    path : str
        Path of the file.
    result : HashWithDetail or ImageError
        ``result.hash``, ``result.detail`` and ``result.clipped_from`` (see
        `stages.HashWithDetail`), or the error of the file.

    Raises
    ------
    TableFileError
        The journal cannot be written.
    ArgumentTypeError, ArgumentError
        An argument has another type or value.
    """
    with closing(
        iterate_records(
            paths,
            max_workers=max_workers,
            executor=executor,
            journal=journal,
            compare_content=compare_content,
        )
    ) as results:
        for path, result, _ in results:
            yield path, result.hash_with_detail if isinstance(result, HashRecord) else result


def iterate_records(
    paths: Iterable[PathLike],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    journal: HashJournal | None = None,
    compare_content: bool = False,
) -> Generator[tuple[str, HashRecord | ImageError, bool], None, None]:
    """Yield the record of each file, or its error, in order: see `iterate_hashes`.

    The third value is whether the record is one of the journal, as it was opened.
    """
    checks.iterable("paths", paths, "several paths", "hash one file with hash_file")
    names = (checks.path("paths", path) for path in paths)
    tasks = ((name, journal.get(name) if journal else None, compare_content) for name in names)
    results = parallel.ordered_map(
        _hash_if_changed, tasks, max_workers=max_workers, executor=executor
    )
    with closing(results):
        for path, result in results:
            from_journal = journal is not None and result == journal.get(path)
            if journal is not None and isinstance(result, HashRecord) and not from_journal:
                journal.append(result)
            yield path, result, from_journal


def _hash_if_changed(task: _Task) -> tuple[str, HashRecord | ImageError]:
    return task[0], hash_if_changed(*task)
