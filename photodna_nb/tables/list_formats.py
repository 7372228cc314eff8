"""Public formats of hash lists: NCMEC hash sharing (XML), ThreatExchange and Project VIC (JSON).

Their entries become mappings like those of any other list. XML is read as it comes, and a file
that declares entities, or any other type of document, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.parsers import expat

from photodna_nb.errors import TableFileError
from photodna_nb.tables import column_roles, entries
from photodna_nb.tables.columns import ReadOptions, TableColumns
from photodna_nb.tables.row_collector import OTHER_KIND, RowCollector, Skipped

_DELETED = "deleted"
# Elements of NCMEC's list that are entries; others hold the key of an entry, or are left out.
_ENTRIES = {"image", "video"}
_DELETED_ENTRIES = {"deletedImage", "deletedVideo"}
_LISTS = {"images", "videos"}
_XML_HASH = "pdna"
# Bytes that are parsed at once, and the most characters and keys of an entry.
_CHUNK = 2**16
_LONGEST_ENTRY = 10**6
_MOST_KEYS = 1000


def read_xml(name: str, content: bytes, options: ReadOptions) -> TableColumns:
    """Return the table in a list of NCMEC, whose name is for errors."""
    if options.encoding:
        content = content.decode(options.encoding).encode("utf-8")
    rows = RowCollector(name, len(content), "entry", record=options.record)
    found = _EntriesOfXml(name, "utf-8" if options.encoding else None).entries(content)
    return entries.collect(name, rows, enumerate(found), options)


class _EntriesOfXml:
    """Parses a list, and gathers the texts of each entry by the names of its elements."""

    def __init__(self, name: str, encoding: str | None) -> None:
        self._name = name
        self._parser = expat.ParserCreate(encoding, namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._entry: dict[str, str] | None = None
        self._key = ""
        self._size = 0
        self._found: list[Any] = []
        self._is_list = False

    def entries(self, content: bytes) -> Iterator[Any]:
        """Yield the entries: mappings, and those that are skipped."""
        content = content.lstrip()  # before the declaration of XML, nothing may stand
        for start in range(0, len(content) or 1, _CHUNK):
            try:
                chunk = content[start : start + _CHUNK]
                self._parser.Parse(chunk, start + _CHUNK >= len(content))
            except expat.ExpatError as error:
                raise TableFileError(self._name, f"is no XML ({error})") from error
            yield from self._found
            self._found.clear()
        if not self._is_list:
            raise TableFileError(self._name, "has no <images> or <videos>, as lists of NCMEC have")

    def _refuse(self, *_: Any) -> None:
        raise TableFileError(
            self._name, "declares a type of document, which no list needs; remove <!DOCTYPE …>"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self._is_list = self._is_list or local in _LISTS
        if self._entry is not None:
            self._key = local
            while self._key in self._entry:  # a second one of that name
                self._key += "_"
            for attribute, value in attributes.items():
                self._add(self._entry, f"{self._key} {attribute}", value)
        elif local in _ENTRIES:
            self._entry, self._key, self._size = {"element": local}, "", 0
        elif local in _DELETED_ENTRIES:
            self._found.append(Skipped(_DELETED))

    def _text(self, text: str) -> None:
        if self._entry is not None and self._key:
            self._add(self._entry, self._key, text)

    def _add(self, entry: dict[str, str], key: str, text: str) -> None:
        entry[key] = entry.get(key, "") + text
        self._size += len(text)
        if self._size > _LONGEST_ENTRY or len(entry) > _MOST_KEYS:
            line = self._parser.CurrentLineNumber
            raise TableFileError(self._name, f"line {line} has too much text for one entry")

    def _end(self, name: str) -> None:
        self._key = ""
        if self._entry is not None and name.rpartition(" ")[2] == self._entry["element"]:
            entry = {key: text for key, text in self._entry.items() if not text.isspace()}
            self._found.append(entry if _XML_HASH in entry else Skipped(OTHER_KIND))
            self._entry = None


def plain_entries(document: dict[str, Any], listed: Iterable[Any]) -> Iterator[Any]:
    """Yield the entries of a list in a document of JSON; those of ThreatExchange and VIC alike."""
    is_vic = any("odata" in key for key in document)
    for entry in listed:
        media = entry.get("Media") if isinstance(entry, dict) else None
        for one in media if is_vic and isinstance(media, list) else [entry]:
            yield _plain_entry(one, is_vic) if isinstance(one, dict) else one


def _plain_entry(entry: dict[str, Any], is_vic: bool) -> Any:
    if entry.get("should_delete") is True:  # of ThreatExchange
        return Skipped(_DELETED)
    indicator = entry.get("indicator")
    if isinstance(indicator, dict):
        return {**entry, **{key: indicator.get(key) for key in ("indicator", "type")}}
    if not is_vic:
        return entry
    others = entry.get("AlternativeHashes")
    for one in others if isinstance(others, list) else ():
        if isinstance(one, dict) and column_roles.is_photodna(str(one.get("HashName"))):
            rest = {key: value for key, value in entry.items() if key != "AlternativeHashes"}
            return {**rest, "PhotoDNA": one.get("HashValue")}
    has_hash = any(column_roles.is_photodna(key) for key in entry)
    return entry if has_hash else Skipped(OTHER_KIND)
