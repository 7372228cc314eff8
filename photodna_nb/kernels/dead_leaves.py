"""Dead leaves: opaque discs, painted front to back until they cover an image.

All values are integers, so that an image is the same on every machine. Square roots are of
integers below 2^52 and rounded down, which is exact in IEEE arithmetic.

A leaf takes three random numbers: its position, its radius, and its appearance.
"""

import math

from photodna_nb.kernels.jit import kernel

NUMBERS = 3
# Bits of a random number n that stands for a share: 0 <= n / 2^BITS < 1.
BITS = 31
# The longest side: squares of radii times 2^BITS stay below 2^63.
LONGEST = 2**15 - 1


@kernel
def uncovered_from(links, x):
    """First pixel of a row at or right of x that no leaf covers; W if there is none.

    links: (W + 1,) int32, towards that pixel; they are shortened (path halving).
    """
    while links[x] != x:
        links[x] = links[links[x]]
        x = links[x]
    return int(x)


@kernel
def paint(numbers, square_min, square_max, brightness, contrast, colour, texture, links, out):
    """Paint leaves behind the earlier ones; returns the number of pixels that they cover.

    numbers: (n, 3) int64, 0 to 2^63 - 1; square_min, square_max: squares of the
    radii, in pixels; brightness, contrast, colour: in grey levels; texture: (H, W) uint8;
    links: (H, W + 1) int32, at first 0 to W in each row; out: (H, W, 3) uint8.
    """
    height, width = texture.shape
    mask = (1 << BITS) - 1
    reach = int(math.sqrt(square_max))
    share = ((square_max - square_min) << BITS) // square_max
    covered = 0
    for leaf in range(numbers.shape[0]):
        position, size, appearance = (
            int(numbers[leaf, 0]),
            int(numbers[leaf, 1]),
            int(numbers[leaf, 2]),
        )
        x = (((position & mask) * (width + 2 * reach)) >> BITS) - reach
        y = (((position >> BITS & mask) * (height + 2 * reach)) >> BITS) - reach
        # The density r^-3 from r_min to r_max, inverted: r^2 = r_min^2 / (1 - u share).
        square = (square_min << BITS) // ((1 << BITS) - (((size & mask) * share) >> BITS))
        radius = int(math.sqrt(square))
        if x + radius < 0 or x - radius >= width:
            continue
        grey = brightness + ((((appearance & 255) - 128) * contrast) >> 7)
        red = grey + ((((appearance >> 8 & 255) - 128) * colour) >> 7)
        green = grey + ((((appearance >> 16 & 255) - 128) * colour) >> 7)
        blue = grey + ((((appearance >> 24 & 255) - 128) * colour) >> 7)
        # Shading, in grey levels times 2^16 a pixel: up to 16 grey levels at the rim.
        slope_x = (((appearance >> 32 & 255) - 128) << 13) // (radius + 1)
        slope_y = (((appearance >> 40 & 255) - 128) << 13) // (radius + 1)
        roughness = appearance >> 48 & 15
        for row in range(max(0, y - radius), min(height, y + radius + 1)):
            down = row - y
            half = int(math.sqrt(square - down * down))
            last = min(width - 1, x + half)
            row_links = links[row]
            column = uncovered_from(row_links, min(width, max(0, x - half)))
            while column <= last:
                shade = (slope_x * (column - x) + slope_y * down) >> 16
                shade += ((int(texture[row, column]) - 128) * roughness) >> 7
                out[row, column, 0] = min(255, max(0, red + shade))
                out[row, column, 1] = min(255, max(0, green + shade))
                out[row, column, 2] = min(255, max(0, blue + shade))
                row_links[column] = column + 1
                covered += 1
                column = uncovered_from(row_links, column + 1)
    return covered
