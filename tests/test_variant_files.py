"""Altered copies from files: counted beside plain Python, and hashed in runs."""

import math
import re
from dataclasses import replace

import numpy as np
import oracle
import pytest
from conftest import JIT_OFF
from evaluations import config_of, some_hashed, with_copies
from PIL import Image

import photodna_nb as pdna
from photodna_nb.evaluation import Config, PairCounts, Results, compare, run
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.intervals import clopper_pearson, clustered_recall_interval
from photodna_nb.evaluation.rates import RecallSelection, estimate_recalls
from photodna_nb.evaluation.variant_files import read_copies
from photodna_nb.evaluation.variant_hashes import CopyHashes
from photodna_nb.report import html
from photodna_nb.report.methods import methods

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


def with_files(hashed, seed, n_copies=25):
    """The same, with copies: several of one original may have one label, and some have none."""
    draw = np.random.default_rng(seed)
    listed = sorted(
        (int(draw.integers(0, len(hashed.names))), int(draw.integers(0, 2)), f"c{number}")
        for number in range(n_copies)
    )
    rows = [row for row, _, _ in listed]
    moved = hashed.hashes[rows] + draw.integers(0, 30, (n_copies, 144), np.uint8)
    copies = CopyHashes(
        tuple(name for *_, name in listed),
        ("copies:screenshot", "copies:x,+ y"),
        np.array(rows),
        np.array([label for _, label, _ in listed]),
        moved,
    )
    return replace(hashed, copies=copies)


@pytest.mark.parametrize("exclude", [[], [(0, 1), (9, 4), (2, 14)]])
@pytest.mark.parametrize("exclude_below_detail", [0, 100])
def test_pairs_of_copies(tmp_path, exclude, exclude_below_detail):
    hashed = with_files(with_copies(some_hashed(16, 2, 3), [(14, 0), (5, 4)]), 8)
    copies, n = hashed.copies, 16
    half = np.random.default_rng(2).random(n) < 0.5
    options = {"exclude": exclude, "exclude_below_detail": exclude_below_detail}
    found = count_pairs(hashed, half, **options)
    assert found.transforms == ("jpeg:30", "turn:90", "copies:screenshot", "copies:x,+ y")
    excluded = {frozenset(pair) for pair in exclude}
    variants, per_original = np.zeros((2, 3, 3061), int), np.zeros((n, 2), int)
    near, left_out = [], {"excluded": 0, "identical": 0, "low_detail": 0}
    rows = hashed.hashes.tolist()
    for number, (i, label, own) in enumerate(
        zip(copies.original.tolist(), copies.label.tolist(), copies.hashes.tolist(), strict=True)
    ):
        for j in range(n):
            if i == j:
                continue
            if frozenset((i, j)) in excluded:
                left_out["excluded"] += 1
            elif hashed.digests[i] == hashed.digests[j]:
                left_out["identical"] += 1
            elif min(hashed.detail[i], hashed.detail[j]) < exclude_below_detail:
                left_out["low_detail"] += 1
            else:
                squared = oracle.distance_squared(own, rows[j])
                cell = math.ceil(math.sqrt(squared))
                variants[label, 2 if half[i] != half[j] else int(half[i]), cell] += 1
                per_original[[i, j], label] += 1
                near.append((squared, i, j, 2 + label, number))
    np.testing.assert_array_equal(found.impostor_variants[2:], variants)
    np.testing.assert_array_equal(found.pairs_per_original[:, 3:], per_original)
    without = count_pairs(replace(hashed, copies=None), half, **options)
    np.testing.assert_array_equal(found.impostor_originals, without.impostor_originals)
    np.testing.assert_array_equal(found.impostor_variants[:2], without.impostor_variants)
    for reason, number in left_out.items():
        assert getattr(found, f"pairs_{reason}") - getattr(without, f"pairs_{reason}") == number
    columns = [found.nearest[place].tolist() for place in (3, 0, 1, 2, 4)]
    of_copies = [pair for pair in zip(*columns, strict=True) if pair[3] > 1]
    assert of_copies == sorted(near)
    assert len(found.nearest.i) == found.impostor_histogram().sum()

    genuine = found.genuine
    expected = []
    for number, (i, label) in enumerate(zip(copies.original, copies.label, strict=True)):
        ways = pdna.orientations(copies.hashes[number]).tolist()
        plain, *_ = turned = [oracle.distance_squared(way, rows[i]) for way in ways]
        expected.append((int(i), int(i), 2 + int(label), plain, min(turned), number))
    own = genuine.taken(genuine.copy >= 0)
    assert sorted(zip(*(column.tolist() for column in own), strict=True)) == sorted(expected)
    assert len(genuine.i) == hashed.available.sum() + len(expected)
    assert found.copies == copies.names
    found.save(tmp_path / "counts.npz")
    again = PairCounts.load(tmp_path / "counts.npz")
    assert bytes(again.packed()) == bytes(found.packed())
    np.testing.assert_array_equal(again.nearest.copy, found.nearest.copy)


