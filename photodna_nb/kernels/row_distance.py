"""The distance of two hashes in vector registers, written as LLVM code.

For pairs of rows here and there: LLVM compiles a loop over 144 bytes to twice as many
instructions, in registers half as wide, and calls it.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from photodna_nb.kernels.register_tile import HASH_BYTES, add_differences, add_products
from photodna_nb.kernels.vector import (
    call_intrinsic,
    compiles_for_x86,
    has_features,
    vector_pointer,
)

# Sums that do not wait for each other.
_SUMS = 3


def _typed(manhattan, queries, rows):
    """Return the signature and the code of the distance of queries[query] and rows[row]."""
    x86 = compiles_for_x86()
    # Bytes that are loaded at once: 16, or as many as make a register of int16.
    size = 16 if manhattan or not x86 or has_features("avx2") else 8
    octets, wide = (ir.VectorType(ir.IntType(bits), size) for bits in (8, 16))
    bits, count = (64, 2) if manhattan and x86 else (32, size // 2 if x86 else size)
    sums_type = ir.VectorType(ir.IntType(bits), count)

    def code(context, builder, signature, arguments):
        def load(number, byte):
            kind, array = signature.args[number], arguments[number]
            start = builder.mul(arguments[number + 1], ir.IntType(64)(HASH_BYTES))
            byte = builder.add(start, ir.IntType(64)(byte))
            pointer = vector_pointer(context, builder, kind, array, byte, octets)
            return builder.load(pointer, align=1)

        sums = [ir.Constant(sums_type, None)] * _SUMS
        for step in range(HASH_BYTES // size):
            own, row = (load(number, step * size) for number in (0, 2))
            total = sums[step % _SUMS]
            if manhattan:
                total = add_differences(builder, total, row, own)
            else:
                difference = builder.sub(builder.zext(row, wide), builder.zext(own, wide))
                total = add_products(builder, total, difference, difference)
            sums[step % _SUMS] = total
        total = builder.add(builder.add(sums[0], sums[1]), sums[2])
        name = f"llvm.vector.reduce.add.v{count}i{bits}"
        total = call_intrinsic(builder, name, sums_type.element, [total])
        return total if bits == 32 else builder.trunc(total, ir.IntType(32))

    return types.int32(queries, types.intp, rows, types.intp), code


@intrinsic
def squared_distance(_, queries, query, rows, row):
    """Return the squared L2 distance of a query and a row, of (n, 144) and (m, 144) uint8."""
    return _typed(False, queries, rows)


@intrinsic
def manhattan_distance(_, queries, query, rows, row):
    """Return the L1 distance of a query and a row, of (n, 144) and (m, 144) uint8."""
    return _typed(True, queries, rows)
