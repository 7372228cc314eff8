"""Figures: numbers and artists, never pixels."""

import importlib

import matplotlib as mpl
import numpy as np
import oracle
import pytest
from conftest import JIT_OFF, ROOT, needs

mpl.use("agg")

import matplotlib.pyplot as plt

import photodna_nb as pdna

HASH = np.zeros(144, np.uint8)

pytestmark = pytest.mark.skipif(JIT_OFF, reason="says nothing about the kernels")


@pytest.fixture
def image():
    y, x = np.mgrid[0:90, 0:140]
    return (128 + 90 * np.sin(x / 20) * np.cos(y / 15)).astype(np.uint8)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_all_stages_of_a_trace(image):
    trace = pdna.trace(image)
    figure = pdna.plots.plot_trace(image, trace)
    pixels, sums, grid, gradients, rounds, bars = figure.axes[:6]
    np.testing.assert_array_equal(pixels.images[0].get_array(), image)
    np.testing.assert_array_equal(sums.images[0].get_array(), trace.pixel_sums / 1e6)
    np.testing.assert_array_equal(grid.images[0].get_array(), trace.feature_grid / 1e3)
    assert len(gradients.collections) == 4
    np.testing.assert_array_equal(gradients.images[0].get_array()[:, :, 1], image)
    assert len(pixels.child_axes) == 1, "the boxes of a grid point, enlarged"
    unit = pdna.stages.unit_vector(pdna.stages.scaled_gradients(trace.gradients, 90, 140))
    for gid, values in (("rounds", trace.vector), ("unit", unit)):
        (drawn,) = rounds.findobj(lambda artist, gid=gid: artist.get_gid() == gid)
        np.testing.assert_array_equal(np.sort(drawn.get_data().values), np.sort(values))
    heights = {round(bar.get_x() + 0.5): bar.get_height() for bar in bars.patches}
    assert [heights[place] for place in range(144)] == trace.hash.tolist()
    for ax in figure.axes[:6]:
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    figure.canvas.draw()


def test_normalisation_shows_what_was_clipped():
    scaled = np.r_[9.0, 8.0, np.ones(142)]
    unit, rounds = pdna.stages.unit_vector(scaled), pdna.stages.normalisation(scaled)
    np.testing.assert_array_equal(rounds[0], np.minimum(unit, 0.25))
    assert np.linalg.norm(unit) == pytest.approx(1)
    ax = pdna.plots.plot_normalisation(rounds, unit=unit)
    lost = next(one for one in ax.patches if one.get_gid() == "clipped").get_data()
    np.testing.assert_array_equal(lost.values, np.r_[unit[:2], np.full(142, np.nan)])
    np.testing.assert_array_equal(lost.baseline, rounds[-1])
    assert "clipped off: 2 of 144" in ax.get_legend_handles_labels()[1]
    assert ax.get_ylim()[1] > unit.max()
    plain = pdna.plots.plot_normalisation(rounds)
    assert {one.get_gid() for one in plain.patches} == {"rounds"}
    for wrong in (unit[:9], unit.tolist()):
        with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=r"^unit: got"):
            pdna.plots.plot_normalisation(rounds, unit=wrong)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_the_image_below_the_wedges_is_pale_in_any_style(style):
    with plt.style.context(style):
        ax = pdna.plots.plot_gradients(np.ones((6, 6, 4)), image=np.zeros((20, 30), np.uint8))
    assert mpl.colors.to_rgb(ax.get_facecolor()) == (1, 1, 1)
    assert ax.images[0].get_alpha() < 0.5
    border = ax.collections[0].get_edgecolor()[0]
    assert tuple(border[:3]) == (1, 1, 1), "what keeps wedges off the image"


def test_wedges_point_to_where_it_is_darker():
    """Bright on the left: brightness falls to the right, and the wedges point there."""
    image = np.tile(np.linspace(255, 0, 120).astype(np.uint8), (120, 1))
    ax = pdna.plots.plot_gradients(pdna.trace(image).gradients)
    right, left, down, up = ax.collections
    assert right.get_label() == "falls to the right"
    cells = [path.vertices for path in right.get_paths()]
    assert all(wedge[1, 0] > wedge[0, 0] + 0.1 for wedge in cells)
    for other in (left, down, up):
        assert all(np.ptp(path.vertices, axis=0).min() < 0.02 for path in other.get_paths())


