"""All pairs beside FAISS, NumPy, SciPy and scikit-learn, in one process.

    pip install scipy scikit-learn
    python tests/benchmarks/distances.py
    python tests/benchmarks/distances.py --million

Prints the tables of billions of pairs a second in docs/speed.md. Rivals that are not
installed are left out. With --million, counts all 5 x 10^11 pairs of a million
hashes and prints the time and the peak of memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import faiss
import numpy as np
from hashing import heading
from threadpoolctl import threadpool_limits

import photodna_nb as pdna
from photodna_nb.pairs.packing import backend

MATRIX = 4096
MANY = 50_000
GROWTH = (10_000, 20_000, 50_000, 100_000, 200_000)
MILLION = 1_000_000
THREADS = (1, os.cpu_count() or 1)
RADIUS = 200


def hashes(count: int, seed: int) -> np.ndarray:
    """Return bytes that lie as far apart as the hashes of unrelated photographs: about 900."""
    rng = np.random.default_rng(seed)
    found = np.empty((count, 144), np.uint8)
    for start in range(0, count, 10_000):  # in pieces, to be small beside what is measured
        part = found[start : start + 10_000]
        vectors = rng.gamma(0.5, 1, part.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        part[:] = vectors.clip(0, 0.25) * 1023
    return found


@contextmanager
def threads_of_all(threads: int) -> Iterator[None]:
    """Let every rival use so many threads."""
    faiss.omp_set_num_threads(threads)
    with threadpool_limits(threads):
        yield


@contextmanager
def selected(name: str) -> Iterator[None]:
    """Select a backend of this package."""
    os.environ["PHOTODNA_NB_BACKEND"] = name
    try:
        yield
    finally:
        del os.environ["PHOTODNA_NB_BACKEND"]


def rates(calls: dict[str, Callable[[], Any]], work: float, repeats: int) -> dict[str, float]:
    """Return billions of pairs a second: the median of rounds in which each is called once."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        if name.startswith("photodna_nb"):
            call()  # compiles
    for number in range(repeats):
        for name, call in calls.items():
            if number and times[name][0] > 10:
                continue  # a slow rival is run once
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: work / statistics.median(spent) / 1e9 for name, spent in times.items()}


def show(title: str, found: dict[str, float], beside: str) -> None:
    """Print the rates and how many times the rival's they are."""
    for name, rate in found.items():
        print(f"| {title} | {name} | {rate:.3g} | {rate / found[beside]:.2f} |", flush=True)


def matrix_calls(metric: str, a: np.ndarray, b: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return what makes the matrix, of those that are installed."""
    out = np.empty((len(a), len(b)), np.int32)
    floats = a.astype(np.float32), b.astype(np.float32)
    calls: dict[str, Callable[[], Any]] = {}
    for name in ("avx512_vnni", "portable"):
        if name in (backend(), "portable"):

            def compute(name: str = name) -> None:
                with selected(name):
                    pdna.distance_matrix(a, b, metric, out=out, max_workers=1)

            calls[f"photodna_nb, {name}"] = compute
    if metric == "sqeuclidean":
        calls["FAISS pairwise_distances"] = lambda: faiss.pairwise_distances(*floats)

        def gemm() -> np.ndarray:
            squares = [np.einsum("ij,ij->i", side, side) for side in floats]
            return squares[0][:, None] + squares[1] - 2 * (floats[0] @ floats[1].T)

        calls["NumPy GEMM"] = gemm
    names = {"sqeuclidean": ("sqeuclidean", "sqeuclidean"), "manhattan": ("cityblock", "manhattan")}
    try:
        cdist = import_module("scipy.spatial.distance").cdist
        calls["SciPy cdist"] = lambda: cdist(a, b, names[metric][0])
        sklearn = import_module("sklearn.metrics").pairwise_distances
        calls["scikit-learn"] = lambda: sklearn(*floats, metric=names[metric][1])
    except ModuleNotFoundError:
        pass
    return calls


def million() -> None:
    """Count all pairs of a million hashes."""
    print(heading())
    many = hashes(MILLION, 3)
    pdna.distance_histogram(many[:1000])
    start = time.perf_counter()
    found = pdna.distance_histogram(many, progress=sys.stderr.isatty())
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(
        f"{found.pairs:,} pairs in {spent:.0f} s: {found.pairs / spent / 1e9:.2f} billion a second"
    )
    print(f"peak of memory {peak:.0f} MiB, of which hashes {many.nbytes / 2**20:.0f} MiB")


def main() -> None:
    """Measure and print."""
    print(heading())
    print(f"FAISS {faiss.__version__}, backend {backend()}\n")
    print("| work | by | billion pairs a second | ratio |")
    print("|---|---|---|---|")
    a, b = hashes(MATRIX, 0), hashes(MATRIX, 1)
    with threads_of_all(1):
        for metric, beside in (
            ("sqeuclidean", "FAISS pairwise_distances"),
            ("manhattan", "SciPy cdist"),
        ):
            found = rates(matrix_calls(metric, a, b), MATRIX**2, 7)
            rival = beside if beside in found else f"photodna_nb, {backend()}"
            show(f"{metric} matrix, 1 thread", found, rival)
    many, others = hashes(MANY, 2), hashes(MANY, 4)
    index = faiss.IndexFlatL2(144)
    index.add(many.astype(np.float32))
    strangers = others.astype(np.float32)
    groups = np.arange(MANY) // 10
    for threads in THREADS:
        where = {"max_workers": threads}
        title = f"{MANY:,} hashes, {threads} thread{'s' * (threads > 1)}"
        with threads_of_all(threads):
            found = rates(
                {
                    "photodna_nb": lambda w=where: pdna.pairs_within(
                        others, many, max_distance=RADIUS, **w
                    ),
                    "photodna_nb, each pair once": lambda w=where: pdna.pairs_within(
                        many, max_distance=RADIUS, **w
                    ),
                    "FAISS range_search": lambda: index.range_search(strangers, RADIUS**2),
                },
                MANY**2,
                3,
            )
            show(f"within {RADIUS} of {title}", found, "FAISS range_search")
            found = rates(
                {
                    "photodna_nb": lambda w=where: pdna.nearest(others, many, **w),
                    "photodna_nb, each pair once": lambda w=where: pdna.nearest(many, **w),
                    "FAISS search": lambda: index.search(strangers, 1),
                },
                MANY**2,
                3,
            )
            show(f"nearest of {title}", found, "FAISS search")
            found = rates(
                {
                    "photodna_nb": lambda w=where: pdna.distance_histogram(others, many, **w),
                    "photodna_nb, groups": lambda w=where: pdna.distance_histogram(
                        others, many, groups=(groups, groups), **w
                    ),
                },
                MANY**2,
                3,
            )
            show(f"histogram of {title}", found, "photodna_nb")
    print("\n| hashes | pairs, each once | seconds | billion a second |")
    print("|---|---|---|---|")
    grown = hashes(GROWTH[-1], 3)
    for count in GROWTH:
        spent = []
        for _ in range(3):
            start = time.perf_counter()
            total = pdna.distance_histogram(grown[:count]).pairs
            spent.append(time.perf_counter() - start)
        seconds = statistics.median(spent)
        print(f"| {count:,} | {total:.3g} | {seconds:.2f} | {total / seconds / 1e9:.2f} |")
    expected = MILLION * (MILLION - 1) / 2 / total * seconds
    print(f"\nAt this rate, {MILLION:,} hashes take {expected / 60:.1f} minutes.")


if __name__ == "__main__":
    if "--million" in sys.argv[1:]:
        million()
    else:
        main()
