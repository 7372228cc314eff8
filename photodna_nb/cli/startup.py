"""The start of Numba: without SciPy, without garbage collection, and with a notice."""

from __future__ import annotations

import gc
import sys
from typing import Any

from photodna_nb.cli.output import print_message


def start_numba() -> None:
    """Make the first call of the kernels, without SciPy; print a notice if they are compiled.

    Numba imports ``scipy.linalg`` at its first call, if SciPy is installed, to
    look for BLAS. No kernel here needs it.
    """
    if "numba" in sys.modules:
        return
    hides_scipy = "scipy" not in sys.modules
    if hides_scipy:
        sys.modules["scipy"] = None  # type: ignore[assignment]  # import scipy raises ImportError
    try:
        _announce_compilation()
        import numpy as np

        from photodna_nb.hashing.files import hash_image

        hash_image(np.zeros((2, 2), np.uint8))
    finally:
        gc.enable()  # the start is over: see `script`
        if hides_scipy:
            del sys.modules["scipy"]


def _announce_compilation() -> None:
    from numba.core import event

    from photodna_nb.kernels import jit

    class CompilationNotice(event.Listener):
        printed = False

        def on_start(self, event: Any) -> None:
            if not self.printed:
                self.printed = True
                print_message(
                    "compiling the kernels, which takes some seconds; "
                    + (
                        "later calls take them from the cache"
                        if jit.cached
                        else "for later calls, set NUMBA_CACHE_DIR to a folder that can be written"
                    )
                )

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", CompilationNotice())  # type: ignore[no-untyped-call]
