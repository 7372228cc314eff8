"""Keyed digests in place of names, digests and paths of the originals of a run.

A plain digest of a name or a file can be found by hashing guesses. One with a key that lies outside
of the folder of the run cannot. The originals have such names from the start, so that no step of a
run knows others, and no file of it can hold them.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msgspec import structs
from PIL import Image

from photodna_nb import files
from photodna_nb.corpus.datasets import Dataset, FileOriginal, HashOriginal, Original
from photodna_nb.errors import ArgumentError, FileError
from photodna_nb.evaluation.config import Config, canonical
from photodna_nb.evaluation.config_originals import DigestOriginals, source_kind
from photodna_nb.evaluation.config_sections import named_digest

_KEY_BYTES = 16
_LARGEST_KEY = 2**16
_KEYED = re.compile("hmac:[0-9a-f]{32}")
# Shorter parts of a path are in many words.
_PART_LETTERS = 3


@dataclass(frozen=True)
class NameKey:
    """A key, and what has digests by it (HMAC-SHA256)."""

    key: bytes = field(repr=False)

    def _hmac(self, kind: str, text: str) -> str:
        content = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.digest(self.key, content, "sha256").hex()

    def name(self, name: str) -> str:
        """Return what stands for a name; a name that stands for another one already stays."""
        return name if _KEYED.fullmatch(name) else f"hmac:{self._hmac('name', name)[:32]}"

    def digest(self, digest: str) -> str:
        """Return what stands for a digest, 64 hexadecimal digits."""
        return self._hmac("digest", digest)

    def listed(self, text: str) -> str:
        """Return what stands for a name, or for ``sha256:`` and a digest."""
        digest = named_digest(text)
        return self.name(text) if digest is None else f"sha256:{self.digest(digest)}"

    def by_listed(self, values: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return values by what stands for the names, or for the digests, of originals."""
        return (
            None if values is None else {self.listed(text): value for text, value in values.items()}
        )

    def original(self, original: Original) -> Original:
        """Return an original under the name that stands for its own."""
        name = self.name(original.name)
        if isinstance(original, HashOriginal):
            return replace(original, name=name, group=original.group and self.name(original.group))
        return KeyedOriginal(name, original, self, source=original.source)

    def dataset(self, dataset: Dataset | None) -> Dataset | None:
        """Return the originals under the names that stand for theirs, sorted by these."""
        if dataset is None:
            return None
        originals = map(self.original, dataset)
        return Dataset({"kind": "keyed"}, tuple(sorted(originals, key=lambda one: one.name)))

    def config(self, config: Config) -> Config:
        """Return a configuration that names no original, no path and no key."""
        originals = config.hash_settings()["originals"]
        digest = self._hmac("originals", canonical(originals))
        kinds = [*map(source_kind, config.sources.values())]
        pairs = structs.replace(
            config.pairs,
            duplicates=tuple(tuple(map(self.listed, group)) for group in config.pairs.duplicates),
            leave_out=tuple(map(self.listed, config.pairs.leave_out)),
            labelled=config.pairs.labelled and self.name(config.pairs.labelled),
        )
        categories = config.categories and structs.replace(
            config.categories, file=self.name(config.categories.file)
        )
        return structs.replace(
            config,
            variants=structs.replace(
                config.variants, files=config.variants.files and self.name(config.variants.files)
            ),
            originals=DigestOriginals(kinds[0] if len(set(kinds)) == 1 else "several", digest),
            pairs=pairs,
            categories=categories,
            privacy=structs.replace(config.privacy, key_file=""),
            base=".",
        )


@dataclass(frozen=True)
class KeyedOriginal(Original):
    """An original whose name and digest are keyed ones."""

    original: Original
    key: NameKey

    def open(self) -> Image.Image:
        """Return the image."""
        return self.original.open()

    def digest(self) -> str:
        """Return the keyed digest."""
        return self.key.digest(self.original.digest())

    def error_text(self, text: str) -> str:
        """Return an error without the words of decoders, and without any part of the path."""
        text = re.sub(r" \(.*\)", "", text, flags=re.DOTALL)
        path = self.original.path if isinstance(self.original, FileOriginal) else ""
        parts = re.split(r"[/\\]", f"{self.original.name}/{path}")
        words = [*parts, *(os.path.splitext(part)[0] for part in parts)]
        lower = text.lower()
        if any(len(word) >= _PART_LETTERS and word.lower() in lower for word in words):
            return "cannot be used; its error would show a part of its name, and is left out"
        return text


def name_key(config: Config, run_dir: str) -> NameKey | None:
    """Return the key by which a run names its originals; None if names stay as they are.

    Raises
    ------
    FileError
        The file of the key cannot be read, is too short, or lies in the folder of the run.
    """
    private = config.privacy
    if private.names == "plain" or isinstance(config.originals, DigestOriginals):
        return None
    if not private.key_file:
        return NameKey(secrets.token_bytes(32))
    path = os.path.join(config.base, private.key_file)
    key = files.read(path, FileError)
    if not _KEY_BYTES <= len(key) <= _LARGEST_KEY:
        raise FileError(
            path,
            f"is no key of a run (it has {len(key)} bytes, needs {_KEY_BYTES} to {_LARGEST_KEY}); "
            'make one: python -c "import secrets; print(secrets.token_hex(32))" > FILE',
        )
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(run_dir)):
        raise FileError(
            path, "lies in the folder of the run, which is to hold no key; move it elsewhere"
        )
    return NameKey(key)


def keyed_names(config: Config) -> dict[str, str]:
    """Return the name of each original by the digest that stands for it in the results.

    Parameters
    ----------
    config : Config
        The configuration of the run, as it was given, with ``privacy.key_file``.

    Returns
    -------
    dict of str to str
        The names, by their keyed digests.

    Raises
    ------
    ArgumentError
        Names are no digests in the results of this configuration, or there is no file of a key.
    FileError
        The originals cannot be found, or the file of the key cannot be used.
    """
    if config.privacy.names == "plain" or not config.privacy.key_file:
        raise ArgumentError(
            'config: needs privacy.names = "digest" and a privacy.key_file, since a key that was '
            "never stored gives the same digests to nobody; give the run a file of a key"
        )
    key = name_key(config, os.devnull)
    return {} if key is None else {key.name(one.name): one.name for one in config.dataset()}
