"""Originals that show the same, as ``exclude`` names them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from photodna_nb.evaluation.pair_counts import PairCounts

# L2 up to which two originals are suspected to be copies.
SUSPECT = 100
_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}")


def excluded_rows(
    groups: Iterable[Sequence[str]], names: Sequence[str], digests: Sequence[str]
) -> list[tuple[int, int]]:
    """Return the rows of all pairs inside groups, of names or ``sha256:`` and a digest.

    A digest stands for every original that has it; what is of none is left out.
    """
    groups = list(groups)
    rows: dict[str, list[int]] = {one: [] for group in groups for one in group}
    for row, (name, digest) in enumerate(zip(names, digests, strict=True)):
        for key in (name if named_digest(name) is None else "", f"sha256:{digest}"):
            if key in rows:
                rows[key].append(row)
    found: list[tuple[int, int]] = []
    for group in groups:
        each = dict.fromkeys(itertools.chain(*(rows[one] for one in group)))
        found += itertools.combinations(each, 2)
    return found


def suspected_duplicates(counts: PairCounts) -> list[list[int]]:
    """Return the rows of originals that are linked by distances of at most `SUSPECT`, by group."""
    close = counts.nearest
    chosen = (close.transform < 0) & (close.distance_squared <= SUSPECT**2)
    i, j = close.i[chosen], close.j[chosen]
    links = coo_array((np.ones(len(i)), (i, j)), (len(counts), len(counts)))
    _, group = connected_components(links, directed=False)
    members: dict[int, list[int]] = {}
    for row in np.unique(np.r_[i, j]).tolist():
        members.setdefault(int(group[row]), []).append(row)
    return list(members.values())


def named_digest(text: str) -> str | None:
    """Return the digest that ``sha256:`` and 64 hexadecimal digits name; None of a name."""
    return text[7:].lower() if _DIGEST.fullmatch(text) else None


def exclusion_name(name: str, digest: str) -> str:
    """Return what stands for an original in ``exclude``, and can be written into a TOML file.

    That is its name, or ``sha256:`` and its digest if the name is no UTF-8 text, or looks
    like a digest itself.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return f"sha256:{digest}"
    return f"sha256:{digest}" if named_digest(name) else name