def test_counts_with_copies_add_up():
    one = with_files(some_hashed(9, 1, 1), 1, 12)
    other = with_files(some_hashed(7, 1, 2, prefix="p"), 2, 9)
    other = replace(other, copies=other.copies._replace(names=tuple(f"d{k}" for k in range(9))))
    a, b = (count_pairs(each, np.zeros(len(each.names), bool)) for each in (one, other))
    both = a + b
    assert both.copies == one.copies.names + other.copies.names
    for pairs, first, second in (
        (both.genuine, a.genuine, b.genuine),
        (both.nearest, a.nearest, b.nearest),
    ):
        names = sorted(both.copies[number] for number in pairs.copy if number >= 0)
        apart = [a.copies[number] for number in first.copy if number >= 0]
        apart += [b.copies[number] for number in second.copy if number >= 0]
        assert names == sorted(apart)
        rows = pairs.copy >= 0
        assert [both.names[i][0] for i in pairs.i[rows]] == [
            "o" if both.copies[number][0] == "c" else "p" for number in pairs.copy[rows]
        ]


def test_originals_without_some_have_the_copies_of_the_others():
    hashed = with_files(some_hashed(12, 1, 1), 3)
    kept = np.arange(12) % 3 != 0
    taken = hashed.taken(kept).copies
    names = np.array(hashed.names)
    expected = [
        (name, names[row])
        for name, row in zip(hashed.copies.names, hashed.copies.original, strict=True)
        if kept[row]
    ]
    assert [*zip(taken.names, names[kept][taken.original], strict=True)] == expected
    assert len(taken.hashes) == len(taken.label) == len(expected) < 25


def test_copies_of_one_original_are_not_independent():
    """The interval of a label is that of clusters, if an original has several such copies."""
    hashed = with_files(some_hashed(16, 2, 3), 8, 60)
    found = count_pairs(hashed, np.zeros(16, bool))
    spec = "copies:screenshot"
    rows = found.genuine_rows(spec)
    distances = np.sqrt(found.genuine.distance_squared[rows])
    t = int(np.median(distances))
    (recall,) = estimate_recalls(found, [RecallSelection(spec, t, False)], 0.95)
    matches = int((distances <= t).sum())
    assert (recall.genuine_pairs, recall.matches) == (rows.sum(), matches)
    lower, upper = clustered_recall_interval(distances, found.genuine.i[rows], t + 1)
    assert (recall.recall_lower, recall.recall_upper) == pytest.approx(
        (lower[t], upper[t]), rel=1e-9
    )
    naive = clopper_pearson(matches, rows.sum())
    assert recall.recall_upper - recall.recall_lower > float(naive[1] - naive[0])
    (made,) = estimate_recalls(found, [RecallSelection("jpeg:30", 9, False)], 0.95)
    ends = clopper_pearson(made.matches, made.genuine_pairs)
    assert (made.recall_lower, made.recall_upper) == pytest.approx([float(end) for end in ends])


