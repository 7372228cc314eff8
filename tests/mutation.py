"""Change the code in small ways, and count which changes the tests notice: mutation testing.

    python tests/mutation.py                  # all targets: some hours
    python tests/mutation.py metrics --every 10 --show

mutmut changes a copy of the repository in build/mutation. It leaves functions with a decorator
alone; kernels are therefore tested without their decorator, which does nothing when JIT is off.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutation"
# Mutants have numbers; a sample is those whose number ends in certain digits.
LAST_DIGITS = {1: "*", 2: "*[13579]", 5: "*[16]", 10: "*1"}
WITHOUT_PROCESSES = "not cluster and not processes"
NOTICED = ("killed", "timeout", "segfault")


class Target(NamedTuple):
    """Modules, and the tests that are to notice a change in them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    jit: bool = True


TARGETS = {
    "hashing": Target(("kernels/hashing.py",), ("test_hashing.py", "test_golden.py"), jit=False),
    "filter": Target(("kernels/filter.py",), ("test_filter.py", "test_search.py"), jit=False),
    "search": Target(
        (
            "pairs/projection.py",
            "pairs/search_tree.py",
            "pairs/filter_search.py",
            "pairs/neighbour_search.py",
            "pairs/search.py",
        ),
        ("test_filter.py", "test_search.py"),
    ),
    "metrics": Target(("pairs/metrics.py",), ("test_distances.py",)),
    "tables": Target(("tables/*.py",), ("test_table.py",)),
    "intervals": Target(("evaluation/intervals.py",), ("test_intervals.py",)),
    "dependence": Target(
        ("evaluation/dependence.py",), ("test_dependence.py", "test_intervals.py")
    ),
    "tail": Target(("evaluation/tail*.py",), ("test_tail.py", "test_thresholds.py")),
    "thresholds": Target(("evaluation/thresholds.py",), ("test_thresholds.py",)),
}


def copy_repository(target: Target) -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listing.stdout.split("\0")):
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, COPY / name)
    tests = [f"tests/{name}" for name in target.tests]
    settings = {
        "source_paths": ["photodna_nb"],
        "only_mutate": [f"photodna_nb/{name}" for name in target.modules],
        "also_copy": ["data", "docs", "README.md", "pyproject.toml"],
        # Other processes would be children of mutmut, which waits for all its children.
        "pytest_add_cli_args": ["-n", "0", "-p", "no:cacheprovider", "-k", WITHOUT_PROCESSES],
        "pytest_add_cli_args_test_selection": tests,
    }
    with (COPY / "pyproject.toml").open("a") as file:
        print(
            "\n[tool.mutmut]",
            *(f"{key} = {value}" for key, value in settings.items()),
            sep="\n",
            file=file,
        )
    if not target.jit:
        for name in target.modules:
            path = COPY / "photodna_nb" / name
            path.write_text(re.sub(r"^@kernel\n", "", path.read_text("utf-8"), flags=re.MULTILINE))


def mutmut(*arguments: str, jit: bool = True) -> str:
    """Return what a command of mutmut prints."""
    environment = dict(os.environ) | ({} if jit else {"NUMBA_DISABLE_JIT": "1"})
    environment.pop("PYTHONPATH", None)  # the copy is what is imported
    command = [sys.executable, "-m", "mutmut", *arguments]
    result = subprocess.run(
        command, cwd=COPY, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"mutmut {arguments[0]} failed:\n{result.stdout[-3000:]}")
    return result.stdout


def run(target: Target, every: int, jobs: int, show: bool) -> None:
    copy_repository(target)
    mutmut("run", "--max-children", str(jobs), f"*__mutmut_{LAST_DIGITS[every]}", jit=target.jit)
    statuses = defaultdict(Counter)
    survivors = []
    for name, status in re.findall(
        r"^ +(\S+__mutmut_\d+): (.*)$", mutmut("results", "--all", "true"), re.M
    ):
        module = name.removeprefix("photodna_nb.").rpartition(".")[0]
        statuses[module][status] += 1
        if status not in (*NOTICED, "not checked"):
            survivors.append(name)
    for module, counts in sorted(statuses.items()):
        n_checked = counts.total() - counts["not checked"]
        n_noticed = sum(counts[status] for status in NOTICED)
        print(
            f"{module}: {n_noticed} of {n_checked} mutants noticed ({n_noticed / n_checked:.1%}), "
            f"of {counts.total()} in all; {dict(counts)}",
            flush=True,
        )
    for name in survivors:
        print(mutmut("show", name) if show else f"  not noticed: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument(
        "--every", type=int, default=1, choices=LAST_DIGITS, help="of N mutants, one"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--show", action="store_true", help="print each change that no test noticed"
    )
    arguments = parser.parse_args()
    for name in arguments.targets or TARGETS:
        run(TARGETS[name], arguments.every, arguments.jobs, arguments.show)


if __name__ == "__main__":
    main()
