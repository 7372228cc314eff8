"""What the README and the pages in docs show is what the programs print, and where it says so."""

import doctest
import importlib
import inspect
import json
import re
import shlex
import subprocess

import pytest
from conftest import JIT_OFF, ROOT, needs
from repository import blocks, environment_with_program

HOME = "/home/you/photodna-nb"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}

# With how many examples at least, and of which modes.
CONSOLES = {
    "README.md": (5, ("--duplicates", "--compare", "--faiss-build", "--faiss-query")),
    "docs/command-line.md": (
        23,
        (
            "--duplicates",
            "--match",
            "--faiss-sync",
            "--hash ",
            "--hash-dir",
            "--files-from",
            "--compare",
            "--orientations",
            "--detail",
            "--resume",
            "--faiss-build",
            "--faiss-add",
            "--faiss-query",
            "--faiss-remove",
            "--faiss-convert",
            "--faiss-verify",
            "--faiss-rebuild",
        ),
    ),
    "docs/recipes.md": (
        25,
        ("--duplicates", "--match", "--faiss-sync", "--faiss-verify", "--cache", "--exit-code"),
    ),
}
DOCTESTS = {"README.md": 5, "docs/hash.md": 5, "docs/api.md": 10, "docs/recipes.md": 30}

pytestmark = pytest.mark.skipif(JIT_OFF, reason="says nothing about the kernels")


