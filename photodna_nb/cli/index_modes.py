"""The modes that build, search and maintain an index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from photodna_nb.cli.duplicate_modes import exit_status
from photodna_nb.cli.hints import command
from photodna_nb.cli.images import (
    hashed_inputs,
    on_terminal,
    print_failures,
    printed_warnings,
    shows_progress,
)
from photodna_nb.cli.options import is_number
from photodna_nb.cli.output import (
    print_after_output,
    print_error,
    print_json_list,
    print_lines,
    print_message,
)
from photodna_nb.cli.query_answers import (
    Answer,
    as_json,
    as_oaphotodna,
    as_text,
    exclusion,
    iterate_answers,
)
from photodna_nb.cli.startup import start_numba
from photodna_nb.cli.summary import Summary
from photodna_nb.errors import FileError
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index import Added, HashIndex

TOP_K = 10


def build(
    index_path: str,
    meta_path: str,
    *paths: str,
    index_type: str | None,
    overwrite: bool,
    like_oaphotodna: bool,
    **options: Any,
) -> int:
    """Build an index of images."""
    from photodna_nb.index import HashIndex

    summary = Summary()
    with HashIndex.create(
        index_path, meta_path, index_type=index_type or "flat", overwrite=overwrite
    ) as index:
        added = _add(index, paths, summary, **options)
        if not added.ids:
            return print_error(
                f"{printable(index_path)}: not written, since no image could be hashed; "
                "give images, folders with images, or tables of hashes"
            )
        _print_added("Indexed", added, index_path, like_oaphotodna)
        _print_recall(index, like_oaphotodna)
    summary.print()
    return int(bool(added.failures))


def add(index_path: str, meta_path: str, *paths: str, like_oaphotodna: bool, **options: Any) -> int:
    """Add images to an index; those that have changed are hashed again."""
    summary = Summary()
    with _opened(index_path, meta_path) as index:
        before = index.recall
        added = _add(index, paths, summary, **options)
        _print_added("Added", added, index_path, like_oaphotodna)
        if index.recall != before:  # it was measured again
            _print_recall(index, like_oaphotodna)
    summary.print()
    return int(bool(added.failures))


def sync(
    index_path: str,
    meta_path: str,
    *folders: str,
    index_type: str | None,
    jobs: int | None,
    **options: Any,
) -> int:
    """Make an index hold what folders hold, with the options of `HashIndex.sync`."""
    from photodna_nb.index import HashIndex

    for name in folders:
        if os.path.isfile(name):
            remedy = printable(command("faiss_add", index_path, meta_path, name))
            raise FileError(name, f"is a file, not a folder; for an image: {remedy}")
    summary = Summary()
    start_numba()
    with (
        HashIndex.open_or_create(index_path, meta_path, index_type=index_type) as index,
        printed_warnings(),
    ):
        synced = index.sync(folders, max_workers=jobs, progress=on_terminal(), **options)
        print_failures(synced.failures)
    changes = {"added": synced.added, "updated": synced.updated, "removed": synced.removed}
    if synced.dry_run:
        for word, names in changes.items():
            for name in names:
                print_lines(f"{word}\t{printable(name)}")
    else:
        print_lines(f"Added {len(synced.added)} file(s) into {printable(index_path)}")
        for verb, names in ("Updated", synced.updated), ("Removed", synced.removed):
            if names:
                print_lines(f"{verb} {len(names)} file(s)")
    if synced.kept:
        print_message(
            f"warning: {len(synced.kept)} item(s) stay, though their files are gone: the folder of "
            f"{printable(synced.kept[0])} is empty or cannot be listed, as where a disk is not "
            "mounted; if that is right, --allow-empty removes them"
        )
    done = {word: len(names) for word, names in changes.items()} | {"unchanged": synced.unchanged}
    remembered = {"could not be read before": len(synced.remembered)}
    summary.count(done, len(synced.failures), synced.skipped | remembered)
    summary.print("nothing was changed (--dry-run)" if synced.dry_run else "")
    return int(bool(synced.failures))


def _opened(index_path: str, meta_path: str) -> HashIndex:
    from photodna_nb.index import HashIndex
    from photodna_nb.index.stores import is_database

    if not os.path.lexists(index_path) and not os.path.lexists(meta_path):
        remedy = printable(command("faiss_build", index_path, meta_path))
        raise FileError(index_path, f"no such index; check the path, or build it: {remedy} PATH")
    if not is_database(meta_path):
        start_numba()  # a kernel reads the hashes in JSON
    return HashIndex.open(index_path, meta_path)


def _add(
    index: HashIndex, paths: Sequence[str], summary: Summary, jobs: int | None, **options: Any
) -> Added:
    """Add images, save and count them, and name each file that failed on standard error."""
    start_numba()
    options |= {"max_workers": jobs, "progress": shows_progress(paths)}
    with printed_warnings():
        added = index.add(paths, errors="record", **options)
        print_failures(added.failures)
    if added.ids or added.updated or added.refreshed:
        index.save()
    skipped = {"indexed already": len(added.skipped), **added.other_files}
    done = {"added": len(added.ids), "updated": len(added.updated)}
    summary.count(done, len(added.failures), skipped)
    return added


def _print_added(verb: str, added: Added, index_path: str, like_oaphotodna: bool) -> None:
    print_lines(f"{verb} {len(added.ids)} file(s) into {printable(index_path)}")
    if like_oaphotodna:  # the summary has the other numbers
        return
    if added.updated:
        print_lines(f"Updated {len(added.updated)} file(s)")
    if added.skipped:
        print_lines(f"Skipped {len(added.skipped)} file(s) that were indexed already")


def _print_recall(index: HashIndex, like_oaphotodna: bool = False) -> None:
    if index.recall is not None:
        print_line = print_after_output if like_oaphotodna else print_lines
        print_line(f"Approximate: {index.recall}")


def query(
    index_path: str,
    meta_path: str,
    *paths: str,
    top_k: int | None,
    like_oaphotodna: bool,
    json: bool,
    cache: str | None,
    exit_code: bool,
    jobs: int | None,
    table_options: dict[str, Any],
    **limits: Any,
) -> int:
    """Search for many queries, and print the answers in order.

    The limits are further arguments of `HashIndex.search`.
    """
    summary = Summary()
    n_matches = 0

    def counted(answers: Iterator[Answer]) -> Iterator[Answer]:
        nonlocal n_matches
        for answer in answers:
            n_matches += len(answer.matches)
            yield answer

    with _opened(index_path, meta_path) as index:
        table = hashed_inputs(paths, jobs, summary, cache=cache, table_options=table_options)
        approximate = index.recall is not None
        answers = counted(iterate_answers(index, table, top_k or TOP_K, limits))
        if json:
            print_json_list(as_json(answer, approximate) for answer in answers)
        elif like_oaphotodna:
            for answer in answers:
                print_lines(*as_oaphotodna(answer))
                if answer.excluded:
                    print_after_output(f"{printable(answer.path)}: {exclusion(answer)}")
            _print_recall(index, like_oaphotodna)
        else:
            for number, answer in enumerate(answers):
                lines = as_text(answer, approximate, limits["orientations"])
                print_lines(*([""] if number else []), *lines)
    if len(paths) != 1 or len(table) > 1 or os.path.isdir(paths[0]):  # not for one image alone
        summary.print()
    return exit_status(bool(table.failures), n_matches, exit_code)


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
        named = []
        for text in dict.fromkeys(items):
            item = int(text) if is_number(text) else text
            if text and item in index:
                named.append(item)
            else:
                hint = f"; for a file of that name, ./{text}" if is_number(text) else ""
                status = print_error(f"{printable(text)}: not in {printable(index_path)}{hint}")
        removed = index.remove(named)
        index.save()
    print_lines(f"Removed {len(removed)} file(s) from {printable(index_path)}")
    return status


def verify(index_path: str, meta_path: str, *, compare_content: bool, jobs: int | None) -> int:
    """Check all content of both files, and name the image files that are not as they were."""
    summary = Summary()
    with _opened(index_path, meta_path) as index:
        if compare_content:
            start_numba()
        with printed_warnings():
            checked = index.verify(
                compare_content=compare_content, max_workers=jobs, progress=on_terminal()
            )
        print_lines(
            f"{printable(index_path)}: sound, {checked.n_items} file(s), "
            f"index type {index.index_type}"
        )
        _print_recall(index)
    unchecked = {
        "label(s), which name no file": checked.n_labels,
        "file(s) whose size and time are not known": checked.n_unknown,
        "item(s) without a checksum": checked.n_unchecked,
        "hash(es) that the index file does not hold yet": checked.n_pending,
    }
    for what, number in unchecked.items():
        if number:
            print_lines(f"Not compared: {number} {what}")
    if checked.other_type is not None:
        still = f"the index file still has the type {checked.other_type}"
        print_lines(f"Not written yet: {still}; --faiss-rebuild writes it")
    for names, reason in (
        (checked.changed, "has changed since it was indexed; hash it again with --faiss-add"),
        (checked.missing, "is missing; take it out with --faiss-remove"),
    ):
        for name in names:
            print_error(f"{printable(name)}: {reason}")
    print_failures(checked.failures)
    if checked.lacking:
        print_error(
            f"{printable(meta_path)}: lacks {len(checked.lacking)} item(s) that the index file "
            f"holds, of id {checked.lacking[0]} first; if they were removed, write the index anew "
            "with --faiss-rebuild, otherwise use a backup copy"
        )
    if compare_content:
        n_failed = len(checked.missing) + len(checked.failures)
        summary.count({"hashed": checked.n_items - checked.n_labels - n_failed}, n_failed)
        summary.print()
    return int(bool(checked.changed or checked.missing or checked.failures or checked.lacking))


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
