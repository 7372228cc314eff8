"""False match rates of the pairs of two classes: intervals, and thresholds for targets."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import JIT_OFF, scaled
from evaluations import cell, config_of
from scipy import stats

from photodna_nb.evaluation.class_rates import class_rates, class_tables
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.dependence import ImpostorPairs, sort_impostor_pairs
from photodna_nb.evaluation.intervals import clopper_pearson, false_match_rates
from photodna_nb.evaluation.pair_graph import PairGraph, PairsAcross
from photodna_nb.evaluation.variant_hashes import VariantHashes

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

SIZES = {"a": 40, "b": 25, "c": 3}


def counts_of(seed=0, **options):
    """Hashes around few centres, so that pairs share images with many matches."""
    rng = np.random.default_rng(seed)
    n = sum(SIZES.values())
    centres = rng.integers(40, 90, (6, 144))
    hashes = (centres[rng.integers(0, 6, n)] + rng.normal(0, 12, (n, 144))).clip(0, 255)
    names = tuple(f"o{row}" for row in range(n))
    hashed = VariantHashes(
        names,
        names,
        (),
        hashes.astype(np.uint8),
        np.full(n, 900.0),
        np.zeros((n, 0, 144), np.uint8),
        np.zeros((n, 0), bool),
        np.zeros((n, 0)),
    )
    labels = [name for name, size in SIZES.items() for _ in range(size)]
    counts = count_pairs(hashed, np.arange(n) % 2 == 0, labels={"sources": labels}, **options)
    return hashed, np.array(labels), counts


def test_rates_of_every_two_sources():
    hashed, labels, counts = counts_of()
    named = {"low": 150, "middle": 250, "all": 3060}
    rows = class_tables(config_of(), counts, named)["false_match_rates_by_source"]
    assert len(rows) == 6 * 3
    hashes = hashed.hashes.astype(int)
    for row in rows:
        one, other = (
            np.flatnonzero(labels == row[name]) for name in ("source_name", "other_source_name")
        )
        pairs = {tuple(sorted((i, j))) for i in one for j in other if i != j}
        bins = [cell(((hashes[i] - hashes[j]) ** 2).sum()) for i, j in pairs]
        assert (row["originals"], row["other_originals"]) == (len(one), len(other))
        assert row["impostor_pairs"] == len(pairs)
        matches = sum(number <= row["threshold"] for number in bins)
        assert row["impostor_matches"] == matches
        assert row["smallest_impostor_distance"] == min(bins)
        assert row["false_match_rate"] == pytest.approx(matches / len(pairs), abs=1e-12)
        assert row["false_match_rate_lower"] <= row["false_match_rate"]
        assert row["false_match_rate"] <= row["false_match_rate_upper"]


def test_the_bound_of_few_matches_across_is_that_of_disjoint_pairs():
    a, b = (one.ravel() for one in np.indices((40, 25)))
    distance = np.full(1000, 5.0)
    across = PairsAcross(np.arange(65) >= 40, 1000)
    found = false_match_rates(
        np.bincount(distance.astype(int)), 65, ImpostorPairs(a, b + 40, distance, 5), graph=across
    )
    assert found.at(4).upper == pytest.approx(float(clopper_pearson(0, 25, 0.9)[1]))
    # Of many matches of one image, one is among the disjoint pairs.
    distance[a == across.disjoint_partners[40]] = 1.0
    found = false_match_rates(
        np.bincount(distance.astype(int)), 65, ImpostorPairs(a, b + 40, distance, 5), graph=across
    )
    assert found.at(1).matches == 25
    assert found.at(1).upper > 0.1
    counts = counts_of()[2]
    third = [rates for rates in class_rates(counts, "sources", 0.95, 0) if rates.other == "c"]
    assert {bool(rates.rates.at_least_ten_matches.any()) for rates in third} == {False}


def test_pairs_across_have_the_dependence_of_the_graph_of_these_pairs():
    """As if each pair of one and of the other class were listed."""
    rng = np.random.default_rng(1)
    a, b = np.divmod(np.arange(12 * 15), 15)
    i, j = rng.permutation(np.c_[a, b + 12]).T
    distances = rng.random(len(i)) * 90 + 3 * (i % 4)
    impostors = sort_impostor_pairs(ImpostorPairs(i, j, distances, 100), 27)
    across = PairsAcross(np.arange(27) >= 12, len(i), seed=3)
    graph = PairGraph(i, j, 27, seed=3)
    assert across.pairs_per_dyad == graph.pairs_per_dyad == 1
    np.testing.assert_array_equal(across.degree, graph.degree)
    assert across.same_pairs == graph.same_pairs
    partner = across.disjoint_partners
    matched = np.flatnonzero(partner >= 0)
    assert len(matched) == 24
    np.testing.assert_array_equal(partner[partner[matched]], matched)
    assert ((matched < 12) != (partner[matched] < 12)).all()
    for own, same in zip(
        vars(across.dependence(impostors)).values(),
        vars(graph.dependence(impostors)).values(),
        strict=True,
    ):
        np.testing.assert_allclose(own, same)


def test_thresholds_for_targets_are_those_of_the_rates():
    counts = counts_of()[2]
    targets = [0.7, 0.05, 1e-6]
    config = config_of(thresholds={"targets": targets})
    rows = class_tables(config, counts, {})["thresholds_by_source"]
    assert len(rows) == 6 * 3 * 2
    found = {(rates.name, rates.other): rates for rates in class_rates(counts, "sources", 0.95, 0)}
    for row in rows:
        rates = found[row["source_name"], row["other_source_name"]].rates
        bound = rates.upper if row["conservative"] else rates.rate
        if row["source"] == "counted":
            assert bound[row["threshold"]] <= row["target"] < bound[row["threshold"] + 1]
        if row["threshold"] is None:
            assert row["reason"]
    assert {row["source"] for row in rows} >= {"counted", "none", "disjoint pairs"}


def test_thresholds_at_which_not_all_pairs_are_listed_have_no_interval():
    counts = counts_of(max_listed=300)[2]
    limit = counts.nearest_limit
    assert limit < 3060
    tables = class_tables(
        config_of(thresholds={"targets": [0.99]}), counts, {"a": limit, "b": limit + 1}
    )
    rows = tables["false_match_rates_by_source"]
    assert all(row["false_match_rate_upper"] is not None for row in rows[::2])
    assert all(row["false_match_rate_upper"] is None for row in rows[1::2])
    assert all(row["false_match_rate"] is not None for row in rows)
    reasons = {row["reason"] for row in tables["thresholds_by_source"]}
    assert "more pairs match at such a rate than are listed" in reasons
    listed_none = replace(counts, nearest_limit=-1)
    assert {rates.rates for rates in class_rates(listed_none, "sources", 0.95, 0)} == {None}


@pytest.mark.scaled
@pytest.mark.parametrize(
    ("n", "m", "limit", "effect"),
    [
        (60, 40, -1.5, 0.5),
        (200, 20, -2, 0.5),
        (60, 60, -2.2, 0.3),
        (100, 30, -2.5, 0.7),
        (300, 300, -3, 0.4),
        (30, 12, -1.5, 0.7),
    ],
)
def test_intervals_across_two_samples_cover_the_rate(n, m, limit, effect):
    """Images of both classes have effects: intervals that ignored them would miss half."""
    rng = np.random.default_rng(5)
    repetitions, held = scaled(20, 400), 0
    expected = stats.norm.cdf(limit / np.sqrt(1 + 2 * effect**2))
    a, b = (one.ravel() for one in np.indices((n, m)))
    for _ in range(repetitions):
        effects = rng.normal(0, effect, n + m)
        score = effects[a] + effects[b + n] + rng.normal(0, 1, n * m)
        distance = np.where(score < limit, 1.0, 5.0)
        rates = false_match_rates(
            np.bincount(distance.astype(int), minlength=6),
            n + m,
            ImpostorPairs(a, b + n, distance, 5),
            graph=PairsAcross(np.arange(n + m) >= n, n * m),
        ).at(1)
        held += rates.lower <= expected <= rates.upper
    assert held >= 0.95 * repetitions - 2
