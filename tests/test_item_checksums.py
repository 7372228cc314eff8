"""The checksum of an item: every altered byte is an error that names the item, or harmless."""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import scaled
from indexes import (
    HASHES,
    METADATA,
    answered,
    corrupt,
    edit,
    names,
    save_index,
    write_former_tables,
)
from PIL import Image

import photodna_nb as pdna
from photodna_nb import item_record
from photodna_nb.index import sqlite_schema
from photodna_nb.item_record import ItemRecord

FORMER = Path(__file__).parent / "former_files"
RECORDS = [
    ItemRecord(),
    ItemRecord(label=True),
    ItemRecord("/a/\udcff猫", 5, 10**18, 0.1, "13.0.0"),
]
EXTRAS = [
    {},
    {"z": 1, "a": {"c": [1.5, None], "b": "\ud800"}},
    {"checksum": "x", "n": float("inf")},
]


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_and_checksum_there_and_back(record, extra):
    """Also after another program has written the same values in another way."""
    text, checksum = item_record.encode_extra(record, extra), bytes(range(8))
    assert item_record.decode_extra(text) == (extra, record)
    stored = item_record.with_checksum(text, checksum)
    for rewritten in (
        stored,
        json.dumps(json.loads(stored), indent=2),
        json.dumps(dict(reversed(json.loads(stored).items())), ensure_ascii=False),
    ):
        assert item_record.without_checksum(rewritten) == (text, checksum)
    assert item_record.without_checksum(text) == (text, None)


def test_each_byte_of_an_item_counts():
    """Id, hash, path, extra and other keys; and what moves from one to the other."""
    item = (1, b"hash", "/path", '{"a":1}', "{}")
    whole = item_record.item_checksum(*item)
    others = [
        (2, *item[1:]),
        *[
            (*item[:k], item[k][:i] + item[k][i + 1 :], *item[k + 1 :])
            for k in range(1, 5)
            for i in range(len(item[k]))
        ],
        (1, b"hash", '/path\0{"a":1}', "", "{}"),
    ]
    computed = [item_record.item_checksum(*other) for other in others]
    assert len({whole, *computed}) == len(others) + 1
    assert whole.startswith(item_record.hash_checksum(*item[:2]))


def test_a_row_that_the_index_file_lacks(tmp_path):
    """The case `row_flip`: the index file holds nothing to compare the row with."""
    files = save_index(tmp_path, HASHES[:1], "meta.sqlite")
    with pdna.HashIndex.open(*files) as index:
        index.add(["/b"], HASHES[1:2])
        index.save()
    offset = files[1].read_bytes().index(HASHES[1].tobytes()) + 100
    corrupt(files[1], offset, bytes([HASHES[1][100] ^ 0x80]))
    with pytest.raises(pdna.IndexFileError, match=r"meta.sqlite: item 2 was changed by .*damaged"):
        pdna.HashIndex.open(*files)
    with pdna.HashIndex.rebuild(*files) as index:
        assert index.accepted == [2]
        index.verify()
        assert index.get(2).hash[100] == HASHES[1][100] ^ 0x80


def test_a_row_that_is_gone(tmp_path):
    """A row that the index file lacks, and that the database no longer finds."""
    files = save_index(tmp_path, HASHES[:2], "meta.sqlite")
    with pdna.HashIndex.open(*files) as reader:
        with pdna.HashIndex.open(*files) as index:
            index.add(["/b", "/c"], HASHES[2:4])
            index.save()
        connection = sqlite3.connect(files[1], isolation_level=None)
        connection.execute("DELETE FROM items WHERE id = 3")
        connection.execute("UPDATE properties SET value = value - 1 WHERE key = 'change_count'")
        connection.close()
        for call in (lambda: pdna.HashIndex.open(*files), lambda: reader.search(HASHES[:1])):
            with pytest.raises(pdna.IndexFileError, match=r"not all of 2 item\(s\) from id 3 on"):
                call()


@pytest.mark.parametrize(
    ("key", "value"),
    [("index_type", "uint8"), ("next_id", 4), ("contiguous_from", 2), ("other", '{"owner": "b"}')],
)
def test_altered_properties(tmp_path, key, value):
    """What is stored of the whole database: each value could be a right one."""
    files = save_index(tmp_path, HASHES[:2], "meta.sqlite")
    with pdna.HashIndex.open(*files) as reader:
        with closing(sqlite3.connect(files[1], isolation_level=None)) as connection:
            connection.execute("UPDATE properties SET value = ? WHERE key = ?", (value, key))
        for call in (lambda: pdna.HashIndex.open(*files), lambda: reader.search(HASHES[:1])):
            with pytest.raises(pdna.IndexFileError, match=r"meta.sqlite: is damaged .*properties"):
                call()
    with closing(sqlite3.connect(files[1], isolation_level=None)) as connection:
        connection.execute("DELETE FROM properties WHERE key = 'checksum'")
    with pdna.HashIndex.rebuild(*files) as index:
        assert answered(index, HASHES[1], 1) == [(2, 0)]


