"""Pairs of hashes as a table, with the paths of their images where these are known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.files import PathLike
from photodna_nb.pairs import pair_files
from photodna_nb.pairs.metrics import UNITS, Metric
from photodna_nb.pairs.pair_files import PairColumns
from photodna_nb.tables import parquet_format
from photodna_nb.tables.arrow import Column
from photodna_nb.tables.result_table import ResultTable, Rows


class Pair(NamedTuple):
    """A pair of hashes, as `Pairs` holds it.

    i, j : int
        Rows of the two hashes.
    distance : float or int
        Their distance, in the metric's units.
    path_i, path_j : str or None
        Paths of their images; None where they are not known.
    """

    i: int
    j: int
    distance: float
    path_i: str | None = None
    path_j: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Pairs(ResultTable[Pair]):
    """Pairs of hashes, sorted by i and then j.

    ``pairs[5]`` is a `Pair`; a slice, a mask such as ``pairs[pairs.distance < 100]``, or an array
    of row numbers gives some of the pairs. The columns of `to_pandas` and of files are ``i``,
    ``j``, ``distance`` and, of tables with paths, ``path_i`` and ``path_j``.

    Attributes
    ----------
    i, j : ndarray of int64, (p,)
        Row in `a` and row in `b` of each pair; without `b`, two rows of `a`, i < j.
    distance : ndarray, (p,)
        Distance of each pair: float64 for "euclidean", int32 otherwise.
    metric : str or None
        Metric of the distance; None if a file does not tell.
    paths_i, paths_j : list of str, or None
        Path of each row that `i` and `j` may name, if that was of a `HashTable`.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    distance: NDArray[Any]
    metric: Metric | None = None
    paths_i: Sequence[str] | None = None
    paths_j: Sequence[str] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.i)

    def _contents(self) -> str:
        text = f"{len(self):,} pair{'s' * (len(self) != 1)}"
        if not len(self):
            return text
        unit = f"{UNITS[self.metric]} distances" if self.metric else "distances"
        return f"{text} at {unit} from {self.distance.min():g} to {self.distance.max():g}"

    def _units(self) -> dict[str, str]:
        return {"distance": UNITS[self.metric]} if self.metric else {}

    def _arrays(self) -> PairColumns:
        return PairColumns(self.i, self.j, self.distance)

    def _columns(self) -> dict[str, Column]:
        columns: dict[str, Column] = dict(self._arrays()._asdict())
        for name, paths, rows in (
            ("path_i", self.paths_i, self.i),
            ("path_j", self.paths_j, self.j),
        ):
            if paths is not None:
                columns[name] = [paths[row] for row in rows.tolist()]
        return columns

    def _take(self, rows: Rows) -> Pairs:
        return replace(self, i=self.i[rows], j=self.j[rows], distance=self.distance[rows])

    def _record(self, row: int) -> Pair:
        i, j = int(self.i[row]), int(self.j[row])
        paths = (None if p is None else p[n] for p, n in ((self.paths_i, i), (self.paths_j, j)))
        return Pair(i, j, self.distance[row].item(), *paths)

    def _file_metadata(self) -> dict[bytes, bytes]:
        return parquet_format.ContentDigest(self._arrays()._asdict()).metadata()

    def save(self, path: PathLike, *, spreadsheet: bool = False) -> None:
        """Write the pairs to a file, in one step, in the format of its suffix.

        Parameters
        ----------
        path : str or os.PathLike
            ``.npz``, without the paths, or ``.parquet``: `read_pairs` reads both; or ``.csv``,
            ``.json`` or ``.jsonl`` (an object on each line).
        spreadsheet : bool
            As in `HashTable.save`.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            There is no format of that suffix, or `spreadsheet` is no bool or set for another one.
        TableFileError
            The file cannot be written, or pyarrow is missing.
        """
        name = checks.path("path", path)
        if os.path.splitext(name)[1].lower() != ".npz" or spreadsheet:
            super().save(name, spreadsheet=spreadsheet)
            return
        columns = self._arrays()
        dtypes = tuple(column.dtype.type for column in columns)
        pair_files.write(name, dtypes, len(self), lambda: iter([columns]))


def read_pairs(path: PathLike) -> Pairs:
    """Return the pairs in a file that `write_pairs` or `Pairs.save` wrote.

    Its digest is checked.

    Parameters
    ----------
    path : str or os.PathLike
        An ``.npz`` or ``.parquet`` file.

    Returns
    -------
    Pairs
        All pairs of the file, without paths.

    Raises
    ------
    ArgumentError
        The file has another suffix.
    TableFileError
        The file is missing, damaged or of another kind, or pyarrow is missing.

    Notes
    -----
    Takes up to three times the size of an ``.npz`` file in memory. Other programs read the files
    too, and check parts of them: `numpy.load` a CRC of each array, and pyarrow one of each page
    if it is asked to (``page_checksum_verification``).
    """
    columns = pair_files.read(checks.path("path", path))
    return Pairs(*columns, "euclidean" if columns.distance.dtype.kind == "f" else None)
