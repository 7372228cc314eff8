"""Damaged files of the index: an error with a remedy, or the right answer, and nothing else."""

import random
import sqlite3
import struct

import numpy as np
import pytest
from conftest import TEST_SCALE
from indexes import (
    EXACT,
    HASHES,
    INDEX_TYPES,
    METADATA,
    answered,
    corrupt,
    edit,
    names,
    save_index,
    write_foreign_index,
)

import photodna_nb as pdna
from photodna_nb.index import checksum, faiss_file


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda i, m: i.unlink(), "index.faiss: no such file.*--faiss-rebuild"),
        (lambda i, m: m.unlink(), "meta.json: no such file"),
        (lambda i, m: m.write_bytes(i.read_bytes()), "meta.json: is a FAISS index; give"),
        (lambda i, m: i.write_bytes(m.read_bytes()), "index.faiss: is metadata; give"),
        (lambda i, m: m.write_bytes(b"SQLite format 3\0"), "is an SQLite database; give it a name"),
        (lambda i, m: i.write_bytes(b""), "ends within its header.*--faiss-rebuild"),
        (
            lambda i, m: i.write_bytes(i.read_bytes()[:-1]),
            "is truncated, or too long for 5",
        ),
        (lambda i, m: i.write_bytes(i.read_bytes()[:60]), "ends within its header"),
        (
            lambda i, m: i.write_bytes(i.read_bytes() + b"\0"),
            "is truncated, or too long for 5",
        ),
        (lambda i, m: i.write_bytes(b"PNG" * 99), "is not an IndexIDMap2 of FAISS"),
        (lambda i, m: corrupt(i, 37, b"IxPQ"), "is not an IndexIDMap2 of FAISS"),
        (lambda i, m: corrupt(i, 0, b"IwSq"), "is not an IndexIDMap2 of FAISS"),
        (lambda i, m: corrupt(i, 4, struct.pack("<i", 64)), "dimension 64"),
        (lambda i, m: corrupt(i, 8, struct.pack("<q", 2**60)), "damaged"),
        (lambda i, m: corrupt(i, 8, struct.pack("<q", -1)), "damaged"),
        (lambda i, m: corrupt(i, 33, b"\0"), "not that of 5 rows with L2 distances"),
        (lambda i, m: corrupt(i, 74, struct.pack("<Q", 7)), "not that of 5 rows"),
        (lambda i, m: corrupt(i, 82, struct.pack("<f", 7)), "not belong.*hashes differ, of id 1"),
        (lambda i, m: corrupt(i, 82, struct.pack("<f", 0.5)), "not all integers from 0 to 255"),
        (lambda i, m: corrupt(i, 82, struct.pack("<f", 256)), "not all integers from 0 to 255"),
        (lambda i, m: corrupt(i, 82, struct.pack("<f", -1)), "not all integers from 0 to 255"),
        (lambda i, m: corrupt(i, 82, struct.pack("<f", np.nan)), "not all integers from 0 to 255"),
        (lambda i, m: corrupt(i, i.stat().st_size - 8, b"\x63"), "not belong.*holds id 99, and"),
        (lambda i, m: corrupt(i, i.stat().st_size - 1, b"\xff"), "does not belong"),
        (lambda i, m: corrupt(i, i.stat().st_size - 8, b"\x04"), "two rows with the same id"),
        (lambda i, m: m.write_text("{"), "meta.json: is not valid JSON.*backup"),
        (lambda i, m: m.write_bytes(b"\xff" * 9), "meta.json: is not valid JSON"),
        (lambda i, m: m.write_text("[" * 100_000), "meta.json: is not valid JSON"),
        (lambda i, m: m.write_text("[]"), 'no list of "items"'),
        (
            lambda i, m: edit(m, lambda d: d.update(dimension=64)),
            '"dimension" 64, and hashes need 144',
        ),
        (lambda i, m: edit(m, lambda d: d.update(metric="cosine")), '"metric" "cosine"'),
        (
            lambda i, m: edit(m, lambda d: d.update(index_type="hnsw")),
            "index type .*got 'hnsw'",
        ),
        (lambda i, m: edit(m, lambda d: d.update(index_kind=[])), "another index type"),
        (lambda i, m: edit(m, lambda d: d.update(next_id=5)), '"next_id" is not above'),
        (lambda i, m: edit(m, lambda d: d.update(next_id=None)), '"next_id" is not above'),
        (lambda i, m: edit(m, lambda d: d.update(next_id=2**63)), '"next_id" is not above'),
        (
            lambda i, m: edit(m, lambda d: (d["items"].pop(), d.pop("next_id"))),
            "not belong.*holds id 5, and the metadata expects 5",
        ),
        (lambda i, m: edit(m, lambda d: d["items"][4].update(id=0)), "not belong.*their ids"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=1)), "the same id"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id="1")), r"item 2 .* .\$.id"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=True)), r"item 2 .* .\$.id"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=-1)), r"item 2 .* .\$.id"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=2**63)), r"item 2 .* .\$.id"),
        (
            lambda i, m: edit(m, lambda d: d["items"][2].pop("path")),
            "item 2 .*missing required field .path",
        ),
        (lambda i, m: edit(m, lambda d: d["items"][2]["hash"].pop()), "length"),
        (
            lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, 256)),
            r"\$.hash.0",
        ),
        (
            lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, 1.0)),
            r"\$.hash.0",
        ),
        (
            lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, None)),
            r"\$.hash.0",
        ),
        (lambda i, m: edit(m, lambda d: d["items"].__setitem__(2, 3)), "item 2 .*Expected .object"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(extra=3)), r"item 2 .*extra"),
    ],
)
def test_damage_is_named(tmp_path, damage, words):
    """Of files without a footer, as other programs write them."""
    files = write_foreign_index(tmp_path, HASHES[:5])
    damage(*files)
    with pytest.raises(pdna.IndexFileError, match=words) as caught:
        pdna.HashIndex.open(*files)
    assert caught.value.path in (files[0], files[1], str(files[0]), str(files[1]))


