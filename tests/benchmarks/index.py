"""The index beside what the reference does and beside FAISS.

    python tests/benchmarks/index.py
    python tests/benchmarks/index.py --million
    python tests/benchmarks/index.py --ten-million --folder /var/tmp

Prints tables of docs/speed.md. First, in three minutes, programs from the shell on 100,000
items; the reference's part is played by a script that is favoured: it is given the hash of the
image, and filters with NumPy. Then, in three minutes for each set of instructions, searches in one
process in a million items (only these with --million). The machine should do nothing else.

With --ten-million, in half an hour: an index of each type is built, opened and queried, each step
in a process of its own, with its time and memory, and the share of the exact answers that it finds.
It needs 10 GB of disk. --items makes everything smaller, to try it, and --index-type takes another
approximate type.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from hash_data import copies, source
from hash_data import hashes as hashes_of
from measuring import Call, Row, compared, heading, in_turn, process, shown, side_by_side
from PIL import Image

import photodna_nb as pdna

LIMIT, K = 200, 10
EXACT = ("flat", "uint8")
# HNSW takes hours to build for ten million items.
APPROXIMATE = ("IVF4096,SQ8",)
BATCH = 1_000_000
QUERIES = 1000
SHELL_RUNS = 9
RIVALS = INDENTED, COMPACT = ["json and FAISS, indent=2", "json and FAISS, compact"]
FAISS_RANGE, FAISS_SEARCH = "FAISS flat range_search", f"FAISS flat search, k={K}"

# What the reference does. These are given the hash, and so need not make it.
RIVAL = """
import json, sys
import faiss
import numpy as np
index_path, meta_path, hash_path, *more = sys.argv[1:]
with open(meta_path) as file:
    meta = json.load(file)
index = faiss.read_index(index_path)
values = np.load(hash_path)
row = values.astype(np.float32)[None]
"""
RIVAL_QUERY = f"""{RIVAL}
items = {{item["id"]: item for item in meta["items"]}}
squared, ids = index.search(row, index.ntotal)
near = np.sqrt(squared[0]) <= {LIMIT}
for distance, i in list(zip(np.sqrt(squared[0][near]), ids[0][near]))[:{K}]:
    print(items[int(i)]["path"], f"id={{i}} {{distance=}}", "similarity", 1 - distance / 3060)
"""
RIVAL_ADD = f"""{RIVAL}
path, form = more
new = meta["next_id"]
index.add_with_ids(row, np.array([new]))
meta["items"].append({{"id": new, "path": path, "hash": values.tolist(), "extra": {{}}}})
meta["next_id"] = new + 1
with open(meta_path, "w") as file:
    if form == "{COMPACT}":
        file.write(json.dumps(meta))  # in C, unlike json.dump
    else:
        json.dump(meta, file, indent=2)
faiss.write_index(index, index_path)
"""


def names(first: int, count: int) -> list[str]:
    return [f"/pictures/{n // 1000:05}/{n:08}.jpg" for n in range(first, first + count)]


def draw(path: Path, seed: int) -> Path:
    """Write a small image, and its hash beside it."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(patches).resize((320, 240)).save(path)
    np.save(path.with_suffix(".npy"), pdna.hash_file(path))
    return path


def compare(work: str, calls: dict[str, Call], beside: list[str], runs: int) -> None:
    """Print the median time of each call, and what part that is of two of the others."""
    spent = dict(zip(calls, in_turn(runs, *calls.values()), strict=True))
    print(f"\n| {work} | time |", " | ".join(f"of {name}" for name in beside), "|")
    print("|---" * (2 + len(beside)) + "|")
    for name, time_taken in spent.items():
        ratios = [f"{time_taken / spent[rival]:.3f}" for rival in beside]
        print("|", " | ".join([name, shown(time_taken), *ratios]), "|", flush=True)


# From the shell.


def make_files(folder: Path, hashes: np.ndarray) -> dict[str, list[str]]:
    """Write an index and metadata for each program: two as ours are, two as the rival's."""
    paths = names(0, len(hashes))
    ends = {"JSON": "json", "SQLite": "sqlite", INDENTED: "indented", COMPACT: "compact"}
    files = {name: [f"{folder}/{end}.faiss", f"{folder}/meta.{end}"] for name, end in ends.items()}
    for name in ("JSON", "SQLite"):
        with pdna.HashIndex.create(*files[name]) as index:
            index.add(paths, hashes)
            index.save()
    flat = faiss.IndexIDMap2(faiss.IndexFlatL2(144))
    flat.add_with_ids(hashes.astype(np.float32), np.arange(1, len(hashes) + 1))
    each = enumerate(zip(paths, hashes.tolist(), strict=True), 1)
    items = [{"id": i, "path": path, "hash": row, "extra": {}} for i, (path, row) in each]
    head = {"dimension": 144, "metric": "squared_l2", "similarity_metric": "normalized_euclidean"}
    for name, indent in ((INDENTED, 2), (COMPACT, None)):
        faiss.write_index(flat, files[name][0])
        meta = json.dumps({**head, "next_id": len(items) + 1, "items": items}, indent=indent)
        Path(files[name][1]).write_text(meta, "utf-8")
    return files


