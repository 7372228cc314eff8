"""The start of Numba: without SciPy and cffi, without garbage collection, and with a notice."""

from __future__ import annotations

import gc
import sys
import warnings
from typing import Any

from photodna_nb.cli.output import print_message
from photodna_nb.printable import printable

# Numba imports them at its first call, if they are installed, to look for BLAS and for functions
# of C. No kernel here needs them.
_UNUSED = ("cffi", "scipy")


def start_numba() -> None:
    """Make the first call of the kernels, without what is unused; say so if they are compiled."""
    if "numba" in sys.modules:
        return
    hidden = [name for name in _UNUSED if name not in sys.modules]
    try:
        for name in hidden:
            sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
        with warnings.catch_warnings(record=True) as caught:
            _announce_compilation()
            import numpy as np

            from photodna_nb.hashing.files import hash_image

            hash_image(np.zeros((2, 2), np.uint8))
        for warning in caught:
            print_message(f"warning: {printable(str(warning.message))}")
    finally:
        gc.enable()  # the start is over: see `script`
        for name in hidden:
            del sys.modules[name]


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
