"""Figures of an evaluation: numbers and artists, never pixels."""

from dataclasses import replace
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from corpora import CELLS_PER_UNIT, corpus, counts_of, independent

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import photodna_nb as pdna
from photodna_nb import plots
from photodna_nb.evaluation import RateEstimates
from photodna_nb.evaluation.curves import curves
from photodna_nb.evaluation.dependence import ImpostorPairs
from photodna_nb.evaluation.intervals import clopper_pearson, false_match_rates
from photodna_nb.evaluation.tail_fit import fit_tail
from photodna_nb.plots.rate_axes import threshold_styles

N_BINS = 3061
DISTANCES = "median_distance", "p95_distance", "largest_distance"
IMAGES = 400
THRESHOLDS = {"strict": 20, "production": 40, "loose": 200}
CLOSE = {"one": 100, "another": 101, "a third": 102}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def estimates_of(genuine, impostor, **more):
    found = curves(genuine, impostor)
    ends = (np.full(len(genuine), np.nan),) * 2
    if found.genuine_pairs:
        ends = clopper_pearson(found.recall * IMAGES, IMAGES)
    return RateEstimates(IMAGES, 0.95, genuine, impostor, found, *ends, **more)


@pytest.fixture(scope="module")
def estimates():
    """Four hundred images and their pairs; some thresholds match none, some fewer than ten."""
    rng = np.random.default_rng(3)
    pairs = corpus(independent, IMAGES, rng)
    near = ImpostorPairs(pairs.i, pairs.j, pairs.cell + rng.random(len(pairs.cell)) - 1, N_BINS - 1)
    impostor = counts_of(pairs, N_BINS)
    genuine = np.bincount((rng.gamma(2, 0.5, 900) * CELLS_PER_UNIT).astype(int), minlength=N_BINS)
    rates = false_match_rates(impostor, IMAGES, near)
    tail = fit_tail(near, IMAGES, int(impostor.sum()))
    assert tail.accepted
    assert rates.rate[40] == 0
    assert not rates.at_least_ten_matches[rates.matches > 0].all()
    return estimates_of(genuine, impostor, false_match_rates=rates, tail=tail)


def recall_rows(specs, thresholds=THRESHOLDS, n=50):
    rows = []
    for number, spec in enumerate(specs):
        for name, threshold in thresholds.items():
            recall = (1 + number % 4) / 5 if n else None
            ends = (recall - 0.1, recall + 0.15) if n else (None, None)
            row = {"transform": spec, "detail_bin": None, "oriented": False, "genuine_pairs": n}
            row |= {"threshold_name": name, "threshold": threshold, "matched": 0}
            rows.append(row | {"recall": recall, "recall_lower": ends[0], "recall_upper": ends[1]})
    return rows


def edit_rows(specs):
    rows = []
    for number, spec in enumerate(specs):
        edit = pdna.transforms.parse(spec)
        row = {
            "transform": spec,
            "label": edit.label,
            "transform_name": edit.name,
            "genuine_pairs": 50,
        }
        for prefix, factor in (("", 10), ("oriented_", 1)):
            values = (factor * (number + n) for n in (1, 2, 5))
            row |= zip((prefix + name for name in DISTANCES), values, strict=True)
        rows.append(row)
    return rows


