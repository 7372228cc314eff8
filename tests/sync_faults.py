"""Kill programs that make an index follow a folder, at random moments, and look at what they leave.

    python tests/sync_faults.py --kills 200
    python tests/sync_faults.py --syncs 3 --readers 2 --seconds 60

Before each kill the pictures of a folder are changed: some are new, some have other contents or
other names, some are gone, and some files are no pictures. A child calls `sync`, which saves after
every few files here, and reports what it has saved. It is killed (SIGKILL) after a time drawn from
a seed. Then the index must open and pass `verify`, and hold what was reported, unless the file has
changed since; each of its hashes must be one that the file once had. Now and then a call that is
not killed must complete: then the index holds exactly what the folder holds.

With `--syncs`, several programs sync one index at once while others read it and the folder
changes.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from faults import table
from index_changes import LostError, in_a_child
from indexes import METADATA, write_former_tables
from PIL import Image

import photodna_nb as pdna
from photodna_nb.index import folder_sync

ROUTES = [(meta, index_type) for index_type in ("flat", "uint8") for meta in METADATA]
N_FILES = 30
# How many calls are killed before one may complete.
KILLS_IN_A_ROW = 3


class Pictures:
    """A folder whose files change.

    Attributes
    ----------
    contents : dict of str to str
        Hash of each picture that is there, in hexadecimal, by path; empty for what is none.
    former : dict of str to set of str
        All hashes that the file of a path ever had.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._drawn = random.Random(seed)
        self.contents: dict[str, str] = {}
        self.former: dict[str, set[str]] = defaultdict(set)
        for below in ("", "one", "one/two", "three"):
            (folder / below).mkdir(parents=True)
            (folder / below / "stays.txt").write_text("no picture")
        for _ in range(N_FILES):
            self.change()

    def change(self) -> None:
        """Change one file: a new one, another content, another name, or none any more."""
        drawn, paths = self._drawn, sorted(self.contents)
        kind = drawn.choice(("new", "new", "other", "name", "gone"))
        if kind == "new" and len(paths) > 2 * N_FILES:
            kind = "gone"
        if kind == "new" or len(paths) < N_FILES // 2:
            below = drawn.choice(("", "one", "one/two", "three"))
            self._write(str(self.folder / below / f"{drawn.randrange(10**6)}.png"))
        elif kind == "other":
            self._write(drawn.choice(paths))
        elif kind == "name":
            former, path = drawn.choice(paths), str(self.folder / f"{drawn.randrange(10**6)}.png")
            self.former[path].add(self.contents[former])
            os.replace(former, path)
            self.contents[path] = self.contents.pop(former)
        else:
            path = drawn.choice(paths)
            os.unlink(path)
            del self.contents[path]

    def _write(self, path: str) -> None:
        part = str(self.folder.parent / "part.png")
        content = ""
        if self._drawn.random() < 0.1:
            Path(part).write_bytes(self._drawn.randbytes(100))
        else:
            pixels = np.frombuffer(self._drawn.randbytes(24 * 32 * 3), np.uint8)
            Image.fromarray(pixels.reshape(24, 32, 3)).save(part)
            content = pdna.hash_file(part).tobytes().hex()
        # Two contents of one size may follow each other within the clock's step.
        time_of_file = self._drawn.randrange(10**18, 2 * 10**18)
        os.utime(part, ns=(time_of_file, time_of_file))
        self.former[path].add(content)
        os.replace(part, path)
        self.contents[path] = content

    @property
    def hashes(self) -> dict[str, str]:
        """Hash of each picture, without the files that are none."""
        return {path: content for path, content in self.contents.items() if content}


def save_often() -> None:
    """Save after each file that is hashed."""
    folder_sync._SECONDS_OF_A_BATCH = folder_sync._TIMES_OF_A_COMMIT = 0.0


def sync_and_report(
    pair: tuple[Path, Path], folder: Path, index_type: str, output: int, early: bool = False
) -> None:
    """Sync, and write what was saved to a pipe: hashes by path, None for what was removed."""
    save_often()

    def report(saved: dict[str, str | None]) -> None:
        os.write(output, json.dumps(saved).encode() + b"\n")

    append, commit = folder_sync.changes.append, folder_sync.IndexSession.commit
    stored: dict[str, str | None] = {}

    def noted(session, candidates, hashes):
        saved = append(session, candidates, hashes)
        rows = zip(candidates, hashes, strict=True)
        stored.update({one.path: row.tobytes().hex() for one, row in rows})
        if early:
            report(stored)
        return saved

    def reported(session, **options):
        commit(session, **options)
        report(stored)
        stored.clear()

    folder_sync.changes.append, folder_sync.IndexSession.commit = noted, reported
    with pdna.HashIndex.open_or_create(*pair, index_type=index_type) as index:
        done = index.sync([folder])
    report(dict.fromkeys(done.removed))


