"""Programs that add, update and remove at once in one index, while others search and list it.

    python tests/faults.py --writers 8 --readers 2 --seconds 120

Each writer has names and picture files of its own, and reports what it does; some are killed at
random moments, and begin again. For each writer, an answer of a reader must hold the items of one
state that was reported or in progress at that time; and as writers take turns, of any two
answers, one is the older one for every writer. In the end every item that was reported is there, by
its hash, id and path, every removed one is gone, no id was used twice, and `verify` says nothing.
"""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from hashlib import shake_128
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from index_changes import (
    NAMES_OF_A_WRITER,
    CheckedPair,
    FilePair,
    LostError,
    Names,
    changes,
    hashes_of,
    make_all,
    name_of,
    path_of,
    reports,
    writer_of,
)

import photodna_nb as pdna
from photodna_nb.index.writer_lock import WriterLock

# About as many items has each writer.
SIZE = 40
KINDS = ("add", "add", "update")
NAMES_OF_A_RUN = 10**6
# Name of the file whose existence ends all programs.
STOP = "stop"


def write(pair: FilePair, number: int, run: int, sabotage: str = "") -> None:
    """Print the items of a writer, then change them until the end."""
    if sabotage == "takes no lock":
        WriterLock.acquire = lambda self: None
    with pdna.HashIndex.open(*pair) as index:
        ids = {name_of(i): i.id for i in index.items() if writer_of(name_of(i)) == number}
    print(json.dumps([time.monotonic(), list(ids.items())]), flush=True)
    first = number * NAMES_OF_A_WRITER + run * NAMES_OF_A_RUN + 1
    drawn = changes(ids, first, SIZE, random.Random(first), kinds=KINDS)
    make_all(itertools.takewhile(lambda _: not _stopped(pair), drawn), pair)


def read(pair: FilePair) -> None:
    """Search and list, in an index that stays open and in new ones; print what is there."""
    with pdna.HashIndex.open(*pair) as kept:
        found(kept, pair)  # compiled, and all imported
        for lists, opens in itertools.cycle(itertools.product((True, False), repeat=2)):
            begun = time.monotonic()
            with pdna.HashIndex.open(*pair) if opens else nullcontext(kept) as index:
                names = listed(index, pair) if lists else found(index, pair)
            states = {number: digest(some) for number, some in by_writer(names).items()}
            print(json.dumps([begun, time.monotonic(), lists, states]), flush=True)
            if _stopped(pair):
                return


def _stopped(pair: FilePair) -> bool:
    return (pair[0].parent / STOP).exists()


def listed(index: pdna.HashIndex, pair: FilePair) -> list[int]:
    """The names of all items, whose hashes and paths are checked."""
    items = list(index.items())
    names = list(map(name_of, items))
    if [item.path for item in items] != [path_of(name, pair[0].parent) for name in names]:
        raise LostError("a path is not that of its item")
    if items and (np.stack([item.hash for item in items]) != hashes_of(names)).any():
        raise LostError("a hash is not that of its item")
    return names


def found(index: pdna.HashIndex, pair: FilePair) -> list[int]:
    """The names of all matches, whose distances and paths are checked."""
    ((*matches,),) = index.search(hashes_of([0]), 10**5)
    names = list(map(name_of, matches))
    if [match.path for match in matches] != [path_of(name, pair[0].parent) for name in names]:
        raise LostError("a path is not that of its match")
    squared = ((hashes_of(names).astype(int) - hashes_of([0])) ** 2).sum(axis=1)
    if squared.tolist() != [match.distance_squared for match in matches]:
        raise LostError("a distance is not that of its match")
    return names


def by_writer(names: Names) -> dict[int, list[int]]:
    parts = defaultdict(list)
    for name in names:
        parts[writer_of(name)].append(name)
    return parts


def digest(names: Names) -> str:
    return shake_128(repr(sorted(names)).encode()).hexdigest(8)


