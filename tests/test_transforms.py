"""Transforms: what they do, at their bounds, the same every time; and what the hash keeps."""

import hashlib
import io
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import JIT_OFF, spawned_processes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import photodna_nb as pdna
from photodna_nb.corpus import operations
from photodna_nb.corpus.transforms import (
    KINDS,
    STANDARD_LISTS,
    Chain,
    Transform,
    parse,
    seed_for,
    standard,
    standard_version,
)

PHOTO = Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8))
CHAIN = Chain((Transform("resize", 50), Transform("noise", 10), Transform("noise", 10)))


def transformed(task):
    """The digest of a variant, in whatever process."""
    original, transform = task
    result = transform.apply(original.open(), seed_for(0, original.name, transform.label))
    return hashlib.sha256(result.tobytes()).hexdigest()


def bounds(kind):
    """The least and most strength, those between that stand out, or None."""
    if kind.choices or not kind.has_strength:
        return kind.choices or (None,)
    usual = (transform.strength for transform in standard() if transform.kind is kind)
    return (kind.min_strength, kind.max_strength, *usual)


at_bounds = st.sampled_from(
    [Transform(kind.name, strength) for kind in KINDS.values() for strength in bounds(kind)]
)


@given(at_bounds, st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**64))
def test_any_image_of_two_by_two_pixels_or_more(transform, width, height, seed):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    result = transform.apply(image, seed)
    assert result.mode == "RGB"
    assert min(result.size) >= 2
    assert result.info == {}
    np.testing.assert_array_equal(np.asarray(image), pixels, err_msg="the original is as it was")
    assert result.tobytes() == transform.apply(pixels, seed).tobytes()
    pdna.hash_image(result)


def test_the_table_is_complete():
    """Every transform of the specification, and each with what a figure and an error need."""
    assert set(KINDS) == {
        "jpeg",
        "webp",
        "resize",
        "aspect",
        "crop_left",
        "crop_top",
        "crop_right",
        "crop_bottom",
        "crop",
        "border",
        "letterbox",
        "rotate",
        "turn",
        "mirror",
        "flip",
        "blur",
        "sharpen",
        "noise",
        "brightness",
        "contrast",
        "gamma",
        "saturation",
        "greyscale",
        "palette",
        "text",
        "logo",
    }
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.description
        assert kind.has_strength == bool(kind.unit)
        assert kind.takes(None) != kind.has_strength
    assert {transform.name for transform in standard()} == set(KINDS)
    labels = [transform.label for transform in standard()]
    assert len(labels) == len(set(labels)) >= 40


def test_standard_1_is_frozen():
    """A run names its list: this text never changes. A new transform goes into a new list."""
    specs = " ".join(transform.spec for transform in standard("standard-1"))
    assert specs == (
        "jpeg:90 jpeg:50 jpeg:30 jpeg:10 webp:80 webp:30 resize:200 resize:50 resize:25 "
        "aspect:125 aspect:80 crop_left:5 crop_top:5 crop_right:5 crop_bottom:5 crop:2 crop:5 "
        "crop:10 border:2 border:5 letterbox:10 rotate:1 rotate:5 rotate:15 turn:90 turn:180 "
        "turn:270 mirror flip blur:1 blur:3 sharpen:150 noise:10 noise:25 brightness:70 "
        "brightness:130 contrast:70 contrast:140 gamma:0.7 gamma:1.5 saturation:50 greyscale "
        "palette:64 palette:16 text:8 logo:20"
    )


def test_standard_names_a_list():
    assert standard() == standard("standard") == standard(standard_version())
    assert standard_version("standard") == list(STANDARD_LISTS)[-1] == "standard-1"
    assert standard_version("standard-1") == "standard-1"
    for function in (standard, standard_version):
        with pytest.raises(pdna.ArgumentError, match="needs one of standard, standard-1; did you"):
            function("standard-0")
        with pytest.raises(pdna.ArgumentTypeError, match="version: got int"):
            function(1)


