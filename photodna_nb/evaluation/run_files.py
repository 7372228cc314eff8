"""Files in the folder of a run, which may come from a stranger: names, sizes and schemas.

A file is read only if it is a regular one, of a name that a run gives, in the folder itself and
through no link, and no larger than the number of originals allows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from photodna_nb import files
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.config_originals import Originals
from photodna_nb.evaluation.config_sections import VariantsConfig
from photodna_nb.evaluation.hasher_scale import NAME_PATTERN, PHOTODNA, HasherScale
from photodna_nb.printable import printable

MANIFEST, IDENTITY, JOURNAL, LOCK = "manifest.json", "run.json", "journal.jsonl", ".lock"
COUNTS, HASHES, RESULTS = "counts.npz", "hashes.npz", "results.json"
# The same of altered copies from files.
COPIES, COPIES_JOURNAL = "copies.npz", "copies.jsonl"
# Written by `photodna_nb.report`; listed in the manifest.
REPORT = "report.html"
FOLDERS = TABLES, THUMBNAILS, FIGURES = "tables", "thumbnails", "figures"
# The folder that has a folder of files for each hasher but the first.
HASHERS = "hashers"
# Version of all files in the folder of a run.
SCHEMA = 4
# Version of the oldest ``run.json`` whose hashes a run goes on with.
_OLDEST_IDENTITY = 3
THUMBNAIL_PATTERN = r"thumbnails/[0-9a-f]{16}\.jpg"

# The manifest has a line of about 120 bytes for each original. The other files together have a
# size that does not depend on the originals, and for each hash its 144 bytes, its distances, or
# the reason why it is missing, in several files.
_LARGEST_MANIFEST = 2**28
_LARGEST_BASE, _LARGEST_PER_HASH, _LARGEST_PER_BIN = 2**27, 4096, 64
_CHUNK = 2**20
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_Content = TypeVar("_Content", bound=Struct)
_Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_FileName = Annotated[
    str,
    Meta(
        pattern=rf"\A({COUNTS}|{HASHES}|{COPIES}|{RESULTS}|{IDENTITY}|{REPORT}|{TABLES}/[a-z_]+\.csv"
        rf"|{HASHERS}/{NAME_PATTERN}/({COUNTS}|{RESULTS}|{TABLES}/[a-z_]+\.csv)"
        rf"|{THUMBNAIL_PATTERN}|{FIGURES}/[a-z_]+\.png)\Z"
    ),
]
_Versions = dict[str, str | None]


class _AnyVersion(Struct):
    schema: int | None = None
    format: int | None = None


class _ManifestVersions(Struct, forbid_unknown_fields=True):
    hashes: _Versions
    results: _Versions


class _ThisRun(Struct, forbid_unknown_fields=True):
    started: str
    seconds: float
    host: str
    system: str
    processors: int
    threads: int
    originals_hashed: int
    originals_available: bool
    base: str
    executor: str | None = None
    processor_seconds: dict[str, float] | None = None


class Manifest(Struct, forbid_unknown_fields=True):
    """Schema of ``manifest.json``."""

    schema: int
    configuration: Config
    versions: _ManifestVersions
    inputs: dict[str, _Digest | None]
    results: dict[_FileName, _Digest]
    this_run: _ThisRun
    report: dict[_FileName, _Digest] = {}
    files: dict[str, _Digest] = {}
    not_kept: dict[_FileName, _Digest] = {}
    copies: dict[str, _Digest | None] = {}
    digest: _Digest | None = None


class IdentityHasher(Struct, forbid_unknown_fields=True):
    """A hasher of a run, as `Config.hash_settings` describes it."""

    listed: str
    name: str
    length: int
    metric: str
    quality: str
    low_quality: float


class _HashSettings(Struct, forbid_unknown_fields=True):
    seed: int
    originals: Originals
    variants: VariantsConfig
    hashers: Annotated[tuple[IdentityHasher, ...], Meta(min_length=1)] | None = None


class Identity(Struct, forbid_unknown_fields=True):
    """Schema of ``run.json``: what the hashes depend on, and the versions that made them."""

    schema: int
    hashing: _HashSettings
    made_with: _Versions


def hasher_file(hasher: str, name: str) -> str:
    """Return the name of a file of a hasher that is not the first of a run."""
    return f"{HASHERS}/{hasher}/{name}"


def path_of(folder: str, name: str) -> str:
    """Return the path of a file of a run, if neither it nor its folder is a link.

    Raises
    ------
    FileError
        One of them is a link.
    """
    path = os.path.join(folder, *name.split("/"))
    if os.path.realpath(path) != os.path.join(os.path.realpath(folder), *name.split("/")):
        raise FileError(
            path,
            "is a link or lies in a linked folder, and a run uses only files of its own folder; "
            "put the file itself there",
        )
    return path


def size(folder: str, name: str) -> int:
    """Return the size of a file of a run.

    Raises
    ------
    FileError
        The file is missing, is a link, or is no regular file.
    """
    path = path_of(folder, name)
    with files.read_errors(path, FileError):
        return files.regular_status(path, FileError).st_size


def read(folder: str, name: str, digest: str | None = None, largest: int = _LARGEST_BASE) -> bytes:
    """Return the content of a file of a run.

    Raises
    ------
    FileError
        The file is missing, is a link, is no regular file, is too large, or has another digest.
    """
    check_size(folder, [name], largest)
    content = files.read(path_of(folder, name), FileError)
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise _of_another_run(folder, name)
    return content


def file_digest(folder: str, name: str) -> str:
    """Return the SHA-256 of a file of a run, of which a part is in memory.

    Raises
    ------
    FileError
        The file is missing, is a link, or is no regular file.
    """
    path = path_of(folder, name)
    with files.read_errors(path, FileError), files.open_regular(path, FileError) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(folder: str, name: str, digest: str) -> None:
    """Raise a FileError unless a file of a run has this SHA-256."""
    if file_digest(folder, name) != digest:
        raise _of_another_run(folder, name)


def check_size(folder: str, names: Iterable[str], largest: int) -> None:
    """Raise a FileError if files of a run, together, have more than so many bytes."""
    total = 0
    for name in names:
        total += size(folder, name)
        if total > largest:
            raise FileError(
                path_of(folder, name),
                f"is too large for a run over so many originals ({total:,} bytes, at most "
                f"{largest:,}); run the evaluation again",
            )


def largest_total(
    n_originals: int, n_transforms: int, hashers: Iterable[HasherScale] = (PHOTODNA,)
) -> int:
    """Return the largest size of all files of a run, except for its manifest, in bytes."""
    return sum(
        _LARGEST_BASE
        + (_LARGEST_PER_HASH + one.length) * n_originals * (1 + n_transforms)
        + _LARGEST_PER_BIN * one.n_bins * (1 + n_transforms)
        for one in hashers
    )


def read_manifest(folder: str) -> dict[str, Any]:
    """Return the manifest of a run, of this version.

    Raises
    ------
    FileError
        The file is missing, damaged, or of another version.
    """
    content = read(folder, MANIFEST, largest=_LARGEST_MANIFEST)
    manifest = parsed(path_of(folder, MANIFEST), content, Manifest)
    digest = manifest.pop("digest", None)  # earlier versions wrote none
    if digest not in (None, manifest_digest(manifest)):
        raise damaged(path_of(folder, MANIFEST), "its own digest does not hold")
    return manifest


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest that a manifest holds of its other values."""
    return hashlib.sha256(canonical(manifest).encode("ascii")).hexdigest()


