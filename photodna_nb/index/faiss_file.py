"""The index file: ``IndexIDMap2`` over ``IndexFlatL2(144)``, as FAISS writes it.

FAISS trusts what it reads: a damaged file can crash it. So the file is read
here, every length checked against its size, and FAISS is handed the arrays.
"""

from __future__ import annotations

import struct
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from photodna_nb import files
from photodna_nb.arrays import HASH_BYTES
from photodna_nb.errors import IndexFileError

# Kind, dimension, number of vectors, two unused numbers, trained, metric (1 = L2).
_HEADER = struct.Struct("<4siqqqBi")
_COUNT = struct.Struct("<Q")
_VECTOR_BYTES = 4 * HASH_BYTES


def build(hashes: NDArray[np.uint8], ids: NDArray[np.int64]) -> Any:
    """Return a FAISS index of (n, 144) hashes under (n,) ids."""
    index = faiss.IndexIDMap2(faiss.IndexFlatL2(HASH_BYTES))
    add(index, hashes, ids)
    return index


def add(index: Any, hashes: NDArray[np.uint8], ids: NDArray[np.int64]) -> None:
    """Append (n, 144) hashes under (n,) ids to a FAISS index."""
    if len(ids):
        index.add_with_ids(hashes.astype(np.float32), ids)


def encode(index: Any) -> list[memoryview]:
    """Return the content of the FAISS index's file."""
    content: NDArray[np.uint8] = faiss.serialize_index(index)
    return [content.data]


def load(path: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the vectors (n, 144) and ids (n,) in an index file.

    Raises
    ------
    IndexFileError
        The file is missing, damaged, or of another kind.
    """
    content = files.read(path, IndexFileError)
    outer = _header(path, content, 0, b"IxM2")
    inner = _header(path, content, _HEADER.size, b"IxF2")
    vectors_at = 2 * _HEADER.size + _COUNT.size
    ids_at = vectors_at + outer * _VECTOR_BYTES + _COUNT.size
    if inner != outer or len(content) != ids_at + 8 * outer:
        raise IndexFileError(path, "is truncated or damaged: its lengths do not fit its size")
    if _COUNT.unpack_from(content, vectors_at - _COUNT.size) != (outer * HASH_BYTES,):
        raise IndexFileError(path, "is damaged: its number of values does not fit its size")
    if _COUNT.unpack_from(content, ids_at - _COUNT.size) != (outer,):
        raise IndexFileError(path, "is damaged: its number of ids does not fit its size")
    vectors = np.frombuffer(content, "<f4", outer * HASH_BYTES, vectors_at)
    ids = np.frombuffer(content, "<i8", outer, ids_at)
    return vectors.reshape(outer, HASH_BYTES), ids


def _header(path: str, content: bytes, offset: int, kind: bytes) -> int:
    """Return the number of vectors that the header at `offset` gives."""
    if len(content) < offset + _HEADER.size:
        raise IndexFileError(path, "is truncated: it ends within its header")
    found, dimension, count, _, _, trained, metric = _HEADER.unpack_from(content, offset)
    if found != kind:
        raise IndexFileError(
            path, "is not a FAISS index of the kind IndexIDMap2 over IndexFlatL2, or is damaged"
        )
    if dimension != HASH_BYTES:
        raise IndexFileError(path, f"has dimension {dimension}, and hashes have {HASH_BYTES}")
    if metric != 1 or trained != 1 or not 0 <= count <= len(content) // _VECTOR_BYTES:
        raise IndexFileError(path, "is damaged, or not an index of L2 distances")
    return int(count)
