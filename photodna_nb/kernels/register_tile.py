"""Tiles of distances stored in vector registers, written as LLVM vector code.

LLVM makes the instructions of whatever processor Numba compiles for, with registers as wide as
the packed database says. The one step that multiplies or subtracts is named on x86, where not
every LLVM finds the instruction by itself.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from photodna_nb.kernels.vector import broadcast, call_intrinsic, compiles_for_x86, vector_pointer

HASH_BYTES = 144
# Every other length is padded with zeros to a multiple of this.
STEP_BYTES = 16

# Database rows, and queries, of a tile: few enough for the first-level cache.
TILE_ROWS = 128
TILE_QUERIES = 4
# Registers of rows that are computed at once: with the queries, 8 sums.
TILE_REGISTERS = 2


def group_bytes(dtype):
    """Return the bytes of one row that lie together in a register, by the queries' dtype.

    On x86, instructions add up neighbouring products or differences. Elsewhere, each value has
    a lane of its own, which is widened.
    """
    groups = {"int16": 4, "int8": 4, "uint8": 8}
    return groups[dtype] if compiles_for_x86() else {"int16": 2, "uint8": 1}[dtype]


def _instruction(builder, names, result, arguments):
    """Call the LLVM intrinsic of an x86 instruction, named for registers of 16, 32 and 64 bytes."""
    bits = result.count * result.element.width
    return call_intrinsic(builder, f"llvm.x86.{names.split()[bits // 256]}", result, arguments)


def _lanes(builder, bits, *vectors):
    """Return the same registers with lanes of so many bits."""
    count = vectors[0].type.count * vectors[0].type.element.width // bits
    return [builder.bitcast(each, ir.VectorType(ir.IntType(bits), count)) for each in vectors]


def add_products(builder, sums, rows, query):
    """Add products of int16: of two values a lane by vpmaddwd on x86, of one by smlal on Arm."""
    if not compiles_for_x86():
        factors = [builder.sext(each, sums.type) for each in (rows, query)]
        return builder.add(sums, builder.mul(*factors))
    names = "sse2.pmadd.wd avx2.pmadd.wd avx512.pmaddw.d.512"
    values = _lanes(builder, 16, rows, query)
    return builder.add(sums, _instruction(builder, names, sums.type, values))


def _add_byte_products(builder, sums, rows, query):
    """Add the products of four bytes of rows by four signed ones: vpdpbusd."""
    names = "avx512.vpdpbusd.128 avx512.vpdpbusd.256 avx512.vpdpbusd.512"
    return _instruction(builder, names, sums.type, [sums, rows, query])


def add_differences(builder, sums, rows, query):
    """Add absolute differences of bytes: vpsadbw on x86, uabd and uaddw on Arm."""
    if not compiles_for_x86():
        larger, smaller = (
            builder.select(builder.icmp_unsigned(sign, rows, query), rows, query) for sign in "><"
        )
        return builder.add(sums, builder.zext(builder.sub(larger, smaller), sums.type))
    names = "sse2.psad.bw avx2.psad.bw avx512.psad.bw.512"
    values = _lanes(builder, 8, rows, query)
    return builder.add(sums, _instruction(builder, names, sums.type, values))


_ACCUMULATE = {"int16": add_products, "int8": _add_byte_products, "uint8": add_differences}


@intrinsic
def fill_registers(_, block, row, query, tile):
    """Compute distances of four queries from TILE_ROWS rows, as `fill_tile` says.

    The dtype of the database, "S" and a number, is a register of so many bytes; that of the
    queries is one of `_ACCUMULATE`. Rows have 144 values, or the length of the queries' rows.
    """
    database, queries = block.types[:2]
    accumulate, group = _ACCUMULATE[queries.dtype.name], group_bytes(queries.dtype.name)
    register, manhattan = database.dtype.count, queries.dtype.name == "uint8"
    loaded = ir.VectorType(ir.IntType(8 * group), register // group)
    # Sums of 144 differences fit into 16 bits; on x86, an instruction returns 64.
    bits = 32 if not manhattan else 64 if compiles_for_x86() else 16 if queries.ndim == 1 else 32
    vector, output = (ir.VectorType(ir.IntType(size), loaded.count) for size in (bits, 32))
    value_bytes = queries.dtype.bitwidth // 8
    size = ir.IntType(64)

    def code(context, builder, signature, arguments):
        packed, first_row, query, target = arguments
        arrays = [builder.extract_value(packed, number) for number in range(4)]
        if queries.ndim == 1:
            length = size(HASH_BYTES)
        else:
            shape = make_array(queries)(context, builder, arrays[1]).shape
            length = builder.extract_value(shape, 1)
        row_bytes = builder.mul(length, size(value_bytes))

        def scaled(index, factor, more=0):
            return builder.add(builder.mul(index, size(factor)), size(more))

        def load(number, byte, kind):
            array_type, array = block.types[number], arrays[number]
            pointer = vector_pointer(context, builder, array_type, array, byte, kind)
            return builder.load(pointer, align=1)

        def add_group(index, row, sums):
            column = builder.add(builder.mul(row, row_bytes), scaled(index, register))
            rows = [
                load(0, builder.add(column, scaled(row_bytes, k * loaded.count)), loaded)
                for k in range(TILE_REGISTERS)
            ]
            for q in range(TILE_QUERIES):
                first = builder.mul(builder.add(query, size(q)), row_bytes)
                byte = builder.add(first, scaled(index, group))
                own = broadcast(builder, loaded, load(1, byte, loaded.element))
                for k in range(TILE_REGISTERS):
                    total = accumulate(builder, builder.load(sums[q, k]), rows[k], own)
                    builder.store(total, sums[q, k])

        def distances(q, k, row, total):
            if bits != 32:
                total = (builder.zext if bits < 32 else builder.trunc)(total, output)
            if manhattan:
                return total
            squares = load(2, scaled(row, 4, 4 * k * loaded.count), output)
            own = load(3, scaled(query, 4, 4 * q), output.element)
            squares = builder.add(squares, broadcast(builder, output, own))
            return builder.sub(squares, builder.add(total, total))

        sums = {
            (q, k): cgutils.alloca_once(builder, vector)
            for q in range(TILE_QUERIES)
            for k in range(TILE_REGISTERS)
        }
        columns = TILE_REGISTERS * loaded.count
        with cgutils.for_range(builder, size(TILE_ROWS // columns), intp=size) as tiles:
            column = scaled(tiles.index, columns)
            row = builder.add(first_row, column)
            for stored in sums.values():
                builder.store(ir.Constant(vector, [0] * vector.count), stored)
            n_groups = builder.udiv(row_bytes, size(group))
            with cgutils.for_range(builder, n_groups, intp=size) as groups:
                add_group(groups.index, row, sums)
            for (q, k), stored in sums.items():
                byte = scaled(column, 4, 4 * (q * TILE_ROWS + k * loaded.count))
                pointer = vector_pointer(context, builder, tile, target, byte, output)
                builder.store(distances(q, k, row, builder.load(stored)), pointer).align = 4
        return context.get_dummy_value()

    return types.void(block, types.intp, types.intp, tile), code
