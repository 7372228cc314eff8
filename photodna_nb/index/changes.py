"""Changes of an index: adding images, with what is stored of them, and removing items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.index import arguments
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added
from photodna_nb.index.session import IndexSession
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.tables.table import HashTable


def add(
    session: IndexSession,
    images: Sequence[PathLike] | HashTable,
    hashes: NDArray[np.uint8] | None,
    extra: Sequence[Mapping[str, Any]] | None,
    hash_options: dict[str, Any],
) -> Added:
    """Append images, their hashes or a table: see `HashIndex.add`.

    hash_options: of `hash_files`, where files are hashed.
    """
    from photodna_nb.tables.table import HashTable

    if isinstance(images, HashTable):
        if hashes is not None:
            raise ArgumentError("hashes: a table has its own; leave them out")
        paths, extras = _checked(images.paths, images.hashes, extra)
        return _append(session, paths, images.hashes, _with_detail(images, extras), [], images)
    paths, extras = _checked(images, hashes, extra)
    if hashes is not None:
        return _append(session, paths, hashes, extras, [], None)
    import PIL

    from photodna_nb.hashing.files import hash_files

    # Before the lock is taken: hashing is what lasts.
    with session.current():
        known = session.store.find(paths)
    new = [(path, one) for path, one in zip(paths, extras, strict=True) if path not in known]
    table = hash_files([path for path, _ in new], **hash_options)
    failed = {path for path, _ in table.failures}
    extras = [one for path, one in new if path not in failed]
    extras = _with_detail(table, extras, pillow=PIL.__version__)
    skipped = [path for path in paths if path in known]
    return _append(session, table.paths, table.hashes, extras, skipped, table)


def remove(session: IndexSession, items: Sequence[int | PathLike]) -> list[Item]:
    """Remove items, and return them: see `HashIndex.remove`."""
    named = list(arguments.entries("items", items))
    with session.changing():
        removed: dict[int, Item] = {}
        for i, one in named:
            item = session.find_item(f"items[{i}]", one)
            if item is None:
                raise ArgumentError(f"items[{i}]: {printable(str(one))} is not in the index")
            removed[item.id] = item
        session.delete(list(removed))
    return list(removed.values())


def _checked(
    images: Any, hashes: Any, extra: Sequence[Mapping[str, Any]] | None
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return real paths and what is stored with them, one for each image."""
    paths = arguments.real_paths("images", images)
    extras: list[dict[str, Any]] = [{} for _ in paths]
    if extra is not None:
        extras = arguments.json_objects("extra", extra)
    n_hashes = len(paths)
    if hashes is not None:
        n_hashes = len(checks.array("hashes", hashes, np.uint8, ("n", HASH_BYTES)))
    if not len(paths) == n_hashes == len(extras):
        raise ArgumentError(
            f"images, hashes, extra: got {len(paths)}, {n_hashes} and {len(extras)} entries, "
            "needs one of each for every image"
        )
    return paths, extras


def _with_detail(
    table: HashTable, extras: Sequence[Mapping[str, Any]], **more: str
) -> list[dict[str, Any]]:
    """Return what is stored of each image of a table; some formats do not hold the detail."""
    return [
        {**({} if math.isnan(detail) else {"detail": detail}), **more, **extra}
        for detail, extra in zip(table.detail.tolist(), extras, strict=True)
    ]


def _append(
    session: IndexSession,
    paths: Sequence[str],
    hashes: NDArray[np.uint8],
    extras: Sequence[dict[str, Any]],
    skipped: list[str],
    table: HashTable | None,
) -> Added:
    """Append the images whose paths are not indexed yet."""
    with session.changing() as begun:
        known = set(session.store.find(paths))
        next_id = session.store.state().next_id
        rows: list[int] = []
        items: list[Item] = []
        for row, path in enumerate(paths):
            if path in known:
                skipped.append(path)
                continue
            known.add(path)
            rows.append(row)
            items.append(Item(next_id + len(items), path, hashes[row], extras[row]))
        if items or begun:
            session.insert(items, hashes[rows])
        else:
            session.end_unchanged()
    failures = [] if table is None else list(table.failures)
    return Added([item.id for item in items], skipped, failures)
