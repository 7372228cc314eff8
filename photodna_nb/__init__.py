"""PhotoDNA-like perceptual hashes: compute, look at, compare and search them.

    import photodna_nb as pdna

The names below are imported when they are first used, so that a program pays
for Numba, FAISS or Matplotlib only if it needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from photodna_nb import evaluation
    from photodna_nb import plots as plots
    from photodna_nb import report as report
    from photodna_nb import widgets as widgets
    from photodna_nb.corpus import datasets, transforms
    from photodna_nb.errors import (
        ArgumentError,
        ArgumentTypeError,
        FileError,
        ImageError,
        IndexFileError,
        PhotodnaError,
        TableFileError,
    )
    from photodna_nb.hashing import stages
    from photodna_nb.hashing.files import hash_file, hash_files, hash_image
    from photodna_nb.hashing.stages import HashTrace, detail, orientations, trace
    from photodna_nb.index import HashIndex, Match
    from photodna_nb.pairs.all_pairs import (
        Neighbours,
        Pairs,
        distance_matrix,
        nearest,
        pairs_within,
    )
    from photodna_nb.pairs.histogram import DistanceHistogram, distance_histogram
    from photodna_nb.pairs.metrics import distance, similarity
    from photodna_nb.tables.table import HashTable

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "DistanceHistogram",
    "FileError",
    "HashIndex",
    "HashTable",
    "HashTrace",
    "ImageError",
    "IndexFileError",
    "Match",
    "Neighbours",
    "Pairs",
    "PhotodnaError",
    "TableFileError",
    "datasets",
    "detail",
    "distance",
    "distance_histogram",
    "distance_matrix",
    "evaluation",
    "hash_file",
    "hash_files",
    "hash_image",
    "nearest",
    "orientations",
    "pairs_within",
    "similarity",
    "stages",
    "trace",
    "transforms",
]

_HOMES = {
    "ArgumentError": "errors",
    "ArgumentTypeError": "errors",
    "DistanceHistogram": "pairs.histogram",
    "FileError": "errors",
    "HashIndex": "index",
    "HashTable": "tables.table",
    "HashTrace": "hashing.stages",
    "ImageError": "errors",
    "IndexFileError": "errors",
    "Match": "index",
    "Neighbours": "pairs.all_pairs",
    "Pairs": "pairs.all_pairs",
    "PhotodnaError": "errors",
    "TableFileError": "errors",
    "detail": "hashing.stages",
    "distance": "pairs.metrics",
    "distance_histogram": "pairs.histogram",
    "distance_matrix": "pairs.all_pairs",
    "hash_file": "hashing.files",
    "hash_files": "hashing.files",
    "hash_image": "hashing.files",
    "nearest": "pairs.all_pairs",
    "orientations": "hashing.stages",
    "pairs_within": "pairs.all_pairs",
    "similarity": "pairs.metrics",
    "trace": "hashing.stages",
}

_SUBMODULES = {
    "datasets": "corpus.datasets",
    "evaluation": "evaluation",
    "stages": "hashing.stages",
    "transforms": "corpus.transforms",
}

_DRAWING = ("jinja2", "matplotlib"), "Matplotlib and Jinja2", "report"
_WIDGETS = ("ipywidgets", *_DRAWING[0]), "ipywidgets, Matplotlib and Jinja2", "notebooks"
_NEEDS = {"plots": _DRAWING, "report": _DRAWING, "widgets": _WIDGETS}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        elif name in _SUBMODULES:
            value = importlib.import_module(f"{__name__}.{_SUBMODULES[name]}")
        elif name in _NEEDS:  # not in __all__: what they need may be missing
            value = _optional(name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        modules, needed, extra = _NEEDS[name]
        if (error.name or "").partition(".")[0] not in modules:
            raise
        raise AttributeError(
            f'{name} needs {needed}: pip install "photodna_nb[{extra}]"'
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
