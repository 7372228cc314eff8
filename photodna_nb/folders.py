"""The files in a folder, by one rule, and the files that a list names.

The rule: every entry that is not a folder counts as a file, whatever its kind; opening it
shows whether it is an image. A link to a file is that file. Links to folders are not
followed, since they may lead in a circle. Entries come sorted by name, and the files of a
folder before those of the folders below it.
"""

from __future__ import annotations

import os

from photodna_nb.errors import FileError


def files_in(
    folder: str,
    *,
    recursive: bool,
    hidden: bool,
    errors: list[FileError] | None = None,
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
        entries = [entry for entry in entries if hidden or not entry.name.startswith(".")]
        names += [below + entry.name for entry in entries if not _is_folder(entry)]
        if recursive:
            remaining += [
                f"{below}{entry.name}/"
                for entry in reversed(entries)
                if _is_folder(entry) and not entry.is_symlink()
            ]
    return names


def listed_paths(content: bytes) -> list[str]:
    """Return the paths in the content of a list: one a line, or ended by NUL characters."""
    if b"\0" in content:
        paths = content.split(b"\0")
    else:
        paths = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(path) for path in paths if path]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError) as error:  # a ValueError: what cannot be a name
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(folder, f"cannot be listed ({reason}); check the path") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, for example; opening it shows the reason
        return False
