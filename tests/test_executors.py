"""Executors: what is refused and what to give instead; workers that end; each library's own."""

import concurrent.futures
import functools
import inspect
import multiprocessing.pool
import os
import re
import signal
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from types import ModuleType

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, local_cluster, needs, spawned_processes
from evaluations import contents, photo_config

import photodna_nb as pdna
from photodna_nb import evaluation, parallel
from photodna_nb.journal import RecordLog

DOCS = (ROOT / "docs/many-files.md").read_text(encoding="utf-8")
FILES = sorted((ROOT / "data/pictures").glob("*.jpg"))


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


@pytest.mark.parametrize("options", [{"executor": 3}, {"max_workers": 0}])
def test_refused_also_where_there_is_no_work(options, tmp_path):
    none, one = np.zeros((0, 144), np.uint8), np.zeros((1, 144), np.uint8)
    turned = {"orientations": True} | options
    with pdna.HashIndex.in_memory() as index:
        for call in (
            lambda: pdna.hash_files([], **options),
            lambda: pdna.hash_directory(tmp_path, **options),
            lambda: pdna.hash_inputs([], **options),
            lambda: list(pdna.iterate_hashes([], **options)),
            lambda: pdna.pairs_within(none, max_distance=3, **options),
            lambda: pdna.pairs_within(one, none, max_distance=3, **turned),
            lambda: pdna.write_pairs(tmp_path / "pairs.npz", none, max_distance=3, **options),
            lambda: pdna.nearest(one, one, **turned),
            lambda: pdna.distance_histogram(none, **options),
            lambda: pdna.duplicates(none, 3, **turned),
            lambda: pdna.match(one, none, 3, **options),
            lambda: pdna.match(one, none, 3, **turned),
            lambda: pdna.match(one, none, 3, k=1, **turned),
            lambda: index.add(["label"], one, **options),
            lambda: index.verify(**options),
        ):
            with pytest.raises(pdna.PhotodnaError, match=r"^(executor|max_workers): got"):
                call()
        assert len(index) == 0


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
        (
            class_of("ray.exceptions", "RayTaskError", Exception)(
                "ray::call() (pid=1)\nModuleNotFoundError: No module named 'photodna_nb'"
            ),
            pdna.ResourceError,
            "executor: its workers cannot import photodna_nb; install it there",
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


def test_functions_that_take_an_executor_are_listed():
    listed = re.search(r"^These take `executor`: (.*?)\.\n\n", DOCS, re.DOTALL | re.MULTILINE)[1]
    holders = (pdna, pdna.HashIndex, evaluation, pdna.hashers.Hasher)
    found = {
        name
        for holder in holders
        for name, function in inspect.getmembers(holder, inspect.isfunction)
        if "executor" in inspect.signature(function).parameters and not name.startswith("_")
    }
    assert {name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", listed)} == found
    assert len(found) >= 15


def recipe_for_ray(folder):
    """Run the lines of the documentation as they stand there, and return their RayExecutor."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)
    names = {"__name__": "recipe", "pdna": pdna, "paths": FILES}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in blocks:
            if "RayExecutor" in block:
                exec(block, names)
    loaded = pdna.HashTable.load(folder / "hashes.parquet")
    np.testing.assert_array_equal(loaded.hashes, pdna.hash_files(FILES).hashes)
    return names["RayExecutor"]


@pytest.fixture(scope="module", params=["processes", "loky", "dask", "ray"])
def new_executor(request, tmp_path_factory):
    """A function that gives an executor that works, with two workers."""
    with ExitStack() as stack:
        if request.param == "processes":
            yield lambda: stack.enter_context(spawned_processes())
        elif request.param == "loky":
            loky = pytest.importorskip("joblib.externals.loky")
            yield lambda: stack.enter_context(loky.get_reusable_executor(2))
        elif request.param == "dask":
            pytest.importorskip("distributed")  # has the settings that are changed
            dask = pytest.importorskip("dask")
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 1}))
            yield stack.enter_context(local_cluster()).get_executor
        else:
            stack.callback(pytest.importorskip("ray").shutdown)
            yield recipe_for_ray(tmp_path_factory.mktemp("ray"))


def real(function):
    """Mark a test that starts workers."""
    for mark in (
        pytest.mark.long,
        pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # of Ray
        pytest.mark.skipif(JIT_OFF, reason="the same work with or without JIT, but slowly"),
    ):
        function = mark(function)
    return function


@real
def test_the_same_on_every_executor(new_executor, photos, tmp_path):
    executor = new_executor()
    options = {"executor": executor, "max_workers": 2}
    expected = pdna.hash_files(FILES)
    np.testing.assert_array_equal(pdna.hash_files(FILES, **options).hashes, expected.hashes)
    with pytest.raises(pdna.ImageError, match=r"^gone: no such file"):
        pdna.hash_files([*FILES, "gone"], **options)
    assert executor.submit(int, "3").result() == 3, "left running"
    found = pdna.pairs_within(expected, max_distance=900, **options)
    assert len(found) > 5
    assert (
        found.distance.tolist() == pdna.pairs_within(expected, max_distance=900).distance.tolist()
    )
    evaluation.run(photo_config(photos), tmp_path / "here")
    evaluation.run(photo_config(photos), tmp_path / "there", **options)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@needs("signals", "/proc")
@real
def test_a_killed_worker_and_the_journal(new_executor, tmp_path, monkeypatch):
    """A pool ends the work, which another one continues; a cluster goes on; nothing is lost."""
    monkeypatch.setattr(parallel, "_SECONDS_ELSEWHERE", 0)  # one image a task
    append, kept = RecordLog.append, []

    def append_and_note(log, record):
        append(log, record)
        kept.append(record.path)

    monkeypatch.setattr(RecordLog, "append", append_and_note)
    executor = new_executor()
    victim = executor.submit(os.getpid).result()

    def paths():
        for number, path in enumerate(FILES):
            if number == 9:
                os.kill(victim, signal.SIGKILL)
            yield path

    options = {"max_workers": 2, "output": tmp_path / "hashes.npz"}
    if hasattr(executor, "_processes"):
        with pytest.raises(pdna.ResourceError, match="executor: a worker ended in the middle"):
            pdna.hash_files(paths(), executor=executor, **options)
        assert 1 <= len(kept) < len(FILES)
        table = pdna.hash_files(FILES, executor=new_executor(), **options)
    else:
        table = pdna.hash_files(paths(), executor=executor, **options)
    np.testing.assert_array_equal(table.hashes, pdna.hash_files(FILES).hashes)
    assert len(set(kept)) == len(kept) == len(FILES), "none was hashed twice"
    end = time.monotonic() + 300
    while os.path.exists(f"/proc/{victim}/exe") and time.monotonic() < end:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{victim}/exe")


@real
def test_a_task_that_ends_every_worker(new_executor):
    with pytest.raises(pdna.ResourceError, match="executor: a worker ended in the middle"):
        list(parallel.ordered_map(os._exit, [1], executor=new_executor(), max_workers=2))
    table = pdna.hash_files(FILES[:2], executor=new_executor(), max_workers=2)
    np.testing.assert_array_equal(table.hashes, pdna.hash_files(FILES[:2]).hashes)


@real
def test_refusals_of_real_objects():
    def refused(value):
        with pytest.raises(pdna.ArgumentTypeError) as raised:
            parallel.worker_count(None, value)
        return str(raised.value).partition("; ")[2]

    with multiprocessing.Pool(1) as pool, multiprocessing.pool.ThreadPool(1) as threads:
        assert [refused(pool), refused(pool.map)] == [PROCESSES] * 2
        assert refused(threads) == THREADS
    joblib = pytest.importorskip("joblib")
    for value in (joblib, joblib.Parallel(2), joblib.parallel_config, joblib.externals.loky):
        assert refused(value) == JOBLIB
    with local_cluster() as client:
        assert [refused(client), refused(client.get_executor)] == [CLIENT] * 2
        assert refused(client.cluster) == OF_CLUSTER
        assert refused(client.scheduler.address) == OF_ADDRESS
        executor = client.get_executor()
    with pytest.raises(pdna.ArgumentError, match="executor: is shut down; give one that is open"):
        pdna.hash_files(FILES, executor=executor)


@real
def test_refusals_of_what_ray_has():
    ray = pytest.importorskip("ray")
    pools = pytest.importorskip("ray.util.multiprocessing")
    for value in (ray, ray.remote, ray.remote(fail), ray.util.ActorPool([]), pools.Pool):
        with pytest.raises(pdna.ArgumentTypeError, match=re.escape(RAY)):
            parallel.worker_count(None, value)