@pytest.mark.parametrize(("height", "width"), [(2, 300), (28, 28), (41, 57), (90, 64)])
def test_footprints_hold_the_pixels_of_a_grid_point(height, width):
    """Each pixel as often as it lies in a box, by area, times the weight of the box."""
    rgb = np.random.default_rng(height).integers(0, 256, (height, width, 3))
    grid = oracle.feature_grid(oracle.pixel_sums([[tuple(p) for p in row] for row in rgb.tolist()]))
    y, x = np.arange(height), np.arange(width)
    for row, column in ((0, 0), (25, 25), (0, 25), (12, 7)):
        total = 0.0
        boxes = pdna.stages.box_bounds(height, width, row, column)
        for ((top, bottom), (left, right)), (_, weight) in zip(boxes, oracle.RADII, strict=True):
            inside_y = (np.minimum(y + 1, bottom) - np.maximum(y, top)).clip(0)
            inside_x = (np.minimum(x + 1, right) - np.maximum(x, left)).clip(0)
            total += weight * (inside_y @ rgb.sum(axis=2) @ inside_x)
        assert total == pytest.approx(grid[row][column], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 9, 0, 0), "height: got 1, needs an integer of at least 2"),
        ((9, 9, 26, 0), "row: got 26, needs an integer from 0 to 25"),
        ((9, 9, 0, -1), "column: got -1, needs an integer from 0 to 25"),
        ((9, 9, 0, 1.0), "column: got float, needs an integer from 0 to 25"),
    ],
)
def test_no_footprints(arguments, message):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=message):
        pdna.stages.box_bounds(*arguments)


@pytest.mark.parametrize("grid_point", [(3, 4), (20, 4), (3, 22), (20, 22)])
def test_boxes_are_drawn_where_their_pixels_are(image, grid_point):
    ax = pdna.plots.plot_pixels(image, grid_point=grid_point)
    (inset,) = ax.child_axes
    for boxes in (ax.patches, inset.patches[:3]):
        drawn = [box for box in boxes if box.get_label() and not box.get_label().startswith("_")]
        edges = [box.get_bbox().get_points().T[::-1] for box in reversed(drawn)]  # y, then x
        # An image's pixel k is drawn from k - 0.5 to k + 0.5.
        expected = pdna.stages.box_bounds(90, 140, *grid_point) - 0.5
        np.testing.assert_allclose(edges, expected)
    (top, bottom), (left, right) = expected[2]
    assert inset.get_xlim()[0] < left < right < inset.get_xlim()[1]
    assert inset.get_ylim()[1] < top < bottom < inset.get_ylim()[0]
    ax.figure.canvas.draw()
    covered = inset.get_window_extent()
    assert not covered.overlaps(ax.patches[0].get_window_extent()), "the boxes are not hidden"
    assert len(ax.get_legend().get_texts()) == 3
    assert pdna.plots.plot_pixels(image, grid_point=grid_point, legend=False).get_legend() is None


@pytest.mark.parametrize("cell", range(6))
def test_glyphs_lie_on_the_edges_of_the_image(cell):
    """An edge through the middle of a cell column: its wedges are the longest, and lie on it."""
    image = np.full((140, 210), 40, np.uint8)
    edge = (cell + 1) * 210 // 7
    image[:, :edge] = 200
    ax = pdna.plots.plot_gradients(pdna.trace(image).gradients, image=image)
    (drawn,) = ax.images
    left, right, bottom, top = drawn.get_extent()
    assert left + (right - left) * edge / 210 == pytest.approx(cell)
    lengths = [np.ptp(path.vertices[:, 0]) for path in ax.collections[0].get_paths()]
    assert set(np.argsort(lengths)[-6:] % 6) == {cell}
    assert ax.get_aspect() == pytest.approx(140 / 210 * (right - left) / (bottom - top))
    assert ax.get_xlim() == (-1, 6)


def test_nothing_is_cut_off_when_it_is_first_drawn():
    image = np.zeros((200, 300), np.uint8)
    for ax in (
        pdna.plots.plot_pixels(image, grid_point=(3, 3)),
        pdna.plots.plot_gradients(np.ones((6, 6, 4)), image=image),
        pdna.plots.plot_hash(np.zeros(144, np.uint8)),
    ):
        ax.figure.canvas.draw()
        legend = ax.get_legend().get_window_extent()
        assert ax.title.get_window_extent().y1 <= ax.figure.bbox.y1
        assert 0 <= legend.y0 < legend.y1 <= ax.xaxis.label.get_window_extent().y0


def test_the_outlined_grid_point():
    ax = pdna.plots.plot_feature_grid(np.zeros((26, 26)), grid_point=(3, 20))
    (outline,) = ax.patches
    assert (outline.get_y(), outline.get_x()) == (2.5, 19.5)


