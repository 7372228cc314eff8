"""Tiles of distances stored in vector registers, written as LLVM vector code.

The generic operations become the instructions of whatever processor Numba compiles for, with
registers as wide as the packed database says. Where one instruction does more, it is named.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from photodna_nb.kernels.vector import broadcast, compiles_for_x86, vector_pointer

HASH_BYTES = 144

# Database rows, and queries, of a tile: few enough for the first-level cache.
TILE_ROWS = 128
TILE_QUERIES = 4
# Registers of rows that are computed at once: with the queries, 8 sums.
TILE_REGISTERS = 2


def group_bytes(manhattan):
    """Return the bytes of one row that lie together in a register, for L1 or for squared L2."""
    if not manhattan:
        return 4
    return 8 if compiles_for_x86() else 2


def _call(builder, name, result, arguments):
    """Call the LLVM intrinsic of an instruction."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _every(builder, vector, first, step):
    """Return every `step`-th lane of a vector."""
    lanes = list(range(first, vector.type.count, step))
    kind = ir.VectorType(ir.IntType(32), len(lanes))
    return builder.shuffle_vector(vector, vector, ir.Constant(kind, lanes))


def _add_products(builder, sums, rows, query):
    """Add the products of pairs of int16: vpmaddwd on x86, smlal on Arm."""
    halves = ir.VectorType(ir.IntType(16), 2 * sums.type.count)
    wide = ir.VectorType(ir.IntType(32), halves.count)
    factors = [builder.sext(builder.bitcast(each, halves), wide) for each in (rows, query)]
    products = builder.mul(*factors)
    even, odd = (_every(builder, products, first, 2) for first in range(2))
    return builder.add(sums, builder.add(even, odd))


def _add_byte_products(builder, sums, rows, query):
    """Add the products of four bytes of rows by four signed ones: vpdpbusd."""
    name = f"llvm.x86.avx512.vpdpbusd.{32 * sums.type.count}"
    return _call(builder, name, sums.type, [sums, rows, query])


def _add_differences(builder, sums, rows, query):
    """Add absolute differences of bytes: vpsadbw on x86, generic code elsewhere."""
    size = sums.type.count * sums.type.element.width // 8
    octets = ir.VectorType(ir.IntType(8), size)
    rows, query = (builder.bitcast(each, octets) for each in (rows, query))
    if compiles_for_x86():
        name = {16: "sse2", 32: "avx2", 64: "avx512"}[size]
        name = f"llvm.x86.{name}.psad.bw" + (".512" if size == 64 else "")
        return builder.add(sums, _call(builder, name, sums.type, [rows, query]))
    larger = builder.select(builder.icmp_unsigned(">", rows, query), rows, query)
    smaller = builder.select(builder.icmp_unsigned(">", rows, query), query, rows)
    differences = builder.zext(builder.sub(larger, smaller), ir.VectorType(sums.type.element, size))
    for first in range(2):
        sums = builder.add(sums, _every(builder, differences, first, 2))
    return sums


_ACCUMULATE = {
    types.int16: _add_products,
    types.int8: _add_byte_products,
    types.uint8: _add_differences,
}


@intrinsic
def fill_registers(_, block, row, query, tile):
    """Compute distances of four queries from TILE_ROWS rows, as `fill_tile` says.

    The dtype of the database, "S" and a number, is a register of so many bytes; that of the
    queries is one of `_ACCUMULATE`.
    """
    database, queries = block.types[:2]
    accumulate, group = _ACCUMULATE[queries.dtype], group_bytes(queries.dtype == types.uint8)
    register = database.dtype.count
    vector = ir.VectorType(ir.IntType(8 * group), register // group)
    row_bytes = HASH_BYTES * queries.dtype.bitwidth // 8
    size, output = ir.IntType(64), ir.VectorType(ir.IntType(32), vector.count)

    def code(context, builder, signature, arguments):
        arrays = [builder.extract_value(arguments[0], number) for number in range(4)]
        first_row, query = arguments[1:3]

        def at(number, byte, pointee):
            kind = block.types[number]
            return vector_pointer(context, builder, kind, arrays[number], byte, pointee)

        def scaled(index, factor):
            return builder.mul(index, size(factor))

        def step(index, row, sums):
            """Add a group of bytes of every row to the sums."""
            column = builder.add(scaled(row, row_bytes), scaled(index, register))
            rows = [
                builder.load(
                    at(0, builder.add(column, size(k * row_bytes * vector.count)), vector), align=1
                )
                for k in range(TILE_REGISTERS)
            ]
            for q, sums_of_query in enumerate(sums):
                start = scaled(builder.add(query, size(q)), row_bytes)
                byte = builder.add(start, scaled(index, group))
                piece = broadcast(
                    builder, vector, builder.load(at(1, byte, vector.element), align=1)
                )
                for stored, register_of_rows in zip(sums_of_query, rows, strict=True):
                    old = builder.load(stored)
                    builder.store(accumulate(builder, old, register_of_rows, piece), stored)

        def distances(q, k, row, total):
            """Return the distances that the sums stand for."""
            if queries.dtype == types.uint8:
                return total
            index = builder.add(row, size(k * vector.count))
            square = builder.load(at(2, scaled(index, 4), output), align=4)
            index = builder.add(query, size(q))
            own = builder.load(at(3, scaled(index, 4), output.element), align=4)
            squares = builder.add(square, broadcast(builder, output, own))
            return builder.sub(squares, builder.add(total, total))

        zero = ir.Constant(vector, [0] * vector.count)
        sums = [
            [cgutils.alloca_once(builder, vector) for _ in range(TILE_REGISTERS)]
            for _ in range(TILE_QUERIES)
        ]
        columns = TILE_REGISTERS * vector.count
        with cgutils.for_range(builder, size(TILE_ROWS // columns), intp=size) as tiles:
            column = scaled(tiles.index, columns)
            row = builder.add(first_row, column)
            for pair in sums:
                for stored in pair:
                    builder.store(zero, stored)
            with cgutils.for_range(builder, size(row_bytes // group), intp=size) as loop:
                step(loop.index, row, sums)
            for q, pair in enumerate(sums):
                for k, stored in enumerate(pair):
                    total = builder.load(stored)
                    convert = builder.zext if group < 4 else builder.trunc
                    if group != 4:
                        total = convert(total, output)
                    place = builder.add(column, size(q * TILE_ROWS + k * vector.count))
                    pointer = vector_pointer(
                        context, builder, tile, arguments[3], scaled(place, 4), output
                    )
                    builder.store(distances(q, k, row, total), pointer).align = 4
        return context.get_dummy_value()

    return types.void(block, types.intp, types.intp, tile), code
