"""The journal beside an index: what was hashed for it and is not saved yet.

A call that is interrupted leaves it, the next one takes the hashes of unchanged files from it,
and the `save` that stores them deletes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Self

from photodna_nb.errors import FileError
from photodna_nb.folders import real_paths
from photodna_nb.hashing.hash_journal import HashJournal, HashRecord


class UnsavedHashes(HashJournal):
    """A journal of hashes of which those that were used, or were appended here, get saved.

    It is created with its first record.
    """

    def __init__(self, path: str, like: str) -> None:
        super().__init__(path, like)
        self._used: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def get(self, path: str) -> HashRecord | None:
        """Return the newest record of a file, and note that it is used."""
        self._used.add(os.path.abspath(path))
        return super().get(path)

    def forget_used(self, indexed: Callable[[list[str]], Container[str]]) -> None:
        """Delete the journal, unless another program uses it, but for records that are needed.

        indexed: returns which of some paths are those of items.
        """

        def needed() -> list[HashRecord]:
            records = {one.path: one for one in self.usable() if one.path not in self._used}
            unused = dict(zip(real_paths(records), records.values(), strict=True))
            known = indexed(list(unused))
            return [record for path, record in unused.items() if path not in known]

        with suppress(FileError):  # all is saved; what stays is used again
            self.delete(needed)
