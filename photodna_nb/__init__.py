"""PhotoDNA-like perceptual hashes: compute, inspect, compare and search them.

``import photodna_nb as pdna`` is how its documentation imports it. Each
public name is imported when it is first used, so that a program loads Numba,
FAISS or Matplotlib only if it needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from photodna_nb import evaluation as evaluation
    from photodna_nb import plots as plots
    from photodna_nb import report as report
    from photodna_nb import widgets as widgets
    from photodna_nb.corpus import datasets as datasets
    from photodna_nb.corpus import transforms as transforms
    from photodna_nb.errors import ArgumentError as ArgumentError
    from photodna_nb.errors import ArgumentTypeError as ArgumentTypeError
    from photodna_nb.errors import FileError as FileError
    from photodna_nb.errors import ImageError as ImageError
    from photodna_nb.errors import IndexFileError as IndexFileError
    from photodna_nb.errors import LowDetailWarning as LowDetailWarning
    from photodna_nb.errors import MissingPackageError as MissingPackageError
    from photodna_nb.errors import PhotodnaError as PhotodnaError
    from photodna_nb.errors import ResourceError as ResourceError
    from photodna_nb.errors import TableFileError as TableFileError
    from photodna_nb.hashing import hashers as hashers
    from photodna_nb.hashing import stages as stages
    from photodna_nb.hashing.files import hash_file as hash_file
    from photodna_nb.hashing.files import hash_files as hash_files
    from photodna_nb.hashing.files import hash_image as hash_image
    from photodna_nb.hashing.files import iterate_hashes as iterate_hashes
    from photodna_nb.hashing.inputs import hash_directory as hash_directory
    from photodna_nb.hashing.inputs import hash_inputs as hash_inputs
    from photodna_nb.hashing.orientations import orientations as orientations
    from photodna_nb.hashing.stages import HashTrace as HashTrace
    from photodna_nb.hashing.stages import detail as detail
    from photodna_nb.hashing.stages import trace as trace
    from photodna_nb.index import HashIndex as HashIndex
    from photodna_nb.index import Match as Match
    from photodna_nb.index.faiss_search import faiss_search as faiss_search
    from photodna_nb.index.records import FaissMatch as FaissMatch
    from photodna_nb.pairs.all_pairs import Neighbours as Neighbours
    from photodna_nb.pairs.all_pairs import distance_matrix as distance_matrix
    from photodna_nb.pairs.all_pairs import nearest as nearest
    from photodna_nb.pairs.groups import DuplicateGroups as DuplicateGroups
    from photodna_nb.pairs.groups import duplicates as duplicates
    from photodna_nb.pairs.histogram import DistanceHistogram as DistanceHistogram
    from photodna_nb.pairs.histogram import distance_histogram as distance_histogram
    from photodna_nb.pairs.matches import Matches as Matches
    from photodna_nb.pairs.matches import match as match
    from photodna_nb.pairs.metrics import distance as distance
    from photodna_nb.pairs.metrics import similarity as similarity
    from photodna_nb.pairs.pair_table import Pair as Pair
    from photodna_nb.pairs.pair_table import Pairs as Pairs
    from photodna_nb.pairs.pair_table import read_pairs as read_pairs
    from photodna_nb.pairs.within import pairs_within as pairs_within
    from photodna_nb.pairs.within import write_pairs as write_pairs
    from photodna_nb.tables.table import HashRow as HashRow
    from photodna_nb.tables.table import HashTable as HashTable

# The public names of each module.
_NAMES = {
    "errors": "ArgumentError ArgumentTypeError FileError ImageError IndexFileError "
    "LowDetailWarning MissingPackageError PhotodnaError ResourceError TableFileError",
    "hashing.files": "hash_file hash_files hash_image iterate_hashes",
    "hashing.inputs": "hash_directory hash_inputs",
    "hashing.orientations": "orientations",
    "hashing.stages": "HashTrace detail trace",
    "index": "HashIndex Match",
    "index.faiss_search": "faiss_search",
    "index.records": "FaissMatch",
    "pairs.all_pairs": "Neighbours distance_matrix nearest",
    "pairs.groups": "DuplicateGroups duplicates",
    "pairs.histogram": "DistanceHistogram distance_histogram",
    "pairs.matches": "Matches match",
    "pairs.metrics": "distance similarity",
    "pairs.pair_table": "Pair Pairs read_pairs",
    "pairs.within": "pairs_within write_pairs",
    "tables.table": "HashRow HashTable",
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES.items() for name in names.split()}
_PUBLIC_MODULES = {
    "datasets": "corpus.datasets",
    "hashers": "hashing.hashers",
    "stages": "hashing.stages",
    "transforms": "corpus.transforms",
}
__all__ = sorted([*_MODULE_OF_NAME, *_PUBLIC_MODULES])

# Modules that need packages of an extra. They are not in __all__.
_OPTIONAL_MODULES = ("evaluation", "plots", "report", "widgets")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _MODULE_OF_NAME:
            module = importlib.import_module(f"{__name__}.{_MODULE_OF_NAME[name]}")
            value = getattr(module, name)
        elif name in _PUBLIC_MODULES:
            value = importlib.import_module(f"{__name__}.{_PUBLIC_MODULES[name]}")
        elif name in _OPTIONAL_MODULES:
            value = _optional_module(name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def _optional_module(name: str) -> Any:
    from photodna_nb.errors import MissingPackageError

    try:
        return importlib.import_module(f"{__name__}.{name}")
    except MissingPackageError as error:
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    # Not the imports of this file: notebooks complete names with this list.
    special = {name for name in globals() if name.startswith("__") or name in _OPTIONAL_MODULES}
    return sorted({*special, *__all__})
