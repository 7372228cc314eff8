"""A local FAISS index of hashes with its metadata: create, open, add, search, save."""

from __future__ import annotations

import json
import math
import operator
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import arrays, distances, files
from photodna_nb.arrays import described
from photodna_nb.distances import Limit
from photodna_nb.errors import ArgumentError, ArgumentTypeError, IndexFileError
from photodna_nb.index import faiss_file, metadata, storage
from photodna_nb.index.metadata import Item, Metadata
from photodna_nb.names import displayed

PathLike = str | bytes | os.PathLike[str]


@dataclass(frozen=True)
class Match:
    """An indexed image and how far it is from the query.

    Attributes
    ----------
    id : int
        Of the item in its index.
    path : str
        Real, absolute path of the image when it was indexed.
    distance_squared : int
        Squared L2 distance, exact.
    extra : dict
        What was stored with the item.
    """

    id: int
    path: str
    distance_squared: int
    extra: Mapping[str, Any] = field(hash=False)

    @property
    def distance(self) -> float:
        """L2 distance, 0 to 3060."""
        return math.sqrt(self.distance_squared)

    @property
    def similarity(self) -> float:
        """1 - distance / 3060."""
        return distances.similarity_at(self.distance_squared)


class Added(NamedTuple):
    """What `HashIndex.add` did: the new ids, and the paths that were there already."""

    ids: list[int]
    skipped: list[str]


