"""Texts in PNG files, and warnings of decoders: neither is damage, and nothing is printed."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import needs, spawned_processes
from PIL import EpsImagePlugin, Image, PngImagePlugin

import photodna_nb as pdna
from photodna_nb.hashing import decoder_messages, images
from photodna_nb.hashing.png_chunks import PngWithoutTexts

PHOTO = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8))
HASH = pdna.hash_image(PHOTO).tolist()
PLAIN = io.BytesIO()
PHOTO.save(PLAIN, "PNG")
PLAIN = PLAIN.getvalue()
LARGE = b"x" * 3_000_000


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + name + content + checksum


TEXTS = {
    "zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(LARGE)),
    "iTXt": chunk(b"iTXt", b"workflow\0\1\0en\0w\0" + zlib.compress(LARGE)),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(LARGE)),
    "tEXt": chunk(b"tEXt", b"workflow\0" + LARGE) * 25,  # Pillow's limit for all of them is 64 MB
}


def with_chunks(content: bytes, *, last=False) -> bytes:
    place = len(PLAIN) - 12 if last else 33
    return PLAIN[:place] + content + PLAIN[place:]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_a_png_with_a_large_text_or_profile_is_hashed(tmp_path, name, last):
    content = with_chunks(TEXTS[name] + chunk(b"tEXt", b"a\0b"), last=last)
    if not last or name != "iCCP":
        with pytest.raises(ValueError, match="MAX_TEXT_"):
            Image.open(io.BytesIO(content)).load()
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with path.open("rb") as file:
        for source in (path, content, io.BytesIO(content), file):
            assert pdna.hash_file(source).tolist() == HASH
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    assert before == (1 << 20, 64 << 20), "Pillow's limits are as they were"


def test_as_pillow_writes_it(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 1_500_000, zip=True)
    PHOTO.save(tmp_path / "text.png", pnginfo=info)
    PHOTO.save(tmp_path / "icc.png", icc_profile=b"\0" * 1_500_000)
    for name in ("text.png", "icc.png"):
        assert pdna.hash_file(tmp_path / name).tolist() == HASH


@pytest.mark.parametrize("name", TEXTS)
def test_memory_is_bounded(tmp_path, monkeypatch, name):
    """A bomb of 200 MB in zTXt, iTXt or iCCP, and one of the file's own size in tEXt."""
    bomb = zlib.compress(bytes(200_000_000), 1)
    content = {
        "zTXt": chunk(b"zTXt", b"a\0\0" + bomb),
        "iTXt": chunk(b"iTXt", b"a\0\1\0\0\0" + bomb),
        "iCCP": chunk(b"iCCP", b"a\0\0" + bomb),
        "tEXt": chunk(b"tEXt", b"a\0" + bytes(40_000_000)),
    }[name]
    path = tmp_path / "bomb.png"
    path.write_bytes(with_chunks(content))
    del content, bomb
    tracemalloc.start()
    try:
        assert pdna.hash_file(path).tolist() == HASH
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000, peak


