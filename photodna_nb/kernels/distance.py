"""Distances between many hashes, in exact integers.

`fill_tile` computes the distances of four queries from TILE_ROWS database rows. The kernels
below it store, count or select them, so that only `matrix` writes a whole matrix. Two
backends give the same results: loops that LLVM vectorises for any processor, and the
byte instructions of AVX-512 VNNI.

Shapes that recur, with rows of 144 bytes, padded with zeros to whole tiles:

- ``block``: a tuple of

  - ``database``: uint8, flat, in the order and width that the backend reads: see `pack_database`,
  - ``queries``: uint8, flat, likewise: see `pack_queries`,
  - ``database_squares``, ``queries_squares``: (m,), (n,) int32, their squared norms;

- ``tile``: (4, TILE_ROWS) int32: distances of four queries, squared L2 or L1;
- packed neighbours: int64, distance * 2^32 + index, so that their order is that of an answer;
- ``triangle``: whether only database rows after the query's own row count.
"""

import numpy as np

from photodna_nb.kernels.jit import kernel
from photodna_nb.kernels.register_tile import (
    LANES_32,
    LANES_64,
    TILE_QUERIES,
    TILE_ROWS,
    fill_manhattan,
    fill_squared,
    stream_row,
)

HASH_BYTES = 144

# Backends and metrics, as the kernels take them.
PORTABLE, AVX512_VNNI = 0, 1
SQUARED, MANHATTAN = 0, 1

# Database rows that stay in the second-level cache while all queries pass.
CACHE_BLOCK_ROWS = 4096

# Numbers of distances that are possible: L2 rounded up to a whole number, squared L2, L1.
ROOT_BINS = 3061
SQUARED_BINS = 144 * 255**2 + 1
MANHATTAN_BINS = 144 * 255 + 1
# More than any distance, in an int32.
BEYOND_ALL = 2**31 - 1


