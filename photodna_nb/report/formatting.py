"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_ENDS = "_lower", "_upper"
NOTHING = "–"
_EXTRAPOLATED = " (extrapolated)"


def whole(value: float | None) -> str:
    """Return an integer with its thousands apart: 1,234,567."""
    return NOTHING if value is None else f"{value:,.0f}"


def counted(number: int, what: str) -> str:
    """Return how many there are of something: 1 pair, 2,000 pairs."""
    return f"{whole(number)} {what}{'s' * (number != 1)}"


def share(value: float | None) -> str:
    """Return a share of many in percent; 100 % and 0 % are said only of all and none."""
    if value is None:
        return NOTHING
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    digits = (
        1 if 0.1 <= percent <= 99.9 else min(4, math.ceil(-math.log10(min(percent, 100 - percent))))
    )
    return f"{percent:.{digits}f} %"


def level(value: float) -> str:
    """Return a share that somebody chose in percent: 95 %."""
    return f"{100 * value:g} %"


def rate(value: float | None) -> str:
    """Return a rate that may be tiny: 0.25, 0.0031, 2.4 × 10⁻⁹."""
    if value is None:
        return NOTHING
    return f"{value:.2g}" if value == 0 or value >= 1e-3 else _power_of_ten(value)


def amount(value: float | None) -> str:
    """Return an expected number: 0.03, 4.2, 1,234, 86 million, 2.4 × 10⁻⁹."""
    if value is None:
        return NOTHING
    if value >= 1e15:
        return _power_of_ten(value)
    for size, word in _WORDS:
        if value >= size:
            return f"{float(f'{value / size:.3g}'):,g} {word}"
    if value < 0.01:
        return rate(value)
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{float(f'{value:.2g}'):g}"


def _power_of_ten(value: float) -> str:
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits} × 10{str(int(power)).translate(_RAISED)}"


def between(lower: float | None, upper: float | None, written: Any) -> str:
    """Return the ends of an interval, or nothing if there is none."""
    return "" if lower is None or upper is None else f"{written(lower)} to {written(upper)}"


def listed(words: list[str]) -> str:
    """Return words as a sentence lists them: a, b and c."""
    return " and ".join(([", ".join(words[:-1])] if words[1:] else []) + words[-1:])


def false_match_rate(row: Mapping[str, Any]) -> str:
    """Return the false match rate at the threshold of a row, by the best that is known."""
    match row["expected_matches_source"]:
        case None:
            return NOTHING
        case "counted":
            value, lower, upper = (row[f"false_match_rate{end}"] for end in ("", *_ENDS))
            return f"{rate(value)} ({between(lower, upper, rate)})"
        case "tail" if not row["expected_matches_beyond_validation"]:
            ends = between(row["tail_lower"], row["tail_upper"], rate)
            return f"{rate(row['tail_rate'])} ({ends}, extrapolated)"
        case source:
            upper = row["expected_matches_per_day_upper"] / row["comparisons_per_day"]
            bound = f"at most {rate(upper)}"
            return bound + (_EXTRAPOLATED if source == "tail" else "")


def judged(row: Mapping[str, Any]) -> str:
    """Return the false match rate on the half that did not choose the threshold."""
    if not row["extrapolated"]:
        ends = between(row["false_match_rate_lower"], row["false_match_rate_upper"], rate)
        return f"{rate(row['false_match_rate'])} ({ends})"
    if row["tail_upper"] is None:
        return f"at most {rate(row['false_match_rate_upper'])}"
    if row["tail_beyond_validation"]:
        return f"at most {rate(row['tail_upper'])}{_EXTRAPOLATED}"
    ends = between(row["tail_lower"], row["tail_upper"], rate)
    return f"{rate(row['tail_rate'])} ({ends}, extrapolated)"


def false_matches(row: Mapping[str, Any]) -> str:
    """Return the false matches a day at the threshold of a row."""
    if row["expected_matches_source"] is None:
        return NOTHING
    if row["expected_matches_per_day"] is None:
        extrapolated = _EXTRAPOLATED * (row["expected_matches_source"] == "tail")
        return f"at most {amount(row['expected_matches_per_day_upper'])}{extrapolated}"
    ends = between(
        row["expected_matches_per_day_lower"], row["expected_matches_per_day_upper"], amount
    )
    return f"{amount(row['expected_matches_per_day'])} ({ends})"


def recall(row: Mapping[str, Any]) -> str:
    """Return a recall with its interval."""
    ends = between(row["recall_lower"], row["recall_upper"], share)
    return share(row["recall"]) + (f" ({ends})" if ends else "")
