"""The command line: flags to calls to text.

Each mode imports what it needs when it runs: FAISS, Numba and Pillow are slow
to import, and help and wrong usage need none of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import platform
import sys
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from photodna_nb import __version__
from photodna_nb.errors import ArgumentError, FileError, PhotodnaError
from photodna_nb.names import displayed

if TYPE_CHECKING:
    from photodna_nb.distances import Metric
    from photodna_nb.errors import ImageError
    from photodna_nb.index import HashIndex
    from photodna_nb.stages import Hashed
    from photodna_nb.table import HashTable

PROGRAM = "photodna-nb"
TOP_K = 10

_USAGE = f"usage: {PROGRAM} MODE [options]"

_HELP = f"""\
{_USAGE}

PhotoDNA-like perceptual hashes (144 bytes an image): compute them, compare two
images, search a local FAISS index. Not affiliated with PhotoDNA or Microsoft.

modes, exactly one a call:
  --hash IMAGE
        print the 144 values, comma-separated, on one line
  --hash-dir DIRECTORY
        print a JSON list of the hashes of the files in DIRECTORY, by file name;
        sub-directories are skipped, unless --recursive is given
  --files-from FILE
        print the same list of the images whose paths are in FILE, or on standard
        input if FILE is -: a path a line, or ended by NUL characters (find -print0)
  --compare IMAGE1 IMAGE2
        print the distance and the similarity of two images
  --faiss-build INDEX META IMAGE [IMAGE ...]
        make a new index in two files: INDEX for FAISS, META with ids, paths and
        hashes as JSON
  --faiss-add INDEX META IMAGE [IMAGE ...]
        append images to an index; those that are indexed already are skipped.
        Both take --files-from FILE in place of images, or with them
  --faiss-query INDEX META QUERY_IMAGE [TOP_K]
        print the TOP_K (default {TOP_K}) closest matches that keep the limits
  --faiss-rebuild INDEX META
        write INDEX anew from META, when INDEX is lost, damaged or out of step
  --version
        print the version, and those of Python, NumPy, Numba, Pillow and FAISS
  -h, --help
        print this

options:
  --jobs N
        how many images are read at once (default: the number of processors)
  --recursive
        with --hash-dir: go down into sub-directories
  --output FILE
        with --hash-dir and --files-from: write FILE, once all is done, instead of
        printing; its suffix is .json, .csv, .npz or .parquet
  --metric {{euclidean,manhattan}}
        with --compare: the distance that is printed (default euclidean)
  --min-similarity S
        with --faiss-query: only matches with a similarity of S or more, 0 to 1
  --max-distance D
        with --faiss-query: only matches at an L2 distance of D or less
  --overwrite
        with --faiss-build: replace INDEX and META if they exist
  --max-pixels N
        the largest image that is read, in pixels (default 89478485); larger
        ones may be decompression bombs and are refused

