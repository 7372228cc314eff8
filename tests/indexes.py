"""What the tests of the index share: rows, files made by others, damage, brute force."""

import json
import sqlite3
from contextlib import closing

import numpy as np

import photodna_nb as pdna
from photodna_nb.index import sqlite_schema

HASHES = np.random.default_rng(11).integers(0, 256, (30, 144), np.uint8)
METADATA = ("meta.json", "meta.sqlite")
EXACT = ("flat", "uint8")
# One of each family that needs no more than one item.
INDEX_TYPES = (*EXACT, "HNSW8")


def save_index(folder, hashes, meta="meta.json", index_type="flat", **options):
    """The paths of an index of those hashes, saved here."""
    paths = folder / "index.faiss", folder / meta
    with pdna.HashIndex.create(*paths, index_type=index_type, **options) as index:
        index.add(names(len(hashes)), hashes, extra=[{"n": i} for i in range(len(hashes))])
        index.save()
    return paths


def write_former_tables(path, version=2):
    """Give a database the tables of version 2 or 3, with the same items and properties."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("DROP TABLE unreadable")
        if version == 2:
            rows = connection.execute("SELECT id, path, hash, extra, other FROM items").fetchall()
            kept = connection.execute("SELECT value, key FROM properties").fetchall()
            connection.execute("DROP TABLE items")
            for statement in sqlite_schema._STATEMENTS[2][1:]:
                connection.execute(statement)
            connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
            connection.executemany("UPDATE properties SET value = ? WHERE key = ?", kept)
            keys = "('contiguous_from', 'checksum')"
            connection.execute(f"DELETE FROM properties WHERE key IN {keys}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


def names(number, start=0):
    return [f"/photos/{i}.jpg" for i in range(start, start + number)]


def in_memory(hashes, index_type="flat", pieces=1, meta="m"):
    """An index that is not saved, of as many parts as additions."""
    index = pdna.HashIndex.create("i", meta, index_type=index_type)
    start = 0
    for some in np.array_split(hashes, pieces):
        index.add(names(len(some), start), some)
        start += len(some)
    return index


def by_faiss(hashes, ids=None, index_type="flat"):
    """The same index, made by FAISS alone."""
    import faiss  # slow to import

    ids = np.arange(1, len(hashes) + 1) if ids is None else ids
    inner = faiss.IndexFlatL2(144)
    if index_type == "uint8":
        inner = faiss.IndexScalarQuantizer(144, faiss.ScalarQuantizer.QT_8bit_direct)
    index = faiss.IndexIDMap2(inner)
    index.add_with_ids(hashes.astype(np.float32), np.asarray(ids, np.int64))
    return index


def write_foreign_index(folder, hashes, index_type="flat"):
    """Both files as ``oaphotodna.py`` writes them: the index without a footer."""
    import faiss

    faiss.write_index(by_faiss(hashes, index_type=index_type), str(folder / "index.faiss"))
    meta = {
        "dimension": 144,
        "metric": "squared_l2",
        "similarity_metric": "normalized_euclidean",
        "next_id": len(hashes) + 1,
        "items": [
            {"id": i + 1, "path": f"/photos/{i + 1}.jpg", "hash": row.tolist(), "extra": {}}
            for i, row in enumerate(hashes)
        ],
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=2, sort_keys=True))
    return folder / "index.faiss", folder / "meta.json"


def brute_force(hashes, query, k, limit=10**9):
    """(id, squared distance) of the k nearest within the limit, ties to the lower id."""
    squared = ((hashes.astype(int) - query.astype(int)) ** 2).sum(axis=1)
    order = sorted((int(d), i + 1) for i, d in enumerate(squared) if d <= limit)
    return [(i, d) for d, i in order[:k]]


def answered(index, query, k, **limits):
    (matches,) = index.search(query[None], k, **limits)
    return pairs_of(matches)


def pairs_of(matches):
    return [(match.id, match.distance_squared) for match in matches]


def corrupt(path, offset, content):
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(data)


def edit(path, change):
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document))
