"""Every stage against the plain-Python oracle, bit for bit."""

import math
import subprocess
import sys

import hypothesis.extra.numpy as npst
import numpy as np
import oracle
import pytest
from conftest import JIT_OFF, needs
from hypothesis import example, given
from hypothesis import strategies as st
from numba.core.errors import TypingError
from PIL import Image

import photodna_nb as pdna
from photodna_nb import checks
from photodna_nb.hashing import images, stages
from photodna_nb.kernels import hashing as kernels

# The oracle and the kernels without JIT take about a millisecond for a hundred pixels.
LARGEST = 40 if JIT_OFF else 90


def photograph(height, width, seed=0):
    """Smooth shapes and noise: all stages have something to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(y / height * a + x / width * b) for a, b in rng.uniform(-20, 20, (3, 2))]
    image = 127 + 60 * np.stack(waves, axis=-1) + rng.normal(0, 20, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8)


def oracle_stages(rgb):
    """All stages of an (H, W, 3) array, as arrays."""
    table = oracle.pixel_sums([[tuple(pixel) for pixel in row] for row in rgb.tolist()])
    grid = oracle.feature_grid(table)
    raw = oracle.gradients(grid)
    scaled = oracle.scaled_gradients(raw, *rgb.shape[:2])
    rounds = oracle.normalisation(scaled)
    return {
        "pixel_sums": np.array(table, np.int64),
        "feature_grid": np.array(grid),
        "gradients": np.array(raw).reshape(6, 6, 4),
        "rounds": np.array(rounds),
        "vector": np.array(rounds[-1]),
        "hash": np.array(oracle.quantise(rounds[-1]), np.uint8),
        "detail": oracle.detail(scaled),
    }


def assert_equal_to_oracle(rgb):
    expected = oracle_stages(rgb)
    trace = pdna.trace(rgb)
    for stage, value in expected.items():
        np.testing.assert_array_equal(getattr(trace, stage), value, err_msg=stage, strict=True)
    # The fast path, which never builds the table of sums.
    np.testing.assert_array_equal(pdna.hash_image(rgb), expected["hash"], strict=True)
    assert pdna.detail(rgb) == expected["detail"]


sides = st.integers(2, LARGEST)
rgb_images = st.tuples(sides, sides, st.just(3)).flatmap(lambda s: npst.arrays(np.uint8, s))


@given(rgb_images)
@example(np.full((2, 2, 3), 255, np.uint8))
@example(np.full((28, 28, 3), 255, np.uint8))
@example(np.zeros((13, 40, 3), np.uint8))
def test_any_array(rgb):
    assert_equal_to_oracle(rgb)


@given(height=sides, width=sides, seed=st.integers(0, 2**32 - 1))
def test_photograph_like(height, width, seed):
    assert_equal_to_oracle(photograph(height, width, seed))


@pytest.mark.parametrize(
    ("height", "width"), [(2, 300), (300, 2), (3, 3), (28, 28), (29, 27), (56, 84), (157, 155)]
)
def test_shapes(height, width):
    assert_equal_to_oracle(photograph(height, width))


def test_every_one_of_ten_rounds():
    """One edge, so that a few of the numbers take all: clipping goes on to the end."""
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[:, 30:] = 255
    assert len(oracle_stages(rgb)["rounds"]) == 10
    assert_equal_to_oracle(rgb)
    trace = pdna.trace(rgb)
    assert trace.vector.max() > 0.25
    assert trace.hash.max() == 255


def test_a_value_on_the_clipping_limit_counts_as_clipped():
    """16 equal gradients have a norm of four times each, so that a fourth is exactly 0.25."""
    scaled = np.zeros(144)
    scaled[::9] = 1e6
    rounds = pdna.stages.normalisation(scaled)
    assert len(rounds) == 2
    assert rounds[0].max() == 0.25 > rounds[1].max()
    np.testing.assert_array_equal(rounds, oracle.normalisation(scaled.tolist()))


def corner_sums(pixels):
    """The table of sums; S at the box corners in both ways: in one pass, and from the table."""
    table = pdna.stages.pixel_sums(pixels)
    from_table = np.empty((156, 52))
    kernels.corner_sums_of_table(
        checks.read_only(table), *stages._corners(*table.shape), from_table
    )
    return table, stages._corner_sums(images.pixels(pixels)), from_table


@pytest.mark.skipif(JIT_OFF, reason="too large without JIT")
@pytest.mark.parametrize(
    ("height", "width", "channels"),
    [
        (16384, 29, 1),  # the first row that is read is row 410: more than a uint16 sum holds
        (16384, 29, 3),
        (16384, 29, 4),
        (800_000, 17, 1),
        (3, 2_000_000, 4),
    ],
)
def test_sums_that_need_more_than_their_first_type_holds(height, width, channels):
    pixels = np.full((height, width, channels)[: 2 if channels == 1 else 3], 255, np.uint8)
    table, one_pass, from_table = corner_sums(pixels)
    assert table[-1, -1] == 765 * height * width
    np.testing.assert_array_equal(one_pass, from_table)


@given(sides, sides, st.sampled_from([1, 3, 4]), st.integers(0, 2**32 - 1))
@example(5, 16, 4, 0)  # rows of exactly the 64 bytes that are added at once
@example(88, 22, 3, 0)
@example(90, 63, 1, 0)
def test_one_pass_equals_the_complete_table(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    table, one_pass, from_table = corner_sums(pixels[:, :, 0] if channels == 1 else pixels)
    lines = pixels[:, :, :3].astype(np.int64).sum(axis=2) * (3 if channels == 1 else 1)
    np.testing.assert_array_equal(table, lines.cumsum(0).cumsum(1))
    np.testing.assert_array_equal(one_pass, from_table)


@needs("mprotect")
@pytest.mark.parametrize(
    "shape",
    [
        (9, 30, 3),
        (86, 100),
        *(pytest.param(one, marks=pytest.mark.long) for one in [(2, 64), (40, 16, 4), (7, 5, 3)]),
    ],
)
def test_no_byte_behind_the_image_is_read(shape):
    """The image ends where a page begins that cannot be read: a process ends if it does."""
    program = f"""
