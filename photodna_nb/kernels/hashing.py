"""The hash, stage by stage, in the order of the data.

Equation numbers are those of Deryck, Leblanc-Albarel and Preneel, "White-Box
Attacks on PhotoDNA Perceptual Hash Function", IACR eprint 2026/486. Every float
is an IEEE float64, and the order of the operations is part of the definition.

All kernels that call each other live in this file: Numba's cache does not
notice an edit in another one.

Shapes that recur:

- ``rows``: (H, W * channels) uint8, read-only, C order: the rows of an image.
- a *corner axis*, (3, 2, 26): radius, side (0 = upper or left, 1 = lower or
  right), grid point.
- ``corner_sums``: (3, 2, 2, 26, 2, 2, 26) float64: radius, then side, neighbour
  (0 or +1) and grid point in y, then the same in x.
"""

import numpy as np

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
CLIP = 0.25

# Rows of bytes that fit into a uint16 column sum: 257, rounded down to whole eights.
ROWS_PER_SUM = 256


@kernel
def corners(length, whole, residue):
    """Box corners along an axis of `length` pixels (Eqs. 5-8).

    whole: (3, 2, 26) int64, residue: (3, 2, 26) float64; both are written.
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
                whole[k, side, u] = int(clamped)
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
def add_line(line, channels, pixels, prefix):
    """Add a line's R+G+B, summed from the left, to `prefix` (W,) int64.

    line: (W * channels,) uint8 or uint16; pixels: (W,) uint32 is scratch.
    """
    # Two loops: the first one vectorises, the second one is a chain of additions.
    if channels == 1:
        for x in range(pixels.shape[0]):
            pixels[x] = np.uint32(np.uint32(line[x]) * np.uint32(3))
    elif channels == 3:
        for x in range(pixels.shape[0]):
            pixels[x] = np.uint32(
                np.uint32(line[3 * x]) + np.uint32(line[3 * x + 1]) + np.uint32(line[3 * x + 2])
            )
    else:
        for x in range(pixels.shape[0]):
            pixels[x] = np.uint32(
                np.uint32(line[4 * x]) + np.uint32(line[4 * x + 1]) + np.uint32(line[4 * x + 2])
            )
    total = np.int64(0)
    for x in range(pixels.shape[0]):
        total += np.int64(pixels[x])
        prefix[x] += total


@kernel
def pixel_sums(rows, channels, out):
    """Write the whole table S: R+G+B over rows 0..y and columns 0..x, both inclusive.

    out: (H, W) int64. For looking at; the hash reads `corner_sums` alone.
    """
    prefix = np.zeros(out.shape[1], np.int64)
    pixels = np.empty(out.shape[1], np.uint32)
    for y in range(out.shape[0]):
        add_line(rows[y], channels, pixels, prefix)
        out[y] = prefix


@kernel
def corner_row(slot, whole_y):
    """Return the row of S that a slot, the first index of corner_sums as (312, 2, 2, 26), reads."""
    k, side = slot // (4 * GRID), slot // (2 * GRID) % 2
    neighbour, v = slot // GRID % 2, slot % GRID
    return whole_y[k, side, v] + neighbour


@kernel
def read_corner_line(prefix, slot, whole_x, out):
    """Copy one line of S at the corner columns of the slot's radius.

    prefix: (W,) a line of S; out: corner_sums as (312, 2, 2, 26); slot: its first index.
    """
    k = slot // (4 * GRID)
    for side in range(2):
        for u in range(GRID):
            x = whole_x[k, side, u]
            out[slot, side, 0, u] = prefix[x]
            out[slot, side, 1, u] = prefix[x + 1]


@kernel
def corner_sums_of_table(table, whole_y, whole_x, out):
    """S at the corners and their right and lower neighbours, from the whole table.

    table: (H, W) int64; whole_y, whole_x: corner axes; out: corner_sums.
    """
    lines = out.reshape((12 * GRID, 2, 2, GRID))
    for slot in range(12 * GRID):
        read_corner_line(table[corner_row(slot, whole_y)], slot, whole_x, lines)


@kernel
def corner_sums(rows, channels, whole_y, whole_x, out):
    """S at the corners and their right and lower neighbours, in one pass over the pixels.

    whole_y, whole_x: corner axes; out: corner_sums. Only the rows that are read
    get a prefix sum; the rows between them are added up byte by byte.
    """
    height = rows.shape[0]
    width = rows.shape[1] // channels
    lines = out.reshape((12 * GRID, 2, 2, GRID))

    # The slots that read row y, as a list: first[y], then following[slot], until -1.
    first = np.full(height, -1, np.int16)
    following = np.empty(12 * GRID, np.int16)
    for slot in range(12 * GRID):
        y = corner_row(slot, whole_y)
        following[slot] = first[y]
        first[y] = slot

    prefix = np.zeros(width, np.int64)
    pixels = np.empty(width, np.uint32)
    columns = np.empty(rows.shape[1], np.uint16)
    start = 0
    for y in range(height):
        slot = first[y]
        if slot < 0:
            continue
        if start == y:
            add_line(rows[y], channels, pixels, prefix)
            start += 1
        while start <= y:
            stop = min(y + 1, start + ROWS_PER_SUM)
            columns[:] = 0
            add_rows(rows, start, stop, columns)
            add_line(columns, channels, pixels, prefix)
            start = stop
        while slot >= 0:
            read_corner_line(prefix, slot, whole_x, lines)
            slot = following[slot]


@kernel
def sample(sums, side_y, v, fy, side_x, u, fx):
    """Return S at a box corner, between its four neighbours (Eq. 9).

    sums: corner_sums of one radius; fy, fx: the corner's residues. order fixed: rounding
    """
    return (
        ((1 - fx) * (1 - fy)) * sums[side_y, 0, v, side_x, 0, u]
        + ((1 - fx) * fy) * sums[side_y, 1, v, side_x, 0, u]
        + (fx * (1 - fy)) * sums[side_y, 0, v, side_x, 1, u]
        + (fx * fy) * sums[side_y, 1, v, side_x, 1, u]
    )


@kernel
def feature_grid(sums, residue_y, residue_x, out):
    """Weighted box sums around each grid point (Eqs. 9-11).

    sums: corner_sums; residue_y, residue_x: corner axes; out: (26, 26) float64.
    """
    out[:] = 0.0
    for k in range(3):
        weight = RADIUS_WEIGHTS[k]
        of_radius = sums[k]
        for v in range(GRID):
            upper, lower = residue_y[k, 0, v], residue_y[k, 1, v]
            for u in range(GRID):
                left, right = residue_x[k, 0, u], residue_x[k, 1, u]
                a = sample(of_radius, 0, v, upper, 0, u, left)
                b = sample(of_radius, 0, v, upper, 1, u, right)
                c = sample(of_radius, 1, v, lower, 0, u, left)
                d = sample(of_radius, 1, v, lower, 1, u, right)
                # order fixed: rounding
                out[v, u] += a * weight - b * weight - c * weight + d * weight


@kernel
def gradients(grid, out):
    """Differences of the feature grid, shared out to 6 x 6 cells in four directions.

    grid: (26, 26) float64; out: (6, 6, 4) float64, the last axis being how much the
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
    """Divide by the area of a grid step, which leaves grey levels.

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
        length = norm(current, 1e-8)
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
    whole_y = np.empty((3, 2, GRID), np.int64)
    whole_x = np.empty((3, 2, GRID), np.int64)
    residue_y = np.empty((3, 2, GRID), np.float64)
    residue_x = np.empty((3, 2, GRID), np.float64)
    corners(height, whole_y, residue_y)
    corners(width, whole_x, residue_x)
    sums = np.empty((3, 2, 2, GRID, 2, 2, GRID), np.float64)
    corner_sums(rows, channels, whole_y, whole_x, sums)
    grid = np.empty((GRID, GRID), np.float64)
    feature_grid(sums, residue_y, residue_x, grid)
    raw = np.empty((CELLS, CELLS, DIRECTIONS), np.float64)
    gradients(grid, raw)
    scaled = np.empty(HASH_BYTES, np.float64)
    scaled_gradients(raw, height, width, scaled)
    rounds = np.empty((MAX_ROUNDS, HASH_BYTES), np.float64)
    taken = normalisation(scaled, rounds)
    quantise(rounds[taken - 1], out)
    return norm(scaled, 0.0)
