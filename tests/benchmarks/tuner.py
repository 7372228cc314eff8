"""Milliseconds that a move of the threshold takes in the tuner, up to 2 * 10^8 pairs.

    python tests/benchmarks/tuner.py

From the new value of the slider to the texts and the PNG of the figure, as they are sent to the
browser. The pictures of pairs come later, when the slider rests, and are not among it.
"""

import time

import numpy as np

import photodna_nb as pdna
from photodna_nb.evaluation import Config, PairCounts, Results
from photodna_nb.evaluation.pair_counting import count_pairs
from photodna_nb.evaluation.variant_hashes import VariantHashes

ORIGINALS = 200, 700, 2100
NO_PICTURES = pdna.datasets.Dataset({"kind": "none"}, ())
MOVES = 200


def counted(originals: int) -> tuple[Config, PairCounts]:
    """Random hashes through the 46 standard edits, each of which moves them by so much."""
    config = Config.from_dict({"originals": {"kind": "dead_leaves", "number": originals}})
    edits = tuple(transform.spec for transform in config.transforms)
    rng = np.random.default_rng(0)
    hashes = np.minimum(rng.exponential(60, (originals, 144)), 255).astype(np.uint8)
    reach = np.geomspace(1, 60, len(edits))[:, None]
    moved = hashes[:, None] + reach * rng.standard_normal((originals, len(edits), 144))
    shape = originals, len(edits)
    hashed = VariantHashes(
        tuple(f"{number}" for number in range(originals)),
        tuple(f"{number:064x}" for number in range(originals)),
        edits,
        hashes,
        np.full(originals, 1000.0),
        np.clip(moved, 0, 255).astype(np.uint8),
        np.ones(shape, bool),
        np.full(shape, 1000.0),
    )
    return config, count_pairs(hashed, np.arange(originals) % 2 == 1)


def main() -> None:
    """Print a table."""
    print("| impostor pairs | genuine pairs | made | a move, median | a move, largest | sent |")
    print("|---|---|---|---|---|---|")
    for originals in ORIGINALS:
        config, counts = counted(originals)
        results = Results("", config, counts, [], {}, {}, {})
        begun = time.perf_counter()
        tuner = pdna.widgets.ThresholdTuner(results, dataset=NO_PICTURES)
        made = time.perf_counter() - begun
        milliseconds = []
        for threshold in np.random.default_rng(1).permutation(1000)[:MOVES].tolist():
            begun = time.perf_counter()
            tuner.threshold = threshold
            milliseconds.append(1000 * (time.perf_counter() - begun))
            assert tuner.row["threshold"] == threshold
        impostor = int(counts.impostor().sum())
        genuine = int(counts.genuine().sum())
        print(
            f"| {impostor:,} | {genuine:,} | {made:.1f} s | {np.median(milliseconds):.0f} ms "
            f"| {max(milliseconds):.0f} ms | {len(tuner.figure.value) / 1000:.0f} kB |"
        )


if __name__ == "__main__":
    main()
