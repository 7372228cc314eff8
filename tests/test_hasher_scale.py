"""Counts of pairs of other hashes than "photodna": bits, other lengths, other metrics."""

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import genuine_table, some_hashed

import photodna_nb as pdna
from photodna_nb.evaluation import PairCounts, estimate_rates
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.pair_counts import PAIR_SPLITS
from photodna_nb.evaluation.rates import RecallSelection, estimate_recalls

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

SCALES = [
    HasherScale("pdq", 256, "hamming", "PDQ quality"),
    HasherScale("average", 64, "hamming"),
    HasherScale("small", 5, "euclidean"),
    HasherScale("sums", 7, "manhattan"),
]


def hashed_by(scale, n=14, v=2, seed=3):
    """Near hashes of any kind, without a quality if the hasher has none."""
    hashed = some_hashed(n, v, seed)
    rng = np.random.default_rng(seed)
    most = 2 if scale.metric == "hamming" else 256
    hashes = rng.integers(0, most, (n, scale.length), np.uint8)
    hashes[0] = hashes[1]
    variants = np.repeat(hashes[:, None], v, axis=1)
    changed = rng.random(variants.shape) < 0.1
    variants[changed] = rng.integers(0, most, int(changed.sum()), np.uint8)
    detail = hashed.detail if scale.quality else np.full(n, np.nan)
    return replace(hashed, hashes=hashes, variants=variants, detail=detail, hasher=scale)


def apart(scale, a, b):
    """The distance of two hashes in NumPy's floats."""
    difference = np.abs(a.astype(float) - b)
    return math.sqrt((difference**2).sum()) if scale.metric == "euclidean" else difference.sum()


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
@pytest.mark.parametrize("listed", [40, 10**6])
def test_counts_and_rates(scale, listed, tmp_path):
    hashed = hashed_by(scale)
    n, v = hashed.available.shape
    half = np.arange(n) % 3 == 0
    found = count_pairs(hashed, half, exclude=[(2, 5)], max_listed=listed)
    pairs, originals = [], np.zeros((3, scale.n_bins), int)
    variants = np.zeros((v, *originals.shape), int)
    for i in range(n):
        for j in range(n):
            if i == j or {i, j} == {2, 5}:
                continue
            split = int(half[i]) if half[i] == half[j] else PAIR_SPLITS.index("between")
            if i < j:
                pairs.append((apart(scale, hashed.hashes[i], hashed.hashes[j]), i, j, -1))
                originals[split, math.ceil(pairs[-1][0])] += 1
            for t in np.flatnonzero(hashed.available[i]):
                distance = apart(scale, hashed.variants[i, t], hashed.hashes[j])
                pairs.append((distance, i, j, int(t)))
                variants[t, split, math.ceil(distance)] += 1
    assert found.impostor_originals.tolist() == originals.tolist()
    assert found.impostor_variants.tolist() == variants.tolist()
    known = originals * bool(scale.quality)  # without a quality, an original is in no bin
    assert found.impostor_by_detail_bin.tolist() == known.sum(axis=0, keepdims=True).tolist()
    near = [pair for pair in sorted(pairs) if pair[0] <= found.nearest_limit]
    distances = scale.distances(found.nearest.distance_squared).tolist()
    columns = distances, *(column.tolist() for column in found.nearest[:3])
    assert list(zip(*columns, strict=True)) == near
    assert 0 < len(near) <= listed
    genuine = np.array(
        [
            [apart(scale, hashed.variants[i, t], hashed.hashes[i]) for t in range(v)]
            for i in range(n)
        ]
    )
    made = hashed.available
    for oriented in (False, True):  # there are no orientations
        table = genuine_table(found, oriented)
        assert scale.distances(table)[made].tolist() == genuine[made].tolist()
        assert (table[~made] == -1).all()
    found.save(tmp_path / "counts.npz")
    again = PairCounts.load(tmp_path / "counts.npz")
    assert (again.hasher, bytes(again.packed())) == (scale, bytes(found.packed()))

    rates = estimate_rates(found)
    thresholds = np.arange(scale.n_bins)
    every = np.array([pair[0] for pair in pairs])
    assert rates.curves.impostor_matches.tolist() == [(every <= t).sum() for t in thresholds]
    assert rates.curves.genuine_matches.tolist() == [(genuine[made] <= t).sum() for t in thresholds]
    assert rates.false_match_rates.matches.tolist() == rates.curves.impostor_matches.tolist()
    assert (rates.tail is None) == (scale.metric == "hamming")
    t = int(genuine[made[:, 0], 0].max() / 2)
    (recall,) = estimate_recalls(found, [RecallSelection(found.transforms[0], t, False)], 0.95)
    assert recall.matches == (genuine[made[:, 0], 0] <= t).sum()


def test_scales():
    """Integers, thresholds, bins and distances belong together."""
    assert (PHOTODNA.n_bins, PHOTODNA.largest_distance, PHOTODNA.unit) == (3061, 3060, "L2")
    for scale, largest, bins in zip(
        SCALES, (256, 64, 570.2, 1785), (257, 65, 572, 1786), strict=True
    ):
        assert scale.largest_distance == pytest.approx(largest, abs=0.02)
        assert scale.n_bins == bins
        for t in (0, 1, 7, scale.largest_threshold):
            limit = scale.integer_limit(t)
            assert scale.bins(np.array([limit, limit + 1])).tolist() == [t, t + 1]
            assert scale.distance(limit) == t == scale.distances(np.array([limit]))[0]
        assert scale.integer_limit(-1) == -1 == scale.distances(np.array([-1]))[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("../up", 64, "hamming", ""), r"hasher ../up: a folder has this name; needs 1 to 40 let"),
        (("", 64, "hamming", ""), "a folder has this name"),
        (("a" * 41, 64, "hamming", ""), "a folder has this name"),
        (("big", 129, "manhattan", ""), r"32,896 different thresholds.* shorten the hash to 128 v"),
        (("big", 4097, "hamming", ""), "hasher big: length: got 4097"),
        (("big", 64, "cosine", ""), "hasher big: metric: got 'cosine'"),
    ],
)
def test_scales_that_are_refused(values, message, tmp_path):
    with pytest.raises(pdna.ArgumentError, match=message):
        HasherScale.checked(*values)
    assert HasherScale.checked("most", 128, "manhattan", "").n_bins == 32641
    assert HasherScale.checked("most", 4096, "euclidean", "").n_bins == 16321
    counts = count_pairs(hashed_by(SCALES[1], 4, 1), np.zeros(4, bool))
    replace(counts, hasher=HasherScale(*values)).save(tmp_path / "counts.npz")
    with pytest.raises(pdna.FileError, match="is damaged or another file"):
        PairCounts.load(tmp_path / "counts.npz")


def test_counts_of_two_hashers_are_not_added():
    one, other = (count_pairs(hashed_by(scale, 4, 1), np.zeros(4, bool)) for scale in SCALES[:2])
    with pytest.raises(pdna.ArgumentError, match="other: its hasher differ"):
        one + other


def test_bits_in_a_file_are_bits(tmp_path):
    counts = count_pairs(hashed_by(SCALES[1], 4, 1), np.zeros(4, bool))
    replace(counts, hash_sample=counts.hash_sample + 1).save(tmp_path / "counts.npz")
    with pytest.raises(pdna.FileError, match="hash_sample: needs values from 0 to 1"):
        PairCounts.load(tmp_path / "counts.npz")
