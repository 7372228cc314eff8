"""The page of a report, filled in from the tables of a run."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from photodna_nb.corpus.transforms import parse
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import Config, canonical, toml_value
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.run_originals import SUSPECTED_DISTANCE
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.evaluation.thumbnails import PAIRS
from photodna_nb.printable import printable
from photodna_nb.report import formatting
from photodna_nb.report.corpus import corpus
from photodna_nb.report.figures import ReportFigure
from photodna_nb.report.influence import influential, threshold_name
from photodna_nb.report.recall import recall_range
from photodna_nb.report.recommendation import deployment, main_threshold, recommend

# Largest numbers of failures and of digests of originals on the page.
_MOST_FAILURES = 100
_MOST_INPUTS = 2000
_BEFORE_A_UNIT = re.compile(r"(?<=\d) (?=[%×])|(?<=×) (?=10)")


def template_environment() -> Environment:
    """Return the environment of the templates, in which each text is escaped and printable."""
    environment = Environment(
        loader=PackageLoader("photodna_nb.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_with_fixed_units,
    )
    for name in ("amount", "count", "integer", "level", "rate", "proportion"):
        environment.filters[name] = getattr(formatting, name)
    environment.filters |= {"printable": printable, "g": lambda number: f"{number:g}"}
    return environment


def page(results: Results, figures: Mapping[str, ReportFigure]) -> str:
    """Return the report as one HTML page that holds its figures and thumbnails."""
    environment = template_environment()
    for name in (
        "recall",
        "weighted_recall",
        "false_match_rate",
        "false_matches",
        "validation_rate",
        "fpir",
        "fnir",
    ):
        environment.filters[name] = _in_two_lines(getattr(formatting, name))
    environment.filters |= {
        "side_by_side": _side_by_side,
        "equal_rate": formatting.equal_rate,
        "failure_to_enrol": formatting.failure_to_enrol,
        "label": lambda spec: parse(spec).label,
        "l2": lambda distance: formatting.NOTHING if distance is None else f"{distance:.0f}",
    }
    tables, inputs = results.tables, results.manifest["inputs"]
    groups = list(_duplicate_groups(results))
    return environment.get_template("page.html").render(
        recommendation=recommend(results),
        corpus=corpus(results),
        deployment=deployment(tables["deployment"][0]),
        results=results,
        unit=results.unit,
        photodna=results.counts.hasher == PHOTODNA,
        hashers=tables.get("hashers") or [],
        equal_rates=list(_equal_rates(results)),
        toml=escape(_configuration(results.config)),
        main=main_threshold(results),
        operating_points=sorted(
            tables["operating_points"], key=lambda row: (-row["target"], row["conservative"])
        ),
        transforms=list(_transforms(results)),
        detail_bins=list(_detail_bins(results)),
        class_rates=_class_rates(results),
        source_thresholds=_source_thresholds(results),
        category_recall=_category_recall(results),
        recall_range=recall_range,
        of_hashers=[_pictured(results, one) for one in results.hashers.values()],
        threshold_name=threshold_name,
        duplicates=groups,
        duplicate_lines=escape(_duplicate_lines(groups)),
        sources=formatting.SOURCES,
        suspect=SUSPECTED_DISTANCE,
        most_failures=_MOST_FAILURES,
        figures=[
            (one.title, one.caption, _data("png", one.content), _data("png", one.narrow))
            for one in figures.values()
        ],
        inputs=inputs if len(inputs) <= _MOST_INPUTS else None,
        inputs_digest=sha256(canonical(inputs).encode("ascii")).hexdigest(),
    )


def _configuration(config: Config) -> str:
    """Return the configuration as TOML, or as JSON if it has names that TOML cannot hold."""
    try:
        return config.to_toml()
    except ArgumentError:
        return json.dumps(config.to_dict(), indent=1)


def _with_fixed_units(value: Any) -> Any:
    """Return printable text in which no line ends between a number and its unit, or HTML as is."""
    if type(value) is not str or not value:
        return value
    return _BEFORE_A_UNIT.sub("\u00a0", printable(value))


def _in_two_lines(text_of: Callable[[Mapping[str, Any]], str]) -> Callable[..., Markup]:
    """Return a function that writes a number of a row as HTML, its interval on a second line."""

    def cell(row: Mapping[str, Any]) -> Markup:
        number, space, interval = _with_fixed_units(text_of(row)).partition(" (")
        below = Markup(' <span class="interval">({}</span>').format(interval) if space else ""
        return Markup("<span>{}{}</span>").format(number, below)

    return cell


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _side_by_side(row: Mapping[str, Any]) -> Markup:
    """Return the recall of a hasher, and its difference from the first one on a second line."""
    recall = _with_fixed_units(formatting.recall(row))
    if row["recall_difference"] is None:
        return Markup("<span>{}</span>").format(recall)
    below = _with_fixed_units(formatting.difference(row))
    return Markup('<span>{}<br><span class="small">{}</span></span>').format(recall, below)


def _equal_rates(
    results: Results,
) -> Iterator[tuple[float, list[Row], list[tuple[str, list[Row]]]]]:
    """Yield each target rate, the rows of all transforms together, and those of each transform."""
    for target, of_target in groupby(
        results.tables.get("equal_rates") or (), key=lambda row: row["target"]
    ):
        rows = list(of_target)
        by_transform = [
            (
                "all of these" if spec is None else parse(spec).label,
                [row for row in rows if row["transform"] == spec],
            )
            for spec in (*results.counts.transforms, None)
        ]
        yield target, by_transform[-1][1], by_transform


def _thumbnail(results: Results, name: str | None) -> str | None:
    return None if name is None else _data("jpeg", results.thumbnail(name))


def _pictured(results: Results, one: HasherResults) -> dict[str, Any]:
    """Return the nearest impostor pairs and the influential originals of a hasher, with images."""
    return {
        "hasher": one.hasher.name,
        "unit": one.hasher.unit,
        "nearest": [
            row
            | {"images": [_thumbnail(results, row[f"{side}thumbnail"]) for side in ("", "other_")]}
            for row in one.tables["nearest_impostors"][:PAIRS]
        ],
        "influential": [
            row | {"image": _thumbnail(results, row["thumbnail"])}
            for row in influential(one.tables)
        ],
    }


def _transforms(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each transform with its distances, and its recall at each threshold."""
    recall = {
        (row["transform"], row["oriented"], row["threshold_name"]): row
        for row in results.tables["recall"]
        if row["detail_bin"] is None
    }
    oriented = results.config.deployment.orientations
    names = [(oriented, row["name"]) for row in results.tables["thresholds"]]
    main = main_threshold(results)
    if main is not None and not oriented:
        names.append((True, main[0]))
    for row in results.tables["transforms"]:
        yield row | {"recall": [recall[row["transform"], *name] for name in names]}


