"""Results as tables: rows, pandas, Arrow, files, and reprs that stay short."""

import csv
import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, columns_of

import photodna_nb as pdna
from photodna_nb.index import SearchResults
from photodna_nb.pairs import metrics
from photodna_nb.tables import arrow
from photodna_nb.tables.columns import FileFailure
from photodna_nb.tables.result_table import ResultTable

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

HASHES = np.random.default_rng(0).integers(0, 256, (6, 144), np.uint8)
HOSTILE = ["/a\n.jpg", "/\udcff.jpg", "=1+1", "<b>&.jpg", "/猫.jpg", "/\x1b[31m"]
AS_BYTES = [path.encode("utf-8", "surrogateescape") for path in HOSTILE]
NUMBERS = np.arange(6, dtype=np.int64)
MILLION = 10**6


def pairs(paths=None, metric="euclidean", count=6):
    """Pairs of the first rows with the last ones; row 1 twice."""
    i, j = np.arange(count) % 6, (np.arange(count) + 1) % 6
    distance = np.arange(count) * (0.5 if metric == "euclidean" else 1)
    dtype = np.float64 if metric == "euclidean" else np.int32
    return pdna.Pairs(i, j, distance.astype(dtype), metric, paths, paths)


def table(paths=HOSTILE, **fields):
    detail = np.where(np.arange(len(paths)) == 1, np.nan, 100.0 + np.arange(len(paths)))
    return pdna.HashTable(list(paths), HASHES[: len(paths)], detail, **fields)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class EveryType(ResultTable[int]):
    """A column of every type, three rows, of which the last knows nothing."""

    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.arange(3))

    def __len__(self):
        return len(self.rows)

    def _columns(self):
        missing = self.rows == 2
        return {
            "text": [None if row == 2 else f"t{row}" for row in self.rows.tolist()],
            "real": np.where(missing, np.nan, self.rows / 2),
            "integer": np.ma.masked_array(self.rows.astype(np.int32), missing),
            "boolean": self.rows == 1,
            "bytes": np.full((len(self), 2), 65, np.uint8),
        }

    def _take(self, rows):
        return EveryType(self.rows[rows])

    def _record(self, row):
        return int(self.rows[row])


# Rows.


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [5, 3, 1]),
        (slice(9, None), []),
        (NUMBERS < 2, [0, 1]),
        ([True, False] * 3, [0, 2, 4]),
        (np.array([3, -1, 3], np.int8), [3, 5, 3]),
        ([0], [0]),
        ([], []),
        (pd.Series([False] * 5 + [True]), [5]),
    ],
)
def test_rows_of_every_table(rows, expected):
    results = SearchResults([[pdna.Match(n, "m", n, {})] for n in range(6)], HOSTILE)
    for some in (pairs(HOSTILE), table(), results.table()):
        assert type(some[rows]) is type(some)
        assert len(some[rows]) == len(expected)
        np.testing.assert_equal(list(some[rows]), [some[row] for row in expected])
        np.testing.assert_equal([some[np.int64(row)] for row in expected], list(some[rows]))
        assert some[-1] is not None


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (6, IndexError, "rows: got 6, needs numbers of the 6 rows, counted from 0"),
        (-7, pdna.ArgumentError, "rows: got -7"),
        ([0, 6], IndexError, "rows: got 6"),
        ([True] * 5, pdna.ArgumentError, "rows: got a mask of 5, needs 6 values"),
        ("a", pdna.ArgumentTypeError, "rows: got str, needs an integer, a slice"),
        (True, pdna.ArgumentTypeError, "rows: got bool"),
        (1.0, pdna.ArgumentTypeError, "rows: got float"),
        (None, pdna.ArgumentTypeError, "rows: got NoneType"),
        (np.zeros((2, 2), int), pdna.ArgumentTypeError, r"rows: got an array of int64 \(2, 2\)"),
    ],
)
def test_rows_that_there_are_not(rows, error, words):
    with pytest.raises(error, match=f"^{words}"):
        pairs()[rows]


