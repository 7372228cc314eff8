"""Distances between many hashes, in exact integers.

`fill_tile` computes four queries against STRIPE rows of the database; the kernels
below it store, count or keep what it finds, so that no matrix need exist. It takes
one of two roads, with the same results: loops that LLVM vectorises for any
processor, or the byte instructions of AVX-512 (`has_avx512`).

Shapes that recur, with rows of 144 bytes, padded with zeros to whole tiles:

- ``block``: a tuple of

  - ``database``: uint8, flat, in the order and width that the road reads: see `database_of`,
  - ``queries``: uint8, flat, likewise: see `queries_of`,
  - ``database_squares``, ``queries_squares``: (m,), (n,) int32, their squared norms;

- ``tile``: (4, STRIPE) int32: distances of four queries, squared L2 or L1.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from photodna_nb.kernels.jit import kernel

HASH_BYTES = 144

# Roads and metrics, as the kernels take them.
PORTABLE, AVX512 = 0, 1
SQUARED, MANHATTAN = 0, 1

# Rows of the database, and queries, that a tile holds: few enough for the first cache.
STRIPE = 128
QUERIES = 4
# Rows of the database that stay in the second cache while all queries pass.
SHELF = 4096

# Bytes of a vector register, its lanes of 32 bits, and the rows that it holds for L1.
REGISTER = 64
LANES = 16
EIGHTS = 8

# The distance of zeros from 255s, rounded up to a whole number, squared, or L1.
ROOT_CELLS = 3061
SQUARED_CELLS = 144 * 255**2 + 1
MANHATTAN_CELLS = 144 * 255 + 1
# More than any distance, in an int32.
FURTHEST = 2**31 - 1


def compiled():
    """Whether kernels are compiled, and not run as Python under NUMBA_DISABLE_JIT."""
    return not config.DISABLE_JIT


def has_avx512():
    """Whether Numba compiles for a processor with AVX-512 VNNI, which the fast road needs.

    Asked of Numba and not of the processor: NUMBA_CPU_NAME and NUMBA_CPU_FEATURES count,
    and so does NUMBA_DISABLE_JIT.
    """
    if not compiled():
        return False
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {"+avx512f", "+avx512bw", "+avx512vnni"} <= set(features.split(","))


def database_of(hashes, road, metric):
    """Return hashes (m, 144) as a database, and their norms; m is a multiple of STRIPE.

    For AVX-512, rows lie side by side: the same four bytes of 16 rows (squared L2), or
    the same eight bytes of 8 rows (L1), make a register.
    """
    squares = np.einsum("ij,ij->i", hashes, hashes, dtype=np.int32)
    if road == PORTABLE:
        return _wide(hashes, metric), squares
    if metric == MANHATTAN:
        parts = hashes.view(np.uint64).reshape(-1, EIGHTS, HASH_BYTES // 8)
        return np.ascontiguousarray(parts.swapaxes(1, 2)).view(np.uint8).reshape(-1), squares
    # The instruction multiplies a byte by a signed one: a query less 128.
    squares -= 256 * hashes.sum(axis=1, dtype=np.int32)
    parts = hashes.view(np.uint32).reshape(-1, LANES, HASH_BYTES // 4)
    return np.ascontiguousarray(parts.swapaxes(1, 2)).view(np.uint8).reshape(-1), squares


def queries_of(hashes, road, metric):
    """Return hashes (n, 144) as queries, and their norms; n is a multiple of QUERIES."""
    squares = np.einsum("ij,ij->i", hashes, hashes, dtype=np.int32)
    if road == PORTABLE:
        return _wide(hashes, metric), squares
    shift = 128 if metric == SQUARED else 0
    return (hashes ^ np.uint8(shift)).reshape(-1), squares


def _wide(hashes, metric):
    """Return the bytes, for products as int16: most processors multiply no narrower ones."""
    return (hashes.astype(np.int16) if metric == SQUARED else hashes).reshape(-1).view(np.uint8)


def _vector_at(context, builder, kind, array, byte, pointee):
    """Return a pointer to a vector that begins at that byte of an array."""
    data = builder.bitcast(
        make_array(kind)(context, builder, array).data, ir.IntType(8).as_pointer()
    )
    return builder.bitcast(builder.gep(data, [byte]), pointee.as_pointer())


def _filled(builder, vector, value):
    """Return a vector with that value in every lane."""
    first = builder.insert_element(ir.Constant(vector, None), value, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, first, lanes)


def _tile_of_registers(accumulate, vector, group, rows):
    """Return code that holds four queries times two registers of rows in registers.

    accumulate: (builder, sums, rows, query) -> sums, for a `group` of bytes of each
    of `rows` rows; vector: the type of the sums. The code returns them, [query][register].
    """

    def code(context, builder, signature, arguments):
        database, row, queries, query = arguments[:4]
        size = ir.IntType(64)
        groups = HASH_BYTES // group
        loaded = ir.VectorType(ir.IntType(8 * group), rows)

        def at(place, kind, array, pointee):
            pointer = _vector_at(context, builder, kind, array, place, pointee)
            return builder.load(pointer, align=1)

        start = ir.Constant(vector, [0] * vector.count)
        sums = [
            [cgutils.alloca_once_value(builder, start) for _ in range(2)] for _ in range(QUERIES)
        ]
        row = builder.mul(row, size(HASH_BYTES))
        query = builder.mul(query, size(HASH_BYTES))
        with cgutils.for_range(builder, size(groups), intp=size) as loop:
            column = builder.add(row, builder.mul(loop.index, size(REGISTER)))
            registers = [
                at(
                    builder.add(column, size(number * groups * REGISTER)),
                    signature.args[0],
                    database,
                    loaded,
                )
                for number in range(2)
            ]
            for q in range(QUERIES):
                byte = builder.add(
                    builder.add(query, size(q * HASH_BYTES)),
                    builder.mul(loop.index, size(group)),
                )
                piece = at(byte, signature.args[2], queries, loaded.element)
                piece = _filled(builder, loaded, piece)
                for number, register in enumerate(registers):
                    held = sums[q][number]
                    new = accumulate(builder, builder.load(held), register, piece)
                    builder.store(new, held)
        return [[builder.load(held) for held in pair] for pair in sums]

    return code


def _store_tile(context, builder, signature, arguments, values):
    """Store values, [query][register], at tile[query, column:]; the last two arguments."""
    tile, column = arguments[-2:]
    vector = values[0][0].type
    size = ir.IntType(64)
    for q, pair in enumerate(values):
        for number, value in enumerate(pair):
            place = builder.add(column, size(q * STRIPE + number * vector.count))
            byte = builder.mul(place, size(4))
            pointer = _vector_at(context, builder, signature.args[-2], tile, byte, vector)
            builder.store(value, pointer).align = 4
    return context.get_dummy_value()


@intrinsic
def _squared_registers(
    _, database, row, queries, query, database_squares, queries_squares, tile, column
):
    """tile[:, column : column + 32]: a^2 + b^2 - 2ab, 4 bytes of 16 rows an instruction."""
    vector = ir.VectorType(ir.IntType(32), LANES)

    def accumulate(builder, sums, rows, query):
        kind = ir.FunctionType(vector, [vector] * 3)
        name = "llvm.x86.avx512.vpdpbusd.512"
        instruction = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(instruction, [sums, rows, query])

    products = _tile_of_registers(accumulate, vector, 4, LANES)

    def code(context, builder, signature, arguments):
        if not has_avx512():
            return context.get_dummy_value()
        size = ir.IntType(64)

        def squares_at(number, index, pointee):
            byte = builder.mul(index, size(4))
            kind, array = signature.args[number], arguments[number]
            return builder.load(_vector_at(context, builder, kind, array, byte, pointee), align=4)

        values = products(context, builder, signature, arguments)
        for q, pair in enumerate(values):
            square = squares_at(5, builder.add(arguments[3], size(q)), vector.element)
            for number, product in enumerate(pair):
                index = builder.add(arguments[1], size(number * LANES))
                both = builder.add(squares_at(4, index, vector), _filled(builder, vector, square))
                pair[number] = builder.sub(both, builder.add(product, product))
        return _store_tile(context, builder, signature, arguments, values)

    return types.void(
        database,
        types.intp,
        queries,
        types.intp,
        database_squares,
        queries_squares,
        tile,
        types.intp,
    ), code


@intrinsic
def _manhattan_registers(_, database, row, queries, query, tile, column):
    """tile[:, column : column + 16]: 8 bytes of 8 rows an instruction."""
    vector = ir.VectorType(ir.IntType(64), EIGHTS)
    octets = ir.VectorType(ir.IntType(8), REGISTER)

    def accumulate(builder, sums, rows, query):
        kind = ir.FunctionType(vector, [octets] * 2)
        name = "llvm.x86.avx512.psad.bw.512"
        instruction = cgutils.get_or_insert_function(builder.module, kind, name)
        pair = [builder.bitcast(rows, octets), builder.bitcast(query, octets)]
        return builder.add(sums, builder.call(instruction, pair))

    differences = _tile_of_registers(accumulate, vector, 8, EIGHTS)

    def code(context, builder, signature, arguments):
        if not has_avx512():
            return context.get_dummy_value()
        values = differences(context, builder, signature, arguments)
        narrow = ir.VectorType(ir.IntType(32), EIGHTS)
        values = [[builder.trunc(value, narrow) for value in pair] for pair in values]
        return _store_tile(context, builder, signature, arguments, values)

    return types.void(database, types.intp, queries, types.intp, tile, types.intp), code


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
def fill_tile(road, metric, block, row, query, tile):
    """Distances of queries `query` to `query` + 3 from database rows `row` to `row` + 127."""
    database, queries, database_squares, queries_squares = block
    if road == AVX512:
        if metric == SQUARED:
            for column in range(0, STRIPE, 2 * LANES):
                _squared_registers(
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
            for column in range(0, STRIPE, 2 * EIGHTS):
                _manhattan_registers(database, row + column, queries, query, tile, column)
        return
    wide_database, wide_queries = database.view(np.int16), queries.view(np.int16)
    for column in range(STRIPE):
        b = (row + column) * HASH_BYTES
        for q in range(QUERIES):
            a = (query + q) * HASH_BYTES
            if metric == SQUARED:
                squares = database_squares[row + column] + queries_squares[query + q]
                product = dot(wide_database[b : b + HASH_BYTES], wide_queries[a : a + HASH_BYTES])
                tile[q, column] = squares - 2 * product
            else:
                tile[q, column] = difference(
                    database[b : b + HASH_BYTES], queries[a : a + HASH_BYTES]
                )


@intrinsic
def _stream_registers(_, tile, query, out, place):
    """out[place : place + STRIPE] = tile[query] of 4 bytes each, aligned to 16, past the caches."""

    def code(context, builder, signature, arguments):
        tile, query, out, place = arguments
        size = ir.IntType(64)
        vector = ir.VectorType(ir.IntType(32), LANES)
        streamed = builder.module.add_metadata([ir.IntType(32)(1)])
        for lane in range(0, STRIPE, LANES):
            start = builder.mul(query, size(STRIPE))
            source = builder.mul(builder.add(start, size(lane)), size(4))
            target = builder.mul(builder.add(place, size(lane)), size(4))
            pointer = _vector_at(context, builder, signature.args[0], tile, source, vector)
            value = builder.load(pointer, align=4)
            pointer = _vector_at(context, builder, signature.args[2], out, target, vector)
            store = builder.store(value, pointer)
            store.align = 16
            store.set_metadata("nontemporal", streamed)
        return context.get_dummy_value()

    return types.void(tile, types.intp, out, types.intp), code


@kernel
def matrix(road, metric, root, streamed, block, out):
    """Write all distances, or their roots: out (n, m) int32 or float32.

    streamed: whether to write past the caches, which a large matrix only empties; its
    rows must begin at multiples of 16 bytes.
    """
    n, m = out.shape
    flat = out.reshape(out.size)
    tile = np.empty((QUERIES, STRIPE), np.int32)
    roots = np.empty((QUERIES, STRIPE), np.float32)
    for shelf in range(0, m, SHELF):
        for query in range(0, n, QUERIES):
            for row in range(shelf, min(m, shelf + SHELF), STRIPE):
                # Constants, for LLVM to inline them: a fifth faster.
                if road == PORTABLE:
                    fill_tile(PORTABLE, metric, block, row, query, tile)
                elif metric == SQUARED:
                    fill_tile(AVX512, SQUARED, block, row, query, tile)
                else:
                    fill_tile(AVX512, MANHATTAN, block, row, query, tile)
                if root:
                    for q in range(QUERIES):
                        for column in range(STRIPE):
                            roots[q, column] = np.sqrt(np.float32(tile[q, column]))
                columns = min(STRIPE, m - row)
                for q in range(min(QUERIES, n - query)):
                    if streamed and columns == STRIPE:
                        if root:
                            _stream_registers(roots, q, flat, (query + q) * m + row)
                        else:
                            _stream_registers(tile, q, flat, (query + q) * m + row)
                        continue
                    to = out[query + q, row : row + columns]
                    for column in range(columns):
                        to[column] = roots[q, column] if root else tile[q, column]


@kernel
def histogram(
    road,
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

    database_groups (m,), queries_groups (n,): int32; counts: (2, cells) int64, pairs of
    two groups and, if `grouped`, pairs of one; triangle: whether only rows after the query's count.
    """
    n, m = queries_groups.shape[0], database_groups.shape[0]
    tile = np.empty((QUERIES, STRIPE), np.int32)
    cells = np.empty(STRIPE, np.uint32)  # unsigned: no check for an index from the end
    flat = counts.reshape(counts.size)
    one_group = np.uint32(counts.shape[1])
    for row in range(0, m, STRIPE):
        for query in range(0, n, QUERIES):
            if triangle and query >= row + STRIPE - 1:
                break
            fill_tile(road, metric, block, row, query, tile)
            columns = min(STRIPE, m - row)
            for q in range(min(QUERIES, n - query)):
                first = max(0, query + q + 1 - row) if triangle else 0
                if root:
                    for column in range(STRIPE):
                        cells[column] = np.uint32(np.ceil(np.sqrt(np.float32(tile[q, column]))))
                else:
                    for column in range(STRIPE):
                        cells[column] = np.uint32(tile[q, column])
                if grouped:
                    group = queries_groups[query + q]
                    groups = database_groups[row : row + columns]
                    for column in range(columns):
                        same = np.uint32(groups[column] == group)
                        cells[column] = np.uint32(cells[column] + same * one_group)
                for column in range(first, columns):
                    flat[cells[column]] += 1


