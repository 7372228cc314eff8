"""The files in a folder, by one rule, and the files that a list names.

The rule: every entry that is not a folder counts as a file, whatever its kind; opening it
shows whether it is an image. A link to a file is that file. Links to folders are not
followed, since they may lead in a circle. Entries come sorted by name, and the files of a
folder before those of the folders below it.
"""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from photodna_nb import systems
from photodna_nb.errors import FileError, remedy_of


def files_in(
    folder: str,
    *,
    recursive: bool,
    hidden: bool,
    errors: list[FileError] | None = None,
    skipped: Counter[str] | None = None,
) -> list[str]:
    """Return the names of the files in a folder, relative to it, with ``/``.

    Parameters
    ----------
    folder : str
        Path of the folder.
    recursive : bool
        Whether the folders below are walked, too.
    hidden : bool
        Whether files and folders count whose name begins with a dot.
    errors : list of FileError, optional
        Where the error of a folder below that cannot be listed is appended. If it is left
        out, the error is raised.
    skipped : Counter, optional
        Where hidden files and folders are counted that do not count as files, as ``"hidden"``.

    Raises
    ------
    FileError
        The folder cannot be listed.
    """
    names: list[str] = []
    remaining = [""]
    while remaining:
        below = remaining.pop()
        try:
            entries = _entries(os.path.join(folder, below[:-1]) if below else folder)
        except FileError as error:
            if errors is None or not below:
                raise
            errors.append(error)
            continue
        n_entries = len(entries)
        entries = [entry for entry in entries if hidden or not entry.name.startswith(".")]
        if skipped is not None and len(entries) < n_entries:
            skipped["hidden"] += n_entries - len(entries)
        names += [below + entry.name for entry in entries if not _is_folder(entry)]
        if recursive:
            remaining += [
                f"{below}{entry.name}/"
                for entry in reversed(entries)
                if _is_folder(entry) and not entry.is_symlink()
            ]
    return names


def listed_paths(name: str, content: bytes) -> list[str]:
    """Return the paths in the content of a list: one a line, or ended by NUL characters.

    Parameters
    ----------
    name : str
        Name of the list, for errors.
    content : bytes
        Text in any encoding of file names, with or without the byte order mark of UTF-8; or
        UTF-16 with its mark, as programs of Windows write it.

    Raises
    ------
    FileError
        It is UTF-16 without a mark or damaged, or UTF-32.
    """
    content = _as_bytes(name, content)
    if b"\0" in content:
        paths = content.split(b"\0")
    else:
        paths = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [systems.decoded(path) for path in paths if path]


def below(folder: str, name: str) -> str:
    """Return the path of a file that `files_in` names, with the separators of the system."""
    return os.path.join(folder, name.replace("/", os.sep))


def real_paths(paths: Iterable[str], *, listed: bool = False) -> list[str]:
    """Return each path as its real, absolute one.

    listed: whether the names are as the folders list them, and so as they are on the disk.
    """
    folders: dict[str, str] = {}
    return [_real(path, folders, listed) for path in paths]


def _as_bytes(name: str, content: bytes) -> bytes:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with suppress(UnicodeError):
            text = content.decode("utf-16")
            if "\0" not in text:  # as in UTF-32
                return text.encode("utf-8")
    # A NUL a letter would be a path a letter; no file has the name of a line end.
    elif not (b"\n" in content and 2 * content.count(0) >= len(content)):
        return content.removeprefix(codecs.BOM_UTF8)
    raise FileError(name, "is no list of paths in UTF-8 but in UTF-16 or UTF-32; save it as UTF-8")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError) as error:  # a ValueError: what cannot be a name
        reason = getattr(error, "strerror", None) or str(error)
        remedy = remedy_of(error, "check the path") if isinstance(error, OSError) else "check it"
        raise FileError(folder, f"cannot be listed ({reason}); {remedy}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, for example; opening it shows the reason
        return False


def _real(path: str, folders: dict[str, str], listed: bool) -> str:
    """Return `os.path.realpath`, which looks at each folder on the way, of one in known folders."""
    # On Windows, a name has other spellings: with other letter cases, and a short one.
    if systems.IS_WINDOWS:
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    if name in ("", os.curdir, os.pardir) or os.path.islink(path):
        folder, name = os.path.split(os.path.realpath(path))
        listed = False
    if folder not in folders:
        folders[folder] = systems.real_folder(folder)
    real = os.path.join(folders[folder], name)
    return real if listed else systems.as_spelled(real)
