"""Which edits a threshold finds least."""

from __future__ import annotations

import numpy as np

from photodna_nb.corpus.transforms import parse
from photodna_nb.evaluation import PairCounts
from photodna_nb.evaluation.rates import recall_intervals
from photodna_nb.evaluation.summary import Row


class EditRecall:
    """The recall of each edit at any threshold."""

    def __init__(self, counts: PairCounts, confidence: float) -> None:
        self._confidence = confidence
        self._distances_squared = {
            oriented: {
                parse(spec).label: distances
                for spec in counts.transforms
                if len(distances := counts.genuine_distances(spec, oriented=oriented))
            }
            for oriented in (False, True)
        }

    def least(self, number: int, threshold: int, oriented: bool) -> list[Row]:
        """Return so many edits, those with the lowest recall first, with its interval."""
        edits = [
            (label, int(np.searchsorted(distances, threshold**2, side="right")), len(distances))
            for label, distances in self._distances_squared[oriented].items()
        ]
        edits = sorted(edits, key=lambda edit: edit[1] / edit[2])[:number]
        intervals = recall_intervals(
            [matched for _, matched, _ in edits],
            [pairs for _, _, pairs in edits],
            self._confidence,
        )
        return [
            {"label": label} | recall._asdict()
            for (label, _, _), recall in zip(edits, intervals, strict=True)
        ]
