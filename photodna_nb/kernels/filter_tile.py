"""The filter's two tests, stored in vector registers and written as LLVM code.

`near_boxes` tests eight queries against one box, `near_rows` four queries against the
rows of one block. Both work on projections in single bytes; LLVM turns the generic
vector operations into the instructions of the processor that Numba compiles for.
Products of bytes are special: few instruction sets multiply bytes alike, so
`_product_kind` names the instructions that are used.

Formulas and proof: docs/search.md.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from photodna_nb.kernels.vector import broadcast, has_features, vector_pointer

# Rows of a block, axes of a box, and queries that are tested at once: against a box, rows.
BLOCK_ROWS = 32
BOX_AXES = 8
BOX_QUERIES = 8
TILE_QUERIES = 4
# Axes whose bytes lie side by side in a register lane of 32 bits.
GROUP_AXES = 4
# The largest absolute value of a projected coordinate: twice its product with a shifted
# coordinate, 2 * 180 * 90, fits into an int16.
CLIP = 90

_INT8, _INT16, _INT32, _INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _register_bytes():
    """Return the bytes of the vector registers that Numba compiles for."""
    if has_features("avx512f", "avx512bw"):
        return 64
    return 32 if has_features("avx2") else 16


def _product_kind():
    """Return the instruction that multiplies bytes: "vpdpbusd", "pmaddubsw" or "" for none."""
    if _register_bytes() == 64 and has_features("avx512vnni"):
        return "vpdpbusd"
    if _register_bytes() == 32 and has_features("avxvnni"):
        return "vpdpbusd"
    return "pmaddubsw" if has_features("ssse3") else ""


def has_vnni():
    """Whether one instruction multiplies bytes and adds four products to an int32."""
    return _product_kind() == "vpdpbusd"


def _call(builder, name, result, arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _dpbusd(builder, sums, unsigned, signed):
    """Add the products of four unsigned and four signed bytes to each int32 of `sums`."""
    bits = 32 * sums.type.count
    name = f"llvm.x86.avx512.vpdpbusd.{bits}"
    unsigned, signed = (builder.bitcast(value, sums.type) for value in (unsigned, signed))
    return _call(builder, name, sums.type, [sums, unsigned, signed])


def _maddubs(builder, unsigned, signed):
    """Return the sums of the products of two unsigned and two signed bytes, as int16."""
    size = unsigned.type.count
    name = {
        16: "llvm.x86.ssse3.pmadd.ub.sw.128",
        32: "llvm.x86.avx2.pmadd.ub.sw",
        64: "llvm.x86.avx512.pmaddubs.w.512",
    }[size]
    return _call(builder, name, ir.VectorType(_INT16, size // 2), [unsigned, signed])


def _vector(element, count):
    return ir.VectorType(element, count)


def _splat(vector, value):
    return ir.Constant(vector, [value] * vector.count)


def _load(context, builder, kind, array, byte, pointee):
    return builder.load(vector_pointer(context, builder, kind, array, byte, pointee), align=1)


def _squares(builder, values, product_kind):
    """Return the sums of the squares of 4 bytes, 0 to 127, as int32: (size,) to (size / 4,)."""
    size = values.type.count
    sums = _vector(_INT32, size // 4)
    if product_kind == "vpdpbusd":
        return _dpbusd(builder, _splat(sums, 0), values, values)
    if product_kind == "pmaddubsw":
        pairs = builder.bitcast(_maddubs(builder, values, values), sums)
        sixteen = _splat(sums, 16)
        upper = builder.lshr(pairs, sixteen)
        return builder.add(builder.and_(pairs, _splat(sums, 0xFFFF)), upper)
    wide = builder.zext(values, _vector(_INT16, size))
    squares = builder.bitcast(builder.mul(wide, wide), _vector(_INT32, size // 2))
    sixteen = _splat(squares.type, 16)
    squares = builder.add(
        builder.and_(squares, _splat(squares.type, 0xFFFF)), builder.lshr(squares, sixteen)
    )
    squares = builder.bitcast(squares, _vector(_INT64, size // 4))
    squares = builder.add(squares, builder.lshr(squares, _splat(squares.type, 32)))
    return builder.trunc(squares, sums)


@intrinsic
def near_boxes(_, points, query, low, high, box, limits):
    """Return a bit for each of eight queries that is near a box.

    points: (n, 8) uint8; low, high: (boxes, 8) uint8; limits: (n,) int32, of the
    squared distance of each query. n is a multiple of 8.
    """

    def code(context, builder, signature, arguments):
        points, query, low, high, box, limits = arguments
        size, product_kind = _register_bytes(), _product_kind()
        octets = _vector(_INT8, size)
        eights = _vector(_INT64, size // BOX_AXES)

        def box_side(number, array):
            byte = builder.mul(box, _INT64(BOX_AXES))
            value = _load(context, builder, signature.args[number], array, byte, _INT64)
            return builder.bitcast(broadcast(builder, eights, value), octets)

        low_side, high_side = box_side(2, low), box_side(3, high)
        mask = _INT64(0)
        count = size // BOX_AXES
        for start in range(0, BOX_QUERIES, count):
            first = builder.add(query, _INT64(start))
            byte = builder.mul(first, _INT64(BOX_AXES))
            point = _load(context, builder, signature.args[0], points, byte, octets)
            name = f"llvm.usub.sat.v{size}i8"
            outside = builder.or_(
                _call(builder, name, octets, [low_side, point]),
                _call(builder, name, octets, [point, high_side]),
            )
            # A smaller distance only finds more to be near; 127 fits into a signed byte.
            outside = _call(builder, f"llvm.umin.v{size}i8", octets, [outside, _splat(octets, 127)])
            sums = builder.bitcast(_squares(builder, outside, product_kind), eights)
            sums = builder.add(sums, builder.lshr(sums, _splat(eights, 32)))
            sums = builder.trunc(sums, _vector(_INT32, count))
            byte = builder.mul(first, _INT64(4))
            limit = _load(context, builder, signature.args[5], limits, byte, sums.type)
            near = builder.icmp_signed("<=", sums, limit)
            bits = builder.zext(builder.bitcast(near, ir.IntType(count)), _INT64)
            mask = builder.or_(mask, builder.shl(bits, _INT64(start)))
        return mask

    return types.int64(points, types.intp, low, high, types.intp, limits), code


@intrinsic
def near_rows(_, codes, block, halves, points, axes, listed, chosen, place, limits, masks):
    """masks[q]: a bit for each row of a block near query listed[chosen[place + q]]; whether any is.

    codes: uint8, flat: [block][axes / 4][32 rows][4]; halves: (rows,) int32;
    points: (n, axes) int8; limits: (n,) int32; masks: (4,) uint32, written if any is near.
    A row is near where limits[query] + halves[row] + the sum of the products of the
    bytes is not negative, which is computed modulo 2^16 where the processor cannot
    do it in 32 bits.
    """

    def code(context, builder, signature, arguments):
        codes, block, halves, points, axes, listed, chosen, place, limits, masks = arguments
        size, product_kind = _register_bytes(), _product_kind()
        lanes = size // GROUP_AXES
        octets = _vector(_INT8, size)
        # Each lane of `sums` belongs to a row: one int32, two or four int16.
        sums_type, shift = {
            "vpdpbusd": (_vector(_INT32, lanes), 0),
            "pmaddubsw": (_vector(_INT32, lanes), 16),
            "": (_vector(_INT64, lanes), 48),
        }[product_kind]
        registers = 2
        element = sums_type.element

        def multiplied(sums, rows, query):
            if product_kind == "vpdpbusd":
                return _dpbusd(builder, sums, rows, query)
            if product_kind == "pmaddubsw":
                products = _maddubs(builder, rows, query)
            else:
                wide = _vector(_INT16, size)
                products = builder.mul(builder.zext(rows, wide), builder.sext(query, wide))
            sums = builder.add(builder.bitcast(sums, products.type), products)
            return builder.bitcast(sums, sums_type)

        queries, starts = [], []
        for q in range(TILE_QUERIES):
            byte = builder.mul(builder.add(place, _INT64(q)), _INT64(4))
            number = _load(context, builder, signature.args[6], chosen, byte, _INT32)
            byte = builder.mul(builder.zext(number, _INT64), _INT64(4))
            number = _load(context, builder, signature.args[5], listed, byte, _INT32)
            query = builder.zext(number, _INT64)
            byte = builder.mul(query, _INT64(4))
            limit = _load(context, builder, signature.args[8], limits, byte, _INT32)
            starts.append(broadcast(builder, _vector(_INT32, lanes), limit))
            queries.append(builder.mul(query, axes))
        block_bytes = builder.mul(axes, _INT64(BLOCK_ROWS))
        groups = builder.lshr(axes, _INT64(2))
        near: list[list[ir.Value]] = [[] for _ in range(TILE_QUERIES)]
        any_near = ir.IntType(1)(0)
        for first in range(0, BLOCK_ROWS, registers * lanes):
            halves_at = [
                _load(
                    context,
                    builder,
                    signature.args[2],
                    halves,
                    builder.mul(
                        builder.add(
                            builder.mul(block, _INT64(BLOCK_ROWS)),
                            _INT64(first + number * lanes),
                        ),
                        _INT64(4),
                    ),
                    _vector(_INT32, lanes),
                )
                for number in range(registers)
            ]

            def start_value(q, number, halves_at=halves_at):
                value = builder.add(starts[q], halves_at[number])
                if element.width == 64:
                    value = builder.zext(value, sums_type)
                return builder.shl(value, _splat(sums_type, shift)) if shift else value

            sums = [
                [
                    cgutils.alloca_once_value(builder, start_value(q, number))
                    for number in range(registers)
                ]
                for q in range(TILE_QUERIES)
            ]
            base = builder.add(builder.mul(block, block_bytes), _INT64(first * GROUP_AXES))
            with cgutils.for_range(builder, groups, intp=_INT64) as loop:
                group = builder.add(base, builder.mul(loop.index, _INT64(BLOCK_ROWS * GROUP_AXES)))
                rows = [
                    _load(
                        context,
                        builder,
                        signature.args[0],
                        codes,
                        builder.add(group, _INT64(number * size)),
                        octets,
                    )
                    for number in range(registers)
                ]
                for q in range(TILE_QUERIES):
                    byte = builder.add(queries[q], builder.mul(loop.index, _INT64(GROUP_AXES)))
                    value = _load(context, builder, signature.args[3], points, byte, _INT32)
                    value = broadcast(builder, _vector(_INT32, lanes), value)
                    value = builder.bitcast(value, octets)
                    for stored, register in zip(sums[q], rows, strict=True):
                        builder.store(multiplied(builder.load(stored), register, value), stored)
            farthest = None
            for q in range(TILE_QUERIES):
                for stored in sums[q]:
                    value = builder.load(stored)
                    if product_kind == "pmaddubsw":
                        value = builder.add(value, builder.shl(value, _splat(sums_type, 16)))
                    elif not product_kind:
                        for bits in (32, 16):
                            lower = builder.shl(value, _splat(sums_type, bits))
                            value, lower = (
                                builder.bitcast(half, _vector(_INT16, size))
                                for half in (value, lower)
                            )
                            value = builder.bitcast(builder.add(value, lower), sums_type)
                    near[q].append(value)
                    farthest = value if farthest is None else builder.and_(farthest, value)
            passed = builder.icmp_signed(">=", farthest, _splat(sums_type, 0))
            passed = builder.bitcast(passed, ir.IntType(lanes))
            any_near = builder.or_(
                any_near, builder.icmp_unsigned("!=", passed, ir.IntType(lanes)(0))
            )
        with builder.if_then(any_near, likely=False):
            for q in range(TILE_QUERIES):
                mask = _INT32(0)
                for number, value in enumerate(near[q]):
                    passed = builder.icmp_signed(">=", value, _splat(sums_type, 0))
                    bits = builder.bitcast(passed, ir.IntType(lanes))
                    bits = builder.zext(bits, _INT32) if lanes < 32 else bits
                    mask = builder.or_(mask, builder.shl(bits, _INT32(number * lanes)))
                pointer = vector_pointer(
                    context, builder, signature.args[9], masks, _INT64(4 * q), _INT32
                )
                builder.store(mask, pointer).align = 4
        return any_near

    return types.boolean(
        codes, types.intp, halves, points, types.intp, listed, chosen, types.intp, limits, masks
    ), code


@intrinsic
def lowest_bit(_, mask):
    """Return the number of the lowest bit of a mask, uint32, that is not 0."""

    def code(context, builder, signature, arguments):
        return builder.zext(builder.cttz(arguments[0], ir.IntType(1)(1)), _INT64)

    return types.intp(types.uint32), code
