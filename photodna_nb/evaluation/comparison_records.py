"""Records of a comparison of two runs, and the differences in settings, originals and hashes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.json_record import JSONRecord, json_number
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.pair_records import GenuinePairs
from photodna_nb.evaluation.run_files import COUNTS, HASHES, RESULTS
from photodna_nb.printable import short_repr

Verdict = Literal["identical", "overlapping", "significant", "unknown"]
MeetsTarget = Literal["yes", "no", "unclear", "extrapolated", "unknown"]

# Lists in a configuration that are compared item by item.
_LISTS = (
    *("variants.transforms", "thresholds.targets", "originals.paths", "pairs.duplicates"),
    *("pairs.leave_out", "hash.names"),
)


class ValueChange(NamedTuple):
    """A value that differs between the runs.

    Attributes
    ----------
    name : str
        Name of the value.
    first, second : object
        Value in the first and in the second run, None if it is missing there; of lists, the items
        of that run alone.
    """

    name: str
    first: Any
    second: Any


@short_repr
@dataclass(frozen=True)
class OriginalChanges:
    """Names of originals, by what happened to them from the first run to the second.

    Attributes
    ----------
    same : int
        Number of originals with the same name and content.
    changed : tuple of str
        Originals with the same name and other content.
    renamed : tuple of (str, str)
        Originals with the same content and another name.
    removed, added : tuple of str
        Originals of the first run alone, and of the second run alone.
    """

    same: int
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class HashChange:
    """How the hashes of the same images differ between the runs, for one transform.

    Attributes
    ----------
    transform : str or None
        Transform of the variants; None for the originals.
    images, differing : int
        Number of images that both runs hashed, and of those with another hash.
    largest_distance : float
        Largest L2 distance between the two hashes of an image.
    distances_differing : int
        Number of genuine pairs with another distance.
    largest_change : float
        Largest difference of such a distance.
    """

    transform: str | None
    images: int
    differing: int
    largest_distance: float
    distances_differing: int
    largest_change: float


@dataclass(frozen=True)
class DiscordantPairs:
    """Genuine pairs of both runs that match in one run alone, at one threshold.

    Attributes
    ----------
    pairs : int
        Number of genuine pairs in both runs.
    lost, gained : int
        Number of pairs that match in the first run alone, and in the second run alone.
    p_value : float or None
        P-value of the exact test whether losses and gains are equally probable; for one transform
        this is McNemar's test. Pairs of one original are not independent trials, so for several
        transforms each original is one trial: whether it lost or gained more. None if no pair
        changed.
    """

    pairs: int
    lost: int
    gained: int
    p_value: float | None


class IntervalEstimate(NamedTuple):
    """A number with its confidence interval.

    Attributes
    ----------
    value : float or None
        The estimate; None where only a bound is known.
    lower, upper : float
        Confidence limits.
    source : str
        Where a false match rate comes from, as in `ExpectedMatches`; "tail beyond validation"
        below `Tail.validated_down_to`.
    """

    value: float | None
    lower: float
    upper: float
    source: str = "counted"


def interval_estimate(
    value: float | None, lower: float | None, upper: float | None, source: str = "counted"
) -> IntervalEstimate | None:
    """Return the numbers as a run writes them; None if there is no interval."""
    value, lower, upper = json_number(value), json_number(lower), json_number(upper)
    if lower is None or upper is None:
        return None
    return IntervalEstimate(value, lower, upper, source)


@dataclass(frozen=True)
class Conclusion(JSONRecord):
    """A quantity that both runs estimate, with its confidence intervals, and the verdict on it.

    Attributes
    ----------
    kind : {"recall", "false match rate", "false matches per day"}
        The quantity.
    about : str
        Transforms and threshold of the quantity, in words.
    thresholds : (int or None, int or None)
        L2 threshold in the first run and in the second; None where there is none.
    first, second : IntervalEstimate or None
        Estimate of the first run and of the second; None where there is none.
    target : float or None
        Largest acceptable value, if there is a target.
    transform : str or None
        Transform of the genuine pairs; None for all that are in both runs.
    oriented : bool
        Whether distances are oriented: the smallest over the eight orientations of the original.
    discordant : DiscordantPairs or None
        The same genuine pairs in both runs; None if there are none.
    """

    kind: str
    about: str
    thresholds: tuple[int | None, int | None]
    first: IntervalEstimate | None
    second: IntervalEstimate | None
    target: float | None = None
    transform: str | None = None
    oriented: bool = False
    discordant: DiscordantPairs | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the intervals of the runs are identical, overlap or not: see `compare`."""
        if self.first is None or self.second is None:
            return "unknown"
        if self.first == self.second:
            return "identical"
        disjoint = self.first.upper < self.second.lower or self.second.upper < self.first.lower
        return "significant" if disjoint else "overlapping"

    @property
    def meets_target(self) -> MeetsTarget | None:
        """Whether the second run meets the target: see `compare`; None without a target."""
        if self.target is None:
            return None
        if self.second is None:
            return "unknown"
        if self.second.source.startswith("tail"):
            return "extrapolated"
        if self.second.upper <= self.target:
            return "yes"
        return "no" if self.second.lower > self.target else "unclear"

    def as_json(self) -> dict[str, Any]:
        """Return all attributes and properties as a dictionary that JSON takes."""
        return super().as_json() | {"verdict": self.verdict, "meets_target": self.meets_target}


