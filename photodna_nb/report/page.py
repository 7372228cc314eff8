"""The page of a report."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from photodna_nb import files
from photodna_nb.errors import FileError
from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config import canonical
from photodna_nb.names import displayed
from photodna_nb.report import words
from photodna_nb.report.answer import answer, corpus, main_threshold, service
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
        toml=config.to_toml(),
        named=list(config.thresholds.named),
        main=main_threshold(results),
        thresholds=tables["thresholds"],
        points=tables["operating_points"],
        edits=list(_edits(results)),
        detail=tables["detail"],
        closest=list(_closest(results)),
        exclude=_exclude(results),
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


def _edit_name(spec: str | None) -> str:
    return "as it is" if spec is None else parse(spec).label


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
    for row in results.tables["edits"]:
        spec = row["transform"]
        yield row | {
            "recalls": [recalls[spec, False, name] for name in results.config.thresholds.named],
            "oriented": None if main is None else recalls[spec, True, main[0]],
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
    """Return the closest pairs as a configuration excludes them."""
    lines = [
        f"  [{_quoted(row['original'])}, {_quoted(row['other'])}], "
        f"# {row['rank']}: L2 {row['distance']:.0f}"
        for row in results.tables["closest"]
        if row["picture"] is not None
    ]
    return "\n".join(["[pairs]", "exclude = [", *lines, "]"])


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
