"""The cache of compiled kernels: damage, other users, several processes, edits of a kernel."""

import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import pytest
from conftest import JIT_OFF, ROOT, needs
from numba.core.registry import cpu_target
from PIL import Image

from photodna_nb.kernels import jit

pytestmark = pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
TYPES = (numba.int64,)


def add_seven(number):
    return number + 7


def dispatcher(folder, function=add_seven):
    """A kernel with a cache in that folder, as `jit.kernel` makes it."""
    compiled = numba.njit(**jit.OPTIONS)(function)
    compiled._cache = jit._Cache(function, str(folder))
    return compiled


@pytest.fixture
def cached(tmp_path):
    """The file of a compiled kernel."""
    assert dispatcher(tmp_path)(3) == 10
    (path,) = tmp_path.iterdir()
    return path


@pytest.fixture
def load(cached, monkeypatch):
    """Load the kernel from its file; the result is whether Numba was given the content."""
    given = []
    monkeypatch.setattr(jit.CompileResult, "_rebuild", lambda *parts: given.append(parts))

    def load(function=add_seven):
        given.clear()
        cache = jit._Cache(function, str(cached.parent))
        assert cache.load_overload(TYPES, cpu_target.target_context) is None
        return bool(given)

    return load


def test_numba_takes_a_kernel_from_the_cache(cached):
    """Fails first when Numba asks a cache for something else, or gives it something else."""
    again = dispatcher(cached.parent)
    assert again(3) == 10
    assert (sum(again.stats.cache_hits.values()), sum(again.stats.cache_misses.values())) == (1, 0)
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]


def test_no_damaged_file_is_loaded(cached, load):
    content = cached.read_bytes()
    assert load()
    for place in [*range(100), *range(100, len(content), 101), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        cached.write_bytes(damaged)
        assert not load(), place
    for damaged in (*(content[:size] for size in (0, 1, 31, 32, 33, 5000, -1)), content + b"\0"):
        cached.write_bytes(damaged)
        assert not load(), len(damaged)
    cached.unlink()
    cached.mkdir()
    assert not load()


def test_a_damaged_file_is_replaced(cached):
    content = cached.read_bytes()
    cached.write_bytes(content[:-1])
    assert dispatcher(cached.parent)(3) == 10
    again = dispatcher(cached.parent)
    assert again(3) == 10
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_file_of_another_kernel_is_not_loaded(cached, load):
    def add_eight(number):
        return number + 8

    other = jit._Cache(add_eight, str(cached.parent))
    _, path = other._key_and_path(TYPES, cpu_target.target_context.codegen())
    shutil.copy(cached, path)
    assert load()
    assert not load(add_eight)


def test_a_kernel_for_another_processor_has_another_name(tmp_path):
    class Codegen:
        def __init__(self, *processor):
            self.processor = processor

        def magic_tuple(self):
            return self.processor

    cache = jit._Cache(add_seven, str(tmp_path))
    processors = [("x86_64", "znver3", "+avx2"), ("x86_64", "znver3", ""), ("x86_64", "znver4", "")]
    names = {cache._key_and_path(TYPES, Codegen(*one)) for one in processors}
    names.add(cache._key_and_path((numba.int32,), Codegen(*processors[0])))
    assert len(names) == 4


def test_an_interrupted_write_leaves_the_old_file(cached, monkeypatch):
    content = cached.read_bytes()
    cached.write_bytes(b"")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(jit.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dispatcher(cached.parent)(3)
    assert {path.name: path.read_bytes() for path in cached.parent.iterdir()} == {cached.name: b""}
    monkeypatch.undo()
    assert dispatcher(cached.parent)(3) == 10
    # Numbers in the names of symbols may have more digits.
    assert len(cached.read_bytes()) > len(content) // 2


def test_a_folder_that_vanishes_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "cached", True)
    compiled = dispatcher(tmp_path / "missing")
    assert compiled(3) == 10
    assert not jit.cached


@needs("permissions")
@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_file_that_others_can_write_is_not_loaded(cached, load, mode):
    assert load()
    cached.chmod(mode)
    assert not load()


@needs("root")
def test_a_file_of_another_user_is_not_loaded(cached, load):
    os.chown(cached, 12345, -1)
    assert not load()


@pytest.fixture
def folder_for(monkeypatch):
    """The folder that is found for NUMBA_CACHE_DIR, and the warnings."""

    def folder_for(parent):
        monkeypatch.setattr(jit.config, "CACHE_DIR", str(parent))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return jit.cache_folder.__wrapped__(), [str(one.message) for one in caught]

    return folder_for


@needs("permissions")
def test_a_new_folder_is_used(tmp_path, folder_for):
    before = os.umask(0o002) if os.name != "nt" else None
    try:
        folder, messages = folder_for(tmp_path / "new" / "cache")
    finally:
        if before is not None:
            os.umask(before)
    assert (folder, messages) == (str(tmp_path / "new" / "cache" / "photodna_nb"), [])


@needs("permissions")
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
@pytest.mark.parametrize("name", ["", "photodna_nb"])
def test_a_folder_that_others_can_write_is_not_used(tmp_path, folder_for, mode, name):
    shared = tmp_path / name
    shared.mkdir(exist_ok=True)
    shared.chmod(mode)
    folder, (message,) = folder_for(tmp_path)
    assert folder is None or Path(folder).parent.name in ("__pycache__", "numba")
    assert message.startswith(f"{shared}: this folder for compiled kernels can be written by other")
    assert "chmod go-w" in message
    shared.chmod(0o755)
    assert folder_for(tmp_path) == (str(tmp_path / "photodna_nb"), [])


@needs("root")
def test_a_folder_of_another_user_is_not_used(tmp_path, folder_for):
    os.chown(tmp_path, 12345, -1)
    folder, (message,) = folder_for(tmp_path)
    assert folder != str(tmp_path / "photodna_nb")
    assert "belongs to another user" in message


@needs("permissions")
@pytest.mark.parametrize(
    ("package", "cache", "used"),
    [(0o755, 0o755, True), (0o775, 0o775, True), (0o755, 0o775, False), (0o775, 0o777, False)],
)
def test_the_folder_beside_the_package(tmp_path, folder_for, monkeypatch, package, cache, used):
    """Whoever can write the sources need not write a cache."""
    monkeypatch.setattr(jit, "_HERE", tmp_path)
    beside = tmp_path / "__pycache__"
    beside.mkdir()
    beside.chmod(cache)
    tmp_path.chmod(package)
    folder, messages = folder_for("")
    assert (folder == str(beside / "photodna_nb")) == used
    assert len(messages) == (not used)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o775)
    assert len(folder_for(elsewhere)[1]) == 1 + (not used), "there, the package says nothing"


