"""Choosing a threshold by hand, in a notebook.

    pdna.widgets.ThresholdTuner(pdna.evaluation.Results.load("run"))

Needs ipywidgets, which ``pip install "photodna_nb[notebooks]"`` brings.
"""

from __future__ import annotations

import asyncio
import base64
import io
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from html import escape
from typing import Any, Literal, NamedTuple, TypeAlias

import ipywidgets as ipw
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photodna_nb import plots
from photodna_nb.arrays import described
from photodna_nb.datasets import Dataset, Original
from photodna_nb.distances import SIMILARITY_SCALE
from photodna_nb.errors import ArgumentError, ArgumentTypeError, PhotodnaError
from photodna_nb.evaluation import Counts, Measured, Results, measure
from photodna_nb.evaluation.config import ScaleConfig
from photodna_nb.evaluation.intervals import recall_interval
from photodna_nb.evaluation.operating import Choice, choose_threshold
from photodna_nb.evaluation.scale import expected_matches, threshold_under
from photodna_nb.evaluation.summary import Row, recalls
from photodna_nb.names import displayed
from photodna_nb.plots.drawing import shortened
from photodna_nb.report import words
from photodna_nb.transforms import parse, seed_for

__all__ = ["NearPair", "ThresholdTuner"]

# Name of an original, its edit if any, and what it is called.
_Picture: TypeAlias = tuple[str, str | None, str]

_ORIENTATIONS = 8
_ORIGINAL = -1  # instead of the number of an edit
_LOOK_BACK = 4096  # pairs, among which those of other originals are looked for
_KEPT = 512  # thumbnails
_PAUSE = 0.3  # seconds without a move, after which pictures are made
_SIDE = 184  # pixels of a thumbnail: twice those of the page, for fine screens
_WORST = 5  # edits in the table
_MOST_PAIRS = 12  # of a kind, as pictures
_MOST = 10**12  # hashes in a list, or queries a day
_PRODUCTION = 200  # of a system in use, where no other is named
_BY_HAND, _BUDGET = "by hand", "budget"
_INCHES, _DPI = (5.2, 4.4), 170
# Of the palette of the figures: the first threshold's.
_LINE, _MATCHING = (0, 158, 115, 255), (0, 158, 115, 34)
_RECALL = "recall", "recall_lower", "recall_upper"
_STYLE = """<style>
.photodna-tuner .table { border-collapse: collapse; line-height: 1.35; }
.photodna-tuner .table th { text-align: left; font-weight: 600; white-space: nowrap; }
.photodna-tuner .table :is(th, td) { padding: 2px 12px 2px 0; vertical-align: top; }
.photodna-tuner .table caption { text-align: left; font-weight: 600; padding: 6px 0 2px; }
.photodna-tuner .table td { font-variant-numeric: tabular-nums; }
.photodna-tuner p { margin: 4px 0; }
.photodna-tuner .note { opacity: .8; }
.photodna-tuner .problem { border-left: 4px solid #D55E00; padding: 2px 8px; }
.photodna-tuner .groups { display: flex; flex-wrap: wrap; gap: 12px 20px; line-height: 1.3;
  margin-top: 8px; }
.photodna-tuner .groups > div { width: 190px; }
.photodna-tuner figure { margin: 4px 0 10px; max-width: 190px; }
.photodna-tuner figure img { max-width: 92px; max-height: 92px; vertical-align: bottom; }
.photodna-tuner figcaption { font-size: 90%; overflow-wrap: anywhere; }
.photodna-tuner .missing { display: inline-block; width: 90px; border: 1px solid grey;
  font-size: 85%; overflow-wrap: anywhere; vertical-align: bottom; }
/* Dark themes: what is black on nothing becomes white, and colours keep their hue. */
body[data-jp-theme-light="false"] .photodna-tuner-figure,
body.vscode-dark .photodna-tuner-figure { filter: invert(1) hue-rotate(180deg); }
</style>"""
_KINDS: dict[tuple[str, str], str] = {
    ("genuine", "below"): "Genuine, only just found",
    ("genuine", "above"): "Genuine, only just missed",
    ("impostor", "below"): "Impostors, matching",
    ("impostor", "above"): "Impostors, kept apart",
}
_SOURCES = {
    "counted": "counted: ten pairs of originals or more match ({level} interval)",
    "disjoint pairs": "a {level} bound: fewer than ten pairs of originals match",
    "tail": "extrapolation by a fitted tail: fewer than ten pairs match ({level} interval)",
    "untested": "a bound: the fitted tail says still less, further out than such fits were tested",
}
_CHOSEN = {
    "counted": "by what was counted on all originals",
    "disjoint pairs": "by a bound, since fewer than ten pairs match",
    "tail": "by the fitted tail, which is extrapolation",
}


