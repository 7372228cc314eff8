"""Hashing files beside only decoding them, and beside other packages.

    pip install photo-dna-rs pdqhash imagehash
    python tests/benchmarks/decoding.py

Prints the table of files a second in docs/speed.md. JPEG files of three sizes are made
from the sample images; every rival gets the same files, in turn, on the same
number of threads. A rival that is not installed is left out.

Where the pages of a process come to lie in the processor's cache moves the time
of decoding itself by a tenth or more, for as long as the process lives. So all
of it is measured in several processes, and the medians of their rates and of
their ratios are printed.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np
from measuring import heading
from PIL import Image

import photodna_nb as pdna

IMAGES = Path(__file__).parents[2] / "data" / "pictures"
# Megapixels: width, height, files, rounds in a process.
SIZES = {0.15: (481, 321, 800, 2), 1: (1224, 816, 120, 2), 10: (3872, 2592, 16, 2)}
THREADS = (1, 2, 4)
PROCESSES = 5
# Rivals that take this many times as long are run in the first round alone.
SLOW = 4
REFERENCE_PER_SECOND_AND_CORE = 20  # at 0.15 megapixels, as its authors' users measured it


def make_files(folder: Path, width: int, height: int, count: int) -> list[Path]:
    """Write JPEG files at quality 90: crops of the sample images, all different.

    With a grain of 7 grey levels, as a camera's: an enlarged drawing without it is
    half the size of a photograph and takes half as long to decode.
    """
    rng = np.random.default_rng(0)
    scenes = [
        Image.open(path).convert("RGB")
        for path in sorted(IMAGES.glob("*.jpg"))
        if "_" not in path.name
    ]
    paths = []
    for number in range(count):
        scene = scenes[number % len(scenes)]
        left, top = rng.uniform(0, 0.2, 2) * scene.size
        box = (left, top, left + 0.8 * scene.width, top + 0.8 * scene.height)
        paths.append(folder / f"{width}_{number}.jpg")
        image = scene.resize((width, height), Image.Resampling.BICUBIC, box)
        grain = rng.normal(0, 7, (height, width, 1)).astype(np.float32)
        pixels = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def decode(path: Path) -> None:
    """Read and decode, and do nothing else."""
    with Image.open(path) as image:
        image.load()


def rivals() -> dict[str, Callable[[Path], object]]:
    """Return what each installed package does with one file."""
    found: dict[str, Callable[[Path], object]] = {}
    for package in ("photo_dna_rs", "pdqhash", "imagehash"):
        try:
            module = import_module(package)
        except ModuleNotFoundError:
            continue
        if package == "photo_dna_rs":
            found["photo-dna-rs"] = lambda path, m=module: m.Hash.from_image_path(str(path))
        elif package == "pdqhash":
            found["pdqhash"] = lambda path, m=module: m.compute(
                np.asarray(Image.open(path).convert("RGB"))
            )
        else:
            found["imagehash.phash"] = lambda path, m=module: m.phash(Image.open(path))
    return found


def files_a_second(paths: list[Path], threads: int, repeats: int) -> dict[str, float]:
    """Return the median rate of each contestant in this process, all run once a round."""

    def one_by_one(work: Callable[[Path], object]) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, paths):
                pass

    calls: dict[str, Callable[[], object]] = {
        "decoding alone": lambda: one_by_one(decode),
        "photodna_nb": lambda: pdna.hash_files(paths, max_workers=threads),
    }
    for name, work in rivals().items():
        calls[name] = lambda w=work: one_by_one(w)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            first = [spent[0] for spent in times.values() if spent]
            if times[name] and times[name][0] > SLOW * min(first):
                continue
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: len(paths) / statistics.median(spent) for name, spent in times.items()}


def measure(folder: Path) -> None:
    """Print the rates in this process as JSON: a list by size and threads."""
    rates = []
    for width, _, _, repeats in SIZES.values():
        paths = sorted(folder.glob(f"{width}_*.jpg"))
        pdna.hash_files(paths[:2])
        rates += [files_a_second(paths, threads, repeats) for threads in THREADS]
    print(json.dumps(rates))


def main() -> None:
    """Measure in several processes and print the medians."""
    print(heading())
    names = ["decoding alone", "photodna_nb", *rivals()]
    print("| JPEG files | threads |", " | ".join(names), "| of decoding |", end="")
    print(" of photo-dna-rs |" * ("photo-dna-rs" in names))
    print("|---" * (len(names) + 3 + ("photo-dna-rs" in names)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for megapixels, (width, height, count, _) in SIZES.items():
            paths = make_files(Path(folder), width, height, count)
            bits = 8 * sum(path.stat().st_size for path in paths) / len(paths)
            sizes.append(f"{megapixels} megapixels, {bits / width / height:.1f} bits a pixel")
        command = [sys.executable, __file__, folder]
        every = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for _ in range(PROCESSES)
        ]
    for number, (size, threads) in enumerate(itertools.product(sizes, THREADS)):
        rates = [rate[number] for rate in every]
        cells = [size, str(threads)]
        cells += [f"{statistics.median(rate[name] for rate in rates):.3g}" for name in names]
        for rival in ("decoding alone", "photo-dna-rs"):
            if rival in names:
                ratio = statistics.median(rate["photodna_nb"] / rate[rival] for rate in rates)
                cells.append(f"{ratio:.2f}")
        print("|", " | ".join(cells), "|", flush=True)
    small = statistics.median(rate[THREADS.index(2)]["photodna_nb"] for rate in every)
    reference = 2 * REFERENCE_PER_SECOND_AND_CORE
    ratio = f"{small / reference:.0f} times the reference's {reference} a second"
    print(f"\n0.15 megapixels on 2 threads: {ratio}.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        main()
