"""Formats of plug-ins, and files that are no images, by their first bytes."""

import io
import multiprocessing
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from conftest import JIT_OFF, spawned_processes
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing import image_formats

ROWS, COLUMNS = np.mgrid[0:120, 0:160]
PHOTO = Image.fromarray(
    np.dstack([ROWS * 2 % 256, COLUMNS, (ROWS * COLUMNS) // 80 % 256]).astype(np.uint8)
)
PLUGINS = {"heif": ("pillow_heif", "HEIF"), "jxl": ("pillow_jxl", "JXL")}


def encoded(extra, image=PHOTO, **options) -> bytes:
    module, kind = PLUGINS[extra]
    plugin = pytest.importorskip(module)
    if extra == "heif":
        plugin.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(params=PLUGINS)
def extra(request):
    return request.param


@pytest.fixture
def not_registered(monkeypatch, extra):
    """As in a new process: nothing has registered the plug-in."""
    pytest.importorskip(PLUGINS[extra][0])
    Image.init()
    monkeypatch.delitem(Image.OPEN, PLUGINS[extra][1], raising=False)


@pytest.mark.long
def test_a_plugin_is_registered_when_a_file_needs_it(extra, tmp_path):
    content = encoded(extra, quality=95)
    (tmp_path / "photo").write_bytes(content)
    (tmp_path / "photo.png").write_bytes(content)  # whatever its name says
    expected = pdna.hash_image(Image.open(io.BytesIO(content)).convert("RGB"))
    assert pdna.distance(expected, pdna.hash_image(PHOTO)) < 60
    module = PLUGINS[extra][0]
    program = (
        "import sys, photodna_nb as pdna\n"
        "pdna.hash_image(pdna.datasets.dead_leaves(1, (9, 9), seed=1)[0].open())\n"
        f"assert {module!r} not in sys.modules\n"
        f"print(*pdna.hash_file(sys.argv[1])); assert {module!r} in sys.modules"
    )
    for name in ("photo", "photo.png"):
        command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / name)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert result.stderr == ""
        assert list(map(int, result.stdout.split())) == expected.tolist()


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="the same work with or without JIT, but slowly")
def test_plugins_in_workers_and_on_the_command_line(extra, tmp_path, run):
    path = tmp_path / "photo.bin"
    path.write_bytes(encoded(extra))
    expected = pdna.hash_file(path).tolist()
    with spawned_processes() as executor:
        assert pdna.hash_files([path], executor=executor).hashes.tolist() == [expected]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
            assert pdna.hash_files([path], executor=executor).hashes.tolist() == [expected]
    result = run("--hash", path)
    assert result.stdout.decode().strip() == ",".join(map(str, expected)), result.stderr


THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import photodna_nb as pdna

def hash_of(path):
    try:
        return tuple(pdna.hash_file(path).tolist())
    except pdna.ImageError as error:
        return error.reason

paths = sys.argv[1:] * 25
with ThreadPoolExecutor(16) as pool:
    results = list(pool.map(hash_of, paths))
