"""Any number of hashes like those of photographs, one in a hundred of them a near copy.

    python tests/benchmarks/hash_data.py

Real collections are not part of the repository, and no collection at hand has a million
images. So the hashes of some images are taken apart into their principal components, and put
together anew with components of several images. Search is as hard in these hashes as in
those that they are drawn from; in random bytes it is harder, as these have no components
that say more than others. Drawn from the photographs of ../shared/golden/photographs, and
where these are missing, from generated images (dead leaves).

The script prints in a quarter of a minute, for both, what decides how hard search is.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

import photodna_nb as pdna

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "golden" / "photographs" / "hashes.npz"
IMAGES = 1500
# Components that are taken from one image together.
BANDS = (0, 3, 6, 10, 20, 40, 80, 144)
# A set of fewer hashes is the beginning of a set of more.
PIECE = 10_000
NOISE = 15
COPIES, NEAREST_COPY, FARTHEST_COPY = PIECE // 100, 5, 230


class Images(NamedTuple):
    """The hashes of images: their mean, principal axes (rows), and components."""

    mean: np.ndarray
    axes: np.ndarray
    components: np.ndarray


def source() -> str:
    """Return what the hashes are drawn from."""
    return "photographs" if PHOTOGRAPHS.exists() else "generated images"


@cache
def images(kind: str) -> Images:
    """Return the hashes of photographs or of generated images, taken apart."""
    if kind == "photographs":
        with np.load(PHOTOGRAPHS) as arrays:
            found = np.concatenate([arrays["a_originals"], arrays["b_originals"]])
    else:
        originals = pdna.datasets.dead_leaves(IMAGES)
        found = np.stack([pdna.hash_image(original.open()) for original in originals])
    mean = found.mean(axis=0)
    _, _, axes = np.linalg.svd(found - mean, full_matrices=False)
    return Images(mean, axes, (found - mean) @ axes.T)


def hashes(count: int, seed: int = 0, kind: str = "") -> np.ndarray:
    """Return hashes, (count, 144) uint8."""
    drawn = images(kind or source())
    found = np.empty((count, 144), np.uint8)
    for start in range(0, count, PIECE):
        rng = np.random.default_rng([seed, start])
        whole = _piece(drawn, rng)
        found[start : start + PIECE] = whole[: count - start]
    return found


def _piece(drawn: Images, rng: np.random.Generator) -> np.ndarray:
    """Return PIECE hashes, some of which are copies of others."""
    components = rng.normal(0, NOISE, (PIECE, 144))
    for first, end in itertools.pairwise(BANDS):
        of_images = rng.integers(0, len(drawn.components), PIECE)
        components[:, first:end] += drawn.components[of_images, first:end]
    values = np.maximum(components @ drawn.axes + drawn.mean, 0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    made = np.minimum(values * 1019, 255).astype(np.uint8)
    chosen = rng.permutation(PIECE)
    originals, replaced = chosen[:COPIES], chosen[COPIES : 2 * COPIES]
    distances = rng.uniform(NEAREST_COPY, FARTHEST_COPY, COPIES)
    made[replaced] = copies(made[originals], distances, rng)
    return made


def copies(
    of: np.ndarray, distances: np.ndarray | float, rng: np.random.Generator | int
) -> np.ndarray:
    """Return the hashes moved about so far in random directions, not beyond a byte."""
    steps = np.random.default_rng(rng).normal(size=of.shape)
    steps *= np.reshape(distances, (-1, 1)) / np.linalg.norm(steps, axis=1, keepdims=True)
    return np.rint(of + steps).clip(0, 255).astype(np.uint8)


def near_shares(rows: np.ndarray) -> dict[str, float]:
    """Return the shares of pairs that lie near each other, in 144 dimensions and in a few."""
    histogram = pdna.distance_histogram(rows)
    within = np.cumsum(histogram.counts) / histogram.pairs
    limits = list(histogram.limits)
    shares = {f"within {limit}": float(within[limits.index(limit)]) for limit in (100, 200, 300)}
    centred = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    for limit, number in ((100, 12), (200, 16)):
        few = (centred @ axes[:number].T).astype(np.float32)
        squares = (few**2).sum(axis=1)
        apart = squares[:, None] + squares - 2 * few @ few.T
        near = (np.count_nonzero(apart <= limit**2) - len(few)) / 2
        shares[f"within {limit} along {number} axes"] = near / histogram.pairs
    for share in (0.01, 0.5):
        shares[f"distance of {share:.0%}"] = float(limits[int(np.searchsorted(within, share))])
    return shares


def main() -> None:
    """Print a table."""
    for kind in ("photographs", "generated images"):
        if kind == "photographs" and not PHOTOGRAPHS.exists():
            continue
        drawn = images(kind)
        own = np.rint(drawn.components @ drawn.axes + drawn.mean).astype(np.uint8)
        for name, rows in ((kind, own), (f"drawn from {kind}", hashes(PIECE, 0, kind))):
            shares = near_shares(rows)
            if kind == "photographs" and rows is own:
                print("| pairs |", " | ".join(shares), "|\n" + "|---" * (len(shares) + 1) + "|")
            print(f"| {name} |", " | ".join(f"{share:.3g}" for share in shares.values()), "|")


if __name__ == "__main__":
    main()