def detail_rows():
    rows = [(0, 100, 0, None, None), (100, 600, 0.25, 300, 700), (600, None, 0.75, 40, 800)]
    names = (
        "detail_from",
        "detail_to",
        "proportion",
        "smallest_impostor_distance",
        "median_impostor_distance",
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


STANDARD = [edit.spec for edit in pdna.transforms.standard()]


def figures(estimates, thresholds=THRESHOLDS, specs=STANDARD[:7]):
    """Every figure, by its name, as a function of the axes."""
    few = estimates, {"thresholds": thresholds}
    return {
        "distances": lambda ax=None: plots.plot_distances(
            estimates.genuine_histogram, estimates.impostor_histogram, thresholds=thresholds, ax=ax
        ),
        "roc": lambda ax=None: plots.plot_roc(few[0], **few[1], ax=ax),
        "det": lambda ax=None: plots.plot_det(few[0], **few[1], ax=ax),
        "precision": lambda ax=None: plots.plot_precision_recall(few[0], **few[1], ax=ax),
        "rates": lambda ax=None: plots.plot_false_match_rates(
            few[0], **few[1], targets=(1e-3, 1e-6), ax=ax
        ),
        "recall": lambda ax=None: plots.plot_recall(
            recall_rows(specs, thresholds), confidence=0.95, ax=ax
        ),
        "edits": lambda ax=None: plots.plot_variant_distances(
            edit_rows(specs), thresholds=thresholds, ax=ax
        ),
        "detail": lambda ax=None: plots.plot_impostor_distances(
            detail_rows(), thresholds=thresholds, ax=ax
        ),
    }


def one(ax, gid):
    """Return the artist of that name, of which there is one."""
    found = ax.findobj(lambda artist: artist.get_gid() == gid)
    assert len(found) == 1, f"{gid}: {found}"
    return found[0]


def marker(ax, name):
    """Return a threshold's point and its error bars, as the segments of lines."""
    container = next(one for one in ax.containers if one.get_label().endswith(f": {name}"))
    point, _, bars = container
    return point.get_xydata()[0], [bar.get_segments()[0] for bar in bars]


def legend_labels(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def note(ax):
    return ax.get_legend().get_title().get_text().replace("\n", " ")


def zero_of(axis):
    """Return where the axis says that less than one in all is."""
    labels = [text.get_text() for text in axis.get_ticklabels()]
    return axis.get_ticklocs()[labels.index("< 1/N")]


def test_distances_are_shares_in_bins_that_end_where_a_threshold_does(estimates):
    ax = plots.plot_distances(estimates.genuine_histogram, estimates.impostor_histogram)
    values, edges, floor = one(ax, "impostor").get_data()
    np.testing.assert_array_equal(edges[:3], [0, 10, 20])
    assert edges[-1] == 3060
    below = np.cumsum(estimates.impostor_histogram)[edges[1:].astype(int)]
    share = np.diff(below, prepend=0) / estimates.impostor_histogram.sum()
    np.testing.assert_allclose(values, np.maximum(share, floor))
    assert floor == ax.get_ylim()[0]
    assert 0 < floor < 1 / estimates.impostor_histogram.sum()
    assert (values == floor).any(), "an empty bin reaches the bottom, named none"
    assert ax.get_yticklabels()[0].get_text() == "none"
    assert ax.get_yscale() == "log"
    labels = legend_labels(ax)
    assert labels == ["79,800 impostor pairs", "900 genuine pairs"]
    end = np.flatnonzero(estimates.impostor_histogram + estimates.genuine_histogram)[-1]
    assert end < ax.get_xlim()[1] < 1.1 * end


@pytest.mark.parametrize("kinds", [("genuine",), ("impostor",), ("genuine", "impostor")])
def test_distances_of_no_pairs(estimates, kinds):
    counts = {"genuine": estimates.genuine_histogram, "impostor": estimates.impostor_histogram}
    counts |= {kind: 0 * counts[kind] for kind in kinds}
    ax = plots.plot_distances(**counts, thresholds=THRESHOLDS)
    ax.figure.canvas.draw()
    for kind in kinds:
        values, _, floor = one(ax, kind).get_data()
        assert (values == floor).all()
        assert f"no {kind} pairs" in legend_labels(ax)


def test_distances_of_unlike_arrays(estimates):
    with pytest.raises(pdna.ArgumentError, match="got 3061 and 3060 cells, needs as many"):
        plots.plot_distances(estimates.genuine_histogram, estimates.impostor_histogram[1:])


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ([1, 2], pdna.ArgumentTypeError, "got list, needs an array of int64"),
        (np.zeros(9), pdna.ArgumentTypeError, "got an array of float64, needs an array of int64"),
        (np.zeros((3, 9), int), pdna.ArgumentError, r"shape \(3, 9\), needs \(t,\)"),
        (np.zeros(0, int), pdna.ArgumentError, "got no cells, needs one or more"),
        (np.array([3, -1]), pdna.ArgumentError, "got a count of -1, needs 0 or more"),
    ],
)
def test_distances_that_are_no_counts(estimates, cells, error, message):
    with pytest.raises(error, match=f"^genuine.*: .*{message}"):
        plots.plot_distances(cells, cells)
    if len(cells):
        with pytest.raises(error, match=f"^impostor: .*{message}"):
            plots.plot_distances(estimates.genuine_histogram, cells)
    assert not plt.get_fignums()


