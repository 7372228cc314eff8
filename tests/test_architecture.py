"""The structure of the package: size, names, imports without cycles, and the words of the field.

Layers and forbidden imports are contracts of import-linter, in pyproject.toml.
"""

import ast
import inspect
import re
import sys
import threading
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from conftest import JIT_OFF, ROOT

import photodna_nb as pdna

PACKAGE = ROOT / "photodna_nb"
# Only a feature raises the first and the last number, and nothing raises the other.
MOST_LINES_OF_CODE = 27_600
MOST_LINES_OF_A_MODULE = 450
MOST_MODULES_OF_AN_EVALUATION = 99

# Metaphors that the code once had, and the names of quantities that no other statistician uses.
RETIRED_WORDS = {
    "alike",
    "bearable",
    "filed",
    "foretold",
    "heaviest",
    "house",
    "lag",
    "lots",
    "renew",
    "road",
    "roads",
    "seal",
    "shelf",
    "stripe",
    "summarised",
    "told",
    "untested",
    "ways",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def lines_of_code(source: str) -> int:
    """Return the number of lines without blank lines, comments and docstrings."""
    lines = source.splitlines()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        node.body[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
    ]
    without_code = [line for line in lines if not line.strip() or line.strip().startswith("#")]
    in_docstrings = [
        line.strip()
        for docstring in docstrings
        for line in lines[docstring.lineno - 1 : docstring.end_lineno]
    ]
    n_blank_in_docstrings = sum(not line or line.startswith("#") for line in in_docstrings)
    return len(lines) - len(without_code) - len(in_docstrings) + n_blank_in_docstrings


def class_names(trees: dict[str, ast.Module]) -> list[str]:
    return [
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]


def identifiers(tree: ast.Module) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return names | {node.name for node in ast.walk(tree) if isinstance(node, defined)}


def words(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def imported_modules(tree: ast.Module, modules: set[str]) -> set[str]:
    """Return which of our modules a module names in its imports, for type checkers included."""
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            named |= {
                full if (full := f"{node.module}.{alias.name}") in modules else node.module
                for alias in node.names
            }
    return named & modules


def check_cycles(trees: dict[str, ast.Module]) -> None:
    """Raise CycleError, which names the modules, if imports go round in a circle."""
    modules = set(trees)
    graph = {name: imported_modules(tree, modules) - {name} for name, tree in trees.items()}
    TopologicalSorter(graph).prepare()


def test_every_module_is_read():
    assert len(SOURCES) >= 50


def test_no_two_classes_share_a_name():
    repeated = [name for name, number in Counter(class_names(TREES)).items() if number > 1]
    assert repeated == []


def test_modules_are_short():
    lengths = {name: source.count("\n") for name, source in SOURCES.items()}
    assert [name for name, n in lengths.items() if n > MOST_LINES_OF_A_MODULE] == []


def test_lines_of_code():
    assert (
        lines_of_code('"""Text.\n\nMore."""\n\n# why\nx = 1\n\n\ndef f():\n    """Text."""\n') == 2
    )
    assert sum(map(lines_of_code, SOURCES.values())) <= MOST_LINES_OF_CODE


def test_imports_have_no_cycles():
    check_cycles(TREES)


@pytest.mark.parametrize(
    "source",
    [
        "from photodna_nb.cli import options",
        "import photodna_nb.cli.options",
        "if TYPE_CHECKING:\n    from photodna_nb.cli.options import MODES",
        "def f():\n    from photodna_nb.cli.options import MODES",
    ],
)
def test_a_cycle_is_noticed(source):
    cycle = {
        "photodna_nb.cli.options": ast.parse("from photodna_nb import errors"),
        "photodna_nb.errors": ast.parse(source),
    }
    with pytest.raises(CycleError):
        check_cycles(cycle)


@pytest.mark.parametrize("name", SOURCES)
def test_identifiers_have_the_words_of_the_field(name):
    retired = {one for one in identifiers(TREES[name]) if words(one) & RETIRED_WORDS}
    assert retired == set()


def test_a_retired_word_is_noticed():
    for source in (
        "road = 1",
        "def the_road(): ...",
        "class TheRoad: ...",
        "a.road",
        "f = lambda road: 1",
    ):
        assert any(words(one) & RETIRED_WORDS for one in identifiers(ast.parse(source))), source
    assert not any(words(one) & RETIRED_WORDS for one in ("broad", "always", "flag", "sealion"))


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="the same modules with or without JIT, but slowly")
def test_an_evaluation_passes_through_few_modules(tmp_path, monkeypatch):
    """From configuration to report: modules with a function that runs, and the kernels."""
    configuration = tmp_path / "evaluation.toml"
    text = (ROOT / "data" / "evaluation.toml").read_text(encoding="utf-8")
    assert "number = 1000" in text
    configuration.write_text(text.replace("number = 1000", "number = 30"))

    def evaluate(run_folder):
        pdna.report.write(pdna.evaluation.run(configuration, run_folder, max_workers=1))

    evaluate(tmp_path / "imports")  # imports, and their decorators, are not what is counted
    files = set()

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED:  # no class body
            files.add(code.co_filename)

    previous = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        evaluate(tmp_path / "run")
    finally:
        sys.setprofile(previous)
        threading.setprofile(None)
    python = {Path(file) for file in files if file.endswith(".py")}
    modules = {module_name(path) for path in python if path.is_relative_to(PACKAGE)}
    compiled = {f"photodna_nb.kernels.{name}" for name in ("dead_leaves", "distance", "hashing")}
    assert compiled <= set(SOURCES)
    modules |= compiled
    assert len(modules) <= MOST_MODULES_OF_AN_EVALUATION, "\n".join(sorted(modules))
