"""Distances of a few queries from many rows that are not packed.

For a few queries, packing the rows takes longer than the search, which waits for
memory only.
"""

import numpy as np
from numba import types
from numba.extending import overload

from photodna_nb.kernels.distance import HASH_BYTES, insert_neighbour
from photodna_nb.kernels.jit import kernel

# Rows whose distances are computed before they are compared: few enough for the first-level cache.
_BLOCK_ROWS = 256


def n_values(queries):
    """Return how many values queries have: 144, which is known at compile time, if int16."""
    return queries.shape[1]


@overload(n_values, inline="always")
def _compiled_n_values(queries):
    if queries.dtype == types.int16:
        return lambda queries: HASH_BYTES
    return lambda queries: queries.shape[1]


@kernel
def nearest_rows(rows, first, queries, neighbours):
    """Select the rows nearest to each query: packed neighbours, distance * 2^32 + row.

    rows: (n, 144) uint8, numbered from `first`; queries: (q, 144) int16; or both of another
    length, and queries of int32; neighbours: (q, k) int64, a heap for each query, the largest
    first, which rows enter that are smaller.
    """
    distances = np.empty(_BLOCK_ROWS, np.int32)
    for start in range(0, rows.shape[0], _BLOCK_ROWS):
        size = min(_BLOCK_ROWS, rows.shape[0] - start)
        for q in range(queries.shape[0]):
            query = queries[q]
            for r in range(size):
                total = np.int32(0)
                for i in range(n_values(queries)):
                    # int16, for the instruction that multiplies and adds pairs of them.
                    d = np.int16(np.int16(rows[start + r, i]) - query[i])
                    total = np.int32(total + np.int32(np.int32(d) * np.int32(d)))
                distances[r] = total
            for r in range(size):
                candidate = (np.int64(distances[r]) << 32) + np.int64(first) + start + r
                if candidate < neighbours[q, 0]:
                    insert_neighbour(neighbours[q], candidate)
