"""Figures: numbers and artists, never pixels."""

import matplotlib as mpl
import numpy as np
import pytest
from conftest import JIT_OFF

mpl.use("agg")

import matplotlib.pyplot as plt

import photodna_nb as pdna

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
    last = rounds.lines[len(trace.rounds) - 1].get_ydata()
    np.testing.assert_array_equal(np.sort(last), np.sort(trace.vector))
    heights = {round(bar.get_x() + 0.5): bar.get_height() for bar in bars.patches}
    assert [heights[place] for place in range(144)] == trace.hash.tolist()
    for ax in figure.axes[:6]:
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    figure.canvas.draw()


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


def test_a_sheet_of_edits(image):
    edits = [*pdna.transforms.STANDARD[:6], pdna.transforms.parse("mirror+jpeg:30")]
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


@pytest.mark.parametrize("size", [None, (6, 9), (13, 7.5)])
def test_a_sheet_of_edits_at_any_size(image, size):
    """No label reaches into its neighbour's or out of the figure."""
    given = None if size is None else plt.figure(figsize=size, layout="constrained")
    edits = pdna.transforms.STANDARD
    distances = np.full(len(edits), 1448)
    figure = pdna.plots.plot_transforms(image, edits, distances=distances, figure=given)
    assert given in (None, figure)
    assert len(figure.axes) == 1 + len(edits)
    figure.canvas.draw()
    frame = figure.bbox
    boxes = [
        text.get_window_extent()
        for ax in figure.axes
        for text in (ax.title, ax.xaxis.label)
        if text.get_text()
    ]
    assert len(boxes) == 1 + 2 * len(edits)
    for box in boxes:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
    assert sum(a.overlaps(b) for a in boxes for b in boxes) == len(boxes), "each only itself"


def test_a_sheet_without_distances_or_edits(image):
    figure = pdna.plots.plot_transforms(image, pdna.transforms.STANDARD[:3], columns=2)
    assert not any(ax.get_xlabel() for ax in figure.axes)
    assert len(pdna.plots.plot_transforms(image, []).axes) == 1
    with pytest.raises(pdna.ArgumentError, match="distances: got 2, needs one for each of 3"):
        pdna.plots.plot_transforms(image, pdna.transforms.STANDARD[:3], distances=[1, 2])
