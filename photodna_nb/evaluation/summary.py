"""What the statistics make of the counts of a run: rates, thresholds, and what they mean a day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from photodna_nb import pairs
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.counts import Cells, Counts
from photodna_nb.evaluation.curves import Curves, curves
from photodna_nb.evaluation.intervals import (
    Dependence,
    FalseMatchRates,
    Floats,
    NearPairs,
    false_match_rates,
    json_number,
    matrix_dependence,
    proportion,
    shared_recall,
)
from photodna_nb.evaluation.operating import Choice, Half, OperatingPoint, operating_points
from photodna_nb.evaluation.scale import expected_matches, threshold_under
from photodna_nb.evaluation.tail import Tail, fit_tail

# JSON and CSV take it: a name or number in each column, None where there is none.
Row: TypeAlias = dict[str, Any]

_ORIENTATIONS = 8


@dataclass(frozen=True, eq=False)
class Measured:
    """Genuine and impostor pairs of some originals: curves, and intervals of the rates.

    Attributes
    ----------
    images : int
        Originals.
    confidence : float
        Of the intervals.
    genuine, impostor : ndarray of int64, (3061,)
        Counts of pairs: cell t holds those with ``t - 1 < L2 <= t``.
    curves : Curves
        Rates at every integer threshold, and what sums them up.
    recall_lower, recall_upper : ndarray of float64, (3061,)
        Interval of ``curves.recall``, with the originals as trials: see `shared_recall`.
    rates : FalseMatchRates or None
        Of the impostor pairs; None if there is none, or if the closest could not be listed.
    tail : Tail or None
        Of the same.
    reason : str
        Why there are no rates; empty if there are.
    """

    images: int
    confidence: float
    genuine: Cells
    impostor: Cells
    curves: Curves
    recall_lower: Floats
    recall_upper: Floats
    rates: FalseMatchRates | None = None
    tail: Tail | None = None
    reason: str = ""


def measure(
    counts: Counts,
    part: Literal["A", "B"] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    beyond: Dependence | None = None,
) -> Measured:
    """Return what the pairs of one half of the originals say, or those of all, with intervals.

    Parameters
    ----------
    counts : Counts
        Of a run.
    part : {"A", "B"}, optional
        The half; all originals if left out.
    confidence : float
        Of the intervals, between 0 and 1.
    seed : int
        Of what is drawn to make them.
    beyond : Dependence, optional
        From `beyond_the_list`, which is called if it is left out.

    Raises
    ------
    ArgumentError
        `confidence` is out of range.

    Notes
    -----
    Takes a second or two with two million close pairs; all thresholds are in the answer.
    """
    genuine, impostor = counts.genuine(part=part), counts.impostor(part=part)
    chosen = np.ones(len(counts), bool) if part is None else counts.in_b == (part == "B")
    images, number = int(chosen.sum()), int(impostor.sum())
    found = curves(genuine, impostor)
    lower, upper = shared_recall(found.genuine_matches, found.genuine_pairs, images, confidence)
    basis = Measured(images, confidence, genuine, impostor, found, lower, upper)
    of_half = "" if part is None else f" in half {part}"
    if images < 2 or not number:
        return replace(basis, reason=f"there are no impostor pairs{of_half}")
    if counts.close_limit < 0:
        reason = "too many impostor pairs have the same hash to be listed: exclude them by name"
        return replace(basis, reason=reason)
    close = counts.close
    inside = chosen[close.i] & chosen[close.j]
    row = np.cumsum(chosen) - 1
    near = NearPairs(
        row[close.i[inside]],
        row[close.j[inside]],
        np.sqrt(close.distance_squared[inside]),
        counts.close_limit,
    )
    rates = false_match_rates(
        impostor,
        images,
        near,
        above=beyond or beyond_the_list(counts),
        confidence=confidence,
        seed=seed,
    )
    tail = fit_tail(near, images, number, confidence=confidence, seed=seed)
    return replace(basis, rates=rates, tail=tail)


def summarised(counts: Counts, config: Config) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Return what the statistics make of the counts: numbers for the summary, and tables.

    Parameters
    ----------
    counts : Counts
        Of a run.
    config : Config
        What the report is to speak of.

    Returns
    -------
    summary : dict
        ``curves``: equal error rate, area, average precision; ``tail``: the fit, and
        whether it is trusted; ``no_rates_because``: empty, or why there are none.
    tables : dict of str to list of dict
        ``curves``: rates at every whole threshold; ``thresholds``: what the named ones do;
        ``operating_points``: a threshold for each target, chosen on half A, its rates on
        half B; ``operating_recall``: the same by edit; ``scale``: the thresholds that keep
        the budget.
    """
    beyond = beyond_the_list(counts)
    parts: tuple[Literal["A", "B"] | None, ...] = (None, "A", "B")
    whole, a, b = (
        measure(counts, part, confidence=config.confidence, seed=config.seed, beyond=beyond)
        for part in parts
    )
    summary = {
        "curves": whole.curves.as_json(),
        "tail": None if whole.tail is None else whole.tail.as_json(),
        "no_rates_because": whole.reason,
    }
    points: list[OperatingPoint] = []
    if a.rates is not None and b.rates is not None:
        chosen_on = Half(a.genuine, a.rates, a.tail)
        reported_on = Half(b.genuine, b.rates, b.tail)
        for conservative in (False, True):
            points += operating_points(
                chosen_on, reported_on, config.thresholds.targets, conservative, config.confidence
            )
    tables = {
        "curves": _curves(counts, whole, a, b),
        "thresholds": _thresholds(counts, config, whole),
        "operating_points": [_point(point) for point in points],
        "operating_recall": _operating_recall(counts, config, points),
        "scale": _scale(counts, config, whole),
    }
    return summary, tables