import ctypes, mmap
import numpy as np
import photodna_nb as pdna
size = {math.prod(shape)}
pages = mmap.mmap(-1, 1 << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(address + (1 << 19)), ctypes.c_size_t(1 << 19), 0) == 0
image = np.frombuffer(pages, np.uint8, size, (1 << 19) - size).reshape({shape})
image[:] = np.arange(size).reshape({shape}) * 37 % 251
assert (pdna.hash_image(image) == pdna.hash_image(image.copy())).all()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [0, 16, 48])
def test_prefix_sums(width, channels):
    rng = np.random.default_rng(width)
    columns = rng.integers(0, 84 * 255 + 1, width * channels + 64, np.uint16)
    above, out = rng.integers(0, 2**50, width).astype(float), np.empty(width)
    kernels.prefix_sums(columns, channels, above, out)
    pixels = columns[: width * channels].reshape(width, channels)[:, :3].sum(1, np.int64)
    sums = pixels.cumsum() * (3 if channels == 1 else 1)
    np.testing.assert_array_equal(out, above.astype(np.int64) + sums)


@pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
def test_what_the_vector_instructions_cannot_read_is_refused():
    columns, line = np.zeros(128, np.uint16), np.zeros(32)
    for wrong in (columns.astype(np.uint32), columns[::2]):
        with pytest.raises(TypingError, match="needs a C-contiguous vector of uint16"):
            kernels.prefix_sums(wrong, 1, line, line)
        with pytest.raises(TypingError, match="needs a C-contiguous vector of uint16"):
            kernels.add_rows(np.zeros((2, 64), np.uint8), 0, 1, wrong)


def test_channels_and_containers_agree():
    rgb = photograph(50, 70)
    expected = pdna.hash_image(rgb)
    junk = np.random.default_rng(1).integers(0, 256, (50, 70, 1), np.uint8)
    rgbx = np.concatenate([rgb, junk], axis=2)
    for image in (rgbx, Image.fromarray(rgb), Image.fromarray(rgbx, "RGBA")):
        np.testing.assert_array_equal(pdna.hash_image(image), expected)
    grey = rgb[:, :, 0]
    expected = pdna.hash_image(np.stack([grey] * 3, axis=2))
    for image in (grey, Image.fromarray(grey), Image.fromarray(grey).convert("RGB")):
        np.testing.assert_array_equal(pdna.hash_image(image), expected)


def test_views_are_hashed_and_left_alone():
    rgb = photograph(60, 80)
    for view in (rgb[::2, ::-1], rgb.transpose(1, 0, 2), rgb[5:50, 7:70], np.asfortranarray(rgb)):
        before = view.copy()
        flags = view.flags.writeable
        np.testing.assert_array_equal(pdna.hash_image(view), pdna.hash_image(view.copy()))
        np.testing.assert_array_equal(view, before)
        assert view.flags.writeable == flags
    frozen = rgb.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(pdna.hash_image(frozen), pdna.hash_image(rgb))


@pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
def test_one_compiled_variant():
    """Read-only, writable, strided and Pillow pixels all pass the same check."""
    rgb = photograph(40, 40)
    frozen = rgb.copy()
    frozen.flags.writeable = False
    for image in (rgb, frozen, rgb[::2], rgb[:, :, 0], Image.fromarray(rgb)):
        pdna.hash_image(image)
    trace = pdna.trace(rgb)
    pdna.stages.gradients(trace.feature_grid.copy())
    pdna.stages.gradients(trace.feature_grid)
    pdna.stages.unit_vector(trace.vector)
    for kernel in (
        kernels.corners,
        kernels.add_rows,
        kernels.prefix_sums,
        kernels.corner_sums,
        kernels.feature_grid,
        kernels.gradients,
        kernels.norm,
        kernels.normalisation,
    ):
        # None where a kernel that calls it came from the cache.
        assert len(kernel.signatures) <= 1
    assert len(kernels.corner_sums.signatures) == 1


