"""The folder of a run: whose it is, and the hashes in it, kept as they are made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import PIL
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import features

from photodna_nb import files, npz
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import canonical
from photodna_nb.evaluation.pair_counting import VariantHashes
from photodna_nb.evaluation.variant_hashes import ORIGINAL, OriginalHashes, limit
from photodna_nb.journal import RecordLog
from photodna_nb.printable import printable
from photodna_nb.versions import installed_version

IDENTITY, JOURNAL, HASHES = "run.json", "journal.jsonl", "hashes.npz"
MANIFEST = "manifest.json"
_LOCK = ".lock"
_FORMAT = 3
_OTHER = {
    "seed": "another seed",
    "originals": "other originals",
    "variants": "other variants",
    "configuration": "another configuration",
}
_MEMBERS = (
    "paths",
    "hashes",
    "detail",
    "failures",
    "digests",
    "transforms",
    "variants",
    "available",
    "variants_detail",
    "limits",
    "hashing",
)


def versions() -> dict[str, str | None]:
    """Return the versions of everything that results depend on; None of what is missing."""
    found: dict[str, str | None] = {"Python": platform.python_version()}
    found |= {name: installed_version(name) for name in ("NumPy", "SciPy", "Numba", "FAISS")}
    return makers() | found


def makers() -> dict[str, str | None]:
    """Return the versions on which pixels and hashes depend: of this, of Pillow and its codecs."""
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
    """Return whether a folder is a RUN_DIR, and not one that happens to hold a ``run.json``."""
    try:
        whose = json.loads(files.read(os.path.join(folder, IDENTITY), FileError))
    except (FileError, ValueError, RecursionError):
        return False
    return isinstance(whose, dict) and "hashing" in whose


def is_finished(folder: str) -> bool:
    """Return whether a folder has the hashes of all originals of its run."""
    hashes, journal = (os.path.exists(os.path.join(folder, name)) for name in (HASHES, JOURNAL))
    return hashes and not journal and is_run(folder)


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Keep other runs out of a folder.

    Raises
    ------
    FileError
        One is at work in it, or it cannot be written.
    """
    lock = FileLock(os.path.join(folder, _LOCK), thread_local=False)
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


class StoredHashes(NamedTuple):
    """What an earlier run hashed.

    hashed : VariantHashes
        Originals and variants.
    digest : str
        Of the file that they are in.
    inputs : dict of str to (str or None)
        Digests of the originals, by name; None of one that could not be read.
    errors : dict of str to dict of int to str
        What was wrong, by the name of the original and the number of the edit.
    """

    hashed: VariantHashes
    digest: str
    inputs: dict[str, str | None]
    errors: dict[str, dict[int, str]]


class JournalRecord(msgspec.Struct, frozen=True):
    """The hashes of one original in the journal: see `OriginalHashes`.

    ``pixel_limit`` is the largest image that was read, on which failures depend.
    """

    name: str
    digest: str
    pixel_limit: int | None
    hashes: bytes
    detail: list[float]
    errors: dict[int, str]


class _HashFile(NamedTuple):
    """Content of the file of hashes: of the originals that failed, and of variants that did."""

    content: bytes
    hashed: VariantHashes
    failed: list[Any]
    lost: list[Any]


