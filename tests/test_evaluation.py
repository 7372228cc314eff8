"""Evaluations: configuration, counts beside plain Python, runs that repeat to the byte."""

import base64
import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import tracemalloc
import zipfile
from dataclasses import replace
from hashlib import sha256
from itertools import combinations

import numpy as np
import oracle
import pytest
from conftest import JIT_OFF, ROOT
from PIL import Image

import photodna_nb as pdna
from photodna_nb import files, journal, npz
from photodna_nb.corpus import transforms
from photodna_nb.evaluation import (
    Config,
    PairCounts,
    Results,
    intervals,
    pair_counts,
    results,
    run,
    run_evaluation,
    run_folder,
    summary,
    variant_hashes,
)
from photodna_nb.evaluation.config import DirectoryOriginals, ThresholdsConfig
from photodna_nb.evaluation.exclusions import excluded_rows, exclusion_name
from photodna_nb.evaluation.json_record import json_number
from photodna_nb.evaluation.pair_counting import VariantHashes, count_pairs
from photodna_nb.evaluation.pair_counts import CELLS, PAIR_HALVES
from photodna_nb.evaluation.run_evaluation import validation_half
from photodna_nb.evaluation.thresholds import OperatingPoint, ThresholdChoice
from photodna_nb.hashing import images

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

EXAMPLE = ROOT / "data" / "evaluation.toml"
DRAWN = {"originals": {"kind": "dead_leaves", "number": 9, "size": [64, 48]}}


def config_of(base=".", **sections):
    return Config.from_dict({**DRAWN, **sections}, base=base)


# Configuration


def test_the_example_says_what_the_defaults_are():
    example = Config.load(EXAMPLE)
    assert len(example.variants) == 20
    assert example.originals.number == 1000
    left_out = Config.from_dict({"originals": {"kind": "dead_leaves", "number": 1000}})
    for section in ("originals", "seed", "confidence", "pairs", "detail", "deployment"):
        assert getattr(example, section) == getattr(left_out, section)
    assert example.thresholds.targets == left_out.thresholds.targets
    assert left_out.variants == transforms.standard()
    assert left_out.thresholds.named == {"production": 200}


@pytest.mark.parametrize(
    "originals",
    [
        {"kind": "dead_leaves", "number": 2, "size": [20, 30], "seed": 5},
        {"kind": "directory", "path": "photos", "recursive": False},
        {"kind": "list", "path": "list.txt"},
        {"kind": "list", "paths": ["b.png", "a.png"]},
        {"kind": "installed"},
    ],
)
def test_a_configuration_survives_being_written(originals):
    config = config_of(
        originals=originals,
        seed=3,
        confidence=0.9,
        variants={"transforms": ["jpeg:30", "resize:50+mirror"]},
        pairs={
            "variants_against_others": False,
            "exclude": [["a", "b"], ['é"\n', "\x7f\\", "e", "sha256:" + 64 * "0"]],
            "count_identical": True,
            "min_detail": 99.5,
        },
        thresholds={"named": {"x": 0, "y z": 3060}, "targets": [1e-6, 0.5, 1e-6]},
        detail={"minimum": 0, "bins": [1, 2.5]},
        deployment={
            "list_size": 5,
            "queries_per_day": 7,
            "max_false_matches_per_day": 2,
            "orientations": True,
        },
    )
    text = json.dumps(config.to_dict())
    again = Config.from_dict(json.loads(text))
    assert again == config
    assert json.dumps(again.to_dict()) == text
    assert Config.from_dict(tomllib.loads(config.to_toml())) == config
    assert config.to_dict()["originals"] == originals
    assert config.thresholds.targets == (0.5, 1e-6)


