"""How much of a result depends on single originals: their nearest pairs, and thresholds without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import parallel
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.dependence import pairs_per_dyad
from photodna_nb.evaluation.deployment import deployment_choices, reported_choice
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import (
    RateEstimates,
    dependence_beyond_cutoff,
    estimate_rates,
)
from photodna_nb.evaluation.run_originals import configuration_name
from photodna_nb.evaluation.thresholds import ThresholdChoice, choose_threshold
from photodna_nb.evaluation.thumbnails import Thumbnail

# Number of nearest dyads (pairs of two originals) whose originals are listed.
_NEAREST_DYADS = 100
# Number of originals without which thresholds are chosen again.
_LEFT_OUT = 3
# A threshold that changes by this share of it changes materially, if the original takes part in
# this share of the nearest pairs more than an average original does.
_MATERIAL_CHANGE = _MATERIAL_PROPORTION = 0.1
# Pairs that are listed without an original: so many, those of so many full dyads, and so many times
# those that match at the largest target. All that are known take longer, and give the same.
_LISTED, _LISTED_DYADS, _LISTED_PER_MATCH = 20_000, 100, 4


class InfluentialOriginal(NamedTuple):
    """An original that takes part in some of the nearest impostor pairs.

    Attributes
    ----------
    row : int
        Row of the original.
    pairs : int
        Number of the nearest pairs in which it, or a variant of it, takes part.
    nearest_pairs : int
        Number of the nearest pairs: all up to `distance_squared`.
    distance_squared : int
        Squared distance up to which a hundred dyads (pairs of two originals) match.
    is_frequent : bool
        Whether the share of the nearest pairs is a tenth above that of an average original.
    """

    row: int
    pairs: int
    nearest_pairs: int
    distance_squared: int
    is_frequent: bool


class ThresholdWithout(NamedTuple):
    """A threshold of a run, and the one without an original.

    Attributes
    ----------
    row : int
        Row of the original.
    criterion : str
        ``"target"``, or the criterion of the threshold of the report: ``"conservative"`` of a
        recommended one, else ``"supported"``.
    choice : ThresholdChoice
        Threshold by the upper confidence limit of all originals.
    criterion_without : str
    choice_without : ThresholdChoice
        The same of all originals but this one.
    is_material : bool
        Whether the original is frequent among the nearest pairs, and the threshold changes by a
        tenth or more, or its criterion does.
    """

    row: int
    criterion: str
    choice: ThresholdChoice
    criterion_without: str
    choice_without: ThresholdChoice
    is_material: bool

    @classmethod
    def of(
        cls,
        original: InfluentialOriginal,
        before: tuple[str, ThresholdChoice],
        after: tuple[str, ThresholdChoice],
    ) -> ThresholdWithout:
        """Return the change between two choices, each with its criterion."""
        old, new = before[1].threshold, after[1].threshold
        if old is None or new is None:
            changes = old != new
        else:
            changes = before[0] != after[0] or abs(new - old) >= max(_MATERIAL_CHANGE * old, 1)
        return cls(original.row, *before, *after, changes and original.is_frequent)


def influential_originals(counts: PairCounts) -> list[InfluentialOriginal]:
    """Return the originals of the nearest impostor pairs, those with most of the pairs first.

    The nearest pairs are those up to the distance at which a hundred dyads match, or all that
    are listed if these are fewer.
    """
    squared = counts.nearest.distance_squared
    dyads = counts.nearest_pairs(_NEAREST_DYADS).distance_squared
    if not len(dyads):
        return []
    nearest = int(np.searchsorted(squared, dyads[-1], side="right"))
    ends = np.concatenate([counts.nearest.i[:nearest], counts.nearest.j[:nearest]])
    pairs = np.bincount(ends, minlength=len(counts))
    order = np.argsort(-pairs, kind="stable")[: np.count_nonzero(pairs)].tolist()
    frequent = pairs >= nearest * (_MATERIAL_PROPORTION + 2 / int(counts.compared.sum()))
    return [
        InfluentialOriginal(row, int(pairs[row]), nearest, int(dyads[-1]), bool(frequent[row]))
        for row in order
    ]


class Influence(NamedTuple):
    """How much of a result depends on single originals.

    Attributes
    ----------
    originals : list of InfluentialOriginal
        The originals of the nearest impostor pairs, those with most of the pairs first.
    thresholds : list of ThresholdWithout
        For each of the first three: the threshold of the report, then those for the targets.
    """

    originals: list[InfluentialOriginal]
    thresholds: list[ThresholdWithout]

    @property
    def shown(self) -> list[int]:
        """Rows of the originals without which thresholds were chosen again."""
        return list(dict.fromkeys(one.row for one in self.thresholds))

    @property
    def material(self) -> list[int]:
        """Rows of the originals without which a threshold changes materially."""
        return list(dict.fromkeys(one.row for one in self.thresholds if one.is_material))


def measure_influence(
    config: Config, counts: PairCounts, overall: RateEstimates, max_workers: int | None = None
) -> Influence:
    """Return the most influential originals of a run, and its thresholds without each of them.

    Parameters
    ----------
    config : Config
        Deployment and targets.
    counts : PairCounts
        Pairs of the run. Those of an original are left out of the list, and none is counted again.
    overall : RateEstimates
        Rates of all originals.
    max_workers : int, optional
        Threads.

    Returns
    -------
    Influence
        Without thresholds if there are no rates. A threshold beyond ``counts.nearest_limit`` is
        not chosen again.
    """
    originals = influential_originals(counts)
    if overall.false_match_rates is None or len(counts) <= 2:
        return Influence(originals, [])
    before = _choices(config, overall)
    listed = counts.nearest_limit
    counts = _shortened(counts, overall.false_match_rates, [choice.target for _, choice in before])
    beyond = dependence_beyond_cutoff(counts)

    def rates_without(original: InfluentialOriginal) -> RateEstimates:
        return estimate_rates(
            counts,
            without=counts.names[original.row],
            oriented=config.deployment.orientations,
            confidence=config.confidence,
            seed=config.seed,
            beyond_cutoff=beyond,
        )

    left_out = originals[:_LEFT_OUT]
    estimates = parallel.ordered_map(rates_without, left_out, max_workers=max_workers)
    changes = [
        ThresholdWithout.of(original, *choices)
        for original, without in zip(left_out, estimates, strict=True)
        for choices in zip(before, _choices(config, without), strict=True)
        if (choices[0][1].threshold or 0) <= listed
    ]
    return Influence(originals, changes)


def influence_tables(
    counts: PairCounts, influence: Influence, thumbnails: Mapping[Thumbnail, str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of the influence of single originals, by name."""
    shown = influence.shown
    originals = [
        {
            "rank": rank,
            "original": counts.names[row],
            "configuration_name": configuration_name(counts.names[row], counts.digests[row]),
            "pairs": pairs,
            "nearest_pairs": nearest_pairs,
            "proportion": pairs / nearest_pairs,
            "distance": counts.hasher.distance(squared),
            "distance_squared": squared,
            "thumbnail": (
                thumbnails.get(Thumbnail.of_pair(row, ORIGINAL)) if row in shown else None
            ),
        }
        for rank, (row, pairs, nearest_pairs, squared, _) in enumerate(influence.originals, start=1)
    ]
    columns = "target", "threshold", "source", "beyond_validation"
    thresholds = [
        {
            "original": counts.names[one.row],
            "criterion": one.criterion,
            **{name: getattr(one.choice, name) for name in columns},
            "criterion_without": one.criterion_without,
            **{f"{name}_without": getattr(one.choice_without, name) for name in columns},
            "material": one.is_material,
        }
        for one in influence.thresholds
    ]
    return {"influence": originals, "influence_thresholds": thresholds}


