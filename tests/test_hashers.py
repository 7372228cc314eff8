"""Hashers: each beside its own package, a user's own, and what is refused."""

import math
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

import photodna_nb as pdna
from photodna_nb import hashers

# Of the extra `hashers`, which the tests do without: pdqhash needs a compiler.
imagehash = pytest.importorskip("imagehash")
pdqhash = pytest.importorskip("pdqhash")
FUNCTIONS = {
    "average": imagehash.average_hash,
    "perceptual": imagehash.phash,
    "difference": imagehash.dhash,
    "wavelet": imagehash.whash,
}


def picture(mode="RGB", size=(120, 90)):
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    waves = [128 + 90 * np.sin(x / (9 + c) + c) * np.cos(y / (13 - c)) for c in range(3)]
    image = Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))
    return image.convert(mode)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user's and return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in [name for name in sys.modules if name.startswith("my_hasher")]:
        del sys.modules[name]


def test_names():
    assert list(hashers.NAMES) == ["photodna", "pdq", *FUNCTIONS]
    for name in hashers.NAMES:
        hasher = hashers.hasher(name)
        assert hasher.name == name
        assert pickle.loads(pickle.dumps(hasher)).name == name
        assert hasher.dtype == np.uint8


@pytest.mark.parametrize("size", [(120, 90), (9, 7), (2, 2)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK"])
def test_hashes_are_those_of_their_packages(mode, size):
    """On the pixels that the package decodes; grey ones and RGB are those of the image itself."""
    image = picture(mode, size)
    rgb = image.convert("RGB")
    bits, quality = pdqhash.compute(np.asarray(rgb))
    found = hashers.hasher("pdq").hash_image(image)
    assert found.hash.dtype == np.uint8
    assert (found.hash.tolist(), found.quality) == (bits.tolist(), quality)
    for name, function in FUNCTIONS.items():
        found = hashers.hasher(name).hash_image(image)
        assert found.hash.tolist() == function(rgb).hash.reshape(-1).tolist()
        assert math.isnan(found.quality)
        if mode in ("RGB", "L"):
            assert found.hash.tolist() == function(image).hash.reshape(-1).tolist()
    found = hashers.hasher("photodna").hash_image(image)
    assert found.hash.tolist() == pdna.hash_image(image).tolist()
    assert found.quality == pdna.detail(image)


def test_properties():
    photodna, pdq, average = map(hashers.hasher, ("photodna", "pdq", "average"))
    assert (photodna.length, photodna.metric, photodna.unit) == (144, "euclidean", "L2")
    assert (photodna.largest_distance, photodna.quality) == (3060, "detail")
    assert (pdq.length, pdq.metric, pdq.unit, pdq.largest_distance) == (
        *(256, "hamming", "Hamming"),
        256,
    )
    assert (average.length, average.quality, average.largest_distance) == (64, "", 64)
    assert photodna.version.startswith("photodna_nb ")
    assert pdq.version == f"pdqhash {metadata.version('pdqhash')}"
    assert average.version == f"ImageHash {metadata.version('imagehash')}"
    assert repr(pdq) == "<Hasher pdq: 256 values, Hamming distances>"


def test_files_and_comparison(tmp_path):
    """A JPEG file with an orientation in its EXIF data, which no hasher applies."""
    exif = Image.Exif()
    exif[274] = 6
    picture().save(tmp_path / "a.jpg", exif=exif)
    for name in hashers.NAMES:
        hasher = hashers.hasher(name)
        with Image.open(tmp_path / "a.jpg") as image:
            expected = hasher.hash_image(image)
        content = (tmp_path / "a.jpg").read_bytes()
        for file in (tmp_path / "a.jpg", content):
            found = hasher.hash_file(file)
            assert found.hash.tolist() == expected.hash.tolist()
        other = hasher.hash_image(picture(size=(64, 64)))
        rows = np.stack([found.hash, other.hash])
        difference = found.hash.astype(int) - other.hash
        apart = math.sqrt((difference**2).sum()) if name == "photodna" else abs(difference).sum()
        assert pdna.distance(*rows, hasher.metric) == apart <= hasher.largest_distance
        found = pdna.nearest(rows, metric=hasher.metric)
        assert found.distances.tolist() == [[apart], [apart]]
    with pytest.raises(pdna.ImageError, match="nothing"):
        hashers.hasher("pdq").hash_file(tmp_path / "nothing.jpg")


OWN = """
import numpy as np
from photodna_nb import hashers

class Bright(hashers.Hasher):
    name, length = "bright", 64

    def compute(self, image):
        grey = np.asarray(image.convert("L").resize((8, 8)))
        return (grey > grey.mean()).reshape(-1)
"""


def test_a_hasher_of_ones_own(module):
    own = hashers.hasher(f"{module(OWN, 'my_hasher')}:Bright")
    grey = np.asarray(picture().convert("L").resize((8, 8)))
    found = own.hash_image(picture())
    assert found.hash.tolist() == (grey > grey.mean()).reshape(-1).tolist()
    assert (own.metric, own.unit, own.largest_distance, own.version) == (
        "hamming",
        "Hamming",
        64,
        "",
    )
    assert (
        pickle.loads(pickle.dumps(own)).hash_image(picture()).hash.tolist() == found.hash.tolist()
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Bright", "class Other", r"the module has no such class; write class Bright"),
        ("(hashers.Hasher)", "", "the module holds no subclass of hashers.Hasher there"),
        ("def compute", "def other", "the class lacks compute; define it there"),
        ('name, length = "bright", 64', "pass", "the class lacks name, length; define it there"),
        ("64\n", '64\n    metric = "cosine"\n', "metric: got 'cosine', needs one of euclidean"),
        ("64\n", "0\n", "length: got 0, needs an integer from 1 to 4096"),
        ('"bright"', "3", "name: got int, needs text"),
        ('"bright"', '""', "name: got an empty text"),
        ("64\n", "64\n    quality = None\n", "quality: got NoneType, needs text"),
        ("    def", "    def __init__(self, size): ...\n\n    def", "without arguments .TypeError"),
        ("import numpy", "import nothing_of_this_name", "cannot be imported .ModuleNotFoundError"),
    ],
)
def test_what_a_class_lacks(module, old, new, message, request):
    assert old in OWN
    name = module(OWN.replace(old, new, 1), f"my_hasher_{abs(hash(request.node.name))}")
    with pytest.raises(pdna.PhotodnaError, match=rf"^hasher: {name}:Bright: .*{message}"):
        hashers.hasher(f"{name}:Bright")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("[0] * 64", "got list, needs an array of uint8"),
        ("np.zeros(63, bool)", r"got an array of shape \(63,\), needs \(64,\)"),
        ("np.zeros(64)", "got an array of float64, needs an array of uint8"),
        ("np.full(64, 2, np.uint8)", "got a value of 2, needs bits, 0 or 1; numpy.unpackbits"),
        ("(np.zeros(64, bool), 1.0)", "got tuple, needs an array of uint8"),
    ],
)
def test_what_compute_must_return(module, returned, message, request):
    line = "return (grey > grey.mean()).reshape(-1)"
    assert line in OWN
    name = module(OWN.replace(line, f"return {returned}"), f"my_hasher_{abs(hash(returned))}")
    with pytest.raises(pdna.PhotodnaError, match=f"^bright: what compute returns: {message}"):
        hashers.hasher(f"{name}:Bright").hash_image(picture())


