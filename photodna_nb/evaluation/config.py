"""The configuration of an evaluation: its sections, their defaults and their ranges.

Another choice of originals, of transforms or of the seed is another run. Other pairs or
detail bins need a new count of the pairs, from the hashes of the run. Everything else is
computed from the counts.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, structs
from msgspec.structs import force_setattr

from photodna_nb import checks, files
from photodna_nb.corpus.datasets import Dataset, from_sources
from photodna_nb.corpus.transforms import AnyTransform
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation.config_errors import explained
from photodna_nb.evaluation.config_hashers import (
    PHOTODNA_ALONE,
    HashConfig,
    RunHasher,
    check_named,
    make_hashers,
)
from photodna_nb.evaluation.config_originals import (
    Originals,
    Section,
    Seed,
    Source,
    TableOriginals,
    by_name,
    source_kind,
)
from photodna_nb.evaluation.config_sections import (
    CategoriesConfig,
    DeploymentConfig,
    DetailConfig,
    PairsConfig,
    PrivacyConfig,
    ThresholdsConfig,
    VariantsConfig,
)
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.files import PathLike
from photodna_nb.printable import printable


class Config(Section, frozen=True, eq=False):
    """A checked configuration of an evaluation, made by `load` or `from_dict`.

    Attributes
    ----------
    originals : DeadLeavesOriginals, DirectoryOriginals, ListOriginals, InstalledOriginals or
        TableOriginals, or tuple of them
        The images that are transformed, or hashes without images; several sources of them.
    variants : VariantsConfig
        The transforms.
    seed : int
        Seed of the transforms, and of the split of the originals into halves.
    confidence : float
        Confidence level of the intervals, 0.5 to 0.9999.
    pairs, thresholds, detail, deployment
        The other sections.
    hash : HashConfig or None
        The hashers; None for "photodna" alone.
    categories : CategoriesConfig or None
        The file that says which category each original is of.
    privacy : PrivacyConfig
        What the folder of the run may hold of the originals.
    base : str
        The folder from which relative paths start; it is no part of the configuration's text.
    """

    originals: Originals
    variants: VariantsConfig = VariantsConfig()
    seed: Seed = 0
    confidence: Annotated[float, Meta(ge=0.5, le=0.9999)] = 0.95
    pairs: PairsConfig = PairsConfig()
    thresholds: ThresholdsConfig = msgspec.field(default_factory=ThresholdsConfig)
    detail: DetailConfig = DetailConfig()
    deployment: DeploymentConfig = DeploymentConfig()
    hash: HashConfig | None = None
    categories: CategoriesConfig | None = None
    privacy: PrivacyConfig = PrivacyConfig()
    base: str = msgspec.field(default=".", name="_base")

    def __post_init__(self) -> None:
        by_name(self.originals)  # checks them
        labelled, no_transforms = self.pairs.labelled is not None, VariantsConfig(())
        if labelled and self.categories is not None:
            raise ArgumentError(
                "categories.file: of labelled pairs, the column category of the file in "
                "pairs.labelled has the categories; take categories.file out"
            )
        if labelled and any(getattr(source, "group", None) for source in self.sources.values()):
            raise ArgumentError(
                "originals.group: pairs.labelled says which originals show the same; leave it out"
            )
        if not self.has_pictures:
            if self.variants not in (VariantsConfig(), no_transforms):
                raise ArgumentError(
                    "variants.transforms: the originals are hashes of a table, of which no "
                    "variants can be made; leave the section out"
                )
            force_setattr(self, "variants", no_transforms)
        elif labelled and self.variants != no_transforms:
            key = "files" if self.variants.files else "transforms"
            raise ArgumentError(
                f"variants.{key}: there are no variants where pairs.labelled lists the pairs; take "
                "the section out, or pairs.labelled"
            )
        elif not labelled and not self.variants.transforms and self.variants.files is None:
            raise ArgumentError(
                "variants.transforms: got an empty list, needs at least one transform, or copies "
                "of the originals in variants.files"
            )
        if self.hash == HashConfig():
            force_setattr(self, "hash", None)
        if self.hash and "table" in map(source_kind, self.sources.values()):
            raise ArgumentError(
                "hash.names: a source of originals is a table of hashes, which are of photodna; "
                "leave the section out, or give images"
            )
        check_named("thresholds.named", self.thresholds.named, self.hash_names[0])
        if self.pairs.exclude_below_detail and PHOTODNA.name not in self.hash_names:
            raise ArgumentError(
                "pairs.exclude_below_detail: is the detail of photodna, which is not in "
                "hash.names; add it there, or set 0"
            )
        if self.deployment.orientations and self.hash_names[0] != PHOTODNA.name:
            raise ArgumentError(
                "deployment.orientations: photodna alone has them, which is not the first of "
                "hash.names; put it first, or set false"
            )
        for listed, named in (self.hash.thresholds if self.hash else {}).items():
            check_named(f"hash.thresholds.{printable(listed)}", named, listed)

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
        pairs = values.get("pairs")
        if isinstance(pairs, Mapping) and pairs.get("labelled") is not None:
            values.setdefault("variants", {"transforms": []})
        try:
            return msgspec.convert(_with_thresholds(values), cls)
        except msgspec.ValidationError as error:
            raise explained(error, values, cls) from error

    def dataset(self) -> Dataset:
        """Return the originals.

        Raises
        ------
        FileError, ArgumentError
            They cannot be found, or one is listed twice: see `datasets`.
        """
        parts = {name: source.dataset(self.base) for name, source in self.sources.items()}
        return parts[""] if "" in parts else from_sources(parts)

    @property
    def sources(self) -> dict[str, Source]:
        """The sources of the originals by name; a single one by ""."""
        return by_name(self.originals)

    @property
    def has_pictures(self) -> bool:
        """Whether any originals are images, and not only their hashes."""
        return any(source_kind(source) != "table" for source in self.sources.values())

    @property
    def transforms(self) -> tuple[AnyTransform, ...]:
        """The transforms that every original goes through."""
        return self.variants.parsed

    @property
    def hash_names(self) -> tuple[str, ...]:
        """The names of the hashers."""
        return self.hash.names if self.hash else PHOTODNA_ALONE

    def hashers(self) -> tuple[RunHasher, ...]:
        """Return the hashers of the run.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            One of them cannot be made or evaluated, or has a named threshold beyond its largest
            distance.
        """
        made = make_hashers(self.hash_names)
        for one in made:
            self.of_hasher(one.listed, one.scale)
        return made

    def of_hasher(self, listed: str, scale: HasherScale) -> Config:
        """Return the configuration as it holds for one of the hashers.

        Detail and orientations are those of "photodna"; another has a quality of its own.
        """
        named, section = self.thresholds.named, self.hash
        if section is not None and listed != section.names[0]:
            named = section.thresholds.get(listed, {})
            others = (name for name in section.names if name != listed)
            section = HashConfig((listed, *others))  # whose named thresholds are those of the first
        for name, threshold in named.items():
            key = f"thresholds of {scale.name}: {printable(name)}"
            checks.integer(key, threshold, 0, scale.largest_threshold)
        thresholds = structs.replace(self.thresholds, named=named)
        if scale.has_orientations:
            return structs.replace(self, thresholds=thresholds, hash=section)
        return structs.replace(
            self,
            thresholds=thresholds,
            hash=section,
            detail=DetailConfig(warn_below=scale.low_quality, bins=()),
            deployment=structs.replace(self.deployment, orientations=False),
        )

    def files(self) -> dict[str, str]:
        """Return the paths of the files that sections name, except for images, by their keys."""
        named = {
            f"originals.{name}.path" if name else "originals.path": source.path
            for name, source in self.sources.items()
            if isinstance(source, TableOriginals)
        }
        if self.categories is not None:
            named["categories.file"] = self.categories.file
        if self.pairs.labelled is not None:
            named["pairs.labelled"] = self.pairs.labelled
        if self.variants.files is not None:
            named["variants.files"] = self.variants.files
        return {key: os.path.join(self.base, path) for key, path in named.items()}

    def hash_settings(self, hashers: Iterable[RunHasher] = ()) -> dict[str, Any]:
        """Return the values on which the hashes depend. Others belong to another run.

        Parameters
        ----------
        hashers : iterable of RunHasher
            From `hashers`; it may be left out for "photodna" alone.
        """
        settings = {
            "seed": self.seed,
            "originals": _builtins(self.originals),
            "variants": {"transforms": [transform.spec for transform in self.transforms]},
        }
        if self.hash is not None:
            settings["hashers"] = [{"listed": one.listed, **one.scale._asdict()} for one in hashers]
        return settings

    def pair_settings(self) -> dict[str, Any]:
        """Return the values that counts depend on, besides those of `hash_settings`."""
        pairs = _builtins(self.pairs)
        if not pairs["leave_out"]:  # a key of later versions, which counts the same pairs
            del pairs["leave_out"]
        return {"pairs": pairs, "detail_bins": list(self.detail.bins)}

    def to_dict(self) -> dict[str, Any]:
        """Return all values, with the defaults, as JSON takes them and `from_dict` reads them.

        What is None is left out.
        """
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
            heading = f"[[{name}]]" if isinstance(values, list) else f"[{name}]"
            for section in values if isinstance(values, list) else [values]:
                pairs = (f"{key} = {toml_value(value)}" for key, value in section.items())
                lines += ["", heading, *pairs]
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


def _with_thresholds(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values with no named thresholds by default if "photodna" is not the first."""
    section, thresholds = values.get("hash"), values.get("thresholds", {})
    if not isinstance(section, Mapping) or not isinstance(thresholds, Mapping):
        return values
    names = section.get("names", PHOTODNA_ALONE)
    if not isinstance(names, list | tuple) or not names or names[0] == PHOTODNA.name:
        return values
    return {**values, "thresholds": {"named": {}, **thresholds}}


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


def _builtins(values: Any) -> Any:
    """Return a section as dictionaries and lists, as JSON has them; what is None is left out."""

    def without_none(section: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in section.items() if value is not None}

    return json.loads(json.dumps(msgspec.to_builtins(values)), object_hook=without_none)
