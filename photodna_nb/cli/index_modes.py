"""The modes that build, search and maintain an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from photodna_nb.cli.images import hash_table, iterate_images
from photodna_nb.cli.options import is_number
from photodna_nb.cli.output import print_error, print_json_list, print_lines
from photodna_nb.cli.startup import start_numba
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.errors import FileError
    from photodna_nb.hashing.stages import HashWithDetail
    from photodna_nb.index import HashIndex, Match

TOP_K = 10
_QUERIES_AT_ONCE = 256


def build(
    index_path: str,
    meta_path: str,
    *paths: str,
    index_type: str | None,
    overwrite: bool,
    jobs: int | None,
) -> int:
    """Build an index of images."""
    from photodna_nb.index import HashIndex

    with HashIndex.create(
        index_path, meta_path, index_type=index_type or "flat", overwrite=overwrite
    ) as index:
        status, added, skipped = _add(index, paths, jobs)
        if not added:
            return print_error(
                f"{printable(index_path)}: not written, since no image could be hashed"
            )
        _print_added("Indexed", added, skipped, index_path)
        _print_recall(index)
    return status


def add(index_path: str, meta_path: str, *paths: str, jobs: int | None) -> int:
    """Add images to an index."""
    with _opened(index_path, meta_path) as index:
        before = index.recall
        status, added, skipped = _add(index, paths, jobs)
        _print_added("Added", added, skipped, index_path)
        if index.recall != before:  # it was measured again
            _print_recall(index)
    return status


def _opened(index_path: str, meta_path: str) -> HashIndex:
    from photodna_nb.index import HashIndex
    from photodna_nb.index.stores import is_database

    if not is_database(meta_path):
        start_numba()  # a kernel reads the hashes in JSON
    return HashIndex.open(index_path, meta_path)


def _add(index: HashIndex, paths: Sequence[str], jobs: int | None) -> tuple[int, int, int]:
    """Add images and save; return the status and how many were added and skipped."""
    import PIL

    unknown = [path for path in paths if not (path and path in index)]
    table = hash_table(unknown, jobs)
    status = int(bool(table.failures))
    skipped = len(paths) - len(unknown)
    if not len(table):
        return status, 0, skipped
    extra = [{"pillow": PIL.__version__}] * len(table)
    added = index.add(table, extra=extra)
    index.save()
    return status, len(added.ids), skipped + len(added.skipped)


def _print_added(verb: str, added: int, skipped: int, index_path: str) -> None:
    print_lines(f"{verb} {added} file(s) into {printable(index_path)}")
    if skipped:
        print_lines(f"Skipped {skipped} file(s) that were indexed already")


def _print_recall(index: HashIndex) -> None:
    if index.recall is not None:
        print_lines(f"Approximate: {index.recall}")


def query(
    index_path: str,
    meta_path: str,
    *paths: str,
    top_k: int | None,
    json: bool,
    jobs: int | None,
    **limits: Any,
) -> int:
    """Search for many queries, and print the answers in order.

    The limits are further arguments of `HashIndex.search`.
    """
    errors: list[FileError] = []
    with (
        _opened(index_path, meta_path) as index,
        closing(iterate_images(paths, jobs, errors)) as images,
    ):
        approximate = index.recall is not None
        answers = _answers(index, images, top_k or TOP_K, limits)
        if json:
            print_json_list(_as_json(answer, approximate) for answer in answers)
        else:
            for number, answer in enumerate(answers):
                lines = _as_text(answer, approximate, limits["orientations"])
                print_lines(*([""] if number else []), *lines)
    return int(bool(errors))


class _Answer(NamedTuple):
    path: str
    detail: float  # of the query, in grey levels
    excluded: bool  # whether its detail is below --min-detail
    matches: list[Match]


def _answers(
    index: HashIndex,
    images: Iterator[tuple[str, HashWithDetail]],
    top_k: int,
    limits: dict[str, Any],
) -> Iterator[_Answer]:
    import numpy as np

    least = limits["min_detail"] or 0
    while batch := list(islice(images, _QUERIES_AT_ONCE)):
        hashes = np.stack([hashed.hash for _, hashed in batch])
        results = index.search(hashes, top_k, **limits)
        for (path, hashed), matches in zip(batch, results, strict=True):
            excluded = hashed.detail < least
            yield _Answer(path, hashed.detail, excluded, [] if excluded else matches)


def _as_json(answer: _Answer, approximate: bool) -> dict[str, Any]:
    from photodna_nb.index import LOW_DETAIL

    fields = ("id", "name", "path", "distance", "similarity", "distance_squared", "orientation")
    return {
        "query": answer.path,
        "detail": answer.detail,
        "low_detail": answer.detail < LOW_DETAIL,
        "approximate": approximate,
        "results": [
            {field: getattr(match, field) for field in (*fields, "detail", "low_detail", "extra")}
            for match in answer.matches
        ],
    }


def _as_text(answer: _Answer, approximate: bool, orientations: bool) -> Iterator[str]:
    from photodna_nb.index import LOW_DETAIL

    yield f"Query: {printable(answer.path)}"
    if answer.excluded:
        yield f"Low detail: {answer.detail:.1f} grey levels, below --min-detail"
    elif answer.detail < LOW_DETAIL:
        yield f"Low detail: {answer.detail:.1f} grey levels; its matches say nothing"
    yield f"Results: {len(answer.matches)}" + " (approximate)" * approximate
    for rank, match in enumerate(answer.matches, start=1):
        yield ""
        yield f"[{rank}] {printable(match.name)}"
        yield f"    id={match.id}"
        yield f"    distance={match.distance:.4f}"
        yield f"    similarity={match.similarity:.6f}"
        yield f"    distance_squared={match.distance_squared:.4f}"
        if orientations:
            yield f"    orientation={match.orientation}"
        if match.low_detail:
            yield f"    low detail={match.detail:.1f}"


def list_items(index_path: str, meta_path: str, *, json: bool) -> int:
    """Print the items of an index."""
    with _opened(index_path, meta_path) as index:
        if json:
            print_json_list(
                {field: getattr(item, field) for field in ("id", "name", "path", "detail", "extra")}
                for item in index.items()
            )
        else:
            for item in index.items():
                print_lines(f"{item.id}\t{printable(item.name)}")
    return 0


def remove(index_path: str, meta_path: str, *items: str) -> int:
    """Remove items by their ids or paths; report those that are not in the index."""
    status = 0
    with _opened(index_path, meta_path) as index:
        ids = []
        for text in dict.fromkeys(items):
            item = index.get(int(text) if is_number(text) else text) if text else None
            if item is None:
                hint = f"; for a file of that name, ./{text}" if is_number(text) else ""
                status = print_error(f"{printable(text)}: not in {printable(index_path)}{hint}")
            else:
                ids.append(item.id)
        removed = index.remove(ids)
        index.save()
    print_lines(f"Removed {len(removed)} file(s) from {printable(index_path)}")
    return status


def verify(index_path: str, meta_path: str) -> int:
    """Check all content of both files."""
    with _opened(index_path, meta_path) as index:
        index.verify()
        print_lines(
            f"{printable(index_path)}: sound, {len(index)} file(s), index type {index.index_type}"
        )
        _print_recall(index)
    return 0


def rebuild(index_path: str, meta_path: str, *, index_type: str | None) -> int:
    """Write an index again from its metadata."""
    from photodna_nb.index import HashIndex
    from photodna_nb.index.stores import is_database

    if index_type not in (None, "flat", "uint8") or not is_database(meta_path):
        start_numba()  # kernels measure the recall, and read the hashes in JSON
    with HashIndex.rebuild(index_path, meta_path, index_type=index_type) as index:
        print_lines(f"Rebuilt {printable(index_path)} with {len(index)} file(s)")
        for identifier in index.accepted:
            item = index.get(identifier)
            name = "" if item is None else f" ({printable(item.name)})"
            print_lines(f"Accepted item {identifier}{name}, whose checksum did not hold")
        _print_recall(index)
    return 0


def convert(
    index_path: str, meta_path: str, new_index_path: str, new_meta_path: str, **options: Any
) -> int:
    """Copy an index into two new files, with the options of `HashIndex.copy_to`."""
    with (
        _opened(index_path, meta_path) as index,
        index.copy_to(new_index_path, new_meta_path, **options) as copy,
    ):
        names = f"{printable(new_index_path)} and {printable(new_meta_path)}"
        print_lines(f"Converted {len(copy)} file(s) into {names}")
        _print_recall(copy)
    return 0
