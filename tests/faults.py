"""Kill programs while they write an index, at random moments, and look at what they leave.

    python tests/faults.py --kills 300

A child builds an index, adds to it, removes from it and rebuilds it, for ever. Before a
change it prints what it is about to do and, once `save` has returned, what it has done.
It is killed (SIGKILL) after a time drawn from a seed. Then the index must open, pass
`verify` and hold what was reported, with the change that was cut off in whole or not at
all; each item must be found by a search, and each removed one be gone. The next child goes
on from there. The table says how many kills met a change, and what they left lying about.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import shake_128
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import photodna_nb as pdna
from photodna_nb import files

METADATA = ("meta.json", "meta.sqlite")
INDEX_TYPES = ("flat", "uint8", "IVF4,SQ8")
ROUTES = [(meta, index_type) for index_type in INDEX_TYPES for meta in METADATA]
# Enough for a change to take so long that most kills meet one.
SIZE = 3000
# Seconds, in which some changes are made.
LONGEST = {"flat": 0.6, "uint8": 0.6, "IVF4,SQ8": 6.0}

Names = Iterable[int]


class LostError(AssertionError):
    """What was reported is not there, or what is there was never reported."""


class Change(NamedTuple):
    """What a child does between two saves. An item's name is a number, its hash drawn from it."""

    what: str
    added: range
    removed: list[int]

    def applied(self, names: Names) -> set[int]:
        kept = set() if self.what == "build" else set(names) - set(self.removed)
        return kept | set(self.added)

    def as_json(self) -> str:
        return json.dumps([self.what, self.added.start, self.added.stop, self.removed])

    @classmethod
    def of_json(cls, line: str) -> "Change":
        what, start, stop, removed = json.loads(line)
        return cls(what, range(start, stop), removed)


def hashes_of(names: Names) -> np.ndarray:
    content = b"".join(shake_128(b"%d" % name).digest(144) for name in names)
    return np.frombuffer(content, np.uint8).reshape(-1, 144)


def path_of(name: int) -> str:
    return f"/photos/{name}.jpg"


def name_of(path: str) -> int:
    return int(Path(path).stem)


# The child.


