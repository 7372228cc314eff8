"""Files that say the same thing twice stay in step."""

import ast
import re

import pytest
from conftest import ROOT
from repository import PROJECT, PYTHONS, commands, text_of


def wanted() -> list[str]:
    """Requirements of pyproject.toml: Python, the package, its notebooks and tests."""
    extras = PROJECT["optional-dependencies"]

    def of(extra: str) -> set[str]:
        """What an extra needs, those that it names included."""
        own = [one for one in extras[extra] if one.startswith("photodna_nb[")]
        named = [name for one in own for name in one[len("photodna_nb[") : -1].split(",")]
        return (set(extras[extra]) - set(own)).union(*map(of, named))

    python = "python" + PROJECT["requires-python"]
    not_on_conda_forge = of("jxl")  # tests of JPEG XL are skipped without it
    every = {python, *PROJECT["dependencies"], *of("notebooks"), *of("test")}
    return sorted(every - not_on_conda_forge)


def listed(environment: str) -> list[str]:
    """Every line under `dependencies` of an environment.yml but pip, which installs the package."""
    _, dependencies = environment.split("dependencies:\n")
    lines = dependencies.splitlines()
    assert lines[-1] == "  - pip"
    return sorted(line.removeprefix("  - ") for line in lines[:-1])


def test_environment_yml_is_in_step():
    environment = text_of("environment.yml")
    assert listed(environment) == wanted()
    assert len(wanted()) >= 10
    assert "channels:\n  - conda-forge\ndependencies:\n" in environment


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("numba>=0.61", "numba>=0.60"),
        ("  - pillow>=13.0\n", ""),
        ("  - pytest>=8.2\n", "  - pytest>=8.2\n  - scipy\n"),
        ("  - pytest>=8.2\n", "  - pytest>=8.2\n  - opencv4>=1\n"),
        ("  - pytest>=8.2\n", "  - pytest>=8.2\n  - pytest>=8.2\n"),
    ],
)
def test_a_wrong_copy_is_noticed(before, after):
    environment = text_of("environment.yml")
    assert before in environment
    assert listed(environment.replace(before, after)) != wanted()


def test_every_python_of_the_classifiers_was_run():
    """In the table of docs/installation.md, and none of the README's tests failed."""
    page = text_of("docs/installation.md")
    runs = re.findall(r"^\| (3\.\d+)\.\d+ \|.* `pytest` \| \d+ \| \d+ \| 0 \|", page, re.MULTILINE)
    assert sorted({*runs}) == sorted(PYTHONS)
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_ci_runs_what_is_written_down():
    """The README's test command, and every daily command of CONTRIBUTING.md."""
    ci = text_of(".ci/run")
    (test_command,) = re.findall(r"^.*-m pytest$", text_of("README.md"), re.MULTILINE)
    assert test_command in ci
    daily = commands(text_of("CONTRIBUTING.md"))
    # The first one is .ci/run's own; the README's test command above is the same as pytest.
    for done in ("python3 -m venv .venv && . .venv/bin/activate", "pytest"):
        daily.remove(done)
    assert len(daily) >= 7
    for command in daily:
        assert re.search(f"^{re.escape(command)}$", ci, re.MULTILINE), command


def without_marker(source: str) -> list[str]:
    """Return the names of tests that repeat something by the scale, and have no marker for CI."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if any(ast.unparse(part).startswith(("scaled(", "TEST_SCALE")) for part in ast.walk(node))
        if "pytest.mark.scaled" not in map(ast.unparse, node.decorator_list)
    ]


@pytest.mark.long
def test_scaled_tests_have_their_marker():
    missing = {
        path.name: names
        for path in (ROOT / "tests").glob("test_*.py")
        if (names := without_marker(path.read_text(encoding="utf-8")))
    }
    assert missing == {}


def test_a_missing_marker_is_noticed():
    test = "def test_it():\n    for _ in range(scaled(1, 9)): ..."
    assert without_marker(test) == ["test_it"]
    assert without_marker(f"@pytest.mark.scaled\n{test}") == []
