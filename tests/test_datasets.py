"""Originals: generated ones against a naive twin and pinned bytes, files as they are."""

import codecs
import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from math import isqrt

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

import photodna_nb as pdna
from photodna_nb.corpus import datasets
from photodna_nb.corpus.datasets import dead_leaves, from_directory, from_list, installed
from photodna_nb.corpus.dead_leaves import DeadLeavesOriginal
from photodna_nb.kernels import dead_leaves as kernels

PHOTO = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
LARGEST_NUMBER = 2**63 - 1


def clamped(value):
    return max(0, min(255, value))


def naive_paint(leaves, square_min, square_max, brightness, contrast, colour, texture, image):
    """Plain Python: every leaf visits every pixel. `image[y][x]` is None or (R, G, B)."""
    height, width = len(texture), len(texture[0])
    reach = isqrt(square_max)
    share = (square_max - square_min) * 2**31 // square_max
    for place, size, shades in leaves:
        x0 = (place % 2**31) * (width + 2 * reach) // 2**31 - reach
        y0 = (place // 2**31 % 2**31) * (height + 2 * reach) // 2**31 - reach
        square = square_min * 2**31 // (2**31 - (size % 2**31) * share // 2**31)
        signed = [shades // 256**k % 256 - 128 for k in range(6)]
        grey = brightness + signed[0] * contrast // 128
        base = [grey + signed[k] * colour // 128 for k in (1, 2, 3)]
        slopes = [signed[k] * 2**13 // (isqrt(square) + 1) for k in (4, 5)]
        for y in range(height):
            for x in range(width):
                dx, dy = x - x0, y - y0
                if image[y][x] is None and dx * dx + dy * dy <= square:
                    shade = (slopes[0] * dx + slopes[1] * dy) // 2**16
                    shade += (texture[y][x] - 128) * (shades // 2**48 % 16) // 128
                    image[y][x] = tuple(clamped(value + shade) for value in base)


def naive_dead_leaves(seed, index, width, height):
    """An image from the raw stream, one number at a time."""
    stream = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,)))
    radius, *shades = (int(stream.random_raw()) // 2**33 for _ in range(4))
    ranges = ((80, 176), (20, 128), (10, 60))
    shades = [a + n * (b + 1 - a) // 2**31 for n, (a, b) in zip(shades, ranges, strict=True)]
    side = min(width, height)
    low, high = 65536 // 48, 65536 // 12
    square_min = max(1, (side * (low + radius * (high - low) // 2**31)) ** 2 // 2**32)
    grain = b"".join(
        int(stream.random_raw()).to_bytes(8, "little") for _ in range(-(-width * height // 8))
    )
    texture = [grain[y * width : (y + 1) * width] for y in range(height)]
    image = [[None] * width for _ in range(height)]
    while any(None in row for row in image):
        leaf = [int(stream.random_raw()) // 2 for _ in range(3)]
        naive_paint([leaf], square_min, side * side, *shades, texture, image)
    return np.array(image, np.uint8)


sides = st.integers(2, 14)


@given(
    width=sides,
    height=sides,
    squares=st.tuples(st.integers(1, 500), st.integers(1, 500)).map(sorted),
    shades=st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    leaves=st.lists(st.tuples(*[st.integers(0, LARGEST_NUMBER)] * 3), max_size=12),
    grain=st.binary(min_size=196, max_size=196),
)
@example(5, 4, [1, 1], (0, 0, 0), [(0, 0, 0)], bytes(196))
@example(9, 14, [3, 500], (255, 255, 255), [(LARGEST_NUMBER,) * 3] * 2, b"\xff" * 196)
def test_paint(width, height, squares, shades, leaves, grain):
    texture = np.frombuffer(grain, np.uint8)[: width * height].reshape(height, width)
    following = np.tile(np.arange(width + 1, dtype=np.int32), (height, 1))
    out = np.zeros((height, width, 3), np.uint8)
    numbers = np.array(leaves, np.int64).reshape(-1, 3)
    covered = kernels.paint(numbers, *squares, *shades, texture, following, out)
    image = [[None] * width for _ in range(height)]
    naive_paint(leaves, *squares, *shades, texture.tolist(), image)
    assert covered == sum(pixel is not None for row in image for pixel in row)
    naive = [[pixel or (0, 0, 0) for pixel in row] for row in image]
    np.testing.assert_array_equal(out, np.array(naive, np.uint8))


@given(sides, sides, st.integers(0, 2**70), st.integers(0, 2**40))
@example(2, 2, 0, 0)
@example(2, 60, 1, 0)
@example(40, 30, 0, 1)
def test_dead_leaves(width, height, seed, index):
    drawn = dead_leaves(index + 1, (width, height), seed)[index].open()
    np.testing.assert_array_equal(np.asarray(drawn), naive_dead_leaves(seed, index, width, height))


PINNED = {
    ((37, 23), 0, 0): "e4c736c1155e9467aaa68a060d5c327e1854c8ad2ab3f187a7012c18ff0988ac",
    ((37, 23), 7, 1): "16d2cbb13b4dacd065017a8efbfcff56af53328f2b6a1a5532809b0ab948d448",
    ((2, 2), 0, 1): "46c2c2f9666d16d391a63078e2a27add034a17240cb30cc089ddc02841fef9f1",
    ((256, 192), 0, 0): "21d68a58e4507960d54c9038d0bd04a3b9dc0992080c0c3ab1fa3dfe487170ed",
    ((256, 192), 7, 1): "369dfb275c4ca9886dc2095622836ace9ea27465c35cf71e199ca4bd1ce20e92",
}


@pytest.mark.parametrize(("size", "seed", "index"), PINNED)
def test_the_same_bytes_on_every_machine(size, seed, index):
    drawn = dead_leaves(2, size, seed)[index].open()
    assert drawn.mode == "RGB"
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == PINNED[size, seed, index]


def test_a_image_depends_on_its_seed_and_index_alone():
    few, many = dead_leaves(3, (40, 30), 5), dead_leaves(10**9, (40, 30), 5)
    expected = [original.open().tobytes() for original in few]
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda k: many[k].open().tobytes(), (2, 1, 0)))
    assert again == expected[::-1]
    assert len(set(expected)) == 3
    others = {(0, 1), (2**32, 0), (0, 2**32), (1, 0)}  # words of seed and index never mix
    drawn = {DeadLeavesOriginal("", s, k, (40, 30)).open().tobytes() for s, k in others}
    assert len(drawn) == 4


@pytest.mark.skipif(JIT_OFF, reason="slow without compiled kernels")
@pytest.mark.parametrize("size", [(2, 700), (700, 2), (32767, 3), (200, 300)])
def test_any_size(size):
    drawn = dead_leaves(1, size)[0].open()
    assert drawn.size == size
    assert len(drawn.getcolors(32767 * 3)) > 2


@pytest.mark.skipif(JIT_OFF, reason="slow without compiled kernels")
def test_statistics_of_photographs():
    images = [original.open() for original in dead_leaves(150)]
    detail = np.array([pdna.detail(image) for image in images])
    assert np.mean((detail >= 600) & (detail <= 6000)) > 0.95
    hashes = np.stack([pdna.hash_image(image) for image in images])
    distances = pdna.distance_matrix(hashes)[np.triu_indices(len(hashes), 1)]
    assert distances.min() > 400
    assert 850 < np.median(distances) < 950


def test_a_data_set_is_a_sequence_that_can_be_pickled():
    drawn = dead_leaves(5, (40, 30), 2)
    assert len(drawn) == 5
    assert [original.name for original in drawn] == [f"dead_leaves/00000{k}" for k in range(5)]
    assert drawn[-1] == drawn[4] == drawn[3:][1]
    assert drawn[1] in drawn
    with pytest.raises(IndexError):
        drawn[5]
    again = pickle.loads(pickle.dumps(drawn))
    assert again == drawn
    assert again[3].open().tobytes() == drawn[3].open().tobytes()
    assert drawn.name == "dead_leaves"
    assert json.loads(json.dumps(drawn.description)) == {
        **{"kind": "dead_leaves", "number": 5, "size": [40, 30], "seed": 2}
    }
    assert repr(drawn).startswith("<Dataset of 5 originals: {'kind': 'dead_leaves'")
    with pytest.raises(AttributeError):
        drawn[0].seed = 3


def test_digests_of_generated_images_stand_for_their_pixels():
    every = [*dead_leaves(2), *dead_leaves(2, seed=1), *dead_leaves(2, (192, 256))]
    digests = [original.digest() for original in every]
    assert len(set(digests)) == 6
    assert digests[1] == "a248011de144488266d0d306e1db09002c74e924abe0b919294328b0ad716910"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ((0,), pdna.ArgumentError, "number: got 0, needs an integer from 1 to"),
        ((2.5,), pdna.ArgumentTypeError, "number: got float, needs an integer"),
        ((True,), pdna.ArgumentTypeError, "number: got bool"),
        (
            (10**30,),
            pdna.ArgumentError,
            "number: got an integer of more than 18 digits",
        ),
        ((1, (1, 5)), pdna.ArgumentError, "size: got 1, needs an integer from 2 to 32767"),
        ((1, (5, 32768)), pdna.ArgumentError, "size: got 32768, needs an integer from 2 to 32767"),
        ((1, 5), pdna.ArgumentTypeError, r"size: got int, needs \(width, height\)"),
        ((1, (5, 5), -1), pdna.ArgumentError, "seed: got -1, needs an integer of at least 0"),
    ],
)
def test_wrong_dead_leaves(arguments, kind, words):
    with pytest.raises(kind, match=words):
        dead_leaves(*arguments)


@pytest.fixture
def folder(tmp_path):
    """Images, one of them broken, a text, a folder below, and what is hidden."""
    top = tmp_path / "top"
    for below in ("b", "b/deep", ".thumbnails"):
        (top / below).mkdir(parents=True)
    for name in ("z.png", "a.png", "b/x.png", "b/deep/y.png", ".thumbnails/z.png", ".hidden.png"):
        Image.fromarray(PHOTO).save(top / name)
    (top / "notes.txt").write_text("no image")
    (top / "circle").symlink_to(top)
    return top


def test_from_directory(folder, monkeypatch):
    every = from_directory(folder)
    assert [original.name for original in every] == [
        "a.png",
        "b/deep/y.png",
        "b/x.png",
        "notes.txt",
        "z.png",
    ]
    description = {"kind": "from_directory", "path": str(folder), "recursive": True}
    assert every.description == description
    np.testing.assert_array_equal(np.asarray(every[1].open()), PHOTO)
    content = (folder / "a.png").read_bytes()
    assert every[0].digest() == hashlib.sha256(content).hexdigest()
    monkeypatch.chdir(folder)
    flat = from_directory(".", recursive=False)
    assert [original.name for original in flat] == ["a.png", "notes.txt", "z.png"]
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(flat))[0].open().size == (30, 20)


def test_files_that_cannot_be_read_tell_when_they_are_opened(folder):
    notes = from_directory(folder)[3]
    with pytest.raises(pdna.ImageError, match=r"notes\.txt: is not an image"):
        notes.open()
    (folder / "notes.txt").unlink()
    for read in (notes.open, notes.digest):
        with pytest.raises(pdna.ImageError, match=r"notes\.txt: no such file"):
            read()
    (folder / "notes.txt").mkdir()
    with pytest.raises(pdna.ImageError, match="is a directory"):
        notes.digest()


def test_from_directory_says_what_is_wrong(tmp_path):
    with pytest.raises(pdna.FileError, match=r"missing: cannot be listed \(No such file"):
        from_directory(tmp_path / "missing")
    with pytest.raises(pdna.FileError, match=r"NUL|null"):
        from_directory("a\0b")
    (tmp_path / ".hidden").touch()
    with pytest.raises(pdna.FileError, match="holds no files that are not hidden; check the path"):
        from_directory(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").touch()
    with pytest.raises(pdna.FileError, match="or set recursive"):
        from_directory(tmp_path, recursive=False)
    with pytest.raises(pdna.ArgumentTypeError, match="path: got int, needs a path"):
        from_directory(3)


def test_every_mode_comes_as_rgb(tmp_path):
    for mode in ("L", "LA", "RGBA", "P", "1", "CMYK"):
        name = f"{mode}.tif"
        Image.fromarray(PHOTO).convert(mode).save(tmp_path / name)
        opened = from_list([tmp_path / name])[0].open()
        assert (opened.mode, opened.size, opened.info) == ("RGB", (30, 20), {})
        np.testing.assert_array_equal(pdna.hash_image(opened), pdna.hash_file(tmp_path / name))


def test_from_list(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    expected = ["z.png", "b/x.png"]
    listed = tmp_path / "listed"
    for content in (
        b"z.png\nb/x.png\n",
        b"z.png\r\n\r\nb/x.png",
        b"z.png\0b/x.png\0",
        codecs.BOM_UTF8 + b"z.png\r\nb/x.png\r\n",
        "z.png\r\nb/x.png\r\n".encode("utf-16"),
    ):
        listed.write_bytes(content)
        every = from_list(listed)
        assert [original.name for original in every] == expected
        assert every.description == {"kind": "from_list", "path": str(listed), "number": 2}
    given_paths = from_list([folder / "z.png", *expected[1:]])
    assert [original.name for original in given_paths] == [str(folder / "z.png"), "b/x.png"]
    assert [original.path for original in given_paths] == [original.path for original in every]
    assert given_paths.description == {"kind": "from_list", "number": 2}
    monkeypatch.chdir("/")
    assert every[1].open().size == (30, 20)


def test_from_list_says_what_is_wrong(tmp_path):
    (tmp_path / "empty").touch()
    for empty in (tmp_path / "empty", []):
        with pytest.raises(pdna.ArgumentError, match="paths: got none"):
            from_list(empty)
    with pytest.raises(pdna.ArgumentError, match=r"\./a is listed twice \(as a before\)"):
        from_list(["a", "b", "./a"])
    with pytest.raises(pdna.FileError, match="no such file"):
        from_list(tmp_path / "missing")
    for wrong in (3, b"a", [3]):
        with pytest.raises(pdna.ArgumentTypeError, match="paths: got"):
            from_list(wrong)


@needs("names of any bytes")
def test_names_are_bytes_of_strangers(tmp_path):
    name = "caf\udce9\n.png"
    Image.fromarray(PHOTO).save(tmp_path / name, format="PNG")
    (original,) = from_directory(tmp_path)
    assert original.name == name
    assert original.open().size == (30, 20)
    assert json.loads(json.dumps(original.name)) == name


def test_installed_photographs():
    pytest.importorskip("matplotlib")
    every = installed()
    names = [original.name for original in every]
    assert "matplotlib/grace_hopper.jpg" in names
    assert len(names) == len(set(names))
    assert every.description["packages"]["matplotlib"].startswith("3.")
    for original in every:
        assert min(original.open().size) >= 100
        assert pdna.detail(original.open()) > 200


def test_none_installed(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda _: None)
    with pytest.raises(pdna.FileError, match="pip install matplotlib scikit-image"):
        installed()
