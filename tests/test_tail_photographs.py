"""What the statistics say of real photographs, and of their variants, beside drawn hashes."""

import numpy as np
import pytest
from hash_corpora import HashCorpus

from photodna_nb.evaluation.thresholds import supported_threshold


@pytest.fixture(scope="module")
def photographs(shared_golden):
    """Hashes of both sets, (n, 144), and of their variants, (v, n, 144)."""
    path = shared_golden / "photographs" / "hashes.npz"
    if not path.exists():
        pytest.skip("../shared has no hashes of photographs")
    with np.load(path) as arrays:
        return {
            name: (arrays[f"{name}_originals"], arrays[f"{name}_variants"].swapaxes(0, 1))
            for name in "ab"
        }


def drawn(number, variants):
    """Hashes that depend on a few numbers, and variants near them."""
    rng = np.random.default_rng(4)
    axes = rng.normal(0, 14, (12, 144))
    hashes = 128 + rng.standard_normal((number, 12)) @ axes
    moved = hashes + rng.normal(0, 4, (variants, number, 144))
    return tuple(np.clip(each, 0, 255).astype(np.uint8) for each in (hashes, moved))


def check_depth(originals, variants):
    """With more variants, no lower rate is supported, by the tail or by counting."""
    found = []
    for number in (0, 4, 8):
        corpus = HashCorpus.of_hashes("", originals, variants[:number])
        rates, tail = corpus.estimates(0)
        assert tail.accepted, tail.rejection_reason
        dyads = len(originals) * (len(originals) - 1) / 2
        assert tail.rate_at_ten_matches >= 10 / dyads
        by_tail, counted = supported_threshold(rates, tail), supported_threshold(rates)
        assert rates.rate[counted.threshold] >= 10 / dyads
        found.append(by_tail.target)
    assert found == pytest.approx([0.1 / dyads] * 3, rel=1e-12)


def test_depth_does_not_grow_with_variants(photographs):
    check_depth(*photographs["b"])


def test_depth_of_drawn_hashes():
    check_depth(*drawn(300, 8))


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("n_variants", [0, 2])
def test_ends_of_intervals_grow_through_tail_and_counts(photographs, name, n_variants):
    """Lower ends fell by 16 powers of ten where counting began, and upper ends by one."""
    originals, variants = photographs[name]
    corpus = HashCorpus.of_hashes(name, originals, variants[:n_variants])
    rates, tail = corpus.estimates(0)
    assert tail.accepted
    ten = tail.threshold_at_ten_matches
    below = tail.rate(np.arange(ten))
    for end in ("lower", "upper"):
        ends = np.r_[getattr(below, end), getattr(rates, end)[ten:]]
        assert np.all(np.diff(ends) >= 0), end


@pytest.mark.long
def test_intervals_hold_of_photographs(photographs):
    """The whole experiment is tests/benchmarks/tail.py."""
    held = []
    rng = np.random.default_rng(6)
    for originals, variants in photographs.values():
        for some in (variants[:0], variants):
            whole = HashCorpus.of_hashes("", originals, some)
            size = whole.images // 2
            t = int(np.searchsorted(whole.rates(), 10 / (size * (size - 1) / 2)))
            for k in range(40):
                _, tail = whole.of(rng.permutation(whole.images)[:size]).estimates(k)
                if tail.accepted:
                    by_tail = tail.reliable_rate(t)
                    held.append(by_tail.lower <= whole.rates()[t] <= by_tail.upper)
    assert len(held) > 80
    assert np.mean(held) > 0.92
