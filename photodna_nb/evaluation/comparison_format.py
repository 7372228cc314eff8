"""What changed between two runs, as a person reads it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scipy import stats

from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.evaluation.comparison import Comparison, Conclusion, IntervalEstimate

_SHOWN_NAMES, _SHOWN_ROWS = 5, 30


def lines(found: Comparison) -> Iterator[str]:
    """Yield what a person wants to know of two runs first, as lines without ends."""
    headline = found.headline()
    yield f"{headline[0].upper()}{headline[1:]}."
    if not found.identical:
        yield from _how_to_read(found)
    if changed := list(_changed(found)):
        yield from ("", "What changed", *(f"  {line}" for line in changed))
    if found.notes:
        yield from ("", *found.notes)
    if found.identical:
        return
    yield from _table("Conclusions that differ significantly", *_rows(found.having("significant")))
    missed = [one for one in found.conclusions if one.meets_target == "no"]
    yield from _table("What the second run does not keep", *_rows(missed))
    head = ("pictures", "other hash", "by L2 at most", "other distance", "by at most")
    hash_changes = {
        one.transform or "originals": list(asdict(one).values())[1:]
        for one in found.hash_changes
        if one.differing or one.distances_differing
    }
    yield from _table("The same pictures, hashed in both runs", head, hash_changes)
    sides = {
        one.about: list(asdict(one.discordant).values())
        for one in found.conclusions
        if one.discordant and (one.discordant.lost or one.discordant.gained)
    }
    of_pairs = ("pairs", "no longer match", "match now", "p")
    yield from _table("The same genuine pairs, in both runs", of_pairs, sides)
    numbers = {one.name: one[1:] for one in found.numbers if one.first != one.second}
    yield from _table("Numbers without intervals", ("first", "second"), numbers)


def _how_to_read(found: Comparison) -> Iterator[str]:
    numbers = Counter(one.verdict for one in found.conclusions)
    kept = Counter(one.meets_target for one in found.conclusions)
    yield (
        f"Of the others {numbers['same']} are the same, {numbers['within']} differ within their "
        f"intervals, and of {numbers['unknown']} a run says nothing."
    )
    yield (
        f"Of the first run's thresholds for a target or the budget the second keeps {kept['yes']}, "
        f"does not keep {kept['no']}, and leaves {kept['unclear'] + kept['unknown']} open."
    )
    if found.same_originals:
        yield (
            "Both runs have the same originals: a difference, however small, comes from what "
            "changed. Intervals say how much other originals could differ."
        )
        return
    chance = 2 * stats.norm.sf(math.sqrt(2) * stats.norm.isf((1 - found.confidence) / 2))
    yield (
        f"Moved: intervals of {100 * found.confidence:g} % do not overlap. If nothing has changed, "
        f"equally wide ones are apart in {100 * chance:.2g} % of the cases."
    )


def _changed(found: Comparison) -> Iterator[str]:
    """Yield what differs in what went into the runs, on lines of their own."""
    for change in (*found.configuration, *found.versions, found.failures):
        if not isinstance(change.first, list) or not isinstance(change.second, list):
            yield f"{printable(change.name)}: {_shown(change.first)} -> {_shown(change.second)}"
            continue
        sides = zip(("first", "second"), change[1:], strict=True)
        alone = [f"only in the {which} run {some(items)}" for which, items in sides if items]
        if alone or change is not found.failures:
            yield f"{change.name}: {'; '.join(alone) or 'in another order'}"
    for name in ("changed", "renamed", "removed", "added"):
        if these := getattr(found.inputs, name):
            yield f"originals {name}: {len(these)} ({some(these)})"


def some(items: Sequence[Any]) -> str:
    """Return the first few items, and how many more there are."""
    more = f" and {len(items) - _SHOWN_NAMES} more" if len(items) > _SHOWN_NAMES else ""
    return ", ".join(_shown(item) for item in items[:_SHOWN_NAMES]) + more


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{some(value)}]"
    if isinstance(value, tuple):  # an old and a new name, or a failure
        return (" -> " if len(value) == 2 else ": ").join(map(_shown, filter(None, value)))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else printable(str(value))


def _rows(conclusions: Sequence[Conclusion]) -> tuple[Sequence[str], dict[str, Sequence[Any]]]:
    """Return the head of a table of conclusions, and its rows."""
    return ("first", "second", "L2"), {
        f"{one.kind} {one.about}": (
            _with_interval(one.first),
            _with_interval(one.second),
            " and ".join(dict.fromkeys(map(str, one.thresholds))),
        )
        for one in conclusions
    }


def _with_interval(estimate: IntervalEstimate | None) -> str:
    if estimate is None:
        return "unknown"
    by = f" by the {estimate.source}" if estimate.source.endswith("tail") else ""
    if estimate.value is None:
        return f"at most {estimate.upper:.3g}{by}"
    ends = f"({estimate.lower:.3g} to {estimate.upper:.3g})"
    return f"{estimate.value:.3g} {ends}{by}"


def _table(title: str, head: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yield a table, if it has rows: the first of so many."""
    if not rows:
        return
    shown = [("", *head)]
    for name, values in itertools.islice(rows.items(), _SHOWN_ROWS):
        shown.append((printable(name), *map(_shown, values)))
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    yield from ("", title)
    for first, *others in shown:
        cells = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join(("", first.ljust(widths[0]), *cells))
    if len(rows) > _SHOWN_ROWS:
        yield f"  and {len(rows) - _SHOWN_ROWS} more, which are in the JSON"