@pytest.mark.parametrize("missed", [False, True])
def test_tradeoffs_are_the_curves_with_zeros_below_one_in_all(estimates, missed):
    ax = (plots.plot_det if missed else plots.plot_roc)(estimates)
    found = estimates.curves
    x, y = found.det() if missed else found.roc()
    zero = zero_of(ax.xaxis)
    assert 0.1 / found.impostor_pairs < zero < 1 / found.impostor_pairs
    drawn = one(ax, "curve").get_xydata()
    assert (x == 0).sum() > 1
    np.testing.assert_array_equal(drawn[:, 0], np.where(x == 0, zero, x))
    if missed:
        zero_y = zero_of(ax.yaxis)
        assert 0.1 / found.genuine_pairs < zero_y < 1 / found.genuine_pairs
        np.testing.assert_array_equal(drawn[:, 1], np.where(y == 0, zero_y, y))
        assert ax.get_yscale() == "log"
    else:
        np.testing.assert_array_equal(drawn[:, 1], y)
    assert ax.get_xlim()[0] < zero
    assert note(ax) == "N = 79,800 impostor pairs, 900 genuine pairs."


def held(areas, x, y):
    """Return whether each point lies in one of the areas, which are made of steps."""
    inside = np.zeros(len(x), bool)
    for vertices in (path.vertices for area in areas for path in area.get_paths()):
        places = np.unique(vertices[:, 0])
        for point in np.flatnonzero((places[0] <= x) & (x <= places[-1])):
            before = places[places <= x[point]][-1]
            after = places[places >= x[point]][0]
            # Of a step both ends have its heights: those that the two ends share are inside.
            spans = [vertices[vertices[:, 0] == place, 1] for place in (before, after)]
            low, high = max(span.min() for span in spans), min(span.max() for span in spans)
            inside[point] |= low - 1e-12 <= y[point] <= high + 1e-12
    return inside


@pytest.fixture(params=["many", "few"])
def sampled(request, estimates):
    """Many images; and few, of which intervals are wide."""
    if request.param == "many":
        return estimates
    rng = np.random.default_rng(8)
    pairs = corpus(independent, 12, rng)
    near = ImpostorPairs(pairs.i, pairs.j, pairs.cell + rng.random(len(pairs.cell)) - 1, N_BINS - 1)
    impostor = counts_of(pairs, N_BINS)
    rates = false_match_rates(impostor, 12, near)
    genuine = np.bincount((rng.gamma(2, 0.5, 30) * CELLS_PER_UNIT).astype(int), minlength=N_BINS)
    return estimates_of(genuine, impostor, false_match_rates=rates)


@pytest.mark.long
@pytest.mark.parametrize("missed", [False, True])
def test_the_areas_of_a_tradeoff_hold_both_intervals(sampled, missed):
    ax = (plots.plot_det if missed else plots.plot_roc)(sampled)
    found, rates = sampled.curves, sampled.false_match_rates
    zero_x, zero_y = zero_of(ax.xaxis), zero_of(ax.yaxis) if missed else 0.0
    recall = sampled.recall_lower, found.recall, sampled.recall_upper
    few = ~rates.at_least_ten_matches
    assert few.any()
    assert rates.at_least_ten_matches.any()
    for gid, chosen in (("band", ~few), ("bound", few)):
        areas = [one(ax, gid)]
        for x in (rates.lower, rates.rate, rates.upper):
            for share in recall:
                y = 1 - share if missed else share
                x_drawn, y_drawn = np.maximum(x, zero_x), np.maximum(y, zero_y)
                assert held(areas, x_drawn[chosen], y_drawn[chosen]).all()
        # And no more than that: each height of an outline is an end of an interval.
        ends = np.array([sampled.recall_lower, sampled.recall_upper])[:, chosen]
        ends = np.maximum(1 - ends if missed else ends, zero_y)
        outline = areas[0].get_paths()[0].vertices
        assert (np.diff(outline, axis=0) == 0).any(axis=1).all(), "steps, no slopes"
        heights = np.unique(outline[:, 1])
        assert np.isclose(heights[:, None], ends.ravel()[None], atol=1e-15).any(axis=1).all()
        curve = one(ax, "curve").get_xydata()[1:]
    assert held([one(ax, "band"), one(ax, "bound")], *curve.T).all()
    assert "95 % intervals of both" in legend_labels(ax)
    assert "the same, fewer than ten full dyads" in legend_labels(ax)


