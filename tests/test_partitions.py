"""Impostor pairs by two classes of originals, against plain NumPy."""

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from evaluations import cell, some_hashed, with_copies

import photodna_nb as pdna
from photodna_nb.evaluation import PairCounts, partitions
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.partitions import class_pairs, pair_number

LABELS = ["dog", "", "cat", "dog", "dog", "", "cat", "", "dog", "cat", "dog", "cat"]


def hashed_originals(seed=3, prefix="o"):
    return with_copies(some_hashed(12, 3, seed, prefix), [(7, 0), (3, 0), (9, 6)])


def counted(hashed, labels=LABELS, **options):
    halves = np.arange(len(labels)) % 2 == 0
    return count_pairs(hashed, halves, labels={"categories": labels}, **options)


def squared(a, b):
    return int(((a.astype(int) - b) ** 2).sum())


@pytest.mark.parametrize("with_variants", [True, False])
@pytest.mark.parametrize("options", [{}, {"count_identical": True}, {"exclude_below_detail": 100}])
def test_impostor_pairs_of_every_two_classes(with_variants, options):
    hashed, exclude = hashed_originals(), [(0, 7), (1, 2), (4, 10)]
    found = counted(
        hashed, exclude=exclude, variants_against_others=with_variants, **options
    ).partitions["categories"]
    assert found.names == ("", "cat", "dog")
    assert [found.names[number] for number in found.number] == LABELS
    expected = {pair: np.zeros(PHOTODNA.n_bins, int) for pair in found.pairs}
    for i, j in combinations(range(12), 2):
        same = hashed.digests[i] == hashed.digests[j] and not options.get("count_identical")
        low = min(hashed.detail[i], hashed.detail[j]) < options.get("exclude_below_detail", 0)
        if (i, j) in exclude or same or low:
            continue
        counts = expected[tuple(sorted((found.number[i], found.number[j])))]
        counts[cell(squared(hashed.hashes[i], hashed.hashes[j]))] += 1
        for one, other in ((i, j), (j, i)):
            for variant in hashed.variants[one][hashed.available[one]][: 3 * with_variants]:
                counts[cell(squared(variant, hashed.hashes[other]))] += 1
    np.testing.assert_array_equal(found.impostor, list(expected.values()))


def test_the_places_of_two_classes():
    pairs = np.array(class_pairs(5))
    assert pair_number(*pairs.T, 5).tolist() == list(range(15))
    assert pair_number(*pairs.T[::-1], 5).tolist() == list(range(15))


def test_partitions_add_up_by_name_and_are_kept_in_a_file(tmp_path):
    one = counted(hashed_originals())
    other = counted(hashed_originals(4, "p"), [name.replace("dog", "ant") for name in LABELS])
    total = (one + other).partitions["categories"]
    assert total.names == ("", "cat", "dog", "ant")
    assert [total.names[number] for number in total.number[12:14]] == ["ant", ""]
    by_pair = dict(zip(total.pairs, total.impostor.sum(axis=1).tolist(), strict=True))
    of_other = other.partitions["categories"].impostor.sum(axis=1).tolist()
    pairs = ["", ""], ["", "ant"], ["", "cat"], ["ant", "ant"], ["ant", "cat"], ["cat", "cat"]
    for pair, number in zip(pairs, of_other, strict=True):
        place = tuple(sorted(map(total.names.index, pair)))
        if "ant" in pair:
            assert by_pair[place] == number
    assert sum(by_pair.values()) == int((one + other).impostor_histogram().sum())
    with pytest.raises(pdna.ArgumentError, match="only one of the counts has categories; count"):
        one + replace(other, partitions={})
    one.save(tmp_path / "counts.npz")
    again = PairCounts.load(tmp_path / "counts.npz").partitions["categories"]
    for name in ("names", "number", "impostor"):
        np.testing.assert_array_equal(
            getattr(again, name), getattr(one.partitions["categories"], name)
        )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"number": np.arange(12, dtype=np.int32)}, "categories_number: needs values"),
        ({"number": np.zeros(3, np.int32)}, "length of categories_number: needs values from 12"),
        ({"names": ("a", "b", "a")}, "number of categories_names: needs"),
        ({"impostor": np.zeros((5, 3061), np.int64)}, "length of categories_impostor: needs"),
        ({"impostor": np.full((6, 3061), -1)}, "categories_impostor: needs values from 0"),
        ({"impostor": np.zeros((6, 9), np.int64)}, "categories_impostor"),
    ],
)
def test_a_file_with_other_partitions_is_refused(tmp_path, change, problem):
    counts = counted(hashed_originals())
    wrong = replace(counts.partitions["categories"], **change)
    replace(counts, partitions={"categories": wrong}).save(tmp_path / "counts.npz")
    with pytest.raises(pdna.FileError, match=re.escape(problem)):
        PairCounts.load(tmp_path / "counts.npz")


def test_too_many_classes_are_refused():
    labels = [str(number) for number in range(partitions.MOST_CLASSES + 1)]
    with pytest.raises(
        pdna.ArgumentError, match=r"has 21 different ones, needs at most 20, .*merge"
    ):
        partitions.numbered("categories", labels)
