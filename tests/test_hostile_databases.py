"""Databases that someone made to do harm: each is refused soon, within little memory, alone."""

import json
import os
import sqlite3
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from indexes import HASHES, names, save_index

import photodna_nb as pdna

pytestmark = [pytest.mark.skipif(JIT_OFF, reason="needs speed"), needs("/proc")]

MOST_SECONDS, MOST_MEGABYTES = 2, 500
# What is done with each database until an error comes; every error is one of ours.
PROGRAM = """
import json, os, sys, time
import numpy as np
import photodna_nb as pdna

def use(index, meta):
    with pdna.HashIndex.open(index, meta) as opened:
        opened.search(hashes, 3)
        list(opened.items())
        opened.get("/photos/1.jpg"), len(opened), opened.table()
        opened.verify()
        opened.remove([2])
        opened.add([f"/new/{n}" for n in range(5)], hashes[:5])
        opened.save()
        opened.verify()

def megabytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024

hashes = np.random.default_rng(1).integers(0, 256, (6, 144), np.uint8)
index, metas = sys.argv[1], sys.argv[2:]
use(index, metas[0])  # a good one: all is compiled and imported
for meta in metas[1:]:
    for call in (use, pdna.HashIndex.rebuild):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        before, start, error = megabytes("VmRSS"), time.process_time(), ""
        try:
            call(index, meta)
        except pdna.PhotodnaError as caught:
            error = str(caught)
        seconds = time.process_time() - start
        print(json.dumps([os.path.basename(meta), call.__name__, error, seconds,
                          megabytes("VmHWM") - before]), flush=True)
"""

RECURSION = """WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)
SELECT n, n, n, n, n, n FROM endless"""
HUGE = 2**63 - 1


def view_in_place_of(table, columns):
    return [f"DROP TABLE {table}", f"CREATE VIEW {table} ({columns}) AS {RECURSION}"]


def with_items(*columns):
    """The table of items with other columns, and its content."""
    return [
        "ALTER TABLE items RENAME TO others",
        f"CREATE TABLE items ({', '.join(columns)})",
        "INSERT INTO items (id, path, hash) SELECT id, path, hash FROM others",
        "DROP TABLE others",
    ]


def without_checks(statement):
    return ["PRAGMA ignore_check_constraints = ON", statement]


def forced(change):
    """A change of the schema as bytes in a file, which SQLite itself would refuse to make."""
    return ["PRAGMA writable_schema = ON", f"UPDATE sqlite_master SET {change}"]


