"""The configuration of an evaluation: its sections, their defaults and their ranges.

Another choice of originals, of transforms or of the seed is another run. Other pairs or
detail bins need a new count of the pairs, from the hashes of the run. Everything else is
computed from the counts.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from photodna_nb import checks, files
from photodna_nb.checks import LOW_DETAIL
from photodna_nb.corpus import datasets, transforms
from photodna_nb.corpus.datasets import Dataset, FileOriginal
from photodna_nb.corpus.transforms import AnyTransform
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation.config_errors import explained
from photodna_nb.files import PathLike
from photodna_nb.pairs.metrics import SIMILARITY_SCALE
from photodna_nb.printable import printable

# Far beyond any list, and far below where float64 overflows.
_MOST_PER_DAY = 10**15
_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}")

_Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Text = Annotated[str, Meta(min_length=1, pattern=r"\A[^\0]*\Z")]
_Side = Annotated[int, Meta(ge=2, le=32767)]
_Amount = Annotated[int, Meta(ge=1, le=_MOST_PER_DAY)]
_Detail = Annotated[float, Meta(ge=0, le=sys.float_info.max)]


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A section of the configuration; other keys than its fields are refused."""


class DeadLeavesOriginals(_Section, frozen=True, tag_field="kind", tag="dead_leaves"):
    """Generated images: see `datasets.dead_leaves`."""

    number: Annotated[int, Meta(ge=2, le=10**8)]
    size: tuple[_Side, _Side] = (256, 192)
    seed: _Seed = 0

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.dead_leaves(self.number, self.size, self.seed)


class DirectoryOriginals(_Section, frozen=True, tag_field="kind", tag="directory"):
    """The files in a folder: see `datasets.from_directory`."""

    path: _Text
    recursive: bool = True

    def dataset(self, base: str) -> Dataset:
        """Return the originals; a relative path starts from the folder `base`."""
        return datasets.from_directory(os.path.join(base, self.path), self.recursive)


class ListOriginals(_Section, frozen=True, tag_field="kind", tag="list", omit_defaults=True):
    """The files that a text file lists, or a list of paths: see `datasets.from_list`."""

    path: _Text | None = None
    paths: tuple[_Text, ...] = ()

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.paths):
            raise ArgumentError(
                "originals: a list needs either path, of a text file that lists paths, or paths"
            )

    def dataset(self, base: str) -> Dataset:
        """Return the originals, named as they are listed.

        Relative paths, of the text file and those that it lists, start from the folder `base`.
        """
        listing = list(self.paths) if self.path is None else os.path.join(base, self.path)
        listed = datasets.from_list(listing)
        return Dataset(
            listed.description,
            tuple(
                FileOriginal(original.name, os.path.abspath(os.path.join(base, original.name)))
                for original in listed
            ),
        )


class InstalledOriginals(_Section, frozen=True, tag_field="kind", tag="installed"):
    """The photographs of installed packages: see `datasets.installed`."""

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.installed()


Originals: TypeAlias = DeadLeavesOriginals | DirectoryOriginals | ListOriginals | InstalledOriginals


class VariantsConfig(_Section, frozen=True):
    """The transforms that every original goes through.

    Attributes
    ----------
    transforms : str or tuple of str
        The name of a frozen list, such as ``"standard-1"``, or transforms as
        `transforms.parse` reads them. ``"standard"`` becomes the name of the newest list.
    """

    transforms: str | tuple[str, ...] = "standard"

    def __post_init__(self) -> None:
        name = "variants.transforms"
        if isinstance(self.transforms, str):
            lists = ("standard", *transforms.STANDARD_LISTS)
            if self.transforms not in lists:
                needed = f'a list such as ["jpeg:30", "mirror"], or {", ".join(lists)}'
                raise ArgumentError(checks.message(name, repr(self.transforms), needed))
            force_setattr(self, "transforms", transforms.standard_version(self.transforms))
            return
        if not self.transforms:
            raise ArgumentError(f"{name}: got an empty list, needs at least one transform")
        specs: list[str] = []
        for text in self.transforms:
            try:
                spec = transforms.parse(text).spec
            except ArgumentError as error:
                raise ArgumentError(f"{name}: {text!r}: {error}") from error
            if spec in specs:
                raise ArgumentError(f"{name}: {text!r} is listed twice; take one of them out")
            specs.append(spec)
        force_setattr(self, "transforms", tuple(specs))

    @property
    def parsed(self) -> tuple[AnyTransform, ...]:
        """The transforms, of a list by name too."""
        if isinstance(self.transforms, str):
            return transforms.standard(self.transforms)
        return tuple(map(transforms.parse, self.transforms))


