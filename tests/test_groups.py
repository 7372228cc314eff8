"""Groups of duplicates against brute force: all pairs, and labels that spread along them."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import searches
from conftest import JIT_OFF, needs_jit, spawned_processes
from duplicate_sets import exact_distances, some_set, table_of
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.hashing.orientations import OF_PAIRS, ORIENTATIONS, oriented
from photodna_nb.kernels import distance
from photodna_nb.kernels.components import join
from photodna_nb.pairs import components, search


def labels_of(near):
    """Return the lowest row that each row is connected with."""
    labels = np.arange(len(near))
    while len(near):
        lower = np.where(near | near.T, labels, len(near)).min(axis=1)
        lower = np.minimum(lower, labels)
        if (lower == labels).all():
            break
        labels = lower
    return labels


def expected_groups(hashes, limit, metric, orientations, rows=None):
    """Return (group, row, distance, orientation) of each member, and the widest distances."""
    rows = np.arange(len(hashes)) if rows is None else rows
    exact, nearest = exact_distances(hashes[rows], hashes[rows], metric, orientations)
    labels = labels_of(exact <= limit)
    members, widest = [], []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) > 1:
            others = sorted(own[1:], key=lambda other: (exact[own[0], other], other))
            for other in (own[0], *others):
                distance = None if other == own[0] else int(exact[own[0], other])
                orientation = int(nearest[own[0], other])
                members.append((len(widest), int(rows[other]), distance, orientation))
            widest.append(int(exact[np.ix_(own, own)].max()))
    return members, widest


def found_groups(found):
    distances = [None if np.isnan(d) else int(d) for d in found.distance.tolist()]
    columns = found.group.tolist(), found.row.tolist(), distances, found.orientation.tolist()
    return list(zip(*columns, strict=True)), found.widest.tolist()


SETS = ("photographs", "copies", "blank", "extremes", "oriented", "symmetric", "chains", "equal")


@pytest.mark.parametrize("orientations", [False, True])
@pytest.mark.parametrize("kind", SETS)
def test_groups(kind, orientations, by_trees, monkeypatch):
    monkeypatch.setattr(components, "_QUERIES", 8)  # several tasks for each group
    monkeypatch.setattr(components, "_ROWS", 24)
    hashes = some_set(kind)
    for metric in ("sqeuclidean", "manhattan"):
        exact, _ = exact_distances(hashes, hashes, metric, orientations)
        limits = [100, int(np.quantile(exact, 0.02)), int(np.quantile(exact, 0.3))]
        for limit in limits[: 1 if metric == "manhattan" else 3]:
            found = pdna.duplicates(
                hashes, limit, metric=metric, orientations=orientations, min_detail=None
            )
            expected = expected_groups(hashes, limit, metric, orientations)
            assert found_groups(found) == expected, (metric, limit)
            assert found.exceeds_limit.tolist() == [one > limit for one in expected[1]]
            assert not len(found.low_detail)


def test_the_sets_have_what_they_are_for():
    """Groups that are wider than the limit; images like their own mirror image; orientations."""
    _, widest = expected_groups(some_set("chains"), 100, "sqeuclidean", False)
    assert max(widest) > 10_000
    symmetric = some_set("symmetric")
    assert (oriented(symmetric[::2], 1) == symmetric[::2]).all()
    turned = some_set("oriented")
    members = [expected_groups(turned, 2500, "sqeuclidean", some)[0] for some in (False, True)]
    assert len({member[3] for member in members[1]}) > 4
    assert members[1][-1][0] < members[0][-1][0] or len(members[1]) > len(members[0])


@pytest.mark.parametrize("workers", ["1", "3", "executor"])
def test_any_number_of_workers(workers, by_trees):
    hashes = some_set("oriented", 40 if JIT_OFF else 600)
    plain = pdna.duplicates(hashes, 60, orientations=True, max_workers=2)
    assert len(plain) > 10
    with ThreadPoolExecutor(2) as executor:
        options = {"executor": executor} if workers == "executor" else {"max_workers": int(workers)}
        found = pdna.duplicates(hashes, 60, orientations=True, **options)
    for name in ("group", "row", "distance", "orientation", "widest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


@pytest.mark.long
@needs_jit
def test_processes():
    hashes = some_set("oriented", 3000)
    with spawned_processes() as executor:
        found = pdna.duplicates(hashes, 60, orientations=True, executor=executor)
    assert found_groups(found) == found_groups(pdna.duplicates(hashes, 60, orientations=True))


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=40)
        )
    )
)
def test_join(graph):
    n, edges = graph
    near = np.eye(n, dtype=bool)
    parents = np.arange(n, dtype=np.int32)
    for i, j in edges:
        near[i, j] = True
    half = len(edges) // 2
    for part in (edges[:half], edges[half:]):
        packed = np.array([(i << 32) + j for i, j in part], np.int64)
        packed.flags.writeable = False
        join(parents, packed)
        assert (parents <= np.arange(n)).all()
    components._shorten(parents)
    np.testing.assert_array_equal(parents, labels_of(near))


def test_orientations_of_pairs():
    """Those that are searched see each pair in all eight orientations of either image."""
    hashes = searches.some_hashes("random", 4)
    inverse = {
        number
        for number in range(8)
        for other in OF_PAIRS
        if (oriented(oriented(hashes, number), other) == hashes).all()
    }
    assert inverse | set(OF_PAIRS) == set(range(8))
    assert len(OF_PAIRS) == 7


def test_limits_are_inclusive_and_exact():
    hashes = np.zeros((2, 144), np.uint8)
    hashes[0, :3] = 1, 1, 1
    for at in ("1.7320508075688773", Decimal(3).sqrt().next_plus(), Fraction(1_732_051, 10**6)):
        assert pdna.duplicates(hashes, at, min_detail=None).n_groups == (Fraction(at) ** 2 >= 3)
    hashes[0, 3] = 1
    for at in (2, 2.0, "2", Fraction(2), Decimal("2.000")):
        found = pdna.duplicates(hashes, at, min_detail=None)
        assert (found.widest.tolist(), found.exceeds_limit.tolist()) == ([2.0], [False])
        assert found.max_distance == 2
    assert pdna.duplicates(hashes, np.nextafter(2, 0), min_detail=None).n_groups == 0
    assert pdna.duplicates(hashes, np.inf, min_detail=None).max_distance >= 3060


def test_equal_hashes_whose_keys_are_equal(monkeypatch):
    """Keys of other hashes lie between those of equal ones, which are then compared as any."""
    hashes = some_set("equal")
    for factors in (components._FACTORS, np.zeros(18, np.uint64)):
        monkeypatch.setattr(components, "_FACTORS", factors)
        found = pdna.duplicates(hashes, 0, min_detail=None)
        assert found_groups(found) == expected_groups(hashes, 0, "sqeuclidean", False)


def test_distinct():
    hashes = some_set("equal", 60)[:, ::-1]
    first, number = components.distinct(hashes)
    np.testing.assert_array_equal(hashes[first][number], hashes)
    assert len(first) == len({row.tobytes() for row in hashes})
    assert (np.diff(first) > 0).all()
    for row, of_row in enumerate(number.tolist()):
        assert first[of_row] <= row
    assert [len(part) for part in components.distinct(hashes[:0])] == [0, 0]


@pytest.mark.long
@needs_jit
@pytest.mark.parametrize("where", ["trees", "tiles", "executor"])
def test_the_number_of_pairs_does_not_matter(where, monkeypatch):
    """Of images that are all within the limit, not even half are computed."""
    n = 16_000
    hashes = np.full((n, 144), 100, np.uint8)
    rng = np.random.default_rng(0)
    hashes[:, :40] += rng.integers(0, 3, (n, 40), np.uint8)
    hashes[n // 2 :, 40] = 250
    projection = None if where == "tiles" else searches.some_projection("principal", 16)
    monkeypatch.setattr(search, "pair_projection", lambda *_: projection)
    within, numbers = distance.within, []

    def counted(*arguments):
        numbers.append(within(*arguments))
        return numbers[-1]

    monkeypatch.setattr(distance, "within", counted)
    with ThreadPoolExecutor(2) as executor:
        options = {"executor": executor} if where == "executor" else {"max_workers": 1}
        found = pdna.duplicates(hashes, 40, min_detail=None, **options)
    np.testing.assert_array_equal(found.group, np.repeat([0, 1], n // 2))
    assert sum(numbers) < 2 * (n // 2) ** 2 / 2 / 2


def test_equal_hashes_are_searched_once(monkeypatch):
    searched = []

    def counted(hashes, *arguments):
        searched.append(len(hashes))
        return search.found_pairs(hashes, *arguments)

    monkeypatch.setattr(components, "found_pairs", counted)
    found = pdna.duplicates(np.repeat(searches.some_hashes("random", 2), 4000, axis=0))
    assert (len(found), found.n_groups, searched) == (8000, 2, [2])


def test_few_or_no_hashes():
    for n in (0, 1):
        found = pdna.duplicates(np.ones((n, 144), np.uint8), orientations=True)
        assert (len(found), found.n_groups, list(found.groups())) == (0, 0, [])
        assert len(found.widest) == 0


# Detail.


def test_low_detail():
    hashes = np.repeat(searches.some_hashes("photographs", 1), 6, axis=0)
    hashes[4:] = 0
    table = table_of(hashes)
    table.detail[:5] = 99.9, 100, np.nan, 3000, 5000
    found = pdna.duplicates(table)
    assert found.row.tolist() == [1, 2, 3]
    assert found.low_detail.tolist() == [0, 5], "all zero, of unknown detail"
    assert pdna.duplicates(table, min_detail=None).row.tolist() == list(range(6))
    assert pdna.duplicates(table, min_detail=4000).row.tolist() == []
    assert pdna.duplicates(hashes).low_detail.tolist() == [4, 5]
    same = pdna.pairs_within(table, max_distance=0, min_detail=100)
    assert set(same.i) | set(same.j) == {1, 2, 3}


# The first of a group, and the table.


@pytest.fixture
def found():
    """Two groups; the lines of their tables are below."""
    hashes = searches.some_hashes("random", 7)
    hashes[[2, 4, 5]] = hashes[1]
    hashes[4, 0] += np.uint8(3) if hashes[4, 0] < 100 else np.uint8(253)
    hashes[6] = oriented(hashes[0], 3)
    size = np.array([[20, 10], [20, 10], [5, 40], [90, 90], [0, 0], [10, 20], [30, 30]], np.int32)
    status = np.array([[n_bytes, 0] for n_bytes in (7, 8, 9, 5, 3, 9, -1)])
    return pdna.duplicates(table_of(hashes, image_size=size, file_status=status), orientations=True)


LINES = [
    [0, "/6.png", None, "identity", 30, 30, None],
    [0, "/0.png", 0.0, "rotate_270", 20, 10, 7],
    [1, "/2.png", None, "identity", 5, 40, 9],
    [1, "/1.png", 0.0, "identity", 20, 10, 8],
    [1, "/5.png", 0.0, "identity", 10, 20, 9],
    [1, "/4.png", 3.0, "identity", None, None, 3],
]
COLUMNS = ["group", "path", "distance", "orientation", "width", "height", "bytes"]


def test_the_first_has_most_pixels(found):
    """Then most bytes, then the lowest row; the others follow by distance, then by row."""
    assert [list(member)[:7] for member in found] == LINES
    assert found.row.tolist() == [6, 0, 2, 1, 5, 4]
    assert [member.row for member in found] == found.row.tolist()
    assert found.paths == [line[1] for line in LINES]
    plain = pdna.duplicates(found.table.hashes, orientations=True)
    assert plain.paths == ["0", "6", "1", "2", "5", "4"]
    assert list(plain[0])[4:] == [None, None, None, 0]
    assert plain[1].orientation == "rotate_90"


def test_an_orientation_makes_the_member_of_the_first(found):
    hashes = found.table.hashes
    np.testing.assert_array_equal(
        oriented(hashes[6], ORIENTATIONS.index(found[1].orientation)), hashes[0]
    )


def test_records_of_groups(found):
    first, second = found.groups()
    assert (first.number, first.widest, first.exceeds_limit) == (0, 0.0, False)
    assert (second.number, second.widest) == (1, 3.0)
    assert first.members + second.members == list(found)
    assert found.n_groups == 2
    assert repr(found) == "<DuplicateGroups of 2 groups with 6 images>"


def test_some_rows(found):
    later = found[found.group == 1]
    assert [list(member)[:7] for member in later] == LINES[2:]
    (group,) = later.groups()
    assert (group.number, group.widest, later.n_groups) == (1, 3.0, 1)
    assert [member.path for member in found[[1, -1]]] == ["/0.png", "/4.png"]
    assert len(found[:0]) == 0
    mixed = found[[4, 0, 5, 1]]
    assert [[one.path for one in group.members] for group in mixed.groups()] == [
        [found[0].path, found[1].path],
        [found[4].path, found[5].path],
    ]
    assert "<td>rotate_270</td>" in found._repr_html_()


def test_files(found, tmp_path):
    for suffix in ("csv", "json", "jsonl", "parquet"):
        found.save(tmp_path / f"groups.{suffix}")
    rows = list(csv.reader((tmp_path / "groups.csv").read_text("utf-8").splitlines()))
    assert rows == [COLUMNS, *(["" if v is None else str(v) for v in line] for line in LINES)]
    objects = [dict(zip(COLUMNS, line, strict=True)) for line in LINES]
    assert json.loads((tmp_path / "groups.json").read_text("utf-8")) == objects
    lines = (tmp_path / "groups.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == objects
    from pyarrow import parquet

    assert parquet.read_table(tmp_path / "groups.parquet").to_pylist() == objects
    frame = found.to_pandas()
    assert list(frame) == COLUMNS
    assert frame.astype(object).where(frame.notna(), None).values.tolist() == LINES


# Where hashes come from, and wrong arguments.


def test_hashes_in_files(tmp_path):
    hashes = some_set("copies", 40)
    np.save(tmp_path / "a.npy", hashes[:25])
    table_of(hashes[25:], 5000).save(tmp_path / "b.npz")
    table_of(hashes[25:]).save(tmp_path / "b.csv")
    plain = pdna.duplicates(hashes, 20)
    names = [f"{tmp_path}/a.npy:{row}" for row in range(25)] + [f"/{row}.png" for row in range(15)]
    for second in ("b.npz", "b.csv"):
        found = pdna.duplicates([tmp_path / "a.npy", tmp_path / second], 20)
        assert found_groups(found) == found_groups(plain)
        assert found.paths == [names[row] for row in plain.row]
    assert pdna.duplicates(str(tmp_path / "b.csv"), 20).table.paths == names[25:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2],), "hashes: got list"),
        ((np.zeros((2, 143), np.uint8),), "hashes: got an array of shape"),
        (("missing.npz",), "missing.npz"),
        (("table.xyz",), "hashes: got 'table.xyz', needs a table of hashes or a .npy file; hash_i"),
        ((["photos"],), "hashes: got 'photos', needs a table"),
        ((np.zeros((2, 144), np.uint8), -1), "max_distance: got -1"),
        ((np.zeros((2, 144), np.uint8), "x"), "max_distance: got x"),
    ],
)
def test_wrong_hashes_and_limits(arguments, words):
    with pytest.raises(pdna.PhotodnaError, match=words):
        pdna.duplicates(*arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "cosine"}, "metric: got 'cosine'"),
        ({"orientations": 8}, "orientations: got int, needs True or False"),
        ({"min_detail": -1}, "min_detail: got -1"),
        ({"min_detail": "x"}, "min_detail: got str"),
        ({"max_workers": 0}, "max_workers: got 0"),
        ({"executor": 4}, "executor: got int"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(pdna.PhotodnaError, match=words):
        pdna.duplicates(some_set("copies"), **options)
