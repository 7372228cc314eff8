"""The answers to the queries of an index, and their forms: text, JSON, as ``oaphotodna.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index import HashIndex, Match
    from photodna_nb.tables.table import HashTable

_QUERIES_AT_ONCE = 256


class Answer(NamedTuple):
    """The matches of a query."""

    path: str
    detail: float  # of the query, in grey levels; NaN if it is not known
    excluded: bool  # whether its detail is below --min-detail
    matches: list[Match]


def iterate_answers(
    index: HashIndex, table: HashTable, top_k: int, limits: dict[str, Any]
) -> Iterator[Answer]:
    """Yield the answer of each query of a table, in order; limits as in `HashIndex.search`."""
    least = limits["min_detail"] or 0
    for start in range(0, len(table), _QUERIES_AT_ONCE):
        batch = table[start : start + _QUERIES_AT_ONCE]
        results = index.search(batch.hashes, top_k, **limits)
        for path, detail, matches in zip(batch.paths, batch.detail.tolist(), results, strict=True):
            excluded = detail < least
            yield Answer(path, detail, excluded, [] if excluded else matches)


def as_json(answer: Answer, approximate: bool) -> dict[str, Any]:
    """Return an answer as ``--json`` prints it."""
    from photodna_nb.index import LOW_DETAIL

    fields = ("id", "name", "path", "distance", "similarity", "distance_squared", "orientation")
    return {
        "query": answer.path,
        "detail": answer.detail,
        "low_detail": answer.detail < LOW_DETAIL,
        "approximate": approximate,
        "results": [
            {field: getattr(match, field) for field in (*fields, "detail", "low_detail", "extra")}
            for match in answer.matches
        ],
    }


def as_oaphotodna(answer: Answer) -> Iterator[str]:
    """Yield the lines of an answer as ``oaphotodna.py`` prints them, a match on each."""
    yield f"Query: {printable(answer.path)}"
    yield f"Matches: {len(answer.matches)}"
    for rank, match in enumerate(answer.matches, start=1):
        fields = [
            f"[{rank}] {printable(match.path)}",
            f"distance={match.distance:.4f}",
            f"similarity={match.similarity:.6f}",
            f"distance_squared={match.distance_squared:.4f}",
        ]
        yield " | ".join(fields)


def as_text(answer: Answer, approximate: bool, orientations: bool) -> Iterator[str]:
    """Yield the lines of an answer."""
    from photodna_nb.index import LOW_DETAIL

    yield f"Query: {printable(answer.path)}"
    if answer.excluded:
        yield exclusion(answer)
    elif answer.detail < LOW_DETAIL:
        yield f"Low detail: {answer.detail:.1f} grey levels; its matches say nothing"
    yield f"Results: {len(answer.matches)}" + " (approximate)" * approximate
    for rank, match in enumerate(answer.matches, start=1):
        yield ""
        yield f"[{rank}] {printable(match.name)}"
        yield f"    id={match.id}"
        yield f"    distance={match.distance:.4f}"
        yield f"    similarity={match.similarity:.6f}"
        yield f"    distance_squared={match.distance_squared:.4f}"
        if orientations:
            yield f"    orientation={match.orientation}"
        if match.low_detail:
            yield f"    low detail={match.detail:.1f}"


def exclusion(answer: Answer) -> str:
    """Return why nothing was searched for."""
    return f"Low detail: {answer.detail:.1f} grey levels, below --min-detail"
