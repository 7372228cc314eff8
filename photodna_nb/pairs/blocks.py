"""All pairs of many hashes as blocks: tasks that load and compare only what they need."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from photodna_nb import parallel
from photodna_nb.files import PathLike
from photodna_nb.kernels.register_tile import TILE_ROWS
from photodna_nb.pairs.packing import pack_database, pack_queries
from photodna_nb.pairs.source import HashSource, hash_sources, split_source
from photodna_nb.tables.table import HashTable

Hashes = NDArray[np.uint8] | HashTable | PathLike | Sequence[PathLike]
Result = TypeVar("Result")

# Rows of a block's sides: below, a task costs more than its pairs; at the upper end, packing
# takes 1 % of the time of the comparison.
_MIN_ROWS, _MAX_ROWS = 1024, 8192
# Tasks a worker: enough to keep each of them busy to the end, and no more.
_TASKS = 8
# Rows of the sides of a block that is divided, since its answer is too large for one task; and
# the most pairs in the answer of a task, which are all pairs of such a block.
_DIVIDED_ROWS = 512
MAX_PAIRS_OF_TASK = _DIVIDED_ROWS**2
# The lower half of a packed pair: an index.
_INDEX = 2**32 - 1


class Labels(Protocol):
    """Labels of hashes, (n,) int32; what takes them looks them up when a task is submitted."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.int32]:
        """Return the labels of some hashes."""


@dataclass(frozen=True, eq=False)
class OrderedLabels:
    """Labels of hashes that are in another order: that of a tree."""

    labels: NDArray[np.int32]
    order: NDArray[np.int32]

    def __getitem__(self, rows: slice) -> NDArray[np.int32]:
        """Return the labels of the hashes at some places of the order."""
        return self.labels[self.order[rows]]


class PackedPairs(NamedTuple):
    """A chunk of an answer, in any order.

    packed : ndarray of int64, (p,)
        Pairs, ``i << 32 | j``.
    distances : ndarray of int32, (p,)
        Squared L2 or L1 distances.
    """

    packed: NDArray[np.int64]
    distances: NDArray[np.int32]

    @property
    def i(self) -> NDArray[np.int64]:
        """The first hash of each pair."""
        return self.packed >> 32

    @property
    def j(self) -> NDArray[np.int64]:
        """The second hash of each pair."""
        return self.packed & _INDEX

    def between(self, i_labels: NDArray[np.int32], j_labels: NDArray[np.int32]) -> PackedPairs:
        """Return the pairs of hashes with two labels."""
        differing = i_labels[self.i] != j_labels[self.j]
        return PackedPairs(self.packed[differing], self.distances[differing])


class PairBlock(NamedTuple):
    """Pairs that a task compares: of two chunks, or inside one chunk.

    Attributes
    ----------
    queries, database : HashSource
        The two chunks.
    triangle : bool
        Whether both are one chunk, of which each pair is compared once.
    symmetric : bool
        Whether the pairs also count as those of the database's rows with the queries.
    """

    queries: HashSource
    database: HashSource
    triangle: bool
    symmetric: bool

    def pack(self, metric: int) -> tuple[NDArray[Any], ...]:
        """Return the hashes of this block as the kernels take them."""
        hashes = self.database.load()
        database, database_squares = pack_database(hashes, metric)
        if not self.triangle:
            hashes = self.queries.load()
        queries, queries_squares = pack_queries(hashes, metric)
        return database, queries, database_squares, queries_squares

    def divided(self) -> Iterator[PairBlock]:
        """Yield the same pairs in blocks of at most `MAX_PAIRS_OF_TASK` pairs."""
        database = split_source(self.database, _DIVIDED_ROWS)
        queries = database if self.triangle else split_source(self.queries, _DIVIDED_ROWS)
        for number, side in enumerate(queries):
            for other in database[number if self.triangle else 0 :]:
                yield PairBlock(side, other, side is other, self.symmetric)


