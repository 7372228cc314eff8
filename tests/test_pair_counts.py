"""Counts of genuine and impostor pairs, beside plain Python."""

import tracemalloc
import zipfile
from dataclasses import replace
from itertools import combinations

import numpy as np
import oracle
import pytest
from conftest import JIT_OFF
from evaluations import cell, genuine_table, some_hashed, with_copies

import photodna_nb as pdna
from photodna_nb.evaluation import PairCounts, pair_counts
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.pair_counts import PAIR_SPLITS
from photodna_nb.evaluation.pair_records import GenuinePairs
from photodna_nb.evaluation.run_originals import (
    configuration_name,
    duplicate_pairs,
    validation_half,
)
from photodna_nb.evaluation.variant_hashes import VariantHashes

N_BINS = PHOTODNA.n_bins

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def naive_count(
    hashed,
    in_validation_half,
    bands,
    exclude,
    with_variants,
    count_identical=False,
    exclude_below_detail=0,
):
    """Plain Python: every pair is looked at."""
    n, v = hashed.available.shape
    rows = hashed.hashes.tolist()
    excluded = {tuple(sorted(pair)) for pair in exclude}
    band = [sum(detail >= edge for edge in bands) for detail in hashed.detail.tolist()]
    found = {
        "genuine": [[-1] * v for _ in range(n)],
        "oriented": [[-1] * v for _ in range(n)],
        "originals": np.zeros((3, N_BINS), int),
        "variants": np.zeros((v, 3, N_BINS), int),
        "bands": np.zeros((len(bands) + 1, N_BINS), int),
        "excluded": 0,
        "identical": 0,
        "low_detail": 0,
        "close": [],
    }

    def part(i, j):
        return 2 if in_validation_half[i] != in_validation_half[j] else int(in_validation_half[i])

    def left_out(i, j):
        if tuple(sorted((i, j))) in excluded:
            return "excluded"
        if hashed.digests[i] == hashed.digests[j] and not count_identical:
            return "identical"
        return (
            "low_detail" if min(hashed.detail[i], hashed.detail[j]) < exclude_below_detail else None
        )

    for i, j in combinations(range(n), 2):
        if reason := left_out(i, j):
            found[reason] += 1
            continue
        squared = oracle.distance_squared(rows[i], rows[j])
        found["originals"][part(i, j), cell(squared)] += 1
        found["bands"][min(band[i], band[j]), cell(squared)] += 1
        found["close"].append((squared, i, j, -1))
    for i in range(n):
        for t in range(v):
            if not hashed.available[i, t]:
                continue
            edited = hashed.variants[i, t].tolist()
            found["genuine"][i][t] = oracle.distance_squared(edited, rows[i])
            ways = pdna.orientations(hashed.variants[i, t]).tolist()
            found["oriented"][i][t] = min(oracle.distance_squared(way, rows[i]) for way in ways)
            for j in range(n):
                if i == j or not with_variants:
                    continue
                if reason := left_out(i, j):
                    found[reason] += 1
                    continue
                squared = oracle.distance_squared(edited, rows[j])
                found["variants"][t, part(i, j), cell(squared)] += 1
                found["close"].append((squared, i, j, t))
    found["close"].sort()
    return found


@pytest.mark.parametrize(
    ("n", "v", "halves", "exclude", "with_variants", "listed"),
    [
        (15, 3, "01", [(0, 14), (3, 1), (1, 3), (2, 12)], True, 10**6),
        (15, 3, "01", [], True, 100),
        (12, 2, "01", [(0, 11)], False, 10**6),
        (9, 1, "0", [(0, 8)], True, 10),
        (8, 2, "1", list(combinations(range(8), 2)), True, 10**6),
        (2, 1, "01", [], True, 10**6),
        (6, 1, "01", [], True, 0),
    ],
)
def test_counts(n, v, halves, exclude, with_variants, listed):
    hashed = some_hashed(n, v, seed=n)
    in_validation_half = np.random.default_rng(n).choice([half == "1" for half in halves], n)
    bands = (100.0, 600.0, 9000.0)
    found = count_pairs(
        hashed,
        in_validation_half,
        detail_bins=bands,
        exclude=exclude,
        variants_against_others=with_variants,
        max_listed=listed,
    )
    check_counts(
        found,
        naive_count(hashed, in_validation_half.tolist(), bands, exclude, with_variants),
        listed,
    )


