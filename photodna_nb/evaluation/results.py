"""What a run leaves in its folder: tables, counts, and the manifest that names every file."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from photodna_nb import checks, files
from photodna_nb.corpus import transforms
from photodna_nb.errors import FileError
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.exclusions import exclusion_name
from photodna_nb.evaluation.pair_counts import PAIR_HALVES, PairCounts, quantile_squared
from photodna_nb.evaluation.rates import (
    RateEstimates,
    RecallQuery,
    estimate_rates,
    estimate_recalls,
)
from photodna_nb.evaluation.run_folder import (
    HASHES,
    IDENTITY,
    MANIFEST,
    RunFolder,
    locked,
    versions,
)
from photodna_nb.evaluation.summary import Row, build_tables, reported_thresholds
from photodna_nb.evaluation.thumbnails import FOLDER as THUMBNAILS
from photodna_nb.evaluation.thumbnails import PAIRS, Thumbnail, ThumbnailFiles
from photodna_nb.evaluation.variant_hashes import ORIGINAL
from photodna_nb.files import PathLike

COUNTS, RESULTS, TABLES = "counts.npz", "results.json", "tables"
# Made of results by others, of which only the manifest knows here.
REPORT, FIGURES = "report.html", "figures"
_FORMAT = 2
_NEAREST = 100


class VariantFailure(NamedTuple):
    """An original, or a variant of it, that could not be made or hashed.

    original : str
        Its name.
    transform : str or None
        The edit, or None if the original itself failed.
    error : str
        What was wrong, and what to do.
    """

    original: str
    transform: str | None
    error: str


@dataclass(frozen=True, eq=False)
class Results:
    """What a run found; all of it is in its folder, and `load` reads it again.

    Attributes
    ----------
    run_dir : str
        The folder: ``manifest.json``; ``results.json`` with the summary and all tables;
        ``tables/NAME.csv``; ``counts.npz`` and ``hashes.npz``; ``thumbnails``, of the closest
        impostor pairs; ``run.json``, which says whose hashes these are.
    config : Config
        What was done.
    counts : PairCounts
        Of all pairs.
    failures : list of VariantFailure
        In the order of the originals.
    summary : dict
        The numbers that are one for the run.
    tables : dict of str to list of dict
        Rows of the tables, by name.
    manifest : dict
        Configuration, versions, digests of inputs, results and report; under ``this_run``
        what differs from run to run: times and host.
    """

    run_dir: str
    config: Config
    counts: PairCounts
    failures: list[VariantFailure]
    summary: dict[str, Any]
    tables: dict[str, list[Row]]
    manifest: dict[str, Any]

    @cached_property
    def rates(self) -> RateEstimates:
        """Rates of all originals with intervals; recall with the orientations of the deployment."""
        return estimate_rates(
            self.counts,
            oriented=self.config.deployment.orientations,
            confidence=self.config.confidence,
            seed=self.config.seed,
        )

    def __repr__(self) -> str:
        return f"<Results in {self.run_dir}: {self.counts!r}, {len(self.failures)} failures>"

    @classmethod
    def load(cls, run_dir: PathLike) -> Results:
        """Return the results in a folder, once the files are known to be those of its manifest.

        Raises
        ------
        FileError
            A file of the results is missing, or a file is damaged or not the one that the
            manifest names. A report may be missing.
        """
        folder = checks.path("run_dir", run_dir)
        path = os.path.join(folder, MANIFEST)
        manifest = _manifest(path)
        content = {}
        try:
            base = manifest["this_run"].get("base", ".")
            config = Config.from_dict(manifest["configuration"], base=base)
            for name, digest in (manifest["results"] | manifest.get("report", {})).items():
                path_of = os.path.join(folder, *name.split("/"))
                if name not in manifest["results"] and not os.path.exists(path_of):
                    continue  # a page or figure that was deleted can be written again
                content[name] = files.read(path_of, FileError)
                if sha256(content[name]).hexdigest() != digest:
                    raise FileError(
                        os.path.join(folder, name),
                        f"is not the file that {MANIFEST} names; run the evaluation again",
                    )
            found = json.loads(content[RESULTS])
            summary, tables = found["summary"], found["tables"]
            failures = [
                VariantFailure(row["original"], row["transform"], row["error"])
                for row in tables["failures"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, FileError):
                raise
            raise _damaged(path, error) from error
        counts = PairCounts.unpacked(os.path.join(folder, COUNTS), content[COUNTS])
        return cls(folder, config, counts, failures, summary, tables, manifest)


def write(
    config: Config,
    counts: PairCounts,
    failures: Sequence[VariantFailure],
    inputs: Mapping[str, str | None],
    pictures: ThumbnailFiles,
    copies: Sequence[Sequence[int]],
    folder: RunFolder,
    this_run: Mapping[str, Any],
) -> Results:
    """Write what there is to say of the counts, and return it."""
    summary = _summary(config, counts, failures, len(inputs))
    more_summary, more_tables = build_tables(counts, config)
    named = reported_thresholds(config, more_summary)
    tables = {
        "transforms": _transforms(counts, failures),
        "transforms_by_detail_bin": _transforms_by_detail_bin(counts),
        "recall": _recall(config, counts, named),
        "detail": _detail(counts, named),
        "nearest_impostors": _nearest_impostors(counts, pictures.names),
        "suspected_duplicates": _suspected(counts, copies, pictures.names),
        "failures": [failure._asdict() for failure in failures],
    }
    summary |= more_summary
    tables |= more_tables
    content = {f"{TABLES}/{name}.csv": _csv(rows) for name, rows in tables.items()}
    content[f"{TABLES}/failures.csv"] = _csv(tables["failures"], VariantFailure._fields)
    content[RESULTS] = _json({"summary": summary, "tables": tables})
    content |= pictures.made
    digests = {name: sha256(one).hexdigest() for name, one in content.items()}
    for name in (IDENTITY, HASHES, COUNTS):
        digests[name] = sha256(files.read(folder.path(name), FileError)).hexdigest()
    digests |= {name: folder.written[name] for name in pictures.names.values() - content.keys()}
    manifest = {
        "format": _FORMAT,
        "configuration": config.to_dict(),
        "versions": {"hashes": folder.made_with, "results": versions()},
        "inputs": dict(inputs),
        "results": dict(sorted(digests.items())),
        "this_run": dict(this_run),
    }
    # A report of other results does not outlive them.
    _remove(folder.folder, folder.written.keys() - digests.keys())
    _write_into(folder.folder, content, manifest)
    return Results(folder.folder, config, counts, list(failures), summary, tables, manifest)


def add_report(results: Results, content: Mapping[str, bytes]) -> None:
    """Write the files of a report beside the results, and their digests into the manifest.

    Parameters
    ----------
    results : Results
        Of which the report speaks; its manifest is brought up to date.
    content : dict of str to bytes
        Names of files, from the folder on, and what is in them.

    Raises
    ------
    FileError
        Other results are in the folder by now, another run is at work in it, or it cannot
        be written.
    """
    path = os.path.join(results.run_dir, MANIFEST)
    manifest = {name: value for name, value in results.manifest.items() if name != "report"}
    digests = {name: sha256(one).hexdigest() for name, one in sorted(content.items())}
    with locked(results.run_dir):
        there = _manifest(path)
        if there["results"] != manifest["results"]:
            raise FileError(
                results.run_dir, "holds the results of another run by now; load it again"
            )
        _remove(results.run_dir, there.get("report", {}).keys() - digests.keys())
        manifest["report"] = digests
        _write_into(results.run_dir, content, manifest)
    results.manifest["report"] = digests


def _write_into(folder: str, content: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write files into a folder, the manifest last."""
    paths = {os.path.join(folder, *name.split("/")): one for name, one in content.items()}
    paths[os.path.join(folder, MANIFEST)] = _json(manifest)
    for path in paths:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise FileError(
                os.path.dirname(path), f"cannot be made ({error.strerror}); check the folder"
            ) from error
        files.remove_leftovers(path)
    files.write([(path, [one]) for path, one in paths.items()], FileError)


