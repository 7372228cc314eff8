"""The backend that computes distances, and hashes packed as its kernels take them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels.register_tile import STEP_BYTES, TILE_QUERIES, TILE_ROWS
from photodna_nb.kernels.vector import compiled, compiles_for_x86, has_features
from photodna_nb.pairs.metrics import Metric, check_bits, checked_metric


class _Backend(NamedTuple):
    """How a backend packs hashes, and the sets of LLVM features of which it needs one."""

    register_bytes: int
    squared_dtype: type
    features: tuple[tuple[str, ...], ...] = ((),)


# The last one that is available is the fastest.
BACKENDS = {
    "sse2": _Backend(16, np.int16),
    "avx2": _Backend(32, np.int16, (("avx2",),)),
    "avx512": _Backend(64, np.int16, (("avx512f", "avx512bw"),)),
    "avx_vnni": _Backend(32, np.int8, (("avxvnni",), ("avx512vnni", "avx512vl"))),
    "avx512_vnni": _Backend(64, np.int8, (("avx512f", "avx512bw", "avx512vnni"),)),
}
_OTHER_PROCESSORS = {"vector": _Backend(16, np.int16)}
_NOT_COMPILED = {"numpy": _Backend(0, np.int16)}


def backend() -> str:
    """Return the instructions by which distances are computed in this process.

    Returns
    -------
    str
        "sse2", "avx2", "avx512", "avx_vnni" or "avx512_vnni" on x86: the last one that the
        processor has for which Numba compiles (``NUMBA_CPU_NAME``). "vector" on another
        processor: registers of 128 bits, as NEON on Arm. "numpy" under ``NUMBA_DISABLE_JIT``.
        All give the same integers. The environment variable ``PHOTODNA_NB_BACKEND`` selects
        one that is available.

    Raises
    ------
    ArgumentError
        The variable names no backend that is available here.
    """
    names = list(available_backends())
    requested = os.environ.get("PHOTODNA_NB_BACKEND") or names[-1]
    if requested not in names:
        raise ArgumentError(
            f"PHOTODNA_NB_BACKEND: got {requested!r}, needs one that is available here: "
            + ", ".join(names)
        )
    return requested


def available_backends() -> dict[str, _Backend]:
    """Return the backends of the processor for which Numba compiles, the fastest one last."""
    if not compiled():
        return _NOT_COMPILED
    if not compiles_for_x86():
        return _OTHER_PROCESSORS
    return {
        name: found
        for name, found in BACKENDS.items()
        if any(has_features(*features) for features in found.features)
    }


def kernel_metric(metric: Metric) -> int:
    """Return the metric as the kernels take it, or raise `ArgumentError` for an unknown one."""
    numbers = {"manhattan": kernels.MANHATTAN, "hamming": kernels.HAMMING}
    return numbers.get(checked_metric(metric), kernels.SQUARED)


def pack_database(hashes: NDArray[np.uint8], metric: int) -> list[NDArray[Any]]:
    """Return hashes (m, length) and their squared norms as the kernels take a database.

    length: 144 or a multiple of `STEP_BYTES`.
    """
    chosen = available_backends()[backend()]
    packed = kernels.pack_database(
        _padded(hashes, TILE_ROWS, metric), _dtype(chosen, metric), chosen.register_bytes
    )
    return _all_read_only(packed)


def pack_queries(hashes: NDArray[np.uint8], metric: int) -> list[NDArray[Any]]:
    """Return hashes (n, length) and their squared norms as the kernels take queries."""
    chosen = available_backends()[backend()]
    return _all_read_only(
        kernels.pack_queries(_padded(hashes, TILE_QUERIES, metric), _dtype(chosen, metric))
    )


def comparable_rows(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return hashes (n, length) as the kernels take them that compare rows here and there."""
    if hashes.shape[1] == HASH_BYTES:
        return hashes
    return checks.read_only(hashes.reshape(len(hashes), -1, STEP_BYTES))


def _dtype(chosen: _Backend, metric: int) -> type:
    return np.uint8 if metric == kernels.MANHATTAN else chosen.squared_dtype


def _padded(hashes: NDArray[np.uint8], multiple: int, metric: int) -> NDArray[np.uint8]:
    if metric == kernels.HAMMING:  # the kernels count without a check
        check_bits(hashes)
    missing = np.zeros((-len(hashes) % multiple, hashes.shape[1]), np.uint8)
    return np.concatenate([hashes, missing]) if len(missing) else np.ascontiguousarray(hashes)


def _all_read_only(arrays: Iterable[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the arrays as the kernels are compiled for."""
    return [checks.read_only(array) for array in arrays]