def test_thresholds_of_a_tradeoff_have_their_intervals(estimates):
    for plot in (plots.plot_roc, plots.plot_det):
        ax = plot(estimates, thresholds=THRESHOLDS)
        zero, rates = zero_of(ax.xaxis), estimates.false_match_rates
        for name, threshold in THRESHOLDS.items():
            (x, y), (across, up) = marker(ax, name)
            assert x == max(rates.rate[threshold], zero)
            ends = max(rates.lower[threshold], zero), rates.upper[threshold]
            np.testing.assert_allclose(across[:, 0], ends)
            recall = np.array(
                [estimates.recall_lower[threshold], estimates.recall_upper[threshold]]
            )
            if plot is plots.plot_roc:
                assert y == estimates.curves.recall[threshold]
                np.testing.assert_allclose(up[:, 1], recall)
            else:
                assert y == pytest.approx(estimates.curves.false_non_match_rate[threshold])
                np.testing.assert_allclose(up[:, 1], 1 - recall[::-1])
            assert f"L2 ≤ {threshold}: {name}" in legend_labels(ax)
        assert x > zero, "the last one was counted"


def test_the_equal_error_rate_is_marked(estimates):
    ax = plots.plot_det(estimates)
    rate = estimates.curves.equal_error_rate
    np.testing.assert_array_equal(one(ax, "equal error").get_xydata(), [[rate, rate]])
    threshold = estimates.curves.equal_error_threshold
    assert f"equal error {100 * rate:.3g}\u00a0%, L2 {threshold:.0f}" in legend_labels(ax)
    near = np.where(np.arange(N_BINS) == 3, 500, 0)
    ax = plots.plot_det(estimates_of(near, np.roll(near, 4)))
    zeros = [[zero_of(ax.xaxis), zero_of(ax.yaxis)]]
    np.testing.assert_array_equal(one(ax, "equal error").get_xydata(), zeros)


def test_a_tradeoff_without_intervals_says_why(estimates):
    ax = plots.plot_roc(
        replace(
            estimates, false_match_rates=None, tail=None, no_rates_reason="the list is too long"
        )
    )
    assert "No intervals: the list is too long." in note(ax)
    assert not ax.findobj(lambda artist: artist.get_gid() == "band")


@pytest.mark.parametrize(
    "name", ["distances", "roc", "det", "precision", "rates", "edits", "detail"]
)
def test_thresholds_off_the_scale(estimates, name):
    # Rows of a table do not say how long the scale is: any hasher's threshold can be marked.
    largest = 32767 if name in ("edits", "detail") else 3060
    for threshold in (-1, largest + 1):
        message = rf"thresholds\['x'\]: got {threshold}, needs an integer from 0 to {largest}"
        with pytest.raises(pdna.ArgumentError, match=message):
            figures(estimates, {"x": threshold})[name]()
    message = r"thresholds\['x'\]: got float, needs an integer"
    with pytest.raises(pdna.ArgumentTypeError, match=message):
        figures(estimates, {"x": 20.5})[name]()
    assert not plt.get_fignums(), "nothing was begun"
    figures(estimates, {"lowest": 0, "highest": np.int64(3060)})[name]()


@pytest.mark.parametrize("draw", [plots.plot_roc, plots.plot_det, plots.plot_precision_recall])
def test_thresholds_off_the_scale_of_bits(estimates, draw):
    shorter = replace(estimates.curves, recall=estimates.curves.recall[:65])
    with pytest.raises(pdna.ArgumentError, match="got 200, needs an integer from 0 to 64"):
        draw(replace(estimates, curves=shorter), thresholds={"production": 200})


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([200], "thresholds: got list, needs a dict of names to L2 distances"),
        ({"a": True}, r"thresholds\['a'\]: got bool, needs an integer"),
        ({200: 200}, "thresholds: got int, needs names of type str"),
    ],
)
@pytest.mark.parametrize("name", ["distances", "roc", "det", "precision", "rates", "edits"])
def test_thresholds_of_other_types(estimates, name, thresholds, message):
    with pytest.raises(pdna.ArgumentTypeError, match=message):
        figures(estimates, thresholds)[name]()
    assert not plt.get_fignums(), "nothing was begun"


@pytest.mark.parametrize("name", ["roc", "det", "precision", "rates"])
@pytest.mark.parametrize("wrong", [None, {}, "run"])
def test_what_was_not_measured(name, wrong):
    with pytest.raises(
        pdna.ArgumentTypeError,
        match=r"estimates: got .*, needs RateEstimates: results.estimates.all_originals",
    ):
        figures(wrong)[name]()
    assert not plt.get_fignums(), "nothing was begun"


@pytest.mark.parametrize("targets", [1e-3, "1e-3", ["1e-3"], [True]])
def test_targets_of_other_types(estimates, targets):
    with pytest.raises(pdna.ArgumentTypeError, match=r"targets.*: got .*, needs a (seq|num)"):
        plots.plot_false_match_rates(estimates, targets=targets)
    assert not plt.get_fignums(), "nothing was begun"


