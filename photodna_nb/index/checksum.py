"""The end of an index file of this program: what it holds, and digests of all of it.

FAISS reads what comes before and ignores the rest. The content is digested in pieces,
so that a piece of a large file can be checked when it is first read.

    content | SHA-256 of each piece | facts as JSON | SHA-256 of these two | their lengths | MAGIC
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from photodna_nb.errors import IndexFileError
from photodna_nb.files import Content

PIECE = 1 << 20
_DIGEST = 32
_MAGIC = b"PhotoDNA-nb footer"
# Length of the content, of the digests, of the facts.
_LENGTHS = struct.Struct("<QQQ")
_END = _DIGEST + _LENGTHS.size + len(_MAGIC)


def with_footer(chunks: Iterable[Content], facts: dict[str, Any]) -> Iterator[Content]:
    """Yield the content of a file, and the footer at its end.

    Parameters
    ----------
    chunks : iterable of bytes
        The content.
    facts : dict
        JSON values. What `chunks` puts in while it yields counts as well.
    """
    digests, digest, size = [], hashlib.sha256(), 0
    for chunk in chunks:
        view = memoryview(chunk)
        if not view.nbytes:
            continue
        view = view.cast("B")
        yield view
        while len(view):
            part = view[: PIECE - size % PIECE]
            digest.update(part)
            size += len(part)
            view = view[len(part) :]
            if size % PIECE == 0:
                digests.append(digest.digest())
                digest = hashlib.sha256()
    if size % PIECE:
        digests.append(digest.digest())
    told = b"".join(digests) + json.dumps(facts).encode("ascii")
    lengths = _LENGTHS.pack(size, _DIGEST * len(digests), len(told) - _DIGEST * len(digests))
    yield told + hashlib.sha256(told + lengths).digest() + lengths + _MAGIC


class ChecksumFooter:
    """What is known of a file's content, and which of its pieces have been checked.

    Attributes
    ----------
    facts : dict or None
        None if the file has no footer: another program wrote it.
    size : int
        Bytes of the content.
    """

    def __init__(self, path: str, content: memoryview) -> None:
        self.facts: dict[str, Any] | None = None
        self.size = len(content)
        self._path, self._content, self._digests = path, content, b""
        if len(content) < _END or content[-len(_MAGIC) :] != _MAGIC:
            return
        lengths = bytes(content[-_END:][_DIGEST : -len(_MAGIC)])
        size, digests, facts = _LENGTHS.unpack(lengths)
        told = bytes(content[size:-_END])
        digest = hashlib.sha256(told + lengths).digest()
        pieces = -(-size // PIECE)
        fitting = size + digests + facts + _END == len(content) and digests == pieces * _DIGEST
        if not fitting or digest != content[-_END:][:_DIGEST]:
            raise IndexFileError(path, "is damaged: its footer does not fit its content")
        self.facts = json.loads(told[digests:])
        self.size = size
        self._digests = told[:digests]
        self._unchecked = np.ones(pieces, bool)

    def check(self, start: int = 0, stop: int | None = None) -> None:
        """Compare the pieces with bytes `start` to `stop` with their digests, each only once.

        Raises
        ------
        IndexFileError
            The content is not what was written.
        """
        stop = self.size if stop is None else stop
        if self.facts is None or stop <= start:
            return
        first = start // PIECE
        todo = (first + np.flatnonzero(self._unchecked[first : -(-stop // PIECE)])).tolist()
        # Digests are computed without the interpreter's lock.
        if len(todo) > 8:
            with ThreadPoolExecutor() as pool:
                fine = all(pool.map(self._intact, todo))
        else:
            fine = all(map(self._intact, todo))
        if not fine:
            raise IndexFileError(self._path, "is damaged: its content is not what was written")
        self._unchecked[todo] = False

    def _intact(self, piece: int) -> bool:
        start = piece * PIECE
        digest = hashlib.sha256(self._content[start : min(start + PIECE, self.size)]).digest()
        return digest == self._digests[piece * _DIGEST :][:_DIGEST]