def test_items_in_any_order_and_without_next_id(tmp_path):
    files = write_foreign_index(tmp_path, HASHES[:5])
    edit(files[1], lambda d: (d["items"].reverse(), d.pop("next_id"), d["items"][0].pop("extra")))
    with pdna.HashIndex.open(*files) as index:
        assert [item.id for item in index.items()] == [1, 2, 3, 4, 5]
        assert [answered(index, row, 1) for row in HASHES[:5]] == [[(i, 0)] for i in range(1, 6)]


def outcome(files):
    """What is found with these files: None if they are refused."""
    try:
        with pdna.HashIndex.open(*files) as index:
            answers = [answered(index, row, 9) for row in HASHES[:2]]
            return answers, [(item.id, item.path) for item in index.items()]
    except pdna.IndexFileError as refusal:
        error = refusal
    assert "--faiss-rebuild" in str(error) or error.path != str(files[0])
    return None


@pytest.fixture
def small(tmp_path, request):
    """Two items, in files with and without a footer, and what is found in them."""
    index_type, with_footer, meta = request.param
    if with_footer:
        files = save_index(tmp_path, HASHES[:2], meta, index_type)
    else:
        files = write_foreign_index(tmp_path, HASHES[:2], index_type)
    expected = outcome(files)
    assert expected is not None
    return files, expected


SMALL = [
    *((index_type, False, "meta.json") for index_type in EXACT),
    *((index_type, True, "meta.sqlite") for index_type in INDEX_TYPES),
]
# Each byte with full numbers, and every thirteenth one with the README's command.
EVERY = 13 if TEST_SCALE == 1 else 1
# Two numbers in each header, which FAISS writes and ignores.
UNUSED = {*range(16, 32), *range(53, 69)}


@pytest.mark.scaled
@pytest.mark.parametrize("small", SMALL, indirect=True, ids=str)
def test_every_flipped_byte_is_noticed_or_harmless(small):
    """Never a crash, never another answer; with a footer, every single one is noticed."""
    files, expected = small
    whole = files[0].read_bytes()
    has_footer = whole.endswith(checksum._MAGIC)
    drawn = random.Random(5)
    for offset in range(len(whole)):
        edge = offset < 90 or offset > len(whole) - 90
        if offset % EVERY and not edge:
            continue
        patterns = {drawn.randint(1, 255)}
        if edge:
            patterns |= {1, 0x80, 0xFF} if EVERY == 1 else {0x80}
        for pattern in patterns:
            corrupt(files[0], offset, bytes([whole[offset] ^ pattern]))
            found = outcome(files)
            assert found is None or (found == expected and not has_footer and offset in UNUSED)
            files[0].write_bytes(whole)
    assert outcome(files) == expected


