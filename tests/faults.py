"""Kill programs that use an index, at random moments, and look at what they leave.

    python tests/faults.py --kills 400
    python tests/faults.py --writers 8 --readers 2 --seconds 120

A child builds an index, adds to it, removes from it, adds files again that have changed,
rebuilds it as the same or another index type, converts it into the other kind of metadata, and
verifies it, for ever. Before a change it prints what it is about to do and, once `save` has
returned, what it has done. It is killed (SIGKILL) after a time drawn from a seed. Then the
index must open, pass `verify` and hold what was reported, with the change that was cut off in
whole or not at all; each item must be found by a search, and each removed one be gone. The
next child goes on from there, on tables of the former version now and then. The table says how
many kills met a change, and what they left lying about.

With `--writers`, many programs use one index at once: see `writers.py`.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import writers
from index_changes import (
    KINDS,
    READING_KINDS,
    CheckedPair,
    FilePair,
    LostError,
    changes,
    copy_of,
    digest_of,
    hashes_of,
    make_all,
    name_of,
    reports,
)
from indexes import METADATA, write_former_tables

import photodna_nb as pdna
from photodna_nb import files

INDEX_TYPES = ("flat", "uint8", "IVF4,SQ8")
ROUTES = [(meta, index_type) for index_type in INDEX_TYPES for meta in METADATA]
# Enough for a change to take so long that most kills meet one.
SIZE = 3000
# Seconds, in which some changes are made.
LONGEST = {"flat": 0.6, "uint8": 0.6, "IVF4,SQ8": 3.0}
# Names that a child may give.
NAMES_OF_A_CHILD = 10**6


def child(pair: FilePair, index_type: str, seed: int, size: int, sabotage: str | None) -> None:
    if sabotage == "writes in place":
        files._write_temporary = _written_in_place
        files.move_into_place = lambda temporary, path, error_type: None
    with pdna.HashIndex.open(*pair) if pair[1].exists() else _empty() as index:
        names = set(map(name_of, index.items()))
        index.search(hashes_of([0]))  # compiled, and all imported
    print("ready", flush=True)
    drawn = random.Random(seed)
    first = (seed + 1) * NAMES_OF_A_CHILD
    make_all(changes(names, first, size, drawn, index_type), pair, sabotage)


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


class Route(CheckedPair):
    """A pair of files that children change, and another one into which they convert it."""

    def __init__(self, folder: Path, meta: str, index_type: str) -> None:
        self.name = f"{meta.partition('.')[2]} {index_type}"
        self.folder = folder / self.name.replace(" ", "-")
        super().__init__((self.folder / "index.faiss", self.folder / meta), self.folder, Counter())
        self.copy = CheckedPair(copy_of(self.pair), self.folder, self.seen)
        self._built_type = index_type

    def kill(self, seed: int, *, size: int = SIZE, sabotage: str | None = None) -> None:
        """Start a child, kill it, and check what it leaves."""
        drawn = random.Random(seed)
        share = drawn.random()
        if self.pair[1].suffix == ".sqlite" and self.pair[1].exists() and drawn.random() < 0.25:
            write_former_tables(self.pair[1])
            self.seen["former tables"] += 1
        begun = time.monotonic()
        process = started(self.pair, self._built_type, seed, size, sabotage)
        with process:
            # Busy machines, on which the start takes longer, take longer for changes as well.
            slowness = max(1, time.monotonic() - begun)
            time.sleep(share * slowness * LONGEST[self._built_type])
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().splitlines()
        if process.returncode != -signal.SIGKILL:
            raise LostError(f"the child ended by itself, with {process.returncode}")
        self.seen["kills"] += 1
        self._check_all(lines)

    def _check_all(self, lines: list[str]) -> None:
        gone: set[int] = set()
        copy_before, copy_after = self.copy.names, None
        made = reports(lines)
        digests = [*(report.change.digest for report in made), digest_of(self.pair)][1:]
        after = new_type = copy_type = None
        for report, digest in zip(made, digests, strict=True):
            change = report.change
            if change.what in READING_KINDS and digest != change.digest:
                raise LostError(f"{change.what} has changed a file")
            names = change.applied(self.names)
            if report.ended is None:
                after = names
                self.seen["met a change"] += 1
                self.seen[f"of these {change.what}"] += 1
                if change.what in ("build", "retype"):
                    new_type = change.index_type
                if change.what == "convert":
                    copy_after, copy_type = names, change.index_type
                break
            self.seen["reported"] += 1
            gone |= self.names - names
            self.names, self.ids = names, self.ids | report.ids
            if change.what in ("build", "retype"):
                self.index_type = change.index_type
            if change.what == "convert":
                self.copy.names, self.copy.ids = names, self.ids
                self.copy.index_type = change.index_type
        replaced = after is not None and change.what == "build"
        self.check(gone, after, new_type, replaced)
        if copy_after or self.copy.names is not copy_before:
            replaced = copy_after is not None
            self.copy.check(copy_before - self.copy.names, copy_after, copy_type, replaced)


ROWS = (
    "kills",
    "met a change",
    *(f"of these {kind}" for kind in ("remove", *dict.fromkeys(KINDS))),
    "former tables",
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
    jobs: int = 1,
) -> list[Route]:
    """Kill children, as many on each route; `LostError` if anything is wrong."""
    routes = [Route(folder, *route) for route in ROUTES if index_type in (None, route[1])]

    def kill(start: int) -> None:
        route = routes[start]
        for i in range(start, number, len(routes)):
            try:
                route.kill(1000 * seed + i)
            except LostError as error:
                error.add_note(f"kill {i} of seed {seed}, {route.name}, files in {route.folder}")
                raise
            if i % 25 == 24:
                report(f"kill {i + 1} of {number}")

    with ThreadPoolExecutor(jobs) as executor:
        list(executor.map(kill, range(len(routes))))
    return routes


def table(columns: dict[str, Counter[str]], rows: Iterable[str]) -> str:
    """Return what was seen, and the sums, as Markdown."""
    columns = columns | {"all": sum(columns.values(), Counter())}
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(f"{seen[row]:,}" for seen in columns.values())] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill programs that use an index.")
    parser.add_argument("--kills", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--index-type", choices=INDEX_TYPES, help="kill programs of this type only")
    parser.add_argument("--jobs", type=int, default=1, help="how many children there are at once")
    parser.add_argument("--writers", type=int, default=0, help="of one index, at once")
    parser.add_argument("--readers", type=int, default=2, help="beside the writers")
    parser.add_argument("--seconds", type=float, default=120, help="time that writers write")
    options = parser.parse_args()
    start = time.perf_counter()
    # It stays if anything is lost.
    folder = Path(tempfile.mkdtemp())
    if options.writers:
        columns = {
            f"{meta.partition('.')[2]} {options.index_type or 'flat'}": writers.write_at_once(
                folder / meta,
                meta,
                options.writers,
                options.readers,
                options.seconds,
                options.seed,
                options.index_type or "flat",
            )
            for meta in METADATA
        }
        print(table(columns, writers.ROWS))
    else:
        routes = kill_often(
            folder, options.kills, options.seed, print, options.index_type, options.jobs
        )
        print(table({route.name: route.seen for route in routes}, ROWS))
    shutil.rmtree(folder)
    print(f"nothing lost; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        index, meta, index_type, seed, size, *sabotage = sys.argv[2:]
        child((Path(index), Path(meta)), index_type, int(seed), int(size), *sabotage or [None])
    else:
        main()
