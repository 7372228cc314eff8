"""Comparison of two runs: what changed, and which conclusions differ significantly."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from photodna_nb import parallel
from photodna_nb.corpus.transforms import COPIES
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation import run_files
from photodna_nb.evaluation.comparison_format import item_list
from photodna_nb.evaluation.comparison_records import (
    Comparison,
    Conclusion,
    DiscordantPairs,
    HashChange,
    IntervalEstimate,
    ValueChange,
    common_pairs,
    common_rows,
    data_digests,
    hash_change,
    interval_estimate,
    items_alone,
    original_changes,
    value_changes,
    with_transforms,
)
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.deployment import choose_thresholds, expected_matches
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.paired import discordant_pairs
from photodna_nb.evaluation.rates import (
    RateEstimates,
    RecallSelection,
    RunEstimates,
    estimate_recalls,
    estimate_run,
)
from photodna_nb.evaluation.results import Results, loaded
from photodna_nb.evaluation.run_files import HASHES, path_of
from photodna_nb.evaluation.thresholds import operating_points
from photodna_nb.evaluation.variant_hashes import unpack_hashes
from photodna_nb.files import PathLike

_ALL = "all transforms"

_Pair = tuple["_Run", "_Run"]
_Estimates = tuple[IntervalEstimate | None, ...]


def compare(
    first: Results | PathLike, second: Results | PathLike, *, executor: Executor | None = None
) -> Comparison:
    """Return what changed between two runs, and which conclusions differ significantly.

    Parameters
    ----------
    first, second : Results, str or os.PathLike
        Results, or the folders of finished runs.
    executor : concurrent.futures.Executor, optional
        Where the rates of both runs are estimated, as in `run`.

    Returns
    -------
    Comparison
        Its conclusions are: the recall of each transform, and of all, at every threshold that
        either run names, and the false match rate there; for every target of either run the false
        match rate at the first run's threshold, and the recall at each run's own threshold; and
        the false matches per day and the recall at the first run's threshold for its deployment.

    Raises
    ------
    FileError
        A folder holds no finished run, or a file in it is not the one that was written.
    ArgumentTypeError
        An argument is neither `Results` nor a path, or `executor` is no executor.
    ArgumentError
        The first hashers of the runs differ: their distances have nothing in common.

    Notes
    -----
    Of runs with several hashers, the results of the first one are compared. The verdict on a
    conclusion is

    - *identical*: the estimates and their confidence limits are equal;
    - *overlapping*: they differ, and the confidence intervals overlap;
    - *significant*: the confidence intervals do not overlap;
    - *unknown*: one run has no estimate.

    Non-overlap of two 95 % intervals is a stricter criterion than a test at a level of 5 %: if both
    runs sample their originals from one population, equally wide intervals do not overlap in 0.6 %
    of the cases. There is no correction for multiple comparisons: of hundreds of conclusions some
    differ by chance, and those of common pairs differ together. Intervals describe the sampling of
    originals. If both runs have the same originals, any difference comes from what changed, and
    *overlapping* says only that other originals could differ as much; `DiscordantPairs`, of the
    same pairs in both runs, has a paired test.

    A target is met if the whole interval of the second run at the first run's threshold is at most
    the target (*yes*), not met if all of it is more (*no*), and else *unclear*; by a fitted tail it
    is *extrapolated*, and neither of them. As in the report, the threshold is chosen on the
    selection half, and its rates are those of the validation half.

    Rates are over the transforms that are in both runs. Confidence level and deployment are those
    of the first run.
    """
    parallel.worker_count(None, executor)
    results = loaded("first", first), loaded("second", second)
    one, other = results
    if one.counts.hasher != other.counts.hasher:
        both = f"{one.counts.hasher.name} and {other.counts.hasher.name}"
        raise ArgumentError(f"second: the runs are of {both}; hash.names compares them in one run")
    transforms = [spec for spec in one.counts.transforms if spec in other.counts.transforms]
    with_variants = all(run.config.pairs.variants_against_others for run in results)
    runs = (
        _Run.of(one, transforms, with_variants, one.config, executor),
        _Run.of(other, transforms, with_variants, one.config, executor),
    )
    common = _CommonOriginals(runs, common_rows(one.counts, other.counts))
    names: dict[int, list[str]] = defaultdict(list)
    for run in results:
        for name, threshold in run.config.thresholds.named.items():
            names[threshold].append(name)
    thresholds = {t: f"{t} ({' or '.join(dict.fromkeys(names[t]))})" for t in sorted(names)}
    files = ({"files": run.manifest.get("files", {})} for run in results)
    settings = [run.config.to_dict() | own for run, own in zip(results, files, strict=True)]
    digests = [data_digests(run.manifest["results"]) for run in results]
    return Comparison(
        first=one.run_dir,
        second=other.run_dir,
        identical=digests[0] == digests[1],
        same_originals=len(common.rows[0]) == len(one.counts) == len(other.counts),
        confidence=one.config.confidence,
        configuration=tuple(value_changes(*settings)),
        versions=tuple(value_changes(*({"versions": run.manifest["versions"]} for run in results))),
        originals=original_changes(*(run.manifest["inputs"] for run in results)),
        failures=items_alone("failures", one.failures, other.failures),
        hash_changes=tuple(common.hash_changes()),
        conclusions=(
            *_recall_conclusions(runs, common, thresholds),
            *_rate_conclusions(runs, thresholds),
            *_target_conclusions(runs),
            *_deployment_conclusions(runs),
        ),
        numbers=tuple(_numbers(runs)),
        notes=tuple(_notes(runs, with_variants)),
    )


@dataclass(frozen=True, eq=False)
class _Run:
    """A run, restricted to what the other run has too."""

    results: Results
    counts: PairCounts
    estimates: RunEstimates

    @classmethod
    def of(
        cls,
        results: Results,
        transforms: Sequence[str],
        with_variants: bool,
        like: Config,
        executor: Executor | None,
    ) -> _Run:
        """Return the pairs of some transforms alone, estimated as another run's are."""
        counts, own = with_transforms(results.counts, transforms, with_variants), results.config
        settings = [(one.confidence, one.deployment.orientations) for one in (own, like)]
        same = settings[0] == settings[1]
        if counts is results.counts and same and (executor is None or not results.loaded):
            return cls(results, counts, results.estimates)
        config = structs.replace(like, seed=own.seed)
        return cls(results, counts, estimate_run(counts, config, executor))

    def hashes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the hashes of the originals, (n, 144), and of their variants, (n, v, 144)."""
        folder, counts = self.results.run_dir, self.results.counts
        largest = run_files.largest_total(
            len(self.results.manifest["inputs"]), len(counts.transforms)
        )
        digest = self.results.manifest["results"][HASHES]
        path, content = path_of(folder, HASHES), run_files.read(folder, HASHES, digest, largest)
        hashed = unpack_hashes(path, content, counts.hasher)[0].hashed
        counted = set(counts.names)  # the others are left out
        hashed = hashed.taken(np.array([name in counted for name in hashed.names], bool))
        made = [spec for spec in counts.transforms if not spec.startswith(COPIES)]
        if (hashed.names, list(hashed.transforms)) != (counts.names, made):
            raise run_files.damaged(path, "it has other originals or transforms")
        columns = [made.index(spec) for spec in self.counts.transforms if spec in made]
        return hashed.hashes, hashed.variants[:, columns]


class _CommonOriginals:
    """The originals that are in both runs, with their variants by the common transforms.

    Parameters
    ----------
    runs : tuple of _Run
        The two runs.
    rows : tuple of ndarray of int, (m,)
        Rows of the originals in the first run and in the second.
    """

    def __init__(self, runs: _Pair, rows: tuple[NDArray[np.intp], ...]) -> None:
        self.runs, self.rows, self.transforms = runs, rows, runs[0].counts.transforms
        self.pairs = common_pairs([run.counts for run in runs], rows)
        both = zip(runs, self.pairs, strict=True)
        self.genuine = tuple(run.counts.genuine.taken(pairs) for run, pairs in both)

    def hash_changes(self) -> Iterator[HashChange]:
        """Yield how the hashes differ: of the originals, then by transform."""
        one, other = self.rows
        if not len(one) or any(HASHES not in run.results.manifest["results"] for run in self.runs):
            return
        (first, first_variants), (second, second_variants) = (run.hashes() for run in self.runs)
        no_distances, hasher = np.zeros(len(one)), self.runs[0].counts.hasher
        yield hash_change(None, hasher, first[one], second[other], no_distances, no_distances)
        for column, transform in enumerate(self.transforms[: first_variants.shape[1]]):
            both = [pairs.taken(pairs.transform == column) for pairs in self.genuine]
            yield hash_change(
                transform,
                hasher,
                first_variants[both[0].i, column],
                second_variants[both[1].i, column],
                *(pairs.distance_squared for pairs in both),
            )

    def discordant(
        self, threshold: int, transform: str | None = None, oriented: bool = False
    ) -> DiscordantPairs | None:
        """Return how many genuine pairs match in one run alone; None if no pair is in both."""
        rows = np.ones(len(self.pairs[0]), bool)
        if transform is not None:
            rows = self.genuine[0].transform == self.transforms.index(transform)
        if not rows.any():
            return None
        first, second = (
            pairs.squared(oriented)[rows] <= run.counts.hasher.integer_limit(threshold)
            for run, pairs in zip(self.runs, self.genuine, strict=True)
        )
        change = second.astype(np.int64) - first
        return discordant_pairs(change, self.runs[0].counts.genuine_clusters[self.pairs[0][rows]])


def _recall_conclusions(
    runs: _Pair, common: _CommonOriginals, thresholds: Mapping[int, str]
) -> Iterator[Conclusion]:
    """Yield the recall of each transform, oriented if that differs, and of all transforms."""
    keys = itertools.product(common.transforms, thresholds, (False, True))
    selections = list(itertools.starmap(RecallSelection, keys))
    recalls = (
        estimate_recalls(run.counts, selections, run.estimates.all_originals.confidence)
        for run in runs
    )
    estimates: _Estimates = ()
    for selection, *pair in zip(selections, *recalls, strict=True):
        upright, estimates = estimates, tuple(interval_estimate(*recall[2:]) for recall in pair)
        t = selection.threshold
        if selection.oriented and estimates == upright:
            continue
        yield _conclusion(
            "recall",
            f"{selection.transform}{' oriented' if selection.oriented else ''} at {thresholds[t]}",
            (t, t),
            estimates,
            transform=selection.transform,
            oriented=selection.oriented,
            discordant=common.discordant(t, selection.transform, selection.oriented),
        )
    oriented = runs[0].results.config.deployment.orientations
    for t, name in thresholds.items():
        estimates = tuple(_overall_recall(run.estimates.all_originals, t) for run in runs)
        discordant = common.discordant(t, oriented=oriented)
        yield _conclusion("recall", f"{_ALL} at {name}", (t, t), estimates, discordant=discordant)


def _rate_conclusions(runs: _Pair, thresholds: Mapping[int, str]) -> Iterator[Conclusion]:
    for t, name in thresholds.items():
        estimates = tuple(_false_matches(run.estimates.all_originals, t) for run in runs)
        yield _conclusion("false match rate", f"at {name}", (t, t), estimates)


def _target_conclusions(runs: _Pair) -> Iterator[Conclusion]:
    """Yield whether the first run's thresholds meet their targets, and the recall at each's own."""
    targets = sorted({t for run in runs for t in run.results.config.thresholds.targets})[::-1]
    halves = [(run.estimates.selection, run.estimates.validation) for run in runs]
    for conservative in (False, True):
        points = (operating_points(*pair, targets, conservative) for pair in halves)
        for target, *pair in zip(targets, *points, strict=True):
            t, own = (point.choice.threshold for point in pair)
            about = f"{_threshold_text(conservative)} for a false match rate of {target:g}"
            rates = tuple(_false_matches(validation, t) for _, validation in halves)
            yield _conclusion(
                "false match rate", f"at the first run's {about}", (t, t), rates, target=target
            )
            recalls = _overall_recall(halves[0][1], t), _overall_recall(halves[1][1], own)
            yield _conclusion("recall", f"{_ALL} at each run's own {about}", (t, own), recalls)


def _deployment_conclusions(runs: _Pair) -> Iterator[Conclusion]:
    """Yield false matches per day and recall at the first run's thresholds for its deployment."""
    estimates = [run.estimates.all_originals for run in runs]
    config = runs[0].results.config
    service, acceptable = config.deployment, config.deployment.max_false_matches_per_day
    sizes = service.list_size, service.queries_per_day, service.n_orientations
    choices = choose_thresholds(config, runs[0].estimates).deployment
    for choice in (choices["estimate"], choices["conservative"]):
        t = choice.threshold
        text = _threshold_text(choice.conservative)
        about = f"at the first run's {text} for {acceptable:g} per day"
        matches = tuple(_false_matches(each, t, *sizes) for each in estimates)
        yield _conclusion("false matches per day", about, (t, t), matches, target=acceptable)
        recalls = tuple(_overall_recall(each, t) for each in estimates)
        yield _conclusion("recall", f"{_ALL} {about}", (t, t), recalls)


