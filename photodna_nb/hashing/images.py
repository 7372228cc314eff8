"""Pixels of a file, of bytes, of a Pillow image or of an array, as the kernels read them.

Every policy on formats, modes and sizes is here: the first frame, converted to RGB by
Pillow. EXIF orientation and colour profiles are not applied, and transparency is dropped,
not blended.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, BinaryIO, TypeAlias, TypeVar

import nanoarrow
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import core  # type: ignore[attr-defined]

from photodna_nb import checks, files
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError, ImageError
from photodna_nb.hashing import image_formats
from photodna_nb.hashing.decoder_messages import ProcessSetting, ignored_warnings, quiet_codecs
from photodna_nb.hashing.image_errors import (
    UNIDENTIFIED,
    damaged_header,
    image_errors,
    too_large,
)
from photodna_nb.hashing.png_chunks import PNG_SIGNATURE, PngWithoutTexts

ImageLike = Image.Image | NDArray[np.uint8]
Result = TypeVar("Result")
FileLike = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
# Takes an opened image and the name for error messages.
_Use: TypeAlias = Callable[[Image.Image, str | None], Result]

# Modes whose bytes the kernels read as they are; the other ones go through convert("RGB").
_DIRECT_MODES = frozenset({"RGB", "RGBX", "RGBA", "L"})

# Formats whose signatures cannot be mistaken for another one's, with the usual suffixes.
_COMMON_FORMATS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}

# For each suffix the likely one first: Pillow loads the plug-ins of all that it is asked for.
_LIKELY_FORMATS = {
    suffix: (kind, *(other for other in _COMMON_FORMATS if other != kind))
    for kind, suffixes in _COMMON_FORMATS.items()
    for suffix in suffixes
}

# A file with one of these suffixes that cannot be identified is a damaged image.
_IMAGE_SUFFIXES = frozenset([*_LIKELY_FORMATS, ".heic", ".heif", ".avif", ".jxl"])

# Modes whose values Pillow clips to 0 .. 255, by their beginnings: such an image may become flat.
_CLIPPED_MODES = {"I;": "16-bit grey", "I": "32-bit integers", "F": "floating-point numbers"}

# Bytes up to which a file is read at once: Pillow reads the header of a JPEG file in forty
# small pieces, which takes a tenth of the time of a small file.
_READ_AT_ONCE = 16 << 20


def read_pixels(file: FileLike) -> NDArray[np.uint8]:
    """Return the pixels of an image file's first frame.

    Parameters
    ----------
    file : str, os.PathLike, bytes or binary file
        A path, the content of a file as bytes, or a file opened for reading in binary mode.

    Returns
    -------
    ndarray of uint8, (H, W, 3), (H, W, 4) or (H, W)
        RGB, RGB with a fourth byte that has no meaning, or grey. H and W are at least 2.

    Raises
    ------
    ImageError
        The file is missing, not a regular file, unreadable, not an image, damaged,
        of a format whose codec is missing, larger than ``PIL.Image.MAX_IMAGE_PIXELS``
        pixels, or has a side of one pixel.
    ArgumentTypeError
        `file` is none of the accepted types.
    """
    return _with_file(file, lambda source, name: _read(source, name, _decoded))


def with_image(file: FileLike, use: Callable[[Image.Image], Result]) -> Result:
    """Return what a function returns for the image in a file, opened and not decoded yet.

    Parameters
    ----------
    file : str, os.PathLike, bytes or binary file
        As `read_pixels` takes it.
    use : callable
        Takes the image that `read_pixels` decodes. It may be called twice.

    Raises
    ------
    ImageError
        As `read_pixels` raises it, and for all other exceptions of `use`.
    """
    return _with_file(file, lambda source, name: _read(source, name, lambda image, _: use(image)))


def clipped_pixels(file: FileLike) -> str:
    """Return the kind of the pixels of an image file if Pillow clips them to 8 bits, or "".

    The image is opened and not decoded. A file that cannot be opened has none.

    Parameters
    ----------
    file : str, os.PathLike, bytes or binary file
        As `read_pixels` takes it.
    """
    try:
        return _with_file(file, _clipped_pixels)
    except ImageError:
        return ""


def _clipped_pixels(source: BinaryIO, name: str | None) -> str:
    with _opened(source, image_formats.first_bytes(source), name) as image:
        kinds = (kind for mode, kind in _CLIPPED_MODES.items() if image.mode.startswith(mode))
        return next(kinds, "")


def _with_file(file: FileLike, function: Callable[[BinaryIO, str | None], Result]) -> Result:
    """Call a function with what Pillow reads and its name; all errors become an ImageError."""
    name, source = _source(file)
    with image_errors(name), ignored_warnings:
        if not isinstance(source, str):
            return function(source, name)
        with files.open_regular(source, ImageError) as opened:
            if os.fstat(opened.fileno()).st_size <= _READ_AT_ONCE:
                return function(io.BytesIO(opened.readall()), name)
            with io.BufferedReader(opened) as buffered:
                return function(buffered, name)


def pixels(image: ImageLike) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image or an array, copied only if they must be.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        Of a Pillow image the current frame; of four channels the first three are read.

    Returns
    -------
    ndarray of uint8, (H, W, 3), (H, W, 4) or (H, W)
        C-contiguous and read-only. H and W are at least 2.

    Raises
    ------
    ImageError
        The Pillow image cannot be decoded, or has a side of one pixel.
    ArgumentTypeError
        `image` is neither, or the array is not uint8.
    ArgumentError
        The array has another shape, or a side shorter than two pixels.
    """
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "") or None
        with image_errors(name), ignored_warnings:
            _check_sides(image.size, name)
            return _decoded(image, name)
    if isinstance(image, np.ndarray):
        return _checked_array(image)
    raise ArgumentTypeError(
        f"image: got {describe(image)}, needs a Pillow image or a NumPy array of uint8; "
        "open a file with PIL.Image.open, or hash it with hash_file"
    )


