"""Two runs beside each other: what changed, and which conclusions differ significantly."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from photodna_nb import files, npz
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentTypeError, FileError
from photodna_nb.evaluation import comparison_format
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.curves import RateCurves
from photodna_nb.evaluation.deployment import expected_matches, threshold_under
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import RateEstimates, RecallQuery, estimate_recalls, estimate_run
from photodna_nb.evaluation.results import COUNTS, RESULTS, Results
from photodna_nb.evaluation.run_folder import HASHES
from photodna_nb.evaluation.thresholds import OperatingPoint, operating_points
from photodna_nb.files import PathLike

Verdict = Literal["same", "within", "significant", "unknown"]
MeetsTarget = Literal["yes", "no", "unclear", "unknown"]
Rows = NDArray[np.intp]
Runs: TypeAlias = "tuple[_Run, _Run]"

# Lists in a configuration that are compared item by item.
_LISTS = "variants.transforms", "thresholds.targets", "originals.paths", "pairs.exclude"
_ALL = "all edits"


class ValueChange(NamedTuple):
    """Something with one value in the first run and another in the second.

    Of a list, what is in the one run alone; of a value that is missing, None.
    """

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class OriginalChanges:
    """Names of the originals, by what became of them from the first run to the second.

    Attributes
    ----------
    same : int
        How many have the same name and the same content.
    changed : tuple of str
        The same name, and other content.
    renamed : tuple of (str, str)
        The same content, by another name.
    removed, added : tuple of str
        In the first run alone, and in the second.
    """

    same: int
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class HashChange:
    """How the hashes of the same pictures differ from run to run, by edit.

    Attributes
    ----------
    transform : str or None
        The edit; None for the originals as they are.
    pictures, differing : int
        VariantHashes in both runs, and those with another hash.
    largest : float
        L2 distance from the hash of the one run to that of the other, at most.
    distances_differing : int
        Genuine pairs at another distance.
    largest_change : float
        By which such a distance changed, at most.
    """

    transform: str | None
    pictures: int
    differing: int
    largest: float
    distances_differing: int
    largest_change: float


@dataclass(frozen=True)
class DiscordantPairs:
    """Genuine pairs that are in both runs, and match in one of them alone.

    Attributes
    ----------
    pairs : int
        In both runs.
    lost, gained : int
        Match in the first run alone, and in the second.
    p_value : float or None
        Of the exact test whether losses and gains are as likely. Of one edit that is
        McNemar's. Pairs of one original are not independent trials, so that of many edits
        each original is one trial: whether it lost or gained more. None if nothing changed.
    """

    pairs: int
    lost: int
    gained: int
    p_value: float | None


class IntervalEstimate(NamedTuple):
    """A number with its interval.

    `value` is None where only `upper`, a bound, is known. `source` says whence a false match
    rate comes, as in `ExpectedMatches`; "untested tail" beyond `Tail.validated_down_to`.
    """

    value: float | None
    lower: float
    upper: float
    source: str = "counted"


@dataclass(frozen=True)
class Conclusion:
    """What a run says, in both runs.

    Attributes
    ----------
    kind : {"recall", "false match rate", "false matches a day"}
        What is said.
    about : str
        Of what, and at which threshold, for a person to read.
    thresholds : (int or None, int or None)
        L2, in the first run and in the second; None where none could be told.
    first, second : IntervalEstimate or None
        None where nothing is known.
    target : float or None
        What the number is to be at most.
    transform : str or None
        The edit; None for all that are in both runs.
    oriented : bool
        Whether the closest of the original's eight orientations counts.
    discordant : DiscordantPairs or None
        Of the same pairs in both runs, if there are any.
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
        """Whether the two runs differ: see `compare`."""
        if self.first is None or self.second is None:
            return "unknown"
        if self.first == self.second:
            return "same"
        apart = self.first.upper < self.second.lower or self.second.upper < self.first.lower
        return "significant" if apart else "within"

    @property
    def meets_target(self) -> MeetsTarget | None:
        """Return whether the second run keeps the target: see `compare`; None without a target."""
        if self.target is None:
            return None
        if self.second is None:
            return "unknown"
        if self.second.upper <= self.target:
            return "yes"
        return "no" if self.second.lower > self.target else "unclear"

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        values = {**vars(self), "verdict": self.verdict, "meets_target": self.meets_target}
        for name in ("first", "second"):
            values[name] = values[name] and values[name]._asdict()
        return values | {"discordant": self.discordant and asdict(self.discordant)}


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other; `compare` makes it.

    Attributes
    ----------
    first, second : str
        Their folders.
    identical : bool
        Whether counts, hashes and tables are the same to the byte.
    same_originals : bool
        Whether all originals that could be hashed are in both runs.
    confidence : float
        Of the intervals: the first run's.
    configuration, versions : tuple of ValueChange
        What differs.
    inputs : OriginalChanges
        What became of the originals.
    failures : ValueChange
        Those of the one run alone.
    hash_changes : tuple of HashChange
        Of what is in both runs.
    conclusions : tuple of Conclusion
        All that were compared.
    numbers : tuple of ValueChange
        Numbers without an interval, whether they differ or not.
    notes : tuple of str
        What was not compared, or not as the reports have it.
    """

    first: str
    second: str
    identical: bool
    same_originals: bool
    confidence: float
    configuration: tuple[ValueChange, ...]
    versions: tuple[ValueChange, ...]
    inputs: OriginalChanges
    failures: ValueChange
    hash_changes: tuple[HashChange, ...]
    conclusions: tuple[Conclusion, ...]
    numbers: tuple[ValueChange, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Comparison of {self.first} and {self.second}: {self.headline()}>"

    def having(self, verdict: Verdict) -> list[Conclusion]:
        """Return the conclusions of that verdict."""
        return [one for one in self.conclusions if one.verdict == verdict]

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dictionary that JSON takes."""
        changes = {
            name: [one._asdict() for one in getattr(self, name)]
            for name in ("configuration", "versions", "numbers")
        }
        return {
            **vars(self),
            **changes,
            "inputs": asdict(self.inputs),
            "failures": self.failures._asdict(),
            "hash_changes": [asdict(one) for one in self.hash_changes],
            "conclusions": [one.as_json() for one in self.conclusions],
        }

    def headline(self) -> str:
        """Return what there is to say, in a sentence."""
        if self.identical:
            return "identical results"
        moved = self.having("significant")
        kinds = Counter(one.kind for one in moved)
        which = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
        headline = f"{len(moved)} of {len(self.conclusions)} conclusions differ significantly"
        return f"{headline}: {which}" if which else headline

    def text(self) -> str:
        """Return what a person wants to know first, in lines; `as_json` has everything."""
        return "\n".join(comparison_format.lines(self))


