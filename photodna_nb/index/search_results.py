"""The answers of a search: lists of matches, which are also a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.files import PathLike
from photodna_nb.index.records import Match
from photodna_nb.pairs import metrics
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.result_table import ResultTable, Rows, take

if TYPE_CHECKING:
    import pandas as pd

    from photodna_nb.tables.table import HashTable


class SearchRow(NamedTuple):
    """A match in a `SearchTable`.

    query : int
        Number of the query, from 0.
    path : str or None
        Path of the image of the query; None if it is not known.
    rank : int
        1 for the nearest match of the query, 2 for the next.
    match : Match
        The match.
    """

    query: int
    path: str | None
    rank: int
    match: Match


@dataclass(frozen=True, eq=False, repr=False)
class SearchTable(ResultTable[SearchRow]):
    """The matches of all queries of a search, by query and then by rank.

    Attributes
    ----------
    query : ndarray of int64, (m,)
        Number of the query of each match, from 0.
    rank : ndarray of int64, (m,)
        1 for the nearest match of its query, 2 for the next.
    matches : list of Match, m
        The matches.
    paths : sequence of str, or None
        Path of the image of each query; None if they are not known.
    """

    query: NDArray[np.int64]
    rank: NDArray[np.int64]
    matches: list[Match]
    paths: Sequence[str] | None = None

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.matches)

    @property
    def distance(self) -> NDArray[np.float64]:
        """L2 distance of each match, (m,)."""
        return np.sqrt(self._squared())

    def _squared(self) -> NDArray[np.int64]:
        return np.array([match.distance_squared for match in self.matches], np.int64)

    def _contents(self) -> str:
        return f"{len(self):,} match{'es' * (len(self) != 1)}"

    def _units(self) -> dict[str, str]:
        return {"distance": metrics.UNITS["euclidean"], "detail": "grey levels"}

    def _columns(self) -> dict[str, Column]:
        squared = self._squared()
        detail = [np.nan if match.detail is None else match.detail for match in self.matches]
        paths = self.paths
        path: dict[str, Column] = (
            {} if paths is None else {"path": [paths[query] for query in self.query.tolist()]}
        )
        return {
            "query": self.query,
            **path,
            "match": [match.name or match.path for match in self.matches],
            "id": np.array([match.id for match in self.matches], np.int64),
            "rank": self.rank,
            "distance": np.sqrt(squared),
            "similarity": metrics.similarities_at(squared),
            "orientation": [str(match.orientation) for match in self.matches],
            "detail": np.array(detail, np.float64),
        }

    def _take(self, rows: Rows) -> SearchTable:
        return replace(
            self, query=self.query[rows], rank=self.rank[rows], matches=take(self.matches, rows)
        )

    def _record(self, row: int) -> SearchRow:
        query = int(self.query[row])
        path = None if self.paths is None else self.paths[query]
        return SearchRow(query, path, int(self.rank[row]), self.matches[row])


class SearchResults(list[list[Match]]):
    """The answers of `HashIndex.search`: for each query, the list of its matches.

    `table` returns all matches as a `SearchTable`, which pyarrow, polars and DuckDB take.

    Parameters
    ----------
    answers : iterable of list of Match
        The matches of each query.
    paths : sequence of str, optional
        Paths of the images of the queries, if these were in a `HashTable`.
    """

    def __init__(
        self, answers: Iterable[list[Match]] = (), paths: Sequence[str] | None = None
    ) -> None:
        super().__init__(answers)
        self._paths = paths

    def table(self, queries: HashTable | Sequence[PathLike] | None = None) -> SearchTable:
        """Return all matches as one table.

        Parameters
        ----------
        queries : HashTable or sequence of str or os.PathLike, optional
            Paths of the images of the queries; by default those of the `HashTable` that was
            searched for.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `queries` is none of these, or not as long as the results.
        """
        paths = self._paths
        if queries is not None:
            given = getattr(queries, "paths", queries)
            given = checks.iterable("queries", given, "a HashTable, or several paths")
            paths = [checks.path("queries", path) for path in given]
            if len(paths) != len(self):
                needed = f"one for each of {len(self):,} queries"
                raise ArgumentError(checks.message("queries", f"{len(paths):,}", needed))
        counts = list(map(len, self))
        ranks = [np.arange(1, count + 1) for count in counts]
        return SearchTable(
            np.repeat(np.arange(len(self)), counts),
            np.concatenate([np.empty(0, np.int64), *ranks]),
            [match for answer in self for match in answer],
            paths,
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame of all matches: see `Pairs.to_pandas`."""
        return self.table().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return all matches as an Arrow stream: see `ResultTable`."""
        return self.table().__arrow_c_stream__(requested_schema)

    def save(self, path: PathLike, *, spreadsheet: bool = False) -> None:
        """Write all matches to a file: see `Pairs.save`."""
        self.table().save(path, spreadsheet=spreadsheet)

    def __repr__(self) -> str:
        n_matches, queries = sum(map(len, self)), "query" if len(self) == 1 else "queries"
        matches = f"{n_matches:,} match{'es' * (n_matches != 1)}"
        return f"<SearchResults of {len(self):,} {queries} and {matches}>"

    def _repr_html_(self) -> str:
        """Return the first matches as a table of HTML, for a notebook."""
        return self.table()._repr_html_()

    def __reduce__(self) -> tuple[Any, ...]:
        return SearchResults, (list(self), self._paths)
