"""The number of threads of FAISS: one in a forked process, where more would wait for ever."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# OpenMP, on which FAISS runs, keeps its threads for the next parallel region. A forked child has
# the record of them and not the threads, and waits for ever; with one thread there is no such
# region. A child may import this module first, and FAISS may have been there before the fork.
_FORKED = type(multiprocessing.current_process()).__name__ == "ForkProcess"
_PROCESS = 0 if _FORKED and "faiss" in sys.modules else os.getpid()


@contextmanager
def faiss_threads(number: int | None = None) -> Iterator[None]:
    """Run FAISS on so many threads, its own number by default, and on one after a fork."""
    import faiss

    before = faiss.omp_get_max_threads()
    threads = 1 if os.getpid() != _PROCESS else number or before
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        if os.getpid() == _PROCESS:
            faiss.omp_set_num_threads(before)
