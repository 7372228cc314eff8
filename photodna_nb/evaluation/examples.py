"""Examples of the pairs nearest to a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.pair_records import GenuinePairs, NearestImpostors

# Number of nearest pairs among which pairs of different originals are searched.
_MAX_SEARCHED = 4096


class ExamplePair(NamedTuple):
    """A pair whose distance is near a threshold.

    Attributes
    ----------
    kind : {"genuine", "impostor"}
        Kind of the pair.
    side : {"below", "above"}
        Whether the pair matches, or does not.
    original : str
        Name of the original of the variant, or of the first original.
    transform : str or None
        Transform of the variant; None for a pair of two originals.
    other : str
        Name of the other original; of a genuine pair, the same one.
    distance_squared : int
        Exact integer of the distance: squared L2.
    copy : str or None
        Name of the altered copy from a file that stands for the variant; None if it was made.
    """

    kind: Literal["genuine", "impostor"]
    side: Literal["below", "above"]
    original: str
    transform: str | None
    other: str
    distance_squared: int
    copy: str | None = None


class ThresholdExamples:
    """The pairs nearest to any threshold.

    Parameters
    ----------
    counts : PairCounts
        Counts of a run.
    """

    def __init__(self, counts: PairCounts) -> None:
        self._counts = counts
        self._genuine = {
            oriented: _by_distance(counts.genuine, oriented) for oriented in (False, True)
        }

    def pairs(self, threshold: int, number: int, oriented: bool) -> Iterator[ExamplePair]:
        """Yield the nearest pairs of each kind and side, each of different originals.

        Parameters
        ----------
        threshold : int
            Distance.
        number : int
            Largest number of pairs of each kind on each side.
        oriented : bool
            Whether distances are oriented: the smallest over the original's eight orientations.

        Yields
        ------
        ExamplePair
            No impostor pairs that match beyond ``counts.nearest_limit``: they are not listed.
        """
        counts = self._counts
        kinds: dict[Literal["genuine", "impostor"], NearestImpostors] = {
            "genuine": self._genuine[oriented],
            "impostor": counts.nearest,
        }
        for kind, pairs in kinds.items():
            limit = counts.hasher.integer_limit(threshold)
            split = int(np.searchsorted(pairs.distance_squared, limit, side="right"))
            sides: dict[Literal["below", "above"], NearestImpostors] = {
                "below": pairs.taken(np.arange(split)[::-1][:_MAX_SEARCHED]),
                "above": pairs.taken(np.arange(split, len(pairs.i))[:_MAX_SEARCHED]),
            }
            if kind == "impostor" and threshold > counts.nearest_limit:
                del sides["below"]  # those that are listed are not the nearest
            for side, nearest in sides.items():
                seen: set[frozenset[int]] = set()
                columns = (column.tolist() for column in nearest)
                for i, j, transform, squared, copy in zip(*columns, strict=True):
                    if len(seen) == number:
                        break
                    if frozenset((i, j)) not in seen:
                        seen.add(frozenset((i, j)))
                        spec = None if transform == ORIGINAL else counts.transforms[transform]
                        names = counts.names[i], counts.names[j]
                        file = None if copy < 0 else counts.copies[copy]
                        yield ExamplePair(kind, side, names[0], spec, names[1], squared, file)


def _by_distance(genuine: GenuinePairs, oriented: bool) -> NearestImpostors:
    """Return the genuine pairs in the order of their distance."""
    squared = genuine.squared(oriented)
    order = np.argsort(squared, kind="stable")
    nearest = genuine.taken(order)
    columns = nearest.i, nearest.j, nearest.transform, squared[order], nearest.copy
    return NearestImpostors(*columns)