@pytest.mark.parametrize(
    ("plot", "rows", "message"),
    [
        (plots.plot_recall, edit_rows(["mirror"]), r'without oriented.*results.tables\["recall"\]'),
        (
            plots.plot_variant_distances,
            recall_rows(["mirror"]),
            r'without transform_name, .*tables\["transforms"\]',
        ),
        (
            plots.plot_impostor_distances,
            edit_rows(["mirror"]),
            r'without detail_from.*tables\["detail"\]',
        ),
        (plots.plot_recall, None, r'rows: got NoneType, needs rows of results.tables\["recall"\]'),
        (plots.plot_recall, {"recall": []}, "rows: got dict, needs rows of"),
        (plots.plot_recall, ["mirror"], "rows: got str among them, needs rows of"),
    ],
)
def test_rows_of_another_table(plot, rows, message):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=message):
        plot(rows)
    assert not plt.get_fignums(), "nothing was begun"


@pytest.mark.parametrize("confidence", [0, 95, "95 %"])
def test_a_confidence_that_is_none(confidence):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match="confidence: got"):
        plots.plot_recall(recall_rows(["mirror"]), confidence=confidence)
    assert not plt.get_fignums(), "nothing was begun"


def test_threshold_styles_many_thresholds_differ():
    looks = [look for _, _, look in threshold_styles({str(k): k for k in range(36)})]
    assert len({(look.colour, look.marker) for look in looks}) == 36
    assert len({(look.colour, look.line) for look in looks}) == 36


@pytest.mark.parametrize("step", [3, 70])
@pytest.mark.parametrize("name", list(figures(None, {})))
def test_a_dozen_thresholds_leave_room_for_the_data(estimates, name, step):
    thresholds = {f"threshold of {k}": 100 + step * k for k in range(12)}
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    figures(estimates, thresholds)[name](ax)
    figure.canvas.draw()
    assert ax.bbox.height > 0.12 * figure.bbox.height
    for text, box in boxes_of(ax).items():
        assert -1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, text
        assert -1 <= box.y0 < box.y1 <= figure.bbox.y1 + 1, text


def test_a_threshold_looks_the_same_in_all_figures(estimates):
    names = {"late": 200, "early": 20, "between": 40}
    seen = {name: set() for name in names}
    for plot in figures(estimates, names).values():
        ax = plot()
        for name in names:
            found = ax.findobj(lambda artist, gid=f"threshold {name}": artist.get_gid() == gid)
            assert found
            seen[name] |= {to_rgb(line.get_color()) for line in found}
    assert [len(colours) for colours in seen.values()] == [1, 1, 1]
    assert len(set.union(*seen.values())) == 3


def test_precision_and_recall_enclose_the_average_precision(estimates):
    ax = plots.plot_precision_recall(estimates, thresholds=THRESHOLDS)
    line, found = one(ax, "curve"), estimates.curves
    assert line.get_drawstyle() == "steps-pre"
    recall, precision = line.get_data()
    assert (np.diff(recall) * precision[1:]).sum() == pytest.approx(found.average_precision)
    assert f"average precision {found.average_precision:.3f}" in legend_labels(ax)
    best = found.threshold_at_90_precision
    np.testing.assert_array_equal(
        one(ax, "90 % precision").get_xydata(), [[found.recall[best], found.precision[best]]]
    )
    assert "precision depends on both numbers" in note(ax)
    assert "79,800 impostor pairs, 900 genuine pairs" in note(ax)
    (x, y), (across,) = marker(ax, "loose")
    assert (x, y) == (found.recall[200], found.precision[200])
    np.testing.assert_allclose(
        across[:, 0], [estimates.recall_lower[200], estimates.recall_upper[200]]
    )


def test_precision_that_no_threshold_reaches(estimates):
    ax = plots.plot_precision_recall(
        estimates_of(estimates.impostor_histogram, estimates.impostor_histogram)
    )
    assert "90 % precision: at no threshold" in legend_labels(ax)
    assert not len(one(ax, "90 % precision").get_xydata())


def test_figures_of_no_pairs_say_so(estimates):
    nothing = 0 * estimates.impostor_histogram
    for plot in (plots.plot_roc, plots.plot_det, plots.plot_precision_recall):
        ax = plot(estimates_of(estimates.genuine_histogram, nothing), thresholds=THRESHOLDS)
        assert one(ax, "reason").get_text() == "There are no impostor pairs."
        ax = plot(estimates_of(nothing, nothing))
        assert "no genuine and no impostor" in one(ax, "reason").get_text().replace("\n", " ")
        assert ax.get_title()
        assert not ax.lines
    ax = plots.plot_false_match_rates(
        estimates_of(nothing, nothing, no_rates_reason="none of them")
    )
    assert one(ax, "reason").get_text() == "none of them"


