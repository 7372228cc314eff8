"""Distances of unrelated photographs, as the table of the README gives them.

python tests/benchmarks/photographs.py                # of ../shared/golden/photographs
python tests/benchmarks/photographs.py hashes.npz     # of another file with the same arrays

The file has the hashes of two sets of photographs, `a_originals` (n, 144) and `b_originals`, and of
edits of each, `a_variants` (n, v, 144) and `b_variants`. No two photographs show the same.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import photodna_nb as pdna

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "golden" / "photographs" / "hashes.npz"


class Distances(NamedTuple):
    """Distances of pairs of different photographs of both sets together."""

    photographs: int
    nearest: float
    nearest_with_edit: float
    percent: int  # smallest whole distance below which 1 % of the pairs are
    median: int
    largest: float


def measure(path=PHOTOGRAPHS):
    """Return the distances of the photographs in a file."""
    with np.load(path) as file:
        originals, variants = (
            np.concatenate([file[f"a_{name}"], file[f"b_{name}"]])
            for name in ("originals", "variants")
        )
    n, v = variants.shape[:2]
    squared = pdna.distance_matrix(originals, metric="sqeuclidean")
    pairs = np.sqrt(np.sort(squared[np.triu_indices(n, 1)]))
    with_edit = np.inf
    for number in range(v):
        edited = pdna.distance_matrix(variants[:, number], originals, metric="sqeuclidean")
        np.fill_diagonal(edited, np.iinfo(edited.dtype).max)
        with_edit = min(with_edit, float(np.sqrt(edited.min())))
    middle = [int(np.ceil(np.quantile(pairs, share))) for share in (0.01, 0.5)]
    return Distances(n, float(pairs[0]), with_edit, *middle, float(pairs[-1]))


if __name__ == "__main__":
    for name, value in measure(*sys.argv[1:2])._asdict().items():
        print(f"{name}: {value:.1f}" if isinstance(value, float) else f"{name}: {value:,}")
