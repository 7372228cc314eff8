"""The FAISS index and its metadata: formats, exact limits, damage."""

import json
import os
import struct
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.index import faiss_file

RNG = np.random.default_rng(11)
HASHES = RNG.integers(0, 256, (30, 144), np.uint8)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture
def files(tmp_path):
    """An index of five items, saved."""
    paths = tmp_path / "index.faiss", tmp_path / "meta.json"
    index = pdna.HashIndex.create(*paths)
    index.add(
        [f"/photos/{i}.jpg" for i in range(5)], HASHES[:5], extra=[{"n": i} for i in range(5)]
    )
    index.save()
    return paths


def made_elsewhere(folder, hashes):
    """Both files as ``oaphotodna.py`` writes them."""
    index = faiss.IndexIDMap2(faiss.IndexFlatL2(144))
    ids = np.arange(1, len(hashes) + 1, dtype=np.int64)
    index.add_with_ids(hashes.astype(np.float32), ids)
    faiss.write_index(index, str(folder / "index.faiss"))
    meta = {
        "dimension": 144,
        "metric": "squared_l2",
        "similarity_metric": "normalized_euclidean",
        "next_id": len(hashes) + 1,
        "items": [
            {"id": int(i), "path": f"/photos/{i}.jpg", "hash": row.tolist(), "extra": {}}
            for i, row in zip(ids, hashes, strict=True)
        ],
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=2))
    return folder / "index.faiss", folder / "meta.json"


def brute_force(hashes, query, k, limit):
    """(id, squared distance) of the k closest within the limit, ties to the lower id."""
    squared = ((hashes.astype(int) - query.astype(int)) ** 2).sum(axis=1)
    order = sorted((int(d), i + 1) for i, d in enumerate(squared) if d <= limit)
    return [(i, d) for d, i in order[:k]]


def answered(index, query, k, **limits):
    (matches,) = index.search(query[None], k, **limits)
    return [(match.id, match.distance_squared) for match in matches]


def test_round_trip(files):
    index = pdna.HashIndex.open(*files)
    assert len(index) == 5
    ((match,),) = index.search(HASHES[3:4], 1)
    assert (match.id, match.path, match.distance_squared) == (4, "/photos/3.jpg", 0)
    assert (match.distance, match.similarity, match.extra) == (0.0, 1.0, {"n": 3})
    assert "/photos/3.jpg" in index
    assert "/photos/../photos/3.jpg" in index
    assert "/photos/9.jpg" not in index


def test_files_of_the_reference_open_here(tmp_path):
    files = made_elsewhere(tmp_path, HASHES)
    index = pdna.HashIndex.open(*files)
    added = index.add(["/photos/new.jpg"], HASHES[:1])
    assert added == ([31], [])
    index.save()
    again = pdna.HashIndex.open(*files)
    assert len(again) == 31
    assert answered(again, HASHES[0], 2) == [(1, 0), (31, 0)]


def test_files_of_this_package_open_elsewhere(files):
    """What a reader that trusts FAISS and the JSON module finds."""
    index = faiss.read_index(str(files[0]))
    assert isinstance(index, faiss.IndexIDMap2)
    assert isinstance(faiss.downcast_index(index.index), faiss.IndexFlatL2)
    assert (index.d, index.ntotal) == (144, 5)
    assert faiss.vector_to_array(index.id_map).tolist() == [1, 2, 3, 4, 5]
    meta = json.loads(files[1].read_text())
    assert {key: meta[key] for key in ("dimension", "metric", "similarity_metric", "next_id")} == {
        "dimension": 144,
        "metric": "squared_l2",
        "similarity_metric": "normalized_euclidean",
        "next_id": 6,
    }
    for number, item in enumerate(meta["items"]):
        assert set(item) == {"id", "path", "hash", "extra"}
        assert item["hash"] == HASHES[number].tolist()


def test_foreign_keys_survive(tmp_path):
    files = made_elsewhere(tmp_path, HASHES[:2])
    meta = json.loads(files[1].read_text())
    meta["note"] = "mine"
    meta["items"][1] |= {"extra": {"tag": ["x"]}, "label": 7}
    files[1].write_text(json.dumps(meta))
    index = pdna.HashIndex.open(*files)
    index.save()
    assert json.loads(files[1].read_text()) == meta


