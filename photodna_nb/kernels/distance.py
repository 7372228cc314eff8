"""Distances between many hashes, in exact integers.

`fill_tile` computes the distances of four queries from TILE_ROWS database rows. The kernels
below it store, count or select them, so that only `matrix` writes a whole matrix. The dtypes
of the packed hashes say at compile time by which instructions; all give the same integers.

Shapes that recur, with rows of 144 values, or of any multiple of 16, padded with zeros to whole
tiles. 144 is known at compile time. Another length is that of the queries' rows, by which their
dimensions tell the kernels what they are compiled for:

- ``block``: a tuple of

  - ``database``: flat, in the order and dtype of `pack_database`,
  - ``queries``: flat, or (n, length), in the dtype of `pack_queries`,
  - ``database_squares``, ``queries_squares``: (m,), (n,) int32, their squared norms;

- ``tile``: (4, TILE_ROWS) int32: distances of four queries, squared L2 or L1;
- packed neighbours: int64, distance * 2^32 + index, so that their order is that of an answer;
- ``triangle``: whether only database rows after the query's own row count.
"""

import numba  # noqa: F401 - threads that begin with a part of it meet it half-imported
import numpy as np
from numba.extending import overload

from photodna_nb.kernels.jit import kernel
from photodna_nb.kernels.register_tile import (
    HASH_BYTES,
    TILE_QUERIES,
    TILE_ROWS,
    fill_registers,
    group_bytes,
)

# Metrics. The Hamming distance of vectors of bits, as bytes, is their squared L2 distance.
SQUARED, MANHATTAN, HAMMING = 0, 1, 2

# Database rows that stay in the second-level cache while all queries pass. That cache is twice as
# large or more where registers have 64 bytes.
CACHE_BLOCK_ROWS, CACHE_BLOCK_ROWS_64 = 1024, 4096
# Rows of a tile that `nearest` compares at once with their limits.
LIMIT_ROWS = 16

# Added to a root before it is cut to a whole number: it is then rounded up, as a test shows for
# each that can come of 144 values.
BELOW_ONE = np.float32(1 - 2**-12)
# More than any distance, in an int32.
BEYOND_ALL = 2**31 - 1


