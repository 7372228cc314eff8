"""What a hash costs beside what cannot be avoided; the rivals run in turn in this process.

    python tests/benchmarks/hashing.py

Prints the first table of docs/speed.md. Medians; the machine should do nothing else.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np
import PIL

import photodna_nb as pdna

IMAGE = Path(__file__).parents[2] / "data" / "pictures" / "harbour_resized.jpg"

IMPORTS_ONLY = """
import sys, numpy, numba
from PIL import Image
Image.open(sys.argv[1]).load()
"""


@numba.njit(nogil=True)
def add_bytes(values):
    """Return the sum of the bytes: what reading the array costs."""
    total = 0
    for i in range(values.shape[0]):
        total += values[i]
    return total


def in_turn(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median seconds of each call, all of them run once a round."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]


def image(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Return random pixels, (height, width, channels) uint8."""
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def process(*arguments: str, **environment: str) -> Callable[[], object]:
    """Return a call that runs Python with these arguments."""

    def run() -> None:
        everything = os.environ | environment
        subprocess.run(
            [sys.executable, *arguments], check=True, capture_output=True, env=everything
        )

    return run


def main() -> None:
    """Measure and print."""
    print(heading())
    print("| work, on one thread | time | beside | ratio |\n|---|---|---|---|")

    for channels, name in ((3, "RGB"), (4, "RGBX")):
        large = image(3000, 4000, channels)
        flat = large.reshape(-1)
        hashed, added = in_turn(
            41, lambda image=large: pdna.hash_image(image), lambda values=flat: add_bytes(values)
        )
        row(f"hash a 12-megapixel {name} array", hashed, "a kernel that adds its bytes", added)
    small = image(321, 481)
    hashed, added = in_turn(
        2001, lambda: pdna.hash_image(small), lambda: add_bytes(small.reshape(-1))
    )
    row("hash a 481 x 321 RGB array", hashed, "a kernel that adds its bytes", added)

    command = ("-m", "photodna_nb", "--hash", str(IMAGE))
    warm, bare = in_turn(15, process(*command), process("-c", IMPORTS_ONLY, str(IMAGE)))
    opens = "a process that imports NumPy, Numba and Pillow and opens it"
    row("`photodna-nb --hash` of a small image, kernels cached", warm, opens, bare)
    times = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            process(*command, NUMBA_CACHE_DIR=folder)()
            times.append(time.perf_counter() - start)
    row("the first call, which compiles the kernels", statistics.median(times), opens, bare)


def heading() -> str:
    """Return the date, the machine and the versions."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Numba {numba.__version__}, "
        f"NumPy {np.__version__}, Pillow {PIL.__version__}\n"
    )


def row(work: str, spent: float, beside: str, rival: float) -> None:
    """Print a row of the table."""
    print(f"| {work} | {shown(spent)} | {beside}: {shown(rival)} | {spent / rival:.2f} |")


def shown(seconds: float) -> str:
    """Return a time with its unit."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def cpu() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(line.split(": ")[1] for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