class HashIndex:
    """An exact index of hashes, and its metadata, in two files.

    Make one with `create`, `open` or `rebuild`. Changes live in memory until `save`.

    Attributes
    ----------
    index_path, meta_path : str
        The FAISS file and the JSON file.
    """

    def __init__(self, index_path: PathLike, meta_path: PathLike, content: Metadata) -> None:
        self.index_path = os.path.abspath(_text("index_path", index_path))
        self.meta_path = os.path.abspath(_text("meta_path", meta_path))
        self._metadata = content
        self._faiss = faiss_file.build(content.hashes(), content.ids())
        self._items = {item.id: item for item in content.items}
        self._paths = {item.path for item in content.items}
        self._may_replace = True

    @classmethod
    def create(
        cls, index_path: PathLike, meta_path: PathLike, *, overwrite: bool = False
    ) -> HashIndex:
        """Return a new, empty index; nothing is written before `save`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two files to be.
        overwrite : bool
            Whether `save` may replace files that are there: of an index, never others.

        Raises
        ------
        IndexFileError
            One of the files exists, and `overwrite` is False or it is of another
            kind; or its folder does not exist or cannot be written.
        ArgumentError
            The two paths are the same file.
        """
        _two_files(index_path, meta_path, replace_meta=True)
        index = cls(index_path, meta_path, Metadata())
        index._may_replace = overwrite
        index._check_new(index_path, meta_path)
        return index

    @classmethod
    def open(cls, index_path: PathLike, meta_path: PathLike) -> HashIndex:
        """Return the index in the two files, once each vector equals its hash in the metadata.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            Files of this program or of ``oaphotodna.py``.

        Raises
        ------
        IndexFileError
            A file is missing, damaged or of another kind, or the two do not belong together.
        """
        index_name, meta_name = _text("index_path", index_path), _text("meta_path", meta_path)
        content = metadata.load(meta_name)
        try:
            vectors, ids = faiss_file.load(index_name)
            if len(ids) != len(content.items):
                problem = f"it holds {len(ids)} items, the metadata {len(content.items)}"
            elif not np.array_equal(ids, content.ids()):
                problem = "their ids, or the order of them, differ"
            elif not np.array_equal(vectors, content.hashes()):
                problem = "their hashes differ"
            else:
                return cls(index_name, meta_name, content)
            raise IndexFileError(index_name, f"does not belong to its metadata: {problem}")
        except IndexFileError as error:
            remedy = "If the metadata is the right one, write the index anew from it: photodna-nb "
            remedy += f"--faiss-rebuild {_typed(index_name)} {_typed(meta_name)}"
            raise IndexFileError(index_name, f"{error.reason}. {remedy}") from error

    @classmethod
    def rebuild(cls, index_path: PathLike, meta_path: PathLike) -> HashIndex:
        """Write the index file anew from the metadata, which holds every hash, and return it.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The index to write, missing or damaged or not, and the metadata to read.

        Raises
        ------
        IndexFileError
            The metadata cannot be used, the index is a file of another kind, or it
            cannot be written.
        ArgumentError
            The two paths are the same file.
        """
        _two_files(index_path, meta_path, replace_meta=False)
        index = cls(index_path, meta_path, metadata.load(_text("meta_path", meta_path)))
        files.write([(index.index_path, faiss_file.encode(index._faiss))], IndexFileError)
        return index

    def __repr__(self) -> str:
        return f"<HashIndex of {len(self)} items in {displayed(self.index_path)}>"

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def __contains__(self, path: PathLike) -> bool:
        """Return whether the image at `path` is indexed, by its real, absolute path."""
        return os.path.realpath(_text("path", path)) in self._paths

    def add(
        self,
        paths: Sequence[PathLike],
        hashes: NDArray[np.uint8],
        *,
        extra: Sequence[Mapping[str, Any]] | None = None,
    ) -> Added:
        """Append images by their hashes; a path that is indexed already is skipped.

        Parameters
        ----------
        paths : sequence of str or os.PathLike, n
            Stored as real, absolute paths. Two files with the same hash are two items.
        hashes : ndarray of uint8, (n, 144)
            Their hashes.
        extra : sequence of dict, n, optional
            Stored with the items; JSON values.

        Returns
        -------
        Added
            ``ids`` of the new items, in order, and the ``skipped`` paths.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `hashes` has another dtype or shape, or the lengths differ.
        """
        hashes = arrays.checked("hashes", hashes, np.uint8, ("n", arrays.HASH_BYTES))
        real = [
            os.path.realpath(_text(f"paths[{i}]", path)) for i, path in _entries("paths", paths)
        ]
        extras: list[dict[str, Any]] = [{} for _ in real]
        if extra is not None:
            extras = [_json_object(f"extra[{i}]", entry) for i, entry in _entries("extra", extra)]
        if not len(real) == len(hashes) == len(extras):
            raise ArgumentError(
                f"paths, hashes, extra: got {len(real)}, {len(hashes)} and {len(extras)} entries, "
                "needs one of each for every image"
            )
        content = self._metadata
        start = len(content.items)
        skipped = []
        for path, hash_bytes, entry in zip(real, hashes, extras, strict=True):
            if path in self._paths:
                skipped.append(path)
                continue
            item = Item(content.next_id, path, hash_bytes.copy(), entry)
            content.items.append(item)
            content.next_id += 1
            self._items[item.id] = item
            self._paths.add(path)
        ids = content.ids(start)
        faiss_file.add(self._faiss, content.hashes(start), ids)
        return Added(ids.tolist(), skipped)

    def search(
        self,
        hashes: NDArray[np.uint8],
        k: int = 10,
        min_similarity: Limit | None = None,
        max_distance: Limit | None = None,
    ) -> list[list[Match]]:
        """Return, for each query, the `k` closest items that keep the limits.

        Parameters
        ----------
        hashes : ndarray of uint8, (n, 144) or (144,)
            The queries; a single hash is one query.
        k : int
            How many matches at the most, at least 1.
        min_similarity : float or exact number, optional
            0 to 1, inclusive and exact: see `distances.limit_squared`.
        max_distance : float or exact number, optional
            L2, at least 0, inclusive and exact.

        Returns
        -------
        list of n lists of Match
            Ordered by distance, then id.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            An argument has another type or shape, or is out of range.
        """
        if isinstance(hashes, np.ndarray) and hashes.ndim == 1:
            hashes = hashes[None]
        queries = arrays.checked("hashes", hashes, np.uint8, ("n", arrays.HASH_BYTES))
        try:
            count = operator.index(k)
        except TypeError as error:
            raise ArgumentTypeError(f"k: got {k!r}, needs an integer of at least 1") from error
        if count < 1:
            raise ArgumentError(f"k: got {k}, needs an integer of at least 1")
        limit = distances.limit_squared(min_similarity, max_distance)
        return [self._closest(query, count, limit) for query in queries]

    def save(self) -> None:
        """Write both files, each in one step: the metadata first, since it is the truth.

        Raises
        ------
        IndexFileError
            A file cannot be written, and is as it was; or one has come to be since
            `create`, which was not told to overwrite.
        """
        self._check_new(self.index_path, self.meta_path)
        files.write(
            [
                (self.meta_path, metadata.encode(self._metadata)),
                (self.index_path, faiss_file.encode(self._faiss)),
            ],
            IndexFileError,
        )
        self._may_replace = True

    def _check_new(self, *paths: PathLike) -> None:
        for path in paths:
            if not self._may_replace and os.path.lexists(path):
                raise IndexFileError(
                    path,
                    "exists already; add to it with --faiss-add (HashIndex.open), "
                    "or replace it with --overwrite (overwrite=True)",
                )

    def _closest(self, query: NDArray[np.uint8], k: int, limit: int) -> list[Match]:
        # One query a call: FAISS then sums up integers below 2**24 in float32, which is exact.
        vector = query.astype(np.float32)[None]
        radius = limit
        if k < len(self):
            found, ids = self._faiss.search(vector, k)
            farthest = int(found[0, -1])
            if farthest > limit:
                return self._matches(found[0], ids[0], limit)[:k]
            radius = farthest  # others may lie just as far, with lower ids
        # FAISS's radius is squared and exclusive.
        _, found, ids = self._faiss.range_search(vector, radius + 1)
        return self._matches(found, ids, limit)[:k]

    def _matches(
        self, found: NDArray[np.float32], ids: NDArray[np.int64], limit: int
    ) -> list[Match]:
        pairs = sorted(zip(found.astype(np.int64).tolist(), ids.tolist(), strict=True))
        items = self._items
        return [Match(i, items[i].path, d, dict(items[i].extra)) for d, i in pairs if d <= limit]


