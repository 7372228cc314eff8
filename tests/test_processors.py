"""Quotas of control groups, in folders that look like those of containers."""

import math
import os

import faiss
import pytest

from photodna_nb import parallel, processors
from photodna_nb.index.faiss_search import faiss_threads

MOUNTED_2 = "30 23 0:28 / {at} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
MOUNTED_1 = "32 31 0:29 {root} {at} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
OTHER_1 = "33 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
AT = "/sys/fs/cgroup"


def system(folder, cgroup, mountinfo, **files):
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(cgroup)
    (folder / "proc/self/mountinfo").write_text(mountinfo)
    for name, content in files.items():
        path = folder / AT.lstrip("/") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder)


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files", "expected"),
    [
        ("0::/\n", MOUNTED_2.format(at=AT), {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", MOUNTED_2.format(at=AT), {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", MOUNTED_2.format(at=AT), {"cpu.max": "broken\n"}, math.inf),
        ("0::/\n", MOUNTED_2.format(at=AT), {"cpu.max": "5 0\n"}, math.inf),
        ("0::/\n", MOUNTED_2.format(at=AT), {}, math.inf),
        (
            "0::/a/b/c\n",
            MOUNTED_2.format(at=AT),
            {
                "cpu.max": "9 1",
                "a/cpu.max": "2 1",
                "a/b/cpu.max": "3 1",
                "a/b/c/cpu.max": "max 1",
                "a/b/d/cpu.max": "1 1",
            },
            2,
        ),
        # The group of a process that was moved away from the container's own.
        ("0::/../other\n", MOUNTED_2.format(at=AT), {"cpu.max": "4 1"}, 4),
        (
            "5:memory:/x\n4:cpu,cpuacct:/a:b\n0::/\n",
            OTHER_1 + MOUNTED_1.format(root="/", at=f"{AT}/cpu"),
            {
                "cpu/a:b/cpu.cfs_quota_us": "250000\n",
                "cpu/a:b/cpu.cfs_period_us": "100000\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/x/cpu.cfs_quota_us": "1\n",
                "memory/x/cpu.cfs_period_us": "1\n",
            },
            2.5,
        ),
        # A container sees the folder of its group as the root of what is mounted.
        (
            "4:cpu,cpuacct:/docker/1f\n",
            MOUNTED_1.format(root="/docker/1f", at=f"{AT}/c\\040d"),
            {"c d/cpu.cfs_quota_us": "50000", "c d/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        (
            "4:cpu,cpuacct:/docker/1f/below\n",
            MOUNTED_1.format(root="/docker/1f", at=f"{AT}/cpu"),
            {"cpu/below/cpu.cfs_quota_us": "3", "cpu/below/cpu.cfs_period_us": "1"},
            3,
        ),
        (
            "4:cpu,cpuacct:/docker/1f\n",
            MOUNTED_1.format(root="/elsewhere", at=f"{AT}/cpu"),
            {"cpu/cpu.cfs_quota_us": "3", "cpu/cpu.cfs_period_us": "1"},
            3,
        ),
        # Both versions at once: the controller is in one of them.
        (
            "4:cpu:/a\n0::/b\n",
            MOUNTED_1.format(root="/", at=f"{AT}/cpu") + MOUNTED_2.format(at=f"{AT}/unified"),
            {
                "cpu/a/cpu.cfs_quota_us": "7",
                "cpu/a/cpu.cfs_period_us": "1",
                "unified/b/cpu.max": "6 1",
            },
            6,
        ),
    ],
)
def test_the_smallest_quota_of_the_groups_counts(tmp_path, cgroup, mountinfo, files, expected):
    assert processors.processor_quota(system(tmp_path, cgroup, mountinfo, **files)) == expected


def test_systems_without_control_groups(tmp_path):
    assert processors.processor_quota(str(tmp_path)) == math.inf
    assert processors.processor_quota() > 0


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [(1.5, 8, 2), (0.2, 8, 1), (math.inf, 8, 8), (4.0, 2, 2), (3.0, 8, 3)],
)
def test_threads_are_as_many_as_the_quota_grants(monkeypatch, quota, affinity, expected):
    monkeypatch.setattr(processors, "processor_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    assert parallel.worker_count(None, None) == expected
    assert parallel.worker_count(5, None) == 5, "what the caller says"
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(16)
    try:
        with faiss_threads():
            assert faiss.omp_get_max_threads() == expected
        with faiss_threads(5):
            assert faiss.omp_get_max_threads() == 5
        assert faiss.omp_get_max_threads() == 16
    finally:
        faiss.omp_set_num_threads(before)
