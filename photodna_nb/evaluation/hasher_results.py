"""The results of one hasher of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import RunEstimates, estimate_run
from photodna_nb.evaluation.tables import Tables
from photodna_nb.evaluation.variant_hashes import VariantFailure


@dataclass(frozen=True, eq=False)
class HasherResults:
    """The results of one hasher: ``results.hashers["pdq"]``.

    Attributes
    ----------
    listed : str
        Name of the hasher in the configuration.
    config : Config
        The configuration as it holds for the hasher: with its named thresholds.
    counts : PairCounts
        Counts of all pairs.
    failures : list of VariantFailure
        Originals and variants without a hash, in the order of the originals.
    summary : dict
        Numbers that describe the evaluation as a whole.
    tables : dict of str to list of dict
        Rows of the tables, by name.
    """

    listed: str
    config: Config
    counts: PairCounts
    failures: list[VariantFailure]
    summary: dict[str, Any]
    tables: Tables
    _estimates: RunEstimates | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"<HasherResults with {self.counts!r}>"

    @property
    def hasher(self) -> HasherScale:
        """The hasher, and how its distances are counted."""
        return self.counts.hasher

    @cached_property
    def estimates(self) -> RunEstimates:
        """Rates with confidence intervals: of all originals, and of each half.

        If the results were loaded, they are estimated from the counts at the first use.
        """
        if self._estimates is not None:
            return self._estimates
        return estimate_run(self.counts, self.config)