def test_same_hash_is_two_items_same_path_is_one(tmp_path):
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / "m")
    paths = ["/a.jpg", "/b.jpg", "/c/../a.jpg"]
    added = index.add(paths, np.stack([HASHES[0]] * 3))
    assert added == ([1, 2], ["/a.jpg"])
    assert answered(index, HASHES[0], 5) == [(1, 0), (2, 0)]


def test_ties_go_to_the_lower_id_wherever_they_are_cut():
    """Many items at the same distance: FAISS alone keeps whichever it met last."""
    rows = np.zeros((50, 144), np.uint8)
    rows[np.arange(50), RNG.permutation(50)] = 9  # all 81 from the query
    rows[::7] = 0
    index = pdna.HashIndex.create("i", "m")
    index.add([f"/{i}" for i in range(50)], rows)
    query = np.zeros(144, np.uint8)
    for k in range(1, 60):
        assert answered(index, query, k) == brute_force(rows, query, k, 10**9)


@given(st.integers(1, 40), st.integers(0, 29), st.integers(-1, 1), st.integers(0, 29))
def test_limits_against_brute_force(k, i, step, j):
    """The limit lies on a match, and one on each side of it."""
    rows = HASHES // 8
    index = pdna.HashIndex.create("i", "m")
    index.add([f"/{i}" for i in range(30)], rows)
    squared = int(((rows[i].astype(int) - rows[j]) ** 2).sum())
    limit = max(0, squared + step)
    expected = brute_force(rows, rows[i], k, limit)
    # A float just above the root; the exact limit is the integer below its square.
    typed = np.nextafter(np.sqrt(limit), np.inf)
    assert answered(index, rows[i], k, max_distance=typed) == expected


def test_similarity_limit_on_a_match():
    """At distance 306 the similarity is 0.9 exactly, and 1 - 0.9 is no binary number."""
    query, other = np.zeros((2, 144), np.uint8)
    other[0], other[1:3] = 255, 0
    other[1], other[2], other[3], other[4] = 169, 7, 1, 0
    rest = 306**2 - int((other.astype(int) ** 2).sum())
    assert rest == 0
    index = pdna.HashIndex.create("i", "m")
    index.add(["/a"], other[None])
    assert answered(index, query, 1, min_similarity=0.9) == [(1, 306**2)]
    assert answered(index, query, 1, max_distance=306) == [(1, 306**2)]
    assert answered(index, query, 1, min_similarity="0.9000001") == []
    assert answered(index, query, 1, max_distance="305.99999") == []
    assert answered(index, query, 1, min_similarity=0.9, max_distance=305) == []


def test_the_largest_distances():
    """From 2**23 on float32 has no halves."""
    query, rows = np.full(144, 255, np.uint8), np.zeros((5, 144), np.uint8)
    rows[1, 0], rows[2, 0] = 1, 2
    index = pdna.HashIndex.create("i", "m")
    index.add([f"/{i}" for i in range(5)], rows)
    for k in (1, 2, 3, 5, 10, 10**30):
        for limits in ({}, {"max_distance": 3060}, {"min_similarity": 0}):
            assert answered(index, query, k, **limits) == brute_force(rows, query, k, 10**9)
    assert answered(index, query, 9, max_distance=np.sqrt(3060**2 - 1)) == (
        brute_force(rows, query, 9, 3060**2 - 1)
    )


def test_many_queries_in_one_call():
    index = pdna.HashIndex.create("i", "m")
    index.add([f"/{i}" for i in range(30)], HASHES)
    answers = index.search(HASHES, 3)
    for query, matches in zip(HASHES, answers, strict=True):
        found = [(match.id, match.distance_squared) for match in matches]
        assert found == brute_force(HASHES, query, 3, 10**9)
    assert index.search(HASHES[0]) == index.search(HASHES[:1])
    assert index.search(HASHES[:0]) == []
    assert pdna.HashIndex.create("i", "m").search(HASHES[:2]) == [[], []]


def test_faiss_is_asked_for_what_passes(monkeypatch):
    index = pdna.HashIndex.create("i", "m")
    index.add([f"/{i}" for i in range(30)], HASHES)
    asked = []

    class Spy:
        def __init__(self, inner):
            self.inner = inner

        def search(self, vectors, k):
            asked.append(k)
            return self.inner.search(vectors, k)

        def range_search(self, vectors, radius):
            answer = self.inner.range_search(vectors, radius)
            asked.append(len(answer[2]))
            return answer

    monkeypatch.setattr(index, "_faiss", Spy(index._faiss))
    assert len(answered(index, HASHES[0], 10**6, max_distance=5)) == 1
    assert len(answered(index, HASHES[0], 4, max_distance=5)) == 1
    assert len(answered(index, HASHES[0], 4, min_similarity=0)) == 4
    assert max(asked) <= 4


