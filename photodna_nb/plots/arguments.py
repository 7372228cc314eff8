"""Checks of the arguments of figures, before anything is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation.hasher_scale import MOST_BINS
from photodna_nb.evaluation.rates import RateEstimates
from photodna_nb.index.records import Match
from photodna_nb.index.search_results import SearchResults
from photodna_nb.kernels.hashing import GRID
from photodna_nb.plots.layout import short_name
from photodna_nb.tables import result_files
from photodna_nb.tables.result_table import ResultTable

Thresholds = Mapping[str, int]
Rows = Sequence[Mapping[str, Any]]

# Pairs of a table whose images are opened.
MOST_PAIRS = 200


def sequence(name: str, value: Any, needed: str) -> list[Any]:
    """Return the items of a sequence, or of a one-dimensional array."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return list(value.tolist())
    raise ArgumentTypeError(checks.message(name, describe(value), needed))


def labels(name: str, value: Any, n: int, items: str) -> list[str]:
    """Return n texts, one for each of n items."""
    texts = sequence(name, value, f"a sequence of {n} str, one for each of {n} {items}")
    if len(texts) != n:
        raise ArgumentError(f"{name}: got {len(texts)}, needs one for each of {n} {items}")
    return [checks.text(f"{name}[{i}]", text, "str") for i, text in enumerate(texts)]


def columns(value: int | None) -> int | None:
    """Return the number of thumbnails in a row; None if the figure is to choose it."""
    return None if value is None else checks.integer("columns", value, 1)


def grid_point(value: Any) -> tuple[int, int]:
    """Return row and column of a point of the feature grid."""
    needed = f"row and column of a point: two integers, 0 to {GRID - 1}"
    indexes = sequence("grid_point", value, needed)
    if len(indexes) != 2 or not all(
        isinstance(i, Integral) and 0 <= int(i) < GRID for i in indexes
    ):
        raise ArgumentError(checks.message("grid_point", repr(value), needed))
    return int(indexes[0]), int(indexes[1])


def pair_counts(name: str, value: Any) -> NDArray[np.int64]:
    """Return an array of int64 with a number of pairs in each cell."""
    cells = checks.array(name, value, np.int64, ("t",))
    if not len(cells):
        raise ArgumentError(f"{name}: got no cells, needs one or more")
    if cells.min() < 0:
        raise ArgumentError(f"{name}: got a count of {cells.min()}, needs 0 or more")
    return cells


def estimates(value: Any) -> RateEstimates:
    """Return the rate estimates of a run."""
    if not isinstance(value, RateEstimates):
        needed = "RateEstimates: results.estimates.all_originals"
        raise ArgumentTypeError(checks.message("estimates", describe(value), needed))
    return value


def matches(value: Any) -> list[Match]:
    """Return the matches of one query, from a list or a table of them."""
    needed = "the matches of one query: index.search(hashes)[0]"
    table = value.table() if isinstance(value, SearchResults) else value
    if isinstance(table, ResultTable):
        return _matches_of(table, needed)
    items = sequence("matches", value, needed)
    for item in items:
        if not isinstance(item, Match):
            got = f"a list of {describe(item)}"
            raise ArgumentTypeError(checks.message("matches", got, needed))
    return items


def _matches_of(table: ResultTable[Any], needed: str) -> list[Match]:
    columns = table._columns()
    if not {"match", "distance", "orientation", "detail"} <= columns.keys():
        raise ArgumentTypeError(checks.message("matches", describe(table), needed))
    queries = list(columns.get("query", columns.get("path", [])))
    if len(set(queries)) > 1:
        raise ArgumentError(
            checks.message("matches", f"those of {len(set(queries)):,} queries", needed)
        )
    names, *others = (columns[name] for name in ("match", "distance", "orientation", "detail"))
    values = zip(names, *map(result_files.values, others), strict=True)
    return [
        Match(row, name, round(distance**2), {}, orientation, name, detail)
        for row, (name, distance, orientation, detail) in enumerate(values)
    ]


def pairs_of_table(value: Any) -> list[tuple[str, str, str]] | None:
    """Return both paths of each pair in a table and its distance as text; None of no table."""
    table = value.table() if isinstance(value, SearchResults) else value
    if not isinstance(table, ResultTable):
        return None
    needed = "pairs of a HashTable, whose files can be opened: pairs_within(table, …)"
    if len(table) > MOST_PAIRS:
        needed = f"at most {MOST_PAIRS}: pairs[:{MOST_PAIRS}]"
        raise ArgumentError(checks.message("pairs", f"{len(table):,}", needed))
    columns = table._columns()
    for one, other in (("path_i", "path_j"), ("path", "match")):
        if one in columns and other in columns:
            unit = table._units().get("distance", "L2")
            distances = (f"{unit} {distance:.0f}" for distance in columns["distance"])
            return list(zip(columns[one], columns[other], distances, strict=True))
    got = f"{type(table).__name__} without paths"
    raise ArgumentError(checks.message("pairs", got, needed))


def rows(value: Any, table: str, columns: Collection[str]) -> Rows:
    """Return rows of a table of an evaluation, if they have these columns."""
    needed = f'rows of results.tables["{table}"]'
    items = sequence("rows", value, needed)
    for row in items:
        if not isinstance(row, Mapping):
            got = f"{describe(row)} among them"
            raise ArgumentTypeError(checks.message("rows", got, needed))
        if missing := ", ".join(column for column in columns if column not in row):
            raise ArgumentError(checks.message("rows", f"one without {missing}", needed))
    return items


def targets(value: Any) -> list[float]:
    """Return target false match rates, above 0 and at most 1."""
    if value is None:
        return []
    rates = sequence("targets", value, "a sequence of rates, such as [1e-3, 1e-6]")
    return [checks.real(f"targets[{i}]", rate, most=1, above=0) for i, rate in enumerate(rates)]


def thresholds(value: Any, unit: str = "L2", largest: int = MOST_BINS - 1) -> dict[str, int]:
    """Return distances by name, each from 0 to the largest."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        needed = f'a dict of names to {unit} distances, such as {{"production": 200}}'
        raise ArgumentTypeError(checks.message("thresholds", describe(value), needed))
    for name in value:
        checks.text("thresholds", name, "names of type str")
    return {
        name: checks.integer(
            f"thresholds[{short_name(name, 24)!r}]", threshold, 0, largest, f"{unit} distances"
        )
        for name, threshold in value.items()
    }