@kernel
def within(
    road,
    metric,
    triangle,
    limit,
    block,
    n,
    m,
    found,
):
    """Keep (query, row, distance) of the pairs at most `limit` apart; returns how many there are.

    found: (capacity, 3) int64, of which so many rows are written as fit; triangle: as
    in `histogram`.
    """
    tile = np.empty((QUERIES, STRIPE), np.int32)
    count = 0
    for row in range(0, m, STRIPE):
        for query in range(0, n, QUERIES):
            if triangle and query >= row + STRIPE - 1:
                break
            fill_tile(road, metric, block, row, query, tile)
            columns = min(STRIPE, m - row)
            for q in range(min(QUERIES, n - query)):
                near = np.int32(0)
                for column in range(STRIPE):
                    near = np.int32(near + np.int32(tile[q, column] <= limit))
                if near == 0:
                    continue
                first = max(0, query + q + 1 - row) if triangle else 0
                for column in range(first, columns):
                    if tile[q, column] <= limit:
                        if count < found.shape[0]:
                            found[count, 0] = query + q
                            found[count, 1] = row + column
                            found[count, 2] = tile[q, column]
                        count += 1
    return count


@kernel
def keep(keys, key):
    """Put a key into the sorted keys, (k,) int64, in place of the last one, if it is smaller."""
    place = keys.shape[0] - 1
    if key >= keys[place]:
        return
    while place > 0 and keys[place - 1] > key:
        keys[place] = keys[place - 1]
        place -= 1
    keys[place] = key


