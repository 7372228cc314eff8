"""Groups of images that show the same: the components of the pairs within a limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import LOW_DETAIL
from photodna_nb.hashing.orientations import ORIENTATIONS, Orientation
from photodna_nb.pairs.all_pairs import in_units
from photodna_nb.pairs.blocks import Hashes
from photodna_nb.pairs.components import components, distinct, largest_distances
from photodna_nb.pairs.metrics import (
    UNITS,
    Limit,
    Metric,
    checked_metric,
    float_limit,
    max_integer_distance,
)
from photodna_nb.pairs.oriented import nearest_orientations
from photodna_nb.pairs.source import detailed_rows, hash_table
from photodna_nb.printable import short_repr
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.result_table import ResultTable, Rows, take
from photodna_nb.tables.table import HashTable

# Rows that become records at a time.
_RECORDS = 1 << 14


class DuplicateMember(NamedTuple):
    """An image of a group.

    Attributes
    ----------
    group : int
        Number of its group.
    path : str
        Path or label.
    distance : float or None
        Distance from the first image of the group; None for the first one itself.
    orientation : str
        How it shows the first image: "identity" or, if all eight were compared, one of the
        transpositions in `PIL.Image.Transpose`, in lower case, which makes it of the first one.
    width, height : int or None
        Size of the image in pixels, where it is known.
    bytes : int or None
        Size of the file, where it is known.
    row : int
        Row of the image in the table that was compared.
    """

    group: int
    path: str
    distance: float | None
    orientation: Orientation
    width: int | None
    height: int | None
    bytes: int | None
    row: int


@short_repr
class DuplicateGroup(NamedTuple):
    """A group of images.

    Attributes
    ----------
    number : int
        Number of the group, from 0 on.
    widest : float
        Largest distance of two of its images.
    exceeds_limit : bool
        Whether that is beyond the limit: these two are in one group through others between them.
    members : list of DuplicateMember
        Its images: the first one, and the others by their distance from it.
    """

    number: int
    widest: float
    exceeds_limit: bool
    members: list[DuplicateMember]


@dataclass(frozen=True, eq=False, repr=False)
class DuplicateGroups(ResultTable[DuplicateMember]):
    """Groups of images that show the same; each row is an image of a group.

    Groups are in the order of their lowest rows in the table that was compared. The first image of
    a group is the one with most pixels, then most bytes, then the lowest row; the others follow by
    their distance from it.

    Attributes
    ----------
    table : HashTable
        What was compared.
    group, row : ndarray of int64, (m,)
        Number of the group of each image, from 0 on, and its row in `table`.
    distance : ndarray of float64, (m,)
        Distance from the first image of the group; NaN for the first one itself.
    orientation : ndarray of int8, (m,)
        How each image shows the first one of its group: number in the order of `orientations`.
    widest : ndarray of float64, (g,)
        Largest distance of two images of each group, by its number.
    exceeds_limit : ndarray of bool, (g,)
        Whether that is beyond the limit.
    low_detail : ndarray of int64, (l,)
        Rows of `table` that were not compared, since their images have next to no detail.
    max_distance : float
        The limit.
    metric : str
        Metric of the distances.
    """

    table: HashTable
    group: NDArray[np.int64]
    row: NDArray[np.int64]
    distance: NDArray[np.float64]
    orientation: NDArray[np.int8]
    widest: NDArray[np.float64]
    exceeds_limit: NDArray[np.bool_]
    low_detail: NDArray[np.int64]
    max_distance: float
    metric: Metric

    def __len__(self) -> int:
        """Return the number of images in groups."""
        return len(self.row)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(np.unique(self.group))

    @property
    def paths(self) -> list[str]:
        """Path of each image."""
        return [self.table.paths[row] for row in self.row.tolist()]

    def __iter__(self) -> Iterator[DuplicateMember]:
        """Yield the images, in order."""
        for start in range(0, len(self), _RECORDS):
            yield from self._members(start, start + _RECORDS)

    def groups(self) -> Iterator[DuplicateGroup]:
        """Yield the groups by their numbers, whatever the order of the rows."""
        if (np.diff(self.group) < 0).any():
            yield from self[np.argsort(self.group, kind="stable")].groups()
            return
        bounds = np.flatnonzero(np.diff(self.group, prepend=-1, append=-1)).tolist()
        for start, stop in pairwise(bounds):
            number = int(self.group[start])
            widest, exceeds_limit = float(self.widest[number]), bool(self.exceeds_limit[number])
            yield DuplicateGroup(number, widest, exceeds_limit, self._members(start, stop))

    def _contents(self) -> str:
        return f"{self.n_groups:,} group{'s' * (self.n_groups != 1)} with {len(self):,} images"

    def _columns(self) -> dict[str, Column]:
        sizes = _sizes(self.table, self.row)
        width, height, n_bytes = np.ma.masked_less(sizes, [[1, 1, 0]]).T
        return {
            "group": self.group,
            "path": list(self.paths),
            "distance": self.distance,
            "orientation": [ORIENTATIONS[number] for number in self.orientation.tolist()],
            "width": width,
            "height": height,
            "bytes": n_bytes,
        }

    def _units(self) -> dict[str, str]:
        return {"distance": UNITS[self.metric], "width": "pixels", "height": "pixels"}

    def _take(self, rows: Rows) -> DuplicateGroups:
        names = ("group", "row", "distance", "orientation")
        return replace(self, **{name: take(getattr(self, name), rows) for name in names})

    def _record(self, row: int) -> DuplicateMember:
        return self._members(row, row + 1)[0]

    def _members(self, start: int, stop: int) -> list[DuplicateMember]:
        rows = self.row[start:stop]
        sizes = _sizes(self.table, rows).tolist()
        values = (
            column[start:stop].tolist() for column in (self.group, self.distance, self.orientation)
        )
        return [
            DuplicateMember(
                group,
                self.table.paths[row],
                None if math.isnan(distance) else distance,
                ORIENTATIONS[orientation],
                width or None,
                height or None,
                None if n_bytes < 0 else n_bytes,
                row,
            )
            for row, (width, height, n_bytes), group, distance, orientation in zip(
                rows.tolist(), sizes, *values, strict=True
            )
        ]


def duplicates(
    hashes: Hashes,
    max_distance: Limit = 100,
    *,
    metric: Metric = "euclidean",
    orientations: bool = False,
    min_detail: float | None = LOW_DETAIL,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> DuplicateGroups:
    """Return the groups of images that show the same.

    Parameters
    ----------
    hashes : HashTable, ndarray of uint8 (n, 144), or paths
        Hashes. Paths end with ``.npy``, or as tables that `HashTable.load` reads. Rows of an array
        have their numbers as paths.
    max_distance : float, int, str, Decimal or Fraction
        Limit in the metric's units, at least 0, inclusive and exact: see `pairs_within`.
    metric : {"euclidean", "sqeuclidean", "manhattan"}
        See `distance`.
    orientations : bool
        Whether images are compared in all eight orientations, mirrored and rotated: the nearest
        one of a pair counts.
    min_detail : float or None
        Images with less detail, in grey levels, are not compared: blank ones all match each other.
        An image of unknown detail is left out if its hash is all zero. None compares all.
    max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    DuplicateGroups
        The images of each group. A group is a component of the pairs within the limit: two of its
        images may be farther apart, if others lie between them. The same on any number of workers.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    Exact. The memory does not grow with the number of pairs. The largest distance of each group is
    that of all its pairs: 5 billion, some seconds, in a group of 100,000 images.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = np.zeros((4, 144), np.uint8)
    >>> hashes[:, 0] = 10, 200, 12, 11
    >>> groups = duplicates(hashes, 1)
    >>> [[member.path for member in group.members] for group in groups.groups()]
    [['0', '3', '2']]
    >>> groups.widest, groups.exceeds_limit
    (array([2.]), array([ True]))
    """
    limit = max_integer_distance("max_distance", max_distance, checked_metric(metric))
    checks.boolean("orientations", orientations)
    table = hash_table("hashes", hashes)
    compared = detailed_rows(table, min_detail)
    kept = table.hashes if len(compared) == len(table) else table.hashes[compared]
    first, number = distinct(kept)
    different = kept if len(first) == len(kept) else kept[first]
    options = metric, orientations, max_workers, executor, progress
    labels = components(different, limit, *options)
    largest = largest_distances(different, labels, *options)
    del kept, different
    counts = np.bincount(labels[number], minlength=len(labels))
    grouped = np.flatnonzero(counts > 1)
    of_label = np.full(len(labels), -1)
    of_label[grouped] = np.arange(len(grouped))
    group = of_label[labels[number]]
    row, group = compared[group >= 0], group[group >= 0]
    leader = _leaders(table, row, group)[group]
    distance, orientation = nearest_orientations(
        table.hashes, table.hashes, leader, row, metric, orientations
    )
    order = np.lexsort((row, distance, row != leader, group))
    units = in_units(distance, metric).astype(np.float64)
    units[row == leader] = np.nan
    return DuplicateGroups(
        table,
        group[order],
        row[order],
        units[order],
        orientation[order],
        in_units(largest[grouped], metric).astype(np.float64),
        largest[grouped] > limit,
        np.setdiff1d(np.arange(len(table)), compared, assume_unique=True),
        float_limit("max_distance", max_distance),
        metric,
    )


def _sizes(table: HashTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return width, height and bytes of rows, (n, 3); 0, 0 and -1 where they are not known."""
    sizes = np.tile(np.array([0, 0, -1], np.int64), (len(rows), 1))
    if table.image_size is not None:
        sizes[:, :2] = table.image_size[rows]
    if table.file_status is not None:
        sizes[:, 2] = table.file_status[rows, 0]
    return sizes


def _leaders(
    table: HashTable, row: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the row of the first image of each group."""
    width, height, n_bytes = _sizes(table, row).T
    order = np.lexsort((row, -n_bytes, -width * height, group))
    return row[order[np.flatnonzero(np.diff(group[order], prepend=-1))]]