def test_labels_and_specs():
    for spec, label in (
        ("jpeg:30", "jpeg 30"),
        ("crop_left:5", "crop_left 5 %"),
        ("rotate:-1.5", "rotate -1.5°"),
        ("mirror", "mirror"),
        ("resize:50+jpeg:30", "resize 50 % + jpeg 30"),
        ("noise:0.1", "noise 0.1"),
        ("gamma:0.30000000000000004", "gamma 0.30000000000000004"),
    ):
        transform = parse(spec)
        assert (transform.label, transform.spec) == (label, spec)
    for transform in (*standard(), CHAIN):
        assert parse(transform.spec) == transform
        assert pickle.loads(pickle.dumps(transform)) == transform
        assert hash(parse(transform.spec)) == hash(transform)
    assert parse(" resize : 50 + jpeg:30.0 ") == parse("resize:50+jpeg:30")
    assert CHAIN.name == "resize+noise+noise"
    assert (CHAIN.strength, CHAIN.unit) == (None, "")
    assert Transform("crop", 5).unit == "% of each side"
    with pytest.raises(AttributeError):
        Transform("crop", 5).strength = 3


@pytest.mark.parametrize("strength", [30, 30.0, np.int64(30), np.float32(30)])
def test_strengths_are_plain_numbers(strength):
    transform = Transform("jpeg", strength)
    assert type(transform.strength) is int
    assert transform == Transform("jpeg", 30)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("jpg:30", "no transform called 'jpg'; did you mean jpeg?"),
        ("resize:50+jpg:30", "did you mean jpeg?"),
        ("crop_lft:3", "did you mean crop_left?"),
        ("", "there is no transform called ''; there are jpeg, webp"),
        ("jpeg", r"jpeg: got no strength, needs an integer from 1 to 100 \(quality\)"),
        ("jpeg:0", "jpeg: got the strength 0, needs an integer from 1 to 100"),
        ("jpeg:2.5", r"jpeg: got the strength 2\.5, needs an integer"),
        ("jpeg:", "jpeg: got the strength .*, needs an integer"),
        ("jpeg:high", "jpeg: got the strength 'high', needs an integer"),
        ("resize:100", "needs a number from 1 to 1000, but not 100"),
        ("rotate:nan", "rotate: got the strength nan, needs a number from -180 to 180, but not 0"),
        ("blur:inf", "blur: got the strength inf"),
        ("turn:45", r"turn: got the strength 45, needs one of 90, 180, 270 \(degrees\)"),
        ("mirror:1", "mirror: got the strength 1, needs no strength"),
        ("crop:46", r"from 0\.1 to 45 \(% of each side\)"),
    ],
)
def test_wrong_specs(spec, words):
    with pytest.raises(pdna.ArgumentError, match=words):
        parse(spec)


def test_wrong_arguments():
    for wrong in ("30", True, 3j):
        with pytest.raises(pdna.ArgumentTypeError, match=r"jpeg: got \w+ as strength"):
            Transform("jpeg", wrong)
    with pytest.raises(pdna.ArgumentTypeError, match="name: got int"):
        Transform(3)
    with pytest.raises(pdna.ArgumentTypeError, match="spec: got int"):
        parse(3)
    with pytest.raises(pdna.ArgumentError, match="transforms: got none"):
        Chain(())
    with pytest.raises(pdna.ArgumentTypeError, match="transforms: got str among them"):
        Chain(("jpeg",))
    with pytest.raises(pdna.ArgumentError, match="seed: got -1, needs an integer of at least 0"):
        Transform("mirror").apply(PHOTO, -1)
    with pytest.raises(pdna.ArgumentTypeError, match=r"seed: got float"):
        CHAIN.apply(PHOTO, 0.5)
    with pytest.raises(pdna.ImageError, match="at least 2 x 2"):
        Transform("mirror").apply(Image.new("RGB", (1, 5)))
    with pytest.raises(pdna.ArgumentTypeError, match="image: got str"):
        Transform("mirror").apply("a.jpg")


