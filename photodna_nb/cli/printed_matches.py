"""Matches as the command line prints them, with the column `rank` only where it says something."""

from __future__ import annotations

from dataclasses import dataclass, fields

from photodna_nb.pairs.matches import Matches
from photodna_nb.tables.arrow import Column


@dataclass(frozen=True, eq=False, repr=False)
class PrintedMatches(Matches):
    """Matches with `rank` as the last column, if an image has several of them.

    Attributes
    ----------
    ranked : bool
        Whether an image has several matches.
    """

    ranked: bool

    @classmethod
    def of(cls, matches: Matches) -> PrintedMatches:
        """Return the same matches."""
        values = {field.name: getattr(matches, field.name) for field in fields(matches)}
        return cls(**values, ranked=bool((matches.rank > 1).any()))

    def _columns(self) -> dict[str, Column]:
        columns = super()._columns()
        rank = columns.pop("rank")
        return columns | {"rank": rank} if self.ranked else columns
