"""The modes that search and look after an index."""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from photodna_nb.cli.help import TOP_K
from photodna_nb.cli.options import is_number
from photodna_nb.cli.output import failed, print_lines
from photodna_nb.cli.pictures import Images, start_numba
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.hashing.stages import HashWithDetail
    from photodna_nb.index import HashIndex, Match
    from photodna_nb.index.faiss_file import IndexType

_QUERIES_AT_ONCE = 256


def build(index_path: str, meta_path: str, paths: list[str], options: argparse.Namespace) -> int:
    """Make an index of pictures."""
    from photodna_nb.index import HashIndex

    index_type: IndexType = options.index_type or "flat"
    overwrite = bool(options.overwrite)
    with HashIndex.create(
        index_path, meta_path, index_type=index_type, overwrite=overwrite
    ) as index:
        status, added, skipped = _add(index, paths, options.jobs)
        if not added:
            return failed(f"{printable(index_path)}: not written, since no image could be hashed")
        _print_added("Indexed", added, skipped, index_path)
        _print_recall(index)
    return status


def add(index_path: str, meta_path: str, paths: list[str], options: argparse.Namespace) -> int:
    """Append pictures to an index."""
    with _opened(index_path, meta_path) as index:
        before = index.recall
        status, added, skipped = _add(index, paths, options.jobs)
        _print_added("Added", added, skipped, index_path)
        if index.recall != before:  # it was measured again
            _print_recall(index)
    return status


def _opened(index_path: str, meta_path: str) -> HashIndex:
    from photodna_nb.index import HashIndex
    from photodna_nb.index.metadata import is_database

    if not is_database(meta_path):
        start_numba()  # a kernel reads the hashes in JSON
    return HashIndex.open(index_path, meta_path)


def _add(index: HashIndex, paths: list[str], jobs: int | None) -> tuple[int, int, int]:
    """Add images and save; return the status and how many were added and skipped."""
    import PIL

    unknown = [path for path in paths if not (path and path in index)]
    images = Images(unknown, jobs)
    table = images.table()
    skipped = len(paths) - len(unknown)
    if not len(table):
        return images.status, 0, skipped
    extra = [{"pillow": PIL.__version__}] * len(table)
    added = index.add(table, extra=extra)
    index.save()
    return images.status, len(added.ids), skipped + len(added.skipped)


def _print_added(verb: str, added: int, skipped: int, index_path: str) -> None:
    print_lines(f"{verb} {added} file(s) into {printable(index_path)}")
    if skipped:
        print_lines(f"Skipped {skipped} file(s) that were indexed already")


def _print_recall(index: HashIndex) -> None:
    if index.recall is not None:
        print_lines(f"Approximate: {index.recall}")


def query(index_path: str, meta_path: str, paths: list[str], options: argparse.Namespace) -> int:
    """Search for many queries at once, some at a time, and print the answers in order."""
    index = _opened(index_path, meta_path)
    images = Images(paths, options.jobs)
    number = 0
    with index, closing(_in_batches(images, _QUERIES_AT_ONCE)) as batches:
        for queries in batches:
            matches = _searched(index, [hashed for _, hashed in queries], options)
            for (path, hashed), found in zip(queries, matches, strict=True):
                if options.json:
                    print_lines(
                        "," if number else "[",
                        json.dumps(_as_json(path, hashed, found, index.index_type)),
                        end="",
                    )
                else:
                    print_lines(
                        *([""] if number else []),
                        *_as_text(path, hashed, found, index.index_type, options),
                    )
                number += 1
    if options.json:
        print_lines("\n]" if number else "[]")
    return images.status


def _in_batches(
    images: Images, size: int
) -> Generator[list[tuple[str, HashWithDetail]], None, None]:
    each = iter(images)
    while batch := list(islice(each, size)):
        yield batch


def _searched(
    index: HashIndex, queries: list[HashWithDetail], options: argparse.Namespace
) -> list[list[Match]]:
    """Return the matches of each query, none for one without the detail that is asked for."""
    import numpy as np

    least = options.min_detail
    found = index.search(
        np.stack([query.hash for query in queries]),
        options.top_k or TOP_K,
        options.min_similarity,
        options.max_distance,
        orientations=bool(options.orientations),
        min_detail=least,
        nprobe=options.nprobe,
    )
    enough = [least is None or query.detail >= least for query in queries]
    return [matches if one else [] for matches, one in zip(found, enough, strict=True)]


