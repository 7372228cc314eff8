"""Tables that strangers may send: each must be refused soon, within little memory.

    python tests/hostile_tables.py FOLDER

loads each file of a folder, and prints its name, the class of the error, the message, the
seconds of the processor and the megabytes that it took, as lines of JSON.
"""

import contextlib
import io
import json
import os
import re
import socket
import sys
import time
import warnings
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HASH = bytes(range(144))
LINE = "/a.jpg," + b64encode(HASH).decode() + "\n"
MEMORY = 500  # megabytes


def entry(**changes) -> dict:
    return {"filename": "a", "path": "/a", "photodna": list(HASH)} | changes


def npy(array_bytes: bytes, shape="(1, 144)", descr="'|u1'", version=1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + array_bytes


def archive(path: Path, compression=zipfile.ZIP_STORED, twice=(), **members: bytes) -> None:
    """Write a table of one row, with some members of another content."""
    sound = {
        "paths": npy(b"/a\0", "(3,)"),
        "hashes": npy(HASH),
        "detail": npy(np.ones(1).tobytes(), "(1,)", "'<f8'"),
        "failures": npy(b"[]\0", "(3,)"),
    }
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in [*(sound | members).items(), *((name, sound[name]) for name in twice)]:
            file.writestr(f"{name}.npy", content)


def claim_small_member(path: Path) -> None:
    """Let the directory say that the member of the hashes unpacks to its first kilobyte."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        size = file.getinfo("hashes.npy").file_size.to_bytes(4, "little")
    for found in list(re.finditer(re.escape(size), bytes(content))):
        content[found.start() : found.end()] = (1000).to_bytes(4, "little")
    path.write_bytes(content)


def parquet(file: Path, rows=1, compression="zstd", **columns) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    sound = {"path": ["/a"] * rows, "hash": pa.array([HASH] * rows, pa.binary(144))}
    parquet.write_table(pa.table(sound | columns), file, compression=compression)


def write_all(folder: Path) -> None:
    """Write the tables; each name says what is wrong."""
    import pyarrow as pa

    zeros = npy(bytes(144 * 800_000), "(800000, 144)")

    def text(name: str, content: str | bytes) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    text("nul.csv", LINE.replace("/a", "/a\0b"))
    text("open_quote.csv", LINE + '"' + "a" * 5_000_000)
    text("columns.csv", LINE + "," * 2_000_000)
    text("two_paths.csv", "path,path,base64\n/a," + LINE)
    text("zeros.csv", bytes(5_000_000))
    text("lines.csv", "\n" * 3_000_000 + "x")
    text("deep.json", "[" * 2_000_000)
    text("deep_objects.json", '[{"path": ' * 300_000)
    text("nan.json", json.dumps([entry(detail=np.nan)]))
    text("infinite.json", json.dumps([entry(detail=np.inf)]))
    text("overflow.json", json.dumps([entry(detail=0)]).replace(": 0}", ": 1e999}"))
    text("digits.json", f'[{{"path": "/a", "photodna": [{"9" * 1_000_000}]}}]')
    text("negative.json", json.dumps([entry(photodna=[-1] * 144)]))
    text("booleans.json", json.dumps([entry(photodna=[True] * 144)]))
    text("floats.json", json.dumps([entry(photodna=[1.0] * 144)]))
    text("text_detail.json", json.dumps([entry(detail="12")]))
    text("surrogate.json", json.dumps([entry(path="/\ud800")]))
    text("joined.json", json.dumps([entry(path="/\udcc3\udca9")]))
    text("nul.json", json.dumps([entry(path="/a\0")]))
    text("two_paths.json", json.dumps([entry()]).replace('"filename"', '"path"'))
    text("lists.json", f"[{'[],' * 1_500_000}[]]")
    text("quotes.csv", LINE + 'a","b\n' * 800_000)  # each line opens a quote again
    text("cells.csv", "path,base64," + ",".join(f"c{i}" for i in range(9000)) + "\n" + LINE * 9999)
    text("utf_16.csv", (LINE * 9999).encode("utf-16")[:-1])
    text("no_hash.txt", "x\n" * 2_500_000)
    text("numbers.txt", "1," * 2_500_000)
    text("long.txt", "A" * 5_000_000)
    text("brackets.txt", "[" * 5_000_000 + "\n" + "{" * 5_000_000)
    text("deep.jsonl", "[" * 5_000_000)
    text("keys.jsonl", "\n".join(keyed_lines(40_000)))
    text("keys.json", json.dumps([{f"k{n}": 1 for n in range(300_000)}]))
    text("two_paths.jsonl", json.dumps(entry()).replace('"filename"', '"path"'))
    text("dictionaries.json", "{" + '"a": {' * 300_000)
    doctype = '<!DOCTYPE a [<!ENTITY b "{}">]><queryResult><images><image><id>&b;</id>'
    text("entities.xml", doctype.format("b" * 1000))
    repeated = "&l{};"
    laughs = "".join(f"<!ENTITY l{n + 1} '{10 * repeated.format(n)}'>" for n in range(9))
    text("laughs.xml", f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><image><id>&l9;</id></image>')
    text("external.xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><image>&b;</image>')
    text("schema.xml", '<!DOCTYPE a SYSTEM "file:///dev/zero"><image><id>1</id></image>')
    text("deep.xml", "<a>" * 1_500_000)
    attributes = " ".join(f"a{n}='1'" for n in range(400_000))
    text("attributes.xml", f"<image><id {attributes}/></image>")
    text("text.xml", f"<image><id>{'a' * 5_000_000}</id></image>")
    text("elements.xml", f"<image>{'<id>1</id>' * 500_000}</image>")
    text("names.xml", f"<{'a' * 5_000_000}/>")
    text("cut.xml", "<queryResult><images><image><id>")
    text("zeros.xml", bytes(5_000_000))
    text("no_list.xml", "<html><body>Sign in</body></html>")
    archive(folder / "unpacks.npz", zipfile.ZIP_DEFLATED, hashes=zeros)
    archive(folder / "claims_less.npz", zipfile.ZIP_DEFLATED, hashes=zeros)
    claim_small_member(folder / "claims_less.npz")
    archive(folder / "lzma.npz", zipfile.ZIP_LZMA)
    for number, shape in enumerate(("(-1, 144)", "(2**50, 144)", f"({2**50}, 144)", "(1, 143)")):
        archive(folder / f"shape{number}.npz", hashes=npy(HASH, shape))
    archive(folder / "negative_rows.npz", hashes=npy(HASH, "(-1, -144)"))
    archive(folder / "header.npz", hashes=npy(HASH, "(" + "1, " * 10**6 + ")", version=2))
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    archive(folder / "pickle.npz", hashes=objects.getvalue())
    archive(folder / "floats.npz", hashes=npy(np.ones(144).tobytes(), descr="'<f8'"))
    archive(folder / "float_paths.npz", paths=npy(np.ones(1).tobytes(), "(1,)", "'<f8'"))
    archive(folder / "rows.npz", hashes=npy(HASH * 2, "(2, 144)"))
    archive(folder / "infinite.npz", detail=npy(np.array([np.inf]).tobytes(), "(1,)", "'<f8'"))
    archive(folder / "twice.npz", twice=["hashes"])
    archive(folder / "failures.npz", failures=npy(b'[["a"]]\0', "(8,)"))
    parquet(folder / "rows.parquet", 3_000_000)
    parquet(folder / "long_path.parquet", path=["a" * 150_000_000])
    parquet(folder / "dictionary.parquet", 3000, path=["a" * 100_000] * 3000)
    parquet(folder / "infinite.parquet", detail=[np.inf])
    parquet(folder / "text_detail.parquet", detail=["12"])
    lists = pa.array([[0] * 144], pa.list_(pa.uint8())).take(pa.array(np.zeros(800_000, int)))
    parquet(folder / "lists.parquet", 800_000, hash=lists)
    parquet(folder / "one_list.parquet", hash=pa.array([[0] * 9_000_000], pa.list_(pa.uint8())))
    parquet(folder / "numbers.parquet", 600_000, **{f"n{n}": np.zeros(600_000) for n in range(20)})
    parquet(folder / "nested.parquet", path=[{"a": "/a"}])
    (folder / "two_paths.parquet").write_bytes(two_columns())
    text("footer.parquet", b"PAR1" + bytes(100) + b"\xf0\xff\xff\x7fPAR1")
    text("zeros.parquet", bytes(5_000_000))
    (folder / "folder.csv").mkdir()
    (folder / "zero.npz").symlink_to("/dev/zero")
    (folder / "null.csv").symlink_to("/dev/null")
    os.mkfifo(folder / "pipe.json")
    with socket.socket(socket.AF_UNIX) as opened, contextlib.chdir(folder):
        opened.bind("socket.csv")  # its name may not be long


def keyed_lines(number: int) -> Iterator[str]:
    """Yield entries each of which has a key that no other one has."""
    for n in range(number):
        yield json.dumps({"path": "/a", "photodna": b64encode(HASH).decode(), f"key{n}": ""})


def two_columns() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    content = io.BytesIO()
    columns = [pa.array(["/a"]), pa.array(["/b"]), pa.array([HASH], pa.binary(144))]
    parquet.write_table(pa.table(columns, ["path", "path", "hash"]), content)
    return content.getvalue()


def megabytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1)) // 1024


def main() -> None:
    import pyarrow.compute  # imported before memory is measured
    import pyarrow.parquet  # noqa: F401

    import photodna_nb as pdna

    pdna.HashTable([], np.zeros((0, 144), np.uint8), np.zeros(0))
    most = (megabytes("VmSize") + 2 * MEMORY) << 20
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for path in sorted(Path(sys.argv[1]).iterdir()):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        memory, start = megabytes("VmRSS"), time.process_time()
        try:
            error: Exception | str = repr(pdna.HashTable.load(path))
        except Exception as caught:
            error = caught
        seconds = time.process_time() - start
        taken = megabytes("VmHWM") - memory
        print(json.dumps([path.name, type(error).__name__, str(error), seconds, taken]), flush=True)


if __name__ == "__main__":
    main()