@pytest.fixture
def copied(tmp_path):
    """Pictures, altered copies of them, and their configuration."""
    draw = np.random.default_rng(4)
    for folder in ("pictures", "copies"):
        (tmp_path / folder).mkdir()
    lines = ["original,variant,label"]
    for number in range(5):
        image = Image.fromarray(draw.integers(0, 256, (12, 16, 3), np.uint8)).resize((64, 48))
        image.save(tmp_path / "pictures" / f"{number}.png")
        image.save(tmp_path / "copies" / f"{number}.jpg", quality=10)
        lines.append(f"{number}.png,copies/{number}.jpg,messenger")
        if number < 3:
            image.rotate(3).save(tmp_path / "copies" / f"{number}.png")
            lines.append(f"{number}.png,copies/{number}.png,{'messenger' if number else 'scan'}")
    (tmp_path / "variants.csv").write_text("\n".join(lines))
    sections = {
        "originals": {"kind": "directory", "path": "pictures"},
        "variants": {"transforms": [], "files": "variants.csv"},
        "thresholds": {"named": {"a": 400}},
    }
    return tmp_path, lines, sections


def test_a_run_over_copies(copied):
    folder, lines, sections = copied
    config = config_of(folder, **sections)
    assert Config.from_dict(config.to_dict(), base=folder) == config
    lines += ["0.png,copies/missing.jpg,scan", "1.png,variants.csv,scan"]
    (folder / "variants.csv").write_text("\n".join(lines))
    results = run(config, folder / "run")
    transforms = results.tables["transforms"]
    assert [(row["label"], row["genuine_pairs"], row["failed"]) for row in transforms] == [
        ("messenger", 7, 0),
        ("scan", 1, 2),
    ]
    assert [(one.original, one.transform) for one in results.failures] == [
        ("0.png", "copies:scan"),
        ("1.png", "copies:scan"),
    ]
    assert "copies/missing.jpg: " in results.failures[0].error
    assert (results.summary["variants"], results.summary["variants_failed"]) == (8, 2)
    counts = results.counts
    for i, copy, squared in zip(
        counts.genuine.i, counts.genuine.copy, counts.genuine.distance_squared, strict=True
    ):
        both = folder / "pictures" / counts.names[i], folder / counts.copies[copy]
        assert squared == pdna.distance(*map(pdna.hash_file, both), "sqeuclidean")
    digests = results.manifest["copies"]
    assert len(digests) == 10
    assert (digests["copies/missing.jpg"], "variants.files" in results.manifest["files"]) == (
        None,
        True,
    )
    nearest = results.tables["nearest_impostors"]
    assert {row["copy"] is None for row in nearest} == {row["transform"] is None for row in nearest}
    assert all(row["thumbnail"] for row in nearest[:10])
    again = Results.load(folder / "run")
    assert (again.tables, again.failures) == (results.tables, results.failures)

    before = (folder / "run" / "copies.npz").read_bytes()
    Image.open(folder / "copies" / "3.jpg").rotate(90).save(folder / "copies" / "3.jpg")
    changed = run(config, folder / "run")
    assert changed.manifest["this_run"]["originals_hashed"] == 1
    assert changed.manifest["copies"]["copies/3.jpg"] != digests["copies/3.jpg"]
    assert (folder / "run" / "copies.npz").read_bytes() != before
    found = compare(again, changed)
    (recall,) = (
        one
        for one in found.conclusions
        if one.transform == "copies:messenger" and not one.oriented and one.thresholds == (400, 400)
    )
    assert (recall.discordant.pairs, recall.discordant.lost, recall.discordant.gained) == (7, 1, 0)
    (folder / "variants.csv").write_text("\n".join(lines[:3]))
    fewer = run(config, folder / "run")
    assert fewer.manifest["this_run"]["originals_hashed"] == 0
    assert [row["label"] for row in fewer.tables["transforms"]] == ["messenger", "scan"]
    assert fewer.summary["variants"] == 2