def _choices(config: Config, estimates: RateEstimates) -> list[tuple[str, ThresholdChoice]]:
    """Return the threshold of the report, and one for each target, with their criteria."""
    rates, tail = estimates.false_match_rates, estimates.tail
    choices = [reported_choice(deployment_choices(config.deployment, estimates))]
    for target in config.thresholds.targets:
        if rates is None:
            choice = ThresholdChoice(target, True, None, "none", estimates.no_rates_reason)
        else:
            choice = choose_threshold(target, rates, tail, conservative=True)
        choices.append(("target", choice))
    return choices


def _shortened(counts: PairCounts, rates: FalseMatchRates, targets: Sequence[float]) -> PairCounts:
    """Return counts with a list of impostor pairs that is long enough for the targets."""
    needed = max(
        _LISTED,
        _LISTED_DYADS * pairs_per_dyad(rates.images, rates.pairs),
        math.ceil(_LISTED_PER_MATCH * max(targets) * rates.pairs),
    )
    limit = int(np.searchsorted(rates.matches, needed))
    if limit >= counts.nearest_limit or counts.labelled is not None:  # of which all are needed
        return counts
    nearest = counts.nearest.taken(np.arange(rates.matches[limit]))
    return replace(counts, nearest=nearest, nearest_limit=limit)