# Statements by which a database of 30 items becomes each of the hostile ones.
STATEMENTS = {
    "recursive view of items": view_in_place_of("items", "id, path, hash, extra, other, checksum"),
    "recursive view of properties": view_in_place_of("properties", "key, value, a, b, c, d"),
    "another view": [f"CREATE VIEW evil AS {RECURSION}"],
    "a trigger that deletes": [
        "CREATE TRIGGER evil AFTER INSERT ON items BEGIN DELETE FROM items WHERE id < NEW.id; END"
    ],
    "a trigger that never ends": [
        """CREATE TRIGGER evil AFTER UPDATE ON properties BEGIN
        INSERT INTO properties SELECT a.id, a.id FROM items a, items b, items c, items d, items e;
        END"""
    ],
    "a trigger instead of ours": [
        "DROP TRIGGER items_deleted",
        "CREATE TRIGGER items_deleted AFTER DELETE ON items BEGIN DELETE FROM items; END",
    ],
    "without a trigger": ["DROP TRIGGER items_changed"],
    "without the index of paths": ["DROP INDEX items_path"],
    "a virtual table": ["CREATE VIRTUAL TABLE evil USING fts5 (text)"],
    "a virtual table of items": [
        "DROP TABLE items",
        "CREATE VIRTUAL TABLE items USING fts5 (id, path, hash, extra, other, checksum)",
    ],
    "columns that are computed": with_items(
        "id INTEGER PRIMARY KEY",
        "path",
        "hash",
        "extra AS (hex(zeroblob(400000000)))",
        "other",
        "checksum",
    ),
    "a check that takes long": with_items(
        "id INTEGER PRIMARY KEY",
        "path",
        "hash",
        "extra",
        "other",
        "checksum CHECK (length(hex(zeroblob(100000))) > 0)",
    ),
    "an index of an expression": ["CREATE INDEX evil ON items (hex(zeroblob(100000)))"],
    "a second index of paths": ["CREATE INDEX evil ON items (path COLLATE NOCASE)"],
    "100,000 tables": [
        "PRAGMA writable_schema = ON",
        f"""INSERT INTO sqlite_master SELECT 'table', 't' || n, 't' || n, 2,
        'CREATE TABLE t' || n || ' (a)' FROM ({RECURSION} LIMIT 100000)""",
    ],
    "a statement of a megabyte": [f"CREATE TABLE evil (a) /* {'x' * 900_000} */"],
    "tables that share a page": forced(
        "rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'properties') "
        "WHERE name = 'items'"
    ),
    "a table beyond the file": forced("rootpage = 99999 WHERE name = 'items'"),
    "a statement that is none": forced("sql = 'CREATE TABLE items (' WHERE name = 'items'"),
    "a version of the future": ["PRAGMA user_version = 2147483647"],
    "the version of another schema": ["PRAGMA user_version = 1"],
    "an id of 2^63 - 1": [f"UPDATE items SET id = {HUGE} WHERE id = 30"],
    "a negative id": ["UPDATE items SET id = -7 WHERE id = 3"],
    "next_id of 2^63 - 1": [f"UPDATE properties SET value = {HUGE} WHERE key = 'next_id'"],
    "next_id of many digits": [
        f"UPDATE properties SET value = '{'9' * 9999}' WHERE key = 'next_id'"
    ],
    "next_id is a real number": ["UPDATE properties SET value = 1e300 WHERE key = 'next_id'"],
    "next_id is nothing": ["UPDATE properties SET value = NULL WHERE key = 'next_id'"],
    "change_count is negative": ["UPDATE properties SET value = -1 WHERE key = 'change_count'"],
    "store_id is a number": ["UPDATE properties SET value = 7 WHERE key = 'store_id'"],
    "index_type is bytes": ["UPDATE properties SET value = x'00ff' WHERE key = 'index_type'"],
    "a million properties": [
        f"INSERT INTO properties SELECT n, n FROM ({RECURSION} LIMIT 1000000)",
        "DELETE FROM properties WHERE key = 'index_type'",
    ],
    "a hash that is a number": without_checks("UPDATE items SET hash = 7 WHERE id = 3"),
    "a hash that is text": without_checks("UPDATE items SET hash = 'x' WHERE id = 3"),
    "a hash of 15 MB": without_checks("UPDATE items SET hash = zeroblob(15000000) WHERE id = 3"),
    "a hash of 100 MB": without_checks("UPDATE items SET hash = zeroblob(100000000) WHERE id = 3"),
    "a path that is a number": ["UPDATE items SET path = 1e999 WHERE id = 3"],
    "extra of 100 MB": ["UPDATE items SET extra = hex(zeroblob(50000000)) WHERE id = 3"],
    "extra that is nested": [f"UPDATE items SET extra = '{'[' * 100_000}' WHERE id = 3"],
    "extra that is a number": [f"UPDATE items SET extra = '{'9' * 5000}' WHERE id = 3"],
    "extra that is bytes": ["UPDATE items SET extra = x'ff00' WHERE id = 3"],
    "other that is a list": ["UPDATE items SET other = '[1]' WHERE id = 3"],
    "a checksum of another type": ["UPDATE items SET checksum = 1e999 WHERE id = 3"],
    "a checksum of another length": ["UPDATE items SET checksum = x'00' WHERE id = 3"],
}


