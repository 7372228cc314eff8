"""What a hash and first calls cost beside what cannot be avoided; in turn in this process.

    python tests/benchmarks/hashing.py

Prints the first table of docs/speed.md in about three minutes for each set of instructions. The
machine should do nothing else.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
from hash_data import hashes
from measuring import LONGER, Row, compared, process, side_by_side

import photodna_nb as pdna

IMAGE = Path(__file__).parents[2] / "data" / "pictures" / "harbour_resized.jpg"

# Read every byte once, or start Python and import the packages: the minimum.
ADDING = "a kernel that adds the bytes"
IMPORTING = "a process that imports NumPy and Numba"
OPENING = "a process that imports NumPy, Numba and Pillow and opens it"
OURS = "photodna_nb"
HASHES = 10_000

IMPORTS = "import sys, numpy as np, numba"
OPENS = f"{IMPORTS}; from PIL import Image; Image.open(sys.argv[1]).load()"
CALLS = f"{IMPORTS}, photodna_nb as pdna; rows = np.load(sys.argv[1])"
FIRST_CALLS = {
    "`distance_matrix` of 1,000": "pdna.distance_matrix(rows[:1000])",
    f"`pairs_within` 200 of {HASHES:,}": "pdna.pairs_within(rows, max_distance=200)",
    f"`nearest` of {HASHES:,}": "pdna.nearest(rows)",
    f"`HashIndex.search` of 1,000 in {HASHES:,}": """
index = pdna.HashIndex.in_memory()
index.add(list(map(str, range(len(rows)))), rows)
index.search(rows[:1000], 10, max_distance=200)""",
}


@numba.njit(nogil=True)
def add_bytes(values):
    """Return the sum of the bytes: what reading the array costs."""
    total = 0
    for i in range(values.shape[0]):
        total += values[i]
    return total


def image(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Return random pixels, (height, width, channels) uint8."""
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def without_cache(*arguments: object) -> None:
    """Run Python with these arguments and an empty folder for compiled kernels."""
    with tempfile.TemporaryDirectory() as folder:
        process(*arguments, NUMBA_CACHE_DIR=folder)()


def measure(_: Namespace) -> Iterator[Row]:
    """Yield all rows."""
    sizes = {
        "12-megapixel RGB": (image(3000, 4000), 41),
        "12-megapixel RGBX": (image(3000, 4000, 4), 41),
        "481 x 321 RGB": (image(321, 481), 2001),
    }
    for name, (pixels, repeats) in sizes.items():
        calls = {
            OURS: lambda pixels=pixels: pdna.hash_image(pixels),
            ADDING: lambda pixels=pixels: add_bytes(pixels.reshape(-1)),
        }
        yield from compared(f"hash a {name} array, 1 thread", calls, ADDING, repeats)

    command = ("-m", "photodna_nb", "--hash", IMAGE)
    opening = process("-c", OPENS, IMAGE)
    calls = {OURS: process(*command), OPENING: opening}
    yield from compared("`--hash` of a small image, kernels cached", calls, OPENING, 15)
    calls = {OURS: lambda: without_cache(*command), OPENING: opening}
    yield from compared("`--hash` of a small image, empty cache", calls, OPENING, 3)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hashes.npy"
        np.save(file, hashes(HASHES))
        importing = process("-c", IMPORTS)
        for name, code in FIRST_CALLS.items():
            calls = {
                OURS: lambda code=code: without_cache("-c", f"{CALLS}\n{code}", file),
                IMPORTING: importing,
            }
            yield from compared(f"first {name}, empty cache", calls, IMPORTING, 3)


if __name__ == "__main__":
    side_by_side(measure, ArgumentParser(), LONGER)
