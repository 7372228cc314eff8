"""Measure how long the tuner takes for a change of the threshold, up to 2 * 10^8 pairs.

    python tests/benchmarks/tuner.py

The time begins with the new value of the slider and ends with the texts and the PNG of the figure,
as they are sent to the browser. Images of pairs come later, when the slider rests.
"""

import time

import numpy as np

import photodna_nb as pdna
from photodna_nb.evaluation import Config, PairCounts, Results
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.variant_hashes import VariantHashes

ORIGINALS = 200, 700, 2100
NO_IMAGES = pdna.datasets.Dataset({"kind": "none"}, ())
MOVES = 200


def random_counts(originals: int) -> tuple[Config, PairCounts]:
    """Return the counts of random hashes with 46 variants at increasing distances."""
    config = Config.from_dict({"originals": {"kind": "dead_leaves", "number": originals}})
    specs = tuple(transform.spec for transform in config.transforms)
    rng = np.random.default_rng(0)
    hashes = np.minimum(rng.exponential(60, (originals, 144)), 255).astype(np.uint8)
    deviation = np.geomspace(1, 60, len(specs))[:, None]
    variants = hashes[:, None] + deviation * rng.standard_normal((originals, len(specs), 144))
    shape = originals, len(specs)
    variant_hashes = VariantHashes(
        tuple(f"{number}" for number in range(originals)),
        tuple(f"{number:064x}" for number in range(originals)),
        specs,
        hashes,
        np.full(originals, 1000.0),
        np.clip(variants, 0, 255).astype(np.uint8),
        np.ones(shape, bool),
        np.full(shape, 1000.0),
    )
    return config, count_pairs(variant_hashes, np.arange(originals) % 2 == 1)


def main() -> None:
    """Print a table."""
    print("| impostor pairs | genuine pairs | start | change, median | change, largest | sent |")
    print("|---|---|---|---|---|---|")
    for originals in ORIGINALS:
        config, counts = random_counts(originals)
        results = Results("", config, counts, [], {}, {}, {})
        begun = time.perf_counter()
        tuner = pdna.widgets.ThresholdTuner(results, dataset=NO_IMAGES)
        made = time.perf_counter() - begun
        milliseconds = []
        for threshold in np.random.default_rng(1).permutation(1000)[:MOVES].tolist():
            begun = time.perf_counter()
            tuner.threshold = threshold
            milliseconds.append(1000 * (time.perf_counter() - begun))
            assert tuner.row["threshold"] == threshold
        impostor = int(counts.impostor_histogram().sum())
        genuine = int(counts.genuine_histogram().sum())
        print(
            f"| {impostor:,} | {genuine:,} | {made:.1f} s | {np.median(milliseconds):.0f} ms "
            f"| {max(milliseconds):.0f} ms | {len(tuner.figure.value) / 1000:.0f} kB |"
        )


if __name__ == "__main__":
    main()
