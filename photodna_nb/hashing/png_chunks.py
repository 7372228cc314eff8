"""PNG files without their texts and colour profiles, which no pixel depends on."""

from __future__ import annotations

import io
import struct
import zlib
from bisect import bisect_right
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEFT_OUT = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
_AT_ONCE = 1 << 16


class PngWithoutTexts(io.RawIOBase):
    """A PNG file as a binary file in which chunks of texts and the colour profile are missing.

    Pillow unpacks each of them, and refuses the file if they are large. Here none is unpacked,
    and none is in memory as a whole.

    Parameters
    ----------
    source : binary file
        A PNG file that can be sought.

    Raises
    ------
    SyntaxError
        A chunk that is left out is damaged: its checksum does not hold. It is the class of
        Pillow for this error.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._position = 0
        # Ranges that are kept: where each one ends here, and how far back it is moved.
        self._ends: list[int] = []
        self._moved: list[int] = []
        start = moved = 0
        for chunk, after in [*_left_out(source), (source.seek(0, io.SEEK_END), 0)]:
            if chunk > start:
                self._ends.append(chunk - moved)
                self._moved.append(moved)
            start, moved = after, moved + after - chunk

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read up to the end of a range; return the number of bytes."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._ends):
            return 0
        self._source.seek(self._position + self._moved[number])
        content = self._source.read(min(len(buffer), self._ends[number] - self._position))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _left_out(source: BinaryIO) -> list[tuple[int, int]]:
    """Return where each chunk that is left out begins and ends, after checking its checksum."""
    places: list[tuple[int, int]] = []
    position = len(PNG_SIGNATURE)
    while True:
        source.seek(position)
        header = source.read(8)
        if len(header) < 8 or header[4:] == b"IEND":
            return places
        length, name = struct.unpack(">I4s", header)
        end = position + 8 + length + 4
        if name in _LEFT_OUT:
            checksum = zlib.crc32(name)
            while length and (content := source.read(min(length, _AT_ONCE))):
                checksum = zlib.crc32(content, checksum)
                length -= len(content)
            if length or source.read(4) != checksum.to_bytes(4, "big"):
                raise SyntaxError(f"broken PNG file (bad checksum in {name!r})")
            places.append((position, end))
        position = end
