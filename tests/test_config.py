"""Configurations: defaults, ranges, errors, and the same values after writing and reading."""

import json
import tomllib

import msgspec
import pytest
from conftest import ROOT
from evaluations import DRAWN, config_of
from PIL import Image

import photodna_nb as pdna
from photodna_nb.corpus import transforms
from photodna_nb.evaluation import Config, Results, run
from photodna_nb.evaluation.config_originals import DirectoryOriginals
from photodna_nb.evaluation.config_sections import DetailConfig
from photodna_nb.evaluation.hasher_scale import PHOTODNA

EXAMPLE = ROOT / "data" / "evaluation.toml"


def test_the_example_says_what_the_defaults_are():
    example = Config.load(EXAMPLE)
    assert len(example.transforms) == 20
    assert example.originals.number == 1000
    left_out = Config.from_dict({"originals": {"kind": "dead_leaves", "number": 1000}})
    for section in ("originals", "seed", "confidence", "pairs", "detail", "deployment", "privacy"):
        assert getattr(example, section) == getattr(left_out, section)
    assert example.thresholds.targets == left_out.thresholds.targets
    assert left_out.transforms == transforms.standard("standard-1")
    assert left_out.variants.transforms == "standard-1"
    named = config_of(variants={"transforms": "standard"})
    assert named.to_dict()["variants"]["transforms"] == "standard-1", "the list is recorded"
    assert named.hash_settings() == config_of(variants={"transforms": "standard-1"}).hash_settings()
    listed = [transform.spec for transform in transforms.standard("standard-1")]
    assert config_of(variants={"transforms": listed}).hash_settings() == named.hash_settings()
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
            "duplicates": [["a", "b"], ['é"\n', "\x7f\\", "e", "sha256:" + 64 * "0"]],
            "count_identical": True,
            "exclude_below_detail": 99.5,
        },
        thresholds={"named": {"x": 0, "y z": 3060}, "targets": [1e-6, 0.5, 1e-6]},
        detail={"warn_below": 0, "bins": [1, 2.5]},
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
    ({"orginals": {}}, "orginals: is unknown; did you mean originals?"),
    ({}, "originals: is missing; add it"),
    ({"originals": 3}, r"originals: got int, needs a section"),
    ({"originals": {}}, "originals.kind: is missing; add it"),
    ({"originals": {"kind": "deadleaves"}}, "kind 'deadleaves': is unknown; did you mean dead_le"),
    ({"originals": {"kind": "x"}}, "is unknown; there are dead_leaves, directory, list, installed"),
    ({"originals": {"kind": "installed", "path": "x"}}, "originals.path: is unknown; there are k"),
    ({"originals": {"kind": "dead_leaves", "numbr": 3}}, "numbr: is unknown; did you mean number?"),
    (
        {"originals": {"kind": "dead_leaves", "number": 1}},
        "number: got 1, needs a whole number of at least 2",
    ),
    ({"originals": {"kind": "dead_leaves", "number": True}}, "got bool, needs a whole number"),
    (
        {"originals": {"kind": "dead_leaves", "number": 3, "size": [3]}},
        "size: got .3., needs a list of length 2",
    ),
    (
        {"originals": {"kind": "dead_leaves", "number": 3, "size": [1, 3]}},
        r"size\[0\]: got 1, needs a whole number of at least 2",
    ),
    ({"originals": {"kind": "directory"}}, "originals.path: is missing"),
    ({"originals": {"kind": "directory", "path": ""}}, "path: got '', needs text"),
    ({"originals": {"kind": "directory", "path": "x", "recursive": 1}}, "needs true or false"),
    ({"originals": {"kind": "list"}}, "a list needs either path, .* or paths"),
    ({"originals": {"kind": "list", "path": "x", "paths": ["y"]}}, "a list needs either path"),
    ({"originals": {"kind": "list", "paths": "x"}}, "paths: got str, needs a list"),
    ({"seed": -1}, "seed: got -1, needs a whole number of at least 0"),
    ({"seed": 2**63}, "seed: got 9223372036854775808, needs a whole number of at most 9223"),
    ({"seed": 10**5000}, "seed: got a number of more than 20 digits, needs a whole number"),
    ({"originals": {"kind": "dead_leaves", "number": 10**8 + 1}}, "number: got 100000001, needs"),
    ({"originals": {"kind": "dead_leaves", "number": 3, "seed": 2**63}}, "originals.seed: got 92"),
    ({"confidence": 1}, "confidence: got 1, needs a number of at most 0.9999"),
    ({"confidence": 0.499}, "confidence: got 0.499, needs a number of at least 0.5"),
    ({"confidence": float("nan")}, "confidence: got nan, needs a number of at least 0.5"),
    ({"confidence": "high"}, "confidence: got str"),
    (
        {"variants": {"transform": []}},
        "variants.transform: is unknown; did you mean transforms?",
    ),
    ({"variants": {"transforms": []}}, "transforms: got an empty list, needs at least one"),
    ({"variants": {"transforms": "jpeg:30"}}, "transforms: got 'jpeg:30', needs a list such as"),
    (
        {"variants": {"transforms": ["jpg:30"]}},
        "'jpg:30': .*transform called 'jpg'; did you mean jpeg",
    ),
    ({"variants": {"transforms": ["jpeg:0"]}}, "'jpeg:0': jpeg: got the strength 0, needs"),
    ({"variants": {"transforms": [3]}}, "transforms\\[0\\]: got int, needs text"),
    ({"variants": {"transforms": ["mirror", " mirror"]}}, "' mirror' is listed twice"),
    ({"pairs": {"duplicates": ["a", "b"]}}, "duplicates\\[0\\]: got str, needs a list"),
    ({"pairs": {"duplicates": [["a"]]}}, "needs two or more different names"),
    ({"pairs": {"duplicates": [["a", "a"]]}}, "needs two or more different names"),
    (
        {"thresholds": {"named": {"x": 200.5}}},
        "named.x: got float, needs an integer from 0 to 3060",
    ),
    ({"thresholds": {"named": {"x": 3061}}}, "named.x: got 3061"),
    ({"thresholds": {"named": {" \t": 3}}}, r"named: got the name ' \\t', needs names that are"),
    ({"thresholds": {"named": {"": 3}}}, "named: got the name '', needs names that are not blank"),
    ({"thresholds": {"named": [200]}}, "named: got list, needs a section"),
    ({"thresholds": {"targets": [0]}}, "targets\\[0\\]: got 0, needs a number above 0"),
    (
        {"thresholds": {"targets": [float("nan")]}},
        "targets\\[0\\]: got nan, needs a number above 0",
    ),
    ({"detail": {"warn_below": -1}}, "warn_below: got -1, needs a number of at least 0"),
    ({"detail": {"warn_below": float("inf")}}, "warn_below: got inf, needs a number of at most"),
    ({"detail": {"bins": [5, 5]}}, r"bins: got \[5.0, 5.0\], needs increasing numbers"),
    ({"pairs": {"count_identical": 0}}, "count_identical: got int, needs true or false"),
    (
        {"pairs": {"exclude_below_detail": -1}},
        "exclude_below_detail: got -1, needs a number of at least 0",
    ),
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
        "got 1000000000000001, needs a whole number of at most 10",
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
    first = config_of(originals=drawn, variants={"transforms": ["jpeg:90"]})
    values = {
        **config.to_dict(),
        **{key: first.to_dict()[key] for key in ("originals", "variants")},
    }
    results = run(Config.from_dict(values), tmp_path / "run")
    assert results.tables["deployment"][0]["list_size"] == 10**15
    assert Results.load(tmp_path / "run").config.seed == 2**63 - 1