def change(path, statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def branching_pages(path):
    """Let the table of items have twelve levels of pages, each 300 times the next one."""
    with sqlite3.connect(path) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'")
    connection.close()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    leaf = bytes(content[(root - 1) * size : root * size])
    first = len(content) // size + 1  # the number of the first new page
    levels = 12
    for level in range(levels):
        child = first + level
        cells = [struct.pack(">IBB", child, 0x81, n & 0x7F) for n in range(300)]
        start = size - 6 * len(cells)
        page = struct.pack(">BHHHBI", 5, 0, len(cells), start, 0, child)
        page += b"".join(struct.pack(">H", start + 6 * n) for n in range(len(cells)))
        page = page.ljust(start, b"\0") + b"".join(cells)
        if level == 0:
            content[(root - 1) * size : root * size] = page
        else:
            content += page
    content += leaf
    content[28:32] = struct.pack(">I", len(content) // size)
    path.write_bytes(content)


def journal_that_names(path, victim):
    """A journal as several databases share one: SQLite deletes the file that it names."""
    size = int.from_bytes(path.read_bytes()[16:18], "big")
    pages = path.stat().st_size // size
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
    header = magic + struct.pack(">IIIII", 0, 7, pages, 512, size)
    end = struct.pack(">I", 2**30 // size + 1) + name
    end += struct.pack(">II", len(name), sum(name)) + magic
    path.with_name(path.name + "-journal").write_bytes(header.ljust(512, b"\0") + end)


def write_ahead(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


# Other changes, of a path and a file that must stay as it is.
CHANGES = {
    "pages that branch": lambda path, _: branching_pages(path),
    "a journal that names a file": journal_that_names,
    "a journal that is a link": lambda path, victim: os.symlink(victim, f"{path}-journal"),
    "a shared memory that is a link": lambda path, victim: os.symlink(victim, f"{path}-shm"),
    "a write-ahead log that is a link": lambda path, victim: (
        write_ahead(path),
        os.symlink(victim, f"{path}-wal"),
    ),
    "a database that is cut off": lambda path, _: os.truncate(path, 9000),
}
HOSTILE = [*STATEMENTS, *CHANGES]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(error, seconds, megabytes) of each database and call, and what became of other files."""
    folder = tmp_path_factory.mktemp("hostile")
    outside = tmp_path_factory.mktemp("outside")
    victim = outside / "victim"
    victim.write_text("important\n")
    index, good = save_index(folder, HASHES, "good.sqlite")
    metas = []
    for number, name in enumerate(HOSTILE):
        path = folder / f"{number}.sqlite"
        path.write_bytes(good.read_bytes())
        if name in STATEMENTS:
            change(path, STATEMENTS[name])
        else:
            CHANGES[name](path, victim)
        metas.append(path)
    command = [sys.executable, "-c", PROGRAM, index, good, *metas]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            lines, errors = process.communicate(timeout=900)
        except subprocess.TimeoutExpired:
            process.kill()
            lines, errors = process.communicate()
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert victim.read_text("utf-8") == "important\n"
    found = {}
    for line in lines.splitlines():
        meta, call, *rest = json.loads(line)
        found[HOSTILE[int(meta.split(".")[0])], call] = rest
    return found, errors.decode()


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_database_is_refused(outcomes, name):
    found, errors = outcomes
    assert (name, "use") in found, errors
    for call in ("use", "rebuild"):
        error, seconds, megabytes = found[name, call]
        assert seconds < MOST_SECONDS
        assert megabytes < MOST_MEGABYTES
        if call == "use":
            assert ".sqlite" in error
            assert "unexpected" not in error


def test_no_item_has_an_id_that_is_too_large(tmp_path):
    """The next one would have none, in JSON as in SQLite."""
    for meta in ("meta.json", "meta.sqlite"):
        pair = save_index(tmp_path, HASHES[:3], meta, overwrite=True)
        with pdna.HashIndex.open(*pair) as index:
            index._session.store.begin()
            index._session.store.insert([], HUGE - 1)
            index._session.store.commit()
        pdna.HashIndex.rebuild(*pair).close()  # otherwise these items count as lost
        with (
            pdna.HashIndex.open(*pair) as index,
            pytest.raises(pdna.IndexFileError, match="has no more ids"),
        ):
            index.add(names(3, 10), HASHES[:3])
        with pdna.HashIndex.open(*pair) as index:
            assert len(index) == 3
            assert index.add(["/last"], HASHES[5:6]).ids == [HUGE - 1]
            index.save()
        with pdna.HashIndex.open(*pair) as index:
            assert index.get(HUGE - 1).path == "/last"


@pytest.mark.long
def test_a_large_index_takes_few_steps(tmp_path):
    """The limit of steps is far from what an honest database needs."""
    hashes = np.random.default_rng(2).integers(0, 256, (20_000, 144), np.uint8)
    pair = tmp_path / "index.faiss", tmp_path / "meta.sqlite"
    with pdna.HashIndex.create(*pair) as index:
        index.add(names(len(hashes)), hashes)
        assert len(list(index.items())) == len(hashes), "before it is saved"
        index.save()
        index.verify()
        index.remove(list(range(1, len(hashes))))
        index.save()
    pdna.HashIndex.rebuild(*pair).close()
