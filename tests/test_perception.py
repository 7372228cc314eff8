"""The hasher of perception, in perception's own tests, deduplication and benchmarks.

Skipped without the extra `perception`; the benchmarks also without perception's `benchmarking`.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, needs
from PIL import Image

import photodna_nb as pdna

tools = pytest.importorskip("perception.tools")
images = pytest.importorskip("perception.hashers.tools")

PICTURES = ROOT / "data" / "pictures"
HARBOUR = str(PICTURES / "harbour.jpg")


@pytest.fixture(scope="module")
def hasher():
    from photodna_nb.integrations.perception import PhotodnaHasher

    return PhotodnaHasher()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two pictures, a copy of each, and the first one mirrored without loss."""
    folder = tmp_path_factory.mktemp("files")
    with Image.open(HARBOUR) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.png")
    names = ["harbour.jpg", "harbour_recompressed.jpg", "pebbles.jpg", "pebbles_recompressed.jpg"]
    return [*(str(PICTURES / name) for name in names), str(folder / "mirrored.png")]


def names(pairs):
    return {tuple(sorted(Path(path).stem for path in pair)) for pair in pairs}


COPIES = {("harbour", "harbour_recompressed"), ("pebbles", "pebbles_recompressed")}
MIRRORED = {("harbour", "mirrored"), ("harbour_recompressed", "mirrored")}


def test_hashes_are_those_of_the_package(hasher, files):
    for path in files:
        of_path = hasher.compute(path, hash_format="vector")
        np.testing.assert_array_equal(of_path, pdna.hash_image(images.read(path)))
        assert pdna.distance(of_path, pdna.hash_file(path)) < 5, "two decoders of JPEG"
    first, second = (hasher.compute(path) for path in files[1:3])
    vectors = [hasher.string_to_vector(text) for text in (first, second)]
    assert hasher.compute_distance(first, second) == pytest.approx(pdna.distance(*vectors))


def test_integrity(hasher):
    """Perception's own test: decoders of JPEG differ by less than 1, orientations by nothing."""
    testing = pytest.importorskip("perception.testing", exc_type=ImportError)
    testing.test_image_hasher_integrity(hasher, 1, 1e-9)


@pytest.mark.parametrize("size", [(64, 48), (33, 80)])
def test_orientations(hasher, size):
    with Image.open(HARBOUR) as image:
        pixels = np.asarray(image.resize(size))
    turned = images.get_isometric_transforms(pixels)
    expected = {name: hasher.compute(image) for name, image in turned.items()}
    assert hasher.compute_isometric(pixels) == expected
    assert len(set(expected.values())) == 8
    permuted = hasher.compute_isometric_from_hash(expected["r0"])
    assert list(permuted) == list(expected)
    for name, text in permuted.items():
        distances = {other: hasher.compute_distance(text, expected[other]) for other in expected}
        assert min(distances, key=distances.get) == name
        assert (distances[name] == 0) == (name in ("r0", "r90fv"))


def test_what_opencv_reads_otherwise(hasher, tmp_path):
    """EXIF orientation is applied, and 16-bit grey is scaled; an image of Pillow is not altered."""
    turned, grey = tmp_path / "turned.png", tmp_path / "grey.png"
    with Image.open(HARBOUR) as image:
        exif = Image.Exif()
        exif[0x0112] = 6  # shown rotated by 90 degrees clockwise
        image.save(turned, exif=exif)
        values = np.asarray(image.convert("L"))
        upright = image.transpose(Image.Transpose.ROTATE_270)
    Image.fromarray(values.astype(np.uint16) * 257).save(grey)
    for path, read in [(turned, np.asarray(upright)), (grey, values)]:
        here = pdna.hash_file(path)
        there = hasher.compute(str(path), hash_format="vector")
        np.testing.assert_array_equal(there, pdna.hash_image(read))
        assert pdna.distance(here, there) > 500
        with Image.open(path) as image:
            of_image = hasher.compute(image, hash_format="vector")
        np.testing.assert_array_equal(of_image, here)


def test_errors_are_recorded(hasher, tmp_path):
    small = tmp_path / "small.png"
    Image.new("RGB", (1, 9)).save(small)
    (record,) = hasher.compute_parallel([str(small)])
    assert record["hash"] is None
    assert record["error"].startswith("image: ")


@needs("names of any bytes")
def test_names_that_are_not_utf_8(hasher, tmp_path):
    """They are errors, where OpenCV would end the process; opened by Pillow they are hashed."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    shutil.copy(HARBOUR, path)
    (record,) = hasher.compute_parallel([path])
    assert "not UTF-8" in record["error"]
    for compute in (hasher.compute, hasher.compute_isometric, hasher.compute_with_quality):
        with pytest.raises(pdna.ImageError, match=r"PIL\.Image\.open"):
            compute(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(hasher.compute(image, "vector"), pdna.hash_file(path))


@pytest.mark.parametrize(("isometric", "found"), [(False, COPIES), (True, COPIES | MIRRORED)])
def test_deduplication(hasher, files, isometric, found):
    assert names(tools.deduplicate(files, [(hasher, 100)], isometric=isometric)) == found


def test_index_in_memory(hasher, files):
    """The recipe of docs/integrations.md."""
    records = [one for one in hasher.compute_parallel(files) if one["error"] is None]
    vectors = np.stack([hasher.string_to_vector(one["hash"]) for one in records])
    index = pdna.HashIndex.in_memory()
    index.add([one["filepath"] for one in records], vectors)
    (matches,) = index.search(
        hasher.compute(files[-1], hash_format="vector"), 9, max_distance=100, orientations=True
    )
    found = {Path(match.path).stem for match in matches}
    assert found == {"mirrored", "harbour", "harbour_recompressed"}


@pytest.mark.filterwarnings("ignore")  # of the packages that perception's benchmarks import
def test_benchmark(hasher, files, tmp_path):
    benchmarking = pytest.importorskip("perception.benchmarking", exc_type=ImportError)
    dataset = benchmarking.BenchmarkImageDataset.from_tuples(
        [(path, "pictures") for path in files[::2]]
    )
    turned = {"noop": lambda image: image, "blocky": lambda image: image[::2, ::2].copy()}
    transformed = dataset.transform(turned, str(tmp_path / "transformed"))
    hashes = transformed.compute_hashes({"photodna": hasher})
    metrics = hashes.compute_metrics()
    assert len(metrics) == 2 * len(files[::2])
    assert list(hashes._df["hash"]) == [hasher.compute(path) for path in hashes._df["filepath"]]
    recall = hashes.compute_threshold_recall(precision_threshold=99)
    assert (recall["recall"] == 100).all()
