"""Duplicates in pictures whose truth is known: `photodna-nb --duplicates` beside other programs.

    python tests/benchmarks/duplicates.py --rivals FOLDER
    python tests/benchmarks/duplicates.py --many FOLDER

The first draws 5,000 pictures, 3,000 of which are edits of others, and compares the groups that
each program finds with the true ones; then those of data/pictures. Rivals are in virtual
environments FOLDER/imagededup and so on, as docs/duplicates.md says; without --rivals, and where
they are not installed, they are left out. The second draws 100,000 small pictures into FOLDER,
keeps them, and looks for duplicates without and with a cache of hashes, and in a million hashes.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hash_data import hashes, source
from measuring import heading, markdown, target

import photodna_nb as pdna

PICTURES = Path(__file__).parents[2] / "data" / "pictures"
ORIGINALS, WITH_EDITS, EDITS_EACH, SIZE = 2000, 1000, 3, (512, 384)
COPY = "copy"
EDITS = (
    *(COPY, "jpeg:50", "jpeg:10", "webp:30", "resize:200", "resize:50", "resize:25", "aspect:80"),
    *("blur:1", "blur:3", "sharpen:150", "noise:10", "brightness:70", "brightness:130"),
    *("contrast:140", "gamma:1.5", "saturation:50", "greyscale", "palette:64", "text:8", "logo:20"),
    *("crop:2", "crop_left:5", "border:2", "rotate:1", "resize:50+jpeg:30"),
)
TURNS, TURNED_EACH = ("mirror", "flip", "turn:90", "turn:180", "turn:270"), 4
SMALL, SMALL_SIZE, SMALL_COPY_EACH, MILLION = 100_000, (96, 72), 20, 1_000_000

BEGINS = "import glob, json, sys\nfolder, limit = sys.argv[1], float(sys.argv[2])"
ENDS = "json.dump([list(map(str, group)) for group in groups], open(sys.argv[3], 'w'))"
IMAGEDEDUP = """
from imagededup.methods import {0}
found = {0}().find_duplicates(image_dir=folder, max_distance_threshold=int(limit))
groups = [[name, *others] for name, others in found.items()]
"""
PERCEPTION = """
from perception import hashers, tools
files = glob.glob(folder + '/*.*')
groups = tools.deduplicate(files, [(hashers.{0}(), limit)], isometric={1})
"""
CZKAWKA = """
from czkawka import ImageSimilarity
finder = ImageSimilarity()
finder.set_directories([folder])
finder.set_similarity(int(limit))
groups = finder.find_similar()
"""


class Program(NamedTuple):
    """A command that finds duplicates.

    suffix : Of the file that it writes, or ".txt" if it prints the groups.
    limits : Those that are measured.
    """

    words: tuple[str, ...]
    suffix: str
    limits: tuple[float, ...]


def python(environment: str, code: str, *limits: float) -> Program:
    """Return code that sets `groups`, as a program in a virtual environment."""
    words = (f"RIVALS/{environment}/bin/python", "-c", f"{BEGINS}\n{code}\n{ENDS}")
    return Program((*words, "FOLDER", "LIMIT", "OUTPUT"), ".json", limits)


OURS = (
    *(sys.executable, "-m", "photodna_nb", "--duplicates", "FOLDER"),
    *("--max-distance", "LIMIT", "--output", "OUTPUT"),
)
# The limits of others: the default or documented one, and the one with most groups right here.
PROGRAMS = {
    "photodna-nb": Program(OURS, ".csv", (100, 200, 300)),
    "photodna-nb --orientations": Program((*OURS, "--orientations"), ".csv", (100, 200, 300)),
    "imagededup PHash": python("imagededup", IMAGEDEDUP.format("PHash"), 10, 12),
    "imagededup DHash": python("imagededup", IMAGEDEDUP.format("DHash"), 10, 12),
    "imagededup AHash": python("imagededup", IMAGEDEDUP.format("AHash"), 10, 7),
    "imagededup WHash": python("imagededup", IMAGEDEDUP.format("WHash"), 10, 8),
    "perception PHash": python("perception", PERCEPTION.format("PHash", False), 0.2),
    "perception PHash, isometric": python("perception", PERCEPTION.format("PHash", True), 0.2),
    "perception PDQHash": python("perception", PERCEPTION.format("PDQHash", False), 0.12),
    "czkawka": python("czkawka", CZKAWKA, 15, 10),
    "findimagedupes": Program(("findimagedupes", "-q", "-t", "LIMIT%", "FOLDER"), ".txt", (90,)),
    "fdupes": Program(("fdupes", "-q", "-1", "FOLDER"), ".txt", (0,)),
}


class Run(NamedTuple):
    """What a program found, and what it took: seconds, and bytes of memory at the most."""

    groups: list[set[str]]
    wall: float
    processor: float
    peak: float


class Score(NamedTuple):
    """Found groups beside the true ones."""

    right: int
    of: int
    found_pairs: int
    true_pairs: int
    false_pairs: int


# Drawing.


def draw(folder: Path) -> None:
    """Draw the pictures. What is before the underscore of a name says which original it shows."""
    with ProcessPoolExecutor() as executor:
        list(executor.map(partial(draw_one, folder), range(ORIGINALS), chunksize=20))


def draw_one(folder: Path, number: int) -> None:
    """Draw an original and its edits, if it has some."""
    original = pdna.datasets.dead_leaves(ORIGINALS, SIZE)[number]
    picture, first = original.open(), folder / f"{number:04}.jpg"
    picture.save(first, quality=90)
    for spec in edits(number) if number < WITH_EDITS else ():
        suffix = "webp" if spec.startswith("webp") else "jpg"
        path = folder / f"{first.stem}_{spec.replace(':', '-')}.{suffix}"
        if spec == COPY:
            shutil.copy(first, path)
        elif spec.startswith(("jpeg", "webp")):
            picture.save(path, quality=int(spec[5:]))
        else:
            edit = pdna.transforms.parse(spec)
            seed = pdna.transforms.seed_for(0, original.name, edit.label)
            edit.apply(picture, seed).save(path, quality=90)


def edits(number: int) -> list[str]:
    """Return the edits of an original. One of every fourth original's is turned or mirrored."""
    rng = np.random.default_rng([0, number])
    chosen = rng.choice(EDITS, EDITS_EACH, replace=False).tolist()
    return [*chosen[1:], str(rng.choice(TURNS))] if number % TURNED_EACH == 0 else chosen


