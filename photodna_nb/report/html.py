"""The page of a report."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from photodna_nb import files
from photodna_nb.corpus.transforms import parse
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import Config, canonical, toml_value
from photodna_nb.evaluation.exclusions import SUSPECT
from photodna_nb.evaluation.thumbnails import PAIRS
from photodna_nb.printable import printable
from photodna_nb.report import formatting
from photodna_nb.report.figures import Figure
from photodna_nb.report.recommendation import corpus, main_threshold, recommend, service

# Of failures, and of digests of inputs, as many as a page can hold.
_FAILURES = 100
_INPUTS = 2000
_BEFORE_A_UNIT = re.compile(r"(?<=\d) (?=[%×])|(?<=×) (?=10)")


def page(results: Results, figures: Mapping[str, Figure]) -> str:
    """Return the page as HTML, with everything that it shows inside."""
    environment = Environment(
        loader=PackageLoader("photodna_nb.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    plain = ("amount", "level", "rate", "share", "whole")
    with_interval = ("recall", "false_match_rate", "false_matches", "judged")
    environment.filters |= {name: getattr(formatting, name) for name in plain}
    environment.filters |= {
        name: _in_two_lines(getattr(formatting, name)) for name in with_interval
    }
    environment.filters |= {"shown": printable, "name": _edit_name, "l2": _l2}
    tables, config, copies = results.tables, results.config, _copies(results)
    return environment.get_template("page.html").render(
        recommendation=recommend(results),
        words=formatting,
        corpus=corpus(results),
        service=service(tables["deployment"][0]),
        summary=results.summary,
        config=config,
        toml=escape(_configuration(config)),
        named=[row["name"] for row in tables["thresholds"]],
        main=main_threshold(results),
        thresholds=tables["thresholds"],
        points=sorted(
            tables["operating_points"], key=lambda row: (-row["target"], row["conservative"])
        ),
        detail_bins=list(_detail_bins(results)),
        edits=list(_edits(results)),
        detail=tables["detail"],
        closest=list(_closest(results)),
        copies=copies,
        exclude=escape(_exclude(copies)),
        suspect=SUSPECT,
        failures=results.failures[:_FAILURES],
        failures_left=max(0, len(results.failures) - _FAILURES),
        figures=[
            {"title": one.title, "caption": one.caption, "data": _data("png", one.content)}
            for one in figures.values()
        ],
        versions=results.manifest["versions"],
        digests=results.manifest["results"],
        inputs=results.manifest["inputs"] if len(results.manifest["inputs"]) <= _INPUTS else None,
        inputs_digest=sha256(canonical(results.manifest["inputs"]).encode("ascii")).hexdigest(),
        version=results.manifest["versions"]["results"]["photodna_nb"],
    )


def _configuration(config: Config) -> str:
    """Return the configuration as TOML, or as JSON if it has names that TOML cannot hold."""
    try:
        return config.to_toml()
    except ArgumentError:
        return json.dumps(config.to_dict(), indent=1)


def _unbroken(value: Any) -> Any:
    """Return text in which no line ends between a number and its unit; HTML as it is."""
    return _BEFORE_A_UNIT.sub("\u00a0", value) if type(value) is str else value


def _in_two_lines(written: Callable[[Mapping[str, Any]], str]) -> Callable[..., Markup]:
    """Return what writes a number of a row as HTML, with its interval on a line of its own."""

    def cell(row: Mapping[str, Any]) -> Markup:
        number, space, interval = _unbroken(written(row)).partition(" (")
        below = Markup(' <span class="interval">({}</span>').format(interval) if space else ""
        return Markup("<span>{}{}</span>").format(number, below)

    return cell


def _edit_name(spec: str) -> str:
    return parse(spec).label


def _l2(distance: float | None) -> str:
    return formatting.NOTHING if distance is None else f"{distance:.0f}"


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _edits(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each edit with its distances, and its recalls by name of threshold."""
    recalls = {
        (row["transform"], row["oriented"], row["threshold_name"]): row
        for row in results.tables["recall"]
        if row["detail_bin"] is None
    }
    main = main_threshold(results)
    oriented = results.config.deployment.orientations
    for row in results.tables["transforms"]:
        spec = row["transform"]
        yield row | {
            "recalls": [
                recalls[spec, oriented, row["name"]] for row in results.tables["thresholds"]
            ],
            "oriented": None if main is None or oriented else recalls[spec, True, main[0]],
        }


def _detail_bins(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each detail bin with originals in it, and its edits."""
    main = main_threshold(results)
    recalls = {
        (row["transform"], row["detail_bin"]): row
        for row in results.tables["recall"]
        if main is not None
        and row["threshold_name"] == main[0]
        and row["oriented"] == results.config.deployment.orientations
    }
    for detail_bin in results.tables["detail"]:
        if detail_bin["originals"]:
            yield detail_bin | {
                "edits": [
                    row | {"recalled": recalls.get((row["transform"], detail_bin["detail_bin"]))}
                    for row in results.tables["transforms_by_detail_bin"]
                    if row["detail_bin"] == detail_bin["detail_bin"]
                ]
            }


def _closest(results: Results) -> Iterator[dict[str, Any]]:
    """Yield the closest impostor pairs, with their pictures if these could be made."""
    for row in results.tables["nearest_impostors"][:PAIRS]:
        yield row | {
            f"{which}data": _picture(results, row[f"{which}thumbnail"]) for which in ("", "other_")
        }


def _picture(results: Results, name: str | None) -> str | None:
    if name is None:
        return None
    path = os.path.join(results.run_dir, *name.split("/"))
    return _data("jpeg", files.read(path, FileError))


def _copies(results: Results) -> list[dict[str, Any]]:
    """Return groups of originals that may be copies, by number, with some of their pictures."""
    found = []
    for number, rows in groupby(
        results.tables["suspected_duplicates"], key=lambda row: row["group"]
    ):
        group = list(rows)
        pictures = [
            {"data": _picture(results, row["thumbnail"]), "name": row["original"]}
            for row in group
            if row["thumbnail"] is not None
        ]
        names = toml_value([row["exclude_as"] for row in group])
        left = len(group) - len(pictures)
        found.append({"number": number, "pictures": pictures, "left": left, "names": names})
    return found


def _exclude(copies: Iterable[Mapping[str, Any]]) -> str:
    """Return the groups as a configuration excludes them, each with its number."""
    lines = [f"  {group['names']}, # {group['number']}" for group in copies]
    return "\n".join(["[pairs]", "exclude = [", *lines, "]"]) if lines else ""