def test_a_missing_package_folder_is_no_error(tmp_path, folder_for, monkeypatch):
    """As in an archive: nothing shows whether the sources have changed."""
    monkeypatch.setattr(jit, "_HERE", tmp_path / "archive.zip" / "kernels")
    assert folder_for(tmp_path) == (None, [])


@pytest.mark.long
@needs("permissions")
def test_the_command_line_says_why(tmp_path, run):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    Image.effect_noise((50, 50), 50).save(tmp_path / "a.png")
    result = run("--hash", tmp_path / "a.png", env=os.environ | {"NUMBA_CACHE_DIR": str(cache)})
    assert (result.returncode, len(result.stdout.split(b","))) == (0, 144)
    warning = b"photodna-nb: warning: " + os.fsencode(cache) + b": this folder"
    assert result.stderr.count(warning) == 1
    assert b"Traceback" not in result.stderr
    assert not any(cache.iterdir())


PROGRAM = """
import numpy as np
from photodna_nb.kernels import hashing, jit
assert hashing.norm(np.ones(144), 0.0) == 12 and jit.cached
print(sum(hashing.norm.stats.cache_hits.values()))
"""


def hits(cache, package=ROOT, program=PROGRAM):
    """How many kernels a process takes from the cache: 1 or 0."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=package, capture_output=True
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


@pytest.mark.long
def test_an_edit_of_another_kernel_file_is_noticed(tmp_path):
    package = tmp_path / "package"
    shutil.copytree(ROOT / "photodna_nb", package / "photodna_nb")
    assert [hits(tmp_path / "cache", package) for _ in range(2)] == [0, 1]
    other = package / "photodna_nb" / "kernels" / "vector.py"
    status = other.stat()
    source = other.read_text("utf-8")
    other.write_text(source.replace("Vectors in LLVM code", "VECTORS in LLVM code", 1))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert other.stat().st_size == status.st_size
    assert [hits(tmp_path / "cache", package) for _ in range(2)] == [0, 1]
    other.write_text(source)
    assert hits(tmp_path / "cache", package) == 1


@pytest.mark.long
def test_a_process_that_runs_during_an_upgrade_writes_no_kernels_for_the_new_sources(tmp_path):
    package = tmp_path / "package"
    shutil.copytree(ROOT / "photodna_nb", package / "photodna_nb")
    edit = 'source = jit._HERE / "vector.py"; source.write_text(source.read_text() + "#")\nassert'
    program = PROGRAM.replace("assert", edit, 1)
    assert hits(tmp_path / "cache", package, program) == 0
    assert [hits(tmp_path / "cache", package) for _ in range(2)] == [0, 1]


@pytest.mark.long
def test_processes_that_compile_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(4) as executor:
        assert set(executor.map(hits, [tmp_path] * 4)) <= {0, 1}
    assert hits(tmp_path) == 1
    assert len(list((tmp_path / "photodna_nb").iterdir())) == 1