def damaged(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_damage_beside_a_large_text_is_damage():
    text = TEXTS["zTXt"]
    whole = with_chunks(text)
    middle_of_pixels = len(whole) - 1000
    for content in (
        damaged(whole, 33 + len(text) // 2),  # the checksum of the text does not hold
        damaged(whole, middle_of_pixels),
        whole[:-1000],
        whole[: 33 + len(text) // 2],
        with_chunks(text, last=True)[: len(PLAIN) + 50],
    ):
        with pytest.raises(pdna.ImageError, match=r"damaged|truncated"):
            pdna.hash_file(content)


def test_a_png_file_without_its_texts(tmp_path):
    small = b"".join(chunk(name, b"a\0b") for name in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"))
    scattered = PLAIN[:33] + small * 500 + PLAIN[33:-12] + small * 2 + PLAIN[-12:]
    for content in (scattered, with_chunks(small), with_chunks(small, last=True), PLAIN):
        file = PngWithoutTexts(io.BytesIO(content))
        assert file.readall() == PLAIN
        assert file.seek(-5, io.SEEK_END) == len(PLAIN) - 5
        assert file.read(9) == PLAIN[-5:]
        assert file.seek(-len(PLAIN) // 2, io.SEEK_CUR) == file.tell()
        assert file.seek(99) == 99
        assert io.BufferedReader(file).read(99) == PLAIN[99:198]
    for content in (PLAIN[:8], PLAIN[:11], PLAIN[:-3], PLAIN + b"after"):
        assert PngWithoutTexts(io.BytesIO(content)).readall() == content


def test_many_small_chunks_take_no_time(monkeypatch):
    """A search through all of them for each read would take minutes."""
    monkeypatch.setattr(images, "_READ_AT_ONCE", 0)
    pieces = [PLAIN[41:-16][i : i + 1] for i in range(len(PLAIN[41:-16]))]
    parts = b"".join(chunk(b"IDAT", piece) + chunk(b"tEXt", b"a\0b") * 30 for piece in pieces[:500])
    content = PLAIN[:33] + parts + chunk(b"IDAT", PLAIN[41 + 500 : -16]) + PLAIN[-12:]
    file = io.BufferedReader(PngWithoutTexts(io.BytesIO(content)))
    assert Image.open(file).convert("RGB").tobytes() == PHOTO.tobytes()


def test_a_users_image_with_a_large_text_says_what_helps():
    image = Image.open(io.BytesIO(with_chunks(TEXTS["zTXt"], last=True)))
    with pytest.raises(pdna.ImageError, match=r"is whole, but a text .* hash_file reads PNG files"):
        pdna.hash_image(image)


def test_an_icon_with_a_large_text_is_called_whole():
    """Pillow reads it as a PNG file within another one."""
    buffer = io.BytesIO()
    PHOTO.save(buffer, "ICO", sizes=[PHOTO.size])
    content = buffer.getvalue()
    start = content.index(PLAIN[:8])
    png = content[start:]
    png = png[:33] + TEXTS["zTXt"] + png[33:]
    content = content[: start - 8] + len(png).to_bytes(4, "little") + content[start - 4 : start]
    with pytest.raises(pdna.ImageError, match=r"is whole, .*MAX_TEXT_CHUNK is raised"):
        pdna.hash_file(content + png)


# Files at which Pillow warns, logs, or libtiff writes to file descriptor 2.


def tiff(compression: str) -> bytearray:
    buffer = io.BytesIO()
    PHOTO.save(buffer, "TIFF", compression=compression)
    return bytearray(buffer.getvalue())


def writes() -> bytes:
    """A TIFF file whose compressed pixels are damaged."""
    content = tiff("tiff_adobe_deflate")
    content[600] ^= 255
    return bytes(content)


def logs() -> bytes:
    """A TIFF file with 60,000 samples a pixel."""
    content = tiff("raw")
    place = content.find((277).to_bytes(2, "little"))
    content[place + 8 : place + 10] = (60_000).to_bytes(2, "little")
    return bytes(content)


# Pillow warns of an animation of no frames, and takes the image.
FILES = {"warns": with_chunks(chunk(b"acTL", bytes(8))), "writes": writes(), "logs": logs()}
PLAIN_PILLOW = """
import sys
from PIL import Image
try:
    Image.open(sys.argv[1]).load()
except Exception:
    pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    for name, content in FILES.items():
        (folder / f"{name}.image").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_pillow_alone_prints_something(folder, name):
    """Otherwise the tests below would say nothing."""
    command = [sys.executable, "-c", PLAIN_PILLOW, folder / f"{name}.image"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=300).stderr


PROGRAM = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import photodna_nb as pdna

if __name__ == "__main__":
    for start in sys.argv[1].split():
        if start == "threads":
            table = pdna.hash_files(sys.argv[2:], max_workers=3, errors="record")
        else:
            context = multiprocessing.get_context(start)
            with ProcessPoolExecutor(1, mp_context=context) as executor:
                table = pdna.hash_files(sys.argv[2:], executor=executor, errors="record")
        print(len(table), len(table.failures))
"""


@pytest.mark.long
@pytest.mark.parametrize("filters", [[], ["-W", "error"], ["-W", "always"]])
def test_nothing_reaches_standard_error_and_warnings_are_no_damage(tmp_path, folder, filters):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    paths = sorted(folder.iterdir())
    command = [sys.executable, *filters, program, "spawn fork", *paths, *paths]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.stdout, result.stderr) == ("2 4\n" * 2, "")
    command[-2 * len(paths) - 1] = "threads"
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.stdout, result.stderr) == ("2 4\n", "")


def test_a_warning_is_no_damage_in_any_way_to_hash(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            Image.open(io.BytesIO(FILES["warns"]))
        for _ in range(2):
            assert pdna.hash_file(folder / "warns.image").tolist() == HASH
            warnings.simplefilter("error", UserWarning)  # now the first of the filters
        before = list(warnings.filters)
        for _ in range(5):
            pdna.hash_file(FILES["warns"])
            warnings.filterwarnings("error", message="a text")
            pdna.hash_file(FILES["warns"])
        assert len(warnings.filters) <= len(before) + 2, "no entry comes twice"
        with pytest.raises(UserWarning, match="a text"):
            warnings.warn("a text", stacklevel=1)
        with spawned_processes() as executor:
            assert pdna.hash_files([folder / "warns.image"], executor=executor).hashes.tolist()


def test_warnings_and_logs_of_other_threads_are_left_alone(folder, caplog):
    """While some threads decode, others warn and log, and lose nothing."""
    logger = logging.getLogger("PIL.TiffImagePlugin")
    stop = threading.Event()

    def decode():
        while not stop.is_set():
            pdna.hash_file(FILES["warns"])
            with pytest.raises(pdna.ImageError):
                pdna.hash_file(FILES["logs"])

    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(3) as pool:
        warnings.simplefilter("always")
        tasks = [pool.submit(decode) for _ in range(3)]
        try:
            for number in range(300):
                warnings.warn(f"warning {number}", stacklevel=1)
                logger.error("error %s", number)
        finally:
            stop.set()
        for task in tasks:
            task.result()
    assert [str(warning.message) for warning in caught] == [f"warning {n}" for n in range(300)]
    assert [record.getMessage() for record in caplog.records] == [f"error {n}" for n in range(300)]


def test_the_handler_of_libtiff_is_as_it_was(capfd):
    handlers = decoder_messages._libtiff_handlers()
    assert handlers, "libtiff was not found among the loaded libraries"

    def printed() -> bool:
        with pytest.raises(OSError):  # noqa: PT011
            Image.open(io.BytesIO(FILES["writes"])).load()
        return bool(capfd.readouterr().err)

    assert printed()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _refused(FILES["writes"]), range(200)))
    assert capfd.readouterr().err == ""
    assert printed()


@needs("fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # threads and fork
def test_a_setting_is_as_it_was_in_a_forked_child():
    """Also if another thread was within when the process forked, or held the lock."""
    state = []

    def change():
        state.append("changed")
        return state.clear

    setting = decoder_messages.ProcessSetting(change)
    inside, done = threading.Event(), threading.Event()

    def within():
        with setting, setting._lock:
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=within)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        good = state == []
        signal.alarm(20)
        with setting:
            good &= state == ["changed"]
        os._exit(not (good and state == []))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    done.set()
    thread.join()
    assert (status, state) == (0, [])


def _refused(content):
    with pytest.raises(pdna.ImageError, match="damaged"):
        pdna.hash_file(content)


def test_pillow_logs_in_one_module_only():
    """`ignored_warnings` knows its logger."""
    logging_modules = [
        path.name
        for path in sorted(Path(Image.__file__).parent.glob("*.py"))
        if any(
            f"logger.{level}(" in path.read_text("utf-8")
            for level in ("warning", "error", "critical")
        )
    ]
    assert logging_modules == ["TiffImagePlugin.py"]


GHOSTSCRIPT = """#!{python}
import sys, time
print("printed on standard output", flush=True)
print("printed on standard error", file=sys.stderr, flush=True)
if "--version" not in sys.argv:
    infile = open(sys.argv[sys.argv.index("-f") + 1]).read()
    time.sleep(60 * infile.count("endless"))
    if "damaged" in infile:
        sys.exit(1)
    output = next(word for word in sys.argv if word.startswith("-sOutputFile="))
    with open(output.partition("=")[2], "wb") as file:
        file.write(b"P6 60 40 255 " + bytes(range(240)) * 30)
"""
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n%%EndComments\n%%EOF\n% "


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program of that name, which prints more than it should."""
    program = tmp_path / "gs"
    program.write_text(GHOSTSCRIPT.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)


@pytest.mark.usefixtures("ghostscript")
def test_ghostscript_prints_nothing_and_does_not_last_for_ever(capfd, monkeypatch):
    image = Image.frombytes("RGB", (60, 40), bytes(range(240)) * 30)
    with ThreadPoolExecutor(3) as pool:
        hashes = list(pool.map(pdna.hash_file, [EPS] * 6))
    assert [one.tolist() for one in hashes] == [pdna.hash_image(image).tolist()] * 6
    with pytest.raises(pdna.ImageError, match=r"is damaged.*Ghostscript ended with status 1"):
        pdna.hash_file(EPS + b"damaged")
    monkeypatch.setattr(decoder_messages, "_EPS_SECONDS", 0.5)
    with pytest.raises(pdna.ImageError, match=r"Ghostscript took more than 0\.5 seconds"):
        pdna.hash_file(EPS + b"endless")
    assert capfd.readouterr() == ("", "")
    assert EpsImagePlugin.subprocess is subprocess, "as it was"
    Image.open(io.BytesIO(EPS)).load()
    assert "printed on standard output" in capfd.readouterr().out, "Pillow alone"
