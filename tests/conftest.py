"""What all tests share: the compile cache, the golden sets, the command line as a process."""

import io
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

# A folder for the compiled kernels of the tests alone. Before Numba is imported, here and in every
# process that a test starts. `arm.sh` keeps another one for all checkouts.
CACHE = Path(os.environ.get("PHOTODNA_NB_TEST_CACHE") or ROOT / ".numba")
CACHE.mkdir(mode=0o755, exist_ok=True)
os.environ["NUMBA_CACHE_DIR"] = str(CACHE)

SHARED_GOLDEN = ROOT.parent / "shared" / "golden"
JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"

# What tests need and not every system has. `test_tests_say_what_they_need` finds those that do not
# say so, except for the names of files.
AVAILABLE = {
    "fork": hasattr(os, "fork"),
    "signals": os.name == "posix",
    "permissions": os.name == "posix",
    "control characters in names": os.name == "posix",
    "named pipes": hasattr(os, "mkfifo"),
    "devices": os.path.exists("/dev/zero"),
    "/dev/full": os.path.exists("/dev/full"),
    "/proc": os.path.exists("/proc/self/clear_refs"),
    "sh": os.name == "posix",
    "root": hasattr(os, "geteuid") and os.geteuid() == 0,
    "limits of memory": sys.platform == "linux",
    "mprotect": sys.platform == "linux",
    "names of any bytes": sys.platform == "linux",
}


def needs(*names: str) -> pytest.MarkDecorator:
    """Return the mark of a test that is skipped where the system lacks one of these."""
    missing = [name for name in names if not AVAILABLE[name]]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


# Its tests need terminals of Unix.
collect_ignore = [] if find_spec("fcntl") else ["test_cli_process.py"]


# How much of a simulation or fault test runs: 1 with the README's command, 4 in .ci/run, and inf
# for the full numbers.
TEST_SCALE = float(os.environ.get("PHOTODNA_NB_TEST_SCALE") or 1)


def scaled(default: int, full: int) -> int:
    """Return how often a test repeats: `default` times the scale, and at most `full`."""
    return int(min(full, default * TEST_SCALE))


def columns_of(pairs):
    """Return the columns of `Pairs`."""
    return pairs.i, pairs.j, pairs.distance


