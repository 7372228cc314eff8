"""What only Windows, macOS and Arm reach, as far as it can be simulated, and the public CI."""

import ast
import errno
import io
import math
import ntpath
import os
import re
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import PureWindowsPath
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import yaml
from conftest import JIT_OFF, ROOT
from PIL import Image
from repository import PYTHONS, commands, text_of

import photodna_nb as pdna
from photodna_nb import checks, files, folders, systems
from photodna_nb.cli import main
from photodna_nb.cli.output import print_error_line
from photodna_nb.corpus.datasets import Dataset, FileOriginal
from photodna_nb.errors import FileError, IndexFileError
from photodna_nb.evaluation import privacy, run_originals
from photodna_nb.index import faiss_file
from photodna_nb.index.sqlite_file import SqliteFile
from photodna_nb.journal import RecordLog
from photodna_nb.printable import printable
from photodna_nb.report import review
from photodna_nb.report.review_pictures import ReviewMember, ReviewPicture

# Our own modules find neither the modules nor the functions that Windows lacks, while packages that
# are imported before keep theirs. Opening a text without an encoding fails: it is not UTF-8 there.
WITHOUT = """
import os, signal, sys
import faiss, filelock, jinja2, matplotlib.pyplot, msgspec, numba, pandas, PIL.Image, scipy.stats
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
unchanged = dict(vars(os))
for name in dir(os):
    if name in LACKING or name.startswith(("sched_", "O_NO", "O_CLOEXEC", "O_DIRECTORY", "O_SYNC")):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "alarm", "setitimer"):
    delattr(signal, name)
import importlib, pathlib, pkgutil, warnings
folder, picture, metadata = sys.argv[1:]
index = [os.path.join(folder, name) for name in ("index.faiss", metadata)]
copied = os.path.join(folder, "pictures")
os.mkdir(copied)
pathlib.Path(copied, "caf\\xe9 \\u65e5.jpg").write_bytes(pathlib.Path(picture).read_bytes())
warnings.filterwarnings("error", category=EncodingWarning, module="photodna_nb")
from photodna_nb import systems
systems.IS_WINDOWS = True
import photodna_nb as pdna
for module in pkgutil.walk_packages(pdna.__path__, "photodna_nb."):
    if "__main__" not in module.name and ".integrations." not in module.name:
        importlib.import_module(module.name)
flags = {name: value for name, value in unchanged.items() if name.startswith("O_")}
vars(os).update(flags)  # filelock uses some of them when it locks
from photodna_nb.cli import main
assert main(["--hash", picture]) == 0
assert main(["--faiss-build", *index, picture]) == 0
assert main(["--faiss-sync", *index, copied]) == 0
assert main(["--faiss-query", *index, picture, "3"]) == 0
assert main(["--duplicates", copied, picture]) == 0
pdna.hash_files([picture], output=os.path.join(folder, "table.csv"))
"""
LACKING = (
    "geteuid getuid getegid getgid fchown chown lchown fork forkpty pread pwrite killpg mkfifo "
    "getpgid setsid statvfs fstatvfs posix_fallocate sendfile nice uname getloadavg sync"
)


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
@pytest.mark.parametrize("metadata", ["meta.json", "meta.db"])
def test_without_what_windows_lacks(tmp_path, metadata):
    picture = ROOT / "data" / "pictures" / "harbour.jpg"
    script = f"LACKING = {LACKING.split()}\n{WITHOUT}"
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", script, tmp_path, picture, metadata],
        capture_output=True,
        check=False,
        encoding="cp1252",
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr
    assert "Results: 2" in done.stdout
    assert "caf\xe9 \\u65e5.jpg" in done.stdout


