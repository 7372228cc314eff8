"""All pairs beside FAISS, SNN, NumKong, NumPy, SciPy and scikit-learn, in one process.

    pip install scikit-learn numkong
    pip install pybind11 setuptools && pip install --no-build-isolation snnpy
    python tests/benchmarks/distances.py

Prints a table of docs/speed.md in about five minutes for each set of instructions. Rivals that
are not installed are left out (SNN is built, with a compiler and the headers of OpenBLAS). A rival
that would take minutes is given the first thousands of queries, and its time is scaled. --many
and --million make it smaller, to try it.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import faiss
import numpy as np
from hash_data import hashes, source
from measuring import Call, Row, compared, installed, side_by_side, threads_of_all

import photodna_nb as pdna

MATRIX = 4096
LIMITS = (200, 100)
NEIGHBOURS = (1, 100)
THREADS = (1, os.cpu_count() or 1)
# Queries of the others inside the smaller set, and of FAISS inside the larger one.
SOME, MORE = 1000, 4000
# Seconds that a million may take, as 50,000 let expect.
LONGEST = 600
OURS, RANGE, SEARCH = "photodna_nb", "FAISS range_search", "FAISS search"
PAIRWISE = "FAISS pairwise_distances"


def matrix(metric: str) -> Iterator[Row]:
    """Measure matrices on one thread."""
    a, b = hashes(MATRIX, 1), hashes(MATRIX, 2)
    out = np.empty((MATRIX, MATRIX), np.int32)
    floats = a.astype(np.float32), b.astype(np.float32)
    calls: dict[str, Call] = {
        OURS: lambda: pdna.distance_matrix(a, b, metric, out=out, max_workers=1)
    }
    scipy, sklearn = installed("scipy.spatial.distance"), installed("sklearn.metrics.pairwise")
    beside = OURS
    if metric == "sqeuclidean":
        beside = PAIRWISE
        calls[PAIRWISE] = lambda: faiss.pairwise_distances(*floats)

        def gemm() -> np.ndarray:
            squares = [np.einsum("ij,ij->i", side, side) for side in floats]
            return squares[0][:, None] + squares[1] - 2 * (floats[0] @ floats[1].T)

        calls["NumPy GEMM"] = gemm
        if numkong := installed("numkong"):
            calls["NumKong cdist"] = lambda: numkong.cdist(a, b, metric)
            calls["NumKong euclideans_packed (roots)"] = lambda: numkong.euclideans_packed(
                a, numkong.dots_pack(b, "uint8")
            )
        if sklearn:
            calls["scikit-learn"] = lambda: sklearn.euclidean_distances(*floats, squared=True)
    elif sklearn:
        calls["scikit-learn"] = lambda: sklearn.manhattan_distances(*floats)
    if scipy:
        name = {"manhattan": "cityblock"}.get(metric, metric)
        calls["SciPy cdist"] = lambda: scipy.cdist(a, b, name)
        beside = beside if beside in calls and beside != OURS else "SciPy cdist"
    title = f"{metric} matrix {MATRIX} x {MATRIX}, 1 thread"
    yield from compared(title, calls, beside, 7, pairs=MATRIX**2)


def within(rows: np.ndarray, limit: int, threads: int, *, every_rival: bool) -> Iterator[Row]:
    """Measure all pairs inside a set; FAISS is given all queries if the others are measured."""
    floats = rows.astype(np.float32)
    index = faiss.IndexFlatL2(144)
    index.add(floats)
    asked = floats if every_rival else floats[:MORE]
    found = {}

    def ours() -> None:
        found[OURS] = pdna.pairs_within(rows, max_distance=limit, max_workers=threads)

    def rival() -> None:
        # Squares are integers, and a pair at the limit counts.
        found[RANGE] = index.range_search(asked, limit**2 + 0.5)

    calls: dict[str, Call] = {OURS: ours, RANGE: rival}
    if every_rival and (snn := installed("snnpy")):

        def sorting() -> None:
            model = snn.build_snn_model(floats, verbose=0)
            with np.errstate(invalid="ignore"):  # roots of squares that rounding made negative
                model.batch_query_radius(floats[:SOME], limit, return_distance=True)

        calls["SNN"] = sorting
    if every_rival and (neighbors := installed("sklearn.neighbors")):
        brute = neighbors.NearestNeighbors(radius=limit, algorithm="brute").fit(floats)
        calls["scikit-learn radius_neighbors"] = lambda: brute.radius_neighbors(floats[:SOME])
    parts = {name: len(rows) / SOME for name in calls if name not in (OURS, RANGE)}
    parts[RANGE] = len(rows) / len(asked)
    yield from compared(
        f"all pairs within {limit} of {name_of(rows, threads)}", calls, RANGE, 3, parts=parts
    )
    if len(asked) == len(rows):
        assert 2 * len(found[OURS].i) + len(rows) == found[RANGE][0][-1]


def nearest(rows: np.ndarray, others: np.ndarray, k: int, threads: int) -> Iterator[Row]:
    """Measure nearest neighbours."""
    floats = others.astype(np.float32)
    index = faiss.IndexFlatL2(144)
    index.add(rows.astype(np.float32))
    calls: dict[str, Call] = {
        OURS: lambda: pdna.nearest(others, rows, k, max_workers=threads),
        f"{OURS}, inside the set": lambda: pdna.nearest(rows, k=k, max_workers=threads),
        SEARCH: lambda: index.search(floats, k),
    }
    yield from compared(f"nearest {k} of {name_of(rows, threads)}", calls, SEARCH, 3)


def histogram(rows: np.ndarray, threads: int) -> Iterator[Row]:
    """Measure the histogram of all pairs inside a set, beside a matrix of some of them."""
    groups = np.arange(len(rows)) // 10
    some = rows[:MATRIX].astype(np.float32)
    pairs = len(rows) * (len(rows) - 1) / 2
    calls: dict[str, Call] = {
        OURS: lambda: pdna.distance_histogram(rows, max_workers=threads),
        f"{OURS}, groups": lambda: pdna.distance_histogram(
            rows, groups=groups, max_workers=threads
        ),
        PAIRWISE: lambda: faiss.pairwise_distances(some, some),
    }
    parts = {PAIRWISE: pairs / len(some) ** 2}
    title = f"histogram of {name_of(rows, threads)}"
    yield from compared(title, calls, PAIRWISE, 3, pairs=pairs, parts=parts)


def name_of(rows: np.ndarray, threads: int) -> str:
    return f"{len(rows):,}, {threads} thread{'s' * (threads > 1)}"


def measure(options: Namespace) -> Iterator[Row]:
    """Yield all rows, or those of nearest neighbours."""
    if not options.nearest:
        with threads_of_all(1):
            yield from matrix("sqeuclidean")
            yield from matrix("manhattan")
    many, others = hashes(options.many, 3), hashes(options.many, 4)
    for rows in (many[:2000], many[:10_000]):  # compiles, also what only larger sets need
        pdna.pairs_within(rows, max_distance=LIMITS[0])
        pdna.nearest(rows)
        pdna.nearest(rows, k=NEIGHBOURS[-1])
    expected = 0.0
    for threads in THREADS:
        with threads_of_all(threads):
            for limit in () if options.nearest else LIMITS:
                for row in within(many, limit, threads, every_rival=True):
                    expected = row.value if row.by == OURS else expected
                    yield row
            for k in NEIGHBOURS:
                yield from nearest(many, others, k, threads)
            if not options.nearest:
                yield from histogram(many, threads)
    if options.nearest:
        return
    expected *= (options.million / options.many) ** 2
    if options.million and expected < LONGEST:
        rows = hashes(options.million, 5)
        with threads_of_all(THREADS[-1]):
            for limit in LIMITS:
                yield from within(rows, limit, THREADS[-1], every_rival=False)


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--million", type=int, default=1_000_000, help="0: leave out")
    parser.add_argument("--nearest", action="store_true", help="nearest neighbours alone")
    side_by_side(measure, parser)
    print(f"\nHashes drawn from {source()}.")
