"""Configurations, hashes and folders that the tests of evaluations share."""

import json
from dataclasses import replace

import numpy as np

import photodna_nb as pdna
from photodna_nb.evaluation import Config, Results, tables
from photodna_nb.evaluation.deployment import choose_thresholds
from photodna_nb.evaluation.hasher_scale import PHOTODNA
from photodna_nb.evaluation.influence import measure_influence
from photodna_nb.evaluation.rates import estimate_run
from photodna_nb.evaluation.summary import build_summary
from photodna_nb.evaluation.variant_hashes import VariantHashes

DRAWN = {"originals": {"kind": "dead_leaves", "number": 9, "size": [64, 48]}}


EDITS = ["jpeg:30", "mirror", "noise:10", "webp:40", "resize:50+logo:30"]


def config_of(base=".", **sections):
    return Config.from_dict({**DRAWN, **sections}, base=base)


def photo_config(photos, **sections):
    return config_of(
        photos.parent,
        **{
            "originals": {"kind": "directory", "path": "photos"},
            "variants": {"transforms": EDITS},
            **sections,
        },
    )


def contents(folder):
    """Every file of a run, without what differs from run to run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            found[str(path.relative_to(folder))] = path.read_bytes()
    manifest = json.loads(found["manifest.json"])
    this_run = manifest.pop("this_run")
    del manifest["digest"]  # of what differs from run to run, too
    assert {"started", "seconds", "host", "threads"} <= set(this_run)
    found["manifest.json"] = manifest
    return found


def some_hashed(n, v, seed, prefix="o"):
    """Hashes with near and equal ones among them, of which some variants are missing."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 120, (n, 144), np.uint8)
    for row in range(n // 2):
        hashes[row] = hashes[-1 - row]
        hashes[row, : row % 4] += 1
    moved = rng.integers(0, 9, (n, v, 144), np.uint8) * rng.integers(0, 3, (n, v, 1), np.uint8)
    edited = hashes[:, None] + moved
    if v > 1:
        edited[:, 1] = pdna.orientations(hashes)[:, 3]
    made = rng.random((n, v)) < 0.8
    edited[~made] = 0
    detail = rng.choice([50.0, 100.0, 700.0, 5000.0], n)
    names = tuple(f"{prefix}{row}" for row in range(n))
    specs = ("jpeg:30", "turn:90", "blur:1")[:v]
    digests = tuple(f"digest of {name}" for name in names)
    of_variants = np.where(made, 800.0, np.nan)
    return VariantHashes(names, digests, specs, hashes, detail, edited, made, of_variants)


def with_copies(hashed, copies):
    """The same, but some originals are copies of others, whose variants differ nevertheless."""
    digests = list(hashed.digests)
    hashes, detail = hashed.hashes.copy(), hashed.detail.copy()
    for i, j in copies:
        digests[i], hashes[i], detail[i] = digests[j], hashes[j], detail[j]
    return replace(hashed, digests=tuple(digests), hashes=hashes, detail=detail)


def results_of(counts, config):
    """The results of counts, without a folder."""
    estimates = estimate_run(counts, config)
    thresholds = choose_thresholds(config, estimates)
    influence = measure_influence(config, counts, estimates.all_originals)
    summary = build_summary(config, counts, [], estimates, thresholds, influence)
    by_name = tables.build_tables(config, counts, [], estimates, thresholds, influence=influence)
    return Results("", config, counts, [], summary, by_name, {}, _estimates=estimates)


def cell(squared):
    """The smallest whole number whose square is no less."""
    return next(t for t in range(PHOTODNA.n_bins) if t * t >= squared)


def by_original(table):
    """Return the distances of a table (n, v) that are not -1, and their rows."""
    table = np.asarray(table)
    return table[table >= 0], np.nonzero(table >= 0)[0]


def genuine_table(counts, oriented=False):
    """Return the squared distance of each variant from its original, (n, v), -1 for none."""
    table = np.full((len(counts), len(counts.transforms)), -1)
    table[counts.genuine.i, counts.genuine.transform] = counts.genuine.squared(oriented)
    return table
