"""Items of an open index by their ids, labels and paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.errors import ArgumentTypeError
from photodna_nb.folders import real_paths
from photodna_nb.index import arguments, metadata
from photodna_nb.index.metadata import Item
from photodna_nb.index.session import IndexSession


def find_items(session: IndexSession, name: str, item: Any) -> list[Item]:
    """Return the items of an id, label or path, by id; `name` is that of the argument."""
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        with session.with_remedy():
            return list(session.store.get([int(item)] if 0 <= item < 2**63 else []).values())
    if not isinstance(item, str | bytes | os.PathLike):
        raise ArgumentTypeError(f"{name}: got {describe(item)}, needs an id or a path")
    label = arguments.label(name, checks.path(name, item))
    if items := items_by_path(session, [label]).get(label):
        return items
    (path,) = real_paths([arguments.text(name, item)])
    return items_by_path(session, [path]).get(path, [])


def items_by_path(session: IndexSession, paths: Sequence[str]) -> dict[str, list[Item]]:
    """Return the items, by id, of each path or label that is indexed."""
    known = session.store.find(paths)
    with session.with_remedy():
        items = session.store.get([i for ids in known.values() for i in ids])
    missing = {i for ids in known.values() for i in ids} - items.keys()
    if missing:
        problem = f"is damaged: it has a path of id {min(missing)}, and no such item"
        raise metadata.damaged(session.meta_path, problem)
    return {path: [items[i] for i in ids] for path, ids in known.items()}