def parsed(
    path: str, content: bytes, schema: type[Struct], remedy: str = "run the evaluation again"
) -> dict[str, Any]:
    """Return the content of a JSON file of a run, after all of it is checked against a schema.

    Raises
    ------
    FileError
        The content is damaged, has another schema, or that of another version.
    """
    # Names that are not UTF-8 have lone surrogates, which msgspec refuses. It checks a text with
    # other characters in their place; unlike the module json it keeps nothing that is not in the
    # schema, so that a file takes little more memory than its size.
    harmless = _SURROGATE.sub(rb"\\u0a", content)
    try:
        version = msgspec.json.decode(harmless, type=_AnyVersion)
        found = version.format if version.schema is None else version.schema
        oldest = _OLDEST_IDENTITY if schema is Identity else SCHEMA
        if found is not None and not oldest <= found <= SCHEMA:
            raise FileError(
                path,
                f"has the schema {found}, and this version reads {SCHEMA}; run the evaluation "
                "again in an empty folder",
            )
        msgspec.json.decode(harmless, type=schema)
        values: dict[str, Any] = json.loads(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(path, printable(str(error)), remedy) from error
    return values


def damaged(path: str, reason: str, remedy: str = "run the evaluation again") -> FileError:
    """Return the error of a file that is not as a run writes it."""
    return FileError(path, f"is damaged or of another program ({reason}); {remedy}")


def check_writable(folder: str) -> None:
    """Raise a FileError if a link or a special file is where a run would write a file."""
    for name in (
        MANIFEST,
        IDENTITY,
        JOURNAL,
        COPIES_JOURNAL,
        LOCK,
        COUNTS,
        HASHES,
        COPIES,
        RESULTS,
        REPORT,
    ):
        if os.path.lexists(os.path.join(folder, name)):
            size(folder, name)
    for name in FOLDERS:
        _check_folder(folder, name)
    _check_folder(folder, HASHERS, depth=2)


def _check_folder(folder: str, name: str, depth: int = 0) -> None:
    """Raise a FileError unless a folder of a run, if it is there, holds files, to that depth."""
    path = path_of(folder, name)
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise FileError(path, "is no folder; move it elsewhere")
    with os.scandir(path) as entries:
        for entry in entries:
            if depth and entry.is_dir(follow_symlinks=False):
                _check_folder(folder, f"{name}/{entry.name}", depth - 1)
            elif not entry.is_file(follow_symlinks=False):
                raise FileError(entry.path, "is no regular file; move it elsewhere")


def write(folder: str, content: Mapping[str, bytes | memoryview]) -> None:
    """Write files of a run by their names, in one step.

    Raises
    ------
    FileError
        A folder or a file cannot be written.
    """
    paths = {os.path.join(folder, *name.split("/")): data for name, data in content.items()}
    for path in paths:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise FileError(
                os.path.dirname(path), f"cannot be made ({error.strerror}); check the folder"
            ) from error
        files.remove_leftovers(path)
    files.write([(path, [data]) for path, data in paths.items()], FileError)


def remove(folder: str, digests: Mapping[str, str]) -> None:
    """Delete files that a run wrote: those that still have the digests of its manifest."""
    for name, digest in digests.items():
        try:
            check_digest(folder, name, digest)
            os.unlink(path_of(folder, name))
        except (FileError, OSError):  # it is gone, or somebody else's
            pass


def _of_another_run(folder: str, name: str) -> FileError:
    return FileError(
        path_of(folder, name),
        f"is not the file that {MANIFEST} names; load the results or run the evaluation again",
    )
