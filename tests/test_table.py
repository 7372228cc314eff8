"""Tables of hashes: round trips of every format, and what is wrong in which line."""

import base64
import builtins
import csv
import json
import re
import subprocess
import sys
import threading

import hostile_tables
import numpy as np
import pytest
from conftest import needs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.tables.columns import FileFailure
from photodna_nb.tables.formats import check_target

SUFFIXES = (".json", ".csv", ".npz", ".parquet")
HASHES = np.random.default_rng(1).integers(0, 256, (9, 144), np.uint8)
HOSTILE = [
    "/a.jpg",
    "/n\nl\r.jpg",
    '/"q",.jpg',
    "/猫.jpg",
    "/\udcff\udcfe.jpg",
    "/\x1b[31m",
    "/ ",
    "/'",
]


def table(paths, failures=()):
    count = len(paths)
    detail = np.linspace(0.1, 5000, count)
    return pdna.HashTable(list(paths), HASHES[np.arange(count) % 9], detail, list(failures))


def assert_same(loaded, expected, suffix):
    assert loaded.paths == expected.paths
    np.testing.assert_array_equal(loaded.hashes, expected.hashes, strict=True)
    if suffix == ".csv":
        assert np.isnan(loaded.detail).all()
    else:
        np.testing.assert_array_equal(loaded.detail, expected.detail, strict=True)
    assert loaded.failures == (expected.failures if suffix in (".npz", ".parquet") else [])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("paths", [[], ["/plain.jpg"], HOSTILE])
def test_round_trip(tmp_path, suffix, paths):
    expected = table(paths, [FileFailure("/bad\udcff\n.jpg", "is no image")])
    path = tmp_path / f"t{suffix.upper()}"
    expected.save(path)
    assert_same(pdna.HashTable.load(path), expected, suffix)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("first", ["path", "PATH", "\ufeffa.jpg", "\ufeff", '"', "a,b"])
def test_names_that_look_like_something_else(tmp_path, suffix, first):
    expected = table([first, "b"])
    expected.save(tmp_path / f"t{suffix}")
    assert_same(pdna.HashTable.load(tmp_path / f"t{suffix}"), expected, suffix)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=30,
)
@given(st.lists(names.map("/".__add__), unique=True))
def test_any_name(tmp_path, paths):
    for suffix in SUFFIXES:
        expected = table(paths)
        expected.save(tmp_path / f"t{suffix}")
        assert_same(pdna.HashTable.load(tmp_path / f"t{suffix}"), expected, suffix)


def test_json_is_the_list_of_hash_dir(tmp_path):
    table(["/a/b.jpg"]).save(tmp_path / "t.json")
    (entry,) = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert entry == {
        "filename": "b.jpg",
        "path": "/a/b.jpg",
        "photodna": HASHES[0].tolist(),
        "detail": 0.1,
    }


def test_csv_as_other_tools_write_and_read_it(tmp_path):
    lines = [("C:\\images\\1.jpg", HASHES[0]), ("two, with comma.jpg", HASHES[1])]
    path = tmp_path / "t.csv"
    for header in ([], [["path", "base64"]]):
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file)  # CRLF, quotes where needed
            writer.writerows(header)
            writer.writerows([name, base64.b64encode(row).decode()] for name, row in lines)
        loaded = pdna.HashTable.load(path)
        assert loaded.paths == [name for name, _ in lines]
        np.testing.assert_array_equal(loaded.hashes, HASHES[:2])
    loaded.save(path)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [[name, base64.b64encode(row).decode()] for name, row in lines]


