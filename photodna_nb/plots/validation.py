"""The gates that arguments of figures pass, before anything is drawn."""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.index.records import Match
from photodna_nb.kernels.hashing import GRID
from photodna_nb.pairs.metrics import SIMILARITY_SCALE
from photodna_nb.plots.layout import short_name

Thresholds = Mapping[str, int]
Rows = Sequence[Mapping[str, Any]]


def sequence(name: str, value: Any, needed: str) -> list[Any]:
    """Return the items of a sequence, or of a one-dimensional array."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return list(value.tolist())
    raise ArgumentTypeError(f"{name}: got {describe(value)}, needs {needed}")


def number(name: str, value: Any) -> float:
    """Return a finite number."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: got {describe(value)}, needs a number")
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: got {value}, needs a finite number")
    return float(value)


def labels(name: str, value: Any, count: int, things: str) -> list[str]:
    """Return as many texts as there are things."""
    found = sequence(name, value, f"a sequence of {count} str, one for each of {count} {things}")
    if len(found) != count:
        raise ArgumentError(f"{name}: got {len(found)}, needs one for each of {count} {things}")
    for label in found:
        if not isinstance(label, str):
            raise ArgumentTypeError(f"{name}: got {describe(label)} among them, needs str")
    return found


def columns(value: int | None) -> int | None:
    """Return how many pictures make a row, or None where that is left open."""
    if value is None:
        return None
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ArgumentTypeError(f"columns: got {describe(value)}, needs an integer of 1 or more")
    if int(value) < 1:
        raise ArgumentError(f"columns: got {value}, needs an integer of 1 or more")
    return int(value)


def grid_point(value: Any) -> tuple[int, int]:
    """Return row and column of a point of the feature grid."""
    needed = f"row and column of a point: two integers, 0 to {GRID - 1}"
    found = sequence("grid_point", value, needed)
    if len(found) != 2 or not all(
        isinstance(place, numbers.Integral) and 0 <= int(place) < GRID for place in found
    ):
        raise ArgumentError(f"grid_point: got {value!r}, needs {needed}")
    row, column = found
    return int(row), int(column)


def counts(name: str, value: Any) -> NDArray[np.int64]:
    """Return an array of int64 with a count in each cell."""
    found = checks.array(name, value, np.int64, ("t",))
    if not len(found):
        raise ArgumentError(f"{name}: got no cells, needs one or more")
    if found.min() < 0:
        raise ArgumentError(f"{name}: got a count of {found.min()}, needs 0 or more")
    return found


def estimates(value: Any) -> RateEstimates:
    """Return what the statistics made of counts."""
    if not isinstance(value, RateEstimates):
        raise ArgumentTypeError(
            f"estimates: got {describe(value)}, needs RateEstimates: "
            "pdna.evaluation.estimate_rates(results.counts)"
        )
    return value


def matches(value: Any) -> list[Match]:
    """Return the matches of one query."""
    needed = "the matches of one query: index.search(hashes)[0]"
    found = sequence("matches", value, needed)
    for one in found:
        if not isinstance(one, Match):
            raise ArgumentTypeError(f"matches: got a list of {describe(one)}, needs {needed}")
    return found


def rows(value: Any, table: str, needed: Collection[str]) -> Rows:
    """Return the rows of a table of an evaluation that has the columns which a figure needs."""
    of_table = f'rows of results.tables["{table}"]'
    found = sequence("rows", value, of_table)
    for row in found:
        if not isinstance(row, Mapping):
            raise ArgumentTypeError(f"rows: got {describe(row)} among them, needs {of_table}")
        if missing := ", ".join(column for column in needed if column not in row):
            raise ArgumentError(f"rows: got one without {missing}, needs {of_table}")
    return found


def targets(value: Any) -> list[float]:
    """Return false match rates."""
    if value is None:
        return []
    found = sequence("targets", value, "a sequence of rates, such as [1e-3, 1e-6]")
    rates = [number("targets", target) for target in found]
    for target in rates:
        if not 0 < target <= 1:
            raise ArgumentError(f"targets: got {target}, needs rates above 0 and up to 1")
    return rates


def thresholds(value: Any, cells: int | None = None) -> dict[str, int]:
    """Return L2 distances by name; of those that were counted, if there are so many cells."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(
            f"thresholds: got {describe(value)}, needs a dict of names to L2 distances, "
            'such as {"production": 200}'
        )
    most, what = SIMILARITY_SCALE, ", the scale of L2"
    if cells is not None:
        most, what = cells - 1, ", as were counted"
    for name, threshold in value.items():
        if not isinstance(name, str):
            raise ArgumentTypeError(f"thresholds: got {describe(name)} for a name, needs str")
        shown = repr(short_name(name, 24))
        if not isinstance(threshold, numbers.Integral) or isinstance(threshold, bool):
            raise ArgumentTypeError(
                f"thresholds: got {describe(threshold)} for {shown}, needs an integer"
            )
        if not 0 <= int(threshold) <= most:
            raise ArgumentError(f"thresholds: got {threshold} for {shown}, needs 0 to {most}{what}")
    return {name: int(threshold) for name, threshold in value.items()}
