"""What leaves the repository, as an sdist, a wheel or a citation, is whole."""

import re
import runpy
import subprocess
import sys
from email import message_from_bytes
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import pytest
from conftest import JIT_OFF, ROOT
from repository import PROJECT, PYPROJECT, PYTHONS, text_of

import photodna_nb as pdna

# What an sdist has without being told, and what it does not need.
OF_ITSELF = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "MANIFEST.in", "photodna_nb/*")
LEFT_OUT = (".gitattributes", ".gitignore")
SETUP = runpy.run_path(str(ROOT / "setup.py"))
description = SETUP["description"]


def tracked() -> list[str]:
    """Every file of the repository; none in an unpacked sdist, which has no repository."""
    result = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.split("\0")[:-1]


def named(manifest: str, names: list[str]) -> set[str]:
    """Which of the files a MANIFEST.in puts into the sdist; no line here takes any out again."""
    found = set()
    for line in manifest.splitlines():
        command, *patterns = line.split()
        if command == "graft":
            patterns = [f"{folder}/*" for folder in patterns]
        elif command != "include":
            assert command in ("prune", "global-exclude"), line
            made = "cache", "*.py[cod]", "ipynb_ch", "docs/reference"
            assert all(any(kind in one for kind in made) for one in patterns), line
            continue
        found |= {name for name in names for pattern in patterns if fnmatch(name, pattern)}
    return found


def missing(manifest: str, names: list[str]) -> list[str]:
    there = named(manifest, names)
    others = [name for name in names if name not in there]
    return [name for name in others if not any(fnmatch(name, p) for p in OF_ITSELF + LEFT_OUT)]


@pytest.fixture(scope="module")
def names() -> list[str]:
    found = tracked()
    if not found:
        pytest.skip("no repository, or no git")
    assert len(found) >= 300
    return found


def test_the_sdist_holds_every_file(names):
    assert missing(text_of("MANIFEST.in"), names) == []


@pytest.mark.parametrize("line", ["graft tests\n", "graft notebooks\n", " CITATION.cff"])
def test_a_file_that_is_left_out_is_noticed(names, line):
    manifest = text_of("MANIFEST.in")
    assert line in manifest
    assert missing(manifest.replace(line, ""), names)


def test_a_folder_that_nobody_names_is_noticed(names):
    assert missing(text_of("MANIFEST.in"), [*names, "papers/new.md"])


def test_what_is_no_module_is_in_the_package():
    declared = PYPROJECT["tool"]["setuptools"]["package-data"]["photodna_nb"]
    package = ROOT / "photodna_nb"
    there = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    assert sorted(declared) == sorted(there)
    for name in declared:
        assert files("photodna_nb").joinpath(name).is_file()


def test_the_description_on_an_index_has_no_link_into_the_repository():
    readme = text_of("README.md")
    shown = description(readme)
    assert re.findall(r"\]\((?!https?:)", readme)
    assert re.findall(r"\]\((?!https?:)", shown) == []
    assert "![" not in shown  # a picture from elsewhere would be fetched from there
    assert re.findall("^#+ .*", shown, re.MULTILINE) == re.findall("^#+ .*", readme, re.MULTILINE)
    some = (
        "# A\n\n![x](a.svg) ![y](b.svg)\n\nsee [the\npage](docs/a.md#b), [c](#d), [e](https://f)\n"
    )
    left = description(some).replace(SETUP["NOTE"], "N")
    assert left == "# A\n\nN\n\nsee the\npage, c, [e](https://f)\n"


@pytest.mark.skipif(not (ROOT / "PKG-INFO").exists(), reason="no unpacked sdist")
def test_the_unpacked_sdist_is_tested_and_has_that_description():
    assert Path(pdna.__file__).parent.parent == ROOT
    built = message_from_bytes((ROOT / "PKG-INFO").read_bytes())
    readme = text_of("README.md")
    assert built["Version"] == pdna.__version__
    assert built["Description-Content-Type"] == "text/markdown"
    assert built.get_payload(decode=True).decode().strip() == description(readme).strip()


def test_an_empty_folder_of_its_name_does_not_hide_the_installed_package(tmp_path):
    """A clone may have that name, and a kernel cache outlives the installation it was in."""
    (tmp_path / "photodna_nb").mkdir()
    program = "import photodna_nb; print(photodna_nb.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    remedy = "an installation of before package-dir was set: pip install -e . again"
    assert done.stdout.strip() == pdna.__version__, done.stderr + remedy


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in (ROOT / "photodna_nb").rglob("*.py")}
    assert len(folders) >= 8
    for folder in folders:
        assert (folder / "__init__.py").exists(), folder


