"""Work over many items: on threads or on any executor, in order, with bounded memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from itertools import islice
from numbers import Integral
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from photodna_nb.checks import describe, integer, message
from photodna_nb.errors import (
    ArgumentError,
    ArgumentTypeError,
    ErrorContext,
    PhotodnaError,
    ResourceError,
    resource_errors,
)
from photodna_nb.processors import available_processors

Item = TypeVar("Item")
Result = TypeVar("Result")

# Workers that an executor is taken to have if it does not say, as a cluster's.
_UNKNOWN_WORKERS = 64

# Seconds that a task should take: many times the cost of submitting it, which is some 30 us
# for a thread and milliseconds for a cluster. It is short, so that Ctrl-C is prompt and the
# last tasks end together.
_SECONDS_ON_THREADS = 0.01
_SECONDS_ELSEWHERE = 0.1
_ITEMS_PER_TASK = 64

# What to give in place of what is no executor, by the package that it is of, and perhaps its class.
_RIGHT_CALLS = {
    "distributed.Cluster": "dask.distributed.Client(cluster).get_executor()",
    "distributed": "client.get_executor() of a Dask client",
    "dask": "dask.distributed.Client(address).get_executor()",
    "multiprocessing.ThreadPool": "concurrent.futures.ThreadPoolExecutor()",
    "multiprocessing": "concurrent.futures.ProcessPoolExecutor()",
    "joblib": "joblib.externals.loky.get_reusable_executor()",
    "loky": "loky.get_reusable_executor()",
    "ray": "a RayExecutor(), for which docs/many-files.md has the lines, as Ray has no executor",
    "mpi4py.MPICommExecutor": "what `with MPICommExecutor() as executor` names",
    "mpi4py": "mpi4py.futures.MPIPoolExecutor()",
}

# What Dask and Ray raise when they give up a task, after several workers that had it have ended.
_LOST_WORKERS = {
    "distributed.KilledWorker",
    "ray.WorkerCrashedError",
    "ray.LocalRayletDiedError",
    "ray.NodeDiedError",
    "ray.ObjectLostError",
    "ray.OutOfMemoryError",
}


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
    wait: bool = False,
    items_per_task: int = _ITEMS_PER_TASK,
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in order.

    Parameters
    ----------
    function : callable
        Function that is called; for processes and clusters one that can be pickled.
    items : iterable
        Arguments. They are consumed as work is done, so that a generator of millions of
        items is never held in memory.
    max_workers : int, optional
        Number of threads, the number of processors if left out. With an `executor`, the
        number of workers that it is taken to have.
    executor : concurrent.futures.Executor, optional
        Where the work is done; it is not shut down.
    wait : bool
        Whether closing the generator waits for tasks that have begun on threads, as is
        needed for tasks that write to memory of the caller.
    items_per_task : int
        Most items of a task; 1 where a result takes much memory.

    Yields
    ------
    object
        Results. An error that a call raises is raised when its task's turn comes.

    Raises
    ------
    ResourceError
        The executor lost its workers: one of a process pool was killed, or a cluster was closed.
    ArgumentError
        The executor was shut down before.

    Notes
    -----
    Items are submitted in tasks, at first of one item and then of as many as take
    some milliseconds. A task that takes longer stops, and the rest of its items are
    submitted again. Four tasks per worker are pending at once. When the generator is closed,
    by an error or Ctrl-C for example, tasks that have not begun are cancelled.
    """
    workers = worker_count(max_workers, executor)
    pool = ThreadPoolExecutor(workers) if executor is None else executor
    seconds_per_task = _SECONDS_ON_THREADS if executor is None else _SECONDS_ELSEWHERE
    pending: deque[tuple[Future[tuple[list[Result], float]], list[Item]]] = deque()
    remaining = iter(items)
    size = 1

    def submit(task: list[Item]) -> tuple[Future[tuple[list[Result], float]], list[Item]]:
        with resource_errors(), _executor_errors(executor):
            return pool.submit(_run, function, task, 2 * seconds_per_task), task

    try:
        while True:
            while len(pending) < 4 * workers and (task := list(islice(remaining, size))):
                pending.append(submit(task))
            if not pending:
                return
            future, task = pending.popleft()
            with _executor_errors(executor):
                results, seconds = future.result()
            rate = len(results) / max(seconds, 1e-9)
            size = max(1, min(items_per_task, round(seconds_per_task * rate)))
            rest = task[len(results) :]  # the task took longer than those before it
            tasks = [submit(rest[i : i + size]) for i in range(0, len(rest), size)]
            pending.extendleft(reversed(tasks))
            yield from results
    finally:
        for future, _ in pending:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=wait, cancel_futures=True)


