"""A slider for the threshold, and what it does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from functools import wraps
from typing import Any

import ipywidgets as ipw
import numpy as np

from photodna_nb.checks import describe
from photodna_nb.corpus.datasets import Dataset
from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.evaluation import RateEstimates, Results, estimate_rates
from photodna_nb.evaluation.config import DeploymentConfig
from photodna_nb.evaluation.deployment import threshold_under
from photodna_nb.evaluation.examples import ExamplePair, ThresholdExamples
from photodna_nb.evaluation.rates import with_orientations
from photodna_nb.evaluation.summary import Row, threshold_row
from photodna_nb.evaluation.thresholds import ThresholdChoice, choose_threshold, supported_threshold
from photodna_nb.printable import printable
from photodna_nb.report import formatting
from photodna_nb.widgets import html
from photodna_nb.widgets.histograms import INCHES, Histograms
from photodna_nb.widgets.thumbnails import Thumbnails
from photodna_nb.widgets.transform_recall import EditRecall

_PAUSE = 0.3  # seconds without a move, after which pictures are made
_WORST = 5  # edits in the table
_MOST_PAIRS = 12  # of a kind, as pictures
_MOST = 10**12  # hashes in a list, or queries a day
_PRODUCTION = 200  # of a system in use, where no other is named
_BY_HAND, _BUDGET = "by hand", "budget"


def _shown(method: Callable[[ThresholdTuner], None]) -> Callable[[ThresholdTuner, Any], None]:
    """Return the method for a change; its errors are shown where the person looks, and raised."""

    @wraps(method)
    def checked(self: ThresholdTuner, _: Any) -> None:
        try:
            method(self)
        except Exception as error:
            self._say_error(error)
            raise

    return checked


class ThresholdTuner:
    """A slider for the threshold, and what it does: rates, false matches a day, pictures.

    The last value of a cell, it is shown there. It reads counts alone, so that a move takes
    as long for 10^8 pairs as for 10^4; but the pictures, which are made when the slider rests.

    Parameters
    ----------
    results : Results
        Of a run.
    estimates : RateEstimates, optional
        ``pdna.evaluation.estimate_rates(results.counts)``, if it is there already.
    dataset : Dataset, optional
        Where the pictures of the originals are; ``results.config.dataset()`` if left out.
    pairs : int
        How many pairs of each kind are shown as pictures, 1 to 12.

    Attributes
    ----------
    widget : ipywidgets.VBox
        All of it.
    slider : ipywidgets.IntSlider
        The threshold.
    target : ipywidgets.Dropdown
        The false match rate that the threshold follows; ``"by hand"``; or ``"budget"``, of
        false matches a day in the configuration.
    conservative : ipywidgets.Checkbox
        Whether the upper end of the interval is to keep the target.
    orientations : ipywidgets.Checkbox
        Whether queries are looked up in eight orientations.
    list_size, queries_per_day : ipywidgets.BoundedFloatText
        Of the service; rounded to whole numbers.
    choice : Choice or None
        Which threshold the target gave, and why; None by hand. Where no threshold can be
        shown to keep a target by the upper end of its interval, the one that the data support,
        as in a report.
    figure : ipywidgets.Image
        The histograms, PNG.
    numbers, edits, pictures, message : ipywidgets.HTML
        What is said.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, `pairs` is out of range, or `estimates` is of other counts.

    Notes
    -----
    Rates and intervals are those of the report: see `photodna_nb.evaluation.estimate_rates`. The
    threshold that follows a target is chosen on all originals; the operating points of the
    report are chosen on one half and judged on the other.

    Outside of a notebook, without an event loop, pictures are made at once.
    """

    def __init__(
        self,
        results: Results,
        *,
        estimates: RateEstimates | None = None,
        dataset: Dataset | None = None,
        pairs: int = 2,
    ) -> None:
        if not isinstance(results, Results):
            raise ArgumentTypeError(
                f"results: got {describe(results)}, needs Results, of evaluation.run or "
                "Results.load"
            )
        if estimates is not None and not isinstance(estimates, RateEstimates):
            raise ArgumentTypeError(
                f"estimates: got {describe(estimates)}, needs RateEstimates, of "
                "evaluation.estimate_rates(results.counts)"
            )
        if dataset is not None and not isinstance(dataset, Dataset):
            raise ArgumentTypeError(
                f"dataset: got {describe(dataset)}, needs a Dataset, such as "
                "datasets.from_directory makes"
            )
        if isinstance(pairs, bool) or not isinstance(pairs, int | np.integer):
            raise ArgumentTypeError(f"pairs: got {describe(pairs)}, needs an integer")
        if not 1 <= pairs <= _MOST_PAIRS:
            raise ArgumentError(f"pairs: got {pairs}, needs 1 to {_MOST_PAIRS}")
        config = results.config
        if estimates is None:
            estimates = estimate_rates(
                results.counts, confidence=config.confidence, seed=config.seed
            )
        self.estimates = estimates
        counts = results.counts
        if not np.array_equal(estimates.impostor, counts.impostor()):
            raise ArgumentError("estimates: is of other counts, needs those of results.counts")
        # As the variants are, and each in its best orientation.
        self._estimates = {
            oriented: with_orientations(estimates, counts, oriented=oriented)
            for oriented in (False, True)
        }
        self._histograms = {
            oriented: Histograms(one.genuine, one.impostor)
            for oriented, one in self._estimates.items()
        }
        self._recall = EditRecall(counts, estimates.confidence)
        self._examples = ThresholdExamples(results.counts)
        self._pictures = Thumbnails(results, dataset)
        self._pairs = int(pairs)
        self._deployment = config.deployment
        self._following = False
        self._task: asyncio.Task[None] | None = None
        self.choice: ThresholdChoice | None = None
        self._row: Row = {}
        self._make_widgets(results)
        self._connect()
        self._refresh()

    @property
    def threshold(self) -> int:
        """The L2 distance up to which pairs match; it can be set."""
        return int(self.slider.value)

    @threshold.setter
    def threshold(self, value: int) -> None:
        self.slider.value = value

    @property
    def row(self) -> Row:
        """What the threshold does, by the names of ``Results.tables["thresholds"]``."""
        return dict(self._row)

    def near(self) -> list[ExamplePair]:
        """Return the pairs that are shown: the nearest to the threshold of each kind and side."""
        return list(self._examples.pairs(self.threshold, self._pairs, self.orientations.value))

    def __repr__(self) -> str:
        said = (
            f"L2 ≤ {self.threshold}: recall {formatting.recall(self._row)}, false match rate "
            f"{formatting.false_match_rate(self._row)}, {formatting.false_matches(self._row)} "
            "false matches a day"
        )
        return f"<ThresholdTuner, {said}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and for readers without one the figure and the numbers."""
        data = dict(self.widget._repr_mimebundle_(**options))
        said = html.lines(self._row, self.estimates, self._service())
        figure = self._histograms[self.orientations.value].readable(self.threshold, said)
        data |= {"text/plain": repr(self), "image/png": base64.b64encode(figure).decode("ascii")}
        return data, {"image/png": {"width": round(INCHES[0] * 100)}}

    def _make_widgets(self, results: Results) -> None:
        named = results.config.thresholds.named
        start = named.get("production", next(iter(named.values()), _PRODUCTION))
        wide: dict[str, Any] = {"style": {"description_width": "initial"}}
        self.slider = ipw.IntSlider(
            value=start,
            max=max(self._histograms[False].end, start),
            description="Threshold (L2)",
            layout=ipw.Layout(width="98%", max_width="900px"),
            **wide,
        )
        budget = (
            f"{formatting.amount(self._deployment.max_false_matches_per_day)} false match a day"
        )
        if self._deployment.max_false_matches_per_day != 1:
            budget = budget.replace("match", "matches")
        targets = [
            (f"a false match rate of {formatting.rate(rate).removeprefix('1.0 × ')}", rate)
            for rate in results.config.thresholds.targets
        ]
        self.target = ipw.Dropdown(
            options=[("none, it is set by hand", _BY_HAND), *targets, (budget, _BUDGET)],
            value=_BY_HAND,
            description="Target, at most",
            layout=ipw.Layout(width="350px"),
            **wide,
        )
        level = formatting.level(self.estimates.confidence)
        self.conservative = ipw.Checkbox(
            value=True,
            description=f"cautious: keep it at the upper end of the {level} interval",
            indent=False,
            layout=ipw.Layout(width="auto"),
        )
        self.list_size, self.queries_per_day = (
            ipw.BoundedFloatText(  # which takes 1e6, too
                value=value,
                min=1,
                step=1,
                max=_MOST,
                description=text,
                layout=ipw.Layout(width="270px"),
                **wide,
            )
            for value, text in (
                (self._deployment.list_size, "Hashes in the list"),
                (self._deployment.queries_per_day, "Queries a day"),
            )
        )
        self.orientations = ipw.Checkbox(
            value=self._deployment.orientations,
            description="queries in eight orientations",
            indent=False,
            layout=ipw.Layout(width="auto"),
        )
        self.figure = ipw.Image(format="png", layout=ipw.Layout(width="auto", max_width="100%"))
        # Without a tooltip, with which ipywidgets 8.1 cannot show an image.
        self.figure.add_class("photodna-tuner-figure")
        self.numbers, self.edits, self.pictures, self.message = (ipw.HTML() for _ in range(4))
        wrapped = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 24px")
        beside = ipw.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="0 24px")
        left = ipw.Layout(flex="1 1 420px", max_width="520px")
        said = ipw.VBox(
            [self.numbers, self.edits], layout=ipw.Layout(flex="1 1 340px", max_width="520px")
        )
        self.widget = ipw.VBox(
            [
                ipw.HTML(html.STYLE, layout=ipw.Layout(display="none")),
                self.slider,
                ipw.HBox([self.target, self.conservative], layout=wrapped),
                ipw.HBox([self.list_size, self.queries_per_day, self.orientations], layout=wrapped),
                self.message,
                ipw.HBox([ipw.Box([self.figure], layout=left), said], layout=beside),
                self.pictures,
            ]
        )
        self.widget.add_class("photodna-tuner")

    def _connect(self) -> None:
        self.slider.observe(self._moved, "value")
        for control in (self.target, self.conservative):
            control.observe(self._chosen, "value")
        for control in (self.list_size, self.queries_per_day, self.orientations):
            control.observe(self._served, "value")

    @_shown
    def _moved(self) -> None:
        if not self._following:
            self.message.value = ""
            self.target.value = _BY_HAND
        self._refresh()

    @_shown
    def _chosen(self) -> None:
        self._follow()

    @_shown
    def _served(self) -> None:
        if self.target.value == _BUDGET:
            self._follow()
        self._refresh()

    def _follow(self) -> None:
        """Move the threshold to the one that keeps the target, as far as the data support it."""
        wished, rates = self._chosen_now(), self.estimates.rates
        self.choice, self.message.value = wished, ""
        if wished is not None and (wished.threshold is None or wished.beyond_validation):
            if wished.conservative and rates is not None:
                self.choice = supported_threshold(rates, self.estimates.tail)
            self.message.value = html.problem(self._unsupported(wished, self.choice))
        elif wished is not None and wished.threshold is not None:
            self.message.value = html.kept(wished.threshold, wished, self.slider.max)
        if self.choice is not None and self.choice.threshold is not None:
            self._following = True
            try:
                self.slider.value = self.choice.threshold
            finally:
                self._following = False

    def _chosen_now(self) -> ThresholdChoice | None:
        target, conservative = self.target.value, self.conservative.value
        rates, tail = self.estimates.rates, self.estimates.tail
        if target == _BY_HAND:
            return None
        if rates is None:
            return ThresholdChoice(0.0, conservative, None, "none", self.estimates.no_rates_reason)
        if target == _BUDGET:
            service = self._service()
            return threshold_under(
                service.max_false_matches_per_day,
                service.list_size,
                service.queries_per_day,
                rates,
                tail,
                service.n_orientations,
                conservative,
            )
        return choose_threshold(target, rates, tail, conservative)

    def _unsupported(self, wished: ThresholdChoice, best: ThresholdChoice | None) -> str:
        """Return what can be said of a target that no threshold can be shown to keep."""

        def false_matches(threshold: int) -> str:
            return f"{formatting.false_matches(self._at(threshold))} false matches a day"

        said = "These pictures cannot show which threshold keeps this target"
        if wished.threshold is None:
            said += f": {(best.reason if best else '') or wished.reason}."
        else:
            said += (
                ". The fit, taken further than such fits were tested, suggests L2 "
                f"{wished.threshold}; what the data support there is "
                f"{false_matches(wished.threshold)}."
            )
        if best is None or best.threshold is None:
            return f"{said} The slider stays."
        if best.threshold == wished.threshold:
            return said
        return (
            f"{said} The slider is at the largest threshold that has the lowest rate they "
            f"support: L2 {best.threshold}, with {false_matches(best.threshold)}."
        )

    def _service(self) -> DeploymentConfig:
        return DeploymentConfig(
            round(self.list_size.value),
            round(self.queries_per_day.value),
            self._deployment.max_false_matches_per_day,
            self.orientations.value,
        )

    def _at(self, threshold: int) -> Row:
        service = self._service()
        return threshold_row(self._estimates[service.orientations], threshold, service)

    def _refresh(self) -> None:
        """Show what the threshold does, and the pictures a little later."""
        threshold = self.threshold
        service = self._service()
        self._row = self._at(threshold)
        self.figure.value = self._histograms[service.orientations].png(threshold)
        self.numbers.value = html.numbers(self._row, self.estimates, service)
        self.edits.value = html.edits(self._recall.least(_WORST, threshold, service.orientations))
        self._show_pairs()

    def _show_pairs(self) -> None:
        """Show the pairs nearest the threshold, once it rests."""
        if self._task is not None:
            self._task.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.pictures.value = self._pictures.html(self.near(), self.threshold)
        else:
            self._task = loop.create_task(self._show_pairs_later())

    async def _show_pairs_later(self) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            # Pictures may be large, and moves are not to wait for them.
            html = await asyncio.to_thread(self._pictures.html, self.near(), self.threshold)
        except Exception as error:
            self._say_error(error)
            raise
        self.pictures.value = html

    def _say_error(self, error: Exception) -> None:
        said = printable(f"{type(error).__name__}: {error}")
        self.message.value = html.problem(said)
