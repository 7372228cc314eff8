"""Formats by their first bytes: those of Pillow's plug-ins, and what is no image of pixels."""

from __future__ import annotations

import importlib
import re
import struct
from collections.abc import Iterator
from shutil import which
from typing import BinaryIO, NamedTuple

import PIL
from PIL import Image

from photodna_nb.errors import ImageError
from photodna_nb.versions import installed_version

# Bytes from the beginning that are compared.
_HEAD = 4096


class _Plugin(NamedTuple):
    """A package that teaches Pillow a format.

    Attributes
    ----------
    format : str
        Name under which it registers the format.
    name : str
        What people call the format.
    extra : str
        The extra that installs it.
    module : str
        Its module.
    """

    format: str
    name: str
    extra: str
    module: str


_HEIF = _Plugin("HEIF", "HEIC or HEIF", "heif", "pillow_heif")
_JXL = _Plugin("JXL", "JPEG XL", "jxl", "pillow_jxl")

_JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_JXL_CODESTREAM = b"\xff\x0a"

# Brands of the files that begin with a box "ftyp".
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())
_AVIF_BRANDS = frozenset([b"avif", b"avis"])
_OTHER_BRANDS = {
    b"crx ": "a camera RAW file (Canon CR3)",
    b"qt  ": "a video (QuickTime)",
    b"M4A ": "a sound file (MPEG-4)",
    b"M4B ": "a sound file (MPEG-4)",
}

# What else people have among their images, by patterns of the first bytes.
_RAW = "a camera RAW file"
_NO_IMAGES = (
    (rb"%PDF-", "a PDF document"),
    (rb".{0,1000}%PDF-\d", "a PDF document"),
    (
        rb"(?:\xef\xbb\xbf)?\s*(?:<(?:\?xml|!--|!DOCTYPE svg).*)?<svg[\s>:]",
        "a drawing (SVG)",
    ),
    (rb".{4}(?:moov|mdat|wide|free|skip|pnot)", "a video (QuickTime)"),
    (rb"\x1a\x45\xdf\xa3.{0,64}webm", "a video (WebM)"),
    (rb"\x1a\x45\xdf\xa3", "a video (Matroska)"),
    (rb"RIFF.{4}AVI ", "a video (AVI)"),
    (rb"\0\0\x01[\xb3\xba]", "a video (MPEG)"),
    (rb"(?:G.{187}){3}", "a video (MPEG transport stream)"),
    (rb"FLV\x01", "a video (FLV)"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video (WMV)"),
    (rb"OggS", "a video or sound file (Ogg)"),
    (rb"(?:II\*\0|MM\0\*).{4}CR\x02", f"{_RAW} (Canon CR2)"),
    (rb"II\x1a\0\0\0HEAPCCDR", f"{_RAW} (Canon CRW)"),
    (rb"FUJIFILMCCD-RAW", f"{_RAW} (Fujifilm RAF)"),
    (rb"IIR[OS]|MMOR", f"{_RAW} (Olympus ORF)"),
    (rb"IIU\0", f"{_RAW} (Panasonic RW2)"),
    (rb"FOVb", f"{_RAW} (Sigma X3F)"),
    (rb"\0MRM", f"{_RAW} (Minolta MRW)"),
    # A version of DNG, or pixels in the pattern of a sensor, in the tags of a TIFF file.
    (rb"II\*\0.*\x12\xc6\x01\0\x04\0\0\0|MM\0\*.*\xc6\x12\0\x01\0\0\0\x04", f"{_RAW} (DNG)"),
    (rb"II\*\0.*\x06\x01\x03\0\x01\0\0\0\x23\x80|MM\0\*.*\x01\x06\0\x03\0\0\0\x01\x80\x23", _RAW),
)
_REMEDIES = {
    "a video": "save a frame of it as PNG or JPEG",
    "a camera": "convert it to JPEG or PNG",
    "a PDF": "save its pages as PNG",
    "a drawing": "save it as PNG",
}

# Pillow's own formats, for files that it cannot identify although they begin like one.
_IMAGES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}


def decoders() -> str:
    """Return what decides which files can be decoded: versions, programs, the limit of pixels."""
    plugins = [installed_version(name) for name in ("pillow-heif", "pillow-jxl-plugin")]
    versions = [PIL.__version__, *plugins, which("gs") and "Ghostscript"]
    return " ".join(str(one) for one in (*versions, Image.MAX_IMAGE_PIXELS))


def first_bytes(source: BinaryIO) -> bytes:
    """Return the first bytes of a file, up to 4096, and go back to its beginning."""
    source.seek(0)
    head = source.read(_HEAD)
    source.seek(0)
    return head


