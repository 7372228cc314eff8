"""Files, good and bad, from friendly and hostile hands."""

import contextlib
import io
import os
import pickle
import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import needs
from PIL import Image
from PIL.Image import core

import photodna_nb as pdna
from photodna_nb.hashing import images
from photodna_nb.printable import printable

PHOTO = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)


def encoded(kind="PNG", image=None, **options) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(PHOTO)).save(buffer, kind, **options)
    return buffer.getvalue()


def test_path_bytes_and_file_agree(tmp_path):
    expected = pdna.hash_image(PHOTO)
    path = tmp_path / "photo.png"
    path.write_bytes(encoded())
    with path.open("rb") as file:
        file.seek(7)  # Pillow starts at the beginning all the same
        for source in (
            path,
            str(path),
            encoded(),
            bytearray(encoded()),
            io.BytesIO(encoded()),
            file,
        ):
            np.testing.assert_array_equal(pdna.hash_file(source), expected)


def test_a_stream_that_cannot_seek():
    for kind in ("PNG", "PCX"):
        reader, writer = os.pipe()
        threading.Thread(target=lambda w=writer, k=kind: drain(w, encoded(k))).start()
        with open(reader, "rb") as stream:
            np.testing.assert_array_equal(pdna.hash_file(stream), pdna.hash_image(PHOTO))


def drain(descriptor, content):
    with open(descriptor, "wb") as pipe:
        pipe.write(content)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
)
def test_modes_go_through_pillows_conversion(mode):
    rgb = Image.fromarray(PHOTO)
    if mode == "I;16":
        image = Image.fromarray(PHOTO[:, :, 0].astype(np.uint16) * 3)
    elif mode == "LAB":
        image = Image.merge("LAB", rgb.split())
    elif mode in ("I", "F"):
        image = rgb.convert("L").convert(mode)
    else:
        image = rgb.convert(mode)
    assert image.mode == mode
    expected = pdna.hash_image(np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(pdna.hash_image(image), expected)
    assert image.mode == mode, "the caller's image is left alone"


def test_first_frame_no_orientation_no_blending():
    other = Image.new("RGB", (60, 40), "red")
    frames = encoded("TIFF", save_all=True, append_images=[other])
    np.testing.assert_array_equal(pdna.hash_file(frames), pdna.hash_image(PHOTO))
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(pdna.hash_file(encoded(exif=exif)), pdna.hash_image(PHOTO))
    alpha = np.random.default_rng(4).integers(0, 256, (40, 60, 1), np.uint8)
    rgba = Image.fromarray(np.concatenate([PHOTO, alpha], axis=2))
    transparent = pdna.hash_file(encoded(image=rgba))
    np.testing.assert_array_equal(transparent, pdna.hash_image(PHOTO))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM"])
def test_files_that_are_too_large_to_be_read_at_once(tmp_path, monkeypatch, kind):
    path = tmp_path / "a"
    path.write_bytes(encoded(kind))
    expected = pdna.hash_file(path)
    monkeypatch.setattr(images, "_READ_AT_ONCE", 0)
    np.testing.assert_array_equal(pdna.hash_file(path), expected)
    path.write_bytes(path.read_bytes()[:-1500])
    with contextlib.suppress(pdna.ImageError):
        pdna.hash_file(path)


def truncated():
    return encoded("JPEG", quality=95)[:-2000]


def bomb(width, height):
    """A PNG header alone, with its checksum."""
    content = bytearray(encoded(image=Image.new("L", (2, 2))))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"plain text, not pixels\n" * 9, "not an image that Pillow can identify"),
        (b"\0" * 5000, "not an image that Pillow can identify"),
        (truncated(), "truncated"),
        (encoded()[:100], "truncated"),
        (encoded()[:20], "(?i)truncated"),
        (bomb(10_000, 10_000), "10000 x 10000 pixels are over the limit.*--max-pixels"),
        (bomb(60_000, 60_000), "over the limit.*MAX_IMAGE_PIXELS"),
        (bomb(1, 1_000_000), "1 x 1000000 pixels, and the hash needs at least 2 x 2"),
        (encoded(image=Image.new("RGB", (1, 1))), "1 x 1 pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "damaged|not installed"),
    ],
)
def test_bad_content(tmp_path, content, words):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    for source, name in ((path, f"{path}: "), (content, "the image: ")):
        with pytest.raises(pdna.ImageError, match=words) as caught:
            pdna.hash_file(source)
        assert str(caught.value) == name + caught.value.reason
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, pdna.PhotodnaError)


