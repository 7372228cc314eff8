"""The README's commands and the tests on other Pythons: the table of docs/installation.md.

python tests/benchmarks/pythons.py ~/.pyenv/versions/3.1[1-9].*/bin
python tests/benchmarks/pythons.py /usr/bin --also "-m long" "-m notebook"   # and more tests

Each folder has a `python3`. With it first on PATH, the commands run word for word in a fresh clone
of what is committed here, and what they print is in .ci/artifacts. Needs the standard library, git
and bash.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".ci" / "artifacts"
PACKAGES = {"NumPy": "numpy", "Numba": "numba", "Pillow": "pillow", "FAISS": "faiss-cpu"}
HEADER = ("Python", *PACKAGES, "tests", "passed", "skipped", "failed", "date", "commit")


def line(cells):
    """Return a line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def counted(path):
    """Return how many tests passed, were skipped and failed, by pytest's --junitxml."""
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sum(any(part.tag in ("failure", "error") for part in case) for case in cases)
    return len(cases) - skipped - failed, skipped, failed


def rows(folder, clone, more, only):
    """Yield a row for each run of the tests with the Python of a folder.

    only: nothing but the installation for the tests, and the further runs.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(clone.parent / "numba"),
    }

    def told(*command):
        done = subprocess.run(
            command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.split()

    (python,) = told("python3", "-c", "import platform; print(platform.python_version())")
    log = LOGS / f"python-{python}.log"
    print(f"Python {python}: {log}", file=sys.stderr)
    commands = re.findall(
        "^python3 -m venv .*", (clone / "README.md").read_text("utf-8"), re.MULTILINE
    )
    use, test = commands[:2]
    first = (test.rpartition(" && ")[0],) if only else (use, "rm -r .venv", test)
    more = [f".venv/bin/python -m pytest {options}" for options in more]
    with log.open("w") as out:
        for number, command in enumerate((*first, *more)):
            results = clone.parent / f"{number}.xml"
            environment["PYTEST_ADDOPTS"] = f"--junitxml={results} -rs"
            print(f"$ {command}", file=out, flush=True)
            shell = ("bash", "-c", command)
            done = subprocess.run(shell, cwd=clone, env=environment, stdout=out, stderr=out)
            if done.returncode and not results.exists():
                raise SystemExit(f"Python {python}: `{command}` failed; see {log}")
            if results.exists():
                of = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
                versions = told(".venv/bin/python", "-c", of, *PACKAGES.values())
                (commit,) = told("git", "rev-parse", "--short=8", "HEAD")
                tests = f"`{command[command.rindex('pytest') :]}`"
                date = datetime.now(UTC).date()
                yield python, *versions, tests, *counted(results), date, commit


def main():
    """Print the table."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="each has a python3")
    parser.add_argument("--also", nargs="+", default=[], help="options of further runs of pytest")
    parser.add_argument("--only", action="store_true", help="these further runs alone")
    asked = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    print(line(HEADER), line("---" for _ in HEADER), sep="\n", flush=True)
    for folder in asked.folders:
        with TemporaryDirectory() as temporary:
            clone = Path(temporary) / "photodna-nb"
            subprocess.run(("git", "clone", "--quiet", ROOT, clone), check=True)
            if (ROOT.parent / "shared").is_dir():
                (clone.parent / "shared").symlink_to((ROOT.parent / "shared").resolve())
            for row in rows(folder.absolute(), clone, asked.also, asked.only):
                print(line(row), flush=True)


if __name__ == "__main__":
    main()