def from_the_shell(folder: Path, items: int) -> None:
    """Print the times of whole programs: a limited query, and adding one image."""
    image = draw(folder / "query.jpg", 0)
    hashes = hashes_of(items, 1)
    original = np.load(image.with_suffix(".npy"))
    hashes[:: items // 7][:7] = copies(np.tile(original, (7, 1)), 150, 2)
    files = make_files(folder, hashes)
    ours = ["-m", "photodna_nb", "--faiss-query"]
    asked = [str(image), str(K), "--max-distance", str(LIMIT)]
    commands = {name: [*ours, *files[name], *asked] for name in ("JSON", "SQLite")}
    commands["JSON that the reference wrote"] = [*ours, *files[INDENTED], *asked]
    for name in RIVALS:
        commands[name] = ["-c", RIVAL_QUERY, *files[name], str(image.with_suffix(".npy"))]
    printed = [subprocess.check_output([sys.executable, *one]) for one in commands.values()]
    answers = {tuple(re.findall(rb"\bid=(\d+)", text)) for text in printed}
    assert [len(ids) for ids in answers] == [7], answers
    calls = {name: process(*command) for name, command in commands.items()}
    compare(f"query {items:,} items from the shell", calls, RIVALS, SHELL_RUNS)

    images = [draw(folder / f"{n}.jpg", n) for n in range(1, SHELL_RUNS + 2)]

    def adds(name: str) -> Call:
        each = iter(images)
        if name not in RIVALS:
            return lambda: process("-m", "photodna_nb", "--faiss-add", *files[name], next(each))()
        rival = ["-c", RIVAL_ADD, *files[name]]
        return lambda: process(*rival, (path := next(each)).with_suffix(".npy"), path, name)()

    calls = {name: adds(name) for name in files}
    compare(f"add an image to {items:,} items from the shell", calls, RIVALS, SHELL_RUNS)
    for name in ("JSON", "SQLite"):
        with pdna.HashIndex.open(*files[name]) as index:
            assert len(index) == items + len(images)


# In one process.


def measure(options: Namespace) -> Iterator[Row]:
    """Yield searches of the exact types and of FAISS in the same rows, on all processors."""
    items = options.items or BATCH
    hashes = hashes_of(items, 3)
    queries = copies(hashes[:: max(1, items // QUERIES)][:QUERIES], 150, 4)
    flat = faiss.IndexFlatL2(144)
    codes = faiss.IndexScalarQuantizer(144, faiss.ScalarQuantizer.QT_8bit_direct)
    for start in range(0, items, 10_000):
        floats = hashes[start : start + 10_000].astype(np.float32)
        flat.add(floats)
        codes.add(floats)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        files = {name: (f"{folder}/{name}.faiss", f"{folder}/{name}.db") for name in EXACT}
        with pdna.HashIndex.create(*files["flat"]) as index:
            index.add(names(0, items), hashes)
            index.save()
            index.copy_to(*files["uint8"], index_type="uint8").close()
        del hashes
        ours = {name: pdna.HashIndex.open(*paths) for name, paths in files.items()}
        yield from searches(ours, flat, codes, queries)


def searches(
    ours: dict[str, pdna.HashIndex], flat: Any, codes: Any, queries: np.ndarray
) -> Iterator[Row]:
    """Yield one query and many, within a limit and without."""
    check(ours, flat, queries)
    radius = LIMIT**2 + 0.5  # squares are integers, and a match at the limit counts
    for number, title in ((1, "one query"), (len(queries), f"{len(queries):,} queries")):
        for limit in (LIMIT, None):
            asks = {
                f"photodna_nb, {name}": lambda rows, i=index, at=limit: i.search(
                    rows, K, max_distance=at
                )
                for name, index in ours.items()
            }
            if limit:
                asks[FAISS_RANGE] = lambda rows: flat.range_search(rows, radius)
            asks |= {
                FAISS_SEARCH: lambda rows: flat.search(rows, K),
                "FAISS QT_8bit_direct search": lambda rows: codes.search(rows, K),
            }
            if limit and number == 1:  # for many, it would take a quarter of an hour
                asks["FAISS QT_8bit_direct range_search"] = lambda rows: codes.range_search(
                    rows, radius
                )
            calls = {
                name: one_after_another(ask, name, queries, number) for name, ask in asks.items()
            }
            what = f"within {limit}" if limit else f"{K} nearest"
            work = f"{title}, {what}, {flat.ntotal:,} items"
            beside = FAISS_RANGE if limit else FAISS_SEARCH
            yield from compared(work, calls, beside, 21 if number == 1 else 5)


def one_after_another(
    ask: Callable[[np.ndarray], Any], name: str, queries: np.ndarray, number: int
) -> Call:
    """Return a call that asks the next so many queries, as floats if FAISS is asked."""
    rows = queries.astype(np.float32) if name.startswith("FAISS") else queries
    each = itertools.cycle(range(0, len(rows), number))
    return lambda: ask(rows[(start := next(each)) : start + number])


def check(ours: dict[str, pdna.HashIndex], flat: Any, queries: np.ndarray) -> None:
    """Make sure that all answers are the same."""
    ends, _, rows = flat.range_search(queries.astype(np.float32), LIMIT**2 + 0.5)
    needed = [set(rows[start:stop].tolist()) for start, stop in itertools.pairwise(ends)]
    assert sum(map(len, needed)) >= len(queries)
    for index in ours.values():
        answers = index.search(queries, K, max_distance=LIMIT)
        assert [{match.id - 1 for match in matches} for matches in answers] == needed


# Ten million.


def ten_million(folder: Path, items: int, approximate: Sequence[str] = APPROXIMATE) -> None:
    """Print time and memory of each step for each index type, and the share it finds."""
    print(f"{items:,} items, metadata in SQLite. Memory: of the process itself + mapped files\n")
    exact: list[list[int]] = []
    for index_type in (*EXACT, *approximate):
        files = f"{folder}/index.faiss", f"{folder}/meta.sqlite"
        built = step("build", *files, index_type, str(items))
        cells = {"index_type": index_type, **built, **step("query", *files)}
        for file in files:
            os.unlink(file)
        answers = cells.pop("answers")
        exact = exact or answers  # of the first type, which is exact
        for distance, half in ((100, slice(0, None, 2)), (200, slice(1, None, 2))):
            both = list(zip(exact[half], answers[half], strict=True))
            hits = sum(len(set(a) & set(b)) for a, b in both)
            cells[f"of copies at {distance}"] = f"{hits} of {sum(len(a) for a, _ in both)}"
        if index_type == EXACT[0]:
            print("|", " | ".join(cells), "|\n" + "|---" * len(cells) + "|")
        print("|", " | ".join(cells.values()), "|", flush=True)


def step(*command: str) -> dict[str, Any]:
    """Run `build` or `query` in a process of its own, and return what it printed."""
    return json.loads(subprocess.check_output([sys.executable, __file__, *command]))


def build(*arguments: str) -> dict[str, str]:
    """Add the items in batches and save them; leave queries beside them."""
    *files, index_type, number = arguments
    adding, chosen, items = 0.0, [], int(number)
    with pdna.HashIndex.create(*files, index_type=index_type) as index:
        for first in range(0, items, BATCH):
            hashes = hashes_of(min(BATCH, items - first), first)
            chosen.append(hashes[:: max(1, 2 * items // QUERIES)])
            paths = names(first, len(hashes))
            adding += seconds(lambda p=paths, h=hashes: index.add(p, h))[0]
        saving = seconds(index.save)[0]
        print(index_type, index.recall or "", file=sys.stderr)
    originals = np.concatenate(chosen)
    queries = np.stack([copies(originals, at, at) for at in (95, 190)], axis=1)
    np.save(files[0] + ".npy", queries.reshape(-1, 144)[:QUERIES])
    index_size, meta_size = [mib(os.path.getsize(file)) for file in files]
    peak = mib(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    times = {"add": shown(adding), "save": shown(saving)}
    return {**times, "index": index_size, "metadata": meta_size, "peak": peak}


def query(*files: str) -> dict[str, Any]:
    """Open the index and search it."""
    queries = np.load(files[0] + ".npy")
    opening, index = seconds(lambda: pdna.HashIndex.open(*files))
    ask = functools.partial(index.search, k=K, max_distance=LIMIT)
    first, *later = [seconds(lambda q=one: ask(q))[0] for one in queries[:22]]
    answered = memory()
    batch, answers = seconds(lambda: ask(queries))
    return {
        "open": shown(opening),
        "first query": shown(first),
        "later query": shown(statistics.median(later)),
        "memory": answered,
        f"{len(queries)} queries": shown(batch),
        "memory then": memory(),
        "answers": [[match.id for match in matches] for matches in answers],
    }


def seconds(call: Call) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def memory() -> str:
    """Return what is resident: of the process itself, and of files that it maps."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = [1024 * int(line.split()[1]) for line in lines if re.match("Rss(Anon|File)", line)]
    return " + ".join(map(mib, sizes))


def mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser()
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--ten-million", action="store_true")
    parser.add_argument("--items", type=int)
    parser.add_argument("--index-type", action="append")
    parser.add_argument("--folder")
    options, others = parser.parse_known_args()
    if options.ten_million or not (options.million or others):
        print(heading() + f"FAISS {faiss.__version__}")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            if options.ten_million:
                types = options.index_type or APPROXIMATE
                ten_million(Path(folder), options.items or 10 * BATCH, types)
                return
            from_the_shell(Path(folder), options.items or 100_000)
        print()
    side_by_side(measure, parser)
    print(f"\nHashes drawn from {source()}.")


if __name__ == "__main__":
    if sys.argv[1:2] in (["build"], ["query"]):
        print(json.dumps((build if sys.argv[1] == "build" else query)(*sys.argv[2:])))
    else:
        main()
