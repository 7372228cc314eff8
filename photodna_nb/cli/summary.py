"""The line at the end of a long mode: what was hashed, skipped and failed, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING

from photodna_nb.cli.output import print_after_output

if TYPE_CHECKING:
    from photodna_nb.tables.table import HashTable


class Summary:
    """The counts of a call that begins now."""

    def __init__(self) -> None:
        self._begun = perf_counter()
        self._hashed = self._read = self._failed = 0
        self._skipped: dict[str, int] = {}

    def count(self, hashed: int, failed: int, skipped: Mapping[str, int] | None = None) -> None:
        """Add files that were hashed, failed, or were skipped, by kind."""
        self._hashed += hashed
        self._failed += failed
        for kind, number in (skipped or {}).items():
            self._skipped[kind] = self._skipped.get(kind, 0) + number

    def count_table(self, table: HashTable) -> None:
        """Add the files of a table, and its rows that were read from other tables."""
        status = table.file_status
        hashed = 0 if status is None else int((status[:, 0] >= 0).sum())
        self._read += len(table) - hashed
        self.count(hashed, len(table.failures), table.skipped)

    def print(self, result: str = "") -> None:
        """Print the line on standard error, with the result of the mode at its end."""
        print_after_output(self.text(perf_counter() - self._begun, result))

    def text(self, seconds: float, result: str = "") -> str:
        """Return the line."""
        parts = [f"{self._hashed} hashed"]
        if self._read:
            parts.append(f"{self._read} read from tables")
        kinds = [f"{number} {kind}" for kind, number in sorted(self._skipped.items()) if number]
        n_skipped = sum(self._skipped.values())
        parts.append(f"{n_skipped} skipped" + (f" ({', '.join(kinds)})" if kinds else ""))
        text = f"{', '.join(parts)}, {self._failed} failed, in {seconds:.1f} s"
        return f"{text}; {result}" if result else text