def _as_json(
    path: str, query: HashWithDetail, matches: list[Match], index_type: IndexType
) -> dict[str, Any]:
    from photodna_nb.index import LOW_DETAIL

    return {
        "query": path,
        "detail": query.detail,
        "low_detail": query.detail < LOW_DETAIL,
        "approximate": index_type == "ivf",
        "results": [
            {
                "id": match.id,
                "path": match.path,
                "distance": match.distance,
                "similarity": match.similarity,
                "distance_squared": match.distance_squared,
                "orientation": match.orientation,
                "low_detail": match.low_detail,
                "extra": match.extra,
            }
            for match in matches
        ],
    }


def _as_text(
    path: str,
    query: HashWithDetail,
    matches: list[Match],
    index_type: IndexType,
    options: argparse.Namespace,
) -> Iterator[str]:
    from photodna_nb.index import LOW_DETAIL

    yield f"Query: {printable(path)}"
    if options.min_detail is not None and query.detail < options.min_detail:
        yield f"Low detail: {query.detail:.1f} grey levels, below --min-detail"
    elif query.detail < LOW_DETAIL:
        yield f"Low detail: {query.detail:.1f} grey levels; its matches say nothing"
    yield f"Results: {len(matches)}" + " (approximate)" * (index_type == "ivf")
    for rank, match in enumerate(matches, start=1):
        yield ""
        yield f"[{rank}] {printable(match.path)}"
        yield f"    id={match.id}"
        yield f"    distance={match.distance:.4f}"
        yield f"    similarity={match.similarity:.6f}"
        yield f"    distance_squared={match.distance_squared:.4f}"
        if options.orientations:
            yield f"    orientation={match.orientation}"
        if match.low_detail:
            yield f"    low detail={match.detail:.1f}"


def list_items(index_path: str, meta_path: str, *, as_json: bool) -> int:
    """Print the items of an index."""
    with _opened(index_path, meta_path) as index:
        separator = "["
        for item in index.items():
            if as_json:
                entry = {"id": item.id, "path": item.path, "extra": item.extra}
                print_lines(separator, json.dumps(entry), end="")
                separator = ","
            else:
                print_lines(f"{item.id}\t{printable(item.path)}")
    if as_json:
        print_lines("\n]" if separator == "," else "[]")
    return 0


def remove(index_path: str, meta_path: str, items: list[str], _: argparse.Namespace) -> int:
    """Remove items by their ids or paths; those that are not there are said."""
    status = 0
    with _opened(index_path, meta_path) as index:
        there = []
        for text in dict.fromkeys(items):
            item = index.get(int(text) if is_number(text) else text) if text else None
            if item is None:
                hint = f"; for a file of that name, ./{text}" if is_number(text) else ""
                status = failed(f"{printable(text)}: not in {printable(index_path)}{hint}")
            else:
                there.append(item.id)
        removed = index.remove(there)
        index.save()
    print_lines(f"Removed {len(removed)} file(s) from {printable(index_path)}")
    return status


def verify(index_path: str, meta_path: str) -> int:
    """Read all of an index."""
    with _opened(index_path, meta_path) as index:
        index.verify()
        print_lines(
            f"{printable(index_path)}: sound, {len(index)} file(s), index type {index.index_type}"
        )
        _print_recall(index)
    return 0


def rebuild(index_path: str, meta_path: str, *, index_type: IndexType | None) -> int:
    """Write an index anew from its metadata."""
    from photodna_nb.index import HashIndex
    from photodna_nb.index.metadata import is_database

    if index_type == "ivf" or not is_database(meta_path):
        start_numba()
    with HashIndex.rebuild(index_path, meta_path, index_type=index_type) as index:
        print_lines(f"Rebuilt {printable(index_path)} with {len(index)} file(s)")
        _print_recall(index)
    return 0


def convert(
    index_path: str,
    meta_path: str,
    new_index_path: str,
    new_meta_path: str,
    *,
    index_type: IndexType | None,
    overwrite: bool,
) -> int:
    """Copy an index into two new files."""
    with (
        _opened(index_path, meta_path) as index,
        index.copy_to(
            new_index_path, new_meta_path, index_type=index_type, overwrite=overwrite
        ) as new,
    ):
        print_lines(
            f"Converted {len(new)} file(s) into {printable(new_index_path)} "
            f"and {printable(new_meta_path)}"
        )
        _print_recall(new)
    return 0