def test_the_outermost_ring_is_not_read():
    rgb = photograph(64, 90)
    other = rgb.copy()
    for ring in (other[0], other[-1], other[:, 0], other[:, -1]):
        ring[:] = 255 - ring
    inside = photograph(64, 90)
    inside[20:40, 20:40] = 0
    # Above and to the left the ring is part of every sum, and cancels out but for rounding.
    np.testing.assert_allclose(
        pdna.hash_image(rgb).astype(int), pdna.hash_image(other).astype(int), atol=1
    )
    assert pdna.distance(pdna.hash_image(rgb), pdna.hash_image(inside)) > 100


def test_flat_images():
    for side in (2, 80, 100):
        assert not pdna.hash_image(np.full((side, side, 3), 77, np.uint8)).any()
    small = [pdna.hash_image(np.full((9, 9, 3), grey, np.uint8)) for grey in (100, 200)]
    assert small[0].any()
    np.testing.assert_array_equal(*small)


def test_detail_tells_noise_from_images():
    noise = np.random.default_rng(0).integers(127, 129, (300, 300), np.uint8)
    assert pdna.detail(noise) < 10
    assert pdna.detail(photograph(300, 300)) > 300
    norm = np.linalg.norm(pdna.hash_image(noise).astype(float))
    assert norm > 900, "the norm of the hash does not show it"


def test_trace_is_frozen():
    trace = pdna.trace(photograph(30, 30))
    with pytest.raises(AttributeError):
        trace.detail = 1.0
    for stage in ("pixel_sums", "feature_grid", "gradients", "rounds", "vector", "hash"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(trace, stage)[...] = 0


def test_stages_are_a_chain():
    rgb = photograph(45, 60)
    trace = pdna.trace(rgb)
    sums = pdna.stages.pixel_sums(rgb)
    raw = pdna.stages.gradients(pdna.stages.feature_grid(sums))
    rounds = pdna.stages.normalisation(pdna.stages.scaled_gradients(raw, 45, 60))
    np.testing.assert_array_equal(pdna.stages.quantise(rounds[-1]), trace.hash)
    # A stage takes the frozen arrays of a trace too.
    np.testing.assert_array_equal(pdna.stages.feature_grid(trace.pixel_sums), trace.feature_grid)
    np.testing.assert_array_equal(pdna.stages.gradients(trace.feature_grid), trace.gradients)
    np.testing.assert_array_equal(pdna.stages.quantise(trace.vector), trace.hash)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: pdna.hash_image("a.jpg"), pdna.ArgumentTypeError, "image: got str.*hash_file"),
        (lambda: pdna.hash_image(np.zeros((9, 9))), pdna.ArgumentTypeError, "float64.*uint8"),
        (lambda: pdna.hash_image(np.zeros((9, 9, 2), np.uint8)), pdna.ArgumentError, "9, 9, 2"),
        (lambda: pdna.hash_image(np.zeros(9, np.uint8)), pdna.ArgumentError, r"\(H, W, 3\)"),
        (lambda: pdna.hash_image(np.zeros((1, 9), np.uint8)), pdna.ArgumentError, "at least 2"),
        (lambda: pdna.hash_image(np.zeros((0, 9, 3), np.uint8)), pdna.ArgumentError, "at least 2"),
        (lambda: pdna.hash_image(Image.new("RGB", (9, 1))), pdna.ImageError, "9 x 1 pixels"),
        (lambda: pdna.trace(None), pdna.ArgumentTypeError, "NoneType"),
        (lambda: pdna.hash_file(3), pdna.ArgumentTypeError, "file: got int"),
        (lambda: pdna.hash_file(np.zeros((9, 9), np.uint8)), pdna.ArgumentTypeError, "hash_image"),
        (lambda: pdna.stages.feature_grid([1]), pdna.ArgumentTypeError, "sums: got list.*int64"),
        (
            lambda: pdna.stages.feature_grid(np.zeros((1, 5), np.int64)),
            pdna.ArgumentError,
            "at least 2 rows",
        ),
        (lambda: pdna.stages.gradients(np.zeros((26, 25))), pdna.ArgumentError, r"\(26, 26\)"),
        (lambda: pdna.stages.quantise(np.zeros((2, 144))), pdna.ArgumentError, r"\(144,\)"),
        (
            lambda: pdna.stages.scaled_gradients(np.zeros((6, 6, 4)), 1, 9),
            pdna.ArgumentError,
            "height: got 1, needs an integer of at least 2",
        ),
        (
            lambda: pdna.stages.scaled_gradients(np.zeros((6, 6, 4)), "a", 9),
            pdna.ArgumentTypeError,
            "height: got str, needs an integer",
        ),
    ],
)
def test_wrong_arguments(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_the_length_of_a_hash_is_one_number():
    assert checks.HASH_BYTES == kernels.HASH_BYTES


def test_rows_of_an_image():
    rows, channels = images.rows(images.pixels(np.zeros((5, 7, 4), np.uint8)))
    assert (rows.shape, channels) == ((5, 28), 4)
