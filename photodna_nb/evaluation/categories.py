"""Categories of the originals, from a file that names one for each path; and their sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from photodna_nb.errors import FileError
from photodna_nb.evaluation import partitions
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_sections import named_digest
from photodna_nb.evaluation.label_files import read_labels
from photodna_nb.printable import printable


def read_categories(config: Config) -> dict[str, str] | None:
    """Return the category of each original that the file of categories names; None without one.

    A key is the name of an original in the results, or ``sha256:`` and a digest.

    Raises
    ------
    FileError
        The file cannot be read, or gives an original two categories.
    """
    if config.categories is None:
        return None
    path = os.path.join(config.base, config.categories.file)
    categories: dict[str, str] = {}
    for line, cells in read_labels(path, ("path", "category")):
        name, category = cells["path"], cells["category"]
        digest = named_digest(name)
        name = name if digest is None else f"sha256:{digest}"
        if categories.setdefault(name, category) != category:
            raise FileError(
                path,
                f"line {line} puts {printable(name)} into another category than a line before; "
                "take one of them out",
            )
    partitions.numbered("categories.file", [*categories.values(), ""])
    return categories


def original_labels(
    categories: Mapping[str, str] | None,
    names: Sequence[str],
    digests: Sequence[str],
    sources: Sequence[str],
) -> dict[str, Sequence[str]]:
    """Return the source and the category of each original, as `count_pairs` takes them.

    Sources are missing if there is one alone, and categories if no file names them; an original
    that it does not name has "".
    """
    labels: dict[str, Sequence[str]] = {}
    if sources:
        labels["sources"] = sources
    if categories is not None:
        labels["categories"] = [
            categories.get(name if named_digest(name) is None else "")
            or categories.get(f"sha256:{digest}", "")
            for name, digest in zip(names, digests, strict=True)
        ]
    return labels
