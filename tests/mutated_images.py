"""Alter image files at random, and compare what the package makes of them with the reference.

    python tests/mutated_images.py --images 3000

The originals are small images in every format that Pillow writes, those of `data`, and those of
`../shared/golden` if it lies beside the checkout. Each picture is one of them with one to three
alterations, drawn from a seed: bits, bytes, fields of the header, lengths and offsets, parts that
are cut off, left out, inserted or repeated; checksums of PNG are often made to hold again.

One child process hashes it with the package, in which warnings are errors, and one with plain
Pillow and `tests/oracle.py`. A picture may take 20 s of processor time and 4 GB of memory. It
is wrong if the child ends or hangs, raises anything but an ImageError, writes to standard error,
refuses what the reference hashes (but for its size), or returns another hash. The tables say what
came out; files that are wrong are kept in a folder.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import oracle
from PIL import Image

import photodna_nb as pdna
from photodna_nb.hashing.decoder_messages import ignored_warnings, quiet_codecs

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "data", ROOT / "tests", ROOT.parent / "shared" / "golden")
MAX_BYTES, MAX_PIXELS, MAX_PER_FORMAT = 60_000, 100_000, 24
CPU_SECONDS, WALL_SECONDS, MEMORY = 20, 300, 4 << 30
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pillow calls other programs for these, or needs packages that the tests do not.
LEFT_OUT = {"EPS", "PDF", "WMF", "MPEG", "FPX", "MIC", "PALM", "HDF5", "GRIB", "BUFR"}


# The originals.


class Original(NamedTuple):
    format: str
    name: str
    content: bytes


def _register_plugins() -> None:
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with contextlib.suppress(ImportError):
        import pillow_jxl  # noqa: F401


def _written() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the content of a small image, for each format, mode and compression."""
    rows, columns = np.mgrid[0:70, 0:90]
    rgb = np.dstack([rows * 3, columns * 2, rows * columns // 30]).astype(np.uint8)
    rgb[20:40, 30:60] = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    photo = Image.fromarray(rgb)
    options: dict[str, list[dict[str, Any]]] = {
        "JPEG": [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}],
        "TIFF": [
            {"compression": name}
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
        ],
        "WEBP": [{}, {"lossless": True}, {"save_all": True, "append_images": [photo]}],
        "PNG": [{}, {"save_all": True, "append_images": [photo.rotate(180)]}],
        "GIF": [{}, {"save_all": True, "append_images": [photo.rotate(180)]}],
        "TGA": [{}, {"compression": "tga_rle"}],
    }
    sixteen = Image.fromarray((rows * columns).astype(np.uint16))
    for kind in sorted({*Image.SAVE, *Image.SAVE_ALL} - LEFT_OUT):
        for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F"):
            image = sixteen if mode == "I;16" else photo.convert(mode)
            for number, chosen in enumerate(options.get(kind, [{}])):
                buffer = io.BytesIO()
                with contextlib.suppress(Exception):
                    image.save(buffer, kind, **chosen)
                    yield f"{kind}-{mode}-{number}", buffer.getvalue()


def _found() -> Iterator[tuple[str, bytes]]:
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.suffix != ".py" and path.is_file() and path.stat().st_size <= MAX_BYTES:
                yield path.name, path.read_bytes()


@functools.cache
def originals() -> dict[str, list[Original]]:
    """Return the originals of each format, as Pillow identifies them."""
    _register_plugins()
    by_format = defaultdict(list)
    with ignored_warnings, quiet_codecs["libtiff"]:
        for name, content in (*_written(), *_found()):
            with contextlib.suppress(Exception), Image.open(io.BytesIO(content)) as image:
                if image.width * image.height <= MAX_PIXELS and image.format not in LEFT_OUT:
                    image.convert("RGB")
                    by_format[image.format].append(Original(image.format, name, content))
    return {
        kind: random.Random(kind).sample(found, min(len(found), MAX_PER_FORMAT))
        for kind, found in sorted(by_format.items())
    }


# Alterations: each takes the content and random numbers, and returns new content.


def _place(content: bytearray, drawn: random.Random) -> int:
    """Draw a place: half of them in the first 200 bytes, where most headers are."""
    return drawn.randrange(min(len(content), 200) if drawn.random() < 0.5 else len(content))


def _bits(content: bytearray, drawn: random.Random) -> bytearray:
    for _ in range(drawn.choice((1, 1, 2, 8, 40))):
        content[_place(content, drawn)] ^= 1 << drawn.randrange(8)
    return content


def _bytes(content: bytearray, drawn: random.Random) -> bytearray:
    for _ in range(drawn.choice((1, 1, 2, 8, 40))):
        content[_place(content, drawn)] = drawn.randrange(256)
    return content


def _cut(content: bytearray, drawn: random.Random) -> bytearray:
    return content[: max(1, drawn.randrange(len(content)))]


def _leave_out(content: bytearray, drawn: random.Random) -> bytearray:
    start = _place(content, drawn)
    del content[start : start + drawn.choice((1, 2, 4, 16, 200))]
    return content or bytearray(1)


def _insert(content: bytearray, drawn: random.Random) -> bytearray:
    start = _place(content, drawn)
    content[start:start] = drawn.choice((drawn.randbytes, bytes))(drawn.choice((1, 2, 4, 300)))
    return content


def _repeat(content: bytearray, drawn: random.Random) -> bytearray:
    start = _place(content, drawn)
    length = drawn.choice((4, 12, 60, 2000))
    content[start:start] = content[start : start + length] * drawn.choice((1, 1, 50))
    return content


def _field(content: bytearray, drawn: random.Random) -> bytearray:
    """Set a number in the header to a small or extreme one."""
    length = drawn.choice((1, 2, 4))
    largest = 256**length - 1
    value = drawn.choice((0, 1, 2, 3, 8, 255, largest, largest // 2, largest // 2 + 1, largest - 1))
    start = drawn.randrange(min(200, len(content)))
    content[start : start + length] = min(value, largest).to_bytes(
        length, drawn.choice(("big", "little"))
    )
    return content


def _length(content: bytearray, drawn: random.Random) -> bytearray:
    """Alter a number that may be a length, or an offset: it points into the file."""
    code = drawn.choice((">I", "<I", ">H", "<H"))
    size = struct.calcsize(code)
    places = [
        place
        for place in range(min(len(content) - size, 3000))
        if 0 < struct.unpack_from(code, content, place)[0] <= len(content)
    ]
    if places:
        place = drawn.choice(places)
        value = struct.unpack_from(code, content, place)[0]
        new = drawn.choice((value + 1, value - 1, 0, 2 * value, value + 12, 256**size - 1, 7))
        struct.pack_into(code, content, place, min(new, 256**size - 1))
    return content


ALTERATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    _bits, _bytes, _cut, _leave_out, _insert, _repeat, _field, _length,
)  # fmt: skip


def _with_checksums(content: bytes) -> bytes:
    """Return a PNG file whose checksums hold, so that more than its checksums is tested."""
    result, position = bytearray(content), len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        end = position + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", result, end, zlib.crc32(content[position + 4 : end]))
        position = end + 4
    return bytes(result)


class Mutated(NamedTuple):
    format: str
    alterations: list[str]
    file_name: str
    content: bytes


def mutated(number: int, seed: int) -> Mutated:
    """Return a picture; its format goes by turns, the rest is drawn."""
    by_format = originals()
    drawn = random.Random(f"{seed} {number}")
    kind = list(by_format)[number % len(by_format)]
    original = drawn.choice(by_format[kind])
    chosen = drawn.choices(ALTERATIONS, k=drawn.choice((1, 1, 1, 2, 3)))
    content = bytearray(original.content)
    for alteration in chosen:
        content = alteration(content, drawn)
    altered = bytes(content)
    if altered.startswith(PNG_SIGNATURE) and drawn.random() < 0.7:
        altered = _with_checksums(altered)
    suffix = next((s for s, name in Image.registered_extensions().items() if name == kind), ".bin")
    names = [alteration.__name__[1:] for alteration in chosen]
    return Mutated(kind, names, f"{seed}-{number}{suffix}", altered)


# The children.


def _hash_of_package(path: str) -> dict[str, Any]:
    try:
        return {"hash": pdna.hash_file(path).tolist()}
    except pdna.ImageError as error:
        return {"refused": error.reason}


def _hash_of_reference(path: str) -> dict[str, Any]:
    """Return what plain Pillow and the oracle make of a file; large tables come from NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                size = image.size
                rgb = image if image.mode == "RGB" else image.convert("RGB")
                rgb.load()
                pixels = np.asarray(rgb)
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {error}"}
    if min(pixels.shape[:2]) < 2 or size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        return {"refused": "size"}
    if pixels.size <= 60_000:
        return {"hash": oracle.hash_of(pixels.tolist())}
    table = pixels.sum(axis=2, dtype=np.int64).cumsum(axis=0).cumsum(axis=1)
    raw = oracle.gradients(oracle.feature_grid(table))
    rounds = oracle.normalisation(oracle.scaled_gradients(raw, *pixels.shape[:2]))
    return {"hash": [int(value) for value in oracle.quantise(rounds[-1])]}


def child(which: str) -> None:
    """Answer paths on standard input with lines of JSON, within the limits."""
    if which == "reference":
        _register_plugins()
    else:
        pdna.hash_image(np.zeros((9, 9, 3), np.uint8))  # compiled before the time counts
        pdna.hash_image(np.zeros((9, 9), np.uint8))
        warnings.simplefilter("error")
    hash_of = {"package": _hash_of_package, "reference": _hash_of_reference}[which]
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process
    print("ready", flush=True)
    for line in sys.stdin:
        before = os.fstat(2).st_size
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            answer = hash_of(line.rstrip("\n"))
        except BaseException as error:  # also those of compiled plug-ins that no `except` expects
            answer = {"wrong": f"raises {type(error).__name__}: {error}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        if os.fstat(2).st_size > before:
            answer["printed"] = True
        print(json.dumps(answer), flush=True)


class Child:
    """A child process, started again after it has ended."""

    def __init__(self, which: str, folder: Path) -> None:
        self._which, self._stderr = which, folder / f"{which}.stderr"
        self._process: subprocess.Popen[str] | None = None

    def ask(self, path: Path) -> None:
        if self._process is None:
            command = [sys.executable, __file__, "--child", self._which]
            with open(self._stderr, "ab") as stderr:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                )
            if self._process.stdout.readline() != "ready\n":
                raise RuntimeError(self._stderr.read_text(errors="replace"))
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the answer; the child is given up if it has ended or takes too long."""
        ready, _, _ = select.select([self._process.stdout], [], [], WALL_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        if not ready:
            self._process.kill()
        status = self._process.wait()
        self.close()
        hung = not ready or status == -signal.SIGPROF
        return {"wrong": "hangs" if hung else f"ends with {status}"}

    def printed(self) -> str:
        return self._stderr.read_text(errors="replace")[-300:]

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()
            self._process = None


# The parent.


def outcome(package: dict[str, Any], reference: dict[str, Any]) -> str:
    """Return what came out, beginning with ``wrong`` if it must not."""
    if "wrong" in package:
        return f"wrong: {package['wrong']}"
    if "printed" in package:
        return "wrong: writes to standard error"
    if "wrong" in reference:
        return "the reference fails"
    if "hash" in package and "hash" in reference:
        return "same hash" if package["hash"] == reference["hash"] else "wrong: another hash"
    if "hash" in package:
        return "hashed here only"
    if "hash" in reference:
        return f"wrong: refused here only ({package['refused']})"
    return "both refuse"


class Results(NamedTuple):
    formats: Counter[tuple[str, str]]
    alterations: Counter[tuple[str, str]]
    wrong: list[str]


def compare(
    number: int,
    *,
    seed: int = 0,
    first: int = 0,
    keep: Path | None = None,
    report: Callable[[str], Any] = lambda _: None,
) -> Results:
    """Compare so many pictures; those that are wrong are written to `keep`."""
    results = Results(Counter(), Counter(), [])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package, reference = Child("package", folder), Child("reference", folder)
        try:
            for i in range(first, first + number):
                picture = mutated(i, seed)
                path = folder / picture.file_name
                path.write_bytes(picture.content)
                package.ask(path)
                reference.ask(path)
                answers = package.answer(), reference.answer()
                found = outcome(*answers)
                if found == "wrong: another hash":  # plug-ins that the process met before count
                    reference.close()
                    reference.ask(path)
                    found = outcome(answers[0], reference.answer())
                if found.startswith("wrong"):
                    line = f"{picture.file_name} ({', '.join(picture.alterations)}): {found}"
                    results.wrong.append(line)
                    report(f"{line}\n{package.printed() if 'standard error' in found else ''}")
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        shutil.copy(path, keep)
                path.unlink()
                kind = found.partition(":")[0]
                results.formats[picture.format, kind] += 1
                for alteration in set(picture.alterations):
                    results.alterations[alteration, kind] += 1
                if i % 250 == 249:
                    report(f"{i + 1 - first} pictures")
        finally:
            package.close()
            reference.close()
    return results


OUTCOMES = ("same hash", "both refuse", "hashed here only", "the reference fails", "wrong")


def table(counts: Counter[tuple[str, str]]) -> str:
    """Return the counts, a line each format or alteration."""
    lines = [f"{'':12}" + "".join(f"{kind:>22}" for kind in ("pictures", *OUTCOMES))]
    for name in [*sorted({name for name, _ in counts}), "all"]:
        row = [sum(counts[key] for key in counts if name in (key[0], "all") and key[1] == kind)
               for kind in OUTCOMES]  # fmt: skip
        lines.append(f"{name:12}" + "".join(f"{count:>22}" for count in (sum(row), *row)))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Alter image files, and hash them.")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first picture")
    parser.add_argument("--keep", type=Path, default=Path("wrong_images"))
    options = parser.parse_args()
    start = time.perf_counter()
    results = compare(
        options.images, seed=options.seed, first=options.first, keep=options.keep, report=print
    )
    print(table(results.formats))
    print(table(results.alterations))
    print(f"{len(results.wrong)} wrong; {time.perf_counter() - start:.0f} s")
    sys.exit(bool(results.wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main()
