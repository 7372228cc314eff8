"""Work over many pieces: on threads, or on any executor, in order and bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from photodna_nb.arrays import described
from photodna_nb.errors import ArgumentError, ArgumentTypeError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Of an executor that does not say how many workers it has, as a cluster's.
_UNKNOWN_WORKERS = 64


def in_order(
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
) -> Generator[Result, None, None]:
    """Yield ``function(piece)`` of each piece, in order.

    Parameters
    ----------
    function : callable
        For processes and clusters one that can be pickled.
    pieces : iterable
        Drawn from as work is done: a generator of millions of pieces is held
        nowhere in full.
    max_workers : int, optional
        Threads, the number of processors if left out. With an `executor`, how
        many workers it is taken to have.
    executor : concurrent.futures.Executor, optional
        Where the work is done; it is left running.

    Yields
    ------
    object
        Results. The first error that a piece raises is raised when its turn comes.

    Notes
    -----
    Four pieces a worker are under way at once. When the generator is closed, by
    an error or Ctrl-C for example, pieces that have not begun never will.
    """
    workers = checked_workers(max_workers, executor)
    pool = ThreadPoolExecutor(workers) if executor is None else executor
    under_way: deque[Future[Result]] = deque()
    remaining = iter(pieces)
    try:
        while True:
            for piece in islice(remaining, 4 * workers - len(under_way)):
                under_way.append(pool.submit(function, piece))
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=False, cancel_futures=True)


def checked_workers(max_workers: int | None, executor: Executor | None) -> int:
    """Return the number of workers, once both arguments are checked."""
    if executor is not None and not isinstance(executor, Executor):
        raise ArgumentTypeError(
            f"executor: got {described(executor)}, needs a concurrent.futures.Executor; "
            "of a Dask client, client.get_executor()"
        )
    if max_workers is None:
        if executor is None:
            return os.cpu_count() or 1
        return int(getattr(executor, "_max_workers", None) or _UNKNOWN_WORKERS)
    if not isinstance(max_workers, int) or isinstance(max_workers, bool):
        raise ArgumentTypeError(f"max_workers: got {described(max_workers)}, needs an integer")
    if max_workers < 1:
        raise ArgumentError(f"max_workers: got {max_workers}, needs at least 1")
    return max_workers


def pieces_of(items: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """Yield lists of `size` items, the last one shorter."""
    remaining = iter(items)
    while piece := list(islice(remaining, size)):
        yield piece


class _NoBar:
    """What is shown where no bar is wanted."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self) -> None:
        """Show nothing."""


def progress_bar(wanted: bool, items: Iterable[Any], unit: str) -> Any:
    """Return a tqdm bar for that many items, right in terminals and notebooks, if it is wanted."""
    if not wanted:
        return _NoBar()
    from tqdm.auto import tqdm

    total = len(items) if isinstance(items, Sized) else None
    return tqdm(total=total, unit=f" {unit}", mininterval=0.2)