def _text(name: str, path: PathLike) -> str:
    """Return the path as text, if it can be the name of a file."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"{name}: got {described(path)}, needs a path")
    text = os.fsdecode(path)
    try:
        if text and b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise ArgumentError(f"{name}: got {text[:100]!r}, which cannot be the name of a file")


def _entries(name: str, values: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name}: got {described(values)}, needs a sequence, one an image")
    return enumerate(values)


def _json_object(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of the mapping, if JSON can hold it."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name}: got {described(value)}, needs a mapping")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: got what JSON cannot hold ({error})") from error
    return copy


def _two_files(index_path: PathLike, meta_path: PathLike, *, replace_meta: bool) -> None:
    """Refuse to write over the metadata, or over files that are no index."""
    index_name, meta_name = _text("index_path", index_path), _text("meta_path", meta_path)
    same = os.path.realpath(index_name) == os.path.realpath(meta_name)
    if os.path.exists(index_name) and os.path.exists(meta_name):
        same = same or os.path.samefile(index_name, meta_name)
    if same:
        raise ArgumentError("index_path, meta_path: got the same file twice, needs two files")
    storage.check_replaceable(index_name, metadata.FAISS_BEGINNING)
    if replace_meta:
        metadata.check_name(meta_name)
        storage.check_replaceable(meta_name, metadata.BEGINNING)


def _typed(path: str) -> str:
    """Return the path as one word of a shell command."""
    return shlex.quote(displayed(path))