def plugin_format(head: bytes, name: str | None) -> str | None:
    """Return Pillow's name of a format that needs a plug-in, or None; register the plug-in.

    It is imported only here, when a file needs it, in this process or a worker.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    name : str or None
        Name of the file.

    Raises
    ------
    ImageError
        The plug-in is not installed. The message names the extra.
    """
    plugin = _plugin(head)
    if plugin is None:
        return None
    if plugin.format not in Image.OPEN:  # it, or another package, may be registered already
        try:
            module = importlib.import_module(plugin.module)
        except ImportError as error:
            raise ImageError(
                name,
                f"is a {plugin.name} image, and the extra {plugin.extra} is not installed; "
                f'pip install "photodna_nb[{plugin.extra}]"',
            ) from error
        if plugin is _HEIF:
            module.register_heif_opener()  # pillow_jxl registers itself when it is imported
    return plugin.format


def no_image(head: bytes) -> str | None:
    """Return why a file that Pillow cannot read is no image, or no image of pixels, or None.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    """
    if not head:
        return "is empty; get a complete copy"
    kind = _kind(head)
    if kind is None:
        return None
    remedy = next((text for start, text in _REMEDIES.items() if kind.startswith(start)), None)
    return f"is {kind}, not an image; {remedy or 'leave it out'}"


def other_kind(head: bytes) -> str:
    """Return of what kind the content is that `no_image` refuses, such as "video", or ""."""
    if not head:
        return "empty"
    return (_kind(head) or "").partition(" (")[0].removeprefix("a ")


def image_kind(head: bytes) -> str | None:
    """Return the format as which an image begins, or None."""
    if plugin := _plugin(head):
        return plugin.name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if _brands(head) & _AVIF_BRANDS:
        return "AVIF"
    return next((kind for start, kind in _IMAGES.items() if head.startswith(start)), None)


def jxl_size(source: BinaryIO) -> tuple[int, int] | None:
    """Return width and height of a JPEG XL image, or None if its header is damaged.

    Its plug-in decodes an image while it opens it, before Pillow can compare its size with the
    limit.
    """
    header = b""
    for content in _jxl_codestream(source):
        header += content
        if len(header) >= 16:
            break
    if len(header) < 12 or header[:2] != _JXL_CODESTREAM:
        return None
    bits = int.from_bytes(header[2:], "little")

    def take(number: int) -> int:
        nonlocal bits
        value = bits & ((1 << number) - 1)
        bits >>= number
        return value

    in_eights = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if in_eights else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratios = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
    ratio = take(3)
    if ratio == 0:
        return side(), height
    numerator, denominator = ratios[ratio - 1]
    return height * numerator // denominator, height


def _jxl_codestream(source: BinaryIO) -> Iterator[bytes]:
    """Yield the beginnings of the parts of a JPEG XL codestream, at most 16 bytes each."""
    source.seek(0)
    if source.read(2) == _JXL_CODESTREAM:
        source.seek(0)
        yield source.read(16)
        return
    position = 0
    while True:
        source.seek(position)
        box = source.read(8)
        if len(box) < 8:
            return
        length, kind = struct.unpack(">I4s", box)
        start = 8
        if length == 1:
            length, start = int.from_bytes(source.read(8), "big"), 16
        if kind == b"jxlp":
            source.read(4)  # the number of the part
            start += 4
        if kind in (b"jxlc", b"jxlp"):
            yield source.read(min(16, max(0, length - start)) if length else 16)
        if length < start:  # 0: the last box, up to the end of the file
            return
        position += length


def _plugin(head: bytes) -> _Plugin | None:
    brands = _brands(head)
    if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS:
        return _HEIF
    if head.startswith((_JXL_CONTAINER, _JXL_CODESTREAM)):
        return _JXL
    return None


def _brands(head: bytes) -> frozenset[bytes]:
    """Return the brands of a file that begins with a box "ftyp"."""
    if head[4:8] != b"ftyp":
        return frozenset()
    length = int.from_bytes(head[:4], "big")
    return frozenset(head[i : i + 4] for i in (8, *range(16, min(length, len(head)) - 3, 4)))


def _kind(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        if _brands(head) & (_AVIF_BRANDS | _HEIF_BRANDS):
            return None
        return _OTHER_BRANDS.get(
            head[8:12], "a video (3GP)" if head[8:10] == b"3g" else "a video (MP4)"
        )
    return next((kind for pattern, kind in _NO_IMAGES if re.match(pattern, head, re.DOTALL)), None)
