"""Tables of hashes as other programs and people write them: delimiters, names, forms, bad lines."""

import base64
import codecs
import json
import random
import re
from collections import Counter

import numpy as np
import pytest
from conftest import scaled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import photodna_nb as pdna
from photodna_nb.tables.formats import READERS, is_table

HASHES = np.random.default_rng(3).integers(0, 256, (4, 144), np.uint8)
PATHS = ["/a.jpg", "two, words; here|.png", "/é猫.gif", 'C:\\b "q".bmp']


def base64_of(row):
    return base64.b64encode(row).decode()


FORMS = {
    "base64": base64_of,
    "url-safe base64": lambda row: base64.urlsafe_b64encode(row).decode(),
    "lines of base64": lambda row: "\n".join(re.findall(".{1,76}", base64_of(row))),
    "hex": lambda row: row.tobytes().hex(),
    "HEX": lambda row: row.tobytes().hex().upper(),
    "0x": lambda row: "0x" + row.tobytes().hex(),
    "integers": lambda row: ",".join(map(str, row)),
    "spaces": lambda row: " ".join(map(str, row)),
    "list": lambda row: str(row.tolist()),
}


def quoted(cells, delimiter):
    """Return a line of cells, in quotes where these are needed, without the csv module."""
    return delimiter.join(
        '"' + cell.replace('"', '""') + '"' if set(cell) & set(f'{delimiter}"\n\r') else cell
        for cell in cells
    )


def loaded(path, content, **options):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return pdna.HashTable.load(path, **options)


def assert_holds(table, paths=PATHS, rows=HASHES):
    assert table.paths == list(paths)
    np.testing.assert_array_equal(table.hashes, rows, strict=True)
    assert table.failures == []


def test_is_table():
    names = ("a.csv", "A.TSV", "a.txt", "a.json", "a.jsonl", "a.ndjson", "a.npz", "a.parquet")
    assert all(map(is_table, names))
    assert not any(map(is_table, ("a.jpg", "csv", "a.csv.gz", "", ".csv")))
    assert len(READERS) >= len(names)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [None, ("path", "hash"), ("PhotoDNA", "File_Name")])
def test_delimiters_names_and_forms(tmp_path, form, delimiter, header):
    lines = [[path, FORMS[form](row)] for path, row in zip(PATHS, HASHES, strict=True)]
    if header is not None:
        lines = [header, *(lines if header[0] == "path" else (line[::-1] for line in lines))]
    for end in ("\n", "\r\n", "\r"):
        text = "".join(quoted(line, delimiter) + end for line in lines)
        assert_holds(loaded(tmp_path / "t.csv", text))
    assert_holds(loaded(tmp_path / "t.txt", text.rstrip(), delimiter=delimiter))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_column_for_each_value(tmp_path, delimiter):
    paths = ["/a.jpg", "7", "/c", "255"]
    lines = [[path, *map(str, row)] for path, row in zip(paths, HASHES, strict=True)]
    names = ["file", *(f"v{i}" for i in range(144))]
    text = "".join(delimiter.join(line) + "\n" for line in [names, *lines])
    assert_holds(loaded(tmp_path / "t.csv", text), paths)
    text = "".join(delimiter.join([*line[1:], line[0]]) + "\n" for line in lines[:1])
    assert_holds(loaded(tmp_path / "t.csv", text), paths[:1], HASHES[:1])
    text = "".join(delimiter.join(line) + "\n" for line in lines[1:])  # a number beside them
    with pytest.raises(
        pdna.TableFileError, match=r"145 columns of integers .*as hash_column= \(--hash-column\)"
    ):
        loaded(tmp_path / "t.csv", "".join(text.splitlines(keepends=True)[::2]))
    assert_holds(loaded(tmp_path / "t.csv", text, path_column=0), paths[1:], HASHES[1:])
    assert_holds(loaded(tmp_path / "t.csv", text, hash_column=1), paths[1:], HASHES[1:])
    text = "".join(delimiter.join(line[1:]) + "\n" for line in lines)
    assert_holds(loaded(tmp_path / "t.csv", text), [f"t.csv:{n}" for n in (1, 2, 3, 4)])


