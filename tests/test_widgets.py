"""The tuner of notebook 04, without a browser: what it says, draws and follows."""

import asyncio
import base64
import dataclasses
import io
import math
import re
import shutil
import subprocess
import sys
from html import unescape

import matplotlib as mpl
import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import genuine_table
from PIL import Image

mpl.use("agg")
pytest.importorskip("ipywidgets", reason="needs ipywidgets, of the extra notebooks")

import photodna_nb as pdna
from photodna_nb import widgets
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation import Config, Results, estimate_rates, run
from photodna_nb.evaluation.deployment import expected_matches, threshold_for_false_matches
from photodna_nb.evaluation.rates import recall_estimates
from photodna_nb.evaluation.threshold_rows import threshold_row
from photodna_nb.evaluation.thresholds import choose_threshold, supported_threshold
from photodna_nb.report import formatting
from photodna_nb.widgets.histograms import LINE

pytestmark = [
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ipywidgets"),
]

# Of two ways that hardly differ, the README's command takes one.
LONG_FALSE = pytest.param(False, marks=pytest.mark.long)
EDITS = ["jpeg:10", "crop:5", "mirror", "noise:25"]


def evaluated(folder, **sections):
    values = {
        "originals": {"kind": "dead_leaves", "number": 300, "size": [64, 48]},
        "variants": {"transforms": EDITS},
        "deployment": {"list_size": 5000, "queries_per_day": 100, "max_false_matches_per_day": 20},
        **sections,
    }
    return run(Config.from_dict(values, base=folder.parent), folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    found = evaluated(tmp_path_factory.mktemp("drawn") / "run")
    assert estimate_rates(found.counts).tail.accepted
    return found


@pytest.fixture(scope="module")
def estimates(results):
    return results.estimates.all_originals


@pytest.fixture(scope="module")
def shared_tuner(results):
    return widgets.ThresholdTuner(results)


@pytest.fixture
def tuner(shared_tuner):
    """A tuner as it is when it is made."""
    controls = shared_tuner.controls
    controls.target.value, controls.conservative.value = "manual", True
    controls.list_size.value, controls.queries_per_day.value = 5000, 100
    controls.orientations.value, controls.left_out.value = False, ""
    shared_tuner.threshold, shared_tuner.choice, controls.message.value = 200, None, ""
    return shared_tuner


def with_rates(results, estimates):
    """Return the same results with other estimates of all originals."""
    run_estimates = results.estimates._replace(all_originals=estimates)
    return dataclasses.replace(results, _estimates=run_estimates)


def said(html):
    """Return the words of some HTML."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html.value)).split())


def drawn(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).astype(int)


def line_at(content):
    """Return the column of the line, by its colour."""
    green = (np.abs(drawn(content) - LINE).max(axis=2) == 0).sum(axis=0)
    return float(np.mean(np.flatnonzero(green == green.max())))


# What it says


@pytest.mark.parametrize("threshold", [0, 40, 200, 470, 700, 1200])
def test_numbers_are_those_of_the_statistics(tuner, results, estimates, threshold):
    tuner.controls.slider.value = threshold
    row, curves = tuner.row, estimates.curves
    assert row["recall"] == curves.recall[threshold]
    assert row["recall_lower"] == estimates.recall_lower[threshold]
    assert row["recall_upper"] == estimates.recall_upper[threshold]
    assert row["impostor_matches"] == curves.impostor_matches[threshold]
    assert row["false_match_rate"] == estimates.false_match_rates.rate[threshold]
    day = expected_matches(threshold, 5000, 100, estimates.false_match_rates, estimates.tail)
    assert (row["expected_matches_per_day"], row["expected_matches_per_day_upper"]) == (
        day.expected,
        day.upper,
    )
    text = said(tuner.controls.numbers)
    assert f"L2 ≤ {threshold}" in text
    assert formatting.recall(row) in text
    assert f"False match rate {formatting.false_match_rate(row)}" in text
    assert f"False matches per day {formatting.false_matches(row)}" in text


@pytest.mark.long
def test_every_source_of_a_rate_is_named(tuner):
    found = {}
    for threshold in range(0, 1000, 20):
        tuner.threshold = threshold
        row = tuner.row
        source = (
            "untested"
            if row["expected_matches_beyond_validation"]
            else row["expected_matches_source"]
        )
        found[source] = formatting.false_match_rate(row), said(tuner.controls.numbers)
    assert set(found) == {"untested", "tail", "counted"}
    assert found["untested"][0].startswith("at most")
    assert "this rate is beyond its validation" in found["untested"][1]
    assert "extrapolated" in found["untested"][0]
    assert "extrapolated" in found["tail"][0]
    assert "extrapolation by a fitted tail" in found["tail"][1]
    assert "ten or more full dyads (pairs of two originals) match" in found["counted"][1]


def test_the_report_says_the_same(tuner, results):
    production = results.tables["thresholds"][0]
    assert tuner.threshold == production["threshold"] == 200
    assert formatting.false_match_rate(tuner.row) == formatting.false_match_rate(production)
    assert formatting.false_matches(tuner.row) == formatting.false_matches(production)
    assert formatting.recall(tuner.row) == formatting.recall(production)


def test_transforms_with_the_lowest_recall(tuner, results):
    tuner.threshold = 100
    distances = {spec: results.counts.genuine_distances_squared(spec) for spec in EDITS}
    text = said(tuner.controls.transforms)
    places = []
    for spec in sorted(EDITS, key=lambda spec: (distances[spec] <= 100**2).mean()):
        matched = int((distances[spec] <= 100**2).sum())
        (recall,) = recall_estimates([matched], [len(distances[spec])], 0.95)
        label = pdna.transforms.parse(spec).label
        places.append(text.index(f"{label} {formatting.recall(recall._asdict())}"))
    assert len(set(places)) == len(EDITS)


@pytest.mark.long
def test_orientations(tuner, results):
    before, figure = tuner.row, tuner.controls.figure.value
    tuner.controls.orientations.value = True
    row = tuner.row
    assert row["comparisons_per_day"] == 8 * before["comparisons_per_day"]
    assert row["genuine_matches"] == results.counts.genuine_histogram(oriented=True)[:201].sum()
    upright = estimate_rates(results.counts, oriented=True)
    assert row["recall_lower"] == upright.recall_lower[200]
    assert (drawn(tuner.controls.figure.value) != drawn(figure)).any()
    # A mirror image is found.
    assert row["recall"] > before["recall"] + 0.2
    assert "in the best of eight orientations" in said(tuner.controls.numbers)


def test_another_deployment(tuner):
    before = tuner.row
    tuner.controls.list_size.value, tuner.controls.queries_per_day.value = 50_000, 300
    assert tuner.row["expected_matches_per_day_upper"] == pytest.approx(
        30 * before["expected_matches_per_day_upper"]
    )
    assert "in 15 million comparisons" in said(tuner.controls.numbers)


# What it draws


def test_the_line_moves(tuner):
    columns = {}
    for threshold in (100, 200, 600):
        tuner.controls.slider.value = threshold
        columns[threshold] = line_at(tuner.controls.figure.value)
    a_unit = (columns[600] - columns[100]) / 500
    assert a_unit > 0.3
    assert columns[200] == pytest.approx(columns[100] + 100 * a_unit, abs=2)
    # The axis begins at 0.
    tuner.controls.slider.value = 0
    assert line_at(tuner.controls.figure.value) == pytest.approx(
        tuner._histograms(False)._left, abs=1.5
    )


def test_only_the_line_moves(tuner):
    tuner.controls.slider.value = 300
    one = drawn(tuner.controls.figure.value)
    tuner.controls.slider.value = 301
    moved = np.abs(drawn(tuner.controls.figure.value) - one).max(axis=2).any(axis=0)
    label = 0.25 * one.shape[1]
    assert 0 < moved.sum() < label


def test_the_background_is_nothing(tuner):
    assert drawn(tuner.controls.figure.value)[0, 0].tolist()[3] == 0


def test_readers_without_a_kernel_see_the_figure(tuner):
    tuner.threshold = 300
    data, metadata = tuner._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "L2 ≤ 300" in data["text/plain"]
    content = base64.b64decode(data["image/png"])
    image = drawn(content)
    assert image[..., 3].min() == 255
    assert image[0, 0].tolist()[:3] == [255, 255, 255]
    assert line_at(content) == line_at(tuner.controls.figure.value)
    height = drawn(tuner.controls.figure.value).shape[0]
    assert image.shape[0] > height + 100, "what the threshold does stands below"
    assert (image[height:, :, :3].max(axis=2) < 100).mean() > 0.01
    assert len(content) < 120_000
    assert metadata["image/png"]["width"] < image.shape[1]


# What it follows


@pytest.mark.parametrize("target", [1e-3, 1e-4, 1e-5, 1e-9])
@pytest.mark.parametrize("conservative", [False, True])
def test_a_target_and_the_threshold_follows(tuner, estimates, target, conservative):
    tuner.controls.conservative.value = conservative
    tuner.controls.target.value = target
    choice = choose_threshold(target, estimates.false_match_rates, estimates.tail, conservative)
    assert choice.beyond_validation == (target == 1e-9)
    assert tuner.controls.target.value == target
    if not choice.beyond_validation:
        assert tuner.choice == choice
        assert f"L2 {choice.threshold} is the largest" in said(tuner.controls.message)
    assert tuner.threshold == tuner.row["threshold"] == tuner.choice.threshold


@pytest.mark.parametrize("oriented", [LONG_FALSE, True])
@pytest.mark.parametrize("conservative", [False, True])
def test_only_a_threshold_that_meets_a_target_is_said_to(tuner, conservative, oriented):
    tuner.controls.conservative.value, tuner.controls.orientations.value = conservative, oriented
    found = set()
    for _, target in tuner.controls.target.options[1:]:
        for list_size in (1, 5_000_000):
            tuner.controls.list_size.value = list_size
            tuner.controls.target.value = target
            row, text = tuner.row, said(tuner.controls.message)
            needed = 20 / row["comparisons_per_day"] if target == "acceptable" else target
            upper = row["expected_matches_per_day_upper"] / row["comparisons_per_day"]
            assert "meets the target" not in text or upper <= needed * (1 + 1e-12)
            assert ("cannot show" in text) == ('class="problem"' in tuner.controls.message.value)
            assert conservative <= (upper <= needed * (1 + 1e-12) or "cannot show" in text)
            found.add("meets the target" in text)
    assert found == {False, conservative}


def test_a_target_beyond_validation(tuner, estimates):
    """The tuner says and does what the report does."""
    tail = estimates.tail
    fit = choose_threshold(1e-9, estimates.false_match_rates, tail, True)
    best = choose_threshold(tail.validated_down_to, estimates.false_match_rates, tail, True)
    tuner.controls.target.value = 1e-9
    assert tuner.choice == best
    assert not tuner.choice.beyond_validation
    assert fit.threshold < tuner.threshold == best.threshold
    at_most = [
        formatting.amount(expected_matches(at, 5000, 100, estimates.false_match_rates, tail).upper)
        for at in (fit.threshold, best.threshold)
    ]
    assert f"beyond its validation, suggests L2 {fit.threshold};" in said(tuner.controls.message)
    support = f"the data support at most {at_most[0]} (extrapolated) false matches per day there"
    assert support in said(tuner.controls.message)
    with_most = (
        f"L2 {best.threshold}, with at most {at_most[1]} (extrapolated) false matches per day"
    )
    assert with_most in said(tuner.controls.message)
    assert "cannot show" in said(tuner.controls.message)
    assert 'class="problem"' in tuner.controls.message.value
    # The estimate alone may be looked at; what is said of it is the same.
    tuner.controls.conservative.value = False
    estimate = choose_threshold(1e-9, estimates.false_match_rates, tail)
    assert tuner.choice == estimate
    assert tuner.threshold == estimate.threshold
    assert f"suggests L2 {estimate.threshold};" in said(tuner.controls.message)
    assert tuner.row["expected_matches_beyond_validation"]
    upper = formatting.amount(tuner.row["expected_matches_per_day_upper"])
    at_most = f"at most {upper} (extrapolated) false"
    assert at_most in said(tuner.controls.message)


@pytest.mark.long
def test_the_acceptable_number_leads_to_the_threshold_of_the_report(tmp_path, results):
    service = {"list_size": 10**6, "queries_per_day": 10**5, "max_false_matches_per_day": 1}
    shutil.copytree(results.run_dir, tmp_path / "run")  # so that nothing is hashed again
    found = evaluated(tmp_path / "run", deployment=service)
    assert found.manifest["this_run"]["originals_hashed"] == 0
    assert found.tables["deployment"][1]["beyond_validation"]
    tuner = widgets.ThresholdTuner(found)
    tuner.controls.target.value = "acceptable"
    assert found.summary["recommended"] is None
    assert tuner.threshold == found.summary["supported"]
    assert "cannot show" in said(tuner.controls.message)


def test_a_target_that_every_threshold_keeps(tuner, estimates):
    tuner.controls.list_size.value = tuner.controls.queries_per_day.value = 1
    tuner.controls.target.value = "acceptable"
    assert tuner.choice.threshold == 3060 > tuner.controls.slider.max
    assert tuner.threshold == tuner.controls.slider.max
    assert tuner.row["false_match_rate"] == tuner.row["recall"] == 1
    assert "Every threshold meets the target" in said(tuner.controls.message)
    assert "3060" not in said(tuner.controls.message)


def test_the_acceptable_number_follows_the_deployment(tuner, results, estimates):
    tuner.controls.target.value = "acceptable"
    assert tuner.threshold == results.tables["deployment"][1]["threshold"]
    first = tuner.threshold
    tuner.controls.list_size.value = 500
    choice = threshold_for_false_matches(20, 500, 100, estimates.false_match_rates, estimates.tail)
    assert tuner.choice == choice
    assert tuner.threshold == choice.threshold > first
    # A longer list is beyond what can be told, and the threshold stays at the best that can.
    tuner.controls.list_size.value = 5_000_000
    assert threshold_for_false_matches(
        20, 5_000_000, 100, estimates.false_match_rates, estimates.tail
    ).beyond_validation
    best = choose_threshold(
        estimates.tail.validated_down_to, estimates.false_match_rates, estimates.tail, True
    )
    assert tuner.threshold == best.threshold


@pytest.mark.parametrize("oriented", [LONG_FALSE, True])
def test_an_influential_original_is_left_out(tuner, results, oriented):
    tuner.controls.orientations.value = oriented
    names = [row["original"] for row in results.tables["influence"]][:5]
    assert [value for _, value in tuner.controls.left_out.options] == ["", *names]
    tuner.controls.target.value = 1e-4
    tuner.controls.left_out.value = names[0]
    without = estimate_rates(results.counts, without=names[0], oriented=oriented)
    choice = choose_threshold(1e-4, without.false_match_rates, without.tail, True)
    assert tuner.choice == choice
    assert tuner.row == threshold_row(without, tuner.threshold, tuner.deployment)
    tuner.controls.target.value = "manual"
    tuner.threshold = 200
    tuner.controls.left_out.value = ""
    assert tuner.threshold == 200, "it does not move by itself"
    assert tuner.row["impostor_pairs"] == results.summary["impostor_pairs"]


def test_a_move_by_hand_ends_it(tuner):
    tuner.controls.target.value = 1e-3
    assert tuner.controls.message.value
    tuner.controls.slider.value += 1
    assert tuner.controls.target.value == "manual"
    assert tuner.choice is None
    assert tuner.controls.message.value == ""


def test_no_threshold_is_known(tmp_path):
    few = {"kind": "dead_leaves", "number": 12, "size": [64, 48]}
    tuner = widgets.ThresholdTuner(evaluated(tmp_path / "run", originals=few))
    tuner.controls.target.value = 1e-6
    assert tuner.threshold == 200
    assert tuner.choice.threshold is None
    assert "The slider is not moved" in said(tuner.controls.message)
    assert tuner.choice.reason in said(tuner.controls.message)


def test_what_the_data_support_without_a_tail(results, estimates):
    """As the report has it: by what was counted."""
    untrusted = dataclasses.replace(
        estimates.tail, accepted=False, rejection_reason="it does not fit"
    )
    counted = dataclasses.replace(estimates, tail=untrusted)
    tuner = widgets.ThresholdTuner(with_rates(results, counted))
    tuner.controls.target.value = 1e-9
    best = supported_threshold(counted.false_match_rates, untrusted)
    assert tuner.choice == best
    assert tuner.threshold == best.threshold
    assert "meets this target: it does not fit." in said(tuner.controls.message)
    assert f"support: L2 {best.threshold}, with" in said(tuner.controls.message)


def test_no_impostor_pairs(results):
    counts = results.counts
    nothing = counts.nearest.taken(np.zeros(0, int))
    bare = {
        "impostor_originals": np.zeros_like(counts.impostor_originals),
        "impostor_variants": np.zeros_like(counts.impostor_variants),
        "impostor_by_detail_bin": np.zeros_like(counts.impostor_by_detail_bin),
        "nearest": nothing,
    }
    alone = Results("", results.config, dataclasses.replace(counts, **bare), [], {}, {}, {})
    tuner = widgets.ThresholdTuner(alone)
    assert "there are no impostor pairs" in said(tuner.controls.numbers)
    tuner.controls.target.value = 1e-3
    assert "there are no impostor pairs" in said(tuner.controls.message)


# What it shows


def test_the_nearest_pairs(tuner, results):
    counts = results.counts
    tuner.threshold = 600
    near = tuner.nearest_pairs()
    assert len(near) == 8
    assert [one.distance_squared for one in near if one.kind == "genuine"][::2] == [
        counts.genuine_distances_squared()[counts.genuine_distances_squared() <= 600**2].max(),
        counts.genuine_distances_squared()[counts.genuine_distances_squared() > 600**2].min(),
    ]
    impostor = counts.nearest.distance_squared
    assert [one.distance_squared for one in near if one.kind == "impostor"][::2] == [
        impostor[impostor <= 600**2].max(),
        impostor[impostor > 600**2].min(),
    ]
    row = {name: number for number, name in enumerate(counts.names)}
    for one in near:
        assert (one.distance_squared <= 600**2) == (one.side == "below")
        if one.kind == "genuine":
            assert one.original == one.other
            edit = counts.transforms.index(one.transform)
            assert genuine_table(counts)[row[one.original], edit] == one.distance_squared


def test_images_are_those_that_were_measured(tuner, results):
    """The distance of two images, made again, is the one that is written below them."""
    tuner.threshold = 600
    originals = {original.name: original for original in results.config.dataset()}
    for one in tuner.nearest_pairs():
        first = originals[one.original].open()
        if one.transform:
            edit = pdna.transforms.parse(one.transform)
            seed = pdna.transforms.seed_for(results.config.seed, one.original, edit.label)
            first = edit.apply(first, seed)
        other = originals[one.other].open()
        distance = pdna.distance(pdna.hash_image(first), pdna.hash_image(other))
        assert distance == pytest.approx(math.sqrt(one.distance_squared))
        assert f"L2 {distance:.1f}:" in said(tuner.controls.images)
        thumbnail = tuner._thumbnails._thumbnail(one.original, one.transform)
        assert base64.b64encode(thumbnail).decode("ascii") in tuner.controls.images.value
        with Image.open(io.BytesIO(thumbnail)) as small:
            assert max(small.size) <= 184
            resized = first.resize(small.size)
            difference = np.abs(np.asarray(small, float) - np.asarray(resized, float)).mean()
            assert difference < 25


@pytest.mark.long
def test_as_many_pairs_as_needed(results, estimates):
    for number in (1, np.int64(12)):
        tuner = widgets.ThresholdTuner(results, pairs=number)
        tuner.threshold = 600
        assert len(tuner.nearest_pairs()) == 4 * number


@pytest.fixture
def files(tmp_path):
    """Six files, one with a name that is not harmless, and a run over them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    drawn_ones = pdna.datasets.dead_leaves(6, size=(64, 48))
    names = ["<b>bold<b>.png", *(f"{number}.png" for number in range(1, 6))]
    for name, original in zip(names, drawn_ones, strict=True):
        original.open().save(folder / name)
    source = {"kind": "directory", "path": str(folder)}
    return folder, evaluated(tmp_path / "run", originals=source)


def test_names_are_shown_and_not_obeyed(files):
    tuner = widgets.ThresholdTuner(files[1], pairs=6)
    tuner.threshold = 300
    assert "<b>bold" not in tuner.controls.images.value
    assert "<b>bold<b>.png" in said(tuner.controls.images)


def test_missing_and_changed_originals_are_said(files):
    folder, found = files
    (folder / "1.png").unlink()
    Image.new("RGB", (64, 48), "red").save(folder / "2.png")
    tuner = widgets.ThresholdTuner(found, pairs=6)
    tuner.threshold = 300
    text = said(tuner.controls.images)
    assert "1.png: is not among the originals any more" in text
    assert "2.png: has changed since the run" in text
    assert tuner.controls.images.value.count("<img") > 0
    assert tuner.controls.message.value == ""


def test_loaded_results_open_no_file_that_their_configuration_names(files, tmp_path):
    """The folder of a run may come from a stranger."""
    folder, found = files
    loaded = Results.load(found.run_dir)
    opened = []

    def record(event, arguments):
        if event in ("open", "os.listdir", "os.scandir") and str(folder) in str(arguments[0]):
            opened.append(arguments[0])

    sys.addaudithook(record)
    tuner = widgets.ThresholdTuner(loaded)
    assert opened == []
    assert "<img" not in tuner.controls.images.value
    assert "dataset=results.config.dataset()) opens" in said(tuner.controls.images)
    tuner = widgets.ThresholdTuner(loaded, dataset=loaded.config.dataset())
    assert "<img" in tuner.controls.images.value
    assert opened


def test_originals_in_another_folder(files, tmp_path):
    folder, found = files
    moved = folder.rename(tmp_path / "moved")
    lost = widgets.ThresholdTuner(found)
    assert "<img" not in lost.controls.images.value
    assert str(folder) in said(lost.controls.images)
    assert (
        "<img"
        in widgets.ThresholdTuner(
            found, dataset=pdna.datasets.from_directory(moved)
        ).controls.images.value
    )


def test_the_list_of_impostors_ends(tuner, results):
    counts = results.counts
    tuner.threshold = tuner.controls.slider.max
    assert f"the list ends at L2 {counts.nearest_limit}" in said(tuner.controls.images)
    # Beyond the list, those that are listed are not the nearest that match.
    few = counts.nearest.taken(counts.nearest.distance_squared <= 600**2)
    few = dataclasses.replace(counts, nearest=few, nearest_limit=600)
    tuner = widgets.ThresholdTuner(dataclasses.replace(results, counts=few))
    for threshold, kinds in ((600, {"genuine", "impostor"}), (601, {"genuine"})):
        tuner.threshold = threshold
        assert {one.kind for one in tuner.nearest_pairs() if one.side == "below"} == kinds
        ended = said(tuner.controls.images).count("not listed: the list ends at L2 600")
        assert ended == 1 + (threshold > 600), "kept apart, and then matching as well"


def test_numbers_may_be_typed_as_people_write_them(tuner):
    tuner.controls.list_size.value = 1e6
    tuner.controls.queries_per_day.value = 2.6
    assert tuner.row["comparisons_per_day"] == 3e6
    assert "1,000,000 hashes, 3 queries" in said(tuner.controls.numbers)
    tuner.controls.list_size.value = tuner.controls.queries_per_day.value = 1e12
    assert "in 1.0 × 10²⁴ comparisons" in said(tuner.controls.numbers)


def test_all_variants_match(tuner):
    tuner.threshold = tuner.controls.slider.max
    assert said(tuner.controls.transforms) == "All variants of all transforms match."


def test_images_wait_until_the_slider_rests(results, estimates, monkeypatch):
    monkeypatch.setattr(widgets.tuner, "_PAUSE", 0.05)

    async def moves():
        tuner = widgets.ThresholdTuner(results)
        made = []
        plain = tuner._thumbnails.html
        monkeypatch.setattr(tuner._thumbnails, "html", lambda *of: (made.append(of), plain(*of))[1])
        for threshold in (300, 400, 500):
            tuner.threshold = threshold
            assert f"L2 ≤ {threshold}" in said(tuner.controls.numbers)
        assert tuner.controls.images.value == ""
        await tuner._task
        assert [near for near, _ in made] == [tuner.nearest_pairs()]
        assert "<img" in tuner.controls.images.value

    asyncio.run(moves())


# What goes wrong


def test_errors_are_shown_and_raised(tuner, monkeypatch):
    def fail(threshold):
        raise ValueError("<no> way")

    monkeypatch.setattr(tuner._histograms(False), "png", fail)
    with pytest.raises(ValueError, match="way"):
        tuner.controls.slider.value = 300
    assert said(tuner.controls.message) == "ValueError: <no> way"
    monkeypatch.undo()
    tuner.controls.slider.value = 301
    assert tuner.controls.message.value == ""


def test_errors_of_images_are_shown_and_raised(tuner, monkeypatch):
    monkeypatch.setattr(widgets.tuner, "_PAUSE", 0)

    def fail(*_):
        raise ValueError("no images")

    async def move():
        monkeypatch.setattr(tuner._thumbnails, "html", fail)
        tuner.threshold = 300
        with pytest.raises(ValueError, match="no images"):
            await tuner._task

    asyncio.run(move())
    assert said(tuner.controls.message) == "ValueError: no images"


def test_wrong_arguments(results, estimates):
    with pytest.raises(ArgumentTypeError, match=r"results: got .*, needs Results"):
        widgets.ThresholdTuner("run")


@pytest.mark.parametrize(
    ("name", "value", "kind", "said"),
    [
        ("pairs", 0, ArgumentError, "got 0, needs an integer from 1 to 12"),
        ("pairs", -1, ArgumentError, "got -1, needs an integer from 1 to 12"),
        ("pairs", 13, ArgumentError, "got 13, needs an integer from 1 to 12"),
        ("pairs", 2.0, ArgumentTypeError, "got float, needs an integer"),
        ("pairs", True, ArgumentTypeError, "got bool, needs an integer"),
        ("pairs", None, ArgumentTypeError, "got NoneType, needs an integer"),
        ("dataset", "pictures", ArgumentTypeError, "got str, needs a Dataset"),
    ],
)
def test_wrong_options(results, name, value, kind, said):
    with pytest.raises(kind, match=f"{name}: {said}"):
        widgets.ThresholdTuner(results, **{name: value})


@pytest.mark.long
def test_without_ipywidgets_it_says_so():
    blocked = "import sys; sys.modules['ipywidgets'] = None; import photodna_nb; "
    done = subprocess.run(
        [sys.executable, "-c", blocked + "photodna_nb.widgets"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert (
        'photodna_nb.widgets: the package ipywidgets is missing; pip install "photodna_nb[note'
        in (done.stderr)
    )


def test_controls_have_names(tuner):
    controls = [
        tuner.controls.slider,
        tuner.controls.target,
        tuner.controls.conservative,
        tuner.controls.orientations,
        tuner.controls.list_size,
        tuner.controls.queries_per_day,
        tuner.controls.left_out,
    ]
    assert len({control.description for control in controls if control.description}) == 7
    assert all('alt="' in one for one in re.findall("<img[^>]*>", tuner.controls.images.value))