def test_results_that_are_too_large(monkeypatch):
    wide = Image.new("RGB", (17_000, 2))
    with pytest.raises(pdna.ArgumentError, match="webp: cannot encode 17000 x 2 pixels"):
        Transform("webp", 80).apply(wide)
    Transform("jpeg", 80).apply(wide)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30 * 20)
    Transform("resize", 99).apply(PHOTO)
    for spec in ("resize:110", "aspect:110", "border:10", "letterbox:5"):
        with pytest.raises(pdna.ArgumentError, match=r"over the limit of 600; use less"):
            parse(spec).apply(PHOTO)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Transform("resize", 110).apply(PHOTO).size == (33, 22)


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="says nothing about the kernels")
def test_the_same_in_any_order_thread_and_process():
    originals = pdna.datasets.dead_leaves(2, (60, 40))
    tasks = [(original, transform) for original in originals for transform in (*standard(), CHAIN)]
    expected = [transformed(task) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(transformed, tasks[::-1])) == expected[::-1]
    with spawned_processes() as pool:
        assert list(pool.map(transformed, tasks, chunksize=len(tasks))) == expected


def test_seeds():
    assert seed_for(0, "a.jpg", "noise 10") == 12408287473166457264
    assert 0 <= seed_for(2**80, "caf\udce9\n.png", "noise 10") < 2**64
    others = {("a", "b c"), ("a b", "c"), ("a", "bc"), ("ab", "c")}
    assert len({seed_for(0, *both) for both in others} | {seed_for(1, "a", "bc")}) == 5
    noise = Transform("noise", 10)
    assert noise.apply(PHOTO, 1).tobytes() != noise.apply(PHOTO, 2).tobytes()
    grey = Image.new("RGB", (30, 20), (128, 128, 128))
    twice = np.asarray(Chain((noise, noise)).apply(grey, 1))
    assert (twice % 2).any(), "the same noise twice would be even"


@pytest.mark.parametrize("deviation", [0.5, 5, 20])
def test_noise_is_normal_enough(deviation):
    grey = Image.new("RGB", (400, 300), (128, 128, 128))
    added = np.asarray(Transform("noise", deviation).apply(grey, 7)).astype(float) - 128
    assert abs(added.mean()) < 0.01 * deviation
    expected = np.sqrt(deviation**2 + 1 / 12)  # rounded to whole grey levels
    assert abs(added.std() / expected - 1) < 0.01
    channels = added.reshape(-1, 3).T
    assert np.abs(np.corrcoef(channels) - np.eye(3)).max() < 0.02
    for level in range(int(3 * deviation)):
        normal = math.erf((level + 0.5) / (deviation * math.sqrt(2)))
        assert abs(np.mean(np.abs(added) <= level) - normal) < 0.02


def test_noise_is_pinned_and_does_not_depend_on_how_it_is_cut(monkeypatch):
    grey = Image.new("RGB", (37, 23), (128, 128, 128))
    first = Transform("noise", 25).apply(grey, 11).tobytes()
    assert (
        hashlib.sha256(first).hexdigest()
        == "e1abd98afc4d5af696b699cc6123f832924660f812dd33f9342f70e22d0a2ac6"
    )
    monkeypatch.setattr(operations, "_VALUES_AT_ONCE", 100)
    assert Transform("noise", 25).apply(grey, 11).tobytes() == first


def test_what_a_file_says_beside_its_pixels_changes_nothing():
    buffer = io.BytesIO()
    palette = PHOTO.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    palette.save(buffer, "PNG", transparency=3, dpi=(10, 10), icc_profile=b"none", exif=exif)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        assert {"transparency", "dpi", "icc_profile"} <= set(opened.info)
        for transform in standard():
            plain = transform.apply(palette.convert("RGB"), 1)
            assert transform.apply(opened, 1).tobytes() == plain.tobytes(), transform.label


def pixels(spec, image=PHOTO):
    return np.asarray(parse(spec).apply(image)).astype(int)


