"""Matches of one set in another, against brute force."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import searches
from conftest import JIT_OFF
from duplicate_sets import exact_distances, some_set, table_of

import photodna_nb as pdna
from photodna_nb.hashing.orientations import ORIENTATIONS
from photodna_nb.hashing.orientations import oriented as turned
from photodna_nb.pairs import matches, oriented


def expected_matches(queries, known, limit, k, orientations):
    """Return (row, known row, rank, squared distance, orientation), sorted."""
    exact, nearest = exact_distances(queries, known, "sqeuclidean", orientations)
    answer = []
    for row, distances in enumerate(exact):
        order = np.lexsort((np.arange(len(known)), distances))
        order = order[distances[order] <= limit][:k]
        answer += [
            (row, int(i), rank, int(distances[i]), int(nearest[row, i]))
            for rank, i in enumerate(order, 1)
        ]
    return answer


def found_matches(found):
    squares = np.rint(found.distance**2).astype(int)
    columns = found.row, found.known_row, found.rank, squares, found.orientation
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("orientations", [False, True])
@pytest.mark.parametrize("kind", ["oriented", "symmetric", "blank", "extremes"])
def test_matches(kind, orientations, by_trees, monkeypatch):
    """Whichever side is smaller, and is searched in all orientations, in parts."""
    monkeypatch.setattr(oriented, "_SEARCHED", 20)
    monkeypatch.setattr(oriented, "_COMPARED", 8)
    a, b = some_set(kind, 12 if JIT_OFF else 30), some_set(kind, 25 if JIT_OFF else 70)
    if kind == "oriented":
        b[:20] = pdna.orientations(a[:1])[0, [3, 5, 0, 7] * 5]
    for queries, known in ((a, b), (b, a)):
        exact, _ = exact_distances(queries, known, "sqeuclidean", orientations)
        for limit in (0, int(np.quantile(exact, 0.1)), 10**8):
            for k in (None, 3) if limit else (None,):
                found = pdna.match(
                    queries,
                    known,
                    f"{limit}e-8" if limit == 0 else np.sqrt(limit + 0.5),
                    k=k,
                    orientations=orientations,
                    min_detail=None,
                )
                expected = expected_matches(queries, known, limit, k, orientations)
                assert found_matches(found) == expected, (limit, k)


def test_many_neighbours(monkeypatch):
    """So many that there is no memory for all of them, within the limit or not."""
    queries, known = some_set("oriented", 30), some_set("oriented", 50)
    for orientations in (False, True):
        options = {"orientations": orientations}
        plain = pdna.match(queries, known, 80, k=3, **options)
        assert plain.rank.max() == 3
        assert len(pdna.match(queries, known, 80, **options)) > len(plain)
        with monkeypatch.context() as patch:
            patch.setattr(oriented, "_MOST_NEIGHBOURS", 20)
            assert found_matches(pdna.match(queries, known, 80, k=3, **options)) == found_matches(
                plain
            )
            patch.setattr(matches, "_MOST_NEIGHBOURS", 20)
            patch.setattr(matches, "found_neighbours", None)
            patch.setattr(matches, "oriented_neighbours", None)
            assert found_matches(pdna.match(queries, known, 80, k=3, **options)) == found_matches(
                plain
            )


def test_any_number_of_workers(by_trees):
    queries, known = some_set("oriented", 60), some_set("oriented", 90)
    for k in (None, 2):
        with ThreadPoolExecutor(2) as executor:
            answers = [
                pdna.match(queries, known, 80, k=k, orientations=True, **options)
                for options in ({"max_workers": 1}, {"max_workers": 3}, {"executor": executor})
            ]
        assert len(answers[0]) > 20
        assert len({tuple(found_matches(one)) for one in answers}) == 1


@pytest.fixture
def found():
    hashes = searches.some_hashes("random", 4)
    known = np.concatenate([hashes[[1, 1, 3]], turned(hashes[:1], 3)])
    known[1] ^= 1
    queries = table_of(hashes)
    queries.detail[1] = 2000
    labels = ["list 0", "list 1", "list 2", "/3.png"]
    return pdna.match(queries, pdna.HashTable(labels, known, np.full(4, np.nan)), orientations=True)


def test_records(found):
    assert [one.path for one in found] == ["/0.png", "/1.png", "/1.png", "/3.png"]
    assert [one.match for one in found] == ["/3.png", "list 0", "list 1", "list 2"]
    first = found[0]
    assert (first.orientation, first.rank, first.row, first.known_row) == ("rotate_90", 1, 0, 3)
    hashes = turned(found.queries.hashes[0], ORIENTATIONS.index(first.orientation))
    np.testing.assert_array_equal(hashes, found.known.hashes[3])
    third = found[2]
    assert (third.rank, third.distance, third.detail) == (2, 12.0, 2000)
    assert third.similarity == pdna.similarity(found.queries.hashes[1], found.known.hashes[1])
    np.testing.assert_array_equal(found.similarity, [one.similarity for one in found])
    assert (found.n_matched, found.max_distance) == (3, 100)
    assert repr(found) == "<Matches of 3 images with 4 known ones>"
    assert [one.match for one in found[found.rank == 1]] == ["/3.png", "list 0", "list 2"]


def test_a_file(found, tmp_path):
    found.save(tmp_path / "matches.csv")
    rows = list(csv.reader((tmp_path / "matches.csv").read_text("utf-8").splitlines()))
    assert rows[0] == ["path", "match", "rank", "distance", "similarity", "orientation", "detail"]
    assert rows[3][:4] == ["/1.png", "list 1", "2", "12.0"]
    assert rows[1][-1] == "", "its detail is not known"
    assert found.to_pandas().attrs["units"] == {"distance": "L2", "detail": "grey levels"}


def test_low_detail_on_both_sides():
    hashes = np.repeat(searches.some_hashes("photographs", 1), 3, axis=0)
    hashes[2] = 0
    queries, known = table_of(hashes), table_of(hashes)
    queries.detail[:] = 99, 100, np.nan
    known.detail[:] = np.nan, 5, np.nan
    found = pdna.match(queries, known)
    assert found_matches(found) == [(1, 0, 1, 0, 0)]
    assert (found.low_detail.tolist(), found.known_low_detail.tolist()) == ([0, 2], [1, 2])
    assert len(pdna.match(queries, known, min_detail=None)) == 5


def test_an_image_of_both_sets_matches_itself():
    table = table_of(searches.some_hashes("random", 3))
    found = pdna.match(table, table)
    assert [(one.path, one.match) for one in found] == [(path, path) for path in table.paths]


def test_no_hashes_on_one_side():
    some, none = np.ones((3, 144), np.uint8), np.ones((0, 144), np.uint8)
    for sides in ((some, none), (none, some), (none, none)):
        for k in (None, 2):
            for orientations in (False, True):
                assert len(pdna.match(*sides, k=k, orientations=orientations)) == 0


def test_too_many_matches():
    ones = np.ones((20, 144), np.uint8)
    words = r"max_matches: got 399, needs more; lower max_distance.*min_detail.*k nearest"
    with pytest.raises(pdna.ArgumentError, match=words):
        pdna.match(ones, ones, max_matches=399)
    for most in (400, None):
        assert len(pdna.match(ones, ones, max_matches=most)) == 400
    assert matches.MAX_MATCHES == 10_000_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, "k: got 0, needs an integer of at least 1"),
        ({"k": 1.5}, "k: got float"),
        ({"orientations": 1}, "orientations: got int"),
        ({"max_matches": -1}, "max_matches: got -1"),
        ({"max_distance": "near"}, "max_distance: got near"),
        ({"min_detail": np.nan}, "min_detail: got nan"),
    ],
)
def test_wrong_options(options, words):
    hashes = some_set("copies", 20)
    with pytest.raises(pdna.PhotodnaError, match=words):
        pdna.match(hashes, hashes, **options)
    with pytest.raises(pdna.PhotodnaError, match="known: got int"):
        pdna.match(hashes, 5)