@pytest.mark.parametrize("with_variants", [True, False])
@pytest.mark.parametrize("count_identical", [True, False])
@pytest.mark.parametrize("exclude_below_detail", [0, 100, 101, 6000])
def test_pairs_of_identical_and_of_flat_originals(
    with_variants, count_identical, exclude_below_detail
):
    copies = [(14, 0), (3, 0), (9, 0), (5, 4), (12, 11)]
    hashed = with_copies(some_hashed(16, 3, seed=6), copies)
    in_validation_half = np.random.default_rng(1).random(16) < 0.5
    bands = (100.0, 600.0, 9000.0)
    options = {"count_identical": count_identical, "exclude_below_detail": exclude_below_detail}
    found = {}
    for exclude in ([], [(0, 14), (2, 3), (1, 7), (3, 6), (4, 5)]):
        naive = naive_count(
            hashed, in_validation_half.tolist(), bands, exclude, with_variants, **options
        )
        for listed in (10**6, 150):
            found = count_pairs(
                hashed,
                in_validation_half,
                detail_bins=bands,
                exclude=exclude,
                variants_against_others=with_variants,
                max_listed=listed,
                **options,
            )
            check_counts(found, naive, listed)
    assert found.compared.tolist() == [detail >= exclude_below_detail for detail in hashed.detail]
    assert (found.pairs_identical > 0) == (not count_identical)
    assert (found.pairs_low_detail > 0) == (exclude_below_detail > 0)
    np.testing.assert_array_equal(found.hash_sample, hashed.hashes[found.compared])


def test_a_file_that_changed_while_it_was_read():
    """The digest of another image than the hash: no pair is taken for one of identical ones."""
    hashed = some_hashed(6, 1, seed=3)
    hashed = replace(hashed, digests=("same", "same", *hashed.digests[2:]))
    assert (hashed.hashes[0] != hashed.hashes[1]).any()
    assert count_pairs(hashed, np.zeros(6, bool)).pairs_identical == 0


def test_many_copies_of_one_image_take_no_memory():
    """Not a list of their pairs, of which there are 32 million."""
    hashed = some_hashed(8, 1, seed=5)
    rows = np.r_[np.zeros(8000, int), np.arange(8)]
    many = VariantHashes(
        tuple(map(str, range(len(rows)))),
        tuple(hashed.digests[row] for row in rows),
        hashed.transforms,
        *(
            getattr(hashed, name)[rows]
            for name in ("hashes", "detail", "variants", "available", "variants_detail")
        ),
    )
    tracemalloc.start()
    found = count_pairs(many, np.zeros(len(rows), bool), max_listed=1000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.pairs_identical > 8001 * 8000 // 2
    assert most < 60e6


def check_counts(found, naive, listed):
    assert genuine_table(found).tolist() == naive["genuine"]
    assert genuine_table(found, oriented=True).tolist() == naive["oriented"]
    np.testing.assert_array_equal(found.genuine.i, found.genuine.j)
    np.testing.assert_array_equal(found.genuine_clusters, found.genuine.i)
    np.testing.assert_array_equal(found.impostor_originals, naive["originals"])
    np.testing.assert_array_equal(found.impostor_variants, naive["variants"])
    np.testing.assert_array_equal(found.impostor_by_detail_bin, naive["bands"])
    for reason in ("excluded", "identical", "low_detail"):
        assert getattr(found, f"pairs_{reason}") == naive[reason]
    squared = [one[0] for one in naive["close"]]
    limit = max(t for t in range(-1, N_BINS) if sum(s <= t * abs(t) for s in squared) <= listed)
    assert found.nearest_limit == limit
    close = found.nearest
    columns = (close.distance_squared, close.i, close.j, close.transform)
    kept = [one for one in naive["close"] if one[0] <= limit * abs(limit)]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == kept
    each = np.zeros((len(found), len(found.transforms) + 1), int)
    for _, i, j, transform in naive["close"]:
        each[[i, j], transform + 1] += 1
    assert found.pairs_per_original.tolist() == each.tolist()
    once = {}
    for one in kept:
        once.setdefault(frozenset(one[1:3]), one)
    columns = found.nearest_pairs(4)[:4]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (i, j, t, s) for s, i, j, t in list(once.values())[:4]
    ]


