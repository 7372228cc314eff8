"""Measure what an installation weighs and how long it takes, now and at an earlier commit.

    python tests/benchmarks/sizes.py --before 2100bbc [--extras report heif] [--repeats 7]

Each environment is new: `python -m venv`, then `pip install` of a commit. A copy of it gets one
extra. Its weight is that of all its files, compiled modules included, without pip and setuptools.
What a package weighs is what pip recorded of it. Times are medians of the two commits in turn, of
the clock and of processors; the second one hardly depends on what else the machine does. pip
installs from wheels in a folder, so that no network is part of its time. `--repeats 0` leaves the
times out, `--no-sizes` the sizes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

from measuring import heading, markdown, shown

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "data" / "pictures" / "harbour.jpg"
INSTALLERS = ("pip", "setuptools")
Call = Callable[[], object]
LARGEST = 4  # packages that are named for each extra


class Commit(NamedTuple):
    """The files of a commit, its extras, and its wheel beside the wheels that it needs."""

    folder: Path
    extras: dict[str, list[str]]
    wheel: Path

    def install(self, environment: Path) -> None:
        """Install the package into an environment, without a network."""
        found = ("--no-index", "--find-links", self.wheel.parent, self.wheel)
        run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", *found)

    def add(self, environment: Path, extra: str) -> None:
        """Install an extra into an environment that has the package."""
        python = environment / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", f"{self.wheel}[{extra}]")


def run(*command: object, **environment: object) -> None:
    """Run a command quietly; its errors are printed."""
    variables = os.environ | {name: str(value) for name, value in environment.items()}
    variables.pop("PYTHONPATH", None)
    arguments = list(map(str, command))
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env=variables, cwd="/")


def prepared(commit: str, folder: Path) -> Commit:
    """Write the files of a commit into a new folder, and build its wheel."""
    folder.mkdir()
    run("git", "-C", ROOT, "archive", "--output", folder / "files.tar", commit)
    shutil.unpack_archive(folder / "files.tar", folder / "source", filter="data")
    project = tomllib.loads((folder / "source" / "pyproject.toml").read_text("utf-8"))["project"]
    wheels = folder / "wheels"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, folder / "source")
    (wheel,) = wheels.glob("photodna_nb-*.whl")
    return Commit(folder, project["optional-dependencies"], wheel)


def new_environment(folder: Path) -> Path:
    """Make an environment in place of what is in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", folder)
    return folder


def weights(environment: Path) -> dict[str, int]:
    """Return the bytes of each package of an environment, and those of all files as ``""``."""
    (site,) = environment.glob("lib/python*/site-packages")
    found = {}
    for package in distributions(path=[str(site)]):
        paths = (str(package.locate_file(file)) for file in package.files or ())
        found[package.name] = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
    files = [path for path in environment.rglob("*") if not path.is_symlink() and path.is_file()]
    found[""] = sum(path.stat().st_size for path in files)
    return found


def total(found: dict[str, int]) -> int:
    """Return the bytes of an environment without its installers; 0 where there is none."""
    return found.get("", 0) - sum(found.get(name, 0) for name in INSTALLERS)


def megabytes(size: int) -> str:
    """Return a number of bytes in millions; an empty text for 0."""
    return "" if not size else f"{size / 1e6:,.{1 if size < 1e6 else 0}f}"


# Sizes.


def measure_sizes(commits: dict[str, Commit], extras: list[str]) -> None:
    """Print what the package alone and with each extra weighs, and the packages of each."""
    base = {}
    for name, commit in commits.items():
        environment = new_environment(commit.folder / "base")
        commit.install(environment)
        base[name] = weights(environment)
    rows = [["none", *(megabytes(total(found)) for found in base.values()), "", ""]]
    for extra in extras:
        sizes = [with_extra(commit, extra) for commit in commits.values()]
        now, alone = sizes[-1], base["now"]
        added = {one: now[one] for one in now.keys() - alone.keys()}
        largest = sorted(added, key=lambda one: -added[one])[:LARGEST]
        rows.append(
            [
                f"`{extra}`",
                *(megabytes(total(found)) for found in sizes),
                megabytes(total(now) - total(alone) if now else 0),
                ", ".join(f"{one} {megabytes(added[one])}" for one in largest),
            ]
        )
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print(markdown(["extra", *commits, "it adds", "the largest that it adds"], rows))
    for name, found in base.items():
        print(f"\npip and setuptools, {name}: {megabytes(found[''] - total(found))}")
    packages = sorted({one for found in base.values() for one in found} - {"", *INSTALLERS})
    packages.sort(key=lambda one: -max(found.get(one, 0) for found in base.values()))
    rows = [[one, *(megabytes(found.get(one, 0)) for found in base.values())] for one in packages]
    print("\n" + markdown(["package", *commits], rows), flush=True)


