"""What the tests of groups and matches share: sets of hashes, and distances by brute force."""

import numpy as np
import searches
from conftest import JIT_OFF

import photodna_nb as pdna
from photodna_nb.hashing.orientations import oriented

N = 40 if JIT_OFF else 150


def exact_distances(a, b, metric="sqeuclidean", orientations=False):
    """Return the distance of each pair, in integers, and the number of the nearest orientation."""
    variants = pdna.orientations(a) if orientations else a[:, None]
    number = searches.METRICS[metric]
    of_each = [searches.distances(variants[:, o], b, number) for o in range(variants.shape[1])]
    return np.min(of_each, axis=0), np.argmin(of_each, axis=0)


def some_set(kind, n=N):
    rng = np.random.default_rng(len(kind))
    if kind == "oriented":
        hashes = searches.some_hashes("copies", n)
        return pdna.orientations(hashes)[np.arange(n), rng.integers(8, size=n)]
    if kind == "symmetric":  # equal to some of their own orientations
        hashes = searches.some_hashes("copies", n)
        hashes[::2] = np.maximum(hashes[::2], oriented(hashes[::2], 1))
        hashes[::5] = pdna.orientations(hashes[::5]).max(axis=1)
        return hashes
    if kind == "chains":  # each link 100 = 10 squared from the next
        hashes = np.zeros((n, 144), np.uint8)
        hashes[:, 0] = 10 * rng.permutation(np.arange(n) % 25)
        hashes[:, 1] = np.arange(n) // 40 * 11
        return hashes
    if kind == "equal":
        return searches.some_hashes("photographs", 9)[rng.integers(9, size=n)]
    return searches.some_hashes(kind, n)


def table_of(hashes, detail=np.nan, **fields):
    n = len(hashes)
    return pdna.HashTable(
        [f"/{row}.png" for row in range(n)], hashes, np.full(n, detail, float), **fields
    )