class Route:
    """An index and its folder, and what was reported of it."""

    def __init__(self, folder: Path, meta: str, index_type: str, seed: int) -> None:
        self.name = f"{meta.partition('.')[2]} {index_type}"
        self._index_type = index_type
        place = folder / self.name.replace(" ", "-")
        place.mkdir()
        self.pair = place / "index.faiss", place / meta
        self.pictures = Pictures(place / "photos", seed)
        self.reported: dict[str, str | None] = {}
        self.seen: Counter[str] = Counter()
        self._drawn = random.Random(seed)
        self._seconds = 0.0
        self._in_a_row = 0

    def kill(self, early: bool = False) -> None:
        """Change the folder, start a call, kill it, and check what it leaves."""
        for _ in range(self._drawn.randint(1, 30)):
            self.pictures.change()
        if self._in_a_row >= KILLS_IN_A_ROW:
            self.complete()
            self._in_a_row = 0
            if self._drawn.random() < 0.3:
                self._begin_anew()
            elif self.pair[1].suffix == ".sqlite" and self._drawn.random() < 0.5:
                write_former_tables(self.pair[1], self._drawn.choice((2, 3)))
                self.seen["former tables"] += 1
            return self.kill(early)
        self._in_a_row += 1
        self._run(self._drawn.uniform(0, self._seconds), early)
        return None

    def _begin_anew(self) -> None:
        """Have the next call make the index."""
        for path in self.pair:
            path.unlink()
        self.reported = {}
        self.seen["new indexes"] += 1

    def _run(self, seconds: float | None, early: bool = False) -> None:
        source, output = os.pipe()
        work = partial(
            sync_and_report, self.pair, self.pictures.folder, self._index_type, output, early
        )
        begun = time.monotonic()
        pid = in_a_child(work)
        os.close(output)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        with open(source, "rb") as pipe:
            lines = pipe.read().split(b"\n")[:-1]
        exited = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if exited not in ([0] if seconds is None else [0, -signal.SIGKILL]):
            raise LostError(f"the call ended by itself, with {exited}")
        if seconds is None:
            self._seconds = time.monotonic() - begun
        for line in lines:
            self.reported |= json.loads(line)
        if seconds is not None:
            self.seen["kills"] += 1
            self.seen["met a call"] += exited != 0
            self.seen["met one that had saved"] += exited != 0 and bool(lines)
        self._check()

    def _check(self) -> None:
        """Check what is in the index: what was reported, and nothing that never was there."""
        left = os.listdir(self.pair[0].parent)
        self.seen["left .tmp"] += any(name.endswith(".tmp") for name in left)
        self.seen["left journal"] += any(name.endswith("-journal") for name in left)
        self.seen["index file missing"] += self.pair[1].exists() and not self.pair[0].exists()
        if not self.pair[1].exists():
            if self.reported:
                raise LostError("the metadata is gone")
            return
        with pdna.HashIndex.open_or_create(*self.pair) as index:
            self.seen["index behind"] += index._session.rows.rows_on_disk != len(index)
            index.verify()
            items = check_items(index, self.pictures)
            there = self.pictures.contents
            for path, content in self.reported.items():
                # A change that was saved and not reported any more is one as well.
                changed = items.get(path) == there.get(path)
                if content is not None and items.get(path) != content and not changed:
                    raise LostError(f"{path} was reported, and is not there")
            self.seen["items checked"] += len(items)
            self.reported = dict(items)

    def complete(self) -> None:
        """Have a call complete: the index holds what the folder holds."""
        self._run(None)
        self.seen["calls completed"] += 1
        with pdna.HashIndex.open(*self.pair) as index:
            check_complete(index, self.pictures)


def check_items(index: pdna.HashIndex, pictures: Pictures) -> dict[str, str]:
    """Return the hashes of an index by path, once the files once had them and they are found."""
    listed = list(index.items())
    items = {item.path: item.hash.tobytes().hex() for item in listed}
    if len(items) != len(listed):
        raise LostError("a path is there twice")
    for path, content in items.items():
        if content not in pictures.former[path]:
            raise LostError(f"{path} never had that hash")
    if listed:
        found = index.search(np.stack([item.hash for item in listed]), 3, max_distance=0)
        for item, matches in zip(listed, found, strict=True):
            if item.id not in [match.id for match in matches]:
                raise LostError(f"{item.path} is not found by its hash")
    return items


