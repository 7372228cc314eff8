"""The one decorator of every kernel, with the reason for each option, and its cache."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {
    # Kernels run under thread pools; parallel=True aborts the process there.
    "nogil": True,
    # A re-associated or fused float operation changes the hash.
    "fastmath": False,
    # NumPy's rule: dividing by zero gives inf, and no branch stops the vector loop.
    "error_model": "numpy",
    # A wrapper for callers in C would be a tenth of what a small kernel takes to compile.
    "no_cfunc_wrapper": True,
}

# False where there is no folder for the cache, or it cannot be written.
cached = True

_HERE = Path(__file__).parent
_DIGEST_BYTES = 32


def kernel(function: Kernel) -> Kernel:
    """Return `function` compiled on its first call, and cached on disk where that is possible."""
    global cached
    compiled = numba.njit(**OPTIONS)(function)
    if compiled is not function:  # not under NUMBA_DISABLE_JIT
        folder = cache_folder()
        if folder is None:
            cached = False
        else:
            compiled._cache = _Cache(function, folder)
    return cast(Kernel, compiled)


@cache
def cache_folder() -> str | None:
    """Return the first folder for the cache that this user can write, and no other user.

    Numba loads machine code and pickled objects from it: whoever writes there runs code here.
    """
    beside = str(_HERE / "__pycache__")
    user_folder = AppDirs("numba", appauthor=False).user_cache_dir  # type: ignore[no-untyped-call]
    for parent in (config.CACHE_DIR, beside, user_folder):  # type: ignore[attr-defined]
        folder = os.path.join(parent, "photodna_nb")
        try:
            # Whoever can write the package's folder can write the kernels themselves.
            package = os.stat(_HERE)
            for path in (parent, folder):
                os.makedirs(path, 0o755, exist_ok=True)
                problem = _other_writers(os.stat(path), package if parent == beside else None)
                if problem:
                    warnings.warn(
                        f"{path}: this folder for compiled kernels {problem}, whose files would "
                        "run as code, and is not used; make it yours alone (chmod go-w), or set "
                        "NUMBA_CACHE_DIR to another folder",
                        RuntimeWarning,
                        stacklevel=3,
                    )
                    break
            else:
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
        except OSError:
            continue
    return None


def _other_writers(status: os.stat_result, package: os.stat_result | None = None) -> str:
    """Return how other users can write a file or folder, or an empty text."""
    # Windows has other rules for its folders, and a user's own are private.
    if not hasattr(os, "geteuid"):
        return ""
    if status.st_uid not in {os.geteuid(), 0, package.st_uid if package else 0}:
        return "belongs to another user"
    if status.st_mode & 0o022 & ~(package.st_mode if package else 0):
        return "can be written by other users"
    return ""


@cache
def _stamp() -> bytes:
    """Return a digest of what all compiled kernels depend on: their sources and the compiler.

    A kernel contains those that it calls, from whatever module.
    """
    versions = sys.version, numba.__version__, llvmlite.__version__, config.BOUNDSCHECK  # type: ignore[attr-defined]
    digest = hashlib.sha256(repr(versions).encode())
    for source in sorted(_HERE.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.digest()


class _Cache:
    """What Numba's dispatcher asks of a cache, with a file for each compiled kernel.

    Numba's own cache runs damaged files and passes on its errors: after a power cut, or on a
    full disk, every later call would fail. Here a file begins with a digest of its name's key
    and of its content; whatever is wrong with it, the kernel is compiled instead.
    """

    def __init__(self, function: Callable[..., Any], folder: str) -> None:
        self.cache_path = folder
        self._name = f"{function.__module__}.{function.__qualname__}"
        # Of the sources that were imported: an upgrade may replace them before the first call.
        self._stamp = _stamp()

    def load_overload(self, types: Any, target_context: Any) -> Any:
        """Return the kernel compiled for these types, or None."""
        target_context.refresh()
        with suppress(Exception):
            key, path = self._key_and_path(types, target_context.codegen())
            with open(path, "rb") as file:
                foreign = _other_writers(os.fstat(file.fileno()))
                digest, content = file.read(_DIGEST_BYTES), file.read()
            if not foreign and digest == hashlib.sha256(key + content).digest():
                return CompileResult._rebuild(  # type: ignore[no-untyped-call]
                    target_context, *pickle.loads(content)
                )
        return None

    def save_overload(self, types: Any, compiled: Any) -> None:
        """Write a compiled kernel, in one step."""
        global cached
        try:
            key, path = self._key_and_path(types, compiled.codegen)
            content = dumps(compiled._reduce())  # type: ignore[no-untyped-call]
            descriptor, temporary = tempfile.mkstemp(".tmp", dir=self.cache_path)
            try:
                with open(descriptor, "wb") as file:
                    file.write(hashlib.sha256(key + content).digest() + content)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except Exception:
            cached = False

    def flush(self) -> None:
        """Do nothing: no file is out of date, as its name is made from all it depends on."""

    def _key_and_path(self, types: Any, codegen: Any) -> tuple[bytes, str]:
        processor = codegen.magic_tuple()  # its name and its instructions
        kernel = repr((self._name, types, processor))
        key = hashlib.sha256(self._stamp + kernel.encode()).digest()
        return key, os.path.join(self.cache_path, f"{self._name}-{key.hex()[:32]}.nbc")