def draw_small(folder: Path, numbers: range) -> None:
    """Draw small pictures, each twentieth of them as another file of the one before."""
    originals = pdna.datasets.dead_leaves(SMALL, SMALL_SIZE)
    below = folder / f"{numbers.start:06}"
    below.mkdir(exist_ok=True)
    for number in numbers:
        copy = number % SMALL_COPY_EACH == 1
        originals[number - copy].open().save(below / f"{number:06}.jpg", quality=85 - 35 * copy)


# Running.


def run(program: Program, folder: Path, limit: float, rivals: Path | None, *more: str) -> Run:
    """Run a program with empty caches of its own, and read the groups that it finds."""
    with tempfile.TemporaryDirectory() as home:
        output = Path(home) / f"groups{program.suffix}"
        values = {"RIVALS": str(rivals), "FOLDER": str(folder)}
        values |= {"LIMIT": f"{limit:g}", "OUTPUT": str(output)}
        command = [*program.words, *more]
        for name, value in values.items():
            command = [word.replace(name, value) for word in command]
        with (
            (Path(home) / "errors").open("w") as errors,
            (Path(home) / "groups.txt").open("w") as out,
        ):
            start, peak = time.perf_counter(), 0.0
            child = subprocess.Popen(
                command,
                stdout=out,
                stderr=errors,
                env=os.environ | {"HOME": home, "XDG_CACHE_HOME": home},
                start_new_session=True,
            )
            while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
                peak = max(peak, memory_of(child.pid))
                time.sleep(0.1)
            wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(ended[1])
        if child.returncode:
            said = (Path(home) / "errors").read_text("utf-8")
            raise SystemExit(f"{command}: status {child.returncode}\n{said}")
        usage, groups = ended[2], joined(read(output))
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if usage.ru_maxrss > own:  # otherwise it may be that of this process when it forked
            peak = max(peak, usage.ru_maxrss * 1024)
        return Run(groups, wall, usage.ru_utime + usage.ru_stime, peak)


