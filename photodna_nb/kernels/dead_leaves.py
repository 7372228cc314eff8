"""Dead leaves: opaque discs, painted front to back until they cover a picture.

Integers alone, so that a picture is the same on every machine; square roots are
of integers below 2^52 and rounded down, which IEEE makes exact.

A leaf takes three random numbers: where it lies, its radius, and its looks.
"""

import math

from photodna_nb.kernels.jit import kernel

NUMBERS = 3
# Of a random number that stands for a place or a share: 0 <= n / 2^BITS < 1.
BITS = 31
# The longest side: squares of radii times 2^BITS stay below 2^63.
LONGEST = 2**15 - 1


@kernel
def uncovered_from(following, x):
    """First pixel of a row at or right of x that no leaf covers; W if there is none.

    following: (W + 1,) int32; each step leads towards it, and is made longer on the way.
    """
    while following[x] != x:
        following[x] = following[following[x]]
        x = following[x]
    return int(x)


@kernel
def paint(numbers, square_min, square_max, brightness, contrast, colour, texture, following, out):
    """Paint leaves behind those that are there, and return how many pixels they covered.

    numbers: (n, 3) int64, 0 to 2^63 - 1; square_min, square_max: of the radii, in pixels
    squared; brightness, contrast, colour: in grey levels; texture: (H, W) uint8;
    following: (H, W + 1) int32, at first 0 to W in each row; out: (H, W, 3) uint8.
    """
    height, width = texture.shape
    mask = (1 << BITS) - 1
    reach = int(math.sqrt(square_max))
    share = ((square_max - square_min) << BITS) // square_max
    covered = 0
    for leaf in range(numbers.shape[0]):
        place, size, looks = int(numbers[leaf, 0]), int(numbers[leaf, 1]), int(numbers[leaf, 2])
        x = (((place & mask) * (width + 2 * reach)) >> BITS) - reach
        y = (((place >> BITS & mask) * (height + 2 * reach)) >> BITS) - reach
        # The density r^-3 from r_min to r_max, inverted: r^2 = r_min^2 / (1 - u share).
        square = (square_min << BITS) // ((1 << BITS) - (((size & mask) * share) >> BITS))
        radius = int(math.sqrt(square))
        if x + radius < 0 or x - radius >= width:
            continue
        grey = brightness + ((((looks & 255) - 128) * contrast) >> 7)
        red = grey + ((((looks >> 8 & 255) - 128) * colour) >> 7)
        green = grey + ((((looks >> 16 & 255) - 128) * colour) >> 7)
        blue = grey + ((((looks >> 24 & 255) - 128) * colour) >> 7)
        # Shading, in grey levels times 2^16 a pixel: up to 16 grey levels at the rim.
        slope_x = (((looks >> 32 & 255) - 128) << 13) // (radius + 1)
        slope_y = (((looks >> 40 & 255) - 128) << 13) // (radius + 1)
        roughness = looks >> 48 & 15
        for row in range(max(0, y - radius), min(height, y + radius + 1)):
            down = row - y
            half = int(math.sqrt(square - down * down))
            last = min(width - 1, x + half)
            steps = following[row]
            column = uncovered_from(steps, min(width, max(0, x - half)))
            while column <= last:
                shade = (slope_x * (column - x) + slope_y * down) >> 16
                shade += ((int(texture[row, column]) - 128) * roughness) >> 7
                out[row, column, 0] = min(255, max(0, red + shade))
                out[row, column, 1] = min(255, max(0, green + shade))
                out[row, column, 2] = min(255, max(0, blue + shade))
                steps[column] = column + 1
                covered += 1
                column = uncovered_from(steps, column + 1)
    return covered
