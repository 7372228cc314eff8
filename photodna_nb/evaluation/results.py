"""The results of a run, their files and their manifest."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from photodna_nb import checks
from photodna_nb.errors import ArgumentError, ArgumentTypeError, FileError, PhotodnaError
from photodna_nb.evaluation import hasher_comparison, results_schema, run_files
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.config_hashers import PHOTODNA_ALONE
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.hasher_scale import PHOTODNA, HasherScale
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.rates import RunEstimates
from photodna_nb.evaluation.run_files import (
    COPIES,
    COUNTS,
    HASHES,
    IDENTITY,
    MANIFEST,
    RESULTS,
    SCHEMA,
    TABLES,
    THUMBNAILS,
    Identity,
    check_digest,
    check_size,
    damaged,
    hasher_file,
    largest_total,
    manifest_digest,
    parsed,
    path_of,
    read,
    read_manifest,
    remove,
)
from photodna_nb.evaluation.run_folder import RunFolder, locked, result_versions
from photodna_nb.evaluation.tables import Tables
from photodna_nb.evaluation.threshold_rows import Row
from photodna_nb.evaluation.thumbnails import ThumbnailFiles, read_thumbnail
from photodna_nb.evaluation.variant_hashes import VariantFailure
from photodna_nb.files import PathLike
from photodna_nb.tables.csv_format import harmless_cell


@dataclass(frozen=True, eq=False)
class Results:
    """The results of a run. All of them are in its folder, and `load` reads them again.

    Attributes
    ----------
    run_dir : str
        The folder: ``manifest.json``; ``results.json`` with the summary and all tables;
        ``tables/NAME.csv``; ``counts.npz`` and ``hashes.npz``; ``thumbnails``, of the nearest
        impostor pairs; ``run.json``, which identifies the run. Of each hasher but the first,
        ``hashers/NAME`` has ``counts.npz``, ``results.json`` and ``tables``.
    config : Config
        The configuration.
    counts : PairCounts
        Counts of all pairs by the first hasher, of which the other results are, too.
    failures : list of VariantFailure
        Originals and variants without a hash, in the order of the originals.
    summary : dict
        Numbers that describe the run as a whole: counts, curves, tail, thresholds.
    tables : dict of str to list of dict
        Rows of the tables, by name.
    manifest : dict
        Configuration, versions, and digests of the originals, results and report; under ``files``
        those of further inputs, by the keys of the configuration that name them; under
        ``this_run`` the values that differ from run to run, such as times and host.
    """

    run_dir: str
    config: Config
    counts: PairCounts
    failures: list[VariantFailure]
    summary: dict[str, Any]
    tables: Tables
    manifest: dict[str, Any]
    loaded: bool = False
    _estimates: RunEstimates | None = field(default=None, repr=False)
    _others: Sequence[HasherResults] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"<Results in {self.run_dir}: {self.counts!r}, {len(self.failures)} failures>"

    @cached_property
    def hashers(self) -> dict[str, HasherResults]:
        """The results of each hasher by its name, in the order of the configuration.

        Those of the first are also attributes of its own.
        """
        hasher = self.counts.hasher
        listed = self.config.hash_names[0]
        first = HasherResults(
            listed,
            self.config.of_hasher(listed, hasher),
            self.counts,
            self.failures,
            self.summary,
            self.tables,
            self._estimates,
        )
        return {hasher.name: first} | {one.hasher.name: one for one in self._others}

    @property
    def unit(self) -> str:
        """The unit of the distances and thresholds: ``"L2"`` for "photodna"."""
        return self.counts.hasher.unit

    @property
    def estimates(self) -> RunEstimates:
        """Rates with confidence intervals: of all originals, and of each half.

        If the results were loaded, they are estimated from the counts at the first use.
        """
        return self.hashers[self.counts.hasher.name].estimates

    @classmethod
    def load(cls, run_dir: PathLike) -> Results:
        """Return the results in a folder, after all files are checked against its manifest.

        Parameters
        ----------
        run_dir : str or os.PathLike
            The folder of a run that `run` has finished.

        Raises
        ------
        FileError
            A file of the results is missing, damaged, of another version, or not the one in the
            manifest. A report may be missing.
        """
        folder = checks.path("run_dir", run_dir)
        path = os.path.join(folder, MANIFEST)
        manifest = read_manifest(folder)
        try:
            base = manifest["this_run"]["base"]
            config = Config.from_dict(manifest["configuration"], base=base)
        except PhotodnaError as error:
            raise damaged(path, str(error)) from error
        not_kept = manifest.get("not_kept", {}).keys() & {HASHES}
        if missing := {COUNTS, HASHES, IDENTITY, RESULTS} - not_kept - manifest["results"].keys():
            raise damaged(path, f"its results lack {', '.join(sorted(missing))}")
        digests = manifest["results"] | {
            name: digest
            for name, digest in manifest.get("report", {}).items()
            if os.path.lexists(path_of(folder, name))  # otherwise it can be written again
        }
        hashers = _hashers(folder, manifest)
        n_images = len(manifest["inputs"]) + len(manifest.get("copies", {}))
        largest = largest_total(n_images, len(config.transforms), hashers.values())
        check_size(folder, digests, largest)
        found: list[HasherResults] = []
        for listed, hasher in hashers.items():
            names = _names_of(hasher, first=not found)
            if missing := set(names) - digests.keys():
                raise damaged(path, f"its results lack {', '.join(sorted(missing))}")
            packed, results = (read(folder, name, digests.pop(name), largest) for name in names)
            content = parsed(path_of(folder, names[1]), results, results_schema.ResultsFile)
            summary, tables = content["summary"], content["tables"]
            counts = PairCounts.unpacked(path_of(folder, names[0]), packed)
            if counts.hasher != hasher:
                raise damaged(path_of(folder, names[0]), "the counts are of another hasher")
            try:
                own = config.of_hasher(listed, hasher)
            except ArgumentError as error:
                raise damaged(path, str(error)) from error
            mismatch = results_schema.mismatch(summary, tables, counts, own, manifest["inputs"])
            if mismatch:
                raise damaged(path_of(folder, names[1]), mismatch)
            failures = [VariantFailure(**row) for row in tables["failures"]]
            found.append(HasherResults(listed, own, counts, failures, summary, tables))
        if mismatch := hasher_comparison.mismatch(config, found[0].tables, found):
            raise damaged(path_of(folder, RESULTS), mismatch)
        for name, digest in digests.items():
            if name.startswith(THUMBNAILS):
                read_thumbnail(folder, name, digest)
            else:
                check_digest(folder, name, digest)
        return cls._of(folder, config, found, manifest, loaded=True)

    @classmethod
    def _of(
        cls,
        run_dir: str,
        config: Config,
        found: Sequence[HasherResults],
        manifest: dict[str, Any],
        loaded: bool,
    ) -> Results:
        first, *others = found
        return cls(
            run_dir,
            config,
            first.counts,
            first.failures,
            first.summary,
            first.tables,
            manifest,
            loaded,
            first._estimates,
            others,
        )

    def thumbnail(self, name: str) -> bytes:
        """Return a thumbnail that a table names, a JPEG.

        Parameters
        ----------
        name : str
            Name of the file, from a column `thumbnail` or `other_thumbnail`.

        Raises
        ------
        FileError
            The file is missing, not the one in the manifest, or no thumbnail.
        """
        digest = self.manifest["results"].get(name)
        if digest is None:
            raise FileError(
                path_of(self.run_dir, name), f"is not in {MANIFEST}; run the evaluation again"
            )
        return read_thumbnail(self.run_dir, name, digest)


def loaded(name: str, results: Results | PathLike) -> Results:
    """Return the argument `name`, results or the folder of a run, as results."""
    if isinstance(results, str | os.PathLike):
        return Results.load(results)
    if not isinstance(results, Results):
        needed = "Results, or the path of a run's folder"
        raise ArgumentTypeError(checks.message(name, checks.describe(results), needed))
    return results


def write_results(
    folder: RunFolder,
    config: Config,
    found: Sequence[HasherResults],
    inputs: Mapping[str, str | None],
    copies: Mapping[str, str | None],
    thumbnails: Sequence[ThumbnailFiles],
    file_digests: Mapping[str, str],
    hashes_digest: str,
    this_run: Mapping[str, Any],
) -> Results:
    """Write the results and the manifest of a run into its folder, and return them."""
    content: dict[str, bytes] = {}
    counted = []
    for one in found:
        prefix = hasher_file(one.hasher.name, "") if content else ""
        of_tables = {name: csv_table(rows) for name, rows in one.tables.items()}
        of_tables["failures"] = csv_table(one.tables["failures"], VariantFailure._fields)
        content |= {f"{prefix}{TABLES}/{name}.csv": data for name, data in of_tables.items()}
        values = {"schema": SCHEMA, "summary": one.summary, "tables": one.tables}
        content[prefix + RESULTS] = _json(values)
        counted.append(prefix + COUNTS)
    for of_hasher in thumbnails:
        content |= of_hasher.new
    digests = {name: sha256(data).hexdigest() for name, data in content.items()}
    digests |= {name: folder.digest(name) for name in (IDENTITY, *counted)}
    hashes = {HASHES: hashes_digest}
    not_kept = {} if config.privacy.hashes else hashes
    if config.privacy.hashes:
        digests |= hashes | ({COPIES: folder.digest(COPIES)} if copies else {})
    names = {name for of_hasher in thumbnails for name in of_hasher.names.values()}
    kept = names - content.keys()
    digests |= {name: folder.digests[name] for name in kept}
    manifest = {
        "schema": SCHEMA,
        "configuration": config.to_dict(),
        "versions": {"hashes": folder.made_with, "results": result_versions()},
        "inputs": dict(inputs),
        "results": dict(sorted(digests.items())),
        **({"files": dict(file_digests)} if file_digests else {}),
        **({"not_kept": not_kept} if not_kept else {}),
        **({"copies": dict(copies)} if copies else {}),
        "this_run": dict(this_run),
    }
    # Delete the report of earlier results.
    remove(folder.folder, _others(folder.digests, digests))
    _write(folder.folder, content, manifest)
    return Results._of(folder.folder, config, found, manifest, loaded=False)


def _hashers(folder: str, manifest: Mapping[str, Any]) -> dict[str, HasherScale]:
    """Return the hashers of a run by their names in the configuration, from ``run.json``."""
    path = path_of(folder, IDENTITY)
    content = read(folder, IDENTITY, manifest["results"][IDENTITY])
    listed = parsed(path, content, Identity)["hashing"].get("hashers")
    names = tuple(manifest["configuration"].get("hash", {}).get("names", PHOTODNA_ALONE))
    if not listed:
        hashers = {PHOTODNA.name: PHOTODNA}
    else:
        try:
            hashers = {one.pop("listed"): HasherScale.checked(**one) for one in listed}
        except (ArgumentError, ArgumentTypeError) as error:
            raise damaged(path, str(error)) from error
    if tuple(hashers) != names:
        raise damaged(path, "it has other hashers than the configuration")
    return hashers


def _names_of(hasher: HasherScale, first: bool) -> tuple[str, str]:
    """Return the names of the files with the counts and the results of a hasher."""
    if first:
        return COUNTS, RESULTS
    return hasher_file(hasher.name, COUNTS), hasher_file(hasher.name, RESULTS)


def add_report(results: Results, content: Mapping[str, bytes]) -> None:
    """Write the files of a report beside the results, and their digests into the manifest.

    Parameters
    ----------
    results : Results
        Results that the report describes; their manifest is updated.
    content : dict of str to bytes
        Content of files, by their paths relative to the folder.

    Raises
    ------
    FileError
        The folder now has other results, another run uses it, or it cannot be written.
    """
    manifest = {name: value for name, value in results.manifest.items() if name != "report"}
    digests = {name: sha256(data).hexdigest() for name, data in sorted(content.items())}
    with locked(results.run_dir):
        current = read_manifest(results.run_dir)
        if current["results"] != manifest["results"]:
            raise FileError(results.run_dir, "now holds the results of another run; load it again")
        remove(results.run_dir, _others(current.get("report", {}), digests))
        manifest["report"] = digests
        _write(results.run_dir, content, manifest)
    results.manifest["report"] = digests


def _write(folder: str, content: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write files into a folder, the manifest last."""
    complete = _json({**manifest, "digest": manifest_digest(manifest)})
    run_files.write(folder, {**content, MANIFEST: complete})


def _others(digests: Mapping[str, str], names: Container[str]) -> dict[str, str]:
    """Return the digests of files with other names."""
    return {name: digest for name, digest in digests.items() if name not in names}


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode("ascii")


def _cell(value: Any) -> Any:
    return harmless_cell(value) if isinstance(value, str) else "" if value is None else value


def csv_table(rows: Sequence[Row], columns: Iterable[str] = ()) -> bytes:
    """Return rows as CSV with a header; None is an empty field, and no text is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # CRLF, so that names with either are quoted
    writer.writerow(columns or (rows[0] if rows else ()))
    for row in rows:
        writer.writerow(map(_cell, row.values()))
    return text.getvalue().encode("utf-8", "surrogateescape")
