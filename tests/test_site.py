"""The documentation site: built without a warning, whole, and used without a network."""

import importlib
import inspect
import operator
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import pytest
from browsers import artifacts, complaints_of, needs_browser, opened_browser
from conftest import JIT_OFF, ROOT
from repository import commands, text_of

import photodna_nb as pdna

LACKING = [name for name in ("sphinx", "myst_nb", "numpydoc", "furo") if not find_spec(name)]
pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(bool(LACKING), reason=f"needs {', '.join(LACKING)} (pip install .[docs])"),
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, by the command of CONTRIBUTING.md."""
    folder = tmp_path_factory.mktemp("site")
    command = "sphinx-build -n -W --keep-going -b html -c docs . site/html"
    assert command in commands(text_of("CONTRIBUTING.md"))
    arguments = command.split()[1:-1]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *arguments, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder.resolve()


class Page(HTMLParser):
    """The names, links and loaded files of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag != "link" or "stylesheet" in values.get("rel", ""):
            self.loaded += [values[name] for name in ("src", "href") if values.get(name)]


def broken(pages):
    """Return the links of pages that lead to no file, or to no name in one."""
    found = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            name = unquote(parts.fragment)
            if not target.is_file() or (name and target in pages and name not in pages[target].ids):
                found.append(f"{path.name}: {link}")
    return found


def pages_of(folder):
    return {path: Page(path) for path in sorted(folder.resolve().rglob("*.html"))}


@pytest.fixture(scope="module")
def pages(site):
    """The pages of the site, by their paths."""
    return pages_of(site)


def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(pages):
    assert len(pages) > 40
    assert broken(pages) == []
    loaded = [link for page in pages.values() for link in page.loaded]
    assert [link for link in loaded if urlsplit(link).scheme in ("http", "https")] == []


def test_a_broken_link_is_noticed(tmp_path):
    (tmp_path / "a.html").write_text('<p id="x"><a href="#x"><a href="b.html"><a href="#y">')
    assert broken(pages_of(tmp_path)) == ["a.html: b.html", "a.html: #y"]