@dataclass(frozen=True)
class Comparison(JSONRecord):
    """Differences between two runs.

    Attributes
    ----------
    first, second : str
        Folders of the runs.
    identical : bool
        Whether counts, hashes and tables are the same to the byte.
    same_originals : bool
        Whether both runs have the same originals, as far as these could be hashed.
    confidence : float
        Confidence level of the intervals: that of the first run.
    configuration, versions : tuple of ValueChange
        Settings, and versions of software, that differ.
    originals : OriginalChanges
        Names of the originals, by what happened to them.
    failures : ValueChange
        Failures of one run alone.
    hash_changes : tuple of HashChange
        How the hashes of the same images differ: of the originals, then by transform.
    conclusions : tuple of Conclusion
        All results that were compared.
    numbers : tuple of ValueChange
        Numbers without a confidence interval, whether they differ or not.
    notes : tuple of str
        What was not compared, or not as in the reports.
    """

    first: str
    second: str
    identical: bool
    same_originals: bool
    confidence: float
    configuration: tuple[ValueChange, ...]
    versions: tuple[ValueChange, ...]
    originals: OriginalChanges
    failures: ValueChange
    hash_changes: tuple[HashChange, ...]
    conclusions: tuple[Conclusion, ...]
    numbers: tuple[ValueChange, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Comparison of {self.first} and {self.second}: {self.headline()}>"

    def with_verdict(self, verdict: Verdict) -> list[Conclusion]:
        """Return the conclusions with a verdict."""
        return [conclusion for conclusion in self.conclusions if conclusion.verdict == verdict]

    def headline(self) -> str:
        """Return the result of the comparison in one sentence."""
        if self.identical:
            return "identical results"
        significant = self.with_verdict("significant")
        kinds = Counter(conclusion.kind for conclusion in significant)
        numbers = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
        headline = f"{len(significant)} of {len(self.conclusions)} conclusions differ significantly"
        return f"{headline}: {numbers}" if numbers else headline


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
    hasher: HasherScale,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_squared: NDArray[Any],
    second_squared: NDArray[Any],
) -> HashChange:
    """Return how hashes of the same images, (m, length), and their genuine distances differ."""
    distance_squared = hasher.integers(first, second)
    change = np.abs(hasher.distances(first_squared) - hasher.distances(second_squared))
    return HashChange(
        transform,
        len(distance_squared),
        int((distance_squared > 0).sum()),
        json_number(hasher.distance(int(distance_squared.max(initial=0)))),
        int((first_squared != second_squared).sum()),
        json_number(float(change.max(initial=0.0))),
    )


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def data_digests(results: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of the hashes, counts and results among those of a manifest."""
    data = COUNTS, HASHES, RESULTS
    return {name: digest for name, digest in results.items() if name.rpartition("/")[2] in data}


def with_transforms(
    counts: PairCounts, transforms: Sequence[str], with_variants: bool
) -> PairCounts:
    """Return the counts of some transforms alone, in that order."""
    if with_variants and counts.transforms == tuple(transforms):
        return counts
    columns = [counts.transforms.index(spec) for spec in transforms]
    number = np.full(len(counts.transforms) + 1, -2, np.int16)
    number[ORIGINAL], number[columns] = ORIGINAL, np.arange(len(columns))
    genuine = counts.genuine._replace(transform=number[counts.genuine.transform])
    nearest = counts.nearest._replace(transform=number[counts.nearest.transform])
    compared = nearest.transform >= ORIGINAL if with_variants else nearest.transform == ORIGINAL
    return replace(
        counts,
        transforms=tuple(transforms),
        genuine=GenuinePairs.joined([genuine.taken(genuine.transform >= ORIGINAL)]),
        impostor_variants=counts.impostor_variants[columns] * with_variants,
        pairs_per_original=counts.pairs_per_original[:, [0, *(1 + np.array(columns, int))]]
        * np.array([1, *[with_variants] * len(columns)], np.int32),
        nearest=nearest.taken(compared),
        partitions={},  # which count the variants of all transforms
    )


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


def common_pairs(
    counts: Sequence[PairCounts], rows: Sequence[NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """Return the places of the genuine pairs that both runs have: in the first, in the second.

    Pairs are the same if their originals have the same places in `rows`, their transform
    the same number, and their copy the same name.
    """
    keys, chosen = [], []
    copies = {name: number for number, name in enumerate(counts[0].copies)}
    for run, own in zip(counts, rows, strict=True):
        place = np.full(len(run), -1)
        place[own] = np.arange(len(own))
        low, high = np.sort([place[run.genuine.i], place[run.genuine.j]], axis=0)
        copy = np.array([copies.get(name, -2) for name in run.copies] + [-1])[run.genuine.copy]
        chosen.append(np.flatnonzero((low >= 0) & (copy > -2)))
        key = (low * len(own) + high) * (len(run.transforms) + 1) + run.genuine.transform
        keys.append((key * (len(copies) + 1) + copy)[chosen[-1]])
    _, *both = np.intersect1d(*keys, return_indices=True)
    return [pairs[place] for pairs, place in zip(chosen, both, strict=True)]
