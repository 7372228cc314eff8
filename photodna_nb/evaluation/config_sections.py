"""The sections of a configuration, but for the originals: their defaults and their ranges."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from photodna_nb import checks
from photodna_nb.checks import LOW_DETAIL
from photodna_nb.corpus import transforms
from photodna_nb.corpus.transforms import AnyTransform
from photodna_nb.errors import ArgumentError
from photodna_nb.evaluation.config_originals import Section, Text
from photodna_nb.printable import printable

# Far beyond any list, and far below where float64 overflows.
_MOST_PER_DAY = 10**15
_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}")

_Amount = Annotated[int, Meta(ge=1, le=_MOST_PER_DAY)]
_Weight = Annotated[float, Meta(ge=0, le=1e12)]
_Detail = Annotated[float, Meta(ge=0, le=sys.float_info.max)]


class VariantsConfig(Section, frozen=True):
    """The transforms that every original goes through.

    Attributes
    ----------
    transforms : str or tuple of str
        The name of a frozen list, such as ``"standard-1"``, or transforms as
        `transforms.parse` reads them. ``"standard"`` becomes the name of the newest list.
    files : str or None
        A table of text, such as CSV, with the columns ``original``, the name of an original as the
        results list it, ``variant``, the path of an altered copy, and ``label``. A label stands for
        its copies as a transform for its variants: in tables and weights it is ``copies:LABEL``.
    weights : dict of str to float
        How often each transform occurs among the images of the user, for one recall of all
        transforms; only the ratios matter. Empty for no such recall.
    """

    transforms: str | tuple[str, ...] = "standard"
    files: Text | None = None
    weights: dict[str, _Weight] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_transforms()
        if self.weights:
            specs = [transform.spec for transform in self.parsed]
            if self.files is not None:  # the file has the labels, and is read by the run
                specs += [name for name in self.weights if name.startswith(transforms.COPIES)]
            force_setattr(self, "weights", checked_weights(self.weights, specs))

    def _check_transforms(self) -> None:
        """Replace transforms by their specs, or their list by its version."""
        name = "variants.transforms"
        if isinstance(self.transforms, str):
            lists = ("standard", *transforms.STANDARD_LISTS)
            if self.transforms not in lists:
                needed = f'a list such as ["jpeg:30", "mirror"], or {", ".join(lists)}'
                raise ArgumentError(checks.message(name, repr(self.transforms), needed))
            force_setattr(self, "transforms", transforms.standard_version(self.transforms))
            return
        specs: list[str] = []
        for text in self.transforms:
            try:
                spec = transforms.parse(text).spec
                if spec.startswith(transforms.COPIES):
                    raise ArgumentError("stands for files; name their list as variants.files")
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


class PairsConfig(Section, frozen=True):
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
    leave_out : tuple of str
        Names of originals, or ``sha256:`` and digests as in `duplicates`, that are in no pair,
        genuine or impostor, and neither are their variants.
    labelled : str or None
        A table of text, such as CSV, with the columns ``a`` and ``b``, the names of two originals
        as the results list them, ``same`` (1 or 0) and perhaps ``category``. Exactly these pairs
        are counted, and only their originals are hashed; there are no variants then.
    """

    variants_against_others: bool = True
    duplicates: tuple[tuple[Text, ...], ...] = ()
    count_identical: bool = False
    exclude_below_detail: _Detail = 0.0
    leave_out: tuple[Text, ...] = ()
    labelled: Text | None = None

    def __post_init__(self) -> None:
        for key, given in (
            ("duplicates", self.duplicates),
            ("count_identical", self.count_identical),
        ):
            if self.labelled is not None and given:
                raise ArgumentError(
                    f"pairs.{key}: has no effect where pairs.labelled lists the pairs; take it out"
                )
        groups = tuple(map(_with_plain_digests, self.duplicates))
        force_setattr(self, "leave_out", _with_plain_digests(self.leave_out))
        for group in groups:
            if len(set(group)) < 2 or len(set(group)) < len(group):
                raise ArgumentError(
                    f"pairs.duplicates: got {list(group)}, needs two or more different names"
                )
        force_setattr(self, "duplicates", groups)


