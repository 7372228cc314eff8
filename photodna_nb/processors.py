"""The number of processors that this process may use: affinity, and quotas of control groups."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath


def available_processors() -> int:
    """Return the number of processors that this process may use, at least 1.

    A batch system or ``taskset`` may grant fewer than the machine has, and a container a share
    of their time: a quota of 1.5 processors counts as 2.
    """
    if hasattr(os, "sched_getaffinity"):
        granted = len(os.sched_getaffinity(0))
    else:
        granted = os.cpu_count() or 1
    return max(1, math.ceil(min(granted, processor_quota())))


@cache
def processor_quota(root: str = "/") -> float:
    """Return how many processors the control groups of this process grant; infinity without one.

    The smallest quota counts, of its own group and of those above it, in version 2
    (``cpu.max``) and version 1 (``cpu.cfs_quota_us``). It is read once.

    Parameters
    ----------
    root : str
        Folder that contains ``proc`` and what is mounted, for tests.
    """
    groups = list(_groups(Path(root)))
    return min((quota for group in groups for quota in _quotas(group)), default=math.inf)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the groups of this process, and of those above them."""
    try:
        memberships = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text("utf-8").splitlines()
    except (OSError, ValueError):  # another system than Linux
        return
    paths = {}  # of each kind of mount, as "cgroup2", or "cgroup" with the processor's controller
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            paths["cgroup" if controllers else "cgroup2"] = path
    for line in mounts:
        fields, _, described = line.partition(" - ")
        kind, _, options = described.split(" ", 2)
        if kind in paths and (kind == "cgroup2" or "cpu" in options.split(",")):
            mounted, mount_point = map(_unescaped, fields.split(" ")[3:5])
            with suppress(ValueError):  # outside of what is mounted; then its root is all to see
                group = PurePosixPath(paths[kind]).relative_to(mounted)
                if ".." not in group.parts:
                    for above in (group, *group.parents):
                        yield root / mount_point.lstrip("/") / above
            yield root / mount_point.lstrip("/")


def _unescaped(field: str) -> str:
    r"""Return a name of mountinfo, in which a space is the text ``\040``."""
    return field.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")


def _quotas(group: Path) -> Iterator[float]:
    """Yield the quotas of a group that has any."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text("utf-8").split()
        yield int(quota) / int(period)  # a ValueError where the quota is "max"
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota_us = int((group / "cpu.cfs_quota_us").read_text("utf-8"))
        if quota_us > 0:  # -1 without one
            yield quota_us / int((group / "cpu.cfs_period_us").read_text("utf-8"))
