"""Flip bytes of every store, and cut it short: is an answer ever wrong without an error?

    python tests/damage.py --number 3000

Each byte of a small file is flipped, and the file is cut to each length; of larger files, a
seeded sample of `--number` each. After each damage the store is read by the functions that a
user calls. The table says how often that was an error or an entry that counts as missing
(noticed), how often the same answer (harmless), and how often another answer or an exception
that is not of this package, which fails. Each store is read in a process of its own.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import numba
import numpy as np
from numba.core.registry import cpu_target

import photodna_nb as pdna
from photodna_nb.evaluation import Config, original_hashes, run_hashes
from photodna_nb.hashing.hash_journal import HashJournal
from photodna_nb.index import exact_search, row_segments, search_rows
from photodna_nb.kernels import jit
from photodna_nb.tables.columns import FileFailure

HASHES = np.random.default_rng(7).integers(0, 256, (3, 144), np.uint8)
MORE_HASHES = np.random.default_rng(8).integers(0, 40, (700, 144), np.uint8)
PATHS = ["/photos/a.jpg", "/photos/\udcffb.jpg", "/photos/猫.jpg"]
CONFIG = Config.from_dict(
    {
        "originals": {"kind": "dead_leaves", "number": 9, "size": [64, 48]},
        "variants": {"transforms": ["jpeg:30"]},
    }
)
OUTCOMES = ("noticed", "harmless", "wrong", "crashed")


class Store(NamedTuple):
    """A file that is damaged, and what is read of it.

    write: writes the store into an empty folder and returns the file; answer: what is read;
    verify: what else may notice damage, after a right answer; parts_count: whether an answer
    that lacks entries of the right one counts as noticed.
    """

    write: Callable[[Path], Path]
    answer: Callable[[Path], Any]
    verify: Callable[[Path], Any] = lambda path: None
    parts_count: bool = False


def table() -> pdna.HashTable:
    failures = [FileFailure("/bad", "is no image")]
    return pdna.HashTable(PATHS, HASHES, np.array([1.5, np.nan, 800.0]), failures)


def table_file(name: str, **other: list[str]) -> Store:
    def write(folder: Path) -> Path:
        replace(table(), other=other).save(folder / name)
        return folder / name

    def answer(path: Path) -> Any:
        loaded = pdna.HashTable.load(path)
        columns = loaded.paths, loaded.hashes.tolist(), repr(loaded.detail)
        return *columns, loaded.failures, loaded.other

    return Store(write, answer)


def pairs_file(name: str) -> Store:
    def write(folder: Path) -> Path:
        pdna.write_pairs(folder / name, HASHES, max_distance=3060)
        return folder / name

    def answer(path: Path) -> Any:
        pairs = pdna.read_pairs(path)
        return [column.tolist() for column in (pairs.i, pairs.j, pairs.distance)]

    return Store(write, answer)


def index_file(
    damaged: str, meta: str, index_type: str, rows: Any = HASHES, pending: bool = False
) -> Store:
    """Return the store of an index; `pending`: its file lacks an item of the metadata."""

    def opened(path: Path) -> pdna.HashIndex:
        return pdna.HashIndex.open(path.parent / "index.faiss", path.parent / meta)

    def write(folder: Path) -> Path:
        pair = folder / "index.faiss", folder / meta
        paths = [f"/photos/\udcff{number}.jpg" for number in range(len(rows))]
        with pdna.HashIndex.create(*pair, index_type=index_type) as index:
            index.add(paths[:-1], rows[:-1], extra=[{"n": 1.5}] * (len(rows) - 1))
            index.save()
            old = pair[0].read_bytes()
            index.add(paths[-1:], rows[-1:])
            index.save()
        if pending:  # as after a kill
            pair[0].write_bytes(old)
        return folder / damaged

    def answer(path: Path) -> Any:
        with opened(path) as index:
            items = [(item.id, item.path, item.extra) for item in index.items()]
            matches = index.search(rows[-2:], 3), index.search(rows[-2:], 3, max_distance=300)
            return repr(matches), items, len(index)

    def verify(path: Path) -> None:
        with opened(path) as index:
            index.verify()

    return Store(write, answer, verify)


def tree_file() -> Store:
    """Return the store of an index file with a search tree, which large ones have."""
    plain = index_file("index.faiss", "meta.sqlite", "uint8", MORE_HASHES)

    def with_trees(function: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def call(path: Path) -> Any:
            with ExitStack() as stack:
                for module in (exact_search, row_segments, search_rows):
                    if hasattr(module, "MIN_TREE_ROWS"):
                        stack.enter_context(patch.object(module, "MIN_TREE_ROWS", 600))
                return function(path)

        return call

    return Store(*map(with_trees, plain[:3]))


def run_file(name: str) -> Store:
    def write(folder: Path) -> Path:
        pdna.evaluation.run(CONFIG, folder / "run")
        return folder / "run" / name

    def answer(path: Path) -> Any:
        folder = path.parent
        while folder.name != "run":
            folder = folder.parent
        results = pdna.evaluation.Results.load(folder)
        counts = [repr(value) for value in vars(results.counts).values()]
        return results.summary, results.tables, counts, results.config.to_dict(), results.manifest

    return Store(write, answer)


def run_journal(folder: Path) -> Path:
    transforms = CONFIG.transforms
    with run_hashes._journal(place(folder / "journal.jsonl")) as records:
        for original in pdna.datasets.dead_leaves(2, (32, 24)):
            digest = original.digest()
            arguments = original, transforms, 0, digest, CONFIG.hashers()
            records.append(original_hashes.hash_original(*arguments))
    return folder / "journal.jsonl"


def run_journal_records(path: Path) -> Any:
    return [repr(record) for record in run_hashes._journal(place(path)).records()]


def place(path: Path) -> Any:
    """Return what stands for the folder of a run whose journal is that file."""
    return SimpleNamespace(path=lambda name: str(path), journal=path.name)


def add_seven(number: int) -> int:
    return number + 7


def kernel_file(folder: Path) -> Path:
    folder.chmod(0o755)
    kernel = numba.njit(**jit.OPTIONS)(add_seven)
    kernel._cache = jit._Cache(add_seven, str(folder))
    kernel(3)
    return next(folder.iterdir())


def cached_kernel(path: Path) -> Any:
    """Return what a kernel answers if it comes from the file: otherwise it is compiled anew."""
    cache = jit._Cache(add_seven, str(path.parent))
    compiled = cache.load_overload((numba.int64,), cpu_target.target_context)
    return [] if compiled is None else [compiled.entry_point(3)]


def rows_of_a_file(folder: Path) -> Path:
    table().save(folder / "table.npz")
    return folder / "table.npz"


def journal(folder: Path) -> Path:
    for name in "abc":
        pdna.datasets.dead_leaves(1, (32, 24), seed=ord(name))[0].open().save(
            folder / f"{name}.png"
        )
    images = sorted(map(str, folder.glob("*.png")))
    pdna.hash_files(images, output=folder / "table.npz")
    return folder / "table.npz.journal"


def journal_records(path: Path) -> Any:
    with HashJournal(str(path)) as opened:
        records = [opened.get(str(path.with_name(f"{name}.png"))) for name in "abc"]
    return [repr(record) for record in records if record is not None]


STORES = {
    "table .npz": table_file("table.npz"),
    "table .npz, read in parts": Store(
        rows_of_a_file, lambda path: pdna.distance_matrix(str(path)).tolist()
    ),
    "table .parquet": table_file("table.parquet"),
    **{
        f"table {suffix}, further columns": table_file(f"table{suffix}", note=["a", "", "猫"])
        for suffix in (".npz", ".parquet")
    },
    "pairs .npz": pairs_file("pairs.npz"),
    "pairs .parquet": pairs_file("pairs.parquet"),
    "journal of hash_files": Store(journal, journal_records, parts_count=True),
    "journal of a run": Store(run_journal, run_journal_records, parts_count=True),
    **{
        f"metadata, {meta}{' that the index lacks' * pending}": index_file(
            meta, meta, "flat", pending=pending
        )
        for meta in ("meta.json", "meta.sqlite")
        for pending in (False, True)
    },
    **{
        f"index, {index_type}": index_file("index.faiss", "meta.sqlite", index_type, rows)
        for index_type, rows in (
            *(("flat", HASHES), ("uint8", HASHES), ("HNSW8", HASHES)),
            ("IVF1,SQ8", MORE_HASHES[:40]),
        )
    },
    "index, with a search tree": tree_file(),
    **{
        f"run, {name}": run_file(name)
        for name in (
            *("manifest.json", "run.json", "results.json", "hashes.npz", "counts.npz"),
            "tables/transforms.csv",
        )
    },
    "compiled kernel": Store(kernel_file, cached_kernel, parts_count=True),
}


def damages(content: bytes, number: float, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield what was done and the damaged content: flips of bytes, then cuts."""
    drawn = random.Random(seed)

    def sample(places: range) -> list[int]:
        return list(places) if len(places) <= number else drawn.sample(places, int(number))

    for place in sample(range(len(content))):
        flipped = bytes([content[place] ^ drawn.randint(1, 255)])
        yield f"flip at {place} to {flipped[0]}", content[:place] + flipped + content[place + 1 :]
    for length in sample(range(len(content))):
        yield f"cut to {length}", content[:length]