def check_complete(index: pdna.HashIndex, pictures: Pictures) -> None:
    """Check that an index holds exactly what the folder holds."""
    items = check_items(index, pictures)
    # The item of a picture that is none any more stays as it was.
    readable = {path: one for path, one in items.items() if pictures.contents.get(path) != ""}
    if readable != pictures.hashes:
        raise LostError(f"differs in {set(readable.items()) ^ pictures.hashes.items()}")
    for compare_content in (False, True):
        found = index.verify(compare_content=compare_content)
        bad = [*found.changed, *found.missing, *(failure.path for failure in found.failures)]
        if not set(bad) <= items.keys() - readable.keys() or found.lacking:
            raise LostError(f"verify says {found}")
    again = index.sync([pictures.folder])
    if again.unchanged != len(readable) or again.failures or again.removed:
        raise LostError(f"the next call says {again}")


ROWS = (
    "kills",
    "met a call",
    "met one that had saved",
    "left .tmp",
    "left journal",
    "index file missing",
    "index behind",
    "new indexes",
    "former tables",
    "calls completed",
    "items checked",
)


def kill_often(
    folder: Path, number: int, seed: int = 0, report: Callable[[str], None] = lambda _: None
) -> list[Route]:
    """Kill calls, as many on each route; `LostError` if anything is wrong."""
    routes = [Route(folder, *route, seed + i) for i, route in enumerate(ROUTES)]
    for route in routes[:number]:
        route.complete()  # how long a call takes, that builds the index
        route._begin_anew()
    for i in range(number):
        route = routes[i % len(routes)]
        try:
            route.kill()
        except LostError as error:
            error.add_note(f"kill {i} of seed {seed}, {route.name}, files in {route.pair[0]}")
            raise
        if i % 20 == 19:
            report(f"kill {i + 1} of {number}")
    for route in routes[:number]:
        route.complete()
    return routes


def sync_at_once(
    folder: Path, meta: str, n_syncs: int, n_readers: int, seconds: float, seed: int = 0
) -> Counter[str]:
    """Have programs sync and read one index while its folder changes; `LostError` at a fault.

    On a busy machine it lasts longer than `seconds`, until there were five changes for each.
    """
    pictures = Pictures(folder / "photos", seed)
    pair = folder / "index.faiss", folder / meta
    stop = folder / "stop"

    def sync_until_the_end() -> None:
        save_often()
        while not stop.exists():
            with pdna.HashIndex.open_or_create(*pair) as index:
                index.sync([pictures.folder])

    def read_until_the_end() -> None:
        while not stop.exists():
            if pair[0].exists():
                with pdna.HashIndex.open(*pair) as index:
                    listed = list(index.items())
                    paths = {item.path for item in listed}
                    if len(paths) != len(listed):
                        raise LostError("a path is there twice")

    works = [sync_until_the_end] * n_syncs + [read_until_the_end] * n_readers
    children = [in_a_child(work) for work in works]
    drawn, seen = random.Random(seed), Counter({"syncs": n_syncs, "readers": n_readers})
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end or seen["changes of the folder"] < 5 * seconds:
            pictures.change()
            seen["changes of the folder"] += 1
            time.sleep(drawn.uniform(0, 0.05))
    finally:
        stop.touch()
        exited = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(exited):
        raise LostError(f"the programs ended with {exited}")
    with pdna.HashIndex.open_or_create(*pair) as index:
        index.sync([pictures.folder])
        check_complete(index, pictures)
        seen["items ever"] = index._session.store.state().next_id - 1
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill programs that sync an index.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--syncs", type=int, default=0, help="programs of one index, at once")
    parser.add_argument("--readers", type=int, default=2, help="beside them")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        if options.syncs:
            columns = {}
            for meta in METADATA:
                folder = Path(place, meta.partition(".")[2])
                folder.mkdir()
                arguments = options.syncs, options.readers, options.seconds, options.seed
                columns[folder.name] = sync_at_once(folder, meta, *arguments)
            rows: tuple[str, ...] = ("syncs", "readers", "changes of the folder", "items ever")
        else:
            routes = kill_often(Path(place), options.kills, options.seed, print)
            columns, rows = {route.name: route.seen for route in routes}, ROWS
        print(table(columns, rows))
    print(f"nothing lost; {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