def test_records():
    assert pairs(HOSTILE)[1] == (1, 2, 0.5, HOSTILE[1], HOSTILE[2])
    assert pairs(metric="manhattan")[-1] == pdna.Pair(5, 0, 5)
    assert type(pairs(metric="manhattan")[-1].distance) is int
    one = pdna.Pairs(*columns_of(pairs()), paths_j=HOSTILE)
    assert one[0] == (0, 1, 0.0, None, HOSTILE[1])
    assert table()[4].path == HOSTILE[4]
    assert table()[4].hash.tolist() == HASHES[4].tolist()
    assert [row.detail for row in table()][2:] == [102, 103, 104, 105]


# Other libraries, and files.


def test_pandas():
    frame = pairs(HOSTILE).to_pandas()
    assert frame.columns.tolist() == ["i", "j", "distance", "path_i", "path_j"]
    assert frame["path_j"].tolist() == [*HOSTILE[1:], HOSTILE[0]]
    assert frame.attrs["units"] == {"distance": "L2"}
    assert pairs(metric="manhattan").to_pandas().attrs["units"] == {"distance": "L1"}
    assert frame.dtypes.astype(str).tolist()[:3] == ["int64", "int64", "float64"]
    frame = EveryType().to_pandas()
    assert frame["integer"].isna().tolist() == [False, False, True]
    assert str(frame["integer"].dtype) == "Int32"
    assert frame["bytes"].tolist() == [b"AA"] * 3
    assert len(EveryType()[:0].to_pandas()) == 0


@pytest.mark.parametrize("large", [False, True])
def test_arrow(large, monkeypatch):
    if large:
        monkeypatch.setattr(arrow, "_LARGE", 1)
    found = pa.table(EveryType())
    found.validate(full=True)
    assert found.to_pydict() == {
        "text": ["t0", "t1", None],
        "real": [0.0, 0.5, None],
        "integer": [0, 1, None],
        "boolean": [False, True, False],
        "bytes": [b"AA"] * 3,
    }
    types = ["large_string" if large else "string", "double", "int32", "bool"]
    assert list(map(str, found.schema.types)) == [*types, "fixed_size_binary[2]"]
    found = pa.table(table())
    found.validate(full=True)
    assert found["path"].to_pylist() == AS_BYTES
    assert found["detail"].null_count == 1
    assert found.schema.field("detail").metadata == {b"unit": b"grey levels"}
    assert found["hash"].to_pylist() == [row.tobytes() for row in HASHES]
    assert pa.table(pairs(HOSTILE[2:3] * 6))["path_i"].to_pylist() == ["=1+1"] * 6
    for some in (EveryType()[:0], table()[:0], pairs()[:0], SearchResults().table()):
        assert pa.table(some).num_rows == 0
    for column in ("distance", "i"):
        address = pa.table(found := pairs())[column].chunk(0).buffers()[1].address
        assert address == getattr(found, column).ctypes.data, "a copy"


def test_names_of_columns_from_strangers():
    other = {"<b>\udcff\n": ["1", "2"], "": ["3", "4"]}
    some = table(["a", "b"], other=other)
    assert pa.table(some).column_names[3:] == [r"<b>\xff\n", ""]
    assert some.to_pandas().columns.tolist()[3:] == [r"<b>\xff\n", ""]
    assert Cells(some._repr_html_()).cells[3:5] == [r"<b>\xff\n", ""]


def test_half_of_a_surrogate_pair():
    with pytest.raises(pdna.ArgumentError, match=r"^path: got half of a surrogate pair"):
        pa.table(table(["\ud800"]))


def test_polars_and_duckdb():
    """And what is not known is null there, so that no comparison holds."""
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    some = table(["a", "b", "c"])
    assert polars.DataFrame(some)["path"].to_list() == ["a", "b", "c"]
    assert polars.DataFrame(some)["detail"].to_list() == [100, None, 102]
    hashes = some  # `some` is a word of SQL
    found = duckdb.sql("SELECT path FROM hashes WHERE detail > 100")
    assert len(hashes) == 3
    assert found.fetchall() == [("c",)]


