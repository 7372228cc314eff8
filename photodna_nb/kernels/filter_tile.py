"""The filter's two tests, stored in vector registers and written as LLVM code.

`near_boxes` tests eight queries against one box, `near_rows` four queries against the
rows of one block; `boxes_near` and `rows_near` test one query. All work on projections in
single bytes; LLVM turns the generic vector operations into the instructions of the processor
that Numba compiles for. Products of bytes are special: few instruction sets multiply bytes
alike, so `_product_kind` names the instructions that are used.

Formulas and proof: docs/search.md.
"""

from functools import reduce
from itertools import chain

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from photodna_nb.kernels.vector import broadcast, call_intrinsic, has_features, vector_pointer

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
    return "pmaddubsw" if _register_bytes() > 16 or has_features("ssse3") else ""


def has_vnni():
    """Whether one instruction multiplies bytes and adds four products to an int32."""
    return _product_kind() == "vpdpbusd"


def _dpbusd(builder, sums, unsigned, signed):
    """Add the products of four unsigned and four signed bytes to each int32 of `sums`."""
    bits = 32 * sums.type.count
    name = f"llvm.x86.avx512.vpdpbusd.{bits}"
    unsigned, signed = (builder.bitcast(value, sums.type) for value in (unsigned, signed))
    return call_intrinsic(builder, name, sums.type, [sums, unsigned, signed])


