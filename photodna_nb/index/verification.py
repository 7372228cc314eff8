"""What `HashIndex.verify` finds: the index file, the metadata and the image files compared."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from photodna_nb.errors import ImageError
from photodna_nb.index import changes, faiss_file, metadata, search_rows
from photodna_nb.index.metadata import Item
from photodna_nb.index.session import IndexSession
from photodna_nb.printable import short_repr

if TYPE_CHECKING:
    from photodna_nb.tables.columns import FileFailure


@short_repr
@dataclass(frozen=True)
class Verification:
    """The differences between an index and its files, where nothing is damaged.

    Attributes
    ----------
    n_items : int
        Number of items. Each was read, and compared with its checksum.
    changed : list of str
        Names of files that have changed since they were indexed.
    missing : list of str
        Names of files that are no longer there.
    failures : list of FileFailure
        Files whose content was to be compared, and that could not be hashed.
    lacking : list of int
        Ids that the index file has and the metadata lacks: of items that a program removed that was
        stopped before it wrote the index file, or of items that the metadata has lost.
    n_labels : int
        Number of items with a label, which name no file to compare.
    n_unknown : int
        Number of items that other or earlier programs put in without size and time of the
        file, if the contents were not compared.
    n_unchecked : int
        Number of items of other or earlier programs without a checksum.
    n_pending : int
        Number of items that the index file does not hold yet: their hashes are in the metadata
        alone.
    other_type : str or None
        Type of the index file if it is not the `HashIndex.index_type`: a program was stopped that
        changed the type. The answers are right, and the next `save` writes the file.
    """

    n_items: int
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    lacking: list[int] = field(default_factory=list)
    n_labels: int = 0
    n_unknown: int = 0
    n_unchecked: int = 0
    n_pending: int = 0
    other_type: str | None = None


class _IndexedFile(NamedTuple):
    """What is needed of an item to compare it with its file, in little memory."""

    name: str
    path: str
    status: tuple[int | None, int | None]
    hash: bytes

    @classmethod
    def of(cls, item: Item, compare_content: bool) -> _IndexedFile:
        status = item.record.size, item.record.modified
        return cls(item.name, item.path, status, item.hash.tobytes() if compare_content else b"")


def verify(
    session: IndexSession, compare_content: bool, progress: bool, hash_options: dict[str, Any]
) -> Verification:
    """Read all of both files, and compare items with their files: see `HashIndex.verify`."""
    n_labels, files = 0, []
    with session.current():
        for item in session.store.items():
            if item.record.label:
                n_labels += 1
            else:
                files.append(_IndexedFile.of(item, compare_content))
        n_unchecked = session.store.count_unchecked()
        lacking, n_pending, other_type = _compared_files(session)
    n_items = n_labels + len(files)
    status = [changes.file_status(item.path) for item in files]
    missing = [item.name for item, one in zip(files, status, strict=True) if one is None]
    present = [item for item, one in zip(files, status, strict=True) if one is not None]
    failures: list[FileFailure] = []
    if compare_content:
        changed, failures = _other_contents(present, progress, hash_options)
        n_unknown = 0
    else:
        known = [
            (item, one)
            for item, one in zip(files, status, strict=True)
            if one is not None and item.status[0] is not None
        ]
        changed = [item.name for item, one in known if one != item.status]
        n_unknown = len(present) - len(known)
    counts = n_labels, n_unknown, n_unchecked, n_pending
    return Verification(n_items, changed, missing, failures, lacking, *counts, other_type)


def _compared_files(session: IndexSession) -> tuple[list[int], int, str | None]:
    """Read all of both files, and raise an error if anything in them is wrong.

    Returns the ids that the index file has and the metadata lacks, how many it lacks, and the
    type of the file if the metadata has another one.
    """
    if not session.on_disk:
        return [], 0, None
    store = session.store
    store.verify()
    file = faiss_file.load(session.index_path)
    file_ids = search_rows.verify(session.index_path, file, store)
    ids, _ = store.ids_and_hashes()
    lacking = np.setdiff1d(file_ids, ids).tolist()
    if lacking and search_rows.is_unchanged(file.footer.header, store.state()):
        reason = f"lacks item {lacking[0]}, which the index file holds"
        raise metadata.damaged(session.meta_path, reason)
    n_pending = len(np.setdiff1d(ids, file_ids))
    if session.begun:
        return [], n_pending, None
    other_type = None if file.index_type == store.index_type else file.index_type
    return lacking, n_pending, other_type


def _other_contents(
    items: list[_IndexedFile], progress: bool, hash_options: dict[str, Any]
) -> tuple[list[str], list[FileFailure]]:
    """Return the names of the items whose files have another hash, and the failures."""
    from photodna_nb import parallel
    from photodna_nb.hashing.files import iterate_hashes
    from photodna_nb.tables.columns import FileFailure

    changed, failures = [], []
    paths = [item.path for item in items]
    with (
        closing(iterate_hashes(paths, **hash_options)) as results,
        parallel.progress_bar(progress, paths, "files") as bar,
    ):
        for item, (_, result) in zip(items, results, strict=True):
            bar.update()
            if isinstance(result, ImageError):
                failures.append(FileFailure(item.name, result.reason))
            elif result.hash.tobytes() != item.hash:
                changed.append(item.name)
    return changed, failures
