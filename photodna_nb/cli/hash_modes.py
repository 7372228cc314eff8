"""The modes that hash and compare images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from photodna_nb.cli.hints import not_one_image
from photodna_nb.cli.images import files_in, hash_table, iterate_images
from photodna_nb.cli.output import print_json_list, print_lines
from photodna_nb.cli.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from photodna_nb.errors import FileError
    from photodna_nb.pairs.metrics import Metric
    from photodna_nb.tables.columns import FileFailure
    from photodna_nb.tables.table import HashTable


def hash_image(image: str, *, detail: bool) -> int:
    """Print the hash of an image, with its detail if that is asked for."""
    table = hash_table([image], 1, not_one_image)
    if table.failures:
        return 1
    print_lines(",".join(map(str, table.hashes[0].tolist())))
    if detail:
        print_lines(f"Detail: {table.detail[0]:.1f}")
    return 0


def hash_directory(directory: str, *, recursive: bool, **options: Any) -> int:
    """Print or write the hashes of the files in a directory, with the options of `hash_list`."""
    paths, failures = files_in(directory, recursive)
    return hash_list(*paths, failures=failures, **options)


def hash_list(
    *paths: str,
    output: str | None,
    detail: bool,
    jobs: int | None,
    failures: Sequence[FileFailure] = (),
    **table_options: bool,
) -> int:
    """Print the hashes of images as a JSON list, or write them to a table.

    failures: folders that could not be listed.
    """
    summary = Summary()
    if output is not None:
        table = _write_table(output, paths, jobs, failures, **table_options)
        summary.count_table(table)
        n_failed = len(table.failures)
    else:
        from photodna_nb.tables.json_format import json_entry

        errors: list[FileError] = []
        print_json_list(
            json_entry(path, hashed.hash) | ({"detail": hashed.detail} if detail else {})
            for path, hashed in iterate_images(paths, jobs, errors)
        )
        n_failed = len(failures) + len(errors)
        summary.count({"hashed": len(paths) - len(errors)}, n_failed)
    summary.print()
    return int(n_failed > 0)


def _write_table(
    output: str,
    paths: Sequence[str],
    jobs: int | None,
    failures: Sequence[FileFailure],
    resume: bool,
    spreadsheet: bool,
    compare_content: bool,
) -> HashTable:
    """Write the hashes and failures to a table, and return it."""
    from photodna_nb.tables.formats import check_target

    check_target(output)
    journalled: dict[str, Any] = {"output": output, "compare_content": compare_content}
    table = hash_table(paths, jobs, **(journalled if resume else {}))
    if failures or spreadsheet or not resume:
        table = replace(table, failures=[*failures, *table.failures])
        table.save(output, spreadsheet=spreadsheet)
    return table


def compare(image1: str, image2: str, *, metric: Metric | None, orientations: bool) -> int:
    """Print the distance and the similarity of two images."""
    from photodna_nb.hashing import orientations as hash_orientations
    from photodna_nb.pairs.metrics import distance, similarity

    metric = metric or "euclidean"
    table = hash_table([image1, image2], 1, not_one_image)
    if table.failures:
        return 1
    a, b = table.hashes
    orientation = None
    if orientations:
        oriented = hash_orientations.orientations(a)
        distances = [distance(candidate, b, metric) for candidate in oriented]
        nearest = distances.index(min(distances))
        a, orientation = oriented[nearest], hash_orientations.ORIENTATIONS[nearest]
    print_lines(
        f"Distance ({metric}): {distance(a, b, metric):.4f}",
        f"Similarity: {similarity(a, b):.6f}",
    )
    if orientation is not None:
        print_lines(f"Orientation: {orientation}")
    return 0