def changes(names: set[int], first: int, size: int, drawn: random.Random) -> Iterator[Change]:
    """Draw changes for ever, that keep the index at about `size` items."""
    while True:
        count = drawn.randint(1, size // 2)
        added = range(first, first + count)
        if not names or drawn.random() < 0.15:
            change = Change("build", range(first, first + count + size // 2), [])
        elif drawn.random() < 0.1:
            change = Change("rebuild", range(0), [])
        elif drawn.random() * len(names) < 0.6 * size:
            change = Change("add", added, [])
        else:
            some = drawn.sample(sorted(names), min(len(names) - 1, drawn.randint(1, 200)))
            change = Change("remove", range(0), some)
        first = max(first, change.added.stop)
        names = change.applied(names)
        yield change


def make(change: Change, pair: tuple[Path, Path], index_type: str) -> list[int]:
    """Make a change, save it, and return the first id of what was added, if anything was."""
    if change.what == "rebuild":
        opened = pdna.HashIndex.rebuild(*pair)
    elif change.what == "build":
        opened = pdna.HashIndex.create(*pair, index_type=index_type, overwrite=True)
    else:
        opened = pdna.HashIndex.open(*pair)
    ids = []
    with opened as index:
        if change.added:
            ids = index.add(list(map(path_of, change.added)), hashes_of(change.added)).ids
        if change.removed:
            index.remove(list(map(path_of, change.removed)))
        index.save()
    if ids != list(range(ids[0], ids[0] + len(change.added)) if ids else change.added):
        raise LostError("not all were added")
    return ids[:1]


def child(
    pair: tuple[Path, Path], index_type: str, seed: int, size: int, sabotage: str | None
) -> None:
    if sabotage == "writes in place":
        files._write_temporary = _written_in_place
        files.move_into_place = lambda temporary, path, error_type: None
    with pdna.HashIndex.open(*pair) if pair[1].exists() else _empty() as index:
        names = {name_of(item.path) for item in index.items()}
        index.search(hashes_of([0]))  # compiled, and all imported
    print("ready", flush=True)
    for change in changes(names, max(names, default=0) + 1, size, random.Random(seed)):
        print(change.as_json(), flush=True)
        if sabotage == "reports too early":
            print("[]", flush=True)
        first = make(change, pair, index_type)
        if sabotage != "reports too early":
            print(json.dumps(first), flush=True)


def _empty() -> pdna.HashIndex:
    return pdna.HashIndex.create("i", "m")


def _written_in_place(path: str, chunks: Iterable[bytes], _: type) -> str:
    with open(path, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    return path


def started(pair, index_type, seed, size=SIZE, sabotage=None) -> subprocess.Popen:
    """Return a child that is about to begin its first change."""
    words = [*map(str, pair), index_type, seed, size, *([sabotage] if sabotage else [])]
    command = [sys.executable, __file__, "--child", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        process.wait()
        raise LostError(f"the child could not go on, and exited with {process.returncode}")
    return process


# The parent.


class Route:
    """One pair of files, and what is known to be in it."""

    def __init__(self, folder: Path, meta: str, index_type: str) -> None:
        self.name = f"{meta.partition('.')[2]} {index_type}"
        self.index_type = index_type
        self.folder = folder / self.name.replace(" ", "-")
        self.folder.mkdir()
        self.pair = self.folder / "index.faiss", self.folder / meta
        self.names: set[int] = set()
        self.ids: dict[int, int] = {}
        self.seen: Counter[str] = Counter()

    def kill(self, seed: int, *, size: int = SIZE, sabotage: str | None = None) -> None:
        """Start a child, kill it, and check what it leaves."""
        wait = random.Random(seed).uniform(0, LONGEST[self.index_type])
        process = started(self.pair, self.index_type, seed, size, sabotage)
        with process:
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().splitlines()
        if process.returncode != -signal.SIGKILL:
            raise LostError(f"the child ended by itself, with {process.returncode}")
        self.seen["kills"] += 1
        gone: set[int] = set()
        for line, reported in zip(lines[::2], [*lines[1::2], ""], strict=False):
            change = Change.of_json(line)
            after = change.applied(self.names)
            if not reported:
                self.seen["met a change"] += 1
                self.seen[f"of these {change.what}"] += 1
                self.check(gone, after)
                return
            gone |= self.names - after
            self.names = after
            for first in json.loads(reported):
                self.ids |= zip(change.added, range(first, first + len(change.added)), strict=True)
            self.seen["reported"] += 1
        self.check(gone, None)

    def check(self, gone: set[int], after: set[int] | None) -> None:
        """Check the files: as they were reported last or, after a kill, as they were to be."""
        left = os.listdir(self.folder)
        self.seen["left .tmp"] += any(name.endswith(".tmp") for name in left)
        self.seen["left journal"] += any(name.endswith("-journal") for name in left)
        if not self.pair[1].exists():
            if self.names:
                raise LostError("the metadata is gone")
            return
        try:
            index = pdna.HashIndex.open(*self.pair)
        except pdna.IndexFileError as error:
            # A new index in place of an old one may be killed between its two files.
            if after is None or "--faiss-rebuild" not in error.reason:
                raise LostError(f"does not open: {error}") from error
            self.seen["index refused"] += 1
            index = pdna.HashIndex.rebuild(*self.pair)
        with index:
            self.compare(index, gone, after)

    def compare(self, index: pdna.HashIndex, gone: set[int], after: set[int] | None) -> None:
        index.verify()
        self.seen["index behind"] += index._session.rows.rows_on_disk != len(index)
        items = list(index.items())
        ids = {name_of(item.path): item.id for item in items}
        names = set(ids)
        if len(ids) != len(items) or len(set(ids.values())) != len(items):
            raise LostError("a path or an id is there twice")
        if names == self.names:
            self.seen["change undone"] += after is not None
        elif names == after:
            self.seen["change whole"] += 1
            gone |= self.names - names
        else:
            raise LostError(f"{len(self.names - names)} items lost, {len(names - self.names)} more")
        kept = names & self.ids.keys()
        if any(ids[name] != self.ids[name] for name in kept):
            raise LostError("an item has got another id")
        asked = sorted(names)
        answers = index.search(hashes_of(asked), 2, max_distance=0)
        found = [[(match.path, match.id) for match in matches] for matches in answers]
        if found != [[(path_of(name), ids[name])] for name in asked]:
            raise LostError("an item is not found by its hash")
        gone -= names
        if any(index.search(hashes_of(sorted(gone)), 1, max_distance=0)):
            raise LostError("an item that was removed is found")
        self.seen["items checked"] += len(asked)
        self.names, self.ids = names, ids


COLUMNS = (
    "kills",
    "met a change",
    "of these build",
    "of these add",
    "of these remove",
    "of these rebuild",
    "left .tmp",
    "left journal",
    "index behind",
    "index refused",
    "change undone",
    "change whole",
    "reported",
    "items checked",
)


def kill_often(
    folder: Path,
    number: int,
    seed: int = 0,
    report: Callable[[str], Any] = lambda _: None,
    index_type: str | None = None,
) -> list[Route]:
    """Kill children on all routes by turns; `LostError` if anything is wrong."""
    routes = [Route(folder, *route) for route in ROUTES if index_type in (None, route[1])]
    for i in range(number):
        route = routes[i % len(routes)]
        try:
            route.kill(1000 * seed + i)
        except LostError as error:
            error.add_note(f"kill {i} of seed {seed}, {route.name}, files in {route.folder}")
            raise
        if i % 25 == 24:
            report(f"{i + 1} kills")
    return routes


def table(routes: list[Route]) -> str:
    """Return what was seen, a column each route."""
    total = sum((route.seen for route in routes), Counter())
    lines = [["", *(route.name for route in routes), "all"]]
    for column in COLUMNS:
        counts = [*(route.seen[column] for route in routes), total[column]]
        lines.append([column, *map(str, counts)])
    return "\n".join(
        f"{line[0]:16}" + "".join(f"{cell:>14}" for cell in line[1:]) for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill programs that write an index.")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--index-type", choices=INDEX_TYPES, help="kill programs of this type only")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        routes = kill_often(Path(folder), options.kills, options.seed, print, options.index_type)
    print(table(routes))
    print(f"nothing lost; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        index, meta, index_type, seed, size, *sabotage = sys.argv[2:]
        child((Path(index), Path(meta)), index_type, int(seed), int(size), *sabotage or [None])
    else:
        main()