@kernel
def nearest(
    road,
    metric,
    triangle,
    both,
    block,
    database_start,
    queries_start,
    database_keys,
    queries_keys,
):
    """Keep the smallest keys, distance * 2^32 + index, of every query and, if `both`, every row.

    database_keys (m, k), queries_keys (n, k): int64, sorted; start: what is added to an
    index; triangle: as in `histogram`. Indices ascend, so a later one never wins a tie.
    """
    n, m = queries_keys.shape[0], database_keys.shape[0]
    tile = np.empty((QUERIES, STRIPE), np.int32)
    furthest = np.full((m + STRIPE - 1) // STRIPE * STRIPE, np.int32(-1), np.int32)
    if both:
        for row in range(m):
            furthest[row] = min(database_keys[row, -1] >> 32, FURTHEST)
    for row in range(0, m, STRIPE):
        columns = min(STRIPE, m - row)
        ends = furthest[row : row + STRIPE]  # a slice, for loops that LLVM can vectorise
        for query in range(0, n, QUERIES):
            if triangle and query >= row + STRIPE - 1:
                break
            fill_tile(road, metric, block, row, query, tile)
            for q in range(min(QUERIES, n - query)):
                index = query + q
                limit = np.int32(min(queries_keys[index, -1] >> 32, FURTHEST))
                near = np.int32(0)
                if both:
                    for column in range(STRIPE):
                        least = max(limit, ends[column])
                        near = np.int32(near | np.int32(tile[q, column] < least))
                else:
                    for column in range(STRIPE):
                        near = np.int32(near | np.int32(tile[q, column] < limit))
                if near == 0:  # as nearly always
                    continue
                first = max(0, index + 1 - row) if triangle else 0
                for start in range(0, columns, LANES):
                    near = np.int32(0)
                    for lane in range(LANES):
                        least = max(limit, ends[start + lane])
                        near = np.int32(near | np.int32(tile[q, start + lane] < least))
                    if near == 0:
                        continue
                    for column in range(max(first, start), min(columns, start + LANES)):
                        distance = np.int64(tile[q, column])
                        if distance < limit:
                            key = (distance << 32) + database_start + row + column
                            keep(queries_keys[index], key)
                        if distance < ends[column]:
                            keys = database_keys[row + column]
                            keep(keys, (distance << 32) + queries_start + index)
                            ends[column] = min(keys[-1] >> 32, FURTHEST)