def at_import(node):
    """Yield the nodes below one that are evaluated when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from (
                below for each in getattr(child, "decorator_list", ()) for below in ast.walk(each)
            )
        else:
            yield child
            yield from at_import(child)


@pytest.mark.long
def test_windows_can_import_all_tests():
    lacking = {*LACKING.split(), "SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1"}
    modules = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
    needed = {}
    for source in (ROOT / "tests").glob("*.py"):
        for node in at_import(ast.parse(source.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names) if modules & {each.name for each in names}:
                    needed[source.name] = "a module"
                case ast.Attribute(ast.Name("os" | "signal"), name) if name in lacking:
                    needed[source.name] = name
                case ast.Call(ast.Attribute(_, "read_text"), [], []):
                    needed[source.name] = "an encoding"
    # They ask for it, and are not imported there.
    assert needed.keys() == {"conftest.py", "test_cli_process.py"}, needed


@pytest.fixture
def windows(monkeypatch):
    """Take what depends on `systems.IS_WINDOWS` for Windows, which refuses names of any bytes."""
    monkeypatch.setattr(systems, "IS_WINDOWS", True)
    monkeypatch.setattr(systems, "_REPLACE_SECONDS", 0.1)
    monkeypatch.setattr(
        os, "fsdecode", lambda name: name if isinstance(name, str) else name.decode()
    )


@pytest.fixture
def windows_paths(windows):
    """Have `os.path` be that of Windows for the length of a with statement."""

    @contextmanager
    def changed():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "path", ntpath)
            patch.setattr(os, "sep", "\\")
            yield

    return changed


def refuses(number_of_times):
    """Return a function that raises what Windows raises for open files, so many times."""
    left = iter(range(number_of_times))

    def call(*_, **__):
        if next(left, None) is not None:
            raise PermissionError(13, "Access is denied")

    return call


def test_macos_flushes_the_drive(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    calls, synced = [], []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: calls.append(command))
    monkeypatch.setattr(os, "fsync", synced.append)
    files.write([(str(tmp_path / "file"), [b"new"])], FileError)
    assert (set(calls), len(calls) >= 2, synced) == ({51}, True, [])

    def refused(_, command):
        raise OSError("a network drive without it")

    monkeypatch.setattr(fcntl, "fcntl", refused)
    files.write([(str(tmp_path / "file"), [b"newer"])], FileError)
    assert len(synced) >= 2
    database = SqliteFile(str(tmp_path / "file.db"))
    database.open_memory()
    assert database.execute("PRAGMA fullfsync") == [(1,)]
    database.close()


def test_windows_maps_no_file_that_is_to_be_replaced(tmp_path, monkeypatch):
    path = tmp_path / "index.faiss"
    ids, rows = np.arange(1, 4), np.zeros((3, 144), np.uint8)
    segment = faiss_file.RowSegment.of(rows, ids)
    path.write_bytes(b"".join(map(bytes, faiss_file.content("uint8", [segment]))))
    monkeypatch.setattr(faiss_file, "_READ_AT_ONCE", 0)

    def mapped(*_, **__):
        raise IndexFileError(str(path), "is mapped")

    monkeypatch.setattr(faiss_file.mmap, "mmap", mapped)
    with pytest.raises(IndexFileError, match="mapped"):
        faiss_file.load(str(path))
    monkeypatch.setattr(systems, "IS_WINDOWS", True)
    assert faiss_file.load(str(path)).segment.ids.tolist() == [1, 2, 3]


def test_windows_waits_for_readers_of_a_file_and_then_names_them(tmp_path, windows, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace, busy = os.replace, refuses(2)
    monkeypatch.setattr(os, "replace", lambda *paths: busy() or replace(*paths))
    files.write([(str(path), [b"new"])], FileError)
    assert path.read_bytes() == b"new"
    monkeypatch.setattr(os, "replace", refuses(100))
    with pytest.raises(FileError, match="as it was before; close the programs that have it open"):
        files.write([(str(path), [b"newer"])], FileError)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr(os, "open", refuses(100))
    with pytest.raises(FileError, match="close the programs"):
        files.read(str(path), FileError)


def test_windows_keeps_a_journal_that_is_open_elsewhere(tmp_path, windows, monkeypatch):
    class Entry(msgspec.Struct):
        number: int

    log = RecordLog(str(tmp_path / "log"), "numbers", 1, Entry, FileError)
    log.append(Entry(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuses(100))
        assert not log.delete()
        patch.setattr(systems, "IS_WINDOWS", False)
        with pytest.raises(FileError, match="permissions"):
            log.delete()
    assert log.delete()


def test_windows_finds_no_long_path(tmp_path, windows):
    path = os.path.join(tmp_path, *["folder" * 10] * 5, "picture.jpg")
    for read in (pdna.hash_file, lambda name: files.read(name, FileError)):
        with pytest.raises(FileError, match=r"no such file; its path has .* long paths"):
            read(path)
        with pytest.raises(FileError, match="no such file; check the path"):
            read(str(tmp_path / "picture.jpg"))


def test_windows_has_names_that_are_no_utf8_escaped(tmp_path, windows):
    assert folders.listed_paths("list", b"caf\xe9.jpg\r\n") == ["caf\udce9.jpg"]
    assert printable(b"caf\xe9.jpg") == "caf\\xe9.jpg"
    assert checks.path("path", b"caf\xe9.jpg") == "caf\udce9.jpg"
    names = str(tmp_path / "index.faiss"), str(tmp_path / "meta.db")
    with pdna.HashIndex.create(*names) as index:
        index.add(["caf\udce9.jpg"], hashes=np.zeros((1, 144), np.uint8))
        index.save()
    with pdna.HashIndex.open(*names) as index:
        assert index.table().paths == ["caf\udce9.jpg"]


def test_other_spellings_of_a_name_on_windows(windows, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", lambda path: path.lower())
    assert folders.real_paths(["/a/B.jpg", "/A/b.jpg"]) == ["/a/b.jpg"] * 2


def test_other_spellings_on_macos(tmp_path, monkeypatch):
    """A link stands for the other spelling of a folder, which realpath does not know there.

    That of a file is a file of its own.
    """
    for name in ("Pictures", "sub"):
        (tmp_path / name).mkdir()
    for name in ("a.png", "b.png", "A.PNG"):
        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        Image.fromarray(pixels).save(tmp_path / "Pictures" / name)
    (tmp_path / "pictures").symlink_to("Pictures")
    (tmp_path / "sub" / "link.png").symlink_to(tmp_path / "pictures" / "a.png")
    realpath, opened = os.path.realpath, []

    def realpath_of_macos(path):
        return os.path.abspath(os.readlink(path) if os.path.basename(path) == "link.png" else path)

    def get_path(descriptor, command, buffer):
        assert command == 50
        opened.append(realpath(f"/proc/self/fd/{descriptor}"))
        return os.fsencode(opened[-1].replace("A.PNG", "a.png")).ljust(len(buffer), b"\0")

    monkeypatch.setattr(systems, "fcntl", SimpleNamespace(F_GETPATH=50, fcntl=get_path))
    monkeypatch.setattr(os.path, "realpath", realpath_of_macos)
    picture = str(tmp_path / "Pictures" / "a.png")
    other = str(tmp_path / "pictures" / "a.png")
    capitals = str(tmp_path / "Pictures" / "A.PNG")
    names = [picture, other, str(tmp_path / "sub" / "link.png"), capitals]
    assert folders.real_paths(names) == [picture] * 4
    (tmp_path / "Pictures" / "A.PNG").unlink()
    (tmp_path / "sub" / "A.PNG").hardlink_to(tmp_path / "Pictures" / "b.png")
    hard, pipe = str(tmp_path / "sub" / "A.PNG"), str(tmp_path / "sub" / "pipe")
    os.mkfifo(pipe)
    assert folders.real_paths([hard, pipe, "\0"])[:2] == [hard, pipe]
    (tmp_path / "sub" / "A.PNG").unlink()
    opened.clear()
    with pdna.HashIndex.in_memory() as index:
        index.sync([tmp_path / "Pictures"])
        (tmp_path / "Pictures" / "b.png").unlink()
        index.sync([tmp_path / "pictures"])
        assert index.table().paths == [picture]
        assert str(tmp_path / "Pictures") in opened
        assert picture not in opened
        assert [item.path for item in index.remove([other])] == [picture]


def test_separators_of_windows(windows_paths):
    with windows_paths():
        assert folders.below("C:\\top", "a/b.jpg") == "C:\\top\\a\\b.jpg"
        names = "a/b.jpg", "a/run.toml"
        dataset = Dataset({}, tuple(FileOriginal(name, f"C:\\top\\{name}") for name in names))
        kept = run_originals._without_runs(dataset, "C:\\top", "D:\\run", ["C:\\top\\a\\run.toml"])
        assert [original.name for original in kept] == ["a/b.jpg"]
        columns = review._Columns("C:\\pages\\review.html")
        for path in ("C:\\caf\xe9\\a.jpg", "D:\\b.jpg"):
            columns.begin(SimpleNamespace(number=1, widest=0.0))
            member = ReviewMember(path, (1, 0), (9, 9), math.nan, "identity")
            columns.add(member, ReviewPicture((9, 9), (1, 0), "JPEG", (), 0, b""))
    assert columns.values["name"] == ["a.jpg", "b.jpg"]
    assert [each[::2] for each in columns.values["folders"]] == [
        ["C:\\caf\xe9\\", "../caf%C3%A9/"],
        ["D:\\", ""],
    ]


@pytest.mark.parametrize(("folder", "refused"), [("D:\\keys", False), ("c:\\RUN\\keys", True)])
def test_a_key_on_another_drive_than_the_run(windows_paths, monkeypatch, folder, refused):
    config = SimpleNamespace(
        privacy=SimpleNamespace(names="digest", key_file="run.key"), originals=None, base=folder
    )
    monkeypatch.setattr(privacy, "Path", PureWindowsPath)
    monkeypatch.setattr(files, "read", lambda *_: bytes(32))
    expected = pytest.raises(FileError, match="the folder of the run") if refused else nullcontext()
    with windows_paths(), expected:
        assert privacy.name_key(config, "C:\\run").key == bytes(32)


def test_windows_has_another_error_for_a_reader_that_has_gone(tmp_path, capsys, monkeypatch):
    def gone(text):
        if text:
            raise OSError(errno.EINVAL, "Invalid argument")

    with open(tmp_path / "output", "wb") as file:
        stream = SimpleNamespace(write=gone, flush=int, fileno=file.fileno)
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["--version"]) == 1
        assert "cannot be written (Invalid argument)" in capsys.readouterr().err
        monkeypatch.setattr(systems, "IS_WINDOWS", True)
        assert main(["--version"]) == 1
        assert capsys.readouterr().err == ""


def test_no_escape_where_there_is_no_progress_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    for modules in ({}, {"tqdm": sys}):
        monkeypatch.delitem(sys.modules, "tqdm", raising=False)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        print_error_line("error")
    assert terminal.getvalue() == "error\n\r\x1b[Kerror\n"


def test_the_public_ci_runs_what_is_written_down():
    text = text_of(".github/workflows/ci.yml")
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    steps = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    daily = commands(text_of("CONTRIBUTING.md").split("CI also runs")[0])
    # A runner is thrown away, and has an environment of its own.
    assert daily[0] == "python3 -m venv .venv && . .venv/bin/activate"
    assert steps["linters"] == daily[1:-1]
    (test,) = re.findall(
        r"^python3 -m venv \.venv && (.*-m pytest)$", text_of("README.md"), re.MULTILINE
    )
    spelled = [each.replace(".venv/bin/", "").replace('"', "") for each in test.split(" && ")]
    assert [each.replace('"', "") for each in steps["tests"]] == spelled
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert {each.partition("-")[0] for each in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert any(each.endswith("-arm") for each in matrix["os"])
    assert set(PYTHONS) <= set(matrix["python"])
    # A tag may be moved to other code, and what is not written down needs no rights.
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each) for each in used)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in text
