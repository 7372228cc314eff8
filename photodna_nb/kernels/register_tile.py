"""Tiles of distances stored in vector registers, written as LLVM code.

An intrinsic adds code to the kernel that calls it: these ones use the byte instructions
of AVX-512 VNNI, for which NumPy's notation has no words.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from photodna_nb.kernels.vector import broadcast, has_features, vector_pointer

HASH_BYTES = 144

# Database rows, and queries, of a tile: few enough for the first-level cache.
TILE_ROWS = 128
TILE_QUERIES = 4

# Bytes of a vector register, its lanes of 32 bits, and its lanes of 64 bits.
REGISTER_BYTES = 64
LANES_32 = 16
LANES_64 = 8


def has_avx512_vnni():
    """Whether the AVX-512 backend is available: see `has_features`."""
    return has_features("avx512f", "avx512bw", "avx512vnni")


def _register_tile(accumulate, vector, group, rows):
    """Return a code generator for four queries times two registers of database rows.

    accumulate: (builder, sums, rows, query) -> sums, for a `group` of bytes of each
    of `rows` rows; vector: LLVM type of the sums. The code returns sums[query][register].
    """

    def code(context, builder, signature, arguments):
        database, row, queries, query = arguments[:4]
        size = ir.IntType(64)
        groups = HASH_BYTES // group
        loaded = ir.VectorType(ir.IntType(8 * group), rows)

        def at(place, kind, array, pointee):
            pointer = vector_pointer(context, builder, kind, array, place, pointee)
            return builder.load(pointer, align=1)

        start = ir.Constant(vector, [0] * vector.count)
        sums = [
            [cgutils.alloca_once_value(builder, start) for _ in range(2)]
            for _ in range(TILE_QUERIES)
        ]
        row = builder.mul(row, size(HASH_BYTES))
        query = builder.mul(query, size(HASH_BYTES))
        with cgutils.for_range(builder, size(groups), intp=size) as loop:
            column = builder.add(row, builder.mul(loop.index, size(REGISTER_BYTES)))
            registers = [
                at(
                    builder.add(column, size(number * groups * REGISTER_BYTES)),
                    signature.args[0],
                    database,
                    loaded,
                )
                for number in range(2)
            ]
            for q in range(TILE_QUERIES):
                byte = builder.add(
                    builder.add(query, size(q * HASH_BYTES)),
                    builder.mul(loop.index, size(group)),
                )
                query_bytes = at(byte, signature.args[2], queries, loaded.element)
                query_bytes = broadcast(builder, loaded, query_bytes)
                for number, register in enumerate(registers):
                    stored = sums[q][number]
                    new = accumulate(builder, builder.load(stored), register, query_bytes)
                    builder.store(new, stored)
        return [[builder.load(stored) for stored in pair] for pair in sums]

    return code


def _store_tile(context, builder, signature, arguments, values):
    """Store values[query][register] at tile[query, column:], the last two arguments."""
    tile, column = arguments[-2:]
    vector = values[0][0].type
    size = ir.IntType(64)
    for q, pair in enumerate(values):
        for number, value in enumerate(pair):
            place = builder.add(column, size(q * TILE_ROWS + number * vector.count))
            byte = builder.mul(place, size(4))
            pointer = vector_pointer(context, builder, signature.args[-2], tile, byte, vector)
            builder.store(value, pointer).align = 4
    return context.get_dummy_value()


@intrinsic
def fill_squared(_, database, row, queries, query, database_squares, queries_squares, tile, column):
    """tile[:, column : column + 32]: a^2 + b^2 - 2ab, 4 bytes of 16 rows an instruction."""
    vector = ir.VectorType(ir.IntType(32), LANES_32)

    def accumulate(builder, sums, rows, query):
        kind = ir.FunctionType(vector, [vector] * 3)
        name = "llvm.x86.avx512.vpdpbusd.512"
        instruction = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(instruction, [sums, rows, query])

    products = _register_tile(accumulate, vector, 4, LANES_32)

    def code(context, builder, signature, arguments):
        if not has_avx512_vnni():
            return context.get_dummy_value()
        size = ir.IntType(64)

        def squares_at(number, index, pointee):
            byte = builder.mul(index, size(4))
            kind, array = signature.args[number], arguments[number]
            return builder.load(
                vector_pointer(context, builder, kind, array, byte, pointee), align=4
            )

        values = products(context, builder, signature, arguments)
        for q, pair in enumerate(values):
            square = squares_at(5, builder.add(arguments[3], size(q)), vector.element)
            for number, product in enumerate(pair):
                index = builder.add(arguments[1], size(number * LANES_32))
                squares = builder.add(
                    squares_at(4, index, vector), broadcast(builder, vector, square)
                )
                pair[number] = builder.sub(squares, builder.add(product, product))
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
def fill_manhattan(_, database, row, queries, query, tile, column):
    """tile[:, column : column + 16]: 8 bytes of 8 rows an instruction."""
    vector = ir.VectorType(ir.IntType(64), LANES_64)
    octets = ir.VectorType(ir.IntType(8), REGISTER_BYTES)

    def accumulate(builder, sums, rows, query):
        kind = ir.FunctionType(vector, [octets] * 2)
        name = "llvm.x86.avx512.psad.bw.512"
        instruction = cgutils.get_or_insert_function(builder.module, kind, name)
        pair = [builder.bitcast(rows, octets), builder.bitcast(query, octets)]
        return builder.add(sums, builder.call(instruction, pair))

    differences = _register_tile(accumulate, vector, 8, LANES_64)

    def code(context, builder, signature, arguments):
        if not has_avx512_vnni():
            return context.get_dummy_value()
        values = differences(context, builder, signature, arguments)
        narrow = ir.VectorType(ir.IntType(32), LANES_64)
        values = [[builder.trunc(value, narrow) for value in pair] for pair in values]
        return _store_tile(context, builder, signature, arguments, values)

    return types.void(database, types.intp, queries, types.intp, tile, types.intp), code


@intrinsic
def stream_row(_, tile, query, out, place):
    """out[place : place + TILE_ROWS] = tile[query], 4 bytes each, aligned to 16, not cached."""

    def code(context, builder, signature, arguments):
        tile, query, out, place = arguments
        size = ir.IntType(64)
        vector = ir.VectorType(ir.IntType(32), LANES_32)
        streamed = builder.module.add_metadata([ir.IntType(32)(1)])
        for lane in range(0, TILE_ROWS, LANES_32):
            start = builder.mul(query, size(TILE_ROWS))
            source = builder.mul(builder.add(start, size(lane)), size(4))
            target = builder.mul(builder.add(place, size(lane)), size(4))
            pointer = vector_pointer(context, builder, signature.args[0], tile, source, vector)
            value = builder.load(pointer, align=4)
            pointer = vector_pointer(context, builder, signature.args[2], out, target, vector)
            store = builder.store(value, pointer)
            store.align = 16
            store.set_metadata("nontemporal", streamed)
        return context.get_dummy_value()

    return types.void(tile, types.intp, out, types.intp), code
