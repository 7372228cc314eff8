"""Records of numbers as JSON: the same digits on every processor, and null for what is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np


def json_number(value: Any) -> Any:
    """Return a number as it is written: a float with 12 digits, None where it is not finite.

    Further digits depend on the processor, and results are compared by their bytes.
    """
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value


def json_value(value: Any) -> Any:
    """Return a value with all that it holds as JSON takes it; floats as `json_number`."""
    if isinstance(value, JSONRecord):
        return value.as_json()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {name: json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return json_number(value)


class JSONRecord:
    """A data class that can be written as JSON."""

    def as_json(self) -> dict[str, Any]:
        """Return all attributes as a dictionary that JSON takes."""
        return {name: json_value(value) for name, value in vars(self).items()}
