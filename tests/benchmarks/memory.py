"""The most memory that hashing takes: for 200 files and 20,000, and for one of 100 megapixels.

And that the pairs of 8,000 blank images take, in memory and in a file.

    python tests/benchmarks/memory.py

Each in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

IMAGE = Path(__file__).parents[2] / "data" / "pictures" / "harbour_resized.jpg"

PEAK = """
import resource, sys, photodna_nb as pdna
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
MANY = "pdna.hash_files(f'{sys.argv[1]}/{i}.jpg' for i in range(int(sys.argv[2])))"
ONE = "pdna.hash_file(sys.argv[1])"
PAIRS = """
import numpy as np
blank = np.zeros((int(sys.argv[1]), 144), np.uint8)
if len(sys.argv) == 2:
    pdna.pairs_within(blank, max_distance=0)
else:
    pdna.write_pairs(sys.argv[2], blank, max_distance=0)
"""
DECODE = "pdna.hash_file(sys.argv[2]); Image.open(sys.argv[1]).load()"


def peak(work: str, *arguments: object) -> float:
    """Return the peak resident memory of that work, in MiB."""
    command = [sys.executable, "-c", PEAK.format(work=work), *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(20_000):
            os.symlink(IMAGE, f"{folder}/{number}.jpg")
        few, many = peak(MANY, folder, 200), peak(MANY, folder, 20_000)
        print(f"200 files {few:.0f} MiB, 20,000 files {many:.0f} MiB: {many - few:.0f} MiB more")
        large = Path(folder) / "large.jpg"
        with Image.open(IMAGE) as image:
            image.resize((12_000, 8_400)).save(large, quality=85)
        decoded, hashed = peak(DECODE, large, IMAGE), peak(ONE, large)
        pixels = 12_000 * 8_400 * 4 / 2**20
        print(
            f"a JPEG of 100 megapixels, {pixels:.0f} MiB of pixels: decoding alone {decoded:.0f} "
            f"MiB, hashing {hashed:.0f} MiB"
        )
        few, pairs = peak(PAIRS, 2), 8000 * 7999 // 2
        for where in ((), (f"{folder}/p.npz",), (f"{folder}/p.parquet",)):
            more = peak(PAIRS, 8000, *where) - few
            name = f"a file {where[0][-8:]}" if where else "memory"
            print(
                f"{pairs:,} pairs in {name}: {more:.0f} MiB, {more * 2**20 / pairs:.1f} bytes each"
            )


if __name__ == "__main__":
    main()
