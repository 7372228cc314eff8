"""Every count and rate of small runs, beside plain NumPy over all of their pairs."""

import csv
import shutil
from itertools import combinations
from string import ascii_lowercase

import brute_force as brute
import numpy as np
import pytest
from brute_force import ORIGINAL
from conftest import JIT_OFF
from PIL import Image

from photodna_nb.evaluation import Config, run

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

SPECS = ["webp:40", "crop:10", "rotate:15", "mirror"]
# The two that show the same; the copy is the same file as a.png.
GROUPS = [["b.png", "b again.png"]]
LEAST_DETAIL = 150.0
TARGETS = [0.6, 0.2, 0.05]


def draw(folder):
    """Draw pictures that resemble each other, with all that is left out of the counts."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    common = rng.integers(0, 256, (5, 7, 3))
    for number, name in enumerate(ascii_lowercase):
        share = 0.3 + 0.015 * number
        small = share * common + (1 - share) * rng.integers(0, 256, (5, 7, 3))
        image = Image.fromarray(small.astype(np.uint8))
        image = image.resize((70, 50), Image.Resampling.BICUBIC)
        image.save(folder / f"{name}.png")
        if name == "b":
            image.resize((60, 44)).save(folder / "b again.png")
    shutil.copy(folder / "a.png", folder / "copy of a.png")
    Image.fromarray(rng.integers(100, 102, (40, 40), np.uint8)).save(folder / "flat.png")
    # Too long for WebP.
    Image.effect_noise((17000, 2), 50).save(folder / "long.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("brute") / "pictures")


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


def configuration(pictures, **sections):
    return Config.from_dict(
        {
            "originals": {"kind": "directory", "path": "pictures"},
            "thresholds": {"named": {"near": 90, "far": 700}, "targets": TARGETS},
            "detail": {"bins": [200.0, 2000.0]},
            **sections,
        },
        base=str(pictures.parent),
    )


def same(found, expected, what):
    # Results are rounded to 12 digits.
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=1e-11, atol=1e-12, err_msg=what
    )


def check_curves(curves, genuine, impostor, largest):
    expected = brute.curve_numbers(genuine, impostor, largest)
    assert (curves.genuine_pairs, curves.impostor_pairs) == (len(genuine), len(impostor))
    for name in ("genuine_matches", "impostor_matches"):
        assert getattr(curves, name).tolist() == expected[name].tolist()
    for name, value in expected.items():
        if value is None:
            assert getattr(curves, name) is None
        else:
            # The bisection ends within some 1e-12 of the crossing.
            same(getattr(curves, name), value, name)


def check_estimates(estimates, genuine, impostor, halves, largest):
    """Of all originals, and of each half."""
    own, others = brute.split_of(genuine, halves), brute.split_of(impostor, halves)
    assert not own["between"].any()
    check_curves(estimates.all_originals.curves, genuine.threshold, impostor.threshold, largest)
    for half in ("selection", "validation"):
        check_curves(
            getattr(estimates, half).curves,
            genuine.threshold[own[half]],
            impostor.threshold[others[half]],
            largest,
        )


def check_run(results, hashed, genuine, impostor, left_out, halves, largest):
    """Every number of a run of one hasher that counts pairs, or divides two counts.

    Return how many thresholds of targets rest on counts.
    """
    counts, summary, tables = results.counts, results.summary, results.tables
    own, others = brute.split_of(genuine, halves), brute.split_of(impostor, halves)
    detail = np.searchsorted(counts.detail_bin_edges, hashed.detail, side="right")
    detail[np.isnan(hashed.detail)] = -1  # in no bin
    assert counts.names == tuple(hashed.names)
    assert counts.in_validation_half.tolist() == halves.tolist()
    for reason, number in left_out.items():
        assert summary[f"pairs_{reason}"] == number
    assert summary["genuine_pairs"] == len(genuine)
    assert summary["impostor_pairs"] == len(impostor)
    assert summary["impostor_pairs_of_originals"] == (impostor.transform == ORIGINAL).sum()
    for split, rows in others.items():
        assert summary[f"impostor_pairs_{split}"] == rows.sum()
        found = counts.impostor_histogram(split=split)
        assert np.cumsum(found).tolist() == impostor.of(rows).matches(largest).tolist()
    expected = brute.curve_numbers(genuine.threshold, impostor.threshold, largest)
    for name, value in summary["curves"].items():
        if name in expected and value is not None:
            same(value, expected[name], name)
    check_estimates(results.estimates, genuine, impostor, halves, largest)

    near = min(len(counts.nearest.i), len(impostor))
    order = np.lexsort((impostor.transform, impostor.j, impostor.i, impostor.distance))[:near]
    for column, name in (("i", "i"), ("j", "j"), ("transform", "transform")):
        assert getattr(counts.nearest, column).tolist() == getattr(impostor, name)[order].tolist()
    assert counts.nearest.distance_squared.tolist() == impostor.distance[order].tolist()

    table = tables["curves"]
    assert [row["threshold"] for row in table] == list(range(len(table)))
    for name in ("recall", "false_match_rate", "false_non_match_rate", "precision"):
        same([row[name] for row in table], expected[name][: len(table)], name)
    of_originals = impostor.of(impostor.transform == ORIGINAL)
    columns = {
        "genuine_matches": genuine.matches(largest),
        "genuine_matches_oriented": genuine.matches(largest, oriented=True),
        "impostor_matches": impostor.matches(largest),
        "impostor_matches_of_originals": of_originals.matches(largest),
    }
    for half in ("selection", "validation"):
        columns[f"genuine_matches_{half}"] = genuine.of(own[half]).matches(largest)
        columns[f"impostor_matches_{half}"] = impostor.of(others[half]).matches(largest)
    for name, counted in columns.items():
        assert [row[name] for row in table] == counted[: len(table)].tolist(), name
    last = tables["curves"][-1]["threshold"]
    assert max(genuine.threshold.max(), impostor.threshold.max()) == last

    rows = tables["transforms"]
    assert [row["transform"] for row in rows] == list(counts.transforms)
    for number, row in enumerate(rows):
        mine, other = (pairs.of(pairs.transform == number) for pairs in (genuine, impostor))
        distances = np.sort(mine.distance)
        assert row["genuine_pairs"] == len(mine)
        assert row["impostor_pairs"] == len(other)
        assert row["smallest_impostor_distance"] == other.threshold.min()
        for name, share in (("median", 50), ("p95", 95), ("largest", 100)):
            quantile = np.percentile(distances, share, method="inverted_cdf")
            root = np.sqrt(quantile) if hashed.metric == "euclidean" else quantile
            assert row[f"{name}_distance"] == root

    for row in tables["recall"]:
        number = counts.transforms.index(row["transform"])
        rows = genuine.transform == number
        if row["detail_bin"] is not None:
            rows &= detail[genuine.i] == row["detail_bin"]
        check_recall(row, genuine.of(rows))
    for row in tables["operating_recall"]:
        number = counts.transforms.index(row["transform"])
        check_recall(row, genuine.of(own["validation"] & (genuine.transform == number)))
    chosen = check_thresholds(tables, genuine, impostor, own, others)

    for row in tables["detail"]:
        lower = np.minimum(detail[impostor.i], detail[impostor.j])
        mine = impostor.of((lower == row["detail_bin"]) & (impostor.transform == ORIGINAL))
        assert row["originals"] == (detail == row["detail_bin"]).sum()
        assert row["impostor_pairs"] == len(mine)
        if len(mine):
            ordered = np.sort(mine.threshold)
            assert row["smallest_impostor_distance"] == ordered[0]
            assert row["median_impostor_distance"] == ordered[(len(mine) - 1) // 2]
    return chosen


def check_recall(row, pairs):
    own = pairs.oriented if row["oriented"] else pairs.threshold
    assert row["genuine_pairs"] == len(pairs)
    assert row["matches"] == (own <= row["threshold"]).sum()
    if len(pairs):
        same(row["recall"], (own <= row["threshold"]).mean(), "recall")
    else:
        assert row["recall"] is None


def check_thresholds(tables, genuine, impostor, own, others):
    """Named thresholds, and those that were chosen on the one half, on the other half.

    Return how many of these rest on counts.
    """
    for row in tables["thresholds"]:
        t = row["threshold"]
        assert row["genuine_matches"] == (genuine.threshold <= t).sum()
        assert row["genuine_matches_oriented"] == (genuine.oriented <= t).sum()
        assert row["impostor_matches"] == (impostor.threshold <= t).sum()
        same(row["recall"], (genuine.threshold <= t).mean(), "recall")
        same(row["false_match_rate"], (impostor.threshold <= t).mean(), "rate")
    chosen = 0
    for row in tables["operating_points"]:
        t = row["threshold"]
        if t is None:
            continue
        selection = impostor.threshold[others["selection"]]
        if row["source"] == "counted" and not row["conservative"]:
            assert (selection <= t).mean() <= row["target"] < (selection <= t + 1).mean()
            chosen += 1
        mine, other = genuine.threshold[own["validation"]], impostor.threshold[others["validation"]]
        assert (row["genuine_matches"], row["genuine_pairs"]) == ((mine <= t).sum(), len(mine))
        assert (row["impostor_matches"], row["impostor_pairs"]) == ((other <= t).sum(), len(other))
        same(row["recall"], (mine <= t).mean(), "recall")
        same(row["false_match_rate"], (other <= t).mean(), "rate")
    return chosen


def check_recalls(table, genuine, categories):
    """The recall of the genuine pairs of each category."""
    assert {row["category"] for row in table} == {*categories}
    for row in table:
        check_recall(row, genuine.of(categories == row["category"]))


def check_rates(table, impostor, classes):
    """The false match rates of every two categories, or of each of labelled pairs.

    classes : The one or two categories of each pair.
    """
    assert {frozenset((row["category"], row["other_category"])) for row in table} >= {*classes}
    for row in table:
        own = impostor.of(
            np.array([one == {row["category"], row["other_category"]} for one in classes])
        )
        matched = own.threshold <= row["threshold"]
        assert (row["impostor_pairs"], row["impostor_matches"]) == (len(own), matched.sum())
        same(row["false_match_rate"], matched.mean(), "rate")


def check_categories(partition, labels, classes, impostor, largest):
    """The impostor pairs of every two categories."""
    names = sorted(set(labels))
    assert partition.names == tuple(names)
    assert [partition.names[number] for number in partition.number] == labels
    for (a, b), counted in zip(partition.pairs, partition.impostor, strict=True):
        own = impostor.of(np.array([one == {names[a], names[b]} for one in classes]))
        assert np.cumsum(counted).tolist() == own.matches(largest).tolist()


def check_equal_rates(results, matches_of, selection):
    """Thresholds for equal rates, their recalls, and the differences from the first hasher.

    matches_of : Of a hasher and a threshold, which genuine pairs of the validation half match,
        by original and transform.
    selection : Of each hasher, the impostor pairs of the selection half.
    """
    rows = results.tables["equal_rates"]
    first = next(iter(results.hashers))
    compared = 0
    for row in rows:
        if row["threshold"] is None:
            continue
        rates = [
            (selection[row["hasher"]].threshold <= row["threshold"] + step).mean()
            for step in (0, 1)
        ]
        assert rates[0] <= row["target"] < rates[1]
        spec = row["transform"]
        number = None if spec is None else SPECS.index(spec)
        [beside] = [
            other
            for other in rows
            if (other["target"], other["hasher"]) == (row["target"], first)
            and other["transform"] == spec
        ]
        own, others = (
            {
                pair: matched
                for pair, matched in matches_of(one["hasher"], one["threshold"]).items()
                if number in (None, pair[1])
            }
            for one in (row, beside)
        )
        assert (row["genuine_pairs"], row["matches"]) == (len(own), sum(own.values()))
        same(row["recall"], sum(own.values()) / len(own), "recall")
        if row["hasher"] == first or beside["threshold"] is None:
            assert row["recall_difference"] is None
            continue
        both = own.keys() & others.keys()
        gained = sum(own[pair] and not others[pair] for pair in both)
        lost = sum(others[pair] and not own[pair] for pair in both)
        assert (row["common_pairs"], row["gained"], row["lost"]) == (len(both), gained, lost)
        same(row["recall_difference"], (gained - lost) / len(both), "difference")
        assert row["recall_difference_lower"] <= row["recall_difference"]
        assert row["recall_difference"] <= row["recall_difference_upper"]
        compared += 1
    assert compared > len(SPECS)


def test_two_hashers_with_categories(pictures, tmp_path):
    names = names_of(pictures)
    kinds = {name: ("cat", "dog", "")[number % 3] for number, name in enumerate(names)}
    lines = "".join(f"{name},{kind}\n" for name, kind in kinds.items() if kind)
    (pictures.parent / "kinds.csv").write_text("path,category\n" + lines)
    config = configuration(
        pictures,
        # Pairs of both kinds are exactly 12 apart.
        hash={"names": ["photodna", brute.BRIGHT], "thresholds": {brute.BRIGHT: {"near": 12}}},
        variants={"transforms": SPECS},
        pairs={"duplicates": GROUPS, "exclude_below_detail": LEAST_DETAIL},
        categories={"file": "kinds.csv"},
    )
    results = run(config, tmp_path / "run")
    assert list(results.hashers) == ["photodna", "bright"]
    flat, counted, selection = [], {}, {}
    for listed, found in zip(config.hash_names, results.hashers.values(), strict=True):
        hashed = brute.hash_folder(pictures, names, SPECS, listed)
        assert len(hashed.variants) == len(hashed.names) * len(SPECS) - 1
        if listed == "photodna":
            details = zip(hashed.names, hashed.detail, strict=True)
            flat = [name for name, detail in details if detail < LEAST_DETAIL]
        impostor, left_out = brute.other_pairs(hashed, GROUPS, flat)
        assert all(left_out.values())
        genuine, halves = brute.variant_pairs(hashed), brute.in_validation(hashed.names)
        largest = brute.LARGEST_DISTANCE[hashed.metric]
        assert check_run(found, hashed, genuine, impostor, left_out, halves, largest)
        labels = [kinds[name] for name in hashed.names]
        categories = found.counts.partitions["categories"]
        ends = zip(impostor.i, impostor.j, strict=True)
        classes = [frozenset((labels[i], labels[j])) for i, j in ends]
        check_categories(categories, labels, classes, impostor, largest)
        check_rates(found.tables["false_match_rates_by_category"], impostor, classes)
        check_recalls(found.tables["recall_by_category"], genuine, np.array(labels)[genuine.i])
        counted[found.hasher.name] = genuine.of(halves[genuine.i])
        selection[found.hasher.name] = impostor.of(~halves[impostor.i] & ~halves[impostor.j])

    def matches_of(name, threshold):
        pairs = counted[name]
        limit = -1 if threshold is None else threshold
        ends = zip(pairs.i.tolist(), pairs.transform.tolist(), strict=True)
        return dict(zip(ends, (pairs.threshold <= limit).tolist(), strict=True))

    check_equal_rates(results, matches_of, selection)


def write_labels(path, names):
    """Label pairs of pictures: whether they are of one group, each pair in a category."""
    rng = np.random.default_rng(8)
    groups = [("a.png", "copy of a.png", "c.png"), ("b.png", "b again.png"), ("d.png", "e.png")]
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    rows = []
    for a, b in combinations(names, 2):
        is_same = a in group_of and group_of[a] == group_of.get(b)
        if is_same or rng.random() < 0.7:
            ends = (a, b) if rng.random() < 0.5 else (b, a)
            rows.append((*ends, int(is_same), rng.choice(["edit", "scene", ""])))
    rng.shuffle(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "same", "category"), *rows])


def test_labelled_pairs_with_categories(pictures, tmp_path):
    names = names_of(pictures)
    write_labels(pictures.parent / "pairs.csv", names)
    config = configuration(
        pictures, pairs={"labelled": "pairs.csv", "exclude_below_detail": LEAST_DETAIL}
    )
    results = run(config, tmp_path / "run")
    hashed = brute.hash_folder(pictures, names, [])
    genuine, of_genuine, impostor, of_impostor = brute.labelled_pairs(
        hashed, pictures.parent / "pairs.csv"
    )
    flat = np.array(hashed.detail) < LEAST_DETAIL
    kept = ~flat[impostor.i] & ~flat[impostor.j]
    assert not kept.all()
    halves = np.array(results.counts.in_validation_half)
    left_out = {"low_detail": (~kept).sum(), "excluded": 0, "identical": 0}
    impostor, of_impostor = impostor.of(kept), of_impostor[kept]
    check_run(results, hashed, genuine, impostor, left_out, halves, 3060)

    check_recalls(results.tables["recall_by_category"], genuine, of_genuine)
    classes = [frozenset((name,)) for name in of_impostor.tolist()]
    check_rates(results.tables["false_match_rates_by_category"], impostor, classes)
    # Genuine pairs are in the order of their rows, and impostor pairs in that of their distance.
    found = results.counts.labelled
    order = np.lexsort((genuine.j, genuine.i))
    assert [found.names[number] for number in found.genuine] == of_genuine[order].tolist()
    order = np.lexsort((impostor.j, impostor.i, impostor.distance))
    assert [found.names[number] for number in found.impostor] == of_impostor[order].tolist()
