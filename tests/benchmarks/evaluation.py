"""Time of a whole run beside that of its variants and hashes alone; speed of counting pairs.

    python tests/benchmarks/evaluation.py [FOLDER [ROUNDS [HASHERS]]]

FOLDER has photographs, of which the first 500 are taken (default: those of
../shared/golden/neardup, and where these are missing, 500 generated images). In turn, they
go through 40 transforms and HASHERS (default: photodna; such as photodna,pdq,perceptual) with
nothing but threads around it, and through a whole run: with journal, digests, counts, tables.
Then over 10^9 impostor pairs are counted.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from hash_data import hashes
from measuring import heading

from photodna_nb import parallel
from photodna_nb.corpus import datasets
from photodna_nb.corpus.datasets import Original
from photodna_nb.corpus.transforms import KINDS, Transform, seed_for, standard
from photodna_nb.evaluation import Config, run
from photodna_nb.evaluation.config_hashers import RunHasher
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.run_originals import validation_half
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.hashing import images
from photodna_nb.hashing.stages import hash_and_detail

NEARDUP = Path(__file__).resolve().parents[3] / "shared" / "golden" / "neardup" / "images"
ORIGINALS = 500
TRANSFORMS = standard()[:40]
COUNTED = 10_000, 10


def timed(call: Callable[[], object]) -> np.ndarray:
    """Return the seconds that a call takes, by the clock and of the processors."""
    before = np.array([time.perf_counter(), time.process_time()])
    call()
    return np.array([time.perf_counter(), time.process_time()]) - before


def alone(originals: Sequence[Original], hashers: Sequence[RunHasher]) -> None:
    """Make the variants of all originals, and hash them, on threads."""

    def task(original: Original) -> None:
        image = original.open()
        for transform in (None, *TRANSFORMS):
            variant = image
            if transform is not None:
                variant = transform.apply(image, seed_for(0, original.name, transform.label))
            for one in hashers:
                if one.scale == PHOTODNA:
                    hash_and_detail(images.pixels(variant))
                else:
                    one.hasher.hash_image(variant)

    for _ in parallel.ordered_map(task, originals):
        pass


def counting() -> None:
    """Print how long over 10^9 pairs take, and how much memory."""
    n, v = COUNTED
    originals = hashes(n, 0)
    rng = np.random.default_rng(1)
    edited = originals[:, None] ^ rng.integers(0, 4, (n, v, 144), np.uint8)
    names = tuple(map(str, range(n)))
    made = np.ones((n, v), bool)
    specs = tuple(Transform("jpeg", quality).spec for quality in range(1, v + 1))
    detail = np.full(n, 1000.0)
    of_variants = np.full((n, v), 1000.0)
    hashed = VariantHashes(names, names, specs, originals, detail, edited, made, of_variants)
    count_pairs(hashed, validation_half(names, 0), max_listed=10)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = count_pairs(hashed, validation_half(names, 0), detail_bins=(600,))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs = int(found.impostor_histogram().sum())
    print(
        f"{pairs:,} impostor pairs of {n:,} originals with {v} variants counted in "
        f"{seconds:.1f} s; {len(found.nearest.i):,} listed, up to {found.nearest_limit}; "
        f"peak of memory {peak / 1024:.0f} MiB, {(peak - before) / 1024:.0f} more than before"
    )


def main() -> None:
    """Print all of it."""
    photographs = Path(sys.argv[1]) if len(sys.argv) > 1 else NEARDUP
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    names = sys.argv[3].split(",") if len(sys.argv) > 3 else ["photodna"]
    assert len(KINDS) >= 20, "the edits are of many kinds"
    print(heading(), flush=True)
    print()
    section: dict[str, object]
    if photographs.is_dir():
        paths = [one.path for one in datasets.from_directory(photographs)[:ORIGINALS]]  # type: ignore[attr-defined]
        section = {"kind": "list", "paths": paths}
    else:
        section = {"kind": "dead_leaves", "number": ORIGINALS}
    specs = [transform.spec for transform in TRANSFORMS]
    config = Config.from_dict(
        {"originals": section, "variants": {"transforms": specs}, "hash": {"names": names}}
    )
    hashers = config.hashers()
    originals = config.dataset()
    alone(originals[:10], hashers)
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            whole = partial(run, config, folder)
            # Alone, in a run, and in one that finds everything hashed and counted.
            times.append([timed(partial(alone, originals, hashers)), timed(whole), timed(whole)])
    bare, whole_run, again = np.median(times, axis=0)
    ratios = np.median([one[1] / one[0] for one in times], axis=0)
    print(
        f"{len(originals)} originals of {section['kind']}, {len(TRANSFORMS)} variants each: made "
        f"and hashed by {', '.join(names)} in {bare[0]:.1f} s, the whole run {whole_run[0]:.1f} s, "
        f"{ratios[0]:.3f} times (of "
        f"processor time {bare[1]:.1f} s and {whole_run[1]:.1f} s, {ratios[1]:.3f} times); "
        f"again, with nothing to hash, {again[0]:.2f} s",
        flush=True,
    )
    counting()


if __name__ == "__main__":
    main()
