"""The distance of two hashes in vector registers, written as LLVM code.

For pairs of rows here and there: LLVM compiles a loop over 144 bytes to twice as many
instructions, in registers half as wide, and calls it.

Hashes of 144 bytes are arrays (n, 144). Those of another length, a multiple of 16, are arrays
(n, length / 16, 16): their dimensions tell the kernels what they are compiled for.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from photodna_nb.kernels.register_tile import (
    HASH_BYTES,
    STEP_BYTES,
    add_differences,
    add_products,
)
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

    int64 = ir.IntType(64)

    def code(context, builder, signature, arguments):
        if rows.ndim == 2:
            length = int64(HASH_BYTES)
        else:
            shape = make_array(rows)(context, builder, arguments[2]).shape
            length = builder.mul(builder.extract_value(shape, 1), int64(STEP_BYTES))

        def load(number, byte):
            kind, array = signature.args[number], arguments[number]
            byte = builder.add(builder.mul(arguments[number + 1], length), byte)
            pointer = vector_pointer(context, builder, kind, array, byte, octets)
            return builder.load(pointer, align=1)

        def added(total, byte):
            own, row = (load(number, byte) for number in (0, 2))
            if manhattan:
                return add_differences(builder, total, row, own)
            difference = builder.sub(builder.zext(row, wide), builder.zext(own, wide))
            return add_products(builder, total, difference, difference)

        sums = [ir.Constant(sums_type, None)] * _SUMS
        if rows.ndim == 2:
            for step in range(HASH_BYTES // size):
                sums[step % _SUMS] = added(sums[step % _SUMS], int64(step * size))
        else:
            stored = cgutils.alloca_once_value(builder, sums[0])
            n_steps = builder.udiv(length, int64(size))
            with cgutils.for_range(builder, n_steps, intp=int64) as loop:
                byte = builder.mul(loop.index, int64(size))
                builder.store(added(builder.load(stored), byte), stored)
            sums[0] = builder.load(stored)
        total = builder.add(builder.add(sums[0], sums[1]), sums[2])
        name = f"llvm.vector.reduce.add.v{count}i{bits}"
        total = call_intrinsic(builder, name, sums_type.element, [total])
        return total if bits == 32 else builder.trunc(total, ir.IntType(32))

    return types.int32(queries, types.intp, rows, types.intp), code


@intrinsic
def squared_distance(_, queries, query, rows, row):
    """Return the squared L2 distance of a query and a row of two arrays of uint8."""
    return _typed(False, queries, rows)


@intrinsic
def manhattan_distance(_, queries, query, rows, row):
    """Return the L1 distance of a query and a row of two arrays of uint8."""
    return _typed(True, queries, rows)
