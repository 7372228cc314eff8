"""Runs with several hashers: each beside plain NumPy, its files, and the comparison."""

import base64
import json
import math
import re
import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from conftest import JIT_OFF
from evaluations import contents
from msgspec import structs
from own_hashers import Bright, Picky, Sums
from scipy import optimize, special, stats

import photodna_nb as pdna
from photodna_nb import evaluation
from photodna_nb.corpus.transforms import parse, seed_for
from photodna_nb.evaluation import Config, Results, results_schema, run, run_hashes
from photodna_nb.evaluation.paired import discordant_pairs, recall_difference
from photodna_nb.evaluation.thumbnails import PAIRS
from photodna_nb.report import html

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

EDITS = ["jpeg:20", "mirror", "crop:5", "brightness:70"]
NAMES = ["photodna", "own_hashers:Bright", "own_hashers:Sums"]
CLASSES = {"bright": Bright, "sums": Sums}


def config_of(names=NAMES, number=40, **sections):
    return Config.from_dict(
        {
            "originals": {"kind": "dead_leaves", "number": number, "size": [48, 36]},
            "variants": {"transforms": EDITS},
            "thresholds": {"targets": [0.2, 0.1, 1e-6]},
            "hash": {"names": names, "thresholds": {"own_hashers:Bright": {"near": 5}}},
            **sections,
        }
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hashers") / "run"
    return run(config_of(), folder)


def images_of(config):
    """Every original and its variants, made anew."""
    for original in config.dataset():
        image = original.open()
        seeds = [seed_for(config.seed, original.name, parse(spec).label) for spec in EDITS]
        variants = [parse(spec).apply(image, seed) for spec, seed in zip(EDITS, seeds, strict=True)]
        yield original.name, [image, *variants]


def test_each_hasher_beside_numpy(finished):
    """Hashes, counts, curves and recalls of bits and of sums, from every pair of all images."""
    results = Results.load(finished.run_dir)
    pictures = [images for _, images in images_of(results.config)]
    n, v = len(pictures), len(EDITS)
    assert list(results.hashers) == ["photodna", "bright", "sums"]
    for name, made in CLASSES.items():
        one = results.hashers[name]
        hashes = np.array(
            [[made().hash_image(image.copy()).hash for image in images] for images in pictures]
        ).astype(int)
        apart = np.abs(hashes[:, :, None, None] - hashes[None, None, :, :1]).sum(axis=-1)[..., 0]
        genuine = apart[np.arange(n), 1:, np.arange(n)]
        other = ~np.eye(n, dtype=bool)[:, None, :] & np.ones((n, v, n), bool)
        impostor = np.r_[apart[:, 0][np.triu_indices(n, 1)], apart[:, 1:][other]]
        thresholds = np.arange(one.hasher.n_bins)
        curve = one.estimates.all_originals.curves
        assert curve.genuine_matches.tolist() == [(genuine <= t).sum() for t in thresholds]
        assert curve.impostor_matches.tolist() == [(impostor <= t).sum() for t in thresholds]
        by_transform = {row["transform"]: row for row in one.tables["transforms"]}
        for column, spec in enumerate(EDITS):
            assert by_transform[spec]["largest_distance"] == genuine[:, column].max()
        for row in one.tables["recall"]:
            column = EDITS.index(row["transform"])
            assert row["matches"] == (genuine[:, column] <= row["threshold"]).sum()
    assert {row["threshold_name"] for row in results.hashers["bright"].tables["recall"]} >= {"near"}
    quality = [Bright().hash_image(images[0]).quality for images in pictures]
    summary = results.hashers["bright"].summary
    assert summary["originals_low_detail"] == sum(value < 20 for value in quality)
    assert results.hashers["bright"].counts.detail.tolist() == quality
    assert np.isnan(results.hashers["sums"].counts.detail).all()


def test_the_first_hasher_is_as_alone(finished, tmp_path):
    """Summary, tables and counts; and another one may be the first."""
    alone = run(
        Config.from_dict(config_of().to_dict() | {"hash": {"names": ["photodna"]}}), tmp_path
    )
    assert alone.summary == finished.summary
    own = {name: rows for name, rows in finished.tables.items() if name in alone.tables}
    assert own == alone.tables
    assert finished.tables.keys() - own == {"hashers", "equal_rates"}
    assert "hash" not in alone.config.to_dict()
    assert "processor_seconds" not in alone.manifest["this_run"]
    names = {"images", "photodna", "bright", "sums"}
    assert finished.manifest["this_run"]["processor_seconds"].keys() == names
    other = run(
        config_of(["own_hashers:Bright"], hash={"names": ["own_hashers:Bright"]}), tmp_path / "b"
    )
    expected = finished.hashers["bright"]
    assert other.counts.hasher.name == "bright"
    assert other.config.thresholds.named == {}
    assert other.tables["curves"] == expected.tables["curves"]
    assert Results.load(other.run_dir).summary["curves"] == expected.summary["curves"]


def test_recall_at_equal_rates(finished):
    """Thresholds from the selection half, recalls and differences from the validation half."""
    results = Results.load(finished.run_dir)
    rows = results.tables["equal_rates"]
    assert {row["target"] for row in rows} == {0.2, 0.1}, "forty originals support no more"
    matched = {}
    for row in rows:
        one = results.hashers[row["hasher"]]
        impostor = one.counts.impostor_histogram(split="selection")
        rates = np.cumsum(impostor) / impostor.sum()
        assert row["threshold"] == np.flatnonzero(rates <= row["target"])[-1]
        validation = one.counts.impostor_histogram(split="validation")
        rate = validation[: row["threshold"] + 1].sum() / validation.sum()
        assert row["false_match_rate"] == pytest.approx(rate, rel=1e-9)
        genuine = one.counts.genuine
        inside = one.counts.in_validation_half[genuine.i]
        if row["transform"] is not None:
            inside &= genuine.transform == EDITS.index(row["transform"])
        distances = one.hasher.distances(genuine.distance_squared[inside])
        found = distances <= row["threshold"]
        assert (row["genuine_pairs"], row["matches"]) == (len(found), found.sum())
        assert row["recall"] == pytest.approx(found.mean(), rel=1e-9)
        assert row["fnir"] == pytest.approx(1 - row["recall"], abs=1e-12)
        assert row["fnir_lower"] == pytest.approx(1 - row["recall_upper"], abs=1e-12)
        counted = one.estimates[2].false_match_rates.at(row["threshold"])
        passed = {"fpir_upper": counted.upper}
        if counted.at_least_ten_matches:
            passed["fpir"] = rate
        for column, value in passed.items():
            expected = 1 - (1 - value) ** results.config.deployment.list_size
            assert row[column] == pytest.approx(expected, rel=1e-9)
        assert (row["fpir"] is None) == ("fpir" not in passed)
        key = row["target"], row["transform"]
        first = matched.setdefault(key, found)
        if one.hasher.name == "photodna":
            assert row["recall_difference"] is None
            continue
        lost, gained = (first & ~found).sum(), (found & ~first).sum()
        assert (row["common_pairs"], row["lost"], row["gained"]) == (len(found), lost, gained)
        difference = found.mean() - first.mean()
        assert row["recall_difference"] == pytest.approx(difference, abs=1e-9)
        assert row["recall_difference_lower"] <= difference <= row["recall_difference_upper"]
    assert any(row["lost"] for row in rows)
    about = {row["hasher"]: row for row in results.tables["hashers"]}
    assert [about[name]["bytes"] for name in ("photodna", "bright", "sums")] == [144, 8, 9]
    assert [about[name]["unit"] for name in ("photodna", "bright", "sums")] == [
        "L2",
        "Hamming",
        "L1",
    ]


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_same_bytes(finished, tmp_path, workers, monkeypatch):
    """On any number of threads, and after it was stopped in the middle."""
    config = config_of([*NAMES, "own_hashers:Picky"], thresholds={"targets": [0.5]})
    whole = run(config, tmp_path / "whole", max_workers=3 - workers)
    monkeypatch.setattr(Picky, "stops_at", 3)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run", max_workers=workers)
    assert (tmp_path / "run" / "journal.jsonl").exists()
    monkeypatch.setattr(Picky, "stops_at", None)
    again = run(config, tmp_path / "run", max_workers=workers)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert again.manifest["this_run"]["originals_hashed"] < 40
    once_more = run(config, tmp_path / "run", max_workers=workers)
    assert once_more.manifest["this_run"]["originals_hashed"] == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    # What one hasher cannot hash is missing of it alone.
    picky = whole.hashers["picky"]
    assert whole.failures == []
    assert {None, "mirror"} <= {one.transform for one in picky.failures}
    assert all(
        "picky cannot hash it (ValueError: too dark below)" in one.error for one in picky.failures
    )
    assert 2 < len(picky.counts) < 40
    bad = {one.original for one in picky.failures if one.transform is None}
    assert set(whole.counts.names) - set(picky.counts.names) == bad
    about = {row["hasher"]: row for row in whole.tables["hashers"]}["picky"]
    assert about["originals_failed"] == len(bad)
    common = {
        row["common_pairs"] for row in whole.tables["equal_rates"] if row["hasher"] == "picky"
    }
    assert 0 < max(common - {None}) < len(whole.counts.genuine.i) / 2
    # The second was given the image as it was, though the third spoils its own.
    same = finished.hashers["bright"].counts.genuine
    assert (
        whole.hashers["bright"].counts.genuine.distance_squared.tolist()
        == same.distance_squared.tolist()
    )


@pytest.mark.parametrize(
    "name",
    ["hashers/bright/counts.npz", "hashers/sums/results.json", "hashers/sums/tables/curves.csv"],
)
def test_files_of_another_hasher_are_checked(finished, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(finished.run_dir, folder)
    path = folder / name
    before = path.read_bytes()
    path.write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
    with pytest.raises(pdna.FileError, match=r"is not the file that manifest.json names"):
        Results.load(folder)
    path.unlink()
    with pytest.raises(pdna.FileError, match=name.rpartition("/")[2]):
        Results.load(folder)
    path.symlink_to(finished.run_dir + "/" + name)
    with pytest.raises(pdna.FileError, match="is a link or lies in a linked folder"):
        Results.load(folder)
    with pytest.raises(pdna.FileError, match=r"is a link|no regular file"):
        run(config_of(), folder)
    path.unlink()
    run(config_of(), folder)
    assert contents(folder) == contents(folder.parent / "run")
    assert path.read_bytes() == before


@pytest.mark.long
def test_hostile_journal(tmp_path, monkeypatch):
    """Bits that are none, and hashes of another length or number, are computed again."""

    def journal():
        path = str(tmp_path / "run" / "journal.jsonl")
        kind = "hashes of an evaluation", 2, run_hashes.OriginalHashes
        return run_hashes.RecordLog(path, *kind, pdna.FileError)

    config = config_of(number=6)
    run(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.delattr(run_hashes, "_write")
        with pytest.raises(NameError):
            run(config, tmp_path / "run")
    records = list(journal().records())
    bits = records[0].others[0]
    changed = [
        structs.replace(bits, hashes=b"\2" + bits.hashes[1:]),
        structs.replace(bits, hashes=bits.hashes[1:]),
        structs.replace(bits, errors={4: "of no transform"}),
        structs.replace(bits, errors={-2: "of no transform"}),
    ]
    (tmp_path / "run" / "journal.jsonl").unlink()
    with journal() as log:
        for record, bad in zip(records, changed, strict=False):
            log.append(structs.replace(record, others=(bad, record.others[1])))
        log.append(structs.replace(records[4], others=()))
        log.append(records[5])
    again = run(config, tmp_path / "run")
    assert again.manifest["this_run"]["originals_hashed"] == 5
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_refusals(finished, tmp_path):
    other = run(
        config_of(["own_hashers:Bright"], 6, hash={"names": ["own_hashers:Bright"]}), tmp_path / "b"
    )
    with pytest.raises(pdna.ArgumentError, match="second: the runs are of photodna and bright"):
        evaluation.compare(finished, other)
    same = evaluation.compare(finished, finished)
    assert same.identical
    assert "Of other hashers than the first, nothing is compared: bright, sums." in same.notes
    with pytest.raises(pdna.FileError, match="belongs to a run with other hashers"):
        run(config_of(NAMES[:2]), finished.run_dir)
    for names, message in (
        (["pdqq"], "hash.names: got 'pdqq', needs one of photodna, pdq"),
        ([], "hash.names: got 0 of them, needs 1 to 16"),
        (["pdq", "pdq"], "hash.names: 'pdq' is listed twice"),
    ):
        with pytest.raises(pdna.ArgumentError, match=message):
            config_of(names, hash={"names": names})
    for section, message in (
        (
            {"names": ["photodna", "pdq"], "thresholds": {"pdq": {"x": 257}}},
            "pdq.x: got 257, needs",
        ),
        ({"names": ["pdq"], "thresholds": {"pdq": {"x": 3}}}, "is the first hasher; write its"),
        ({"names": ["pdq"], "thresholds": {"average": {}}}, "is not in hash.names; add it there"),
    ):
        with pytest.raises(pdna.ArgumentError, match=f"^hash.thresholds.*{message}"):
            config_of(hash=section)
    wide = config_of(hash={"names": NAMES, "thresholds": {"own_hashers:Bright": {"far": 65}}})
    with pytest.raises(
        pdna.ArgumentError, match="thresholds of bright: far: got 65, needs an integer"
    ):
        run(wide, tmp_path / "wide")
    with pytest.raises(pdna.ArgumentError, match="exclude_below_detail: is the detail of photodna"):
        config_of(["pdq"], hash={"names": ["pdq"]}, pairs={"exclude_below_detail": 3})
    with pytest.raises(
        pdna.ArgumentError, match=r"deployment.orientations: photodna alone has them"
    ):
        config_of(hash={"names": ["pdq", "photodna"]}, deployment={"orientations": True})


def test_detail_leaves_the_same_originals_out_of_all_hashers(finished, tmp_path):
    least = float(np.median(finished.counts.detail[:20]))
    config = config_of(number=20, pairs={"exclude_below_detail": least})
    results = run(config, tmp_path / "run")
    kept = [one.counts.compared.tolist() for one in results.hashers.values()]
    assert kept[0] == kept[1] == kept[2] == (results.counts.detail >= least).tolist()
    assert 0 < sum(kept[0]) < 20


def test_the_interval_of_a_difference():
    """Against the likelihood under each end, maximised by SciPy, and by simulation."""
    for gained, lost, n in ((12, 3, 80), (0, 0, 50), (4, 0, 30), (0, 30, 30)):
        change = np.repeat([1, -1, 0], [gained, lost, n - gained - lost])
        found = recall_difference(change, np.arange(n))
        assert found.difference == pytest.approx((gained - lost) / n)
        assert -1 <= found.lower <= found.difference <= found.upper <= 1
        # One pair a cluster: n - 1 effective trials, with Student's t for both.
        trials = min(max(n - 1, 1), n) if gained or (lost and lost < n) else n
        for end in (found.lower, found.upper):
            if abs(end) > 1 - 1e-9:
                continue

            def minus_log_likelihood(p, end=end, gained=gained, lost=lost, n=n):
                cells = np.array([p, p + end, 1 - 2 * p - end])
                return -special.xlogy([lost, gained, n - gained - lost], cells.clip(1e-300)).sum()

            bounds = max(0.0, -end), (1 - end) / 2
            options = {"xatol": 1e-12}
            p = optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, options=options).x
            z = (found.difference - end) / math.sqrt((2 * p + end - end**2) / trials)
            assert abs(z) == pytest.approx(stats.norm.isf(0.025), rel=0.02)
    rng = np.random.default_rng(5)
    held = 0
    clusters = np.repeat(np.arange(60), 10)
    for _ in range(200):
        easy = rng.random((60, 10)) < 0.5 * rng.beta(1, 4, (60, 1))
        change = np.where(easy, 1, -(rng.random((60, 10)) < 0.05).astype(int))
        lower, upper = recall_difference(change.ravel(), clusters)[1:]
        held += lower <= 0.1 - 0.9 * 0.05 <= upper
    assert held >= 181
    pairs = discordant_pairs(np.array([1, 1, 1, -1, 0]), np.array([0, 0, 1, 1, 2]))
    assert (pairs.pairs, pairs.lost, pairs.gained, pairs.p_value) == (5, 1, 3, 1.0)


def test_a_manifest_that_names_other_hashers(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.run_dir, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["configuration"]["hash"]["names"].reverse()
    manifest.pop("digest")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(pdna.FileError, match=r"is damaged|other hashers"):
        Results.load(folder)


@pytest.mark.long
def test_the_page_has_the_pictures_of_each_hasher(finished):
    text = html.page(finished, {})
    shown = {
        base64.b64decode(one) for one in re.findall(r'src="data:image/jpeg;base64,(.+?)"', text)
    }
    for name, one in finished.hashers.items():
        pairs = one.tables["nearest_impostors"][:PAIRS]
        assert len(pairs) == PAIRS
        files = [row[key] for row in pairs for key in ("thumbnail", "other_thumbnail")]
        files += [row["thumbnail"] for row in one.tables["influence"][:3]]
        assert {finished.thumbnail(file) for file in files} <= shown
        first = name == "photodna"
        assert (f"<summary>The nearest impostor pairs of {name}, and the inf" in text) != first
        distance = f"{pairs[0]['distance']:{'.1f' if first else '.0f'}}"
        assert text.count(f"<strong>1. {one.hasher.unit} {distance}<") == 1
    of_all = [row for row in finished.tables["equal_rates"] if row["transform"] is None]
    assert text.count('<td data-label="FNIR"><span>') == len(of_all) == 6
    without = [
        {name: value for name, value in row.items() if not name.startswith(("fpir", "fnir"))}
        for row in finished.tables["equal_rates"]
    ]
    schema = results_schema._OPTIONAL_TABLES["equal_rates"]
    msgspec.convert(without, list[schema])
    earlier = replace(finished, tables=finished.tables | {"equal_rates": without})
    assert html.page(earlier, {}).count('<td data-label="FNIR"><span>–</span>') == 6


def test_figures_and_lines(finished):
    """One curve and one marker for each hasher, in its own unit; and the lines of the terminal."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from photodna_nb import plots, report

    names = list(finished.hashers)
    rates = {name: one.estimates.all_originals for name, one in finished.hashers.items()}
    for draw in (plots.plot_hasher_roc, plots.plot_hasher_det):
        ax = draw(rates, ax=Figure().subplots())
        lines = {line.get_gid(): line for line in ax.lines}
        for name in names:
            drawn = np.r_[lines[f"few {name}"].get_xdata(), lines[f"curve {name}"].get_xdata()[1:]]
            expected = rates[name].curves.roc()[0]
            assert len(drawn) == len(expected)
            positive = expected > 1e-4
            np.testing.assert_allclose(drawn[positive], expected[positive])
    rows = [row for row in finished.tables["equal_rates"] if row["target"] == 0.1]
    ax = plots.plot_hasher_recall(rows, confidence=0.95, ax=Figure().subplots())
    labels = ax.get_legend_handles_labels()[1]
    assert [label.partition(" ")[0] for label in labels] == ["L2", "Hamming", "L1"]
    with pytest.raises(pdna.ArgumentError, match="rows: got those of 2 targets"):
        plots.plot_hasher_recall(finished.tables["equal_rates"])
    with pytest.raises(
        pdna.ArgumentTypeError, match="estimates: got dict, needs a dict of one or m"
    ):
        plots.plot_hasher_roc({})
    lines = report.hasher_lines(finished)
    assert lines[1] == "Hashes at a false match rate of 0.1:"
    assert [line.split(":")[0].strip() for line in lines[2:5]] == names
    by_transform = [row for row in rows if row["transform"] and row["hasher"] == names[1]]
    higher = sum(row["recall_difference_lower"] > 0 for row in by_transform)
    recalls = [row["recall"] for row in by_transform]
    assert "recall from " in lines[3] or len(set(recalls)) == 1
    assert f"{names[0]} for {higher} of {len(by_transform)} transforms" in lines[3]
    assert lines[5].startswith("Processor time in seconds: images ")