class History:
    """The states of the items of one writer, in order, and when each was made.

    Attributes
    ----------
    names, ids, all_ids : set of int, dict, dict
        The items in the end; their ids; and those of all that there ever were.
    seen : Counter
        How many changes there were.
    """

    def __init__(self) -> None:
        self.names: set[int] = set()
        self.all_ids: dict[int, int] = {}
        self.seen: Counter[str] = Counter()
        self._numbers = {digest(()): 0}
        self._begun, self._ended = [0.0], [0.0]
        self._cut_off: tuple[float, set[int]] | None = None

    def follow(self, lines: list[str]) -> None:
        """Add what a run of the writer has printed: what it found, and what it did."""
        if not lines:
            return
        at, items = json.loads(lines[0])
        names = {name for name, _ in items}
        if self._cut_off:
            begun, after = self._cut_off
            self.seen["change whole" if names == after else "change undone"] += 1
            if names == after:
                self._put(after, begun, at)
            self._cut_off = None
        if names != self.names:
            raise LostError(f"{len(self.names - names)} lost, {len(names - self.names)} more")
        self._put_ids(dict(items))
        for report in reports(lines[1:]):
            after = report.change.applied(self.names)
            if report.ended is None:
                self._cut_off = report.begun, after
                self.seen["met a change"] += 1
                return
            self.seen[f"reported {report.change.what}"] += 1
            self._put(after, report.begun, report.ended)
            self._put_ids(report.ids)

    def _put(self, names: set[int], begun: float, ended: float) -> None:
        self._numbers[digest(names)] = len(self._begun)
        self._begun.append(begun)
        self._ended.append(ended)
        self.names = names

    def _put_ids(self, ids: dict[int, int]) -> None:
        if any(self.all_ids.get(name, i) != i for name, i in ids.items()):
            raise LostError("an item has got another id")
        self.all_ids |= ids

    def state(self, state: str, begun: float, ended: float) -> int:
        """Return the number of a state that an answer shows, which was read in that time."""
        number = self._numbers.get(state)
        if number is None:
            raise LostError("an answer shows what there never was")
        # The last one that had been reported when the reading began.
        if number < bisect_right(self._ended, begun) - 1:
            raise LostError("an answer lacks what had been reported")
        if self._begun[number] > ended:
            raise LostError("an answer shows what had not begun")
        return number


class Answer(NamedTuple):
    """What a reader has found: digests of the items of each writer, whose numbers are texts."""

    begun: float
    ended: float
    is_list: bool
    states: dict[str, str]


def check_answers(answers: list[Answer], histories: list[History]) -> int:
    """Check that each answer is one state, and return how many there are."""
    states = set()
    for answer in answers:
        states.add(
            tuple(
                history.state(answer.states.get(str(i), digest(())), answer.begun, answer.ended)
                for i, history in enumerate(histories)
            )
        )
    for earlier, later in itertools.pairwise(sorted(states, key=sum)):
        if any(one > other for one, other in zip(earlier, later, strict=True)):
            raise LostError("of two answers, each one shows what the other one lacks")
    return len(states)


