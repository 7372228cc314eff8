"""Numbers of an evaluation as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
NOTHING = "–"
# The source of a threshold or a rate as readers know it.
SOURCES = {"counted": "counted", "disjoint pairs": "bound", "tail": "extrapolation"}
_EXTRAPOLATED = " (extrapolated)"


def integer(value: float | None) -> str:
    """Return an integer with separators of thousands: 1,234,567."""
    return NOTHING if value is None else f"{value:,.0f}"


def count(number: int, noun: str) -> str:
    """Return a number of things: 1 pair, 2,000 pairs."""
    return f"{integer(number)} {noun}{'s' * (number != 1)}"


def proportion(value: float | None) -> str:
    """Return a proportion in per cent; 100 % and 0 % are only those of all and of none."""
    if value is None:
        return NOTHING
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 1e-4:
        return f"{_power_of_ten(percent)} %"
    digits = (
        1 if 0.1 <= percent <= 99.9 else min(4, math.ceil(-math.log10(min(percent, 100 - percent))))
    )
    return f"{percent:.{digits}f} %"


def level(value: float) -> str:
    """Return a proportion with few digits, such as a confidence level, in per cent: 95 %."""
    return f"{100 * value:g} %"


def rate(value: float | None) -> str:
    """Return a rate that may be very small: 0.25, 0.0031, 2.4 × 10⁻⁹."""
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


def join(words: list[str]) -> str:
    """Return words as the list of a sentence: a, b and c."""
    return " and ".join(([", ".join(words[:-1])] if words[1:] else []) + words[-1:])


def recall(row: Mapping[str, Any]) -> str:
    """Return the recall of a row with its interval."""
    return _with_interval(row, "recall", proportion)


def weighted_recall(row: Mapping[str, Any]) -> str:
    """Return the recall of a row that is weighted by transform, with its interval."""
    return _with_interval(row, "weighted_recall", proportion)


def difference(row: Mapping[str, Any]) -> str:
    """Return the difference of the recall of a row in percentage points, with its interval."""
    return _with_interval(row, "recall_difference", points)


def points(value: float | None) -> str:
    """Return a difference of proportions in percentage points, with its sign: +1.5."""
    return NOTHING if value is None else f"{100 * value:+.1f}".replace("-", "−")


def digits(value: float | None) -> str:
    """Return a number between 0 and 1 with three digits."""
    return NOTHING if value is None else f"{value:.3f}"


def false_match_rate(row: Mapping[str, Any]) -> str:
    """Return the false match rate at the threshold of a row, from its best source."""
    source = row["expected_matches_source"]
    if source is None:
        return NOTHING
    if source == "counted":
        return _with_interval(row, "false_match_rate", rate)
    if source == "tail" and not row["expected_matches_beyond_validation"]:
        return _tail_rate(row)
    return _at_most(
        rate(row["expected_matches_per_day_upper"] / row["comparisons_per_day"]), source == "tail"
    )


def equal_rate(row: Mapping[str, Any]) -> str:
    """Return the false match rate of a row that was counted, with its interval."""
    return _with_interval(row, "false_match_rate", rate)


def validation_rate(row: Mapping[str, Any]) -> str:
    """Return the false match rate of an operating point on the validation half."""
    if not row["extrapolated"]:
        return _with_interval(row, "false_match_rate", rate)
    if row["tail_upper"] is None:
        return _at_most(rate(row["false_match_rate_upper"]), False)
    if row["tail_beyond_validation"]:
        return _at_most(rate(row["tail_upper"]), True)
    return _tail_rate(row)


def false_matches(row: Mapping[str, Any]) -> str:
    """Return the expected false matches per day at the threshold of a row."""
    if row["expected_matches_source"] is None:
        return NOTHING
    if row["expected_matches_per_day"] is None:
        upper = amount(row["expected_matches_per_day_upper"])
        return _at_most(upper, row["expected_matches_source"] == "tail")
    return _with_interval(row, "expected_matches_per_day", amount)


def fpir(row: Mapping[str, Any]) -> str:
    """Return the largest false positive identification rate of a row, and its upper limit."""
    if row.get("fpir_upper") is None:  # or the results are of an earlier version
        return NOTHING
    extrapolated = row.get("expected_matches_source") == "tail"
    if row["fpir"] is None:
        return _at_most(proportion(row["fpir_upper"]), extrapolated)
    upper = f"up to {proportion(row['fpir_upper'])}{', extrapolated' * extrapolated}"
    return f"{proportion(row['fpir'])} ({upper})"


def failure_to_enrol(summary: Mapping[str, Any]) -> str:
    """Return the failure-to-enrol rate of a summary with its interval."""
    return _with_interval(summary, "failure_to_enrol", proportion)


def fnir(row: Mapping[str, Any]) -> str:
    """Return the false negative identification rate of a row, and its interval."""
    return NOTHING if row.get("fnir") is None else _with_interval(row, "fnir", proportion)


def _with_interval(
    row: Mapping[str, Any], name: str, text_of: Callable[[float | None], str]
) -> str:
    """Return the number in a column, and its interval from the columns of its ends."""
    lower, upper = row[f"{name}_lower"], row[f"{name}_upper"]
    if lower is None or upper is None:
        return text_of(row[name])
    return f"{text_of(row[name])} ({text_of(lower)} to {text_of(upper)})"


def _tail_rate(row: Mapping[str, Any]) -> str:
    ends = f"{rate(row['tail_lower'])} to {rate(row['tail_upper'])}"
    return f"{rate(row['tail_rate'])} ({ends}, extrapolated)"


def _at_most(bound: str, extrapolated: bool) -> str:
    return f"at most {bound}{_EXTRAPOLATED * extrapolated}"