class PairsConfig(_Section, frozen=True):
    """Which pairs are counted.

    Attributes
    ----------
    variants_against_others : bool
        Whether every variant is compared with every other original, in addition to the
        originals with each other.
    duplicates : tuple of tuple of str
        Groups of names of originals that show the same. Pairs within a group are not counted.
        ``sha256:`` and a digest stands for every original that has it, also for one whose name
        is no UTF-8 text and cannot be written into a TOML file.
    count_identical : bool
        Whether pairs of originals with the same bytes, and of their variants, are counted as
        impostor pairs.
    exclude_below_detail : float
        Grey levels. Originals with less detail match each other whatever they show; no impostor
        pair of them or of their variants is counted. 0 excludes none.
    """

    variants_against_others: bool = True
    duplicates: tuple[tuple[_Text, ...], ...] = ()
    count_identical: bool = False
    exclude_below_detail: _Detail = 0.0

    def __post_init__(self) -> None:
        groups = tuple(
            tuple(f"sha256:{digest}" if (digest := named_digest(text)) else text for text in group)
            for group in self.duplicates
        )
        for group in groups:
            if len(set(group)) < 2 or len(set(group)) < len(group):
                raise ArgumentError(
                    f"pairs.duplicates: got {list(group)}, needs two or more different names"
                )
        force_setattr(self, "duplicates", groups)


