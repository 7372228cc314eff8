"""The folder of a run: which run it belongs to, its lock, and the files of its manifest."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import PIL
from filelock import FileLock, Timeout
from PIL import features

from photodna_nb import files
from photodna_nb.errors import FileError
from photodna_nb.evaluation import run_files
from photodna_nb.evaluation.config import canonical
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.run_files import (
    COPIES,
    COPIES_JOURNAL,
    COUNTS,
    HASHES,
    IDENTITY,
    JOURNAL,
    LOCK,
    SCHEMA,
    Identity,
    check_writable,
    file_digest,
    read_manifest,
)
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

_DIFFERENCES = {
    "seed": "another seed",
    "originals": "other originals",
    "variants": "other variants",
    "hashers": "other hashers",
}


class _AnyIdentity(msgspec.Struct):
    """What a ``run.json`` of any version has."""

    hashing: msgspec.Raw


def result_versions() -> dict[str, str | None]:
    """Return the versions of everything that results depend on; None of what is missing."""
    packages = ("NumPy", "SciPy", "Numba", "FAISS")
    versions: dict[str, str | None] = {"Python": platform.python_version()}
    return hash_versions() | versions | {name: installed_version(name) for name in packages}


def hash_versions() -> dict[str, str | None]:
    """Return the versions that hashes depend on: of this package, of Pillow and its codecs."""
    turbo = features.version_feature("libjpeg_turbo")
    return {
        "photodna_nb": installed_version("photodna_nb"),
        "Pillow": PIL.__version__,
        "libjpeg": f"{features.version_codec('jpg')}{f' (turbo {turbo})' if turbo else ''}",
        "libwebp": features.version_module("webp"),
        "zlib": features.version_codec("zlib"),
        "libtiff": features.version_codec("libtiff"),
        "openjpeg": features.version_codec("jpg_2000"),
    }


def is_run(folder: str) -> bool:
    """Return whether a folder belongs to a run, and does not just hold some ``run.json``."""
    try:
        msgspec.json.decode(run_files.read(folder, IDENTITY), type=_AnyIdentity)
    except (FileError, msgspec.MsgspecError, ValueError):
        return False
    return True


def is_finished(folder: str) -> bool:
    """Return whether a folder has the hashes of all originals of its run, or their counts alone."""
    hashes, counts, journal = (
        os.path.exists(os.path.join(folder, name)) for name in (HASHES, COUNTS, JOURNAL)
    )
    return (hashes or counts) and not journal and is_run(folder)


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Keep other runs out of a folder.

    Raises
    ------
    FileError
        Another run is at work in it, it cannot be written, or a link is where a file belongs.
    """
    check_writable(folder)
    lock = FileLock(os.path.join(folder, LOCK), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileError(folder, "another run is at work in it; wait until it has ended") from error
    except OSError as error:
        raise FileError(
            folder, f"cannot be written ({error.strerror}); give a folder that can be written"
        ) from error
    try:
        yield
    finally:
        lock.release()


def differences(hash_settings: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return in words which parts of the configuration another run has otherwise."""
    return " and ".join(
        words for name, words in _DIFFERENCES.items() if other.get(name) != hash_settings.get(name)
    )


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, locked for it by `open_run`.

    Attributes
    ----------
    folder : str
        Its path.
    hash_settings : dict
        The part of the configuration that hashes depend on.
    made_with : dict
        The versions by which the hashes in the folder were made.
    digests : dict of str to str
        Digests of the result and report files of an earlier run, by its manifest.
    inputs : dict of str to (str or None)
        Digests of the originals of an earlier run, by its manifest.
    files : dict of str to str
        Digests of the other files that its configuration names, by their keys.
    not_kept : dict of str to str
        Digests of files that an earlier run did not keep, by its manifest.
    versions : dict of str to (str or None)
        The versions by which more hashes would be made.
    hashes, journal : str
        Names of the files with hashes, and with those of a run that goes on.
    """

    folder: str
    hash_settings: dict[str, Any]
    made_with: dict[str, str | None]
    digests: dict[str, str]
    inputs: dict[str, str | None]
    files: dict[str, str]
    not_kept: dict[str, str]
    versions: dict[str, str | None]
    hashes: str = HASHES
    journal: str = JOURNAL

    def of_copies(self) -> RunFolder:
        """Return the folder with other files for hashes: those of altered copies from files.

        A copy is hashed as an original is, without transforms.
        """
        settings = self.hash_settings | {"variants": {"transforms": []}}
        return replace(
            self, hash_settings=settings, inputs={}, hashes=COPIES, journal=COPIES_JOURNAL
        )

    @property
    def hashers(self) -> tuple[HasherScale, ...]:
        """The hashers whose hashes it holds."""
        listed = self.hash_settings.get("hashers")
        if listed is None:
            return (PHOTODNA,)
        names = HasherScale._fields
        return tuple(HasherScale(*(one[name] for name in names)) for one in listed)

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return os.path.join(self.folder, name)

    def digest(self, name: str) -> str:
        """Return the digest of a file in the folder."""
        return file_digest(self.folder, name)

    def has(self, name: str) -> bool:
        """Return whether a file is there, and the one that the manifest names."""
        try:
            return self.digest(name) == self.digests[name]
        except (FileError, KeyError):
            return False

    def check_versions(self) -> None:
        """Raise a FileError unless more hashes would be made as those in the folder were."""
        now = self.versions
        if now != self.made_with:
            changed = ", ".join(
                f"{name} {self.made_with.get(name)}, now {now.get(name)}"
                for name in sorted({*now, *self.made_with})
                if now.get(name) != self.made_with.get(name)
            )
            raise FileError(
                self.folder,
                f"its hashes were made with other versions ({changed}), which may give other "
                "hashes, and there are originals to be hashed; go on with the same versions, "
                "or give an empty folder",
            )


@contextmanager
def open_run(
    folder: str, hash_settings: dict[str, Any], hasher_versions: Mapping[str, str] | None = None
) -> Iterator[RunFolder]:
    """Open the folder of a run for one run, and keep other runs out of it.

    Parameters
    ----------
    folder : str
        It is created if it is missing. Otherwise it is empty, or belongs to a run over the
        same hashes.
    hash_settings : dict
        The part of the configuration that hashes depend on.
    hasher_versions : dict of str to str, optional
        Versions of other hashers than "photodna", by their names.

    Raises
    ------
    FileError
        The folder belongs to another run or to another program, is in use, or cannot be
        written.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise FileError(folder, "is not a folder; give a new one for the results of the run")
    try:
        os.makedirs(folder, exist_ok=True)
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise FileError(
            folder, f"cannot be used ({error.strerror}); give a folder that can be written"
        ) from error
    if names and IDENTITY not in names:
        raise FileError(
            folder,
            f"holds files ({printable(', '.join(names[:3]))}) and no {IDENTITY}, so it is no "
            "folder of an evaluation; give a new or an empty one",
        )
    with locked(folder):
        versions = {**hash_versions(), **(hasher_versions or {})}
        made_with = _identify(folder, hash_settings, versions)
        try:
            manifest = read_manifest(folder)
            digests = {**manifest["results"], **manifest.get("report", {})}
            inputs, named = dict(manifest["inputs"]), dict(manifest.get("files", {}))
            not_kept = manifest.get("not_kept", {})
        except FileError:  # missing or damaged: all is written anew
            digests, inputs, named, not_kept = {}, {}, {}, {}
        yield RunFolder(
            folder, hash_settings, made_with, digests, inputs, named, not_kept, versions
        )


def _identify(
    folder: str, hash_settings: dict[str, Any], versions: dict[str, str | None]
) -> dict[str, str | None]:
    """Return the versions of the hashes in a folder, once it is known to be this run's."""
    path = os.path.join(folder, IDENTITY)
    if not os.path.exists(path):
        identity = {"schema": SCHEMA, "hashing": hash_settings, "made_with": versions}
        content = json.dumps(identity, indent=1, sort_keys=True) + "\n"
        files.write([(path, [content.encode("ascii")])], FileError)
        return versions
    saved = run_files.parsed(
        path,
        run_files.read(folder, IDENTITY),
        Identity,
        "restore it, or give another folder for the run",
    )
    made_with: dict[str, str | None] = saved["made_with"]
    other: dict[str, Any] = saved["hashing"]
    if canonical(other) != canonical(hash_settings):
        raise FileError(
            folder,
            f"belongs to a run with {differences(hash_settings, other)}; give an empty folder, or "
            f"the configuration that it was made with{_with_its_key(other)}",
        )
    return made_with


def _with_its_key(hash_settings: Mapping[str, Any]) -> str:
    """Return what else to give for a run whose originals have keyed digests."""
    if hash_settings["originals"]["kind"] != "digest":
        return ""
    return (
        ", with its privacy.key_file: its originals have digests by a key, and a key that was not "
        "in a file is gone (the configuration in its manifest evaluates the hashes again)"
    )
