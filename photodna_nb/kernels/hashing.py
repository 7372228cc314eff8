"""The hash, stage by stage, in the order of the data.

Equation numbers are those of Deryck, Leblanc-Albarel and Preneel, "White-Box
Attacks on PhotoDNA Perceptual Hash Function", IACR eprint 2026/486. Every float
is an IEEE float64, and the order of the operations is part of the definition.

All kernels that call each other live in this file: Numba's cache does not
notice an edit in another one.

Shapes that recur:

- ``rows``: (H, W * channels) uint8, read-only, C order: the rows of an image.
- a *corner axis*, (3, 2, 26): radius, side (0 = upper or left, 1 = lower or
  right), grid point. ``index``, int64, plus ``residue``, float64, is a position in pixels.
- ``corner_sums``, (3, 2, 26, 2, 26) float64: radius, side and grid point in y,
  side and grid point in x.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array

from photodna_nb.kernels.jit import kernel

GRID = 26
CELLS = 6
DIRECTIONS = 4
HASH_BYTES = CELLS * CELLS * DIRECTIONS

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

# Rows of bytes that fit into a uint16 column sum: 257, rounded down to a multiple of 8.
ROWS_PER_SUM = 256
# From so many rows on it is faster to add bytes to uint16 sums first, and those to the columns.
LONG_BAND = 16
# Columns that are summed from the left at once, in uint32 ...
BLOCK = 16
# ... and the rows, at up to 765 a pixel, that they may hold for that.
ROWS_PER_COLUMN = (2**32 - 1) // (765 * BLOCK)


@kernel
def corners(length, index, residue):
    """Box corners along an axis of `length` pixels (Eqs. 5-8).

    index: (3, 2, 26) int64, residue: (3, 2, 26) float64; both are written.
    """
    step = length / 28
    last = float(length - 2)
    for k in range(3):
        radius = RADII[k]
        for u in range(GRID):
            point = (u + 1.5) * step
            # order fixed: rounding
            upper = point + (((-radius) * step) - 1)
            lower = point + radius * step
            for side, corner in enumerate((upper, lower)):
                clamped = max(0.0, min(last, corner))
                index[k, side, u] = int(clamped)
                residue[k, side, u] = clamped - int(clamped)


@kernel
def add_rows(rows, start, stop, columns):
    """Add rows start to stop, at most 257 of them, to the byte columns.

    columns: (W * channels,) uint16, eight rows at a time to save its traffic.
    """
    y = start
    while y + 8 <= stop:
        r0, r1, r2, r3 = rows[y], rows[y + 1], rows[y + 2], rows[y + 3]
        r4, r5, r6, r7 = rows[y + 4], rows[y + 5], rows[y + 6], rows[y + 7]
        for i in range(columns.shape[0]):
            columns[i] = np.uint16(
                columns[i]
                + np.uint16(r0[i])
                + np.uint16(r1[i])
                + np.uint16(r2[i])
                + np.uint16(r3[i])
                + np.uint16(r4[i])
                + np.uint16(r5[i])
                + np.uint16(r6[i])
                + np.uint16(r7[i])
            )
        y += 8
    while y < stop:
        row = rows[y]
        for i in range(columns.shape[0]):
            columns[i] = np.uint16(columns[i] + np.uint16(row[i]))
        y += 1


@kernel
def add_line(line, channels, columns):
    """Add a line's R+G+B to the columns.

    line: (W * channels,) uint8 or uint16; columns: (W,) uint32.
    """
    if channels == 1:
        for x in range(columns.shape[0]):
            columns[x] = np.uint32(columns[x] + np.uint32(line[x]) * np.uint32(3))
    elif channels == 3:
        for x in range(columns.shape[0]):
            r, g, b = line[3 * x], line[3 * x + 1], line[3 * x + 2]
            columns[x] = np.uint32(columns[x] + np.uint32(r) + np.uint32(g) + np.uint32(b))
    else:
        for x in range(columns.shape[0]):
            r, g, b = line[4 * x], line[4 * x + 1], line[4 * x + 2]
            columns[x] = np.uint32(columns[x] + np.uint32(r) + np.uint32(g) + np.uint32(b))


@kernel
def add_band(rows, start, stop, channels, byte_columns, columns):
    """Add rows start to stop to the columns.

    byte_columns: (W * channels,) uint16 is scratch; columns: (W,) uint32.
    """
    while stop - start >= LONG_BAND:
        end = min(stop, start + ROWS_PER_SUM)
        byte_columns[:] = 0
        add_rows(rows, start, end, byte_columns)
        add_line(byte_columns, channels, columns)
        start = end
    for y in range(start, stop):
        add_line(rows[y], channels, columns)


def scan_block(columns, start, total, out):
    """Write total plus the prefix sums of a block of columns; returns the last one."""
    for x in range(start, start + BLOCK):
        total += columns[x]
        out[x] = total
    return total


@overload(scan_block)
def _(columns, start, total, out):  # the names must be scan_block's
    """Compile it to vector instructions, which LLVM does not find by itself."""
    return lambda columns, start, total, out: _scan_block(columns, start, total, out)


@intrinsic
def _scan_block(_, columns, start, total, out):
    """Add the block to itself, shifted by 1, 2, 4 and 8 columns, and to the total so far."""
    for array, element in ((columns, types.uint32), (out, types.float64)):
        if array.dtype != element or array.ndim != 1 or array.layout != "C":
            raise TypingError(f"scan_block needs a C-contiguous vector of {element}, got {array}")

    def code(context, builder, signature, arguments):
        columns, start, total, out = arguments

        def block_of(array, numba_type, element):
            data = make_array(numba_type)(context, builder, array).data
            return builder.bitcast(
                builder.gep(data, [start]), ir.VectorType(element, BLOCK).as_pointer()
            )

        def shuffled(first, second, lanes):
            mask = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), lanes)
            return builder.shuffle_vector(first, second, mask)

        int32, double = ir.IntType(32), ir.DoubleType()
        sums = builder.load(block_of(columns, signature.args[0], int32), align=4)
        zeros = ir.Constant(sums.type, [0] * BLOCK)
        for shift in (1, 2, 4, 8):
            lanes = [0] * shift + [BLOCK + lane for lane in range(BLOCK - shift)]
            sums = builder.add(sums, shuffled(zeros, sums, lanes))
        sums = builder.uitofp(sums, ir.VectorType(double, BLOCK))
        first = builder.insert_element(ir.Constant(sums.type, None), total, int32(0))
        sums = builder.fadd(sums, shuffled(first, first, [0] * BLOCK))
        builder.store(sums, block_of(out, signature.args[3], double)).align = 8
        return builder.extract_element(sums, int32(BLOCK - 1))

    return types.float64(columns, types.intp, types.float64, out), code


@kernel
def prefix_sums(columns, out):
    """Write the sums of the columns from the left.

    columns: (W,) uint32, of at most ROWS_PER_COLUMN rows; out: (W,) float64, which holds
    integers exactly, in any order of addition, up to 2^53.
    """
    total = 0.0
    start = 0
    while start + BLOCK <= columns.shape[0]:
        total = scan_block(columns, start, total, out)
        start += BLOCK
    for x in range(start, columns.shape[0]):
        total += columns[x]
        out[x] = total


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
def corner_line(upper, lower, fy, index_x, residue_x, out):
    """S at the box corners along one line, between their four neighbours (Eq. 9).

    upper, lower: (W,) the lines of S above and below; fy: the residue in y;
    index_x, residue_x: (2, 26) of a corner axis; out: (2, 26) of corner_sums.
    """
    for side in range(2):
        for u in range(GRID):
            x = index_x[side, u]
            fx = residue_x[side, u]
            # order fixed: rounding
            out[side, u] = (
                ((1 - fx) * (1 - fy)) * np.float64(upper[x])
                + ((1 - fx) * fy) * np.float64(lower[x])
                + (fx * (1 - fy)) * np.float64(upper[x + 1])
                + (fx * fy) * np.float64(lower[x + 1])
            )


@kernel
def corner_sums_of_table(table, index_y, residue_y, index_x, residue_x, out):
    """S at the box corners, from the complete table.

    table: (H, W) int64; index_y to residue_x: corner axes; out: corner_sums.
    """
    for k in range(3):
        for side in range(2):
            for v in range(GRID):
                y = index_y[k, side, v]
                fy = residue_y[k, side, v]
                line = out[k, side, v]
                corner_line(table[y], table[y + 1], fy, index_x[k], residue_x[k], line)


@kernel
def corner_sums(rows, channels, index_y, residue_y, index_x, residue_x, out):
    """S at the box corners, in one pass over the pixels.

    index_y to residue_x: corner axes; out: corner_sums. Only the rows beside a corner
    get prefix sums.
    """
    height = rows.shape[0]
    width = rows.shape[1] // channels
    slots = 3 * 2 * GRID
    flat_y, flat_fy = index_y.reshape(slots), residue_y.reshape(slots)
    flat_out = out.reshape((slots, 2, GRID))

    # The slots with a corner below row y, as a list: first[y], then following[slot], until -1.
    first = np.full(height, -1, np.int16)
    following = np.empty(slots, np.int16)
    for slot in range(slots):
        following[slot] = first[flat_y[slot]]
        first[flat_y[slot]] = slot

    byte_columns = np.empty(width * channels, np.uint16)
    columns = np.zeros(width, np.uint32)  # sums of the rows from `base` to `added`
    above = np.zeros(width, np.float64)  # S of the row before `base`
    lines = np.empty((2, width), np.float64)  # S of the newest even and odd row
    base = added = 0
    for y in range(height - 1):
        slot = first[y]
        if slot < 0:
            continue
        for row in range(max(y, added), y + 2):
            line = lines[row % 2]
            while row - base >= ROWS_PER_COLUMN:
                add_band(rows, added, base + ROWS_PER_COLUMN, channels, byte_columns, columns)
                prefix_sums(columns, line)
                above += line
                columns[:] = 0
                base = added = base + ROWS_PER_COLUMN
            add_band(rows, added, row + 1, channels, byte_columns, columns)
            prefix_sums(columns, line)
            if base > 0:
                line += above
            added = row + 1
        while slot >= 0:
            k = slot // (2 * GRID)
            upper, lower = lines[y % 2], lines[(y + 1) % 2]
            corner_line(upper, lower, flat_fy[slot], index_x[k], residue_x[k], flat_out[slot])
            slot = following[slot]


@kernel
def feature_grid(sums, out):
    """Weighted box sums around each grid point (Eqs. 10-11).

    sums: corner_sums; out: (26, 26) float64.
    """
    out[:] = 0.0
    for k in range(3):
        weight = RADIUS_WEIGHTS[k]
        for v in range(GRID):
            for u in range(GRID):
                a, b = sums[k, 0, v, 0, u], sums[k, 0, v, 1, u]
                c, d = sums[k, 1, v, 0, u], sums[k, 1, v, 1, u]
                # order fixed: rounding
                out[v, u] += a * weight - b * weight - c * weight + d * weight


@kernel
def gradients(grid, out):
    """Differences of the feature grid, distributed to 6 x 6 cells in four directions.

    grid: (26, 26) float64; out: (6, 6, 4) float64, the last axis is how much the
    brightness falls to the right, rises to the right, falls downwards, rises downwards.
    """
    out[:] = 0.0
    # order fixed: rounding. Blocks of 4 x 4 points, not row by row.
    for block_v in range(CELLS):
        for block_u in range(CELLS):
            for v in range(4 * block_v + 1, 4 * block_v + 5):
                y = (v - 2.5) * 0.25
                cell_y = int(np.floor(y))
                fy = y - cell_y
                for u in range(4 * block_u + 1, 4 * block_u + 5):
                    x = (u - 2.5) * 0.25
                    cell_x = int(np.floor(x))
                    fx = x - cell_x
                    h = grid[v, u - 1] - grid[v, u + 1]
                    k = grid[v - 1, u] - grid[v + 1, u]
                    for cy, wy in ((cell_y, 1 - fy), (cell_y + 1, fy)):
                        for cx, wx in ((cell_x, 1 - fx), (cell_x + 1, fx)):
                            if 0 <= cy < CELLS and 0 <= cx < CELLS:
                                weight = wx * wy
                                out[cy, cx, 0] += weight * max(h, 0.0)
                                out[cy, cx, 1] += weight * max(-h, 0.0)
                                out[cy, cx, 2] += weight * max(k, 0.0)
                                out[cy, cx, 3] += weight * max(-k, 0.0)


@kernel
def scaled_gradients(raw, height, width, out):
    """Divide by the area of a grid step; the result is in grey levels.

    raw: (6, 6, 4) float64; out: (144,) float64.
    """
    # order fixed: rounding
    scale = (((width / 28) * AREA_FACTOR) * (height / 28)) * 3
    flat = raw.reshape(HASH_BYTES)
    for i in range(HASH_BYTES):
        out[i] = flat[i] / scale


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
        clipped = False
        for i in range(HASH_BYTES):
            value = current[i] / length
            if value >= CLIP and r < MAX_ROUNDS - 1:
                value = CLIP
                clipped = True
            rounds[r, i] = value
        if not clipped:
            return r + 1
        current = rounds[r]
    return MAX_ROUNDS


@kernel
def quantise(vector, out):
    """Bytes of the normalised vector (Eq. 17).

    vector: (144,) float64; out: (144,) uint8.
    """
    for i in range(HASH_BYTES):
        out[i] = np.uint8(max(0.0, min(255.0, (vector[i] * 256) / CLIP)))


@kernel
def hash_rows(rows, channels, out):
    """All stages, from the pixels to the bytes; returns the detail in grey levels.

    rows: (H, W * channels) uint8, H and W at least 2; out: (144,) uint8.
    """
    height = rows.shape[0]
    width = rows.shape[1] // channels
    index_y = np.empty((3, 2, GRID), np.int64)
    index_x = np.empty((3, 2, GRID), np.int64)
    residue_y = np.empty((3, 2, GRID), np.float64)
    residue_x = np.empty((3, 2, GRID), np.float64)
    corners(height, index_y, residue_y)
    corners(width, index_x, residue_x)
    sums = np.empty((3, 2, GRID, 2, GRID), np.float64)
    corner_sums(rows, channels, index_y, residue_y, index_x, residue_x, sums)
    grid = np.empty((GRID, GRID), np.float64)
    feature_grid(sums, grid)
    raw = np.empty((CELLS, CELLS, DIRECTIONS), np.float64)
    gradients(grid, raw)
    scaled = np.empty(HASH_BYTES, np.float64)
    scaled_gradients(raw, height, width, scaled)
    rounds = np.empty((MAX_ROUNDS, HASH_BYTES), np.float64)
    taken = normalisation(scaled, rounds)
    quantise(rounds[taken - 1], out)
    return norm(scaled, 0.0)