def test_what_is_read_off_counts():
    hashed = some_hashed(40, 3, seed=1)
    in_validation_half = validation_half(hashed.names, 7)
    assert 8 < in_validation_half.sum() < 32
    np.testing.assert_array_equal(validation_half(hashed.names[5:9], 7), in_validation_half[5:9])
    assert (validation_half(hashed.names, 8) != in_validation_half).any()
    found = count_pairs(hashed, in_validation_half, detail_bins=(100, 600))
    assert found.detail_bin.tolist() == [
        sum(d >= edge for edge in (100, 600)) for d in hashed.detail
    ]
    made = hashed.available.sum()
    assert found.genuine_histogram().sum() == made
    for pick in (
        {"half": "selection"},
        {"half": "validation"},
        {"detail_bin": 0},
        {"detail_bin": 1},
        {"detail_bin": 2},
    ):
        rows = (
            found.detail_bin == pick["detail_bin"]
            if "detail_bin" in pick
            else in_validation_half == (pick["half"] == "validation")
        )
        for number, spec in enumerate(hashed.transforms):
            squared = genuine_table(found)[rows, number]
            expected = np.sort(squared[squared >= 0])
            np.testing.assert_array_equal(found.genuine_distances_squared(spec, **pick), expected)
            cells = np.bincount([cell(s) for s in expected], minlength=N_BINS)
            np.testing.assert_array_equal(found.genuine_histogram(number, **pick), cells)
    turned = found.genuine_distances_squared("turn:90", oriented=True)
    assert turned.max() == 0
    assert found.genuine_distances_squared("turn:90").min() > 0
    n = len(found)
    assert found.impostor_histogram(variants=False).sum() == n * (n - 1) // 2
    assert found.impostor_histogram(originals=False).sum() == made * (n - 1)
    assert found.impostor_histogram(transform="blur:1").sum() == hashed.available[:, 2].sum() * (
        n - 1
    )
    parts = [found.impostor_histogram(split=half) for half in PAIR_SPLITS]
    np.testing.assert_array_equal(sum(parts), found.impostor_histogram())
    a = (~in_validation_half).sum()
    assert parts[0].sum() == a * (a - 1) // 2 + hashed.available[~in_validation_half].sum() * (
        a - 1
    )
    np.testing.assert_array_equal(
        found.genuine_histogram(np.int64(2)), found.genuine_histogram("blur:1")
    )
    np.testing.assert_array_equal(
        found.genuine_histogram(detail_bin=np.int8(1)), found.genuine_histogram(detail_bin=1)
    )
    np.testing.assert_array_equal(
        found.impostor_histogram(transform=np.uint8(2)), found.impostor_histogram(transform=2)
    )


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        ({"transform": "jpeg:31"}, "transform: got 'jpeg:31', needs one of jpeg:30, turn:90, blur"),
        ({"transform": 99}, "transform: got 99, needs an integer from 0 to 2"),
        ({"transform": -1}, "transform: got -1, needs an integer from 0 to 2"),
        ({"transform": True}, "transform: got bool, needs an integer from 0 to 2"),
        ({"transform": 1.0}, "transform: got float, needs an integer from 0 to 2"),
        ({"half": "C"}, "half: got 'C', needs one of selection, validation"),
        ({"half": 0}, "half: got int, needs one of selection, validation"),
        ({"detail_bin": 3}, "detail_bin: got 3, needs an integer from 0 to 2"),
        ({"detail_bin": "1"}, "detail_bin: got str, needs an integer from 0 to 2"),
        ({"half": "between"}, "half: got 'between', needs one of selection, validation$"),
    ],
)
def test_what_counts_do_not_have(pick, message):
    found = count_pairs(some_hashed(9, 3, seed=1), np.arange(9) % 2 == 1, detail_bins=(100, 600))
    errors = pdna.ArgumentError, pdna.ArgumentTypeError
    with pytest.raises(errors, match=message):
        found.genuine_histogram(**pick)
    if "transform" in pick:
        with pytest.raises(errors, match=message):
            found.impostor_histogram(**pick)
    for wrong in ("C", 0):
        with pytest.raises(
            errors, match=r"split: got .*, needs one of selection, validation, betw"
        ):
            found.impostor_histogram(split=wrong)
    if pick.get("half") in ("C", "between"):
        with pytest.raises(errors, match=message):
            pdna.evaluation.estimate_rates(found, **pick)