@pytest.mark.parametrize("form", FORMS)
def test_a_hash_on_each_line(tmp_path, form):
    lines = [FORMS[form](row) for row in HASHES]
    text = "\n" + "".join(quoted([line], "\n") + "\n\n" for line in lines)
    if form == "lines of base64":
        pytest.skip("needs quotes")
    table = loaded(tmp_path / "list.txt", text)
    assert_holds(table, [f"list.txt:{line}" for line in (2, 4, 6, 8)])
    assert_holds(loaded(tmp_path / "list.txt", f"hash\n{lines[0]}"), ["list.txt:2"], HASHES[:1])


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "shift_jis"],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_encodings(tmp_path, encoding, suffix):
    letter = {"cp1252": "é", "shift_jis": "猫"}.get(encoding, "é猫")
    entries = [
        {"path": f"{letter}{number}", "photodna": base64_of(row)}
        for number, row in enumerate(HASHES)
    ]
    if suffix == ".csv":
        text = "".join(",".join(entry.values()) + "\r\n" for entry in entries)
    elif suffix == ".jsonl":
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\r\n" for entry in entries)
    else:
        text = json.dumps(entries, ensure_ascii=False)
    content = text.encode(encoding)
    told = encoding in ("cp1252", "shift_jis")
    expected = [entry["path"] for entry in entries]
    path = tmp_path / f"t{suffix}"
    assert_holds(loaded(path, content, **({"encoding": encoding} if told else {})), expected)
    marked = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    if marked:
        assert_holds(loaded(path, marked + content), expected)
    if told and suffix == ".csv":  # the bytes stay as they are
        assert [
            name.encode("utf-8", "surrogateescape").decode(encoding)
            for name in loaded(path, content).paths
        ] == expected


def test_a_text_that_is_not_in_its_encoding(tmp_path):
    line = f"/a,{base64_of(HASHES[0])}\n".encode("utf-16")
    for content, options in ((line[:-1], {}), (b"/\xe9,", {"encoding": "utf-8"})):
        with pytest.raises(pdna.TableFileError, match=r"is no text in utf-.*encoding="):
            loaded(tmp_path / "t.csv", content, **options)


def test_quotes_that_match_with_one_delimiter_alone(tmp_path):
    for path in ("a;b", "a|b\tc"):
        text = f'"{path}",{base64_of(HASHES[0])}'
        assert_holds(loaded(tmp_path / "t.csv", text), [path], HASHES[:1])


@pytest.mark.parametrize("path", [" ", "\x85", ";", "|"])
def test_the_suffix_says_that_tabs_stand_between_cells(tmp_path, path):
    table = pdna.HashTable([path], HASHES[:1], np.full(1, np.nan))
    table.save(tmp_path / "t.tsv")
    assert_holds(pdna.HashTable.load(tmp_path / "t.tsv"), [path], HASHES[:1])


def test_further_columns_are_kept(tmp_path):
    lines = [["id", "hash", "path", "note", "", "note", "detail"]]
    lines += [
        [str(n), base64_of(row), path, f"n{n}", "", "=1", ["", "1.5", "2", "3"][n]]
        for n, (row, path) in enumerate(zip(HASHES, PATHS, strict=True))
    ]
    table = loaded(tmp_path / "t.csv", "".join(quoted(line, ";") + "\n" for line in lines))
    assert_holds(table)
    other = {
        "id": ["0", "1", "2", "3"],
        "note": ["n0", "n1", "n2", "n3"],
        "column 4": [""] * 4,
        "note (column 5)": ["=1"] * 4,
    }
    assert table.other == other
    np.testing.assert_array_equal(table.detail, [np.nan, 1.5, 2, 3])
    for suffix in (".csv", ".tsv", ".json", ".jsonl"):
        table.save(tmp_path / f"u{suffix}")
        again = pdna.HashTable.load(tmp_path / f"u{suffix}")
        assert (again.other, suffix) == (other, suffix)
    assert table[1:3].other["note"] == ["n1", "n2"]
    assert table[table.detail > 1.7].other["id"] == ["2", "3"]
    joined = pdna.HashTable.concatenate([pdna.HashTable([], HASHES[:0], np.zeros(0)), table[:1]])
    assert joined.other["note"] == ["n0"]
    bare = pdna.HashTable(["/x"], HASHES[:1], np.zeros(1))
    assert pdna.HashTable.concatenate([bare, table[:1]]).other["note"] == ["", "n0"]
    table.save(tmp_path / "s.csv", spreadsheet=True)
    assert pdna.HashTable.load(tmp_path / "s.csv").other["note (column 5)"] == ["'=1"] * 4
    for wrong in ({"path": ["a"]}, {"note": []}):
        with pytest.raises(pdna.ArgumentError, match=r"^other: got the column"):
            pdna.HashTable(["/a"], HASHES[:1], np.zeros(1), other=wrong)


def test_a_detail_that_is_a_note_is_a_further_column(tmp_path):
    lines = (f"/{n},{base64_of(row)},of {n}\n" for n, row in enumerate(HASHES))
    text = "path,hash,Detail\n" + "".join(lines)
    table = loaded(tmp_path / "t.csv", text)
    assert table.other == {"Detail": ["of 0", "of 1", "of 2", "of 3"]}
    assert np.isnan(table.detail).all()
    lines = text.replace("of ", "").splitlines()
    lines = [lines[0], *lines[1:] * 25, lines[1].replace(",0", ",x")]
    table = loaded(tmp_path / "t.csv", "\n".join(lines), errors="record")
    assert table.detail.tolist() == [0, 1, 2, 3] * 25
    assert [failure.error for failure in table.failures] == ["has a detail that is no number"]


