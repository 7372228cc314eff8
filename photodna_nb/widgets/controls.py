"""The widgets of the threshold tuner and their layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as ipw

from photodna_nb.evaluation.config import Config
from photodna_nb.plots.layout import short_name
from photodna_nb.report import formatting
from photodna_nb.widgets import tuner_html

MANUAL, ACCEPTABLE = "manual", "acceptable"
_PRODUCTION = 200  # the threshold of a system in use, if the configuration names none
_MOST_LEFT_OUT = 5  # influential originals to choose from
_LARGEST = 10**12  # hashes in the list, or queries per day
_STYLE = {"description_width": "initial"}


class TunerControls:
    """The widgets of a tuner; they are created once.

    Parameters
    ----------
    config : Config
        Configuration of the run: thresholds, targets and deployment.
    largest_distance : int
        End of the slider, as an L2 distance.
    influential : sequence of str
        Names of the originals that take part in most of the nearest impostor pairs.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        Threshold, as an L2 distance.
    target : ipywidgets.Dropdown
        Target that the threshold follows: a false match rate; ``"acceptable"``, the number of
        false matches per day that the configuration accepts; or ``"manual"``.
    conservative : ipywidgets.Checkbox
        Whether the upper confidence limit must meet the target, or only the estimate.
    list_size, queries_per_day : ipywidgets.BoundedFloatText
        Hashes in the list and queries per day of the deployment, rounded to integers.
    orientations : ipywidgets.Checkbox
        Whether each query is compared in eight orientations.
    left_out : ipywidgets.Dropdown
        Name of the influential original that is left out of the rates; empty for none.
    figure : ipywidgets.Image
        Histograms of the distances with a line at the threshold, PNG.
    numbers, transforms, images, message : ipywidgets.HTML
        Rates at the threshold, the transforms with the lowest recall, the pairs nearest to the
        threshold, and a message about the target.
    box : ipywidgets.VBox
        All of them.
    """

    def __init__(self, config: Config, largest_distance: int, influential: Sequence[str]) -> None:
        named, deployment = config.thresholds.named, config.deployment
        start = named.get("production", next(iter(named.values()), _PRODUCTION))
        self.slider = ipw.IntSlider(
            value=start,
            max=max(largest_distance, start),
            description="Threshold (L2)",
            layout=ipw.Layout(width="98%", max_width="900px"),
            style=_STYLE,
        )
        most = deployment.max_false_matches_per_day
        acceptable = f"{formatting.amount(most)} false match{'es' * (most != 1)} per day"
        rates = [
            (f"a false match rate of {formatting.rate(rate).removeprefix('1.0 × ')}", rate)
            for rate in config.thresholds.targets
        ]
        self.target = ipw.Dropdown(
            options=[("none, set manually", MANUAL), *rates, (acceptable, ACCEPTABLE)],
            value=MANUAL,
            description="Target, at most",
            layout=ipw.Layout(width="350px"),
            style=_STYLE,
        )
        level = formatting.level(config.confidence)
        self.conservative = _checkbox(f"by the upper limit of the {level} interval", True)
        self.list_size = _number("Hashes in the list", deployment.list_size)
        self.queries_per_day = _number("Queries per day", deployment.queries_per_day)
        self.orientations = _checkbox("queries in eight orientations", deployment.orientations)
        names = [
            (f"{number}. {short_name(name, 28)}", name)
            for number, name in enumerate(influential[:_MOST_LEFT_OUT], start=1)
        ]
        self.left_out = ipw.Dropdown(
            options=[("none", ""), *names],
            description="Without the original",
            layout=ipw.Layout(width="350px"),
            style=_STYLE,
        )
        # Without a tooltip, with which ipywidgets 8.1 cannot show an image.
        self.figure = ipw.Image(format="png", layout=ipw.Layout(width="auto", max_width="100%"))
        self.figure.add_class("photodna-tuner-figure")
        self.numbers, self.transforms, self.images, self.message = (ipw.HTML() for _ in range(4))
        self.box = self._arranged()

    def _arranged(self) -> ipw.VBox:
        """Return all widgets in rows that are broken where a screen is narrow."""
        left = ipw.Box([self.figure], layout=ipw.Layout(flex="1 1 420px", max_width="520px"))
        right = ipw.VBox(
            [self.numbers, self.transforms],
            layout=ipw.Layout(flex="1 1 340px", max_width="520px"),
        )
        rows = [
            ipw.HTML(tuner_html.STYLE, layout=ipw.Layout(display="none")),
            self.slider,
            _row([self.target, self.conservative], "center"),
            _row([self.list_size, self.queries_per_day, self.orientations], "center"),
            self.left_out,
            self.message,
            _row([left, right], "flex-start"),
            self.images,
        ]
        box = ipw.VBox(rows)
        box.add_class("photodna-tuner")
        return box


def _checkbox(text: str, value: bool) -> ipw.Checkbox:
    layout = ipw.Layout(width="auto")
    return ipw.Checkbox(value=value, description=text, indent=False, layout=layout)


def _number(text: str, value: int) -> ipw.BoundedFloatText:
    layout: dict[str, Any] = {"layout": ipw.Layout(width="270px"), "style": _STYLE}
    # A float text accepts 1e6 as well.
    return ipw.BoundedFloatText(
        value=value, min=1, step=1, max=_LARGEST, description=text, **layout
    )


def _row(widgets: list[Any], align: str) -> ipw.HBox:
    layout = ipw.Layout(flex_flow="row wrap", align_items=align, grid_gap="0 24px")
    return ipw.HBox(widgets, layout=layout)