def test_clusters_are_linked_by_originals():
    """Pairs of originals that show the same, and of their variants, are one cluster."""
    hashed = some_hashed(9, 2, seed=1)
    found = count_pairs(hashed, np.zeros(9, bool), detail_bins=(100, 600))
    of_two = [np.array(column) for column in ([7, 4], [1, 7], [-1, -1], [9, 16], [9, 4])]
    genuine = GenuinePairs.joined([found.genuine, of_two])
    found = replace(found, genuine=genuine)
    assert list(zip(*(column.tolist() for column in genuine[:3]), strict=True)) == sorted(
        zip(*(column.tolist() for column in genuine[:3]), strict=True), key=lambda one: one[::2]
    )
    cluster = {4: 1, 7: 1}  # 4 is 7, and 7 is 1
    names = [cluster.get(i, i) for i in genuine.i.tolist()]
    assert len(set(zip(names, found.genuine_clusters.tolist(), strict=True))) == len(set(names))
    assert len(set(found.genuine_clusters.tolist())) == len(set(names)) < 9
    assert found.genuine_distances_squared().size == len(genuine.i)
    bins = np.minimum(found.detail_bin[[7, 4]], found.detail_bin[[1, 7]])
    of_both = found.genuine.transform == -1
    for number in range(3):
        rows = found.genuine_rows(detail_bin=number)
        assert rows[of_both].sum() == (bins == number).sum()


def test_quantiles_are_distances_that_occur():
    squared = np.array([1, 4, 9, 16], np.int32)
    values = [pair_counts.quantile(squared, share) for share in (0.25, 0.5, 0.51, 0.95, 1.0)]
    assert values == [1, 4, 9, 16, 16]
    assert pair_counts.quantile(squared[:1], 0.5) == 1


def test_all_orientations_of_either_one():
    """The eight permutations are a group: it is the same which of the two is turned."""
    ways = pdna.orientations(np.arange(144, dtype=np.uint8))
    inverses = {tuple(np.argsort(way).tolist()) for way in ways}
    assert inverses == {tuple(way.tolist()) for way in ways}


