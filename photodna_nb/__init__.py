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
    from photodna_nb import plots, stages
    from photodna_nb.distances import distance, similarity
    from photodna_nb.errors import (
        ArgumentError,
        ArgumentTypeError,
        FileError,
        ImageError,
        IndexFileError,
        PhotodnaError,
    )
    from photodna_nb.hashing import hash_file, hash_image
    from photodna_nb.index import HashIndex
    from photodna_nb.stages import HashTrace, detail, trace

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "FileError",
    "HashIndex",
    "HashTrace",
    "ImageError",
    "IndexFileError",
    "PhotodnaError",
    "detail",
    "distance",
    "hash_file",
    "hash_image",
    "plots",
    "similarity",
    "stages",
    "trace",
]

_HOMES = {
    "ArgumentError": "errors",
    "ArgumentTypeError": "errors",
    "FileError": "errors",
    "HashIndex": "index",
    "HashTrace": "stages",
    "ImageError": "errors",
    "IndexFileError": "errors",
    "PhotodnaError": "errors",
    "detail": "stages",
    "distance": "distances",
    "hash_file": "hashing",
    "hash_image": "hashing",
    "similarity": "distances",
    "trace": "stages",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