def _detail_bins(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each detail bin with originals in it, and its transforms at the main threshold."""
    main = main_threshold(results)
    key = None if main is None else main[0], results.config.deployment.orientations
    recall = {
        (row["transform"], row["detail_bin"]): row
        for row in results.tables["recall"]
        if (row["threshold_name"], row["oriented"]) == key
    }
    for detail_bin in results.tables["detail"]:
        number = detail_bin["detail_bin"]
        if detail_bin["originals"]:
            yield detail_bin | {
                "transforms": [
                    row | {"recall": recall.get((row["transform"], number))}
                    for row in results.tables["transforms_by_detail_bin"]
                    if row["detail_bin"] == number
                ]
            }


def _class_rates(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return the pairs of every two sources and categories, with their rate at each threshold."""
    found = {}
    for noun, column in (("source", "source_name"), ("category", "category")):
        rows = [
            row | {"extrapolated": row["at_least_ten_matches"] is False, "tail_upper": None}
            for row in results.tables.get(f"false_match_rates_by_{noun}", [])
        ]
        classes = groupby(rows, key=lambda row: (row[column], row[f"other_{column}"]))
        found[noun] = [
            {"names": names, "rates": rates, **rates[0]}
            for names, rates in ((names, list(group)) for names, group in classes)
        ]
    return found


def _source_thresholds(results: Results) -> list[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """Return the thresholds that the intervals of every two sources give for the targets."""
    rows = [row for row in results.tables.get("thresholds_by_source", []) if row["conservative"]]
    classes = groupby(rows, key=lambda row: (row["source_name"], row["other_source_name"]))
    return [(names, list(group)) for names, group in classes]


def _category_recall(results: Results) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return each category with its recall at each threshold."""
    oriented = results.config.deployment.orientations
    rows = results.tables.get("recall_by_category", [])
    chosen = (row for row in rows if row["oriented"] == oriented)
    groups = groupby(chosen, key=lambda row: row["category"])
    return [(name, list(group)) for name, group in groups]


def _duplicate_groups(results: Results) -> Iterator[dict[str, Any]]:
    """Yield groups of suspected duplicates, with the thumbnails of some."""
    table = results.tables["suspected_duplicates"]
    for number, rows in groupby(table, key=lambda row: row["group"]):
        group = list(rows)
        images = [
            (row["original"], _thumbnail(results, row["thumbnail"]))
            for row in group
            if row["thumbnail"] is not None
        ]
        names = toml_value([row["configuration_name"] for row in group])
        yield {
            "number": number,
            "images": images,
            "more": len(group) - len(images),
            "names": names,
        }


def _duplicate_lines(groups: list[dict[str, Any]]) -> str:
    """Return the groups as lines of ``pairs.duplicates``, each with its number."""
    lines = [f"  {group['names']}, # {group['number']}" for group in groups]
    return "\n".join(["[pairs]", "duplicates = [", *lines, "]"]) if lines else ""
