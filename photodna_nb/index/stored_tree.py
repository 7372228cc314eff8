"""The search tree of the rows of an index, as it is made, stored in the index file, and read.

It lies behind the content that FAISS reads, and before the checksum footer, whose header has
its sizes. What a search does not look at is neither read nor checked. The tree covers the first
rows of the file; rows that came later are searched by their distances until the tree is made
anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import IndexFileError
from photodna_nb.index.checksum import ChecksumFooter
from photodna_nb.index.row_segments import TREE_ALIGNMENT, FileRows, RowSegment, StoredTree
from photodna_nb.kernels.filter import SUPERBLOCK_ROWS
from photodna_nb.kernels.filter_tile import BLOCK_ROWS, BOX_AXES
from photodna_nb.kernels.vector import compiled
from photodna_nb.pairs.projection import Projection, sample_rows
from photodna_nb.pairs.search_tree import SearchTree, laid_out, superboxes

# Rows that come after the tree, as a share of those in it, before it is made anew.
_MAX_SHARE = 1 / 10
# Axes of the projection, and rows to which it is fitted.
_AXES, _SAMPLE = 24, 4096
_ROWS_AT_ONCE = 1 << 16


def with_tree(segments: Sequence[RowSegment]) -> list[RowSegment]:
    """Return the rows of an index, of which the first segment has a tree if that is worthwhile."""
    segments = [segment for segment in segments if segment.count]
    first, n_rows = segments[0], sum(segment.count for segment in segments)
    kept = first.tree is not None and n_rows - first.count <= _MAX_SHARE * first.count
    if kept or not compiled():
        return segments
    whole = first if len(segments) == 1 else RowSegment.concatenated(segments)
    tree = built(whole)
    return [RowSegment.of(whole.rows, whole.ids, lambda: tree)]


def built(segment: RowSegment) -> SearchTree:
    """Return a new tree of all rows of a segment."""
    sample = sample_rows(segment.rows, _SAMPLE)
    return SearchTree.build(segment.rows, Projection.fit(sample, _AXES), None)


def content(tree: SearchTree, start: int) -> Iterator[Any]:
    """Yield a tree as bytes for a file of which there are `start` bytes before."""
    codes, halves, *boxes = tree.boxes
    arrays: list[NDArray[Any]] = [
        tree.projection.weights,
        tree.projection.centre,
        *boxes,
        tree.order,
        halves,
        codes,
    ]
    for array in arrays:
        yield bytes(-start % TREE_ALIGNMENT)
        yield np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data
        start += -start % TREE_ALIGNMENT + array.nbytes


def load(
    stored: StoredTree,
    footer: ChecksumFooter,
    data: memoryview,
    hashes: NDArray[np.uint8],
    rows: FileRows | None,
) -> SearchTree | None:
    """Return the tree in an index file, or None if the sizes in the header are not those of one.

    Parameters
    ----------
    stored : StoredTree
        Sizes, and where it begins.
    footer, data
        Checksums, and what they are of.
    hashes : ndarray of uint8, (n, 144)
        Hashes of which it is the tree.
    rows : FileRows, optional
        What reads them, if they are in the file.
    """
    n_blocks = -(-stored.n_rows // BLOCK_ROWS)
    box = "u1", (n_blocks, BOX_AXES)
    superbox = "u1", (-(-stored.n_rows // SUPERBLOCK_ROWS), BOX_AXES)
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("i1", (stored.n_axes, HASH_BYTES)),
        ("<i4", (stored.n_axes,)),
        *(box, box, superbox, superbox),
        ("<i4", (stored.n_rows,)),
        ("<i4", (n_blocks * BLOCK_ROWS,)),
        ("u1", (n_blocks * BLOCK_ROWS * stored.n_axes,)),
    ]
    arrays, starts, at = [], [], stored.start
    for kind, shape in shapes:
        at += -at % TREE_ALIGNMENT
        count = int(np.prod(shape))
        if at + count * np.dtype(kind).itemsize > stored.stop:
            return None
        arrays.append(np.frombuffer(data, kind, count, at).reshape(shape))
        starts.append(at)
        at += arrays[-1].nbytes
    if at != stored.stop:
        return None
    footer.check(stored.start, starts[6])
    weights, centre, *boxes, order, halves, codes = arrays
    bytes_of_places = [(starts[6], 4), (starts[7], 4), (starts[8], stored.n_axes)]
    reader = StoredTreeReader(footer, bytes_of_places, stored, rows)
    return SearchTree(
        Projection.of(weights, centre), hashes, order, (codes, halves, *boxes), reader
    )


class StoredTreeReader:
    """Checks what a search is about to look at: see `pairs.search_tree.TreeReader`."""

    def __init__(
        self,
        footer: ChecksumFooter,
        bytes_of_places: list[tuple[int, int]],
        stored: StoredTree,
        rows: FileRows | None,
    ) -> None:
        self._footer, self._bytes_of_places = footer, bytes_of_places
        self._stored, self._rows = stored, rows

    @property
    def has_read_places(self) -> bool:
        """Whether all but the hashes has been checked."""
        return self._footer.is_checked(self._bytes_of_places[0][0], self._stored.stop)

    def read_places(self, superblocks: NDArray[np.int32]) -> None:
        """Check all but the hashes of the places in some boxes of 512."""
        if self.has_read_places:
            return
        for start, size in self._bytes_of_places:
            starts = start + superblocks.astype(np.int64) * (SUPERBLOCK_ROWS * size)
            stops = np.minimum(starts + SUPERBLOCK_ROWS * size, self._stored.stop)
            self._footer.check_spans(starts, stops)

    def read_hashes(self, numbers: NDArray[np.int32] | None) -> None:
        """Read the hashes of those numbers, or all."""
        # Checksums can be right in a file of another origin, and a kernel would read beyond.
        n_rows = self._stored.n_rows
        if (
            numbers is not None
            and len(numbers)
            and not 0 <= numbers.min() <= numbers.max() < n_rows
        ):
            reason = "is damaged: its search tree has rows that are not in the file"
            raise IndexFileError(self._footer.path, reason)
        if self._rows is not None and numbers is not None:
            self._rows.read_some(numbers)
        elif self._rows is not None:
            self._rows.read(0, n_rows)


def difference(tree: SearchTree) -> str:
    """Return what of a tree is not as its hashes demand, or an empty text."""
    tree.read_hashes(None)
    if tree.reader is not None:
        tree.reader.read_places(tree.superblocks)
    if not np.array_equal(np.sort(tree.order), np.arange(len(tree.hashes))):
        return "its order has a row twice"
    for start in range(0, len(tree), _ROWS_AT_ONCE):
        numbers = tree.order[start : start + _ROWS_AT_ONCE]
        parts = laid_out(tree.projection.project(tree.hashes[numbers]))
        for name, array, part in zip(
            ("coordinates", "squares", "boxes", "boxes"), tree.boxes, parts, strict=False
        ):
            size = part.size // len(parts[-1])
            first = start // BLOCK_ROWS * size
            if not np.array_equal(array.reshape(-1)[first : first + part.size], part.reshape(-1)):
                return f"its {name} are not those of its rows"
    low, high, super_low, super_high = tree.boxes[2:]
    pairs = zip(superboxes(low, high), (super_low, super_high), strict=True)
    if not all(np.array_equal(sides, found) for sides, found in pairs):
        return "its boxes are not those of its rows"
    return ""
