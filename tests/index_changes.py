"""Changes that child processes make to an index and report, and a check of what they leave.

An item's name is a number, from which its hash is drawn; it is stored in `extra`. Names from
`FIRST_PICTURE` on are contents of picture files, of which each writer has a few: an update gives
some of them other contents and adds them again. All other items have labels.
"""

import json
import os
import random
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import shake_128
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import photodna_nb as pdna
from photodna_nb.index.metadata import Item
from photodna_nb.index.verification import Verification

FIRST_PICTURE = 10**12
# Names and picture files of a writer.
NAMES_OF_A_WRITER, PICTURES_OF_A_WRITER = 10**9, 8
# Those of a child that writes alone; "add" stands for additions and removals.
KINDS = ("build", "add", "add", "update", "rebuild", "retype", "convert", "verify")
READING_KINDS = ("convert", "verify")

Names = Iterable[int]
FilePair = tuple[Path, Path]


class LostError(AssertionError):
    """What was reported is not there, or what is there was never reported."""


class Change(NamedTuple):
    """What a child does between two saves.

    index_type: of the files that are written anew. digest: of both files before the change.
    """

    what: str
    added: range
    removed: list[int]
    index_type: str = "flat"
    digest: str = ""

    def applied(self, names: Names) -> set[int]:
        kept = set() if self.what == "build" else set(names) - set(self.removed)
        return kept | set(self.added)


class Report(NamedTuple):
    """A change that was announced and, unless its program was killed first, reported as done."""

    change: Change
    begun: float
    first_ids: list[int]
    ended: float | None

    @property
    def ids(self) -> dict[int, int]:
        """The ids of what was added."""
        added = self.change.added
        return {name: i for first in self.first_ids for i, name in enumerate(added, first)}


def reports(lines: Sequence[str]) -> list[Report]:
    """Read what `make_all` has printed."""
    read = []
    for line, end in zip(lines[::2], [*lines[1::2], "[[], null]"], strict=False):
        begun, what, (start, stop), *others = json.loads(line)
        read.append(Report(Change(what, range(start, stop), *others), begun, *json.loads(end)))
    return read


def hashes_of(names: Names) -> np.ndarray:
    return np.frombuffer(b"".join(map(_hash_of, names)), np.uint8).reshape(-1, 144)


@lru_cache(maxsize=1 << 16)
def _hash_of(name: int) -> bytes:
    if name < FIRST_PICTURE:
        return shake_128(b"%d" % name).digest(144)
    return pdna.hash_image(_pixels_of(name)).tobytes()


def _pixels_of(name: int) -> np.ndarray:
    # Of another size than the one before, as its time may be the same.
    width = 32 + name // PICTURES_OF_A_WRITER % 16
    content = shake_128(b"%d" % name).digest(32 * width * 3)
    return np.frombuffer(content, np.uint8).reshape(32, width, 3)


def writer_of(name: int) -> int:
    return name % FIRST_PICTURE // NAMES_OF_A_WRITER


def path_of(name: int, folder: Path) -> str:
    """The path of a picture, in the folder of the index, or a label."""
    if name < FIRST_PICTURE:
        return f"/photos/{name}.jpg"
    return str(folder / f"{writer_of(name)}-{name % PICTURES_OF_A_WRITER}.png")


def name_of(item: Item | pdna.Match) -> int:
    return item.extra["name"]


def copy_of(pair: FilePair) -> FilePair:
    """The files into which a pair is converted: the other kind of metadata."""
    suffix = ".json" if pair[1].suffix == ".sqlite" else ".sqlite"
    folder = pair[1].parent / "copy"
    return folder / pair[0].name, folder / pair[1].with_suffix(suffix).name


def digest_of(pair: FilePair) -> str:
    """A digest of both files."""
    return shake_128(b"".join(path.read_bytes() for path in pair if path.exists())).hexdigest(8)


# The child.