def _executor_errors(executor: Executor | None) -> ErrorContext:
    """Return a context that says what to do about an executor that can work no more."""

    def translated(error: BaseException) -> Exception | None:
        names = _class_names(type(error))
        if isinstance(error, BrokenExecutor | CancelledError) or names & _LOST_WORKERS:
            return ResourceError(
                "executor: a worker ended in the middle of its work (it was killed, memory was "
                'full, or the script has no `if __name__ == "__main__":`), or the executor was '
                "closed; give a new executor, with fewer workers if memory is short: what was kept "
                "in a journal is not hashed again"
            )
        shut_down = isinstance(error, RuntimeError) and "after shutdown" in str(error)
        if shut_down or "distributed.ClosedClientError" in names:
            return ArgumentError("executor: is shut down; give one that is open")
        if "No module named 'photodna_nb'" in str(error):
            return ResourceError(
                "executor: its workers cannot import photodna_nb; install it there, in this version"
            )
        cause = getattr(error, "cause", None) if "ray" in names else None
        return cause if isinstance(cause, PhotodnaError) else None  # without Ray's traceback

    return ErrorContext(translated if executor is not None else lambda _: None)


def run_each(
    function: Callable[[Item], None], items: Sequence[Item], max_workers: int | None
) -> None:
    """Call a function with each item, on threads if there are several; none runs on at the end."""
    if len(items) < 2 or worker_count(max_workers, None) == 1:
        for item in items:
            function(item)
        return
    with closing(ordered_map(function, items, max_workers=max_workers, wait=True)) as results:
        for _ in results:
            pass


def _run(
    function: Callable[[Item], Result], task: list[Item], max_seconds: float
) -> tuple[list[Result], float]:
    """Return the results of the first items of a task, until its time is over, and the seconds."""
    start = perf_counter()
    results = []
    for item in task:
        results.append(function(item))
        if perf_counter() - start > max_seconds:
            break
    return results, perf_counter() - start


def worker_count(max_workers: int | None, executor: Executor | None) -> int:
    """Return the number of workers, after a check of both arguments."""
    if executor is not None and not isinstance(executor, Executor):
        got, remedy = _no_executor(executor)
        needed = "a concurrent.futures.Executor"
        raise ArgumentTypeError(message("executor", got, needed, remedy))
    if max_workers is None:
        if executor is None:
            return available_processors()
        return int(getattr(executor, "_max_workers", None) or _UNKNOWN_WORKERS)
    return integer("max_workers", max_workers, 1)


def _no_executor(value: Any) -> tuple[str, str]:
    """Return what a value is that is no executor, and what to give in its place."""
    got = describe(value)
    remedy = "leave it out for threads, or give concurrent.futures.ProcessPoolExecutor()"
    if isinstance(value, Integral):
        return got, "give a number of threads as max_workers"
    if isinstance(value, str):
        package = value.partition("://")[0]  # of an address, or the name of a library
        names = {"dask" if ":" in value and package not in _RIGHT_CALLS else package}
    elif isinstance(value, ModuleType):
        got, names = f"the module {value.__name__}", {_package(value.__name__)}
    elif isinstance(value, type):
        got, names = f"the class {value.__name__}", _class_names(value)
        if issubclass(value, Executor):
            remedy = f"give an object of it, {value.__name__}()"
    elif hasattr(value, "__name__"):
        got, names = f"the function {value.__name__}", {_package(value.__module__)}
        remedy = f"give what {value.__name__}() returns, if that is an executor"
    else:
        names = _class_names(type(value))
    right_calls = (call for name, call in _RIGHT_CALLS.items() if name in names)
    return got, next((f"give {call}" for call in right_calls), remedy)


def _class_names(kind: type) -> set[str]:
    """Return the packages of a class and of its base classes, with and without their names.

    Libraries are known by names, so that none is imported.
    """
    names: set[str] = set()
    for base in kind.__mro__:
        package = _package(base.__module__)
        names |= {package, f"{package}.{base.__name__}"}
    return names


def _package(module: str | None) -> str:
    return str(module).partition(".")[0]


def progress_bar(visible: bool, items: Iterable[Any], unit: str) -> Any:
    """Return a tqdm bar for the items, for terminals and notebooks, or one that shows nothing."""
    if not visible:
        return nullcontext(SimpleNamespace(update=lambda: None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook without ipywidgets the bar is of text
        from tqdm.auto import tqdm

    total = len(items) if isinstance(items, Sized) else None
    return tqdm(total=total, unit=f" {unit}", mininterval=0.2)