# A busy machine may take long for any input.
settings.register_profile(
    "kernels",
    deadline=None,
    max_examples=15 if JIT_OFF else 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kernels")


def compile_hash_kernels() -> None:
    import photodna_nb as pdna

    for shape in ((9, 9), (9, 9, 3)):
        pdna.trace(np.zeros(shape, np.uint8))
        pdna.hash_image(np.zeros(shape, np.uint8))


def compile_pair_kernels() -> None:
    import photodna_nb as pdna

    hashes = np.zeros((2, 144), np.uint8)
    for metric in ("sqeuclidean", "manhattan"):
        pdna.distance_matrix(hashes, metric=metric)
    pdna.nearest(hashes, k=1)
    pdna.pairs_within(hashes, max_distance=1)
    pdna.distance_histogram(hashes)
    hashes[:, :2] = np.eye(2)
    for orientations in (False, True):
        pdna.duplicates(hashes, 2, orientations=orientations)
        pdna.match(hashes, hashes, 2, orientations=orientations)


def compile_index_kernels() -> None:
    import photodna_nb as pdna

    hashes = np.zeros((2, 144), np.uint8)
    with TemporaryDirectory() as folder:
        files = os.path.join(folder, "index.faiss"), os.path.join(folder, "meta.json")
        with pdna.HashIndex.create(*files) as index:
            index.add(["/a", "/b"], hashes)
            index.save()
        with pdna.HashIndex.open(*files) as index:
            index.search(hashes)


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """Compile the kernels once, so that no process says that it compiles, whichever comes first.

    Of two workers of pytest-xdist, each begins at another end, and takes the rest from the cache.
    """
    if JIT_OFF:
        return
    parts = [compile_hash_kernels, compile_index_kernels, compile_pair_kernels]
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
        parts.reverse()
    for compile_part in parts:
        with FileLock(CACHE / f"{compile_part.__name__}.lock"):
            compile_part()


@pytest.fixture(scope="session", autouse=True)
def links() -> None:
    """Skip a test that makes a link, on Windows without the right to make links."""
    made = os.symlink

    def symlink(*arguments, **options):
        try:
            made(*arguments, **options)
        except OSError as error:
            if getattr(error, "winerror", None) == 1314:
                pytest.skip("needs the right to make links (developer mode)")
            raise

    os.symlink = symlink
    yield
    os.symlink = made


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    if not SHARED_GOLDEN.is_dir():
        pytest.skip("../shared/golden is not there")
    return SHARED_GOLDEN


def waits_at(function: str, condition: str) -> str:
    """Return code with which a program waits for its standard input before a call of a function.

    So a signal meets it there, however fast or slow the machine is; a task has one item, so that
    the results before it are in the journal. Ctrl-C stops it also where pytest runs in the
    background of a shell, whose programs ignore it. condition: an expression of `arguments`.
    """
    module, name = function.rsplit(".", 1)
    return f"""
import signal, sys
import {module} as module
from photodna_nb import parallel

signal.signal(signal.SIGINT, signal.default_int_handler)
original, parallel._SECONDS_ON_THREADS = module.{name}, 0

def waiting(*arguments):
    if {condition}:
        sys.stdin.read()
    return original(*arguments)

module.{name} = waiting
"""


def wait_for_records(process: subprocess.Popen[bytes], journal: Path, number: int) -> None:
    """Wait until a program that waits later has appended so many records to a journal."""
    while records_in(journal) < number:
        assert process.poll() is None, "it ended before the signal"
        time.sleep(0.01)


def records_in(journal: Path) -> int:
    """Return the number of lines, without the first one."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


@contextmanager
def spawned_processes():
    """Yield a pool of two processes that inherit nothing."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def local_cluster():
    """Yield the client of a real Dask cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    # A busy machine may need longer than Dask's 15 s to start a worker again, which is given up
    # then, so that calls wait for ever.
    patience = {"deploy.lost-worker-timeout": "1h", "comm.timeouts.connect": "5m"}
    with (
        dask.config.set({f"distributed.{key}": value for key, value in patience.items()}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


needs_jit = pytest.mark.skipif(JIT_OFF, reason="the filter is compiled code")


@pytest.fixture(params=[False, pytest.param(True, marks=needs_jit)], ids=["tiles", "trees"])
def by_trees(request, monkeypatch):
    """Whether few hashes are searched by trees, as many are, wherever the limit allows it."""
    import searches

    from photodna_nb.pairs import filter_search, search

    projection = searches.some_projection("principal", 16)

    def pair_projection(sources, limit, metric):
        near = projection.limits(limit, metric, 16) <= filter_search.MAX_PROJECTED
        return projection if near and min(source.count for source in sources) else None

    if request.param:
        monkeypatch.setattr(search, "pair_projection", pair_projection)
    return request.param


@pytest.fixture
def call(capfdbinary, monkeypatch):
    """Call the command line in this process, which is faster; the result is that of `run`."""
    from photodna_nb.cli import main

    def call(*arguments, cwd=".", stdin=b""):
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            status = main([os.fsdecode(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, status, *capfdbinary.readouterr())

    return call


@pytest.fixture(scope="session")
def run():
    """Run ``photodna-nb`` in a process of its own; standard output and error come as bytes."""

    def run(*arguments, **options):
        options.setdefault("timeout", 300)
        options.setdefault("stdin", subprocess.DEVNULL)
        command = [sys.executable, "-m", "photodna_nb", *map(os.fsencode, arguments)]
        return subprocess.run(command, capture_output=True, check=False, **options)

    return run


SUMMARY = re.compile(r"photodna-nb: \d+ \w+, .* failed, in \d+\.\d s")


def errors_and_warnings(result) -> list[str]:
    """Return the lines on standard error, but for the summary at the end."""
    lines = result.stderr.decode().splitlines()
    return lines[:-1] if lines and SUMMARY.match(lines[-1]) else lines


def messages(result) -> list[str]:
    """Return the lines on standard error, but for low detail and the summary at the end."""
    return [line for line in errors_and_warnings(result) if "grey levels of detail" not in line]


@pytest.fixture
def photos(tmp_path):
    """Seven images in a folder: five good ones, one that cannot become WebP, one that is none."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    names = ("a.png", "b.png", "c.png", "d.png", "sub/e.png")
    draw_smooth_noise(folder, names, 5, (5, 7), (70, 50))
    Image.effect_noise((17000, 2), 50).save(folder / "long.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


def draw_smooth_noise(folder, names, seed, shape, size):
    """Draw an image of each name: colours of a few rows and columns, enlarged to a size."""
    rng = np.random.default_rng(seed)
    for name in names:
        small = rng.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / name)


@pytest.fixture
def hide_package(monkeypatch):
    """Return a function that lets a package be missing, for a module of ours that needs it."""
    import photodna_nb as pdna

    def hide(package, module):
        for name in list(sys.modules):
            if name.startswith(f"photodna_nb.{module}"):
                monkeypatch.delitem(sys.modules, name)
            elif name.partition(".")[0] == package:
                monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(vars(pdna), module, raising=False)

    return hide


def draw_no_figures(monkeypatch):
    """Let pages not wait for Matplotlib, and return what stands for each figure."""
    from photodna_nb import plots

    content = io.BytesIO()
    Image.new("RGB", (3, 2)).save(content, "PNG")
    monkeypatch.setattr(plots, "render_png", lambda draw, size, dpi, fonts: content.getvalue())
    return content.getvalue()


@pytest.fixture
def no_figures(monkeypatch):
    """Pages without waiting for Matplotlib; returns what stands for each figure."""
    return draw_no_figures(monkeypatch)


@pytest.fixture
def decoded(monkeypatch):
    """How often an image was decoded: a list that grows."""
    from photodna_nb.hashing import images

    calls = []
    before = images.read_pixels

    def counted(file):
        calls.append(file)
        return before(file)

    monkeypatch.setattr(images, "read_pixels", counted)
    return calls
