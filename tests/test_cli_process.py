"""The command line as a process: streams, terminals, start-up and the cache of kernels."""

import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
from conftest import JIT_OFF, needs
from PIL import Image

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")

PROGRAM = [sys.executable, "-m", "photodna_nb"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


def error_text(result) -> str:
    assert result.returncode == 1
    return result.stderr.decode().removeprefix("photodna-nb: error: ").strip()


def test_progress_on_a_terminal(folder):
    """A progress bar on standard error if that is a terminal, and never in the output."""
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    command = [*PROGRAM, "--hash-dir", str(folder)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, timeout=300)
    os.close(follower)
    terminal = b""
    with contextlib.suppress(OSError):  # on Linux, the end of the input is an error
        while content := os.read(leader, 4096):
            terminal += content
    os.close(leader)
    assert len(json.loads(result.stdout)) == 3
    assert b"4/4" in terminal
    assert b"bad.jpg: is not an image" in terminal


def modules_after(code, *arguments) -> set[str]:
    program = f"import sys\n{code}\nprint(*sorted(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return {name.split(".")[0] for name in result.stderr.split()}


def test_each_mode_imports_only_what_it_needs(folder, tmp_path):
    """A stand-in for SciPy, where Numba looks for BLAS, is neither imported nor made unusable."""
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text('__version__ = "1.99"\n')
    main = "from photodna_nb.cli import main; main(sys.argv[1:])"
    slow = {"numpy", "numba", "PIL", "faiss", "matplotlib", "scipy"}
    assert modules_after(main, "--help") & slow == set()
    assert modules_after(main, "--compare", "a") & slow == set()
    assert modules_after("import photodna_nb as p; dir(p), p.__version__") & slow == set()
    program = f"""
sys.path.insert(0, {str(tmp_path)!r})
{main}
import photodna_nb
assert "scipy" not in sys.modules
print(*sorted(sys.modules), file=sys.stderr)
import scipy
assert scipy.__version__ == "1.99"
del sys.modules["scipy"]
"""
    image = folder / "0.png"
    for arguments in (
        ("--hash", image),
        ("--compare", image, image, "--orientations"),
        ("--duplicates", folder, "--orientations"),
    ):
        assert modules_after(program, *arguments) & slow == {"numpy", "numba", "PIL"}


@pytest.fixture(scope="module")
def compiled(run, folder, tmp_path_factory):
    """The output of a first call, and the folder of the cache that it filled."""
    cache = tmp_path_factory.mktemp("cache")
    result = run("--hash", folder / "0.png", env=os.environ | {"NUMBA_CACHE_DIR": str(cache)})
    assert result.returncode == 0
    assert result.stderr.startswith(b"photodna-nb: compiling the kernels")
    assert result.stderr.count(b"\n") == 1
    return result.stdout, cache


@pytest.mark.long
def test_later_calls_use_the_cache(run, folder, compiled):
    stdout, cache = compiled
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    result = run("--hash", folder / "0.png", env=environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, stdout, b"")


@pytest.mark.long
def test_a_damaged_cache_is_replaced(run, folder, tmp_path, compiled):
    stdout, cache = compiled
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    shutil.copytree(cache, tmp_path / "cache")
    paths = sorted((tmp_path / "cache").rglob("*.nbc"))
    assert len(paths) >= 4, "one for each kind of damage"
    for number, path in enumerate(paths):
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 3] ^= 0x5A  # LLVM ends the process
        path.write_bytes((b"", b"junk", content[: len(content) // 2], flipped)[number % 4])
    for notice in (b"compiling", b""):
        result = run("--hash", folder / "0.png", env=environment)
        assert (result.returncode, result.stdout) == (0, stdout), result.stderr
        assert notice in result.stderr
        assert result.stderr.count(b"\n") == (notice != b"")


def test_without_a_folder_for_the_cache():
    """An installed package that another user owns, and no home: each call compiles."""
    program = """
import sys
import numpy as np
from photodna_nb.kernels import jit
jit.cache_folder = lambda: None
from photodna_nb.cli import startup
from photodna_nb.kernels import hashing
startup._announce_compilation()
norm = hashing.norm(np.ones(144), 0.0)
sys.exit(3 if jit.cached or norm != 12 else 0)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert b"set NUMBA_CACHE_DIR to a folder that can be written" in result.stderr


def test_a_reader_that_closes_the_pipe():
    pipe = subprocess.PIPE
    with subprocess.Popen([*PROGRAM, "--help"], stdout=pipe, stderr=pipe) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@needs("/dev/full")
def test_standard_error_that_cannot_be_written(folder):
    with open("/dev/full", "wb") as full:
        command = [*PROGRAM, "--hash-dir", str(folder)]
        buffered = os.environ | {"PYTHONUNBUFFERED": ""}  # Python flushes once more at the end
        result = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, timeout=300, env=buffered
        )
    assert result.returncode == 1
    assert len(json.loads(result.stdout)) == 3


@needs("/dev/full")
def test_standard_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        command = [*PROGRAM, "--evaluate-example"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=300)
    assert error_text(result) == "standard output cannot be written (No space left on device)"


@pytest.mark.parametrize(
    ("arguments", "closed", "error"),
    [
        ("--version", ">&-", "standard output cannot be written (it is closed)"),
        ("--hash 0.png", "2>&-", None),
        ("--version", "<&-", None),
        ("--files-from -", "<&-", "-: standard input is closed; give a file or a pipe"),
    ],
)
def test_closed_streams(folder, arguments, closed, error):
    command = f"'{sys.executable}' -m photodna_nb {arguments} {closed}"
    result = subprocess.run(command, shell=True, cwd=folder, capture_output=True, timeout=300)
    if error is None:
        assert (result.returncode, result.stderr) == (0, b"")
    else:
        assert error_text(result) == error