def memory_of(session: int) -> float:
    """Return the bytes of memory of all processes of a session, what they share counted once."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == session:
                text = (process / "smaps_rollup").read_text("utf-8")
                total += int(text.partition("\nPss:")[2].split()[0]) * 1024
        except (OSError, IndexError):
            pass  # it has ended
    return total


def read(file: Path) -> list[list[str]]:
    """Return groups of names from JSON, our CSV, or lines of paths."""
    text = file.read_text("utf-8")
    if file.suffix == ".json":
        found = json.loads(text)
    elif file.suffix == ".csv":
        by_group = itertools.groupby(csv.DictReader(text.splitlines()), lambda row: row["group"])
        found = [[row["path"] for row in some] for _, some in by_group]
    else:
        found = [line.split() for line in text.splitlines()]
    return [[os.path.basename(path) for path in group] for group in found]


def joined(groups: Iterable[list[str]]) -> list[set[str]]:
    """Return the connected components of groups that overlap, of two members or more."""
    found: dict[str, set[str]] = {}
    for group in groups:
        whole = set(group).union(*(found[name] for name in group if name in found))
        found.update(dict.fromkeys(whole, whole))
    return [
        group for group in {id(group): group for group in found.values()}.values() if len(group) > 1
    ]


# Comparing.


def score(truth: dict[str, str], groups: list[set[str]]) -> Score:
    """Compare groups with the true ones. A pair is found if both are in one group."""
    sizes = Counter(truth.values())
    right = found = false = 0
    for group in groups:
        originals = Counter(truth[name] for name in group)
        true = sum(map(pairs_of, originals.values()))
        found, false = found + true, false + pairs_of(len(group)) - true
        right += len(originals) == 1 and sizes[truth[min(group)]] == len(group)
    of = sum(size > 1 for size in sizes.values())
    return Score(right, of, found, sum(map(pairs_of, sizes.values())), false)


def pairs_of(members: int) -> int:
    """Return how many pairs so many members have."""
    return members * (members - 1) // 2


def recall_by_edit(truth: dict[str, str], groups: list[set[str]]) -> dict[str, float]:
    """Return of each edit the share that is in one group with its original."""
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    found: dict[str, list[bool]] = {}
    for name, original in truth.items():
        if edit := Path(name).stem.partition("_")[2]:
            within = name in group_of and group_of[name] == group_of.get(f"{original}.jpg")
            found.setdefault(edit, []).append(within)
    return {edit: statistics.mean(found[edit]) for edit in sorted(found)}


def compare(title: str, folder: Path, given: Namespace, by_edit: bool = False) -> None:
    """Print a table of what each program finds and takes, and one of the recall of each edit."""
    truth = {path.name: path.stem.partition("_")[0] for path in folder.iterdir()}
    runs: dict[tuple[str, float], list[Run]] = {}
    for _ in range(given.repeats):
        for name, program in PROGRAMS.items():
            if given.only in name and is_there(program, given.rivals):
                for limit in given.limits or program.limits:
                    its = runs.setdefault((name, limit), [])
                    its.append(run(program, folder, limit, given.rivals))
                    print(name, f"{limit:g}", *cells(truth, its), sep=" | ", file=sys.stderr)
    heads = ["program", "limit", "groups right", "recall of pairs", "false pairs", *TAKES]
    rows = [[name, f"{limit:g}", *cells(truth, its)] for (name, limit), its in runs.items()]
    print(f"{title}: {len(truth):,}\n\n{markdown(heads, rows)}\n", flush=True)
    if by_edit:
        recalls = [recall_by_edit(truth, its[0].groups) for its in runs.values()]
        heads = ["edit", *(f"{name} {limit:g}" for name, limit in runs)]
        rows = [[edit, *(f"{some[edit]:.0%}" for some in recalls)] for edit in recalls[0]]
        print(f"Recall of each edit\n\n{markdown(heads, rows)}\n", flush=True)


def is_there(program: Program, rivals: Path | None) -> bool:
    """Return whether a program is ours, or a rival that is wanted and installed."""
    place = program.words[0].replace("RIVALS", str(rivals))
    return place == sys.executable or (rivals is not None and shutil.which(place) is not None)


TAKES = ("seconds", "of processors", "memory")


def cells(truth: dict[str, str], runs: list[Run]) -> list[str]:
    """Return what is shown of the runs of one program."""
    found = score(truth, runs[0].groups)
    return [
        f"{found.right:,} of {found.of:,}",
        f"{found.found_pairs / found.true_pairs:.1%}",
        f"{found.false_pairs:,}",
        *taken(runs),
    ]


def taken(runs: list[Run]) -> list[str]:
    """Return the median seconds and memory of runs."""
    wall, processor, peak = (statistics.median(some) for some in list(zip(*runs, strict=True))[1:])
    return [f"{wall:.1f}", f"{processor:.1f}", f"{peak / 2**20:,.0f} MiB"]


def many(folder: Path) -> None:
    """Print what 100,000 small pictures take, without and with a cache, and a million hashes."""
    pictures, million, cache = folder / "pictures", folder / "million.npz", folder / "cache"
    if not million.exists():
        pictures.mkdir(parents=True, exist_ok=True)
        parts = [range(start, start + 1000) for start in range(0, SMALL, 1000)]
        with ProcessPoolExecutor() as executor:
            list(executor.map(partial(draw_small, pictures), parts))
        labels = [f"picture {number}" for number in range(MILLION)]
        pdna.HashTable(labels, hashes(MILLION), np.full(MILLION, np.nan), []).save(million)
    cache.unlink(missing_ok=True)
    cached, turned = ("--cache", str(cache)), ("--orientations",)
    table_of = f"a table of {MILLION:,} hashes, from {source()}"
    works: list[tuple[str, Path, float, tuple[str, ...]]] = [
        ("1,000 small pictures", pictures / f"{0:06}", 100, ()),
        (f"{SMALL:,} small pictures, an empty cache", pictures, 100, cached),
        (f"{SMALL:,} small pictures, hashes cached", pictures, 100, cached),
        (f"{SMALL:,} small pictures, hashes cached", pictures, 200, cached),
        ("the same, `--orientations`", pictures, 100, (*cached, *turned)),
        (table_of, million, 100, ()),
        (table_of, million, 200, ()),
        ("the same, `--orientations`", million, 100, turned),
    ]
    rows = []
    for name, work, limit, options in works:
        found = run(PROGRAMS["photodna-nb"], work, limit, None, *options)
        rows.append([name, f"{limit:g}", f"{len(found.groups):,}", *taken([found])])
        print(*rows[-1], sep=" | ", file=sys.stderr)
    print(markdown(("work", "limit", "groups", *TAKES), rows))


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rivals", type=Path, help="the folder of their virtual environments")
    parser.add_argument(
        "--many", type=Path, help="measure many small pictures, kept in this folder"
    )
    parser.add_argument("--pictures", type=Path, help="a folder that keeps the drawn ones")
    parser.add_argument("--only", default="", help="the programs whose names have this")
    parser.add_argument("--limits", type=float, nargs="+", help="instead of those in PROGRAMS")
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    processor, features = target()
    print(f"{heading()}Numba for {processor} ({', '.join(features)})\n", flush=True)
    run(PROGRAMS["photodna-nb --orientations"], PICTURES, 100, None)  # compiles the kernels
    if given.many:
        many(given.many)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.pictures or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not any(folder.iterdir()):
            draw(folder)
        compare("Drawn pictures", folder, given, by_edit=True)
    compare("data/pictures", PICTURES, given)


if __name__ == "__main__":
    main()