examples:
  {PROGRAM} --hash photo.jpg
  {PROGRAM} --hash-dir photos > hashes.json
  {PROGRAM} --hash-dir photos --recursive --output hashes.csv
  find photos -name '*.jpg' -print0 | {PROGRAM} --files-from - --jobs 4
  {PROGRAM} --compare a.jpg b.jpg
  {PROGRAM} --compare a.jpg b.jpg --metric manhattan
  {PROGRAM} --faiss-build index.faiss meta.json photos/*.jpg
  {PROGRAM} --faiss-add index.faiss meta.json new1.jpg new2.jpg
  {PROGRAM} --faiss-query index.faiss meta.json query.jpg 20 --max-distance 100
  {PROGRAM} --faiss-rebuild index.faiss meta.json

Similarity is 1 - L2 distance / 3060. Two unrelated photographs score about 0.70
and lie about 900 apart; resized or recompressed copies mostly lie within 100.
Both limits are inclusive and exact; with both, a match keeps both. Matches are
ordered by distance, then id.

The first call compiles the kernels into a cache: NUMBA_CACHE_DIR, or else a folder
beside the package or the user's cache folder, whichever can be written.

A file name that begins with a dash is written ./-name.jpg. Names are printed
with control characters escaped; JSON holds them unchanged.

exit status: 0 all good; 1 something failed, named on standard error (one bad
image does not spoil the rest); 2 wrong usage.
"""


def script() -> NoReturn:
    """Run the command line as a process of its own.

    Numba makes a hundred thousand objects to start, and none of them is garbage.
    Looking for some, when it starts and once more at the end, would take a
    third of the time of hashing a small picture.
    """
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 good, 1 a failure, 2 wrong usage.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if left out.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        return 130
    except _OutputError as error:
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error.__cause__, BrokenPipeError):  # the reader has gone: `| head`
            return 1
        return _failed(f"standard output cannot be written ({error})")


class _OutputError(Exception):
    """Standard output cannot be written; nothing more can be done."""


def _print(*lines: str, end: str = "\n", flush: bool = False) -> None:
    """Print lines on standard output."""
    try:
        print(*lines, sep="\n", end=end, flush=flush)
    except OSError as error:
        raise _OutputError(error.strerror) from error


def _flush() -> None:
    """Have standard output take what is printed, while an error can still be said."""
    _print(end="", flush=True)


def _run(arguments: list[str]) -> int:
    parser = _parser()
    if not arguments:
        arguments = ["--help"]
    try:
        options = parser.parse_args(arguments)
        _checked(parser, options)
    except SystemExit as stop:  # argparse: 0 after --help and --version, 2 after wrong usage
        _flush()
        return int(stop.code or 0)
    try:
        with _pixel_limit(options.max_pixels):
            status = _dispatch(options)
        _flush()
    except (PhotodnaError, MemoryError) as error:
        return _failed(str(error) or "out of memory")
    except _OutputError:
        raise
    except Exception as error:  # a bug; say so without a traceback in the user's face
        if os.environ.get("PHOTODNA_NB_TRACEBACK"):
            traceback.print_exc()
        return _failed(
            f"unexpected {type(error).__name__}: {displayed(str(error))}; please report it, "
            "with what is printed when PHOTODNA_NB_TRACEBACK=1 is set"
        )
    return status


@contextmanager
def _pixel_limit(limit: int | None) -> Iterator[None]:
    """Set Pillow's limit, one for the process; a caller in Python gets his own one back."""
    if limit is None:
        yield
        return
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limit
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _dispatch(options: argparse.Namespace) -> int:
    if options.hash is not None:
        return _hash(options.hash)
    if options.compare is not None:
        return _compare(*options.compare, metric=options.metric or "euclidean")
    if options.faiss_query is not None:
        return _faiss_query(
            *options.faiss_query,
            min_similarity=options.min_similarity,
            max_distance=options.max_distance,
        )
    if options.faiss_rebuild is not None:
        return _faiss_rebuild(*options.faiss_rebuild)
    listed, status = ([] if options.files_from is None else _listed(options.files_from)), 0
    if options.faiss_build is not None:
        index_path, meta_path, *paths = options.faiss_build
        return _faiss_build(
            index_path, meta_path, [*paths, *listed], options.jobs, bool(options.overwrite)
        )
    if options.faiss_add is not None:
        index_path, meta_path, *paths = options.faiss_add
        return _faiss_add(index_path, meta_path, [*paths, *listed], options.jobs)
    if options.hash_dir is not None:
        listed, status = _files_in(options.hash_dir, bool(options.recursive))
    return max(status, _hash_many(listed, options.jobs, options.output))


def _hash(image: str) -> int:
    hashed = _Images([image], jobs=1).only()
    _print(",".join(map(str, hashed.hash.tolist())))
    return 0


def _hash_many(paths: list[str], jobs: int | None, output: str | None) -> int:
    images = _Images(paths, jobs)
    if output is not None:
        from photodna_nb.table import check_target

        check_target(output)
        images.table().save(output)
        return images.status
    from photodna_nb.table import json_entry

    separator = "["
    for path, hashed in images:
        _print(separator, json.dumps(json_entry(path, hashed.hash)), end="")
        separator = ","
    _print("\n]" if separator == "," else "[]")
    return images.status


def _files_in(directory: str, recursive: bool) -> tuple[list[str], int]:
    """Return the files in a directory, by name, with those below it; and the exit status.

    That is 1 if a folder below cannot be listed, which is said, and spoils nothing else.
    """
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"cannot be listed ({error.strerror}); check the path"
        raise FileError(directory, reason) from error
    files = [os.path.join(directory, entry.name) for entry in found if not _is_folder(entry)]
    status = 0
    if recursive:
        for entry in found:
            if _is_folder(entry) and not entry.is_symlink():  # a link may lead in a circle
                try:
                    below, its_status = _files_in(os.path.join(directory, entry.name), recursive)
                except FileError as error:
                    below, its_status = [], _failed(str(error))
                files += below
                status = max(status, its_status)
    return files, status


def _listed(name: str) -> list[str]:
    """Return the paths in a file, or on standard input."""
    try:
        if name == "-":
            if sys.stdin is None:
                raise FileError(name, "standard input is closed; give a file or a pipe")
            content = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                content = file.read()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); check the path"
        raise FileError(name, reason) from error
    if b"\0" in content:
        paths = content.split(b"\0")
    else:
        paths = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(path) for path in paths if path]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, say; hashing it will tell
        return False


def _compare(image1: str, image2: str, *, metric: Metric) -> int:
    from photodna_nb.distances import distance, similarity

    images = _Images([image1, image2], jobs=1)
    hashes = [hashed.hash for _, hashed in images]
    if not images.status:
        a, b = hashes
        _print(
            f"Distance ({metric}): {distance(a, b, metric):.4f}",
            f"Similarity: {similarity(a, b):.6f}",
        )
    return images.status


def _faiss_build(
    index_path: str, meta_path: str, paths: list[str], jobs: int | None, overwrite: bool
) -> int:
    from photodna_nb.index import HashIndex

    index = HashIndex.create(index_path, meta_path, overwrite=overwrite)
    status, added, skipped = _add(index, paths, jobs)
    if not added:
        return _failed(f"{displayed(index_path)}: not written, since no image could be hashed")
    _print_added("Indexed", added, skipped, index_path)
    return status


def _faiss_add(index_path: str, meta_path: str, paths: list[str], jobs: int | None) -> int:
    from photodna_nb.index import HashIndex

    status, added, skipped = _add(HashIndex.open(index_path, meta_path), paths, jobs)
    _print_added("Added", added, skipped, index_path)
    return status


def _add(index: HashIndex, paths: list[str], jobs: int | None) -> tuple[int, int, int]:
    """Add images and save; return the status and how many were added and skipped."""
    import PIL

    unknown = [path for path in paths if not (path and path in index)]
    images = _Images(unknown, jobs)
    table = images.table()
    skipped = len(paths) - len(unknown)
    if not len(table):
        return images.status, 0, skipped
    extra = [{"detail": float(detail), "pillow": PIL.__version__} for detail in table.detail]
    added = index.add(table.paths, table.hashes, extra=extra)
    index.save()
    return images.status, len(added.ids), skipped + len(added.skipped)


def _print_added(verb: str, added: int, skipped: int, index_path: str) -> None:
    _print(f"{verb} {added} file(s) into {displayed(index_path)}")
    if skipped:
        _print(f"Skipped {skipped} file(s) that were indexed already")


def _faiss_query(
    index_path: str,
    meta_path: str,
    query: str,
    top_k: int = TOP_K,
    *,
    min_similarity: str | None,
    max_distance: str | None,
) -> int:
    from photodna_nb.index import HashIndex

    index = HashIndex.open(index_path, meta_path)
    hashed = _Images([query], jobs=1).only()
    (matches,) = index.search(hashed.hash, top_k, min_similarity, max_distance)
    _print(f"Query: {displayed(query)}", f"Results: {len(matches)}")
    for rank, match in enumerate(matches, start=1):
        _print(
            "",
            f"[{rank}] {displayed(match.path)}",
            f"    id={match.id}",
            f"    distance={match.distance:.4f}",
            f"    similarity={match.similarity:.6f}",
            f"    distance_squared={match.distance_squared:.4f}",
        )
    return 0


def _faiss_rebuild(index_path: str, meta_path: str) -> int:
    from photodna_nb.index import HashIndex

    count = len(HashIndex.rebuild(index_path, meta_path))
    _print(f"Rebuilt {displayed(index_path)} with {count} file(s)")
    return 0


class _Images:
    """Hashes files on several threads, in order, and names the bad ones on standard error.

    Attributes
    ----------
    status : int
        The exit status: 1 after any bad file.
    """

    def __init__(self, paths: list[str], jobs: int | None) -> None:
        self._paths = paths
        self._jobs = jobs
        self.status = 0

    def __iter__(self) -> Iterator[tuple[str, Hashed]]:
        """Yield each path that can be hashed, with its hash and detail."""
        for path, result in self._each():
            if isinstance(result, FileError):
                self.status = _failed(str(result))
            else:
                yield path, result

    def only(self) -> Hashed:
        """Return the hash and detail of the only file, or raise its error."""
        with closing(self._each()) as each:
            _, result = next(each)
        if isinstance(result, FileError):
            raise result
        return result

    def table(self) -> HashTable:
        """Return all that can be hashed."""
        from photodna_nb.table import table_of

        return table_of((path, one.hash.tobytes(), one.detail) for path, one in self)

    def _each(self) -> Generator[tuple[str, Hashed | ImageError], None, None]:
        """Yield what becomes of each path; a bar says how far the work is, on a terminal."""
        if not self._paths:
            return
        _start_numba()
        from photodna_nb import parallel
        from photodna_nb.hashing import hash_each

        shown = len(self._paths) > 2 and sys.stderr is not None and sys.stderr.isatty()
        jobs = min(self._jobs or os.cpu_count() or 1, len(self._paths))
        with (
            _quiet_decoders(),
            closing(hash_each(self._paths, max_workers=jobs)) as each,
            parallel.progress_bar(shown, self._paths, "images") as bar,
        ):
            for result in each:
                yield result
                bar.update()


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Keep what decoders have to say from standard error: it names no file, and is no error.

    Pillow warns and logs; libtiff and its like write past Python.
    """
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _quiet_libraries():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    if sys.stderr is None:  # closed by the caller
        yield
        return
    sys.stderr.flush()
    before, kept, nowhere = sys.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    # What Python has to say still goes where it went.
    options: Any = {"encoding": before.encoding, "errors": before.errors, "buffering": 1}
    try:
        with suppress(OSError), open(kept, "w", closefd=False, **options) as sys.stderr:
            yield
    finally:
        sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)


def _start_numba() -> None:
    """Make the first call of the kernels, without SciPy; say so if they must be compiled.

    Numba imports ``scipy.linalg`` at its first call, if SciPy is installed, to
    look for BLAS. No kernel here needs it.
    """
    if "numba" in sys.modules:
        return
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = None  # type: ignore[assignment]  # import scipy raises ImportError
    try:
        _announce_compilation()
        import numpy as np

        from photodna_nb.hashing import hash_image

        hash_image(np.zeros((2, 2), np.uint8))
    finally:
        gc.enable()  # the start is over: see `script`
        if hidden:
            del sys.modules["scipy"]


def _announce_compilation() -> None:
    from numba.core import event

    from photodna_nb.kernels import jit

    class Notice(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                _say(
                    "compiling the kernels, which takes some seconds; "
                    + (
                        "later calls take them from the cache"
                        if jit.cached
                        else "for later calls, set NUMBA_CACHE_DIR to a folder that can be written"
                    )
                )

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Notice())  # type: ignore[no-untyped-call]


def _failed(message: str) -> int:
    """Say what failed, after what is printed already, and return the exit status."""
    _flush()
    _say(f"error: {message}")
    return 1


def _say(message: str) -> None:
    """Print a line on standard error; where that is closed or full, the status must do."""
    if sys.stderr is not None:
        over_a_bar = "\r\x1b[K" if sys.stderr.isatty() else ""
        with suppress(OSError):
            print(f"{over_a_bar}{PROGRAM}: {message}", file=sys.stderr, flush=True)


class _Parser(argparse.ArgumentParser):
    """argparse with our help text, and names in its messages made safe to show."""

    def format_help(self) -> str:
        return _HELP

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized"):
            message = f"{message[:200]}; files follow their mode directly, and -x.jpg is ./-x.jpg"
        self.exit(2, f"{_USAGE}\n{PROGRAM}: error: {displayed(message)}; see {PROGRAM} --help\n")


class _Version(argparse.Action):
    """Print the version, and those of what a hash or an answer depends on."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        from importlib.metadata import version

        packages = {"NumPy": "numpy", "Numba": "numba", "Pillow": "pillow", "FAISS": "faiss-cpu"}
        versions = ", ".join(f"{name} {version(package)}" for name, package in packages.items())
        _print(f"{PROGRAM} {__version__} (Python {platform.python_version()}, {versions})")
        parser.exit()


class _Once(argparse.Action):
    """Store the value of an option that is given once; the second one would hide the first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--hash", action=_Once)
    modes.add_argument("--hash-dir", action=_Once)
    modes.add_argument("--compare", nargs=2, action=_Once)
    modes.add_argument("--faiss-build", nargs="+", action=_Once)
    modes.add_argument("--faiss-add", nargs="+", action=_Once)
    modes.add_argument("--faiss-query", nargs="+", action=_Once)
    modes.add_argument("--faiss-rebuild", nargs=2, action=_Once)
    parser.add_argument("--files-from", action=_Once)
    parser.add_argument("--jobs", type=_count)
    parser.add_argument("--recursive", action="store_const", const=True)
    parser.add_argument("--output", action=_Once)
    parser.add_argument("--metric", choices=["euclidean", "manhattan"])
    parser.add_argument("--min-similarity")
    parser.add_argument("--max-distance")
    parser.add_argument("--overwrite", action="store_const", const=True)
    parser.add_argument("--max-pixels", type=_count)
    return parser


def _checked(parser: _Parser, options: argparse.Namespace) -> None:
    """Refuse what argparse cannot: no mode, too few files, options of another mode."""
    modes = ("hash", "hash_dir", "compare", "faiss_build", "faiss_add", "faiss_query")
    given = [mode for mode in (*modes, "faiss_rebuild") if getattr(options, mode) is not None]
    if not given and options.files_from is None:
        parser.error("a mode is needed, --hash IMAGE for example")
    for mode in ("faiss_build", "faiss_add"):
        needed = 3 if options.files_from is None else 2
        if mode in given and len(getattr(options, mode)) < needed:
            parser.error(f"--{mode.replace('_', '-')} needs INDEX META IMAGE [IMAGE ...]")
    query = options.faiss_query
    if query is not None:
        if len(query) not in (3, 4):
            parser.error("--faiss-query needs INDEX META QUERY_IMAGE [TOP_K]")
        try:
            query[3:] = [_count(text) for text in query[3:]]
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument TOP_K: {error}")
    mode = given[0] if given else "files_from"
    for option, its_modes in (
        ("metric", ["compare"]),
        ("min_similarity", ["faiss_query"]),
        ("max_distance", ["faiss_query"]),
        ("overwrite", ["faiss_build"]),
        ("recursive", ["hash_dir"]),
        ("output", ["hash_dir", "files_from"]),
        ("files_from", ["files_from", "faiss_build", "faiss_add"]),
        ("jobs", ["hash_dir", "files_from", "faiss_build", "faiss_add"]),
        ("max_pixels", ["files_from", *modes]),
    ):
        if getattr(options, option) is not None and mode not in its_modes:
            names = " or ".join(f"--{name}" for name in its_modes)
            parser.error(f"--{option} goes with {names}".replace("_", "-"))
    if options.output is not None:
        from photodna_nb.table import check_suffix

        try:
            check_suffix(options.output)
        except ArgumentError as error:
            parser.error(f"argument --output: {error}")
    if query is not None:
        from photodna_nb.distances import limit_squared

        try:
            limit_squared(options.min_similarity, options.max_distance)
        except ArgumentError as error:
            parser.error(f"argument --{str(error).replace('_', '-', 1)}")


def _count(text: str) -> int:
    if text.isdecimal() and len(text) < 1000 and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text!r}, needs an integer of at least 1")