GOOD = f"/a.jpg,{base64.b64encode(HASHES[0]).decode()}\n"


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (".csv", GOOD + "/b.jpg\n", r"line 2 has 1 column\(s\), needs 2"),
        (".csv", GOOD + '"/x\ny.jpg",AAAA\n', "line 2 holds 3 bytes, needs 144"),
        (".csv", GOOD + "\n" + GOOD + "/b.jpg,*AAA\n", "line 4 has no hash, needs 192"),
        (".csv", GOOD + "/b.jpg,AAA\n", "line 2 has no hash, needs 192"),
        (".csv", GOOD + "/b.jpg,é\n", "line 2 has no hash, needs 192"),
        # 144 bytes all the same, for a decoder that skips what is no base64
        *(
            (".csv", GOOD + GOOD.replace(",", f",{sign}"), "line 2 has no hash, needs 192")
            for sign in "*-"
        ),
        (".csv", GOOD + '"/b.jpg', "line 2 is no line of cells"),
        (".csv", GOOD + '"/b"x,AAAA', "line 2 is no line of cells"),
        (
            ".csv",
            GOOD + f"/b.jpg,{'A' * 200_000}",
            "line 2 is no line of cells \\(field larger",
        ),
        (".json", "{}", "holds no list of hashes"),
        (".json", "[", "damaged"),
        (".json", "[3]", "entry 0 .*has no hash"),
        (".json", '[{"path": "/a"}]', "no column holds hashes of 144 bytes"),
        (".json", '[{"path": "/a", "photodna": [1, 2]}]', "entry 0 .*2 values, needs 144"),
        (".json", '[{"path": "/a", "photodna": [256]}]', "entry 0 "),
        (".json", '[{"path": "/a", "photodna": 144}]', "entry 0 .*has no hash"),
        (
            ".json",
            json.dumps([{"path": None, "photodna": [0] * 144}]),
            "entry 0 .*no text as .path.",
        ),
        (".npz", "junk", "not a zip"),
        (".npz", "", "not a zip"),
        (".parquet", "junk", "damaged"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, suffix, content, words):
    path = tmp_path / f"t{suffix}"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(pdna.TableFileError, match=rf"(?s)t{suffix}: .*{words}"):
        pdna.HashTable.load(path)


def test_wrong_arguments(tmp_path):
    needs = r"^path: got the suffix '\.png', needs one of \.json, \.jsonl, .*\.npz, \.parquet$"
    for call in (table([]).save, pdna.HashTable.load, check_target):
        with pytest.raises(pdna.ArgumentError, match=needs):
            call("t.png")
        with pytest.raises(pdna.ArgumentTypeError, match=r"^path: got int"):
            call(3)
    with pytest.raises(pdna.TableFileError, match="no such file"):
        pdna.HashTable.load(tmp_path / "gone.npz")
    with pytest.raises(pdna.ArgumentError, match=r"hashes: .*\(1, 144\), needs \(2, 144\)"):
        pdna.HashTable(["/a", "/b"], HASHES[:1], np.zeros(2))
    with pytest.raises(pdna.ArgumentTypeError, match=r"detail: .*float32"):
        pdna.HashTable(["/a"], HASHES[:1], np.zeros(1, np.float32))