def compare(first: Results | PathLike, second: Results | PathLike) -> Comparison:
    """Return what changed between two runs, and which conclusions differ significantly.

    Parameters
    ----------
    first, second : Results, str or os.PathLike
        Results, or the folders of finished runs.

    Returns
    -------
    Comparison
        Its conclusions are the recall of each edit, and of all, at every threshold that
        either run names, and the false match rate there; for every target of either run
        the rate at the threshold of the first, and the recalls at each run's own; and the
        false matches a day at the first's threshold for its budget, and the recall there.

    Raises
    ------
    FileError
        A folder holds no finished run, or a file in it is not the one that was written.
    ArgumentTypeError
        An argument is neither.

    Notes
    -----
    A verdict is

    - *same*: the numbers and the ends of their intervals are identical;
    - *within*: they differ, and the intervals overlap;
    - *significant*: the intervals do not overlap;
    - *unknown*: one run says nothing of it.

    Two intervals of 95 % that do not overlap are a stricter test than one at 5 %: equally
    wide ones of runs that draw their originals from the same source are apart in 0.6 % of
    the cases. With hundreds of conclusions some move by chance, and those that share pairs
    move together. Intervals tell how originals are drawn. Where both runs have the same
    originals a difference is real however small it is, and *within* says only that other
    originals could differ as much; then `DiscordantPairs`, of the same pairs in both, says more.

    A target, or the budget, is kept if the whole interval of the second run at the first's
    threshold is at most that (*yes*), not if all of it is more (*no*), else *unclear*.
    Targets are as in the report: the threshold is chosen on the selection half, and its
    rates are those of the validation half.

    Rates are over the edits that are in both runs, so that like is compared with like, and
    all intervals have the confidence of the first run. Matches a day are those of the
    service that the first run describes.
    """
    one, other = (_loaded(name, run) for name, run in (("first", first), ("second", second)))
    edits = [edit for edit in one.counts.transforms if edit in other.counts.transforms]
    both_ways = all(run.config.pairs.variants_against_others for run in (one, other))
    runs = (
        _Run.of(one, edits, both_ways, one.config),
        _Run.of(other, edits, both_ways, one.config),
    )
    same = _Same(runs, _same_originals(one.counts, other.counts))
    names: dict[int, list[str]] = defaultdict(list)
    for run in runs:
        for name, threshold in run.results.config.thresholds.named.items():
            names[threshold].append(name)
    thresholds = {t: f"{t} ({' or '.join(dict.fromkeys(names[t]))})" for t in sorted(names)}
    digests = [
        [run.results.manifest["results"][name] for name in (COUNTS, HASHES, RESULTS)]
        for run in runs
    ]
    return Comparison(
        one.run_dir,
        other.run_dir,
        digests[0] == digests[1],
        len(same.rows[0]) == len(one.counts) == len(other.counts),
        one.config.confidence,
        tuple(_changes(one.config.to_dict(), other.config.to_dict())),
        tuple(_changes(*({"versions": run.manifest["versions"]} for run in (one, other)))),
        _inputs(one.manifest["inputs"], other.manifest["inputs"]),
        _only("failures", one.failures, other.failures),
        tuple(same.hash_changes()),
        (
            *_recalls(runs, same, thresholds),
            *_rates(runs, thresholds),
            *_targets(runs),
            *_budgets(runs),
        ),
        tuple(_numbers(runs)),
        tuple(_notes(runs, both_ways)),
    )


