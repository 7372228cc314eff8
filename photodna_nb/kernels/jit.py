"""The one decorator of every kernel, with the reason for each option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {
    # Kernels run under thread pools; parallel=True aborts the process there.
    "nogil": True,
    # A re-associated or fused float operation changes the hash.
    "fastmath": False,
    # NumPy's rule: dividing by zero gives inf, and no branch stops the vector loop.
    "error_model": "numpy",
}


def kernel(function: Kernel) -> Kernel:
    """Return `function` compiled on its first call, and cached on disk where that is possible.

    Numba refuses to cache when neither the package's folder nor the user's
    cache folder can be written; the kernel is then compiled in every process.
    """
    try:
        return cast(Kernel, numba.njit(cache=True, **OPTIONS)(function))
    except RuntimeError:
        return cast(Kernel, numba.njit(**OPTIONS)(function))
