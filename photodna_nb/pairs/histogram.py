"""How many pairs of hashes lie at each distance, counted exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.kernels import distance as kernels
from photodna_nb.pairs.blocks import Hashes, PairBlock, PairBlocks
from photodna_nb.pairs.metrics import Limit, Metric, largest_distance, max_integer_distance
from photodna_nb.pairs.packing import kernel_metric
from photodna_nb.printable import short_repr


@short_repr
@dataclass(frozen=True, eq=False)
class DistanceHistogram:
    """Numbers of pairs of hashes by distance.

    Attributes
    ----------
    metric : str
        Metric of the limits.
    limits : ndarray, (k,)
        Increasing upper limits of the bins, in the metric's units.
    counts : ndarray of int64, (k,)
        Number of pairs with ``limits[i - 1] < distance <= limits[i]``, in the first bin of
        all pairs up to its limit. The running sum is the number of matches at each limit.
    same_group : ndarray of int64, (k,), or None
        Number of pairs of each bin whose two hashes belong to one group (genuine pairs);
        None without groups.
    pairs, same_group_pairs : int
        Number of all pairs, and of pairs inside groups (0 without groups), including
        those beyond the last limit.
    """

    metric: Metric
    limits: NDArray[Any]
    counts: NDArray[np.int64]
    same_group: NDArray[np.int64] | None
    pairs: int
    same_group_pairs: int

    @property
    def different_group(self) -> NDArray[np.int64]:
        """Number of pairs of each bin from two groups (impostor pairs), (k,) int64."""
        return self.counts if self.same_group is None else self.counts - self.same_group


def distance_histogram(
    a: Hashes,
    b: Hashes | None = None,
    *,
    groups: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    metric: Metric = "euclidean",
    bins: Sequence[Limit] | NDArray[Any] | None = None,
    max_workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> DistanceHistogram:
    """Count the pairs of hashes at each distance, exactly.

    Parameters
    ----------
    a, b : ndarray of uint8, (n, 144) and (m, 144), HashTable, or paths
        Hashes, or any vectors of one length from 1 to 4096; without `b`, the pairs inside `a`,
        each once.
    groups : array of n integers or strings, optional
        Group of each hash; with `b` a pair of arrays, of n and of m. Pairs inside a group
        are also counted separately: they are genuine pairs if a group holds the variants
        of one image.
    metric : {"euclidean", "sqeuclidean", "manhattan", "hamming"}
        See `distance`.
    bins : sequence of numbers, optional
        Increasing upper limits, inclusive and exact as in `pairs_within`. The default is
        every whole number from 0 to the largest distance; for "sqeuclidean" their squares.
    max_workers, executor, progress
        As in `pairs_within`.

    Returns
    -------
    DistanceHistogram
        Limits, counts and, with groups, the counts of pairs inside groups.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, dtype, shape or value.
    TableFileError
        A file is missing, damaged or of another kind.

    Notes
    -----
    All pairs are compared: time grows with n x m, memory does not. L2 limits that are not
    whole numbers need a count of every squared distance, 75 MB a thread (150 MB with
    groups) for 144 bytes and in proportion to another length, which is slower.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = np.zeros((3, 144), np.uint8)
    >>> hashes[2, :2] = 3, 4
    >>> distance_histogram(hashes, bins=[0, 5, 10]).counts
    array([1, 2, 0])
    """
    number = kernel_metric(metric)
    blocks = PairBlocks(a, b, max_workers, executor)
    limits, thresholds = _thresholds(bins, metric, blocks.length)
    labels = _labels(groups, blocks.n_queries, None if b is None else blocks.n_rows)
    values = _counted_values(metric, thresholds, blocks.length)
    count = partial(_count_block, number, values)
    total = np.zeros((2, len(thresholds)), np.int64)
    for counts in blocks.map(count, progress, labels):
        total[: len(counts)] += counts
    return DistanceHistogram(
        metric,
        limits,
        total.sum(axis=0),
        total[1] if labels else None,
        blocks.n_pairs,
        _pairs_inside(labels, b is None) if labels else 0,
    )


class _CountedValues(NamedTuple):
    """The integers that the kernel counts before they are added up to bins.

    root: whether they are roots, rounded up, or distances; number: how many values are
    possible; last: the last value of each bin.
    """

    root: bool
    number: int
    last: NDArray[np.int64]


def _counted_values(metric: Metric, thresholds: NDArray[np.int64], length: int) -> _CountedValues:
    largest = largest_distance(metric, length)
    if metric in ("euclidean", "sqeuclidean"):
        roots = np.array([_root_up(threshold) for threshold in thresholds.tolist()], np.int64)
        if ((roots * roots == thresholds) | (thresholds == largest)).all():
            return _CountedValues(True, _root_up(largest) + 1, roots)
    return _CountedValues(False, largest + 1, thresholds)


def _root_up(number: int) -> int:
    """Return the root of an integer, rounded up to a whole number."""
    return math.isqrt(number - 1) + 1 if number else 0


def _count_block(
    metric: int,
    values: _CountedValues,
    block: PairBlock,
    queries_labels: NDArray[np.int32] | None = None,
    database_labels: NDArray[np.int32] | None = None,
) -> NDArray[np.int64]:
    """Return the counts of each bin, (1 or 2, k): of pairs of two groups, and inside one."""
    grouped = queries_labels is not None and database_labels is not None
    if queries_labels is None or database_labels is None:
        queries_labels = np.empty(block.queries.count, np.int32)
        database_labels = np.empty(block.database.count, np.int32)
    counts = np.zeros((1 + grouped, values.number + 1), np.int64)
    kernels.histogram(
        values.root,
        block.triangle,
        grouped,
        block.pack(metric),
        checks.read_only(database_labels),
        checks.read_only(queries_labels),
        counts,
    )
    np.cumsum(counts, axis=1, out=counts)
    binned: NDArray[np.int64] = np.diff(counts[:, values.last], prepend=0, axis=1)
    return binned


def _thresholds(
    bins: Sequence[Limit] | NDArray[Any] | None, metric: Metric, length: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the limits, and the largest integer distance within each."""
    if bins is None:
        largest = largest_distance(metric, length)
        if metric in ("manhattan", "hamming"):
            limits = np.arange(largest + 1)
            return limits, limits
        limits = np.arange(_root_up(largest) + 1)
        squares = np.minimum(limits * limits, largest)
        return limits if metric == "euclidean" else squares, squares
    if isinstance(bins, str | bytes) or not isinstance(bins, Sequence | np.ndarray):
        raise ArgumentTypeError(f"bins: got {describe(bins)}, needs a sequence of upper limits")
    values = list(bins)
    thresholds = [max_integer_distance("bins", value, metric, length) for value in values]
    # A large integer does not fit into a float; all limits beyond the largest distance are alike.
    limits = np.array([float(v) if not isinstance(v, int) else min(v, 1e300) for v in values])
    if not len(limits) or not (np.diff(limits) > 0).all():
        raise ArgumentError("bins: needs one or more upper limits, increasing")
    return limits, np.array(thresholds, np.int64)