def test_counts_of_two_runs_add_up(monkeypatch):
    one, other = some_hashed(14, 2, 1), some_hashed(9, 2, 2, prefix="p")
    halves = [validation_half(hashed.names, 0) for hashed in (one, other)]
    one, other = with_copies(one, [(3, 1)]), with_copies(other, [(2, 5), (7, 5)])
    a = count_pairs(one, halves[0], detail_bins=(600,), max_listed=60, exclude_below_detail=60)
    b = count_pairs(other, halves[1], detail_bins=(600,), exclude=[(0, 8)], exclude_below_detail=60)
    both = a + b
    joined = VariantHashes(
        one.names + other.names,
        one.digests + other.digests,
        one.transforms,
        *(
            np.concatenate([getattr(one, name), getattr(other, name)])
            for name in ("hashes", "detail", "variants", "available", "variants_detail")
        ),
    )
    across = [(i, j + 14) for i in range(14) for j in range(9)]
    expected = count_pairs(
        joined,
        np.concatenate(halves),
        detail_bins=(600,),
        exclude=[*across, (14, 22)],
        max_listed=10**6,
        exclude_below_detail=60,
    )
    assert (both.pairs_identical, both.pairs_low_detail) != (a.pairs_identical, a.pairs_low_detail)
    assert both.pairs_identical == expected.pairs_identical == a.pairs_identical + b.pairs_identical
    assert both.pairs_low_detail == a.pairs_low_detail + b.pairs_low_detail
    for name in set(pair_counts._ARRAYS) - {"run_number"}:
        np.testing.assert_array_equal(getattr(both, name), getattr(expected, name), name)
    assert both.run_number.tolist() == [0] * 14 + [1] * 9
    third = count_pairs(
        some_hashed(3, 2, 9, "r"), np.zeros(3, bool), detail_bins=(600,), exclude_below_detail=60
    )
    assert (both + third).run_number.tolist() == [0] * 14 + [1] * 9 + [2] * 3
    assert (both.names, both.digests) == (expected.names, expected.digests)
    assert both.nearest_limit == a.nearest_limit < b.nearest_limit
    within = expected.nearest.distance_squared <= both.nearest_limit**2
    for column, whole in zip(both.genuine, expected.genuine, strict=True):
        np.testing.assert_array_equal(column, whole)
    for column, whole in zip(both.nearest, expected.nearest, strict=True):
        np.testing.assert_array_equal(column, whole[within])
    monkeypatch.setattr(pair_counts, "_SAMPLE", 5)
    kept = joined.hashes[both.compared]
    assert (a + b).hash_sample.tolist() == kept[np.arange(5) * len(kept) // 5].tolist()
    with pytest.raises(pdna.ArgumentError, match="14 of its originals are in both runs"):
        a + a
    with pytest.raises(pdna.ArgumentError, match="its detail_bin_edges differ"):
        a + count_pairs(other, halves[1], detail_bins=(1, 2))
    with pytest.raises(pdna.ArgumentError, match="its transforms differ"):
        a + count_pairs(some_hashed(3, 1, 0, "q"), np.zeros(3, bool), detail_bins=(600,))
    with pytest.raises(
        pdna.ArgumentError, match=r"its counting_rules differ.*exclude_below_detail=61"
    ):
        a + count_pairs(other, halves[1], detail_bins=(600,), exclude_below_detail=61)
    with pytest.raises(TypeError):
        a + 1


def test_counts_in_a_file(tmp_path):
    hashed = some_hashed(11, 3, 4)
    hashed = with_copies(hashed, [(1, 2)])
    options = {
        "detail_bins": (100.5,),
        "max_listed": 50,
        "exclude": [(3, 4)],
        "exclude_below_detail": 99,
    }
    found = count_pairs(hashed, validation_half(hashed.names, 1), **options)
    assert min(getattr(found, name) for name in pair_counts._NUMBERS) > 0
    found.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    again = PairCounts.load(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archived:
        assert {entry.date_time for entry in archived.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == content
    for name in (
        *pair_counts._ARRAYS,
        *pair_counts._NUMBERS,
        *pair_counts._TEXTS,
        "detail_bin_edges",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    pairs = (*again.genuine, *again.nearest), (*found.genuine, *found.nearest)
    for column, same in zip(*pairs, strict=True):
        np.testing.assert_array_equal(column, same, strict=True)
    with np.load(tmp_path / "a.npz") as members:
        assert members["impostor_originals"].dtype == np.int64
    for wrong in (b"", content[:-400], content.replace(b"detail", b"detall")):
        (tmp_path / "c.npz").write_bytes(wrong)
        with pytest.raises(pdna.FileError, match=r"c.npz: is damaged or another file"):
            PairCounts.load(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes(b"no archive at all")
    with pytest.raises(
        pdna.FileError, match=r"is damaged or another file \(.*\); delete it"
    ) as raised:
        PairCounts.load(tmp_path / "c.npz")
    assert "pickle" not in str(raised.value)
    with pytest.raises(pdna.FileError, match=r"a.npz: holds counts of other pairs"):
        PairCounts.unpacked("a.npz", content, "key")


def test_groups_of_excluded_names():
    digests = [64 * digit for digit in "abab"]
    names = ["a", "b", "c", f"sha256:{digests[0]}"]
    assert duplicate_pairs([("a", "c"), ("c", "b", "a"), ("a", "x")], names, digests) == [
        (0, 2), (2, 1), (2, 0), (1, 0)
    ]  # fmt: skip
    of_a, of_b = (f"sha256:{digest}" for digest in digests[:2])
    assert duplicate_pairs([(of_a, "c"), (of_b, "a")], names, digests) == [
        (0, 2), (1, 3), (1, 0), (3, 0)
    ]  # fmt: skip
    strange = ("é\n", names[3], "\udcff", "sha256:a", of_a.upper().replace("SHA", "sha"))
    assert [configuration_name(name, digests[1]) for name in strange] == [
        "é\n", of_b, of_b, "sha256:a", of_b
    ]  # fmt: skip
    with pytest.raises(pdna.ArgumentError, match="exclude: got 1, 1, needs two different rows"):
        count_pairs(some_hashed(3, 1, 0), np.zeros(3, bool), exclude=[(1, 1)])