GOOD = [f"/{number}.jpg,{base64_of(row)}" for number, row in enumerate(HASHES)]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("/b.jpg", "has 1 column(s), needs 2"),
        ("/b.jpg," + "A" * 191, "has no hash, needs 192 characters of base64, 288"),
        ("/b.jpg," + "A" * 188, "holds 141 bytes, needs 144"),
        ("/b.jpg," + "*" * 192, "has no valid base64"),
        ("/b.jpg," + "g" * 288, "has no valid hexadecimal digits"),
        ("/b.jpg," + '"1,2,3"', "has 3 values, needs 144"),
        ("/b.jpg," + f'"{"256," * 143}0"', "has values that are no integers from 0 to 255"),
        ("/b.jpg,", "has no hash"),
        ('"/b.jpg,' + GOOD[0][-192:], "is no line of cells"),
        ('"/b"x,AAAA', "is no line of cells"),
        (f"/b\0,{GOOD[0][-192:]}", "has a text with NUL"),
        ("/b.jpg," + "9" * 5000, "has 5,000 characters"),
    ],
)
def test_a_bad_line_spoils_nothing_else(tmp_path, bad, words):
    path = tmp_path / "list.csv"
    content = "\r\n".join([*GOOD[:2], "", bad, *GOOD[2:], '"end"x'])
    with pytest.raises(pdna.TableFileError, match=rf"list\.csv: line 4 {re.escape(words)}"):
        loaded(path, content)
    table = loaded(path, content, errors="record")
    assert table.paths == [f"/{number}.jpg" for number in range(4)]
    np.testing.assert_array_equal(table.hashes, HASHES)
    (place, reason), (last, _) = table.failures
    assert (place, last) == (f"{path}:4", f"{path}:7")
    assert reason.startswith(words)
    assert "\n" not in reason


def test_quotes_that_span_lines_cost_one_line_each(tmp_path):
    lines = ['"/open,' + GOOD[0][-192:], GOOD[1], '"/two\nlines",' + GOOD[2][-192:], GOOD[3]]
    table = loaded(tmp_path / "t.csv", "\n".join(lines), errors="record")
    assert table.paths == ["/1.jpg", "/two\nlines", "/3.jpg"]
    assert [place for place, _ in table.failures] == [f"{tmp_path / 't.csv'}:1"]


def questions():
    two = base64_of(HASHES[0]), base64_of(HASHES[1])
    yield (
        "\n".join(f"a,{one},b" for one in two),
        "columns '0', '2' holds the paths",
        {"path_column": 0},
        ["a", "a"],
    )
    yield f"note,hash\nx,{two[0]}", "'note' holds the paths", {"path_column": "note"}, ["x"]
    yield f"note,hash\nx,{two[0]}", "'note' holds the paths", {"path_column": ""}, ["t.csv:2"]
    yield f"path,a,b\nx,{two[1]},{two[0]}", "'a', 'b' all hold hashes", {"hash_column": "b"}, ["x"]
    yield f"path,path,hash\nx,y,{two[0]}", "'path', 'path' holds", {"path_column": 1}, ["y"]
    yield (
        f"{two[0]},x;{two[1]}",
        "',' and ';'; which is it",
        {"delimiter": ",", "path_column": 1},
        [f"x;{two[1]}"],
    )
    yield (
        f"a b {two[0]}",
        "no column holds hashes",
        {"delimiter": " ", "path_column": 1, "hash_column": 2},
        ["b"],
    )


@pytest.mark.parametrize(("content", "words", "options", "paths"), list(questions()))
def test_what_is_not_clear_is_asked_and_answered(tmp_path, content, words, options, paths):
    with pytest.raises(pdna.TableFileError, match=rf"t\.csv: .*{re.escape(words)}"):
        loaded(tmp_path / "t.csv", content)
    table = loaded(tmp_path / "t.csv", content, **options)
    assert table.paths == paths
    np.testing.assert_array_equal(table.hashes[0], HASHES[0])


def test_names_that_are_known_are_not_asked_for(tmp_path):
    """The first of the known names is the path; equal hashes in two forms are one hash."""
    row = HASHES[0]
    header = "id,filename,hex,base64,label"
    line = f"7,/a.jpg,{row.tobytes().hex()},{base64_of(row)},cat"
    table = loaded(tmp_path / "t.csv", f"# {header}\n{line}\n")
    assert_holds(table, ["/a.jpg"], HASHES[:1])
    assert table.other == {"# id": ["7"], "hex": [row.tobytes().hex()], "label": ["cat"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"errors": "ignore"}, "errors: got 'ignore'"),
        ({"path_column": -1}, "path_column: got -1"),
        ({"hash_column": 1.5}, "hash_column: got float"),
        ({"delimiter": ",,"}, "delimiter: got ',,', needs one character"),
        ({"delimiter": "\n"}, "delimiter: got"),
        ({"encoding": "klingon"}, "encoding: got 'klingon'"),
        ({"encoding": "zlib"}, "encoding: got 'zlib'"),
    ],
)
def test_wrong_options(tmp_path, options, words):
    with pytest.raises((pdna.ArgumentError, pdna.ArgumentTypeError), match=words):
        loaded(tmp_path / "t.csv", GOOD[0], **options)


