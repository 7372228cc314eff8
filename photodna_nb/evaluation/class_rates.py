"""False match rates of the impostor pairs of two classes of originals: sources or categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.dependence import ImpostorPairs, sort_impostor_pairs
from photodna_nb.evaluation.intervals import FalseMatchRates, false_match_rates
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import Histogram, PairCounts
from photodna_nb.evaluation.pair_graph import PairsAcross
from photodna_nb.evaluation.rates import labelled_rates
from photodna_nb.evaluation.summary import median_distance, smallest_distance
from photodna_nb.evaluation.tail import Tail, join_limits
from photodna_nb.evaluation.tail_fit import fit_tail
from photodna_nb.evaluation.threshold_rows import RATE, Row
from photodna_nb.evaluation.thresholds import ThresholdChoice, choose_threshold

# What a class of each partition is called in names of tables, and of columns.
_CLASS = {"sources": ("source", "source_name"), "categories": ("category", "category")}


class ClassRates(NamedTuple):
    """The impostor pairs of two classes of originals, and their false match rates.

    Attributes
    ----------
    name, other : str
        Names of the classes; the same for pairs inside one class.
    images, other_images : int
        Numbers of their originals that take part in impostor pairs.
    impostor_histogram : ndarray of int64, (t,)
        Number of impostor pairs by distance.
    rates : FalseMatchRates or None
        False match rates at the thresholds up to which all pairs are listed, with confidence
        intervals; None if there are no pairs, or none is listed.
    tail : Tail or None
        Fitted tail of pairs inside one class, if it was asked for.
    """

    name: str
    other: str
    images: int
    other_images: int
    impostor_histogram: Histogram
    rates: FalseMatchRates | None
    tail: Tail | None


def class_rates(
    counts: PairCounts, name: str, confidence: float, seed: int, *, with_tail: bool = False
) -> Iterator[ClassRates]:
    """Yield the false match rates of every two classes of a partition.

    Parameters
    ----------
    counts : PairCounts
        Counts with that partition.
    name : str
        Name of the partition.
    confidence : float
        Confidence level of the intervals.
    seed : int
        Seed of the random choice of disjoint pairs.
    with_tail : bool
        Whether the tail of pairs inside each class is fitted.

    Notes
    -----
    Inside a class, the intervals are those of `false_match_rates`. Across two classes, images of
    both are the trials, and the variance of the rate is that of a two-sample U-statistic: products
    of two pairs are averaged over pairs with an image of the one or of the other class in common.
    With fewer than ten matching dyads, the bound is that of disjoint dyads, as many as the smaller
    class has images.
    """
    partition, nearest, cutoff = counts.partitions[name], counts.nearest, counts.nearest_limit
    number = partition.number
    ends = np.sort([number[nearest.i], number[nearest.j]], axis=0)
    for (a, b), impostor in zip(partition.pairs, partition.impostor, strict=True):
        rows = ((number == a) | (number == b)) & counts.compared
        size, other_size = (int((number[rows] == one).sum()) for one in (a, b))
        rates = tail = None
        images, pairs = int(rows.sum()), int(impostor.sum())
        if pairs and cutoff >= 0:
            own = nearest.taken((ends[0] == a) & (ends[1] == b))
            place = np.cumsum(rows) - 1
            impostors = sort_impostor_pairs(
                ImpostorPairs(
                    place[own.i],
                    place[own.j],
                    counts.hasher.distances(own.distance_squared),
                    cutoff,
                ),
                images,
            )
            rates = false_match_rates(
                impostor[: cutoff + 1],
                images,
                impostors,
                confidence=confidence,
                seed=seed,
                run_number=counts.run_number[rows],
                graph=None if a == b else PairsAcross(number[rows] == b, pairs, seed),
                pairs=pairs,
            )
            if with_tail and a == b and counts.hasher.metric != "hamming":
                tail = fit_tail(impostors, images, pairs, confidence=confidence, seed=seed)
                rates, tail = join_limits(rates, tail)
        yield ClassRates(
            partition.names[a], partition.names[b], size, other_size, impostor, rates, tail
        )


def labelled_class_rates(counts: PairCounts, confidence: float, seed: int) -> Iterator[ClassRates]:
    """Yield the false match rates of the labelled pairs of each category: see `labelled_rates`."""
    if (labelled := counts.labelled) is None:
        return
    for number, name in enumerate(labelled.names):
        own = counts.nearest.taken(labelled.impostor == number)
        size = len(np.unique(np.r_[own.i, own.j]))
        rates = labelled_rates(counts, own, confidence, seed) if size else None
        impostor = counts.hasher.histogram(own.distance_squared)
        yield ClassRates(name, name, size, size, impostor, rates, None)


def class_tables(config: Config, counts: PairCounts, named: Mapping[str, int]) -> dict[str, Any]:
    """Return the tables of false match rates by two classes, of each partition that there is.

    Parameters
    ----------
    config : Config
        Has the confidence level, the seed and the targets.
    counts : PairCounts
        Counts of the pairs.
    named : dict of str to int
        Thresholds by name.

    Returns
    -------
    dict of str to list of dict
        ``false_match_rates_by_source`` and ``false_match_rates_by_category``: of every two, at
        each named threshold. ``thresholds_by_source``: the threshold that the pairs of every two
        sources give for each target.
    """
    tables: dict[str, list[Row]] = {}
    if counts.labelled is not None and counts.labelled.are_given:
        by_category = labelled_class_rates(counts, config.confidence, config.seed)
        tables["false_match_rates_by_category"] = [
            row for rates in by_category for row in _rate_rows("category", rates, named)
        ]
    for partition in counts.partitions:
        one, column = _CLASS[partition]
        with_tail = partition == "sources"
        found = list(
            class_rates(counts, partition, config.confidence, config.seed, with_tail=with_tail)
        )
        tables[f"false_match_rates_by_{one}"] = [
            row for rates in found for row in _rate_rows(column, rates, named)
        ]
        if with_tail:
            tables["thresholds_by_source"] = [
                row
                for rates in found
                for row in _threshold_rows(column, rates, config.thresholds.targets, counts)
            ]
    return tables


def _classes(column: str, rates: ClassRates) -> Row:
    return {
        column: rates.name,
        f"other_{column}": rates.other,
        "originals": rates.images,
        "other_originals": rates.other_images,
        "impostor_pairs": int(rates.impostor_histogram.sum()),
    }


def _rate_rows(column: str, rates: ClassRates, named: Mapping[str, int]) -> Iterator[Row]:
    """Yield the false match rate of two classes at each named threshold."""
    pairs = int(rates.impostor_histogram.sum())
    for name, threshold in named.items():
        matches = int(rates.impostor_histogram[: threshold + 1].sum())
        row = _classes(column, rates) | {
            "smallest_impostor_distance": smallest_distance(rates.impostor_histogram),
            "median_impostor_distance": median_distance(rates.impostor_histogram),
            "threshold_name": name,
            "threshold": threshold,
            "impostor_matches": matches,
        }
        row |= dict.fromkeys(RATE) | {RATE[0]: json_number(matches / pairs) if pairs else None}
        if rates.rates is not None and threshold < len(rates.rates.rate):
            rate = rates.rates.at(threshold)
            values = rate.rate, rate.lower, rate.upper, rate.at_least_ten_matches
            row |= zip(RATE, map(json_number, values), strict=True)
        yield row


def _threshold_rows(
    column: str, rates: ClassRates, targets: Sequence[float], counts: PairCounts
) -> Iterator[Row]:
    """Yield the threshold that the pairs of two classes give for each target."""
    for target in targets:
        for conservative in (False, True):
            yield _classes(column, rates) | _choice(rates, target, conservative, counts).as_json()


def _choice(
    rates: ClassRates, target: float, conservative: bool, counts: PairCounts
) -> ThresholdChoice:
    reason = "there are no impostor pairs"
    if rates.rates is not None:
        choice = choose_threshold(target, rates.rates, rates.tail, conservative)
        last = len(rates.rates.rate) - 1
        if choice.threshold != last or last == counts.hasher.largest_threshold:
            return choice
        reason = "more pairs match at such a rate than are listed"
    return ThresholdChoice(target, conservative, None, "none", reason)