class CategoriesConfig(Section, frozen=True):
    """Categories of the originals, by which results are divided.

    Attributes
    ----------
    file : str
        A table of text, such as CSV, with the columns ``path``, the names of originals as the
        results list them, and ``category``. Originals that it does not name have the category "".
    """

    file: Text


class ThresholdsConfig(Section, frozen=True):
    """The thresholds and rates that the report describes.

    Attributes
    ----------
    named : dict of str to int
        Distances of the first hasher, inclusive, by name; integers, since these are counted.
        By default ``{"production": 200}`` for "photodna", and none for others.
    targets : tuple of float
        False match rates, decreasing. A threshold is chosen for each.
    """

    named: dict[str, Any] = msgspec.field(default_factory=lambda: {"production": 200})
    targets: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = (
        1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9,
    )  # fmt: skip

    def __post_init__(self) -> None:
        force_setattr(self, "targets", tuple(sorted(set(self.targets), reverse=True)))


class DetailConfig(Section, frozen=True):
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


class DeploymentConfig(Section, frozen=True):
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


def checked_weights(weights: Mapping[str, float], specs: Sequence[str]) -> dict[str, float]:
    """Return the weight of each transform, by its spec and in the order of `specs`.

    Raises
    ------
    ArgumentError
        A transform has no weight, a weight is that of no transform, or all are 0.
    """
    by_spec: dict[str, float] = {}
    for text, weight in weights.items():
        try:
            spec = text if text in specs else transforms.parse(text).spec
        except ArgumentError:
            spec = text
        if spec not in specs:
            remedy = checks.suggestion(spec, specs) or "take it out"
            raise ArgumentError(
                f"variants.weights: {printable(text)} is none of the transforms; {remedy}"
            )
        if spec in by_spec:
            raise ArgumentError(f"variants.weights: {text!r} is there twice; take one of them out")
        by_spec[spec] = weight
    if missing := [spec for spec in specs if spec not in by_spec]:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ArgumentError(
            f"variants.weights: lacks {', '.join(missing[:3])}{more}; give each transform a "
            "weight, 0 for one that does not occur"
        )
    if not any(by_spec.values()):
        raise ArgumentError("variants.weights: all are 0; give those that occur a weight above 0")
    return {spec: by_spec[spec] for spec in specs}


def _with_plain_digests(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of originals with digests in small letters."""
    return tuple(f"sha256:{digest}" if (digest := named_digest(n)) else n for n in names)


class PrivacyConfig(Section, frozen=True):
    """What the folder of a run may hold of the originals.

    Attributes
    ----------
    pictures : bool
        Whether there are thumbnails.
    names : {"plain", "digest"}
        Whether originals have their names, or keyed digests (HMAC-SHA256) in place of names,
        digests and paths.
    hashes : bool
        Whether hashes are kept when the run has ended.
    key_file : str
        File of the key, of 16 bytes or more, outside of the folder of the run. Without one, the
        key is new for each run and never stored, so that no run can continue.
    """

    pictures: bool = True
    names: Literal["plain", "digest"] = "plain"
    hashes: bool = True
    key_file: Annotated[str, Meta(pattern=r"\A[^\0]*\Z")] = ""

    def __post_init__(self) -> None:
        if self.key_file and self.names == "plain":
            raise ArgumentError(
                'privacy.key_file: is for names = "digest"; add that, or leave the file out'
            )


def named_digest(text: str) -> str | None:
    """Return the digest that ``sha256:`` and 64 hexadecimal digits name; None of a name."""
    return text[7:].lower() if _DIGEST.fullmatch(text) else None
