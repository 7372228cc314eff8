"""The page of a report."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from photodna_nb import files
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.exclusions import exclusion_name
from photodna_nb.evaluation.variants import ORIGINAL
from photodna_nb.names import displayed
from photodna_nb.report import words
from photodna_nb.report.answer import SUSPECT, answer, corpus, main_threshold, service
from photodna_nb.report.figures import Figure
from photodna_nb.transforms import parse

# Of failures, and of digests of inputs, as many as a page can hold.
_FAILURES = 100
_INPUTS = 2000


def page(results: Results, figures: Mapping[str, Figure]) -> str:
    """Return the page as HTML, with everything that it shows inside."""
    environment = Environment(
        loader=PackageLoader("photodna_nb.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(words, name) for name in ("amount", "level", "rate", "share", "whole")
    } | {"shown": displayed, "name": _edit_name, "l2": _l2}
    tables, config = results.tables, results.config
    return environment.get_template("page.html").render(
        answer=answer(results),
        words=words,
        corpus=corpus(results),
        service=service(tables["scale"][0]),
        summary=results.summary,
        config=config,
        toml=_configuration(config),
        named=[row["name"] for row in tables["thresholds"]],
        main=main_threshold(results),
        told=len(tables["scale"]) > 2,
        thresholds=tables["thresholds"],
        points=sorted(
            tables["operating_points"], key=lambda row: (-row["target"], row["conservative"])
        ),
        bands=list(_bands(results)),
        edits=list(_edits(results)),
        detail=tables["detail"],
        closest=list(_closest(results)),
        exclude=_exclude(results),
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


def _edit_name(spec: str) -> str:
    return parse(spec).label


def _l2(distance: float | None) -> str:
    return words.NOTHING if distance is None else f"{distance:.0f}"


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _edits(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each edit with its distances, and its recalls by name of threshold."""
    recalls = {
        (row["transform"], row["oriented"], row["threshold_name"]): row
        for row in results.tables["recall"]
        if row["band"] is None
    }
    main = main_threshold(results)
    oriented = results.config.scale.orientations
    for row in results.tables["edits"]:
        spec = row["transform"]
        yield row | {
            "recalls": [
                recalls[spec, oriented, row["name"]] for row in results.tables["thresholds"]
            ],
            "oriented": None if main is None or oriented else recalls[spec, True, main[0]],
        }


def _bands(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each band of detail with originals in it, and its edits."""
    main = main_threshold(results)
    recalls = {
        (row["transform"], row["band"]): row
        for row in results.tables["recall"]
        if main is not None
        and row["threshold_name"] == main[0]
        and row["oriented"] == results.config.scale.orientations
    }
    for band in results.tables["detail"]:
        if band["originals"]:
            yield band | {
                "edits": [
                    row | {"recalled": recalls.get((row["transform"], band["band"]))}
                    for row in results.tables["edits_by_band"]
                    if row["band"] == band["band"]
                ]
            }


def _closest(results: Results) -> Iterator[dict[str, Any]]:
    """Yield the closest impostor pairs of which there are pictures."""
    for row in results.tables["closest"]:
        if row["picture"] is not None or row["other_picture"] is not None:
            yield row | {
                f"{which}data": _picture(results, row[f"{which}picture"])
                for which in ("", "other_")
            }


def _picture(results: Results, name: str | None) -> str | None:
    if name is None:
        return None
    path = os.path.join(results.run_dir, *name.split("/"))
    return _data("jpeg", files.read(path, FileError))


def _exclude(results: Results) -> str:
    """Return groups of originals that lie close to each other as a configuration excludes them."""
    counts = results.counts
    close, far = counts.close, SUSPECT**2
    chosen = (close.transform == ORIGINAL) & (close.distance_squared <= far)
    n = len(counts)
    links = coo_array((np.ones(chosen.sum()), (close.i[chosen], close.j[chosen])), (n, n))
    _, group = connected_components(links, directed=False)
    members: dict[int, list[str]] = {}
    for row in np.unique(np.r_[close.i[chosen], close.j[chosen]]).tolist():
        name = exclusion_name(counts.names[row], counts.digests[row])
        members.setdefault(int(group[row]), []).append(name)
    lines = [f"  {json.dumps(names, ensure_ascii=False)}," for names in members.values()]
    return "\n".join(["[pairs]", "exclude = [", *lines, "]"]) if lines else ""