def test_no_id_is_used_again(tmp_path, meta):
    """If the next id is altered after the last items were removed."""
    files = save_index(tmp_path, HASHES[:3], meta)
    with pdna.HashIndex.open(*files) as index:
        index.remove([3])
        index.save()
    if meta.endswith("json"):
        edit(files[1], lambda document: document.update(next_id=3))
    else:
        with closing(sqlite3.connect(files[1], isolation_level=None)) as connection:
            connection.execute("UPDATE properties SET value = 3 WHERE key = 'next_id'")
    with pytest.raises(pdna.IndexFileError, match=r"is damaged .*properties|next_id"):
        pdna.HashIndex.open(*files)


@pytest.mark.parametrize(
    ("old", "new"), [("/photos/1.jpg", "/photos/7.jpg"), ('"n":1', '"n":7'), ('"n":1', '"m":1')]
)
def test_an_item_is_named_where_it_is_used(tmp_path, meta, old, new):
    files = save_index(tmp_path, HASHES[:3], meta)
    content = files[1].read_bytes()
    at = content.rindex(old.encode())  # in SQLite, the index of paths may come first
    if meta.endswith("sqlite"):
        at = content.index(old.encode(), content.index(HASHES[1].tobytes()) - 20)
    corrupt(files[1], at, new.encode())
    words = r"item 2 \(/photos/.\.jpg\) was changed .*its hash is that in the index file.*rebuild"
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[0], 1) == [(1, 0)], "the others are not affected"
        for call in (
            lambda: index.search(HASHES[1:2], 1),
            lambda: index.get(2),
            lambda: list(index.items()),
            index.table,
            index.verify,
            lambda: index.remove([2]),
            lambda: index.copy_to(tmp_path / "new", tmp_path / "new.json"),
        ):
            with pytest.raises(pdna.IndexFileError, match=words):
                call()
        index.add(["/new"], HASHES[5:6])
        index.save()
    with (
        pdna.HashIndex.open(*files) as index,
        pytest.raises(pdna.IndexFileError, match=words),
    ):
        index.get(2)  # writing the file anew does not make the item right
    with pdna.HashIndex.rebuild(*files) as index:
        assert index.accepted == [2]
        index.verify()


def found_in(files):
    """All that an index answers; None if there is an error."""
    try:
        with pdna.HashIndex.open(*files) as index:
            return (
                index.search(HASHES[:3], 9),
                [(i.id, i.path, i.hash.tobytes(), i.extra, i.record) for i in index.items()],
                len(index),
            ), [name in index for name in (*names(2), "/new.jpg")]
    except pdna.IndexFileError:
        return None


def is_sound(files):
    try:
        with pdna.HashIndex.open(*files) as index:
            return not index.verify().lacking
    except pdna.IndexFileError:
        return False


@pytest.fixture
def small(tmp_path, meta):
    """Two items in both files, and a third one that the index file may lack."""
    files = save_index(tmp_path, HASHES[:2], meta)
    with pdna.HashIndex.open(*files) as index:
        index.add(["/new.jpg"], HASHES[2:3], extra=[{"detail": 700.5}])
        index.save()
    return files


@pytest.mark.scaled
def test_no_altered_byte_of_the_metadata_changes_an_answer(small):
    """Only the database's index over paths may lose a path, until the index is verified."""
    whole, expected = small[1].read_bytes(), found_in(small)
    assert (expected[0][2], expected[1]) == (3, [True] * 3)
    drawn, outcomes = random.Random(8), Counter()
    used = [offset for offset, byte in enumerate(whole) if byte]
    for offset in drawn.sample(used, min(len(used), scaled(400, 10**6))):
        corrupt(small[1], offset, bytes([whole[offset] ^ drawn.randint(1, 255)]))
        found = found_in(small)
        outcome = "error" if found is None else "same answers"
        if found not in (None, expected):
            assert (found[0], is_sound(small)) == (expected[0], False), offset
            outcome = "path not found, verify names the damage"
        outcomes[outcome] += 1
        small[1].write_bytes(whole)
    print(small[1].name, outcomes)
    assert found_in(small) == expected
    assert is_sound(small)


def test_another_program_rewrites_the_json(tmp_path):
    """With other spaces and keys in another order, and items of its own without a checksum."""
    files = save_index(tmp_path, HASHES[:2])

    def rewrite(document):
        document["items"] = [dict(reversed(item.items())) for item in document["items"]]

    edit(files[1], rewrite)
    files[1].write_text(
        json.dumps(json.loads(files[1].read_text("utf-8")), indent=2, sort_keys=True)
    )
    with pdna.HashIndex.open(*files) as index:
        index.verify()
        assert index.get(2).extra == {"n": 1}


