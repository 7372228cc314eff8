"""The originals of a run, in words."""

from __future__ import annotations

import os

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.config_originals import (
    DeadLeavesOriginals,
    DigestOriginals,
    DirectoryOriginals,
    InstalledOriginals,
    ListOriginals,
    Source,
    TableOriginals,
)
from photodna_nb.printable import printable
from photodna_nb.report.formatting import integer, join


def corpus(results: Results) -> str:
    """Return the description of the originals: 540 images of the folder photos."""
    n, sources = integer(results.summary["originals_hashed"]), results.config.sources
    if "" in sources:
        return _of_source(n, sources[""])
    named = [f"{printable(name)} ({_of_source('', one)})" for name, one in sources.items()]
    return f"{n} originals of {len(named)} sources: {join(named)}"


def _of_source(n: str, source: Source) -> str:
    match source:
        case DeadLeavesOriginals(size=(width, height), seed=seed):
            text = f"generated images (dead leaves, {width} × {height}, seed {seed})"
        case DirectoryOriginals(path=path):
            text = f"images of the folder {printable(os.path.basename(path) or path)}"
        case TableOriginals(path=path):
            text = f"hashes of the table {printable(os.path.basename(path))}"
        case ListOriginals(path=str(path)):
            text = f"images of the list {printable(os.path.basename(path))}"
        case InstalledOriginals():
            text = "photographs of installed packages"
        case DigestOriginals():
            text = "images that are not named"
        case _:
            text = "listed images"
    return f"{n} {text}".strip()