def recalls(
    matched: list[int], trials: list[int], confidence: float
) -> list[tuple[float | None, float | None, float | None]]:
    """Return recall and its Clopper-Pearson interval for each of many counts; None of nothing."""
    if not trials:
        return []
    lower, upper = (ends.tolist() for ends in proportion(matched, trials, confidence))
    return [
        (m / n, json_number(low), json_number(high)) if n else (None, None, None)
        for m, n, low, high in zip(matched, trials, lower, upper, strict=True)
    ]


def beyond_the_list(counts: Counts) -> Dependence | None:
    """Return how pairs hang together where they are not listed, as some originals show it."""
    if len(counts.sample) < 4 or counts.close_limit >= len(counts.impostor_bands[0]) - 1:
        return None
    return matrix_dependence(pairs.distance_matrix(counts.sample))


def _curves(counts: Counts, whole: Measured, a: Measured, b: Measured) -> list[Row]:
    """Return matches and rates at every whole threshold, up to where all pairs match."""
    found = whole.curves
    columns: dict[str, list[Any]] = {
        "genuine_matches": found.genuine_matches.tolist(),
        "impostor_matches": found.impostor_matches.tolist(),
        "impostor_matches_of_originals": np.cumsum(counts.impostor(variants=False)).tolist(),
        "genuine_matches_oriented": np.cumsum(counts.genuine(oriented=True)).tolist(),
        "genuine_matches_a": np.cumsum(a.genuine).tolist(),
        "impostor_matches_a": np.cumsum(a.impostor).tolist(),
        "genuine_matches_b": np.cumsum(b.genuine).tolist(),
        "impostor_matches_b": np.cumsum(b.impostor).tolist(),
        "recall": found.recall.tolist(),
        "recall_lower": whole.recall_lower.tolist(),
        "recall_upper": whole.recall_upper.tolist(),
        "false_non_match_rate": found.false_non_match_rate.tolist(),
        "false_match_rate": found.false_match_rate.tolist(),
        "precision": found.precision.tolist(),
    }
    nothing = [None] * len(found.recall)
    rates = whole.rates
    columns["false_match_rate_lower"] = nothing if rates is None else rates.lower.tolist()
    columns["false_match_rate_upper"] = nothing if rates is None else rates.upper.tolist()
    columns["counted"] = nothing if rates is None else rates.counted.tolist()
    total = whole.genuine + whole.impostor
    last = int(np.flatnonzero(total)[-1]) if total.any() else 0
    return [
        {"threshold": threshold}
        | {name: json_number(column[threshold]) for name, column in columns.items()}
        for threshold in range(last + 1)
    ]


def _thresholds(counts: Counts, config: Config, whole: Measured) -> list[Row]:
    """Return what each named threshold does: recall of all edits, false matches, in a day."""
    rows = []
    for name, threshold in config.thresholds.named.items():
        row: Row = {
            "name": name,
            "threshold": threshold,
            **_recall_columns(counts, config, whole, threshold),
            "impostor_pairs": int(whole.curves.impostor_pairs),
            "impostor_matches": int(whole.curves.impostor_matches[threshold]),
        }
        row |= _rate_columns(whole, threshold) | _expected_columns(config, whole, threshold)
        rows.append(row)
    return rows