class ThresholdsConfig(_Section, frozen=True):
    """The thresholds and rates that the report describes.

    Attributes
    ----------
    named : dict of str to int
        L2 distances, inclusive, by name; integers, since these are counted.
    targets : tuple of float
        False match rates, decreasing. A threshold is chosen for each.
    """

    named: dict[str, Any] = msgspec.field(default_factory=lambda: {"production": 200})
    targets: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = (
        1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, threshold in self.named.items():
            if not name.strip() or "\0" in name:
                raise ArgumentError(
                    f"thresholds.named: got the name {name!r}, needs names that are not blank, "
                    "without NUL characters"
                )
            checks.integer(f"thresholds.named.{printable(name)}", threshold, 0, SIMILARITY_SCALE)
        force_setattr(self, "targets", tuple(sorted(set(self.targets), reverse=True)))


class DetailConfig(_Section, frozen=True):
    """How the originals are divided by detail, in grey levels. Photographs have 600 to 6000.

    Attributes
    ----------
    warn_below : float
        The report warns of originals with less detail: their matches are no evidence.
    bins : tuple of float
        Inner edges of the detail bins, increasing.
    """

    warn_below: _Detail = LOW_DETAIL
    bins: tuple[Annotated[float, Meta(gt=0, le=sys.float_info.max)], ...] = (
        100.0, 600.0, 1200.0, 2400.0, 6000.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if list(self.bins) != sorted(set(self.bins)):
            raise ArgumentError(f"detail.bins: got {list(self.bins)}, needs increasing numbers")


class DeploymentConfig(_Section, frozen=True):
    """The service for which the expected false matches are computed.

    Attributes
    ----------
    list_size : int
        Number of hashes in the list.
    queries_per_day : int
        Number of images that are searched in the list per day.
    max_false_matches_per_day : float
        Acceptable number of false matches per day.
    orientations : bool
        Whether every query is searched in all eight orientations.
    """

    list_size: _Amount = 10_000
    queries_per_day: _Amount = 1_000
    max_false_matches_per_day: Annotated[float, Meta(gt=0, le=sys.float_info.max)] = 1.0
    orientations: bool = False

    @property
    def n_orientations(self) -> int:
        """Number of orientations in which every query is searched: 8 or 1."""
        return 8 if self.orientations else 1


class Config(_Section, frozen=True, eq=False):
    """A checked configuration of an evaluation, made by `load` or `from_dict`.

    Attributes
    ----------
    originals : DeadLeavesOriginals, DirectoryOriginals, ListOriginals or InstalledOriginals
        The images that are transformed.
    variants : VariantsConfig
        The transforms.
    seed : int
        Seed of the transforms, and of the split of the originals into halves.
    confidence : float
        Confidence level of the intervals, 0.5 to 0.9999.
    pairs, thresholds, detail, deployment
        The other sections.
    base : str
        The folder from which relative paths start; it is no part of the configuration's text.
    """

    originals: Originals
    variants: VariantsConfig = VariantsConfig()
    seed: _Seed = 0
    confidence: Annotated[float, Meta(ge=0.5, le=0.9999)] = 0.95
    pairs: PairsConfig = PairsConfig()
    thresholds: ThresholdsConfig = msgspec.field(default_factory=ThresholdsConfig)
    detail: DetailConfig = DetailConfig()
    deployment: DeploymentConfig = DeploymentConfig()
    base: str = msgspec.field(default=".", name="_base")

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same values; `base` does not count."""
        return isinstance(other, Config) and self.to_dict() == other.to_dict()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(canonical(self.to_dict()))

    @classmethod
    def load(cls, path: PathLike) -> Config:
        """Return the configuration in a TOML file.

        Parameters
        ----------
        path : str or os.PathLike
            Relative paths in the file start from its folder.

        Raises
        ------
        FileError
            The file is missing or no TOML, or a key in it is unknown, missing, or has a
            value that cannot be used. The message names the key and what it needs.
        """
        name = checks.path("path", path)
        content = files.read(name, FileError)
        try:
            values = tomllib.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # also of numbers of 5000 digits
            raise FileError(name, f"is no TOML file ({error}); correct that place") from error
        try:
            return cls.from_dict(values, base=os.path.dirname(os.path.abspath(name)))
        except (ArgumentError, ArgumentTypeError) as error:
            raise FileError(name, str(error)) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, base: PathLike = ".") -> Config:
        """Return the configuration that a dictionary describes, as a TOML file does.

        Parameters
        ----------
        values : dict
            Sections and values, such as `to_dict` returns.
        base : str or os.PathLike
            The folder from which relative paths start.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            A key is unknown (the message names the most similar one) or missing, or has a
            value of another type or range.

        Examples
        --------
        >>> config = Config.from_dict({"originals": {"kind": "dead_leaves", "number": 50}})
        >>> config.originals.size, config.thresholds.named
        ((256, 192), {'production': 200})
        """
        if not isinstance(values, Mapping):
            raise ArgumentTypeError(f"values: got {checks.describe(values)}, needs a dictionary")
        values = {**values, "_base": os.path.abspath(base)}
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise explained(error, values, cls) from error

    def dataset(self) -> Dataset:
        """Return the originals.

        Raises
        ------
        FileError, ArgumentError
            They cannot be found, or one is listed twice: see `datasets`.
        """
        return self.originals.dataset(self.base)

    @property
    def transforms(self) -> tuple[AnyTransform, ...]:
        """The transforms that every original goes through."""
        return self.variants.parsed

    def hash_settings(self) -> dict[str, Any]:
        """Return the values on which the hashes depend. Others belong to another run."""
        return {
            "seed": self.seed,
            "originals": _builtins(self.originals),
            "variants": {"transforms": [transform.spec for transform in self.transforms]},
        }

    def pair_settings(self) -> dict[str, Any]:
        """Return the values that counts depend on, besides those of `hash_settings`."""
        return {"pairs": _builtins(self.pairs), "detail_bins": list(self.detail.bins)}

    def to_dict(self) -> dict[str, Any]:
        """Return all values, with the defaults, as JSON takes them and `from_dict` reads them."""
        values: dict[str, Any] = _builtins(self)
        del values["_base"]
        first = {name: values.pop(name) for name in ("seed", "confidence")}
        return first | values

    def to_toml(self) -> str:
        """Return all values, with the defaults, as a TOML file that `load` reads.

        Raises
        ------
        ArgumentError
            A name is no UTF-8 text, which `to_dict` and JSON can hold, or a value is one that
            `load` refuses.
        """
        sections = self.to_dict()
        lines = [f"{name} = {toml_value(sections.pop(name))}" for name in ("seed", "confidence")]
        for name, values in sections.items():
            pairs = (f"{key} = {toml_value(value)}" for key, value in values.items())
            lines += ["", f"[{name}]", *pairs]
        text = "\n".join(lines) + "\n"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            start, end = text.rfind('"', 0, error.start), text.find('"', error.start)
            raise ArgumentError(
                f"config: {printable(text[start + 1 : end])} is no UTF-8 text, which TOML cannot "
                "hold; in pairs.duplicates write sha256: and the digest of the file, list paths in "
                "a file of their own, or keep to_dict() as JSON"
            ) from error
        Config.from_dict(tomllib.loads(text))  # raises if values were never checked
        return text


def named_digest(text: str) -> str | None:
    """Return the digest that ``sha256:`` and 64 hexadecimal digits name; None of a name."""
    return text[7:].lower() if _DIGEST.fullmatch(text) else None


def toml_value(values: Any) -> str:
    """Return a value as TOML writes it on one line: as JSON does, except for tables."""
    if isinstance(values, Mapping):
        pairs = (f"{toml_value(key)} = {toml_value(value)}" for key, value in values.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(values, list | tuple):
        return f"[{', '.join(map(toml_value, values))}]"
    return "".join(map(_toml_character, json.dumps(values, ensure_ascii=False, allow_nan=False)))


def _toml_character(character: str) -> str:
    """Return a character, or its escape if it is not visible; TOML has none for a surrogate."""
    is_visible = character.isprintable() or "\ud800" <= character <= "\udfff"
    return character if is_visible else f"\\U{ord(character):08x}"


def canonical(values: Any) -> str:
    """Return JSON that is the same for the same values, whatever their order."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _builtins(values: Struct) -> Any:
    """Return a section as dictionaries and lists, as JSON has them."""
    return json.loads(json.dumps(msgspec.to_builtins(values)))