def test_each_stage_alone_and_on_given_axes(image):
    trace = pdna.trace(image)
    plots = pdna.plots
    for plot, value in (
        (plots.plot_pixels, image),
        (plots.plot_pixel_sums, trace.pixel_sums),
        (plots.plot_feature_grid, trace.feature_grid),
        (plots.plot_gradients, trace.gradients),
        (plots.plot_normalisation, trace.rounds),
        (plots.plot_hash, trace.hash),
    ):
        assert plot(value).figure is not None
        given = plt.figure().add_subplot()
        assert plot(value, ax=given) is given


@pytest.mark.parametrize(
    ("name", "argument", "good", "shapes"),
    [
        ("pixel_sums", "pixel_sums", np.zeros((5, 9), np.int64), [(5,), (5, 9, 1)]),
        ("feature_grid", "feature_grid", np.zeros((26, 26)), [(25, 26), (676,)]),
        ("gradients", "gradients", np.ones((6, 6, 4)), [(6, 6), (144,), (6, 4, 6)]),
        ("normalisation", "rounds", np.ones((3, 144)), [(144,), (3, 143), (0, 144)]),
        ("hash", "hash_bytes", np.zeros(144, np.uint8), [(143,), (1, 144), (6, 6, 4)]),
    ],
)
def test_arrays_of_no_stage(name, argument, good, shapes):
    plot = getattr(pdna.plots, f"plot_{name}")
    for shape in shapes:
        with pytest.raises(pdna.ArgumentError, match=f"^{argument}: got .*, needs "):
            plot(np.zeros(shape, good.dtype))
    other = np.float32 if good.dtype == np.float64 else np.float64
    for value in (good.astype(other), good.tolist(), None):
        with pytest.raises(pdna.ArgumentTypeError, match=f"^{argument}: got .*{good.dtype}$"):
            plot(value)
    assert not plt.get_fignums(), "nothing was begun"
    plot(good)


@pytest.mark.parametrize("grid_point", [(26, 0), (0, -1), (1, 2, 3), (1.5, 2.0)])
def test_no_grid_point_to_outline(grid_point):
    for plot, value in (("feature_grid", np.zeros((26, 26))), ("pixels", np.zeros((9, 9), "u1"))):
        with pytest.raises(pdna.ArgumentError, match=r"^grid_point: got .*two integers, 0 to 25"):
            getattr(pdna.plots, f"plot_{plot}")(value, grid_point=grid_point)
    assert not plt.get_fignums(), "nothing was begun"


def test_lines_between_cells_are_behind_the_wedges(image):
    trace = pdna.trace(image)
    pair = pdna.plots.plot_hash_pair(trace.hash, trace.hash)
    for ax in (pdna.plots.plot_gradients(trace.gradients, image=image), *pair.axes[:2]):
        lines = [tick.gridline for tick in ax.xaxis.get_minor_ticks()]
        assert all(line.get_visible() and line.get_alpha() < 0.5 for line in lines)
        front = min(wedges.get_zorder() for wedges in ax.collections)
        assert ax.xaxis.get_zorder() < front, "gridlines are drawn with their axis"


def test_a_sheet_of_variants(image):
    edits = [*pdna.transforms.standard()[:6], pdna.transforms.parse("mirror+jpeg:30")]
    figure = pdna.plots.plot_transforms(image, edits, distances=np.arange(7.0) * 100, seed=3)
    first, *others = figure.axes
    assert first.get_title() == "original"
    np.testing.assert_array_equal(first.images[0].get_array()[:, :, 1], image)
    assert [ax.get_title() for ax in others[:-1]] == [edit.label for edit in edits[:-1]]
    assert others[-1].get_title() == "mirror +\njpeg 30"
    assert [ax.get_xlabel() for ax in others] == [f"L2 {100 * k}" for k in range(7)]
    assert "L2" in figure.get_suptitle()
    drawn = others[-1].images[0].get_array()
    np.testing.assert_array_equal(drawn, np.asarray(edits[-1].apply(image, 3)))
    figure.canvas.draw()


@pytest.mark.parametrize(
    "size",
    [None, *(pytest.param(one, marks=pytest.mark.long) for one in [(6, 9), (13, 7.5)])],
)
def test_a_sheet_of_variants_at_any_size(image, size):
    """No label reaches into its neighbour's or out of the figure."""
    given = None if size is None else plt.figure(figsize=size, layout="constrained")
    edits = pdna.transforms.standard()
    distances = np.full(len(edits), 1448)
    figure = pdna.plots.plot_transforms(image, edits, distances=distances, figure=given)
    assert given in (None, figure)
    assert len(figure.axes) == 1 + len(edits)
    figure.canvas.draw()
    assert assert_apart(figure) == 1 + 2 * len(edits)


