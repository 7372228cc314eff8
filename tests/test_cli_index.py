"""The modes of the command line that search and look after an index."""

import json
import sqlite3

import faiss
import numpy as np
import pytest
from conftest import JIT_OFF, draw_smooth_noise
from indexes import write_foreign_index
from PIL import Image
from test_cli import failed, text

import photodna_nb as pdna

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images, the first of them turned as well, and a flat one of next to no detail."""
    folder = tmp_path_factory.mktemp("pictures")
    draw_smooth_noise(folder, ("a.png", "c.png"), 4, (8, 12), (240, 160))
    with Image.open(folder / "a.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png")
    flat = np.random.default_rng(4).integers(127, 129, (160, 240), np.uint8)
    Image.fromarray(flat).save(folder / "flat.png")
    return folder


@pytest.fixture(params=["meta.json", "meta.sqlite"])
def files(request, call, folder, tmp_path):
    """An index of a.png, turned.png and flat.png."""
    files = tmp_path / "index.faiss", tmp_path / request.param
    images = [folder / name for name in ("a.png", "turned.png", "flat.png")]
    assert text(call("--faiss-build", *files, *images)) == f"Indexed 3 file(s) into {files[0]}\n"
    return files


def test_many_queries_in_one_call(call, folder, files):
    queries = [folder / name for name in ("a.png", "c.png", "missing.png", "turned.png")]
    result = call("--faiss-query", *files, *queries, "2", "--max-distance", "100")
    assert failed(result) == [f"{folder}/missing.png: no such file; check the path"]
    answers = result.stdout.decode().split("Query: ")[1:]
    assert [answer.splitlines()[0] for answer in answers] == [
        str(path) for path in queries if path.name != "missing.png"
    ]
    assert [answer.splitlines()[1] for answer in answers] == [
        "Results: 1", "Results: 0", "Results: 1"
    ]  # fmt: skip
    listed = "\n".join(map(str, queries[:2])).encode()
    again = call(
        "--faiss-query",
        *files,
        "--files-from",
        "-",
        "--max-distance",
        "100",
        stdin=listed,
    )
    assert text(again).count("Query: ") == 2


def test_orientations_and_json(call, folder, files):
    query = ("--faiss-query", *files, folder / "a.png", "--max-distance", "60")
    assert "Results: 1" in text(call(*query))
    assert "    orientation=rotate_90\n" in text(call(*query, "--orientations"))
    (answer,) = json.loads(text(call(*query, "--orientations", "--json")))
    assert (answer["query"], answer["low_detail"]) == (str(folder / "a.png"), False)
    found = [(one["path"], one["orientation"]) for one in answer["results"]]
    assert found == [
        (str(folder / "a.png"), "identity"), (str(folder / "turned.png"), "rotate_90")
    ]  # fmt: skip
    (first, second) = answer["results"]
    assert (first["id"], first["distance"], first["similarity"]) == (1, 0.0, 1.0)
    assert second["distance"] == second["distance_squared"] ** 0.5
    assert (first["extra"], first["name"]) == ({}, str(folder / "a.png"))
    assert first["detail"] == pdna.detail(Image.open(folder / "a.png"))


def test_low_detail_is_marked_and_left_out(call, folder, files):
    query = ("--faiss-query", *files, folder / "flat.png")
    detail = pdna.detail(Image.open(folder / "flat.png"))
    assert detail < 100
    marked = text(call(*query))
    assert f"Low detail: {detail:.1f} grey levels; its matches say nothing\n" in marked
    assert f"    low detail={detail:.1f}\n" in marked
    assert marked.count("low detail=") == 1, "the photographs have detail"
    left_out = text(call(*query, "--min-detail", "50"))
    assert left_out.endswith("grey levels, below --min-detail\nResults: 0\n")
    others = text(call("--faiss-query", *files, folder / "a.png", "--min-detail", "100"))
    assert "Results: 2" in others
    assert "flat.png" not in others


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_json_has_no_nan(call, folder, tmp_path, number):
    """Which other programs, and Python itself, write into metadata."""
    pair = write_foreign_index(tmp_path, pdna.hash_file(folder / "a.png")[None])
    content = pair[1].read_text("utf-8")
    pair[1].write_text(content.replace('"extra": {}', f'"extra": {{"k": [{number}, "NaN"]}}'))

    def refuse(word):
        raise AssertionError(word)

    for mode in ["--faiss-list", *pair], ["--faiss-query", *pair, folder / "a.png"]:
        (entry,) = json.loads(text(call(*mode, "--json")), parse_constant=refuse)
        (entry,) = entry.get("results", [entry])
        assert entry["extra"]["k"] == [None, "NaN"]


def test_content_is_compared_within_the_limit_of_pixels(call, files):
    compared = ("--faiss-verify", *files, "--compare-content")
    text(call(*compared, "--max-pixels", "38400"))
    lines = failed(call(*compared, "--max-pixels", "38399"))
    assert len(lines) == 3
    assert "240 x 160 pixels are over the limit of 38399 pixels" in lines[0]


def test_an_error_names_the_option_as_it_is_typed(call, folder, files):
    query = call("--faiss-query", *files, folder / "a.png", "--ef-search", "3")
    assert failed(query)[0].startswith("argument --ef-search: goes with index types of")
    rebuilt = call("--faiss-rebuild", *files, "--index-type", "IVF9,Flat")
    assert failed(rebuilt)[0].startswith("argument --index-type: IVF9,Flat needs at least")


def test_json_is_valid_after_an_error(call, files):
    """Of an item in the middle of a list; of a database, a whole page of items is read first."""
    content = files[1].read_bytes()
    files[1].write_bytes(content.replace(b"turned.png", b"turnde.png"))
    result = call("--faiss-list", *files, "--json")
    assert "item 2 (" in failed(result)[0]
    if files[1].suffix == ".json":
        assert [item["id"] for item in json.loads(result.stdout)] == [1]
    else:
        assert not result.stdout


def test_list_and_remove(call, folder, files):
    turned = folder / "turned.png"
    lines = text(call("--faiss-list", *files)).splitlines()
    assert lines == [f"1\t{folder}/a.png", f"2\t{turned}", f"3\t{folder}/flat.png"]
    entries = json.loads(text(call("--faiss-list", *files, "--json")))
    assert [(entry["id"], entry["path"]) for entry in entries][1] == (2, str(turned))
    result = call("--faiss-remove", *files, "1", turned, "9", "1", folder / "gone.jpg")
    assert failed(result) == [
        f"9: not in {files[0]}; for a file of that name, ./9",
        f"{folder}/gone.jpg: not in {files[0]}",
    ]
    assert result.stdout.decode() == f"Removed 2 file(s) from {files[0]}\n"
    assert text(call("--faiss-list", *files)) == f"3\t{folder}/flat.png\n"
    added = text(call("--faiss-add", *files, turned))
    assert added == f"Added 1 file(s) into {files[0]}\n"
    assert text(call("--faiss-list", *files)).endswith(f"4\t{turned}\n"), "no id is used again"


def test_verify_finds_what_opening_need_not(call, files):
    assert (
        text(call("--faiss-verify", *files)) == f"{files[0]}: sound, 3 file(s), index type flat\n"
    )
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 1
    files[0].write_bytes(content)
    (message,) = failed(call("--faiss-verify", *files))
    assert message.startswith(f"{files[0]}: is damaged")
    assert f"--faiss-rebuild {files[0]} {files[1]}" in message
    text(call("--faiss-rebuild", *files))
    text(call("--faiss-verify", *files))


def test_convert_there_and_back(call, files, tmp_path):
    middle = tmp_path / "big.faiss", tmp_path / "big.db"
    back = tmp_path / "back.faiss", tmp_path / "back.json"
    converted = text(call("--faiss-convert", *files, *middle, "--index-type", "uint8"))
    assert converted == f"Converted 3 file(s) into {middle[0]} and {middle[1]}\n"
    assert isinstance(
        faiss.downcast_index(faiss.read_index(str(middle[0])).index), faiss.IndexScalarQuantizer
    )
    with sqlite3.connect(middle[1]) as database:
        assert database.execute("SELECT count(*) FROM items").fetchone() == (3,)
    database.close()
    assert "exists already" in failed(call("--faiss-convert", *files, *middle))[0]
    text(call("--faiss-convert", *middle, *back, "--index-type", "flat"))
    with pdna.HashIndex.open(*files) as one, pdna.HashIndex.open(*back) as other:
        pairs = zip(one.items(), other.items(), strict=True)
        for a, b in pairs:
            assert (a.id, a.path, a.extra) == (b.id, b.path, b.extra)
            np.testing.assert_array_equal(a.hash, b.hash)


def test_the_approximate_kind_says_so(call, files):
    rebuilt = text(call("--faiss-rebuild", *files, "--index-type", "HNSW8"))
    assert "Approximate: recall against the exact answer, 3 queries, ef_search 16: " in rebuilt
    assert "Approximate: recall" in text(call("--faiss-verify", *files))
