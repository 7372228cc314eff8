"""The documentation site: ``sphinx-build -n -W --keep-going -c docs . site/html``.

The sources are the Markdown files and notebooks where they are, so that a link between them is
the same in the site and in a viewer of the repository.
"""

import importlib
import inspect
from pathlib import Path

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

# A page for each public module, with the names of its `__all__` that no earlier one has.
_MODULES = (
    "photodna_nb index hashing.hashers corpus.datasets corpus.transforms evaluation plots report "
    "widgets"
)
_pages = Path(__file__).parent / "reference"
_pages.mkdir(exist_ok=True)
_listed = set()
for _name in _MODULES.split():
    _full = _name if _name == "photodna_nb" else f"photodna_nb.{_name}"
    _module = importlib.import_module(_full)
    _lines = [_full, "=" * len(_full), "", f".. currentmodule:: {_full}", ""]
    for _public in sorted(set(_module.__all__) - _listed):
        _value = getattr(_module, _public)
        if not inspect.ismodule(_value):
            _kinds = {inspect.isclass(_value): "class", inspect.isfunction(_value): "function"}
            _lines += [f".. auto{_kinds.get(True, 'data')}:: {_public}", ""]
    _listed |= set(_module.__all__)
    (_pages / f"{_full}.rst").write_text("\n".join(_lines), encoding="utf-8")