def _conclusion(
    kind: str,
    about: str,
    thresholds: tuple[int | None, int | None],
    estimates: _Estimates,
    **more: Any,
) -> Conclusion:
    first, second = estimates
    return Conclusion(kind, about, thresholds, first, second, **more)


def _threshold_text(conservative: bool) -> str:
    return "conservative threshold" if conservative else "threshold"


def _overall_recall(estimates: RateEstimates, threshold: int | None) -> IntervalEstimate | None:
    if threshold is None:
        return None
    columns = estimates.curves.recall, estimates.recall_lower, estimates.recall_upper
    recall, lower, upper = (float(column[threshold]) for column in columns)
    return interval_estimate(recall, lower, upper)


def _false_matches(
    estimates: RateEstimates,
    threshold: int | None,
    list_size: int = 1,
    queries_per_day: int = 1,
    orientations: int = 1,
) -> IntervalEstimate | None:
    """Return the false matches per day; with one comparison per day, the false match rate."""
    if estimates.false_match_rates is None or threshold is None:
        return None
    expected = expected_matches(
        threshold,
        list_size,
        queries_per_day,
        estimates.false_match_rates,
        estimates.tail,
        orientations,
    )
    source = "tail beyond validation" if expected.beyond_validation else expected.source
    return interval_estimate(expected.expected, expected.lower, expected.upper, source)


