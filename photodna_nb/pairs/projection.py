"""The projection of hashes to a few coordinates, which proves that two hashes are far apart.

The proof is in docs/search.md: whatever the weights are, the distance of two projections is at
most `Projection.limits` for a pair within a limit. The weights decide the speed alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.kernels.distance import MANHATTAN
from photodna_nb.kernels.filter_tile import CLIP

# A coordinate is the product with the weights, divided by this: steps of four units of L2.
_DIVISOR = 512
# Axes that are principal axes: of length 127.
_LENGTH = 127
# Hashes that are projected at a time: their products stay in the second-level cache.
_ROWS = 4096
# The eigenvalues are computed in float64, with an error far below this share.
_MARGIN = 1 + 1e-9


class Projection(NamedTuple):
    """A projection to k coordinates, k a multiple of 4 and at least 8.

    Attributes
    ----------
    weights : ndarray of int8, (k, width)
        Axes; products with them are integers.
    centre : ndarray of int32, (k,)
        Product that becomes 0.
    norms : tuple of float
        Largest length of a product with a vector of L2 length 1, and of L1 length 1.
    """

    weights: NDArray[np.int8]
    centre: NDArray[np.int32]
    norms: tuple[float, float]

    @classmethod
    def of(cls, weights: NDArray[np.int8], centre: NDArray[np.int32]) -> Projection:
        """Return the projection with these weights."""
        wide = weights.astype(np.float64)
        norms = float(np.linalg.norm(wide, 2)), float(np.linalg.norm(wide, axis=0).max())
        return cls(weights, centre, (norms[0] * _MARGIN, norms[1] * _MARGIN))

    @classmethod
    def fit(cls, sample: NDArray[np.uint8], n_axes: int) -> Projection:
        """Return the projection to the principal axes of a sample, (n, width), n at least 1."""
        wide = sample.astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        axes = np.linalg.eigh(wide.T @ wide)[1][:, ::-1].T[:n_axes]
        weights = np.rint(axes * _LENGTH).astype(np.int8)
        return cls.of(weights, np.rint(weights @ mean).astype(np.int32))

    @property
    def n_axes(self) -> int:
        """Number of coordinates."""
        return len(self.weights)

    def project(self, hashes: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Return the coordinates, (n, k) int8 from -90 to 90, of hashes, (n, width)."""
        coordinates = np.empty((len(hashes), self.n_axes), np.int8)
        # All products and sums are integers below 2^24: exact in float32, in any order. For
        # 144 values that holds of any weights, for more of those of `fit`: see docs/search.md.
        weights = np.ascontiguousarray(self.weights.T.astype(np.float32))
        shift = (_DIVISOR // 2 - self.centre).astype(np.float32)
        for start in range(0, len(hashes), _ROWS):
            products = hashes[start : start + _ROWS].astype(np.float32) @ weights
            products += shift
            products *= 1 / _DIVISOR
            np.floor(products, out=products)
            np.clip(products, -CLIP, CLIP, out=products)
            coordinates[start : start + _ROWS] = products
        return coordinates

    def limits(self, limit: Any, metric: int, n_axes: int) -> Any:
        """Return the largest squared distance in the first coordinates of pairs within a limit.

        limit: int or ndarray, squared L2 or L1 distance; returns int64 likewise.
        """
        length = np.asarray(limit, np.float64)
        if metric != MANHATTAN:
            length = np.sqrt(length)
        norm = self.norms[1 if metric == MANHATTAN else 0]
        squares = (length * (norm / _DIVISOR) + np.sqrt(n_axes)) ** 2 * _MARGIN
        return squares.astype(np.int64)


def sample_rows(hashes: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Return at most n of the hashes, in even steps."""
    return checks.read_only(hashes[:: max(1, -(-len(hashes) // n))])