def test_false_match_rates_counted_and_bounded(estimates):
    ax = plots.plot_false_match_rates(estimates)
    rates = estimates.false_match_rates
    few, first = int(np.argmax(rates.at_least_ten_matches)), int(np.argmax(rates.matches > 0))
    np.testing.assert_array_equal(
        one(ax, "counted").get_xydata(),
        np.column_stack([np.arange(few, N_BINS), rates.rate[few:]]),
    )
    assert 0 < first < few
    np.testing.assert_array_equal(
        one(ax, "few").get_xydata(),
        np.column_stack([np.arange(first, few + 1), rates.rate[first : few + 1]]),
        "begins where the first pair matches: no line is drawn of no match",
    )
    bound = one(ax, "bound")
    np.testing.assert_array_equal(bound.get_ydata(), rates.upper[: few + 1])
    assert bound.get_marker() not in (None, "None", "")
    assert "at most (95 % bound)" in legend_labels(ax)
    band = one(ax, "counted interval").get_paths()[0].vertices
    at = band[band[:, 0] == 200, 1]
    assert {at.min(), at.max()} == {rates.lower[200], rates.upper[200]}


def test_a_first_match_that_is_ten_at_once(estimates):
    rates = estimates.false_match_rates
    matches = np.where(rates.at_least_ten_matches, rates.matches, 0)
    jumping = replace(rates, matches=matches, rate=matches / rates.pairs)
    ax = plots.plot_false_match_rates(replace(estimates, false_match_rates=jumping))
    assert not ax.findobj(lambda artist: artist.get_gid() == "few")
    assert "counted, fewer than ten full dyads" not in legend_labels(ax)
    assert one(ax, "bound")


def test_none_is_named_only_where_the_axis_ends(estimates):
    """In its middle it would be read as the rate of what is drawn there."""
    untrusted = replace(estimates, tail=None)
    ax = plots.plot_false_match_rates(untrusted)
    assert zero_of(ax.yaxis) < 1 / estimates.false_match_rates.pairs < 10 * ax.get_ylim()[0]
    for ax in (
        plots.plot_false_match_rates(estimates),
        plots.plot_false_match_rates(untrusted, targets=[1e-9]),
    ):
        places = [place for place in ax.get_yticks() if place >= ax.get_ylim()[0]]
        assert len(set(np.round(np.diff(np.log10(places)), 9))) == 1, "regular decades"
        assert "1/N" not in "".join(text.get_text() for text in ax.get_yticklabels())
        assert "N = 79,800 impostor pairs" in note(ax)


def test_targets_are_named_at_their_right_ends(estimates):
    targets = [3e-5, 1e-3, 1.05e-3]
    ax = plots.plot_false_match_rates(estimates, targets=targets)
    names = {name.get_gid(): name for name in ax.texts if "target" in name.get_gid()}
    assert set(names) == {"name of target 0.00105", "name of target 3e-05"}, "two do not fit"
    assert names["name of target 3e-05"].get_text() == "3e-05"
    assert names["name of target 3e-05"].xy == (1, 3e-5)
    for target in targets:
        assert one(ax, f"target {target:g}").get_ydata()[0] == target
    ax = plots.plot_false_match_rates(estimates, targets=[1e-6])
    assert one(ax, "name of target 1e-06").get_text() == "$10^{-6}$"


@pytest.mark.parametrize("target", [0, -1e-3, 1.1, float("nan")])
def test_targets_that_are_no_rates(estimates, target):
    with pytest.raises(pdna.ArgumentError, match=r"targets\[1\]: got .*, needs a number above 0"):
        plots.plot_false_match_rates(estimates, targets=[1e-3, target])
    assert not plt.get_fignums()


