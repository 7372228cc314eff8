"""Without SciPy, all but the evaluation works, and that says what to install."""

import os
import subprocess
import sys

import pytest
from conftest import JIT_OFF, ROOT
from repository import PROJECT

# Modules of the package that may need an extra.
OPTIONAL = ("evaluation", "integrations", "plots", "report", "widgets")

# A Python that does not find SciPy, not even for another package.
BEGINNING = """
import sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *place: (
    None if name.partition(".")[0] == "scipy" else find_spec(name, *place)
)
"""


def run_without_scipy(program, *arguments, **options):
    command = [sys.executable, "-c", BEGINNING + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


WORKFLOWS = """
from photodna_nb.cli import main
import photodna_nb as pdna

pictures = sys.argv[1]
first, second = pictures + "/harbour.jpg", pictures + "/harbour_resized.jpg"
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
assert "scipy" not in sys.modules
"""


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")
def test_everything_but_the_evaluation_works(tmp_path):
    done = run_without_scipy(WORKFLOWS, ROOT / "data" / "pictures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 100


REMEDY = (
    'photodna_nb.evaluation: the package SciPy is missing; pip install "photodna_nb[evaluation]"'
)
IMPORTS = """
import importlib
import photodna_nb as pdna
from photodna_nb.cli import main

assert main(["--evaluate", "c.toml", "run"]) == main(["--compare-runs", "a", "b"]) == 1
for name in sys.argv[1].split():
    importlib.import_module(name)
assert all(getattr(pdna, name) is not None for name in pdna.__all__)
assert "scipy" not in sys.modules
for module in ("evaluation", "evaluation.run", "plots", "report"):
    try:
        importlib.import_module(f"photodna_nb.{module}")
    except ImportError as error:
        assert isinstance(error, pdna.MissingPackageError) and error.name == "scipy"
        print(error)
for attribute in ("evaluation", "plots", "report"):
    try:
        getattr(pdna, attribute)
    except AttributeError as error:
        print(error)
"""


def test_an_evaluation_says_what_to_install(tmp_path):
    """All other modules can be imported, and no kernel is compiled before that is said."""
    paths = (path.relative_to(ROOT) for path in (ROOT / "photodna_nb").rglob("*.py"))
    modules = [
        ".".join(path.with_suffix("").parts)
        for path in paths
        if path.parts[1] not in OPTIONAL and path.stem not in ("__init__", "__main__")
    ]
    assert len(modules) > 100
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = run_without_scipy(IMPORTS, " ".join(modules), cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [REMEDY] * 7
    assert done.stderr.splitlines() == [f"photodna-nb: error: {REMEDY}"] * 2


def test_scipy_comes_with_the_extra_alone():
    extras = PROJECT["optional-dependencies"]
    having = {name for name in extras if any(one.startswith("scipy") for one in extras[name])}
    assert having == {"evaluation"}
    assert not any(one.startswith("scipy") for one in PROJECT["dependencies"])
    assert "photodna_nb[evaluation]" in extras["report"]
