"""The text of a table in any encoding that people use, as lines and as records of cells."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator

from photodna_nb.errors import TableFileError

# What a file of an encoding begins with; that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BYTE_ORDER_MARK = "\ufeff"
# Of what is read again after quotes that do not match: characters, and multiples of the file.
_REREAD = 10**6
_REREAD_MULTIPLE = 4


def text_lines(content: bytes, encoding: str | None) -> io.TextIOWrapper:
    """Return the lines of a text, with their ends, without a byte order mark.

    Bytes that are not UTF-8 are as `os.fsdecode` gives them, if no encoding is given.
    """
    errors = "surrogateescape" if encoding is None else "strict"
    stream = io.TextIOWrapper(
        io.BytesIO(content), encoding or _encoding_of(content), errors, newline=""
    )
    if stream.read(1) != _BYTE_ORDER_MARK:
        stream.seek(0)
    return stream


def _encoding_of(content: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    first = content[:4096]
    zeros = [first[start::2].count(0) for start in (0, 1)]
    if sum(zeros) > 0.4 * len(first):  # letters of ASCII in UTF-16 without a mark
        if zeros[0] < 0.1 * len(first):
            return "utf-16-le"
        if zeros[1] < 0.1 * len(first):
            return "utf-16-be"
    return "utf-8"


class DelimitedRecords:
    """The records of a text of cells: lines, or several where a quoted cell holds line ends.

    Iteration yields the number of the first line of each, from 1, and its cells; or, where
    quotes do not match, the problem as a text. Only that line is lost then.

    Parameters
    ----------
    name : str
        Name of the file, for errors.
    lines : iterable of str
        The lines of the text, with their ends.
    size : int
        Bytes of the file.
    delimiter : str
        What stands between cells.
    """

    def __init__(self, name: str, lines: Iterable[str], size: int, delimiter: str) -> None:
        self._name, self._source, self._delimiter = name, iter(lines), delimiter
        self._current: list[str] = []  # lines of the record that is read
        self._number = 0  # of lines that were read
        self._again: deque[str] = deque()
        self._allowance = _REREAD + _REREAD_MULTIPLE * size

    def __iter__(self) -> Iterator[tuple[int, list[str] | str]]:
        while True:
            try:
                for record in csv.reader(self._lines(), delimiter=self._delimiter, strict=True):
                    yield self._number - len(self._current) + 1, record
                    self._current.clear()
                return
            except csv.Error as error:
                problem = str(error)
            self._read_again()
            yield self._number, problem

    def _lines(self) -> Iterator[str]:
        """Yield the lines that are to be read, but no empty ones between records."""
        while True:
            line = self._again.popleft() if self._again else next(self._source, "")
            if not line:
                return
            self._number += 1
            if self._current or not line.isspace():
                self._current.append(line)
                yield line

    def _read_again(self) -> None:
        """Let all lines of the record but the first be read again."""
        lines = self._current[1:]
        self._current.clear()
        self._number -= len(lines)
        self._allowance -= sum(map(len, lines))
        if self._allowance < 0:
            raise TableFileError(
                self._name, f"its quotes do not match, from line {self._number} on; correct them"
            )
        self._again.extendleft(reversed(lines))