def test_the_tail_is_told_from_what_was_counted(estimates):
    tail = estimates.tail
    ax = plots.plot_false_match_rates(estimates, targets=(1e-3, 1e-6))
    tested, untested = one(ax, "extrapolation"), one(ax, "beyond validation")
    said = tail.rate(np.arange(tail.threshold_at_ten_matches + 1))
    split = int(said.beyond_validation.sum())
    assert 0 < split < len(said.rate)
    np.testing.assert_array_equal(tested.get_ydata(), said.rate[split:])
    np.testing.assert_array_equal(untested.get_ydata(), said.rate[: split + 1])
    assert (tested.get_linestyle(), untested.get_linestyle()) == ("--", ":")
    band = one(ax, "extrapolation interval").get_paths()[0].vertices
    last = band[band[:, 0] == tail.threshold_at_ten_matches, 1]
    assert {last.min(), last.max()} == {said.lower[-1], said.upper[-1]}
    labels = legend_labels(ax)
    assert {"extrapolation, 95 % interval", "extrapolation beyond validation"} <= set(labels)
    assert one(ax, "target 1e-06").get_ydata()[0] == 1e-6 > ax.get_ylim()[0]
    assert tail.validated_down_to > ax.get_ylim()[0]


def test_a_tail_that_is_not_trusted_says_why(estimates):
    reason = "the smallest distance is improbable by the fit: look at it"
    tail = replace(estimates.tail, accepted=False, rejection_reason=reason)
    ax = plots.plot_false_match_rates(replace(estimates, tail=tail))
    assert f"No extrapolation: {reason}." in note(ax)
    assert "\n" in ax.get_legend().get_title().get_text(), "wrapped"
    drawn = {artist.get_gid() for artist in ax.findobj()}
    assert not drawn & {"extrapolation", "beyond validation", "extrapolation interval"}


def test_recall_by_edit():
    specs = ["jpeg:90", "mirror", "jpeg:30", "resize:50+jpeg:30"]
    ax = plots.plot_recall(recall_rows(specs), confidence=0.9)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["jpeg 90", "jpeg 30", "mirror", "resize 50 % + jpeg 30"], "by kind"
    assert legend_labels(ax) == [f"L2 ≤ {limit}: {name}" for name, limit in THRESHOLDS.items()]
    assert "50 pairs per transform; bars: 90 % intervals" in ax.get_xlabel()
    looks = set()
    for points, _, (bars,) in ax.containers:
        np.testing.assert_allclose(points.get_xdata(), [0.2, 0.6, 0.4, 0.8])
        np.testing.assert_array_equal(np.round(points.get_ydata()), range(4))
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends[:2], [[0.1, 0.35], [0.5, 0.75]])
        looks.add((points.get_marker(), points.get_color()))
    assert len(looks) == 3 == len({mark for mark, _ in looks})
    shaded = [patch.get_extents().intervaly for patch in ax.patches]
    assert len(shaded) == 1, "the second kind of three"


def test_recall_of_no_pairs_and_of_no_edits():
    rows = recall_rows(["jpeg:90"]) + recall_rows(["mirror"], n=0)
    ax = plots.plot_recall(rows)
    assert [text.get_position()[1] for text in ax.texts if text.get_text() == "no pairs"] == [1]
    assert all(len(points.get_xdata()) == 1 for points, _, _ in ax.containers)
    assert "0 to 50 pairs per transform" in ax.get_xlabel()
    assert one(plots.plot_recall([]), "reason").get_text() == "There are no transforms."
    with pytest.raises(pdna.ArgumentError, match="several of one transform and thr"):
        plots.plot_recall(recall_rows(["mirror"]) * 2)


def test_recall_grows_with_its_edits():
    heights = [
        plots.plot_recall(recall_rows(specs)).figure.get_figheight()
        for specs in (STANDARD[:5], STANDARD)
    ]
    assert heights[1] - heights[0] == pytest.approx(0.2 * (len(STANDARD) - 5))


@pytest.mark.parametrize("oriented", [False, True])
def test_edit_distances(oriented):
    rows = edit_rows(["jpeg:90", "jpeg:30", "mirror"])
    rows[1] |= {f"{o}{k}": None for o in ("", "oriented_") for k in DISTANCES}
    ax = plots.plot_variant_distances(rows, oriented=oriented, thresholds=THRESHOLDS)
    prefix, factor = ("oriented_", 1) if oriented else ("", 10)
    for name, values in zip(DISTANCES, ([1, 3], [2, 4], [5, 7]), strict=True):
        x, y = one(ax, prefix + name).get_data()
        np.testing.assert_array_equal(x, factor * np.array(values))
        np.testing.assert_array_equal(y, [0, 2])
    ranges = one(ax, "ranges").get_segments()
    np.testing.assert_array_equal(ranges[1][:, 0], [3 * factor, 7 * factor])
    assert [text.get_position()[1] for text in ax.texts if text.get_text() == "no pairs"] == [1]
    assert ("eight orientations" in ax.get_title()) == oriented
    assert one(plots.plot_variant_distances([]), "reason")


