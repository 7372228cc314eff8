"""The page for review: groups of pictures as thumbnails, of which a person ticks some."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from hashlib import sha256
from importlib import resources
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from photodna_nb import checks, files, parallel
from photodna_nb.errors import ArgumentTypeError, FileError
from photodna_nb.files import PathLike
from photodna_nb.hashing.orientations import ORIENTATIONS
from photodna_nb.pairs.groups import DuplicateGroups
from photodna_nb.pairs.matches import Matches
from photodna_nb.pairs.metrics import MAX_DISTANCE_SQUARED
from photodna_nb.printable import printable
from photodna_nb.report.html import template_environment
from photodna_nb.report.review_pictures import ReviewMember, ReviewPicture, read_pictures
from photodna_nb.tables.formats import format_suffix
from photodna_nb.tables.table import HashTable

# Largest number of files whose thumbnails are in the page; those of more are in a folder beside it.
_MOST_EMBEDDED = 250
# Largest number of names in the lists of what was not compared.
_MOST_LISTED = 1000
# Folders of thumbnails, and temporary ones of programs that were killed.
_OWN_FOLDER = re.compile(r"[0-9a-f]{16}|\.photodna-nb-[0-9a-f]{16}\.tmp")
# What joins letters and emoji of some scripts; other characters without a shape are escaped.
_JOINERS = str.maketrans("", "", "\u200c\u200d")


class _ReviewGroup(NamedTuple):
    """A group of the page.

    number : int
        Its number; of matches, the row of the picture that has them.
    widest : float
        Largest distance of two members if that is beyond the limit, otherwise 0.
    """

    number: int
    widest: float
    members: list[ReviewMember]


def write_review(
    groups: DuplicateGroups | Matches,
    path: PathLike,
    *,
    max_workers: int | None = None,
    progress: bool = False,
) -> str:
    """Write a page on which a person looks at groups of pictures, and ticks some of them.

    Parameters
    ----------
    groups : DuplicateGroups or Matches
        What `duplicates` or `match` returned. Of matches, each picture is a group with its
        matches.
    path : str or os.PathLike
        The page, an HTML file.
    max_workers : int, optional
        Threads that make thumbnails; the number of processors if left out.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    str
        The path of the page.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        An argument has another type or value.
    FileError
        The page, or its folder of thumbnails, cannot be written.

    Notes
    -----
    The thumbnails of up to 250 files are in the page. Those of more are in the folder
    ``NAME_files`` beside the page ``NAME.html``, and the two have to be moved together. The page
    needs no network. Files are opened if they were hashed, and not if the table of hashes came
    from a file: such rows have no picture. A file that is missing, or has changed since it was
    hashed, is shown as such. The same files give the same bytes.

    Nothing is deleted or changed but the page and its thumbnails: what is ticked becomes a list.
    """
    if not isinstance(groups, DuplicateGroups | Matches):
        needed = "the DuplicateGroups of duplicates, or the Matches of match"
        raise ArgumentTypeError(checks.message("groups", checks.describe(groups), needed))
    name = checks.path("path", path)
    format_suffix(name, [".html", ".htm"])
    files.target_of(name, FileError)
    parallel.worker_count(max_workers, None)
    visible = checks.boolean("progress", progress)
    all_groups = list(_groups_of(groups))
    n_pictures = sum(len(one.members) for one in all_groups)
    n_files = sum(member.status is not None for one in all_groups for member in one.members)
    columns = _Columns(name)
    folder = f"{os.path.splitext(name)[0]}_files"
    digest = ""
    with ExitStack() as stack:
        staged = None
        if n_files > _MOST_EMBEDDED:
            staged = stack.enter_context(files.StagedFolder(folder, name, FileError))
        bar = stack.enter_context(parallel.progress_bar(visible, range(n_pictures), "picture"))
        pictures = read_pictures((one.members for one in all_groups), max_workers)
        stack.enter_context(closing(pictures))
        for one in all_groups:
            columns.begin(one)
            for member, picture in zip(one.members, pictures, strict=False):
                number = columns.add(member, picture)
                if picture.thumbnail is not None and staged is not None:
                    staged.add(f"{number}.jpg", picture.thumbnail)
                elif picture.thumbnail is not None:
                    columns.embedded.append(base64.b64encode(picture.thumbnail).decode("ascii"))
                bar.update()
        if staged is not None:
            digest = columns.thumbnails.hexdigest()[:16]
            staged.place(digest)
        page = _page(groups, columns, f"{os.path.basename(folder)}/{digest}/" if digest else "")
        files.write([(name, [page])], FileError)
    _remove_other_folders(folder, digest)
    return name


def _groups_of(groups: DuplicateGroups | Matches) -> Iterator[_ReviewGroup]:
    numbers = groups.group if isinstance(groups, DuplicateGroups) else groups.row
    order = np.argsort(numbers, kind="stable")  # rows may have been selected in any order
    numbers, groups = numbers[order], groups[order]
    bounds = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1))
    if isinstance(groups, DuplicateGroups):
        members = _members(groups.table, groups.row, groups.distance, groups.orientation)
        widest = np.where(groups.exceeds_limit, groups.widest, 0)
        for start, stop in pairwise(bounds.tolist()):
            number = int(numbers[start])
            yield _ReviewGroup(number, float(widest[number]), members[start:stop])
        return
    known = _members(groups.known, groups.known_row, groups.distance, groups.orientation)
    rows = numbers[bounds[:-1]]
    unknown = np.full(len(rows), np.nan), np.zeros(len(rows), np.int8)
    queries = _members(groups.queries, rows, *unknown)
    for query, (start, stop) in zip(queries, pairwise(bounds.tolist()), strict=True):
        yield _ReviewGroup(int(numbers[start]), 0, [query, *known[start:stop]])


def _members(table: HashTable, rows: Any, distance: Any, orientation: Any) -> list[ReviewMember]:
    unknown = np.full((len(table), 2), -1)
    status = (unknown if table.file_status is None else table.file_status)[rows].tolist()
    sizes = (0 * unknown if table.image_size is None else table.image_size)[rows].tolist()
    return [
        ReviewMember(
            table.paths[row],
            (n_bytes, modified) if n_bytes >= 0 else None,
            (width, height),
            distance,
            ORIENTATIONS[orientation],
        )
        for row, (n_bytes, modified), (width, height), distance, orientation in zip(
            rows.tolist(), status, sizes, distance.tolist(), orientation.tolist(), strict=True
        )
    ]


class _Columns:
    """The data of the page, one entry a picture in each column.

    Attributes
    ----------
    values : dict
        Columns and lists, as the script of the page reads them.
    embedded : list of str
        Thumbnails in base64.
    thumbnails : hash
        Digest of all thumbnails.
    """

    _NAMES = "folder name width height bytes seconds format distance orientation notes thumbnail"

    def __init__(self, page: str) -> None:
        self.values: dict[str, Any] = {name: [] for name in self._NAMES.split()}
        self.values |= {"number": [], "start": [], "widest": [], "shown": {}, "folders": []}
        self.embedded: list[str] = []
        self.thumbnails = sha256()
        self.n_thumbnails = 0
        self._folders: dict[tuple[str, bool], int] = {}
        self._texts: dict[str, dict[str, int]] = {"notes": {}, "format": {}}
        self._page_folder = os.path.dirname(os.path.abspath(page))

    def begin(self, group: _ReviewGroup) -> None:
        """Begin a group."""
        self.values["number"].append(group.number)
        self.values["start"].append(len(self.values["name"]))
        self.values["widest"].append(round(group.widest, 4))

    def add(self, member: ReviewMember, picture: ReviewPicture) -> int:
        """Append a picture, and return the number of its thumbnail; -1 for none."""
        row, start = len(self.values["name"]), self.values["start"][-1]
        thumbnail = -1
        if picture.thumbnail is not None:
            thumbnail = self.n_thumbnails
            self.n_thumbnails += 1
            self.thumbnails.update(sha256(picture.thumbnail).digest())
        elif picture.original < row - start:
            thumbnail = self.values["thumbnail"][start + picture.original]
        name = os.path.basename(member.path)
        shown = _shown(name)
        if shown != name:
            self.values["shown"][row] = shown
        n_bytes, modified = picture.status
        values = (
            self._folder(member.path.removesuffix(name), member.status is not None),
            name,
            *picture.size,
            n_bytes,
            modified // 10**9 if n_bytes >= 0 else None,
            self._number("format", picture.format),
            None if np.isnan(member.distance) else round(member.distance, 4),
            ORIENTATIONS.index(member.orientation),
            [self._number("notes", note) for note in picture.notes],
            thumbnail,
        )
        for column, value in zip(self._NAMES.split(), values, strict=True):
            self.values[column].append(value)
        return thumbnail

    def _folder(self, folder: str, is_file: bool) -> int:
        """Return the number of a folder, with its address relative to the page if it has files."""
        number = self._folders.setdefault((folder, is_file), len(self._folders))
        if number == len(self.values["folders"]):
            address = ""
            if is_file:
                with suppress(ValueError):  # of another drive than the page
                    below = os.path.relpath(os.path.abspath(folder), self._page_folder)
                    address = quote(os.fsencode(below.replace(os.sep, "/"))) + "/"
            self.values["folders"].append([folder, _shown(folder), address])
        return number

    def _number(self, kind: str, text: str) -> int:
        return self._texts[kind].setdefault(text, len(self._texts[kind]))

    def to_json(self, **values: Any) -> str:
        """Return the data as text that ends no element of HTML."""
        texts = {f"{name}_texts": list(numbers) for name, numbers in self._texts.items()}
        data = self.values | texts | values | {"embedded": self.embedded}
        text = json.dumps(data, separators=(",", ":"))  # ASCII; half of a surrogate pair stays one
        digest = sha256(text.encode("ascii")).hexdigest()[:32]
        return f'{{"digest":"{digest}",{text[1:]}'.replace("<", "\\u003c")


def _shown(name: str) -> str:
    return printable(name, lambda text: text.translate(_JOINERS).isprintable()) if name else ""


def _page(groups: DuplicateGroups | Matches, columns: _Columns, thumbnails: str) -> bytes:
    """Return the content of the page; `thumbnails` is where they are, relative to the page."""
    if isinstance(groups, Matches):
        kind, table = "matches", groups.queries
        left_out = [(table, groups.low_detail), (groups.known, groups.known_low_detail)]
    else:
        kind, table = "duplicates", groups.table
        left_out = [(table, groups.low_detail)]
    style, script = (
        resources.files("photodna_nb.report").joinpath(name).read_text("utf-8")
        for name in ("review.css", "review.js")
    )
    limit = groups.max_distance if groups.max_distance < MAX_DISTANCE_SQUARED else None
    data = columns.to_json(kind=kind, limit=limit, thumbnails=quote(os.fsencode(thumbnails)))
    text = (
        template_environment()
        .get_template("review.html")
        .render(
            kind=kind,
            n_groups=len(columns.values["start"]),
            n_pictures=len(columns.values["name"]),
            n_compared=len(table),
            limit=limit,
            low_detail=[_shown(one.paths[row]) for one, rows in left_out for row in rows.tolist()],
            failures=[(_shown(path), error) for one, _ in left_out for path, error in one.failures],
            skipped=sorted(table.skipped.items()),
            most=_MOST_LISTED,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            data=Markup(data),
        )
    )
    return text.encode("utf-8", "backslashreplace")


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style and script, and pictures that are files."""
    digests = [
        base64.b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


def _remove_other_folders(folder: str, keep: str) -> None:
    """Delete the thumbnails of pages that were here before; their folder, too, if that is all."""
    with suppress(OSError):
        others = [name for name in os.listdir(folder) if _OWN_FOLDER.fullmatch(name)]
        for name in others:
            if name != keep:
                files.remove_folder(os.path.join(folder, name))
        if others and not keep:
            os.rmdir(folder)