def assert_apart(figure):
    """No label above or below axes reaches into another one or out of the figure."""
    frame = figure.bbox
    boxes = [
        text.get_window_extent()
        for ax in figure.axes
        for text in (ax.title, ax.xaxis.label)
        if text.get_text()
    ]
    for box in boxes:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
    assert sum(a.overlaps(b) for a in boxes for b in boxes) == len(boxes), "each only itself"
    return len(boxes)


def test_a_sheet_without_distances_or_variants(image):
    figure = pdna.plots.plot_transforms(image, pdna.transforms.standard()[:3], columns=2)
    assert not any(ax.get_xlabel() for ax in figure.axes)
    assert len(pdna.plots.plot_transforms(image, []).axes) == 1
    with pytest.raises(pdna.ArgumentError, match="distances: got 2, needs one for each of 3"):
        pdna.plots.plot_transforms(image, pdna.transforms.standard()[:3], distances=[1, 2])


def wedge_lengths(ax):
    """Of each direction and cell, (4, 36), as a share of the way to the border of the cell."""
    paths = [[path.vertices for path in wedges.get_paths()] for wedges in ax.collections]
    lengths = [[np.ptp(wedge[:, k // 2]) for wedge in paths[k]] for k in range(4)]
    base = np.ptp(paths[0][0][:, 1])
    return np.array(lengths) / (0.5 - base / 2)


def test_wedges_of_a_cell_do_not_cover_each_other():
    ax = pdna.plots.plot_gradients(np.full((6, 6, 4), 7.0))
    right, left, down, up = (
        wedges.get_paths()[0].get_extents().get_points() for wedges in ax.collections
    )
    np.testing.assert_allclose([right[1, 0], left[0, 0], down[1, 1], up[0, 1]], [0.5, -0.5] * 2)
    assert up[1, 1] == left[0, 1] == right[0, 1] == -down[0, 1]
    assert left[1, 0] == up[0, 0] == down[0, 0] == -right[0, 0]


def test_a_pair_of_hashes():
    a, b = np.zeros((2, 6, 6, 4), np.uint8)
    a[1, 2, 0], b[1, 2, 0] = 200, 230  # squared: 900 of 2500
    b[5, 0, 1] = 40  # 1600
    figure = pdna.plots.plot_hash_pair(a.ravel(), b.ravel(), labels=("$x$", "y" * 99))
    first, second, difference = figure.axes[:3]
    for ax, values in ((first, a), (second, b)):
        expected = values.reshape(36, 4).T / 230  # the longest of both is the estimate_rates
        np.testing.assert_allclose(wedge_lengths(ax), expected)
    shares = np.zeros((6, 6))
    shares[1, 2], shares[5, 0] = 36, 64
    np.testing.assert_allclose(difference.images[0].get_array(), shares)
    assert figure.get_suptitle() == "Two hashes, L2 distance 50 (similarity 0.984)"
    assert first.get_title() == "$x$"
    assert second.get_title().startswith("yyyyyyyy")
    assert 18 < len(second.get_title()) <= 24
    assert not first.title.get_parse_math()
    figure.canvas.draw()


def test_names_of_a_pair_of_hashes_in_a_small_figure():
    figure = plt.figure(figsize=(5, 3), layout="constrained")
    pdna.plots.plot_hash_pair(HASH, HASH, labels=("HARBOUR_ONE_LONG.JPG",) * 2, figure=figure)
    figure.canvas.draw()
    one, other, third = (ax.title.get_window_extent() for ax in figure.axes[:3])
    assert 0 <= one.x0 < one.x1 < other.x0 < other.x1 < third.x0


def test_a_pair_of_equal_hashes():
    """Also of zeros: no share of nothing, and no wedge of no length."""
    zeros = np.zeros(144, np.uint8)
    figure = pdna.plots.plot_hash_pair(zeros, zeros)
    assert not figure.axes[2].images[0].get_array().any()
    assert not wedge_lengths(figure.axes[0]).any()
    figure.canvas.draw()


def test_a_matrix_of_distances():
    distances = np.array([[0, 100, 900], [100, 0, 200.4], [900, 200.4, 0]])
    labels = ["a$b$", "c\n", "d" * 50]
    ax = pdna.plots.plot_distance_matrix(distances, labels=labels, threshold=200.4)
    np.testing.assert_array_equal(ax.images[0].get_array(), distances)
    assert [text.get_text() for text in ax.texts] == list(map(str, distances.astype(int).flat))
    outlined = {(round(box.get_y()), round(box.get_x())) for box in ax.patches}
    assert outlined == {(0, 1), (1, 0), (1, 2), (2, 1)}, "and not the diagonal"
    assert "2 pairs within L2 200.4" in ax.get_title()
    ticks = ax.get_xticklabels()
    assert [tick.get_text() for tick in ticks[:2]] == ["a$b$", "c\\n"]
    assert ticks[2].get_text().startswith("ddd")
    assert len(ticks[2].get_text()) <= 24
    assert not ticks[0].get_parse_math()
    ax.figure.canvas.draw()


def test_values_of_a_matrix_can_be_read():
    """Black or white, whichever has the higher contrast by WCAG's formula: at least 4.5."""
    distances = np.linspace(0, 1400, 144).reshape(12, 12)
    ax = pdna.plots.plot_distance_matrix(distances)

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    for text, cell in zip(ax.texts, ax.images[0].to_rgba(distances).reshape(-1, 4), strict=True):
        light, dark = sorted(map(luminance, (mpl.colors.to_rgb(text.get_color()), cell)))[::-1]
        assert (light + 0.05) / (dark + 0.05) > 4.3


def test_a_large_matrix_is_not_written():
    ax = pdna.plots.plot_distance_matrix(np.ones((41, 41)), labels=["a"] * 41)
    assert not ax.texts
    assert "a" not in {tick.get_text() for tick in ax.get_xticklabels()}
    with pytest.raises(pdna.ArgumentError, match="labels: got 1, needs one for each of 41 rows"):
        pdna.plots.plot_distance_matrix(np.ones((41, 41)), labels=["a"])
    with pytest.raises(pdna.ArgumentError, match=r"distances: got shape \(2, 3\), needs \(n, n\)"):
        pdna.plots.plot_distance_matrix(np.ones((2, 3)))


@needs("control characters in names")
def test_a_sheet_of_matches(image, tmp_path):
    plt.imsave(tmp_path / "a$1$\nb.png", image, cmap="gray")
    (tmp_path / "broken.png").write_bytes(b"no image")
    matches = [
        pdna.Match(0, str(tmp_path / "a$1$\nb.png"), 90_000, {}),
        pdna.Match(1, str(tmp_path / ("long" * 20 + ".png")), 0, {}, "rotate_90", detail=5.0),
        pdna.Match(2, str(tmp_path / "broken.png"), 90_001, {}, name="/data/given.png"),
    ]
    figure = pdna.plots.plot_matches(image, matches)
    query, first, missing, broken = figure.axes
    assert query.get_title() == "query"
    np.testing.assert_array_equal(query.images[0].get_array()[:, :, 1], image)
    assert first.get_title() == r"1. a$1$\nb.png"
    assert not first.title.get_parse_math()
    assert first.images
    assert first.get_xlabel() == "L2 300\nsimilarity 0.902"
    assert missing.get_title().startswith("2. longlo")
    assert missing.get_xlabel() == "L2 0\nsimilarity 1.000\nrotate 90\nlow detail"
    assert not missing.images
    assert missing.texts[0].get_text().split() == ["no", "such", "file"]
    assert not broken.images
    assert broken.get_title() == "3. given.png", "as the user named it"
    assert "not an image" in broken.texts[0].get_text().replace("\n", " ")
    assert figure.get_suptitle() == "A query and the 3 nearest items"
    figure.canvas.draw()
    assert_apart(figure)
    assert query.get_window_extent().height > 0.8 * figure.dpi, "the texts leave it room"
    assert pdna.plots.plot_matches(image, []).get_suptitle() == "A query without a match"


@pytest.mark.parametrize("number", [1, 4, pytest.param(11, marks=pytest.mark.long)])
def test_file_names_of_usual_length_are_whole(image, number):
    name = "img_20240917_harbour2.jpg"
    assert len(name) == 25
    figure = pdna.plots.plot_matches(image, [pdna.Match(0, name, 0, {})] * number)
    assert [ax.get_title() for ax in figure.axes[1:]] == [f"{k + 1}. {name}" for k in range(number)]
    for other in (name, 40 * "W" + ".JPG"):
        figure = pdna.plots.plot_matches(image, [pdna.Match(0, other, 0, {})] * number)
        figure.canvas.draw()
        assert_apart(figure)


def test_where_the_limit_of_matches_falls(image):
    matches = [pdna.Match(k, "gone.png", squared, {}) for k, squared in enumerate((0, 9, 10))]
    figure = pdna.plots.plot_matches(image, matches, max_distance=3)
    assert figure.get_suptitle() == "A query and the 3 nearest items: 2 within L2 3"
    said = ["no match" in ax.get_xlabel() for ax in figure.axes]
    assert said == [False, False, False, True], "the limit is inclusive, and exact"


@pytest.mark.parametrize("size", [None, (6, 4.5), (9, 6)])
def test_long_names_of_pairs_stay_apart(image, size):
    name = "ANOTHER_VERY_LONG_PHOTOGRAPH_FILE_NAME_OF_THE_SAME_HARBOUR.JPG"
    figure = None if size is None else plt.figure(figsize=size, layout="constrained")
    labels = [f"{name.lower()}\n{name}\n{'some more words ' * 4}\nL2 480"] * 4
    sheet = pdna.plots.plot_image_pairs(
        [(image, image)] * 4, labels=labels, columns=3, figure=figure
    )
    sheet.canvas.draw()
    assert assert_apart(sheet) == 4
    lines = sheet.axes[0].get_xlabel().split("\n")
    assert "…" in lines[0]
    assert lines[1].startswith("ANOTHER_VE"[: 3 if size else 9])
    assert lines[-1] == "L2 480"
    images = sheet.axes[0].get_window_extent()
    assert size or images.height > 0.8 * sheet.dpi, "the lines have room of their own"


def test_a_sheet_of_pairs(image):
    pairs = [(image, image[:, :40]), (None, image)]
    labels = ["a$b$, " + "word " * 20 + "\nL2 199", "other"]
    figure = pdna.plots.plot_image_pairs(pairs, labels=labels, title="Nearest to $200$")
    first, second = figure.axes
    left, right = first.images
    np.testing.assert_array_equal(right.get_array()[:, :, 0], image[:, :40])
    assert left.get_extent()[1] < right.get_extent()[0], "beside each other"
    assert right.get_extent()[1] == pytest.approx(first.get_xlim()[1])
    lines = first.get_xlabel().split("\n")
    assert lines[-1] == "L2 199"
    assert max(map(len, lines)) <= 40
    assert len(second.images) == 1
    assert second.texts[0].get_text() == "missing"
    figure.canvas.draw()
    assert_apart(figure)
    assert not pdna.plots.plot_image_pairs(pairs).axes[0].get_xlabel()
    with pytest.raises(pdna.ArgumentError, match="labels: got 1, needs one for each of 2 pairs"):
        pdna.plots.plot_image_pairs(pairs, labels=["a"])


def table_of(paths, distance=5):
    hashes = np.zeros((len(paths), 144), np.uint8)
    hashes[1:, 0] = distance
    return pdna.HashTable(list(map(str, paths)), hashes, np.full(len(paths), 500.0))


@needs("control characters in names")
def test_a_sheet_of_a_table_of_pairs(image, tmp_path):
    """Of pairs within a limit, of matches in an index and of matches with known hashes."""
    for name in ("a$.png", "b\n.png"):
        plt.imsave(tmp_path / name, image, cmap="gray")
    table = table_of([tmp_path / "a$.png", tmp_path / "b\n.png", tmp_path / "gone.png"])
    figure = pdna.plots.plot_image_pairs(pdna.pairs_within(table, max_distance=9))
    first, second, _ = figure.axes
    assert first.get_xlabel() == "a$.png\nb\\n.png\nL2 5"
    assert [len(ax.images) for ax in figure.axes] == [2, 1, 1]
    assert "no such file" in second.texts[0].get_text().replace("\n", " ")
    near = pdna.pairs_within(table, max_distance=9, metric="manhattan")[:1]
    assert pdna.plots.plot_image_pairs(near).axes[0].get_xlabel().endswith("L1 5")
    labelled = pdna.plots.plot_image_pairs(near, labels=["own"])
    assert labelled.axes[0].get_xlabel() == "own"
    index = pdna.HashIndex.in_memory()
    index.add(table)
    results = index.search(table[:1], 2)
    for found in (results, results.table(), pdna.match(table[:1], table, max_distance=9)):
        figure = pdna.plots.plot_image_pairs(found[:2] if found is not results else found)
        assert figure.axes[1].get_xlabel() == "a$.png\nb\\n.png\nL2 5"
        figure = pdna.plots.plot_matches(image, found, max_distance=4)
        assert [ax.get_title() for ax in figure.axes[1:3]] == ["1. a$.png", r"2. b\n.png"]
        assert figure.axes[2].get_xlabel() == "L2 5\nsimilarity 0.998\nno match"


def test_tables_that_cannot_be_drawn():
    table = table_of(["a", "b"])
    bare = pdna.pairs_within(table.hashes, max_distance=9)
    with pytest.raises(pdna.ArgumentError, match="pairs: got Pairs without paths, needs pairs of"):
        pdna.plots.plot_image_pairs(bare)
    with pytest.raises(pdna.ArgumentError, match=r"pairs: got 201, needs at most 200: pairs\[:200"):
        pdna.plots.plot_image_pairs(bare[[0] * 201])
    with pytest.raises(pdna.ArgumentTypeError, match="matches: got Pairs, needs the"):
        pdna.plots.plot_matches(IMAGE, bare)
    index = pdna.HashIndex.in_memory()
    index.add(table)
    with pytest.raises(pdna.ArgumentError, match="matches: got those of 2 queries, needs"):
        pdna.plots.plot_matches(IMAGE, index.search(table))
    with pytest.raises(pdna.ArgumentError, match=r"a: got an array of shape \(2, 144\)"):
        pdna.plots.plot_hash_pair(table.hashes, table.hashes[0])


IMAGE = np.arange(1200, dtype=np.uint8).reshape(30, 40)
MATCH = pdna.Match(0, "a.png", 0, {})


@pytest.mark.parametrize(
    ("name", "given", "more", "message"),
    [
        ("matches", [IMAGE, [[MATCH]]], {}, r"matches: got a list of list, needs the matches of"),
        ("matches", [IMAGE, None], {}, r"matches: got NoneType, .*index.search\(hashes\)\[0\]"),
        ("matches", [IMAGE, [MATCH]], {"max_distance": -1}, "max_distance: got -1"),
        ("matches", [IMAGE, [MATCH]], {"columns": 0}, "columns: got 0, needs an integer of at"),
        ("matches", [IMAGE, [MATCH]], {"columns": "2"}, "columns: got str"),
        ("matches", [IMAGE, [MATCH]], {"figure": 3}, "figure: got int, needs a Figure"),
        ("matches", ["a.png", [MATCH]], {}, "image: got str"),
        ("trace", [IMAGE, None], {}, r"trace: got NoneType, needs HashTrace: pdna.trace\(image"),
        ("trace", [IMAGE, pdna.trace(IMAGE[:20])], {}, "trace: got that of another image"),
        ("trace", [IMAGE, pdna.trace(IMAGE // 2)], {}, "trace: got that of another image"),
        ("trace", ["a.png", pdna.trace(IMAGE)], {}, "image: got str"),
        ("pixels", ["a.png"], {}, "image: got str"),
        ("pixels", [IMAGE], {"grid_point": 3}, "grid_point: got int, needs row and column"),
        ("pixels", [IMAGE], {"ax": plt.figure}, "ax: got function, needs one Axes"),
        ("pixel_sums", [np.zeros((0, 3), np.int64)], {}, "pixel_sums: got shape .*needs one cell"),
        ("gradients", [np.ones((6, 6, 4))], {"image": "a.png"}, "image: got str"),
        ("hash_pair", [HASH, HASH], {"labels": "ab"}, "labels: got str, needs a sequence of 2 str"),
        ("hash_pair", [HASH, HASH], {"labels": ["a"]}, "labels: got 1, needs one for each of 2"),
        ("hash_pair", [HASH, HASH], {"labels": ["a", 3]}, "labels.1.: got int, needs str"),
        ("distance_matrix", [np.ones((2, 2))], {"threshold": "x"}, "threshold: got str, needs a n"),
        ("distance_matrix", [np.ones((2, 2))], {"labels": "ab"}, "labels: got str, needs a sequ"),
        (
            "distance_matrix",
            [np.ones((0, 0))],
            {},
            r"distances: got shape \(0, 0\), needs \(n, n\)",
        ),
        ("distance_matrix", [[["a"]]], {}, "distances: got <U1, needs numbers"),
        ("image_pairs", [[IMAGE]], {}, "pairs: got ndarray|pairs: got an array of uint8, needs"),
        (
            "image_pairs",
            [[(IMAGE,)]],
            {},
            r"pairs: got 1 in one, needs a sequence of pairs of image",
        ),
        ("image_pairs", [[]], {}, "pairs: got none, needs one or more"),
        ("image_pairs", [[("a.png", IMAGE)]], {}, "image: got str"),
        ("transforms", [IMAGE, "jpeg:30"], {}, "transforms: got str, needs a sequence of tran"),
        ("transforms", [IMAGE, [3]], {}, "transforms: got int among them, needs a sequence of"),
        ("transforms", [IMAGE, ["jpg:30"]], {}, "jpg"),
        (
            "transforms",
            [IMAGE, ["mirror"]],
            {"distances": ["x"]},
            "distances.0.: got str, needs a n",
        ),
        ("transforms", [IMAGE, ["mirror"]], {"distances": 3}, "distances: got int, needs a sequ"),
    ],
)
def test_common_mistakes_are_explained(name, given, more, message):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=message):
        getattr(pdna.plots, f"plot_{name}")(*given, **more)
    assert not plt.get_fignums(), "nothing was begun"


def test_transforms_may_be_texts(image):
    figure = pdna.plots.plot_transforms(image, ["jpeg:30", pdna.transforms.parse("mirror")])
    assert [ax.get_title() for ax in figure.axes] == ["original", "jpeg 30", "mirror"]


def test_a_part_of_a_figure(image):
    trace = pdna.trace(image)
    figure = plt.figure(figsize=(16, 10), layout="constrained")
    parts = figure.subfigures(2, 2).ravel()
    plots = pdna.plots
    assert plots.plot_trace(image, trace, figure=parts[0]) is parts[0]
    assert plots.plot_hash_pair(trace.hash, trace.hash, figure=parts[1]) is parts[1]
    assert plots.plot_transforms(image, ["mirror"], figure=parts[2]) is parts[2]
    assert plots.plot_image_pairs([(image, image)], figure=parts[3]) is parts[3]
    figure.canvas.draw()
    assert [len(part.axes) for part in parts] == [6, 3, 2, 1]
    for part in parts:
        for ax in part.axes:
            box = ax.get_tightbbox()
            assert part.bbox.x0 - 1 <= box.x0 < box.x1 <= part.bbox.x1 + 1
            assert part.bbox.y0 - 1 <= box.y0 < box.y1 <= part.bbox.y1 + 1


def test_figures_without_a_layout_get_one():
    figure, ax = plt.subplots(figsize=(4, 3))
    pdna.plots.plot_hash(HASH, ax=ax)
    figure.canvas.draw()
    box = figure.get_tightbbox()
    assert 0 <= box.x0 < box.x1 <= 4
    assert 0 <= box.y0 < box.y1 <= 3


def test_a_layout_of_the_users_own_is_kept():
    figure, ax = plt.subplots()
    figure.subplots_adjust(bottom=0.3)
    pdna.plots.plot_hash(HASH, ax=ax)
    assert figure.get_layout_engine() is None
    figure, ax = plt.subplots(layout="tight")
    engine = figure.get_layout_engine()
    pdna.plots.plot_hash(HASH, ax=ax)
    assert figure.get_layout_engine() is engine


def test_png_closes_what_it_opens():
    own = plt.figure()
    drawn = pdna.plots.render_png(lambda: pdna.plots.plot_hash(HASH))
    assert drawn.startswith(b"\x89PNG")
    with pytest.raises(pdna.ArgumentTypeError, match="draw: returned NoneType, needs to return"):
        pdna.plots.render_png(lambda: plt.figure().clear())

    def failing():
        plt.figure()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pdna.plots.render_png(failing)
    assert plt.get_fignums() == [own.number]


@pytest.fixture
def gallery(monkeypatch):
    """The script that draws the gallery, as a module."""
    monkeypatch.syspath_prepend(ROOT / "data")
    return importlib.import_module("draw_figures")


@pytest.mark.long
def test_the_gallery_has_every_figure(gallery, tmp_path):
    names = [name for name in pdna.plots.__all__ if name.startswith("plot_")]
    assert len(names) >= 12
    material = gallery.Material(originals=12)
    drawn = gallery.draw_gallery(tmp_path, material, sizes=["small"], styles=["dark"])
    assert {path.name for path in drawn} == {f"{name}-small-dark.png" for name in names}
    page = (tmp_path / "index.html").read_text("utf-8")
    for path in drawn:
        assert path.stat().st_size > 5000
        assert f"src='{path.name}'" in page
    assert all(len(entry.caption) > 80 for entry in gallery.GALLERY.values())
    with pytest.raises(SystemExit, match=r"Of 12 originals no tail is accepted: .+"):
        gallery.check_tail(material)


def test_captions_are_checked(gallery, monkeypatch):
    """Those that a small evaluation can check are true; and a false one is found."""
    material = gallery.Material(originals=60)
    gallery.check_captions(material)
    monkeypatch.setitem(vars(material), "variant_distances", dict.fromkeys(gallery.TRANSFORMS, 5.0))
    with pytest.raises(SystemExit, match=r"the captions are not true of plot_transforms$"):
        gallery.check_captions(material)


@pytest.mark.parametrize("name", ["plot_new", "plot_image_pairs"])
def test_a_gallery_of_other_figures_is_refused(gallery, tmp_path, monkeypatch, name):
    """A new one without an entry, and an entry without one."""
    names = {*pdna.plots.__all__} ^ {name}
    monkeypatch.setattr(pdna.plots, "__all__", sorted(names))
    with pytest.raises(SystemExit, match=f"differ in: {name}$"):
        gallery.draw_gallery(tmp_path, gallery.Material())
    assert not list(tmp_path.iterdir())


def test_axes_that_were_removed():
    _, ax = plt.subplots()
    ax.remove()
    with pytest.raises(pdna.ArgumentError, match="ax: got axes that were removed"):
        pdna.plots.plot_hash(np.zeros(144, np.uint8), ax=ax)
    plt.close("all")