def _loaded(name: str, run: Results | PathLike) -> Results:
    if isinstance(run, str | os.PathLike):
        return Results.load(run)
    if not isinstance(run, Results):
        raise ArgumentTypeError(
            f"{name}: got {describe(run)}, needs Results, or the path of a run's folder"
        )
    return run


@dataclass(frozen=True, eq=False)
class _Run:
    """One of the two, as far as the other can be compared with it."""

    results: Results
    counts: PairCounts
    whole: RateEstimates
    a: RateEstimates
    b: RateEstimates

    @classmethod
    def of(cls, results: Results, edits: Sequence[str], both_ways: bool, like: Config) -> _Run:
        counts, seed = _with_edits(results.counts, edits, both_ways), results.config.seed
        estimates = estimate_run(
            counts, oriented=like.deployment.orientations, confidence=like.confidence, seed=seed
        )
        return cls(results, counts, *estimates)

    def hashes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the hashes of the originals and of their variants, of the edits in both."""
        path = os.path.join(self.results.run_dir, HASHES)
        content = files.read(path, FileError)
        if sha256(content).hexdigest() != self.results.manifest["results"][HASHES]:
            raise FileError(path, "is not the file of these results; load them again")
        found = npz.unpack(path, content, ("hashes", "variants"))
        numbers = [self.results.counts.transforms.index(edit) for edit in self.counts.transforms]
        return found["hashes"], found["variants"][:, numbers]

    def points(self, targets: Sequence[float], conservative: bool) -> list[OperatingPoint]:
        """Return thresholds of the selection half, and their rates on the validation half."""
        return operating_points(self.a, self.b, targets, conservative)


def _with_edits(counts: PairCounts, edits: Sequence[str], both_ways: bool) -> PairCounts:
    """Return the counts of some edits alone, in that order."""
    if both_ways and counts.transforms == tuple(edits):
        return counts
    numbers = [counts.transforms.index(edit) for edit in edits]
    place = np.full(len(counts.transforms) + 1, -2)
    place[-1] = -1  # of originals as they are
    if both_ways:
        place[numbers] = np.arange(len(numbers))
    transform = place[counts.nearest.transform].astype(np.int16)
    close = counts.nearest._replace(transform=transform).taken(transform > -2)
    return replace(
        counts,
        transforms=tuple(edits),
        genuine_distance_squared=counts.genuine_distance_squared[:, numbers],
        genuine_oriented_distance_squared=counts.genuine_oriented_distance_squared[:, numbers],
        impostor_variants=counts.impostor_variants[numbers] * both_ways,
        nearest=close,
    )


def _same_originals(first: PairCounts, second: PairCounts) -> tuple[Rows, Rows]:
    """Return the rows of originals with the same content, if possible of the same name, too."""
    left = {key: row for row, key in enumerate(zip(second.digests, second.names, strict=True))}
    rows = [left.pop(key, None) for key in zip(first.digests, first.names, strict=True)]
    unnamed = defaultdict(list)
    for (digest, _), row in left.items():
        unnamed[digest].append(row)
    for row, digest in enumerate(first.digests):
        if rows[row] is None and unnamed[digest]:
            rows[row] = unnamed[digest].pop(0)
    found = [(row, other) for row, other in enumerate(rows) if other is not None]
    one, other = np.array(found, np.intp).reshape(-1, 2).T
    return one, other


class _Same:
    """The same originals in both runs, and their variants by the same edits."""

    def __init__(self, runs: Runs, rows: tuple[Rows, Rows]) -> None:
        self.runs, self.rows, self.edits = runs, rows, runs[0].counts.transforms
        pair = [(run.counts, chosen) for run, chosen in zip(runs, rows, strict=True)]
        self.squared = {
            False: [counts.genuine_distance_squared[chosen] for counts, chosen in pair],
            True: [counts.genuine_oriented_distance_squared[chosen] for counts, chosen in pair],
        }
        first, second = self.squared[False]
        self.available = (first >= 0) & (second >= 0)

    def hash_changes(self) -> Iterator[HashChange]:
        """Yield how the hashes differ: of the originals, then by edit; nothing if none are."""
        one, other = self.rows
        if not len(one):
            return
        (first, first_edited), (second, second_edited) = (run.hashes() for run in self.runs)
        none = np.zeros(len(one))
        yield _hash_change(None, first[one], second[other], none, none)
        for number, edit in enumerate(self.edits):
            made = self.available[:, number]
            hashes = first_edited[one[made], number], second_edited[other[made], number]
            yield _hash_change(edit, *hashes, *(each[made, number] for each in self.squared[False]))

    def discordant(
        self, threshold: int, edit: str | None = None, oriented: bool = False
    ) -> DiscordantPairs | None:
        """Return how many genuine pairs match in one run alone; None if none is in both."""
        columns = slice(None) if edit is None else [self.edits.index(edit)]
        first, second = (each[:, columns] <= threshold**2 for each in self.squared[oriented])
        made = self.available[:, columns]
        if not made.any():
            return None
        lost, gained = (made & first & ~second), (made & second & ~first)
        more = gained.sum(axis=1) - lost.sum(axis=1)  # of an original; of one edit -1, 0 or 1
        worse, better = int((more < 0).sum()), int((more > 0).sum())
        p_value = None
        if lost.any() or gained.any():
            trials = worse + better
            p_value = json_number(float(stats.binomtest(worse, trials).pvalue)) if trials else 1.0
        return DiscordantPairs(int(made.sum()), int(lost.sum()), int(gained.sum()), p_value)


def _hash_change(
    transform: str | None,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_squared: NDArray[Any],
    second_squared: NDArray[Any],
) -> HashChange:
    apart = np.square(first.astype(np.int32) - second).sum(axis=1)
    change = np.abs(np.sqrt(first_squared) - np.sqrt(second_squared))
    return HashChange(
        transform,
        len(apart),
        int((apart > 0).sum()),
        json_number(math.sqrt(apart.max(initial=0))),
        int((first_squared != second_squared).sum()),
        json_number(float(change.max(initial=0.0))),
    )


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[ValueChange]:
    one, other = dict(_flat(first)), dict(_flat(second))
    for name in dict.fromkeys((*one, *other)):
        values = one.get(name), other.get(name)
        if values[0] == values[1]:
            continue
        lists = name in _LISTS and None not in values
        yield _only(name, *values) if lists else ValueChange(name, *values)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _only(name: str, first: Any, second: Any) -> ValueChange:
    """Return what is in one list alone."""
    one, other = ({repr(item) for item in items} for items in (first, second))
    return ValueChange(
        name,
        [item for item in first if repr(item) not in other],
        [item for item in second if repr(item) not in one],
    )


def _inputs(first: Mapping[str, str | None], second: Mapping[str, str | None]) -> OriginalChanges:
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


def _recalls(runs: Runs, same: _Same, thresholds: Mapping[int, str]) -> Iterator[Conclusion]:
    """Yield the recall of each edit, of its orientations if that differs, and of all."""
    keys = list(itertools.product(same.edits, thresholds, (False, True)))
    pair: tuple[IntervalEstimate | None, IntervalEstimate | None] = (None, None)
    for key, *estimates in zip(keys, *(_recalls_of(run, keys) for run in runs), strict=True):
        edit, t, oriented = key
        plain, pair = pair, (estimates[0], estimates[1])
        if oriented and pair == plain:
            continue
        about = f"{edit}{' oriented' if oriented else ''} at {thresholds[t]}"
        sides = same.discordant(t, edit, oriented)
        yield Conclusion("recall", about, (t, t), *pair, None, edit, oriented, sides)
    one, other = (run.whole for run in runs)
    oriented = runs[0].results.config.deployment.orientations
    for t, name in thresholds.items():
        pair = _recall_of_all(one, t), _recall_of_all(other, t)
        sides = same.discordant(t, oriented=oriented)
        yield Conclusion("recall", f"{_ALL} at {name}", (t, t), *pair, discordant=sides)


def _recalls_of(run: _Run, keys: Sequence[tuple[str, int, bool]]) -> list[IntervalEstimate | None]:
    queries = (RecallQuery(*key) for key in keys)
    return [
        _estimate(*recall[2:])
        for recall in estimate_recalls(run.counts, queries, run.whole.confidence)
    ]


def _recall_of_all(estimates: RateEstimates, threshold: int | None) -> IntervalEstimate | None:
    if threshold is None:
        return None
    columns = estimates.curves.recall, estimates.recall_lower, estimates.recall_upper
    value, lower, upper = (float(column[threshold]) for column in columns)
    return _estimate(value, lower, upper)


def _estimate(
    value: float | None, lower: float | None, upper: float | None, source: str = "counted"
) -> IntervalEstimate | None:
    """Return the numbers as a run writes them; None if there is no interval."""
    if json_number(lower) is None or json_number(upper) is None:
        return None
    return IntervalEstimate(json_number(value), json_number(lower), json_number(upper), source)


def _matches(
    estimates: RateEstimates, threshold: int | None, service: tuple[int, int, int] = (1, 1, 1)
) -> IntervalEstimate | None:
    """Return false matches a day; with one comparison a day that is the rate."""
    if estimates.rates is None or threshold is None:
        return None
    size, queries, ways = service
    found = expected_matches(threshold, size, queries, estimates.rates, estimates.tail, ways)
    source = "untested tail" if found.beyond_validation else found.source
    return _estimate(found.expected, found.lower, found.upper, source)


def _rates(runs: Runs, thresholds: Mapping[int, str]) -> Iterator[Conclusion]:
    one, other = (run.whole for run in runs)
    for t, name in thresholds.items():
        pair = _matches(one, t), _matches(other, t)
        yield Conclusion("false match rate", f"at {name}", (t, t), *pair)


def _targets(runs: Runs) -> Iterator[Conclusion]:
    """Yield whether the first's thresholds keep their targets, and the recalls at each one's."""
    one, other = (run.b for run in runs)
    targets = sorted({t for run in runs for t in run.results.config.thresholds.targets})[::-1]
    for conservative in (False, True):
        points = (run.points(targets, conservative) for run in runs)
        for target, *choices in zip(targets, *points, strict=True):
            t, own = (point.choice.threshold for point in choices)
            of = f"{_threshold(conservative)} for {target:g}"
            pair = _matches(one, t), _matches(other, t)
            yield Conclusion("false match rate", f"at the first's {of}", (t, t), *pair, target)
            pair = _recall_of_all(one, t), _recall_of_all(other, own)
            yield Conclusion("recall", f"{_ALL} at each one's {of}", (t, own), *pair)


def _budgets(runs: Runs) -> Iterator[Conclusion]:
    """Yield what the thresholds of the first do that keep its budget of false matches."""
    one, other = (run.whole for run in runs)
    deployment = runs[0].results.config.deployment
    service = deployment.list_size, deployment.queries_per_day, deployment.n_orientations
    for conservative in (False, True):
        t = None
        if one.rates is not None:
            size, queries, ways = service
            t = threshold_under(
                deployment.max_false_matches_per_day,
                size,
                queries,
                one.rates,
                one.tail,
                ways,
                conservative,
            ).threshold
        limit = deployment.max_false_matches_per_day
        about = f"at the first's {_threshold(conservative)} for {limit:g} a day"
        pair = _matches(one, t, service), _matches(other, t, service)
        yield Conclusion(
            "false matches a day", about, (t, t), *pair, deployment.max_false_matches_per_day
        )
        pair = _recall_of_all(one, t), _recall_of_all(other, t)
        yield Conclusion("recall", f"{_ALL} {about}", (t, t), *pair)


def _threshold(conservative: bool) -> str:
    return "conservative threshold" if conservative else "threshold"


def _numbers(runs: Runs) -> Iterator[ValueChange]:
    """Yield numbers that have no interval."""
    one, other = (
        {
            "originals hashed": len(run.counts),
            "median of the impostor distances": _median(run.whole.curves),
            **run.whole.curves.as_json(),
        }
        for run in runs
    )
    return (ValueChange(name.replace("_", " "), one[name], other[name]) for name in one)


def _median(found: RateCurves) -> int | None:
    if not found.impostor_pairs:
        return None
    return int(np.searchsorted(found.impostor_matches, (found.impostor_pairs + 1) // 2))


def _notes(runs: Runs, both_ways: bool) -> Iterator[str]:
    one, other = (run.results for run in runs)
    edits = [run.results.counts.transforms for run in runs]
    alone = [edit for edit in (*edits[0], *edits[1]) if edit not in runs[0].counts.transforms]
    if alone:
        yield (
            f"Not compared are the edits of one run alone: {comparison_format.some(alone)}. Rates "
            f"are over the {len(runs[0].counts.transforms)} others, and differ from those in the "
            "reports."
        )
    if not both_ways and any(r.config.pairs.variants_against_others for r in (one, other)):
        yield "One run counted no pairs of variants and other originals, so none are compared."
    if one.config.seed != other.config.seed:
        yield "The seeds differ: edits that draw at random (noise, logo) differ for that reason."
    renamed = _inputs(one.manifest["inputs"], other.manifest["inputs"]).renamed
    if renamed:
        yield (
            f"{len(renamed)} originals are renamed, and the seed of an edit is made with the "
            "name: edits that draw at random (noise, logo) differ for that reason."
        )
    if one.config.confidence != other.config.confidence:
        yield f"All intervals have the confidence of the first run, {one.config.confidence:g}."
    if one.config.deployment != other.config.deployment:
        yield "False matches a day are those of the service that the first run describes."
    for run, which in zip(runs, ("first", "second"), strict=True):
        for part in (run.whole, run.a, run.b):
            if part.no_rates_reason:
                yield f"The {which} run has no false match rates: {part.no_rates_reason}."
                break
