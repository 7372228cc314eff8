"""Pairs that a person labelled: the same or not. Exactly these are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb.corpus.datasets import Dataset
from photodna_nb.corpus.transforms import seed_for
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.counting import genuine_parts
from photodna_nb.evaluation.label_files import read_labels
from photodna_nb.evaluation.original_hashes import ORIGINAL
from photodna_nb.evaluation.pair_counts import PAIR_SPLITS, PairCounts, detail_bin_numbers
from photodna_nb.evaluation.pair_records import (
    GenuinePairs,
    NearestImpostors,
    PairCategories,
    linked_groups,
)
from photodna_nb.evaluation.partitions import numbered
from photodna_nb.evaluation.run_originals import unknown_original
from photodna_nb.evaluation.variant_hashes import VariantHashes
from photodna_nb.printable import printable

KEY = "pairs.labelled"
_SAME = {
    **dict.fromkeys(("1", "true", "yes", "same"), True),
    **dict.fromkeys(("0", "false", "no", "different"), False),
}


class LabelledPair(NamedTuple):
    """A line of a file of labelled pairs.

    a, b : str
        Names of two originals.
    same : bool
        Whether they show the same.
    category : str
        Category of the pair; "" for none.
    """

    a: str
    b: str
    same: bool
    category: str


@dataclass(frozen=True)
class LabelledPairs:
    """The pairs of a file, in the order of its lines.

    Attributes
    ----------
    path : str
        Path of the file.
    lines : tuple of int, p
        Numbers of the lines.
    pairs : tuple of LabelledPair, p
        The pairs.
    """

    path: str
    lines: tuple[int, ...]
    pairs: tuple[LabelledPair, ...]

    @cached_property
    def names(self) -> set[str]:
        """Names of all originals in the pairs."""
        return {name for pair in self.pairs for name in pair[:2]}

    def renamed(self, name: Callable[[str], str]) -> LabelledPairs:
        """Return the pairs of originals with the names that `name` gives."""
        renamed = tuple(pair._replace(a=name(pair.a), b=name(pair.b)) for pair in self.pairs)
        return LabelledPairs(self.path, self.lines, renamed)

    def restricted(self, dataset: Dataset) -> Dataset:
        """Return the originals in the pairs alone."""
        chosen = tuple(original for original in dataset if original.name in self.names)
        return Dataset(dataset.description, chosen)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise a FileError if a name is none of the originals."""
        known = set(names)
        for line, pair in zip(self.lines, self.pairs, strict=True):
            for name in pair[:2]:
                if name not in known:
                    raise FileError(
                        self.path, f"line {line} of {KEY}: {unknown_original(name, known)}"
                    )


def read_labelled(config: Config) -> LabelledPairs | None:
    """Return the labelled pairs of a configuration; None if it names no file of them.

    Raises
    ------
    FileError
        The file cannot be read; or a line has a label that is none, pairs an original with itself,
        has a pair of another line, or says of originals which other lines link that they differ.
    """
    path = config.files().get(KEY)
    if path is None:
        return None
    lines: dict[frozenset[str], int] = {}
    pairs: list[LabelledPair] = []
    for line, cells in read_labels(path, ("a", "b", "same"), ("category",)):
        same = _SAME.get(cells["same"].strip().lower())
        if same is None:
            shown = printable(cells["same"][:40])
            problem = f"has {shown} in the column same, needs 1 or 0; write one of them"
            raise FileError(path, f"line {line} {problem}")
        pair = LabelledPair(cells["a"], cells["b"], same, cells["category"])
        if pair.a == pair.b:
            raise FileError(path, f"line {line} pairs {printable(pair.a)} with itself; take it out")
        first = lines.setdefault(frozenset(pair[:2]), line)
        if first != line:
            raise FileError(path, f"line {line} has the pair of line {first}; take one of them out")
        pairs.append(pair)
    labelled = LabelledPairs(path, tuple(lines.values()), tuple(pairs))
    numbered(f"{KEY}: the column category", [pair.category for pair in pairs])
    _check_links(labelled)
    return labelled


def _check_links(labelled: LabelledPairs) -> None:
    """Raise a FileError if pairs that are the same link two originals that differ."""
    place = {name: number for number, name in enumerate(sorted(labelled.names))}
    i, j = np.array([[place[name] for name in pair[:2]] for pair in labelled.pairs]).T
    same = np.array([pair.same for pair in labelled.pairs])
    group = linked_groups(i[same], j[same], len(place))
    for number in np.flatnonzero((group[i] == group[j]) & ~same)[:1].tolist():
        a, b = map(printable, labelled.pairs[number][:2])
        raise FileError(
            labelled.path,
            f"line {labelled.lines[number]} says that {a} and {b} differ, and other lines link "
            "them as the same; correct one of these lines",
        )


