"""The thresholds of a run: for its deployment, and for each target false match rate."""

from __future__ import annotations

from typing import NamedTuple

from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.deployment import threshold_under
from photodna_nb.evaluation.rates import RunEstimates
from photodna_nb.evaluation.thresholds import (
    OperatingPoint,
    ThresholdChoice,
    operating_points,
    supported_threshold,
)


class RunThresholds(NamedTuple):
    """The thresholds that the results of a run describe.

    named : dict of str to int
        L2 distances by name: those of the configuration, then the recommended or the
        supported threshold, if there is one.
    deployment : dict of str to ThresholdChoice
        The largest thresholds with an acceptable number of false matches per day, by the
        ``"estimate"`` of the rate and by the upper end of its interval (``"conservative"``).
        If the data cannot show that the latter is acceptable, ``"supported"`` is the largest
        threshold at the lowest rate that they can show.
    operating_points : list of OperatingPoint
        For each target rate, by the estimate and then conservatively, a threshold that is
        chosen on the selection half, and its rates on the validation half. Empty if a half
        has no rates.
    """

    named: dict[str, int]
    deployment: dict[str, ThresholdChoice]
    operating_points: list[OperatingPoint]

    @property
    def supported(self) -> int | None:
        """The supported threshold; None if there is none, or one is recommended."""
        choice = self.deployment.get("supported")
        return None if choice is None else choice.threshold

    @property
    def recommended(self) -> int | None:
        """The conservative threshold; None if the data cannot show that it is acceptable."""
        if "supported" in self.deployment:
            return None
        return self.deployment["conservative"].threshold


def choose_thresholds(config: Config, estimates: RunEstimates) -> RunThresholds:
    """Return the thresholds for the deployment and the targets of a configuration."""
    whole, selection, validation = estimates
    rates, tail, service = whole.rates, whole.tail, config.deployment
    if rates is None:
        conservative = ThresholdChoice(0.0, True, None, "none", whole.no_rates_reason)
        deployment = {
            "estimate": ThresholdChoice(0.0, False, None, "none", whole.no_rates_reason),
            "conservative": conservative,
            "supported": conservative,
        }
    else:
        deployment = {
            criterion: threshold_under(
                service.max_false_matches_per_day,
                service.list_size,
                service.queries_per_day,
                rates,
                tail,
                service.n_orientations,
                criterion == "conservative",
            )
            for criterion in ("estimate", "conservative")
        }
        conservative = deployment["conservative"]
        if conservative.threshold is None or conservative.beyond_validation:
            deployment["supported"] = supported_threshold(rates, tail)
    points: list[OperatingPoint] = []
    if selection.rates is not None and validation.rates is not None:
        for by_interval in (False, True):
            targets = config.thresholds.targets
            points += operating_points(selection, validation, targets, by_interval)
    named = dict(config.thresholds.named)
    thresholds = RunThresholds(named, deployment, points)
    for own in ("recommended", "supported"):
        threshold: int | None = getattr(thresholds, own)
        if threshold is not None:
            named[own if own not in named else f"{own} by this run"] = threshold
    return thresholds
