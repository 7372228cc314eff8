"""The modes that hash and compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from photodna_nb.cli.output import print_lines, say
from photodna_nb.cli.pictures import Images
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.pairs.metrics import Metric


def hash_one(image: str, *, detail: bool) -> int:
    """Print the hash of a picture, and its detail if that is asked for."""
    hashed = Images([image], jobs=1).only()
    print_lines(",".join(map(str, hashed.hash.tolist())))
    if detail:
        print_lines(f"Detail: {hashed.detail:.1f}")
    return 0


def hash_many(paths: list[str], jobs: int | None, *, detail: bool) -> int:
    """Print the hashes of pictures as a JSON list, with their detail if that is asked for."""
    from photodna_nb.tables.table import json_entry

    images = Images(paths, jobs)
    separator = "["
    for path, hashed in images:
        entry = json_entry(path, hashed.hash)
        if detail:
            entry["detail"] = hashed.detail
        print_lines(separator, json.dumps(entry), end="")
        separator = ","
    print_lines("\n]" if separator == "," else "[]")
    return images.status


def hash_into(output: str, paths: list[str], jobs: int | None, *, resume: bool) -> int:
    """Write the hashes of pictures to a table; with `resume`, go on where it was stopped."""
    from photodna_nb.tables.table import check_target

    check_target(output)
    images = Images(paths, jobs, journal=f"{output}.journal" if resume else None)
    images.table().save(output)
    return images.status


def compare(image1: str, image2: str, *, metric: Metric, oriented: bool) -> int:
    """Print the distance and the similarity of two pictures, and warn of those too flat for it."""
    from photodna_nb.checks import LOW_DETAIL
    from photodna_nb.pairs.metrics import distance, similarity

    images = Images([image1, image2], jobs=1)
    pair = list(images)
    if images.status:
        return images.status
    (_, first), (_, second) = pair
    a, b = first.hash, second.hash
    way = None
    if oriented:
        from photodna_nb.hashing.stages import orientations
        from photodna_nb.index.metadata import ORIENTATIONS

        ways = orientations(a)
        nearest = min(range(len(ways)), key=lambda number: distance(ways[number], b, metric))
        a, way = ways[nearest], ORIENTATIONS[nearest]
    print_lines(
        f"Distance ({metric}): {distance(a, b, metric):.4f}",
        f"Similarity: {similarity(a, b):.6f}",
    )
    if way is not None:
        print_lines(f"Orientation: {way}")
    for path, hashed in pair:
        if hashed.detail < LOW_DETAIL:
            say(
                f"warning: {printable(path)}: has {hashed.detail:.1f} grey levels of detail, less "
                f"than {LOW_DETAIL:g}; flat pictures match whatever they show"
            )
    return 0
