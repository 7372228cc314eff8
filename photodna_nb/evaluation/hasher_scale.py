"""The distances of the hashes of one hasher: exact integers, thresholds and bins."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES, LOW_DETAIL
from photodna_nb.errors import ArgumentError
from photodna_nb.hashing.hashers import Hasher
from photodna_nb.pairs import metrics
from photodna_nb.printable import printable

HasherMetric = Literal["euclidean", "manhattan", "hamming"]

_METRICS: tuple[HasherMetric, ...] = get_args(HasherMetric)
# A name that can be that of a folder, on any file system.
NAME_PATTERN = "[a-z0-9][a-z0-9_-]{0,39}"
_LONGEST_QUALITY = 60
# Bins of a histogram, of which there is one for each transform: L2 of 4096 bytes has 16,321.
MOST_BINS = 2**15


class HasherScale(NamedTuple):
    """What an evaluation knows of a hasher: its name, and how its distances are counted.

    Kernels compute exact integers: the squared distance for "euclidean", the distance itself for
    the other metrics. A threshold is a whole number of the metric's unit, and each has one
    distance bin: that of t holds the distances above t - 1, up to t.

    Attributes
    ----------
    name : str
        Name of the hasher.
    length : int
        Number of values of a hash.
    metric : {"euclidean", "manhattan", "hamming"}
        Metric of the distances.
    quality : str
        Name of the quality of an image; empty if the hasher has none.
    low_quality : float
        Images with less of it say little; 0 if no such limit is known.
    """

    name: str
    length: int
    metric: HasherMetric
    quality: str = ""
    low_quality: float = 0.0

    @classmethod
    def checked(
        cls, name: str, length: int, metric: str, quality: str = "", low_quality: float = 0.0
    ) -> HasherScale:
        """Return the record of a hasher whose distances can be counted.

        Raises
        ------
        ArgumentError
            The name cannot be that of a folder, a value is out of range, or there are too many
            different distances.
        """
        subject = f"hasher {printable(name)}"
        if not re.fullmatch(NAME_PATTERN, name):
            raise ArgumentError(
                f"{subject}: a folder has this name; needs 1 to 40 letters from a to z, digits, "
                "- and _; change the class attribute name"
            )
        checks.integer(f"{subject}: length", length, 1, checks.MAX_LENGTH)
        known = cls(
            name,
            length,
            cast(HasherMetric, checks.choice(f"{subject}: metric", metric, _METRICS)),
            quality,
            checks.real(f"{subject}: low_quality", low_quality, 0),
        )
        if not (quality.isprintable() and len(quality) <= _LONGEST_QUALITY):
            raise ArgumentError(
                f"{subject}: quality: needs at most {_LONGEST_QUALITY} printable characters"
            )
        if known.n_bins > MOST_BINS:
            raise ArgumentError(
                f"{subject}: has {known.n_bins:,} different thresholds, and an evaluation counts "
                f'at most {MOST_BINS:,}; set metric = "euclidean", or shorten the hash to '
                f"{(MOST_BINS - 1) // 255} values"
            )
        return known

    @classmethod
    def of(cls, hasher: Hasher) -> HasherScale:
        """Return the record of a hasher; raises as `checked`."""
        one = hasher
        return cls.checked(one.name, one.length, one.metric, one.quality, one.low_quality)

    @property
    def unit(self) -> str:
        """The unit of the distances: ``"L2"``, ``"L1"`` or ``"Hamming"``."""
        return metrics.UNITS[self.metric]

    @property
    def integer_metric(self) -> metrics.Metric:
        """The metric of the exact integers, as `pairs_within` takes it."""
        return "sqeuclidean" if self.metric == "euclidean" else self.metric

    @property
    def has_orientations(self) -> bool:
        """Whether the hash of a mirrored or rotated image is known from the hash."""
        return self == PHOTODNA

    @property
    def largest_integer(self) -> int:
        """The exact integer of the largest distance."""
        return metrics.largest_distance(self.metric, self.length)

    @property
    def largest_distance(self) -> float:
        """The largest distance of two hashes."""
        return self.distance(self.largest_integer)

    @property
    def largest_threshold(self) -> int:
        """The smallest threshold at which all pairs match."""
        return math.ceil(self.largest_distance)

    @property
    def n_bins(self) -> int:
        """Number of distance bins: one for each threshold from 0 on."""
        return self.largest_threshold + 1

    def integer_limit(self, threshold: int) -> int:
        """Return the largest exact integer that matches at a threshold; -1 at a threshold of -1."""
        return threshold * abs(threshold) if self.metric == "euclidean" else threshold

    def distance(self, integer: int) -> float:
        """Return the distance of an exact integer."""
        return math.sqrt(integer) if self.metric == "euclidean" else float(integer)

    def distances(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distances of exact integers; a negative one, for no distance, becomes -1."""
        values = integers.astype(np.float64)
        if self.metric == "euclidean":
            np.sqrt(values, out=values, where=values >= 0)
        return np.maximum(values, -1.0)

    def bins(self, integers: NDArray[Any]) -> NDArray[np.int64]:
        """Return the distance bins of exact integers: their distances, rounded up."""
        # A root of float64 is correctly rounded: only that of a square is a whole number.
        return np.ceil(self.distances(integers)).astype(np.int64)

    def histogram(
        self, integers: NDArray[Any], times: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the number in each bin, weighted by `times`; exact up to 2^53."""
        return np.bincount(self.bins(integers), times, self.n_bins).astype(np.int64)

    def integers(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the exact integers of hashes and hashes, row by row."""
        found: NDArray[np.int32] = metrics.distance(a, b, self.integer_metric)
        return found


PHOTODNA = HasherScale("photodna", HASH_BYTES, "euclidean", "detail", LOW_DETAIL)
