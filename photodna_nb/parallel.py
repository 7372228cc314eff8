"""Work over many items: on threads, or on any executor, in order and bounded."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from time import perf_counter
from typing import Any, TypeVar

from photodna_nb.checks import describe, integer, message
from photodna_nb.errors import ArgumentTypeError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Of an executor that does not say how many workers it has, as a cluster's.
_UNKNOWN_WORKERS = 64

# Seconds that a task should take: many times what handing it over costs, which is
# some 30 us for a thread and milliseconds for a cluster; but no more, so that
# Ctrl-C is prompt and the last tasks end together.
_SECONDS_ON_THREADS = 0.01
_SECONDS_ELSEWHERE = 0.1
_ITEMS_A_TASK = 64


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    wait: bool = False,
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` of each item, in order.

    Parameters
    ----------
    function : callable
        For processes and clusters one that can be pickled.
    items : iterable
        Drawn from as work is done: a generator of millions of items is held
        nowhere in full.
    max_workers : int, optional
        Threads, the number of processors if left out. With an `executor`, how
        many workers it is taken to have.
    executor : concurrent.futures.Executor, optional
        Where the work is done; it is left running.
    wait : bool
        Whether, when the generator is closed, tasks that have begun on threads are
        waited for, as those are that write where the caller looks.

    Yields
    ------
    object
        Results. An error that a call raises ends them when its task's turn comes.

    Notes
    -----
    Items are handed over in tasks, at first of one item and then of as many, up to
    64, as take some milliseconds; a task that takes longer stops, and its other items
    are handed over anew. Four tasks a worker are under way at once. When the
    generator is closed, by an error or Ctrl-C for example, tasks that have not
    begun never will.
    """
    workers = worker_count(max_workers, executor)
    pool = ThreadPoolExecutor(workers) if executor is None else executor
    aim = _SECONDS_ON_THREADS if executor is None else _SECONDS_ELSEWHERE
    under_way: deque[tuple[Future[tuple[list[Result], float]], list[Item]]] = deque()
    remaining = iter(items)
    size = 1

    def handed_over(task: list[Item]) -> tuple[Future[tuple[list[Result], float]], list[Item]]:
        return pool.submit(_run, function, task, 2 * aim), task

    try:
        while True:
            while len(under_way) < 4 * workers and (task := list(islice(remaining, size))):
                under_way.append(handed_over(task))
            if not under_way:
                return
            future, task = under_way.popleft()
            results, seconds = future.result()
            size = max(1, min(_ITEMS_A_TASK, round(aim * len(results) / max(seconds, 1e-9))))
            left = task[len(results) :]  # it took longer than the items before it
            again = [handed_over(left[i : i + size]) for i in range(0, len(left), size)]
            under_way.extendleft(reversed(again))
            yield from results
    finally:
        for future, _ in under_way:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=wait, cancel_futures=True)


def _run(
    function: Callable[[Item], Result], task: list[Item], most: float
) -> tuple[list[Result], float]:
    """Return the results of a task, or of its first items if so many seconds are over; seconds."""
    start = perf_counter()
    results = []
    for item in task:
        results.append(function(item))
        if perf_counter() - start > most:
            break
    return results, perf_counter() - start


def available_processors() -> int:
    """Return how many processors this process may use, at least 1.

    A batch system or ``taskset`` may grant fewer than the machine has.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_count(max_workers: int | None, executor: Executor | None) -> int:
    """Return the number of workers, once both arguments are checked."""
    if executor is not None and not isinstance(executor, Executor):
        raise ArgumentTypeError(
            message(
                "executor",
                describe(executor),
                "a concurrent.futures.Executor",
                "of a Dask client, client.get_executor()",
            )
        )
    if max_workers is None:
        if executor is None:
            return available_processors()
        return int(getattr(executor, "_max_workers", None) or _UNKNOWN_WORKERS)
    return integer("max_workers", max_workers, 1)


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm

    total = len(items) if isinstance(items, Sized) else None
    return tqdm(total=total, unit=f" {unit}", mininterval=0.2)
