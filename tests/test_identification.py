"""Rates of a search in a list, in the terms of ISO/IEC 19795-1: FPIR, FNIR, failure to enrol."""

import itertools

import numpy as np
import pytest
from conftest import JIT_OFF
from corpora import corpus as corpus_of
from corpora import counts_of, fitted, heavy_flatness, power_law, rates_of
from evaluations import config_of
from PIL import Image

from photodna_nb.evaluation import run
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.deployment import (
    expected_matches,
    false_positive_identification,
    identification_curve,
)
from photodna_nb.evaluation.intervals import clopper_pearson
from photodna_nb.report import formatting


def searched(matching, size):
    """FPIR over all lists of so many images, drawn with replacement, and all queries."""
    images = range(len(matching))
    found = [
        any(matching[query, item] for item in items)
        for items in itertools.product(images, repeat=size)
        for query in images
    ]
    return np.mean(found)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_fpir_is_at_most_that_of_the_mean_rate(size):
    """Exactly that where all queries match equally often; less where one image has all matches."""
    n = 5
    even = np.roll(np.eye(n, dtype=bool), 1, axis=1)
    hub = np.zeros((n, n), bool)
    hub[0] = True
    for matching in (even, hub):
        assert matching.mean() == 1 / n
    most = false_positive_identification(1 / n, size)
    assert searched(even, size) == pytest.approx(most)
    assert searched(hub, size) == pytest.approx(1 / n)
    assert searched(hub, size) <= most * (1 + 1e-12)


def test_fpir_in_several_orientations_is_at_most_that_of_so_many_comparisons():
    """A query matches if one of its orientations does."""
    rng = np.random.default_rng(3)
    oriented = rng.random((8, 5, 5)) < 0.05
    rate = oriented.mean()
    assert searched(oriented.any(axis=0), 2) <= false_positive_identification(rate, 2, 8)
    assert false_positive_identification(0.2, 3, 8) == 1  # not more than certain
    assert false_positive_identification(1e-12, 10**6) == pytest.approx(1e-6, rel=1e-5)
    assert np.isnan(false_positive_identification([np.nan], 10)).all()


@pytest.mark.parametrize("orientations", [False, True])
def test_the_curve_is_that_of_the_expected_matches(orientations):
    """At every threshold: counted, by the tail, beyond its validation, and by a bound."""
    service = DeploymentConfig(list_size=10**5, queries_per_day=7, orientations=orientations)
    one = corpus_of(heavy_flatness, 40, np.random.default_rng(2))
    bins = len(np.trim_zeros(counts_of(one, 600), "b"))
    rates = rates_of(one, 40, 600)
    tail = fitted(*power_law(300, 9, 250, 5), 300)
    assert tail.accepted
    for by in (None, tail):
        rate, upper = identification_curve(rates, by, service)
        assert np.all(np.diff(upper) >= 0) or by is tail  # which is of other images
        sources = set()
        for t in range(0, bins, 3):
            matches = expected_matches(t, 10**5, 7, rates, by, service.n_orientations)
            sources.add((matches.source, matches.beyond_validation))
            for found, expected in ((rate, matches.expected), (upper, matches.upper)):
                if expected is None:
                    assert np.isnan(found[t])
                    continue
                of = expected / matches.comparisons
                most = false_positive_identification(of, 10**5, service.n_orientations)
                assert found[t] == pytest.approx(float(most), rel=1e-12)
        assert ("counted", False) in sources
        assert (("tail", True) in sources) == (by is tail)


@pytest.mark.parametrize(
    ("source", "fpir", "upper", "text"),
    [
        ("counted", 0.125, 0.25, "12.5 % (up to 25.0 %)"),
        ("tail", 0.125, 0.25, "12.5 % (up to 25.0 %, extrapolated)"),
        ("tail", None, 0.25, "at most 25.0 % (extrapolated)"),
        ("disjoint pairs", None, 1.0, "at most 100 %"),
        (None, None, None, "–"),
    ],
)
def test_fpir_as_text(source, fpir, upper, text):
    row = {"expected_matches_source": source, "fpir": fpir, "fpir_upper": upper}
    assert formatting.fpir(row) == text


@pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")
def test_what_cannot_be_enrolled(tmp_path):
    """Images that cannot be read, and those of too little detail; and all numbers are in tables."""
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(1)
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).resize((90, 90)).save(
            photos / f"{number}.png"
        )
    Image.new("RGB", (90, 90), "grey").save(photos / "flat.png")
    (photos / "none.png").write_bytes(b"nothing")
    config = config_of(tmp_path, originals={"kind": "directory", "path": "photos"})
    results = run(config, tmp_path / "run", max_workers=1)
    summary = results.summary
    assert (summary["originals_failed"], summary["originals_low_detail"]) == (1, 1)
    ends = [float(end) for end in clopper_pearson(2, 8)]
    assert summary["failure_to_enrol"] == 2 / 8
    found = [summary[f"failure_to_enrol_{end}"] for end in ("lower", "upper")]
    assert found == pytest.approx(ends, rel=1e-11)
    upper = [row["fpir_upper"] for row in results.tables["curves"]]
    assert upper == sorted(upper)
