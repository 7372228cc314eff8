"""The modes that find duplicates, and matches with known images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from photodna_nb.cli.images import hashed_inputs, on_terminal
from photodna_nb.cli.options import OUTPUT_SUFFIXES
from photodna_nb.cli.output import print_content, print_error, print_lines
from photodna_nb.cli.summary import Summary
from photodna_nb.errors import MissingPackageError, PhotodnaError
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from typing import TypeAlias

    from photodna_nb.pairs.groups import DuplicateGroups, DuplicateMember
    from photodna_nb.pairs.matches import Matches

    Result: TypeAlias = DuplicateGroups | Matches

MAX_DISTANCE = 100  # L2, if no limit is given
NOTHING_MATCHED = 3  # the exit status with --exit-code


def duplicates(
    *paths: str,
    cache: str | None,
    exit_code: bool,
    jobs: int | None,
    table_options: dict[str, Any],
    **options: Any,
) -> int:
    """Print or write the groups of images that show the same."""
    summary = Summary()
    search, write = _search_and_write(options, jobs)
    table = hashed_inputs(paths, jobs, summary, cache=cache, table_options=table_options)
    from photodna_nb.pairs.groups import duplicates

    groups = duplicates(table, **search)
    write(groups, _groups_as_text(groups))
    found = f"{_number(groups.n_groups, 'group')} of {_number(len(groups), 'image')}"
    summary.print(found + _within(groups))
    return exit_status(bool(table.failures), len(groups), exit_code)


def match(
    known: str,
    *paths: str,
    cache: str | None,
    exit_code: bool,
    jobs: int | None,
    table_options: dict[str, Any],
    **options: Any,
) -> int:
    """Print or write which images match which known ones."""
    summary = Summary()
    search, write = _search_and_write(options, jobs)
    inputs: dict[str, Any] = {"cache": cache, "table_options": table_options}
    known_table = hashed_inputs([known], jobs, summary, **inputs)
    if not len(known_table):
        if not known_table.failures:
            print_error(f"{printable(known)}: holds no hash to compare with; check the path")
        return 1
    table = hashed_inputs(paths, jobs, summary, **inputs)
    from photodna_nb.cli.printed_matches import PrintedMatches
    from photodna_nb.pairs.matches import match

    matches = PrintedMatches.of(match(table, known_table, **search))
    write(matches, _matches_as_text(matches, search["orientations"]))
    found = f"{_number(len(matches), 'match')} of {_number(matches.n_matched, 'image')}"
    summary.print(found + _within(matches))
    failed = bool(table.failures or known_table.failures)
    return exit_status(failed, len(matches), exit_code)


def exit_status(failed: bool, n_matched: int, exit_code: bool) -> int:
    """Return the exit status: an error comes first, since with it nothing is sure."""
    return 1 if failed else NOTHING_MATCHED if exit_code and not n_matched else 0


def _search_and_write(
    options: dict[str, Any], jobs: int | None
) -> tuple[dict[str, Any], Callable[[Result, Iterable[str]], None]]:
    """Return arguments of `duplicates` and `match`, and the function that writes their result."""
    from photodna_nb.pairs.metrics import max_distance_squared
    from photodna_nb.tables.formats import check_target

    similarity, distance = options["min_similarity"], options["max_distance"]
    if similarity is not None:
        # The next float is over the root of the exact integer, and below that of the next one.
        squared = max_distance_squared(similarity, distance)
        distance = math.nextafter(math.sqrt(squared), math.inf)
    search = {
        "max_distance": MAX_DISTANCE if distance is None else distance,
        "orientations": options["orientations"],
        "max_workers": jobs,
        "progress": on_terminal(),
    }
    if options["min_detail"] is not None:
        search["min_detail"] = options["min_detail"]
    output, printed_format = options["output"], options["format"]
    page = None
    if output is not None and check_target(output, OUTPUT_SUFFIXES) == ".html":
        page = _write_review()

    def write(result: Result, text: Iterable[str]) -> None:
        if page is not None:
            page(result, output, max_workers=jobs, progress=on_terminal())
        elif output is not None:
            result.save(output, spreadsheet=options["spreadsheet"])
        elif printed_format in (None, "text"):
            for line in text:
                print_lines(line)
        else:
            from photodna_nb.tables.result_files import TEXT_FORMATS

            print_content(TEXT_FORMATS[f".{printed_format}"](result))

    return search, write


def _write_review() -> Callable[..., str]:
    """Return the function that writes a page, if what it needs is installed."""
    try:
        from photodna_nb.report import write_review
    except MissingPackageError as error:
        raise PhotodnaError(f"argument --output: a page in HTML: {error}") from error
    return write_review


def _groups_as_text(groups: DuplicateGroups) -> Iterator[str]:
    """Yield the lines of the groups, and of what was not compared."""
    for group in groups.groups():
        yield from [""] * (group.number > 0)
        wide = f", up to {group.widest:.4f} apart" if group.exceeds_limit else ""
        yield f"Group {group.number}: {len(group.members)} images{wide}"
        yield from (f"    {_member_as_text(member)}" for member in group.members)
    if len(groups.low_detail):
        yield from [""] * (groups.n_groups > 0)
        yield f"Not compared, of low detail: {_number(len(groups.low_detail), 'image')}"
        for row in groups.low_detail.tolist():
            detail = groups.table.detail[row]
            yield f"    {printable(groups.table.paths[row])}" + (
                "" if math.isnan(detail) else f"  detail={detail:.1f}"
            )


def _member_as_text(member: DuplicateMember) -> str:
    parts = [printable(member.path)]
    if member.distance is not None:
        parts.append(f"distance={member.distance:.4f}")
    if member.orientation != "identity":
        parts.append(f"orientation={member.orientation}")
    if member.width is not None:
        parts.append(f"{member.width}x{member.height}")
    if member.bytes is not None:
        parts.append(f"{member.bytes} bytes")
    return "  ".join(parts)


def _matches_as_text(matches: Matches, orientations: bool) -> Iterator[str]:
    """Yield a line for each match: both names and the distance, with tabs between them."""
    for match in matches:
        line = f"{printable(match.path)}\t{printable(match.match)}\t{match.distance:.4f}"
        yield f"{line}\t{match.orientation}" if orientations else line


def _within(result: Result) -> str:
    """Return the limit of a result, and how many images were not compared."""
    from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED

    limit = result.max_distance
    within = f" within L2 distance {limit:g}" if limit < MAX_DISTANCE_SQUARED else ", without limit"
    left_out = len(result.low_detail)
    return within + (f", {left_out} of low detail not compared" if left_out else "")


def _number(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number} {noun}{ending}"