class RunFolder:
    """A RUN_DIR, open for one run.

    Parameters
    ----------
    folder : str
        It is made if it is missing; an empty one, or one of a run over the same hashes.
    hashing : dict
        The part of the configuration that hashes depend on.
    edits : sequence of str
        The specs of the edits.

    Attributes
    ----------
    made_with : dict
        The versions by which the hashes in the folder were made.
    written : dict of str to str
        Digests of the files that an earlier run wrote, and of its report, by its manifest.

    Raises
    ------
    FileError
        The folder belongs to another run or to nobody known, is in use, or cannot be written.
    """

    def __init__(self, folder: str, hashing: dict[str, Any], edits: Sequence[str]) -> None:
        self.folder, self._hashing, self._edits = folder, hashing, tuple(edits)
        self._known: dict[str, OriginalHashes] = {}
        self._journal = RecordLog(
            self.path(JOURNAL), "hashes of originals", 1, JournalRecord, FileError
        )
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise FileError(folder, "is not a folder; give a new one for the results of the run")
        try:
            os.makedirs(folder, exist_ok=True)
            self._check_own()
        except OSError as error:
            raise FileError(
                folder, f"cannot be used ({error.strerror}); give a folder that can be written"
            ) from error
        self._lock = ExitStack()

    def __enter__(self) -> RunFolder:
        self._lock.enter_context(locked(self.folder))
        try:
            self._identify()
            self.written, self._inputs = _written(self.path(MANIFEST))
            self._read_hashes()
            self._read_journal()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._journal.close()
        finally:
            self._lock.close()

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return os.path.join(self.folder, name)

    def has(self, name: str) -> bool:
        """Return whether a file is there, and the one that the manifest names."""
        try:
            return sha256(files.read(self.path(name), FileError)).hexdigest() == self.written[name]
        except (FileError, KeyError):
            return False

    def get(self, name: str) -> OriginalHashes | None:
        """Return what is known of the original of that name."""
        return self._known.get(name)

    def finished(self) -> StoredHashes:
        """Return what an earlier run hashed, all of it, from its file alone.

        Raises
        ------
        FileError
            The file is missing or damaged, or of other edits.
        """
        content, hashed, failed, lost = self._hash_file()
        names, digests = hashed.names, hashed.digests
        inputs = dict(zip(names, digests, strict=True)) | {
            name: digest or None for name, _, digest, *_ in failed
        }
        errors: dict[str, dict[int, str]] = {name: {ORIGINAL: why} for name, why, *_ in failed}
        for row, number, why, *_ in lost:
            errors.setdefault(names[row], {})[number] = why
        if inputs == self._inputs:  # in the order of the originals
            inputs = self._inputs
        return StoredHashes(hashed, sha256(content).hexdigest(), inputs, errors)

    def append(self, name: str, entry: OriginalHashes) -> None:
        """Keep an entry; it outlives this process from now on."""
        self._check_makers()
        if not entry.lasting:
            return
        content, detail = entry.hashes.tobytes(), entry.detail.tolist()
        self._journal.append(
            JournalRecord(name, entry.digest, limit(), content, detail, entry.errors)
        )

    def finish(self, names: Sequence[str], entries: Sequence[OriginalHashes]) -> StoredHashes:
        """Write the hashes of all originals that have one into a file, and return them.

        That is ``hashes.npz``, of which `HashTable.load` reads the originals. The journal
        is deleted.
        """
        good = [row for row, entry in enumerate(entries) if ORIGINAL not in entry.errors]
        width = 1 + len(self._edits)
        hashes = np.zeros((len(good), width, HASH_BYTES), np.uint8)
        detail = np.full((len(good), width), np.nan)
        for place, row in enumerate(good):
            hashes[place], detail[place] = entries[row].hashes, entries[row].detail
        hashed = VariantHashes(
            tuple(names[row] for row in good),
            tuple(entries[row].digest for row in good),
            self._edits,
            np.ascontiguousarray(hashes[:, 0]),
            np.ascontiguousarray(detail[:, 0]),
            hashes[:, 1:],
            ~np.isnan(detail[:, 1:]),
            np.ascontiguousarray(detail[:, 1:]),
        )
        failed = [
            [names[row], entry.errors[ORIGINAL], entry.digest, entry.lasting, limit()]
            for row, entry in enumerate(entries)
            if ORIGINAL in entry.errors
        ]
        lost = [
            [place, number, text, entries[row].lasting, limit()]
            for place, row in enumerate(good)
            for number, text in sorted(entries[row].errors.items())
        ]
        members: dict[str, NDArray[Any]] = {
            "paths": npz.pack_texts(hashed.names),
            "hashes": hashed.hashes,
            "detail": hashed.detail,
            "failures": npz.pack_texts([json.dumps([one[:2] for one in failed])]),
            "digests": npz.pack_texts(hashed.digests),
            "transforms": npz.pack_texts(self._edits),
            "variants": hashed.variants,
            "available": hashed.available,
            "variants_detail": hashed.variants_detail,
            "limits": npz.pack_texts([json.dumps([failed, lost])]),
            "hashing": npz.pack_texts([canonical(self._hashing)]),
        }
        content = npz.pack(members)
        digest = sha256(content).hexdigest()
        path = self.path(HASHES)
        if not os.path.exists(path) or digest != sha256(files.read(path, FileError)).hexdigest():
            files.write([(path, [content])], FileError)
        self._journal.delete()
        inputs = {name: entry.digest or None for name, entry in zip(names, entries, strict=True)}
        errors = {name: entry.errors for name, entry in zip(names, entries, strict=True)}
        return StoredHashes(hashed, digest, inputs, errors)

    def _read_hashes(self) -> None:
        if not os.path.exists(self.path(HASHES)):
            return
        _, known, failed, lost = self._hash_file()
        hashes = np.concatenate([known.hashes[:, None], known.variants], axis=1)
        detail = np.concatenate([known.detail[:, None], known.variants_detail], axis=1)
        again: set[int] = set()
        errors: dict[int, dict[int, str]] = {}
        for row, number, reason, lasting, its_limit in lost:
            errors.setdefault(row, {})[number] = reason
            if not lasting or its_limit != limit():
                again.add(row)
        for row, (name, digest) in enumerate(zip(known.names, known.digests, strict=True)):
            if row not in again:
                entry = OriginalHashes(digest, hashes[row], detail[row], errors.get(row, {}))
                self._known[name] = entry
        nothing = np.zeros(hashes.shape[1:], np.uint8), np.full(hashes.shape[1], np.nan)
        for name, reason, digest, lasting, its_limit in failed:
            if lasting and its_limit == limit():
                self._known[name] = OriginalHashes(digest, *nothing, {ORIGINAL: reason})

    def _hash_file(self) -> _HashFile:
        """Return what is in the file of hashes, once it is known to be this run's."""
        path = self.path(HASHES)
        content = files.read(path, FileError)
        found = npz.unpack(path, content, _MEMBERS)
        names, digests, hashing, edits = (
            npz.unpack_texts(found[name]) for name in ("paths", "digests", "hashing", "transforms")
        )
        self._check_whose(path, hashing, edits)
        arrays = ("hashes", "detail", "variants", "available", "variants_detail")
        hashed = VariantHashes(names, digests, edits, *(found[name] for name in arrays))
        (text,) = npz.unpack_texts(found["limits"])
        return _HashFile(content, hashed, *json.loads(text))

    def _check_whose(self, path: str, hashing: tuple[str, ...], edits: tuple[str, ...]) -> None:
        """Refuse hashes that were copied from the folder of another run."""
        if hashing == (canonical(self._hashing),) and edits == self._edits:
            return
        try:
            (text,) = hashing
            differing = self._differing(json.loads(text)) or ["variants"]
        except (ValueError, AttributeError):
            differing = ["configuration"]
        raise FileError(
            path,
            f"is of a run with {_others(differing)}; delete it to hash anew, or put this run's own "
            "file back",
        )

    def _read_journal(self) -> None:
        shape = 1 + len(self._edits)
        for record in self._journal.records():
            if record.errors and record.pixel_limit != limit():
                continue  # with another limit it may succeed
            if len(record.hashes) == shape * HASH_BYTES and len(record.detail) == shape:
                hashes = np.frombuffer(record.hashes, np.uint8).reshape(shape, HASH_BYTES)
                detail = np.array(record.detail, np.float64)
                entry = OriginalHashes(record.digest, hashes, detail, record.errors)
                self._known[record.name] = entry

    def _check_own(self) -> None:
        """Refuse a folder with files of somebody else."""
        there = sorted(name for name in os.listdir(self.folder) if not name.startswith("."))
        if there and IDENTITY not in there:
            raise FileError(
                self.folder,
                f"holds files ({printable(', '.join(there[:3]))}) and no {IDENTITY}, so it is no "
                "folder of an evaluation; give a new or an empty one",
            )

    def _identify(self) -> None:
        """Read whose folder this is, or make it this run's."""
        path = self.path(IDENTITY)
        if not os.path.exists(path):
            self.made_with = makers()
            whose = {"format": _FORMAT, "hashing": self._hashing, "made_with": self.made_with}
            content = json.dumps(whose, indent=1, sort_keys=True) + "\n"
            files.write([(path, [content.encode("ascii")])], FileError)
            return
        try:
            whose = json.loads(files.read(path, FileError))
            known, self.made_with = whose["format"], dict(whose["made_with"])
            hashing = dict(whose["hashing"])
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                path, "is damaged; restore it, or give another folder for the run"
            ) from error
        if known != _FORMAT:
            raise FileError(
                path,
                f"has the format {known}, and this version reads {_FORMAT}; give an empty folder",
            )
        if canonical(hashing) != canonical(self._hashing):
            raise FileError(
                self.folder,
                f"belongs to a run with {_others(self._differing(hashing))}; give an empty folder, "
                "or the configuration that it was made with",
            )

    def _differing(self, hashing: dict[str, Any]) -> list[str]:
        """Return which parts of the configuration another run had otherwise."""
        return [key for key in self._hashing if hashing.get(key) != self._hashing.get(key)]

    def _check_makers(self) -> None:
        """Raise a FileError unless more hashes would be made as those in the folder were."""
        now = makers()
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


def _others(parts: Iterable[str]) -> str:
    """Return that parts of a configuration are other ones."""
    return " and ".join(_OTHER[name] for name in parts)


def _written(path: str) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return the digests in a manifest, of files and of originals.

    None if it is missing or damaged: all is written anew.
    """
    try:
        manifest = json.loads(files.read(path, FileError))
        return {**manifest["results"], **manifest.get("report", {})}, dict(manifest["inputs"])
    except (FileError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
