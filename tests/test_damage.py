"""Damaged stores: an error, an entry that counts as missing, or the same answer."""

import zipfile
from pathlib import Path

import damage
import numpy as np
import pytest
from conftest import JIT_OFF, columns_of, scaled

import photodna_nb as pdna
from photodna_nb import npz
from photodna_nb.tables.columns import FileFailure

FORMER = Path(__file__).parent / "former_files"


@pytest.mark.scaled
@pytest.mark.parametrize("name", damage.STORES)
def test_no_damage_becomes_another_answer(name):
    if JIT_OFF and name in ("compiled kernel", "index, with a search tree"):
        pytest.skip("nothing is compiled")
    counts, problems = damage.count(name, scaled(25, 3000))
    assert problems == []
    # Most of a small database is empty.
    assert counts["noticed"] > 0.4 * (counts["flips"] + counts["cuts"])


def test_the_count_notices_another_answer(monkeypatch):
    """A CSV table has no digest, as other programs write it."""
    monkeypatch.setitem(damage.STORES, "csv", damage.table_file("t.csv"))
    counts, problems = damage.count("csv", 100)
    assert counts["wrong"] > 20
    assert len(problems) == counts["wrong"]

    def crash(path):
        raise KeyError

    monkeypatch.setitem(
        damage.STORES, "crash", damage.Store(lambda folder: folder / "f", lambda path: None)
    )
    with pytest.raises(FileNotFoundError):
        damage.count("crash", 1)
    store = damage.Store(lambda folder: folder, crash)
    assert damage.outcome(store, Path("f"), None) == ("crashed", "KeyError()")


def test_what_replaces_an_array_is_noticed(tmp_path):
    """With right CRCs, as any program that writes archives gives them."""
    table = damage.table()
    table.save(tmp_path / "t.npz")
    digest = npz._COMMENT + b"0" * 64
    with np.load(tmp_path / "t.npz") as members:
        arrays = dict(members)
    np.savez(tmp_path / "t.npz", **arrays | {"hashes": arrays["hashes"][::-1]})
    with zipfile.ZipFile(tmp_path / "t.npz", "a") as archive:
        archive.comment = digest
    for read in (pdna.HashTable.load, lambda path: pdna.distance_matrix(str(path))):
        with pytest.raises(pdna.TableFileError, match=r"t\.npz: .*its digest does not hold"):
            read(tmp_path / "t.npz")


def test_other_values_under_the_digest_of_a_parquet_file(tmp_path):
    """Of another program that keeps the metadata; other columns of its own are no matter."""
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    damage.table().save(path)
    whole = parquet.read_table(path)
    parquet.write_table(whole.append_column("size", pa.array([1, 2, 3])), path)
    assert pdna.HashTable.load(path).paths == damage.PATHS
    others = {
        "hash": whole.set_column(1, "hash", whole["hash"].take([1, 0, 2])),
        "path": whole.set_column(0, "path", whole["path"].take([1, 0, 2])),
        "detail": whole.rename_columns(["path", "hash", "details"]),
        "rows": whole.slice(0, 2),
        "failures": whole.replace_schema_metadata(
            whole.schema.metadata | {b"photodna_nb.failures": b"[]"}
        ),
    }
    for other in others.values():
        if not other.schema.metadata:
            other = other.replace_schema_metadata(whole.schema.metadata)
        parquet.write_table(other, path)
        with pytest.raises(
            pdna.TableFileError, match=r"digest does not hold.*without the metadata"
        ):
            pdna.HashTable.load(path)
        parquet.write_table(pa.table(dict(zip(other.column_names, other, strict=True))), path)
        assert len(pdna.HashTable.load(path)) == len(other)
    parquet.write_table(whole.replace_schema_metadata({}), path)  # one altered byte can do that
    with pytest.raises(pdna.TableFileError, match="digest does not hold"):
        pdna.HashTable.load(path)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_files_of_before_the_digests_are_read(tmp_path, suffix):
    loaded = pdna.HashTable.load(FORMER / f"table{suffix}")
    assert loaded.paths == ["/a.jpg", "/\udcff\n.jpg"]
    assert loaded.hashes.tolist() == [list(range(144)), list(range(100, 244))]
    assert (loaded.detail[0], np.isnan(loaded.detail[1])) == (1.5, True)
    assert loaded.failures == [FileFailure("/bad", "is no image")]
    pairs = pdna.read_pairs(FORMER / f"pairs{suffix}")
    assert [column.tolist() for column in columns_of(pairs)] == [[0], [1], [1200.0]]
    assert pdna.distance_matrix(str(FORMER / "table.npz"))[0, 1] == 1200


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_pairs_are_read_as_they_were_written(tmp_path, suffix, metric):
    path = tmp_path / f"p{suffix}"
    for limit in (10**9, 0):
        expected = pdna.pairs_within(damage.HASHES, max_distance=limit, metric=metric)
        pdna.write_pairs(path, damage.HASHES, max_distance=limit, metric=metric)
        found = columns_of(pdna.read_pairs(path))
        for column, read in zip(columns_of(expected), found, strict=True):
            np.testing.assert_array_equal(read, column, strict=True)


def test_files_that_hold_no_pairs(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    with pytest.raises(pdna.ArgumentError, match=r"suffix '\.csv', needs one of \.npz, \.parquet"):
        pdna.read_pairs("p.csv")
    wrong = {"i": np.zeros(2, np.int64), "j": np.zeros(2), "distance": np.zeros(2)}
    np.savez(tmp_path / "p.npz", **wrong)
    parquet.write_table(pa.table(wrong), tmp_path / "p.parquet")
    damage.table().save(tmp_path / "t.npz")
    damage.table().save(tmp_path / "t.parquet")
    for name in ("p.npz", "p.parquet", "t.npz", "t.parquet", "gone.npz"):
        with pytest.raises(pdna.TableFileError, match=name):
            pdna.read_pairs(tmp_path / name)
