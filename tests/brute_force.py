"""A run counted again in plain NumPy, pair by pair.

Pictures, variants and hashes are the package's. What pairs there are, their distances, and every
count and rate are computed here, from their definitions in docs/statistics.md alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations

import numpy as np
from PIL import Image

import photodna_nb as pdna
from photodna_nb import hashers, transforms

ORIGINAL = -1
LARGEST_DISTANCE = {"euclidean": 255 * 12, "hamming": 64}


class Bright(hashers.Hasher):
    """Bits of an 8 x 8 grey image: a hasher that needs no further package."""

    name, length = "bright", 64

    def compute(self, image):
        """Return which pixels are brighter than the mean."""
        grey = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX))
        return (grey > grey.mean()).reshape(-1)


BRIGHT = f"{__name__}:Bright"


@dataclass
class Hashed:
    """Hashes of the originals that one hasher can hash, and of their variants.

    variants : Hash of each variant, by row of the original and number of the transform.
    """

    metric: str
    names: list[str]
    digests: list[str]
    detail: list[float]
    hashes: list[np.ndarray]
    variants: dict[tuple[int, int], np.ndarray]


@dataclass
class Pairs:
    """Genuine or impostor pairs: a picture of the original `i` (its variant by the transform,
    or itself) and the original `j`.

    distance : Exact integer: squared L2, or Hamming.
    threshold : Smallest whole number at which the pair matches.
    oriented : The same of the nearest of the eight orientations.
    """

    i: np.ndarray
    j: np.ndarray
    transform: np.ndarray
    distance: np.ndarray
    threshold: np.ndarray
    oriented: np.ndarray

    def __len__(self):
        return len(self.i)

    def of(self, rows):
        return Pairs(*(column[rows] for column in vars(self).values()))

    def matches(self, largest, oriented=False):
        """Return how many pairs match at each threshold up to the largest."""
        own = self.oriented if oriented else self.threshold
        return (own <= np.arange(largest + 1)[:, None]).sum(axis=1)


def hash_folder(folder, names, specs, hasher_name="photodna", seed=0):
    """Hash the pictures of a folder and their variants, one after the other."""
    hasher = hashers.hasher(hasher_name)
    found = Hashed(hasher.metric, [], [], [], [], {})
    for name in names:
        content = (folder / name).read_bytes()
        try:
            with Image.open(folder / name) as file:
                image = file.convert("RGB")
        except OSError:
            continue
        row = len(found.names)
        one = hasher.hash_image(image)
        found.names.append(name)
        found.digests.append(sha256(content).hexdigest())
        found.detail.append(one.quality)
        found.hashes.append(one.hash)
        for number, spec in enumerate(specs):
            transform = transforms.parse(spec)
            try:
                variant = transform.apply(image, transforms.seed_for(seed, name, transform.label))
            except pdna.PhotodnaError:
                continue
            found.variants[row, number] = hasher.hash_image(variant).hash
    return found


def listed(hashed, pairs):
    """Return pairs of (i, j, transform), with their distances."""
    i, j, transform = np.array(pairs, np.int64).reshape(-1, 3).T
    first = np.array(
        [hashed.hashes[a] if t == ORIGINAL else hashed.variants[a, t] for a, _, t in pairs], int
    )
    others = [np.array(hashed.hashes, int)]
    if hashed.metric == "euclidean":
        others = np.moveaxis(pdna.orientations(np.array(hashed.hashes)).astype(int), 1, 0)
    distances = np.stack([((first - turned[j]) ** 2).sum(axis=1) for turned in others])
    thresholds = np.arange(LARGEST_DISTANCE[hashed.metric] + 1)
    powers = thresholds**2 if hashed.metric == "euclidean" else thresholds
    plain, oriented = (
        np.array([np.argmax(powers >= d) for d in own], int)
        for own in (distances[0], distances.min(axis=0))
    )
    return Pairs(i, j, transform, distances[0], plain, oriented)


def variant_pairs(hashed):
    """Return the genuine pairs: each variant and its original."""
    return listed(hashed, [(i, i, transform) for i, transform in sorted(hashed.variants)])


def other_pairs(hashed, groups=(), flat=()):
    """Return the impostor pairs, and how many were left out for which reason.

    flat : Names of originals that are in no pair.
    """
    together = {frozenset(pair) for group in groups for pair in combinations(group, 2)}
    kept, left_out = [], {"excluded": 0, "identical": 0, "low_detail": 0}

    def count(i, j, transform):
        if frozenset((hashed.names[i], hashed.names[j])) in together:
            left_out["excluded"] += 1
        elif hashed.digests[i] == hashed.digests[j]:
            left_out["identical"] += 1
        elif {hashed.names[i], hashed.names[j]} & set(flat):
            left_out["low_detail"] += 1
        else:
            kept.append((i, j, transform))

    n = len(hashed.names)
    for i, j in combinations(range(n), 2):
        count(i, j, ORIGINAL)
    for i, transform in hashed.variants:
        for j in range(n):
            if i != j:
                count(i, j, transform)
    return listed(hashed, kept), left_out


def labelled_pairs(hashed, path):
    """Return the genuine and the impostor pairs of a file of labels, and their categories."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    place = {name: row for row, name in enumerate(hashed.names)}
    found = []
    for same in ("1", "0"):
        own = [row for row in rows if row["same"] == same and {row["a"], row["b"]} <= place.keys()]
        ends = [sorted((place[row["a"]], place[row["b"]])) for row in own]
        pairs = listed(hashed, [(i, j, ORIGINAL) for i, j in ends])
        found += [pairs, np.array([row["category"] for row in own])]
    return found


