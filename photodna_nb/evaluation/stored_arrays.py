"""Arrays in the files of a run, which may come from a stranger: dtypes, shapes and ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from photodna_nb import checks, npz
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale

# The dtype of an array, and its sides: numbers, or the names of sides that several arrays share.
Schema = Mapping[str, tuple[type, tuple[int | str, ...]]]

_SPLITS = 3
_DISTANCES = "genuine_distance_squared", "genuine_oriented_distance_squared"
_ROWS = "genuine_i", "genuine_j", "nearest_i", "nearest_j"
_TRANSFORMS = "genuine_transform", "nearest_transform"
_COPIES = "genuine_copy", "nearest_copy"
_PAIRS = "pairs_excluded", "pairs_identical", "pairs_low_detail"
_BY_DISTANCE = {
    "impostor_originals": (_SPLITS,),
    "impostor_variants": ("v", _SPLITS),
    "impostor_by_detail_bin": ("k",),
}
_COUNTS: Schema = {
    "detail": (np.float64, ("n",)),
    "in_validation_half": (np.bool_, ("n",)),
    "compared": (np.bool_, ("n",)),
    "run_number": (np.int32, ("n",)),
    "pairs_per_original": (np.int32, ("n", "v + 1")),
    **dict.fromkeys(("genuine_i", "genuine_j"), (np.int32, ("g",))),
    "genuine_transform": (np.int16, ("g",)),
    **dict.fromkeys(_DISTANCES, (np.int32, ("g",))),
    "detail_bin_edges": (np.float64, ("k - 1",)),
    "nearest_i": (np.int32, ("p",)),
    "nearest_j": (np.int32, ("p",)),
    "nearest_transform": (np.int16, ("p",)),
    "nearest_distance_squared": (np.int32, ("p",)),
    **dict.fromkeys((*_PAIRS, "nearest_limit"), (np.int64, (1,))),
}
_COUNT_TEXTS = {"names": "n", "digests": "n", "transforms": "v", "counting_rules": "", "key": ""}


def unpack_counts(path: str, content: bytes, largest_sample: int) -> dict[str, Any]:
    """Return the arrays and texts of counts, each of a possible shape and range.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    content : bytes
        Content of the file.
    largest_sample : int
        Largest number of hashes in it.

    Raises
    ------
    FileError
        The file is damaged or another one.
    """
    hasher = _hasher(path, content)
    schema: Schema = {
        **_COUNTS,
        "hash_sample": (np.uint8, ("m", hasher.length)),
        **{name: (np.int64, (*sides, hasher.n_bins)) for name, sides in _BY_DISTANCE.items()},
    }
    texts = dict(_COUNT_TEXTS)
    if "copies" in npz.member_names(path, content):
        schema = {**schema, "genuine_copy": (np.int32, ("g",)), "nearest_copy": (np.int32, ("p",))}
        texts["copies"] = "c"
    members, lengths = unpack(path, content, schema, texts)
    members["hasher"] = hasher
    members.setdefault("copies", ())
    for kind in ("genuine", "nearest"):
        none = np.full(len(members[f"{kind}_i"]), -1, np.int32)
        members.setdefault(f"{kind}_copy", none)
    n, v, m, bins = (lengths[side] for side in ("n", "v", "m", "k"))
    squared, furthest = members["nearest_distance_squared"], float(hasher.largest_integer)
    edges = members["detail_bin_edges"]
    ranges: dict[str, tuple[Any, float, float]] = {
        **{name: (members[name], 0, furthest) for name in _DISTANCES},
        **{name: (members[name], 0, n - 1) for name in _ROWS},
        **{name: (members[name], -1, v - 1) for name in _TRANSFORMS},
        **{name: (members[name], -1, lengths.get("c", 0) - 1) for name in _COPIES},
        "detail": (np.nan_to_num(members["detail"], nan=0.0), 0, math.inf),
        "hash_sample": (members["hash_sample"], 0, 1 if hasher.metric == "hamming" else 255),
        "run_number": (members["run_number"], 0, n),
        "pairs_per_original": (members["pairs_per_original"], 0, 2 * n * (1 + lengths.get("c", 0))),
        "columns of pairs_per_original": (np.array(lengths["v + 1"]), v + 1, v + 1),
        "nearest_distance_squared": (squared, 0, furthest),
        "steps of nearest_distance_squared": (np.diff(squared), 0, furthest),
        "detail_bin_edges": (edges, 0, math.inf),
        "steps of detail_bin_edges": (np.diff(edges), 0, math.inf),
        "number of detail_bin_edges": (np.array(len(edges)), bins - 1, bins - 1),
        "number of names": (np.array(n), 1, math.inf),
        "number of hash_sample": (np.array(m), 0, min(n, largest_sample)),
        "nearest_limit": (members["nearest_limit"], -1, hasher.largest_threshold),
    }
    for name in (*_BY_DISTANCE, *_PAIRS):
        most = n * (n * (v + 1) + lengths.get("c", 0))
        ranges[name] = members[name], 0, most
        ranges[f"sum of {name}"] = members[name].sum(dtype=float), 0, most
    check_ranges(path, ranges)
    check_ranges(path, _listed_pairs(members))
    return members


def _hasher(path: str, content: bytes) -> HasherScale:
    """Return the hasher whose hashes were counted: "photodna" if none is named."""
    if "hasher" not in npz.member_names(path, content):
        return PHOTODNA
    texts = npz.unpack(path, content, ["hasher"])["hasher"]
    try:
        name, length, metric, quality, low_quality = npz.unpack_texts(
            checks.array("hasher", texts, np.uint8, ("any",))
        )
        return HasherScale.checked(name, int(length), metric, quality, float(low_quality))
    except (ArgumentError, ArgumentTypeError, ValueError) as error:
        raise FileError(path, f"is damaged or another file ({error}); create it again") from error


def _listed_pairs(members: Mapping[str, Any]) -> dict[str, tuple[Any, float, float]]:
    """Return the ranges of numbers that are known where the listed pairs are those counted."""
    i, j, limit = members["nearest_i"], members["nearest_j"], members["nearest_limit"].item()
    first, second = (members["in_validation_half"][rows] for rows in (i, j))
    split = np.where(first == second, first, _SPLITS - 1)
    hasher: HasherScale = members["hasher"]
    bins, n_bins = hasher.bins(members["nearest_distance_squared"]), hasher.n_bins
    listed = np.bincount(split * n_bins + bins, minlength=_SPLITS * n_bins)
    counted = members["impostor_originals"] + members["impostor_variants"].sum(axis=0)
    counted[:, limit + 1 :] = 0
    return {
        "nearest_i and nearest_j": (i - j != 0, 1, 1),
        "compared": (members["compared"][i] & members["compared"][j], 1, 1),
        "pairs that are listed and not counted": (listed.reshape(_SPLITS, -1) - counted, 0, 0),
    }


def unpack(
    path: str, content: bytes, schema: Schema, texts: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return arrays and texts in an ``.npz`` file by name, and the lengths of named sides.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    content : bytes
        Content of the file.
    schema : dict of str to (type, tuple)
        Dtype and sides of each array.
    texts : dict of str to str
        Names of lists of texts, as `npz.pack_texts` writes them, with the names of their lengths;
        an empty one for any length.

    Raises
    ------
    FileError
        The file is damaged, lacks an array, or an array has another dtype or shape.
    """
    members: dict[str, Any] = npz.unpack(path, content, (*schema, *texts))
    lengths: dict[str, int] = {}
    try:
        for name, texts_side in texts.items():
            members[name] = npz.unpack_texts(checks.array(name, members[name], np.uint8, ("any",)))
            _same_length(name, lengths, texts_side, len(members[name]))
        for name, (dtype, sides) in schema.items():
            array = checks.array(name, members[name], dtype, sides)
            for side, length in zip(sides, array.shape, strict=True):
                if isinstance(side, str):
                    _same_length(name, lengths, side, length)
    except (ArgumentError, ArgumentTypeError) as error:
        raise FileError(path, f"is damaged or another file ({error}); create it again") from error
    return members, lengths


def check_ranges(path: str, ranges: Mapping[str, tuple[Any, float, float]]) -> None:
    """Raise a FileError unless all values of arrays lie between two numbers, inclusive.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    ranges : dict of str to (array, least, most)
        By the names of the arrays.
    """
    for name, (values, least, most) in ranges.items():
        if not np.all((values >= least) & (values <= most)):
            raise FileError(
                path,
                f"is damaged or another file ({name}: needs values from {least:g} to {most:g}); "
                "create it again",
            )


def _same_length(name: str, lengths: dict[str, int], side: str, length: int) -> None:
    if side and lengths.setdefault(side, length) != length:
        raise ArgumentError(f"{name}: has {length} rows, needs {lengths[side]}")