def test_a_foreign_parquet_file(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    for columns, words in (
        ({"size": [3]}, "no column holds hashes of 144 bytes"),
        ({"path": ["/a"]}, "no column holds hashes of 144 bytes"),
        ({"path": ["/a"], "hash": [b"short"]}, "row 0 (counted from 0) holds 5 bytes, needs 144"),
        ({"path": ["/a", None], "hash": [bytes(144)] * 2}, "row 1 (counted from 0) has no text"),
    ):
        parquet.write_table(pa.table(columns), path)
        with pytest.raises(pdna.TableFileError, match=re.escape(f"t.parquet: {words}")):
            pdna.HashTable.load(path)
    parquet.write_table(pa.table({"path": ["/a"], "hash": [HASHES[1].tobytes()]}), path)
    found = pdna.HashTable.load(path)
    assert (found.paths, found.failures) == (["/a"], [])
    np.testing.assert_array_equal(found.hashes, HASHES[1:2])
    assert np.isnan(found.detail).all()


def test_the_columns_of_a_parquet_file(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    for paths, kind in ([], pa.string()), (["/a"], pa.string()), (["/\udcff"], pa.binary()):
        table(paths).save(tmp_path / "t.parquet")
        schema = parquet.read_schema(tmp_path / "t.parquet")
        assert dict(zip(schema.names, schema.types, strict=True)) == {
            "path": kind,
            "hash": pa.binary(144),
            "detail": pa.float64(),
        }


def test_a_target_is_checked_before_there_is_a_table(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "gone" / "t.npz")
    for name, words in (
        ("folder.npz", "is a directory; give a file"),
        (
            "gone/t.npz",
            "cannot be written: its folder is missing or write-protected; check the path",
        ),
        ("link.npz", "cannot be written: its folder is missing or write-protected; check the path"),
    ):
        with pytest.raises(pdna.TableFileError, match=f"{re.escape(f'{name}: {words}')}$"):
            check_target(tmp_path / name)
    for suffix in SUFFIXES:
        check_target(tmp_path / f"t{suffix}")
    assert len(list(tmp_path.iterdir())) == 2, "nothing is written"


def test_without_the_optional_libraries(tmp_path, monkeypatch):
    table(["/a"]).save(tmp_path / "t.parquet")
    honest = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] in ("pandas", "pyarrow"):
            raise ModuleNotFoundError(name, name=name)
        return honest(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    needs = r"pip install \"photodna_nb\[tables\]\""
    pyarrow = rf": Parquet needs pyarrow: {needs}, or use \.npz$"
    for call, name in (
        (table(["/a"]).save, "other"),
        (pdna.HashTable.load, "t"),
        (check_target, "b"),
    ):
        with pytest.raises(pdna.TableFileError, match=rf"{name}\.parquet{pyarrow}"):
            call(tmp_path / f"{name}.parquet")
    with pytest.raises(pdna.PhotodnaError, match=rf"^to_pandas: .* pandas is missing; {needs}$"):
        table(["/a"]).to_pandas()


def test_to_pandas():
    assert table(HOSTILE).to_pandas()["path"].tolist() == HOSTILE
    frame = table(["/a", "/b"]).to_pandas()
    assert list(frame.columns) == ["path", "hash", "detail"]
    assert frame["hash"][1] == HASHES[1].tobytes()


def test_save_replaces_whole(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    table(["/a"]).save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(pdna.TableFileError, match=r"cannot be written \(No space left"):
        table(HOSTILE).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_an_npz_file_of_an_earlier_version_is_read(tmp_path):
    """It was written by NumPy, with times of its own."""
    expected = table(HOSTILE, [FileFailure("/bad\udcff\n.jpg", "is no image")])
    texts = ("\0".join(HOSTILE) + "\0").encode("utf-8", "surrogateescape")
    failures = json.dumps([list(failure) for failure in expected.failures]) + "\0"
    np.savez(
        tmp_path / "t.npz",
        paths=np.frombuffer(texts, np.uint8),
        hashes=expected.hashes,
        detail=expected.detail,
        failures=np.frombuffer(failures.encode(), np.uint8),
    )
    assert_same(pdna.HashTable.load(tmp_path / "t.npz"), expected, ".npz")


def test_the_same_table_is_the_same_npz_file(tmp_path):
    for name in ("a.npz", "b.npz"):
        table(HOSTILE).save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_damaged_npz_file(tmp_path):
    table(HOSTILE).save(tmp_path / "t.npz")
    content = (tmp_path / "t.npz").read_bytes()
    for place in range(0, len(content), 97):
        (tmp_path / "t.npz").write_bytes(content[:place])
        with pytest.raises(pdna.TableFileError, match=r"t\.npz: is damaged"):
            pdna.HashTable.load(tmp_path / "t.npz")


def test_cells_for_a_spreadsheet(tmp_path):
    formulas = ["=1+1", "+a", "-a", "@a", "\ta", "\ra", "\na", "＝a", "＋a", "－a", "＠a"]
    others = ["/=a", "a=", "'=a", " a", ""]
    expected = table([*formulas, *others])
    expected.save(tmp_path / "t.csv", spreadsheet=True)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        cells = [path for path, _ in csv.reader(file)]
    assert cells == [*("'" + path for path in formulas), *others]
    assert pdna.HashTable.load(tmp_path / "t.csv").paths == cells, "the apostrophe stays"
    expected.save(tmp_path / "t.csv")
    assert pdna.HashTable.load(tmp_path / "t.csv").paths == expected.paths
    with pytest.raises(pdna.ArgumentError, match=r"suffix '\.npz', needs one of \.csv"):
        expected.save(tmp_path / "t.npz", spreadsheet=True)
    with pytest.raises(pdna.ArgumentTypeError, match="spreadsheet: got int"):
        expected.save(tmp_path / "t.csv", spreadsheet=1)


def test_csv_leaves_the_limit_of_the_process_alone(tmp_path, monkeypatch):
    """It is one for all threads: another one that loads would find it changed."""
    table(["/a"]).save(tmp_path / "t.csv")
    before = csv.field_size_limit()

    def refused(*limit):
        assert not limit, "it is changed"
        return before

    with monkeypatch.context() as patch:
        patch.setattr(csv, "field_size_limit", refused)
        assert pdna.HashTable.load(tmp_path / "t.csv").paths == ["/a"]


def test_csv_in_several_threads(tmp_path, monkeypatch):
    interval = sys.getswitchinterval()
    code = base64.b64encode(HASHES[0]).decode()
    lines = (f"{'d/' * 60}{number}.png,{code}\n" for number in range(5000))
    (tmp_path / "big.csv").write_text("".join(lines))
    (tmp_path / "empty.csv").write_text("")
    stop = threading.Event()

    def load_small():
        while not stop.is_set():
            pdna.HashTable.load(tmp_path / "empty.csv")

    threads = [threading.Thread(target=load_small) for _ in range(3)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        assert [len(pdna.HashTable.load(tmp_path / "big.csv")) for _ in range(4)] == [5000] * 4
    finally:
        stop.set()
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()
    assert csv.field_size_limit() == 131072


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_path_that_no_file_can_have_is_refused(tmp_path, suffix):
    """Half of a surrogate pair, both halves apart, bytes that are a letter in UTF-8, and NUL."""
    for codes in (0xD800,), (0xDFFF,), (0xD83D, 0xDE00), (0xDCC3, 0xDCA9), (0,):
        name = "/" + "".join(map(chr, codes))
        words = r"cannot be written: path 1 \(counted from 0\)"
        with pytest.raises(pdna.TableFileError, match=words):
            table(["/a", name]).save(tmp_path / f"t{suffix}")
    assert list(tmp_path.iterdir()) == []


@needs("named pipes", "limits of memory")
@pytest.mark.long
def test_hostile_tables_are_refused_soon_and_within_little_memory(tmp_path):
    (tmp_path / "tables").mkdir()
    hostile_tables.write_all(tmp_path / "tables")
    command = [sys.executable, hostile_tables.__file__, str(tmp_path / "tables")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (child.returncode, child.stderr) == (0, "")
    loaded = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(loaded) == len(list((tmp_path / "tables").iterdir())) > 45
    with pytest.raises(pdna.TableFileError, match="it holds two arrays hashes"):
        pdna.distance_matrix(str(tmp_path / "tables" / "twice.npz"))
    for name, error, message, seconds, megabytes in loaded:
        assert error == "TableFileError", (name, error, message)
        assert name in message
        assert "more memory" not in message, (name, message)
        assert seconds < 2, (name, seconds)
        assert megabytes < hostile_tables.MEMORY, (name, megabytes)


def test_foreign_files_that_are_compressed_or_repeat_themselves(tmp_path):
    """Some are far larger than their file, and small all the same."""
    import pyarrow as pa
    from pyarrow import parquet

    expected = table([f"/{number}" for number in range(9)] * 2000)
    expected.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as members:
        np.savez_compressed(tmp_path / "t.npz", **members)
    assert (tmp_path / "t.npz").stat().st_size < 144 * len(expected) / 5
    assert_same(pdna.HashTable.load(tmp_path / "t.npz"), expected, ".npz")
    columns = {"path": expected.paths, "hash": list(map(bytes, expected.hashes))}
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.large_binary()):
        frame = pa.table(columns).set_column(0, "path", pa.array(expected.paths).cast(kind))
        parquet.write_table(frame, tmp_path / "t.parquet", compression="zstd")
        found = pdna.HashTable.load(tmp_path / "t.parquet")
        assert found.paths == expected.paths
        np.testing.assert_array_equal(found.hashes, expected.hashes)
