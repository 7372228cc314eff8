"""The documentation site: ``sphinx-build -n -W --keep-going -c docs . site/html``.

The sources are the Markdown files and notebooks where they are, so that a link between them is
the same in the site and in a viewer of the repository. What a viewer does not need is made here:
the pages of the API reference, and links from the names in a text to them.
"""

import importlib
import inspect
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from numpydoc.xref import DEFAULT_LINKS
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import ismock, mock
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

import photodna_nb

project = "photodna_nb"
author = "The photodna_nb authors"
release = photodna_nb.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx_copybutton"]
include_patterns = ["*.md", "data/README.md", "docs/**.md", "docs/**.rst", "notebooks/*.ipynb"]
exclude_patterns = [".*", "site", "build", "dist", "photodna_nb", "tests"]

# Anchors as in a viewer of the repository, notebooks with the outputs that they were saved with.
myst_heading_anchors = 4
myst_enable_extensions = []
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # they would come from another host

default_role = "literal"  # a `name` in a docstring is code, and a link if `LinkNames` knows it
smartquotes = False  # texts are as they are in the repository
autodoc_typehints = "none"  # the docstrings have the types
autodoc_mock_imports = ["perception", "threatexchange"]
autodoc_member_order = "groupwise"
# Members of the package's own base classes, but not of these.
_FOREIGN_BASES = "tuple,dict,list,Sequence,ABC,BaseException,Enum,Generic,Struct,VBox"
autodoc_default_options = {"members": True, "inherited-members": _FOREIGN_BASES}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # but for numpydoc_xref_aliases: the classes of the reference
DEFAULT_LINKS.clear()  # types of Python and NumPy, whose sites the build would have to ask

html_theme = "furo"
html_title = f"photodna_nb {release}"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_static_path = ["site.css", "site.js"]
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # a browser fetches no other page for a page that is a file
copybutton_prompt_text = r"\$ |>>> |\.\.\. "  # which is not copied, nor is what is printed
copybutton_prompt_is_regexp = True

# The modules of the reference, as users name them. Their names are those of `__all__`, or of the
# functions and classes that they define, as far as no earlier module has them.
_MODULES = (
    ". index hashers stages datasets transforms evaluation plots report widgets "
    "integrations.perception integrations.threatexchange"
)
_KINDS = "function", "class", "exception", "data"


def _kind_of(value: object) -> str:
    """Return the directive that describes a value, without its prefix ``auto``."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, Exception) else "class"
    return "function" if callable(value) else "data"


def _public_module(name: str) -> Any:
    """Return a module of the reference; packages that its imports need may be missing."""
    if name in photodna_nb.__all__:
        return getattr(photodna_nb, name)
    with mock(autodoc_mock_imports):
        return importlib.import_module(f"photodna_nb.{name}".rstrip("."))


def _public_values(module: Any) -> dict[str, Any]:
    """Return what a module makes public, without modules, by name: functions come first."""
    defined = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    ]
    values = {name: getattr(module, name) for name in getattr(module, "__all__", defined)}
    values = {name: value for name, value in values.items() if not inspect.ismodule(value)}
    return dict(
        sorted(values.items(), key=lambda item: (_KINDS.index(_kind_of(item[1])), item[0].lower()))
    )


def _title(text: str) -> list[str]:
    return [text, "=" * len(text), ""]


def _write_reference(folder: Path) -> dict[str, str]:
    """Write a page for each module and for each of its names, and return the classes.

    The pages of names are not in the navigation: it would be written into each of them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for kind in _KINDS:  # a folder each: some file systems take `match` and `Match` for one name
        (folder / kind).mkdir(parents=True)
    classes: dict[str, str] = {}
    listed: set[str] = set()
    for module_name in _MODULES.split():
        module, path = _public_module(module_name), f"photodna_nb.{module_name}".rstrip(".")
        lines = [*_title(path), f".. py:module:: {path}", "", inspect.getdoc(module) or "", ""]
        lines += [".. list-table::", "   :widths: 2 5", ""]
        for name, value in _public_values(module).items():
            kind = _kind_of(value)
            if name in listed or (ismock(value) and kind != "class"):
                continue
            listed.add(name)
            summary = (inspect.getdoc(value) or "").partition("\n")[0] if kind != "data" else ""
            if inspect.isclass(value):
                classes[name] = f"{path}.{name}"
            lines += [f"   * - :py:obj:`{name} <{path}.{name}>`", f"     - {summary}"]
            short = f"{path}.{name}".removeprefix("photodna_nb.")
            page = [":orphan:", "", *_title(short), f"In :doc:`../{path}`", ""]
            page += [f".. auto{kind}:: photodna_nb::{short}", ""]
            (folder / kind / f"{path}.{name}.rst").write_text("\n".join(page), encoding="utf-8")
        (folder / f"{path}.rst").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return classes


numpydoc_xref_aliases = _write_reference(Path(__file__).parent / "reference")


class TermTargets(SphinxTransform):
    """Targets and entries of the index from ``<a id="detail"></a>detail``, a term of the glossary.

    A viewer of the repository follows links to such anchors, too.
    """

    default_priority = 400  # before MyST looks for the targets of links

    def apply(self, **_: Any) -> None:
        """Replace the HTML by what Sphinx knows."""
        for start in list(self.document.findall(nodes.raw)):
            anchor = re.fullmatch('<a id="([^"]+)">', start.astext())
            if not anchor:
                continue
            name, parent = anchor[1], start.parent
            target = nodes.target("", "", ids=[name], names=[name])
            self.document.note_explicit_target(target)
            parent.remove(parent[parent.index(start) + 1])  # </a>
            start.replace_self(target)
            terms = filter(None, re.split(r", | \(|\)", parent.astext()))
            entries = [("single", term, name, "main", None) for term in terms]
            parent.insert(0, addnodes.index(entries=entries))


class LinkNames(SphinxPostTransform):
    """Links from names in texts, such as ``hash_files``, to their pages of the reference."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        """Make a link of each name that is public."""
        if self.env.docname == "docs/api":
            for row in self.document.findall(nodes.row):
                self.link(row[0], any_word=True)
        self.link(self.document, any_word=False)

    def link(self, part: nodes.Element, *, any_word: bool) -> None:
        """Make the links of a part of the document."""
        objects = self.env.domains.python_domain.objects
        page = self.env.docname.rpartition("/")[2]
        for literal in list(part.findall(nodes.literal)):
            match = re.fullmatch(r"(?:pdna\.|photodna_nb\.)?([\w.]+)(\(.*\))?", literal.astext())
            parent = literal.parent
            if not match or isinstance(parent, nodes.reference | nodes.title):
                continue
            name = match[1]
            scope = page if page.startswith("photodna_nb") else "photodna_nb"
            while f"{scope}.{name}" not in objects and "." in scope:
                scope = scope.rpartition(".")[0]
            found = objects.get(f"{scope}.{name}")
            # A plain word, such as `distance`, is as often the name of a column or argument.
            before = "".join(one.astext() for one in parent[: parent.index(literal)])
            clear = any_word or match[2] or re.search("[A-Z_.]", name)
            clear = clear or before.lower().endswith("see ")
            if found and f"{scope}.{name}" != page and (clear or "method" in found.objtype):
                link = make_refnode(
                    self.app.builder,
                    self.env.docname,
                    found.docname,
                    found.node_id,
                    literal.deepcopy(),
                    f"{scope}.{name}",
                )
                parent.replace(literal, link)


def setup(app: Sphinx) -> None:
    """Add what is made here to Sphinx."""
    app.add_transform(TermTargets)
    app.add_post_transform(LinkNames)