def test_wrong_arguments(files):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(pdna.ArgumentError, match=r"hashes: got .*\(143,\), needs|1, 143"):
        index.search(HASHES[0, 1:])
    with pytest.raises(pdna.ArgumentTypeError, match="hashes: got an array of float64"):
        index.add(["/x"], HASHES[:1].astype(float))
    with pytest.raises(pdna.ArgumentError, match="got 2, 1 and 2 entries"):
        index.add(["/x", "/y"], HASHES[:1])
    with pytest.raises(pdna.ArgumentError, match="k: got 0"):
        index.search(HASHES, 0)
    with pytest.raises(pdna.ArgumentTypeError, match=r"k: got 1\.5"):
        index.search(HASHES, 1.5)
    with pytest.raises(pdna.ArgumentError, match="min_similarity: got 2"):
        index.search(HASHES, min_similarity=2)
    with pytest.raises(pdna.ArgumentError, match="same file twice"):
        pdna.HashIndex.create("a", "./a")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ((["/a", 3], HASHES[:2]), pdna.ArgumentTypeError, r"paths\[1\]: got int"),
        ((["/a", "b\0c"], HASHES[:2]), pdna.ArgumentError, r"paths\[1\].*name of a file"),
        ((["/a", "\ud800"], HASHES[:2]), pdna.ArgumentError, r"paths\[1\].*name of a file"),
        ((["/a", ""], HASHES[:2]), pdna.ArgumentError, r"paths\[1\].*name of a file"),
        (("ab", HASHES[:2]), pdna.ArgumentTypeError, "paths: got str, needs a sequence"),
        ((["/a"], HASHES[:1], [3]), pdna.ArgumentTypeError, r"extra\[0\]: got int"),
        ((["/a"], HASHES[:1], [{"d": np.float32(1)}]), pdna.ArgumentError, r"extra\[0\].*float32"),
        ((["/a"], HASHES[:1], [{"d": float("nan")}]), pdna.ArgumentError, "JSON cannot hold"),
    ],
)
def test_what_cannot_be_added_changes_nothing(files, arguments, kind, words):
    index = pdna.HashIndex.open(*files)
    with pytest.raises(kind, match=words):
        index.add(*arguments[:2], extra=arguments[2] if len(arguments) > 2 else None)
    assert len(index) == 5
    index.add(["/b"], HASHES[:1])
    index.save()
    assert len(pdna.HashIndex.open(*files)) == 6


def test_paths_of_every_kind(files):
    index = pdna.HashIndex.open(*files)
    index.add((path for path in (b"/bytes.jpg", Path("/path.jpg"))), HASHES[:2])
    index.save()
    again = pdna.HashIndex.open(*files)
    assert "/bytes.jpg" in again
    assert Path("/path.jpg") in again


def test_wrong_names_of_files():
    for call in (pdna.HashIndex.create, pdna.HashIndex.open, pdna.HashIndex.rebuild):
        with pytest.raises(pdna.ArgumentTypeError, match="index_path: got int"):
            call(3, "m")
        with pytest.raises(pdna.ArgumentError, match=r"meta_path: got .*cannot be the name"):
            call("i", "i\0")
    with pytest.raises(pdna.ArgumentTypeError, match="path: got int"):
        _ = 3 in pdna.HashIndex.create("i", "m")
    for name in ("m.sqlite", "m.DB"):
        with pytest.raises(pdna.IndexFileError, match="SQLite"):
            pdna.HashIndex.create("i", name)
        with pytest.raises(pdna.IndexFileError, match="SQLite"):
            pdna.HashIndex.open("i", name)


def test_matches_are_values(files):
    index = pdna.HashIndex.open(*files)
    (first,), (second,) = index.search(HASHES[:1], 1), index.search(HASHES[:1], 1)
    assert {first[0], second[0]} == {first[0]}
    first[0].extra["n"] = "changed"
    assert index.search(HASHES[:1], 1)[0][0].extra == {"n": 0}
    assert repr(index) == f"<HashIndex of 5 items in {files[0]}>"


