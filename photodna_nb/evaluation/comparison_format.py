"""A comparison of two runs as text."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scipy import stats

from photodna_nb.evaluation.comparison_records import Comparison, Conclusion, IntervalEstimate
from photodna_nb.printable import printable

_MAX_ITEMS, _MAX_ROWS = 5, 30


def comparison_text(comparison: Comparison) -> str:
    """Return the main results of a comparison as lines of text; its `as_json` has all of them.

    Parameters
    ----------
    comparison : Comparison
        What `compare` returned.

    Returns
    -------
    str
        The lines, without a newline at the end.
    """
    return "\n".join(_lines(comparison))


def item_list(items: Sequence[Any]) -> str:
    """Return the first few items, and how many more there are."""
    more = f" and {len(items) - _MAX_ITEMS} more" if len(items) > _MAX_ITEMS else ""
    return ", ".join(_value_text(item) for item in items[:_MAX_ITEMS]) + more


def _lines(comparison: Comparison) -> Iterator[str]:
    headline = comparison.headline()
    yield f"{headline[0].upper()}{headline[1:]}."
    if not comparison.identical:
        yield from _interpretation(comparison)
    if changes := list(_changes(comparison)):
        yield from ("", "What changed", *(f"  {line}" for line in changes))
    if comparison.notes:
        yield from ("", *comparison.notes)
    if comparison.identical:
        return
    significant = comparison.with_verdict("significant")
    yield from _table("Conclusions that differ significantly", *_conclusion_rows(significant))
    missed = [one for one in comparison.conclusions if one.meets_target == "no"]
    yield from _table("Targets that the second run does not meet", *_conclusion_rows(missed))
    yield from _table(
        "The same images, hashed in both runs",
        ("images", "other hash", "by at most", "other distance", "changed by"),
        {
            change.transform or "originals": list(vars(change).values())[1:]
            for change in comparison.hash_changes
            if change.differing or change.distances_differing
        },
    )
    yield from _table(
        "The same genuine pairs, in both runs",
        ("pairs", "no longer match", "match now", "p"),
        {
            conclusion.about: list(vars(discordant).values())
            for conclusion in comparison.conclusions
            if (discordant := conclusion.discordant) and (discordant.lost or discordant.gained)
        },
    )
    numbers = {number.name: number[1:] for number in comparison.numbers}
    numbers = {name: pair for name, pair in numbers.items() if pair[0] != pair[1]}
    yield from _table("Numbers without intervals", ("first", "second"), numbers)


def _interpretation(comparison: Comparison) -> Iterator[str]:
    verdicts = Counter(conclusion.verdict for conclusion in comparison.conclusions)
    targets = Counter(conclusion.meets_target for conclusion in comparison.conclusions)
    yield (
        f"Of the others, {verdicts['identical']} are identical, {verdicts['overlapping']} have "
        f"overlapping intervals, and {verdicts['unknown']} are unknown in one run."
    )
    yield (
        "Of the first run's thresholds for a target, the second run meets the target at "
        f"{targets['yes']} and does not at {targets['no']}; "
        f"{targets['unclear'] + targets['unknown']} are unclear, and {targets['extrapolated']} "
        "extrapolated by a fitted tail."
    )
    if comparison.same_originals:
        yield (
            "Both runs have the same originals: a difference, however small, comes from what "
            "changed. Intervals say how much other originals could differ."
        )
        return
    half_alpha = (1 - comparison.confidence) / 2
    chance = 2 * stats.norm.sf(math.sqrt(2) * stats.norm.isf(half_alpha))
    yield (
        f"Significant: intervals of {100 * comparison.confidence:g} % do not overlap. If nothing "
        f"has changed, equally wide ones do not overlap in {100 * chance:.2g} % of the cases."
    )


def _changes(comparison: Comparison) -> Iterator[str]:
    """Yield a line for each difference of settings, versions, failures and originals."""
    failures = comparison.failures
    for change in (*comparison.configuration, *comparison.versions, failures):
        name, first, second = change
        if not isinstance(first, list) or not isinstance(second, list):
            yield f"{printable(name)}: {_value_text(first)} -> {_value_text(second)}"
            continue
        runs = zip(("first", "second"), (first, second), strict=True)
        alone = [f"only in the {run} run {item_list(items)}" for run, items in runs if items]
        if alone or change is not failures:
            yield f"{name}: {'; '.join(alone) or 'in another order'}"
    for name, originals in vars(comparison.originals).items():
        if name != "same" and originals:
            yield f"originals {name}: {len(originals)} ({item_list(originals)})"


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{item_list(value)}]"
    if isinstance(value, tuple):  # an old and a new name, or a failure
        return (" -> " if len(value) == 2 else ": ").join(map(_value_text, filter(None, value)))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else printable(str(value))


def _conclusion_rows(
    conclusions: Sequence[Conclusion],
) -> tuple[Sequence[str], dict[str, Sequence[Any]]]:
    """Return the head of a table of conclusions, and its rows."""
    return ("first", "second", "L2"), {
        f"{conclusion.kind} {conclusion.about}": (
            _estimate_text(conclusion.first),
            _estimate_text(conclusion.second),
            " and ".join(dict.fromkeys(map(str, conclusion.thresholds))),
        )
        for conclusion in conclusions
    }


def _estimate_text(estimate: IntervalEstimate | None) -> str:
    if estimate is None:
        return "unknown"
    source = f" by the {estimate.source}" if estimate.source.startswith("tail") else ""
    if estimate.value is None:
        return f"at most {estimate.upper:.3g}{source}"
    return f"{estimate.value:.3g} ({estimate.lower:.3g} to {estimate.upper:.3g}){source}"


def _table(title: str, head: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a table with its first rows, if it has any."""
    if not rows:
        return
    cells = [("", *head)]
    for name, values in itertools.islice(rows.items(), _MAX_ROWS):
        cells.append((printable(name), *map(_value_text, values)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield from ("", title)
    for first, *others in cells:
        aligned = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join(("", first.ljust(widths[0]), *aligned))
    if len(rows) > _MAX_ROWS:
        yield f"  and {len(rows) - _MAX_ROWS} more, which are in the JSON"
