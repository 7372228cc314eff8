"""Too little memory, too few files, threads or folders: an error of ours that says what to do."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import JIT_OFF, ROOT, needs
from indexes import HASHES, save_index

import photodna_nb as pdna
from photodna_nb.errors import lacking

pytestmark = pytest.mark.skipif(JIT_OFF, reason="needs speed")
PICTURE = ROOT / "data" / "pictures" / "harbour.jpg"


def limited(what, number, *arguments, **environment):
    """Run the command line within a limit of the system."""
    import resource  # not on Windows

    limit = getattr(resource, what)
    return subprocess.run(
        [sys.executable, "-m", "photodna_nb", *map(os.fspath, arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        preexec_fn=lambda: resource.setrlimit(limit, (number, number)),
    )


def said(done):
    """What is on standard error, which is never a request to report a bug."""
    message = done.stderr.decode()
    assert "unexpected" not in message
    assert "Traceback" not in message
    return message


@needs("signals")
@pytest.mark.long
def test_too_few_files(tmp_path):
    pair = save_index(tmp_path, HASHES[:2], "meta.sqlite")
    remedies = set()
    for number in (5, 6, 7):  # fewer, and Python itself does not start
        for arguments in (
            ("--hash-dir", PICTURE.parent, "--output", tmp_path / "t.csv", "--jobs", "2"),
            ("--faiss-add", *pair, PICTURE),
            ("--faiss-build", tmp_path / f"{number}.faiss", tmp_path / f"{number}.db", PICTURE),
        ):
            done = limited("RLIMIT_NOFILE", number, *arguments)
            message = said(done)
            assert done.returncode in (0, 1)
            errors = [line for line in message.splitlines() if "error: " in line]
            assert bool(errors) == bool(done.returncode)
            remedies.update(
                line.rsplit("; ", 1)[-1]
                for line in errors
                if "not written, since" not in line  # what follows from the other lines
            )
    assert any("ulimit -n" in remedy for remedy in remedies)
    assert not [remedy for remedy in remedies if "ulimit -n" not in remedy]


@needs("limits of memory")
@pytest.mark.long
@pytest.mark.parametrize("megabytes", range(150, 420, 30))
def test_too_little_memory(megabytes):
    done = limited("RLIMIT_AS", megabytes << 20, "--hash", PICTURE)
    message = said(done)
    if done.returncode == -signal.SIGABRT:  # LLVM ends the process, and says so itself
        assert "bad_alloc" in message or "out of memory" in message.lower()
    elif done.returncode:
        assert done.returncode == 1
        assert "memory" in message.splitlines()[-1]


@needs("devices")
def test_no_folder_for_temporary_files():
    """Matplotlib makes one where it cannot write its own."""
    program = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/dev/null/no"]
from photodna_nb import cli
cli.FUNCTIONS["evaluate_example"] = lambda: {"figures": import_plots, "files": tempfile.mkdtemp}[
    sys.argv[1]
]()
def import_plots():
    import matplotlib.pyplot
sys.exit(cli.main(["--evaluate-example"]))
"""
    for what, variable in (("figures", "MPLCONFIGDIR"), ("files", "TMPDIR")):
        done = subprocess.run(
            [sys.executable, "-c", program, what],
            capture_output=True,
            check=False,
            env={**os.environ, "MPLCONFIGDIR": "/dev/null/no", "HOME": "/dev/null"},
        )
        assert done.returncode == 1
        assert f"set {variable}" in said(done)


def test_no_thread_can_be_started(monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(pdna.ResourceError, match=r"no thread can be started; .*fewer workers"):
        pdna.hash_files([PICTURE] * 3, max_workers=2)


def test_what_the_system_lacks_has_a_remedy(call, monkeypatch):
    from photodna_nb import cli

    for error, words in (
        (MemoryError(), "out of memory; free memory"),
        (MemoryError("malloc of size 64 failed"), "out of memory; free memory"),
        (OSError(24, "Too many open files"), "Too many open files; too many files are open: raise"),
        (OSError(28, "No space left on device"), "No space left on device; free space"),
        (ImportError("x.so: failed to map segment from shared object"), "does not fit into memory"),
    ):

        def fail(error=error):
            raise error

        monkeypatch.setitem(cli.FUNCTIONS, "evaluate_example", fail)
        done = call("--evaluate-example")
        assert done.returncode == 1
        assert words in said(done)
    for other in (OSError(5, "Input/output error"), ValueError("memory"), KeyError(1)):
        assert not lacking(other)