class _Programs:
    """Writers and readers, whose output goes into files."""

    def __init__(self, pair: FilePair, n_writers: int, n_readers: int, sabotage: str) -> None:
        self._pair, self._sabotage = pair, sabotage
        self._folder = pair[0].parent / "printed"
        self._folder.mkdir()
        self._runs = [0] * n_writers
        self.processes: dict[str, subprocess.Popen[Any]] = {}
        for i in range(n_writers):
            self._start_writer(i)
        for i in range(n_readers):
            self._start(f"reader {i}")

    def _start(self, name: str, run: int = 0, *words: Any) -> None:
        command = [sys.executable, __file__, *map(str, (*self._pair, *words))]
        with self._output(name, run).open("wb") as output:
            self.processes[name] = subprocess.Popen(command, stdout=output)

    def _start_writer(self, number: int) -> None:
        run = self._runs[number]
        self._start(f"writer {number}", run, number, run, self._sabotage)
        self._runs[number] += 1

    def _output(self, name: str, run: int = 0) -> Path:
        return self._folder / f"{name} {run}"

    def wait_until_seen(self) -> None:
        """Wait until an update was reported, and readers have listed and found four states."""
        while True:
            self.check_running()
            made = [report for _, lines in self._written() for report in reports(lines[1:])]
            answers = self.answers()
            states = {str(sorted(answer.states.items())) for answer in answers}
            updated = any(report.ended and report.change.what == "update" for report in made)
            if updated and len({answer.is_list for answer in answers}) == 2 and len(states) > 3:
                return
            time.sleep(0.1)

    def wait_until_ready(self) -> None:
        """Wait until each one has printed something."""
        while not all(self._output(name).stat().st_size for name in self.processes):
            self.check_running()
            time.sleep(0.05)

    def check_running(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise LostError(f"{name} ended by itself, with {process.returncode}")

    def kill_writer(self, number: int) -> None:
        """Kill a writer, and start it again."""
        process = self.processes[f"writer {number}"]
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise LostError(f"writer {number} ended by itself, with {process.returncode}")
        self._start_writer(number)

    def stop(self) -> None:
        """Have all end after what they do."""
        (self._pair[0].parent / STOP).touch()
        for name, process in self.processes.items():
            if process.wait(timeout=200):
                raise LostError(f"{name} exited with {process.returncode}")

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def histories(self) -> list[History]:
        histories = [History() for _ in self._runs]
        for i, lines in self._written():
            histories[i].follow(lines)
        return histories

    def answers(self) -> list[Answer]:
        names = [name for name in self.processes if name.startswith("reader")]
        return [Answer(*json.loads(line)) for name in names for line in self._lines(name)]

    def _lines(self, name: str, run: int = 0) -> list[str]:
        return self._output(name, run).read_text("utf-8").split("\n")[:-1]

    def _written(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of a writer and what it has printed, for each of its runs."""
        for i, n_runs in enumerate(self._runs):
            for run in range(n_runs):
                yield i, self._lines(f"writer {i}", run)


ROWS = (
    "writers",
    "readers",
    "kills",
    "met a change",
    "change undone",
    "change whole",
    "reported add",
    "reported update",
    "reported remove",
    "lists",
    "searches",
    "states seen",
    "items ever",
    "items checked",
)


def write_at_once(
    folder: Path,
    meta: str,
    n_writers: int,
    n_readers: int,
    seconds: float,
    seed: int = 0,
    index_type: str = "flat",
    sabotage: str = "",
) -> Counter[str]:
    """Have programs use one index for some time; `LostError` if anything is wrong."""
    checked = CheckedPair((folder / "index.faiss", folder / meta), folder, Counter())
    with pdna.HashIndex.create(*checked.pair, index_type=index_type) as index:
        index.save()
    drawn = random.Random(seed)
    n_kills = 0
    programs = _Programs(checked.pair, n_writers, n_readers, sabotage)
    try:
        programs.wait_until_ready()
        end = time.monotonic() + seconds
        while (pause := min(drawn.uniform(0.2, 2), end - time.monotonic())) > 0:
            time.sleep(pause)
            programs.check_running()
            programs.kill_writer(drawn.randrange(n_writers))
            n_kills += 1
        if n_readers:  # a busy machine takes longer
            programs.wait_until_seen()
        programs.stop()
    finally:
        programs.kill()
    histories, answers = programs.histories(), programs.answers()
    n_states = check_answers(answers, histories)
    _check_end(checked, histories)
    lists = sum(answer.is_list for answer in answers)
    seen = sum((history.seen for history in histories), checked.seen)
    return seen + Counter(
        {
            "writers": n_writers,
            "readers": n_readers,
            "kills": n_kills,
            "lists": lists,
            "searches": len(answers) - lists,
            "states seen": n_states,
            "items ever": sum(len(history.all_ids) for history in histories),
        }
    )


def _check_end(checked: CheckedPair, histories: list[History]) -> None:
    checked.names = set().union(*(history.names for history in histories))
    checked.ids = {name: i for history in histories for name, i in history.all_ids.items()}
    if len(set(checked.ids.values())) != len(checked.ids):
        raise LostError("two items had the same id")
    gone = checked.ids.keys() - checked.names
    gone_ids = {checked.ids[name] for name in gone}
    checked.check(set(gone), None)
    with pdna.HashIndex.open(*checked.pair) as index:
        found = index.verify()
        if any(i in index for i in gone_ids):
            raise LostError("an item that was removed is there by its id")
    # The index file holds them if a program was killed before it wrote that.
    if not gone_ids.issuperset(found.lacking) or found.n_unchecked:
        raise LostError(f"verify says {found}")
    with pdna.HashIndex.open(*checked.pair) as index:
        index.save()
        if (found := index.verify()).lacking:
            raise LostError(f"after a save, verify says {found}")
    checked.check(set(gone), None)


if __name__ == "__main__":
    pair = Path(sys.argv[1]), Path(sys.argv[2])
    if words := sys.argv[3:]:
        write(pair, int(words[0]), int(words[1]), words[2])
    else:
        read(pair)