WRONG = [
    ({"orginals": {}}, "originals: is missing; is it what orginals was meant to be?"),
    ({}, "originals: is missing; add it"),
    ({"originals": 3}, r"originals: got int, needs a section, \[originals\]"),
    ({"originals": {}}, "originals.kind: is missing; add it"),
    ({"originals": {"kind": "deadleaves"}}, "kind 'deadleaves': is unknown; did you mean dead_le"),
    ({"originals": {"kind": "x"}}, "is unknown; there are dead_leaves, directory, list, installed"),
    ({"originals": {"kind": "installed", "path": "x"}}, "originals.path: is unknown; there are k"),
    ({"originals": {"kind": "dead_leaves", "numbr": 3}}, "number: is missing; is it what numbr"),
    ({"originals": {"kind": "dead_leaves", "number": 1}}, "number: got 1, needs a whole number fr"),
    ({"originals": {"kind": "dead_leaves", "number": True}}, "got bool, needs a whole number"),
    ({"originals": {"kind": "dead_leaves", "number": 3, "size": [3]}}, r"needs \[width, height\]"),
    ({"originals": {"kind": "dead_leaves", "number": 3, "size": [1, 3]}}, "size: got 1, needs"),
    ({"originals": {"kind": "directory"}}, "originals.path: is missing"),
    ({"originals": {"kind": "directory", "path": ""}}, "path: got '', needs text"),
    ({"originals": {"kind": "directory", "path": "x", "recursive": 1}}, "needs true or false"),
    ({"originals": {"kind": "list"}}, "a list needs either path, .* or paths"),
    ({"originals": {"kind": "list", "path": "x", "paths": ["y"]}}, "a list needs either path"),
    ({"originals": {"kind": "list", "paths": "x"}}, "paths: got str, needs a list of texts"),
    ({"seed": -1}, "seed: got -1, needs a whole number from 0 to 9223372036854775807"),
    ({"seed": 2**63}, "seed: got 9223372036854775808, needs a whole number from 0 to 9223"),
    ({"seed": 10**5000}, "seed: got a number of more than 20 digits, needs a whole number"),
    ({"originals": {"kind": "dead_leaves", "number": 10**8 + 1}}, "number: got 100000001, needs"),
    ({"originals": {"kind": "dead_leaves", "number": 3, "seed": 2**63}}, "originals.seed: got 92"),
    ({"confidence": 1}, "confidence: got 1, needs a number from 0.5 to 0.9999"),
    ({"confidence": 0.499}, "confidence: got 0.499, needs a number from 0.5 to 0.9999"),
    ({"confidence": float("nan")}, "confidence: got nan, needs a number from 0.5 to 0.9999"),
    ({"confidence": "high"}, "confidence: got str"),
    (
        {"variants": {"transform": []}},
        "variants.transform: is unknown; did you mean transforms?",
    ),
    ({"variants": {"transforms": []}}, "variants.transforms: got none, needs at least one"),
    ({"variants": {"transforms": "jpeg:30"}}, "transforms: got str, needs a list such as"),
    (
        {"variants": {"transforms": ["jpg:30"]}},
        "'jpg:30': .*transform called 'jpg'; did you mean jpeg",
    ),
    ({"variants": {"transforms": ["jpeg:0"]}}, "'jpeg:0': jpeg: got the strength 0, needs"),
    ({"variants": {"transforms": [3]}}, "transforms: 3: spec: got int"),
    ({"variants": {"transforms": ["mirror", " mirror"]}}, "' mirror' is listed twice"),
    ({"pairs": {"exclude": ["a", "b"]}}, "exclude: got str, needs a list of texts"),
    ({"pairs": {"exclude": [["a"]]}}, "needs two or more different names"),
    ({"pairs": {"exclude": [["a", "a"]]}}, "needs two or more different names"),
    ({"thresholds": {"named": {"x": 200.5}}}, "named.x: got float, needs a whole number from 0 to"),
    ({"thresholds": {"named": {"x": 3061}}}, "named.x: got 3061"),
    ({"thresholds": {"named": {" \t": 3}}}, r"named: got the name ' \\t', needs names that are"),
    ({"thresholds": {"named": {"": 3}}}, "named: got '', needs text"),
    ({"thresholds": {"named": [200]}}, "named: got list, needs a section"),
    ({"thresholds": {"targets": [0]}}, "targets: got 0, needs a number above 0"),
    ({"thresholds": {"targets": [float("nan")]}}, "targets: got nan, needs a number above 0"),
    ({"detail": {"minimum": -1}}, "minimum: got -1, needs a number of at least 0"),
    ({"detail": {"minimum": float("inf")}}, "minimum: got inf, needs a number of at least 0"),
    ({"detail": {"bins": [5, 5]}}, r"bins: got \[5.0, 5.0\], needs increasing numbers"),
    ({"pairs": {"count_identical": 0}}, "count_identical: got int, needs true or false"),
    ({"pairs": {"min_detail": -1}}, "min_detail: got -1, needs a number of at least 0"),
    (
        {"deployment": {"max_false_matches_per_day": 0}},
        "max_false_matches_per_day: got 0, needs a number above 0",
    ),
    (
        {"deployment": {"max_false_matches_per_day": 10**400}},
        "max_false_matches_per_day: got a number of more than 20 digits, needs",
    ),
    (
        {"deployment": {"list_size": 10**400}},
        "list_size: got a number of more than 20 digits, needs a",
    ),
    (
        {"deployment": {"list_size": 10**15 + 1}},
        "got 1000000000000001, needs a whole number from 1 to",
    ),
    (
        {"deployment": {"queries_per_day": 10**15 + 1}},
        "queries_per_day: got 1000000000000001, needs",
    ),
    ({"deployment": {"list_size": 1e6}}, "list_size: got float, needs a whole number"),
    ({"deployment": {"orientation": True}}, "orientation: is unknown; did you mean orientations?"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_a_wrong_configuration(values, message):
    values = {**DRAWN, **values} if values and "orginals" not in values else values
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=message):
        Config.from_dict(values)


def test_the_largest_values(tmp_path):
    config = config_of(
        originals={"kind": "dead_leaves", "number": 10**8, "seed": 2**63 - 1},
        seed=2**63 - 1,
        confidence=0.9999,
        deployment={
            "list_size": 10**15,
            "queries_per_day": 10**15,
            "max_false_matches_per_day": 10**300,
        },
    )
    assert Config.from_dict(tomllib.loads(config.to_toml())) == config
    assert config_of(confidence=0.5).confidence == 0.5
    drawn = {"kind": "dead_leaves", "number": 4, "size": [20, 20], "seed": 2**63 - 1}
    some = replace(config, originals=config_of(originals=drawn).originals)
    results = run(replace(some, variants=some.variants[:1]), tmp_path / "run")
    assert results.tables["deployment"][0]["list_size"] == 10**15
    assert Results.load(tmp_path / "run").config.seed == 2**63 - 1


def test_what_toml_cannot_hold():
    odd = "\udcff.jpg"
    for config in (
        config_of(originals={"kind": "list", "paths": ["a.jpg", odd]}),
        config_of(pairs={"exclude": [["a.jpg", odd]]}),
        config_of(originals={"kind": "directory", "path": odd}),
    ):
        with pytest.raises(pdna.ArgumentError, match=r"config: \\xff.jpg is no UTF-8 text, which"):
            config.to_toml()
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    config = replace(config_of(), thresholds=ThresholdsConfig(targets=(0.1, 0.2)))
    with pytest.raises(pdna.ArgumentError, match="config: would be read as another one"):
        config.to_toml()
    with pytest.raises(pdna.ArgumentError, match=r"originals.path: got ''"):
        Config(DirectoryOriginals("")).to_toml()


def test_errors_name_the_file(tmp_path):
    with pytest.raises(pdna.FileError, match=r"none.toml: no such file"):
        Config.load(tmp_path / "none.toml")
    path = tmp_path / "config.toml"
    for content, message in (
        (b"x = \n", r"is no TOML file \(.*at line 1"),
        (b"\xff", "is no TOML file"),
        (b"seed = 1" + 5000 * b"0", "is no TOML file"),
        (b"seed = " + 5000 * b"[", "is no TOML file"),
        (b"seed = -1\n[originals]\nkind = 'installed'", "seed: got -1"),
        (b"[originals]\nkind = 'installed'\n[pears]\n", "pears: is unknown; did you mean pairs?"),
    ):
        path.write_bytes(content)
        with pytest.raises(pdna.FileError, match=f"config.toml: {message}"):
            Config.load(path)
    with pytest.raises(pdna.ArgumentTypeError, match="values: got list"):
        Config.from_dict([])
    with pytest.raises(pdna.ArgumentTypeError, match="run_dir: got int, needs a path"):
        run(config_of(), 3)
    with pytest.raises(pdna.ArgumentTypeError, match="config: got dict, needs a Config, or the"):
        run({}, tmp_path)


def test_paths_start_from_the_folder_of_the_file(tmp_path, monkeypatch):
    inside = tmp_path / "a" / "photos"
    inside.mkdir(parents=True)
    for name in ("1.png", "2.png"):
        Image.new("RGB", (9, 9)).save(inside / name)
    (tmp_path / "a" / "list.txt").write_text("photos/2.png\nphotos/1.png\n")
    monkeypatch.chdir(tmp_path)
    for text, names in (
        ("kind = 'directory'\npath = 'photos'", ["1.png", "2.png"]),
        ("kind = 'list'\npath = 'list.txt'", ["photos/2.png", "photos/1.png"]),
        ("kind = 'list'\npaths = ['photos/1.png']", ["photos/1.png"]),
    ):
        (tmp_path / "a" / "config.toml").write_text(f"[originals]\n{text}\n")
        dataset = Config.load("a/config.toml").dataset()
        assert [original.name for original in dataset] == names
        assert dataset[0].open().size == (9, 9)


# Counts


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


def cell(squared):
    """The smallest whole number whose square is no less."""
    return next(t for t in range(CELLS) if t * t >= squared)


def naive_count(
    hashed, in_validation_half, bands, exclude, with_variants, count_identical=False, min_detail=0
):
    """Plain Python: every pair is looked at."""
    n, v = hashed.available.shape
    rows = hashed.hashes.tolist()
    excluded = {tuple(sorted(pair)) for pair in exclude}
    band = [sum(detail >= edge for edge in bands) for detail in hashed.detail.tolist()]
    found = {
        "genuine": [[-1] * v for _ in range(n)],
        "oriented": [[-1] * v for _ in range(n)],
        "originals": np.zeros((3, CELLS), int),
        "variants": np.zeros((v, 3, CELLS), int),
        "bands": np.zeros((len(bands) + 1, CELLS), int),
        "excluded": 0,
        "identical": 0,
        "low_detail": 0,
        "close": [],
    }

    def part(i, j):
        return 2 if in_validation_half[i] != in_validation_half[j] else int(in_validation_half[i])

    def left_out(i, j):
        if tuple(sorted((i, j))) in excluded:
            return "excluded"
        if hashed.digests[i] == hashed.digests[j] and not count_identical:
            return "identical"
        return "low_detail" if min(hashed.detail[i], hashed.detail[j]) < min_detail else None

    for i, j in combinations(range(n), 2):
        if reason := left_out(i, j):
            found[reason] += 1
            continue
        squared = oracle.distance_squared(rows[i], rows[j])
        found["originals"][part(i, j), cell(squared)] += 1
        found["bands"][min(band[i], band[j]), cell(squared)] += 1
        found["close"].append((squared, i, j, -1))
    for i in range(n):
        for t in range(v):
            if not hashed.available[i, t]:
                continue
            edited = hashed.variants[i, t].tolist()
            found["genuine"][i][t] = oracle.distance_squared(edited, rows[i])
            ways = pdna.orientations(hashed.variants[i, t]).tolist()
            found["oriented"][i][t] = min(oracle.distance_squared(way, rows[i]) for way in ways)
            for j in range(n):
                if i == j or not with_variants:
                    continue
                if reason := left_out(i, j):
                    found[reason] += 1
                    continue
                squared = oracle.distance_squared(edited, rows[j])
                found["variants"][t, part(i, j), cell(squared)] += 1
                found["close"].append((squared, i, j, t))
    found["close"].sort()
    return found


@pytest.mark.parametrize(
    ("n", "v", "halves", "exclude", "with_variants", "listed"),
    [
        (15, 3, "01", [(0, 14), (3, 1), (1, 3), (2, 12)], True, 10**6),
        (15, 3, "01", [], True, 100),
        (12, 2, "01", [(0, 11)], False, 10**6),
        (9, 1, "0", [(0, 8)], True, 10),
        (8, 2, "1", list(combinations(range(8), 2)), True, 10**6),
        (2, 1, "01", [], True, 10**6),
        (6, 1, "01", [], True, 0),
    ],
)
def test_counts(n, v, halves, exclude, with_variants, listed):
    hashed = some_hashed(n, v, seed=n)
    in_validation_half = np.random.default_rng(n).choice([half == "1" for half in halves], n)
    bands = (100.0, 600.0, 9000.0)
    found = count_pairs(
        hashed,
        in_validation_half,
        detail_bins=bands,
        exclude=exclude,
        variants_against_others=with_variants,
        max_listed=listed,
    )
    check_counts(
        found,
        naive_count(hashed, in_validation_half.tolist(), bands, exclude, with_variants),
        listed,
    )


def with_copies(hashed, copies):
    """The same, but some originals are copies of others, whose variants differ nevertheless."""
    digests = list(hashed.digests)
    hashes, detail = hashed.hashes.copy(), hashed.detail.copy()
    for i, j in copies:
        digests[i], hashes[i], detail[i] = digests[j], hashes[j], detail[j]
    return replace(hashed, digests=tuple(digests), hashes=hashes, detail=detail)


@pytest.mark.parametrize("with_variants", [True, False])
@pytest.mark.parametrize("count_identical", [True, False])
@pytest.mark.parametrize("min_detail", [0, 100, 101, 6000])
def test_pairs_of_identical_and_of_flat_originals(with_variants, count_identical, min_detail):
    copies = [(14, 0), (3, 0), (9, 0), (5, 4), (12, 11)]
    hashed = with_copies(some_hashed(16, 3, seed=6), copies)
    in_validation_half = np.random.default_rng(1).random(16) < 0.5
    bands = (100.0, 600.0, 9000.0)
    options = {"count_identical": count_identical, "min_detail": min_detail}
    found = {}
    for exclude in ([], [(0, 14), (2, 3), (1, 7), (3, 6), (4, 5)]):
        naive = naive_count(
            hashed, in_validation_half.tolist(), bands, exclude, with_variants, **options
        )
        for listed in (10**6, 150):
            found = count_pairs(
                hashed,
                in_validation_half,
                detail_bins=bands,
                exclude=exclude,
                variants_against_others=with_variants,
                max_listed=listed,
                **options,
            )
            check_counts(found, naive, listed)
    assert found.compared.tolist() == [detail >= min_detail for detail in hashed.detail]
    assert (found.pairs_identical > 0) == (not count_identical)
    assert (found.pairs_low_detail > 0) == (min_detail > 0)
    np.testing.assert_array_equal(found.hash_sample, hashed.hashes[found.compared])


def test_a_file_that_changed_while_it_was_read():
    """The digest of another picture than the hash: no pair is taken for one of identical ones."""
    hashed = some_hashed(6, 1, seed=3)
    hashed = replace(hashed, digests=("same", "same", *hashed.digests[2:]))
    assert (hashed.hashes[0] != hashed.hashes[1]).any()
    assert count_pairs(hashed, np.zeros(6, bool)).pairs_identical == 0


def test_many_copies_of_one_picture_take_no_memory():
    """Not a list of their pairs, of which there are 32 million."""
    hashed = some_hashed(8, 1, seed=5)
    rows = np.r_[np.zeros(8000, int), np.arange(8)]
    many = VariantHashes(
        tuple(map(str, range(len(rows)))),
        tuple(hashed.digests[row] for row in rows),
        hashed.transforms,
        *(
            getattr(hashed, name)[rows]
            for name in ("hashes", "detail", "variants", "available", "variants_detail")
        ),
    )
    tracemalloc.start()
    found = count_pairs(many, np.zeros(len(rows), bool), max_listed=1000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.pairs_identical > 8001 * 8000 // 2
    assert most < 60e6


def check_counts(found, naive, listed):
    assert found.genuine_distance_squared.tolist() == naive["genuine"]
    assert found.genuine_oriented_distance_squared.tolist() == naive["oriented"]
    np.testing.assert_array_equal(found.impostor_originals, naive["originals"])
    np.testing.assert_array_equal(found.impostor_variants, naive["variants"])
    np.testing.assert_array_equal(found.impostor_by_detail_bin, naive["bands"])
    for reason in ("excluded", "identical", "low_detail"):
        assert getattr(found, f"pairs_{reason}") == naive[reason]
    squared = [one[0] for one in naive["close"]]
    limit = max(t for t in range(-1, CELLS) if sum(s <= t * abs(t) for s in squared) <= listed)
    assert found.nearest_limit == limit
    close = found.nearest
    columns = (close.distance_squared, close.i, close.j, close.transform)
    kept = [one for one in naive["close"] if one[0] <= limit * abs(limit)]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == kept
    once = {}
    for one in kept:
        once.setdefault(frozenset(one[1:3]), one)
    columns = found.nearest_pairs(4)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (i, j, t, s) for s, i, j, t in list(once.values())[:4]
    ]


def test_what_is_read_off_counts():
    hashed = some_hashed(40, 3, seed=1)
    in_validation_half = validation_half(hashed.names, 7)
    assert 8 < in_validation_half.sum() < 32
    np.testing.assert_array_equal(validation_half(hashed.names[5:9], 7), in_validation_half[5:9])
    assert (validation_half(hashed.names, 8) != in_validation_half).any()
    found = count_pairs(hashed, in_validation_half, detail_bins=(100, 600))
    assert found.detail_bin.tolist() == [
        sum(d >= edge for edge in (100, 600)) for d in hashed.detail
    ]
    made = hashed.available.sum()
    assert found.genuine().sum() == made
    for pick in (
        {"half": "selection"},
        {"half": "validation"},
        {"detail_bin": 0},
        {"detail_bin": 1},
        {"detail_bin": 2},
    ):
        rows = (
            found.detail_bin == pick["detail_bin"]
            if "detail_bin" in pick
            else in_validation_half == (pick["half"] == "validation")
        )
        for number, spec in enumerate(hashed.transforms):
            squared = found.genuine_distance_squared[rows, number]
            expected = np.sort(squared[squared >= 0])
            np.testing.assert_array_equal(found.genuine_distances(spec, **pick), expected)
            cells = np.bincount([cell(s) for s in expected], minlength=CELLS)
            np.testing.assert_array_equal(found.genuine(number, **pick), cells)
    turned = found.genuine_distances("turn:90", oriented=True)
    assert turned.max() == 0
    assert found.genuine_distances("turn:90").min() > 0
    n = len(found)
    assert found.impostor(variants=False).sum() == n * (n - 1) // 2
    assert found.impostor(originals=False).sum() == made * (n - 1)
    assert found.impostor(transform="blur:1").sum() == hashed.available[:, 2].sum() * (n - 1)
    parts = [found.impostor(half=half) for half in PAIR_HALVES]
    np.testing.assert_array_equal(sum(parts), found.impostor())
    a = (~in_validation_half).sum()
    assert parts[0].sum() == a * (a - 1) // 2 + hashed.available[~in_validation_half].sum() * (
        a - 1
    )
    np.testing.assert_array_equal(found.genuine(np.int64(2)), found.genuine("blur:1"))
    np.testing.assert_array_equal(found.genuine(detail_bin=np.int8(1)), found.genuine(detail_bin=1))
    np.testing.assert_array_equal(
        found.impostor(transform=np.uint8(2)), found.impostor(transform=2)
    )


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        ({"transform": "jpeg:31"}, "transform: got 'jpeg:31', needs one of jpeg:30, turn:90, blur"),
        ({"transform": 99}, "transform: got 99, needs 0 to 2"),
        ({"transform": -1}, "transform: got -1, needs 0 to 2"),
        ({"transform": True}, "transform: got bool, needs 0 to 2"),
        ({"transform": 1.0}, "transform: got float, needs 0 to 2"),
        ({"half": "C"}, "half: got 'C', needs one of selection, validation"),
        ({"half": 0}, "half: got int, needs one of selection, validation"),
        ({"detail_bin": 3}, "detail_bin: got 3, needs 0 to 2"),
        ({"detail_bin": "1"}, "detail_bin: got str, needs 0 to 2"),
        ({"half": "between"}, "half: got 'between', needs one of selection, validation$"),
    ],
)
def test_what_counts_do_not_have(pick, message):
    found = count_pairs(some_hashed(9, 3, seed=1), np.arange(9) % 2 == 1, detail_bins=(100, 600))
    errors = pdna.ArgumentError, pdna.ArgumentTypeError
    with pytest.raises(errors, match=message):
        found.genuine(**pick)
    if "detail_bin" not in pick and pick != {"half": "between"}:
        with pytest.raises(errors, match=message):
            found.impostor(**pick)
    if pick.get("half") in ("C", "between"):
        with pytest.raises(errors, match=message):
            pdna.evaluation.estimate_rates(found, **pick)


