"""Vectors in LLVM code, for intrinsics: what Numba compiles for, addresses, lanes.

An intrinsic adds LLVM code to the kernel that calls it. The generic vector operations of LLVM
become the instructions of whatever processor Numba compiles for.
"""

from functools import cache

import numba  # noqa: F401 - as in distance.py
from llvmlite import ir
from numba.core import cgutils, config
from numba.core.registry import cpu_target
from numba.np.arrayobj import make_array


def compiled():
    """Whether kernels are compiled, and not run as Python under NUMBA_DISABLE_JIT."""
    return not config.DISABLE_JIT


def has_features(*names):
    """Whether Numba compiles for a processor with all of these LLVM features, as "avx512vnni".

    It asks Numba and not the processor: NUMBA_CPU_NAME and NUMBA_CPU_FEATURES count,
    and so does NUMBA_DISABLE_JIT.
    """
    if not compiled():
        return False
    return {f"+{name}" for name in names} <= target()[1]


def compiles_for_x86():
    """Whether Numba compiles for a 64-bit x86 processor, whose instructions may be named."""
    return target()[0].startswith("x86_64")


@cache
def target():
    """Return the triple and the set of features, as LLVM names them, for which Numba compiles."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    return triple, frozenset(features.split(","))


def vector_pointer(context, builder, kind, array, byte, pointee):
    """Return a pointer to the vector that begins at a byte of an array."""
    data = builder.bitcast(
        make_array(kind)(context, builder, array).data, ir.IntType(8).as_pointer()
    )
    return builder.bitcast(builder.gep(data, [byte]), pointee.as_pointer())


def call_intrinsic(builder, name, result, arguments):
    """Call the LLVM intrinsic of that name, which returns a `result`."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def broadcast(builder, vector, value):
    """Return a vector with `value` in every lane."""
    first = builder.insert_element(ir.Constant(vector, None), value, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, first, lanes)
