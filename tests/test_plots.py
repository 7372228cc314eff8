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
