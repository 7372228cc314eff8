"""Recall that is weighted by transform, beside plain Python and drawn corpora."""

import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import config_of, some_hashed

import photodna_nb as pdna
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.rates import estimate_rates
from photodna_nb.evaluation.run_originals import validation_half
from photodna_nb.evaluation.weighted_recall import weighted_recall

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def counted(hashed):
    return count_pairs(hashed, validation_half(hashed.names, 0), max_workers=1)


@pytest.mark.parametrize("oriented", [False, True])
def test_the_mean_of_the_transforms(oriented):
    counts = counted(some_hashed(40, 3, seed=2))
    weights = {"jpeg:30": 6.0, "turn:90": 3.0, "blur:1": 1.0}
    recalls = []
    for spec in counts.transforms:
        squared = counts.genuine_distances_squared(spec, oriented=oriented)
        recalls.append(sum(d <= 90**2 for d in squared.tolist()) / len(squared))
    assert len(set(recalls)) == 3
    recall, lower, upper = weighted_recall(counts, weights, 90, oriented=oriented)
    assert recall == pytest.approx(
        sum(w * r for w, r in zip((0.6, 0.3, 0.1), recalls, strict=True))
    )
    assert lower < recall < upper
    twice = {spec: 2 * weight for spec, weight in weights.items()}
    assert weighted_recall(counts, twice, 90, oriented=oriented) == (recall, lower, upper)


def test_one_transform_has_the_interval_of_its_originals():
    hashed = some_hashed(60, 1, seed=2)
    hashed.available[:] = True
    counts = counted(hashed)
    overall = estimate_rates(counts)
    for threshold in (0, 20, 60, 3060):
        expected = overall.curves.recall, overall.recall_lower, overall.recall_upper
        found = weighted_recall(counts, {"jpeg:30": 2.0}, threshold)
        assert found == pytest.approx([each[threshold] for each in expected])


def test_where_there_is_none():
    hashed = some_hashed(12, 3, seed=2)
    hashed.available[:, 1] = False
    counts = counted(hashed)
    assert weighted_recall(counts, {}, 90) is None
    assert weighted_recall(counts, {"jpeg:30": 1.0, "turn:90": 1.0}, 90) is None
    assert weighted_recall(counts, {"jpeg:30": 1.0, "turn:90": 0.0}, 90) is not None


def test_intervals_hold_though_variants_share_their_originals():
    """Whether variants match depends on their original: independent pairs would be too sure."""
    rng = np.random.default_rng(4)
    hashed = some_hashed(80, 3, seed=2)
    counts = counted(hashed)
    weights = dict(zip(counts.transforms, (5.0, 3.0, 2.0), strict=True))
    genuine = counts.genuine
    covered, widths = 0, []
    for _ in range(400):
        easy = rng.random(80)[genuine.i] < 0.7  # the true recall
        squared = np.where(easy, 10, 2000).astype(np.int32)
        drawn = counts.__class__(
            **(vars(counts) | {"genuine": genuine._replace(distance_squared=squared)})
        )
        _, lower, upper = weighted_recall(drawn, weights, 20)
        covered += lower <= 0.7 <= upper
        widths.append(upper - lower)
    assert 0.94 <= covered / 400 <= 0.99
    assert np.mean(widths) < 0.25


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"jpeg:30": 1}, "weights: lacks mirror; give each transform a weight, 0 for one"),
        ({"jpeg:30": 0, "mirror": 0}, "weights: all are 0; give those that occur a weight above 0"),
        ({"jpg:30": 1, "mirror": 1}, r"weights: jpg:30 is none of the transforms; did you mean jp"),
        ({"jpeg:30": 1, "jpeg:30.0": 1, "mirror": 1}, "weights: 'jpeg:30.0' is there twice; take"),
        ({"jpeg:30": -1, "mirror": 1}, "weights.*needs a number of at least 0"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(pdna.ArgumentError, match=message):
        config_of(variants={"transforms": ["jpeg:30", "mirror"], "weights": weights})


def test_weights_need_no_other_folder():
    plain = config_of(variants={"transforms": ["jpeg:30", "mirror"]})
    weights = {"mirror": 1, "jpeg:30": 9}
    weighted = config_of(variants={"transforms": ["jpeg:30", "mirror"], "weights": weights})
    assert weighted.hash_settings() == plain.hash_settings()
    assert list(weighted.variants.weights) == ["jpeg:30", "mirror"]
