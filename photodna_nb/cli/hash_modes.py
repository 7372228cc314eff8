"""The modes that hash and compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from photodna_nb.cli.output import print_lines
from photodna_nb.cli.pictures import Images

if TYPE_CHECKING:
    from photodna_nb.distances import Metric


def hash_one(image: str) -> int:
    """Print the hash of a picture."""
    hashed = Images([image], jobs=1).only()
    print_lines(",".join(map(str, hashed.hash.tolist())))
    return 0


def hash_many(paths: list[str], jobs: int | None, output: str | None) -> int:
    """Print or write the hashes of pictures."""
    images = Images(paths, jobs)
    if output is not None:
        from photodna_nb.table import check_target

        check_target(output)
        images.table().save(output)
        return images.status
    from photodna_nb.table import json_entry

    separator = "["
    for path, hashed in images:
        print_lines(separator, json.dumps(json_entry(path, hashed.hash)), end="")
        separator = ","
    print_lines("\n]" if separator == "," else "[]")
    return images.status


def compare(image1: str, image2: str, *, metric: Metric) -> int:
    """Print the distance and the similarity of two pictures."""
    from photodna_nb.distances import distance, similarity

    images = Images([image1, image2], jobs=1)
    hashes = [hashed.hash for _, hashed in images]
    if not images.status:
        a, b = hashes
        print_lines(
            f"Distance ({metric}): {distance(a, b, metric):.4f}",
            f"Similarity: {similarity(a, b):.6f}",
        )
    return images.status
