"""Which images of one set are in another: a folder against a list of known hashes."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import LOW_DETAIL
from photodna_nb.errors import ArgumentError
from photodna_nb.hashing.orientations import ORIENTATIONS, Orientation
from photodna_nb.kernels.distance import SQUARED
from photodna_nb.pairs.blocks import Hashes, PackedPairs
from photodna_nb.pairs.metrics import (
    SIMILARITY_SCALE,
    UNITS,
    Limit,
    float_limit,
    max_integer_distance,
)
from photodna_nb.pairs.oriented import (
    nearest_orientations,
    oriented_neighbours,
    oriented_pairs,
)
from photodna_nb.pairs.search import found_neighbours, found_pairs
from photodna_nb.pairs.source import detailed_rows, hash_table
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.result_table import ResultTable, Rows, take
from photodna_nb.tables.table import HashTable

# Some 100 bytes each while they are sorted.
MAX_MATCHES = 10_000_000
# Neighbours of all images that are held: 512 MB. For more, all matches within the limit are found.
_MOST_NEIGHBOURS = 1 << 26
_INDEX = 2**32 - 1


class KnownMatch(NamedTuple):
    """An image, and a known one that it matches.

    Attributes
    ----------
    path, match : str
        Path or label of the image, and of the known one.
    rank : int
        1 for the nearest known image, 2 for the next, and so on.
    distance, similarity : float
        L2 distance, and ``1 - distance / 3060``.
    orientation : str
        Orientation of the image that is nearest to the known one: "identity" or, if all eight
        were compared, one of the transpositions in `PIL.Image.Transpose`, in lower case.
    detail : float
        Detail of the image in grey levels; NaN where it is not known.
    row, known_row : int
        Rows of both in the tables that were compared.
    """

    path: str
    match: str
    rank: int
    distance: float
    similarity: float
    orientation: Orientation
    detail: float
    row: int
    known_row: int


@dataclass(frozen=True, eq=False, repr=False)
class Matches(ResultTable[KnownMatch]):
    """Matches of images with known ones, in the order of the images, the nearest first.

    Of equal distances, the known image with the lower row comes first.

    Attributes
    ----------
    queries, known : HashTable
        The images, and the known ones.
    row, known_row : ndarray of int64, (m,)
        Row of each match in `queries` and in `known`.
    rank : ndarray of int64, (m,)
        1 for the nearest known image of a row, 2 for the next, and so on.
    distance : ndarray of float64, (m,)
        L2 distance.
    orientation : ndarray of int8, (m,)
        Nearest orientation of the image: number in the order of `orientations`.
    low_detail, known_low_detail : ndarray of int64
        Rows of `queries` and of `known` that were not compared, since their images have next to
        no detail.
    max_distance : float
        The limit.
    """

    queries: HashTable
    known: HashTable
    row: NDArray[np.int64]
    known_row: NDArray[np.int64]
    rank: NDArray[np.int64]
    distance: NDArray[np.float64]
    orientation: NDArray[np.int8]
    low_detail: NDArray[np.int64]
    known_low_detail: NDArray[np.int64]
    max_distance: float

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.row)

    @property
    def similarity(self) -> NDArray[np.float64]:
        """Similarity ``1 - distance / 3060`` of each match, (m,)."""
        return np.maximum(0, 1 - self.distance / SIMILARITY_SCALE)

    @property
    def n_matched(self) -> int:
        """Number of images that match a known one."""
        return len(np.unique(self.row))

    def _contents(self) -> str:
        n, m = self.n_matched, len(self)
        return f"{n:,} image{'s' * (n != 1)} with {m:,} known one{'s' * (m != 1)}"

    def _columns(self) -> dict[str, Column]:
        return {
            "path": [self.queries.paths[row] for row in self.row.tolist()],
            "match": [self.known.paths[row] for row in self.known_row.tolist()],
            "rank": self.rank,
            "distance": self.distance,
            "similarity": self.similarity,
            "orientation": [ORIENTATIONS[number] for number in self.orientation.tolist()],
            "detail": self.queries.detail[self.row],
        }

    def _units(self) -> dict[str, str]:
        return {"distance": UNITS["euclidean"], "detail": "grey levels"}

    def _take(self, rows: Rows) -> Matches:
        names = ("row", "known_row", "rank", "distance", "orientation")
        return replace(self, **{name: take(getattr(self, name), rows) for name in names})

    def _record(self, row: int) -> KnownMatch:
        query, known = int(self.row[row]), int(self.known_row[row])
        distance = float(self.distance[row])
        return KnownMatch(
            self.queries.paths[query],
            self.known.paths[known],
            int(self.rank[row]),
            distance,
            max(0.0, 1 - distance / SIMILARITY_SCALE),
            ORIENTATIONS[self.orientation[row]],
            float(self.queries.detail[query]),
            query,
            known,
        )


def match(
    hashes: Hashes,
    known: Hashes,
    max_distance: Limit = 100,
    *,
    k: int | None = None,
    orientations: bool = False,
    min_detail: float | None = LOW_DETAIL,
    max_matches: int | None = MAX_MATCHES,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Matches:
    """Return which images are in a set of known ones, within an L2 distance.

    Parameters
    ----------
    hashes, known : HashTable, ndarray of uint8 (n, 144), or paths
        Hashes of the images, and of the known ones, as `duplicates` takes them.
    max_distance : float, int, str, Decimal or Fraction
        L2 distance, at least 0, inclusive and exact: see `pairs_within`; infinity for no limit.
    k : int, optional
        Number of known images for each one, the nearest ones. By default all within the limit.
    orientations : bool
        Whether the images are compared in all eight orientations, mirrored and rotated. A known
        image is one match, in its nearest orientation.
    min_detail : float or None
        Images with less detail, in grey levels, are not compared, on both sides: see `duplicates`.
    max_matches : int, optional
        Most matches of an answer, by default 10 million. None for no limit.
    max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    Matches
        The matches of each image. An image that is in both sets matches itself, at distance 0: it
        is known. `duplicates` finds what is there twice inside one set.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value, or there are more than `max_matches`.
    TableFileError
        A file is missing, damaged or of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> known = np.zeros((3, 144), np.uint8)
    >>> known[:, 0] = 10, 20, 30
    >>> images = known[:1].copy()
    >>> images[0, 0] = 23
    >>> [(one.path, one.match, one.distance) for one in match(images, known, 10)]
    [('0', '1', 3.0), ('0', '2', 7.0)]
    """
    limit = max_integer_distance("max_distance", max_distance, "euclidean")
    checks.boolean("orientations", orientations)
    if k is not None:
        k = checks.integer("k", k, 1)
    if max_matches is not None:
        max_matches = checks.integer("max_matches", max_matches, 0)
    tables = hash_table("hashes", hashes), hash_table("known", known)
    compared = [detailed_rows(table, min_detail) for table in tables]
    a, b = (
        table.hashes if len(rows) == len(table) else table.hashes[rows]
        for table, rows in zip(tables, compared, strict=True)
    )
    options = max_workers, executor, progress
    if k is None or min(k, len(b)) * len(a) > _MOST_NEIGHBOURS:
        found = (oriented_pairs if orientations else found_pairs)(
            a, b, limit, "euclidean", *options
        )
        query, place, squares = _collected(found, max_matches)
    else:
        neighbours = (oriented_neighbours if orientations else found_neighbours)(
            a, b, min(k, max(1, len(b))), limit, SQUARED, *options
        )
        query, column = np.nonzero(neighbours >> 32 <= limit)
        _check_number(len(query), max_matches)
        packed = neighbours[query, column]
        place, squares = packed & _INDEX, packed >> 32
    rank = np.arange(1, len(query) + 1) - np.searchsorted(query, query)
    if k is not None:
        kept = rank <= k
        query, place, squares, rank = query[kept], place[kept], squares[kept], rank[kept]
    orientation = np.zeros(len(query), np.int8)
    if orientations:
        orientation = nearest_orientations(a, b, query, place, "euclidean")[1]
    low_detail, known_low_detail = (
        np.setdiff1d(np.arange(len(table)), rows, assume_unique=True)
        for table, rows in zip(tables, compared, strict=True)
    )
    return Matches(
        *tables,
        compared[0][query],
        compared[1][place],
        rank,
        np.sqrt(squares),
        orientation,
        low_detail,
        known_low_detail,
        float_limit("max_distance", max_distance),
    )


def _collected(
    chunks: Generator[PackedPairs, None, None], max_matches: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Return the rows of both sides and the smallest distance of each pair, nearest ones first."""
    parts, count = [PackedPairs(np.empty(0, np.int64), np.empty(0, np.int32))], 0
    with closing(chunks):
        for chunk in chunks:
            count += len(chunk.packed)
            _check_number(count, max_matches)
            parts.append(chunk)
    packed, distances = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((distances, packed))
    order = order[np.diff(packed[order], prepend=-1) != 0]
    pairs = PackedPairs(packed[order], distances[order])
    order = np.lexsort((pairs.j, pairs.distances, pairs.i))
    return pairs.i[order], pairs.j[order], pairs.distances[order]


def _check_number(count: int, max_matches: int | None) -> None:
    if max_matches is not None and count > max_matches:
        raise ArgumentError(
            f"max_matches: got {max_matches:,}, needs more; lower max_distance, leave images of "
            "low detail out with min_detail, ask for the k nearest with a small k, or raise it"
        )
