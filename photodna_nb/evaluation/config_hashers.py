"""The section of a configuration that names the hashers of a run, and the hashers themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from photodna_nb import checks
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.config_originals import Section, Text
from photodna_nb.evaluation.hasher_scale import MOST_BINS, HasherScale
from photodna_nb.hashing import hashers
from photodna_nb.hashing.hashers import Hasher
from photodna_nb.printable import printable

PHOTODNA_ALONE = ("photodna",)

_CLASS = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")
_MOST_HASHERS = 16


class RunHasher(NamedTuple):
    """A hasher of a run.

    Attributes
    ----------
    listed : str
        Its name in the configuration: a name of `hashers.NAMES`, or ``"module:Class"``.
    hasher : Hasher
        The hasher.
    scale : HasherScale
        Its name in results, and how its distances are counted.
    """

    listed: str
    hasher: Hasher
    scale: HasherScale


class HashConfig(Section, frozen=True, omit_defaults=True):
    """The hashers of a run.

    Attributes
    ----------
    names : tuple of str
        Names as `hashers.hasher` takes them. The results are those of the first one; others are
        compared with it.
    thresholds : dict of str to dict of str to int
        Named thresholds of the other hashers, by the name of the hasher as `names` has it; those
        of the first are in ``thresholds.named``.
    """

    names: tuple[Text, ...] = PHOTODNA_ALONE
    thresholds: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= _MOST_HASHERS:
            got = f"{len(self.names)} of them"
            raise ArgumentError(checks.message("hash.names", got, f"1 to {_MOST_HASHERS}"))
        for name in self.names:
            if not _CLASS.fullmatch(name):
                checks.choice("hash.names", name, (*hashers.NAMES, "module:Class"))
            if self.names.count(name) > 1:
                raise ArgumentError(
                    f"hash.names: {printable(name)!r} is listed twice; take one of them out"
                )
        for name in self.thresholds:
            if name == self.names[0]:
                raise ArgumentError(
                    f"hash.thresholds.{printable(name)}: is the first hasher; write its thresholds "
                    "in thresholds.named"
                )
            if name not in self.names:
                raise ArgumentError(
                    f"hash.thresholds.{printable(name)}: is not in hash.names; add it there"
                )


def make_hashers(names: tuple[str, ...]) -> tuple[RunHasher, ...]:
    """Return the hashers of a run by their names in the configuration.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        One of them cannot be made: see `hashers.hasher`; its name, length or metric cannot be
        evaluated; or two have the same name.
    """
    found: dict[str, RunHasher] = {}
    for listed in names:
        hasher = hashers.hasher(listed)
        scale = HasherScale.of(hasher)
        if scale.name in found or (scale.name in hashers.NAMES and scale.name != listed):
            raise ArgumentError(
                f"hash.names: {printable(listed)} has the name {scale.name}, which is that of "
                "another hasher; change the class attribute name"
            )
        found[scale.name] = RunHasher(listed, hasher, scale)
    return tuple(found.values())


def check_named(section: str, named: Mapping[str, Any], listed: str) -> None:
    """Raise an error unless thresholds can be those of a hasher, as far as its name tells.

    Parameters
    ----------
    section : str
        Key of the section, for errors.
    named : dict of str to object
        Thresholds by name.
    listed : str
        Name of the hasher in the configuration.
    """
    largest = MOST_BINS - 1  # what a class allows is known when it is made
    if listed in hashers.NAMES:
        largest = HasherScale.of(hashers.built_in(listed)).largest_threshold
    for name, threshold in named.items():
        if not name.strip() or "\0" in name:
            raise ArgumentError(
                f"{section}: got the name {name!r}, needs names that are not blank, without NUL "
                "characters"
            )
        checks.integer(f"{section}.{printable(name)}", threshold, 0, largest)
