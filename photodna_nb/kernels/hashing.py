"""The loops of the hash, stage by stage, in the order of the data.

Equation numbers are those of Deryck, Leblanc-Albarel and Preneel, "White-Box
Attacks on PhotoDNA Perceptual Hash Function", IACR eprint 2026/486. Every float
is an IEEE float64, and the order of the operations is part of the definition.
`photodna_nb.hashing.stages` has what NumPy does in a few operations on whole arrays.

The first call compiles all of them: each allocates nothing, is compiled for one
type of array, and calls as few others as possible, as callers contain those once more.

Shapes that recur:

- ``rows``: (H, W * channels) uint8, read-only, C order: the rows of an image.
- ``index``, int64, plus ``residue``, float64, both (6, 52): positions of the box corners in
  pixels, for three radii in y and then three in x; 26 grid points of the upper or left
  corners, then 26 of the lower or right ones.
- ``corner_sums``, (156, 52) float64: a row for each corner in y (radius, side, grid point),
  a column for each corner in x (side, grid point).
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from photodna_nb.kernels.jit import kernel
from photodna_nb.kernels.vector import broadcast, compiled, vector_pointer

GRID = 26
CELLS = 6
DIRECTIONS = 4
HASH_BYTES = CELLS * CELLS * DIRECTIONS
CORNERS = 2 * GRID

RADII = (0.2, 0.4, 0.8)
RADIUS_WEIGHTS = (
    float.fromhex("0x1.936398bf0aae3p-3"),
    float.fromhex("0x1.caddcd96f4881p-2"),
    float.fromhex("0x1.1cb5cf620ef1dp-2"),
)
AREA_FACTOR = float.fromhex("0x1.07b3705abb25cp0")

MAX_ROUNDS = 10
NORM_START = 1e-8  # no division by zero where all gradients are
CLIP = 0.25

# Rows whose R+G+B fit into a uint16 sum: 85, rounded down to a multiple of ROWS_AT_ONCE.
ROWS_PER_SUM = 84
# Rows, and bytes of each, that are added at once.
ROWS_AT_ONCE = 4
VECTOR = 64
# Pixels that are summed from the left at once.
BLOCK = 16


def add_block(rows, y, number, start, columns):
    """Add the bytes from `start` on, at most VECTOR, of the rows y to y + number to the columns."""
    block = rows[y : y + number, start : start + VECTOR]
    columns[start : start + block.shape[1]] += block.sum(axis=0, dtype=np.uint16)


def scan_block(columns, channels, start, total, above, out):
    """Write `above` plus `total` plus the prefix sums of R+G+B of a block of pixels.

    Returns the total with the block. columns: (> W * channels,) uint16; above, out: (W,) float64,
    W a multiple of BLOCK.
    """
    end = start + BLOCK
    block = columns[start * channels : end * channels].reshape(BLOCK, channels)[:, :3]
    sums = total + (block.sum(axis=1) * (3 if channels == 1 else 1)).cumsum()
    out[start:end] = above[start:end] + sums
    return sums[-1]


def _add_block(_, rows, y, number, start, columns):
    """Compile `add_block`, but always VECTOR bytes: what follows a row is added to the padding."""
    _check_vectors((columns, types.uint16))
    bytes_, sums = (ir.VectorType(ir.IntType(bits), VECTOR) for bits in (8, 16))
    n_rows = number.literal_value

    def code(context, builder, signature, arguments):
        rows, y, _, start, columns = arguments
        shape = make_array(signature.args[0])(context, builder, rows).shape
        width = cgutils.unpack_tuple(builder, shape)[1]
        byte = builder.mul(start, start.type(2))
        target = vector_pointer(context, builder, signature.args[4], columns, byte, sums)
        added = builder.load(target, align=2)
        for number in range(n_rows):
            row = builder.mul(builder.add(y, y.type(number)), width)
            byte = builder.add(row, start)
            pointer = vector_pointer(context, builder, signature.args[0], rows, byte, bytes_)
            added = builder.add(added, builder.zext(builder.load(pointer, align=1), sums))
        builder.store(added, target).align = 2
        return context.get_dummy_value()

    return types.void(rows, types.intp, number, types.intp, columns), code


def _scan_block(_, columns, channels, start, total, above, out):
    """Compile `scan_block`: add the block to itself, shifted by 1, 2, 4 and 8 pixels."""
    _check_vectors((columns, types.uint16), (above, types.float64), (out, types.float64))
    n_channels = channels.literal_value
    integers, floats = (ir.VectorType(kind, BLOCK) for kind in (ir.IntType(32), ir.DoubleType()))
    loaded = ir.VectorType(ir.IntType(16), BLOCK * n_channels)

    def code(context, builder, signature, arguments):
        columns, _, start, total, above, out = arguments

        def at(number, array, bytes_each, vector, more=0):
            byte = builder.add(builder.mul(start, start.type(bytes_each)), start.type(more))
            return vector_pointer(context, builder, signature.args[number], array, byte, vector)

        def shuffled(first, second, lanes):
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
            return builder.shuffle_vector(first, second, lanes)

        block = ir.Constant(loaded, None)  # from each element on, the sum of three
        for channel in range(3):
            pointer = at(0, columns, 2 * n_channels, loaded, 2 * (channel % n_channels))
            block = builder.add(block, builder.load(pointer, align=2))
        if n_channels == 3:
            halves = []
            for half in range(0, 48, 24):
                a, b, c = (
                    shuffled(block, block, range(half + i, half + i + 8)) for i in (0, 8, 16)
                )
                ab = shuffled(a, b, [lane + 8 * (lane % 3 == 1) for lane in range(8)])
                abc = shuffled(ab, c, [lane + 8 * (lane % 3 == 2) for lane in range(8)])
                halves.append(shuffled(abc, abc, [3 * lane % 8 for lane in range(8)]))
            block = shuffled(*halves, range(16))
        elif n_channels == 4:
            block = builder.bitcast(block, ir.VectorType(ir.IntType(64), BLOCK))
            block = builder.trunc(block, ir.VectorType(ir.IntType(16), BLOCK))
        sums, zeros = builder.zext(block, integers), ir.Constant(integers, None)
        for shift in (1, 2, 4, 8):
            lanes = [0] * shift + [BLOCK + lane for lane in range(BLOCK - shift)]
            sums = builder.add(sums, shuffled(zeros, sums, lanes))
        block_total = builder.extract_element(sums, ir.IntType(32)(BLOCK - 1))
        sums = builder.fadd(builder.sitofp(sums, floats), broadcast(builder, floats, total))
        line = builder.fadd(builder.load(at(4, above, 8, floats), align=8), sums)
        builder.store(line, at(5, out, 8, floats)).align = 8
        return builder.fadd(total, builder.sitofp(block_total, floats.element))

    return types.float64(columns, channels, types.intp, types.float64, above, out), code


def _check_vectors(*arrays):
    for array, element in arrays:
        if array.dtype != element or array.ndim != 1 or array.layout != "C":
            raise TypingError(f"needs a C-contiguous vector of {element}, got {array}")


if compiled():  # vector instructions, which LLVM does not find by itself
    add_block = intrinsic(prefer_literal=True)(_add_block)
    scan_block = intrinsic(prefer_literal=True)(_scan_block)


@kernel
def corners(height, width, index, residue):
    """Box corners along both axes (Eqs. 5-8).

    index: (6, 52) int64, residue: (6, 52) float64; both are written.
    """
    for row in range(6):
        length = height if row < 3 else width
        radius = RADII[row % 3]
        step = length / 28
        last = float(length - 2)
        for i in range(CORNERS):
            point = (i % GRID + 1.5) * step
            # order fixed: rounding
            corner = point + (((-radius) * step) - 1) if i < GRID else point + radius * step
            clamped = max(0.0, min(last, corner))
            index[row, i] = np.int64(clamped)
            residue[row, i] = clamped - index[row, i]


@kernel
def add_rows(rows, start, stop, columns):
    """Add rows start to stop, at most ROWS_PER_SUM of them, but not the last one, to the columns.

    rows: at least VECTOR bytes wide; columns: (at least VECTOR more,) uint16.
    """
    y = start
    while y + ROWS_AT_ONCE <= stop:
        for x in range(0, rows.shape[1], VECTOR):
            add_block(rows, y, ROWS_AT_ONCE, x, columns)
        y += ROWS_AT_ONCE
    while y < stop:
        for x in range(0, rows.shape[1], VECTOR):
            add_block(rows, y, 1, x, columns)
        y += 1


@kernel
def prefix_sums(columns, channels, above, out):
    """Write `above` plus the sums of R+G+B of the columns from the left.

    columns: (> W * channels,) uint16; above, out: (W,) float64, W a multiple of BLOCK. Floats
    hold integers exactly, in any order of addition, up to 2^53.
    """
    total = 0.0
    if channels == 1:
        for x in range(0, out.shape[0], BLOCK):
            total = scan_block(columns, 1, x, total, above, out)
    elif channels == 3:
        for x in range(0, out.shape[0], BLOCK):
            total = scan_block(columns, 3, x, total, above, out)
    else:
        for x in range(0, out.shape[0], BLOCK):
            total = scan_block(columns, 4, x, total, above, out)


@kernel
def pixel_sums(rows, channels, out):
    """Write the complete table S: R+G+B over rows 0..y and columns 0..x, both inclusive.

    out: (H, W) int64. It is for inspection; the hash reads `corner_sums` only.
    """
    out[:] = 0
    for y in range(out.shape[0]):
        total = np.int64(0)
        for x in range(out.shape[1]):
            for channel in range(3):
                total += np.int64(rows[y, x * channels + channel % channels])
            out[y, x] = total + (out[y - 1, x] if y > 0 else 0)


@kernel
def corner_line(upper, lower, fy, index, residue, out):
    """S at the box corners along one line, between their four neighbours (Eq. 9).

    upper, lower: (W,) the lines of S above and below; fy: the residue in y;
    index, residue: (52,) corners in x; out: (52,), a row of corner_sums.
    """
    for i in range(CORNERS):
        x = index[i]
        fx = residue[i]
        # order fixed: rounding
        out[i] = (
            ((1 - fx) * (1 - fy)) * np.float64(upper[x])
            + ((1 - fx) * fy) * np.float64(lower[x])
            + (fx * (1 - fy)) * np.float64(upper[x + 1])
            + (fx * fy) * np.float64(lower[x + 1])
        )


@kernel
def corner_sums_of_table(table, index, residue, out):
    """S at the box corners, from the complete table.

    table: (H, W) int64; index, residue: corners; out: corner_sums.
    """
    for row in range(3 * CORNERS):
        k, i = row // CORNERS, row % CORNERS
        y = index[k, i]
        corner_line(table[y], table[y + 1], residue[k, i], index[3 + k], residue[3 + k], out[row])


@kernel
def corner_sums(rows, channels, order, index, residue, columns, lines, out):
    """S at the box corners, in one pass over the pixels.

    rows: at least VECTOR bytes wide; order: (156,) int64, rows of corner_sums by `index`; lines:
    (3, V) float64, V >= W a multiple of BLOCK, and columns: (V * channels + VECTOR,) uint16, of
    zeros; out: corner_sums. Only the rows beside a corner get prefix sums.
    """
    # Columns: sums of the rows from `base` to `added`. Lines: S of the newest even and odd
    # row beside a corner, and of the row before `base`.
    base = added = np.int64(0)  # a plain 0 would compile add_rows for that constant, too
    for i in range(order.shape[0]):
        k, corner = order[i] // CORNERS, order[i] % CORNERS
        y = index[k, corner]
        # The last row is not read: below a corner in the last but one, its weight is 0.
        for row in range(max(y, added), min(y + 2, rows.shape[0] - 1)):
            reached = False
            while not reached:
                stop = min(row + 1, base + ROWS_PER_SUM)
                add_rows(rows, added, stop, columns)
                added = stop
                reached = stop < base + ROWS_PER_SUM
                prefix_sums(columns, channels, lines[2], lines[row % 2 if reached else 2])
                if not reached:
                    columns[:] = 0
                    base = stop
        upper, lower = lines[y % 2], lines[(y + 1) % 2]
        fy = residue[k, corner]
        corner_line(upper, lower, fy, index[3 + k], residue[3 + k], out[order[i]])


@kernel
def feature_grid(sums, out):
    """Weighted box sums around each grid point (Eqs. 10-11).

    sums: corner_sums; out: (26, 26) float64.
    """
    for v in range(GRID):
        for u in range(GRID):
            total = 0.0
            for k in range(3):
                weight = RADIUS_WEIGHTS[k]
                upper = CORNERS * k + v
                a, b = sums[upper, u], sums[upper, GRID + u]
                c, d = sums[upper + GRID, u], sums[upper + GRID, GRID + u]
                # order fixed: rounding
                total += a * weight - b * weight - c * weight + d * weight
            out[v, u] = total


@kernel
def gradients(grid, out):
    """Differences of the feature grid, distributed to cells in four directions.

    grid: (676,) float64, the feature grid; out: (8, 8, 4) float64 of zeros, 6 x 6 cells and
    a border that is not part of the hash; its last axis is how much the brightness falls to
    the right, rises to the right, falls downwards, rises downwards.
    """
    # order fixed: rounding. Blocks of 4 x 4 points, not row by row.
    for block_v in range(CELLS):
        for block_u in range(CELLS):
            for v in range(4 * block_v + 1, 4 * block_v + 5):
                for u in range(4 * block_u + 1, 4 * block_u + 5):
                    # Eighths of a cell: cells have sides of four points, and centres between two.
                    cell_y, fy = (2 * v + 3) // 8, (2 * v + 3) % 8 * 0.125
                    cell_x, fx = (2 * u + 3) // 8, (2 * u + 3) % 8 * 0.125
                    point = GRID * v + u
                    for direction in range(DIRECTIONS):
                        step = (1 if direction < 2 else GRID) * (1 - 2 * (direction % 2))
                        fall = grid[point - step] - grid[point + step]
                        if fall > 0:
                            out[cell_y, cell_x, direction] += (1 - fx) * (1 - fy) * fall
                            out[cell_y, cell_x + 1, direction] += fx * (1 - fy) * fall
                            out[cell_y + 1, cell_x, direction] += (1 - fx) * fy * fall
                            out[cell_y + 1, cell_x + 1, direction] += fx * fy * fall


@kernel
def norm(vector, start):
    """Root of `start` plus the squares of `vector` (144,), added one after another.

    order fixed: rounding
    """
    total = start
    for i in range(HASH_BYTES):
        total = total + vector[i] * vector[i]
    return np.sqrt(total)


@kernel
def normalisation(scaled, rounds):
    """Divide by the norm and clip at 0.25 until nothing is clipped; returns the rounds taken.

    scaled: (144,) float64; rounds: (10, 144) float64, a row is written for each round.
    """
    current = scaled
    for r in range(MAX_ROUNDS):
        length = norm(current, NORM_START)
        limit = CLIP if r < MAX_ROUNDS - 1 else np.inf
        largest = 0.0
        for i in range(HASH_BYTES):
            value = current[i] / length
            largest = max(largest, value)
            rounds[r, i] = min(value, limit)
        if largest < CLIP:
            return r + 1
        current = rounds[r]
    return MAX_ROUNDS
