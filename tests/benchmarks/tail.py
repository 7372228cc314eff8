"""Do the intervals of false match rates hold what a larger corpus shows?

    python tests/benchmarks/tail.py [--splits 300] [--photographs HASHES.npz] [--run RUN_DIR ...]
                                    [--drawn 4000] [--corpora 1] [--save FILE.json]

Random parts of a corpus are evaluated, and what they say is compared with what the whole counts:
at the rate at which ten pairs of two originals of the part match, ten times further out, and for
tenths a hundred times. Three claims are tested: the interval of the fitted tail holds the rate of
the whole, where the fit is accepted; so does the interval of the counted rate; and the largest
threshold whose upper limit is at most a target keeps it.

The corpora are the photographs of ../shared (two sets, with eight variants of each image and
without), those of `--run`, the folders of one's own runs, and `--drawn` dead leaves, with three
variants and without. Splits of one corpus are dependent: the interval of the pooled coverage is
that over disjoint blocks of the photographs, each of which is split as a corpus of its own. It
prints Markdown tables. With `--save`, what was computed before is taken from the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import photodna_nb as pdna
from photodna_nb.evaluation.thresholds import choose_threshold

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hash_corpora import HashCorpus

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "golden" / "photographs" / "hashes.npz"
VARIANTS = "jpeg:30", "crop:5", "text:8"
BLOCK = 500  # images, of which halves can be fitted
CLAIMS = "tail", "counted", "threshold"
FURTHER = {3: (1, 10), 2: (1, 10), 10: (1, 10, 100)}
PARTS = {3: "third", 2: "half", 10: "tenth"}


def cells(whole: HashCorpus, part: int, splits: int, seed: int) -> list[dict[str, Any]]:
    """Return, for each rate, how many parts claimed something, and of how many it was true."""
    size = whole.images // part
    dyads = size * (size - 1) // 2
    expected = [10.0 / further for further in FURTHER[part]]
    if whole.per_dyad > 1 and part != 10:
        expected.append(10 / whole.per_dyad)  # ten pairs, of an original and a variant
    targets = np.array(expected) / dyads
    counted = whole.rates()
    at = np.searchsorted(counted, targets * (1 - 1e-9))
    tallies = [Counter[str]() for _ in targets]
    rng = np.random.default_rng([seed, part])
    for k in range(splits):
        rates, tail = whole.of(rng.permutation(whole.images)[:size]).estimates(k)
        for tally, target, t in zip(tallies, targets, at, strict=True):
            truth = counted[t]
            by_tail = tail.reliable_rate(int(t))
            if by_tail is not None:
                tally.update(verdict("tail", by_tail.lower, truth, by_tail.upper))
            if rates.at_least_ten_matches[t]:
                tally.update(verdict("counted", rates.lower[t], truth, rates.upper[t]))
            choice = choose_threshold(float(target), rates, tail, conservative=True)
            if choice.threshold is not None:
                tally.update(verdict("threshold", 0, counted[choice.threshold], target))
    return [
        {
            "corpus": whole.name,
            "pairs of a dyad": whole.per_dyad,
            "part": PARTS[part],
            "expected": round(number * whole.per_dyad, 1),
            "in the whole": round(counted[t] * whole.pairs),
            "splits": splits,
            **tally,
        }
        for number, t, tally in zip(expected, at, tallies, strict=True)
    ]


def verdict(claim: str, lower: float, truth: float, upper: float) -> list[str]:
    held = lower <= truth <= upper * (1 + 1e-9)
    side = "held" if held else "unsafe" if truth > upper else "safe"
    return [f"{claim} claimed", f"{claim} {side}"]


def pooled(rows: list[dict[str, Any]], claim: str) -> float:
    claimed = sum(row.get(f"{claim} claimed", 0) for row in rows)
    return sum(row.get(f"{claim} held", 0) for row in rows) / max(claimed, 1)


def photographs(path: Path) -> Iterator[HashCorpus]:
    """Yield both sets, without variants and with them."""
    with np.load(path) as arrays:
        for name in "ab":
            originals = arrays[f"{name}_originals"]
            variants = arrays[f"{name}_variants"].swapaxes(0, 1)
            for some in (variants[:0], variants):
                yield HashCorpus.of_hashes(f"photographs {name}", originals, some)


def blocks_of(path: Path) -> list[list[HashCorpus]]:
    """Return disjoint blocks of both sets, each without variants and with them."""
    blocks: dict[tuple[str, int], list[HashCorpus]] = {}
    for whole in photographs(path):
        order = np.random.default_rng(7).permutation(whole.images)
        for number, images in enumerate(np.array_split(order, whole.images // BLOCK)):
            blocks.setdefault((whole.name, number), []).append(whole.of(images))
    return list(blocks.values())


def drawn(number: int, seed: int) -> Iterator[HashCorpus]:
    specs = [pdna.transforms.parse(spec) for spec in VARIANTS]
    hashes = np.empty((1 + len(specs), number, 144), np.uint8)
    for k, original in enumerate(pdna.datasets.dead_leaves(number, seed=seed)):
        image = original.open()
        hashes[:, k] = [
            pdna.hash_image(one) for one in (image, *(spec.apply(image, seed=k) for spec in specs))
        ]
    for variants in (hashes[1:1], hashes[1:]):
        yield HashCorpus.of_hashes(f"dead leaves {seed}", hashes[0], variants)


def tail_index(whole: HashCorpus, dyads: int, largest: int = 20) -> float:
    """Return Hill's estimate of the tail index of how many of the nearest pairs images are in."""
    nearest = np.argsort(whole.distance, kind="stable")[: dyads * whole.per_dyad]
    counts = np.sort(np.bincount(np.r_[whole.i[nearest], whole.j[nearest]]))[::-1]
    return float(1 / np.log(counts[:largest] / counts[largest]).mean())