def with_extra(commit: Commit, extra: str) -> dict[str, int]:
    """Return the weights with an extra; empty where there is none, or it cannot be installed."""
    if extra not in commit.extras:
        return {}
    environment = commit.folder / "extra"
    shutil.copytree(commit.folder / "base", environment, symlinks=True, copy_function=os.link)
    try:
        commit.add(environment, extra)
        return weights(environment)
    except subprocess.CalledProcessError:
        return {}
    finally:
        shutil.rmtree(environment)


# Times.


def measure_times(commits: dict[str, Commit], repeats: int) -> None:
    """Print the median seconds of an installation, an import and some calls, in turn."""
    calls = {name: calls_of(commit) for name, commit in commits.items()}
    rows = []
    for work in calls["now"]:
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(repeats):
            for name in calls:
                prepare, call = calls[name][work]
                prepare()
                spent[name].append(seconds(call))
        medians = [map(statistics.median, zip(*times, strict=True)) for times in spent.values()]
        rows.append([work, *(" / ".join(map(shown, both)) for both in medians)])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print("\n" + markdown([f"clock / processors, median of {repeats}", *commits], rows))


def seconds(call: Call) -> tuple[float, float]:
    """Return the seconds that a call of other programs takes: of the clock, and of processors."""
    before, start = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    call()
    elapsed, after = time.perf_counter() - start, getrusage(RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def calls_of(commit: Commit) -> dict[str, tuple[Call, Call]]:
    """Return what is measured of a commit, each with what is done before it."""
    environment = new_environment(commit.folder / "timed")
    commit.install(environment)
    python, program = environment / "bin" / "python", environment / "bin" / "photodna-nb"
    warm, cold, new = (commit.folder / name for name in ("warm", "cold", "new"))

    def nothing() -> None:
        pass

    def hashed(cache: Path) -> None:
        run(program, "--hash", IMAGE, NUMBA_CACHE_DIR=cache)

    hashed(warm)
    return {
        "`pip install`, from wheels in a folder": (
            lambda: new_environment(new),
            lambda: commit.install(new),
        ),
        "`python -c pass`": (nothing, lambda: run(python, "-c", "pass")),
        "`import photodna_nb`": (nothing, lambda: run(python, "-c", "import photodna_nb")),
        "`photodna-nb --version`": (nothing, lambda: run(program, "--version")),
        "`photodna-nb --hash IMAGE`": (nothing, lambda: hashed(warm)),
        "the same, kernels not in the cache": (
            lambda: shutil.rmtree(cold, ignore_errors=True),
            lambda: hashed(cold),
        ),
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", help="an earlier commit to compare with")
    parser.add_argument("--extras", nargs="*", help="those to measure; all of them if not given")
    parser.add_argument("--repeats", type=int, default=7, help="of each time; 0 for none")
    parser.add_argument("--no-sizes", action="store_true", help="only times")
    given = parser.parse_args()
    print(heading(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        before = {"before": given.before} if given.before else {}
        commits = {
            label: prepared(commit, Path(name) / label)
            for label, commit in (before | {"now": "HEAD"}).items()
        }
        if not given.no_sizes:
            extras = commits["now"].extras
            measure_sizes(commits, list(extras) if given.extras is None else given.extras)
        if given.repeats:
            measure_times(commits, given.repeats)


if __name__ == "__main__":
    main()
