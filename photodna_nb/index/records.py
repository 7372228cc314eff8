"""What an index answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from photodna_nb.checks import LOW_DETAIL
from photodna_nb.hashing.orientations import Orientation
from photodna_nb.index import metadata
from photodna_nb.pairs import metrics

if TYPE_CHECKING:
    from photodna_nb.tables.columns import FileFailure


@dataclass(frozen=True)
class Match:
    """An indexed image and how far it is from the query.

    Attributes
    ----------
    id : int
        Of the item in its index.
    path : str
        Real, absolute path of the image when it was indexed.
    distance_squared : int
        Squared L2 distance, exact.
    extra : dict
        What was stored with the item.
    orientation : str
        How the query looks most like it: "identity" or, if all eight were asked for, one
        of the transpositions in `PIL.Image.Transpose`, in lower case.
    """

    id: int
    path: str
    distance_squared: int
    extra: Mapping[str, Any] = field(hash=False)
    orientation: Orientation = "identity"

    @property
    def distance(self) -> float:
        """L2 distance, 0 to 3060."""
        return math.sqrt(self.distance_squared)

    @property
    def similarity(self) -> float:
        """1 - distance / 3060."""
        return metrics.similarity_at(self.distance_squared)

    @property
    def detail(self) -> float | None:
        """Detail of the indexed image in grey levels, or None where it is not known."""
        return metadata.detail_of(self.extra)

    @property
    def low_detail(self) -> bool:
        """Whether its detail is known to be below 100 grey levels: the match says nothing."""
        return self.detail is not None and self.detail < LOW_DETAIL


class Added(NamedTuple):
    """What `HashIndex.add` did.

    ids : list of int
        Of the new items, in order.
    skipped : list of str
        Paths that were there already.
    failures : list of FileFailure
        Files that could not be hashed.
    """

    ids: list[int]
    skipped: list[str]
    failures: list[FileFailure]