def count_labelled(
    hashed: VariantHashes,
    pairs: Sequence[LabelledPair],
    seed: int,
    *,
    detail_bins: Sequence[float] = (),
    exclude_below_detail: float = 0.0,
    low_detail: NDArray[np.bool_] | None = None,
) -> PairCounts:
    """Return the counts of labelled pairs alone.

    Parameters
    ----------
    hashed : VariantHashes
        Hashes of originals; variants are left out.
    pairs : sequence of LabelledPair
        Pairs of different originals; those with an original that has no hash are left out.
    seed : int
        Seed of the halves. Originals that genuine pairs link are in one half.
    detail_bins : sequence of float
        Inner edges of the detail bins, increasing.
    exclude_below_detail : float
        Grey levels. Impostor pairs of originals with less detail are left out.
    low_detail : ndarray of bool, (n,), optional
        Which originals these are, where `hashed` has no detail in grey levels.
    """
    n, hasher = len(hashed.names), hashed.hasher
    row = {name: number for number, name in enumerate(hashed.names)}
    pairs = [pair for pair in pairs if pair.a in row and pair.b in row]
    ends = np.array([sorted((row[pair.a], row[pair.b])) for pair in pairs], np.int64)
    i, j = ends.reshape(-1, 2).T
    same = np.array([pair.same for pair in pairs], bool)
    categories, category = numbered(KEY, [pair.category for pair in pairs])
    in_validation_half = _halves(hashed.names, linked_groups(i[same], j[same], n), seed)
    bins = detail_bin_numbers(hashed.detail, detail_bins)

    order = np.flatnonzero(same)[np.lexsort((j[same], i[same]))]
    a, b, genuine_category = i[order], j[order], category[order]
    genuine = GenuinePairs.joined(genuine_parts(hashed, hashed.hashes[a], a, b))

    flat = hashed.detail < exclude_below_detail if low_detail is None else low_detail
    kept = ~same & ~flat[i] & ~flat[j]
    i, j, category = i[kept], j[kept], category[kept]
    distances = hasher.integers(hashed.hashes[i], hashed.hashes[j])
    nearest = NearestImpostors.of(i, j, np.full(len(i), ORIGINAL), distances)
    order = nearest.order()
    nearest = nearest.taken(order)
    columns = hasher.bins(nearest.distance_squared)
    halves = in_validation_half[nearest.i].astype(np.int64), in_validation_half[nearest.j]
    split = np.where(halves[0] == halves[1], halves[0], PAIR_SPLITS.index("between"))
    originals = np.zeros((len(PAIR_SPLITS), hasher.n_bins), np.int64)
    np.add.at(originals, (split, columns), 1)
    by_detail_bin = np.zeros((len(detail_bins) + 1, hasher.n_bins), np.int64)
    lower = np.minimum(bins[nearest.i], bins[nearest.j])
    np.add.at(by_detail_bin, (lower[lower >= 0], columns[lower >= 0]), 1)
    n_pairs = np.bincount(np.r_[nearest.i, nearest.j], minlength=n).astype(np.int32)
    return PairCounts(
        names=hashed.names,
        digests=hashed.digests,
        transforms=(),
        detail=hashed.detail,
        in_validation_half=in_validation_half,
        detail_bin_edges=tuple(map(float, detail_bins)),
        genuine=genuine,
        impostor_originals=originals,
        impostor_variants=np.zeros((0, *originals.shape), np.int64),
        impostor_by_detail_bin=by_detail_bin,
        compared=n_pairs > 0,
        pairs_per_original=n_pairs[:, None],
        pairs_excluded=0,
        pairs_identical=0,
        pairs_low_detail=int((~same & ~kept).sum()),
        nearest=nearest,
        nearest_limit=hasher.largest_threshold,
        hash_sample=hashed.hashes[:0],
        run_number=np.zeros(n, np.int32),
        counting_rules=(
            "labelled=true",
            f"exclude_below_detail={exclude_below_detail:g}",
        ),
        hasher=hasher,
        labelled=PairCategories(categories, genuine_category, category[order]),
    )


def _halves(names: Sequence[str], group: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Return which originals are in the validation half: all of one group, or none, (n,)."""
    first: dict[int, str] = {}
    for name, number in sorted(zip(names, group.tolist(), strict=True)):
        first.setdefault(number, name)
    validation = {number: seed_for(seed, name, "half") % 2 == 1 for number, name in first.items()}
    return np.array([validation[number] for number in group.tolist()], bool)
