"""The pictures of a page for review: their files, thumbnails, and what differs between them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from PIL import Image, ImageOps

from photodna_nb import files
from photodna_nb.errors import ImageError
from photodna_nb.evaluation.thumbnails import jpeg_thumbnail
from photodna_nb.hashing.images import pixels, to_rgb, with_image
from photodna_nb.hashing.orientations import Orientation
from photodna_nb.printable import printable

# Pixels of the longer side of a thumbnail.
_SIDE = 240
# Behind transparent pixels: both black and white show on it.
_BACKGROUND = (160, 160, 160, 255)
_EXIF_ORIENTATION = 0x0112
# Widths relative to heights that differ by less are those of one picture in two sizes.
_SAME_PROPORTIONS = 0.02

_ORIENTATION_NOTES: dict[Orientation, str] = {
    "flip_left_right": "mirrored",
    "flip_top_bottom": "mirrored top to bottom",
    "rotate_90": "turned left by 90°",
    "rotate_180": "turned by 180°",
    "rotate_270": "turned right by 90°",
    "transpose": "mirrored and turned by 90°",
    "transverse": "mirrored and turned by 90°",
}
_TURNS_A_QUARTER = {"rotate_90", "rotate_270", "transpose", "transverse"}


class ReviewMember(NamedTuple):
    """A picture of a group.

    path : str
        Path of the file, or a label.
    status : (int, int) or None
        Size in bytes and time of modification in nanoseconds when it was hashed; None for a
        label.
    size : (int, int)
        Width and height in pixels when it was hashed; zeros where they are not known.
    distance : float
        Distance to the first of the group; NaN for that one.
    orientation : str
        Orientation relative to the first.
    """

    path: str
    status: tuple[int, int] | None
    size: tuple[int, int]
    distance: float
    orientation: Orientation


class ReviewPicture(NamedTuple):
    """What the page shows of a picture.

    size : (int, int)
        Width and height in pixels; zeros where they are not known.
    status : (int, int)
        Size in bytes and time of modification in nanoseconds; -1 for a label.
    format : str
        Name of the format; empty for a file that could not be read.
    notes : tuple of str
        What a person should know of it, and how it differs from the first of the group.
    thumbnail : bytes or None
        JPEG; None if the file could not be read.
    """

    size: tuple[int, int]
    status: tuple[int, int]
    format: str
    notes: tuple[str, ...]
    thumbnail: bytes | None


class _PictureFile(NamedTuple):
    """A file as it is now, or what the table knows of it.

    turned : bool
        Whether its EXIF data turn it for people; the hash is of the pixels as they are stored.
    pixels : bytes or None
        Digest of the pixels, if it was asked for.
    problem : str
        Why it cannot be read.
    """

    size: tuple[int, int]
    format: str = ""
    turned: bool = False
    pixels: bytes | None = None
    thumbnail: bytes | None = None
    problem: str = ""

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]


def read_group(members: Sequence[ReviewMember]) -> list[ReviewPicture]:
    """Return what the page shows of each picture of a group.

    Each file is decoded once, and files of the same content together. No file of a label is opened.
    """
    statuses = [_status(member) for member in members]
    originals = _same_content(members, statuses)
    compared = {
        row
        for row, member in enumerate(members)
        if member.distance == 0 and member.size == members[0].size and originals[row] != 0
    }
    decoded: list[_PictureFile] = []
    for row, (member, status, original) in enumerate(
        zip(members, statuses, originals, strict=True)
    ):
        if original < row:
            decoded.append(decoded[original])
        elif status is None:
            decoded.append(_PictureFile(member.size))
        else:
            decoded.append(_decode(member, row in compared or (row == 0 and bool(compared))))
    known = [
        now or member.status or (-1, -1) for member, now in zip(members, statuses, strict=True)
    ]
    largest = max((file.area for file in decoded[1:]), default=0) < decoded[0].area
    pictures = []
    for row, (member, file) in enumerate(zip(members, decoded, strict=True)):
        notes = _state(member, statuses[row], file.problem)
        if row == 0:
            notes += ["most pixels"] * largest
        elif originals[row] == 0:
            notes.append("identical file")
        else:
            if originals[row] < row:
                notes.append(f"identical file to no. {originals[row] + 1}")
            share = known[row][0] / known[0][0] if min(known[row][0], known[0][0]) > 0 else 1.0
            notes += _differences(member.orientation, decoded[0], file, share)
        notes += ["turned by its EXIF data"] * file.turned
        shown = ReviewPicture(file.size, known[row], file.format, tuple(notes), file.thumbnail)
        pictures.append(shown)
    return pictures


def _status(member: ReviewMember) -> tuple[int, int] | None:
    """Return size and time of modification of the file as it is now; None if there is none."""
    if member.status is not None:
        with suppress(OSError, ValueError):  # a ValueError: what cannot be a name
            status = os.stat(member.path)
            return status.st_size, status.st_mtime_ns
    return None


def _same_content(
    members: Sequence[ReviewMember], statuses: Sequence[tuple[int, int] | None]
) -> list[int]:
    """Return the number of the first picture of the group with the same content, for each."""
    of_size = Counter(status[0] for status in statuses if status)
    first: dict[bytes, int] = {}
    numbers = list(range(len(members)))
    for row, (member, status) in enumerate(zip(members, statuses, strict=True)):
        if status and of_size[status[0]] > 1:
            with suppress(ImageError, OSError), files.open_regular(member.path, ImageError) as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                numbers[row] = first.setdefault(digest, row)
    return numbers


def _decode(member: ReviewMember, all_pixels: bool) -> _PictureFile:
    """Return a file as it is now, with a digest of its pixels if all of them are decoded."""

    def read(image: Image.Image) -> _PictureFile:
        size, kind, turned, digest = image.size, image.format or "", False, None
        if not all_pixels:
            image.draft(None, (_SIDE, _SIDE))  # JPEG files can be decoded smaller
        values = pixels(image)  # which loads it, without messages of decoders
        if all_pixels:
            if values.ndim == 3 and image.mode != "RGBA":
                values = values[..., :3]  # the fourth byte has no meaning
            digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
        with suppress(Exception):  # damaged EXIF data
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9)
            ImageOps.exif_transpose(image, in_place=True)
        if image.has_transparency_data:
            image = image.convert("RGBA")
        elif image.mode not in ("RGB", "L"):
            image = to_rgb(image)
        image.thumbnail((_SIDE, _SIDE))
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image)
        return _PictureFile(size, kind, turned, digest, jpeg_thumbnail(to_rgb(image), _SIDE))

    try:
        return with_image(member.path, read)
    except ImageError as error:
        return _PictureFile(member.size, problem=printable(error.reason.partition(";")[0]))


def _state(member: ReviewMember, status: tuple[int, int] | None, problem: str) -> list[str]:
    """Return why a picture, or the one that was hashed, is not shown."""
    if member.status is None:
        return ["hash from a table: no file is opened"]
    if status is None:
        return ["missing: there is no such file now"]
    return ["changed since it was hashed"] * (status != member.status) + [problem] * bool(problem)


def _differences(
    orientation: Orientation, first: _PictureFile, other: _PictureFile, share_of_bytes: float
) -> list[str]:
    """Return how a picture differs from the first one, whose file is another one."""
    if first.pixels is not None and first.pixels == other.pixels:
        return ["same pixels, other bytes"]
    notes = []
    if orientation != "identity":
        notes.append(_ORIENTATION_NOTES[orientation])
    width, height = reversed(other.size) if orientation in _TURNS_A_QUARTER else other.size
    if not first.area or not other.area:
        return notes
    if (width, height) != first.size:
        percent = 100 * (other.area / first.area) ** 0.5
        digits = int(99 < percent < 101)
        notes.append(f"{'smaller' if percent < 100 else 'larger'}: {percent:.{digits}f} %")
        if abs(width * first.size[1] / (height * first.size[0]) - 1) > _SAME_PROPORTIONS:
            notes.append("other proportions")
    elif round(100 * share_of_bytes) != 100:
        less = share_of_bytes < 1
        notes.append(f"{'fewer' if less else 'more'} bytes: {100 * share_of_bytes:.0f} %")
    return notes