def in_validation(names, seed=0):
    return np.array([transforms.seed_for(seed, name, "half") % 2 == 1 for name in names])


def split_of(pairs, halves):
    """Return which pairs are in the selection half, the validation half, and between them."""
    a, b = halves[pairs.i], halves[pairs.j]
    return {"selection": ~a & ~b, "validation": a & b, "between": a != b}


def equal_error(missed, matched):
    """Return rate and threshold where two curves over -1, 0, 1 … cross, linear in between."""
    at = np.arange(-1, len(missed))
    missed, matched = np.r_[1.0, missed], np.r_[0.0, matched]
    low, high = -1.0, float(at[-1])
    for _ in range(200):
        middle = (low + high) / 2
        if np.interp(middle, at, missed) > np.interp(middle, at, matched):
            low = middle
        else:
            high = middle
    return float(np.interp(high, at, matched)), max(high, 0.0)


def curve_numbers(genuine, impostor, largest):
    """Return the rates at every threshold, and the numbers that sum up the curves.

    genuine, impostor : The smallest threshold at which each pair matches.
    """
    at = np.arange(largest + 1)[:, None]
    g, f = (genuine <= at).sum(axis=1), (impostor <= at).sum(axis=1)
    precision = np.array([a / (a + b) if a + b else 1.0 for a, b in zip(g, f, strict=True)])
    recall, rate = g / len(genuine), f / len(impostor)
    error, threshold = equal_error(1 - recall, rate)
    nearer, equal = genuine[:, None] < impostor, genuine[:, None] == impostor
    precise = [(float(recall[t]), -t) for t in range(largest + 1) if g[t] and precision[t] >= 0.9]
    best = max(precise, default=(0.0, None))
    return {
        "genuine_matches": g,
        "impostor_matches": f,
        "recall": recall,
        "false_match_rate": rate,
        "precision": precision,
        "false_non_match_rate": (genuine > at).sum(axis=1) / len(genuine),
        "auc": float(nearer.mean() + equal.mean() / 2),
        "average_precision": float(
            precision[genuine].mean()
        ),  # at the threshold that just includes each pair
        "equal_error_rate": error,
        "equal_error_threshold": threshold,
        "recall_at_90_precision": best[0],
        "threshold_at_90_precision": None if best[1] is None else -best[1],
    }
