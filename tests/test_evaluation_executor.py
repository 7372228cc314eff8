"""Evaluations on an executor: the same bytes, workers that are killed, and refusals."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import brute_force as brute
import pytest
from conftest import JIT_OFF, local_cluster, needs, spawned_processes
from evaluations import DRAWN, EDITS, config_of, contents, photo_config

import photodna_nb as pdna
from photodna_nb import parallel
from photodna_nb.evaluation import compare, impostor_counting, run
from photodna_nb.journal import RecordLog

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

MANY = config_of(
    originals={**DRAWN["originals"], "number": 60},
    variants={"transforms": EDITS[:3]},
    hash={"names": ["photodna", brute.BRIGHT]},
)


class Recorder(ThreadPoolExecutor):
    """Threads that list which functions they are given."""

    def __init__(self):
        super().__init__(2)
        self.submitted = []

    def submit(self, task, function, *arguments):
        self.submitted.append(repr(function))
        return super().submit(task, function, *arguments)

    def has(self, name):
        return any(name in function for function in self.submitted)


@pytest.mark.parametrize("sent", [0, 10**9])
def test_what_leaves_the_machine(photos, tmp_path, monkeypatch, sent):
    """Hashing, counting if the pairs are many, and the estimates; the bytes are the same."""
    run(photo_config(photos), tmp_path / "here")
    monkeypatch.setattr(impostor_counting, "_SENT_PAIRS", sent)
    with Recorder() as executor:
        results = run(photo_config(photos), tmp_path / "there", executor=executor)
        assert contents(tmp_path / "there") == contents(tmp_path / "here")
        assert [executor.has(name) for name in ("hash_original_if_changed", "estimate_rates")] == [
            True
        ] * 2
        assert executor.has("_count_block") == (sent == 0)
        assert executor.has("_pairs_of_block") == (sent == 0)
        assert results.manifest["this_run"]["executor"] == "Recorder"
        executor.submitted.clear()
        found = compare(tmp_path / "here", tmp_path / "there", executor=executor)
        assert executor.has("estimate_rates")
        assert found.as_json() == compare(tmp_path / "here", tmp_path / "there").as_json()
        assert (
            run(photo_config(photos), tmp_path / "there", executor=executor).manifest["this_run"][
                "originals_hashed"
            ]
            == 0
        ), "none was sent back and taken for a new one"


def test_refusals(photos, tmp_path):
    with pytest.raises(pdna.ArgumentTypeError, match="executor: got int, needs a concurrent"):
        run(photo_config(photos), tmp_path / "run", executor=2)
    assert not (tmp_path / "run").exists()
    with pytest.raises(pdna.ArgumentTypeError, match="executor: got str, needs a concurrent"):
        compare(tmp_path, tmp_path, executor="threads")
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(pdna.ArgumentError, match="executor: is shut down; give one that is open"):
        run(photo_config(photos), tmp_path / "run", executor=executor)


@needs("signals")
@pytest.mark.long
def test_a_killed_process(tmp_path, monkeypatch):
    """The run ends with an error, keeps what was hashed, and goes on with another pool."""
    run(MANY, tmp_path / "here")
    monkeypatch.setattr(parallel, "_SECONDS_ELSEWHERE", 0)  # one image a task
    monkeypatch.setattr(impostor_counting, "_SENT_PAIRS", 0)
    append, kept = RecordLog.append, []
    with spawned_processes() as executor:

        def append_and_kill(log, record):
            append(log, record)
            kept.append(record.name)
            if len(kept) == 5:
                os.kill(next(iter(executor._processes)), signal.SIGKILL)

        monkeypatch.setattr(RecordLog, "append", append_and_kill)
        with pytest.raises(pdna.ResourceError, match="executor: a worker ended in the middle"):
            run(MANY, tmp_path / "there", executor=executor)
    with spawned_processes() as executor:
        results = run(MANY, tmp_path / "there", executor=executor)
        changes = compare(tmp_path / "here", tmp_path / "there", executor=executor)
    assert 5 <= 60 - results.manifest["this_run"]["originals_hashed"] < 60
    assert len(set(kept)) == len(kept) == 60, "none was hashed twice"
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert changes.identical


@needs("signals")
@pytest.mark.long
def test_a_cluster_that_loses_a_worker(tmp_path, monkeypatch):
    """Dask goes on with the other one; the bytes are the same."""
    run(MANY, tmp_path / "here")
    monkeypatch.setattr(impostor_counting, "_SENT_PAIRS", 0)
    monkeypatch.setattr(parallel, "_UNKNOWN_WORKERS", 2)
    append, kept = RecordLog.append, []
    with local_cluster() as client:
        victim = next(iter(client.run(os.getpid).values()))

        def append_and_kill(log, record):
            append(log, record)
            kept.append(record.name)
            if len(kept) == 1:
                os.kill(victim, signal.SIGKILL)

        monkeypatch.setattr(RecordLog, "append", append_and_kill)
        run(MANY, tmp_path / "there", executor=client.get_executor())
        assert victim not in client.run(os.getpid).values()
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
