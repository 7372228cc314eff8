"""The backend that computes distances, and hashes packed as its kernels take them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError
from photodna_nb.kernels import distance as kernels
from photodna_nb.kernels import register_tile
from photodna_nb.kernels.register_tile import TILE_QUERIES, TILE_ROWS
from photodna_nb.pairs.metrics import Metric, checked_metric

Backend = Literal["portable", "avx512_vnni"]

_BACKENDS: dict[str, int] = {"portable": kernels.PORTABLE, "avx512_vnni": kernels.AVX512_VNNI}


def backend() -> Backend:
    """Return the instructions by which distances are computed in this process.

    Returns
    -------
    {"portable", "avx512_vnni"}
        AVX-512 VNNI where Numba compiles for a processor that has it, which
        ``NUMBA_CPU_NAME=generic`` prevents, and otherwise loops for any processor.
        Both give the same integers. The environment variable ``PHOTODNA_NB_BACKEND``
        selects one of them.

    Raises
    ------
    ArgumentError
        The variable names no backend, or one that is not available here.
    """
    available: list[Backend] = ["portable"]
    if register_tile.has_avx512_vnni():
        available.append("avx512_vnni")
    requested = os.environ.get("PHOTODNA_NB_BACKEND") or available[-1]
    for name in available:
        if name == requested:
            return name
    raise ArgumentError(
        f"PHOTODNA_NB_BACKEND: got {requested!r}, needs 'portable'"
        + (" or 'avx512_vnni'" if len(available) > 1 else "; AVX-512 VNNI is not available here")
    )


def backend_number() -> int:
    """Return the backend of this process as the kernels take it."""
    return _BACKENDS[backend()]


def kernel_metric(metric: Metric) -> int:
    """Return the metric as the kernels take it, or raise `ArgumentError` for an unknown one."""
    return kernels.MANHATTAN if checked_metric(metric) == "manhattan" else kernels.SQUARED


def pack_database(hashes: NDArray[np.uint8], metric: int) -> list[NDArray[Any]]:
    """Return hashes (m, 144) and their squared norms as the kernels take a database."""
    return _pack(kernels.pack_database, hashes, TILE_ROWS, metric)


def pack_queries(hashes: NDArray[np.uint8], metric: int) -> list[NDArray[Any]]:
    """Return hashes (n, 144) and their squared norms as the kernels take queries."""
    return _pack(kernels.pack_queries, hashes, TILE_QUERIES, metric)


def _pack(
    pack: Callable[..., tuple[NDArray[np.uint8], NDArray[np.int32]]],
    hashes: NDArray[np.uint8],
    multiple: int,
    metric: int,
) -> list[NDArray[Any]]:
    missing = -len(hashes) % multiple
    if missing:
        hashes = np.concatenate([hashes, np.zeros((missing, HASH_BYTES), np.uint8)])
    # Read-only arrays all: the kernels are compiled for one type of array.
    return [
        checks.read_only(array)
        for array in pack(checks.read_only(hashes), backend_number(), metric)
    ]