def changes(
    names: Names,
    first: int,
    size: int,
    drawn: random.Random,
    index_type: str = "flat",
    kinds: Sequence[str] = KINDS,
) -> Iterator[Change]:
    """Draw changes for ever, that keep the index at about `size` items; names begin at `first`.

    The newest label always stays, so that no state comes twice.
    """
    names = set(names)
    other_type = "uint8" if index_type == "flat" else "flat"
    while True:
        kind = drawn.choice(kinds) if names else kinds[0]
        count = drawn.randint(1, size // 2)
        labels = sorted(name for name in names if name < FIRST_PICTURE)[:-1]
        change = Change(kind, range(0), [], drawn.choice((index_type, other_type)))
        if kind == "build":
            added = range(first, first + count + size // 2)
            change = Change(kind, added, [], index_type)
        elif kind == "update":
            start = FIRST_PICTURE + first
            added = range(start, start + min(count, PICTURES_OF_A_WRITER))
            files = {path_of(name, Path()) for name in added}
            removed = [name for name in names if path_of(name, Path()) in files]
            change = change._replace(added=added, removed=removed)
        elif kind == "add" and labels and drawn.random() * len(names) > 0.6 * size:
            removed = drawn.sample(labels, drawn.randint(1, min(200, len(labels))))
            change = change._replace(what="remove", removed=removed)
        elif kind == "add":
            change = change._replace(added=range(first, first + count))
        first += len(change.added)
        names = change.applied(names)
        yield change


def make_all(drawn: Iterable[Change], pair: FilePair, sabotage: str | None = None) -> None:
    """Make changes, and print before each one what it is, and after it what was done."""
    for change in drawn:
        print(announcement(change, pair), flush=True)
        if sabotage == "reports too early":
            print(json.dumps([[], time.monotonic()]), flush=True)
        first_ids = make(change, pair)
        if sabotage != "reports too early":
            print(json.dumps([first_ids, time.monotonic()]), flush=True)


def announcement(change: Change, pair: FilePair) -> str:
    _, added, *others = change._replace(digest=digest_of(pair))
    return json.dumps([time.monotonic(), change.what, [added.start, added.stop], *others])


def make(change: Change, pair: FilePair) -> list[int]:
    """Make a change, save it, and return the first id of what was added, if anything was."""
    if change.what == "update":
        write_pictures(change.added, pair)
    ids = []
    with _opened(change, pair) as index:
        if change.what == "convert":
            copy = copy_of(pair)
            index.copy_to(*copy, index_type=change.index_type, overwrite=True).close()
        elif change.what == "verify":
            for compare_content in (False, True):
                index.verify(compare_content=compare_content)
        else:
            if change.added:
                paths = [path_of(name, pair[0].parent) for name in change.added]
                hashes = None if change.what == "update" else hashes_of(change.added)
                added = index.add(paths, hashes, extra=[{"name": name} for name in change.added])
                ids = sorted([*added.ids, *added.updated])
            if change.what == "remove":
                index.remove([path_of(name, pair[0].parent) for name in change.removed])
            index.save()
    if ids != list(range(ids[0], ids[0] + len(change.added)) if ids else change.added):
        raise LostError("not all were added")
    return ids[:1]


def _opened(change: Change, pair: FilePair) -> pdna.HashIndex:
    match change.what:
        case "build":
            return pdna.HashIndex.create(*pair, index_type=change.index_type, overwrite=True)
        case "rebuild":
            return pdna.HashIndex.rebuild(*pair)
        case "retype":
            return pdna.HashIndex.rebuild(*pair, index_type=change.index_type)
    return pdna.HashIndex.open(*pair)


def write_pictures(names: Names, pair: FilePair) -> None:
    """Give files other contents, each in one step."""
    for name in names:
        path = path_of(name, pair[0].parent)
        Image.fromarray(_pixels_of(name)).save(path + ".part", "png")
        os.replace(path + ".part", path)


# The parent.


def in_a_child(work: Callable[[], None]) -> int:
    """Return the id of a child that does something, and ends without all that programs do last."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # FAISS has threads; they rest
        pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


class CheckedPair:
    """A pair of files, and what is known to be in it.

    Attributes
    ----------
    pair : FilePair
        The two files, in a folder of their own.
    names, ids : set of int, dict
        The items that are there, and their ids, as far as they are known.
    index_type : str or None
        The type of the index, if it is known.
    seen : Counter
        What was seen after the kills.
    """

    def __init__(self, pair: FilePair, pictures: Path, seen: Counter[str]) -> None:
        pair[0].parent.mkdir()
        self.pair, self._pictures = pair, pictures
        self.names: set[int] = set()
        self.ids: dict[int, int] = {}
        self.index_type: str | None = None
        self.seen = seen

    def check(
        self,
        gone: set[int],
        after: set[int] | None,
        new_type: str | None = None,
        replaced: bool = False,
    ) -> None:
        """Check the files: as they were reported last or, after a kill, as they were to be.

        gone: names of items that were removed, and are not to be found. after: those of the
        items that there are if the change that was cut off is complete. new_type: the type
        that the index may have by then. replaced: whether it was a new index in place of an old
        one, which may have been killed between its two files.
        """
        left = os.listdir(self.pair[0].parent)
        self.seen["left .tmp"] += any(name.endswith(".tmp") for name in left)
        self.seen["left journal"] += any(name.endswith("-journal") for name in left)
        if not self.pair[1].exists():
            if self.names:
                raise LostError("the metadata is gone")
            return
        try:
            index = pdna.HashIndex.open(*self.pair)
        except pdna.IndexFileError as error:
            if not replaced or "--faiss-rebuild" not in error.reason:
                raise LostError(f"does not open: {error}") from error
            self.seen["index refused"] += 1
            index = pdna.HashIndex.rebuild(*self.pair)
        with index:
            if self.index_type and index.index_type not in (self.index_type, new_type):
                raise LostError(f"its type is {index.index_type}")
            self.index_type = index.index_type
            self.compare(index, gone, after)

    def compare(self, index: pdna.HashIndex, gone: set[int], after: set[int] | None) -> None:
        self.seen["index behind"] += index._session.rows.rows_on_disk != len(index)
        items = list(index.items())
        ids = {name_of(item): item.id for item in items}
        names = set(ids)
        if len(ids) != len(items) or len(set(ids.values())) != len(items):
            raise LostError("a path or an id is there twice")
        if names == self.names:
            self.seen["change undone"] += after not in (None, names)
        elif names == after:
            self.seen["change whole"] += 1
            gone = gone | self.names - names
        else:
            raise LostError(f"{len(self.names - names)} items lost, {len(names - self.names)} more")
        kept = names & self.ids.keys()
        if any(ids[name] != self.ids[name] for name in kept):
            raise LostError("an item has got another id")
        asked = sorted(names)
        answers = index.search(hashes_of(asked), 2, max_distance=0)
        found = [[(match.path, match.id) for match in matches] for matches in answers]
        if found != [[(self.path_of(name), ids[name])] for name in asked]:
            raise LostError("an item is not found by its hash")
        some = asked[:: 1 + len(asked) // 500]  # one by one, which takes longer
        if any(self.path_of(name) not in index or ids[name] not in index for name in some):
            raise LostError("an item is not found by its path or its id")
        if any(index.search(hashes_of(sorted(gone - names)), 1, max_distance=0)):
            raise LostError("an item that was removed is found")
        self.verify(index, names)
        self.seen["items checked"] += len(asked)
        self.names, self.ids = names, ids

    def verify(self, index: pdna.HashIndex, names: Names) -> Verification:
        """Check that it finds the pictures that a killed program has replaced, and nothing else."""
        pictures = sorted(name for name in names if name >= FIRST_PICTURE)
        replaced = sorted(
            self.path_of(name)
            for name in pictures
            if pdna.hash_file(self.path_of(name)).tobytes() != _hash_of(name)
        )
        for compare_content in (False, True):
            found = index.verify(compare_content=compare_content)
            # These say what there is in which file, as after a kill or of a former version.
            found_files = replace(found, lacking=[], n_pending=0, n_unchecked=0, other_type=None)
            n_labels = len(index) - len(pictures)
            found_files.changed.sort()
            if found_files != Verification(len(index), replaced, n_labels=n_labels):
                raise LostError(f"verify says {found}, and {replaced} were replaced")
        return found

    def path_of(self, name: int) -> str:
        return path_of(name, self._pictures)
