"""The checksum footer of an index file: a header in JSON, and digests of all that is before it.

FAISS reads what comes before the footer and ignores the rest. The content is digested in
pieces, so that a piece of a large file is checked when it is first read. The footer shows
damage; it is no signature, and says nothing of who wrote the file.

    content | SHA-256 of each piece | header as JSON | SHA-256 of these two | their lengths | MAGIC
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import IndexFileError, resource_errors
from photodna_nb.files import Content

PIECE = 1 << 20
_DIGEST = 32
_MAGIC = b"PhotoDNA-nb seal"  # part of the file format, so it stays as it is
# Length of the content, of the digests, of the header.
_LENGTHS = struct.Struct("<QQQ")
_END = _DIGEST + _LENGTHS.size + len(_MAGIC)


def with_footer(
    chunks: Iterable[Content], header: Callable[[], dict[str, Any]]
) -> Iterator[Content]:
    """Yield the content of a file, and its checksum footer.

    Parameters
    ----------
    chunks : iterable of bytes
        The content.
    header : callable
        Returns JSON values; it is called once the content has been yielded.
    """
    digests, digest, size = [], hashlib.sha256(), 0
    for chunk in chunks:
        view = memoryview(chunk)
        if not view.nbytes:
            continue
        view = view.cast("B")
        yield view
        while len(view):
            piece = view[: PIECE - size % PIECE]
            digest.update(piece)
            size += len(piece)
            view = view[len(piece) :]
            if size % PIECE == 0:
                digests.append(digest.digest())
                digest = hashlib.sha256()
    if size % PIECE:
        digests.append(digest.digest())
    text = json.dumps(header()).encode("ascii")
    lengths = _LENGTHS.pack(size, _DIGEST * len(digests), len(text))
    body = b"".join(digests) + text
    yield body + hashlib.sha256(body + lengths).digest() + lengths + _MAGIC


class ChecksumFooter:
    """The footer of a file, and which pieces of its content have been checked.

    Attributes
    ----------
    header : dict
        JSON values; empty if the file has no footer, because another program wrote it.
    size : int
        Number of bytes of the content.
    """

    def __init__(self, path: str, content: memoryview) -> None:
        self.header: dict[str, Any] = {}
        self.size: int = len(content)
        self.path: str = path
        self._content, self._digests = content, b""
        self._unchecked = np.zeros(0, bool)
        if len(content) < _END or content[-len(_MAGIC) :] != _MAGIC:
            return
        lengths = bytes(content[-_END:][_DIGEST : -len(_MAGIC)])
        size, digests, text = _LENGTHS.unpack(lengths)
        body = bytes(content[size:-_END])
        digest = hashlib.sha256(body + lengths).digest()
        pieces = -(-size // PIECE)
        fits = size + digests + text + _END == len(content) and digests == pieces * _DIGEST
        header = (
            json.loads(body[digests:]) if fits and digest == content[-_END:][:_DIGEST] else None
        )
        if not isinstance(header, dict):
            raise IndexFileError(path, "is damaged: its checksum footer does not fit its content")
        self.header = header
        self.size = size
        self._digests = body[:digests]
        self._unchecked = np.ones(pieces, bool)

    def check(self, start: int = 0, stop: int | None = None) -> None:
        """Compare the pieces with bytes `start` to `stop` with their digests, each only once.

        Raises
        ------
        IndexFileError
            The content is not what was written.
        """
        self.check_spans(np.array([start]), np.array([self.size if stop is None else stop]))

    def is_checked(self, start: int, stop: int) -> bool:
        """Return whether the pieces with bytes `start` to `stop` have been checked."""
        return not self._unchecked[start // PIECE : -(-stop // PIECE)].any()

    def check_spans(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        """Check the pieces with the bytes from each of `starts` to its stop, none empty."""
        if not self._unchecked.any():
            return
        ends = np.zeros(len(self._unchecked) + 1, np.int64)
        np.add.at(ends, starts // PIECE, 1)
        np.add.at(ends, (stops - 1) // PIECE + 1, -1)
        todo = np.flatnonzero(self._unchecked & (np.cumsum(ends[:-1]) > 0)).tolist()
        # Digests are computed without the interpreter's lock.
        if len(todo) > 8:
            with resource_errors(), ThreadPoolExecutor() as pool:
                intact = all(pool.map(self._intact, todo))
        else:
            intact = all(map(self._intact, todo))
        if not intact:
            raise IndexFileError(self.path, "is damaged: its content is not what was written")
        self._unchecked[todo] = False

    def _intact(self, piece: int) -> bool:
        start = piece * PIECE
        digest = hashlib.sha256(self._content[start : min(start + PIECE, self.size)]).digest()
        return digest == self._digests[piece * _DIGEST :][:_DIGEST]