class PairBlocks:
    """The blocks that hold all pairs of `a` and `b`, or without `b` each pair inside `a` once.

    max_rows: most rows of a chunk; tasks: about so many a worker; is_near: whether a block of
    two chunks is needed.
    """

    def __init__(
        self,
        a: Hashes | HashSource,
        b: Hashes | HashSource | None,
        max_workers: int | None,
        executor: Executor | None,
        max_rows: int = _MAX_ROWS,
        tasks: int = _TASKS,
        is_near: Callable[[HashSource, HashSource], bool] | None = None,
    ) -> None:
        workers = parallel.worker_count(max_workers, executor)
        self._max_workers, self._executor = max_workers, executor
        sources = hash_sources(a, b)
        queries, database = sources[0], sources[-1]
        n, m = queries.count, database.count
        self.length: int = queries.length
        self.n_queries: int = n
        self.n_rows: int = m
        self.n_pairs: int = n * (n - 1) // 2 if b is None else n * m

        def chunks(source: HashSource) -> list[HashSource]:
            sides = math.sqrt((2 if b is None else 1) * tasks * workers)
            rows = math.ceil(source.count / sides / TILE_ROWS) * TILE_ROWS
            return split_source(source, max(min(_MIN_ROWS, max_rows), min(max_rows, rows)))

        self._queries = chunks(queries)
        self._database = self._queries if b is None else chunks(database)
        self._symmetric = b is None
        self._near: list[PairBlock] | None = None
        if is_near is not None:
            self._near = [block for block in self if is_near(block.queries, block.database)]

    def __iter__(self) -> Iterator[PairBlock]:
        if self._near is not None:
            yield from self._near
            return
        for number, queries in enumerate(self._queries):
            for database in self._database[number if self._symmetric else 0 :]:
                yield PairBlock(queries, database, database is queries, self._symmetric)

    def __len__(self) -> int:
        if self._near is not None:
            return len(self._near)
        n = len(self._queries)
        return n * (n + 1) // 2 if self._symmetric else n * len(self._database)

    def map(
        self,
        function: Callable[..., Result],
        progress: bool,
        labels: Sequence[Labels] | None = None,
    ) -> Generator[Result, None, None]:
        """Yield ``function(block)`` of each block in order, computed on the workers.

        With labels, of `a` and, if there is one, of `b`, the function also gets those
        of the block's queries and of its database rows.
        """
        with (
            closing(
                parallel.ordered_map(
                    partial(_call, function),
                    _tasks(self, labels),
                    max_workers=self._max_workers,
                    executor=self._executor,
                )
            ) as results,
            parallel.progress_bar(progress, range(len(self)), "blocks") as bar,
        ):
            for result in results:
                bar.update()
                yield result

    def map_bounded(
        self,
        function: Callable[..., Result | None],
        progress: bool,
        labels: Sequence[Labels] | None = None,
    ) -> Generator[Result, None, None]:
        """Yield ``function(block)`` of each block in order, as `map` does.

        A block is divided if the function returns None, since its answer is too large.
        """
        with closing(self.map(function, progress, labels)) as results:
            for block, result in zip(self, results, strict=True):
                if result is not None:
                    yield result
                    continue
                with closing(
                    parallel.ordered_map(
                        partial(_call, function),
                        _tasks(block.divided(), labels),
                        max_workers=self._max_workers,
                        executor=self._executor,
                        items_per_task=1,
                    )
                ) as answers:
                    yield from (answer for answer in answers if answer is not None)


def _tasks(
    blocks: Iterable[PairBlock], labels: Sequence[Labels] | None
) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments of each block's task: the block and, if there are any, its labels."""
    for block in blocks:
        chunks = (block.queries, block.database)
        sides = zip(chunks, (labels[0], labels[-1]), strict=True) if labels else ()
        yield block, *(side[chunk.start : chunk.stop] for chunk, side in sides)


def _call(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    return function(*arguments)
