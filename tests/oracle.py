"""The hash in plain Python, written from its published description.

No NumPy, no Numba, and nothing of the package: what is wrong there cannot be
wrong here in the same way. Lists of lists of ints and floats; slow.
"""

import math

RADII = [
    (0.2, float.fromhex("0x1.936398bf0aae3p-3")),
    (0.4, float.fromhex("0x1.caddcd96f4881p-2")),
    (0.8, float.fromhex("0x1.1cb5cf620ef1dp-2")),
]
AREA = float.fromhex("0x1.07b3705abb25cp0")


def pixel_sums(pixels):
    """`pixels[y][x]` is (R, G, B); returns S[y][x], both ends inclusive."""
    table = []
    above = [0] * len(pixels[0])
    for row in pixels:
        line, total = [], 0
        for x, (red, green, blue) in enumerate(row):
            total += red + green + blue
            line.append(total + above[x])
        table.append(line)
        above = line
    return table


def corner(point, offset, length):
    """Returns the whole pixel and the residue of a box corner."""
    place = max(0, min(length - 2, point + offset))
    return int(place), place - int(place)


def sample(table, y, x):
    (iy, fy), (ix, fx) = y, x
    total = ((1 - fx) * (1 - fy)) * table[iy][ix]
    total += ((1 - fx) * fy) * table[iy + 1][ix]
    total += (fx * (1 - fy)) * table[iy][ix + 1]
    total += (fx * fy) * table[iy + 1][ix + 1]
    return total


def feature_grid(table):
    height, width = len(table), len(table[0])
    step_y, step_x = height / 28, width / 28
    grid = []
    for v in range(26):
        line = []
        for u in range(26):
            p_y, p_x = (v + 1.5) * step_y, (u + 1.5) * step_x
            boxes = []
            for r, w in RADII:
                a_y = corner(p_y, ((-r) * step_y) - 1, height)
                a_x = corner(p_x, ((-r) * step_x) - 1, width)
                d_y = corner(p_y, r * step_y, height)
                d_x = corner(p_x, r * step_x, width)
                a, b = sample(table, a_y, a_x), sample(table, a_y, d_x)
                c, d = sample(table, d_y, a_x), sample(table, d_y, d_x)
                boxes.append(((a * w - b * w) - c * w) + d * w)
            line.append((boxes[0] + boxes[1]) + boxes[2])
        grid.append(line)
    return grid


def gradients(grid):
    """Returns 144 numbers: (row of cells * 6 + column of cells) * 4 + direction."""
    out = [0.0] * 144
    blocks = [(4 * bv + v, 4 * bu + u) for bv in range(6) for bu in range(6)
              for v in range(1, 5) for u in range(1, 5)]  # fmt: skip
    for v, u in blocks:
        h = grid[v][u - 1] - grid[v][u + 1]
        k = grid[v - 1][u] - grid[v + 1][u]
        numbers = (max(h, 0), max(-h, 0), max(k, 0), max(-k, 0))
        y, x = (v - 2.5) * 0.25, (u - 2.5) * 0.25
        cy, cx = math.floor(y), math.floor(x)
        fy, fx = y - cy, x - cx
        shares = {
            (cy, cx): (1 - fx) * (1 - fy),
            (cy, cx + 1): fx * (1 - fy),
            (cy + 1, cx): (1 - fx) * fy,
            (cy + 1, cx + 1): fx * fy,
        }
        for (row, column), weight in shares.items():
            if 0 <= row <= 5 and 0 <= column <= 5:
                for direction, number in enumerate(numbers):
                    out[(row * 6 + column) * 4 + direction] += weight * number
    return out


def scaled_gradients(raw, height, width):
    scale = (((width / 28) * AREA) * (height / 28)) * 3
    return [number / scale for number in raw]


def normalisation(scaled):
    """Returns the vector after each round."""
    rounds, vector = [], list(scaled)
    for number in range(1, 11):
        n = 1e-8
        for value in vector:
            n = n + value * value
        n = math.sqrt(n)
        vector = [value / n for value in vector]
        too_large = [i for i, value in enumerate(vector) if value >= 0.25]
        if number == 10 or not too_large:
            rounds.append(vector)
            return rounds
        for i in too_large:
            vector[i] = 0.25
        rounds.append(list(vector))
    raise AssertionError("the tenth round returns")


def quantise(vector):
    return [int(max(0, min(255, (value * 256) / 0.25))) for value in vector]


def hash_of(pixels):
    """`pixels[y][x]` is (R, G, B); returns the 144 numbers of the hash."""
    raw = gradients(feature_grid(pixel_sums(pixels)))
    return quantise(normalisation(scaled_gradients(raw, len(pixels), len(pixels[0])))[-1])


def detail(scaled):
    total = 0.0
    for value in scaled:
        total = total + value * value
    return math.sqrt(total)


def distance_squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def manhattan(a, b):
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))