def _numbers(runs: _Pair) -> Iterator[ValueChange]:
    """Yield the numbers that have no confidence interval."""
    one, other = (
        {
            "originals hashed": len(run.counts),
            "median of the impostor distances": _impostor_median(run.estimates.all_originals),
            **run.estimates.all_originals.curves.as_json(),
        }
        for run in runs
    )
    return (ValueChange(name.replace("_", " "), one[name], other[name]) for name in one)


def _impostor_median(estimates: RateEstimates) -> int | None:
    pairs = estimates.curves.impostor_pairs
    if not pairs:
        return None
    return int(np.searchsorted(estimates.curves.impostor_matches, (pairs + 1) // 2))


def _notes(runs: _Pair, with_variants: bool) -> Iterator[str]:
    """Yield sentences on what was not compared, or not as in the reports."""
    one, other = (run.results for run in runs)
    if others := list(dict.fromkeys([*one.hashers, *other.hashers]))[1:]:
        yield f"Of other hashers than the first, nothing is compared: {item_list(others)}."
    common = runs[0].counts.transforms
    every = *one.counts.transforms, *other.counts.transforms
    if alone := [spec for spec in every if spec not in common]:
        yield (
            f"Transforms of one run alone are not compared: {item_list(alone)}. Rates are over "
            f"the {len(common)} others, and differ from those in the reports."
        )
    if any(spec.startswith(COPIES) for spec in common):
        yield "Of altered copies from files, distances are compared, and hashes are not."
    if not with_variants and any(r.config.pairs.variants_against_others for r in (one, other)):
        yield "One run counted no pairs of variants and other originals, so none are compared."
    if (one.counts.labelled is None) != (other.counts.labelled is None):
        yield "One run counted labelled pairs alone: its false match rates are of other pairs."
    if one.config.seed != other.config.seed:
        yield "The seeds differ: transforms with random numbers (noise, logo) differ as well."
    if renamed := original_changes(one.manifest["inputs"], other.manifest["inputs"]).renamed:
        yield (
            f"{len(renamed)} originals are renamed, and the seed of a transform is made with the "
            "name: transforms with random numbers (noise, logo) differ as well."
        )
    if one.config.confidence != other.config.confidence:
        level = one.config.confidence
        yield f"All intervals have the confidence level of the first run, {level:g}."
    if one.config.deployment != other.config.deployment:
        yield "False matches per day are those of the first run's deployment."
    for run, name in zip(runs, ("first", "second"), strict=True):
        if HASHES not in run.results.manifest["results"]:
            yield f"The {name} run kept no hashes, so it is unknown which of them differ."
        for estimates in run.estimates:
            if estimates.no_rates_reason:
                yield f"The {name} run has no false match rates: {estimates.no_rates_reason}."
                break
