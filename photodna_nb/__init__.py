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
    from photodna_nb import plots as plots
    from photodna_nb import stages
    from photodna_nb.distances import distance, similarity
    from photodna_nb.errors import (
        ArgumentError,
        ArgumentTypeError,
        FileError,
        ImageError,
        IndexFileError,
        PhotodnaError,
        TableFileError,
    )
    from photodna_nb.hashing import hash_file, hash_files, hash_image
    from photodna_nb.index import HashIndex, Match
    from photodna_nb.stages import HashTrace, detail, orientations, trace
    from photodna_nb.table import HashTable

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "FileError",
    "HashIndex",
    "HashTable",
    "HashTrace",
    "ImageError",
    "IndexFileError",
    "Match",
    "PhotodnaError",
    "TableFileError",
    "detail",
    "distance",
    "hash_file",
    "hash_files",
    "hash_image",
    "orientations",
    "similarity",
    "stages",
    "trace",
]

_HOMES = {
    "ArgumentError": "errors",
    "ArgumentTypeError": "errors",
    "FileError": "errors",
    "HashIndex": "index",
    "HashTable": "table",
    "TableFileError": "errors",
    "HashTrace": "stages",
    "ImageError": "errors",
    "IndexFileError": "errors",
    "Match": "index",
    "PhotodnaError": "errors",
    "detail": "stages",
    "distance": "distances",
    "hash_file": "hashing",
    "hash_files": "hashing",
    "hash_image": "hashing",
    "orientations": "stages",
    "similarity": "distances",
    "trace": "stages",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        elif name == "stages":
            value = importlib.import_module(f"{__name__}.stages")
        elif name == "plots":  # not in __all__: Matplotlib may be missing
            value = _plots()
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def _plots() -> Any:
    try:
        return importlib.import_module(f"{__name__}.plots")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise AttributeError(
            'plots need Matplotlib: pip install "photodna_nb[notebooks]"'
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