def read_rows(path):
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".json":
        return json.loads(path.read_text("ascii"))
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
@pytest.mark.parametrize("rows_at_once", [4, 100])
def test_files_of_text(tmp_path, suffix, rows_at_once, monkeypatch):
    monkeypatch.setattr("photodna_nb.tables.result_files._ROWS_AT_ONCE", rows_at_once)
    path = tmp_path / f"t{suffix}"
    pairs(HOSTILE).save(path)
    rows = read_rows(path)
    number = float if suffix == ".csv" else (lambda value: value)
    assert [number(row["distance"]) for row in rows] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert [row["path_i"] for row in rows] == HOSTILE
    EveryType().save(path)
    empty = "" if suffix == ".csv" else None
    assert read_rows(path)[0]["bytes"] == "QUE="
    assert [read_rows(path)[2][name] for name in ("text", "real", "integer")] == [empty] * 3
    pairs()[:0].save(path)
    assert read_rows(path) == []
    assert (
        path.read_bytes() == {".csv": b"i,j,distance\r\n", ".json": b"[]\n", ".jsonl": b""}[suffix]
    )


def test_what_a_spreadsheet_would_run(tmp_path):
    pairs(HOSTILE).save(tmp_path / "p.csv", spreadsheet=True)
    rows = read_rows(tmp_path / "p.csv")
    assert [row["path_i"] for row in rows][2] == "'=1+1"
    assert rows[0]["path_i"] == HOSTILE[0]
    with pytest.raises(pdna.ArgumentError, match=r"\.json"):
        pairs().save(tmp_path / "p.json", spreadsheet=True)
    with pytest.raises(pdna.ArgumentError, match=r"suffix '\.npz', needs one of \.csv, \.json"):
        EveryType().save(tmp_path / "t.npz")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_saved_pairs_are_read_again(tmp_path, suffix, metric):
    path = tmp_path / f"p{suffix}"
    expected = pairs(HOSTILE, metric)
    expected.save(path)
    for found, column in zip(columns_of(pdna.read_pairs(path)), columns_of(expected), strict=True):
        np.testing.assert_array_equal(found, column, strict=True)
    assert pdna.read_pairs(path).metric == ("euclidean" if metric == "euclidean" else None)
    if suffix == ".parquet":
        from pyarrow import parquet

        read = parquet.ParquetFile(path).read()
        assert read["path_i"].to_pylist() == AS_BYTES
        metadata = read.schema.metadata
        assert any(key.startswith(b"photodna_nb") for key in metadata)
        changed = read.set_column(0, "i", pa.array(NUMBERS + 1))
        parquet.write_table(changed.replace_schema_metadata(metadata), path)
        with pytest.raises(pdna.TableFileError, match="digest"):
            pdna.read_pairs(path)


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
def test_the_documentation_lists_the_columns():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = text.partition("| table | columns |\n")[2].partition("\n\n")[0].splitlines()[1:]
    documented = {names[0]: names[1:] for names in (re.findall(r"`(\w+)`", row) for row in rows)}
    some = pdna.HashTable(list("ab"), np.zeros((2, 144), np.uint8), np.array([500.0, 500.0]))
    index = pdna.HashIndex.in_memory()
    index.add(some)
    tables = [
        some,
        pdna.pairs_within(some, max_distance=9),
        pdna.duplicates(some),
        pdna.match(some, some),
        index.search(some).table(),
    ]
    assert documented == {type(one).__name__: list(one._columns()) for one in tables}
    assert tables[-1].distance.tolist() == [match.match.distance for match in tables[-1]]
    for one in tables:
        one = one[:1]
        assert len(one.to_pandas()) == pa.table(one).num_rows == len(list(one)) == 1
        assert type(one).__name__ in one._repr_html_()


# Reprs.


