"""How the time of `pairs_within` grows with the number of hashes, on threads and on a Dask cluster.

    python tests/benchmarks/growth.py
    python tests/benchmarks/growth.py --largest 100000 --figure growth.png

Prints a table of docs/speed.md and the exponents that fit it from 100,000 hashes on, and draws
data/figures/growth.png, in about five minutes for each set of instructions. The cluster has a
worker process for each processor; they are sent hashes, or read them from a file. FAISS is given
the first 2,000 queries, and its time is scaled. What would take two minutes is left out.
"""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import faiss
import matplotlib as mpl
import numpy as np
from hash_data import hashes, source
from measuring import Call, Row, compared, heading, side_by_side

import photodna_nb as pdna

mpl.use("agg")

FIGURE = Path(__file__).parents[2] / "data" / "figures" / "growth.png"
SIZES = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
LIMITS = (200, 100)
FITTED_FROM = 100_000
QUERIES = 2000
LONGEST = 120
WORKERS = os.cpu_count() or 1
THREADS = f"photodna_nb, {WORKERS} threads"
CLUSTER = f"photodna_nb, {WORKERS} worker processes"
FROM_FILE = f"{CLUSTER}, from a file"
FAISS = "FAISS range_search"
STYLES = {THREADS: "C0o", CLUSTER: "C1s", FROM_FILE: "C3d", FAISS: "C2^"}


def measure(options: Namespace) -> Iterator[Row]:
    """Yield a row for each size, limit and program."""
    from distributed import Client, LocalCluster

    rows = hashes(options.largest, 5)
    index = faiss.IndexFlatL2(144)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(WORKERS, processes=True, threads_per_worker=1, dashboard_address=":0") as some,
        Client(some) as client,
    ):
        executor = client.get_executor()
        for where in ({}, {"executor": executor}):  # compiles
            pdna.pairs_within(rows[: SIZES[0]], max_distance=LIMITS[0], **where)
        expected: dict[tuple[str, int], float] = {}
        for count in (size for size in SIZES if size <= options.largest):
            some_rows = rows[:count]
            file = Path(folder) / f"{count}.npy"
            np.save(file, some_rows)
            for start in range(index.ntotal, count, 10_000):
                index.add(rows[start : start + 10_000].astype(np.float32))
            for limit in LIMITS:
                calls: dict[str, Call] = {
                    THREADS: lambda rows=some_rows, at=limit: pdna.pairs_within(
                        rows, max_distance=at
                    ),
                    CLUSTER: lambda rows=some_rows, at=limit: pdna.pairs_within(
                        rows, max_distance=at, executor=executor
                    ),
                    FROM_FILE: lambda file=file, at=limit: pdna.pairs_within(
                        file, max_distance=at, executor=executor
                    ),
                    FAISS: lambda at=limit: index.range_search(
                        rows[:QUERIES].astype(np.float32), at**2 + 0.5
                    ),
                }
                for name in (THREADS, CLUSTER, FROM_FILE):
                    if expected.get((name, limit), 0) * count**2 > LONGEST:
                        del calls[name]
                work = f"within {limit} of {count:,}"
                for row in compared(work, calls, FAISS, 3, parts={FAISS: count / QUERIES}):
                    expected[row.by, limit] = row.value / count**2
                    yield row


def points(rows: list[Row], by: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes and times of a program."""
    start = f"within {limit} of "
    found = [
        (int(row.work.removeprefix(start).replace(",", "")), row.value)
        for row in rows
        if row.by == by and row.work.startswith(start)
    ]
    return np.array([size for size, _ in found]), np.array([value for _, value in found])


def exponent(sizes: np.ndarray, seconds: np.ndarray) -> float | None:
    """Return the power of the size that the time grows with, None without enough sizes."""
    large = sizes >= FITTED_FROM
    if large.sum() < 2:
        return None
    return float(np.polyfit(np.log(sizes[large]), np.log(seconds[large]), 1)[0])


def report(found: dict[str, list[Row]], path: Path) -> None:
    """Print the exponents, and draw the times."""
    import matplotlib.pyplot as plt

    limits = " | ".join(f"within {limit}" for limit in LIMITS)
    print(f"\n| exponent from {FITTED_FROM:,} on | {limits} |")
    print("|---" * (1 + len(LIMITS)) + "|")
    figure = plt.figure(figsize=(9, 5.5), layout="constrained")
    figure.suptitle(f"Time of all pairs, {heading().partition(', Python')[0]}", fontsize="medium")
    axes = figure.subplots(1, len(LIMITS), sharey=True)
    for (name, rows), line in zip(found.items(), ("-", "--"), strict=False):
        for by, style in STYLES.items():
            texts = []
            for ax, limit in zip(axes, LIMITS, strict=True):
                sizes, seconds = points(rows, by, limit)
                power = exponent(sizes, seconds)
                texts.append("" if power is None else f"{power:.2f}")
                ax.loglog(sizes, seconds, style + line, label=f"{by}, {name}", markersize=4)
            print(f"| {by}, {name} |", " | ".join(texts), "|")
    for ax, limit in zip(axes, LIMITS, strict=True):
        ax.set(title=f"within L2 {limit}", xlabel="number of hashes", ylabel="seconds")
        ax.label_outer()
        ax.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options, rows_of = side_by_side(measure, parser)
    report(rows_of, options.figure)
    print(f"\nHashes drawn from {source()}.")
