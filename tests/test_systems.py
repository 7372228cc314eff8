"""What only Windows, macOS and Arm reach, as far as it can be simulated, and the public CI."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import JIT_OFF, ROOT

from photodna_nb import files, folders
from photodna_nb.errors import FileError, IndexFileError
from photodna_nb.index import faiss_file

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"

# Our own modules find neither the modules nor the functions that Windows lacks, while packages that
# are imported before keep theirs.
WITHOUT = """
import importlib, os, pkgutil, shutil, signal, sys, tempfile
import faiss, filelock, jinja2, matplotlib.pyplot, msgspec, numba, pandas, PIL.Image, scipy.stats
folder, pictures = sys.argv[1:]
index = [os.path.join(folder, name) for name in ("index.faiss", FORMAT)]
picture = os.path.join(pictures, "harbour.jpg")
copied = os.path.join(folder, "pictures")
os.mkdir(copied)
shutil.copy(picture, copied)
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
flags = {name: getattr(os, name) for name in dir(os) if name.startswith("O_")}
for name in dir(os):
    if name in LACKING or name.startswith(("sched_", "O_NO", "O_CLOEXEC", "O_DIRECTORY", "O_SYNC")):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "alarm", "setitimer"):
    delattr(signal, name)
import photodna_nb as pdna
for module in pkgutil.walk_packages(pdna.__path__, "photodna_nb."):
    if "__main__" not in module.name and ".integrations." not in module.name:
        importlib.import_module(module.name)
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
)
LACKING += "getpgid setsid statvfs fstatvfs posix_fallocate sendfile nice uname getloadavg sync"


@pytest.mark.long
@pytest.mark.skipif(JIT_OFF, reason="too slow without JIT")
@pytest.mark.parametrize("metadata", ["meta.json", "meta.db"])
def test_without_what_windows_lacks(tmp_path, metadata):
    script = f"LACKING, FORMAT = {LACKING.split()}, {metadata!r}\n{WITHOUT}"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, ROOT / "data" / "pictures"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Results: 2" in done.stdout


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
    monkeypatch.setattr(os, "name", "nt")
    loaded = faiss_file.load(str(path))
    assert loaded.segment.ids.tolist() == [1, 2, 3]


def test_other_spellings_of_a_name_on_windows(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os.path, "realpath", lambda path: path.lower())
    assert folders.real_paths(["/a/B.jpg", "/A/b.jpg"]) == ["/a/b.jpg"] * 2


def commands(text):
    """Return the commands of a text in Markdown, without the one that makes the environment."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_public_ci_runs_what_is_written_down():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    steps = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    daily = commands(
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("CI also runs")[0]
    )
    # A runner is thrown away, and has an environment of its own.
    assert daily[0] == "python3 -m venv .venv && . .venv/bin/activate"
    assert steps["linters"] == daily[1:-1]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (test,) = re.findall(r"^python3 -m venv \.venv && (.*-m pytest)$", readme, re.MULTILINE)
    spelled = [each.replace(".venv/bin/", "").replace('"', "") for each in test.split(" && ")]
    assert [each.replace('"', "") for each in steps["tests"]] == spelled
    matrix = jobs["tests"]["strategy"]["matrix"]["include"]
    systems = {each["os"].partition("-")[0] for each in matrix}
    assert systems == {"ubuntu", "macos", "windows"}
    assert any(each["os"].endswith("-arm") for each in matrix)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"Python :: (3\.\d+)", pyproject))
    assert named <= {each["python"] for each in matrix}
