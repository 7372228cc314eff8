"""Ordered work on threads or an executor: bounded, in order, cancelled when it is closed."""

import pkgutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from photodna_nb import kernels, parallel


def test_pending_work_is_bounded():
    drawn = 0

    def items():
        nonlocal drawn
        while drawn < 100_000:
            drawn += 1
            yield drawn

    def slow(item):
        time.sleep(0.01)
        return item

    for work, tasks in ((slow, 1), (int, parallel._ITEMS_PER_TASK)):
        drawn = 0
        results = parallel.ordered_map(work, items(), max_workers=3)
        for number in range(1, 101):
            assert next(results) == number
            assert drawn <= number + 4 * 3 * tasks
        results.close()
        assert drawn < 100 + 5 * 3 * tasks


def test_an_error_ends_the_results_and_the_work():
    results = parallel.ordered_map(lambda item: 1 / item, [4, 2, 0, *range(1, 1000)], max_workers=1)
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_a_task_that_takes_long_is_cut_and_the_order_kept(monkeypatch):
    """As when slow files follow fast ones, by whose speed the task was sized."""
    honest = parallel._run
    assert honest(str, [1, 2, 3], -1)[0] == ["1"]
    assert honest(str, [1, 2, 3], 60)[0] == ["1", "2", "3"]
    cut = []

    def run(function, task, max_seconds):
        cut.append(len(task) > 1)
        return honest(function, task, -1)

    monkeypatch.setattr(parallel, "_run", run)
    expected = list(map(str, range(500)))
    assert list(parallel.ordered_map(str, range(500), max_workers=3)) == expected
    assert any(cut)


def test_tasks_that_have_not_begun_are_cancelled():
    begun = []
    release = threading.Event()

    def work(item):
        begun.append(item)
        if item:
            release.wait(30)
        return item

    with ThreadPoolExecutor(1) as executor:
        results = parallel.ordered_map(work, iter(range(100)), max_workers=1, executor=executor)
        assert next(results) == 0
        results.close()
        release.set()
    assert begun in ([0], [0, 1])


def test_threads_import_kernels_at_once():
    """In a new program, whose threads begin with different modules, and so parts of Numba."""
    modules = sorted(module.name for module in pkgutil.iter_modules(kernels.__path__))
    program = f"""
import sys, threading
from importlib import import_module
modules = {modules}
barrier = threading.Barrier(len(modules))
def load(name):
    barrier.wait()
    import_module("photodna_nb.kernels." + name)
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=load, args=(name,)) for name in modules]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