def _remove(folder: str, names: Iterable[str]) -> None:
    """Delete files that a manifest named; one that names other files is not followed."""
    for name in names:
        place, _, file = name.rpartition("/")
        if (place in (TABLES, THUMBNAILS, FIGURES) and "/" not in file) or name == REPORT:
            with suppress(OSError):
                os.unlink(os.path.join(folder, place, file))


def _manifest(path: str) -> dict[str, Any]:
    try:
        manifest = json.loads(files.read(path, FileError))
        if manifest["format"] != _FORMAT:
            raise ValueError(f"it has the format {manifest['format']}, not {_FORMAT}")
        for name in ("results", "inputs", "versions"):
            if not isinstance(manifest[name], dict):
                raise TypeError(f"its {name} are none")
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileError):
            raise
        raise _damaged(path, error) from error
    return dict(manifest)


def _damaged(path: str, error: Exception) -> FileError:
    return FileError(path, f"is damaged or of another program ({error}); run the evaluation again")


def _summary(
    config: Config, counts: PairCounts, failures: Sequence[VariantFailure], originals: int
) -> dict[str, Any]:
    impostor = counts.impostor()
    low = int((counts.detail < config.detail.minimum).sum())
    made = int((counts.genuine_distance_squared >= 0).sum())
    failed = sum(failure.transform is None for failure in failures)
    return {
        "originals": originals,
        "originals_hashed": len(counts),
        "originals_failed": failed,
        "originals_compared": int(counts.compared.sum()),
        "originals_in_selection_half": int((~counts.in_validation_half).sum()),
        "originals_in_validation_half": int(counts.in_validation_half.sum()),
        "originals_below_minimum_detail": low,
        "share_below_minimum_detail": low / len(counts),
        "variants": made,
        "variants_failed": len(failures) - failed,
        "genuine_pairs": made,
        "impostor_pairs": int(impostor.sum()),
        "impostor_pairs_of_originals": int(counts.impostor_originals.sum()),
        **{f"impostor_pairs_{half}": int(counts.impostor(half=half).sum()) for half in PAIR_HALVES},
        "pairs_excluded": counts.pairs_excluded,
        "pairs_identical": counts.pairs_identical,
        "pairs_low_detail": counts.pairs_low_detail,
        "impostor_median": _median(impostor),
        "nearest_limit": counts.nearest_limit,
        "nearest_pairs_listed": len(counts.nearest.i),
    }