def test_an_error_of_compute_names_the_file(module, tmp_path):
    text = OWN.replace("grey = ", "grey = None.nothing if image.width == 9 else ")
    own = hashers.hasher(f"{module(text, 'my_hasher_fails')}:Bright")
    paths = [str(tmp_path / name) for name in ("good.png", "bad.png", "gone.png")]
    picture().save(paths[0])
    picture(size=(9, 9)).save(paths[1])
    reason = r"bright cannot hash it .AttributeError: .*nothing.*; leave this image out"
    with pytest.raises(pdna.ImageError, match=f"bad.png.*{reason}"):
        own.hash_file(paths[1])
    with pytest.raises(pdna.ImageError, match=reason):
        own.hash_image(picture(size=(9, 9)))
    found = list(own.iterate_hashes(paths, max_workers=2))
    assert [path for path, _ in found] == paths
    assert found[0][1].hash.tolist() == own.hash_file(paths[0]).hash.tolist()
    assert [type(result) for _, result in found[1:]] == [pdna.ImageError] * 2
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        pdq = hashers.hasher("pdq")
        elsewhere = list(pdq.iterate_hashes(paths, executor=executor))
        assert elsewhere[0][1].hash.tolist() == pdq.hash_file(paths[0]).hash.tolist()
        assert isinstance(elsewhere[2][1], pdna.ImageError)
    with pytest.raises(pdna.ArgumentTypeError, match="paths: got str, needs several paths"):
        list(own.iterate_hashes(paths[0]))


def test_quality_of_ones_own(module):
    text = OWN.replace('"bright", 64', '"bright", 64\n    quality = "contrast"')
    name = module(text, "my_hasher_without")
    with pytest.raises(pdna.ArgumentTypeError, match="got an array of bool, needs a hash and its"):
        hashers.hasher(f"{name}:Bright").hash_image(picture())
    name = module(text.replace("reshape(-1)", "reshape(-1), grey.std()"), "my_hasher_with")
    found = hashers.hasher(f"{name}:Bright").hash_image(picture())
    assert found.quality == np.asarray(picture().convert("L").resize((8, 8))).std()


def test_refusals(monkeypatch):
    with pytest.raises(pdna.ArgumentError, match=r"got 'pdqq', needs one of photodna, .*pdq\?"):
        hashers.hasher("pdqq")
    with pytest.raises(pdna.ArgumentTypeError, match='hasher: got int, needs a name or "module'):
        hashers.hasher(3)
    for text in ("nothing_of_this_name:Class", ":", "a:", ":B"):
        with pytest.raises(pdna.ArgumentError, match=r"^hasher: .*: the module cannot be imp"):
            hashers.hasher(text)
    for name, package in (("pdq", "pdqhash"), ("wavelet", "ImageHash")):
        monkeypatch.setitem(sys.modules, package.lower(), None)
        missing = f'hasher: "{name}": the package {package} is missing; pip install .*hashers'
        with pytest.raises(pdna.MissingPackageError, match=missing):
            hashers.hasher(name)


def test_packages_are_imported_when_they_are_used():
    code = (
        "import sys; from photodna_nb import hashers; hashers.hasher('photodna');"
        "print({'imagehash', 'pdqhash', 'pywt'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