def test_geometry():
    before = np.asarray(PHOTO)
    np.testing.assert_array_equal(pixels("mirror"), before[:, ::-1])
    np.testing.assert_array_equal(pixels("flip"), before[::-1])
    for quarters in (1, 2, 3):
        np.testing.assert_array_equal(pixels(f"turn:{90 * quarters}"), np.rot90(before, quarters))
    np.testing.assert_array_equal(pixels("crop_left:10"), before[:, 3:])
    np.testing.assert_array_equal(pixels("crop_right:10"), before[:, :-3])
    np.testing.assert_array_equal(pixels("crop_top:10"), before[2:])
    np.testing.assert_array_equal(pixels("crop_bottom:10"), before[:-2])
    np.testing.assert_array_equal(pixels("crop:10"), before[2:-2, 3:-3])
    np.testing.assert_array_equal(pixels("border:10")[2:-2, 2:-2], before)
    np.testing.assert_array_equal(pixels("letterbox:10")[2:-2], before)
    for spec, black in (("border:10", (0, 0)), ("letterbox:10", (0, 9))):
        assert not pixels(spec)[black].any()
    assert pixels("resize:50").shape == (10, 15, 3)
    assert pixels("aspect:200").shape == (20, 60, 3)
    assert pixels("rotate:5").shape == before.shape
    red = Image.new("RGB", (40, 40))
    red.paste("red", (30, 15, 40, 25))
    up = pixels("rotate:90", red)
    assert up[:10, 15:25, 0].min() > 200, "positive degrees turn to the left, as turn does"


def test_values():
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (4, 1, 3)))
    np.testing.assert_array_equal(pixels("brightness:50", ramp)[0, :, 0], np.arange(256) // 2)
    gamma = pixels("gamma:2", ramp)[0, :, 0]
    np.testing.assert_array_equal(gamma, np.floor(255 * (np.arange(256) / 255) ** 2 + 0.5))
    assert np.ptp(pixels("contrast:50", ramp)) < 130 < np.ptp(pixels("contrast:90", ramp))
    grey = pixels("greyscale")
    assert (grey == grey[:, :, :1]).all()
    np.testing.assert_array_equal(pixels("saturation:0"), grey)
    assert len(parse("palette:5").apply(PHOTO).getcolors()) <= 5
    assert pixels("blur:2").std() < pixels("blur:1").std() < pixels("sharpen:100").std()


def overlaid(spec, seed=0):
    """Which pixels of a grey image are no longer grey."""
    grey = Image.new("RGB", (300, 200), (128, 128, 128))
    return (np.asarray(parse(spec).apply(grey, seed)) != 128).any(axis=2)


def test_overlays_cover_a_part():
    for spec in ("text:10", "logo:20"):
        assert 0.02 < overlaid(spec).mean() < 0.15
        assert overlaid(spec.replace("0", "5")).mean() > 1.2 * overlaid(spec).mean()
    assert not overlaid("text:10")[:170].any()
    corners = set()
    for seed in range(20):
        y, x = (axis.mean() for axis in np.nonzero(overlaid("logo:20", seed)))
        corners.add((y > 100, x > 150))
    assert len(corners) == 4


@pytest.mark.skipif(JIT_OFF, reason="slow without compiled kernels")
def test_what_the_hash_makes_of_them():
    images = [original.open() for original in pdna.datasets.dead_leaves(12, seed=1)]
    hashes = [pdna.hash_image(image) for image in images]

    def distances(spec, oriented=False):
        every = []
        for image, before in zip(images, hashes, strict=True):
            after = pdna.hash_image(parse(spec).apply(image, 5))
            of = pdna.orientations(before) if oriented else [before]
            every.append(min(pdna.distance(one, after) for one in of))
        return np.array(every)

    for near in ("jpeg:10", "webp:30", "resize:50", "resize:200", "blur:3", "noise:25"):
        assert distances(near).max() < 100, near
    for nearer in ("jpeg:95", "aspect:80", "brightness:70", "contrast:70"):
        assert distances(nearer).max() < 30, nearer
    for far in ("crop:10", "letterbox:10", "rotate:15", "turn:90", "mirror", "flip"):
        assert distances(far).min() > 200, far
    for spec in ("turn:90", "turn:180", "turn:270", "mirror", "flip"):
        assert distances(spec, oriented=True).max() < 100, spec
    assert np.median(distances("resize:50+jpeg:30")) < 60
    harder = [np.median(distances(f"crop:{strength}")) for strength in (1, 2, 5, 10)]
    assert harder == sorted(harder)
