"""The tests that docs/security.md names exist, and every claim of its tables names one."""

import ast
import re

from conftest import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CLAIMS = [
    line.strip("|").rsplit("|", 1)
    for line in PAGE.splitlines()
    if line.startswith("|") and line not in ("|---|---|", "| what it cannot do | shown by |")
]


def named(cell):
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", cell)


def test_each_claim_names_its_tests():
    assert len(CLAIMS) >= 20
    for claim, tests in CLAIMS:
        assert named(tests), claim
        rest = re.sub(r"`test_\w+\.py::test_\w+`", "", tests)
        assert not rest.strip(" ,"), f"{claim}: {rest} is no test"


def test_each_test_that_is_named_exists():
    for claim, tests in CLAIMS:
        for file, name in named(tests):
            tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{claim}: {file} has no {name}"


def test_the_page_is_linked():
    for name in ("README.md", "docs/durability.md", "docs/evaluation.md"):
        assert "security.md" in (ROOT / name).read_text(encoding="utf-8"), name