def _transforms(counts: PairCounts, failures: Sequence[VariantFailure]) -> list[Row]:
    """Return how far each edit moves the hash."""
    rows = []
    for spec in counts.transforms:
        edit = transforms.parse(spec)
        row: Row = {
            "transform": spec,
            "label": edit.label,
            "transform_name": edit.name,
            "strength": edit.strength,
            "unit": edit.unit,
            "failed": sum(failure.transform == spec for failure in failures),
            **_distances(counts, spec),
        }
        impostor = counts.impostor(transform=spec)
        row["impostor_pairs"] = int(impostor.sum())
        row["impostor_nearest"] = _nearest(impostor)
        rows.append(row)
    return rows


def _transforms_by_detail_bin(counts: PairCounts) -> list[Row]:
    """Return how far each edit moves the hash, by the originals' detail bin."""
    return [
        {"transform": spec, "detail_bin": band, **_distances(counts, spec, band)}
        for spec, band in itertools.product(
            counts.transforms, range(len(counts.detail_bin_edges) + 1)
        )
    ]


def _distances(counts: PairCounts, spec: str, band: int | None = None) -> Row:
    """Return how many variants an edit made, and where their distances lie."""
    row: Row = {"n": 0}
    for prefix, oriented in (("", False), ("oriented_", True)):
        found = counts.genuine_distances(spec, detail_bin=band, oriented=oriented)
        row["n"] = len(found)
        for name, share in (("median", 0.5), ("p95", 0.95), ("largest", 1.0)):
            row[prefix + name] = math.sqrt(quantile_squared(found, share)) if len(found) else None
    return row


