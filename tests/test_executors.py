"""Executors: what is refused and what to give instead; workers that end; each library's own."""

import concurrent.futures
import functools
import multiprocessing.pool
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest

import photodna_nb as pdna
from photodna_nb import parallel


def class_of(module, name, *bases):
    """A class as a library has it, which need not be installed."""
    return type(name, bases, {"__module__": module})


def function_of(module, name):
    def function():
        raise AssertionError("is not called")

    function.__module__, function.__name__ = module, name
    return function


CLUSTER = class_of("distributed.deploy.cluster", "Cluster")
CLIENT = "give client.get_executor() of a Dask client"
OF_CLUSTER = "give dask.distributed.Client(cluster).get_executor()"
OF_ADDRESS = "give dask.distributed.Client(address).get_executor()"
PROCESSES = "give concurrent.futures.ProcessPoolExecutor()"
THREADS = "give concurrent.futures.ThreadPoolExecutor()"
JOBLIB = "give joblib.externals.loky.get_reusable_executor()"
LOKY = "give loky.get_reusable_executor()"
RAY = "give a RayExecutor(), for which docs/many-files.md has the lines, as Ray has no executor"
MPI = "give mpi4py.futures.MPIPoolExecutor()"
OTHERWISE = "leave it out for threads, or give concurrent.futures.ProcessPoolExecutor()"


@pytest.mark.parametrize(
    ("value", "got", "remedy"),
    [
        (class_of("distributed.client", "Client")(), "Client", CLIENT),
        (class_of("distributed.client", "Client"), "the class Client", CLIENT),
        (function_of("distributed.client", "get_executor"), "the function get_executor", CLIENT),
        (ModuleType("distributed"), "the module distributed", CLIENT),
        (class_of("distributed.deploy.local", "Local", CLUSTER)(), "Local", OF_CLUSTER),
        (class_of("dask_jobqueue.slurm", "SLURMCluster", CLUSTER)(), "SLURMCluster", OF_CLUSTER),
        (ModuleType("dask.distributed"), "the module dask.distributed", OF_ADDRESS),
        ("tcp://10.0.0.1:8786", "str", OF_ADDRESS),
        ("localhost:8786", "str", OF_ADDRESS),
        ("dask", "str", OF_ADDRESS),
        (multiprocessing.Pool, "the function Pool", PROCESSES),
        (multiprocessing.pool.Pool, "the class Pool", PROCESSES),
        (multiprocessing, "the module multiprocessing", PROCESSES),
        (multiprocessing.pool.ThreadPool, "the class ThreadPool", THREADS),
        (class_of("joblib.parallel", "Parallel")(), "Parallel", JOBLIB),
        (ModuleType("joblib"), "the module joblib", JOBLIB),
        (ModuleType("joblib.externals.loky"), "the module joblib.externals.loky", JOBLIB),
        (ModuleType("loky"), "the module loky", LOKY),
        (function_of("loky.reusable_executor", "get_r"), "the function get_r", LOKY),
        (class_of("ray.util.actor_pool", "ActorPool")(), "ActorPool", RAY),
        (class_of("ray.util.multiprocessing.pool", "Pool")(), "Pool", RAY),
        (ModuleType("ray"), "the module ray", RAY),
        ("ray://head:10001", "str", RAY),
        (
            class_of("mpi4py.futures.pool", "MPICommExecutor")(),
            "MPICommExecutor",
            "give what `with MPICommExecutor() as executor` names",
        ),
        (class_of("mpi4py.futures.pool", "MPIPoolExecutor", Executor), None, MPI),
        (ModuleType("mpi4py"), "the module mpi4py", MPI),
        (4, "int", "give a number of threads as max_workers"),
        (np.int64(-1), "int64", "give a number of threads as max_workers"),
        (ProcessPoolExecutor, None, "give an object of it, ProcessPoolExecutor()"),
        (
            function_of("user", "my_pool"),
            "the function my_pool",
            "give what my_pool() returns, if that is an executor",
        ),
        (concurrent.futures, "the module concurrent.futures", OTHERWISE),
        (functools.partial(int), "partial", OTHERWISE),
        (class_of(None, "Strange")(), "Strange", OTHERWISE),
        ("threads", "str", OTHERWISE),
        ([ThreadPoolExecutor], "list", OTHERWISE),
    ],
)
def test_refusals_name_the_right_call(value, got, remedy):
    with pytest.raises(pdna.ArgumentTypeError) as raised:
        pdna.hash_files(["not read"], executor=value)
    got = got or f"the class {value.__name__}"
    assert (
        str(raised.value) == f"executor: got {got}, needs a concurrent.futures.Executor; {remedy}"
    )


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "begins"),
    [
        (class_of("distributed.scheduler", "KilledWorker", Exception)("task 1"), 0, 0),
        (class_of("ray.exceptions", "WorkerCrashedError", Exception)(), 0, 0),
        (class_of("ray.exceptions", "OutOfMemoryError", Exception)(), 0, 0),
        (parallel.CancelledError(), 0, 0),
        (
            class_of("distributed.client", "ClosedClientError", Exception)(),
            pdna.ArgumentError,
            "executor: is shut down; give one that is open",
        ),
        # A task's own errors stay what they are, whatever their names.
        (class_of("torch", "OutOfMemoryError", RuntimeError)("GPU"), RuntimeError, "GPU"),
        (class_of("__main__", "KilledWorker", RuntimeError)("other"), RuntimeError, "other"),
        (KeyError(1), KeyError, "1"),
    ],
)
def test_lost_workers_are_an_error_of_ours(error, kind, begins):
    """As libraries raise it after a task has ended several workers, and of a closed cluster."""
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(kind or pdna.ResourceError) as raised,
    ):
        list(parallel.ordered_map(fail, [error], executor=executor))
    assert str(raised.value).startswith(begins or "executor: a worker ended in the middle")
    assert isinstance(raised.value, pdna.PhotodnaError) or raised.value is error


def test_an_error_of_ours_comes_back_as_itself_from_ray():
    """Ray raises a subclass of it and of its own error, with a traceback as its text."""
    ours = pdna.TableFileError("hashes.npz", "is damaged; write it again")
    task_error = class_of("ray.exceptions", "RayTaskError", Exception)
    both = class_of("ray.exceptions", "RayTaskError(TableFileError)", task_error, type(ours))
    error = both("hashes.npz", "ray::call() (pid=1)\n Traceback ...")
    error.cause = ours
    with ThreadPoolExecutor(1) as executor, pytest.raises(pdna.TableFileError) as raised:
        list(parallel.ordered_map(fail, [error], executor=executor))
    assert raised.value is ours