@pytest.mark.parametrize("options", [{"path_column": "x"}, {"hash_column": 2}])
def test_options_that_name_no_column(tmp_path, options):
    with pytest.raises(pdna.TableFileError, match=r"t\.csv: has .*is none of them"):
        loaded(tmp_path / "t.csv", "path,hash\n" + GOOD[0], **options)


def test_a_file_that_is_no_table(tmp_path):
    with pytest.raises(
        pdna.TableFileError, match=r"no column holds hashes.*--files-from reads it$"
    ):
        loaded(tmp_path / "t.txt", "These are notes.\nThey are, of course, no table.\n")
    with pytest.raises(pdna.TableFileError, match="most of it is no table of hashes: 100,001"):
        loaded(tmp_path / "t.txt", GOOD[0] + "\n" + "x\n" * 100_001, errors="record")


@pytest.mark.parametrize(
    "document",
    [
        [{"file": p, "hash": base64_of(r)} for p, r in zip(PATHS, HASHES, strict=True)],
        [{"name": p, "pdna": r.tolist()} for p, r in zip(PATHS, HASHES, strict=True)],
        {
            "images": [
                {"url": p, "h": r.tobytes().hex()} for p, r in zip(PATHS, HASHES, strict=True)
            ]
        },
        {p: base64_of(r) for p, r in zip(PATHS, HASHES, strict=True)},
        {p: r.tolist() for p, r in zip(PATHS, HASHES, strict=True)},
    ],
)
def test_json_of_others(tmp_path, document):
    for indent in (None, 2):
        table = loaded(tmp_path / "t.json", json.dumps(document, indent=indent))
        assert_holds(table)
        assert table.other == {}
    if isinstance(document, list):
        lines = "\n\n".join(map(json.dumps, document))
        assert_holds(loaded(tmp_path / "t.jsonl", lines))
        assert_holds(loaded(tmp_path / "t.json", lines))


def test_json_without_paths(tmp_path):
    entries = [
        base64_of(HASHES[0]),
        HASHES[1].tolist(),
        {"hash": HASHES[2].tolist()},
        HASHES[3].tolist(),
    ]
    table = loaded(tmp_path / "t.json", json.dumps(entries))
    assert_holds(table, [f"t.json[{number}]" for number in range(4)])
    table = loaded(tmp_path / "t.jsonl", "\n".join(map(json.dumps, entries)))
    assert_holds(table, [f"t.jsonl:{number}" for number in range(1, 5)])
    table = loaded(tmp_path / "t.json", json.dumps({"path": "/a", "photodna": entries[0]}))
    assert_holds(table, ["/a"], HASHES[:1])


def test_bad_entries_of_json(tmp_path):
    good = {"path": "/a", "photodna": HASHES[0].tolist()}
    bad = [
        ({**good, "photodna": HASHES[0].tolist()[1:]}, "has 143 values, needs 144"),
        ({**good, "photodna": None}, "has no hash"),
        ({**good, "path": None}, "has no text as 'path'"),
        ({**good, "detail": "12"}, "has a detail that is no number"),
        ({**good, "detail": 10**400}, "has an infinite detail"),
        ({**good, "note": "\0"}, "has a text with NUL"),
        (17, "has no hash"),
    ]
    entries = [good, *(entry for entry, _ in bad), good]
    table = loaded(tmp_path / "t.json", json.dumps(entries), errors="record")
    assert table.paths == ["/a", "/a"]
    assert [place for place, _ in table.failures] == [
        f"{tmp_path / 't.json'}[{number}]" for number in range(1, 8)
    ]
    lines = [*map(json.dumps, entries), '{"path": "/a", "path": "/b"}', "{"]
    table = loaded(tmp_path / "t.jsonl", "\n".join(lines), errors="record")
    assert table.paths == ["/a", "/a"]
    for (_, reason), (_, words) in zip(table.failures, bad, strict=False):
        assert reason.startswith(words)
    assert [place[-3:] for place, reason in table.failures if "is no JSON" in reason] == [
        ":10",
        ":11",
    ]
    for number, (entry, words) in enumerate(bad):
        content = json.dumps([good, entry])
        where = rf"entry 1 \(counted from 0\) {re.escape(words)}"
        with pytest.raises(pdna.TableFileError, match=where):
            loaded(tmp_path / f"{number}.json", content)


def test_values_of_json_that_are_no_text_are_kept_as_json(tmp_path):
    entry = {"path": 17, "photodna": HASHES[0].tolist(), "n": 1.5, "tags": ["a"], "no": None}
    table = loaded(tmp_path / "t.json", json.dumps([entry]))
    assert table.paths == ["17"]
    assert table.other == {"n": ["1.5"], "tags": ['["a"]'], "no": [""]}


def test_keys_that_nearly_every_entry_lacks_are_refused(tmp_path):
    """Each would have a cell in each row: 16 GB in a file of 12 MB."""
    hash_text = base64_of(HASHES[0])
    lines = (f'{{"photodna": "{hash_text}", "key{n}": ""}}' for n in range(50_000))
    with pytest.raises(pdna.TableFileError, match=r"further columns in .* rows"):
        loaded(tmp_path / "t.jsonl", "\n".join(lines), path_column="")


