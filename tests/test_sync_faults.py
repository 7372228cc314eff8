"""Calls of `sync` that are killed, or run at once: see `sync_faults.py`."""

import os
import signal
from collections import Counter
from functools import partial

import index_changes
import pytest
import sync_faults
from conftest import JIT_OFF, needs, scaled
from index_changes import LostError
from indexes import METADATA
from test_durability import killed_at

import photodna_nb as pdna

pytestmark = [
    pytest.mark.skipif(JIT_OFF, reason="needs speed"),
    needs("fork", "signals"),
    pytest.mark.filterwarnings("ignore::photodna_nb.LowDetailWarning"),
]


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


@pytest.mark.scaled
def test_kills_lose_nothing(tmp_path):
    """`python tests/sync_faults.py --kills 200` does the same for longer."""
    n_kills = scaled(2, 200)
    routes = sync_faults.kill_often(tmp_path, n_kills, seed=1)
    seen = sum((route.seen for route in routes), Counter())
    assert seen["kills"] == n_kills
    assert seen["calls completed"] >= 4
    if n_kills >= 16:
        assert seen["met one that had saved"] >= n_kills / 4, "other kills show little"


@pytest.mark.long
def test_kills_notice_a_program_that_reports_too_early(tmp_path):
    route = sync_faults.Route(tmp_path, "meta.sqlite", "flat", 0)
    route.complete()

    def kill_often():
        for _ in range(40):
            route.kill(early=True)

    with pytest.raises(LostError, match="was reported"):
        kill_often()


def test_a_check_notices_each_loss(tmp_path, monkeypatch):
    route = sync_faults.Route(tmp_path, "meta.json", "flat", 0)
    route.complete()
    before = dict(route.reported)
    for path, content in list(before.items())[:1]:
        route.reported = {**before, path: "another hash"}
        route.pictures.contents[path] = "a third one"
        with pytest.raises(LostError, match="was reported"):
            route._check()
        route.pictures.former[path].clear()
        with pytest.raises(LostError, match="never had that hash"):
            route._check()
        route.pictures.former[path].add(content)
        with pdna.HashIndex.open(*route.pair) as index, pytest.raises(LostError, match="differs"):
            sync_faults.check_complete(index, route.pictures)
        route.pictures.contents[path] = content
    route.reported = before
    route._check()
    route.pair[1].unlink()
    with pytest.raises(LostError, match="metadata is gone"):
        route._check()


@pytest.mark.long
def test_killed_between_any_two_steps(tmp_path, meta):
    """Before each call that reaches the disk, of a call that adds, updates and removes."""
    route = sync_faults.Route(tmp_path, meta, "flat", 0)
    steps = []
    while not steps or steps[-1] is not None:
        for _ in range(10):
            route.pictures.change()
        work = partial(sync_faults.sync_and_report, route.pair, route.pictures.folder, "flat")
        output = os.open(os.devnull, os.O_WRONLY)
        # The first steps, and then some of the many of later batches.
        step = len(steps) + 1 if len(steps) < 8 else 8 * len(steps)
        pid = index_changes.in_a_child(partial(killed_at, step, work, output))
        exited = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(output)
        assert exited in (0, -signal.SIGKILL)
        steps.append(step if exited else None)
        route._check()
    assert len(steps) > 5
    route.complete()


@pytest.mark.long
@pytest.mark.scaled
def test_programs_sync_and_read_at_once(tmp_path, meta):
    seen = sync_faults.sync_at_once(tmp_path, meta, 2, 1, scaled(1, 60))
    assert seen["items ever"] > 5