@pytest.mark.parametrize("module", ["", ".index", ".evaluation", ".plots", ".report", ".widgets"])
def test_every_public_name_is_described_and_found_by_its_task_and_module(site, pages, module):
    full = f"photodna_nb{module}"
    module = importlib.import_module(full)
    reference = site / "docs" / "reference"
    described = {path.stem: page for path, page in pages.items() if path.parent.parent == reference}
    names = [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    names = {f"{full}.{n}" if f"{full}.{n}" in described else f"photodna_nb.{n}" for n in names}
    assert names
    assert [name for name in names if name not in described[name].ids] == []
    by_task = fragments(pages[site / "docs" / "api.html"])
    assert names - by_task == set()
    by_module = fragments(pages[reference / f"{full}.html"])
    assert {name for name in names if name.startswith(f"{full}.")} <= by_module


def fragments(page):
    return {unquote(urlsplit(link).fragment) for link in page.links}


def test_members_are_described_with_those_of_base_classes(site, pages):
    page = pages[site / "docs" / "reference" / "class" / "photodna_nb.HashIndex.html"]
    members = [f"photodna_nb.HashIndex.{name}" for name in vars_of(pdna.HashIndex)]
    assert "photodna_nb.HashIndex.open" in members
    assert [name for name in members if name not in page.ids] == []
    assert "photodna_nb.HashTable.html#photodna_nb.HashTable" in page.links
    links = Page(site / "docs" / "reference" / "function" / "photodna_nb.duplicates.html").links
    assert "photodna_nb.distance.html#photodna_nb.distance" in links, 'after "See", a plain word'


def test_each_term_of_the_glossary_has_its_anchor_and_is_in_the_index(site, pages):
    text = text_of("docs/glossary.md")
    tables = re.findall(r"^\| term \|.*\n.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [row.split("|")[1].strip() for table in tables for row in table.splitlines()]
    assert len(cells) > 100
    index = pages[site / "genindex.html"].links
    page = pages[site / "docs" / "glossary.html"]
    for cell in cells:
        name, term = re.fullmatch('<a id="(.*)"></a>(.*)', cell).groups()
        assert name == re.sub("[^a-z0-9]+", "-", re.split(r", | \(", term)[0].lower()), term
        assert name in page.ids
        assert f"docs/glossary.html#{name}" in index, term


# Not asked for: further sections (SA01, EX01, ES01), types of parameters that another function
# describes (PR04). Methods may say all in their summary; fields of a class are under Attributes.
UNASKED = {"SA01", "EX01", "ES01", "PR04"}


def complaints_of_docstring(name, value):
    from numpydoc.validate import validate

    is_function = inspect.isfunction(value) and "." not in value.__qualname__
    described = not inspect.isclass(value) and "Parameters\n---" in inspect.getdoc(value)
    unasked = UNASKED | (set() if is_function else {"RT01", "YD01"})
    unasked |= set() if is_function or described else {"PR01"}
    return [f"{name}: {text}" for code, text in validate(name)["errors"] if code not in unasked]


def public_objects():
    """Yield the public functions and classes, and the methods of these, by their full names."""
    described = ROOT / "docs" / "reference"
    for path in sorted([*described.glob("function/*.rst"), *described.glob("class/*.rst")]):
        if "integrations" not in path.stem:  # their packages may be missing
            value = operator.attrgetter(path.stem.removeprefix("photodna_nb."))(pdna)
            yield path.stem, value
            for name in vars_of(value) if inspect.isclass(value) else ():
                method = getattr(value, name)
                module = getattr(method, "__module__", None) or ""
                if "photodna_nb" in module and callable(method):
                    yield f"{path.stem}.{name}", method


@pytest.mark.usefixtures("site")
def test_public_docstrings_are_complete():
    found = dict(public_objects())
    assert len(found) > 200
    assert [text for name in found for text in complaints_of_docstring(name, found[name])] == []


def vars_of(kind):
    return [name for name in dir(kind) if not name.startswith("_")]


def test_every_document_and_notebook_is_in_the_navigation(site, pages):
    front = pages[site / "index.html"]
    sources = [*(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    expected = {str(path.relative_to(ROOT).with_suffix(".html")) for path in sources}
    assert expected - set(front.links) == set()
    assert f"photodna_nb {pdna.__version__}" in (site / "index.html").read_text("utf-8")


@needs_browser()
@pytest.mark.parametrize("width", [390, 1280])
def test_the_site_in_a_browser_without_a_network(site, width):
    with opened_browser() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        page = context.new_page()
        complaints = complaints_of(page)
        pages = "index genindex docs/glossary docs/robustness docs/speed docs/recipes"
        pages += " docs/reference/class/photodna_nb.HashIndex notebooks/04_threshold_tuning"
        for name in pages.split():
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            page.screenshot(path=artifacts() / f"site_{name.replace('/', '_')}_{width}.png")
        page.goto((site / "search.html").as_uri() + "?q=influence")
        results = page.locator("#search-results li")
        results.first.wait_for()
        assert any("Statistics" in text for text in results.all_inner_texts())
        page.goto((site / "search.html").as_uri() + "?q=impostor+pair")
        term = page.locator("#search-results li a[href$='docs/glossary.html#impostor-pair']")
        term.wait_for()
        assert term.inner_text() == "Glossary: impostor pair"
        page.screenshot(path=artifacts() / f"site_search_{width}.png")
        if width == 1280:  # where the box that the copied text goes to is always seen
            page.goto((site / "docs" / "recipes.html").as_uri())
            page.locator("div.highlight").first.hover()
            page.locator("button.copybtn").first.click()
            box = page.locator("input[name=q]")
            box.focus()
            page.keyboard.press("Control+V")
            assert box.input_value() == "photodna-nb --duplicates data/pictures"
        assert complaints == []