class Cells(HTMLParser):
    """The cells of a table in HTML, as a browser shows them."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.cells += [""] if tag in ("td", "th") else []

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data.strip("\n")


def test_html():
    cells = Cells(pairs(HOSTILE)._repr_html_())
    assert set(cells.tags) == {"table", "caption", "tr", "th", "td"}
    assert cells.cells[:5] == ["i", "j", "distance (L2)", "path_i", "path_j"]
    assert cells.cells[5:10] == ["0", "1", "0", r"/a\n.jpg", r"/\xff.jpg"]
    cells = Cells(table()._repr_html_())
    first, second = (f"{row[:6].tobytes().hex()}…" for row in HASHES[:2])
    assert cells.cells[3:9] == [r"/a\n.jpg", first, "100", r"/\xff.jpg", second, ""]
    assert "b" not in cells.tags
    long = table(["x" * 5000])._repr_html_()
    assert len(long) < 1000
    assert Cells(EveryType()[:0]._repr_html_()).cells == list(EveryType()._columns())


def test_reprs_of_a_million_rows():
    many = pairs(HOSTILE, count=MILLION)
    assert repr(many) == "<Pairs of 1,000,000 pairs at L2 distances from 0 to 500000>"
    assert repr(many[:1]) == "<Pairs of 1 pair at L2 distances from 0 to 0>"
    assert repr(pdna.Pairs(*columns_of(many[:0]))) == "<Pairs of 0 pairs>"
    content = many._repr_html_()
    assert content.count("<tr>") == 12
    assert "…" in content
    assert len(content) < 3000
    results = SearchResults([[pdna.Match(0, "m", 9, {})] * 1000] * 1000)
    assert repr(results) == "<SearchResults of 1,000 queries and 1,000,000 matches>"
    assert len(results._repr_html_()) < 3000


# Tables of hashes.


def test_a_part_of_a_table_keeps_what_belongs_to_its_rows():
    status, size = np.arange(12).reshape(6, 2), np.arange(12, dtype=np.int32).reshape(6, 2)
    failures, skipped = [FileFailure("x", "bad")], {"hidden": 3}
    journalled = np.arange(6) == 4
    every = table(
        file_status=status,
        image_size=size,
        from_journal=journalled,
        failures=failures,
        skipped=skipped,
    )
    some = every[[4, 0]]
    assert some.paths == [HOSTILE[4], HOSTILE[0]]
    assert some.file_status.tolist() == [[8, 9], [0, 1]]
    assert some.image_size.tolist() == [[8, 9], [0, 1]]
    assert some.from_journal.tolist() == [True, False]
    assert (some.failures, some.skipped) == (failures, skipped)
    assert table()[:2].file_status is None
    high = every[every.detail >= 103]
    assert high.paths == HOSTILE[3:]


def test_concatenate():
    known = table(
        ["a", "b"],
        file_status=np.ones((2, 2), np.int64),
        from_journal=np.ones(2, bool),
        skipped={"hidden": 1},
    )
    failures = [FileFailure("x", "bad"), FileFailure("y", "bad")]
    unknown = table(["c"], failures=failures, skipped={"hidden": 2, "empty": 1})
    found = pdna.HashTable.concatenate([known, unknown, table([]), unknown[:0]])
    assert found.paths == ["a", "b", "c"]
    np.testing.assert_array_equal(found.hashes, HASHES[[0, 1, 0]])
    assert found.file_status.tolist() == [[1, 1], [1, 1], [-1, -1]]
    assert found.from_journal.tolist() == [True, True, False]
    assert found.image_size is None
    assert found.failures == failures
    assert found.skipped == {"hidden": 5, "empty": 2}
    sized = table(["d"], image_size=np.full((1, 2), 9, np.int32))
    assert pdna.HashTable.concatenate([unknown, sized]).image_size.tolist() == [[0, 0], [9, 9]]
    assert len(pdna.HashTable.concatenate([])) == 0
    with pytest.raises(pdna.ArgumentTypeError, match="tables: got an array of uint8 among them"):
        pdna.HashTable.concatenate([known, HASHES])
    with pytest.raises(pdna.ArgumentTypeError, match="tables: got int, needs several tables"):
        pdna.HashTable.concatenate(5)


def test_from_pandas():
    expected = table()
    found = pdna.HashTable.from_pandas(expected.to_pandas())
    assert found.paths == HOSTILE
    np.testing.assert_array_equal(found.hashes, HASHES, strict=True)
    np.testing.assert_array_equal(found.detail, expected.detail)
    frame = pd.DataFrame({"hash": [HASHES[0].tolist(), HASHES[1]], "path": ["a", b"\xff"]})
    found = pdna.HashTable.from_pandas(frame)
    assert found.paths == ["a", "\udcff"]
    np.testing.assert_array_equal(found.hashes, HASHES[:2])
    assert np.isnan(found.detail).all()
    texts = pd.DataFrame({"path": ["a", "b"], "hash": [HASHES[0].tobytes().hex(), HASHES[1]]})
    texts = texts.assign(day=pd.to_datetime(["2024-01-02", None]), n=[1.5, np.nan], s=["x", None])
    found = pdna.HashTable.from_pandas(texts)
    np.testing.assert_array_equal(found.hashes, HASHES[:2])
    assert found.other == {"day": ["2024-01-02 00:00:00", ""], "n": ["1.5", ""], "s": ["x", ""]}
    again = pdna.HashTable.from_pandas(found.to_pandas())
    assert again.other == found.other
    missing = frame.assign(detail=pd.array([None, 5], dtype="Int64"))
    np.testing.assert_array_equal(pdna.HashTable.from_pandas(missing).detail, [np.nan, 5])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("path", 5, r"row 1 \(counted from 0\) has int as path, needs text"),
        ("hash", b"123", "row 1 .* holds 3 bytes, needs 144"),
        ("hash", 144, "row 1 .* has no hash, needs 192 characters of base64"),
        ("hash", [256] * 144, "row 1 .* has values that are no integers from 0 to 255"),
        ("hash", [1.0] * 144, "row 1 .* has values that are no integers"),
        ("hash", "", "row 1 .* has no hash"),
        ("detail", "x", "row 1 .* has str as detail, needs a number"),
    ],
)
def test_frames_that_hold_no_hashes(column, value, words):
    frame = table(["a", "b"]).to_pandas().astype(object)
    frame.at[1, column] = value
    with pytest.raises(pdna.PhotodnaError, match=f"^frame: {words}"):
        pdna.HashTable.from_pandas(frame)


def test_what_is_no_frame():
    with pytest.raises(pdna.ArgumentError, match=r"^frame: has no column hash; rename"):
        pdna.HashTable.from_pandas(pd.DataFrame({"path": ["a"]}))
    for value in (5, [], HASHES):
        with pytest.raises(pdna.ArgumentTypeError, match=r"^frame: got .*, needs a DataFrame"):
            pdna.HashTable.from_pandas(value)


@pytest.mark.parametrize("name", ["pairs", "hashes", "search"])
def test_pandas_is_missing(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    some = {"pairs": pairs(), "hashes": table(), "search": SearchResults()}[name]
    words = r'^to_pandas: the package pandas is missing; pip install "photodna_nb\[tables\]"$'
    with pytest.raises(pdna.PhotodnaError, match=words):
        some.to_pandas()


# Pairs of tables.


@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
def test_pairs_have_the_paths_of_their_tables():
    near = np.zeros((4, 144), np.uint8)
    one = pdna.HashTable(list("abcd"), near, np.array([500.0, 1, 500, 500]))
    found = pdna.pairs_within(one, max_distance=0, min_detail=100)
    assert [(pair.path_i, pair.path_j) for pair in found] == [("a", "c"), ("a", "d"), ("c", "d")]
    assert found.metric == "euclidean"
    other = pdna.HashTable(["x"], near[:1], np.array([500.0]))
    found = pdna.pairs_within(one, other, max_distance=0, metric="manhattan")
    assert [(pair.path_i, pair.path_j) for pair in found] == [(name, "x") for name in "abcd"]
    found = pdna.pairs_within(near, other, max_distance=0)
    assert found[3] == (3, 0, 0.0, None, "x")
    assert pdna.pairs_within(near, max_distance=0).paths_i is None


# Distances.


def test_distance_of_one_hash_from_many():
    one, many = HASHES[0], HASHES
    differences = many.astype(int) - one
    squared = (differences**2).sum(axis=1)
    np.testing.assert_array_equal(pdna.distance(one, many), np.sqrt(squared), strict=True)
    for metric, expected in (("sqeuclidean", squared), ("manhattan", abs(differences).sum(axis=1))):
        found = pdna.distance(many, one, metric)
        np.testing.assert_array_equal(found, expected.astype(np.int32), strict=True)
    np.testing.assert_array_equal(pdna.distance(many, many[::-1])[0], pdna.distance(one, many[-1]))
    assert pdna.distance(many[:, None], many).shape == (6, 6)
    np.testing.assert_array_equal(pdna.similarity(one, table()), 1 - np.sqrt(squared) / 3060)
    assert type(pdna.distance(one, many[1])) is float
    assert type(pdna.similarity(one, many[1])) is float
    assert pdna.distance(one, many[:0]).shape == (0,)


def test_distance_of_many_hashes_in_parts(monkeypatch):
    expected = pdna.distance(HASHES[0], HASHES)
    monkeypatch.setattr(metrics, "_ROWS_AT_ONCE", 4)
    np.testing.assert_array_equal(pdna.distance(HASHES[0], HASHES), expected)
    np.testing.assert_array_equal(pdna.distance(HASHES, HASHES[:1]), expected)


def test_hashes_that_do_not_fit_together():
    with pytest.raises(pdna.ArgumentError, match=r"^a, b: got shapes \(2, 144\) and \(3, 144\)"):
        pdna.distance(HASHES[:2], HASHES[:3])
    with pytest.raises(pdna.ArgumentError, match="a, b: got hashes of 144 and of 143 values"):
        pdna.distance(HASHES[0], HASHES[:, 1:])
    with pytest.raises(pdna.ArgumentTypeError, match="a: got list"):
        pdna.similarity([[1], [1, 2]], HASHES)


# An index.


@pytest.fixture(params=["memory", "json", "sqlite"])
def index(request, tmp_path):
    if request.param == "memory":
        made = pdna.HashIndex.in_memory()
    else:
        made = pdna.HashIndex.create(tmp_path / "i.faiss", tmp_path / f"m.{request.param}")
    with made:
        made.add(table(["a", "b", "c\udcff"]))
        made.add(["d"], HASHES[3:4], extra=[{"detail": 7}])
        made.add(["e"], HASHES[4:5], extra=[{"detail": "of the user"}])
        yield made


def test_an_index_as_a_table(index):
    items = list(index)
    assert [item.id for item in items] == [1, 2, 3, 4, 5]
    found = index.table()
    assert found.paths == [item.path for item in items] == ["a", "b", "c\udcff", "d", "e"]
    np.testing.assert_array_equal(found.hashes, HASHES[[0, 1, 2, 3, 4]], strict=True)
    np.testing.assert_array_equal(found.detail, [100, np.nan, 102, 7, np.nan])
    assert [item.detail for item in items] == [100, None, 102, 7, None]


def test_search_results(index):
    queries = table(["x", "y"])
    found = index.search(queries, 2)
    assert [one[0].name for one in found] == ["a", "b"]
    assert isinstance(found, list)
    frame = found.to_pandas()
    assert frame.columns.tolist() == [
        *("query", "path", "match", "id", "rank", "distance", "similarity", "orientation", "detail")
    ]
    assert frame["path"].tolist() == ["x", "x", "y", "y"]
    assert frame["rank"].tolist() == [1, 2, 1, 2]
    assert frame["similarity"].tolist() == [match.similarity for one in found for match in one]
    assert frame["distance"].tolist() == [match.distance for one in found for match in one]
    assert frame.attrs["units"] == {"distance": "L2", "detail": "grey levels"}
    assert pa.table(found.table()).num_rows == 4
    assert pa.RecordBatchReader.from_stream(found).read_all().num_rows == 4
    row = found.table()[2]
    assert (row.query, row.path, row.rank, row.match) == (1, "y", 1, found[1][0])
    assert "path" not in index.search(queries.hashes, 2).to_pandas()
    assert index.search(queries.hashes, 2).table(["p", "q"])[3].path == "q"
    with pytest.raises(pdna.ArgumentError, match=r"queries: got 3, needs one for each of 2"):
        found.table(["p", "q", "r"])
    assert repr(found) == "<SearchResults of 2 queries and 4 matches>"


def test_matches_show_their_distance():
    match = pdna.Match(3, "/a.jpg", 14, {})
    assert "distance=3.7417, similarity=0.998777)" in repr(match)
    assert "id=3, path='/a.jpg'" in repr(match)
    assert repr(pdna.FaissMatch(3, 16)).endswith("distance=4.0000, similarity=0.998693)")


# Every record.


def record_classes():
    """Return the classes of records among the public names, what these return, and their fields."""
    names = [
        module.name
        for module in pkgutil.walk_packages(pdna.__path__, "photodna_nb.")
        if "integrations" not in module.name  # what they import may be missing
    ]
    classes = {
        name: value
        for module in names
        if not module.endswith("__main__")
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and (dataclasses.is_dataclass(value) or hasattr(value, "_fields"))
    }

    def named(text):
        return {classes[word] for word in re.findall(r"\w+", str(text)) if word in classes}

    modules = [pdna, pdna.evaluation, pdna.datasets, pdna.transforms, pdna.report, pdna.stages]
    modules.append(importlib.import_module("photodna_nb.index"))
    public = [getattr(m, name) for m in modules for name in getattr(m, "__all__", dir(m))]
    found, new = set(), set()
    for value in public:
        new |= {value} & set(classes.values()) if inspect.isclass(value) else set()
        functions = [value, *vars(value).values()] if inspect.isclass(value) else [value]
        for function in map(inspect.unwrap, functions):
            function = getattr(function, "fget", None) or getattr(function, "__func__", function)
            new |= named(getattr(function, "__annotations__", {}).get("return", ""))
    while new:
        found |= new
        fields = {one for record in new for one in named(list(record.__annotations__.values()))}
        new = fields - found
    # An abstract class, and those whose reprs are made of sums.
    left_out = {pdna.datasets.Original, pdna.Pairs}
    left_out |= {pdna.evaluation.PairCounts, pdna.evaluation.Comparison}
    return sorted(found - left_out, key=lambda one: one.__name__)


LONG = {
    "list": list(range(100_000)),
    "texts": ["x" * 100] * 1000,
    "array": np.arange(MILLION),
    "small array": np.arange(900.0) / 7,
    "dict": dict.fromkeys(range(1000), "x" * 100),
    "records": [FileFailure("x" * 1000, "y" * 1000)] * 1000,
}
HOLDS_MANY = re.compile(
    r"list|Sequence|NDArray|dict|Mapping|bytes|Floats|Integers|Histogram|Tables|tuple.*, \.\.\."
)


@pytest.mark.parametrize("record", record_classes(), ids=lambda record: record.__name__)
def test_reprs_are_short(record):
    """Of every public class of records, with long values in each field that may have many."""
    tuples = hasattr(record, "_fields")
    names = record._fields if tuples else [field.name for field in dataclasses.fields(record)]
    annotations = {
        name: kind for c in record.__mro__ for name, kind in inspect.get_annotations(c).items()
    }
    many = [name for name in names if HOLDS_MANY.search(str(annotations[name]))]
    numbers = re.compile("int|float")
    scalars = {name: 1 if numbers.search(str(annotations[name])) else None for name in names}
    for value in LONG.values():
        values = {name: value if name in many else scalars[name] for name in names}
        if tuples:
            made = record(**values)
        else:
            made = object.__new__(record)
            for name in names:
                object.__setattr__(made, name, values[name])
        assert len(repr(made)) < 100 + 400 * 6 * len(names), type(value)