def test_the_citation_is_of_this_version():
    citation = text_of("CITATION.cff")
    fields = dict(re.findall(r'^([\w-]+):(?: "?(.*?)"?)?(?: #.*)?$', citation, re.MULTILINE))
    assert fields["cff-version"] == "1.2.0"
    assert fields["version"] == pdna.__version__
    assert fields["license"] == PROJECT["license"]
    assert fields["title"].startswith(PROJECT["name"])
    for field in ("message", "authors", "references"):  # the first two are required by the format
        assert field in fields
    assert f'name: "{PROJECT["authors"][0]["name"]}"' in citation
    titles = re.findall(r'^    title: "(.*)"$', citation, re.MULTILINE)
    assert len(titles) == citation.count("  - type: ") >= 4
    assert "2026/486" in citation
    _, listed = text_of("README.md").split("### References\n")
    assert [title for title in titles if title not in " ".join(listed.split())] == []


# The sections of Keep a Changelog, and one for users of the program whose hash this is.
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Different from")


def release_faults(changelog: str, citation: str, version: str) -> list[str]:
    """What the top of a changelog says otherwise than the version and the citation."""
    top = re.split(r"^## ", changelog, flags=re.MULTILINE)[1]
    number, _, day = top.partition("\n")[0].partition(" - ")
    order = [
        next((place for place, name in enumerate(SECTIONS) if heading.startswith(name)), -1)
        for heading in re.findall(r"^### (.*)", top, re.MULTILINE)
    ]
    released = re.findall(r'^date-released: "?([\d-]+)', citation, re.MULTILINE)
    return [
        fault
        for fault, holds in {
            f"CHANGELOG.md begins with {number}": number == version,
            f"the sections are in the order {order}": order == sorted({*order} - {-1}),
            f"no date: {day}": day == "unreleased" or re.fullmatch(r"\d{4}-\d\d-\d\d", day),
            f"CITATION.cff is of {released}": released == [day] * (day != "unreleased"),
        }.items()
        if not holds
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("## 0.", "## 1."),
        ("- unreleased", "- soon"),
        ("- unreleased", "- 2026-12-24"),  # CITATION.cff does not have it
        ("### Added", "### Fixed"),
        ("### Added", "### News"),
    ],
)
def test_version_and_date_are_the_same_everywhere(before, after):
    changelog = text_of("CHANGELOG.md")
    citation = text_of("CITATION.cff")
    assert release_faults(changelog, citation, pdna.__version__) == []
    day = re.search("## [^ ]+ - (.*)", changelog)[1]
    changelog = changelog.replace(f"- {day}\n", "- unreleased\n", 1)
    citation = re.sub(r"date-released: .*\n", "", citation)
    assert release_faults(changelog, citation, pdna.__version__) == []
    assert before in changelog
    wrong = changelog.replace(before, after, 1)
    assert release_faults(wrong, citation, pdna.__version__)
    dated = changelog.replace("- unreleased", "- 2026-12-24", 1)
    assert release_faults(dated, citation + "date-released: 2026-12-24\n", pdna.__version__) == []


def test_each_python_that_is_named_is_tested():
    """The lowest one by all of CI, the others by a part: no one in between is left out."""
    least = PROJECT["requires-python"].removeprefix(">=")
    assert PYTHONS[0] == least
    assert [f"3.{int(least[2:]) + n}" for n in range(len(PYTHONS))] == PYTHONS
    listed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "pythons.py"], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        version, path = line.split(" ", 1)
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout.startswith(f"Python {version}.")
        assert version != "{}.{}".format(*sys.version_info)


def test_the_badges_are_what_pyproject_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "data")
    from draw_badges import badges

    shown = re.findall(r"\]\(data/figures/(badge_.*?)\)", text_of("README.md"))
    assert sorted(shown) == sorted(badges())
    for name, text in badges().items():
        drawn = text_of(f"data/figures/{name}")
        assert drawn == text, "draw them again: python data/draw_badges.py"
    assert f"version: {pdna.__version__} " in badges()["badge_version.svg"]


def test_the_licence_of_each_package_that_is_installed_is_listed():
    for_developers = {"docs", "test", "dev"}
    groups = {"every installation": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    text = text_of("docs/installation.md")
    _, _, table = text.partition("### Licences\n")
    for name in groups.keys() - for_developers:
        (row,) = [one for one in table.splitlines() if one.startswith("| ") and name in one[:40]]
        for requirement in groups[name]:
            package = re.split(r"[\[>=]", requirement)[0]
            assert package == PROJECT["name"] or package in row, requirement


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")
def test_the_script_for_type_checkers_runs():
    script = ROOT / "tests" / "typing" / "user.py"
    command = [sys.executable, script, ROOT / "data" / "pictures"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout


def test_the_example_is_the_one_in_data():
    packaged = ROOT / "photodna_nb" / "evaluation" / "example.toml"
    assert packaged.read_bytes() == (ROOT / "data" / "evaluation.toml").read_bytes()