def test_copies_beside_transforms(copied):
    folder, _, sections = copied
    both = run(
        config_of(
            folder, **{**sections, "variants": {"transforms": ["mirror"], "files": "variants.csv"}}
        ),
        folder / "beside",
    )
    assert [row["label"] for row in both.tables["transforms"]] == ["mirror", "messenger", "scan"]
    assert {row["transform"] for row in both.tables["recall"]} == set(both.counts.transforms)
    (near, *_) = (row for row in both.tables["nearest_impostors"] if row["transform"])
    if near["copy"] is None:
        near |= {"transform": "copies:scan", "copy": "copies/0.png"}
    page = html.page(both, {})
    label = near["transform"].removeprefix("copies:")
    assert f"{near['original']} ({label}: {near['copy']})" in page
    assert methods(both)[1:3] == [
        "Each original was altered in memory by 1 transform (mirror), with the seed 0 for random "
        "ones, which gave 5 variants.",
        "8 altered copies came from files, labelled messenger and scan.",
    ]


def test_copies_of_a_private_run_have_no_names(copied):
    folder, _, sections = copied
    (folder / "key").write_bytes(b"k" * 32)
    privacy = {"names": "digest", "pictures": False, "key_file": "key"}
    results = run(config_of(folder, **sections, privacy=privacy), folder / "run")
    assert len(results.counts.copies) == 8
    content = b"".join(path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file())
    for name in (b"copies/0.jpg", b"0.png", b"variants.csv", str(folder).encode()):
        assert name not in content
    assert b"messenger" in content, "labels stay"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("9.png,copies/0.jpg,x", "line 2 of variants.files: no original is called 9.png; "),
        ("0.png,copies/0.jpg,", "line 2 has no label; write it there"),
        ("0.png,,x", "line 2 has no variant; write it there"),
        ("0.png,pictures/1.png,x", "line 2 of variants.files: pictures/1.png is one of the orig"),
        ("0.png,copies/0.jpg,x\n1.png,./copies/0.jpg,y", "line 3 has ./copies/0.jpg, as line 2"),
        ("0.png,copies/0.jpg,jpeg 30", "line 2 of variants.files: the label jpeg 30 is that of a"),
        ("0.png,copies/0.jpg", "line 2 has 2 column(s), needs 3"),
    ],
)
def test_lines_that_are_refused(copied, line, problem):
    folder, _, sections = copied
    (folder / "variants.csv").write_text(f"original,variant,label\n{line}\n")
    sections["variants"]["transforms"] = ["jpeg:30"]
    with pytest.raises(pdna.FileError, match=re.escape(problem)):
        run(config_of(folder, **sections), folder / "run")
    assert not (folder / "run").exists()


def test_labels_have_weights(copied):
    folder, _, sections = copied
    for weights, problem in (
        ({"copies:messenger": 2, "copies:scam": 1}, "no copy has the label of copies:scam; .*scan"),
        ({"copies:messenger": 2}, "variants.weights: lacks copies:scan"),
    ):
        sections["variants"]["weights"] = weights
        with pytest.raises(pdna.ArgumentError, match=problem):
            read_copies(config_of(folder, **sections))
    sections["variants"]["weights"] = {"copies:messenger": 3, "copies:scan": 1}
    results = run(config_of(folder, **sections), folder / "run")
    (row,) = (row for row in results.tables["thresholds"] if row["name"] == "a")
    recall = {
        one["transform"]: one["recall"]
        for one in results.tables["recall"]
        if one["detail_bin"] is None and not one["oriented"] and one["threshold_name"] == "a"
    }
    expected = (3 * recall["copies:messenger"] + recall["copies:scan"]) / 4
    assert row["weighted_recall"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"variants": {"transforms": []}},
            "variants.transforms: got an empty list, needs at least",
        ),
        ({"variants": {"transforms": ["copies:x"]}}, "variants.transforms: 'copies:x': stands for"),
        (
            {"variants": {"transforms": [], "files": "f"}, "pairs": {"labelled": "p"}},
            "variants.files: there are no variants where pairs.labelled",
        ),
    ],
)
def test_configurations_that_are_refused(sections, problem):
    with pytest.raises(pdna.ArgumentError, match=re.escape(problem)):
        config_of(**sections)
