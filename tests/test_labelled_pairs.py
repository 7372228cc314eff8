"""Labelled pairs beside plain Python and NumPy, which count one pair after the other."""

import itertools
import math
import re
from dataclasses import replace
from hashlib import sha256

import numpy as np
import oracle
import pytest
from conftest import JIT_OFF, scaled
from evaluations import config_of, genuine_table, results_of, some_hashed
from PIL import Image
from scipy import stats

import photodna_nb as pdna
from photodna_nb.evaluation import PairCounts, Results, compare, estimate_rates, run
from photodna_nb.evaluation.category_recall import recall_by_category
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.dependence import ImpostorPairs
from photodna_nb.evaluation.intervals import false_match_rates
from photodna_nb.evaluation.labelled_pairs import LabelledPair, count_labelled, read_labelled
from photodna_nb.evaluation.pair_graph import PairGraph
from photodna_nb.evaluation.rates import labelled_rates
from photodna_nb.report import html

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

BINS = (100.0, 600.0)


def some_pairs(names, seed, n_different=60):
    """Pairs of an original and its copies, and of different ones; with categories."""
    draw = np.random.default_rng(seed)
    n = len(names)
    pairs = [
        LabelledPair(names[row], names[-1 - row], True, "sky" if row % 3 else "")
        for row in range(n // 2 - 1)
    ]
    pairs.append(LabelledPair(names[1], names[2], True, "ground"))
    group = {row: min(row, n - 1 - row) for row in range(n)}
    group |= {1: 1, n - 2: 1, 2: 1, n - 3: 1}
    different = [
        two for two in itertools.permutations(range(n), 2) if group[two[0]] != group[two[1]]
    ]
    seen = set()
    for number in draw.permutation(len(different))[:n_different].tolist():
        i, j = different[number]
        if frozenset((i, j)) not in seen:
            seen.add(frozenset((i, j)))
            category = str(draw.choice(["sky", "ground", ""]))
            pairs.append(LabelledPair(names[i], names[j], False, category))
    return pairs


def distances_of(hashed, pairs, oriented=False):
    """The distance of each pair that can be counted, in plain Python; with its label."""
    rows = dict(zip(hashed.names, hashed.hashes.tolist(), strict=True))
    found = []
    for a, b, same, category in pairs:
        if a in rows and b in rows:
            ways = (
                pdna.orientations(np.array(rows[a], np.uint8)).tolist() if oriented else [rows[a]]
            )
            squared = min(oracle.distance_squared(way, rows[b]) for way in ways)
            found.append((math.ceil(math.sqrt(squared)), squared, a, b, same, category))
    return found


def check_curves(found, genuine, impostor):
    """Rates, AUC, AP and EER, by their definitions, of lists of distances, rounded up."""
    genuine, impostor = np.array(genuine), np.array(impostor)
    thresholds = np.arange(3061)
    recall = (genuine[:, None] <= thresholds).mean(axis=0)
    rate = (impostor[:, None] <= thresholds).mean(axis=0)
    assert found.recall.tolist() == pytest.approx(recall.tolist(), abs=1e-12)
    assert found.false_match_rate.tolist() == pytest.approx(rate.tolist(), abs=1e-12)
    nearer = (genuine[:, None] < impostor).mean() + (genuine[:, None] == impostor).mean() / 2
    assert found.auc == pytest.approx(nearer, abs=1e-12)
    precision = 0.0
    for t in np.unique(genuine).tolist():
        g, f = (genuine <= t).sum(), (impostor <= t).sum()
        precision += (genuine == t).mean() * g / (g + f)
    assert found.average_precision == pytest.approx(precision, abs=1e-12)
    gap = np.r_[-1.0, rate - (1 - recall)]
    after = int(np.flatnonzero(gap >= 0)[0])
    part = -gap[after - 1] / (gap[after] - gap[after - 1])
    rates = np.r_[0.0, rate]
    expected = rates[after - 1] * (1 - part) + rates[after] * part
    assert found.equal_error_rate == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_labelled_pairs_are_counted(tmp_path, seed):
    hashed = some_hashed(24, 2, seed)
    pairs = some_pairs(hashed.names, seed)
    pairs.append(LabelledPair("gone", hashed.names[0], False, "sky"))  # it has no hash
    found = count_labelled(hashed, pairs, seed, detail_bins=BINS)
    naive = distances_of(hashed, pairs)
    row = {name: number for number, name in enumerate(hashed.names)}
    half = found.in_validation_half
    originals, by_bin = np.zeros((3, 3061), int), np.zeros((3, 3061), int)
    for cell, _, a, b, same, _ in naive:
        i, j = row[a], row[b]
        if same:
            assert half[i] == half[j], "no image is in both halves"
            continue
        originals[2 if half[i] != half[j] else int(half[i]), cell] += 1
        by_bin[min(sum(hashed.detail[k] >= edge for edge in BINS) for k in (i, j)), cell] += 1
    assert 0 < half.sum() < 24
    np.testing.assert_array_equal(found.impostor_originals, originals)
    np.testing.assert_array_equal(found.impostor_by_detail_bin, by_bin)
    assert found.impostor_histogram().sum() == sum(not one[4] for one in naive)
    genuine = {(one[2], one[3]): one[1] for one in naive if one[4]}
    turned = {one[2:4]: one[1] for one in distances_of(hashed, pairs, oriented=True) if one[4]}
    columns = found.genuine.i, found.genuine.j, found.genuine.distance_squared
    for squared, name in ((genuine, "distance_squared"), (turned, "oriented_distance_squared")):
        columns = found.genuine.i, found.genuine.j, getattr(found.genuine, name)
        of_lists = zip(*(column.tolist() for column in columns), strict=True)
        listed = {frozenset((i, j)): s for i, j, s in of_lists}
        assert listed == {frozenset((row[a], row[b])): s for (a, b), s in squared.items()}
    columns = found.nearest.distance_squared, found.nearest.i, found.nearest.j
    expected = sorted((s, *sorted((row[a], row[b]))) for _, s, a, b, same, _ in naive if not same)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    assert found.pairs_per_original.sum() == 2 * len(expected)
    category = {frozenset((row[one[2]], row[one[3]])): one[5] for one in naive}
    for records, numbers in (
        (found.genuine, found.labelled.genuine),
        (found.nearest, found.labelled.impostor),
    ):
        for i, j, number in zip(records.i.tolist(), records.j.tolist(), numbers, strict=True):
            assert found.labelled.names[number] == category[frozenset((i, j))]

    rates = estimate_rates(found)
    check_curves(rates.curves, *([o[0] for o in naive if o[4] == s] for s in (True, False)))
    assert rates.tail is None
    for name in ("selection", "validation"):
        inside = [
            one for one in naive if half[row[one[2]]] == half[row[one[3]]] == (name[0] == "v")
        ]
        check_curves(
            estimate_rates(found, name).curves,
            *([one[0] for one in inside if one[4] == same] for same in (True, False)),
        )
    found.save(tmp_path / "counts.npz")
    again = PairCounts.load(tmp_path / "counts.npz")
    assert bytes(again.packed()) == bytes(found.packed())
    assert again.labelled.names == found.labelled.names
    flat = count_labelled(hashed, pairs, seed, exclude_below_detail=100)
    left = [
        one for one in naive if not one[4] and min(hashed.detail[row[k]] for k in one[2:4]) >= 100
    ]
    assert len(flat.nearest.i) == len(left) < len(expected)
    assert flat.pairs_low_detail == len(expected) - len(left)
    assert len(flat.genuine.i) == len(found.genuine.i)


def test_counts_of_labelled_pairs_add_up():
    one, other = some_hashed(16, 1, 1), some_hashed(20, 1, 2, prefix="p")
    pairs, others = some_pairs(one.names, 3), some_pairs(other.names, 4)
    others[0] = others[0]._replace(category="water")
    a, b = count_labelled(one, pairs, 0), count_labelled(other, others, 0)
    both = a + b
    assert both.labelled.names == ("", "ground", "sky", "water")
    joined = replace(
        one,
        names=one.names + other.names,
        digests=one.digests + other.digests,
        **{
            name: np.concatenate([getattr(one, name), getattr(other, name)])
            for name in ("hashes", "detail", "variants", "available", "variants_detail")
        },
    )
    expected = count_labelled(joined, [*pairs, *others], 0)
    expected = replace(expected, run_number=both.run_number)
    assert bytes(both.packed()) == bytes(expected.packed())
    with pytest.raises(pdna.ArgumentError, match="its counting_rules differ"):
        a + replace(b, counting_rules=("exclude_below_detail=0",))


def naive_variance(i, j, matched):
    """The variance of a rate from all pairs of pairs, looked at one by one."""
    p, kinds = len(i), {0: [], 1: [], 2: []}
    for one, other in itertools.product(range(p), repeat=2):
        shared = len({i[one], j[one]} & {i[other], j[other]})
        kinds[shared].append(matched[one] * matched[other])
    disjoint = np.mean(kinds[0])
    zetas = [max(np.mean(kinds[k]) - disjoint, 0.0) if kinds[k] else 0.0 for k in (1, 2)]
    return sum(len(kinds[k]) * zeta for k, zeta in zip((1, 2), zetas, strict=True)) / p**2, zetas


@pytest.mark.parametrize("kind", ["sparse", "disjoint", "queries", "complete"])
def test_the_variance_of_the_pairs_of_a_graph(kind):
    draw = np.random.default_rng(7)
    n = 26
    i, j = np.triu_indices(n, 1)
    if kind == "sparse":
        chosen = draw.random(len(i)) < 0.2
    elif kind == "disjoint":
        chosen = (j == i + 1) & (i % 2 == 0)
    elif kind == "queries":
        chosen = (i < 12) & (j >= 12) & (draw.random(len(i)) < 0.6)
    else:
        chosen = np.ones(len(i), bool)
    i, j = i[chosen], j[chosen]
    if kind == "sparse":
        i, j = np.r_[i, j[:5]], np.r_[j, i[:5]]  # several pairs of one dyad
    near = draw.random(n)
    cells = np.ceil(20 * (near[i] + near[j] + draw.random(len(i)))).astype(int)
    impostors = pdna.evaluation.dependence.sort_impostor_pairs(
        pdna.evaluation.dependence.ImpostorPairs(i, j, cells, 60), n
    )
    found = PairGraph(i, j, n).dependence(impostors)
    for t in (20, 30, 45):
        variance, zetas = naive_variance(i.tolist(), j.tolist(), (cells <= t).tolist())
        assert found.variance(n)[t] == pytest.approx(variance, rel=1e-9)
        assert (found.zeta1[t], found.zeta2[t]) == pytest.approx(zetas, rel=1e-9)
        assert found.matches[t] == (cells <= t).sum()
    if kind == "complete":
        expected = pdna.evaluation.dependence.dyadic_dependence(impostors, n, len(i))
        for name, values in vars(expected).items():
            np.testing.assert_allclose(getattr(found, name), values, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.variance(n), expected.variance(n), rtol=1e-9, atol=1e-15)


def largest_matching(edges):
    """By trying everything."""
    if not edges:
        return 0
    (a, b), *rest = edges
    without = [edge for edge in rest if a not in edge and b not in edge]
    return max(1 + largest_matching(without), largest_matching(rest))


@pytest.mark.parametrize("forest", [True, False])
def test_disjoint_pairs(forest):
    draw = np.random.default_rng(3)
    for seed in range(40):
        n = 12
        if forest:
            i, j = np.arange(1, n), np.array([draw.integers(0, one) for one in range(1, n)])
        else:
            i, j = np.triu_indices(n, 1)
            chosen = draw.random(len(i)) < 0.22
            i, j = i[chosen], j[chosen]
        edges = [*zip(i.tolist(), j.tolist(), strict=True)]
        partner = PairGraph(i, j, n, seed).disjoint_partners
        paired = np.flatnonzero(partner >= 0)
        assert (partner[partner[paired]] == paired).all()
        assert {(k, partner[k]) for k in paired.tolist()} <= {*edges, *((b, a) for a, b in edges)}
        assert all(partner[a] >= 0 or partner[b] >= 0 for a, b in edges), "none can be added"
        most = largest_matching(edges)
        assert len(paired) // 2 == most if forest else len(paired) // 2 >= most / 2


def test_recall_by_category_of_labelled_pairs():
    hashed = some_hashed(24, 2, 4)
    pairs = some_pairs(hashed.names, 4)
    config = config_of(pairs={"labelled": "pairs.csv"}, thresholds={"named": {"a": 1, "b": 400}})
    found = results_of(count_labelled(hashed, pairs, 0, detail_bins=config.detail.bins), config)
    rows = found.tables["recall_by_category"]
    assert len(rows) == 3 * 2 * 2
    for row in rows:
        genuine = [
            one
            for one in distances_of(hashed, pairs, row["oriented"])
            if one[4] and one[5] == row["category"]
        ]
        matches = sum(one[0] <= row["threshold"] for one in genuine)
        assert (row["genuine_pairs"], row["matches"]) == (len(genuine), matches)
        assert row["recall"] == matches / len(genuine)
        assert row["recall_lower"] <= row["recall"] <= row["recall_upper"]
    assert any(0 < row["matches"] < row["genuine_pairs"] for row in rows)
    rates = found.tables["false_match_rates_by_category"]
    assert len(rates) == 3 * 2
    for row in rates:
        own = [
            one
            for one in distances_of(hashed, pairs)
            if not one[4] and one[5] == row["category"] == row["other_category"]
        ]
        matches = sum(one[0] <= row["threshold"] for one in own)
        assert (row["impostor_pairs"], row["impostor_matches"]) == (len(own), matches)
        assert row["originals"] == len({name for one in own for name in one[2:4]})
        assert row["false_match_rate"] == pytest.approx(matches / len(own))
        assert row["false_match_rate_lower"] <= matches / len(own)
        assert matches / len(own) <= row["false_match_rate_upper"]
    without = [pair._replace(category="") for pair in pairs]
    found = results_of(count_labelled(hashed, without, 0, detail_bins=config.detail.bins), config)
    assert not found.tables.keys() & {"recall_by_category", "false_match_rates_by_category"}


def test_recall_by_category_of_originals():
    hashed = some_hashed(24, 3, 6)
    labels = ["x" if row % 3 else "" for row in range(24)]
    found = count_pairs(hashed, np.zeros(24, bool), labels={"categories": labels})
    rows = recall_by_category(found, {"a": 14}, 0.95)["recall_by_category"]
    assert [(row["category"], row["oriented"]) for row in rows] == [
        *itertools.product(("", "x"), (False, True))
    ]
    for row in rows:
        chosen = [i for i in range(24) if labels[i] == row["category"]]
        table = genuine_table(found, row["oriented"])[chosen]
        assert row["genuine_pairs"] == (table >= 0).sum()
        assert row["matches"] == ((table >= 0) & (table <= 14 * 14)).sum()
    assert recall_by_category(count_pairs(hashed, np.zeros(24, bool)), {"a": 14}, 0.95) == {}


def compared_pairs(kind, draw):
    """The images of the pairs of a design, and how many images there are."""
    if kind == "sparse":
        i, j = np.triu_indices(120, 1)
        chosen = draw.permutation(len(i))[:900]
        i, j = i[chosen], j[chosen]
    elif kind == "disjoint":
        i = np.arange(0, 800, 2)
        j = i + 1
    elif kind == "queries":  # each of 25 with each of 120 others
        i, j = (grid.ravel() for grid in np.meshgrid(np.arange(25), np.arange(25, 145)))
    else:  # each of 12 images with 80 of its own
        i = np.repeat(np.arange(12), 80)
        j = 12 + np.arange(len(i))
    images, number = np.unique(np.r_[i, j], return_inverse=True)
    return *number.reshape(2, -1), len(images)


@pytest.mark.scaled
@pytest.mark.parametrize("kind", ["sparse", "disjoint", "queries", "stars"])
def test_intervals_of_labelled_pairs_cover_the_rate(kind):
    """Images that match easily or not, in any design of pairs: 95 % intervals hold the rate."""
    draw, total = np.random.default_rng(1), scaled(3, 200)
    held = tried = 0
    for effect, rate in itertools.product((0.0, 0.5, 1.0), (0.05, 0.2)):
        for seed in range(total):
            i, j, n = compared_pairs(kind, draw)
            images = draw.normal(size=n) * effect
            limit = stats.norm.ppf(rate) * math.sqrt(1 + 2 * effect**2)
            cells = np.where(images[i] + images[j] + draw.normal(size=len(i)) < limit, 1, 2)
            found = false_match_rates(
                np.bincount(cells, minlength=3),
                n,
                ImpostorPairs(i, j, cells, 2),
                seed=seed,
                graph=PairGraph(i, j, n, seed),
            )
            held += found.lower[1] <= rate <= found.upper[1]
            tried += 1
    assert held >= 0.94 * tried - 1


def test_originals_that_show_the_same_are_one_image():
    """Many copies of two images are one dyad, and copies of disjoint ones tell no more."""
    names = [f"{image}{copy}" for image in "abcdefgh" for copy in range(5)]
    hashed = some_hashed(40, 1, 5)
    hashed = replace(hashed, names=tuple(names))
    pairs = [
        LabelledPair(f"{image}0", f"{image}{copy}", True, "")
        for image in "abcdefgh"
        for copy in range(1, 5)
    ]
    pairs += [
        LabelledPair(f"{a}{k}", f"{b}{k}", False, "")
        for a, b in ("ab", "cd", "ef", "gh")
        for k in range(5)
    ]
    found = count_labelled(hashed, pairs, 0)
    rates = labelled_rates(found, found.nearest, 0.95, 0)
    assert (rates.images, rates.pairs) == (8, 20)
    assert rates.matches[0] == 0
    assert rates.upper[0] == pytest.approx(1 - 0.05 ** (1 / 4)), "four disjoint pairs"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("a,b,maybe", "line 2 has maybe in the column same, needs 1 or 0; write one of them"),
        ("a,a,1", "line 2 pairs a with itself; take it out"),
        ("a,b,1\nb,a,0", "line 3 has the pair of line 2; take one of them out"),
        ("a,b,1\nb,c,1\nc,a,0", "line 4 says that c and a differ, and other lines link them"),
        ("a,b", "line 2 has 2 column(s), needs 3"),
    ],
)
def test_labels_that_are_refused(tmp_path, lines, problem):
    (tmp_path / "pairs.csv").write_text(f"a,b,same\n{lines}\n")
    config = config_of(tmp_path, pairs={"labelled": "pairs.csv"})
    with pytest.raises(pdna.FileError, match=re.escape(problem)):
        read_labelled(config)


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"variants": {"transforms": ["mirror"]}},
            "variants.transforms: there are no variants where",
        ),
        (
            {"categories": {"file": "c.csv"}},
            "categories.file: of labelled pairs, the column category",
        ),
        (
            {"pairs": {"labelled": "p", "count_identical": True}},
            "pairs.count_identical: has no eff",
        ),
        ({"pairs": {"labelled": "p", "duplicates": [["a", "b"]]}}, "pairs.duplicates: has no eff"),
    ],
)
def test_keys_that_labelled_pairs_refuse(sections, problem):
    with pytest.raises(pdna.ArgumentError, match=f"^{problem}"):
        config_of(**{"pairs": {"labelled": "pairs.csv"}, **sections})