def to_rgb(image: ImageLike) -> Image.Image:
    """Return an image as a loaded Pillow image in RGB that holds its pixels and nothing else.

    Parameters
    ----------
    image : PIL.Image.Image, or ndarray of uint8 (H, W, 3), (H, W, 4) or (H, W)
        As `pixels` takes it, and with the same errors.

    Returns
    -------
    PIL.Image.Image
        Image of mode RGB without ``info``, such as a palette's transparency or a resolution,
        which Pillow's operations and encoders would use. It is the image itself if that is
        so already, otherwise a copy.
    """
    if type(image) is Image.Image and image.mode == "RGB" and not image.info:
        _check_sides(image.size, None)
        return image
    values = pixels(image)
    size = values.shape[1], values.shape[0]
    if values.ndim == 2:
        return Image.frombytes("L", size, values).convert("RGB")
    return Image.frombytes("RGB", size, values, "raw", "RGBX" if values.shape[2] == 4 else "RGB")


def rows(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return the pixels as the kernels take them: (H, W * channels), and the channels."""
    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 1
    return image.reshape(height, width * channels), channels


def _source(file: FileLike) -> tuple[str | None, str | BinaryIO]:
    """Return the name for error messages, and a path or what Pillow reads."""
    if isinstance(file, bytes | bytearray | memoryview):
        return None, io.BytesIO(file)
    if isinstance(file, str | os.PathLike):
        name = os.fsdecode(file)
        return name, name
    if not hasattr(file, "read"):
        raise ArgumentTypeError(
            f"file: got {describe(file)}, needs a path, bytes or a file opened in binary mode; "
            "for a Pillow image or an array use hash_image"
        )
    if getattr(file, "closed", False):
        raise ArgumentError("file: got a closed file, needs an open one")
    if isinstance(file, io.TextIOBase):
        raise ArgumentTypeError(
            'file: got a file opened as text, needs binary mode: open(path, "rb")'
        )
    label = getattr(file, "name", None)
    label = label if isinstance(label, str) else None
    if hasattr(file, "seekable") and file.seekable():
        return label, file
    with image_errors(label), ignored_warnings:
        return label, io.BytesIO(file.read())


def _read(source: BinaryIO, name: str | None, use: _Use[Result]) -> Result:
    head = image_formats.first_bytes(source)
    try:
        if head.startswith(PNG_SIGNATURE):
            return _read_png(source, head, name, use)
        return _read_once(source, head, name, use)
    except (ImageError, MemoryError, Image.DecompressionBombError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) is not None:  # of the system; the content may be sound
            raise
        reason = image_formats.no_image(head)
        kind = image_formats.image_kind(head)
        if reason is None and isinstance(error, PIL.UnidentifiedImageError):
            reason = damaged_header(kind) if kind else UNIDENTIFIED
        if reason is None:
            raise
        raise _refusal(name, reason, head) from error


def _refusal(name: str | None, reason: str, head: bytes) -> ImageError:
    # A variable of the frame that raises it would keep that frame alive.
    error = ImageError(name, reason)
    error.other_kind = _other_kind(head, name)
    return error


def _other_kind(head: bytes, name: str | None) -> str:
    """Return what a file is that Pillow cannot read; "" if it begins as an image or is named so."""
    kind = image_formats.other_kind(head)
    suffix = os.path.splitext(name or "")[1].lower()
    if kind in ("", "empty") and (image_formats.image_kind(head) or suffix in _IMAGE_SUFFIXES):
        return ""
    return kind or "not an image"


def _read_png(source: BinaryIO, head: bytes, name: str | None, use: _Use[Result]) -> Result:
    """Read a PNG file, whatever the size of its texts and its colour profile.

    Pillow refuses the file where they are large, and has those of a large file in memory.
    """
    if source.seek(0, io.SEEK_END) <= _READ_AT_ONCE:
        try:
            return _read_once(source, head, name, use)
        except ImageError:
            raise
        except ValueError:  # as of a text that is too large; another error comes once more
            pass
    return _read_once(io.BufferedReader(PngWithoutTexts(source)), head, name, use)


def _read_once(source: BinaryIO, head: bytes, name: str | None, use: _Use[Result]) -> Result:
    with _opened(source, head, name) as image:
        _check_size(image.size, name)
        return use(image, name)


def _opened(source: BinaryIO, head: bytes, name: str | None) -> Image.Image:
    """Open an image, independently of the files that were opened before.

    A few files fit two formats. Pillow asks its plug-ins in the order in which it loaded
    them, and it loads them by the suffixes that it meets.
    """
    plugin_format = image_formats.plugin_format(head, name)
    if plugin_format == "JXL" and (size := image_formats.jxl_size(source)):
        _check_size(size, name)
    if plugin_format is not None:
        return Image.open(source, formats=[plugin_format])
    suffix = os.path.splitext(name or "")[1].lower()
    try:
        return Image.open(source, formats=_LIKELY_FORMATS.get(suffix, tuple(_COMMON_FORMATS)))
    except PIL.UnidentifiedImageError:
        Image.init()
        likely = Image.registered_extensions().get(suffix)
        others = sorted(Image.OPEN)
        return Image.open(source, formats=[likely, *others] if likely in others else others)


def _check_size(size: tuple[int, int], name: str | None) -> None:
    _check_sides(size, name)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise ImageError(name, too_large(f"{size[0]} x {size[1]} pixels are"))


def _check_sides(size: tuple[int, int], name: str | None) -> None:
    if min(size) < 2:
        raise ImageError(
            name,
            f"is {size[0]} x {size[1]} pixels, and the hash needs at least 2 x 2; "
            "leave this image out or use a larger version of it",
        )


def _decoded(image: Image.Image, name: str | None) -> NDArray[np.uint8]:
    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    with ExitStack() as settings:
        if 4 * image.width * image.height > core.get_block_size():
            settings.enter_context(_one_block)
        for codec in codecs & quiet_codecs.keys():
            settings.enter_context(quiet_codecs[codec])
        return _loaded(image, name)


def _loaded(image: Image.Image, name: str | None) -> NDArray[np.uint8]:
    image.load()
    _check_sides(image.size, name)  # some formats learn their size while they load
    if image.mode not in _DIRECT_MODES:
        image = image.convert("RGB")
    try:
        values = nanoarrow.c_array(image)
    except ValueError:  # in several blocks of memory; a copy made here comes in one
        with _one_block:
            values = nanoarrow.c_array(image.copy())
    # Pillow keeps three channels in four bytes, too.
    shape = (image.height, image.width, 4)[: 2 if image.mode == "L" else 3]
    values = values if image.mode == "L" else values.child(0)
    return np.frombuffer(values.view().buffer(1), np.uint8).reshape(shape)  # and read-only


def _allocate_one_block() -> Callable[[], None]:
    before = core.get_use_block_allocator()
    core.set_use_block_allocator(1)
    return lambda: core.set_use_block_allocator(before)


# Has Pillow allocate images in one block of memory. An image of over 4 megapixels comes in blocks
# of 16 MB otherwise, and only one that lies in one block can be read without a copy.
_one_block = ProcessSetting(_allocate_one_block)


def _checked_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise ArgumentTypeError(
            f"image: got an array of {array.dtype}, needs uint8 with values 0 to 255; "
            "scale it and convert with .astype(np.uint8)"
        )
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ArgumentError(
            f"image: got an array of shape {array.shape}, needs (H, W, 3), (H, W, 4) or (H, W): "
            "rows, columns, channels"
        )
    if min(array.shape[:2]) < 2:
        raise ArgumentError(
            f"image: got an array of shape {array.shape}, "
            "and the hash needs at least 2 rows and 2 columns"
        )
    return checks.read_only(array)
