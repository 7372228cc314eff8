"""The line at the end of a long mode: what was hashed, skipped and failed, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from photodna_nb.cli.output import print_after_output

if TYPE_CHECKING:
    from photodna_nb.tables.table import HashTable


class Summary:
    """The counts of a call that begins now."""

    def __init__(self) -> None:
        self._begun = perf_counter()
        self._done: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._failed = 0

    def count(
        self,
        done: Mapping[str, int],
        failed: int,
        skipped: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Add what was done, by the word for it, and files that failed or were skipped, by kind."""
        self._done.update(done)
        self._skipped.update(skipped)
        self._failed += failed

    def count_table(self, table: HashTable) -> None:
        """Add the files of a table, and its rows from a journal or from other tables."""
        status, from_journal = table.file_status, table.from_journal
        files = 0 if status is None else int((status[:, 0] >= 0).sum())
        earlier = 0 if from_journal is None else int(from_journal.sum())
        done = {"hashed": files - earlier}
        others = {"read from the journal": earlier, "read from tables": len(table) - files}
        done |= {word: number for word, number in others.items() if number}
        self.count(done, len(table.failures), table.skipped)

    def print(self, result: str = "") -> None:
        """Print the line on standard error, with the result of the mode at its end."""
        print_after_output(self.text(perf_counter() - self._begun, result))

    def text(self, seconds: float, result: str = "") -> str:
        """Return the line."""
        parts = [f"{number} {word}" for word, number in self._done.items()]
        kinds = [f"{number} {kind}" for kind, number in sorted(self._skipped.items()) if number]
        parts.append(
            f"{self._skipped.total()} skipped" + (f" ({', '.join(kinds)})" if kinds else "")
        )
        text = f"{', '.join(parts)}, {self._failed} failed, in {seconds:.1f} s"
        return f"{text}; {result}" if result else text