@pytest.mark.scaled
@pytest.mark.parametrize("small", SMALL, indirect=True, ids=str)
def test_every_truncation_is_noticed_or_harmless(small):
    """Cut exactly where its footer begins, a file is what FAISS would have written."""
    files, expected = small
    whole = files[0].read_bytes()
    harmless = []
    footer = checksum.ChecksumFooter("", memoryview(whole)).size
    for length in sorted({*range(0, len(whole), EVERY), footer} - {len(whole)}):
        files[0].write_bytes(whole[:length])
        if (found := outcome(files)) is not None:
            assert found == expected
            harmless.append(length)
    assert len(harmless) == (whole.endswith(checksum._MAGIC) and b"IHN" not in whole)


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_damage_in_a_large_file_is_met_when_it_is_read(tmp_path, index_type, meta, monkeypatch):
    """Rows that a query does not look at may lie in pieces that nobody has checked."""
    monkeypatch.setattr(checksum, "PIECE", 1000)
    monkeypatch.setattr(faiss_file, "_READ_AT_ONCE", 2000)  # so it is mapped
    files = save_index(tmp_path, HASHES, meta, index_type)
    whole = files[0].read_bytes()
    for offset in range(0, len(whole), 97):
        corrupt(files[0], offset, bytes([whole[offset] ^ 0x10]))
        with pytest.raises(pdna.IndexFileError, match=r"damaged.*--faiss-rebuild"):
            search_all(files)
        files[0].unlink()
        files[0].write_bytes(whole)
    search_all(files)


def search_all(files):
    with pdna.HashIndex.open(*files) as index:
        index.search(HASHES[:1], 3000)


def test_an_error_is_not_forgotten(tmp_path):
    """A second call must not answer from the rows that were there before."""
    files = save_index(tmp_path, HASHES[:5])
    index = pdna.HashIndex.open(*files)
    edit(files[1], lambda d: d["items"][0]["hash"].reverse())
    for _ in range(3):
        with pytest.raises(pdna.IndexFileError, match=r"item 1 was changed .*not the one in the"):
            index.search(HASHES[:1])
    pdna.HashIndex.rebuild(*files)
    assert answered(index, HASHES[0, ::-1], 1) == [(1, 0)]


def test_two_indexes_mixed_up(tmp_path, meta):
    files = save_index(tmp_path, HASHES[:5], meta)
    (tmp_path / "other").mkdir()
    for other in (
        save_index(tmp_path / "other", HASHES[5:10], meta),
        write_foreign_index(tmp_path / "other", HASHES[5:9]),
    ):
        with pytest.raises(pdna.IndexFileError, match=r"does not belong to its metadata"):
            pdna.HashIndex.open(files[0], other[1])
        with pytest.raises(pdna.IndexFileError, match=r"does not belong to its metadata"):
            pdna.HashIndex.open(other[0], files[1])


def test_verify_compares_every_hash(tmp_path):
    """An index with a footer of an SQLite database is opened without that."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    with sqlite3.connect(files[1]) as connection:
        connection.execute("UPDATE items SET checksum = NULL")
        connection.execute("UPDATE items SET hash = ? WHERE id = 2", (HASHES[9].tobytes(),))
        connection.execute("UPDATE properties SET value = value - 1 WHERE key = 'change_count'")
    connection.close()
    with (
        pdna.HashIndex.open(*files) as index,
        pytest.raises(pdna.IndexFileError, match=r"hashes differ, of id 2.*--faiss-rebuild"),
    ):
        index.verify()


@pytest.mark.scaled
@pytest.mark.parametrize("small", [("flat", True, "meta.json")], indirect=True)
def test_every_truncation_of_json_is_noticed(small):
    files, expected = small
    whole = files[1].read_bytes()
    for length in range(0, len(whole) - 1, EVERY):  # without its last newline it is whole
        files[1].write_bytes(whole[:length])
        assert outcome(files) is None
    files[1].write_bytes(whole[:-1])
    assert outcome(files) == expected


@pytest.mark.scaled
@pytest.mark.parametrize("small", [("flat", True, "meta.json")], indirect=True)
def test_flipped_bytes_of_json(small):
    files, expected = small
    whole = files[1].read_bytes()
    drawn = random.Random(6)
    refused = 0
    for offset in range(0, len(whole), EVERY):
        corrupt(files[1], offset, bytes([whole[offset] ^ drawn.randint(1, 255)]))
        found = outcome(files)
        assert found is None or found == expected
        refused += found is None
        files[1].write_bytes(whole)
    assert refused > 0.8 * len(whole) / EVERY


def outcome_of_database(files):
    try:
        with pdna.HashIndex.open(*files) as index:
            index.search(HASHES[:1])
            list(index.items())
            for path in names(3):
                index.get(path)
            index.verify()
    except pdna.IndexFileError:
        return None
    return True


@pytest.mark.scaled
@pytest.mark.parametrize("small", [("flat", True, "meta.sqlite")], indirect=True)
def test_flipped_bytes_of_a_database(small):
    """Most of a page is empty: what is checked is that nothing worse happens than an error that
    names the file. `test_item_checksums.py` compares the answers."""
    files, _ = small
    whole = files[1].read_bytes()
    used = [offset for offset, byte in enumerate(whole) if byte]
    drawn = random.Random(7)
    refused = 0
    for offset in drawn.sample(used, 500 if EVERY == 1 else 150):
        corrupt(files[1], offset, bytes([whole[offset] ^ drawn.randint(1, 255)]))
        refused += outcome_of_database(files) is None
        files[1].write_bytes(whole)
    assert refused > 30
    assert outcome_of_database(files)


@pytest.mark.scaled
@pytest.mark.parametrize("small", [("flat", True, "meta.sqlite")], indirect=True)
def test_truncations_of_a_database(small):
    files, _ = small
    whole = files[1].read_bytes()
    for length in [
        *range(0, 200, 7),
        *range(200, len(whole), 47 * EVERY),
        *range(0, len(whole), 4096),
    ]:
        files[1].write_bytes(whole[:length])
        assert outcome_of_database(files) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET extra = '{' WHERE id = 2",
        "UPDATE items SET extra = '[]' WHERE id = 2",
        "UPDATE items SET extra = x'ff' WHERE id = 2",
        "UPDATE items SET other = '3' WHERE id = 2",
        "UPDATE items SET path = 7 WHERE id = 2",
        "UPDATE items SET path = CAST(x'ff' AS TEXT) WHERE id = 2",
        "DELETE FROM properties",
        "UPDATE properties SET value = 'many' WHERE key = 'next_id'",
        "UPDATE properties SET value = 'hnsw' WHERE key = 'index_type'",
        "UPDATE properties SET value = 64 WHERE key = 'dimension'",
        "UPDATE properties SET value = '[]' WHERE key = 'other'",
        "DROP TABLE items",
        "DROP TABLE properties",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 5",
    ],
)
def test_a_database_that_others_changed(tmp_path, statement):
    files = save_index(tmp_path, HASHES[:3], "meta.sqlite")
    connection = sqlite3.connect(files[1], isolation_level=None)
    connection.execute(statement)
    connection.close()
    assert outcome_of_database(files) is None


def test_a_path_that_is_there_twice(tmp_path):
    """The lower id counts."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    connection = sqlite3.connect(files[1], isolation_level=None)
    connection.execute("UPDATE items SET path = '/photos/1.jpg' WHERE id IN (3, 5)")
    connection.close()
    with pdna.HashIndex.open(*files) as index:
        assert index.get("/photos/1.jpg").id == 2
        assert [item.id for item in index.remove(["/photos/1.jpg"])] == [2, 3, 5]
        assert "/photos/1.jpg" not in index