def test_a_run_over_labelled_pairs(photos, tmp_path):
    names = sorted(path.name for path in photos.iterdir() if path.name != "bad.jpg")[:4]
    lines = [
        f"{names[0]},{names[1]},0,x",
        f"{names[2]},{names[0]},yes,",
        f"{names[3]},{names[1]},no,x",
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same,category", *lines, "bad.jpg,a,0,x"]))
    sections = {"originals": {"kind": "directory", "path": str(photos)}}
    config = config_of(tmp_path, pairs={"labelled": "pairs.csv"}, **sections)
    with pytest.raises(
        pdna.FileError, match=r"pairs.csv: line 5 of pairs.labelled: no original is"
    ):
        run(config, tmp_path / "run")
    (tmp_path / "pairs.csv").write_text(
        "\n".join(["a,b,same,category", *lines, f"bad.jpg,{names[0]},0,x"])
    )
    results = run(config, tmp_path / "run")
    assert set(results.counts.names) == set(names)
    assert [failure.original for failure in results.failures] == ["bad.jpg"]
    assert (results.summary["genuine_pairs"], results.summary["impostor_pairs"]) == (1, 2)
    assert list(results.manifest["files"]) == ["pairs.labelled"]
    again = Results.load(tmp_path / "run")
    assert again.tables == results.tables
    assert compare(again, results).identical
    page = html.page(results, {})
    for text in (
        "is the proportion of the labelled pairs that show the same and match;",
        "Only the labelled pairs are counted.",
        "<h2>Recall by category</h2>",
        "<h2>Labelled pairs of each category</h2>",
    ):
        assert text in page
    assert "<h2>Each transform" not in page
    assert "<summary>Each transform" not in page
    before = (tmp_path / "run" / "counts.npz").read_bytes()
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same,category", *lines[:2]]))
    fewer = run(config, tmp_path / "run")
    assert fewer.manifest["this_run"]["originals_hashed"] == 0
    assert fewer.summary["impostor_pairs"] == 1
    assert (tmp_path / "run" / "counts.npz").read_bytes() != before


def test_an_original_that_is_in_no_labelled_pair_can_be_left_out(tmp_path):
    names = [original.name for original in pdna.datasets.dead_leaves(4, (64, 48))]
    (tmp_path / "pairs.csv").write_text(f"a,b,same\n{names[0]},{names[1]},0\n")
    originals = {"kind": "dead_leaves", "number": 4, "size": [64, 48]}
    pairs = {"labelled": "pairs.csv", "leave_out": [names[3]]}
    found = run(config_of(tmp_path, originals=originals, pairs=pairs), tmp_path / "run")
    assert found.counts.names == tuple(names[:2])


@pytest.mark.long
def test_an_original_that_is_in_no_labelled_pair_is_not_known_by_its_digest(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / f"{number}.png")
    (tmp_path / "pairs.csv").write_text("a,b,same\n0.png,1.png,0\n")
    digest = sha256((folder / "2.png").read_bytes()).hexdigest()

    def left_out(name):
        pairs = {"labelled": "pairs.csv", "leave_out": [name]}
        originals = {"kind": "directory", "path": "pictures"}
        return run(config_of(tmp_path, originals=originals, pairs=pairs), tmp_path / "run")

    error = r"pairs\.leave_out: no original in the labelled pairs \(others need not be listed\) "
    with pytest.raises(pdna.ArgumentError, match=f"{error}has the digest sha256:{digest}; take"):
        left_out(f"sha256:{digest}")
    assert left_out("2.png").counts.names == ("0.png", "1.png")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(pdna.ArgumentError, match=rf"{error}is called 2\.png; did"):
        left_out("2.png")