def test_impostor_detail():
    ax = plots.plot_impostor_distances(detail_rows())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    labels = [label.replace("\u00a0", " ") for label in labels]
    assert labels == ["0 to 100 (0 %)", "100 to 600 (25 %)", "600 and more (75 %)"]
    np.testing.assert_array_equal(
        one(ax, "smallest_impostor_distance").get_data(), [[300, 40], [1, 2]]
    )
    np.testing.assert_array_equal(
        one(ax, "median_impostor_distance").get_data(), [[700, 800], [1, 2]]
    )


@pytest.mark.parametrize("name", ["distances", "rates", "edits", "detail"])
def test_lines_at_thresholds(estimates, name):
    names = {"_hidden": 40, "$a$ formula $b$": 41, "x" * 60: 90}
    ax = figures(estimates, names)[name]()
    for threshold, limit in names.items():
        assert list(one(ax, f"threshold {threshold}").get_xdata()) == [limit, limit]
        text = one(ax, f"name {threshold}")
        assert text.get_text().endswith(f": L2 ≤ {limit}")
        assert not text.get_parse_math()
    ax.figure.canvas.draw()
    assert ax.get_xlim()[1] > 90


@pytest.mark.parametrize("name", list(figures(None, {})))
def test_given_axes_and_new_ones(estimates, name):
    plot = figures(estimates)[name]
    figure = plt.figure()
    given = figure.add_subplot()
    assert plot(given) is given
    assert figure.axes == [given], "and no others"
    assert plt.get_fignums() == [figure.number]
    assert plot().figure is not figure
    assert given.get_title()
    assert given.get_xlabel()
    assert name in ("recall", "edits") or given.get_ylabel(), "names of transforms need no label"


def texts_of(ax):
    """Return what is written around the data and on it."""
    legend = ax.get_legend()
    texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        texts += [text for place, text in ticks if low <= place <= high]
    texts += [legend.get_title(), *legend.get_texts()]
    return [text for text in texts if text.get_text()]


def boxes_of(ax):
    # Of a threshold's name without the line to it, which is part of the annotation.
    return {text: Text.get_window_extent(text) for text in texts_of(ax)}


@pytest.mark.parametrize("size", [(4, 3), (9, 6)])
@pytest.mark.parametrize("name", list(figures(None, {})))
def test_labels_are_inside_and_apart(estimates, name, size):
    figure, ax = plt.subplots(figsize=size)  # which gets a layout
    figures(estimates, CLOSE)[name](ax)
    figure.canvas.draw()
    assert_inside_and_apart(ax, 8)


def assert_inside_and_apart(ax, least):
    boxes = boxes_of(ax)
    assert len(boxes) > least
    for text, box in boxes.items():
        assert -1 <= box.x0 < box.x1 <= ax.figure.bbox.x1 + 1, text
        assert -1 <= box.y0 < box.y1 <= ax.figure.bbox.y1 + 1, text
    for (text, box), (other, neighbour) in combinations(boxes.items(), 2):
        # The tick labels of two axes meet at most in the space around a letter.
        assert not box.padded(-1).overlaps(neighbour.padded(-1)), (text, other)


# The widths are Matplotlib's own, and that of a report on a phone.
@pytest.mark.parametrize(("name", "width"), [("recall", 6.4), ("edits", 6.4), ("oriented", 3.5)])
def test_all_edits_in_a_figure_of_their_own(estimates, name, width):
    oriented = [row | {"oriented": True} for row in recall_rows(STANDARD)]
    drawn = figures(estimates, specs=STANDARD)
    drawn["oriented"] = lambda: plots.plot_recall(oriented, confidence=0.95)
    with plt.rc_context({"figure.figsize": (width, 4.2)}):
        ax = drawn[name]()
    ax.figure.canvas.draw()
    assert_inside_and_apart(ax, len(STANDARD))


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", list(figures(None, {})))
def test_nothing_has_the_colour_of_the_background(estimates, name, style):
    with plt.style.context(style):
        ax = figures(estimates)[name]()
    ground = np.array(to_rgb(ax.get_facecolor()))
    drawn = [text.get_color() for text in texts_of(ax)]
    drawn += [line.get_color() for line in ax.lines]
    drawn += [patch.get_facecolor() for patch in ax.patches]
    assert len(drawn) > 8
    for colour in drawn:
        assert np.abs(np.array(to_rgb(colour)) - ground).max() > 0.3, colour