class NearPair(NamedTuple):
    """A pair whose distance is near a threshold.

    kind : {"genuine", "impostor"}
        Whether both show the same.
    side : {"below", "above"}
        Whether it matches, or does not.
    original : str
        Name of the one that was edited, or of the first.
    transform : str or None
        Its edit; None if it is as it was.
    other : str
        Name of the other original, as it is; of a genuine pair, the same one.
    distance_squared : int
        L2, squared.
    """

    kind: Literal["genuine", "impostor"]
    side: Literal["below", "above"]
    original: str
    transform: str | None
    other: str
    distance_squared: int


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
    measured : Measured, optional
        ``pdna.evaluation.measure(results.counts)``, if it is there already.
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
    list_size, queries_a_day : ipywidgets.BoundedIntText
        Of the service.
    choice : Choice or None
        Which threshold the target gave, and why; None by hand. Where the target is beyond what
        fits were tested on, and the upper end is to keep it, that of the lowest rate that can
        be told: the threshold that a report recommends.
    figure : ipywidgets.Image
        The histograms, PNG.
    numbers, edits, pictures, message : ipywidgets.HTML
        What is said.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type, `pairs` is out of range, or `measured` is of other counts.

    Notes
    -----
    Rates and intervals are those of the report: see `photodna_nb.evaluation.measure`. The
    threshold that follows a target is chosen on all originals; the operating points of the
    report are chosen on one half and judged on the other.

    Outside of a notebook, without an event loop, pictures are made at once.
    """

    def __init__(
        self,
        results: Results,
        *,
        measured: Measured | None = None,
        dataset: Dataset | None = None,
        pairs: int = 2,
    ) -> None:
        if not isinstance(results, Results):
            raise ArgumentTypeError(
                f"results: got {described(results)}, needs Results, of evaluation.run or "
                "Results.load"
            )
        if measured is not None and not isinstance(measured, Measured):
            raise ArgumentTypeError(
                f"measured: got {described(measured)}, needs Measured, of "
                "evaluation.measure(results.counts)"
            )
        if dataset is not None and not isinstance(dataset, Dataset):
            raise ArgumentTypeError(
                f"dataset: got {described(dataset)}, needs a Dataset, such as "
                "datasets.from_directory makes"
            )
        if isinstance(pairs, bool) or not isinstance(pairs, int | np.integer):
            raise ArgumentTypeError(f"pairs: got {described(pairs)}, needs an integer")
        if not 1 <= pairs <= _MOST_PAIRS:
            raise ArgumentError(f"pairs: got {pairs}, needs 1 to {_MOST_PAIRS}")
        config = results.config
        if measured is None:
            measured = measure(results.counts, confidence=config.confidence, seed=config.seed)
        self.measured = measured
        self._rates = _Rates(results, measured)
        self._histograms = {
            way: _Histograms(genuine, measured.impostor)
            for way, genuine in self._rates.genuine.items()
        }
        self._near = _Near(results.counts)
        self._pictures = _Pictures(results, dataset)
        self._pairs = int(pairs)
        self._scale = config.scale
        self._following = False
        self._task: asyncio.Task[None] | None = None
        self.choice: Choice | None = None
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

    def near(self) -> list[NearPair]:
        """Return the pairs that are shown: the nearest to the threshold of each kind and side."""
        return list(self._near.pairs(self.threshold, self._pairs, self.orientations.value))

    def __repr__(self) -> str:
        said = (
            f"L2 ≤ {self.threshold}: recall {words.recall(self._row)}, false match rate "
            f"{words.false_match_rate(self._row)}, {words.false_matches(self._row)} false matches "
            "a day"
        )
        return f"<ThresholdTuner, {said}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and for readers without one the figure and the numbers."""
        data = dict(self.widget._repr_mimebundle_(**options))
        figure = self._histograms[self.orientations.value].readable(self.threshold)
        data |= {"text/plain": repr(self), "image/png": _encoded(figure)}
        return data, {"image/png": {"width": round(_INCHES[0] * 100)}}

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
        budget = f"{words.amount(self._scale.budget)} false match a day"
        if self._scale.budget != 1:
            budget = budget.replace("match", "matches")
        targets = [
            (f"a false match rate of {words.rate(rate).removeprefix('1.0 × ')}", rate)
            for rate in results.config.thresholds.targets
        ]
        self.target = ipw.Dropdown(
            options=[("none, it is set by hand", _BY_HAND), *targets, (budget, _BUDGET)],
            value=_BY_HAND,
            description="Target, at most",
            layout=ipw.Layout(width="350px"),
            **wide,
        )
        level = words.level(self.measured.confidence)
        self.conservative = ipw.Checkbox(
            value=True,
            description=f"safe: even the upper end of the {level} interval",
            indent=False,
            layout=ipw.Layout(width="auto"),
        )
        self.list_size, self.queries_a_day = (
            ipw.BoundedIntText(
                value=value,
                min=1,
                max=_MOST,
                description=text,
                layout=ipw.Layout(width="270px"),
                **wide,
            )
            for value, text in (
                (self._scale.list_size, "Hashes in the list"),
                (self._scale.queries_a_day, "Queries a day"),
            )
        )
        self.orientations = ipw.Checkbox(
            value=self._scale.orientations,
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
                ipw.HTML(_STYLE, layout=ipw.Layout(display="none")),
                self.slider,
                ipw.HBox([self.target, self.conservative], layout=wrapped),
                ipw.HBox([self.list_size, self.queries_a_day, self.orientations], layout=wrapped),
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
        for control in (self.list_size, self.queries_a_day, self.orientations):
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
        """Move the threshold to the one that keeps the target, as far as that can be told."""
        wished = self._chosen_now()
        self.choice, self.message.value = wished, ""
        if wished is not None and wished.threshold is not None and wished.untested:
            if wished.conservative:
                self.choice = self._told(wished)
            self.message.value = _problem(self._untested(wished.threshold, self.choice))
        elif wished is not None:
            self.message.value = _said_of(wished, self.slider.max)
        if self.choice is not None and self.choice.threshold is not None:
            self._following = True
            try:
                self.slider.value = self.choice.threshold
            finally:
                self._following = False

    def _chosen_now(self) -> Choice | None:
        target, conservative = self.target.value, self.conservative.value
        rates, tail = self.measured.rates, self.measured.tail
        if target == _BY_HAND:
            return None
        if rates is None:
            return Choice(0.0, conservative, None, "none", self.measured.reason)
        if target == _BUDGET:
            service = self._service()
            return threshold_under(
                service.budget,
                service.list_size,
                service.queries_a_day,
                rates,
                tail,
                _ORIENTATIONS if service.orientations else 1,
                conservative,
            )
        return choose_threshold(target, rates, tail, conservative)

    def _told(self, wished: Choice) -> Choice:
        """Return the threshold of the lowest rate that can be told, as a report recommends it."""
        rates, tail = self.measured.rates, self.measured.tail
        assert rates is not None
        assert tail is not None  # which said the threshold that was wished for
        return choose_threshold(tail.tested_to, rates, tail, wished.conservative)

    def _untested(self, threshold: int, choice: Choice | None) -> str:
        """Return what can be said of a target beyond what fits were tested on."""
        service = self._service()

        def told(at: int) -> str:
            return words.amount(self._rates.row(at, service)["a_day_upper"])

        said = (
            "Which threshold keeps this target is not known: the fit, taken further than it was "
            f"tested, says L2 {threshold}, and what can be told there is at most "
            f"{told(threshold)} false matches a day."
        )
        best = None if choice is None else choice.threshold
        if best is None:
            return f"{said} The slider stays."
        if best == threshold:
            return said
        return (
            f"{said} The slider is at the best that can be told: L2 {best}, with at most "
            f"{told(best)} a day."
        )

    def _service(self) -> ScaleConfig:
        return ScaleConfig(
            self.list_size.value,
            self.queries_a_day.value,
            self._scale.budget,
            self.orientations.value,
        )

    def _refresh(self) -> None:
        """Show what the threshold does, and the pictures a little later."""
        threshold = self.threshold
        service = self._service()
        self._row = self._rates.row(threshold, service)
        self.figure.value = self._histograms[service.orientations].png(threshold)
        self.numbers.value = _numbers(self._row, self.measured)
        self.edits.value = _edits(self._rates.edits(threshold, service.orientations))
        self._show_pairs()

    def _show_pairs(self) -> None:
        """Show the pairs nearest the threshold, once it rests."""
        if self._task is not None:
            self._task.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.pictures.value = self._pictures.html(self.near(), self._near.limit)
        else:
            self._task = loop.create_task(self._show_pairs_later())

    async def _show_pairs_later(self) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            # Pictures may be large, and moves are not to wait for them.
            html = await asyncio.to_thread(self._pictures.html, self.near(), self._near.limit)
        except Exception as error:
            self._say_error(error)
            raise
        self.pictures.value = html

    def _say_error(self, error: Exception) -> None:
        said = displayed(f"{type(error).__name__}: {error}")
        self.message.value = _problem(said)


class _Rates:
    """What each threshold does, from sums that are made once."""

    def __init__(self, results: Results, measured: Measured) -> None:
        counts = results.counts
        if not np.array_equal(measured.impostor, counts.impostor()):
            raise ArgumentError("measured: is of other counts, needs measure(results.counts)")
        self._measured = measured
        self.genuine = {way: counts.genuine(oriented=way) for way in (False, True)}
        self._matches = {way: np.cumsum(cells) for way, cells in self.genuine.items()}
        self._ends = {
            way: recall_interval(squared, len(measured.impostor), measured.confidence)
            for way, squared in (
                (False, counts.genuine_squared),
                (True, counts.genuine_oriented_squared),
            )
        }
        self._by_edit = {
            oriented: {
                parse(spec).label: counts.genuine_distances(spec, oriented=oriented)
                for spec in counts.transforms
            }
            for oriented in (False, True)
        }

    def row(self, threshold: int, service: ScaleConfig) -> Row:
        """Return recall, false match rate, and false matches a day."""
        measured, found = self._measured, self._measured.curves
        oriented = service.orientations
        matches = int(self._matches[oriented][threshold])
        row: Row = {
            "threshold": threshold,
            "genuine_pairs": found.genuine_pairs,
            "genuine_matches": matches,
            **dict.fromkeys(_RECALL),
            "recall_oriented": oriented,
            "impostor_pairs": found.impostor_pairs,
            "impostor_matches": int(found.impostor_matches[threshold]),
            "a_day_source": None,
        }
        if found.genuine_pairs:
            lower, upper = (float(end[threshold]) for end in self._ends[oriented])
            recall = matches / found.genuine_pairs
            row |= zip(_RECALL, (recall, lower, upper), strict=True)
        if measured.rates is None:
            return row
        day = expected_matches(
            threshold,
            service.list_size,
            service.queries_a_day,
            measured.rates,
            measured.tail,
            _ORIENTATIONS if service.orientations else 1,
        )
        for name in ("comparisons", "expected", "lower", "upper", "source", "untested"):
            row[f"a_day_{name}"] = getattr(day, name)
        rate = measured.rates.at(threshold)
        row |= {
            "false_match_rate": rate.rate,
            "false_match_rate_lower": rate.lower,
            "false_match_rate_upper": rate.upper,
            "counted": rate.counted,
        }
        if day.source == "tail":
            told = day.expected, day.lower, day.upper
            row |= {
                f"tail_{name}": None if number is None else number / day.comparisons
                for name, number in zip(("rate", "lower", "upper"), told, strict=True)
            }
            row["tail_untested"] = day.untested
        return row

    def edits(self, threshold: int, oriented: bool) -> list[Row]:
        """Return the recall of the edits that are found least, by label."""
        found = {label: one for label, one in self._by_edit[oriented].items() if len(one)}
        trials = [len(one) for one in found.values()]
        matched = [int(np.searchsorted(one, threshold**2, side="right")) for one in found.values()]
        worst = sorted(range(len(trials)), key=lambda k: matched[k] / trials[k])[:_WORST]
        labels = list(found)
        three = recalls(
            [matched[k] for k in worst], [trials[k] for k in worst], self._measured.confidence
        )
        return [
            {"label": labels[k], **dict(zip(_RECALL, one, strict=True))}
            for k, one in zip(worst, three, strict=True)
        ]


class _Histograms:
    """The distances of all pairs, drawn once, and a line that moves."""

    def __init__(self, genuine: NDArray[Any], impostor: NDArray[Any]) -> None:
        axes: list[Any] = []

        def draw() -> Any:
            ax = plots.plot_distances(genuine, impostor)
            figure: Any = ax.figure
            for patch in (ax.patch, figure.patch):
                patch.set_alpha(0)
            figure.draw_without_rendering()  # the layout settles at the second time
            axes.append(ax)
            return ax

        content = plots.png(draw, _INCHES, _DPI)
        self._plain = Image.open(io.BytesIO(content)).convert("RGBA")
        box = axes[0].get_position()  # where the layout left it
        width, height = self._plain.size
        self._left, self._right = box.x0 * width, box.x1 * width
        self._top, self._bottom = round((1 - box.y1) * height), round((1 - box.y0) * height)
        self._last = axes[0].get_xlim()[1]
        self.end = min(math.floor(self._last), SIMILARITY_SCALE)
        self._font = ImageFont.load_default(_DPI * 11 / 72)

    def at(self, threshold: int) -> Image.Image:
        """Return the figure with the line at a threshold, on nothing."""
        image = self._plain.copy()
        x = self._left + (self._right - self._left) * min(threshold / self._last, 1.0)
        matching = round(x) - round(self._left)
        if matching > 0:
            tint = Image.new("RGBA", (matching, self._bottom - self._top), _MATCHING)
            image.alpha_composite(tint, (round(self._left), self._top))
        drawn = ImageDraw.Draw(image)
        drawn.line([(x, self._top), (x, self._bottom)], fill=_LINE, width=5)
        label = f"L2 {threshold}"
        room = drawn.textlength(label, self._font) + 8
        at = x + 8 if x + room < self._right else x - room
        drawn.text((at, self._top + 4), label, fill=_LINE, font=self._font)
        return image

    def png(self, threshold: int) -> bytes:
        """Return the same as a file."""
        return _png(self.at(threshold))

    def readable(self, threshold: int) -> bytes:
        """Return the same on white, for a page of any colour."""
        image = self.at(threshold)
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        return _png(white.convert("RGB"), level=9)


class _Near:
    """Which pairs are nearest a threshold."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.limit = counts.close_limit
        self._genuine = {
            oriented: _ascending(table)
            for oriented, table in (
                (False, counts.genuine_squared),
                (True, counts.genuine_oriented_squared),
            )
        }

    def pairs(self, threshold: int, number: int, oriented: bool) -> Iterator[NearPair]:
        """Yield so many of each kind and side, the nearest first, each of other originals."""
        counts = self._counts
        close = counts.close

        def genuine(k: int) -> tuple[int, int, int, int]:
            row, transform = divmod(int(order[k]), len(counts.transforms))
            return row, transform, row, int(squared[k])

        def impostor(k: int) -> tuple[int, int, int, int]:
            one, transform = int(close.i[k]), int(close.transform[k])
            return one, transform, int(close.j[k]), int(close.distance_squared[k])

        order, squared = self._genuine[oriented]
        kinds: tuple[tuple[Literal["genuine", "impostor"], NDArray[Any], Any], ...] = (
            ("genuine", squared, genuine),
            ("impostor", close.distance_squared, impostor),
        )
        for kind, distances, pair in kinds:
            split = int(np.searchsorted(distances, threshold**2, side="right"))
            sides: tuple[tuple[Literal["below", "above"], range], ...] = (
                ("below", range(split - 1, max(split - 1 - _LOOK_BACK, -1), -1)),
                ("above", range(split, min(split + _LOOK_BACK, len(distances)))),
            )
            for side, places in sides:
                seen: set[frozenset[int]] = set()
                for place in places:
                    if len(seen) == number:
                        break
                    row, transform, other, distance = pair(place)
                    if {row, other} in seen:
                        continue
                    seen.add(frozenset((row, other)))
                    edit = None if transform == _ORIGINAL else counts.transforms[transform]
                    yield NearPair(
                        kind, side, counts.names[row], edit, counts.names[other], distance
                    )


class _Pictures:
    """Small pictures of originals and variants, made when they are wanted."""

    def __init__(self, results: Results, dataset: Dataset | None) -> None:
        self._config = results.config
        self._digests = dict(zip(results.counts.names, results.counts.digests, strict=True))
        self._dataset = dataset
        self._originals: dict[str, Original] = {}
        self._image = lru_cache(_KEPT)(self._made)

    def html(self, near: list[NearPair], limit: int) -> str:
        """Return pairs side by side, by what becomes of them."""
        groups = []
        for (kind, side), title in _KINDS.items():
            pairs = [one for one in near if (one.kind, one.side) == (kind, side)]
            shown = "".join(map(self._pair, pairs)) or '<p class="note">none</p>'
            if not pairs and (kind, side) == ("impostor", "above"):
                shown = f'<p class="note">none is listed: the list ends at L2 {limit}</p>'
            groups.append(f"<div><b>{title}</b>{shown}</div>")
        return f'<div class="groups">{"".join(groups)}</div>'

    def _pair(self, pair: NearPair) -> str:
        label = None if pair.transform is None else parse(pair.transform).label
        names = [shortened(name, 28) for name in (pair.original, pair.other)]
        edited = f"{names[0]}, {label}" if label else names[0]
        plain: _Picture = (pair.other, None, names[1])
        variant: _Picture = (pair.original, pair.transform, edited)
        if pair.kind == "genuine":
            both, said = [plain, variant], edited
        else:
            both, said = [variant, plain], f"{edited} | {names[1]}"
        shown = " ".join(self._image(*one) for one in both)
        distance = f"L2 {math.sqrt(pair.distance_squared):.1f}"
        return f"<figure>{shown}<figcaption>{distance}: {escape(said)}</figcaption></figure>"

    def _made(self, name: str, transform: str | None, text: str) -> str:
        """Return a picture as an element, or why there is none."""
        try:
            content = self._thumbnail(name, transform)
        except PhotodnaError as error:
            return f'<span class="missing">{escape(displayed(str(error)))}</span>'
        address = f"data:image/jpeg;base64,{_encoded(content)}"
        return f'<img src="{address}" alt="{escape(text)}">'

    def _thumbnail(self, name: str, transform: str | None) -> bytes:
        if not self._originals:
            dataset = self._config.dataset() if self._dataset is None else self._dataset
            self._originals = {original.name: original for original in dataset}
        if name not in self._originals:
            raise ArgumentError(f"{displayed(name)} is not among the originals any more")
        original = self._originals[name]
        if original.digest() != self._digests[name]:
            raise ArgumentError(f"{displayed(name)} has changed since it was measured")
        picture = original.open()
        if transform is not None:
            edit = parse(transform)
            picture = edit.apply(picture, seed_for(self._config.seed, name, edit.label))
        picture = picture.copy()
        picture.thumbnail((_SIDE, _SIDE))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=80)
        return content.getvalue()


def _numbers(row: Row, measured: Measured) -> str:
    """Return what a threshold does, as a table."""
    level = words.level(measured.confidence)
    matches = f"{words.whole(row['impostor_matches'])} of {words.whole(row['impostor_pairs'])}"
    found = f"{words.whole(row['genuine_matches'])} of {words.whole(row['genuine_pairs'])}"
    turned = ", in the best of eight orientations" if row["recall_oriented"] else ""
    lines = [
        (
            "Threshold",
            f"L2 ≤ {row['threshold']}",
            f"similarity ≥ {1 - row['threshold'] / SIMILARITY_SCALE:.4f}",
        ),
        ("Recall", words.recall(row), f"{found} genuine pairs{turned}"),
        ("False match rate", words.false_match_rate(row), f"{matches} impostor pairs match"),
    ]
    if row["a_day_source"] is None:
        lines.append(("", "", f"No intervals: {measured.reason}."))
    else:
        eight = ", eight for each pair" if row["recall_oriented"] else ""
        comparisons = f"of {words.amount(row['a_day_comparisons'])} comparisons{eight}"
        source = "untested" if row["a_day_untested"] else row["a_day_source"]
        lines += [
            ("False matches a day", words.false_matches(row), comparisons),
            ("How that is known", _SOURCES[source].format(level=level), ""),
        ]
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}'
        f'{"<br>" * bool(value and note)}<span class="note">{escape(note)}</span></td></tr>'
        for name, value, note in lines
    )
    return f'<table class="table" aria-live="polite">{body}</table>'


def _edits(rows: list[Row]) -> str:
    """Return the edits that are found least, as a table."""
    body = "".join(
        f'<tr><th scope="row">{escape(row["label"])}</th><td>{escape(words.recall(row))}</td></tr>'
        for row in rows
    )
    return f'<table class="table"><caption>Edits found least</caption>{body}</table>'


def _said_of(choice: Choice, last: int) -> str:
    """Return what came of a target, for a slider that ends with `last`."""
    if choice.threshold is None:
        return _problem(f"No threshold can be told, the slider stays: {choice.reason}.")
    if choice.threshold > last:
        said = f"Any threshold up to the largest distance keeps it; the slider ends at L2 {last}."
    elif choice.conservative:
        said = f"L2 {choice.threshold} is the largest threshold that keeps it"
        said += f", {_CHOSEN[choice.source]}."
    else:
        said = f"L2 {choice.threshold} is the largest threshold whose estimate is within it"
        said += f", {_CHOSEN[choice.source]}; the true rate may be higher."
    return f'<p class="note">{escape(said)}</p>'


def _problem(said: str) -> str:
    return f'<p class="problem" role="alert">{escape(said)}</p>'


def _ascending(table: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return where the distances of a table are, the smallest first, and what they are."""
    flat = table.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[int((flat < 0).sum()) :]  # those of variants that could not be made
    return order, flat[order]


def _png(image: Image.Image, level: int = 1) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=level)
    return content.getvalue()


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
