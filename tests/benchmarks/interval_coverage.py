"""How often intervals of the false match rate hold the truth, over simulated corpora.

    python tests/benchmarks/interval_coverage.py [--corpora 1000] [--images 60 300]

Prints, for each model of corpora whose pairs share images, the share of corpora whose
interval holds the true rate: at fixed thresholds, by how many matches are expected there,
among the corpora that counted ten or more; at the first threshold of each corpus that
counted so many; and of the bounds used below ten, at the threshold where that is rarest.
Beside them, what other intervals hold that one might have taken.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import corpora

EXPECTED = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0)
N_BINS = 600
REPLICATES = 200


def others(model, n: int, number: int, seed: int, truth: np.ndarray) -> dict[str, float]:
    """Return what other intervals cover, pooled over the same thresholds."""
    pairs = n * (n - 1) // 2
    at = np.searchsorted(truth, np.array(EXPECTED) / pairs)
    rng = np.random.default_rng(seed)
    held: dict[str, list[np.ndarray]] = {
        "pairs as independent trials (Clopper-Pearson)": [],
        "percentiles of images resampled with replacement": [],
    }
    for one in corpora.corpora(model, n, number, seed):
        near = one.cell <= at[-1]
        order = np.argsort(one.cell[near], kind="stable")
        i, j, cell = (part[near][order] for part in one)
        stop = np.searchsorted(cell, at, side="right")
        enough = stop >= 10
        low = stats.beta.ppf(0.025, stop, pairs - stop + 1)
        high = stats.beta.ppf(0.975, stop + 1, pairs - stop)
        inside = (low <= truth[at]) & (truth[at] <= high)
        held["pairs as independent trials (Clopper-Pearson)"].append(inside[enough])
        weights = rng.multinomial(n, np.full(n, 1 / n), REPLICATES)
        sums = np.cumsum(weights[:, i] * weights[:, j], axis=1)
        sums = np.c_[np.zeros(REPLICATES, np.int64), sums][:, stop]
        whole = (n**2 - (weights**2).sum(axis=1)) / 2
        low, high = np.quantile(sums / whole[:, None], [0.025, 0.975], axis=0)
        inside = (low <= truth[at]) & (truth[at] <= high)
        held["percentiles of images resampled with replacement"].append(inside[enough])
    return {name: float(np.concatenate(found).mean()) for name, found in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpora", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs="+", default=[60, 300])
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--variants", type=int, default=0, help="of each image, in more pairs")
    options = parser.parse_args()
    worst, worst_first, worst_few = [], [], []
    for n in options.images:
        print(f"\n{options.corpora} corpora of {n} images; matches expected:")
        head = "".join(f"{int(e):>6}" for e in EXPECTED)
        print(f"{'model':<16}{head}   all | first 10, 20, 50, 200    | below ten")
        for model in corpora.MODELS:
            found = corpora.coverage(
                model,
                n,
                options.corpora,
                options.seed,
                EXPECTED,
                3 * options.corpora,
                N_BINS,
                variants=options.variants,
            )
            often = found.counted >= options.corpora / 2
            with np.errstate(invalid="ignore"):
                held = found.covered / found.counted
                bounded = found.bounded / found.few
            cells = "".join(
                f"{h:6.3f}" if c else "     -" for h, c in zip(held, found.counted, strict=True)
            )
            firsts = [float(np.mean(kept)) for kept in found.firsts.values()]
            some = found.few >= options.corpora / 100
            print(
                f"{model.__name__:<16}{cells} {found.pooled:.3f} | "
                + " ".join(f"{f:.3f}" for f in firsts)
                + f" | {bounded[some].min():.3f}"
            )
            worst += [(float(h), model.__name__, n) for h in held[often]]
            worst_first += [(f, model.__name__, n) for f in firsts]
            worst_few.append((float(bounded[some].min()), model.__name__, n))
            if options.variants:
                continue
            truth = corpora.true_rates(model, n, options.corpora, options.seed + 1, N_BINS)
            rivals = others(model, n, min(options.corpora, 300), options.seed, truth)
            print("    " + ", ".join(f"{name}: {share:.3f}" for name, share in rivals.items()))
    print("\nworst, where half of the corpora or more counted ten:", min(worst))
    print("worst, at a first threshold:", min(worst_first))
    print("worst bound below ten:", min(worst_few))


if __name__ == "__main__":
    main()