def test_a_checksum_that_is_gone(tmp_path):
    """Items that this program wrote have one; items that came since need none."""
    files = save_index(tmp_path, HASHES[:2])
    edit(files[1], lambda document: document["items"][0]["extra"].pop("photodna_nb"))
    with (
        pdna.HashIndex.open(*files) as index,
        pytest.raises(pdna.IndexFileError, match=r"item 1 .*changed by another program"),
    ):
        index.get(1)


def test_what_another_program_does_to_a_database_is_no_damage(tmp_path):
    """Triggers notice it; the item has no checksum from then on."""
    files = save_index(tmp_path, HASHES[:2], "meta.sqlite")
    connection = sqlite3.connect(files[1], isolation_level=None)
    connection.execute("UPDATE items SET path = '/moved.jpg' WHERE id = 2")
    connection.execute("INSERT INTO items (path, hash) VALUES ('/new', ?)", (HASHES[5].tobytes(),))
    rows = connection.execute("SELECT id, checksum IS NULL FROM items ORDER BY id").fetchall()
    assert rows == [(1, 0), (2, 1), (3, 1)]
    connection.close()
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[5], 1) == [(3, 0)]
        assert index.get("/moved.jpg").id == 2
        index.verify()
        index.add(["/more"], HASHES[6:7])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        assert answered(index, HASHES[6], 1) == [(4, 0)]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_former_database_is_upgraded_when_it_is_written(tmp_path, version):
    files = tmp_path / "i", tmp_path / "m.sqlite"
    if version == 1:
        files[0].write_bytes((FORMER / "uint8.faiss").read_bytes())
        files[1].write_bytes((FORMER / "uint8.sqlite").read_bytes())
    else:
        files = save_index(tmp_path, HASHES[:3], "m.sqlite", "uint8")
        write_former_tables(files[1], version)
    with pdna.HashIndex.open(*files) as index:
        items = [(item.id, item.path, item.extra) for item in index.items()]
        assert user_version(files[1]) == version, "reading writes nothing"
        index.add(["/new"], HASHES[:1])
    assert user_version(files[1]) == version, "nothing was saved"
    with pdna.HashIndex.open(*files) as index:
        index.add(["/new"], HASHES[:1])
        index.save()
        assert [(item.id, item.path, item.extra) for item in index.items()][:-1] == items
        index.verify()
    assert user_version(files[1]) == sqlite_schema.VERSION
    fresh = save_index(tmp_path, HASHES[:1], "fresh.sqlite", overwrite=True)[1]
    assert schema(files[1]) == schema(fresh)
    with sqlite3.connect(files[1]) as connection:
        assert connection.execute("SELECT count(checksum) FROM items").fetchone() == (
            len(items) + 1,
        )
    connection.close()


def test_a_former_database_is_replaced(tmp_path):
    """Its tables are made anew, and the checksums count from then on."""
    files = save_index(tmp_path, HASHES[:3], "m.sqlite")
    write_former_tables(files[1])
    with pdna.HashIndex.create(*files, overwrite=True) as index:
        index.add(["/new"], HASHES[:1])
        index.save()
        assert index.verify().n_unchecked == 0


def test_former_json_is_upgraded_when_it_is_written(tmp_path):
    """What earlier versions put into the user's keys stays there, and is read from there."""
    files = tmp_path / "i", tmp_path / "m.json"
    files[0].write_bytes((FORMER / "flat.faiss").read_bytes())
    files[1].write_bytes((FORMER / "flat.json").read_bytes())
    edit(files[1], lambda document: document["items"][0].update(extra={"detail": 7.5}))
    with pdna.HashIndex.open(*files) as index:
        assert index.verify().n_unchecked == len(index)
        index.add(["/new"], HASHES[:1])
        index.save()
    with pdna.HashIndex.open(*files) as index:
        assert index.verify().n_unchecked == 0
        first = next(index.items())
        assert (first.detail, first.extra) == (7.5, {"detail": 7.5})


def test_a_copy_has_the_same_records(tmp_path):
    """From JSON to SQLite and back, labels and names among them."""
    files = [(tmp_path / f"i{i}", tmp_path / f"m{i}.{suffix}") for i, suffix in
             enumerate(("json", "sqlite", "json", "sqlite"))]  # fmt: skip
    image = tmp_path / "image.png"
    Image.effect_noise((64, 64), 90).save(image)
    link = tmp_path / "link.png"
    link.symlink_to(image)
    with pdna.HashIndex.create(*files[0]) as index:
        index.add([link])
        index.add(["label"], HASHES[:1], extra=[{"n": [1]}])
        index.save()
        items = [(item.path, item.extra, item.record) for item in index.items()]
    assert items[0][2].name == str(link)
    for one, other in pairwise(files):
        with pdna.HashIndex.open(*one) as index:
            index.copy_to(*other).close()
        with pdna.HashIndex.open(*other) as index:
            assert [(item.path, item.extra, item.record) for item in index.items()] == items
            assert index.verify().n_unchecked == 0


def user_version(path):
    connection = sqlite3.connect(path)
    ((version,),) = connection.execute("PRAGMA user_version")
    connection.close()
    return version


def schema(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return rows
