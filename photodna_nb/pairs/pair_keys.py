"""Pairs as integers of 64 bits, which sort fast and take a third of the memory of an answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from tempfile import TemporaryFile
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import TableFileError
from photodna_nb.files import write_errors
from photodna_nb.pairs.blocks import PackedPairs

Keys = NDArray[np.uint64]

# Keys in one piece of an answer, and the distance of the samples that divide runs into pieces.
PIECE_KEYS = 2**18
_SAMPLE_DISTANCE = 2**10
_KEY_BYTES = 8


class PairKeys(NamedTuple):
    """The form of the keys: from the highest bit to the lowest, i, j and the distance.

    The bits of i that do not fit, as with tens of millions of hashes, number a bucket.

    Attributes
    ----------
    j_bits, distance_bits : int
        Bits of the largest j, and of the largest distance.
    """

    j_bits: int
    distance_bits: int

    def pack(self, chunk: PackedPairs) -> Iterator[tuple[int, Keys]]:
        """Yield each bucket of a chunk, and its keys in any order."""
        packed = chunk.packed.view(np.uint64)
        i = packed >> np.uint64(32)
        keys = i << np.uint64(self.j_bits)
        keys |= packed & (2**32 - 1)
        keys <<= self.distance_bits
        keys |= chunk.distances.astype(np.uint64)
        i >>= 64 - self.j_bits - self.distance_bits
        if not i.any():
            yield 0, keys
            return
        for bucket in np.unique(i).tolist():
            yield bucket, keys[i == bucket]

    def unpack(
        self, bucket: int, keys: Keys
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Return i, j and the distances of keys of a bucket."""
        bits = self.j_bits + self.distance_bits
        i = (keys >> bits) + (bucket << (64 - bits))
        j = (keys >> self.distance_bits) & ((1 << self.j_bits) - 1)
        distances = (keys & ((1 << self.distance_bits) - 1)).astype(np.int32)
        return i.view(np.int64), j.view(np.int64), distances

    def nearest(self, keys: Keys, places: dict[int, slice]) -> tuple[Keys, dict[int, slice]]:
        """Return each pair once, at its smallest distance, from sorted keys of some buckets."""
        parts, nearest, stop = [], {}, 0
        for bucket, place in places.items():
            pairs = keys[place] >> self.distance_bits
            parts.append(keys[place][np.append(True, pairs[1:] != pairs[:-1])])
            start, stop = stop, stop + len(parts[-1])
            nearest[bucket] = slice(start, stop)
        return np.concatenate([keys[:0], *parts]), nearest


class KeyBuckets(dict[int, list[Keys]]):
    """Keys in memory, by bucket."""

    def add(self, keys: PairKeys, chunk: PackedPairs) -> None:
        """Add the keys of a chunk."""
        for bucket, part in keys.pack(chunk):
            self.setdefault(bucket, []).append(part)

    def remove_sorted(self) -> tuple[Keys, dict[int, slice]]:
        """Return all keys, sorted, and the place of each bucket. None is left here."""
        keys = np.empty(sum(len(part) for parts in self.values() for part in parts), np.uint64)
        places, stop = {}, 0
        for bucket in sorted(self):
            parts = self.pop(bucket)
            start, stop = stop, stop + sum(map(len, parts))
            places[bucket] = slice(start, stop)
            np.concatenate(parts, out=keys[start:stop])
            keys[start:stop].sort()
        return keys, places


class SortedRun(NamedTuple):
    """Sorted keys, of which only some are in memory.

    read: function that returns the keys from one place to another; n_keys: number of keys;
    samples: the first of every `_SAMPLE_DISTANCE` keys.
    """

    read: Callable[[int, int], Keys]
    n_keys: int
    samples: Keys

    @classmethod
    def of(cls, keys: Keys, read: Callable[[int, int], Keys]) -> Self:
        """Return the run of keys that `read` reads."""
        return cls(read, len(keys), keys[::_SAMPLE_DISTANCE].copy())


class KeyFile:
    """Sorted runs of keys in a file without a name, which no interruption leaves behind.

    Parameters
    ----------
    path : str
        Path of the file that the keys are for: the runs are in its folder.

    Raises
    ------
    TableFileError
        The runs cannot be written: a method raises it, too.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._runs: dict[int, list[SortedRun]] = {}
        self._count = 0
        with write_errors(path, TableFileError):
            folder = os.path.dirname(os.path.realpath(path))
            self._file = TemporaryFile(dir=folder)  # noqa: SIM115 closed by `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk: the error was raised by `add`
            self._file.close()

    def add(self, buckets: KeyBuckets) -> None:
        """Move the keys in memory to the file."""
        keys, places = buckets.remove_sorted()
        for bucket, place in places.items():
            run = SortedRun.of(keys[place], partial(self._read, self._count + place.start))
            self._runs.setdefault(bucket, []).append(run)
        self._count += len(keys)
        with write_errors(self._path, TableFileError):
            self._file.write(keys.data)
            self._file.flush()

    def pieces(self) -> Iterator[tuple[int, Keys]]:
        """Yield all keys in order, in pieces of some `PIECE_KEYS`, each with its bucket."""
        for bucket in sorted(self._runs):
            for piece in merged(self._runs[bucket]):
                yield bucket, piece

    def _read(self, offset: int, start: int, stop: int) -> Keys:
        # Not mapped: pages that were read would count as memory of this process.
        self._file.seek((offset + start) * _KEY_BYTES)
        return np.frombuffer(self._file.read((stop - start) * _KEY_BYTES), np.uint64)


def merged(runs: list[SortedRun]) -> Iterator[Keys]:
    """Yield the elements of sorted runs, in order, in pieces.

    Between two bounds lie at most `PIECE_KEYS` elements, and `_SAMPLE_DISTANCE` more of each run.
    """
    samples = np.sort(np.concatenate([run.samples for run in runs]))
    bounds = samples[:: PIECE_KEYS // _SAMPLE_DISTANCE][1:]
    places = [0] * len(runs)
    remaining = [np.empty(0, np.uint64)] * len(runs)
    for bound in [*bounds, None]:
        parts = []
        for number, run in enumerate(runs):
            stop = cut = run.n_keys
            if bound is not None:  # the keys from the first such sample on are not below it
                stop = min(stop, _SAMPLE_DISTANCE * int(np.searchsorted(run.samples, bound)))
            keys = np.concatenate([remaining[number], run.read(places[number], stop)])
            if bound is not None:
                cut = int(np.searchsorted(keys, bound))
            parts.append(keys[:cut])
            remaining[number], places[number] = keys[cut:].copy(), stop
        piece = np.concatenate(parts)
        piece.sort()
        yield piece