def test_an_item_that_others_removed(tmp_path):
    """The index file, which still has it, is read as an older one."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    reader = pdna.HashIndex.open(*files)
    with sqlite3.connect(files[1]) as connection:
        connection.execute("DELETE FROM items WHERE id = 2")
    connection.close()
    for index in (reader, pdna.HashIndex.open(*files)):
        assert answered(index, HASHES[1], 1, max_distance=0) == []
        index.verify()


@pytest.mark.parametrize(
    ("statement", "identifier", "refused"),
    [
        ("INSERT INTO items (path, hash) VALUES ('/by/hand', ?)", 6, None),
        ("INSERT INTO items (id, path, hash) VALUES (2, '/by/hand', ?)", 2, "ids differ"),
        ("REPLACE INTO items (id, path, hash) VALUES (4, '/by/hand', ?)", 4, "hashes differ"),
        ("UPDATE items SET id = 99, path = '/by/hand', hash = ? WHERE id = 5", 99, None),
    ],
)
def test_what_others_put_in_by_hand(tmp_path, statement, identifier, refused):
    """Seen by a reader that is open and by one that comes, or refused; and adding goes on."""
    files = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    with pdna.HashIndex.open(*files) as index:
        index.remove([2])
        index.save()
    reader = pdna.HashIndex.open(*files)
    connection = sqlite3.connect(files[1], isolation_level=None)
    connection.execute(statement, (HASHES[20].tobytes(),))
    connection.close()
    if refused:  # which one is right is for a person to say
        for call in (lambda: pdna.HashIndex.open(*files), lambda: reader.search(HASHES[:1])):
            with pytest.raises(pdna.IndexFileError, match=f"{refused}.*--faiss-rebuild"):
                call()
    fresh = pdna.HashIndex.rebuild(*files) if refused else pdna.HashIndex.open(*files)
    for index in (reader, fresh):
        assert answered(index, HASHES[20], 1, max_distance=0) == [(identifier, 0)]
        assert index.get("/by/hand").id == identifier
        assert "/by/hand" in {item.path for item in index.items()}
        index.verify()
    added = fresh.add(["/new"], HASHES[21:22])
    fresh.save()
    assert added.ids[0] > max(5, identifier)
    assert answered(reader, HASHES[21], 1, max_distance=0) == [(added.ids[0], 0)]
