"""The one decorator of every kernel, with the reason for each option, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

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

# False where neither the package's folder nor the user's cache folder can be written.
cached = True


def kernel(function: Kernel) -> Kernel:
    """Return `function` compiled on its first call, and cached on disk where that is possible."""
    global cached
    compiled = numba.njit(**OPTIONS)(function)
    if compiled is not function:  # not under NUMBA_DISABLE_JIT
        try:
            compiled._cache = _Cache(function)  # type: ignore[no-untyped-call]
        except RuntimeError:  # there is no folder for it
            cached = False
    return cast(Kernel, compiled)


class _Cache(FunctionCache):
    """Numba's cache, but a file in it that is damaged or cannot be written is no error.

    Numba lets the errors of its cache through; after a power cut, or on a full
    disk, every later call would fail. Here the kernel is compiled instead.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:
            self._quietly(self.flush)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        self._quietly(super().save_overload, sig, data)

    @staticmethod
    def _quietly(call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception:
            global cached
            cached = False
