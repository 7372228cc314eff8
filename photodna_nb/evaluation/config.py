"""What an evaluation does, as a TOML file says it: read, checked, and written the same every time.

Its parts weigh differently. Another choice of originals, of variants or of the seed is
another run; other pairs or bands are counted anew, from the hashes that are there; all
else is read off the counts.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, get_args

from photodna_nb import checks, files
from photodna_nb.checks import LOW_DETAIL, describe
from photodna_nb.corpus import datasets, transforms
from photodna_nb.corpus.datasets import Dataset, FileOriginal
from photodna_nb.corpus.transforms import AnyTransform
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError
from photodna_nb.evaluation.exclusions import named_digest
from photodna_nb.files import PathLike
from photodna_nb.pairs.metrics import SIMILARITY_SCALE
from photodna_nb.printable import printable

_TARGETS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
# Grey levels. Photographs have 600 to 6000.
_BINS = (100.0, 600.0, 1200.0, 2400.0, 6000.0)
# More than anybody has, and far from where float64 overflows.
_MOST = 10**15
_MOST_DRAWN = 10**8
_LARGEST_SEED = 2**63 - 1
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class DeadLeavesOriginals:
    """Drawn pictures: see `datasets.dead_leaves`."""

    kind: ClassVar[str] = "dead_leaves"
    number: int
    size: tuple[int, int] = (256, 192)
    seed: int = 0

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.dead_leaves(self.number, self.size, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the section of a configuration."""
        size = list(self.size)
        return {"kind": self.kind, "number": self.number, "size": size, "seed": self.seed}


@dataclass(frozen=True)
class DirectoryOriginals:
    """The files in a folder: see `datasets.from_directory`."""

    kind: ClassVar[str] = "directory"
    path: str
    recursive: bool = True

    def dataset(self, base: str) -> Dataset:
        """Return the originals; a relative path starts from the folder `base`."""
        return datasets.from_directory(os.path.join(base, self.path), self.recursive)

    def to_dict(self) -> dict[str, Any]:
        """Return the section of a configuration."""
        return {"kind": self.kind, "path": self.path, "recursive": self.recursive}