def is_part(answer: Any, expected: Any) -> bool:
    return isinstance(answer, list) and all(entry in expected for entry in answer)


def outcome(store: Store, path: Path, expected: Any) -> tuple[str, str]:
    """Return one of `OUTCOMES`, and what came."""
    try:
        found = store.answer(path)
    except pdna.PhotodnaError as error:
        return "noticed", str(error)
    except Exception as error:
        return "crashed", repr(error)
    if found == expected:
        try:
            store.verify(path)
        except pdna.PhotodnaError as error:
            return "noticed", str(error)
        return "harmless", ""
    return "noticed" if store.parts_count and is_part(found, expected) else "wrong", repr(found)


def count(name: str, number: float, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Damage a store often; return how often which came, and what must not have come."""
    store, counts, problems = STORES[name], Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        path = store.write(Path(folder))
        content = path.read_bytes()
        expected = store.answer(path)
        assert expected, "nothing can be missing in nothing"
        for what, damaged in damages(content, number, seed):
            path.write_bytes(damaged)
            which, came = outcome(store, path, expected)
            counts[f"{what.split()[0]}s"] += 1
            counts[which] += 1
            if which in ("wrong", "crashed"):
                problems.append(f"{name}, {what}: {which}: {came[:200]}")
        path.write_bytes(content)
        assert store.answer(path) == expected, "the store itself is sound"
    counts["bytes"] = len(content)
    return counts, problems


def main() -> None:
    parser = argparse.ArgumentParser(description="Damage every store.")
    parser.add_argument("--number", type=float, default=3000, help="flips, and cuts, of a store")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=STORES, help="this one alone, in this process")
    options = parser.parse_args()
    if options.store:
        print(json.dumps(count(options.store, options.number, options.seed)))
        return
    columns = ("bytes", "flips", "cuts", *OUTCOMES)
    print(f"| store | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    problems = []
    for name in STORES:
        command = [sys.executable, __file__, "--store", name, "--number", str(options.number)]
        command += ["--seed", str(options.seed)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            problems.append(f"{name}: the process ended with {done.returncode}")
            continue
        counts, more = json.loads(done.stdout)
        problems += more
        print(f"| {name} | {' | '.join(f'{counts.get(c, 0):,}' for c in columns)} |", flush=True)
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
