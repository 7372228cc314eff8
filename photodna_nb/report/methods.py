"""What a run did, in sentences for a paper; each number is one of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from photodna_nb.corpus.transforms import COPIES
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config_originals import DeadLeavesOriginals
from photodna_nb.evaluation.hasher_comparison import EQUAL_RATES
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.printable import printable
from photodna_nb.report.corpus import corpus
from photodna_nb.report.formatting import count, integer, join, level, rate

# Transforms that are named one by one, if they are no standard list.
_MOST_NAMED = 12
_REASONS = {
    "pairs_excluded": "named as showing the same",
    "pairs_identical": "identical files",
    "pairs_low_detail": "of an original of low detail",
}


def methods(results: Results) -> list[str]:
    """Return sentences on what was done; ``[@key]`` cites an entry of ``references.bib``."""
    return [
        *_hash_and_originals(results),
        *_variants(results),
        *_pairs(results),
        *_statistics(results),
        *_versions(results),
    ]


def _hash_and_originals(results: Results) -> Iterator[str]:
    summary = results.summary
    hashes = [_hash(one.counts.hasher) for one in results.hashers.values()]
    generated = any(
        isinstance(source, DeadLeavesOriginals) for source in results.config.sources.values()
    )
    yield (
        f"We evaluated {join(hashes)} with photodna_nb "
        f"{results.manifest['versions']['results']['photodna_nb']} [@photodna_nb] on "
        f"{corpus(results)}{' [@lee2001]' if generated else ''}."
    )
    failed, low = summary["originals_failed"], summary["originals_low_detail"]
    parts = []
    if failed:
        parts.append(f"{count(failed, 'original')} could not be hashed")
    if left_out := summary["originals_left_out"]:
        parts.append(f"{integer(left_out)} were left out by name")
    if low:
        limit = results.config.detail.warn_below
        parts.append(f"{integer(low)} have less than {limit:g} grey levels of detail")
    if parts:
        yield f"Of {count(summary['originals'], 'original')}, {join(parts)}."


def _hash(hasher: HasherScale) -> str:
    if hasher.name == "photodna":
        return "the PhotoDNA-like hash [@deryck2026] (144 bytes, L2 distance)"
    distance = {"euclidean": "L2", "manhattan": "L1", "hamming": "Hamming"}[hasher.metric]
    values = "bits" if hasher.metric == "hamming" else "values"
    return f"{hasher.name} ({hasher.length} {values}, {distance} distance)"


def _variants(results: Results) -> Iterator[str]:
    summary, config = results.summary, results.config
    rows = results.tables["transforms"]
    labels = {row["label"].replace("_", " "): row["transform"] for row in rows}
    copies = [label for label, spec in labels.items() if spec.startswith(COPIES)]
    made = [label for label in labels if label not in copies]
    n_copies = sum(row["genuine_pairs"] for row in rows if row["transform"].startswith(COPIES))
    if made:
        named = config.variants.transforms
        if isinstance(named, str):
            which = f"the {integer(len(made))} transforms of the frozen list {named}"
        elif len(made) <= _MOST_NAMED:
            which = f"{count(len(made), 'transform')} ({', '.join(made)})"
        else:
            which = f"{count(len(made), 'transform')}, listed in the table of transforms"
        yield (
            f"Each original was altered in memory by {which}, with the seed {config.seed} for "
            f"random ones, which gave {count(summary['variants'] - n_copies, 'variant')}."
        )
    if copies:
        copied = "copy" if n_copies == 1 else "copies"
        yield (
            f"{integer(n_copies)} altered {copied} came from files, labelled "
            f"{printable(join(copies))}."
        )
    if failed := summary["variants_failed"]:
        yield f"{count(failed, 'variant')} could not be made or hashed."
    if config.variants.weights:
        yield "Recall over all transforms is weighted by how often each of them occurs in use."


def _pairs(results: Results) -> Iterator[str]:
    summary, config = results.summary, results.config
    genuine, impostor = count(summary["genuine_pairs"], "genuine pair"), summary["impostor_pairs"]
    if config.pairs.labelled is not None:
        yield (
            f"The pairs are those that were labelled by hand: {genuine} that show the same and "
            f"{count(impostor, 'impostor pair')} that do not."
        )
    else:
        others = (
            ", or a variant and another original"
            if (results.counts.transforms and config.pairs.variants_against_others)
            else ""
        )
        same = f"{genuine}, an image and another one that shows the same, and "
        yield (
            f"We compared {same if summary['genuine_pairs'] else ''}"
            f"{count(impostor, 'impostor pair')}: two different originals{others}. All of them "
            "were counted exactly at each distance."
        )
    left_out = [
        f"{integer(summary[name])} {reason}" for name, reason in _REASONS.items() if summary[name]
    ]
    if left_out:
        yield f"Further pairs were left out: {join(left_out)}."
    yield "A pair matches if its distance is at most the threshold."


def _statistics(results: Results) -> Iterator[str]:
    summary, confidence = results.summary, level(results.config.confidence)
    if summary["genuine_pairs"]:
        yield (
            f"Intervals have a pointwise confidence level of {confidence}, for one threshold and "
            "one transform at a time: those of the recall by Clopper and Pearson [@clopper1934], "
            "over all transforms with the effective number of trials [@korn1998]."
        )
    if summary["no_rates_reason"]:
        yield f"There are no false match rates: {printable(summary['no_rates_reason'])}."
        return
    yield (
        "Pairs share images and are not independent. Where the matching pairs amount to ten "
        "or more full dyads (two originals with all their pairs), false match rates have gamma "
        f"intervals of {confidence} after Fay and Feuer [@fay1997], with the variance of a "
        "U-statistic of the images [@hoeffding1948,aronow2015]; where they are fewer, there is a "
        f"one-sided upper limit of {confidence} from disjoint dyads [@clopper1934]."
    )
    for name, one in results.hashers.items():
        yield from _tail(one.summary["tail"], f" of {name}" if len(results.hashers) > 1 else "")
    if results.tables.get(EQUAL_RATES):
        yield (
            "The hashes are compared at the largest thresholds whose false match rate on one half "
            "of the originals is at most the target, by their recall on the same pairs of the "
            "other half. Its differences have score intervals for paired proportions "
            "[@tango1998], with the effective number of trials over originals; they are those of "
            "these thresholds, and each is by itself, not corrected for their number."
        )
    selection, validation = (
        integer(summary[f"originals_in_{half}_half"]) for half in ("selection", "validation")
    )
    if any(row["threshold"] is not None for row in results.tables["operating_points"]):
        yield (
            f"Thresholds for target rates were chosen on one half of the originals ({selection}) "
            f"and their rates estimated on the other ({validation}), a division by the seed alone."
        )


def _tail(tail: Mapping[str, Any] | None, of_hasher: str) -> Iterator[str]:
    if tail is None:
        return
    if tail["accepted"]:
        yield (
            f"Lower rates{of_hasher} are extrapolated with a generalised Pareto distribution "
            f"[@pickands1975,coles1999] that was fitted to the {integer(tail['exceedances'])} "
            f"nearest impostor pairs, down to a rate of {rate(tail['validated_down_to'])}."
        )
    else:
        reason = printable(tail["rejection_reason"])
        yield f"No lower rate{of_hasher} is given: the fit of a tail was rejected ({reason})."


def _versions(results: Results) -> Iterator[str]:
    versions = results.manifest["versions"]
    names = "Python", "NumPy", "SciPy", "Numba"
    used = [
        f"{name} {versions['results'][name]}" for name in names if versions["results"].get(name)
    ]
    codecs = [
        f"{name} {version}"
        for name, version in versions["hashes"].items()
        if version and name != "photodna_nb"
    ]
    yield f"The software was {join([*used, *codecs])}."
    yield (
        "The run repeats to the byte with these versions; its counts have the SHA-256 "
        f"{results.manifest['results']['counts.npz']}."
    )