@dataclass(frozen=True)
class ListOriginals:
    """The files that a text file lists, or a list of paths: see `datasets.from_list`."""

    kind: ClassVar[str] = "list"
    path: str | None = None
    paths: tuple[str, ...] = ()

    def dataset(self, base: str) -> Dataset:
        """Return the originals, named as they are listed.

        Relative paths, of the text file and those that it lists, start from the folder `base`.
        """
        listing = list(self.paths) if self.path is None else os.path.join(base, self.path)
        listed = datasets.from_list(listing)
        return Dataset(
            listed.description,
            tuple(
                FileOriginal(one.name, os.path.abspath(os.path.join(base, one.name)))
                for one in listed
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the section of a configuration."""
        if self.path is None:
            return {"kind": self.kind, "paths": list(self.paths)}
        return {"kind": self.kind, "path": self.path}


@dataclass(frozen=True)
class InstalledOriginals:
    """The photographs of installed packages: see `datasets.installed`."""

    kind: ClassVar[str] = "installed"

    def dataset(self, base: str) -> Dataset:
        """Return the originals; `base` plays no part."""
        return datasets.installed()

    def to_dict(self) -> dict[str, Any]:
        """Return the section of a configuration."""
        return {"kind": self.kind}


Originals: TypeAlias = DeadLeavesOriginals | DirectoryOriginals | ListOriginals | InstalledOriginals


@dataclass(frozen=True)
class PairsConfig:
    """Which pairs are counted.

    Attributes
    ----------
    variants_against_others : bool
        Whether every variant is compared with every other original, and not only the
        originals with each other.
    exclude : tuple of tuple of str
        Names of originals that show the same; no pair of one group is an impostor pair.
        ``sha256:`` and a digest stands for every original that has it, also for one whose
        name is no UTF-8 text and cannot be written into a TOML file.
    count_identical : bool
        Whether originals that are the same bytes are pairs of different things. If not,
        neither they nor the variants of one and the other are impostor pairs.
    min_detail : float
        Grey levels. Originals with less match each other, whatever they show: they and
        their variants are in no impostor pair. 0: all are.
    """

    variants_against_others: bool = True
    exclude: tuple[tuple[str, ...], ...] = ()
    count_identical: bool = False
    min_detail: float = 0.0


@dataclass(frozen=True)
class ThresholdsConfig:
    """For which thresholds the report says what they do.

    Attributes
    ----------
    named : dict of str to int
        L2 distances, inclusive; whole numbers, since these are what is counted.
    targets : tuple of float
        False match rates, for each of which a threshold is found.
    """

    named: Mapping[str, int] = field(default_factory=lambda: {"production": 200})
    targets: tuple[float, ...] = _TARGETS


@dataclass(frozen=True)
class DetailConfig:
    """How the originals are told apart by what there is to see in them, in grey levels.

    Attributes
    ----------
    minimum : float
        Pictures with less are said to be too flat for a match to mean something.
    bins : tuple of float
        Where one band ends and the next begins, increasing.
    """

    minimum: float = LOW_DETAIL
    bins: tuple[float, ...] = _BINS


@dataclass(frozen=True)
class DeploymentConfig:
    """The service for which false matches are foretold.

    Attributes
    ----------
    list_size : int
        Hashes in its list.
    queries_per_day : int
        Pictures that are looked up.
    max_false_matches_per_day : float
        False matches a day that are bearable.
    orientations : bool
        Whether every query is looked up mirrored and turned, in eight ways.
    """

    list_size: int = 10_000
    queries_per_day: int = 1_000
    max_false_matches_per_day: float = 1.0
    orientations: bool = False

    @property
    def n_orientations(self) -> int:
        """In how many orientations every query is looked up: 8 or 1."""
        return 8 if self.orientations else 1


@dataclass(frozen=True)
class Config:
    """A whole evaluation, checked; `load` and `from_dict` make it.

    Attributes
    ----------
    originals : DeadLeavesOriginals, DirectoryOriginals, ListOriginals or InstalledOriginals
        What is edited.
    variants : tuple of Transform or Chain
        The edits.
    seed : int
        Of the edits, and of the halves that the originals are split into.
    confidence : float
        Of the intervals, 0.5 to 0.9999.
    pairs, thresholds, detail, deployment
        Sections of their own.
    base : str
        The folder from which relative paths start; no part of the configuration's text.
    """

    originals: Originals
    variants: tuple[AnyTransform, ...] = transforms.STANDARD
    seed: int = 0
    confidence: float = 0.95
    pairs: PairsConfig = field(default_factory=PairsConfig)
    thresholds: ThresholdsConfig = field(default_factory=ThresholdsConfig)
    detail: DetailConfig = field(default_factory=DetailConfig)
    deployment: DeploymentConfig = field(default_factory=DeploymentConfig)
    base: str = field(default=".", compare=False)

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
            The file is missing, no TOML, or something in it is unknown, missing or of a
            value that cannot be used: it says what, and what is needed.
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
        """Return the configuration that a dictionary describes, as the TOML file would.

        Parameters
        ----------
        values : dict
            Sections and values; what `to_dict` returns among others.
        base : str or os.PathLike
            The folder from which relative paths start.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            Something is unknown, which is answered by the nearest known name, or missing,
            or has a type or value that cannot be used.

        Examples
        --------
        >>> config = Config.from_dict({"originals": {"kind": "dead_leaves", "number": 50}})
        >>> config.originals.size, config.thresholds.named
        ((256, 192), {'production': 200})
        """
        if not isinstance(values, Mapping):
            raise ArgumentTypeError(f"values: got {describe(values)}, needs a dictionary")
        top = _Section("", values)
        seed = top.value("seed", 0, _whole(0, _LARGEST_SEED))
        confidence = top.value("confidence", 0.95, _number(0.5, 0.9999))
        originals = _originals(top.section("originals", required=True))
        with top.section("variants") as variants:
            edits = variants.value("transforms", "standard", _edits)
        with top.section("pairs") as section:
            pairs = PairsConfig(
                section.value("variants_against_others", True, _truth),
                section.value("exclude", [], _groups),
                section.value("count_identical", False, _truth),
                section.value("min_detail", 0.0, _number(0)),
            )
        with top.section("thresholds") as section:
            thresholds = ThresholdsConfig(
                section.value("named", {"production": 200}, _named_thresholds),
                section.value("targets", _TARGETS, _targets),
            )
        with top.section("detail") as section:
            detail = DetailConfig(
                section.value("minimum", LOW_DETAIL, _number(0)),
                section.value("bins", _BINS, _bins),
            )
        with top.section("deployment") as section:
            deployment = DeploymentConfig(
                section.value("list_size", DeploymentConfig.list_size, _whole(1, _MOST)),
                section.value(
                    "queries_per_day", DeploymentConfig.queries_per_day, _whole(1, _MOST)
                ),
                section.value(
                    "max_false_matches_per_day",
                    DeploymentConfig.max_false_matches_per_day,
                    _number(0, above=True),
                ),
                section.value("orientations", False, _truth),
            )
        top.finish()
        return cls(
            originals,
            edits,
            seed,
            confidence,
            pairs,
            thresholds,
            detail,
            deployment,
            os.path.abspath(base),
        )

    def dataset(self) -> Dataset:
        """Return the originals.

        Raises
        ------
        FileError, ArgumentError
            They cannot be found, or one is listed twice: see `datasets`.
        """
        return self.originals.dataset(self.base)

    def hashing(self) -> dict[str, Any]:
        """Return the part that hashes depend on; another one is another run."""
        return {
            "seed": self.seed,
            "originals": self.originals.to_dict(),
            "variants": {"transforms": [edit.spec for edit in self.variants]},
        }

    def counting(self) -> dict[str, Any]:
        """Return the part that the counts of pairs depend on besides."""
        return {
            "pairs": {
                "variants_against_others": self.pairs.variants_against_others,
                "exclude": [list(group) for group in self.pairs.exclude],
                "count_identical": self.pairs.count_identical,
                "min_detail": self.pairs.min_detail,
            },
            "bins": list(self.detail.bins),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all values, with the defaults, as JSON takes them and `from_dict` reads them."""
        return {
            **self.hashing(),
            "confidence": self.confidence,
            "pairs": self.counting()["pairs"],
            "thresholds": {
                "named": dict(self.thresholds.named),
                "targets": list(self.thresholds.targets),
            },
            "detail": {"minimum": self.detail.minimum, "bins": list(self.detail.bins)},
            "deployment": {
                "list_size": self.deployment.list_size,
                "queries_per_day": self.deployment.queries_per_day,
                "max_false_matches_per_day": self.deployment.max_false_matches_per_day,
                "orientations": self.deployment.orientations,
            },
        }

    def to_toml(self) -> str:
        """Return the whole as a TOML file, with all that was left out, that `load` reads.

        Raises
        ------
        ArgumentError
            It would not be read as the same: a name is no UTF-8 text, which `to_dict` and
            JSON can hold, or the configuration was not made by `load` or `from_dict`.
        """
        sections = self.to_dict()
        lines = [f"{name} = {toml_value(sections.pop(name))}" for name in ("seed", "confidence")]
        for name, values in sections.items():
            lines += [
                "",
                f"[{name}]",
                *(f"{key} = {toml_value(one)}" for key, one in values.items()),
            ]
        text = "\n".join(lines) + "\n"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            start, end = text.rfind('"', 0, error.start), text.find('"', error.start)
            raise ArgumentError(
                f"config: {printable(text[start + 1 : end])} is no UTF-8 text, which TOML cannot "
                "hold; in pairs.exclude write sha256: and the digest of the file, list paths in a "
                "file of their own, or keep to_dict() as JSON"
            ) from error
        if Config.from_dict(tomllib.loads(text), base=self.base) != self:
            raise ArgumentError(
                "config: would be read as another one; make it with load or from_dict, which "
                "check and order the values"
            )
        return text


def toml_value(values: Any) -> str:
    """Return a value as TOML writes it on one line: as JSON does, but for tables."""
    if isinstance(values, Mapping):
        pairs = (f"{toml_value(key)} = {toml_value(one)}" for key, one in values.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(values, list):
        return f"[{', '.join(map(toml_value, values))}]"
    return json.dumps(values, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def canonical(values: Any) -> str:
    """Return JSON that is the same for the same values, in whatever order they came."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


# Of the name of a key and its value; returns the value as it is kept.
_Check: TypeAlias = Callable[[str, Any], Any]


class _Section:
    """Values of a section, each taken once; what is left in the end is unknown."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name, self._values = name, values
        self._known: list[str] = []

    def __enter__(self) -> _Section:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()

    def named(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def value(self, key: str, default: Any, check: _Check) -> Any:
        """Return the checked value; without a default (...) it must be there."""
        self._known.append(key)
        if key not in self._values and default is ...:
            near = difflib.get_close_matches(key, map(str, self._values), n=1, cutoff=0.5)
            remedy = f"is it what {near[0]} was meant to be?" if near else "add it"
            raise ArgumentError(f"{self.named(key)}: is missing; {printable(remedy)}")
        return check(self.named(key), self._values.get(key, default))

    def section(self, key: str, required: bool = False) -> _Section:
        values = self.value(key, ... if required else {}, _table)
        return _Section(self.named(key), values)

    def finish(self) -> None:
        for key in self._values:
            if key not in self._known:
                raise ArgumentError(_unknown(self.named(str(key)), str(key), self._known))


def _unknown(name: str, word: str, known: Iterable[str]) -> str:
    """Return what to say of a word that is not known."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{printable(name)}: is unknown; {remedy}"


def _originals(section: _Section) -> Originals:
    made: Originals
    kind = section.value("kind", ..., _text)
    with section:
        match kind:
            case DeadLeavesOriginals.kind:
                made = DeadLeavesOriginals(
                    section.value("number", ..., _whole(2, _MOST_DRAWN)),
                    section.value("size", (256, 192), _size),
                    section.value("seed", 0, _whole(0, _LARGEST_SEED)),
                )
            case DirectoryOriginals.kind:
                made = DirectoryOriginals(
                    section.value("path", ..., _text), section.value("recursive", True, _truth)
                )
            case ListOriginals.kind:
                path = section.value("path", None, _optional(_text))
                paths = section.value("paths", (), _texts)
                if (path is None) == (not paths):
                    raise ArgumentError(
                        "originals: a list needs either path, of a text file that lists paths, "
                        "or paths"
                    )
                made = ListOriginals(path, paths)
            case InstalledOriginals.kind:
                made = InstalledOriginals()
            case _:
                kinds = [one.kind for one in get_args(Originals)]
                raise ArgumentError(_unknown(f"originals.kind {kind!r}", kind, kinds))
    return made


def _optional(check: _Check) -> _Check:
    return lambda name, value: None if value is None else check(name, value)


def _wrong_type(name: str, value: Any, needed: str) -> ArgumentTypeError:
    return ArgumentTypeError(f"{printable(name)}: got {describe(value)}, needs {needed}")


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong_type(name, value, f"a section, [{name}]")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, value, "text in quotes")
    if not value or "\0" in value:
        raise ArgumentError(f"{printable(name)}: got {value!r}, needs text without NUL characters")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise _wrong_type(name, value, "a list of texts")
    return tuple(_text(name, one) for one in value)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(name, value, "true or false")
    return value


def _beyond(name: str, value: float, needed: str) -> ArgumentError:
    digits = isinstance(value, int) and abs(value) >= 10**20
    shown = "a number of more than 20 digits" if digits else value
    return ArgumentError(f"{printable(name)}: got {shown}, needs {needed}")


def _whole(least: int, most: int) -> _Check:
    def check(name: str, value: Any) -> int:
        needed = f"a whole number from {least} to {most}"
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, value, needed)
        if not least <= value <= most:
            raise _beyond(name, value, needed)
        return value

    return check


def _number(least: float, most: float = math.inf, *, above: bool = False) -> _Check:
    """Return a check for finite numbers; `above` leaves `least` out."""

    def check(name: str, value: Any) -> float:
        needed = f"a number {'above' if above else 'of at least'} {least}"
        if most < math.inf:
            needed = f"a number from {least} to {most}"
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(name, value, needed)
        if not (value > least if above else value >= least) or value > min(most, _LARGEST):
            raise _beyond(name, value, needed)
        return float(value)

    return check


def _between(least: float, most: float) -> _Check:
    def check(name: str, value: Any) -> float:
        needed = f"a number above {least} and below {most}"
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(name, value, needed)
        if not least < value < most:
            raise _beyond(name, value, needed)
        return float(value)

    return check


def _size(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _wrong_type(name, value, "[width, height] in pixels")
    width, height = (_whole(2, 32767)(name, side) for side in value)
    return width, height


def _edits(name: str, value: Any) -> tuple[AnyTransform, ...]:
    if value == "standard":
        return transforms.STANDARD
    if not isinstance(value, list | tuple):
        raise _wrong_type(name, value, 'a list such as ["jpeg:30", "mirror"], or "standard"')
    if not value:
        raise ArgumentError(f"{name}: got none, needs at least one")
    edits: dict[str, AnyTransform] = {}
    for spec in value:
        try:
            edit = transforms.parse(spec)
        except (ArgumentError, ArgumentTypeError) as error:
            raise type(error)(f"{name}: {spec!r}: {error}") from error
        if edit.spec in edits:
            raise ArgumentError(f"{name}: {spec!r} is listed twice; take one of them out")
        edits[edit.spec] = edit
    return tuple(edits.values())


def _groups(name: str, value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple):
        raise _wrong_type(name, value, 'a list such as [["a.jpg", "b.jpg"]]')
    groups = []
    for one in value:
        group = tuple(
            f"sha256:{digest}" if (digest := named_digest(text)) else text
            for text in _texts(name, one)
        )
        if len(set(group)) < 2 or len(set(group)) < len(group):
            raise ArgumentError(f"{name}: got {list(group)}, needs two or more different names")
        groups.append(group)
    return tuple(groups)


def _named_thresholds(name: str, value: Any) -> Mapping[str, int]:
    check = _whole(0, SIMILARITY_SCALE)
    found = {}
    for key, one in _table(name, value).items():
        if not _text(name, key).strip():
            raise ArgumentError(f"{name}: got the name {key!r}, needs names that are not blank")
        found[key] = check(f"{name}.{key}", one)
    return found


def _targets(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong_type(name, value, "a list such as [1e-3, 1e-6]")
    targets = [_between(0, 1)(name, one) for one in value]
    return tuple(sorted(set(targets), reverse=True))


def _bins(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong_type(name, value, "a list such as [100, 600]")
    bands = tuple(_number(0, above=True)(name, one) for one in value)
    if list(bands) != sorted(set(bands)):
        raise ArgumentError(f"{name}: got {list(bands)}, needs increasing numbers")
    return bands
