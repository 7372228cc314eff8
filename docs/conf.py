"""The documentation site: ``sphinx-build -n -W --keep-going -c docs . site/html``.

The sources are the Markdown files and notebooks where they are, so that a link between them is
the same in the site and in a viewer of the repository.
"""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

from sphinx.ext.autodoc.mock import ismock, mock

import photodna_nb

project = "photodna_nb"
author = "The photodna_nb authors"
release = photodna_nb.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
include_patterns = ["*.md", "data/README.md", "docs/**.md", "docs/**.rst", "notebooks/*.ipynb"]
exclude_patterns = [".*", "site", "build", "dist", "photodna_nb", "tests"]

# Anchors as in a viewer of the repository, notebooks with the outputs that they were saved with.
myst_heading_anchors = 4
myst_enable_extensions = []
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # they would come from another host

autodoc_typehints = "none"  # the docstrings have the types
autodoc_mock_imports = ["perception", "threatexchange"]
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"photodna_nb {release}"
html_copy_source = False
html_show_search_summary = False  # a browser fetches no other page for a page that is a file

# A page for each public module: the names of its `__all__`, or its public functions and classes,
# that no earlier one has.
_MODULES = (
    "photodna_nb index hashing.hashers hashing.stages corpus.datasets corpus.transforms evaluation "
    "plots report widgets integrations.perception integrations.threatexchange"
)


def _defined(module: ModuleType) -> list[str]:
    """Return the public names of what a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


def _page(full: str, listed: set[str]) -> str:
    with mock(autodoc_mock_imports):
        module = importlib.import_module(full)
    lines = [full, "=" * len(full), "", f".. currentmodule:: {full}", ""]
    for name in sorted({*getattr(module, "__all__", _defined(module))} - listed):
        value = getattr(module, name)
        if inspect.isclass(value) or not (inspect.ismodule(value) or ismock(value)):
            kinds = {inspect.isclass(value): "class", inspect.isfunction(value): "function"}
            lines += [f".. auto{kinds.get(True, 'data')}:: {name}", ""]
            listed.add(name)
    return "\n".join(lines)


_pages = Path(__file__).parent / "reference"
_pages.mkdir(exist_ok=True)
_listed: set[str] = set()
for _name in _MODULES.split():
    _full = "photodna_nb" if _name == "photodna_nb" else f"photodna_nb.{_name}"
    (_pages / f"{_full}.rst").write_text(_page(_full, _listed), encoding="utf-8")
