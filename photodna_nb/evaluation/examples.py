"""Which pairs lie nearest a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.pair_counts import PairCounts

_ORIGINAL = -1  # instead of the number of an edit
_LOOK_BACK = 4096  # pairs, among which those of other originals are looked for


class ExamplePair(NamedTuple):
    """A pair whose distance is near a threshold.

    kind : {"genuine", "impostor"}
        Whether both show the same.
    side : {"below", "above"}
        Whether it matches, or does not.
    original : str
        Name of the one that was edited, or of the first.
    transform : str or None
        Its edit; None if it is as it was.
    other : str
        Name of the other original, as it is; of a genuine pair, the same one.
    distance_squared : int
        L2, squared.
    """

    kind: Literal["genuine", "impostor"]
    side: Literal["below", "above"]
    original: str
    transform: str | None
    other: str
    distance_squared: int


class ThresholdExamples:
    """Which pairs are nearest a threshold, whatever it is.

    Parameters
    ----------
    counts : PairCounts
        Of a run.
    """

    def __init__(self, counts: PairCounts) -> None:
        self._counts = counts
        self._genuine = {
            oriented: _ascending(table)
            for oriented, table in (
                (False, counts.genuine_distance_squared),
                (True, counts.genuine_oriented_distance_squared),
            )
        }

    def pairs(self, threshold: int, number: int, oriented: bool) -> Iterator[ExamplePair]:
        """Yield so many of each kind and side, the nearest first, each of other originals.

        Parameters
        ----------
        threshold : int
            L2.
        number : int
            Pairs of each kind on each side, at the most.
        oriented : bool
            Whether a variant counts as far away as the closest of the original's eight
            orientations.

        Yields
        ------
        ExamplePair
            No impostor pairs that match beyond ``counts.nearest_limit``: they are not listed.
        """
        counts = self._counts
        close = counts.nearest

        def genuine(k: int) -> tuple[int, int, int, int]:
            row, transform = divmod(int(order[k]), len(counts.transforms))
            return row, transform, row, int(squared[k])

        def impostor(k: int) -> tuple[int, int, int, int]:
            one, transform = int(close.i[k]), int(close.transform[k])
            return one, transform, int(close.j[k]), int(close.distance_squared[k])

        order, squared = self._genuine[oriented]
        kinds: tuple[tuple[Literal["genuine", "impostor"], NDArray[Any], Any], ...] = (
            ("genuine", squared, genuine),
            ("impostor", close.distance_squared, impostor),
        )
        for kind, distances, pair in kinds:
            split = int(np.searchsorted(distances, threshold**2, side="right"))
            sides: tuple[tuple[Literal["below", "above"], range], ...] = (
                ("below", range(split - 1, max(split - 1 - _LOOK_BACK, -1), -1)),
                ("above", range(split, min(split + _LOOK_BACK, len(distances)))),
            )
            for side, places in sides:
                if (kind, side) == ("impostor", "below") and threshold > counts.nearest_limit:
                    continue  # those that are listed are not the nearest
                seen: set[frozenset[int]] = set()
                for place in places:
                    if len(seen) == number:
                        break
                    row, transform, other, distance = pair(place)
                    if {row, other} in seen:
                        continue
                    seen.add(frozenset((row, other)))
                    edit = None if transform == _ORIGINAL else counts.transforms[transform]
                    yield ExamplePair(
                        kind, side, counts.names[row], edit, counts.names[other], distance
                    )


def _ascending(table: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return where the distances of a table are, the smallest first, and what they are."""
    flat = table.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[int((flat < 0).sum()) :]  # those of variants that could not be made
    return order, flat[order]