def _labels(groups: Any, n_queries: int, n_rows: int | None) -> list[NDArray[np.int32]] | None:
    """Return the groups as small integers: of `a`, and of `b` if there is one."""
    if groups is None:
        return None
    sides, sizes = [groups], [n_queries]
    if n_rows is not None:
        if not isinstance(groups, tuple | list) or len(groups) != 2:
            raise ArgumentTypeError(
                f"groups: got {describe(groups)}, needs a pair of arrays, for a and for b"
            )
        sides, sizes = list(groups), [n_queries, n_rows]
    numbers: dict[Any, int] = {}
    labels = []
    for side, size in zip(sides, sizes, strict=True):
        # Not as one array: NumPy would convert integers to strings, and large ones to floats.
        names = side.tolist() if isinstance(side, np.ndarray) else list(side)
        if len(names) != size:
            raise ArgumentError(f"groups: got {len(names)} of them, needs {size}")
        if not all(isinstance(name, str | int | np.integer) for name in names):
            raise ArgumentTypeError(f"groups: got {describe(names[0])}, needs integers or strings")
        codes = (numbers.setdefault(name, len(numbers)) for name in names)
        labels.append(np.fromiter(codes, np.int32, size))
    if len({isinstance(name, str) for name in numbers}) > 1:
        raise ArgumentTypeError("groups: got integers and strings, needs one of the two")
    return labels


def _pairs_inside(labels: list[NDArray[np.int32]], one_side: bool) -> int:
    """Return the number of pairs inside groups."""
    size = max((int(side.max(initial=0)) for side in labels), default=0) + 1
    counts = [np.bincount(side, minlength=size).astype(np.int64) for side in labels]
    if one_side:
        return int((counts[0] * (counts[0] - 1) // 2).sum())
    return int((counts[0] * counts[1]).sum())
