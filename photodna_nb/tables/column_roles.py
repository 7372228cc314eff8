"""Which column of a table holds the hashes, and which the paths: by name, and by what is in them.

What cannot be told is a question that a person can answer with an option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from photodna_nb.checks import HASH_BYTES
from photodna_nb.printable import printable
from photodna_nb.tables import hash_text
from photodna_nb.tables.columns import ReadOptions

# Names of columns as `simple_name` gives them, the ones that are taken first before others.
PATH_NAMES = (
    *("path", "filepath", "fullpath", "imagepath", "relativefilepath", "filename", "file"),
    *("image", "url", "uri", "name", "label", "key", "id", "md5", "sha1", "sha256", "mediaid"),
)
HASH_NAMES = (
    *("photodna", "photodnahash", "hashphotodna", "pdna", "pdnahash", "hash", "hashvalue"),
    *("base64", "hex", "hexadecimal", "integers", "fingerprint", "signal", "indicator"),
    "rawindicator",
)
# Names of columns that say of which kind a hash is, and kinds: these, or other ones.
_KIND_NAMES = {"type", "indicatortype", "hashtype", "signaltype", "algorithm", "hashname"}
_KINDS = {"photodna", "hashphotodna", "pdna"}
_OTHER_KINDS = {
    f"{prefix}{kind}"
    for prefix in ("", "hash")
    for kind in ("md5", "sha1", "sha256", "pdq", "tmk", "phash", "videomd5")
}
# The first columns of files that `HashTable.save` wrote; further ones may hold anything.
_OWN = (["path", "hash"], ["filename", "path", "photodna"])
# A longer cell is no name of a column, and no more columns are looked into.
_LONGEST_NAME = 64
_MOST_COLUMNS = 10_000


class ColumnQuestionError(ValueError):
    """Nothing tells which column is which; the message asks for an option."""


class ColumnRoles(NamedTuple):
    """The numbers of columns, from 0; None for those that there are not.

    path, kind, detail : the paths, the kinds of the hashes, the detail
    hash, n_hash : the hashes, or the first of their 144 columns; 1 or 144
    other : numbers and names of all that are none of paths, hashes and detail
    """

    path: int | None
    hash: int
    n_hash: int
    kind: int | None
    detail: int | None
    other: tuple[tuple[int, str], ...]


def simple_name(name: str) -> str:
    """Return a name without capitals and anything that is no letter or digit of ASCII."""
    return re.sub("[^a-z0-9]", "", name.lower())


def are_known(names: Sequence[str]) -> bool:
    """Return whether names of columns have known ones both for paths and for hashes."""
    simple = set(map(simple_name, names))
    return not simple.isdisjoint(PATH_NAMES) and not simple.isdisjoint(HASH_NAMES)


def is_photodna(kind: str) -> bool:
    """Return whether the kind of a hash is this one."""
    return simple_name(kind) in _KINDS


def count_hashes(rows: Sequence[Sequence[Any]]) -> int:
    """Return the number of rows in which a hash is."""
    return sum(any(map(_holds_hash, row)) or any(_integer_runs([row], 0, None)) for row in rows)


def is_header(cells: Sequence[str], options: ReadOptions) -> bool:
    """Return whether the first line of a table names columns: a known one or one of an option."""
    if any(len(cell) > _LONGEST_NAME for cell in cells) or len(cells) > _MOST_COLUMNS:
        return False
    if {options.path_column, options.hash_column} & set(cells) - {""}:
        return True
    return not {simple_name(cell) for cell in cells}.isdisjoint((*PATH_NAMES, *HASH_NAMES))


def choose(
    names: Sequence[str] | None, rows: Sequence[Sequence[Any]], options: ReadOptions
) -> ColumnRoles:
    """Return the roles of the columns.

    Parameters
    ----------
    names : sequence of str, optional
        Names of the columns, if there are any.
    rows : sequence of sequence
        The cells of some rows.
    options : ReadOptions
        The columns that the user named.

    Raises
    ------
    ColumnQuestionError
        Nothing tells which column is which, or an option names none of them.
    """
    width = max(map(len, rows), default=0) if names is None else len(names)
    simple = [simple_name(name) for name in names or ()]
    if names is not None and options.path_column is options.hash_column is None:
        own = next((own for own in _OWN if list(names[: len(own)]) == own), [])
        if own and names.count("path") == 1:
            options = options._replace(path_column="path", hash_column=own[-1])
    path = _numbered("path_column", options.path_column, names, width)
    hash_column = _numbered("hash_column", options.hash_column, names, width)
    if options.path_column is None:
        path = _named_path(names, simple, hash_column)
    if hash_column is None:
        hash_column, n_hash = _hash_column(names, simple, rows, path)
    else:
        runs = _integer_runs(rows, hash_column, path)
        n_hash = HASH_BYTES if any(start == hash_column for start, _ in runs) else 1
    hashes = range(hash_column, hash_column + n_hash)
    rest = [i for i in range(width) if i not in hashes]
    if path is None and options.path_column is None and rest:
        if names is not None or len(rest) > 1:
            raise ColumnQuestionError(_path_question(names, rest))
        path = rest[0]
    kind = next((i for i in rest if simple and _names_kinds(simple[i], i, rows)), None)
    detail = simple.index("detail") if "detail" in simple else None
    if detail is not None and not all(_is_detail(row[detail]) for row in rows):
        detail = None
    labels = _unique_names(names, width)
    other = tuple((i, labels[i]) for i in rest if i not in (path, detail))
    return ColumnRoles(path, hash_column, n_hash, kind, detail, other)


def _numbered(
    option: str, value: str | int | None, names: Sequence[str] | None, width: int
) -> int | None:
    """Return the number of a column that the user named; None for no column."""
    if value is None or (value == "" and option == "path_column"):
        return None
    if isinstance(value, int):
        if value < width or not width:
            return value
    elif names is not None and value in names:
        return names.index(value)
    there = f"{width} columns without names" if names is None else f"the columns {_listed(names)}"
    raise ColumnQuestionError(
        f"has {there}, and {option}={value!r} is none of them; give a name, or a number from 0"
    )


def _hash_column(
    names: Sequence[str] | None,
    simple: list[str],
    rows: Sequence[Sequence[Any]],
    path: int | None,
) -> tuple[int, int]:
    """Return the number of the column of the hashes, or of the first of 144; and 1 or 144."""
    counts = [0] * min(_MOST_COLUMNS, max(map(len, rows), default=0))
    for row in rows:
        for i, cell in enumerate(row[:_MOST_COLUMNS]):
            counts[i] += i != path and _holds_hash(cell)
    most = max(counts, default=0)
    if not most:
        for start, length in _integer_runs(rows, 0, path):
            if length == HASH_BYTES:
                return start, HASH_BYTES
            raise ColumnQuestionError(
                f"has {length} columns of integers in a row, and {HASH_BYTES} are a hash; which "
                "one is the first? Give it as hash_column= (--hash-column)"
            )
        for name in HASH_NAMES:
            if name in simple:
                return simple.index(name), 1
        raise ColumnQuestionError(
            f"no column holds hashes of {HASH_BYTES} bytes in base64, hexadecimal or integers; "
            "which one should? Give it as hash_column= (--hash-column), and the character between "
            "columns as delimiter= (--delimiter) if they are not apart"
        )
    found = [i for i, n in enumerate(counts) if 2 * n >= most]
    first = min(found, key=lambda i: _rank(simple[i] if simple else "", HASH_NAMES))
    if any(_differ(row, first, i) for row in rows for i in found):
        columns = [names[i] if names else str(i) for i in found]
        raise ColumnQuestionError(
            f"the columns {_listed(columns)} all hold hashes, and not the same ones; which are "
            "the ones to read? Give it as hash_column= (--hash-column)"
        )
    return first, 1


def _holds_hash(cell: Any) -> bool:
    if isinstance(cell, str) and len(cell) < hash_text.BASE64_LENGTH:
        return False
    return hash_text.holds_hash(cell)


def _differ(row: Sequence[Any], i: int, j: int) -> bool:
    """Return whether two cells hold two hashes."""
    if i == j or max(i, j) >= len(row) or not all(map(hash_text.holds_hash, (row[i], row[j]))):
        return False
    return hash_text.from_value(row[i]) != hash_text.from_value(row[j])


def _integer_runs(
    rows: Sequence[Sequence[Any]], start: int, path: int | None
) -> Iterator[tuple[int, int]]:
    """Yield first column and number of columns of each run that may hold the bytes of a hash."""
    for row in rows:
        first = start
        for i in range(start, min(len(row), _MOST_COLUMNS) + 1):
            if i == len(row) or i == path or not _is_byte(row[i]):
                if i - first >= HASH_BYTES:
                    yield first, i - first
                first = i + 1


def _is_byte(cell: Any) -> bool:
    digits = cell.strip() if isinstance(cell, str) else ""
    return len(digits) <= 3 and digits.isdecimal() and int(digits) < 256


def _named_path(
    names: Sequence[str] | None, simple: list[str], hash_column: int | None
) -> int | None:
    """Return the number of the column whose name is one for paths; None if there is none."""
    for name in PATH_NAMES:
        columns = [i for i in range(len(simple)) if simple[i] == name and i != hash_column]
        if len(columns) > 1:
            raise ColumnQuestionError(_path_question(names, columns))
        if columns:
            return columns[0]
    return None


def _path_question(names: Sequence[str] | None, columns: Sequence[int]) -> str:
    named = [names[i] if names else str(i) for i in columns]
    return (
        f"which of the columns {_listed(named)} holds the paths? Give it as path_column= "
        '(--path-column), "" if none does and the number of each line shall be its label'
    )


def _names_kinds(name: str, i: int, rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether a column says of which kind each hash is."""
    return name in _KIND_NAMES and any(
        i < len(row) and simple_name(str(row[i])) in _KINDS | _OTHER_KINDS for row in rows
    )


def _is_detail(cell: Any) -> bool:
    """Return whether a cell may be a detail: not a note, for example."""
    try:
        return not isinstance(cell, str) or not cell or float(cell) >= 0
    except ValueError:
        return False


def _unique_names(names: Sequence[str] | None, width: int) -> list[str]:
    """Return names of all columns, with the number where there is no name, or the same again."""
    unique: list[str] = []
    used: set[str] = set()
    for i in range(width):
        name = (names[i].strip() if names else "") or f"column {i}"
        while name in used:
            name += f" (column {i})"
        used.add(name)
        unique.append(name)
    return unique


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(printable(name)) for name in names[:9])
    return shown + (", …" if len(names) > 9 else "")