def share(row: dict[str, Any], claim: str) -> str:
    if not (claimed := row.get(f"{claim} claimed", 0)):
        return "–"
    wrong = f"{row.get(f'{claim} unsafe', 0)} + {row.get(f'{claim} safe', 0)}"
    return f"{row.get(f'{claim} held', 0) / claimed:.3f} of {claimed} ({wrong})"


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield (
        "| corpus | pairs of a dyad | part | pairs expected in the part | counted in the whole "
        "| fits refused | tail holds (misses: rate above + below) | counted interval holds "
        "| threshold keeps the target |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        names = "corpus", "pairs of a dyad", "part", "expected", "in the whole"
        refused = 1 - row.get("tail claimed", 0) / row["splits"]
        claims = (share(row, claim) for claim in CLAIMS)
        yield "| " + " | ".join([*(f"{row[n]}" for n in names), f"{refused:.2f}", *claims]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=300)
    parser.add_argument("--photographs", type=Path, default=PHOTOGRAPHS)
    parser.add_argument("--run", nargs="*", default=[])
    parser.add_argument("--drawn", type=int, default=4000, help="0 for none")
    parser.add_argument("--corpora", type=int, default=1, help="of drawn images")
    parser.add_argument("--save", type=Path, help="keep what was computed")
    options = parser.parse_args()
    known: dict[str, list[dict[str, Any]]] = {}
    if options.save and options.save.exists():
        known = json.loads(options.save.read_text("utf-8"))

    def measured(key: str, corpora: Any, parts: tuple[int, ...], splits: int) -> list[Any]:
        key += f" {splits}"
        if key not in known:
            known[key] = [
                row for one in corpora() for part in parts for row in cells(one, part, splits, 5)
            ]
            if options.save:
                options.save.write_text(json.dumps(known, indent=1))
        return known[key]

    def shown(rows: list[dict[str, Any]]) -> None:
        print("\n".join(table(rows)), flush=True)

    if options.photographs.exists():
        path = options.photographs
        rows = measured("photographs", partial(photographs, path), (3, 2), options.splits)
        shown(rows)
        indices = [
            tail_index(whole, dyads) for whole in photographs(path) for dyads in (30, 100, 300)
        ]
        print(
            f"tail index of the leverages: {min(indices):.1f} to {max(indices):.1f}, "
            f"median {np.median(indices):.1f}"
        )
        blocks = [
            measured(f"block {k}", partial(iter, one), (3, 2), options.splits // 2)
            for k, one in enumerate(blocks_of(path))
        ]
        for claim in CLAIMS:
            line = f"{claim}: {pooled(rows, claim):.3f} pooled"
            lowest = [pooled([row], claim) for row in rows if row.get(f"{claim} claimed")]
            held = np.array([pooled(block, claim) for block in blocks])
            each = ", ".join(f"{share:.3f}" for share in held)
            half = stats.t.ppf(0.975, len(held) - 1) * held.std(ddof=1) / np.sqrt(len(held))
            line += f", {min(lowest):.3f} in the worst cell; {each} in blocks of {BLOCK} images, "
            print(f"{line}whose mean is {held.mean():.3f} ± {half:.3f}", flush=True)
        shown(measured("tenths of photographs", partial(photographs, path), (10,), options.splits))
    for folder in options.run:
        corpus = HashCorpus.of_run(folder)
        shown(measured(folder, lambda one=corpus: [one], (3, 2), options.splits))
    for seed in range(11, 11 + options.corpora if options.drawn else 11):
        key = f"{options.drawn} dead leaves {seed}"
        corpora = partial(drawn, options.drawn, seed)
        shown(measured(key, corpora, (10,), options.splits // 3))


if __name__ == "__main__":
    main()