def examples(text):
    """(command, what it prints), in order."""
    found = []
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def anchors(text):
    """Where a link into the page may lead: headings as in addresses, terms of the glossary."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    names = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return names | set(re.findall(r'<a id="([^"]+)"></a>', text))


def test_every_page_with_examples_is_run():
    assert {name for name, text in TEXTS.items() if examples(text)} == set(CONSOLES)
    assert {name for name, text in TEXTS.items() if ">>> " in text} == set(DOCTESTS)


@needs("sh")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[] if p == "README.md" else pytest.mark.long) for p in CONSOLES],
)
def test_every_command_prints_what_is_shown(page, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    environment = environment_with_program(tmp_path)
    wanted = examples(TEXTS[page])
    least, modes = CONSOLES[page]
    assert len(wanted) >= least
    for command, output in wanted:
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        # On a terminal both come out, what is said of errors last.
        shown = (result.stdout + result.stderr).replace(str(ROOT), HOME)
        shown = shown.replace(str(tmp_path), HOME)  # an image is shown by the name it was given
        shown = re.sub(r"(?m)in \d+\.\d s($|;)", r"in 0.1 s\1", shown)  # the end of a long mode
        assert (shown, result.returncode) == (output, 0), command
    for mode in modes:
        assert any(mode in command for command, _ in wanted), mode


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.long if "recipes" in p else []) for p in DOCTESTS],
)
def test_python_examples(page, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / page), module_relative=False, encoding="utf-8")
    assert result.attempted >= DOCTESTS[page]
    assert result.failed == 0


def test_other_commands_are_spelled_as_the_command_line_takes_them():
    from photodna_nb.cli.parser import SHELLS, parse

    commands = [
        command.strip()
        for text in TEXTS.values()
        for block in blocks(text, "sh")
        for line in block.splitlines()
        for command in line.partition(" #")[0].partition(" > ")[0].split("&&")
    ]
    ours = [
        arguments
        for program, *arguments in map(shlex.split, filter(None, commands))
        if program.endswith("photodna-nb")
    ]
    assert len(ours) >= 6
    for arguments in ours:
        if arguments[0] == "--print-completion":
            assert arguments[1] in SHELLS
        else:
            parse(arguments)  # wrong usage exits


def test_other_python_compiles():
    found = [block for text in TEXTS.values() for block in blocks(text, "python")]
    assert len(found) >= 8
    for block in found:
        compile(block, "docs", "exec")


def test_links_lead_somewhere():
    number = 0
    notebooks = {
        f"notebooks/{path.name}": "\n".join(
            "".join(cell["source"])
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "markdown"
        )
        for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    for name, text in {**TEXTS, **notebooks}.items():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
            page = (ROOT / name).parent / target if target else ROOT / name
            assert page.exists(), f"{name}: {target}"
            if anchor:
                assert anchor in anchors(page.read_text(encoding="utf-8")), f"{name}: #{anchor}"
            number += 1
    assert number >= 300


def test_every_page_is_in_the_readme():
    assert len(PAGES) >= 13
    for page in PAGES:
        if page.parent.name == "docs":
            assert f"](docs/{page.name})" in TEXTS["README.md"], page


def test_numbers_of_speed_are_those_of_the_scripts():
    """The README repeats some of docs/speed.md, which is what the scripts print."""
    section = TEXTS["README.md"].partition("## Speed\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[1:]
    assert len(rows) >= 6
    lines = [line for line in TEXTS["docs/speed.md"].splitlines() if line.startswith("|")]
    for row in rows:
        work, rival, *ratios, script = map(str.strip, row.split("|"))
        assert (ROOT / "tests" / "benchmarks" / script.strip("`")).exists()
        assert script.strip("`") in TEXTS["docs/speed.md"]
        numbers = set(re.findall(r"\d[\d.]*", " ".join(ratios)))
        assert rival
        assert numbers
        of_work = [line for line in lines if line.startswith(f"| {work} | photodna_nb")]
        measured = [set(re.findall(r"(?<![\w.])\d[\d.]*", line)) for line in of_work or lines]
        assert any(numbers <= line for line in measured), row


def test_distances_of_photographs_are_those_of_the_script(shared_golden, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")  # a package has that name, too
    from photographs import measure

    found = measure(shared_golden / "photographs" / "hashes.npz")
    table = TEXTS["README.md"].partition("| pair of photographs |")[2].partition("\n\n")[0]
    photographs = f"| nearest of {found.photographs:,} unrelated photographs"
    assert f"{photographs} | {found.nearest:.1f} |" in table
    assert f"{photographs}, if one of the two is edited | {found.nearest_with_edit:.1f} |" in table
    assert f"| 1 % of unrelated pairs | below {found.percent} |" in table
    assert f"| unrelated, median | {found.median} |" in table
    assert found.largest < 1448


def test_duplicates_side_by_side_are_those_of_the_script():
    """The README repeats rows of docs/duplicates.md, which are what the script prints."""
    section = TEXTS["README.md"].partition("## Side by side\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .* \|$", section, re.MULTILINE)
    assert len(rows) >= 5
    assert set(rows) <= set(TEXTS["docs/duplicates.md"].splitlines())


def test_names_are_listed():
    import photodna_nb as pdna

    for name in pdna.__all__:
        assert getattr(pdna, name) is not None
        assert name in dir(pdna)
    assert not {"Any", "importlib", "TYPE_CHECKING"} & set(dir(pdna)), "imports are not offered"
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXTS["docs/api.md"], re.MULTILINE)
    optional = [
        "evaluation",
        "plots",
        "report",
        "widgets",
    ]  # not in __all__: what they need may be missing
    assert sorted(name for name, _ in rows) == sorted([*pdna.__all__, *optional])
    checked = 0
    for name, row in rows:
        owner = getattr(pdna, name)
        if inspect.isclass(owner) or inspect.ismodule(owner):
            its_own = {*dir(owner), *getattr(owner, "__annotations__", {}), *pdna.__all__}
            if issubclass(type(owner), type) and issubclass(owner, Exception):
                its_own |= {"path", "reason", "ValueError", "TypeError", "ModuleNotFoundError"}
            for word in re.findall(r"`\.?(?:\w+\.)?(\w+)(?:\([^`]*\))?`", row):
                assert word in its_own, f"{name}: {word}"
                checked += 1
    assert checked >= 40


MODULES = "index hashing.hashers corpus.datasets corpus.transforms evaluation plots report widgets"


@pytest.mark.parametrize("module", MODULES.split())
def test_names_of_modules_are_documented(module):
    names = importlib.import_module(f"photodna_nb.{module}").__all__
    public = importlib.import_module("photodna_nb").__all__
    described = re.findall(rf"`{module.split('.')[-1]}\.(\w+)`", TEXTS["docs/api.md"])
    assert set(names) - set(public) <= set(described)


def test_without_matplotlib(hide_package):
    import photodna_nb as pdna

    hide_package("matplotlib", "plots")
    assert not hasattr(pdna, "plots")
    with pytest.raises(AttributeError, match=r"pip install .photodna_nb\[report\]"):
        _ = pdna.plots
    assert "plots" not in dir(pdna)


def test_an_unknown_name_is_an_attribute_error():
    import photodna_nb as pdna

    with pytest.raises(AttributeError, match="'photodna_nb' has no attribute 'hsh'"):
        _ = pdna.hsh
