"""From the nearest rows of an index to matches: the items of the rows, by detail where asked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import IndexFileError
from photodna_nb.hashing.orientations import ORIENTATIONS
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Match
from photodna_nb.index.session import ATTEMPTS, IndexSession, StaleRowsError


class SearchOptions(NamedTuple):
    """The checked arguments of `HashIndex.search`."""

    k: int
    max_distance_squared: int
    search_parameter: int | None
    orientations: bool
    min_detail: float | None


def find_matches(
    session: IndexSession, queries: NDArray[np.uint8], options: SearchOptions
) -> list[list[Match]]:
    """Return the k nearest items of each query, (q, 144), within the limits.

    All matches are of one state of the index. While its rows are searched, nobody is kept
    from writing; if others have written meanwhile, the search begins anew.
    """
    with session.mutex, session.with_remedy():
        for _ in range(ATTEMPTS):
            with session.current():
                pass
            try:
                return _matches(session, queries, options)
            except StaleRowsError:
                pass
    raise session.unstable()


def _matches(
    session: IndexSession, queries: NDArray[np.uint8], options: SearchOptions
) -> list[list[Match]]:
    k, limit, search_parameter, orientations, min_detail = options
    fetch, unfinished = k, np.arange(len(queries))
    answers: list[list[Match]] = [[] for _ in queries]
    while len(unfinished):
        nearest = session.rows.nearest(
            queries[unfinished],
            fetch,
            limit,
            session.store,
            search_parameter,
            orientations=orientations,
        )
        items = _items(session, sorted({i for one in nearest for i in one.ids.tolist()}))
        still_unfinished = []
        for query, one in zip(unfinished.tolist(), nearest, strict=True):
            rows = zip(
                one.ids.tolist(), one.distances.tolist(), one.orientations.tolist(), strict=True
            )
            matches = [_match(items[i], distance, orientation) for i, distance, orientation in rows]
            if min_detail is not None:
                matches = [m for m in matches if m.detail is None or m.detail >= min_detail]
            answers[query] = matches[:k]
            if len(matches) < k and len(one.ids) == fetch:
                still_unfinished.append(query)  # items of low detail took the places of others
        unfinished, fetch = np.array(still_unfinished, np.intp), 2 * fetch
    return answers


def _items(session: IndexSession, ids: list[int]) -> dict[int, Item]:
    with session.store.reading():
        session.check_loaded()
        items = session.store.get(ids)
    if len(items) < len(ids):
        missing = next(i for i in ids if i not in items)
        raise IndexFileError(session.index_path, f"holds id {missing}, which its metadata lacks")
    return items


def _match(item: Item, distance_squared: int, orientation: int) -> Match:
    oriented = ORIENTATIONS[orientation]
    return Match(item.id, item.path, distance_squared, item.extra, oriented, item.name, item.detail)
