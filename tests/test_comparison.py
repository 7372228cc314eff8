"""Two runs beside each other: numbers beside those of the runs, and beside plain Python."""

import json
import math
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import JIT_OFF, draw_smooth_noise, needs
from evaluations import genuine_table, some_hashed
from PIL import Image
from scipy import stats

import photodna_nb as pdna
from photodna_nb import cli
from photodna_nb.evaluation import (
    Config,
    Results,
    compare,
    comparison,
    comparison_format,
    comparison_records,
    intervals,
    pair_counts,
    run,
    run_folder,
)
from photodna_nb.evaluation.comparison_format import comparison_text
from photodna_nb.evaluation.comparison_records import (
    Conclusion,
    DiscordantPairs,
    IntervalEstimate,
)
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.pair_records import GenuinePairs
from photodna_nb.hashing import images

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

EDITS = ["jpeg:10", "crop:5", "mirror", "noise:25"]
THRESHOLDS = {"named": {"low": 150, "high": 640}, "targets": [0.2, 0.01, 1e-9]}


def drawn(corpus=0, number=100, **sections):
    return Config.from_dict(
        {
            "originals": {
                "kind": "dead_leaves", "number": number, "size": [64, 48], "seed": corpus
            },
            "variants": {"transforms": EDITS},
            "thresholds": THRESHOLDS,
            "deployment": {
                "list_size": 1000,
                "queries_per_day": 10,
                "orientations": True,
                "max_false_matches_per_day": 300,
            },
            **sections,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs whose originals are drawn from the same distribution."""
    folder = tmp_path_factory.mktemp("runs")
    return [run(drawn(corpus), folder / str(corpus)) for corpus in range(3)]


def conclusion(found, **wanted):
    (one,) = [
        each
        for each in found.conclusions
        if all(getattr(each, name) == value for name, value in wanted.items())
    ]
    return one


def test_the_same_run_twice(runs, tmp_path):
    shutil.copytree(runs[0].run_dir, tmp_path / "copy")
    found = compare(runs[0], tmp_path / "copy")
    assert found.identical
    assert found.same_originals
    assert comparison_text(found) == "Identical results."
    assert {one.verdict for one in found.conclusions} == {"identical", "unknown"}
    assert len(found.with_verdict("identical")) >= 20
    assert found.configuration == found.versions == found.notes == ()
    assert (found.originals.same, *vars(found.originals).values()) == (100, 100, (), (), (), ())
    assert [(one.images, one.differing, one.distances_differing) for one in found.hash_changes] == [
        (100, 0, 0)
    ] * (1 + len(EDITS))
    assert all(one.first == one.second for one in found.numbers)
    named = [one for one in found.conclusions if one.discordant]
    assert {
        (one.discordant.lost, one.discordant.gained, one.discordant.p_value) for one in named
    } == {(0, 0, None)}


def test_numbers_are_those_of_the_runs(runs):
    """Of every conclusion, both sides: as the tables have it that the reports show."""
    found = compare(runs[0], runs[1])
    for side, results in zip(("first", "second"), runs, strict=False):
        tables = results.tables
        for row in tables["recall"]:
            if (row["detail_bin"], row["oriented"]) == (None, False) and row[
                "threshold_name"
            ] in THRESHOLDS["named"]:
                wanted = {"transform": row["transform"], "oriented": False}
                t = row["threshold"]
                one = conclusion(found, **wanted, thresholds=(t, t))
                assert getattr(one, side)[:3] == tuple(
                    row[name] for name in ("recall", "recall_lower", "recall_upper")
                )
        for row in tables["thresholds"][:2]:
            about = f"at {row['threshold']} ({row['name']})"
            rate = getattr(conclusion(found, kind="false match rate", about=about), side)
            for value, name in zip(rate, ("", "_lower", "_upper"), strict=False):
                per_day = row[f"expected_matches_per_day{name}"]
                assert value == (per_day and pytest.approx(per_day / (1000 * 10 * 8), rel=1e-9))
            assert rate.source.removesuffix(" beyond validation") == row["expected_matches_source"]
            one = conclusion(found, kind="recall", about=f"all transforms {about}")
            assert getattr(one, side).value == pytest.approx(row["recall"], rel=1e-9)
    for row in runs[0].tables["operating_points"]:
        kind = "conservative threshold" if row["conservative"] else "threshold"
        threshold = f"{kind} for a false match rate of {row['target']:g}"
        one = conclusion(found, about=f"at the first run's {threshold}")
        assert (one.target, one.thresholds) == (row["target"], (row["threshold"],) * 2)
        if row["threshold"] is not None and row["source"] == "counted":
            assert one.first.value == row["false_match_rate"]
            assert one.second.value == judged(runs[1], row["threshold"])
        own = conclusion(found, about=f"all transforms at each run's own {threshold}")
        for side, results, t in zip(("first", "second"), runs, own.thresholds, strict=False):
            (same,) = [
                other
                for other in results.tables["operating_points"]
                if all(other[name] == row[name] for name in ("target", "conservative"))
            ]
            assert t == same["threshold"]
            recall = getattr(own, side)
            assert (recall and recall.value) == same["recall"]
    for row in runs[0].tables["deployment"][:2]:
        about = (
            f"at the first run's {'conservative ' * row['conservative']}threshold for 300 per day"
        )
        one = conclusion(found, kind="false matches per day", about=about)
        assert one.thresholds == (row["threshold"],) * 2
        assert one.target == 300
        if row["threshold"] is not None:
            assert one.first.value == row["expected_matches_per_day"]
    assert runs[0].tables["deployment"][0]["threshold"] is not None
    numbers = {one.name: one[1:] for one in found.numbers}
    medians = tuple(results.summary["median_impostor_distance"] for results in runs[:2])
    assert numbers["median of the impostor distances"] == medians
    for name in ("auc", "average_precision", "equal_error_rate"):
        values = tuple(results.summary["curves"][name] for results in runs[:2])
        assert numbers[name.replace("_", " ")] == values


def judged(results, threshold):
    """The false match rate on half B."""
    impostor = results.counts.impostor_histogram(split="validation")
    return float(f"{impostor[: threshold + 1].sum() / impostor.sum():.12g}")


def test_originals_of_one_kind_move_little(runs):
    moved = compared = 0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        found = compare(runs[first], runs[second])
        assert not found.identical
        assert not found.same_originals
        assert found.hash_changes == ()
        assert {one.discordant for one in found.conclusions} == {None}
        assert len(found.originals.changed) == 100
        assert [tuple(one) for one in found.configuration] == [("originals.seed", first, second)]
        assert len(found.with_verdict("overlapping")) >= 10
        moved += len(found.with_verdict("significant"))
        compared += len(found.conclusions) - len(found.with_verdict("unknown"))
    assert compared >= 60
    assert moved <= 0.03 * compared


@pytest.fixture
def photos(tmp_path):
    """Images of soft patches: smoother than drawn leaves, so that JPEG does more to them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw_smooth_noise(folder, [f"{number:02}.png" for number in range(40)], 5, (4, 5), (64, 48))
    return folder


def of_photos(photos, **sections):
    originals = {"kind": "directory", "path": str(photos)}
    return drawn(originals=originals, **sections)


def test_originals_of_another_kind_move(runs, photos, tmp_path):
    other = run(of_photos(photos, thresholds={"named": {"new": 100}}), tmp_path / "run")
    found = compare(runs[0], other)
    one = conclusion(found, transform="jpeg:10", oriented=False, thresholds=(100, 100))
    assert one.verdict == "significant"
    ends = []
    for results, estimate in zip((runs[0], other), (one.first, one.second), strict=True):
        squared = results.counts.genuine_distances_squared("jpeg:10").tolist()
        matched = sum(s <= 100**2 for s in squared)
        assert estimate.value == matched / len(squared)
        lower, upper = map(float, intervals.clopper_pearson(matched, len(squared)))
        assert estimate[1:3] == pytest.approx((lower, upper), rel=1e-9)
        ends.append((lower, upper))
    assert ends[0][1] < ends[1][0] or ends[1][1] < ends[0][0]
    assert one in found.with_verdict("significant")
    text = comparison_text(found)
    assert text.startswith(
        f"{len(found.with_verdict('significant'))} of {len(found.conclusions)} conclusions"
    )
    assert "\n  recall jpeg:10 at 100 (new)" in text
    assert "\n  originals.kind: dead_leaves -> directory\n" in text
    assert "\n  originals.seed: 0 -> none\n" in text
    assert "do not overlap in 0.56 % of the cases" in text


NAMED = {"a": 84, "b": 147, "c": 180, "d": 910, "all": 3060}


def other_decoder(monkeypatch):
    """Another Pillow: a few pixels of every image come out otherwise."""
    before = images.read_pixels

    def changed(file):
        pixels = before(file).copy()
        pixels[:, ::5] ^= 24
        return pixels

    monkeypatch.setattr(images, "read_pixels", changed)
    versions = {**run_folder.hash_versions(), "Pillow": "99.0"}
    monkeypatch.setattr(run_folder, "hash_versions", lambda: versions)


def test_another_decoder(photos, tmp_path, monkeypatch):
    config = of_photos(photos, thresholds={"named": NAMED})
    first = run(config, tmp_path / "first")
    with monkeypatch.context() as patched:
        other_decoder(patched)
        second = run(config, tmp_path / "second")
    found = compare(first, second)
    assert found.same_originals
    assert found.configuration == ()
    assert {one.name for one in found.versions} == {
        "versions.hashes.Pillow", "versions.results.Pillow"
    }  # fmt: skip
    assert "versions.hashes.Pillow: " in comparison_text(found)
    assert "Both runs have the same originals: a difference, however small" in comparison_text(
        found
    )
    assert "\nThe same images, hashed in both runs\n" in comparison_text(found)
    assert "\nThe same genuine pairs, in both runs\n" in comparison_text(found)
    check_drifts(found, first, second)
    check_sides(found, first.counts, second.counts)


def check_drifts(found, first, second):
    members = [np.load(f"{results.run_dir}/hashes.npz") for results in (first, second)]
    hashes = [
        np.concatenate([one["hashes"][:, None], one["variants"]], axis=1).tolist()
        for one in members
    ]
    for place, change in enumerate(found.hash_changes):
        assert change.transform == [None, *EDITS][place]
        pairs = [(a[place], b[place]) for a, b in zip(*hashes, strict=True)]
        assert (change.images, change.differing) == (40, sum(a != b for a, b in pairs))
        assert change.largest_distance == pytest.approx(
            max(math.dist(a, b) for a, b in pairs), rel=1e-9
        )
        if place:
            genuine = [
                [math.dist(row[0], row[place]) for row in of_one] for of_one in hashes
            ]  # fmt: skip
            apart = [abs(a - b) for a, b in zip(*genuine, strict=True)]
            assert change.distances_differing == sum(x > 1e-9 for x in apart)
            assert change.largest_change == pytest.approx(max(apart), rel=1e-9)
    assert found.hash_changes[0].differing > 20
    assert found.hash_changes[0].distances_differing == 0


def check_sides(found, *both):
    """McNemar's test of each edit; of all transforms, the originals as trials."""
    changed = 0
    for name, t in NAMED.items():
        worse = better = 0
        sums = [0, 0]
        sides = [genuine_table(counts) <= t * t for counts in both]
        for place, edit in enumerate(EDITS):
            lost, gained = (
                sum(a and not b for a, b in zip(*(side[:, place] for side in order), strict=True))
                for order in (sides, sides[::-1])
            )
            one = conclusion(found, transform=edit, oriented=False, thresholds=(t, t)).discordant
            assert (one.pairs, one.lost, one.gained) == (40, lost, gained)
            if lost + gained:
                expected = stats.binomtest(lost, lost + gained).pvalue
                assert one.p_value == pytest.approx(expected, rel=1e-9)
                changed += 1
            else:
                assert one.p_value is None
            sums = [sums[0] + lost, sums[1] + gained]
        for a, b in zip(*(side.sum(axis=1) for side in sides), strict=True):
            worse, better = worse + (b < a), better + (b > a)
        one = conclusion(found, kind="recall", about=f"all transforms at {t} ({name})").discordant
        assert (one.pairs, one.lost, one.gained) == (160, *sums)
        if worse + better:
            expected = stats.binomtest(int(worse), int(worse + better)).pvalue
            assert one.p_value == pytest.approx(expected, rel=1e-9)
    assert changed >= 4


def test_which_originals_are_the_same():
    """The content decides; of copies, the name."""
    first = SimpleNamespace(names=("a", "b", "c", "d", "e"), digests=tuple("xxxyz"))
    second = SimpleNamespace(names=("b", "n", "a", "d", "m"), digests=tuple("xxwyz"))
    one, other = comparison_records.common_rows(first, second)
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == [(0, 1), (1, 0), (3, 3), (4, 4)]
    none = SimpleNamespace(names=("a",), digests=("v",))
    assert [len(rows) for rows in comparison_records.common_rows(first, none)] == [0, 0]


def test_of_many_edits_the_originals_are_the_trials():
    near = 9
    first = np.array([[near] * 3, [near] * 3, [near, near, 100], [-1, near, near]])
    second = np.array([[101] * 3, [101, 101, near], [near, 101, near], [101, near, near]])
    hashed = some_hashed(4, 3, seed=2)
    counts = count_pairs(hashed, np.zeros(4, bool))
    runs = []
    for table in (first, second):
        i, transform = np.nonzero(table >= 0)
        squared = table[i, transform]
        genuine = GenuinePairs.joined([(i, i, transform, squared, squared)])
        counts = replace(counts, transforms=tuple("abc"), genuine=genuine)
        runs.append(SimpleNamespace(counts=counts))
    same = comparison._CommonOriginals(runs, (np.arange(4), np.arange(4)))
    three = stats.binomtest(3, 3).pvalue
    assert same.discordant(10) == DiscordantPairs(11, 6, 0, three)
    assert same.discordant(10, "c") == DiscordantPairs(4, 1, 0, 1.0)
    assert same.discordant(9, "c") == DiscordantPairs(4, 1, 1, 1.0)
    assert same.discordant(9) == DiscordantPairs(11, 6, 1, 0.5)  # one lost and gained: no trial
    assert same.discordant(11) == DiscordantPairs(11, 0, 0, None)


def test_another_threshold_is_not_identical(runs, tmp_path):
    shutil.copytree(runs[0].run_dir, tmp_path / "copy")
    found = compare(runs[0], run(drawn(thresholds={"named": {"x": 70}}), tmp_path / "copy"))
    assert not found.identical
    assert {one.verdict for one in found.conclusions} == {"identical", "unknown"}
    assert conclusion(found, transform="noise:25", thresholds=(70, 70)).verdict == "identical"


@needs("control characters in names")
def test_what_became_of_the_originals(photos, tmp_path):
    (photos / "bad.png").write_bytes(b"no image")
    first = run(of_photos(photos), tmp_path / "first")
    for number in ("03", "04"):  # two with the same content, of which one is renamed
        (photos / f"{number}.png").write_bytes((photos / "00.png").read_bytes())
    shutil.move(photos / "01.png", photos / "one\n.png")
    (photos / "02.png").unlink()
    (photos / "bad.png").unlink()
    Image.effect_noise((64, 48), 80).save(photos / "new.png")
    second = run(of_photos(photos), tmp_path / "second")
    found = compare(first.run_dir, second.run_dir)
    assert vars(found.originals) == {
        "same": 36,
        "changed": ("03.png", "04.png"),
        "renamed": (("01.png", "one\n.png"),),
        "removed": ("02.png", "bad.png"),
        "added": ("new.png",),
    }
    assert [failure.original for failure in found.failures.first] == ["bad.png"]
    assert found.failures.second == []
    assert not found.same_originals
    assert [one.images for one in found.hash_changes] == [37] * 5
    assert [one.transform for one in found.hash_changes if one.differing] == ["noise:25"]
    (note,) = found.notes
    assert note.startswith("1 originals are renamed, and the seed of a transform is made with")
    text = comparison_text(found)
    assert "originals renamed: 1 (01.png -> one\\n.png)\n" in text
    assert "only in the first run bad.png: is not an image" in text
    back = compare(second, first)
    assert (back.originals.removed, back.originals.added) == (("new.png",), ("02.png", "bad.png"))


def test_what_is_in_both_is_compared(runs, tmp_path):
    """Other edits in another order, other thresholds: as if a run had those in both alone."""
    other = run(
        drawn(
            variants={"transforms": ["blur:3", "noise:25", "jpeg:10"]},
            thresholds={"named": {"low": 200, "top": 640}, "targets": [0.01, 0.05]},
            deployment={"list_size": 7},
            confidence=0.9,
            seed=4,
        ),
        tmp_path / "other",
    )
    both = drawn(variants={"transforms": ["jpeg:10", "noise:25"]})
    reference = run(both, tmp_path / "both")
    found, expected = compare(runs[0], other), compare(reference, reference)
    wanted = [one for one in expected.conclusions if one.kind != "false matches per day"]
    wanted = [one for one in wanted if "per day" not in one.about]  # of another deployment
    assert len(wanted) >= 20
    for one in wanted:
        about = one.about.replace("(high)", "(high or top)")
        assert conclusion(found, kind=one.kind, about=about).first == one.first
    part = comparison_records.with_transforms(runs[0].counts, ["jpeg:10", "noise:25"], True)
    for table in pair_counts._ARRAYS:
        np.testing.assert_array_equal(getattr(part, table), getattr(reference.counts, table))
    for column, same in zip(part.nearest, reference.counts.nearest, strict=True):
        np.testing.assert_array_equal(column, same)
    assert {one.transform for one in found.conclusions} == {"jpeg:10", "noise:25", None}
    assert {one.target for one in found.conclusions} == {None, 0.2, 0.05, 0.01, 1e-9, 300}
    named = {one.about for one in found.conclusions if one.transform == "jpeg:10"}
    assert {f"jpeg:10 at {t}" for t in ("150 (low)", "200 (low)", "640 (high or top)")} <= named
    changes = {one.name: one[1:] for one in found.configuration}
    assert changes["variants.transforms"] == (["crop:5", "mirror"], ["blur:3"])
    assert changes["thresholds.named.low"] == (150, 200)
    assert changes["thresholds.named.high"] == (640, None)
    assert [note.split(":")[0].split(",")[0] for note in found.notes] == [
        "Transforms of one run alone are not compared",
        "The seeds differ",
        "All intervals have the confidence level of the first run",
        "False matches per day are those of the first run's deployment.",
    ]
    assert found.hash_changes[1].differing == 0  # jpeg
    assert found.hash_changes[2].differing > 90  # noise
    json.dumps(found.as_json(), allow_nan=False)


def test_little_in_common(runs, tmp_path):
    """No edit in both; then a run that says nothing of variants and other originals."""
    other = run(drawn(variants={"transforms": ["blur:3"]}, number=5), tmp_path / "other")
    found = compare(runs[0], other)
    assert not found.same_originals
    assert not compare(other, runs[0]).same_originals
    assert {one.kind for one in found.conclusions if one.verdict != "unknown"} <= {
        "false match rate", "false matches per day"
    }  # fmt: skip
    assert [one.transform for one in found.hash_changes] == [None]
    assert comparison_text(found)
    pairs = {"variants_against_others": False}
    without = run(drawn(pairs=pairs), tmp_path / "without")
    found = compare(runs[0], without)
    assert any("no pairs of variants and other originals" in note for note in found.notes)
    for one in found.conclusions:
        if one.kind == "false match rate":
            assert one.verdict in ("identical", "unknown")
    found = compare(runs[0], run(drawn(corpus=3, number=2), tmp_path / "two"))
    assert any("has no false match rates: there are no impostor" in note for note in found.notes)
    assert comparison_text(found)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((0.5, 0.4, 0.6), (0.5, 0.4, 0.6), "identical"),
        ((0.5, 0.4, 0.6), (0.5, 0.3, 0.7), "overlapping"),
        ((0.5, 0.4, 0.6), (0.7, 0.6, 0.8), "overlapping"),
        ((0.5, 0.4, 0.6), (0.7, 0.61, 0.8), "significant"),
        ((0.7, 0.61, 0.8), (0.5, 0.4, 0.6), "significant"),
        ((None, 0.0, 0.1), (0.2, 0.15, 0.3), "significant"),
        ((None, 0.0, 0.1), (0.0, 0.0, 0.05), "overlapping"),
        (None, (0.5, 0.4, 0.6), "unknown"),
        ((0.5, 0.4, 0.6), None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_verdicts(first, second, verdict):
    pair = [values and IntervalEstimate(*values) for values in (first, second)]
    assert Conclusion("recall", "", (1, 1), *pair).verdict == verdict


@pytest.mark.parametrize(
    ("target", "second", "kept"),
    [
        (0.1, (0.05, 0.01, 0.1), "yes"),
        (0.1, (0.05, 0.01, 0.11), "unclear"),
        (0.1, (0.2, 0.1, 0.3), "unclear"),
        (0.1, (0.2, 0.11, 0.3), "no"),
        (0.1, (0.05, 0.01, 0.1, "tail"), "extrapolated"),
        (0.1, (None, 0.2, 0.3, "tail beyond validation"), "extrapolated"),
        (0.1, (None, 0.0, 0.1, "disjoint pairs"), "yes"),
        (0.1, None, "unknown"),
        (None, (0.2, 0.11, 0.3), None),
    ],
)
def test_targets_that_are_kept(target, second, kept):
    second = second and IntervalEstimate(*second)
    assert Conclusion("false match rate", "", (1, 1), None, second, target).meets_target == kept


def test_folders_that_hold_no_run(runs, tmp_path):
    with pytest.raises(pdna.FileError, match=r"nowhere/manifest.json: no such file"):
        compare(runs[0], tmp_path / "nowhere")
    with pytest.raises(pdna.ArgumentTypeError, match="second: got int, needs Results, or the"):
        compare(runs[0], 3)
    shutil.copytree(runs[0].run_dir, tmp_path / "copy")
    before = Results.load(tmp_path / "copy")
    (tmp_path / "copy" / "hashes.npz").write_bytes(b"of a later run")
    with pytest.raises(
        pdna.FileError, match=r"copy/hashes.npz: is not the file .* load the results"
    ):
        compare(runs[0], before)
    with pytest.raises(pdna.FileError, match=r"copy/hashes.npz: is not the file that manifest"):
        compare(runs[0], tmp_path / "copy")


def test_long_tables_are_cut():
    rows = {f"row {number}\n": (number, None, 0.123456) for number in range(31)}
    lines = list(comparison_format._table("Title", ("a", "b", "c"), rows))
    assert lines[:3] == ["", "Title", "             a     b       c"]
    assert lines[3] == "  row 0\\n    0  none  0.1235"
    assert len(lines) == 3 + 30 + 1
    assert lines[-1] == "  and 1 more, which are in the JSON"


@pytest.mark.long
def test_on_the_command_line(run, runs, tmp_path, capsys):
    first, second = (results.run_dir for results in runs[:2])
    found = compare(first, second)
    result = run("--compare-runs", first, second)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode() == f"{comparison_text(found)}\n"
    assert re.match(rb"\d+ of \d+ conclusions differ significantly", result.stdout)
    assert cli.main(["--compare-runs", first, second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.as_json()))
    assert cli.main(["--compare-runs", first, first]) == 0
    assert capsys.readouterr().out == "Identical results.\n"
    assert cli.main(["--compare-runs", first, f"{tmp_path}/nowhere"]) == 1
    assert f"error: {tmp_path}/nowhere/manifest.json: no such file" in capsys.readouterr().err
    assert cli.main(["--compare-runs", first]) == 2
    assert cli.main(["--compare-runs", first, second, "--recursive"]) == 2


def test_runs_of_several_hashers(tmp_path):
    """Distances of two hashers are never compared, and a difference of any hasher is seen."""
    pytest.importorskip("imagehash")
    listed = {"names": ["photodna", "average"]}
    one, other, third = (
        run(drawn(number=6, thresholds={}, **sections), tmp_path / str(number))
        for number, sections in enumerate(
            (
                {"hash": listed},
                {"hash": listed | {"thresholds": {"average": {"low": 5}}}},
                {"hash": {"names": ["average"]}, "deployment": {}},
            )
        )
    )
    found = compare(one, other)
    assert not found.identical
    assert [change.name for change in found.configuration] == ["hash.thresholds.average.low"]
    assert found.notes == ("Of other hashers than the first, nothing is compared: average.",)
    assert compare(other, other).identical
    with pytest.raises(pdna.ArgumentError, match="the runs are of photodna and average"):
        compare(one, third)


def test_runs_over_labelled_pairs(tmp_path):
    """Runs over all pairs and over labelled ones are told apart, and so are files of pairs."""
    pairs = tmp_path / "pairs.csv"
    originals = {"kind": "dead_leaves", "number": 4, "size": [64, 48]}
    names = [original.name for original in pdna.datasets.dead_leaves(4, (64, 48))]
    found = []
    for same in (1, 0):
        lines = (f"{names[0]},{names[1]},{same}", f"{names[2]},{names[3]},0")
        pairs.write_text("\n".join(["a,b,same", *lines]) + "\n")
        config = {"originals": originals, "pairs": {"labelled": "pairs.csv"}}
        found.append(run(Config.from_dict(config, base=tmp_path), tmp_path / f"run{same}"))
    (change,) = compare(*found).configuration
    assert change.name == "files.pairs.labelled"
    assert change[1:] == tuple(each.manifest["files"]["pairs.labelled"] for each in found)
    every = run(Config.from_dict({"originals": originals}), tmp_path / "every")
    (note,) = (note for note in compare(every, found[0]).notes if "labelled" in note)
    assert note.startswith("One run counted labelled pairs alone")