def test_what_toml_cannot_hold():
    odd = "\udcff.jpg"
    for config in (
        config_of(originals={"kind": "list", "paths": ["a.jpg", odd]}),
        config_of(pairs={"duplicates": [["a.jpg", odd]]}),
        config_of(originals={"kind": "directory", "path": odd}),
    ):
        with pytest.raises(pdna.ArgumentError, match=r"config: \\xff.jpg is no UTF-8 text, which"):
            config.to_toml()
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    config = msgspec.structs.replace(config_of(), detail=DetailConfig(warn_below=-1.0))
    with pytest.raises(
        pdna.ArgumentError, match=r"detail.warn_below: got -1.0, needs a number of at"
    ):
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
    with pytest.raises(
        pdna.ArgumentTypeError, match=r"got dict, needs a Config, or .*; Config\.from_dict"
    ):
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


def test_thresholds_of_another_hasher_are_within_its_own_distances():
    """Those of "photodna" may be far beyond the largest distance of the first hasher."""
    values = {"originals": {"kind": "dead_leaves", "number": 4}}
    section = {"names": ["average", "photodna"], "thresholds": {"photodna": {"production": 200}}}
    config = Config.from_dict(values | {"hash": section, "thresholds": {"named": {"near": 5}}})
    own = config.of_hasher("photodna", PHOTODNA)
    assert own.thresholds.named == {"production": 200}
    assert own.hash_names == ("photodna", "average")
    assert config.thresholds.named == {"near": 5}
