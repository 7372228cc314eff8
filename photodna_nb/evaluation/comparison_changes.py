"""Differences between two runs in settings, originals and hashes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.comparison_records import HashChange, OriginalChanges, ValueChange
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import PairCounts

# Lists in a configuration that are compared item by item.
_LISTS = "variants.transforms", "thresholds.targets", "originals.paths", "pairs.exclude"


def value_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[ValueChange]:
    """Yield the values of nested mappings that differ."""
    one, other = dict(_flattened(first)), dict(_flattened(second))
    for name in dict.fromkeys((*one, *other)):
        values = one.get(name), other.get(name)
        if values[0] == values[1]:
            continue
        by_item = name in _LISTS and None not in values
        yield items_alone(name, *values) if by_item else ValueChange(name, *values)


def items_alone(name: str, first: Any, second: Any) -> ValueChange:
    """Return the items that are in one of two lists alone."""
    one, other = ({repr(item) for item in items} for items in (first, second))
    return ValueChange(
        name,
        [item for item in first if repr(item) not in other],
        [item for item in second if repr(item) not in one],
    )


def original_changes(
    first: Mapping[str, str | None], second: Mapping[str, str | None]
) -> OriginalChanges:
    """Return what happened to the originals, from their digests by name."""
    both = [name for name in first if name in second]
    changed = tuple(name for name in both if first[name] != second[name])
    added = {name: digest for name, digest in second.items() if name not in first}
    by_digest = defaultdict(list)
    for name, digest in added.items():
        by_digest[digest].append(name)
    renamed, removed = [], []
    for name in (name for name in first if name not in second):
        if first[name] is not None and by_digest[first[name]]:
            renamed.append((name, by_digest[first[name]].pop(0)))
        else:
            removed.append(name)
    for _, name in renamed:
        del added[name]
    return OriginalChanges(
        len(both) - len(changed), changed, tuple(renamed), tuple(removed), tuple(added)
    )


def hash_change(
    transform: str | None,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_squared: NDArray[Any],
    second_squared: NDArray[Any],
) -> HashChange:
    """Return how hashes of the same images, (m, 144), and their genuine distances differ."""
    distance_squared = np.square(first.astype(np.int32) - second).sum(axis=1)
    change = np.abs(np.sqrt(first_squared) - np.sqrt(second_squared))
    return HashChange(
        transform,
        len(distance_squared),
        int((distance_squared > 0).sum()),
        json_number(math.sqrt(distance_squared.max(initial=0))),
        int((first_squared != second_squared).sum()),
        json_number(float(change.max(initial=0.0))),
    )


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def common_rows(first: PairCounts, second: PairCounts) -> tuple[NDArray[np.intp], ...]:
    """Return the rows of originals with the same content, of the same name where possible."""
    left = {key: row for row, key in enumerate(zip(second.digests, second.names, strict=True))}
    rows = [left.pop(key, None) for key in zip(first.digests, first.names, strict=True)]
    renamed = defaultdict(list)
    for (digest, _), row in left.items():
        renamed[digest].append(row)
    for row, digest in enumerate(first.digests):
        if rows[row] is None and renamed[digest]:
            rows[row] = renamed[digest].pop(0)
    pairs = [(row, other) for row, other in enumerate(rows) if other is not None]
    return tuple(np.array(pairs, np.intp).reshape(-1, 2).T)
