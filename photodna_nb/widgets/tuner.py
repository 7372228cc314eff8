"""The threshold tuner: a threshold or a target is set, and its rates are shown."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import numpy as np

from photodna_nb import checks
from photodna_nb.checks import describe
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.corpus.transforms import parse
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation import PairCounts, Results
from photodna_nb.evaluation.config_sections import DeploymentConfig
from photodna_nb.evaluation.deployment import threshold_for_false_matches
from photodna_nb.evaluation.examples import ExamplePair, ThresholdExamples
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.rates import (
    RateEstimates,
    estimate_rates,
    recall_estimates,
    with_genuine_distances,
)
from photodna_nb.evaluation.threshold_rows import Row, threshold_row
from photodna_nb.evaluation.thresholds import (
    ThresholdChoice,
    choose_threshold,
    supported_threshold,
)
from photodna_nb.printable import printable
from photodna_nb.report import formatting
from photodna_nb.widgets import tuner_html
from photodna_nb.widgets.controls import ACCEPTABLE, MANUAL, TunerControls
from photodna_nb.widgets.histograms import INCHES, Histograms
from photodna_nb.widgets.pair_thumbnails import Thumbnails

_PAUSE = 0.3  # seconds without a change, after which the images are made
_LOWEST = 5  # number of transforms in the table
_MOST_PAIRS = 12  # largest number of pairs of each group that are shown as images


def _with_errors_shown(
    method: Callable[[ThresholdTuner], None],
) -> Callable[[ThresholdTuner, Any], None]:
    """Return a method that handles a change, and shows errors as a message before it raises."""

    @wraps(method)
    def handle(self: ThresholdTuner, _: Any) -> None:
        try:
            method(self)
        except Exception as error:
            self._show_error(error)
            raise

    return handle


class ThresholdTuner:
    """A widget that shows the rates, false matches per day and nearest pairs of a threshold.

    As the last value of a cell, it is displayed there. It reads the counts of a run, so that a
    change takes as long for 10^8 pairs as for 10^4. Only images of pairs take longer; they are
    made when the slider rests.

    Parameters
    ----------
    results : Results
        Results of a run.
    dataset : Dataset, optional
        The originals, if they are not where ``results.config.dataset()`` looks for them, or if
        `Results.load` read the results: it may be the folder of a stranger, and its configuration
        may name any file, so that no file is opened without this argument.
    pairs : int
        Number of pairs of each group that are shown as images, 1 to 12.

    Attributes
    ----------
    controls : TunerControls
        The widgets: ``controls.slider``, ``controls.target`` and others.
    choice : ThresholdChoice or None
        Threshold for the target, with its source; None without a target. If no threshold is
        known to meet a target by its upper confidence limit, it is the threshold that the
        data support, as in a report.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, or `pairs` is out of range.

    Notes
    -----
    Rates and intervals are those of the report, ``results.estimates.all_originals``. The
    threshold for a target is chosen on all originals. The operating points of a report are chosen
    on the selection half, and have the rates of the validation half. One of the originals that take
    part in most of the nearest impostor pairs can be left out of the rates and of the choice; the
    transforms with the lowest recall, and the images, stay those of all originals.

    Without an event loop, outside a notebook, images are made at once.
    """

    def __init__(self, results: Results, *, dataset: Dataset | None = None, pairs: int = 2) -> None:
        if not isinstance(results, Results):
            needed = "Results, of evaluation.run or Results.load"
            raise ArgumentTypeError(checks.message("results", describe(results), needed))
        if results.counts.hasher != PHOTODNA:
            needed = "results whose first hasher is photodna"
            raise ArgumentError(checks.message("results", results.counts.hasher.name, needed))
        if dataset is not None and not isinstance(dataset, Dataset):
            needed = "a Dataset, such as datasets.from_directory makes"
            raise ArgumentTypeError(checks.message("dataset", describe(dataset), needed))
        self._pairs = checks.integer("pairs", pairs, 1, _MOST_PAIRS)
        counts = results.counts
        self._results = results
        self._estimated, self._drawn = cache(self._estimate), cache(self._draw_histograms)
        self._recall = _TransformRecall(counts, results.estimates.all_originals.confidence)
        self._examples = ThresholdExamples(counts)
        self._thumbnails = Thumbnails(results, dataset)
        self._acceptable = results.config.deployment.max_false_matches_per_day
        self.controls: TunerControls = TunerControls(
            results.config,
            self._drawn(False, "").end,
            [row["original"] for row in results.tables.get("influence", ())],
        )
        self.choice: ThresholdChoice | None = None
        self._row: Row = {}
        self._follows_target = False  # while the slider is moved to the threshold of the target
        self._task: asyncio.Task[None] | None = None
        self._connect()
        self._refresh()

    @property
    def threshold(self) -> int:
        """L2 distance up to which two images match; it can be set."""
        return int(self.controls.slider.value)

    @threshold.setter
    def threshold(self, value: int) -> None:
        self.controls.slider.value = value

    @property
    def deployment(self) -> DeploymentConfig:
        """The list and the queries that the controls describe."""
        return DeploymentConfig(
            list_size=round(self.controls.list_size.value),
            queries_per_day=round(self.controls.queries_per_day.value),
            max_false_matches_per_day=self._acceptable,
            orientations=self.controls.orientations.value,
        )

    @property
    def row(self) -> Row:
        """Rates at the threshold, with the columns of ``results.tables["thresholds"]``."""
        return dict(self._row)

    def nearest_pairs(self) -> list[ExamplePair]:
        """Return the pairs that are shown: the nearest to the threshold of each group."""
        oriented = self.controls.orientations.value
        return list(self._examples.pairs(self.threshold, self._pairs, oriented))

    def __repr__(self) -> str:
        return (
            f"<ThresholdTuner, L2 ≤ {self.threshold}: recall {formatting.recall(self._row)}, false "
            f"match rate {formatting.false_match_rate(self._row)}, "
            f"{formatting.false_matches(self._row)} false matches per day>"
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and the figure with the rates for readers without a kernel."""
        data = dict(self.controls.box._repr_mimebundle_(**options))
        oriented = self.controls.orientations.value
        lines = tuner_html.lines(self._row, self._estimates(oriented), self.deployment)
        figure = self._histograms(oriented).with_text(self.threshold, lines)
        data |= {"text/plain": repr(self), "image/png": base64.b64encode(figure).decode("ascii")}
        return data, {"image/png": {"width": round(INCHES[0] * 100)}}

    def _estimate(self, oriented: bool, without: str) -> RateEstimates:
        """Return the rates of all originals, or of all but one."""
        counts, overall = self._results.counts, self._results.estimates.all_originals
        if not without:
            return with_genuine_distances(overall, counts, oriented=oriented)
        options: Any = {"confidence": overall.confidence, "seed": self._results.config.seed}
        return estimate_rates(counts, without=without, oriented=oriented, **options)

    def _estimates(self, oriented: bool) -> RateEstimates:
        """Return the rates that are shown."""
        return self._estimated(oriented, self.controls.left_out.value)

    def _histograms(self, oriented: bool) -> Histograms:
        return self._drawn(oriented, self.controls.left_out.value)

    def _draw_histograms(self, oriented: bool, without: str) -> Histograms:
        estimates = self._estimated(oriented, without)
        return Histograms(estimates.genuine_histogram, estimates.impostor_histogram)

    def _connect(self) -> None:
        controls = self.controls
        controls.slider.observe(self._on_slider, "value")
        for control in (controls.target, controls.conservative):
            control.observe(self._on_target, "value")
        for control in (controls.list_size, controls.queries_per_day, controls.orientations):
            control.observe(self._on_deployment, "value")
        controls.left_out.observe(self._on_left_out, "value")

    @_with_errors_shown
    def _on_slider(self) -> None:
        if not self._follows_target:
            self.controls.message.value = ""
            self.controls.target.value = MANUAL
        self._refresh()

    @_with_errors_shown
    def _on_target(self) -> None:
        self._follow_target()

    @_with_errors_shown
    def _on_deployment(self) -> None:
        if self.controls.target.value == ACCEPTABLE:
            self._follow_target()
        self._refresh()

    @_with_errors_shown
    def _on_left_out(self) -> None:
        if self.controls.target.value != MANUAL:
            self._follow_target()
        self._refresh()

    def _follow_target(self) -> None:
        """Move the threshold to the one that meets the target, as far as the data support it."""
        choice, rates = self._choose(), self._estimates(False).false_match_rates
        self.choice, message = choice, ""
        if choice is not None and (choice.threshold is None or choice.beyond_validation):
            if choice.conservative and rates is not None:
                self.choice = supported_threshold(rates, self._estimates(False).tail)
            message = tuner_html.problem(self._unsupported(choice, self.choice))
        elif choice is not None and choice.threshold is not None:
            message = tuner_html.meets_target(choice.threshold, choice, self.controls.slider.max)
        self.controls.message.value = message
        if self.choice is not None and self.choice.threshold is not None:
            self._follows_target = True
            try:
                self.threshold = self.choice.threshold
            finally:
                self._follows_target = False

    def _choose(self) -> ThresholdChoice | None:
        """Return the threshold for the target of the controls."""
        target, conservative = self.controls.target.value, self.controls.conservative.value
        rates, tail = self._estimates(False).false_match_rates, self._estimates(False).tail
        if target == MANUAL:
            return None
        if rates is None:
            reason = self._estimates(False).no_rates_reason
            return ThresholdChoice(0.0, conservative, None, "none", reason)
        if target == ACCEPTABLE:
            deployment = self.deployment
            return threshold_for_false_matches(
                self._acceptable,
                deployment.list_size,
                deployment.queries_per_day,
                rates,
                tail,
                deployment.n_orientations,
                conservative,
            )
        return choose_threshold(target, rates, tail, conservative)

    def _unsupported(self, choice: ThresholdChoice, best: ThresholdChoice | None) -> str:
        """Return what is known about a target that no threshold is known to meet."""

        def false_matches(threshold: int) -> str:
            return f"{formatting.false_matches(self._row_at(threshold))} false matches per day"

        text = "These images cannot show which threshold meets this target"
        if choice.threshold is None:
            text += f": {(best.reason if best else '') or choice.reason}."
        else:
            text += (
                f". The fitted tail, beyond its validation, suggests L2 {choice.threshold}; the "
                f"data support {false_matches(choice.threshold)} there."
            )
        if best is None or best.threshold is None:
            return f"{text} The slider is not moved."
        if best.threshold == choice.threshold:
            return text
        return (
            f"{text} The slider is at the largest threshold with the lowest rate that the data "
            f"support: L2 {best.threshold}, with {false_matches(best.threshold)}."
        )

    def _row_at(self, threshold: int) -> Row:
        deployment = self.deployment
        return threshold_row(self._estimates(deployment.orientations), threshold, deployment)

    def _refresh(self) -> None:
        """Show the rates at the threshold, and the images a little later."""
        threshold, deployment, controls = self.threshold, self.deployment, self.controls
        oriented = deployment.orientations
        self._row = self._row_at(threshold)
        controls.figure.value = self._histograms(oriented).png(threshold)
        controls.numbers.value = tuner_html.numbers(
            self._row, self._estimates(oriented), deployment
        )
        controls.transforms.value = tuner_html.transforms(self._recall.lowest(threshold, oriented))
        if self._task is not None:
            self._task.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            controls.images.value = self._thumbnails.html(self.nearest_pairs(), threshold)
        else:
            self._task = loop.create_task(self._show_images_later())

    async def _show_images_later(self) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            # In a thread, since large images take a while and the slider must not wait.
            images = await asyncio.to_thread(
                self._thumbnails.html, self.nearest_pairs(), self.threshold
            )
        except Exception as error:
            self._show_error(error)
            raise
        self.controls.images.value = images

    def _show_error(self, error: Exception) -> None:
        text = printable(f"{type(error).__name__}: {error}")
        self.controls.message.value = tuner_html.problem(text)


class _TransformRecall:
    """The recall of each transform at any threshold."""

    def __init__(self, counts: PairCounts, confidence: float) -> None:
        self._confidence = confidence
        self._distances_squared = {
            oriented: {
                parse(spec).label: distances
                for spec in counts.transforms
                if len(distances := counts.genuine_distances_squared(spec, oriented=oriented))
            }
            for oriented in (False, True)
        }

    def lowest(self, threshold: int, oriented: bool) -> list[Row]:
        """Return the transforms with the lowest recall, the lowest first, with intervals."""
        matches = [
            (label, int(np.searchsorted(distances, threshold**2, side="right")), len(distances))
            for label, distances in self._distances_squared[oriented].items()
        ]
        matches = sorted(matches, key=lambda item: item[1] / item[2])[:_LOWEST]
        matching, pairs = [item[1] for item in matches], [item[2] for item in matches]
        intervals = recall_estimates(matching, pairs, self._confidence)
        return [
            {"label": label} | recall._asdict()
            for (label, _, _), recall in zip(matches, intervals, strict=True)
        ]