def pack_database(hashes, backend, metric):
    """Return hashes (m, 144) packed as a database, and their squared norms.

    m is a multiple of TILE_ROWS.

    For AVX-512, rows lie side by side: the same four bytes of 16 rows (squared L2), or
    the same eight bytes of 8 rows (L1), make a register.
    """
    squares = np.einsum("ij,ij->i", hashes, hashes, dtype=np.int32)
    if backend == PORTABLE:
        return _widen(hashes, metric), squares
    if metric == MANHATTAN:
        groups_of_rows = hashes.view(np.uint64).reshape(-1, LANES_64, HASH_BYTES // 8)
        return np.ascontiguousarray(groups_of_rows.swapaxes(1, 2)).view(np.uint8).reshape(
            -1
        ), squares
    # The instruction multiplies a byte by a signed one: a query less 128.
    squares -= 256 * hashes.sum(axis=1, dtype=np.int32)
    groups_of_rows = hashes.view(np.uint32).reshape(-1, LANES_32, HASH_BYTES // 4)
    return np.ascontiguousarray(groups_of_rows.swapaxes(1, 2)).view(np.uint8).reshape(-1), squares


def pack_queries(hashes, backend, metric):
    """Return hashes (n, 144) packed as queries, and their squared norms.

    n is a multiple of TILE_QUERIES.
    """
    squares = np.einsum("ij,ij->i", hashes, hashes, dtype=np.int32)
    if backend == PORTABLE:
        return _widen(hashes, metric), squares
    shift = 128 if metric == SQUARED else 0
    return (hashes ^ np.uint8(shift)).reshape(-1), squares


def _widen(hashes, metric):
    """Return int16 values, as bytes, for squared L2: few processors multiply bytes."""
    return (hashes.astype(np.int16) if metric == SQUARED else hashes).reshape(-1).view(np.uint8)


@kernel
def dot(a, b):
    """Return the sum of the products of two hashes, (144,) int16."""
    total = np.int32(0)
    for i in range(HASH_BYTES):
        total = np.int32(total + np.int32(np.int32(a[i]) * np.int32(b[i])))
    return total


@kernel
def difference(a, b):
    """Return the sum of the absolute differences of two hashes, (144,) uint8."""
    total = np.int32(0)
    for i in range(HASH_BYTES):
        total = np.int32(total + np.int32(abs(np.int32(a[i]) - np.int32(b[i]))))
    return total


@kernel
def fill_tile(backend, metric, block, row, query, tile):
    """Compute distances of queries `query` to `query` + 3 from rows `row` to `row` + 127."""
    database, queries, database_squares, queries_squares = block
    if backend == AVX512_VNNI:
        if metric == SQUARED:
            for column in range(0, TILE_ROWS, 2 * LANES_32):
                fill_squared(
                    database,
                    row + column,
                    queries,
                    query,
                    database_squares,
                    queries_squares,
                    tile,
                    column,
                )
        else:
            for column in range(0, TILE_ROWS, 2 * LANES_64):
                fill_manhattan(database, row + column, queries, query, tile, column)
        return
    wide_database, wide_queries = database.view(np.int16), queries.view(np.int16)
    for column in range(TILE_ROWS):
        b = (row + column) * HASH_BYTES
        for q in range(TILE_QUERIES):
            a = (query + q) * HASH_BYTES
            if metric == SQUARED:
                squares = database_squares[row + column] + queries_squares[query + q]
                product = dot(wide_database[b : b + HASH_BYTES], wide_queries[a : a + HASH_BYTES])
                tile[q, column] = squares - 2 * product
            else:
                tile[q, column] = difference(
                    database[b : b + HASH_BYTES], queries[a : a + HASH_BYTES]
                )


@kernel
def matrix(backend, metric, root, streaming, block, out):
    """Write all distances, or their roots: out (n, m) int32 or float32.

    streaming: whether to write without the caches, where a large matrix would replace
    everything else; its rows must begin at multiples of 16 bytes.
    """
    n, m = out.shape
    flat = out.reshape(out.size)
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    roots = np.empty((TILE_QUERIES, TILE_ROWS), np.float32)
    for first_row in range(0, m, CACHE_BLOCK_ROWS):
        for query in range(0, n, TILE_QUERIES):
            for row in range(first_row, min(m, first_row + CACHE_BLOCK_ROWS), TILE_ROWS):
                # Constants, for LLVM to inline them: a fifth faster.
                if backend == PORTABLE:
                    fill_tile(PORTABLE, metric, block, row, query, tile)
                elif metric == SQUARED:
                    fill_tile(AVX512_VNNI, SQUARED, block, row, query, tile)
                else:
                    fill_tile(AVX512_VNNI, MANHATTAN, block, row, query, tile)
                if root:
                    for q in range(TILE_QUERIES):
                        for column in range(TILE_ROWS):
                            roots[q, column] = np.sqrt(np.float32(tile[q, column]))
                columns = min(TILE_ROWS, m - row)
                for q in range(min(TILE_QUERIES, n - query)):
                    if streaming and columns == TILE_ROWS:
                        if root:
                            stream_row(roots, q, flat, (query + q) * m + row)
                        else:
                            stream_row(tile, q, flat, (query + q) * m + row)
                        continue
                    target = out[query + q, row : row + columns]
                    for column in range(columns):
                        target[column] = roots[q, column] if root else tile[q, column]


@kernel
def histogram(
    backend,
    metric,
    root,
    triangle,
    grouped,
    block,
    database_groups,
    queries_groups,
    counts,
):
    """Add to the count of each distance, or of each root rounded up to a whole number.

    database_groups (m,), queries_groups (n,): int32; counts: (1 or 2, bins) int64, of pairs
    of two groups and, if `grouped`, of pairs inside one group.
    """
    n, m = queries_groups.shape[0], database_groups.shape[0]
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    # Unsigned: no check for a negative index.
    bin_numbers = np.empty(TILE_ROWS, np.uint32)
    flat = counts.reshape(counts.size)
    one_group = np.uint32(counts.shape[1])
    for row in range(0, m, TILE_ROWS):
        for query in range(0, n, TILE_QUERIES):
            if triangle and query >= row + TILE_ROWS - 1:
                break
            fill_tile(backend, metric, block, row, query, tile)
            columns = min(TILE_ROWS, m - row)
            for q in range(min(TILE_QUERIES, n - query)):
                first = max(0, query + q + 1 - row) if triangle else 0
                if root:
                    for column in range(TILE_ROWS):
                        bin_numbers[column] = np.uint32(
                            np.ceil(np.sqrt(np.float32(tile[q, column])))
                        )
                else:
                    for column in range(TILE_ROWS):
                        bin_numbers[column] = np.uint32(tile[q, column])
                if grouped:
                    group = queries_groups[query + q]
                    groups = database_groups[row : row + columns]
                    for column in range(columns):
                        same = np.uint32(groups[column] == group)
                        bin_numbers[column] = np.uint32(bin_numbers[column] + same * one_group)
                for column in range(first, columns):
                    flat[bin_numbers[column]] += 1


@kernel
def within(
    backend,
    metric,
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
            fill_tile(backend, metric, block, row, query, tile)
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
def insert_neighbour(neighbours, candidate):
    """Insert a packed neighbour into sorted ones, (k,) int64, in place of the last, if smaller."""
    place = neighbours.shape[0] - 1
    if candidate >= neighbours[place]:
        return
    while place > 0 and neighbours[place - 1] > candidate:
        neighbours[place] = neighbours[place - 1]
        place -= 1
    neighbours[place] = candidate


@kernel
def nearest(
    backend,
    metric,
    triangle,
    both,
    block,
    database_start,
    queries_start,
    database_neighbours,
    queries_neighbours,
):
    """Select the smallest packed neighbours of every query and, if `both`, of every row.

    database_neighbours (m, k), queries_neighbours (n, k): sorted; start: added to an index.
    Indices ascend, so that a later one never wins a tie.
    """
    n, m = queries_neighbours.shape[0], database_neighbours.shape[0]
    tile = np.empty((TILE_QUERIES, TILE_ROWS), np.int32)
    limits = np.full((m + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS, np.int32(-1), np.int32)
    if both:
        for row in range(m):
            limits[row] = min(database_neighbours[row, -1] >> 32, BEYOND_ALL)
    for row in range(0, m, TILE_ROWS):
        columns = min(TILE_ROWS, m - row)
        row_limits = limits[row : row + TILE_ROWS]  # a slice, for loops that LLVM can vectorise
        for query in range(0, n, TILE_QUERIES):
            if triangle and query >= row + TILE_ROWS - 1:
                break
            fill_tile(backend, metric, block, row, query, tile)
            for q in range(min(TILE_QUERIES, n - query)):
                index = query + q
                limit = np.int32(min(queries_neighbours[index, -1] >> 32, BEYOND_ALL))
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
                for start in range(0, columns, LANES_32):
                    closer = np.int32(0)
                    for lane in range(LANES_32):
                        largest_limit = max(limit, row_limits[start + lane])
                        closer = np.int32(closer | np.int32(tile[q, start + lane] < largest_limit))
                    if closer == 0:
                        continue
                    for column in range(max(first, start), min(columns, start + LANES_32)):
                        distance = np.int64(tile[q, column])
                        if distance < limit:
                            candidate = (distance << 32) + database_start + row + column
                            insert_neighbour(queries_neighbours[index], candidate)
                        if distance < row_limits[column]:
                            neighbours = database_neighbours[row + column]
                            insert_neighbour(neighbours, (distance << 32) + queries_start + index)
                            row_limits[column] = min(neighbours[-1] >> 32, BEYOND_ALL)
