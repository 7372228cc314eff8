"""Without SciPy, all but the evaluation works, and that says what to install."""

import pkgutil
import subprocess
import sys
import tomllib

import pytest
from conftest import JIT_OFF, ROOT

import photodna_nb

# Modules of the package that may need an extra.
OPTIONAL = ("evaluation", "integrations", "plots", "report", "widgets")

# A Python in which SciPy cannot be imported, not even by another package.
BEGINNING = """
import sys


class Refusing:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "scipy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Refusing)
"""


def run_without_scipy(program, *arguments, cwd=None):
    command = [sys.executable, "-c", BEGINNING + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


WORKFLOWS = """
import importlib
import json
from photodna_nb.cli import main
import photodna_nb as pdna

pictures, optional, modules = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
first, second = pictures + "/harbour.jpg", pictures + "/harbour_resized.jpg"
for name in modules:
    if name.split(".")[1] not in optional:
        importlib.import_module(name)
pair = "i.faiss", "m.json"
for arguments in (
    ["--hash", first],
    ["--hash-dir", pictures, "--output", "known.csv"],
    ["--compare", first, second, "--orientations"],
    ["--duplicates", pictures, "--orientations"],
    ["--match", "known.csv", first],
    ["--faiss-build", *pair, first],
    ["--faiss-add", *pair, second],
    ["--faiss-query", *pair, second, "2", "--max-distance", "100"],
    ["--faiss-sync", *pair, pictures],
    ["--faiss-list", *pair],
    ["--faiss-verify", *pair],
    ["--faiss-rebuild", *pair],
    ["--evaluate-example"],
    ["--version"],
    ["--help"],
):
    status = main(arguments)
    print(*arguments, status, file=sys.stderr)
    assert status == 0, arguments
table = pdna.HashTable.load("known.csv")
assert len(table) == len(pdna.nearest(table).distances) == 19
assert pdna.pairs_within(table, max_distance=100) and pdna.duplicates(table)
assert pdna.distance_histogram(table).counts.sum() == 171
assert all(getattr(pdna, name) is not None for name in pdna.__all__)
assert "scipy" not in sys.modules
"""


@pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")
def test_everything_but_the_evaluation_works(tmp_path):
    modules = " ".join(
        module.name for module in pkgutil.walk_packages(photodna_nb.__path__, "photodna_nb.")
        if not module.name.endswith("__main__")
    )  # fmt: skip
    arguments = ROOT / "data" / "pictures", " ".join(OPTIONAL), modules
    done = run_without_scipy(WORKFLOWS, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 100


REMEDY = (
    'photodna_nb.evaluation: the package SciPy is missing; pip install "photodna_nb[evaluation]"'
)
REFUSALS = """
import photodna_nb as pdna
from photodna_nb.cli import main

assert not hasattr(pdna, "evaluation")
for module in ("evaluation", "evaluation.run", "plots", "report"):
    try:
        __import__(f"photodna_nb.{module}")
    except ImportError as error:
        assert isinstance(error, pdna.MissingPackageError) and error.name == "scipy"
        print(error)
for attribute in ("evaluation", "plots", "report"):
    try:
        getattr(pdna, attribute)
    except AttributeError as error:
        print(error)
assert main(["--evaluate", "c.toml", "run"]) == main(["--compare-runs", "a", "b"]) == 1
"""


def test_an_evaluation_says_what_to_install(tmp_path):
    done = run_without_scipy(REFUSALS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [REMEDY] * 7
    said = [line for line in done.stderr.splitlines() if "compiling" not in line]
    assert said == [f"photodna-nb: error: {REMEDY}"] * 2


def test_scipy_comes_with_the_extra_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    having = {name for name in extras if any(one.startswith("scipy") for one in extras[name])}
    assert having == {"evaluation"}
    assert not any(one.startswith("scipy") for one in project["dependencies"])
    assert "photodna_nb[evaluation]" in extras["report"]
