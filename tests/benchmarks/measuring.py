"""What the benchmarks share: medians in turn, instructions side by side, tables.

A script calls `side_by_side` with a function that yields rows. It runs in a process of its own
for each set of instructions: those of the machine and, where these are AVX-512, also AVX2. That is
simulated: Numba compiles for Zen 3, and FAISS, OpenBLAS and NumKong are told to do without AVX-512.
It shows the instructions, and not the clock or the caches of another processor.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Call = Callable[[], Any]
Measure = Callable[[Namespace], Iterator["Row"]]

# Seconds after which a call is not repeated.
ENOUGH = 15
# Numba takes the features of the machine when it is given the name alone.
AVX2 = {
    "NUMBA_CPU_NAME": "znver3",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+popcnt",
    "FAISS_SIMD_LEVEL": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
FASTER, LONGER = "times as fast", "times as long"
FEATURES = ("avx2", "avx512bw", "avx512vnni", "avxvnni", "neon", "dotprod")


class Row(NamedTuple):
    """One measurement.

    value : seconds or, with `rate`, billions of pairs a second.
    ratio : How many times as fast as the rival of the same work that has 1.
    """

    work: str
    by: str
    value: float
    ratio: float
    rate: bool = False


def in_turn(repeats: int, *calls: Call) -> list[float]:
    """Return the median seconds of each call, all of them run once a round after a first time.

    A slow call is run less often. Where it is run once, that time counts: its kernels should have
    been compiled by a smaller one.
    """
    times = [[_seconds(call)] for call in calls]
    for _ in range(repeats):
        for call, spent in zip(calls, times, strict=True):
            if sum(spent) < ENOUGH:
                spent.append(_seconds(call))
    return [statistics.median(spent[1:] or spent) for spent in times]


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compared(
    work: str,
    calls: dict[str, Call],
    beside: str,
    repeats: int,
    *,
    pairs: float = 0,
    parts: dict[str, float] | None = None,
) -> Iterator[Row]:
    """Yield a row for each call, compared with one of them.

    pairs : What each computes, to give a rate and not a time.
    parts : How many times the work of a call makes up that of the others.
    """
    spent = dict(zip(calls, in_turn(repeats, *calls.values()), strict=True))
    for name, factor in (parts or {}).items():
        if name in spent:
            spent[name] *= factor
    for name, seconds in spent.items():
        value = pairs / seconds / 1e9 if pairs else seconds
        yield Row(work, name, value, spent[beside] / seconds, bool(pairs))


@contextmanager
def threads_of_all(threads: int) -> Iterator[None]:
    """Let every rival use so many threads."""
    from threadpoolctl import threadpool_limits

    import_module("faiss").omp_set_num_threads(threads)
    with threadpool_limits(threads):
        yield


def installed(module: str) -> Any:
    """Return a module, or None if it is not installed."""
    try:
        if module == "snnpy":  # 0.0.8 looks in its package for what is installed beside it
            sys.modules["snnpy.snnomp"] = import_module("snnomp")
        return import_module(module)
    except ImportError:
        return None


def process(*arguments: object, **environment: str) -> Callable[[], str]:
    """Return a call that runs Python with these arguments and returns what it prints."""
    command = [sys.executable, *map(str, arguments)]
    return lambda: (
        subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment
        ).stdout
    )


# Instructions.


def instructions() -> str:
    """Return what Numba, FAISS, OpenBLAS and NumKong use in this process."""
    processor, features = target()
    found = [f"Numba for {processor} ({', '.join(features)})"]
    if faiss := installed("faiss"):
        found.append(f"FAISS {faiss.__version__} {faiss.SIMDConfig.get_level_name()}")
    for rival in ("snnpy", "scipy.linalg"):
        installed(rival)
    kernels = openblas()
    for name in sorted(set(kernels.values())):
        owners = sorted(owner for owner, its in kernels.items() if its == name)
        found.append(f"OpenBLAS {name} ({', '.join(owners)})")
    if numkong := installed("numkong"):
        able = [name for name, has in numkong.get_capabilities().items() if has]
        found.append(f"NumKong {' '.join(able)}")
    return "; ".join(found)


def target() -> tuple[str, list[str]]:
    """Return the processor that Numba compiles for, and its features of FEATURES."""
    from numba.core.registry import cpu_target

    _, processor, features = cpu_target.target_context.codegen().magic_tuple()
    return processor, [name for name in FEATURES if f"+{name}" in features.split(",")]


def openblas() -> dict[str, str]:
    """Return the processor that each loaded OpenBLAS has kernels for."""
    from threadpoolctl import threadpool_info

    return {
        Path(one["filepath"]).parent.name.removesuffix(".libs"): one["architecture"]
        for one in threadpool_info()
        if one["internal_api"] == "openblas"
    }


def environments() -> dict[str, dict[str, str]]:
    """Return the environment of each set of instructions.

    An OpenBLAS that does not know the processor takes kernels for one of the year 2004. FAISS
    brings an older one than NumPy, and so is told what NumPy's has found.
    """
    newest = openblas().get("numpy")
    native = {"OPENBLAS_CORETYPE": newest} if newest else {}
    _, features = target()
    if "avx512bw" not in features:
        return {"AVX2" if "avx2" in features else platform.machine(): native}
    return {"AVX-512": native, "AVX2, simulated": AVX2}


def side_by_side(
    measure: Measure, parser: ArgumentParser, ratio: str = FASTER
) -> tuple[Namespace, dict[str, list[Row]]]:
    """Print one table of what `measure` yields with each set of instructions, and return it."""
    parser.add_argument("--only", help='one set of instructions, such as "AVX-512"')
    parser.add_argument("--child", action="store_true", help="print JSON, in this process")
    given = parser.parse_args()
    if given.child:
        if os.environ.get("FAISS_SIMD_LEVEL") == "AVX2" and (numkong := installed("numkong")):
            for name, able in numkong.get_capabilities().items():
                if able and name not in ("serial", "haswell"):
                    numkong.disable_capability(name)
        print(json.dumps(instructions()), flush=True)
        for row in measure(given):
            print(json.dumps(row), flush=True)
        sys.exit()
    sets = environments()
    if given.only:
        if given.only not in sets:
            parser.error(f"--only: got {given.only!r}, needs {' or '.join(map(repr, sets))}")
        sets = {given.only: sets[given.only]}
    print(heading())
    found = {name: list(_child(name, os.environ | sets[name])) for name in sets}
    print(table(found, ratio), flush=True)
    return given, found


def _child(name: str, environment: dict[str, str]) -> Iterator[Row]:
    command = [sys.executable, *sys.argv, "--child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        print(f"{name}: {json.loads(child.stdout.readline())}\n", flush=True)
        for line in child.stdout:
            row = Row(*json.loads(line))
            print(name, row.work, row.by, *cells(row, FASTER), sep=" | ", file=sys.stderr)
            yield row
    if child.returncode:
        raise SystemExit(child.returncode)


# Tables.


def heading() -> str:
    """Return the date, the machine and the versions."""
    import numba
    import PIL

    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Numba {numba.__version__}, "
        f"NumPy {np.__version__}, Pillow {PIL.__version__}\n"
    )


def table(found: dict[str, list[Row]], ratio: str = FASTER) -> str:
    """Return rows as Markdown, the sets of instructions side by side."""
    columns = ["work", "by", *(part for name in found for part in (name, ratio))]
    lines = []
    by_key = [{row[:2]: cells(row, ratio) for row in rows} for rows in found.values()]
    for key in dict.fromkeys(key for rows in by_key for key in rows):
        texts = [text for rows in by_key for text in rows.get(key, ["", ""])]
        lines.append([*key, *texts])
    return markdown(columns, lines)


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    heads = list(columns)
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def cells(row: Row, ratio: str) -> list[str]:
    """Return the value with its unit, and the ratio."""
    times = row.ratio if ratio == FASTER else 1 / row.ratio
    value = f"{row.value:.3g} billion/s" if row.rate else shown(row.value)
    return [value, f"{times:.{0 if times >= 100 else 2}f}"]


def shown(seconds: float) -> str:
    """Return a time with its unit."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            number = seconds * factor
            return f"{number:,.0f} {unit}" if number >= 1000 else f"{number:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def cpu() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