def pack_database(hashes, dtype, register):
    """Return hashes (m, length) packed as a database, and their squared norms.

    dtype: that of the queries; register: bytes of a vector register, or 0 for rows in their
    own order. m is a multiple of TILE_ROWS.

    Rows lie side by side: the same few values of as many rows as fit make a register.
    """
    squares = _squared_norms(hashes, dtype)
    if dtype == np.int8:
        squares -= 256 * hashes.sum(axis=1, dtype=np.int32)
    values = hashes.astype(np.int16) if dtype == np.int16 else hashes
    if not register:
        return values.reshape(-1), squares
    group = group_bytes(np.dtype(dtype).name)
    groups = values.view(f"u{group}")
    registers = groups.reshape(-1, register // group, groups.shape[1]).swapaxes(1, 2)
    return np.ascontiguousarray(registers).reshape(-1).view(f"S{register}"), squares


def pack_queries(hashes, dtype):
    """Return hashes (n, length) packed as queries, and their squared norms.

    dtype: int16 for squared L2; int8 likewise, where an instruction multiplies bytes by
    signed ones, which are the queries less 128; uint8 for L1. n is a multiple of TILE_QUERIES.
    """
    values = (hashes ^ np.uint8(128)).view(np.int8) if dtype == np.int8 else hashes.astype(dtype)
    packed = values.reshape(-1) if hashes.shape[1] == HASH_BYTES else values
    return packed, _squared_norms(hashes, dtype)


def _squared_norms(hashes, dtype):
    """Return the squared norm of each hash, (n,) int32; zeros for L1, which needs none."""
    if dtype == np.uint8:
        return np.zeros(len(hashes), np.int32)
    return np.einsum("ij,ij->i", hashes, hashes, dtype=np.int32)


def fill_tile(block, row, query, tile):
    """Compute distances of queries `query` to `query` + 3 from rows `row` to `row` + 127.

    This is the definition, which runs under NUMBA_DISABLE_JIT; compiled, it is `fill_registers`.
    """
    length = HASH_BYTES if block[1].ndim == 1 else block[1].shape[1]
    database, queries = (packed.reshape(-1, length).astype(np.int32) for packed in block[:2])
    rows = database[row : row + TILE_ROWS]
    differences = queries[query : query + TILE_QUERIES, None] - rows
    values = np.abs(differences) if block[1].dtype == np.uint8 else differences**2
    tile[...] = values.sum(axis=2)


@overload(fill_tile)
def _compiled_tile(block, row, query, tile):
    return lambda block, row, query, tile: fill_registers(block, row, query, tile)


def rounded_root(block, distance):
    """Return the root of a squared distance, rounded to float32."""
    return np.float32(np.sqrt(np.float64(distance)))


@overload(rounded_root)
def _compiled_root(block, distance):
    if block[1].ndim == 1:  # no squared distance has more digits than a float32
        return lambda block, distance: np.sqrt(np.float32(distance))
    return lambda block, distance: np.float32(np.sqrt(np.float64(distance)))


def rounded_up_root(block, distance):
    """Return the root of a squared distance, rounded up to a whole number, int32."""
    return np.int32(np.ceil(np.sqrt(np.float64(distance))))


@overload(rounded_up_root)
def _compiled_root_up(block, distance):
    if block[1].ndim == 1:
        return lambda block, distance: np.int32(
            np.float32(np.sqrt(np.float32(distance)) + BELOW_ONE)
        )
    return lambda block, distance: np.int32(np.ceil(np.sqrt(np.float64(distance))))


@kernel
def matrix(root, block, out):
    """Write all distances, or the bytes of their float32 roots: out (n, m) int32."""
    n, m = out.shape
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    roots = tile.view(np.float32)
    block_rows = CACHE_BLOCK_ROWS_64 if block[0].itemsize == 64 else CACHE_BLOCK_ROWS
    for first_row in range(0, m, block_rows):
        for query in range(0, n, TILE_QUERIES):
            for row in range(first_row, min(m, first_row + block_rows), TILE_ROWS):
                fill_tile(block, row, query, tile)
                if root:
                    for q in range(TILE_QUERIES):
                        for column in range(TILE_ROWS):
                            roots[q, column] = rounded_root(block, tile[q, column])
                columns = min(TILE_ROWS, m - row)
                for q in range(min(TILE_QUERIES, n - query)):
                    target = out[query + q, row : row + columns]
                    for column in range(columns):
                        target[column] = tile[q, column]


@kernel
def histogram(root, triangle, grouped, block, database_groups, queries_groups, counts):
    """Add to the count of each distance, or of each root rounded up to a whole number.

    database_groups (m,), queries_groups (n,): int32; counts: (1 or 2, bins + 1) int64, of pairs
    of two groups and, if `grouped`, of pairs inside one group; the last bin is not a distance.
    """
    n, m = queries_groups.shape[0], database_groups.shape[0]
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    values, flat = tile.reshape(tile.size), counts.reshape(counts.size)
    n_bins = np.int32(counts.shape[1])
    for row in range(0, m, TILE_ROWS):
        columns = min(TILE_ROWS, m - row)
        groups = database_groups[row : row + columns]
        for query in range(0, n, TILE_QUERIES):
            if triangle and query >= row + TILE_ROWS - 1:
                break
            fill_tile(block, row, query, tile)
            if root:
                for i in range(values.size):
                    values[i] = rounded_up_root(block, values[i])
            for q in range(TILE_QUERIES):
                if grouped and query + q < n:
                    group = queries_groups[query + q]
                    for column in range(columns):
                        same = np.int32(groups[column] == group)
                        tile[q, column] = np.int32(tile[q, column] + np.int32(same * n_bins))
                first = query + q + 1 - row if triangle else 0
                tile[q, : TILE_ROWS if query + q >= n else max(0, first)] = n_bins - 1
                tile[q, columns:] = n_bins - 1
            for i in range(values.size):
                # Unsigned: no check for a negative index.
                flat[np.uint32(values[i])] += 1


@kernel
def within(
    triangle,
    limit,
    block,
    n,
    m,
    pairs,
):
    """Write (query, row, distance) of the pairs at most `limit` apart, and return their number.

    pairs: (capacity, 3) int64; where more are found, the kernel stops, and returns a larger number.
    """
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    count = 0
    for row in range(0, m, TILE_ROWS):
        for query in range(0, n, TILE_QUERIES):
            if triangle and query >= row + TILE_ROWS - 1:
                break
            fill_tile(block, row, query, tile)
            columns = min(TILE_ROWS, m - row)
            for q in range(min(TILE_QUERIES, n - query)):
                matches = np.int32(0)
                for column in range(TILE_ROWS):
                    matches = np.int32(matches + np.int32(tile[q, column] <= limit))
                if matches == 0:
                    continue
                first = max(0, query + q + 1 - row) if triangle else 0
                for column in range(first, columns):
                    if tile[q, column] <= limit:
                        if count < pairs.shape[0]:
                            pairs[count, 0] = query + q
                            pairs[count, 1] = row + column
                            pairs[count, 2] = tile[q, column]
                        count += 1
                if count > pairs.shape[0]:
                    return count
    return count


@kernel
def farthest(block, n_orientations, m, first_row, stops, distances):
    """Raise the distance of each query to that of the farthest of its rows.

    The queries are consecutive members of a sequence, the m rows others of it: number 0 is
    the first query, `first_row` the first row. The rows of query i are those from number i + 1
    to stops[i], exclusive; stops (n,) int64 ascends. With eight orientations, the block has the
    queries eight times, padded to whole tiles each time, and the smallest of the eight
    distances of a pair counts. distances: (n,) int32.
    """
    n = stops.shape[0]
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    other = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    padded = (n + TILE_QUERIES - 1) // TILE_QUERIES * TILE_QUERIES
    for row in range(0, m, TILE_ROWS):
        number = first_row + row
        for query in range(0, min(n, number + TILE_ROWS - 1), TILE_QUERIES):
            last = min(n, query + TILE_QUERIES) - 1
            if number >= stops[last]:
                continue
            fill_tile(block, row, query, tile)
            for orientation in range(1, n_orientations):
                fill_tile(block, row, orientation * padded + query, other)
                for q in range(TILE_QUERIES):
                    for column in range(TILE_ROWS):
                        tile[q, column] = min(tile[q, column], other[q, column])
            for q in range(last + 1 - query):
                tile[q, : max(0, query + q + 1 - number)] = 0
                tile[q, max(0, min(m - row, stops[query + q] - number)) :] = 0
                largest = np.int32(0)
                for column in range(TILE_ROWS):
                    largest = np.int32(max(largest, tile[q, column]))
                distances[query + q] = max(distances[query + q], largest)


@kernel
def insert_neighbour(neighbours, candidate):
    """Insert a packed neighbour into a heap, (k,) int64, the largest first, if it is smaller."""
    k = neighbours.shape[0]
    if candidate >= neighbours[0]:
        return
    place, child = 0, 1
    while child < k:
        if child + 1 < k and neighbours[child + 1] > neighbours[child]:
            child += 1
        if neighbours[child] <= candidate:
            break
        neighbours[place] = neighbours[child]
        place, child = child, 2 * child + 1
    neighbours[place] = candidate


@kernel
def nearest(
    triangle,
    both,
    block,
    database_start,
    queries_start,
    database_neighbours,
    queries_neighbours,
):
    """Select the smallest packed neighbours of every query and, if `both`, of every row.

    database_neighbours (m, k), queries_neighbours (n, k): heaps, the largest first; start: added
    to an index.
    Indices ascend, so that a later one never wins a tie.
    """
    n, m = queries_neighbours.shape[0], database_neighbours.shape[0]
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    limits = np.full((m + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS, np.int32(-1), np.int32)
    if both:
        for row in range(m):
            limits[row] = min(database_neighbours[row, 0] >> 32, BEYOND_ALL)
    for row in range(0, m, TILE_ROWS):
        columns = min(TILE_ROWS, m - row)
        row_limits = limits[row : row + TILE_ROWS]  # a slice, for loops that LLVM can vectorise
        for query in range(0, n, TILE_QUERIES):
            if triangle and query >= row + TILE_ROWS - 1:
                break
            fill_tile(block, row, query, tile)
            for q in range(min(TILE_QUERIES, n - query)):
                index = query + q
                limit = np.int32(min(queries_neighbours[index, 0] >> 32, BEYOND_ALL))
                closer = np.int32(0)
                if both:
                    for column in range(TILE_ROWS):
                        largest_limit = max(limit, row_limits[column])
                        closer = np.int32(closer | np.int32(tile[q, column] < largest_limit))
                else:
                    for column in range(TILE_ROWS):
                        closer = np.int32(closer | np.int32(tile[q, column] < limit))
                if closer == 0:  # as almost always
                    continue
                first = max(0, index + 1 - row) if triangle else 0
                for start in range(0, columns, LIMIT_ROWS):
                    closer = np.int32(0)
                    for lane in range(LIMIT_ROWS):
                        largest_limit = max(limit, row_limits[start + lane])
                        closer = np.int32(closer | np.int32(tile[q, start + lane] < largest_limit))
                    if closer == 0:
                        continue
                    for column in range(max(first, start), min(columns, start + LIMIT_ROWS)):
                        distance = np.int64(tile[q, column])
                        if distance < limit:
                            candidate = (distance << 32) + database_start + row + column
                            insert_neighbour(queries_neighbours[index], candidate)
                        if distance < row_limits[column]:
                            neighbours = database_neighbours[row + column]
                            insert_neighbour(neighbours, (distance << 32) + queries_start + index)
                            row_limits[column] = min(neighbours[0] >> 32, BEYOND_ALL)
