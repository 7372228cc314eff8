"""The pictures of a page for review: their files, thumbnails, and what differs between them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from typing import NamedTuple

from PIL import Image, ImageOps

from photodna_nb import files, parallel
from photodna_nb.errors import ImageError
from photodna_nb.evaluation.thumbnails import jpeg_thumbnail
from photodna_nb.hashing.images import pixels, to_rgb, with_image
from photodna_nb.hashing.orientations import Orientation
from photodna_nb.printable import printable

# Pixels of the longer side of a thumbnail.
_SIDE = 240
# Behind transparent pixels: both black and white show on it.
_BACKGROUND = (160, 160, 160)
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
    original : int
        Number of the first picture of the group with the same content, whose thumbnail it shares.
    thumbnail : bytes or None
        JPEG; None if the file could not be read, or has the content of another one.
    """

    size: tuple[int, int]
    status: tuple[int, int]
    format: str
    notes: tuple[str, ...]
    original: int
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


class _InspectedGroup(NamedTuple):
    """A group whose files were not decoded yet.

    statuses : list of (int, int) or None
        Size and time of modification of each file as it is now; None if there is none.
    originals : list of int
        Number of the first picture of the group with the same content, for each.
    """

    members: Sequence[ReviewMember]
    statuses: list[tuple[int, int] | None]
    originals: list[int]


def read_pictures(
    groups: Iterable[Sequence[ReviewMember]], max_workers: int | None = None
) -> Generator[ReviewPicture, None, None]:
    """Yield what the page shows of each picture of each group, in order.

    Each file is decoded once, and files of a group with the same content together. No file of a
    label is opened.
    """
    inspected: deque[_InspectedGroup] = deque()

    def jobs() -> Iterator[tuple[ReviewMember, bool, bool]]:
        with closing(parallel.ordered_map(_inspect, groups, max_workers=max_workers)) as results:
            for group in results:
                inspected.append(group)
                yield from _jobs(group)

    with closing(parallel.ordered_map(_picture_file, jobs(), max_workers=max_workers)) as files_now:
        for first in files_now:
            group = inspected.popleft()
            known: list[_PictureFile] = []
            for row, original in enumerate(group.originals):
                file = next(files_now) if row else first
                if original < row:
                    file = known[original]
                known.append(file._replace(thumbnail=None))
                notes = tuple(_notes(group, known, row))
                status = group.statuses[row] or group.members[row].status or (-1, -1)
                yield ReviewPicture(file.size, status, file.format, notes, original, file.thumbnail)


def _inspect(members: Sequence[ReviewMember]) -> _InspectedGroup:
    statuses = [_status(member) for member in members]
    return _InspectedGroup(members, statuses, _same_content(members, statuses))


def _jobs(group: _InspectedGroup) -> Iterator[tuple[ReviewMember, bool, bool]]:
    """Yield each picture, whether its file is decoded, and whether all of its pixels are."""
    members, originals = group.members, group.originals
    compared = [
        member.distance == 0 and member.size == members[0].size and original != 0
        for member, original in zip(members, originals, strict=True)
    ]
    compared[0] = any(compared)
    for row, (member, status) in enumerate(zip(members, group.statuses, strict=True)):
        yield member, status is not None and originals[row] == row, compared[row]


def _picture_file(job: tuple[ReviewMember, bool, bool]) -> _PictureFile:
    member, decoded, all_pixels = job
    return _decode(member, all_pixels) if decoded else _PictureFile(member.size)


def _notes(group: _InspectedGroup, files_now: list[_PictureFile], row: int) -> Iterator[str]:
    """Yield the notes of a picture, from the files of the group up to it."""
    member, original, file = group.members[row], group.originals[row], files_now[row]
    yield from _state(member, group.statuses[row], file.problem)
    if row == 0:
        areas = [width * height for width, height in (one.size for one in group.members)]
        yield from ["most pixels"] * (all(areas) and areas[0] > max(areas[1:], default=0))
    elif original == 0:
        yield "identical file"
    else:
        if original < row:
            yield f"identical file to no. {original + 1}"
        sizes = [(group.statuses[i] or group.members[i].status or (-1, -1))[0] for i in (0, row)]
        share = sizes[1] / sizes[0] if min(sizes) > 0 else 1.0
        yield from _differences(member.orientation, files_now[0], file, share)
    yield from ["turned by its EXIF data"] * file.turned


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
        shown = Image.new("RGB", image.size, _BACKGROUND)  # without comments and the like
        shown.paste(image, mask=image if image.mode == "RGBA" else None)
        return _PictureFile(size, kind, turned, digest, jpeg_thumbnail(shown, _SIDE))

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
