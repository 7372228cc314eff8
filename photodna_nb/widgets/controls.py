"""The widgets of the threshold tuner and their layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw

from photodna_nb.evaluation.config import Config
from photodna_nb.report import formatting
from photodna_nb.widgets import html

MANUAL, ACCEPTABLE = "manual", "acceptable"
_PRODUCTION = 200  # the threshold of a system in use, if the configuration names none
_LARGEST = 10**12  # hashes in the list, or queries per day
_STYLE = {"description_width": "initial"}


@dataclass(frozen=True)
class TunerControls:
    """The widgets of a tuner.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        Threshold, as an L2 distance.
    target : ipywidgets.Dropdown
        Target that the threshold follows: a false match rate; ``"acceptable"``, the number of
        false matches per day that the configuration accepts; or ``"manual"``.
    conservative : ipywidgets.Checkbox
        Whether the upper end of the interval is to meet the target, or only the estimate.
    list_size, queries_per_day : ipywidgets.BoundedFloatText
        Hashes in the list and queries per day of the deployment, rounded to integers.
    orientations : ipywidgets.Checkbox
        Whether each query is compared in eight orientations.
    figure : ipywidgets.Image
        Histograms of the distances with a line at the threshold, PNG.
    numbers, transforms, images, message : ipywidgets.HTML
        Rates at the threshold, the transforms with the lowest recall, the pairs nearest to the
        threshold, and a message about the target.
    box : ipywidgets.VBox
        All of them.
    """

    slider: ipw.IntSlider
    target: ipw.Dropdown
    conservative: ipw.Checkbox
    list_size: ipw.BoundedFloatText
    queries_per_day: ipw.BoundedFloatText
    orientations: ipw.Checkbox
    figure: ipw.Image
    numbers: ipw.HTML
    transforms: ipw.HTML
    images: ipw.HTML
    message: ipw.HTML
    box: ipw.VBox


def make_controls(config: Config, largest_distance: int) -> TunerControls:
    """Return the widgets for a configuration, with a slider up to the largest distance."""
    named, deployment = config.thresholds.named, config.deployment
    start = named.get("production", next(iter(named.values()), _PRODUCTION))
    slider = ipw.IntSlider(
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
    target = ipw.Dropdown(
        options=[("none, set manually", MANUAL), *rates, (acceptable, ACCEPTABLE)],
        value=MANUAL,
        description="Target, at most",
        layout=ipw.Layout(width="350px"),
        style=_STYLE,
    )
    level = formatting.level(config.confidence)
    conservative = _checkbox(f"by the upper end of the {level} interval", True)
    list_size = _number("Hashes in the list", deployment.list_size)
    queries_per_day = _number("Queries per day", deployment.queries_per_day)
    orientations = _checkbox("queries in eight orientations", deployment.orientations)
    figure = ipw.Image(format="png", layout=ipw.Layout(width="auto", max_width="100%"))
    # Without a tooltip, with which ipywidgets 8.1 cannot show an image.
    figure.add_class("photodna-tuner-figure")
    numbers, transforms, images, message = (ipw.HTML() for _ in range(4))
    results = ipw.HBox(
        [
            ipw.Box([figure], layout=ipw.Layout(flex="1 1 420px", max_width="520px")),
            ipw.VBox([numbers, transforms], layout=ipw.Layout(flex="1 1 340px", max_width="520px")),
        ],
        layout=_row("flex-start"),
    )
    box = ipw.VBox(
        [
            ipw.HTML(html.STYLE, layout=ipw.Layout(display="none")),
            slider,
            ipw.HBox([target, conservative], layout=_row("center")),
            ipw.HBox([list_size, queries_per_day, orientations], layout=_row("center")),
            message,
            results,
            images,
        ]
    )
    box.add_class("photodna-tuner")
    return TunerControls(
        slider,
        target,
        conservative,
        list_size,
        queries_per_day,
        orientations,
        figure,
        numbers,
        transforms,
        images,
        message,
        box,
    )


def _checkbox(text: str, value: bool) -> ipw.Checkbox:
    layout = ipw.Layout(width="auto")
    return ipw.Checkbox(value=value, description=text, indent=False, layout=layout)


def _number(text: str, value: int) -> ipw.BoundedFloatText:
    layout: dict[str, Any] = {"layout": ipw.Layout(width="270px"), "style": _STYLE}
    # A float text accepts 1e6 as well.
    return ipw.BoundedFloatText(
        value=value, min=1, step=1, max=_LARGEST, description=text, **layout
    )


def _row(align: str) -> ipw.Layout:
    return ipw.Layout(flex_flow="row wrap", align_items=align, grid_gap="0 24px")
