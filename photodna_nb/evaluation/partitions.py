"""Originals divided into classes, such as categories, and impostor pairs by two classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import npz
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation import stored_arrays
from photodna_nb.printable import short_repr

NAMES = "sources", "categories"
# Impostor pairs are counted for every two classes.
MOST_CLASSES = 20


@short_repr
@dataclass(frozen=True, eq=False)
class Partition:
    """Originals divided into classes, with the impostor pairs of every two classes.

    Attributes
    ----------
    names : tuple of str, k
        Names of the classes.
    number : ndarray of int32, (n,)
        Number of the class of each original, from 0.
    impostor : ndarray of int64, (k (k + 1) / 2, t)
        Impostor pairs by distance, in the order of `pairs`. A pair of a variant and another
        original belongs to the classes of the two originals.
    """

    names: tuple[str, ...]
    number: NDArray[np.int32]
    impostor: NDArray[np.int64]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of two classes, the lower one first, for each histogram."""
        return class_pairs(len(self.names))

    def joined(self, other: Partition) -> Partition:
        """Return the partition of the originals of both, whose classes are told by their names."""
        names = tuple(dict.fromkeys(self.names + other.names))
        impostor = np.zeros((len(class_pairs(len(names))), self.impostor.shape[1]), np.int64)
        numbers = []
        for part in (self, other):
            own = np.array([names.index(name) for name in part.names], np.int32)
            numbers.append(own[part.number])
            a, b = own[np.array(part.pairs)].T
            impostor[pair_number(a, b, len(names))] += part.impostor
        return Partition(names, np.concatenate(numbers), impostor)


def class_pairs(k: int) -> list[tuple[int, int]]:
    """Return the numbers of every two of k classes, the lower one first."""
    return list(itertools.combinations_with_replacement(range(k), 2))


def pair_number(a: NDArray[Any], b: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Return the place of two classes, in any order, in `class_pairs`."""
    low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b)
    place: NDArray[np.int64] = low * (2 * k - low - 1) // 2 + high
    return place


def numbered(name: str, labels: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the different labels, sorted, and which of them each label is, (n,).

    Raises
    ------
    ArgumentError
        There are too many; `name` is what has them.
    """
    names = tuple(sorted(set(labels)))
    if len(names) > MOST_CLASSES:
        raise ArgumentError(
            f"{name}: has {len(names)} different ones, needs at most {MOST_CLASSES}, since pairs "
            "are counted for every two of them; merge some"
        )
    place = {label: number for number, label in enumerate(names)}
    return names, np.array([place[label] for label in labels], np.int32)


def joined(one: Mapping[str, Partition], other: Mapping[str, Partition]) -> dict[str, Partition]:
    """Return the partitions of the originals of two runs, by name.

    Raises
    ------
    ArgumentError
        One of them has others.
    """
    if names := one.keys() ^ other.keys():
        raise ArgumentError(
            f"other: only one of the counts has {' and '.join(sorted(names))}; count the pairs of "
            "both runs with them, or of both without"
        )
    return {name: partition.joined(other[name]) for name, partition in one.items()}


def members(partitions: Mapping[str, Partition]) -> dict[str, NDArray[Any]]:
    """Return the arrays in which a file holds partitions."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, partition in partitions.items():
        arrays[f"{name}_names"] = npz.pack_texts(partition.names)
        arrays[f"{name}_number"] = partition.number
        arrays[f"{name}_impostor"] = partition.impostor
    return arrays


def unpack(path: str, content: bytes, n: int, n_bins: int) -> dict[str, Partition]:
    """Return the partitions in the content of a file, by name.

    Parameters
    ----------
    path : str
        Path of the file, for errors.
    content : bytes
        Content of the file.
    n, n_bins : int
        Number of originals, and of distance bins.

    Raises
    ------
    FileError
        The file is damaged, or holds partitions of other originals.
    """
    there = npz.member_names(path, content)
    return {
        name: _unpack(path, content, name, n, n_bins) for name in NAMES if f"{name}_number" in there
    }


def _unpack(path: str, content: bytes, name: str, n: int, n_bins: int) -> Partition:
    keys = texts_key, number_key, impostor_key = (
        f"{name}_names",
        f"{name}_number",
        f"{name}_impostor",
    )
    schema: stored_arrays.Schema = {
        number_key: (np.int32, ("n",)),
        impostor_key: (np.int64, ("p", n_bins)),
    }
    arrays, lengths = stored_arrays.unpack(path, content, schema, {texts_key: "k"})
    texts, number, impostor = (arrays[key] for key in keys)
    k = len(texts)
    rows = k * (k + 1) // 2
    ranges: dict[str, tuple[Any, float, float]] = {
        f"number of {texts_key}": (np.array([k, len(set(texts))]), k, MOST_CLASSES),
        f"length of {number_key}": (np.array(lengths["n"]), n, n),
        number_key: (number, 0, k - 1),
        f"length of {impostor_key}": (np.array(lengths["p"]), rows, rows),
        impostor_key: (impostor, 0, math.inf),
    }
    stored_arrays.check_ranges(path, ranges)
    return Partition(texts, number, impostor)