def test_further_columns_whose_names_or_texts_are_like_those_of_hashes(tmp_path):
    codes = list(map(base64_of, HASHES[::-1]))
    other = {"path_": ["x"] * 4, "pdna": codes, "type": ["md5"] * 4, "file name": ["y"] * 4}
    table = pdna.HashTable(PATHS, HASHES, np.ones(4), other=other)
    for suffix in (".csv", ".tsv", ".json", ".jsonl", ".npz", ".parquet"):
        table.save(tmp_path / f"t{suffix}")
        found = pdna.HashTable.load(tmp_path / f"t{suffix}")
        assert_holds(found)
        assert (found.other, found.skipped) == (other, {})


further = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
tables = st.lists(st.tuples(further.map("/".__add__), further, further), max_size=5)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=15,
    deadline=None,
)
@given(tables, st.sampled_from(["base64", "hex", "integers"]), st.booleans())
def test_a_table_that_is_saved_is_read_again(tmp_path, rows, form, with_other):
    paths, first, second = ([row[i] for row in rows] for i in range(3))
    other = {"first": first, "Zweite; Spalte": second} if with_other else {}
    hashes = HASHES[np.arange(len(rows)) % 4]
    table = pdna.HashTable(paths, hashes, np.full(len(rows), 7.0), other=other)
    for suffix in (".csv", ".tsv", ".json", ".jsonl"):
        table.save(tmp_path / f"t{suffix}", hash_format=form)
        found = pdna.HashTable.load(tmp_path / f"t{suffix}")
        assert_holds(found, paths, hashes)
        assert found.other == (other if rows or suffix in (".csv", ".tsv") else {})
    table.save(tmp_path / "t.txt", hash_format=form)
    labels = [f"t.txt:{line + 1}" for line in range(len(rows))]
    assert_holds(pdna.HashTable.load(tmp_path / "t.txt"), labels, hashes)


def test_a_path_that_is_a_hash(tmp_path):
    """The file has names of columns then, since nothing else tells which one is the hash."""
    for label in (base64_of(HASHES[1]), f"a;{base64_of(HASHES[1])};b", HASHES[1].tobytes().hex()):
        table = pdna.HashTable([label], HASHES[:1], np.zeros(1))
        for suffix in (".csv", ".tsv"):
            table.save(tmp_path / f"t{suffix}")
            assert_holds(pdna.HashTable.load(tmp_path / f"t{suffix}"), [label], HASHES[:1])


