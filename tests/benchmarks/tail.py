"""Is the tail right a hundred times further out? Fitted on tenths, compared with the whole.

    python tests/benchmarks/tail.py [--originals 10000] [--corpora 2] [--splits 50]

Generates corpora of dead leaves, hashes them, fits the tail on random tenths of the originals,
a hundredth of the pairs, and compares the rates that it predicts with those that the whole
corpus counts: at the thresholds where a tenth counts ten pairs, one, and a tenth of one, at
which the whole counts a thousand, a hundred and ten. Then what the model says of corpora
that it does not fit, with images that are in them twice.
"""

from __future__ import annotations

import argparse

import numpy as np

import photodna_nb as pdna
from photodna_nb.evaluation.dependence import ImpostorPairs
from photodna_nb.evaluation.tail import Tail
from photodna_nb.evaluation.tail_fit import fit_tail

FURTHER = (1, 10, 100)
PROPORTION = 0.006


def hashes(number: int, seed: int) -> np.ndarray:
    originals = pdna.datasets.dead_leaves(number, seed=seed)
    return np.stack([pdna.hash_image(original.open()) for original in originals])


class Distances:
    """The nearest pairs of a corpus, and of parts of it."""

    def __init__(self, hashes: np.ndarray) -> None:
        self.images = len(hashes)
        self.pairs = self.images * (self.images - 1) // 2
        counts = pdna.distance_histogram(hashes).counts
        self.cutoff = int(np.searchsorted(np.cumsum(counts), PROPORTION * self.pairs))
        self.near = pdna.pairs_within(hashes, max_distance=self.cutoff)
        self.sorted = np.sort(self.near.distance)

    def tail(self, part: np.ndarray, seed: int = 0) -> Tail:
        place = np.full(self.images, -1)
        place[part] = np.arange(len(part))
        i, j = place[self.near.i], place[self.near.j]
        inside = (i >= 0) & (j >= 0)
        near = ImpostorPairs(i[inside], j[inside], self.near.distance[inside], self.cutoff)
        return fit_tail(near, len(part), len(part) * (len(part) - 1) // 2, seed=seed)


def splits(whole: Distances, number: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return whether the interval covered the count, predicted over counted, and rejections."""
    size = whole.images // 10
    pairs = size * (size - 1) // 2
    ranks = [int(10 / further / pairs * whole.pairs) for further in FURTHER]
    thresholds = whole.sorted[np.array(ranks) - 1]
    counted = np.array(ranks) / whole.pairs
    covered, ratios, rejections = [], [], []
    rng = np.random.default_rng(seed)
    for k in range(number):
        tail = whole.tail(rng.permutation(whole.images)[:size], seed=k)
        if not tail.accepted:
            rejections.append(tail.rejection_reason)
            continue
        found = tail.rate(thresholds)
        covered.append((found.lower <= counted) & (counted <= found.upper))
        ratios.append(np.stack([found.lower, found.rate, found.upper]) / counted)
    return np.array(covered), np.array(ratios), rejections


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--originals", type=int, default=10_000)
    parser.add_argument("--corpora", type=int, default=2)
    parser.add_argument("--splits", type=int, default=50)
    options = parser.parse_args()
    print("| corpus | pairs | further out | covered | predicted / counted (median; interval) |")
    print("|---|---|---|---|---|")
    every, rejected = [], 0
    for seed in range(options.corpora):
        made = hashes(options.originals, 11 + seed)
        whole = Distances(made)
        covered, ratios, rejections = splits(whole, options.splits, seed)
        every.append(covered)
        rejected += len(rejections)
        for k, further in enumerate(FURTHER):
            lower, rate, upper = np.median(ratios[:, :, k], axis=0)
            print(
                f"| {11 + seed} | {whole.pairs:,} | {further} | {covered[:, k].mean():.3f} "
                f"| {rate:.2f} ({lower:.2f} to {upper:.2f}) |"
            )
        for reason in rejections:
            print("rejected:", reason)
    print("covered in all:", np.concatenate(every).mean(axis=0), "rejected:", rejected)

    print("\nCorpora that the model does not fit:")
    rng = np.random.default_rng(1)
    some = made[: options.originals // 5]
    again = some.copy()
    again[:3] = np.clip(some[-3:].astype(int) + rng.integers(-2, 3, (3, 144)), 0, 255)
    same = some.copy()
    same[0] = same[1]
    burst = some.copy()
    number = len(some) // 50
    amount = np.linspace(0.05, 0.5, number)[:, None]
    burst[:number] = (1 - amount) * some[number : 2 * number] + amount * some[:number]
    for name, corpus in (
        ("three images twice", again),
        ("one hash twice", same),
        ("one in fifty half of another one", burst),
        ("as it was", some),
    ):
        tail = Distances(corpus).tail(np.arange(len(corpus)))
        rate = tail.rate(200.0)
        print(
            f"- {name}: accepted {tail.accepted}; "
            f"{tail.rejection_reason or 'no reason'}; {rate.rate[0]:.2g}"
        )


if __name__ == "__main__":
    main()