def _maddubs(builder, unsigned, signed):
    """Return the sums of the products of two unsigned and two signed bytes, as int16."""
    size = unsigned.type.count
    name = {
        16: "llvm.x86.ssse3.pmadd.ub.sw.128",
        32: "llvm.x86.avx2.pmadd.ub.sw",
        64: "llvm.x86.avx512.pmaddubs.w.512",
    }[size]
    return call_intrinsic(builder, name, ir.VectorType(_INT16, size // 2), [unsigned, signed])


def _vector(element, count):
    return ir.VectorType(element, count)


def _splat(vector, value):
    return ir.Constant(vector, [value] * vector.count)


def _loader(context, builder, kinds, arguments):
    """Return a function that loads from an array, one of the arguments, the vector at a byte."""

    def load(number, byte, pointee):
        kind, array = kinds[number], arguments[number]
        return builder.load(vector_pointer(context, builder, kind, array, byte, pointee), align=1)

    return load


def _squares(builder, values, product_kind):
    """Return the sums of the squares of 8 bytes, 0 to 127, as int32: (size,) to (size / 8,)."""
    size = values.type.count
    if product_kind == "vpdpbusd":
        sums = _dpbusd(builder, _splat(_vector(_INT32, size // 4), 0), values, values)
    else:
        if product_kind == "pmaddubsw":
            squares = _maddubs(builder, values, values)
        else:
            wide = builder.zext(values, _vector(_INT16, size))
            squares = builder.mul(wide, wide)
        sums = _add_halves(builder, squares, 32)
    while sums.type.count > size // BOX_AXES:
        sums = _add_halves(builder, sums, 2 * sums.type.element.width)
    return builder.trunc(sums, _vector(_INT32, size // BOX_AXES))


def _add_halves(builder, values, bits):
    """Return the sums of neighbouring lanes, unsigned, in lanes of so many bits."""
    lanes = values.type.count * values.type.element.width // bits
    wide = _vector(ir.IntType(bits), lanes)
    values = builder.bitcast(values, wide)
    lower = builder.and_(values, _splat(wide, (1 << bits // 2) - 1))
    return builder.add(lower, builder.lshr(values, _splat(wide, bits // 2)))


def _sums_type(size, product_kind):
    """Return the vector with a lane for the sums of each row: one int32, two or four int16."""
    return _vector(_INT32 if product_kind else _INT64, size // GROUP_AXES)


def _first_sums(builder, values, sums_type, product_kind):
    """Return sums that begin with int32 values; of several int16 the highest holds the value."""
    if product_kind == "vpdpbusd":
        return values
    if not product_kind:
        values = builder.zext(values, sums_type)
    return builder.shl(values, _splat(sums_type, sums_type.element.width - 16))


def _add_products(builder, sums, rows, query, product_kind):
    """Add the products of four bytes of every row with four signed bytes of the query."""
    if product_kind == "vpdpbusd":
        return _dpbusd(builder, sums, rows, query)
    if product_kind == "pmaddubsw":
        products = _maddubs(builder, rows, query)
    else:
        wide = _vector(_INT16, rows.type.count)
        products = builder.mul(builder.zext(rows, wide), builder.sext(query, wide))
    added = builder.add(builder.bitcast(sums, products.type), products)
    return builder.bitcast(added, sums.type)


def _last_sums(builder, sums, product_kind):
    """Return values whose signs are those of the sums; several int16 are added modulo 2^16."""
    if product_kind == "vpdpbusd":
        return sums
    halves = _vector(_INT16, sums.type.count * sums.type.element.width // 16)
    bits = sums.type.element.width // 2
    while bits >= 16:
        lower = builder.shl(sums, _splat(sums.type, bits))
        added = builder.add(builder.bitcast(sums, halves), builder.bitcast(lower, halves))
        sums, bits = builder.bitcast(added, sums.type), bits // 2
    return sums


def _larger(builder, a, b):
    """Return the larger one of each lane, int32."""
    return call_intrinsic(builder, f"llvm.smax.v{a.type.count}i32", a.type, [a, b])


def _not_negative(builder, values):
    """Return a bit for each lane."""
    passed = builder.icmp_signed(">=", values, _splat(values.type, 0))
    return builder.bitcast(passed, ir.IntType(values.type.count))


def _eight_boxes(eight_queries, points, low, high, limits):
    """Return the signature and the code of eight queries and a box, or a query and eight boxes."""

    def code(context, builder, signature, arguments):
        load = _loader(context, builder, signature.args, arguments)
        _, query, _, _, box, _, least = arguments
        size, product_kind = _register_bytes(), _product_kind()
        octets, count = _vector(_INT8, size), size // BOX_AXES
        sums_type = _vector(_INT32, count)
        subtract, smaller = f"llvm.usub.sat.v{size}i8", f"llvm.umin.v{size}i8"

        def load_eight(number, index, start, several):
            """Load bytes of several points or sides from `index` + `start` on, or one repeated."""
            first = builder.add(index, _INT64(start if several else 0))
            pointee = octets if several else _INT64
            value = load(number, builder.mul(first, _INT64(BOX_AXES)), pointee)
            if not several:
                value = broadcast(builder, _vector(_INT64, count), value)
            return builder.bitcast(value, octets)

        mask = _INT64(0)
        for start in range(0, BOX_QUERIES, count):
            point = load_eight(0, query, start, eight_queries)
            sides = [load_eight(number, box, start, not eight_queries) for number in (2, 3)]
            outside = builder.or_(
                call_intrinsic(builder, subtract, octets, [sides[0], point]),
                call_intrinsic(builder, subtract, octets, [point, sides[1]]),
            )
            # A smaller distance only finds more to be near; 127 fits into a signed byte.
            outside = call_intrinsic(builder, smaller, octets, [outside, _splat(octets, 127)])
            sums = _squares(builder, outside, product_kind)
            first = builder.add(query, _INT64(start if eight_queries else 0))
            limit = load(5, builder.mul(first, _INT64(4)), sums_type if eight_queries else _INT32)
            if not eight_queries:
                limit = broadcast(builder, sums_type, limit)
            limit = _larger(builder, limit, broadcast(builder, sums_type, least))
            bits = _not_negative(builder, builder.sub(limit, sums))
            mask = builder.or_(mask, builder.shl(builder.zext(bits, _INT64), _INT64(start)))
        return mask

    return types.int64(points, types.intp, low, high, types.intp, limits, types.int32), code


@intrinsic
def near_boxes(_, points, query, low, high, box, limits, least):
    """Return a bit for each of eight queries, from `query` on, that is near a box.

    points: (n, 8) uint8; low, high: (boxes, 8) uint8; limits: (n,) int32, of the
    squared distance of each query; least: int32, that counts where it is larger. n is a
    multiple of 8.
    """
    return _eight_boxes(True, points, low, high, limits)


@intrinsic
def boxes_near(_, points, query, low, high, box, limits, least):
    """Return a bit for each of eight boxes, from `box` on, that is near a query.

    There are eight boxes from there on; the rest is as in `near_boxes`.
    """
    return _eight_boxes(False, points, low, high, limits)


def _near_rows(n_queries, codes, halves, points, listed, chosen, limits, row_limits, masks):
    """Return the signature and the code of `near_rows` for so many queries."""
    own_limits = None if row_limits == types.none else row_limits.types[:2]

    def code(context, builder, signature, arguments):
        load = _loader(context, builder, signature.args, arguments)
        _, block, _, _, axes, _, _, place, _, packed_limits, masks = arguments
        size, product_kind = _register_bytes(), _product_kind()
        sums_type, octets = _sums_type(size, product_kind), _vector(_INT8, size)
        lanes = _vector(_INT32, sums_type.count)
        if own_limits:
            values = (builder.extract_value(packed_limits, number) for number in range(2))
            load_limit = _loader(context, builder, own_limits, list(values))
        queries, query_limits, offsets = [], [], []
        for q in range(n_queries):
            query = builder.add(place, _INT64(q))
            for number in (6, 5):
                query = load(number, builder.mul(query, _INT64(4)), _INT32)
                query = builder.zext(query, _INT64)
            limit = load(8, builder.mul(query, _INT64(4)), _INT32)
            query_limits.append(broadcast(builder, lanes, limit))
            if own_limits:
                offset = load_limit(0, builder.mul(query, _INT64(4)), _INT32)
                offsets.append(broadcast(builder, lanes, offset))
            queries.append(builder.mul(query, axes))
        first_row = builder.mul(block, _INT64(BLOCK_ROWS))
        first_byte = builder.mul(first_row, axes)
        groups = builder.lshr(axes, _INT64(2))
        near: list[list[ir.Value]] = [[] for _ in range(n_queries)]
        # Two registers of rows at a time: with four queries, eight sums stay in registers.
        for start in range(0, BLOCK_ROWS, 2 * lanes.count):
            starts = [start, start + lanes.count]
            sums: list[list[ir.Value]] = []
            for q, limit in enumerate(query_limits):
                sums.append([])
                for row in starts:
                    byte = builder.mul(builder.add(first_row, _INT64(row)), _INT64(4))
                    value = limit
                    if own_limits:
                        value = _larger(builder, limit, load_limit(1, byte, lanes))
                        value = builder.add(value, offsets[q])
                    value = builder.add(value, load(2, byte, lanes))
                    value = _first_sums(builder, value, sums_type, product_kind)
                    sums[-1].append(cgutils.alloca_once_value(builder, value))
            with cgutils.for_range(builder, groups, intp=_INT64) as loop:
                group = builder.mul(loop.index, _INT64(BLOCK_ROWS * GROUP_AXES))
                group = builder.add(first_byte, group)
                rows = [
                    load(0, builder.add(group, _INT64(row * GROUP_AXES)), octets) for row in starts
                ]
                for query, sums_of_query in zip(queries, sums, strict=True):
                    byte = builder.add(query, builder.mul(loop.index, _INT64(GROUP_AXES)))
                    value = broadcast(builder, lanes, load(3, byte, _INT32))
                    value = builder.bitcast(value, octets)
                    for stored, register in zip(sums_of_query, rows, strict=True):
                        old = builder.load(stored)
                        new = _add_products(builder, old, register, value, product_kind)
                        builder.store(new, stored)
            for q, sums_of_query in enumerate(sums):
                near[q] += [
                    _last_sums(builder, builder.load(stored), product_kind)
                    for stored in sums_of_query
                ]
        # The sign of this is negative where those of all are.
        largest = reduce(builder.and_, chain(*near))
        bits = _not_negative(builder, largest)
        any_near = builder.icmp_unsigned("!=", bits, bits.type(0))
        with builder.if_then(any_near, likely=False):
            for q, values in enumerate(near):
                mask = _INT32(0)
                for number, value in enumerate(values):
                    bits = builder.zext(_not_negative(builder, value), _INT32)
                    mask = builder.or_(mask, builder.shl(bits, _INT32(number * lanes.count)))
                byte = _INT64(4 * q)
                kind = signature.args[10]
                pointer = vector_pointer(context, builder, kind, masks, byte, _INT32)
                builder.store(mask, pointer).align = 4
        return any_near

    return types.boolean(
        *(codes, types.intp, halves, points, types.intp, listed, chosen, types.intp),
        *(limits, row_limits, masks),
    ), code


@intrinsic
def near_rows(
    _, codes, block, halves, points, axes, listed, chosen, place, limits, row_limits, masks
):
    """masks[q]: a bit for each row of a block near query listed[chosen[place + q]]; whether any is.

    codes: uint8, flat: [block][axes / 4][32 rows][4]; halves: (rows,) int32;
    points: (n, axes) int8; limits: (n,) int32; masks: (4,) uint32, written if any is near.
    A row is near where limits[query] + halves[row] + the sum of the products of the
    bytes is not negative, which is computed modulo 2^16 where the processor cannot
    do it in 32 bits. row_limits: None, or a tuple that begins with offsets (n,) and limits
    (rows,), int32: the limit is then offsets[query] + the larger limit of query and row.
    """
    types_of_arrays = codes, halves, points, listed, chosen, limits, row_limits, masks
    return _near_rows(TILE_QUERIES, *types_of_arrays)


@intrinsic
def rows_near(
    _, codes, block, halves, points, axes, listed, chosen, place, limits, row_limits, masks
):
    """masks[0]: a bit for each row near query listed[chosen[place]]: `near_rows` for one query."""
    return _near_rows(1, codes, halves, points, listed, chosen, limits, row_limits, masks)


@intrinsic
def lowest_bit(_, mask):
    """Return the number of the lowest bit of a mask, uint32, that is not 0."""

    def code(context, builder, signature, arguments):
        return builder.zext(builder.cttz(arguments[0], ir.IntType(1)(1)), _INT64)

    return types.intp(types.uint32), code