def test_quantiles_are_distances_that_occur():
    squared = np.array([1, 4, 9, 16], np.int32)
    values = [
        pair_counts.quantile_squared(squared, share) for share in (0.25, 0.5, 0.51, 0.95, 1.0)
    ]
    assert values == [1, 4, 9, 16, 16]
    assert pair_counts.quantile_squared(squared[:1], 0.5) == 1


def test_all_orientations_of_either_one():
    """The eight permutations are a group: it is the same which of the two is turned."""
    ways = pdna.orientations(np.arange(144, dtype=np.uint8))
    inverses = {tuple(np.argsort(way).tolist()) for way in ways}
    assert inverses == {tuple(way.tolist()) for way in ways}


def test_counts_of_two_runs_add_up(monkeypatch):
    one, other = some_hashed(14, 2, 1), some_hashed(9, 2, 2, prefix="p")
    halves = [validation_half(hashed.names, 0) for hashed in (one, other)]
    one, other = with_copies(one, [(3, 1)]), with_copies(other, [(2, 5), (7, 5)])
    a = count_pairs(one, halves[0], detail_bins=(600,), max_listed=60, min_detail=60)
    b = count_pairs(other, halves[1], detail_bins=(600,), exclude=[(0, 8)], min_detail=60)
    both = a + b
    joined = VariantHashes(
        one.names + other.names,
        one.digests + other.digests,
        one.transforms,
        *(
            np.concatenate([getattr(one, name), getattr(other, name)])
            for name in ("hashes", "detail", "variants", "available", "variants_detail")
        ),
    )
    across = [(i, j + 14) for i in range(14) for j in range(9)]
    expected = count_pairs(
        joined,
        np.concatenate(halves),
        detail_bins=(600,),
        exclude=[*across, (14, 22)],
        max_listed=10**6,
        min_detail=60,
    )
    assert (both.pairs_identical, both.pairs_low_detail) != (a.pairs_identical, a.pairs_low_detail)
    assert both.pairs_identical == expected.pairs_identical == a.pairs_identical + b.pairs_identical
    assert both.pairs_low_detail == a.pairs_low_detail + b.pairs_low_detail
    for name in set(pair_counts._ARRAYS) - {"run_number"}:
        np.testing.assert_array_equal(getattr(both, name), getattr(expected, name), name)
    assert both.run_number.tolist() == [0] * 14 + [1] * 9
    third = count_pairs(
        some_hashed(3, 2, 9, "r"), np.zeros(3, bool), detail_bins=(600,), min_detail=60
    )
    assert (both + third).run_number.tolist() == [0] * 14 + [1] * 9 + [2] * 3
    assert (both.names, both.digests) == (expected.names, expected.digests)
    assert both.nearest_limit == a.nearest_limit < b.nearest_limit
    within = expected.nearest.distance_squared <= both.nearest_limit**2
    for column, whole in zip(both.nearest, expected.nearest, strict=True):
        np.testing.assert_array_equal(column, whole[within])
    monkeypatch.setattr(pair_counts, "_SAMPLE", 5)
    kept = joined.hashes[both.compared]
    assert (a + b).hash_sample.tolist() == kept[np.arange(5) * len(kept) // 5].tolist()
    with pytest.raises(pdna.ArgumentError, match="14 of its originals are in both runs"):
        a + a
    with pytest.raises(pdna.ArgumentError, match="its detail_bin_edges differ"):
        a + count_pairs(other, halves[1], detail_bins=(1, 2))
    with pytest.raises(pdna.ArgumentError, match="its transforms differ"):
        a + count_pairs(some_hashed(3, 1, 0, "q"), np.zeros(3, bool), detail_bins=(600,))
    with pytest.raises(pdna.ArgumentError, match=r"its counting_rules differ.*min_detail=61"):
        a + count_pairs(other, halves[1], detail_bins=(600,), min_detail=61)
    with pytest.raises(TypeError):
        a + 1


def test_counts_in_a_file(tmp_path):
    hashed = some_hashed(11, 3, 4)
    hashed = with_copies(hashed, [(1, 2)])
    options = {"detail_bins": (100.5,), "max_listed": 50, "exclude": [(3, 4)], "min_detail": 99}
    found = count_pairs(hashed, validation_half(hashed.names, 1), **options)
    assert min(getattr(found, name) for name in pair_counts._NUMBERS) > 0
    found.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    again = PairCounts.load(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archived:
        assert {entry.date_time for entry in archived.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == content
    for name in (
        *pair_counts._ARRAYS,
        *pair_counts._NUMBERS,
        *pair_counts._TEXTS,
        "detail_bin_edges",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    for column, same in zip(again.nearest, found.nearest, strict=True):
        np.testing.assert_array_equal(column, same, strict=True)
    with np.load(tmp_path / "a.npz") as members:
        assert members["impostor_originals"].dtype == np.int64
    for wrong in (b"", content[:-400], content.replace(b"detail", b"detall")):
        (tmp_path / "c.npz").write_bytes(wrong)
        with pytest.raises(pdna.FileError, match=r"c.npz: is damaged or another file"):
            PairCounts.load(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes(b"no archive at all")
    with pytest.raises(pdna.FileError, match=r"of an evaluation \(\w+\); delete it") as raised:
        PairCounts.load(tmp_path / "c.npz")
    assert "pickle" not in str(raised.value)
    with pytest.raises(pdna.FileError, match=r"a.npz: holds counts of other pairs"):
        PairCounts.unpacked("a.npz", content, "key")


def test_names_of_any_kind_in_archives():
    names = ("a", "", "ü\n,", "\udcff.jpg")
    assert npz.unpack_texts(npz.pack_texts(names)) == names
    assert npz.unpack_texts(npz.pack_texts([])) == ()


def test_groups_of_excluded_names():
    digests = [64 * digit for digit in "abab"]
    names = ["a", "b", "c", f"sha256:{digests[0]}"]
    assert excluded_rows([("a", "c"), ("c", "b", "a"), ("a", "x")], names, digests) == [
        (0, 2), (2, 1), (2, 0), (1, 0)
    ]  # fmt: skip
    of_a, of_b = (f"sha256:{digest}" for digest in digests[:2])
    assert excluded_rows([(of_a, "c"), (of_b, "a")], names, digests) == [
        (0, 2), (1, 3), (1, 0), (3, 0)
    ]  # fmt: skip
    strange = ("é\n", names[3], "\udcff", "sha256:a", of_a.upper().replace("SHA", "sha"))
    assert [exclusion_name(name, digests[1]) for name in strange] == [
        "é\n", of_b, of_b, "sha256:a", of_b
    ]  # fmt: skip
    with pytest.raises(pdna.ArgumentError, match="exclude: got 1, 1, needs two different rows"):
        count_pairs(some_hashed(3, 1, 0), np.zeros(3, bool), exclude=[(1, 1)])


# Runs

EDITS = ["jpeg:30", "mirror", "noise:10", "webp:40", "resize:50+logo:30"]


@pytest.fixture
def photos(tmp_path):
    """Seven pictures in a folder: five good ones, one that cannot become WebP, one that is none."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(5)
    for name in ("a.png", "b.png", "c.png", "d.png", "sub/e.png"):
        small = rng.integers(0, 256, (5, 7, 3), np.uint8)
        Image.fromarray(small).resize((70, 50), Image.Resampling.BICUBIC).save(folder / name)
    Image.effect_noise((17000, 2), 50).save(folder / "long.png")
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


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
    assert {"started", "seconds", "host", "threads"} <= set(this_run)
    found["manifest.json"] = manifest
    return found


@pytest.fixture
def decoded(monkeypatch):
    """How often a picture was decoded: a list that grows."""
    calls = []
    before = images.read_pixels

    def counted(file):
        calls.append(file)
        return before(file)

    monkeypatch.setattr(images, "read_pixels", counted)
    return calls


def test_a_run(photos, tmp_path):
    config = photo_config(photos, thresholds={"named": {"low": 30, "high": 200}})
    results = run(config, tmp_path / "run", max_workers=1)
    found = contents(tmp_path / "run")
    pictures = {name for name in found if name.startswith("thumbnails/")}
    assert set(found) == {
        "manifest.json",
        "run.json",
        "results.json",
        "hashes.npz",
        "counts.npz",
        *(f"tables/{name}.csv" for name in results.tables),
        *pictures,
    }
    check_pictures(photos, results, pictures, found)
    names = ["a.png", "b.png", "c.png", "d.png", "long.png", "sub/e.png"]
    assert results.counts.names == tuple(names)
    assert [failure[:2] for failure in results.failures] == [
        ("bad.jpg", None), ("long.png", "webp:40")
    ]  # fmt: skip
    assert "is not an image that Pillow can identify" in results.failures[0].error
    assert "webp: cannot encode 17000 x 2 pixels" in results.failures[1].error
    hashes = pdna.HashTable.load(tmp_path / "run" / "hashes.npz")
    assert hashes.paths == names
    assert [failure.path for failure in hashes.failures] == ["bad.jpg"]
    for number, name in enumerate(names):
        original = pdna.hash_file(photos / name)
        np.testing.assert_array_equal(hashes.hashes[number], original)
        for place, spec in enumerate(EDITS):
            if (name, spec) == ("long.png", "webp:40"):
                assert results.counts.genuine_distance_squared[number, place] == -1
                continue
            with Image.open(photos / name) as image:
                edit = transforms.parse(spec)
                seed = transforms.seed_for(0, name, edit.label)
                edited = pdna.hash_image(edit.apply(image, seed))
            squared = pdna.distance(original, edited, "sqeuclidean")
            assert results.counts.genuine_distance_squared[number, place] == squared
    assert results.summary["originals"] == 7
    assert results.summary["originals_failed"] == 1
    assert results.summary["variants"] == 29
    assert results.summary["variants_failed"] == 1
    assert results.summary["impostor_pairs"] == 15 + 29 * 5
    check_tables(results, found)
    manifest = results.manifest
    assert manifest["configuration"] == config.to_dict()
    assert set(manifest["inputs"]) == {*names, "bad.jpg"}
    assert {
        "NumPy",
        "Pillow",
        "libjpeg",
        "FAISS",
        "Numba",
        "SciPy",
        "Python",
        "photodna_nb",
    } <= set(manifest["versions"]["results"])
    again = Results.load(tmp_path / "run")
    assert again.tables == results.tables
    assert again.summary == results.summary
    assert again.failures == results.failures
    assert again.config == config
    (tmp_path / "run" / "tables" / "transforms.csv").write_bytes(b"")
    with pytest.raises(pdna.FileError, match=r"transforms.csv: is not the file that manifest"):
        Results.load(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(pdna.FileError, match=r"manifest.json: is damaged"):
        Results.load(tmp_path / "run")


def check_pictures(photos, results, pictures, found):
    """The closest pairs as they looked when their distance was measured."""
    shown = set()
    for row in results.tables["nearest_impostors"]:
        for original, transform, picture in (
            (row["original"], row["transform"], row["thumbnail"]),
            (row["other"], None, row["other_thumbnail"]),
        ):
            image = Image.open(photos / original).convert("RGB")
            if transform is not None:
                edit = transforms.parse(transform)
                image = edit.apply(image, transforms.seed_for(0, original, edit.label))
            image.thumbnail((240, 240))
            image = image.resize((max(image.width, 2), max(image.height, 2)))  # one is a line
            with Image.open(io.BytesIO(found[picture])) as small:
                assert small.size == image.size
                difference = np.abs(np.subtract(small, image, dtype=float)).mean()
            assert difference < 12
            shown.add(picture)
    assert shown == pictures
    assert len(results.tables["nearest_impostors"]) == 15


def check_tables(results, found):
    """Numbers beside the counts, and CSV beside JSON."""
    for row in results.tables["recall"]:
        squared = results.counts.genuine_distances(
            row["transform"], detail_bin=row["detail_bin"], oriented=row["oriented"]
        )
        assert row["n"] == len(squared)
        assert row["matches"] == sum(s <= row["threshold"] ** 2 for s in squared.tolist())
        assert row["recall"] == (row["matches"] / row["n"] if row["n"] else None)
    for row, spec in zip(results.tables["transforms"], EDITS, strict=True):
        distances = np.sqrt(results.counts.genuine_distances(spec))
        assert (row["transform"], row["largest"]) == (spec, distances[-1])
        assert row["failed"] == sum(failure.transform == spec for failure in results.failures)
    curve = results.tables["curves"]
    assert curve[-1]["genuine_matches"] == results.summary["genuine_pairs"]
    assert curve[-1]["impostor_matches"] == results.summary["impostor_pairs"]
    assert curve[100]["impostor_matches"] == results.counts.impostor()[:101].sum()
    closest = results.tables["nearest_impostors"]
    assert (
        len({frozenset((row["original"], row["other"])) for row in closest}) == len(closest) == 15
    )
    assert closest == sorted(closest, key=lambda row: row["distance_squared"])
    assert sum(row["originals"] for row in results.tables["detail"]) == 6
    for name, rows in results.tables.items():
        text = found[f"tables/{name}.csv"].decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        assert lines[0] == list(rows[0] if rows else ())
        shown = [["" if value is None else str(value) for value in row.values()] for row in rows]
        assert lines[1:] == shown


def test_the_same_bytes_with_one_thread_and_two(photos, tmp_path):
    config = photo_config(photos)
    run(config, tmp_path / "one", max_workers=1)
    run(config, tmp_path / "two", max_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    run(photo_config(photos, seed=1), tmp_path / "other")
    assert contents(tmp_path / "one")["hashes.npz"] != contents(tmp_path / "other")["hashes.npz"]


def test_another_threshold_hashes_nothing(photos, tmp_path, decoded, monkeypatch):
    run(photo_config(photos), tmp_path / "run")
    assert len(decoded) >= 7
    before = contents(tmp_path / "run")
    assert sum(name.startswith("thumbnails/") for name in before) >= 6
    decoded.clear()
    other = photo_config(photos, thresholds={"named": {"x": 77}, "targets": [0.25]})
    with monkeypatch.context() as patched:
        patched.setattr(run_evaluation, "count_pairs", None)
        results = run(other, tmp_path / "run")
    assert decoded == []
    assert results.manifest["this_run"]["originals_hashed"] == 0
    assert {row["threshold_name"] for row in results.tables["recall"]} <= {"x", "recommended"}
    after = contents(tmp_path / "run")
    assert after["counts.npz"] == before["counts.npz"]
    run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before
    assert decoded == []


def test_other_pairs_are_counted_and_nothing_is_hashed(photos, tmp_path, decoded):
    first = run(photo_config(photos), tmp_path / "run")
    decoded.clear()
    others = {"pairs": {"exclude": [["a.png", "sub/e.png", "b.png"], ["bad.jpg", "a.png"]]}}
    results = run(photo_config(photos, **others), tmp_path / "run")
    assert decoded == []
    assert results.counts.pairs_excluded == 3 + 2 * 15
    all_pairs = first.summary["impostor_pairs"]
    assert results.summary["impostor_pairs"] == all_pairs - results.counts.pairs_excluded
    banded = run(photo_config(photos, detail={"bins": [1]}), tmp_path / "run")
    assert banded.manifest["this_run"]["originals_hashed"] == 0
    assert len(decoded) <= 3, "but for pictures of pairs that were not among the closest"
    assert len(banded.tables["detail"]) == 2
    others = {"pairs": {"variants_against_others": False}}
    assert run(photo_config(photos, **others), tmp_path / "run").summary["impostor_pairs"] == 15
    with pytest.raises(pdna.ArgumentError, match=r"original is called a.pg; did you mean a.png"):
        run(photo_config(photos, pairs={"exclude": [["a.pg", "b.png"]]}), tmp_path / "run")


def test_identical_and_flat_originals(photos, tmp_path):
    """Copies are no impostor pairs, nor what is flat; digests name what has no name in UTF-8."""
    for name in ("bad.jpg", "long.png"):
        (photos / name).unlink()
    first = run(photo_config(photos), tmp_path / "run")
    odd = os.fsdecode(b"\xff.png")
    (photos / odd).write_bytes((photos / "a.png").read_bytes())
    Image.new("RGB", (60, 60)).save(photos / "black.png")
    Image.new("RGB", (70, 50)).save(photos / "black2.png")
    results = run(photo_config(photos), tmp_path / "run")
    assert results.counts.pairs_identical == 1 + 2 * len(EDITS)
    assert results.counts.nearest_pairs(1).distance_squared[0] == 0, "of the flat ones"
    few = {"pairs": {"min_detail": 100}}
    results = run(photo_config(photos, **few), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 0
    assert results.counts.pairs_low_detail == 13 + 5 * (2 * 7 + 6 * 2)
    again = {"pairs": {"min_detail": 100, "count_identical": True}}
    results = run(photo_config(photos, **again), tmp_path / "run")
    assert results.counts.pairs_identical == 0
    assert results.counts.nearest_pairs(1).distance_squared[0] == 0, "of the copies"
    digest = sha256((photos / "a.png").read_bytes()).hexdigest()
    again["pairs"]["exclude"] = [[f"sha256:{digest.upper()}", "b.png"]]
    config = photo_config(photos, **again)
    assert config.pairs.exclude == ((f"sha256:{digest}", "b.png"),)
    assert Config.from_dict(tomllib.loads(config.to_toml())) == config
    assert exclusion_name(odd, digest) == config.pairs.exclude[0][0]
    results = run(config, tmp_path / "run")
    assert results.counts.pairs_excluded == 3 * (1 + 2 * len(EDITS))
    assert results.counts.nearest_pairs(1).distance_squared[0] > 0
    assert first.counts.nearest_pairs(1).distance_squared[0] > 0
    again["pairs"]["exclude"] = [[f"sha256:{64 * '0'}", "b.png"]]
    with pytest.raises(pdna.ArgumentError, match="no original has the digest sha256:0000"):
        run(photo_config(photos, **again), tmp_path / "run")


def test_a_run_inside_its_originals(photos, tmp_path):
    """What runs wrote is none of the originals, nor the configuration; other folders stay in."""
    photos = photos.rename(tmp_path / "real")
    (tmp_path / "photos").symlink_to(photos)
    toml = photos / "config.toml"
    toml.write_text(
        '[originals]\nkind = "directory"\npath = "../photos"\n[variants]\ntransforms = ["mirror"]\n'
    )
    for content in ("{", "[]", '{"format": 1}', 5000 * "["):
        folder = photos / "mine" / f"of {len(content)}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content)
        (folder / "f.png").write_bytes((photos / "a.png").read_bytes())
    names = {str(path.relative_to(photos)) for path in photos.rglob("*") if path.is_file()}
    first = run(toml, photos / "sub" / "run")
    assert set(first.manifest["inputs"]) == names - {"config.toml"}
    assert first.manifest["this_run"]["base"] == str(photos)
    before = contents(photos / "sub" / "run")
    run(toml, tmp_path / "photos" / "sub" / "run")
    assert contents(photos / "sub" / "run") == before
    (photos / "sub" / "run" / "run.json").unlink()
    with pytest.raises(pdna.FileError, match=r"run: holds files \(counts.npz, .* and no run.json"):
        run(toml, photos / "sub" / "run")
    (photos / "sub" / "run" / "run.json").write_bytes(before["run.json"])
    # Another run over the same originals, beside the first and by a link to the configuration.
    (tmp_path / "link.toml").symlink_to(toml)
    elsewhere = Config.load(toml)
    assert set(run(toml, photos / "other").manifest["inputs"]) == names - {"config.toml"}
    assert set(run(elsewhere, tmp_path / "out").manifest["inputs"]) == names
    toml.write_text(toml.read_text().replace("../photos", "photos"))
    linked = run(tmp_path / "link.toml", tmp_path / "linked")
    assert set(linked.manifest["inputs"]) == names - {"config.toml"}
    for path in photos.iterdir():
        if path.is_file():
            path.unlink()
    (photos / "mine").rename(tmp_path / "mine")
    (photos / "sub" / "e.png").unlink()
    with pytest.raises(pdna.FileError, match="real: holds nothing but what runs wrote"):
        run(elsewhere, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_originals_that_are_gone(photos, tmp_path, decoded):
    """What an earlier run hashed is all that another threshold needs."""
    config = photo_config(photos)
    run(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    photos.rename(tmp_path / "elsewhere")
    decoded.clear()
    again = run(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before, "even what could not be hashed"
    assert again.manifest["this_run"]["originals_available"] is False
    other = run(photo_config(photos, thresholds={"named": {"x": 77}}), tmp_path / "run")
    assert other.tables["thresholds"][0]["threshold"] == 77
    excluded = photo_config(photos, pairs={"exclude": [["a.png", "b.png"]]})
    assert run(excluded, tmp_path / "run").summary["pairs_excluded"] > 0
    assert decoded == []
    with pytest.raises(pdna.ArgumentError, match=r"no original is called a.pn; did you mean a.png"):
        run(photo_config(photos, pairs={"exclude": [["a.pn", "b.png"]]}), tmp_path / "run")
    with pytest.raises(pdna.FileError, match="cannot be listed"):
        run(config, tmp_path / "new")
    (tmp_path / "run" / "journal.jsonl").write_text("")
    with pytest.raises(pdna.FileError, match="cannot be listed"):
        run(config, tmp_path / "run")  # it was stopped before all were hashed


def test_what_was_hashed_outlives_the_originals(photos, tmp_path, monkeypatch):
    """With another limit of pixels, and after a kill before the manifest was written."""
    config = photo_config(photos, variants={"transforms": ["jpeg:30", "resize:200"]})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    first = run(config, tmp_path / "run")
    lost = [failure for failure in first.failures if failure.transform == "resize:200"]
    assert lost, "twice the size is too large"
    before = (tmp_path / "run" / "hashes.npz").read_bytes()
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    monkeypatch.undo()
    photos.rename(tmp_path / "gone")
    again = run(config, tmp_path / "run")
    assert again.failures == first.failures
    assert again.counts.names == first.counts.names
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == before
    # Two more were hashed, and the program was killed before it wrote so.
    (tmp_path / "gone").rename(photos)
    for name in ("x.png", "y.png"):
        shutil.copy(photos / "a.png", photos / name)
    run(config, tmp_path / "run")
    more = (tmp_path / "run" / "hashes.npz").read_bytes()
    (tmp_path / "run" / "manifest.json").write_bytes(manifest)
    photos.rename(tmp_path / "gone")
    assert {"x.png", "y.png"} <= set(run(config, tmp_path / "run").counts.names)
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == more


def test_listed_originals_that_are_gone(photos, tmp_path):
    (tmp_path / "list.txt").write_text("photos/a.png\nphotos/b.png\nphotos/c.png\n")
    config = config_of(
        tmp_path,
        originals={"kind": "list", "path": "list.txt"},
        variants={"transforms": ["jpeg:30"]},
    )
    run(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    photos.rename(tmp_path / "gone")
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_available"] is False
    assert contents(tmp_path / "run") == before


def test_hashes_of_another_run(photos, tmp_path):
    """Copied into the folder: of other edits, as many of them, and of another seed."""
    first = photo_config(photos, variants={"transforms": ["jpeg:30", "mirror"]})
    run(first, tmp_path / "run")
    mine = (tmp_path / "run" / "hashes.npz").read_bytes()
    for sections, named in (
        ({"variants": {"transforms": ["jpeg:10", "mirror"]}}, "other variants"),
        ({"variants": {"transforms": ["jpeg:30"]}}, "other variants"),
        ({"variants": {"transforms": ["jpeg:30", "mirror"]}, "seed": 1}, "another seed"),
    ):
        run(photo_config(photos, **sections), tmp_path / "other")
        (tmp_path / "other" / "hashes.npz").replace(tmp_path / "run" / "hashes.npz")
        message = rf"hashes.npz: is of a run with {named}; delete it to hash anew, or"
        with pytest.raises(pdna.FileError, match=message):
            run(first, tmp_path / "run")
        shutil.rmtree(tmp_path / "other")
    found = dict(np.load(io.BytesIO(mine)))
    for member, value, named in (
        ("transforms", ["jpeg:10", "mirror"], "other variants"),
        ("hashing", ["[3]"], "another configuration"),
        ("hashing", [], "another configuration"),
    ):
        changed = npz.pack({**found, member: npz.pack_texts(value)})
        (tmp_path / "run" / "hashes.npz").write_bytes(changed)
        with pytest.raises(pdna.FileError, match=f"is of a run with {named}; delete it"):
            run(first, tmp_path / "run")
    (tmp_path / "run" / "hashes.npz").unlink()
    run(first, tmp_path / "run")
    assert (tmp_path / "run" / "hashes.npz").read_bytes() == mine


def test_only_what_has_changed_is_hashed(photos, tmp_path, decoded):
    run(photo_config(photos), tmp_path / "run")
    os.replace(photos / "a.png", photos / "f.png")
    (photos / "c.png").write_bytes((photos / "d.png").read_bytes())
    (photos / "c.png").touch()
    (photos / "b.png").touch()  # the same content
    results = run(photo_config(photos), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 2
    run(photo_config(photos), tmp_path / "fresh")
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    for path in photos.rglob("*.png"):
        path.unlink()
    before = contents(tmp_path / "run")
    with pytest.raises(pdna.FileError, match=r"fewer than two could be .*bad.jpg: is not an"):
        run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_what_may_pass_is_tried_again(photos, tmp_path, monkeypatch, decoded):
    """A lack of memory, and the limit on pixels; not what is wrong with a file itself."""
    before = variant_hashes.hash_and_detail

    def failing(pixels):
        if len(pixels) == 25:
            raise MemoryError
        return before(pixels)

    with monkeypatch.context() as patched:
        patched.setattr(variant_hashes, "hash_and_detail", failing)
        results = run(photo_config(photos), tmp_path / "run")
    texts = {failure.error for failure in results.failures if failure.transform == EDITS[-1]}
    assert texts == {"cannot be made (MemoryError: )"}
    assert results.manifest["this_run"]["originals_hashed"] == 7
    results = run(photo_config(photos), tmp_path / "run")
    assert results.manifest["this_run"]["originals_hashed"] == 5
    assert len(results.failures) == 2
    run(photo_config(photos), tmp_path / "fresh")
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")
    decoded.clear()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
    run(photo_config(photos), tmp_path / "run")
    assert {path for path in decoded if isinstance(path, str)} == {
        str(photos / "bad.jpg"), str(photos / "long.png")
    }  # fmt: skip


def test_whose_folder_it_is(photos, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(pdna.FileError, match=r"run: holds files \(mine.txt\) and no run.json"):
        run(photo_config(photos), folder)
    assert os.listdir(folder) == ["mine.txt"]
    (folder / "mine.txt").unlink()
    (folder / ".DS_Store").write_text("")
    run(photo_config(photos), folder)
    before = contents(folder)
    for sections, named in (
        ({"seed": 1}, "another seed; give"),
        ({"variants": {"transforms": EDITS[:2]}}, "other variants; give"),
        ({**DRAWN, "seed": 2}, "another seed and other originals; give"),
    ):
        with pytest.raises(pdna.FileError, match=f"run: belongs to a run with {named} an empty"):
            run(photo_config(photos, **sections), folder)
    with (
        run_folder.RunFolder(str(folder), photo_config(photos).hashing(), EDITS),
        pytest.raises(pdna.FileError, match="another run is at work in it"),
    ):
        run(photo_config(photos), folder)
    assert contents(folder) == before
    (folder / "run.json").write_text("{")
    with pytest.raises(pdna.FileError, match=r"run.json: is damaged; restore it"):
        run(photo_config(photos), folder)
    (folder / "run.json").write_text('{"format": 9, "hashing": {}, "made_with": {}}')
    with pytest.raises(pdna.FileError, match="has the format 9, and this version reads 3"):
        run(photo_config(photos), folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(pdna.FileError, match=r"file: is not a folder; give a new one"):
        run(photo_config(photos), tmp_path / "file")


def test_hashes_of_two_versions_are_not_mixed(photos, tmp_path, monkeypatch):
    run(photo_config(photos), tmp_path / "run")
    newer = {**run_folder.makers(), "Pillow": "99.0"}
    monkeypatch.setattr(run_folder, "makers", lambda: newer)
    results = run(photo_config(photos, thresholds={"named": {"x": 1}}), tmp_path / "run")
    assert results.manifest["versions"]["results"]["Pillow"] == "99.0"
    assert results.manifest["versions"]["hashes"]["Pillow"] != "99.0"
    (photos / "new.png").write_bytes((photos / "a.png").read_bytes())
    with pytest.raises(pdna.FileError, match=r"made with other versions \(Pillow .*, now 99.0\)"):
        run(photo_config(photos), tmp_path / "run")


def test_damaged_files_in_the_folder(photos, tmp_path):
    run(photo_config(photos), tmp_path / "run")
    before = contents(tmp_path / "run")
    for name in ("counts.npz", "results.json", "manifest.json", "tables/transforms.csv"):
        (tmp_path / "run" / name).write_bytes(b"damaged")
        run(photo_config(photos), tmp_path / "run")
        assert contents(tmp_path / "run") == before
    (tmp_path / "run" / "hashes.npz").write_bytes(before["hashes.npz"][:-100])
    with pytest.raises(pdna.FileError, match=r"hashes.npz: is damaged .* delete it, and run"):
        run(photo_config(photos), tmp_path / "run")
    (tmp_path / "run" / "hashes.npz").unlink()
    run(photo_config(photos), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_stopped_while_it_writes(photos, tmp_path, monkeypatch):
    """Between any two files: whose the folder is, hashes, counts, results."""
    run(photo_config(photos), tmp_path / "whole")
    before = files.write
    for good in range(4):
        calls = iter(range(good))

        def stopping(*arguments, calls=calls):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            before(*arguments)

        monkeypatch.setattr(files, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(photo_config(photos), tmp_path / f"run{good}")
        monkeypatch.undo()
        assert not (tmp_path / f"run{good}" / "manifest.json").exists()
        results = run(photo_config(photos), tmp_path / f"run{good}")
        assert results.manifest["this_run"]["originals_hashed"] == (7 if good == 0 else 0)
        assert contents(tmp_path / f"run{good}") == contents(tmp_path / "whole")


def test_a_journal_that_cannot_be_written(photos, tmp_path, monkeypatch):
    class Full(io.FileIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, "_open_to_append", lambda path: Full(path, "a+"))
    message = r"journal.jsonl: cannot be written \(No space left on device\); check the free"
    with pytest.raises(pdna.FileError, match=message):
        run(photo_config(photos), tmp_path / "run")


def test_names_that_are_not_text(photos, tmp_path):
    odd = os.fsdecode(b"\xff\n\xc3\xa9,.png")
    (photos / odd).write_bytes((photos / "a.png").read_bytes())
    config = photo_config(photos, pairs={"exclude": [["a.png", odd]]})
    results = run(config, tmp_path / "run")
    assert odd in results.counts.names
    assert results.counts.pairs_excluded == 1 + 2 * len(EDITS)
    again = Results.load(tmp_path / "run")
    assert again.counts.names == results.counts.names
    assert again.config == config
    text = (tmp_path / "run" / "tables" / "nearest_impostors.csv").read_bytes()
    assert os.fsencode(f'"{odd}"') in text
    assert run(config, tmp_path / "run").manifest["this_run"]["originals_hashed"] == 0


def test_the_journal(tmp_path, monkeypatch):
    """A line that was cut off spoils neither those before it nor those after it."""

    def entry(number, **errors):
        numbers = np.full((2, 144), number, np.uint8), np.array([float(number), np.nan])
        return variant_hashes.OriginalHashes(f"digest {number}", *numbers, **errors)

    def opened():
        return run_folder.RunFolder(str(tmp_path / "run"), {"seed": 0}, ["mirror"])

    with opened() as folder:
        folder.append("a", entry(1))
        folder.append("b", entry(2))
    path = tmp_path / "run" / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    with opened() as folder:
        assert folder.get("b") is None
        folder.append("c", entry(3, errors={0: "too large"}))
        folder.append("d", entry(4, lasting=False))
    with opened() as folder:
        found = [folder.get(name) for name in "abcd"]
    assert [one and one.digest for one in found] == ["digest 1", None, "digest 3", None]
    assert (found[0].hashes == 1).all()
    np.testing.assert_array_equal(found[0].detail, [1, np.nan])
    assert found[2].errors == {0: "too large"}
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
    with opened() as folder:
        assert folder.get("a") is not None
        assert folder.get("c") is None  # with another limit it may succeed


KILLED = """
import json, sys, time
from photodna_nb.evaluation import Config, run, variant_hashes

before = variant_hashes.hash_and_detail


def slow(pixels):
    time.sleep(0.02)  # long enough for a kill to meet it on a busy machine, too
    return before(pixels)


variant_hashes.hash_and_detail = slow
run(Config.from_dict(json.loads(sys.argv[1])), sys.argv[2], max_workers=int(sys.argv[3]))
"""


def test_a_run_that_was_killed_goes_on(tmp_path):
    """With SIGKILL, twice, with other numbers of threads; then cut off in a line."""
    config = config_of(
        originals={"kind": "dead_leaves", "number": 40, "size": [64, 48]},
        variants={"transforms": EDITS},
    )
    run(config, tmp_path / "whole", max_workers=2)
    journal = tmp_path / "run" / "journal.jsonl"
    finished = 0
    for threads in ("2", "1"):
        arguments = [json.dumps(config.to_dict()), tmp_path / "run", threads]
        with subprocess.Popen([sys.executable, "-c", KILLED, *arguments]) as process:
            deadline = time.monotonic() + 100
            while lines_of(journal) < finished + 4:
                assert process.poll() is None, "it ended before it was killed"
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
        assert finished < lines_of(journal) < 40
        finished = lines_of(journal)
        assert not (tmp_path / "run" / "manifest.json").exists()
    with journal.open("rb+") as file:
        file.truncate(journal.stat().st_size - 30)
    results = run(config, tmp_path / "run", max_workers=2)
    assert results.manifest["this_run"]["originals_hashed"] == 40 - finished + 1
    assert not journal.exists()
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def lines_of(path):
    """Records, without the first line."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def test_evaluate_on_the_command_line(run, photos, tmp_path):
    (tmp_path / "config.toml").write_text(
        '[originals]\nkind = "directory"\npath = "photos"\n'
        '[variants]\ntransforms = ["jpeg:30", "webp:40"]\n'
    )
    # Compiles: no process is to say that it does.
    count_pairs(some_hashed(3, 1, 0), np.zeros(3, bool))
    call = ("--evaluate", tmp_path / "config.toml", tmp_path / "run")
    result = run(*call, "--jobs", "2")
    assert result.returncode == 1
    bad, long = result.stderr.decode().splitlines()
    assert bad.startswith("photodna-nb: error: bad.jpg: is not an image that Pillow can identify")
    assert long.startswith("photodna-nb: error: long.png after webp:40: webp: cannot encode 17000")
    said = result.stdout.decode().splitlines()
    assert said[:6] == [
        "Originals: 6 hashed, 1 failed",
        "Variants: 11 hashed, 1 failed",
        "Pairs: 11 genuine, 70 impostor",
        f"Results: {tmp_path / 'run'}",
        f"Report: {tmp_path / 'run' / 'report.html'}",
        "",
    ]
    assert said[6].startswith("For a list of 10,000 hashes and 1,000 queries a day, ")
    assert said[-1].startswith("There are only 6 originals")
    assert (tmp_path / "run" / "report.html").exists()
    (photos / "bad.jpg").unlink()
    (photos / "long.png").unlink()
    result = run(*call)
    assert (result.returncode, result.stderr) == (0, b"")
    shutil.copy(tmp_path / "config.toml", photos / "own.toml")  # among the originals, but none
    (photos / "own.toml").write_text((photos / "own.toml").read_text().replace('"photos"', '"."'))
    result = run("--evaluate", photos / "own.toml", tmp_path / "second")
    assert (result.returncode, result.stderr) == (0, b"")
    photos.rename(tmp_path / "gone")
    result = run(*call)
    assert result.returncode == 0
    assert b"photodna-nb: the originals cannot be found; the hashes of the earlier" in result.stderr
    (tmp_path / "config.toml").write_text("sed = 3\n[originals]\nkind = 'installed'\n")
    result = run(*call)
    assert result.returncode == 1
    assert b"config.toml: sed: is unknown; did you mean seed?" in result.stderr
    assert run("--evaluate", "config.toml").returncode == 2
    assert run(*call, "--recursive").returncode == 2


# What the statistics say


def test_rates_and_thresholds(tmp_path):
    config = config_of(
        originals={"kind": "dead_leaves", "number": 150, "size": [64, 48]},
        variants={"transforms": ["jpeg:10", "crop:5", "mirror"]},
        thresholds={"named": {"a": 150, "b": 640}, "targets": [0.2, 0.01, 1e-9]},
        deployment={
            "list_size": 1000,
            "queries_per_day": 10,
            "orientations": True,
            "max_false_matches_per_day": 3,
        },
    )
    results = run(config, tmp_path / "one", max_workers=1)
    run(config, tmp_path / "two", max_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    found = results.counts
    assert results.summary["no_rates_reason"] == ""
    assert 0.9 < results.summary["curves"]["auc"] <= 1
    impostor, genuine = np.cumsum(found.impostor()), np.cumsum(found.genuine())
    # Queries are looked up in eight orientations, so that recall is of the closest of them.
    turned = np.cumsum(found.genuine(oriented=True))
    for row in results.tables["curves"]:
        t = row["threshold"]
        rate = impostor[t] / impostor[-1]
        assert row["false_match_rate"] == pytest.approx(rate, rel=1e-11)
        assert row["false_match_rate_lower"] <= rate * (1 + 1e-9)
        assert row["false_match_rate_upper"] >= rate * (1 - 1e-9)
        assert row["genuine_matches"] == genuine[t]
        assert row["recall"] == pytest.approx(turned[t] / turned[-1], rel=1e-11)
        for name, part in (("_selection", "selection"), ("_validation", "validation")):
            assert row[f"impostor_matches{name}"] == found.impostor(half=part)[: t + 1].sum()
            of_part = found.genuine(half=part, oriented=True)[: t + 1].sum()
            assert row[f"genuine_matches{name}"] == of_part
    named = dict(config.thresholds.named)
    for own in ("recommended", "supported"):
        if results.summary[own] is not None:
            named[own] = results.summary[own]
    assert len(named) == 3
    for row, (name, t) in zip(results.tables["thresholds"], named.items(), strict=True):
        assert (row["name"], row["threshold"]) == (name, t)
        assert (row["genuine_matches"], row["impostor_matches"]) == (genuine[t], impostor[t])
        assert row["genuine_matches_oriented"] == turned[t]
        recall = row["genuine_matches_oriented"] / row["genuine_pairs"]
        assert row["recall"] == pytest.approx(recall, rel=1e-11)
        assert row["recall_lower"] < recall <= row["recall_upper"]
    per_day = 1000 * 10 * 8 * impostor[640] / impostor[-1]
    row = results.tables["thresholds"][1]
    assert row["expected_matches_per_day"] == pytest.approx(per_day, rel=1e-11)
    assert row["expected_matches_per_day_lower"] < per_day < row["expected_matches_per_day_upper"]
    points = results.tables["operating_points"]
    assert [(row["target"], row["conservative"]) for row in points] == [
        (target, conservative) for conservative in (False, True) for target in (0.2, 0.01, 1e-9)
    ]
    chosen = np.cumsum(found.impostor(half="selection"))
    for row in points:
        t = row["threshold"]
        if t is None:
            assert row["source"] == "none"
            assert row["reason"]
            assert row["recall"] is None
            continue
        if row["source"] == "counted" and not row["conservative"]:
            rates = chosen / chosen[-1]
            assert rates[t] <= row["target"] < rates[t + 1]
        reported = (
            found.impostor(half="validation"),
            found.genuine(half="validation", oriented=True),
        )
        assert row["impostor_matches"] == reported[0][: t + 1].sum()
        assert row["impostor_pairs"] == reported[0].sum()
        assert row["genuine_matches"] == reported[1][: t + 1].sum()
        assert row["recall_lower"] <= row["recall"] <= row["recall_upper"]
    counted = {row["target"]: row["threshold"] for row in points[:3]}
    assert counted[0.2] > counted[0.01] > 400
    assert [row["criterion"] for row in results.tables["deployment"]][:2] == [
        "estimate",
        "conservative",
    ]
    by_edit = results.tables["operating_recall"]
    assert len(by_edit) == 3 * 2 * sum(row["threshold"] is not None for row in points)
    for row in by_edit:
        squared = found.genuine_distances(
            row["transform"], half="validation", oriented=row["oriented"]
        )
        assert row["n"] == found.in_validation_half.sum() == len(squared)
        assert row["matches"] == (squared <= row["threshold"] ** 2).sum()
    for row in results.tables["recall"]:
        lower, upper = intervals.clopper_pearson(row["matches"], row["n"])
        assert row["recall_lower"] == (json_number(float(lower)) if row["n"] else None)
        assert row["recall_upper"] == (json_number(float(upper)) if row["n"] else None)


@pytest.mark.parametrize(
    ("n", "listed", "halves", "exclude", "reason"),
    [
        (2, 10**6, [False, True], [], ""),
        (2, 10**6, [False, True], [(0, 1)], "there are no impostor pairs"),
        (6, 0, [False, True], [], "have the same hash to be listed"),
        (9, 20, [True, True, True], [], ""),
        (30, 10**6, [False, True], [], ""),
    ],
)
def test_corpora_of_which_little_can_be_said(n, listed, halves, exclude, reason):
    hashed = some_hashed(n, 2, seed=n)
    if not listed:
        hashed.hashes[:] = 7
    in_validation_half = np.resize(np.array(halves), n)
    found = count_pairs(hashed, in_validation_half, exclude=exclude, max_listed=listed)
    numbers, tables = summary.build_tables(found, config_of())
    assert reason in numbers["no_rates_reason"]
    assert (numbers["no_rates_reason"] == "") == (reason == "")
    assert json.dumps([numbers, tables], allow_nan=False)
    if len(set(halves)) == 1 or n < 4:
        assert tables["operating_points"] == []
    assert [row["criterion"] for row in tables["deployment"]][:2] == ["estimate", "conservative"]


def test_thresholds_are_inclusive():
    hashed = some_hashed(40, 1, seed=3)
    hashed.variants[:, 0] = hashed.hashes
    hashed.variants[:, 0, 5] = hashed.hashes[:, 5] + 20
    hashed.available[:] = True
    found = count_pairs(hashed, validation_half(hashed.names, 0))
    config = config_of(thresholds={"named": {"below": 19, "at": 20}, "targets": [0.5]})
    rows = [
        row
        for row in results._recall(config, found, config.thresholds.named)
        if row["detail_bin"] is None
    ]
    assert [row["recall"] for row in rows] == [0, 1, 0, 1]
    _, tables = summary.build_tables(found, config)
    assert [row["genuine_matches"] for row in tables["thresholds"]][:2] == [0, 40]
    choice = ThresholdChoice(0.5, False, 20, "counted", "")
    (row, _) = summary._operating_recall(found, config, [OperatingPoint(choice)])
    assert row["recall"] == 1


# Real pictures


def distinct(folder):
    """Photographs of different things, of a set with many resized copies of each."""
    records = map(json.loads, (folder / "golden.jsonl").read_text().splitlines())
    chosen = {}
    for record in records:
        row = np.frombuffer(base64.b64decode(record["hash"]), np.uint8)
        if all(pdna.distance(row, other) > 450 for other in chosen.values()):
            chosen[record["file"]] = row
    return list(chosen)


MILD = [
    *(f"jpeg:{quality}" for quality in (10, 20, 30, 50, 75, 95)),
    *(f"resize:{share}" for share in (50, 75, 150, 200)),
    *(f"blur:{radius}" for radius in (0.5, 1, 2, 3)),
    *(f"noise:{deviation}" for deviation in (5, 10, 25)),
]


def test_sense_on_photographs(shared_golden, tmp_path):
    folder = shared_golden / "neardup"
    files = distinct(folder)
    assert len(files) >= 25
    config = Config.from_dict(
        {
            "originals": {"kind": "list", "paths": [f"images/{file}" for file in files]},
            "variants": {"transforms": [*MILD, "crop:5", "mirror"]},
            "thresholds": {"named": {"200": 200}},
        },
        base=folder,
    )
    results = run(config, tmp_path / "run")
    assert results.failures == []
    rows = {
        (row["transform"], row["oriented"]): row
        for row in results.tables["recall"]
        if row["detail_bin"] is None and row["threshold_name"] == "200"
    }
    for edit in MILD:
        assert rows[edit, False]["recall"] == 1, edit
    assert rows["crop:5", False]["recall"] < 0.2
    assert rows["mirror", False]["recall"] == 0
    assert rows["mirror", True]["recall"] == 1
    originals = np.cumsum(results.counts.impostor(variants=False))
    assert 800 < np.searchsorted(originals, originals[-1] // 2) < 1000
    assert 800 < results.summary["impostor_median"] < 1000