def _recall_columns(counts: Counts, config: Config, whole: Measured, threshold: int | None) -> Row:
    """Return the genuine pairs that match, and the interval of their share.

    The recall is that of the closest of eight orientations, if the service looks queries
    up in these.
    """
    pairs = whole.curves.genuine_pairs
    row: Row = {"genuine_pairs": pairs, "genuine_matches": None, "genuine_matches_oriented": None}
    row |= {"recall_oriented": config.scale.orientations}
    row |= dict.fromkeys(("recall", "recall_lower", "recall_upper"))
    if threshold is None:
        return row
    matches = {
        oriented: int(counts.genuine(oriented=oriented)[: threshold + 1].sum())
        for oriented in (False, True)
    }
    row |= {"genuine_matches": matches[False], "genuine_matches_oriented": matches[True]}
    if pairs:
        found = matches[config.scale.orientations]
        lower, upper = shared_recall(found, pairs, whole.images, config.confidence)
        row["recall"] = json_number(found / pairs)
        row["recall_lower"], row["recall_upper"] = (json_number(float(x)) for x in (lower, upper))
    return row


def _rate_columns(whole: Measured, threshold: int | None) -> Row:
    """Return a false match rate as it was counted, and as the tail tells it."""
    names = (
        *("false_match_rate", "false_match_rate_lower", "false_match_rate_upper", "counted"),
        *("tail_rate", "tail_lower", "tail_upper"),
    )
    row: Row = dict.fromkeys(names)
    if whole.rates is None or threshold is None:
        return row
    rate = whole.rates.at(threshold)
    values = [rate.rate, rate.lower, rate.upper, rate.counted]
    if whole.tail is not None:
        said = whole.tail.rate(threshold)
        values += [float(said.rate[0]), float(said.lower[0]), float(said.upper[0])]
    return row | {name: json_number(value) for name, value in zip(names, values, strict=False)}


def _expected_columns(config: Config, whole: Measured, threshold: int | None) -> Row:
    """Return the false matches a day of the service that the configuration describes."""
    names = "comparisons", "expected", "lower", "upper", "source", "untested"
    row: Row = {f"a_day_{name}": None for name in names}
    if whole.rates is None or threshold is None:
        return row
    found = expected_matches(
        threshold,
        config.scale.list_size,
        config.scale.queries_a_day,
        whole.rates,
        whole.tail,
        _ORIENTATIONS if config.scale.orientations else 1,
    )
    return row | {f"a_day_{name}": json_number(getattr(found, name)) for name in names}


def _scale(counts: Counts, config: Config, whole: Measured) -> list[Row]:
    """Return the thresholds that keep the budget: by the estimate, and by the interval's end."""
    rows = []
    for conservative in (False, True):
        choice = Choice(0.0, conservative, None, "none", whole.reason)
        if whole.rates is not None:
            choice = threshold_under(
                config.scale.budget,
                config.scale.list_size,
                config.scale.queries_a_day,
                whole.rates,
                whole.tail,
                _ORIENTATIONS if config.scale.orientations else 1,
                conservative,
            )
        row: Row = {
            "budget": config.scale.budget,
            "list_size": config.scale.list_size,
            "queries_a_day": config.scale.queries_a_day,
            "orientations": _ORIENTATIONS if config.scale.orientations else 1,
            **choice.as_json(),
            **_recall_columns(counts, config, whole, choice.threshold),
        }
        row |= _rate_columns(whole, choice.threshold)
        rows.append(row | _expected_columns(config, whole, choice.threshold))
    return rows


def _point(point: OperatingPoint) -> Row:
    """Return an operating point on one line."""
    row = point.as_json()
    choice, rate = row.pop("choice"), row.pop("false_match_rate") or {}
    counted = {
        "impostor_matches": rate.get("matches"),
        "impostor_pairs": rate.get("pairs"),
        "false_match_rate": rate.get("rate"),
        "false_match_rate_lower": rate.get("lower"),
        "false_match_rate_upper": rate.get("upper"),
    }
    return {**choice, **row, **counted}


def _operating_recall(counts: Counts, config: Config, points: list[OperatingPoint]) -> list[Row]:
    """Return the recall of each edit on half B, at each threshold that half A chose."""
    rows: list[Row] = []
    matched: list[int] = []
    for spec in counts.transforms:
        squared = {
            oriented: counts.genuine_distances(spec, part="B", oriented=oriented)
            for oriented in (False, True)
        }
        for point in points:
            threshold = point.choice.threshold
            if threshold is None:
                continue
            for oriented, distances in squared.items():
                matched.append(int(np.searchsorted(distances, threshold**2, side="right")))
                rows.append(
                    {
                        "transform": spec,
                        "target": point.choice.target,
                        "conservative": point.choice.conservative,
                        "threshold": threshold,
                        "oriented": oriented,
                        "n": len(distances),
                        "matched": matched[-1],
                    }
                )
    trials = [row["n"] for row in rows]
    for row, three in zip(rows, recalls(matched, trials, config.confidence), strict=True):
        row |= dict(zip(("recall", "recall_lower", "recall_upper"), three, strict=True))
    return rows