alone = {path: hash_of(path) for path in sys.argv[1:]}
assert [alone[path] for path in paths] == results
print(*sorted(isinstance(result, tuple) for result in alone.values()))
"""


@pytest.mark.long
def test_many_threads_of_a_new_process_meet_the_plugins_at_once(tmp_path):
    """And files of the other formats that need something of the process."""
    for name, content in {"heif": encoded("heif"), "jxl": encoded("jxl")}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"cut_{name}").write_bytes(content[: len(content) // 2])
    for kind, options in {
        "PNG": {}, "AVIF": {}, "TIFF": {"compression": "tiff_lzw"}, "PCX": {}, "JPEG2000": {},
    }.items():  # fmt: skip
        PHOTO.save(tmp_path / kind, kind, **options)
    command = [sys.executable, "-W", "error", "-c", THREADS, *sorted(tmp_path.iterdir())]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.stdout, result.stderr) == ("False False" + " True" * 7 + "\n", "")


def test_without_the_plugin_the_error_names_the_extra(extra, not_registered, monkeypatch, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes({"heif": HEIC_HEAD, "jxl": b"\xff\x0a" + bytes(50)}[extra])
    monkeypatch.setitem(sys.modules, PLUGINS[extra][0], None)  # importing it is an ImportError
    with pytest.raises(pdna.ImageError) as caught:
        pdna.hash_file(path)
    name = {"heif": "HEIC or HEIF", "jxl": "JPEG XL"}[extra]
    assert caught.value.reason == (
        f"is a {name} image, and the extra {extra} is not installed; "
        f'pip install "photodna_nb[{extra}]"'
    )


def test_a_plugin_of_another_package_is_used(monkeypatch):
    monkeypatch.setitem(Image.OPEN, "HEIF", (None, None))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert image_formats.plugin_format(HEIC_HEAD, None) == "HEIF"


def test_cut_and_altered_files_of_plugins_are_errors_or_hashes(extra):
    content = encoded(extra)
    rng = np.random.default_rng(9)
    reasons = 0
    for length in range(12, len(content) - 1, len(content) // 20):
        with pytest.raises(pdna.ImageError) as caught:
            pdna.hash_file(content[:length])
        assert "damaged" in caught.value.reason
    for _ in range(20):
        altered = bytearray(content)
        for place in rng.integers(12, len(content), 5):
            altered[place] ^= int(rng.integers(1, 256))
        try:
            pdna.hash_file(bytes(altered))
        except pdna.ImageError:
            reasons += 1
    assert reasons > 0


def box(kind: bytes, content: bytes, *, long=False) -> bytes:
    if long:
        return (1).to_bytes(4, "big") + kind + (len(content) + 16).to_bytes(8, "big") + content
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def ftyp(major: bytes, *others: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(others)) + box(b"free", bytes(99))


HEIC_HEAD = ftyp(b"heic", b"mif1", b"heic")


def test_brands_decide_between_heif_avif_and_video():
    for major, *others in (
        (b"heic", b"mif1"), (b"mif1", b"heic"), (b"msf1", b"hevc"), (b"mif1", b"miaf"),
    ):  # fmt: skip
        assert image_formats._plugin(ftyp(major, *others)).extra == "heif"
    for major, *others in ((b"avif", b"mif1"), (b"mif1", b"avif"), (b"isom", b"mp42")):
        assert image_formats._plugin(ftyp(major, *others)) is None


def test_avif_is_hashed_without_a_plugin():
    buffer = io.BytesIO()
    PHOTO.save(buffer, "AVIF", quality=90)
    content = buffer.getvalue()
    assert pdna.distance(pdna.hash_file(content), pdna.hash_image(PHOTO)) < 60
    with pytest.raises(pdna.ImageError, match="damaged"):
        pdna.hash_file(content[: len(content) // 2])


@pytest.mark.parametrize(
    "size", [(2, 2), (9, 700), (40, 30), (64, 64), (128, 128), (256, 128), (1600, 900), (33, 8)]
)
def test_the_size_of_a_jpeg_xl_image(size):
    image = Image.new("RGB", size)
    content = encoded("jxl", image)
    codestream = content if content[:2] == b"\xff\x0a" else encoded("jxl", image, exif=b"")
    assert image_formats.jxl_size(io.BytesIO(content)) == size
    assert image_formats.jxl_size(io.BytesIO(codestream)) == size
    signature = image_formats._JXL_CONTAINER
    before = signature + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"Exif", bytes(1000), long=True)
    for contained in (
        box(b"jxlc", codestream),
        box(b"jxlc", codestream, long=True),
        b"\0\0\0\0jxlc" + codestream,
        b"".join(
            box(b"jxlp", i.to_bytes(4, "big") + codestream[7 * i : 7 * i + 7]) for i in range(3)
        ),
    ):
        assert image_formats.jxl_size(io.BytesIO(before + contained)) == size


def test_the_size_of_a_damaged_jpeg_xl_image_is_not_known():
    signature = image_formats._JXL_CONTAINER
    for content in (b"\xff\x0a", signature, signature + bytes(30), signature + box(b"jxlc", b"")):
        assert image_formats.jxl_size(io.BytesIO(content)) is None


def test_a_large_jpeg_xl_image_is_not_decoded(monkeypatch):
    content = encoded("jxl")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 160 * 120 - 1)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(pdna.ImageError, match="160 x 120 pixels are over the limit of 19199"):
        pdna.hash_file(content)


TIFF = b"II*\0\x08\0\0\0"
NO_IMAGES = {
    "a PDF document": [b"%PDF-1.7\n%\xe2\xe3", b"junk\n" * 9 + b"%PDF-1.4"],
    "a drawing (SVG)": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf\n<?xml version='1.0'?>\n<!-- <!-- x --><!DOCTYPE svg [ ]>\n<svg>",
    ],
    "a video (MP4)": [ftyp(b"isom", b"mp42"), ftyp(b"mp42"), ftyp(b"M4V ")],
    "a video (3GP)": [ftyp(b"3gp5")],
    "a video (QuickTime)": [ftyp(b"qt  "), box(b"wide", b"") + box(b"mdat", bytes(50))],
    "a sound file (MPEG-4)": [ftyp(b"M4A ")],
    "a video (WebM)": [b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm"],
    "a video (Matroska)": [b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska"],
    "a video (AVI)": [b"RIFF\x10\x20\0\0AVI LIST"],
    "a video (MPEG)": [b"\0\0\1\xba" + bytes(60), b"\0\0\1\xb3\x14\0\xf0" + bytes(60)],
    "a video (MPEG transport stream)": [(b"G\x40\0\x10" + bytes(184)) * 4],
    "a video (FLV)": [b"FLV\1\5\0\0\0\x09"],
    "a video (WMV)": [bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")],
    "a video or sound file (Ogg)": [b"OggS\0\2" + bytes(50)],
    "a camera RAW file (Canon CR3)": [ftyp(b"crx ", b"isom")],
    "a camera RAW file (Canon CR2)": [b"II*\0\x10\0\0\0CR\2\0" + bytes(50)],
    "a camera RAW file (Canon CRW)": [b"II\x1a\0\0\0HEAPCCDR" + bytes(50)],
    "a camera RAW file (Fujifilm RAF)": [b"FUJIFILMCCD-RAW 0201" + bytes(50)],
    "a camera RAW file (Olympus ORF)": [b"IIRO\x08\0\0\0" + bytes(50), b"MMOR" + bytes(50)],
    "a camera RAW file (Panasonic RW2)": [b"IIU\0\x18\0\0\0" + bytes(50)],
    "a camera RAW file (Sigma X3F)": [b"FOVb" + bytes(50)],
    "a camera RAW file (Minolta MRW)": [b"\0MRM" + bytes(50)],
    "a camera RAW file (DNG)": [TIFF + bytes(20) + b"\x12\xc6\1\0\4\0\0\0\1\4\0\0" + bytes(50)],
    "a camera RAW file": [
        TIFF + bytes(20) + b"\6\1\3\0\1\0\0\0\x23\x80" + bytes(50),
        b"MM\0*\0\0\0\x08" + bytes(20) + b"\1\6\0\3\0\0\0\1\x80\x23" + bytes(50),
    ],
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_files_of_other_kinds_are_named(kind, tmp_path):
    for content in NO_IMAGES[kind]:
        path = tmp_path / "file.jpg"
        path.write_bytes(content)
        with pytest.raises(pdna.ImageError, match=r"file\.jpg: ") as caught:
            pdna.hash_file(path)
        assert caught.value.reason.startswith(f"is {kind}, not an image; ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "does not fit into memory"),
        (OSError(5, "Input/output error"), r"cannot be read \(OSError: Input/output error\)"),
        (Image.DecompressionBombError("99 pixels"), "99 pixels are over the limit"),
    ],
)
def test_an_error_of_the_system_is_not_one_of_the_kind_of_file(monkeypatch, error, words):
    """Pillow opens many DNG files, too."""
    (content,) = NO_IMAGES["a camera RAW file (DNG)"]

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(pdna.ImageError, match=words):
        pdna.hash_file(content)


def test_other_files_are_named_as_before():
    for content, words in (
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><svg></svg></html>", "not an image that Pillow can identify"),
        (b"<!-- " * 800, "not an image that Pillow can identify"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), r"begins as an image \(PNG\) and is damaged"),
        (b"GIF89a", r"begins as an image \(GIF\) and is damaged"),
        (b"RIFF\0\0\0\0WEBP", r"begins as an image \(WebP\) and is damaged"),
        (ftyp(b"avif"), "is damaged"),
    ):
        with pytest.raises(pdna.ImageError, match=words):
            pdna.hash_file(content)