def _recall(config: Config, counts: PairCounts, named: Mapping[str, int]) -> list[Row]:
    """Return the recall of each transform at each named threshold, in all and by detail bin."""
    bins = (None, *range(len(counts.detail_bin_edges) + 1))
    rows: list[Row] = []
    queries: list[RecallQuery] = []
    for spec, detail_bin, oriented, (name, threshold) in itertools.product(
        counts.transforms, bins, (False, True), named.items()
    ):
        queries.append(RecallQuery(spec, threshold, oriented, detail_bin=detail_bin))
        row = {"transform": spec, "detail_bin": detail_bin, "oriented": oriented}
        rows.append(row | {"threshold_name": name, "threshold": threshold})
    estimates = estimate_recalls(counts, queries, config.confidence)
    return [row | recall._asdict() for row, recall in zip(rows, estimates, strict=True)]


def _detail(counts: PairCounts, named: Mapping[str, int]) -> list[Row]:
    """Return how many originals each detail bin has, and how its pairs of them lie."""
    rows = []
    edges = [0.0, *counts.detail_bin_edges, None]
    sizes = np.bincount(counts.detail_bin, minlength=len(counts.detail_bin_edges) + 1)
    for band, (size, impostor) in enumerate(
        zip(sizes.tolist(), counts.impostor_by_detail_bin, strict=True)
    ):
        row: Row = {
            "detail_bin": band,
            "detail_from": edges[band],
            "detail_to": edges[band + 1],
            "originals": size,
            "share": size / len(counts),
            "impostor_pairs": int(impostor.sum()),
            "impostor_nearest": _nearest(impostor),
            "impostor_median": _median(impostor),
        }
        for name, threshold in named.items():
            row[f"impostor_matches_{name}"] = int(impostor[: threshold + 1].sum())
        rows.append(row)
    return rows


def _nearest_impostors(counts: PairCounts, pictures: Mapping[Thumbnail, str]) -> list[Row]:
    """Return the closest impostor pairs, each two originals once, the first with pictures."""
    close = counts.nearest_pairs(_NEAREST)
    return [
        {
            "rank": rank,
            "original": counts.names[i],
            "other": counts.names[j],
            "transform": None if transform < 0 else counts.transforms[transform],
            "distance": math.sqrt(squared),
            "distance_squared": squared,
            "thumbnail": pictures.get(Thumbnail.of_pair(i, transform)) if rank <= PAIRS else None,
            "other_thumbnail": pictures.get(Thumbnail.of_pair(j, ORIGINAL))
            if rank <= PAIRS
            else None,
        }
        for rank, (i, j, transform, squared) in enumerate(
            zip(*(column.tolist() for column in close), strict=True), start=1
        )
    ]


def _suspected(
    counts: PairCounts, copies: Sequence[Sequence[int]], pictures: Mapping[Thumbnail, str]
) -> list[Row]:
    """Return the originals that may be copies of each other, by group, as they are excluded."""
    return [
        {
            "group": number,
            "original": counts.names[row],
            "exclude_as": exclusion_name(counts.names[row], counts.digests[row]),
            "thumbnail": pictures.get(Thumbnail.of_copies(row)),
        }
        for number, rows in enumerate(copies, start=1)
        for row in rows
    ]


def _nearest(counts: np.ndarray[Any, np.dtype[np.int64]]) -> int | None:
    """Return the first cell that holds a pair: the smallest distance, rounded up."""
    return int(np.flatnonzero(counts)[0]) if counts.any() else None


def _median(counts: np.ndarray[Any, np.dtype[np.int64]]) -> int | None:
    """Return the (lower) median of the distances, rounded up."""
    total = int(counts.sum())
    return int(np.searchsorted(np.cumsum(counts), (total + 1) // 2)) if total else None


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode("ascii")


def _csv(rows: Sequence[Row], columns: Iterable[str] = ()) -> bytes:
    """Return rows as CSV: names of columns first, empty where there is nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # CRLF, so that names with either are quoted
    writer.writerow(columns or (rows[0] if rows else ()))
    for row in rows:
        writer.writerow("" if value is None else value for value in row.values())
    return text.getvalue().encode("utf-8", "surrogateescape")