def test_pillows_limit_is_the_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60)
    pdna.hash_file(encoded())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 - 1)
    with pytest.raises(pdna.ImageError, match="60 x 40 pixels are over the limit of 2399"):
        pdna.hash_file(encoded())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    pdna.hash_file(encoded())


def test_every_truncation_and_some_flips_are_errors_or_hashes():
    """Nothing but an ImageError ever comes out of a damaged file."""
    rng = np.random.default_rng(5)
    reasons = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        content = encoded(kind)
        damaged = [
            content[:length] for length in range(0, len(content), max(1, len(content) // 60))
        ]
        for _ in range(60):
            flipped = bytearray(content)
            flipped[rng.integers(len(flipped))] ^= 1 << rng.integers(8)
            damaged.append(bytes(flipped))
        for content in damaged:
            try:
                assert pdna.hash_file(content).shape == (144,)
            except pdna.ImageError as error:
                reasons.append(error.reason)
    assert len(reasons) > 200
    assert all(map(str.isprintable, reasons))


@needs("devices")
def test_bad_paths(tmp_path):
    for path, words in (
        (tmp_path / "missing.jpg", "no such file"),
        (tmp_path, "is a directory; give a file"),
        ("/dev/null", "not a regular file"),
        ("nul\0byte", "NUL"),
        ("", "name is empty"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(pdna.ImageError, match=words) as caught:
            pdna.hash_file(path)
        assert caught.value.path == os.fspath(path)


@needs("named pipes")
def test_a_named_pipe_does_not_block(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(pdna.ImageError, match="pipe, socket or device"):
        pdna.hash_file(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)  # a whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(pdna.ImageError, match="pipe, socket or device"):
            pdna.hash_file(tmp_path / "s")


@needs("permissions")
def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded())
    path.chmod(0)

    def refuse(*_, **__):  # root may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(pdna.ImageError, match="permission denied; make the file readable"):
        pdna.hash_file(path)


def test_an_odd_pillow_image_names_its_file(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(truncated())
    with Image.open(path) as image, pytest.raises(pdna.ImageError, match=r"cut\.jpg: is truncated"):
        pdna.hash_image(image)


def test_what_fits_two_formats_does_not_depend_on_history(tmp_path):
    """Pillow asks its plug-ins in the order in which it came to load them."""
    noise = np.random.default_rng(6).integers(0, 256, (160, 160, 3), np.uint8)
    path = tmp_path / "both.ico"
    Image.fromarray(noise).save(path, sizes=[(160, 160)])
    Image.init()
    order = Image.ID.copy()
    try:
        Image.ID.sort(key=lambda name: name != "TGA")
        with Image.open(path) as image:
            assert image.format == "TGA"
        np.testing.assert_array_equal(pdna.hash_file(path), pdna.hash_image(noise))
    finally:
        Image.ID[:] = order


def test_errors_survive_the_way_back_from_a_worker():
    error = pdna.ImageError("a\x1b.jpg", "is broken")
    again = pickle.loads(pickle.dumps(error))
    assert (again.path, again.reason, str(again)) == (
        "a\x1b.jpg",
        "is broken",
        "a\\x1b.jpg: is broken",
    )


def test_names_are_printed_on_one_line():
    assert printable("plain café 猫.jpg") == "plain café 猫.jpg"
    assert printable("a\nb\x1b[31m\x7f\u202e\ud800") == r"a\nb\x1b[31m\x7f\u202e\ud800"
    assert printable(b"\xff\xfe") == r"\xff\xfe"
    assert printable("a\\n") == "a\\n", "printable, so as it is"
    assert printable("a\\n\n") == r"a\\n\n", "and here the two differ"
    assert printable("\xa0") + printable(b"\xa0") == r"\u00a0\xa0"
    assert printable("") == "''"


def test_wrong_files(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded())
    with path.open() as file, pytest.raises(pdna.ArgumentTypeError, match=r"text.*\"rb\""):
        pdna.hash_file(file)
    with pytest.raises(pdna.ArgumentError, match="got a closed file"):
        pdna.hash_file(file)
    image = Image.open(path)
    image.close()
    with pytest.raises(pdna.ImageError, match=r"closed|damaged"):
        pdna.hash_image(image)


def test_pillow_pixels_are_read_without_a_copy_in_one_block_or_several():
    """Over 16 MB Pillow uses several blocks, unless it is set otherwise."""
    image = Image.fromarray(np.random.default_rng(7).integers(0, 256, (2100, 2100, 3), np.uint8))
    with pytest.raises(ValueError, match="not contiguous"):
        image.__arrow_c_array__()
    expected = np.asarray(image)
    np.testing.assert_array_equal(images.pixels(image)[:, :, :3], expected)
    pixels = images.read_pixels(encoded("BMP", image))
    np.testing.assert_array_equal(pixels[:, :, :3], expected)
    assert core.get_use_block_allocator() == 0, "Pillow's setting is as it was"
    one_block = Image.fromarray(PHOTO)
    first, second = images.pixels(one_block), images.pixels(one_block)
    assert np.shares_memory(first, second)
    grey = one_block.convert("L")
    assert images.pixels(grey).shape == (40, 60)
    assert np.shares_memory(images.pixels(grey), images.pixels(grey))


def test_pixels_outlive_their_image():
    pixels = images.read_pixels(encoded())
    for _ in range(50):
        Image.new("RGB", (60, 40), "red")
    np.testing.assert_array_equal(pixels[:, :, :3], PHOTO)


def test_pillows_setting_under_threads():
    content = encoded()

    def work(_):
        for _ in range(30):
            assert images.read_pixels(content).shape == (40, 60, 4)

    for before in (0, 1):
        core.set_use_block_allocator(before)
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(8)))
            assert core.get_use_block_allocator() == before
        finally:
            core.set_use_block_allocator(0)


def test_pixels_are_passed_on_without_a_copy():
    for array in (PHOTO, PHOTO[:, :, 0].copy(), np.zeros((9, 9, 4), np.uint8)):
        checked = images.pixels(array)
        assert np.shares_memory(checked, array)
        assert not checked.flags.writeable


def test_to_rgb_keeps_the_pixels_and_nothing_else():
    plain = Image.fromarray(PHOTO)
    assert images.to_rgb(plain) is plain
    for kind in ("PNG", "JPEG", "GIF", "TIFF"):
        with Image.open(io.BytesIO(encoded(kind, dpi=(9, 9)))) as opened:
            again = images.to_rgb(opened)
            assert (type(again), again.mode, again.info) == (Image.Image, "RGB", {})
            assert again.tobytes() == opened.convert("RGB").tobytes()
            converted = opened.convert("RGB")
            assert type(converted) is Image.Image
            assert images.to_rgb(converted).info == {}
    for mode in ("L", "RGBA", "RGBX", "LA", "P", "1", "I;16"):
        odd = Image.fromarray(PHOTO).convert("L" if mode == "I;16" else "RGB").convert(mode)
        assert images.to_rgb(odd).tobytes() == odd.convert("RGB").tobytes()
    for array in (PHOTO, PHOTO[::2, 1:], PHOTO[:, :, 0], np.dstack([PHOTO, PHOTO[:, :, :1]])):
        expected = array[:, :, :3] if array.ndim == 3 else np.dstack([array] * 3)
        np.testing.assert_array_equal(np.asarray(images.to_rgb(array)), expected)
    with pytest.raises(pdna.ImageError, match="at least 2 x 2"):
        images.to_rgb(Image.new("RGB", (1, 9)))
    with pytest.raises(pdna.ArgumentTypeError, match="image: got str"):
        images.to_rgb("a.png")


def test_sides_are_checked_after_an_image_has_loaded():
    """Some formats learn their size while they load."""

    class LateImage(Image.Image):
        def load(self):
            if self.size != (1, 9):
                self.im, self._size = Image.new("L", (1, 9)).im, (1, 9)
            return super().load()

    image = LateImage()
    image.im, image._mode, image._size = Image.new("L", (9, 9)).im, "L", (9, 9)
    with pytest.raises(pdna.ImageError, match="is 1 x 9 pixels"):
        pdna.hash_image(image)