def test_nothing_but_an_index_is_ever_replaced(files, tmp_path):
    index_path, meta_path = files
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff and the rest")
    os.mkfifo(tmp_path / "fifo")
    os.link(meta_path, tmp_path / "hardlink")
    (tmp_path / "symlink").symlink_to(meta_path)
    before = {path: path.read_bytes() for path in (index_path, meta_path, photo)}
    rebuild, create = pdna.HashIndex.rebuild, pdna.HashIndex.create
    for same in (meta_path, tmp_path / "hardlink", tmp_path / "symlink"):
        for call in (
            lambda s: rebuild(s, meta_path),
            lambda s: create(s, meta_path, overwrite=True),
        ):
            with pytest.raises(pdna.ArgumentError, match="same file twice"):
                call(same)
    for other in (photo, tmp_path / "fifo", tmp_path):
        for call in (
            lambda o: rebuild(o, meta_path),
            lambda o: create(o, "m", overwrite=True),
            lambda o: create("i", o, overwrite=True),
        ):
            with pytest.raises(pdna.IndexFileError, match=r"another kind|pipe|directory"):
                call(other)
    assert {path: path.read_bytes() for path in before} == before


def test_a_file_made_in_between_is_not_replaced(tmp_path):
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / "m")
    (tmp_path / "m").write_text("mine")
    with pytest.raises(pdna.IndexFileError, match="exists already"):
        index.save()
    assert (tmp_path / "m").read_text() == "mine"


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = pdna.HashIndex.create("i", "m")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    index.save()
    assert (tmp_path / "m").exists()


def test_no_file_is_waited_for(files, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(pdna.IndexFileError, match="pipe, socket or device"):
        pdna.HashIndex.open(tmp_path / "fifo", files[1])
    with pytest.raises(pdna.IndexFileError, match="pipe, socket or device"):
        pdna.HashIndex.open(files[0], "/dev/zero")


def test_a_write_protected_file_is_not_replaced(files, monkeypatch):
    index = pdna.HashIndex.open(*files)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(pdna.IndexFileError, match=r"meta\.json: cannot be written .*protected"):
        index.save()


def test_create_never_replaces_unasked(files):
    before = [path.read_bytes() for path in files]
    with pytest.raises(pdna.IndexFileError, match=r"exists already.*--faiss-add.*--overwrite"):
        pdna.HashIndex.create(*files)
    index = pdna.HashIndex.create(*files, overwrite=True)
    assert [path.read_bytes() for path in files] == before, "nothing is written before save"
    index.add(["/x"], HASHES[:1])
    index.save()
    assert len(pdna.HashIndex.open(*files)) == 1


def test_hostile_names_survive(tmp_path):
    names = [b"/n\nl.jpg", b"/\x1b[31m.jpg", b"/\xff\xfe.jpg", "/猫.jpg".encode(), b'/"\\.jpg']
    index = pdna.HashIndex.create(tmp_path / "i", tmp_path / "m")
    index.add([os.fsdecode(name) for name in names], HASHES[:5])
    index.save()
    content = (tmp_path / "m").read_bytes()
    assert content.isascii()
    assert b"\x1b" not in content
    again = pdna.HashIndex.open(tmp_path / "i", tmp_path / "m")
    answers = again.search(HASHES[:5], 1)
    assert [os.fsencode(matches[0].path) for matches in answers] == names


def corrupt(path, offset, content):
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda i, m: i.unlink(), "index.faiss: no such file.*--faiss-rebuild"),
        (lambda i, m: m.unlink(), "meta.json: no such file"),
        (lambda i, m: m.write_bytes(i.read_bytes()), "meta.json: is a FAISS index"),
        (lambda i, m: i.write_bytes(b""), "ends within its header"),
        (lambda i, m: i.write_bytes(i.read_bytes()[:-1]), "lengths do not fit"),
        (lambda i, m: i.write_bytes(i.read_bytes() + b"\0"), "lengths do not fit"),
        (lambda i, m: i.write_bytes(b"PNG" * 99), "not a FAISS index of the kind"),
        (lambda i, m: corrupt(i, 4, struct.pack("<i", 64)), "dimension 64"),
        (lambda i, m: corrupt(i, 8, struct.pack("<q", 2**60)), "damaged"),
        (lambda i, m: corrupt(i, 8, struct.pack("<q", -1)), "damaged"),
        (lambda i, m: corrupt(i, 74, struct.pack("<Q", 7)), "number of values"),
        (lambda i, m: corrupt(i, 82, b"\xff"), "do.* not belong to its metadata.*hashes differ"),
        (lambda i, m: corrupt(i, i.stat().st_size - 8, b"\x63"), "not belong.*their ids"),
        (lambda i, m: m.write_text("{"), "meta.json: is not valid JSON.*backup"),
        (lambda i, m: m.write_bytes(b"\xff" * 9), "meta.json: is not valid JSON"),
        (lambda i, m: m.write_text("[" * 100_000), "meta.json: is not valid JSON"),
        (lambda i, m: m.write_text("[]"), 'no list of "items"'),
        (
            lambda i, m: edit(m, lambda d: d.update(dimension=64)),
            '"dimension" 64, and hashes need 144',
        ),
        (lambda i, m: edit(m, lambda d: d.update(metric="cosine")), '"metric" "cosine"'),
        (lambda i, m: edit(m, lambda d: d.update(next_id=5)), '"next_id" is not above'),
        (lambda i, m: edit(m, lambda d: d["items"].pop()), "not belong.*5 items, the metadata 4"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=1)), "the same id"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id="1")), 'item 2 .* no "id"'),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(id=True)), 'item 2 .* no "id"'),
        (lambda i, m: edit(m, lambda d: d["items"][2].pop("path")), 'item 2 .* no "path"'),
        (lambda i, m: edit(m, lambda d: d["items"][2]["hash"].pop()), "list of 144 numbers"),
        (lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, 256)), "0 to 255"),
        (lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, 1.0)), "0 to 255"),
        (lambda i, m: edit(m, lambda d: d["items"][2]["hash"].__setitem__(0, None)), "0 to 255"),
        (lambda i, m: edit(m, lambda d: d["items"].__setitem__(2, 3)), "item 2 .* JSON object"),
        (lambda i, m: edit(m, lambda d: d["items"][2].update(extra=3)), '"extra"'),
    ],
)
def test_damage_is_named(files, damage, words):
    damage(*files)
    with pytest.raises(pdna.IndexFileError, match=words) as caught:
        pdna.HashIndex.open(*files)
    assert caught.value.path in (files[0], files[1], str(files[0]), str(files[1]))


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_two_indexes_mixed_up(files, tmp_path):
    (tmp_path / "other").mkdir()
    other = made_elsewhere(tmp_path / "other", HASHES[5:10])
    with pytest.raises(pdna.IndexFileError, match=r"does not belong to its metadata"):
        pdna.HashIndex.open(files[0], other[1])