def test_forms_of_saved_hashes(tmp_path):
    table = pdna.HashTable(["/a"], HASHES[:1], np.zeros(1))
    table.save(tmp_path / "t.csv", hash_format="hex")
    assert (tmp_path / "t.csv").read_text("utf-8") == f"/a,{HASHES[0].tobytes().hex()}\n"
    table.save(tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text("utf-8") == f"/a\t{base64_of(HASHES[0])}\n"
    with pytest.raises(pdna.ArgumentError, match="hash_format: got 'hexx'"):
        table.save(tmp_path / "t.csv", hash_format="hexx")
    with pytest.raises(pdna.ArgumentError, match=r"suffix '\.npz', needs one of \.json"):
        table.save(tmp_path / "t.npz", hash_format="hex")
    with pytest.raises(
        pdna.ArgumentError, match=r"suffix '\.ndjson', needs one of \.json, \.jsonl"
    ):
        table.save(tmp_path / "t.ndjson")


def ncmec(rows):
    entries = "".join(
        f"""<{kind}><member id="42">Some &amp; Member</member>
        <timestamp>2017-10-24T15:00:00Z</timestamp><id>{name}</id><classification>A1</classification>
        <fingerprints><md5>{name}5</md5>{hashed}</fingerprints></{kind}>"""
        for kind, name, row in rows
        for hashed in [f"<pdna>{row}</pdna>" if row else ""]
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
    <queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><images count="3">{entries}
    <deletedImage><member id="43">x</member><id>gone</id></deletedImage></images>
    <paging><next>/v2/entries?from=1</next></paging></queryResult>"""


def test_the_list_of_ncmec(tmp_path):
    """It is as the public client of its interface reads it, from 2017 on."""
    rows = [
        *[("video", f"v{number}", None) for number in range(60)],
        ("image", "é1", HASHES[0].tobytes().hex()),
        ("image", "none", None),
        ("image", "i2", f"\n  {base64_of(HASHES[1])}\n"),
    ]
    table = loaded(tmp_path / "t.xml", ncmec(rows))
    assert_holds(table, ["é1", "i2"], HASHES[:2])
    assert table.skipped == {"no PhotoDNA hash": 61, "deleted": 1}
    assert table.other == {
        "element": ["image"] * 2,
        "member": ["Some & Member"] * 2,
        "member id": ["42"] * 2,
        "timestamp": ["2017-10-24T15:00:00Z"] * 2,
        "classification": ["A1"] * 2,
        "md5": ["é15", "i25"],
    }
    bad = ncmec([*rows, ("image", "bad", "a1a1...")])
    table = loaded(tmp_path / "t.xml", bad, errors="record")
    assert table.paths == ["é1", "i2"]
    (failure,) = table.failures
    assert failure.error.startswith("has no hash")
    with pytest.raises(pdna.TableFileError, match=r"t\.xml: entry 63 .*has no hash"):
        loaded(tmp_path / "t.xml", bad)
    assert len(loaded(tmp_path / "t.xml", ncmec([]))) == 0
    utf_16 = ncmec(rows).replace("UTF-8", "UTF-16").encode("utf-16")
    assert_holds(loaded(tmp_path / "t.xml", utf_16), ["é1", "i2"], HASHES[:2])
    latin = ncmec(rows).encode("latin-1")
    with pytest.raises(pdna.TableFileError, match="is no XML"):
        loaded(tmp_path / "t.xml", latin)
    assert loaded(tmp_path / "t.xml", latin, encoding="latin-1").paths == ["é1", "i2"]


@pytest.mark.parametrize("nested", [False, True])
def test_lists_of_threat_exchange(tmp_path, nested):
    def entry(number, kind, text, **more):
        named = {"indicator": text, "type": kind}
        return {"id": str(number), **({"indicator": named} if nested else named), **more}

    integers = ",".join(map(str, HASHES[0]))
    entries = [entry(n, "HASH_MD5", "a" * 32) for n in range(60)]
    entries += [
        entry(60, "HASH_PHOTODNA", integers, last_updated=17, should_delete=False),
        entry(61, "HASH_PHOTODNA", base64_of(HASHES[1]), should_delete=True),
        entry(62, "HASH_PHOTODNA", base64_of(HASHES[1])),
    ]
    document = {"data": entries, "paging": {"cursors": {"after": "x"}}}
    for suffix, text in (
        ("json", json.dumps(document)),
        ("json", json.dumps(entries)),
        ("jsonl", "\n".join(map(json.dumps, entries))),
    ):
        table = loaded(tmp_path / f"t.{suffix}", text)
        assert_holds(table, ["60", "62"], HASHES[:2])
        assert table.skipped == {"no PhotoDNA hash": 60, "deleted": 1}
        assert table.other["last_updated"] == ["17", ""]
    lines = [["id", "type", "indicator"], ["1", "HASH_MD5", "a"], ["2", "HASH_PHOTODNA", integers]]
    table = loaded(tmp_path / "t.csv", "\n".join(quoted(line, ",") for line in lines))
    assert_holds(table, ["2"], HASHES[:1])
    assert table.skipped == {"no PhotoDNA hash": 1}


def test_lists_of_project_vic(tmp_path):
    """A list of media, and one of cases with media: version 2.0, and 1.3 with other odata keys."""

    def media(number, row, **more):
        hashes = [{"HashName": "SHA1", "HashValue": "aa"}]
        if row is not None:
            hashes.append({"HashName": "PhotoDNA", "HashValue": base64_of(row)})
        one = {"MediaID": number, "Category": 1, "MD5": f"{number:032x}"}
        return one | {"AlternativeHashes": hashes} | more

    found = [media(1, HASHES[0]), media(2, None), {"MediaID": 3, "MD5": "3"}, media(4, HASHES[1])]
    paths = [f"{1:032x}", f"{4:032x}"]
    model = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata"
    for key, value in (
        ("@odata.context", found),
        (
            "odata.metadata",
            [{"CaseID": "1", "Media": found[:2]}, {"CaseID": "2", "Media": found[2:]}],
        ),
    ):
        table = loaded(
            tmp_path / "t.json", codecs.BOM_UTF8 + json.dumps({key: model, "value": value}).encode()
        )
        assert_holds(table, paths, HASHES[:2])
        assert table.skipped == {"no PhotoDNA hash": 2}
        assert table.other == {"MediaID": ["1", "4"], "Category": ["1", "1"]}
    found[0]["RelativeFilePath"] = found[3]["RelativeFilePath"] = "VIC\\a.jpg"
    table = loaded(tmp_path / "t.json", json.dumps({"@odata.context": model, "value": found}))
    assert table.paths == ["VIC\\a.jpg"] * 2


@pytest.mark.parametrize(
    "form", ["uint8", "int32", "fixed list", "large list", "binary", "fixed", "text", "hex"]
)
def test_parquet_of_others(tmp_path, form):
    import pyarrow as pa
    from pyarrow import parquet

    hashes = {
        "uint8": lambda: pa.array(HASHES.tolist(), pa.list_(pa.uint8())),
        "int32": lambda: pa.array(HASHES.tolist(), pa.list_(pa.int32())),
        "fixed list": lambda: pa.array(HASHES.tolist(), pa.list_(pa.uint8(), 144)),
        "large list": lambda: pa.array(HASHES.tolist(), pa.large_list(pa.int64())),
        "binary": lambda: pa.array(list(map(bytes, HASHES))),
        "fixed": lambda: pa.array(list(map(bytes, HASHES)), pa.binary(144)),
        "text": lambda: pa.array(list(map(base64_of, HASHES))),
        "hex": lambda: pa.array([row.tobytes().hex() for row in HASHES], pa.large_string()),
    }[form]()
    columns = {"filename": PATHS, "photodna": hashes, "n": [1, None, 3, 4], "tags": [["a"]] * 4}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=3)
    table = pdna.HashTable.load(tmp_path / "t.parquet")
    assert_holds(table)
    assert table.other == {"n": ["1", "", "3", "4"], "tags": ['["a"]'] * 4}
    parquet.write_table(pa.table({"h": hashes}), tmp_path / "t.parquet")
    assert_holds(pdna.HashTable.load(tmp_path / "t.parquet"), [f"t.parquet[{n}]" for n in range(4)])
    if form not in ("fixed", "fixed list"):
        bad = pa.concat_arrays(
            [hashes.slice(1, 1), pa.array([None, hashes[0].as_py()[:-1]], hashes.type)]
        )
        parquet.write_table(pa.table({"key": ["a", "b", "c"], "h": bad}), tmp_path / "t.parquet")
        table = pdna.HashTable.load(tmp_path / "t.parquet", errors="record")
        assert table.paths == ["a"]
        np.testing.assert_array_equal(table.hashes, HASHES[1:2])
        assert [place[-3:] for place, _ in table.failures] == ["[1]", "[2]"]
        with pytest.raises(pdna.TableFileError, match=r"row 1 \(counted from 0\) has no hash"):
            pdna.HashTable.load(tmp_path / "t.parquet")


def test_numpy_archives_of_others(tmp_path):
    path = tmp_path / "t.npz"
    for hashes in (HASHES, HASHES.astype(np.int64), np.array(list(map(base64_of, HASHES)))):
        np.savez(path, names=np.array(PATHS), hashes=hashes, size=np.arange(4), seed=np.array(3))
        if hashes.ndim == 1:
            with pytest.raises(pdna.TableFileError, match="holds hashes"):
                pdna.HashTable.load(path)
            continue
        table = pdna.HashTable.load(path, path_column="names")
        assert_holds(table)
        assert table.other == {"size": ["0", "1", "2", "3"]}
    np.savez_compressed(path, HASHES)
    assert_holds(pdna.HashTable.load(path), [f"t.npz[{n}]" for n in range(4)])
    np.savez(path, hashes=HASHES, path=np.array(PATHS, object))
    with pytest.raises(pdna.TableFileError, match="is damaged or another file"):
        pdna.HashTable.load(path)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_further_columns_in_files_of_ours(tmp_path, suffix):
    other = {"note": ["a", "\udcff", "", "猫"], "n": ["1", "2", "3", "4"]}
    table = pdna.HashTable(PATHS, HASHES, np.ones(4), other=other)
    table.save(tmp_path / f"t{suffix}")
    for errors in ("raise", "record"):
        found = pdna.HashTable.load(tmp_path / f"t{suffix}", errors=errors)
        assert_holds(found)
        assert found.other == other
    for wrong in ("\0", "\ud800"):
        table = pdna.HashTable(["/a"], HASHES[:1], np.ones(1), other={"note": [wrong]})
        with pytest.raises(pdna.TableFileError, match="cannot be written: a further column"):
            table.save(tmp_path / f"t{suffix}")


def test_the_metadata_of_an_index(tmp_path):
    names = tmp_path / "index.faiss", tmp_path / "meta.json"
    extra = [{"n": 1.5}, {}, {"detail": 7}, {"path": "x"}]
    with pdna.HashIndex.create(*names) as index:
        index.add([f"/{n}.jpg" for n in range(4)], HASHES, extra=extra)
        index.remove([2])
        index.save()
        expected = index.table()
    table = pdna.HashTable.load(names[1])
    assert_holds(table, expected.paths, expected.hashes)
    np.testing.assert_array_equal(table.detail, [np.nan, 7, np.nan])
    assert table.other == {"id": ["1", "3", "4"], "n": ["1.5", "", ""], "path_": ["", "", "x"]}
    text = names[1].read_text("utf-8")
    for old, new in (
        ('"path":"/2.jpg"', '"path":"/3.jpg"'),
        (f"[{HASHES[2][0]},", f"[{HASHES[2][0] ^ 1},"),
        ('"detail":7', '"detail":8'),
        ('"id":3,', '"id":3,"note":1,'),
        ('"checksum":"', '"other":"'),
    ):
        altered = text if old.startswith('"checksum') else text.replace(old, new, 1)
        if altered == text:  # of the second item alone
            start = text.index('"id":3')
            altered = text[:start] + text[start:].replace(old, new, 1)
        assert altered != text
        table = loaded(tmp_path / "m.json", altered, errors="record")
        assert table.paths == [expected.paths[0], expected.paths[2]]
        (failure,) = table.failures
        assert failure.path == f"{tmp_path / 'm.json'}[1]"
        assert failure.error == "is item 3, changed by another program or damaged"
        with pytest.raises(
            pdna.TableFileError, match=r"entry 1 \(counted from 0\) is item 3, changed"
        ):
            loaded(tmp_path / "m.json", altered)


def test_the_metadata_of_the_reference(tmp_path):
    """Without checksums, as ``oaphotodna.py`` writes it."""
    items = [
        {"id": n + 1, "path": path, "hash": row.tolist(), "extra": {}}
        for n, (path, row) in enumerate(zip(PATHS, HASHES, strict=True))
    ]
    head = {"dimension": 144, "metric": "squared_l2", "similarity_metric": "normalized_euclidean"}
    document = {**head, "next_id": 5, "items": items}
    assert_holds(loaded(tmp_path / "m.json", json.dumps(document, indent=2)))
    items[1]["hash"] = [1]
    items[2] = "x"
    table = loaded(tmp_path / "m.json", json.dumps(document), errors="record")
    assert [failure.error for failure in table.failures] == [
        "has 1 values, needs 144",
        "is no item of an index",
    ]
    document["dimension"] = 256
    with pytest.raises(pdna.TableFileError, match="metadata of an index of other hashes"):
        loaded(tmp_path / "m.json", json.dumps(document))


def altered(content, drawn):
    """Return a content with a few changes: tokens put in, bytes cut, changed or repeated."""
    tokens = b'",",;,\n,\r,\0,\xff,[,],{,},1e999,null,true,-1,\\ud800,\xef\xbb\xbf,<image>,&a;,NaN'
    for _ in range(drawn.randint(1, 5)):
        at, way = drawn.randrange(len(content) + 1), drawn.randrange(5)
        if way == 0:
            content = content[:at] + drawn.choice(tokens.split(b",")) + content[at:]
        elif way == 1:
            content = content[:at] + content[at + drawn.choice([1, 3, 100]) :]
        elif way == 2:
            content = content[:at] + bytes([drawn.randrange(256)]) + content[at + 1 :]
        elif way == 3:
            content = content[:at] + content[drawn.randrange(len(content) + 1) :]
        else:
            content = content.decode("latin-1").encode(
                drawn.choice(["utf-16", "utf-16-le", "utf-8"])
            )
    return content


def tables_of_all_kinds(folder):
    """Yield suffix and content of small tables."""
    rows = [(f"/{n}.jpg", row) for n, row in enumerate(HASHES)]
    yield ".csv", "path;hash;note\r\n" + "".join(f'"{p}";{base64_of(r)};x\r\n' for p, r in rows)
    yield ".csv", "".join(f"{p},{','.join(map(str, r))}\n" for p, r in rows)
    yield ".txt", "".join(f"{base64_of(r)}\n" for _, r in rows)
    yield ".json", json.dumps([{"path": p, "photodna": r.tolist(), "detail": 1.5} for p, r in rows])
    yield ".json", json.dumps({p: base64_of(r) for p, r in rows})
    items = [{"id": 1, "path": p, "hash": r.tolist(), "extra": {"a": 1}} for p, r in rows]
    yield ".json", json.dumps({"dimension": 144, "next_id": 5, "items": items})
    yield ".jsonl", "".join(json.dumps({"name": p, "hash": base64_of(r)}) + "\n" for p, r in rows)
    yield ".xml", ncmec([("image", p, base64_of(r)) for p, r in rows])
    table = pdna.HashTable([p for p, _ in rows], HASHES, np.ones(4), other={"note": list("abcd")})
    for suffix in (".npz", ".parquet"):
        table.save(folder / f"t{suffix}")
        yield suffix, (folder / f"t{suffix}").read_bytes()


@pytest.mark.scaled
def test_altered_tables_are_read_or_refused(tmp_path):
    """By an error of the package that names the file; what is read can be saved and read again."""
    outcomes = Counter()
    for suffix, content in tables_of_all_kinds(tmp_path):
        content = content if isinstance(content, bytes) else content.encode()
        drawn = random.Random(len(content))
        for _ in range(int(scaled(30, 2000))):
            path = tmp_path / f"altered{suffix}"
            options = {"errors": drawn.choice(["raise", "record"])}
            if drawn.random() < 0.3:
                options["path_column"] = drawn.choice([0, "", "path", 5])
            try:
                table = loaded(path, altered(content, drawn), **options)
            except pdna.TableFileError as error:
                outcomes[f"{path.name} is named", path.name in str(error)] += 1
                continue
            outcomes["read"] += 1
            table.save(tmp_path / "again.jsonl")
            again = pdna.HashTable.load(tmp_path / "again.jsonl")
            assert_holds(again, table.paths, table.hashes)
            assert again.other == (table.other if len(table) else {})
    assert outcomes["read"] > 20
    assert all(named for _, named in outcomes.keys() - {"read"})
    assert outcomes.total() > outcomes["read"] + 20