def test_every_flipped_byte_of_an_index_is_noticed_or_harmless(files):
    """Never a crash, never another answer than before."""
    whole = files[0].read_bytes()
    unused = range(16, 32), range(53, 69)  # two numbers that FAISS writes and ignores
    noticed = 0
    for offset in range(0, len(whole), 3):
        corrupt(files[0], offset, bytes([whole[offset] ^ 0xFF]))
        try:
            index = pdna.HashIndex.open(*files)
        except pdna.IndexFileError:
            noticed += 1
        else:
            assert any(offset in span for span in unused)
            assert answered(index, HASHES[0], 1) == [(1, 0)]
        files[0].write_bytes(whole)
    assert noticed > len(whole) // 3 - 15


def test_rebuild(files):
    before = files[0].read_bytes()
    files[0].write_bytes(before[:100])
    assert len(pdna.HashIndex.rebuild(*files)) == 5
    assert files[0].read_bytes() == before
    pdna.HashIndex.open(*files)


def test_what_cannot_be_written_changes_nothing(files, monkeypatch):
    before = [path.read_bytes() for path in files]
    index = pdna.HashIndex.open(*files)
    index.add(["/x"], HASHES[:1])

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(pdna.IndexFileError, match=r"meta\.json: cannot be written \(No space left"):
        index.save()
    assert [path.read_bytes() for path in files] == before
    assert len(list(files[0].parent.iterdir())) == 2, "no temporary file stays behind"


def test_permissions_and_links_stay(files, tmp_path):
    files[0].chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(files[1])
    index = pdna.HashIndex.open(files[0], link)
    index.add(["/x"], HASHES[:1])
    index.save()
    assert files[0].stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert len(pdna.HashIndex.open(*files)) == 6


def test_layout_is_what_faiss_writes():
    """The reader here knows FAISS's format; a new FAISS that changes it must be noticed."""
    index = faiss_file.build(HASHES, np.arange(30))
    (content,) = faiss_file.encode(index)
    assert len(content) == 2 * 37 + 8 + 30 * 144 * 4 + 8 + 30 * 8
